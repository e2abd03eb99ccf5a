/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/mkpkg/xml.h"

#include <inttypes.h>
#include <stdio.h>

struct xml xml_start(struct buf *out)
{
	buf_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	return (struct xml){.out = out};
}

static void xml_escape(struct xml *x, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '<':
			buf_str(x->out, "&lt;");
			break;
		case '>':
			buf_str(x->out, "&gt;");
			break;
		case '&':
			buf_str(x->out, "&amp;");
			break;
		case '"':
			buf_str(x->out, "&quot;");
			break;
		default:
			buf_put(x->out, text, 1);
		}
	}
}

static void xml_indent(struct xml *x)
{
	for (unsigned i = 0; i < x->depth; i++)
		buf_str(x->out, "    ");
}

/* "<tag a="b"", without the end. */
static void xml_begin(struct xml *x, const char *tag, const char *const *attr)
{
	xml_indent(x);
	buf_fmt(x->out, "<%s", tag);
	for (; attr != NULL && attr[0] != NULL; attr += 2) {
		buf_fmt(x->out, " %s=\"", attr[0]);
		xml_escape(x, attr[1]);
		buf_str(x->out, "\"");
	}
}

void xml_open(struct xml *x, const char *tag, const char *const *attr)
{
	xml_begin(x, tag, attr);
	buf_str(x->out, ">\n");
	x->depth++;
}

void xml_close(struct xml *x, const char *tag)
{
	x->depth--;
	xml_indent(x);
	buf_fmt(x->out, "</%s>\n", tag);
}

void xml_empty(struct xml *x, const char *tag, const char *const *attr)
{
	xml_begin(x, tag, attr);
	buf_str(x->out, "/>\n");
}

void xml_text(struct xml *x, const char *tag, const char *const *attr, const char *text)
{
	xml_begin(x, tag, attr);
	buf_str(x->out, ">");
	xml_escape(x, text);
	buf_fmt(x->out, "</%s>\n", tag);
}

void xml_number(struct xml *x, const char *tag, uint64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	xml_text(x, tag, XML_PLAIN, text);
}

void xml_plist_string(struct xml *x, const char *key, const char *value)
{
	xml_text(x, "key", XML_PLAIN, key);
	xml_text(x, "string", XML_PLAIN, value);
}

void xml_plist_bool(struct xml *x, const char *key, bool value)
{
	xml_text(x, "key", XML_PLAIN, key);
	xml_empty(x, value ? "true" : "false", XML_PLAIN);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/netdef_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *netdef_kind_of(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return "a mapping";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a text";
	case JSON_INTEGER:
		return "a number";
	case JSON_REAL:
		return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	default:
		return "nothing";
	}
}

/* A text, or a number as one. */
bool netdef_text_of(struct netdef_reader *r, const char *where, const json_t *v, const char *want,
		    char out[NETDEF_TEXT_MAX])
{
	*out = '\0';
	if (json_is_integer(v)) {
		snprintf(out, NETDEF_TEXT_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		return true;
	}
	if (!json_is_string(v))
		return netdef_wrong(&r->fault, where, "this is %s; write %s", netdef_kind_of(v),
				    want);
	if (strlen(json_string_value(v)) != json_string_length(v) ||
	    json_string_length(v) >= NETDEF_TEXT_MAX)
		return netdef_wrong(&r->fault, where, "%s is too long or has a NUL in it; write %s",
				    QUOTE(json_string_value(v)), want);
	memcpy(out, json_string_value(v), json_string_length(v) + 1);
	return true;
}

bool netdef_bool_of(struct netdef_reader *r, const char *where, const json_t *v, bool *out)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
	char text[NETDEF_TEXT_MAX];

	if (json_is_boolean(v)) {
		*out = json_is_true(v);
		return true;
	}
	if (!netdef_text_of(r, where, v, "true or false", text))
		return false;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcasecmp(text, words[i])) {
			*out = i & 1;
			return true;
		}
	return netdef_wrong(&r->fault, where, "%s is neither true nor false", QUOTE(text));
}

bool netdef_addr_of(struct netdef_reader *r, const char *where, const json_t *v, uint32_t *out)
{
	char text[NETDEF_TEXT_MAX];

	if (!netdef_text_of(r, where, v, "an address like 192.168.64.1", text))
		return false;
	if (netdef_parse_addr4(text, out) && *out)
		return true;
	return netdef_wrong(&r->fault, where, "%s is no IPv4 address; write one like 192.168.64.1",
			    QUOTE(text));
}

bool netdef_u32_of(struct netdef_reader *r, const char *where, const json_t *v, uint32_t *out)
{
	char text[NETDEF_TEXT_MAX], *end;
	unsigned long n;

	if (!netdef_text_of(r, where, v, "a whole number", text))
		return false;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n > UINT32_MAX)
		return netdef_wrong(&r->fault, where, "%s is no number in range", QUOTE(text));
	*out = (uint32_t)n;
	return true;
}

/* A list, or a text with commas, or one alone. A new reference. */
json_t *netdef_list_of(struct netdef_reader *r, const char *where, const json_t *v, unsigned max)
{
	json_t *list = NULL;

	if (json_is_array(v)) {
		list = json_deep_copy(v);
	} else if (json_is_string(v)) {
		const char *at = json_string_value(v);

		list = json_array();
		while (list && *at) {
			size_t n;

			at += strspn(at, " ");
			n = strcspn(at, ",");
			if (json_array_append_new(list, json_stringn(at, n)) != 0) {
				json_decref(list);
				list = NULL;
				break;
			}
			at += n;
			at += *at == ',';
		}
	} else {
		list = json_array();
		if (list && json_array_append_new(list, json_deep_copy(v)) != 0) {
			json_decref(list);
			list = NULL;
		}
	}
	if (!list)
		netdef_wrong(&r->fault, where, "out of memory");
	if (list && json_array_size(list) > max) {
		netdef_wrong(&r->fault, where, "%zu are too many; at most %u",
			     json_array_size(list), max);
		json_decref(list);
		list = NULL;
	}
	return list;
}

void netdef_at_index(char out[NETDEF_WHERE_MAX], const char *where, size_t i)
{
	snprintf(out, NETDEF_WHERE_MAX, "%.80s[%zu]", where, i);
}

void netdef_at_key(char out[NETDEF_WHERE_MAX], const char *where, const char *key)
{
	snprintf(out, NETDEF_WHERE_MAX, "%.60s.%.30s", where, key);
}

bool netdef_is_switch(const json_t *v)
{
	static const char *const words[] = {"true", "false", "on", "off", "yes", "no"};

	if (json_is_boolean(v))
		return true;
	for (unsigned i = 0; json_is_string(v) && i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcasecmp(json_string_value(v), words[i]))
			return true;
	return false;
}

bool netdef_no_key(struct netdef_reader *r, const char *where, const char *key, const char *known)
{
	netdef_wrong(&r->fault, where, "there is no key %s; %s are", QUOTE(key), known);
	*r->fault.where = '?';
	snprintf(r->fault.where + 1, NETDEF_WHERE_MAX - 1, "%.60s.%.30s", where, key);
	return false;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XML, written: elements indented by their depth, text and attributes escaped, and the few tags of
 * a property list. Values are valid UTF-8 (names and versions were checked to be ASCII).
 */
#ifndef MKPKG_XML_H
#define MKPKG_XML_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/mkpkg/buf.h"

struct xml {
	struct buf *out;
	unsigned depth;
};

/* Attributes are name, value, ..., NULL. */
#define XML_ATTR(...) ((const char *const[]){__VA_ARGS__, NULL})
#define XML_PLAIN     NULL

/* The declaration; the rest goes to out as it comes. */
struct xml xml_start(struct buf *out);

void xml_open(struct xml *x, const char *tag, const char *const *attr);
void xml_close(struct xml *x, const char *tag);
void xml_empty(struct xml *x, const char *tag, const char *const *attr);
void xml_text(struct xml *x, const char *tag, const char *const *attr, const char *text);
void xml_number(struct xml *x, const char *tag, uint64_t number);

/* A pair in a dict. */
void xml_plist_string(struct xml *x, const char *key, const char *value);
void xml_plist_bool(struct xml *x, const char *key, bool value);

#endif

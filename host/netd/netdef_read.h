/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading JSON values into a definition, for netdef_json.c and netdef_lists.c only.
 */
#ifndef NETD_NETDEF_READ_H
#define NETD_NETDEF_READ_H

#include "host/netd/netdef_int.h"

#define NETDEF_TEXT_MAX 512u
#define QUOTE(text)	netdef_quote(text, (char[NETDEF_QUOTE_MAX]){0})

struct netdef_reader {
	struct netdef *d;
	struct netdef_fault fault;
	uint32_t given;	   /* bits of netdef_json.c's enum key */
	bool nat66_prefix; /* so spelt: refused in mode host */
};

/*
 * Each takes a value that stands at `where`. False: r->fault says why. `want` is what to write
 * instead, for the message.
 */
const char *netdef_kind_of(const json_t *v);
/* A text, or a whole number as one. */
bool netdef_text_of(struct netdef_reader *r, const char *where, const json_t *v, const char *want,
		    char out[NETDEF_TEXT_MAX]);
/* Whether it is one of the words that netdef_bool_of takes. */
bool netdef_is_switch(const json_t *v);
bool netdef_bool_of(struct netdef_reader *r, const char *where, const json_t *v, bool *out);
bool netdef_addr_of(struct netdef_reader *r, const char *where, const json_t *v, uint32_t *out);
bool netdef_u32_of(struct netdef_reader *r, const char *where, const json_t *v, uint32_t *out);
/* A list, or a text with commas, or one alone. A new reference; NULL: r->fault. */
json_t *netdef_list_of(struct netdef_reader *r, const char *where, const json_t *v, unsigned max);
void netdef_at_index(char out[NETDEF_WHERE_MAX], const char *where, size_t i);
void netdef_at_key(char out[NETDEF_WHERE_MAX], const char *where, const char *key);
/* Always false: `known` says which keys there are. */
bool netdef_no_key(struct netdef_reader *r, const char *where, const char *key, const char *known);

/* By one of netdef_parse_*: its err is the message. */
#define PARSED(r, where, v, want, parse, ...)                                                      \
	__extension__({                                                                            \
		char text_[NETDEF_TEXT_MAX], why_[NETDEF_ERR_MAX];                                 \
		bool ok_ = netdef_text_of(r, where, v, want, text_);                               \
		if (ok_ && !parse(text_, __VA_ARGS__, why_))                                       \
			ok_ = netdef_wrong(&(r)->fault, where, "%s", why_);                        \
		ok_;                                                                               \
	})

bool netdef_set_reserve(struct netdef_reader *r, const char *where, const json_t *v);
bool netdef_set_forwards(struct netdef_reader *r, const char *where, const json_t *v);
bool netdef_set_allow(struct netdef_reader *r, const char *where, const json_t *v);

#endif

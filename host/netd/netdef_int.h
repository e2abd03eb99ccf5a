/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between netdef.c, netdef_json.c and subnet.c only.
 */
#ifndef NETD_NETDEF_INT_H
#define NETD_NETDEF_INT_H

#include "host/netd/netdef.h"

/* A mistake: err is "WHERE: text"; where may be NULL. */
struct netdef_fault {
	char *err;
	char *where;
};

/* Always false, so that `return netdef_wrong(...)` reads well. */
__attribute__((format(printf, 3, 4))) bool netdef_wrong(struct netdef_fault *f, const char *where,
							const char *fmt, ...);
bool netdef_complete_at(struct netdef *d, struct netdef_fault *f);
/* NAME.internal */
void netdef_default_domain(struct netdef *d);
/* Default and check of gateway and range, once the subnet is known. */
bool netdef_complete_subnet(struct netdef *d, struct netdef_fault *f);

static inline bool netdef_has_prefix6(const struct netdef *d)
{
	static const uint8_t none[16];

	return __builtin_memcmp(d->prefix6, none, sizeof(none)) != 0;
}

/*
 * A unique local /64 that is the same each time for this machine and this name (RFC 4193, with a
 * hash for the random number). round: another one.
 */
void netdef_derive_prefix6(struct netdef *d, unsigned round);

#endif

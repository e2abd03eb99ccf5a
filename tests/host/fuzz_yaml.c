/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer over networks.yaml: bytes in, definitions or one line out. What was taken is complete:
 * written as JSON and read again it is the same.
 */
#include <stdlib.h>
#include <string.h>

#include "host/netd/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct netdef *d)
{
	char err[NETDEF_ERR_MAX];
	struct netdef again;
	json_t *one = netdef_to_json(d), *two;

	if (!one || !netdef_from_json(&again, d->name, one, err) || !netdef_complete(&again, err))
		abort();
	two = netdef_to_json(&again);
	if (!json_equal(one, two))
		abort();
	json_decref(one);
	json_decref(two);
	netdef_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char err[NETDEF_ERR_MAX];
	struct config c;

	if (!config_parse(&c, "networks.yaml", (const char *)data, len, err)) {
		if (strncmp(err, "networks.yaml:", 14) != 0 || strchr(err, '\n') || c.defs || c.n)
			abort();
		return 0;
	}
	for (unsigned i = 0; i < c.n; i++) {
		check(&c.defs[i]);
		for (unsigned k = 0; k < i; k++)
			if (netdef_overlap(&c.defs[i], &c.defs[k]))
				abort();
	}
	config_free(&c);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer over a definition as `vmnet create` sends it. The first line is the network's name, the
 * rest JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "host/netd/netdef.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void taken(struct netdef *d)
{
	char err[NETDEF_ERR_MAX];
	struct netdef again, copy;
	json_t *one = netdef_to_json(d), *two, *three;

	if (!netdef_copy(&copy, d) || !netdef_complete(d, err) ||
	    !netdef_from_json(&again, d->name, one, err))
		abort();
	two = netdef_to_json(&again);
	three = netdef_to_json(&copy);
	if (!json_equal(one, two) || !json_equal(one, three))
		abort();
	/* What the other parts count on. */
	if (d->subnet &&
	    ((d->gateway & d->netmask) != d->subnet || d->gateway == d->subnet ||
	     (d->dhcp && (d->dhcp_start > d->dhcp_end || (d->dhcp_end & d->netmask) != d->subnet))))
		abort();
	json_decref(one);
	json_decref(two);
	json_decref(three);
	netdef_free(&copy);
	netdef_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *line = len ? memchr(data, '\n', len) : NULL;
	char err[NETDEF_ERR_MAX] = "", name[NETDEF_NAME_MAX + 8] = "";
	struct netdef d;
	size_t n;
	json_t *o;

	if (!line)
		return 0;
	n = (size_t)(line - data);
	memcpy(name, data, n < sizeof(name) ? n : sizeof(name) - 1);
	o = json_loadb((const char *)line + 1, len - n - 1,
		       JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (!o)
		return 0;
	if (netdef_from_json(&d, name, o, err))
		taken(&d);
	else if (!*err || strchr(err, '\n'))
		abort();
	netdef_free(&d);
	json_decref(o);
	return 0;
}

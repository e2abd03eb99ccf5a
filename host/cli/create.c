/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmnet create: the options are the keys of networks.yaml, and are checked as these are, here as
 * well as in the daemon.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/netd/netdef.h"

struct create {
	const char *mode, *subnet, *gateway, *dhcp_start, *dhcp_end, *lease, *mtu, *nat66_prefix,
		*domain, *rate, *burst, *linger;
	struct cli_list dns, search, reserve, allow, forward;
	bool no_dhcp, no_dns, no_nat, isolated, lock_mac, host_loopback;
};

static void put_text(json_t *o, const char *key, const char *value)
{
	if (value)
		json_object_set_new(o, key, json_string(value));
}

static bool put_number(const struct cli *cli, json_t *o, const char *key, const char *value)
{
	char what[32];
	uint64_t n;

	if (!value)
		return true;
	snprintf(what, sizeof(what), "--%s", key);
	if (!cli_number(cli, what, value, 0, UINT32_MAX, &n))
		return false;
	json_object_set_new(o, key, json_integer((json_int_t)n));
	return true;
}

static bool put_item(const struct cli *cli, json_t *array, const char *item)
{
	char real[PATH_MAX];

	/* The daemon has a working folder of its own. */
	if (strncmp(item, "exe:", 4)) {
		json_array_append_new(array, json_string(item));
		return true;
	}
	if (!realpath(item + 4, real)) {
		cli_note(cli, "--allow %s: there is no such file", item);
		return false;
	}
	json_array_append_new(array, json_sprintf("exe:%s", real));
	return true;
}

/* Given several times, or once with commas. */
static bool put_list(const struct cli *cli, json_t *o, const char *key, const struct cli_list *list,
		     bool commas)
{
	json_t *array = list->n ? json_array() : NULL;
	char *copy, *save = NULL;
	bool ok = true;

	for (unsigned i = 0; ok && i < list->n; i++) {
		if (!commas) {
			ok = put_item(cli, array, list->item[i]);
			continue;
		}
		copy = strdup(list->item[i]);
		for (char *item = copy ? strtok_r(copy, ",", &save) : NULL; ok && item;
		     item = strtok_r(NULL, ",", &save))
			ok = put_item(cli, array, item);
		free(copy);
	}
	if (array)
		json_object_set_new(o, key, array);
	return ok;
}

static bool fill(const struct cli *cli, json_t *o, const struct create *c)
{
	put_text(o, "mode", c->mode);
	put_text(o, "subnet", c->subnet);
	put_text(o, "gateway", c->gateway);
	put_text(o, "dhcp-start", c->dhcp_start);
	put_text(o, "dhcp-end", c->dhcp_end);
	put_text(o, "nat66-prefix", c->nat66_prefix);
	put_text(o, "domain", c->domain);
	put_text(o, "rate", c->rate);
	put_text(o, "burst", c->burst);
	if (c->no_dhcp)
		json_object_set_new(o, "dhcp", json_false());
	if (c->no_dns)
		json_object_set_new(o, "dns", json_false());
	if (c->no_nat)
		json_object_set_new(o, "nat", json_string("none"));
	if (c->isolated)
		json_object_set_new(o, "isolated", json_true());
	if (c->lock_mac)
		json_object_set_new(o, "lock-mac", json_true());
	if (c->host_loopback)
		json_object_set_new(o, "host-loopback", json_true());
	return put_number(cli, o, "lease", c->lease) && put_number(cli, o, "mtu", c->mtu) &&
	       put_number(cli, o, "linger", c->linger) && put_list(cli, o, "dns", &c->dns, true) &&
	       put_list(cli, o, "search", &c->search, true) &&
	       put_list(cli, o, "reservations", &c->reserve, true) &&
	       put_list(cli, o, "allow", &c->allow, true) &&
	       put_list(cli, o, "forwards", &c->forward, false);
}

static bool check(const struct cli *cli, const char *name, const json_t *definition)
{
	char err[NETDEF_ERR_MAX];
	struct netdef d;

	netdef_init(&d);
	if (!netdef_from_json(&d, name, definition, err) || !netdef_complete(&d, err)) {
		netdef_free(&d);
		cli_note(cli, "%s", err);
		return false;
	}
	netdef_free(&d);
	return true;
}

static int create(struct cli *cli)
{
	static const char *const names[] = {"NAME", NULL};
	struct create c = {0};
	const struct cli_option options[] = {
		{.name = "mode", .value = &c.mode},
		{.name = "subnet", .value = &c.subnet},
		{.name = "gateway", .value = &c.gateway},
		{.name = "dhcp-start", .value = &c.dhcp_start},
		{.name = "dhcp-end", .value = &c.dhcp_end},
		{.name = "no-dhcp", .flag = &c.no_dhcp},
		{.name = "lease", .value = &c.lease},
		{.name = "reserve", .list = &c.reserve},
		{.name = "mtu", .value = &c.mtu},
		{.name = "isolated", .flag = &c.isolated},
		{.name = "lock-mac", .flag = &c.lock_mac},
		{.name = "nat66-prefix", .value = &c.nat66_prefix},
		{.name = "no-nat", .flag = &c.no_nat},
		{.name = "dns", .list = &c.dns},
		{.name = "no-dns", .flag = &c.no_dns},
		{.name = "domain", .value = &c.domain},
		{.name = "search", .list = &c.search},
		{.name = "forward", .list = &c.forward},
		{.name = "host-loopback", .flag = &c.host_loopback},
		{.name = "rate", .value = &c.rate},
		{.name = "burst", .value = &c.burst},
		{.name = "allow", .list = &c.allow},
		{.name = "linger", .value = &c.linger},
	};
	struct cli_args args = {
		.options = options,
		.noptions = sizeof(options) / sizeof(options[0]),
		.names = names,
		.required = 1,
	};
	json_t *definition;

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]))
		return VMNET_USER;
	definition = json_object();
	if (!definition)
		return cli_system(cli, "out of memory");
	if (!fill(cli, definition, &c) || !check(cli, args.given[0], definition)) {
		json_decref(definition);
		return VMNET_USER;
	}
	return cli_do(cli, json_pack("{s:s, s:s, s:o}", "op", "create", "name", args.given[0],
				     "definition", definition));
}

const struct cli_command cmd_create = {
	.name = "create",
	.shapes = "create NAME [--mode shared|host] [--subnet CIDR] [OPTION...]",
	.summary = "make a network of your own",
	.help = "  --mode shared|host       with a way outside (the default), or without\n"
		"  --subnet CIDR            192.168.70.0/24; otherwise a free one is chosen\n"
		"  --gateway ADDRESS        otherwise the first of the subnet\n"
		"  --dhcp-start ADDRESS     the range that is given out\n"
		"  --dhcp-end ADDRESS\n"
		"  --no-dhcp                give out none\n"
		"  --lease SECONDS          how long an address is given for\n"
		"  --reserve MAC=ADDRESS    or NAME=ADDRESS; may be repeated\n"
		"  --mtu N                  576 to 65520; 1500 unless given\n"
		"  --isolated               members reach the gateway only, not each other\n"
		"  --lock-mac               members send from their own address only\n"
		"  --nat66-prefix PREFIX    an IPv6 /64, with NAT to the outside\n"
		"  --no-nat                 a gateway that leads nowhere\n"
		"  --dns ADDRESS,...        servers to ask; otherwise those of this host\n"
		"  --no-dns                 the gateway answers no DNS\n"
		"  --domain DOMAIN          members are NAME.DOMAIN\n"
		"  --search DOMAIN,...      search list given out\n"
		"  --forward \"tcp HOST:PORT MEMBER PORT\"  may be repeated\n"
		"  --host-loopback          members reach this host's 127.0.0.1 at the gateway\n"
		"  --rate RATE              limit of each member, 100mbit\n"
		"  --burst SIZE             what may pass at once, 64k\n"
		"  --allow uid:N,gid:N,exe:PATH  who may join; otherwise only you\n"
		"  --linger SECONDS         how long it stays after its last member has left\n",
	.run = create,
};

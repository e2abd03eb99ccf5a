/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/netdef_read.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/netd/peer.h"

static bool reserve_one(struct netdef_reader *r, const char *where, const json_t *v,
			struct netdef_reserve *out)
{
	char who[NETDEF_TEXT_MAX], *split, below[NETDEF_WHERE_MAX];
	const json_t *mac, *name, *address;
	const char *key;
	json_t *value;

	if (!json_is_object(v)) {
		if (!netdef_text_of(r, where, v, "MAC=ADDRESS", who))
			return false;
		split = strchr(who, '=');
		if (split)
			*split++ = '\0';
		if (!split || !netdef_parse_addr4(split, &out->address))
			return netdef_wrong(
				&r->fault, where,
				"%s is no reservation; write MAC=ADDRESS or NAME=ADDRESS",
				QUOTE(who));
		out->by_mac = netdef_parse_mac(who, out->mac);
		if (!out->by_mac && !netdef_name_valid(who))
			return netdef_wrong(&r->fault, where, "%s is neither a MAC nor a name",
					    QUOTE(who));
		if (!out->by_mac)
			memcpy(out->name, who, strlen(who) + 1);
		return true;
	}
	json_object_foreach((json_t *)v, key, value)
	{
		if (strcmp(key, "mac") != 0 && strcmp(key, "name") != 0 &&
		    strcmp(key, "address") != 0)
			return netdef_no_key(r, where, key, "mac, name and address");
	}
	mac = json_object_get(v, "mac");
	name = json_object_get(v, "name");
	address = json_object_get(v, "address");
	if (!mac == !name || !address)
		return netdef_wrong(&r->fault, where,
				    "it needs an address and either a mac or a name");
	netdef_at_key(below, where, mac ? "mac" : "name");
	if (!netdef_text_of(r, below, mac ? mac : name, mac ? "02:00:00:00:00:01" : "a name", who))
		return false;
	out->by_mac = mac;
	if (mac && !netdef_parse_mac(who, out->mac))
		return netdef_wrong(&r->fault, below,
				    "%s is no station's MAC; write one like 02:00:00:00:00:01",
				    QUOTE(who));
	if (name && !netdef_name_valid(who))
		return netdef_wrong(&r->fault, below, "%s is no name", QUOTE(who));
	if (name)
		memcpy(out->name, who, strlen(who) + 1);
	netdef_at_key(below, where, "address");
	return netdef_addr_of(r, below, address, &out->address);
}

bool netdef_set_reserve(struct netdef_reader *r, const char *where, const json_t *v)
{
	json_t *list = netdef_list_of(r, where, v, NETDEF_RESERVE_MAX);
	size_t n = list ? json_array_size(list) : 0;
	bool ok = list;

	r->d->reserve = n ? calloc(n, sizeof(*r->d->reserve)) : NULL;
	if (n && !r->d->reserve)
		ok = netdef_wrong(&r->fault, where, "out of memory");
	for (size_t i = 0; ok && i < n; i++) {
		char below[NETDEF_WHERE_MAX];

		netdef_at_index(below, where, i);
		ok = reserve_one(r, below, json_array_get(list, i), &r->d->reserve[i]);
		r->d->nreserve++;
	}
	json_decref(list);
	return ok;
}

static bool forward_one(struct netdef_reader *r, const char *where, const json_t *v,
			struct netdef_forward *out)
{
	static const char *const keys[4] = {"proto", "host", "to", "port"};
	char text[4][NETDEF_TEXT_MAX], below[NETDEF_WHERE_MAX], err[NETDEF_ERR_MAX], *save = NULL;
	const char *key;
	json_t *value;
	unsigned n = 0;

	if (!json_is_object(v)) {
		char line[NETDEF_TEXT_MAX];

		if (!netdef_text_of(r, where, v, "\"tcp 127.0.0.1:8080 web 80\"", line))
			return false;
		for (char *at = strtok_r(line, " \t", &save); at;
		     at = strtok_r(NULL, " \t", &save)) {
			if (n < 4)
				memcpy(text[n], at, strlen(at) + 1);
			n++;
		}
		if (n != 4)
			return netdef_wrong(
				&r->fault, where,
				"this has %u words; write \"tcp 127.0.0.1:8080 web 80\"", n);
	} else {
		json_object_foreach((json_t *)v, key, value)
		{
			netdef_at_key(below, where, key);
			for (n = 0; n < 4 && strcmp(key, keys[n]) != 0; n++)
				;
			if (n == 4)
				return netdef_no_key(r, where, key, "proto, host, to and port");
			if (!netdef_text_of(r, below, value, "a text", text[n]))
				return false;
		}
		for (n = 0; n < 4; n++)
			if (!json_object_get(v, keys[n]))
				return netdef_wrong(&r->fault, where, "it has no %s", keys[n]);
	}
	if (netdef_parse_forward(text[0], text[1], text[2], text[3], out, err))
		return true;
	return netdef_wrong(&r->fault, where, "%s", err);
}

bool netdef_set_forwards(struct netdef_reader *r, const char *where, const json_t *v)
{
	json_t *list = netdef_list_of(r, where, v, NETDEF_FORWARDS_MAX);
	size_t n = list ? json_array_size(list) : 0;
	bool ok = list;

	r->d->forward = n ? calloc(n, sizeof(*r->d->forward)) : NULL;
	if (n && !r->d->forward)
		ok = netdef_wrong(&r->fault, where, "out of memory");
	for (size_t i = 0; ok && i < n; i++) {
		char below[NETDEF_WHERE_MAX];

		netdef_at_index(below, where, i);
		ok = forward_one(r, below, json_array_get(list, i), &r->d->forward[i]);
		r->d->nforward++;
	}
	json_decref(list);
	return ok;
}

static bool user_id(const char *name, uint32_t *id)
{
	struct passwd entry, *found;
	char buf[8192];

	if (getpwnam_r(name, &entry, buf, sizeof(buf), &found) != 0 || !found)
		return false;
	*id = entry.pw_uid;
	return true;
}

static bool group_id(const char *name, uint32_t *id)
{
	struct group entry, *found;
	char buf[16384];

	if (getgrnam_r(name, &entry, buf, sizeof(buf), &found) != 0 || !found)
		return false;
	*id = entry.gr_gid;
	return true;
}

static bool hash_of(const char *text, uint8_t out[32])
{
	if (strnlen(text, 65) != 64)
		return false;
	for (unsigned i = 0; i < 32; i++) {
		char pair[3] = {text[2 * i], text[2 * i + 1]}, *end;

		if (pair[0] == '+' || pair[0] == '-' || pair[0] == ' ')
			return false;
		out[i] = (uint8_t)strtoul(pair, &end, 16);
		if (end != pair + 2)
			return false;
	}
	return true;
}

static bool allow_exe(struct netdef_reader *r, const char *where, const char *path,
		      struct netdef_allow *out)
{
	out->kind = NETDEF_ALLOW_EXE;
	if (*path != '/')
		return netdef_wrong(&r->fault, where, "%s: the path must begin with /",
				    QUOTE(path));
	if (!peer_record_exe(path, out))
		return netdef_wrong(&r->fault, where, "%s: %s", QUOTE(path), strerror(errno));
	return true;
}

/* As netdef_to_json writes it: the file that was recorded, whatever is at that path now. */
static bool allow_recorded(struct netdef_reader *r, const char *where, const json_t *v,
			   struct netdef_allow *out)
{
	const json_t *dev = json_object_get(v, "dev"), *ino = json_object_get(v, "ino"),
		     *sha = json_object_get(v, "sha256");
	char path[NETDEF_TEXT_MAX], hash[NETDEF_TEXT_MAX], below[NETDEF_WHERE_MAX];
	uint8_t want[32];
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)v, key, value)
	{
		if (strcmp(key, "exe") != 0 && strcmp(key, "dev") != 0 && strcmp(key, "ino") != 0 &&
		    strcmp(key, "sha256") != 0)
			return netdef_no_key(r, where, key, "exe and sha256");
	}
	netdef_at_key(below, where, "exe");
	value = json_object_get(v, "exe");
	if (!value)
		return netdef_wrong(&r->fault, where, "it has no exe");
	if (!netdef_text_of(r, below, value, "a path", path))
		return false;
	if (!sha)
		return allow_exe(r, below, path, out);
	netdef_at_key(below, where, "sha256");
	if (!netdef_text_of(r, below, sha, "64 hexadecimal digits", hash))
		return false;
	if (!hash_of(hash, want))
		return netdef_wrong(&r->fault, below, "%s is no SHA-256; 64 hexadecimal digits",
				    QUOTE(hash));
	if (!dev || !ino) {
		if (!allow_exe(r, where, path, out))
			return false;
		if (memcmp(out->sha256, want, sizeof(want)) != 0)
			return netdef_wrong(&r->fault, below, "the file %s is another one",
					    QUOTE(path));
		return true;
	}
	if (!json_is_integer(dev) || !json_is_integer(ino) || *path != '/')
		return netdef_wrong(&r->fault, where, "dev and ino are numbers, exe is a path");
	out->kind = NETDEF_ALLOW_EXE;
	out->dev = (uint64_t)json_integer_value(dev);
	out->ino = (uint64_t)json_integer_value(ino);
	memcpy(out->sha256, want, sizeof(want));
	out->path = strdup(path);
	return out->path || netdef_wrong(&r->fault, where, "out of memory");
}

static bool allow_one(struct netdef_reader *r, const char *where, const json_t *v,
		      struct netdef_allow *out)
{
	char text[NETDEF_TEXT_MAX], *rest, *end;
	unsigned long n;
	bool by_id;

	if (json_is_object(v))
		return allow_recorded(r, where, v, out);
	if (!netdef_text_of(r, where, v, "uid:N, gid:N, user:NAME, group:NAME or exe:PATH", text))
		return false;
	rest = strchr(text, ':');
	if (!rest)
		return netdef_wrong(&r->fault, where,
				    "%s: write uid:N, gid:N, user:NAME, group:NAME or exe:PATH",
				    QUOTE(text));
	*rest++ = '\0';
	if (!strcmp(text, "exe"))
		return allow_exe(r, where, rest, out);
	by_id = !strcmp(text, "uid") || !strcmp(text, "gid");
	if (!by_id && strcmp(text, "user") != 0 && strcmp(text, "group") != 0)
		return netdef_wrong(&r->fault, where,
				    "%s is unknown; write uid:N, gid:N, user:NAME, group:NAME or "
				    "exe:PATH",
				    QUOTE(text));
	out->kind = *text == 'u' ? NETDEF_ALLOW_UID : NETDEF_ALLOW_GID;
	if (!by_id) {
		if (*text == 'u' ? user_id(rest, &out->id) : group_id(rest, &out->id))
			return true;
		return netdef_wrong(&r->fault, where, "there is no %s %s", text, QUOTE(rest));
	}
	errno = 0;
	n = strtoul(rest, &end, 10);
	/* The last number means "nobody" to the kernel's calls. */
	if (*rest < '0' || *rest > '9' || *end || errno || n >= UINT32_MAX)
		return netdef_wrong(&r->fault, where, "%s is no number of a %s", QUOTE(rest),
				    *text == 'u' ? "user" : "group");
	out->id = (uint32_t)n;
	return true;
}

bool netdef_set_allow(struct netdef_reader *r, const char *where, const json_t *v)
{
	json_t *list = netdef_list_of(r, where, v, NETDEF_ALLOW_MAX);
	size_t n = list ? json_array_size(list) : 0;
	bool ok = list;

	r->d->allow = n ? calloc(n, sizeof(*r->d->allow)) : NULL;
	if (n && !r->d->allow)
		ok = netdef_wrong(&r->fault, where, "out of memory");
	for (size_t i = 0; ok && i < n; i++) {
		char below[NETDEF_WHERE_MAX];

		netdef_at_index(below, where, i);
		r->d->nallow++;
		ok = allow_one(r, below, json_array_get(list, i), &r->d->allow[i]);
	}
	json_decref(list);
	return ok;
}

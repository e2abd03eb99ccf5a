/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/forward.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void explain(const struct forward_spec *s, uint16_t port, int error, char *err, size_t len)
{
	const char *proto = s->udp ? "udp" : "tcp";

	switch (error) {
	case EADDRINUSE:
		snprintf(err, len, "%s %s port %u is in use", proto, s->text, port);
		break;
	case EACCES:
	case EPERM:
		snprintf(err, len, "%s %s port %u: not permitted for this user", proto, s->text,
			 port);
		break;
	case EADDRNOTAVAIL:
		snprintf(err, len, "%s %s port %u: not an address of this host", proto, s->text,
			 port);
		break;
	case EMFILE:
		snprintf(err, len, "%s %s port %u: too many ports are forwarded", proto, s->text,
			 port);
		break;
	case ENOENT:
		snprintf(err, len, "%s %s port %u is not forwarded", proto, s->text, port);
		break;
	default:
		snprintf(err, len, "%s %s port %u: %s", proto, s->text, port, strerror(error));
	}
}

static int set_one(struct forwards *f, bool add, const struct forward_spec *s, unsigned i)
{
	uint32_t host = nat_be32(s->host);

	if (s->v6)
		return relay_set(f->relay, add, s->udp, s->host, (uint16_t)(s->first + i),
				 s->member, (uint16_t)(s->port + i));
	return slirp_nat_forward(f->slirp, add, s->udp, host, (uint16_t)(s->first + i), s->member,
				 (uint16_t)(s->port + i));
}

int forward_set(struct forwards *f, bool add, const struct forward_spec *s, char *err,
		size_t err_len)
{
	unsigned n = (unsigned)(s->last - s->first) + 1;
	int result = 0;

	for (unsigned i = 0; i < n; i++) {
		int error = set_one(f, add, s, i);

		if (!error)
			continue;
		if (!result) {
			result = error;
			explain(s, (uint16_t)(s->first + i), error, err, err_len);
		}
		if (!add)
			continue;
		while (i-- > 0)
			set_one(f, false, s, i);
		break;
	}
	return result;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forwards: ports of this host that lead to a member. A range is opened wholly or not at all.
 */
#ifndef NAT_FORWARD_H
#define NAT_FORWARD_H

#include "host/nat/relay.h"

struct forward_spec {
	bool udp, v6;
	uint8_t host[16]; /* IPv4: the first four */
	char text[46];	  /* the same, as it was given */
	uint16_t first, last;
	uint32_t member;
	uint16_t port;
};

struct forwards {
	struct slirp_nat *slirp;
	struct relay *relay; /* for IPv6 addresses of the host */
};

/* 0, or an errno and one line in err. */
int forward_set(struct forwards *f, bool add, const struct forward_spec *spec, char *err,
		size_t err_len);

#endif

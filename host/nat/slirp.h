/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libslirp, and nothing else: no other file names it. Loops and descriptors are poll()'s.
 *
 * Taken away from it: DHCP, TFTP, DNS, guest forwards, protocol emulation, router advertisements.
 * What it would do with the host's files (resolv.conf) is thereby never done.
 */
#ifndef NAT_SLIRP_H
#define NAT_SLIRP_H

#include <poll.h>

#include "host/nat/nat.h"

struct slirp_nat;

struct slirp_nat_params {
	const struct nat_config *config;
	uint32_t if_mtu;
	/* A frame from libslirp. */
	void (*send)(void *ctx, const uint8_t *frame, uint32_t len);
	void *ctx;
	unsigned fds; /* how many descriptors at most are watched */
};

/* An IP packet of libslirp's is never longer than this, on a network with that MTU. */
uint32_t slirp_nat_mtu(const struct nat_config *config);
/* What it should be told a member's MSS is: see slirp.c. */
uint16_t slirp_nat_mss(const struct nat_config *config, bool v6);

struct slirp_nat *slirp_nat_open(const struct slirp_nat_params *params);
void slirp_nat_close(struct slirp_nat *s);
const char *slirp_nat_version(void);
/* NULL, or one line about a version with known holes. */
const char *slirp_nat_warning(void);

void slirp_nat_input(struct slirp_nat *s, const uint8_t *frame, uint32_t len);
/* Something libslirp holds back can go now (an address was answered). */
void slirp_nat_kick(struct slirp_nat *s);
/* Appends what to wait for to fds[*n], and shortens *timeout_ms. hold: do not read from the host.
 */
void slirp_nat_fill(struct slirp_nat *s, struct pollfd *fds, unsigned *n, int *timeout_ms,
		    bool hold);
/* After poll(): failed when that returned an error. */
void slirp_nat_poll(struct slirp_nat *s, bool failed);

/* Listen on an IPv4 address of the host for a member. 0, or an errno. */
int slirp_nat_forward(struct slirp_nat *s, bool add, bool udp, uint32_t host, uint16_t port,
		      uint32_t member, uint16_t member_port);

#endif

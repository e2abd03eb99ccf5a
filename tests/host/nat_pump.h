/* SPDX-License-Identifier: BSD-2-Clause */
/* An uplink on a loop, joined to a netlab's TAP: what the daemon's switch and gateway do. */
#ifndef TESTS_HOST_NAT_PUMP_H
#define TESTS_HOST_NAT_PUMP_H

#include "host/netd/uplink.h"
#include "tests/host/netlab.h"

struct nat_pump {
	struct netlab *lab;
	struct uplink *uplink;
	struct netdef def;
	uv_loop_t loop;
	uv_poll_t tap;
	unsigned lost, back;
	char why[256];
	uint64_t to_member, from_member;
	unsigned lose; /* each so-manieth frame is lost, both ways; 0: none */
	unsigned count;
};

/* def: see nat_pump_def. False: err. */
bool nat_pump_open(struct nat_pump *p, struct netlab *lab, const char *program,
		   const char *const *options, char err[NETDEF_ERR_MAX]);
void nat_pump_close(struct nat_pump *p);
void nat_pump_def(struct nat_pump *p, uint32_t mtu);
/* Runs the loop until the agent has answered; false after wait_ms. */
bool nat_pump_ask(struct nat_pump *p, int agent, const char *text, char out[256], unsigned wait_ms);
/* Runs the loop until the worker serves, or *flag. */
bool nat_pump_wait(struct nat_pump *p, const bool *flag, unsigned wait_ms);

#endif

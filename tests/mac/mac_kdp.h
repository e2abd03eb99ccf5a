/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A debugger for the Mac of a case: tools/kdp's client in the same process, on a thread that is
 * never inside the kernel. Packets take the way of a user's: UDP into QEMU's user network, which
 * forwards them to the Mac; or into a pump that makes frames for the model out of them.
 */
#ifndef TESTS_MAC_MAC_KDP_H
#define TESTS_MAC_MAC_KDP_H

#include <pthread.h>

#include "tests/mac/mac_rig.h"
#include "tools/kdp/kdp_client.h"

#define MAC_KDP_ARGS	  "debug=0x144"
#define MAC_KDP_ARGS_IP	  MAC_KDP_ARGS " kdp_ip_addr=10.0.2.15"
#define MAC_KDP_FORWARDED 80u

struct mac_kdp {
	uint16_t port; /* of this machine */
	struct kdp_client *c;

	/* The thread that has pressed the key. */
	pthread_t thread;
	unsigned ms;
	bool panic, over;
	int result;
};

/* Choose a port; `forward` is what is to be said to QEMU's user network. */
void mac_kdp_open(struct mac_kdp *k, char forward[MAC_KDP_FORWARDED]);
/* The key, or a panic, on a thread of its own; waits until the Mac stands still. */
void mac_kdp_stop(struct mac_kdp *k, unsigned ms, bool panic);
/* What mac_debugger() or mac_panic() said in the end. */
int mac_kdp_ended(struct mac_kdp *k);
/* A new client, not yet connected; the old one hangs up without a word. */
void mac_kdp_dial(struct mac_kdp *k);
void mac_kdp_hang_up(struct mac_kdp *k);

/* Where a function of VirtioNet.kext is now. */
uint64_t mac_kdp_symbol(const char *mangled);
/* Connected and stopped: ask, read and write whatever there is, and compare. */
void mac_kdp_look_around(struct mac_kdp *k);
/* Stopped by the breakpoint there: take it away, one instruction on, and put it back if `again`. */
void mac_kdp_step_over(struct mac_kdp *k, uint64_t at, bool again);

/* ---- other ways ---- */

/*
 * Between the client and something else. Neither knows; both ends are threads outside the kernel.
 */
struct mac_kdp_way {
	int fd;
	uint16_t port; /* to be dialled */
	bool end;      /* atomic */
	pthread_t thread;

	/* To the model. */
	struct board_model *model;
	uint8_t mac[6];
	unsigned others; /* frames of others that were transmitted; atomic */

	/* To another port, losing each nth datagram of either direction. */
	uint16_t onward;
	unsigned lose, n;
};

void mac_kdp_way_to_model(struct mac_kdp_way *w, struct mac_kdp *k, struct mac_rig *r);
void mac_kdp_way_lossy(struct mac_kdp_way *w, struct mac_kdp *k, unsigned lose);
void mac_kdp_way_close(struct mac_kdp_way *w);

#endif

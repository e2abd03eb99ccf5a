/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A simulated Mac with the kexts on it, on a QEMU machine or on the model of a device.
 *
 * There is one Mac per process and a violation ends it: each case runs in a child of its own.
 *
 *   static void case_ping(void *arg) { struct mac_rig r; mac_rig_open(&r, arg); ... }
 *   static void test_ping(void **state) { (void)state; mac_rig_case(case_ping, &opts, 30); }
 *
 * Inside of a case CHECK() ends the child with one line; what the kernel logged comes before it.
 */
#ifndef TESTS_MAC_MAC_RIG_H
#define TESTS_MAC_MAC_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/macos/mac.h"
#include "tests/lib/board_model.h"
#include "tools/board/qemu_board.h"

#define MAC_RIG_NICS 2u
#define MAC_RIG_LOG  65536u

/* The releases that every scenario is shown for. */
extern const int mac_rig_releases[5];

struct mac_rig_opts {
	int release; /* 0: 13 */
	const char *boot_args;
	const char *kexts; /* folder; NULL: $VIOKIT_KEXTS */
	unsigned nics;	   /* 0: 1 */
	bool no_load;	   /* boot and plug in, nothing more */
	bool no_up;	   /* loaded and found, but not ifconfig up */
	bool no_built_in;
	bool allow_violations_of_norms; /* the model's monitor may complain */

	/* On QEMU. NULL netdev: the model is the board. */
	const char *netdev;  /* "user,id=n0", of each NIC, with its number for the 0 */
	const char *netdev1; /* of the second one, if it is to be another (with id=n0, too) */
	const char *props;   /* of the card, e.g. ",disable-legacy=on"; NULL: none */
	const char *machine;
	bool root_port;
	const int *fds; /* for the netdev, kept open across the start */
	unsigned n_fds;

	/* On the model. All zero: board_model_defaults. */
	struct model_options model;
};

struct mac_rig {
	const struct mac_rig_opts *o;
	int release;
	bool qemu;
	struct qemu_board board;
	struct board_model model[MAC_RIG_NICS];
	struct mac_pci *pci[MAC_RIG_NICS];
	struct mac_if *ifp[MAC_RIG_NICS];
	unsigned nics;
};

/* Boot, plug in, load, find en0 (and en1), ifconfig up. */
void mac_rig_open(struct mac_rig *r, const struct mac_rig_opts *o);
/* Load the kexts; VirtioPCI comes with VirtioNet. The error of mac_kext_load. */
int mac_rig_load(struct mac_rig *r);
/* kextunload of both. */
void mac_rig_unload(struct mac_rig *r);
/* Find the interfaces after a load; up unless no_up. */
void mac_rig_find(struct mac_rig *r);
/* Unload, switch off, and nothing may be left: not in the kernel, not in the model. */
void mac_rig_close(struct mac_rig *r);

/* What the kernel has logged so far: whether a line has this in it. */
bool mac_rig_logged(const char *text);
/* How often it is there. */
unsigned mac_rig_count(const char *text);

/* ---- frames ---- */

/* Wait until `done` says so; false: not within ms. */
bool mac_rig_wait(bool (*done)(void *arg), void *arg, unsigned ms);
/*
 * Received by en`nic`, oldest first, waiting up to ms. The length, 0: none. *good: checksums
 * vouched for (may be NULL). Frames longer than max are cut.
 */
size_t mac_rig_receive(struct mac_rig *r, unsigned nic, uint8_t *frame, size_t max, unsigned ms,
		       bool *good);
/* Forget what was received so far. */
void mac_rig_flush(struct mac_rig *r);
/* A frame without offloads from en`nic`; the error of mac_if_send. */
int mac_rig_send(struct mac_rig *r, unsigned nic, const void *frame, size_t len);
/* An Ethernet frame with a payload that depends on seed; its length (14 + payload). */
size_t mac_rig_frame(uint8_t *frame, const uint8_t to[6], const uint8_t from[6], size_t payload,
		     unsigned seed);
bool mac_rig_frame_is(const uint8_t *frame, size_t len, size_t payload, unsigned seed);
/*
 * n frames each way through the model, compared byte for byte. Only on the model, whose other end
 * the test is.
 */
void mac_rig_exchange(struct mac_rig *r, unsigned nic, unsigned n);

/* ---- cases ---- */

/* Run in a child; fails the cmocka test unless it ends well within `seconds`. */
void mac_rig_case(void (*run)(void *arg), void *arg, unsigned seconds);
/* The same, but the child must fail, saying `words`: for drivers that are known to be wrong. */
void mac_rig_case_fails(void (*run)(void *arg), void *arg, unsigned seconds, const char *expected);

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			mac_rig_fail(__FILE__, __LINE__, "%s", #cond);                             \
	} while (0)
#define CHECK_MSG(cond, ...)                                                                       \
	do {                                                                                       \
		if (!(cond))                                                                       \
			mac_rig_fail(__FILE__, __LINE__, __VA_ARGS__);                             \
	} while (0)
__attribute__((noreturn, format(printf, 3, 4))) void mac_rig_fail(const char *file, int line,
								  const char *fmt, ...);

#endif

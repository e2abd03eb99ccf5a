/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A QEMU machine as the board of a simulated Mac (sim/macos/board.h): its RAM, its virtio
 * functions.
 *
 * guest/ports/user wants one thread at a time per machine; here any thread may call anything. Call
 * qemu_board_open from a thread that outlives the machine (see qemu.h).
 */
#ifndef TOOLS_BOARD_QEMU_BOARD_H
#define TOOLS_BOARD_QEMU_BOARD_H

#include <pthread.h>
#include "guest/ports/user/irq.h"
#include "guest/ports/user/pci.h"
#include "guest/ports/user/qemu.h"
#include "sim/macos/board.h"

#define QEMU_BOARD_FUNCTIONS 8u

struct qemu_board;

/* The `fn` argument of the ops. */
struct qemu_board_fn {
	struct qemu_board *board;
	struct qemu_pci *f;
	struct irq irq;
	pthread_mutex_t irq_lock; /* with the machine's, taken after it: mode and words of irq */
	pthread_rwlock_t kicks;	  /* held to read: eventfds stay as they are */
	int wake;		  /* eventfd: the machine's lines may have changed */
	uint64_t raised;	  /* of the function's line, when last told */
	bool level;
};

struct qemu_board {
	struct qemu q;
	struct qemu_pci_bus bus;
	struct qemu_board_fn fn[QEMU_BOARD_FUNCTIONS];
	unsigned n;
	pthread_mutex_t lock; /* the machine */
	char err[256];
};

/*
 * Start a machine with (at least) `functions` virtio functions. Errors as qemu_start and
 * qemu_pci_scan, and VIO_ENODEV if there are fewer; b->err explains. qemu_board_close may be called
 * in any case.
 */
int qemu_board_open(struct qemu_board *b, const struct qemu_opts *opts,
		    unsigned functions) VIO_MUST_CHECK;
/* The same with a machine somebody else started. */
int qemu_board_attach(struct qemu_board *b, const struct qemu_attach_opts *opts,
		      unsigned functions) VIO_MUST_CHECK;
/* After the Mac was switched off. */
void qemu_board_close(struct qemu_board *b);
/* The machine answers. */
bool qemu_board_alive(struct qemu_board *b);

struct sim_ram qemu_board_ram(const struct qemu_board *b);
extern const struct sim_pci_ops qemu_board_ops;
/* The nth virtio function that was found, gone or not; NULL: there are fewer. */
struct qemu_board_fn *qemu_board_function(struct qemu_board *b, unsigned nth);

/* Management, as in qemu.h. */
int qemu_board_link(struct qemu_board *b, const char *id, bool up) VIO_MUST_CHECK;
/* Hot-plug; the new function is in *out, and is to be given to mac_pci_add(). */
int qemu_board_add(struct qemu_board *b, const char *driver, const char *id, const char *bus,
		   json_t *props, struct qemu_board_fn **out) VIO_MUST_CHECK;
/* The device leaves; from then on its function reads all ones. */
int qemu_board_del(struct qemu_board *b, const char *id, unsigned timeout_ms) VIO_MUST_CHECK;
/* A QMP command; args is consumed, ret as for qmp_execute. */
int qemu_board_qmp(struct qemu_board *b, const char *command, json_t *args,
		   json_t **ret) VIO_MUST_CHECK;

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine of a run: QEMU with one virtio network card, found on its bus, its interrupts set up,
 * its transport opened. Everything below the driver.
 */
#ifndef VIORUN_MACHINE_H
#define VIORUN_MACHINE_H

#include "guest/ports/user/irq.h"
#include "guest/ports/user/pci.h"
#include "guest/ports/user/qemu.h"
#include "guest/ports/user/user_os.h"
#include "tools/board/qemu_board.h"
#include "tools/viorun/options.h"
#include "vio/device.h"

struct machine {
	struct qemu_board
		board; /* QEMU and its bus; shared with a simulated Mac, if there is one */
	struct qemu_pci *card;
	struct irq irq;
	struct user_os os;
	struct vio_pci pci;
	enum vio_irq_mode irq_mode;
	char version[32]; /* QEMU's */
	double start_s;	  /* what its start took */
	bool started, os_made, pci_open;
	char err[OPTIONS_ERR];
};

/* What is still allocated: all 0 when everything was given back. */
struct machine_leaks {
	size_t dma_bytes, private_bytes;
	unsigned misuse; /* breaches of the port's contract */
};

/*
 * QEMU, and the card on its bus. net_fd: of a TAP or, with --net-fd, a stream; -1: the user
 * network. False: m->err says why; call machine_stop all the same.
 */
bool machine_start(struct machine *m, const struct options *o, int net_fd, unsigned deadline_ms);
/* For the C driver in this process: memory, interrupts, the card's transport. False: m->err. */
bool machine_open(struct machine *m, const struct options *o);
/* Close the transport, once the driver is gone; what is left is a leak. */
void machine_close(struct machine *m, struct machine_leaks *leaks);
/* Ends QEMU and removes what it left. Safe at any time. */
void machine_stop(struct machine *m);
bool machine_alive(struct machine *m);
/* Pull or plug the cable. */
bool machine_link(struct machine *m, bool up);

#endif

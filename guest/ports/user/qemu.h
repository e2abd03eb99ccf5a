/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A QEMU machine whose devices this process drives in the place of a guest kernel.
 *
 * The machine's only CPU sleeps in a halt ROM. Guest RAM is memory shared with this process: guest
 * physical address = offset into `ram`. Registers are reached through qtest, the machine itself is
 * managed through QMP.
 *
 * One thread at a time per machine, except where irq.h and pci.h say otherwise. The child is killed
 * by the kernel when the *thread* that called qemu_start ends: start machines from a thread that
 * outlives them.
 */
#ifndef USER_QEMU_H
#define USER_QEMU_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "guest/ports/user/child.h"
#include "guest/ports/user/qmp.h"
#include "guest/ports/user/qtest.h"
#include "vio/os.h"

#define QEMU_DEADLINE_MS  20000u
#define QEMU_RAM_MIB	  64u
#define QEMU_RAM_MIB_MAX  2048u	    /* above, RAM is no longer one piece */
#define QEMU_RAM_RESERVED 0x200000u /* the port's own use lies below, allocators start here */
#define QEMU_MSI_FIRST	  0x100000u /* ... of which this is for MSI-X words */
#define QEMU_ROOT_PORT	  "rp0"

struct qemu_opts {
	const char *machine;	 /* "pc" or "q35"; NULL: "pc" */
	bool root_port;		 /* q35: add a PCIe root port; devices name it as bus=rp0 */
	unsigned ram_mib;	 /* 0: QEMU_RAM_MIB */
	const char *const *argv; /* more arguments, NULL-terminated; NULL: none */
	const int *fds;		 /* descriptors the child inherits under the same numbers ... */
	unsigned n_fds;		 /* ... they stay the caller's */
	const char *binary;	 /* NULL: $VIOKIT_QEMU, or else qemu-system-x86_64 in $PATH */
	unsigned deadline_ms;	 /* for the start and for each later reply; 0: QEMU_DEADLINE_MS */
};

/* A machine somebody else started, with the arguments that qemu.c lists. */
struct qemu_attach_opts {
	const char *qtest_path;
	const char *qmp_path; /* NULL: no management, no hot-plug */
	const char *ram_path; /* file or /proc/PID/fd/N behind its memory backend; NULL: no RAM */
	pid_t pid;	      /* 0: not known, no fast kicks (pci.h) */
	unsigned deadline_ms;
};

struct qemu {
	struct qtest qtest;
	struct qmp qmp;
	uint8_t *ram; /* mapped guest RAM, NULL without */
	uint64_t ram_len;
	int ram_fd;
	pid_t pid;  /* 0: not known, or ended */
	bool owned; /* started here, so stopped here */
	bool q35;   /* read from the host bridge, attached machines included */
	struct child child;
	unsigned deadline_ms;
	unsigned changes;  /* hot-plugs so far, see qemu_pci_gone */
	bool intercepting; /* interrupt lines are reported, see irq.h */
	uint32_t msi_next; /* next free place for MSI-X words, see irq.h */
	int stderr_fd;	   /* the child's own words */
	char dir[128];	   /* temporary directory, "" when there is none */
	char err[256];	   /* after an error: what went wrong, one line */
};

/*
 * Start a machine and wait until both its sockets answer. On error nothing is left behind and
 * q->err explains; qemu_stop may still be called.
 * VIO_ENODEV: no QEMU, or it ended (err is its last line). VIO_EINVAL: options. VIO_ETIMEDOUT.
 * VIO_ENOMEM: no memory, directory or process.
 */
int qemu_start(struct qemu *q, const struct qemu_opts *opts) VIO_MUST_CHECK;
/* Use a running machine; qemu_stop will let go of it and leave it alone. Errors as above. */
int qemu_attach(struct qemu *q, const struct qemu_attach_opts *opts) VIO_MUST_CHECK;
/*
 * End the child (QMP quit, then SIGTERM, then SIGKILL, each with a deadline), reap it, unmap its
 * RAM, remove its directory. Safe twice, and after a failed start.
 */
void qemu_stop(struct qemu *q);
/* VIO_OK while the machine answers; VIO_ENODEV once it is dead, with err filled in. */
int qemu_check(struct qemu *q) VIO_MUST_CHECK;
/*
 * SIGKILL every child and remove its directory. Async-signal-safe, for handlers of deadly signals
 * and for atexit; nothing is reaped, and the machines must not be used again.
 */
void qemu_kill_all(void);

/* Management; VIO_EDEV: QEMU refused, q->err has its words. Implemented in qemu_manage.c. */

/* id names a netdev or a NIC. The device sees a configuration change if the link state changed. */
int qemu_set_link(struct qemu *q, const char *id, bool up) VIO_MUST_CHECK;
/*
 * Hot-plug. driver and id as in -device; bus NULL: the machine's own choice; props may be NULL and
 * is consumed. Powers the slot up where there is one to power. The new function has no addresses
 * yet: qemu_pci_scan again.
 */
int qemu_device_add(struct qemu *q, const char *driver, const char *id, const char *bus,
		    json_t *props) VIO_MUST_CHECK;
/*
 * Hot-unplug with the guest's consent given at once: the slot is powered off (root port) or ejected
 * (pc). Returns when the device is gone. VIO_ETIMEDOUT: it did not leave within timeout_ms.
 */
int qemu_device_del(struct qemu *q, const char *id, unsigned timeout_ms) VIO_MUST_CHECK;

/*
 * Configuration space by mechanism 1 (0xcf8/0xcfc). bdf = bus << 8 | device << 3 | function; off
 * below 256 and a multiple of width. All ones for what is not there.
 */
uint32_t qemu_cfg_read(struct qemu *q, unsigned bdf, unsigned off, unsigned width);
void qemu_cfg_write(struct qemu *q, unsigned bdf, unsigned off, unsigned width, uint32_t val);

#endif

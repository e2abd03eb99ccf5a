/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI bus of a QEMU machine: what firmware does (find, number, place, switch on) and struct
 * vio_pci_ops on top.
 *
 * A struct qemu_pci is one function and the `bus` argument of qemu_pci_ops. It lives in its struct
 * qemu_pci_bus and keeps its place there across scans. One thread at a time, except that kicks may
 * come from any thread while fast kicks are armed and until the device is reset.
 */
#ifndef USER_PCI_H
#define USER_PCI_H

#include <stdbool.h>
#include <stdint.h>
#include "guest/ports/user/kick.h"
#include "guest/ports/user/qemu.h"
#include "vio/pci.h"
#include "wire/virtio_pci.h"

#define QEMU_PCI_MAX	     64u /* functions */
#define QEMU_PCI_MAX_BRIDGES 3u

struct qemu_pci_bar {
	uint64_t addr;
	uint64_t len; /* 0: none */
	bool io;
};

/* A virtio structure (4.1.4) as found in the capabilities. */
struct qemu_pci_region {
	bool found;
	uint8_t bar;
	uint32_t off, len;
};

/* One access, as told to a trace callback. Reads are told after, writes before they are done. */
struct qemu_pci_access {
	int bar; /* -1: configuration space */
	bool write;
	bool fast; /* a kick that went through an eventfd */
	unsigned width;
	uint64_t off;
	uint32_t val;
};

struct qemu_pci_count {
	uint64_t cfg_reads, cfg_writes, reads, writes; /* accesses through qemu_pci_ops */
	uint64_t kicks, fast_kicks; /* of the writes: notify registers, and those by eventfd */
};

struct qemu_pci {
	struct qemu *q;
	unsigned bdf;
	unsigned parent; /* bdf of the bridge it is behind; 0: on bus 0 */
	uint16_t vendor, device;
	struct qemu_pci_bar bars[PCI_NUM_BARS];
	unsigned msix_cap;     /* offset of the capability, 0: none */
	uint16_t msix_entries; /* table size */
	uint8_t msix_bar;
	uint32_t msix_off;
	struct qemu_pci_region common, notify; /* modern interface, for spotting kicks and resets */
	uint32_t notify_multiplier;
	bool gone;	       /* seen to have left the bus */
	unsigned changes_seen; /* q->changes at the last look */
	struct kick kick;
	/* Set by the user at any time. */
	unsigned refuse_bars; /* bit n: report BAR n as not mappable */
	void (*trace)(void *arg, const struct qemu_pci_access *a);
	void *trace_arg;
	struct qemu_pci_count count;
};

/* Addresses still to be given out on one bus. */
struct qemu_pci_window {
	unsigned bridge; /* bdf of the bridge above; 0: this is bus 0 */
	uint32_t mmio_next, mmio_end;
	uint32_t io_next, io_end;
};

struct qemu_pci_bus {
	struct qemu *q;
	struct qemu_pci fn[QEMU_PCI_MAX]; /* in the order found: bus 0 first */
	unsigned n;
	struct qemu_pci_window root;
	struct qemu_pci_window bridges[QEMU_PCI_MAX_BRIDGES]; /* [i] is bus i + 1 */
	unsigned n_bridges;
	char err[160];
};

/*
 * Number the buses, place all BARs and bridge windows, switch every function on (I/O, memory, bus
 * master). The struct must be zeroed before the first call. Again after a hot-plug: functions
 * already set up are left alone, new ones are placed, vanished ones become `gone`.
 * VIO_ENODEV: the machine is dead. VIO_ENOMEM: out of address space or entries.
 */
int qemu_pci_scan(struct qemu_pci_bus *bus, struct qemu *q) VIO_MUST_CHECK;
/* Drops eventfds. Call before qemu_stop or after. */
void qemu_pci_release(struct qemu_pci_bus *bus);
/* The nth (from 0) function of a vendor that is still there, in order of fn; NULL: none. */
struct qemu_pci *qemu_pci_find(struct qemu_pci_bus *bus, uint16_t vendor, unsigned nth);
/* Whether the function has left; looks only after q's list of devices has changed. */
bool qemu_pci_gone(struct qemu_pci *f);

/* Access by BAR, as the ops do it but without counting or tracing: for irq.c and for tests. */
uint32_t qemu_pci_peek(struct qemu_pci *f, unsigned bar, uint64_t off, unsigned width);
void qemu_pci_poke(struct qemu_pci *f, unsigned bar, uint64_t off, unsigned width, uint32_t val);

/*
 * Kicks by eventfd (kick.h). Once on, the eventfds are taken each time DRIVER_OK is written through
 * qemu_pci_ops, and dropped when the device is reset or loses bus mastering. Where that is not
 * permitted, kicks keep going through qtest. Off by default.
 */
void qemu_pci_fast_kick(struct qemu_pci *f, bool on);

/* bus = struct qemu_pci *. Kicks are asynchronous, all else has happened when the call returns. */
extern const struct vio_pci_ops qemu_pci_ops;

#endif

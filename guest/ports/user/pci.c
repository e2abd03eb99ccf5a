/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * There is no firmware in the machine, so the scan does its work. Functions on bus 0 get their BARs
 * upwards from the bottom of two ranges, 32-bit memory and I/O; a bridge gets a bus number and a
 * fixed window of each, downwards from the top, in which the functions behind it are placed now or
 * when they are plugged in. Addresses are never used twice. Bridges behind bridges are not
 * followed. Memory BARs go below 4 GiB whatever their kind: QEMU does not mind a prefetchable one
 * in a plain window. Host and ISA bridges are left as they are.
 *
 * A struct qemu_pci belongs to a place (bdf). When another device appears in the place of a
 * vanished one, the next scan makes the struct that device's.
 *
 * A function that was unplugged must read all ones. QEMU reads nothing-there memory as 0, so once
 * the machine's devices have changed, the first access looks whether the function is still the one
 * that was set up, by its id and its first BAR.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "guest/ports/user/pci.h"

#define MMIO_START    0xe0000000u
#define MMIO_END      0xfe000000u
#define MMIO_BRIDGE   0x04000000u
#define IO_START      0xc000u
#define IO_END	      0x10000u
#define IO_BRIDGE     0x1000u
#define BAR_MIN_MMIO  0x1000u /* pages apart, as firmware does */
#define PCI_BUS_LIMIT 0xffu
#define PCI_SLOTS     32u
#define PCI_FUNCTIONS 8u

/* Header type 1 (PCI-to-PCI bridge 1.2, 3.2). */
#define HEADER_MULTI	   0x80u
#define HEADER_TYPE	   0x7fu
#define HEADER_BRIDGE	   1u
#define BRIDGE_BARS	   2u
#define BRIDGE_PRIMARY	   0x18u
#define BRIDGE_SECONDARY   0x19u
#define BRIDGE_SUBORDINATE 0x1au
#define BRIDGE_IO_BASE	   0x1cu
#define BRIDGE_IO_LIMIT	   0x1du
#define BRIDGE_MEM	   0x20u /* base and limit, 16 bits each */
#define BRIDGE_PREF	   0x24u
#define BRIDGE_IO_UPPER	   0x30u

#define CLASS_BRIDGE 0x06u /* high byte */
#define CLASS_P2P    0x0604u

#define BAR_IO	      1u
#define BAR_64	      4u
#define BAR_IO_FLAGS  3u
#define BAR_MEM_FLAGS 15u
#define BAR_LIMIT     0x10000000u /* larger ones would not fit anyway */
#define MASTER_IO_MEM (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)

__attribute__((format(printf, 3, 4))) static int fail(struct qemu_pci_bus *b, int err,
						      const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->err, sizeof(b->err), fmt, ap);
	va_end(ap);
	return err;
}

static uint32_t cfg(const struct qemu_pci *f, unsigned off, unsigned width)
{
	return qemu_cfg_read(f->q, f->bdf, off, width);
}

static void cfg_set(const struct qemu_pci *f, unsigned off, unsigned width, uint32_t val)
{
	qemu_cfg_write(f->q, f->bdf, off, width, val);
}

/* Take len bytes, aligned to their length (a power of two). */
static bool take(uint32_t *next, uint32_t end, uint32_t len, uint32_t align, uint64_t *addr)
{
	uint64_t at = ((uint64_t)*next + align - 1) & ~(uint64_t)(align - 1);

	if (at > end || end - at < len)
		return false;
	*addr = at;
	*next = (uint32_t)(at + len);
	return true;
}

/* Size and place one BAR. Returns how many registers it takes, or an error. */
static int place_bar(struct qemu_pci_bus *b, struct qemu_pci *f, unsigned n,
		     struct qemu_pci_window *w)
{
	unsigned off = PCI_BAR0 + 4 * n;
	struct qemu_pci_bar *bar = &f->bars[n];
	uint32_t mask, len;
	bool io, wide, ok;

	cfg_set(f, off, 4, 0xffffffffu);
	mask = cfg(f, off, 4);
	if (!mask || mask == 0xffffffffu)
		return 1;
	io = mask & BAR_IO;
	wide = !io && mask & BAR_64;
	mask &= io ? ~BAR_IO_FLAGS : ~BAR_MEM_FLAGS;
	len = io ? (~mask & 0xffffu) + 1 : ~mask + 1;
	if (!len || len & (len - 1) || len > BAR_LIMIT)
		return fail(b, VIO_ENOMEM, "%02x:%02x: BAR %u is too large", f->bdf >> 8,
			    f->bdf & 0xff, n);
	if (io)
		ok = take(&w->io_next, w->io_end, len, len, &bar->addr);
	else
		ok = take(&w->mmio_next, w->mmio_end, len, len > BAR_MIN_MMIO ? len : BAR_MIN_MMIO,
			  &bar->addr);
	if (!ok)
		return fail(b, VIO_ENOMEM, "%02x:%02x: no room for BAR %u", f->bdf >> 8,
			    f->bdf & 0xff, n);
	bar->len = len;
	bar->io = io;
	cfg_set(f, off, 4, (uint32_t)bar->addr);
	if (wide)
		cfg_set(f, off + 4, 4, 0);
	return wide ? 2 : 1;
}

static void read_virtio_cap(struct qemu_pci *f, unsigned at)
{
	unsigned type = cfg(f, at + offsetof(struct virtio_pci_cap, cfg_type), 1);
	struct qemu_pci_region r = {
		.found = true,
		.bar = (uint8_t)cfg(f, at + offsetof(struct virtio_pci_cap, bar), 1),
		.off = cfg(f, at + offsetof(struct virtio_pci_cap, offset), 4),
		.len = cfg(f, at + offsetof(struct virtio_pci_cap, length), 4),
	};

	if (r.bar >= PCI_NUM_BARS)
		return;
	if (type == VIRTIO_PCI_CAP_COMMON_CFG && !f->common.found)
		f->common = r;
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG && !f->notify.found) {
		f->notify = r;
		f->notify_multiplier = cfg(
			f, at + offsetof(struct virtio_pci_notify_cap, notify_off_multiplier), 4);
	}
}

static void read_caps(struct qemu_pci *f)
{
	unsigned at = 0;

	if (cfg(f, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST)
		at = cfg(f, PCI_CAP_PTR, 1) & 0xfcu;
	for (unsigned i = 0; at >= PCI_CAP_FIRST && i < PCI_CFG_SIZE / 4; i++) {
		uint32_t head = cfg(f, at, 2);

		if ((head & 0xff) == PCI_CAP_ID_MSIX) {
			uint32_t table = cfg(f, at + PCI_MSIX_TABLE, 4);

			f->msix_cap = at;
			f->msix_entries = (uint16_t)((cfg(f, at + PCI_MSIX_CONTROL, 2) &
						      PCI_MSIX_CONTROL_SIZE) +
						     1);
			f->msix_bar = table & 7;
			f->msix_off = table & ~7u;
		} else if ((head & 0xff) == PCI_CAP_ID_VENDOR && f->vendor == VIRTIO_PCI_VENDOR) {
			read_virtio_cap(f, at);
		}
		at = head >> 8 & 0xfcu;
	}
}

/* A bus number and both windows; the prefetchable one is closed (base above limit). */
static int set_up_bridge(struct qemu_pci_bus *b, struct qemu_pci *f)
{
	struct qemu_pci_window *w;

	if (b->n_bridges == QEMU_PCI_MAX_BRIDGES ||
	    b->root.mmio_end - b->root.mmio_next < MMIO_BRIDGE ||
	    b->root.io_end - b->root.io_next < IO_BRIDGE)
		return fail(b, VIO_ENOMEM, "no room for another bridge");
	b->root.mmio_end -= MMIO_BRIDGE;
	b->root.io_end -= IO_BRIDGE;
	w = &b->bridges[b->n_bridges++];
	w->bridge = f->bdf;
	w->mmio_next = b->root.mmio_end;
	w->mmio_end = w->mmio_next + MMIO_BRIDGE;
	w->io_next = b->root.io_end;
	w->io_end = w->io_next + IO_BRIDGE;
	cfg_set(f, BRIDGE_PRIMARY, 1, 0);
	cfg_set(f, BRIDGE_SECONDARY, 1, b->n_bridges);
	cfg_set(f, BRIDGE_SUBORDINATE, 1, b->n_bridges);
	cfg_set(f, BRIDGE_IO_BASE, 1, w->io_next >> 8 & 0xf0);
	cfg_set(f, BRIDGE_IO_LIMIT, 1, (w->io_end - 1) >> 8 & 0xf0);
	cfg_set(f, BRIDGE_IO_UPPER, 4, 0);
	cfg_set(f, BRIDGE_MEM, 4,
		((w->mmio_end - 1) & 0xfff00000u) | (w->mmio_next >> 16 & 0xfff0u));
	cfg_set(f, BRIDGE_PREF, 4, 0x0000fff0u);
	return VIO_OK;
}

static int set_up(struct qemu_pci_bus *b, struct qemu_pci *f, struct qemu_pci_window *w)
{
	unsigned class = cfg(f, PCI_CLASS, 2);
	bool bridge = (cfg(f, PCI_HEADER_TYPE, 1) & HEADER_TYPE) == HEADER_BRIDGE;

	if (class >> 8 == CLASS_BRIDGE && class != CLASS_P2P)
		return VIO_OK;
	cfg_set(f, PCI_COMMAND, 2, 0);
	for (unsigned n = 0; n < (bridge ? BRIDGE_BARS : PCI_NUM_BARS);) {
		int took = place_bar(b, f, n, w);

		if (took < 0)
			return took;
		n += (unsigned)took;
	}
	read_caps(f);
	if (bridge && w == &b->root) {
		int err = set_up_bridge(b, f);

		if (err)
			return err;
	}
	cfg_set(f, PCI_COMMAND, 2, MASTER_IO_MEM);
	return VIO_OK;
}

/* Whether f is still the device that was set up. */
static bool same_device(const struct qemu_pci *f)
{
	if (cfg(f, PCI_VENDOR_ID, 4) != ((uint32_t)f->device << 16 | f->vendor))
		return false;
	for (unsigned n = 0; n < PCI_NUM_BARS; n++) {
		const struct qemu_pci_bar *bar = &f->bars[n];
		uint32_t flags = bar->io ? BAR_IO_FLAGS : BAR_MEM_FLAGS;

		if (bar->len)
			return (cfg(f, PCI_BAR0 + 4 * n, 4) & ~flags) == bar->addr;
	}
	return true;
}

bool qemu_pci_gone(struct qemu_pci *f)
{
	if (!f->gone && f->changes_seen != f->q->changes) {
		f->changes_seen = f->q->changes;
		f->gone = !same_device(f);
		if (f->gone)
			kick_drop(&f->kick);
	}
	return f->gone;
}

static int scan_function(struct qemu_pci_bus *b, unsigned bdf, uint32_t id,
			 struct qemu_pci_window *w)
{
	struct qemu_pci *f = NULL;

	for (unsigned i = 0; i < b->n && !f; i++) {
		if (b->fn[i].bdf == bdf)
			f = &b->fn[i];
	}
	if (f && !qemu_pci_gone(f))
		return VIO_OK;
	if (!f) {
		if (b->n == QEMU_PCI_MAX)
			return fail(b, VIO_ENOMEM, "more than %u functions", QEMU_PCI_MAX);
		f = &b->fn[b->n++];
	}
	*f = (struct qemu_pci){
		.q = b->q,
		.bdf = bdf,
		.parent = w->bridge,
		.vendor = (uint16_t)id,
		.device = (uint16_t)(id >> 16),
		.changes_seen = b->q->changes,
	};
	return set_up(b, f, w);
}

static int scan_bus(struct qemu_pci_bus *b, unsigned bus, struct qemu_pci_window *w)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		for (unsigned fn = 0; fn < PCI_FUNCTIONS; fn++) {
			unsigned bdf = bus << 8 | slot << 3 | fn;
			uint32_t id = qemu_cfg_read(b->q, bdf, PCI_VENDOR_ID, 4);
			int err;

			if ((id & 0xffff) == 0xffff) {
				if (!fn)
					break;
				continue;
			}
			err = scan_function(b, bdf, id, w);
			if (err)
				return err;
			if (!fn && !(qemu_cfg_read(b->q, bdf, PCI_HEADER_TYPE, 1) & HEADER_MULTI))
				break;
		}
	}
	return VIO_OK;
}

int qemu_pci_scan(struct qemu_pci_bus *b, struct qemu *q)
{
	int err;

	if (!b->q) {
		b->q = q;
		b->root = (struct qemu_pci_window){0, MMIO_START, MMIO_END, IO_START, IO_END};
	}
	for (unsigned i = 0; i < b->n; i++)
		qemu_pci_gone(&b->fn[i]);
	err = scan_bus(b, 0, &b->root);
	for (unsigned i = 0; i < b->n_bridges && !err; i++)
		err = scan_bus(b, i + 1, &b->bridges[i]);
	if (q->qtest.dead)
		return fail(b, VIO_ENODEV, "%.150s", q->qtest.err);
	return err;
}

void qemu_pci_release(struct qemu_pci_bus *b)
{
	for (unsigned i = 0; i < b->n; i++)
		kick_drop(&b->fn[i].kick);
}

struct qemu_pci *qemu_pci_find(struct qemu_pci_bus *b, uint16_t vendor, unsigned nth)
{
	for (unsigned i = 0; i < b->n; i++) {
		struct qemu_pci *f = &b->fn[i];

		if (f->vendor == vendor && !qemu_pci_gone(f) && !nth--)
			return f;
	}
	return NULL;
}

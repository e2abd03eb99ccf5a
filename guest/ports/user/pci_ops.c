/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation: struct vio_pci_ops over qtest
 *
 * Every access is a qtest command that has happened when the call returns, with one exception: a
 * kick. Kicks are recognised by their address (the notify structure, or the legacy notify register)
 * and sent without waiting, or go into an eventfd when fast kicks are armed.
 *
 * Arming is tied to the status register, which is recognised too. QEMU opens the eventfds while it
 * handles the write of DRIVER_OK and closes them when status or bus mastering is cleared; an
 * eventfd kept longer would swallow kicks without a trace, so ours are dropped on the same writes.
 * Writes through the PCI_CFG window are not looked into: with the notify structure's BAR refused
 * nothing is armed.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdlib.h>
#include "guest/ports/user/pci.h"
#include "wire/virtio.h"

#define COMMON(field) offsetof(struct virtio_pci_common_cfg, field)

/* Kicks may be counted from several threads. */
static void count(uint64_t *counter, unsigned n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static void tell(struct qemu_pci *f, int bar, bool write, bool fast, uint64_t off, unsigned width,
		 uint32_t val)
{
	const struct qemu_pci_access a = {bar, write, fast, width, off, val};

	if (f->trace)
		f->trace(f->trace_arg, &a);
}

/* The register's BAR, or NULL where there is nothing (any more). */
static const struct qemu_pci_bar *decode(struct qemu_pci *f, unsigned bar, uint64_t off)
{
	if (bar >= PCI_NUM_BARS || off >= f->bars[bar].len || qemu_pci_gone(f))
		return NULL;
	return &f->bars[bar];
}

uint32_t qemu_pci_peek(struct qemu_pci *f, unsigned bar, uint64_t off, unsigned width)
{
	const struct qemu_pci_bar *b = decode(f, bar, off);

	if (!b)
		return qtest_ones(width);
	if (b->io)
		return qtest_in(&f->q->qtest, (uint16_t)(b->addr + off), width);
	return qtest_read(&f->q->qtest, b->addr + off, width);
}

void qemu_pci_poke(struct qemu_pci *f, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	const struct qemu_pci_bar *b = decode(f, bar, off);

	if (!b)
		return;
	if (b->io)
		qtest_out(&f->q->qtest, (uint16_t)(b->addr + off), width, val);
	else
		qtest_write(&f->q->qtest, b->addr + off, width, val);
}

static void post(struct qemu_pci *f, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	const struct qemu_pci_bar *b = decode(f, bar, off);

	if (!b)
		return;
	if (b->io)
		qtest_out_async(&f->q->qtest, (uint16_t)(b->addr + off), width, val);
	else
		qtest_write_async(&f->q->qtest, b->addr + off, width, val);
}

static bool is_legacy_reg(const struct qemu_pci *f, unsigned bar, uint64_t off, unsigned reg)
{
	return f->vendor == VIRTIO_PCI_VENDOR && !bar && f->bars[0].io && off == reg;
}

static bool is_notify(const struct qemu_pci *f, unsigned bar, uint64_t off)
{
	if (f->notify.found && bar == f->notify.bar && off >= f->notify.off &&
	    off - f->notify.off < f->notify.len)
		return true;
	return is_legacy_reg(f, bar, off, VIRTIO_PCI_LEGACY_QUEUE_NOTIFY);
}

static bool is_modern_status(const struct qemu_pci *f, unsigned bar, uint64_t off)
{
	return f->common.found && bar == f->common.bar &&
	       off == (uint64_t)f->common.off + COMMON(device_status);
}

static bool is_status(const struct qemu_pci *f, unsigned bar, uint64_t off)
{
	return is_modern_status(f, bar, off) ||
	       is_legacy_reg(f, bar, off, VIRTIO_PCI_LEGACY_STATUS);
}

static uint32_t common_read(struct qemu_pci *f, unsigned off)
{
	return qemu_pci_peek(f, f->common.bar, f->common.off + off, 2);
}

/* Every queue that exists, in order, whether the driver uses it or not: as QEMU counts them. */
static unsigned modern_regs(struct qemu_pci *f, struct kick_reg *regs)
{
	uint64_t select = f->common.off + COMMON(queue_select);
	uint32_t queues = common_read(f, COMMON(num_queues));
	uint32_t selected = common_read(f, COMMON(queue_select));
	unsigned n = 0;

	for (uint32_t i = 0; i < queues && n < KICK_MAX_QUEUES; i++) {
		qemu_pci_poke(f, f->common.bar, select, 2, i);
		if (!common_read(f, COMMON(queue_size)))
			continue;
		regs[n++] = (struct kick_reg){
			.bar = f->notify.bar,
			.off = f->notify.off +
			       common_read(f, COMMON(queue_notify_off)) * f->notify_multiplier,
		};
	}
	qemu_pci_poke(f, f->common.bar, select, 2, selected);
	return n;
}

static unsigned legacy_regs(struct qemu_pci *f, struct kick_reg *regs)
{
	uint32_t selected = qemu_pci_peek(f, 0, VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2);
	unsigned n = 0;

	for (uint16_t i = 0; i < KICK_MAX_QUEUES; i++) {
		qemu_pci_poke(f, 0, VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, i);
		if (!qemu_pci_peek(f, 0, VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2))
			break;
		regs[n++] = (struct kick_reg){
			.bar = 0,
			.match = true,
			.value = i,
			.off = VIRTIO_PCI_LEGACY_QUEUE_NOTIFY,
		};
	}
	qemu_pci_poke(f, 0, VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, selected);
	return n;
}

static void set_status(struct qemu_pci *f, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	bool arm = f->kick.wanted && !f->kick.n && val & VIRTIO_STATUS_DRIVER_OK;
	struct kick_reg regs[KICK_MAX_QUEUES];
	struct kick_snapshot *before = NULL;
	unsigned n = 0;

	if (!(val & VIRTIO_STATUS_DRIVER_OK))
		kick_drop(&f->kick);
	if (arm)
		before = malloc(sizeof(*before));
	if (before && is_modern_status(f, bar, off)) {
		if (f->notify.found && !(f->refuse_bars >> f->notify.bar & 1))
			n = modern_regs(f, regs);
	} else if (before) {
		n = legacy_regs(f, regs);
	}
	if (n && !kick_snapshot(before, f->q->pid))
		n = 0;
	qemu_pci_poke(f, bar, off, width, val);
	if (n)
		kick_arm(&f->kick, f->q->pid, before, regs, n);
	free(before);
}

void qemu_pci_fast_kick(struct qemu_pci *f, bool on)
{
	f->kick.wanted = on;
	if (!on)
		kick_drop(&f->kick);
}

static uint32_t op_cfg_read(void *bus, unsigned off, unsigned width)
{
	struct qemu_pci *f = bus;
	uint32_t val =
		qemu_pci_gone(f) ? qtest_ones(width) : qemu_cfg_read(f->q, f->bdf, off, width);

	count(&f->count.cfg_reads, 1);
	tell(f, -1, false, false, off, width, val);
	return val;
}

static void op_cfg_write(void *bus, unsigned off, unsigned width, uint32_t val)
{
	struct qemu_pci *f = bus;

	count(&f->count.cfg_writes, 1);
	tell(f, -1, true, false, off, width, val);
	if (off == PCI_COMMAND && !(val & PCI_COMMAND_MASTER))
		kick_drop(&f->kick);
	if (!qemu_pci_gone(f))
		qemu_cfg_write(f->q, f->bdf, off, width, val);
}

static int op_bar_open(void *bus, unsigned bar, struct vio_bar *out)
{
	struct qemu_pci *f = bus;

	if (bar >= PCI_NUM_BARS || !f->bars[bar].len || qemu_pci_gone(f))
		return VIO_ENODEV;
	out->len = f->bars[bar].len;
	out->io = f->bars[bar].io;
	out->mapped = !(f->refuse_bars >> bar & 1);
	return VIO_OK;
}

static void op_bar_close(void *bus, unsigned bar)
{
	(void)bus;
	(void)bar;
}

static uint32_t op_read(void *bus, unsigned bar, uint64_t off, unsigned width)
{
	struct qemu_pci *f = bus;
	uint32_t val = qemu_pci_peek(f, bar, off, width);

	count(&f->count.reads, 1);
	tell(f, (int)bar, false, false, off, width, val);
	return val;
}

static void op_write(void *bus, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	struct qemu_pci *f = bus;
	bool kick = is_notify(f, bar, off);
	bool fast = kick && f->kick.n && kick_write(&f->kick, bar, off, val);

	count(&f->count.writes, 1);
	count(&f->count.kicks, kick);
	count(&f->count.fast_kicks, fast);
	tell(f, (int)bar, true, fast, off, width, val);
	if (fast)
		return;
	if (kick)
		post(f, bar, off, width, val);
	else if (is_status(f, bar, off))
		set_status(f, bar, off, width, val);
	else
		qemu_pci_poke(f, bar, off, width, val);
}

const struct vio_pci_ops qemu_pci_ops = {
	.cfg_read = op_cfg_read,
	.cfg_write = op_cfg_write,
	.bar_open = op_bar_open,
	.bar_close = op_bar_close,
	.read = op_read,
	.write = op_write,
};

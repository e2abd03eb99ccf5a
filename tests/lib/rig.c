/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Putting the rig together: bus, interrupts, life, looking at what came out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig_internal.h"

#define VECTORS	    64u
#define PUMP_ROUNDS 2000u

void rig_fail(struct rig *r, const char *what, uint64_t value)
{
	if (r->failures++ == 0)
		snprintf(r->failure, sizeof(r->failure), "%s (0x%llx)", what,
			 (unsigned long long)value);
}

/* ---- the bus ---- */

static uint32_t bus_cfg_read(void *bus, unsigned off, unsigned width)
{
	struct rig *r = bus;

	if (off % width)
		rig_fail(r, "configuration space read not aligned", off);
	return model_cfg_read(r->model, off, width);
}

static void bus_cfg_write(void *bus, unsigned off, unsigned width, uint32_t val)
{
	struct rig *r = bus;

	if (off % width)
		rig_fail(r, "configuration space write not aligned", off);
	model_cfg_write(r->model, off, width, val);
}

static int bus_bar_open(void *bus, unsigned bar, struct vio_bar *out)
{
	struct rig *r = bus;
	struct model_bar b;

	model_bar(r->model, bar, &b);
	*out = (struct vio_bar){.len = b.len, .io = b.io, .mapped = b.mapped};
	return b.len ? VIO_OK : VIO_ENODEV;
}

static void bus_bar_close(void *bus, unsigned bar)
{
	(void)bus;
	(void)bar;
}

/* The contract: off is inside the BAR (H-10), the BAR is mapped; and no bus likes odd addresses. */
static void check_access(struct rig *r, unsigned bar, uint64_t off, unsigned width)
{
	struct model_bar b;

	model_bar(r->model, bar, &b);
	if (!b.mapped || off >= b.len || b.len - off < width)
		rig_fail(r, "register access outside its BAR", (uint64_t)bar << 32 | off);
	else if (off % width)
		rig_fail(r, "register access not aligned", (uint64_t)bar << 32 | off);
}

static uint32_t bus_read(void *bus, unsigned bar, uint64_t off, unsigned width)
{
	struct rig *r = bus;

	check_access(r, bar, off, width);
	return model_bar_read(r->model, bar, off, width);
}

static void bus_write(void *bus, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	struct rig *r = bus;

	check_access(r, bar, off, width);
	model_bar_write(r->model, bar, off, width, val);
}

const struct vio_pci_ops *rig_pci_ops(void)
{
	static const struct vio_pci_ops ops = {
		.cfg_read = bus_cfg_read,
		.cfg_write = bus_cfg_write,
		.bar_open = bus_bar_open,
		.bar_close = bus_bar_close,
		.read = bus_read,
		.write = bus_write,
	};

	return &ops;
}

/* What firmware and the interrupt controller's driver do: decoding, mastering, MSI-X. */
static void bus_configure(struct rig *r)
{
	const struct model_options *o = &r->opts.model;
	bool msix = r->opts.params.irq_mode == VIO_IRQ_MSIX_ONE ||
		    r->opts.params.irq_mode == VIO_IRQ_MSIX_EACH;
	unsigned cap = model_cfg_read(r->model, PCI_CAP_PTR, 1);

	model_cfg_write(r->model, PCI_COMMAND, 2,
			PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (!msix || o->msix_entries == 0)
		return;
	for (unsigned i = 0; i < o->msix_entries; i++)
		model_bar_write(r->model, o->layout.msix_bar,
				i * PCI_MSIX_ENTRY + PCI_MSIX_ENTRY_CONTROL, 4, 0);
	for (unsigned n = 0; cap && n < 48; n++) {
		if (model_cfg_read(r->model, cap, 1) == PCI_CAP_ID_MSIX)
			model_cfg_write(r->model, cap + PCI_MSIX_CONTROL, 2, PCI_MSIX_CONTROL_ON);
		cap = model_cfg_read(r->model, cap + 1, 1);
	}
}

/* ---- what the model tells ---- */

static void on_irq(void *ctx, unsigned vector)
{
	struct rig *r = ctx;

	if (vector < VECTORS)
		r->pending |= UINT64_C(1) << vector;
}

static void on_intx(void *ctx, bool level)
{
	struct rig *r = ctx;

	r->intx = level;
}

static void on_tx(void *ctx, const struct model_frame *frame)
{
	struct rig *r = ctx;
	struct rig_frame f = {
		.hdr = frame->hdr,
		.len = frame->len,
		.parts = frame->out_descs,
		.data = frame->data,
	};

	if (frame->data)
		rig_log_frame(r, true, &f);
}

static void on_complaint(void *ctx, const char *norm, const char *detail)
{
	struct rig *r = ctx;

	if (r->opts.no_monitor_fail)
		return;
	if (r->failures++ == 0)
		snprintf(r->failure, sizeof(r->failure), "%s: %s", norm, detail);
}

/* ---- life ---- */

void rig_defaults(struct rig_opts *opts)
{
	memset(opts, 0, sizeof(*opts));
	model_defaults(&opts->model);
	opts->model.immediate = true;
	opts->params.irq_mode = VIO_IRQ_MSIX_EACH;
	opts->prefer = VIO_PCI_AUTO;
	opts->keep_frames = true;
}

static void defaults_fill(struct rig_opts *o)
{
	if (o->arena_bytes == 0)
		o->arena_bytes = 64u << 20;
	if (o->rx_buffers == 0)
		o->rx_buffers = 600;
	if (o->tx_buffers == 0)
		o->tx_buffers = 600;
	if (o->rx_segs == 0)
		o->rx_segs = 1;
	if (o->params.rx_max_segs < o->rx_segs)
		o->params.rx_max_segs = (uint16_t)o->rx_segs;
}

struct rig *rig_create_bare(const struct rig_opts *opts)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct model_hooks hooks = {
		.ctx = r,
		.mem = rig_device_mem,
		.irq = on_irq,
		.intx = on_intx,
		.tx = on_tx,
		.complaint = on_complaint,
	};
	size_t room = (RIG_FRAME_ROOM + 511) & ~(size_t)63;

	if (r == NULL)
		return NULL;
	r->opts = *opts;
	defaults_fill(&r->opts);
	r->os = (struct vio_os){&rig_os_ops, r};
	r->da_base = RIG_DA_BASE;
	r->now = 1000000;
	r->npackets = r->opts.rx_buffers + r->opts.tx_buffers;
	if (r->opts.params.rx_buf_max > room)
		room = (r->opts.params.rx_buf_max + 63u) & ~(size_t)63;
	r->pool_len = room * r->npackets;
	r->arena_len = (r->pool_len + r->opts.arena_bytes + 8191) & ~(size_t)4095;
	if (!rig_memory_create(r) || !rig_packets_create(r) ||
	    (r->model = model_create(&r->opts.model, &hooks)) == NULL) {
		rig_destroy(r);
		return NULL;
	}
	bus_configure(r);
	r->status = VIO_ENODEV;
	return r;
}

int rig_attach(struct rig *r)
{
	r->status = vio_pci_open(&r->pci, rig_pci_ops(), r, &r->os, r->opts.prefer);
	if (r->status != VIO_OK) {
		r->why = r->pci.t.why;
		return r->status;
	}
	r->pci_open = true;
	r->status = vio_net_create(&r->net, &r->os, &r->pci.t, &rig_upcalls, r, &r->opts.params);
	if (r->status != VIO_OK)
		r->net = NULL;
	else
		r->attached = true;
	return r->status;
}

static void leak_check(struct rig *r)
{
	struct model_state s;

	model_get(r->model, &s);
	if (r->n.live_bytes)
		rig_fail(r, "private memory leaked", r->n.live_bytes);
	/* Memory of a device that did not reset is kept on purpose (H-12). */
	if (r->n.live_dma && s.status == 0)
		rig_fail(r, "shared memory leaked", r->n.live_dma);
	if (r->n.rx_with_driver)
		rig_fail(r, "receive buffers never came back", r->n.rx_with_driver);
	if (r->n.tx_with_driver)
		rig_fail(r, "transmit cookies never came back", r->n.tx_with_driver);
	if (r->n.late_allocs)
		rig_fail(r, "memory taken after creation", r->n.late_allocs);
	if (r->locked)
		rig_fail(r, "lock still taken", r->locked);
}

void rig_detach(struct rig *r)
{
	if (r->net)
		vio_net_destroy(r->net);
	r->net = NULL;
	r->attached = false;
	if (r->pci_open)
		vio_pci_close(&r->pci);
	r->pci_open = false;
	leak_check(r);
}

struct rig *rig_create(const struct rig_opts *opts)
{
	struct rig *r = rig_create_bare(opts);

	if (r)
		rig_attach(r);
	return r;
}

unsigned rig_destroy(struct rig *r)
{
	unsigned failures;

	if (r == NULL)
		return 0;
	if (r->model)
		rig_detach(r);
	failures = r->failures;
	if (failures)
		fprintf(stderr, "rig: %u failures, first: %s\n", failures, r->failure);
	rig_clear(r);
	model_destroy(r->model);
	free(r->packets);
	rig_memory_destroy(r);
	free(r);
	return failures;
}

int rig_start(struct rig *r)
{
	int status = vio_net_start(r->net);

	if (status == VIO_OK)
		rig_pump(r);
	return status;
}

/* ---- interrupts ---- */

static unsigned deliver(struct rig *r)
{
	uint64_t pending = r->pending;
	unsigned events = 0, e;

	r->pending = 0;
	for (unsigned v = 0; pending; v++, pending >>= 1) {
		if (!(pending & 1))
			continue;
		r->n.interrupts++;
		e = vio_net_interrupt(r->net, v);
		r->n.spurious += e == 0;
		events |= e;
	}
	if (r->intx) {
		r->n.interrupts++;
		e = vio_net_interrupt(r->net, 0);
		r->n.spurious += e == 0;
		events |= e;
	}
	return events;
}

bool rig_pump(struct rig *r)
{
	unsigned idle = 0;
	bool again = false;

	if (r->net == NULL)
		return true;
	for (unsigned i = 0; i < PUMP_ROUNDS; i++) {
		bool moved = model_poll(r->model);
		unsigned events = r->hold_irqs ? 0 : deliver(r);

		/* Without interrupts the port looks by itself. */
		if (r->opts.params.irq_mode == VIO_IRQ_NONE && i < 2)
			events = VIO_EVENT_QUEUE | VIO_EVENT_CONFIG;
		if (events || again) {
			again = vio_net_service(r->net, events, 64);
			moved = true;
		}
		if (r->recover_wanted && r->auto_recover) {
			r->recover_wanted = false;
			if (vio_net_recover(r->net) == VIO_OK)
				r->n.recoveries++;
			moved = true;
		}
		/* Two quiet rounds: a device may complete late. */
		idle = moved || r->pending ? 0 : idle + 1;
		if (idle == 2 && !again)
			return true;
	}
	return false;
}

void rig_auto_recover(struct rig *r, bool on)
{
	r->auto_recover = on;
}

void rig_tick(struct rig *r, uint32_t ms)
{
	r->now += (uint64_t)ms * 1000;
	if (r->net)
		vio_net_tick(r->net);
	rig_pump(r);
}

enum model_rx_result rig_receive(struct rig *r, const struct model_hdr *hdr, const void *frame,
				 size_t len)
{
	enum model_rx_result result = model_receive(r->model, hdr, frame, len);

	rig_pump(r);
	return result;
}

/* ---- looking ---- */

static bool expect(struct rig *r, const struct rig_frame *got, const void *frame, size_t len,
		   const char *what)
{
	if (got && got->len == len && memcmp(got->data, frame, len) == 0)
		return true;
	rig_fail(r, what, got ? got->len : 0);
	return false;
}

bool rig_expect(struct rig *r, unsigned i, const void *frame, size_t len)
{
	return expect(r, rig_received_at(r, i), frame, len, "received frame is not as expected");
}

bool rig_expect_sent(struct rig *r, unsigned i, const void *frame, size_t len)
{
	return expect(r, rig_sent_at(r, i), frame, len, "sent frame is not as expected");
}

const struct rig_frame *rig_sent_at(const struct rig *r, unsigned i)
{
	return i < r->nsent ? &r->sent[i] : NULL;
}

const struct rig_frame *rig_received_at(const struct rig *r, unsigned i)
{
	return i < r->ngot ? &r->got[i] : NULL;
}

unsigned rig_sent(const struct rig *r)
{
	return r->nsent;
}

unsigned rig_received(const struct rig *r)
{
	return r->ngot;
}

void rig_clear(struct rig *r)
{
	for (unsigned i = 0; i < r->nsent; i++)
		free((void *)(uintptr_t)r->sent[i].data);
	for (unsigned i = 0; i < r->ngot; i++)
		free((void *)(uintptr_t)r->got[i].data);
	r->nsent = r->ngot = 0;
}

int rig_status(const struct rig *r)
{
	return r->status;
}

struct model *rig_model(struct rig *r)
{
	return r->model;
}

struct vio_net *rig_net(struct rig *r)
{
	return r->net;
}

const struct vio_os *rig_os(struct rig *r)
{
	return &r->os;
}

struct vio_pci *rig_pci(struct rig *r)
{
	return &r->pci;
}

void rig_counts(const struct rig *r, struct rig_counts *out)
{
	*out = r->n;
}

struct vio_net_link rig_link(const struct rig *r)
{
	return r->link;
}

const char *rig_why(const struct rig *r)
{
	return r->why;
}

void rig_fail_alloc(struct rig *r, unsigned nth, bool forever)
{
	r->fail_nth = nth;
	r->fail_forever = forever;
}

void rig_starve(struct rig *r, bool on)
{
	r->starving = on;
}

void rig_hold_irqs(struct rig *r, bool on)
{
	r->hold_irqs = on;
}

void rig_advance(struct rig *r, uint64_t us)
{
	r->now += us;
}

uint64_t rig_now(const struct rig *r)
{
	return r->now;
}

unsigned rig_failures(const struct rig *r)
{
	return r->failures;
}

const char *rig_failure(const struct rig *r)
{
	return r->failures ? r->failure : NULL;
}

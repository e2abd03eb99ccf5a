/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/lib/board_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define MODE_INTX 1u
#define MODE_MSIX 2u
#define MSI_FIRST 0xfee00000u /* where messages would go: nobody looks */

#define BAR_BASE  UINT64_C(0xe0000000) /* as firmware would place them: apart */
#define BAR_APART UINT64_C(0x100000)
#define IO_BASE	  0xc000u
#define IO_APART  0x100u

/* ---- what the model asks; the lock is held ---- */

static void *hook_mem(void *ctx, uint64_t addr, size_t len)
{
	struct board_model *b = ctx;

	if (addr < BOARD_MODEL_FIRST || addr > b->ram_len || len > b->ram_len - addr)
		return NULL;
	return b->ram + addr;
}

static void hook_irq(void *ctx, unsigned vector)
{
	struct board_model *b = ctx;

	if (b->mode != MODE_MSIX || vector >= 64)
		return;
	b->fired |= UINT64_C(1) << vector;
	pthread_cond_broadcast(&b->changed);
}

static void hook_intx(void *ctx, bool level)
{
	struct board_model *b = ctx;

	b->line = level;
	if (level)
		pthread_cond_broadcast(&b->changed);
}

static void hook_tx(void *ctx, const struct model_frame *frame)
{
	struct board_model *b = ctx;
	struct board_frame *f;

	b->sent++;
	if (b->frames >= BOARD_MODEL_FRAMES || !frame->data) {
		b->dropped++;
		return;
	}
	f = calloc(1, sizeof(*f));
	if (f)
		f->data = malloc(frame->len ? frame->len : 1);
	if (!f || !f->data) {
		free(f);
		b->dropped++;
		return;
	}
	memcpy(f->data, frame->data, frame->len);
	f->len = frame->len;
	f->hdr = frame->hdr;
	if (b->last)
		b->last->next = f;
	else
		b->first = f;
	b->last = f;
	b->frames++;
	pthread_cond_broadcast(&b->changed);
}

static void hook_complaint(void *ctx, const char *norm, const char *detail)
{
	struct board_model *b = ctx;

	if (b->complaints++)
		return;
	snprintf(b->complaint, sizeof(b->complaint), "%s: %.120s", norm, detail);
}

/* ---- registers ---- */

static uint32_t op_cfg_read(void *p, unsigned off, unsigned width)
{
	struct model *m = board_model_lock(p);
	uint32_t val = model_cfg_read(m, off, width);

	board_model_unlock(p);
	return val;
}

static void op_cfg_write(void *p, unsigned off, unsigned width, uint32_t val)
{
	struct model *m = board_model_lock(p);

	/* The INTx disable bit is ours (board.h): who writes back what it read must not undo it. */
	if (off == PCI_COMMAND && width >= 2)
		val = (val & ~PCI_COMMAND_INTX_OFF) |
		      (model_cfg_read(m, off, 2) & PCI_COMMAND_INTX_OFF);
	model_cfg_write(m, off, width, val);
	board_model_unlock(p);
}

/* The model does not place its BARs, so they are where we say. */
static bool op_bar(void *p, unsigned bar, struct sim_pci_bar *out)
{
	struct model *m;
	struct model_bar mb;

	if (bar >= PCI_NUM_BARS)
		return false;
	m = board_model_lock(p);
	model_bar(m, bar, &mb);
	board_model_unlock(p);
	out->io = mb.io;
	out->len = mb.mapped ? mb.len : 0;
	out->addr = mb.io ? IO_BASE + bar * IO_APART : BAR_BASE + bar * BAR_APART;
	return out->len != 0;
}

static uint32_t op_bar_read(void *p, unsigned bar, uint64_t off, unsigned width)
{
	struct model *m = board_model_lock(p);
	uint32_t val = model_bar_read(m, bar, off, width);

	board_model_unlock(p);
	return val;
}

static void op_bar_write(void *p, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	struct model *m = board_model_lock(p);

	model_bar_write(m, bar, off, width, val);
	board_model_unlock(p);
}

/* ---- interrupts ---- */

/* The MSI-X capability as configuration space has it; 0: none. A lying device may have any. */
static unsigned find_msix(struct model *m)
{
	unsigned at = model_cfg_read(m, PCI_CAP_PTR, 1) & 0xfcu;

	for (unsigned i = 0; at >= PCI_CAP_FIRST && i < PCI_CFG_SIZE / 4; i++) {
		uint32_t head = model_cfg_read(m, at, 2);

		if ((head & 0xff) == PCI_CAP_ID_MSIX)
			return at;
		at = head >> 8 & 0xfcu;
	}
	return 0;
}

static void set_command(struct model *m, uint32_t clear, uint32_t set)
{
	uint32_t command = model_cfg_read(m, PCI_COMMAND, 2);

	model_cfg_write(m, PCI_COMMAND, 2, (command & ~clear) | set);
}

static void all_off(struct board_model *b)
{
	struct model *m = b->model;
	unsigned cap = find_msix(m);

	b->mode = 0;
	b->fired = 0;
	if (cap) {
		uint32_t control = model_cfg_read(m, cap + PCI_MSIX_CONTROL, 2);

		model_cfg_write(m, cap + PCI_MSIX_CONTROL, 2,
				control & ~(PCI_MSIX_CONTROL_ON | PCI_MSIX_CONTROL_MASK));
	}
	set_command(m, 0, PCI_COMMAND_INTX_OFF);
}

static bool op_intx_on(void *p)
{
	struct board_model *b = p;
	struct model *m = board_model_lock(b);
	uint32_t pin = model_cfg_read(m, PCI_INTERRUPT_PIN, 1);
	bool ok = pin >= 1 && pin <= 4;

	if (ok) {
		all_off(b);
		b->mode = MODE_INTX;
		set_command(m, PCI_COMMAND_INTX_OFF, 0);
		pthread_cond_broadcast(&b->changed);
	}
	board_model_unlock(b);
	return ok;
}

/* All entries masked as the whole, written, then let go. */
static bool program(struct board_model *b, unsigned cap, unsigned vectors)
{
	struct model *m = b->model;
	uint32_t control = model_cfg_read(m, cap + PCI_MSIX_CONTROL, 2);
	uint32_t table = model_cfg_read(m, cap + PCI_MSIX_TABLE, 4);
	unsigned entries = (control & PCI_MSIX_CONTROL_SIZE) + 1, bar = table & 7;
	uint64_t at = table & ~7u;
	struct model_bar mb = {0};

	if (bar < PCI_NUM_BARS)
		model_bar(m, bar, &mb);
	if (vectors > entries || mb.io || at + (uint64_t)entries * PCI_MSIX_ENTRY > mb.len)
		return false;
	model_cfg_write(m, cap + PCI_MSIX_CONTROL, 2,
			control | PCI_MSIX_CONTROL_ON | PCI_MSIX_CONTROL_MASK);
	for (unsigned i = 0; i < entries; i++, at += PCI_MSIX_ENTRY) {
		model_bar_write(m, bar, at, 4, MSI_FIRST + 64 * i);
		model_bar_write(m, bar, at + 4, 4, 0);
		model_bar_write(m, bar, at + 8, 4, i + 1);
		model_bar_write(m, bar, at + PCI_MSIX_ENTRY_CONTROL, 4, i >= vectors);
	}
	model_cfg_write(m, cap + PCI_MSIX_CONTROL, 2,
			(control & ~PCI_MSIX_CONTROL_MASK) | PCI_MSIX_CONTROL_ON);
	return true;
}

static bool op_msix_on(void *p, unsigned vectors)
{
	struct board_model *b = p;
	struct model *m = board_model_lock(b);
	unsigned cap = find_msix(m);
	bool ok = cap && vectors;

	if (ok) {
		all_off(b);
		b->mode = MODE_MSIX;
		ok = program(b, cap, vectors);
		if (!ok)
			all_off(b);
		pthread_cond_broadcast(&b->changed);
	}
	board_model_unlock(b);
	return ok;
}

static void op_irq_off(void *p)
{
	struct board_model *b = p;

	board_model_lock(b);
	all_off(b);
	board_model_unlock(b);
}

static struct timespec deadline(uint32_t timeout_us)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += timeout_us / 1000000;
	t.tv_nsec += (long)(timeout_us % 1000000) * 1000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static uint64_t take_fired(struct board_model *b)
{
	uint64_t fired = b->fired;

	if (b->mode == MODE_INTX)
		return b->line;
	b->fired = 0;
	return b->mode == MODE_MSIX ? fired : 0;
}

static uint64_t op_irq_wait(void *p, uint32_t timeout_us)
{
	struct board_model *b = p;
	struct timespec until = deadline(timeout_us);
	uint64_t fired;

	board_model_lock(b);
	while (!(fired = take_fired(b))) {
		if (pthread_cond_timedwait(&b->changed, &b->lock, &until) == ETIMEDOUT) {
			fired = take_fired(b);
			break;
		}
	}
	board_model_unlock(b);
	return fired;
}

const struct sim_pci_ops board_model_ops = {
	.cfg_read = op_cfg_read,
	.cfg_write = op_cfg_write,
	.bar = op_bar,
	.bar_read = op_bar_read,
	.bar_write = op_bar_write,
	.intx_on = op_intx_on,
	.msix_on = op_msix_on,
	.irq_off = op_irq_off,
	.irq_wait = op_irq_wait,
};

/* ---- life ---- */

void board_model_defaults(struct model_options *opts)
{
	model_defaults(opts);
	opts->immediate = true;
	opts->gather = true;
	opts->monitor = true;
}

static struct model *new_model(struct board_model *b)
{
	const struct model_hooks hooks = {
		.ctx = b,
		.mem = hook_mem,
		.irq = hook_irq,
		.intx = hook_intx,
		.tx = hook_tx,
		.complaint = hook_complaint,
	};

	return model_create(&b->opts, &hooks);
}

bool board_model_power_cycle(struct board_model *b)
{
	struct model *old = board_model_lock(b), *m = new_model(b);

	if (m) {
		model_merge_counts(m, old);
		model_destroy(old);
		b->model = m;
		b->mode = 0;
		b->fired = 0;
		b->line = false;
	}
	board_model_unlock(b);
	return m != NULL;
}

bool board_model_open(struct board_model *b, const struct model_options *opts)
{
	pthread_condattr_t attr;
	void *ram;

	memset(b, 0, sizeof(*b));
	ram = mmap(NULL, BOARD_MODEL_RAM, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		return false;
	b->ram = ram;
	b->ram_len = BOARD_MODEL_RAM;
	b->opts = *opts;
	b->opts.concurrent = true;
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->changed, &attr);
	pthread_condattr_destroy(&attr);
	b->model = new_model(b);
	if (b->model)
		return true;
	board_model_close(b);
	return false;
}

void board_model_close(struct board_model *b)
{
	struct board_frame *f = b->first;

	if (!b->ram)
		return;
	while (f) {
		struct board_frame *next = f->next;

		free(f->data);
		free(f);
		f = next;
	}
	if (b->model)
		model_destroy(b->model);
	munmap(b->ram, b->ram_len);
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->changed);
	memset(b, 0, sizeof(*b));
}

struct sim_ram board_model_ram(const struct board_model *b)
{
	return (struct sim_ram){b->ram, BOARD_MODEL_FIRST, b->ram_len};
}

struct model *board_model_lock(struct board_model *b)
{
	pthread_mutex_lock(&b->lock);
	return b->model;
}

void board_model_unlock(struct board_model *b)
{
	pthread_mutex_unlock(&b->lock);
}

/* ---- the wire ---- */

enum model_rx_result board_model_send(struct board_model *b, const struct model_hdr *hdr,
				      const void *frame, size_t len, bool raw)
{
	struct model *m = board_model_lock(b);
	enum model_rx_result result =
		raw ? model_receive_raw(m, hdr, frame, len) : model_receive(m, hdr, frame, len);

	board_model_unlock(b);
	return result;
}

bool board_model_take(struct board_model *b, struct board_frame *out, uint32_t timeout_us)
{
	struct timespec until = deadline(timeout_us);
	struct board_frame *f;

	board_model_lock(b);
	while (!b->first) {
		if (pthread_cond_timedwait(&b->changed, &b->lock, &until) == ETIMEDOUT)
			break;
	}
	f = b->first;
	if (f) {
		b->first = f->next;
		if (!b->first)
			b->last = NULL;
		b->frames--;
	}
	board_model_unlock(b);
	if (!f)
		return false;
	*out = *f;
	out->next = NULL;
	free(f);
	return true;
}

bool board_model_poll(struct board_model *b)
{
	struct model *m = board_model_lock(b);
	bool did = model_poll(m);

	board_model_unlock(b);
	return did;
}

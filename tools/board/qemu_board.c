/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * One mutex is the machine's: whatever reads or writes a socket holds it. Three things go past it,
 * because they are what a network driver does all day:
 *
 * - Kicks into an eventfd (kick.h) hold a read lock of their own; whatever may take or drop the
 *   eventfds (a write of status or configuration, a look at whether the device is gone) has the
 *   write lock beside the mutex.
 * - Waiting for MSI-X looks at words of RAM; they move only under irq_lock.
 * - Waiting for INTx sleeps on the machine's socket. Whoever has the mutex may read the change of a
 *   line before the one who sleeps can; so the holder, when it lets go, tells those whose line went
 *   up, through an eventfd.
 */
#define _GNU_SOURCE
#include "tools/board/qemu_board.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "guest/ports/user/wait.h"
#include "wire/virtio_pci.h"

#define SPIN_US	   20u
#define NAP_MIN_US 20u
#define NAP_MAX_US 200u
#define SOCKET_US  1000u  /* for somebody else to be done with the socket */
#define LINE_US	   20000u /* at most asleep without looking at the line */

/* ---- the machine's mutex ---- */

static void lock(struct qemu_board *b)
{
	pthread_mutex_lock(&b->lock);
}

/* An interrupt that came along with something else wakes who waits for it. */
static void tell_lines(struct qemu_board *b)
{
	const struct qtest *qt = &b->q.qtest;

	for (unsigned i = 0; i < b->n; i++) {
		struct qemu_board_fn *fn = &b->fn[i];
		const uint64_t one = 1;

		if (fn->irq.mode != IRQ_INTX || fn->raised == qt->raised[fn->irq.gsi])
			continue;
		fn->raised = qt->raised[fn->irq.gsi];
		if (write(fn->wake, &one, sizeof(one)) < 0)
			continue; /* full: it is awake */
	}
}

static void unlock(struct qemu_board *b)
{
	tell_lines(b);
	pthread_mutex_unlock(&b->lock);
}

/* For what may change a function's eventfds. */
static void lock_fn(struct qemu_board_fn *fn)
{
	lock(fn->board);
	pthread_rwlock_wrlock(&fn->kicks);
}

static void unlock_fn(struct qemu_board_fn *fn)
{
	pthread_rwlock_unlock(&fn->kicks);
	unlock(fn->board);
}

/* ---- registers ---- */

static uint32_t op_cfg_read(void *p, unsigned off, unsigned width)
{
	struct qemu_board_fn *fn = p;
	uint32_t val;

	lock_fn(fn);
	val = qemu_pci_ops.cfg_read(fn->f, off, width);
	unlock_fn(fn);
	return val;
}

static void op_cfg_write(void *p, unsigned off, unsigned width, uint32_t val)
{
	struct qemu_board_fn *fn = p;

	lock_fn(fn);
	/* The INTx disable bit is ours (board.h): who writes back what it read must not undo it. */
	if (off == PCI_COMMAND && width >= 2)
		val = (val & ~PCI_COMMAND_INTX_OFF) |
		      (qemu_pci_ops.cfg_read(fn->f, off, 2) & PCI_COMMAND_INTX_OFF);
	qemu_pci_ops.cfg_write(fn->f, off, width, val);
	unlock_fn(fn);
}

static bool op_bar(void *p, unsigned bar, struct sim_pci_bar *out)
{
	struct qemu_board_fn *fn = p;
	bool there = false;

	lock(fn->board);
	if (bar < PCI_NUM_BARS && fn->f->bars[bar].len) {
		out->addr = fn->f->bars[bar].addr;
		out->len = fn->f->bars[bar].len;
		out->io = fn->f->bars[bar].io;
		there = true;
	}
	unlock(fn->board);
	return there;
}

static uint32_t op_bar_read(void *p, unsigned bar, uint64_t off, unsigned width)
{
	struct qemu_board_fn *fn = p;
	uint32_t val;

	lock_fn(fn);
	val = qemu_pci_ops.read(fn->f, bar, off, width);
	unlock_fn(fn);
	return val;
}

/* Whether this write goes into an eventfd; kicks is held. */
static bool is_fast(const struct kick *k, unsigned bar, uint64_t off, uint32_t val)
{
	for (unsigned i = 0; i < k->n; i++) {
		const struct kick_reg *r = &k->reg[i];

		if (r->bar == bar && r->off == off && (!r->match || r->value == (uint16_t)val))
			return true;
	}
	return false;
}

static void op_bar_write(void *p, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	struct qemu_board_fn *fn = p;
	bool fast;

	pthread_rwlock_rdlock(&fn->kicks);
	fast = is_fast(&fn->f->kick, bar, off, val);
	if (fast)
		qemu_pci_ops.write(fn->f, bar, off, width, val);
	pthread_rwlock_unlock(&fn->kicks);
	if (fast)
		return;
	lock_fn(fn);
	qemu_pci_ops.write(fn->f, bar, off, width, val);
	unlock_fn(fn);
}

/* ---- interrupts ---- */

static bool op_intx_on(void *p)
{
	struct qemu_board_fn *fn = p;
	int err;

	lock_fn(fn);
	pthread_mutex_lock(&fn->irq_lock);
	err = irq_intx_on(&fn->irq);
	if (!err)
		fn->raised = fn->irq.raised;
	pthread_mutex_unlock(&fn->irq_lock);
	unlock_fn(fn);
	return !err;
}

static bool op_msix_on(void *p, unsigned vectors)
{
	struct qemu_board_fn *fn = p;
	int err;

	lock_fn(fn);
	pthread_mutex_lock(&fn->irq_lock);
	irq_off(&fn->irq); /* INTx may have been on */
	err = vectors ? irq_msix_on(&fn->irq, vectors) : VIO_EINVAL;
	pthread_mutex_unlock(&fn->irq_lock);
	unlock_fn(fn);
	return !err;
}

static void op_irq_off(void *p)
{
	struct qemu_board_fn *fn = p;

	lock_fn(fn);
	pthread_mutex_lock(&fn->irq_lock);
	irq_off(&fn->irq);
	pthread_mutex_unlock(&fn->irq_lock);
	unlock_fn(fn);
}

static enum irq_mode poll_words(struct qemu_board_fn *fn, uint64_t *fired)
{
	enum irq_mode mode;

	pthread_mutex_lock(&fn->irq_lock);
	mode = fn->irq.mode;
	*fired = mode == IRQ_MSIX ? irq_poll(&fn->irq) : 0;
	pthread_mutex_unlock(&fn->irq_lock);
	return mode;
}

/*
 * Asleep on the socket and on `wake`. While another thread talks on the socket its answers make it
 * readable: then only `wake` counts, and that thread writes it if need be.
 */
static void sleep_on_line(struct qemu_board_fn *fn, uint64_t us)
{
	struct pollfd fds[2] = {{fn->wake, POLLIN, 0}, {fn->board->q.qtest.fd, POLLIN, 0}};
	struct timespec t = {0, (long)us * 1000};
	uint64_t count;

	if (ppoll(fds, 2, &t, NULL) <= 0)
		return;
	if (!fds[0].revents && !pthread_mutex_trylock(&fn->board->lock)) {
		if (!fn->board->q.qtest.dead) {
			pthread_mutex_unlock(&fn->board->lock);
			return;
		}
		pthread_mutex_unlock(&fn->board->lock);
	}
	if (!fds[0].revents) {
		t.tv_nsec = (long)(us < SOCKET_US ? us : SOCKET_US) * 1000;
		if (ppoll(fds, 1, &t, NULL) <= 0)
			return;
	}
	if (read(fn->wake, &count, sizeof(count)) < 0)
		return;
}

static uint64_t poll_line(struct qemu_board_fn *fn)
{
	uint64_t fired = 0;

	lock(fn->board);
	if (fn->irq.mode == IRQ_INTX)
		fired = irq_poll(&fn->irq);
	fn->raised = fn->irq.mode == IRQ_INTX ? fn->irq.raised : fn->raised;
	unlock(fn->board);
	return fired;
}

static uint64_t op_irq_wait(void *p, uint32_t timeout_us)
{
	struct qemu_board_fn *fn = p;
	uint64_t start = wait_now_us(), deadline = start + timeout_us, nap = NAP_MIN_US;

	for (;;) {
		uint64_t fired, now;
		enum irq_mode mode = poll_words(fn, &fired);

		if (mode == IRQ_INTX)
			fired = poll_line(fn);
		now = wait_now_us();
		if (fired || now >= deadline)
			return fired;
		if (mode == IRQ_INTX) {
			sleep_on_line(fn, deadline - now < LINE_US ? deadline - now : LINE_US);
			continue;
		}
		if (now - start < SPIN_US)
			continue;
		wait_sleep(nap, deadline);
		if (nap < NAP_MAX_US)
			nap *= 2;
	}
}

const struct sim_pci_ops qemu_board_ops = {
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

/* ---- the machine ---- */

static struct qemu_board_fn *take_function(struct qemu_board *b, struct qemu_pci *f)
{
	struct qemu_board_fn *fn = NULL;

	/* One that left, in the same place: its struct qemu_pci is the new one's now. */
	for (unsigned i = 0; i < b->n; i++) {
		if (b->fn[i].f == f)
			fn = &b->fn[i];
	}
	if (!fn) {
		if (b->n == QEMU_BOARD_FUNCTIONS)
			return NULL;
		fn = &b->fn[b->n];
		fn->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fn->wake < 0)
			return NULL;
		pthread_mutex_init(&fn->irq_lock, NULL);
		pthread_rwlock_init(&fn->kicks, NULL);
		fn->board = b;
		fn->f = f;
		b->n++;
	}
	irq_init(&fn->irq, f);
	qemu_pci_fast_kick(f, true);
	return fn;
}

static int find_functions(struct qemu_board *b, unsigned functions)
{
	int err = qemu_pci_scan(&b->bus, &b->q);

	if (err) {
		snprintf(b->err, sizeof(b->err), "%.150s", b->bus.err);
		return err;
	}
	for (unsigned i = 0; i < b->bus.n; i++) {
		if (b->bus.fn[i].vendor == VIRTIO_PCI_VENDOR && !take_function(b, &b->bus.fn[i]))
			break;
	}
	if (b->n < functions) {
		snprintf(b->err, sizeof(b->err), "%u virtio functions, not %u", b->n, functions);
		return VIO_ENODEV;
	}
	return VIO_OK;
}

static int started(struct qemu_board *b, int err, unsigned functions)
{
	pthread_mutex_init(&b->lock, NULL);
	if (err) {
		snprintf(b->err, sizeof(b->err), "%.250s", b->q.err);
		return err;
	}
	return find_functions(b, functions);
}

int qemu_board_open(struct qemu_board *b, const struct qemu_opts *opts, unsigned functions)
{
	memset(b, 0, sizeof(*b));
	return started(b, qemu_start(&b->q, opts), functions);
}

int qemu_board_attach(struct qemu_board *b, const struct qemu_attach_opts *opts, unsigned functions)
{
	memset(b, 0, sizeof(*b));
	return started(b, qemu_attach(&b->q, opts), functions);
}

void qemu_board_close(struct qemu_board *b)
{
	qemu_pci_release(&b->bus);
	qemu_stop(&b->q);
	for (unsigned i = 0; i < b->n; i++) {
		close(b->fn[i].wake);
		pthread_mutex_destroy(&b->fn[i].irq_lock);
		pthread_rwlock_destroy(&b->fn[i].kicks);
	}
	pthread_mutex_destroy(&b->lock);
	b->n = 0;
}

bool qemu_board_alive(struct qemu_board *b)
{
	int err;

	lock(b);
	err = qemu_check(&b->q);
	if (err)
		snprintf(b->err, sizeof(b->err), "%.250s", b->q.err);
	unlock(b);
	return !err;
}

struct sim_ram qemu_board_ram(const struct qemu_board *b)
{
	return (struct sim_ram){b->q.ram, QEMU_RAM_RESERVED, b->q.ram_len};
}

struct qemu_board_fn *qemu_board_function(struct qemu_board *b, unsigned nth)
{
	return nth < b->n ? &b->fn[nth] : NULL;
}

/* ---- management ---- */

static int managed(struct qemu_board *b, int err)
{
	if (err)
		snprintf(b->err, sizeof(b->err), "%.250s", b->q.err);
	return err;
}

int qemu_board_link(struct qemu_board *b, const char *id, bool up)
{
	int err;

	lock(b);
	err = managed(b, qemu_set_link(&b->q, id, up));
	unlock(b);
	return err;
}

/* The function whose device id or place nobody had before the scan. */
static int find_new(struct qemu_board *b, struct qemu_board_fn **out)
{
	bool had[QEMU_PCI_MAX];
	int err;

	for (unsigned i = 0; i < QEMU_PCI_MAX; i++)
		had[i] = i < b->bus.n && !qemu_pci_gone(&b->bus.fn[i]);
	err = qemu_pci_scan(&b->bus, &b->q);
	if (err) {
		snprintf(b->err, sizeof(b->err), "%.150s", b->bus.err);
		return err;
	}
	for (unsigned i = 0; i < b->bus.n; i++) {
		if (had[i] || b->bus.fn[i].vendor != VIRTIO_PCI_VENDOR)
			continue;
		*out = take_function(b, &b->bus.fn[i]);
		return *out ? VIO_OK : VIO_ENOMEM;
	}
	snprintf(b->err, sizeof(b->err), "no new virtio function appeared");
	return VIO_ENODEV;
}

static void lock_all(struct qemu_board *b)
{
	lock(b);
	for (unsigned i = 0; i < b->n; i++)
		pthread_rwlock_wrlock(&b->fn[i].kicks);
}

static void unlock_all(struct qemu_board *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pthread_rwlock_unlock(&b->fn[i].kicks);
	unlock(b);
}

int qemu_board_add(struct qemu_board *b, const char *driver, const char *id, const char *bus,
		   json_t *props, struct qemu_board_fn **out)
{
	unsigned n;
	int err;

	lock_all(b);
	n = b->n;
	err = managed(b, qemu_device_add(&b->q, driver, id, bus, props));
	if (!err)
		err = find_new(b, out);
	unlock_all(b, n);
	return err;
}

int qemu_board_del(struct qemu_board *b, const char *id, unsigned timeout_ms)
{
	unsigned n;
	int err;

	lock_all(b);
	n = b->n;
	err = managed(b, qemu_device_del(&b->q, id, timeout_ms));
	unlock_all(b, n);
	return err;
}

int qemu_board_qmp(struct qemu_board *b, const char *command, json_t *args, json_t **ret)
{
	int err;

	lock(b);
	err = qmp_execute(&b->q.qmp, command, args, ret);
	if (err)
		snprintf(b->err, sizeof(b->err), "%.250s", b->q.qmp.err);
	unlock(b);
	return err;
}

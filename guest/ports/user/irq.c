/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * An MSI-X interrupt is a 32-bit store of the table entry's data to the entry's address, and QEMU
 * will store wherever it is told. Each vector gets a word of guest RAM, a cache line apart, below
 * the part that allocators use; irq_poll exchanges the words with 0. Several interrupts between two
 * polls look like one, as they may on real hardware.
 *
 * An INTx pin reaches an input of the I/O APIC through the chipset, and that input is what QEMU
 * reports. The way there, for pin p (0-3) of the function in slot s: a bridge turns it into its own
 * pin (p + s) % 4; then
 * - pc: PIRQ (p + s - 1) % 4 of the ISA bridge (slot 1), which its registers 0x60-0x63 send to an
 *   ISA interrupt; firmware would fill them in, so here they are filled in with interrupts that
 *   nothing else uses;
 * - q35: PIRQ 4 + (p + s) % 4 for slots below 25, PIRQ p above; PIRQ n is input 16 + n.
 *
 * QEMU reports changes, and a line that was high when the watching began would never be seen. So
 * the pin is disabled before that and enabled after it, which makes a level into an edge.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include "guest/ports/user/irq.h"
#include "guest/ports/user/wait.h"

#define WORD_STRIDE	  64u
#define MSIX_ENTRY_MASKED 1u
#define SPIN_US		  20u
#define SLEEP_MIN_US	  20u
#define SLEEP_MAX_US	  200u

#define ISA_BRIDGE (1u << 3) /* bdf, on pc */
#define ISA_PIRQ   0x60u

static const uint8_t isa_irqs[4] = {5, 7, 10, 11};

__attribute__((format(printf, 3, 4))) static int fail(struct irq *irq, int err, const char *fmt,
						      ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(irq->err, sizeof(irq->err), fmt, ap);
	va_end(ap);
	return err;
}

void irq_init(struct irq *irq, struct qemu_pci *f)
{
	*irq = (struct irq){.f = f};
}

static uint32_t *word(const struct irq *irq, unsigned vector)
{
	return (uint32_t *)(void *)(irq->f->q->ram + irq->words + vector * WORD_STRIDE);
}

static uint32_t take_word(const struct irq *irq, unsigned vector)
{
	uint32_t *w = word(irq, vector);

	/* Look first: an exchange would take the line away from QEMU each time. */
	if (!__atomic_load_n(w, __ATOMIC_RELAXED))
		return 0;
	return __atomic_exchange_n(w, 0, __ATOMIC_ACQ_REL);
}

static void set_msix_control(struct irq *irq, uint32_t clear, uint32_t set)
{
	struct qemu_pci *f = irq->f;
	unsigned at = f->msix_cap + PCI_MSIX_CONTROL;
	uint32_t control;

	if (!f->msix_cap || qemu_pci_gone(f))
		return;
	control = qemu_cfg_read(f->q, f->bdf, at, 2);
	qemu_cfg_write(f->q, f->bdf, at, 2, (control & ~clear) | set);
}

static void set_command(struct irq *irq, uint32_t clear, uint32_t set)
{
	struct qemu_pci *f = irq->f;
	uint32_t command;

	if (qemu_pci_gone(f))
		return;
	command = qemu_cfg_read(f->q, f->bdf, PCI_COMMAND, 2);
	qemu_cfg_write(f->q, f->bdf, PCI_COMMAND, 2, (command & ~clear) | set);
}

void irq_msix_mask(struct irq *irq, unsigned vector, bool masked)
{
	if (vector < irq->f->msix_entries)
		qemu_pci_poke(irq->f, irq->f->msix_bar,
			      irq->f->msix_off + vector * PCI_MSIX_ENTRY + PCI_MSIX_ENTRY_CONTROL,
			      4, masked ? MSIX_ENTRY_MASKED : 0);
}

void irq_msix_mask_all(struct irq *irq, bool masked)
{
	set_msix_control(irq, masked ? 0 : PCI_MSIX_CONTROL_MASK,
			 masked ? PCI_MSIX_CONTROL_MASK : 0);
}

/* The words, once per struct irq: a vector may still be in flight to them when switched off. */
static bool place_words(struct irq *irq)
{
	struct qemu *q = irq->f->q;
	uint32_t len = IRQ_MAX_VECTORS * WORD_STRIDE;

	if (irq->words)
		return true;
	if (!q->ram || q->ram_len < QEMU_RAM_RESERVED || QEMU_RAM_RESERVED - q->msi_next < len)
		return false;
	irq->words = q->msi_next;
	q->msi_next += len;
	return true;
}

static void program(struct irq *irq, unsigned vector)
{
	uint64_t at = irq->f->msix_off + vector * PCI_MSIX_ENTRY;
	unsigned bar = irq->f->msix_bar;

	__atomic_store_n(word(irq, vector), 0, __ATOMIC_RELAXED);
	qemu_pci_poke(irq->f, bar, at, 4, irq->words + vector * WORD_STRIDE);
	qemu_pci_poke(irq->f, bar, at + 4, 4, 0);
	qemu_pci_poke(irq->f, bar, at + 8, 4, vector + 1); /* anything but 0 */
}

int irq_msix_on(struct irq *irq, unsigned vectors)
{
	struct qemu_pci *f = irq->f;
	unsigned most = f->msix_entries < IRQ_MAX_VECTORS ? f->msix_entries : IRQ_MAX_VECTORS;

	if (!f->msix_cap)
		return fail(irq, VIO_ENOTSUP, "no MSI-X capability");
	if (!vectors)
		vectors = most;
	if (vectors > most)
		return fail(irq, VIO_EINVAL, "only %u MSI-X vectors", most);
	if (f->msix_bar >= PCI_NUM_BARS ||
	    f->msix_off + (uint64_t)f->msix_entries * PCI_MSIX_ENTRY > f->bars[f->msix_bar].len)
		return fail(irq, VIO_ENOTSUP, "the MSI-X table is outside its BAR");
	if (!place_words(irq))
		return fail(irq, VIO_ENOTSUP, "no guest RAM for MSI-X words");
	set_msix_control(irq, 0, PCI_MSIX_CONTROL_ON | PCI_MSIX_CONTROL_MASK);
	for (unsigned i = 0; i < f->msix_entries; i++) {
		if (i < vectors)
			program(irq, i);
		irq_msix_mask(irq, i, i >= vectors);
	}
	set_msix_control(irq, PCI_MSIX_CONTROL_MASK, PCI_MSIX_CONTROL_ON);
	irq->mode = IRQ_MSIX;
	irq->vectors = vectors;
	return VIO_OK;
}

static unsigned find_gsi(struct qemu_pci *f, unsigned pin)
{
	unsigned slot = f->bdf >> 3 & 31;

	if (f->parent) {
		pin = (pin + slot) % 4;
		slot = f->parent >> 3 & 31;
	}
	if (f->q->q35)
		return slot < 25 ? 16 + 4 + (pin + slot) % 4 : 16 + pin;
	return isa_irqs[(pin + slot + 3) % 4];
}

int irq_intx_on(struct irq *irq)
{
	struct qemu_pci *f = irq->f;
	struct qemu *q = f->q;
	uint32_t pin = qemu_pci_gone(f) ? 0 : qemu_cfg_read(q, f->bdf, PCI_INTERRUPT_PIN, 1);

	if (pin < 1 || pin > 4)
		return fail(irq, VIO_ENOTSUP, "no interrupt pin");
	irq_off(irq);
	if (!q->q35) {
		for (unsigned i = 0; i < 4; i++)
			qemu_cfg_write(q, ISA_BRIDGE, ISA_PIRQ + i, 1, isa_irqs[i]);
	}
	if (!q->intercepting && qtest_intercept_in(&q->qtest, "ioapic"))
		return fail(irq, VIO_EDEV, "%.150s", q->qtest.err);
	q->intercepting = true;
	irq->gsi = find_gsi(f, pin - 1);
	irq->raised = q->qtest.raised[irq->gsi];
	irq->mode = IRQ_INTX;
	irq->vectors = 1;
	set_command(irq, PCI_COMMAND_INTX_OFF, 0);
	return VIO_OK;
}

void irq_off(struct irq *irq)
{
	set_msix_control(irq, PCI_MSIX_CONTROL_ON | PCI_MSIX_CONTROL_MASK, 0);
	set_command(irq, 0, PCI_COMMAND_INTX_OFF);
	irq->mode = IRQ_OFF;
	irq->vectors = 0;
}

static uint64_t poll_msix(struct irq *irq)
{
	uint64_t fired = 0;

	for (unsigned i = 0; i < irq->vectors; i++) {
		if (!take_word(irq, i))
			continue;
		irq->count[i]++;
		fired |= UINT64_C(1) << i;
	}
	return fired;
}

/* What is known of the line now; reads nothing. */
static uint64_t line_state(struct irq *irq)
{
	const struct qtest *qt = &irq->f->q->qtest;
	uint64_t raised = qt->raised[irq->gsi] - irq->raised;

	irq->raised += raised;
	irq->count[0] += raised;
	return raised || qt->lines >> irq->gsi & 1;
}

uint64_t irq_poll(struct irq *irq)
{
	if (irq->mode == IRQ_MSIX)
		return poll_msix(irq);
	if (irq->mode == IRQ_OFF)
		return 0;
	qtest_poll(&irq->f->q->qtest);
	return line_state(irq);
}

static uint64_t wait_intx(struct irq *irq, uint64_t deadline)
{
	struct qtest *qt = &irq->f->q->qtest;
	uint64_t fired = irq_poll(irq);

	while (!fired && !qt->dead) {
		uint64_t now = wait_now_us();

		if (now >= deadline)
			break;
		qtest_wait(qt, (uint32_t)(deadline - now));
		fired = line_state(irq);
	}
	return fired;
}

uint64_t irq_wait(struct irq *irq, uint32_t timeout_us)
{
	uint64_t start = wait_now_us(), deadline = start + timeout_us;
	uint64_t nap = SLEEP_MIN_US;

	if (irq->mode == IRQ_INTX)
		return wait_intx(irq, deadline);
	for (;;) {
		uint64_t fired = irq_poll(irq);
		uint64_t now = wait_now_us();

		if (fired || now >= deadline)
			return fired;
		if (now - start < SPIN_US)
			continue;
		wait_sleep(nap, deadline);
		if (nap < SLEEP_MAX_US)
			nap *= 2;
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sim/macos/pci/irq.h"

#define WAIT_US	       20000u /* in the board, before looking up again */
#define PATIENCE_S     10     /* for a handler that must end */
#define NAP_NS	       100000000
#define REST_NS	       2000000 /* the thread leaves messages to a taker that was here so lately */
#define STORM_CALLS    20000u
#define STORM_NS       UINT64_C(1000000000)
#define FIRST_MESSAGED 10 /* release that knows MSI-X */
#define ONE_SOURCE     12 /* release from which a single source gets every message */
#define WAITING_MSI    11 /* release from which disable() waits for a messaged handler */

enum irq_kind { IRQ_NONE, IRQ_LINE, IRQ_MESSAGE };

struct irq_source {
	OSObject *target;
	IOInterruptAction handler; /* 0: not registered */
	void *refcon;
	IOService *nub;
	bool hard; /* not enabled yet */
	bool soft; /* disabled */
	bool kept; /* one message while hard */
	unsigned active;
	pthread_t runs_on;
};

struct pci_irq {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct irq_source sources[1 + PCI_MSIX_MOST];
	unsigned lines, messages; /* how many sources of each kind */
	enum irq_kind on;	  /* in the device */
	bool suspended, stop, running;
	unsigned waiters;  /* for handlers to end */
	bool asking;	   /* somebody is in the board */
	uint64_t taken_at; /* pci_irq_take() was called */
	bool told_lost;
	uint64_t storm_since; /* the line has been high and unclaimed since then ... */
	unsigned storm;	      /* ... and this often */
};

static bool is_message(const struct pci_irq *irq, const struct irq_source *s)
{
	return s >= irq->sources + irq->lines;
}

static struct irq_source *source_of(struct pci_irq *irq, int source)
{
	if (source < 0 || static_cast<unsigned>(source) >= irq->lines + irq->messages)
		return nullptr;
	return &irq->sources[source];
}

static unsigned registered(const struct pci_irq *irq, bool messages)
{
	unsigned n = 0;

	for (unsigned i = 0; i < irq->lines + irq->messages; i++)
		n += irq->sources[i].handler && is_message(irq, &irq->sources[i]) == messages;
	return n;
}

/* ---- calling handlers; the lock is held on entry and exit, not during the call ---- */

static void run(struct pci_irq *irq, struct irq_source *s)
{
	struct irq_source copy = *s;
	int index = static_cast<int>(s - irq->sources);

	s->active++;
	s->runs_on = pthread_self();
	pthread_mutex_unlock(&irq->lock);
	sim_interrupt_begin();
	copy.handler(copy.target, copy.refcon, copy.nub, index);
	sim_interrupt_end();
	pthread_mutex_lock(&irq->lock);
	s->active--;
	if (irq->waiters)
		pthread_cond_broadcast(&irq->changed);
}

/* [XNU-PCI-9] Disabling is lazy: the flag is all that keeps the line's handler from being called.
 */
static void deliver_line(struct mac_pci *pci, struct pci_irq *irq)
{
	struct irq_source *s = &irq->sources[0];
	uint64_t now;

	if (!s->handler || s->hard || s->soft)
		return;
	run(irq, s);
	if (s->soft || !s->handler || irq->stop) {
		irq->storm = 0;
		return;
	}
	pthread_mutex_unlock(&irq->lock);
	if (!pci_board_irq_wait(pci, 0))
		irq->storm = 0;
	else if (irq->storm++ == 0)
		irq->storm_since = sim_now_ns();
	now = sim_now_ns();
	if (irq->storm > STORM_CALLS && now - irq->storm_since > STORM_NS)
		sim_violation("interrupt storm: the line of %s stays high, and its handler leaves "
			      "it so (%u calls)",
			      pci->name, irq->storm);
	pthread_mutex_lock(&irq->lock);
}

static void message(struct pci_irq *irq, struct irq_source *s)
{
	if (s->hard)
		s->kept = true;
	else
		run(irq, s);
}

static void lost(struct mac_pci *pci, struct pci_irq *irq, unsigned vector)
{
	if (!irq->told_lost)
		sim_log("pci: %s: message of vector %u reaches nobody", pci->name, vector);
	irq->told_lost = true;
}

/*
 * [XNU-PCI-7] 10.10 and 10.11: all entries share one processor vector, and are told apart by the
 * pending-bit array. QEMU sets no bit there for an entry that is not masked, so with more than one
 * entry nothing is ever seen.
 * [XNU-PCI-8] From 10.12: the same, but a single registered source is called regardless: once for
 * each entry of the table, for each message. (With "pci-msi-flags" from late 10.13 on there would
 * be a vector for each entry; nothing here sets it.)
 */
static void deliver_message(struct mac_pci *pci, struct pci_irq *irq, unsigned vector)
{
	struct irq_source *first = nullptr;
	unsigned n = registered(irq, true);

	if (!sim_release_at_least(ONE_SOURCE)) {
		first = &irq->sources[irq->lines];
		if (irq->messages == 1 && first->handler)
			message(irq, first);
		else
			lost(pci, irq, vector);
		return;
	}
	for (unsigned i = 0; i < irq->messages && !first; i++) {
		if (irq->sources[irq->lines + i].handler)
			first = &irq->sources[irq->lines + i];
	}
	if (n != 1) {
		lost(pci, irq, vector);
		return;
	}
	for (unsigned i = 0; i < irq->messages && first->handler; i++)
		message(irq, first);
}

static bool idle(const struct pci_irq *irq)
{
	const struct irq_source *line = &irq->sources[0];

	if (irq->on == IRQ_NONE || irq->suspended)
		return true;
	return irq->on == IRQ_LINE && (!line->handler || line->hard || line->soft);
}

/* Not for ever: at debugger level a source is enabled without a word. */
static void nap(struct pci_irq *irq, long ns)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ns;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&irq->changed, &irq->lock, &until);
}

/* With the lock: ask the board, and deliver what fired. */
static bool ask(struct mac_pci *pci, struct pci_irq *irq, uint32_t timeout_us)
{
	enum irq_kind on = irq->on;
	uint64_t fired;

	irq->asking = true;
	pthread_mutex_unlock(&irq->lock);
	fired = pci_board_irq_wait(pci, timeout_us);
	pthread_mutex_lock(&irq->lock);
	/* Switched off or over meanwhile: what was on the way is gone. */
	if (fired && irq->on == on && !irq->suspended && !irq->stop) {
		if (on == IRQ_LINE)
			deliver_line(pci, irq);
		for (unsigned i = 0; on == IRQ_MESSAGE && i < irq->messages && irq->on == on; i++) {
			if (fired >> i & 1)
				deliver_message(pci, irq, i);
		}
	}
	irq->asking = false;
	if (irq->stop)
		pthread_cond_broadcast(&irq->changed);
	return fired != 0;
}

static bool has_taker(const struct pci_irq *irq)
{
	return irq->asking ||
	       (irq->on == IRQ_MESSAGE && irq->taken_at && sim_now_ns() - irq->taken_at < REST_NS);
}

static void pump(void *arg)
{
	struct mac_pci *pci = static_cast<struct mac_pci *>(arg);
	struct pci_irq *irq = pci->irq;

	pthread_mutex_lock(&irq->lock);
	while (!irq->stop) {
		if (idle(irq))
			nap(irq, NAP_NS);
		else if (has_taker(irq))
			nap(irq, REST_NS);
		else
			ask(pci, irq, WAIT_US);
	}
	irq->running = false;
	pthread_cond_broadcast(&irq->changed);
	pthread_mutex_unlock(&irq->lock);
}

bool pci_irq_take(struct mac_pci *pci)
{
	struct pci_irq *irq = pci->irq;
	bool some = false;

	sim_may_block("pci_irq_take");
	pthread_mutex_lock(&irq->lock);
	irq->taken_at = sim_now_ns();
	if (!irq->asking && irq->on == IRQ_MESSAGE && !irq->suspended && !irq->stop)
		some = ask(pci, irq, 0);
	pthread_mutex_unlock(&irq->lock);
	return some;
}

/* ---- on and off in the device; the lock is held ---- */

/* What should be on, by what is registered. False: the board cannot. */
static bool switch_on(struct mac_pci *pci, struct pci_irq *irq)
{
	enum irq_kind want = registered(irq, true)    ? IRQ_MESSAGE
			     : registered(irq, false) ? IRQ_LINE
						      : IRQ_NONE;
	bool ok = true;

	if (want == irq->on || irq->suspended)
		return true;
	if (irq->on != IRQ_NONE)
		pci_board_irq_off(pci);
	irq->on = IRQ_NONE;
	if (want == IRQ_MESSAGE)
		ok = pci_board_msix_on(pci, irq->messages);
	else if (want == IRQ_LINE)
		ok = pci_board_intx_on(pci);
	if (ok)
		irq->on = want;
	irq->storm = 0;
	pthread_cond_broadcast(&irq->changed);
	return ok;
}

/* False: it did not happen in time. */
static bool wait_idle(struct pci_irq *irq, const struct irq_source *s)
{
	struct timespec until;
	bool ok = true;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	irq->waiters++;
	while (s->active && ok)
		ok = pthread_cond_timedwait(&irq->changed, &irq->lock, &until) != ETIMEDOUT;
	irq->waiters--;
	return ok;
}

/* ---- what the nub offers ---- */

/* [XNU-PCI-16] The line first, then one source for each entry of the table. */
static IOReturn op_type(void *arg, int source, int *type)
{
	struct pci_irq *irq = static_cast<struct mac_pci *>(arg)->irq;
	struct irq_source *s = source_of(irq, source);

	if (!s)
		return kIOReturnNoInterrupt;
	*type = is_message(irq, s)
			? kIOInterruptTypeEdge | static_cast<int>(kIOInterruptTypePCIMessaged)
			: kIOInterruptTypeLevel;
	return kIOReturnSuccess;
}

static IOReturn op_register(void *arg, int source, OSObject *target, IOInterruptAction handler,
			    void *refcon, IOService *nub)
{
	struct mac_pci *pci = static_cast<struct mac_pci *>(arg);
	struct pci_irq *irq = pci->irq;
	struct irq_source *s = source_of(irq, source);
	bool first, ok;

	sim_may_block("IOService::registerInterrupt");
	if (!s || !handler)
		return kIOReturnNoInterrupt;
	pthread_mutex_lock(&irq->lock);
	if (s->handler) {
		pthread_mutex_unlock(&irq->lock);
		return kIOReturnNoResources;
	}
	first = is_message(irq, s) && !registered(irq, true);
	*s = {};
	s->target = target;
	s->handler = handler;
	s->refcon = refcon;
	s->nub = nub;
	s->hard = s->soft = true;
	ok = switch_on(pci, irq);
	if (!ok)
		s->handler = nullptr;
	pthread_mutex_unlock(&irq->lock);
	if (!ok)
		return kIOReturnNoResources;
	/* [XNU-PCI-6] Registering is what switches MSI-X on; bus mastering comes with it. */
	if (first) {
		uint32_t command = pci_cfg_read(pci, kIOPCIConfigCommand, 2);

		pci_cfg_write(pci, kIOPCIConfigCommand, 2, command | kIOPCICommandBusMaster);
		nub->setProperty("IOPCIMSIMode", true);
	}
	return kIOReturnSuccess;
}

static IOReturn op_unregister(void *arg, int source)
{
	struct mac_pci *pci = static_cast<struct mac_pci *>(arg);
	struct pci_irq *irq = pci->irq;
	struct irq_source *s = source_of(irq, source);
	IOService *nub;
	bool last;

	sim_may_block("IOService::unregisterInterrupt");
	if (!s)
		return kIOReturnNoInterrupt;
	pthread_mutex_lock(&irq->lock);
	if (!s->handler) {
		pthread_mutex_unlock(&irq->lock);
		return kIOReturnSuccess;
	}
	s->hard = s->soft = true;
	if (!wait_idle(irq, s))
		sim_violation("IOService::unregisterInterrupt(%d) of %s: its handler does not end",
			      source, pci->name);
	nub = s->nub;
	*s = {};
	last = is_message(irq, s) && !registered(irq, true);
	switch_on(pci, irq);
	pthread_mutex_unlock(&irq->lock);
	if (last)
		nub->removeProperty("IOPCIMSIMode");
	return kIOReturnSuccess;
}

/* [XNU-PCI-11] The message that came before the first enable() is delivered inside it. */
static IOReturn op_enable(void *arg, int source)
{
	struct pci_irq *irq = static_cast<struct mac_pci *>(arg)->irq;
	struct irq_source *s = source_of(irq, source);

	if (!s || !s->handler)
		return kIOReturnNoInterrupt;
	if (sim_cpu()->level == SIM_DEBUGGER) {
		s->hard = s->soft = false;
		return kIOReturnSuccess;
	}
	pthread_mutex_lock(&irq->lock);
	s->hard = s->soft = false;
	pthread_cond_broadcast(&irq->changed);
	if (s->kept && s->handler) {
		s->kept = false;
		run(irq, s);
	}
	pthread_mutex_unlock(&irq->lock);
	return kIOReturnSuccess;
}

static IOReturn op_disable(void *arg, int source)
{
	struct mac_pci *pci = static_cast<struct mac_pci *>(arg);
	struct pci_irq *irq = pci->irq;
	struct irq_source *s = source_of(irq, source);
	bool waits;

	if (!s || !s->handler)
		return kIOReturnNoInterrupt;
	if (sim_cpu()->level == SIM_DEBUGGER) {
		s->soft = true;
		return kIOReturnSuccess;
	}
	/* [XNU-PCI-10] The message path of 10.10 does not mark itself active. */
	waits = sim_cpu()->level == SIM_THREAD &&
		(!is_message(irq, s) || sim_release_at_least(WAITING_MSI));
	pthread_mutex_lock(&irq->lock);
	s->soft = true;
	if (waits && !wait_idle(irq, s))
		sim_violation("IOService::disableInterrupt(%d) of %s: its handler does not end "
			      "(does it wait for a lock that the caller holds?)",
			      source, pci->name);
	pthread_mutex_unlock(&irq->lock);
	return kIOReturnSuccess;
}

static IOReturn op_cause(void *, int)
{
	sim_violation("IOService::causeInterrupt of a PCI device is not simulated");
}

const struct sim_interrupt_ops pci_interrupt_ops = {
	op_type, op_register, op_unregister, op_enable, op_disable, op_cause,
};

/* ---- life ---- */

void pci_irq_start(struct mac_pci *pci)
{
	struct pci_irq *irq = static_cast<struct pci_irq *>(calloc(1, sizeof(*irq)));

	if (!irq)
		sim_violation("no memory");
	pthread_mutex_init(&irq->lock, nullptr);
	pthread_cond_init(&irq->changed, nullptr);
	irq->lines = pci->pin ? 1 : 0;
	irq->messages = sim_release_at_least(FIRST_MESSAGED) ? pci->msix_entries : 0;
	irq->running = true;
	pci->irq = irq;
	sim_thread_start("pci interrupts", pump, pci);
}

void pci_irq_stop(struct mac_pci *pci)
{
	struct pci_irq *irq = pci->irq;

	pthread_mutex_lock(&irq->lock);
	irq->stop = true;
	pthread_cond_broadcast(&irq->changed);
	while (irq->running || irq->asking)
		pthread_cond_wait(&irq->changed, &irq->lock);
	pthread_mutex_unlock(&irq->lock);
}

void pci_irq_suspend(struct mac_pci *pci)
{
	struct pci_irq *irq = pci->irq;

	pthread_mutex_lock(&irq->lock);
	if (irq->on != IRQ_NONE)
		pci_board_irq_off(pci);
	irq->on = IRQ_NONE;
	irq->suspended = true;
	pthread_mutex_unlock(&irq->lock);
}

void pci_irq_resume(struct mac_pci *pci, bool restored)
{
	struct pci_irq *irq = pci->irq;

	pthread_mutex_lock(&irq->lock);
	irq->suspended = false;
	if (restored && !switch_on(pci, irq))
		sim_log("pci: %s: interrupts did not come back", pci->name);
	pthread_mutex_unlock(&irq->lock);
}

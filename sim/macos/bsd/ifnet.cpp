/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces of the stack: coming, going, input, counters.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/macos/bsd/ifnet.h"
#include "sim/macos/pci/pci.h"

#define WAIT_S		 20
#define IDLE_SPIN_NS	 20000u
#define IDLE_NAP_NS	 20000u
#define IDLE_NAP_MOST_NS 200000u

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_changed;
static struct mac_if *all;

void sim_ifnet_boot(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&all_changed, &attr);
	pthread_condattr_destroy(&attr);
}

static struct timespec in_ms(uint64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += static_cast<time_t>(ms / 1000);
	t.tv_nsec += static_cast<long>(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* ---- input thread ---- */

/* [XNU-IF-1] A header sum that was looked at, and is not good: the stack drops the packet. */
static bool header_bad(mbuf_t m)
{
	return (m->csum_flags & MBUF_CSUM_DID_IP) && !(m->csum_flags & MBUF_CSUM_IP_GOOD);
}

static void deliver(struct mac_if *ifp, mbuf_t m, mac_input *input, void *arg)
{
	uint8_t *start = static_cast<uint8_t *>(m->header);

	/* The program gets the whole frame. */
	m->len += static_cast<size_t>(m->data - start);
	m->pkt_len += static_cast<size_t>(m->data - start);
	m->data = start;
	m->nextpkt = nullptr;
	if (header_bad(m)) {
		pthread_mutex_lock(&ifp->lock);
		ifp->ierrors++;
		pthread_mutex_unlock(&ifp->lock);
	} else if (input) {
		m->input = false;
		input(arg, m);
		return;
	}
	sim_mbuf_freem(m, "the stack");
}

/* With the lock: all that is there, to the callback; one thread at a time. */
static unsigned deliver_all(struct mac_if *ifp, mac_input *input)
{
	void *to = ifp->input_arg;
	mbuf_t list = ifp->in_head;
	unsigned n = 0;

	ifp->in_busy = true;
	ifp->in_thread = pthread_self();
	ifp->in_head = nullptr;
	ifp->in_tail = &ifp->in_head;
	pthread_mutex_unlock(&ifp->in_lock);
	for (; list; n++) {
		mbuf_t next = list->nextpkt;

		deliver(ifp, list, input, to);
		list = next;
	}
	pthread_mutex_lock(&ifp->in_lock);
	ifp->in_busy = false;
	pthread_cond_broadcast(&ifp->in_idle);
	return n;
}

static void input_thread(void *arg)
{
	struct mac_if *ifp = static_cast<struct mac_if *>(arg);

	pthread_mutex_lock(&ifp->in_lock);
	for (;;) {
		bool mine = ifp->in_head && !(ifp->in_polled && !ifp->in_stop);

		if (!mine) {
			if (ifp->in_stop)
				break;
			ifp->in_asleep = true;
			pthread_cond_wait(&ifp->in_more, &ifp->in_lock);
			ifp->in_asleep = false;
			continue;
		}
		/* What nobody polled for any more is nobody's. */
		deliver_all(ifp, ifp->in_polled ? nullptr : ifp->input);
	}
	ifp->in_ended = true;
	pthread_cond_broadcast(&ifp->in_idle);
	pthread_mutex_unlock(&ifp->in_lock);
}

void sim_ifnet_input(struct mac_if *ifp, mbuf_t head, mbuf_t tail, unsigned packets, size_t bytes)
{
	bool wake, polled;

	pthread_mutex_lock(&ifp->lock);
	if (sim_release_at_least(8))
		ifp->ipackets += packets;
	ifp->ibytes += bytes;
	pthread_mutex_unlock(&ifp->lock);

	pthread_mutex_lock(&ifp->in_lock);
	*ifp->in_tail = head;
	ifp->in_tail = &tail->nextpkt;
	polled = ifp->in_polled;
	wake = polled ? ifp->in_napping : ifp->in_asleep;
	ifp->in_asleep = ifp->in_napping = false; /* one wake-up per burst */
	pthread_mutex_unlock(&ifp->in_lock);
	if (wake)
		pthread_cond_signal(polled ? &ifp->in_come : &ifp->in_more);
}

/* After this the callback that was there before does not run any more. */
void mac_if_input(struct mac_if *ifp, mac_input *input, void *arg)
{
	struct timespec end = in_ms(WAIT_S * 1000);

	sim_enter("mac_if_input");
	pthread_mutex_lock(&ifp->in_lock);
	ifp->input = input;
	ifp->input_arg = arg;
	ifp->in_polled = false;
	pthread_cond_broadcast(&ifp->in_more);
	while (ifp->in_busy && !pthread_equal(ifp->in_thread, pthread_self())) {
		if (pthread_cond_timedwait(&ifp->in_idle, &ifp->in_lock, &end) == ETIMEDOUT)
			sim_violation("mac_if_input: the input of %s never comes to rest",
				      ifp->name);
	}
	pthread_mutex_unlock(&ifp->in_lock);
	sim_exit();
}

/* With the lock, for up to ns: until something came. */
static void sleep_for_input(struct mac_if *ifp, uint64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += static_cast<long>(ns);
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	ifp->in_napping = true;
	pthread_cond_timedwait(&ifp->in_come, &ifp->in_lock, &until);
	ifp->in_napping = false;
}

/*
 * Looks at the card for a while, then now and then: a nap costs less, and a packet ends it. After
 * an interrupt the processor is the work loop's.
 */
static unsigned wait_held(struct mac_if *ifp, struct mac_pci *pci, uint32_t timeout_us)
{
	uint64_t start = sim_now_ns(), now = start, nap = IDLE_NAP_NS, end;
	unsigned n = 0;

	end = start + timeout_us * UINT64_C(1000);
	pthread_mutex_lock(&ifp->in_lock);
	ifp->in_polled = true;
	for (;;) {
		bool taken;

		if (ifp->in_head && !ifp->in_busy)
			n = deliver_all(ifp, ifp->input);
		if (n || now >= end)
			break;
		pthread_mutex_unlock(&ifp->in_lock);
		taken = pci && sim_pci_take(pci);
		if (!taken && now - start < IDLE_SPIN_NS)
			sched_yield();
		pthread_mutex_lock(&ifp->in_lock);
		if (!ifp->in_head && (taken || now - start >= IDLE_SPIN_NS)) {
			uint64_t ns = taken ? IDLE_NAP_MOST_NS : nap;

			sleep_for_input(ifp, ns < end - now ? ns : end - now);
			if (nap < IDLE_NAP_MOST_NS)
				nap *= 2;
		}
		now = sim_now_ns();
	}
	pthread_mutex_unlock(&ifp->in_lock);
	return n;
}

unsigned mac_if_wait(struct mac_if *ifp, struct mac_pci *pci, uint32_t timeout_us)
{
	unsigned n = 0;

	sim_enter("mac_if_wait");
	if (pci && timeout_us == 0)
		sim_pci_take(pci);
	if (sim_ifnet_hold(ifp)) {
		n = wait_held(ifp, pci, timeout_us);
		sim_ifnet_drop(ifp);
	}
	sim_exit();
	return n;
}

void mac_if_tap(struct mac_if *ifp, mac_tap *tap, void *arg)
{
	sim_enter("mac_if_tap");
	pthread_rwlock_wrlock(&ifp->tap_lock);
	ifp->tap_arg = arg;
	__atomic_store_n(&ifp->tap, tap, __ATOMIC_RELEASE);
	pthread_rwlock_unlock(&ifp->tap_lock);
	sim_exit();
}

void sim_ifnet_tap(struct mac_if *ifp, bool sent, mbuf_t packet)
{
	if (!__atomic_load_n(&ifp->tap, __ATOMIC_ACQUIRE))
		return;
	pthread_rwlock_rdlock(&ifp->tap_lock);
	if (ifp->tap)
		ifp->tap(ifp->tap_arg, sent, packet);
	pthread_rwlock_unlock(&ifp->tap_lock);
}

/* ---- counters ---- */

/*
 * [XNU-IF-2] Errors are the driver's count, as are packets sent, and before 10.8 packets received:
 * the stack learns by how much its numbers grew.
 */
void sim_ifnet_count(struct mac_if *ifp, const IONetworkStats *now)
{
	pthread_mutex_lock(&ifp->lock);
	if (!sim_release_at_least(8))
		ifp->ipackets += static_cast<UInt32>(now->inputPackets - ifp->last.inputPackets);
	ifp->ierrors += static_cast<UInt32>(now->inputErrors - ifp->last.inputErrors);
	ifp->opackets += static_cast<UInt32>(now->outputPackets - ifp->last.outputPackets);
	ifp->oerrors += static_cast<UInt32>(now->outputErrors - ifp->last.outputErrors);
	ifp->last = *now;
	pthread_mutex_unlock(&ifp->lock);
}

/* ---- coming and going ---- */

struct mac_if *sim_ifnet_attach(IONetworkInterface *netif, const char *name)
{
	struct mac_if *ifp = static_cast<struct mac_if *>(calloc(1, sizeof(*ifp)));
	pthread_condattr_t attr;

	if (!ifp)
		sim_violation("the host has no memory for an interface");
	snprintf(ifp->name, sizeof(ifp->name), "%s", name);
	netif->retain();
	ifp->netif = netif;
	ifp->in_tail = &ifp->in_head;
	pthread_mutex_init(&ifp->lock, nullptr);
	pthread_mutex_init(&ifp->in_lock, nullptr);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ifp->in_more, &attr);
	pthread_cond_init(&ifp->in_idle, &attr);
	pthread_cond_init(&ifp->in_come, &attr);
	pthread_condattr_destroy(&attr);
	pthread_rwlock_init(&ifp->tap_lock, nullptr);
	ifp->dead = true; /* until it is published */
	sim_thread_start("dlil input", input_thread, ifp);
	return ifp;
}

void sim_ifnet_publish(struct mac_if *ifp)
{
	pthread_mutex_lock(&all_lock);
	ifp->dead = false;
	ifp->next = all;
	all = ifp;
	pthread_cond_broadcast(&all_changed);
	pthread_mutex_unlock(&all_lock);
}

bool sim_ifnet_hold(struct mac_if *ifp)
{
	__atomic_add_fetch(&ifp->holds, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&ifp->dead, __ATOMIC_SEQ_CST))
		return true;
	sim_ifnet_drop(ifp);
	return false;
}

void sim_ifnet_drop(struct mac_if *ifp)
{
	if (__atomic_sub_fetch(&ifp->holds, 1, __ATOMIC_SEQ_CST) == 0 &&
	    __atomic_load_n(&ifp->dead, __ATOMIC_SEQ_CST)) {
		pthread_mutex_lock(&all_lock);
		pthread_cond_broadcast(&all_changed);
		pthread_mutex_unlock(&all_lock);
	}
}

void sim_ifnet_detach(struct mac_if *ifp)
{
	struct timespec end = in_ms(WAIT_S * 1000);
	IONetworkInterface *netif;

	pthread_mutex_lock(&all_lock);
	__atomic_store_n(&ifp->dead, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ifp->holds, __ATOMIC_SEQ_CST)) {
		if (pthread_cond_timedwait(&all_changed, &all_lock, &end) == ETIMEDOUT)
			sim_violation("%s cannot be detached: someone is still using it",
				      ifp->name);
	}
	pthread_cond_broadcast(&all_changed);
	pthread_mutex_unlock(&all_lock);

	pthread_mutex_lock(&ifp->in_lock);
	ifp->in_stop = true;
	pthread_cond_signal(&ifp->in_more);
	while (!ifp->in_ended) {
		if (pthread_cond_timedwait(&ifp->in_idle, &ifp->in_lock, &end) == ETIMEDOUT)
			sim_violation("the input thread of %s does not end", ifp->name);
	}
	pthread_mutex_unlock(&ifp->in_lock);
	netif = ifp->netif;
	ifp->netif = nullptr;
	netif->release();
}

struct mac_if *sim_ifnet_find(const char *name)
{
	struct mac_if *ifp;

	for (ifp = all; ifp; ifp = ifp->next) {
		if (!__atomic_load_n(&ifp->dead, __ATOMIC_SEQ_CST) && strcmp(ifp->name, name) == 0)
			break;
	}
	return ifp;
}

struct mac_if *mac_if_find(const char *name, unsigned timeout_ms)
{
	struct timespec end = in_ms(timeout_ms);
	struct mac_if *ifp;

	sim_enter("mac_if_find");
	pthread_mutex_lock(&all_lock);
	while (!(ifp = sim_ifnet_find(name))) {
		if (pthread_cond_timedwait(&all_changed, &all_lock, &end) == ETIMEDOUT)
			break;
	}
	pthread_mutex_unlock(&all_lock);
	sim_exit();
	return ifp;
}

bool mac_if_gone(struct mac_if *ifp)
{
	return __atomic_load_n(&ifp->dead, __ATOMIC_SEQ_CST);
}

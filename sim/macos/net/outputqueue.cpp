/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output queues.
 *
 * Theory of operation. enqueue() never waits: it appends, and if the queue is running and nothing
 * else is the matter, the thread that did it becomes the drainer and hands packets to the driver
 * until there are none, the driver stalls, or stop() comes. What is sent meanwhile collects in a
 * second list, the shadow, which the drainer takes over after each round: so outputPacket() has one
 * thread at a time, which may carry other senders' packets.
 *
 * The state is four bits. Running: start() has been called. Active: there is a drainer. Stalled:
 * the driver has returned Stall and not called service() yet. Deferred: the gate was busy, and the
 * work loop will drain. Only in the state that is exactly Running may a sender drain.
 *
 * service() counts. If the count moved while outputPacket() was in flight, the stall that it
 * returned is no longer true, and the packet is tried again at once.
 *
 * The list that is being drained belongs to the drainer, everything else to the lock. XNU's lock is
 * a spin lock up to 10.7 and a mutex later; neither is held while the driver is called.
 */
#include "sim/macos/net/net.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/sim.h"

OSDefineMetaClassAndAbstractStructors(IOOutputQueue, OSObject)
KPI_DEFINE_PADS(IOOutputQueue, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
OSDefineMetaClassAndStructors(IOBasicOutputQueue, IOOutputQueue)

/* Bits of the state, as getState() tells them. */
#define RUNNING	     0x001u
#define STALLED	     0x002u
#define ACTIVE	     0x004u
#define SERVICE_BITS 0xff00u /* in a new state: somebody else is to drain */

#define STATUS(ret)   ((ret)&0x00ffu)
#define COMMAND(ret)  ((ret)&0xff00u)
#define SPIN_LIMIT    100000u /* turns without a packet taken, before it is called a spin */
#define STOP_WAITS    100u    /* of 100 ms, for a drainer to leave */
#define STALL_WATCH_S 10u

struct IOMbufQueue {
	mbuf_t head, tail;
	UInt32 size;
};

namespace
{
struct state {
	IOMbufQueue main; /* the drainer's while there is one */
	IOMbufQueue shadow;
	IOMbufQueue *in; /* where packets are appended now */
	pthread_mutex_t lock;
	pthread_cond_t left; /* the drainer has */
	UInt32 bits;
	UInt32 services;
	UInt32 capacity;
	bool waiting; /* for the drainer to leave */
	bool draining;
	pthread_t drainer;
	uint64_t stalled_at;
	IOOutputQueueStats *stats;
	IOBasicOutputQueue *queue;
	void (*output)(IOBasicOutputQueue *, IOMbufQueue *, UInt32 *);
	void (*schedule)(IOBasicOutputQueue *, UInt32);
};
} // namespace

/* ---- lists ---- */

/* A chain through nextpkt counts as as many packets. */
static void append(IOMbufQueue *to, mbuf_t packets)
{
	if (to->size++ > 0)
		mbuf_setnextpkt(to->tail, packets);
	else
		to->head = packets;
	to->tail = packets;
	while (mbuf_t next = mbuf_nextpkt(to->tail)) {
		to->tail = next;
		to->size++;
	}
}

static void append_all(IOMbufQueue *to, IOMbufQueue *from)
{
	if (from->size == 0)
		return;
	if (to->size)
		mbuf_setnextpkt(to->tail, from->head);
	else
		to->head = from->head;
	to->tail = from->tail;
	to->size += from->size;
	*from = IOMbufQueue{};
}

static mbuf_t take(IOMbufQueue *from)
{
	mbuf_t packet = from->head;

	from->head = mbuf_nextpkt(packet);
	if (!from->head)
		from->tail = nullptr;
	from->size--;
	mbuf_setnextpkt(packet, nullptr);
	return packet;
}

static void put_back(IOMbufQueue *to, mbuf_t packet)
{
	mbuf_setnextpkt(packet, to->head);
	if (!to->head)
		to->tail = packet;
	to->head = packet;
	to->size++;
}

static UInt32 count_free(mbuf_t packets)
{
	return packets ? static_cast<UInt32>(mbuf_freem_list(packets)) : 0;
}

/* ---- draining ---- */

static const char *name_of(const struct state *s)
{
	return s->queue->getMetaClass()->getClassName();
}

/* The lock is held, and Active is set. */
static void drain(struct state *s)
{
	UInt32 news = 0;
	unsigned turns = 0;

	s->in = &s->shadow;
	s->drainer = pthread_self();
	s->draining = true;
	while (s->bits == (RUNNING | ACTIVE) && s->main.size) {
		UInt32 services = s->services, taken = s->stats->outputCount;

		pthread_mutex_unlock(&s->lock);
		s->output(s->queue, &s->main, &news);
		pthread_mutex_lock(&s->lock);
		if (news) {
			/* [XNU-NET-30] service() during output cancels the stall. */
			if (services != s->services)
				news &= ~STALLED;
			s->bits |= news;
			if (news & STALLED)
				s->stalled_at = sim_now_ns();
		}
		append_all(&s->main, &s->shadow);
		if (s->stats->outputCount != taken)
			turns = 0;
		else if (++turns > SPIN_LIMIT)
			/* [XNU-NET-31] A disabled gate is not what the queue expects: it spins. */
			sim_violation("%s: drains for ever: no packet is taken and nothing stalls "
				      "(is the gate disabled?)",
				      name_of(s));
		else if (turns > 1)
			sched_yield();
	}
	s->in = &s->main;
	s->draining = false;
	s->bits &= ~ACTIVE;
	if (news & SERVICE_BITS)
		s->schedule(s->queue, news & SERVICE_BITS);
	if (s->waiting) {
		s->waiting = false;
		pthread_cond_broadcast(&s->left);
	}
}

static void drain_if_idle(struct state *s)
{
	if (s->bits == RUNNING) {
		s->bits |= ACTIVE;
		drain(s);
	}
}

/* ---- IOOutputQueue ---- */

bool IOOutputQueue::init()
{
	if (!OSObject::init())
		return false;
	_callEntry = thread_call_allocate(
		[](void *self, void *param) {
			static_cast<IOOutputQueue *>(self)->serviceThread(param);
		},
		this);
	return _callEntry != nullptr;
}

void IOOutputQueue::free()
{
	if (_callEntry) {
		cancelServiceThread();
		thread_call_free(_callEntry);
	}
	OSObject::free();
}

bool IOOutputQueue::scheduleServiceThread(void *param)
{
	if (param)
		sim_violation("IOOutputQueue::scheduleServiceThread() with a parameter is not "
			      "simulated");
	return thread_call_enter(_callEntry);
}

bool IOOutputQueue::cancelServiceThread()
{
	return _callEntry && thread_call_cancel(_callEntry);
}

void IOOutputQueue::serviceThread(void *)
{
}

IOOutputAction IOOutputQueue::getOutputHandler() const
{
	return static_cast<IOOutputAction>(&IOOutputQueue::enqueue);
}

IONetworkData *IOOutputQueue::getStatisticsData() const
{
	return nullptr;
}

/* ---- IOBasicOutputQueue ---- */

static struct state *state_of(IOMbufQueue *main)
{
	return reinterpret_cast<struct state *>(main);
}
#define STATE state_of(_queues[0])

static void init_lock(struct state *s)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&s->lock, nullptr);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->left, &attr);
	pthread_condattr_destroy(&attr);
}

bool IOBasicOutputQueue::init(OSObject *target, IOOutputAction action, UInt32 capacity)
{
	struct state *s;

	if (!IOOutputQueue::init() || !target || !action)
		return false;
	_target = target;
	_action = action;
	_statsData = IONetworkData::withInternalBuffer(
		kIOOutputQueueStatsKey, sizeof(IOOutputQueueStats), kIONetworkDataBasicAccessTypes,
		this,
		[](void *self, void *param, IONetworkData *data, UInt32 access, void *, UInt32 *,
		   UInt32) {
			return static_cast<IOBasicOutputQueue *>(self)->handleNetworkDataAccess(
				data, access, param);
		});
	s = static_cast<struct state *>(calloc(1, sizeof(*s)));
	if (!_statsData || !s) {
		::free(s);
		return false;
	}
	_stats = static_cast<IOOutputQueueStats *>(const_cast<void *>(_statsData->getBuffer()));
	_stats->capacity = capacity;
	init_lock(s);
	s->in = &s->main;
	s->capacity = capacity;
	s->stats = _stats;
	s->queue = this;
	s->output = [](IOBasicOutputQueue *self, IOMbufQueue *queue, UInt32 *news) {
		self->output(queue, news);
	};
	s->schedule = [](IOBasicOutputQueue *self, UInt32 bits) {
		self->scheduleServiceThread(reinterpret_cast<void *>(static_cast<uintptr_t>(bits)));
	};
	_queues[0] = &s->main;
	_queues[1] = &s->shadow;
	return true;
}

void IOBasicOutputQueue::free()
{
	cancelServiceThread();
	if (_queues[0]) {
		struct state *s = STATE;

		if (s->bits & ACTIVE)
			sim_violation("%s is freed while it is being drained", name_of(s));
		flush();
		pthread_cond_destroy(&s->left);
		pthread_mutex_destroy(&s->lock);
		::free(s);
		_queues[0] = _queues[1] = nullptr;
	}
	if (_statsData)
		_statsData->release();
	IOOutputQueue::free();
}

/* [XNU-NET-32] Without a capacity it is 0, and every packet is dropped. */
IOBasicOutputQueue *IOBasicOutputQueue::withTarget(OSObject *target, IOOutputAction action,
						   UInt32 capacity)
{
	IOBasicOutputQueue *queue;

	sim_may_block("IOBasicOutputQueue::withTarget");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	queue = new IOBasicOutputQueue;
	if (queue && !queue->init(target, action, capacity)) {
		queue->release();
		return nullptr;
	}
	return queue;
}

IOBasicOutputQueue *IOBasicOutputQueue::withTarget(IONetworkController *target, UInt32 capacity)
{
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return withTarget(target, target->getOutputHandler(), capacity);
}

/*
 * [XNU-NET-33] Always 0. The capacity is looked at before a chain is appended, not for each packet
 * of it, and each of the two lists has it.
 */
UInt32 IOBasicOutputQueue::enqueue(mbuf_t packet, void *)
{
	struct state *s = STATE;
	bool dropped;

	sim_may_block("IOOutputQueue::enqueue");
	if (!packet)
		sim_violation("%s::enqueue() of no packet", name_of(s));
	pthread_mutex_lock(&s->lock);
	if (sim_stall_watch && (s->bits & STALLED) &&
	    sim_now_ns() - s->stalled_at > STALL_WATCH_S * 1000000000ULL)
		sim_violation("%s: stalled and never serviced", name_of(s));
	dropped = s->in->size >= s->capacity;
	if (!dropped)
		append(s->in, packet);
	drain_if_idle(s);
	pthread_mutex_unlock(&s->lock);
	if (dropped)
		__atomic_fetch_add(&_stats->dropCount, count_free(packet), __ATOMIC_RELAXED);
	return 0;
}

/*
 * [XNU-NET-34] A dropped packet counts as sent. After Retry the packet is the queue's again, as it
 * was; without Stall it comes back at once.
 */
void IOBasicOutputQueue::output(IOMbufQueue *queue, UInt32 *news)
{
	unsigned retries = 0;

	do {
		mbuf_t packet = take(queue);
		size_t total = mbuf_pkthdr_len(packet), len = mbuf_len(packet);
		void *data = mbuf_data(packet);
		unsigned held = sim_debugger_lock_before();
		UInt32 ret = (_target->*_action)(packet, nullptr);

		sim_debugger_lock_after(held, "outputPacket()");
		if (ret == kIOReturnOutputSuccess) {
			_stats->outputCount++;
			retries = 0;
			continue;
		}
		if (STATUS(ret) > kIOOutputStatusRetry ||
		    (COMMAND(ret) != kIOOutputCommandNone &&
		     COMMAND(ret) != kIOOutputCommandStall) ||
		    ret > 0xffff)
			sim_violation("outputPacket() returned 0x%x, which is no output status",
				      ret);
		if (STATUS(ret) == kIOOutputStatusRetry) {
			if (mbuf_pkthdr_len(packet) != total || mbuf_len(packet) != len ||
			    mbuf_data(packet) != data || mbuf_nextpkt(packet))
				sim_violation("outputPacket() asked for a retry of a packet that "
					      "it has changed");
			put_back(queue, packet);
			_stats->retryCount++;
			retries++;
		} else {
			_stats->outputCount++;
			retries = 0;
		}
		if (COMMAND(ret) == kIOOutputCommandStall) {
			*news = STALLED;
			_stats->stallCount++;
		} else if (retries > SPIN_LIMIT) {
			sim_violation("outputPacket() returns Retry without Stall: a busy loop");
		}
	} while (queue->size && *news == 0);
}

void IOBasicOutputQueue::serviceThread(void *param)
{
	struct state *s = STATE;

	pthread_mutex_lock(&s->lock);
	s->bits &= ~static_cast<UInt32>(reinterpret_cast<uintptr_t>(param));
	s->bits |= ACTIVE;
	drain(s);
	pthread_mutex_unlock(&s->lock);
}

/* [XNU-NET-35] Drains what is left from before, on this thread; not while it is deferred. */
bool IOBasicOutputQueue::start()
{
	struct state *s = STATE;

	sim_may_block("IOOutputQueue::start");
	pthread_mutex_lock(&s->lock);
	s->bits = (s->bits | RUNNING) & ~STALLED;
	s->services++;
	drain_if_idle(s);
	pthread_mutex_unlock(&s->lock);
	return true;
}

/* [XNU-NET-36] Waits for the drainer to leave. Packets stay. */
bool IOBasicOutputQueue::stop()
{
	struct state *s = STATE;
	bool was;

	sim_may_block("IOOutputQueue::stop");
	pthread_mutex_lock(&s->lock);
	was = s->bits & RUNNING;
	s->bits &= ~RUNNING;
	if (s->draining && pthread_equal(s->drainer, pthread_self()))
		sim_violation("%s::stop() from outputPacket() waits for itself", name_of(s));
	s->waiting = (s->bits & ACTIVE) != 0;
	/* Short waits: a world that stands still in between is not to count. */
	for (unsigned i = 0; s->waiting; i++) {
		struct timespec until;

		if (i == STOP_WAITS)
			sim_violation("%s::stop(): outputPacket() does not return (does it wait "
				      "for something that the caller holds?)",
				      name_of(s));
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 100000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&s->left, &s->lock, &until);
	}
	pthread_mutex_unlock(&s->lock);
	return was;
}

/* [XNU-NET-37] True if it had stalled, runs, and has something to send. */
bool IOBasicOutputQueue::service(IOOptionBits options)
{
	struct state *s = STATE;
	UInt32 before;
	bool work;

	sim_may_block("IOOutputQueue::service");
	pthread_mutex_lock(&s->lock);
	before = s->bits;
	s->bits &= ~STALLED;
	s->services++;
	work = (before & STALLED) && s->bits == RUNNING && s->main.size;
	if (work) {
		s->bits |= ACTIVE;
		if (!(options & kServiceAsync))
			drain(s);
	}
	pthread_mutex_unlock(&s->lock);
	if (work && (options & kServiceAsync))
		scheduleServiceThread(nullptr);
	return work;
}

/* [XNU-NET-38] Only the list that is being filled now. */
UInt32 IOBasicOutputQueue::flush()
{
	struct state *s = STATE;
	mbuf_t packets;
	UInt32 n;

	pthread_mutex_lock(&s->lock);
	packets = s->in->head;
	*s->in = IOMbufQueue{};
	pthread_mutex_unlock(&s->lock);
	n = count_free(packets);
	__atomic_fetch_add(&_stats->dropCount, n, __ATOMIC_RELAXED);
	return n;
}

bool IOBasicOutputQueue::setCapacity(UInt32 capacity)
{
	struct state *s = STATE;

	pthread_mutex_lock(&s->lock);
	s->capacity = capacity;
	_stats->capacity = capacity;
	pthread_mutex_unlock(&s->lock);
	return true;
}

UInt32 IOBasicOutputQueue::getCapacity() const
{
	return _stats->capacity;
}

UInt32 IOBasicOutputQueue::getSize() const
{
	return __atomic_load_n(&STATE->main.size, __ATOMIC_RELAXED);
}

UInt32 IOBasicOutputQueue::getState() const
{
	return __atomic_load_n(&STATE->bits, __ATOMIC_RELAXED);
}

UInt32 IOBasicOutputQueue::getDropCount()
{
	return _stats->dropCount;
}

UInt32 IOBasicOutputQueue::getOutputCount()
{
	return _stats->outputCount;
}

UInt32 IOBasicOutputQueue::getRetryCount()
{
	return _stats->retryCount;
}

UInt32 IOBasicOutputQueue::getStallCount()
{
	return _stats->stallCount;
}

IONetworkData *IOBasicOutputQueue::getStatisticsData() const
{
	return _statsData;
}

/* [XNU-NET-39] The size in the counters is that of both lists, made when somebody reads it. */
IOReturn IOBasicOutputQueue::handleNetworkDataAccess(IONetworkData *, UInt32 access, void *)
{
	struct state *s = STATE;

	if (access != kIONetworkDataAccessTypeRead && access != kIONetworkDataAccessTypeSerialize)
		return kIOReturnNotWritable;
	pthread_mutex_lock(&s->lock);
	_stats->size = getSize() + s->shadow.size;
	pthread_mutex_unlock(&s->lock);
	return kIOReturnSuccess;
}

unsigned sim_queue_length(IOOutputQueue *queue)
{
	IONetworkData *data = queue ? queue->getStatisticsData() : nullptr;
	IOOutputQueueStats stats = {};
	UInt32 len = sizeof(stats);

	if (data && data->read(&stats, &len) == kIOReturnSuccess)
		return stats.size;
	return queue ? queue->getSize() : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation. A work loop is a thread, a gate, and two chains of sources: those that are
 * polled, and those that never have work of their own (command gates, timers). The thread sleeps
 * until a source says that there is work, then makes passes: one closing of the gate, every polled
 * source in the order it was added, again until none has more.
 *
 * workToDo is set by whoever signals and cleared at the start of a pass; only who sets it first,
 * and only while the thread sleeps, pays for a wake-up.
 */
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/loop/gate.h"
#include "sim/macos/loop/loop.h"

OSDefineMetaClassAndStructors(IOWorkLoop, OSObject)
KPI_DEFINE_PADS_64(IOWorkLoop, 0, 1, 2)
KPI_DEFINE_PADS(IOWorkLoop, 3, 4, 5, 6, 7)

struct IOWorkLoop::ExpansionData {
	struct sim_gate *gate;
	IOEventSource *passive; /* the other chain */
	pthread_mutex_t lock;	/* of the next two, and of sleeping */
	pthread_cond_t work;
	bool sleeping;
	bool terminate;
	/* All loops, for sim_gate_of() and sim_loop_sources_of(). all_lock: their chains, too. */
	IOWorkLoop *loop;
	ExpansionData *next;
	static ExpansionData *all;
	static pthread_mutex_t all_lock;

	static void list(ExpansionData *data)
	{
		pthread_mutex_lock(&all_lock);
		data->next = all;
		all = data;
		pthread_mutex_unlock(&all_lock);
	}
	static void unlist(ExpansionData *data)
	{
		ExpansionData **at = &all;

		pthread_mutex_lock(&all_lock);
		while (*at != data)
			at = &(*at)->next;
		*at = data->next;
		pthread_mutex_unlock(&all_lock);
	}
	static struct sim_gate *find(const IOWorkLoop *loop)
	{
		ExpansionData *data;

		pthread_mutex_lock(&all_lock);
		for (data = all; data && data->loop != loop; data = data->next)
			continue;
		pthread_mutex_unlock(&all_lock);
		return data ? data->gate : nullptr;
	}
	/* Whether a source is in a chain. */
	static bool has(IOEventSource *chain, const IOEventSource *source);
	/* Whoever looks at all loops must not meet a chain half changed. */
	static void add(IOEventSource **chain, IOEventSource *source);
	static void remove(IOEventSource **chain, IOEventSource *source);
	static IOEventSource *taken(IOEventSource **chain);
	static void thread(void *loop);
	static IOReturn maintain(OSObject *loop, void *what, void *which, void *, void *)
	{
		return static_cast<IOWorkLoop *>(loop)->_maintRequest(what, which, nullptr,
								      nullptr);
	}
	static unsigned report(const char *bundle, FILE *out);
	static unsigned report_chain(IOEventSource *chain, const char *bundle, FILE *out);
};

IOWorkLoop::ExpansionData *IOWorkLoop::ExpansionData::all;
pthread_mutex_t IOWorkLoop::ExpansionData::all_lock = PTHREAD_MUTEX_INITIALIZER;

enum maintenance { ADD = 1, REMOVE = 2 };

/* A number for messages: loops have no names. */
static unsigned loops_made;

/* The one way past the access of ExpansionData. */
class sim_loop_access : public IOWorkLoop
{
public:
	static struct sim_gate *gate(const IOWorkLoop *loop)
	{
		return ExpansionData::find(loop);
	}
	static unsigned report(const char *bundle, FILE *out)
	{
		return ExpansionData::report(bundle, out);
	}
};

struct sim_gate *sim_gate_of(const IOWorkLoop *loop)
{
	return sim_loop_access::gate(loop);
}

unsigned sim_loop_sources_of(const char *bundle, FILE *out)
{
	return sim_loop_access::report(bundle, out);
}

/* ---- life ---- */

static IOWorkLoop *make(const void *caller)
{
	IOWorkLoop *loop;

	sim_may_block("IOWorkLoop::workLoop");
	if (sim_alloc_fails(caller))
		return nullptr;
	loop = new IOWorkLoop;
	if (loop && !loop->init()) {
		loop->release();
		loop = nullptr;
	}
	return loop;
}

IOWorkLoop *IOWorkLoop::workLoop()
{
	return make(__builtin_return_address(0));
}

IOWorkLoop *IOWorkLoop::workLoopWithOptions(IOOptionBits options)
{
	if (options & ~static_cast<IOOptionBits>(kPreciousStack))
		sim_violation("IOWorkLoop::workLoopWithOptions: option %#x", options);
	return make(__builtin_return_address(0));
}

bool IOWorkLoop::init()
{
	char name[64];

	sim_may_block("IOWorkLoop::init");
	if (!OSObject::init())
		return false;
	reserved = static_cast<ExpansionData *>(calloc(1, sizeof(*reserved)));
	if (!reserved)
		return false;
	snprintf(name, sizeof(name), "%s %u", getMetaClass()->getClassName(),
		 __atomic_add_fetch(&loops_made, 1, __ATOMIC_RELAXED));
	reserved->gate = sim_gate_make(name);
	reserved->loop = this;
	pthread_mutex_init(&reserved->lock, nullptr);
	pthread_cond_init(&reserved->work, nullptr);
	ExpansionData::list(reserved);
	controlG = IOCommandGate::commandGate(this, ExpansionData::maintain);
	if (!controlG)
		return false;
	controlG->setWorkLoop(this);
	reserved->passive = controlG;
	__atomic_store_n(&workToDo, false, __ATOMIC_RELAXED);
	sim_thread_start("a work loop's thread", ExpansionData::thread, this);
	/* getThread() is known once the loop is: whoever holds it may compare. */
	pthread_mutex_lock(&reserved->lock);
	while (!workThread)
		pthread_cond_wait(&reserved->work, &reserved->lock);
	pthread_mutex_unlock(&reserved->lock);
	return true;
}

/*
 * Called twice: by the last release, on any thread, and by the loop's thread when it has seen that.
 * [XNU-WL-3] The object outlives its last release, also one made by an action of its own.
 */
void IOWorkLoop::free()
{
	bool first;

	sim_may_block("IOWorkLoop::free");
	if (!reserved) {
		OSObject::free();
		return;
	}
	pthread_mutex_lock(&reserved->lock);
	first = workThread != nullptr;
	pthread_mutex_unlock(&reserved->lock);
	if (first) {
		closeGate();
		disableAllEventSources();
		pthread_mutex_lock(&reserved->lock);
		reserved->terminate = true;
		__atomic_store_n(&workToDo, true, __ATOMIC_SEQ_CST);
		pthread_cond_signal(&reserved->work);
		pthread_mutex_unlock(&reserved->lock);
		openGate();
		return;
	}
	/* [XNU-WL-4] Sources still there lose the loop, and the reference it had on them. */
	for (unsigned chain = 0; chain < 2; chain++) {
		IOEventSource *source =
			ExpansionData::taken(chain ? &reserved->passive : &eventChain);

		while (source) {
			IOEventSource *next = source->getNext();

			source->setWorkLoop(nullptr);
			source->setNext(nullptr);
			source->reserved = nullptr;
			source->release();
			source = next;
		}
	}
	ExpansionData::unlist(reserved);
	__atomic_store_n(&reserved->gate->thread, nullptr, __ATOMIC_RELAXED);
	__atomic_store_n(&reserved->gate->dead, true, __ATOMIC_RELEASE);
	sim_gate_release(reserved->gate);
	pthread_cond_destroy(&reserved->work);
	pthread_mutex_destroy(&reserved->lock);
	::free(reserved);
	reserved = nullptr;
	OSObject::free();
}

/* ---- the thread ---- */

void IOWorkLoop::ExpansionData::thread(void *arg)
{
	IOWorkLoop *loop = static_cast<IOWorkLoop *>(arg);

	pthread_mutex_lock(&loop->reserved->lock);
	loop->reserved->gate->thread = sim_cpu();
	loop->workThread = current_thread();
	pthread_cond_broadcast(&loop->reserved->work);
	pthread_mutex_unlock(&loop->reserved->lock);
	loop->threadMain();
}

void IOWorkLoop::threadMain()
{
	bool ended = false;

	while (!ended) {
		/* False: the last reference is gone. */
		if (!runEventSources())
			break;
		pthread_mutex_lock(&reserved->lock);
		reserved->sleeping = true;
		while (!__atomic_load_n(&workToDo, __ATOMIC_SEQ_CST) && !reserved->terminate)
			pthread_cond_wait(&reserved->work, &reserved->lock);
		reserved->sleeping = false;
		ended = reserved->terminate;
		pthread_mutex_unlock(&reserved->lock);
	}
	/* Whoever released it last may still hold the gate, to open it. */
	closeGate();
	openGate();
	pthread_mutex_lock(&reserved->lock);
	workThread = nullptr;
	pthread_mutex_unlock(&reserved->lock);
	free();
}

/* [XNU-WL-5] One pass, and those that it gives rise to, are one closing of the gate. */
bool IOWorkLoop::runEventSources()
{
	bool more = true;

	closeGate();
	while (more && !reserved->terminate) {
		__atomic_store_n(&workToDo, false, __ATOMIC_SEQ_CST);
		more = loopRestart = false;
		for (IOEventSource *source = eventChain; source; source = source->getNext()) {
			more |= source->checkForWork();
			/* [XNU-WL-6] A source went meanwhile, perhaps this: from the start. */
			if (loopRestart)
				break;
		}
		more |= loopRestart;
	}
	more = reserved->terminate;
	openGate();
	return !more;
}

void IOWorkLoop::signalWorkAvailable()
{
	if (sim_cpu()->level == SIM_DEBUGGER)
		sim_violation("the debugger's code wakes the work loop %s", reserved->gate->name);
	if (__atomic_exchange_n(&workToDo, true, __ATOMIC_SEQ_CST))
		return;
	pthread_mutex_lock(&reserved->lock);
	if (reserved->sleeping)
		pthread_cond_signal(&reserved->work);
	pthread_mutex_unlock(&reserved->lock);
}

IOThread IOWorkLoop::getThread() const
{
	return workThread;
}

bool IOWorkLoop::onThread() const
{
	return reserved->gate->thread == sim_cpu();
}

bool IOWorkLoop::inGate() const
{
	return sim_gate_mine(reserved->gate);
}

/* ---- sources ---- */

bool IOWorkLoop::ExpansionData::has(IOEventSource *chain, const IOEventSource *source)
{
	for (; chain; chain = chain->getNext())
		if (chain == source)
			return true;
	return false;
}

void IOWorkLoop::ExpansionData::add(IOEventSource **chain, IOEventSource *source)
{
	pthread_mutex_lock(&all_lock);
	source->setNext(nullptr);
	if (!*chain) {
		*chain = source;
	} else {
		IOEventSource *last = *chain;

		while (last->getNext())
			last = last->getNext();
		last->setNext(source);
	}
	pthread_mutex_unlock(&all_lock);
}

void IOWorkLoop::ExpansionData::remove(IOEventSource **chain, IOEventSource *source)
{
	pthread_mutex_lock(&all_lock);
	if (*chain == source) {
		*chain = source->getNext();
	} else {
		IOEventSource *at = *chain;

		while (at->getNext() != source)
			at = at->getNext();
		at->setNext(source->getNext());
	}
	pthread_mutex_unlock(&all_lock);
}

IOEventSource *IOWorkLoop::ExpansionData::taken(IOEventSource **chain)
{
	IOEventSource *first;

	pthread_mutex_lock(&all_lock);
	first = *chain;
	*chain = nullptr;
	pthread_mutex_unlock(&all_lock);
	return first;
}

/* [XNU-WL-7] Sources whose checkForWork() does nothing are not polled. */
static bool is_passive(const IOEventSource *source)
{
	return OSDynamicCast(IOCommandGate, source) || OSDynamicCast(IOTimerEventSource, source);
}

/* `this` is the owner of the control gate; gated. */
IOReturn IOWorkLoop::_maintRequest(void *what, void *which, void *, void *)
{
	IOEventSource *source = static_cast<IOEventSource *>(which);
	IOEventSource **chain = is_passive(source) ? &reserved->passive : &eventChain;

	if (reinterpret_cast<uintptr_t>(what) == ADD) {
		if (source->reserved)
			sim_violation("IOWorkLoop::addEventSource: %s %p is in a loop already",
				      source->getMetaClass()->getClassName(), which);
		source->retain();
		source->reserved = reinterpret_cast<IOEventSource::ExpansionData *>(this);
		source->setWorkLoop(this);
		ExpansionData::add(chain, source);
		return kIOReturnSuccess;
	}
	/* [XNU-WL-8] Removed twice: success, or a bad argument for a gate that kept its loop. */
	if (!source->getWorkLoop())
		return kIOReturnSuccess;
	if (!ExpansionData::has(*chain, source))
		return kIOReturnBadArgument;
	ExpansionData::remove(chain, source);
	source->setWorkLoop(nullptr);
	source->setNext(nullptr);
	source->reserved = nullptr;
	source->release();
	loopRestart = true;
	return kIOReturnSuccess;
}

/*
 * The chain is of this loop's sources, so whoever calls must not be in the middle of another one's
 * gate that a source needs; both go through the control gate and may sleep.
 */
IOReturn IOWorkLoop::addEventSource(IOEventSource *source)
{
	if (!source)
		sim_violation("IOWorkLoop::addEventSource of no source");
	return controlG->runCommand(reinterpret_cast<void *>(ADD), source);
}

IOReturn IOWorkLoop::removeEventSource(IOEventSource *source)
{
	if (!source)
		sim_violation("IOWorkLoop::removeEventSource of no source");
	return controlG->runCommand(reinterpret_cast<void *>(REMOVE), source);
}

void IOWorkLoop::enableAllEventSources() const
{
	for (IOEventSource *s = eventChain; s; s = s->getNext())
		s->enable();
	for (IOEventSource *s = reserved->passive; s; s = s->getNext())
		s->enable();
}

/* [XNU-WL-9] Passive ones as well, but for the loop's own gate. */
void IOWorkLoop::disableAllEventSources() const
{
	for (IOEventSource *s = eventChain; s; s = s->getNext())
		s->disable();
	for (IOEventSource *s = reserved->passive; s; s = s->getNext())
		if (s != controlG)
			s->disable();
}

void IOWorkLoop::enableAllInterrupts() const
{
	for (IOEventSource *s = eventChain; s; s = s->getNext())
		if (OSDynamicCast(IOInterruptEventSource, s))
			s->enable();
}

void IOWorkLoop::disableAllInterrupts() const
{
	for (IOEventSource *s = eventChain; s; s = s->getNext())
		if (OSDynamicCast(IOInterruptEventSource, s))
			s->disable();
}

/* ---- the gate ---- */

void IOWorkLoop::openGate()
{
	sim_gate_open(reserved->gate, "IOWorkLoop::openGate");
}

void IOWorkLoop::closeGate()
{
	sim_gate_close(reserved->gate, "IOWorkLoop::closeGate");
}

bool IOWorkLoop::tryCloseGate()
{
	return sim_gate_try(reserved->gate, "IOWorkLoop::tryCloseGate");
}

int IOWorkLoop::sleepGate(void *event, UInt32)
{
	if (!inGate())
		sim_violation("IOWorkLoop::sleepGate: the gate is not held");
	return sim_gate_sleep(reserved->gate, event, 0, "IOWorkLoop::sleepGate");
}

int IOWorkLoop::sleepGate(void *event, AbsoluteTime deadline, UInt32)
{
	if (!inGate())
		sim_violation("IOWorkLoop::sleepGate: the gate is not held");
	return sim_gate_sleep(reserved->gate, event, deadline, "IOWorkLoop::sleepGate");
}

void IOWorkLoop::wakeupGate(void *event, bool one_thread)
{
	sim_gate_wake(reserved->gate, event, one_thread);
}

IOReturn IOWorkLoop::runAction(Action action, OSObject *target, void *arg0, void *arg1, void *arg2,
			       void *arg3)
{
	IOReturn result;

	if (!action)
		sim_violation("IOWorkLoop::runAction of no action");
	sim_gate_close(reserved->gate, "IOWorkLoop::runAction");
	{
		sim_called called("an action of IOWorkLoop::runAction", sim_code(action));

		result = action(target, arg0, arg1, arg2, arg3);
	}
	openGate();
	return result;
}

/* ---- who calls into a bundle ---- */

unsigned IOWorkLoop::ExpansionData::report_chain(IOEventSource *chain, const char *bundle,
						 FILE *out)
{
	unsigned n = 0;

	for (; chain; chain = chain->getNext()) {
		const char *name = sim_kext_name(sim_code(chain->action));

		if (!name || strcmp(name, bundle) != 0)
			continue;
		n++;
		if (out)
			fprintf(out, "%s %p of %s is still in a work loop\n",
				chain->getMetaClass()->getClassName(), static_cast<void *>(chain),
				bundle);
	}
	return n;
}

unsigned IOWorkLoop::ExpansionData::report(const char *bundle, FILE *out)
{
	unsigned n = 0;

	pthread_mutex_lock(&all_lock);
	for (ExpansionData *data = all; data; data = data->next) {
		n += report_chain(data->loop->eventChain, bundle, out);
		n += report_chain(data->passive, bundle, out);
	}
	pthread_mutex_unlock(&all_lock);
	return n;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads, and the world standing still.
 *
 * Theory of operation. Every thread that was ever inside the kernel has a struct cpu_slot in one
 * table. To stop the world is to raise a flag, send a signal to each thread that is inside, and
 * wait until it has either left or says that it is parked. The signal's handler parks the thread on
 * a futex, wherever it was: also inside of a lock of ours or of malloc, which is why code that runs
 * while the world stands may use neither. A thread between sim_host_begin() and sim_host_end()
 * holds what the debugger's way to the network needs; it goes on until the latter, and parks there.
 *
 * Entering and the flag are a Dekker pair: who enters first says so and then looks at the flag, who
 * stops raises the flag and then looks who is inside. One of them sees the other.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sim/macos/sim.h"

#define SLOTS	      256
#define PARK_LIMIT_NS 10000000000ULL
#define STACK_BYTES   (512u << 10)
#define PARK_SIGNAL   (SIGRTMIN + 3)

struct cpu_slot {
	struct sim_cpu cpu;
	volatile int used;
	pid_t tid;
	volatile int parked;
};

static struct cpu_slot slots[SLOTS];
static volatile int slots_used;
static volatile int world_stopped;  /* futex: 1 while it stands, or is being stopped */
static volatile int world_owner;    /* tid of who stopped it */
static enum sim_level level_before; /* the owner's */
static volatile int threads;
static pthread_once_t signal_once = PTHREAD_ONCE_INIT;

/* Gives the slot back when the thread ends. */
struct slot_holder {
	struct cpu_slot *slot = nullptr;
	~slot_holder()
	{
		if (slot)
			__atomic_store_n(&slot->used, 0, __ATOMIC_SEQ_CST);
	}
};
static thread_local slot_holder mine;

static void futex_wait(volatile int *at, int value)
{
	syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

static void futex_wake(volatile int *at)
{
	syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, 0x7fffffff, nullptr, nullptr, 0);
}

/*
 * Stopped again while on the way out, this thread may still have been counted as parked: so it
 * looks once more after it has said that it is not.
 */
static void park(struct cpu_slot *slot)
{
	int saved = errno;

	while (__atomic_load_n(&world_stopped, __ATOMIC_SEQ_CST) &&
	       __atomic_load_n(&world_owner, __ATOMIC_SEQ_CST) != slot->tid) {
		__atomic_add_fetch(&slot->parked, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&world_stopped, __ATOMIC_SEQ_CST))
			futex_wait(&world_stopped, 1);
		__atomic_sub_fetch(&slot->parked, 1, __ATOMIC_SEQ_CST);
	}
	errno = saved;
}

static void park_signal(int)
{
	struct cpu_slot *slot = mine.slot;

	if (slot && slot->cpu.inside && !slot->cpu.host && world_stopped)
		park(slot);
}

/* Of all threads only the one that forks goes on in the child, where it has another number. */
static void after_fork()
{
	for (auto &slot : slots) {
		if (&slot == mine.slot)
			slot.tid = static_cast<pid_t>(syscall(SYS_gettid));
		else
			slot.used = 0;
	}
}

static void signal_setup()
{
	struct sigaction action;

	pthread_atfork(nullptr, nullptr, after_fork);
	memset(&action, 0, sizeof(action));
	action.sa_handler = park_signal;
	action.sa_flags = SA_RESTART;
	sigfillset(&action.sa_mask);
	sigdelset(&action.sa_mask, SIGSEGV); /* the debugger's own way out of the world */
	sigdelset(&action.sa_mask, SIGBUS);
	sigaction(PARK_SIGNAL, &action, nullptr);
}

static struct cpu_slot *slot_of_thread()
{
	sigset_t set;

	if (mine.slot)
		return mine.slot;
	pthread_once(&signal_once, signal_setup);
	for (int i = 0; i < SLOTS; i++) {
		int free = 0;
		struct cpu_slot *slot = &slots[i];
		int most;

		if (!__atomic_compare_exchange_n(&slot->used, &free, 1, false, __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST))
			continue;
		memset(&slot->cpu, 0, sizeof(slot->cpu));
		slot->cpu.name = "a program's thread";
		slot->cpu.interrupts = true;
		slot->tid = static_cast<pid_t>(syscall(SYS_gettid));
		slot->parked = 0;
		mine.slot = slot;
		most = slots_used;
		while (most <= i &&
		       !__atomic_compare_exchange_n(&slots_used, &most, i + 1, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		/* Some libraries block all signals in their threads; registers are faults. */
		sigemptyset(&set);
		sigaddset(&set, PARK_SIGNAL);
		sigaddset(&set, SIGTRAP);
		sigaddset(&set, SIGSEGV);
		pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
		return slot;
	}
	sim_violation("more than %d threads inside the kernel", SLOTS);
}

struct sim_cpu *sim_cpu(void)
{
	return &slot_of_thread()->cpu;
}

void sim_enter(const char *name)
{
	struct cpu_slot *slot = slot_of_thread();

	if (slot->cpu.inside == 0 && name)
		slot->cpu.name = name;
	__atomic_store_n(&slot->cpu.inside, slot->cpu.inside + 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&world_stopped, __ATOMIC_SEQ_CST) && slot->cpu.inside == 1)
		park(slot);
}

void sim_exit(void)
{
	struct cpu_slot *slot = slot_of_thread();

	if (slot->cpu.inside == 0)
		sim_violation("sim_exit() without sim_enter()");
	if (slot->cpu.inside == 1 && slot->cpu.spin_locks)
		sim_violation("%s leaves the kernel with a spin lock", slot->cpu.name);
	if (slot->cpu.inside == 1 && slot->cpu.debugger_lock)
		sim_violation("%s leaves the kernel with the debugger lock", slot->cpu.name);
	__atomic_store_n(&slot->cpu.inside, slot->cpu.inside - 1, __ATOMIC_SEQ_CST);
}

void sim_host_begin(void)
{
	struct cpu_slot *slot = slot_of_thread();

	__atomic_store_n(&slot->cpu.host, slot->cpu.host + 1, __ATOMIC_SEQ_CST);
}

void sim_host_end(void)
{
	struct cpu_slot *slot = slot_of_thread();

	__atomic_store_n(&slot->cpu.host, slot->cpu.host - 1, __ATOMIC_SEQ_CST);
	if (!slot->cpu.host && slot->cpu.inside &&
	    __atomic_load_n(&world_stopped, __ATOMIC_SEQ_CST))
		park(slot);
}

/* ---- kernel threads ---- */

struct starting {
	const char *name;
	void (*run)(void *arg);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct starting start = *static_cast<struct starting *>(arg);

	free(arg);
	sim_enter(start.name);
	start.run(start.arg);
	sim_exit();
	__atomic_sub_fetch(&threads, 1, __ATOMIC_SEQ_CST);
	return nullptr;
}

void sim_thread_start(const char *name, void (*run)(void *arg), void *arg)
{
	struct starting *start = static_cast<struct starting *>(malloc(sizeof(*start)));
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;

	if (!start)
		sim_violation("no memory for the thread '%s'", name);
	start->name = name;
	start->run = run;
	start->arg = arg;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	/* Signals to the process are the program's. */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	__atomic_add_fetch(&threads, 1, __ATOMIC_SEQ_CST);
	if (pthread_create(&thread, &attr, thread_main, start) != 0)
		sim_violation("the host gives no thread for '%s'", name);
	pthread_sigmask(SIG_SETMASK, &old, nullptr);
	pthread_attr_destroy(&attr);
}

unsigned sim_threads(void)
{
	return static_cast<unsigned>(__atomic_load_n(&threads, __ATOMIC_SEQ_CST));
}

/* ---- levels ---- */

void sim_interrupt_begin(void)
{
	struct sim_cpu *cpu = sim_cpu();

	if (cpu->level != SIM_THREAD || cpu->spin_locks)
		sim_violation("an interrupt is delivered inside another, or under a spin lock");
	cpu->level = SIM_INTERRUPT;
	cpu->interrupts = false;
}

void sim_interrupt_end(void)
{
	struct sim_cpu *cpu = sim_cpu();

	if (cpu->spin_locks)
		sim_violation("an interrupt handler returned with a spin lock held");
	if (cpu->debugger_lock)
		sim_violation("an interrupt handler returned with the debugger lock held");
	if (cpu->interrupts)
		sim_violation("an interrupt handler returned with interrupts enabled");
	cpu->level = SIM_THREAD;
	cpu->interrupts = true;
}

/* [XNU-CORE-1] What sleeps or allocates must not be called where nothing else can run. */
void sim_may_block(const char *what)
{
	const struct sim_cpu *cpu = sim_cpu();

	if (cpu->level == SIM_INTERRUPT)
		sim_violation("%s called at interrupt level, where it may sleep", what);
	if (cpu->level == SIM_DEBUGGER)
		sim_violation("%s called while the debugger has stopped everything", what);
	if (cpu->spin_locks)
		sim_violation("%s called with a spin lock held, where it may sleep", what);
	if (!cpu->interrupts)
		sim_violation("%s called with interrupts disabled, where it may sleep", what);
}

/* ---- the world ---- */

/* Somebody who is inside and still runs; NULL: all are parked. */
static const struct cpu_slot *not_parked(pid_t self)
{
	for (int i = 0; i < slots_used; i++) {
		const struct cpu_slot *slot = &slots[i];

		if (!__atomic_load_n(&slot->used, __ATOMIC_SEQ_CST) || slot->tid == self)
			continue;
		if (__atomic_load_n(&slot->cpu.inside, __ATOMIC_SEQ_CST) &&
		    !__atomic_load_n(&slot->parked, __ATOMIC_SEQ_CST))
			return slot;
	}
	return nullptr;
}

static void signal_all(pid_t self)
{
	pid_t process = getpid();

	for (int i = 0; i < slots_used; i++) {
		struct cpu_slot *slot = &slots[i];

		if (!__atomic_load_n(&slot->used, __ATOMIC_SEQ_CST) || slot->tid == self)
			continue;
		if (__atomic_load_n(&slot->cpu.inside, __ATOMIC_SEQ_CST) &&
		    !__atomic_load_n(&slot->parked, __ATOMIC_SEQ_CST))
			syscall(SYS_tgkill, process, slot->tid, PARK_SIGNAL);
	}
}

bool sim_world_stop(void)
{
	struct cpu_slot *self = slot_of_thread();
	uint64_t start = sim_now_ns(), next = 0;
	int nobody = 0;

	if (!__atomic_compare_exchange_n(&world_owner, &nobody, self->tid, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST)) {
		if (nobody == self->tid)
			sim_violation("the debugger was entered again from inside of itself");
		/* Parked until that one is over; it may not have raised the flag yet. */
		while (__atomic_load_n(&world_owner, __ATOMIC_SEQ_CST) == nobody) {
			const struct timespec nap = {0, 100000};

			park(self);
			nanosleep(&nap, nullptr);
		}
		return false;
	}
	__atomic_store_n(&world_stopped, 1, __ATOMIC_SEQ_CST);
	while (const struct cpu_slot *left = not_parked(self->tid)) {
		const struct timespec nap = {0, 50000};
		uint64_t now = sim_now_ns();

		if (now - start > PARK_LIMIT_NS)
			sim_violation("%s (thread %d) does not stop for the debugger: it is %s",
				      left->cpu.name, static_cast<int>(left->tid),
				      left->cpu.host ? "in a host section" : "in the kernel");
		if (now >= next) {
			signal_all(self->tid);
			next = now + 20000000;
		}
		nanosleep(&nap, nullptr);
	}
	level_before = self->cpu.level;
	self->cpu.level = SIM_DEBUGGER;
	return true;
}

void sim_world_go(void)
{
	struct cpu_slot *self = slot_of_thread();

	if (__atomic_load_n(&world_owner, __ATOMIC_SEQ_CST) != self->tid)
		sim_violation("sim_world_go() by a thread that did not stop it");
	self->cpu.level = level_before;
	/* The owner last: the next one's flag must not be taken down. */
	__atomic_store_n(&world_stopped, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&world_owner, 0, __ATOMIC_SEQ_CST);
	futex_wake(&world_stopped);
}

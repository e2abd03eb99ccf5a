/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate of a work loop: a recursive lock that sleeps, and sleeping in it until an event.
 *
 * It lives as long as anybody refers to it, longer than its loop: up to 10.10 a command gate keeps
 * the loop it was removed from, and using it after the loop's end must be found out.
 */
#ifndef SIM_MACOS_LOOP_GATE_H
#define SIM_MACOS_LOOP_GATE_H

#include "guest/ports/xnu/kpi/workloop.h"
#include "sim/macos/sim.h"

struct sim_gate_sleeper;

struct sim_gate {
	pthread_mutex_t lock;
	struct sim_cpu *owner; /* atomic: others look at it to see that it is not theirs */
	const char *owner_name;
	unsigned depth;
	const char *outer;	/* what the owner held before */
	struct sim_cpu *last;	/* who had it last, or has it */
	unsigned waiting;	/* threads that wait for it */
	unsigned hungry;	/* of those, threads that have waited for long */
	struct sim_cpu *thread; /* the loop's; 0 before it runs and after it has ended */
	bool dead;		/* the loop has been freed */
	unsigned refs;
	pthread_mutex_t sleep_lock;
	struct sim_gate_sleeper *sleepers;
	char name[64];
};

struct sim_gate *sim_gate_make(const char *name);
void sim_gate_retain(struct sim_gate *gate);
void sim_gate_release(struct sim_gate *gate);

/* `what` is the function that a message is to name. */
void sim_gate_close(struct sim_gate *gate, const char *what);
bool sim_gate_try(struct sim_gate *gate, const char *what);
void sim_gate_open(struct sim_gate *gate, const char *what);
bool sim_gate_mine(const struct sim_gate *gate);

/* Gate held: dropped completely and taken again. deadline is absolute, 0 for none. */
int sim_gate_sleep(struct sim_gate *gate, void *event, UInt64 deadline, const char *what);
void sim_gate_wake(struct sim_gate *gate, void *event, bool one);

/* The gate of a loop that lives, else 0. */
struct sim_gate *sim_gate_of(const IOWorkLoop *loop);

/* The deadline of a kext, in its own unit, as a time of sim_now_ns(). */
uint64_t sim_deadline_ns(UInt64 deadline);

/*
 * Around a call into a kext: it must return with no more locks than it was called with. `code` is
 * the address called, for the message.
 */
class sim_called
{
public:
	sim_called(const char *what, const void *code);
	~sim_called();

private:
	const char *what;
	const void *code;
	struct sim_cpu before;
	unsigned gates;
};

/* A function of one type as one of another: what a kext gave is kept in the base class's type. */
template <typename to, typename from> static inline to sim_function(from f)
{
	return reinterpret_cast<to>(reinterpret_cast<void (*)()>(f));
}

template <typename from> static inline const void *sim_code(from f)
{
	return reinterpret_cast<const void *>(f);
}

#endif

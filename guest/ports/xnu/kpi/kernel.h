/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's plain functions: memory, locks, time, logging, atomics, deferred calls.
 */
#ifndef KPI_KERNEL_H
#define KPI_KERNEL_H

#include <stdarg.h>
#include "types.h"
#include "libc.h"

extern "C" {

/* ---- memory: the length is given back to the free function ---- */

void *IOMalloc(vm_size_t);
void IOFree(void *, vm_size_t);
void *IOMallocAligned(vm_size_t, vm_offset_t alignment);
void IOFreeAligned(void *, vm_size_t);

extern vm_size_t page_size;

/* ---- logging; IOLog() may sleep: not from a filter, not under an IOSimpleLock ---- */

void IOLog(const char *, ...) __attribute__((format(printf, 1, 2)));
void IOLogv(const char *, va_list) __attribute__((format(printf, 1, 0)));
void kprintf(const char *, ...) __attribute__((format(printf, 1, 2)));
void panic(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- time ---- */

void IODelay(unsigned microseconds); /* spins */
void IOSleep(unsigned milliseconds);
UInt64 mach_absolute_time(void);
void clock_get_uptime(UInt64 *);
void absolutetime_to_nanoseconds(UInt64, UInt64 *);
void nanoseconds_to_absolutetime(UInt64, UInt64 *);
void clock_interval_to_deadline(uint32_t interval, uint32_t scale, UInt64 *);
void clock_delay_until(UInt64 deadline);

/* ---- a lock for interrupt level: no sleeping while it is held ---- */

IOSimpleLock *IOSimpleLockAlloc(void);
void IOSimpleLockFree(IOSimpleLock *);
void IOSimpleLockInit(IOSimpleLock *);
void IOSimpleLockLock(IOSimpleLock *);
boolean_t IOSimpleLockTryLock(IOSimpleLock *);
void IOSimpleLockUnlock(IOSimpleLock *);

boolean_t ml_set_interrupts_enabled(boolean_t); /* returns what it was before */
boolean_t ml_get_interrupts_enabled(void);
boolean_t ml_at_interrupt_context(void);

/* ---- a lock that sleeps, and one that may be taken again by its holder ---- */

IOLock *IOLockAlloc(void);
void IOLockFree(IOLock *);
void IOLockLock(IOLock *);
boolean_t IOLockTryLock(IOLock *);
void IOLockUnlock(IOLock *);
int IOLockSleep(IOLock *, void *event, UInt32 how);
int IOLockSleepDeadline(IOLock *, void *event, AbsoluteTime deadline, UInt32 how);
void IOLockWakeup(IOLock *, void *event, bool one_thread);

IORecursiveLock *IORecursiveLockAlloc(void);
void IORecursiveLockFree(IORecursiveLock *);
void IORecursiveLockLock(IORecursiveLock *);
boolean_t IORecursiveLockTryLock(IORecursiveLock *);
void IORecursiveLockUnlock(IORecursiveLock *);
boolean_t IORecursiveLockHaveLock(const IORecursiveLock *);

/*
 * ---- atomics: arithmetic returns the value from before, OSCompareAndSwap whether it swapped,
 * OSTestAndSet and OSTestAndClear whether the bit was so already ----
 */

SInt32 OSIncrementAtomic(volatile SInt32 *);
SInt32 OSDecrementAtomic(volatile SInt32 *);
SInt32 OSAddAtomic(SInt32, volatile SInt32 *);
SInt64 OSAddAtomic64(SInt64, volatile SInt64 *);
UInt32 OSBitOrAtomic(UInt32, volatile UInt32 *);
UInt32 OSBitAndAtomic(UInt32, volatile UInt32 *);
Boolean OSCompareAndSwap(UInt32 from, UInt32 to, volatile UInt32 *);
Boolean OSCompareAndSwap64(UInt64 from, UInt64 to, volatile UInt64 *);
Boolean OSCompareAndSwapPtr(void *from, void *to, void *volatile *);
Boolean OSTestAndSet(UInt32 bit, volatile UInt8 *);
Boolean OSTestAndClear(UInt32 bit, volatile UInt8 *);

/* ---- a call on another thread; cancel does not wait for one that runs ---- */

typedef void *thread_call_param_t;
typedef void (*thread_call_func_t)(thread_call_param_t, thread_call_param_t);

thread_call_t thread_call_allocate(thread_call_func_t, thread_call_param_t);
boolean_t thread_call_free(thread_call_t);
boolean_t thread_call_enter(thread_call_t);
boolean_t thread_call_enter_delayed(thread_call_t, UInt64 deadline);
boolean_t thread_call_cancel(thread_call_t);
thread_t current_thread(void);

/* ---- about this kernel ---- */

boolean_t PE_parse_boot_argn(const char *name, void *value, int size);
int read_random(void *, unsigned int);

extern const int version_major; /* of Darwin: 10 is Mac OS X 10.6, 19 is macOS 10.15 */
extern const int version_minor;
extern const int version_revision;
}

/* Not exported functions: what a kernel's own code has in line too. */
typedef boolean_t IOInterruptState;

static inline IOInterruptState IOSimpleLockLockDisableInterrupt(IOSimpleLock *lock)
{
	IOInterruptState state = ml_set_interrupts_enabled(0);

	IOSimpleLockLock(lock);
	return state;
}

static inline void IOSimpleLockUnlockEnableInterrupt(IOSimpleLock *lock, IOInterruptState state)
{
	IOSimpleLockUnlock(lock);
	ml_set_interrupts_enabled(state);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ground of the simulated kernel: memory, locks, bits, boot arguments. What must end in a
 * violation is done in a child, which has to abort with the right words.
 */
#include "tests/sim/core_kit.h"

/* ---- memory ---- */

static void all_sizes()
{
	inside in;
	uint8_t *p;

	for (vm_size_t size = 1; size < 100000; size += 1 + size / 2) {
		p = static_cast<uint8_t *>(IOMalloc(size));
		CHECK(p && p[0] != 0 && p[size - 1] != 0);
		IOFree(p, size);
		p = static_cast<uint8_t *>(IOMallocAligned(size, 4096));
		CHECK(p && (reinterpret_cast<uintptr_t>(p) & 4095) == 0);
		IOFreeAligned(p, size);
	}
}

static void at_interrupt_level()
{
	inside in;

	sim_interrupt_begin();
	(void)IOMalloc(8);
}

static void under_a_spin_lock()
{
	inside in;

	IOSimpleLockLock(IOSimpleLockAlloc());
	(void)IOMalloc(8);
}

static void with_interrupts_off()
{
	inside in;

	ml_set_interrupts_enabled(false);
	(void)IOMalloc(8);
}

static void in_the_debugger()
{
	inside in;

	CHECK(sim_world_stop());
	(void)IOMalloc(8);
}

static void other_size()
{
	inside in;

	IOFree(IOMalloc(64), 63);
}

static void freed_twice()
{
	inside in;
	void *p = IOMalloc(64);

	IOFree(p, 64);
	IOFree(p, 64);
}

static void freed_as_another_kind()
{
	inside in;

	IOFree(IOMallocAligned(64, 64), 64);
}

static void nothing_asked_for()
{
	inside in;

	(void)IOMalloc(0);
}

static void test_memory(void **)
{
	runs(13, all_sizes);
	dies(13, at_interrupt_level, "IOMalloc called at interrupt level");
	dies(13, under_a_spin_lock, "IOMalloc called with a spin lock held");
	dies(13, with_interrupts_off, "IOMalloc called with interrupts disabled");
	dies(13, in_the_debugger, "IOMalloc called while the debugger has stopped everything");
	dies(13, other_size, "of 64 bytes is freed as 63");
	dies(13, freed_twice, "but was not allocated so (or is free)");
	dies(13, freed_as_another_kind, "but was not allocated so (or is free)");
	dies(13, nothing_asked_for, "IOMalloc of 0 bytes");
}

/* Only what a kext asks for fails, and counts. */
static void the_kernels_own()
{
	inside in;
	void *p;

	(void)mac_fail_alloc(1, true);
	p = IOMalloc(8);
	CHECK(p != nullptr);
	IOFree(p, 8);
	CHECK(!sim_alloc_fails(reinterpret_cast<void *>(the_kernels_own)));
	CHECK(mac_fail_alloc(0, false) == 0);
}

static void test_failures_on_demand(void **)
{
	runs(13, the_kernels_own);
}

/* ---- device memory ---- */

static void pieces()
{
	inside in;
	uint64_t first, whole;
	void *a, *b, *c;

	a = sim_ram_alloc(100, 1, UINT64_MAX);
	b = sim_ram_alloc(64, 4096, UINT64_MAX);
	CHECK(a && b && sim_ram_has(a) && !sim_ram_has(&a));
	CHECK((sim_ram_address(b) & 4095) == 0);
	CHECK(sim_ram_address(a) >= RAM_LOW && sim_ram_address(a) != sim_ram_address(b));
	/* The last byte has to be below the limit. */
	first = sim_ram_address(b) + 64;
	CHECK(sim_ram_alloc(4096, 4096, RAM_LOW) == nullptr);
	CHECK(sim_ram_alloc(RAM_SIZE, 1, UINT64_MAX) == nullptr);
	CHECK(sim_ram_alloc(0, 1, UINT64_MAX) == nullptr);
	CHECK(sim_ram_alloc(64, 48, UINT64_MAX) == nullptr);
	CHECK(sim_ram_alloc(SIZE_MAX - 3, 1, UINT64_MAX) == nullptr);
	c = sim_ram_alloc(64, 1, first + 63);
	CHECK(c && sim_ram_address(c) + 63 <= first + 63);
	sim_ram_free(c, 64);
	sim_ram_free(a, 100);
	sim_ram_free(b, 64);
	/* Neighbours have become one again: there is a piece as large as all that is free. */
	whole = 1 << 20;
	while (void *p = sim_ram_alloc(whole, 1, UINT64_MAX)) {
		sim_ram_free(p, whole);
		whole += 1 << 20;
	}
	a = sim_ram_alloc(whole / 2, 1, UINT64_MAX);
	b = sim_ram_alloc(whole / 4, 1, UINT64_MAX);
	CHECK(a && b);
	sim_ram_free(a, whole / 2);
	sim_ram_free(b, whole / 4);
	c = sim_ram_alloc(whole - (1 << 20), 1, UINT64_MAX);
	CHECK(c);
	sim_ram_free(c, whole - (1 << 20));
}

static void ram_other_size()
{
	inside in;

	sim_ram_free(sim_ram_alloc(4096, 1, UINT64_MAX), 2048);
}

static void ram_twice()
{
	inside in;
	void *p = sim_ram_alloc(4096, 1, UINT64_MAX);

	sim_ram_free(p, 4096);
	sim_ram_free(p, 4096);
}

static void ram_foreign()
{
	static int x;

	(void)sim_ram_address(&x);
}

static void ram_left()
{
	(void)sim_ram_alloc(4096, 1, UINT64_MAX);
}

static void test_device_memory(void **)
{
	runs(13, pieces);
	dies(13, ram_other_size, "but not in use so");
	dies(13, ram_twice, "but not in use so");
	dies(13, ram_foreign, "is no memory that a device can reach");
	leaves(ram_left, "device memory at 0x");
}

/* ---- spin locks ---- */

static IOSimpleLock *spin;

static void spin_well()
{
	inside in;
	IOInterruptState before;

	spin = IOSimpleLockAlloc();
	before = IOSimpleLockLockDisableInterrupt(spin);
	CHECK(before && !ml_get_interrupts_enabled() && !IOSimpleLockTryLock(spin));
	IOSimpleLockUnlockEnableInterrupt(spin, before);
	CHECK(ml_get_interrupts_enabled());
	sim_interrupt_begin();
	CHECK(ml_at_interrupt_context());
	IOSimpleLockLock(spin);
	IOSimpleLockUnlock(spin);
	sim_interrupt_end();
	IOSimpleLockFree(spin);
}

static void spin_exposed()
{
	inside in;

	spin = IOSimpleLockAlloc();
	IOSimpleLockLock(spin); /* with interrupts on */
	IOSimpleLockUnlock(spin);
	sim_interrupt_begin();
	IOSimpleLockLock(spin);
}

static void spin_twice()
{
	inside in;

	spin = IOSimpleLockAlloc();
	IOSimpleLockLock(spin);
	IOSimpleLockLock(spin);
}

static void spin_not_held()
{
	inside in;

	IOSimpleLockUnlock(IOSimpleLockAlloc());
}

static void spin_freed_held()
{
	inside in;

	spin = IOSimpleLockAlloc();
	IOSimpleLockLock(spin);
	IOSimpleLockFree(spin);
}

static void spin_and_interrupts()
{
	inside in;
	IOInterruptState before;

	spin = IOSimpleLockAlloc();
	before = IOSimpleLockLockDisableInterrupt(spin);
	ml_set_interrupts_enabled(before);
}

static void spin_and_exit()
{
	sim_enter("test");
	IOSimpleLockLock(IOSimpleLockAlloc());
	sim_exit();
}

static void spin_and_interrupt_end()
{
	inside in;

	spin = IOSimpleLockAlloc();
	sim_interrupt_begin();
	IOSimpleLockLock(spin);
	sim_interrupt_end();
}

static void spin_and_sleep()
{
	inside in;

	IOSimpleLockLock(IOSimpleLockAlloc());
	IOSleep(1);
}

static void test_spin_locks(void **)
{
	runs(13, spin_well);
	dies(13, spin_exposed, "that deadlocks on one processor");
	dies(13, spin_twice, "test has it already");
	dies(13, spin_not_held, "IOSimpleLockUnlock of a lock that test does not hold");
	dies(13, spin_freed_held, "IOSimpleLockFree of a lock that is held");
	dies(13, spin_and_interrupts, "interrupts are enabled with a spin lock held");
	dies(13, spin_and_exit, "leaves the kernel with a spin lock");
	dies(13, spin_and_interrupt_end, "returned with a spin lock held");
	dies(13, spin_and_sleep, "IOSleep called with a spin lock held");
}

/* ---- locks that sleep ---- */

static IOLock *lock;
static IORecursiveLock *recursive;
static volatile int seen;

static void lock_twice()
{
	inside in;

	lock = IOLockAlloc();
	IOLockLock(lock);
	IOLockLock(lock);
}

static void lock_in_filter()
{
	inside in;

	lock = IOLockAlloc();
	sim_interrupt_begin();
	IOLockLock(lock);
}

static void unlocker(void *)
{
	IOLockUnlock(lock);
}

static void unlocked_by_another()
{
	inside in;

	lock = IOLockAlloc();
	IOLockLock(lock);
	sim_thread_start("another", unlocker, nullptr);
	nap_ms(3000);
}

static void lock_freed_held()
{
	inside in;

	lock = IOLockAlloc();
	IOLockLock(lock);
	IOLockFree(lock);
}

static void sleep_without()
{
	inside in;

	lock = IOLockAlloc();
	(void)IOLockSleep(lock, &lock, 0);
}

static void recursive_tries(void *)
{
	seen = IORecursiveLockTryLock(recursive) ? 2 : 1;
}

static void recursive_well()
{
	inside in;

	recursive = IORecursiveLockAlloc();
	IORecursiveLockLock(recursive);
	IORecursiveLockLock(recursive);
	CHECK(IORecursiveLockTryLock(recursive));
	IORecursiveLockUnlock(recursive);
	IORecursiveLockUnlock(recursive);
	CHECK(IORecursiveLockHaveLock(recursive));
	sim_thread_start("tries", recursive_tries, nullptr);
	for (unsigned i = 0; i < 5000 && !seen; i++)
		nap_ms(1);
	CHECK(seen == 1);
	IORecursiveLockUnlock(recursive);
	CHECK(!IORecursiveLockHaveLock(recursive));
	IORecursiveLockFree(recursive);
}

/* Two sleep on one event and one on another; who is told wakes up, and nobody else. */
static char events[2];
static volatile int asleep, awake[2];

static void sleeper(void *arg)
{
	int which = arg == &events[1];

	IOLockLock(lock);
	asleep = asleep + 1;
	CHECK(IOLockSleep(lock, arg, 0) == 0);
	awake[which] = awake[which] + 1;
	IOLockUnlock(lock);
}

static int both(volatile int *n, int want)
{
	int is = 0;

	for (unsigned i = 0; i < 5000; i++) {
		IOLockLock(lock);
		is = *n;
		IOLockUnlock(lock);
		if (is >= want)
			break;
		nap_ms(1);
	}
	return is;
}

static void sleep_and_wake_up()
{
	inside in;
	uint64_t start;

	lock = IOLockAlloc();
	for (unsigned i = 0; i < 3; i++)
		sim_thread_start("sleeper", sleeper, &events[i == 2]);
	CHECK(both(&asleep, 3) == 3);
	IOLockWakeup(lock, &events[0], true);
	CHECK(both(&awake[0], 1) == 1);
	nap_ms(20);
	CHECK(both(&awake[0], 1) == 1 && awake[1] == 0);
	IOLockWakeup(lock, &events[0], false);
	CHECK(both(&awake[0], 2) == 2 && awake[1] == 0);
	IOLockWakeup(lock, &events[1], false);
	CHECK(both(&awake[1], 1) == 1);
	/* A deadline passes, also one that has passed before. */
	IOLockLock(lock);
	start = sim_now_ns();
	CHECK(IOLockSleepDeadline(lock, &lock, start + 20 * MS, 0) == 1);
	CHECK(sim_now_ns() - start >= 20 * MS);
	CHECK(IOLockSleepDeadline(lock, &lock, 0, 0) == 1);
	IOLockUnlock(lock);
	while (sim_threads() > 30)
		nap_ms(1);
	nap_ms(50);
	IOLockFree(lock);
}

static void test_locks(void **)
{
	dies(13, lock_twice, "IOLockLock: test has it already");
	dies(13, lock_in_filter, "IOLockLock called at interrupt level");
	dies(13, unlocked_by_another, "IOLockUnlock of a lock that another does not hold");
	dies(13, lock_freed_held, "IOLockFree of a lock that is held");
	dies(13, sleep_without, "IOLockSleep with a lock that test does not hold");
	runs(13, recursive_well);
	runs(13, sleep_and_wake_up);
}

/* ---- words of the C library, bits, boot arguments ---- */

static void arguments()
{
	inside in;
	uint32_t n = 7;
	uint16_t s[2] = {7, 7};
	uint64_t l = 7;
	char text[8];

	sim_config.boot_args =
		"a=3 bb=0x10 -v  word ip=10.0.2.15 neg=-1 empty= ab=9 oct=010\tlast=1";
	CHECK(PE_parse_boot_argn("a", &n, sizeof(n)) && n == 3);
	CHECK(PE_parse_boot_argn("ab", &n, sizeof(n)) && n == 9);
	CHECK(PE_parse_boot_argn("bb", &s[0], sizeof(s[0])) && s[0] == 16 && s[1] == 7);
	CHECK(PE_parse_boot_argn("bb", &l, sizeof(l)) && l == 16);
	CHECK(PE_parse_boot_argn("-v", &n, sizeof(n)) && n == 1);
	CHECK(PE_parse_boot_argn("word", &n, sizeof(n)) && n == 1);
	CHECK(PE_parse_boot_argn("neg", &n, sizeof(n)) && n == ~0u);
	CHECK(PE_parse_boot_argn("oct", &n, sizeof(n)) && n == 8);
	CHECK(PE_parse_boot_argn("last", &n, sizeof(n)) && n == 1);
	n = 7;
	CHECK(!PE_parse_boot_argn("b", &n, sizeof(n)) && !PE_parse_boot_argn("wor", &n, 4));
	CHECK(!PE_parse_boot_argn("3", &n, sizeof(n)) && n == 7);
	memset(text, 'x', sizeof(text));
	CHECK(PE_parse_boot_argn("ip", text, sizeof(text)) && !strcmp(text, "10.0.2."));
	CHECK(PE_parse_boot_argn("ip", text, 3) && !strcmp(text, "10"));
	sim_config.boot_args = "";
	CHECK(!PE_parse_boot_argn("a", &n, sizeof(n)));
}

static void bits()
{
	UInt8 at[4] = {};

	CHECK(!OSTestAndSet(0, at) && at[0] == 0x80);
	CHECK(OSTestAndSet(0, at) && at[0] == 0x80);
	CHECK(!OSTestAndSet(7, at) && at[0] == 0x81);
	CHECK(!OSTestAndSet(10, at) && at[1] == 0x20);
	CHECK(!OSTestAndClear(0, at) && at[0] == 0x01); /* false: it was set */
	CHECK(OSTestAndClear(0, at) && at[0] == 0x01);
}

static void test_arguments_and_bits(void **)
{
	runs(13, arguments);
	runs(6, bits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),	      cmocka_unit_test(test_failures_on_demand),
		cmocka_unit_test(test_device_memory), cmocka_unit_test(test_spin_locks),
		cmocka_unit_test(test_locks),	      cmocka_unit_test(test_arguments_and_bits),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rest of kpi/kernel.h: atomics, boot arguments, random numbers, a few words of the C library.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/core/core.h"
#include "sim/macos/kdp/kdp.h"
#include "sim/macos/sim.h"

extern "C" {
vm_size_t page_size = 4096;
extern task_t kernel_task;
task_t kernel_task = reinterpret_cast<task_t>(&page_size);
}

extern "C" void panic(const char *format, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	sim_panic_enter(why);
	sim_violation("panic: %s", why);
}

/* ---- atomics ---- */

extern "C" SInt32 OSIncrementAtomic(volatile SInt32 *at)
{
	return __atomic_fetch_add(at, 1, __ATOMIC_SEQ_CST);
}

extern "C" SInt32 OSDecrementAtomic(volatile SInt32 *at)
{
	return __atomic_fetch_sub(at, 1, __ATOMIC_SEQ_CST);
}

extern "C" SInt32 OSAddAtomic(SInt32 n, volatile SInt32 *at)
{
	return __atomic_fetch_add(at, n, __ATOMIC_SEQ_CST);
}

extern "C" SInt64 OSAddAtomic64(SInt64 n, volatile SInt64 *at)
{
	return __atomic_fetch_add(at, n, __ATOMIC_SEQ_CST);
}

extern "C" UInt32 OSBitOrAtomic(UInt32 bits, volatile UInt32 *at)
{
	return __atomic_fetch_or(at, bits, __ATOMIC_SEQ_CST);
}

extern "C" UInt32 OSBitAndAtomic(UInt32 bits, volatile UInt32 *at)
{
	return __atomic_fetch_and(at, bits, __ATOMIC_SEQ_CST);
}

extern "C" Boolean OSCompareAndSwap(UInt32 from, UInt32 to, volatile UInt32 *at)
{
	return __atomic_compare_exchange_n(at, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

extern "C" Boolean OSCompareAndSwap64(UInt64 from, UInt64 to, volatile UInt64 *at)
{
	return __atomic_compare_exchange_n(at, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

extern "C" Boolean OSCompareAndSwapPtr(void *from, void *to, void *volatile *at)
{
	return __atomic_compare_exchange_n(at, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/* [XNU-CORE-5] Bit 0 of these two is the highest of the first byte. */
extern "C" Boolean OSTestAndSet(UInt32 bit, volatile UInt8 *at)
{
	UInt8 mask = static_cast<UInt8>(0x80 >> (bit & 7));

	return (__atomic_fetch_or(at + bit / 8, mask, __ATOMIC_SEQ_CST) & mask) != 0;
}

extern "C" Boolean OSTestAndClear(UInt32 bit, volatile UInt8 *at)
{
	UInt8 mask = static_cast<UInt8>(0x80 >> (bit & 7));

	return (__atomic_fetch_and(at + bit / 8, static_cast<UInt8>(~mask), __ATOMIC_SEQ_CST) &
		mask) == 0;
}

/* ---- boot arguments ---- */

/*
 * [XNU-CORE-6] "name=value" where the value is a number fills an integer of `size` bytes, else the
 * text is copied, cut to size; a bare name or -name is the number 1.
 */
extern "C" boolean_t PE_parse_boot_argn(const char *name, void *value, int size)
{
	const char *at = sim_config.boot_args ? sim_config.boot_args : "";
	size_t len = strlen(name);

	while (*at) {
		size_t word = strcspn(at, " \t");
		const char *text = at + len + 1;
		char *end;
		unsigned long long number;

		if (word >= len && !strncmp(at, name, len) && (word == len || at[len] == '=')) {
			size_t rest = word > len ? word - len - 1 : 0;

			number = rest ? strtoull(text, &end, 0) : 1;
			if (rest == 0 || end == text + rest) {
				if (size > 8)
					size = 8;
				memcpy(value, &number, static_cast<size_t>(size));
			} else if (size > 0) {
				size_t n = rest < static_cast<size_t>(size) - 1
						   ? rest
						   : static_cast<size_t>(size) - 1;

				memcpy(value, text, n);
				static_cast<char *>(value)[n] = '\0';
			}
			return true;
		}
		at += word;
		at += strspn(at, " \t");
	}
	return false;
}

/* ---- others ---- */

extern "C" int read_random(void *to, unsigned int len)
{
	ssize_t n = getrandom(to, len, 0);

	return n < 0 ? 0 : static_cast<int>(n);
}

unsigned sim_random(unsigned n)
{
	static volatile unsigned state;
	unsigned x = __atomic_add_fetch(&state, 0x9e3779b9u, __ATOMIC_RELAXED) ^ sim_config.seed;

	x ^= x >> 16;
	x *= 0x85ebca6bu;
	x ^= x >> 13;
	x *= 0xc2b2ae35u;
	x ^= x >> 16;
	return n ? x % n : 0;
}

extern "C" size_t sim_strlcpy(char *to, const char *from, size_t size)
{
	size_t len = strlen(from);

	if (size) {
		size_t n = len < size - 1 ? len : size - 1;

		memcpy(to, from, n);
		to[n] = '\0';
	}
	return len;
}

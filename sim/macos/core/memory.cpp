/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory: IOMalloc and its like, an account of who has what, failures on demand, and the part of
 * RAM that devices can reach.
 *
 * Nothing is clear by accident: what is handed out is filled with a pattern, what is given back is
 * filled with another.
 */
#include <map>
#include <stdlib.h>
#include <string.h>
#include <unordered_map>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(at, len) ((void)(at), (void)(len))
#endif

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/core/core.h"
#include "sim/macos/mac.h"
#include "sim/macos/sim.h"

#define FRESH 0xd5
#define STALE 0xdd
#define PAGE  4096u

void sim_undefined(const void *at, size_t len)
{
	VALGRIND_MAKE_MEM_UNDEFINED(at, len);
}

/* Objects with static life may come and go before and after main(): these are never destroyed. */
struct piece {
	const char *kind;
	size_t size;
	const void *caller;
	char kext[32]; /* "": not from a kext */
};
typedef std::unordered_map<const void *, piece> piece_map;
static pthread_mutex_t pieces_lock = PTHREAD_MUTEX_INITIALIZER;

static piece_map &pieces()
{
	static piece_map *map = new piece_map;

	return *map;
}

void sim_born(const char *kind, const void *what, size_t size, const void *caller)
{
	const char *kext = sim_kext_name(caller);
	piece p = {kind, size, caller, ""};

	if (kext)
		sim_strlcpy(p.kext, kext, sizeof(p.kext));
	pthread_mutex_lock(&pieces_lock);
	pieces()[what] = p;
	pthread_mutex_unlock(&pieces_lock);
}

void sim_died(const char *kind, const void *what)
{
	piece_map::iterator it;
	bool found;

	pthread_mutex_lock(&pieces_lock);
	it = pieces().find(what);
	found = it != pieces().end();
	if (found)
		pieces().erase(it);
	pthread_mutex_unlock(&pieces_lock);
	if (!found)
		sim_violation("%s %p is freed, but there is no such thing (freed twice?)", kind,
			      what);
}

static void tell(FILE *out, const void *what, const piece &p)
{
	if (out)
		fprintf(out, "%s of %zu bytes at %p, asked for by %s at %p\n", p.kind, p.size, what,
			p.kext[0] ? p.kext : "the kernel", p.caller);
}

unsigned sim_alive_from(const void *lo, const void *hi, FILE *out)
{
	unsigned n = 0;

	pthread_mutex_lock(&pieces_lock);
	for (const auto &entry : pieces()) {
		const piece &p = entry.second;

		if (p.caller < lo || p.caller >= hi)
			continue;
		tell(out, entry.first, p);
		n++;
	}
	pthread_mutex_unlock(&pieces_lock);
	return n;
}

unsigned sim_alive_from_kexts(FILE *out)
{
	unsigned n = 0;

	pthread_mutex_lock(&pieces_lock);
	for (const auto &entry : pieces()) {
		if (!entry.second.kext[0])
			continue;
		tell(out, entry.first, entry.second);
		n++;
	}
	pthread_mutex_unlock(&pieces_lock);
	return n;
}

/* ---- leaks, for mac_halt() ---- */

static FILE *leaks_out;
static unsigned leaks;

void sim_leaks_to(FILE *out)
{
	leaks_out = out;
	leaks = 0;
}

unsigned sim_leaks(void)
{
	return leaks;
}

void sim_leak(const char *format, ...)
{
	va_list ap;

	leaks++;
	if (!leaks_out)
		return;
	va_start(ap, format);
	vfprintf(leaks_out, format, ap);
	va_end(ap);
	fputc('\n', leaks_out);
}

/* ---- failures on demand ---- */

static volatile unsigned asked;	   /* since the last call of mac_fail_alloc() */
static volatile unsigned fail_nth; /* 0: none */
static volatile bool fail_forever;

unsigned mac_fail_alloc(unsigned nth, bool forever)
{
	unsigned before;

	fail_nth = 0;
	before = __atomic_exchange_n(&asked, 0, __ATOMIC_SEQ_CST);
	fail_forever = forever;
	fail_nth = nth;
	return before;
}

bool sim_alloc_fails(const void *caller)
{
	unsigned n, nth = fail_nth;

	if (!sim_in_kext(caller))
		return false;
	n = __atomic_add_fetch(&asked, 1, __ATOMIC_SEQ_CST);
	return nth && (n == nth || (fail_forever && n > nth));
}

/* ---- the kernel's heap ---- */

static void *heap_alloc(const char *kind, size_t size, size_t align, const void *caller)
{
	void *p = nullptr;

	if (sim_alloc_fails(caller))
		return nullptr;
	if (size == 0)
		sim_violation("%s of 0 bytes", kind);
	if (posix_memalign(&p, align < 16 ? 16 : align, size) != 0)
		return nullptr;
	memset(p, FRESH, size);
	sim_undefined(p, size);
	sim_born(kind, p, size, caller);
	return p;
}

static void heap_free(const char *kind, void *p, size_t size)
{
	piece_map::iterator it;
	size_t had = 0;
	bool found;

	pthread_mutex_lock(&pieces_lock);
	it = pieces().find(p);
	found = it != pieces().end() && !strcmp(it->second.kind, kind);
	if (found) {
		had = it->second.size;
		pieces().erase(it);
	}
	pthread_mutex_unlock(&pieces_lock);
	if (!found)
		sim_violation("%s memory at %p is freed, but was not allocated so (or is free)",
			      kind, p);
	if (had != size)
		sim_violation("%s memory at %p of %zu bytes is freed as %zu", kind, p, had, size);
	memset(p, STALE, size);
	free(p);
}

extern "C" void *IOMalloc(vm_size_t size)
{
	sim_may_block("IOMalloc");
	return heap_alloc("IOMalloc", size, 16, __builtin_return_address(0));
}

extern "C" void IOFree(void *p, vm_size_t size)
{
	sim_may_block("IOFree");
	heap_free("IOMalloc", p, size);
}

extern "C" void *IOMallocAligned(vm_size_t size, vm_offset_t alignment)
{
	sim_may_block("IOMallocAligned");
	if (alignment & (alignment - 1))
		sim_violation("IOMallocAligned with an alignment of %lu", alignment);
	return heap_alloc("IOMallocAligned", size, alignment, __builtin_return_address(0));
}

extern "C" void IOFreeAligned(void *p, vm_size_t size)
{
	sim_may_block("IOFreeAligned");
	heap_free("IOMallocAligned", p, size);
}

/* ---- device memory: first fit over what the board leaves ---- */

static pthread_mutex_t ram_lock = PTHREAD_MUTEX_INITIALIZER;
static std::map<uint64_t, uint64_t> *ram_free;	/* address: length */
static std::map<uint64_t, uint64_t> *ram_inuse; /* address: length */

void sim_memory_boot(void)
{
	const struct sim_ram *ram = &sim_config.ram;
	uint64_t first = (ram->first + PAGE - 1) & ~static_cast<uint64_t>(PAGE - 1);

	ram_free = new std::map<uint64_t, uint64_t>;
	ram_inuse = new std::map<uint64_t, uint64_t>;
	if (ram->base && ram->end > first)
		(*ram_free)[first] = ram->end - first;
}

void sim_memory_halt(void)
{
	for (const auto &entry : *ram_inuse)
		sim_leak("device memory at %#llx, %llu bytes",
			 static_cast<unsigned long long>(entry.first),
			 static_cast<unsigned long long>(entry.second));
	delete ram_free;
	delete ram_inuse;
	ram_free = ram_inuse = nullptr;
}

void *sim_ram_alloc(size_t len, size_t align, uint64_t limit)
{
	uint64_t want = (len + 63) & ~static_cast<uint64_t>(63), at = 0;
	uint8_t *p = nullptr;

	if (len == 0 || want < len || (align & (align - 1)))
		return nullptr;
	if (align < 64)
		align = 64;
	pthread_mutex_lock(&ram_lock);
	for (auto it = ram_free ? ram_free->begin() : std::map<uint64_t, uint64_t>::iterator();
	     ram_free && it != ram_free->end(); ++it) {
		uint64_t start = it->first, size = it->second, behind;

		at = (start + align - 1) & ~static_cast<uint64_t>(align - 1);
		if (at - start > size || size - (at - start) < want)
			continue;
		if (at + want - 1 > limit)
			continue;
		behind = size - (at - start) - want;
		ram_free->erase(it);
		if (at > start)
			(*ram_free)[start] = at - start;
		if (behind)
			(*ram_free)[at + want] = behind;
		(*ram_inuse)[at] = want;
		p = sim_config.ram.base + at;
		break;
	}
	pthread_mutex_unlock(&ram_lock);
	if (p) {
		memset(p, FRESH, len);
		sim_undefined(p, len);
	}
	return p;
}

void sim_ram_free(void *p, size_t len)
{
	uint64_t at = sim_ram_address(p), want = (len + 63) & ~static_cast<uint64_t>(63);
	std::map<uint64_t, uint64_t>::iterator it, next;
	bool found;

	memset(p, STALE, len);
	pthread_mutex_lock(&ram_lock);
	it = ram_inuse->find(at);
	found = it != ram_inuse->end() && it->second == want;
	if (found) {
		ram_inuse->erase(it);
		it = ram_free->emplace(at, want).first;
		next = std::next(it);
		if (next != ram_free->end() && it->first + it->second == next->first) {
			it->second += next->second;
			ram_free->erase(next);
		}
		if (it != ram_free->begin()) {
			next = std::prev(it);
			if (next->first + next->second == it->first) {
				next->second += it->second;
				ram_free->erase(it);
			}
		}
	}
	pthread_mutex_unlock(&ram_lock);
	if (!found)
		sim_violation("device memory at %p (%zu bytes) is freed, but not in use so", p,
			      len);
}

bool sim_ram_has(const void *p)
{
	const uint8_t *at = static_cast<const uint8_t *>(p), *base = sim_config.ram.base;

	return base && at >= base && static_cast<uint64_t>(at - base) < sim_config.ram.end;
}

uint64_t sim_ram_address(const void *p)
{
	if (!sim_ram_has(p))
		sim_violation("%p is no memory that a device can reach", p);
	return static_cast<uint64_t>(static_cast<const uint8_t *>(p) - sim_config.ram.base);
}

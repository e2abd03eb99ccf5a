/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where kexts are. An image has its segments at their distances, pages without access around, and
 * stubs behind it: traps, and jumps to what a branch of 32 bits does not reach.
 *
 * Its place is not used again after it was unloaded, so whoever comes back to it is told so. Text
 * stays writable: the debugger sets breakpoints in it.
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "sim/macos/core/core.h"
#include "sim/macos/kext/loaded.h"
#include "sim/macos/sim.h"

#define PAGE	 4096u
#define STUB	 32u
#define PLACES	 4096u /* of all that were ever loaded */
#define NAME_LEN 64u

enum state { EMPTY, LOADED, GONE };

/* Asked at any level, even by a signal handler: no lock. A place is filled once. */
static struct place {
	volatile int state;
	const uint8_t *lo, *hi;
	char name[NAME_LEN];
} places[PLACES];

static const struct place *place_of(const void *address, int state)
{
	const uint8_t *at = static_cast<const uint8_t *>(address);

	for (const struct place &p : places) {
		int is = __atomic_load_n(&p.state, __ATOMIC_ACQUIRE);

		if (is == EMPTY)
			break;
		if (is == state && at >= p.lo && at < p.hi)
			return &p;
	}
	return nullptr;
}

bool sim_in_kext(const void *address)
{
	return place_of(address, LOADED) != nullptr;
}

const char *sim_kext_name(const void *address)
{
	const struct place *p = place_of(address, LOADED);

	return p ? p->name : nullptr;
}

/* A leak checker of the compiler's looks for pointers in there as well. */
extern "C" void __lsan_register_root_region(const void *at, size_t size) __attribute__((weak));
extern "C" void __lsan_unregister_root_region(const void *at, size_t size) __attribute__((weak));

static bool publish(const struct kext &k)
{
	for (struct place &p : places) {
		if (p.state != EMPTY)
			continue;
		p.lo = k.base;
		p.hi = k.base + k.program.size;
		sim_strlcpy(p.name, k.identifier.c_str(), sizeof(p.name));
		__atomic_store_n(&p.state, LOADED, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

static uint64_t stubs_len(const struct kext &k)
{
	/* At most a trap and a jump for each name, and a trap for each slot. */
	uint64_t most = 2 * k.program.symbols.size() + k.patches.size();

	return (most * (STUB + NAME_LEN * 4) + PAGE) & ~static_cast<uint64_t>(PAGE - 1);
}

bool kext_map(struct kext *k, std::string *why)
{
	const struct macho &m = k->program;
	uint64_t stubs = stubs_len(*k);
	void *at;

	k->mapped = PAGE + m.size + stubs + PAGE;
	at = mmap(nullptr, k->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		  0);
	if (at == MAP_FAILED) {
		*why = "no address space for it";
		return false;
	}
	k->base = static_cast<uint8_t *>(at) + PAGE;
	k->stubs = k->base + m.size;
	k->stubs_end = k->stubs + stubs;
	for (const macho_segment &s : m.segments) {
		int protection = PROT_READ | PROT_WRITE;

		if (s.name == "__LINKEDIT")
			continue;
		if (s.name == "__TEXT")
			protection |= PROT_EXEC;
		if (mprotect(k->base + s.addr, s.size, protection) != 0) {
			*why = "no memory for it";
			break;
		}
		if (s.file_size)
			memcpy(k->base + s.addr, m.data.data() + s.offset, s.file_size);
	}
	if (why->empty() && mprotect(k->stubs, stubs, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
		*why = "no memory for it";
	if (why->empty() && !publish(*k))
		*why = "too many kexts";
	if (!why->empty()) {
		munmap(at, k->mapped);
		k->base = nullptr;
		return false;
	}
	if (__lsan_register_root_region)
		__lsan_register_root_region(k->base, m.size);
	return true;
}

void kext_unmap(struct kext *k)
{
	for (struct place &p : places)
		if (p.lo == k->base)
			__atomic_store_n(&p.state, GONE, __ATOMIC_RELEASE);
	if (__lsan_unregister_root_region)
		__lsan_unregister_root_region(k->base, k->program.size);
	/* Mapped anew without access: the memory is given back, the addresses are not. */
	if (mmap(k->base - PAGE, k->mapped, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		sim_violation("the image of %s cannot be unmapped", k->identifier.c_str());
	k->base = k->stubs = k->stubs_end = nullptr;
}

void *kext_stub(struct kext *k, const void *target, const char *name)
{
	static const uint8_t load[2] = {0x48, 0xbf};		 /* mov rdi, the next 8 bytes */
	static const uint8_t jump[6] = {0xff, 0x25, 0, 0, 0, 0}; /* jmp to the next 8 bytes */
	size_t len = name ? strlen(name) + 1 : 0;
	uint8_t *stub = k->stubs, *at = stub;
	const uint8_t *text = stub + STUB;

	/* Names that demangle to something longer are cut. */
	if (len > NAME_LEN * 4)
		len = NAME_LEN * 4;
	if (static_cast<size_t>(k->stubs_end - stub) < STUB + len + STUB)
		sim_violation("no room for the stubs of %s", k->identifier.c_str());
	if (name) {
		memcpy(stub + STUB, name, len - 1);
		stub[STUB + len - 1] = '\0';
		memcpy(at, load, sizeof(load));
		memcpy(at + sizeof(load), &text, sizeof(text));
		at += sizeof(load) + sizeof(text);
	}
	memcpy(at, jump, sizeof(jump));
	memcpy(at + sizeof(jump), &target, sizeof(target));
	k->stubs += STUB + ((len + STUB - 1) & ~static_cast<size_t>(STUB - 1));
	return stub;
}

/* ---- whoever comes back to an image that is gone ---- */

static struct sigaction before;

static void fault(int sig, siginfo_t *info, void *context)
{
	const struct place *p = place_of(info->si_addr, GONE);
	const ucontext_t *u = static_cast<const ucontext_t *>(context);

	if (p)
		sim_violation("%s is used at %p after it was unloaded (by code at %#llx)", p->name,
			      info->si_addr, u->uc_mcontext.gregs[REG_RIP]);
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(sig, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(sig);
	else
		signal(sig, SIG_DFL); /* the instruction runs again, and ends the process */
}

void kext_faults(bool on)
{
	struct sigaction action;

	if (!on) {
		sigaction(SIGSEGV, &before, nullptr);
		return;
	}
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = fault;
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, &before);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/macos/pci/pci.h"
#include "sim/macos/pci/trap.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_DEFINED(at, len) ((void)(at), (void)(len))
#endif

#include "sim/macos/pci/decode.h"
#include "sim/macos/pci/function.h"

#define SLOT_SHIFT  20
#define SLOT_BYTES  (UINT64_C(1) << SLOT_SHIFT)
#define SLOTS	    1024u
#define ARENA_BYTES (SLOTS * SLOT_BYTES)
#define PAGE	    4096u
#define PORT_MOST   0x10000u

enum slot_state { SLOT_NEW, SLOT_LIVE, SLOT_DEAD };

struct slot {
	volatile int state; /* enum slot_state; written last, read first */
	struct mac_pci *pci;
	unsigned bar;
	uint64_t off; /* in the BAR, of the first register */
	uint64_t len;
	unsigned start; /* in the slot, of the first register: as its physical address has it */
};

static uintptr_t arena;
static struct slot slots[SLOTS];
static unsigned next_slot;
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;

/* Number of an instruction's register to index in gregs. */
static const int gregs_of[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8,	 REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

[[noreturn]] static void strange_instruction(const uint8_t *code, uintptr_t at)
{
	char text[3 * DECODE_LONGEST + 1] = "";
	static const char digits[] = "0123456789abcdef";

	/* The rest of the page at most: the next one may not be there. */
	for (unsigned i = 0; i < DECODE_LONGEST; i++) {
		if (i && (reinterpret_cast<uintptr_t>(code + i) & (PAGE - 1)) == 0)
			break;
		text[3 * i] = ' ';
		text[3 * i + 1] = digits[code[i] >> 4];
		text[3 * i + 2] = digits[code[i] & 15];
		text[3 * i + 3] = '\0';
	}
	sim_violation("device register at %#lx accessed by an instruction that is no plain load or "
		      "store:%s",
		      static_cast<unsigned long>(at), text);
}

static void register_access(uintptr_t at, mcontext_t *context)
{
	greg_t *gregs = context->gregs;
	const uint8_t *code = reinterpret_cast<const uint8_t *>(gregs[REG_RIP]);
	struct slot *s = &slots[(at - arena) >> SLOT_SHIFT];
	uint64_t within = (at - arena) & (SLOT_BYTES - 1), off;
	struct decoded d;
	greg_t *reg;

	if (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) != SLOT_LIVE)
		sim_violation("device register at %#lx accessed through a map that %s",
			      static_cast<unsigned long>(at),
			      s->state == SLOT_DEAD ? "was released" : "never was");
	if (!sim_decode(code, &d))
		strange_instruction(code, at);
	off = within - s->start;
	if (within < s->start || off >= s->len || s->len - off < d.width)
		sim_violation("register access behind the end of the map of BAR %u of %s (offset "
			      "%#llx, length %#llx)",
			      s->bar, s->pci->name, static_cast<unsigned long long>(off),
			      static_cast<unsigned long long>(s->len));
	if (d.width > 4)
		sim_violation("register of BAR %u of %s at %#llx accessed with %u bytes", s->bar,
			      s->pci->name, static_cast<unsigned long long>(s->off + off), d.width);
	off += s->off;
	if (off & (d.width - 1))
		sim_violation("register of BAR %u of %s at %#llx accessed with %u bytes: not "
			      "aligned",
			      s->bar, s->pci->name, static_cast<unsigned long long>(off), d.width);
	reg = &gregs[gregs_of[d.reg]];
	if (d.store)
		pci_bar_write(s->pci, s->bar, off, d.width,
			      sim_decode_stored(&d, static_cast<uint64_t>(*reg)));
	else
		*reg = static_cast<greg_t>(
			sim_decode_load(&d, static_cast<uint64_t>(*reg),
					pci_bar_read(s->pci, s->bar, off, d.width)));
	gregs[REG_RIP] += d.len;
}

/* One line for who has to find out; then whoever was asked before us. */
static void elsewhere(int sig, siginfo_t *info, void *ucontext)
{
	const ucontext_t *u = static_cast<const ucontext_t *>(ucontext);
	const void *pc = reinterpret_cast<const void *>(u->uc_mcontext.gregs[REG_RIP]);
	const char *kext = sim_kext_name(pc), *what;
	const char *image = sim_kext_name(info->si_addr);
	uintptr_t at = reinterpret_cast<uintptr_t>(info->si_addr);

	if (sim_dma_guarded(info->si_addr))
		sim_violation("ring touched at %p without the debugger lock, by %p in %s",
			      info->si_addr, pc, kext ? kext : "the simulation");
	if (image)
		what = "in the image of a kext, read-only or unloaded";
	else if (at < PAGE)
		what = "a null pointer";
	else if (at < PORT_MOST)
		what = "a port number taken for an address, or a null pointer";
	else if (sim_ram_has(info->si_addr))
		what = "in device memory that is not allocated";
	else
		what = "no memory: freed, or of an unloaded kext";
	sim_log("sim: fault at %p (%s) from %p in %s", info->si_addr, what, pc,
		kext ? kext : "the simulation");
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(sig, info, ucontext);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(sig);
	} else {
		/* The instruction runs again, and this time it ends the process. */
		signal(sig, SIG_DFL);
	}
}

static void fault(int sig, siginfo_t *info, void *ucontext)
{
	uintptr_t at = reinterpret_cast<uintptr_t>(info->si_addr);
	int saved = errno;

	if (arena && at - arena < ARENA_BYTES)
		register_access(at, &static_cast<ucontext_t *>(ucontext)->uc_mcontext);
	else
		elsewhere(sig, info, ucontext);
	errno = saved;
}

void sim_trap_boot(void)
{
	struct sigaction action;
	void *at = mmap(nullptr, ARENA_BYTES, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		sim_violation("no address space for device registers");
	arena = reinterpret_cast<uintptr_t>(at);
	/* memcheck is not to find fault with what is meant to fault. */
	VALGRIND_MAKE_MEM_DEFINED(at, ARENA_BYTES);
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = fault;
	/* A fault of the board's, inside the handler, is to be seen as well. */
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, &before);
}

/* Round the arena: never used ones first, then the one that has been dead for longest. */
static struct slot *take_slot(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &slots[next_slot];

		next_slot = (next_slot + 1) % SLOTS;
		if (s->state != SLOT_LIVE)
			return s;
	}
	return nullptr;
}

uintptr_t sim_trap_map(struct mac_pci *pci, unsigned bar, uint64_t off, uint64_t len, uint64_t phys)
{
	struct slot *s;
	unsigned start = static_cast<unsigned>(phys & (PAGE - 1));

	if (len > SLOT_BYTES - start)
		return 0;
	pthread_mutex_lock(&slots_lock);
	s = take_slot();
	if (s) {
		s->pci = pci;
		s->bar = bar;
		s->off = off;
		s->len = len;
		s->start = start;
		__atomic_store_n(&s->state, SLOT_LIVE, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&slots_lock);
	return s ? arena + (static_cast<uint64_t>(s - slots) << SLOT_SHIFT) + start : 0;
}

void sim_trap_unmap(uintptr_t address)
{
	__atomic_store_n(&slots[(address - arena) >> SLOT_SHIFT].state, SLOT_DEAD,
			 __ATOMIC_RELEASE);
}

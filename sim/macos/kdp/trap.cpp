/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps, the registers behind them, and memory as a debugger sees it. */
#include "sim/macos/kdp/kdp.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "sim/macos/kdp/server.h"
#include "sim/macos/sim.h"

#ifndef __x86_64__
#error "kexts are x86-64 code, and so is what debugs them"
#endif

__asm__(".text\n"
	".globl sim_debugger_trap\n"
	".type sim_debugger_trap, @function\n"
	"sim_debugger_trap:\n"
	"	.cfi_startproc\n"
	"	int3\n"
	".globl sim_debugger_trapped\n"
	"sim_debugger_trapped:\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size sim_debugger_trap, . - sim_debugger_trap\n");
extern "C" const char sim_debugger_trapped[];

/* Of the thread that stopped the world. */
static ucontext_t *stopped;
static volatile bool serving;
static struct sigaction before;

/* ---- memory ---- */

enum { PAGE = 4096 };

/* How much of a copy of n bytes at `at` lies in its page, and in the address space. */
static size_t kdp_in_page(uint64_t at, size_t n)
{
	size_t left = PAGE - (size_t)(at % PAGE);

	return n < left ? n : left;
}

/* [XNU-KDP-13] Page by page, up to the first that is not there. */
size_t kdp_memory_read(uint64_t at, void *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t part = kdp_in_page(at + done, n - done);
		struct iovec here = {(uint8_t *)to + done, part};
		struct iovec there = {(void *)(uintptr_t)(at + done), part};
		ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);

		if (got <= 0)
			break;
		done += (size_t)got;
		if ((size_t)got < part)
			break;
	}
	return done;
}

/*
 * [XNU-KDP-14] Read-only memory is written, too: the kernel's debugger writes through physical
 * addresses, and the kernel lets a process write its own memory file so. What cannot be read
 * cannot be written.
 */
size_t kdp_memory_write(uint64_t at, const void *from, size_t n)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	size_t done = 0;

	while (fd >= 0 && done < n && at + done <= INT64_MAX) {
		size_t part = kdp_in_page(at + done, n - done);
		uint8_t probe;
		ssize_t put;

		if (kdp_memory_read(at + done, &probe, 1) != 1)
			break;
		put = pwrite(fd, (const uint8_t *)from + done, part, (off_t)(at + done));
		if (put <= 0)
			break;
		done += (size_t)put;
		if ((size_t)put < part)
			break;
	}
	if (fd >= 0)
		(void)close(fd);
	return done;
}

/* ---- registers ---- */

static const struct {
	int from;
	size_t off;
} kdp_registers[] = {
	{REG_RAX, offsetof(struct kdp_regs64, rax)}, {REG_RBX, offsetof(struct kdp_regs64, rbx)},
	{REG_RCX, offsetof(struct kdp_regs64, rcx)}, {REG_RDX, offsetof(struct kdp_regs64, rdx)},
	{REG_RDI, offsetof(struct kdp_regs64, rdi)}, {REG_RSI, offsetof(struct kdp_regs64, rsi)},
	{REG_RBP, offsetof(struct kdp_regs64, rbp)}, {REG_RSP, offsetof(struct kdp_regs64, rsp)},
	{REG_R8, offsetof(struct kdp_regs64, r8)},   {REG_R9, offsetof(struct kdp_regs64, r9)},
	{REG_R10, offsetof(struct kdp_regs64, r10)}, {REG_R11, offsetof(struct kdp_regs64, r11)},
	{REG_R12, offsetof(struct kdp_regs64, r12)}, {REG_R13, offsetof(struct kdp_regs64, r13)},
	{REG_R14, offsetof(struct kdp_regs64, r14)}, {REG_R15, offsetof(struct kdp_regs64, r15)},
	{REG_RIP, offsetof(struct kdp_regs64, rip)}, {REG_EFL, offsetof(struct kdp_regs64, rflags)},
};

void kdp_trap_get_regs(struct kdp_regs64 *regs)
{
	const greg_t *g = stopped->uc_mcontext.gregs;
	uint64_t segments = (uint64_t)g[REG_CSGSFS]; /* cs, gs, fs: 16 bits each */
	le64 v;

	memset(regs, 0, sizeof(*regs));
	for (auto &r : kdp_registers) {
		v = le64_make((uint64_t)g[r.from]);
		memcpy((uint8_t *)regs + r.off, &v, sizeof(v));
	}
	regs->cs = le64_make(segments & 0xffff);
	regs->gs = le64_make(segments >> 16 & 0xffff);
	regs->fs = le64_make(segments >> 32 & 0xffff);
}

/* Segments stay as they are: this process could not live with others. */
void kdp_trap_set_regs(const struct kdp_regs64 *regs)
{
	greg_t *g = stopped->uc_mcontext.gregs;
	le64 v;

	for (auto &r : kdp_registers) {
		memcpy(&v, (const uint8_t *)regs + r.off, sizeof(v));
		g[r.from] = (greg_t)le64_get(v);
	}
}

/* ---- traps ---- */

static bool kdp_is_trap(uint64_t at)
{
	uint8_t byte = 0;

	return kdp_memory_read(at, &byte, 1) == 1 && byte == 0xcc;
}

static void kdp_trap(ucontext_t *uc, bool step)
{
	greg_t *g = uc->uc_mcontext.gregs;
	uint64_t rip = (uint64_t)g[REG_RIP];
	struct kdp_entry *entry = 0;
	bool put_off;

	if (!step && rip == (uint64_t)(uintptr_t)sim_debugger_trapped)
		entry = (struct kdp_entry *)(uintptr_t)g[REG_RDI];
	if (serving && sim_cpu()->level == SIM_DEBUGGER)
		sim_violation("a breakpoint or a single step at %#llx is in code that the debugger "
			      "itself runs",
			      (unsigned long long)rip - !step);
	if (!entry && !kdp_enabled())
		sim_violation("a trap at %#llx, and no debugger to take it",
			      (unsigned long long)rip - !step);
	while (!sim_world_stop()) {
		/* Another stop came first. If it took the breakpoint away, it was never hit. */
		if (!entry && !step && !kdp_is_trap(rip - 1)) {
			g[REG_RIP]--;
			return;
		}
	}
	/* Kept here: once the world goes, the entry is whose who serves it. */
	put_off = entry && kdp_put_off(entry);
	if (!put_off) {
		stopped = uc;
		serving = true;
		/* [XNU-KDP-15] Breakpoints and single steps are told apart by nothing. */
		kdp_serve_stop(entry, KDP_EXC_BREAKPOINT, KDP_CODE_BREAKPOINT);
		serving = false;
		stopped = 0;
	}
	sim_world_go();
	if (entry && !put_off && entry->key)
		kdp_entry_done();
}

/*
 * [XNU-KDP-16] The registers are those of the trap: after an int3, rip is behind it, and a debugger
 * that set it there has to take one off.
 */
static void kdp_on_trap(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)sig;
	kdp_trap((ucontext_t *)context, info->si_code == TRAP_TRACE);
	errno = saved;
}

void kdp_trap_boot(void)
{
	struct sigaction action = {};

	action.sa_sigaction = kdp_on_trap;
	/* Not blocked meanwhile: a second trap has to be told from the first, not to kill. */
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGTRAP, &action, &before) != 0)
		sim_violation("no signal handler for traps: %s", strerror(errno));
}

void kdp_trap_halt(void)
{
	(void)sigaction(SIGTRAP, &before, 0);
}

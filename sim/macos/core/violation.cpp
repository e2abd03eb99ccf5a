/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Telling: the kernel's log, and the one line before the end. At any level: only write(2), no
 * allocation but what the backtrace of a process that is about to end may need.
 */
#include <execinfo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/sim.h"

#define LINE_MAX_LEN 1024
#define FRAMES	     32

void (*sim_log_hook)(const char *line);

static void write_all(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n <= 0)
			return;
		text += n;
		len -= static_cast<size_t>(n);
	}
}

void sim_logv(const char *format, va_list ap)
{
	char line[LINE_MAX_LEN];
	int n = vsnprintf(line, sizeof(line) - 1, format, ap);
	size_t len;

	if (n < 0)
		return;
	len = strlen(line);
	while (len && line[len - 1] == '\n')
		line[--len] = '\0';
	if (sim_log_hook)
		sim_log_hook(line);
	if (sim_config.quiet)
		return;
	line[len++] = '\n';
	write_all(line, len);
}

void sim_log(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	sim_logv(format, ap);
	va_end(ap);
}

void sim_violation(const char *format, ...)
{
	static volatile int once;
	char line[LINE_MAX_LEN];
	void *frames[FRAMES];
	va_list ap;
	int n;

	/* The first one is the one that matters; others wait for the end here. */
	if (__atomic_exchange_n(&once, 1, __ATOMIC_SEQ_CST)) {
		sleep(5);
		abort();
	}
	memcpy(line, "sim: violation: ", 17);
	va_start(ap, format);
	n = vsnprintf(line + 16, sizeof(line) - 18, format, ap);
	va_end(ap);
	if (n < 0)
		line[16] = '\0';
	if (sim_log_hook)
		sim_log_hook(line);
	strcat(line, "\n");
	write_all(line, strlen(line));
	n = backtrace(frames, FRAMES);
	for (int i = 1; i < n; i++) {
		const char *kext = sim_kext_name(frames[i]);

		if (kext) {
			char where[128];
			int len = snprintf(where, sizeof(where), "sim:   at %p in %s\n", frames[i],
					   kext);

			if (len > 0)
				write_all(where, static_cast<size_t>(len));
		}
	}
	if (getenv("VIOKIT_BACKTRACE"))
		backtrace_symbols_fd(frames, n, STDERR_FILENO);
	abort();
}

/* ---- the kernel's own ways ---- */

extern "C" void IOLogv(const char *format, va_list ap)
{
	/* [XNU-CORE-2] IOLog may take a lock that sleeps. */
	sim_may_block("IOLog");
	sim_logv(format, ap);
}

extern "C" void IOLog(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	IOLogv(format, ap);
	va_end(ap);
}

extern "C" void kprintf(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	sim_logv(format, ap);
	va_end(ap);
}

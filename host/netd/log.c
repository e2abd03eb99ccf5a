/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE     512u
#define LOG_FILE_MAX (1 << 20) /* then it is begun anew */

/* A log file does not grow for ever; a terminal or a pipe is left alone. */
static void log_bound(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > LOG_FILE_MAX &&
	    ftruncate(STDERR_FILENO, 0) == 0)
		(void)lseek(STDERR_FILENO, 0, SEEK_SET);
}

__attribute__((format(printf, 1, 0))) static void log_write(const char *fmt, va_list ap)
{
	char line[LOG_LINE], when[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	(void)vsnprintf(line, sizeof(line), fmt, ap);
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?'; /* text from outside has no say over a terminal */
	if (localtime_r(&now, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	log_bound();
	(void)dprintf(STDERR_FILENO, "%s vmnet: %s\n", when, line);
}

void log_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_write(fmt, ap);
	va_end(ap);
}

static void log_left_out(uint64_t n)
{
	log_line("%llu lines of this kind were left out", (unsigned long long)n);
}

void log_peer(const char *fmt, ...)
{
	static uint64_t last_ms, credit_ms = LOG_BURST * (1000u / LOG_PER_S), left_out;
	struct timespec ts;
	uint64_t now;
	va_list ap;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
	credit_ms += last_ms ? now - last_ms : 0;
	last_ms = now;
	if (credit_ms > LOG_BURST * (1000u / LOG_PER_S))
		credit_ms = LOG_BURST * (1000u / LOG_PER_S);
	if (credit_ms < 1000u / LOG_PER_S) {
		left_out++;
		return;
	}
	credit_ms -= 1000u / LOG_PER_S;
	if (left_out)
		log_left_out(left_out);
	left_out = 0;
	va_start(ap, fmt);
	log_write(fmt, ap);
	va_end(ap);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/mkpkg/die.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((format(printf, 1, 0))) static void die_print(const char *fmt, va_list ap)
{
	(void)fputs("mkpkg: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	die_print(fmt, ap);
	va_end(ap);
	exit(MKPKG_FAILED);
}

void die_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	die_print(fmt, ap);
	va_end(ap);
	exit(MKPKG_USAGE);
}

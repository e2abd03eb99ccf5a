/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How mkpkg gives up: one line on standard error, then exit.
 *
 * Nothing is written before everything is known, and a file appears under its name only when it is
 * whole (output.h), so there is nothing to undo.
 */
#ifndef MKPKG_DIE_H
#define MKPKG_DIE_H

#define MKPKG_FAILED 1 /* an input is missing or wrong, or the output cannot be written */
#define MKPKG_USAGE  2 /* the command line or the manifest is wrong */

/* Ends with MKPKG_FAILED. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);

/* Ends with MKPKG_USAGE. */
__attribute__((noreturn, format(printf, 1, 2))) void die_usage(const char *fmt, ...);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the first process of every small Linux guest does: file systems, modules, and the end.
 */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

/* Mount /dev, /proc and /sys; load the modules of /modules in order of their names. */
void boot_start(void);
/* Switch the machine off. */
__attribute__((noreturn)) void boot_off(void);
/* One line on the console, with errno in words; then off. */
__attribute__((noreturn, format(printf, 1, 2))) void boot_fail(const char *fmt, ...);
void boot_nap(unsigned ms);

#endif

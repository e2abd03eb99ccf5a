/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few functions of the C library a kernel has. On a host they are the host's own.
 */
#ifndef KPI_LIBC_H
#define KPI_LIBC_H

#include <stdarg.h>
#include <stddef.h>

#ifdef __APPLE__
extern "C" {
void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
void bzero(void *, size_t);
void bcopy(const void *, void *, size_t);
size_t strlen(const char *);
size_t strnlen(const char *, size_t);
int strcmp(const char *, const char *);
int strncmp(const char *, const char *, size_t);
size_t strlcpy(char *, const char *, size_t);
size_t strlcat(char *, const char *, size_t);
int snprintf(char *, size_t, const char *, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *, size_t, const char *, va_list) __attribute__((format(printf, 3, 0)));
}
#else
#include <stdio.h>
#include <string.h>
#include <strings.h>
#endif

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* cmocka with the headers it forgets to include, and what every test here wants. */
#ifndef TESTS_KEXTLD_CM_H
#define TESTS_KEXTLD_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Little-endian, as everything here. */
static inline void cm_put(uint8_t *at, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* cmocka with the headers and the linkage that it forgets. */
#ifndef TESTS_KDP_CM_H
#define TESTS_KDP_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __cplusplus
extern "C" {
#include <cmocka.h>
}
#else
#include <cmocka.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif

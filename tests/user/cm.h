/* SPDX-License-Identifier: BSD-2-Clause */
/* cmocka, with the headers it forgets to include. */
#ifndef TESTS_USER_CM_H
#define TESTS_USER_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef MKPKG_OUTPUT_H
#define MKPKG_OUTPUT_H

#include "common/span.h"

/* Writes a file that appears under its name only when it is whole, readable by all. */
void output_write(const char *path, struct span data);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files in and out. A message names the file; -1 with errno never leaves here. */
#ifndef KEXTLD_FILE_H
#define KEXTLD_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum file_result { FILE_OK, FILE_MISSING, FILE_FAILED };

/* All of a file, malloc()ed. Prints what was wrong; MISSING is the user's mistake. */
enum file_result file_read(const char *path, uint8_t **data, size_t *len);

/* The file has these bytes, or is as it was before: they are written beside it and renamed. What is
 * not a regular file, such as /dev/stdout, is written to as it is. */
bool file_write(const char *path, const void *data, size_t len);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables for people: columns as wide as what is in them, numbers to the right.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS 12u
#define TABLE_CELL    64u /* with its 0; longer texts are cut */

struct table {
	unsigned columns, rows, room;
	unsigned width[TABLE_COLUMNS];
	bool right[TABLE_COLUMNS];
	char (*cells)[TABLE_COLUMNS][TABLE_CELL];
	unsigned next; /* column of the next cell */
	bool failed;   /* out of memory: what is there is printed */
};

/* Titles separated by '|'; one that begins with '>' heads a column of numbers. */
void table_init(struct table *t, const char *titles);
/* Cells from left to right; the row ends with the last column. Control characters become '?'. */
__attribute__((format(printf, 2, 3))) void table_cell(struct table *t, const char *fmt, ...);
/* indent: before each line. The table is empty afterwards. */
void table_print(struct table *t, FILE *out, unsigned indent);

/* 1234567 as "1.2 MiB": three digits or so. */
const char *table_bytes(uint64_t n, char out[24]);
/* Bits a second: "12.3 Mbit/s". */
const char *table_rate(double bits, char out[24]);
/* Seconds as "2d 3h", "5m 10s". */
const char *table_time(int64_t seconds, char out[24]);

#endif

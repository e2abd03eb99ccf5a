/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernels of our own, as small as a test needs: they put a linked kext somewhere and relocate it.
 */
#ifndef TESTS_KEXTLD_PLACE_H
#define TESTS_KEXTLD_PLACE_H

#include "tests/kextld/view.h"

/* ---- x86-64: into this process, to be called ---- */

struct place_binding {
	const char *name;
	void *value;
};

struct place64 {
	uint8_t *base; /* address 0 of the kext */
	size_t size;
};

/* Maps and relocates; every undefined symbol must be bound. */
void place64_load(struct place64 *p, const struct view *v, const struct place_binding *bindings,
		  size_t count);
void *place64_symbol(const struct place64 *p, const struct view *v, const char *name);

/* Runs the functions that sections of that type point to: 9 constructors, 10 destructors. Answers
 * how many. */
unsigned place64_run(const struct place64 *p, const struct view *v, unsigned type);
void place64_unload(struct place64 *p);

/* ---- i386: sections far apart, only looked at ---- */

struct place32 {
	const struct view *v;
	uint32_t link[64]; /* where each section went */
	uint8_t *bytes[64];
};

/* Relocates as the kernels of 10.6 and 10.7 do. An undefined symbol is at place32_away(). */
void place32_load(struct place32 *p, const struct view *v);
void place32_free(struct place32 *p);
uint32_t place32_away(const char *name);

/* The address a defined symbol went to, and the word at an address. */
uint32_t place32_symbol(const struct place32 *p, const char *name);
uint32_t place32_word(const struct place32 *p, uint32_t addr);

#endif

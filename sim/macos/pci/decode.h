/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loads and stores that compilers make of an access to a register: x86-64 mov, movzx, movsx of
 * 1, 2 or 4 bytes between memory and a general register, or an immediate value to memory.
 */
#ifndef SIM_MACOS_PCI_DECODE_H
#define SIM_MACOS_PCI_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#define DECODE_LONGEST 15u

struct decoded {
	unsigned len;	/* of the instruction */
	unsigned width; /* of the access */
	bool store;
	bool immediate; /* store: of `value`, not of a register */
	uint32_t value;
	unsigned reg;	    /* 0-15 */
	bool high;	    /* the second byte of reg: ah, ch, dh, bh */
	unsigned reg_width; /* load: how much of the register is written */
	bool sign;	    /* load: extended with its sign */
};

/* Reads no byte beyond the instruction. False: it is none of these. */
bool sim_decode(const uint8_t *code, struct decoded *out);
/* What a load leaves in its register, which held `old`. */
uint64_t sim_decode_load(const struct decoded *d, uint64_t old, uint32_t val);
/* What a store writes from its register. */
uint32_t sim_decode_stored(const struct decoded *d, uint64_t reg);

#endif

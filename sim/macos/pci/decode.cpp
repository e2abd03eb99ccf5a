/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/macos/pci/decode.h"

#define REX_W 8u
#define REX_R 4u

struct cursor {
	const uint8_t *at;
	unsigned n;
};

static unsigned next(struct cursor *c)
{
	return c->at[c->n++];
}

static uint32_t next_value(struct cursor *c, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= static_cast<uint32_t>(next(c)) << (8 * i);
	return value;
}

/* The address itself is known from the fault; only its length matters. False: a register. */
static bool skip_address(struct cursor *c, unsigned modrm)
{
	unsigned mod = modrm >> 6, rm = modrm & 7;
	unsigned displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;

	if (mod == 3)
		return false;
	if (rm == 4) {
		unsigned sib = next(c);

		if (mod == 0 && (sib & 7) == 5)
			displacement = 4;
	} else if (mod == 0 && rm == 5) {
		displacement = 4; /* from the instruction pointer */
	}
	c->n += displacement;
	return true;
}

static void name_reg(struct decoded *out, unsigned modrm, unsigned rex, unsigned reg_bytes)
{
	out->reg = (modrm >> 3 & 7) | ((rex & REX_R) ? 8 : 0);
	/* Without any REX prefix, byte registers 4-7 are the second bytes of 0-3. */
	if (reg_bytes == 1 && !rex && out->reg >= 4) {
		out->reg -= 4;
		out->high = true;
	}
}

/* mov in the four forms with a register. */
static bool decode_mov(struct cursor *c, unsigned op, unsigned rex, unsigned full,
		       struct decoded *out)
{
	unsigned modrm = next(c);

	out->width = (op & 1) ? full : 1;
	out->store = !(op & 2);
	out->reg_width = out->width;
	name_reg(out, modrm, rex, out->width);
	return skip_address(c, modrm);
}

static bool decode_immediate(struct cursor *c, unsigned op, unsigned full, struct decoded *out)
{
	unsigned modrm = next(c);

	if ((modrm >> 3 & 7) != 0 || !skip_address(c, modrm))
		return false;
	out->store = out->immediate = true;
	out->width = (op & 1) ? full : 1;
	out->value = next_value(c, out->width == 8 ? 4 : out->width);
	return true;
}

/* movzx, movsx (0f b6, b7, be, bf) and movsxd (63). */
static bool decode_extend(struct cursor *c, unsigned op, unsigned rex, unsigned full,
			  struct decoded *out)
{
	unsigned modrm = next(c);

	out->width = op == 0x63 ? 4 : (op & 1) ? 2 : 1;
	out->reg_width = full;
	out->sign = op == 0x63 || (op & 8);
	name_reg(out, modrm, rex, full);
	return skip_address(c, modrm);
}

bool sim_decode(const uint8_t *code, struct decoded *out)
{
	struct cursor c = {code, 0};
	unsigned rex = 0, full = 4, op;
	bool ok = false;

	*out = {};
	op = next(&c);
	/* 66: 16 bits. The segment prefixes mean nothing here; 67 is an address by 32 bits. */
	while (op == 0x66 || op == 0x67 || op == 0x2e || op == 0x36 || op == 0x3e || op == 0x26) {
		if (op == 0x66)
			full = 2;
		if (c.n > 4)
			return false;
		op = next(&c);
	}
	if ((op & 0xf0) == 0x40) {
		rex = op;
		if (rex & REX_W)
			full = 8;
		op = next(&c);
	}
	if (op >= 0x88 && op <= 0x8b) {
		ok = decode_mov(&c, op, rex, full, out);
	} else if (op == 0xc6 || op == 0xc7) {
		ok = decode_immediate(&c, op, full, out);
	} else if (op == 0x63) {
		ok = decode_extend(&c, op, rex, full, out);
	} else if (op == 0x0f) {
		op = next(&c);
		if (op == 0xb6 || op == 0xb7 || op == 0xbe || op == 0xbf)
			ok = decode_extend(&c, op, rex, full, out);
	}
	out->len = c.n;
	return ok;
}

static uint64_t low_bits(uint64_t value, unsigned bytes)
{
	return bytes >= 8 ? value : value & ((UINT64_C(1) << (8 * bytes)) - 1);
}

uint64_t sim_decode_load(const struct decoded *d, uint64_t old, uint32_t val)
{
	uint64_t v = low_bits(val, d->width);

	if (d->sign && v >> (8 * d->width - 1))
		v |= ~low_bits(~UINT64_C(0), d->width);
	if (d->high)
		return (old & ~UINT64_C(0xff00)) | v << 8;
	if (d->reg_width < 4)
		return (old & ~low_bits(~UINT64_C(0), d->reg_width)) | low_bits(v, d->reg_width);
	return low_bits(v, d->reg_width); /* 32 bits clear the upper half */
}

uint32_t sim_decode_stored(const struct decoded *d, uint64_t reg)
{
	if (d->immediate)
		return d->value;
	return static_cast<uint32_t>(low_bits(d->high ? reg >> 8 : reg, d->width));
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/kextld/place.h"

#include <sys/mman.h>

enum { PLACE_VENEER = 16 };

/* ---- x86-64 ---- */

static void *place64_bind(const struct place_binding *bindings, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(bindings[i].name, name))
			return bindings[i].value;
	}
	fail_msg("%s is undefined, and the test does not bind it", name);
	return NULL;
}

static void place64_add(uint8_t *at, uint64_t value)
{
	uint64_t pointer;

	memcpy(&pointer, at, sizeof(pointer));
	pointer += value;
	memcpy(at, &pointer, sizeof(pointer));
}

/* The test's own functions are out of reach of a call: jump there from close by. */
static void place64_branch(uint8_t *at, uint64_t target, uint8_t *veneer)
{
	int32_t near;
	int64_t far;

	memcpy(veneer, "\x48\xb8", 2); /* mov $target, %rax */
	memcpy(veneer + 2, &target, sizeof(target));
	memcpy(veneer + 10, "\xff\xe0", 2); /* jmp *%rax */
	memcpy(&near, at, sizeof(near));
	far = near + (veneer - (at + 4));
	near = (int32_t)far;
	assert_true(near == far);
	memcpy(at, &near, sizeof(near));
}

void place64_load(struct place64 *p, const struct view *v, const struct place_binding *bindings,
		  size_t count)
{
	size_t top = (size_t)v->segments[2].addr;

	p->size = top + v->nextrel * PLACE_VENEER;
	p->base = mmap(NULL, p->size, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p->base, MAP_FAILED);
	for (unsigned i = 0; i < 2; i++)
		memcpy(p->base + v->segments[i].addr, v->data + v->segments[i].fileoff,
		       (size_t)v->segments[i].filesize);
	for (unsigned i = 0; i < v->nlocrel; i++) {
		uint32_t at = view_u32(v, v->locrel + i * 8);

		assert_true(at <= top - 8);
		place64_add(p->base + at, (uintptr_t)p->base);
	}
	for (unsigned i = 0; i < v->nextrel; i++) {
		uint32_t at = view_u32(v, v->extrel + i * 8);
		uint32_t word = view_u32(v, v->extrel + i * 8 + 4);
		void *to = place64_bind(bindings, count, v->symbols[word & 0xffffff].name);

		assert_true(at <= top - 8);
		if (word >> 28 == 0)
			place64_add(p->base + at, (uintptr_t)to);
		else
			place64_branch(p->base + at, (uintptr_t)to,
				       p->base + top + i * PLACE_VENEER);
	}
}

void *place64_symbol(const struct place64 *p, const struct view *v, const char *name)
{
	return p->base + view_addr(v, name);
}

unsigned place64_run(const struct place64 *p, const struct view *v, unsigned type)
{
	unsigned ran = 0;

	for (unsigned i = 0; i < v->section_count; i++) {
		const struct view_section *s = &v->sections[i];

		if ((s->flags & 0xff) != type)
			continue;
		for (uint64_t k = 0; k < s->size; k += 8, ran++) {
			void (*function)(void);

			memcpy(&function, p->base + s->addr + k, sizeof(function));
			function();
		}
	}
	return ran;
}

void place64_unload(struct place64 *p)
{
	munmap(p->base, p->size);
}

/* ---- i386 ---- */

uint32_t place32_away(const char *name)
{
	uint32_t addr = 0xc0000000u;

	while (*name)
		addr += (uint32_t)(unsigned char)*name++ * 0x1010;
	return addr;
}

static uint32_t place32_of(const struct place32 *p, const struct view_symbol *s)
{
	if ((s->type & 0xe) == 0)
		return place32_away(s->name);
	if ((s->type & 0xe) == 2)
		return (uint32_t)s->value;
	return (uint32_t)(s->value - p->v->sections[s->sect - 1].addr) + p->link[s->sect - 1];
}

/* How far the section moved that an address is in. */
static uint32_t place32_moved(const struct place32 *p, uint32_t addr)
{
	for (unsigned i = 0; i < p->v->section_count; i++) {
		const struct view_section *s = &p->v->sections[i];

		if (addr >= s->addr && addr - s->addr < s->size)
			return p->link[i] - (uint32_t)s->addr;
	}
	fail_msg("0x%x is in no section", addr);
	return 0;
}

static void place32_relocate(struct place32 *p, unsigned n)
{
	const struct view_section *s = &p->v->sections[n];

	for (unsigned i = 0; i < s->nreloc; i++) {
		uint32_t first, second, at, word, target;
		uint8_t *bytes;

		view_reloc(p->v, s, i, &first, &second);
		at = first >> 31 ? first & 0xffffff : first;
		assert_true(at <= s->size && s->size - at >= 4);
		bytes = p->bytes[n] + at;
		if (first >> 31) {
			uint32_t pair, other, type = first >> 24 & 0xf;

			/* The first may not be one: theirs would miscount. */
			assert_true(i > 0 && (type == 2 || type == 4));
			view_reloc(p->v, s, ++i, &pair, &other);
			assert_int_equal(pair >> 24, 0xa1);
			target = place32_moved(p, second) - place32_moved(p, other);
		} else if (second >> 27 & 1) {
			target = place32_of(p, &p->v->symbols[second & 0xffffff]);
		} else {
			unsigned sect = (second & 0xffffff) - 1;

			target = p->link[sect] - (uint32_t)p->v->sections[sect].addr;
		}
		/* Not by how much this section moved: that is theirs, and why code is at 0. */
		if (!(first >> 31) && second >> 24 & 1)
			target -= p->link[n];
		memcpy(&word, bytes, sizeof(word));
		word += target;
		memcpy(bytes, &word, sizeof(word));
	}
}

void place32_load(struct place32 *p, const struct view *v)
{
	memset(p, 0, sizeof(*p));
	p->v = v;
	for (unsigned i = 0; i < v->section_count; i++) {
		const struct view_section *s = &v->sections[i];

		p->link[i] = 0x10000000u + i * 0x1000000u;
		p->bytes[i] = calloc(1, (size_t)s->size + 1);
		assert_non_null(p->bytes[i]);
		if ((s->flags & 0xff) != 1)
			memcpy(p->bytes[i], v->data + s->offset, (size_t)s->size);
	}
	for (unsigned i = 0; i < v->section_count; i++)
		place32_relocate(p, i);
}

void place32_free(struct place32 *p)
{
	for (unsigned i = 0; i < p->v->section_count; i++)
		free(p->bytes[i]);
}

uint32_t place32_symbol(const struct place32 *p, const char *name)
{
	view_addr(p->v, name);
	return place32_of(p, view_symbol(p->v, name));
}

uint32_t place32_word(const struct place32 *p, uint32_t addr)
{
	for (unsigned i = 0; i < p->v->section_count; i++) {
		uint32_t word, at = addr - p->link[i];

		if (addr < p->link[i] || at > p->v->sections[i].size ||
		    p->v->sections[i].size - at < 4)
			continue;
		memcpy(&word, p->bytes[i] + at, sizeof(word));
		return word;
	}
	fail_msg("0x%x is in no section", addr);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rig as an operating system: memory, time, log.
 *
 * The arena is one mapping with device addresses of its own. Its first part holds packet buffers,
 * the rest is handed out by dma_alloc, never twice: what was freed stays poisoned and inaccessible
 * to the device, so that a late write shows as a DMA fault of the model or as a broken poison.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/lib/rig_internal.h"

#define POISON 0xdb

bool rig_memory_create(struct rig *r)
{
	/* Most of it is never touched, and costs nothing then. */
	r->arena = mmap(NULL, r->arena_len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->arena == MAP_FAILED) {
		r->arena = NULL;
		return false;
	}
	r->arena_next = (r->pool_len + 4095) & ~(size_t)4095;
	return true;
}

void rig_memory_destroy(struct rig *r)
{
	for (unsigned i = 0; i < RIG_ALLOCS; i++)
		free(r->allocs[i].ptr);
	if (r->arena)
		munmap(r->arena, r->arena_len);
}

uint64_t rig_da(const struct rig *r, const void *ptr)
{
	return r->da_base + (uint64_t)((const uint8_t *)ptr - r->arena);
}

/* The model's view: live shared blocks, and packet buffers that the driver has. */
void *rig_device_mem(void *ctx, uint64_t addr, size_t len)
{
	struct rig *r = ctx;
	uint64_t off = addr - r->da_base;

	if (addr < r->da_base || off >= r->arena_len || r->arena_len - off < len)
		return NULL;
	if (off < r->pool_len) {
		size_t room = r->packets[0].room;
		struct packet *p = &r->packets[off / room];

		if (p->owner == OWNER_PORT || off % room + len > room)
			return NULL;
		return r->arena + off;
	}
	for (unsigned i = 0; i < r->nblocks; i++) {
		const struct block *b = &r->blocks[i];

		if (b->live && off >= b->off && off - b->off < b->len &&
		    b->len - (off - b->off) >= len)
			return r->arena + off;
	}
	return NULL;
}

static bool must_fail(struct rig *r)
{
	if (r->fail_nth == 0)
		return false;
	if (r->fail_nth == 1 && r->fail_forever)
		return true;
	return --r->fail_nth == 0;
}

static void *os_alloc(void *os, size_t len)
{
	struct rig *r = os;

	r->n.allocs++;
	if (r->attached)
		r->n.late_allocs++;
	if (must_fail(r))
		return NULL;
	for (unsigned i = 0; i < RIG_ALLOCS; i++) {
		if (r->allocs[i].ptr)
			continue;
		r->allocs[i].ptr = calloc(1, len ? len : 1);
		r->allocs[i].len = len;
		r->n.live_bytes += len;
		return r->allocs[i].ptr;
	}
	rig_fail(r, "more private allocations than expected", RIG_ALLOCS);
	return NULL;
}

static void os_free(void *os, void *ptr, size_t len)
{
	struct rig *r = os;

	if (ptr == NULL)
		return;
	for (unsigned i = 0; i < RIG_ALLOCS; i++) {
		if (r->allocs[i].ptr != ptr)
			continue;
		if (r->allocs[i].len != len)
			rig_fail(r, "free with another length", len);
		r->n.live_bytes -= r->allocs[i].len;
		free(ptr);
		r->allocs[i].ptr = NULL;
		return;
	}
	rig_fail(r, "free of what was not allocated", len);
}

static int os_dma_alloc(void *os, size_t len, size_t align, unsigned addr_bits, struct vio_dma *out)
{
	struct rig *r = os;
	uint64_t da;
	size_t off;

	r->n.dma_allocs++;
	if (r->attached)
		r->n.late_allocs++;
	if (must_fail(r))
		return VIO_ENOMEM;
	if (len == 0 || align == 0 || align & (align - 1)) {
		rig_fail(r, "dma_alloc of nothing, or odd alignment", align);
		return VIO_ENOMEM;
	}
	/* Aligned on the device's side; one unused byte-run between blocks. */
	da = (r->da_base + r->arena_next + align - 1) & ~(uint64_t)(align - 1);
	off = (size_t)(da - r->da_base);
	if (r->nblocks == RIG_BLOCKS || off + len > r->arena_len ||
	    (addr_bits < 64 && (da + len) >> addr_bits))
		return VIO_ENOMEM;
	r->blocks[r->nblocks++] = (struct block){off, len, true};
	r->arena_next = off + len + 64;
	memset(r->arena + off, 0, len);
	*out = (struct vio_dma){.va = r->arena + off, .da = da, .len = len};
	out->handle = (void *)(uintptr_t)r->nblocks;
	r->n.live_dma += len;
	return VIO_OK;
}

static void os_dma_free(void *os, struct vio_dma *dma)
{
	struct rig *r = os;
	size_t i = (uintptr_t)dma->handle;

	if (dma->va == NULL)
		return;
	if (i == 0 || i > r->nblocks || !r->blocks[i - 1].live ||
	    r->arena + r->blocks[i - 1].off != dma->va || r->blocks[i - 1].len != dma->len) {
		rig_fail(r, "dma_free of what was not allocated", dma->da);
		return;
	}
	if (r->model && model_owns(r->model, dma->da, dma->len)) {
		model_attest(r->model, NORM_CL_2, false, "ring or table memory freed while live");
		rig_fail(r, "shared memory freed while the device uses it", dma->da);
	}
	r->blocks[i - 1].live = false;
	memset(dma->va, POISON, dma->len);
	r->n.live_dma -= dma->len;
}

/* The device works while the driver waits. */
static void run_device(struct rig *r)
{
	if (r->model == NULL || r->in_device)
		return;
	r->in_device = true;
	model_poll(r->model);
	r->in_device = false;
}

static uint64_t os_time_us(void *os)
{
	struct rig *r = os;

	return ++r->now;
}

static void os_delay_us(void *os, uint32_t us)
{
	struct rig *r = os;

	if (us > 1000)
		rig_fail(r, "delay above 1000 us", us);
	r->now += us;
	run_device(r);
}

static void os_lock(void *os)
{
	struct rig *r = os;

	if (r->locked++)
		rig_fail(r, "lock taken twice", r->locked);
}

static void os_unlock(void *os)
{
	struct rig *r = os;

	if (r->locked-- != 1) {
		rig_fail(r, "unlock without lock", 0);
		r->locked = 0;
	}
}

static void os_log(void *os, enum vio_log_level level, const char *what, uint64_t value)
{
	struct rig *r = os;

	(void)value;
	if (what == NULL || (unsigned)level >= 4) {
		rig_fail(r, "log line without text or level", (uint64_t)level);
		return;
	}
	r->n.logs[level]++;
}

const struct vio_os_ops rig_os_ops = {
	.alloc = os_alloc,
	.free = os_free,
	.dma_alloc = os_dma_alloc,
	.dma_free = os_dma_free,
	.time_us = os_time_us,
	.delay_us = os_delay_us,
	.lock = os_lock,
	.unlock = os_unlock,
	.log = os_log,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory of operation
 *
 * Private blocks carry a header with their length, so that a wrong one in free is noticed and live
 * bytes can be counted. DMA blocks are kept in a list sorted by address, nodes in private heap
 * memory out of the device's reach; an allocation takes the first gap it fits in. Freed DMA memory
 * is filled with a pattern: a device that still reads it reads nonsense at once, not by chance.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "guest/ports/user/user_os.h"
#include "guest/ports/user/wait.h"

#define FREED_FILL   0xdb
#define DELAY_MAX_US 1000u
#define HEAP_MAGIC   0x76696f6bu

struct heap_header {
	_Alignas(max_align_t) size_t len;
	uint32_t magic;
};

struct user_block {
	struct user_block *next;
	uint64_t off; /* in the region */
	uint64_t len;
};

static struct user_os *of(void *ctx)
{
	return ctx;
}

/* Both are called with heap_lock held. */
static bool may_fail(struct user_os *u)
{
	return ++u->allocs == u->fail_at;
}

static void breach(struct user_os *u)
{
	u->misuse++;
}

static void *os_alloc(void *ctx, size_t len)
{
	struct user_os *u = of(ctx);
	struct heap_header *h = NULL;

	pthread_mutex_lock(&u->heap_lock);
	if (!may_fail(u) && len <= SIZE_MAX - sizeof(*h))
		h = calloc(1, sizeof(*h) + len);
	if (h) {
		h->len = len;
		h->magic = HEAP_MAGIC;
		u->live_private += len;
		u->blocks_private++;
	}
	pthread_mutex_unlock(&u->heap_lock);
	return h ? h + 1 : NULL;
}

static void os_free(void *ctx, void *ptr, size_t len)
{
	struct user_os *u = of(ctx);
	struct heap_header *h = ptr;

	if (!ptr)
		return;
	h--;
	pthread_mutex_lock(&u->heap_lock);
	if (h->magic != HEAP_MAGIC || h->len != len)
		breach(u);
	if (h->magic == HEAP_MAGIC) {
		u->live_private -= h->len;
		u->blocks_private--;
		h->magic = 0;
		free(h);
	}
	pthread_mutex_unlock(&u->heap_lock);
}

/*
 * Where a block of len bytes fits in [from, to): its offset, or UINT64_MAX. Alignment is that of
 * the device address.
 */
static uint64_t fit(const struct user_os *u, uint64_t from, uint64_t to, uint64_t len,
		    uint64_t align, uint64_t da_limit)
{
	uint64_t da = (u->da + from + align - 1) & ~(align - 1);
	uint64_t off = da - u->da;

	if (da < u->da || off < from || off > to || to - off < len)
		return UINT64_MAX;
	if (da_limit && (da > da_limit || da_limit - da < len))
		return UINT64_MAX;
	return off;
}

/* First fit; the block is in the list when this returns. NULL: no room. */
static struct user_block *place(struct user_os *u, uint64_t len, uint64_t align, uint64_t da_limit)
{
	struct user_block **link = &u->blocks;
	uint64_t from = 0, off;

	for (;; from = (*link)->off + (*link)->len, link = &(*link)->next) {
		off = fit(u, from, *link ? (*link)->off : u->len, len, align, da_limit);
		if (off != UINT64_MAX || !*link)
			break;
	}
	if (off == UINT64_MAX)
		return NULL;

	struct user_block *b = malloc(sizeof(*b));

	if (b) {
		*b = (struct user_block){.next = *link, .off = off, .len = len};
		*link = b;
	}
	return b;
}

static int os_dma_alloc(void *ctx, size_t len, size_t align, unsigned addr_bits,
			struct vio_dma *out)
{
	uint64_t da_limit = addr_bits < 64 ? UINT64_C(1) << addr_bits : 0;
	struct user_os *u = of(ctx);
	struct user_block *b = NULL;

	pthread_mutex_lock(&u->heap_lock);
	if (!len || !align || align & (align - 1))
		breach(u);
	else if (!may_fail(u))
		b = place(u, len, align, da_limit);
	if (b) {
		u->live_dma += len;
		u->blocks_dma++;
		memset(u->base + b->off, 0, len);
		*out = (struct vio_dma){
			.va = u->base + b->off, .da = u->da + b->off, .len = len, .handle = b};
	}
	pthread_mutex_unlock(&u->heap_lock);
	return b ? VIO_OK : VIO_ENOMEM;
}

static void os_dma_free(void *ctx, struct vio_dma *dma)
{
	struct user_os *u = of(ctx);
	struct user_block **link, *b;

	pthread_mutex_lock(&u->heap_lock);
	for (link = &u->blocks; *link && *link != dma->handle; link = &(*link)->next)
		;
	b = *link;
	if (!b || b->len != dma->len || dma->va != u->base + b->off)
		breach(u);
	if (b) {
		*link = b->next;
		u->live_dma -= b->len;
		u->blocks_dma--;
		memset(u->base + b->off, FREED_FILL, b->len);
		free(b);
	}
	*dma = (struct vio_dma){.va = NULL};
	pthread_mutex_unlock(&u->heap_lock);
}

static uint64_t os_time_us(void *ctx)
{
	(void)ctx;
	return wait_now_us();
}

static void os_delay_us(void *ctx, uint32_t us)
{
	uint64_t deadline = wait_deadline_us(us);

	if (us > DELAY_MAX_US) {
		pthread_mutex_lock(&of(ctx)->heap_lock);
		breach(of(ctx));
		pthread_mutex_unlock(&of(ctx)->heap_lock);
	}
	while (!wait_over(deadline))
		;
}

/* The mutex checks for errors: a second lock by its owner is refused instead of waiting for ever.
 */
static void os_lock(void *ctx)
{
	if (pthread_mutex_lock(&of(ctx)->dev_lock))
		breach(of(ctx));
}

static void os_unlock(void *ctx)
{
	if (pthread_mutex_unlock(&of(ctx)->dev_lock))
		breach(of(ctx));
}

static void os_log(void *ctx, enum vio_log_level level, const char *what, uint64_t value)
{
	struct user_os *u = of(ctx);

	if (level <= VIO_LOG_DEBUG)
		u->logs[level]++;
	if (u->log)
		u->log(u->log_arg, level, what, value);
}

static const struct vio_os_ops user_os_ops = {
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

void user_os_init(struct user_os *u, void *base, uint64_t da, uint64_t len)
{
	pthread_mutexattr_t checking;

	*u = (struct user_os){.base = base, .da = da, .len = len};
	u->os.ops = &user_os_ops;
	u->os.ctx = u;
	pthread_mutexattr_init(&checking);
	pthread_mutexattr_settype(&checking, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&u->heap_lock, NULL);
	pthread_mutex_init(&u->dev_lock, &checking);
	pthread_mutexattr_destroy(&checking);
}

int user_os_init_qemu(struct user_os *u, struct qemu *q)
{
	if (!q->ram || q->ram_len <= QEMU_RAM_RESERVED) {
		user_os_init(u, NULL, 0, 0);
		return VIO_ENOTSUP;
	}
	user_os_init(u, q->ram + QEMU_RAM_RESERVED, QEMU_RAM_RESERVED,
		     q->ram_len - QEMU_RAM_RESERVED);
	return VIO_OK;
}

void user_os_fini(struct user_os *u)
{
	while (u->blocks) {
		struct user_block *b = u->blocks;

		u->blocks = b->next;
		free(b);
	}
	pthread_mutex_destroy(&u->heap_lock);
	pthread_mutex_destroy(&u->dev_lock);
}

void user_os_fail(struct user_os *u, uint64_t n)
{
	pthread_mutex_lock(&u->heap_lock);
	u->fail_at = n ? u->allocs + n : 0;
	pthread_mutex_unlock(&u->heap_lock);
}

bool user_os_da(const struct user_os *u, const void *va, size_t len, uint64_t *da)
{
	uintptr_t at = (uintptr_t)va, base = (uintptr_t)u->base;

	if (at < base || at - base > u->len || u->len - (at - base) < len)
		return false;
	*da = u->da + (at - base);
	return true;
}

void *user_os_va(const struct user_os *u, uint64_t da, size_t len)
{
	if (da < u->da || da - u->da > u->len || u->len - (da - u->da) < len)
		return NULL;
	return u->base + (da - u->da);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/netif_pool.h"

#include <stdlib.h>

#define POOL_ALIGN 64u

int netif_pool_init(struct netif_pool *pool, const struct vio_os *os, unsigned n, uint32_t slot_len)
{
	uint32_t stride = (slot_len + POOL_ALIGN - 1) & ~(POOL_ALIGN - 1);
	int err;

	*pool = (struct netif_pool){.os = os, .slot_len = slot_len};
	pool->slots = calloc(n, sizeof(*pool->slots));
	if (!pool->slots)
		return VIO_ENOMEM;
	err = os->ops->dma_alloc(os->ctx, (size_t)n * stride, 4096, 64, &pool->dma);
	if (err != VIO_OK) {
		free(pool->slots);
		*pool = (struct netif_pool){0};
		return err;
	}
	pool->n = pool->n_free = n;
	for (unsigned i = n; i-- > 0;) {
		struct netif_slot *s = &pool->slots[i];

		s->pool = pool;
		s->va = (uint8_t *)pool->dma.va + (size_t)i * stride;
		s->da = pool->dma.da + (uint64_t)i * stride;
		s->next = pool->free;
		pool->free = s;
	}
	return VIO_OK;
}

unsigned netif_pool_fini(struct netif_pool *pool)
{
	unsigned out = netif_pool_out(pool);

	/* what somebody still holds must not be pulled from under him: better to leak it */
	if (pool->slots && out == 0) {
		pool->os->ops->dma_free(pool->os->ctx, &pool->dma);
		free(pool->slots);
	}
	*pool = (struct netif_pool){0};
	return out;
}

struct netif_slot *netif_pool_get(struct netif_pool *pool)
{
	struct netif_slot *s = pool->free;

	if (s) {
		pool->free = s->next;
		pool->n_free--;
		s->next = NULL;
		s->out = true;
	}
	return s;
}

void netif_pool_put(struct netif_slot *s)
{
	struct netif_pool *pool = s->pool;

	if (!s->out) /* twice: keep the list sound, the count will tell */
		return;
	s->out = false;
	s->next = pool->free;
	pool->free = s;
	pool->n_free++;
}

void netif_pool_lose(struct netif_slot *s)
{
	s->pool->n_lost++;
}

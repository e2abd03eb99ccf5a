/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots of memory that the device can reach, all of one length, from one piece of it.
 *
 * A slot is free, or out with one holder. A slot that a dead device may still write to is lost: it
 * never becomes free again, and then neither is the memory behind it ever given back (H-12).
 */
#ifndef STACK_NETIF_POOL_H
#define STACK_NETIF_POOL_H

#include "common/seg.h"
#include "tools/stack/stack_lwip.h"
#include "vio/os.h"

struct netif_slot {
	struct pbuf_custom pbuf; /* receive: what lwIP is given; first, so it is the slot */
	struct netif_pool *pool;
	struct netif_slot *next; /* in the free list, or of the same packet */
	uint8_t *va;
	uint64_t da;
	bool out;
};

struct netif_pool {
	const struct vio_os *os;
	struct vio_dma dma;
	struct netif_slot *slots;
	struct netif_slot *free;
	unsigned n, n_free, n_lost;
	uint32_t slot_len;
};

int netif_pool_init(struct netif_pool *pool, const struct vio_os *os, unsigned n,
		    uint32_t slot_len) VIO_MUST_CHECK;
/* Number of slots not back. The device must have been reset. */
unsigned netif_pool_fini(struct netif_pool *pool);
/* NULL: none left. */
struct netif_slot *netif_pool_get(struct netif_pool *pool);
void netif_pool_put(struct netif_slot *slot);
void netif_pool_lose(struct netif_slot *slot);

static inline unsigned netif_pool_out(const struct netif_pool *pool)
{
	return pool->n - pool->n_free;
}

#endif

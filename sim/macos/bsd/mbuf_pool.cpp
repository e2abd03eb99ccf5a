/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where mbufs and clusters come from.
 *
 * Four pools grow by slabs of device memory, up to half of it. Free items lie in shards, one per
 * thread more or less, and in a depot behind them; a shard that is empty or too full exchanges a
 * batch with the depot, so that a thread that only allocates and one that only frees meet rarely.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/macos/bsd/bsd.h"
#include "sim/macos/bsd/mbuf.h"
#include "sim/macos/core/core.h"

enum { POOL_MBUF, POOL_2K, POOL_4K, POOL_16K, POOLS };

#define SHARDS	     8u
#define BATCH	     32u
#define SHARD_MAX    128u
#define PAGE	     4096u
#define JUMBO_BUDGET (32u << 20)
#define MAGIC_LIVE   0x6d627566u
#define MAGIC_FREE   0x66726565u
#define GUARD_BYTE   0xa5
#define POISON_BYTE  0xdb
#define POISON_LEN   64u
#define CHAIN_MAX    65536u

struct shard {
	alignas(64) pthread_mutex_t lock;
	struct sim_pool_item *list;
	unsigned n;
};

struct slab {
	struct slab *next;
	void *records;
	uint8_t *base;
	size_t len;
	unsigned n;
};

struct pool {
	uint32_t size;	/* of a block */
	uint32_t items; /* per slab */
	struct shard shards[SHARDS];
	pthread_mutex_t lock; /* of what follows; taken inside a shard's */
	struct sim_pool_item *depot;
	struct slab *slabs;
};

static struct pool pools[POOLS];
static uint8_t *map; /* per page of memory: belongs to a pool */
static size_t budget, spent;
static bool jumbo;

static unsigned my_shard(void)
{
	static unsigned threads;
	static thread_local unsigned mine = ~0u;

	if (mine == ~0u)
		mine = __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED) % SHARDS;
	return mine;
}

/*
 * [XNU-MBUF-2] A packet header takes more of the 256 bytes from release to release.
 */
uint32_t sim_mbuf_mhlen(void)
{
	if (sim_release_at_least(11))
		return 80;
	if (sim_release_at_least(9))
		return 88;
	if (sim_release_at_least(8))
		return 104;
	return sim_release_at_least(7) ? 144 : 176;
}

bool sim_mbuf_jumbo(void)
{
	return jumbo;
}

void sim_mbuf_boot(void)
{
	static const uint32_t sizes[POOLS] = {SIM_MBUF_SIZE, SIM_CLUSTER, SIM_CLUSTER_BIG,
					      SIM_CLUSTER_JUMBO};
	static const uint32_t items[POOLS] = {256, 128, 64, 32};

	budget = static_cast<size_t>(sim_config.ram.end - sim_config.ram.first) / 2;
	/* [XNU-MBUF-3] Clusters of 16 KiB exist where there is memory enough. */
	jumbo = budget >= JUMBO_BUDGET;
	map = static_cast<uint8_t *>(calloc(sim_config.ram.end / PAGE + 1, 1));
	if (!map)
		sim_violation("no memory for the mbuf map");
	for (unsigned i = 0; i < POOLS; i++) {
		pools[i].size = sizes[i];
		pools[i].items = items[i];
		pthread_mutex_init(&pools[i].lock, nullptr);
		for (unsigned j = 0; j < SHARDS; j++)
			pthread_mutex_init(&pools[i].shards[j].lock, nullptr);
	}
}

/* ---- items ---- */

static void poison(uint8_t *at)
{
	memset(at, POISON_BYTE, POISON_LEN);
}

/* All of len bytes are `byte`: so is the first, and each is as the one before. */
static bool filled(const uint8_t *at, uint8_t byte, size_t len)
{
	return at[0] == byte && memcmp(at, at + 1, len - 1) == 0;
}

static bool poisoned(const uint8_t *at)
{
	return filled(at, POISON_BYTE, POISON_LEN);
}

static struct sim_pool_item *slab_item(unsigned kind, void *records, unsigned i, uint8_t *block)
{
	if (kind == POOL_MBUF) {
		struct __mbuf *m = static_cast<struct __mbuf *>(records) + i;

		m->magic = MAGIC_FREE;
		m->block = block;
		memset(block, GUARD_BYTE, SIM_MBUF_HEAD);
		poison(block + SIM_MBUF_HEAD);
		return m;
	}
	struct sim_cluster *c = static_cast<struct sim_cluster *>(records) + i;

	c->base = block;
	c->size = pools[kind].size;
	poison(block);
	return c;
}

/* With the lock of the pool. False: no memory. */
static bool grow(unsigned kind)
{
	struct pool *p = &pools[kind];
	size_t len = static_cast<size_t>(p->size) * p->items;
	size_t record = kind == POOL_MBUF ? sizeof(struct __mbuf) : sizeof(struct sim_cluster);
	struct slab *slab;
	uint8_t *base = nullptr;
	void *records;
	uint64_t page;

	if (__atomic_add_fetch(&spent, len, __ATOMIC_RELAXED) <= budget)
		base = static_cast<uint8_t *>(sim_ram_alloc(len, PAGE, UINT64_MAX));
	if (!base) {
		__atomic_sub_fetch(&spent, len, __ATOMIC_RELAXED);
		return false;
	}
	records = calloc(p->items, record);
	slab = static_cast<struct slab *>(calloc(1, sizeof(*slab)));
	if (!records || !slab)
		sim_violation("the host has no memory for mbufs");
	*slab = {p->slabs, records, base, len, p->items};
	p->slabs = slab;
	page = sim_ram_address(base) / PAGE;
	memset(map + page, 1, len / PAGE);
	for (unsigned i = 0; i < p->items; i++) {
		struct sim_pool_item *item = slab_item(kind, records, i, base + i * p->size);

		item->link = p->depot;
		p->depot = item;
	}
	return true;
}

/* With the lock of the shard. */
static void refill(unsigned kind, struct shard *shard)
{
	struct pool *p = &pools[kind];

	pthread_mutex_lock(&p->lock);
	while (shard->n < BATCH && (p->depot || (shard->n == 0 && grow(kind)))) {
		struct sim_pool_item *item = p->depot;

		p->depot = item->link;
		item->link = shard->list;
		shard->list = item;
		shard->n++;
	}
	pthread_mutex_unlock(&p->lock);
}

static struct sim_pool_item *shard_get(unsigned kind, unsigned index, bool more)
{
	struct shard *shard = &pools[kind].shards[index];
	struct sim_pool_item *item;

	pthread_mutex_lock(&shard->lock);
	if (shard->n == 0 && more)
		refill(kind, shard);
	item = shard->list;
	if (item) {
		shard->list = item->link;
		shard->n--;
	}
	pthread_mutex_unlock(&shard->lock);
	return item;
}

static struct sim_pool_item *pool_get(unsigned kind)
{
	struct sim_pool_item *item = shard_get(kind, my_shard(), true);

	/* The last ones lie with other threads. */
	for (unsigned i = 0; !item && i < SHARDS; i++)
		item = shard_get(kind, i, false);
	return item;
}

static void pool_put(unsigned kind, struct sim_pool_item *item)
{
	struct pool *p = &pools[kind];
	struct shard *shard = &p->shards[my_shard()];

	pthread_mutex_lock(&shard->lock);
	item->link = shard->list;
	shard->list = item;
	if (++shard->n > SHARD_MAX) {
		pthread_mutex_lock(&p->lock);
		while (shard->n > SHARD_MAX - BATCH) {
			item = shard->list;
			shard->list = item->link;
			shard->n--;
			item->link = p->depot;
			p->depot = item;
		}
		pthread_mutex_unlock(&p->lock);
	}
	pthread_mutex_unlock(&shard->lock);
}

/* ---- clusters ---- */

static unsigned kind_of(size_t size)
{
	return size == SIM_CLUSTER ? POOL_2K : size == SIM_CLUSTER_BIG ? POOL_4K : POOL_16K;
}

static uint64_t sum_of(const struct sim_cluster *c)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (uint32_t i = 0; i < c->sum_len; i++)
		sum = (sum ^ c->base[i]) * 0x100000001b3;
	return sum;
}

bool sim_mbuf_cluster(mbuf_t m, size_t size)
{
	struct sim_cluster *c;

	if (size == SIM_CLUSTER_JUMBO && !jumbo)
		return false;
	c = static_cast<struct sim_cluster *>(pool_get(kind_of(size)));
	if (!c)
		return false;
	if (!poisoned(c->base))
		sim_violation("a cluster of %u bytes at %p was written to after it was freed, by "
			      "a driver or by a device",
			      c->size, static_cast<void *>(c->base));
	sim_undefined(c->base, c->size);
	c->refs = 1;
	c->sum_len = 0;
	m->ext = c;
	m->flags |= MBUF_EXT;
	m->data = c->base;
	m->len = 0;
	return true;
}

void sim_mbuf_share(mbuf_t to, mbuf_t from)
{
	__atomic_add_fetch(&from->ext->refs, 1, __ATOMIC_RELAXED);
	to->ext = from->ext;
	to->flags |= MBUF_EXT;
	to->data = from->data;
	to->len = from->len;
}

void sim_mbuf_protect(mbuf_t m)
{
	m->ext->sum_len = static_cast<uint32_t>(m->data + m->len - m->ext->base);
	m->ext->sum = sum_of(m->ext);
	__atomic_add_fetch(&m->ext->refs, 1, __ATOMIC_RELAXED);
}

static void cluster_drop(struct sim_cluster *c)
{
	uint32_t left = __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL);

	if (left == 1 && c->sum_len) {
		if (sum_of(c) != c->sum)
			sim_violation("the driver changed the headers of a packet to send, at %p: "
				      "the cluster is shared, and read-only",
				      static_cast<void *>(c->base));
		c->sum_len = 0;
		left = __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL);
	}
	if (left == 0) {
		poison(c->base);
		pool_put(kind_of(c->size), c);
	}
}

/* ---- mbufs ---- */

void sim_mbuf_live(const struct __mbuf *m, const char *what)
{
	if (!m)
		sim_violation("%s: the mbuf is 0", what);
	if (m->magic == MAGIC_FREE)
		sim_violation("%s: mbuf %p has been freed", what, static_cast<const void *>(m));
	if (m->magic != MAGIC_LIVE)
		sim_violation("%s: %p is no mbuf", what, static_cast<const void *>(m));
}

mbuf_t sim_mbuf_get(bool header, const void *caller)
{
	struct __mbuf *m = static_cast<struct __mbuf *>(pool_get(POOL_MBUF));
	uint8_t *block;

	if (!m)
		return nullptr;
	block = m->block;
	if (!poisoned(block + SIM_MBUF_HEAD))
		sim_violation("mbuf %p was written to after it was freed, by a driver or by a "
			      "device",
			      static_cast<void *>(m));
	*m = {};
	m->block = block;
	m->magic = MAGIC_LIVE;
	m->type = header ? MBUF_TYPE_HEADER : MBUF_TYPE_DATA;
	m->flags = header ? MBUF_PKTHDR : 0;
	m->guard = header ? SIM_MBUF_SIZE - sim_mbuf_mhlen() : SIM_MBUF_HEAD;
	memset(block + SIM_MBUF_HEAD, GUARD_BYTE, m->guard - SIM_MBUF_HEAD);
	sim_undefined(block + m->guard, SIM_MBUF_SIZE - m->guard);
	m->data = block + m->guard;
	m->caller = caller;
	m->kind = caller ? SIM_MBUF_DRIVERS : SIM_MBUF_SENT;
	return m;
}

mbuf_t sim_mbuf_room(bool header, size_t len, const void *caller)
{
	mbuf_t m = sim_mbuf_get(header, caller);
	size_t size = SIM_CLUSTER;

	if (!m || len <= SIM_MBUF_SIZE - m->guard)
		return m;
	if (len > SIM_CLUSTER)
		size = len > SIM_CLUSTER_BIG ? SIM_CLUSTER_JUMBO : SIM_CLUSTER_BIG;
	if (sim_mbuf_cluster(m, size))
		return m;
	sim_mbuf_free(m, "sim_mbuf_room");
	return nullptr;
}

mbuf_t sim_mbuf_free(mbuf_t m, const char *what)
{
	mbuf_t next;

	sim_mbuf_live(m, what);
	if (!filled(m->block, GUARD_BYTE, m->guard))
		sim_violation("%s: the header of mbuf %p was overwritten", what,
			      static_cast<void *>(m));
	next = m->next;
	if (m->ext)
		cluster_drop(m->ext);
	m->magic = MAGIC_FREE;
	poison(m->block + SIM_MBUF_HEAD);
	pool_put(POOL_MBUF, m);
	return next;
}

void sim_mbuf_freem(mbuf_t m, const char *what)
{
	for (bool first = true; m; first = false) {
		sim_mbuf_live(m, what);
		if (!first && m->nextpkt)
			sim_violation("%s: mbuf %p is inside a packet, and has nextpkt set", what,
				      static_cast<void *>(m));
		m = sim_mbuf_free(m, what);
	}
}

size_t sim_mbuf_packet(mbuf_t packet, const char *what)
{
	unsigned n = 0;
	size_t sum = 0;

	sim_mbuf_live(packet, what);
	if (!(packet->flags & MBUF_PKTHDR))
		sim_violation("%s: mbuf %p has no packet header", what,
			      static_cast<void *>(packet));
	for (mbuf_t m = packet; m; m = m->next) {
		sim_mbuf_live(m, what);
		if (m->nextpkt)
			sim_violation("%s: nextpkt is set in packet %p", what,
				      static_cast<void *>(packet));
		if (++n > CHAIN_MAX)
			sim_violation("%s: packet %p goes in circles", what,
				      static_cast<void *>(packet));
		sum += m->len;
	}
	if (sum != packet->pkt_len)
		sim_violation("%s: packet %p is %zu bytes long, and its mbufs hold %zu", what,
			      static_cast<void *>(packet), packet->pkt_len, sum);
	return sum;
}

uint8_t *sim_mbuf_start(const struct __mbuf *m)
{
	if (m->ext)
		return m->ext->base;
	return m->block +
	       (m->flags & MBUF_PKTHDR ? SIM_MBUF_SIZE - sim_mbuf_mhlen() : SIM_MBUF_HEAD);
}

size_t sim_mbuf_max(const struct __mbuf *m)
{
	if (m->ext)
		return m->ext->size;
	return static_cast<size_t>(m->block + SIM_MBUF_SIZE - sim_mbuf_start(m));
}

bool sim_mbuf_writable(const struct __mbuf *m)
{
	return !m->ext || __atomic_load_n(&m->ext->refs, __ATOMIC_ACQUIRE) == 1;
}

/* [XNU-MBUF-4] A table over the mbuf map: 0 for any other memory. */
addr64_t mbuf_data_to_physical(void *at)
{
	uintptr_t offset =
		reinterpret_cast<uintptr_t>(at) - reinterpret_cast<uintptr_t>(sim_config.ram.base);

	if (offset >= sim_config.ram.end || !map[offset / PAGE])
		return 0;
	return offset;
}

/* ---- what was left behind ---- */

static unsigned each_alive(bool (*mine)(const struct __mbuf *, void *), void *arg)
{
	unsigned n = 0;

	pthread_mutex_lock(&pools[POOL_MBUF].lock);
	for (const struct slab *s = pools[POOL_MBUF].slabs; s; s = s->next) {
		const struct __mbuf *mbufs = static_cast<const struct __mbuf *>(s->records);

		for (unsigned i = 0; i < s->n; i++) {
			if (mbufs[i].magic == MAGIC_LIVE && mine(&mbufs[i], arg))
				n++;
		}
	}
	pthread_mutex_unlock(&pools[POOL_MBUF].lock);
	return n;
}

static bool allocated_by(const struct __mbuf *m, void *arg)
{
	const char *kext = m->caller ? sim_kext_name(m->caller) : nullptr;

	return kext && strcmp(kext, static_cast<const char *>(arg)) == 0;
}

unsigned sim_mbuf_of_kext(const char *kext)
{
	char name[128];
	unsigned n;

	snprintf(name, sizeof(name), "%s", kext);
	n = each_alive(allocated_by, name);
	if (n)
		sim_log("sim: %s leaves %u mbufs behind that it allocated", kext, n);
	return n;
}

static bool is_kind(const struct __mbuf *m, void *arg)
{
	return m->kind == *static_cast<const enum sim_mbuf_kind *>(arg);
}

void sim_mbuf_halt(void)
{
	static const char *const names[] = {
		"mbufs that a driver allocated, and nobody freed",
		"mbufs of packets to send, which a driver took and did not free",
		"mbufs of received packets, which the program did not free",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		enum sim_mbuf_kind kind = static_cast<enum sim_mbuf_kind>(i);
		unsigned n = each_alive(is_kind, &kind);

		if (n)
			sim_leak("%u %s", n, names[i]);
	}
	for (struct pool &p : pools) {
		for (const struct slab *s = p.slabs; s; s = s->next)
			sim_ram_free(s->base, s->len);
	}
}

unsigned sim_mbuf_alive(void)
{
	return each_alive([](const struct __mbuf *, void *) { return true; }, nullptr);
}

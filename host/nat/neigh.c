/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/neigh.h"

#include <string.h>

static void key_of(const uint8_t *address, bool v6, uint8_t key[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (v6) {
		memcpy(key, address, 16);
		return;
	}
	memcpy(key, mapped, sizeof(mapped));
	memcpy(key + sizeof(mapped), address, 4);
}

static uint32_t bucket_of(const uint8_t key[16])
{
	uint32_t word[4], h = 0;

	memcpy(word, key, sizeof(word));
	for (unsigned i = 0; i < 4; i++)
		h = (h ^ word[i]) * 0x9e3779b1u;
	return (h >> 16) % NEIGH_BUCKETS;
}

void neigh_learn(struct neigh *n, const uint8_t *address, bool v6, const uint8_t mac[6],
		 int64_t now_ms)
{
	struct neigh_entry *bucket, *take;
	uint8_t key[16];

	key_of(address, v6, key);
	bucket = n->entry[bucket_of(key)];
	take = bucket;
	for (unsigned i = 0; i < NEIGH_WAYS; i++) {
		struct neigh_entry *e = &bucket[i];

		if (e->used && !memcmp(e->address, key, sizeof(key))) {
			take = e;
			break;
		}
		if (!e->used || (take->used && e->heard < take->heard))
			take = e;
	}
	memcpy(take->address, key, sizeof(key));
	memcpy(take->mac, mac, 6);
	take->used = true;
	take->heard = now_ms;
}

bool neigh_find(const struct neigh *n, const uint8_t *address, bool v6, int64_t now_ms,
		uint8_t mac[6])
{
	const struct neigh_entry *bucket;
	uint8_t key[16];

	key_of(address, v6, key);
	bucket = n->entry[bucket_of(key)];
	for (unsigned i = 0; i < NEIGH_WAYS; i++)
		if (bucket[i].used && !memcmp(bucket[i].address, key, sizeof(key))) {
			if (now_ms - bucket[i].heard > NEIGH_AGE_MS)
				return false;
			memcpy(mac, bucket[i].mac, 6);
			return true;
		}
	return false;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/flow.h"

#include <stddef.h>
#include <string.h>

struct flow_key flow_key(const uint8_t *member, uint16_t member_port, const uint8_t *peer,
			 uint16_t peer_port, bool v6)
{
	struct flow_key key = {.member_port = member_port, .peer_port = peer_port};
	size_t n = v6 ? 16 : 4;

	memcpy(key.member, member, n);
	if (peer)
		memcpy(key.peer, peer, n);
	return key;
}

static uint32_t slot_of(const struct flow_key *key)
{
	uint32_t word[sizeof(*key) / 4], h = 0;

	_Static_assert(sizeof(*key) == 36, "no padding in the key");
	memcpy(word, key, sizeof(word));
	for (size_t i = 0; i < sizeof(word) / 4; i++)
		h = (h ^ word[i]) * 0x9e3779b1u;
	return (h >> 16) % FLOW_SLOTS;
}

void flow_put(struct flow *f, const struct flow_key *key, uint16_t value, int64_t now_ms)
{
	f->slot[slot_of(key)] = (struct flow_entry){*key, true, value, now_ms};
}

void flow_forget(struct flow *f, const struct flow_key *key)
{
	struct flow_entry *e = &f->slot[slot_of(key)];

	if (e->used && !memcmp(&e->key, key, sizeof(*key)))
		e->used = false;
}

bool flow_get(const struct flow *f, const struct flow_key *key, int64_t now_ms, int64_t age_ms,
	      uint16_t *value)
{
	const struct flow_entry *e = &f->slot[slot_of(key)];

	if (!e->used || memcmp(&e->key, key, sizeof(*key)) != 0)
		return false;
	if (age_ms && now_ms - e->at > age_ms)
		return false;
	*value = e->value;
	return true;
}

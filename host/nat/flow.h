/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What has to be remembered of single flows, in fixed tables where a newer entry takes the place of
 * an older one with the same hash; nothing breaks when one is lost, it is only less exact.
 *
 *   dns   a TCP connection to the gateway's port 53 that was sent on to the DNS server
 *   mss   the MSS of a member that announced a smaller one than the network's MTU has room for
 *   udp   who spoke to a member's forwarded port (restricted networks: only those are answered)
 */
#ifndef NAT_FLOW_H
#define NAT_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#define FLOW_SLOTS 1024u

struct flow_key {
	uint8_t member[16], peer[16]; /* IPv4: the first four bytes, the others zero */
	uint16_t member_port, peer_port;
};

struct flow {
	struct flow_entry {
		struct flow_key key;
		bool used;
		uint16_t value;
		int64_t at;
	} slot[FLOW_SLOTS];
};

/* peer NULL: any. */
struct flow_key flow_key(const uint8_t *member, uint16_t member_port, const uint8_t *peer,
			 uint16_t peer_port, bool v6);
void flow_put(struct flow *f, const struct flow_key *key, uint16_t value, int64_t now_ms);
void flow_forget(struct flow *f, const struct flow_key *key);
/* False: unknown, or older than age_ms (0: any age). */
bool flow_get(const struct flow *f, const struct flow_key *key, int64_t now_ms, int64_t age_ms,
	      uint16_t *value);

#endif

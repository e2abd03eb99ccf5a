/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/nat_kit.h"

#include <string.h>

#include "common/cksum.h"

const uint8_t kit_gateway_mac[6] = {0x52, 0x55, 0x0a, 0x4d, 0x00, 0x01};
const uint8_t kit_member_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x05};
const uint8_t kit_gateway6[16] = {0xfd, 0x77, [15] = 1};
const uint8_t kit_member6[16] = {0xfd, 0x77, [15] = 5};
const uint8_t kit_outside6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

struct nat_config kit_config(void)
{
	struct nat_config c = {
		.subnet = KIT_GATEWAY & 0xffffff00u,
		.netmask = 0xffffff00u,
		.gateway = KIT_GATEWAY,
		.mtu = 1500,
		.nat44 = true,
		.nat66 = true,
		.dns_port = 53,
	};

	memcpy(c.gateway_mac, kit_gateway_mac, 6);
	memcpy(c.gateway6, kit_gateway6, 16);
	memcpy(c.prefix6, kit_gateway6, 8);
	return c;
}

/* Of bytes, without any of the code under test. */
static uint32_t plain_sum(uint32_t sum, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static uint16_t transport_sum(const uint8_t *ip, bool v6, uint8_t proto, const uint8_t *l4,
			      uint32_t n)
{
	uint32_t sum = 0;

	if (v6 || proto != NAT_ICMP) {
		sum = v6 ? plain_sum(0, ip + 8, 32) : plain_sum(0, ip + 12, 8);
		sum += proto + n;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	sum = plain_sum(sum, l4, n);
	return (uint16_t)~sum;
}

static uint32_t sum_at(uint8_t proto)
{
	return proto == NAT_TCP_P ? 16 : proto == NAT_UDP ? 6 : 2;
}

void kit_sums(uint8_t *frame, uint32_t len)
{
	uint8_t *ip = frame + NAT_ETH, proto;
	uint32_t l4, end = len, at;
	bool v6;

	if (len < NAT_ETH + NAT_IP4)
		return;
	v6 = nat_be16(frame + 12) == NAT_ETH_IPV6;
	if (v6) {
		if (len < NAT_ETH + NAT_IP6)
			return;
		proto = ip[6];
		l4 = NAT_ETH + NAT_IP6;
		if (l4 + nat_be16(ip + 4) < end)
			end = l4 + nat_be16(ip + 4);
	} else {
		uint32_t hlen = (ip[0] & 15u) * 4;

		proto = ip[9];
		l4 = NAT_ETH + hlen;
		if (hlen < NAT_IP4 || l4 > len)
			return;
		if (NAT_ETH + nat_be16(ip + 2) < end)
			end = NAT_ETH + nat_be16(ip + 2);
		nat_put16(ip + 10, 0);
		nat_put16(ip + 10, (uint16_t)~plain_sum(0, ip, hlen));
		if (nat_be16(ip + 6) & 0x3fff)
			return;
	}
	at = l4 + sum_at(proto);
	if (end < at + 2)
		return;
	nat_put16(frame + at, 0);
	nat_put16(frame + at, transport_sum(ip, v6, proto, frame + l4, end - l4));
	if (proto == NAT_UDP && !nat_be16(frame + at))
		nat_put16(frame + at, 0xffff);
}

bool kit_right(const uint8_t *frame, uint32_t len)
{
	const uint8_t *ip = frame + NAT_ETH;
	bool v6 = nat_be16(frame + 12) == NAT_ETH_IPV6;
	uint32_t l4 = NAT_ETH + (v6 ? NAT_IP6 : (ip[0] & 15u) * 4);
	uint8_t proto = v6 ? ip[6] : ip[9];

	if (v6 ? l4 + nat_be16(ip + 4) != len : NAT_ETH + nat_be16(ip + 2) != len)
		return false;
	if (!v6 && plain_sum(0, ip, l4 - NAT_ETH) != 0xffff)
		return false;
	if (!v6 && nat_be16(ip + 6) & 0x3fff)
		return true;
	return transport_sum(ip, v6, proto, frame + l4, len - l4) == 0;
}

static uint32_t put_ip(uint8_t *frame, const struct kit_packet *p, uint32_t l4_len)
{
	uint8_t *ip = frame + NAT_ETH;

	memcpy(frame, kit_gateway_mac, 6);
	memcpy(frame + 6, kit_member_mac, 6);
	if (p->v6) {
		nat_put16(frame + 12, NAT_ETH_IPV6);
		memset(ip, 0, 8);
		ip[0] = 0x60;
		nat_put16(ip + 4, l4_len);
		ip[6] = p->proto;
		ip[7] = 64;
		memcpy(ip + 8, p->src6 ? p->src6 : kit_member6, 16);
		memcpy(ip + 24, p->dst6 ? p->dst6 : kit_outside6, 16);
		return NAT_ETH + NAT_IP6;
	}
	nat_put16(frame + 12, NAT_ETH_IPV4);
	memset(ip, 0, NAT_IP4);
	ip[0] = (uint8_t)(0x40 | (5 + p->ip_options_len / 4));
	nat_put16(ip + 2, NAT_IP4 + p->ip_options_len + l4_len);
	ip[8] = 64;
	ip[9] = p->proto;
	nat_put32(ip + 12, p->src ? p->src : KIT_MEMBER);
	nat_put32(ip + 16, p->dst ? p->dst : KIT_OUTSIDE);
	if (p->ip_options_len)
		memcpy(ip + NAT_IP4, p->ip_options, p->ip_options_len);
	return NAT_ETH + NAT_IP4 + p->ip_options_len;
}

uint32_t kit_make(uint8_t *frame, const struct kit_packet *p)
{
	uint32_t head = p->proto == NAT_TCP_P ? NAT_TCP + p->options_len : 8;
	uint8_t *l4 = frame + put_ip(frame, p, head + p->len);

	memset(l4, 0, head);
	if (p->proto == NAT_ICMP || p->proto == NAT_ICMPV6) {
		l4[0] = p->icmp_type;
	} else {
		nat_put16(l4, p->sport ? p->sport : 40000);
		nat_put16(l4 + 2, p->dport ? p->dport : 80);
	}
	if (p->proto == NAT_UDP)
		nat_put16(l4 + 4, head + p->len);
	if (p->proto == NAT_TCP_P) {
		nat_put32(l4 + 4, p->seq);
		nat_put32(l4 + 8, p->ack);
		l4[12] = (uint8_t)(head / 4 << 4);
		l4[13] = p->flags;
		nat_put16(l4 + 14, p->window);
		nat_put16(l4 + 18, p->urgent);
		if (p->options_len)
			memcpy(l4 + NAT_TCP, p->options, p->options_len);
	}
	if (p->len)
		memcpy(l4 + head, p->data, p->len);
	kit_sums(frame, (uint32_t)(l4 - frame) + head + p->len);
	return (uint32_t)(l4 - frame) + head + p->len;
}

uint32_t kit_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

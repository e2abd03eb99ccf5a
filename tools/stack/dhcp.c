/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/dhcp.h"

#include <string.h>

#include "common/cksum.h"
#include "wire/net.h"

#define PORT_SERVER 67u
#define PORT_CLIENT 68u
#define MAGIC	    0x63825363u
#define BOOTREQUEST 1u
#define BOOTREPLY   2u

/* Offsets from the start of the frame: no IP options in what we make. */
#define AT_IP	   ETH_HLEN
#define AT_UDP	   (AT_IP + 20u)
#define AT_BOOTP   (AT_UDP + 8u)
#define BOOTP_MIN  300u
#define BP_XID	   4u /* offsets inside the BOOTP message (RFC 2131, figure 1) */
#define BP_FLAGS   10u
#define BP_YIADDR  16u
#define BP_CHADDR  28u
#define BP_MAGIC   236u
#define BP_OPTIONS 240u

enum dhcp_option {
	OPT_PAD = 0,
	OPT_NETMASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_REQUESTED = 50,
	OPT_LEASE = 51,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_PARAMETERS = 55,
	OPT_END = 255,
};

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
};

void dhcp_init(struct dhcp *d, const uint8_t mac[6], uint32_t xid)
{
	*d = (struct dhcp){.state = DHCP_SELECTING, .xid = xid};
	memcpy(d->mac, mac, sizeof(d->mac));
}

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v);
}

static uint8_t *put_option(uint8_t *at, enum dhcp_option code, const void *data, uint8_t len)
{
	*at++ = (uint8_t)code;
	*at++ = len;
	memcpy(at, data, len);
	return at + len;
}

static void dhcp_message(const struct dhcp *d, uint8_t *bp)
{
	static const uint8_t parameters[] = {OPT_NETMASK, OPT_ROUTER, OPT_DNS, OPT_LEASE};
	bool request = d->state == DHCP_REQUESTING;
	uint8_t type = request ? DHCP_REQUEST : DHCP_DISCOVER;
	uint8_t *at = bp + BP_OPTIONS;

	bp[0] = BOOTREQUEST;
	bp[1] = 1; /* Ethernet */
	bp[2] = ETH_ALEN;
	put32(bp + BP_XID, d->xid);
	put16(bp + BP_FLAGS, 0x8000); /* answer by broadcast */
	memcpy(bp + BP_CHADDR, d->mac, ETH_ALEN);
	put32(bp + BP_MAGIC, MAGIC);

	at = put_option(at, OPT_TYPE, &type, 1);
	if (request) {
		at = put_option(at, OPT_REQUESTED, d->lease.address, 4);
		at = put_option(at, OPT_SERVER, d->lease.server, 4);
	}
	at = put_option(at, OPT_PARAMETERS, parameters, sizeof(parameters));
	*at = OPT_END;
}

size_t dhcp_frame(struct dhcp *d, uint8_t buf[DHCP_FRAME_MAX])
{
	static const uint8_t any[4];
	static const uint8_t all[4] = {255, 255, 255, 255};
	const uint32_t udp_len = 8 + BOOTP_MIN;
	uint8_t *ip = buf + AT_IP, *udp = buf + AT_UDP;
	uint32_t sum;

	if (d->state == DHCP_BOUND)
		return 0;

	memset(buf, 0, DHCP_FRAME_MAX);
	memset(buf, 0xff, ETH_ALEN);
	memcpy(buf + ETH_ALEN, d->mac, ETH_ALEN);
	put16(buf + 12, ETH_TYPE_IPV4);

	ip[0] = 0x45;
	put16(ip + 2, 20 + udp_len);
	put16(ip + 4, d->ip_id++);
	ip[8] = 64;
	ip[9] = IP_PROTO_UDP;
	memcpy(ip + 16, all, 4);
	put16(ip + 10, cksum_finish(cksum_add(0, ip, 20)));

	put16(udp, PORT_CLIENT);
	put16(udp + 2, PORT_SERVER);
	put16(udp + 4, udp_len);
	dhcp_message(d, buf + AT_BOOTP);
	sum = cksum_add(cksum_pseudo4(any, all, IP_PROTO_UDP, udp_len), udp, udp_len);
	put16(udp + 6, cksum_finish(sum));
	return DHCP_FRAME_MAX;
}

/* The BOOTP message of a frame to the client's port, checksums verified. */
static bool dhcp_unwrap(struct span frame, struct span *msg)
{
	struct span ip, udp;
	uint16_t type, total, frag, port, len, cksum;
	uint8_t ver, proto;
	uint32_t ihl;

	if (!span_be16(frame, 12, &type) || type != ETH_TYPE_IPV4 ||
	    !span_from(frame, AT_IP, &ip) || !span_u8(ip, 0, &ver) || ver >> 4 != 4)
		return false;
	ihl = (ver & 0xfu) * 4u;
	if (ihl < 20 || !span_be16(ip, 2, &total) || !span_be16(ip, 6, &frag) ||
	    frag & IPV4_FRAG_MASK || !span_u8(ip, 9, &proto) || proto != IP_PROTO_UDP)
		return false;
	if (total < ihl || !span_sub(ip, 0, total, &ip) || !span_fits(ip.len, 0, ihl) ||
	    cksum_finish(cksum_add(0, ip.data, ihl)) != 0)
		return false;

	if (!span_from(ip, ihl, &udp) || !span_be16(udp, 2, &port) || port != PORT_CLIENT ||
	    !span_be16(udp, 4, &len) || len < 8 || !span_sub(udp, 0, len, &udp) ||
	    !span_be16(udp, 6, &cksum))
		return false;
	if (cksum != 0) {
		uint32_t sum = cksum_pseudo4(ip.data + 12, ip.data + 16, IP_PROTO_UDP, len);

		if (cksum_finish(cksum_add(sum, udp.data, udp.len)) != 0)
			return false;
	}
	return span_from(udp, 8, msg);
}

/* What an answer may carry, gathered from its options. */
struct dhcp_answer {
	uint8_t type;
	struct dhcp_lease lease;
};

static void dhcp_take_option(struct dhcp_answer *a, uint8_t code, struct span val)
{
	switch (code) {
	case OPT_TYPE:
		(void)span_u8(val, 0, &a->type);
		break;
	case OPT_NETMASK:
		if (val.len == 4)
			memcpy(a->lease.netmask, val.data, 4);
		break;
	case OPT_ROUTER:
		if (val.len >= 4)
			memcpy(a->lease.router, val.data, 4);
		break;
	case OPT_SERVER:
		if (val.len == 4)
			memcpy(a->lease.server, val.data, 4);
		break;
	case OPT_DNS:
		for (size_t at = 0; val.len - at >= 4 && a->lease.ndns < DHCP_DNS_MAX; at += 4)
			memcpy(a->lease.dns[a->lease.ndns++], val.data + at, 4);
		break;
	case OPT_LEASE:
		if (val.len == 4)
			(void)span_be32(val, 0, &a->lease.seconds);
		break;
	default:
		break;
	}
}

static bool dhcp_options(struct span msg, struct dhcp_answer *a)
{
	size_t at = BP_OPTIONS;

	while (at < msg.len) {
		struct span val;
		uint8_t code = msg.data[at++], len;

		if (code == OPT_END)
			break;
		if (code == OPT_PAD)
			continue;
		if (!span_u8(msg, at, &len) || !span_sub(msg, at + 1, len, &val))
			return false;
		dhcp_take_option(a, code, val);
		at += 1u + len;
	}
	return true;
}

bool dhcp_input(struct dhcp *d, struct span frame)
{
	static const uint8_t none[4];
	struct dhcp_answer a = {0};
	struct span msg;
	uint32_t xid, magic;

	if (d->state == DHCP_BOUND || !dhcp_unwrap(frame, &msg))
		return false;
	if (!span_be32(msg, BP_MAGIC, &magic) || magic != MAGIC || msg.data[0] != BOOTREPLY ||
	    !span_be32(msg, BP_XID, &xid) || xid != d->xid ||
	    memcmp(msg.data + BP_CHADDR, d->mac, ETH_ALEN) != 0 || !dhcp_options(msg, &a))
		return false;
	memcpy(a.lease.address, msg.data + BP_YIADDR, 4);

	if (d->state == DHCP_SELECTING) {
		if (a.type != DHCP_OFFER || !memcmp(a.lease.address, none, 4) ||
		    !memcmp(a.lease.server, none, 4))
			return false;
		d->lease = a.lease;
		d->state = DHCP_REQUESTING;
		return true;
	}
	if (memcmp(a.lease.server, d->lease.server, 4) != 0)
		return false;
	if (a.type == DHCP_NAK) {
		d->naks++;
		d->state = DHCP_SELECTING;
		return true;
	}
	if (a.type != DHCP_ACK || !memcmp(a.lease.address, none, 4) ||
	    !memcmp(a.lease.netmask, none, 4))
		return false;
	d->lease = a.lease;
	d->state = DHCP_BOUND;
	return true;
}

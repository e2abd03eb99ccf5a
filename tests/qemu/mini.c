/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/qemu/mini.h"

#include "common/cksum.h"
#include "wire/net.h"

#define IP_PROTO_ICMP 1u
#define ICMP_HLEN     8u
#define IP_HLEN	      20u

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

/* ---- receive ---- */

static void mini_take_arp(struct mini *m, const uint8_t *f, uint32_t len)
{
	if (len < 42 || get16(f + 20) != 2 || memcmp(f + 28, m->peer, 4) != 0)
		return;
	memcpy(m->peer_mac, f + 22, 6);
	m->resolved = true;
}

/* One fragment of the answer (or all of it). They neither overlap nor repeat: they are counted. */
static void mini_take_echo(struct mini *m, const uint8_t *ip, uint32_t len)
{
	uint32_t total = get16(ip + 2), frag = get16(ip + 6), off = (frag & 0x1fff) * 8, n;

	if (total > len || total < IP_HLEN || cksum_finish(cksum_add(0, ip, IP_HLEN)) != 0)
		return;
	n = total - IP_HLEN;
	if (off == 0) { /* whose answer it is, only the first one says */
		if (n < ICMP_HLEN || ip[IP_HLEN] != 0 || get16(ip + IP_HLEN + 4) != m->id ||
		    get16(ip + IP_HLEN + 6) != m->seq)
			return;
		m->answer_id = (uint16_t)get16(ip + 4);
	} else if (m->have == 0 || get16(ip + 4) != m->answer_id) {
		return;
	}
	if (off > MINI_ECHO_MAX || n > MINI_ECHO_MAX - off)
		return;
	memcpy(m->echo + off, ip + IP_HLEN, n);
	m->have += n;
	if (!(frag & 0x2000))
		m->total = off + n;
	m->answered = m->total && m->have >= m->total;
}

static void mini_frame(void *arg, const uint8_t *f, uint32_t len, const struct vio_net_rx *rx)
{
	struct mini *m = arg;
	uint8_t untagged[NIC_RX_MAX];
	uint32_t type = len >= ETH_HLEN ? get16(f + 12) : 0;

	(void)rx;
	m->frames++;
	if (m->vlan && type == ETH_TYPE_VLAN && len >= ETH_HLEN + ETH_VLAN_LEN &&
	    (get16(f + 14) & 0xfff) == m->vlan) {
		len -= ETH_VLAN_LEN;
		memcpy(untagged, f, 12);
		memcpy(untagged + 12, f + 12 + ETH_VLAN_LEN, len - 12);
		f = untagged;
		type = get16(f + 12);
	}
	if (m->dhcp.state != DHCP_BOUND && dhcp_input(&m->dhcp, span_of(f, len))) {
		m->dhcp_news = true;
	} else if (type == ETH_TYPE_ARP && !m->resolved) {
		mini_take_arp(m, f, len);
	} else if (type == ETH_TYPE_IPV4 && len >= ETH_HLEN + IP_HLEN && f[ETH_HLEN] == 0x45 &&
		   f[ETH_HLEN + 9] == IP_PROTO_ICMP) {
		mini_take_echo(m, f + ETH_HLEN, len - ETH_HLEN);
	} else {
		m->others++;
		if (m->other)
			m->other(m->other_arg, f, len);
	}
}

void mini_init(struct mini *m, struct nic *n)
{
	*m = (struct mini){.nic = n, .mtu = 1500, .dhcp = {.state = DHCP_BOUND}};
	n->frame = mini_frame;
	n->frame_arg = m;
}

/* ---- send ---- */

static void mini_send(struct mini *m, const uint8_t *frame, uint32_t len)
{
	struct nic_packet p = {.data = frame, .len = len};

	if (m->vlan) {
		p.flags = VIO_NET_TX_VLAN;
		p.vlan_tci = m->vlan;
	}
	nic_put_packet(m->nic, &p);
}

static bool mini_has_news(void *arg)
{
	return ((struct mini *)arg)->dhcp_news;
}

void mini_dhcp(struct mini *m)
{
	uint8_t frame[DHCP_FRAME_MAX];

	dhcp_init(&m->dhcp, m->nic->info.mac, 0x76696f00u + m->nic->info.mac[5]);
	while (m->dhcp.state != DHCP_BOUND) {
		enum dhcp_state was = m->dhcp.state;

		m->dhcp_news = false;
		mini_send(m, frame, (uint32_t)dhcp_frame(&m->dhcp, frame));
		if (!nic_pump(m->nic, mini_has_news, m, NIC_PATIENCE_MS))
			fail_msg("no answer to DHCP %s",
				 was == DHCP_SELECTING ? "DISCOVER" : "REQUEST");
	}
	memcpy(m->ip, m->dhcp.lease.address, 4);
	memcpy(m->peer, m->dhcp.lease.router, 4);
}

void mini_arp(const struct mini *m, const uint8_t mac[6], uint8_t f[MINI_ARP_LEN])
{
	static const uint8_t fixed[8] = {0, 1, 8, 0, 6, 4, 0, 1}; /* Ethernet, IPv4, request */

	memset(f, 0, MINI_ARP_LEN);
	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	put16(f + 12, ETH_TYPE_ARP);
	memcpy(f + 14, fixed, sizeof(fixed));
	memcpy(f + 22, mac, 6);
	memcpy(f + 28, m->ip, 4);
	memcpy(f + 38, m->peer, 4);
}

static bool mini_is_resolved(void *arg)
{
	return ((struct mini *)arg)->resolved;
}

void mini_resolve(struct mini *m)
{
	uint8_t frame[MINI_ARP_LEN];

	m->resolved = false;
	mini_arp(m, m->nic->info.mac, frame);
	mini_send(m, frame, sizeof(frame));
	if (!nic_pump(m->nic, mini_is_resolved, m, NIC_PATIENCE_MS))
		fail_msg("no answer to ARP");
}

static uint8_t mini_byte(const struct mini *m, uint32_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) * 13 + m->seq * 3 + m->size);
}

/* The ICMP message of the next echo, into buf. */
static uint32_t mini_message(struct mini *m, uint32_t size, uint8_t *buf)
{
	m->size = size;
	m->seq++;
	m->ip_id++;
	m->answered = false;
	m->have = m->total = 0;
	memset(buf, 0, ICMP_HLEN);
	buf[0] = 8;
	put16(buf + 4, m->id);
	put16(buf + 6, m->seq);
	for (uint32_t i = 0; i < size; i++)
		buf[ICMP_HLEN + i] = mini_byte(m, i);
	put16(buf + 2, cksum_finish(cksum_add(0, buf, ICMP_HLEN + size)));
	return ICMP_HLEN + size;
}

/* Ethernet and IP headers in front of n bytes at offset off of a message. */
static void mini_headers(const struct mini *m, const uint8_t mac[6], uint8_t *f, uint32_t n,
			 uint32_t off, bool more)
{
	uint8_t *ip = f + ETH_HLEN;

	memcpy(f, m->peer_mac, 6);
	memcpy(f + 6, mac, 6);
	put16(f + 12, ETH_TYPE_IPV4);
	memset(ip, 0, IP_HLEN);
	ip[0] = 0x45;
	put16(ip + 2, IP_HLEN + n);
	put16(ip + 4, m->ip_id);
	put16(ip + 6, off / 8 | (more ? 0x2000u : 0));
	ip[8] = 64;
	ip[9] = IP_PROTO_ICMP;
	memcpy(ip + 12, m->ip, 4);
	memcpy(ip + 16, m->peer, 4);
	put16(ip + 10, cksum_finish(cksum_add(0, ip, IP_HLEN)));
}

uint32_t mini_echo(struct mini *m, const uint8_t mac[6], uint32_t size, uint8_t *frame)
{
	uint32_t n = mini_message(m, size, frame + ETH_HLEN + IP_HLEN);

	mini_headers(m, mac, frame, n, 0, false);
	return ETH_HLEN + IP_HLEN + n;
}

bool mini_right(const struct mini *m)
{
	const uint8_t *e = m->echo;

	if (m->total != ICMP_HLEN + m->size || e[0] != 0 || get16(e + 4) != m->id ||
	    get16(e + 6) != m->seq || cksum_finish(cksum_add(0, e, m->total)) != 0)
		return false;
	for (uint32_t i = 0; i < m->size; i++) {
		if (e[ICMP_HLEN + i] != mini_byte(m, i))
			return false;
	}
	return true;
}

static bool mini_is_answered(void *arg)
{
	return ((struct mini *)arg)->answered;
}

bool mini_try_ping(struct mini *m, uint32_t size, unsigned ms)
{
	uint8_t message[ICMP_HLEN + MINI_PING_MAX], frame[ETH_HLEN + 65535];
	uint32_t most = (m->mtu - IP_HLEN) & ~7u, total, off = 0;

	assert_true(size <= MINI_PING_MAX);
	total = mini_message(m, size, message);
	while (off < total) {
		uint32_t n = total - off;
		bool more = n > m->mtu - IP_HLEN;

		if (more)
			n = most;
		mini_headers(m, m->nic->info.mac, frame, n, off, more);
		memcpy(frame + ETH_HLEN + IP_HLEN, message + off, n);
		mini_send(m, frame, ETH_HLEN + IP_HLEN + n);
		off += n;
	}
	if (!nic_pump(m->nic, mini_is_answered, m, ms))
		return false;
	if (!mini_right(m))
		fail_msg("ping of %u bytes came back changed", size);
	return true;
}

void mini_ping(struct mini *m, uint32_t size)
{
	if (!m->resolved)
		mini_resolve(m);
	if (!mini_try_ping(m, size, NIC_PATIENCE_MS))
		fail_msg("no answer to a ping of %u bytes", size);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/ping.h"

#include "tools/stack/content.h"

#define ECHO_HLEN 8u

struct ping_wait {
	const struct ping *ping;
	uint64_t answered; /* 0: not yet */
	bool good;
};

/* The payload: the content of the request's id and sequence number. */
static void ping_content(const struct ping *ping, struct content *c)
{
	content_init(c, (uint64_t)ping->id << 16 | ping->seq);
}

static bool ping_same(const struct ping *ping, const struct pbuf *p, uint32_t off)
{
	struct content c;
	uint8_t buf[256];

	if (p->tot_len != off + ping->size)
		return false;
	ping_content(ping, &c);
	for (uint32_t at = 0; at < ping->size;) {
		u16_t n = pbuf_copy_partial(p, buf, sizeof(buf), (u16_t)(off + at));

		if (n == 0 || !content_check(&c, buf, n))
			return false;
		at += n;
	}
	return true;
}

/* A raw PCB sees every ICMP packet, IP header included. 1: ours, and freed here. */
static u8_t ping_recv(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	struct ping_wait *w = arg;
	uint8_t hdr[ECHO_HLEN];
	uint32_t ihl;

	(void)pcb;
	(void)from;
	if (w->answered || pbuf_copy_partial(p, hdr, 1, 0) != 1)
		return 0;
	ihl = (hdr[0] & 0xfu) * 4u;
	if (pbuf_copy_partial(p, hdr, ECHO_HLEN, (u16_t)ihl) != ECHO_HLEN || hdr[0] != ICMP_ER ||
	    (hdr[4] << 8 | hdr[5]) != w->ping->id || (hdr[6] << 8 | hdr[7]) != w->ping->seq)
		return 0;
	w->answered = stack_now();
	w->good = ping_same(w->ping, p, ihl + ECHO_HLEN);
	(void)pbuf_free(p);
	return 1;
}

static struct pbuf *ping_request(const struct ping *ping)
{
	struct pbuf *p = pbuf_alloc(PBUF_IP, (u16_t)(ECHO_HLEN + ping->size), PBUF_RAM);
	struct content c;
	uint8_t *icmp;
	u16_t sum;

	if (!p)
		return NULL;
	icmp = p->payload;
	icmp[0] = ICMP_ECHO;
	icmp[1] = 0;
	icmp[2] = icmp[3] = 0;
	icmp[4] = (uint8_t)(ping->id >> 8);
	icmp[5] = (uint8_t)ping->id;
	icmp[6] = (uint8_t)(ping->seq >> 8);
	icmp[7] = (uint8_t)ping->seq;
	ping_content(ping, &c);
	content_make(&c, icmp + ECHO_HLEN, ping->size);
	sum = inet_chksum(icmp, p->len); /* in the order of memory */
	icmp[2] = (uint8_t)sum;
	icmp[3] = (uint8_t)(sum >> 8);
	return p;
}

static bool ping_done(void *arg)
{
	return ((struct ping_wait *)arg)->answered != 0;
}

int ping_once(struct stack *s, struct ping *ping, uint64_t deadline)
{
	struct ping_wait w = {.ping = ping};
	struct raw_pcb *pcb;
	struct pbuf *p;
	ip_addr_t to;
	uint64_t sent;
	err_t sent_err = ERR_MEM;
	int err;

	if (ping->size == 0 || ping->size > PING_SIZE_MAX)
		return stack_fail(s, STACK_BAD, "ping size %u is not 1 to %u", ping->size,
				  PING_SIZE_MAX);
	IP_ADDR4(&to, ping->to[0], ping->to[1], ping->to[2], ping->to[3]);

	stack_lock();
	pcb = raw_new(IP_PROTO_ICMP);
	p = ping_request(ping);
	sent = stack_now();
	if (pcb && p) {
		raw_recv(pcb, ping_recv, &w);
		sent_err = raw_sendto(pcb, p, &to);
	}
	if (p)
		(void)pbuf_free(p);
	stack_unlock();

	err = sent_err == ERR_OK
		      ? stack_run(s, ping_done, &w, deadline)
		      : stack_fail(s, STACK_BAD, "ping not sent (lwIP error %d)", sent_err);
	stack_lock();
	if (pcb)
		raw_remove(pcb);
	stack_unlock();

	if (err == STACK_TIMEOUT)
		return stack_fail(s, err, "no answer to ping");
	if (err)
		return err;
	if (!w.good)
		return stack_fail(s, STACK_BAD, "the ping's answer has another payload");
	ping->rtt_us = (uint32_t)(w.answered - sent);
	return STACK_OK;
}

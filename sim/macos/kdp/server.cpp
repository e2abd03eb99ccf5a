/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/macos/kdp/server.h"

#include <string.h>

enum {
	POLL_MS = 3,
	ACK_POLLS = 50,
	ACK_TRIES = 100,
	ACK_SPIN_US = 2500,
	COMPLAINTS = 16, /* a line each, for packets that make no sense */
};

void kdp_server_init(struct kdp_server *s, const struct kdp_config *config)
{
	memset(s, 0, sizeof(*s));
	s->config = *config;
}

void kdp_server_reset(struct kdp_server *s)
{
	kdp_breakpoints_remove(s);
	s->connected = s->halted = s->ack_needed = false;
	s->reply_port = s->exception_port = be16_make(0);
	s->exception_seq = s->connect_seq = 0;
	s->key = 0;
}

/* Whether one more line about nonsense may be written. */
bool kdp_complain(struct kdp_server *s)
{
	if (s->complaints >= COMPLAINTS)
		return false;
	s->complaints++;
	return true;
}

/* One look at the wire. True: there is a request in s->request, at least a header long. */
static bool kdp_poll(struct kdp_server *s)
{
	const struct kdp_config *c = &s->config;
	unsigned len = c->ops->receive(c->arg, s->frame, POLL_MS);

	s->request = span_of(0, 0);
	if (!len)
		return false;
	if (len > KDP_FRAME_MAX)
		len = KDP_FRAME_MAX;
	if (c->arp && kdp_frame_arp(s->frame, len, c->mac, c->ip)) {
		c->ops->send(c->arg, s->frame, len);
		return false;
	}
	if (!kdp_frame_parse(span_of(s->frame, len), &s->request))
		return false;
	if (!s->connected)
		kdp_frame_peers(s->frame, &s->there, &s->here);
	return s->request.len >= sizeof(struct kdp_hdr);
}

static struct kdp_hdr kdp_header(const struct kdp_server *s)
{
	struct kdp_hdr hdr;

	memcpy(&hdr, s->request.data, sizeof(hdr));
	return hdr;
}

/*
 * Execute and answer. [XNU-KDP-3] The answer goes back to the addresses that the request came
 * from, and to the port of the session, not to the one it came from. `keep`: it is the answer to
 * the expected request.
 */
static void kdp_answer(struct kdp_server *s, bool keep)
{
	const struct kdp_config *c = &s->config;
	struct kdp_peer from, to;
	unsigned len;
	be16 port;

	if (!kdp_execute(s, s->reply + KDP_HEADERS, &len, &port))
		return;
	if (kdp_header(s).request == KDP_CONNECT) {
		uint32_t error = 0;

		(void)span_le32(span_of(s->reply + KDP_HEADERS, len), 8, &error);
		if (error == KDP_OK)
			s->expected = kdp_header(s).seq;
		else
			keep = false; /* said to a stranger */
	}
	kdp_frame_peers(s->frame, &from, &to);
	len = kdp_frame_write(s->reply, len, &to, &from, port, s->ip_id++);
	if (keep) {
		memcpy(s->saved, s->reply, len);
		s->saved_len = len;
		s->expected++;
	}
	c->ops->send(c->arg, s->reply, len);
}

/* False: it is over without a debugger. */
static bool kdp_connection_wait(struct kdp_server *s)
{
	const struct kdp_config *c = &s->config;

	c->ops->log("ethernet MAC address: %02x:%02x:%02x:%02x:%02x:%02x", c->mac[0], c->mac[1],
		    c->mac[2], c->mac[3], c->mac[4], c->mac[5]);
	c->ops->log("ip address: %u.%u.%u.%u", c->ip[0], c->ip[1], c->ip[2], c->ip[3]);
	c->ops->log("Waiting for remote debugger connection.");
	s->reattach_wait = false;
	s->expected = 0;
	while (!s->connected) {
		struct kdp_hdr hdr;

		if (c->ops->expired(c->arg))
			return false;
		if (!kdp_poll(s))
			continue;
		hdr = kdp_header(s);
		/* [XNU-KDP-4] Here the reboot needs neither a sequence number nor a length. */
		if ((hdr.request & ~KDP_REPLY) == KDP_HOSTREBOOT) {
			s->reboot = true;
			return false;
		}
		if ((hdr.request != KDP_CONNECT && hdr.request != KDP_REATTACH) ||
		    hdr.seq != s->expected)
			continue;
		kdp_answer(s, true);
		if (hdr.request == KDP_REATTACH) {
			s->reattach_wait = false;
			s->expected = 0;
		}
	}
	c->ops->log("Connected to remote debugger.");
	return true;
}

/* Whether the debugger acknowledged. [XNU-KDP-5] Nothing of the ack's length is checked. */
static bool kdp_send_exception(struct kdp_server *s, uint32_t exception, uint32_t code,
			       uint32_t subcode)
{
	const struct kdp_config *c = &s->config;
	struct kdp_exception e = {};

	e.hdr.request = KDP_EXCEPTION;
	e.hdr.seq = s->exception_seq;
	e.hdr.len = le16_make(sizeof(e));
	e.count = le32_make(1);
	e.exception = le32_make(exception);
	e.code = le32_make(code);
	e.subcode = le32_make(subcode);
	for (unsigned n = 0; n <= ACK_TRIES && !c->ops->expired(c->arg); n++) {
		unsigned len;
		bool input = false;

		memcpy(s->reply + KDP_HEADERS, &e, sizeof(e));
		len = kdp_frame_write(s->reply, sizeof(e), &s->here, &s->there, s->exception_port,
				      s->ip_id++);
		c->ops->send(c->arg, s->reply, len);
		for (unsigned poll = 0; poll < ACK_POLLS && !input; poll++)
			input = kdp_poll(s);
		/* Any packet ends the wait of this turn; only the ack ends the turns. */
		if (input && kdp_header(s).request == (KDP_EXCEPTION | KDP_REPLY) &&
		    kdp_header(s).seq == s->exception_seq) {
			s->exception_seq++;
			return true;
		}
		c->ops->spin(c->arg, ACK_SPIN_US);
	}
	return false;
}

/* Serve until the machine may go; false: time is over. */
static bool kdp_serve(struct kdp_server *s)
{
	const struct kdp_config *c = &s->config;

	s->halted = true;
	while (s->halted) {
		struct kdp_hdr hdr;

		if (c->ops->expired(c->arg))
			return false;
		if (!kdp_poll(s))
			continue;
		hdr = kdp_header(s);
		if (hdr.request & KDP_REPLY)
			continue;
		/* [XNU-KDP-6] REATTACH comes from a debugger that knows nothing of the last one. */
		if (hdr.request == KDP_REATTACH)
			s->expected = hdr.seq;
		/*
		 * [XNU-KDP-7] Both are unsigned char, but the difference is an int: with 0
		 * expected, the repeated request 255 is not recognised.
		 */
		if (hdr.seq == s->expected - 1) {
			if (s->saved_len)
				c->ops->send(c->arg, s->saved, s->saved_len);
			continue;
		}
		if (hdr.seq != s->expected && hdr.request != KDP_CONNECT) {
			if (kdp_complain(s))
				c->ops->log("kdp: bad sequence %u (want %u)", hdr.seq, s->expected);
			continue;
		}
		kdp_answer(s, true);
		if (s->reboot)
			return true;
	}
	return true;
}

static enum kdp_end kdp_give_up(struct kdp_server *s)
{
	kdp_server_reset(s);
	s->reattach_wait = false;
	return s->reboot ? KDP_END_REBOOT : KDP_END_EXPIRED;
}

enum kdp_end kdp_server_stop(struct kdp_server *s, uint32_t exception, uint32_t code,
			     uint32_t subcode, bool panic)
{
	const struct kdp_config *c = &s->config;

	s->complaints = 0;
	s->reboot = false;
	s->wait_again = panic;
	do {
		if (!s->connected) {
			if (!kdp_connection_wait(s))
				return kdp_give_up(s);
		} else if (!kdp_send_exception(s, exception, code, subcode)) {
			bool over = c->ops->expired(c->arg);

			c->ops->log("kdp: exception ack timeout");
			kdp_server_reset(s);
			c->ops->log("Remote debugger disconnected.");
			return over ? KDP_END_EXPIRED : KDP_END_LOST;
		}
		if (!kdp_serve(s) || s->reboot)
			return kdp_give_up(s);
		if (!s->connected) {
			kdp_breakpoints_remove(s);
			c->ops->log("Remote debugger disconnected.");
		}
	} while (s->reattach_wait);
	return s->connected ? KDP_END_RESUMED : KDP_END_DISCONNECTED;
}

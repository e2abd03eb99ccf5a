/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything but starting and stopping happens in lwIP's callbacks, under its lock. A connection
 * lives from accept until it is over for either side; at most CONNS of them, more are refused.
 */
#include "tools/stack/responder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/stack/feed.h"
#include "tools/stack/server.h"

#define CONNS 4u
#define LINE  64u

enum phase { PHASE_LINE, PHASE_GET, PHASE_PUT };

struct responder_conn {
	struct responder *r;
	struct tcp_pcb *pcb;
	enum phase phase;
	char line[LINE];
	uint32_t have;	/* of the line */
	uint64_t acked; /* by the peer, of what we sent */
	uint64_t left;	/* of what it sends */
	struct feed feed;
};

struct responder {
	struct tcp_pcb *listener;
	struct responder_conn *conns[CONNS];
	struct responder_stats stats;
};

/* No more of it; pcb stays the caller's. */
static void conn_forget(struct responder_conn *c)
{
	for (unsigned i = 0; i < CONNS; i++) {
		if (c->r->conns[i] == c)
			c->r->conns[i] = NULL;
	}
	free(c);
}

static void conn_detach(struct tcp_pcb *pcb)
{
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_sent(pcb, NULL);
	tcp_err(pcb, NULL);
}

static err_t conn_abort(struct responder_conn *c)
{
	struct tcp_pcb *pcb = c->pcb;

	conn_forget(c);
	conn_detach(pcb);
	tcp_abort(pcb);
	return ERR_ABRT;
}

/* What was written still goes out. */
static err_t conn_close(struct responder_conn *c)
{
	conn_detach(c->pcb); /* closing may free it */
	if (tcp_close(c->pcb) != ERR_OK)
		return conn_abort(c);
	conn_forget(c);
	return ERR_OK;
}

static err_t conn_say(struct responder_conn *c, const char *text)
{
	(void)tcp_write(c->pcb, text, (u16_t)strlen(text), TCP_WRITE_FLAG_COPY);
	return conn_close(c);
}

/* The line is there. False: it is no request. */
static bool conn_request(struct responder_conn *c)
{
	uint64_t bytes = 0, seed = 0;
	char verb[4] = "", end;

	if (sscanf(c->line, "%3s %" SCNu64 " %" SCNu64 "%c", verb, &bytes, &seed, &end) != 3 ||
	    bytes > SERVER_BYTES_MAX || (strcmp(verb, "GET") != 0 && strcmp(verb, "PUT") != 0))
		return false;
	feed_init(&c->feed, seed, bytes);
	c->left = bytes;
	c->phase = *verb == 'G' ? PHASE_GET : PHASE_PUT;
	return true;
}

static err_t conn_put_over(struct responder_conn *c)
{
	char text[LINE];

	if (c->feed.content.wrong == CONTENT_GOOD) {
		c->r->stats.served++;
		(void)snprintf(text, sizeof(text), "OK %016" PRIx64 "\n",
			       content_sum(&c->feed.content));
	} else {
		c->r->stats.bad++;
		(void)snprintf(text, sizeof(text), "BAD %" PRIu64 "\n", c->feed.content.wrong);
	}
	return conn_say(c, text);
}

/* The request's line out of p; how much of p it was. */
static u16_t conn_take_line(struct responder_conn *c, const struct pbuf *p)
{
	u16_t at = 0;

	while (at < p->tot_len && c->have < LINE - 1) {
		char byte = (char)pbuf_get_at(p, at++);

		if (byte == '\n') {
			c->line[c->have] = '\0';
			c->have = LINE;
			return at;
		}
		c->line[c->have++] = byte;
	}
	return at;
}

static void conn_take_content(struct responder_conn *c, const struct pbuf *p, u16_t from)
{
	for (; p; p = p->next) {
		u16_t skip = from < p->len ? from : p->len;
		uint64_t n =
			(uint64_t)(p->len - skip) < c->left ? (uint64_t)(p->len - skip) : c->left;

		from = (u16_t)(from - skip);
		(void)content_check(&c->feed.content, (const uint8_t *)p->payload + skip, n);
		c->left -= n;
		c->r->stats.received += n;
	}
}

/* What there is to do once more of the peer's bytes are taken. */
static err_t conn_go_on(struct responder_conn *c)
{
	if (c->phase == PHASE_PUT)
		return c->left ? ERR_OK : conn_put_over(c);
	if (c->phase == PHASE_LINE)
		return ERR_OK;
	if (c->feed.bytes) {
		(void)feed_push(&c->feed, c->pcb);
		return ERR_OK;
	}
	c->r->stats.served++;
	return conn_close(c);
}

static err_t conn_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct responder_conn *c = arg;
	bool good = true;
	u16_t used = 0;

	(void)err;
	if (!p) /* of a download it has only closed its own direction */
		return c->phase == PHASE_GET ? ERR_OK : conn_close(c);
	tcp_recved(pcb, p->tot_len);
	if (c->phase == PHASE_LINE) {
		used = conn_take_line(c, p);
		if (c->have >= LINE - 1)
			good = c->have == LINE && conn_request(c);
	}
	if (c->phase == PHASE_PUT)
		conn_take_content(c, p, used);
	(void)pbuf_free(p);
	if (good)
		return conn_go_on(c);
	c->r->stats.bad++;
	return conn_say(c, "ERR want: GET|PUT <bytes> <seed>\n");
}

static err_t conn_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct responder_conn *c = arg;

	c->acked += len;
	c->r->stats.sent += len;
	if (c->phase != PHASE_GET)
		return ERR_OK;
	(void)feed_push(&c->feed, pcb);
	if (c->acked < c->feed.bytes)
		return ERR_OK;
	c->r->stats.served++;
	return conn_close(c);
}

/* lwIP has freed the pcb. */
static void conn_error(void *arg, err_t err)
{
	(void)err;
	conn_forget(arg);
}

static err_t responder_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct responder *r = arg;
	struct responder_conn *c = NULL;
	unsigned i = 0;

	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	while (i < CONNS && r->conns[i])
		i++;
	if (i < CONNS)
		c = calloc(1, sizeof(*c));
	if (!c) {
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	c->r = r;
	c->pcb = pcb;
	r->conns[i] = c;
	r->stats.connections++;
	tcp_arg(pcb, c);
	tcp_recv(pcb, conn_recv);
	tcp_sent(pcb, conn_sent);
	tcp_err(pcb, conn_error);
	return ERR_OK;
}

struct responder *responder_start(uint16_t port)
{
	struct responder *r = calloc(1, sizeof(*r));
	struct tcp_pcb *pcb, *listener = NULL;

	if (!r)
		return NULL;
	stack_lock();
	pcb = tcp_new();
	if (pcb && tcp_bind(pcb, IP4_ADDR_ANY, port) == ERR_OK)
		listener = tcp_listen(pcb);
	if (listener) {
		r->listener = listener;
		tcp_arg(listener, r);
		tcp_accept(listener, responder_accept);
	} else if (pcb) {
		tcp_abort(pcb);
	}
	stack_unlock();
	if (!listener) {
		free(r);
		return NULL;
	}
	return r;
}

void responder_stats(const struct responder *r, struct responder_stats *out)
{
	stack_lock();
	*out = r->stats;
	stack_unlock();
}

void responder_stop(struct responder *r)
{
	if (!r)
		return;
	stack_lock();
	(void)tcp_close(r->listener);
	for (unsigned i = 0; i < CONNS; i++) {
		if (r->conns[i])
			(void)conn_abort(r->conns[i]);
	}
	stack_unlock();
	free(r);
}

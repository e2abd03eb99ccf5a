/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/stack/feed.h"

#define ANSWER	      64u
#define PROGRESS_STEP 262144u /* bytes */
#define CLOSE_US      2000000u

struct transfer_conn {
	struct stack *s;
	struct transfer *t;
	struct tcp_pcb *pcb; /* NULL: lwIP has freed it */
	struct feed feed;    /* its content is also what a download is compared with */
	uint32_t answer_len;
	uint64_t next_progress;
	uint64_t started, ended;
	err_t err;
	bool connected, closed;
	bool over; /* for better or worse */
	char answer[ANSWER];
};

static void transfer_progress(struct transfer_conn *c)
{
	if (c->t->done < c->next_progress && c->t->done != c->t->bytes)
		return;
	c->next_progress = c->t->done + PROGRESS_STEP;
	if (c->t->progress)
		c->t->progress(c->t->arg, c->t->done, c->t->bytes);
}

static void transfer_end(struct transfer_conn *c)
{
	if (!c->over)
		c->ended = stack_now();
	c->over = true;
}

static void transfer_take_answer(struct transfer_conn *c, const struct pbuf *p)
{
	u16_t n = pbuf_copy_partial(p, c->answer + c->answer_len,
				    (u16_t)(ANSWER - 1 - c->answer_len), 0);

	c->answer_len += n;
	c->answer[c->answer_len] = '\0';
	if (memchr(c->answer, '\n', c->answer_len) || c->answer_len == ANSWER - 1)
		transfer_end(c);
}

static void transfer_take_data(struct transfer_conn *c, const struct pbuf *p)
{
	for (; p; p = p->next) {
		(void)content_check(&c->feed.content, p->payload, p->len);
		c->t->done += p->len;
	}
	if (c->feed.content.wrong != CONTENT_GOOD || c->t->done >= c->t->bytes)
		transfer_end(c);
	transfer_progress(c);
}

static err_t transfer_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct transfer_conn *c = arg;

	(void)err;
	if (!p) {
		c->closed = true;
		transfer_end(c);
		return ERR_OK;
	}
	if (!c->over && c->t->upload)
		transfer_take_answer(c, p);
	else if (!c->over)
		transfer_take_data(c, p);
	tcp_recved(pcb, p->tot_len);
	(void)pbuf_free(p);
	return ERR_OK;
}

static err_t transfer_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	struct transfer_conn *c = arg;

	(void)pcb;
	if (!c->t->upload || c->over)
		return ERR_OK;
	/* the request's own bytes are counted too: cut off at the end */
	c->t->done += len;
	if (c->t->done > c->feed.staged)
		c->t->done = c->feed.staged;
	(void)feed_push(&c->feed, c->pcb);
	transfer_progress(c);
	return ERR_OK;
}

static err_t transfer_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct transfer_conn *c = arg;
	char line[64];
	int n;

	(void)err;
	c->connected = true;
	c->started = stack_now();
	n = snprintf(line, sizeof(line), "%s %" PRIu64 " %" PRIu64 "\n",
		     c->t->upload ? "PUT" : "GET", c->t->bytes, c->t->seed);
	(void)tcp_write(pcb, line, (u16_t)n, TCP_WRITE_FLAG_COPY);
	if (c->t->upload)
		(void)feed_push(&c->feed, c->pcb);
	return tcp_output(pcb);
}

static void transfer_error(void *arg, err_t err)
{
	struct transfer_conn *c = arg;

	c->pcb = NULL; /* gone already */
	c->err = err;
	transfer_end(c);
}

static bool transfer_over(void *arg)
{
	return ((struct transfer_conn *)arg)->over;
}

static bool transfer_closed(void *arg)
{
	const struct transfer_conn *c = arg;

	return c->closed || !c->pcb;
}

static bool transfer_open(struct transfer_conn *c)
{
	ip_addr_t to;

	IP_ADDR4(&to, c->t->to[0], c->t->to[1], c->t->to[2], c->t->to[3]);
	c->pcb = tcp_new();
	if (!c->pcb)
		return false;
	tcp_arg(c->pcb, c);
	tcp_recv(c->pcb, transfer_recv);
	tcp_sent(c->pcb, transfer_sent);
	tcp_err(c->pcb, transfer_error);
	return tcp_connect(c->pcb, &to, c->t->port, transfer_connected) == ERR_OK;
}

/*
 * Close; wait a moment for the other side's, so that nothing is in the air when the device stops.
 */
static void transfer_close(struct transfer_conn *c, bool orderly)
{
	if (orderly && !c->closed)
		(void)stack_run(c->s, transfer_closed, c, stack_now() + CLOSE_US);
	stack_lock();
	if (c->pcb) {
		tcp_arg(c->pcb, NULL);
		tcp_recv(c->pcb, NULL);
		tcp_sent(c->pcb, NULL);
		tcp_err(c->pcb, NULL);
		if (!orderly || tcp_close(c->pcb) != ERR_OK)
			tcp_abort(c->pcb);
	}
	stack_unlock();
	/* let FIN or RST leave */
	(void)stack_run(c->s, NULL, NULL, stack_now() + STACK_NAP_US);
}

/* What came of it, once it is over. */
static int transfer_judge(struct transfer_conn *c)
{
	struct transfer *t = c->t;
	struct stack *s = c->s;
	char want[ANSWER];

	if (!c->connected)
		return stack_fail(s, STACK_REFUSED, "connection to %u.%u.%u.%u port %u refused",
				  t->to[0], t->to[1], t->to[2], t->to[3], t->port);
	if (c->err)
		return stack_fail(s, STACK_REFUSED,
				  "connection broken after %" PRIu64 " of %" PRIu64
				  " bytes (lwIP error %d)",
				  t->done, t->bytes, c->err);
	if (!t->upload) {
		if (c->feed.content.wrong != CONTENT_GOOD)
			return stack_fail(s, STACK_BAD, "byte %" PRIu64 " received is wrong",
					  c->feed.content.wrong);
		if (t->done != t->bytes)
			return stack_fail(s, STACK_BAD,
					  "%" PRIu64 " bytes received, %" PRIu64 " asked for",
					  t->done, t->bytes);
		return STACK_OK;
	}
	(void)snprintf(want, sizeof(want), "OK %016" PRIx64 "\n", content_sum(&c->feed.content));
	if (strcmp(c->answer, want) != 0) {
		c->answer[strcspn(c->answer, "\n")] = '\0';
		return stack_fail(s, STACK_BAD, "the server's answer to the upload is \"%s\"",
				  c->answer);
	}
	return STACK_OK;
}

int transfer_run(struct stack *s, struct transfer *t)
{
	struct transfer_conn *c = calloc(1, sizeof(*c));
	char why[sizeof(s->err)];
	bool opened;
	int err;

	if (!c)
		return stack_fail(s, STACK_BAD, "out of memory");
	c->s = s;
	c->t = t;
	c->started = stack_now();
	feed_init(&c->feed, t->seed, t->bytes);
	t->done = 0;
	t->seconds = t->mbit_s = 0;
	t->verified = false;

	stack_lock();
	opened = transfer_open(c);
	stack_unlock();
	err = opened ? stack_run(s, transfer_over, c, t->deadline)
		     : stack_fail(s, STACK_BAD, "lwIP did not open a connection");
	if (err == STACK_TIMEOUT)
		err = stack_fail(s, err, "not finished in time: %" PRIu64 " of %" PRIu64 " bytes",
				 t->done, t->bytes);
	else if (err == STACK_OK)
		err = transfer_judge(c);

	if (c->ended > c->started) {
		t->seconds = (double)(c->ended - c->started) / 1e6;
		t->mbit_s = (double)t->done * 8 / 1e6 / t->seconds;
	}
	t->verified = err == STACK_OK;
	memcpy(why, s->err, sizeof(why)); /* not what waiting for the close says */
	transfer_close(c, err == STACK_OK);
	memcpy(s->err, why, sizeof(why));
	free(c);
	return err;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/nat_pump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READS 64

static uint32_t addr(const char *text)
{
	struct in_addr a;

	inet_pton(AF_INET, text, &a);
	return ntohl(a.s_addr);
}

void nat_pump_def(struct nat_pump *p, uint32_t mtu)
{
	struct netdef *d = &p->def;

	memset(p, 0, sizeof(*p));
	strcpy(d->name, "lab");
	d->mode = NETDEF_SHARED;
	d->gateway = addr(NETLAB_GATEWAY4);
	d->netmask = 0xffffff00;
	d->subnet = d->gateway & d->netmask;
	d->nat44 = d->nat66 = true;
	d->mtu = mtu;
	inet_pton(AF_INET6, NETLAB_PREFIX6, d->prefix6);
}

static bool lost(struct nat_pump *p)
{
	return p->lose && ++p->count % p->lose == 0;
}

static void to_tap(struct nat_pump *p, const uint8_t *data, size_t len)
{
	if (!lost(p) && write(p->lab->tap, data, len) >= 0)
		p->to_member++;
}

static void input(void *ctx, const struct frame *frames, size_t n)
{
	struct nat_pump *p = ctx;

	for (size_t i = 0; i < n; i++)
		to_tap(p, frames[i].data, frames[i].len);
}

static void event(void *ctx, const char *why)
{
	struct nat_pump *p = ctx;

	if (!why) {
		p->back++;
		return;
	}
	p->lost++;
	snprintf(p->why, sizeof(p->why), "%s", why);
}

static void from_tap(uv_poll_t *h, int status, int events)
{
	static uint8_t buf[READS * 4096 + FRAME_STREAM_MAX];
	struct nat_pump *p = h->data;
	size_t at = 0;

	(void)status;
	(void)events;
	for (unsigned i = 0; i < READS && sizeof(buf) - at > FRAME_STREAM_MAX; i++) {
		uint8_t reply[128];
		uint32_t reply_len;
		ssize_t n = read(p->lab->tap, buf + at + FRAME_PREFIX, FRAME_STREAM_MAX - 4);
		struct frame f;

		if (n <= 0)
			break;
		f = (struct frame){buf + at + FRAME_PREFIX, (uint32_t)n};
		if (netlab_frame(p->lab, f.data, f.len, reply, &reply_len)) {
			if (reply_len)
				to_tap(p, reply, reply_len);
			continue;
		}
		if (lost(p))
			continue;
		p->from_member++;
		uplink_send(p->uplink, &f);
		at += FRAME_PREFIX + (size_t)n;
	}
	uplink_flush(p->uplink);
}

bool nat_pump_open(struct nat_pump *p, struct netlab *lab, const char *program,
		   const char *const *options, char err[NETDEF_ERR_MAX])
{
	struct uplink_params params = {
		.loop = &p->loop,
		.def = &p->def,
		.gateway_mac = lab->gateway_mac,
		.input = input,
		.event = event,
		.ctx = p,
		.program = program,
		.options = options,
	};

	p->lab = lab;
	uv_loop_init(&p->loop);
	uv_poll_init(&p->loop, &p->tap, lab->tap);
	p->tap.data = p;
	p->uplink = uplink_open(&params, err);
	if (!p->uplink)
		return false;
	uv_poll_start(&p->tap, UV_READABLE, from_tap);
	return true;
}

void nat_pump_close(struct nat_pump *p)
{
	uv_close((uv_handle_t *)&p->tap, NULL);
	if (p->uplink)
		uplink_close(p->uplink);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	uv_loop_close(&p->loop);
}

static void expired(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

struct watch {
	int fd;
	char *out;
	bool got;
};

static void answered(uv_poll_t *h, int status, int events)
{
	struct watch *w = h->data;

	(void)status;
	(void)events;
	w->got = netlab_answer(w->fd, w->out);
}

bool nat_pump_wait(struct nat_pump *p, const bool *flag, unsigned wait_ms)
{
	bool late = false;
	uv_timer_t timer;

	uv_timer_init(&p->loop, &timer);
	timer.data = &late;
	uv_timer_start(&timer, expired, wait_ms, 0);
	while (!late && !(flag ? *flag : uplink_ready(p->uplink)))
		uv_run(&p->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&p->loop, UV_RUN_NOWAIT);
	return flag ? *flag : uplink_ready(p->uplink);
}

bool nat_pump_ask(struct nat_pump *p, int agent, const char *text, char out[256], unsigned wait_ms)
{
	struct watch w = {.fd = agent, .out = out};
	uv_poll_t poll;
	bool ok;

	snprintf(out, 256, "no answer");
	if (!netlab_ask(agent, text))
		return false;
	uv_poll_init(&p->loop, &poll, agent);
	poll.data = &w;
	uv_poll_start(&poll, UV_READABLE, answered);
	ok = nat_pump_wait(p, &w.got, wait_ms);
	uv_close((uv_handle_t *)&poll, NULL);
	uv_run(&p->loop, UV_RUN_NOWAIT);
	return ok;
}

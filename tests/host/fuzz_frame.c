/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer over the switch: a network's life out of bytes.
 *
 * The first byte of an input says what kind of network; then come records: one byte of what to do
 * and to which port, one of length, so many bytes. Most are frames, given as they are or with
 * addresses chosen from a few, so that stations meet; others let time pass, unplug a port, pull a
 * cable. Several frames in a row from one port are one batch.
 *
 * Whatever happens: nothing goes back where it came from, to a port that is down, or from member to
 * member where that is not allowed; nobody speaks as the gateway or, locked, as somebody else; each
 * port that was given something is flushed before the batch ends; the table keeps its bounds.
 */
#include <stdlib.h>
#include <string.h>

#include "host/netd/sw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define PORTS	8u
#define LOCKED	6u /* has an address of its own, and that only */
#define GATEWAY 7u
#define BATCH	16u
#define ROOM	2048u

enum what { FRAME = 0, SHORT = 1, STATIONS = 2, LONG = 3, TIME = 4, PLUG = 5, CABLE = 6, TAP = 7 };

struct port {
	struct sw_port *port;
	unsigned n, unflushed;
};

static struct sw *sw, *all[8]; /* of each kind one, empty between inputs */
static struct sw_params params;
static struct port ports[PORTS];
static struct sw_port *sender;
static uint64_t now;
static int tap;
static unsigned replies;

static const uint8_t locked_mac[6] = {2, 0, 0, 0, 0, 0x66};
static const uint8_t gateway_mac[6] = {2, 0, 0, 0, 0, 0x77};

static void check(bool ok)
{
	if (!ok)
		abort();
}

static uint64_t clock_ms(void *arg)
{
	(void)arg;
	return now;
}

static void on_send(void *ctx, const struct sw_port *from, const struct frame *f)
{
	struct port *p = ctx;
	static uint8_t memory[FRAME_PREFIX + 64];
	struct frame answer = {memory + FRAME_PREFIX, 64};

	check(from != p->port && sw_port_is_up(p->port));
	check(frame_valid(f, params.mtu));
	if (from != ports[GATEWAY].port) {
		check(from == sender);
		check(memcmp(frame_src(f), gateway_mac, 6) != 0);
		check(!params.isolated || p == &ports[GATEWAY]);
	}
	if (from == ports[LOCKED].port)
		check(!memcmp(frame_src(f), locked_mac, 6));
	else
		check(memcmp(frame_src(f), locked_mac, 6) != 0);
	/* All of it is there. */
	f->data[-(int)FRAME_PREFIX] = f->data[f->len - 1];
	p->unflushed++;
	if (p == &ports[GATEWAY] && replies++ % 2) {
		memcpy(answer.data, frame_src(f), 6);
		memcpy(answer.data + 6, gateway_mac, 6);
		sw_reply(p->port, &answer);
	}
}

static void on_flush(void *ctx)
{
	struct port *p = ctx;

	p->unflushed = 0;
}

static void on_tap(void *ctx, const struct sw_port *port, bool from_port, const struct frame *f)
{
	(void)ctx;
	(void)from_port;
	check(port && f->len >= FRAME_ETH);
}

static void plug(unsigned i)
{
	static const struct sw_port_ops ops = {on_send, on_flush};
	const struct sw_port_params p = {
		.role = i == GATEWAY ? SW_SERVICE : SW_MEMBER,
		.ops = &ops,
		.ctx = &ports[i],
		.owner = &ports[i],
		.mac = i == GATEWAY  ? gateway_mac
		       : i == LOCKED ? locked_mac
				     : NULL,
		.lock_mac = i == LOCKED,
	};

	ports[i].port = sw_port_add(sw, &p);
	check(ports[i].port);
}

static void station(uint8_t choice, uint8_t mac[6])
{
	static const uint8_t plain[6] = {2};

	switch (choice & 7) {
	case 0:
		memset(mac, 0xff, 6);
		break;
	case 1:
		memcpy(mac, gateway_mac, 6);
		break;
	case 2:
		memcpy(mac, locked_mac, 6);
		break;
	default:
		memcpy(mac, plain, 6);
		mac[5] = choice >> 3;
	}
}

static uint8_t memory[BATCH][FRAME_PREFIX + ROOM];
static struct frame batch[BATCH];

static struct frame frame(unsigned slot, enum what what, const uint8_t *bytes, uint32_t n)
{
	struct frame f = {memory[slot] + FRAME_PREFIX, n};

	memset(f.data, 0, ROOM);
	memcpy(f.data, bytes, n);
	if (what == STATIONS && n >= 2) {
		uint8_t dst = bytes[0], src = bytes[1];

		station(dst, f.data);
		station(src, f.data + 6);
		if (n > 2)
			memmove(f.data + 12, bytes + 2, n - 2);
		f.len = n + 12;
	} else if (what == LONG) {
		f.len = n * 8;
	} else if (what == SHORT) {
		f.len = n % 20;
	}
	return f;
}

static void input(unsigned from, unsigned n)
{
	sender = ports[from].port;
	sw_input(sender, batch, n);
	for (unsigned i = 0; i < PORTS; i++)
		check(!ports[i].unflushed);
	check(sw_stations(sw) <= SW_FDB_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t at = 1;
	unsigned n = 0, from = 0;

	if (!len)
		return 0;
	now += 1000;
	replies = 0;
	tap = 0;
	params = (struct sw_params){.mtu = data[0] & 1 ? 1500 : 576,
				    .isolated = data[0] & 2,
				    .now_ms = clock_ms,
				    .broadcasts_per_s = data[0] & 4 ? 3 : 1000};
	if (!all[data[0] & 7])
		all[data[0] & 7] = sw_create(&params);
	sw = all[data[0] & 7];
	check(sw);
	for (unsigned i = 0; i < PORTS; i++)
		plug(i);
	while (len - at >= 2) {
		unsigned port = data[at] & 7, size = data[at + 1];
		enum what what = data[at] >> 3 & 7;
		const uint8_t *bytes = data + at + 2;

		at += 2;
		if (size > len - at)
			size = (unsigned)(len - at);
		at += size;
		if (n && (what > LONG || port != from || n == BATCH)) {
			input(from, n);
			n = 0;
		}
		from = port;
		if (what <= LONG) {
			batch[n] = frame(n, what, bytes, size);
			n++;
		} else if (what == TIME) {
			now += (uint64_t)size * size * 10;
		} else if (what == PLUG) {
			sw_port_remove(ports[port].port);
			plug(port);
		} else if (what == CABLE) {
			sw_port_link(ports[port].port, !sw_port_is_up(ports[port].port));
		} else if (tap) {
			sw_tap_remove(sw, tap);
			tap = 0;
		} else {
			tap = sw_tap_add(sw, on_tap, NULL);
		}
	}
	if (n)
		input(from, n);
	for (unsigned i = 0; i < PORTS; i++)
		sw_port_remove(ports[i].port);
	check(sw_stations(sw) == 0);
	if (tap)
		sw_tap_remove(sw, tap);
	return 0;
}

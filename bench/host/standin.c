/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stand-in for a virtual machine, for bench/host/run: everything a VMM does for a guest's network
 * card, and no guest.
 *
 *   standin tap WIRE NAME                     a network namespace is the guest: its TAP <-> wire
 *   standin idle WIRE MAC                     says once that it is there, throws away what it gets
 *   standin sink WIRE MAC                     counts the frames of `send` and tells it
 *   standin send WIRE MAC TO LEN MS WINDOW    sends frames for a time; prints one JSON object
 *   standin pipe WIRE WIRE                    a relay with nothing in it: what the sockets cost
 *
 * `tap` has no virtio header and no offloads, as a guest behind QEMU's socket netdevs has none: the
 * namespace's kernel makes MTU-sized packets with checksums. One thread; it takes what the TAP has
 * up to a buffer's worth and writes that with one call, and takes from the wire what there is.
 * While the wire has no room the TAP is not read, so its queue fills as a card's ring would.
 *
 * `send` and `sink` leave the TCP/IP stack out. The sink answers each batch with one short frame
 * that has the counts in it; the sender keeps at most WINDOW bytes on their way. What has not
 * been told of for 20 ms is lost and counted as that. Delivered frames are those that the
 * sink told of within the time.
 *
 * WIRE is in wire.h. Ends with status 0 when the wire does.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "bench/host/wire.h"

#define ETH_HEADER  14u
#define ETH_TEST    0x88b5u /* for experiments (IEEE 802) */
#define PATIENCE_NS 20000000u

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Until one of them can be read or, if it has something to send, the wire be written. */
static void wait_for(const struct wire *w, int other, int timeout_ms)
{
	bool waiting = w->tx_off < w->tx_len;
	struct pollfd p[] = {
		{.fd = w->fd, .events = (short)(POLLIN | (waiting ? POLLOUT : 0))},
		{.fd = waiting ? -1 : other, .events = POLLIN},
	};

	poll(p, 2, timeout_ms);
}

/* ---- the guest is a namespace ---- */

static int open_tap(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		standin_fail("/dev/net/tun: %s", strerror(errno));
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr))
		standin_fail("TAP %s: %s", name, strerror(errno));
	return fd;
}

static void to_tap(void *ctx, uint8_t *data, size_t len)
{
	/* EIO while it is down, EINVAL for a runt: no wire cares. */
	if (write(*(int *)ctx, data, len) < 0)
		return;
}

/* False: nothing there. */
static bool from_tap(struct wire *w, int tap)
{
	uint8_t *room;
	bool any = false;

	while ((room = wire_room(w))) {
		ssize_t n = read(tap, room, WIRE_FRAME);

		if (n <= 0)
			break;
		wire_add(w, (size_t)n);
		any = true;
	}
	return any;
}

static void run_tap(struct wire *w, const char *name)
{
	int tap = open_tap(name);

	printf("ready\n");
	fflush(stdout);
	for (;;) {
		bool work = wire_read(w, to_tap, &tap) > 0;

		if (wire_flush(w) && from_tap(w, tap))
			work = wire_flush(w);
		if (!work)
			wait_for(w, tap, -1);
	}
}

/* ---- no guest at all ---- */

struct note { /* behind the Ethernet header of a test frame, in the order of this machine */
	uint64_t sequence; /* of a frame: its number; of an answer: the highest number seen */
	uint64_t count;	   /* of an answer: frames seen */
	uint64_t flow;	   /* one sender's life */
	uint64_t len;	   /* of a frame: its length, so that a shortened one does not count */
};

static void parse_mac(uint8_t mac[6], const char *text)
{
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4,
		   mac + 5) != 6)
		standin_fail("%s: want a MAC address", text);
}

static void header(uint8_t *data, const uint8_t *to, const uint8_t *from)
{
	memcpy(data, to, 6);
	memcpy(data + 6, from, 6);
	data[12] = ETH_TEST >> 8;
	data[13] = ETH_TEST & 0xff;
}

/* Only test frames of whole length are ours: a switch may speak protocols of its own. */
static bool test_frame(const uint8_t *data, size_t len, struct note *note)
{
	if (len < ETH_HEADER + sizeof(*note) || data[12] != ETH_TEST >> 8 ||
	    data[13] != (ETH_TEST & 0xff))
		return false;
	memcpy(note, data + ETH_HEADER, sizeof(*note));
	return true;
}

static void announce(struct wire *w, const uint8_t *mac)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	uint8_t *data = wire_room(w);

	memset(data, 0, 60);
	header(data, all, mac);
	wire_add(w, 60);
	while (!wire_flush(w))
		wait_for(w, -1, -1);
	printf("ready\n");
	fflush(stdout);
}

struct sink {
	struct note seen;
	uint8_t sender[6];
};

static void sink_frame(void *ctx, uint8_t *data, size_t len)
{
	struct sink *s = ctx;
	struct note note;

	if (!test_frame(data, len, &note) || !note.flow || note.len != len)
		return;
	if (note.flow != s->seen.flow) {
		s->seen = (struct note){.flow = note.flow};
		memcpy(s->sender, data + 6, 6);
	}
	if (note.sequence > s->seen.sequence)
		s->seen.sequence = note.sequence;
	s->seen.count++;
}

static void run_sink(struct wire *w, const char *mac_text)
{
	struct sink s = {0};
	uint8_t mac[6];

	parse_mac(mac, mac_text);
	announce(w, mac);
	for (;;) {
		uint64_t before = s.seen.count;

		if (!wire_read(w, sink_frame, &s)) {
			wait_for(w, -1, -1);
			continue;
		}
		if (s.seen.count != before && wire_room(w)) {
			uint8_t *data = wire_room(w);

			memset(data, 0, 60);
			header(data, s.sender, mac);
			memcpy(data + ETH_HEADER, &s.seen, sizeof(s.seen));
			wire_add(w, 60);
		}
		wire_flush(w);
	}
}

static void forget(void *ctx, uint8_t *data, size_t len)
{
	(void)ctx;
	(void)data;
	(void)len;
}

static void run_idle(struct wire *w, const char *mac_text)
{
	uint8_t mac[6];

	parse_mac(mac, mac_text);
	announce(w, mac);
	for (;;) {
		if (!wire_read(w, forget, NULL))
			wait_for(w, -1, -1);
	}
}

static void send_answer(void *ctx, uint8_t *data, size_t len)
{
	struct note *told = ctx, note;

	if (test_frame(data, len, &note) && note.flow == told->flow && note.count > told->count)
		*told = note;
}

struct send {
	uint8_t mac[6], to[6];
	size_t len;
	uint64_t window; /* frames */
	uint64_t sent, lost;
	struct note told;
};

/* As many frames as the window and the buffer have room for. False: none. */
static bool send_some(struct wire *w, struct send *s)
{
	uint8_t *data;
	bool any = false;

	while (s->sent - s->told.count - s->lost < s->window && (data = wire_room(w))) {
		struct note note = {.sequence = ++s->sent, .flow = s->told.flow, .len = s->len};

		header(data, s->to, s->mac);
		memcpy(data + ETH_HEADER, &note, sizeof(note));
		wire_add(w, s->len);
		any = true;
	}
	return any;
}

static void run_send(struct wire *w, char **argv)
{
	struct send s = {.len = (size_t)atoi(argv[2])};
	uint64_t start, end, now, heard;

	parse_mac(s.mac, argv[0]);
	parse_mac(s.to, argv[1]);
	if (s.len < 60 || s.len > WIRE_FRAME)
		standin_fail("%s: frames have 60 to %u bytes", argv[2], WIRE_FRAME);
	s.window = strtoull(argv[4], NULL, 0) / s.len + 1;
	memset(w->tx, 0, WIRE_BUFFER);
	start = now = heard = now_ns();
	end = start + strtoull(argv[3], NULL, 0) * 1000000u;
	s.told.flow = start;
	while (now < end) {
		struct note before = s.told;

		wire_read(w, send_answer, &s.told);
		now = now_ns();
		if (s.told.count != before.count) {
			heard = now;
			/* Frames keep their order: what is missing below the highest is lost. */
			if (s.told.sequence - s.told.count > s.lost)
				s.lost = s.told.sequence - s.told.count;
		}
		if (now - heard > PATIENCE_NS) {
			s.lost = s.sent - s.told.count;
			heard = now;
		}
		if (!wire_flush(w) || !send_some(w, &s) || !wire_flush(w))
			wait_for(w, -1, 5);
	}
	printf("{\"frames\": %" PRIu64 ", \"sent\": %" PRIu64 ", \"lost\": %" PRIu64
	       ", \"seconds\": %.6f, \"gbit_s\": %.4f}\n",
	       s.told.count, s.sent, s.lost, (double)(now - start) * 1e-9,
	       (double)s.told.count * (double)s.len * 8 / (double)(now - start));
}

/* ---- a relay that does nothing ---- */

static void run_pipe(struct wire *a, const char *spec)
{
	struct wire second, *ends[2] = {a, &second};

	wire_open(&second, spec);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct pollfd p[2];
		bool work = false;

		for (int i = 0; i < 2; i++) {
			struct wire *from = ends[i], *to = ends[!i];
			ssize_t n;

			if (to->tx_len == 0) {
				n = read(from->fd, to->tx, WIRE_BUFFER);
				if (n == 0 || (n < 0 && errno != EAGAIN))
					return;
				to->tx_len = n < 0 ? 0 : (size_t)n;
				work |= n > 0;
			}
			wire_flush(to);
		}
		for (int i = 0; i < 2; i++) {
			p[i].fd = ends[i]->fd;
			p[i].events = (short)((ends[!i]->tx_len ? 0 : POLLIN) |
					      (ends[i]->tx_len ? POLLOUT : 0));
		}
		if (!work)
			poll(p, 2, -1);
	}
}

int main(int argc, char **argv)
{
	struct wire w;

	if (argc < 4)
		standin_fail("usage: standin tap WIRE NAME | idle|sink WIRE MAC | pipe WIRE WIRE | "
			     "send WIRE MAC TO LEN MS WINDOW");
	wire_open(&w, argv[2]);
	if (!strcmp(argv[1], "tap"))
		run_tap(&w, argv[3]);
	else if (!strcmp(argv[1], "idle"))
		run_idle(&w, argv[3]);
	else if (!strcmp(argv[1], "sink"))
		run_sink(&w, argv[3]);
	else if (!strcmp(argv[1], "pipe"))
		run_pipe(&w, argv[3]);
	else if (!strcmp(argv[1], "send") && argc == 8)
		run_send(&w, argv + 3);
	else
		standin_fail("%s: want tap, idle, sink, pipe or send with all its arguments",
			     argv[1]);
	wire_close(&w);
	return 0;
}

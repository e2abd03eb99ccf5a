/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver against the in-process model: packets per second, and the work that callgrind counts.
 *
 * One thread takes turns: the driver sends (or receives) a batch, then the model works through it.
 * Time is taken around the driver's turn only, so the rate is the driver's own, with a device that
 * costs nothing and is never waited for. All driver calls of a turn are inside driver_tx_turn or
 * driver_rx_turn: `valgrind --tool=callgrind --toggle-collect=driver_*` then counts the same
 * instructions in every run (tools of bench/run do that).
 *
 *   bench_model tx|rx SIZE [--gso] [--packets N] [--no-event-idx] [--no-indirect] [--no-merge]
 *               [--headroom] [--csum]
 *
 * Prints one JSON object on one line.
 */
#include "bench/frame.h"
#include "bench/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/net.h"

/* callgrind finds these functions by name: no inlining, no clones. */
#ifdef __clang__
#define KEEP_NAME __attribute__((noinline))
#else
#define KEEP_NAME __attribute__((noipa))
#endif

#define BATCH 64u
#define BUFS  1024u
#define MSS   1448u

struct bench {
	struct port port;
	bool rx, gso, csum, headroom;
	uint32_t size;
	uint64_t packets;
	unsigned flags;
	uint8_t frame[VIO_NET_PACKET_MAX];
	struct model_hdr hdr;
};

/* A TCP segment to nobody in particular. */
static void build_frame(struct bench *b)
{
	bench_frame(b->frame, b->size);
	if (!b->gso)
		return;
	b->hdr = (struct model_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = ETH_HLEN + 40,
		.gso_size = MSS,
		.csum_start = ETH_HLEN + 20,
		.csum_offset = 16,
	};
}

/* Segments of a packet to send: one buffer, or for a large one headers and then 4 KiB pieces. */
static unsigned build_segs(struct bench *b, unsigned slot, struct seg *segs)
{
	uint32_t head = b->gso ? ETH_HLEN + 40 : b->size, left = b->size - head;
	uint64_t da = port_buf_da(&b->port, slot) + 64;
	uint8_t *va = port_buf(&b->port, slot) + 64;
	unsigned n = 1;

	memcpy(va, b->frame, head);
	segs[0] = (struct seg){.ptr = va, .addr = da, .len = head};
	for (uint32_t off = head; left; n++) {
		uint32_t len = left < 4096 ? left : 4096;

		segs[n] = (struct seg){.ptr = va + off, .addr = da + off, .len = len};
		off += len;
		left -= len;
	}
	return n;
}

struct tx_template {
	struct seg segs[32];
	struct vio_net_tx tx;
};

KEEP_NAME static unsigned driver_tx_turn(struct vio_net *net, struct tx_template *t, unsigned n)
{
	unsigned sent = 0;

	vio_net_tx_reclaim(net, BATCH);
	while (sent < n && vio_net_send(net, &t[sent].tx) == VIO_OK)
		sent++;
	vio_net_flush(net);
	return sent;
}

KEEP_NAME static unsigned driver_rx_turn(struct vio_net *net)
{
	return vio_net_rx_poll(net, BATCH);
}

static uint64_t run_tx(struct bench *b, uint64_t *ns)
{
	struct tx_template *t = calloc(BATCH, sizeof(*t));
	uint64_t sent = 0;

	if (!t)
		exit(1);
	for (unsigned i = 0; i < BATCH; i++) {
		unsigned slot = b->port.free_bufs[--b->port.nfree];

		t[i].tx = (struct vio_net_tx){
			.segs = t[i].segs,
			.nsegs = build_segs(b, slot, t[i].segs),
			.flags = b->flags,
			.mss = MSS,
			.headroom = b->headroom ? 64 : 0,
			.cookie = t,
		};
	}
	while (sent < b->packets) {
		uint64_t t0 = bench_now_ns();

		sent += driver_tx_turn(b->port.net, t, BATCH);
		*ns += bench_now_ns() - t0;
		model_poll(b->port.model);
	}
	free(t);
	return sent;
}

static uint64_t run_rx(struct bench *b, uint64_t *ns)
{
	const struct model_hdr *hdr = b->gso ? &b->hdr : NULL;
	unsigned per_turn = b->gso ? 4 : BATCH; /* what the ring holds in merged buffers */
	uint64_t seen = 0;

	while (seen < b->packets) {
		uint64_t t0;

		for (unsigned i = 0; i < per_turn; i++) {
			if (model_receive_raw(b->port.model, hdr, b->frame, b->size) != MODEL_RX_OK)
				break;
		}
		t0 = bench_now_ns();
		seen += driver_rx_turn(b->port.net);
		*ns += bench_now_ns() - t0;
	}
	return seen;
}

__attribute__((noreturn)) static void usage(void)
{
	fprintf(stderr,
		"usage: bench_model tx|rx SIZE [--gso] [--csum] [--headroom] [--packets N]\n"
		"                   [--no-event-idx] [--no-indirect] [--no-merge]\n");
	exit(2);
}

static bool parse(struct bench *b, int argc, char **argv, uint64_t *off)
{
	char *end;

	if (argc < 3 || (strcmp(argv[1], "tx") && strcmp(argv[1], "rx")))
		return false;
	b->rx = argv[1][0] == 'r';
	b->size = (uint32_t)strtoul(argv[2], &end, 10);
	if (*end || b->size < 60 || b->size > VIO_NET_PACKET_MAX)
		return false;
	for (int i = 3; i < argc; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--gso"))
			b->gso = true;
		else if (!strcmp(a, "--csum"))
			b->csum = true;
		else if (!strcmp(a, "--headroom"))
			b->headroom = true;
		else if (!strcmp(a, "--no-event-idx"))
			*off |= VIRTIO_BIT(VIRTIO_F_EVENT_IDX);
		else if (!strcmp(a, "--no-indirect"))
			*off |= VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC);
		else if (!strcmp(a, "--no-merge"))
			*off |= VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF);
		else if (!strcmp(a, "--packets") && i + 1 < argc)
			b->packets = strtoull(argv[++i], NULL, 10);
		else
			return false;
	}
	b->flags = b->gso ? VIO_NET_TX_GSO : b->csum ? VIO_NET_TX_CSUM : 0;
	return true;
}

int main(int argc, char **argv)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct model_options options;
	struct vio_net_params params = {.irq_mode = VIO_IRQ_NONE, .queue_size = 256};
	uint64_t ns = 0, done;

	if (!b)
		return 1;
	b->packets = 2000000;
	if (!parse(b, argc, argv, &params.features_off))
		usage();
	model_defaults(&options);
	options.interface = MODEL_MODERN;
	options.features |= VIRTIO_BIT(VIRTIO_F_VERSION_1);
	options.monitor = options.gather = options.immediate = false;
	build_frame(b);
	port_open(&b->port, &options, &params, BUFS,
		  b->rx || !b->gso ? PORT_BUF : VIRTIO_NET_RX_BIG + 128);

	done = b->rx ? run_rx(b, &ns) : run_tx(b, &ns);
	printf("{\"direction\": \"%s\", \"size\": %u, \"gso\": %s, \"packets\": %llu, "
	       "\"ns_per_packet\": %.2f, \"mpps\": %.3f, \"device_saw\": %llu}\n",
	       b->rx ? "rx" : "tx", b->size, b->gso ? "true" : "false", (unsigned long long)done,
	       (double)ns / (double)done, 1e3 * (double)done / (double)ns,
	       (unsigned long long)(b->rx ? b->port.rx_packets : b->port.model_tx));
	port_close(&b->port);
	free(b);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kexts on the simulated Mac against the in-process model, packet by packet: no TCP/IP stack
 * and no QEMU hide what the way through the kexts costs.
 *
 * To send, one thread hands a batch to the interface and lets the device work through it; time is
 * taken around the former only. To receive, the device gets a batch and the Mac's own threads carry
 * it up; the time is until the last packet is there. All that is counted is inside of mac_if_send()
 * or IOWorkLoop::runEventSources(): `valgrind --tool=callgrind --toggle-collect=...` gives the same
 * instructions in every run, within a percent, and tells the kexts' code, which has no name to it,
 * from the simulation's (bench/mac.py does that).
 *
 *   bench_mac tx|rx SIZE [--gso|--csum] [--packets N] [--release N] --kexts FOLDER
 *
 * Prints one JSON object on one line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/frame.h"
#include "common/cksum.h"
#include "sim/macos/mac.h"
#include "tests/lib/board_model.h"
#include "wire/net.h"
#include "wire/virtio_net.h"

#define TX_QUEUE    1u
#define BATCH	    64u
#define BATCH_GSO   4u /* what the ring holds in merged buffers */
#define MSS	    1448u
#define FRAME_MAX   65550u
#define WAIT_MS	    20000u
#define PATIENCE_MS 10000u

struct bench {
	struct board_model board;
	struct mac_pci *pci;
	struct mac_if *ifp;
	const char *kexts;
	bool rx, gso, csum;
	uint32_t size;
	int release;
	uint64_t packets;
	volatile uint64_t received;
	uint8_t frame[FRAME_MAX];
	struct model_hdr hdr;
};

__attribute__((noreturn)) static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_mac: %s%s%s\n", what, why ? ": " : "", why ? why : "");
	exit(1);
}

/* A TCP segment, or many in one, to nobody in particular. */
static void build_frame(struct bench *b)
{
	uint8_t *ip = b->frame + ETH_HLEN;

	bench_frame(b->frame, b->size);
	bench_put16(ip + 20 + 16, cksum_fold(cksum_pseudo4(ip + 12, ip + 16, IP_PROTO_TCP,
							   b->size - ETH_HLEN - 20)));
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

/* ---- the Mac ---- */

static void on_input(void *arg, struct __mbuf *packet)
{
	struct bench *b = arg;

	mac_packet_free(packet);
	__atomic_add_fetch(&b->received, 1, __ATOMIC_RELEASE);
}

static void open_model(struct bench *b)
{
	struct model_options opts;

	board_model_defaults(&opts);
	opts.interface = MODEL_MODERN;
	opts.features |= VIRTIO_BIT(VIRTIO_F_VERSION_1);
	opts.monitor = opts.gather = false;
	if (!board_model_open(&b->board, &opts))
		fail("no memory for the device", NULL);
}

static void open_mac(struct bench *b)
{
	struct mac_config config = {.release = b->release, .quiet = true, .seed = 1};
	char path[512], why[256] = "";

	config.ram = board_model_ram(&b->board);
	if (mac_boot(&config) ||
	    mac_pci_add(&board_model_ops, &b->board, "NIC", true, &b->pci) != 0)
		fail("the simulated Mac does not start", NULL);
	(void)snprintf(path, sizeof(path), "%s/VirtioNet.kext", b->kexts);
	if (mac_kext_load(path, why, sizeof(why)) != 0)
		fail("kextload", why);
	if (!mac_quiet(WAIT_MS))
		fail("matching does not come to an end", NULL);
	b->ifp = mac_if_find("en0", WAIT_MS);
	if (!b->ifp)
		fail("the driver did not bring an interface", NULL);
	mac_if_input(b->ifp, on_input, b);
	if (mac_if_up(b->ifp) != 0)
		fail("the interface does not come up", NULL);
}

static void close_mac(struct bench *b)
{
	static const char *const ids[] = {"org.viokit.VirtioNet", "org.viokit.VirtioPCI"};
	char why[256] = "";

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		if (mac_kext_unload(ids[i], why, sizeof(why)) != 0)
			fail("kextunload", why);
	}
	mac_pci_remove(b->pci);
	if (mac_halt(stderr))
		fail("something is left in the kernel", NULL);
	board_model_close(&b->board);
}

/* ---- runs ---- */

/* Whether so many packets have come, to the device or to the program; waits for them. */
static void wait_for(struct bench *b, const volatile uint64_t *count, uint64_t want)
{
	uint64_t end = bench_now_ns() + PATIENCE_MS * UINT64_C(1000000);
	const struct timespec nap = {.tv_nsec = 20000};

	while (__atomic_load_n(count, __ATOMIC_ACQUIRE) < want) {
		if (bench_now_ns() > end)
			fail("packets got lost", b->rx ? "received" : "sent");
		(void)nanosleep(&nap, NULL);
	}
}

static void hold(struct bench *b, bool on)
{
	model_hold(board_model_lock(&b->board), TX_QUEUE, on);
	board_model_unlock(&b->board);
}

/* The device holds its transmit queue during a batch, as one that runs beside the driver may. */
static uint64_t run_tx(struct bench *b, uint64_t *ns)
{
	struct seg seg = {.ptr = b->frame, .len = b->size};
	struct mac_send send = {.segs = &seg, .nsegs = 1};
	unsigned batch = b->gso ? BATCH_GSO : BATCH;
	uint64_t sent = 0, before = b->board.sent;

	if (b->gso) {
		send.flags = MAC_SEND_TSO | MAC_SEND_CSUM;
		send.mss = MSS;
	} else if (b->csum) {
		send.flags = MAC_SEND_CSUM;
	}
	while (sent < b->packets) {
		uint64_t t0;

		hold(b, true);
		t0 = bench_now_ns();
		for (unsigned i = 0; i < batch; i++) {
			int err = mac_if_send(b->ifp, &send);

			if (err)
				fail("mac_if_send", strerror(-err));
		}
		*ns += bench_now_ns() - t0;
		hold(b, false);
		sent += batch;
		wait_for(b, &b->board.sent, before + sent);
	}
	return sent;
}

static void feed(struct bench *b, unsigned batch)
{
	struct model *m = board_model_lock(&b->board);

	for (unsigned i = 0; i < batch; i++) {
		if (model_receive_raw(m, b->gso ? &b->hdr : NULL, b->frame, b->size) != MODEL_RX_OK)
			fail("the driver gave the device too few buffers", NULL);
	}
	board_model_unlock(&b->board);
}

static uint64_t run_rx(struct bench *b, uint64_t *ns)
{
	unsigned batch = b->gso ? BATCH_GSO : BATCH;
	uint64_t want = 0;

	while (want < b->packets) {
		uint64_t t0 = bench_now_ns();

		feed(b, batch);
		want += batch;
		wait_for(b, &b->received, want);
		*ns += bench_now_ns() - t0;
	}
	return want;
}

__attribute__((noreturn)) static void usage(void)
{
	fprintf(stderr, "usage: bench_mac tx|rx SIZE [--gso|--csum] [--packets N] [--release N] "
			"--kexts FOLDER\n");
	exit(2);
}

static void parse(struct bench *b, int argc, char **argv)
{
	char *end;

	if (argc < 3 || (strcmp(argv[1], "tx") && strcmp(argv[1], "rx")))
		usage();
	b->rx = argv[1][0] == 'r';
	b->size = (uint32_t)strtoul(argv[2], &end, 10);
	if (*end || b->size < 60 || b->size > FRAME_MAX - 14)
		usage();
	for (int i = 3; i < argc; i++) {
		const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(a, "--gso")) {
			b->gso = true;
			continue;
		}
		if (!strcmp(a, "--csum")) {
			b->csum = true;
			continue;
		}
		if (!value)
			usage();
		i++;
		if (!strcmp(a, "--packets"))
			b->packets = strtoull(value, NULL, 10);
		else if (!strcmp(a, "--release"))
			b->release = (int)strtol(value, NULL, 10);
		else if (!strcmp(a, "--kexts"))
			b->kexts = value;
		else
			usage();
	}
	if (!b->kexts)
		usage();
}

int main(int argc, char **argv)
{
	static struct bench b = {.release = 13, .packets = 200000};
	uint64_t ns = 0, done;

	parse(&b, argc, argv);
	build_frame(&b);
	open_model(&b);
	open_mac(&b);
	done = b.rx ? run_rx(&b, &ns) : run_tx(&b, &ns);
	printf("{\"direction\": \"%s\", \"size\": %u, \"gso\": %s, \"packets\": %llu, "
	       "\"ns_per_packet\": %.2f, \"mpps\": %.3f}\n",
	       b.rx ? "rx" : "tx", b.size, b.gso ? "true" : "false", (unsigned long long)done,
	       (double)ns / (double)done, 1e3 * (double)done / (double)ns);
	close_mac(&b);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hand-made packets, scattered in every way, judged by Linux's own segmentation and by tshark.
 *
 * The NIC's TAP is bridged to a second TAP that can do nothing: no checksums, no large packets. So
 * before a frame leaves there, Linux itself cuts it and finishes its sums, by the virtio header
 * that the driver wrote; and what leaves is read here. It must be, byte for byte, what the model of
 * a wire makes of the packet as the stack had meant it. All of it also goes to a capture file, in
 * which tshark must find nothing malformed and no checksum wrong.
 *
 * Scattering: one cut at every offset through the headers and a little beyond, two cuts around each
 * byte, all headers in one-byte segments, header room or none, a VLAN tag to insert or one there
 * already.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest/ports/user/child.h"
#include "tests/qemu/craft.h"
#include "tests/qemu/host.h"
#include "tests/qemu/nic.h"
#include "tools/stack/pcap.h"
#include "wire/net.h"

#define WIRE_TAP   "t1"
#define MTU	   1500u
#define MAX_FRAMES 64u
#define ONE_BYTE   60u /* segments of one byte, at most */
#define BEYOND	   3u  /* cuts behind the headers */

static char dir[] = "/tmp/viokit-wire-XXXXXX";
static char path[sizeof(dir) + 16];
static struct pcap *capture;
static uint64_t captured;

static const uint8_t to_mac[6] = {0x02, 0x20, 0, 0, 0, 7};
static const uint8_t ip4[2][4] = {{10, 77, 0, 2}, {10, 77, 0, 7}};
static const uint8_t ip6[2][16] = {{0xfd, 0x77, [15] = 2}, {0xfd, 0x77, [15] = 7}};

struct wire {
	struct nic *nic;
	int tap, out;
	bool csum; /* the device does sums and large packets */
	unsigned nth, refused;
	struct craft_ends from, to;
	/* What must come. */
	unsigned n;
	size_t len[MAX_FRAMES];
	uint8_t *frame[MAX_FRAMES];
};

static const char *const props[] = {
	"", ",mrg_rxbuf=off", ",any_layout=off,mrg_rxbuf=off", ",indirect_desc=off", ",csum=off",
};

/* False: not possible here. */
static bool wire_open(struct wire *w, enum nic_face face, unsigned prop)
{
	struct nic_opts o = {
		.machine = face == NIC_MODERN ? "q35" : "pc",
		.face = face,
		.irq = VIO_IRQ_MSIX_EACH,
		.props = props[prop],
		.net = {.queue_size = 64},
		.tx_len = 8192,
		.ram_mib = 128,
	};
	char netdev[64];

	if (!host_enter())
		return false;
	*w = (struct wire){.tap = host_tap(HOST_TAP, true, MTU),
			   .out = host_tap(WIRE_TAP, false, MTU)};
	if (!host_bridge(HOST_TAP, WIRE_TAP))
		return false;
	for (unsigned i = 0; i < MAX_FRAMES; i++) {
		w->frame[i] = malloc(CRAFT_MAX);
		assert_non_null(w->frame[i]);
	}
	(void)snprintf(netdev, sizeof(netdev), "tap,id=" NIC_NETDEV ",fd=%d", w->tap);
	o.netdev = netdev;
	o.fd = w->tap;
	w->nic = nic_new(&o);
	w->csum = w->nic->info.tx_csum;
	assert_int_equal(w->csum, strcmp(props[prop], ",csum=off") != 0);
	assert_true(w->nic->info.tx_tso4 == w->csum && w->nic->info.tx_tso6 == w->csum);
	assert_true(w->nic->info.tx_ecn == w->csum && !w->nic->info.tx_uso);
	w->from = (struct craft_ends){w->nic->info.mac, ip4[0], ip6[0], 1000};
	w->to = (struct craft_ends){to_mac, ip4[1], ip6[1], 2000};
	return true;
}

static void wire_close(struct wire *w)
{
	struct vio_net_stats stats;

	vio_net_stats(w->nic->net, &stats);
	assert_int_equal(stats.tx.errors, w->refused);
	nic_drain(w->nic);
	nic_end(w->nic);
	host_untap(w->tap);
	host_untap(w->out);
	host_unbridge();
	for (unsigned i = 0; i < MAX_FRAMES; i++)
		free(w->frame[i]);
}

static void wire_expect(void *arg, const uint8_t *frame, size_t len)
{
	struct wire *w = arg;

	assert_true(w->n < MAX_FRAMES);
	memcpy(w->frame[w->n], frame, len);
	w->len[w->n++] = len;
}

/* The next frame of ours that leaves the bridge; its length. */
static size_t wire_next(struct wire *w, uint8_t frame[CRAFT_MAX])
{
	uint64_t deadline = wait_deadline_ms(NIC_PATIENCE_MS);

	for (;;) {
		ssize_t n = read(w->out, frame, CRAFT_MAX);

		if (n >= 14 && !memcmp(frame + 6, w->from.mac, 6))
			return (size_t)n;
		if (n < 0 && wait_over(deadline))
			return 0;
		if (n < 0) {
			nic_turn(w->nic);
			(void)wait_fd(w->out, POLLIN, wait_deadline_us(200));
		}
	}
}

static void wire_check(struct wire *w, const struct craft *c, const struct nic_packet *p)
{
	static uint8_t got[CRAFT_MAX];

	for (unsigned i = 0; i < w->n; i++) {
		size_t len = wire_next(w, got);
		struct seg seg = {.ptr = got, .len = (uint32_t)len};
		uint32_t cut = p->ncuts ? p->cuts[0] : 0;
		size_t at = 0;

		if (len == 0)
			fail_msg("%s: frame %u of %u did not come (%u cuts, the first at %u)",
				 c->name, i, w->n, p->ncuts, cut);
		pcap_write_now(capture, &seg, 1);
		captured++;
		while (at < len && at < w->len[i] && got[at] == w->frame[i][at])
			at++;
		if (len != w->len[i] || at != len)
			fail_msg("%s: frame %u of %u is wrong from byte %zu on (%zu bytes, %zu "
				 "right; %u cuts, the first at %u, headroom %u)",
				 c->name, i, w->n, at, len, w->len[i], p->ncuts, cut, p->headroom);
	}
}

/* Send one packet, and see what becomes of it. tag: have the driver insert one. */
static void wire_try(struct wire *w, struct craft c, const uint32_t *cuts, unsigned ncuts,
		     uint32_t headroom, uint16_t tag)
{
	static uint8_t frame[CRAFT_MAX], meant[CRAFT_MAX];
	struct craft tagged = c;
	struct nic_packet p = {
		.data = frame,
		.flags = VIO_NET_TX_CSUM | (c.v6 ? 0 : VIO_NET_TX_IPCSUM) |
			 (c.mss ? VIO_NET_TX_GSO : 0) | (tag ? VIO_NET_TX_VLAN : 0),
		.headroom = headroom,
		.mss = c.mss,
		.vlan_tci = tag,
		.cuts = cuts,
		.ncuts = ncuts,
	};

	w->nth++;
	craft_frame(&c, &w->from, &w->to, w->nth, frame);
	p.len = c.len;
	if (tag)
		tagged.vlan = tag;
	craft_frame(&tagged, &w->from, &w->to, w->nth, meant);
	w->n = 0;
	assert_true(craft_complete(&tagged, meant, wire_expect, w) > 0);
	nic_put_packet(w->nic, &p);
	wire_check(w, &c, &p);
}

static void wire_scatter(struct wire *w, const struct craft *kind, uint16_t tag)
{
	uint32_t cuts[ONE_BYTE], end;
	uint8_t frame[CRAFT_MAX];
	struct craft c = *kind;

	craft_frame(&c, &w->from, &w->to, 0, frame);
	end = c.hdr_len + BEYOND;
	for (uint32_t headroom = 0; headroom <= NIC_HEADROOM; headroom += NIC_HEADROOM / 4)
		wire_try(w, c, NULL, 0, headroom, tag);
	for (uint32_t at = 1; at <= end; at++) {
		cuts[0] = at;
		cuts[1] = at + 1;
		wire_try(w, c, cuts, 1, at & 1 ? NIC_HEADROOM : 0, tag);
		wire_try(w, c, cuts, 2, at & 2 ? NIC_HEADROOM : 12, tag);
	}
	for (uint32_t first = 1; first < end; first += ONE_BYTE - 1) {
		uint32_t n = c.len - first < ONE_BYTE ? c.len - first : ONE_BYTE;

		for (uint32_t i = 0; i < n; i++)
			cuts[i] = first + i;
		wire_try(w, c, cuts, n, first == 1 ? 0 : NIC_HEADROOM, tag);
	}
}

/* Large packets are refused where the device cannot cut them. */
static void wire_refuse(struct wire *w, struct craft c)
{
	static uint8_t frame[CRAFT_MAX];
	struct nic_packet p = {.data = frame, .flags = VIO_NET_TX_GSO, .mss = c.mss};

	craft_frame(&c, &w->from, &w->to, w->nth, frame);
	p.len = c.len;
	assert_int_equal(nic_send(w->nic, &p), VIO_ENOTSUP);
	w->refused++;
}

#define FLAGS (TCP_FLAG_ACK | TCP_FLAG_PSH)

static const struct craft kinds[] = {
	{.name = "TSO4", .tcp_flags = FLAGS, .payload = 3333, .mss = 1200},
	{.name = "TSO4, options",
	 .ip_opts = 10,
	 .tcp_opts = 10,
	 .tcp_flags = FLAGS | TCP_FLAG_FIN,
	 .payload = 2901,
	 .mss = 1400},
	{.name = "TSO4, ECN",
	 .tcp_opts = 3,
	 .tcp_flags = FLAGS | TCP_FLAG_CWR,
	 .payload = 3000,
	 .mss = 1000},
	{.name = "TSO4, in a VLAN", .vlan = 9, .tcp_flags = FLAGS, .payload = 2500, .mss = 1448},
	{.name = "TSO4, even", .tcp_flags = FLAGS, .payload = 2800, .mss = 1400},
	{.name = "TSO4, that fits", .tcp_flags = FLAGS, .payload = 900, .mss = 1400},
	{.name = "TSO6", .v6 = true, .tcp_flags = FLAGS, .payload = 3333, .mss = 1200},
	{.name = "TSO6, options",
	 .v6 = true,
	 .tcp_opts = 8,
	 .tcp_flags = FLAGS,
	 .payload = 2901,
	 .mss = 1400},
	{.name = "TSO6, in a VLAN",
	 .v6 = true,
	 .vlan = 9,
	 .tcp_flags = FLAGS,
	 .payload = 2500,
	 .mss = 1300},
	{.name = "TSO6, extension",
	 .v6 = true,
	 .ip_opts = 2,
	 .tcp_flags = FLAGS,
	 .payload = 2500,
	 .mss = 1300},
	{.name = "TCP4", .tcp_flags = FLAGS, .payload = 700},
	{.name = "TCP4, no payload", .tcp_flags = TCP_FLAG_SYN, .tcp_opts = 5, .payload = 20},
	{.name = "TCP6", .v6 = true, .tcp_flags = FLAGS, .payload = 701},
	{.name = "TCP6, extension", .v6 = true, .ip_opts = 2, .tcp_flags = FLAGS, .payload = 701},
	{.name = "UDP4", .udp = true, .payload = 1001},
	{.name = "UDP4, options", .udp = true, .ip_opts = 3, .payload = 64},
	{.name = "UDP4, in a VLAN", .udp = true, .vlan = 4094, .payload = 77},
	{.name = "UDP6", .v6 = true, .udp = true, .payload = 1002},
	{.name = "UDP6, extensions", .v6 = true, .udp = true, .ip_opts = 3, .payload = 333},
};

static void scatter_all(enum nic_face face, unsigned prop)
{
	struct wire w = {0};

	if (!wire_open(&w, face, prop))
		skip();
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!w.csum && kinds[i].mss && kinds[i].payload > kinds[i].mss) {
			wire_refuse(&w, kinds[i]);
			continue;
		}
		wire_scatter(&w, &kinds[i], 0);
		if (!kinds[i].vlan)
			wire_scatter(&w, &kinds[i], (uint16_t)(0x6000u | (5 + i)));
	}
	wire_close(&w);
}

static void test_modern(void **state)
{
	(void)state;
	scatter_all(NIC_MODERN, 0);
}

static void test_modern_direct(void **state)
{
	(void)state;
	scatter_all(NIC_MODERN, 3);
}

static void test_legacy(void **state)
{
	(void)state;
	scatter_all(NIC_LEGACY, 1);
}

/* The header in a descriptor of its own. */
static void test_legacy_strict_layout(void **state)
{
	(void)state;
	scatter_all(NIC_LEGACY, 2);
}

/* Checksums are the driver's then. UDP cannot be cut by any QEMU device. */
static void test_without_offloads(void **state)
{
	(void)state;
	scatter_all(NIC_MODERN, 4);
	scatter_all(NIC_LEGACY, 4);
}

static void test_no_uso(void **state)
{
	const struct craft udp = {.udp = true, .payload = 3000, .mss = 1000};
	struct wire w = {0};

	(void)state;
	if (!wire_open(&w, NIC_MODERN, 0))
		skip();
	wire_refuse(&w, udp);
	wire_close(&w);
}

/* What tshark prints for a filter: number of lines, -1 if it could not be run. */
static long tshark_lines(const char *filter, bool show)
{
	char command[1024], line[4096];
	long lines = 0;
	FILE *out;

	(void)snprintf(command, sizeof(command),
		       "tshark -n -r %s -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE "
		       "-o udp.check_checksum:TRUE -d tcp.port==2000,data -d udp.port==2000,data "
		       "-Y '%s' 2>/dev/null",
		       path, filter);
	out = popen(command, "re");
	if (!out)
		return -1;
	while (fgets(line, sizeof(line), out)) {
		if (lines++ < 3 && show)
			printf("%s", line);
	}
	return pclose(out) == 0 ? lines : -1;
}

static void test_tshark(void **state)
{
	char tshark[256];

	(void)state;
	if (!captured) {
		printf("SKIP: nothing was captured\n");
		skip();
	}
	if (!child_lookup("tshark", tshark, sizeof(tshark))) {
		printf("SKIP: tshark is not installed\n");
		skip();
	}
	assert_int_equal(pcap_close(capture), 0);
	capture = NULL;
	assert_int_equal(tshark_lines("_ws.malformed || ip.checksum.status == \"Bad\" || "
				      "tcp.checksum.status == \"Bad\" || "
				      "udp.checksum.status == \"Bad\"",
				      true),
			 0);
	/* And so that this says something: it looked at each of them. */
	assert_int_equal(tshark_lines("tcp.checksum.status == \"Good\" || "
				      "udp.checksum.status == \"Good\"",
				      false),
			 captured);
	printf("%lu frames\n", captured);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/wire.pcap", dir);
	capture = pcap_create(path);
	return capture ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	if (capture)
		(void)pcap_close(capture);
	(void)unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modern),
		cmocka_unit_test(test_modern_direct),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_legacy_strict_layout),
		cmocka_unit_test(test_without_offloads),
		cmocka_unit_test(test_no_uso),
		cmocka_unit_test(test_tshark),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Linux's TCP/IP on both ends, the kexts between them: one Linux in the place of the Mac's stack
 * (tap_mac.h), one behind QEMU's card. What it offloads goes down through the driver, what it gets
 * in large pieces comes up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/mac/mac_stack.h"
#include "tools/stack/content.h"
#include "tools/stack/tap_mac.h"
#include "tools/viorun/tap.h"
#include "wire/virtio_net.h"

#define MIB	 (UINT64_C(1) << 20)
#define CHUNK	 (256u * 1024u)
#define REPLY_S	 20
#define PING_MAX 9000u
#define NO_OFFLOADS                                                                                \
	",csum=off,guest_csum=off,host_tso4=off,host_tso6=off,guest_tso4=off,"                     \
	"guest_tso6=off,host_ecn=off,guest_ecn=off,host_ufo=off,guest_ufo=off"

static uint64_t bytes_each_way(void)
{
	return (mac_stack_soak() ? 1024 : 64) * MIB;
}

/* ---- sockets on the Mac's side ---- */

static void in_time(int fd)
{
	const struct timeval tv = {.tv_sec = REPLY_S};

	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0);
}

static int reach_server(struct mac_stack *s, const char *verb, uint64_t bytes, uint64_t seed)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server_port(s->server))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), n;
	char line[64];

	CHECK(fd >= 0);
	in_time(fd);
	memcpy(&to.sin_addr, s->peer, 4);
	CHECK_MSG(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "no connection");
	n = snprintf(line, sizeof(line), "%s %" PRIu64 " %" PRIu64 "\n", verb, bytes, seed);
	CHECK(send(fd, line, (size_t)n, MSG_NOSIGNAL) == n);
	return fd;
}

static void report(const char *what, uint64_t bytes, uint64_t started)
{
	double seconds = (double)(stack_now() - started) / 1e6;

	(void)fprintf(stderr, "%s %.0f Mbit/s\n", what, (double)bytes * 8 / 1e6 / seconds);
}

static void download(struct mac_stack *s, uint64_t bytes)
{
	uint64_t seed = s->seed++, left = bytes, started = stack_now();
	int fd = reach_server(s, "GET", bytes, seed);
	static uint8_t chunk[CHUNK];
	struct content c;

	content_init(&c, seed);
	while (left) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

		CHECK_MSG(n > 0, "the download ended %" PRIu64 " bytes early", left);
		CHECK_MSG(content_check(&c, chunk, (size_t)n), "byte %" PRIu64 " is wrong",
			  c.wrong);
		left -= (uint64_t)n;
	}
	CHECK(recv(fd, chunk, 1, 0) == 0);
	(void)close(fd);
	report("down", bytes, started);
}

static void upload(struct mac_stack *s, uint64_t bytes)
{
	uint64_t seed = s->seed++, left = bytes, started = stack_now();
	int fd = reach_server(s, "PUT", bytes, seed);
	static uint8_t chunk[CHUNK];
	char answer[64] = "", want[64];
	struct content c;

	content_init(&c, seed);
	while (left) {
		size_t n = left < CHUNK ? (size_t)left : CHUNK;

		content_make(&c, chunk, n);
		for (size_t off = 0; off < n;) {
			ssize_t sent = send(fd, chunk + off, n - off, MSG_NOSIGNAL);

			CHECK_MSG(sent > 0, "the upload ended %" PRIu64 " bytes early", left);
			off += (size_t)sent;
		}
		left -= n;
	}
	CHECK(recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) > 0);
	(void)snprintf(want, sizeof(want), "OK %016" PRIx64 "\n", content_sum(&c));
	CHECK_MSG(strcmp(answer, want) == 0, "the server's answer to the upload is %s", answer);
	(void)close(fd);
	report("up", bytes, started);
}

static uint16_t internet_sum(const uint8_t *at, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	if (len & 1)
		sum += (uint32_t)at[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* The payload comes back as it was; longer than the MTU it goes in fragments. */
static void ping(struct mac_stack *s, size_t size)
{
	static uint8_t out[sizeof(struct icmphdr) + PING_MAX], in[60 + sizeof(out)];
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct icmphdr head = {.type = ICMP_ECHO, .un.echo = {htons(7), htons((uint16_t)size)}};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	size_t len = sizeof(head) + size;

	CHECK(fd >= 0);
	in_time(fd);
	memcpy(&to.sin_addr, s->peer, 4);
	for (size_t i = 0; i < size; i++)
		out[sizeof(head) + i] = (uint8_t)(i * 7 + size);
	memcpy(out, &head, sizeof(head));
	head.checksum = internet_sum(out, len);
	memcpy(out, &head, sizeof(head));
	CHECK(sendto(fd, out, len, 0, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)len);
	for (;;) {
		ssize_t n = recv(fd, in, sizeof(in), 0);
		size_t ip = (in[0] & 15u) * 4u;

		CHECK_MSG(n > 0, "no answer to a ping of %zu bytes", size);
		if (in[ip] != ICMP_ECHOREPLY || memcmp(in + ip + 4, out + 4, 4) != 0)
			continue;
		CHECK_MSG((size_t)n == ip + len && memcmp(in + ip + 8, out + 8, size) == 0,
			  "the answer to a ping of %zu bytes is another one", size);
		break;
	}
	(void)close(fd);
}

/* ---- what Linux made of it ---- */

/* A counter of TCP in this thread's namespace. */
static uint64_t tcp_count(const char *name)
{
	char names[1024] = "", values[1024] = "", *n = NULL, *v = NULL;
	FILE *file = fopen("/proc/thread-self/net/snmp", "re");
	const char *at, *with;

	CHECK(file != NULL);
	while (strncmp(names, "Tcp:", 4) != 0 && fgets(names, sizeof(names), file))
		continue;
	CHECK(fgets(values, sizeof(values), file) != NULL);
	(void)fclose(file);
	for (at = strtok_r(names, " \n", &n), with = strtok_r(values, " \n", &v); at && with;
	     at = strtok_r(NULL, " \n", &n), with = strtok_r(NULL, " \n", &v)) {
		if (strcmp(at, name) == 0)
			return strtoull(with, NULL, 10);
	}
	return 0;
}

struct way {
	struct tap_mac_stats before, after;
};

static void check_down(struct mac_stack *s, const struct way *w, uint64_t bytes, bool offloads)
{
	uint64_t packets = w->after.rx_packets - w->before.rx_packets;
	uint64_t large = w->after.rx_large - w->before.rx_large;
	uint64_t good = w->after.rx_good - w->before.rx_good;

	(void)fprintf(stderr,
		      "received %" PRIu64 " packets, %" PRIu64 " large, %" PRIu64 " vouched for\n",
		      packets, large, good);
	CHECK(w->after.rx_dropped == 0);
	if (mac_stack_number("VirtioFeatures") >> VIRTIO_NET_F_GUEST_TSO4 & 1) {
		CHECK(offloads && large > 0);
		CHECK(packets < bytes / 1500 / 2);
	} else {
		CHECK(large == 0);
		CHECK(packets >= bytes / 1500);
	}
	/* On 10.6 the driver makes the sums that were left open itself. */
	if (s->rig.release >= 7)
		CHECK(offloads ? good >= bytes / 65536 : good == 0);
}

static void check_up(const struct way *w, uint64_t bytes, bool offloads)
{
	uint64_t packets = w->after.tx_packets - w->before.tx_packets;
	uint64_t tso = w->after.tx_tso - w->before.tx_tso;
	uint64_t csum = w->after.tx_csum - w->before.tx_csum;

	(void)fprintf(stderr,
		      "sent %" PRIu64 " packets, %" PRIu64 " to be cut up, %" PRIu64
		      " with a sum to be made\n",
		      packets, tso, csum);
	CHECK(w->after.tx_refused == 0);
	if (!offloads) {
		CHECK(tso == 0 && csum == 0);
		CHECK(packets >= bytes / 1500);
		return;
	}
	CHECK(tso > 0 && csum >= tso);
	CHECK(packets < bytes / 1500 / 2);
}

static void linux_stack(struct mac_stack *s, bool offloads)
{
	static const uint8_t guest[4] = TAP_GUEST, mask[4] = TAP_MASK;
	uint64_t bytes = bytes_each_way();
	struct tap_mac *t = NULL;
	char why[160] = "";
	struct way w;

	CHECK_MSG(tap_mac_open(&t, s->rig.ifp[0], guest, mask, why, sizeof(why)) == 0, "%s", why);
	ping(s, 56);
	ping(s, 1472);
	ping(s, PING_MAX);
	tap_mac_stats(t, &w.before);
	download(s, bytes);
	tap_mac_stats(t, &w.after);
	check_down(s, &w, bytes, offloads);
	tap_mac_stats(t, &w.before);
	upload(s, bytes);
	tap_mac_stats(t, &w.after);
	check_up(&w, bytes, offloads);
	CHECK_MSG(tcp_count("InErrs") == 0, "Linux found %" PRIu64 " bad TCP packets",
		  tcp_count("InErrs"));
	tap_mac_close(t);
}

static void offload_case(void *arg)
{
	struct mac_if_state state;
	struct mac_stack s;

	mac_stack_open(&s, arg);
	mac_if_state(s.rig.ifp[0], &state);
	CHECK(state.csum4 && state.tso4);
	/* Buffers for packets of any size are too dear without merging. */
	CHECK((mac_stack_number("VirtioFeatures") >> VIRTIO_NET_F_GUEST_TSO4 & 1) ==
	      (s.o.rig.props == NULL));
	linux_stack(&s, true);
	mac_stack_close(&s);
}

static void plain_case(void *arg)
{
	struct mac_if_state state;
	struct mac_stack s;

	mac_stack_open(&s, arg);
	mac_if_state(s.rig.ifp[0], &state);
	CHECK(!state.csum4 && !state.tso4);
	linux_stack(&s, false);
	mac_stack_close(&s);
}

static void all_releases(void (*run)(void *arg), const char *props)
{
	if (!mac_stack_can_tap())
		skip();
	for (size_t i = 0; i < 5; i++) {
		struct mac_stack_opts o = {
			.rig = {.release = mac_rig_releases[i], .props = props},
			.tap = true,
			.no_lwip = true,
		};

		mac_rig_case(run, &o, mac_stack_soak() ? 600 : 60);
	}
}

static void test_linux_with_offloads(void **state)
{
	(void)state;
	all_releases(offload_case, NULL);
}

static void test_linux_without_merging(void **state)
{
	(void)state;
	all_releases(offload_case, ",mrg_rxbuf=off");
}

static void test_linux_without_offloads(void **state)
{
	(void)state;
	all_releases(plain_case, NO_OFFLOADS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linux_with_offloads),
		cmocka_unit_test(test_linux_without_merging),
		cmocka_unit_test(test_linux_without_offloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/mac/mac_kdp.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/net.h"

#define NET_ID	 "org.viokit.VirtioNet"
#define STOP_MS	 10000u
#define HEADERS	 (14u + 20u + 8u)
#define DATAGRAM 2000u
#define LOOK	 1000u /* bytes of a kext that are compared */

/* ---- the debugger ---- */

static int local_socket(uint16_t *port)
{
	struct sockaddr_in here = {.sin_family = AF_INET};
	socklen_t len = sizeof(here);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&here, sizeof(here)) == 0 &&
	      getsockname(fd, (struct sockaddr *)&here, &len) == 0);
	*port = ntohs(here.sin_port);
	return fd;
}

void mac_kdp_open(struct mac_kdp *k, char forward[MAC_KDP_FORWARDED])
{
	memset(k, 0, sizeof(*k));
	(void)close(local_socket(&k->port));
	(void)snprintf(forward, MAC_KDP_FORWARDED, ",hostfwd=udp:127.0.0.1:%u-10.0.2.15:%u",
		       k->port, (unsigned)KDP_PORT);
}

static void *stopping(void *arg)
{
	struct mac_kdp *k = arg;

	k->result = k->panic ? mac_panic("of a test", k->ms) : mac_debugger("a test", k->ms);
	__atomic_store_n(&k->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool stands(void *arg)
{
	struct mac_kdp *k = arg;

	return mac_stopped() || __atomic_load_n(&k->over, __ATOMIC_ACQUIRE);
}

void mac_kdp_stop(struct mac_kdp *k, unsigned ms, bool panic)
{
	k->ms = ms;
	k->panic = panic;
	k->over = false;
	CHECK(pthread_create(&k->thread, NULL, stopping, k) == 0);
	CHECK(mac_rig_wait(stands, k, STOP_MS));
	CHECK_MSG(!__atomic_load_n(&k->over, __ATOMIC_ACQUIRE), "the Mac does not stop: %s",
		  strerror(-k->result));
}

int mac_kdp_ended(struct mac_kdp *k)
{
	CHECK(pthread_join(k->thread, NULL) == 0);
	return k->result;
}

void mac_kdp_hang_up(struct mac_kdp *k)
{
	kdp_client_free(k->c);
	k->c = NULL;
}

void mac_kdp_dial(struct mac_kdp *k)
{
	mac_kdp_hang_up(k);
	k->c = kdp_client_new();
	CHECK(k->c != NULL);
	CHECK_MSG(kdp_client_open(k->c, "127.0.0.1", k->port, 0) == 0, "%s",
		  kdp_client_error(k->c));
}

/* ---- what it looks at ---- */

static void net_kext(struct mac_kext_info *info)
{
	for (unsigned i = 0; mac_kext_info(i, info); i++) {
		if (!strcmp(info->identifier, NET_ID))
			return;
	}
	CHECK_MSG(false, NET_ID " is not loaded");
}

uint64_t mac_kdp_symbol(const char *mangled)
{
	const char *kexts = getenv("VIOKIT_KEXTS");
	unsigned long long at = 0;
	struct mac_kext_info info;
	char line[512], name[256];
	FILE *map;

	(void)snprintf(line, sizeof(line), "%s/obj/x86_64/VirtioNet/VirtioNet.map", kexts);
	map = fopen(line, "r");
	CHECK_MSG(map != NULL, "%s cannot be read", line);
	while (fgets(line, sizeof(line), map)) {
		if (sscanf(line, "%llx %*c %255s", &at, name) == 2 && !strcmp(name, mangled))
			break;
		at = 0;
	}
	(void)fclose(map);
	CHECK_MSG(at != 0, "%s is not in the map", mangled);
	net_kext(&info);
	CHECK(at < info.size);
	return info.address + at;
}

static void look_at_memory(struct mac_kdp *k)
{
	static volatile uint64_t word = 0x1122334455667788;
	struct mac_kext_info info;
	uint64_t now;
	uint8_t bytes[LOOK];
	size_t got = 0;

	net_kext(&info);
	CHECK(info.size > 2 * LOOK);
	/* Header and text from its start, data at its end. */
	CHECK(kdp_client_read(k->c, info.address, bytes, LOOK, &got) == 0 && got == LOOK);
	CHECK(memcmp(bytes, (const void *)(uintptr_t)info.address, LOOK) == 0);
	CHECK(kdp_client_read(k->c, info.address + info.size - LOOK, bytes, LOOK, &got) == 0);
	CHECK(!memcmp(bytes, (const void *)(uintptr_t)(info.address + info.size - LOOK), LOOK));
	CHECK(kdp_client_write(k->c, (uint64_t)(uintptr_t)&word, "abcdefgh", 8) == 0);
	now = word;
	CHECK(memcmp(&now, "abcdefgh", 8) == 0);
	/* Read-only memory too: one byte of its header, there and back. */
	CHECK(kdp_client_read(k->c, info.address, bytes, 1, &got) == 0);
	CHECK(kdp_client_write(k->c, info.address, bytes, 1) == 0);
	CHECK(kdp_client_read(k->c, 16, bytes, 8, &got) != 0 && got == 0);
}

void mac_kdp_look_around(struct mac_kdp *k)
{
	uint64_t regs[KDP_CLIENT_REGS], again[KDP_CLIENT_REGS];
	struct kdp_client_region region;
	struct kdp_client_info info;

	CHECK_MSG(kdp_client_get_info(k->c, &info) == 0, "%s", kdp_client_error(k->c));
	CHECK(info.version >= 10 && info.cpus_mask == 1 && info.max_bytes > 0);
	CHECK(strstr(info.text, "Darwin Kernel Version") != NULL);
	CHECK_MSG(kdp_client_get_region(k->c, &region) == 0, "%s", kdp_client_error(k->c));
	look_at_memory(k);
	CHECK(kdp_client_get_regs(k->c, regs) == 0);
	CHECK(regs[KDP_CLIENT_RIP] && regs[KDP_CLIENT_RSP]);
	regs[0] ^= 0x55;
	CHECK(kdp_client_set_regs(k->c, regs) == 0 && kdp_client_get_regs(k->c, again) == 0);
	CHECK(memcmp(regs, again, sizeof(regs)) == 0);
	regs[0] ^= 0x55;
	CHECK(kdp_client_set_regs(k->c, regs) == 0);
}

void mac_kdp_step_over(struct mac_kdp *k, uint64_t at, bool again)
{
	struct kdp_client_exception e;
	uint64_t regs[KDP_CLIENT_REGS];

	CHECK(kdp_client_get_regs(k->c, regs) == 0);
	CHECK_MSG(regs[KDP_CLIENT_RIP] == at + 1, "stopped at %#llx, not at %#llx",
		  (unsigned long long)regs[KDP_CLIENT_RIP] - 1, (unsigned long long)at);
	regs[KDP_CLIENT_RIP] = at;
	CHECK(kdp_client_clear(k->c, at) == 0 && kdp_client_set_regs(k->c, regs) == 0);
	CHECK_MSG(kdp_client_step(k->c, STOP_MS, &e) == 0, "%s", kdp_client_error(k->c));
	CHECK(kdp_client_get_regs(k->c, regs) == 0);
	CHECK(regs[KDP_CLIENT_RIP] > at && regs[KDP_CLIENT_RIP] < at + 16);
	if (again)
		CHECK(kdp_client_break(k->c, at) == 0);
}

/* ---- other ways ---- */

static bool way_waits(struct mac_kdp_way *w, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	(void)w;
	return poll(&p, 1, 1) > 0;
}

static void start_way(struct mac_kdp_way *w, struct mac_kdp *k, void *(*run)(void *arg))
{
	w->end = false;
	w->fd = local_socket(&w->port);
	w->onward = k->port;
	k->port = w->port;
	CHECK(pthread_create(&w->thread, NULL, run, w) == 0);
}

void mac_kdp_way_close(struct mac_kdp_way *w)
{
	__atomic_store_n(&w->end, true, __ATOMIC_RELEASE);
	CHECK(pthread_join(w->thread, NULL) == 0);
	(void)close(w->fd);
}

static bool lost(struct mac_kdp_way *w)
{
	return ++w->n % w->lose == 0;
}

/* The kernel answers to the port that CONNECT names: make that ours. */
static void answer_to(uint8_t *data, ssize_t n, uint16_t port)
{
	be16 ports[2] = {be16_make(port), be16_make(port)};

	if (n >= (ssize_t)(sizeof(struct kdp_hdr) + sizeof(ports)) && data[0] == KDP_CONNECT)
		memcpy(data + sizeof(struct kdp_hdr), ports, sizeof(ports));
}

static void *lossy(void *arg)
{
	struct mac_kdp_way *w = arg;
	struct sockaddr_in from, to = {.sin_family = AF_INET, .sin_port = htons(w->onward)};
	socklen_t len;
	uint8_t data[DATAGRAM];
	uint16_t port;
	int there = local_socket(&port);
	ssize_t n;

	memset(&from, 0, sizeof(from));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while (!__atomic_load_n(&w->end, __ATOMIC_ACQUIRE)) {
		if (way_waits(w, w->fd)) {
			len = sizeof(from);
			n = recvfrom(w->fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len);
			answer_to(data, n, port);
			if (n > 0 && !lost(w))
				(void)sendto(there, data, (size_t)n, 0, (struct sockaddr *)&to,
					     sizeof(to));
		}
		if (way_waits(w, there)) {
			n = recv(there, data, sizeof(data), 0);
			if (n > 0 && from.sin_port && !lost(w))
				(void)sendto(w->fd, data, (size_t)n, 0, (struct sockaddr *)&from,
					     sizeof(from));
		}
	}
	(void)close(there);
	return NULL;
}

void mac_kdp_way_lossy(struct mac_kdp_way *w, struct mac_kdp *k, unsigned lose)
{
	memset(w, 0, sizeof(*w));
	w->lose = lose;
	start_way(w, k, lossy);
}

/* No checksums: the kernel's debugger looks at none, and the model passes what it is given. */
static void to_model(struct mac_kdp_way *w, uint8_t *frame, size_t n, be16 from)
{
	static const uint8_t host_mac[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
	struct eth_hdr eth = {.type = be16_make(ETH_TYPE_IPV4)};
	struct ipv4_hdr ip = {.ver_ihl = 0x45,
			      .total_len = be16_make((uint16_t)(n + 28)),
			      .ttl = 60,
			      .proto = IP_PROTO_UDP,
			      .src = {10, 0, 2, 2},
			      .dst = {10, 0, 2, 15}};
	struct udp_hdr udp = {.src = from,
			      .dst = be16_make((uint16_t)KDP_PORT),
			      .len = be16_make((uint16_t)(n + 8))};

	memcpy(eth.dst, w->mac, 6);
	memcpy(eth.src, host_mac, 6);
	memcpy(frame, &eth, 14);
	memcpy(frame + 14, &ip, 20);
	memcpy(frame + 34, &udp, 8);
	(void)board_model_send(w->model, NULL, frame, HEADERS + n, false);
}

static void from_model(struct mac_kdp_way *w, const struct board_frame *f)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct udp_hdr udp;

	if (f->len < HEADERS || f->data[12] != 8 || f->data[13] != 0 || f->data[23] != 17) {
		__atomic_add_fetch(&w->others, 1, __ATOMIC_SEQ_CST);
		return;
	}
	memcpy(&udp, f->data + 34, 8);
	CHECK(be16_get(udp.src) == KDP_PORT && be16_get(udp.len) <= f->len - 34);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(be16_get(udp.dst));
	(void)sendto(w->fd, f->data + HEADERS, be16_get(udp.len) - 8u, 0, (struct sockaddr *)&to,
		     sizeof(to));
}

static void *pump(void *arg)
{
	struct mac_kdp_way *w = arg;
	uint8_t frame[HEADERS + DATAGRAM];
	struct board_frame out = {.data = NULL};

	while (!__atomic_load_n(&w->end, __ATOMIC_ACQUIRE)) {
		if (way_waits(w, w->fd)) {
			struct sockaddr_in from = {.sin_port = 0};
			socklen_t len = sizeof(from);
			ssize_t n = recvfrom(w->fd, frame + HEADERS, DATAGRAM, 0,
					     (struct sockaddr *)&from, &len);

			if (n > 0)
				to_model(w, frame, (size_t)n, be16_make(ntohs(from.sin_port)));
		}
		while (board_model_take(w->model, &out, 1)) {
			from_model(w, &out);
			free(out.data);
		}
	}
	return NULL;
}

void mac_kdp_way_to_model(struct mac_kdp_way *w, struct mac_kdp *k, struct mac_rig *r)
{
	struct mac_if_state state;

	memset(w, 0, sizeof(*w));
	mac_if_state(r->ifp[0], &state);
	memcpy(w->mac, state.mac, 6);
	w->model = &r->model[0];
	start_way(w, k, pump);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/mac/mac_stack.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/stack/ping.h"
#include "tools/viorun/dhcpd.h"
#include "tools/viorun/tap.h"

#define NET_CLASS   "VirtioNetController"
#define QUIET_MS    20000u
#define LEASE_US    20000000u
#define PING_US	    10000000u
#define TRANSFER_US UINT64_C(40000000)
#define MIB_US	    UINT64_C(1000000)
#define COUNTERS    4096u
#define ENDLESS	    (UINT64_C(1) << 30)

#ifndef __has_feature
#define __has_feature(x) 0
#endif

bool mac_stack_soak(void)
{
	return getenv("VIOKIT_SOAK") != NULL;
}

bool mac_stack_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
	return true;
#else
	return false;
#endif
}

bool mac_stack_can_tap(void)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), status = 0;
	pid_t pid;

	if (fd < 0) {
		printf("SKIP: /dev/net/tun cannot be opened: %s\n", strerror(errno));
		return false;
	}
	(void)close(fd);
	/* In a child: this process stays where it is. */
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
			_exit(errno ? errno : 1);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status)) {
		printf("SKIP: no network namespace, which takes root: %s\n",
		       strerror(WEXITSTATUS(status)));
		return false;
	}
	return true;
}

/* ---- life ---- */

static void open_server(struct mac_stack *s)
{
	static const uint8_t host[4] = TAP_HOST, loopback[4] = {127, 0, 0, 1};

	CHECK(server_start(&s->server, s->o.tap ? host : loopback, 0) == 0);
}

static void open_network(struct mac_stack *s)
{
	static const uint8_t host[4] = TAP_HOST, guest[4] = TAP_GUEST, mask[4] = TAP_MASK;
	static const uint8_t slirp[4] = {10, 0, 2, 2};
	char why[160] = "";

	s->tap = -1;
	if (!s->o.tap) {
		(void)snprintf(s->netdev, sizeof(s->netdev), "user,id=n0%s",
			       s->o.forward ? s->o.forward : "");
		memcpy(s->peer, slirp, 4);
		open_server(s);
		return;
	}
	s->tap = tap_open(why, sizeof(why));
	CHECK_MSG(s->tap >= 0, "%s", why);
	(void)snprintf(s->netdev, sizeof(s->netdev), "tap,id=n0,fd=%d", s->tap);
	s->o.rig.fds = &s->tap;
	s->o.rig.n_fds = 1;
	memcpy(s->peer, host, 4);
	CHECK(dhcpd_start(&s->dhcpd, TAP_NAME, host, guest, mask) == 0);
	open_server(s);
}

void mac_stack_start(struct mac_stack *s)
{
	static const struct stack_params none;
	struct netif_mac_params p = {.ifp = s->rig.ifp[0], .stack = &s->stack};
	struct stack_params sp = none;

	CHECK(netif_mac_create(&s->nm, &p, &sp) == VIO_OK);
	CHECK_MSG(stack_start(&s->stack) == VIO_OK, "%s", s->stack.err);
	CHECK_MSG(stack_wait_link(&s->stack, stack_now() + LEASE_US) == STACK_OK, "%s",
		  s->stack.err);
	CHECK_MSG(stack_dhcp(&s->stack, stack_now() + LEASE_US, &s->lease) == STACK_OK, "DHCP: %s",
		  s->stack.err);
}

void mac_stack_open(struct mac_stack *s, const struct mac_stack_opts *o)
{
	memset(s, 0, sizeof(*s));
	s->o = *o;
	s->seed = 1;
	open_network(s);
	s->o.rig.netdev = s->netdev;
	mac_rig_open(&s->rig, &s->o.rig);
	if (!o->no_lwip)
		mac_stack_start(s);
}

void mac_stack_stop(struct mac_stack *s)
{
	unsigned held;

	if (!s->nm)
		return;
	(void)stack_stop(&s->stack);
	held = stack_destroy(&s->stack);
	s->nm = NULL;
	CHECK_MSG(held == 0, "%u received packets are still inside of lwIP", held);
}

void mac_stack_close(struct mac_stack *s)
{
	mac_stack_stop(s);
	mac_rig_close(&s->rig);
	server_stop(s->server);
	dhcpd_stop(s->dhcpd);
	if (s->tap >= 0)
		(void)close(s->tap);
}

/* ---- traffic ---- */

void mac_stack_ping(struct mac_stack *s, unsigned size)
{
	struct ping ping = {.id = 77, .seq = (uint16_t)s->seed++, .size = size};

	memcpy(ping.to, s->peer, 4);
	CHECK_MSG(ping_once(&s->stack, &ping, stack_now() + PING_US) == STACK_OK,
		  "ping of %u bytes: %s", size, s->stack.err);
}

static void note_progress(void *arg, uint64_t done, uint64_t bytes)
{
	struct mac_stack *s = arg;

	(void)bytes;
	__atomic_store_n(&s->bytes, done, __ATOMIC_RELEASE);
}

/* Where it hangs: who counted what. */
static void print_counters(const struct mac_stack *s)
{
	const struct netif_mac_stats *n = netif_mac_stats(s->nm);
	char text[COUNTERS] = "";
	struct mac_if_state state;

	mac_if_state(s->rig.ifp[0], &state);
	(void)mac_registry_get(NET_CLASS, "VirtioCounters", text, sizeof(text));
	(void)fprintf(stderr,
		      "driver: %s\n"
		      "interface: in %llu, out %llu, dropped %llu, queued %u\n"
		      "lwIP: in %llu, dropped %llu, out %llu, dropped %llu\n",
		      text, (unsigned long long)state.ipackets, (unsigned long long)state.opackets,
		      (unsigned long long)state.odropped, mac_if_queued(s->rig.ifp[0]),
		      (unsigned long long)n->rx_packets, (unsigned long long)n->rx_dropped,
		      (unsigned long long)n->tx_packets, (unsigned long long)n->tx_dropped);
}

static int transfer(struct mac_stack *s, bool upload, uint64_t bytes, struct transfer *out)
{
	struct transfer t = {
		.upload = upload,
		.port = server_port(s->server),
		.bytes = bytes,
		.seed = s->seed++,
		.deadline = stack_now() + TRANSFER_US + (bytes >> 20) * MIB_US,
		.progress = note_progress,
		.arg = s,
	};

	memcpy(t.to, s->peer, 4);
	note_progress(s, 0, 0);
	*out = t;
	return transfer_run(&s->stack, out);
}

void mac_stack_transfer(struct mac_stack *s, bool upload, uint64_t bytes)
{
	struct transfer t;
	int err = transfer(s, upload, bytes, &t);

	if (err != STACK_OK)
		print_counters(s);
	CHECK_MSG(err == STACK_OK && t.verified, "%s: %s", upload ? "upload" : "download",
		  s->stack.err);
	(void)fprintf(stderr, "%s %.0f Mbit/s\n", upload ? "up" : "down", t.mbit_s);
}

void mac_stack_both_ways(struct mac_stack *s)
{
	mac_stack_transfer(s, false, (uint64_t)s->o.mib << 20);
	mac_stack_transfer(s, true, (uint64_t)s->o.mib << 20);
}

/* ---- trouble ---- */

struct trouble {
	struct mac_stack *s;
	void (*run)(struct mac_stack *s);
};

static void *trouble_main(void *arg)
{
	struct trouble *t = arg;

	t->run(t->s);
	__atomic_store_n(&t->s->over, true, __ATOMIC_RELEASE);
	return NULL;
}

unsigned mac_stack_with_trouble(struct mac_stack *s, bool upload, uint64_t bytes,
				void (*trouble)(struct mac_stack *s))
{
	struct trouble t = {s, trouble};
	unsigned n = 0;
	pthread_t thread;

	s->over = false;
	CHECK(pthread_create(&thread, NULL, trouble_main, &t) == 0);
	do {
		mac_stack_transfer(s, upload, bytes);
		n++;
	} while (!__atomic_load_n(&s->over, __ATOMIC_ACQUIRE));
	CHECK(pthread_join(thread, NULL) == 0);
	return n;
}

void mac_stack_broken(struct mac_stack *s, bool upload, void (*trouble)(struct mac_stack *s))
{
	struct trouble t = {s, trouble};
	struct transfer never;
	pthread_t thread;
	int err;

	CHECK(pthread_create(&thread, NULL, trouble_main, &t) == 0);
	err = transfer(s, upload, ENDLESS, &never);
	CHECK_MSG(err == STACK_DEAD, "a transfer on an interface that is gone ended with %d: %s",
		  err, s->stack.err);
	CHECK(pthread_join(thread, NULL) == 0);
	mac_stack_stop(s);
	/* It serves one at a time, and still waits for the one that is no more. */
	server_stop(s->server);
	open_server(s);
}

bool mac_stack_progress(struct mac_stack *s, uint64_t bytes, unsigned ms)
{
	const struct timespec nap = {.tv_nsec = 500000};
	uint64_t last = __atomic_load_n(&s->bytes, __ATOMIC_ACQUIRE), gone = 0;
	uint64_t end = stack_now() + ms * UINT64_C(1000);

	while (gone < bytes) {
		uint64_t now = __atomic_load_n(&s->bytes, __ATOMIC_ACQUIRE);

		/* A new transfer starts from 0. */
		gone += now >= last ? now - last : now;
		last = now;
		if (stack_now() >= end)
			return false;
		(void)nanosleep(&nap, NULL);
	}
	return true;
}

/* ---- what the registry says ---- */

uint64_t mac_stack_number(const char *key)
{
	char text[64];

	return mac_registry_get(NET_CLASS, key, text, sizeof(text)) ? strtoull(text, NULL, 0) : 0;
}

uint64_t mac_stack_counter(const char *name)
{
	char text[COUNTERS], key[48];
	const char *at;

	if (!mac_registry_get(NET_CLASS, "VirtioCounters", text, sizeof(text)))
		return 0;
	(void)snprintf(key, sizeof(key), "\"%s\"=", name);
	at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 0) : 0;
}

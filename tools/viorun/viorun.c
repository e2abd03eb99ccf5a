/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * viorun: the viokit network driver at work, against a QEMU machine.
 *
 * Theory of operation. QEMU is started with a virtio network card and a CPU that sleeps; this
 * process is the guest. It finds the card (machine.h), runs the driver (driver.h) and lwIP on it
 * (stack.h), gets an address, pings, and moves content both ways through the card to a server in a
 * thread of its own (server.h), which the guest reaches as it would any host: through QEMU's user
 * network or over a TAP. All of it is verified. In the end the device is reset and what was taken
 * is counted.
 *
 * The phases are one list of steps; each takes its deadline from the one for the whole run. The
 * first that fails says why, in one line on standard error, and everything is taken down in the
 * opposite order. Signals only raise a flag that the stack's loop looks at; a second one ends the
 * process on the spot, and QEMU with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/stack/ping.h"
#include "tools/stack/server.h"
#include "tools/viorun/dhcpd.h"
#include "tools/viorun/driver.h"
#include "tools/viorun/session.h"
#include "tools/viorun/tap.h"

#ifndef VIORUN_VERSION
#define VIORUN_VERSION "unknown"
#endif

#define EXIT_GOOD   0
#define EXIT_SYSTEM 1
#define EXIT_USER   2
#define EXIT_SIGNAL 128

#define LINK_US	  5000000u
#define DHCP_US	  10000000u
#define PING_US	  2000000u
#define PING_SIZE 56u
#define PING_ID	  0x7669u
#define SEED	  UINT64_C(0x76696f6b6974)

struct viorun {
	struct options o;
	struct results r;
	struct report rp;
	struct machine m;
	struct stack s;
	const struct driver_ops *driver;
	struct driver_env env;
	struct server *server;
	struct dhcpd *dhcpd;
	struct pcap *pcap;
	struct json_sink json;
	int net_fd;
	uint8_t peer[4]; /* where the guest finds the server */
	uint64_t started, deadline;
	uint16_t ping_seq;
	bool opened, running;
	bool told; /* the session was entered: its end is said too */
	int status;
	char err[320];
};

static volatile sig_atomic_t viorun_signal;

static void viorun_on_signal(int sig)
{
	if (viorun_signal) {
		qemu_kill_all();
		_exit(EXIT_SIGNAL + sig);
	}
	viorun_signal = sig;
}

static void viorun_signals(void)
{
	static const int stop[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction sa = {.sa_handler = viorun_on_signal};

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(stop) / sizeof(stop[0]); i++) {
		struct sigaction old;

		/* nohup stays in force; SIGINT, which shells ignore for jobs, is taken all the same
		 */
		if (stop[i] == SIGHUP && sigaction(SIGHUP, NULL, &old) == 0 &&
		    old.sa_handler == SIG_IGN)
			continue;
		(void)sigaction(stop[i], &sa, NULL);
	}
	sa.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &sa, NULL);
}

/* Remember the first thing that went wrong. */
__attribute__((format(printf, 3, 4))) static bool viorun_fail(struct viorun *v, int status,
							      const char *fmt, ...)
{
	va_list ap;

	if (v->status != EXIT_GOOD)
		return false;
	v->status = status;
	va_start(ap, fmt);
	(void)vsnprintf(v->err, sizeof(v->err), fmt, ap);
	va_end(ap);
	return false;
}

static bool viorun_stack_fail(struct viorun *v, const char *what)
{
	/* QEMU's own last words say more than that the device went away */
	if (!viorun_signal && v->m.card && !machine_alive(&v->m))
		return viorun_fail(v, EXIT_SYSTEM, "%s: %s", what, v->m.board.q.err);
	return viorun_fail(v, EXIT_SYSTEM, "%s: %s", what, v->s.err);
}

static uint64_t viorun_until(const struct viorun *v, uint64_t us)
{
	uint64_t at = stack_now() + us;

	return at < v->deadline ? at : v->deadline;
}

/* ---- steps ---- */

static bool viorun_files(struct viorun *v)
{
	if (v->o.json && !json_sink_open(&v->json, v->o.json))
		return viorun_fail(v, EXIT_USER, "%s", v->json.err);
	if (v->o.pcap) {
		v->pcap = pcap_create(v->o.pcap);
		if (!v->pcap)
			return viorun_fail(v, EXIT_USER, "--pcap: cannot write %.150s: %s",
					   v->o.pcap, strerror(errno));
	}
	return true;
}

/* A TAP, if it was asked for, or if nothing was and this machine allows it. */
static bool viorun_tap(struct viorun *v)
{
	static const uint8_t host[4] = TAP_HOST, guest[4] = TAP_GUEST, mask[4] = TAP_MASK;
	bool must = v->o.net == OPTIONS_TAP;
	char why[160];
	int err;

	if (!must && !tap_possible(why, sizeof(why))) {
		v->o.net = OPTIONS_USER;
		report_line(&v->rp, "network", "QEMU's own, without offloads (%s)", why);
		return true;
	}
	v->net_fd = tap_open(why, sizeof(why));
	if (v->net_fd < 0)
		return viorun_fail(v, EXIT_SYSTEM, "%s", why);
	v->o.net = OPTIONS_TAP;
	err = dhcpd_start(&v->dhcpd, TAP_NAME, host, guest, mask);
	if (err)
		return viorun_fail(v, EXIT_SYSTEM, "cannot serve DHCP on the TAP: %s",
				   strerror(err));
	return true;
}

/* Somebody else's network, handed over. */
static bool viorun_stream(struct viorun *v)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(v->o.net_fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM)
		return viorun_fail(v, EXIT_USER,
				   "--net-fd: descriptor %d is not an open stream socket",
				   v->o.net_fd);
	v->net_fd = v->o.net_fd;
	return true;
}

static bool viorun_network(struct viorun *v)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1}, slirp[4] = {10, 0, 2, 2};
	static const uint8_t tap_host[4] = TAP_HOST;
	const uint8_t *listen_on = loopback;
	int err;

	if (v->o.net == OPTIONS_FD)
		return viorun_stream(v);
	if (v->o.net != OPTIONS_USER && !viorun_tap(v))
		return false;
	memcpy(v->peer, slirp, 4);
	if (v->o.net == OPTIONS_TAP) {
		listen_on = tap_host;
		memcpy(v->peer, tap_host, 4);
	}
	err = server_start(&v->server, listen_on, v->o.port);
	if (err && v->o.port)
		return viorun_fail(v, EXIT_USER, "--port: cannot listen on %u.%u.%u.%u port %u: %s",
				   listen_on[0], listen_on[1], listen_on[2], listen_on[3],
				   v->o.port, strerror(err));
	if (err)
		return viorun_fail(v, EXIT_SYSTEM, "cannot start the server: %s", strerror(err));
	return true;
}

static bool viorun_machine(struct viorun *v)
{
	uint64_t now = stack_now();
	unsigned left = v->deadline > now ? (unsigned)((v->deadline - now) / 1000u) : 1;

	if (!machine_start(&v->m, &v->o, v->net_fd, left < QEMU_DEADLINE_MS ? left : 0))
		return viorun_fail(v, EXIT_SYSTEM, "%s", v->m.err);
	v->r.qemu_version = v->m.version;
	report_machine(&v->rp, &v->r, &v->m);
	return true;
}

static bool viorun_alive(void *arg)
{
	return machine_alive(&((struct viorun *)arg)->m);
}

static bool viorun_driver(struct viorun *v)
{
	v->env = (struct driver_env){
		.o = &v->o,
		.m = &v->m,
		.stack = &v->s,
		.rp = &v->rp,
		.r = &v->r,
		.pcap = v->pcap,
		.stop = &viorun_signal,
		.alive = viorun_alive,
		.arg = v,
		.quiet = true,
	};
	v->opened = true;
	if (!v->driver->open(&v->env))
		return viorun_fail(v, v->env.user_error ? EXIT_USER : EXIT_SYSTEM, "%s",
				   v->env.err);
	return true;
}

static bool viorun_link(struct viorun *v)
{
	if (stack_start(&v->s) != VIO_OK)
		return viorun_stack_fail(v, "driver");
	if (stack_wait_link(&v->s, viorun_until(v, LINK_US)) != STACK_OK)
		return viorun_stack_fail(v, "link");
	v->driver->link(&v->env, &v->r.link);
	report_link(&v->rp, &v->r.link, true);
	v->running = true;
	v->env.quiet = false;
	return true;
}

static bool viorun_address(struct viorun *v)
{
	uint64_t before = stack_now();

	if (stack_dhcp(&v->s, viorun_until(v, DHCP_US), &v->r.lease) != STACK_OK)
		return viorun_stack_fail(v, "DHCP");
	report_lease(&v->rp, &v->r, (double)(stack_now() - before) / 1e3);
	return true;
}

static bool viorun_ping_one(struct viorun *v, uint32_t size, uint32_t *rtt_us)
{
	struct ping ping = {.id = PING_ID, .seq = v->ping_seq++, .size = size};

	memcpy(ping.to, v->r.lease.router, 4);
	if (ping_once(&v->s, &ping, viorun_until(v, PING_US)) != STACK_OK)
		return viorun_stack_fail(v, "ping");
	*rtt_us = ping.rtt_us;
	return true;
}

static bool viorun_ping(struct viorun *v)
{
	for (unsigned i = 0; i < RESULTS_PINGS; i++) {
		if (!viorun_ping_one(v, PING_SIZE, &v->r.ping_us[i]))
			return false;
		v->r.pings++;
	}
	if (!viorun_ping_one(v, PING_SIZE_MAX, &v->r.ping_large_us))
		return false;
	report_pings(&v->rp, &v->r);
	return true;
}

static bool viorun_transfer(struct viorun *v, struct transfer *t, bool upload,
			    struct vio_net_stats *added)
{
	const char *what = upload ? "upload" : "download";
	struct vio_net_stats before, after;

	*t = (struct transfer){
		.upload = upload,
		.port = server_port(v->server),
		.bytes = v->o.bytes,
		.seed = SEED + upload,
		.deadline = v->deadline,
		.progress = report_transfer_step,
		.arg = &v->rp,
	};
	memcpy(t->to, v->peer, 4);
	if (v->o.idle_s &&
	    stack_run(&v->s, NULL, NULL, viorun_until(v, v->o.idle_s * UINT64_C(1000000))) !=
		    STACK_TIMEOUT)
		return viorun_stack_fail(v, what);
	v->driver->stats(&v->env, false, &before);
	report_transfer_begin(&v->rp, what, t->bytes);
	if (transfer_run(&v->s, t) != STACK_OK)
		return viorun_stack_fail(v, what);
	v->driver->stats(&v->env, true, &after);
	results_difference(&before, &after, added);
	report_transfer_end(&v->rp, t);
	return true;
}

static bool viorun_download(struct viorun *v)
{
	return viorun_transfer(v, &v->r.download, false, &v->r.download_stats);
}

static bool viorun_upload(struct viorun *v)
{
	return viorun_transfer(v, &v->r.upload, true, &v->r.upload_stats);
}

/* ---- the cable ---- */

struct viorun_cable {
	struct viorun *v;
	bool up;
};

static bool viorun_cable_is(void *arg)
{
	struct viorun_cable *c = arg;
	struct vio_net_link link;

	c->v->driver->link(&c->v->env, &link);
	return link.up == c->up;
}

static bool viorun_toggle(struct viorun *v)
{
	struct viorun_cable cable = {v, false};

	for (unsigned i = 0; i < 2; i++, cable.up = true) {
		if (!machine_link(&v->m, cable.up))
			return viorun_fail(v, EXIT_SYSTEM, "link: %s", v->m.err);
		if (stack_run(&v->s, viorun_cable_is, &cable, viorun_until(v, LINK_US)) != STACK_OK)
			return viorun_fail(v, EXIT_SYSTEM, "link: the driver did not see it go %s",
					   cable.up ? "up" : "down");
	}
	v->r.link_toggled = true;
	return true;
}

/* ---- the debugger ---- */

static bool viorun_debug(struct viorun *v)
{
	uint64_t now = stack_now();

	if (!v->o.kdp_port || now >= v->deadline)
		return true;
	if (!v->driver->debug(&v->env, (unsigned)((v->deadline - now) / 1000)))
		return viorun_fail(v, EXIT_SYSTEM, "%s", v->env.err);
	return true;
}

/* ---- the session ---- */

static bool viorun_session(struct viorun *v)
{
	char err[256];

	v->told = true;
	if (session_run(&v->s, &v->r, v->deadline, err, sizeof(err)))
		return true;
	if (machine_alive(&v->m))
		return viorun_fail(v, EXIT_SYSTEM, "%s", err);
	return viorun_fail(v, EXIT_SYSTEM, "session: %s", v->m.board.q.err);
}

/* ---- the end ---- */

/* Take the driver down and see what it leaves behind; whether or not the run went well. */
static void viorun_take_down(struct viorun *v)
{
	v->running = false;
	v->env.quiet = true;
	if (v->opened)
		v->driver->close(&v->env);
	v->opened = false;
}

static bool viorun_leaks(struct viorun *v)
{
	const struct results *r = &v->r;

	v->r.seconds = (double)(stack_now() - v->started) / 1e6;
	report_summary(&v->rp, r);
	if (r->leak_buffers || r->leaks.dma_bytes || r->leaks.private_bytes)
		return viorun_fail(v, EXIT_SYSTEM,
				   "leaks: %u buffers, %zu bytes of DMA memory, %zu private",
				   r->leak_buffers, r->leaks.dma_bytes, r->leaks.private_bytes);
	if (r->mac.leaks)
		return viorun_fail(v, EXIT_SYSTEM, "leaks: %u things left in the kernel",
				   r->mac.leaks);
	if (r->leaks.misuse)
		return viorun_fail(v, EXIT_SYSTEM, "the driver broke its port's contract %u times",
				   r->leaks.misuse);
	return true;
}

/* Nobody reads what we print any more (a pipe was closed, a disk is full): stop. */
static bool viorun_can_say(struct viorun *v)
{
	if (!ferror(stdout))
		return true;
	return viorun_fail(v, EXIT_SYSTEM, "cannot write to standard output");
}

static bool viorun_close_files(struct viorun *v)
{
	int err = pcap_close(v->pcap);

	v->pcap = NULL;
	if (err)
		return viorun_fail(v, EXIT_SYSTEM, "--pcap: writing %.150s: %s", v->o.pcap,
				   strerror(err));
	if (v->o.json && v->status == EXIT_GOOD && !json_sink_write(&v->json, &v->r))
		return viorun_fail(v, EXIT_SYSTEM, "%s", v->json.err);
	(void)fflush(stdout);
	return viorun_can_say(v);
}

typedef bool (*viorun_step)(struct viorun *v);

static const viorun_step viorun_alone[] = {
	viorun_files, viorun_network, viorun_machine,  viorun_driver, viorun_link,   viorun_address,
	viorun_ping,  viorun_debug,   viorun_download, viorun_upload, viorun_toggle, NULL,
};
static const viorun_step viorun_told[] = {
	viorun_files, viorun_network, viorun_machine, viorun_driver,
	viorun_link,  viorun_address, viorun_session, NULL,
};

static void viorun_go(struct viorun *v)
{
	const viorun_step *step = v->o.net == OPTIONS_FD ? viorun_told : viorun_alone;
	bool good = true;

	for (; good && *step; step++)
		good = !viorun_signal && viorun_can_say(v) && (*step)(v);

	viorun_take_down(v);
	if (good)
		(void)viorun_leaks(v);
	if (v->o.net == OPTIONS_FD && v->told)
		session_event("end", &v->r);
	machine_stop(&v->m);
	server_stop(v->server);
	dhcpd_stop(v->dhcpd);
	if (v->net_fd >= 0)
		(void)close(v->net_fd);
	if (!viorun_signal)
		(void)viorun_close_files(v);
	else
		(void)pcap_close(v->pcap);
	json_sink_discard(&v->json);
	report_break(&v->rp);
}

int main(int argc, char **argv)
{
	struct viorun *v = calloc(1, sizeof(*v));
	int status;

	if (!v) {
		(void)fputs("viorun: out of memory\n", stderr);
		return EXIT_SYSTEM;
	}
	switch (options_parse(&v->o, argc, argv)) {
	case OPTIONS_HELP:
		(void)fputs(options_help, stdout);
		free(v);
		return EXIT_GOOD;
	case OPTIONS_VERSION:
		(void)puts("viorun " VIORUN_VERSION);
		free(v);
		return EXIT_GOOD;
	case OPTIONS_WRONG:
		(void)fprintf(stderr, "viorun: %s\n", v->o.err);
		free(v);
		return EXIT_USER;
	case OPTIONS_RUN:
		break;
	}

	v->r.o = &v->o;
	v->driver = v->o.driver == OPTIONS_KEXT ? &driver_kext_ops : &driver_core_ops;
	v->r.driver = v->driver->name;
	v->net_fd = -1;
	v->started = stack_now();
	v->deadline = v->started + v->o.timeout_s * UINT64_C(1000000);
	report_init(&v->rp, v->o.net == OPTIONS_FD || (v->o.json && !strcmp(v->o.json, "-"))
				    ? NULL
				    : stdout);
	viorun_signals();
	/* naps are tens of microseconds: the usual 50 us of slack would double them */
	(void)prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
	viorun_go(v);

	if (viorun_signal) {
		(void)fprintf(stderr, "viorun: stopped by %s\n", strsignal(viorun_signal));
		status = EXIT_SIGNAL + viorun_signal;
	} else {
		if (v->status != EXIT_GOOD)
			(void)fprintf(stderr, "viorun: %s\n", v->err);
		status = v->status;
	}
	free(v);
	return status;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A Linux guest with its own driver for a card of QEMU's, as something to compare with.
 *
 * The guest is bench/guest; its other end is the server of tools/stack in a thread of this process,
 * reached through a TAP in a network namespace or through QEMU's user network, as with viorun. The
 * guest says on its serial console what it measured.
 *
 *   bench_guest FOLDER e1000|virtio tap|user BYTES IDLE
 *
 * FOLDER is what bench/guest/make filled. Prints one JSON object on one line.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/stack/server.h"
#include "tools/viorun/tap.h"

#define RAM_BASE_MIB 256u
#define BOOT_S	     120 /* and the transfers */
#define CONSOLE	     65536u
#define MARK	     "\nguest: "

struct guest {
	const char *folder, *card, *bytes, *idle;
	bool tap;
	int tap_fd, console;
	uint16_t port;
	pid_t qemu;
	char text[CONSOLE];
	size_t len;
};

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "bench_guest: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

__attribute__((noreturn)) static void run_qemu(const struct guest *g, int out)
{
	const char *qemu = getenv("VIOKIT_QEMU");
	char kernel[512], initrd[512], append[512], netdev[64], device[96], mem[16];
	uint64_t mib = (strtoull(g->bytes, NULL, 10) >> 20) + RAM_BASE_MIB;

	if (!qemu)
		qemu = "qemu-system-x86_64";
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(kernel, sizeof(kernel), "%s/vmlinuz", g->folder);
	(void)snprintf(initrd, sizeof(initrd), "%s/%s.cpio", g->folder, g->card);
	(void)snprintf(mem, sizeof(mem), "%u", (unsigned)mib);
	(void)snprintf(append, sizeof(append),
		       "console=ttyS0 quiet panic=-1 ADDRESS=%s PEER=%s PORT=%u BYTES=%s IDLE=%s",
		       g->tap ? "10.77.0.2" : "10.0.2.15", g->tap ? "10.77.0.1" : "10.0.2.2",
		       g->port, g->bytes, g->idle);
	if (g->tap)
		(void)snprintf(netdev, sizeof(netdev), "tap,id=n0,fd=%d", dup(g->tap_fd));
	else
		(void)snprintf(netdev, sizeof(netdev), "user,id=n0");
	(void)snprintf(device, sizeof(device), "%s,netdev=n0",
		       strcmp(g->card, "virtio") == 0 ? "virtio-net-pci,disable-legacy=on"
						      : g->card);
	(void)dup2(out, 1);
	(void)execlp(qemu, qemu, "-accel", "tcg", "-machine", "pc", "-m", mem, "-nodefaults",
		     "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
		     "-kernel", kernel, "-initrd", initrd, "-append", append, "-netdev", netdev,
		     "-device", device, (char *)NULL);
	fail("cannot start %s", qemu);
}

static void start(struct guest *g)
{
	int out[2];

	if (pipe(out) != 0)
		fail("no pipe");
	g->qemu = fork();
	if (g->qemu < 0)
		fail("no process for QEMU");
	if (g->qemu == 0)
		run_qemu(g, out[1]);
	(void)close(out[1]);
	g->console = out[0];
}

/* Until QEMU ends. */
static void listen_to(struct guest *g)
{
	struct timespec ts;
	time_t end;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	end = ts.tv_sec + BOOT_S;
	for (;;) {
		struct pollfd fd = {.fd = g->console, .events = POLLIN};
		ssize_t n;

		(void)clock_gettime(CLOCK_MONOTONIC, &ts);
		if (ts.tv_sec >= end || g->len == CONSOLE - 1)
			break;
		if (poll(&fd, 1, 1000) <= 0)
			continue;
		n = read(g->console, g->text + g->len, CONSOLE - 1 - g->len);
		if (n <= 0)
			break;
		g->len += (size_t)n;
	}
	g->text[g->len] = '\0';
	(void)kill(g->qemu, SIGKILL);
	(void)waitpid(g->qemu, NULL, 0);
}

int main(int argc, char **argv)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1}, host[4] = TAP_HOST;
	static struct guest g;
	struct server *server;
	char why[160], *said;

	if (argc != 6 || (strcmp(argv[3], "tap") != 0 && strcmp(argv[3], "user") != 0)) {
		fprintf(stderr, "usage: bench_guest FOLDER e1000|virtio tap|user BYTES IDLE\n");
		return 2;
	}
	g = (struct guest){.folder = argv[1], .card = argv[2], .bytes = argv[4], .idle = argv[5]};
	g.tap = strcmp(argv[3], "tap") == 0;
	(void)signal(SIGPIPE, SIG_IGN);
	if (g.tap && (g.tap_fd = tap_open(why, sizeof(why))) < 0)
		fail("%s", why);
	if (server_start(&server, g.tap ? host : loopback, 0) != 0)
		fail("cannot start the server");
	g.port = server_port(server);
	start(&g);
	listen_to(&g);
	server_stop(server);
	said = strstr(g.text, MARK);
	if (!said)
		fail("the guest said nothing; its console ends in: %s",
		     g.len > 200 ? g.text + g.len - 200 : g.text);
	said += strlen(MARK);
	said[strcspn(said, "\r\n")] = '\0';
	if (*said != '{')
		fail("the guest: %s", said);
	puts(said);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/kdp/gdb.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/kdp/rsp.h"

#define GDB_INTERRUPT 3
#define GDB_NO_DIGIT  0x100u /* no sum has this bit */

struct gdb {
	struct rsp rsp;
	int fd;
	bool running, bye;
	/* The packet that comes in: between $ and #, then two digits. */
	enum { GDB_IDLE, GDB_BODY, GDB_ESCAPED, GDB_SUM1, GDB_SUM2 } at;
	uint8_t in[2 * RSP_PACKET_MAX];
	size_t len;
	uint8_t sum;
	unsigned want;		       /* the sum that the packet says it has */
	char last[2 * RSP_PACKET_MAX]; /* as sent, for a gdb that did not understand */
	size_t last_len;
};

static volatile sig_atomic_t gdb_signal;

static void gdb_on_signal(int sig)
{
	gdb_signal = sig;
}

/* ---- packets ---- */

static void gdb_write(struct gdb *g, const char *bytes, size_t n)
{
	while (n) {
		ssize_t put = send(g->fd, bytes, n, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR && !gdb_signal)
			continue;
		if (put <= 0) {
			g->bye = true;
			return;
		}
		bytes += put;
		n -= (size_t)put;
	}
}

static void gdb_send(struct gdb *g, const char *text)
{
	size_t n = 0;
	uint8_t sum = 0;

	g->last[n++] = '$';
	for (; *text && n < sizeof(g->last) - 8; text++) {
		char ch = *text;

		if (strchr("$#}*", ch)) {
			g->last[n++] = '}';
			sum = (uint8_t)(sum + '}');
			ch = (char)(ch ^ 0x20);
		}
		g->last[n++] = ch;
		sum = (uint8_t)(sum + (uint8_t)ch);
	}
	(void)snprintf(g->last + n, 4, "#%02x", sum);
	g->last_len = n + 3;
	gdb_write(g, g->last, g->last_len);
}

/* A line in gdb's console. */
static void gdb_console(struct gdb *g, const char *text)
{
	char out[512] = "O";
	size_t n = 1;

	for (; *text && n < sizeof(out) - 3; text++, n += 2)
		(void)snprintf(out + n, 3, "%02x", (unsigned char)*text);
	gdb_send(g, out);
}

static void gdb_packet(struct gdb *g)
{
	char out[RSP_PACKET_MAX];

	g->in[g->len] = '\0';
	out[0] = '\0';
	switch (rsp_packet(&g->rsp, g->in, g->len, out)) {
	case RSP_RUNNING:
		g->running = true;
		return;
	case RSP_NO_ACK:
		gdb_send(g, out);
		g->rsp.no_ack = true;
		return;
	case RSP_BYE:
		if (g->in[0] != 'k')
			gdb_send(g, out);
		g->bye = true;
		return;
	case RSP_REPLY:
		gdb_send(g, out);
		return;
	}
}

/* The value of a digit; anything else spoils the sum it is part of, as it should. */
static unsigned gdb_hex(uint8_t ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - (unsigned)'0';
	if (ch >= 'a' && ch <= 'f')
		return ch - (unsigned)'a' + 10;
	if (ch >= 'A' && ch <= 'F')
		return ch - (unsigned)'A' + 10;
	return GDB_NO_DIGIT;
}

static void gdb_byte(struct gdb *g, uint8_t ch)
{
	switch (g->at) {
	case GDB_IDLE:
		if (ch == GDB_INTERRUPT && g->running)
			gdb_console(g, "KDP cannot interrupt a machine that runs; waiting until it "
				       "stops by itself\n");
		if (ch == '-' && !g->rsp.no_ack && g->last_len)
			gdb_write(g, g->last, g->last_len);
		if (ch != '$')
			return;
		g->len = g->sum = 0;
		g->at = GDB_BODY;
		return;
	case GDB_BODY:
		if (ch == '#') {
			g->at = GDB_SUM1;
			return;
		}
		g->sum = (uint8_t)(g->sum + ch);
		if (ch == '}') {
			g->at = GDB_ESCAPED;
			return;
		}
		break;
	case GDB_ESCAPED:
		g->sum = (uint8_t)(g->sum + ch);
		ch ^= 0x20;
		g->at = GDB_BODY;
		break;
	case GDB_SUM1:
		g->want = gdb_hex(ch) << 4;
		g->at = GDB_SUM2;
		return;
	case GDB_SUM2:
		g->at = GDB_IDLE;
		if (!g->rsp.no_ack) {
			bool good = (g->want | gdb_hex(ch)) == g->sum;

			gdb_write(g, good ? "+" : "-", 1);
			if (!good)
				return;
		}
		/* While the machine runs, gdb has nothing to ask. */
		if (!g->running)
			gdb_packet(g);
		return;
	}
	if (g->len < sizeof(g->in) - 1)
		g->in[g->len++] = ch;
	else
		g->at = GDB_IDLE; /* no gdb sends that; it will ask again */
}

/* ---- the loop ---- */

/* One gdb, until it goes. True: it has detached, or the bridge shall end. */
static bool gdb_serve(struct gdb *g)
{
	struct kdp_client *c = g->rsp.client;

	while (!g->bye && !gdb_signal) {
		struct pollfd p[2] = {{g->fd, POLLIN, 0}, {kdp_client_fd(c), POLLIN, 0}};
		struct kdp_client_exception e;
		uint8_t bytes[4096];
		ssize_t n;

		if (poll(p, g->running ? 2 : 1, 1000) < 0 && errno != EINTR)
			return true;
		if (g->running && kdp_client_wait(c, 0, &e) == 1) {
			char out[RSP_PACKET_MAX];

			g->running = false;
			rsp_stopped(&g->rsp, &e, out);
			gdb_send(g, out);
		}
		if (!p[0].revents)
			continue;
		n = recv(g->fd, bytes, sizeof(bytes), 0);
		if (n <= 0)
			return false;
		for (ssize_t i = 0; i < n && !g->bye; i++)
			gdb_byte(g, bytes[i]);
	}
	return true;
}

/* [ADDR:]PORT, loopback if no address is given. */
static int gdb_listen(const char *where)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	const char *colon = strrchr(where, ':');
	const char *port = colon ? colon + 1 : where;
	char addr[64] = "127.0.0.1";
	socklen_t len = sizeof(at);
	char *end;
	unsigned long number = strtoul(port, &end, 10);
	int fd, one = 1;

	if (colon && colon > where)
		(void)snprintf(addr, sizeof(addr), "%.*s", (int)(colon - where), where);
	if (*port < '0' || *port > '9' || *end || number > UINT16_MAX ||
	    inet_pton(AF_INET, addr, &at.sin_addr) != 1) {
		(void)fprintf(stderr, "kdp: --listen: '%.60s' is not [ADDR:]PORT\n", where);
		return -2;
	}
	at.sin_port = htons((uint16_t)number);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, 1) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
		(void)fprintf(stderr, "kdp: TCP port %s of %s: %s\n", port, addr, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	(void)printf("waiting for gdb: target remote %s:%u\n", addr, ntohs(at.sin_port));
	(void)fflush(stdout);
	return fd;
}

static void gdb_signals(void)
{
	struct sigaction action = {.sa_handler = gdb_on_signal};

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
}

int gdb_bridge(struct kdp_client *client, const char *where, bool reattach)
{
	static struct gdb g;
	int one = 1, listener, rc;
	bool over = false;

	g.rsp.client = client;
	rc = reattach ? kdp_client_reattach(client) : kdp_client_connect(client);
	if (rc) {
		(void)fprintf(stderr, "kdp: %s\n", kdp_client_error(client));
		return 1;
	}
	listener = gdb_listen(where);
	if (listener < 0) {
		(void)kdp_client_disconnect(client);
		return -listener;
	}
	gdb_signals();
	while (!over && !gdb_signal) {
		g.fd = accept(listener, NULL, NULL);
		if (g.fd < 0 && errno == EINTR)
			continue;
		if (g.fd < 0) {
			(void)fprintf(stderr, "kdp: accept: %s\n", strerror(errno));
			break;
		}
		(void)setsockopt(g.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		rsp_reset(&g.rsp);
		g.bye = false;
		g.at = GDB_IDLE;
		g.last_len = 0;
		over = gdb_serve(&g);
		(void)close(g.fd);
		if (!over)
			(void)fprintf(stderr, "kdp: gdb is gone without detaching; waiting for "
					      "another\n");
	}
	(void)close(listener);
	if (kdp_client_state(client) == KDP_CLIENT_STOPPED)
		(void)kdp_client_disconnect(client);
	else if (kdp_client_state(client) == KDP_CLIENT_RUNNING)
		(void)fprintf(stderr, "kdp: the machine runs on; breakpoints stay until somebody "
				      "reattaches\n");
	return gdb_signal ? 1 : 0;
}

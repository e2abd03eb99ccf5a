/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/qemu/tcp6.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/stack/content.h"
#include "tools/stack/stack_lwip.h"

#define CHUNK	  65536u
#define TIMEOUT_S 20
#define SEED	  0x6666u
#define VERDICT	  "ok"

struct tcp6 {
	bool upload;
	uint64_t bytes;
	/* the host's side */
	int listener;
	pthread_t thread;
	bool good;
	/* the guest's side */
	struct tcp_pcb *pcb; /* NULL: lwIP has freed it */
	struct content content;
	uint64_t done;
	uint32_t staged, stage_at;
	bool over;
	uint8_t stage[CHUNK];
};

/* ---- the host's side ---- */

static bool tcp6_host_send(int fd, uint64_t bytes)
{
	struct content c;
	uint8_t buf[CHUNK];

	content_init(&c, SEED);
	while (bytes) {
		size_t n = bytes < CHUNK ? (size_t)bytes : CHUNK;

		content_make(&c, buf, n);
		for (size_t at = 0; at < n;) {
			ssize_t put = send(fd, buf + at, n - at, MSG_NOSIGNAL);

			if (put <= 0)
				return false;
			at += (size_t)put;
		}
		bytes -= n;
	}
	return true;
}

static bool tcp6_host_receive(int fd, uint64_t bytes)
{
	struct content c;
	uint8_t buf[CHUNK];

	content_init(&c, SEED);
	while (bytes) {
		ssize_t n = recv(fd, buf, bytes < CHUNK ? (size_t)bytes : CHUNK, 0);

		if (n <= 0 || !content_check(&c, buf, (size_t)n))
			return false;
		bytes -= (uint64_t)n;
	}
	return send(fd, VERDICT, strlen(VERDICT), MSG_NOSIGNAL) > 0;
}

static void *tcp6_host(void *arg)
{
	struct tcp6 *t = arg;
	const struct timeval limit = {.tv_sec = TIMEOUT_S};
	int fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
	uint8_t rest[16];

	if (fd < 0)
		return NULL;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	t->good = t->upload ? tcp6_host_receive(fd, t->bytes) : tcp6_host_send(fd, t->bytes);
	(void)shutdown(fd, SHUT_WR);
	while (recv(fd, rest, sizeof(rest), 0) > 0)
		;
	(void)close(fd);
	return NULL;
}

static uint16_t tcp6_listen(struct tcp6 *t, const char *host)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6};
	const struct timeval limit = {.tv_sec = TIMEOUT_S};
	socklen_t len = sizeof(at);

	t->listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(t->listener >= 0);
	assert_int_equal(inet_pton(AF_INET6, host, &at.sin6_addr), 1);
	(void)setsockopt(t->listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (bind(t->listener, (struct sockaddr *)&at, sizeof(at)) || listen(t->listener, 1))
		fail_msg("cannot listen on %s: %s", host, strerror(errno));
	assert_int_equal(getsockname(t->listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(pthread_create(&t->thread, NULL, tcp6_host, t), 0);
	return ntohs(at.sin6_port);
}

/* ---- the guest's side ---- */

static void tcp6_feed(struct tcp6 *t)
{
	while (t->done < t->bytes || t->stage_at < t->staged) {
		uint32_t n;

		if (t->stage_at == t->staged) {
			t->staged =
				t->bytes - t->done < CHUNK ? (uint32_t)(t->bytes - t->done) : CHUNK;
			t->stage_at = 0;
			content_make(&t->content, t->stage, t->staged);
			t->done += t->staged;
		}
		n = t->staged - t->stage_at;
		if (n > tcp_sndbuf(t->pcb))
			n = tcp_sndbuf(t->pcb);
		if (n == 0 || tcp_write(t->pcb, t->stage + t->stage_at, (u16_t)n,
					TCP_WRITE_FLAG_COPY | TCP_WRITE_FLAG_MORE) != ERR_OK)
			return;
		t->stage_at += n;
	}
}

static err_t tcp6_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct tcp6 *t = arg;

	(void)err;
	if (t->upload)
		tcp6_feed(t);
	return tcp_output(pcb);
}

static err_t tcp6_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
	(void)pcb;
	(void)len;
	if (((struct tcp6 *)arg)->upload)
		tcp6_feed(arg);
	return ERR_OK;
}

static err_t tcp6_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct tcp6 *t = arg;

	(void)err;
	if (!p) {
		t->over = true;
		return ERR_OK;
	}
	for (const struct pbuf *q = p; q && !t->upload; q = q->next) {
		(void)content_check(&t->content, q->payload, q->len);
		t->done += q->len;
	}
	t->over |= t->upload || t->done >= t->bytes;
	tcp_recved(pcb, p->tot_len);
	(void)pbuf_free(p);
	return ERR_OK;
}

static void tcp6_error(void *arg, err_t err)
{
	struct tcp6 *t = arg;

	(void)err;
	t->pcb = NULL;
	t->over = true;
}

static bool tcp6_over(void *arg)
{
	return ((struct tcp6 *)arg)->over;
}

static bool tcp6_connect(struct tcp6 *t, const char *host, uint16_t port)
{
	ip_addr_t to = IPADDR6_INIT(0, 0, 0, 0);

	if (!ip6addr_aton(host, ip_2_ip6(&to)))
		return false;
	t->pcb = tcp_new_ip_type(IPADDR_TYPE_V6);
	if (!t->pcb)
		return false;
	tcp_arg(t->pcb, t);
	tcp_recv(t->pcb, tcp6_received);
	tcp_sent(t->pcb, tcp6_sent);
	tcp_err(t->pcb, tcp6_error);
	return tcp_connect(t->pcb, &to, port, tcp6_connected) == ERR_OK;
}

void tcp6_address(struct full *g, const char *guest)
{
	struct netif *netif = netif_vio_netif(g->stack.nv);
	ip6_addr_t addr;
	s8_t at = -1;

	assert_int_equal(ip6addr_aton(guest, &addr), 1);
	stack_lock();
	netif_create_ip6_linklocal_address(netif, 1);
	netif_ip6_addr_set_state(netif, 0, IP6_ADDR_PREFERRED);
	if (netif_add_ip6_address(netif, &addr, &at) == ERR_OK && at >= 0)
		netif_ip6_addr_set_state(netif, at, IP6_ADDR_PREFERRED);
	stack_unlock();
	assert_true(at >= 0);
}

void tcp6_transfer(struct full *g, const char *host, bool upload, uint64_t bytes)
{
	struct tcp6 *t = calloc(1, sizeof(*t));
	bool opened, alive;
	uint16_t port;

	assert_non_null(t);
	t->upload = upload;
	t->bytes = bytes;
	content_init(&t->content, SEED);
	port = tcp6_listen(t, host);
	stack_lock();
	opened = tcp6_connect(t, host, port);
	stack_unlock();
	assert_true(opened);
	full_ok(g, stack_run(&g->stack, tcp6_over, t, full_deadline()));
	stack_lock();
	alive = t->pcb != NULL;
	if (alive) {
		tcp_arg(t->pcb, NULL);
		tcp_recv(t->pcb, NULL);
		tcp_sent(t->pcb, NULL);
		tcp_err(t->pcb, NULL);
		if (tcp_close(t->pcb) != ERR_OK)
			tcp_abort(t->pcb);
	}
	stack_unlock();
	(void)stack_run(&g->stack, NULL, NULL, stack_now() + 2 * STACK_NAP_US);
	(void)shutdown(t->listener, SHUT_RDWR);
	(void)pthread_join(t->thread, NULL);
	(void)close(t->listener);
	assert_true(alive);
	assert_true(t->good);
	assert_int_equal(t->done, bytes);
	assert_int_equal(t->content.wrong, CONTENT_GOOD);
	free(t);
}

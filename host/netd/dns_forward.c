/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/dns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLV_MAX	65536u
#define RESOLV_CHECK_MS 1000u
#define TICK_MS		100u
#define READS_MAX	8u /* datagrams of one socket at one time; spoofed ones among them */
#define ANSWER_MAX	65535u
#define PENDING_NONE	UINT32_MAX

struct dns_pending {
	uv_poll_t poll;
	struct dns_forward *f;
	uint32_t next; /* in the free list */
	bool waits;
	int fd;
	struct dns_asker asker;
	bool edns, dnssec;
	unsigned server, tries;
	uint64_t started, deadline;
	size_t len, question_end;
	uint8_t query[DNS_QUERY_MAX];
};

struct dns_forward {
	struct dns_forward_params p;
	uv_timer_t timer;
	unsigned handles; /* that have not closed yet */
	bool closing;
	unsigned waiting;
	uint32_t free;
	const void *port[DNS_PENDING_MAX]; /* of those that wait; else NULL */
	struct sockaddr_storage servers[NETDEF_DNS_MAX];
	unsigned nservers;
	uint64_t checked; /* resolv.conf; 0: never */
	struct stat seen;
	struct dns_pending pending[DNS_PENDING_MAX];
	uint8_t buf[ANSWER_MAX];
};

static void dns_retry(struct dns_pending *p);

/* ---- servers ---- */

/* Our own address as a server: it would be asked through us. */
static bool dns_is_us(const struct netdef *def, const struct sockaddr_storage *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;

	if (a->ss_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) == def->gateway;
	return !memcmp(&in6->sin6_addr, def->prefix6, 8) && def->prefix6[0];
}

static void dns_server_add(struct dns_forward *f, const char *text, uint16_t port)
{
	struct sockaddr_storage a = {.ss_family = AF_UNSPEC};

	if (f->nservers == NETDEF_DNS_MAX)
		return;
	if (!port)
		port = DNS_PORT;
	if (uv_ip4_addr(text, port, (struct sockaddr_in *)&a) &&
	    uv_ip6_addr(text, port, (struct sockaddr_in6 *)&a))
		return;
	if (!dns_is_us(f->p.def, &a))
		f->servers[f->nservers++] = a;
}

static void dns_resolv_line(struct dns_forward *f, char *line)
{
	char *save, *word = strtok_r(line, " \t\r", &save);

	if (word && !strcmp(word, "nameserver") && (word = strtok_r(NULL, " \t\r", &save)))
		dns_server_add(f, word, 0);
}

static void dns_resolv_read(struct dns_forward *f)
{
	char *text = malloc(RESOLV_MAX + 1), *save, *line;
	int fd = open(f->p.resolv_conf, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = -1;

	if (fd >= 0 && text)
		n = read(fd, text, RESOLV_MAX);
	if (fd >= 0)
		(void)close(fd);
	if (n >= 0) {
		text[n] = 0;
		f->nservers = 0;
		for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			dns_resolv_line(f, line);
	}
	free(text);
}

/* Whether there is anybody to ask. */
static bool dns_servers(struct dns_forward *f)
{
	uint64_t now = uv_now(f->p.loop);
	struct stat st;

	if (f->p.def->nupstream || (f->checked && now - f->checked < RESOLV_CHECK_MS))
		return f->nservers > 0;
	f->checked = now ? now : 1;
	if (stat(f->p.resolv_conf, &st)) {
		f->nservers = 0;
		memset(&f->seen, 0, sizeof(f->seen));
	} else if (st.st_ino != f->seen.st_ino || st.st_dev != f->seen.st_dev ||
		   st.st_size != f->seen.st_size || st.st_mtim.tv_sec != f->seen.st_mtim.tv_sec ||
		   st.st_mtim.tv_nsec != f->seen.st_mtim.tv_nsec) {
		f->seen = st;
		dns_resolv_read(f);
	}
	return f->nservers > 0;
}

/* ---- questions under way ---- */

static void dns_freed(struct dns_forward *f)
{
	if (--f->handles == 0 && f->closing)
		free(f);
}

static void dns_pending_closed(uv_handle_t *handle)
{
	struct dns_pending *p = handle->data;
	struct dns_forward *f = p->f;

	p->next = f->free;
	f->free = (uint32_t)(p - f->pending);
	dns_freed(f);
}

/* The entry is used again when libuv has let go of it. */
static void dns_pending_end(struct dns_pending *p)
{
	struct dns_forward *f = p->f;

	p->waits = false;
	f->port[p - f->pending] = NULL;
	if (--f->waiting == 0 && !f->closing)
		(void)uv_timer_stop(&f->timer);
	(void)uv_poll_stop(&p->poll);
	(void)close(p->fd);
	uv_close((uv_handle_t *)&p->poll, dns_pending_closed);
}

static void dns_tell(struct dns_forward *f, const struct dns_pending *p, enum dns_rcode rcode)
{
	const struct dns_query q = {
		.whole = span_of(p->query, p->len),
		.id = p->asker.id,
		.flags = (uint16_t)(p->query[2] << 8 | p->query[3]),
		.question_end = p->question_end,
		.edns = p->edns,
		.dnssec = p->dnssec,
	};
	uint8_t out[DNS_LOCAL_MAX];
	size_t n = dns_error(&q, rcode, out);

	f->p.stats->failed++;
	f->p.answer(f->p.arg, &p->asker, span_of(out, n));
}

/* True: it was the answer, and p is over. */
static bool dns_take_answer(struct dns_pending *p, size_t n)
{
	struct dns_forward *f = p->f;
	unsigned rcode;
	size_t len;

	if (!dns_answers(span_of(p->query, p->len), p->question_end, span_of(f->buf, n))) {
		f->p.stats->spoofed++;
		return false;
	}
	rcode = f->buf[3] & 0xfu;
	if ((rcode == DNS_SERVFAIL || rcode == DNS_REFUSED) && p->tries < f->nservers) {
		dns_retry(p);
		return true;
	}
	ip_put16(f->buf, p->asker.id);
	len = dns_fit(f->buf, n, p->question_end, p->asker.limit, p->edns, p->dnssec);
	f->p.stats->answered++;
	dns_pending_end(p);
	f->p.answer(f->p.arg, &p->asker, span_of(f->buf, len));
	return true;
}

static void dns_readable(uv_poll_t *poll, int status, int events)
{
	struct dns_pending *p = poll->data;
	struct dns_forward *f = p->f;

	(void)events;
	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(p->fd, f->buf, sizeof(f->buf), MSG_DONTWAIT);

		if (n >= 0) {
			if (dns_take_answer(p, (size_t)n))
				return;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
			break;
		} else { /* refused: nobody listens there */
			dns_retry(p);
			return;
		}
	}
	if (status < 0)
		dns_retry(p);
}

static int dns_socket(const struct sockaddr_storage *server)
{
	socklen_t len = server->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						      : sizeof(struct sockaddr_in);
	int fd = socket(server->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)server, len)) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

static uint16_t dns_random_id(void)
{
	uint16_t id;

	while (getrandom(&id, sizeof(id), 0) != sizeof(id)) /* 2 bytes are never cut short */
		;
	return id;
}

static void dns_on_timer(uv_timer_t *timer)
{
	struct dns_forward *f = timer->data;
	uint64_t now = uv_now(f->p.loop);

	for (unsigned i = 0; i < DNS_PENDING_MAX; i++)
		if (f->pending[i].waits && now >= f->pending[i].deadline)
			dns_retry(&f->pending[i]);
}

/*
 * Sends the question of `from` to its next server, from a fresh entry and socket; tries as many as
 * cannot be reached at all. False: nobody, or no room.
 */
static bool dns_send(struct dns_forward *f, const struct dns_pending *from)
{
	uint64_t now = uv_now(f->p.loop), left = from->started + DNS_TOTAL_MS - now;
	struct dns_pending *p;

	if (f->free == PENDING_NONE || now - from->started >= DNS_TOTAL_MS)
		return false;
	p = &f->pending[f->free];
	for (unsigned i = 0; i < f->nservers; i++) {
		unsigned server = (from->server + i) % f->nservers;
		int fd = dns_socket(&f->servers[server]);

		ip_put16(p->query, dns_random_id());
		memcpy(p->query + 2, from->query + 2, from->len - 2);
		if (fd >= 0 && send(fd, p->query, from->len, 0) != (ssize_t)from->len) {
			(void)close(fd);
			fd = -1;
		}
		if (fd < 0)
			continue;
		if (uv_poll_init(f->p.loop, &p->poll, fd)) {
			(void)close(fd);
			return false;
		}
		f->free = p->next;
		f->handles++;
		f->waiting++;
		f->port[p - f->pending] = from->asker.port;
		p->poll.data = p;
		p->f = f;
		p->waits = true;
		p->fd = fd;
		p->asker = from->asker;
		p->edns = from->edns;
		p->dnssec = from->dnssec;
		p->server = server;
		p->tries = from->tries + 1;
		p->started = from->started;
		p->deadline = now + (left < DNS_TRY_MS ? left : DNS_TRY_MS);
		p->len = from->len;
		p->question_end = from->question_end;
		(void)uv_poll_start(&p->poll, UV_READABLE, dns_readable);
		if (!uv_is_active((uv_handle_t *)&f->timer))
			(void)uv_timer_start(&f->timer, dns_on_timer, TICK_MS, TICK_MS);
		return true;
	}
	return false;
}

/* The server did not answer, or not well: the next one, as long as there is time. */
static void dns_retry(struct dns_pending *p)
{
	struct dns_forward *f = p->f;
	bool again;

	f->p.stats->retried++;
	p->server = f->nservers ? (p->server + 1) % f->nservers : 0;
	/* Everybody was asked and refused at once: no use in asking faster than they answer. */
	again = p->tries < 2 * NETDEF_DNS_MAX && dns_send(f, p);
	dns_pending_end(p);
	if (!again)
		dns_tell(f, p, DNS_SERVFAIL);
}

static bool dns_same_asker(const struct dns_asker *a, const struct dns_asker *b)
{
	return a->id == b->id && a->from.port == b->from.port && a->from.v6 == b->from.v6 &&
	       !memcmp(a->from.addr, b->from.addr, sizeof(a->from.addr));
}

void dns_forward_ask(struct dns_forward *f, const struct dns_asker *asker,
		     const struct dns_query *q)
{
	struct dns_pending from = {.asker = *asker, .edns = q->edns, .dnssec = q->dnssec};
	unsigned its = 0;

	from.len = q->whole.len;
	from.question_end = q->question_end;
	from.started = uv_now(f->p.loop);
	for (unsigned i = 0; i < DNS_PENDING_MAX; i++) {
		if (f->port[i] != asker->port)
			continue;
		/* It is impatient; so are we, and have asked again already. */
		if (dns_same_asker(&f->pending[i].asker, asker))
			return;
		its++;
	}
	if (its >= DNS_MEMBER_MAX || f->free == PENDING_NONE || q->whole.len > sizeof(from.query)) {
		f->p.stats->dropped++;
		return;
	}
	memcpy(from.query, q->whole.data, q->whole.len);
	if (!dns_servers(f) || !dns_send(f, &from))
		dns_tell(f, &from, DNS_SERVFAIL);
	else
		f->p.stats->forwarded++;
}

unsigned dns_forward_pending(const struct dns_forward *f)
{
	return f->waiting;
}

/* ---- life ---- */

struct dns_forward *dns_forward_open(const struct dns_forward_params *params)
{
	struct dns_forward *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->p = *params;
	if (!f->p.resolv_conf)
		f->p.resolv_conf = "/etc/resolv.conf";
	for (uint32_t i = 0; i < DNS_PENDING_MAX; i++)
		f->pending[i].next = i + 1 < DNS_PENDING_MAX ? i + 1 : PENDING_NONE;
	for (unsigned i = 0; i < params->def->nupstream; i++)
		dns_server_add(f, params->def->upstream[i].address, params->def->upstream[i].port);
	(void)uv_timer_init(params->loop, &f->timer);
	f->timer.data = f;
	f->handles = 1;
	return f;
}

static void dns_timer_closed(uv_handle_t *handle)
{
	dns_freed(handle->data);
}

void dns_forward_close(struct dns_forward *f)
{
	if (!f)
		return;
	f->closing = true;
	for (unsigned i = 0; i < DNS_PENDING_MAX; i++)
		if (f->pending[i].waits)
			dns_pending_end(&f->pending[i]);
	uv_close((uv_handle_t *)&f->timer, dns_timer_closed);
}

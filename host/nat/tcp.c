/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/tcp_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEMORY	   ((size_t)TCP_FLOWS * TCP_RING * 2)
#define GIVE_BACK  (64u << 10) /* a flow that carried more has pages worth giving back */
#define OPT_END	   0u
#define OPT_NOP	   1u
#define OPT_MSS	   2u
#define OPT_SCALE  3u
#define OPT_SACK   4u /* permitted */
#define SCALE_MAX  14u
#define MSS_LEAST  88u
#define MSS_USUAL4 536u
#define MSS_USUAL6 1220u

/* ---- places ---- */

bool tcp_open(struct tcp *t)
{
	void *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	t->memory = memory;
	t->flow = calloc(TCP_FLOWS, sizeof(*t->flow));
	if (!t->flow) {
		tcp_close(t);
		return false;
	}
	for (unsigned i = 0; i < TCP_FLOWS; i++) {
		t->flow[i].fd = -1;
		t->flow[i].chain = i + 1 < TCP_FLOWS ? (uint16_t)(i + 1) : TCP_NONE;
		t->flow[i].in.data = t->memory + (size_t)i * TCP_RING * 2;
		t->flow[i].out.data = t->flow[i].in.data + TCP_RING;
	}
	memset(t->head, 0xff, sizeof(t->head));
	t->free = 0;
	t->nactive = t->ndirty = 0;
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed))
		t->seed = (uint32_t)(uintptr_t)memory;
	return true;
}

void tcp_close(struct tcp *t)
{
	if (t->flow)
		for (unsigned i = 0; i < t->nactive; i++)
			close(t->flow[t->active[i]].fd);
	free(t->flow);
	t->flow = NULL;
	t->nactive = 0;
	if (t->memory)
		munmap(t->memory, MEMORY);
	t->memory = NULL;
}

static uint16_t *bucket(struct tcp *t, const struct flow_key *key)
{
	uint32_t h = t->seed ^ ((uint32_t)key->member_port << 16 | key->peer_port), w;

	for (unsigned i = 0; i < 16; i += 4) {
		memcpy(&w, key->member + i, 4);
		h = (h ^ w) * 0x9e3779b1u;
		memcpy(&w, key->peer + i, 4);
		h = (h ^ w ^ h >> 15) * 0x85ebca6bu;
	}
	return &t->head[(h ^ h >> 16) % TCP_HEADS];
}

static struct tcp_flow *find(struct tcp *t, const struct flow_key *key)
{
	uint16_t i;

	if (t->gather && !memcmp(&t->gather->key, key, sizeof(*key)))
		return t->gather;
	for (i = *bucket(t, key); i != TCP_NONE; i = t->flow[i].chain)
		if (!memcmp(&t->flow[i].key, key, sizeof(*key)))
			return &t->flow[i];
	return NULL;
}

static uint16_t number(const struct tcp *t, const struct tcp_flow *f)
{
	return (uint16_t)(f - t->flow);
}

struct tcp_flow *tcp_take(struct tcp *t, const struct flow_key *key)
{
	struct tcp_ring in, out;
	struct tcp_flow *f;
	uint16_t *head;

	if (t->free == TCP_NONE)
		return NULL;
	f = &t->flow[t->free];
	t->free = f->chain;
	in = f->in;
	out = f->out;
	in.head = in.used = out.head = out.used = 0;
	head = bucket(t, key);
	*f = (struct tcp_flow){
		.key = *key,
		.chain = *head,
		.place = (uint16_t)t->nactive,
		.polled = TCP_NONE,
		.fd = -1,
		.heard = t->now,
		.in = in,
		.out = out,
	};
	*head = number(t, f);
	t->active[t->nactive++] = number(t, f);
	return f;
}

void tcp_free(struct tcp *t, struct tcp_flow *f)
{
	uint16_t *link = bucket(t, &f->key), i = number(t, f);

	if (t->gather == f) {
		t->gather = NULL;
		t->ngather = t->gathered = 0;
	}
	while (*link != i)
		link = &t->flow[*link].chain;
	*link = f->chain;
	t->active[f->place] = t->active[--t->nactive];
	t->flow[t->active[f->place]].place = f->place;
	if (f->dirty) {
		unsigned k = 0;

		while (t->dirty[k] != i)
			k++;
		t->dirty[k] = t->dirty[--t->ndirty];
	}
	if (f->fd >= 0)
		close(f->fd);
	if (f->carried > GIVE_BACK)
		madvise(f->in.data, (size_t)TCP_RING * 2, MADV_DONTNEED);
	f->state = TCP_UNUSED;
	f->dirty = false;
	f->fd = -1;
	f->chain = t->free;
	t->free = i;
}

void tcp_abort(struct tcp *t, struct tcp_flow *f, bool tell)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	if (tell)
		tcp_send_rst(t, f);
	/* An unfinished connection that is dissolved sends RST. */
	if (connect(f->fd, &nobody, sizeof(nobody)))
		shutdown(f->fd, SHUT_RDWR);
	tcp_free(t, f);
}

void tcp_mark(struct tcp *t, struct tcp_flow *f)
{
	if (f->dirty)
		return;
	f->dirty = true;
	t->dirty[t->ndirty++] = number(t, f);
}

bool tcp_done(const struct tcp_flow *f)
{
	return f->shut && f->fin_acked;
}

/* ---- the member opens one ---- */

void tcp_look(const struct tcp *t, const struct packet *p, struct tcp_syn *syn)
{
	const uint8_t *ip = p->frame + p->l3, *tcp = p->frame + p->l4;
	uint32_t len = p->len - p->l4, off, at;

	*syn = (struct tcp_syn){.mss = p->v6 ? MSS_USUAL6 : MSS_USUAL4};
	if (t->off || p->proto != NAT_TCP_P || len < NAT_TCP)
		return;
	syn->ours = p->v6 ? memcmp(ip + 24, t->config->prefix6, 8) != 0
			  : (nat_be32(ip + 16) & t->config->netmask) != t->config->subnet;
	if (!(tcp[13] & NAT_SYN))
		return;
	off = (uint32_t)(tcp[12] >> 4) * 4;
	if (off > len)
		return;
	for (at = NAT_TCP; at < off && tcp[at] != OPT_END;) {
		uint32_t left = off - at, n = left > 1 ? tcp[at + 1] : 0;

		if (tcp[at] == OPT_NOP) {
			at++;
			continue;
		}
		if (n < 2 || n > left)
			return;
		if (tcp[at] == OPT_MSS && n == 4)
			syn->mss = nat_be16(tcp + at + 2);
		if (tcp[at] == OPT_SACK && n == 2)
			syn->sack = true;
		if (tcp[at] == OPT_SCALE && n == 3) {
			syn->scale = true;
			syn->shift = tcp[at + 2] > SCALE_MAX ? SCALE_MAX : tcp[at + 2];
		}
		at += n;
	}
}

/* A socket that is being connected, or -1. */
static int dial(const struct packet *p)
{
	const uint8_t *ip = p->frame + p->l3, *port = p->frame + p->l4 + 2;
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
	struct sockaddr_in to4 = {.sin_family = AF_INET};
	const struct sockaddr *to = p->v6 ? (struct sockaddr *)&to6 : (struct sockaddr *)&to4;
	const int on = 1;
	int fd = socket(p->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	memcpy(&to6.sin6_addr, ip + 24, p->v6 ? 16 : 0);
	memcpy(&to6.sin6_port, port, 2);
	memcpy(&to4.sin_addr, ip + 16, 4);
	memcpy(&to4.sin_port, port, 2);
	/* When to wait for more is the member's own decision. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, to, p->v6 ? sizeof(to6) : sizeof(to4)) && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* Places that this member has. */
static unsigned held(const struct tcp *t, const struct flow_key *key)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->nactive; i++)
		n += !memcmp(t->flow[t->active[i]].key.member, key->member, sizeof(key->member));
	return n;
}

static bool open_flow(struct tcp *t, const struct packet *p, const struct tcp_syn *syn,
		      const struct flow_key *key)
{
	uint32_t room = t->config->mtu - (p->v6 ? NAT_IP6 : NAT_IP4) - NAT_TCP, iss;
	const uint8_t *tcp = p->frame + p->l4;
	struct tcp_flow *f;
	int fd;

	if (t->free == TCP_NONE || held(t, key) >= TCP_SHARE)
		return false;
	if (getrandom(&iss, sizeof(iss), GRND_NONBLOCK) != sizeof(iss))
		return false;
	fd = dial(p);
	/* Whatever that was, libslirp meets it too and knows what to say. */
	if (fd < 0)
		return false;
	f = tcp_take(t, key);
	f->state = TCP_CONNECTING;
	f->fd = fd;
	f->v6 = p->v6;
	memcpy(f->mac, p->frame + 6, 6);
	f->rcv_nxt = nat_be32(tcp + 4) + 1;
	f->rcv_scale = syn->scale ? TCP_SCALE : 0;
	f->snd_scale = syn->shift;
	f->sack = syn->sack;
	f->window = syn->scale ? TCP_RING : UINT16_MAX;
	f->mss = syn->mss < MSS_LEAST ? MSS_LEAST : syn->mss;
	if (f->mss > room)
		f->mss = (uint16_t)room;
	f->snd_una = f->snd_nxt = f->snd_max = iss;
	f->snd_wnd = nat_be16(tcp + 14);
	f->cwnd = TCP_RING;
	tcp_prepare(t, f);
	return true;
}

bool tcp_input(struct tcp *t, const struct packet *p, const struct tcp_syn *syn)
{
	const uint8_t *ip = p->frame + p->l3, *tcp = p->frame + p->l4;
	struct flow_key key;
	struct tcp_flow *f;

	if (!syn->ours)
		return false;
	key = flow_key(ip + (p->v6 ? 8 : 12), nat_be16(tcp), ip + (p->v6 ? 24 : 16),
		       nat_be16(tcp + 2), p->v6);
	f = find(t, &key);
	if (f) {
		tcp_segment(t, f, p);
		return true;
	}
	if ((tcp[13] & (NAT_SYN | NAT_ACK | NAT_RST)) != NAT_SYN)
		return false;
	return open_flow(t, p, syn, &key);
}

void tcp_end(struct tcp *t)
{
	uint16_t again[TCP_FLOWS];
	unsigned n = 0;

	tcp_write(t);
	while (t->ndirty) {
		struct tcp_flow *f = &t->flow[t->dirty[--t->ndirty]];

		f->dirty = false;
		if (f->state != TCP_OPEN)
			continue;
		if (f->readable && !tcp_read(t, f))
			continue;
		tcp_push(t, f);
		if (f->ack_due)
			tcp_send_ack(t, f, f->snd_nxt);
		if (tcp_done(f))
			tcp_free(t, f);
		else if (f->ack_due || f->stalled)
			again[n++] = number(t, f); /* the daemon has no room just now */
	}
	while (n)
		tcp_mark(t, &t->flow[again[--n]]);
}

/* ---- the host's side ---- */

void tcp_fill(struct tcp *t, struct pollfd *fds, unsigned *n, int *timeout_ms, bool hold)
{
	/* What had no room may have it now. */
	if (t->ndirty && !hold)
		*timeout_ms = 0;
	for (unsigned i = 0; i < t->nactive; i++) {
		struct tcp_flow *f = &t->flow[t->active[i]];
		short events = 0;

		if (f->timeout && (*timeout_ms < 0 || *timeout_ms > TCP_TICK_MS))
			*timeout_ms = TCP_TICK_MS;
		if (f->state == TCP_CONNECTING || f->out.used)
			events |= POLLOUT;
		if (f->state == TCP_OPEN && !hold && !f->host_fin && tcp_ring_room(&f->in))
			events |= POLLIN;
		f->polled = TCP_NONE;
		if (!events)
			continue;
		f->polled = (uint16_t)*n;
		fds[(*n)++] = (struct pollfd){.fd = f->fd, .events = events};
	}
}

static void connected(struct tcp *t, struct tcp_flow *f)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		tcp_abort(t, f, true);
		return;
	}
	f->state = TCP_OPEN;
	f->snd_nxt = f->snd_max = f->snd_una + 1;
	f->rcv_told = tcp_edge(t, f);
	f->timeout = t->now + TCP_RTO_MS;
	tcp_send_syn(t, f);
}

static void ready(struct tcp *t, struct tcp_flow *f, short events)
{
	if (f->state == TCP_CONNECTING) {
		connected(t, f);
		return;
	}
	if (f->out.used && events & (POLLOUT | POLLERR | POLLHUP) && !tcp_drain(t, f))
		return;
	if (events & (POLLIN | POLLERR | POLLHUP) && !f->host_fin) {
		f->readable = true;
		tcp_mark(t, f);
	}
}

void tcp_poll(struct tcp *t, const struct pollfd *fds)
{
	/* From the end: a flow that goes is replaced by the last, which was looked at already. */
	for (unsigned i = t->nactive; i-- > 0;) {
		struct tcp_flow *f = &t->flow[t->active[i]];
		uint16_t polled = f->polled;

		f->polled = TCP_NONE;
		if (polled != TCP_NONE && fds[polled].revents)
			ready(t, f, fds[polled].revents);
	}
	tcp_end(t);
}

static void idle(struct tcp *t, struct tcp_flow *f)
{
	int64_t silent = t->now - f->heard - TCP_IDLE_MS;

	if (silent < (int64_t)f->probes * TCP_PROBE_MS || f->state != TCP_OPEN)
		return;
	if (f->probes++ == TCP_PROBES)
		tcp_abort(t, f, true);
	else
		tcp_send_ack(t, f, f->snd_una - 1);
}

void tcp_tick(struct tcp *t, int64_t now_ms)
{
	t->now = now_ms;
	if (now_ms - t->ticked < TCP_TICK_MS)
		return;
	t->ticked = now_ms;
	for (unsigned i = t->nactive; i-- > 0;) {
		struct tcp_flow *f = &t->flow[t->active[i]];

		if (f->timeout && now_ms >= f->timeout)
			tcp_late(t, f);
		else if (!f->timeout)
			idle(t, f);
	}
}

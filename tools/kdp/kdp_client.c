/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/kdp/kdp_client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/span.h"

/* Some debuggers read no more at once, so kernels have been asked for that most of the time. */
#define CLIENT_CHUNK	512u
#define CLIENT_GREETING "viokit kdp"

struct kdp_client {
	int fd;
	uint16_t local_port, port;
	char host[80];
	uint32_t key;
	unsigned timeout_ms;
	enum kdp_client_state state;
	uint8_t seq;
	uint32_t cpus_mask;
	bool have_exception; /* since the resume */
	bool seen;	     /* exception_seq means something */
	uint8_t exception_seq;
	struct kdp_client_exception exception;
	uint8_t in[KDP_PACKET_MAX + 1];
	size_t in_len;
	char error[200];
};

const char *const kdp_client_reg_names[KDP_CLIENT_REGS] = {
	"rax", "rbx", "rcx", "rdx", "rdi", "rsi", "rbp",    "rsp", "r8", "r9", "r10",
	"r11", "r12", "r13", "r14", "r15", "rip", "rflags", "cs",  "fs", "gs",
};

__attribute__((format(printf, 3, 4))) static int client_fail(struct kdp_client *c, int rc,
							     const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->error, sizeof(c->error), fmt, ap);
	va_end(ap);
	return rc;
}

static uint64_t client_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

/* ---- the socket ---- */

struct kdp_client *kdp_client_new(void)
{
	struct kdp_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->fd = -1;
	c->timeout_ms = KDP_CLIENT_TIMEOUT_MS;
	return c;
}

int kdp_client_open(struct kdp_client *c, const char *host, uint16_t port, uint16_t local_port)
{
	const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM};
	struct sockaddr_in here = {.sin_family = AF_INET};
	socklen_t len = sizeof(here);
	struct addrinfo *list = NULL;
	struct sockaddr_in to;
	int rc = getaddrinfo(host, NULL, &hints, &list);

	if (rc)
		return client_fail(c, -EHOSTUNREACH, "%.80s: %s", host, gai_strerror(rc));
	memcpy(&to, list->ai_addr, sizeof(to));
	freeaddrinfo(list);
	c->port = port ? port : (uint16_t)KDP_PORT;
	to.sin_port = htons(c->port);
	(void)snprintf(c->host, sizeof(c->host), "%s", host);
	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	here.sin_port = htons(local_port);
	if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&here, sizeof(here)) != 0) {
		rc = -errno;
		return client_fail(c, rc, "UDP port %u: %s", local_port, strerror(-rc));
	}
	/* Only this machine's packets, and its ICMP errors. */
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    getsockname(c->fd, (struct sockaddr *)&here, &len) != 0) {
		rc = -errno;
		return client_fail(c, rc, "%.80s: %s", host, strerror(-rc));
	}
	c->local_port = ntohs(here.sin_port);
	if (getrandom(&c->key, sizeof(c->key), GRND_NONBLOCK) != sizeof(c->key))
		c->key = (uint32_t)client_now_ms();
	return 0;
}

void kdp_client_free(struct kdp_client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		(void)close(c->fd);
	free(c);
}

void kdp_client_timeout(struct kdp_client *c, unsigned timeout_ms)
{
	c->timeout_ms = timeout_ms;
}

const char *kdp_client_error(const struct kdp_client *c)
{
	return c->error;
}

enum kdp_client_state kdp_client_state(const struct kdp_client *c)
{
	return c->state;
}

int kdp_client_fd(const struct kdp_client *c)
{
	return c->fd;
}

uint16_t kdp_client_local_port(const struct kdp_client *c)
{
	return c->local_port;
}

/* ---- packets ---- */

static void client_send(struct kdp_client *c, uint8_t request, uint8_t seq, uint32_t key,
			const void *body, size_t n)
{
	uint8_t out[KDP_PACKET_MAX];
	struct kdp_hdr hdr = {request, seq, le16_make((uint16_t)(sizeof(hdr) + n)), le32_make(key)};

	memcpy(out, &hdr, sizeof(hdr));
	if (n)
		memcpy(out + sizeof(hdr), body, n);
	/* A packet that is not sent is one that is lost. */
	(void)send(c->fd, out, sizeof(hdr) + n, 0);
}

/* An exception is acknowledged whenever it comes: the kernel repeats it until it hears so. */
static void client_exception(struct kdp_client *c, const struct kdp_hdr *hdr)
{
	struct kdp_exception e;

	if (c->in_len < sizeof(e) || c->state == KDP_CLIENT_OFF)
		return;
	memcpy(&e, c->in, sizeof(e));
	client_send(c, KDP_EXCEPTION | KDP_REPLY, hdr->seq, le32_get(hdr->key), NULL, 0);
	if (c->seen && hdr->seq == c->exception_seq)
		return;
	c->seen = true;
	c->exception_seq = hdr->seq;
	c->exception = (struct kdp_client_exception){le32_get(e.cpu), le32_get(e.exception),
						     le32_get(e.code), le32_get(e.subcode)};
	c->have_exception = true;
	c->state = KDP_CLIENT_STOPPED;
}

/* One packet into c->in until the time is over: 1, and its header. 0: none. Exceptions too. */
static int client_receive(struct kdp_client *c, uint64_t until_ms, struct kdp_hdr *hdr)
{
	for (uint64_t now = client_now_ms();; now = client_now_ms()) {
		struct pollfd p = {c->fd, POLLIN, 0};
		ssize_t n = recv(c->fd, c->in, sizeof(c->in), 0);

		if (n >= (ssize_t)sizeof(*hdr)) {
			c->in_len = (size_t)n;
			memcpy(hdr, c->in, sizeof(*hdr));
			if (le16_get(hdr->len) == c->in_len) {
				if (hdr->request == KDP_EXCEPTION)
					client_exception(c, hdr);
				return 1;
			}
		}
		if (now >= until_ms)
			return 0;
		if (n >= 0)
			continue;
		/* Refused: nobody listens yet; that is no reason to ask at full speed. */
		if (errno != EAGAIN && errno != EINTR)
			(void)poll(NULL, 0, 10);
		else
			(void)poll(&p, 1, (int)(until_ms - now < 1000 ? until_ms - now : 1000));
	}
}

/*
 * Ask until it is answered. The reply is in c->in. A kernel at sequence number 0 does not know the
 * repeated request 255 (it compares with -1): asking as number 0 is the way out then, and harmless,
 * because it is the same request.
 */
static int client_ask(struct kdp_client *c, uint8_t request, const void *body, size_t n)
{
	uint8_t seq = c->seq;
	unsigned tries = seq == 255 ? 2 * KDP_CLIENT_TRIES : KDP_CLIENT_TRIES;
	struct kdp_hdr hdr;

	if (n > KDP_PACKET_MAX - sizeof(hdr))
		return client_fail(c, -EINVAL, "a request of %zu bytes is too long", n);
	for (unsigned try = 0; try < tries; try++) {
		uint64_t until = client_now_ms() + c->timeout_ms;

		if (try == KDP_CLIENT_TRIES)
			seq = 0;
		client_send(c, request, seq, c->key, body, n);
		while (client_receive(c, until, &hdr)) {
			if (hdr.request != (request | KDP_REPLY) || hdr.seq != seq)
				continue;
			c->seq = (uint8_t)(seq + 1);
			return 0;
		}
	}
	return client_fail(c, -ETIMEDOUT,
			   "%s port %u does not answer; is the machine stopped in its debugger?",
			   c->host, c->port);
}

/* A request of the session, when the machine stands still. */
static int client_session(struct kdp_client *c, uint8_t request, const void *body, size_t n,
			  size_t min)
{
	int rc;

	if (c->state == KDP_CLIENT_OFF)
		return client_fail(c, -ENOTCONN, "not connected");
	if (c->state == KDP_CLIENT_RUNNING)
		return client_fail(c, -EBUSY,
				   "the machine is running; KDP can only wait until it stops");
	rc = client_ask(c, request, body, n);
	if (rc == -ETIMEDOUT) {
		c->state = KDP_CLIENT_OFF;
		return client_fail(c, rc,
				   "%s port %u does not answer any more; the session is lost "
				   "(reattach makes another)",
				   c->host, c->port);
	}
	if (!rc && c->in_len < min)
		return client_fail(c, -EPROTO, "the reply to request %u has %zu bytes, not %zu",
				   request, c->in_len, min);
	return rc;
}

static const char *client_kernel_says(uint32_t error)
{
	switch (error) {
	case KDP_ERR_CONNECTED:
		return "another debugger is connected (reattach throws it out)";
	case KDP_ERR_NBYTES:
		return "too many bytes";
	case KDP_ERR_FLAVOR:
		return "no such set of registers";
	case KDP_ERR_ACCESS:
		return "no access";
	case KDP_ERR_BREAKPOINTS:
		return "too many breakpoints";
	case KDP_ERR_NO_BREAKPOINT:
		return "no breakpoint there";
	case KDP_ERR_TRAP_THERE:
		return "a trap is there already";
	default:
		return "unknown error";
	}
}

static uint32_t client_error_word(const struct kdp_client *c)
{
	uint32_t error = 0;

	(void)span_le32(span_of(c->in, c->in_len), sizeof(struct kdp_hdr), &error);
	return error;
}

/* As client_session, for replies with an error in them. */
static int client_checked(struct kdp_client *c, uint8_t request, const void *body, size_t n)
{
	int rc = client_session(c, request, body, n, sizeof(struct kdp_error_reply));

	if (!rc && client_error_word(c))
		rc = client_fail(c, -EPROTO, "the kernel says: %s (%u)",
				 client_kernel_says(client_error_word(c)), client_error_word(c));
	return rc;
}

/* Only the body of a request structure is handed around; the header is client_send's. */
#define BODY(rq)                                                                                   \
	((const uint8_t *)&(rq) + sizeof(struct kdp_hdr)), (sizeof(rq) - sizeof(struct kdp_hdr))

/* ---- the session ---- */

int kdp_client_connect(struct kdp_client *c)
{
	struct {
		be16 reply_port, exception_port;
		char greeting[sizeof(CLIENT_GREETING)];
	} body = {be16_make(c->local_port), be16_make(c->local_port), CLIENT_GREETING};
	int rc;

	c->seq = 0;
	c->state = KDP_CLIENT_OFF;
	c->seen = c->have_exception = false;
	rc = client_ask(c, KDP_CONNECT, &body, sizeof(body));
	if (rc)
		return rc;
	if (c->in_len < sizeof(struct kdp_error_reply))
		return client_fail(c, -EPROTO, "the reply to CONNECT is too short");
	if (client_error_word(c))
		return client_fail(c, client_error_word(c) == KDP_ERR_CONNECTED ? -EBUSY : -EPROTO,
				   "the kernel says: %s", client_kernel_says(client_error_word(c)));
	c->state = KDP_CLIENT_STOPPED;
	c->cpus_mask = 1;
	return 0;
}

int kdp_client_reattach(struct kdp_client *c)
{
	be16 port = be16_make(c->local_port);
	int rc;

	c->seq = 0;
	c->state = KDP_CLIENT_OFF;
	rc = client_ask(c, KDP_REATTACH, &port, sizeof(port));
	return rc ? rc : kdp_client_connect(c);
}

int kdp_client_disconnect(struct kdp_client *c)
{
	int rc = client_session(c, KDP_DISCONNECT, NULL, 0, sizeof(struct kdp_hdr));

	/* Its reply is not repeated: the kernel has left its debugger by then. */
	c->state = KDP_CLIENT_OFF;
	return rc == -ETIMEDOUT ? 0 : rc;
}

int kdp_client_reboot(struct kdp_client *c)
{
	client_send(c, KDP_HOSTREBOOT, c->state == KDP_CLIENT_OFF ? 0 : c->seq, c->key, NULL, 0);
	c->state = KDP_CLIENT_OFF;
	return 0;
}

int kdp_client_get_info(struct kdp_client *c, struct kdp_client_info *info)
{
	struct kdp_version_reply version;
	struct kdp_hostinfo_reply host;
	struct kdp_maxbytes_reply bytes;
	int rc = client_session(c, KDP_VERSION, NULL, 0, sizeof(version));

	*info = (struct kdp_client_info){0};
	if (rc)
		return rc;
	memcpy(&version, c->in, sizeof(version));
	info->version = le32_get(version.version);
	info->feature = le32_get(version.feature);
	rc = client_session(c, KDP_HOSTINFO, NULL, 0, sizeof(host));
	if (rc)
		return rc;
	memcpy(&host, c->in, sizeof(host));
	c->cpus_mask = info->cpus_mask = le32_get(host.cpus_mask);
	info->cpu_type = le32_get(host.cpu_type);
	info->cpu_subtype = le32_get(host.cpu_subtype);
	rc = client_session(c, KDP_MAXBYTES, NULL, 0, sizeof(bytes));
	if (rc)
		return rc;
	memcpy(&bytes, c->in, sizeof(bytes));
	info->max_bytes = le32_get(bytes.max_bytes);
	rc = client_session(c, KDP_KERNELVERSION, NULL, 0, sizeof(struct kdp_hdr));
	if (rc)
		return rc;
	for (size_t i = 0; sizeof(struct kdp_hdr) + i < c->in_len && i < KDP_DATA_MAX; i++) {
		uint8_t ch = c->in[sizeof(struct kdp_hdr) + i];

		if (!ch)
			break;
		info->text[i] = ch >= ' ' && ch < 127 ? (char)ch : '?';
	}
	return 0;
}

int kdp_client_get_region(struct kdp_client *c, struct kdp_client_region *region)
{
	struct kdp_regions_reply r;
	int rc = client_session(c, KDP_REGIONS, NULL, 0, sizeof(r));

	if (rc)
		return rc;
	memcpy(&r, c->in, sizeof(r));
	*region = (struct kdp_client_region){le32_get(r.address), le32_get(r.nbytes),
					     le32_get(r.protection)};
	return 0;
}

/* ---- memory ---- */

static int client_read(struct kdp_client *c, bool phys, uint64_t at, uint8_t *to, size_t n,
		       size_t *got)
{
	*got = 0;
	while (*got < n) {
		size_t part = n - *got < CLIENT_CHUNK ? n - *got : CLIENT_CHUNK, have;
		struct kdp_phys_req rq = {.address = {endian_le64(at + *got)},
					  .nbytes = le32_make((uint32_t)part)};
		size_t len = sizeof(rq) - sizeof(rq.hdr) - (phys ? 0 : sizeof(rq.cpu));
		int rc = client_session(c, phys ? KDP_READPHYSMEM64 : KDP_READMEM64,
					(const uint8_t *)&rq + sizeof(rq.hdr), len,
					sizeof(struct kdp_error_reply));

		if (rc)
			return rc;
		if (client_error_word(c) && client_error_word(c) != KDP_ERR_ACCESS)
			return client_fail(c, -EPROTO, "the kernel says: %s",
					   client_kernel_says(client_error_word(c)));
		have = c->in_len - sizeof(struct kdp_error_reply);
		if (have > part)
			return client_fail(c, -EPROTO, "more memory than was asked for");
		memcpy(to + *got, c->in + sizeof(struct kdp_error_reply), have);
		*got += have;
		if (have < part)
			return client_fail(c, -EFAULT, "no access to memory at %#llx",
					   (unsigned long long)(at + *got));
	}
	return 0;
}

static int client_write(struct kdp_client *c, bool phys, uint64_t at, const uint8_t *from, size_t n)
{
	for (size_t done = 0; done < n;) {
		size_t part = n - done < CLIENT_CHUNK ? n - done : CLIENT_CHUNK;
		struct kdp_phys_req rq = {.address = {endian_le64(at + done)},
					  .nbytes = le32_make((uint32_t)part)};
		size_t len = sizeof(rq) - sizeof(rq.hdr) - (phys ? 0 : sizeof(rq.cpu));
		uint8_t body[sizeof(rq) + CLIENT_CHUNK];
		int rc;

		memcpy(body, (const uint8_t *)&rq + sizeof(rq.hdr), len);
		memcpy(body + len, from + done, part);
		rc = client_checked(c, phys ? KDP_WRITEPHYSMEM64 : KDP_WRITEMEM64, body,
				    len + part);
		if (rc == -EPROTO && client_error_word(c) == KDP_ERR_ACCESS)
			return client_fail(c, -EFAULT, "no access to memory at %#llx",
					   (unsigned long long)(at + done));
		if (rc)
			return rc;
		done += part;
	}
	return 0;
}

int kdp_client_read(struct kdp_client *c, uint64_t at, void *to, size_t n, size_t *got)
{
	return client_read(c, false, at, to, n, got);
}

int kdp_client_write(struct kdp_client *c, uint64_t at, const void *from, size_t n)
{
	return client_write(c, false, at, from, n);
}

int kdp_client_read_phys(struct kdp_client *c, uint64_t at, void *to, size_t n, size_t *got)
{
	return client_read(c, true, at, to, n, got);
}

int kdp_client_write_phys(struct kdp_client *c, uint64_t at, const void *from, size_t n)
{
	return client_write(c, true, at, from, n);
}

/* ---- registers ---- */

int kdp_client_get_regs(struct kdp_client *c, uint64_t regs[KDP_CLIENT_REGS])
{
	struct kdp_regs_req rq = {.flavor = le32_make(KDP_FLAVOR_THREAD64)};
	int rc = client_checked(c, KDP_READREGS, BODY(rq));

	if (rc)
		return rc;
	if (c->in_len != sizeof(struct kdp_error_reply) + sizeof(struct kdp_regs64))
		return client_fail(c, -EPROTO, "%zu bytes of registers", c->in_len);
	for (unsigned i = 0; i < KDP_CLIENT_REGS; i++) {
		le64 v;

		memcpy(&v, c->in + sizeof(struct kdp_error_reply) + 8u * i, sizeof(v));
		regs[i] = le64_get(v);
	}
	return 0;
}

int kdp_client_set_regs(struct kdp_client *c, const uint64_t regs[KDP_CLIENT_REGS])
{
	struct {
		struct kdp_regs_req rq;
		le64 regs[KDP_CLIENT_REGS];
	} all = {.rq = {.flavor = le32_make(KDP_FLAVOR_THREAD64)}};

	for (unsigned i = 0; i < KDP_CLIENT_REGS; i++)
		all.regs[i] = (le64){endian_le64(regs[i])};
	return client_checked(c, KDP_WRITEREGS, BODY(all));
}

/* ---- running ---- */

int kdp_client_break(struct kdp_client *c, uint64_t at)
{
	struct kdp_breakpoint64_req rq = {.address = {endian_le64(at)}};
	uint8_t there = 0;
	size_t got;
	int rc = client_checked(c, KDP_BREAKPOINT64_SET, BODY(rq));

	if (rc)
		return rc;
	rc = kdp_client_read(c, at, &there, 1, &got);
	if (rc == 0 && there == 0xcc)
		return 0;
	if (rc == 0 || rc == -EFAULT) {
		rc = client_checked(c, KDP_BREAKPOINT64_REMOVE, BODY(rq));
		if (rc && rc != -EPROTO)
			return rc;
		return client_fail(c, -EFAULT, "no breakpoint can be set at %#llx",
				   (unsigned long long)at);
	}
	return rc;
}

int kdp_client_clear(struct kdp_client *c, uint64_t at)
{
	struct kdp_breakpoint64_req rq = {.address = {endian_le64(at)}};

	return client_checked(c, KDP_BREAKPOINT64_REMOVE, BODY(rq));
}

/*
 * The reply may be lost, and is not sent again by a machine that runs: no answer is taken for
 * running.
 */
int kdp_client_resume(struct kdp_client *c)
{
	struct kdp_resume_req rq = {.cpus_mask = le32_make(c->cpus_mask)};
	int rc;

	if (c->state != KDP_CLIENT_STOPPED)
		return client_session(c, KDP_RESUMECPUS, NULL, 0, 0);
	c->have_exception = false;
	rc = client_ask(c, KDP_RESUMECPUS, BODY(rq));
	if (rc == -ETIMEDOUT)
		c->seq++;
	else if (rc)
		return rc;
	if (!c->have_exception) /* it may have stopped again already */
		c->state = KDP_CLIENT_RUNNING;
	return 0;
}

int kdp_client_wait(struct kdp_client *c, unsigned timeout_ms, struct kdp_client_exception *e)
{
	uint64_t until = client_now_ms() + timeout_ms;
	struct kdp_hdr hdr;

	if (c->state == KDP_CLIENT_OFF)
		return client_fail(c, -ENOTCONN, "not connected");
	while (c->state == KDP_CLIENT_RUNNING)
		if (!client_receive(c, until, &hdr))
			return 0;
	if (e)
		*e = c->exception;
	return 1;
}

int kdp_client_step(struct kdp_client *c, unsigned timeout_ms, struct kdp_client_exception *e)
{
	uint64_t regs[KDP_CLIENT_REGS] = {0};
	int rc = kdp_client_get_regs(c, regs);

	if (rc)
		return rc;
	regs[KDP_CLIENT_RFLAGS] |= KDP_RFLAGS_TF;
	rc = kdp_client_set_regs(c, regs);
	if (!rc)
		rc = kdp_client_resume(c);
	if (rc)
		return rc;
	rc = kdp_client_wait(c, timeout_ms, e);
	if (rc < 0)
		return rc;
	if (!rc)
		return client_fail(c, -ETIMEDOUT, "the machine did not stop after one instruction");
	rc = kdp_client_get_regs(c, regs);
	if (rc)
		return rc;
	regs[KDP_CLIENT_RFLAGS] &= ~(uint64_t)KDP_RFLAGS_TF;
	return kdp_client_set_regs(c, regs);
}

int kdp_client_raw(struct kdp_client *c, uint8_t request, const void *body, size_t n,
		   uint8_t *reply, size_t *reply_len)
{
	int rc = client_session(c, request, body, n, 0);

	if (rc)
		return rc;
	memcpy(reply, c->in, c->in_len < KDP_PACKET_MAX ? c->in_len : KDP_PACKET_MAX);
	*reply_len = c->in_len;
	return 0;
}

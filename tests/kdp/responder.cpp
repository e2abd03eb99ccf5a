/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/kdp/responder.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct responder *self(void *arg)
{
	return (struct responder *)arg;
}

/* ---- the wire: the UDP payload with made-up headers around it ---- */

static void op_send(void *arg, uint8_t *frame, unsigned len)
{
	struct responder *r = self(arg);
	struct sockaddr_in to = {};

	r->out++;
	if (r->lose_out && r->out % r->lose_out == 0)
		return;
	to.sin_family = AF_INET;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memcpy(&to.sin_port, frame + 36, 2);
	for (unsigned i = r->twice_out && r->out % r->twice_out == 0 ? 2 : 1; i; i--)
		(void)sendto(r->fd, frame + KDP_HEADERS, len - KDP_HEADERS, 0,
			     (struct sockaddr *)&to, sizeof(to));
}

static unsigned op_receive(void *arg, uint8_t *frame, unsigned timeout_ms)
{
	struct responder *r = self(arg);
	struct kdp_peer from = {{2, 0, 0, 0, 0, 2}, {127, 0, 0, 1}};
	struct kdp_peer to = {{2, 0, 0, 0, 0, 1}, {127, 0, 0, 1}};
	struct pollfd p = {r->fd, POLLIN, 0};
	ssize_t n;

	if (poll(&p, 1, (int)timeout_ms) <= 0)
		return 0;
	n = recv(r->fd, frame + KDP_HEADERS, KDP_FRAME_MAX - KDP_HEADERS, MSG_DONTWAIT);
	r->in++;
	if (n < 0 || (r->lose_in && r->in % r->lose_in == 0))
		return 0;
	return kdp_frame_write(frame, (unsigned)n, &from, &to, be16_make(KDP_PORT), 0);
}

static void op_spin(void *, unsigned us)
{
	(void)usleep(us);
}

static bool op_expired(void *arg)
{
	return self(arg)->quit;
}

/* ---- memory and registers ---- */

static size_t inside(uint64_t at, uint64_t base, size_t n)
{
	if (at < base || at - base >= RESPONDER_LEN)
		return 0;
	return RESPONDER_LEN - (at - base) < n ? RESPONDER_LEN - (size_t)(at - base) : n;
}

static size_t op_read(void *arg, uint64_t at, void *to, size_t n)
{
	n = inside(at, RESPONDER_MEM, n);
	if (n)
		memcpy(to, self(arg)->memory + (at - RESPONDER_MEM), n);
	return n;
}

static size_t op_write(void *arg, uint64_t at, const void *from, size_t n)
{
	n = inside(at, RESPONDER_MEM, n);
	if (n)
		memcpy(self(arg)->memory + (at - RESPONDER_MEM), from, n);
	self(arg)->writes++;
	return n;
}

static size_t op_read_phys(void *arg, uint64_t at, void *to, size_t n)
{
	return at < RESPONDER_LEN ? op_read(arg, at + RESPONDER_MEM, to, n) : 0;
}

static size_t op_write_phys(void *arg, uint64_t at, const void *from, size_t n)
{
	return at < RESPONDER_LEN ? op_write(arg, at + RESPONDER_MEM, from, n) : 0;
}

static void op_get(void *arg, struct kdp_regs64 *out)
{
	*out = self(arg)->regs;
}

static void op_set(void *arg, const struct kdp_regs64 *in)
{
	self(arg)->regs = *in;
}

__attribute__((format(printf, 1, 2))) static void op_log(const char *, ...)
{
}

static const struct kdp_ops ops = {op_send, op_receive, op_spin,      op_expired,
				   op_read, op_write,	op_read_phys, op_write_phys,
				   op_get,  op_set,	op_log};

/* ---- the CPU ---- */

/* One instruction; true: it traps. */
static bool responder_step(struct responder *r)
{
	uint64_t rip = le64_get(r->regs.rip);
	bool single = le64_get(r->regs.rflags) & KDP_RFLAGS_TF, trap = single;
	uint8_t code[2] = {0xcc, 0};

	(void)op_read(r, rip, code, 2);
	if (code[0] == 0x90) {
		rip += 1;
	} else if (code[0] == 0xeb) {
		rip += 2 + (uint64_t)(int64_t)(int8_t)code[1];
	} else {
		rip += 1;
		trap = true;
	}
	r->regs.rip = le64_make(rip);
	return trap;
}

static void *responder_run(void *arg)
{
	struct responder *r = self(arg);
	uint8_t junk[64];

	while (!r->quit) {
		bool trap = r->press;

		r->press = false;
		for (unsigned i = 0; i < 100 && !trap; i++)
			trap = responder_step(r);
		if (!trap) {
			(void)usleep(500);
			continue;
		}
		/* What came while it ran went to nobody. */
		while (recv(r->fd, junk, sizeof(junk), MSG_DONTWAIT) >= 0)
			continue;
		r->stops++;
		r->end = kdp_server_stop(&r->server, KDP_EXC_BREAKPOINT, KDP_CODE_BREAKPOINT, 0,
					 r->panic);
	}
	return 0;
}

void responder_start(struct responder *r)
{
	struct sockaddr_in here = {};
	socklen_t len = sizeof(here);
	struct kdp_config config = {};

	memset(r, 0, sizeof(*r));
	config.ops = &ops;
	config.arg = r;
	config.breakpoints = config.access_errors = true;
	config.cpus_mask = 1;
	config.version = "Darwin Kernel Version 13.4.0: a machine of the tests";
	kdp_server_init(&r->server, &config);
	for (unsigned i = 0; i < RESPONDER_LEN; i++)
		r->memory[i] = (uint8_t)(i * 7);
	memset(r->memory + 0x100, 0x90, RESPONDER_LOOP);
	r->memory[0x100 + RESPONDER_LOOP] = 0xeb;
	r->memory[0x101 + RESPONDER_LOOP] = (uint8_t)(256 - RESPONDER_LOOP - 2);
	r->regs.rip = le64_make(RESPONDER_CODE + 3);
	r->regs.rsp = le64_make(RESPONDER_MEM + 0x1000);
	r->regs.rax = le64_make(0x1122334455667788);
	r->regs.rdi = le64_make(0xd1);
	r->regs.rsi = le64_make(0x51);
	r->regs.rflags = le64_make(0x202);
	r->regs.cs = le64_make(8);
	r->press = true;

	r->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	here.sin_family = AF_INET;
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (r->fd < 0 || bind(r->fd, (struct sockaddr *)&here, sizeof(here)) != 0 ||
	    getsockname(r->fd, (struct sockaddr *)&here, &len) != 0) {
		perror("responder: UDP");
		abort();
	}
	r->port = ntohs(here.sin_port);
	if (pthread_create(&r->thread, 0, responder_run, r) != 0)
		abort();
}

void responder_end(struct responder *r)
{
	r->quit = true;
	(void)pthread_join(r->thread, 0);
	(void)close(r->fd);
}

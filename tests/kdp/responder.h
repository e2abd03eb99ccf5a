/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine to debug: the kernel's end of KDP on a UDP port of this host, over a CPU that knows
 * three instructions (nop, jmp short, int3) and 8 KiB of memory. It runs on a thread of its own and
 * begins standing still, as if somebody had pressed the programmer's key.
 */
#ifndef TESTS_KDP_RESPONDER_H
#define TESTS_KDP_RESPONDER_H

#include <pthread.h>
#include <stdint.h>

#include "sim/macos/kdp/server.h"

#define RESPONDER_MEM 0xffffff8000200000u
#define RESPONDER_LEN 8192u
/* 64 bytes of nop and a jump back to the first: what it runs. */
#define RESPONDER_CODE (RESPONDER_MEM + 0x100)
#define RESPONDER_LOOP 64u

struct responder {
	struct kdp_server server;
	int fd;
	uint16_t port;
	pthread_t thread;
	uint8_t memory[RESPONDER_LEN];
	struct kdp_regs64 regs;
	/* Every nth packet is lost on its way in or out, or comes out twice. 0: none. */
	unsigned lose_in, lose_out, twice_out;
	unsigned in, out, writes;
	volatile bool quit, press, panic;
	volatile unsigned stops;
	volatile int end; /* of the last stop */
};

/* Aborts if there is no socket or thread. */
void responder_start(struct responder *r);
void responder_end(struct responder *r);

#endif

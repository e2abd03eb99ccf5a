/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/frame.h"

#include <string.h>
#include <time.h>

#include "wire/net.h"

uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void bench_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void bench_frame(uint8_t *frame, uint32_t size)
{
	uint8_t *ip = frame + ETH_HLEN, *tcp = ip + 20;

	memset(frame, 0xff, 6);
	frame[6] = 2;
	bench_put16(frame + 12, ETH_TYPE_IPV4);
	ip[0] = 0x45;
	bench_put16(ip + 2, size - ETH_HLEN);
	ip[8] = 64;
	ip[9] = IP_PROTO_TCP;
	ip[12] = ip[16] = 10;
	ip[19] = 2;
	tcp[12] = 0x50;
	tcp[13] = TCP_FLAG_ACK;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What the packet benchmarks share: a clock, and a frame that has the shape of a TCP segment. */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdint.h>

uint64_t bench_now_ns(void);
/* A TCP segment of size bytes in all, to nobody in particular; frame is clear. No checksums. */
void bench_frame(uint8_t *frame, uint32_t size);
/* A 16-bit field. */
void bench_put16(uint8_t *at, uint32_t value);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/feed.h"

void feed_init(struct feed *f, uint64_t seed, uint64_t bytes)
{
	content_init(&f->content, seed);
	f->bytes = bytes;
	f->staged = 0;
	f->off = f->len = 0;
}

bool feed_push(struct feed *f, struct tcp_pcb *pcb)
{
	for (;;) {
		uint32_t n;
		u8_t flags;

		if (f->off == f->len) {
			uint64_t left = f->bytes - f->staged;

			if (!left)
				return true;
			f->off = 0;
			f->len = left < FEED_STAGE ? (uint32_t)left : FEED_STAGE;
			content_make(&f->content, f->stage, f->len);
			f->staged += f->len;
		}
		n = f->len - f->off;
		if (n > tcp_sndbuf(pcb))
			n = tcp_sndbuf(pcb);
		if (n > UINT16_MAX)
			n = UINT16_MAX;
		if (!n)
			return false;
		/* no PSH in mid-stream: it would end a coalesced packet */
		flags = TCP_WRITE_FLAG_COPY;
		if (f->staged != f->bytes || f->off + n != f->len)
			flags |= TCP_WRITE_FLAG_MORE;
		if (tcp_write(pcb, f->stage + f->off, (u16_t)n, flags) != ERR_OK)
			return false; /* its queue is full: when something is acknowledged */
		f->off += n;
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The DHCP client, against a server made of bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/cksum.h"
#include "tools/stack/dhcp.h"
#include "wire/net.h"

#define XID	0x12345678u
#define AT_IP	14u
#define AT_UDP	34u
#define AT_BP	42u
#define AT_OPTS (AT_BP + 240u)
#define MAX	600u

static const uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

struct frame {
	uint8_t b[MAX];
	size_t len;
};

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v);
}

/* Lengths and checksums, for a frame that ends at f->len. */
static void seal(struct frame *f)
{
	uint32_t udp_len = (uint32_t)f->len - AT_UDP;

	put16(f->b + AT_IP + 2, udp_len + 20);
	put16(f->b + AT_IP + 10, 0);
	put16(f->b + AT_IP + 10, cksum_finish(cksum_add(0, f->b + AT_IP, 20)));
	put16(f->b + AT_UDP + 4, udp_len);
	put16(f->b + AT_UDP + 6, 0);
	put16(f->b + AT_UDP + 6,
	      cksum_finish(cksum_add(
		      cksum_pseudo4(f->b + AT_IP + 12, f->b + AT_IP + 16, IP_PROTO_UDP, udp_len),
		      f->b + AT_UDP, udp_len)));
}

static void option(struct frame *f, uint8_t code, const void *data, uint8_t len)
{
	f->b[f->len++] = code;
	f->b[f->len++] = len;
	memcpy(f->b + f->len, data, len);
	f->len += len;
}

static struct frame answer(uint8_t type)
{
	struct frame f = {.len = AT_OPTS};
	uint8_t *ip = f.b + AT_IP, *bp = f.b + AT_BP;

	memset(f.b, 0xff, 6);
	put16(f.b + 12, ETH_TYPE_IPV4);
	ip[0] = 0x45;
	ip[8] = 64;
	ip[9] = IP_PROTO_UDP;
	memcpy(ip + 12, "\x0a\0\2\2\xff\xff\xff\xff", 8);
	put16(f.b + AT_UDP, 67);
	put16(f.b + AT_UDP + 2, 68);
	bp[0] = 2;
	put32(bp + 4, XID);
	memcpy(bp + 16, "\x0a\0\2\xf", 4);
	memcpy(bp + 28, mac, 6);
	put32(bp + 236, 0x63825363);
	option(&f, 53, &type, 1);
	option(&f, 54, "\x0a\0\2\2", 4);
	f.b[f.len++] = 0; /* padding */
	option(&f, 1, "\xff\xff\xff\0", 4);
	option(&f, 3, "\x0a\0\2\2", 4);
	option(&f, 6, "\x0a\0\2\3\x08\x08\x08\x08", 8);
	option(&f, 51, "\0\1\x51\x80", 4);
	option(&f, 15, "example", 7);
	f.b[f.len++] = 255;
	seal(&f);
	return f;
}

static bool input(struct dhcp *d, const struct frame *f)
{
	/* exactly as long as it is, for the sanitizer */
	uint8_t *copy = malloc(f->len ? f->len : 1);
	bool took;

	assert_non_null(copy);
	memcpy(copy, f->b, f->len);
	took = dhcp_input(d, span_of(copy, f->len));
	free(copy);
	return took;
}

static uint8_t type_of(const uint8_t *frame)
{
	assert_int_equal(frame[AT_OPTS], 53);
	return frame[AT_OPTS + 2];
}

static void gets_a_lease(void **state)
{
	uint8_t sent[DHCP_FRAME_MAX];
	struct frame f;
	struct dhcp d;

	(void)state;
	dhcp_init(&d, mac, XID);
	assert_int_equal(dhcp_frame(&d, sent), DHCP_FRAME_MAX);
	assert_int_equal(type_of(sent), 1);
	assert_memory_equal(sent + 6, mac, 6);
	assert_int_equal(cksum_finish(cksum_add(0, sent + AT_IP, 20)), 0);
	assert_int_equal(cksum_finish(cksum_add(cksum_pseudo4(sent + AT_IP + 12, sent + AT_IP + 16,
							      IP_PROTO_UDP, 308),
						sent + AT_UDP, 308)),
			 0);

	f = answer(2);
	assert_true(input(&d, &f));
	assert_int_equal(d.state, DHCP_REQUESTING);
	assert_int_equal(dhcp_frame(&d, sent), DHCP_FRAME_MAX);
	assert_int_equal(type_of(sent), 3);
	assert_memory_equal(sent + AT_OPTS + 3, "\x32\4\x0a\0\2\xf\x36\4\x0a\0\2\2", 12);

	f = answer(5);
	assert_true(input(&d, &f));
	assert_int_equal(d.state, DHCP_BOUND);
	assert_int_equal(dhcp_frame(&d, sent), 0);
	assert_memory_equal(d.lease.address, "\x0a\0\2\xf", 4);
	assert_memory_equal(d.lease.netmask, "\xff\xff\xff\0", 4);
	assert_memory_equal(d.lease.router, "\x0a\0\2\2", 4);
	assert_int_equal(d.lease.ndns, 2);
	assert_memory_equal(d.lease.dns[1], "\x08\x08\x08\x08", 4);
	assert_int_equal(d.lease.seconds, 86400);
	assert_false(input(&d, &f)); /* no more news */
}

static void starts_over_on_nak(void **state)
{
	struct frame f = answer(2);
	struct dhcp d;

	(void)state;
	dhcp_init(&d, mac, XID);
	assert_true(input(&d, &f));
	f = answer(6);
	assert_true(input(&d, &f));
	assert_int_equal(d.state, DHCP_SELECTING);
	assert_int_equal(d.naks, 1);
}

/* One byte of a good offer changed, sealed again. */
static bool takes(size_t at, uint8_t value)
{
	struct frame f = answer(2);
	struct dhcp d;

	dhcp_init(&d, mac, XID);
	f.b[at] = value;
	seal(&f);
	return input(&d, &f);
}

static void refuses_others(void **state)
{
	struct frame f;
	struct dhcp d;

	(void)state;
	assert_true(takes(AT_BP + 3, 1)); /* hops do not matter */
	assert_false(takes(13, 6));	  /* ARP */
	assert_false(takes(AT_IP, 0x65));
	assert_false(takes(AT_IP + 6, 0x20)); /* a fragment */
	assert_false(takes(AT_IP + 9, 6));
	assert_false(takes(AT_UDP + 3, 67));   /* to the server */
	assert_false(takes(AT_BP, 1));	       /* a request */
	assert_false(takes(AT_BP + 4, 0));     /* other transaction */
	assert_false(takes(AT_BP + 28, 0));    /* other client */
	assert_false(takes(AT_BP + 236, 0));   /* no cookie */
	assert_false(takes(AT_OPTS + 2, 5));   /* ACK to what was not asked */
	assert_false(takes(AT_OPTS + 1, 200)); /* option past the end */

	/* another server's ACK */
	f = answer(2);
	dhcp_init(&d, mac, XID);
	assert_true(input(&d, &f));
	f = answer(5);
	f.b[AT_OPTS + 3 + 2] ^= 1;
	seal(&f);
	assert_false(input(&d, &f));

	/* damaged on the way */
	f = answer(5);
	f.b[AT_BP + 16] ^= 1;
	assert_false(input(&d, &f));
	f = answer(5);
	f.b[AT_IP + 8] ^= 1;
	assert_false(input(&d, &f));
}

static void survives_any_length(void **state)
{
	(void)state;
	for (size_t len = 0; len < answer(2).len; len++) {
		struct frame f = answer(2);
		struct dhcp d;

		dhcp_init(&d, mac, XID);
		f.len = len;
		assert_false(input(&d, &f)); /* shorter than IP says */
		if (len > AT_UDP + 8) {
			seal(&f);
			(void)input(&d, &f); /* options cut off */
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gets_a_lease),
		cmocka_unit_test(starts_over_on_nak),
		cmocka_unit_test(refuses_others),
		cmocka_unit_test(survives_any_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

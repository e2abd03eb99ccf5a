/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nat_seeds DIR: inputs for fuzz_nat.c. Ordinary conversations, and packets in the form of those
 * that libslirp's and other stacks' known holes were found with: reassembly, urgent data, BOOTP and
 * TFTP requests, IPv6 headers, ICMP errors, emulated protocols.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/host/nat_kit.h"

#define DO_PLAIN 0u
#define DO_FIX	 1u
#define DO_TURN	 8u

static const char *dir;
static FILE *file;
static uint8_t frame[70000], text[4000];

static void begin(const char *name, uint8_t options)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	if (!file) {
		perror(path);
		exit(1);
	}
	fputc(options, file);
}

static void end(void)
{
	fclose(file);
}

static void put(uint32_t len, unsigned doing)
{
	uint8_t word[2];

	nat_put16(word, len | doing << 12);
	fwrite(word, 1, 2, file);
	fwrite(frame, 1, len, file);
}

static void make(const struct kit_packet *p, unsigned doing)
{
	put(kit_make(frame, p), doing);
}

/* SYN, data with this payload, FIN, RST, to that address. */
static void conversation(bool v6, uint32_t dst, uint16_t port, uint8_t flags, const void *data,
			 uint32_t n)
{
	static const uint8_t options[] = {2, 4, 5, 180, 1, 3, 3, 7};
	struct kit_packet p = {.proto = NAT_TCP_P,
			       .v6 = v6,
			       .dst = dst,
			       .dport = port,
			       .flags = NAT_SYN,
			       .seq = 1000,
			       .window = 64240,
			       .options = options,
			       .options_len = sizeof(options)};

	make(&p, DO_TURN);
	p.options_len = 0;
	p.seq++;
	p.flags = (uint8_t)(NAT_ACK | flags);
	p.urgent = flags & NAT_URG ? 0x7fff : 0;
	p.data = data;
	p.len = n;
	make(&p, DO_TURN);
	p.seq += n;
	make(&p, DO_PLAIN);
	p.seq += n;
	p.flags |= NAT_FIN;
	make(&p, DO_TURN);
	p.flags = NAT_RST;
	p.len = 0;
	make(&p, DO_TURN);
}

static void datagram(uint32_t dst, uint16_t port, const void *data, uint32_t n)
{
	struct kit_packet p = {
		.proto = NAT_UDP, .dst = dst, .sport = port, .dport = port, .data = data, .len = n};

	make(&p, DO_TURN);
}

/* Fragments with these offsets (in eighths) and lengths; last: without more to come. */
static void fragment(bool v6, uint16_t off, uint32_t n, bool more)
{
	struct kit_packet p = {.proto = NAT_UDP, .v6 = v6, .data = text, .len = n};
	uint32_t len = kit_make(frame, &p);

	if (v6) {
		frame[20] = NAT_FRAG6;
		frame[54] = NAT_UDP;
		frame[55] = 0;
		nat_put16(frame + 56, (uint32_t)off << 3 | more);
		nat_put32(frame + 58, 1);
	} else {
		nat_put16(frame + 18, 1);
		nat_put16(frame + 20, off | (more ? 0x2000u : 0));
		kit_sums(frame, len);
	}
	put(len, DO_PLAIN);
}

static void fragments(bool v6)
{
	begin(v6 ? "fragments6" : "fragments4", 0);
	fragment(v6, 0, 1400, true);
	fragment(v6, 176, 1400, false);
	fragment(v6, 0, 8, true);
	fragment(v6, 1, 8, false);
	fragment(v6, 0x1fff, 1400, true);
	fragment(v6, 0, 24, true);
	fragment(v6, 2, 24, false);
	fragment(v6, 0, 0, true);
	end();
}

static void holes(void)
{
	static const char ident[] = "40000 , 80\r\n", ftp[] = "PORT 10,77,0,5,200,1\r\n",
			  irc[] = "DCC SEND file 172818693 5000\r\n",
			  tftp[] = "\0\1/etc/passwd\0octet\0blksize\0"
				   "65464";
	uint8_t bootp[300] = {1, 1, 6, 0, [236] = 99, 130, 83, 99, 53, 1, 1, 255};

	begin("emulated", 0x10);
	conversation(false, 0, 113, 0, ident, sizeof(ident) - 1);
	conversation(false, 0, 21, 0, ftp, sizeof(ftp) - 1);
	conversation(false, 0, 6667, 0, irc, sizeof(irc) - 1);
	conversation(false, 0, 544, 0, "0\0", 2);
	end();
	begin("bootp-tftp", 2);
	datagram(KIT_GATEWAY, 67, bootp, sizeof(bootp));
	datagram(0xffffffff, 67, bootp, 240);
	datagram(KIT_GATEWAY, 69, tftp, sizeof(tftp));
	datagram(KIT_GATEWAY, 53, text, 40);
	end();
	begin("urgent", 0x10);
	conversation(false, 0, 80, NAT_URG, text, 100);
	conversation(true, 0, 80, NAT_URG, text, 100);
	end();
}

static void odd(void)
{
	struct kit_packet p = {.proto = NAT_ICMP, .icmp_type = 8, .data = text, .len = 56};
	uint32_t len;

	begin("icmp", 0);
	make(&p, DO_TURN);
	p.icmp_type = 3;
	make(&p, DO_PLAIN);
	p.proto = NAT_ICMPV6;
	p.v6 = true;
	for (unsigned type = 128; type < 138; type++) {
		p.icmp_type = (uint8_t)type;
		make(&p, DO_PLAIN);
	}
	end();
	/* UDP over IPv6 whose length says less than the header (CVE-2021-3592 and its like). */
	begin("udp6-short", 0);
	p = (struct kit_packet){.proto = NAT_UDP, .v6 = true, .data = text, .len = 8};
	len = kit_make(frame, &p);
	for (unsigned n = 0; n < 8; n++) {
		nat_put16(frame + 58, n);
		put(len, DO_FIX);
	}
	end();
	begin("nc-si", 0);
	nat_put16(frame + 12, 0x88f8);
	put(60, DO_PLAIN);
	end();
	begin("neighbours", 0);
	memset(frame, 0, 60);
	memcpy(frame + 6, kit_member_mac, 6);
	memcpy(frame + 12, "\x08\x06\0\1\x08\0\6\4\0\2", 10);
	memcpy(frame + 22, kit_member_mac, 6);
	nat_put32(frame + 28, KIT_MEMBER);
	put(60, DO_TURN);
	p = (struct kit_packet){
		.proto = NAT_ICMPV6, .v6 = true, .icmp_type = 136, .data = text, .len = 24};
	len = kit_make(frame, &p);
	frame[21] = 255;
	memcpy(frame + 62, kit_member6, 16);
	put(len, DO_TURN);
	end();
}

int main(int argc, char **argv)
{
	uint64_t seed = 3;

	if (argc != 2)
		return 2;
	dir = argv[1];
	if (mkdir(dir, 0777) && errno != EEXIST) {
		perror(dir);
		return 1;
	}
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)kit_random(&seed);
	for (unsigned options = 0; options < 64; options += 16) {
		char name[16];

		snprintf(name, sizeof(name), "tcp%u", options);
		begin(name, (uint8_t)options);
		conversation(false, 0, 80, 0, text, 1000);
		conversation(true, 0, 80, NAT_PSH, text, 1000);
		conversation(false, 0, 81, 0, text, 10);
		end();
	}
	begin("dns", 8);
	conversation(false, KIT_GATEWAY, 53, 0, text, 60);
	end();
	begin("loopback", 2);
	conversation(false, KIT_GATEWAY, 80, 0, text, 60);
	datagram(KIT_GATEWAY, 80, text, 60);
	end();
	begin("udp", 0);
	datagram(0, 80, text, 60);
	datagram(0, 80, text, 3000);
	end();
	fragments(false);
	fragments(true);
	holes();
	odd();
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's end of KDP, packet by packet. A script of packets goes in; what the server sends is
 * kept. When the script is over, so is the server's time: nothing here waits.
 */
#include "tests/kdp/cm.h"

#include <deque>
#include <string>
#include <vector>

#include "sim/macos/kdp/server.h"
#include "wire/net.h"
extern "C" {
#include "common/cksum.h"
}

typedef std::vector<uint8_t> bytes;

static const uint64_t MEM = 0xffffff8000200000;
static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1}, peer_mac[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t our_ip[4] = {10, 0, 0, 1}, peer_ip[4] = {10, 0, 0, 2};
static const uint16_t REPLY_PORT = 5000, EXC_PORT = 5001, FROM_PORT = 4999;

static struct kdp_server server;
static std::deque<bytes> script; /* frames; an empty one: nothing came */
static std::vector<bytes> sent;	 /* frames */
static uint8_t memory[8192];
static unsigned writes, spins, lines;
static struct kdp_regs64 regs;
static bool endless; /* time is not over when the script is */

/* ---- the machine ---- */

static void op_send(void *, uint8_t *frame, unsigned len)
{
	sent.push_back(bytes(frame, frame + len));
}

static unsigned op_receive(void *, uint8_t *frame, unsigned)
{
	unsigned len;

	if (script.empty())
		return 0;
	len = (unsigned)script.front().size();
	if (len)
		memcpy(frame, script.front().data(), len);
	script.pop_front();
	return len;
}

static void op_spin(void *, unsigned)
{
	spins++;
}

static bool op_expired(void *)
{
	return script.empty() && !endless;
}

static size_t inside(uint64_t at, uint64_t base, size_t n)
{
	if (at < base || at - base >= sizeof(memory))
		return 0;
	return sizeof(memory) - (at - base) < n ? sizeof(memory) - (size_t)(at - base) : n;
}

static size_t op_read(void *, uint64_t at, void *to, size_t n)
{
	n = inside(at, MEM, n);
	if (n)
		memcpy(to, memory + (at - MEM), n);
	return n;
}

static size_t op_write(void *, uint64_t at, const void *from, size_t n)
{
	n = inside(at, MEM, n);
	if (n)
		memcpy(memory + (at - MEM), from, n);
	writes++;
	return n;
}

static size_t op_read_phys(void *arg, uint64_t at, void *to, size_t n)
{
	return at < sizeof(memory) ? op_read(arg, at + MEM, to, n) : 0;
}

static size_t op_write_phys(void *arg, uint64_t at, const void *from, size_t n)
{
	return at < sizeof(memory) ? op_write(arg, at + MEM, from, n) : 0;
}

static void op_get(void *, struct kdp_regs64 *out)
{
	*out = regs;
}

static void op_set(void *, const struct kdp_regs64 *in)
{
	regs = *in;
}

__attribute__((format(printf, 1, 2))) static void op_log(const char *, ...)
{
	lines++;
}

static const struct kdp_ops ops = {op_send, op_receive, op_spin,      op_expired,
				   op_read, op_write,	op_read_phys, op_write_phys,
				   op_get,  op_set,	op_log};

static int setup(void **)
{
	struct kdp_config config = {};

	config.ops = &ops;
	memcpy(config.mac, our_mac, 6);
	memcpy(config.ip, our_ip, 4);
	config.arp = config.breakpoints = config.access_errors = true;
	config.cpus_mask = 3;
	config.version = "Darwin Kernel Version 13.4.0: test";
	kdp_server_init(&server, &config);
	script.clear();
	sent.clear();
	writes = spins = lines = 0;
	endless = false;
	for (unsigned i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)(i * 7);
	memset(&regs, 0x11, sizeof(regs));
	return 0;
}

/* ---- packets ---- */

static bytes le(uint64_t v, unsigned n)
{
	bytes b;

	for (unsigned i = 0; i < n; i++)
		b.push_back((uint8_t)(v >> 8 * i));
	return b;
}

static bytes operator+(bytes a, const bytes &b)
{
	a.insert(a.end(), b.begin(), b.end());
	return a;
}

static bytes packet(unsigned request, unsigned seq, const bytes &body = {}, uint32_t key = 77)
{
	return le(request, 1) + le(seq, 1) + le(8 + body.size(), 2) + le(key, 4) + body;
}

static bytes frame(const bytes &payload, unsigned udp_len_off_by = 0)
{
	struct kdp_peer from, to;
	uint8_t buf[KDP_HEADERS];
	bytes f;

	memcpy(from.mac, peer_mac, 6);
	memcpy(from.ip, peer_ip, 4);
	memcpy(to.mac, our_mac, 6);
	memcpy(to.ip, our_ip, 4);
	kdp_frame_write(buf, (unsigned)payload.size() + udp_len_off_by, &from, &to,
			be16_make(KDP_PORT), 1);
	buf[34] = FROM_PORT >> 8;
	buf[35] = FROM_PORT & 0xff;
	f.assign(buf, buf + sizeof(buf));
	return f + payload;
}

static void put(unsigned request, unsigned seq, const bytes &body = {}, uint32_t key = 77)
{
	script.push_back(frame(packet(request, seq, body, key)));
}

static bytes ports(uint16_t a, uint16_t b)
{
	return {(uint8_t)(a >> 8), (uint8_t)a, (uint8_t)(b >> 8), (uint8_t)b};
}

static bytes connect_body()
{
	return ports(REPLY_PORT, EXC_PORT) + bytes({'h', 'i', 0});
}

/* A stop that ends with the script: the session is over then, so ask before. */
static enum kdp_end stop(bool panic = false)
{
	return kdp_server_stop(&server, KDP_EXC_BREAKPOINT, KDP_CODE_BREAKPOINT, 0, panic);
}

/* The nth frame sent, checked from Ethernet to UDP; its payload. */
static bytes reply(size_t n, uint16_t port = REPLY_PORT)
{
	struct ipv4_hdr ip;
	struct udp_hdr udp;

	assert_true(n < sent.size());
	const bytes &f = sent[n];
	assert_true(f.size() >= KDP_HEADERS + 8);
	assert_memory_equal(f.data(), peer_mac, 6);
	assert_memory_equal(f.data() + 6, our_mac, 6);
	memcpy(&ip, f.data() + 14, sizeof(ip));
	memcpy(&udp, f.data() + 34, sizeof(udp));
	assert_int_equal(cksum_finish(cksum_add(0, &ip, sizeof(ip))), 0);
	assert_int_equal(ip.ttl, 60);
	assert_memory_equal(ip.src, our_ip, 4);
	assert_memory_equal(ip.dst, peer_ip, 4);
	assert_int_equal(be16_get(ip.total_len), f.size() - 14);
	assert_int_equal(be16_get(udp.src), KDP_PORT);
	assert_int_equal(be16_get(udp.dst), port);
	assert_int_equal(be16_get(udp.len), f.size() - 34);
	assert_int_equal(be16_get(udp.cksum), 0);
	return bytes(f.begin() + KDP_HEADERS, f.end());
}

static uint32_t word(const bytes &b, size_t off)
{
	assert_true(off + 4 <= b.size());
	return (uint32_t)(b[off] | b[off + 1] << 8 | b[off + 2] << 16) | (uint32_t)b[off + 3] << 24;
}

/* A reply's header; the length of it. */
static bytes check(size_t n, unsigned request, unsigned seq, size_t len, uint16_t port = REPLY_PORT)
{
	bytes b = reply(n, port);

	assert_int_equal(b[0], request | KDP_REPLY);
	assert_int_equal(b[1], seq);
	assert_int_equal(b[2] | b[3] << 8, len);
	assert_int_equal(b.size(), len);
	return b;
}

/* ---- tests ---- */

static void waits_for_a_connection(void **)
{
	put(KDP_VERSION, 0);
	put(KDP_CONNECT, 1, connect_body()); /* not the expected number */
	put(KDP_DISCONNECT, 0);
	put(KDP_CONNECT | KDP_REPLY, 0, connect_body());
	put(KDP_CONNECT, 0); /* too short */
	script.push_back(bytes());
	assert_int_equal(stop(), KDP_END_EXPIRED);
	assert_int_equal(sent.size(), 0);
	assert_false(server.connected);

	put(KDP_CONNECT, 0, connect_body());
	put(KDP_RESUMECPUS, 1, le(1, 4));
	assert_int_equal(stop(), KDP_END_RESUMED);
	assert_int_equal(sent.size(), 2);
	assert_int_equal(word(check(0, KDP_CONNECT, 0, 12), 8), 0);
	assert_int_equal(word(reply(0), 4), 77);
	check(1, KDP_RESUMECPUS, 1, 8);
	assert_true(server.connected);
}

/* The very packets, numbers and lengths that lldb sends, with the wrong length in its ack. */
static void lldb(void **)
{
	bytes ack;

	put(KDP_REATTACH, 0, {REPLY_PORT >> 8, REPLY_PORT & 0xff}, 0);
	put(KDP_CONNECT, 0, ports(REPLY_PORT, REPLY_PORT) + bytes(23, 'G'),
	    0); /* 35 bytes in all */
	put(KDP_VERSION, 1, {}, 0);
	put(KDP_HOSTINFO, 2, {}, 0);
	put(KDP_KERNELVERSION, 3, {}, 0);
	put(KDP_READREGS, 4, le(0, 4) + le(4, 4), 0);
	put(KDP_READMEM64, 5, le(MEM + 5, 8) + le(512, 4), 0);
	put(KDP_BREAKPOINT64_SET, 6, le(MEM + 600, 8), 0);
	put(KDP_RESUMECPUS, 7, le(3, 4), 0);
	assert_int_equal(stop(), KDP_END_RESUMED);
	check(0, KDP_REATTACH, 0, 8);
	assert_int_equal(word(check(1, KDP_CONNECT, 0, 12), 8), 0);
	bytes version = check(2, KDP_VERSION, 1, 24);
	assert_int_equal(word(version, 8), 12);
	assert_int_equal(word(version, 12), KDP_FEATURE_BP);
	bytes host = check(3, KDP_HOSTINFO, 2, 20);
	assert_int_equal(word(host, 8), 3);
	assert_int_equal(word(host, 12), 0x01000007);
	bytes text = check(4, KDP_KERNELVERSION, 3, 8 + strlen(server.config.version) + 1);
	assert_string_equal((const char *)text.data() + 8, server.config.version);
	bytes r = check(5, KDP_READREGS, 4, 12 + 168);
	assert_memory_equal(r.data() + 12, &regs, sizeof(regs));
	bytes mem = check(6, KDP_READMEM64, 5, 12 + 512);
	assert_memory_equal(mem.data() + 12, memory + 5, 512);
	assert_int_equal(word(check(7, KDP_BREAKPOINT64_SET, 6, 12), 8), 0);
	assert_int_equal(memory[600], 0xcc);

	sent.clear();
	ack = packet(KDP_EXCEPTION | KDP_REPLY, 0, {}, 0);
	ack[2] = 28;
	script.push_back(frame(ack));
	put(KDP_BREAKPOINT64_REMOVE, 8, le(MEM + 600, 8), 0);
	put(KDP_DISCONNECT, 9, {}, 0);
	assert_int_equal(stop(), KDP_END_DISCONNECTED);
	bytes e = reply(0);
	assert_int_equal(e.size(), 28);
	assert_int_equal(e[0], KDP_EXCEPTION);
	assert_int_equal(e[1], 0);
	assert_int_equal(word(e, 8), 1);
	assert_int_equal(word(e, 16), 6);
	assert_int_equal(word(e, 20), 3);
	check(1, KDP_BREAKPOINT64_REMOVE, 8, 12);
	check(2, KDP_DISCONNECT, 9, 8);
	assert_int_equal(memory[600], (uint8_t)(600 * 7));
}

static void sequence_numbers(void **)
{
	put(KDP_CONNECT, 0, connect_body());
	put(KDP_CONNECT, 0, connect_body()); /* the kept reply */
	put(KDP_WRITEMEM64, 1, le(MEM, 8) + le(2, 4) + bytes({1, 2}));
	put(KDP_WRITEMEM64, 1, le(MEM, 8) + le(2, 4) + bytes({3, 4})); /* not again */
	put(KDP_VERSION, 1);					       /* nor this */
	put(KDP_VERSION, 3);					       /* too new */
	put(KDP_VERSION, 0);					       /* too old */
	put(KDP_VERSION | KDP_REPLY, 2);
	put(KDP_CONNECT, 9, connect_body(), 99); /* a stranger */
	put(KDP_VERSION, 2);
	put(KDP_RESUMECPUS, 3, le(0, 4));
	assert_int_equal(stop(), KDP_END_RESUMED);
	assert_int_equal(sent.size(), 8);
	assert_true(sent[0] == sent[1]);
	check(2, KDP_WRITEMEM64, 1, 12);
	assert_true(sent[2] == sent[3] && sent[3] == sent[4]);
	assert_int_equal(writes, 1);
	assert_int_equal(memory[0], 1);
	assert_int_equal(word(check(5, KDP_CONNECT, 9, 12), 8), KDP_ERR_CONNECTED);
	check(6, KDP_VERSION, 2, 24);
}

/* The number wraps, but a repeated 255 is not known again. */
static void numbers_wrap(void **)
{
	put(KDP_CONNECT, 0, connect_body());
	for (unsigned i = 1; i <= 255; i++)
		put(KDP_MAXBYTES, i);
	put(KDP_MAXBYTES, 255);
	put(KDP_MAXBYTES, 0);
	put(KDP_MAXBYTES, 0);
	put(KDP_RESUMECPUS, 1, le(0, 4));
	assert_int_equal(stop(), KDP_END_RESUMED);
	assert_int_equal(sent.size(), 1 + 255 + 2 + 1);
	check(256, KDP_MAXBYTES, 0, 12);
	check(257, KDP_MAXBYTES, 0, 12);
}

static void memory_requests(void **)
{
	put(KDP_CONNECT, 0, connect_body());
	put(KDP_READMEM64, 1, le(MEM, 8) + le(1024, 4));
	put(KDP_READMEM64, 2, le(MEM, 8) + le(1025, 4));
	put(KDP_READMEM64, 3, le(MEM + 8190, 8) + le(16, 4));
	put(KDP_READMEM64, 4, le(16, 8) + le(16, 4));
	put(KDP_READMEM, 5, le(16, 4) + le(16, 4));
	put(KDP_WRITEMEM64, 6, le(MEM, 8) + le(0xffffffff, 4) + bytes(4, 9));
	put(KDP_WRITEMEM64, 7, le(MEM + 8191, 8) + le(2, 4) + bytes(2, 9));
	put(KDP_READPHYSMEM64, 8, le(3, 8) + le(4, 4) + le(0, 2));
	put(KDP_WRITEPHYSMEM64, 9, le(3, 8) + le(1, 4) + le(0, 2) + bytes({0xab}));
	put(KDP_READREGS, 10, le(0, 4) + le(5, 4));
	put(KDP_READREGS, 11, le(0, 4) + le(1, 4));
	put(KDP_WRITEREGS, 12, le(0, 4) + le(4, 4) + bytes(168, 0x22));
	put(KDP_WRITEREGS, 13, le(0, 4) + le(5, 4));
	put(KDP_WRITEREGS, 14, le(0, 4) + le(6, 4));
	put(KDP_REGIONS, 15);
	put(KDP_SUSPEND, 16);
	put(KDP_READMSR64, 17, le(0x1b, 4) + le(0, 2));
	put(KDP_DUMPINFO, 18, bytes(90, 0));
	/* Never answered, and not counted. */
	put(KDP_LOAD, 19);
	put(KDP_IMAGEPATH, 19);
	put(33, 19);
	put(KDP_WRITEMEM64, 19, le(MEM, 8) + le(8, 4) + bytes(4, 9)); /* less than it says */
	put(KDP_WRITEREGS, 19, le(0, 4) + le(4, 4) + bytes(167, 0x33));
	put(KDP_READMEM64, 19, le(MEM, 8));
	put(KDP_RESUMECPUS, 19, le(0, 4));
	assert_int_equal(stop(), KDP_END_RESUMED);
	check(1, KDP_READMEM64, 1, 12 + 1024);
	assert_int_equal(word(check(2, KDP_READMEM64, 2, 12), 8), KDP_ERR_NBYTES);
	assert_int_equal(word(check(3, KDP_READMEM64, 3, 12 + 2), 8), KDP_ERR_ACCESS);
	assert_int_equal(word(check(4, KDP_READMEM64, 4, 12), 8), KDP_ERR_ACCESS);
	assert_int_equal(word(check(5, KDP_READMEM, 5, 12), 8), KDP_ERR_ACCESS);
	assert_int_equal(word(check(6, KDP_WRITEMEM64, 6, 12), 8), KDP_ERR_NBYTES);
	assert_int_equal(word(check(7, KDP_WRITEMEM64, 7, 12), 8), KDP_ERR_ACCESS);
	bytes phys = check(8, KDP_READPHYSMEM64, 8, 12 + 4);
	assert_int_equal(phys[12], 21);
	check(9, KDP_WRITEPHYSMEM64, 9, 12);
	assert_int_equal(memory[3], 0xab);
	bytes fp = check(10, KDP_READREGS, 10, 12 + 524);
	for (unsigned i = 8; i < fp.size(); i++)
		assert_int_equal(fp[i], 0);
	assert_int_equal(word(check(11, KDP_READREGS, 11, 12), 8), KDP_ERR_FLAVOR);
	check(12, KDP_WRITEREGS, 12, 12);
	assert_int_equal(((uint8_t *)&regs)[100], 0x22);
	assert_int_equal(word(check(13, KDP_WRITEREGS, 13, 12), 8), 0);
	assert_int_equal(word(check(14, KDP_WRITEREGS, 14, 12), 8), KDP_ERR_FLAVOR);
	bytes regions = check(15, KDP_REGIONS, 15, 24);
	assert_int_equal(word(regions, 8), 1);
	assert_int_equal(word(regions, 16), 0xffffffff);
	check(16, KDP_SUSPEND, 16, 8);
	assert_int_equal(word(check(17, KDP_READMSR64, 17, 12), 8), KDP_ERR_ACCESS);
	check(18, KDP_DUMPINFO, 18, 98);
	check(19, KDP_RESUMECPUS, 19, 8);
	assert_int_equal(sent.size(), 20);
}

/* Before 10.9 what cannot be read is just not there. */
static void old_releases_tell_no_access_error(void **)
{
	server.config.access_errors = false;
	put(KDP_CONNECT, 0, connect_body());
	put(KDP_READMEM64, 1, le(MEM + 8190, 8) + le(16, 4));
	put(KDP_WRITEMEM64, 2, le(16, 8) + le(1, 4) + bytes(1, 9));
	put(KDP_RESUMECPUS, 3, le(0, 4));
	assert_int_equal(stop(), KDP_END_RESUMED);
	assert_int_equal(word(check(1, KDP_READMEM64, 1, 12 + 2), 8), 0);
	assert_int_equal(word(check(2, KDP_WRITEMEM64, 2, 12), 8), 0);
}

static void breakpoints(void **)
{
	unsigned seq = 0;

	put(KDP_CONNECT, seq++, connect_body());
	for (unsigned i = 0; i < 101; i++)
		put(KDP_BREAKPOINT64_SET, seq++, le(MEM + i, 8));
	put(KDP_BREAKPOINT64_SET, seq++, le(MEM + 5, 8));
	put(KDP_BREAKPOINT64_REMOVE, seq++, le(MEM + 200, 8));
	put(KDP_BREAKPOINT64_REMOVE, seq++, le(MEM + 5, 8));
	put(KDP_BREAKPOINT64_REMOVE, seq++, le(MEM + 5, 8));
	put(KDP_BREAKPOINT64_SET, seq++, le(16, 8)); /* no memory there: no error */
	put(KDP_DISCONNECT, seq++);
	assert_int_equal(stop(), KDP_END_DISCONNECTED);
	for (unsigned i = 1; i <= 100; i++)
		assert_int_equal(word(reply(i), 8), 0);
	assert_int_equal(word(reply(101), 8), KDP_ERR_BREAKPOINTS);
	assert_int_equal(word(reply(102), 8), KDP_ERR_TRAP_THERE);
	assert_int_equal(word(reply(103), 8), KDP_ERR_NO_BREAKPOINT);
	assert_int_equal(word(reply(104), 8), 0);
	assert_int_equal(word(reply(105), 8), KDP_ERR_NO_BREAKPOINT);
	assert_int_equal(word(reply(106), 8), 0);
	for (unsigned i = 0; i < 101; i++)
		assert_int_equal(memory[i], (uint8_t)(i * 7));
}

static void reattach_takes_over(void **)
{
	put(KDP_CONNECT, 0, connect_body());
	put(KDP_VERSION, 1);
	put(KDP_BREAKPOINT64_SET, 2, le(MEM, 8));
	put(KDP_REATTACH, 0, {0x17, 0x70}, 5);
	put(KDP_CONNECT, 0, ports(6000, 6001), 5);
	put(KDP_VERSION, 1, {}, 5);
	put(KDP_RESUMECPUS, 2, le(0, 4), 5);
	assert_int_equal(stop(), KDP_END_RESUMED);
	check(3, KDP_REATTACH, 0, 8, 6000);
	check(4, KDP_CONNECT, 0, 12, 6000);
	check(5, KDP_VERSION, 1, 24, 6000);
	assert_int_equal(memory[0], 0);
}

static void an_exception_wants_its_ack(void **)
{
	put(KDP_CONNECT, 0, connect_body());
	put(KDP_BREAKPOINT64_SET, 1, le(MEM, 8));
	put(KDP_RESUMECPUS, 2, le(0, 4));
	assert_int_equal(stop(), KDP_END_RESUMED);

	/* Wrong ones end a turn, no more; so does silence after 50 looks. */
	sent.clear();
	put(KDP_EXCEPTION | KDP_REPLY, 1);
	put(KDP_VERSION, 3);
	for (unsigned i = 0; i < 50; i++)
		script.push_back(bytes());
	put(KDP_EXCEPTION | KDP_REPLY, 0);
	put(KDP_RESUMECPUS, 3, le(0, 4));
	assert_int_equal(stop(), KDP_END_RESUMED);
	assert_int_equal(sent.size(), 5);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(reply(i, EXC_PORT)[0], KDP_EXCEPTION);
	assert_int_equal(spins, 3);

	sent.clear();
	endless = true;
	assert_int_equal(stop(), KDP_END_LOST);
	assert_int_equal(sent.size(), 101);
	assert_int_equal(reply(100, EXC_PORT)[1], 1);
	assert_false(server.connected);
	assert_int_equal(memory[0], 0);
}

static void a_panic_waits_once_more(void **)
{
	put(KDP_CONNECT, 0, connect_body());
	put(KDP_DISCONNECT, 1);
	put(KDP_CONNECT, 0, connect_body());
	put(KDP_DISCONNECT, 1);
	assert_int_equal(stop(true), KDP_END_DISCONNECTED);
	assert_int_equal(sent.size(), 4);
	assert_int_equal(script.size(), 0);

	put(KDP_HOSTREBOOT, 9);
	assert_int_equal(stop(true), KDP_END_REBOOT);
	put(KDP_CONNECT, 0, connect_body());
	put(KDP_HOSTREBOOT, 1);
	assert_int_equal(stop(), KDP_END_REBOOT);
	assert_false(server.connected);
	assert_int_equal(sent.size(), 5);
}

static bytes arp(uint8_t last)
{
	bytes f(6, 0xff);

	f = f + bytes(peer_mac, peer_mac + 6) + bytes({8, 6, 0, 1, 8, 0, 6, 4, 0, 1});
	f = f + bytes(peer_mac, peer_mac + 6) + bytes(peer_ip, peer_ip + 4) + bytes(6, 0);
	return f + bytes({10, 0, 0, last}) + bytes(18, 0);
}

static void arp_is_answered(void **)
{
	script.push_back(arp(9));
	script.push_back(arp(1));
	assert_int_equal(stop(), KDP_END_EXPIRED);
	assert_int_equal(sent.size(), 1);
	assert_int_equal(sent[0].size(), 60);
	assert_memory_equal(sent[0].data(), peer_mac, 6);
	assert_memory_equal(sent[0].data() + 6, our_mac, 6);
	assert_int_equal(sent[0][21], 2);
	assert_memory_equal(sent[0].data() + 22, our_mac, 6);
	assert_memory_equal(sent[0].data() + 28, our_ip, 4);
	assert_memory_equal(sent[0].data() + 32, peer_mac, 6);
	assert_memory_equal(sent[0].data() + 38, peer_ip, 4);

	server.config.arp = false;
	script.push_back(arp(1));
	assert_int_equal(stop(), KDP_END_EXPIRED);
	assert_int_equal(sent.size(), 1);
}

static void the_filter(void **)
{
	bytes good = frame(packet(KDP_CONNECT, 0, connect_body()));
	static const struct {
		size_t off;
		uint8_t value;
	} bad[] = {{12, 0x86}, {13, 6}, {14, 0x46}, {23, 6}, {36, 1}, {38, 1}, {39, 7}};

	for (auto &b : bad) {
		script.push_back(good);
		script.back()[b.off] = b.value;
	}
	for (size_t n = 1; n < good.size(); n++)
		script.push_back(bytes(good.begin(), good.begin() + (long)n));
	script.push_back(frame(packet(KDP_CONNECT, 0, connect_body()), 1));
	assert_int_equal(stop(), KDP_END_EXPIRED);
	assert_int_equal(sent.size(), 0);

	/* Checksums, fragment bits and padding are nobody's business. */
	good[24] ^= 0xff;
	good[20] ^= 0x40;
	good[40] ^= 0xff;
	script.push_back(good + bytes(20, 0));
	put(KDP_DISCONNECT, 1);
	assert_int_equal(stop(), KDP_END_DISCONNECTED);
	assert_int_equal(sent.size(), 2);
}

static uint32_t dice;

static unsigned roll(unsigned n)
{
	dice = dice * 1664525 + 1013904223;
	return (dice >> 8) % n;
}

/* Random and half-random frames: no crash, no complaint of the sanitizers, no endless log. */
static void hostile(void **)
{
	const char *seed = getenv("KDP_SEED");

	dice = seed ? (uint32_t)strtoul(seed, 0, 0) : 20240917;
	printf("# seed %u\n", dice);
	for (unsigned round = 0; round < 300; round++) {
		put(KDP_CONNECT, 0, connect_body());
		for (unsigned i = 0; i < 300; i++) {
			bytes f;

			switch (roll(4)) {
			case 0:
				f.resize(1 + roll(KDP_FRAME_MAX));
				for (auto &b : f)
					b = (uint8_t)roll(256);
				break;
			case 1:
				f = frame(packet(roll(34), server.expected, bytes(roll(1400), 0)));
				break;
			default:
				f = frame(packet(roll(34), i + roll(3) - 1,
						 le(roll(2) ? MEM + roll(9000) : dice, 8) +
							 le(roll(2) ? roll(1200) : dice, 4) +
							 bytes(roll(200), (uint8_t)i)));
				for (unsigned n = roll(4); n; n--)
					f[roll((unsigned)f.size())] = (uint8_t)roll(256);
				break;
			}
			if (f.size() > KDP_FRAME_MAX)
				f.resize(KDP_FRAME_MAX);
			script.push_back(f);
		}
		while (!script.empty())
			(void)stop(roll(2));
		assert_true(sent.size() < 100000);
		sent.clear();
		kdp_server_reset(&server);
	}
	assert_true(lines < 300 * 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(waits_for_a_connection, setup),
		cmocka_unit_test_setup(lldb, setup),
		cmocka_unit_test_setup(sequence_numbers, setup),
		cmocka_unit_test_setup(numbers_wrap, setup),
		cmocka_unit_test_setup(memory_requests, setup),
		cmocka_unit_test_setup(old_releases_tell_no_access_error, setup),
		cmocka_unit_test_setup(breakpoints, setup),
		cmocka_unit_test_setup(reattach_takes_over, setup),
		cmocka_unit_test_setup(an_exception_wants_its_ack, setup),
		cmocka_unit_test_setup(a_panic_waits_once_more, setup),
		cmocka_unit_test_setup(arp_is_answered, setup),
		cmocka_unit_test_setup(the_filter, setup),
		cmocka_unit_test_setup(hostile, setup),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests, one function each. The table says how long one must be at least; a longer one is
 * as good. A function fills in the body of the reply, which is zero before, and returns the length
 * of the whole; 0 means that there is no reply.
 */
#include "sim/macos/kdp/server.h"

#include <string.h>

struct kdp_call {
	struct kdp_server *s;
	struct span in; /* the request with its header */
	uint8_t *out;	/* the reply, header included */
	be16 port;	/* where it goes */
	uint32_t key;
	uint8_t seq;
};

enum { HDR = sizeof(struct kdp_hdr), BODY = sizeof(struct kdp_error_reply) };

/* The table has checked that the request is long enough for its structure. */
template <typename T> static T kdp_body(const struct kdp_call *c)
{
	T rq;

	memcpy(&rq, c->in.data, sizeof(rq));
	return rq;
}

static unsigned kdp_put32(struct kdp_call *c, unsigned off, uint32_t value)
{
	le32 v = le32_make(value);

	memcpy(c->out + off, &v, sizeof(v));
	return off + 4;
}

static unsigned kdp_error(struct kdp_call *c, uint32_t error)
{
	return kdp_put32(c, HDR, error);
}

/* ---- the session ---- */

/* [XNU-KDP-8] The same CONNECT again is fine; another debugger's is refused, at its own port. */
static unsigned kdp_do_connect(struct kdp_call *c)
{
	struct kdp_server *s = c->s;
	auto rq = kdp_body<struct kdp_connect_req>(c);

	c->port = rq.reply_port;
	if (s->connected) {
		bool same = c->seq == s->connect_seq && c->key == s->key &&
			    rq.reply_port.raw == s->reply_port.raw &&
			    rq.exception_port.raw == s->exception_port.raw;

		return kdp_error(c, same ? KDP_OK : KDP_ERR_CONNECTED);
	}
	s->reply_port = rq.reply_port;
	s->exception_port = rq.exception_port;
	s->connect_seq = c->seq;
	s->key = c->key;
	s->exception_seq = 0;
	s->connected = true;
	return kdp_error(c, KDP_OK);
}

static void kdp_end_session(struct kdp_server *s)
{
	s->reply_port = s->exception_port = be16_make(0);
	s->halted = s->connected = false;
	s->exception_seq = s->connect_seq = 0;
	s->key = 0;
}

/* [XNU-KDP-9] In a panic the first DISCONNECT waits for another debugger, the next one resumes. */
static unsigned kdp_do_disconnect(struct kdp_call *c)
{
	struct kdp_server *s = c->s;

	if (!s->connected)
		return 0;
	c->port = s->reply_port;
	kdp_end_session(s);
	if (s->wait_again) {
		s->wait_again = false;
		s->reattach_wait = true;
	}
	return HDR;
}

static unsigned kdp_do_reattach(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_reattach_req>(c);

	c->port = rq.reply_port;
	kdp_end_session(c->s);
	c->s->reattach_wait = true;
	return HDR;
}

static unsigned kdp_do_reboot(struct kdp_call *c)
{
	c->s->reboot = true;
	return 0;
}

static unsigned kdp_do_suspend(struct kdp_call *c)
{
	c->s->halted = true;
	return HDR;
}

/* The mask is not looked at: all go. */
static unsigned kdp_do_resume(struct kdp_call *c)
{
	c->s->halted = false;
	return HDR;
}

/* ---- what this machine is ---- */

static unsigned kdp_do_hostinfo(struct kdp_call *c)
{
	unsigned at = kdp_put32(c, HDR, c->s->config.cpus_mask);

	at = kdp_put32(c, at, KDP_CPU_TYPE_X86_64);
	return kdp_put32(c, at, 4);
}

static unsigned kdp_do_version(struct kdp_call *c)
{
	(void)kdp_put32(c, HDR, KDP_VERSION_IS);
	(void)kdp_put32(c, HDR + 4, c->s->config.breakpoints ? KDP_FEATURE_BP : 0);
	return sizeof(struct kdp_version_reply);
}

static unsigned kdp_do_maxbytes(struct kdp_call *c)
{
	return kdp_put32(c, HDR, KDP_DATA_MAX);
}

static unsigned kdp_do_regions(struct kdp_call *c)
{
	(void)kdp_put32(c, HDR, 1);
	(void)kdp_put32(c, HDR + 8, 0xffffffff);
	return kdp_put32(c, HDR + 12, 7);
}

static unsigned kdp_do_kernelversion(struct kdp_call *c)
{
	size_t n = strnlen(c->s->config.version, KDP_DATA_MAX);

	memcpy(c->out + HDR, c->s->config.version, n);
	return (unsigned)(HDR + n + 1);
}

/* ---- memory ---- */

/* [XNU-KDP-10] What could be copied is in the reply, whether the rest is called an error or not. */
static unsigned kdp_copied(struct kdp_call *c, size_t got, size_t n, bool data)
{
	(void)kdp_error(c, got < n && c->s->config.access_errors ? KDP_ERR_ACCESS : KDP_OK);
	return (unsigned)(BODY + (data ? got : 0));
}

static unsigned kdp_read_at(struct kdp_call *c, uint64_t at, uint32_t n, bool phys)
{
	const struct kdp_config *cf = &c->s->config;
	auto read = phys ? cf->ops->read_phys : cf->ops->read;

	if (n > KDP_DATA_MAX)
		return kdp_error(c, KDP_ERR_NBYTES);
	return kdp_copied(c, read(cf->arg, at, c->out + BODY, n), n, true);
}

/* A packet with less data than it says is dropped; the kernel would write what lay behind it. */
static unsigned kdp_write_at(struct kdp_call *c, uint64_t at, uint32_t n, size_t off, bool phys)
{
	const struct kdp_config *cf = &c->s->config;
	auto write = phys ? cf->ops->write_phys : cf->ops->write;
	struct span data;

	if (n > KDP_DATA_MAX)
		return kdp_error(c, KDP_ERR_NBYTES);
	if (!span_sub(c->in, off, n, &data))
		return 0;
	return kdp_copied(c, write(cf->arg, at, data.data, n), n, false);
}

static unsigned kdp_do_readmem(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_mem_req>(c);

	return kdp_read_at(c, le32_get(rq.address), le32_get(rq.nbytes), false);
}

static unsigned kdp_do_writemem(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_mem_req>(c);

	return kdp_write_at(c, le32_get(rq.address), le32_get(rq.nbytes), sizeof(rq), false);
}

static unsigned kdp_do_readmem64(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_mem64_req>(c);

	return kdp_read_at(c, le64_get(rq.address), le32_get(rq.nbytes), false);
}

static unsigned kdp_do_writemem64(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_mem64_req>(c);

	return kdp_write_at(c, le64_get(rq.address), le32_get(rq.nbytes), sizeof(rq), false);
}

static unsigned kdp_do_readphys(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_phys_req>(c);

	return kdp_read_at(c, le64_get(rq.address), le32_get(rq.nbytes), true);
}

static unsigned kdp_do_writephys(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_phys_req>(c);

	return kdp_write_at(c, le64_get(rq.address), le32_get(rq.nbytes), sizeof(rq), true);
}

/* There are no I/O ports and no MSRs here: none can be accessed. */
static unsigned kdp_do_no_access(struct kdp_call *c)
{
	return kdp_error(c, KDP_ERR_ACCESS);
}

/* No core dump is sent anywhere: nothing is set, and so it is told. */
static unsigned kdp_do_dumpinfo(struct kdp_call *c)
{
	(void)c;
	return KDP_DUMPINFO_LEN;
}

/* ---- registers ---- */

static unsigned kdp_do_readregs(struct kdp_call *c)
{
	const struct kdp_config *cf = &c->s->config;
	struct kdp_regs64 regs;

	(void)kdp_error(c, KDP_OK);
	switch (le32_get(kdp_body<struct kdp_regs_req>(c).flavor)) {
	case KDP_FLAVOR_THREAD64:
		cf->ops->get_regs(cf->arg, &regs);
		memcpy(c->out + BODY, &regs, sizeof(regs));
		return BODY + sizeof(regs);
	case KDP_FLAVOR_FLOAT64: /* [XNU-KDP-11] always zeros */
		return BODY + KDP_FLOAT64_LEN;
	default:
		return kdp_error(c, KDP_ERR_FLAVOR);
	}
}

static unsigned kdp_do_writeregs(struct kdp_call *c)
{
	const struct kdp_config *cf = &c->s->config;
	struct kdp_regs64 regs;
	struct span data;

	switch (le32_get(kdp_body<struct kdp_regs_req>(c).flavor)) {
	case KDP_FLAVOR_THREAD64:
		if (!span_sub(c->in, sizeof(struct kdp_regs_req), sizeof(regs), &data))
			return 0;
		memcpy(&regs, data.data, sizeof(regs));
		cf->ops->set_regs(cf->arg, &regs);
		return kdp_error(c, KDP_OK);
	case KDP_FLAVOR_FLOAT64:
		return kdp_error(c, KDP_OK);
	default:
		return kdp_error(c, KDP_ERR_FLAVOR);
	}
}

/* ---- breakpoints ---- */

static const uint8_t kdp_trap = 0xcc;

/* [XNU-KDP-12] Memory that cannot be written is no error: the breakpoint counts, and never hits. */
static uint32_t kdp_breakpoint_set(struct kdp_server *s, uint64_t at)
{
	const struct kdp_config *cf = &s->config;
	struct kdp_breakpoint *free_one = 0;
	uint8_t old = 0;

	(void)cf->ops->read(cf->arg, at, &old, 1);
	if (old == kdp_trap)
		return KDP_ERR_TRAP_THERE;
	for (unsigned i = 0; i < KDP_BREAKPOINTS_MAX && !free_one; i++)
		if (!s->breakpoints[i].address)
			free_one = &s->breakpoints[i];
	if (!free_one)
		return KDP_ERR_BREAKPOINTS;
	free_one->address = at;
	free_one->old = old;
	(void)cf->ops->write(cf->arg, at, &kdp_trap, 1);
	return KDP_OK;
}

static uint32_t kdp_breakpoint_remove(struct kdp_server *s, uint64_t at)
{
	const struct kdp_config *cf = &s->config;

	for (unsigned i = 0; i < KDP_BREAKPOINTS_MAX; i++) {
		struct kdp_breakpoint *b = &s->breakpoints[i];

		if (!at || b->address != at)
			continue;
		b->address = 0;
		(void)cf->ops->write(cf->arg, at, &b->old, 1);
		return KDP_OK;
	}
	return KDP_ERR_NO_BREAKPOINT;
}

void kdp_breakpoints_remove(struct kdp_server *s)
{
	bool found = false;

	for (unsigned i = 0; i < KDP_BREAKPOINTS_MAX; i++)
		if (s->breakpoints[i].address) {
			found = true;
			(void)kdp_breakpoint_remove(s, s->breakpoints[i].address);
		}
	if (found)
		s->config.ops->log("kdp: found extant breakpoints, removing them.");
}

static unsigned kdp_do_set(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_breakpoint_req>(c);

	return kdp_error(c, kdp_breakpoint_set(c->s, le32_get(rq.address)));
}

static unsigned kdp_do_remove(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_breakpoint_req>(c);

	return kdp_error(c, kdp_breakpoint_remove(c->s, le32_get(rq.address)));
}

static unsigned kdp_do_set64(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_breakpoint64_req>(c);

	return kdp_error(c, kdp_breakpoint_set(c->s, le64_get(rq.address)));
}

static unsigned kdp_do_remove64(struct kdp_call *c)
{
	auto rq = kdp_body<struct kdp_breakpoint64_req>(c);

	return kdp_error(c, kdp_breakpoint_remove(c->s, le64_get(rq.address)));
}

/* ---- the table ---- */

static const struct kdp_row {
	unsigned min;
	unsigned (*run)(struct kdp_call *c); /* 0: never answered */
} kdp_rows[KDP_REQUESTS] = {
	/* CONNECT */ {sizeof(struct kdp_connect_req), kdp_do_connect},
	/* DISCONNECT */ {HDR, kdp_do_disconnect},
	/* HOSTINFO */ {HDR, kdp_do_hostinfo},
	/* VERSION */ {HDR, kdp_do_version},
	/* MAXBYTES */ {HDR, kdp_do_maxbytes},
	/* READMEM */ {sizeof(struct kdp_mem_req), kdp_do_readmem},
	/* WRITEMEM */ {sizeof(struct kdp_mem_req), kdp_do_writemem},
	/* READREGS */ {sizeof(struct kdp_regs_req), kdp_do_readregs},
	/* WRITEREGS */ {sizeof(struct kdp_regs_req), kdp_do_writeregs},
	/* LOAD */ {HDR, 0},
	/* IMAGEPATH */ {HDR, 0},
	/* SUSPEND */ {HDR, kdp_do_suspend},
	/* RESUMECPUS */ {sizeof(struct kdp_resume_req), kdp_do_resume},
	/* EXCEPTION */ {HDR, 0},
	/* TERMINATION */ {HDR, 0},
	/* BREAKPOINT_SET */ {sizeof(struct kdp_breakpoint_req), kdp_do_set},
	/* BREAKPOINT_REMOVE */ {sizeof(struct kdp_breakpoint_req), kdp_do_remove},
	/* REGIONS */ {HDR, kdp_do_regions},
	/* REATTACH */ {sizeof(struct kdp_reattach_req), kdp_do_reattach},
	/* HOSTREBOOT */ {HDR, kdp_do_reboot},
	/* READMEM64 */ {sizeof(struct kdp_mem64_req), kdp_do_readmem64},
	/* WRITEMEM64 */ {sizeof(struct kdp_mem64_req), kdp_do_writemem64},
	/* BREAKPOINT64_SET */ {sizeof(struct kdp_breakpoint64_req), kdp_do_set64},
	/* BREAKPOINT64_REMOVE */ {sizeof(struct kdp_breakpoint64_req), kdp_do_remove64},
	/* KERNELVERSION */ {HDR, kdp_do_kernelversion},
	/* READPHYSMEM64 */ {sizeof(struct kdp_phys_req), kdp_do_readphys},
	/* WRITEPHYSMEM64 */ {sizeof(struct kdp_phys_req), kdp_do_writephys},
	/* READIOPORT */ {sizeof(struct kdp_port_req), kdp_do_no_access},
	/* WRITEIOPORT */ {sizeof(struct kdp_port_req), kdp_do_no_access},
	/* READMSR64 */ {sizeof(struct kdp_msr_req), kdp_do_no_access},
	/* WRITEMSR64 */ {sizeof(struct kdp_msr_req), kdp_do_no_access},
	/* DUMPINFO */ {KDP_DUMPINFO_LEN, kdp_do_dumpinfo},
};

bool kdp_execute(struct kdp_server *s, uint8_t *out, unsigned *len, be16 *port)
{
	struct kdp_call call = {s, s->request, out, s->reply_port, 0, 0};
	struct kdp_hdr hdr;

	if (s->request.len < sizeof(hdr))
		return false;
	memcpy(&hdr, s->request.data, sizeof(hdr));
	if (le16_get(hdr.len) != s->request.len || hdr.request >= KDP_REQUESTS ||
	    s->request.len < kdp_rows[hdr.request].min || !kdp_rows[hdr.request].run) {
		if (kdp_complain(s))
			s->config.ops->log("kdp: bad packet: request %#x, length %u of %zu",
					   hdr.request, le16_get(hdr.len), s->request.len);
		return false;
	}
	call.key = le32_get(hdr.key);
	call.seq = hdr.seq;
	memset(out, 0, KDP_PACKET_MAX);
	*len = kdp_rows[hdr.request].run(&call);
	if (!*len)
		return false;
	hdr.request |= KDP_REPLY;
	hdr.len = le16_make((uint16_t)*len);
	memcpy(out, &hdr, sizeof(hdr));
	*port = call.port;
	return true;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/kdp/rsp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The registers as gdb numbers them. KDP tells the general ones; the others are there because gdb
 * insists on them, and are always unavailable.
 */
static const struct rsp_reg {
	const char *name, *type;
	int kdp; /* number in kdp_client_reg_names, -1: not told */
	unsigned bytes;
} rsp_regs[] = {
	{"rax", "int64", 0, 8},
	{"rbx", "int64", 1, 8},
	{"rcx", "int64", 2, 8},
	{"rdx", "int64", 3, 8},
	{"rsi", "int64", 5, 8},
	{"rdi", "int64", 4, 8},
	{"rbp", "data_ptr", 6, 8},
	{"rsp", "data_ptr", 7, 8},
	{"r8", "int64", 8, 8},
	{"r9", "int64", 9, 8},
	{"r10", "int64", 10, 8},
	{"r11", "int64", 11, 8},
	{"r12", "int64", 12, 8},
	{"r13", "int64", 13, 8},
	{"r14", "int64", 14, 8},
	{"r15", "int64", 15, 8},
	{"rip", "code_ptr", KDP_CLIENT_RIP, 8},
	{"eflags", "int32", KDP_CLIENT_RFLAGS, 4},
	{"cs", "int32", 18, 4},
	{"ss", "int32", -1, 4},
	{"ds", "int32", -1, 4},
	{"es", "int32", -1, 4},
	{"fs", "int32", 19, 4},
	{"gs", "int32", 20, 4},
	{"st0", "i387_ext", -1, 10},
	{"st1", "i387_ext", -1, 10},
	{"st2", "i387_ext", -1, 10},
	{"st3", "i387_ext", -1, 10},
	{"st4", "i387_ext", -1, 10},
	{"st5", "i387_ext", -1, 10},
	{"st6", "i387_ext", -1, 10},
	{"st7", "i387_ext", -1, 10},
	{"fctrl", "int", -1, 4},
	{"fstat", "int", -1, 4},
	{"ftag", "int", -1, 4},
	{"fiseg", "int", -1, 4},
	{"fioff", "int", -1, 4},
	{"foseg", "int", -1, 4},
	{"fooff", "int", -1, 4},
	{"fop", "int", -1, 4},
};
#define RSP_REGS (sizeof(rsp_regs) / sizeof(rsp_regs[0]))

void rsp_reset(struct rsp *r)
{
	struct kdp_client *client = r->client;
	struct kdp_client_exception e = r->exception;
	struct rsp_breakpoint kept[RSP_BREAKPOINTS];
	unsigned n = r->nbreakpoints;

	memcpy(kept, r->breakpoints, sizeof(kept));
	*r = (struct rsp){.client = client, .exception = e, .nbreakpoints = n};
	memcpy(r->breakpoints, kept, sizeof(kept));
}

/* ---- text ---- */

static int rsp_digit(int ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	return ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

/* A hexadecimal number of at least one digit; moves *at behind it. */
static bool rsp_number(const char **at, uint64_t *out)
{
	const char *start = *at;

	*out = 0;
	for (; rsp_digit(**at) >= 0 && *at - start < 16; ++*at)
		*out = *out << 4 | (uint64_t)rsp_digit(**at);
	return *at > start;
}

/* `number ch number`, as in most packets. */
static bool rsp_two(const char **at, uint64_t *one, char ch, uint64_t *two)
{
	return rsp_number(at, one) && *(*at)++ == ch && rsp_number(at, two);
}

static char *rsp_hex(char *out, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
	return out;
}

/* Pairs of digits; false if there are not n. */
static bool rsp_unhex(const char *text, uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++, text += 2) {
		int high = rsp_digit(text[0]), low = rsp_digit(text[1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static enum rsp_then rsp_say(char *out, const char *text)
{
	(void)snprintf(out, RSP_PACKET_MAX, "%s", text);
	return RSP_REPLY;
}

/* gdb learns a number, the person at the bridge why. */
static enum rsp_then rsp_result(const struct rsp *r, int rc, char *out)
{
	if (!rc)
		return rsp_say(out, "OK");
	(void)fprintf(stderr, "kdp: %s\n", kdp_client_error(r->client));
	return rsp_say(out, rc == -EFAULT ? "E0e" : "E01");
}

/* ---- registers ---- */

static char *rsp_reg(char *out, unsigned i, const uint64_t values[KDP_CLIENT_REGS])
{
	uint8_t bytes[8];
	uint64_t v;

	if (rsp_regs[i].kdp < 0) {
		memset(out, 'x', (size_t)2 * rsp_regs[i].bytes);
		out += (size_t)2 * rsp_regs[i].bytes;
		*out = '\0';
		return out;
	}
	v = values[rsp_regs[i].kdp];
	for (unsigned b = 0; b < 8; b++)
		bytes[b] = (uint8_t)(v >> 8 * b);
	return rsp_hex(out, bytes, rsp_regs[i].bytes);
}

/* Leaves the register alone if gdb does not know it either. */
static bool rsp_put_reg(const char *text, unsigned i, uint64_t values[KDP_CLIENT_REGS])
{
	uint8_t bytes[8];
	uint64_t v = 0;

	if (*text == 'x' || rsp_regs[i].kdp < 0)
		return true;
	if (!rsp_unhex(text, bytes, rsp_regs[i].bytes))
		return false;
	for (unsigned b = 0; b < rsp_regs[i].bytes; b++)
		v |= (uint64_t)bytes[b] << 8 * b;
	values[rsp_regs[i].kdp] = v;
	return true;
}

static enum rsp_then rsp_read_regs(struct rsp *r, const char *in, char *out)
{
	uint64_t values[KDP_CLIENT_REGS], n = 0;
	const char *at = in + 1;
	int rc;

	if (*in == 'p' && (!rsp_number(&at, &n) || n >= RSP_REGS))
		return rsp_say(out, "E01");
	rc = kdp_client_get_regs(r->client, values);
	if (rc)
		return rsp_result(r, rc, out);
	if (*in == 'p') {
		(void)rsp_reg(out, (unsigned)n, values);
		return RSP_REPLY;
	}
	for (unsigned i = 0; i < RSP_REGS; i++)
		out = rsp_reg(out, i, values);
	return RSP_REPLY;
}

static enum rsp_then rsp_write_regs(struct rsp *r, const char *in, char *out)
{
	uint64_t values[KDP_CLIENT_REGS], n;
	const char *at = in + 1;
	int rc = kdp_client_get_regs(r->client, values);
	bool good = true;

	if (rc)
		return rsp_result(r, rc, out);
	if (*in == 'P') {
		good = rsp_number(&at, &n) && *at++ == '=' && n < RSP_REGS &&
		       rsp_put_reg(at, (unsigned)n, values);
	} else {
		for (unsigned i = 0; i < RSP_REGS && good; i++) {
			size_t len = (size_t)2 * rsp_regs[i].bytes;

			good = strnlen(at, len) == len && rsp_put_reg(at, i, values);
			at += good ? len : 0;
		}
	}
	if (!good)
		return rsp_say(out, "E01");
	return rsp_result(r, kdp_client_set_regs(r->client, values), out);
}

/* ---- memory ---- */

static enum rsp_then rsp_read_mem(struct rsp *r, const char *in, char *out)
{
	uint8_t bytes[RSP_PACKET_MAX / 2 - 1];
	const char *at = in + 1;
	uint64_t addr, n;
	size_t got;
	int rc;

	if (!rsp_two(&at, &addr, ',', &n))
		return rsp_say(out, "E01");
	if (n > sizeof(bytes))
		n = sizeof(bytes);
	rc = kdp_client_read(r->client, addr, bytes, n, &got);
	if (rc && !(rc == -EFAULT && got))
		return rsp_say(out, "E0e");
	for (unsigned i = 0; i < r->nbreakpoints; i++)
		if (r->breakpoints[i].at - addr < got)
			bytes[r->breakpoints[i].at - addr] = r->breakpoints[i].old;
	(void)rsp_hex(out, bytes, got);
	return RSP_REPLY;
}

/* M: hexadecimal; X: the bytes as they are. */
static enum rsp_then rsp_write_mem(struct rsp *r, const uint8_t *in, size_t len, char *out)
{
	uint8_t bytes[RSP_PACKET_MAX];
	const char *at = (const char *)in + 1;
	uint64_t addr, n;
	size_t left;

	if (!rsp_two(&at, &addr, ',', &n) || *at++ != ':' || n > sizeof(bytes))
		return rsp_say(out, "E01");
	left = len - (size_t)(at - (const char *)in);
	if (*in == 'X') {
		if (left != n)
			return rsp_say(out, "E01");
		memcpy(bytes, at, n);
	} else if (left != 2 * n || !rsp_unhex(at, bytes, n)) {
		return rsp_say(out, "E01");
	}
	return rsp_result(r, kdp_client_write(r->client, addr, bytes, n), out);
}

/* ---- breakpoints and running ---- */

static struct rsp_breakpoint *rsp_find(struct rsp *r, uint64_t at)
{
	for (unsigned i = 0; i < r->nbreakpoints; i++)
		if (r->breakpoints[i].at == at)
			return &r->breakpoints[i];
	return NULL;
}

/* Software breakpoints only. To set one again, or to remove none, is no error to gdb. */
static enum rsp_then rsp_breakpoint(struct rsp *r, const char *in, char *out)
{
	const char *at = in + 1;
	struct rsp_breakpoint *b;
	uint64_t type, addr;
	uint8_t old;
	size_t got;
	int rc;

	if (!rsp_two(&at, &type, ',', &addr))
		return rsp_say(out, "E01");
	if (type != 0)
		return rsp_say(out, "");
	b = rsp_find(r, addr);
	if (*in == 'z') {
		if (!b)
			return rsp_say(out, "OK");
		*b = r->breakpoints[--r->nbreakpoints];
		return rsp_result(r, kdp_client_clear(r->client, addr), out);
	}
	if (b)
		return rsp_say(out, "OK");
	if (r->nbreakpoints == RSP_BREAKPOINTS)
		return rsp_say(out, "E1c");
	rc = kdp_client_read(r->client, addr, &old, 1, &got);
	if (!rc)
		rc = kdp_client_break(r->client, addr);
	if (!rc)
		r->breakpoints[r->nbreakpoints++] = (struct rsp_breakpoint){addr, old};
	return rsp_result(r, rc, out);
}

/* addr: where to go on, 0: where it stands. */
static enum rsp_then rsp_run(struct rsp *r, bool step, const char *addr, char *out)
{
	uint64_t values[KDP_CLIENT_REGS], to;
	int rc = kdp_client_get_regs(r->client, values);

	if (rc)
		return rsp_result(r, rc, out);
	if (addr && rsp_number(&addr, &to))
		values[KDP_CLIENT_RIP] = to;
	values[KDP_CLIENT_RFLAGS] &= ~(uint64_t)KDP_RFLAGS_TF;
	if (step)
		values[KDP_CLIENT_RFLAGS] |= KDP_RFLAGS_TF;
	r->stepping = step;
	r->step_from = values[KDP_CLIENT_RIP];
	rc = kdp_client_set_regs(r->client, values);
	if (!rc)
		rc = kdp_client_resume(r->client);
	return rc ? rsp_result(r, rc, out) : RSP_RUNNING;
}

static enum rsp_then rsp_vcont(struct rsp *r, const char *in, char *out)
{
	if (!strcmp(in, "vCont?"))
		return rsp_say(out, "vCont;c;C;s;S");
	/* The first action is for the only thread there is. */
	switch (strncmp(in, "vCont;", 6) != 0 ? 0 : in[6]) {
	case 'c':
	case 'C':
		return rsp_run(r, false, NULL, out);
	case 's':
	case 'S':
		return rsp_run(r, true, NULL, out);
	default:
		return rsp_say(out, !strncmp(in, "vKill", 5) ? "OK" : "");
	}
}

static enum rsp_then rsp_why(const struct rsp *r, char *out)
{
	/* By exception: access, instruction, arithmetic, emulation, software, breakpoint. */
	static const unsigned char signals[] = {5, 11, 4, 8, 5, 5, 5};
	uint32_t e = r->exception.exception;

	(void)snprintf(out, RSP_PACKET_MAX, "T%02x%sthread:1;",
		       e < sizeof(signals) ? signals[e] : 5,
		       r->at_breakpoint && r->swbreak ? "swbreak:;" : "");
	return RSP_REPLY;
}

/*
 * Behind a breakpoint of ours rip is moved back onto it, as gdb wants it; not if the machine came
 * there with one step of one byte.
 */
void rsp_stopped(struct rsp *r, const struct kdp_client_exception *e, char *out)
{
	uint64_t values[KDP_CLIENT_REGS];
	bool stepped = r->stepping;

	r->exception = *e;
	r->at_breakpoint = r->stepping = false;
	if (!kdp_client_get_regs(r->client, values)) {
		uint64_t before = values[KDP_CLIENT_RIP] - 1;

		values[KDP_CLIENT_RFLAGS] &= ~(uint64_t)KDP_RFLAGS_TF;
		r->at_breakpoint = e->exception == KDP_EXC_BREAKPOINT && rsp_find(r, before) &&
				   !(stepped && r->step_from == before);
		if (r->at_breakpoint)
			values[KDP_CLIENT_RIP] = before;
		if ((r->at_breakpoint || stepped) && kdp_client_set_regs(r->client, values))
			(void)fprintf(stderr, "kdp: %s\n", kdp_client_error(r->client));
	}
	(void)rsp_why(r, out);
}

/* ---- questions ---- */

static enum rsp_then rsp_features(const char *in, char *out)
{
	static const char wanted[] = "qXfer:features:read:target.xml:";
	char xml[8192];
	const char *at = in + sizeof(wanted) - 1;
	uint64_t off, n;
	size_t len;

	if (strncmp(in, wanted, sizeof(wanted) - 1) != 0)
		return rsp_say(out, "E00");
	if (!rsp_two(&at, &off, ',', &n))
		return rsp_say(out, "E01");
	len = (size_t)snprintf(xml, sizeof(xml),
			       "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
			       "<target><architecture>i386:x86-64</architecture>"
			       "<feature name=\"org.gnu.gdb.i386.core\">");
	for (unsigned i = 0; i < RSP_REGS; i++)
		len += (size_t)snprintf(xml + len, sizeof(xml) - len,
					"<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>",
					rsp_regs[i].name, rsp_regs[i].bytes * 8, rsp_regs[i].type);
	len += (size_t)snprintf(xml + len, sizeof(xml) - len, "</feature></target>");
	if (off >= len)
		return rsp_say(out, "l");
	if (n > RSP_PACKET_MAX - 2)
		n = RSP_PACKET_MAX - 2;
	(void)snprintf(out, n + 2 < RSP_PACKET_MAX ? n + 2 : RSP_PACKET_MAX, "%c%s",
		       len - off <= n ? 'l' : 'm', xml + off);
	return RSP_REPLY;
}

static enum rsp_then rsp_query(struct rsp *r, const char *in, char *out)
{
	static const char *const answers[][2] = {
		{"qAttached", "1"},    {"qC", "QC1"},	    {"qfThreadInfo", "m1"},
		{"qsThreadInfo", "l"}, {"qSymbol::", "OK"}, {"qTStatus", ""},
		{"qOffsets", ""},
	};

	if (!strncmp(in, "qSupported", 10)) {
		r->swbreak = strstr(in, "swbreak+") != NULL;
		(void)snprintf(out, RSP_PACKET_MAX,
			       "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;"
			       "vContSupported+%s",
			       RSP_PACKET_MAX - 16, r->swbreak ? ";swbreak+" : "");
		return RSP_REPLY;
	}
	if (!strcmp(in, "QStartNoAckMode")) {
		(void)rsp_say(out, "OK");
		return RSP_NO_ACK;
	}
	if (!strncmp(in, "qXfer:features:read:", 20))
		return rsp_features(in, out);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (!strcmp(in, answers[i][0]))
			return rsp_say(out, answers[i][1]);
	return rsp_say(out, "");
}

static enum rsp_then rsp_detach(struct rsp *r, char *out)
{
	int rc = kdp_client_disconnect(r->client);

	r->nbreakpoints = 0;
	(void)rsp_result(r, rc, out);
	return RSP_BYE;
}

enum rsp_then rsp_packet(struct rsp *r, const uint8_t *in, size_t len, char *out)
{
	const char *text = (const char *)in;

	switch (len ? text[0] : 0) {
	case '?':
		return rsp_why(r, out);
	case 'g':
	case 'p':
		return rsp_read_regs(r, text, out);
	case 'G':
	case 'P':
		return rsp_write_regs(r, text, out);
	case 'm':
		return rsp_read_mem(r, text, out);
	case 'M':
	case 'X':
		return rsp_write_mem(r, in, len, out);
	case 'Z':
	case 'z':
		return rsp_breakpoint(r, text, out);
	case 'c':
	case 's':
		return rsp_run(r, text[0] == 's', text + 1, out);
	case 'v':
		return rsp_vcont(r, text, out);
	case 'D':
		return rsp_detach(r, out);
	case 'k': /* to kill a kernel is nobody's wish: let it go */
		(void)rsp_detach(r, out);
		out[0] = '\0';
		return RSP_BYE;
	case 'H':
	case 'T':
		return rsp_say(out, "OK");
	case 'q':
	case 'Q':
		return rsp_query(r, text, out);
	default:
		return rsp_say(out, "");
	}
}

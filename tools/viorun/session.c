/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tools/viorun/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/stack/ping.h"
#include "tools/stack/responder.h"

#define LINE	    512u
#define WORDS	    5u
#define PING_ID	    0x7673u
#define PING_US	    1500000u
#define PING_SIZE   56u
#define DHCP_US	    8000000u
#define TRANSFER_US 60000000u
#define SEED	    UINT64_C(0x76696f6b6974)

struct session {
	struct stack *s;
	struct results *r;
	struct responder *responder;
	uint64_t deadline;
	uint16_t ping_seq;
	bool over;
	char line[LINE];
	size_t have;
};

struct session_command {
	const char *name;
	unsigned words; /* at least, the name included */
	void (*run)(struct session *ss, char **word);
};

static void session_say(json_t *o)
{
	(void)json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	(void)fputc('\n', stdout);
	(void)fflush(stdout);
	json_decref(o);
}

__attribute__((format(printf, 1, 2))) static void session_sorry(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	session_say(json_pack("{sb ss}", "ok", 0, "error", text));
}

void session_event(const char *event, const struct results *r)
{
	json_t *o = json_sink_results(r);

	json_object_set_new(o, "event", json_string(event));
	session_say(o);
}

static uint64_t session_until(const struct session *ss, uint64_t us)
{
	uint64_t at = stack_now() + us;

	return at < ss->deadline ? at : ss->deadline;
}

/* ---- words ---- */

static bool session_address(const char *text, uint8_t out[4])
{
	if (inet_pton(AF_INET, text, out) == 1)
		return true;
	session_sorry("'%.60s' is not an IPv4 address", text);
	return false;
}

static bool session_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (!errno && end != text && !*end && *text != '-' && *out >= min && *out <= max)
		return true;
	session_sorry("'%.60s' is not a number from %" PRIu64 " to %" PRIu64, text, min, max);
	return false;
}

/* ---- commands ---- */

static void session_ping(struct session *ss, char **word)
{
	struct ping ping = {.id = PING_ID, .seq = ss->ping_seq++, .size = PING_SIZE};
	uint64_t size = PING_SIZE;

	if (!session_address(word[1], ping.to) ||
	    (word[2] && !session_number(word[2], 1, PING_SIZE_MAX, &size)))
		return;
	ping.size = (uint32_t)size;
	if (ping_once(ss->s, &ping, session_until(ss, PING_US)) != STACK_OK)
		session_sorry("%s", ss->s->err);
	else
		session_say(json_pack("{sb si}", "ok", 1, "us", (int)ping.rtt_us));
}

static void session_transfer(struct session *ss, char **word)
{
	struct transfer t = {.upload = *word[0] == 'p', .seed = SEED};
	uint64_t port, bytes;

	if (!session_address(word[1], t.to) || !session_number(word[2], 1, UINT16_MAX, &port) ||
	    !session_number(word[3], 1, OPTIONS_BYTES_MAX, &bytes))
		return;
	t.port = (uint16_t)port;
	t.bytes = bytes;
	t.deadline = session_until(ss, TRANSFER_US);
	if (transfer_run(ss->s, &t) != STACK_OK)
		session_sorry("%s", ss->s->err);
	else
		session_say(json_pack("{sb sI sf sf}", "ok", 1, "bytes", (json_int_t)t.done,
				      "seconds", t.seconds, "mbit_s", t.mbit_s));
	*(t.upload ? &ss->r->upload : &ss->r->download) = t;
}

static void session_serve(struct session *ss, char **word)
{
	uint64_t port;

	if (!session_number(word[1], 1, UINT16_MAX, &port))
		return;
	if (ss->responder) {
		session_sorry("there is a server already");
		return;
	}
	ss->responder = responder_start((uint16_t)port);
	if (!ss->responder)
		session_sorry("port %" PRIu64 " cannot be listened on", port);
	else
		session_say(json_pack("{sb}", "ok", 1));
}

static void session_served(struct session *ss, char **word)
{
	struct responder_stats st = {.served = 0};

	(void)word;
	if (ss->responder)
		responder_stats(ss->responder, &st);
	session_say(json_pack("{sb si si sI sI si}", "ok", 1, "connections", (int)st.connections,
			      "served", (int)st.served, "sent", (json_int_t)st.sent, "received",
			      (json_int_t)st.received, "bad", (int)st.bad));
}

static void session_renew(struct session *ss, char **word)
{
	const struct dhcp_lease *l = &ss->r->lease;

	(void)word;
	if (stack_dhcp(ss->s, session_until(ss, DHCP_US), &ss->r->lease) != STACK_OK)
		session_sorry("%s", ss->s->err);
	else
		session_say(json_pack("{sb so so}", "ok", 1, "address",
				      json_sprintf("%u.%u.%u.%u", l->address[0], l->address[1],
						   l->address[2], l->address[3]),
				      "router",
				      json_sprintf("%u.%u.%u.%u", l->router[0], l->router[1],
						   l->router[2], l->router[3])));
}

static void session_quit(struct session *ss, char **word)
{
	(void)word;
	ss->over = true;
	session_say(json_pack("{sb}", "ok", 1));
}

static const struct session_command commands[] = {
	{"ping", 2, session_ping},   {"get", 4, session_transfer},  {"put", 4, session_transfer},
	{"serve", 2, session_serve}, {"served", 1, session_served}, {"renew", 1, session_renew},
	{"quit", 1, session_quit},
};

static void session_do(struct session *ss, char *line)
{
	char *word[WORDS + 1] = {NULL}, *save = NULL;
	unsigned n = 0;

	for (char *w = strtok_r(line, " \t\r", &save); w && n < WORDS;
	     w = strtok_r(NULL, " \t\r", &save))
		word[n++] = w;
	if (!n)
		return;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, word[0]) != 0)
			continue;
		if (n < commands[i].words)
			session_sorry("%s needs %u more words", word[0], commands[i].words - n);
		else
			commands[i].run(ss, word);
		return;
	}
	session_sorry("unknown command '%.60s'", word[0]);
}

/* ---- the loop ---- */

static bool session_news(void *arg)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	(void)arg;
	return poll(&in, 1, 0) > 0;
}

static void session_hear(struct session *ss)
{
	ssize_t n = read(STDIN_FILENO, ss->line + ss->have, LINE - ss->have);
	char *end;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		ss->over = true;
		return;
	}
	ss->have += (size_t)n;
	while (!ss->over && (end = memchr(ss->line, '\n', ss->have))) {
		size_t used = (size_t)(end - ss->line) + 1;

		*end = '\0';
		session_do(ss, ss->line);
		ss->have -= used;
		memmove(ss->line, ss->line + used, ss->have);
	}
	if (ss->have == LINE) {
		ss->have = 0;
		session_sorry("a command of more than %u characters", LINE - 1);
	}
}

bool session_run(struct stack *s, struct results *r, uint64_t deadline, char *err, size_t err_len)
{
	struct session *ss = calloc(1, sizeof(*ss));
	int why = STACK_OK;

	if (!ss) {
		(void)snprintf(err, err_len, "out of memory");
		return false;
	}
	*ss = (struct session){.s = s, .r = r, .deadline = deadline};
	session_event("ready", r);
	while (!ss->over && (why = stack_run(s, session_news, NULL, deadline)) == STACK_OK)
		session_hear(ss);
	responder_stop(ss->responder);
	/* let the last FIN or RST leave */
	if (why == STACK_OK)
		(void)stack_run(s, NULL, NULL, stack_now() + STACK_NAP_US);
	free(ss);
	if (why == STACK_OK)
		return true;
	(void)snprintf(err, err_len, "session: %s",
		       why == STACK_TIMEOUT ? "the time is up (--timeout)" : s->err);
	return false;
}

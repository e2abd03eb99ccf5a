/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's end of the NAT worker: its life, its frames, its forwards.
 *
 * Theory of operation. One worker at a time; all that belongs to it (process, lanes, bells, control
 * socket, their watchers) is a `life`, which is thrown away as a whole when any part of it fails.
 * The next one begins when the process has really gone, since until then it holds the forwarded
 * ports.
 *
 * Forwards: those that are open are in a list and are given to every new worker. What was asked and
 * not answered yet is in a queue in order; it is sent again to the next worker if this one dies,
 * and only fails when workers keep dying.
 */
#include "host/netd/uplink.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/netd/uplink_int.h"

#define RESTART_MS   100u
#define QUICK_MS     10000u /* a life shorter than this counts against the worker */
#define QUICK_MAX    5u
#define BACKOFF_MAX  30000u
#define STATS_MS     2000u
#define READS_MAX    4u
#define OPS_UNDERWAY 32u

static void start(struct uplink *u);

/* ---- life ---- */

/* One that never began has no uplink. */
static void life_free(struct life *l)
{
	lane_unmap(&l->in);
	lane_unmap(&l->out);
	if (l->u)
		uplink_put(l->u);
	free(l);
}

static void life_closed(uv_handle_t *h)
{
	struct life *l = h->data;

	if (!--l->handles)
		life_free(l);
}

static void restart_due(uv_timer_t *t)
{
	start(t->data);
}

static void schedule(struct uplink *u)
{
	uint64_t wait = RESTART_MS;

	if (u->closing)
		return;
	if (u->quick >= QUICK_MAX) {
		unsigned shift = u->quick - QUICK_MAX;

		wait = shift > 5 ? BACKOFF_MAX : 1000u << shift;
		if (wait > BACKOFF_MAX)
			wait = BACKOFF_MAX;
		uplink_ops_fail(u, "the NAT worker does not stay up", EAGAIN);
	}
	uv_timer_start(&u->restart, restart_due, wait, 0);
}

/* What joins us to it goes at once, the process is waited for. */
static void life_end(struct life *l, const char *why)
{
	struct uplink *u = l->u;

	if (l->ended)
		return;
	l->ended = true;
	uv_close((uv_handle_t *)&l->bell, life_closed);
	uv_close((uv_handle_t *)&l->control, life_closed);
	close(l->bell_fd);
	close(l->worker_fd);
	close(l->control_fd);
	if (!l->exited)
		uv_process_kill(&l->process, SIGKILL);
	u->ready = false;
	if (!u->closing && u->params.event)
		u->params.event(u->params.ctx, why);
}

static void exited(uv_process_t *process, int64_t status, int signal)
{
	struct life *l = process->data;
	struct uplink *u = l->u;
	char why[96];

	l->exited = true;
	if (signal)
		snprintf(why, sizeof(why), "the NAT worker was ended by signal %d", signal);
	else
		snprintf(why, sizeof(why), "the NAT worker ended with status %lld",
			 (long long)status);
	life_end(l, why);
	uv_close((uv_handle_t *)process, life_closed);
	u->life = NULL;
	if (uv_now(u->params.loop) - l->born < QUICK_MS)
		u->quick++;
	else
		u->quick = 0;
	schedule(u);
}

void uplink_lost(struct uplink *u, const char *why)
{
	if (u->life)
		life_end(u->life, why);
}

/* ---- control ---- */

static bool send_control(struct uplink *u, json_t *o)
{
	char text[NAT_MESSAGE_MAX];
	size_t n = json_dumpb(o, text, sizeof(text), JSON_COMPACT);

	json_decref(o);
	if (!u->life || u->life->ended || n > sizeof(text))
		return false;
	return send(u->life->control_fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static json_t *op_message(const struct netdef_forward *f, bool add, uint64_t id)
{
	char address[16];

	netdef_format_addr4(f->address, address);
	return json_pack("{s:s, s:I, s:b, s:b, s:s, s:i, s:i, s:s, s:i}", "op", "forward", "id",
			 (json_int_t)id, "add", (int)add, "udp", (int)f->udp, "host", f->host,
			 "first", f->first, "last", f->last, "address", address, "port", f->port);
}

/* As many as may be under way; the others follow when answers come. */
static void send_ops(struct uplink *u)
{
	unsigned underway = 0;

	if (!u->ready)
		return;
	for (struct uplink_op *op = u->ops; op; op = op->next) {
		if (!op->sent && (underway >= OPS_UNDERWAY ||
				  !send_control(u, op_message(&op->f, op->add, op->id))))
			return;
		op->sent = true;
		underway++;
	}
}

static void ready(struct uplink *u, const json_t *o)
{
	const char *library = json_string_value(json_object_get(o, "library"));

	u->ready = true;
	snprintf(u->library, sizeof(u->library), "%s", library ? library : "unknown");
	json_decref(u->warnings);
	u->warnings = json_deep_copy(json_object_get(o, "warnings"));
	uplink_ops_again(u);
	if (u->params.event)
		u->params.event(u->params.ctx, NULL);
	send_ops(u);
}

static void message(struct uplink *u, const char *text, size_t len)
{
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *id = json_object_get(o, "id"), *stats = json_object_get(o, "stats");

	if (json_is_true(json_object_get(o, "ready"))) {
		ready(u, o);
	} else if (stats) {
		json_decref(u->counted);
		u->counted = json_deep_copy(stats);
	} else if (json_is_integer(id)) {
		bool ok = json_is_true(json_object_get(o, "ok"));
		const char *err = json_string_value(json_object_get(o, "error"));
		int error = (int)json_integer_value(json_object_get(o, "errno"));

		uplink_op_answer(u, (uint64_t)json_integer_value(id), ok,
				 err ? err : "the NAT worker gave no reason", error ? error : EIO);
		send_ops(u);
	}
	json_decref(o);
}

static void control_event(uv_poll_t *poll, int status, int events)
{
	struct life *l = poll->data;
	char text[NAT_MESSAGE_MAX];

	(void)events;
	for (unsigned i = 0; i < OPS_UNDERWAY && !l->ended; i++) {
		ssize_t n = recv(l->control_fd, text, sizeof(text), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR) && !status)
			return;
		if (n <= 0) {
			life_end(l, "the NAT worker has closed its socket");
			return;
		}
		message(l->u, text, (size_t)n);
	}
}

static void ask_stats(uv_timer_t *t)
{
	struct uplink *u = t->data;

	if (u->ready)
		send_control(u, json_pack("{s:s, s:i}", "op", "stats", "id", 0));
}

/* ---- the bell ---- */

static void bell_event(uv_poll_t *poll, int status, int events)
{
	struct life *l = poll->data;

	(void)events;
	lane_heard(l->bell_fd);
	if (status < 0) {
		life_end(l, "the NAT worker cannot be listened to");
		return;
	}
	for (unsigned i = 0; i < READS_MAX && !l->ended; i++)
		if (!uplink_frames_read(l->u) && lane_sleep(&l->in))
			return;
	/* More than a turn's worth: others first. */
	if (!l->ended)
		lane_ring(l->bell_fd);
}

/* ---- start ---- */

/* DNS over TCP goes there: the first IPv4 server the network names, else the host's. */
static bool dns_server(const struct netdef *def, char address[46], unsigned *port)
{
	char line[256], word[46];
	bool found = false;
	uint32_t a;
	FILE *f;

	if (!def->dns)
		return false;
	for (unsigned i = 0; i < def->nupstream; i++)
		if (netdef_parse_addr4(def->upstream[i].address, &a)) {
			snprintf(address, 46, "%s", def->upstream[i].address);
			*port = def->upstream[i].port ? def->upstream[i].port : 53;
			return true;
		}
	if (def->nupstream)
		return false;
	f = fopen("/etc/resolv.conf", "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		if (sscanf(line, " nameserver %45s", word) == 1 && netdef_parse_addr4(word, &a)) {
			snprintf(address, 46, "%s", word);
			*port = 53;
			found = true;
		}
	fclose(f);
	return found;
}

static json_t *config_message(const struct uplink *u)
{
	const struct netdef *d = u->params.def;
	char subnet[16], netmask[16], gateway[16], mac[18], dns[46], prefix[46];
	static const uint8_t none[16];
	unsigned port;
	json_t *o;

	netdef_format_addr4(d->subnet, subnet);
	netdef_format_addr4(d->netmask, netmask);
	netdef_format_addr4(d->gateway, gateway);
	netdef_format_mac(u->params.gateway_mac, mac);
	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:b, s:b, s:b}", "op", "config",
		      "subnet", subnet, "netmask", netmask, "gateway", gateway, "gateway_mac", mac,
		      "mtu", (int)d->mtu, "nat44", (int)d->nat44, "nat66", (int)d->nat66,
		      "restricted", (int)(d->mode == NETDEF_HOST), "host_loopback",
		      (int)d->host_loopback);
	if (memcmp(d->prefix6, none, sizeof(none)) != 0 &&
	    !uv_inet_ntop(AF_INET6, d->prefix6, prefix, sizeof(prefix)))
		json_object_set_new(o, "prefix6", json_string(prefix));
	if (d->mode != NETDEF_HOST && dns_server(d, dns, &port)) {
		json_object_set_new(o, "dns", json_string(dns));
		json_object_set_new(o, "dns_port", json_integer(port));
	}
	for (unsigned i = 0; u->params.options && u->params.options[i]; i++)
		json_object_set_new(o, u->params.options[i], json_true());
	return o;
}

static bool spawn(struct uplink *u, struct life *l, const int theirs[NAT_FD_COUNT])
{
	char name[] = "vmnet-nat";
	char *args[] = {name, NULL};
	uv_stdio_container_t stdio[NAT_FD_COUNT] = {
		{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = 2},
		{.flags = UV_INHERIT_FD, .data.fd = 2},
	};
	uv_process_options_t options = {
		.exit_cb = exited,
		.file = u->params.program ? u->params.program : "/proc/self/exe",
		.args = args,
		.stdio = stdio,
		.stdio_count = NAT_FD_COUNT,
	};
	int rc;

	for (unsigned i = NAT_FD_LANES; i < NAT_FD_COUNT; i++)
		stdio[i] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = theirs[i]};
	rc = uv_spawn(u->params.loop, &l->process, &options);
	l->process.data = l;
	u->spawn_error = rc;
	return !rc;
}

static void close_all(int fds[NAT_FD_COUNT])
{
	for (unsigned i = 0; i < NAT_FD_COUNT; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* What the worker will have, in `theirs`, and the daemon's own end of the control socket. */
static bool join(struct life *l, int theirs[NAT_FD_COUNT])
{
	int control[2];

	for (unsigned i = 0; i < NAT_FD_COUNT; i++)
		theirs[i] = -1;
	theirs[NAT_FD_LANES] = lane_memory(2);
	theirs[NAT_FD_BELL] = l->worker_fd = lane_bell();
	theirs[NAT_FD_DAEMON] = l->bell_fd = lane_bell();
	if (theirs[NAT_FD_LANES] < 0 || l->worker_fd < 0 || l->bell_fd < 0 ||
	    !lane_map(&l->out, theirs[NAT_FD_LANES], NAT_LANE_OUT, l->worker_fd) ||
	    !lane_map(&l->in, theirs[NAT_FD_LANES], NAT_LANE_IN, l->worker_fd) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control))
		return false;
	l->control_fd = control[0];
	theirs[NAT_FD_CONTROL] = control[1];
	return true;
}

static bool begin(struct uplink *u)
{
	int theirs[NAT_FD_COUNT];
	struct life *l = calloc(1, sizeof(*l));

	if (!l)
		return false;
	if (!join(l, theirs)) {
		u->spawn_error = -errno;
		close_all(theirs);
		life_free(l);
		return false;
	}
	l->u = u;
	l->born = uv_now(u->params.loop);
	u->refs++;
	if (!spawn(u, l, theirs)) {
		close_all(theirs);
		close(l->control_fd);
		l->handles = 1;
		uv_close((uv_handle_t *)&l->process, life_closed);
		return false;
	}
	close(theirs[NAT_FD_LANES]);
	close(theirs[NAT_FD_CONTROL]);
	l->handles = 3;
	uv_poll_init(u->params.loop, &l->bell, l->bell_fd);
	uv_poll_init(u->params.loop, &l->control, l->control_fd);
	l->bell.data = l->control.data = l;
	u->life = l;
	uv_poll_start(&l->control, UV_READABLE, control_event);
	uv_poll_start(&l->bell, UV_READABLE, bell_event);
	if (!lane_sleep(&l->in))
		lane_ring(l->bell_fd);
	if (!send_control(u, config_message(u)))
		life_end(l, "the NAT worker does not take its configuration");
	return true;
}

static void start(struct uplink *u)
{
	if (u->closing || u->life)
		return;
	if (u->starts++)
		u->restarts++;
	uplink_ops_unsend(u);
	if (!begin(u)) {
		u->quick++;
		schedule(u);
	}
}

struct uplink *uplink_open(const struct uplink_params *params, char err[NETDEF_ERR_MAX])
{
	struct uplink *u = calloc(1, sizeof(*u));

	if (!u || !(u->in = malloc(UPLINK_IN))) {
		snprintf(err, NETDEF_ERR_MAX, "out of memory");
		free(u);
		return NULL;
	}
	u->params = *params;
	u->refs = 1;
	u->starts = 1;
	uv_timer_init(params->loop, &u->restart);
	uv_timer_init(params->loop, &u->stats);
	u->restart.data = u->stats.data = u;
	u->refs += 2;
	if (!begin(u)) {
		snprintf(err, NETDEF_ERR_MAX, "cannot start the NAT worker: %s",
			 uv_strerror(u->spawn_error ? u->spawn_error : UV_ENOMEM));
		uplink_close(u);
		return NULL;
	}
	uv_timer_start(&u->stats, ask_stats, STATS_MS, STATS_MS);
	uv_unref((uv_handle_t *)&u->stats);
	return u;
}

void uplink_put(struct uplink *u)
{
	if (--u->refs)
		return;
	free(u->in);
	json_decref(u->counted);
	json_decref(u->warnings);
	free(u);
}

static void timer_closed(uv_handle_t *h)
{
	uplink_put(h->data);
}

void uplink_close(struct uplink *u)
{
	u->closing = true;
	uplink_ops_fail(u, "the network goes away", ECANCELED);
	uplink_ops_free(u);
	uv_close((uv_handle_t *)&u->restart, timer_closed);
	uv_close((uv_handle_t *)&u->stats, timer_closed);
	if (u->life)
		life_end(u->life, "closed");
	uplink_put(u);
}

/* ---- asked from outside ---- */

void uplink_forward(struct uplink *u, bool add, const struct netdef_forward *f,
		    void (*done)(void *arg, const char *err, int error), void *arg)
{
	uplink_op_new(u, add, f, done, arg);
	send_ops(u);
}

pid_t uplink_pid(const struct uplink *u)
{
	return u->life && !u->life->exited ? (pid_t)uv_process_get_pid(&u->life->process) : 0;
}

bool uplink_ready(const struct uplink *u)
{
	return u->ready;
}

json_t *uplink_stats(const struct uplink *u)
{
	json_t *o = json_pack("{s:s, s:i, s:b, s:i, s:s, s:I, s:I, s:I, s:I, s:I}", "kind",
			      "nat-slirp", "pid", (int)uplink_pid(u), "ready", (int)u->ready,
			      "restarts", (int)u->restarts, "library", u->library, "rx_frames",
			      (json_int_t)u->rx_frames, "rx_bytes", (json_int_t)u->rx_bytes,
			      "tx_frames", (json_int_t)u->tx_frames, "tx_bytes",
			      (json_int_t)u->tx_bytes, "tx_dropped", (json_int_t)u->tx_dropped);

	json_object_set_new(o, "warnings",
			    u->warnings ? json_deep_copy(u->warnings) : json_array());
	if (u->counted)
		json_object_set_new(o, "worker", json_deep_copy(u->counted));
	return o;
}

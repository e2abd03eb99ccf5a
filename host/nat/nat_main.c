/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NAT worker's process: take the configuration, start libslirp, give up power, serve.
 *
 * It never outlives the daemon: it gets SIGKILL with it, and ends by itself when its control socket
 * does. Everything that needs a file is done before sandbox_enter().
 */
#include "host/netd/uplink_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/nat/control.h"
#include "host/nat/sandbox.h"

#define CONFIG_WAIT_MS 10000
#define FDS_MAX	       4096u

struct process {
	struct worker worker;
	struct lane from_daemon, to_daemon;
	struct forwards forwards;
	struct pollfd fds[FDS_MAX + TCP_FLOWS + RELAY_FDS + 2];
};

static bool send_json(json_t *o)
{
	char text[NAT_MESSAGE_MAX];
	size_t n = json_dumpb(o, text, sizeof(text), JSON_COMPACT);

	json_decref(o);
	if (n > sizeof(text))
		return true;
	/* A daemon that does not read its answers has no claim on them. */
	return send(NAT_FD_CONTROL, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno == EAGAIN;
}

static bool take_config(struct nat_config *config, char *err, size_t err_len)
{
	struct pollfd p = {.fd = NAT_FD_CONTROL, .events = POLLIN};
	char text[NAT_MESSAGE_MAX];
	ssize_t n;

	if (poll(&p, 1, CONFIG_WAIT_MS) != 1) {
		snprintf(err, err_len, "no configuration came");
		return false;
	}
	n = recv(NAT_FD_CONTROL, text, sizeof(text), 0);
	if (n <= 0) {
		snprintf(err, err_len, "no configuration came: %s",
			 n ? strerror(errno) : "the daemon has gone");
		return false;
	}
	return control_config(text, (size_t)n, config, err, err_len);
}

/* False: the daemon has gone. */
static bool serve_control(struct process *p)
{
	char text[NAT_MESSAGE_MAX];
	ssize_t n = recv(NAT_FD_CONTROL, text, sizeof(text), MSG_DONTWAIT);
	json_t *answer;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!n)
		return false;
	answer = control_message(&p->worker, &p->forwards, text, (size_t)n);
	return !answer || send_json(answer);
}

static bool turn(struct process *p)
{
	struct worker *w = &p->worker;
	bool hold = lane_wait(w->to_daemon, WORKER_HIGH);
	unsigned n = 2;
	int timeout = lane_sleep(w->from_daemon) ? 1000 : 0, got;

	p->fds[0] = (struct pollfd){.fd = NAT_FD_BELL, .events = POLLIN};
	p->fds[1] = (struct pollfd){.fd = NAT_FD_CONTROL, .events = POLLIN};
	tcp_fill(&w->tcp, p->fds, &n, &timeout, hold);
	relay_fill(&w->relay, p->fds, &n);
	slirp_nat_fill(w->slirp, p->fds, &n, &timeout, hold);
	got = poll(p->fds, n, timeout);
	lane_wake(w->from_daemon);
	if (got < 0 && errno != EINTR)
		return false;
	worker_tick(w);
	slirp_nat_poll(w->slirp, got < 0);
	if (got < 0)
		return true;
	tcp_poll(&w->tcp, p->fds);
	relay_poll(&w->relay, p->fds, w->filter.now);
	if (w->kick)
		worker_end(w);
	if (p->fds[0].revents)
		lane_heard(NAT_FD_BELL);
	if (!worker_read(w))
		return false;
	lane_tell(w->to_daemon);
	return !p->fds[1].revents || serve_control(p);
}

static bool open_lanes(struct process *p)
{
	bool ok = lane_map(&p->from_daemon, NAT_FD_LANES, NAT_LANE_OUT, NAT_FD_DAEMON) &&
		  lane_map(&p->to_daemon, NAT_FD_LANES, NAT_LANE_IN, NAT_FD_DAEMON);

	close(NAT_FD_LANES);
	return ok;
}

static unsigned raise_fds(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return 64;
	if (r.rlim_max > FDS_MAX)
		r.rlim_max = FDS_MAX;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		return 64;
	return (unsigned)r.rlim_cur;
}

static int fail(int status, const char *text)
{
	fprintf(stderr, "vmnet-nat: %s\n", text);
	return status;
}

int nat_main(int argc, char **argv)
{
	struct process *p;
	struct nat_config config;
	char err[256] = "";
	const char *warnings[2];
	json_t *list;
	unsigned fds;

	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	if (fcntl(NAT_FD_LANES, F_GETFD) < 0 || fcntl(NAT_FD_CONTROL, F_GETFD) < 0)
		return fail(2, "this program is started by the vmnet daemon");
	sandbox_first();
	fds = raise_fds();
	if (!take_config(&config, err, sizeof(err)))
		return fail(2, err);
	p = calloc(1, sizeof(*p));
	if (!p || !open_lanes(p))
		return fail(1, "out of memory");
	if (!worker_open(&p->worker, &config, &p->from_daemon, &p->to_daemon, fds, err,
			 sizeof(err)))
		return fail(1, err);
	p->forwards = (struct forwards){.slirp = p->worker.slirp, .relay = &p->worker.relay};
	warnings[0] = slirp_nat_warning();
	warnings[1] = NULL;
	if (config.no_sandbox)
		warnings[1] = "the NAT worker is not confined: it was asked not to be";
	else if (!sandbox_enter(&warnings[1], err, sizeof(err)))
		return fail(1, err);
	list = json_array();
	for (unsigned i = 0; i < 2; i++)
		if (warnings[i])
			json_array_append_new(list, json_string(warnings[i]));
	if (send_json(json_pack("{s:b, s:s, s:o}", "ready", 1, "library", slirp_nat_version(),
				"warnings", list)))
		while (turn(p))
			;
	/* At once: what libraries would do at exit is not for a confined process. */
	syscall(SYS_exit_group, 0);
	return 0;
}

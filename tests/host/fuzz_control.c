/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer over the control protocol: bytes of a client into a whole broker.
 *
 * Each input is one connection: what it sends, in pieces, the last of which may end anywhere. A
 * descriptor goes with the first piece if the first byte's lowest bit says so. All networks are
 * `host` ones, so nothing is started; the state file is a fresh one in a folder of this process.
 * Afterwards nothing of the connection may be left but what it left to the daemon on purpose.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/netd/broker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define TURNS 64

static uv_loop_t loop;
static struct broker broker;
static struct sockaddr_un addr = {.sun_family = AF_UNIX};
static socklen_t addr_len;
static char dir[] = "/tmp/vmnet-fuzz-XXXXXX";

static void ended(struct broker *b)
{
	(void)b; /* a daemon would; the next input needs this one */
}

static void tidy(void)
{
	char cmd[96];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0) /* NOLINT(cert-env33-c): a folder of our own making */
		perror(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char yaml[] = "networks:\n  shared: {mode: host, linger: 0}\n"
				   "  dev: {mode: host, subnet: 10.9.0.0/24, linger: 0}\n";
	char path[64], err[NETDEF_ERR_MAX];
	struct state *state;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)argc;
	(void)argv;
	if (!mkdtemp(dir) || fd < 0)
		abort();
	(void)atexit(tidy);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)snprintf(path, sizeof(path), "%s/state", dir);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control", dir);
	addr_len = sizeof(addr);
	state = state_open(path, err, sizeof(err));
	if (!state || uv_loop_init(&loop) || bind(fd, (struct sockaddr *)&addr, addr_len) ||
	    listen(fd, 16) || !config_parse(&broker.config, "fuzz", yaml, sizeof(yaml) - 1, err))
		abort();
	broker.end = ended;
	if (!broker_open(&broker, &loop, state) || !control_open(&broker, fd))
		abort();
	return 0;
}

static void turn(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		(void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void with_fd(int to, const void *data, size_t len)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ctl;
	struct iovec iov = {(void *)(uintptr_t)data, len};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl),
	};
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return;
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &pair[0], sizeof(int));
	(void)sendmsg(to, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char answer[4096];
	int fd;

	if (!len)
		return 0;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, addr_len))
		abort();
	(void)send(fd, "{\"op\":\"hello\",\"protocol\":1}\n", 28, MSG_DONTWAIT | MSG_NOSIGNAL);
	turn(2);
	if (data[0] & 1)
		with_fd(fd, data + 1, len - 1);
	else
		(void)send(fd, data + 1, len - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	turn(4);
	if (data[0] & 2)
		(void)shutdown(fd, SHUT_WR);
	turn(2);
	while (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		turn(1);
	(void)close(fd);
	for (unsigned i = 0; i < TURNS && broker.nconns; i++)
		turn(1);
	if (broker.nconns)
		abort();
	for (unsigned i = 0; i < TURNS && (broker.doors || broker.networks); i++) {
		while (broker.doors)
			door_close(broker.doors, true);
		turn(2);
		if (broker.networks)
			network_down(broker.networks);
	}
	turn(4);
	return 0;
}

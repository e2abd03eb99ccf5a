/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmnet run: a VM on a network.
 *
 * The VMM is our child and has one end of a socket pair; the daemon has the other, of which we keep
 * a duplicate. So when the daemon dies the VMM sees nothing of it: the next daemon is given the
 * duplicate (hold.h). We see to it that the child has the terminal to itself: signals from the
 * terminal reach the whole process group and are not sent on, those meant for us are; when the
 * child is stopped by the terminal, so are we; and we end after it, with its status.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/hold.h"
#include "host/cli/vmm.h"

#define GONE_WAIT_MS 500 /* a VM that ends closes its socket first: nothing to tell */

struct run {
	struct cli *cli;
	struct hold hold;
	struct vmnet_join join;
	struct vmnet_member me;
	int vm_fd;
	int keep; /* the daemon's end */
	int signals;
	sigset_t before;
	pid_t child;
	int64_t gone_ms; /* 0: no */
	char gone[160];
};

static bool ask(struct hold *h, bool again, struct vmnet_error *err)
{
	struct run *r = h->arg;
	struct vmnet_join same = {
		.network = r->join.network,
		.name = r->me.name,
		.mac = r->me.mac,
		.kind = r->join.kind,
	};

	if (again)
		return vmnet_rejoin(h->client, &same, r->keep, &r->me, err);
	r->vm_fd = vmnet_join(h->client, &r->join, &r->me, &r->keep, err);
	return r->vm_fd >= 0;
}

/* The daemon let go of the VM's end for good. Our duplicate would hide that from the VM. */
static void event(struct hold *h, const json_t *event)
{
	struct run *r = h->arg;

	if (strcmp(cli_text(event, "event"), "gone"))
		return;
	snprintf(r->gone, sizeof(r->gone), "%s", cli_text(event, "why"));
	r->gone_ms = hold_now_ms();
	h->over = true;
	if (r->keep >= 0)
		close(r->keep);
	r->keep = -1;
}

/* ---- the child ---- */

static void put_env(const char *name, const char *value)
{
	if (setenv(name, value, 1) != 0)
		_exit(126);
}

/* report: the reason goes there if it cannot be executed. */
__attribute__((noreturn)) static void become(const struct run *r, char **command, int report)
{
	char number[16];
	int why;

	fcntl(r->vm_fd, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", r->vm_fd);
	put_env("VMNET_FD", number);
	snprintf(number, sizeof(number), "%u", r->me.mtu);
	put_env("VMNET_MTU", number);
	put_env("VMNET_MAC", r->me.mac);
	put_env("VMNET_NAME", r->me.name);
	put_env("VMNET_NETWORK", r->me.network);
	sigprocmask(SIG_SETMASK, &r->before, NULL);
	execvp(command[0], command);
	why = errno;
	if (write(report, &why, sizeof(why)) != sizeof(why))
		_exit(126);
	_exit(127);
}

/* 0, or the status to exit with. */
static int start_child(struct run *r, char **command)
{
	int report[2], why = 0;
	ssize_t n;

	if (pipe2(report, O_CLOEXEC) != 0)
		return cli_system(r->cli, "pipe: %s", strerror(errno));
	r->child = fork();
	if (r->child == 0)
		become(r, command, report[1]);
	close(report[1]);
	if (r->child < 0) {
		close(report[0]);
		return cli_system(r->cli, "fork: %s", strerror(errno));
	}
	do {
		n = read(report[0], &why, sizeof(why));
	} while (n < 0 && errno == EINTR);
	close(report[0]);
	close(r->vm_fd); /* the child's alone now: its end is the end of the socket */
	r->vm_fd = -1;
	if (n != sizeof(why))
		return 0;
	waitpid(r->child, NULL, 0);
	return cli_user(r->cli, "%s cannot be executed: %s", command[0], strerror(why));
}

/* Stop as the child was, until the shell lets both go on. */
static void stop_too(const struct run *r, int number)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, number);
	kill(getpid(), number);
	sigprocmask(SIG_UNBLOCK, &one, NULL); /* here we stand still */
	sigprocmask(SIG_BLOCK, &one, NULL);
	kill(r->child, SIGCONT);
}

/* Its exit status, or -1: it runs. */
static int look_after(const struct run *r)
{
	int status;
	pid_t got;

	while ((got = waitpid(r->child, &status, WNOHANG | WUNTRACED)) > 0) {
		if (WIFEXITED(status))
			return WEXITSTATUS(status);
		if (WIFSIGNALED(status))
			return 128 + WTERMSIG(status);
		if (WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP)
			stop_too(r, WSTOPSIG(status));
	}
	return got < 0 && errno == ECHILD ? VMNET_SYSTEM : -1;
}

static int handle_signals(const struct run *r)
{
	struct signalfd_siginfo info;

	while (read(r->signals, &info, sizeof(info)) == sizeof(info)) {
		/* The kernel tells the whole group of the terminal; others mean us. */
		if (info.ssi_signo != SIGCHLD && info.ssi_code != SI_KERNEL)
			kill(r->child, (int)info.ssi_signo);
	}
	return look_after(r);
}

/* ---- the parent ---- */

static bool catch_signals(struct run *r)
{
	static const int numbers[] = {SIGCHLD, SIGINT,	SIGTERM, SIGHUP,  SIGQUIT,
				      SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&set, numbers[i]);
	/* Ignored, a child that ends leaves no status behind. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &set, &r->before);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signals >= 0;
}

static int wait_ms(const struct run *r)
{
	int ms = hold_timeout(&r->hold);

	return r->gone_ms && (ms < 0 || ms > GONE_WAIT_MS) ? GONE_WAIT_MS : ms;
}

static int watch(struct run *r)
{
	struct pollfd p[2] = {{.fd = r->signals, .events = POLLIN}};
	int status = look_after(r); /* it may be over already */

	while (status < 0) {
		p[1] = (struct pollfd){.fd = hold_fd(&r->hold), .events = POLLIN};
		if (poll(p, 2, wait_ms(r)) < 0 && errno != EINTR)
			return cli_system(r->cli, "poll: %s", strerror(errno));
		status = handle_signals(r);
		if (status < 0)
			hold_turn(&r->hold);
		if (status < 0 && r->gone_ms && hold_now_ms() - r->gone_ms >= GONE_WAIT_MS) {
			cli_note(r->cli, "%s is off the network: %s", r->me.name, r->gone);
			r->gone_ms = 0;
		}
	}
	return status;
}

static int run_joined(struct run *r, const struct vmm *vmm, char **argv)
{
	struct vmm_place place = {
		.fd = r->vm_fd, .kind = r->join.kind, .mac = r->me.mac, .mtu = r->me.mtu};
	char **command = vmm_command(vmm, argv, &place);
	int status;

	if (!command)
		return cli_system(r->cli, "out of memory");
	if (!catch_signals(r)) {
		status = cli_system(r->cli, "signalfd: %s", strerror(errno));
	} else {
		status = start_child(r, command);
		if (!status)
			status = watch(r);
		close(r->signals);
	}
	vmm_free(command);
	return status;
}

static int run(struct cli *cli)
{
	static const char *const names[] = {"NETWORK", NULL};
	const char *kind = NULL;
	struct run r = {
		.cli = cli,
		.vm_fd = -1,
		.keep = -1,
		.hold = {.cli = cli, .ask = ask, .event = event, .arg = &r},
	};
	const struct cli_option options[] = {
		{.name = "name", .value = &r.join.name},
		{.name = "mac", .value = &r.join.mac},
		{.name = "kind", .value = &kind},
	};
	struct cli_args args = {
		.options = options,
		.noptions = 3,
		.names = names,
		.required = 1,
		.command = true,
	};
	struct vmnet_error err;
	struct vmm vmm;
	char *path;
	int status;

	if (!cli_parse(cli, &args) || !cli_name(cli, "network", args.given[0]) ||
	    !cli_name(cli, "--name", r.join.name) || !cli_mac(cli, r.join.mac))
		return VMNET_USER;
	r.join.network = args.given[0];
	path = vmm_find(args.rest[0]);
	if (!path)
		return cli_user(cli, "%s: %s", args.rest[0],
				strchr(args.rest[0], '/')
					? "there is no such program that can be run"
					: "no such program in PATH");
	if (!vmm_look(&vmm, args.rest, &err)) {
		free(path);
		return cli_error(cli, &err);
	}
	r.join.kind = vmm.type == VMM_VFKIT ? VMNET_DGRAM : VMNET_STREAM;
	if (!cli_kind(cli, kind, &r.join.kind) ||
	    (vmm.type == VMM_VFKIT && !vmm.substitute && r.join.kind != VMNET_DGRAM)) {
		free(path);
		return vmm.type == VMM_VFKIT && r.join.kind == VMNET_STREAM
			       ? cli_user(cli, "--kind stream: vfkit knows dgram only")
			       : VMNET_USER;
	}
	if (vmm_warning(&vmm, args.rest))
		cli_note(cli, "%s", vmm_warning(&vmm, args.rest));
	vmm_probe(&vmm, path);
	free(path);
	if (!hold_begin(&r.hold, &err))
		return cli_error(cli, &err);
	status = run_joined(&r, &vmm, args.rest);
	hold_end(&r.hold);
	if (r.vm_fd >= 0)
		close(r.vm_fd);
	if (r.keep >= 0)
		close(r.keep);
	return status;
}

const struct cli_command cmd_run = {
	.name = "run",
	.shapes = "run NETWORK [--name NAME] [--mac MAC] [--kind stream|dgram] -- COMMAND...",
	.summary = "run a virtual machine on a network",
	.help = "  --name NAME          what it is called there; otherwise one is chosen\n"
		"  --mac MAC            its address; otherwise what it had before, or one is "
		"chosen\n"
		"  --kind stream|dgram  how frames travel (stream; vfkit: dgram)\n"
		"\n"
		"QEMU, krunkit and vfkit get the options they need. Anywhere else, and if COMMAND\n"
		"has {fd} in it, {fd} is replaced by the number of the open socket, {mac} by the\n"
		"address; VMNET_FD, VMNET_MAC, VMNET_NAME, VMNET_MTU are in the environment.\n"
		"The exit status is COMMAND's.\n",
	.run = run,
};

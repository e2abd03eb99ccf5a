/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libvmnet-client: a place on a vmnet network, for programs that want one themselves.
 *
 *     struct vmnet_error err;
 *     struct vmnet_client *c = vmnet_open(NULL, &err);
 *     struct vmnet_join join = {.network = "shared", .kind = VMNET_STREAM};
 *     struct vmnet_member me;
 *     int fd = c ? vmnet_join(c, &join, &me, NULL, &err) : -1;
 *
 * fd is one end of a socket pair: give it to the VM. The place is held as long as the client is
 * open. What is said over the wire is in docs/protocol.md; vmnet_call() says anything of it.
 *
 * A client is used by one thread at a time. No function prints, exits, or changes a signal's
 * disposition. All descriptors are close-on-exec.
 */
#ifndef VMNET_CLIENT_H
#define VMNET_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define VMNET_PROTOCOL	1
#define VMNET_ERROR_MAX 512

/* Whose fault it was. These are the exit statuses of the command line as well. */
enum vmnet_fault {
	VMNET_NONE = 0,	  /* nobody's: nothing came in time */
	VMNET_SYSTEM = 1, /* the system's, or the daemon's */
	VMNET_USER = 2,	  /* a mistake of who asked */
};

struct vmnet_error {
	enum vmnet_fault fault;
	bool lost;		    /* the connection is over; the client can only be closed */
	char text[VMNET_ERROR_MAX]; /* one line, no newline */
};

enum vmnet_kind {
	VMNET_STREAM, /* 4-byte big-endian length before each frame: QEMU, krunkit */
	VMNET_DGRAM,  /* one frame a datagram: vfkit, krunkit, QEMU */
};

struct vmnet_options {
	const char *runtime_dir; /* NULL: the usual places (vmnet_runtime_dir) */
	const char *program;	 /* the vmnet to start as daemon; NULL: this one, or that in PATH */
	const char *version;	 /* said in `hello`; NULL: this library's */
	bool no_start;		 /* fail if no daemon is running */
	int timeout_ms;		 /* for one answer; 0: 10 s */
};

struct vmnet_client;

/*
 * Connect to the daemon, start it if there is none, and say hello. options may be NULL. NULL is
 * returned with err when that cannot be; a daemon that speaks another protocol is an error.
 */
struct vmnet_client *vmnet_open(const struct vmnet_options *options, struct vmnet_error *err);
/* Leaves all networks that were joined with it. NULL is fine. */
void vmnet_close(struct vmnet_client *c);

/* To poll for reading: events have come, or the daemon is gone. */
int vmnet_fd(const struct vmnet_client *c);
pid_t vmnet_daemon_pid(const struct vmnet_client *c);
const char *vmnet_daemon_version(const struct vmnet_client *c);
/* The folder of the control socket. False: err. */
bool vmnet_runtime_dir(char *out, size_t size, struct vmnet_error *err);

/*
 * One request and its answer, both as in docs/protocol.md. The reference to request is taken in any
 * case; fd, if not negative, is sent with it and stays the caller's. An answer with ok:false is an
 * error. The result is a new reference; NULL: err.
 */
json_t *vmnet_call(struct vmnet_client *c, json_t *request, int fd, struct vmnet_error *err);
/* Only ask. What comes back is fetched with vmnet_next. */
bool vmnet_send(struct vmnet_client *c, json_t *request, int fd, struct vmnet_error *err);
/*
 * The next event or answer, whichever comes first: a new reference. timeout_ms < 0: for ever.
 * NULL: err; err->fault is VMNET_NONE if only nothing came in time.
 */
json_t *vmnet_next(struct vmnet_client *c, int timeout_ms, struct vmnet_error *err);
/* Whether a message is there already, so that vmnet_next need not wait. */
bool vmnet_pending(const struct vmnet_client *c);
/* Nothing more will be asked; answers under way still come. */
void vmnet_finish(struct vmnet_client *c);
/* False if message is an answer with ok:false; err says which. */
bool vmnet_check(const json_t *message, struct vmnet_error *err);

struct vmnet_join {
	const char *network;
	const char *name; /* NULL: the daemon chooses */
	const char *mac;  /* NULL: likewise */
	enum vmnet_kind kind;
};

struct vmnet_member {
	char name[64], network[64];
	char mac[18], gateway[48];
	unsigned mtu;
};

/*
 * Join: the VM's end of a new socket pair is returned, the caller's to close; -1: err. keep, if not
 * NULL, gets a duplicate of the daemon's end (also the caller's), with which vmnet_rejoin can give
 * the same socket to a later daemon. Whoever keeps it must close it when the VM is done.
 */
int vmnet_join(struct vmnet_client *c, const struct vmnet_join *join, struct vmnet_member *out,
	       int *keep, struct vmnet_error *err);
/* To a daemon that took the place of one that is gone; join has the name and MAC of before. */
bool vmnet_rejoin(struct vmnet_client *c, const struct vmnet_join *join, int keep,
		  struct vmnet_member *out, struct vmnet_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

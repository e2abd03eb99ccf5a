/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which driver a run is about: the plain C driver in this process's hands (driver_core.c), or the
 * kexts on a simulated Mac (driver_kext.c). Both end in a stack (tools/stack) that viorun.c uses.
 */
#ifndef VIORUN_DRIVER_H
#define VIORUN_DRIVER_H

#include <signal.h>

#include "tools/viorun/results.h"

#define DRIVER_ERR 320u

struct driver_env {
	const struct options *o;
	struct machine *m;
	struct stack *stack;
	struct report *rp;
	struct results *r;
	struct pcap *pcap;
	const volatile sig_atomic_t *stop;
	bool (*alive)(void *arg);
	void *arg;
	bool quiet;	      /* link changes are not worth a line now */
	bool user_error;      /* it was the command line's fault */
	char err[DRIVER_ERR]; /* what went wrong, one line */
	void *state;	      /* the driver's own */
};

/* Each that answers false has filled in err. */
struct driver_ops {
	const char *name;
	/* The machine runs: up to a stack that can be started. Fills in r->info and reports. */
	bool (*open)(struct driver_env *env);
	void (*link)(struct driver_env *env, struct vio_net_link *out);
	/* Counters of the driver, as far as they can be seen; fresh takes up to a second. */
	void (*stats)(struct driver_env *env, bool fresh, struct vio_net_stats *out);
	/* Stand still for a debugger. NULL: this driver cannot. */
	bool (*debug)(struct driver_env *env, unsigned timeout_ms);
	/* Take all of it down, also after a failed open, and count what was left: r. */
	void (*close)(struct driver_env *env);
};

extern const struct driver_ops driver_core_ops;
extern const struct driver_ops driver_kext_ops;

/* env->err; false. */
__attribute__((format(printf, 2, 3))) bool driver_fail(struct driver_env *env, const char *fmt,
						       ...);

#endif

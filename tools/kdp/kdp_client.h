/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A debugger's end of the kernel debugging protocol (wire/kdp.h), over one UDP socket.
 *
 * A request is sent up to three times and then given up; the kernel does not execute it twice. The
 * session is lost then, and only kdp_client_reattach() makes another. A machine that runs does not
 * answer at all, and nothing here can stop it: it stops by itself, and says so (EXCEPTION).
 *
 * Functions return 0 or a negative errno, and kdp_client_error() has a line for people then.
 * -EPROTO: the kernel answered with an error of its own, or with nonsense. Not for several threads.
 */
#ifndef KDP_CLIENT_H
#define KDP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/kdp.h"

#define KDP_CLIENT_TRIES      3u
#define KDP_CLIENT_TIMEOUT_MS 1000u

struct kdp_client_exception {
	uint32_t cpu, exception, code, subcode;
};

enum kdp_client_state { KDP_CLIENT_OFF, KDP_CLIENT_STOPPED, KDP_CLIENT_RUNNING };

struct kdp_client_info {
	uint32_t version, feature;
	uint32_t cpus_mask, cpu_type, cpu_subtype;
	uint32_t max_bytes;
	char text[KDP_DATA_MAX + 1]; /* of the kernel's version */
};

struct kdp_client_region {
	uint32_t address, nbytes, protection;
};

struct kdp_client;

/* host: a name or an IPv4 address. port 0: KDP_PORT. local_port 0: any. NULL: no memory. */
struct kdp_client *kdp_client_new(void);
int kdp_client_open(struct kdp_client *c, const char *host, uint16_t port, uint16_t local_port);
void kdp_client_free(struct kdp_client *c);
void kdp_client_timeout(struct kdp_client *c, unsigned timeout_ms);

const char *kdp_client_error(const struct kdp_client *c);
enum kdp_client_state kdp_client_state(const struct kdp_client *c);
/* The socket, to wait for an exception together with something else. */
int kdp_client_fd(const struct kdp_client *c);
uint16_t kdp_client_local_port(const struct kdp_client *c);

/* -EBUSY: another debugger is connected. */
int kdp_client_connect(struct kdp_client *c);
/* Ends whatever session there is, with its breakpoints, and connects. */
int kdp_client_reattach(struct kdp_client *c);
/* The machine goes on, unless it is in a panic. */
int kdp_client_disconnect(struct kdp_client *c);
/* Sent once: there is no answer. The session is over. */
int kdp_client_reboot(struct kdp_client *c);

int kdp_client_get_info(struct kdp_client *c, struct kdp_client_info *info);
int kdp_client_get_region(struct kdp_client *c, struct kdp_client_region *region);

/* Any length. *got: what could be read; -EFAULT if that is less than n. */
int kdp_client_read(struct kdp_client *c, uint64_t at, void *to, size_t n, size_t *got);
int kdp_client_write(struct kdp_client *c, uint64_t at, const void *from, size_t n);
int kdp_client_read_phys(struct kdp_client *c, uint64_t at, void *to, size_t n, size_t *got);
int kdp_client_write_phys(struct kdp_client *c, uint64_t at, const void *from, size_t n);

/* As they stand in kdp_regs64, by number: rax first, gs last. */
#define KDP_CLIENT_REGS 21u
enum { KDP_CLIENT_RSP = 7, KDP_CLIENT_RIP = 16, KDP_CLIENT_RFLAGS = 17 };
extern const char *const kdp_client_reg_names[KDP_CLIENT_REGS];
int kdp_client_get_regs(struct kdp_client *c, uint64_t regs[KDP_CLIENT_REGS]);
int kdp_client_set_regs(struct kdp_client *c, const uint64_t regs[KDP_CLIENT_REGS]);

/*
 * A breakpoint of the kernel's. It is looked for in memory afterwards: -EFAULT if it is not there,
 * because the kernel does not tell.
 */
int kdp_client_break(struct kdp_client *c, uint64_t at);
int kdp_client_clear(struct kdp_client *c, uint64_t at);

int kdp_client_resume(struct kdp_client *c);
/*
 * Wait for the machine to stop, and acknowledge. 1: it did, or had. 0: not within timeout_ms.
 */
int kdp_client_wait(struct kdp_client *c, unsigned timeout_ms, struct kdp_client_exception *e);
/* One instruction: sets the flag TF, resumes, waits, clears it. -ETIMEDOUT: it did not stop. */
int kdp_client_step(struct kdp_client *c, unsigned timeout_ms, struct kdp_client_exception *e);

/* Any request; for tests. The whole reply goes to `reply` (KDP_PACKET_MAX bytes). */
int kdp_client_raw(struct kdp_client *c, uint8_t request, const void *body, size_t n,
		   uint8_t *reply, size_t *reply_len);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's end of the debugging protocol (wire/kdp.h): what XNU does in osfmk/kdp from the
 * moment a processor traps until it goes on.
 *
 * A stop is one call, kdp_server_stop(). Without a debugger it waits for one: only CONNECT,
 * REATTACH and HOSTREBOOT are looked at. With one it says what happened (EXCEPTION) until that is
 * acknowledged. Then it serves requests until one of them lets the machine go.
 *
 * Requests carry a sequence number of 8 bits. The expected one is executed; the one before it is
 * not executed again, but its reply, which was kept, is sent again; anything else is dropped. So a
 * debugger repeats what is not answered and nothing happens twice.
 *
 * All this runs at debugger level: no memory is allocated, no lock taken, and the outside world is
 * a table of functions. Every frame may be an enemy's: bytes are read through struct span.
 */
#ifndef SIM_MACOS_KDP_SERVER_H
#define SIM_MACOS_KDP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "common/span.h"
#include "wire/kdp.h"

#define KDP_FRAME_MAX 1518u

struct kdp_ops {
	void (*send)(void *arg, uint8_t *frame, unsigned len);
	/* Length of the frame, 0: none within timeout_ms or less. */
	unsigned (*receive)(void *arg, uint8_t *frame, unsigned timeout_ms);
	void (*spin)(void *arg, unsigned us);
	/* Time is over: leave whatever state the session is in. */
	bool (*expired)(void *arg);
	/* Bytes that could be copied, from the first on. */
	size_t (*read)(void *arg, uint64_t at, void *to, size_t n);
	size_t (*write)(void *arg, uint64_t at, const void *from, size_t n);
	size_t (*read_phys)(void *arg, uint64_t at, void *to, size_t n);
	size_t (*write_phys)(void *arg, uint64_t at, const void *from, size_t n);
	void (*get_regs)(void *arg, struct kdp_regs64 *regs);
	void (*set_regs)(void *arg, const struct kdp_regs64 *regs);
	/* A line of the console, without a newline. */
	void (*log)(const char *format, ...) __attribute__((format(printf, 1, 2)));
};

struct kdp_config {
	const struct kdp_ops *ops;
	void *arg;
	uint8_t mac[6], ip[4];
	bool arp;	    /* answer ARP requests */
	bool breakpoints;   /* the kernel sets them: KDP_FEATURE_BP */
	bool access_errors; /* tell of memory that cannot be reached */
	uint32_t cpus_mask;
	const char *version; /* at most KDP_DATA_MAX characters are sent */
};

struct kdp_peer {
	uint8_t mac[6], ip[4];
};

struct kdp_breakpoint {
	uint64_t address; /* 0: free */
	uint8_t old;
};

/* Private to server.cpp and requests.cpp, but for config, connected and console. */
struct kdp_server {
	struct kdp_config config;

	bool connected, halted;
	bool reattach_wait;
	bool wait_again; /* the next DISCONNECT does not let the machine go */
	bool ack_needed, reboot;
	uint8_t expected;
	uint8_t exception_seq;
	uint8_t connect_seq;
	uint32_t key;
	be16 reply_port, exception_port;
	struct kdp_peer here, there; /* as the last packet before the connection had them */
	uint16_t ip_id;
	unsigned complaints; /* since the stop began */

	struct kdp_breakpoint breakpoints[KDP_BREAKPOINTS_MAX];

	uint8_t frame[KDP_FRAME_MAX + 2];
	struct span request; /* in frame, if there is one */
	uint8_t reply[KDP_FRAME_MAX];
	uint8_t saved[KDP_FRAME_MAX];
	unsigned saved_len;
};

enum kdp_end {
	KDP_END_RESUMED,
	KDP_END_DISCONNECTED,
	KDP_END_LOST, /* the debugger did not acknowledge; the session is over */
	KDP_END_REBOOT,
	KDP_END_EXPIRED, /* the session is over, too */
};

void kdp_server_init(struct kdp_server *s, const struct kdp_config *config);
/* Breakpoints that are left are taken out of memory. */
void kdp_server_reset(struct kdp_server *s);

/* The whole of a stop. In a panic the first DISCONNECT only waits for the next debugger. */
enum kdp_end kdp_server_stop(struct kdp_server *s, uint32_t exception, uint32_t code,
			     uint32_t subcode, bool panic);

/* ---- between the files of the server ---- */

/*
 * Execute one request: s->request, which lies in s->frame. False: no reply. Else the reply with its
 * header is in `out` (KDP_PACKET_MAX bytes), *len long, and goes to *port.
 */
bool kdp_execute(struct kdp_server *s, uint8_t *out, unsigned *len, be16 *port);
void kdp_breakpoints_remove(struct kdp_server *s);
bool kdp_complain(struct kdp_server *s);

enum { KDP_HEADERS = 14 + 20 + 8 };

/* What the input filter lets through: the UDP payload. */
bool kdp_frame_parse(struct span frame, struct span *payload);
/* Headers for a payload of n bytes that stands at frame + KDP_HEADERS; the length of the whole. */
unsigned kdp_frame_write(uint8_t *frame, unsigned n, const struct kdp_peer *from,
			 const struct kdp_peer *to, be16 port, uint16_t ip_id);
/* Who sent a parsed frame, and to whom. */
void kdp_frame_peers(const uint8_t *frame, struct kdp_peer *from, struct kdp_peer *to);
/* Turn an ARP request for this address into its reply; false: it is none. */
bool kdp_frame_arp(uint8_t *frame, unsigned len, const uint8_t mac[6], const uint8_t ip[4]);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small network for tests of the NAT uplink, made of namespaces; nothing of it is seen outside.
 *
 *   host      this process: lo with 127.0.0.1, ::1, 192.0.2.1 and 2001:db8::1
 *   member    a child: a TAP with 10.77.0.5/24 (or the one given) and fd77::5/64, routes through
 *             the gateway; its frames are read and written by this process
 *
 * Each has an agent, a child process that opens connections and a server that echoes. The gateway's
 * address resolution is done here (netlab_frame). Needs root, or user namespaces.
 */
#ifndef TESTS_HOST_NETLAB_H
#define TESTS_HOST_NETLAB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define NETLAB_HOST4	"192.0.2.1"
#define NETLAB_HOST6	"2001:db8::1"
#define NETLAB_GATEWAY4 "10.77.0.1"
#define NETLAB_MEMBER4	"10.77.0.5"
#define NETLAB_PREFIX6	"fd77::"
#define NETLAB_GATEWAY6 "fd77::1"
#define NETLAB_MEMBER6	"fd77::5"
#define NETLAB_ECHO	7007 /* TCP and UDP, both families, on both sides */

struct netlab {
	int tap; /* non-blocking */
	uint8_t gateway_mac[6];
	uint8_t member_mac[6];
	int host, member; /* sockets to the agents, SOCK_SEQPACKET */
	pid_t child[4];
	unsigned children;
	uint32_t mtu;
};

/* False: why is one line. Must be called before any thread or loop exists. */
bool netlab_open(struct netlab *l, uint32_t mtu, char why[256]);
void netlab_close(struct netlab *l);

/*
 * Ask an agent (l->host or l->member) to do something; the answer comes by netlab_answer: "ok ...",
 * or the name of what failed. At most one thing at a time.
 *
 *   tcp ADDRESS PORT BYTES     send and get back so many bytes
 *   udp ADDRESS PORT BYTES     one datagram and its echo; waits for two seconds
 *   dns ADDRESS PORT           a two-byte length and a query over TCP, and what comes back
 *   ping ADDRESS               one echo request through an ICMP socket
 */
bool netlab_ask(int agent, const char *text);
/* False: nothing yet. */
bool netlab_answer(int agent, char out[256]);

/*
 * A frame of the member's. True: it was for the gateway itself, and *reply_len bytes of answer are
 * in reply (0: none). False: it is for the uplink.
 */
bool netlab_frame(struct netlab *l, const uint8_t *frame, uint32_t len, uint8_t reply[128],
		  uint32_t *reply_len);

#endif

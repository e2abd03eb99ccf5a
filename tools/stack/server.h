/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other end of a transfer: a TCP server in a thread of this process.
 *
 * One connection at a time, one request each, one line:
 *
 *   GET <bytes> <seed>\n   the server sends that many bytes of the seed's content and closes
 *   PUT <bytes> <seed>\n   and the bytes; answered "OK <sum>\n" with the content sum it computed in
 *                          16 hex digits, or "BAD <position>\n" with where it first differed
 *
 * Anything else is answered "ERR <why>\n". It uses the host's own sockets: what it talks to has
 * crossed the device.
 */
#ifndef STACK_SERVER_H
#define STACK_SERVER_H

#include <stdint.h>

#define SERVER_BYTES_MAX (UINT64_C(1) << 40)

struct server;

/*
 * Listen on an IPv4 address (network order in memory) and port, 0: any free one. 0 and *out, or
 * an errno: EADDRINUSE, EACCES, ...
 */
int server_start(struct server **out, const uint8_t addr[4], uint16_t port);
uint16_t server_port(const struct server *s);
/* Connections served so far. */
unsigned server_served(const struct server *s);
/* Ends connections and the thread. NULL is allowed. */
void server_stop(struct server *s);

#endif

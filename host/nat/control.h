/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon tells the worker, and what it hears. One JSON object a message.
 *
 *   {"op":"config", "subnet":"10.1.0.0", "netmask":"255.255.255.0", "gateway":"10.1.0.1",
 *    "gateway_mac":"02:..", "prefix6":"fd..::"?, "mtu":1500, "nat44":true, "nat66":true,
 *    "restricted":false, "host_loopback":false, "dns":"192.0.2.1"?, "dns_port":53?}
 *   {"op":"forward", "id":1, "add":true, "udp":false, "host":"127.0.0.1", "first":8080,
 *    "last":8080, "address":"10.1.0.5", "port":80}
 *   {"op":"stats", "id":2}
 *
 *   {"ready":true, "library":"4.7.0", "warnings":["..."]}
 *   {"id":1, "ok":true}      {"id":1, "ok":false, "error":"one line", "errno":98}
 *   {"id":2, "ok":true, "stats":{...}}
 *
 * The daemon is trusted; still nothing it says is used before it was checked.
 */
#ifndef NAT_CONTROL_H
#define NAT_CONTROL_H

#include <jansson.h>

#include "host/nat/forward.h"
#include "host/nat/worker.h"

/* False: err has one line. */
bool control_config(const char *text, size_t len, struct nat_config *out, char *err,
		    size_t err_len);
/* One message; the answer, a new reference, or NULL: none. */
json_t *control_message(struct worker *w, struct forwards *forwards, const char *text, size_t len);

#endif

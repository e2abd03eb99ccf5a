/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine on somebody else's network, told what to do: one command a line, one JSON object a line
 * for an answer. While there is nothing to do the stack runs, so that others reach this machine.
 *
 *   first, unasked             {"event":"ready", ...}: the lease, the driver, the kexts
 *   ping ADDRESS [SIZE]        {"ok":true,"us":N}
 *   get|put ADDRESS PORT BYTES {"ok":true,"bytes":N,"seconds":F,"mbit_s":F}; server.h's protocol
 *   serve PORT                 {"ok":true}: server.h's protocol here, until the end
 *   served                     {"ok":true,"connections":N,"served":N,"sent":N,"received":N,"bad":N}
 *   renew                      {"ok":true,"address":A,"router":A}: a lease, asked for anew
 *   quit, or end of input      {"ok":true}, and the driver is taken down
 *   last                       {"event":"end", ...}: the results as --json has them
 *
 * What fails is answered {"ok":false,"error":TEXT}; the session goes on.
 */
#ifndef VIORUN_SESSION_H
#define VIORUN_SESSION_H

#include <jansson.h>

#include "tools/viorun/results.h"

/* Until quit, the deadline (of stack_now), or a dead machine. False: err says what ended it. */
bool session_run(struct stack *s, struct results *r, uint64_t deadline, char *err, size_t err_len);
/* One more event with the results in it. */
void session_event(const char *event, const struct results *r);

#endif

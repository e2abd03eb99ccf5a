/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's log: one line an event, to standard error or the file that takes its place.
 *
 * What other sides do can be repeated without end, so log_peer() has a budget: LOG_BURST lines at
 * once, LOG_PER_S afterwards; what was left out is counted in the next line that gets through.
 */
#ifndef NETD_LOG_H
#define NETD_LOG_H

#define LOG_BURST 50u
#define LOG_PER_S 5u

/* Of our own doing. */
__attribute__((format(printf, 1, 2))) void log_line(const char *fmt, ...);
/* Brought about by a peer, a guest or the network. */
__attribute__((format(printf, 1, 2))) void log_peer(const char *fmt, ...);

#endif

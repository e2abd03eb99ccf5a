/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main() of the NAT worker: the program started as `vmnet-nat` with four descriptors, all given by
 * the daemon (host/netd/uplink.h). It ends when the control socket does.
 */
#ifndef NETD_UPLINK_WIRE_H
#define NETD_UPLINK_WIRE_H

#define NAT_FD_LANES   3 /* memory of two lanes (host/lane/lane.h): NAT_LANE_OUT, NAT_LANE_IN */
#define NAT_FD_CONTROL 4 /* SOCK_SEQPACKET: one JSON object a message, NAT_MESSAGE_MAX at most */
#define NAT_FD_BELL    5 /* what the worker sleeps on */
#define NAT_FD_DAEMON  6 /* what wakes the daemon */
#define NAT_FD_COUNT   7

#define NAT_LANE_OUT 0u /* members to the worker */
#define NAT_LANE_IN  1u /* the worker to members */

#define NAT_MESSAGE_MAX 8192u

/* Exit status: 0 the daemon has gone, 1 the system refused something, 2 what it was told is wrong.
 */
int nat_main(int argc, char **argv);

#endif

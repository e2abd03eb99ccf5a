/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main() of the NAT worker: the program started as `vmnet-nat` with two descriptors, both given by
 * the daemon (host/netd/uplink.h). It ends when either of them does.
 */
#ifndef NETD_UPLINK_WIRE_H
#define NETD_UPLINK_WIRE_H

#define NAT_FD_FRAMES  3 /* a stream: 4 bytes of length, big-endian, and a frame */
#define NAT_FD_CONTROL 4 /* SOCK_SEQPACKET: one JSON object a message, NAT_MESSAGE_MAX at most */

#define NAT_MESSAGE_MAX 8192u

/* Exit status: 0 the daemon has gone, 1 the system refused something, 2 what it was told is wrong.
 */
int nat_main(int argc, char **argv);

#endif

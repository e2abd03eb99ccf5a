/* SPDX-License-Identifier: BSD-2-Clause */
/* The NAT worker alone, as the daemon starts it. */
#include "host/netd/uplink_wire.h"

int main(int argc, char **argv)
{
	return nat_main(argc, argv);
}

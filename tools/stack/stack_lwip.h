/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's headers, all in one place, kept apart from our own warnings.
 *
 * What they name collides with wire/net.h (struct eth_hdr, IP_PROTO_TCP, ...): a file includes one
 * or the other.
 */
#ifndef STACK_LWIP_H
#define STACK_LWIP_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <lwip/opt.h>

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/icmp.h>
#include <lwip/inet_chksum.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/raw.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <netif/ethernet.h>
#pragma GCC diagnostic pop

#endif

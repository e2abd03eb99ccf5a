/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network buffers, by accessors only: com.apple.kpi.bsd, unchanged since 10.6.
 *
 * A packet is a chain through mbuf_next, its length in the first one's packet header. Buffers of
 * a packet to send may be shared: they are read-only. mbuf_allocpacket() returns lengths of 0.
 * mbuf_pullup() frees the packet if it fails.
 */
#ifndef KPI_MBUF_H
#define KPI_MBUF_H

#include "types.h"

typedef uint32_t mbuf_how_t;
typedef uint32_t mbuf_type_t;
typedef uint32_t mbuf_flags_t;
typedef uint32_t mbuf_tso_request_flags_t;
typedef uint32_t mbuf_csum_request_flags_t;
typedef uint32_t mbuf_csum_performed_flags_t;

enum {
	MBUF_WAITOK = 0,
	MBUF_DONTWAIT = 1,
};

enum {
	MBUF_TYPE_DATA = 1,
	MBUF_TYPE_HEADER = 2,
};

enum {
	MBUF_EXT = 0x0001,
	MBUF_PKTHDR = 0x0002,
	MBUF_EOR = 0x0004,
	MBUF_BCAST = 0x0100,
	MBUF_MCAST = 0x0200,
	MBUF_PROMISC = 0x2000,
};

/* mbuf_get_tso_requested: without a flag the segment size is not set. */
enum {
	MBUF_TSO_IPV4 = 0x100000,
	MBUF_TSO_IPV6 = 0x200000,
};

/* mbuf_get_csum_requested; the two for IPv6 from 10.7 on. */
enum {
	MBUF_CSUM_REQ_IP = 0x0001,
	MBUF_CSUM_REQ_TCP = 0x0002,
	MBUF_CSUM_REQ_UDP = 0x0004,
	MBUF_CSUM_REQ_TCPIPV6 = 0x0020,
	MBUF_CSUM_REQ_UDPIPV6 = 0x0040,
};

/* mbuf_set_csum_performed */
enum {
	MBUF_CSUM_DID_IP = 0x0100,
	MBUF_CSUM_IP_GOOD = 0x0200,
	MBUF_CSUM_DID_DATA = 0x0400,
	MBUF_CSUM_PSEUDO_HDR = 0x0800,
};

extern "C" {

/* ---- one buffer ---- */

void *mbuf_data(mbuf_t);
void *mbuf_datastart(mbuf_t);
addr64_t mbuf_data_to_physical(void *); /* 0: not in the mbuf map */
errno_t mbuf_setdata(mbuf_t, void *data, size_t len);
size_t mbuf_len(const mbuf_t);
void mbuf_setlen(mbuf_t, size_t);
size_t mbuf_maxlen(const mbuf_t);
size_t mbuf_leadingspace(const mbuf_t);
size_t mbuf_trailingspace(const mbuf_t);
mbuf_type_t mbuf_type(const mbuf_t);
mbuf_flags_t mbuf_flags(const mbuf_t);
errno_t mbuf_setflags(mbuf_t, mbuf_flags_t);
errno_t mbuf_setflags_mask(mbuf_t, mbuf_flags_t, mbuf_flags_t mask);
uint32_t mbuf_get_mlen(void);
uint32_t mbuf_get_mhlen(void);

/* ---- chains and packets ---- */

mbuf_t mbuf_next(const mbuf_t);
errno_t mbuf_setnext(mbuf_t, mbuf_t next);
mbuf_t mbuf_nextpkt(const mbuf_t);
void mbuf_setnextpkt(mbuf_t, mbuf_t next);
size_t mbuf_pkthdr_len(const mbuf_t);
void mbuf_pkthdr_setlen(mbuf_t, size_t);
ifnet_t mbuf_pkthdr_rcvif(const mbuf_t);
errno_t mbuf_pkthdr_setrcvif(mbuf_t, ifnet_t);
void *mbuf_pkthdr_header(const mbuf_t);
void mbuf_pkthdr_setheader(mbuf_t, void *);

/* ---- made and freed ---- */

errno_t mbuf_get(mbuf_how_t, mbuf_type_t, mbuf_t *);
errno_t mbuf_gethdr(mbuf_how_t, mbuf_type_t, mbuf_t *);
errno_t mbuf_getpacket(mbuf_how_t, mbuf_t *);
errno_t mbuf_getcluster(mbuf_how_t, mbuf_type_t, size_t, mbuf_t *);
errno_t mbuf_mclget(mbuf_how_t, mbuf_type_t, mbuf_t *);
errno_t mbuf_allocpacket(mbuf_how_t, size_t len, unsigned int *max_chunks, mbuf_t *);
errno_t mbuf_dup(const mbuf_t, mbuf_how_t, mbuf_t *);
mbuf_t mbuf_free(mbuf_t); /* this one; returns the next */
void mbuf_freem(mbuf_t);  /* the packet */
int mbuf_freem_list(mbuf_t);

/* ---- contents ---- */

errno_t mbuf_copydata(const mbuf_t, size_t offset, size_t len, void *);
errno_t mbuf_copyback(mbuf_t, size_t offset, size_t len, const void *, mbuf_how_t);
errno_t mbuf_copy_pkthdr(mbuf_t to, const mbuf_t from);
errno_t mbuf_prepend(mbuf_t *, size_t, mbuf_how_t);
errno_t mbuf_pullup(mbuf_t *, size_t);
errno_t mbuf_pulldown(mbuf_t, size_t *offset, size_t len, mbuf_t *);
errno_t mbuf_split(mbuf_t, size_t offset, mbuf_how_t, mbuf_t *);
void mbuf_adj(mbuf_t, int);

/* ---- offloads ---- */

errno_t mbuf_get_tso_requested(mbuf_t, mbuf_tso_request_flags_t *, uint32_t *mss);
errno_t mbuf_get_csum_requested(mbuf_t, mbuf_csum_request_flags_t *, uint32_t *value);
errno_t mbuf_set_csum_requested(mbuf_t, mbuf_csum_request_flags_t, uint32_t value);
errno_t mbuf_clear_csum_requested(mbuf_t);
errno_t mbuf_get_csum_performed(mbuf_t, mbuf_csum_performed_flags_t *, uint32_t *value);
errno_t mbuf_set_csum_performed(mbuf_t, mbuf_csum_performed_flags_t, uint32_t value);
errno_t mbuf_clear_csum_performed(mbuf_t);
errno_t mbuf_get_vlan_tag(mbuf_t, uint16_t *);
errno_t mbuf_set_vlan_tag(mbuf_t, uint16_t);
errno_t mbuf_clear_vlan_tag(mbuf_t);
}

#endif

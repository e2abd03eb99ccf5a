/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network buffers as the simulation keeps them; kexts see them through kpi/mbuf.h.
 *
 * An mbuf is two things here: a record in ordinary memory, which is what an mbuf_t points to, and a
 * block of 256 bytes of device memory with the inline data. In a kernel they are one block whose
 * first part is the record. The part of ours that would be the record is filled with a guard
 * pattern and looked at when the mbuf is freed: what a kernel would die of much later, is told.
 *
 * Clusters are device memory with a record each, which counts references. Device memory is one
 * linear mapping, so the pages of a 16 KiB cluster are neighbours for the device too; that nobody
 * relies on it has to be seen elsewhere [XNU-MBUF-1].
 *
 * Freed blocks carry a pattern in their first bytes. It is looked at when they are handed out
 * again: a driver, or a device, that wrote to memory it had given back is told then.
 *
 * Records are never given back, so that looking at a stale mbuf_t is defined, and found out.
 */
#ifndef SIM_MACOS_BSD_MBUF_H
#define SIM_MACOS_BSD_MBUF_H

#include "guest/ports/xnu/kpi/mbuf.h"
#include "sim/macos/sim.h"

/* What the kernel's functions return: numbers of Darwin's, not of ours. */
enum {
	DARWIN_ENXIO = 6,
	DARWIN_ENOMEM = 12,
	DARWIN_EINVAL = 22,
	DARWIN_ENETDOWN = 50,
	DARWIN_ENOBUFS = 55,
	DARWIN_EPWROFF = 82,
	DARWIN_EOPNOTSUPP = 102,
};

static constexpr uint32_t SIM_MBUF_SIZE = 256;
static constexpr uint32_t SIM_MBUF_HEAD = 32; /* not data, even without a packet header */
static constexpr uint32_t SIM_CLUSTER = 2048;
static constexpr uint32_t SIM_CLUSTER_BIG = 4096;
static constexpr uint32_t SIM_CLUSTER_JUMBO = 16384;

/* Beside the checksum flags, in the same word. */
static constexpr uint32_t SIM_CSUM_LOW = 0xffff;
static constexpr uint32_t SIM_CSUM_VLAN = 0x10000;
static constexpr uint32_t SIM_CSUM_TSO = MBUF_TSO_IPV4 | MBUF_TSO_IPV6;

struct sim_pool_item {
	struct sim_pool_item *link;
};

struct sim_cluster : sim_pool_item {
	uint8_t *base;
	uint32_t size;
	uint32_t refs;
	uint32_t sum_len; /* sim_mbuf_protect(): so many bytes have the sum; 0: not protected */
	uint64_t sum;
};

/* Who has to free it in the end. */
enum sim_mbuf_kind {
	SIM_MBUF_DRIVERS,  /* made by a driver */
	SIM_MBUF_SENT,	   /* made by the stack, for a driver */
	SIM_MBUF_RECEIVED, /* the stack's, or the program's */
};

struct __mbuf : sim_pool_item {
	uint32_t magic;
	mbuf_flags_t flags;
	mbuf_t next, nextpkt;
	uint8_t *data;
	size_t len;
	mbuf_type_t type;
	uint32_t guard; /* bytes of the block that are not data */
	uint8_t *block;
	struct sim_cluster *ext;
	const void *caller; /* who asked for it */
	enum sim_mbuf_kind kind;
	bool input; /* handed up to the stack, which has it now */

	/* The packet header. */
	size_t pkt_len;
	ifnet_t rcvif;
	void *header;
	uint32_t csum_flags, csum_data, tso_segsz;
	uint16_t vlan_tag;
};

/* ---- pools ---- */

void sim_mbuf_boot(void);
/* What is alive goes to the list of what was left behind. */
void sim_mbuf_halt(void);

/* Asked by what a kext allocates with: false if it may have memory. Violation: not here. */
static inline bool sim_mbuf_refused(const char *what, const void *caller)
{
	sim_may_block(what);
	return sim_alloc_fails(caller);
}

uint32_t sim_mbuf_mhlen(void);
bool sim_mbuf_jumbo(void); /* there are 16 KiB clusters */

/* 0: no memory. `caller` is remembered, for the list of what leaked. */
mbuf_t sim_mbuf_get(bool header, const void *caller);
/* A cluster of one of the three sizes for an mbuf without; false: no memory. */
bool sim_mbuf_cluster(mbuf_t m, size_t size);
/* Both: an mbuf with room for len bytes, at most SIM_CLUSTER_JUMBO. */
mbuf_t sim_mbuf_room(bool header, size_t len, const void *caller);
/* One more mbuf with a part of the same cluster. */
void sim_mbuf_share(mbuf_t to, mbuf_t from);
/* Frees one and returns the next. */
mbuf_t sim_mbuf_free(mbuf_t m, const char *what);
void sim_mbuf_freem(mbuf_t m, const char *what);

/* ---- checks ---- */

/* A violation unless the mbuf exists and is not free; `what` is the function that was called. */
void sim_mbuf_live(const struct __mbuf *m, const char *what);
/* A violation unless this is one sound packet; the bytes in it. */
size_t sim_mbuf_packet(mbuf_t m, const char *what);

/*
 * Make the cluster of a packet to send read-only: the caller keeps a reference. Everything up to
 * the end of the data is summed, and summed again when the mbuf is freed.
 */
void sim_mbuf_protect(mbuf_t m);

uint8_t *sim_mbuf_start(const struct __mbuf *m);
size_t sim_mbuf_max(const struct __mbuf *m);
/* Nobody else has the cluster. */
bool sim_mbuf_writable(const struct __mbuf *m);

#endif

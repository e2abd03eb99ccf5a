/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the rig share. Not for tests. */
#ifndef TESTS_LIB_RIG_INTERNAL_H
#define TESTS_LIB_RIG_INTERNAL_H

#include "tests/lib/rig.h"

#define RIG_BLOCKS   256u
#define RIG_ALLOCS   256u
#define RIG_SEGS_MAX 64u

enum owner { OWNER_PORT, OWNER_DRIVER, OWNER_LOST };

/* One packet buffer of the port. The cookie is its address. */
struct packet {
	uint32_t magic;
	bool rx;
	enum owner owner;
	struct packet *next; /* while the port has it */
	uint8_t *mem;	     /* room bytes in the arena */
	uint64_t da;
	uint32_t room;
	uint32_t len; /* tx: bytes given */
};

struct block {
	size_t off, len;
	bool live;
};

struct rig {
	struct rig_opts opts;
	struct vio_os os;
	struct vio_pci pci;
	struct vio_net *net;
	struct model *model;
	bool attached, pci_open;
	int status;

	/* Memory. [0, pool) are packet buffers, the rest shared blocks, each page its state. */
	uint8_t *arena;
	size_t arena_len, pool_len, arena_next;
	uint64_t da_base;
	struct block blocks[RIG_BLOCKS];
	unsigned nblocks;
	struct {
		void *ptr;
		size_t len;
	} allocs[RIG_ALLOCS];
	unsigned fail_nth;
	bool fail_forever;

	/* Time and interrupts. */
	uint64_t now;
	bool in_device;	  /* the model is at work: time does not run it again */
	uint64_t pending; /* vectors, one bit each; RIG_INTX */
	bool intx, hold_irqs, auto_recover, starving;
	unsigned locked;

	/* The stack. */
	struct packet *packets;
	unsigned npackets;
	struct packet *rx_free, *tx_free;
	bool recover_wanted;
	struct vio_net_link link;
	const char *why;
	struct rig_counts n;
	struct rig_frame sent[RIG_TX_LOG], got[RIG_RX_LOG];
	unsigned nsent, ngot;

	unsigned failures;
	char failure[160];
};

/* rig_os.c */
bool rig_memory_create(struct rig *r);
void rig_memory_destroy(struct rig *r);
void *rig_device_mem(void *ctx, uint64_t addr, size_t len);
uint64_t rig_da(const struct rig *r, const void *ptr);
extern const struct vio_os_ops rig_os_ops;

/* rig_port.c */
extern const struct vio_net_upcalls rig_upcalls;
bool rig_packets_create(struct rig *r);
void rig_log_frame(struct rig *r, bool sent, const struct rig_frame *frame);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of bare hands for tests of the model: register numbers, descriptors, nothing hidden.
 * It keeps the rules unless a test breaks one on purpose.
 */
#ifndef TESTS_MODEL_RAW_H
#define TESTS_MODEL_RAW_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/model.h"

#define RAW_BASE UINT64_C(0x2a3000000)
#define RAW_MEM	 (8u << 20)
#define RAW_SIZE 64u /* entries of every queue */

#define COMMON(f) ((unsigned)offsetof(struct virtio_pci_common_cfg, f))
#define NETBIT(f) VIRTIO_BIT(VIRTIO_NET_F_##f)

struct raw_queue {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t size, idx, seen, next; /* next: descriptor to use next, round robin */
};

struct raw {
	struct model *m;
	uint8_t *mem;
	size_t top;
	bool legacy;
	uint64_t features;
	struct raw_queue q[MODEL_QUEUES];
	unsigned irqs[16];
	bool intx;
	unsigned nframes;
	struct model_hdr hdr;
	uint8_t frame[MODEL_FRAME_MAX];
	uint32_t frame_len;
	unsigned complaints;
	char complaint[120]; /* the last */
};

void raw_options(struct model_options *o); /* defaults, queues of RAW_SIZE, immediate */
struct raw *raw_open(const struct model_options *o);
void raw_close(struct raw *r);

uint32_t raw_rd(struct raw *r, unsigned off, unsigned width); /* common or legacy registers */
void raw_wr(struct raw *r, unsigned off, unsigned width, uint32_t val);
void raw_status(struct raw *r, uint8_t status);

/* Up to FEATURES_OK / through DRIVER_OK, as the specification wants it. */
void raw_negotiate(struct raw *r, uint64_t features);
void raw_queue_up(struct raw *r, unsigned q);
void raw_start(struct raw *r, uint64_t features);
void raw_start_legacy(struct raw *r, uint64_t features);

/* Memory: device address of a pointer; n fresh bytes. */
void *raw_alloc(struct raw *r, size_t n, size_t align);
uint64_t raw_da(struct raw *r, const void *p);

struct raw_seg {
	void *p;
	uint32_t len;
	bool write;
};
/* Describe a chain (head returned), make it available, notify. */
uint16_t raw_chain(struct raw *r, unsigned q, const struct raw_seg *segs, unsigned n);
uint16_t raw_indirect(struct raw *r, unsigned q, const struct raw_seg *segs, unsigned n);
void raw_avail(struct raw *r, unsigned q, uint16_t head);
void raw_notify(struct raw *r, unsigned q);
void raw_post(struct raw *r, unsigned q, const struct raw_seg *segs, unsigned n);
/* The next used entry; false if there is none. */
bool raw_used(struct raw *r, unsigned q, uint32_t *id, uint32_t *len);

/* Header and frame as two segments. */
void raw_send(struct raw *r, const struct virtio_net_hdr *hdr, const void *frame, uint32_t len);
/* One control command, answer byte returned. */
uint8_t raw_ctrl(struct raw *r, uint8_t class_, uint8_t command, const void *data, uint32_t len);

/* A UDP frame over IPv4 with n bytes of payload, sums right; buf has n + 42 bytes. */
uint32_t raw_udp(uint8_t *buf, uint32_t n);
/* A TCP frame; with the pseudo-header sum only if partial. n + 54 bytes. */
uint32_t raw_tcp(uint8_t *buf, uint32_t n, bool partial);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest port there can be, bolted to the model: one arena, no locks, no log.
 *
 * Benchmarks use it instead of the tests' rig, whose checks would be measured too. Device addresses
 * are offsets into the arena plus a constant, so that translation costs the model one subtraction.
 */
#ifndef BENCH_PORT_H
#define BENCH_PORT_H

#include "model/model.h"
#include "vio/net.h"
#include "vio/pci.h"

#define PORT_BUF 2048u /* bytes of one packet buffer */

struct port {
	uint8_t *arena;
	size_t arena_len, arena_used;
	struct vio_os os;
	struct model *model;
	struct vio_pci pci;
	struct vio_net *net;
	/* Packet buffers: a stack of free ones, by index. */
	uint8_t *bufs;
	uint64_t bufs_da;
	uint32_t buf_len;
	unsigned nfree;
	unsigned *free_bufs;
	unsigned nbufs;
	uint64_t tx_done, rx_packets, rx_bytes;
	uint64_t model_tx;
};

/* Exits with a line on failure: this is a benchmark. nbufs buffers of buf_len bytes. */
void port_open(struct port *p, const struct model_options *options,
	       const struct vio_net_params *params, unsigned nbufs, uint32_t buf_len);
void port_close(struct port *p);

static inline uint8_t *port_buf(const struct port *p, unsigned i)
{
	return p->bufs + (size_t)i * p->buf_len;
}

static inline uint64_t port_buf_da(const struct port *p, unsigned i)
{
	return p->bufs_da + (uint64_t)i * p->buf_len;
}

#endif

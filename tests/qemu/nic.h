/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One NIC under test: a QEMU machine with one virtio-net function, the driver on it, and a port
 * that keeps account.
 *
 * The port is the strictest one there is. Every receive buffer and every packet is a struct
 * nic_buf that knows who has it; a buffer that comes back twice, that comes back from nowhere, or
 * that is still out at the end, is a fault. Nothing here calls vio_net_tick, which forgives a lost
 * interrupt: what the tests wait for comes by interrupt or not at all.
 *
 * Life in steps, each of which may also be taken alone:
 *
 *   nic_boot     QEMU is running, its bus is scanned
 *   nic_attach   the function is found, its interrupts set up, its transport open
 *   nic_create   driver and buffers exist, the device is reset
 *   vio_net_start
 *   ...          nic_send, nic_pump
 *   nic_remove   undoes nic_create and nic_attach, and looks for leaks
 *   nic_end      all of it
 *
 * Any failure fails the running test (cmocka). One thread.
 */
#ifndef TESTS_QEMU_NIC_H
#define TESTS_QEMU_NIC_H

#include "guest/ports/user/irq.h"
#include "guest/ports/user/pci.h"
#include "guest/ports/user/qemu.h"
#include "guest/ports/user/user_os.h"
#include "guest/ports/user/wait.h"
#include "tests/user/cm.h"
#include "vio/net.h"

#define NIC_NAME	"nic" /* its id in QEMU; the netdev's is "n0" */
#define NIC_NETDEV	"n0"
#define NIC_HEADROOM	64u    /* in front of each packet to send */
#define NIC_GAP		16u    /* of junk between two segments of a packet */
#define NIC_RX_MAX	65600u /* longest frame handed up */
#define NIC_MAX_SEGS	64u
#define NIC_PATIENCE_MS 10000u /* for what must happen */

enum nic_face { NIC_MODERN, NIC_TRANSITIONAL, NIC_LEGACY };

struct nic_opts {
	const char *machine; /* "pc", or "q35": then behind a root port. NULL: "pc" */
	enum nic_face face;
	enum vio_pci_prefer prefer;
	enum vio_irq_mode irq; /* VIO_IRQ_INTX: the device has vectors=0 */
	const char *netdev;    /* NULL: "user,id=n0" */
	const char *props;     /* ",name=value..." of the device, or NULL */
	int fd;		       /* given to QEMU under the same number; 0: none */
	struct vio_net_params net;
	uint32_t tx_len;  /* longest packet to send, gaps included; 0: 2048 */
	unsigned tx_bufs; /* 0: 64 */
	unsigned ram_mib; /* 0: 64 */
};

struct nic;

struct nic_buf {
	struct nic_buf *next; /* free list */
	uint8_t *va;
	uint64_t da;
	bool out; /* the driver has it */
	bool rx;
};

struct nic_pool {
	struct vio_dma mem;
	struct nic_buf *bufs, *free;
	unsigned n, n_free;
	uint32_t len;
};

/* A packet to send. Zeroes after len: one segment, no requests. */
struct nic_packet {
	const void *data;
	uint32_t len;
	unsigned flags;	   /* VIO_NET_TX_* */
	uint32_t headroom; /* at most NIC_HEADROOM */
	uint16_t mss, vlan_tci;
	const uint32_t *cuts; /* ascending offsets where a new segment begins */
	unsigned ncuts;
	const struct vio_net_offload *offload;
};

struct nic {
	struct nic_opts o;
	struct qemu q;
	struct qemu_pci_bus bus;
	struct qemu_pci *f;
	struct irq irq;
	struct user_os os;
	struct vio_pci pci;
	struct vio_net *net;
	struct vio_net_info info;
	struct nic_pool rx, tx;
	bool pci_open;

	/* Set by the test. */
	void (*frame)(void *arg, const uint8_t *frame, uint32_t len, const struct vio_net_rx *rx);
	void *frame_arg;
	void (*turn)(void *arg); /* once per turn of nic_pump: a peer in this process */
	void *turn_arg;
	bool hungry; /* give the driver no buffers */

	/* What the driver said. */
	unsigned links, announces, breaks;
	struct vio_net_link link;
	uint64_t received, sent, unsent, returned, lost; /* buffers that came back, by how */
	uint64_t vectors;				 /* all that ever fired */
	unsigned faults;
	const char *fault; /* the first one */
	uint8_t data[NIC_RX_MAX];
};

/* Boot, attach, create, start. */
struct nic *nic_new(const struct nic_opts *o);
struct nic *nic_boot(const struct nic_opts *o);
void nic_attach(struct nic *n);
/* Result of vio_net_create. */
int nic_create_driver(struct nic *n);
/* The same, and on success the buffers. */
int nic_create(struct nic *n);
void nic_start(struct nic *n);
/* Destroys, and checks that every buffer is back once and no memory is left. */
void nic_remove(struct nic *n);
void nic_end(struct nic *n);

/* The device argument that these options stand for. */
void nic_device(const struct nic_opts *o, char *buf, size_t size);

/* vio_net_send of a copy; the caller flushes. On any error nothing is queued. */
int nic_send(struct nic *n, const struct nic_packet *p);
/* One plain frame that must go: waits for room, flushes. */
void nic_put(struct nic *n, const void *frame, uint32_t len);
/* The same with requests and cuts. */
void nic_put_packet(struct nic *n, const struct nic_packet *p);

/* Look at interrupts, serve the driver, give the peer a turn. */
void nic_turn(struct nic *n);
/* Turn until done says so; false: not within ms. done NULL: just for that long. */
bool nic_pump(struct nic *n, bool (*done)(void *arg), void *arg, unsigned ms);
/* Until the driver holds no packet of ours any more. */
void nic_drain(struct nic *n);
/* Every buffer is back. */
bool nic_idle(const struct nic *n);
/* A QMP command that must succeed; args is consumed. ret as for qmp_execute. */
void nic_qmp(struct nic *n, const char *command, json_t *args, json_t **ret);

#endif

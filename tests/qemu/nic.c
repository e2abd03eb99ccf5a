/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/qemu/nic.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "wire/virtio.h"

#define RX_SPARE     32u
#define RX_FIRST     20u /* bytes of a receive buffer's first segment, if it has several */
#define TX_LEN	     2048u
#define TX_BUFS	     64u
#define SERVICE_MAX  1000u /* calls in one turn before something must be wrong */
#define BUDGET	     64u
#define NAP_US	     100u
#define NAP_ALONE_US 1000u /* when there is no peer that needs a turn */
#define DEVICE_LEN   400u

static void nic_fault(struct nic *n, const char *what)
{
	if (!n->faults++)
		n->fault = what;
}

/* ---- buffers ---- */

static int nic_pool_init(struct nic *n, struct nic_pool *p, unsigned count, uint32_t len, bool rx)
{
	const struct vio_os *os = &n->os.os;

	len = (len + 63u) & ~63u;
	*p = (struct nic_pool){.n = count, .len = len};
	p->bufs = calloc(count, sizeof(*p->bufs));
	if (!p->bufs || os->ops->dma_alloc(os->ctx, (size_t)count * len, 64, 64, &p->mem))
		return VIO_ENOMEM;
	for (unsigned i = count; i-- > 0;) {
		struct nic_buf *b = &p->bufs[i];

		b->va = (uint8_t *)p->mem.va + (size_t)i * len;
		b->da = p->mem.da + (uint64_t)i * len;
		b->rx = rx;
		b->next = p->free;
		p->free = b;
	}
	p->n_free = count;
	return VIO_OK;
}

static void nic_pool_fini(struct nic *n, struct nic_pool *p)
{
	if (p->mem.va)
		n->os.os.ops->dma_free(n->os.os.ctx, &p->mem);
	free(p->bufs);
	*p = (struct nic_pool){.n = 0};
}

static struct nic_buf *nic_buf_take(struct nic_pool *p)
{
	struct nic_buf *b = p->free;

	if (!b)
		return NULL;
	p->free = b->next;
	p->n_free--;
	b->out = true;
	return b;
}

/* A cookie came back: is it one that was out? */
static struct nic_buf *nic_buf_back(struct nic *n, void *cookie, bool rx)
{
	struct nic_pool *p = rx ? &n->rx : &n->tx;
	struct nic_buf *b = cookie;

	if (b < p->bufs || b >= p->bufs + p->n) {
		nic_fault(n, "a cookie came back that never was given");
		return NULL;
	}
	if (!b->out) {
		nic_fault(n, rx ? "a receive buffer came back twice" : "a packet came back twice");
		return NULL;
	}
	b->out = false;
	b->next = p->free;
	p->free = b;
	p->n_free++;
	return b;
}

bool nic_idle(const struct nic *n)
{
	return n->rx.n_free == n->rx.n && n->tx.n_free == n->tx.n;
}

/* ---- what the driver asks ---- */

static bool nic_rx_buffer(void *port, struct vio_net_rxbuf *buf)
{
	struct nic *n = port;
	struct nic_buf *b = n->hungry ? NULL : nic_buf_take(&n->rx);
	uint32_t at = 0;

	if (!b)
		return false;
	/* In as many pieces as may be: a short one that still holds the header, then equal ones. */
	for (unsigned i = 0; i < buf->max_segs; i++) {
		bool last = i + 1 == buf->max_segs;
		uint32_t len = i ? n->rx.len / buf->max_segs : RX_FIRST;

		len = last ? n->rx.len - at : len;
		buf->segs[i] = (struct seg){.ptr = b->va + at, .addr = b->da + at, .len = len};
		at += len;
	}
	buf->nsegs = buf->max_segs;
	buf->cookie = b;
	return true;
}

/* The packet in one piece, its checksum finished. */
static uint32_t nic_gather(struct nic *n, const struct vio_net_rx *rx)
{
	uint32_t len = 0;

	for (unsigned i = 0; i < rx->nparts; i++) {
		const struct nic_buf *b = rx->parts[i].cookie;
		uint32_t part = rx->parts[i].len;

		if (part > NIC_RX_MAX - len || rx->parts[i].off > n->rx.len ||
		    part > n->rx.len - rx->parts[i].off) {
			nic_fault(n, "a received part lies outside its buffer");
			return 0;
		}
		memcpy(n->data + len, b->va + rx->parts[i].off, part);
		len += part;
	}
	if (len != rx->len)
		nic_fault(n, "a received packet's length is not that of its parts");
	if (rx->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		struct seg seg = {.ptr = n->data, .len = len};

		if (vio_net_offload_finish(&seg, 1, &rx->offload))
			nic_fault(n, "a received checksum cannot be finished");
	}
	return len;
}

static void nic_rx_packet(void *port, const struct vio_net_rx *rx)
{
	struct nic *n = port;
	uint32_t len = nic_gather(n, rx);

	for (unsigned i = 0; i < rx->nparts; i++)
		(void)nic_buf_back(n, rx->parts[i].cookie, true);
	n->received++;
	if (n->frame)
		n->frame(n->frame_arg, n->data, len, rx);
}

static void nic_rx_return(void *port, void *cookie, int status)
{
	struct nic *n = port;

	(void)nic_buf_back(n, cookie, true);
	n->returned++;
	n->lost += status != VIO_OK;
}

static void nic_tx_done(void *port, void *cookie, int status)
{
	struct nic *n = port;

	(void)nic_buf_back(n, cookie, false);
	n->sent += status == VIO_OK;
	n->unsent += status == VIO_EAGAIN;
	n->lost += status == VIO_EDEV;
}

static void nic_link(void *port, const struct vio_net_link *link)
{
	struct nic *n = port;

	n->links++;
	n->link = *link;
}

static void nic_announce(void *port)
{
	((struct nic *)port)->announces++;
}

static void nic_broken(void *port, const char *why)
{
	struct nic *n = port;

	if (!why)
		nic_fault(n, "broken, but no reason given");
	n->breaks++;
}

static const struct vio_net_upcalls nic_upcalls = {
	.rx_buffer = nic_rx_buffer,
	.rx_packet = nic_rx_packet,
	.rx_return = nic_rx_return,
	.tx_done = nic_tx_done,
	.link = nic_link,
	.announce = nic_announce,
	.broken = nic_broken,
};

/* ---- life ---- */

static bool nic_behind_port(const struct nic_opts *o)
{
	return o->machine && !strcmp(o->machine, "q35");
}

void nic_device(const struct nic_opts *o, char *buf, size_t size)
{
	static const char *const faces[] = {
		[NIC_MODERN] = ",disable-legacy=on,disable-modern=off",
		[NIC_TRANSITIONAL] = ",disable-legacy=off,disable-modern=off",
		[NIC_LEGACY] = ",disable-legacy=off,disable-modern=on",
	};
	int len =
		snprintf(buf, size, "virtio-net-pci,id=%s,netdev=%s%s%s%s%s", NIC_NAME, NIC_NETDEV,
			 nic_behind_port(o) ? ",bus=" QEMU_ROOT_PORT : "", faces[o->face],
			 o->irq == VIO_IRQ_INTX ? ",vectors=0" : "", o->props ? o->props : "");

	assert_true(len > 0 && (size_t)len < size);
}

/* A test that fails jumps away from its machine. Nothing of it may stay, in no case. */
static void nic_die(int sig)
{
	qemu_kill_all();
	_exit(128 + sig);
}

static void nic_clean(const struct nic *now)
{
	static const struct sigaction die = {.sa_handler = nic_die};
	static const struct nic *last;
	static bool armed;

	if (!armed) {
		armed = true;
		(void)atexit(qemu_kill_all);
		(void)sigaction(SIGTERM, &die, NULL);
		(void)sigaction(SIGINT, &die, NULL);
	}
	if (now && last)
		qemu_kill_all(); /* the machine of a test that failed */
	last = now;
}

struct nic *nic_boot(const struct nic_opts *o)
{
	struct nic *n = calloc(1, sizeof(*n));
	char device[DEVICE_LEN];
	const char *const argv[] = {"-netdev", o->netdev ? o->netdev : "user,id=" NIC_NETDEV,
				    "-device", device, NULL};
	struct qemu_opts opts = {
		.machine = o->machine,
		.root_port = nic_behind_port(o),
		.ram_mib = o->ram_mib,
		.argv = argv,
		.fds = &o->fd,
		.n_fds = o->fd > 0,
	};

	assert_non_null(n);
	nic_clean(n);
	n->o = *o;
	nic_device(o, device, sizeof(device));
	if (qemu_start(&n->q, &opts))
		fail_msg("QEMU: %s", n->q.err);
	if (qemu_pci_scan(&n->bus, &n->q))
		fail_msg("bus: %s", n->bus.err);
	assert_int_equal(user_os_init_qemu(&n->os, &n->q), VIO_OK);
	return n;
}

void nic_attach(struct nic *n)
{
	int err = VIO_OK;

	n->f = qemu_pci_find(&n->bus, VIRTIO_PCI_VENDOR, 0);
	assert_non_null(n->f);
	irq_init(&n->irq, n->f);
	if (n->o.irq == VIO_IRQ_INTX)
		err = irq_intx_on(&n->irq);
	else if (n->o.irq == VIO_IRQ_MSIX_ONE)
		err = irq_msix_on(&n->irq, 1);
	else if (n->o.irq == VIO_IRQ_MSIX_EACH)
		err = irq_msix_on(&n->irq, 0);
	if (err)
		fail_msg("interrupts: %s", n->irq.err);
	err = vio_pci_open(&n->pci, &qemu_pci_ops, n->f, &n->os.os, n->o.prefer);
	if (err)
		fail_msg("vio_pci_open: %d %s", err, n->pci.t.why ? n->pci.t.why : "");
	n->pci_open = true;
}

int nic_create_driver(struct nic *n)
{
	struct vio_net_params p = n->o.net;

	p.irq_mode = n->o.irq;
	if (!p.tx_max_segs)
		p.tx_max_segs = NIC_MAX_SEGS;
	return vio_net_create(&n->net, &n->os.os, &n->pci.t, &nic_upcalls, n, &p);
}

int nic_create(struct nic *n)
{
	int err = nic_create_driver(n);

	if (err)
		return err;
	vio_net_info(n->net, &n->info);
	err = nic_pool_init(n, &n->rx, n->info.rx_size + RX_SPARE, n->info.rx_buf_len, true);
	if (!err)
		err = nic_pool_init(n, &n->tx, n->o.tx_bufs ? n->o.tx_bufs : TX_BUFS,
				    NIC_HEADROOM + (n->o.tx_len ? n->o.tx_len : TX_LEN), false);
	if (err)
		fail_msg("no memory for the buffers: give the machine more RAM");
	return VIO_OK;
}

void nic_start(struct nic *n)
{
	int err = vio_net_start(n->net);

	if (err)
		fail_msg("vio_net_start: %d %s", err,
			 vio_net_why(n->net) ? vio_net_why(n->net) : "");
}

struct nic *nic_new(const struct nic_opts *o)
{
	struct nic *n = nic_boot(o);
	int err;

	nic_attach(n);
	err = nic_create(n);
	if (err)
		fail_msg("vio_net_create: %d %s", err, n->pci.t.why ? n->pci.t.why : "");
	nic_start(n);
	return n;
}

void nic_remove(struct nic *n)
{
	vio_net_destroy(n->net);
	n->net = NULL;
	if (n->pci_open)
		vio_pci_close(&n->pci);
	n->pci_open = false;
	if (n->fault)
		fail_msg("%u faults, the first: %s", n->faults, n->fault);
	if (!nic_idle(n))
		fail_msg("%u receive buffers and %u packets never came back",
			 n->rx.n - n->rx.n_free, n->tx.n - n->tx.n_free);
	nic_pool_fini(n, &n->rx);
	nic_pool_fini(n, &n->tx);
	assert_int_equal(n->os.live_private, 0);
	assert_int_equal(n->os.live_dma, 0);
	assert_int_equal(n->os.misuse, 0);
	irq_off(&n->irq);
}

void nic_end(struct nic *n)
{
	nic_remove(n);
	user_os_fini(&n->os);
	qemu_pci_release(&n->bus);
	qemu_stop(&n->q);
	nic_clean(NULL);
	free(n);
}

/* ---- traffic ---- */

int nic_send(struct nic *n, const struct nic_packet *p)
{
	struct seg segs[NIC_MAX_SEGS];
	struct vio_net_tx tx = {
		.segs = segs,
		.nsegs = p->ncuts + 1,
		.flags = p->flags,
		.headroom = p->headroom,
		.mss = p->mss,
		.vlan_tci = p->vlan_tci,
	};
	struct nic_buf *b = nic_buf_take(&n->tx);
	uint32_t at = NIC_HEADROOM, from = 0;
	int err;

	if (!b)
		return VIO_EAGAIN;
	assert_true(p->ncuts < NIC_MAX_SEGS && p->headroom <= NIC_HEADROOM);
	assert_true(p->len + p->ncuts * NIC_GAP <= n->tx.len - NIC_HEADROOM);
	memset(b->va, 0xee, at);
	for (unsigned i = 0; i <= p->ncuts; i++) {
		uint32_t to = i < p->ncuts ? p->cuts[i] : p->len;

		assert_true(from <= to && to <= p->len);
		segs[i] = (struct seg){.ptr = b->va + at, .addr = b->da + at, .len = to - from};
		memcpy(b->va + at, (const uint8_t *)p->data + from, to - from);
		at += to - from;
		if (i < p->ncuts)
			memset(b->va + at, 0xee, NIC_GAP);
		at += NIC_GAP;
		from = to;
	}
	tx.cookie = b;
	if (p->offload)
		tx.offload = *p->offload;
	err = vio_net_send(n->net, &tx);
	if (err)
		(void)nic_buf_back(n, b, false);
	return err;
}

void nic_put_packet(struct nic *n, const struct nic_packet *p)
{
	uint64_t deadline = wait_deadline_ms(NIC_PATIENCE_MS);
	int err;

	while ((err = nic_send(n, p)) == VIO_EAGAIN) {
		if (wait_over(deadline))
			fail_msg("no room to send: %u in flight", vio_net_tx_in_flight(n->net));
		vio_net_flush(n->net);
		(void)!vio_net_tx_arm(n->net);
		nic_turn(n);
		if (!n->tx.free)
			vio_net_tx_reclaim(n->net, BUDGET);
	}
	if (err)
		fail_msg("vio_net_send: %d", err);
	vio_net_flush(n->net);
}

void nic_put(struct nic *n, const void *frame, uint32_t len)
{
	struct nic_packet p = {.data = frame, .len = len};

	nic_put_packet(n, &p);
}

/* What the interrupts of this mask mean. */
static unsigned nic_events(struct nic *n, uint64_t fired)
{
	unsigned events = 0;

	n->vectors |= fired;
	if (n->o.irq == VIO_IRQ_NONE)
		return VIO_EVENT_QUEUE;
	for (unsigned v = 0; fired >> v; v++) {
		if (fired >> v & 1)
			events |= vio_net_interrupt(n->net, v);
		if (v == 63)
			break;
	}
	return events;
}

static void nic_serve(struct nic *n, uint64_t fired)
{
	unsigned events = n->net ? nic_events(n, fired) : 0;
	unsigned calls = 0;

	if (events) {
		while (vio_net_service(n->net, events, BUDGET) && ++calls < SERVICE_MAX)
			;
		if (calls == SERVICE_MAX)
			nic_fault(n, "vio_net_service never has enough");
	}
	if (n->turn)
		n->turn(n->turn_arg);
}

void nic_turn(struct nic *n)
{
	nic_serve(n, irq_poll(&n->irq));
}

bool nic_pump(struct nic *n, bool (*done)(void *arg), void *arg, unsigned ms)
{
	uint64_t deadline = wait_deadline_ms(ms);
	uint32_t nap = n->turn ? NAP_US : NAP_ALONE_US;

	nic_turn(n);
	for (;;) {
		if (done && done(arg))
			return true;
		if (wait_over(deadline))
			return false;
		if (n->o.irq == VIO_IRQ_NONE)
			nic_turn(n);
		else
			nic_serve(n, irq_wait(&n->irq, nap));
	}
}

void nic_drain(struct nic *n)
{
	uint64_t deadline = wait_deadline_ms(NIC_PATIENCE_MS);

	vio_net_flush(n->net);
	while (n->tx.n_free != n->tx.n) {
		if (wait_over(deadline))
			fail_msg("%u packets stay with the device", n->tx.n - n->tx.n_free);
		vio_net_tx_reclaim(n->net, BUDGET);
		nic_turn(n);
	}
}

void nic_qmp(struct nic *n, const char *command, json_t *args, json_t **ret)
{
	if (qmp_execute(&n->q.qmp, command, args, ret))
		fail_msg("%s: %s", command, n->q.qmp.err);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PORT_DA	   UINT64_C(0x13a57b000)
#define PORT_ARENA ((size_t)256 << 20)

static void port_die(const char *what, long value)
{
	fprintf(stderr, "bench: %s (%ld)\n", what, value);
	exit(1);
}

static void *port_alloc(void *os, size_t len)
{
	(void)os;
	return calloc(1, len);
}

static void port_free(void *os, void *ptr, size_t len)
{
	(void)os;
	(void)len;
	free(ptr);
}

static int port_dma_alloc(void *os, size_t len, size_t align, unsigned addr_bits,
			  struct vio_dma *out)
{
	struct port *p = os;
	size_t at = (p->arena_used + align - 1) & ~(align - 1);

	(void)addr_bits;
	if (at > p->arena_len || p->arena_len - at < len)
		return VIO_ENOMEM;
	*out = (struct vio_dma){.va = p->arena + at, .da = PORT_DA + at, .len = len};
	p->arena_used = at + len;
	return VIO_OK;
}

static void port_dma_free(void *os, struct vio_dma *dma)
{
	(void)os; /* one life per arena */
	(void)dma;
}

static uint64_t port_time_us(void *os)
{
	struct timespec t;

	(void)os;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void port_delay_us(void *os, uint32_t us)
{
	struct port *p = os;

	(void)us;
	model_poll(p->model); /* the other side's turn */
}

static void port_lock(void *os)
{
	(void)os;
}

static void port_log(void *os, enum vio_log_level level, const char *what, uint64_t value)
{
	(void)os;
	if (level <= VIO_LOG_WARN)
		fprintf(stderr, "bench: driver: %s (%llu)\n", what, (unsigned long long)value);
}

static const struct vio_os_ops port_os_ops = {
	.alloc = port_alloc,
	.free = port_free,
	.dma_alloc = port_dma_alloc,
	.dma_free = port_dma_free,
	.time_us = port_time_us,
	.delay_us = port_delay_us,
	.lock = port_lock,
	.unlock = port_lock,
	.log = port_log,
};

static uint32_t port_cfg_read(void *bus, unsigned off, unsigned width)
{
	return model_cfg_read(((struct port *)bus)->model, off, width);
}

static void port_cfg_write(void *bus, unsigned off, unsigned width, uint32_t val)
{
	model_cfg_write(((struct port *)bus)->model, off, width, val);
}

static int port_bar_open(void *bus, unsigned bar, struct vio_bar *out)
{
	struct model_bar b;

	model_bar(((struct port *)bus)->model, bar, &b);
	*out = (struct vio_bar){.len = b.len, .io = b.io, .mapped = b.mapped};
	return b.len ? VIO_OK : VIO_ENODEV;
}

static void port_bar_close(void *bus, unsigned bar)
{
	(void)bus;
	(void)bar;
}

static uint32_t port_read(void *bus, unsigned bar, uint64_t off, unsigned width)
{
	return model_bar_read(((struct port *)bus)->model, bar, off, width);
}

static void port_write(void *bus, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	model_bar_write(((struct port *)bus)->model, bar, off, width, val);
}

static const struct vio_pci_ops port_pci_ops = {
	.cfg_read = port_cfg_read,
	.cfg_write = port_cfg_write,
	.bar_open = port_bar_open,
	.bar_close = port_bar_close,
	.read = port_read,
	.write = port_write,
};

static void *port_mem(void *ctx, uint64_t addr, size_t len)
{
	struct port *p = ctx;
	uint64_t off = addr - PORT_DA;

	return off <= p->arena_len && p->arena_len - off >= len ? p->arena + off : NULL;
}

static void port_model_tx(void *ctx, const struct model_frame *frame)
{
	struct port *p = ctx;

	(void)frame;
	p->model_tx++;
}

static bool port_rx_buffer(void *port, struct vio_net_rxbuf *buf)
{
	struct port *p = port;
	unsigned i;

	if (p->nfree == 0)
		return false;
	i = p->free_bufs[--p->nfree];
	buf->segs[0] =
		(struct seg){.ptr = port_buf(p, i), .addr = port_buf_da(p, i), .len = p->buf_len};
	buf->nsegs = 1;
	buf->cookie = port_buf(p, i);
	return true;
}

static void port_give_back(struct port *p, const void *cookie)
{
	p->free_bufs[p->nfree++] =
		(unsigned)((size_t)((const uint8_t *)cookie - p->bufs) / p->buf_len);
}

static void port_rx_packet(void *port, const struct vio_net_rx *packet)
{
	struct port *p = port;

	for (unsigned i = 0; i < packet->nparts; i++)
		port_give_back(p, packet->parts[i].cookie);
	p->rx_packets++;
	p->rx_bytes += packet->len;
}

static void port_rx_return(void *port, void *cookie, int status)
{
	(void)status;
	port_give_back(port, cookie);
}

static void port_tx_done(void *port, void *cookie, int status)
{
	struct port *p = port;

	(void)cookie;
	(void)status;
	p->tx_done++;
}

static void port_link(void *port, const struct vio_net_link *link)
{
	(void)port;
	(void)link;
}

static void port_announce(void *port)
{
	(void)port;
}

static void port_broken(void *port, const char *why)
{
	(void)port;
	fprintf(stderr, "bench: device broke: %s\n", why);
	exit(1);
}

static const struct vio_net_upcalls port_upcalls = {
	.rx_buffer = port_rx_buffer,
	.rx_packet = port_rx_packet,
	.rx_return = port_rx_return,
	.tx_done = port_tx_done,
	.link = port_link,
	.announce = port_announce,
	.broken = port_broken,
};

void port_open(struct port *p, const struct model_options *options,
	       const struct vio_net_params *params, unsigned nbufs, uint32_t buf_len)
{
	struct model_hooks hooks = {.ctx = p, .mem = port_mem, .tx = port_model_tx};
	struct vio_dma dma;
	int err;

	*p = (struct port){.arena_len = PORT_ARENA, .nbufs = nbufs, .buf_len = buf_len};
	p->arena = mmap(NULL, p->arena_len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	p->free_bufs = calloc(nbufs, sizeof(*p->free_bufs));
	p->model = model_create(options, &hooks);
	if (p->arena == MAP_FAILED || !p->free_bufs || !p->model)
		port_die("out of memory", 0);
	p->os = (struct vio_os){.ops = &port_os_ops, .ctx = p};
	if (port_dma_alloc(p, (size_t)nbufs * buf_len, 4096, 64, &dma))
		port_die("arena too small", (long)nbufs);
	p->bufs = dma.va;
	p->bufs_da = dma.da;
	for (unsigned i = nbufs; i-- > 0;)
		p->free_bufs[p->nfree++] = i;

	/* What firmware does. */
	model_cfg_write(p->model, PCI_COMMAND, 2,
			PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	err = vio_pci_open(&p->pci, &port_pci_ops, p, &p->os, VIO_PCI_AUTO);
	if (err)
		port_die("PCI function not usable", err);
	err = vio_net_create(&p->net, &p->os, &p->pci.t, &port_upcalls, p, params);
	if (err)
		port_die("driver not created", err);
	err = vio_net_start(p->net);
	if (err)
		port_die("driver not started", err);
}

void port_close(struct port *p)
{
	vio_net_destroy(p->net);
	vio_pci_close(&p->pci);
	model_destroy(p->model);
	munmap(p->arena, p->arena_len);
	free(p->free_bufs);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/viorun/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "wire/virtio.h"

#define RAM_MIB 128u

#define CARD_LEN   (160u + OPTIONS_CARD_MAX)
#define NETDEV_LEN 96u
#define KDP_PORT   "41139"

__attribute__((format(printf, 2, 3))) static bool machine_fail(struct machine *m, const char *fmt,
							       ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(m->err, sizeof(m->err), fmt, ap);
	va_end(ap);
	return false;
}

static void machine_card_args(char card[CARD_LEN], const struct options *o)
{
	static const char *const transport[] = {
		[OPTIONS_MODERN] = "disable-legacy=on,disable-modern=off",
		[OPTIONS_TRANSITIONAL] = "disable-legacy=off,disable-modern=off",
		[OPTIONS_LEGACY] = "disable-legacy=off,disable-modern=on",
	};
	char rx[32] = "";

	if (o->queue_size > OPTIONS_QUEUE_QEMU)
		(void)snprintf(rx, sizeof(rx), ",rx_queue_size=%u", o->queue_size);
	(void)snprintf(card, CARD_LEN, "virtio-net-pci,id=nic0,netdev=n0,%s%s%s%s%s%s",
		       transport[o->transport], rx, o->no_msix ? ",vectors=0" : "",
		       o->machine == OPTIONS_Q35 ? ",bus=" QEMU_ROOT_PORT : "", o->card ? "," : "",
		       o->card ? o->card : "");
}

static double machine_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void machine_version(struct machine *m)
{
	json_t *ret = NULL;
	int major = 0, minor = 0, micro = 0;

	if (qmp_execute(&m->board.q.qmp, "query-version", NULL, &ret) == VIO_OK && ret &&
	    !json_unpack(ret, "{s{sisisi}}", "qemu", "major", &major, "minor", &minor, "micro",
			 &micro))
		(void)snprintf(m->version, sizeof(m->version), "%d.%d.%d", major, minor, micro);
	else
		(void)snprintf(m->version, sizeof(m->version), "of unknown version");
	json_decref(ret);
}

static bool machine_start_qemu(struct machine *m, const struct options *o, int net_fd,
			       unsigned deadline_ms)
{
	char netdev[NETDEV_LEN] = "user,id=n0", card[CARD_LEN];
	const char *const argv[] = {"-netdev", netdev, "-device", card, NULL};
	const struct qemu_opts opts = {
		.machine = options_machine_name(o->machine),
		.root_port = o->machine == OPTIONS_Q35,
		.ram_mib = RAM_MIB,
		.argv = argv,
		.fds = &net_fd,
		.n_fds = net_fd >= 0,
		.binary = o->qemu,
		.deadline_ms = deadline_ms,
	};
	double before = machine_seconds();

	machine_card_args(card, o);
	if (net_fd >= 0 && o->net == OPTIONS_FD)
		(void)snprintf(netdev, sizeof(netdev),
			       "stream,id=n0,server=off,addr.type=fd,addr.str=%d", net_fd);
	else if (net_fd >= 0)
		(void)snprintf(netdev, sizeof(netdev), "tap,id=n0,fd=%d", net_fd);
	else if (o->kdp_port)
		(void)snprintf(netdev, sizeof(netdev),
			       "user,id=n0,hostfwd=udp:127.0.0.1:%u-:" KDP_PORT, o->kdp_port);
	m->started = true;
	if (qemu_board_open(&m->board, &opts, 1) != VIO_OK)
		return machine_fail(m, "%.200s", m->board.err);
	m->start_s = machine_seconds() - before;
	machine_version(m);
	return true;
}

static bool machine_set_irq(struct machine *m, const struct options *o)
{
	int err = VIO_OK;

	irq_init(&m->irq, m->card);
	switch (o->irq) {
	case OPTIONS_INTX:
		m->irq_mode = VIO_IRQ_INTX;
		err = irq_intx_on(&m->irq);
		break;
	case OPTIONS_MSIX:
		m->irq_mode = VIO_IRQ_MSIX_ONE;
		err = irq_msix_on(&m->irq, 1);
		break;
	case OPTIONS_MSIX_EACH:
		m->irq_mode = VIO_IRQ_MSIX_EACH;
		err = irq_msix_on(&m->irq, 0);
		break;
	case OPTIONS_POLL:
	case OPTIONS_IRQ_AUTO:
		m->irq_mode = VIO_IRQ_NONE;
		break;
	}
	if (err != VIO_OK)
		return machine_fail(m, "interrupts (%s): %s", options_irq_name(o->irq),
				    m->irq.err[0] ? m->irq.err : "the card does not have them");
	return true;
}

bool machine_start(struct machine *m, const struct options *o, int net_fd, unsigned deadline_ms)
{
	memset(m, 0, sizeof(*m));
	if (!machine_start_qemu(m, o, net_fd, deadline_ms))
		return false;
	m->card = qemu_board_function(&m->board, 0)->f;
	return true;
}

bool machine_open(struct machine *m, const struct options *o)
{
	if (user_os_init_qemu(&m->os, &m->board.q) != VIO_OK)
		return machine_fail(m, "guest RAM is not mapped");
	m->os_made = true;
	if (!machine_set_irq(m, o))
		return false;
	qemu_pci_fast_kick(m->card, true);

	if (vio_pci_open(&m->pci, &qemu_pci_ops, m->card, &m->os.os, VIO_PCI_AUTO) != VIO_OK)
		return machine_fail(m, "not a virtio card the driver can use: %s",
				    m->pci.t.why ? m->pci.t.why : "no reason given");
	m->pci_open = true;
	return true;
}

bool machine_alive(struct machine *m)
{
	return qemu_board_alive(&m->board);
}

bool machine_link(struct machine *m, bool up)
{
	if (qemu_board_link(&m->board, "nic0", up) == VIO_OK)
		return true;
	return machine_fail(m, "%.200s", m->board.err);
}

void machine_close(struct machine *m, struct machine_leaks *leaks)
{
	if (m->pci_open)
		vio_pci_close(&m->pci);
	m->pci_open = false;
	*leaks = (struct machine_leaks){
		.dma_bytes = m->os.live_dma,
		.private_bytes = m->os.live_private,
		.misuse = m->os.misuse,
	};
}

void machine_stop(struct machine *m)
{
	if (!m->started)
		return;
	if (m->pci_open)
		vio_pci_close(&m->pci);
	if (m->irq.f)
		irq_off(&m->irq);
	qemu_board_close(&m->board);
	if (m->os_made)
		user_os_fini(&m->os);
	m->started = m->pci_open = m->os_made = false;
	m->card = NULL;
}

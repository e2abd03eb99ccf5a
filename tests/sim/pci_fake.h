/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI function made up for a test: an I/O BAR, a memory BAR, a line, MSI-X, and capabilities
 * whose chain does not ascend.
 */
#ifndef TESTS_SIM_PCI_FAKE_H
#define TESTS_SIM_PCI_FAKE_H

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "sim/macos/board.h"

#define PORTS	   0xc000u
#define REGISTERS  0xfebf1000u
#define CAP_MSIX   0x50u
#define CAP_VENDOR 0x40u /* behind MSI-X in the chain, below it by address */

struct fake {
	uint8_t cfg[256];
	uint8_t regs[4096], ports[64];
	unsigned reads, writes, last_width;
	bool gone;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t fired;
	bool line;
	unsigned mode; /* 1 INTx, 2 MSI-X */
	unsigned waits;
};

static uint32_t get(const uint8_t *p, unsigned width)
{
	uint32_t v = 0;

	memcpy(&v, p, width);
	return v;
}

static uint32_t fake_cfg_read(void *p, unsigned off, unsigned width)
{
	struct fake *f = static_cast<struct fake *>(p);

	return f->gone ? ~0u : get(f->cfg + off, width);
}

static void fake_cfg_write(void *p, unsigned off, unsigned width, uint32_t val)
{
	struct fake *f = static_cast<struct fake *>(p);

	if (off == 4 && width == 4)
		val = (val & 0xffff) | (get(f->cfg + 4, 4) & ~(val & 0xffff0000) & 0xffff0000);
	if (off < 0x40)
		memcpy(f->cfg + off, &val, width);
}

static bool fake_bar(void *, unsigned bar, struct sim_pci_bar *out)
{
	if (bar == 0)
		*out = {PORTS, 64, true};
	else if (bar == 2)
		*out = {REGISTERS, 4096, false};
	else
		return false;
	return true;
}

static uint32_t fake_bar_read(void *p, unsigned bar, uint64_t off, unsigned width)
{
	struct fake *f = static_cast<struct fake *>(p);

	f->reads++;
	f->last_width = width;
	return f->gone ? ~0u : get((bar ? f->regs : f->ports) + off, width);
}

static void fake_bar_write(void *p, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	struct fake *f = static_cast<struct fake *>(p);

	f->writes++;
	f->last_width = width;
	memcpy((bar ? f->regs : f->ports) + off, &val, width);
}

static bool fake_on(void *p, unsigned mode)
{
	struct fake *f = static_cast<struct fake *>(p);

	pthread_mutex_lock(&f->lock);
	f->mode = mode;
	f->fired = 0;
	pthread_mutex_unlock(&f->lock);
	return true;
}

static bool fake_intx_on(void *p)
{
	return fake_on(p, 1);
}

static bool fake_msix_on(void *p, unsigned)
{
	return fake_on(p, 2);
}

static void fake_irq_off(void *p)
{
	fake_on(p, 0);
}

static uint64_t fake_irq_wait(void *p, uint32_t us)
{
	struct fake *f = static_cast<struct fake *>(p);
	struct timespec until;
	uint64_t fired;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += us * 1000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&f->lock);
	f->waits++;
	for (;;) {
		fired = f->mode == 1 ? f->line : f->mode == 2 ? f->fired : 0;
		if (fired || pthread_cond_timedwait(&f->changed, &f->lock, &until))
			break;
	}
	f->fired = 0;
	pthread_mutex_unlock(&f->lock);
	return fired;
}

static const struct sim_pci_ops fake_ops = {
	fake_cfg_read, fake_cfg_write, fake_bar,     fake_bar_read, fake_bar_write,
	fake_intx_on,  fake_msix_on,   fake_irq_off, fake_irq_wait,
};

static void put(struct fake *f, unsigned off, unsigned width, uint32_t val)
{
	memcpy(f->cfg + off, &val, width);
}

static void fake_init(struct fake *f, unsigned entries)
{
	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, nullptr);
	pthread_cond_init(&f->changed, nullptr);
	put(f, 0, 4, 0x10001af4);
	put(f, 4, 2, 7);
	put(f, 6, 2, 0x10);
	put(f, 8, 4, 0x02000000);
	put(f, 0x10, 4, PORTS | 1);
	put(f, 0x18, 4, REGISTERS);
	put(f, 0x2c, 4, 0x00011af4);
	put(f, 0x3d, 1, 1);
	put(f, 0x34, 1, entries ? CAP_MSIX : CAP_VENDOR);
	put(f, CAP_MSIX, 4, 0x00000011 | CAP_VENDOR << 8 | (entries - 1) << 16);
	put(f, CAP_VENDOR, 4, 0x00100009);
}

static void fake_fire(struct fake *f, unsigned vector)
{
	pthread_mutex_lock(&f->lock);
	f->fired |= UINT64_C(1) << vector;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

/* No message is left; how often one was waited for until then. */
static bool fake_taken(struct fake *f, unsigned *waits)
{
	bool taken;

	pthread_mutex_lock(&f->lock);
	taken = f->fired == 0;
	*waits = f->waits;
	pthread_mutex_unlock(&f->lock);
	return taken;
}

static unsigned fake_waits(struct fake *f)
{
	unsigned waits;

	return fake_taken(f, &waits), waits;
}

static void fake_line(struct fake *f, bool high)
{
	pthread_mutex_lock(&f->lock);
	f->line = high;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

#endif

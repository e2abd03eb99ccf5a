/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/pci_bus.h"

void put(uint8_t *at, uint32_t val, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		at[i] = (uint8_t)(val >> 8 * i);
}

uint32_t get(const uint8_t *at, unsigned width)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < width; i++)
		val |= (uint32_t)at[i] << 8 * i;
	return val;
}

static uint32_t bar_access(struct bus *b, unsigned bar, uint64_t off, unsigned width, bool write,
			   uint32_t val)
{
	assert_true(bar < 6 && b->bars[bar].len);
	assert_true(off < b->bars[bar].len && b->bars[bar].len - off >= width);
	assert_true(off < BAR_LEN);
	assert_int_equal(off % width, 0); /* not every bus and CPU can do others */
	b->accesses++;
	b->last_access.bar = bar;
	b->last_access.off = off;
	b->last_access.width = width;
	b->last_access.write = write;
	b->last_access.val = val;
	if (write)
		put(&b->mem[bar][off], val, width);
	return get(&b->mem[bar][off], width);
}

static uint32_t bus_cfg_read(void *bus, unsigned off, unsigned width)
{
	struct bus *b = bus;

	assert_true(off < PCI_CFG_SIZE && PCI_CFG_SIZE - off >= width && off % width == 0);
	b->cfg_reads++;
	if (b->window && off == b->window + 16) {
		const uint8_t *cap = &b->cfg[b->window];

		assert_int_equal(get(cap + 12, 4), width);
		assert_int_equal(get(cap + 8, 4) % width, 0); /* PG-1 */
		assert_int_equal(b->f.locked, 1);
		return bar_access(b, cap[4], get(cap + 8, 4), width, false, 0);
	}
	return get(&b->cfg[off], width);
}

static void bus_cfg_write(void *bus, unsigned off, unsigned width, uint32_t val)
{
	struct bus *b = bus;

	assert_true(off < PCI_CFG_SIZE && PCI_CFG_SIZE - off >= width && off % width == 0);
	/* PC-7: no capability field but the window's bar, offset, length, data. */
	assert_true(b->window && off >= b->window + 4 && off < b->window + 20);
	assert_int_equal(b->f.locked, 1);
	b->cfg_writes++;
	put(&b->cfg[off], val, width);
	if (off == b->window + 16)
		bar_access(b, b->cfg[b->window + 4], get(&b->cfg[b->window + 8], 4), width, true,
			   val);
}

static int bus_bar_open(void *bus, unsigned bar, struct vio_bar *out)
{
	struct bus *b = bus;

	assert_true(bar < 6);
	if (b->bars[bar].len == 0)
		return VIO_ENODEV;
	b->opened++;
	b->open_now[bar]++;
	*out = b->bars[bar];
	return VIO_OK;
}

static void bus_bar_close(void *bus, unsigned bar)
{
	struct bus *b = bus;

	b->open_now[bar]--;
	assert_true(b->open_now[bar] >= 0);
}

static uint32_t bus_read(void *bus, unsigned bar, uint64_t off, unsigned width)
{
	struct bus *b = bus;

	assert_true(b->bars[bar].mapped);
	return bar_access(b, bar, off, width, false, 0);
}

static void bus_write(void *bus, unsigned bar, uint64_t off, unsigned width, uint32_t val)
{
	struct bus *b = bus;

	assert_true(b->bars[bar].mapped);
	bar_access(b, bar, off, width, true, val);
	if (b->vector_back && width == 2 &&
	    (off == COMMON(config_msix_vector) || off == COMMON(queue_msix_vector) ||
	     off == VIRTIO_PCI_LEGACY_CONFIG_VECTOR || off == VIRTIO_PCI_LEGACY_QUEUE_VECTOR))
		put(&b->mem[bar][off], b->vector_back, 2);
}

static const struct vio_pci_ops ops = {
	.cfg_read = bus_cfg_read,
	.cfg_write = bus_cfg_write,
	.bar_open = bus_bar_open,
	.bar_close = bus_bar_close,
	.read = bus_read,
	.write = bus_write,
};

struct bus *bus_new(uint16_t device, uint16_t subsystem)
{
	struct bus *b = calloc(1, sizeof(*b));

	fake_init(&b->f, false);
	put(&b->cfg[PCI_VENDOR_ID], 0x1af4, 2);
	put(&b->cfg[PCI_DEVICE_ID], device, 2);
	put(&b->cfg[PCI_SUBSYSTEM_ID], subsystem, 2);
	b->next = CAPS_AT;
	return b;
}

void bus_free(struct bus *b)
{
	for (unsigned bar = 0; bar < 6; bar++)
		assert_int_equal(b->open_now[bar], 0);
	free(b);
}

unsigned cap_add(struct bus *b, uint8_t id, unsigned len)
{
	unsigned at = b->next;

	b->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	b->cfg[b->last ? b->last + 1 : PCI_CAP_PTR] = (uint8_t)at;
	b->cfg[at] = id;
	b->cfg[at + 1] = 0;
	b->last = at;
	b->next = (at + len + 3) & ~3u;
	return at;
}

unsigned cap_virtio(struct bus *b, uint8_t type, uint8_t bar, uint32_t off, uint32_t len)
{
	bool long_ = type == VIRTIO_PCI_CAP_NOTIFY_CFG || type == VIRTIO_PCI_CAP_PCI_CFG;
	unsigned at = cap_add(b, PCI_CAP_ID_VENDOR, long_ ? 20 : 16);

	b->cfg[at + 2] = long_ ? 20 : 16;
	b->cfg[at + 3] = type;
	b->cfg[at + 4] = bar;
	put(&b->cfg[at + 8], off, 4);
	put(&b->cfg[at + 12], len, 4);
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		put(&b->cfg[at + 16], 4, 4);
	if (type == VIRTIO_PCI_CAP_PCI_CFG)
		b->window = at;
	return at;
}

struct bus *bus_modern(unsigned cap[4])
{
	struct bus *b = bus_new(0x1041, 0x1100);
	unsigned dummy[4];

	if (!cap)
		cap = dummy;
	b->bars[4] = (struct vio_bar){.len = BAR_LEN, .mapped = true};
	cap[0] = cap_virtio(b, VIRTIO_PCI_CAP_COMMON_CFG, 4, 0, 0x1000);
	cap[1] = cap_virtio(b, VIRTIO_PCI_CAP_NOTIFY_CFG, 4, 0x3000, 0x1000);
	cap[2] = cap_virtio(b, VIRTIO_PCI_CAP_ISR_CFG, 4, 0x1000, 0x1000);
	cap[3] = cap_virtio(b, VIRTIO_PCI_CAP_DEVICE_CFG, 4, 0x2000, 0x1000);
	return b;
}

void msix_add(struct bus *b, uint16_t entries, bool on)
{
	unsigned at = cap_add(b, PCI_CAP_ID_MSIX, 12);

	put(&b->cfg[at + 2], (uint32_t)((entries - 1) | (on ? PCI_MSIX_CONTROL_ON : 0)), 2);
	put(&b->cfg[at + 4], 1, 4); /* BAR 1, offset 0 */
	b->bars[1] = (struct vio_bar){.len = 0x1000, .mapped = true};
}

int open_with(struct bus *b, enum vio_pci_prefer prefer, struct vio_pci *pci)
{
	int err = vio_pci_open(pci, &ops, b, &b->f.os, prefer);

	/* Bounded, whatever the list says (H-15). */
	assert_true(b->cfg_reads < 600);
	assert_int_equal(b->accesses, 0);
	if (err)
		assert_non_null(pci->t.why);
	return err;
}

int open_close(struct bus *b)
{
	struct vio_pci pci;
	int err = open_with(b, VIO_PCI_AUTO, &pci);

	vio_pci_close(&pci);
	bus_free(b);
	return err;
}

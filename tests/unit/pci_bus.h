/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PCI function made by hand, byte by byte, with a bus that refuses what real ones do: accesses
 * outside a BAR or not aligned, and writes to capabilities that are read-only.
 */
#ifndef TESTS_UNIT_PCI_BUS_H
#define TESTS_UNIT_PCI_BUS_H

#include "tests/unit/cm.h"
#include "tests/unit/fake.h"
#include "vio/pci.h"
#include "wire/virtio_pci.h"

#define COMMON(field) offsetof(struct virtio_pci_common_cfg, field)
#define BAR_LEN	      0x4000u
#define CAPS_AT	      0x50u

struct bus {
	struct fake f; /* for its os */
	uint8_t cfg[PCI_CFG_SIZE];
	uint8_t mem[6][BAR_LEN];
	struct vio_bar bars[6];
	unsigned next; /* where the next capability goes */
	unsigned last; /* the capability before it, 0: none */
	unsigned cfg_reads, cfg_writes, opened, accesses;
	int open_now[6];
	unsigned window;      /* the PCI_CFG capability */
	uint16_t vector_back; /* what vector registers answer; 0: what was written */
	struct {
		unsigned bar, width;
		uint64_t off;
		uint32_t val;
		bool write;
	} last_access;
};

/* Little-endian, as everything in PCI. */
void put(uint8_t *at, uint32_t val, unsigned width);
uint32_t get(const uint8_t *at, unsigned width);

struct bus *bus_new(uint16_t device, uint16_t subsystem);
void bus_free(struct bus *b);
/* A modern device as QEMU lays it out, all in BAR 4. cap[i] gets the place of type 1 + i. */
struct bus *bus_modern(unsigned cap[4]);
/* Put a capability at the end of the list; where it is. */
unsigned cap_add(struct bus *b, uint8_t id, unsigned len);
unsigned cap_virtio(struct bus *b, uint8_t type, uint8_t bar, uint32_t off, uint32_t len);
void msix_add(struct bus *b, uint16_t entries, bool on);
/* vio_pci_open; no register may be touched by it, and config space only so often. */
int open_with(struct bus *b, enum vio_pci_prefer prefer, struct vio_pci *pci);
/* Open, close, free. */
int open_close(struct bus *b);

#endif

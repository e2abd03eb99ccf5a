/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio devices without ACCESS_PLATFORM, the only kind the core drives, take physical addresses,
 * past any IOMMU, as mbuf_data_to_physical gives them: so everything here is MapperNone.
 */
#include "guest/ports/xnu/port/os_xnu.h"

#include "guest/ports/xnu/kpi/collections.h"
#include "guest/ports/xnu/kpi/memory.h"

static struct os_xnu *os_xnu_from(void *os)
{
	return static_cast<struct os_xnu *>(os);
}

static void *xnu_alloc(void *, size_t len)
{
	void *p = IOMalloc(static_cast<vm_size_t>(len));

	if (p)
		bzero(p, len);
	return p;
}

static void xnu_free(void *, void *ptr, size_t len)
{
	if (ptr)
		IOFree(ptr, static_cast<vm_size_t>(len));
}

static int xnu_dma_alloc(void *, size_t len, size_t align, unsigned addr_bits, struct vio_dma *out)
{
	/* Low zero bits of the mask are the alignment, high ones the limit. */
	UInt64 limit = addr_bits >= 64 ? ~0ULL : (1ULL << addr_bits) - 1;
	UInt64 mask = limit & ~(static_cast<UInt64>(align ? align : 1) - 1);
	IOBufferMemoryDescriptor *memory;
	IOByteCount run = 0;

	if (len == 0)
		return VIO_ENOMEM;
	memory = IOBufferMemoryDescriptor::inTaskWithPhysicalMask(
		kernel_task,
		kIODirectionInOut | kIOMemoryPhysicallyContiguous | kIOMemoryMapperNone, len, mask);
	if (!memory)
		return VIO_ENOMEM;
	out->va = memory->getBytesNoCopy();
	out->da = memory->getPhysicalSegment(0, &run, kIOMemoryMapperNone);
	out->len = len;
	out->handle = memory;
	/* What was asked for is checked: the device takes it at its word. */
	if (!out->va || out->da == 0 || run < len || (out->da & ~mask) != 0 ||
	    limit - out->da < len - 1) {
		memory->release();
		return VIO_ENOMEM;
	}
	bzero(out->va, len); /* the kernel leaves the old contents in */
	return VIO_OK;
}

static void xnu_dma_free(void *, struct vio_dma *dma)
{
	static_cast<IOBufferMemoryDescriptor *>(dma->handle)->release();
	dma->va = nullptr;
	dma->handle = nullptr;
}

/* ns / 1000 by parts: the 32-bit kernel exports no 64-bit division. */
static uint64_t to_us(UInt64 ns)
{
	uint32_t high = static_cast<uint32_t>(ns >> 32), low = static_cast<uint32_t>(ns);
	uint32_t middle = (high % 1000) << 16 | low >> 16;
	uint32_t last = (middle % 1000) << 16 | (low & 0xffff);

	return (static_cast<uint64_t>(high / 1000) << 32) +
	       (static_cast<uint64_t>(middle / 1000) << 16) + last / 1000;
}

static uint64_t xnu_time_us(void *)
{
	UInt64 now, ns;

	clock_get_uptime(&now);
	absolutetime_to_nanoseconds(now, &ns);
	return to_us(ns);
}

static void xnu_delay_us(void *, uint32_t us)
{
	IODelay(us > 1000 ? 1000 : us);
}

static void xnu_lock(void *os)
{
	struct os_xnu *x = os_xnu_from(os);
	boolean_t interrupts = IOSimpleLockLockDisableInterrupt(x->lock);

	x->interrupts = interrupts;
}

static void xnu_unlock(void *os)
{
	struct os_xnu *x = os_xnu_from(os);

	IOSimpleLockUnlockEnableInterrupt(x->lock, x->interrupts);
}

/* Silent where IOLog could sleep: in a filter, under a spin lock, in the debugger. */
static void xnu_log(void *os, enum vio_log_level level, const char *what, uint64_t value)
{
	static const char *const words[] = {"error: ", "warning: ", "", ""};

	if (static_cast<int>(level) > os_xnu_from(os)->level || !ml_get_interrupts_enabled())
		return;
	IOLog("viokit: %s%s (%llu)\n", words[level & 3], what,
	      static_cast<unsigned long long>(value));
}

static const struct vio_os_ops xnu_ops = {
	xnu_alloc,    xnu_free, xnu_dma_alloc, xnu_dma_free, xnu_time_us,
	xnu_delay_us, xnu_lock, xnu_unlock,    xnu_log,
};

bool os_xnu_init(struct os_xnu *x, int level)
{
	x->lock = IOSimpleLockAlloc();
	x->level = level;
	x->os.ops = &xnu_ops;
	x->os.ctx = x;
	return x->lock != nullptr;
}

void os_xnu_free(struct os_xnu *x)
{
	if (x->lock)
		IOSimpleLockFree(x->lock);
	x->lock = nullptr;
}

void os_xnu_number(IOService *service, const char *name, UInt32 *value)
{
	OSNumber *number = OSDynamicCast(OSNumber, service->getProperty(name));
	OSBoolean *yes = OSDynamicCast(OSBoolean, service->getProperty(name));
	unsigned int arg = 0;

	if (PE_parse_boot_argn(name, &arg, sizeof(arg)))
		*value = arg;
	else if (number)
		*value = number->unsigned32BitValue();
	else if (yes)
		*value = yes->getValue();
}

void os_xnu_string(IOService *service, const char *name, char *value, int size)
{
	OSString *text = OSDynamicCast(OSString, service->getProperty(name));

	if (text)
		strlcpy(value, text->getCStringNoCopy(), static_cast<size_t>(size));
	(void)PE_parse_boot_argn(name, value, size);
	value[size - 1] = '\0';
}

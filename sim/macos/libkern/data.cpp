/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OSData and OSNumber: bytes, and a number of so many bits.
 */
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/sim.h"

#define EXTERNAL    (~0u) /* the capacity of data that is somebody else's */
#define INCREMENT   16u
#define ALLOC_FAILS sim_alloc_fails(__builtin_return_address(0))

OSDefineMetaClassAndStructors(OSData, OSObject)
KPI_DEFINE_PADS(OSData, 1, 2, 3, 4, 5, 6, 7)

struct OSData::ExpansionData {
	DeallocFunction dealloc;
};

/* ---- OSData: making one ---- */

bool OSData::initWithCapacity(unsigned int size)
{
	if (!OSObject::init())
		return false;
	if (capacity == EXTERNAL)
		sim_violation("OSData::initWithCapacity() on data without a copy");
	if (size > capacity || !size) {
		::free(data);
		data = nullptr;
		capacity = 0;
	}
	if (size && !data) {
		data = malloc(size);
		if (!data)
			return false;
		capacity = size;
	}
	length = 0;
	capacityIncrement = size < INCREMENT ? INCREMENT : size;
	return true;
}

bool OSData::initWithBytes(const void *bytes, unsigned int size)
{
	if ((size && !bytes) || !initWithCapacity(size))
		return false;
	if (size)
		memmove(data, bytes, size);
	length = size;
	return true;
}

bool OSData::initWithBytesNoCopy(void *bytes, unsigned int size)
{
	if (!OSObject::init())
		return false;
	data = bytes;
	length = size;
	capacity = EXTERNAL;
	return true;
}

bool OSData::initWithData(const OSData *other)
{
	return initWithBytes(other->data, other->length);
}

bool OSData::initWithData(const OSData *other, unsigned int at, unsigned int size)
{
	const void *bytes = other->getBytesNoCopy(at, size);

	return bytes && initWithBytes(bytes, size);
}

OSData *OSData::withCapacity(unsigned int size)
{
	OSData *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSData;
	if (!me->initWithCapacity(size)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSData *OSData::withBytes(const void *bytes, unsigned int size)
{
	OSData *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSData;
	if (!me->initWithBytes(bytes, size)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSData *OSData::withBytesNoCopy(void *bytes, unsigned int size)
{
	OSData *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSData;
	if (!me->initWithBytesNoCopy(bytes, size)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSData *OSData::withData(const OSData *other)
{
	OSData *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSData;
	if (!me->initWithData(other)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSData *OSData::withData(const OSData *other, unsigned int at, unsigned int size)
{
	OSData *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSData;
	if (!me->initWithData(other, at, size)) {
		me->release();
		return nullptr;
	}
	return me;
}

void OSData::setDeallocFunction(DeallocFunction function)
{
	if (!reserved)
		reserved = static_cast<ExpansionData *>(calloc(1, sizeof(*reserved)));
	if (!reserved)
		abort();
	reserved->dealloc = function;
}

void OSData::free()
{
	if (capacity != EXTERNAL)
		::free(data);
	else if (reserved && reserved->dealloc && data && length)
		reserved->dealloc(data, length);
	::free(reserved);
	OSObject::free();
}

/* ---- OSData: using it ---- */

unsigned int OSData::getLength() const
{
	return length;
}

unsigned int OSData::getCapacity() const
{
	return capacity;
}

unsigned int OSData::getCapacityIncrement() const
{
	return capacityIncrement;
}

unsigned int OSData::setCapacityIncrement(unsigned int increment)
{
	if (!increment)
		sim_violation("OSData::setCapacityIncrement(0)");
	return capacityIncrement = increment;
}

unsigned int OSData::ensureCapacity(unsigned int size)
{
	unsigned char *larger;
	unsigned rest;

	if (size <= capacity || ALLOC_FAILS)
		return capacity;
	rest = size % capacityIncrement;
	if (rest && size > EXTERNAL - 1 - (capacityIncrement - rest))
		return capacity;
	if (rest)
		size += capacityIncrement - rest;
	larger = static_cast<unsigned char *>(realloc(data, size));
	if (!larger)
		return capacity;
	memset(larger + capacity, 0, size - capacity);
	data = larger;
	capacity = size;
	return capacity;
}

bool OSData::appendBytes(const void *bytes, unsigned int size)
{
	if (!size)
		return true;
	if (capacity == EXTERNAL || size > EXTERNAL - 1 - length)
		return false;
	if (length + size > capacity &&
	    (ALLOC_FAILS || length + size > ensureCapacity(length + size)))
		return false;
	if (bytes)
		memmove(static_cast<char *>(data) + length, bytes, size);
	else
		memset(static_cast<char *>(data) + length, 0, size);
	length += size;
	return true;
}

bool OSData::appendBytes(const OSData *other)
{
	return appendBytes(other->data, other->length);
}

bool OSData::appendByte(unsigned char byte, unsigned int size)
{
	unsigned at = length;

	if (!appendBytes(nullptr, size))
		return false;
	if (size)
		memset(static_cast<char *>(data) + at, byte, size);
	return true;
}

const void *OSData::getBytesNoCopy() const
{
	return length ? data : nullptr;
}

const void *OSData::getBytesNoCopy(unsigned int at, unsigned int size) const
{
	if (at >= length || size > length - at)
		return nullptr;
	return static_cast<const char *>(data) + at;
}

bool OSData::isEqualTo(const OSData *other) const
{
	return length == other->length && isEqualTo(other->data, length);
}

/* True too if these are only the first bytes of it [XNU-OBJ-13]. */
bool OSData::isEqualTo(const void *bytes, unsigned int size) const
{
	return length >= size && (!size || memcmp(data, bytes, size) == 0);
}

bool OSData::isEqualTo(const OSString *text) const
{
	unsigned n = length;

	if (!text)
		return false;
	if (n == text->getLength() + 1 && static_cast<const char *>(data)[n - 1] == '\0')
		n--;
	return n == text->getLength() && (!n || memcmp(data, text->getCStringNoCopy(), n) == 0);
}

bool OSData::isEqualTo(const OSMetaClassBase *other) const
{
	if (const OSData *bytes = OSDynamicCast(OSData, other))
		return isEqualTo(bytes);
	if (const OSString *text = OSDynamicCast(OSString, other))
		return isEqualTo(text);
	return false;
}

bool OSData::serialize(OSSerialize *) const
{
	sim_violation("OSData::serialize is not simulated");
}

/* ---- OSNumber ---- */

OSDefineMetaClassAndStructors(OSNumber, OSObject)
KPI_DEFINE_PADS(OSNumber, 0, 1, 2, 3, 4, 5, 6, 7)

#define NUMBER_BITS 64u

/* Kernels shift by 64 - bits, whatever that is. */
static unsigned long long mask_of(unsigned bits)
{
	return ~0ULL >> (NUMBER_BITS - bits);
}

bool OSNumber::init(unsigned long long number, unsigned int bits)
{
	if (!OSObject::init())
		return false;
	if (!bits || bits > NUMBER_BITS)
		sim_violation("OSNumber of %u bits", bits);
	size = bits;
	value = number & mask_of(bits);
	return true;
}

bool OSNumber::init(const char *text, unsigned int bits)
{
	return init(strtoull(text, nullptr, 0), bits);
}

OSNumber *OSNumber::withNumber(unsigned long long number, unsigned int bits)
{
	OSNumber *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSNumber;
	if (!me->init(number, bits)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSNumber *OSNumber::withNumber(const char *text, unsigned int bits)
{
	OSNumber *me;

	if (ALLOC_FAILS)
		return nullptr;
	me = new OSNumber;
	if (!me->init(text, bits)) {
		me->release();
		return nullptr;
	}
	return me;
}

void OSNumber::free()
{
	OSObject::free();
}

unsigned int OSNumber::numberOfBits() const
{
	return size;
}

unsigned int OSNumber::numberOfBytes() const
{
	return (size + 7) / 8;
}

unsigned char OSNumber::unsigned8BitValue() const
{
	return static_cast<unsigned char>(unsigned64BitValue());
}

unsigned short OSNumber::unsigned16BitValue() const
{
	return static_cast<unsigned short>(unsigned64BitValue());
}

unsigned int OSNumber::unsigned32BitValue() const
{
	return static_cast<unsigned int>(unsigned64BitValue());
}

/* Counters are set on one thread and read by whoever prints the registry. */
unsigned long long OSNumber::unsigned64BitValue() const
{
	return __atomic_load_n(&value, __ATOMIC_RELAXED);
}

void OSNumber::addValue(long long more)
{
	setValue(unsigned64BitValue() + static_cast<unsigned long long>(more));
}

void OSNumber::setValue(unsigned long long number)
{
	__atomic_store_n(&value, number & mask_of(size), __ATOMIC_RELAXED);
}

bool OSNumber::isEqualTo(const OSNumber *other) const
{
	return unsigned64BitValue() == other->unsigned64BitValue();
}

bool OSNumber::isEqualTo(const OSMetaClassBase *other) const
{
	const OSNumber *number = OSDynamicCast(OSNumber, other);

	return number && isEqualTo(number);
}

bool OSNumber::serialize(OSSerialize *) const
{
	sim_violation("OSNumber::serialize is not simulated");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OSString: text of its own, or borrowed for as long as the string lives ("NoCopy").
 */
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/sim.h"

#define BORROWED 1u

OSDefineMetaClassAndStructors(OSString, OSObject)
KPI_DEFINE_PADS(OSString, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

#define ALLOC_FAILS() sim_alloc_fails(__builtin_return_address(0))

/* ---- making one ---- */

/* An existing symbol gets text of its own this way when the text it has goes away. */
bool OSString::initWithCString(const char *text)
{
	size_t size;
	char *copy;

	if (!text || !OSObject::init())
		return false;
	size = strlen(text) + 1;
	copy = static_cast<char *>(malloc(size));
	if (!copy)
		abort();
	memcpy(copy, text, size);
	string = copy;
	length = static_cast<unsigned>(size);
	flags &= ~BORROWED;
	return true;
}

bool OSString::initWithCStringNoCopy(const char *text)
{
	if (!text || !OSObject::init())
		return false;
	string = const_cast<char *>(text);
	length = static_cast<unsigned>(strlen(text) + 1);
	flags |= BORROWED;
	return true;
}

bool OSString::initWithString(const OSString *other)
{
	return initWithCString(other->string);
}

OSString *OSString::withCString(const char *text)
{
	OSString *me;

	if (ALLOC_FAILS())
		return nullptr;
	me = new OSString;
	if (!me->initWithCString(text)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSString *OSString::withCStringNoCopy(const char *text)
{
	OSString *me;

	if (ALLOC_FAILS())
		return nullptr;
	me = new OSString;
	if (!me->initWithCStringNoCopy(text)) {
		me->release();
		return nullptr;
	}
	return me;
}

OSString *OSString::withString(const OSString *other)
{
	OSString *me;

	if (ALLOC_FAILS())
		return nullptr;
	me = new OSString;
	if (!me->initWithString(other)) {
		me->release();
		return nullptr;
	}
	return me;
}

void OSString::free()
{
	if (!(flags & BORROWED))
		::free(string);
	OSObject::free();
}

/* ---- using it ---- */

unsigned int OSString::getLength() const
{
	return length - 1;
}

const char *OSString::getCStringNoCopy() const
{
	return string;
}

char OSString::getChar(unsigned int at) const
{
	return at < length ? string[at] : '\0';
}

bool OSString::setChar(char c, unsigned int at)
{
	if (flags & BORROWED || at >= length - 1)
		return false;
	string[at] = c;
	return true;
}

bool OSString::isEqualTo(const OSString *other) const
{
	return length == other->length && isEqualTo(other->string);
}

bool OSString::isEqualTo(const char *text) const
{
	return strncmp(string, text, length) == 0;
}

/* The data is the text with its final 0, and may have a second one [XNU-OBJ-10]. */
bool OSString::isEqualTo(const OSData *data) const
{
	const char *bytes;
	unsigned n;

	if (!data)
		return false;
	bytes = static_cast<const char *>(data->getBytesNoCopy());
	n = data->getLength();
	if (n == length + 1 && bytes[n - 1] == '\0')
		n--;
	return n == length && memcmp(bytes, string, n) == 0;
}

bool OSString::isEqualTo(const OSMetaClassBase *other) const
{
	if (const OSString *text = OSDynamicCast(OSString, other))
		return isEqualTo(text);
	if (const OSData *data = OSDynamicCast(OSData, other))
		return isEqualTo(data);
	return false;
}

bool OSString::serialize(OSSerialize *) const
{
	sim_violation("OSString::serialize is not simulated");
}

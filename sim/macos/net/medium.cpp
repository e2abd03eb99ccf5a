/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One medium (what a cable can be used as), and dictionaries of them, keyed by name.
 */
#include "sim/macos/net/net.h"

#include <stdio.h>

#include "sim/macos/sim.h"

OSDefineMetaClassAndStructors(IONetworkMedium, OSObject)
KPI_DEFINE_PADS(IONetworkMedium, 0, 1, 2, 3)

bool IONetworkMedium::init(IOMediumType type, UInt64 speed, UInt32 flags, UInt32 index,
			   const char *name)
{
	if (!OSObject::init())
		return false;
	_type = type;
	_speed = speed;
	_flags = flags;
	_index = index;
	_name = name ? OSSymbol::withCString(name) : nameForType(type);
	return _name != nullptr;
}

void IONetworkMedium::free()
{
	if (_name)
		_name->release();
	OSObject::free();
}

IONetworkMedium *IONetworkMedium::medium(IOMediumType type, UInt64 speed, UInt32 flags,
					 UInt32 index, const char *name)
{
	IONetworkMedium *made;

	sim_may_block("IONetworkMedium::medium");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	made = new IONetworkMedium;
	if (made && !made->init(type, speed, flags, index, name)) {
		made->release();
		return nullptr;
	}
	return made;
}

/* [XNU-NET-3] A medium without a name is called by its type, eight hexadecimal digits. */
const OSSymbol *IONetworkMedium::nameForType(IOMediumType type)
{
	char text[16];

	sim_may_block("IONetworkMedium::nameForType");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	snprintf(text, sizeof(text), "%08x", type);
	return OSSymbol::withCString(text);
}

bool IONetworkMedium::addMedium(OSDictionary *media, const IONetworkMedium *medium)
{
	if (!OSDynamicCast(OSDictionary, media) || !OSDynamicCast(IONetworkMedium, medium))
		return false;
	sim_may_block("IONetworkMedium::addMedium");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return false;
	return media->setObject(medium->getName(), medium);
}

void IONetworkMedium::removeMedium(OSDictionary *media, const IONetworkMedium *medium)
{
	if (OSDynamicCast(OSDictionary, media) && OSDynamicCast(IONetworkMedium, medium))
		media->removeObject(medium->getName());
}

/* The first medium that `fits`, in the dictionary's order. */
template <typename Fits> static IONetworkMedium *find(const OSDictionary *media, Fits fits)
{
	OSCollectionIterator *each = OSCollectionIterator::withCollection(media);
	IONetworkMedium *found = nullptr;

	while (OSObject *key = each ? each->getNextObject() : nullptr) {
		IONetworkMedium *medium = OSDynamicCast(
			IONetworkMedium, media->getObject(static_cast<OSSymbol *>(key)));

		if (medium && fits(medium)) {
			found = medium;
			break;
		}
	}
	if (each)
		each->release();
	return found;
}

/* Both make an iterator, so they fail without memory, and with a null dictionary. */
IONetworkMedium *IONetworkMedium::getMediumWithType(const OSDictionary *media, IOMediumType type,
						    IOMediumType mask)
{
	if (!media || sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return find(media,
		    [=](const IONetworkMedium *m) { return ((m->getType() ^ type) & ~mask) == 0; });
}

IONetworkMedium *IONetworkMedium::getMediumWithIndex(const OSDictionary *media, UInt32 index,
						     UInt32 mask)
{
	if (!media || sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	return find(media, [=](const IONetworkMedium *m) {
		return ((m->getIndex() ^ index) & ~mask) == 0;
	});
}

IOMediumType IONetworkMedium::getType() const
{
	return _type;
}

UInt64 IONetworkMedium::getSpeed() const
{
	return _speed;
}

UInt32 IONetworkMedium::getFlags() const
{
	return _flags;
}

UInt32 IONetworkMedium::getIndex() const
{
	return _index;
}

const OSSymbol *IONetworkMedium::getName() const
{
	return _name;
}

const OSSymbol *IONetworkMedium::getKey() const
{
	return _name;
}

bool IONetworkMedium::isEqualTo(const IONetworkMedium *other) const
{
	return other->_name == _name && other->_type == _type && other->_flags == _flags &&
	       other->_speed == _speed && other->_index == _index;
}

bool IONetworkMedium::isEqualTo(const OSMetaClassBase *object) const
{
	const IONetworkMedium *other = OSDynamicCast(IONetworkMedium, object);

	return other && isEqualTo(other);
}

bool IONetworkMedium::serialize(OSSerialize *to) const
{
	static const char *const keys[] = {"Type", "Speed", "Index", "Flags"};
	const UInt64 values[] = {_type, _speed, _index, _flags};
	OSDictionary *table = OSDictionary::withCapacity(4);
	bool done;

	if (!table)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		OSNumber *number = OSNumber::withNumber(values[i], i == 1 ? 64 : 32);

		if (number) {
			table->setObject(keys[i], number);
			number->release();
		}
	}
	done = table->serialize(to);
	table->release();
	return done;
}

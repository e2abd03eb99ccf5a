/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A named piece of data of an interface, such as its counters. Who made it may be asked to refresh
 * it before somebody reads it; the driver writes into the buffer directly.
 */
#include "sim/macos/net/net.h"

#include <pthread.h>
#include <string.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/sim.h"

OSDefineMetaClassAndStructors(IONetworkData, OSObject)
KPI_DEFINE_PADS(IONetworkData, 0, 1, 2, 3)

enum { BUFFER_INTERNAL, BUFFER_EXTERNAL, BUFFER_NONE };

/* [XNU-NET-4] One lock for all of them, held while the maker is asked. */
static pthread_mutex_t data_lock = PTHREAD_MUTEX_INITIALIZER;

bool IONetworkData::init(const char *name, UInt32 type, UInt32 size, void *external, UInt32 access,
			 void *target, Action action, void *param)
{
	if (!OSObject::init())
		return false;
	_bufType = type;
	_size = size;
	_access = access;
	_tapTarget = target;
	_tapAction = action;
	_tapParam = param;
	if (type == BUFFER_INTERNAL) {
		_buffer = IOMalloc(size);
		if (_buffer)
			memset(_buffer, 0, size);
	} else if (type == BUFFER_EXTERNAL) {
		_buffer = external;
	}
	if (!_buffer && type != BUFFER_NONE)
		return false;
	_key = OSSymbol::withCString(name);
	return _key != nullptr;
}

void IONetworkData::free()
{
	if (_key)
		_key->release();
	if (_buffer && _bufType == BUFFER_INTERNAL)
		IOFree(_buffer, _size);
	OSObject::free();
}

static IONetworkData *make(const void *caller, const char *name, UInt32 type, UInt32 size,
			   void *external, UInt32 access, void *target,
			   IONetworkData::Action action, void *param)
{
	IONetworkData *data;

	sim_may_block("IONetworkData::with...Buffer");
	if (sim_alloc_fails(caller))
		return nullptr;
	data = new IONetworkData;
	if (data && !data->init(name, type, size, external, access, target, action, param)) {
		data->release();
		return nullptr;
	}
	return data;
}

IONetworkData *IONetworkData::withInternalBuffer(const char *name, UInt32 size, UInt32 access,
						 void *target, Action action, void *param)
{
	return make(__builtin_return_address(0), name, BUFFER_INTERNAL, size, nullptr, access,
		    target, action, param);
}

IONetworkData *IONetworkData::withExternalBuffer(const char *name, UInt32 size, void *buffer,
						 UInt32 access, void *target, Action action,
						 void *param)
{
	return make(__builtin_return_address(0), name, BUFFER_EXTERNAL, size, buffer, access,
		    target, action, param);
}

IONetworkData *IONetworkData::withNoBuffer(const char *name, UInt32 size, UInt32 access,
					   void *target, Action action, void *param)
{
	return make(__builtin_return_address(0), name, BUFFER_NONE, size, nullptr, access, target,
		    action, param);
}

/* ---- plain questions ---- */

const void *IONetworkData::getBuffer() const
{
	return _buffer;
}

UInt32 IONetworkData::getBufferType() const
{
	return _bufType;
}

UInt32 IONetworkData::getAccessTypes() const
{
	return _access;
}

void *IONetworkData::getNotificationTarget() const
{
	return _tapTarget;
}

IONetworkData::Action IONetworkData::getNotificationAction() const
{
	return _tapAction;
}

void *IONetworkData::getNotificationParameter() const
{
	return _tapParam;
}

const OSSymbol *IONetworkData::getKey() const
{
	return _key;
}

UInt32 IONetworkData::getSize() const
{
	return _size;
}

void IONetworkData::setAccessTypes(UInt32 types)
{
	pthread_mutex_lock(&data_lock);
	_access = types;
	pthread_mutex_unlock(&data_lock);
}

void IONetworkData::setNotificationTarget(void *target, Action action, void *param)
{
	pthread_mutex_lock(&data_lock);
	_tapTarget = target;
	_tapAction = action;
	_tapParam = param;
	pthread_mutex_unlock(&data_lock);
}

/* ---- the bytes, under the lock ---- */

bool IONetworkData::writeBytes(const void *bytes, UInt32 length, UInt32 offset)
{
	if (!_buffer || length == 0 || offset >= _size || length > _size - offset)
		return false;
	memcpy(static_cast<UInt8 *>(_buffer) + offset, bytes, length);
	return true;
}

bool IONetworkData::readBytes(void *bytes, UInt32 *length, UInt32 offset) const
{
	if (!_buffer || *length == 0 || offset >= _size)
		return false;
	if (*length > _size - offset)
		*length = _size - offset;
	memcpy(bytes, static_cast<const UInt8 *>(_buffer) + offset, *length);
	return true;
}

bool IONetworkData::clearBuffer()
{
	if (!_buffer)
		return false;
	memset(_buffer, 0, _size);
	return true;
}

IOReturn IONetworkData::reset()
{
	IOReturn result = kIOReturnNotWritable;

	pthread_mutex_lock(&data_lock);
	if (_access & kIONetworkDataAccessTypeReset) {
		result = clearBuffer() ? kIOReturnSuccess : kIOReturnUnsupported;
		if (_tapAction)
			result = _tapAction(_tapTarget, _tapParam, this,
					    kIONetworkDataAccessTypeReset, nullptr, nullptr, 0);
	}
	pthread_mutex_unlock(&data_lock);
	return result;
}

IOReturn IONetworkData::read(void *bytes, UInt32 *length, UInt32 offset)
{
	IOReturn result = kIOReturnUnsupported;

	if (!bytes || !length)
		return kIOReturnBadArgument;
	pthread_mutex_lock(&data_lock);
	if (!(_access & kIONetworkDataAccessTypeRead)) {
		pthread_mutex_unlock(&data_lock);
		return kIOReturnNotReadable;
	}
	if (_tapAction)
		result = _tapAction(_tapTarget, _tapParam, this, kIONetworkDataAccessTypeRead,
				    bytes, length, offset);
	if (_buffer && (!_tapAction || result == kIOReturnSuccess))
		result = readBytes(bytes, length, offset) ? kIOReturnSuccess : kIOReturnBadArgument;
	pthread_mutex_unlock(&data_lock);
	return result;
}

IOReturn IONetworkData::write(void *bytes, UInt32 length, UInt32 offset)
{
	IOReturn result = kIOReturnSuccess;

	if (!bytes)
		return kIOReturnBadArgument;
	pthread_mutex_lock(&data_lock);
	if (!(_access & kIONetworkDataAccessTypeWrite))
		result = kIOReturnNotWritable;
	else if (_buffer && !writeBytes(bytes, length, offset))
		result = kIOReturnBadArgument;
	else if (_tapAction)
		result = _tapAction(_tapTarget, _tapParam, this, kIONetworkDataAccessTypeWrite,
				    bytes, &length, offset);
	pthread_mutex_unlock(&data_lock);
	return result;
}

static void put_number(OSDictionary *table, const char *key, UInt32 value)
{
	OSNumber *number = OSNumber::withNumber(value, 32);

	if (number) {
		table->setObject(key, number);
		number->release();
	}
}

bool IONetworkData::serialize(OSSerialize *to) const
{
	OSDictionary *table = OSDictionary::withCapacity(3);
	IONetworkData *self = const_cast<IONetworkData *>(this);
	bool done;

	if (!table)
		return false;
	put_number(table, "Access Types", _access);
	put_number(table, "Size", _size);
	pthread_mutex_lock(&data_lock);
	if ((_access & kIONetworkDataAccessTypeSerialize) && _buffer &&
	    (!_tapAction ||
	     _tapAction(_tapTarget, _tapParam, self, kIONetworkDataAccessTypeSerialize, nullptr,
			nullptr, 0) == kIOReturnSuccess)) {
		OSData *bytes = OSData::withBytes(_buffer, _size);

		if (bytes) {
			table->setObject("Data", bytes);
			bytes->release();
		}
	}
	pthread_mutex_unlock(&data_lock);
	done = table->serialize(to);
	table->release();
	return done;
}

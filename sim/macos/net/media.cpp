/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A controller's media and its link. Both are properties; a change of the link is told to the
 * interfaces that have the controller open, and to nobody else: what happens before that shows in
 * the properties only.
 *
 * The medium lock guards the properties. It is dropped before anybody is called.
 */
#include "sim/macos/net/controller.h"

#include "guest/ports/xnu/kpi/kernel.h"
#include "guest/ports/xnu/kpi/netinterface.h"
#include "sim/macos/sim.h"

#define RELEASE_SPEED_EVENTS 8

static void need_lock(IOLock *lock, const IOService *who, const char *what)
{
	if (!lock)
		sim_violation("%s: %s() before IONetworkController::start()", who->getName(), what);
}

/* [XNU-NET-19] Under the controller's arbitration lock: nobody opens or closes meanwhile. */
static void broadcast(IONetworkController *controller, OSCollectionIterator *clients, UInt32 event,
		      struct sim_link_event *link)
{
	bool locked = controller->lockForArbitration();

	clients->reset();
	while (OSObject *client = clients->getNextObject()) {
		if (IONetworkInterface *interface = OSDynamicCast(IONetworkInterface, client))
			interface->inputEvent(event, link);
	}
	if (locked)
		controller->unlockForArbitration();
}

/*
 * [XNU-NET-20] Up if the link is active, or if nobody knows. An event comes only for a change of
 * the status; from 10.8 on, for a change of the speed alone too.
 */
bool IONetworkController::setLinkStatus(UInt32 status, const IONetworkMedium *active, UInt64 speed,
					OSData *data)
{
	const OSSymbol *name = active ? active->getName() : sim_no_medium;
	struct sim_link_event link = {};
	UInt32 event = 0;
	bool done = true;

	sim_may_block("IONetworkController::setLinkStatus");
	need_lock(_mediumLock, this, "setLinkStatus");
	if (!data)
		data = sim_no_link_data;
	if (speed == 0 && active)
		speed = active->getSpeed(); /* [XNU-NET-21] unless the driver knows better */

	IOLockLock(_mediumLock);
	if (name != _lastActiveMediumName) {
		done = setProperty(SIM_KEY_ACTIVE_MEDIUM, const_cast<OSSymbol *>(name)) && done;
		_lastActiveMediumName = name;
	}
	if (data != _lastLinkData) {
		done = setProperty(SIM_KEY_LINK_DATA, data) && done;
		_lastLinkData = data;
	}
	if (speed != _linkSpeed->unsigned64BitValue()) {
		_linkSpeed->setValue(speed);
		if (sim_release_at_least(RELEASE_SPEED_EVENTS))
			event = SIM_EVENT_LINK_SPEED;
	}
	if (status != _linkStatus->unsigned32BitValue()) {
		_linkStatus->setValue(status);
		event = (status & kIONetworkLinkActive) || !(status & kIONetworkLinkValid)
				? SIM_EVENT_LINK_UP
				: SIM_EVENT_LINK_DOWN;
	}
	IOLockUnlock(_mediumLock);

	link.speed = speed;
	link.status = status;
	if (event)
		broadcast(this, _clientSetIter, event, &link);
	return done;
}

/* ---- the dictionary ---- */

static bool all_media(const OSDictionary *media)
{
	OSCollectionIterator *each = OSCollectionIterator::withCollection(media);
	bool all = each != nullptr;

	while (OSObject *key = all ? each->getNextObject() : nullptr)
		all = OSDynamicCast(IONetworkMedium,
				    media->getObject(static_cast<OSSymbol *>(key))) != nullptr;
	if (each)
		each->release();
	return all;
}

/* [XNU-NET-22] A copy is published; what was selected or active and is not in it, is no more. */
bool IONetworkController::publishMediumDictionary(const OSDictionary *media)
{
	OSDictionary *copy;
	const OSSymbol *selected, *active;
	bool done;

	sim_may_block("IONetworkController::publishMediumDictionary");
	need_lock(_mediumLock, this, "publishMediumDictionary");
	if (!OSDynamicCast(OSDictionary, media) || media->getCount() == 0 || !all_media(media) ||
	    sim_alloc_fails(__builtin_return_address(0)))
		return false;
	copy = OSDictionary::withDictionary(media, media->getCount());
	if (!copy)
		return false;
	IOLockLock(_mediumLock);
	done = setProperty(SIM_KEY_MEDIA, copy);
	if (done) {
		selected = copy->getObject(_lastCurrentMediumName) ? _lastCurrentMediumName
								   : sim_no_medium;
		active = copy->getObject(_lastActiveMediumName) ? _lastActiveMediumName
								: sim_no_medium;
		setProperty(SIM_KEY_SELECTED_MEDIUM, const_cast<OSSymbol *>(selected));
		setProperty(SIM_KEY_ACTIVE_MEDIUM, const_cast<OSSymbol *>(active));
		_lastCurrentMediumName = selected;
		_lastActiveMediumName = active;
	}
	IOLockUnlock(_mediumLock);
	copy->release();
	return done;
}

const OSDictionary *IONetworkController::getMediumDictionary() const
{
	return static_cast<OSDictionary *>(getProperty(SIM_KEY_MEDIA));
}

OSDictionary *IONetworkController::copyMediumDictionary() const
{
	const OSDictionary *media;
	OSDictionary *copy = nullptr;

	sim_may_block("IONetworkController::copyMediumDictionary");
	need_lock(_mediumLock, this, "copyMediumDictionary");
	if (sim_alloc_fails(__builtin_return_address(0)))
		return nullptr;
	IOLockLock(_mediumLock);
	media = getMediumDictionary();
	if (media)
		copy = OSDictionary::withDictionary(media, media->getCount());
	IOLockUnlock(_mediumLock);
	return copy;
}

/* ---- the choice ---- */

/* [XNU-NET-23] Only a property: nobody is told. */
bool IONetworkController::setSelectedMedium(const IONetworkMedium *medium)
{
	const OSSymbol *name = medium ? medium->getName() : sim_no_medium;
	bool done = true;

	sim_may_block("IONetworkController::setSelectedMedium");
	need_lock(_mediumLock, this, "setSelectedMedium");
	IOLockLock(_mediumLock);
	if (name != _lastCurrentMediumName) {
		done = setProperty(SIM_KEY_SELECTED_MEDIUM, const_cast<OSSymbol *>(name));
		if (done)
			_lastCurrentMediumName = name;
	}
	IOLockUnlock(_mediumLock);
	return done;
}

/* The selected one, or else the one that the driver's personality calls the default. */
const IONetworkMedium *IONetworkController::getSelectedMedium() const
{
	const OSDictionary *media;
	OSObject *found = nullptr;

	need_lock(_mediumLock, this, "getSelectedMedium");
	IOLockLock(_mediumLock);
	media = getMediumDictionary();
	if (media) {
		OSString *fallback = OSDynamicCast(OSString, getProperty(SIM_KEY_DEFAULT_MEDIUM));

		found = media->getObject(_lastCurrentMediumName);
		if (!found && fallback)
			found = media->getObject(fallback);
	}
	IOLockUnlock(_mediumLock);
	return static_cast<IONetworkMedium *>(found);
}

bool IONetworkController::setCurrentMedium(const IONetworkMedium *medium)
{
	return setSelectedMedium(medium);
}

const IONetworkMedium *IONetworkController::getCurrentMedium() const
{
	return getSelectedMedium();
}

/* [XNU-NET-24] The driver is asked only if another medium than the present one is wanted. */
IOReturn IONetworkController::selectMediumWithName(const OSSymbol *name)
{
	const OSDictionary *media;
	OSObject *found = nullptr;
	bool same;
	IOReturn result;

	sim_may_block("IONetworkController::selectMediumWithName");
	need_lock(_mediumLock, this, "selectMediumWithName");
	if (!OSDynamicCast(OSSymbol, name))
		return kIOReturnBadArgument;
	IOLockLock(_mediumLock);
	media = getMediumDictionary();
	if (media)
		found = media->getObject(name);
	if (found)
		found->retain();
	same = name == _lastCurrentMediumName;
	IOLockUnlock(_mediumLock);
	if (!media)
		return kIOReturnUnsupported;
	if (!found)
		return kIOReturnBadArgument;
	result = same ? kIOReturnSuccess : selectMedium(static_cast<IONetworkMedium *>(found));
	found->release();
	return result;
}

IOReturn IONetworkController::selectMedium(const IONetworkMedium *)
{
	return kIOReturnUnsupported;
}

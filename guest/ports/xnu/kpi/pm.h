/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power states: a driver registers a table of them and is then told which to take.
 *
 * IOPMAckImplied from setPowerState() means done; any other positive value is a time in
 * microseconds within which acknowledgeSetPowerState() will be called.
 */
#ifndef KPI_PM_H
#define KPI_PM_H

#include "types.h"

typedef unsigned long IOPMPowerFlags;

enum {
	kIOPMPowerStateVersion1 = 1, /* `version` below */
	kIOPMMaxPowerStates = 10,
};

struct IOPMPowerState {
	unsigned long version;
	IOPMPowerFlags capabilityFlags;	      /* what the device can do in this state */
	IOPMPowerFlags outputPowerCharacter;  /* what it gives those below */
	IOPMPowerFlags inputPowerRequirement; /* what it needs from above */
	unsigned long staticPower;
	unsigned long unbudgetedPower;
	unsigned long powerToAttain;
	unsigned long timeToAttain;
	unsigned long settleUpTime;
	unsigned long timeToLower;
	unsigned long settleDownTime;
	unsigned long powerDomainBudget;
};

/* Capability and character flags. */
enum {
	kIOPMPowerOn = 0x2,
	kIOPMClockNormal = 0x4,
	kIOPMClockRunning = 0x8,
	kIOPMAuxPowerOn = 0x20,
	kIOPMSleep = 0x1,
	kIOPMSleepCapability = 0x4,
	kIOPMRestart = 0x80,
	kIOPMRestartCapability = 0x80,
	kIOPMNotPowerManaged = 0x800,
	kIOPMStaticPowerValid = 0x800,
	kIOPMConfigRetained = 0x1000,
	kIOPMContextRetained = 0x2000,
	kIOPMMaxPerformance = 0x4000,
	kIOPMDeviceUsable = 0x8000,
	kIOPMLowPower = 0x10000,
};

/* Results of the calls. */
enum {
	IOPMNoErr = 0,
	IOPMAckImplied = 0,
	IOPMWillAckLater = 1,
	IOPMBadSpecification = 4,
	IOPMNoSuchState = 5,
	IOPMCannotRaisePower = 6,
	IOPMParameterError = 7,
	IOPMNotYetInitialized = 8,
	kIOPMAckImplied = 0,
	kIOPMNoErr = 0,
};

#endif

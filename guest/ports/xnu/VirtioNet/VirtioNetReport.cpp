/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ioreg shows: how the device was negotiated, once; counters, every second while it runs.
 */
#include "guest/ports/xnu/VirtioNet/VirtioNetController.h"

#define REPORT_US    1000000u
#define FEATURE_BITS 64u

static const char *const counter_names[NET_COUNTERS] = {
	"rx packets",	    "rx bytes",		 "rx interrupts", "rx large",	"rx checksums",
	"rx no buffer",	    "rx dropped",	 "rx merged",	  "tx packets", "tx bytes",
	"tx interrupts",    "tx large",		 "tx checksums",  "tx full",	"tx refused",
	"tx notifications", "config interrupts", "link changes",  "starts",	"breaks",
	"recoveries",
};

void VirtioNetController::publishDevice()
{
	static const char *const modes[] = {"polled", "line", "one vector", "vectors"};
	OSArray *names = OSArray::withCapacity(FEATURE_BITS);

	for (unsigned bit = 0; names && bit < FEATURE_BITS; bit++) {
		const char *name = vio_net_feature_name(bit);
		OSString *text;

		if (!(_info.features >> bit & 1) || !name)
			continue;
		text = OSString::withCString(name);
		if (text) {
			names->setObject(text);
			text->release();
		}
	}
	if (names) {
		setProperty("VirtioFeatureNames", names);
		names->release();
	}
	setProperty("VirtioFeatures", static_cast<unsigned long long>(_info.features), 64);
	setProperty("VirtioFeaturesOffered", static_cast<unsigned long long>(_info.offered), 64);
	setProperty("VirtioTransport", _info.transport);
	setProperty("VirtioInterrupts", modes[_mode & 3]);
	setProperty("VirtioMTU", static_cast<unsigned long long>(_info.mtu), 32);
	setProperty("VirtioReceiveQueue", static_cast<unsigned long long>(_info.rx_size), 32);
	setProperty("VirtioTransmitQueue", static_cast<unsigned long long>(_info.tx_size), 32);

	_counters = OSDictionary::withCapacity(NET_COUNTERS);
	for (unsigned i = 0; _counters && i < NET_COUNTERS; i++) {
		_counter[i] = OSNumber::withNumber(0ULL, 64);
		if (_counter[i]) {
			OSNumber *number = _counter[i];

			/* Refreshed for as long as the dictionary has it, and no longer. */
			if (!_counters->setObject(counter_names[i], number))
				_counter[i] = nullptr;
			number->release();
		}
	}
	if (_counters)
		setProperty("VirtioCounters", _counters);
}

void VirtioNetController::refreshCounters(UInt64 now)
{
	struct vio_net_stats s;

	if (!_counters || now - _reportAt < REPORT_US)
		return;
	_reportAt = now;
	vio_net_stats(_net, &s);

	const UInt64 values[NET_COUNTERS] = {
		s.rx.packets, s.rx.bytes,  s.rx.irqs,	 s.rx.gso,   s.rx.csum,	    s.rx.full,
		s.rx.dropped, s.rx.merged, s.tx.packets, s.tx.bytes, s.tx.irqs,	    s.tx.gso,
		s.tx.csum,    s.tx.full,   s.tx.errors,	 s.tx.kicks, s.config_irqs, s.link_changes,
		s.starts,     s.breaks,	   s.recoveries,
	};

	for (unsigned i = 0; i < NET_COUNTERS; i++) {
		if (_counter[i])
			_counter[i]->setValue(values[i]);
	}
	if (_netStats)
		_netStats->inputErrors = static_cast<UInt32>(s.rx.dropped);
	if (_etherStats) {
		_etherStats->dot3RxExtraEntry.interrupts = static_cast<UInt32>(s.rx.irqs);
		_etherStats->dot3TxExtraEntry.interrupts = static_cast<UInt32>(s.tx.irqs);
		_etherStats->dot3RxExtraEntry.resourceErrors = static_cast<UInt32>(s.rx.full);
		_etherStats->dot3StatsEntry.missedFrames = static_cast<UInt32>(s.rx.full);
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network family's interface classes inside, and the role of IONetworkStack, which the kernel
 * and user space play together: names interfaces, attaches them to the stack, takes them away.
 */
#ifndef SIM_MACOS_BSD_NETINTERFACE_H
#define SIM_MACOS_BSD_NETINTERFACE_H

#include "sim/macos/bsd/ifnet.h"
#include "sim/macos/net/net.h"

struct IONetworkInterface::ExpansionData {
	struct mac_if *ifp; /* 0 while not attached to the stack */
	bool was_attached;
	uint8_t type, address_length, header_length;
	UInt16 unit, flags;
	UInt32 extra_flags, extended_flags, mtu;
	IONetworkData *stats_data;
	IONetworkStats *stats;
	size_t queued_bytes;
	unsigned input_busy; /* a thread is in the functions around the input list */
};

/* A friend of the interface, and so what the program's calls go through. */
class IONetworkStack : public IOService
{
	OSDeclareDefaultStructors(IONetworkStack);

public:
	bool init(OSDictionary *properties = nullptr) override;
	bool requestTerminate(IOService *provider, IOOptionBits options) override;
	bool didTerminate(IOService *provider, IOOptionBits options, bool *defer) override;

	static void boot();

	/* An ioctl, on this thread: 0 or an errno of Darwin's. */
	static int command(struct mac_if *ifp, unsigned long command, void *data);
	/* A packet for the driver. */
	static void output(struct mac_if *ifp, mbuf_t packet);
	/* Bring counters up to date. */
	static void count(struct mac_if *ifp);

private:
	static bool published(void *target, void *refcon, IOService *service);
	static void worker(void *arg);
	bool attachInterface(IONetworkInterface *netif);
	void detachInterface(IONetworkInterface *netif);
};

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network driver's face to the kernel: life and settings in VirtioNetController.cpp, packets in
 * VirtioNetPackets.cpp, interrupts and time in VirtioNetEvents.cpp, what the registry shows in
 * VirtioNetReport.cpp, the kernel debugger in VirtioNetDebug.cpp. All else is C, the same for every
 * port: guest/drivers/net*.c.
 *
 * Locking. The driver below has three contexts that exclude each other; here they are one, the
 * gate of a work loop of our own. The family calls enable(), disable(), the filters and
 * outputPacket() gated; timer and interrupt actions are gated; power changes go through the command
 * gate. The filter alone runs without it. Around all that touches a ring the family's debugger lock
 * is held, which keeps the polled mode out of half-made changes.
 */
#ifndef VIRTIONET_VIRTIONETCONTROLLER_H
#define VIRTIONET_VIRTIONETCONTROLLER_H

#include "guest/ports/xnu/VirtioPCI/VirtioDevice.h"
#include "guest/ports/xnu/kpi/collections.h"
#include "guest/ports/xnu/kpi/kernel.h"
#include "guest/ports/xnu/kpi/netinterface.h"

extern "C" {
#include "vio/net.h"
}

#define NET_SEGS	64 /* of a packet to send, and of a receive buffer */
#define NET_COUNTERS	21
#define DARWIN_10_7	11 /* has checksum offload and TSO for IPv6 */
#define NET_ETHER_EXTRA 18 /* header and checksum: the family counts both, not a VLAN tag */

class VirtioNetController : public IOEthernetController
{
	OSDeclareDefaultStructors(VirtioNetController);

	VirtioDevice *_nub; /* open while not 0 */
	IOWorkLoop *_loop;
	IOGatedOutputQueue *_queue; /* the family's reference */
	IOFilterInterruptEventSource *_interrupt;
	IOTimerEventSource *_timer;
	IOEthernetInterface *_interface;
	IOKernelDebugger *_debugger;
	IONetworkStats *_netStats;
	IOEthernetStats *_etherStats;
	OSDictionary *_media;
	OSDictionary *_counters;
	OSNumber *_counter[NET_COUNTERS];

	struct vio_net *_net;
	struct vio_net_info _info;
	enum vio_irq_mode _mode;
	volatile UInt32 _events; /* set by the filter */

	bool _forStack;	   /* enabled by the interface */
	bool _forDebugger; /* enabled by the debugger */
	bool _asleep;
	bool _stalled; /* the output queue waits for service() */
	bool _broken;  /* to be recovered */
	bool _dead;    /* given up */
	bool _linkNews;
	bool _soon; /* the timer was set for something owed, not for the next second */
	struct vio_net_link _link;

	struct vio_net_filter _filter;
	uint8_t _multicast[VIO_NET_MAC_MAX][6];

	UInt64 _progressAt;	    /* us: when transmission last moved */
	UInt64 _progressDone;	    /* packets completed then */
	UInt64 _reportAt;	    /* us: when the counters were last refreshed */
	struct seg _segs[NET_SEGS]; /* of the packet in hand; gated */

	/* life */
	bool createNet();
	bool createSources();
	void removeSources();
	void publishMedia();
	IOReturn bringUp();
	void bringDown();
	IOReturn applyFilter();
	static IOReturn powerAction(OSObject *owner, void *state, void *, void *, void *);
	static IOReturn stopAction(OSObject *owner, void *, void *, void *, void *);

	/* packets */
	unsigned mapPacket(mbuf_t packet, struct seg *segs, unsigned max);
	mbuf_t copyForDevice(mbuf_t packet);
	static bool rxBuffer(void *port, struct vio_net_rxbuf *buf);
	static void rxPacket(void *port, const struct vio_net_rx *packet);
	static void rxReturn(void *port, void *cookie, int status);
	static void txDone(void *port, void *cookie, int status);
	void receiveChecksum(mbuf_t packet, const struct vio_net_offload *offload);
	void sendAnnouncement();

	/* events */
	static bool interruptFilter(OSObject *owner, IOFilterInterruptEventSource *source);
	static void interruptAction(OSObject *owner, IOInterruptEventSource *source, int count);
	static void timerAction(OSObject *owner, IOTimerEventSource *source);
	static void linkChanged(void *port, const struct vio_net_link *link);
	static void announce(void *port);
	static void deviceBroken(void *port, const char *why);
	void serviceDevice(UInt32 events);
	void afterDevice();
	void watchTransmit(UInt64 now);
	void recover();
	void armTimer();
	void lookSoon();
	void publishLink();

	/* report */
	void publishDevice();
	void refreshCounters(UInt64 now);

	UInt64 now() const;

	static const struct vio_net_upcalls upcalls;

      public:
	bool start(IOService *provider) override;
	bool didTerminate(IOService *provider, IOOptionBits options, bool *defer) override;
	void stop(IOService *provider) override;
	void free() override;
	IOWorkLoop *getWorkLoop() const override;
	IOReturn setPowerState(unsigned long state, IOService *whom) override;

	UInt32 outputPacket(mbuf_t packet, void *param) override;
	UInt32 getFeatures() const override;
	const OSString *newVendorString() const override;
	const OSString *newModelString() const override;
	IOReturn getHardwareAddress(IOEthernetAddress *address) override;
	IOReturn setHardwareAddress(const IOEthernetAddress *address) override;
	IOReturn setMaxPacketSize(UInt32 size) override;
	IOReturn getMaxPacketSize(UInt32 *size) const override;
	IOReturn getPacketFilters(const OSSymbol *group, UInt32 *filters) const override;
	IOReturn enablePacketFilter(const OSSymbol *group, UInt32 filter, UInt32 enabled,
				    IOOptionBits options) override;
	IOReturn disablePacketFilter(const OSSymbol *group, UInt32 filter, UInt32 enabled,
				     IOOptionBits options) override;
	IOReturn setPromiscuousMode(bool active) override;
	IOReturn setMulticastMode(bool active) override;
	IOReturn setMulticastList(IOEthernetAddress *addresses, UInt32 count) override;
	IOReturn getChecksumSupport(UInt32 *support, UInt32 family, bool is_output) override;
	IOReturn selectMedium(const IONetworkMedium *medium) override;

      protected:
	bool createWorkLoop() override;
	IOOutputQueue *createOutputQueue() override;
	bool configureInterface(IONetworkInterface *interface) override;
	IOReturn registerWithPolicyMaker(IOService *policy_maker) override;
	IOReturn enable(IONetworkInterface *interface) override;
	IOReturn disable(IONetworkInterface *interface) override;
	IOReturn enable(IOKernelDebugger *debugger) override;
	IOReturn disable(IOKernelDebugger *debugger) override;
	void sendPacket(void *packet, UInt32 length) override;
	void receivePacket(void *packet, UInt32 *length, UInt32 timeout_ms) override;
};

#endif

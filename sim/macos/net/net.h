/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network family, seen from the other parts of the simulated kernel: what its two halves say
 * to each other beyond the kext's interfaces, and what tests may ask of it.
 */
#ifndef SIM_MACOS_NET_NET_H
#define SIM_MACOS_NET_NET_H

#include "guest/ports/xnu/kpi/netcontroller.h"

void sim_net_boot(void);
void sim_net_halt(void);

/*
 * IONetworkInterface::inputEvent(), from a controller to the interfaces that have it open. With the
 * three about a link comes a sim_link_event [10.8+], or nothing.
 */
enum sim_network_event : UInt32 {
	SIM_EVENT_DLIL = 0xff000001,
	SIM_EVENT_LINK_UP = 0xff000002,
	SIM_EVENT_LINK_DOWN = 0xff000003,
	SIM_EVENT_WAKE_SUPPORT = 0xff000004,
	SIM_EVENT_LINK_SPEED = 0xff000005,
};

struct sim_link_event {
	UInt64 speed;
	UInt32 status;
};

/* IOService::message(), from a controller to its clients. */
enum sim_network_message : UInt32 {
	SIM_MESSAGE_ENABLED = 0xe0018110, /* the argument is the client it was done for */
	SIM_MESSAGE_DISABLED = 0xe0018111,
	SIM_MESSAGE_WILL_SHUTDOWN = 0xe0018114,
};

/* Keys of a controller's properties. */
#define SIM_KEY_VENDOR		"IOVendor"
#define SIM_KEY_MODEL		"IOModel"
#define SIM_KEY_REVISION	"IORevision"
#define SIM_KEY_FEATURES	"IOFeatures"
#define SIM_KEY_MEDIA		"IOMediumDictionary"
#define SIM_KEY_DEFAULT_MEDIUM	"IODefaultMedium"
#define SIM_KEY_SELECTED_MEDIUM "IOSelectedMedium"
#define SIM_KEY_ACTIVE_MEDIUM	"IOActiveMedium"
#define SIM_KEY_LINK_SPEED	"IOLinkSpeed"
#define SIM_KEY_LINK_STATUS	"IOLinkStatus"
#define SIM_KEY_LINK_DATA	"IOLinkData"
#define SIM_KEY_FILTERS		"IOPacketFilters"
#define SIM_KEY_MAC		"IOMACAddress"
#define SIM_KEY_MAX_PACKET	"IOMaxPacketSize"
#define SIM_KEY_MIN_PACKET	"IOMinPacketSize"
#define SIM_KEY_ENABLED		"IOControllerEnabled" /* on a client */
#define SIM_KEY_PRIMARY_DEBUG	"IOPrimaryDebugPort"  /* on an IOKernelDebugger */

/* The third filter group: not exported to kexts. */
extern const OSSymbol *sim_disabled_wake_group;
/* What a medium name and link data are before anybody has set them: "" and no bytes. */
extern const OSSymbol *sim_no_medium;
extern OSData *sim_no_link_data;

/* Packets in a queue, those that wait while it is being drained included. */
unsigned sim_queue_length(IOOutputQueue *queue);

/*
 * Options, off by default; set before mac_boot().
 *
 * Stall watch: a packet for a queue that has been stalled for 10 s is a violation.
 *
 * Ring guard: while a debugger has the controller, DMA memory that kexts made may be touched only
 * by who holds the debugger lock, and by the debugger's own calls. Anything else faults, which is
 * the violation "ring touched without the debugger lock".
 */
extern bool sim_stall_watch;
extern bool sim_ring_guard;

/* An IOKernelDebugger for a controller, not yet attached. 0: no memory. */
IOKernelDebugger *sim_debugger_make(IOService *target, IODebuggerTxHandler tx,
				    IODebuggerRxHandler rx);

/* Bracket what may not keep the debugger lock: a violation if it does. */
unsigned sim_debugger_lock_before(void);
void sim_debugger_lock_after(unsigned before, const char *what);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the network family's debugger object and the kernel's debugger, as XNU has it
 * (osfmk/kdp): who can carry packets while everything stands still.
 */
#ifndef SIM_MACOS_KDP_PORT_H
#define SIM_MACOS_KDP_PORT_H

#include <stdint.h>

/* At debugger level. The packet is a whole frame; receive gives at most 1518 bytes, *len 0: none.
 */
typedef void kdp_send(void *packet, unsigned len);
typedef void kdp_receive(void *packet, unsigned *len, unsigned timeout_ms);
typedef unsigned kdp_link(void);    /* kIONetworkLink... bits */
typedef bool kdp_mode(bool active); /* brackets a stop */

/* Thread level. One at a time; unregister with the functions that were registered. */
void kdp_register_send_receive(kdp_send *send, kdp_receive *receive);
void kdp_unregister_send_receive(kdp_send *send, kdp_receive *receive);
void kdp_register_link(kdp_link *link, kdp_mode *mode);
void kdp_unregister_link(kdp_link *link, kdp_mode *mode);
void kdp_set_mac(const uint8_t mac[6]);

/*
 * reserveDebuggerLock() ... releaseDebuggerLock(): how often it is held now, by all threads. While
 * it is, the family drops what the debugger sends and receives. The last release tells the debugger
 * (which may have been asked for meanwhile, and then stops the world on that thread).
 */
extern volatile int kdp_debugger_lock;
void kdp_debugger_lock_released(void);

#endif

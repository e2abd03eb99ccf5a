/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BSD half of the simulated kernel, for its other parts: network buffers, the stack's side of
 * interfaces, and the network family's interface classes.
 */
#ifndef SIM_MACOS_BSD_BSD_H
#define SIM_MACOS_BSD_BSD_H

/* Publishes the resource IOBSD, for which network controllers wait. */
void sim_bsd_boot(void);
void sim_bsd_halt(void);

/* Mbufs not freed yet. */
unsigned sim_mbuf_alive(void);
/*
 * For whoever unloads a kext, while its image is still there: how many mbufs are alive that its
 * code allocated and did not hand up to the stack. They are logged.
 */
unsigned sim_mbuf_of_kext(const char *kext);

#endif

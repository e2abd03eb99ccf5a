/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stack's half of a network interface: what en0 is to ifconfig.
 *
 * An ifnet comes to be when user space names an interface of the I/O Kit, and dies when that is
 * terminated; the record stays, dead, because programs may hold it. Each has a thread on which
 * received packets go to the program. The driver's thread only queues them, and wakes it when it
 * sleeps.
 *
 * Whoever works with an ifnet brackets that with sim_ifnet_hold() and sim_ifnet_drop(): detaching
 * waits for them. It is done by one thread that has no gate, so that holders may wait for gates.
 */
#ifndef SIM_MACOS_BSD_IFNET_H
#define SIM_MACOS_BSD_IFNET_H

#include "guest/ports/xnu/kpi/netinterface.h"
#include "sim/macos/bsd/mbuf.h"
#include "sim/macos/mac.h"
#include "sim/macos/sim.h"

/* Interface flags. */
enum {
	IFF_UP = 0x1,
	IFF_BROADCAST = 0x2,
	IFF_NOTRAILERS = 0x20,
	IFF_RUNNING = 0x40,
	IFF_PROMISC = 0x100,
	IFF_ALLMULTI = 0x200,
	IFF_SIMPLEX = 0x800,
	IFF_MULTICAST = 0x8000,
};

/* What the hardware does, as ifnet_set_offload() is told. */
enum {
	ASSIST_IP = 0x1,
	ASSIST_TCP = 0x2,
	ASSIST_UDP = 0x4,
	ASSIST_TCPIPV6 = 0x20,
	ASSIST_UDPIPV6 = 0x40,
	ASSIST_SUM16 = 0x1000,
	ASSIST_VLAN_TAGGING = 0x10000,
	ASSIST_VLAN_MTU = 0x20000,
	ASSIST_TSO4 = 0x200000,
	ASSIST_TSO6 = 0x400000,
};

/* Commands of performCommand(). */
#define SIOCSIFADDR   0x8020690cul
#define SIOCSIFFLAGS  0x80206910ul
#define SIOCADDMULTI  0x80206931ul
#define SIOCDELMULTI  0x80206932ul
#define SIOCSIFMTU    0x80206934ul
#define SIOCSIFMEDIA  0xc0206937ul
#define SIOCSIFLLADDR 0x8020693cul

#define MULTI_MAX 256u

struct mac_if {
	struct mac_if *next; /* all there ever were, dead ones too */
	char name[16];
	IONetworkInterface *netif; /* retained; 0 once detached */
	uint32_t holds;
	bool dead;

	pthread_mutex_t lock; /* of what follows */
	uint32_t flags;
	uint32_t mtu;
	uint32_t assist;
	uint8_t mac[6];
	bool own_mac; /* by SIOCSIFLLADDR */
	bool debugger;
	uint8_t multi[MULTI_MAX][6];
	unsigned multi_users[MULTI_MAX];
	unsigned nmulti;
	unsigned promisc; /* users */
	uint64_t speed;	  /* of the link, if the stack was told */
	uint64_t ipackets, ierrors, ibytes, opackets, oerrors, obytes;
	unsigned link_ons, link_offs;
	IONetworkStats last; /* of the driver's counters */

	/* Input. */
	pthread_mutex_t in_lock;
	pthread_cond_t in_more, in_idle, in_come; /* the last for who polls */
	mbuf_t in_head, *in_tail;
	bool in_asleep, in_busy, in_stop, in_ended;
	bool in_polled, in_napping; /* by mac_if_wait(), not the thread; which sleeps */
	pthread_t in_thread;
	mac_input *input;
	void *input_arg;

	pthread_rwlock_t tap_lock;
	mac_tap *tap;
	void *tap_arg;
};

static inline ifnet_t sim_ifnet_handle(struct mac_if *ifp)
{
	return reinterpret_cast<ifnet_t>(ifp);
}

static inline struct mac_if *sim_ifnet(ifnet_t ifp)
{
	return reinterpret_cast<struct mac_if *>(ifp);
}

/* A new one, alive, with its thread. */
struct mac_if *sim_ifnet_attach(IONetworkInterface *netif, const char *name);
/* From now on programs find it. */
void sim_ifnet_publish(struct mac_if *ifp);
/* Waits for holders, frees what is queued, ends the thread. */
void sim_ifnet_detach(struct mac_if *ifp);
bool sim_ifnet_hold(struct mac_if *ifp);
void sim_ifnet_drop(struct mac_if *ifp);
/* The live one of that name; 0: none. */
struct mac_if *sim_ifnet_find(const char *name);
void sim_ifnet_boot(void);

/* A list of packets, by nextpkt, from the driver's thread. The headers are split off. */
void sim_ifnet_input(struct mac_if *ifp, mbuf_t head, mbuf_t tail, unsigned packets, size_t bytes);
/* bpf */
void sim_ifnet_tap(struct mac_if *ifp, bool sent, mbuf_t packet);
/* The family brings the counters up to what the driver has counted. */
void sim_ifnet_count(struct mac_if *ifp, const IONetworkStats *now);

#endif

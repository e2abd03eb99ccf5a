/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulated Mac, for programs: switch it on, plug devices in, load kexts, use its network
 * interfaces, put it to sleep, stop it in the debugger, switch it off and see what was left behind.
 *
 * One Mac per process, once: mac_boot() ... mac_halt(). Functions may be called from any thread of
 * the program unless they say otherwise; each enters the kernel for as long as it takes. Results
 * are 0 or a negative errno unless said otherwise.
 *
 * Nothing here is macOS: it is what we believe of the kernel's interfaces (docs/simulation.md).
 */
#ifndef SIM_MACOS_MAC_H
#define SIM_MACOS_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif
#include "common/seg.h"
#ifdef __cplusplus
}
#endif
#include "sim/macos/board.h"

#ifdef __cplusplus
/* Functions named as their structs bother g++. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
extern "C" {
#endif

/* ---- on and off ---- */

struct mac_config {
	int release;	       /* 6 ... 15 */
	const char *boot_args; /* 0: none */
	unsigned seed;
	bool quiet;
	struct sim_ram ram;
	void (*log)(const char *line); /* sees every line of the kernel's log; may be 0 */
};

int mac_boot(const struct mac_config *config);
/*
 * Everything has been unloaded or is now: what is still alive goes to `out` (may be 0), one line
 * each. The number of such lines.
 */
unsigned mac_halt(FILE *out);

/* ---- devices ---- */

struct mac_pci;

/*
 * A function appears on the bus and is matched. `fn` is the argument of the ops. built_in gives it
 * the property "built-in", as firmware does for a card that the machine came with.
 */
int mac_pci_add(const struct sim_pci_ops *ops, void *fn, const char *name, bool built_in,
		struct mac_pci **out);
/* Its nub is terminated and leaves the registry; with the Mac still on, this is a surprise. */
void mac_pci_remove(struct mac_pci *pci);

/* ---- kexts ---- */

/*
 * Load one bundle (a folder X.kext) as kextload does; kexts it depends on come first. Not 0:
 * `why` (may be 0) has one line.
 */
int mac_kext_load(const char *bundle, char *why, size_t why_len);
/* kextunload: terminate its services, then unload. -EBUSY: something still uses it. */
int mac_kext_unload(const char *identifier, char *why, size_t why_len);
bool mac_kext_loaded(const char *identifier);

struct mac_kext_info {
	char identifier[64], version[32];
	uint64_t address, size; /* of the image here */
	char sha256[65];	/* of the executable file as it was read */
};
/* The nth loaded kext in order of loading; false: there are fewer. */
bool mac_kext_info(unsigned nth, struct mac_kext_info *out);

/* Wait until nothing is being matched or terminated. False: not within timeout_ms. */
bool mac_quiet(unsigned timeout_ms);
/* The tree of the service plane with properties, like ioreg -l; without them if brief. */
void mac_registry_print(FILE *out, bool brief);
/* A property of the first service of a class, as text. False: no such service or property. */
bool mac_registry_get(const char *class_name, const char *key, char *value, size_t len);
/* Services of a class (or one derived from it) that are in the registry. */
unsigned mac_registry_count(const char *class_name);

/* ---- network interfaces ---- */

struct mac_if;
struct __mbuf;

/* The interface of that name ("en0"), waiting for it to appear. 0: it did not. */
struct mac_if *mac_if_find(const char *name, unsigned timeout_ms);

struct mac_if_state {
	char name[16];
	uint8_t mac[6];
	bool up, running;
	bool link_valid, link_active;
	uint64_t speed;		       /* bit/s, of the active medium or as told */
	char selected[48], active[48]; /* media: "autoselect", "1000baseT <full-duplex>", "none" */
	uint32_t mtu;
	bool csum4, csum6, tso4, tso6, vlan_mtu;
	uint64_t ipackets, ierrors, ibytes, opackets, oerrors, obytes, odropped;
	unsigned link_ons, link_offs; /* kernel events so far */
};
void mac_if_state(struct mac_if *ifp, struct mac_if_state *out);
/* The interface has been detached (kextunload, device gone). Its mac_if stays valid, but is dead.
 */
bool mac_if_gone(struct mac_if *ifp);

/* As ifconfig does them: gated, on this thread. */
int mac_if_up(struct mac_if *ifp);
int mac_if_down(struct mac_if *ifp);
int mac_if_promisc(struct mac_if *ifp, bool on);
int mac_if_allmulti(struct mac_if *ifp, bool on);
int mac_if_multicast(struct mac_if *ifp, const uint8_t mac[6], bool join);
int mac_if_mtu(struct mac_if *ifp, uint32_t mtu);
int mac_if_lladdr(struct mac_if *ifp, const uint8_t mac[6]);
int mac_if_media(struct mac_if *ifp, const char *medium);

/* A packet for the interface: copied. */
enum {
	MAC_SEND_CSUM = 1 << 0, /* the L4 checksum is requested; the field holds the pseudo sum */
	MAC_SEND_TSO = 1 << 1,	/* cut it up by mss; the frame says which IP version it is */
};
struct mac_send {
	const struct seg *segs; /* the frame with its Ethernet header; addr is not looked at */
	unsigned nsegs;
	unsigned flags;
	uint16_t mss;
	/*
	 * How the mbufs are cut: lengths of the first ones, the last takes the rest (by clusters).
	 * 0: as the stack would (link, IP and TCP header in the first, payload in clusters).
	 */
	const uint16_t *cuts;
	unsigned ncuts;
	bool shared_headers; /* the first mbuf is a shared cluster: read-only, no leading space */
};
/*
 * -ENETDOWN: not up. -ENOBUFS: no mbufs. 0: handed to the interface, which may drop it later
 * (mac_if_state counts that). Never blocks.
 */
int mac_if_send(struct mac_if *ifp, const struct mac_send *send);
/* Packets in the interface's queue (not yet with the driver). */
unsigned mac_if_queued(struct mac_if *ifp);

/*
 * What the interface receives, in order, on the input thread; the callee owns the packet. The frame
 * is whole: Ethernet header first. No callback: packets are freed.
 */
typedef void mac_input(void *arg, struct __mbuf *packet);
void mac_if_input(struct mac_if *ifp, mac_input *input, void *arg);
/*
 * For a program with one thread that wants to be the processor of the Mac as well: hands over what
 * has come, on this thread instead of the input thread, and if that is nothing, waits up to
 * timeout_us and takes the card's messages meanwhile (its line stays with the thread that waits for
 * it). From the first call on the input is this thread's, until mac_if_input() is called again. The
 * number of packets; 0 for an interface that is gone. `pci` may be 0.
 */
unsigned mac_if_wait(struct mac_if *ifp, struct mac_pci *pci, uint32_t timeout_us);
/* A look at every frame in both directions, before it goes on (bpf). */
typedef void mac_tap(void *arg, bool sent, struct __mbuf *packet);
void mac_if_tap(struct mac_if *ifp, mac_tap *tap, void *arg);

/* A received packet. */
size_t mac_packet_len(struct __mbuf *packet);
/* Its parts; the number, or 0 if there are more than max. addr is the device address. */
unsigned mac_packet_segs(struct __mbuf *packet, struct seg *segs, unsigned max);
bool mac_packet_csum_good(struct __mbuf *packet); /* TCP or UDP sum vouched for */
void mac_packet_free(struct __mbuf *packet);

/* ---- power ---- */

/* Each returns when done. -ETIMEDOUT: a driver did not acknowledge. */
int mac_sleep(void);
int mac_wake(void);
/* systemWillShutdown to all, as for a restart. */
int mac_shutdown(void);

/* ---- memory that fails ---- */

/*
 * The nth allocation from now that a kext asks for fails (1: the next), and all later ones if
 * forever. 0: none. Returns how many were asked for since the last call.
 */
unsigned mac_fail_alloc(unsigned nth, bool forever);

/* ---- the debugger ---- */

/*
 * What the programmer's key does: stop everything and serve KDP until a debugger lets it go. Waits
 * for that. Needs boot-arg debug and a controller that took the debugger.
 * -ENODEV: there is none, -ETIMEDOUT: nobody let it go within timeout_ms (it goes on then).
 */
int mac_debugger(const char *why, unsigned timeout_ms);
/* The same as a panic: all is lost afterwards. Returns only once a debugger has disconnected. */
int mac_panic(const char *why, unsigned timeout_ms);
/* Whether the Mac stands still in the debugger now. */
bool mac_stopped(void);
/*
 * Set before mac_boot(): while a debugger has a controller, its driver may touch memory that it
 * shares with the device only with the debugger lock. For boards in another process: one in this
 * process needs that memory itself.
 */
void mac_guard_rings(bool on);
/* IP address that KDP answers to; from the boot-arg kdp_ip_addr, or set when the lease is known. */
void mac_kdp_address(const uint8_t ip[4]);

#ifdef __cplusplus
}
#pragma GCC diagnostic pop
#endif

#endif

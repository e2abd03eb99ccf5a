/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest of few words on a NIC under test: DHCP, ARP, ICMP echo with fragments.
 *
 * Small enough to run through hundreds of machines in seconds, and nothing in it knows of
 * offloads. A ping's payload depends on its size and number; every byte of the answer is compared.
 * Nothing is sent twice: on a wire that loses nothing, a lost frame is a fault of ours.
 */
#ifndef TESTS_QEMU_MINI_H
#define TESTS_QEMU_MINI_H

#include "tests/qemu/nic.h"
#include "tools/stack/dhcp.h"

#define MINI_PING_MAX 9000u
#define MINI_ECHO_MAX 16384u

struct mini {
	struct nic *nic;
	uint8_t ip[4], peer[4], peer_mac[6];
	uint16_t mtu;
	uint16_t vlan; /* tag everything; 0: no */
	bool resolved;
	struct dhcp dhcp;
	bool dhcp_news;

	/* The echo that is awaited. */
	uint16_t id, seq, ip_id, answer_id;
	uint32_t size;
	bool answered;
	uint32_t have, total; /* of the answer, ICMP header included; total 0: not known */
	uint8_t echo[MINI_ECHO_MAX];

	uint64_t frames, others; /* received; of these, not for any of the above */
	/* Those others, if wanted. */
	void (*other)(void *arg, const uint8_t *frame, uint32_t len);
	void *other_arg;
};

/* Takes the NIC's frames. Addresses are the caller's to fill in, unless mini_dhcp does. */
void mini_init(struct mini *m, struct nic *n);

/* Each fails the test when there is no right answer in time. */
void mini_dhcp(struct mini *m);	   /* ip and peer become address and router */
void mini_resolve(struct mini *m); /* ARP for peer */
void mini_ping(struct mini *m, uint32_t size);
/* Was there an answer within ms? */
bool mini_try_ping(struct mini *m, uint32_t size, unsigned ms);

/* The ARP request that asks for peer. */
#define MINI_ARP_LEN 60u
void mini_arp(const struct mini *m, const uint8_t mac[6], uint8_t frame[MINI_ARP_LEN]);
/* An unfragmented echo request of size payload bytes; its length. */
uint32_t mini_echo(struct mini *m, const uint8_t mac[6], uint32_t size, uint8_t *frame);
/* Whether the answer, once it is there, is the right one. */
bool mini_right(const struct mini *m);

#endif

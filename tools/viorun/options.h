/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of viorun.
 *
 * Parsing touches nothing outside of its arguments: it ends in a filled-in struct, or in one line
 * that says what is wrong and what would be right.
 */
#ifndef VIORUN_OPTIONS_H
#define VIORUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_ERR	    256u
#define OPTIONS_BYTES	    (UINT64_C(64) << 20)
#define OPTIONS_BYTES_MAX   (UINT64_C(1) << 40)
#define OPTIONS_TIMEOUT_S   55u
#define OPTIONS_KDP_S	    600u /* with somebody who debugs, or says what to do */
#define OPTIONS_TIMEOUT_MAX 86400u
#define OPTIONS_QUEUE_MIN   64u
#define OPTIONS_QUEUE_MAX   1024u
#define OPTIONS_QUEUE_QEMU  256u /* QEMU's own default, and the least it takes */
#define OPTIONS_RELEASE_MIN 6u
#define OPTIONS_RELEASE_MAX 15u
#define OPTIONS_RELEASE	    13u /* 10.13: the last that has no virtio drivers of its own */
#define OPTIONS_ARGS_MAX    256u
#define OPTIONS_CARD_MAX    256u

enum options_transport { OPTIONS_MODERN, OPTIONS_TRANSITIONAL, OPTIONS_LEGACY };
enum options_machine { OPTIONS_PC, OPTIONS_Q35 };
enum options_irq {
	OPTIONS_INTX,
	OPTIONS_MSIX,
	OPTIONS_MSIX_EACH,
	OPTIONS_POLL,
	OPTIONS_IRQ_AUTO,
};
enum options_net { OPTIONS_USER, OPTIONS_TAP, OPTIONS_AUTO, OPTIONS_FD };
enum options_driver { OPTIONS_KEXT, OPTIONS_CORE };

enum options_result {
	OPTIONS_RUN,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_WRONG, /* err says why */
};

struct options {
	enum options_driver driver;
	unsigned release;      /* 6 ... 15: of 10.x, for the kexts */
	const char *package;   /* installer package or folder of kexts; NULL: beside the build */
	const char *boot_args; /* NULL: none */
	uint16_t kdp_port;     /* stop for a debugger at the end, on this UDP port; 0: no */
	enum options_transport transport;
	enum options_machine machine;
	enum options_irq irq;
	enum options_net net; /* OPTIONS_AUTO until it is known what this machine allows */
	int net_fd;	      /* OPTIONS_FD: the card's network, and a session (session.h) */
	bool no_msix;
	bool verbose;
	uint16_t queue_size; /* 0: the device's */
	uint16_t port;	     /* 0: any */
	uint64_t bytes;
	unsigned timeout_s;
	unsigned idle_s; /* before each transfer */
	uint64_t features_off, features_needed;
	const char *card; /* more properties for -device; NULL: none */
	const char *pcap; /* NULL: none; these point into argv */
	const char *json; /* NULL: none, "-": standard output */
	const char *qemu; /* NULL: from the environment or the path */
	char err[OPTIONS_ERR];
};

/* argv as main gets it. */
enum options_result options_parse(struct options *o, int argc, char *const *argv);

/* The words of the command line for a value. */
const char *options_transport_name(enum options_transport t);
const char *options_machine_name(enum options_machine m);
const char *options_irq_name(enum options_irq i);
const char *options_net_name(enum options_net n);

/*
 * Name of a feature as this program writes it: the specification's, lower case, without prefix. buf
 * holds it. NULL: no name.
 */
#define OPTIONS_FEATURE_LEN 40u
const char *options_feature_name(unsigned bit, char buf[OPTIONS_FEATURE_LEN]);
/*
 * The bits that a name of len characters stands for, with or without prefix; also tso4, tso6, ecn,
 * ufo (both directions) and lro. 0: no such feature.
 */
uint64_t options_feature_bits(const char *name, size_t len);

extern const char options_help[];

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a run found out, and the two ways to say it: lines for a person as it happens (report.c),
 * one JSON object at the end (json_sink.c).
 */
#ifndef VIORUN_RESULTS_H
#define VIORUN_RESULTS_H

#include <jansson.h>
#include <stdio.h>

#include "tools/stack/stack.h"
#include "tools/stack/transfer.h"
#include "tools/viorun/machine.h"
#include "tools/viorun/options.h"

#define RESULTS_PINGS 5u
#define RESULTS_KEXTS 4u

/* A kext that was loaded: the bytes of its executable, as read. */
struct results_kext {
	char name[64], identifier[64], version[32], sha256[65];
};

/* What the simulated stack's side of the interface saw. */
struct results_mac {
	char interface[16], media[48], transport[16];
	uint64_t tx_tso, tx_csum, rx_good, rx_large, tx_dropped, rx_dropped;
	unsigned link_ons, link_offs;
	unsigned leaks;
};

struct results {
	const struct options *o;
	const char *driver;
	struct results_kext kexts[RESULTS_KEXTS];
	unsigned n_kexts;
	struct results_mac mac;
	bool link_toggled;
	const char *qemu_version;
	struct vio_net_info info;
	struct vio_net_link link;
	struct dhcp_lease lease;
	uint32_t ping_us[RESULTS_PINGS];
	unsigned pings;
	uint32_t ping_large_us; /* the largest there is, in fragments */
	struct transfer download, upload;
	struct vio_net_stats download_stats, upload_stats; /* what each of them added */
	struct vio_net_stats stats;			   /* of the whole run */
	struct netif_vio_stats netif;
	unsigned leak_buffers;
	struct machine_leaks leaks;
	double seconds; /* the whole run */
};

/* Notifications and interrupts, both directions, per packet of both directions. */
double results_kicks(const struct vio_net_stats *s);
double results_irqs(const struct vio_net_stats *s);
/* The packet counters of `now` less those of `before`. */
void results_difference(const struct vio_net_stats *before, const struct vio_net_stats *now,
			struct vio_net_stats *out);

/* The middle one. */
uint32_t results_ping_us(const struct results *r);

/* ---- report.c: for people ---- */

struct report {
	FILE *out; /* NULL: silent */
	bool tty;
	bool bar; /* an unfinished progress bar stands on the last line */
	const char *what;
	uint64_t bytes, started, last_us;
	unsigned last_step;
};

void report_init(struct report *rp, FILE *out);
__attribute__((format(printf, 3, 4))) void report_line(struct report *rp, const char *head,
						       const char *fmt, ...);
void report_machine(struct report *rp, const struct results *r, const struct machine *m);
/* m NULL: the kexts, which show less. */
void report_driver(struct report *rp, const struct results *r, const struct machine *m);
void report_link(struct report *rp, const struct vio_net_link *link, bool first);
void report_lease(struct report *rp, const struct results *r, double ms);
void report_pings(struct report *rp, const struct results *r);
void report_transfer_begin(struct report *rp, const char *what, uint64_t bytes);
void report_transfer_step(void *report, uint64_t done, uint64_t bytes);
void report_transfer_end(struct report *rp, const struct transfer *t);
void report_summary(struct report *rp, const struct results *r);
/* End an open progress bar's line. */
void report_break(struct report *rp);

/* ---- json_sink.c: for programs ---- */

/* The object that json_sink_write writes. */
json_t *json_sink_results(const struct results *r);

/* Where the object will go; nothing of it can be seen before it is complete. */
struct json_sink {
	FILE *file;
	const char *path;
	char temp[4096]; /* "" when path itself is written: standard output, a device, a pipe */
	char err[OPTIONS_ERR];
};

/* Find out now whether it can be written. False: err. */
bool json_sink_open(struct json_sink *sink, const char *path);
bool json_sink_write(struct json_sink *sink, const struct results *r);
/* Removes what was not finished. */
void json_sink_discard(struct json_sink *sink);

#endif

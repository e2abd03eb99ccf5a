/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture file of what the driver sends and receives.
 *
 * The classic format (magic 0xa1b2c3d4 in this machine's order, microseconds, Ethernet), which
 * every analyser reads. Frames are written as the driver sees them: one that the device is to cut
 * up is one long record, one whose checksum the other side finishes has the pseudo-header's sum in
 * it. Errors are kept until asked for: a full disk does not disturb the run.
 */
#ifndef STACK_PCAP_H
#define STACK_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/seg.h"

#define PCAP_SNAPLEN 262144u

struct pcap;

/* NULL, with errno set. */
struct pcap *pcap_create(const char *path);
/* One frame that was seen at us microseconds since 1970. */
void pcap_write(struct pcap *p, uint64_t us, const struct seg *segs, size_t nsegs);
/* The same, stamped now. */
void pcap_write_now(struct pcap *p, const struct seg *segs, size_t nsegs);
uint64_t pcap_count(const struct pcap *p);
/* 0, or the errno of the first write that failed. NULL is allowed. */
int pcap_close(struct pcap *p);

#endif

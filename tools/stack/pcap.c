/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/pcap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PCAP_MAGIC	 0xa1b2c3d4u
#define PCAP_LINK_ETHER	 1u
#define PCAP_BUFFER_SIZE (256u * 1024u)

struct pcap_file_hdr {
	uint32_t magic;
	uint16_t major, minor;
	int32_t zone;
	uint32_t sigfigs;
	uint32_t snaplen;
	uint32_t network;
};
_Static_assert(sizeof(struct pcap_file_hdr) == 24, "pcap file header");

struct pcap_record_hdr {
	uint32_t sec, usec;
	uint32_t kept, len;
};
_Static_assert(sizeof(struct pcap_record_hdr) == 16, "pcap record header");

struct pcap {
	FILE *file;
	uint64_t count;
	int error;
};

static void pcap_put(struct pcap *p, const void *data, size_t n)
{
	if (!p->error && n && fwrite(data, n, 1, p->file) != 1)
		p->error = errno ? errno : EIO;
}

struct pcap *pcap_create(const char *path)
{
	const struct pcap_file_hdr hdr = {
		.magic = PCAP_MAGIC,
		.major = 2,
		.minor = 4,
		.snaplen = PCAP_SNAPLEN,
		.network = PCAP_LINK_ETHER,
	};
	struct pcap *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->file = fopen(path, "wbe");
	if (!p->file) {
		free(p);
		return NULL;
	}
	(void)setvbuf(p->file, NULL, _IOFBF, PCAP_BUFFER_SIZE);
	pcap_put(p, &hdr, sizeof(hdr));
	return p;
}

void pcap_write(struct pcap *p, uint64_t us, const struct seg *segs, size_t nsegs)
{
	size_t total = seg_total(segs, nsegs);
	uint32_t kept = total > PCAP_SNAPLEN ? PCAP_SNAPLEN : (uint32_t)total;
	const struct pcap_record_hdr hdr = {
		.sec = (uint32_t)(us / 1000000u),
		.usec = (uint32_t)(us % 1000000u),
		.kept = kept,
		.len = total > UINT32_MAX ? UINT32_MAX : (uint32_t)total,
	};

	pcap_put(p, &hdr, sizeof(hdr));
	for (size_t i = 0; i < nsegs && kept; i++) {
		uint32_t n = segs[i].len < kept ? segs[i].len : kept;

		pcap_put(p, segs[i].ptr, n);
		kept -= n;
	}
	p->count++;
}

void pcap_write_now(struct pcap *p, const struct seg *segs, size_t nsegs)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pcap_write(p, (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u, segs, nsegs);
}

uint64_t pcap_count(const struct pcap *p)
{
	return p->count;
}

int pcap_close(struct pcap *p)
{
	int error;

	if (!p)
		return 0;
	if (fclose(p->file) != 0 && !p->error)
		p->error = errno ? errno : EIO;
	error = p->error;
	free(p);
	return error;
}

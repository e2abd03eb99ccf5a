/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/viorun/results.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/stack/ping.h"

#define HEAD	      12 /* columns of the left word */
#define WIDTH	      96u
#define BAR	      30u
#define BAR_US	      100000u
#define STEPS	      4u /* lines per transfer where there is no terminal */
#define MIB	      1048576.0
#define FEATURES_TEXT 2048u

void report_init(struct report *rp, FILE *out)
{
	const char *term = getenv("TERM");

	*rp = (struct report){.out = out};
	if (out)
		rp->tty = isatty(fileno(out)) && !(term && !strcmp(term, "dumb"));
}

void report_break(struct report *rp)
{
	if (rp->out && rp->bar)
		(void)fputs("\r\033[K", rp->out);
	rp->bar = false;
}

void report_line(struct report *rp, const char *head, const char *fmt, ...)
{
	va_list ap;

	if (!rp->out)
		return;
	report_break(rp);
	(void)fprintf(rp->out, "%-*s", HEAD, head);
	va_start(ap, fmt);
	(void)vfprintf(rp->out, fmt, ap);
	va_end(ap);
	(void)fputc('\n', rp->out);
	(void)fflush(rp->out);
}

/* Names of a set, broken into lines that all begin in the same column. */
static void report_features(struct report *rp, const char *head, uint64_t bits, bool dim)
{
	char name[OPTIONS_FEATURE_LEN], unknown[16];
	unsigned column = HEAD;

	if (!rp->out || !bits)
		return;
	dim = dim && rp->tty && !getenv("NO_COLOR");
	(void)fprintf(rp->out, "%s%-*s", dim ? "\033[2m" : "", HEAD, head);
	for (unsigned bit = 0; bit < 64; bit++) {
		const char *text;

		if (!(bits >> bit & 1))
			continue;
		text = options_feature_name(bit, name);
		if (!text) {
			(void)snprintf(unknown, sizeof(unknown), "bit%u", bit);
			text = unknown;
		}
		if (column > HEAD && column + 1 + strlen(text) > WIDTH) {
			(void)fprintf(rp->out, "\n%*s", HEAD, "");
			column = HEAD;
		}
		(void)fprintf(rp->out, "%s%s", column > HEAD ? " " : "", text);
		column += (unsigned)strlen(text) + (column > HEAD);
	}
	(void)fprintf(rp->out, "%s\n", dim ? "\033[0m" : "");
	(void)fflush(rp->out);
}

void report_machine(struct report *rp, const struct results *r, const struct machine *m)
{
	report_line(rp, "machine", "QEMU %s, %s, started in %.2f s", m->version,
		    options_machine_name(r->o->machine), m->start_s);
	report_line(rp, "device", "%02x:%02x.%x %04x:%04x, %s%s", m->card->bdf >> 8,
		    m->card->bdf >> 3 & 31, m->card->bdf & 7, m->card->vendor, m->card->device,
		    options_transport_name(r->o->transport),
		    m->card->parent ? ", behind a root port" : "");
}

static void report_offloads(struct report *rp, const struct results *r)
{
	const struct vio_net_info *i = &r->info;
	const struct {
		bool on;
		const char *name;
	} all[] = {
		{i->tx_csum, "checksum sent"},
		{i->rx_csum, "checksum received"},
		{i->tx_tso4, "TSO4"},
		{i->tx_tso6, "TSO6"},
		{i->rx_lro4, "LRO4"},
		{i->rx_lro6, "LRO6"},
		{i->rx_merge, "merged buffers"},
	};
	const uint64_t data = VIRTIO_BIT(VIRTIO_NET_F_CSUM) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_CSUM);
	char text[160] = "";

	for (size_t n = 0; n < sizeof(all) / sizeof(all[0]); n++)
		if (all[n].on)
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				       *text ? ", " : "", all[n].name);
	if (r->o->net == OPTIONS_USER && !(i->offered & data))
		report_line(rp, "offloads",
			    "%s%sno checksum, no segmentation: QEMU's user network "
			    "offers none",
			    text, *text ? "; " : "");
	else
		report_line(rp, "offloads", "%s", *text ? text : "none");
}

void report_driver(struct report *rp, const struct results *r, const struct machine *m)
{
	const struct vio_net_info *i = &r->info;

	report_line(rp, "driver", "%s, %s interface, MAC %02x:%02x:%02x:%02x:%02x:%02x, MTU %u",
		    r->driver, i->transport, i->mac[0], i->mac[1], i->mac[2], i->mac[3], i->mac[4],
		    i->mac[5], i->mtu);
	report_features(rp, "features", i->features, false);
	report_features(rp, "  not used", i->offered & ~i->features, true);
	report_offloads(rp, r);
	if (!m) { /* the kexts show less */
		report_line(rp, "queues", "receive %u, transmit %u", i->rx_size, i->tx_size);
		return;
	}
	report_line(rp, "queues", "receive %u x %u bytes, transmit %u, control %u", i->rx_size,
		    i->rx_buf_len, i->tx_size, i->ctrl_size);
	if (m->irq_mode == VIO_IRQ_NONE)
		report_line(rp, "interrupts", "none, polled");
	else
		report_line(rp, "interrupts", "%s, %u vector%s", options_irq_name(r->o->irq),
			    m->irq.vectors, m->irq.vectors == 1 ? "" : "s");
}

void report_link(struct report *rp, const struct vio_net_link *link, bool first)
{
	if (link->up && link->speed_mbps)
		report_line(rp, "link", "up, %u Mbit/s, %s duplex", link->speed_mbps,
			    link->full_duplex ? "full" : "half");
	else
		report_line(rp, "link", "%s%s", link->up ? "up" : "down",
			    first ? "" : " (changed)");
}

#define ADDR(a) (a)[0], (a)[1], (a)[2], (a)[3]

void report_lease(struct report *rp, const struct results *r, double ms)
{
	const struct dhcp_lease *l = &r->lease;
	unsigned bits = 0;
	char dns[64] = "none";

	for (unsigned i = 0; i < 4; i++)
		bits += (unsigned)__builtin_popcount(l->netmask[i]);
	if (l->ndns)
		(void)snprintf(dns, sizeof(dns), "%u.%u.%u.%u", ADDR(l->dns[0]));
	report_line(rp, "address", "%u.%u.%u.%u/%u, router %u.%u.%u.%u, DNS %s (DHCP, %.1f ms)",
		    ADDR(l->address), bits, ADDR(l->router), dns, ms);
}

static double results_per_packet(uint64_t n, const struct vio_net_stats *s)
{
	uint64_t packets = s->rx.packets + s->tx.packets;

	return packets ? (double)n / (double)packets : 0;
}

double results_kicks(const struct vio_net_stats *s)
{
	return results_per_packet(s->rx.kicks + s->tx.kicks, s);
}

double results_irqs(const struct vio_net_stats *s)
{
	return results_per_packet(s->rx.irqs + s->tx.irqs, s);
}

static void results_difference_queue(const struct vio_net_queue_stats *before,
				     const struct vio_net_queue_stats *now,
				     struct vio_net_queue_stats *out)
{
	*out = (struct vio_net_queue_stats){
		.packets = now->packets - before->packets,
		.bytes = now->bytes - before->bytes,
		.buffers = now->buffers - before->buffers,
		.kicks = now->kicks - before->kicks,
		.irqs = now->irqs - before->irqs,
		.gso = now->gso - before->gso,
		.csum = now->csum - before->csum,
		.full = now->full - before->full,
		.errors = now->errors - before->errors,
		.dropped = now->dropped - before->dropped,
		.merged = now->merged - before->merged,
	};
}

void results_difference(const struct vio_net_stats *before, const struct vio_net_stats *now,
			struct vio_net_stats *out)
{
	*out = *now;
	results_difference_queue(&before->rx, &now->rx, &out->rx);
	results_difference_queue(&before->tx, &now->tx, &out->tx);
}

static int report_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

uint32_t results_ping_us(const struct results *r)
{
	uint32_t sorted[RESULTS_PINGS];

	if (!r->pings)
		return 0;
	memcpy(sorted, r->ping_us, sizeof(sorted));
	qsort(sorted, r->pings, sizeof(sorted[0]), report_compare);
	return sorted[r->pings / 2];
}

void report_pings(struct report *rp, const struct results *r)
{
	char text[128] = "";

	for (unsigned i = 0; i < r->pings; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u",
			       i ? ", " : "", r->ping_us[i]);
	report_line(rp, "ping", "%u.%u.%u.%u: %s us; %u bytes in fragments: %u us",
		    ADDR(r->lease.router), text, PING_SIZE_MAX, r->ping_large_us);
}

/* ---- transfers ---- */

void report_transfer_begin(struct report *rp, const char *what, uint64_t bytes)
{
	rp->what = what;
	rp->bytes = bytes;
	rp->started = stack_now();
	rp->last_us = 0;
	rp->last_step = 0;
	report_transfer_step(rp, 0, bytes);
}

static double report_rate(const struct report *rp, uint64_t done, uint64_t now)
{
	return now > rp->started ? (double)done * 8 / (double)(now - rp->started) : 0;
}

void report_transfer_step(void *report, uint64_t done, uint64_t bytes)
{
	struct report *rp = report;
	uint64_t now = stack_now();
	double part = bytes ? (double)done / (double)bytes : 1;
	unsigned step = (unsigned)(part * STEPS);

	if (!rp->out)
		return;
	if (!rp->tty) {
		if (step > rp->last_step && step < STEPS)
			report_line(rp, rp->what, "%3.0f %%, %.0f Mbit/s", part * 100,
				    report_rate(rp, done, now));
		rp->last_step = step;
		return;
	}
	if (now - rp->last_us < BAR_US && rp->last_us)
		return;
	rp->last_us = now;
	(void)fprintf(rp->out, "\r\033[K%-*s[", HEAD, rp->what);
	for (unsigned i = 0; i < BAR; i++)
		(void)fputc(i < (unsigned)(part * BAR) ? '#' : '.', rp->out);
	(void)fprintf(rp->out, "] %3.0f %%  %.1f of %.1f MiB  %.0f Mbit/s", part * 100,
		      (double)done / MIB, (double)bytes / MIB, report_rate(rp, done, now));
	(void)fflush(rp->out);
	rp->bar = true;
}

void report_transfer_end(struct report *rp, const struct transfer *t)
{
	report_line(rp, rp->what, "%.1f MiB in %.2f s, %.0f Mbit/s, %s", (double)t->done / MIB,
		    t->seconds, t->mbit_s, t->verified ? "verified" : "NOT VERIFIED");
}

/* ---- the end ---- */

static void report_direction(struct report *rp, const struct transfer *t,
			     const struct vio_net_stats *s)
{
	report_line(rp, t->upload ? "upload" : "download",
		    "%7.0f %9llu %9llu %8llu %8llu %9llu %10.4f %10.4f", t->mbit_s,
		    (unsigned long long)s->rx.packets, (unsigned long long)s->tx.packets,
		    (unsigned long long)s->rx.gso, (unsigned long long)s->tx.gso,
		    (unsigned long long)(s->rx.csum + s->tx.csum), results_kicks(s),
		    results_irqs(s));
}

static void report_details(struct report *rp, const struct results *r)
{
	const struct netif_vio_stats *n = &r->netif;
	const struct vio_net_stats *s = &r->stats;

	report_line(rp, "stack",
		    "%llu frames sent as %llu packets, %llu joined; %llu stalls, "
		    "%llu refused",
		    (unsigned long long)n->tx_frames, (unsigned long long)n->tx_packets,
		    (unsigned long long)n->tx_joined, (unsigned long long)n->tx_stalls,
		    (unsigned long long)n->tx_refused);
	report_line(rp, "",
		    "%llu packets received, %llu large, %llu checksums finished, "
		    "%llu times no buffer",
		    (unsigned long long)n->rx_packets, (unsigned long long)n->rx_large,
		    (unsigned long long)n->rx_finished, (unsigned long long)n->rx_starved);
	report_line(rp, "driver",
		    "%llu starts, %llu link changes, %llu control commands "
		    "(%llu failed), %llu configuration interrupts",
		    (unsigned long long)s->starts, (unsigned long long)s->link_changes,
		    (unsigned long long)s->ctrl_commands, (unsigned long long)s->ctrl_errors,
		    (unsigned long long)s->config_irqs);
}

void report_summary(struct report *rp, const struct results *r)
{
	const struct vio_net_stats *s = &r->stats;
	uint64_t bad = s->rx.errors + s->tx.errors + s->rx.dropped + r->netif.rx_dropped +
		       r->netif.tx_dropped;

	if (!rp->out)
		return;
	(void)fputc('\n', rp->out);
	report_line(rp, "", "%7s %9s %9s %8s %8s %9s %10s %10s", "Mbit/s", "received", "sent",
		    "LRO", "TSO", "checksums", "kicks/pkt", "irqs/pkt");
	report_direction(rp, &r->download, &r->download_stats);
	report_direction(rp, &r->upload, &r->upload_stats);
	if (r->o->verbose)
		report_details(rp, r);
	if (bad || s->breaks)
		report_line(rp, "trouble", "%llu packets dropped or refused, %llu device failures",
			    (unsigned long long)bad, (unsigned long long)s->breaks);
	if (r->n_kexts)
		report_line(rp, "interface",
			    "%llu packets to be segmented, %llu with a checksum to be made; "
			    "received %llu vouched for, %llu large; link %u times up, %u down",
			    (unsigned long long)r->mac.tx_tso, (unsigned long long)r->mac.tx_csum,
			    (unsigned long long)r->mac.rx_good, (unsigned long long)r->mac.rx_large,
			    r->mac.link_ons, r->mac.link_offs);
	if (r->mac.leaks)
		report_line(rp, "leaks", "%u things left in the kernel, see above", r->mac.leaks);
	else if (r->leak_buffers || r->leaks.dma_bytes || r->leaks.private_bytes)
		report_line(rp, "leaks",
			    "%u buffers, %zu bytes of DMA memory, %zu of private memory",
			    r->leak_buffers, r->leaks.dma_bytes, r->leaks.private_bytes);
	else
		report_line(rp, "leaks", "none: all buffers and all memory came back");
	report_line(rp, "", "%.1f s in all", r->seconds);
}

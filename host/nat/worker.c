/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/nat/worker.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TICK_MS 100

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void from_slirp(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct worker *w = ctx;

	out_frame(&w->out, frame, len);
}

static void answer(void *ctx, const uint8_t *frame, uint32_t len)
{
	struct worker *w = ctx;

	slirp_nat_input(w->slirp, frame, len);
	w->kick = true;
}

static void to_slirp(void *ctx, uint8_t *frame, uint32_t len)
{
	struct worker *w = ctx;

	slirp_nat_input(w->slirp, frame, len);
}

bool worker_open(struct worker *w, const struct nat_config *config, struct lane *from_daemon,
		 struct lane *to_daemon, unsigned fds_max, char *err, size_t err_len)
{
	struct slirp_nat_params params = {
		.config = &w->config,
		.if_mtu = slirp_nat_mtu(config),
		.send = from_slirp,
		.ctx = w,
		.fds = fds_max,
	};

	memset(w, 0, sizeof(*w));
	w->config = *config;
	w->from_daemon = from_daemon;
	w->to_daemon = to_daemon;
	w->fds_max = fds_max;
	w->filter.config = &w->config;
	w->filter.mss4 = slirp_nat_mss(config, false);
	w->filter.mss6 = slirp_nat_mss(config, true);
	w->filter.now = now_ms();
	w->merge.emit = to_slirp;
	w->merge.ctx = w;
	w->merge.stats = &w->stats;
	w->merge.max4 = w->merge.max6 = params.if_mtu;
	w->merge.off = config->no_merge;
	w->out.config = &w->config;
	w->out.stats = &w->stats;
	w->out.filter = &w->filter;
	w->out.lane = to_daemon;
	w->out.answer = answer;
	w->out.ctx = w;
	if (config->no_split) {
		params.if_mtu = config->mtu;
		w->filter.mss4 = (uint16_t)(config->mtu - NAT_IP4 - NAT_TCP);
		w->filter.mss6 = (uint16_t)(config->mtu - NAT_IP6 - NAT_TCP);
	}
	w->tcp.config = &w->config;
	w->tcp.stats = &w->stats;
	w->tcp.lane = to_daemon;
	w->tcp.now = w->filter.now;
	w->tcp.off = config->no_merge || config->no_split;
	if (!frag_open(&w->frag) || !merge_open(&w->merge) || !tcp_open(&w->tcp)) {
		snprintf(err, err_len, "out of memory");
		worker_close(w);
		return false;
	}
	out_init(&w->out);
	w->slirp = slirp_nat_open(&params);
	if (!w->slirp) {
		snprintf(err, err_len, "libslirp %s does not take this configuration",
			 slirp_nat_version());
		worker_close(w);
		return false;
	}
	if (!relay_open(&w->relay, w->slirp)) {
		snprintf(err, err_len, "out of memory");
		worker_close(w);
		return false;
	}
	return true;
}

void worker_close(struct worker *w)
{
	relay_close(&w->relay);
	if (w->slirp)
		slirp_nat_close(w->slirp);
	w->slirp = NULL;
	tcp_close(&w->tcp);
	merge_close(&w->merge);
	frag_close(&w->frag);
}

void worker_frame(struct worker *w, uint8_t *frame, uint32_t len)
{
	struct tcp_syn syn = {.ours = false};
	enum nat_drop drop;
	struct packet p;
	bool whole, stays;

	w->stats.in_frames++;
	w->stats.in_bytes += len;
	if (out_heard(&w->out, frame, len))
		return;
	drop = filter_ip(&w->filter, frame, len, &p);
	whole = !drop && !p.fragment;
	if (!drop && p.fragment)
		drop = frag_add(&w->frag, &p, w->filter.now, &whole);
	if (!drop && whole)
		tcp_look(&w->tcp, &p, &syn);
	if (!drop && whole)
		drop = filter_transport(&w->filter, &p);
	if (drop) {
		w->stats.drop[drop]++;
		return;
	}
	if (!whole)
		return;
	/* One that was put together is in memory that is not ours to keep. */
	stays = lane_holds(w->from_daemon, p.frame);
	if (syn.ours && tcp_input(&w->tcp, &p, &syn)) {
		if (!stays)
			tcp_end(&w->tcp);
		return;
	}
	if (!stays) {
		merge_flush(&w->merge);
		slirp_nat_input(w->slirp, p.frame, p.len);
		return;
	}
	merge_add(&w->merge, &p);
}

void worker_end(struct worker *w)
{
	tcp_end(&w->tcp);
	merge_flush(&w->merge);
	for (unsigned i = 0; w->kick && i < 4; i++) {
		w->kick = false;
		slirp_nat_kick(w->slirp);
	}
}

bool worker_read(struct worker *w)
{
	for (unsigned i = 0; i < WORKER_BATCHES; i++) {
		uint32_t len, all = 0;
		uint8_t *frame;

		while (all < WORKER_BATCH && (frame = lane_next(w->from_daemon, &len))) {
			worker_frame(w, frame, len);
			all += len;
		}
		if (w->from_daemon->broken)
			return false;
		if (!all)
			break;
		worker_end(w);
		lane_release(w->from_daemon);
		lane_tell(w->to_daemon);
	}
	return true;
}

void worker_tick(struct worker *w)
{
	w->filter.now = now_ms();
	tcp_tick(&w->tcp, w->filter.now);
	if (w->filter.now - w->ticked < TICK_MS)
		return;
	w->ticked = w->filter.now;
	out_tick(&w->out);
}

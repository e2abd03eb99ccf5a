/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network driver against a device that lies about everything it controls (F-2).
 *
 *     unit-hostile [--mutations N] [--seed S] [--life L]
 *
 * Many short lives of a device, each with its own seed, shape and set of mutations: creation,
 * start, traffic both ways, control commands, ticks, recoveries, suspend, polled mode, the end.
 * After each life every cookie has come back once, nothing has leaked and nothing was touched that
 * is not the driver's; sanitizers watch the rest. A life that fails is named by its seed, and
 * --life runs that one alone. A driver that spins is ended by the alarm.
 */
#include <time.h>

#include "tests/lib/rig.h"
#include "tests/unit/cm.h"

#define LIFE_ACTIONS 60u
#define LIFE_SECONDS 20u

static uint64_t totals[MODEL_MUT_COUNT];
static uint64_t lives, created, started, received, sent, recoveries, lost, readbacks;

static uint8_t frame[RIG_FRAME_ROOM];

static void life_options(struct rng *rng, struct rig_opts *o)
{
	static const uint16_t sizes[] = {1, 2, 4, 16, 64, 256, 1024};

	rig_defaults(o);
	o->model.interface = (enum model_interface)rng_below(rng, 3);
	o->model.features = model_features_default();
	if (rng_below(rng, 4) == 0)
		o->model.features = model_features_known();
	if (rng_below(rng, 4) == 0)
		o->model.features &= rng_next(rng) | VIRTIO_BIT(VIRTIO_F_VERSION_1);
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		o->model.queue_size[q] = sizes[rng_below(rng, COUNT(sizes))];
	o->model.immediate = rng_below(rng, 2);
	o->model.loopback = rng_below(rng, 2);
	o->model.layout.window_only = rng_below(rng, 8) == 0;
	o->prefer = (enum vio_pci_prefer)rng_below(rng, 3);
	o->params.irq_mode = (enum vio_irq_mode)rng_below(rng, 4);
	o->params.features_off = rng_below(rng, 3) ? 0 : rng_next(rng);
	o->params.features_off &= rng_next(rng); /* about a quarter of the bits */
	o->params.queue_size = rng_below(rng, 2) ? 0 : 32;
	o->rx_buffers = 1 + rng_below(rng, 80);
	o->tx_buffers = 1 + rng_below(rng, 80);
	o->rx_segs = 1 + rng_below(rng, 3);
	o->arena_bytes = 24u << 20;
	o->keep_frames = false;
	o->no_monitor_fail = true; /* it does not judge while the device lies */
}

static void act_send(struct rig *r, struct rng *rng)
{
	struct rig_flow flow = {.ipv6 = rng_below(rng, 2), .udp = rng_below(rng, 3) == 0};
	bool gso = rng_below(rng, 4) == 0;
	struct rig_tx tx = {
		.frame = frame,
		.flags = gso ? VIO_NET_TX_GSO : rng_below(rng, 2) * VIO_NET_TX_CSUM,
		.mss = 1400,
		.nsegs = 1 + rng_below(rng, 6),
		.headroom = rng_below(rng, 2) * 16,
	};
	size_t l4;

	if (rng_below(rng, 4) == 0)
		tx.flags |= VIO_NET_TX_VLAN;
	tx.len = rig_frame(frame, &flow, rng_below(rng, gso ? 20000 : 1400), 1, &l4);
	for (unsigned n = rng_below(rng, 20); n > 0; n--) {
		if (rig_send_ex(r, &tx) == VIO_EAGAIN)
			(void)!vio_net_tx_arm(rig_net(r));
	}
	vio_net_flush(rig_net(r));
}

static void act_receive(struct rig *r, struct rng *rng)
{
	struct rig_flow flow = {.ipv6 = rng_below(rng, 2), .udp = rng_below(rng, 2)};
	struct model_hdr hdr;

	for (unsigned n = rng_below(rng, 20); n > 0; n--) {
		size_t payload = rng_below(rng, rng_below(rng, 3) ? 1400 : 30000);
		size_t len = rig_frame_partial(frame, &flow, payload, 1, &hdr);

		if (payload > 1460) {
			hdr.gso_type = flow.udp ? VIRTIO_NET_HDR_GSO_UDP_L4
						: (flow.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6
							     : VIRTIO_NET_HDR_GSO_TCPV4);
			hdr.gso_size = 1400;
		}
		if (rng_below(rng, 4))
			model_receive(rig_model(r), &hdr, frame, len);
		else
			model_receive_raw(rig_model(r), &hdr, frame, len);
	}
}

static void act_control(struct vio_net *net, struct rng *rng)
{
	static uint8_t macs[80][6];
	struct vio_net_filter filter = {
		.promisc = rng_below(rng, 2),
		.allmulti = rng_below(rng, 2),
		.unicast = (const uint8_t(*)[6])macs,
		.nunicast = rng_below(rng, 80),
		.multicast = (const uint8_t(*)[6])macs,
		.nmulticast = rng_below(rng, 80),
	};

	switch (rng_below(rng, 5)) {
	case 0:
		(void)!vio_net_set_filter(net, &filter);
		break;
	case 1:
		(void)!vio_net_set_mac(net, (const uint8_t[6]){2, 3, 4, 5, 6, 7});
		break;
	case 2:
		(void)!vio_net_vlan(net, (uint16_t)rng_below(rng, 4100), rng_below(rng, 2));
		break;
	case 3:
		(void)!vio_net_set_offloads(net, rng_below(rng, 2));
		break;
	default:
		vio_net_config_event(net);
	}
}

static void act_polled(struct rig *r, struct rng *rng)
{
	uint8_t buf[1600];
	size_t len;

	for (unsigned n = rng_below(rng, 8); n > 0; n--) {
		if (rng_below(rng, 2)) {
			(void)!vio_net_polled_send(rig_net(r), frame, 14 + rng_below(rng, 1500),
						   rng_below(rng, 200));
		} else {
			len = 0;
			(void)!vio_net_polled_recv(rig_net(r), buf, 60 + rng_below(rng, 1500), &len,
						   rng_below(rng, 200));
			if (len > sizeof(buf))
				rig_fail(r, "polled frame longer than its buffer", len);
		}
	}
}

static void act(struct rig *r, struct rng *rng)
{
	struct vio_net *net = rig_net(r);

	switch (rng_below(rng, 18)) {
	case 0:
	case 1:
	case 2:
	case 3:
		act_send(r, rng);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		act_receive(r, rng);
		break;
	case 8:
	case 15:
	case 16:
		act_control(net, rng);
		break;
	case 9:
		act_polled(r, rng);
		break;
	case 10:
		rig_tick(r, 1000);
		break;
	case 11:
		rig_advance(r, 21000000); /* so that not all are given up early */
		(void)!vio_net_recover(net);
		break;
	case 12:
		if (rng_below(rng, 2)) {
			(void)vio_net_suspend(net);
			(void)!vio_net_resume(net);
		} else {
			(void)vio_net_stop(net);
			(void)!vio_net_start(net);
		}
		break;
	case 13:
		if (rng_below(rng, 4) == 0)
			model_needs_reset(rig_model(r));
		else
			model_link(rig_model(r), rng_below(rng, 2));
		break;
	case 14:
		rig_starve(r, rng_below(rng, 4) == 0);
		model_hold(rig_model(r), rng_below(rng, MODEL_QUEUES), rng_below(rng, 4) == 0);
		break;
	default:
		for (unsigned v = 0; v < 5; v++)
			(void)!vio_net_service(net, vio_net_interrupt(net, v),
					       1 + rng_below(rng, 64));
	}
	rig_pump(r);
}

/* One device's life. The number of mutations; failures of the rig end the program. */
static uint64_t life(uint64_t seed)
{
	struct rng rng = {seed * UINT64_C(0x9e3779b97f4a7c15) | 1};
	uint64_t mask = MODEL_MUT_ALL, done;
	struct rig_counts counts;
	struct rig_opts opts;
	struct rig *r;
	unsigned rate;

	for (int i = 0; i < 4; i++)
		rng_next(&rng);
	life_options(&rng, &opts);
	r = rig_create_bare(&opts);
	if (!r)
		return 0; /* a shape the model does not make */
	lives++;
	alarm(LIFE_SECONDS);
	rig_auto_recover(r, rng_below(&rng, 4));

	/* Half of the lives have few kinds of lies, so that they get further. */
	if (rng_below(&rng, 2)) {
		mask = 0;
		for (unsigned n = 1 + rng_below(&rng, 4); n > 0; n--)
			mask |= UINT64_C(1) << rng_below(&rng, MODEL_MUT_COUNT);
	}
	/* These happen at every access and would be nearly all there is. */
	if (rng_below(&rng, 16))
		mask &= ~(UINT64_C(1) << MODEL_MUT_IRQ_SPURIOUS |
			  UINT64_C(1) << MODEL_MUT_IRQ_STORM | UINT64_C(1) << MODEL_MUT_AVAIL);
	if (rng_below(&rng, 4))
		mask &= ~(UINT64_C(1) << MODEL_MUT_USED_FLAGS |
			  UINT64_C(1) << MODEL_MUT_AVAIL_EVENT |
			  UINT64_C(1) << MODEL_MUT_USED_RING | UINT64_C(1) << MODEL_MUT_BUFFER);
	rate = 65536u >> (1 + rng_below(&rng, 10));
	if (rng_below(&rng, 3) == 0)
		model_hostile(rig_model(r), seed, rate, mask);
	if (rig_attach(r) == VIO_OK) {
		created++;
		if (rng_below(&rng, 3) == 0)
			model_hostile(rig_model(r), seed + 1, rate, mask);
		started += rig_start(r) == VIO_OK;
		model_hostile(rig_model(r), seed + 2, rate, mask);
		for (unsigned n = rng_below(&rng, LIFE_ACTIONS); n > 0; n--)
			act(r, &rng);
	}
	done = model_mutations(rig_model(r));
	for (unsigned k = 0; k < MODEL_MUT_COUNT; k++)
		totals[k] += model_mutations_of(rig_model(r), (enum model_mutation)k);
	if (model_readbacks(rig_model(r)))
		rig_fail(r, "the driver believed its own shared memory", 0);
	readbacks += model_readbacks(rig_model(r));
	rig_detach(r);
	rig_counts(r, &counts);
	received += counts.rx_packets;
	sent += counts.tx_sent;
	recoveries += counts.recoveries;
	lost += counts.rx_lost + counts.tx_lost;
	if (rig_failures(r)) {
		printf("not ok - life %llu: %s\n", (unsigned long long)seed, rig_failure(r));
		model_mut_print(rig_model(r), stdout);
		exit(1);
	}
	rig_destroy(r);
	return done;
}

int main(int argc, char **argv)
{
	uint64_t want = 100000, seed = 1, only = 0, done = 0;
	struct timespec t0, t1;
	double took;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--mutations"))
			want = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--life"))
			only = strtoull(argv[i + 1], NULL, 0);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	if (only) {
		printf("life %llu: %llu mutations\n", (unsigned long long)only,
		       (unsigned long long)life(only));
		return 0;
	}
	while (done < want)
		done += life(seed * 1000000 + lives + 1);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	took = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;

	for (unsigned k = 0; k < MODEL_MUT_COUNT; k++)
		printf("# %-16s %8llu\n", model_mutation_name((enum model_mutation)k),
		       (unsigned long long)totals[k]);
	printf("# seed %llu: %llu lives, %llu created, %llu started, %llu packets received, "
	       "%llu sent, %llu recoveries, %llu buffers lost to devices that did not reset\n",
	       (unsigned long long)seed, (unsigned long long)lives, (unsigned long long)created,
	       (unsigned long long)started, (unsigned long long)received, (unsigned long long)sent,
	       (unsigned long long)recoveries, (unsigned long long)lost);
	printf("# %.1f s, %.0f mutations a second\n", took, (double)done / took);
	printf("ok - %llu mutations\n", (unsigned long long)done);
	return 0;
}

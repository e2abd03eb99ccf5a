/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kexts and a device that lies about everything it controls (F-2), behind the PCI bus.
 *
 * Lives of a Mac, each with a seed, a shape of device and a choice of lies, which begin before the
 * kexts are loaded, before the interface is up, or with traffic. Frames go both ways, settings
 * change, interrupts come from nowhere. After each life the kernel is alive, the kexts go, and
 * nothing is left but what the device could still write to (mac_left.h). If the device became
 * honest before the end, the interface works again, or says that it does not.
 *
 *	VIOKIT_SEED=N	the life with this seed alone
 *	VIOKIT_SOAK	100,000 lies on each release
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/mac/mac_left.h"

#define QUIET_MS       20000u
#define LIFE_SECONDS   60u
#define ACTIONS	       80u
#define LIVES	       9u /* for each release */
#define SOAK_MUTATIONS 100000u

struct life {
	struct mac_rig_opts rig; /* first */
	uint64_t seed;
	uint64_t random;
};

/* What all lives together have seen; children add to it. */
static struct totals {
	uint64_t lies[MODEL_MUT_COUNT], all, lives, attached, up, healed, alive, received;
} * totals;

static uint32_t below(struct life *l, uint32_t n)
{
	uint64_t x = l->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((x ^ x >> 31) >> 8) % n;
}

/* ---- the device ---- */

static void shape(struct life *l)
{
	static const uint16_t sizes[] = {2, 16, 64, 256};
	struct model_options *o = &l->rig.model;

	board_model_defaults(o);
	o->interface = (enum model_interface)below(l, 3);
	if (below(l, 4) == 0)
		o->features = model_features_known();
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		o->queue_size[q] = sizes[below(l, 4)];
	o->loopback = below(l, 4) == 0;
	if (below(l, 4) == 0)
		o->msix_entries = (uint16_t)below(l, 4);
}

static uint64_t bit(enum model_mutation kind)
{
	return UINT64_C(1) << kind;
}

/*
 * Half of the lives have few kinds of lies, so that they get further. Some kinds cost a second of
 * waiting each, or happen at every access: they are left to some lives.
 */
static uint64_t choose(struct life *l)
{
	uint64_t mask = MODEL_MUT_ALL;

	if (below(l, 2)) {
		mask = 0;
		for (unsigned n = 1 + below(l, 6); n > 0; n--)
			mask |= UINT64_C(1) << below(l, MODEL_MUT_COUNT);
	}
	if (below(l, 8))
		mask &= ~(bit(MODEL_MUT_IRQ_SPURIOUS) | bit(MODEL_MUT_IRQ_STORM) |
			  bit(MODEL_MUT_AVAIL));
	if (below(l, 4))
		mask &= ~(bit(MODEL_MUT_USED_FLAGS) | bit(MODEL_MUT_AVAIL_EVENT) |
			  bit(MODEL_MUT_USED_RING) | bit(MODEL_MUT_BUFFER));
	if (below(l, 8))
		mask &= ~(bit(MODEL_MUT_CTRL_NEVER) | bit(MODEL_MUT_CTRL_LATE) |
			  bit(MODEL_MUT_RESET) | bit(MODEL_MUT_USED_SKIP));
	return mask ? mask : bit(MODEL_MUT_USED_ID);
}

/* Lies after which the driver may take the device for gone, and leaves it alone. */
#define DEATHS (bit(MODEL_MUT_PCI) | bit(MODEL_MUT_STATUS) | bit(MODEL_MUT_RESET))

static void lie(struct mac_rig *r, uint64_t seed, unsigned rate, uint64_t mask)
{
	model_hostile(board_model_lock(&r->model[0]), seed, rate, mask);
	board_model_unlock(&r->model[0]);
}

/* ---- what happens ---- */

static void drain(struct mac_rig *r)
{
	uint8_t frame[2048];
	struct board_frame out;

	while (mac_rig_receive(r, 0, frame, sizeof(frame), 0, NULL))
		totals->received++;
	while (board_model_take(&r->model[0], &out, 0))
		free(out.data);
}

static void receive(struct life *l, struct mac_rig *r)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t peer[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
	static uint8_t frame[8192];

	for (unsigned n = below(l, 20); n > 0; n--) {
		size_t payload = below(l, below(l, 3) ? 1500 : 8000);
		size_t len = mac_rig_frame(frame, all, peer, payload, n);

		(void)board_model_send(&r->model[0], NULL, frame, len, below(l, 2));
	}
}

static void send(struct life *l, struct mac_rig *r)
{
	static const uint8_t peer[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
	uint8_t frame[1514];

	for (unsigned n = below(l, 40); n > 0; n--)
		(void)mac_rig_send(r, 0, frame,
				   mac_rig_frame(frame, peer, peer, 46 + below(l, 1450), n));
}

static void set(struct life *l, struct mac_rig *r)
{
	uint8_t group[6] = {1, 0, 0x5e, 0, 0, (uint8_t)below(l, 4)};
	uint8_t own[6] = {2, 0, 0, 0, 0, (uint8_t)below(l, 200)};

	switch (below(l, 6)) {
	case 0:
		(void)mac_if_promisc(r->ifp[0], below(l, 2));
		break;
	case 1:
		(void)mac_if_allmulti(r->ifp[0], below(l, 2));
		break;
	case 2:
		(void)mac_if_multicast(r->ifp[0], group, below(l, 2));
		break;
	case 3:
		(void)mac_if_mtu(r->ifp[0], 1000 + below(l, 1000));
		break;
	case 4:
		(void)mac_if_lladdr(r->ifp[0], own);
		break;
	default:
		(void)mac_if_media(r->ifp[0], "autoselect");
	}
}

static void disturb(struct life *l, struct mac_rig *r)
{
	struct model *m = board_model_lock(&r->model[0]);

	switch (below(l, 5)) {
	case 0:
		model_link(m, below(l, 2));
		break;
	case 1:
		/* A command that is not answered takes a second: not often. */
		model_hold(m, below(l, 16) ? below(l, 2) : 2, below(l, 4) == 0);
		break;
	case 2:
		model_config_changed(m);
		break;
	case 3:
		if (below(l, 8) == 0)
			model_needs_reset(m);
		break;
	default:
		model_interrupt(m, below(l, MODEL_QUEUES + 1));
	}
	board_model_unlock(&r->model[0]);
}

static void act(struct life *l, struct mac_rig *r)
{
	switch (below(l, 16)) {
	case 0:
	case 1:
	case 2:
	case 3:
		send(l, r);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
		receive(l, r);
		break;
	case 9:
		set(l, r);
		break;
	case 10:
		if (below(l, 4) == 0) {
			(void)mac_if_down(r->ifp[0]);
			(void)mac_if_up(r->ifp[0]);
		}
		break;
	case 11:
		if (below(l, 8) == 0) {
			CHECK(mac_sleep() == 0);
			CHECK(mac_wake() == 0);
		}
		break;
	default:
		disturb(l, r);
	}
	drain(r);
}

/* ---- an honest device again ---- */

/*
 * What the device was when the kexts came must be what it is now, or it is refused (H-11); and it
 * must not have played dead.
 */
static void heal(struct mac_rig *r, bool known)
{
	struct mac_if_state state;
	struct model *m;

	lie(r, 0, 0, 0);
	(void)mac_if_down(r->ifp[0]);
	m = board_model_lock(&r->model[0]);
	for (unsigned q = 0; q < MODEL_QUEUES; q++)
		model_hold(m, q, false);
	model_link(m, true);
	board_model_unlock(&r->model[0]);
	if (mac_if_up(r->ifp[0]) != 0) {
		mac_if_state(r->ifp[0], &state);
		CHECK_MSG(!state.link_active, "there is a link to a device that does not start");
		CHECK_MSG(!known || mac_rig_device_alive() ||
				  mac_rig_logged("device given up after recoveries"),
			  "an honest device does not start");
		return;
	}
	CHECK_MSG(mac_rig_works(r, 5000), "there is no traffic with an honest device");
	mac_if_state(r->ifp[0], &state);
	CHECK(state.link_active);
	totals->healed++;
}

/* ---- a life ---- */

static void count(struct mac_rig *r, struct mac_left *left)
{
	const struct model *m = board_model_lock(&r->model[0]);

	CHECK_MSG(model_readbacks(m) == 0, "the driver believed its own shared memory");
	for (unsigned k = 0; k < MODEL_MUT_COUNT; k++)
		totals->lies[k] += model_mutations_of(m, (enum model_mutation)k);
	totals->all += model_mutations(m);
	totals->lives++;
	board_model_unlock(&r->model[0]);
	totals->alive += mac_rig_device_alive();
	mac_rig_close_left(r, left);
	/* Each queue has at most two pieces and one for headers; commands and the debugger one. */
	CHECK(left->shared <= 3 * 2 + 4);
}

static void life_case(void *arg)
{
	struct life *l = arg;
	unsigned rate, when;
	struct mac_left left;
	struct mac_rig r;
	uint64_t mask;
	char seed[24];

	(void)snprintf(seed, sizeof(seed), "%llu", (unsigned long long)l->seed);
	(void)setenv("VIOKIT_SEED", seed, 1); /* the kernel's choices too */
	l->random = l->seed;
	l->rig.no_load = true;
	l->rig.no_up = true;
	shape(l);
	mask = choose(l);
	rate = 65536u >> (1 + below(l, 10));
	when = below(l, 3);
	(void)fprintf(stderr, "life %llu, lies %#llx at %u / 65536 from %u on\n",
		      (unsigned long long)l->seed, (unsigned long long)mask, rate, when);
	mac_rig_open(&r, &l->rig);
	if (when == 0)
		lie(&r, l->seed, rate, mask);
	CHECK(mac_rig_load(&r) == 0);
	CHECK(mac_quiet(QUIET_MS));
	if (mac_registry_count("IOEthernetInterface")) {
		totals->attached++;
		mac_rig_find(&r);
		if (when == 1)
			lie(&r, l->seed, rate, mask);
		totals->up += mac_if_up(r.ifp[0]) == 0;
		lie(&r, l->seed + 1, rate, mask);
		for (unsigned n = below(l, ACTIONS); n > 0; n--)
			act(l, &r);
		if (below(l, 2))
			heal(&r, when != 0 && !(mask & DEATHS));
	} else {
		CHECK_MSG(when == 0, "an honest device is not attached");
	}
	count(&r, &left);
}

static void lives(int release)
{
	const char *only = getenv("VIOKIT_SEED");
	uint64_t all = totals->all;

	for (unsigned i = 0;; i++) {
		struct life l = {.rig.release = release, .seed = (unsigned)release * 1000000u + i};

		if (only)
			l.seed = strtoull(only, NULL, 0);
		mac_rig_case(life_case, &l, LIFE_SECONDS);
		if (only ||
		    (getenv("VIOKIT_SOAK") ? totals->all - all >= SOAK_MUTATIONS : i + 1 >= LIVES))
			break;
	}
}

static void test_device_that_lies(void **state)
{
	struct totals *t = totals;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		lives(mac_rig_releases[i]);
	for (unsigned k = 0; k < MODEL_MUT_COUNT; k++)
		printf("# %-16s %8llu\n", model_mutation_name((enum model_mutation)k),
		       (unsigned long long)t->lies[k]);
	printf("# %llu lives, %llu attached, %llu up, %llu healed, %llu not reset, %llu frames\n",
	       (unsigned long long)t->lives, (unsigned long long)t->attached,
	       (unsigned long long)t->up, (unsigned long long)t->healed,
	       (unsigned long long)t->alive, (unsigned long long)t->received);
	if (getenv("VIOKIT_SEED"))
		return;
	assert_true(t->all > 300 && t->attached > 20 && t->up > 10 && t->healed > 5);
	assert_true(t->received > 100);
}

/* One kind at a time, as often as it can be: each is known to happen, and to be survived. */
static void kind_case(void *arg)
{
	struct life *l = arg;
	enum model_mutation kind = (enum model_mutation)l->seed;
	struct mac_left left;
	struct mac_rig r;
	bool early = kind == MODEL_MUT_PCI || kind == MODEL_MUT_FEATURES;

	l->random = l->seed;
	l->rig.no_load = true;
	l->rig.no_up = true;
	(void)fprintf(stderr, "kind %s\n", model_mutation_name(kind));
	mac_rig_open(&r, &l->rig);
	if (early)
		lie(&r, 1, 8192, bit(kind));
	CHECK(mac_rig_load(&r) == 0);
	CHECK(mac_quiet(QUIET_MS));
	if (mac_registry_count("IOEthernetInterface")) {
		mac_rig_find(&r);
		if (!early)
			lie(&r, 1, 8192, bit(kind));
		(void)mac_if_up(r.ifp[0]);
		for (unsigned n = 0; n < 40; n++)
			act(l, &r);
		(void)mac_if_down(r.ifp[0]);
		heal(&r, !early && !(bit(kind) & DEATHS));
	}
	count(&r, &left);
}

static void test_each_kind_of_lie(void **state)
{
	(void)state;
	for (unsigned k = 0; k < MODEL_MUT_COUNT; k++) {
		struct life l = {.rig.release = mac_rig_releases[k % 5], .seed = k};
		uint64_t before = totals->lies[k];

		mac_rig_case(kind_case, &l, LIFE_SECONDS);
		if (totals->lies[k] == before)
			printf("# never: %s\n", model_mutation_name((enum model_mutation)k));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_device_that_lies),
		cmocka_unit_test(test_each_kind_of_lie),
	};

	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (totals == MAP_FAILED)
		return 1;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

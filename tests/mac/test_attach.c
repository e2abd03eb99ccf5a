/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kexts attach, carry frames, and leave nothing behind: every shape of device, and on every
 * release the kind of interrupt that works there. The driver's choice shows in the registry; that
 * it works shows in time, as frames that only the driver's tick finds take a second each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/mac/mac_wire.h"

#define FRAMES	  10u
#define SOON_MS	  5000u /* for FRAMES frames each way, which ticks would need twice as long for */
#define SECONDS	  60u
#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

/* Where the policy changes, and the releases of every scenario. */
static const int releases[] = {6, 9, 10, 11, 12, 13, 14, 15};

enum irq_arg { ARG_AUTO, ARG_INTX, ARG_MSIX };
enum face { FACE_MODERN, FACE_TRANSITIONAL, FACE_LEGACY };

static const char *const irq_args[] = {NULL, "vio_irq=intx", "vio_irq=msix"};

struct attach {
	struct mac_rig_opts o;
	enum irq_arg irq;
	enum face face;
	unsigned entries; /* of the MSI-X table */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void check_property(const char *class_name, const char *key, const char *want)
{
	char value[64] = "";

	CHECK_MSG(mac_registry_get(class_name, key, value, sizeof(value)), "%s has no %s",
		  class_name, key);
	CHECK_MSG(!strcmp(value, want), "%s of %s is %s, not %s", key, class_name, value, want);
}

/* Before 10.10 there are no messages; 10.10 and 10.11 lose them if the table has more entries. */
static bool wants_message(const struct attach *a)
{
	if (a->o.release < 10 || a->entries == 0 || a->irq == ARG_INTX)
		return false;
	return a->irq == ARG_MSIX || a->o.release >= 12 || a->entries == 1;
}

static void check_choice(const struct attach *a)
{
	bool message = wants_message(a);
	const char *transport = a->face == FACE_LEGACY ? "legacy" : "modern";

	check_property("VirtioDevice", "VirtioInterruptIndex", message ? "0x1" : "0x0");
	check_property("VirtioNetController", "VirtioInterrupts", message ? "one vector" : "line");
	check_property("VirtioNetController", "VirtioTransport", transport);
	check_property("VirtioDevice", "VirtioTransport", transport);
}

/* Every interrupt arrives: if one did not, its frame would wait for the tick. */
static void attach_case(void *arg)
{
	const struct attach *a = arg;
	struct mac_wire wire;
	struct mac_rig_opts o = a->o;
	uint64_t start;
	struct mac_rig r;

	if (o.props) {
		mac_wire_open(&wire);
		o.netdev = wire.netdev;
		o.fds = &wire.qemu_fd;
		o.n_fds = 1;
	}
	mac_rig_open(&r, &o);
	check_choice(a);
	start = now_ms();
	if (r.qemu)
		mac_wire_exchange(&wire, &r, 0, FRAMES, SOON_MS);
	else
		mac_rig_exchange(&r, 0, FRAMES);
	CHECK_MSG(now_ms() - start < SOON_MS, "frames took %llu ms: interrupts are lost",
		  (unsigned long long)(now_ms() - start));
	CHECK(!mac_rig_logged("reaches nobody"));
	mac_rig_close(&r);
	if (o.props)
		mac_wire_close(&wire);
}

static void run(const struct attach *a)
{
	struct attach copy = *a;

	copy.o.boot_args = irq_args[a->irq];
	mac_rig_case(attach_case, &copy, SECONDS);
}

/* Forced messages on 10.10 and 10.11 are another case: see test_lost_messages. */
static bool is_lost(const struct attach *a)
{
	return (a->o.release == 10 || a->o.release == 11) && a->irq == ARG_MSIX && a->entries > 1;
}

/* ---- on the model ---- */

static void on_model(struct attach *a, enum face face, unsigned entries)
{
	struct model_options *m = &a->o.model;

	board_model_defaults(m);
	m->interface = face == FACE_MODERN	   ? MODEL_MODERN
		       : face == FACE_TRANSITIONAL ? MODEL_TRANSITIONAL
						   : MODEL_LEGACY;
	m->msix_entries = (uint16_t)entries;
	a->face = face;
	a->entries = entries;
}

/* What a user gets who sets nothing: each release, each table. */
static void test_default_interrupt_of_each_release(void **state)
{
	static const unsigned entries[] = {0, 1, 2, 4};

	(void)state;
	for (unsigned i = 0; i < COUNT(releases); i++) {
		for (unsigned j = 0; j < COUNT(entries); j++) {
			struct attach a = {.o.release = releases[i]};

			on_model(&a, (enum face)((i + j) % 3), entries[j]);
			run(&a);
		}
	}
}

/* Why the driver does not take messages there: each frame waits for the tick. */
static void lost_case(void *arg)
{
	const struct attach *a = arg;
	uint8_t frame[64], got[64];
	struct mac_if_state state;
	struct mac_rig r;
	size_t len;

	mac_rig_open(&r, &a->o);
	check_property("VirtioNetController", "VirtioInterrupts", "one vector");
	mac_if_state(r.ifp[0], &state);
	len = mac_rig_frame(frame, state.mac, state.mac, 46, 1);
	CHECK(board_model_send(&r.model[0], NULL, frame, len, false) == MODEL_RX_OK);
	CHECK(mac_rig_receive(&r, 0, got, sizeof(got), 5000, NULL) == len);
	CHECK(mac_rig_logged("reaches nobody"));
	mac_rig_close(&r);
}

static void test_lost_messages(void **state)
{
	(void)state;
	for (int release = 10; release <= 11; release++) {
		struct attach a = {.o.release = release, .o.boot_args = "vio_irq=msix"};

		on_model(&a, FACE_MODERN, 3);
		mac_rig_case(lost_case, &a, SECONDS);
	}
}

/* ---- shapes of devices that are seldom, and legitimate ---- */

static void shape_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	mac_rig_exchange(&r, 0, FRAMES);
	CHECK(!mac_rig_logged("started again"));
	mac_rig_close(&r);
}

#define SHAPES 21u

/* The nth one; false: there are fewer. */
static bool shape(unsigned nth, struct model_options *m)
{
	struct model_layout *l = &m->layout;
	struct model_odd *o = &m->odd;

	board_model_defaults(m);
	switch (nth) {
	case 0:
		l->notify_multiplier = 0;
		return true;
	case 1:
		l->notify_multiplier = 2;
		l->longer_by = 4;
		return true;
	case 2:
		l->notify_bar = 2;
		l->foreign_caps = 3;
		return true;
	case 3:
		l->reserved_type = l->reserved_bar = true;
		return true;
	case 4:
		l->vendor_cap = l->twice = true;
		return true;
	case 5:
		l->large = l->no_window = true;
		return true;
	case 6:
		l->msix_bar = 0;
		l->bar = 2;
		l->notify_bar = 5;
		m->interface = MODEL_MODERN;
		return true;
	case 7:
		o->out_len = o->zero_len_ctrl = true;
		return true;
	case 8:
		o->spurious_irq = true;
		return true;
	case 9:
		o->irq_always = o->reorder = true;
		return true;
	case 10:
		o->stray_events = o->unknown_flags = true;
		return true;
	case 11:
		o->flip_generation = true;
		return true;
	case 12:
		o->shared_isr = true;
		return true;
	case 13:
		m->reset_reads = 5;
		return true;
	case 14:
		m->config_len = 8; /* MAC and status, nothing more */
		m->features &= ~((UINT64_C(1) << VIRTIO_NET_F_MTU) |
				 (UINT64_C(1) << VIRTIO_NET_F_SPEED_DUPLEX));
		return true;
	case 15:
		m->config_len = 60;
		m->revision = 1;
		m->interface = MODEL_MODERN;
		return true;
	case 16:
		for (unsigned i = 0; i < MODEL_QUEUES; i++)
			m->queue_size[i] = 4;
		return true;
	case 17:
		m->queue_size[0] = m->queue_size[1] = 1024;
		return true;
	case 18:
		m->features = UINT64_C(1) << VIRTIO_F_VERSION_1; /* not even a MAC address */
		m->interface = MODEL_MODERN;
		return true;
	case 19:
		m->features = 0;
		m->interface = MODEL_LEGACY;
		return true;
	case 20: /* offers what nobody knows, and this is no packed ring */
		m->features |= ~model_features_known() & ~(UINT64_C(1) << VIRTIO_F_RING_PACKED) &
			       ~(UINT64_C(1) << VIRTIO_F_NOTIF_CONFIG_DATA);
		return true;
	default:
		return false;
	}
}

static void test_shapes(void **state)
{
	bool full = getenv("VIOKIT_SOAK") != NULL;

	(void)state;
	for (unsigned i = 0; i < SHAPES; i++) {
		for (unsigned j = 0; j < COUNT(mac_rig_releases); j++) {
			struct mac_rig_opts o = {.release = mac_rig_releases[j]};

			if (!full && i % COUNT(mac_rig_releases) != j)
				continue;
			assert_true(shape(i, &o.model));
			mac_rig_case(shape_case, &o, SECONDS);
		}
	}
}

/* A device that takes back FEATURES_OK is left alone, and so is the Mac. */
static void refused_case(void *arg)
{
	struct mac_rig r;

	mac_rig_open(&r, arg);
	CHECK(mac_rig_load(&r) == 0);
	CHECK(mac_quiet(20000));
	CHECK(mac_registry_count("VirtioDevice") == 1);
	CHECK(mac_registry_count("VirtioNetController") == 0);
	CHECK(mac_rig_logged("not usable"));
	mac_rig_close(&r);
}

static void test_refused_features(void **state)
{
	(void)state;
	for (unsigned j = 0; j < COUNT(mac_rig_releases); j++) {
		struct mac_rig_opts o = {.release = mac_rig_releases[j], .no_load = true};

		board_model_defaults(&o.model);
		o.model.refuse_features = true;
		mac_rig_case(refused_case, &o, SECONDS);
	}
}

/* ---- on QEMU ---- */

static void on_qemu(unsigned release, unsigned face, unsigned vectors, unsigned irq, bool port)
{
	static const char *const faces[] = {
		",disable-legacy=on,disable-modern=off",
		",disable-legacy=off,disable-modern=off",
		",disable-legacy=off,disable-modern=on",
	};
	static const char *const tables[] = {"", ",vectors=1", ",vectors=0"};
	static const unsigned entries[] = {4, 1, 0};
	char props[96];
	struct attach a = {
		.o.release = releases[release],
		.o.machine = port ? "q35" : "pc",
		.o.root_port = port,
		.o.props = props,
		.irq = (enum irq_arg)irq,
		.face = (enum face)face,
		.entries = entries[vectors],
	};

	(void)snprintf(props, sizeof(props), "%s%s", faces[face], tables[vectors]);
	if (!is_lost(&a))
		run(&a);
}

/*
 * Every pair of two of release, face, table, argument and machine; all of their combinations to
 * soak.
 */
static void test_qemu(void **state)
{
	bool full = getenv("VIOKIT_SOAK") != NULL;

	(void)state;
	for (unsigned i = 0; i < COUNT(releases); i++) {
		for (unsigned v = 0; v < 3; v++) {
			if (!full) {
				on_qemu(i, (i + 2 * v) % 3, v, (i + v) % 3, (v == 1) ^ (i & 1));
				continue;
			}
			for (unsigned k = 0; k < 3 * 3 * 2; k++)
				on_qemu(i, k % 3, v, k / 3 % 3, k / 9);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_interrupt_of_each_release),
		cmocka_unit_test(test_lost_messages),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_refused_features),
		cmocka_unit_test(test_qemu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was wrong with an earlier driver for macOS, as scenarios: ours passes each. So that nobody
 * has to believe that they would see it, each defect was also put into our kexts
 * (defects/NAME.patch), and there the same scenario fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/mac/mac_frames.h"
#include "wire/net.h"
#include "wire/virtio.h"

#define SECONDS	   60u
#define PATIENT_MS 15000u /* for what takes an instant, on a machine that is busy */
#define SHORT_MS   1500u  /* until a defect is believed */
#define STOP_MS	   400u
#define KDP_PORT   41139u
#define LEGACY_MTU 4000u
#define BIT(f)	   VIRTIO_BIT(VIRTIO_NET_F_##f)

struct defect {
	struct mac_rig_opts rig; /* first */
	unsigned patience_ms;
	unsigned queue; /* of used_index_case */
};

/* Right with our kexts on all releases, wrong with the defect in them on one. */
static void shown(void (*run)(void *arg), const struct defect *d, const char *name, int release,
		  const char *words)
{
	const char *folder = getenv("VIOKIT_DEFECTS");
	struct defect now = *d;
	char kexts[512];

	now.patience_ms = PATIENT_MS;
	for (size_t i = 0; i < 5; i++) {
		now.rig.release = mac_rig_releases[i];
		mac_rig_case(run, &now, SECONDS);
	}
	if (!folder)
		fail_msg("VIOKIT_DEFECTS does not say where the kexts with defects are");
	(void)snprintf(kexts, sizeof(kexts), "%s/%s", folder, name);
	assert_int_equal(access(kexts, R_OK), 0);
	now.rig.kexts = kexts;
	now.rig.release = release;
	now.patience_ms = SHORT_MS;
	mac_rig_case_fails(run, &now, SECONDS, words);
}

static void nap_ms(unsigned ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&t, NULL);
}

/* ---- an interrupt that is only about the configuration ---- */

struct link_is {
	struct mac_rig *r;
	bool up;
};

static bool link_is(void *arg)
{
	struct link_is *l = arg;
	struct mac_if_state s;

	mac_if_state(l->r->ifp[0], &s);
	return s.link_active == l->up;
}

static void config_interrupt_case(void *arg)
{
	const struct defect *d = arg;
	struct mac_rig r;

	mac_rig_open(&r, &d->rig);
	for (unsigned i = 0; i < 6; i++) {
		struct link_is l = {&r, i % 2 != 0};

		model_link(board_model_lock(&r.model[0]), l.up);
		board_model_unlock(&r.model[0]);
		CHECK_MSG(mac_rig_wait(link_is, &l, d->patience_ms),
			  "nobody noticed that the link went %s", l.up ? "up" : "down");
	}
	mac_rig_exchange(&r, 0, 3);
	mac_rig_close(&r);
}

static void test_config_interrupt_is_not_lost(void **state)
{
	struct defect d = {.rig.boot_args = "vio_irq=intx"};

	(void)state;
	shown(config_interrupt_case, &d, "config-interrupt-lost", 9, "nobody noticed");
}

/* ---- where a legacy device's configuration is while MSI-X is on ---- */

static void config_offset_case(void *arg)
{
	const struct defect *d = arg;
	struct mac_rig r;
	struct mac_if_state s;
	struct link_is l = {&r, true};

	mac_rig_open(&r, &d->rig);
	mac_if_state(r.ifp[0], &s);
	CHECK_MSG(memcmp(s.mac, r.model[0].opts.mac, 6) == 0, "another address than the device's");
	CHECK_MSG(mac_rig_wait(link_is, &l, d->patience_ms), "unplugged, or so it seems");
	CHECK(mac_if_mtu(r.ifp[0], LEGACY_MTU + 1) != 0 && mac_if_mtu(r.ifp[0], LEGACY_MTU) == 0);
	mac_rig_exchange(&r, 0, 10);
	mac_rig_close(&r);
}

static void test_config_moves_with_msix(void **state)
{
	static const char *const args[] = {"vio_irq=msix", "vio_irq=intx"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct defect d = {.rig.boot_args = args[1 - i]};

		board_model_defaults(&d.rig.model);
		d.rig.model.interface = MODEL_LEGACY;
		d.rig.model.mtu = LEGACY_MTU;
		d.rig.model.msix_entries = 1; /* of more of them 10.10 ... 10.12 lose messages */
		if (i == 1)
			shown(config_offset_case, &d, "config-offset-fixed", 13, "another address");
		d.patience_ms = PATIENT_MS;
		mac_rig_case(config_offset_case, &d, SECONDS);
	}
}

/* ---- segmentation ---- */

static const struct craft large = {
	.name = "TSO4", .payload = 20000, .mss = 1448, .tcp_opts = 3, .tcp_flags = 0x18};

static void large_packets(const struct defect *d, const uint16_t (*cuts)[3], unsigned n)
{
	struct board_frame got;
	struct mac_if_state s;
	struct mac_frame f;
	struct mac_rig r;

	mac_rig_open(&r, &d->rig);
	mac_if_state(r.ifp[0], &s);
	for (unsigned i = 0; i < n; i++) {
		const struct mac_send how = {.cuts = cuts ? cuts[i] : NULL, .ncuts = cuts ? 3 : 0};

		mac_frame_make(&f, &large, s.mac, false, i);
		CHECK(mac_frame_send(&r, &f, &how) == 0);
		CHECK(board_model_take(&r.model[0], &got, PATIENT_MS * 1000));
		mac_frame_check(&f, &got, "large packet");
		mac_frame_free(&f);
	}
	mac_rig_close(&r);
}

/* The headers end behind the first mbuf, or before its end. */
static void headers_apart_case(void *arg)
{
	static const uint16_t cuts[][3] = {{66, 4096, 4096}, {14, 20, 32}, {54, 12, 4096},
					   {34, 32, 2048},   {100, 1, 1},  {1500, 1500, 1500}};

	large_packets(arg, cuts, sizeof(cuts) / sizeof(cuts[0]));
}

static void test_tso_headers_not_in_first_mbuf(void **state)
{
	struct defect d = {0};

	(void)state;
	shown(headers_apart_case, &d, "tso-first-mbuf", 9, "wrong hdr_len");
}

static void pseudo_sum_case(void *arg)
{
	large_packets(arg, NULL, 5);
}

static void test_tso_checksum_is_pseudo_sum(void **state)
{
	struct defect d = {0};

	(void)state;
	shown(pseudo_sum_case, &d, "tso-sum-zero", 9, "wrong byte 50 of");
}

/* ---- the debugger: a device that does not answer ---- */

struct stop {
	unsigned ms;
	int result;
	bool over; /* atomic */
};

static void *stop_it(void *arg)
{
	struct stop *s = arg;

	s->result = mac_debugger("a test", s->ms);
	__atomic_store_n(&s->over, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool is_over(void *arg)
{
	return __atomic_load_n(&((struct stop *)arg)->over, __ATOMIC_SEQ_CST);
}

static bool is_stopped(void *arg)
{
	(void)arg;
	return mac_stopped();
}

/* A debugger that connects. It may do so again, and is answered each time. */
static size_t kdp_connect(uint8_t *f, const uint8_t to[6])
{
	static const uint8_t ip[] = {0x45, 0, 0,  43, 0, 1, 0,	0,  64, 17,
				     0,	   0, 10, 77, 0, 7, 10, 77, 0,	2};
	static const uint8_t udp[] = {0x12, 0x34, KDP_PORT >> 8, KDP_PORT & 0xff, 0, 23, 0, 0};
	static const uint8_t kdp[] = {0,    0,	  15,	0,    0,   0,	0,
				      0, /* CONNECT, 15 bytes */
				      0x12, 0x34, 0x12, 0x34, 'h', 'i', 0};

	memcpy(f, to, 6);
	memset(f + 6, 2, 6);
	f[12] = ETH_TYPE_IPV4 >> 8;
	f[13] = ETH_TYPE_IPV4 & 0xff;
	memcpy(f + 14, ip, sizeof(ip));
	memcpy(f + 34, udp, sizeof(udp));
	memcpy(f + 42, kdp, sizeof(kdp));
	return 42 + sizeof(kdp);
}

static void polled_send_case(void *arg)
{
	const struct defect *d = arg;
	struct stop stop = {.ms = STOP_MS};
	struct board_frame out;
	struct mac_if_state s;
	uint8_t f[64];
	unsigned answers = 0;
	struct mac_rig r;
	pthread_t thread;

	mac_rig_open(&r, &d->rig);
	mac_if_state(r.ifp[0], &s);
	CHECK(pthread_create(&thread, NULL, stop_it, &stop) == 0);
	CHECK(mac_rig_wait(is_stopped, NULL, PATIENT_MS));
	model_hold(board_model_lock(&r.model[0]), VIRTIO_NET_QUEUE_TX, true);
	board_model_unlock(&r.model[0]);
	for (unsigned i = 0; i < 40; i++)
		CHECK(board_model_send(&r.model[0], NULL, f, kdp_connect(f, s.mac), true) ==
		      MODEL_RX_OK);
	CHECK_MSG(mac_rig_wait(is_over, &stop, STOP_MS + d->patience_ms),
		  "the debugger's send does not end");
	(void)pthread_join(thread, NULL);
	/* It has answered as often as there was room, and the Mac goes on. */
	model_hold(board_model_lock(&r.model[0]), VIRTIO_NET_QUEUE_TX, false);
	board_model_unlock(&r.model[0]);
	while (answers < 4 && board_model_take(&r.model[0], &out, PATIENT_MS * 1000)) {
		CHECK(out.len >= 54 && out.data[34] == KDP_PORT >> 8 &&
		      out.data[35] == (KDP_PORT & 0xff) && out.data[42] == 0x80);
		answers++;
		free(out.data);
	}
	CHECK_MSG(answers == 4, "%u answers to the debugger", answers);
	while (board_model_take(&r.model[0], &out, 1000))
		free(out.data);
	mac_rig_flush(&r);
	mac_rig_exchange(&r, 0, 5);
	mac_rig_close(&r);
}

static void test_polled_send_is_bounded(void **state)
{
	struct defect d = {.rig.boot_args = "debug=0x144"};

	(void)state;
	shown(polled_send_case, &d, "polled-send-spins", 9, "send does not end");
}

/* ---- the debugger: never in the middle of a change to a ring ---- */

static bool has_answer(void *arg)
{
	uint8_t frame[2048];
	size_t len = mac_rig_receive(arg, 0, frame, sizeof(frame), 10, NULL);

	return len >= 42 && frame[12] == 8 && frame[13] == 6 && frame[21] == 2;
}

/* Who has 10.0.2.2? QEMU's user network has. */
static void ask(struct mac_rig *r)
{
	static const uint8_t fixed[10] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
	uint8_t frame[60] = {0};
	struct mac_if_state s;

	mac_if_state(r->ifp[0], &s);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, s.mac, 6);
	memcpy(frame + 12, fixed, sizeof(fixed));
	memcpy(frame + 22, s.mac, 6);
	memcpy(frame + 28, (const uint8_t[4]){10, 0, 2, 15}, 4);
	memcpy(frame + 38, (const uint8_t[4]){10, 0, 2, 2}, 4);
	CHECK(mac_rig_send(r, 0, frame, sizeof(frame)) == 0);
	CHECK(mac_rig_wait(has_answer, r, PATIENT_MS));
}

static void debugger_lock_case(void *arg)
{
	static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 9}, mac[6] = {2, 0, 0, 1, 2, 3};
	const struct defect *d = arg;
	struct mac_rig r;

	mac_guard_rings(true);
	mac_rig_open(&r, &d->rig);
	for (unsigned i = 0; i < 20; i++)
		ask(&r);
	CHECK(mac_if_promisc(r.ifp[0], true) == 0 && mac_if_promisc(r.ifp[0], false) == 0);
	CHECK(mac_if_multicast(r.ifp[0], group, true) == 0);
	CHECK(mac_if_multicast(r.ifp[0], group, false) == 0);
	CHECK(mac_if_lladdr(r.ifp[0], mac) == 0);
	for (unsigned i = 0; i < 4; i++) {
		struct link_is l = {&r, i % 2 != 0};

		CHECK(qemu_board_link(&r.board, "nic0", l.up) == VIO_OK);
		CHECK(mac_rig_wait(link_is, &l, PATIENT_MS));
	}
	ask(&r);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(mac_if_down(r.ifp[0]) == 0);
		CHECK(mac_if_up(r.ifp[0]) == 0);
		ask(&r);
	}
	CHECK(mac_sleep() == 0 && mac_wake() == 0);
	ask(&r);
	if (r.release == 13)
		nap_ms(1200); /* the timer's work, too */
	mac_rig_close(&r);
}

static void test_debugger_lock_around_rings(void **state)
{
	struct defect d = {.rig.boot_args = "debug=0x144", .rig.netdev = "user,id=n0"};

	(void)state;
	shown(debugger_lock_case, &d, "no-debugger-lock", 9, "without the debugger lock");
}

/* ---- what the device says of its progress ---- */

struct again {
	struct mac_rig *r;
	unsigned nth;
};

/* The frame arrives, however often it has to be sent until the device works again. */
static bool works_again(void *arg)
{
	struct again *a = arg;
	uint8_t frame[200], got[200];
	struct mac_if_state s;
	size_t len;

	mac_if_state(a->r->ifp[0], &s);
	len = mac_rig_frame(frame, s.mac, s.mac, 100, a->nth);
	if (board_model_send(&a->r->model[0], NULL, frame, len, true) != MODEL_RX_OK)
		return false;
	len = mac_rig_receive(a->r, 0, got, sizeof(got), 50, NULL);
	return mac_rig_frame_is(got, len, 100, a->nth);
}

static bool has_one(void *arg)
{
	struct model_state s;

	model_get(board_model_lock(arg), &s);
	board_model_unlock(arg);
	return s.q[VIRTIO_NET_QUEUE_TX].available > 0;
}

/* The device says that it has completed more than there is. */
static void wrong_index(struct mac_rig *r, unsigned queue, unsigned seed)
{
	struct model_mut_entry log[MODEL_MUT_LOG_LEN];
	struct mac_if_state s;
	uint8_t frame[200];
	struct model *m;
	size_t len;

	mac_if_state(r->ifp[0], &s);
	len = mac_rig_frame(frame, s.mac, s.mac, 100, 99);
	m = board_model_lock(&r->model[0]);
	model_hold(m, VIRTIO_NET_QUEUE_TX, true);
	board_model_unlock(&r->model[0]);
	CHECK(mac_rig_send(r, 0, frame, len) == 0);
	CHECK(mac_rig_wait(has_one, &r->model[0], PATIENT_MS)); /* maybe by another thread */
	m = board_model_lock(&r->model[0]);
	model_hostile(m, seed, 65535, UINT64_C(1) << MODEL_MUT_USED_IDX);
	for (unsigned i = 0; queue == VIRTIO_NET_QUEUE_RX && i < 100; i++) {
		unsigned n;

		CHECK(model_receive_raw(m, NULL, frame, len) == MODEL_RX_OK);
		n = model_mut_log(m, log);
		if (n && (uint16_t)(log[n - 1].became - log[n - 1].was) >= 1024)
			break;
	}
	model_hold(m, VIRTIO_NET_QUEUE_TX, false);
	model_hostile(m, 0, 0, 0);
	board_model_unlock(&r->model[0]);
}

static bool noticed(void *arg)
{
	(void)arg;
	return mac_rig_logged("network device is started again: used i");
}

/* What was transmitted is looked at when something arrives. */
static bool noticed_with_traffic(void *arg)
{
	(void)works_again(arg);
	return noticed(arg);
}

static void used_index_case(void *arg)
{
	const struct defect *d = arg;
	bool rx = d->queue == VIRTIO_NET_QUEUE_RX;
	struct board_frame out;
	struct mac_rig r;
	struct again a = {&r, 1};

	mac_rig_open(&r, &d->rig);
	wrong_index(&r, d->queue, 1);
	/* One more frame received would put its index right again. */
	CHECK_MSG(mac_rig_wait(rx ? noticed : noticed_with_traffic, &a, d->patience_ms),
		  "a used index that cannot be was believed");
	a.nth++;
	CHECK_MSG(mac_rig_wait(works_again, &a, PATIENT_MS), "the device is not started again");
	while (board_model_take(&r.model[0], &out, 1000))
		free(out.data);
	mac_rig_flush(&r);
	mac_rig_exchange(&r, 0, 5);
	mac_rig_close(&r);
}

static void test_used_index_is_not_trusted(void **state)
{
	(void)state;
	for (unsigned queue = VIRTIO_NET_QUEUE_RX; queue <= VIRTIO_NET_QUEUE_TX; queue++) {
		struct defect d = {.rig.allow_violations_of_norms = true, .queue = queue};

		/* Believed and gone on with, or the end of the kernel: both have been seen. */
		shown(used_index_case, &d, "used-index-trusted", 9, NULL);
	}
}

/* ---- bulk transfer ---- */

#define ROUNDS	20u
#define PACKETS 200u /* a round: more than the ring has, and less than the output queue */

/* The ring runs full, the device goes on, and whatever waits follows, in order. */
static void bulk_case(void *arg)
{
	const struct defect *d = arg;
	struct board_frame out;
	struct mac_if_state s;
	struct mac_rig r;
	uint8_t frame[1514];

	mac_rig_open(&r, &d->rig);
	mac_if_state(r.ifp[0], &s);
	for (unsigned round = 0; round < ROUNDS; round++) {
		bool held = round % 4 != 3;

		model_hold(board_model_lock(&r.model[0]), VIRTIO_NET_QUEUE_TX, held);
		board_model_unlock(&r.model[0]);
		for (unsigned i = 0; i < PACKETS; i++) {
			size_t len = mac_rig_frame(frame, s.mac, s.mac, 1000 + i, i);

			CHECK(mac_rig_send(&r, 0, frame, len) == 0);
		}
		if (held)
			CHECK(mac_if_queued(r.ifp[0]) > 0);
		model_hold(board_model_lock(&r.model[0]), VIRTIO_NET_QUEUE_TX, false);
		board_model_unlock(&r.model[0]);
		for (unsigned i = 0; i < PACKETS; i++) {
			CHECK_MSG(board_model_take(&r.model[0], &out, d->patience_ms * 1000),
				  "transmission stands still: %u of %u packets, %u wait", i,
				  PACKETS, mac_if_queued(r.ifp[0]));
			CHECK(mac_rig_frame_is(out.data, out.len, 1000 + i, i));
			free(out.data);
		}
	}
	mac_if_state(r.ifp[0], &s);
	CHECK(s.oerrors == 0 && s.odropped == 0);
	CHECK(!mac_rig_logged("stands still"));
	mac_rig_close(&r);
}

static void test_stalled_queue_is_serviced(void **state)
{
	struct defect d = {0};

	(void)state;
	board_model_defaults(&d.rig.model);
	d.rig.model.queue_size[VIRTIO_NET_QUEUE_TX] = 32;
	shown(bulk_case, &d, "stall-not-serviced", 9, "transmission stands still: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_interrupt_is_not_lost),
		cmocka_unit_test(test_config_moves_with_msix),
		cmocka_unit_test(test_tso_headers_not_in_first_mbuf),
		cmocka_unit_test(test_tso_checksum_is_pseudo_sum),
		cmocka_unit_test(test_polled_send_is_bounded),
		cmocka_unit_test(test_debugger_lock_around_rings),
		cmocka_unit_test(test_used_index_is_not_trusted),
		cmocka_unit_test(test_stalled_queue_is_serviced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

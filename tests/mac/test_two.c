/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two cards in one Mac, en0 and en1, each with a wire of its own: both carry frames at once, and
 * whatever becomes of one of them, down, without a link, unplugged and plugged in again, the other
 * one goes on. On QEMU: the model's memory is for one device.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/mac/mac_wire.h"

#define SECONDS	  90u
#define SOON_MS	  10000u
#define PLUG_MS	  10000u
#define COUNT(of) (sizeof(of) / sizeof((of)[0]))

struct two {
	struct mac_rig r;
	struct mac_wire wire[2];
	int fds[2];
	unsigned card[2]; /* of en0 and en1: either may be found first */
	struct mac_rig_opts o;

	/* Frames on one of them, for as long as something is done to the other one. */
	unsigned busy;
	unsigned rounds;
	bool over; /* atomic */
	pthread_t thread;
};

static void two_open(struct two *t, const struct mac_rig_opts *o)
{
	memset(t, 0, sizeof(*t));
	t->o = *o;
	for (unsigned i = 0; i < 2; i++) {
		mac_wire_open(&t->wire[i]);
		t->fds[i] = t->wire[i].qemu_fd;
	}
	t->o.nics = 2;
	t->o.netdev = t->wire[0].netdev;
	t->o.netdev1 = t->wire[1].netdev;
	t->o.fds = t->fds;
	t->o.n_fds = 2;
	mac_rig_open(&t->r, &t->o);
	/* The first card is the one behind the port, if there is a port. */
	if (t->o.root_port && !qemu_board_function(&t->r.board, 0)->f->parent) {
		struct mac_pci *pci = t->r.pci[0];

		t->r.pci[0] = t->r.pci[1];
		t->r.pci[1] = pci;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct mac_if_state s;

		mac_if_state(t->r.ifp[i], &s);
		t->card[i] = s.mac[5] & 1;
	}
	CHECK(t->card[0] != t->card[1]);
}

/* n frames each way on en0 or en1. */
static void exchange(struct two *t, unsigned nic, unsigned n)
{
	mac_wire_exchange(&t->wire[t->card[nic]], &t->r, nic, n, SOON_MS);
}

static const char *card_name(const struct two *t, unsigned nic)
{
	return t->card[nic] ? "nic1" : "nic0";
}

static void two_close(struct two *t)
{
	mac_rig_close(&t->r);
	mac_wire_close(&t->wire[0]);
	mac_wire_close(&t->wire[1]);
}

static void *busy_run(void *arg)
{
	struct two *t = arg;

	do {
		exchange(t, t->busy, 8);
		__atomic_add_fetch(&t->rounds, 1, __ATOMIC_RELAXED);
	} while (!__atomic_load_n(&t->over, __ATOMIC_RELAXED));
	return NULL;
}

static void busy_begin(struct two *t, unsigned nic)
{
	t->busy = nic;
	t->rounds = 0;
	t->over = false;
	CHECK(pthread_create(&t->thread, NULL, busy_run, t) == 0);
}

/* It has gone on: at least once more around from here. */
static bool busy_more(void *arg)
{
	return __atomic_load_n(&((struct two *)arg)->rounds, __ATOMIC_RELAXED) > 0;
}

static void busy_goes_on(struct two *t)
{
	__atomic_store_n(&t->rounds, 0, __ATOMIC_RELAXED);
	CHECK_MSG(mac_rig_wait(busy_more, t, SOON_MS), "en%u stands still", t->busy);
}

static void busy_end(struct two *t)
{
	busy_goes_on(t);
	__atomic_store_n(&t->over, true, __ATOMIC_RELAXED);
	CHECK(pthread_join(t->thread, NULL) == 0);
}

/* ---- at once ---- */

static void traffic_case(void *arg)
{
	struct mac_if_state s[2];
	struct two t;

	two_open(&t, arg);
	for (unsigned i = 0; i < 2; i++)
		mac_if_state(t.r.ifp[i], &s[i]);
	CHECK(!strcmp(s[0].name, "en0") && !strcmp(s[1].name, "en1"));
	CHECK(memcmp(s[0].mac, s[1].mac, 6) != 0);
	CHECK(mac_registry_count("VirtioNetController") == 2);
	busy_begin(&t, 1);
	exchange(&t, 0, 100);
	busy_end(&t);
	two_close(&t);
}

static void test_both_carry_frames(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {
			.release = mac_rig_releases[i],
			.machine = i & 1 ? "q35" : "pc",
			.props = i == 2 ? ",disable-modern=on,disable-legacy=off" : NULL,
		};

		mac_rig_case(traffic_case, &o, SECONDS);
	}
}

/* ---- one of them down ---- */

static bool inactive(void *ifp)
{
	struct mac_if_state s;

	mac_if_state(ifp, &s);
	return !s.link_active;
}

static bool active(void *ifp)
{
	return !inactive(ifp);
}

static void down_case(void *arg)
{
	struct mac_if_state s;
	struct two t;

	two_open(&t, arg);
	for (unsigned nic = 0; nic < 2; nic++) {
		busy_begin(&t, !nic);
		for (unsigned i = 0; i < 5; i++) {
			CHECK(mac_if_down(t.r.ifp[nic]) == 0);
			busy_goes_on(&t);
			CHECK(mac_if_up(t.r.ifp[nic]) == 0);
			exchange(&t, nic, 2);
		}
		CHECK(qemu_board_link(&t.r.board, card_name(&t, nic), false) == VIO_OK);
		CHECK(mac_rig_wait(inactive, t.r.ifp[nic], SOON_MS));
		busy_end(&t);
		mac_if_state(t.r.ifp[!nic], &s);
		CHECK(s.link_active && s.link_ons == s.link_offs);
		CHECK(qemu_board_link(&t.r.board, card_name(&t, nic), true) == VIO_OK);
		CHECK(mac_rig_wait(active, t.r.ifp[nic], SOON_MS));
		exchange(&t, nic, 2);
	}
	two_close(&t);
}

static void test_one_down_the_other_goes_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {
			.release = mac_rig_releases[i],
			.machine = i & 1 ? "pc" : "q35",
		};

		mac_rig_case(down_case, &o, SECONDS);
	}
}

/* ---- one of them unplugged ---- */

static bool gone(void *ifp)
{
	return mac_if_gone(ifp);
}

static void del(struct two *t)
{
	CHECK_MSG(qemu_board_del(&t->r.board, "nic0", PLUG_MS) == VIO_OK, "%s", t->r.board.err);
}

/*
 * The first card leaves. By surprise: it is pulled out, and the Mac hears of that once the driver
 * has found out. (Earlier, nothing tells a card that is gone from one that does not answer, whose
 * buffers are never to be used again.)
 */
static void pull_out(struct two *t, unsigned nic, bool surprise)
{
	uint8_t frame[64] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	if (surprise) {
		del(t);
		for (unsigned i = 0; i < 8; i++)
			(void)mac_rig_send(&t->r, nic, frame, sizeof(frame));
		CHECK_MSG(mac_rig_wait(inactive, t->r.ifp[nic], SOON_MS), "nobody notices");
		busy_goes_on(t);
	}
	mac_pci_remove(t->r.pci[0]);
	CHECK(mac_rig_wait(gone, t->r.ifp[nic], SOON_MS));
	CHECK(mac_quiet(SOON_MS));
	CHECK(mac_registry_count("VirtioNetController") == 1);
	if (!surprise)
		del(t);
}

static void plug_in(struct two *t)
{
	json_t *props = json_pack("{s:s,s:s}", "netdev", "n0", "mac", "52:54:00:12:34:56");
	const char *bus = t->o.root_port ? QEMU_ROOT_PORT : NULL;
	struct qemu_board_fn *fn = NULL;

	CHECK_MSG(qemu_board_add(&t->r.board, "virtio-net-pci", "nic0", bus, props, &fn) == VIO_OK,
		  "%s", t->r.board.err);
	CHECK(mac_pci_add(&qemu_board_ops, fn, "NIC", true, &t->r.pci[0]) == 0);
	CHECK(mac_quiet(SOON_MS));
	mac_rig_find(&t->r);
	CHECK(mac_registry_count("VirtioNetController") == 2);
}

/* The same name again, as the address is the same. */
static void unplug_case(void *arg)
{
	struct two t;
	unsigned nic;

	two_open(&t, arg);
	nic = t.card[0];
	for (unsigned i = 0; i < 3; i++) {
		busy_begin(&t, !nic);
		exchange(&t, nic, 4);
		pull_out(&t, nic, i & 1);
		busy_end(&t);
		plug_in(&t);
	}
	busy_begin(&t, !nic);
	exchange(&t, nic, 4);
	pull_out(&t, nic, false); /* and it stays away, also from what is unloaded */
	busy_end(&t);
	two_close(&t);
}

static void test_unplug_and_replug(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {
			.release = mac_rig_releases[i],
			.machine = i ? "q35" : "pc",
			.root_port = i != 0,
		};

		mac_rig_case(unplug_case, &o, SECONDS);
	}
}

/*
 * The Mac hears of it first. The card's registers say nothing then and its configuration space is
 * out of reach, so that its buffers have to be given up: what is left in the end is not looked at.
 */
static void unnoticed_case(void *arg)
{
	struct two t;
	unsigned nic;

	two_open(&t, arg);
	nic = t.card[0];
	exchange(&t, nic, 4);
	busy_begin(&t, !nic);
	del(&t);
	mac_pci_remove(t.r.pci[0]);
	CHECK(mac_rig_wait(gone, t.r.ifp[nic], SOON_MS));
	CHECK(mac_quiet(SOON_MS));
	busy_goes_on(&t);
	plug_in(&t);
	exchange(&t, nic, 4);
	busy_end(&t);
	mac_rig_unload(&t.r);
	qemu_board_close(&t.r.board);
}

static void test_unplugged_unnoticed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(mac_rig_releases); i++) {
		struct mac_rig_opts o = {
			.release = mac_rig_releases[i],
			.machine = i & 1 ? "pc" : "q35",
			.root_port = !(i & 1),
		};

		mac_rig_case(unnoticed_case, &o, SECONDS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_carry_frames),
		cmocka_unit_test(test_one_down_the_other_goes_on),
		cmocka_unit_test(test_unplug_and_replug),
		cmocka_unit_test(test_unplugged_unnoticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

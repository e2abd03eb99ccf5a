/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP through QEMU's user network, both ways, every byte verified, for a pairwise covering set of
 * what a device may be: any two levels of any two factors meet in at least one row.
 *
 * The rows are computed: of all combinations, always the one next that covers most pairs not yet
 * covered, the first of equals. The result is the same each time, and complete by construction.
 */
#include <stdio.h>

#include "tests/qemu/full.h"
#include "tools/stack/ping.h"
#include "tools/stack/server.h"
#include "tools/stack/transfer.h"

#define BYTES	 (UINT64_C(16) << 20)
#define MAX_ROWS 32u

enum factor { FACE, MACHINE, IRQ, MERGE, EVENT, INDIRECT, SIZE, FACTORS };
static const unsigned char levels[FACTORS] = {3, 2, 4, 2, 2, 2, 3};
#define MAX_LEVELS 4

struct row {
	unsigned char level[FACTORS];
};

static struct row rows[MAX_ROWS];
static unsigned nrows;
static char names[MAX_ROWS][96];

/* ---- the covering set ---- */

static bool covered[FACTORS][MAX_LEVELS][FACTORS][MAX_LEVELS];

static unsigned row_gain(const struct row *r)
{
	unsigned gain = 0;

	for (unsigned a = 0; a < FACTORS; a++) {
		for (unsigned b = a + 1; b < FACTORS; b++)
			gain += !covered[a][r->level[a]][b][r->level[b]];
	}
	return gain;
}

static void row_cover(const struct row *r)
{
	for (unsigned a = 0; a < FACTORS; a++) {
		for (unsigned b = a + 1; b < FACTORS; b++)
			covered[a][r->level[a]][b][r->level[b]] = true;
	}
}

/* The next combination, like an odometer; false after the last. */
static bool row_next(struct row *r)
{
	for (unsigned f = 0; f < FACTORS; f++) {
		if (++r->level[f] < levels[f])
			return true;
		r->level[f] = 0;
	}
	return false;
}

static void rows_compute(void)
{
	for (;;) {
		struct row at = {{0}}, best = {{0}};
		unsigned most = 0;

		do {
			unsigned gain = row_gain(&at);

			if (gain > most) {
				most = gain;
				best = at;
			}
		} while (row_next(&at));
		if (!most || nrows == MAX_ROWS)
			return;
		row_cover(&best);
		rows[nrows++] = best;
	}
}

/* ---- one row ---- */

static const enum vio_irq_mode irqs[] = {VIO_IRQ_MSIX_EACH, VIO_IRQ_MSIX_ONE, VIO_IRQ_INTX,
					 VIO_IRQ_NONE};
static const uint16_t sizes[] = {64, 256, 1024};

static void test_row(void **state)
{
	const struct row *r = *state;
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	struct nic_opts o = {
		.machine = r->level[MACHINE] ? "q35" : "pc",
		.face = (enum nic_face)r->level[FACE],
		.irq = irqs[r->level[IRQ]],
		.net = {.queue_size = sizes[r->level[SIZE]]},
	};
	struct transfer t = {.bytes = BYTES, .seed = 1 + (uint64_t)(r - rows)};
	struct ping ping = {.id = 7, .size = 1472};
	struct dhcp_lease lease;
	struct server *server;
	struct full g;
	char props[160];

	(void)snprintf(props, sizeof(props),
		       ",mrg_rxbuf=%s,event_idx=%s,indirect_desc=%s,rx_queue_size=%u",
		       r->level[MERGE] ? "on" : "off", r->level[EVENT] ? "on" : "off",
		       r->level[INDIRECT] ? "on" : "off",
		       sizes[r->level[SIZE]] < 256 ? 256u : sizes[r->level[SIZE]]);
	o.props = props;
	assert_int_equal(server_start(&server, loopback, 0), 0);
	full_open(&g, &o);
	assert_int_equal(g.nic->info.rx_merge, r->level[MERGE]);
	full_ok(&g, stack_dhcp(&g.stack, full_deadline(), &lease));
	memcpy(ping.to, lease.router, 4);
	full_ok(&g, ping_once(&g.stack, &ping, full_deadline()));

	memcpy(t.to, lease.router, 4);
	t.port = server_port(server);
	t.deadline = full_deadline();
	full_ok(&g, transfer_run(&g.stack, &t));
	assert_true(t.verified);
	printf("down %.0f Mbit/s, ", t.mbit_s);
	t.upload = true;
	t.deadline = full_deadline();
	full_ok(&g, transfer_run(&g.stack, &t));
	assert_true(t.verified);
	printf("up %.0f Mbit/s\n", t.mbit_s);
	full_close(&g);
	server_stop(server);
}

int main(void)
{
	static const char *const faces[] = {"modern", "transitional", "legacy"};
	static const char *const irq_names[] = {"msix", "one vector", "intx", "polled"};
	struct CMUnitTest tests[MAX_ROWS];

	rows_compute();
	for (unsigned i = 0; i < nrows; i++) {
		const unsigned char *l = rows[i].level;

		(void)snprintf(names[i], sizeof(names[i]), "%s %s %s%s%s%s queue %u",
			       faces[l[FACE]], l[MACHINE] ? "q35" : "pc", irq_names[l[IRQ]],
			       l[MERGE] ? " merge" : "", l[EVENT] ? " event" : "",
			       l[INDIRECT] ? " indirect" : "", sizes[l[SIZE]]);
		tests[i] = (struct CMUnitTest){
			.name = names[i], .test_func = test_row, .initial_state = &rows[i]};
	}
	return _cmocka_run_group_tests("tcp", tests, nrows, NULL, NULL);
}

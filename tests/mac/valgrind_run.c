/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One day of a Mac, for valgrind (test_valgrind.py): load, frames both ways, settings, link, sleep,
 * unload, off. On the model, whose writes are this program's own: memory that nobody wrote is known
 * as such, whether it is the kext's or shared with the device.
 *
 *	valgrind_run KEXTS RELEASE
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/mac/mac_left.h"

static void link_up(struct mac_rig *r, bool up)
{
	model_link(board_model_lock(&r->model[0]), up);
	board_model_unlock(&r->model[0]);
}

int main(int argc, char **argv)
{
	static const uint8_t group[6] = {1, 0, 0x5e, 0, 0, 1};
	struct mac_rig_opts o = {.kexts = argc > 2 ? argv[1] : "",
				 .release = argc > 2 ? atoi(argv[2]) : 13};
	struct mac_rig r;

	mac_rig_open(&r, &o);
	mac_rig_exchange(&r, 0, 30);
	CHECK(mac_if_promisc(r.ifp[0], true) == 0 && mac_if_promisc(r.ifp[0], false) == 0);
	CHECK(mac_if_multicast(r.ifp[0], group, true) == 0);
	link_up(&r, false);
	link_up(&r, true);
	CHECK(mac_rig_works(&r, 20000));
	CHECK(mac_sleep() == 0 && mac_wake() == 0);
	CHECK(mac_rig_works(&r, 20000));
	CHECK(mac_if_down(r.ifp[0]) == 0 && mac_if_up(r.ifp[0]) == 0);
	mac_rig_exchange(&r, 0, 5);
	mac_rig_close(&r);
	return 0;
}

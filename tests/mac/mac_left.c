/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/mac/mac_left.h"

#include <stdlib.h>
#include <string.h>

bool mac_rig_device_alive(void)
{
	return mac_rig_logged("device does not reset");
}

/* A line of mac_halt's. False: that may not be left. */
static bool count(const char *line, struct mac_left *left, unsigned *memory)
{
	unsigned n;

	if (sscanf(line, "%u mbufs that a driver allocated", &n) == 1 &&
	    strstr(line, "that a driver allocated"))
		left->received += n;
	else if (sscanf(line, "%u mbufs of packets to send", &n) == 1 &&
		 strstr(line, "of packets to send"))
		left->sent += n;
	else if (!strncmp(line, "IOBufferMemoryDescriptor ", 25) && strstr(line, ": 1 references"))
		left->shared++;
	else if (!strncmp(line, "device memory at ", 17))
		(*memory)++;
	else
		return false;
	return true;
}

void mac_rig_close_left(struct mac_rig *r, struct mac_left *left)
{
	unsigned lines, seen = 0, memory = 0;
	char *text = NULL, *next = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	memset(left, 0, sizeof(*left));
	CHECK(out != NULL);
	mac_rig_unload(r);
	mac_pci_remove(r->pci[0]);
	mac_rig_flush(r);
	lines = mac_halt(out);
	(void)fclose(out);
	for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
		CHECK_MSG(count(line, left, &memory), "left in the kernel: %s", line);
		CHECK_MSG(mac_rig_device_alive(), "the device was reset, and this is left: %s",
			  line);
		seen++;
	}
	CHECK_MSG(seen == lines, "mac_halt says %u and lists %u", lines, seen);
	CHECK_MSG(memory == left->shared, "%u pieces of device memory, but %u descriptors", memory,
		  left->shared);
	free(text);
	board_model_close(&r->model[0]);
}

/* ---- does it work? ---- */

static unsigned mark;

static bool one_goes(void *arg)
{
	static const uint8_t peer[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
	struct mac_rig *r = arg;
	struct board_frame out;
	uint8_t frame[200];
	bool found = false;

	(void)mac_rig_send(r, 0, frame, mac_rig_frame(frame, peer, peer, 100, ++mark));
	while (!found && board_model_take(&r->model[0], &out, 2000)) {
		found = mac_rig_frame_is(out.data, out.len, 100, mark);
		free(out.data);
	}
	return found;
}

/* To everybody, past the device's filter: its address may be in doubt. */
static bool one_comes(void *arg)
{
	static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct mac_rig *r = arg;
	uint8_t frame[200], got[200];
	size_t len = mac_rig_frame(frame, all, all, 100, ++mark);

	if (board_model_send(&r->model[0], NULL, frame, len, true) != MODEL_RX_OK)
		return false;
	while ((len = mac_rig_receive(r, 0, got, sizeof(got), 10, NULL)) != 0) {
		if (mac_rig_frame_is(got, len, 100, mark))
			return true;
	}
	return false;
}

bool mac_rig_one_comes(struct mac_rig *r)
{
	return one_comes(r);
}

bool mac_rig_one_goes(struct mac_rig *r)
{
	return one_goes(r);
}

bool mac_rig_works(struct mac_rig *r, unsigned ms)
{
	struct board_frame out;

	if (!mac_rig_wait(one_goes, r, ms) || !mac_rig_wait(one_comes, r, ms))
		return false;
	mac_rig_flush(r);
	while (board_model_take(&r->model[0], &out, 20000))
		free(out.data);
	return true;
}

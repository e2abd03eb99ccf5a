/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/cli/hold.h"

#include <time.h>

#define FIRST_WAIT_MS 20
#define LAST_WAIT_MS  1000
#define TELL_MS	      3000 /* shorter outages are nobody's business */
#define FIRST_TRIES   3

int64_t hold_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool ask_once(struct hold *h, bool again, struct vmnet_error *err)
{
	h->client = cli_connect(h->cli, err);
	if (!h->client)
		return false;
	if (h->ask(h, again, err))
		return true;
	vmnet_close(h->client);
	h->client = NULL;
	return false;
}

bool hold_begin(struct hold *h, struct vmnet_error *err)
{
	for (int i = 0; i < FIRST_TRIES; i++) {
		if (ask_once(h, false, err))
			return true;
		if (!err->lost)
			return false;
	}
	return false;
}

int hold_fd(const struct hold *h)
{
	return h->client ? vmnet_fd(h->client) : -1;
}

int hold_timeout(const struct hold *h)
{
	int64_t left;

	/* What came together with an answer is here already, where poll does not see it. */
	if (h->client && vmnet_pending(h->client))
		return 0;
	if (h->client || h->over)
		return -1;
	left = h->next_ms - hold_now_ms();
	return left > 0 ? (int)left : 0;
}

static void lose(struct hold *h)
{
	vmnet_close(h->client);
	h->client = NULL;
	h->wait_ms = FIRST_WAIT_MS;
	h->lost_ms = h->next_ms = hold_now_ms();
}

static void read_events(struct hold *h)
{
	struct vmnet_error err = {.fault = VMNET_NONE};
	json_t *message;

	while (h->client) {
		message = vmnet_next(h->client, 0, &err);
		if (!message)
			break;
		if (h->event && json_object_get(message, "event"))
			h->event(h, message);
		json_decref(message);
	}
	if (err.fault != VMNET_NONE)
		lose(h);
}

static void again(struct hold *h)
{
	struct vmnet_error err;

	if (ask_once(h, true, &err)) {
		if (h->told)
			cli_note(h->cli, "back again, with the daemon of pid %ld",
				 (long)vmnet_daemon_pid(h->client));
		h->told = false;
		return;
	}
	if (!h->told && hold_now_ms() - h->lost_ms >= TELL_MS) {
		cli_note(h->cli, "the daemon was lost; still trying: %s", err.text);
		h->told = true;
	}
	h->next_ms = hold_now_ms() + h->wait_ms;
	h->wait_ms = h->wait_ms * 2 > LAST_WAIT_MS ? LAST_WAIT_MS : h->wait_ms * 2;
}

void hold_turn(struct hold *h)
{
	if (h->client)
		read_events(h);
	if (!h->client && !h->over && hold_now_ms() >= h->next_ms)
		again(h);
}

void hold_end(struct hold *h)
{
	vmnet_close(h->client);
	h->client = NULL;
	h->over = true;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `capture`: a tap on a network's switch whose frames go to the client's descriptor. The answer
 * comes when it has ended; until then the connection is busy.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/netd/control_internal.h"

struct conn_capture {
	struct conn *c;
	struct network *network;
	struct capture *capture;
	char name[NETDEF_NAME_MAX + 1]; /* of one member; "" : all */
	int tap;
};

/* A frame is seen where it comes from and where it goes to: an interface for each port. */
static void capture_tap(void *ctx, const struct sw_port *port, bool from_port,
			const struct frame *f)
{
	struct conn_capture *cap = ctx;
	const struct member *m = sw_port_owner(port);

	if (cap->name[0] && (!m || strcmp(m->name, cap->name) != 0))
		return;
	capture_frame(cap->capture, capture_interface(cap->capture, m ? m->name : "gateway"),
		      from_port, f);
}

/* The tap goes, the file is finished, the answer is sent unless the connection is gone. */
static void capture_finish(struct conn_capture *cap, const char *why)
{
	struct conn *c = cap->c;
	uint64_t frames = capture_frames(cap->capture);
	struct fault f;
	json_t *answer;

	sw_tap_remove(cap->network->sw, cap->tap);
	capture_close(cap->capture);
	c->capture = NULL;
	free(cap);
	if (c->closing)
		return;
	answer = why ? NULL : json_pack("{s:I}", "frames", (json_int_t)frames);
	if (!answer)
		(void)fault_system(&f, "the capture was ended: %s", why ? why : "out of memory");
	control_answer(c, answer, &f);
}

static void capture_ended(void *ctx, const char *why)
{
	capture_finish(ctx, why);
}

void control_capture_end(struct conn *c)
{
	if (c->capture)
		capture_finish(c->capture, NULL);
}

void control_capture_network_down(struct network *n, struct conn *c)
{
	if (c->capture && c->capture->network == n)
		capture_finish(c->capture, NULL);
}

bool control_capture(struct conn *c, const json_t *request, json_t *answer, struct fault *f)
{
	const json_t *count = json_object_get(request, "count");
	const char *name = json_string_value(json_object_get(request, "network"));
	const char *member = json_string_value(json_object_get(request, "member"));
	struct conn_capture *cap;
	struct network *n;
	int fd = c->passed;

	(void)answer;
	if (!name)
		return fault_user(f, "the request lacks \"network\" (a text)");
	if (count && !json_is_null(count) &&
	    (!json_is_integer(count) || json_integer_value(count) < 0))
		return fault_user(f, "\"count\" must be a number of frames");
	n = network_up(c->broker, name, f);
	if (!n)
		return false;
	network_left(n); /* no members: it goes down after a while, and the capture ends */
	if (member && !member_find(n, member))
		return fault_user(f, "network %s has no member %.64s; vmnet status shows them",
				  name, member);
	cap = calloc(1, sizeof(*cap));
	if (!cap)
		return fault_system(f, "out of memory");
	cap->c = c;
	cap->network = n;
	if (member)
		(void)snprintf(cap->name, sizeof(cap->name), "%s", member);
	c->passed = -1;
	cap->capture = capture_open(c->broker->loop, fd, (uint64_t)json_integer_value(count),
				    capture_ended, cap);
	if (!cap->capture) {
		free(cap);
		return fault_system(f, "cannot capture: %s", strerror(errno));
	}
	cap->tap = sw_tap_add(n->sw, capture_tap, cap);
	if (!cap->tap) {
		capture_close(cap->capture);
		free(cap);
		return fault_user(f, "network %s has as many captures as it may have", name);
	}
	/* Those that are there are interfaces, whether they have traffic or not. */
	for (const struct member *m = n->members; m; m = m->next)
		if (!member || !strcmp(member, m->name))
			(void)capture_interface(cap->capture, m->name);
	c->capture = cap;
	c->busy = true;
	return true;
}

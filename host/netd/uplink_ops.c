/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "host/netd/uplink_int.h"

static bool same_host(const struct netdef_forward *a, const struct netdef_forward *b)
{
	return a->udp == b->udp && a->first == b->first && a->last == b->last &&
	       !strcmp(a->host, b->host);
}

static struct uplink_op *append(struct uplink *u, bool add, const struct netdef_forward *f)
{
	struct uplink_op *op = calloc(1, sizeof(*op)), **at = &u->ops;

	if (!op)
		return NULL;
	op->id = ++u->last_id;
	op->add = add;
	op->f = *f;
	while (*at)
		at = &(*at)->next;
	*at = op;
	return op;
}

void uplink_op_new(struct uplink *u, bool add, const struct netdef_forward *f,
		   void (*done)(void *arg, const char *err, int error), void *arg)
{
	struct uplink_op *op = append(u, add, f);

	if (!op) {
		done(arg, "out of memory", ENOMEM);
		return;
	}
	op->done = done;
	op->arg = arg;
}

static void remember(struct uplink *u, const struct netdef_forward *f)
{
	struct uplink_open *o = calloc(1, sizeof(*o));

	if (!o)
		return; /* it is open, and lost with this worker */
	o->f = *f;
	o->next = u->open;
	u->open = o;
}

static void forget(struct uplink *u, const struct netdef_forward *f)
{
	for (struct uplink_open **at = &u->open; *at; at = &(*at)->next)
		if (same_host(&(*at)->f, f)) {
			struct uplink_open *o = *at;

			*at = o->next;
			free(o);
			return;
		}
}

void uplink_op_answer(struct uplink *u, uint64_t id, bool ok, const char *err, int error)
{
	struct uplink_op **at = &u->ops, *op;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	op = *at;
	if (!op || !op->sent)
		return;
	*at = op->next;
	if (!op->add)
		forget(u, &op->f);
	else if (ok && !op->again)
		remember(u, &op->f);
	else if (!ok && op->again && u->params.event)
		u->params.event(u->params.ctx, err);
	if (op->done)
		op->done(op->arg, ok ? NULL : err, ok ? 0 : error);
	free(op);
}

void uplink_ops_fail(struct uplink *u, const char *err, int error)
{
	struct uplink_op *op = u->ops, *next;

	/* What is asked for from within done is for later. */
	u->ops = NULL;
	for (; op; op = next) {
		next = op->next;
		if (op->done)
			op->done(op->arg, err, error);
		free(op);
	}
}

void uplink_ops_unsend(struct uplink *u)
{
	struct uplink_op **at = &u->ops;

	while (*at) {
		struct uplink_op *op = *at;

		if (op->again) {
			*at = op->next;
			free(op);
			continue;
		}
		op->sent = false;
		at = &op->next;
	}
}

void uplink_ops_again(struct uplink *u)
{
	struct uplink_op *asked = u->ops;

	u->ops = NULL;
	for (const struct uplink_open *o = u->open; o; o = o->next) {
		struct uplink_op *op = append(u, true, &o->f);

		if (op)
			op->again = true;
	}
	if (asked) {
		struct uplink_op **at = &u->ops;

		while (*at)
			at = &(*at)->next;
		*at = asked;
	}
}

void uplink_ops_free(struct uplink *u)
{
	struct uplink_open *o = u->open, *next;

	for (; o; o = next) {
		next = o->next;
		free(o);
	}
	u->open = NULL;
}

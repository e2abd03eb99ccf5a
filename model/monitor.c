/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The norm monitor: who counts, and what the report says.
 *
 * Wherever the model can see whether a rule was kept it calls norm_ok or norm_broken; both count
 * as exercised. The checks themselves are where the knowledge is: monitor_init.c (status, features,
 * set-up, configuration), monitor_ring.c (what is posted and how it is told), net_check.c
 * (packets), and single calls in the register and ring code. Rules that show only inside the driver
 * are attested by tests.
 */
#include <string.h>

#include "model/internal.h"

struct row {
	const char *name, *text, *blind;
	char strength;
};

static const struct row rows[NORM_COUNT] = {
#define NORM_ROW(area, num, force, what, why)                                                      \
	[NORM_##area##_##                                                                          \
		num] = {.name = #area "-" #num, .text = what, .blind = why, .strength = force},
	NORMS(NORM_ROW)
#undef NORM_ROW
};

const char *norm_name(enum norm id)
{
	return id < NORM_COUNT ? rows[id].name : "?";
}

const char *norm_text(enum norm id)
{
	return id < NORM_COUNT ? rows[id].text : "?";
}

enum norm norm_find(const char *name)
{
	for (unsigned i = 0; i < NORM_COUNT; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return (enum norm)i;
	}
	return NORM_COUNT;
}

void norm_ok(struct model *m, enum norm id)
{
	if (m->mon)
		m->exercised[id]++;
}

void norm_broken(struct model *m, enum norm id, const char *detail)
{
	if (!m->mon)
		return;
	m->exercised[id]++;
	m->violated[id]++;
	if (m->hook.complaint)
		m->hook.complaint(m->hook.ctx, rows[id].name, detail);
}

void model_attest(struct model *m, enum norm id, bool kept, const char *detail)
{
	norm_check(m, id, kept, detail);
}

uint64_t model_exercised(const struct model *m, enum norm id)
{
	return m->exercised[id];
}

uint64_t model_violated(const struct model *m, enum norm id)
{
	return m->violated[id];
}

uint64_t model_violations(const struct model *m)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < NORM_COUNT; i++)
		sum += m->violated[i];
	return sum;
}

void model_merge_counts(struct model *m, const struct model *from)
{
	for (unsigned i = 0; i < NORM_COUNT; i++) {
		m->exercised[i] += from->exercised[i];
		m->violated[i] += from->violated[i];
	}
}

void model_report(const struct model *m, FILE *out)
{
	unsigned seen = 0, silent = 0, blind = 0, broken = 0;

	for (unsigned i = 0; i < NORM_COUNT; i++) {
		const struct row *r = &rows[i];

		if (m->exercised[i]) {
			fprintf(out, "%-6s %c %10llu %6llu  %s%s\n", r->name, r->strength,
				(unsigned long long)m->exercised[i],
				(unsigned long long)m->violated[i], r->text,
				m->violated[i] ? "  VIOLATED" : "");
			seen++;
			broken += m->violated[i] != 0;
		} else if (r->blind) {
			fprintf(out, "%-6s %c          -      -  %s (%s)\n", r->name, r->strength,
				r->text, r->blind);
			blind++;
		} else {
			fprintf(out, "%-6s %c          0      0  %s  NOT EXERCISED\n", r->name,
				r->strength, r->text);
			silent++;
		}
	}
	fprintf(out, "%u ids: %u exercised, %u violated, %u not exercised, %u not for this model\n",
		(unsigned)NORM_COUNT, seen, broken, silent, blind);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void table_init(struct table *t, const char *titles)
{
	const char *end;

	memset(t, 0, sizeof(*t));
	for (const char *p = titles; t->columns < TABLE_COLUMNS; p = end + 1) {
		end = strchrnul(p, '|');
		t->right[t->columns++] = *p == '>';
		if (!*end)
			break;
	}
	for (const char *p = titles;; p = end + 1) {
		end = strchrnul(p, '|');
		p += *p == '>';
		table_cell(t, "%.*s", (int)(end - p), p);
		if (!*end)
			break;
	}
}

void table_cell(struct table *t, const char *fmt, ...)
{
	unsigned room = t->room ? t->room * 2 : 16;
	va_list args;
	void *cells;
	char *text;

	if (t->rows == t->room && !t->next) {
		cells = t->failed ? NULL : realloc(t->cells, room * sizeof(*t->cells));
		t->failed = !cells;
		if (!cells)
			return;
		t->cells = cells;
		t->room = room;
	}
	if (t->failed)
		return;
	text = t->cells[t->rows][t->next];
	va_start(args, fmt);
	vsnprintf(text, TABLE_CELL, fmt, args);
	va_end(args);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	if (!*text)
		memcpy(text, "-", 2);
	if (strlen(text) > t->width[t->next])
		t->width[t->next] = (unsigned)strlen(text);
	if (++t->next == t->columns) {
		t->next = 0;
		t->rows++;
	}
}

void table_print(struct table *t, FILE *out, unsigned indent)
{
	bool colour = out == stdout && isatty(1) && !getenv("NO_COLOR");
	const char *text;

	for (unsigned row = 0; row < t->rows; row++) {
		fprintf(out, "%*s", (int)indent, "");
		if (!row && colour)
			fputs("\033[1m", out);
		for (unsigned col = 0; col < t->columns; col++) {
			text = t->cells[row][col];
			if (t->right[col])
				fprintf(out, "%*s", (int)t->width[col], text);
			else if (col + 1 < t->columns)
				fprintf(out, "%-*s", (int)t->width[col], text);
			else
				fputs(text, out);
			if (col + 1 < t->columns)
				fputs("  ", out);
		}
		if (!row && colour)
			fputs("\033[0m", out);
		fputc('\n', out);
	}
	free(t->cells);
	memset(t, 0, sizeof(*t));
}

/* To three digits or so, with the prefix it takes before its unit. */
static const char *scaled(double n, double base, char *out, size_t size, const char *unit)
{
	static const char prefix[] = "\0kMGTPE";
	unsigned i = 0;

	while (n >= base && i < 6) {
		n /= base;
		i++;
	}
	if (!i)
		snprintf(out, size, "%.0f %s", n, unit);
	else
		snprintf(out, size, "%.*f %c%s%s", n < 99.95 ? 1 : 0, n,
			 base > 1000 && prefix[i] == 'k' ? 'K' : prefix[i], base > 1000 ? "i" : "",
			 unit);
	return out;
}

const char *table_bytes(uint64_t n, char out[24])
{
	return scaled((double)n, 1024, out, 24, "B");
}

const char *table_rate(double bits, char out[24])
{
	return scaled(bits, 1000, out, 24, "bit/s");
}

const char *table_time(int64_t s, char out[24])
{
	int64_t d = s / 86400, h = s / 3600 % 24, m = s / 60 % 60;

	if (s < 0)
		snprintf(out, 24, "over");
	else if (d)
		snprintf(out, 24, "%lldd %lldh", (long long)d, (long long)h);
	else if (h)
		snprintf(out, 24, "%lldh %lldm", (long long)h, (long long)m);
	else if (m)
		snprintf(out, 24, "%lldm %llds", (long long)m, (long long)(s % 60));
	else
		snprintf(out, 24, "%llds", (long long)s);
	return out;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * YAML to JSON, and where each value stood.
 *
 * Theory of operation. libyaml's events are turned into one JSON value, within bounds on size,
 * depth and number of values; anchors and aliases, with which ten lines can stand for gigabytes,
 * are refused, as are keys that come twice. Beside that, the line and column of each value is noted
 * under its path ("networks.dev.mtu"). The definitions are then read as those of `vmnet create`
 * are (netdef_from_json_at), which tells a mistake's path, and the notes tell where that is.
 */
#include "host/netd/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "host/netd/paths.h"

#define SIZE_LIMIT  (1u << 20)
#define DEPTH_LIMIT 8u
#define VALUE_LIMIT 20000u
#define PATH_LEN    (NETDEF_WHERE_MAX + NETDEF_NAME_MAX + 16u)
#define NAME_SHOWN  80

#define QUOTE(text) netdef_quote(text, (char[NETDEF_QUOTE_MAX]){0})

struct place {
	size_t line, column; /* from 1 */
};

struct note {
	char *path;
	struct place key, at; /* of the value; of the key if there is none */
};

struct reader {
	yaml_parser_t parser;
	yaml_event_t event;
	bool have_event;
	const char *name;
	char *err;
	struct note *notes;
	size_t nnotes, room;
};

/* The end of a long file name tells more than its beginning. */
static const char *shown(const char *name)
{
	size_t n = strlen(name);

	if (n <= NAME_SHOWN)
		return name;
	name += n - NAME_SHOWN;
	while (((unsigned char)*name & 0xc0) == 0x80)
		name++;
	return name;
}

__attribute__((format(printf, 3, 4))) static bool wrong(struct reader *r, struct place at,
							const char *fmt, ...)
{
	va_list args;
	int n = snprintf(r->err, NETDEF_ERR_MAX, "%s:%zu:%zu: ", shown(r->name), at.line,
			 at.column);

	va_start(args, fmt);
	if (n > 0 && n < (int)NETDEF_ERR_MAX)
		vsnprintf(r->err + n, NETDEF_ERR_MAX - (size_t)n, fmt, args);
	va_end(args);
	for (char *c = r->err; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return false;
}

static struct place place_of(yaml_mark_t mark)
{
	return (struct place){mark.line + 1, mark.column + 1};
}

static bool note(struct reader *r, const char *path, yaml_mark_t key, yaml_mark_t mark)
{
	if (r->nnotes == r->room) {
		size_t room = r->room ? r->room * 2 : 64;
		struct note *notes = realloc(r->notes, room * sizeof(*notes));

		if (!notes)
			return wrong(r, place_of(mark), "out of memory");
		r->notes = notes;
		r->room = room;
	}
	r->notes[r->nnotes].path = strdup(path);
	if (!r->notes[r->nnotes].path)
		return wrong(r, place_of(mark), "out of memory");
	r->notes[r->nnotes].key = place_of(key);
	r->notes[r->nnotes++].at = place_of(mark);
	return true;
}

static const struct note *noted(const struct reader *r, const char *path)
{
	for (size_t i = 0; i < r->nnotes; i++)
		if (!strcmp(r->notes[i].path, path))
			return &r->notes[i];
	return NULL;
}

/*
 * Where a mistake in a network's definition is. What is checked of the whole is told under the
 * name of the key that is commonest; it may have been written in another way.
 */
static struct place find(const struct reader *r, const char *network, const char *where)
{
	static const char *const others[][2] = {
		{"dhcp-start", "dhcp.start"}, {"dhcp-end", "dhcp.end"}, {"dhcp-start", "dhcp-end"},
		{"dhcp-start", "dhcp.end"},   {"lease", "dhcp.lease"},	{"reservations", "reserve"},
		{"forwards", "forward"},      {"nat44", "nat"},		{"nat66", "nat"},
		{"subnet", "netmask"},	      {"subnet", "gateway"},
	};
	const size_t n = sizeof(others) / sizeof(others[0]);
	bool of_key = *where == '?';
	char path[PATH_LEN];
	const struct note *found;
	size_t base;

	where += of_key;
	base = strcspn(where, "[.");

	snprintf(path, sizeof(path), "networks.%s.%s", network, where);
	found = noted(r, path);
	for (size_t i = 0; *where && !found && i < n; i++) {
		if (strlen(others[i][0]) != base || strncmp(others[i][0], where, base) != 0)
			continue;
		snprintf(path, sizeof(path), "networks.%s.%s%s", network, others[i][1],
			 where + base);
		found = noted(r, path);
	}
	if (!found && !strcmp(where, "linger"))
		found = noted(r, where);
	/* A list that is one text with commas. */
	for (size_t i = 0; *where && !found && i <= n; i++) {
		if (i < n &&
		    (strlen(others[i][0]) != base || strncmp(others[i][0], where, base) != 0))
			continue;
		snprintf(path, sizeof(path), "networks.%s.%.*s", network,
			 i < n ? (int)strlen(others[i][1]) : (int)base,
			 i < n ? others[i][1] : where);
		found = noted(r, path);
	}
	snprintf(path, sizeof(path), "networks.%s", network);
	if (!found)
		found = noted(r, path);
	if (!found)
		return (struct place){1, 1};
	return of_key ? found->key : found->at;
}

/* ---- events ---- */

/* libyaml's own complaint. */
static bool complain(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	struct place at = place_of(p->problem_mark);

	if (p->error == YAML_MEMORY_ERROR)
		return wrong(r, at, "out of memory");
	if (p->error == YAML_READER_ERROR) {
		/* It knows only how far it was. */
		at = place_of(p->mark);
		return wrong(r, at, "this is not UTF-8 text: %s", p->problem);
	}
	if (p->error == YAML_SCANNER_ERROR && p->buffer.pointer < p->buffer.last &&
	    *p->buffer.pointer == '\t')
		return wrong(r, at, "this is a tab; YAML is indented with spaces");
	return wrong(r, at, "this is no YAML: %s%s%s", p->context ? p->context : "",
		     p->context ? ", " : "", p->problem ? p->problem : "it cannot be read");
}

/* The next event into r->event. */
static bool next(struct reader *r)
{
	if (r->have_event)
		yaml_event_delete(&r->event);
	r->have_event = yaml_parser_parse(&r->parser, &r->event) == 1;
	return r->have_event || complain(r);
}

/* The one after the next. */
static bool skip_one(struct reader *r)
{
	bool there = next(r);

	return there && next(r);
}

/* Refuses what we do not take anywhere. */
static bool check_node(struct reader *r)
{
	const yaml_event_t *e = &r->event;
	const yaml_char_t *anchor = NULL;

	switch (e->type) {
	case YAML_ALIAS_EVENT:
		anchor = e->data.alias.anchor;
		break;
	case YAML_SCALAR_EVENT:
		anchor = e->data.scalar.anchor;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = e->data.sequence_start.anchor;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = e->data.mapping_start.anchor;
		break;
	default:
		break;
	}
	if (anchor)
		return wrong(r, place_of(e->start_mark),
			     "anchors and aliases (& and *) are not taken; write it out");
	if (e->type == YAML_SCALAR_EVENT &&
	    strlen((const char *)e->data.scalar.value) != e->data.scalar.length)
		return wrong(r, place_of(e->start_mark), "there is a NUL character in this");
	return true;
}

static bool is_plain_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	/* 0123 is octal to some and not to others: it stays text. */
	return digits && digits < 16 && !text[digits] && (*text != '0' || digits == 1);
}

static json_t *scalar(const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;

	if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		if (!*text || !strcmp(text, "~") || !strcmp(text, "null"))
			return json_null();
		if (!strcmp(text, "true") || !strcmp(text, "false"))
			return json_boolean(*text == 't');
		if (is_plain_number(text))
			return json_integer(strtoll(text, NULL, 10));
	}
	return json_string(text);
}

static json_t *value(struct reader *r, const char *path, unsigned depth);

/* Between the mapping's start and its end; false: r->err. */
static bool mapping(struct reader *r, json_t *object, const char *path, unsigned depth)
{
	char below[PATH_LEN];
	yaml_mark_t mark;
	json_t *v;
	bool ok;

	for (;;) {
		char *key;

		if (!next(r) || !check_node(r))
			return false;
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return true;
		mark = r->event.start_mark;
		if (r->event.type != YAML_SCALAR_EVENT)
			return wrong(r, place_of(mark), "this key is no word");
		key = strdup((const char *)r->event.data.scalar.value);
		if (!key)
			return wrong(r, place_of(mark), "out of memory");
		snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "", key);
		if (json_object_get(object, key)) {
			const struct note *first = noted(r, below);

			wrong(r, place_of(mark), "%s is there twice, first in line %zu", QUOTE(key),
			      first ? first->key.line : 0);
			free(key);
			return false;
		}
		ok = next(r);
		/* A mapping begins where its first key is; one says where its name is. */
		ok = ok && note(r, below, mark,
				r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length
					? r->event.start_mark
					: mark);
		v = ok ? value(r, below, depth) : NULL;
		ok = v && json_object_set_new(object, key, v) == 0;
		if (v && !ok)
			wrong(r, place_of(mark), "this key cannot be kept");
		free(key);
		if (!ok)
			return false;
	}
}

static bool sequence(struct reader *r, json_t *array, const char *path, unsigned depth)
{
	char below[PATH_LEN];
	json_t *v;

	for (size_t i = 0;; i++) {
		if (!next(r))
			return false;
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		snprintf(below, sizeof(below), "%.*s[%zu]", (int)sizeof(below) - 24, path, i);
		if (!note(r, below, r->event.start_mark, r->event.start_mark))
			return false;
		v = value(r, below, depth);
		if (!v || json_array_append_new(array, v) != 0)
			return false;
	}
}

/* The value that r->event begins. A new reference; NULL: r->err. */
static json_t *value(struct reader *r, const char *path, unsigned depth)
{
	struct place at = place_of(r->event.start_mark);
	json_t *v = NULL;
	bool ok = false;

	if (!check_node(r))
		return NULL;
	if (depth >= DEPTH_LIMIT) {
		wrong(r, at, "this is too deep; at most %u levels", DEPTH_LIMIT);
		return NULL;
	}
	if (r->nnotes >= VALUE_LIMIT) {
		wrong(r, at, "there are more than %u values", VALUE_LIMIT);
		return NULL;
	}
	switch (r->event.type) {
	case YAML_SCALAR_EVENT:
		v = scalar(&r->event);
		ok = v;
		break;
	case YAML_MAPPING_START_EVENT:
		v = json_object();
		ok = v && mapping(r, v, path, depth + 1);
		break;
	case YAML_SEQUENCE_START_EVENT:
		v = json_array();
		ok = v && sequence(r, v, path, depth + 1);
		break;
	default:
		wrong(r, at, "there is no value here");
		return NULL;
	}
	if (!v)
		wrong(r, at, "out of memory");
	if (!ok) {
		json_decref(v);
		return NULL;
	}
	return v;
}

/* The one document. NULL: r->err. An empty one is null. */
static json_t *document(struct reader *r)
{
	json_t *v;

	if (!skip_one(r))
		return NULL;
	if (r->event.type == YAML_STREAM_END_EVENT)
		return json_null();
	if (!next(r))
		return NULL;
	v = value(r, "", 0);
	if (!v)
		return NULL;
	if (!skip_one(r)) {
		json_decref(v);
		return NULL;
	}
	if (r->event.type != YAML_STREAM_END_EVENT) {
		wrong(r, place_of(r->event.start_mark), "a second document (---) is not taken");
		json_decref(v);
		return NULL;
	}
	return v;
}

/* ---- networks ---- */

static bool one_network(struct reader *r, struct config *c, const char *name, const json_t *v)
{
	char err[NETDEF_ERR_MAX], where[NETDEF_WHERE_MAX];
	struct netdef *d = &c->defs[c->n];

	if (!netdef_from_json_at(d, name, v, err, where))
		return wrong(r, find(r, name, where), "network %s: %s", QUOTE(name), err);
	c->n++;
	for (unsigned i = 0; i + 1 < c->n; i++) {
		const struct netdef *o = &c->defs[i];
		char mine[16], theirs[16];

		if (!netdef_overlap(d, o))
			continue;
		netdef_format_addr4(d->subnet, mine);
		netdef_format_addr4(o->subnet, theirs);
		if (!netdef_overlap4(d, o))
			return wrong(r, find(r, name, "nat66-prefix"),
				     "networks %s and %s (line %zu) have the same nat66-prefix",
				     d->name, o->name, find(r, o->name, "nat66-prefix").line);
		return wrong(r, find(r, name, "subnet"),
			     "networks %s (%s/%d) and %s (%s/%d, line %zu) overlap; give one of "
			     "them another subnet",
			     d->name, mine, __builtin_popcount(d->netmask), o->name, theirs,
			     __builtin_popcount(o->netmask), find(r, o->name, "subnet").line);
	}
	return true;
}

static bool networks(struct reader *r, struct config *c, const json_t *root)
{
	const json_t *all = json_object_get(root, "networks"),
		     *linger = json_object_get(root, "linger");
	struct place top = {1, 1};
	const char *key;
	json_t *v;

	if (json_is_null(root))
		return true;
	if (!json_is_object(root))
		return wrong(r, top, "this is no mapping; begin with \"networks:\"");
	json_object_foreach((json_t *)root, key, v)
	{
		if (strcmp(key, "networks") != 0 && strcmp(key, "linger") != 0)
			return wrong(r, noted(r, key) ? noted(r, key)->key : top,
				     "there is no key %s here; networks and linger are",
				     QUOTE(key));
	}
	if (!all || json_is_null(all))
		return true;
	top = noted(r, "networks")->key;
	if (!json_is_object(all))
		return wrong(r, top, "networks: write names with their definitions below them");
	if (json_object_size(all) > CONFIG_NETWORKS_MAX)
		return wrong(r, top, "%zu networks are too many; at most %u", json_object_size(all),
			     CONFIG_NETWORKS_MAX);
	c->defs = calloc(json_object_size(all) + 1, sizeof(*c->defs));
	if (!c->defs)
		return wrong(r, top, "out of memory");
	json_object_foreach((json_t *)all, key, v)
	{
		json_t *def = json_is_null(v) ? json_object() : json_incref(v);
		bool ok = def;

		if (linger && json_is_object(def) && !json_object_get(def, "linger"))
			ok = json_object_set(def, "linger", (json_t *)linger) == 0;
		ok = ok && one_network(r, c, key, def);
		json_decref(def);
		if (!ok)
			return false;
	}
	return true;
}

bool config_parse(struct config *c, const char *name, const char *text, size_t len,
		  char err[NETDEF_ERR_MAX])
{
	struct reader r = {.name = name, .err = err};
	json_t *root;
	bool ok;

	memset(c, 0, sizeof(*c));
	*err = '\0';
	if (len > SIZE_LIMIT)
		return wrong(&r, (struct place){1, 1}, "the file is larger than 1 MiB");
	if (!yaml_parser_initialize(&r.parser))
		return wrong(&r, (struct place){1, 1}, "out of memory");
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
	root = document(&r);
	ok = root && networks(&r, c, root);
	if (!ok && !*err)
		wrong(&r, (struct place){1, 1}, "out of memory");
	json_decref(root);
	if (r.have_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	for (size_t i = 0; i < r.nnotes; i++)
		free(r.notes[i].path);
	free(r.notes);
	if (!ok)
		config_free(c);
	return ok;
}

/* All of a plain file, up to one byte too many. NULL: errno. */
static char *slurp(const char *path, size_t *len, bool ours_only)
{
	/* A FIFO must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), error = 0;
	char *text = malloc(SIZE_LIMIT + 1);
	struct stat st;

	*len = 0;
	if (!text)
		error = ENOMEM;
	else if (fd < 0 || fstat(fd, &st) != 0)
		error = errno;
	else if (!S_ISREG(st.st_mode))
		error = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	else if (ours_only &&
		 ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & S_IWOTH)))
		error = EPERM;
	while (!error && *len <= SIZE_LIMIT) {
		ssize_t n = read(fd, text + *len, SIZE_LIMIT + 1 - *len);

		if (n == 0)
			break;
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			error = errno;
	}
	if (fd >= 0)
		close(fd);
	if (!error)
		return text;
	free(text);
	errno = error;
	return NULL;
}

static const char *reason(int error)
{
	switch (error) {
	case EINVAL:
		return "it is no plain file";
	case EPERM:
		return "it is not yours or root's, or everybody may write to it; mend that";
	default:
		return strerror(error);
	}
}

bool config_load(struct config *c, const char *path, char err[NETDEF_ERR_MAX], bool *user_error)
{
	char found[PATHS_MAX];
	char *text;
	size_t len;
	bool ok;

	memset(c, 0, sizeof(*c));
	*user_error = true;
	if (!path && !paths_config(found, err))
		return false;
	if (!path && !*found)
		return true;
	text = slurp(path ? path : found, &len, !path);
	if (!path)
		path = found;
	if (!text) {
		*user_error = errno == ENOENT || errno == ENOTDIR || errno == EACCES ||
			      errno == EISDIR || errno == EINVAL || errno == EPERM ||
			      errno == ELOOP || errno == ENAMETOOLONG;
		snprintf(err, NETDEF_ERR_MAX, "%s: %s", shown(path), reason(errno));
		return false;
	}
	ok = config_parse(c, path, text, len, err);
	free(text);
	if (ok)
		snprintf(c->path, sizeof(c->path), "%s", path);
	return ok;
}

void config_free(struct config *c)
{
	for (unsigned i = 0; i < c->n; i++)
		netdef_free(&c->defs[i]);
	free(c->defs);
	memset(c, 0, sizeof(*c));
}

const struct netdef *config_find(const struct config *c, const char *name)
{
	for (unsigned i = 0; i < c->n; i++)
		if (!strcmp(c->defs[i].name, name))
			return &c->defs[i];
	return NULL;
}

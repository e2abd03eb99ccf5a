/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/mkpkg/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "tools/mkpkg/buf.h"
#include "tools/mkpkg/die.h"
#include "tools/mkpkg/tree.h"

#define MANIFEST_MAX_SIZE ((size_t)64 << 10)
#define MANIFEST_MAX_ARGS 3
#define MANIFEST_BLANK	  " \t\r"
#define MANIFEST_LETTERS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

struct manifest_line {
	const char *path; /* of the manifest, for messages */
	unsigned number;
	char *dir; /* what paths are relative to, with its slash, or empty */
	const char *arg[MANIFEST_MAX_ARGS];
};

struct manifest_clause {
	const char *word;
	size_t args;
	bool rest; /* the last argument is the rest of the line */
	void (*take)(struct manifest *m, const struct manifest_line *line);
};

__attribute__((noreturn)) static void manifest_wrong(const struct manifest_line *line,
						     const char *what)
{
	die_usage("%s:%u: %s", line->path, line->number, what);
}

static char *manifest_word(const struct manifest_line *line, size_t i)
{
	if (strspn(line->arg[i], MANIFEST_LETTERS) != strlen(line->arg[i]))
		manifest_wrong(line, "only letters, digits and ._- may stand here");
	return buf_dup(line->arg[i]);
}

static void manifest_once(const struct manifest_line *line, const char *where)
{
	if (where != NULL)
		manifest_wrong(line, "said before");
}

static char *manifest_path(const struct manifest_line *line, size_t i)
{
	return line->arg[i][0] == '/' ? buf_dup(line->arg[i])
				      : buf_print("%s%s", line->dir, line->arg[i]);
}

static struct manifest_component *manifest_current(struct manifest *m,
						   const struct manifest_line *line)
{
	if (m->components == 0)
		manifest_wrong(line, "this belongs to a component, and none has begun");
	return &m->component[m->components - 1];
}

/* ---- the clauses ---- */

static void manifest_name(struct manifest *m, const struct manifest_line *line)
{
	manifest_once(line, m->name);
	m->name = manifest_word(line, 0);
}

static void manifest_distribution(struct manifest *m, const struct manifest_line *line)
{
	manifest_once(line, m->distribution);
	m->distribution = manifest_path(line, 0);
}

static void manifest_resources(struct manifest *m, const struct manifest_line *line)
{
	manifest_once(line, m->resources);
	m->resources = manifest_path(line, 0);
}

static void manifest_license(struct manifest *m, const struct manifest_line *line)
{
	manifest_once(line, m->license);
	m->license = manifest_path(line, 0);
}

static void manifest_opencore(struct manifest *m, const struct manifest_line *line)
{
	manifest_once(line, m->opencore);
	m->opencore = manifest_path(line, 0);
}

static void manifest_darwin(struct manifest *m, const struct manifest_line *line)
{
	manifest_once(line, m->darwin_min);
	m->darwin_min = manifest_word(line, 0);
	manifest_once(line, m->darwin_max);
	m->darwin_max = manifest_word(line, 1);
}

static void manifest_component(struct manifest *m, const struct manifest_line *line)
{
	struct manifest_component *c = &m->component[m->components];

	if (m->components == MANIFEST_MAX_COMPONENTS)
		manifest_wrong(line, "too many components");
	if (line->arg[2][0] != '/')
		manifest_wrong(line, "the location is no absolute path");
	c->name = manifest_word(line, 0);
	c->id = manifest_word(line, 1);
	c->location = buf_dup(line->arg[2]);
	m->components++;
}

static void manifest_kexts(struct manifest *m, const struct manifest_line *line)
{
	manifest_current(m, line)->kexts = true;
}

static void manifest_scripts(struct manifest *m, const struct manifest_line *line)
{
	struct manifest_component *c = manifest_current(m, line);

	manifest_once(line, c->scripts);
	c->scripts = manifest_path(line, 0);
}

static void manifest_put_file(struct manifest *m, const struct manifest_line *line)
{
	struct manifest_component *c = manifest_current(m, line);

	if (c->files == MANIFEST_MAX_FILES)
		manifest_wrong(line, "too many files");
	c->file[c->files++] = (struct manifest_file){.source = manifest_path(line, 0),
						     .path = buf_dup(line->arg[1])};
}

static const struct manifest_clause manifest_clauses[] = {
	{"name", 1, false, manifest_name},
	{"distribution", 1, false, manifest_distribution},
	{"resources", 1, false, manifest_resources},
	{"license", 1, false, manifest_license},
	{"opencore", 1, false, manifest_opencore},
	{"darwin", 2, false, manifest_darwin},
	{"component", 3, true, manifest_component},
	{"kexts", 0, false, manifest_kexts},
	{"scripts", 1, false, manifest_scripts},
	{"file", 2, true, manifest_put_file},
};

/* ---- the text ---- */

/* The next word of a line, or all of its rest; NULL at the end. Blanks around it are dropped. */
static char *manifest_next(char **at, bool rest)
{
	char *word = *at + strspn(*at, MANIFEST_BLANK);
	size_t n = rest ? strlen(word) : strcspn(word, MANIFEST_BLANK);

	*at = word + n + (word[n] != '\0');
	word[n] = '\0';
	while (n > 0 && strchr(MANIFEST_BLANK, word[n - 1]) != NULL)
		word[--n] = '\0';
	return n > 0 ? word : NULL;
}

static void manifest_take(struct manifest *m, struct manifest_line *line, char *text)
{
	const struct manifest_clause *clause = NULL;
	const char *word;

	text[strcspn(text, "#")] = '\0';
	word = manifest_next(&text, false);
	if (word == NULL)
		return;
	for (size_t i = 0; i < sizeof(manifest_clauses) / sizeof(manifest_clauses[0]); i++)
		if (strcmp(word, manifest_clauses[i].word) == 0)
			clause = &manifest_clauses[i];
	if (clause == NULL)
		manifest_wrong(line, "no such clause");
	for (size_t i = 0; i < clause->args; i++) {
		line->arg[i] = manifest_next(&text, clause->rest && i + 1 == clause->args);
		if (line->arg[i] == NULL)
			manifest_wrong(line, "words are missing");
	}
	if (manifest_next(&text, false) != NULL)
		manifest_wrong(line, "words too many");
	clause->take(m, line);
}

/* What must be there whatever is written. */
static void manifest_check(const struct manifest *m, const char *path)
{
	const struct {
		const char *value, *clause;
	} needed[] = {{m->name, "name"},	   {m->distribution, "distribution"},
		      {m->resources, "resources"}, {m->license, "license"},
		      {m->opencore, "opencore"},   {m->darwin_min, "darwin"}};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (needed[i].value == NULL)
			die_usage("%s: no line begins with %s", path, needed[i].clause);
	if (m->components == 0)
		die_usage("%s: no component", path);
	for (size_t i = 0; i < m->components; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(m->component[i].name, m->component[k].name) == 0 ||
			    strcmp(m->component[i].id, m->component[k].id) == 0)
				die_usage("%s: two components named %s or %s", path,
					  m->component[i].name, m->component[i].id);
}

void manifest_read(struct manifest *m, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct manifest_line line = {
		.path = path,
		.dir = buf_print("%.*s", slash != NULL ? (int)(slash - path) + 1 : 0, path),
	};
	struct buf text = {0};
	char *at;

	*m = (struct manifest){0};
	tree_read_file(&text, path);
	buf_u8(&text, 0);
	at = (char *)text.data;
	if (text.len > MANIFEST_MAX_SIZE || strlen(at) != text.len - 1)
		die("%s: not a manifest", path);
	while (*at != '\0') {
		size_t n = strcspn(at, "\n");
		bool last = at[n] == '\0';

		at[n] = '\0';
		line.number++;
		manifest_take(m, &line, at);
		at += n + !last;
	}
	manifest_check(m, path);
	buf_free(&text);
	free(line.dir);
}

void manifest_free(struct manifest *m)
{
	for (size_t i = 0; i < m->components; i++) {
		struct manifest_component *c = &m->component[i];

		for (size_t k = 0; k < c->files; k++) {
			free(c->file[k].source);
			free(c->file[k].path);
		}
		free(c->name);
		free(c->id);
		free(c->location);
		free(c->scripts);
	}
	free(m->name);
	free(m->distribution);
	free(m->resources);
	free(m->license);
	free(m->opencore);
	free(m->darwin_min);
	free(m->darwin_max);
}

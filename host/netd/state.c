/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file: MAGIC, then records of
 *
 *   le32 length of what follows the CRC; le32 CRC-32 of length and that; u8 kind (1: a value);
 *   le16 length of the key; key; value as JSON text (none: the key is deleted)
 *
 * In memory: one sorted table of keys. An entry whose value could not be written is dirty, and
 * stays (without a value, if it was deleted) until it has been. Writing goes to a known offset,
 * never "the end", and what a failed write left there is cut off, so that a full disk leaves whole
 * records only. After a sync that failed nobody knows which pages reached the disk; the file is
 * then written anew.
 *
 * The lock is a file of its own beside it, as the state file is replaced by rename. It holds the
 * number of the process, for the message of the one that comes too late.
 */
#include "host/netd/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/span.h"
#include "host/netd/paths.h"

#define MAGIC	      "viokit state 1\n"
#define MAGIC_LEN     (sizeof(MAGIC) - 1)
#define HEADER	      8u /* length, CRC */
#define FIXED	      3u /* kind, length of the key */
#define KIND_VALUE    1u
#define VALUE_MAX     (1u << 20)
#define FILE_LIMIT    (1u << 28)
#define COMPACT_MIN   65536u
#define COMPACT_TIMES 4u

struct entry {
	char *key;
	json_t *value; /* NULL: deleted, and the file does not know yet */
	size_t bytes;  /* of its record in the file; 0: none */
	bool dirty;
};

struct state {
	int dir, fd, lock;
	char name[NAME_MAX + 1];
	struct entry *entries;
	size_t n, room, ndirty;
	size_t end;   /* of the whole records in the file */
	size_t alive; /* bytes of those that count */
	bool unsynced;
	bool anew;     /* the file is to be written again as a whole */
	bool headless; /* and until then nothing can be appended to it */
	int trouble;   /* errno of the last write or sync; 0: none */
	bool told;
	char error[512];
};

/* ---- CRC-32 (the polynomial of Ethernet) ---- */

static uint32_t crc32(uint32_t crc, const uint8_t *data, size_t len)
{
	static uint32_t table[256];

	if (!table[1])
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i;

			for (unsigned k = 0; k < 8; k++)
				c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
			table[i] = c;
		}
	crc = ~crc;
	for (size_t i = 0; i < len; i++)
		crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
	return ~crc;
}

static void put32(uint8_t *at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

/* ---- the table ---- */

/* Where key is, or would be. */
static size_t position(const struct state *s, const char *key)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(s->entries[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct entry *find(struct state *s, const char *key)
{
	size_t at = position(s, key);

	return at < s->n && !strcmp(s->entries[at].key, key) ? &s->entries[at] : NULL;
}

/* NULL: out of memory. */
static struct entry *insert(struct state *s, const char *key)
{
	size_t at = position(s, key);
	char *copy = strdup(key);

	if (s->n == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct entry *entries = realloc(s->entries, room * sizeof(*entries));

		if (entries) {
			s->entries = entries;
			s->room = room;
		}
	}
	if (!copy || s->n == s->room) {
		free(copy);
		return NULL;
	}
	memmove(s->entries + at + 1, s->entries + at, (s->n - at) * sizeof(*s->entries));
	s->n++;
	s->entries[at] = (struct entry){.key = copy};
	return &s->entries[at];
}

static void drop(struct state *s, struct entry *e)
{
	size_t at = (size_t)(e - s->entries);

	free(e->key);
	json_decref(e->value);
	s->n--;
	memmove(e, e + 1, (s->n - at) * sizeof(*e));
}

/* ---- reading ---- */

/* One record in front of s. 0: torn or wrong. Out of memory is as good as wrong: *broken. */
static size_t replay_one(struct state *st, struct span s, bool *broken)
{
	uint32_t len, crc;
	uint16_t keylen;
	uint8_t kind;
	struct span body, key, value;
	char name[STATE_KEY_MAX + 1];
	struct entry *e;
	json_t *json = NULL;

	if (!span_le32(s, 0, &len) || !span_le32(s, 4, &crc) || len < FIXED ||
	    len > FIXED + STATE_KEY_MAX + VALUE_MAX || !span_sub(s, HEADER, len, &body))
		return 0;
	if (crc32(crc32(0, s.data, 4), body.data, len) != crc || !span_u8(body, 0, &kind) ||
	    !span_le16(body, 1, &keylen) || !span_sub(body, FIXED, keylen, &key) ||
	    !span_from(body, FIXED + keylen, &value))
		return 0;
	if (kind != KIND_VALUE)
		return HEADER + len;
	if (keylen == 0 || keylen > STATE_KEY_MAX || memchr(key.data, 0, keylen))
		return 0;
	memcpy(name, key.data, keylen);
	name[keylen] = '\0';
	if (value.len) {
		json = json_loadb((const char *)value.data, value.len,
				  JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
		if (!json)
			return 0;
	}
	e = find(st, name);
	if (e) {
		st->alive -= e->bytes;
		json_decref(e->value);
		e->value = NULL;
	} else if (json) {
		e = insert(st, name);
		if (!e) {
			json_decref(json);
			*broken = true;
			return 0;
		}
	}
	if (json) {
		e->value = json;
		e->bytes = HEADER + len;
		st->alive += e->bytes;
	} else if (e) {
		drop(st, e);
	}
	return HEADER + len;
}

/* Sets end to where the whole records end. False: out of memory. */
static bool replay(struct state *s, const uint8_t *data, size_t len)
{
	bool broken = false;
	size_t n;

	s->end = MAGIC_LEN;
	while (s->end < len) {
		n = replay_one(s, span_of(data + s->end, len - s->end), &broken);
		if (!n)
			break;
		s->end += n;
	}
	return !broken;
}

/* All of a file; the caller frees. NULL: errno. */
static uint8_t *slurp(int fd, size_t *len)
{
	struct stat st;
	uint8_t *data;

	if (fstat(fd, &st) != 0)
		return NULL;
	if (st.st_size > (off_t)FILE_LIMIT) {
		errno = EFBIG;
		return NULL;
	}
	data = malloc((size_t)st.st_size + 1);
	*len = 0;
	while (data && *len < (size_t)st.st_size) {
		ssize_t n = pread(fd, data + *len, (size_t)st.st_size - *len, (off_t)*len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(data);
			return NULL;
		}
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return data;
}

/* ---- writing ---- */

/* All or nothing: what was written of it in vain is cut off. False: errno. */
static bool write_at(int fd, const uint8_t *data, size_t len, size_t at)
{
	size_t done = 0;
	int error;

	while (done < len) {
		ssize_t n = pwrite(fd, data + done, len - done, (off_t)(at + done));

		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		error = n < 0 ? errno : ENOSPC;
		if (done && ftruncate(fd, (off_t)at) != 0)
			error = errno;
		errno = error;
		return false;
	}
	return true;
}

/* The caller frees. NULL: out of memory, or too large. */
static uint8_t *record_of(const struct entry *e, size_t *len)
{
	size_t keylen = strlen(e->key), textlen = 0, body;
	char *text = NULL;
	uint8_t *record = NULL;

	if (e->value) {
		text = json_dumps(e->value, JSON_COMPACT | JSON_ENCODE_ANY);
		textlen = text ? strlen(text) : 0;
	}
	if ((text || !e->value) && textlen <= VALUE_MAX) {
		body = FIXED + keylen + textlen;
		*len = HEADER + body;
		record = malloc(*len);
		if (record) {
			put32(record, (uint32_t)body);
			record[HEADER] = KIND_VALUE;
			record[HEADER + 1] = (uint8_t)keylen;
			record[HEADER + 2] = (uint8_t)(keylen >> 8);
			memcpy(record + HEADER + FIXED, e->key, keylen);
			if (textlen)
				memcpy(record + HEADER + FIXED + keylen, text, textlen);
			put32(record + 4, crc32(crc32(0, record, 4), record + HEADER, body));
		}
	}
	errno = textlen > VALUE_MAX || (e->value && !text) ? EMSGSIZE : ENOMEM;
	free(text);
	return record;
}

static void trouble(struct state *s, const char *doing, int error)
{
	if (error == s->trouble)
		return;
	s->trouble = error;
	s->told = false;
	snprintf(s->error, sizeof(s->error),
		 "state file %.255s: %s: %s; it is kept in memory and tried again", s->name, doing,
		 strerror(error));
}

/* Appends an entry's value. False: it stays dirty. */
static bool append(struct state *s, struct entry *e)
{
	size_t len;
	uint8_t *record = record_of(e, &len);
	bool made = record, ok = made && write_at(s->fd, record, len, s->end);
	int error = errno;

	free(record);
	if (!ok) {
		trouble(s, "writing", error);
		if (made || error != EMSGSIZE)
			return false;
		/* Never will it fit: only the others are tried again. */
		e->dirty = false;
		s->ndirty--;
		return true;
	}
	s->alive -= e->bytes;
	s->end += len;
	s->unsynced = true;
	if (e->dirty)
		s->ndirty--;
	e->dirty = false;
	if (e->value) {
		e->bytes = len;
		s->alive += len;
	} else {
		drop(s, e);
	}
	return true;
}

/* A new file with all entries in it, in the folder under `name`. -1: errno. */
static int write_whole(struct state *s, const char *name, size_t *end)
{
	int fd = openat(s->dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool ok;
	int error;

	if (fd < 0)
		return -1;
	*end = MAGIC_LEN;
	ok = write_at(fd, (const uint8_t *)MAGIC, MAGIC_LEN, 0);
	for (size_t i = 0; ok && i < s->n; i++) {
		size_t len;
		uint8_t *record = NULL;

		if (!s->entries[i].value)
			continue;
		record = record_of(&s->entries[i], &len);
		if (!record && errno == EMSGSIZE)
			continue;
		ok = record && write_at(fd, record, len, *end);
		error = errno;
		free(record);
		errno = error;
		if (ok)
			*end += len;
	}
	ok = ok && fdatasync(fd) == 0;
	if (ok)
		return fd;
	error = errno;
	close(fd);
	unlinkat(s->dir, name, 0);
	errno = error;
	return -1;
}

/* Whether a name in our folder is a plain file of ours, so that it may be replaced. */
static bool is_ours(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_uid == geteuid();
}

static void compact(struct state *s)
{
	char beside[NAME_MAX + 8];
	size_t end;
	int fd;

	snprintf(beside, sizeof(beside), "%s.new", s->name);
	fd = write_whole(s, beside, &end);
	/* Left over from one that was killed in the middle of this. */
	if (fd < 0 && errno == EEXIST && is_ours(s->dir, beside) &&
	    unlinkat(s->dir, beside, 0) == 0)
		fd = write_whole(s, beside, &end);
	if (fd >= 0 && renameat(s->dir, beside, s->dir, s->name) != 0) {
		int error = errno;

		unlinkat(s->dir, beside, 0);
		close(fd);
		fd = -1;
		errno = error;
	}
	if (fd < 0) {
		trouble(s, "writing it anew", errno);
		return;
	}
	(void)fsync(s->dir);
	close(s->fd);
	s->fd = fd;
	s->end = end;
	s->alive = end - MAGIC_LEN;
	s->unsynced = false;
	s->anew = s->headless = false;
	s->ndirty = 0;
	s->trouble = 0;
	for (size_t i = s->n; i-- > 0;) {
		struct entry *e = &s->entries[i];
		size_t len = 0;

		e->dirty = false;
		if (!e->value) {
			drop(s, e);
			continue;
		}
		free(record_of(e, &len));
		e->bytes = len;
	}
}

/* Those that could not be written before. */
static bool flush(struct state *s)
{
	for (size_t i = s->n; s->ndirty && i-- > 0;)
		if (s->entries[i].dirty && !append(s, &s->entries[i]))
			return false;
	return true;
}

static void tidy(struct state *s)
{
	if (s->headless || !flush(s))
		return;
	s->trouble = s->anew ? s->trouble : 0;
	if (s->end > COMPACT_MIN && s->end / COMPACT_TIMES > s->alive)
		compact(s);
}

/* ---- opening ---- */

static bool wrong(char *err, size_t errlen, const char *path, const char *why)
{
	snprintf(err, errlen, "state file %.150s: %s", path, why);
	return false;
}

/* A plain file of ours, created if it is not there. -1: err. */
static int open_ours(int dir, const char *name, const char *path, char *err, size_t errlen)
{
	int fd = openat(dir, name,
			O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
	const char *why = NULL;
	struct stat st;

	if (fd < 0)
		why = errno == ELOOP ? "it is a symbolic link; remove it" : strerror(errno);
	else if (fstat(fd, &st) != 0)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "it is no plain file; remove it";
	else if (st.st_uid != geteuid())
		why = "it belongs to somebody else; remove it";
	else if (st.st_nlink != 1)
		why = "it has other names (hard links); remove them";
	else if (st.st_mode & 022)
		why = "others may write to it; make it 0600";
	else if (st.st_mode & 077 && fchmod(fd, 0600) != 0)
		why = strerror(errno);
	if (!why)
		return fd;
	wrong(err, errlen, path, why);
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool lock(struct state *s, const char *path, char *err, size_t errlen)
{
	char beside[NAME_MAX + 8], text[32] = "", why[96];
	ssize_t n;
	int len;

	snprintf(beside, sizeof(beside), "%s.lock", s->name);
	s->lock = open_ours(s->dir, beside, path, err, errlen);
	if (s->lock < 0)
		return false;
	while (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return wrong(err, errlen, path, strerror(errno));
		n = pread(s->lock, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		text[strspn(text, "0123456789")] = '\0';
		snprintf(why, sizeof(why), "another daemon has it%s%s", *text ? ", process " : "",
			 text);
		return wrong(err, errlen, path, why);
	}
	len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	/* Only for the message; a full disk is no reason to stay away. */
	if (ftruncate(s->lock, 0) == 0)
		(void)!pwrite(s->lock, text, (size_t)len, 0);
	return true;
}

static bool load(struct state *s, const char *path, char *err, size_t errlen)
{
	size_t len;
	uint8_t *data = slurp(s->fd, &len);
	bool ok;

	if (!data)
		return wrong(err, errlen, path, strerror(errno));
	if (len < MAGIC_LEN && !memcmp(data, MAGIC, len)) {
		/* New, or its first write was torn. On a full disk it begins when there is room. */
		s->end = MAGIC_LEN;
		s->headless = s->anew = !write_at(s->fd, (const uint8_t *)MAGIC, MAGIC_LEN, 0);
		if (s->anew)
			trouble(s, "writing", errno);
		ok = true;
	} else if (len < MAGIC_LEN || memcmp(data, MAGIC, MAGIC_LEN) != 0) {
		ok = wrong(err, errlen, path, "it is no state file of vmnet; remove it");
	} else {
		ok = replay(s, data, len);
		if (!ok)
			wrong(err, errlen, path, "out of memory");
		if (ok && s->end < len) {
			snprintf(s->error, sizeof(s->error),
				 "state file %.255s: its last %zu bytes were torn or damaged and "
				 "are cut off",
				 s->name, len - s->end);
			if (ftruncate(s->fd, (off_t)s->end) != 0)
				trouble(s, "cutting it", errno);
		}
	}
	free(data);
	return ok;
}

struct state *state_open(const char *path, char *err, size_t errlen)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char folder[PATHS_MAX] = ".", why[PATHS_ERR_MAX];
	struct state *s = calloc(1, sizeof(*s));
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (!s) {
		wrong(err, errlen, path, "out of memory");
		return NULL;
	}
	s->dir = s->fd = s->lock = -1;
	/* Room for ".lock" is wanted, too. */
	if (!*name || strlen(name) > NAME_MAX - 8 || n >= sizeof(folder)) {
		wrong(err, errlen, path, "this is no name for a file");
		goto fail;
	}
	memcpy(s->name, name, strlen(name) + 1);
	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", n ? (int)n : 1, path);
	s->dir = paths_open_dir(folder, why);
	if (s->dir < 0) {
		snprintf(err, errlen, "%s", why);
		goto fail;
	}
	if (!lock(s, path, err, errlen))
		goto fail;
	s->fd = open_ours(s->dir, s->name, path, err, errlen);
	if (s->fd < 0 || !load(s, path, err, errlen))
		goto fail;
	return s;
fail:
	state_close(s);
	return NULL;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		state_sync(s);
	for (size_t i = 0; i < s->n; i++) {
		free(s->entries[i].key);
		json_decref(s->entries[i].value);
	}
	free(s->entries);
	if (s->fd >= 0)
		close(s->fd);
	if (s->lock >= 0)
		close(s->lock);
	if (s->dir >= 0)
		close(s->dir);
	free(s);
}

/* ---- use ---- */

void state_put(struct state *s, const char *key, const json_t *value)
{
	struct entry *e = find(s, key);
	json_t *copy = value ? json_deep_copy(value) : NULL;

	if (!*key || strnlen(key, STATE_KEY_MAX + 1) > STATE_KEY_MAX || (!e && !value) ||
	    (e && e->value && value && json_equal(e->value, value))) {
		json_decref(copy);
		return;
	}
	if (!e && copy)
		e = insert(s, key);
	if (!e || (value && !copy)) {
		trouble(s, "keeping it", ENOMEM);
		json_decref(copy);
		return;
	}
	json_decref(e->value);
	e->value = copy;
	if (!e->dirty)
		s->ndirty++;
	e->dirty = true;
	tidy(s);
}

json_t *state_get(struct state *s, const char *key)
{
	struct entry *e = find(s, key);

	return e ? e->value : NULL;
}

void state_each(struct state *s, const char *prefix,
		void (*fn)(void *arg, const char *key, json_t *value), void *arg)
{
	size_t len = strlen(prefix);

	for (size_t i = position(s, prefix); i < s->n && !strncmp(s->entries[i].key, prefix, len);
	     i++)
		if (s->entries[i].value)
			fn(arg, s->entries[i].key, s->entries[i].value);
}

void state_sync(struct state *s)
{
	if (s->anew) {
		compact(s);
		return;
	}
	if (s->ndirty)
		tidy(s);
	if (!s->unsynced)
		return;
	if (fdatasync(s->fd) == 0) {
		s->unsynced = false;
		return;
	}
	trouble(s, "syncing", errno);
	s->anew = true;
}

const char *state_error(struct state *s)
{
	if (s->told || !*s->error)
		return NULL;
	s->told = true;
	return s->error;
}

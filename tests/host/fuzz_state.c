/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer over the replay of a state file. An input that begins with R is the file; one that
 * begins with F is lines, KEY tab VALUE, which become records with the right length and CRC, so
 * that the fuzzer gets past it; a line with a third field has that many bytes cut off its end.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/netd/state.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MAGIC "viokit state 1\n"

static char dir[64], path[96], err[512];

static void clean(void)
{
	char lock[128];

	unlink(path);
	snprintf(lock, sizeof(lock), "%s.lock", path);
	unlink(lock);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* In memory, where there is such a folder: syncs are many. */
	snprintf(dir, sizeof(dir), "%s/vmnet-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/state", dir);
	atexit(clean);
	return 0;
}

static uint32_t crc(const uint8_t *data, size_t len)
{
	uint32_t c = ~0u;

	for (size_t i = 0; i < len; i++) {
		c ^= data[i];
		for (unsigned k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
	}
	return ~c;
}

static void little(uint8_t *at, uint32_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		at[i] = (uint8_t)(v >> 8 * i);
}

static void put_record(FILE *file, const uint8_t *line, size_t len)
{
	const uint8_t *tab = memchr(line, '\t', len), *end = line + len, *cut = NULL;
	size_t keylen = tab ? (size_t)(tab - line) : len, vallen, body;
	uint8_t *r;

	if (tab)
		cut = memchr(tab + 1, '\t', (size_t)(end - tab - 1));
	vallen = tab ? (size_t)((cut ? cut : end) - tab - 1) : 0;
	body = 3 + keylen + vallen;
	r = malloc(8 + body);
	little(r, (uint32_t)body, 4);
	r[8] = 1;
	little(r + 9, (uint32_t)keylen, 2);
	memcpy(r + 11, line, keylen);
	if (vallen)
		memcpy(r + 11 + keylen, tab + 1, vallen);
	/* The CRC goes over length and body, which do not touch: move the length beside it. */
	memcpy(r + 4, r, 4);
	little(r + 4, crc(r + 4, 4 + body), 4);
	body += 8;
	if (cut && cut + 1 < end)
		body -= cut[1] % body;
	(void)!fwrite(r, 1, body, file);
	free(r);
}

static void count(void *arg, const char *key, json_t *value)
{
	if (!*key || strlen(key) > STATE_KEY_MAX || !value)
		abort();
	++*(size_t *)arg;
}

static struct state *opened(void)
{
	struct state *s = state_open(path, err, sizeof(err));

	if (!s && (!*err || strchr(err, '\n')))
		abort();
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t before = 0, after = 0;
	struct state *s;
	FILE *file;

	if (!len)
		return 0;
	file = fopen(path, "we");
	if (!file || fchmod(fileno(file), 0600) != 0)
		abort();
	if (*data == 'F') {
		fputs(MAGIC, file);
		for (const uint8_t *at = data + 1, *end = data + len, *line; at < end;
		     at = line + 1) {
			line = memchr(at, '\n', (size_t)(end - at));
			if (!line)
				line = end;
			put_record(file, at, (size_t)(line - at));
		}
	} else {
		(void)!fwrite(data + 1, 1, len - 1, file);
	}
	if (fclose(file) != 0)
		abort();

	s = opened();
	if (!s)
		return 0;
	state_put(s, "fuzz/new", json_true());
	state_each(s, "", count, &before);
	state_close(s);

	/* What was taken once is whole: the same again, and nothing is cut any more. */
	s = opened();
	if (!s || state_error(s) || !json_is_true(state_get(s, "fuzz/new")))
		abort();
	state_each(s, "", count, &after);
	if (before != after)
		abort();
	state_close(s);
	return 0;
}

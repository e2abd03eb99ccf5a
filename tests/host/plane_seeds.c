/* SPDX-License-Identifier: BSD-2-Clause */
/* plane_seeds frame|stream DIR: inputs for fuzz_frame.c and fuzz_stream.c; each says what it is. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *dir;
static uint8_t bytes[200000];
static size_t len;

static void begin(uint8_t how)
{
	bytes[0] = how;
	len = 1;
}

static void end(const char *name)
{
	char path[512];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	if (!file || fwrite(bytes, 1, len, file) != len || fclose(file)) {
		perror(path);
		exit(1);
	}
}

/* ---- the switch: records ---- */

static void record(unsigned what, unsigned port, const void *data, unsigned n)
{
	bytes[len++] = (uint8_t)(what << 3 | port);
	bytes[len++] = (uint8_t)n;
	if (data)
		memcpy(bytes + len, data, n);
	else
		memset(bytes + len, 0x42, n);
	len += n;
}

/* Station numbers: 0 broadcast, 1 the gateway, 2 the locked one, from 3 on plain ones. */
static void speak(unsigned port, unsigned dst, unsigned src)
{
	uint8_t frame[48] = {(uint8_t)dst, (uint8_t)src, 8, 6, 0, 1, 8, 0, 6, 4};

	record(2, port, frame, sizeof(frame));
}

static void frames(void)
{
	static const uint8_t tagged[] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x81, 0, 0, 1};

	for (uint8_t how = 0; how < 8; how++) {
		char name[32];

		begin(how);
		speak(0, 0, 11);
		speak(1, 11, 19);
		speak(0, 19, 11);
		speak(0, 1, 11);
		speak(0, 0, 1); /* as the gateway */
		speak(6, 0, 2);
		speak(6, 0, 19); /* locked, as somebody else */
		(void)snprintf(name, sizeof(name), "talk-%u", how);
		end(name);
	}
	begin(1);
	for (unsigned n = 0; n < 60; n++)
		speak(3, 0, n << 3 | 3);
	end("flood");
	begin(1);
	speak(0, 0, 11);
	for (unsigned n = 0; n < 10; n++) {
		speak(n & 1, 0, 11);
		record(4, 0, NULL, n * 3);
	}
	end("moves");
	begin(5);
	for (unsigned n = 0; n < 20; n++) {
		record(n % 4, n % 8, n % 3 ? NULL : tagged, n % 3 ? n * 12 : sizeof(tagged));
		record(4 + n % 4, n % 8, NULL, n * 10);
	}
	end("everything");
	begin(0);
	record(0, 2, tagged, sizeof(tagged));
	record(3, 2, NULL, 255);
	record(1, 2, NULL, 13);
	end("sizes");
}

/* ---- the stream: lengths and frames ---- */

static void prefix(uint32_t n)
{
	bytes[len++] = (uint8_t)(n >> 24);
	bytes[len++] = (uint8_t)(n >> 16);
	bytes[len++] = (uint8_t)(n >> 8);
	bytes[len++] = (uint8_t)n;
}

static void frame(uint32_t n)
{
	static const uint8_t head[14] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
					 0,    0,    0,	   0,	 1,    8,    6};

	prefix(n);
	memset(bytes + len, 0, n);
	memcpy(bytes + len, head, n < sizeof(head) ? n : sizeof(head));
	/* Its own address inside, as in ARP. */
	if (n >= 28)
		memcpy(bytes + len + 22, head + 6, 6);
	len += n;
}

static void streams(void)
{
	static const uint32_t wrong[] = {0, 69633, 0x80000000, 0xffffffff};

	for (uint8_t how = 0; how < 16; how++) {
		char name[32];

		begin(how);
		frame(60);
		frame(1514);
		frame(14);
		frame(13);
		frame(1519);
		frame(42);
		(void)snprintf(name, sizeof(name), "frames-%u", how);
		end(name);
	}
	for (unsigned i = 0; i < 4; i++) {
		char name[32];

		begin((uint8_t)(i & 1 ? 4 : 0));
		frame(60);
		prefix(wrong[i]);
		frame(60);
		(void)snprintf(name, sizeof(name), "wrong-%u", i);
		end(name);
	}
	for (unsigned cut = 0; cut < 6; cut++) {
		char name[32];

		begin((uint8_t)(cut & 1 ? 6 : 2));
		frame(100);
		frame(60);
		frame(200);
		/* The stream begins in the middle of the first. */
		len -= cut * 17 + 1;
		memmove(bytes + 1, bytes + cut * 17 + 2, len - 1);
		(void)snprintf(name, sizeof(name), "takeover-%u", cut);
		end(name);
	}
	begin(1);
	frame(9000);
	frame(3000);
	end("large");
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		(void)fprintf(stderr, "usage: plane_seeds frame|stream DIR\n");
		return 2;
	}
	dir = argv[2];
	(void)mkdir(dir, 0777);
	if (!strcmp(argv[1], "frame"))
		frames();
	else
		streams();
	return 0;
}

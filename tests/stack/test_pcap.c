/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture files: the bytes that an analyser expects, and errors that are told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tools/stack/pcap.h"

static char path[64];

static int setup(void **state)
{
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/viokit-pcap-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static size_t slurp(uint8_t *buf, size_t size)
{
	FILE *f = fopen(path, "rbe");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, size, f);
	(void)fclose(f);
	return n;
}

static uint32_t word(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static void writes_records(void **state)
{
	uint8_t one[] = "abcdef", two[] = "ghi", got[256];
	const struct seg segs[] = {{one, 0, 6}, {NULL, 0, 0}, {two, 0, 3}};
	struct pcap *p = pcap_create(path);

	(void)state;
	assert_non_null(p);
	pcap_write(p, 1234567890123456u, segs, 3);
	pcap_write(p, 999999u, segs, 1);
	assert_int_equal(pcap_count(p), 2);
	assert_int_equal(pcap_close(p), 0);

	assert_int_equal(slurp(got, sizeof(got)), 24 + 16 + 9 + 16 + 6);
	assert_int_equal(word(got), 0xa1b2c3d4u);
	assert_int_equal(word(got + 4), 4u << 16 | 2u); /* version 2.4 */
	assert_int_equal(word(got + 16), PCAP_SNAPLEN);
	assert_int_equal(word(got + 20), 1); /* Ethernet */
	assert_int_equal(word(got + 24), 1234567890);
	assert_int_equal(word(got + 28), 123456);
	assert_int_equal(word(got + 32), 9);
	assert_int_equal(word(got + 36), 9);
	assert_memory_equal(got + 40, "abcdefghi", 9);
	assert_int_equal(word(got + 49), 0);
	assert_int_equal(word(got + 53), 999999);
	assert_int_equal(word(got + 57), 6);
	assert_memory_equal(got + 65, "abcdef", 6);
}

static void stamps_are_now(void **state)
{
	uint8_t one[] = "x", got[64];
	const struct seg seg = {one, 0, 1};
	struct pcap *p = pcap_create(path);

	(void)state;
	pcap_write_now(p, &seg, 1);
	assert_int_equal(pcap_close(p), 0);
	assert_int_equal(slurp(got, sizeof(got)), 24 + 16 + 1);
	assert_true(word(got + 24) > 1600000000u);
	assert_true(word(got + 28) < 1000000u);
}

static void long_frames_are_cut(void **state)
{
	static uint8_t big[PCAP_SNAPLEN];
	const struct seg segs[] = {{big, 0, PCAP_SNAPLEN - 1}, {big, 0, 5}};
	struct pcap *p = pcap_create(path);
	uint8_t got[64];
	FILE *f;

	(void)state;
	pcap_write(p, 0, segs, 2);
	assert_int_equal(pcap_close(p), 0);
	assert_int_equal(slurp(got, sizeof(got)), sizeof(got));
	assert_int_equal(word(got + 32), PCAP_SNAPLEN);
	assert_int_equal(word(got + 36), PCAP_SNAPLEN + 4);
	f = fopen(path, "rbe");
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	assert_int_equal(ftell(f), 24 + 16 + (long)PCAP_SNAPLEN);
	(void)fclose(f);
}

static void errors_are_told(void **state)
{
	uint8_t one[100] = {0};
	const struct seg seg = {one, 0, sizeof(one)};
	struct pcap *p;

	(void)state;
	assert_null(pcap_create("/nonexistent/directory/x.pcap"));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(pcap_close(NULL), 0);

	if (access("/dev/full", W_OK) != 0)
		return;
	p = pcap_create("/dev/full");
	assert_non_null(p);
	for (unsigned i = 0; i < 10000; i++)
		pcap_write(p, i, &seg, 1);
	assert_int_equal(pcap_close(p), ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writes_records, setup, teardown),
		cmocka_unit_test_setup_teardown(stamps_are_now, setup, teardown),
		cmocka_unit_test_setup_teardown(long_frames_are_cut, setup, teardown),
		cmocka_unit_test(errors_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

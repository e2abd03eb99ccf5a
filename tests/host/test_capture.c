/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Captures, read back block by block as the pcapng draft has them; readers that are slow, gone, or
 * on a full disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "host/netd/capture.h"
#include "tests/unit/cm.h"

static uv_loop_t loop;
static struct capture *c;
static unsigned ended;
static char why[96];

static void on_ended(void *ctx, const char *reason)
{
	assert_ptr_equal(ctx, &ended);
	ended++;
	(void)snprintf(why, sizeof(why), "%s", reason ? reason : "count");
}

static int setup(void **state)
{
	(void)state;
	ended = 0;
	c = NULL;
	return uv_loop_init(&loop);
}

static int teardown(void **state)
{
	(void)state;
	if (c)
		capture_close(c);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void start(int fd, uint64_t count)
{
	c = capture_open(&loop, fd, count, on_ended, &ended);
	assert_non_null(c);
}

static void spin(void)
{
	for (int i = 0; i < 5; i++) {
		usleep(1000);
		uv_run(&loop, UV_RUN_NOWAIT);
	}
}

static void frame(int interface, bool from_member, uint32_t len, uint8_t fill)
{
	static uint8_t memory[FRAME_PREFIX + FRAME_MAX];
	struct frame f = {memory + FRAME_PREFIX, len};

	memset(f.data, fill, len);
	capture_frame(c, interface, from_member, &f);
}

/* ---- reading it back ---- */

struct seen {
	unsigned interfaces, frames, in, out, statistics;
	uint64_t received, dropped, first_ns, last_ns;
	char name[8][64];
	uint32_t lens[64];
};

static uint8_t file[64u << 20];

static uint32_t get32(size_t at)
{
	uint32_t v;

	memcpy(&v, file + at, 4);
	return v;
}

static uint16_t get16(size_t at)
{
	uint16_t v;

	memcpy(&v, file + at, 2);
	return v;
}

/* The option's offset; 0: not there. *len: of its value. */
static size_t option(size_t at, size_t end, uint16_t code, uint16_t *len)
{
	while (at + 4 <= end && get16(at)) {
		*len = get16(at + 2);
		assert_true(at + 4 + *len <= end);
		if (get16(at) == code)
			return at + 4;
		at += 4 + ((*len + 3u) & ~3u);
	}
	return 0;
}

static void look(struct seen *s, size_t len)
{
	size_t at = 0;

	memset(s, 0, sizeof(*s));
	assert_true(len >= 28);
	assert_int_equal(get32(0), 0x0a0d0d0a);
	assert_int_equal(get32(8), 0x1a2b3c4d);
	assert_int_equal(get16(12), 1);
	while (at < len) {
		uint32_t type = get32(at), size = get32(at + 4);
		size_t end = at + size - 4, opt;
		uint16_t n = 0;

		assert_true(size >= 12 && size % 4 == 0 && size <= len - at);
		assert_int_equal(get32(end), size);
		switch (type) {
		case 1:
			assert_int_equal(get16(at + 8), 1); /* Ethernet */
			opt = option(at + 16, end, 2, &n);
			assert_true(opt && n < 64 && s->interfaces < 8);
			memcpy(s->name[s->interfaces++], file + opt, n);
			opt = option(at + 16, end, 9, &n);
			assert_true(opt && n == 1 && file[opt] == 9);
			break;
		case 6: {
			uint32_t cap = get32(at + 20), flags;
			uint64_t ns = (uint64_t)get32(at + 12) << 32 | get32(at + 16);

			assert_true(get32(at + 8) < s->interfaces);
			assert_int_equal(cap, get32(at + 24));
			assert_true(28 + cap <= size);
			for (uint32_t i = 1; i < cap; i++)
				assert_int_equal(file[at + 28 + i], file[at + 28]);
			opt = option(at + 28 + ((cap + 3u) & ~3u), end, 2, &n);
			assert_true(opt && n == 4);
			flags = get32(opt);
			s->in += flags == 1;
			s->out += flags == 2;
			if (s->frames < COUNT(s->lens))
				s->lens[s->frames] = cap;
			s->first_ns = s->frames++ ? s->first_ns : ns;
			assert_true(ns >= s->last_ns);
			s->last_ns = ns;
			break;
		}
		case 5: {
			uint64_t v;

			assert_true(get32(at + 8) < s->interfaces);
			s->statistics++;
			opt = option(at + 20, end, 4, &n);
			assert_true(opt && n == 8);
			memcpy(&v, file + opt, 8);
			s->received += v;
			opt = option(at + 20, end, 5, &n);
			assert_true(opt && n == 8);
			memcpy(&v, file + opt, 8);
			s->dropped += v;
			break;
		}
		default:
			assert_int_equal(type, 0x0a0d0d0a);
			assert_int_equal(at, 0);
		}
		at += size;
	}
}

/* What is in the pipe by now, behind `have`. */
static size_t drain(int fd, size_t have)
{
	ssize_t n;

	while ((n = read(fd, file + have, sizeof(file) - have)) > 0)
		have += (size_t)n;
	return have;
}

static void pipe_nonblocking(int fd[2])
{
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(fcntl(fd[0], F_SETFL, O_NONBLOCK), 0);
}

/* ---- tests ---- */

static void to_a_file(void **state)
{
	char path[] = "/tmp/vmnet-capture-XXXXXX";
	int fd = mkstemp(path), in;
	struct seen s;
	int a, b;

	(void)state;
	assert_true(fd >= 0);
	start(fd, 0);
	a = capture_interface(c, "alpha");
	assert_int_equal(capture_interface(c, "alpha"), a);
	frame(a, true, 60, 1);
	frame(a, false, 61, 2);
	spin();
	/* One more member comes while it runs. */
	b = capture_interface(c, "beta");
	assert_int_not_equal(a, b);
	frame(b, true, 1514, 3);
	frame(b, true, 65534, 4);
	frame(7, true, 60, 5); /* no such interface */
	frame(-1, true, 60, 5);
	assert_int_equal(capture_frames(c), 4);
	capture_close(c);
	c = NULL;
	spin();
	assert_int_equal(ended, 0);
	in = open(path, O_RDONLY | O_CLOEXEC);
	look(&s, drain(in, 0));
	close(in);
	(void)unlink(path);
	assert_int_equal(s.interfaces, 2);
	assert_string_equal(s.name[0], "alpha");
	assert_string_equal(s.name[1], "beta");
	assert_int_equal(s.frames, 4);
	assert_int_equal(s.out, 3);
	assert_int_equal(s.in, 1);
	assert_int_equal(s.lens[0], 60);
	assert_int_equal(s.lens[1], 61);
	assert_int_equal(s.lens[3], 65534);
	assert_int_equal(s.statistics, 2);
	assert_int_equal(s.received, 4);
	assert_int_equal(s.dropped, 0);
	assert_true(s.first_ns / 1000000000 >
		    1500000000); /* after 2017: nanoseconds of Unix time */
}

static void a_count(void **state)
{
	int fd[2], a;
	struct seen s;
	size_t len = 0;

	(void)state;
	pipe_nonblocking(fd);
	start(fd[1], 3);
	a = capture_interface(c, "m");
	for (unsigned i = 0; i < 10; i++)
		frame(a, true, 60, 1);
	assert_int_equal(capture_frames(c), 3);
	assert_int_equal(ended, 0); /* not from within */
	spin();
	assert_int_equal(ended, 1);
	assert_string_equal(why, "count");
	(void)capture_interface(c, "late");
	spin();
	assert_int_equal(ended, 1);
	capture_close(c);
	c = NULL;
	spin();
	len = drain(fd[0], len);
	look(&s, len);
	assert_int_equal(s.frames, 3);
	/* The descriptor is closed. */
	assert_int_equal(read(fd[0], file, 1), 0);
	close(fd[0]);
}

/* The file is sound whatever was lost; what was lost is said; nobody waits. */
static void a_slow_reader(void **state)
{
	int fd[2], a;
	struct seen s;
	size_t len = 0;
	const unsigned sent = 40000;
	uint64_t begin;

	(void)state;
	pipe_nonblocking(fd);
	start(fd[1], 0);
	a = capture_interface(c, "m");
	for (unsigned i = 0; i < sent; i++) {
		frame(a, i & 1, 1000, (uint8_t)i);
		if (i % 100 == 0)
			uv_run(&loop, UV_RUN_NOWAIT);
		if (i == sent / 2)
			len = drain(fd[0], len);
	}
	begin = uv_hrtime();
	capture_close(c);
	c = NULL;
	assert_true(uv_hrtime() - begin < 100000000);
	for (unsigned i = 0; i < 400; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		len = drain(fd[0], len);
	}
	look(&s, len);
	assert_int_equal(s.statistics, 1);
	assert_true(s.dropped > 0);
	assert_int_equal(s.received, s.frames);
	assert_int_equal(s.frames + s.dropped, sent);
	close(fd[0]);
}

/* It does not read any more at all: the capture goes away nevertheless. */
static void a_dead_reader(void **state)
{
	int fd[2], a;
	uint64_t begin = uv_hrtime();

	(void)state;
	pipe_nonblocking(fd);
	start(fd[1], 0);
	a = capture_interface(c, "m");
	for (unsigned i = 0; i < 10000; i++)
		frame(a, true, 1000, 1);
	spin();
	capture_close(c);
	c = NULL;
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(uv_hrtime() - begin < UINT64_C(20000000000));
	assert_int_equal(ended, 0);
	close(fd[0]);
}

static void a_reader_that_goes(void **state)
{
	int fd[2], a;

	(void)state;
	for (unsigned waiting = 0; waiting < 3; waiting++) {
		ended = 0;
		pipe_nonblocking(fd);
		start(fd[1], waiting == 2 ? 500 : 0);
		a = capture_interface(c, "m");
		for (unsigned i = 0; i < (waiting ? 500 : 1); i++)
			frame(a, true, 1000, 1);
		if (waiting < 2)
			spin();
		close(fd[0]);
		frame(a, true, 60, 1);
		spin();
		assert_int_equal(ended, 1);
		if (waiting < 2)
			assert_string_not_equal(why, "count");
		frame(a, true, 60, 1);
		spin();
		assert_int_equal(ended, 1);
		capture_close(c);
		c = NULL;
		spin();
	}
}

static void a_full_disk(void **state)
{
	int a;

	(void)state;
	start(open("/dev/full", O_WRONLY | O_CLOEXEC), 0);
	a = capture_interface(c, "m");
	frame(a, true, 60, 1);
	spin();
	assert_int_equal(ended, 1);
	assert_string_equal(why, strerror(ENOSPC));
}

static void too_many_interfaces(void **state)
{
	char name[16];
	int fd[2];

	(void)state;
	pipe_nonblocking(fd);
	start(fd[1], 0);
	for (unsigned i = 0; i < CAPTURE_INTERFACES; i++) {
		(void)snprintf(name, sizeof(name), "m%u", i);
		assert_int_equal(capture_interface(c, name), i);
	}
	assert_int_equal(capture_interface(c, "one more"), -1);
	assert_int_equal(capture_interface(c, "m7"), 7);
	capture_close(c);
	c = NULL;
	spin();
	close(fd[0]);
}

static void no_descriptor(void **state)
{
	(void)state;
	errno = 0;
	assert_null(capture_open(&loop, -1, 0, on_ended, &ended));
	assert_int_equal(errno, EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(to_a_file),	       T(a_count),     T(a_slow_reader),       T(a_dead_reader),
		T(a_reader_that_goes), T(a_full_disk), T(too_many_interfaces), T(no_descriptor),
	};

	alarm(100);
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

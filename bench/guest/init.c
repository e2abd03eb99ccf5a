/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All of user space of the Linux guest that the benchmarks compare with: the first process.
 *
 * It loads the modules of /modules in order of their names, gives the one network interface an
 * address, moves content both ways through it against tools/stack/server.h's protocol, says on the
 * console how long that took, and switches off. What to do stands in the environment, where the
 * kernel puts the words of its command line: ADDRESS, PEER, PORT, BYTES, IDLE (seconds).
 *
 * The guest's CPU is emulated, so making and checking content would be most of the time. Both are
 * done outside of it: content to send is made before, what was received is kept, and checked after.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tools/stack/content.h"

#define MODULES	  "/modules"
#define CHUNK	  (256u * 1024u)
#define SEED	  UINT64_C(0x76696f6b6974)
#define IF_WAIT	  100u /* tenths of a second for the interface to appear */
#define LINK_WAIT 100u /* ... and for its link */

static char interface[IFNAMSIZ];

__attribute__((noreturn)) static void off(void)
{
	(void)fflush(stdout);
	sync();
	(void)reboot(RB_POWER_OFF);
	for (;;)
		(void)pause();
}

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *fmt, ...)
{
	va_list ap;

	printf("\nguest: error: ");
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	printf(" (%s)\n", strerror(errno));
	off();
}

static void nap(unsigned ms)
{
	const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&ts, NULL);
}

static double seconds(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		fail("%s is not on the kernel's command line", name);
	return value;
}

static uint64_t number(const char *name)
{
	return strtoull(setting(name), NULL, 10);
}

/* ---- modules ---- */

static void load(const char *name)
{
	char path[300];
	int fd;

	(void)snprintf(path, sizeof(path), MODULES "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST))
		fail("module %s", name);
	(void)close(fd);
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void load_all(void)
{
	struct dirent **names;
	int n = scandir(MODULES, &names, visible, alphasort);

	if (n < 0)
		fail(MODULES);
	for (int i = 0; i < n; i++) {
		load(names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

/* ---- the interface ---- */

static bool find_interface(void)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; i && i->if_index; i++) {
		if (strcmp(i->if_name, "lo") != 0)
			(void)snprintf(interface, sizeof(interface), "%s", i->if_name);
	}
	if_freenameindex(all);
	return interface[0] != '\0';
}

static void request(int sock, unsigned long what, struct ifreq *req)
{
	(void)snprintf(req->ifr_name, sizeof(req->ifr_name), "%s", interface);
	if (ioctl(sock, what, req) != 0)
		fail("%s: request %#lx", interface, what);
}

static void set_address(int sock, unsigned long what, const char *text)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct ifreq req = {.ifr_flags = 0};

	if (inet_pton(AF_INET, text, &sin.sin_addr) != 1)
		fail("address %s", text);
	memcpy(&req.ifr_addr, &sin, sizeof(sin));
	request(sock, what, &req);
}

static void configure(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {.ifr_flags = IFF_UP};

	for (unsigned i = 0; !find_interface(); i++) {
		if (i == IF_WAIT)
			fail("no network interface appeared");
		nap(100);
	}
	set_address(sock, SIOCSIFADDR, setting("ADDRESS"));
	set_address(sock, SIOCSIFNETMASK, "255.255.255.0");
	request(sock, SIOCSIFFLAGS, &req);
	for (unsigned i = 0; !(req.ifr_flags & IFF_RUNNING); i++) {
		if (i == LINK_WAIT)
			fail("no link");
		nap(100);
		request(sock, SIOCGIFFLAGS, &req);
	}
	(void)close(sock);
}

/* ---- transfers ---- */

static int ask(const char *verb, uint64_t bytes)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)number("PORT")),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[64];
	int n = snprintf(line, sizeof(line), "%s %" PRIu64 " %" PRIu64 "\n", verb, bytes, SEED);

	if (inet_pton(AF_INET, setting("PEER"), &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 || write(fd, line, (size_t)n) != n)
		fail("connection to %s", setting("PEER"));
	return fd;
}

static void check(const uint8_t *at, uint64_t bytes)
{
	struct content c;

	content_init(&c, SEED);
	if (!content_check(&c, at, bytes))
		fail("byte %" PRIu64 " received is wrong", c.wrong);
}

static double download(uint8_t *to, uint64_t bytes)
{
	double start = seconds(), took;
	int fd = ask("GET", bytes);
	uint64_t done = 0;

	while (done < bytes) {
		uint64_t left = bytes - done;
		ssize_t n = read(fd, to + done, left < CHUNK ? left : CHUNK);

		if (n <= 0)
			fail("download ended after %" PRIu64 " bytes", done);
		done += (uint64_t)n;
	}
	took = seconds() - start;
	(void)close(fd);
	check(to, bytes);
	return took;
}

static double upload(const uint8_t *from, uint64_t bytes)
{
	double start = seconds(), took;
	int fd = ask("PUT", bytes);
	uint64_t done = 0;
	char answer[64] = "";

	while (done < bytes) {
		uint64_t left = bytes - done;
		ssize_t n = write(fd, from + done, left < CHUNK ? left : CHUNK);

		if (n <= 0)
			fail("upload ended after %" PRIu64 " bytes", done);
		done += (uint64_t)n;
	}
	if (read(fd, answer, sizeof(answer) - 1) < 3 || memcmp(answer, "OK ", 3) != 0)
		fail("the server's answer to the upload is \"%s\"", answer);
	took = seconds() - start;
	(void)close(fd);
	return took;
}

static void transfers(void)
{
	uint64_t bytes = number("BYTES");
	unsigned idle = (unsigned)number("IDLE") * 1000;
	uint8_t *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	double mbit = (double)bytes * 8 / 1e6, down, up;
	struct content c;

	if (mem == MAP_FAILED)
		fail("no memory for %" PRIu64 " bytes", bytes);
	nap(idle);
	down = download(mem, bytes);
	content_init(&c, SEED);
	content_make(&c, mem, bytes);
	nap(idle);
	up = upload(mem, bytes);
	printf("\nguest: {\"interface\": \"%s\", \"bytes\": %" PRIu64
	       ", \"download\": %.1f, \"upload\": %.1f}\n",
	       interface, bytes, mbit / down, mbit / up);
}

int main(void)
{
	(void)mount("dev", "/dev", "devtmpfs", 0, NULL);
	(void)mount("proc", "/proc", "proc", 0, NULL);
	(void)mount("sys", "/sys", "sysfs", 0, NULL);
	load_all();
	configure();
	transfers();
	off();
}

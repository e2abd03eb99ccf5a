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
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tools/guest/boot.h"
#include "tools/stack/content.h"

#define CHUNK	  (256u * 1024u)
#define SEED	  UINT64_C(0x76696f6b6974)
#define IF_WAIT	  100u /* tenths of a second for the interface to appear */
#define LINK_WAIT 100u /* ... and for its link */

static char interface[IFNAMSIZ];

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
		boot_fail("%s is not on the kernel's command line", name);
	return value;
}

static uint64_t number(const char *name)
{
	return strtoull(setting(name), NULL, 10);
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
		boot_fail("%s: request %#lx", interface, what);
}

static void set_address(int sock, unsigned long what, const char *text)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct ifreq req = {.ifr_flags = 0};

	if (inet_pton(AF_INET, text, &sin.sin_addr) != 1)
		boot_fail("address %s", text);
	memcpy(&req.ifr_addr, &sin, sizeof(sin));
	request(sock, what, &req);
}

static void configure(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {.ifr_flags = IFF_UP};

	for (unsigned i = 0; !find_interface(); i++) {
		if (i == IF_WAIT)
			boot_fail("no network interface appeared");
		boot_nap(100);
	}
	set_address(sock, SIOCSIFADDR, setting("ADDRESS"));
	set_address(sock, SIOCSIFNETMASK, "255.255.255.0");
	request(sock, SIOCSIFFLAGS, &req);
	for (unsigned i = 0; !(req.ifr_flags & IFF_RUNNING); i++) {
		if (i == LINK_WAIT)
			boot_fail("no link");
		boot_nap(100);
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
		boot_fail("connection to %s", setting("PEER"));
	return fd;
}

static void check(const uint8_t *at, uint64_t bytes)
{
	struct content c;

	content_init(&c, SEED);
	if (!content_check(&c, at, bytes))
		boot_fail("byte %" PRIu64 " received is wrong", c.wrong);
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
			boot_fail("download ended after %" PRIu64 " bytes", done);
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
			boot_fail("upload ended after %" PRIu64 " bytes", done);
		done += (uint64_t)n;
	}
	if (read(fd, answer, sizeof(answer) - 1) < 3 || memcmp(answer, "OK ", 3) != 0)
		boot_fail("the server's answer to the upload is \"%s\"", answer);
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
		boot_fail("no memory for %" PRIu64 " bytes", bytes);
	boot_nap(idle);
	down = download(mem, bytes);
	content_init(&c, SEED);
	content_make(&c, mem, bytes);
	boot_nap(idle);
	up = upload(mem, bytes);
	printf("\nguest: {\"interface\": \"%s\", \"bytes\": %" PRIu64
	       ", \"download\": %.1f, \"upload\": %.1f}\n",
	       interface, bytes, mbit / down, mbit / up);
}

int main(void)
{
	boot_start();
	configure();
	transfers();
	boot_off();
}

/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tools/viorun/dhcpd.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_SERVER 67u
#define PORT_CLIENT 68u
#define MESSAGE	    548u
#define OPTIONS	    240u /* where they begin */
#define REPLY	    300u
#define LEASE_S	    3600u

enum { OPT_MASK = 1, OPT_ROUTER = 3, OPT_DNS = 6, OPT_LEASE = 51, OPT_TYPE = 53, OPT_SERVER = 54 };
enum { OPT_END = 255, DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5 };

struct dhcpd {
	int sock, stop;
	pthread_t thread;
	uint8_t host[4], guest[4], mask[4];
};

/* The message type; 0: not one we answer. */
static unsigned dhcpd_type(const uint8_t *m, size_t len)
{
	static const uint8_t magic[4] = {0x63, 0x82, 0x53, 0x63};

	if (len < OPTIONS + 3 || m[0] != 1 || memcmp(m + OPTIONS - 4, magic, 4) != 0)
		return 0;
	for (size_t at = OPTIONS; at + 2 < len && m[at] != OPT_END;) {
		if (m[at] == 0) {
			at++;
			continue;
		}
		if (m[at] == OPT_TYPE && m[at + 1] == 1)
			return m[at + 2];
		at += 2u + m[at + 1];
	}
	return 0;
}

static uint8_t *dhcpd_option(uint8_t *at, uint8_t code, const void *value, uint8_t len)
{
	at[0] = code;
	at[1] = len;
	memcpy(at + 2, value, len);
	return at + 2 + len;
}

static void dhcpd_answer(const struct dhcpd *d, const uint8_t *request, uint8_t type)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT_CLIENT)};
	const uint32_t lease = htonl(LEASE_S);
	uint8_t m[REPLY] = {2, 1, 6}, *at = m + OPTIONS;

	memcpy(m + 4, request + 4, 4);	   /* xid */
	memcpy(m + 10, request + 10, 2);   /* flags */
	memcpy(m + 16, d->guest, 4);	   /* yiaddr */
	memcpy(m + 20, d->host, 4);	   /* siaddr */
	memcpy(m + 28, request + 28, 16);  /* chaddr */
	memcpy(m + 236, request + 236, 4); /* magic */
	at = dhcpd_option(at, OPT_TYPE, &type, 1);
	at = dhcpd_option(at, OPT_SERVER, d->host, 4);
	at = dhcpd_option(at, OPT_LEASE, &lease, 4);
	at = dhcpd_option(at, OPT_MASK, d->mask, 4);
	at = dhcpd_option(at, OPT_ROUTER, d->host, 4);
	*at = OPT_END;
	to.sin_addr.s_addr = htonl(INADDR_BROADCAST);
	/* lost or not: the client asks again */
	(void)!sendto(d->sock, m, sizeof(m), 0, (struct sockaddr *)&to, sizeof(to));
}

static void *dhcpd_run(void *arg)
{
	struct dhcpd *d = arg;
	struct pollfd fds[2] = {{.fd = d->sock, .events = POLLIN},
				{.fd = d->stop, .events = POLLIN}};

	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		uint8_t m[MESSAGE];
		ssize_t n;

		if (fds[1].revents)
			break;
		n = recv(d->sock, m, sizeof(m), MSG_DONTWAIT);
		if (n <= 0)
			continue;
		switch (dhcpd_type(m, (size_t)n)) {
		case DISCOVER:
			dhcpd_answer(d, m, OFFER);
			break;
		case REQUEST:
			dhcpd_answer(d, m, ACK);
			break;
		default:
			break;
		}
	}
	return NULL;
}

static int dhcpd_socket(const char *interface)
{
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT_SERVER)};
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1, err;

	if (sock < 0)
		return -errno;
	if (setsockopt(sock, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) == 0 &&
	    setsockopt(sock, SOL_SOCKET, SO_BINDTODEVICE, interface,
		       (socklen_t)strlen(interface) + 1) == 0 &&
	    bind(sock, (const struct sockaddr *)&any, sizeof(any)) == 0)
		return sock;
	err = -errno;
	(void)close(sock);
	return err;
}

int dhcpd_start(struct dhcpd **out, const char *interface, const uint8_t host[4],
		const uint8_t guest[4], const uint8_t mask[4])
{
	struct dhcpd *d = calloc(1, sizeof(*d));
	sigset_t all, old;
	int err;

	if (!d)
		return ENOMEM;
	memcpy(d->host, host, 4);
	memcpy(d->guest, guest, 4);
	memcpy(d->mask, mask, 4);
	d->sock = dhcpd_socket(interface);
	d->stop = eventfd(0, EFD_CLOEXEC);
	err = d->sock < 0 ? -d->sock : d->stop < 0 ? errno : 0;
	if (!err) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		err = pthread_create(&d->thread, NULL, dhcpd_run, d);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	if (!err) {
		*out = d;
		return 0;
	}
	if (d->sock >= 0)
		(void)close(d->sock);
	if (d->stop >= 0)
		(void)close(d->stop);
	free(d);
	return err;
}

void dhcpd_stop(struct dhcpd *d)
{
	const uint64_t one = 1;

	if (!d)
		return;
	(void)!write(d->stop, &one, sizeof(one));
	(void)pthread_join(d->thread, NULL);
	(void)close(d->sock);
	(void)close(d->stop);
	free(d);
}

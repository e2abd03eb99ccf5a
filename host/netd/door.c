/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A door: a path in the file system that VMs connect to (Lima's `socket:`, socket_vmnet's clients,
 * QEMU's addr.path, vfkit's and krunkit's unixgram paths).
 *
 * A stream door listens. Who connects is looked at before the first byte is read (G-11), and
 * becomes a member: the door's own first, then NAME-2, NAME-3. One that has gone away keeps its
 * place, name, address and counters, and the next that connects takes it. A door with a given MAC
 * has one place. A dgram door is a bound socket with one member behind it, whoever speaks first.
 *
 * The path is made under umask 0177 and is never followed or removed unless it is a socket of ours
 * that nobody listens on any more.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/netd/broker.h"

#define DOOR_PLACES   32u
#define DOOR_BACKLOG  16
#define DOOR_PAUSE_MS 100u

/* ---- the path ---- */

/* A socket of ours that refuses connections was left by a daemon that was killed. */
static bool door_stale(const char *path, int type, const struct sockaddr_un *addr)
{
	struct stat st;
	int fd;
	bool stale;

	if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return false;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) != 0 &&
		errno == ECONNREFUSED;
	(void)close(fd);
	return stale;
}

static int door_bind(const char *path, int type, mode_t mode, struct fault *f)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t old;
	int fd, rc;

	if (path[0] != '/' || strlen(path) >= sizeof(addr.sun_path)) {
		(void)fault_user(f, "socket path %.128s: it must be absolute and below %zu bytes",
				 path, sizeof(addr.sun_path));
		return -1;
	}
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		(void)fault_system(f, "cannot make a socket: %s", strerror(errno));
		return -1;
	}
	old = umask(0177);
	rc = bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
	if (rc != 0 && errno == EADDRINUSE && door_stale(path, type, &addr)) {
		(void)unlink(path);
		rc = bind(fd, (const struct sockaddr *)&addr, sizeof(addr));
	}
	(void)umask(old);
	if (rc == 0 && mode != 0600)
		rc = chmod(path, mode);
	if (rc == 0 && type == SOCK_STREAM)
		rc = listen(fd, DOOR_BACKLOG);
	if (rc != 0) {
		if (errno == EADDRINUSE)
			(void)fault_user(f,
					 "socket path %s exists already, and is in use or not "
					 "a socket of ours",
					 path);
		else
			(void)fault_user(f, "socket path %s: %s", path, strerror(errno));
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* ---- who comes in ---- */

static struct member *door_place(struct door *d, struct fault *f)
{
	struct network *n = d->network;
	char name[NETDEF_NAME_MAX + 8];
	unsigned places = 0;

	for (struct member *m = n->members; m; m = m->next) {
		if (m->door != d)
			continue;
		if (!m->link)
			return m;
		places++;
	}
	if (places >= (d->mac_given ? 1 : DOOR_PLACES)) {
		(void)fault_user(f, "%u members are connected already", places);
		return NULL;
	}
	for (unsigned i = 2;; i++) {
		(void)snprintf(name, sizeof(name), "%.28s-%u", d->name, i);
		if (!member_find(n, name) || i > BROKER_MEMBERS_MAX)
			break;
	}
	return member_add(n, &(struct member_params){.door = d, .name = name, .kind = LINK_STREAM},
			  f);
}

static void door_admit(struct door *d, int fd)
{
	struct member *m;
	struct fault f;
	struct peer peer;
	bool may;

	if (!peer_of(fd, &peer)) {
		log_peer("%s: cannot tell who connects: %s", d->path, strerror(errno));
		(void)close(fd);
		return;
	}
	may = peer_may_join(&peer, &d->network->def, f.text);
	peer_close(&peer);
	m = may ? door_place(d, &f) : NULL;
	if (!m) {
		log_peer("%s: refused: %s", d->path, f.text);
		(void)close(fd);
		return;
	}
	if (!member_plug(m, fd, false, false, &f))
		log_peer("%s: %s", d->path, f.text);
}

static void door_on_poll(uv_poll_t *poll, int status, int events);

static void door_listen(struct door *d)
{
	d->polling = uv_poll_start(&d->poll, UV_READABLE, door_on_poll) == 0;
}

static void door_on_pause(uv_timer_t *timer)
{
	door_listen(timer->data);
}

static void door_on_poll(uv_poll_t *poll, int status, int events)
{
	struct door *d = poll->data;

	(void)status;
	(void)events;
	for (unsigned i = 0; i < DOOR_BACKLOG; i++) {
		int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			door_admit(d, fd);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			/* No descriptor is left: not to spin on what cannot be taken (D-12). */
			log_peer("%s: %s", d->path, strerror(errno));
			(void)uv_poll_stop(&d->poll);
			(void)uv_timer_start(&d->pause, door_on_pause, DOOR_PAUSE_MS, 0);
		}
		return;
	}
}

/* ---- life ---- */

struct door *door_find(struct broker *b, const char *network, const char *name)
{
	for (struct door *d = b->doors; d; d = d->next)
		if (!strcmp(d->network->def.name, network) && !strcmp(d->name, name))
			return d;
	return NULL;
}

static void door_key(const struct door *d, char key[STATE_KEY_MAX])
{
	(void)snprintf(key, STATE_KEY_MAX, "attach/%s/%s", d->network->def.name, d->name);
}

/* One that is left to the daemon is there again with the next one. */
static void door_keep(const struct door *d)
{
	char key[STATE_KEY_MAX], mac[18];
	json_t *value = json_pack("{s:s, s:b}", "path", d->path, "dgram", d->kind == LINK_DGRAM);

	if (!value)
		return;
	if (d->mac_given) {
		netdef_format_mac(d->mac, mac);
		(void)json_object_set_new(value, "mac", json_string(mac));
	}
	door_key(d, key);
	state_put(d->broker->state, key, value);
	json_decref(value);
}

static void door_freed(uv_handle_t *handle)
{
	struct door *d = handle->data;

	free(d);
}

static void door_poll_closed(uv_handle_t *handle)
{
	struct door *d = handle->data;

	(void)close(d->fd);
	uv_close((uv_handle_t *)&d->pause, door_freed);
}

static bool door_start(struct door *d, struct fault *f)
{
	int fd = door_bind(d->path, d->kind == LINK_STREAM ? SOCK_STREAM : SOCK_DGRAM,
			   d->network->def.nallow ? 0666 : 0600, f);

	if (fd < 0)
		return false;
	if (d->kind == LINK_DGRAM)
		return member_plug(d->first, fd, false, true, f);
	d->fd = fd;
	if (uv_poll_init(d->broker->loop, &d->poll, fd)) {
		(void)close(fd);
		d->fd = -1;
		return fault_system(f, "cannot watch %s", d->path);
	}
	d->poll.data = d;
	door_listen(d);
	return true;
}

struct door *door_open(struct broker *b, const struct door_params *p, struct fault *f)
{
	struct network *n = network_up(b, p->network, f);
	struct door *d;

	if (!n)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d || b->ndoors >= BROKER_DOORS_MAX || uv_timer_init(b->loop, &d->pause)) {
		(void)fault_system(f, "%u attachments are there, which is all there may be",
				   b->ndoors);
		free(d);
		network_left(n);
		return NULL;
	}
	d->broker = b;
	d->network = n;
	d->owner = p->owner;
	d->kind = p->kind;
	d->fd = -1;
	d->pause.data = d;
	(void)snprintf(d->path, sizeof(d->path), "%s", p->path);
	d->next = b->doors;
	b->doors = d;
	b->ndoors++;
	d->mac_given = p->mac != NULL;
	if (p->mac)
		memcpy(d->mac, p->mac, 6);
	d->first = member_add(
		n,
		&(struct member_params){.door = d, .name = p->name, .mac = p->mac, .kind = p->kind},
		f);
	if (d->first)
		(void)snprintf(d->name, sizeof(d->name), "%s", d->first->name);
	if (!d->first || strlen(p->path) >= sizeof(d->path) || !door_start(d, f)) {
		if (d->first && strlen(p->path) >= sizeof(d->path))
			(void)fault_user(f, "socket path: it must be below %zu bytes",
					 sizeof(d->path));
		d->path[0] = '\0'; /* not ours to remove */
		door_close(d, false);
		return NULL;
	}
	if (!d->owner)
		door_keep(d);
	log_line("network %s: %s listens on %s", n->def.name, d->name, d->path);
	return d;
}

void door_close(struct door *d, bool forget)
{
	struct network *n = d->network;
	char key[STATE_KEY_MAX];

	if (d->closing)
		return;
	d->closing = true;
	if (forget && !d->owner) {
		door_key(d, key);
		state_put(d->broker->state, key, NULL);
	}
	for (struct door **at = &d->broker->doors; *at; at = &(*at)->next)
		if (*at == d) {
			*at = d->next;
			d->broker->ndoors--;
			break;
		}
	for (struct member *m = n->members, *next; m; m = next) {
		next = m->next;
		if (m->door == d)
			member_remove(m);
	}
	if (d->path[0])
		(void)unlink(d->path);
	network_left(n);
	if (d->fd >= 0)
		uv_close((uv_handle_t *)&d->poll, door_poll_closed);
	else
		uv_close((uv_handle_t *)&d->pause, door_freed);
	broker_changed(d->broker);
}

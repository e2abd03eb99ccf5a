/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/mac/mac_rig.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NET_KEXT "VirtioNet.kext"
#define NET_ID	 "org.viokit.VirtioNet"
#define PCI_ID	 "org.viokit.VirtioPCI"
#define RAM_MIB	 128u
#define QUIET_MS 20000u
#define FIND_MS	 20000u
#define INBOX	 1024u

const int mac_rig_releases[5] = {6, 9, 11, 13, 15};

/* ---- the log ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_text[MAC_RIG_LOG];
static size_t log_len;

static void log_line(const char *line)
{
	size_t len = strlen(line);
	struct timespec until;

	/* A line from a stopped world must not wait long for a thread that stands. */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	if (pthread_mutex_timedlock(&log_lock, &until) != 0)
		return;
	if (len < sizeof(log_text) - log_len - 1) {
		memcpy(log_text + log_len, line, len);
		log_len += len;
		log_text[log_len++] = '\n';
	}
	pthread_mutex_unlock(&log_lock);
}

bool mac_rig_logged(const char *text)
{
	bool found;

	pthread_mutex_lock(&log_lock);
	log_text[log_len] = '\0';
	found = strstr(log_text, text) != NULL;
	pthread_mutex_unlock(&log_lock);
	return found;
}

unsigned mac_rig_count(const char *text)
{
	unsigned n = 0;

	pthread_mutex_lock(&log_lock);
	log_text[log_len] = '\0';
	for (const char *at = log_text; (at = strstr(at, text)) != NULL; at++)
		n++;
	pthread_mutex_unlock(&log_lock);
	return n;
}

void mac_rig_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	log_text[log_len] = '\0';
	(void)fprintf(stderr, "%s%s:%d: ", log_text, file, line);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	qemu_kill_all();
	_exit(1);
}

/* ---- what arrives ---- */

static struct inbox {
	pthread_mutex_t lock;
	struct __mbuf *packets[INBOX];
	unsigned first, n;
	uint64_t overrun;
} inboxes[MAC_RIG_NICS] = {{.lock = PTHREAD_MUTEX_INITIALIZER},
			   {.lock = PTHREAD_MUTEX_INITIALIZER}};

static void inbox_put(void *arg, struct __mbuf *packet)
{
	struct inbox *in = arg;
	bool full;

	pthread_mutex_lock(&in->lock);
	full = in->n == INBOX;
	if (full)
		in->overrun++;
	else
		in->packets[(in->first + in->n++) % INBOX] = packet;
	pthread_mutex_unlock(&in->lock);
	if (full)
		mac_packet_free(packet);
}

static struct __mbuf *inbox_get(struct inbox *in)
{
	struct __mbuf *packet = NULL;

	pthread_mutex_lock(&in->lock);
	if (in->n) {
		packet = in->packets[in->first];
		in->first = (in->first + 1) % INBOX;
		in->n--;
	}
	pthread_mutex_unlock(&in->lock);
	return packet;
}

void mac_rig_flush(struct mac_rig *r)
{
	struct __mbuf *packet;

	for (unsigned i = 0; i < r->nics; i++) {
		while ((packet = inbox_get(&inboxes[i])) != NULL)
			mac_packet_free(packet);
	}
}

static void nap(void)
{
	const struct timespec ts = {.tv_nsec = 200000};

	(void)nanosleep(&ts, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

bool mac_rig_wait(bool (*done)(void *arg), void *arg, unsigned ms)
{
	uint64_t end = now_ms() + ms;

	while (!done(arg)) {
		if (now_ms() >= end)
			return false;
		nap();
	}
	return true;
}

size_t mac_rig_receive(struct mac_rig *r, unsigned nic, uint8_t *frame, size_t max, unsigned ms,
		       bool *good)
{
	uint64_t end = now_ms() + ms;
	struct __mbuf *packet;
	struct seg segs[80];
	size_t len;
	unsigned n;

	(void)r;
	while ((packet = inbox_get(&inboxes[nic])) == NULL) {
		if (now_ms() >= end)
			return 0;
		nap();
	}
	len = mac_packet_len(packet);
	n = mac_packet_segs(packet, segs, 80);
	CHECK_MSG(n > 0 && seg_total(segs, n) == len, "a packet of %zu bytes in %u parts of %zu",
		  len, n, seg_total(segs, n));
	if (good)
		*good = mac_packet_csum_good(packet);
	if (len > max)
		len = max;
	(void)seg_read(segs, n, 0, frame, len);
	mac_packet_free(packet);
	return len;
}

/* ---- frames ---- */

int mac_rig_send(struct mac_rig *r, unsigned nic, const void *frame, size_t len)
{
	struct seg seg = {.ptr = (uint8_t *)(uintptr_t)frame, .len = (uint32_t)len};
	const struct mac_send send = {.segs = &seg, .nsegs = 1};

	return mac_if_send(r->ifp[nic], &send);
}

static uint8_t pattern(size_t i, unsigned seed)
{
	return (uint8_t)(i * 7 + seed * 31 + (i >> 8) * 13);
}

size_t mac_rig_frame(uint8_t *frame, const uint8_t to[6], const uint8_t from[6], size_t payload,
		     unsigned seed)
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	frame[12] = 0x88; /* a type for experiments */
	frame[13] = 0xb5;
	for (size_t i = 0; i < payload; i++)
		frame[14 + i] = pattern(i, seed);
	return 14 + payload;
}

bool mac_rig_frame_is(const uint8_t *frame, size_t len, size_t payload, unsigned seed)
{
	if (len != 14 + payload || frame[12] != 0x88 || frame[13] != 0xb5)
		return false;
	for (size_t i = 0; i < payload; i++) {
		if (frame[14 + i] != pattern(i, seed))
			return false;
	}
	return true;
}

void mac_rig_exchange(struct mac_rig *r, unsigned nic, unsigned n)
{
	static const uint8_t peer[6] = {0x52, 0x54, 0, 0x99, 0x99, 0x99};
	struct mac_if_state state;
	uint8_t frame[1600], got[1600];

	CHECK(!r->qemu);
	mac_if_state(r->ifp[nic], &state);
	for (unsigned i = 0; i < n; i++) {
		size_t payload = 46 + (i * 97) % 1454;
		size_t len = mac_rig_frame(frame, state.mac, peer, payload, i), have;
		struct board_frame out;

		CHECK(board_model_send(&r->model[nic], NULL, frame, len, false) == MODEL_RX_OK);
		have = mac_rig_receive(r, nic, got, sizeof(got), 5000, NULL);
		CHECK_MSG(mac_rig_frame_is(got, have, payload, i),
			  "received frame %u of %zu bytes is not what was sent (%zu bytes)", i, len,
			  have);
		len = mac_rig_frame(frame, peer, state.mac, payload, i + 1);
		CHECK(mac_rig_send(r, nic, frame, len) == 0);
		CHECK_MSG(board_model_take(&r->model[nic], &out, 5000000),
			  "frame %u of %zu bytes was not transmitted", i, len);
		CHECK_MSG(mac_rig_frame_is(out.data, out.len, payload, i + 1),
			  "transmitted frame %u is not what was sent", i);
		free(out.data);
	}
}

/* ---- boards ---- */

static bool all_zero(const void *at, size_t len)
{
	const uint8_t *p = at;

	while (len && !*p) {
		p++;
		len--;
	}
	return len == 0;
}

static void open_models(struct mac_rig *r, struct sim_ram *ram)
{
	/* One memory for all: the second model looks at the first one's. */
	CHECK(r->nics == 1);
	for (unsigned i = 0; i < r->nics; i++) {
		struct model_options opts = r->o->model;

		if (all_zero(&opts, sizeof(opts)))
			board_model_defaults(&opts);
		CHECK(board_model_open(&r->model[i], &opts));
	}
	*ram = board_model_ram(&r->model[0]);
}

static void open_qemu(struct mac_rig *r, struct sim_ram *ram)
{
	static char text[MAC_RIG_NICS][2][256];
	const char *argv[4 * MAC_RIG_NICS + 1];
	struct qemu_opts opts = {
		.machine = r->o->machine,
		.root_port = r->o->root_port,
		.ram_mib = RAM_MIB,
		.argv = argv,
		.fds = r->o->fds,
		.n_fds = r->o->n_fds,
	};
	unsigned n = 0;

	for (unsigned i = 0; i < r->nics; i++) {
		char *netdev = text[i][0], *zero;

		(void)snprintf(netdev, sizeof(text[i][0]), "%s",
			       i && r->o->netdev1 ? r->o->netdev1 : r->o->netdev);
		zero = strstr(netdev, "id=n0");
		CHECK(zero != NULL);
		zero[4] = (char)('0' + i);
		(void)snprintf(text[i][1], sizeof(text[i][1]),
			       "virtio-net-pci,id=nic%u,netdev=n%u%s%s", i, i,
			       r->o->root_port && i == 0 ? ",bus=" QEMU_ROOT_PORT : "",
			       r->o->props ? r->o->props : "");
		argv[n++] = "-netdev";
		argv[n++] = netdev;
		argv[n++] = "-device";
		argv[n++] = text[i][1];
	}
	argv[n] = NULL;
	CHECK_MSG(qemu_board_open(&r->board, &opts, r->nics) == VIO_OK, "%s", r->board.err);
	*ram = qemu_board_ram(&r->board);
}

/* ---- life ---- */

static char kexts_path[512];

int mac_rig_load(struct mac_rig *r)
{
	char path[600], why[256] = "";
	int err;

	(void)r;
	(void)snprintf(path, sizeof(path), "%s/" NET_KEXT, kexts_path);
	err = mac_kext_load(path, why, sizeof(why));
	if (err)
		(void)fprintf(stderr, "kextload: %s\n", why);
	return err;
}

void mac_rig_find(struct mac_rig *r)
{
	for (unsigned i = 0; i < r->nics; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "en%u", i);
		r->ifp[i] = mac_if_find(name, FIND_MS);
		CHECK_MSG(r->ifp[i] != NULL, "no %s after the kexts were loaded", name);
		mac_if_input(r->ifp[i], inbox_put, &inboxes[i]);
		if (!r->o->no_up)
			CHECK(mac_if_up(r->ifp[i]) == 0);
	}
}

void mac_rig_open(struct mac_rig *r, const struct mac_rig_opts *o)
{
	const char *kexts = o->kexts ? o->kexts : getenv("VIOKIT_KEXTS");
	const char *seed = getenv("VIOKIT_SEED");
	struct mac_config config = {.quiet = true, .log = log_line, .seed = (unsigned)getpid()};

	memset(r, 0, sizeof(*r));
	r->o = o;
	r->release = o->release ? o->release : 13;
	r->nics = o->nics ? o->nics : 1;
	r->qemu = o->netdev != NULL;
	CHECK_MSG(kexts != NULL, "VIOKIT_KEXTS does not say where the kexts are");
	(void)snprintf(kexts_path, sizeof(kexts_path), "%s", kexts);
	config.release = r->release;
	config.boot_args = o->boot_args;
	if (seed)
		config.seed = (unsigned)strtoul(seed, NULL, 0);
	(void)fprintf(stderr, "seed %u, 10.%d\n", config.seed, r->release);
	if (r->qemu)
		open_qemu(r, &config.ram);
	else
		open_models(r, &config.ram);
	CHECK(mac_boot(&config) == 0);
	for (unsigned i = 0; i < r->nics; i++) {
		const struct sim_pci_ops *ops = r->qemu ? &qemu_board_ops : &board_model_ops;
		void *fn =
			r->qemu ? (void *)qemu_board_function(&r->board, i) : (void *)&r->model[i];

		CHECK(mac_pci_add(ops, fn, "NIC", !o->no_built_in, &r->pci[i]) == 0);
	}
	if (o->no_load)
		return;
	CHECK(mac_rig_load(r) == 0);
	CHECK(mac_quiet(QUIET_MS));
	mac_rig_find(r);
}

void mac_rig_unload(struct mac_rig *r)
{
	char why[256] = "";

	mac_rig_flush(r);
	if (mac_kext_loaded(NET_ID))
		CHECK_MSG(mac_kext_unload(NET_ID, why, sizeof(why)) == 0, "kextunload: %s", why);
	if (mac_kext_loaded(PCI_ID))
		CHECK_MSG(mac_kext_unload(PCI_ID, why, sizeof(why)) == 0, "kextunload: %s", why);
}

void mac_rig_close(struct mac_rig *r)
{
	unsigned left;

	mac_rig_unload(r);
	for (unsigned i = 0; i < r->nics; i++)
		mac_pci_remove(r->pci[i]);
	mac_rig_flush(r);
	left = mac_halt(stderr);
	CHECK_MSG(left == 0, "%u things left in the kernel", left);
	for (unsigned i = 0; i < r->nics && !r->qemu; i++) {
		struct board_model *m = &r->model[i];

		if (!r->o->allow_violations_of_norms)
			CHECK_MSG(m->complaints == 0, "%llu norms violated, the first: %s",
				  (unsigned long long)m->complaints, m->complaint);
		board_model_close(m);
	}
	if (r->qemu)
		qemu_board_close(&r->board);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "sim/macos/kdp/kdp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "sim/macos/kdp/port.h"
#include "sim/macos/kdp/server.h"
#include "sim/macos/mac.h"
#include "sim/macos/sim.h"

/* Bits of the boot-arg debug. */
enum { DB_HALT = 1, DB_NMI = 4, DB_ARP = 0x40, DB_KDP_BP_DIS = 0x80 };

enum {
	LINK_UP = 3, /* valid and active */
	IDLE_US = 200,
	LOCK_WAIT_MS = 100,	   /* of a panic, for the holder of the debugger lock */
	PANIC_WAIT_MS = 30 * 1000, /* for a debugger */
	AGAIN_MS = 2000,	   /* for another one, after a disconnect in a panic */
	STOP_MS = 10 * 60 * 1000,  /* at a breakpoint, if nobody said otherwise */
};

volatile int kdp_debugger_lock;

static struct {
	int debug;
	struct kdp_server server;
	kdp_send *send;
	kdp_receive *receive;
	kdp_link *link;
	kdp_mode *mode;
	uint8_t mac[6], ip[4];
	char version[256];

	unsigned stop_ms; /* of a stop at a breakpoint: as long as the last key allowed */
	volatile bool stopped;
	uint64_t deadline_ns;
	uint64_t again_ns; /* in a panic, from the first disconnect on */
	bool panic, had_session;

	struct kdp_entry *pending; /* waits for the debugger lock */
	sem_t done;		   /* it has been served */
} kdp;

/* One key at a time. */
static pthread_mutex_t key_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t kdp_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void kdp_pause(unsigned us)
{
	struct timespec ts = {0, (long)us * 1000};

	(void)nanosleep(&ts, 0);
}

/* ---- what the server stands on; at debugger level ---- */

static bool kdp_expired(void *arg)
{
	uint64_t now = kdp_now();

	(void)arg;
	if (kdp.panic) {
		if (kdp.server.connected) {
			kdp.had_session = true;
			kdp.again_ns = 0;
		} else if (kdp.had_session && !kdp.again_ns) {
			kdp.again_ns = now + (uint64_t)AGAIN_MS * 1000000u;
		}
		if (kdp.again_ns && now >= kdp.again_ns)
			return true;
	}
	return now >= kdp.deadline_ns;
}

/* [XNU-KDP-17] A link that is known to be down is waited for, before each packet. */
static bool kdp_link_up(void)
{
	while (kdp.link && (kdp.link() & LINK_UP) != LINK_UP) {
		if (kdp_expired(0))
			return false;
		kdp_pause(IDLE_US);
	}
	return true;
}

static void kdp_op_send(void *arg, uint8_t *frame, unsigned len)
{
	(void)arg;
	if (kdp.send && kdp_link_up())
		kdp.send(frame, len);
}

static unsigned kdp_op_receive(void *arg, uint8_t *frame, unsigned timeout_ms)
{
	unsigned len = 0;

	(void)arg;
	if (kdp.receive && kdp_link_up())
		kdp.receive(frame, &len, timeout_ms);
	/* A driver that does not wait shall not take a processor for nothing. */
	if (!len)
		kdp_pause(IDLE_US);
	if (len > KDP_FRAME_MAX)
		sim_violation("the debugger's receive function gave %u bytes, at most %u fit", len,
			      KDP_FRAME_MAX);
	return len;
}

static void kdp_op_spin(void *arg, unsigned us)
{
	(void)arg;
	kdp_pause(us);
}

static size_t kdp_op_read(void *arg, uint64_t at, void *to, size_t n)
{
	(void)arg;
	return kdp_memory_read(at, to, n);
}

static size_t kdp_op_write(void *arg, uint64_t at, const void *from, size_t n)
{
	(void)arg;
	return kdp_memory_write(at, from, n);
}

/* Physical memory is the RAM that devices reach. */
static size_t kdp_phys_fits(uint64_t at, size_t n)
{
	const struct sim_ram *ram = &sim_config.ram;

	if (at < ram->first || at >= ram->end)
		return 0;
	return ram->end - at < n ? (size_t)(ram->end - at) : n;
}

static size_t kdp_op_read_phys(void *arg, uint64_t at, void *to, size_t n)
{
	(void)arg;
	return kdp_memory_read((uintptr_t)sim_config.ram.base + at, to, kdp_phys_fits(at, n));
}

static size_t kdp_op_write_phys(void *arg, uint64_t at, const void *from, size_t n)
{
	(void)arg;
	return kdp_memory_write((uintptr_t)sim_config.ram.base + at, from, kdp_phys_fits(at, n));
}

static void kdp_op_get_regs(void *arg, struct kdp_regs64 *regs)
{
	(void)arg;
	kdp_trap_get_regs(regs);
}

static void kdp_op_set_regs(void *arg, const struct kdp_regs64 *regs)
{
	(void)arg;
	kdp_trap_set_regs(regs);
}

static const struct kdp_ops kdp_sim_ops = {
	kdp_op_send,	 kdp_op_receive,  kdp_op_spin,	    kdp_expired,
	kdp_op_read,	 kdp_op_write,	  kdp_op_read_phys, kdp_op_write_phys,
	kdp_op_get_regs, kdp_op_set_regs, sim_log,
};

bool kdp_enabled(void)
{
	return kdp.debug != 0 && kdp.receive && kdp.send;
}

void kdp_serve_stop(struct kdp_entry *entry, uint32_t exception, uint32_t code)
{
	uint64_t limit = kdp_now() + (uint64_t)kdp.stop_ms * 1000000u;
	enum kdp_end end;

	kdp.deadline_ns = entry ? entry->deadline_ns : limit;
	kdp.panic = entry && entry->panic;
	kdp.had_session = false;
	kdp.again_ns = 0;
	memcpy(kdp.server.config.mac, kdp.mac, 6);
	memcpy(kdp.server.config.ip, kdp.ip, 4);
	if (entry && entry->why)
		sim_log("Debugger called: <%s>", entry->why);
	__atomic_store_n(&kdp.stopped, true, __ATOMIC_SEQ_CST);
	if (kdp.mode)
		(void)kdp.mode(true);
	end = kdp_server_stop(&kdp.server, exception, code, 0, kdp.panic);
	if (kdp.mode)
		(void)kdp.mode(false);
	__atomic_store_n(&kdp.stopped, false, __ATOMIC_SEQ_CST);
	if (end == KDP_END_REBOOT)
		sim_log("kdp: the debugger wants a reboot; this Mac goes on, but is no more");
	if (end == KDP_END_EXPIRED && kdp.again_ns)
		end = KDP_END_DISCONNECTED;
	if (entry)
		entry->result = end == KDP_END_EXPIRED	? -ETIMEDOUT
				: end == KDP_END_REBOOT ? -ESHUTDOWN
							: 0;
}

/* ---- ways in ---- */

bool kdp_put_off(struct kdp_entry *entry)
{
	if (kdp_debugger_lock <= 0)
		return false;
	if (entry->panic) {
		entry->again = kdp_now() < entry->lock_ns && !sim_cpu()->debugger_lock;
		return entry->again;
	}
	if (!entry->key || kdp_now() >= entry->deadline_ns)
		return false;
	__atomic_store_n(&kdp.pending, entry, __ATOMIC_SEQ_CST);
	sim_log("kdp: the debugger lock is held; the stop waits for its release");
	return true;
}

void kdp_entry_done(void)
{
	(void)sem_post(&kdp.done);
}

/* [XNU-KDP-18] A key that came while the lock was held is served by the thread that releases it. */
void kdp_debugger_lock_released(void)
{
	struct kdp_entry *entry =
		__atomic_exchange_n(&kdp.pending, (struct kdp_entry *)0, __ATOMIC_SEQ_CST);

	if (entry)
		sim_debugger_trap(entry);
}

/* Until `done` is posted; false: not by then. */
static bool kdp_wait_done(uint64_t deadline_ns)
{
	struct timespec ts = {(time_t)(deadline_ns / 1000000000u),
			      (long)(deadline_ns % 1000000000u)};
	int rc;

	do
		rc = sem_clockwait(&kdp.done, CLOCK_MONOTONIC, &ts);
	while (rc != 0 && errno == EINTR);
	return rc == 0;
}

static int kdp_key(const char *why, unsigned timeout_ms)
{
	struct kdp_entry entry = {};
	bool served;

	if (!kdp_enabled())
		return -ENODEV;
	/* [XNU-KDP-19] The key does something only with this bit. */
	if (!(kdp.debug & DB_NMI)) {
		sim_log("kdp: the programmer's key needs bit 0x%x in the boot-arg debug", DB_NMI);
		return -ENODEV;
	}
	kdp.stop_ms = timeout_ms;
	entry.why = why;
	entry.key = true;
	entry.deadline_ns = kdp_now() + (uint64_t)timeout_ms * 1000000u;
	sim_debugger_trap(&entry);

	/* Served here at once, or on the thread that has the debugger lock. */
	served = kdp_wait_done(entry.deadline_ns);
	if (!served) {
		struct kdp_entry *mine = &entry;

		if (__atomic_compare_exchange_n(&kdp.pending, &mine, (struct kdp_entry *)0, false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			entry.result = -ETIMEDOUT;
		else /* it has begun, and sees that its time is over */
			(void)kdp_wait_done(kdp_now() + 10 * UINT64_C(1000000000));
	}
	return entry.result;
}

int mac_debugger(const char *why, unsigned timeout_ms)
{
	int rc;

	sim_enter("mac_debugger");
	(void)pthread_mutex_lock(&key_lock);
	rc = kdp_key(why, timeout_ms);
	(void)pthread_mutex_unlock(&key_lock);
	sim_exit();
	return rc;
}

static int kdp_panic(const char *why, unsigned timeout_ms)
{
	struct kdp_entry entry = {};

	if (!kdp_enabled())
		return -ENODEV;
	if (sim_cpu()->level == SIM_DEBUGGER) {
		sim_log("kdp: a panic while the debugger runs");
		return -EBUSY;
	}
	entry.why = why;
	entry.panic = true;
	entry.lock_ns = kdp_now() + (uint64_t)LOCK_WAIT_MS * 1000000u;
	entry.deadline_ns = entry.lock_ns + (uint64_t)timeout_ms * 1000000u;
	/* Only with the world stopped is it known for sure that nobody holds the lock. */
	do {
		if (entry.again)
			kdp_pause(IDLE_US);
		entry.again = false;
		sim_debugger_trap(&entry);
	} while (entry.again);
	return entry.result;
}

void sim_panic_enter(const char *why)
{
	(void)kdp_panic(why, PANIC_WAIT_MS);
}

int mac_panic(const char *why, unsigned timeout_ms)
{
	int rc;

	sim_enter("mac_panic");
	sim_log("panic: %s", why);
	rc = kdp_panic(why, timeout_ms);
	sim_exit();
	return rc;
}

bool mac_stopped(void)
{
	return __atomic_load_n(&kdp.stopped, __ATOMIC_SEQ_CST);
}

/* [XNU-KDP-20] debug=1 stops as soon as there are a device and an address, once. */
static void kdp_halt_at_boot(void)
{
	static const uint8_t none[4] = {};
	struct kdp_entry entry = {};

	if (!(kdp.debug & DB_HALT) || !kdp_enabled() || !memcmp(kdp.ip, none, 4))
		return;
	kdp.debug &= ~DB_HALT;
	entry.why = "debug=1";
	entry.deadline_ns = kdp_now() + (uint64_t)STOP_MS * 1000000u;
	sim_debugger_trap(&entry);
}

void mac_kdp_address(const uint8_t ip[4])
{
	char fixed[32];

	sim_enter("mac_kdp_address");
	/* [XNU-KDP-21] A boot argument is not overwritten by the interface's address. */
	if (!PE_parse_boot_argn("kdp_ip_addr", fixed, sizeof(fixed)))
		memcpy(kdp.ip, ip, 4);
	kdp_halt_at_boot();
	sim_exit();
}

/* ---- the network family's side ---- */

void kdp_register_send_receive(kdp_send *send, kdp_receive *receive)
{
	if (kdp.send || kdp.receive)
		sim_violation("kdp_register_send_receive: there is a debugger's device already");
	kdp.send = send;
	kdp.receive = receive;
	kdp_halt_at_boot();
}

void kdp_unregister_send_receive(kdp_send *send, kdp_receive *receive)
{
	if (kdp.send != send || kdp.receive != receive)
		sim_violation("kdp_unregister_send_receive: not what was registered");
	kdp.send = 0;
	kdp.receive = 0;
}

void kdp_register_link(kdp_link *link, kdp_mode *mode)
{
	if (kdp.link || kdp.mode)
		sim_violation("kdp_register_link: there is one already");
	kdp.link = link;
	kdp.mode = mode;
}

void kdp_unregister_link(kdp_link *link, kdp_mode *mode)
{
	if (kdp.link != link || kdp.mode != mode)
		sim_violation("kdp_unregister_link: not what was registered");
	kdp.link = 0;
	kdp.mode = 0;
}

void kdp_set_mac(const uint8_t mac[6])
{
	memcpy(kdp.mac, mac, 6);
}

/* ---- on and off ---- */

extern "C" const char __executable_start[];

/*
 * [XNU-KDP-22] The text that debuggers know a kernel by: 10.7 adds the UUID of the kernel's file,
 * 10.8 where it lies, if that is not where it was linked.
 */
static void kdp_version_text(void)
{
	size_t at;

	(void)snprintf(kdp.version, sizeof(kdp.version),
		       "Darwin Kernel Version %d.%d.%d: viokit simulation; no kernel of Apple's",
		       version_major, version_minor, version_revision);
	if (sim_release_at_least(7)) {
		at = strlen(kdp.version);
		(void)snprintf(kdp.version + at, sizeof(kdp.version) - at,
			       "; UUID=00000000-0000-4000-8000-%012X",
			       (unsigned)sim_config.release);
	}
	if (sim_release_at_least(8)) {
		at = strlen(kdp.version);
		(void)snprintf(kdp.version + at, sizeof(kdp.version) - at, "; stext=%p",
			       (const void *)__executable_start);
	}
}

void sim_kdp_boot(void)
{
	struct kdp_config config = {};
	char ip[32];

	memset(&kdp, 0, sizeof(kdp));
	kdp.stop_ms = STOP_MS;
	(void)sem_init(&kdp.done, 0, 0);
	if (!PE_parse_boot_argn("debug", &kdp.debug, sizeof(kdp.debug)))
		kdp.debug = 0;
	if (PE_parse_boot_argn("kdp_ip_addr", ip, sizeof(ip)) &&
	    inet_pton(AF_INET, ip, kdp.ip) != 1)
		sim_log("kdp: boot-arg kdp_ip_addr=%s is no address", ip);
	kdp_version_text();
	config.ops = &kdp_sim_ops;
	config.arg = &kdp;
	config.arp = kdp.debug & DB_ARP;
	config.breakpoints = !(kdp.debug & DB_KDP_BP_DIS);
	config.access_errors = sim_release_at_least(9);
	config.cpus_mask = 1;
	config.version = kdp.version;
	kdp_server_init(&kdp.server, &config);
	kdp_trap_boot();
}

void sim_kdp_halt(void)
{
	if (kdp.send || kdp.link)
		sim_violation("the debugger's device is still registered when the Mac is off");
	/* Kexts are gone: a breakpoint in one is somebody else's memory now. */
	for (auto &b : kdp.server.breakpoints) {
		uint8_t byte = 0;

		if (b.address && (kdp_memory_read(b.address, &byte, 1) != 1 || byte != 0xcc))
			b.address = 0;
	}
	kdp_server_reset(&kdp.server);
	kdp_trap_halt();
	(void)sem_destroy(&kdp.done);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kexts out of the package, on a simulated Mac that stands on the machine's memory and card.
 * All that is known of the driver is what a user could see too: the registry and ifconfig.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/board/qemu_board.h"
#include "tools/stack/netif_mac.h"
#include "tools/viorun/driver.h"
#include "tools/viorun/package.h"

#define NET_KEXT   "VirtioNet"
#define NET_ID	   "org.viokit.VirtioNet"
#define PCI_ID	   "org.viokit.VirtioPCI"
#define NET_CLASS  "VirtioNetController"
#define QUIET_MS   10000u
#define FIND_MS	   5000u
#define FRESH_US   1100000u /* the driver writes its counters every second */
#define TEXT	   4096u
#define ARGS	   (OPTIONS_ARGS_MAX + 96u)
#define DEBUG_ARGS "debug=0x144 " /* no reboot, answer ARP, the debugger's NMI */

struct driver_kext {
	struct package package;
	struct mac_pci *pci;
	struct mac_if *ifp;
	struct netif_mac *nm;
	bool booted, stacked;
	char boot_args[ARGS];
	struct vio_net_stats last;
};

static struct report *kext_report; /* of the log; one run a process */

static void kext_log(const char *line)
{
	if (kext_report)
		report_break(kext_report);
	(void)fprintf(stderr, "kernel: %s\n", line);
}

static void kext_boot_args(struct driver_kext *k, const struct options *o)
{
	static const char *const irq[] = {
		[OPTIONS_INTX] = "vio_irq=intx ", [OPTIONS_MSIX] = "vio_irq=msix "};
	char queue[32] = "";

	if (o->queue_size)
		(void)snprintf(queue, sizeof(queue), "vio_queue=%u ", o->queue_size);
	(void)snprintf(k->boot_args, sizeof(k->boot_args), "%s%s%s%s%s",
		       o->kdp_port ? DEBUG_ARGS : "",
		       o->irq == OPTIONS_INTX || o->irq == OPTIONS_MSIX ? irq[o->irq] : "", queue,
		       o->verbose ? "vio_log=3 " : "", o->boot_args ? o->boot_args : "");
}

static bool kext_boot(struct driver_env *env, struct driver_kext *k)
{
	struct mac_config config = {
		.release = (int)env->o->release,
		.boot_args = k->boot_args,
		.seed = (unsigned)stack_now(),
		.quiet = true,
		.ram = qemu_board_ram(&env->m->board),
		.log = env->o->verbose ? kext_log : NULL,
	};
	int err;

	kext_report = env->rp;
	err = mac_boot(&config);
	if (err)
		return driver_fail(env, "the simulated Mac does not start: %s", strerror(-err));
	k->booted = true;
	report_line(env->rp, "kernel",
		    "simulated, of 10.%u%s%s (no macOS kernel was booted: see docs/simulation.md)",
		    env->o->release, *k->boot_args ? ", boot-args " : "", k->boot_args);
	err = mac_pci_add(&qemu_board_ops, qemu_board_function(&env->m->board, 0), "pci1af4", true,
			  &k->pci);
	if (err)
		return driver_fail(env, "the card does not appear on the Mac's bus: %s",
				   strerror(-err));
	return true;
}

static void kext_list(struct driver_env *env)
{
	struct results *r = env->r;
	struct mac_kext_info info;

	for (unsigned i = 0; i < RESULTS_KEXTS && mac_kext_info(i, &info); i++) {
		struct results_kext *to = &r->kexts[r->n_kexts++];

		const char *dot = strrchr(info.identifier, '.');

		(void)snprintf(to->identifier, sizeof(to->identifier), "%s", info.identifier);
		(void)snprintf(to->name, sizeof(to->name), "%s", dot ? dot + 1 : info.identifier);
		(void)snprintf(to->version, sizeof(to->version), "%s", info.version);
		(void)snprintf(to->sha256, sizeof(to->sha256), "%s", info.sha256);
		report_line(env->rp, i ? "" : "kexts", "%s %s, SHA-256 %.16s...", to->name,
			    to->version, to->sha256);
	}
}

static bool kext_load(struct driver_env *env, struct driver_kext *k)
{
	char path[512], why[256] = "";
	int err;

	if (!package_open(&k->package, env->o->package, env->o->release) ||
	    !package_kext(&k->package, NET_KEXT, path, sizeof(path))) {
		env->user_error = env->o->package != NULL;
		return driver_fail(env, "%s", k->package.err);
	}
	report_line(env->rp, "package", "%s%s%s", k->package.from,
		    k->package.component[0] ? ", component " : "", k->package.component);
	err = mac_kext_load(path, why, sizeof(why));
	package_close(&k->package); /* it is in memory now */
	if (err)
		return driver_fail(env, "kextload: %s", why);
	kext_list(env);
	if (!mac_quiet(QUIET_MS))
		return driver_fail(env, "matching does not come to an end");
	return true;
}

/* ---- what the registry says ---- */

static uint64_t kext_number(const char *key)
{
	char text[64];

	return mac_registry_get(NET_CLASS, key, text, sizeof(text)) ? strtoull(text, NULL, 0) : 0;
}

static void kext_info(struct driver_env *env, struct driver_kext *k)
{
	struct vio_net_info *info = &env->r->info;
	struct results_mac *m = &env->r->mac;
	struct mac_if_state state;
	uint64_t f = kext_number("VirtioFeatures");
	char text[64] = "";

	mac_if_state(k->ifp, &state);
	(void)mac_registry_get(NET_CLASS, "VirtioTransport", text, sizeof(text));
	(void)snprintf(m->transport, sizeof(m->transport), "%.*s",
		       (int)strcspn(text + (*text == '"'), "\""), text + (*text == '"'));
	*info = (struct vio_net_info){
		.features = f,
		.offered = kext_number("VirtioFeaturesOffered"),
		.transport = m->transport, /* outlives the driver */
		.mtu = (uint16_t)state.mtu,
		.rx_size = (uint16_t)kext_number("VirtioReceiveQueue"),
		.tx_size = (uint16_t)kext_number("VirtioTransmitQueue"),
		.tx_csum = state.csum4,
		.rx_csum = state.csum4,
		.tx_tso4 = state.tso4,
		.tx_tso6 = state.tso6,
		.rx_lro4 = f >> VIRTIO_NET_F_GUEST_TSO4 & 1,
		.rx_lro6 = f >> VIRTIO_NET_F_GUEST_TSO6 & 1,
		.rx_merge = f >> VIRTIO_NET_F_MRG_RXBUF & 1,
	};
	memcpy(info->mac, state.mac, sizeof(info->mac));
	(void)snprintf(m->interface, sizeof(m->interface), "%s", state.name);
}

static void kext_event(void *arg, const struct mac_if_state *state)
{
	struct driver_env *env = arg;

	if (!env->quiet)
		report_line(env->rp, "link", "%s, media %s (%s)",
			    state->link_active ? "up" : "down", state->selected, state->active);
}

static bool kext_interface(struct driver_env *env, struct driver_kext *k)
{
	static const struct stack_params none;
	struct netif_mac_params p = {.stack = env->stack, .pcap = env->pcap};
	struct stack_params sp = none;
	char interrupts[64] = "";

	k->ifp = mac_if_find("en0", FIND_MS);
	if (!k->ifp)
		return driver_fail(env, "the driver did not bring an interface; -v shows its log");
	kext_info(env, k);
	p.ifp = k->ifp;
	p.pci = k->pci;
	p.event = kext_event;
	p.arg = env;
	sp.stop = env->stop;
	sp.alive = env->alive;
	sp.arg = env->arg;
	if (netif_mac_create(&k->nm, &p, &sp) != VIO_OK)
		return driver_fail(env, "out of memory");
	k->stacked = true;
	report_driver(env->rp, env->r, NULL);
	(void)mac_registry_get(NET_CLASS, "VirtioInterrupts", interrupts, sizeof(interrupts));
	report_line(env->rp, "interrupts", "%s", interrupts);
	return true;
}

static bool kext_open(struct driver_env *env)
{
	struct driver_kext *k = calloc(1, sizeof(*k));

	env->state = k;
	if (!k)
		return driver_fail(env, "out of memory");
	kext_boot_args(k, env->o);
	if (!kext_boot(env, k) || !kext_load(env, k))
		return false;
	if (env->rp->out) {
		report_line(env->rp, "registry", "as ioreg shows it:");
		mac_registry_print(env->rp->out, !env->o->verbose);
	}
	return kext_interface(env, k);
}

static void kext_link(struct driver_env *env, struct vio_net_link *out)
{
	struct driver_kext *k = env->state;
	struct mac_if_state state;

	mac_if_state(k->ifp, &state);
	*out = (struct vio_net_link){
		.up = state.link_active,
		.speed_mbps = (uint32_t)(state.speed / 1000000),
		.full_duplex = true,
	};
	(void)snprintf(env->r->mac.media, sizeof(env->r->mac.media), "%s", state.active);
}

/* ---- counters ---- */

static uint64_t kext_counter(const char *text, const char *name)
{
	char key[48];
	const char *at;

	(void)snprintf(key, sizeof(key), "\"%s\"=", name);
	at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 0) : 0;
}

static void kext_counters(struct vio_net_stats *s)
{
	static char text[TEXT];

	*s = (struct vio_net_stats){.rx = {0}};
	if (!mac_registry_get(NET_CLASS, "VirtioCounters", text, sizeof(text)))
		return;
	s->rx.packets = kext_counter(text, "rx packets");
	s->rx.bytes = kext_counter(text, "rx bytes");
	s->rx.irqs = kext_counter(text, "rx interrupts");
	s->rx.gso = kext_counter(text, "rx large");
	s->rx.csum = kext_counter(text, "rx checksums");
	s->rx.full = kext_counter(text, "rx no buffer");
	s->rx.dropped = kext_counter(text, "rx dropped");
	s->rx.merged = kext_counter(text, "rx merged");
	s->tx.packets = kext_counter(text, "tx packets");
	s->tx.bytes = kext_counter(text, "tx bytes");
	s->tx.irqs = kext_counter(text, "tx interrupts");
	s->tx.gso = kext_counter(text, "tx large");
	s->tx.csum = kext_counter(text, "tx checksums");
	s->tx.full = kext_counter(text, "tx full");
	s->tx.errors = kext_counter(text, "tx refused");
	s->tx.kicks = kext_counter(text, "tx notifications");
	s->config_irqs = kext_counter(text, "config interrupts");
	s->link_changes = kext_counter(text, "link changes");
	s->starts = kext_counter(text, "starts");
	s->breaks = kext_counter(text, "breaks");
}

static void kext_stats(struct driver_env *env, bool fresh, struct vio_net_stats *out)
{
	struct driver_kext *k = env->state;

	if (fresh) {
		(void)stack_run(env->stack, NULL, NULL, stack_now() + FRESH_US);
		kext_counters(&k->last);
	}
	*out = k->last;
}

/* ---- the debugger ---- */

struct kext_stop {
	unsigned timeout_ms;
	int result;
	volatile bool over;
};

static void *kext_stopped(void *arg)
{
	struct kext_stop *s = arg;

	s->result = mac_debugger("viorun --kdp", s->timeout_ms);
	s->over = true;
	return NULL;
}

/* What a debugger needs to find its way: addresses in the kexts' link maps count from these. */
static void kext_addresses(struct driver_env *env)
{
	struct mac_kext_info info;

	for (unsigned i = 0; mac_kext_info(i, &info); i++)
		report_line(env->rp, "", "%s is at 0x%llx", info.identifier,
			    (unsigned long long)info.address);
}

static bool kext_debug(struct driver_env *env, unsigned timeout_ms)
{
	struct kext_stop stop = {.timeout_ms = timeout_ms};
	pthread_t thread;

	mac_kdp_address(env->r->lease.address);
	if (pthread_create(&thread, NULL, kext_stopped, &stop) != 0)
		return driver_fail(env, "no thread for the debugger");
	report_line(env->rp, "debugger", "everything stands still for at most %u s: attach with",
		    timeout_ms / 1000);
	report_line(env->rp, "", "build/tools/kdp/kdp 127.0.0.1:%u", env->o->kdp_port);
	report_line(env->rp, "", "and let it go on with the command detach");
	kext_addresses(env);
	while (!stop.over && !*env->stop) {
		const struct timespec nap = {.tv_nsec = 20000000};

		(void)nanosleep(&nap, NULL);
	}
	if (!stop.over) {
		/* The Mac cannot be switched off while it stands: end all of it. */
		qemu_kill_all();
		(void)fputs("viorun: stopped in the debugger\n", stderr);
		_exit(128 + *env->stop);
	}
	(void)pthread_join(thread, NULL);
	if (stop.result)
		return driver_fail(env, "debugger: %s",
				   stop.result == -ETIMEDOUT ? "nobody let it go on in time"
							     : strerror(-stop.result));
	report_line(env->rp, "debugger", "gone, everything runs again");
	return true;
}

/* ---- the end ---- */

static void kext_unload(struct driver_env *env)
{
	static const char *const ids[] = {NET_ID, PCI_ID};
	uint64_t before = stack_now();
	char why[256] = "";

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		if (mac_kext_loaded(ids[i]) && mac_kext_unload(ids[i], why, sizeof(why)) != 0) {
			report_line(env->rp, "unload", "%s: %s", ids[i], why);
			env->r->mac.leaks++;
			return;
		}
	}
	report_line(env->rp, "unload", "both kexts, %.1f ms", (double)(stack_now() - before) / 1e3);
}

static void kext_keep_results(struct driver_env *env, struct driver_kext *k)
{
	const struct netif_mac_stats *s = netif_mac_stats(k->nm);
	struct results_mac *m = &env->r->mac;
	struct mac_if_state state;

	mac_if_state(k->ifp, &state);
	m->link_ons = state.link_ons;
	m->link_offs = state.link_offs;
	m->tx_tso = s->tx_tso;
	m->tx_csum = s->tx_csum;
	m->rx_good = s->rx_good;
	m->rx_large = s->rx_large;
	m->tx_dropped = s->tx_dropped + state.odropped;
	m->rx_dropped = s->rx_dropped;
	env->r->stats = k->last;
	env->r->netif = (struct netif_vio_stats){
		.tx_frames = s->tx_frames,
		.tx_packets = s->tx_packets,
		.tx_joined = s->tx_joined,
		.tx_dropped = s->tx_dropped,
		.rx_packets = s->rx_packets,
		.rx_large = s->rx_large,
		.rx_dropped = s->rx_dropped,
	};
}

static void kext_close(struct driver_env *env)
{
	struct driver_kext *k = env->state;
	char *leaks = NULL;
	size_t len = 0;
	FILE *out;

	if (!k)
		return;
	if (k->stacked) {
		env->r->leak_buffers = stack_stop(env->stack);
		kext_keep_results(env, k);
		env->r->leak_buffers += stack_destroy(env->stack);
	}
	if (k->booted) {
		kext_unload(env);
		if (k->pci)
			mac_pci_remove(k->pci);
		out = open_memstream(&leaks, &len);
		env->r->mac.leaks += mac_halt(out);
		if (out)
			(void)fclose(out);
		if (env->r->mac.leaks && leaks && *leaks)
			(void)fprintf(stderr, "%s", leaks);
		free(leaks);
	}
	package_close(&k->package);
	free(k);
	env->state = NULL;
	kext_report = NULL;
}

const struct driver_ops driver_kext_ops = {
	.name = "kext",
	.open = kext_open,
	.link = kext_link,
	.stats = kext_stats,
	.debug = kext_debug,
	.close = kext_close,
};

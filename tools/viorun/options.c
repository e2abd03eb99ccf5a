/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/viorun/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vio/net.h"
#include "wire/virtio_net.h"

#define OPTIONS_CARD_NAME "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

const char options_help[] =
	"usage: viorun [options]\n"
	"\n"
	"Drives the virtio network card of a QEMU machine with the viokit driver, in the place of "
	"a\n"
	"guest: DHCP, ping, a TCP download and upload that are verified, and a summary. By "
	"default\n"
	"the driver is the kexts out of the installer package, on a simulated macOS kernel.\n"
	"\n"
	"  --driver D             kext (default); core: the same C driver without a kernel around "
	"it\n"
	"  --release R            kext: the kernel to simulate, 10.6 to 10.15 (default 10.13)\n"
	"  --package PATH         kext: an installer package, or a folder with the kexts in it\n"
	"                         (default: the package in the build folder)\n"
	"  --boot-args TEXT       kext: as in nvram boot-args, e.g. \"vio_log=3 vio_irq=intx\"\n"
	"  --kdp PORT             kext: before the transfers stop in the kernel debugger, on\n"
	"                         this UDP port (see build/tools/kdp/kdp --help); needs --net "
	"user\n"
	"  --transport T          modern (default), transitional, legacy\n"
	"  --machine M            pc (default), or q35: the card behind a PCIe root port\n"
	"  --net N                user: QEMU's own network, needs nothing; tap: a TAP in a "
	"network\n"
	"                         namespace of its own, offloads included; auto (default for "
	"kext):\n"
	"                         tap if this machine allows it, else user\n"
	"  --net-fd N             the card is on this open descriptor, a stream as QEMU frames it "
	"(as\n"
	"                         vmnet run hands out), and what to do is read from standard "
	"input:\n"
	"                         ping ADDRESS [SIZE], get|put ADDRESS PORT BYTES, serve PORT, "
	"renew,\n"
	"                         quit; answers are JSON, one line each\n"
	"  --irq I                msix-each (default of core): a vector per queue; msix: one for "
	"all;\n"
	"                         intx; poll: none. kext: msix, intx or auto (default, by "
	"release)\n"
	"  --no-msix              a card without MSI-X; interrupts are intx then\n"
	"  --queue-size N         entries of a queue: power of two, 64 to 1024 (above 256 QEMU\n"
	"                         follows for receive only)\n"
	"  --card PROPS           comma-separated properties of QEMU's card, which both drivers "
	"have "
	"to\n"
	"                         live with; e.g. host_tso4=off,mrg_rxbuf=off\n"
	"  --features LIST        core: comma-separated, names of the specification: -name is not\n"
	"                         used, +name or name must be there; e.g. -mrg_rxbuf,+event_idx\n"
	"  --bytes N[K|M|G]       size of each transfer (default 64M)\n"
	"  --idle S               seconds to stand still before each transfer (default 0)\n"
	"  --port N               TCP port of the server on this side (default: any free one)\n"
	"  --timeout S            seconds for the whole run (default 55; with --kdp 600)\n"
	"  --pcap FILE            write all frames, as the driver sees them\n"
	"  --json FILE            write the results; - is standard output, and then nothing else "
	"is\n"
	"  --qemu PATH            the program to run (default: $VIOKIT_QEMU or "
	"qemu-system-x86_64)\n"
	"  -v, --verbose          the driver's own log and more counters\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"Exit status: 0 all is well; 1 something failed; 2 the command line is wrong.\n";

static const char *const transports[] = {"modern", "transitional", "legacy", NULL};
static const char *const machines[] = {"pc", "q35", NULL};
static const char *const irqs[] = {"intx", "msix", "msix-each", "poll", "auto", NULL};
static const char *const nets[] = {"user", "tap", "auto", "fd", NULL};
static const char *const drivers[] = {"kext", "core", NULL};

const char *options_transport_name(enum options_transport t)
{
	return transports[t];
}

const char *options_machine_name(enum options_machine m)
{
	return machines[m];
}

const char *options_irq_name(enum options_irq i)
{
	return irqs[i];
}

const char *options_net_name(enum options_net n)
{
	return nets[n];
}

__attribute__((format(printf, 2, 3))) static bool options_wrong(struct options *o, const char *fmt,
								...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(o->err, sizeof(o->err), fmt, ap);
	va_end(ap);
	return false;
}

/* ---- features ---- */

static const char *const prefixes[] = {"virtio_net_f_", "virtio_ring_f_", "virtio_f_", "virtio_"};

static const char *options_unprefixed(const char *name)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return name + strlen(prefixes[i]);
	return name;
}

static bool options_lower(char *dst, size_t size, const char *src, size_t len)
{
	if (len >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		dst[i] = (char)tolower((unsigned char)src[i]);
	dst[len] = '\0';
	return true;
}

const char *options_feature_name(unsigned bit, char buf[OPTIONS_FEATURE_LEN])
{
	const char *name = vio_net_feature_name(bit);

	if (!name || !options_lower(buf, OPTIONS_FEATURE_LEN, name, strlen(name)))
		return NULL;
	return options_unprefixed(buf);
}

static const struct options_alias {
	const char *name;
	uint64_t bits;
} aliases[] = {
	{"tso4", VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4)},
	{"tso6", VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6)},
	{"ecn", VIRTIO_BIT(VIRTIO_NET_F_HOST_ECN) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_ECN)},
	{"ufo", VIRTIO_BIT(VIRTIO_NET_F_HOST_UFO) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_UFO)},
	{"lro", VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) | VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6)},
};

uint64_t options_feature_bits(const char *name, size_t len)
{
	char want[OPTIONS_FEATURE_LEN * 2], buf[OPTIONS_FEATURE_LEN];
	const char *bare;

	if (!options_lower(want, sizeof(want), name, len))
		return 0;
	bare = options_unprefixed(want);
	for (unsigned bit = 0; bit < 64; bit++) {
		const char *have = options_feature_name(bit, buf);

		if (have && !strcmp(have, bare))
			return UINT64_C(1) << bit;
	}
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (!strcmp(aliases[i].name, want))
			return aliases[i].bits;
	return 0;
}

static bool options_features(struct options *o, const char *list)
{
	while (*list) {
		size_t len = strcspn(list, ",");
		bool off = *list == '-';
		size_t sign = off || *list == '+';
		uint64_t bits = options_feature_bits(list + sign, len - (len ? sign : 0));

		if (!bits)
			return options_wrong(
				o,
				"--features: no feature '%.*s'; names are those of the "
				"specification, such as mrg_rxbuf or event_idx",
				(int)(len - (len ? sign : 0)), list + sign);
		if (bits & VIRTIO_BIT(VIRTIO_F_VERSION_1))
			return options_wrong(o, "--features: version_1 is chosen by --transport "
						"modern or legacy");
		*(off ? &o->features_off : &o->features_needed) |= bits;
		list += len;
		if (*list == ',' && list[1] == '\0')
			return options_wrong(o, "--features: the list ends in a comma");
		list += *list == ',';
	}
	if (o->features_off & o->features_needed)
		return options_wrong(o, "--features: a feature is both asked for and switched off");
	return true;
}

/* ---- values ---- */

static bool options_word(struct options *o, const char *option, const char *value,
			 const char *const *words, unsigned *out)
{
	char all[64] = "";

	for (unsigned i = 0; words[i]; i++) {
		size_t at = strlen(all);

		if (!strcmp(value, words[i])) {
			*out = i;
			return true;
		}
		(void)snprintf(all + at, sizeof(all) - at, "%s%s", at ? ", " : "", words[i]);
	}
	return options_wrong(o, "--%s: '%.40s' is not one of %s", option, value, all);
}

/* A decimal number with an optional K, M or G. */
static bool options_number(struct options *o, const char *option, const char *value, bool suffix,
			   uint64_t min, uint64_t max, uint64_t *out)
{
	static const char units[] = "KMG";
	const char *unit = NULL;
	unsigned shift = 0;
	uint64_t v;
	char *end;

	errno = 0;
	v = strtoull(value, &end, 10);
	if (suffix && *end)
		unit = strchr(units, toupper((unsigned char)*end));
	if (unit) {
		shift = 10u * (unsigned)(unit - units + 1);
		end++;
	}
	if (errno || !isdigit((unsigned char)*value) || *end || v > max >> shift ||
	    v << shift < min)
		return options_wrong(o, "--%s: '%.40s' is not a number from %llu to %llu", option,
				     value, (unsigned long long)min, (unsigned long long)max);
	*out = v << shift;
	return true;
}

static bool options_queue(struct options *o, const char *value)
{
	uint64_t n = 0;

	if (!options_number(o, "queue-size", value, false, OPTIONS_QUEUE_MIN, OPTIONS_QUEUE_MAX,
			    &n))
		return false;
	if (n & (n - 1))
		return options_wrong(o, "--queue-size: %s is not a power of two", value);
	o->queue_size = (uint16_t)n;
	return true;
}

static bool options_path(struct options *o, const char *option, const char *value, const char **out)
{
	if (!*value)
		return options_wrong(o, "--%s: the file name is empty", option);
	*out = value;
	return true;
}

static bool options_release(struct options *o, const char *value)
{
	uint64_t n = 0;
	char *end = NULL;

	if (!strncmp(value, "10.", 3) && isdigit((unsigned char)value[3]))
		n = strtoull(value + 3, &end, 10);
	if (!end || *end || n < OPTIONS_RELEASE_MIN || n > OPTIONS_RELEASE_MAX)
		return options_wrong(o, "--release: '%.40s' is not one of 10.6 to 10.15", value);
	o->release = (unsigned)n;
	return true;
}

/* What QEMU is to make of a property is QEMU's to say; here only what is one. */
static bool options_card(struct options *o, const char *list)
{
	if (strlen(list) >= OPTIONS_CARD_MAX)
		return options_wrong(o, "--card: more than %u characters", OPTIONS_CARD_MAX - 1);
	o->card = list;
	do {
		size_t len = strcspn(list, ","), name = strspn(list, OPTIONS_CARD_NAME);

		if (!name || name >= len || list[name] != '=' || name + 1 == len)
			return options_wrong(o,
					     "--card: '%.*s' is not a property and its value, "
					     "such as mrg_rxbuf=off",
					     (int)len, list);
		if (name == 2 && !strncmp(list, "id", 2))
			return options_wrong(o, "--card: the card's id is not to be chosen");
		list += len;
	} while (*list++);
	return true;
}

/* ---- the line ---- */

enum options_code {
	O_DRIVER = 1,
	O_RELEASE,
	O_PACKAGE,
	O_BOOT_ARGS,
	O_KDP,
	O_TRANSPORT,
	O_MACHINE,
	O_NET,
	O_NET_FD,
	O_IRQ,
	O_NO_MSIX,
	O_QUEUE,
	O_FEATURES,
	O_CARD,
	O_BYTES,
	O_IDLE,
	O_PORT,
	O_TIMEOUT,
	O_PCAP,
	O_JSON,
	O_QEMU,
};

static const struct option options_long[] = {
	{"driver", required_argument, NULL, O_DRIVER},
	{"release", required_argument, NULL, O_RELEASE},
	{"package", required_argument, NULL, O_PACKAGE},
	{"boot-args", required_argument, NULL, O_BOOT_ARGS},
	{"kdp", required_argument, NULL, O_KDP},
	{"transport", required_argument, NULL, O_TRANSPORT},
	{"machine", required_argument, NULL, O_MACHINE},
	{"net", required_argument, NULL, O_NET},
	{"net-fd", required_argument, NULL, O_NET_FD},
	{"irq", required_argument, NULL, O_IRQ},
	{"no-msix", no_argument, NULL, O_NO_MSIX},
	{"queue-size", required_argument, NULL, O_QUEUE},
	{"features", required_argument, NULL, O_FEATURES},
	{"card", required_argument, NULL, O_CARD},
	{"bytes", required_argument, NULL, O_BYTES},
	{"idle", required_argument, NULL, O_IDLE},
	{"port", required_argument, NULL, O_PORT},
	{"timeout", required_argument, NULL, O_TIMEOUT},
	{"pcap", required_argument, NULL, O_PCAP},
	{"json", required_argument, NULL, O_JSON},
	{"qemu", required_argument, NULL, O_QEMU},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static bool options_one(struct options *o, int code, const char *value)
{
	unsigned word = 0;
	uint64_t n = 0;
	bool ok = true;

	switch (code) {
	case O_DRIVER:
		ok = options_word(o, "driver", value, drivers, &word);
		o->driver = (enum options_driver)word;
		return ok;
	case O_RELEASE:
		return options_release(o, value);
	case O_PACKAGE:
		return options_path(o, "package", value, &o->package);
	case O_BOOT_ARGS:
		o->boot_args = value;
		if (strlen(value) >= OPTIONS_ARGS_MAX)
			return options_wrong(o, "--boot-args: more than %u characters",
					     OPTIONS_ARGS_MAX - 1);
		return true;
	case O_KDP:
		ok = options_number(o, "kdp", value, false, 1, UINT16_MAX, &n);
		o->kdp_port = (uint16_t)n;
		return ok;
	case O_TRANSPORT:
		ok = options_word(o, "transport", value, transports, &word);
		o->transport = (enum options_transport)word;
		return ok;
	case O_MACHINE:
		ok = options_word(o, "machine", value, machines, &word);
		o->machine = (enum options_machine)word;
		return ok;
	case O_NET:
		ok = options_word(o, "net", value, nets, &word);
		o->net = (enum options_net)word;
		if (ok && o->net == OPTIONS_FD)
			return options_wrong(o, "--net: fd is said with --net-fd N");
		return ok;
	case O_NET_FD:
		ok = options_number(o, "net-fd", value, false, 0, INT_MAX, &n);
		o->net_fd = (int)n;
		return ok;
	case O_IRQ:
		ok = options_word(o, "irq", value, irqs, &word);
		o->irq = (enum options_irq)word;
		return ok;
	case O_QUEUE:
		return options_queue(o, value);
	case O_FEATURES:
		return options_features(o, value);
	case O_CARD:
		return options_card(o, value);
	case O_BYTES:
		return options_number(o, "bytes", value, true, 1, OPTIONS_BYTES_MAX, &o->bytes);
	case O_IDLE:
		ok = options_number(o, "idle", value, false, 0, OPTIONS_TIMEOUT_MAX, &n);
		o->idle_s = (unsigned)n;
		return ok;
	case O_PORT:
		ok = options_number(o, "port", value, false, 1, UINT16_MAX, &n);
		o->port = (uint16_t)n;
		return ok;
	case O_TIMEOUT:
		ok = options_number(o, "timeout", value, false, 1, OPTIONS_TIMEOUT_MAX, &n);
		o->timeout_s = (unsigned)n;
		return ok;
	case O_PCAP:
		return options_path(o, "pcap", value, &o->pcap);
	case O_JSON:
		return options_path(o, "json", value, &o->json);
	case O_QEMU:
		return options_path(o, "qemu", value, &o->qemu);
	default:
		return options_wrong(o, "internal error: option %d", code);
	}
}

/* What only one of the drivers has. `given` are the options of the line, by code. */
static bool options_of_driver(struct options *o, uint64_t given)
{
	static const struct {
		enum options_driver only;
		int code;
		const char *name;
	} all[] = {
		{OPTIONS_KEXT, O_RELEASE, "--release"},	    {OPTIONS_KEXT, O_PACKAGE, "--package"},
		{OPTIONS_KEXT, O_BOOT_ARGS, "--boot-args"}, {OPTIONS_KEXT, O_KDP, "--kdp"},
		{OPTIONS_CORE, O_FEATURES, "--features"},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if ((given >> all[i].code & 1) && all[i].only != o->driver)
			return options_wrong(o, "%s is for --driver %s", all[i].name,
					     drivers[all[i].only]);
	}
	if (o->driver == OPTIONS_KEXT && (o->irq == OPTIONS_MSIX_EACH || o->irq == OPTIONS_POLL))
		return options_wrong(o,
				     "--irq %s is for --driver core; the kexts take auto, msix "
				     "or intx",
				     irqs[o->irq]);
	if (o->driver == OPTIONS_CORE && o->irq == OPTIONS_IRQ_AUTO)
		return options_wrong(o, "--irq auto is for --driver kext");
	if ((given >> O_NET_FD & 1) && (given >> O_NET & 1 || o->kdp_port))
		return options_wrong(o, "--net-fd excludes --net and --kdp");
	if (o->kdp_port && o->net == OPTIONS_TAP)
		return options_wrong(o, "--kdp needs --net user, which forwards the port");
	return true;
}

/* What was not said. */
static void options_fill(struct options *o, uint64_t given)
{
	bool kext = o->driver == OPTIONS_KEXT;

	if (!(given >> O_IRQ & 1)) {
		o->irq = kext ? OPTIONS_IRQ_AUTO : OPTIONS_MSIX_EACH;
		if (o->no_msix)
			o->irq = OPTIONS_INTX;
	}
	if (!(given >> O_NET & 1))
		o->net = kext && !o->kdp_port ? OPTIONS_AUTO : OPTIONS_USER;
	if (given >> O_NET_FD & 1)
		o->net = OPTIONS_FD;
}

/* What fits alone but not together. */
static bool options_agree(struct options *o, uint64_t given)
{
	options_fill(o, given);
	if (!options_of_driver(o, given))
		return false;
	if (o->no_msix && (o->irq == OPTIONS_MSIX || o->irq == OPTIONS_MSIX_EACH))
		return options_wrong(o,
				     "--no-msix and --irq %s exclude each other; use --irq intx "
				     "or poll",
				     irqs[o->irq]);
	if (o->transport == OPTIONS_LEGACY && o->queue_size && o->queue_size < OPTIONS_QUEUE_QEMU)
		return options_wrong(o,
				     "--queue-size: a legacy device's queues cannot be made "
				     "smaller than its own %u",
				     OPTIONS_QUEUE_QEMU);
	if (o->json && strcmp(o->json, "-") != 0 && o->pcap && !strcmp(o->json, o->pcap))
		return options_wrong(o, "--json and --pcap name the same file");
	return true;
}

enum options_result options_parse(struct options *o, int argc, char *const *argv)
{
	uint64_t given = 0;
	int code;

	*o = (struct options){
		.release = OPTIONS_RELEASE,
		.bytes = OPTIONS_BYTES,
		.timeout_s = OPTIONS_TIMEOUT_S,
	};
	optind = 0; /* from the start, each time */
	while ((code = getopt_long(argc, argv, ":hvV", options_long, NULL)) != -1) {
		int at = optind - 1;

		switch (code) {
		case 'h':
			return OPTIONS_HELP;
		case 'V':
			return OPTIONS_VERSION;
		case 'v':
			o->verbose = true;
			break;
		case O_NO_MSIX:
			o->no_msix = true;
			break;
		case ':':
			(void)options_wrong(o, "%.40s needs a value; see viorun --help", argv[at]);
			return OPTIONS_WRONG;
		case '?':
			(void)options_wrong(o, "unknown option %.40s; see viorun --help",
					    argv[at > 0 ? at : 1]);
			return OPTIONS_WRONG;
		default:
			if (code > 0 && code < 64)
				given |= UINT64_C(1) << code;
			if (!options_one(o, code, optarg))
				return OPTIONS_WRONG;
		}
	}
	if (optind < argc) {
		(void)options_wrong(o, "unexpected argument '%.40s'; see viorun --help",
				    argv[optind]);
		return OPTIONS_WRONG;
	}
	if ((o->kdp_port || given >> O_NET_FD & 1) && !(given >> O_TIMEOUT & 1))
		o->timeout_s = OPTIONS_KDP_S;
	return options_agree(o, given) ? OPTIONS_RUN : OPTIONS_WRONG;
}

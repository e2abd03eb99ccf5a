/* SPDX-License-Identifier: BSD-2-Clause */
/* viorun's command line: what is understood, and that what is not is refused in one line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tools/viorun/options.h"
#include "wire/virtio_net.h"

#define ARGS 12u

static struct options o;

/* A command line, split at blanks. */
static enum options_result parse(const char *line)
{
	static char buf[512];
	char *argv[ARGS + 2] = {(char[]){"viorun"}}, *save = NULL;
	enum options_result result;
	int argc = 1;

	(void)snprintf(buf, sizeof(buf), "%s", line);
	for (char *w = strtok_r(buf, " ", &save); w && argc <= (int)ARGS;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	result = options_parse(&o, argc, argv);
	if (result == OPTIONS_WRONG) {
		assert_true(o.err[0] != '\0');
		assert_null(strchr(o.err, '\n'));
	}
	return result;
}

static void wrong(const char *line, const char *says)
{
	if (parse(line) != OPTIONS_WRONG)
		fail_msg("accepted: %s", line);
	if (!strstr(o.err, says))
		fail_msg("%s: says \"%s\", not \"%s\"", line, o.err, says);
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(""), OPTIONS_RUN);
	assert_int_equal(o.transport, OPTIONS_MODERN);
	assert_int_equal(o.machine, OPTIONS_PC);
	assert_int_equal(o.driver, OPTIONS_KEXT);
	assert_int_equal(o.release, 13);
	assert_int_equal(o.irq, OPTIONS_IRQ_AUTO);
	assert_int_equal(o.net, OPTIONS_AUTO);
	assert_int_equal(parse("--driver core"), OPTIONS_RUN);
	assert_int_equal(o.driver, OPTIONS_CORE);
	assert_int_equal(o.irq, OPTIONS_MSIX_EACH);
	assert_int_equal(o.net, OPTIONS_USER);
	assert_int_equal(o.bytes, 64u << 20);
	assert_int_equal(o.timeout_s, OPTIONS_TIMEOUT_S);
	assert_int_equal(o.queue_size, 0);
	assert_int_equal(o.features_off | o.features_needed, 0);
	assert_null(o.json);
	assert_null(o.pcap);
}

static void all_options(void **state)
{
	(void)state;
	assert_int_equal(parse("--driver core --transport legacy --machine q35 --net tap "
			       "--irq msix --queue-size=512"),
			 OPTIONS_RUN);
	assert_int_equal(o.transport, OPTIONS_LEGACY);
	assert_int_equal(o.machine, OPTIONS_Q35);
	assert_int_equal(o.net, OPTIONS_TAP);
	assert_int_equal(o.irq, OPTIONS_MSIX);
	assert_int_equal(o.queue_size, 512);

	assert_int_equal(parse("--bytes 3K --port 8080 --timeout 7 --pcap a.pcap --json - -v"),
			 OPTIONS_RUN);
	assert_int_equal(o.bytes, 3072);
	assert_int_equal(o.port, 8080);
	assert_int_equal(o.timeout_s, 7);
	assert_string_equal(o.pcap, "a.pcap");
	assert_string_equal(o.json, "-");
	assert_true(o.verbose);

	assert_int_equal(parse("--driver core --qemu /x/qemu --irq poll"), OPTIONS_RUN);
	assert_string_equal(o.qemu, "/x/qemu");
	assert_int_equal(parse("--help --wrong"), OPTIONS_HELP);
	assert_int_equal(parse("-V"), OPTIONS_VERSION);
}

/* What only one of the drivers has. */
static void of_one_driver(void **state)
{
	(void)state;
	assert_int_equal(parse("--release 10.6 --package x.pkg --boot-args vio_log=3"),
			 OPTIONS_RUN);
	assert_int_equal(o.release, 6);
	assert_string_equal(o.package, "x.pkg");
	assert_string_equal(o.boot_args, "vio_log=3");
	assert_int_equal(parse("--driver kext --release=10.15 --irq intx --net user"), OPTIONS_RUN);
	assert_int_equal(o.release, 15);
	assert_int_equal(o.irq, OPTIONS_INTX);
	assert_int_equal(parse("--kdp 41139"), OPTIONS_RUN);
	assert_int_equal(o.kdp_port, 41139);
	assert_int_equal(o.net, OPTIONS_USER);
	wrong("--kdp 41139 --net tap", "--net user");
	wrong("--kdp 0", "--kdp");
	wrong("--package=", "empty");
	wrong("--irq poll", "--driver core");
	wrong("--irq msix-each", "--driver core");
	wrong("--features -tso4", "--driver core");
	wrong("--driver core --irq auto", "--driver kext");
	wrong("--driver core --release 10.6", "--driver kext");
	wrong("--driver core --kdp 1", "--driver kext");
	wrong("--driver core --boot-args x", "--driver kext");
	wrong("--driver core --package x", "--driver kext");
	wrong("--release 10.5", "10.6 to 10.15");
	wrong("--release 10.16", "10.6 to 10.15");
	wrong("--release 10.", "10.6 to 10.15");
	wrong("--release 10.6.8", "10.6 to 10.15");
	wrong("--release 13", "10.6 to 10.15");
	wrong("--release 10.-9", "10.6 to 10.15");
}

static void numbers(void **state)
{
	(void)state;
	assert_int_equal(parse("--bytes 1"), OPTIONS_RUN);
	assert_int_equal(parse("--bytes 1g"), OPTIONS_RUN);
	assert_int_equal(o.bytes, 1u << 30);
	assert_int_equal(parse("--bytes 1024G"), OPTIONS_RUN);
	wrong("--bytes 1025G", "--bytes");
	wrong("--bytes 0", "--bytes");
	wrong("--bytes 0K", "--bytes");
	wrong("--bytes -1", "--bytes");
	wrong("--bytes 1KK", "--bytes");
	wrong("--bytes K", "--bytes");
	wrong("--bytes 99999999999999999999999", "--bytes");
	wrong("--bytes 18446744073709551615G", "--bytes");
	wrong("--port 0", "--port");
	wrong("--port 65536", "--port");
	wrong("--port 80K", "--port");
	wrong("--port http", "--port");
	assert_int_equal(parse("--idle 0"), OPTIONS_RUN);
	assert_int_equal(parse("--idle 15"), OPTIONS_RUN);
	assert_int_equal(o.idle_s, 15);
	wrong("--idle -1", "--idle");
	wrong("--timeout 0", "--timeout");
	wrong("--timeout 1.5", "--timeout");
}

static void words(void **state)
{
	(void)state;
	wrong("--transport mmio", "modern, transitional, legacy");
	wrong("--machine microvm", "pc, q35");
	wrong("--irq edge", "intx, msix, msix-each, poll, auto");
	wrong("--net bridge", "user, tap, auto");
	wrong("--driver other", "kext, core");
	wrong("--nonsense", "--nonsense");
	wrong("-x", "-x");
	wrong("--irq", "--irq needs a value");
	wrong("extra", "'extra'");
}

static void queue_size(void **state)
{
	(void)state;
	for (unsigned n = 64; n <= 1024; n *= 2) {
		char line[40];

		(void)snprintf(line, sizeof(line), "--queue-size %u", n);
		assert_int_equal(parse(line), OPTIONS_RUN);
		assert_int_equal(o.queue_size, n);
	}
	wrong("--queue-size 32", "64 to 1024");
	wrong("--queue-size 2048", "64 to 1024");
	wrong("--queue-size 100", "power of two");
	wrong("--transport legacy --queue-size 128", "legacy");
	assert_int_equal(parse("--transport legacy --queue-size 1024"), OPTIONS_RUN);
}

static void interrupts(void **state)
{
	(void)state;
	assert_int_equal(parse("--no-msix"), OPTIONS_RUN);
	assert_int_equal(o.irq, OPTIONS_INTX);
	assert_true(o.no_msix);
	assert_int_equal(parse("--driver core --irq poll --no-msix"), OPTIONS_RUN);
	assert_int_equal(o.irq, OPTIONS_POLL);
	wrong("--no-msix --irq msix", "exclude");
	wrong("--driver core --irq msix-each --no-msix", "exclude");
}

static void features(void **state)
{
	(void)state;
	assert_int_equal(parse("--driver core --features -mrg_rxbuf,+event_idx,csum"), OPTIONS_RUN);
	assert_int_equal(o.features_off, VIRTIO_BIT(VIRTIO_NET_F_MRG_RXBUF));
	assert_int_equal(o.features_needed,
			 VIRTIO_BIT(VIRTIO_F_EVENT_IDX) | VIRTIO_BIT(VIRTIO_NET_F_CSUM));

	assert_int_equal(
		parse("--driver core --features=-VIRTIO_NET_F_Host_TSO4,virtio_f_indirect_desc"),
		OPTIONS_RUN);
	assert_int_equal(o.features_off, VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4));
	assert_int_equal(o.features_needed, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC));

	assert_int_equal(parse("--driver core --features -tso4,-lro --features -ctrl_vq"),
			 OPTIONS_RUN);
	assert_int_equal(o.features_off, VIRTIO_BIT(VIRTIO_NET_F_HOST_TSO4) |
						 VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO4) |
						 VIRTIO_BIT(VIRTIO_NET_F_GUEST_TSO6) |
						 VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ));

	wrong("--driver core --features warp", "'warp'");
	wrong("--driver core --features -", "no feature ''");
	wrong("--driver core --features mac,,status", "no feature ''");
	wrong("--driver core --features mac,", "comma");
	wrong("--driver core --features -mac,+mac", "both");
	wrong("--driver core --features -version_1", "--transport");
	wrong("--driver core --features "
	      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	      "no feature");
}

static void card(void **state)
{
	(void)state;
	assert_int_equal(parse("--card host_tso4=off,mrg_rxbuf=off"), OPTIONS_RUN);
	assert_string_equal(o.card, "host_tso4=off,mrg_rxbuf=off");
	assert_int_equal(parse("--driver core --card=x-txburst=64"), OPTIONS_RUN);
	assert_int_equal(parse(""), OPTIONS_RUN);
	assert_null(o.card);
	wrong("--card=", "not a property");
	wrong("--card mrg_rxbuf", "'mrg_rxbuf' is not a property");
	wrong("--card mrg_rxbuf=", "not a property");
	wrong("--card =off", "not a property");
	wrong("--card mac=off,", "'' is not a property");
	wrong("--card ,mac=off", "'' is not a property");
	wrong("--card id=nic1", "id");
}

/* Every name this program writes, it reads. */
static void names_round_trip(void **state)
{
	char buf[OPTIONS_FEATURE_LEN];
	unsigned named = 0;

	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		const char *name = options_feature_name(bit, buf);

		if (!name)
			continue;
		named++;
		assert_int_equal(options_feature_bits(name, strlen(name)), VIRTIO_BIT(bit));
	}
	assert_true(named > 25);
}

static void files(void **state)
{
	(void)state;
	wrong("--json a --pcap a", "same file");
	wrong("--json=", "empty");
	wrong("--pcap=", "empty");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),	 cmocka_unit_test(all_options),
		cmocka_unit_test(numbers),	 cmocka_unit_test(words),
		cmocka_unit_test(queue_size),	 cmocka_unit_test(interrupts),
		cmocka_unit_test(features),	 cmocka_unit_test(names_round_trip),
		cmocka_unit_test(files),	 cmocka_unit_test(card),
		cmocka_unit_test(of_one_driver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

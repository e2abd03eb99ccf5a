/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Definitions: texts to values, JSON to definitions and back, what is refused and how, and the
 * choice of a subnet in a network namespace that has addresses and routes of our making.
 */
#include "tests/unit/cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/netd/netdef.h"
#include "tests/host/own_ns.h"

static char err[NETDEF_ERR_MAX];

static uint32_t ip(const char *text)
{
	uint32_t out;

	assert_true(netdef_parse_addr4(text, &out));
	return out;
}

/* A definition from JSON with ' for ". */
static bool define(struct netdef *d, const char *name, const char *text)
{
	char *json = strdup(text);
	json_error_t error;
	json_t *o;
	bool ok;

	for (char *c = json; *c; c++)
		if (*c == '\'')
			*c = '"';
	o = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!o)
		fail_msg("%s: %s", text, error.text);
	*err = '\0';
	ok = netdef_from_json(d, name, o, err);
	json_decref(o);
	free(json);
	return ok;
}

static void good(struct netdef *d, const char *text)
{
	if (!define(d, "dev", text))
		fail_msg("%s: %s", text, err);
}

static void refused(const char *text, const char *want)
{
	struct netdef d;

	if (define(&d, "dev", text))
		fail_msg("taken: %s", text);
	if (strcmp(err, want) != 0)
		fail_msg("%s\n  got:  %s\n  want: %s", text, err, want);
	netdef_free(&d);
}

/* ---- texts ---- */

static void test_addresses(void **state)
{
	static const char *const bad[] = {"",	      "1.2.3",	  "1.2.3.4.5", "256.1.1.1",
					  "1.2.3.4 ", " 1.2.3.4", "01.2.3.4",  "1.2.3.x"};
	uint32_t v, net, mask;
	char out[16];

	(void)state;
	assert_true(netdef_parse_addr4("192.168.64.1", &v));
	assert_int_equal(v, 0xc0a84001);
	netdef_format_addr4(v, out);
	assert_string_equal(out, "192.168.64.1");
	for (unsigned i = 0; i < COUNT(bad); i++)
		assert_false(netdef_parse_addr4(bad[i], &v));
	assert_true(netdef_parse_cidr4("10.1.2.3/8", &net, &mask, err));
	assert_int_equal(net, 0x0a000000);
	assert_int_equal(mask, 0xff000000);
	assert_true(netdef_parse_cidr4("10.1.2.3/32", &net, &mask, err));
	assert_int_equal(mask, 0xffffffff);
	assert_true(netdef_parse_cidr4("0.0.0.0/0", &net, &mask, err));
	assert_int_equal(mask, 0);
	assert_false(netdef_parse_cidr4("10.1.2.3", &net, &mask, err));
	assert_false(netdef_parse_cidr4("10.1.2.3/33", &net, &mask, err));
	assert_false(netdef_parse_cidr4("10.1.2.3/", &net, &mask, err));
	assert_false(netdef_parse_cidr4("10.1.2.3/-1", &net, &mask, err));
	assert_false(netdef_parse_cidr4("10.1.2.3/24x", &net, &mask, err));
	assert_false(netdef_parse_cidr4("111.111.111.111.111/24", &net, &mask, err));
	assert_string_equal(err, "\"111.111.111.111.111/24\" is no subnet; write one like "
				 "192.168.64.0/24");
}

static void test_macs(void **state)
{
	static const char *const bad[] = {"",
					  "02:00:00:00:00",
					  "02:00:00:00:00:01:02",
					  "02:00:00:00:00:0g",
					  "02:00:00:00:00:001",
					  "03:00:00:00:00:01",
					  "00:00:00:00:00:00",
					  "ff:ff:ff:ff:ff:ff",
					  "020000000001",
					  "02:00:00:00::01"};
	static const uint8_t want[6] = {2, 0, 0xab, 0, 0, 1};
	uint8_t mac[6];
	char out[18];

	(void)state;
	assert_true(netdef_parse_mac("02:00:aB:00:00:01", mac));
	assert_memory_equal(mac, want, 6);
	assert_true(netdef_parse_mac("2-0-ab-0-0-1", mac));
	assert_memory_equal(mac, want, 6);
	netdef_format_mac(mac, out);
	assert_string_equal(out, "02:00:ab:00:00:01");
	for (unsigned i = 0; i < COUNT(bad); i++)
		if (netdef_parse_mac(bad[i], mac))
			fail_msg("taken: %s", bad[i]);
}

static void test_rates(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} rates[] = {{"0", 0},
		     {"none", 0},
		     {"off", 0},
		     {"1000", 1000},
		     {"100mbit", 100000000},
		     {"100Mbit", 100000000},
		     {"2.5gbit", 2500000000},
		     {"1.5k", 1500},
		     {"64kbit", 64000},
		     {"1000gbit", 1000000000000},
		     {"1.000000001gbit", 1000000001}};
	static const char *const bad[] = {"",
					  "fast",
					  "-1",
					  "1",
					  "999",
					  "1.",
					  "1.g",
					  ".5m",
					  "1 mbit",
					  "100mbps",
					  "2tb",
					  "1000.1gbit",
					  "1001gbit",
					  "99999999999999999999999",
					  "1.0000000001gbit"};
	static const struct {
		const char *text;
		uint32_t want;
	} sizes[] = {{"0", 0},	     {"1514", 1514},  {"64k", 65536}, {"64KiB", 65536},
		     {"1.5k", 1536}, {"1m", 1 << 20}, {"1g", 1 << 30}};
	uint64_t bps;
	uint32_t v;

	(void)state;
	for (unsigned i = 0; i < COUNT(rates); i++) {
		if (!netdef_parse_rate(rates[i].text, &bps, err))
			fail_msg("%s", err);
		if (bps != rates[i].want)
			fail_msg("%s: %llu", rates[i].text, (unsigned long long)bps);
	}
	for (unsigned i = 0; i < COUNT(bad); i++)
		if (netdef_parse_rate(bad[i], &bps, err))
			fail_msg("taken: %s", bad[i]);
	assert_string_equal(err, "\"1.0000000001gbit\" is no rate; write bits per second like "
				 "100mbit (kbit, mbit, gbit), or none");
	for (unsigned i = 0; i < COUNT(sizes); i++) {
		if (!netdef_parse_size(sizes[i].text, &v, err))
			fail_msg("%s", err);
		assert_int_equal(v, sizes[i].want);
	}
	assert_false(netdef_parse_size("2g", &v, err));
	assert_false(netdef_parse_size("64kbit", &v, err));
	assert_true(netdef_parse_seconds("12h", &v, err));
	assert_int_equal(v, 43200);
	assert_true(netdef_parse_seconds("86400", &v, err));
	assert_false(netdef_parse_seconds("1w", &v, err));
	assert_false(netdef_parse_seconds("4294967296", &v, err));
	assert_false(netdef_parse_seconds("-5", &v, err));
}

static void test_dns_texts(void **state)
{
	static const char *const bad[] = {
		"",	  "dns.example",  "1.1.1.1:", "1.1.1.1:0", "1.1.1.1:65536", "[::1]",
		"[::1]:", "[1.1.1.1]:53", "::1:",     "[::1",	   "[::1]53"};
	struct netdef_dns dns;
	uint8_t prefix[16];

	(void)state;
	assert_true(netdef_parse_dns("1.1.1.1", &dns, err));
	assert_int_equal(dns.port, 53);
	assert_true(netdef_parse_dns("1.1.1.1:5353", &dns, err));
	assert_string_equal(dns.address, "1.1.1.1");
	assert_int_equal(dns.port, 5353);
	assert_true(netdef_parse_dns("2001:db8::1", &dns, err));
	assert_string_equal(dns.address, "2001:db8::1");
	assert_true(netdef_parse_dns("[::1]:54", &dns, err));
	assert_string_equal(dns.address, "::1");
	assert_int_equal(dns.port, 54);
	for (unsigned i = 0; i < COUNT(bad); i++)
		if (netdef_parse_dns(bad[i], &dns, err))
			fail_msg("taken: %s", bad[i]);
	assert_true(netdef_parse_prefix6("fd00:1:2:3::/64", prefix, err));
	assert_true(netdef_parse_prefix6("fd00:1:2:3::", prefix, err));
	assert_true(netdef_parse_prefix6("2001:db8:1:2::/64", prefix, err));
	assert_false(netdef_parse_prefix6("fd00:1:2:3::/48", prefix, err));
	assert_false(netdef_parse_prefix6("fd00:1:2:3::1/64", prefix, err));
	assert_false(netdef_parse_prefix6("fe80::/64", prefix, err));
	assert_false(netdef_parse_prefix6("ff02::/64", prefix, err));
	assert_false(netdef_parse_prefix6("::/64", prefix, err));
	assert_false(netdef_parse_prefix6("", prefix, err));
}

static void test_forward_texts(void **state)
{
	static const struct {
		const char *proto, *host, *to, *port, *want;
	} bad[] = {
		{"sctp", "80", "web", "80", "\"sctp\" is no protocol; write tcp or udp"},
		{"tcp", "0", "web", "80",
		 "\"0\" is no place to listen; write [ADDRESS:]PORT[-PORT], like 8080, "
		 "127.0.0.1:8080-8089 or [::1]:8080"},
		{"tcp", "8080", "web", "0", "\"0\" is no port; 1 to 65535"},
		{"tcp", "8080", "web", "65536", "\"65536\" is no port; 1 to 65535"},
		{"tcp", "8080", "we b", "80",
		 "\"we b\" is neither a member's name nor an IPv4 address"},
		{"tcp", "8080-8089", "web", "80-88",
		 "\"8080-8089\" and \"80-88\" are not the same number of ports; give the first "
		 "port there"},
		{"tcp", "8080-8089", "web", "65530", "10 ports from 65530 on go beyond 65535"},
	};
	static const char *const hosts[] = {
		"",	   "80:",	   "8089-8080",	    "::1:80", "[::1]80",
		"[::1:80", "[1.2.3.4]:80", "80-",	    "-80",    "localhost:80",
		"1.2.3.4", "1.2.3.4:80x",  "1.2.3.4:65536", "[]:80",  "80-65536"};
	struct netdef_forward f;
	char out[64];

	(void)state;
	assert_true(netdef_parse_forward("tcp", "8080", "web", "80", &f, err));
	assert_string_equal(f.host, "127.0.0.1");
	assert_true(!f.udp && f.by_name && f.first == 8080 && f.last == 8080 && f.port == 80);
	assert_string_equal(f.member, "web");
	assert_true(
		netdef_parse_forward("UDP", "[::1]:5000-5009", "10.0.0.5", "6000-6009", &f, err));
	assert_true(f.udp && !f.by_name && f.address == 0x0a000005 && f.last == 5009);
	netdef_format_host(&f, out);
	assert_string_equal(out, "[::1]:5000-5009");
	assert_true(netdef_parse_forward("tcp", "0.0.0.0:65535", "a", "65535", &f, err));
	netdef_format_host(&f, out);
	assert_string_equal(out, "0.0.0.0:65535");
	assert_true(netdef_parse_forward("tcp", "1-65535", "a", "1", &f, err));
	for (unsigned i = 0; i < COUNT(bad); i++) {
		assert_false(netdef_parse_forward(bad[i].proto, bad[i].host, bad[i].to, bad[i].port,
						  &f, err));
		assert_string_equal(err, bad[i].want);
	}
	for (unsigned i = 0; i < COUNT(hosts); i++)
		if (netdef_parse_forward("tcp", hosts[i], "web", "80", &f, err))
			fail_msg("taken: %s", hosts[i]);
}

static void test_names(void **state)
{
	char long_label[80], quoted[NETDEF_QUOTE_MAX];

	(void)state;
	assert_true(netdef_name_valid("a"));
	assert_true(netdef_name_valid("0.a_b-C"));
	assert_true(netdef_name_valid("12345678901234567890123456789012"));
	assert_false(netdef_name_valid("123456789012345678901234567890123"));
	assert_false(netdef_name_valid(""));
	assert_false(netdef_name_valid("-a"));
	assert_false(netdef_name_valid("../a"));
	assert_false(netdef_name_valid("a/b"));
	assert_false(netdef_name_valid("a\n"));
	assert_true(netdef_domain_valid("dev.internal"));
	assert_false(netdef_domain_valid(""));
	assert_false(netdef_domain_valid("."));
	assert_false(netdef_domain_valid("a..b"));
	assert_false(netdef_domain_valid("a."));
	assert_false(netdef_domain_valid("-a.b"));
	assert_false(netdef_domain_valid("a-.b"));
	assert_false(netdef_domain_valid("a b"));
	memset(long_label, 'a', sizeof(long_label));
	long_label[63] = '\0';
	assert_true(netdef_domain_valid(long_label));
	long_label[63] = 'a';
	long_label[64] = '\0';
	assert_false(netdef_domain_valid(long_label));
	assert_string_equal(netdef_quote("a\nb\x1b\xc3\xa4", quoted), "\"a?b???\"");
	assert_string_equal(netdef_quote("12345678901234567890123456789012345678901", quoted),
			    "\"12345678901234567890123456789012345678901\"");
	assert_string_equal(netdef_quote("123456789012345678901234567890123456789012345", quoted),
			    "\"12345678901234567890123456789012345678...\"");
}

/* ---- definitions ---- */

static void test_builtin(void **state)
{
	const struct netdef *shared = netdef_builtin("shared"), *host = netdef_builtin("host");

	(void)state;
	assert_null(netdef_builtin("bridged"));
	assert_non_null(shared);
	assert_non_null(host);
	assert_true(shared->builtin && shared->auto_subnet && shared->dhcp && shared->dns &&
		    shared->nat44 && shared->nat66 && shared->ra);
	assert_int_equal(shared->subnet, 0);
	assert_string_equal(shared->domain, "shared.internal");
	assert_true(host->builtin && host->mode == NETDEF_HOST && !host->nat44 && !host->nat66);
}

static void test_defaults(void **state)
{
	struct netdef d;

	(void)state;
	good(&d, "{'subnet': '192.168.5.77/24'}");
	assert_int_equal(d.subnet, ip("192.168.5.0"));
	assert_int_equal(d.gateway, ip("192.168.5.1"));
	assert_int_equal(d.dhcp_start, ip("192.168.5.2"));
	assert_int_equal(d.dhcp_end, ip("192.168.5.254"));
	assert_int_equal(d.prefix6[0], 0xfd);
	assert_true(d.nat44 && d.nat66 && d.ra && !d.auto_subnet);
	assert_string_equal(d.domain, "dev.internal");
	netdef_free(&d);

	/* As Lima writes it. */
	good(&d, "{'gateway': '192.168.105.1', 'dhcp-end': '192.168.105.100',"
		 " 'netmask': '255.255.255.0'}");
	assert_int_equal(d.subnet, ip("192.168.105.0"));
	assert_int_equal(d.dhcp_start, ip("192.168.105.2"));
	assert_int_equal(d.dhcp_end, ip("192.168.105.100"));
	netdef_free(&d);

	good(&d, "{'subnet': '10.0.0.0/29', 'gateway': '10.0.0.6'}");
	assert_int_equal(d.dhcp_start, ip("10.0.0.1"));
	assert_int_equal(d.dhcp_end, ip("10.0.0.5"));
	netdef_free(&d);
	good(&d, "{'subnet': '10.0.0.0/24', 'gateway': '10.0.0.100'}");
	assert_int_equal(d.dhcp_start, ip("10.0.0.101"));
	assert_int_equal(d.dhcp_end, ip("10.0.0.254"));
	netdef_free(&d);
	good(&d, "{'subnet': '10.0.0.0/24', 'dhcp': {'start': '10.0.0.10'}}");
	assert_int_equal(d.dhcp_end, ip("10.0.0.254"));
	netdef_free(&d);
	good(&d, "{'subnet': '10.0.0.0/24', 'gateway': '10.0.0.254', 'dhcp-start': '10.0.0.10'}");
	assert_int_equal(d.dhcp_end, ip("10.0.0.253"));
	netdef_free(&d);

	good(&d, "{'mode': 'host', 'dhcp': 'off', 'subnet': '10.0.0.0/24'}");
	assert_true(!d.dhcp && !d.dhcp_start && !d.nat44 && !d.nat66 && !d.ra);
	netdef_free(&d);
	good(&d, "{'mode': 'host', 'prefix6': 'fd00:1:2:3::/64'}");
	assert_true(d.ra && !d.nat66 && d.prefix6[1] == 0);
	netdef_free(&d);
	good(&d, "{'mtu': 576}");
	assert_true(d.nat44 && !d.nat66 && !d.ra);
	netdef_free(&d);
	good(&d, "null");
	assert_true(d.auto_subnet);
	netdef_free(&d);
	assert_true(define(&d, "My_Net.1", "{}"));
	assert_string_equal(d.domain, "my-net-1.internal");
	netdef_free(&d);
	good(&d, "{'domain': false, 'nat': 'none', 'subnet': 'auto'}");
	assert_true(!*d.domain && !d.nat44 && !d.nat66 && d.auto_subnet);
	netdef_free(&d);
}

static void test_values(void **state)
{
	struct netdef d;

	(void)state;
	/* Numbers and lists as a command line has them. */
	good(&d, "{'subnet': '10.9.0.0/16', 'lease': '12h', 'mtu': '9000', 'isolated': 'yes',"
		 " 'lock-mac': true, 'host-loopback': 'on', 'rate': '100mbit', 'burst': '64k',"
		 " 'dns': '1.1.1.1, [::1]:5353', 'search': 'a.b,c.d.', 'linger': 0,"
		 " 'reserve': '02:00:00:00:00:01=10.9.1.1,web=10.9.1.2',"
		 " 'forwards': ['tcp 8080 web 80', {'proto': 'udp', 'host': 53, 'to': '10.9.1.1',"
		 "   'port': 53}],"
		 " 'allow': 'uid:1000,gid:5,user:root,group:root,exe:/proc/self/exe'}");
	assert_int_equal(d.lease_s, 43200);
	assert_int_equal(d.mtu, 9000);
	assert_true(d.isolated && d.lock_mac && d.host_loopback && d.dns);
	assert_int_equal(d.rate_bps, 100000000);
	assert_int_equal(d.burst, 65536);
	assert_int_equal(d.nupstream, 2);
	assert_int_equal(d.upstream[1].port, 5353);
	assert_string_equal(d.search[1], "c.d");
	assert_int_equal(d.linger_s, 0);
	assert_int_equal(d.nreserve, 2);
	assert_true(d.reserve[0].by_mac && !d.reserve[1].by_mac);
	assert_string_equal(d.reserve[1].name, "web");
	assert_int_equal(d.nforward, 2);
	assert_true(d.forward[1].udp && d.forward[1].first == 53);
	assert_int_equal(d.nallow, 5);
	assert_int_equal(d.allow[2].kind, NETDEF_ALLOW_UID);
	assert_int_equal(d.allow[2].id, 0);
	assert_int_equal(d.allow[3].kind, NETDEF_ALLOW_GID);
	assert_int_equal(d.allow[4].kind, NETDEF_ALLOW_EXE);
	assert_true(d.allow[4].ino != 0);
	netdef_free(&d);
}

/* A definition, written and read again, is the same; so is a copy. */
static void round_trip(const char *text)
{
	struct netdef d, again, copy;
	json_t *one, *two, *three;

	good(&d, text);
	one = netdef_to_json(&d);
	if (!netdef_from_json(&again, "dev", one, err))
		fail_msg("%s: %s", text, err);
	two = netdef_to_json(&again);
	assert_true(json_equal(one, two));
	assert_true(netdef_complete(&again, err));
	assert_true(netdef_copy(&copy, &again));
	netdef_free(&again);
	three = netdef_to_json(&copy);
	assert_true(json_equal(one, three));
	json_decref(one);
	json_decref(two);
	json_decref(three);
	netdef_free(&copy);
	netdef_free(&d);
}

static void test_round_trip(void **state)
{
	(void)state;
	round_trip("{}");
	round_trip("{'mode': 'host'}");
	round_trip("{'mode': 'host', 'prefix6': 'fd00:1:2:3::/64', 'subnet': '10.0.0.0/8'}");
	round_trip("{'subnet': '192.168.7.0/29', 'dhcp': false, 'domain': '', 'dns': false,"
		   " 'nat': 'nat44', 'router-advertisement': false, 'mtu': 65520}");
	round_trip("{'subnet': '10.9.0.0/16', 'dhcp': {'start': '10.9.0.9', 'end': '10.9.0.19',"
		   " 'lease': 600}, 'dns': ['9.9.9.9:54', '[fd00::1]:54', '::1'],"
		   " 'reservations': [{'mac': '02:00:00:00:00:01', 'address': '10.9.1.1'},"
		   "   {'name': 'web', 'address': '10.9.1.2'}], 'rate': 5000, 'burst': 70000,"
		   " 'forwards': ['tcp [::]:80-89 web 8080', 'udp 1.2.3.4:5 10.9.1.1 6'],"
		   " 'allow': ['uid:3', 'gid:4', 'exe:/proc/self/exe'], 'linger': 60,"
		   " 'nat66-prefix': 'fd12:3456:789a:1::/64', 'search': ['x.y']}");
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *want;
	} all[] = {
		{"[]", "this is a list; write keys and values"},
		{"{'gatway': 1}", "there is no key \"gatway\"; the nearest is gateway"},
		{"{'dhcpEnd': 1}", "there is no key \"dhcpEnd\"; the nearest is dhcp-end"},
		{"{'natPrefix66': 1}",
		 "there is no key \"natPrefix66\"; the nearest is nat66-prefix"},
		{"{'routerAdvertisement': 1}",
		 "there is no key \"routerAdvertisement\"; the nearest is router-advertisement"},
		{"{'mode': 'nat'}", "mode: \"nat\" is no mode; shared or host"},
		{"{'mode': 'bridged'}", "mode: bridged is not there yet; shared or host"},
		{"{'mode': ['host']}", "mode: this is a list; write shared or host"},
		{"{'mode': 'shared\\u0000'}",
		 "mode: \"shared\" is too long or has a NUL in it; write shared or host"},
		{"{'subnet': '192.168.5.0'}",
		 "subnet: \"192.168.5.0\" is no subnet; write one like 192.168.64.0/24"},
		{"{'subnet': null}",
		 "subnet: this is nothing; write a subnet like 192.168.64.0/24"},
		{"{'subnet': '10.0.0.0/30'}", "subnet: /30 is too small; /8 to /29"},
		{"{'subnet': '10.0.0.0/7'}", "subnet: /7 is too large; /8 to /29"},
		{"{'subnet': '0.0.0.0/0'}", "subnet: that is every address; /8 to /29"},
		{"{'subnet': '127.0.0.0/8'}",
		 "subnet: 127.0.0.0/8 is not for networks; take one of 10.0.0.0/8, 172.16.0.0/12, "
		 "192.168.0.0/16"},
		{"{'subnet': '224.0.0.0/24'}",
		 "subnet: 224.0.0.0/24 is not for networks; take one of 10.0.0.0/8, 172.16.0.0/12, "
		 "192.168.0.0/16"},
		{"{'subnet': '10.0.0.0/24', 'gateway': '10.0.1.1'}",
		 "gateway: 10.0.1.1 is outside the subnet 10.0.0.0/24"},
		{"{'subnet': '10.0.0.0/24', 'gateway': '10.0.0.0'}",
		 "gateway: 10.0.0.0 is the subnet's own address 10.0.0.0/24"},
		{"{'subnet': '10.0.0.0/24', 'gateway': '10.0.0.255'}",
		 "gateway: 10.0.0.255 is the broadcast address 10.0.0.0/24"},
		{"{'gateway': 'x'}",
		 "gateway: \"x\" is no IPv4 address; write one like 192.168.64.1"},
		{"{'netmask': '255.255.255.0'}", "netmask: it needs a gateway, or write subnet"},
		{"{'gateway': '10.0.0.1', 'netmask': '255.0.255.0'}",
		 "netmask: 255.0.255.0 is no netmask; write one like 255.255.255.0"},
		{"{'netmask': '255.255.0.0', 'subnet': '10.0.0.0/24'}",
		 "netmask: it is not that of the subnet; leave one of them out"},
		{"{'dhcp-start': '10.0.0.5'}", "dhcp-start: it needs a fixed subnet; give one"},
		{"{'subnet': '10.0.0.0/24', 'dhcp-start': '10.0.0.0'}",
		 "dhcp-start: 10.0.0.0 is the subnet's own address 10.0.0.0/24"},
		{"{'subnet': '10.0.0.0/24', 'dhcp-end': '10.0.3.0'}",
		 "dhcp-end: 10.0.3.0 is outside the subnet 10.0.0.0/24"},
		{"{'subnet': '10.0.0.0/24', 'dhcp': {'start': '10.0.0.9', 'end': '10.0.0.8'}}",
		 "dhcp-end: the range 10.0.0.9 to 10.0.0.8 is empty; its start must not be above "
		 "its "
		 "end"},
		{"{'subnet': '10.0.0.0/24', 'dhcp': {'start': '10.0.0.1', 'end': '10.0.0.8'}}",
		 "dhcp-start: the range 10.0.0.1 to 10.0.0.8 has the gateway 10.0.0.1 in it; leave "
		 "it "
		 "out"},
		{"{'subnet': '10.0.0.0/24', 'dhcp': {'from': 1}}",
		 "dhcp: there is no key \"from\"; start, end and lease are"},
		{"{'dhcp': {'start': '10.0.0.2'}, 'dhcp-start': '10.0.0.2'}",
		 "dhcp-start: it was given before under another name"},
		{"{'subnet': '10.0.0.0/24', 'dhcp': false, 'dhcp-end': '10.0.0.9'}",
		 "dhcp-end: DHCP is off; leave it out"},
		{"{'dhcp': 7}", "dhcp: \"7\" is neither true nor false"},
		{"{'lease': 5}", "lease: 5 s is out of range; 10 s to a year"},
		{"{'lease': 'long'}",
		 "lease: \"long\" is no time; write seconds, or like 30m, 12h, 1d"},
		{"{'reserve': ['02:00:00:00:00:01=10.0.0.5']}",
		 "reservations: they need a fixed subnet; give one"},
		{"{'subnet': '10.0.0.0/24', 'reserve': ['02:00:00:00:00:01=10.0.1.5']}",
		 "reservations[0]: 10.0.1.5 is outside the subnet 10.0.0.0/24"},
		{"{'subnet': '10.0.0.0/24', 'reserve': ['a=10.0.0.5', 'b=10.0.0.5']}",
		 "reservations[1]: 10.0.0.5 is reserved already"},
		{"{'subnet': '10.0.0.0/24', 'reserve': ['a=10.0.0.5', 'a=10.0.0.6']}",
		 "reservations[1]: this name has 10.0.0.5 reserved already"},
		{"{'subnet': '10.0.0.0/24', 'reserve': ['a=10.0.0.1']}",
		 "reservations[0]: 10.0.0.1 is the gateway's"},
		{"{'subnet': '10.0.0.0/24', 'dhcp': false, 'reserve': ['a=10.0.0.5']}",
		 "reservations: DHCP is off; nobody would be told of them"},
		{"{'reservations': ['a']}",
		 "reservations[0]: \"a\" is no reservation; write MAC=ADDRESS or NAME=ADDRESS"},
		{"{'reservations': ['a b=10.0.0.5']}",
		 "reservations[0]: \"a b\" is neither a MAC nor a name"},
		{"{'reservations': [{'mac': '03:00:00:00:00:01', 'address': '10.0.0.5'}]}",
		 "reservations[0].mac: \"03:00:00:00:00:01\" is no station's MAC; write one like "
		 "02:00:00:00:00:01"},
		{"{'reservations': [{'mac': '02:00:00:00:00:01', 'name': 'a', 'address': "
		 "'1.2.3.4'}]}",
		 "reservations[0]: it needs an address and either a mac or a name"},
		{"{'reservations': [{'ip': 1}]}",
		 "reservations[0]: there is no key \"ip\"; mac, name and address are"},
		{"{'reserve': [], 'reservations': []}",
		 "reservations: it was given before under another name"},
		{"{'domain': 'a b'}",
		 "domain: \"a b\" is no domain; letters, digits and - with dots"},
		{"{'search': ['ok', 'a..b']}",
		 "search[1]: \"a..b\" is no domain; letters, digits and - with dots"},
		{"{'search': ['a','b','c','d','e','f','g']}", "search: 7 are too many; at most 6"},
		{"{'dns': ['dns.google']}",
		 "dns[0]: \"dns.google\" is no name server; write an address like 1.1.1.1 or "
		 "[::1]:5353"},
		{"{'subnet': '10.0.0.0/24', 'dns': ['10.0.0.1']}",
		 "dns[0]: 10.0.0.1 is the gateway, which would ask itself"},
		{"{'nat': 'nat46'}", "nat: \"nat46\" is no NAT; nat44, nat66, both or none"},
		{"{'nat': 'both', 'nat44': true}", "nat44: it was given before under another name"},
		{"{'mode': 'host', 'nat44': true}",
		 "nat44: a network of mode host has no way out; only mode shared can"},
		{"{'mode': 'host', 'nat': 'nat66'}",
		 "nat66: a network of mode host has no way out; only mode shared can"},
		{"{'mode': 'host', 'nat66-prefix': 'fd00:1:2:3::/64'}",
		 "nat66-prefix: a network of mode host has no NAT; for a prefix of its own write "
		 "prefix6"},
		{"{'mode': 'host', 'host-loopback': true}",
		 "host-loopback: a network of mode host has no way out; only mode shared can"},
		{"{'nat66-prefix': 'fd00::/48'}", "nat66-prefix: \"fd00::/48\" is no prefix; write "
						  "a unique local or global /64, like "
						  "fd12:3456:789a:1::/64"},
		{"{'mtu': 575}", "mtu: 575 is out of range; 576 to 65520"},
		{"{'mtu': 65521}", "mtu: 65521 is out of range; 576 to 65520"},
		{"{'mtu': 4294967296}", "mtu: \"4294967296\" is no number in range"},
		{"{'mtu': -1}", "mtu: \"-1\" is no number in range"},
		{"{'mtu': 1500.5}", "mtu: this is a number with a fraction; write a whole number"},
		{"{'mtu': 1000, 'nat66': true}", "mtu: 1000 is too small for IPv6; at least 1280, "
						 "or nat66 and router-advertisement "
						 "off"},
		{"{'isolated': 'maybe'}", "isolated: \"maybe\" is neither true nor false"},
		{"{'rate': '1 potato'}",
		 "rate: \"1 potato\" is no rate; write bits per second like 100mbit (kbit, mbit, "
		 "gbit), or none"},
		{"{'burst': 100}", "burst: 100 is less than one frame; at least 1518"},
		{"{'burst': 'big'}",
		 "burst: \"big\" is no size; write bytes like 64k or 1m (at most 1g)"},
		{"{'forwards': ['tcp 80 web']}",
		 "forwards[0]: this has 3 words; write \"tcp 127.0.0.1:8080 web 80\""},
		{"{'forwards': [{'proto': 'tcp', 'host': 80, 'to': 'web'}]}",
		 "forwards[0]: it has no port"},
		{"{'forwards': [{'proto': 'tcp', 'hostport': 80}]}",
		 "forwards[0]: there is no key \"hostport\"; proto, host, to and port are"},
		{"{'forwards': ['tcp 80 10.0.0.5 80']}", "forwards[0]: 10.0.0.5: the subnet is not "
							 "fixed; name the member or give a subnet"},
		{"{'subnet': '10.0.0.0/24', 'forwards': ['tcp 80 10.0.1.5 80']}",
		 "forwards[0]: 10.0.1.5 is outside the subnet 10.0.0.0/24"},
		{"{'forwards': ['tcp 80-89 a 80', 'udp 80 a 80', 'tcp 0.0.0.0:85 b 1']}",
		 "forwards[2]: tcp 127.0.0.1:80-89 is forwarded already"},
		{"{'allow': ['1000']}",
		 "allow[0]: \"1000\": write uid:N, gid:N, user:NAME, group:NAME or exe:PATH"},
		{"{'allow': ['pid:1']}", "allow[0]: \"pid\" is unknown; write uid:N, gid:N, "
					 "user:NAME, group:NAME or exe:PATH"},
		{"{'allow': ['uid:4294967295']}",
		 "allow[0]: \"4294967295\" is no number of a user"},
		{"{'allow': ['gid:x']}", "allow[0]: \"x\" is no number of a group"},
		{"{'allow': ['user:no-such-user']}", "allow[0]: there is no user \"no-such-user\""},
		{"{'allow': ['exe:vim']}", "allow[0]: \"vim\": the path must begin with /"},
		{"{'allow': ['exe:/no/such/file']}",
		 "allow[0]: \"/no/such/file\": No such file or directory"},
		{"{'allow': ['exe:/']}", "allow[0]: \"/\": Is a directory"},
		{"{'allow': [{'exe': '/proc/self/exe', 'sha256': 'abc'}]}",
		 "allow[0].sha256: \"abc\" is no SHA-256; 64 hexadecimal digits"},
		{"{'allow': [{'sha256': 'abc'}]}", "allow[0]: it has no exe"},
		{"{'allow': [{'exe': '/proc/self/exe', 'md5': 1}]}",
		 "allow[0]: there is no key \"md5\"; exe and sha256 are"},
		{"{'linger': '2000h'}", "linger: 7200000 s is out of range; 0 to a week"},
	};
	struct netdef d;

	(void)state;
	for (unsigned i = 0; i < COUNT(all); i++)
		refused(all[i].text, all[i].want);
	assert_false(define(&d, "a/b", "{}"));
	assert_string_equal(err, "\"a/b\" is no name for a network; letters, digits and -_. , at "
				 "most 32");
}

/* What looks odd and is right. */
static void test_not_refused(void **state)
{
	static const char *const all[] = {
		"{'subnet': '10.0.0.0/24', 'netmask': '255.255.255.0'}",
		"{'subnet': '172.20.0.0/29'}",
		"{'subnet': '100.64.0.0/10'}",
		"{'subnet': '10.0.0.0/24', 'dhcp': {'start': '10.0.0.9', 'end': '10.0.0.9'}}",
		"{'subnet': '10.0.0.0/24', 'dhcp': true, 'dhcp-start': '10.0.0.9'}",
		"{'subnet': '10.0.0.0/24', 'dhcp-end': '10.0.0.9', 'reserve': ['a=10.0.0.77']}",
		"{'forwards': ['tcp 80 a 80', 'udp 80 a 80', 'tcp [::1]:80 a 80']}",
		"{'forwards': ['tcp 127.0.0.2:80 a 80', 'tcp 127.0.0.3:80 b 80']}",
		"{'rate': 0, 'burst': 0, 'search': [], 'allow': [], 'dns': []}",
		"{'dns': 'off', 'nat': false}",
		"{'mtu': 576, 'nat': 'nat44'}",
		"{'mode': 'host', 'nat': 'none', 'nat66': false}",
	};
	struct netdef d;

	(void)state;
	for (unsigned i = 0; i < COUNT(all) - 1; i++) {
		good(&d, all[i]);
		netdef_free(&d);
	}
	refused(all[COUNT(all) - 1], "nat66: it was given before under another name");
}

static void test_overlap(void **state)
{
	struct netdef a, b;

	(void)state;
	good(&a, "{'subnet': '10.0.0.0/24', 'nat66-prefix': 'fd00:1:2:3::'}");
	good(&b, "{'subnet': '10.0.0.128/25', 'nat66-prefix': 'fd00:1:2:4::'}");
	assert_true(netdef_overlap(&a, &b) && netdef_overlap(&b, &a));
	netdef_free(&b);
	good(&b, "{'subnet': '10.0.1.0/24', 'nat66-prefix': 'fd00:1:2:4::'}");
	assert_false(netdef_overlap(&a, &b));
	netdef_free(&b);
	good(&b, "{'subnet': '10.0.1.0/24', 'nat66-prefix': 'fd00:1:2:3::'}");
	assert_true(netdef_overlap(&a, &b));
	netdef_free(&b);
	assert_false(netdef_overlap(&a, netdef_builtin("host")));
	assert_false(netdef_overlap(netdef_builtin("host"), netdef_builtin("host")));
	netdef_free(&a);
}

/* ---- the choice of a subnet ---- */

#define NO_NAMESPACE 77

static void run(const char *command)
{
	if (system(command) != 0) // NOLINT(cert-env33-c)
		fail_msg("%s: failed", command);
}

static uint32_t chosen(const struct netdef *const *others, unsigned n, uint32_t prefer)
{
	struct netdef d;

	assert_true(netdef_copy(&d, netdef_builtin("shared")));
	if (!netdef_choose(&d, others, n, prefer, err))
		return 0;
	assert_int_equal(d.gateway, d.subnet + 1);
	assert_int_equal(d.dhcp_start, d.subnet + 2);
	assert_int_equal(d.dhcp_end, d.subnet + 254);
	assert_int_equal(d.prefix6[0], 0xfd);
	return d.subnet;
}

/* Runs in the namespace, where routes are what we made them. */
static void choose_in_namespace(void **state)
{
	struct netdef a, b, d, e;
	const struct netdef *others[2] = {&a, &b};
	char command[128];

	(void)state;
	run("ip link set lo up");
	assert_int_equal(chosen(NULL, 0, 0), ip("192.168.64.0"));
	/* The one it had last time, if it is free and could have been. */
	assert_int_equal(chosen(NULL, 0, ip("192.168.99.0")), ip("192.168.99.0"));
	assert_int_equal(chosen(NULL, 0, ip("10.3.9.0")), ip("10.3.9.0"));
	assert_int_equal(chosen(NULL, 0, ip("8.8.8.0")), ip("192.168.64.0"));
	assert_int_equal(chosen(NULL, 0, ip("192.168.99.1")), ip("192.168.64.0"));
	good(&a, "{'subnet': '192.168.64.0/23'}");
	good(&b, "{'subnet': '192.168.99.64/29', 'nat': 'none'}");
	assert_int_equal(chosen(others, 2, ip("192.168.99.0")), ip("192.168.66.0"));
	netdef_free(&a);
	netdef_free(&b);

	run("ip link add v0 type veth peer name v1 && ip addr add 192.168.64.9/25 dev v0 && "
	    "ip link set v0 up && ip link set v1 up");
	assert_int_equal(chosen(NULL, 0, 0), ip("192.168.65.0"));
	/* A default route takes nothing, nor do its halves. */
	run("ip route add default via 192.168.64.1 && ip route add 0.0.0.0/1 dev v0 && "
	    "ip route add 128.0.0.0/1 dev v0");
	assert_int_equal(chosen(NULL, 0, 0), ip("192.168.65.0"));
	run("ip route add 192.168.64.0/20 dev v0");
	assert_int_equal(chosen(NULL, 0, ip("192.168.70.0")), ip("192.168.80.0"));
	run("ip route add 192.168.0.0/16 dev v0");
	assert_int_equal(chosen(NULL, 0, 0), ip("172.16.0.0"));
	run("ip route add 172.16.0.0/12 dev v0");
	assert_int_equal(chosen(NULL, 0, 0), ip("10.0.0.0"));

	/* The prefix is the same each time, unless it leads somewhere. */
	assert_true(netdef_copy(&d, netdef_builtin("shared")));
	assert_true(netdef_copy(&e, netdef_builtin("shared")));
	assert_true(netdef_choose(&d, NULL, 0, 0, err));
	assert_true(netdef_choose(&e, NULL, 0, 0, err));
	assert_memory_equal(d.prefix6, e.prefix6, 16);
	snprintf(command, sizeof(command), "ip -6 route add fd%02x:%02x%02x::/32 dev v0",
		 d.prefix6[1], d.prefix6[2], d.prefix6[3]);
	run(command);
	memset(e.prefix6, 0, sizeof(e.prefix6));
	assert_true(netdef_choose(&e, NULL, 0, 0, err));
	assert_memory_not_equal(d.prefix6, e.prefix6, 16);

	run("ip route add 10.0.0.0/8 dev v0");
	assert_int_equal(chosen(NULL, 0, 0), 0);
	assert_string_equal(err, "network shared: no private subnet is free beside this host's "
				 "routes; give it one with subnet");
}

/* A failed assertion in the child ends it with the message on standard error. */
static void test_choose(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		const struct CMUnitTest inside[] = {cmocka_unit_test(choose_in_namespace)};

		if (!own_ns(CLONE_NEWNET))
			_exit(geteuid() ? NO_NAMESPACE : 1);
		/* Who counts tests would take it for one of ours. */
		if (!freopen("/dev/null", "w", stdout))
			_exit(99);
		_exit(cmocka_run_group_tests(inside, NULL, NULL));
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NO_NAMESPACE) {
		printf("no network namespace of our own\n");
		skip();
	}
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),     cmocka_unit_test(test_macs),
		cmocka_unit_test(test_rates),	      cmocka_unit_test(test_dns_texts),
		cmocka_unit_test(test_forward_texts), cmocka_unit_test(test_names),
		cmocka_unit_test(test_builtin),	      cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_values),	      cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_not_refused),
		cmocka_unit_test(test_overlap),	      cmocka_unit_test(test_choose),
	};

	alarm(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

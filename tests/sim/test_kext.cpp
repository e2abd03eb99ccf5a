/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loader: our kexts on every release, and what becomes of them when something about them is
 * wrong. Damage is done to a copy: a thin file with the x86_64 program alone.
 */
#include "tests/sim/child.h"

#include <string>
#include <sys/stat.h>
#include <vector>

#include "guest/ports/xnu/kpi/kmod.h"
#include "sim/macos/kext/kext.h"
#include "sim/macos/kext/macho.h"
#include "sim/macos/kext/release.h"

#define FIRST 6
#define LAST  15

#define RAM_LEN (16u << 20)

typedef std::vector<uint8_t> bytes;

/* ---- files ---- */

static std::string kexts; /* the folder with the two bundles */
static std::string temp;

static bytes read_all(const std::string &path)
{
	FILE *file = fopen(path.c_str(), "rb");
	uint8_t part[4096];
	bytes data;
	size_t n;

	assert_non_null(file);
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		data.insert(data.end(), part, part + n);
	fclose(file);
	return data;
}

static void write_all(const std::string &path, const bytes &data)
{
	FILE *file = fopen(path.c_str(), "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data.data(), 1, data.size(), file), data.size());
	fclose(file);
}

static std::string bundle(const std::string &folder, const std::string &name)
{
	return folder + "/" + name + ".kext";
}

static std::string program(const std::string &folder, const std::string &name)
{
	return bundle(folder, name) + "/Contents/MacOS/" + name;
}

static std::string info(const std::string &folder, const std::string &name)
{
	return bundle(folder, name) + "/Contents/Info.plist";
}

static bytes thin(const std::string &name)
{
	bytes data = read_all(program(kexts, name));
	struct macho m;
	std::string why;

	assert_true(macho_read(data.data(), data.size(), &m, &why));
	return m.data;
}

/* Both bundles as they should be, in the temporary folder. */
static void fresh()
{
	for (const char *name : {"VirtioPCI", "VirtioNet"}) {
		std::string at = bundle(temp, name);

		mkdir(at.c_str(), 0755);
		mkdir((at + "/Contents").c_str(), 0755);
		mkdir((at + "/Contents/MacOS").c_str(), 0755);
		write_all(info(temp, name), read_all(info(kexts, name)));
		write_all(program(temp, name), thin(name));
	}
}

/* All occurrences; the new text is not longer. */
static bytes replaced(bytes data, const std::string &old, const std::string &to)
{
	bool found = false;

	for (size_t at = 0; at + old.size() <= data.size(); at++) {
		if (memcmp(&data[at], old.data(), old.size()) != 0)
			continue;
		memcpy(&data[at], to.data(), to.size());
		memset(&data[at + to.size()], 0, old.size() - to.size());
		found = true;
	}
	assert_true(found);
	return data;
}

static void edit(const std::string &path, const std::string &old, const std::string &to)
{
	bytes data = read_all(path);
	std::string text(data.begin(), data.end());
	size_t at = text.find(old);

	assert_true(at != std::string::npos);
	text.replace(at, old.size(), to);
	write_all(path, bytes(text.begin(), text.end()));
}

static uint32_t get32(const bytes &data, size_t at)
{
	uint32_t v;

	assert_true(at + sizeof(v) <= data.size());
	memcpy(&v, &data[at], sizeof(v));
	return v;
}

static void put32(bytes *data, size_t at, uint32_t v)
{
	assert_true(at + sizeof(v) <= data->size());
	memcpy(&(*data)[at], &v, sizeof(v));
}

/* Where the first load command of a kind is. */
static size_t command(const bytes &data, uint32_t what)
{
	size_t at = 32;

	for (uint32_t i = 0; i < get32(data, 16); i++, at += get32(data, at + 4))
		if (get32(data, at) == what)
			return at;
	fail_msg("no load command %#x", what);
	return 0;
}

/* Where the external relocation of an address is. */
static size_t relocation(const bytes &data, uint64_t address)
{
	size_t c = command(data, 0xb), at = get32(data, c + 64);

	for (uint32_t i = 0; i < get32(data, c + 68); i++, at += 8)
		if (get32(data, at) == address)
			return at;
	fail_msg("no relocation at %#lx", static_cast<unsigned long>(address));
	return 0;
}

static struct macho parsed(const bytes &data)
{
	struct macho m;
	std::string why;

	assert_true(macho_read(data.data(), data.size(), &m, &why));
	return m;
}

static uint64_t value_of(const bytes &data, const char *symbol)
{
	const struct macho m = parsed(data);

	assert_non_null(m.defined_external(symbol));
	return m.defined_external(symbol)->value;
}

/* ---- checks ---- */

static int check(const std::string &path, int release, std::string *text)
{
	char *out = nullptr;
	size_t len = 0;
	FILE *file = open_memstream(&out, &len);
	int n = sim_kext_check(path.c_str(), release, false, file);

	fclose(file);
	*text = out;
	free(out);
	return n;
}

/* The copy is refused with that text among the lines; or taken, with none. */
static void expect(const char *name, int release, const char *text)
{
	std::string told;
	int n = check(bundle(temp, name), release, &told);

	if (!text) {
		if (n != 0)
			fail_msg("10.%d refuses %s: %s", release, name, told.c_str());
		return;
	}
	if (n == 0)
		fail_msg("10.%d takes %s, without: %s", release, name, text);
	if (told.find(text) == std::string::npos)
		fail_msg("not told: %s\nbut: %s", text, told.c_str());
}

static void test_every_release(void **)
{
	fresh();
	for (int release = FIRST; release <= LAST; release++)
		for (const char *name : {"VirtioPCI", "VirtioNet"}) {
			std::string told;

			expect(name, release, nullptr);
			assert_int_equal(check(bundle(kexts, name), release, &told), 0);
		}
}

static void test_load_commands(void **)
{
	bytes data = thin("VirtioNet");

	fresh();
	put32(&data, command(data, 0x1b), 0x2a);
	write_all(program(temp, "VirtioNet"), data);
	expect("VirtioNet", 7, "load command 0x2a is not known to the linker of 10.7, only since");
	expect("VirtioNet", 8, nullptr);
	put32(&data, command(data, 0x2a), 0x32);
	write_all(program(temp, "VirtioNet"), data);
	expect("VirtioNet", 12, "0x32 is not known to the linker of 10.12, only since 10.13");
	expect("VirtioNet", 13, nullptr);
	put32(&data, command(data, 0x32), 0x80000028);
	write_all(program(temp, "VirtioNet"), data);
	expect("VirtioNet", 15, "load command 0x80000028");
}

static void test_names(void **)
{
	bytes data = thin("VirtioNet");

	fresh();
	write_all(program(temp, "VirtioNet"), replaced(data, "_mbuf_len", "_mbuf_lex"));
	expect("VirtioNet", 9, "mbuf_lex is exported by no release");
	/* A name that went away, instead of one that stayed. */
	write_all(program(temp, "VirtioNet"),
		  replaced(data, std::string("\0_mbuf_set_csum_performed", 25),
			   std::string("\0__ZN11OSMetaClassD0Ev", 22)));
	expect("VirtioNet", 7, nullptr);
	expect("VirtioNet", 15,
	       "OSMetaClass::~OSMetaClass() is exported by 10.6-10.7, not by 10.15");
	/* Of VirtioPCI, which does not have it. */
	write_all(program(temp, "VirtioNet"), replaced(data, "_vio_ring_kicks", "_vio_ring_kickz"));
	expect("VirtioNet", 10, "vio_ring_kickz is exported by no release and by none of");
}

static void test_libraries(void **)
{
	fresh();
	edit(info(temp, "VirtioNet"), "com.apple.kpi.bsd", "com.apple.kpi.mach");
	expect("VirtioNet", 9, "is exported by com.apple.kpi.bsd, which OSBundleLibraries lacks");
	edit(info(temp, "VirtioNet"), "com.apple.kpi.mach", "com.apple.kpi.private");
	expect("VirtioNet", 9, "com.apple.kpi.private, which 10.9 does not have");
	fresh();
	edit(info(temp, "VirtioNet"), "<string>9.0.0</string>", "<string>13.0.0</string>");
	expect("VirtioNet", 8, "asks for com.apple.kpi.bsd 13.0.0, which is there as 12.0.0");
	expect("VirtioNet", 9, nullptr);
	fresh();
	edit(info(temp, "VirtioNet"), "org.viokit.VirtioPCI</key>\n\t\t<string>",
	     "org.viokit.VirtioPCI</key>\n\t\t<string>9");
	expect("VirtioNet", 9, "asks for org.viokit.VirtioPCI 9");
	fresh();
	edit(info(temp, "VirtioPCI"), "OSBundleCompatibleVersion", "OSBundleOtherwise");
	expect("VirtioNet", 9, "org.viokit.VirtioPCI has no OSBundleCompatibleVersion");
	fresh();
	unlink(info(temp, "VirtioPCI").c_str());
	expect("VirtioNet", 9, "it needs org.viokit.VirtioPCI");
	fresh();
	edit(info(temp, "VirtioNet"), "OSBundleLibraries", "OSBundleNothing");
	expect("VirtioNet", 9, "Info.plist has no OSBundleLibraries");
}

static void test_info(void **)
{
	fresh();
	edit(info(temp, "VirtioNet"), "CFBundleVersion</key>\n\t<string>",
	     "CFBundleVersion</key>\n\t<string>1");
	expect("VirtioNet", 9, "_kmod_info is of version");
	fresh();
	edit(info(temp, "VirtioNet"), "<string>org.viokit.VirtioNet", "<string>org.viokit.Nobody");
	expect("VirtioNet", 9, "_kmod_info names org.viokit.VirtioNet, CFBundleIdentifier is");
	fresh();
	edit(info(temp, "VirtioNet"), "CFBundleVersion</key>\n\t<string>",
	     "CFBundleVersion</key>\n\t<string>x");
	expect("VirtioNet", 9, "is no version of a kext");
	fresh();
	write_all(info(temp, "VirtioNet"), bytes(100, '<'));
	expect("VirtioNet", 9, "Info.plist is no property list");
	fresh();
	unlink(program(temp, "VirtioNet").c_str());
	expect("VirtioNet", 9, "No such file");
}

static void test_classes(void **)
{
	bytes data = thin("VirtioNet");

	fresh();
	write_all(program(temp, "VirtioNet"),
		  replaced(data, "__ZN19VirtioNetController10superClassE",
			   "__ZN19VirtioNetController10superKlassE"));
	expect("VirtioNet", 9, "class VirtioNetController has no superClass symbol");
	write_all(program(temp, "VirtioNet"), replaced(data, "_kmod_info", "_kmod_onfi"));
	expect("VirtioNet", 9, "no _kmod_info in __DATA");
}

static void test_vtables(void **)
{
	bytes data = thin("VirtioNet"), damaged = data;
	uint64_t vtable = value_of(data, "__ZTV19VirtioNetController") + 16;
	const struct macho m = parsed(data);
	size_t at;

	/* Without its relocation, slot 60 is the end. */
	fresh();
	put32(&damaged, relocation(data, vtable + 8 * 60), static_cast<uint32_t>(vtable) - 16);
	write_all(program(temp, "VirtioNet"), damaged);
	expect("VirtioNet", 9,
	       "the vtable of VirtioNetController has 60 slots, that of its parent");

	/* Something else in a slot that is spare: built for a newer system. */
	write_all(program(temp, "VirtioNet"), replaced(data, "_RESERVEDIOEthernetController31Ev",
						       "_somethingOfALaterSystemsTimes1Ev"));
	expect("VirtioNet", 15, "which is spare in IOEthernetController of 10.15");

	/* What 10.15 has filled, called by its old name: fine up to there. */
	damaged = data;
	for (at = 0; at < m.symbols.size(); at++)
		if (m.symbols[at].name == "__ZN15OSMetaClassBase25_RESERVEDOSMetaClassBase3Ev")
			break;
	assert_true(at < m.symbols.size());
	for (const macho_section &s : m.sections)
		if (s.name == "__got") {
			size_t r = relocation(data, s.addr);

			put32(&damaged, r + 4,
			      (get32(data, r + 4) & 0xff000000) | static_cast<uint32_t>(at));
		}
	write_all(program(temp, "VirtioNet"), damaged);
	expect("VirtioNet", 14, nullptr);
	expect("VirtioNet", 15, "outside of a vtable, but that was spare");
}

static void test_relocations(void **)
{
	bytes data = thin("VirtioNet"), damaged = data;
	uint64_t vtable = value_of(data, "__ZTV19VirtioNetController") + 16;
	size_t at = relocation(data, vtable + 8 * 60);

	fresh();
	damaged[at + 7] = (damaged[at + 7] & 0x0f) | 0x10; /* SIGNED */
	write_all(program(temp, "VirtioNet"), damaged);
	expect("VirtioNet", 9, "is neither a pointer");
	damaged = data;
	put32(&damaged, at, 0x7fffffff);
	write_all(program(temp, "VirtioNet"), damaged);
	expect("VirtioNet", 9, "is in no section");
	damaged = data;
	put32(&damaged, at + 4, get32(data, at + 4) | 0xffffff);
	write_all(program(temp, "VirtioNet"), damaged);
	expect("VirtioNet", 9, "refers to nothing");
}

/* Never more than one line, and never a crash. */
static void test_truncated(void **)
{
	bytes data = thin("VirtioPCI"), fat = read_all(program(kexts, "VirtioPCI"));

	for (const bytes *whole : {&data, &fat})
		for (size_t len = 0; len < whole->size(); len += len < 2000 ? 7 : 501) {
			/* A copy of its own, for the checkers of memory. */
			bytes part(whole->begin(), whole->begin() + static_cast<ptrdiff_t>(len));
			struct macho m;
			std::string why;

			if (macho_read(part.data(), part.size(), &m, &why))
				continue;
			assert_false(why.empty());
			assert_true(why.find('\n') == std::string::npos);
		}
	data.resize(data.size() / 2);
	fresh();
	write_all(program(temp, "VirtioPCI"), data);
	expect("VirtioPCI", 9, "goes beyond the end of the file");
	expect("VirtioNet", 9, "goes beyond the end of the file");
}

static void test_hostile(void **)
{
	bytes whole = thin("VirtioNet");
	unsigned state = 1, taken = 0;

	fresh();
	for (unsigned n = 0; n < 400; n++) {
		bytes data = whole;
		size_t tables = get32(whole, command(whole, 0xb) + 72), span;

		for (unsigned i = 0; i < 1 + n % 4; i++) {
			state = state * 1103515245 + 12345;
			/* Headers half of the time, else relocations and symbols. */
			span = n % 2 ? whole.size() - tables : 1100;
			data[(n % 2 ? tables : 0) + (state >> 8) % span] =
				static_cast<uint8_t>(n % 3 ? state >> 24 : 0xff);
		}
		std::string told;

		write_all(program(temp, "VirtioNet"), data);
		if (check(bundle(temp, "VirtioNet"), 9, &told) == 0)
			taken++;
	}
	assert_true(taken < 400);
}

static void test_versions(void **)
{
	assert_true(xnu_version("1.0.0d1") < xnu_version("1.0.0a1"));
	assert_true(xnu_version("1.0.0b9") < xnu_version("1.0.0f1"));
	assert_true(xnu_version("1.0.0f1") < xnu_version("1"));
	assert_true(xnu_version("1.0.0fc2") == xnu_version("1.0f2"));
	assert_true(xnu_version("1.9") < xnu_version("1.10"));
	assert_true(xnu_version("13.0.0") > xnu_version("9.99.99"));
	for (const char *text :
	     {"", "1.", "a", "12345", "1.2.3.4", "1.2.345", "1d", "1d256", "1 ", "-1", "1.0b1c"})
		assert_true(xnu_version(text) == -1);
}

/* ---- the machine ---- */

static void works(void (*run)(int), int release)
{
	child_works([=] { run(release); }, child_release(release));
}

static void violates(void (*run)(int), int release, const char *words)
{
	child_violates([=] { run(release); }, words, child_release(release));
}

static void boot(int release)
{
	struct mac_config config = child_mac(release, RAM_LEN);

	config.quiet = false;
	CHECK(mac_boot(&config) == 0);
}

/* All is unloaded, and no kext has left anything. */
static void halt()
{
	char *text = nullptr;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	mac_halt(out);
	fclose(out);
	fputs(text, stderr);
	CHECK(!strstr(text, "org.viokit"));
	CHECK(!mac_kext_loaded("org.viokit.VirtioPCI"));
	free(text);
}

static void say(const char *why)
{
	if (*why)
		fprintf(stderr, "%s\n", why);
}

static void both(int release)
{
	char why[512] = "";
	struct mac_kext_info i;

	boot(release);
	int error = mac_kext_load(bundle(temp, "VirtioNet").c_str(), why, sizeof(why));

	say(why);
	CHECK(error == 0);
	CHECK(mac_kext_loaded("org.viokit.VirtioPCI") && mac_kext_loaded("org.viokit.VirtioNet"));
	CHECK(mac_kext_info(0, &i) && !strcmp(i.identifier, "org.viokit.VirtioPCI"));
	CHECK(strlen(i.sha256) == 64 && i.size && sim_in_kext(reinterpret_cast<void *>(i.address)));
	CHECK(mac_kext_info(1, &i) && !strcmp(i.identifier, "org.viokit.VirtioNet"));
	CHECK(!mac_kext_info(2, &i));
	/* Again is no mistake. */
	CHECK(mac_kext_load(bundle(temp, "VirtioPCI").c_str(), nullptr, 0) == 0);
	CHECK(mac_kext_unload("org.viokit.VirtioPCI", why, sizeof(why)) == -EBUSY);
	CHECK(strstr(why, "org.viokit.VirtioNet depends on it"));
	CHECK(mac_kext_unload("org.viokit.VirtioNet", why, sizeof(why)) == 0);
	CHECK(!sim_in_kext(reinterpret_cast<void *>(i.address)));
	CHECK(mac_kext_unload("org.viokit.VirtioNet", why, sizeof(why)) == -ENOENT);
	/* A second life, at another place. */
	CHECK(mac_kext_load(bundle(temp, "VirtioNet").c_str(), why, sizeof(why)) == 0);
	halt();
}

static void test_life(void **)
{
	fresh();
	for (int release = FIRST; release <= LAST; release++)
		works(both, release);
}

static void after_unload(int release)
{
	struct mac_kext_info i;

	boot(release);
	CHECK(mac_kext_load(bundle(temp, "VirtioPCI").c_str(), nullptr, 0) == 0);
	CHECK(mac_kext_info(0, &i));
	CHECK(mac_kext_unload("org.viokit.VirtioPCI", nullptr, 0) == 0);
	_exit(*reinterpret_cast<volatile char *>(i.address));
}

static void test_use_after_unload(void **)
{
	fresh();
	violates(after_unload, 9, "org.viokit.VirtioPCI is used at");
}

/* The same class from two bundles; what the second had built is taken down. */
static void twice(int release)
{
	char why[512] = "";

	boot(release);
	CHECK(mac_kext_load(bundle(kexts, "VirtioPCI").c_str(), why, sizeof(why)) == 0);
	CHECK(mac_kext_load(bundle(temp, "VirtioPCI").c_str(), why, sizeof(why)) != 0);
	CHECK(strstr(why, "its classes were refused"));
	CHECK(!mac_kext_loaded("org.viokit.VirtioPCX"));
	halt();
}

static void test_duplicate_class(void **)
{
	bytes data;

	fresh();
	write_all(program(temp, "VirtioPCI"),
		  replaced(thin("VirtioPCI"), "org.viokit.VirtioPCI", "org.viokit.VirtioPCX"));
	data = read_all(info(temp, "VirtioPCI"));
	write_all(info(temp, "VirtioPCI"),
		  replaced(data, "org.viokit.VirtioPCI", "org.viokit.VirtioPCX"));
	works(twice, 11);
}

/* A slot that 10.15 has filled, and our vtables do not have. */
static void call_new_slot(int release)
{
	struct mac_kext_info i;
	bytes data = thin("VirtioNet");
	void (*slot)(const char *);

	boot(release);
	CHECK(mac_kext_load(bundle(temp, "VirtioNet").c_str(), nullptr, 0) == 0);
	CHECK(mac_kext_info(1, &i));
	memcpy(&slot,
	       reinterpret_cast<void *>(i.address + value_of(data, "__ZTV19VirtioNetController") +
					8 * (2 + 12)),
	       sizeof(slot));
	slot("");
}

static void test_slot_of_later_release(void **)
{
	fresh();
	violates(call_new_slot, 15, "IOService::Dispatch(IORPC) of 10.15 is not simulated");
}

/* Start or stop of the kext: two instructions that return something else than 0. */
static void spoil(const char *name, size_t member)
{
	bytes data = thin(name);
	const struct macho m = parsed(data);
	uint64_t code = m.word_at(value_of(data, "_kmod_info") + member);
	const macho_section *text = m.section_of(code, 3);
	static const uint8_t fails[] = {0xb0, 0x05, 0xc3}; /* mov al, 5; ret */

	assert_non_null(text);
	memcpy(&data[text->offset + (code - text->addr)], fails, sizeof(fails));
	write_all(program(temp, name), data);
}

static void no_start(int release)
{
	char why[512] = "";

	boot(release);
	CHECK(mac_kext_load(bundle(temp, "VirtioPCI").c_str(), why, sizeof(why)) != 0);
	CHECK(strstr(why, "its start function returned"));
	CHECK(!mac_kext_loaded("org.viokit.VirtioPCI"));
	/* Its classes are gone: they may come again. */
	CHECK(mac_kext_load(bundle(kexts, "VirtioPCI").c_str(), why, sizeof(why)) == 0);
	halt();
}

static void no_stop(int release)
{
	char why[512] = "";

	boot(release);
	CHECK(mac_kext_load(bundle(temp, "VirtioPCI").c_str(), why, sizeof(why)) == 0);
	CHECK(mac_kext_unload("org.viokit.VirtioPCI", why, sizeof(why)) == -EBUSY);
	CHECK(strstr(why, "its stop function returned"));
	CHECK(mac_kext_loaded("org.viokit.VirtioPCI"));
}

static void test_start_stop(void **)
{
	fresh();
	spoil("VirtioPCI", offsetof(struct kmod_info, start));
	works(no_start, 6);
	fresh();
	spoil("VirtioPCI", offsetof(struct kmod_info, stop));
	works(no_stop, 13);
}

/* What the kext has asked for, as the simulation books it. */
static void leave_memory(int release)
{
	struct mac_kext_info i;

	boot(release);
	CHECK(mac_kext_load(bundle(temp, "VirtioPCI").c_str(), nullptr, 0) == 0);
	CHECK(mac_kext_info(0, &i));
	sim_born("IOMalloc", &i, 24, reinterpret_cast<void *>(i.address + 0x500));
	mac_kext_unload("org.viokit.VirtioPCI", nullptr, 0);
}

static void test_memory_left(void **)
{
	fresh();
	violates(leave_memory, 10, "leaves 1 things behind:\nIOMalloc of 24 bytes");
}

int main(void)
{
	static const char *const places[] = {getenv("VIOKIT_KEXTS"), "kext", "build/kext",
					     "../build/kext"};
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_release),
		cmocka_unit_test(test_load_commands),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_libraries),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_vtables),
		cmocka_unit_test(test_relocations),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_use_after_unload),
		cmocka_unit_test(test_duplicate_class),
		cmocka_unit_test(test_slot_of_later_release),
		cmocka_unit_test(test_start_stop),
		cmocka_unit_test(test_memory_left),
	};
	char folder[] = "/tmp/test-kext-XXXXXX";
	int failed;

	for (const char *place : places)
		if (kexts.empty() && place &&
		    access(program(place, "VirtioNet").c_str(), R_OK) == 0)
			kexts = place;
	if (kexts.empty()) {
		fprintf(stderr, "no kexts here: make kext\n");
		return 77;
	}
	if (!mkdtemp(folder))
		return 1;
	temp = folder;
	failed = cmocka_run_group_tests(tests, nullptr, nullptr);
	for (const char *name : {"VirtioPCI", "VirtioNet"}) {
		unlink(info(temp, name).c_str());
		unlink(program(temp, name).c_str());
		rmdir((bundle(temp, name) + "/Contents/MacOS").c_str());
		rmdir((bundle(temp, name) + "/Contents").c_str());
		rmdir(bundle(temp, name).c_str());
	}
	rmdir(folder);
	return failed;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel's linker refuses, apart from vtables.
 */
#include <string.h>
#include <set>

#include "guest/ports/xnu/kpi/kmod.h"
#include "sim/macos/kext/loaded.h"
#include "sim/macos/kext/release.h"

static std::string on(int release)
{
	return "10." + std::to_string(release);
}

/*
 * [XNU-KEXT-6] The linkers of 10.6 and 10.7 take what a kext needs and nothing else; 10.8 and later
 * pass over what newer tools put in, LC_BUILD_VERSION only since 10.13.
 */
static const struct {
	uint32_t command;
	int first;
} commands[] = {
	{0x02, 6},  /* LC_SYMTAB */
	{0x0b, 6},  /* LC_DYSYMTAB */
	{0x19, 6},  /* LC_SEGMENT_64 */
	{0x1b, 6},  /* LC_UUID */
	{0x1d, 8},  /* LC_CODE_SIGNATURE */
	{0x1e, 8},  /* LC_SEGMENT_SPLIT_INFO */
	{0x24, 8},  /* LC_VERSION_MIN_MACOSX */
	{0x26, 8},  /* LC_FUNCTION_STARTS */
	{0x29, 8},  /* LC_DATA_IN_CODE */
	{0x2a, 8},  /* LC_SOURCE_VERSION */
	{0x2b, 8},  /* LC_DYLIB_CODE_SIGN_DRS */
	{0x32, 13}, /* LC_BUILD_VERSION */
};

static void check_commands(const struct kext &k, int release, kext_lines *refusals)
{
	for (uint32_t command : k.program.commands) {
		int first = 0;
		char text[32];

		for (const auto &c : commands)
			if (c.command == command)
				first = c.first;
		if (first && release >= first)
			continue;
		snprintf(text, sizeof(text), "load command %#x", command);
		refusals->push_back(
			text + std::string(" is not known to the linker of ") + on(release) +
			(first ? ", only since " + on(first) : "; it has no place in a kext"));
	}
}

static void check_relocs(const struct kext &k, kext_lines *refusals)
{
	const struct macho &m = k.program;

	for (const macho_reloc &r : m.relocs) {
		const macho_section *s = m.section_of(r.address, 1);
		char text[128];

		if (r.type == MACHO_R_UNSIGNED && r.length == 3 && !r.pcrel &&
		    (r.external || m.word_at(r.address) <= m.size))
			continue;
		if (r.type == MACHO_R_BRANCH && r.length == 2 && r.pcrel && r.external &&
		    s->segment == "__TEXT")
			continue;
		snprintf(text, sizeof(text),
			 "relocation at %#llx (type %u, length %u) is neither a pointer into the "
			 "image or to a name, nor a branch to a name",
			 static_cast<unsigned long long>(r.address), r.type, r.length);
		refusals->push_back(text);
	}
}

/* [XNU-KEXT-7] The record by which the kernel knows the kext says the same as its property list. */
static void check_kmod(const struct kext &k, kext_lines *refusals)
{
	const struct macho &m = k.program;
	const macho_symbol *s = m.defined_external("_kmod_info");
	const macho_section *where = s ? m.section_of(s->value, sizeof(kmod_info)) : nullptr;
	const char *name, *version;
	struct kmod_info info;

	if (!where || where->segment != "__DATA" || where->type == MACHO_S_ZEROFILL) {
		refusals->push_back("no _kmod_info in __DATA: it must be an external symbol");
		return;
	}
	memcpy(&info, m.data.data() + where->offset + (s->value - where->addr), sizeof(info));
	name = info.name;
	version = info.version;
	if (info.info_version != KMOD_INFO_VERSION)
		refusals->push_back("_kmod_info has version " + std::to_string(info.info_version) +
				    " of its record, not 1");
	if (std::string(name, strnlen(name, sizeof(info.name))) != k.identifier)
		refusals->push_back("_kmod_info names " +
				    std::string(name, strnlen(name, sizeof(info.name))) +
				    ", CFBundleIdentifier is " + k.identifier);
	if (std::string(version, strnlen(version, sizeof(info.version))) != k.version)
		refusals->push_back("_kmod_info is of version " +
				    std::string(version, strnlen(version, sizeof(info.version))) +
				    ", CFBundleVersion is " + k.version);
}

/* Why a name cannot be bound; "": it can. [XNU-KEXT-8] */
static std::string missing(const struct kext &k, const std::string &name, int release)
{
	const struct xnu_export *e = xnu_export_of(name.c_str(), release);
	std::string span = xnu_export_span(name.c_str()), bundle;

	for (const struct kext *d : k.depends)
		if (!e && d->program.defined_external(name))
			return "";
	if (!e)
		return span.empty() ? "is exported by no release and by none of OSBundleLibraries"
				    : "is exported by " + span + ", not by " + on(release);
	for (const kext_library &l : k.libraries)
		if (l.identifier == e->bundle)
			return "";
	return std::string("is exported by ") + e->bundle + ", which OSBundleLibraries lacks";
}

static void check_names(const struct kext &k, int release, kext_lines *refusals)
{
	const struct macho &m = k.program;
	std::set<std::string> replaced;
	std::set<uint32_t> left;

	for (const kext_patch &p : k.patches) {
		const std::string &name = m.symbols[m.relocs[p.reloc].what].name;

		if (name != p.name)
			replaced.insert(name);
	}
	/* [XNU-KEXT-9] Nothing else may refer to a name that was replaced in a vtable. */
	for (size_t i = 0; i < m.relocs.size(); i++) {
		const macho_reloc &r = m.relocs[i];

		if (r.external && !k.patched[i] && replaced.count(m.symbols[r.what].name) &&
		    left.insert(r.what).second)
			refusals->push_back("it refers to " + xnu_readable(m.symbols[r.what].name) +
					    " outside of a vtable, but that was spare, and " +
					    on(release) + " has filled it");
	}
	for (const macho_symbol &s : m.symbols) {
		std::string why;

		if (s.defined || !s.external || replaced.count(s.name))
			continue;
		why = missing(k, s.name, release);
		if (!why.empty())
			refusals->push_back(xnu_readable(s.name) + " " + why);
	}
}

void kext_link(struct kext *k, int release, kext_lines *refusals)
{
	check_commands(*k, release, refusals);
	check_relocs(*k, refusals);
	check_kmod(*k, refusals);
	kext_vtables(k, release, refusals);
	check_names(*k, release, refusals);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <cxxabi.h>
#include <stdlib.h>
#include <string.h>

#include "sim/macos/kext/release.h"

#define XNU_LAST 15

/* The first row of that name. */
static unsigned first_export(const char *name)
{
	unsigned lo = 0, hi = xnu_exports_count;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (strcmp(xnu_exports[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct xnu_export *xnu_export_of(const char *name, int release)
{
	for (unsigned i = first_export(name);
	     i < xnu_exports_count && !strcmp(xnu_exports[i].name, name); i++)
		if (xnu_exports[i].releases & 1u << release)
			return &xnu_exports[i];
	return nullptr;
}

std::string xnu_export_span(const char *name)
{
	unsigned mask = 0;
	std::string text;

	for (unsigned i = first_export(name);
	     i < xnu_exports_count && !strcmp(xnu_exports[i].name, name); i++)
		mask |= xnu_exports[i].releases;
	for (unsigned r = XNU_FIRST; r <= XNU_LAST; r++) {
		unsigned last = r;

		if (!(mask & 1u << r))
			continue;
		while (mask & 1u << (last + 1))
			last++;
		text += (text.empty() ? "10." : ",10.") + std::to_string(r);
		if (last > r)
			text += "-10." + std::to_string(last);
		r = last;
	}
	return text;
}

static const struct xnu_class *class_named(const char *name)
{
	for (unsigned i = 0; i < xnu_classes_count; i++)
		if (!strcmp(xnu_classes[i].name, name))
			return &xnu_classes[i];
	return nullptr;
}

bool xnu_vtable(const std::string &name, int release, std::vector<std::string> *slots)
{
	const struct xnu_class *c = class_named(name.c_str());

	slots->clear();
	if (!c)
		return false;
	if (c->base && !xnu_vtable(c->base, release, slots))
		return false;
	slots->resize(c->slots);
	for (unsigned i = 0; i < c->rows; i++)
		if (c->row[i].releases & 1u << release)
			(*slots)[c->row[i].number] = c->row[i].name;
	return true;
}

bool xnu_spare(const std::string &symbol)
{
	return symbol.find("_RESERVED") != std::string::npos;
}

/* ---- versions ---- */

/* At most `most` digits; -1: none, or more. */
static int digits(const char **text, unsigned most)
{
	int value = 0;
	unsigned n = 0;

	for (; **text >= '0' && **text <= '9'; (*text)++, n++) {
		if (n == most)
			return -1;
		value = 10 * value + (**text - '0');
	}
	return n ? value : -1;
}

/*
 * [XNU-KEXT-1] Up to four digits, and twice a dot and up to two; then nothing, which is newest, or
 * d, a, b, f or fc (oldest first) and a level from 1 to 255.
 */
int64_t xnu_version(const char *text)
{
	static const char stages[] = "dabf";
	int major = digits(&text, 4), part[2] = {0, 0}, stage = 9, level = 0;

	if (major < 0)
		return -1;
	for (unsigned i = 0; i < 2 && *text == '.'; i++) {
		text++;
		part[i] = digits(&text, 2);
		if (part[i] < 0)
			return -1;
	}
	if (*text) {
		const char *at = strchr(stages, *text);

		if (!at)
			return -1;
		stage = static_cast<int>(at - stages) + 1;
		text++;
		if (stage == 4 && *text == 'c')
			text++;
		level = digits(&text, 3);
		if (level < 1 || level > 255 || *text)
			return -1;
	}
	return (((static_cast<int64_t>(major) * 100 + part[0]) * 100 + part[1]) * 10 + stage) *
		       1000 +
	       level;
}

/*
 * [XNU-KEXT-2] The interfaces of the kernel carry the version of Darwin, and stay compatible down
 * to 8.0.0; only Apple's kexts may have com.apple.kpi.private. [XNU-KEXT-3] What a release has of
 * the two families: no more than its first update may be counted on.
 */
static const struct xnu_bundle networking[] = {
	{"1.9", "1.3"}, {"2.0", "1.3"}, {"3.0", "1.3"}, {"3.2", "1.3"}, {"3.2", "1.3"},
	{"3.2", "1.3"}, {"3.2", "1.3"}, {"3.3", "1.3"}, {"3.4", "1.3"}, {"3.4", "1.3"},
};
static const struct xnu_bundle pci[] = {
	{"2.6", "1.2"}, {"2.6", "1.2"}, {"2.7", "1.2"}, {"2.8", "1.2"}, {"2.9", "1.2"},
	{"2.9", "1.2"}, {"2.9", "1.2"}, {"2.9", "1.2"}, {"2.9", "1.2"}, {"2.9", "1.2"},
};

bool xnu_bundle_of(const char *identifier, int release, std::string *version,
		   std::string *compatible)
{
	static const char *const kpis[] = {"bsd", "iokit", "libkern", "mach", "unsupported"};
	static const char prefix[] = "com.apple.kpi.";
	const struct xnu_bundle *family = nullptr;

	if (!strncmp(identifier, prefix, sizeof(prefix) - 1)) {
		for (const char *kpi : kpis) {
			if (strcmp(identifier + sizeof(prefix) - 1, kpi) != 0)
				continue;
			*version = std::to_string(release + 4) + ".0.0";
			*compatible = "8.0.0";
			return true;
		}
		return false;
	}
	if (!strcmp(identifier, "com.apple.iokit.IONetworkingFamily"))
		family = &networking[release - XNU_FIRST];
	else if (!strcmp(identifier, "com.apple.iokit.IOPCIFamily"))
		family = &pci[release - XNU_FIRST];
	if (!family)
		return false;
	*version = family->version;
	*compatible = family->compatible;
	return true;
}

std::string xnu_readable(const std::string &symbol)
{
	const char *name = symbol.c_str();
	std::string text;
	char *plain;
	int status;

	if (*name == '_')
		name++;
	plain = abi::__cxa_demangle(name, nullptr, nullptr, &status);
	text = plain ? plain : name;
	free(plain);
	return text;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Classes and vtables, as the kernel's linker looks at them.
 *
 * A class is known by five symbols. superClass leads to the parent's metaclass, and with that to
 * the parent's vtable as it is in this release. The two are compared slot by slot [XNU-KEXT-4]:
 *   - what the kext defines itself, and what is pure, stays;
 *   - what it inherits takes the parent's entry at the same place, whatever the name: that is how
 *     a kext built for 10.6 gets the functions that fill spare slots in later releases;
 *   - unless the parent's slot is still spare and the kext names something else: then it was built
 *     for a newer system, and is refused.
 * The vtables of MetaClasses are compared with OSMetaClass's in the same way.
 *
 * A vtable ends where relocations end, or where the next symbol is.
 */
#include <map>
#include <set>

#include "sim/macos/kext/loaded.h"
#include "sim/macos/kext/release.h"

#define WORD	     8
#define CLASSES_MOST 1000

static std::string tagged(const std::string &name)
{
	return std::to_string(name.size()) + name;
}

static std::string vtable_symbol(const std::string &name)
{
	return "__ZTV" + tagged(name);
}

/* prefix, length, name, suffix; "": it is not of that shape. */
static std::string named_in(const std::string &symbol, const std::string &prefix,
			    const std::string &suffix)
{
	size_t at = prefix.size(), len = 0, digits = 0;

	if (symbol.compare(0, at, prefix) != 0)
		return "";
	for (; at < symbol.size() && symbol[at] >= '0' && symbol[at] <= '9'; at++, digits++) {
		if (digits == 4)
			return "";
		len = 10 * len + static_cast<size_t>(symbol[at] - '0');
	}
	if (!len || symbol.size() - at != len + suffix.size() ||
	    symbol.compare(at + len, suffix.size(), suffix) != 0)
		return "";
	return symbol.substr(at, len);
}

static const struct {
	const char *what, *prefix, *suffix;
} parts[] = {
	{"vtable", "__ZTV", ""},
	{"MetaClass vtable", "__ZTVN", "9MetaClassE"},
	{"gMetaClass", "__ZN", "10gMetaClassE"},
	{"metaClass", "__ZN", "9metaClassE"},
	{"superClass", "__ZN", "10superClassE"},
};

const kext_class *kext_class_named(const struct kext &k, const std::string &name,
				   const struct kext **owner)
{
	for (const kext_class &c : k.classes)
		if (c.name == name) {
			if (owner)
				*owner = &k;
			return &c;
		}
	for (const struct kext *d : k.depends)
		if (const kext_class *c = kext_class_named(*d, name, owner))
			return c;
	return nullptr;
}

namespace
{

struct slot {
	uint64_t address;
	size_t reloc;
	std::string name;
	bool undefined;
};

class comparison
{
public:
	comparison(struct kext *kext, int r, kext_lines *lines)
	    : k(kext), m(kext->program), release(r), refusals(lines)
	{
		for (size_t i = 0; i < m.relocs.size(); i++)
			if (m.relocs[i].type == MACHO_R_UNSIGNED && m.relocs[i].length == 3)
				relocs[m.relocs[i].address] = i;
		for (const macho_symbol &s : m.symbols)
			if (s.defined)
				symbols.emplace(s.value, &s);
	}

	void run()
	{
		for (const macho_symbol &s : m.symbols)
			for (const auto &part : parts)
				if (s.defined && s.external)
					own.insert(named_in(s.name, part.prefix, part.suffix));
		own.erase("");
		if (own.size() > CLASSES_MOST) {
			refuse("more classes than any kext has");
			return;
		}
		for (const std::string &name : own)
			if (complete(name))
				compare(name);
	}

private:
	struct kext *k;
	const struct macho &m;
	int release;
	kext_lines *refusals;
	std::map<uint64_t, size_t> relocs;
	std::multimap<uint64_t, const macho_symbol *> symbols;
	std::set<std::string> own, begun;

	void refuse(const std::string &text)
	{
		refusals->push_back(text);
	}

	/* [XNU-KEXT-5] Without one of them, the linker cannot check the class. */
	bool complete(const std::string &name)
	{
		bool all = true;

		for (const auto &part : parts) {
			std::string symbol = part.prefix + tagged(name) + part.suffix;

			if (m.defined_external(symbol))
				continue;
			refuse("class " + name + " has no " + part.what + " symbol (" + symbol +
			       "): it must be there and external");
			all = false;
		}
		return all;
	}

	std::string parent_of(const std::string &name)
	{
		uint64_t at = m.defined_external("__ZN" + tagged(name) + "10superClassE")->value;
		auto found = relocs.find(at);
		std::string parent;

		if (found == relocs.end())
			return "";
		const macho_reloc &r = m.relocs[found->second];

		if (r.external)
			return named_in(m.symbols[r.what].name, "__ZN", "10gMetaClassE");
		auto range = symbols.equal_range(m.word_at(at));

		for (auto it = range.first; it != range.second && parent.empty(); ++it)
			parent = named_in(it->second->name, "__ZN", "10gMetaClassE");
		return parent;
	}

	std::vector<slot> slots_of(uint64_t vtable)
	{
		std::vector<slot> slots;
		auto next = symbols.upper_bound(vtable);
		uint64_t end = next == symbols.end() ? m.size : next->first;

		for (uint64_t at = vtable + 2 * WORD; at < end && relocs.count(at); at += WORD) {
			slot s = {at, relocs[at], "", false};
			const macho_reloc &r = m.relocs[s.reloc];

			if (r.external) {
				s.name = m.symbols[r.what].name;
				s.undefined = !m.symbols[r.what].defined;
			} else {
				auto local = symbols.find(m.word_at(at));

				s.name = local != symbols.end() ? local->second->name
								: "a function of its own";
			}
			slots.push_back(s);
		}
		return slots;
	}

	bool parent_slots(const std::string &parent, std::vector<std::string> *slots)
	{
		const kext_class *c;

		if (xnu_vtable(parent, release, slots))
			return true;
		if (own.count(parent) && !begun.count(parent) && complete(parent))
			compare(parent);
		c = kext_class_named(*k, parent, nullptr);
		if (c)
			*slots = c->slots;
		return c != nullptr;
	}

	void compare(const std::string &name)
	{
		std::string parent;

		if (!begun.insert(name).second)
			return;
		parent = parent_of(name);
		if (parent.empty()) {
			refuse("class " + name + ": superClass does not lead to a metaclass");
			return;
		}
		compare(name, vtable_symbol(name), parent);
		compare(name + "::MetaClass", "__ZTVN" + tagged(name) + "9MetaClassE",
			"OSMetaClass");
	}

	void compare(const std::string &name, const std::string &symbol, const std::string &parent)
	{
		uint64_t vtable = m.defined_external(symbol)->value;
		std::vector<slot> slots = slots_of(vtable);
		std::vector<std::string> base;
		kext_class c;

		if (!parent_slots(parent, &base)) {
			refuse("class " + name + ": no vtable of its parent " + parent +
			       " in the kernel or in OSBundleLibraries");
			return;
		}
		if (slots.size() < base.size()) {
			refuse("the vtable of " + name + " has " + std::to_string(slots.size()) +
			       " slots, that of its parent " + parent + " has " +
			       std::to_string(base.size()) + " in 10." + std::to_string(release));
			return;
		}
		c.name = name;
		c.parent = parent;
		c.vtable = vtable + 2 * WORD;
		for (unsigned i = 0; i < slots.size(); i++) {
			const slot &s = slots[i];
			/* Declared and never defined: left alone, and refused as missing. */
			bool mine = s.name.compare(0, 4, "__ZN") == 0 &&
				    s.name.compare(s.name[4] == 'K' ? 5 : 4, tagged(name).size(),
						   tagged(name)) == 0;
			bool inherits =
				i < base.size() && s.undefined && s.name != XNU_PURE && !mine;

			c.slots.push_back(inherits ? base[i] : s.name);
			if (!inherits)
				continue;
			if (s.name != base[i] && xnu_spare(base[i])) {
				refuse("the vtable of " + name + " has " + xnu_readable(s.name) +
				       " in slot " + std::to_string(i) + ", which is spare in " +
				       parent + " of 10." + std::to_string(release) +
				       ": built for a newer system");
				continue;
			}
			k->patches.push_back({s.reloc, s.address, parent, base[i], i});
			k->patched[s.reloc] = true;
		}
		k->classes.push_back(c);
	}
};

} // namespace

void kext_vtables(struct kext *k, int release, kext_lines *refusals)
{
	k->classes.clear();
	k->patches.clear();
	k->patched.assign(k->program.relocs.size(), false);
	comparison(k, release, refusals).run();
}

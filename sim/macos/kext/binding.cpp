/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From names to addresses.
 *
 * A name that the release exports is a function or an object of this program, found by name. What
 * the simulation does not have is a trap that tells the name when it is called; so is a slot of a
 * vtable that a later release has filled, since our own vtables have the slots of 10.6.
 */
#include <dlfcn.h>
#include <map>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim/macos/core/core.h"
#include "sim/macos/kext/loaded.h"
#include "sim/macos/kext/release.h"
#include "sim/macos/sim.h"

#define FRESH 0xd5

/* ---- what has another name here, or must not be the C library's ---- */

/* [XNU-KEXT-12] Plain new is the kernel's heap: nothing is cleared. */
static void *kext_new(size_t size)
{
	const void *caller = __builtin_return_address(0);
	void *p;

	sim_may_block("operator new");
	if (sim_alloc_fails(caller))
		return nullptr;
	p = malloc(size ? size : 1);
	if (!p)
		return nullptr;
	memset(p, FRESH, size);
	sim_born("operator new", p, size, caller);
	return p;
}

static void kext_delete(void *p)
{
	sim_may_block("operator delete");
	if (!p)
		return;
	sim_died("operator new", p);
	free(p);
}

static void stack_smashed()
{
	const char *name = sim_kext_name(__builtin_return_address(0));

	sim_violation("a function of %s has overrun its stack frame", name ? name : "a kext");
}

static uintptr_t stack_guard = 0x00d5a7c3915e2b00;

static void called_pure()
{
	const char *name = sim_kext_name(__builtin_return_address(0));

	sim_violation("a pure virtual function was called by %s", name ? name : "the simulation");
}

[[noreturn]] static void not_simulated(const char *name)
{
	const char *kext = sim_kext_name(__builtin_return_address(0));

	sim_violation("%s of 10.%d is not simulated (called by %s)", name, sim_config.release,
		      kext ? kext : "the simulation");
}

template <typename F> static void *code(F *function)
{
	return reinterpret_cast<void *>(function);
}

void *kext_host(const std::string &symbol)
{
	static const struct {
		const char *name;
		void *address;
	} aliases[] = {
		{"___bzero", code(bzero)},
		{"_bzero", code(bzero)},
		{"_strlcpy", code(sim_strlcpy)},
		{"__Znwm", code(kext_new)},
		{"__Znam", code(kext_new)},
		{"__ZdlPv", code(kext_delete)},
		{"__ZdaPv", code(kext_delete)},
		{"___stack_chk_fail", code(stack_smashed)},
		{"___stack_chk_guard", &stack_guard},
		{XNU_PURE, code(called_pure)},
	};

	for (const auto &alias : aliases)
		if (symbol == alias.name)
			return alias.address;
	return symbol.size() > 1 ? dlsym(RTLD_DEFAULT, symbol.c_str() + 1) : nullptr;
}

bool kext_is_data(const struct kext &k, const std::string &symbol)
{
	const struct macho &m = k.program;

	if (symbol.compare(0, 3, "__Z") == 0)
		return xnu_readable(symbol).find('(') == std::string::npos;
	for (const macho_reloc &r : m.relocs)
		if (r.external && r.type == MACHO_R_BRANCH && m.symbols[r.what].name == symbol)
			return false;
	return symbol.compare(0, 2, "_g") == 0 || symbol.compare(0, 2, "_k") == 0 ||
	       symbol.compare(0, 8, "_version") == 0;
}

/* ---- addresses ---- */

namespace
{

class binder
{
public:
	binder(struct kext *kext, int r) : k(kext), m(kext->program), release(r)
	{
	}

	bool run(std::string *why)
	{
		for (size_t i = 0; i < m.relocs.size(); i++) {
			const macho_reloc &r = m.relocs[i];

			if (!r.external)
				put(r.address, word(r.address) + address(0));
			else if (!k->patched[i] && !external(r, why))
				return false;
		}
		for (const kext_patch &p : k->patches)
			put(p.address, entry(p));
		return true;
	}

private:
	struct kext *k;
	const struct macho &m;
	int release;
	std::map<std::string, uint64_t> names, veneers;
	std::map<std::string, std::vector<std::string>> now, then;

	uint64_t address(uint64_t at) const
	{
		return reinterpret_cast<uint64_t>(k->base) + at;
	}
	uint64_t word(uint64_t at) const
	{
		uint64_t v;

		memcpy(&v, k->base + at, sizeof(v));
		return v;
	}
	void put(uint64_t at, uint64_t v)
	{
		memcpy(k->base + at, &v, sizeof(v));
	}

	uint64_t trap(const std::string &name)
	{
		return reinterpret_cast<uint64_t>(
			kext_stub(k, code(not_simulated), xnu_readable(name).c_str()));
	}

	/* 0: `why`. */
	uint64_t named(const macho_symbol &s, std::string *why)
	{
		uint64_t &at = names[s.name];

		if (at)
			return at;
		if (s.defined)
			return at = address(s.value);
		if (!xnu_export_of(s.name.c_str(), release)) {
			for (const struct kext *d : k->depends)
				if (const macho_symbol *there = d->program.defined_external(s.name))
					return at = reinterpret_cast<uint64_t>(d->base) +
						    there->value;
		}
		at = reinterpret_cast<uint64_t>(kext_host(s.name));
		if (at)
			return at;
		if (kext_is_data(*k, s.name)) {
			*why = xnu_readable(s.name) +
			       " is data of the kernel that is not simulated";
			return 0;
		}
		return at = trap(s.name);
	}

	bool external(const macho_reloc &r, std::string *why)
	{
		const macho_symbol &s = m.symbols[r.what];
		uint64_t to = named(s, why);
		int64_t distance;
		int32_t field;

		if (!to)
			return false;
		if (r.type == MACHO_R_UNSIGNED) {
			put(r.address, word(r.address) + to);
			return true;
		}
		memcpy(&field, k->base + r.address, sizeof(field));
		distance = static_cast<int64_t>(to - address(r.address + sizeof(field))) + field;
		if (distance != static_cast<int32_t>(distance)) {
			/* A jump: to the callee, the caller is still the kext. */
			uint64_t &veneer = veneers[s.name];

			if (!veneer)
				veneer = reinterpret_cast<uint64_t>(
					kext_stub(k, reinterpret_cast<const void *>(to), nullptr));
			distance =
				static_cast<int64_t>(veneer - address(r.address + sizeof(field))) +
				field;
		}
		field = static_cast<int32_t>(distance);
		memcpy(k->base + r.address, &field, sizeof(field));
		return true;
	}

	const std::vector<std::string> &slots(const std::string &name, int r)
	{
		std::vector<std::string> &s = r == release ? now[name] : then[name];

		if (s.empty())
			xnu_vtable(name, r, &s);
		return s;
	}

	const std::string &first(const kext_patch &p)
	{
		return slots(p.parent, XNU_FIRST)[p.slot];
	}

	/* What the parent has in that slot. [XNU-KEXT-4] */
	uint64_t entry(const kext_patch &p)
	{
		const struct kext *owner = nullptr;
		const kext_class *c = kext_class_named(*k, p.parent, &owner);
		uint64_t at = 0;
		void *host;

		if (c) {
			memcpy(&at, owner->base + c->vtable + 8 * static_cast<uint64_t>(p.slot),
			       sizeof(at));
			return at;
		}
		if (p.name == XNU_PURE)
			return reinterpret_cast<uint64_t>(code(called_pure));
		host = kext_host("__ZTV" + std::to_string(p.parent.size()) + p.parent);
		/*
		 * Ours has the first release's slots. An override that came later stands in the
		 * same slot and means the same; what became of a spare slot does not exist here.
		 */
		if (host && (slots(p.parent, release)[p.slot] == first(p) ||
			     first(p).find("_RESERVED") == std::string::npos)) {
			memcpy(&at,
			       static_cast<const uint8_t *>(host) +
				       8 * (2 + static_cast<uint64_t>(p.slot)),
			       sizeof(at));
			return at;
		}
		at = reinterpret_cast<uint64_t>(kext_host(p.name));
		if (at)
			return at;
		at = names[p.name];
		return at ? at : names[p.name] = trap(p.name);
	}
};

} // namespace

bool kext_bind(struct kext *k, int release, std::string *why)
{
	return binder(k, release).run(why);
}

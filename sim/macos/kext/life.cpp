/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a linked image to a running kext, and back. Constructors and destructors are the kernel's to
 * run: section by section in file order, each front to back, the metaclasses collected meanwhile
 * [XNU-KEXT-15]; only then comes the kext's start function. Its stop function comes before the
 * destructors [XNU-KEXT-16].
 */
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/kmod.h"
#include "sim/macos/bsd/bsd.h"
#include "sim/macos/core/core.h"
#include "sim/macos/kext/loaded.h"
#include "sim/macos/libkern/runtime_sim.h"
#include "sim/macos/loop/loop.h"
#include "sim/macos/sim.h"

static void call_all(const struct kext &k, uint8_t type)
{
	for (const macho_section &s : k.program.sections) {
		if (s.type != type)
			continue;
		for (uint64_t at = 0; at + sizeof(uint64_t) <= s.size; at += sizeof(uint64_t)) {
			const uint8_t *target;
			void (*function)();

			memcpy(&target, k.base + s.addr + at, sizeof(target));
			if (sim_kext_name(target) == nullptr)
				sim_violation("%s of %s holds %p, which is no function of a kext",
					      s.name.c_str(), k.identifier.c_str(),
					      static_cast<const void *>(target));
			memcpy(&function, &target, sizeof(function));
			function();
		}
	}
}

static void fill_kmod(struct kext *k)
{
	static uint32_t tag;
	const macho_symbol *s = k->program.defined_external("_kmod_info");

	k->kmod = reinterpret_cast<struct kmod_info *>(k->base + s->value);
	sim_strlcpy(k->kmod->name, k->identifier.c_str(), sizeof(k->kmod->name));
	sim_strlcpy(k->kmod->version, k->version.c_str(), sizeof(k->kmod->version));
	k->kmod->id = ++tag;
	k->kmod->reference_count = 0;
	k->kmod->reference_list = nullptr;
	k->kmod->address = reinterpret_cast<vm_address_t>(k->base);
	k->kmod->size = k->program.size;
	k->kmod->hdr_size = k->program.headers;
}

/* [XNU-KEXT-15] */
static bool construct(struct kext *k, std::string *why)
{
	void *loading = OSMetaClass::preModLoad(k->identifier.c_str());
	OSReturn result;

	if (!loading) {
		*why = "its classes cannot be collected now";
		return false;
	}
	call_all(*k, MACHO_S_INIT);
	if (!OSMetaClass::checkModLoad(loading))
		call_all(*k, MACHO_S_TERM);
	result = OSMetaClass::postModLoad(loading);
	if (result == kIOReturnSuccess)
		return true;
	call_all(*k, MACHO_S_TERM);
	*why = "its classes were refused: one of them is there already";
	return false;
}

static void destruct(struct kext *k)
{
	call_all(*k, MACHO_S_TERM);
	sim_class_release(k->identifier.c_str());
}

bool kext_start(struct kext *k, std::string *why)
{
	kern_return_t result;

	fill_kmod(k);
	if (!construct(k, why))
		return false;
	result = k->kmod->start ? k->kmod->start(k->kmod, nullptr) : 0;
	if (result == 0) {
		k->started = true;
		return true;
	}
	*why = "its start function returned " + std::to_string(result);
	destruct(k);
	return false;
}

/* What it asked for must have been given back by now. */
static void check_memory(const struct kext &k)
{
	char *text = nullptr;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	unsigned n = sim_alive_from(k.base, k.base + k.program.size, out) +
		     sim_loop_sources_of(k.identifier.c_str(), out);

	(void)sim_mbuf_of_kext(k.identifier.c_str()); /* logged; mac_halt() counts them */
	if (out)
		fclose(out);
	if (n)
		sim_violation("%s is unloaded and leaves %u things behind:\n%s",
			      k.identifier.c_str(), n, text ? text : "");
	free(text);
}

bool kext_stop(struct kext *k, std::string *why)
{
	kern_return_t result = k->kmod->stop ? k->kmod->stop(k->kmod, nullptr) : 0;

	if (result != 0) {
		*why = "its stop function returned " + std::to_string(result);
		return false;
	}
	k->started = false;
	destruct(k);
	check_memory(*k);
	return true;
}

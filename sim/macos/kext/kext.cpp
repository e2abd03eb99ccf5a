/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which kexts are loaded, and in which order they come and go.
 *
 * One load or unload at a time, under `life`; `loaded_lock` is held for a look at the list only,
 * since matching threads ask while kexts come and go.
 */
#include <time.h>
#include <algorithm>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "guest/ports/xnu/kpi/kmod.h"
#include "sim/macos/core/core.h"
#include "sim/macos/iokit/catalogue.h"
#include "sim/macos/kext/kext.h"
#include "sim/macos/kext/loaded.h"
#include "sim/macos/kext/release.h"
#include "sim/macos/libkern/runtime_sim.h"
#include "sim/macos/mac.h"
#include "sim/macos/sim.h"

#define DEEPEST 16 /* dependencies of dependencies */

static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t loaded_lock = PTHREAD_MUTEX_INITIALIZER;

static std::vector<struct kext *> &loaded()
{
	static auto *list = new std::vector<struct kext *>;

	return *list;
}

static struct kext *find(const std::string &identifier)
{
	struct kext *found = nullptr;

	pthread_mutex_lock(&loaded_lock);
	for (struct kext *k : loaded())
		if (k->identifier == identifier)
			found = k;
	pthread_mutex_unlock(&loaded_lock);
	return found;
}

static int refuse(const struct kext *k, int error, std::string *why)
{
	if (k)
		*why = k->identifier + ": " + *why;
	sim_log("kext: %s", why->c_str());
	return error;
}

/* ---- load ---- */

static int load(const std::string &path, unsigned depth, std::string *why);

/* A library that is Apple's: there in this release? */
static bool apple_library(const kext_library &l, int release, std::string *why)
{
	std::string version, compatible;

	if (!xnu_bundle_of(l.identifier.c_str(), release, &version, &compatible))
		*why = "OSBundleLibraries names " + l.identifier + ", which 10." +
		       std::to_string(release) + " does not have for it";
	else
		*why = kext_version_fits(l.identifier, version, compatible, l.version);
	return why->empty();
}

static bool is_apple(const std::string &identifier)
{
	return identifier.compare(0, 10, "com.apple.") == 0;
}

static bool load_libraries(struct kext *k, unsigned depth, std::string *why)
{
	for (const kext_library &l : k->libraries) {
		struct kext *d;

		if (is_apple(l.identifier)) {
			if (!apple_library(l, sim_config.release, why))
				return false;
			continue;
		}
		d = find(l.identifier);
		if (!d) {
			std::string path = kext_beside(*k, l.identifier);

			if (path.empty())
				*why = "it needs " + l.identifier + " " + l.version +
				       ", which is not beside it";
			else if (depth == 0)
				*why = "its dependencies are nested too deeply, or circular";
			else if (load(path, depth - 1, why) == 0)
				d = find(l.identifier);
			if (!why->empty())
				return false;
		}
		*why = kext_version_fits(l.identifier, d->version, d->compatible, l.version);
		if (!why->empty())
			return false;
		k->depends.push_back(d);
	}
	return true;
}

static bool link_and_start(struct kext *k, std::string *why)
{
	kext_lines refusals;

	kext_link(k, sim_config.release, &refusals);
	for (size_t i = 1; i < refusals.size() && i < 20; i++)
		sim_log("kext: %s: %s", k->identifier.c_str(), refusals[i].c_str());
	if (!refusals.empty()) {
		*why = refusals[0];
		return false;
	}
	if (!kext_map(k, why))
		return false;
	if (kext_bind(k, sim_config.release, why) && kext_start(k, why))
		return true;
	kext_unmap(k);
	return false;
}

/* [XNU-KEXT-17] What it depends on comes first, and stays if it fails itself. */
static int load(const std::string &path, unsigned depth, std::string *why)
{
	struct kext *k = kext_open(path, why), *there;
	OSArray *personalities = nullptr;

	if (!k) {
		*why = path + ": " + *why;
		return refuse(nullptr, -EINVAL, why);
	}
	there = find(k->identifier);
	if (there) {
		int error = there->version == k->version ? 0 : -EEXIST;

		*why = "is loaded as " + there->version + ", not " + k->version;
		if (error)
			refuse(k, error, why);
		else
			why->clear();
		kext_close(k);
		return error;
	}
	if (load_libraries(k, depth, why))
		personalities = kext_personalities(*k, why);
	if (!why->empty() || !link_and_start(k, why)) {
		refuse(k, -EINVAL, why);
		if (personalities)
			personalities->release();
		kext_close(k);
		return -EINVAL;
	}
	for (struct kext *d : k->depends)
		d->kmod->reference_count++;
	pthread_mutex_lock(&loaded_lock);
	loaded().push_back(k);
	pthread_mutex_unlock(&loaded_lock);
	sim_log("kext: %s %s is loaded at %p", k->identifier.c_str(), k->version.c_str(),
		static_cast<void *>(k->base));
	/* [XNU-KEXT-18] Matching starts only now, and goes on while we return. */
	if (personalities) {
		sim_catalogue_add(personalities);
		personalities->release();
	}
	return 0;
}

static void tell(const std::string &text, char *why, size_t len)
{
	if (why && len)
		sim_strlcpy(why, text.c_str(), len);
}

int mac_kext_load(const char *bundle, char *why, size_t why_len)
{
	std::string text;
	int error;

	sim_enter("kextload");
	pthread_mutex_lock(&life);
	error = load(bundle, DEEPEST, &text);
	pthread_mutex_unlock(&life);
	sim_exit();
	tell(text, why, why_len);
	return error;
}

/* ---- unload ---- */

static void add_instances(void *arg, const char *name, unsigned n)
{
	std::string *text = static_cast<std::string *>(arg);

	*text += std::string(text->empty() ? "" : ", ") + name + " has " + std::to_string(n);
}

#define RELEASE_TRIES 1000 /* of a millisecond */

/*
 * [XNU-KEXT-19] Its services are terminated and its personalities removed before anybody asks
 * whether it can go: who may not be unloaded is left without both.
 */
static int unload(struct kext *k, std::string *why)
{
	std::string instances;

	if (sim_catalogue_terminate(k->identifier.c_str()) != kIOReturnSuccess) {
		*why = "its services could not be terminated";
		return -EBUSY;
	}
	sim_catalogue_remove(k->identifier.c_str());
	pthread_mutex_lock(&loaded_lock);
	for (const struct kext *other : loaded())
		if (std::count(other->depends.begin(), other->depends.end(), k))
			*why = other->identifier + " depends on it";
	pthread_mutex_unlock(&loaded_lock);
	if (!why->empty())
		return -EBUSY;
	/*
	 * The power thread and others may be about to give back the last reference. Whoever types
	 * kextunload would try again; here that is done for him, for a while.
	 */
	for (unsigned i = 0; i == 0 || (!instances.empty() && i < RELEASE_TRIES); i++) {
		const struct timespec nap = {0, 1000000};

		if (i)
			nanosleep(&nap, nullptr);
		instances.clear();
		sim_class_instances(k->identifier.c_str(), add_instances, &instances);
	}
	if (!instances.empty()) {
		*why = "its classes have instances: " + instances;
		return -EBUSY;
	}
	if (!kext_stop(k, why))
		return -EBUSY;
	pthread_mutex_lock(&loaded_lock);
	loaded().erase(std::find(loaded().begin(), loaded().end(), k));
	pthread_mutex_unlock(&loaded_lock);
	for (struct kext *d : k->depends)
		d->kmod->reference_count--;
	kext_unmap(k);
	sim_log("kext: %s is unloaded", k->identifier.c_str());
	kext_close(k);
	return 0;
}

int mac_kext_unload(const char *identifier, char *why, size_t why_len)
{
	std::string text;
	struct kext *k;
	int error;

	sim_enter("kextunload");
	pthread_mutex_lock(&life);
	k = find(identifier);
	error = k ? unload(k, &text) : -ENOENT;
	if (error)
		text = std::string(identifier) + ": " + (k ? text : "is not loaded");
	pthread_mutex_unlock(&life);
	sim_exit();
	tell(text, why, why_len);
	return error;
}

/* ---- who asks ---- */

bool mac_kext_loaded(const char *identifier)
{
	return find(identifier) != nullptr;
}

bool sim_module_loaded(const char *bundle)
{
	return is_apple(bundle) || find(bundle);
}

bool mac_kext_info(unsigned nth, struct mac_kext_info *out)
{
	bool there;

	pthread_mutex_lock(&loaded_lock);
	there = nth < loaded().size();
	if (there) {
		const struct kext &k = *loaded()[nth];

		memset(out, 0, sizeof(*out));
		sim_strlcpy(out->identifier, k.identifier.c_str(), sizeof(out->identifier));
		sim_strlcpy(out->version, k.version.c_str(), sizeof(out->version));
		out->address = reinterpret_cast<uint64_t>(k.base);
		out->size = k.program.size;
		sim_strlcpy(out->sha256, k.sha256.c_str(), sizeof(out->sha256));
	}
	pthread_mutex_unlock(&loaded_lock);
	return there;
}

void sim_kext_boot(void)
{
	kext_faults(true);
}

void sim_kext_halt(void)
{
	pthread_mutex_lock(&life);
	for (size_t left = loaded().size(); left; left--) {
		struct kext *k = loaded()[left - 1];
		std::string why;

		if (unload(k, &why) != 0)
			sim_leak("%s cannot be unloaded: %s", k->identifier.c_str(), why.c_str());
	}
	pthread_mutex_unlock(&life);
	kext_faults(false);
}

/* ---- a look without loading ---- */

static int look(struct kext *k, int release, unsigned depth, kext_lines *refusals)
{
	for (const kext_library &l : k->libraries) {
		std::string why, path;
		struct kext *d = nullptr;

		if (is_apple(l.identifier)) {
			if (!apple_library(l, release, &why))
				refusals->push_back(why);
			continue;
		}
		path = kext_beside(*k, l.identifier);
		if (path.empty())
			why = "it needs " + l.identifier + " " + l.version +
			      ", which is not beside it";
		else if (depth == 0)
			why = "its dependencies are nested too deeply, or circular";
		else
			d = kext_open(path, &why);
		if (d) {
			kext_lines theirs;

			k->depends.push_back(d);
			look(d, release, depth - 1, &theirs);
			why = kext_version_fits(l.identifier, d->version, d->compatible, l.version);
		}
		if (!why.empty())
			refusals->push_back(why);
	}
	kext_link(k, release, refusals);
	return static_cast<int>(refusals->size());
}

static void close_all(struct kext *k)
{
	for (struct kext *d : k->depends)
		close_all(d);
	kext_close(k);
}

int sim_kext_check(const char *bundle, int release, bool names, FILE *out)
{
	std::string why;
	struct kext *k = kext_open(bundle, &why);
	kext_lines refusals;
	int n;

	if (!k) {
		fprintf(out, "%s: %s\n", bundle, why.c_str());
		return -1;
	}
	n = look(k, release, DEEPEST, &refusals);
	for (const std::string &line : refusals)
		fprintf(out, "%s: %s\n", k->identifier.c_str(), line.c_str());
	for (const macho_symbol &s : k->program.symbols)
		if (names && !s.defined && s.external && xnu_export_of(s.name.c_str(), release) &&
		    !kext_host(s.name))
			fprintf(out, "%s: not simulated: %s%s\n", k->identifier.c_str(),
				xnu_readable(s.name).c_str(),
				kext_is_data(*k, s.name) ? " (data)" : "");
	close_all(k);
	return n;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

#include "sim/macos/kext/loaded.h"
#include "sim/macos/kext/release.h"

#define PLIST_MOST   (1u << 20)
#define PROGRAM_MOST (64u << 20)
#define NAME_MOST    63 /* of identifier and version, in kmod_info */

static bool read_file(const std::string &path, size_t most, std::vector<uint8_t> *data,
		      std::string *why)
{
	FILE *file = fopen(path.c_str(), "rb");
	uint8_t part[4096];
	size_t n;

	if (!file) {
		*why = path + ": " + strerror(errno);
		return false;
	}
	while ((n = fread(part, 1, sizeof(part), file)) > 0 && data->size() <= most)
		data->insert(data->end(), part, part + n);
	*why = ferror(file) ? path + " cannot be read" : "";
	fclose(file);
	if (why->empty() && data->size() > most)
		*why = path + " is too large";
	return why->empty();
}

static std::string text_of(plist_t dict, const char *key)
{
	plist_t node = plist_dict_get_item(dict, key);
	const char *text = nullptr;

	if (node && plist_get_node_type(node) == PLIST_STRING)
		text = plist_get_string_ptr(node, nullptr);
	return text ? text : "";
}

static bool read_libraries(struct kext *k, std::string *why)
{
	plist_t dict = plist_dict_get_item(k->info, "OSBundleLibraries");
	plist_dict_iter it = nullptr;

	if (!dict || plist_get_node_type(dict) != PLIST_DICT || !plist_dict_get_size(dict)) {
		*why = "Info.plist has no OSBundleLibraries: a kext links against nothing then";
		return false;
	}
	plist_dict_new_iter(dict, &it);
	for (;;) {
		char *key = nullptr;
		plist_t value = nullptr;
		const char *text = nullptr;

		plist_dict_next_item(dict, it, &key, &value);
		if (!key)
			break;
		if (value && plist_get_node_type(value) == PLIST_STRING)
			text = plist_get_string_ptr(value, nullptr);
		if (!text || xnu_version(text) < 0)
			*why = std::string("OSBundleLibraries: what is asked of ") + key +
			       " is no version";
		k->libraries.push_back({key, text ? text : ""});
		free(key);
	}
	free(it);
	return why->empty();
}

/* [XNU-KEXT-10] */
static bool read_info(struct kext *k, std::string *program, std::string *why)
{
	std::vector<uint8_t> data;

	if (!read_file(k->path + "/Contents/Info.plist", PLIST_MOST, &data, why))
		return false;
	plist_from_memory(reinterpret_cast<const char *>(data.data()),
			  static_cast<uint32_t>(data.size()), &k->info);
	if (!k->info || plist_get_node_type(k->info) != PLIST_DICT) {
		*why = "Info.plist is no property list with a dictionary";
		return false;
	}
	k->identifier = text_of(k->info, "CFBundleIdentifier");
	k->version = text_of(k->info, "CFBundleVersion");
	k->compatible = text_of(k->info, "OSBundleCompatibleVersion");
	*program = text_of(k->info, "CFBundleExecutable");
	if (text_of(k->info, "CFBundlePackageType") != "KEXT")
		*why = "CFBundlePackageType is not KEXT";
	else if (k->identifier.empty() || k->identifier.size() > NAME_MOST)
		*why = "CFBundleIdentifier is missing or longer than 63 characters";
	else if (k->version.size() > NAME_MOST || xnu_version(k->version.c_str()) < 0)
		*why = "CFBundleVersion '" + k->version + "' is no version of a kext";
	else if (!k->compatible.empty() &&
		 (xnu_version(k->compatible.c_str()) < 0 ||
		  xnu_version(k->compatible.c_str()) > xnu_version(k->version.c_str())))
		*why = "OSBundleCompatibleVersion '" + k->compatible +
		       "' is no version, or above CFBundleVersion";
	else if (program->empty() || program->find('/') != std::string::npos)
		*why = "CFBundleExecutable is missing or no name of a file";
	return why->empty() && read_libraries(k, why);
}

static std::string sha256(const std::vector<uint8_t> &data)
{
	struct sha256_ctx context;
	uint8_t digest[SHA256_DIGEST_SIZE];
	std::string text;

	sha256_init(&context);
	sha256_update(&context, data.size(), data.data());
	sha256_digest(&context, sizeof(digest), digest);
	for (uint8_t byte : digest) {
		char two[3];

		snprintf(two, sizeof(two), "%02x", byte);
		text += two;
	}
	return text;
}

struct kext *kext_open(const std::string &path, std::string *why)
{
	struct kext *k = new kext();
	std::string program;
	std::vector<uint8_t> data;

	k->path = path;
	while (k->path.size() > 1 && k->path.back() == '/')
		k->path.pop_back();
	why->clear();
	if (read_info(k, &program, why) &&
	    read_file(k->path + "/Contents/MacOS/" + program, PROGRAM_MOST, &data, why)) {
		k->sha256 = sha256(data);
		if (!macho_read(data.data(), data.size(), &k->program, why))
			*why = program + ": " + *why;
	}
	if (why->empty())
		return k;
	kext_close(k);
	return nullptr;
}

void kext_close(struct kext *k)
{
	if (k->info)
		plist_free(k->info);
	delete k;
}

static bool has_identifier(const std::string &path, const std::string &identifier)
{
	std::vector<uint8_t> data;
	plist_t info = nullptr;
	std::string why;
	bool found;

	if (!read_file(path + "/Contents/Info.plist", PLIST_MOST, &data, &why))
		return false;
	plist_from_memory(reinterpret_cast<const char *>(data.data()),
			  static_cast<uint32_t>(data.size()), &info);
	if (!info)
		return false;
	found = plist_get_node_type(info) == PLIST_DICT &&
		text_of(info, "CFBundleIdentifier") == identifier;
	plist_free(info);
	return found;
}

std::string kext_beside(const struct kext &k, const std::string &identifier)
{
	size_t slash = k.path.rfind('/');
	std::string folder = slash == std::string::npos ? "." : k.path.substr(0, slash + 1), found;
	DIR *dir = opendir(folder.c_str());

	if (!dir)
		return "";
	while (const struct dirent *entry = readdir(dir)) {
		std::string name = entry->d_name, path = folder + "/" + name;

		if (name.size() > 5 && name.compare(name.size() - 5, 5, ".kext") == 0 &&
		    has_identifier(path, identifier) && (found.empty() || path < found))
			found = path;
	}
	closedir(dir);
	return found;
}

/* [XNU-KEXT-11] */
std::string kext_version_fits(const std::string &identifier, const std::string &version,
			      const std::string &compatible, const std::string &asked)
{
	int64_t want = xnu_version(asked.c_str());

	if (compatible.empty())
		return identifier + " has no OSBundleCompatibleVersion: no kext can depend on it";
	if (want <= xnu_version(version.c_str()) && want >= xnu_version(compatible.c_str()))
		return "";
	return "OSBundleLibraries asks for " + identifier + " " + asked + ", which is there as " +
	       version + ", compatible with " + compatible + " and later";
}

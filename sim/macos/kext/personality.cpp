/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IOKitPersonalities as the catalogue wants them.
 */
#include <stdlib.h>

#include "sim/macos/kext/loaded.h"

#define DEEPEST 32

/* Owned by the caller; 0: `why`. */
static OSObject *object_of(plist_t node, unsigned depth, std::string *why);

static OSObject *dictionary_of(plist_t node, unsigned depth, std::string *why)
{
	OSDictionary *dict = OSDictionary::withCapacity(plist_dict_get_size(node) + 1);
	plist_dict_iter it = nullptr;

	plist_dict_new_iter(node, &it);
	for (;;) {
		char *key = nullptr;
		plist_t value = nullptr;
		OSObject *object;

		plist_dict_next_item(node, it, &key, &value);
		if (!key)
			break;
		object = object_of(value, depth, why);
		if (object) {
			dict->setObject(key, object);
			object->release();
		}
		free(key);
	}
	free(it);
	return dict;
}

static OSObject *array_of(plist_t node, unsigned depth, std::string *why)
{
	uint32_t n = plist_array_get_size(node);
	OSArray *array = OSArray::withCapacity(n + 1);

	for (uint32_t i = 0; i < n; i++) {
		OSObject *object = object_of(plist_array_get_item(node, i), depth, why);

		if (object) {
			array->setObject(object);
			object->release();
		}
	}
	return array;
}

static OSObject *object_of(plist_t node, unsigned depth, std::string *why)
{
	uint8_t yes = 0;
	uint64_t number = 0, len = 0;
	const char *bytes;

	if (depth == 0) {
		*why = "IOKitPersonalities are nested too deeply";
		return nullptr;
	}
	switch (plist_get_node_type(node)) {
	case PLIST_DICT:
		return dictionary_of(node, depth - 1, why);
	case PLIST_ARRAY:
		return array_of(node, depth - 1, why);
	case PLIST_STRING:
		return OSString::withCString(plist_get_string_ptr(node, nullptr));
	case PLIST_BOOLEAN:
		plist_get_bool_val(node, &yes);
		return OSBoolean::withBoolean(yes != 0);
	case PLIST_UINT:
		/* [XNU-KEXT-13] As small as it goes, of 32 and 64 bits. */
		plist_get_uint_val(node, &number);
		return OSNumber::withNumber(number, number >> 32 ? 64 : 32);
	case PLIST_DATA:
		bytes = plist_get_data_ptr(node, &len);
		return OSData::withBytes(bytes, static_cast<unsigned>(len));
	default:
		*why = "IOKitPersonalities hold a date or a real, which the kernel has no object "
		       "for";
		return nullptr;
	}
}

OSArray *kext_personalities(const struct kext &k, std::string *why)
{
	plist_t people = plist_dict_get_item(k.info, "IOKitPersonalities");
	OSArray *array = nullptr;
	OSDictionary *all;

	if (!people)
		return nullptr;
	if (plist_get_node_type(people) != PLIST_DICT) {
		*why = "IOKitPersonalities is not a dictionary";
		return nullptr;
	}
	array = OSArray::withCapacity(plist_dict_get_size(people) + 1);
	all = static_cast<OSDictionary *>(dictionary_of(people, DEEPEST, why));
	if (OSCollectionIterator *it = OSCollectionIterator::withCollection(all)) {
		while (OSObject *key = it->getNextObject()) {
			OSObject *value = all->getObject(static_cast<const OSSymbol *>(key));
			OSDictionary *person = OSDynamicCast(OSDictionary, value);
			OSString *module;

			if (!person) {
				*why = "one of IOKitPersonalities is not a dictionary";
				continue;
			}
			/* [XNU-KEXT-14] A personality without an owner is the kext's own. */
			if (!person->getObject("CFBundleIdentifier")) {
				module = OSString::withCString(k.identifier.c_str());
				person->setObject("CFBundleIdentifier", module);
				module->release();
			}
			array->setObject(person);
		}
		it->release();
	}
	all->release();
	if (why->empty())
		return array;
	array->release();
	return nullptr;
}

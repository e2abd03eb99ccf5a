/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What makes an object file a kext: the record the kernel finds by the name `kmod_info`.
 *
 * KPI_KMOD("org.example.Driver", "1.0") at file scope defines it. Name and version must equal
 * CFBundleIdentifier and CFBundleVersion. The kernel fills in everything between the version and
 * `start`, runs the constructors itself before it calls `start`, and the destructors after `stop`.
 */
#ifndef KPI_KMOD_H
#define KPI_KMOD_H

#include "types.h"

#define KMOD_MAX_NAME	  64
#define KMOD_INFO_VERSION 1

#pragma pack(push, 4)

struct kmod_info;

struct kmod_reference {
	struct kmod_reference *next;
	struct kmod_info *info;
};

typedef kern_return_t kmod_start_func_t(struct kmod_info *, void *);
typedef kern_return_t kmod_stop_func_t(struct kmod_info *, void *);

struct kmod_info {
	struct kmod_info *next;
	int32_t info_version;
	uint32_t id;
	char name[KMOD_MAX_NAME];
	char version[KMOD_MAX_NAME];
	int32_t reference_count;
	struct kmod_reference *reference_list;
	vm_address_t address;
	vm_size_t size;
	vm_size_t hdr_size;
	kmod_start_func_t *start;
	kmod_stop_func_t *stop;
};

#pragma pack(pop)

typedef struct kmod_info kmod_info_t;

#define KPI_KMOD(bundle, bundle_version)                                                           \
	static kern_return_t kpi_kmod_start(struct kmod_info *, void *)                            \
	{                                                                                          \
		return KERN_SUCCESS;                                                               \
	}                                                                                          \
	static kern_return_t kpi_kmod_stop(struct kmod_info *, void *)                             \
	{                                                                                          \
		return KERN_SUCCESS;                                                               \
	}                                                                                          \
	extern "C" {                                                                               \
	extern struct kmod_info kmod_info __attribute__((visibility("default")));                  \
	struct kmod_info kmod_info = {nullptr,                                                     \
				      KMOD_INFO_VERSION,                                           \
				      ~0U,                                                         \
				      bundle,                                                      \
				      bundle_version,                                              \
				      -1,                                                          \
				      nullptr,                                                     \
				      0,                                                           \
				      0,                                                           \
				      0,                                                           \
				      kpi_kmod_start,                                              \
				      kpi_kmod_stop};                                              \
	}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the rest of the simulation needs of the object runtime beyond the kernel's own interface.
 */
#ifndef SIM_MACOS_LIBKERN_RUNTIME_SIM_H
#define SIM_MACOS_LIBKERN_RUNTIME_SIM_H

#include <stddef.h>
#include <stdio.h>

#include "guest/ports/xnu/kpi/runtime.h"

/*
 * The classes that a loaded bundle brought and that have instances now, each told to `each` (may be
 * 0, must not come back here). How many classes that were. Instances are counted as the kernel
 * does: a class's own, and one for each direct subclass that has any.
 */
unsigned sim_class_instances(const char *bundle,
			     void (*each)(void *arg, const char *class_name, unsigned n),
			     void *arg);

/*
 * The image of a bundle is about to go; its destructors have run. For the last moment in which
 * sim_kext_name() still knows the image. A violation if a class of it is left, or a live string
 * has its text there. Symbols that do get a copy of it, as in the kernel. sim_kext_name() has to
 * answer with the bundle identifier, or the last part of it.
 */
void sim_class_release(const char *bundle);
/* The same for strings, by addresses. */
void sim_strings_release(const void *start, const void *end);

/* The name of an object's class; of no object, "nothing". */
const char *sim_class_name(const OSMetaClassBase *object);

/*
 * Objects that kext code asked for, itself or through a function of ours, or whose class a kext
 * brought, and that are still alive: a line each on `out` (may be 0). How many. Symbols are left
 * out: they are shared with whoever else uses the name. Checks as well that nothing was written
 * to the objects freed last.
 */
unsigned sim_objects_alive(FILE *out);
/* Objects alive in all. */
unsigned sim_objects(void);

/* An object as ioreg shows it: {"key"=value}, (...), [...], "text", 0x10, <00ff>, Yes, No. */
void sim_print_object(FILE *out, const OSMetaClassBase *object);
/* Objects of this class, or of one derived from it, are printed by `print`. Before mac_boot(). */
void sim_print_class(const OSMetaClass *meta,
		     void (*print)(FILE *out, const OSMetaClassBase *object));

#endif

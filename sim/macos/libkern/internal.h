/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What leftovers.cpp asks the others.
 */
#ifndef SIM_MACOS_LIBKERN_INTERNAL_H
#define SIM_MACOS_LIBKERN_INTERNAL_H

#include "guest/ports/xnu/kpi/runtime.h"

/* Symbols with text that `goes` get a copy of it. */
void sim_symbols_copy(bool (*goes)(void *arg, const char *text), void *arg);
/* A violation if a class of the bundle is left. */
void sim_class_check_gone(const char *bundle);
/* Whether a loaded bundle brought the class. */
bool sim_class_of_kext(const OSMetaClass *meta);

#endif

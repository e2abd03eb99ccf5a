/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O Kit for the rest of the simulation: personalities of loaded kexts, on and off.
 */
#ifndef SIM_MACOS_IOKIT_CATALOGUE_H
#define SIM_MACOS_IOKIT_CATALOGUE_H

#include "guest/ports/xnu/kpi/service.h"

/*
 * Dictionaries, as in IOKitPersonalities. One that the catalogue has already is skipped; registered
 * services that a new one may fit are matched again, asynchronously.
 */
void sim_catalogue_add(OSArray *personalities);
/* All personalities whose CFBundleIdentifier this is. */
void sim_catalogue_remove(const char *bundle);
/* Terminate every service whose property CFBundleIdentifier this is, synchronously. */
IOReturn sim_catalogue_terminate(const char *bundle);

/* kext/ answers: is that bundle's code there? Asked before a driver is allocated. */
bool sim_module_loaded(const char *bundle);

/* The root of the registry, IOResources, the planes. */
void sim_iokit_boot(void);
/* Ends the matching and termination threads and empties the registry. */
void sim_iokit_halt(void);

#endif

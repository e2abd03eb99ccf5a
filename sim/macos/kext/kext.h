/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading kexts: what kextload, the kernel's linker (kxld) and OSKext do together.
 *
 *   bundle.cpp       a folder X.kext: its property list, its program, versions
 *   macho.cpp        the program, read without trusting it
 *   vtable.cpp       classes and vtables, against those of the parents in this release
 *   link.cpp         the rest of what the linker refuses
 *   binding.cpp      from names to functions of ours, or to a trap that tells the name
 *   image.cpp        the program in memory, and who asks whether an address is in it
 *   personality.cpp  from the property list to objects for the catalogue
 *   life.cpp         constructors, start, stop, destructors
 *   kext.cpp         load and unload in order of dependencies; what programs call
 *   release.cpp      tables of what each release has
 *
 * A refusal is one line: what is wrong, and what would be right. Nothing of a refused kext is left.
 */
#ifndef SIM_MACOS_KEXT_KEXT_H
#define SIM_MACOS_KEXT_KEXT_H

#include <stdio.h>

void sim_kext_boot(void);
/* Unloads all, last loaded first; what cannot be unloaded is a leak. */
void sim_kext_halt(void);

/*
 * Everything that would refuse a bundle on that release, one line each; then, if names is true, the
 * names that the release has and the simulation has not. Loads nothing, and needs no mac_boot().
 * The number of refusals; -1: the bundle cannot be read. Bundles beside it count as loaded.
 */
int sim_kext_check(const char *bundle, int release, bool names, FILE *out);

#endif

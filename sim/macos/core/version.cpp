/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Constants to a kext, variables to whoever boots: so this file does not see kpi/kernel.h, where
 * they are const.
 */
extern "C" {
extern int version_major, version_minor, version_revision;
int version_major = 10, version_minor = 8, version_revision = 0;
}

void sim_version_set(int release);

/* [XNU-CORE-7] Darwin's major version is the minor one of 10.x plus 4. */
void sim_version_set(int release)
{
	version_major = release + 4;
	version_minor = release == 6 ? 8 : 6;
}

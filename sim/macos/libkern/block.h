/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of objects: for object.cpp, and for who lists what is alive.
 */
#ifndef SIM_MACOS_LIBKERN_BLOCK_H
#define SIM_MACOS_LIBKERN_BLOCK_H

#include <stddef.h>

/* Zero-filled. `frame` is the frame of the function asked for it. Never fails. */
void *sim_block_new(size_t size, const void *frame);
/* The object's last free() is under way, and this is what it is. */
void sim_block_dying(const void *object, const char *class_name);
void sim_block_delete(void *object, size_t size);

/* From now on kexts may be on the stack of who asks. */
void sim_block_kexts(void);

struct sim_block_info {
	const char *kext;  /* whose code asked for it, "": none */
	const void *where; /* in that code */
	const char *dying; /* its class, if free() ran but the memory was not given back; or 0 */
	bool constructed;
};
/* Each live object; `each` may look at it, but not make or free one. */
void sim_block_each(void (*each)(void *arg, const void *object, const struct sim_block_info *info),
		    void *arg);
/* That what is in quarantine is untouched. */
void sim_block_check(void);

#endif

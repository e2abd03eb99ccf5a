/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's jail: what it cannot do any more once it serves (G-12, D-14).
 */
#ifndef NAT_SANDBOX_H
#define NAT_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* At once after exec: dies with its parent, has no descriptors but those of uplink_wire.h. */
void sandbox_first(void);
/*
 * All the rest; there is no way back. *warning: NULL, or one line about a stage this system does
 * not allow. False: err has one line; the caller ends.
 */
bool sandbox_enter(const char **warning, char *err, size_t err_len);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* What the writers of both formats share; private to tools/kextld. */
#ifndef KEXTLD_WRITE_H
#define KEXTLD_WRITE_H

#include "tools/kextld/link.h"

void write_relocs(struct bytes *out, const struct outrelocs *list);
void write_symbols(struct bytes *out, const struct link *link, bool wide);
uint32_t write_symbol_count(const struct link *link);

/* An LC_UUID at `at`, from everything else in out. */
void write_uuid(struct bytes *out, size_t at);

/* Hands the finished file over to the caller of the link. */
bool write_done(struct link *link, struct bytes *out);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* One link from beginning to end; how it fails. */
#include "tools/kextld/link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool link_fail(struct link *link, const struct object *object, const char *symbol, const char *fmt,
	       ...)
{
	char *line = link->result->error;
	size_t room = sizeof(link->result->error), len = 0;
	va_list args;

	if (*line)
		return false;
	if (object && object->member)
		len = (size_t)snprintf(line, room, "%.160s(%.60s): ", object->file, object->member);
	else if (object)
		len = (size_t)snprintf(line, room, "%.160s: ", object->file);
	if (symbol && *symbol)
		len += (size_t)snprintf(line + len, room - len, "%.160s: ", symbol);
	va_start(args, fmt);
	vsnprintf(line + len, room - len, fmt, args);
	va_end(args);
	/* Names come from files; the line stays one line. */
	for (; *line; line++) {
		if ((unsigned char)*line < ' ' || *line == 0x7f)
			*line = '?';
	}
	return false;
}

bool link_no_memory(struct link *link)
{
	return link_fail(link, NULL, NULL, "out of memory");
}

static bool link_input(struct link *link, const struct kextld_input *input)
{
	struct span bytes = input->bytes;
	struct object *o;

	if (fat_is(bytes) && !fat_pick(link, input->name, bytes, &bytes))
		return false;
	if (archive_is(bytes))
		return archive_read(link, input->name, bytes);
	o = object_read(link, input->name, NULL, bytes);
	if (!o)
		return false;
	*link->last_object = o;
	link->last_object = &o->next;
	return true;
}

static bool link_run(struct link *link, const struct kextld_input *inputs, size_t count)
{
	bool kext;

	for (size_t i = 0; i < count; i++) {
		if (!link_input(link, &inputs[i]))
			return false;
	}
	if (!link->objects && !link->waiting)
		return link_fail(link, NULL, NULL, "nothing to link");
	kext = link->arch == KEXTLD_ARCH_X86_64;
	if (!symbols_resolve(link) || !layout_sections(link) || !layout_addresses(link))
		return false;
	layout_fill(link);
	if (!(kext ? x64_apply(link) : i386_apply(link)) || !symbols_write(link))
		return false;
	if (link->options->want_map && !map_write(link))
		return false;
	return kext ? kext_write(link) : object32_write(link);
}

bool kextld_link(const struct kextld_options *options, const struct kextld_input *inputs,
		 size_t count, struct kextld_output *out)
{
	struct link link = {.options = options, .result = out, .arch = options->arch};
	bool ok;

	*out = (struct kextld_output){0};
	link.last_object = &link.objects;
	link.last_waiting = &link.waiting;
	link.last_def = &link.defs;
	ok = link_run(&link, inputs, count);
	arena_free(&link.arena);
	table_free(&link.names);
	bytes_free(&link.strings);
	if (!ok) {
		free(out->data);
		free(out->map);
		out->data = NULL;
		out->map = NULL;
	}
	return ok;
}

void kextld_free(struct kextld_output *out)
{
	free(out->data);
	free(out->map);
	*out = (struct kextld_output){0};
}

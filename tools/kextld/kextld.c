/* SPDX-License-Identifier: BSD-2-Clause */
/* The program: files in, files out, one line if it cannot. */
#include "tools/kextld/kextld.h"

#include <stdio.h>
#include <stdlib.h>

#include "tools/kextld/file.h"
#include "tools/kextld/options.h"

enum { KEXTLD_OK = 0, KEXTLD_BAD = 1, KEXTLD_USAGE = 2 };

static int kextld_read(const struct options *o, struct kextld_input *inputs)
{
	for (size_t i = 0; i < o->file_count; i++) {
		uint8_t *data;
		size_t len;

		switch (file_read(o->files[i], &data, &len)) {
		case FILE_OK:
			inputs[i] = (struct kextld_input){o->files[i], span_of(data, len)};
			break;
		case FILE_MISSING:
			return KEXTLD_USAGE;
		default:
			return KEXTLD_BAD;
		}
	}
	return KEXTLD_OK;
}

static int kextld_make(const struct options *o, const struct kextld_input *inputs)
{
	struct kextld_output out;
	int status = KEXTLD_BAD;
	bool ok = o->universal ? kextld_join(inputs, o->file_count, &out)
			       : kextld_link(&o->link, inputs, o->file_count, &out);

	if (!ok)
		fprintf(stderr, "kextld: %s\n", out.error);
	else if ((!o->map || file_write(o->map, out.map, out.map_len)) &&
		 file_write(o->output, out.data, out.len))
		status = KEXTLD_OK;
	kextld_free(&out);
	return status;
}

static int kextld_run(const struct options *o)
{
	struct kextld_input *inputs = calloc(o->file_count, sizeof(*inputs));
	int status;

	if (!inputs) {
		fputs("kextld: out of memory\n", stderr);
		return KEXTLD_BAD;
	}
	status = kextld_read(o, inputs);
	if (status == KEXTLD_OK)
		status = kextld_make(o, inputs);
	for (size_t i = 0; i < o->file_count; i++)
		free((void *)(uintptr_t)inputs[i].bytes.data);
	free(inputs);
	return status;
}

int main(int argc, char **argv)
{
	struct options options;
	int status = KEXTLD_BAD;

	switch (options_parse(&options, argc, argv)) {
	case OPTIONS_RUN:
		status = kextld_run(&options);
		break;
	case OPTIONS_DONE:
		status = fflush(stdout) ? KEXTLD_BAD : KEXTLD_OK;
		break;
	case OPTIONS_WRONG:
		status = KEXTLD_USAGE;
		break;
	case OPTIONS_FAILED:
		fputs("kextld: out of memory, or a file could not be read\n", stderr);
		break;
	}
	options_free(&options);
	return status;
}

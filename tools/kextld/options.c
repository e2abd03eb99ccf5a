/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/kextld/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/kextld/file.h"

static const char options_help[] =
	"usage: kextld [options] -o OUT OBJECT|ARCHIVE...\n"
	"       kextld --universal -o OUT SLICE...\n"
	"\n"
	"Links Mach-O objects into a kernel extension: for x86_64 an MH_KEXT_BUNDLE, as the "
	"kernels\n"
	"of 10.6 to 11 load it; for i386 an MH_OBJECT, as those of 10.6 and 10.7 do. The same "
	"inputs\n"
	"give the same bytes. The second form joins finished kexts into one universal file.\n"
	"\n"
	"  -o OUT                   the file to write\n"
	"  -arch x86_64|i386        what to link for; default: as the first object\n"
	"  -all_load                take every member of every archive, wanted or not\n"
	"  -exported_symbol NAME    keep NAME visible outside; may end in '*'. Once one is given,\n"
	"                           all others but _kmod_info become local\n"
	"  -exported_symbols_list FILE\n"
	"                           the same, one to a line; '#' begins a comment\n"
	"  --kmod-name ID           define _kmod_info: the bundle's identifier, and\n"
	"  --kmod-version V         its version; start and stop are __start and __stop if an\n"
	"                           object has them, else functions that succeed\n"
	"  --strip-locals           leave out local symbols, but C++ names, which the kernel "
	"needs\n"
	"  --keep-locals            leave them in (default)\n"
	"  --map FILE               write what went where\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 done, 1 bad input or a system error, 2 wrong usage or a missing file.\n";

static enum options_result options_wrong(const char *what, const char *why)
{
	fprintf(stderr, "kextld: %s: %s\n", what, why);
	return OPTIONS_WRONG;
}

static bool options_export(struct options *o, const char *name)
{
	size_t size = (o->link.export_count + 1) * sizeof(char *);
	const char **more = realloc(o->exports, size);

	if (!more)
		return false;
	o->exports = more;
	o->exports[o->link.export_count++] = name;
	o->link.exports = o->exports;
	return true;
}

static enum options_result options_export_list(struct options *o, const char *path)
{
	uint8_t *data;
	size_t len;
	char *line, *save = NULL;

	if (o->export_text)
		return options_wrong(path, "only one list of exported symbols can be given");
	switch (file_read(path, &data, &len)) {
	case FILE_OK:
		break;
	case FILE_MISSING:
		return OPTIONS_WRONG;
	default:
		return OPTIONS_FAILED;
	}
	o->export_text = malloc(len + 1);
	if (o->export_text) {
		memcpy(o->export_text, data, len);
		o->export_text[len] = '\0';
	}
	free(data);
	if (!o->export_text)
		return OPTIONS_FAILED;
	for (line = strtok_r(o->export_text, "\r\n", &save); line;
	     line = strtok_r(NULL, "\r\n", &save)) {
		size_t skip = strspn(line, " \t");

		line[strcspn(line, "#")] = '\0';
		if (strlen(line) <= skip)
			continue;
		line += skip;
		line[strcspn(line, " \t")] = '\0';
		if (*line && !options_export(o, line))
			return OPTIONS_FAILED;
	}
	/* An empty list means that nothing is exported, not that everything is. */
	return options_export(o, "_kmod_info") ? OPTIONS_RUN : OPTIONS_FAILED;
}

static enum options_result options_value(struct options *o, const char *name, const char *value)
{
	if (!strcmp(name, "-o")) {
		o->output = value;
	} else if (!strcmp(name, "-arch") && !strcmp(value, "x86_64")) {
		o->link.arch = KEXTLD_ARCH_X86_64;
	} else if (!strcmp(name, "-arch") && !strcmp(value, "i386")) {
		o->link.arch = KEXTLD_ARCH_I386;
	} else if (!strcmp(name, "-arch")) {
		return options_wrong(value, "kexts are for x86_64 or i386");
	} else if (!strcmp(name, "-exported_symbol")) {
		return options_export(o, value) ? OPTIONS_RUN : OPTIONS_FAILED;
	} else if (!strcmp(name, "-exported_symbols_list")) {
		return options_export_list(o, value);
	} else if (!strcmp(name, "--map")) {
		o->map = value;
		o->link.want_map = true;
	} else {
		/* The fields of kmod_info are 64 bytes. */
		if (!*value || strlen(value) > 63)
			return options_wrong(name, "has 1 to 63 characters");
		if (!strcmp(name, "--kmod-name"))
			o->link.kmod_name = value;
		else
			o->link.kmod_version = value;
	}
	return OPTIONS_RUN;
}

static bool options_takes_value(const char *name)
{
	static const char *const names[] = {
		"-o",	 "-arch",	"-exported_symbol", "-exported_symbols_list",
		"--map", "--kmod-name", "--kmod-version",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return false;
}

static enum options_result options_check(const struct options *o)
{
	if (!o->output)
		return options_wrong("-o", "where to write the kext is not said");
	if (!o->file_count)
		return options_wrong(o->output, "nothing to make it from (--help tells more)");
	if (o->universal &&
	    (o->map || o->exports || o->link.kmod_name || o->link.kmod_version ||
	     o->link.all_load || o->link.strip_locals || o->link.arch != KEXTLD_ARCH_ANY))
		return options_wrong("--universal", "joins finished kexts; only -o goes with it");
	if (!o->link.kmod_name != !o->link.kmod_version)
		return options_wrong("--kmod-name", "goes together with --kmod-version");
	return OPTIONS_RUN;
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
	bool names_only = false;

	*o = (struct options){0};
	o->files = calloc((size_t)argc + 1, sizeof(o->files[0]));
	if (!o->files)
		return OPTIONS_FAILED;
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		enum options_result result;

		if (names_only || arg[0] != '-' || !arg[1]) {
			o->files[o->file_count++] = arg;
		} else if (!strcmp(arg, "--")) {
			names_only = true;
		} else if (!strcmp(arg, "--help")) {
			fputs(options_help, stdout);
			return OPTIONS_DONE;
		} else if (!strcmp(arg, "--version")) {
			puts("kextld (viokit) " KEXTLD_VERSION);
			return OPTIONS_DONE;
		} else if (!strcmp(arg, "--universal")) {
			o->universal = true;
		} else if (!strcmp(arg, "-all_load")) {
			o->link.all_load = true;
		} else if (!strcmp(arg, "--strip-locals")) {
			o->link.strip_locals = true;
		} else if (!strcmp(arg, "--keep-locals")) {
			o->link.strip_locals = false;
		} else if (!options_takes_value(arg)) {
			return options_wrong(arg, "no such option (--help tells which there are)");
		} else if (++i == argc) {
			return options_wrong(arg, "needs a value");
		} else {
			result = options_value(o, arg, argv[i]);
			if (result != OPTIONS_RUN)
				return result;
		}
	}
	return options_check(o);
}

void options_free(struct options *o)
{
	free(o->files);
	free(o->exports);
	free(o->export_text);
	*o = (struct options){0};
}

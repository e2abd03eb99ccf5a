/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mkpkg: kexts in, an installer package or a zip archive for OpenCore out.
 *
 * The same inputs give the same bytes, whoever runs it, where and when: everything is sorted,
 * belongs to root:wheel, has one of two modes (tree.h) and one time. That time is 1 January 1980,
 * the earliest that all formats can say, or SOURCE_DATE_EPOCH.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/mkpkg/buf.h"
#include "tools/mkpkg/die.h"
#include "tools/mkpkg/kext.h"
#include "tools/mkpkg/manifest.h"
#include "tools/mkpkg/opencore.h"
#include "tools/mkpkg/output.h"
#include "tools/mkpkg/package.h"

#define MKPKG_EPOCH	315532800U /* 1980-01-01 00:00:00 UTC */
#define MKPKG_MAX_WORD	64
#define MKPKG_MAX_EPOCH UINT32_C(0x7fffffff)

struct mkpkg_form {
	const char *word, *suffix;
	void (*write)(struct buf *out, const struct package *p);
};

static const struct mkpkg_form mkpkg_forms[] = {
	{"pkg", ".pkg", package_write},
	{"zip", "-opencore.zip", opencore_write},
};

static const char mkpkg_help[] =
	"usage: mkpkg pkg|zip [options] MANIFEST KEXT...\n"
	"\n"
	"  pkg   an installer package for macOS / OS X 10.6 and newer\n"
	"  zip   the kexts with a configuration for the boot loader OpenCore\n"
	"\n"
	"  -o, --output OUT       the file to write; a folder: in it, under a name made of the\n"
	"                         manifest's and the version (default: here)\n"
	"  -r, --release VERSION  default: " MKPKG_VERSION "\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"tools/mkpkg/manifest.h says what a manifest is. With SOURCE_DATE_EPOCH set, files carry\n"
	"that time. Exit status: 0 all is well; 1 an input is missing or wrong, or the output\n"
	"cannot be written; 2 the command line or the manifest is wrong.\n";

static const struct option mkpkg_options[] = {
	{"output", required_argument, NULL, 'o'},
	{"release", required_argument, NULL, 'r'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

struct mkpkg {
	const struct mkpkg_form *form;
	const char *output, *release, *manifest;
	char **kexts;
	size_t count;
};

static uint32_t mkpkg_time(void)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	unsigned long long seconds;
	char *end;

	if (text == NULL || *text == '\0')
		return MKPKG_EPOCH;
	errno = 0;
	seconds = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || *text < '0' || *text > '9' || seconds > MKPKG_MAX_EPOCH)
		die_usage("SOURCE_DATE_EPOCH=%s: not seconds since 1970", text);
	return (uint32_t)seconds;
}

/* Digits, letters, dots and such: what may stand in a file name and in XML. */
static void mkpkg_check_release(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > MKPKG_MAX_WORD || *s < '0' || *s > '9' ||
	    strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != n)
		die_usage("%s: not a version", s);
}

static void mkpkg_parse(struct mkpkg *o, int argc, char **argv)
{
	int code;

	*o = (struct mkpkg){.output = ".", .release = MKPKG_VERSION};
	opterr = 0;
	while ((code = getopt_long(argc, argv, ":o:r:hV", mkpkg_options, NULL)) != -1) {
		switch (code) {
		case 'o':
			o->output = optarg;
			break;
		case 'r':
			o->release = optarg;
			break;
		case 'h':
			(void)fputs(mkpkg_help, stdout);
			exit(0);
		case 'V':
			(void)puts("mkpkg " MKPKG_VERSION);
			exit(0);
		case ':':
			die_usage("%s needs a value (--help)", argv[optind - 1]);
		default:
			die_usage("%s: no such option (--help)", argv[optind - 1]);
		}
	}
	argc -= optind;
	argv += optind;
	if (argc < 3)
		die_usage("usage: mkpkg pkg|zip [options] MANIFEST KEXT... (--help)");
	for (size_t i = 0; i < sizeof(mkpkg_forms) / sizeof(mkpkg_forms[0]); i++)
		if (strcmp(argv[0], mkpkg_forms[i].word) == 0)
			o->form = &mkpkg_forms[i];
	if (o->form == NULL)
		die_usage("%s: not pkg or zip (--help)", argv[0]);
	mkpkg_check_release(o->release);
	o->manifest = argv[1];
	o->kexts = argv + 2;
	o->count = (size_t)argc - 2;
}

static char *mkpkg_output(const struct mkpkg *o, const char *name)
{
	struct stat st;

	if (stat(o->output, &st) != 0 || !S_ISDIR(st.st_mode))
		return buf_dup(o->output);
	return buf_print("%s/%s-%s%s", o->output, name, o->release, o->form->suffix);
}

int main(int argc, char **argv)
{
	struct mkpkg options;
	struct manifest manifest;
	struct kexts kexts;
	struct buf out = {0};
	char *path;

	mkpkg_parse(&options, argc, argv);
	struct package package = {
		.manifest = &manifest,
		.kexts = &kexts,
		.version = options.release,
		.time = mkpkg_time(),
	};
	manifest_read(&manifest, options.manifest);
	kext_load(&kexts, options.kexts, options.count);
	options.form->write(&out, &package);
	path = mkpkg_output(&options, manifest.name);
	output_write(path, span_of(out.data, out.len));
	(void)printf("%s: %zu bytes\n", path, out.len);
	free(path);
	buf_free(&out);
	kext_free(&kexts);
	manifest_free(&manifest);
	return 0;
}

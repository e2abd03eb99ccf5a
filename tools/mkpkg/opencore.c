/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenCore hands kexts to the kernel while it boots, whatever the system thinks of their
 * signatures. It wants them in EFI/OC/Kexts and a row for each in its config.plist, Kernel/Add,
 * libraries before their users: OpenCore goes by the rows, not by OSBundleLibraries.
 *
 * Up to 10.9 (Darwin 13) the kernel cache may lack IONetworkingFamily, when no kext in it needs a
 * network; Kernel/Force then takes it from the system's own volume. It does nothing where the
 * family is in the cache.
 */
#include "tools/mkpkg/opencore.h"

#include <stdlib.h>

#include "tools/mkpkg/xml.h"
#include "tools/mkpkg/zip.h"

#define OPENCORE_FORCE_MAX "13.99.99"

struct opencore_row {
	const char *arch, *bundle, *comment, *executable, *identifier, *max, *min;
};

/* Keys in the order in which OpenCore's own sample has them: by name. */
static void opencore_row(struct xml *x, const struct opencore_row *row)
{
	xml_open(x, "dict", XML_PLAIN);
	xml_plist_string(x, "Arch", row->arch);
	xml_plist_string(x, "BundlePath", row->bundle);
	xml_plist_string(x, "Comment", row->comment);
	xml_plist_bool(x, "Enabled", true);
	xml_plist_string(x, "ExecutablePath", row->executable);
	if (row->identifier != NULL)
		xml_plist_string(x, "Identifier", row->identifier);
	xml_plist_string(x, "MaxKernel", row->max);
	xml_plist_string(x, "MinKernel", row->min);
	xml_plist_string(x, "PlistPath", "Contents/Info.plist");
	xml_close(x, "dict");
}

static void opencore_add(struct xml *x, const struct package *p, const struct kext *k)
{
	char *comment = buf_print("%s %s", p->manifest->name, p->version);

	opencore_row(x,
		     &(struct opencore_row){
			     .arch = k->i386 && k->x86_64 ? "Any" : (k->i386 ? "i386" : "x86_64"),
			     .bundle = k->name,
			     .comment = comment,
			     .executable = k->executable,
			     .max = p->manifest->darwin_max,
			     .min = p->manifest->darwin_min,
		     });
	free(comment);
}

static void opencore_config(struct buf *out, const struct package *p)
{
	static const struct opencore_row family = {
		.arch = "Any",
		.bundle = "System/Library/Extensions/IONetworkingFamily.kext",
		.comment = "Where the kernel cache lacks it",
		.executable = "Contents/MacOS/IONetworkingFamily",
		.identifier = "com.apple.iokit.IONetworkingFamily",
		.max = OPENCORE_FORCE_MAX,
		.min = "",
	};
	struct xml x = xml_start(out);

	buf_str(out, "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
		     "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n");
	xml_open(&x, "plist", XML_ATTR("version", "1.0"));
	xml_open(&x, "dict", XML_PLAIN);
	xml_text(&x, "key", XML_PLAIN, "Kernel");
	xml_open(&x, "dict", XML_PLAIN);
	xml_text(&x, "key", XML_PLAIN, "Add");
	xml_open(&x, "array", XML_PLAIN);
	for (size_t i = 0; i < p->kexts->count; i++)
		opencore_add(&x, p, &p->kexts->kext[i]);
	xml_close(&x, "array");
	xml_text(&x, "key", XML_PLAIN, "Force");
	xml_open(&x, "array", XML_PLAIN);
	opencore_row(&x, &family);
	xml_close(&x, "array");
	xml_close(&x, "dict");
	xml_close(&x, "dict");
	xml_close(&x, "plist");
}

void opencore_write(struct buf *out, const struct package *p)
{
	struct buf config = {0};
	struct tree t;

	tree_init(&t);
	for (size_t i = 0; i < p->kexts->count; i++)
		kext_put(&t, "Kexts", &p->kexts->kext[i]);
	opencore_config(&config, p);
	tree_put(&t, "config-snippet.plist", false, span_of(config.data, config.len));
	tree_load(&t, "README.txt", p->manifest->opencore);
	tree_load(&t, "LICENSE.txt", p->manifest->license);
	tree_close(&t);
	zip_write(out, &t, p->time);
	tree_free(&t);
	buf_free(&config);
}

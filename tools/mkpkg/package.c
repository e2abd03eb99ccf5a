/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A flat installer package is a xar archive of
 *
 *   Distribution        XML: which systems, which components, what is shown
 *   Resources/          the texts that are shown
 *   NAME.pkg/           a component:
 *       PackageInfo     XML: identifier, version, where to, how much, which bundles and scripts
 *       Payload         the files, cpio in gzip
 *       Bom             the same files as a bill of materials
 *       Scripts         preinstall and postinstall, cpio in gzip
 *
 * Distribution is written by hand, as it holds the decisions (packaging/Distribution.xml). Two
 * words in it are replaced: @VERSION@, and @COMPONENTS@ by a <pkg-ref> per component that says
 * where it is, how big, and which bundles it brings. <pkg-ref>s with the same id add up, so the
 * template can say more about each.
 */
#include "tools/mkpkg/package.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/mkpkg/bom.h"
#include "tools/mkpkg/cpio.h"
#include "tools/mkpkg/die.h"
#include "tools/mkpkg/pack.h"
#include "tools/mkpkg/xar.h"
#include "tools/mkpkg/xml.h"

struct package_size {
	char files[24], kbytes[24];
};

static const char *const package_scripts[] = {"preinstall", "postinstall"};

#define PACKAGE_SCRIPTS (sizeof(package_scripts) / sizeof(package_scripts[0]))

static void package_payload(struct tree *payload, const struct package *p,
			    const struct manifest_component *c)
{
	tree_init(payload);
	for (size_t i = 0; c->kexts && i < p->kexts->count; i++)
		kext_put(payload, "", &p->kexts->kext[i]);
	for (size_t i = 0; i < c->files; i++)
		tree_load(payload, c->file[i].path, c->file[i].source);
	tree_close(payload);
	if (payload->count == 1)
		die("%s.pkg: nothing to install", c->name);
}

/* The installer runs the two by name, and wants them executable. */
static void package_load_scripts(struct tree *scripts, const struct manifest_component *c)
{
	tree_init(scripts);
	if (c->scripts == NULL)
		return;
	tree_load(scripts, "", c->scripts);
	tree_close(scripts);
	for (size_t i = 0; i < scripts->count; i++)
		for (size_t k = 0; k < PACKAGE_SCRIPTS; k++)
			if (strcmp(scripts->nodes[i].path, package_scripts[k]) == 0)
				scripts->nodes[i].executable = true;
}

static void package_bundles(struct xml *x, const struct package *p)
{
	for (size_t i = 0; i < p->kexts->count; i++) {
		const struct kext *k = &p->kexts->kext[i];
		char *path = buf_print("./%s", k->name);

		xml_empty(x, "bundle",
			  XML_ATTR("path", path, "id", k->id, "CFBundleShortVersionString",
				   k->short_version, "CFBundleVersion", k->version));
		free(path);
	}
}

/*
 * The lists of bundle identifiers are empty on purpose: with <bundle-version> the installer would
 * leave a newer kext in place, with <relocate> it would follow a copy to where somebody moved it.
 */
static void package_info(struct buf *out, const struct package *p,
			 const struct manifest_component *c, const struct package_size *size,
			 const struct tree *scripts)
{
	static const char *const lists[] = {"bundle-version",	 "upgrade-bundle",
					    "update-bundle",	 "atomic-update-bundle",
					    "strict-identifier", "relocate"};
	struct xml x = xml_start(out);

	xml_open(&x, "pkg-info",
		 XML_ATTR("format-version", "2", "identifier", c->id, "version", p->version,
			  "install-location", c->location, "auth", "root", "overwrite-permissions",
			  "true", "relocatable", "false", "postinstall-action", "none"));
	xml_empty(&x, "payload",
		  XML_ATTR("numberOfFiles", size->files, "installKBytes", size->kbytes));
	if (c->kexts)
		package_bundles(&x, p);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		xml_empty(&x, lists[i], XML_PLAIN);
	if (c->scripts != NULL) {
		xml_open(&x, "scripts", XML_PLAIN);
		for (size_t i = 0; i < PACKAGE_SCRIPTS; i++) {
			char *file = buf_print("./%s", package_scripts[i]);

			if (tree_find(scripts, package_scripts[i]) != NULL)
				xml_empty(&x, package_scripts[i], XML_ATTR("file", file));
			free(file);
		}
		xml_close(&x, "scripts");
	}
	xml_close(&x, "pkg-info");
}

/* Puts NAME.pkg/FILE into the package and empties data. */
static void package_put(struct tree *t, const struct manifest_component *c, const char *file,
			struct buf *data)
{
	char *path = buf_print("%s.pkg/%s", c->name, file);

	tree_put(t, path, false, span_of(data->data, data->len));
	buf_free(data);
	free(path);
}

static void package_archive(struct tree *t, const struct manifest_component *c, const char *file,
			    const struct tree *contents, uint32_t time)
{
	struct buf cpio = {0}, gzip = {0};

	cpio_write(&cpio, contents, time);
	pack(&gzip, PACK_GZIP, span_of(cpio.data, cpio.len));
	package_put(t, c, file, &gzip);
	buf_free(&cpio);
}

static void package_ref(struct xml *x, const struct package *p, const struct manifest_component *c,
			const struct package_size *size)
{
	char *where = buf_print("#%s.pkg", c->name);

	xml_text(x, "pkg-ref",
		 XML_ATTR("id", c->id, "version", p->version, "installKBytes", size->kbytes, "auth",
			  "Root"),
		 where);
	free(where);
	if (!c->kexts)
		return;
	xml_open(x, "pkg-ref", XML_ATTR("id", c->id));
	xml_open(x, "bundle-version", XML_PLAIN);
	package_bundles(x, p);
	xml_close(x, "bundle-version");
	xml_close(x, "pkg-ref");
}

/* All of one component; refs gets what Distribution says of it. */
static void package_component(struct tree *t, struct xml *refs, const struct package *p,
			      const struct manifest_component *c)
{
	struct tree payload, scripts;
	struct package_size size;
	struct buf data = {0};

	package_payload(&payload, p, c);
	package_load_scripts(&scripts, c);
	(void)snprintf(size.files, sizeof(size.files), "%zu", payload.count);
	(void)snprintf(size.kbytes, sizeof(size.kbytes), "%" PRIu64, tree_kbytes(&payload));

	package_info(&data, p, c, &size, &scripts);
	package_put(t, c, "PackageInfo", &data);
	package_archive(t, c, "Payload", &payload, p->time);
	bom_write(&data, &payload, p->time);
	package_put(t, c, "Bom", &data);
	if (c->scripts != NULL)
		package_archive(t, c, "Scripts", &scripts, p->time);
	package_ref(refs, p, c, &size);
	tree_free(&payload);
	tree_free(&scripts);
}

/* Copies the template with its words replaced; a word nobody knows is a slip. */
static void package_distribution(struct buf *out, const struct package *p, struct buf *refs)
{
	const struct {
		const char *word, *value;
	} words[] = {{"@VERSION@", p->version}, {"@COMPONENTS@\n", buf_cstr(refs)}};
	const char *path = p->manifest->distribution;
	struct buf text = {0};
	const char *at;

	tree_read_file(&text, path);
	at = buf_cstr(&text);
	if (strlen(at) != text.len)
		die("%s: not a text", path);
	while (*at != '\0') {
		size_t n = strcspn(at, "@"), i = 0;

		buf_put(out, at, n);
		at += n;
		if (*at == '\0')
			break;
		while (i < 2 && strncmp(at, words[i].word, strlen(words[i].word)) != 0)
			i++;
		if (i == 2)
			die("%s: %.*s is no word that is replaced", path,
			    (int)strcspn(at, " \t\r\n"), at);
		buf_str(out, words[i].value);
		at += strlen(words[i].word);
	}
	buf_free(&text);
}

void package_write(struct buf *out, const struct package *p)
{
	const struct manifest *m = p->manifest;
	struct buf refs = {0}, distribution = {0};
	struct xml x = {.out = &refs, .depth = 1};
	struct tree t;

	tree_init(&t);
	for (size_t i = 0; i < m->components; i++)
		package_component(&t, &x, p, &m->component[i]);
	tree_load(&t, "Resources", m->resources);
	package_distribution(&distribution, p, &refs);
	tree_put(&t, "Distribution", false, span_of(distribution.data, distribution.len));
	tree_close(&t);
	xar_write(out, &t, p->time);
	tree_free(&t);
	buf_free(&refs);
	buf_free(&distribution);
}

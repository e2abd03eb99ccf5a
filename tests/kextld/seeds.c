/* SPDX-License-Identifier: BSD-2-Clause */
/* seeds DIR: writes small sound inputs for the fuzzer, each with the byte in front that says how to
 * link it. */
#include "tests/kextld/craft.h"

static const char *dir;

static void seed(const char *name, uint8_t how, struct kextld_input in)
{
	char path[1024];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "wb");
	if (!file || fputc(how, file) == EOF ||
	    fwrite(in.bytes.data, 1, in.bytes.len, file) != in.bytes.len || fclose(file)) {
		perror(path);
		exit(1);
	}
	craft_free(&in);
}

static struct kextld_input object64(const char *name)
{
	static const uint8_t code[48] = {[1] = 0x48, 0x8b, 0x05}, data[32];
	struct craft c;
	unsigned f, g, v;

	craft_begin(&c, true);
	craft_section(&c, "__TEXT", "__text", CRAFT_CODE, 4, code, sizeof(code));
	craft_section(&c, "__DATA", "__data", 0, 3, data, sizeof(data));
	craft_section(&c, "__DATA", "__bss", 0, 3, NULL, 40);
	f = craft_symbol(&c, "_f", CRAFT_SECT | CRAFT_EXT, 1, CRAFT_WEAK_DEF, 0);
	craft_global(&c, "_g", 1, 32);
	g = craft_undefined(&c, "_h");
	v = craft_symbol(&c, "_v", CRAFT_SECT, 2, 0, 8);
	craft_symbol(&c, "_common", CRAFT_EXT, 0, 0, 16);
	craft_reloc(&c, 1, 4, 3, 2, true, true, v);
	craft_reloc(&c, 1, 12, 2, 2, true, true, g);
	craft_reloc(&c, 1, 20, 6, 2, true, false, 2);
	craft_reloc(&c, 1, 28, 4, 2, true, true, g);
	craft_reloc(&c, 2, 0, 0, 3, false, true, f);
	craft_reloc(&c, 2, 16, 5, 3, false, true, f);
	craft_reloc(&c, 2, 16, 0, 3, false, true, v);
	return craft_end(&c, name);
}

static struct kextld_input object32(const char *name)
{
	static const uint8_t code[48], data[32];
	struct craft c;

	craft_begin(&c, false);
	craft_section(&c, "__TEXT", "__text", CRAFT_CODE, 4, code, sizeof(code));
	craft_section(&c, "__DATA", "__data", 0, 3, data, sizeof(data));
	craft_symbol(&c, "_f", CRAFT_SECT | CRAFT_EXT, 1, CRAFT_WEAK_DEF, 0);
	craft_global(&c, "_g", 1, 32);
	craft_reloc(&c, 1, 4, 0, 2, true, true, craft_undefined(&c, "_h"));
	craft_reloc(&c, 1, 12, 0, 2, false, false, 2);
	craft_reloc(&c, 2, 0, 0, 2, false, true, 0);
	craft_scattered(&c, 2, 8, 4, 48);
	craft_scattered(&c, 2, 0, 1, 4);
	return craft_end(&c, name);
}

int main(int argc, char **argv)
{
	struct kextld_input members[2];
	struct kextld_output fat;

	if (argc != 2)
		return 2;
	dir = argv[1];
	seed("object64", 0, object64("a.o"));
	seed("object32", 1, object32("a.o"));
	seed("exports", 12, object64("a.o"));
	seed("alone", 48, craft_kmod(true));
	members[0] = object64("a_member_with_a_long_name.o");
	members[1] = craft_kmod(true);
	seed("bsd", 16 | 2, craft_archive("lib.a", false, members, 2));
	seed("gnu", 2, craft_archive("lib.a", true, members, 1));
	craft_free(&members[1]);
	members[1] = object32("b.o");
	if (!kextld_join(members, 2, &fat))
		return 1;
	seed("fat", 1, (struct kextld_input){"fat", span_of(fat.data, fat.len)});
	craft_free(&members[0]);
	craft_free(&members[1]);
	return 0;
}

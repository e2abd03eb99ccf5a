/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libFuzzer over the whole linker: bytes in, a kext or one line out. The first byte of an input
 * says how; the rest is a file: an object, an archive, a universal file. It is linked together with
 * a sound object that defines and wants a few names, so that resolution has something to do.
 */
#include "tests/kextld/craft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct kextld_input companion(bool wide)
{
	static const uint8_t code[32];
	struct craft c;

	craft_begin(&c, wide);
	craft_section(&c, "__TEXT", "__text", CRAFT_CODE, 4, code, sizeof(code));
	craft_symbol(&c, "_f", CRAFT_SECT | CRAFT_EXT, 1, CRAFT_WEAK_DEF, 0);
	craft_reloc(&c, 1, 8, wide ? 2 : 0, 2, true, true, craft_undefined(&c, "_g"));
	return craft_end(&c, "companion.o");
}

static void once(struct span bytes, uint8_t how)
{
	static const char *const exports[] = {"_f*"};
	const struct kextld_options options = {
		.arch = how & 1 ? KEXTLD_ARCH_I386 : KEXTLD_ARCH_X86_64,
		.all_load = how & 2,
		.strip_locals = how & 4,
		.want_map = true,
		.exports = exports,
		.export_count = how & 8 ? 1 : 0,
		.kmod_name = how & 16 ? NULL : "org.viokit.fuzz",
		.kmod_version = "1",
	};
	struct kextld_input inputs[2] = {{"fuzz", bytes}, companion(!(how & 1))};
	size_t count = how & 32 ? 1 : 2;
	struct kextld_output out, again;

	if (kextld_link(&options, inputs, count, &out)) {
		/* The same again, to the byte. */
		if (!kextld_link(&options, inputs, count, &again) || again.len != out.len ||
		    memcmp(again.data, out.data, out.len) != 0)
			abort();
		kextld_free(&again);
		if (!kextld_join(&(struct kextld_input){"out", span_of(out.data, out.len)}, 1,
				 &again))
			abort();
		kextld_free(&again);
	} else if (!*out.error || strchr(out.error, '\n')) {
		abort();
	}
	kextld_free(&out);
	craft_free(&inputs[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len)
		once(span_of(data + 1, len - 1), data[0]);
	return 0;
}

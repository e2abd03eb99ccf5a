/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects as text, the way ioreg shows them; but numbers in hex.
 */
#include <stdlib.h>

#include "guest/ports/xnu/kpi/collections.h"
#include "sim/macos/libkern/runtime_sim.h"
#include "sim/macos/sim.h"

typedef void print_function(FILE *out, const OSMetaClassBase *object);

#define PRINTERS_MAX 16u

static struct {
	const OSMetaClass *meta;
	print_function *print;
} printers[PRINTERS_MAX];
static unsigned printer_count;

void sim_print_class(const OSMetaClass *meta, print_function *print)
{
	if (printer_count == PRINTERS_MAX)
		abort();
	printers[printer_count].meta = meta;
	printers[printer_count++].print = print;
}

static void print_members(FILE *out, const OSCollection *of, char open, char close)
{
	OSCollectionIterator *each = OSCollectionIterator::withCollection(of);
	const char *between = "";

	fputc(open, out);
	while (const OSObject *member = each->getNextObject()) {
		fputs(between, out);
		sim_print_object(out, member);
		between = ",";
	}
	fputc(close, out);
	each->release();
}

static void print_entries(FILE *out, const OSDictionary *of)
{
	OSCollectionIterator *each = OSCollectionIterator::withCollection(of);
	const char *between = "";

	fputc('{', out);
	while (const OSSymbol *key = static_cast<const OSSymbol *>(each->getNextObject())) {
		fprintf(out, "%s\"%s\"=", between, key->getCStringNoCopy());
		sim_print_object(out, of->getObject(key));
		between = ",";
	}
	fputc('}', out);
	each->release();
}

static void print_data(FILE *out, const OSData *data)
{
	const unsigned char *bytes = static_cast<const unsigned char *>(data->getBytesNoCopy());

	fputc('<', out);
	for (unsigned i = 0; i < data->getLength(); i++)
		fprintf(out, "%02x", bytes[i]);
	fputc('>', out);
}

void sim_print_object(FILE *out, const OSMetaClassBase *object)
{
	if (!object) {
		fputs("nothing", out);
		return;
	}
	for (unsigned i = 0; i < printer_count; i++)
		if (printers[i].meta->checkMetaCast(object)) {
			printers[i].print(out, object);
			return;
		}
	if (const OSString *text = OSDynamicCast(OSString, object))
		fprintf(out, "\"%s\"", text->getCStringNoCopy());
	else if (const OSNumber *number = OSDynamicCast(OSNumber, object))
		fprintf(out, "0x%llx", number->unsigned64BitValue());
	else if (const OSBoolean *yes = OSDynamicCast(OSBoolean, object))
		fputs(yes->isTrue() ? "Yes" : "No", out);
	else if (const OSData *data = OSDynamicCast(OSData, object))
		print_data(out, data);
	else if (const OSDictionary *entries = OSDynamicCast(OSDictionary, object))
		print_entries(out, entries);
	else if (const OSArray *array = OSDynamicCast(OSArray, object))
		print_members(out, array, '(', ')');
	else if (const OSSet *set = OSDynamicCast(OSSet, object))
		print_members(out, set, '[', ']');
	else
		fprintf(out, "\"%s is not serializable\"", sim_class_name(object));
}

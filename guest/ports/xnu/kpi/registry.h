/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of the I/O registry: a property table, a name, and links to others, once per plane.
 *
 * getProperty() returns a borrowed object, copyProperty() a retained one. setProperty() retains.
 */
#ifndef KPI_REGISTRY_H
#define KPI_REGISTRY_H

#include "collections.h"

/* ---- keys of a driver's personality, and of what the registry writes ---- */

#define kIOClassKey	      "IOClass"
#define kIOProviderClassKey   "IOProviderClass"
#define kIOProbeScoreKey      "IOProbeScore"
#define kIONameMatchKey	      "IONameMatch"
#define kIOPropertyMatchKey   "IOPropertyMatch"
#define kIOLocationMatchKey   "IOLocationMatch"
#define kIOMatchCategoryKey   "IOMatchCategory"
#define kIOResourceMatchKey   "IOResourceMatch"
#define kIOUserClientClassKey "IOUserClientClass"
#define kIOServicePlane	      "IOService"

enum {
	kIORegistryIterateRecursively = 1,
	kIORegistryIterateParents = 2,
};

extern "C" {
extern const IORegistryPlane *gIOServicePlane;
}

typedef void (*IORegistryEntryApplierFunction)(IORegistryEntry *entry, void *context);

class IORegistryEntry : public OSObject
{
	OSDeclareDefaultStructors(IORegistryEntry);

public:
	typedef IOReturn (*Action)(OSObject *target, void *arg0, void *arg1, void *arg2,
				   void *arg3);

protected:
	struct ExpansionData;

	ExpansionData *reserved;

private:
	OSDictionary *fRegistryTable;
	OSDictionary *fPropertyTable;

public:
	static IORegistryEntry *getRegistryRoot();
	static SInt32 getGenerationCount();
	static const IORegistryPlane *getPlane(const char *);
	OSDictionary *getPropertyTable() const;
	static IORegistryEntry *fromPath(const char *path, const IORegistryPlane *plane = nullptr,
					 char *residual = nullptr, int *length = nullptr,
					 IORegistryEntry *from = nullptr);
	static const IORegistryPlane *makePlane(const char *);
	UInt64 getRegistryEntryID();

	/* Slots, in order. */
	virtual OSObject *copyProperty(const char *key, const IORegistryPlane *plane,
				       IOOptionBits options = kIORegistryIterateRecursively |
							      kIORegistryIterateParents) const;
	virtual OSObject *copyProperty(const OSString *key, const IORegistryPlane *plane,
				       IOOptionBits options = kIORegistryIterateRecursively |
							      kIORegistryIterateParents) const;
	virtual OSObject *copyProperty(const OSSymbol *key, const IORegistryPlane *plane,
				       IOOptionBits options = kIORegistryIterateRecursively |
							      kIORegistryIterateParents) const;
	virtual IORegistryEntry *copyParentEntry(const IORegistryPlane *) const;
	virtual IORegistryEntry *copyChildEntry(const IORegistryPlane *) const;
	virtual IOReturn runPropertyAction(Action action, OSObject *target, void *arg0 = nullptr,
					   void *arg1 = nullptr, void *arg2 = nullptr,
					   void *arg3 = nullptr);

private:
	KPI_PADS_64(IORegistryEntry, 0, 1, 2, 3, 4, 5);
	KPI_PADS(IORegistryEntry, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21);
	KPI_PADS(IORegistryEntry, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);

public:
	virtual bool init(OSDictionary * = nullptr);
	virtual void setPropertyTable(OSDictionary *);
	virtual bool setProperty(const OSSymbol *key, OSObject *value);
	virtual bool setProperty(const OSString *key, OSObject *value);
	virtual bool setProperty(const char *key, OSObject *value);
	virtual bool setProperty(const char *key, const char *value);
	virtual bool setProperty(const char *key, bool value);
	virtual bool setProperty(const char *key, unsigned long long value, unsigned int bits);
	virtual bool setProperty(const char *key, void *value, unsigned int bits);
	virtual void removeProperty(const OSSymbol *key);
	virtual void removeProperty(const OSString *key);
	virtual void removeProperty(const char *key);
	virtual OSObject *getProperty(const OSSymbol *key) const;
	virtual OSObject *getProperty(const OSString *key) const;
	virtual OSObject *getProperty(const char *key) const;
	virtual OSObject *getProperty(const OSSymbol *key, const IORegistryPlane *plane,
				      IOOptionBits options = kIORegistryIterateRecursively |
							     kIORegistryIterateParents) const;
	virtual OSObject *getProperty(const OSString *key, const IORegistryPlane *plane,
				      IOOptionBits options = kIORegistryIterateRecursively |
							     kIORegistryIterateParents) const;
	virtual OSObject *getProperty(const char *key, const IORegistryPlane *plane,
				      IOOptionBits options = kIORegistryIterateRecursively |
							     kIORegistryIterateParents) const;
	virtual OSObject *copyProperty(const OSSymbol *key) const;
	virtual OSObject *copyProperty(const OSString *key) const;
	virtual OSObject *copyProperty(const char *key) const;
	virtual OSDictionary *dictionaryWithProperties() const;
	virtual bool serializeProperties(OSSerialize *) const;
	virtual IOReturn setProperties(OSObject *);
	virtual OSIterator *getParentIterator(const IORegistryPlane *) const;
	virtual void applyToParents(IORegistryEntryApplierFunction, void *,
				    const IORegistryPlane *) const;
	virtual IORegistryEntry *getParentEntry(const IORegistryPlane *plane) const;
	virtual OSIterator *getChildIterator(const IORegistryPlane *) const;
	virtual void applyToChildren(IORegistryEntryApplierFunction, void *,
				     const IORegistryPlane *) const;
	virtual IORegistryEntry *getChildEntry(const IORegistryPlane *plane) const;
	virtual bool isChild(IORegistryEntry *, const IORegistryPlane *, bool = false) const;
	virtual bool isParent(IORegistryEntry *, const IORegistryPlane *, bool = false) const;
	virtual bool inPlane(const IORegistryPlane * = nullptr) const;
	virtual unsigned int getDepth(const IORegistryPlane *) const;
	virtual bool attachToParent(IORegistryEntry *parent, const IORegistryPlane *plane);
	virtual void detachFromParent(IORegistryEntry *parent, const IORegistryPlane *plane);
	virtual bool attachToChild(IORegistryEntry *child, const IORegistryPlane *plane);
	virtual void detachFromChild(IORegistryEntry *child, const IORegistryPlane *plane);
	virtual void detachAbove(const IORegistryPlane *);
	virtual void detachAll(const IORegistryPlane *);
	virtual const char *getName(const IORegistryPlane *plane = nullptr) const;
	virtual const OSSymbol *copyName(const IORegistryPlane * = nullptr) const;
	virtual bool compareNames(OSObject *name, OSString **matched = nullptr) const;
	virtual bool compareName(OSString *name, OSString **matched = nullptr) const;
	virtual void setName(const OSSymbol *name, const IORegistryPlane *plane = nullptr);
	virtual void setName(const char *name, const IORegistryPlane *plane = nullptr);
	virtual const char *getLocation(const IORegistryPlane *plane = nullptr) const;
	virtual const OSSymbol *copyLocation(const IORegistryPlane * = nullptr) const;
	virtual void setLocation(const OSSymbol *location, const IORegistryPlane *plane = nullptr);
	virtual void setLocation(const char *location, const IORegistryPlane *plane = nullptr);
	virtual bool getPath(char *path, int *length, const IORegistryPlane *plane) const;
	virtual bool getPathComponent(char *, int *, const IORegistryPlane *) const;
	virtual IORegistryEntry *childFromPath(const char *, const IORegistryPlane * = nullptr,
					       char * = nullptr, int * = nullptr);
	virtual bool init(IORegistryEntry *, const IORegistryPlane *);

private:
#ifndef __LP64__
	virtual OSArray *getParentSetReference(const IORegistryPlane *) const;
	virtual OSArray *getChildSetReference(const IORegistryPlane *) const;
	virtual IORegistryEntry *getChildFromComponent(const char **, const IORegistryPlane *);
	virtual const OSSymbol *hasAlias(const IORegistryPlane *, char * = nullptr,
					 int * = nullptr) const;
	virtual const char *matchPathLocation(const char *, const IORegistryPlane *);
#endif

public:
	/* Overrides. */
	void free() override;
};

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strings, numbers, data and the collections that property tables are made of.
 *
 * A collection retains what is put in; get...() returns a borrowed object. What a with...() or a
 * copy...() returns belongs to the caller.
 */
#ifndef KPI_COLLECTIONS_H
#define KPI_COLLECTIONS_H

#include "runtime.h"

class OSString : public OSObject
{
	OSDeclareDefaultStructors(OSString);

	unsigned int flags;
	unsigned int length;
	char *string;

public:
	static OSString *withString(const OSString *);
	static OSString *withCString(const char *);
	static OSString *withCStringNoCopy(const char *);

	/* Slots, in order. */
	virtual bool initWithString(const OSString *);
	virtual bool initWithCString(const char *);
	virtual bool initWithCStringNoCopy(const char *);
	virtual unsigned int getLength() const;
	virtual char getChar(unsigned int) const;
	virtual bool setChar(char, unsigned int);
	virtual const char *getCStringNoCopy() const;
	virtual bool isEqualTo(const OSString *) const;
	virtual bool isEqualTo(const char *) const;
	virtual bool isEqualTo(const OSData *) const;

private:
	KPI_PADS(OSString, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

public:
	/* Overrides. */
	void free() override;
	bool isEqualTo(const OSMetaClassBase *) const override;
	bool serialize(OSSerialize *) const override;
};

/* A string made unique: equal symbols are one object. */
class OSSymbol : public OSString
{
	OSDeclareAbstractStructors(OSSymbol);
	struct ExpansionData;

private:
	ExpansionData *reserved;

public:
	static const OSSymbol *withString(const OSString *);
	static const OSSymbol *withCString(const char *);
	static const OSSymbol *withCStringNoCopy(const char *);

	/* Slots, in order. */
	virtual bool isEqualTo(const OSSymbol *) const;

private:
	KPI_PADS(OSSymbol, 0, 1, 2, 3, 4, 5, 6, 7);

	/* Overrides. */
	bool initWithString(const OSString *) override;
	bool initWithCString(const char *) override;
	bool initWithCStringNoCopy(const char *) override;

protected:
	void taggedRelease(const void *, const int) const override;
	void free() override;

public:
	void taggedRelease(const void *) const override;
	bool isEqualTo(const char *) const override;
	bool isEqualTo(const OSMetaClassBase *) const override;
};

class OSData : public OSObject
{
	OSDeclareDefaultStructors(OSData);

public:
	typedef void (*DeallocFunction)(void *data, unsigned int length);

protected:
	struct ExpansionData;

	void *data;
	unsigned int length;
	unsigned int capacity;
	unsigned int capacityIncrement;
	ExpansionData *reserved;

public:
	static OSData *withCapacity(unsigned int capacity);
	static OSData *withBytes(const void *bytes, unsigned int length);
	static OSData *withBytesNoCopy(void *bytes, unsigned int length);
	static OSData *withData(const OSData *);
	static OSData *withData(const OSData *, unsigned int, unsigned int);

	/* Slots, in order. */
	virtual bool initWithCapacity(unsigned int);
	virtual bool initWithBytes(const void *, unsigned int);
	virtual bool initWithBytesNoCopy(void *, unsigned int);
	virtual bool initWithData(const OSData *);
	virtual bool initWithData(const OSData *, unsigned int, unsigned int);
	virtual unsigned int getLength() const;
	virtual unsigned int getCapacity() const;
	virtual unsigned int getCapacityIncrement() const;
	virtual unsigned int setCapacityIncrement(unsigned int);
	virtual unsigned int ensureCapacity(unsigned int);
	virtual bool appendBytes(const void *, unsigned int);
	virtual bool appendBytes(const OSData *);
	virtual const void *getBytesNoCopy() const;
	virtual const void *getBytesNoCopy(unsigned int offset, unsigned int length) const;
	virtual bool isEqualTo(const OSData *) const;
	virtual bool isEqualTo(const void *, unsigned int) const;
	virtual bool isEqualTo(const OSString *) const;
	virtual bool appendByte(unsigned char, unsigned int);

private:
	virtual void setDeallocFunction(DeallocFunction);
	KPI_PADS(OSData, 1, 2, 3, 4, 5, 6, 7);

public:
	/* Overrides. */
	void free() override;
	bool isEqualTo(const OSMetaClassBase *) const override;
	bool serialize(OSSerialize *) const override;
};

class OSNumber : public OSObject
{
	OSDeclareDefaultStructors(OSNumber);
	struct ExpansionData;

	unsigned long long value;
	unsigned int size;
	ExpansionData *reserved;

public:
	static OSNumber *withNumber(unsigned long long value, unsigned int bits);
	static OSNumber *withNumber(const char *value, unsigned int bits);

	/* Slots, in order. */
	virtual bool init(unsigned long long, unsigned int);
	virtual bool init(const char *, unsigned int);
	virtual unsigned int numberOfBits() const;
	virtual unsigned int numberOfBytes() const;
	virtual unsigned char unsigned8BitValue() const;
	virtual unsigned short unsigned16BitValue() const;
	virtual unsigned int unsigned32BitValue() const;
	virtual unsigned long long unsigned64BitValue() const;
	virtual void addValue(long long);
	virtual void setValue(unsigned long long);
	virtual bool isEqualTo(const OSNumber *) const;

private:
	KPI_PADS(OSNumber, 0, 1, 2, 3, 4, 5, 6, 7);

public:
	/* Overrides. */
	void free() override;
	bool isEqualTo(const OSMetaClassBase *) const override;
	bool serialize(OSSerialize *) const override;
};

class OSBoolean : public OSObject
{
	OSDeclareDefaultStructors(OSBoolean);

	bool value;

public:
	static OSBoolean *withBoolean(bool);

	/* Slots, in order. */
	virtual bool isTrue() const;
	virtual bool isFalse() const;
	virtual bool getValue() const;
	virtual bool isEqualTo(const OSBoolean *) const;

private:
	KPI_PADS(OSBoolean, 0, 1, 2, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	void taggedRelease(const void *, const int) const override;

public:
	void free() override;
	void taggedRetain(const void *) const override;
	bool isEqualTo(const OSMetaClassBase *) const override;
	bool serialize(OSSerialize *) const override;
};

extern "C" {
extern OSBoolean *const &kOSBooleanTrue;
extern OSBoolean *const &kOSBooleanFalse;
}

class OSCollection : public OSObject
{
	OSDeclareAbstractStructors(OSCollection);

public:
	enum {
		kImmutable = 0x00000001,
		kMASK = 0xffffffffU,
	};

protected:
	struct ExpansionData;

	unsigned int updateStamp;

private:
	unsigned int fOptions;

public:
	void haveUpdated();

protected:
	/* Slots, in order. */
	virtual unsigned int iteratorSize() const = 0;
	virtual bool initIterator(void *) const = 0;
	virtual bool getNextObjectForIterator(void *, OSObject **) const = 0;

public:
	virtual unsigned int getCount() const = 0;
	virtual unsigned int getCapacity() const = 0;
	virtual unsigned int getCapacityIncrement() const = 0;
	virtual unsigned int setCapacityIncrement(unsigned int) = 0;
	virtual unsigned int ensureCapacity(unsigned int) = 0;
	virtual void flushCollection() = 0;
	virtual unsigned int setOptions(unsigned int, unsigned int, void * = nullptr);
	virtual OSCollection *copyCollection(OSDictionary * = nullptr);

private:
	KPI_PADS(OSCollection, 2, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	bool init() override;
};

class OSDictionary : public OSCollection
{
	OSDeclareDefaultStructors(OSDictionary);
	struct dictEntry {
		const OSSymbol *key;
		const OSMetaClassBase *value;
	};

	struct ExpansionData;

	dictEntry *dictionary;
	unsigned int count;
	unsigned int capacity;
	unsigned int capacityIncrement;
	ExpansionData *reserved;

public:
	static OSDictionary *withCapacity(unsigned int);
	static OSDictionary *withObjects(const OSObject *[], const OSSymbol *[], unsigned int,
					 unsigned int = 0);
	static OSDictionary *withObjects(const OSObject *[], const OSString *[], unsigned int,
					 unsigned int = 0);
	static OSDictionary *withDictionary(const OSDictionary *, unsigned int = 0);

	/* Slots, in order. */
	virtual bool initWithCapacity(unsigned int);
	virtual bool initWithObjects(const OSObject *[], const OSSymbol *[], unsigned int,
				     unsigned int = 0);
	virtual bool initWithObjects(const OSObject *[], const OSString *[], unsigned int,
				     unsigned int = 0);
	virtual bool initWithDictionary(const OSDictionary *, unsigned int = 0);
	virtual bool setObject(const OSSymbol *key, const OSMetaClassBase *value);
	virtual bool setObject(const OSString *key, const OSMetaClassBase *value);
	virtual bool setObject(const char *key, const OSMetaClassBase *value);
	virtual void removeObject(const OSSymbol *);
	virtual void removeObject(const OSString *);
	virtual void removeObject(const char *);
	virtual bool merge(const OSDictionary *);
	virtual OSObject *getObject(const OSSymbol *) const;
	virtual OSObject *getObject(const OSString *) const;
	virtual OSObject *getObject(const char *) const;
	virtual bool isEqualTo(const OSDictionary *, const OSCollection *) const;
	virtual bool isEqualTo(const OSDictionary *) const;

private:
	KPI_PADS(OSDictionary, 0, 1, 2, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	unsigned int iteratorSize() const override;
	bool initIterator(void *) const override;
	bool getNextObjectForIterator(void *, OSObject **) const override;

public:
	void free() override;
	unsigned int getCount() const override;
	unsigned int getCapacity() const override;
	unsigned int getCapacityIncrement() const override;
	unsigned int setCapacityIncrement(unsigned int) override;
	unsigned int ensureCapacity(unsigned int) override;
	void flushCollection() override;
	bool isEqualTo(const OSMetaClassBase *) const override;
	bool serialize(OSSerialize *) const override;
	unsigned int setOptions(unsigned int, unsigned int, void * = nullptr) override;
	OSCollection *copyCollection(OSDictionary * = nullptr) override;
};

class OSArray : public OSCollection
{
	OSDeclareDefaultStructors(OSArray);
	struct ExpansionData;

	const OSMetaClassBase **array;
	unsigned int count;
	unsigned int capacity;
	unsigned int capacityIncrement;
	ExpansionData *reserved;

public:
	static OSArray *withCapacity(unsigned int);
	static OSArray *withObjects(const OSObject *[], unsigned int, unsigned int = 0);
	static OSArray *withArray(const OSArray *, unsigned int = 0);

	/* Slots, in order. */
	virtual bool initWithCapacity(unsigned int);
	virtual bool initWithObjects(const OSObject *[], unsigned int, unsigned int = 0);
	virtual bool initWithArray(const OSArray *, unsigned int = 0);
	virtual bool setObject(const OSMetaClassBase *);
	virtual bool setObject(unsigned int index, const OSMetaClassBase *value);
	virtual bool merge(const OSArray *);
	virtual void replaceObject(unsigned int, const OSMetaClassBase *);
	virtual void removeObject(unsigned int);
	virtual bool isEqualTo(const OSArray *) const;
	virtual OSObject *getObject(unsigned int) const;
	virtual OSObject *getLastObject() const;
	virtual unsigned int getNextIndexOfObject(const OSMetaClassBase *, unsigned int) const;

private:
	KPI_PADS(OSArray, 0, 1, 2, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	unsigned int iteratorSize() const override;
	bool initIterator(void *) const override;
	bool getNextObjectForIterator(void *, OSObject **) const override;

public:
	void free() override;
	unsigned int getCount() const override;
	unsigned int getCapacity() const override;
	unsigned int getCapacityIncrement() const override;
	unsigned int setCapacityIncrement(unsigned int) override;
	unsigned int ensureCapacity(unsigned int) override;
	void flushCollection() override;
	bool isEqualTo(const OSMetaClassBase *) const override;
	bool serialize(OSSerialize *) const override;
	unsigned int setOptions(unsigned int, unsigned int, void * = nullptr) override;
	OSCollection *copyCollection(OSDictionary * = nullptr) override;
};

class OSSet : public OSCollection
{
	OSDeclareDefaultStructors(OSSet);
	struct ExpansionData;

private:
	OSArray *members;

protected:
	ExpansionData *reserved;

public:
	static OSSet *withCapacity(unsigned int);
	static OSSet *withObjects(const OSObject *[], unsigned int, unsigned int = 0);
	static OSSet *withArray(const OSArray *, unsigned int = 0);
	static OSSet *withSet(const OSSet *, unsigned int = 0);

	/* Slots, in order. */
	virtual bool initWithCapacity(unsigned int);
	virtual bool initWithObjects(const OSObject *[], unsigned int, unsigned int = 0);
	virtual bool initWithArray(const OSArray *, unsigned int = 0);
	virtual bool initWithSet(const OSSet *, unsigned int = 0);
	virtual bool setObject(const OSMetaClassBase *);
	virtual bool merge(const OSArray *);
	virtual bool merge(const OSSet *);
	virtual void removeObject(const OSMetaClassBase *);
	virtual bool containsObject(const OSMetaClassBase *) const;
	virtual bool member(const OSMetaClassBase *) const;
	virtual OSObject *getAnyObject() const;
	virtual bool isEqualTo(const OSSet *) const;

private:
	KPI_PADS(OSSet, 0, 1, 2, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	unsigned int iteratorSize() const override;
	bool initIterator(void *) const override;
	bool getNextObjectForIterator(void *, OSObject **) const override;

public:
	void free() override;
	unsigned int getCount() const override;
	unsigned int getCapacity() const override;
	unsigned int getCapacityIncrement() const override;
	unsigned int setCapacityIncrement(unsigned int) override;
	unsigned int ensureCapacity(unsigned int) override;
	void flushCollection() override;
	bool isEqualTo(const OSMetaClassBase *) const override;
	bool serialize(OSSerialize *) const override;
	unsigned int setOptions(unsigned int, unsigned int, void * = nullptr) override;
	OSCollection *copyCollection(OSDictionary * = nullptr) override;
};

class OSIterator : public OSObject
{
	OSDeclareAbstractStructors(OSIterator);

public:
	/* Slots, in order. */
	virtual void reset() = 0;
	virtual bool isValid() = 0;
	virtual OSObject *getNextObject() = 0;

private:
	KPI_PADS(OSIterator, 0, 1, 2, 3);
};

class OSCollectionIterator : public OSIterator
{
	OSDeclareDefaultStructors(OSCollectionIterator);

	const OSCollection *collection;
	void *collIterator;
	unsigned int initialUpdateStamp;
	bool valid;

public:
	static OSCollectionIterator *withCollection(const OSCollection *);

	/* Slots, in order. */
	virtual bool initWithCollection(const OSCollection *);

	/* Overrides. */
	void free() override;
	void reset() override;
	bool isValid() override;
	OSObject *getNextObject() override;
};

#endif

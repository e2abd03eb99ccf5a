/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The object runtime: reference counts, run-time types, and the macros every class uses.
 *
 * A class opens with OSDeclareDefaultStructors(Name), or OSDeclareAbstractStructors(Name) if it
 * cannot be instantiated, and one source file holds OSDefineMetaClassAndStructors(Name, Super) or
 * OSDefineMetaClassAndAbstractStructors(Name, Super). They make what the kernel's linker looks for
 * per class: the vtable, the vtable of its MetaClass, gMetaClass, metaClass and superClass. A
 * declaring macro is followed by a semicolon and leaves the access at `protected`.
 *
 * KPI_PADS(Name, n...) declares the spare slots n... of a class. They are private and nobody calls
 * them: in a later release such a slot may have become a function, which 10.6 does not have. A
 * class of ours needs none: nobody outside subclasses it. KPI_DEFINE_PADS gives them bodies, for
 * whoever implements the class (the simulation); OSMetaClassBase, without a metaclass of its own,
 * needs them by hand.
 *
 * Slots are declared in the order of the vtable, overrides after them, where order means nothing.
 * KPI_VIRTUAL_32 and KPI_VIRTUAL_64 mark the functions that are virtual on one target only.
 *
 * `ExpansionData` of a class is for whoever implements it to define. Members are declared because
 * the compiler needs their sizes: a kext leaves them alone.
 */
#ifndef KPI_RUNTIME_H
#define KPI_RUNTIME_H

#include "types.h"

/* These interfaces overload virtual functions all over, and so must who derives from them. */
#pragma GCC diagnostic ignored "-Woverloaded-virtual"

#ifdef __LP64__
#define KPI_VIRTUAL_32
#define KPI_VIRTUAL_64 virtual
#else
#define KPI_VIRTUAL_32 virtual
#define KPI_VIRTUAL_64
#endif

/* ---- spare slots ---- */

#define KPI_PAD_1(c, m, s, n)	    m(c, n)
#define KPI_PAD_2(c, m, s, n, ...)  m(c, n) s KPI_PAD_1(c, m, s, __VA_ARGS__)
#define KPI_PAD_3(c, m, s, n, ...)  m(c, n) s KPI_PAD_2(c, m, s, __VA_ARGS__)
#define KPI_PAD_4(c, m, s, n, ...)  m(c, n) s KPI_PAD_3(c, m, s, __VA_ARGS__)
#define KPI_PAD_5(c, m, s, n, ...)  m(c, n) s KPI_PAD_4(c, m, s, __VA_ARGS__)
#define KPI_PAD_6(c, m, s, n, ...)  m(c, n) s KPI_PAD_5(c, m, s, __VA_ARGS__)
#define KPI_PAD_7(c, m, s, n, ...)  m(c, n) s KPI_PAD_6(c, m, s, __VA_ARGS__)
#define KPI_PAD_8(c, m, s, n, ...)  m(c, n) s KPI_PAD_7(c, m, s, __VA_ARGS__)
#define KPI_PAD_9(c, m, s, n, ...)  m(c, n) s KPI_PAD_8(c, m, s, __VA_ARGS__)
#define KPI_PAD_10(c, m, s, n, ...) m(c, n) s KPI_PAD_9(c, m, s, __VA_ARGS__)
#define KPI_PAD_11(c, m, s, n, ...) m(c, n) s KPI_PAD_10(c, m, s, __VA_ARGS__)
#define KPI_PAD_12(c, m, s, n, ...) m(c, n) s KPI_PAD_11(c, m, s, __VA_ARGS__)
#define KPI_PAD_13(c, m, s, n, ...) m(c, n) s KPI_PAD_12(c, m, s, __VA_ARGS__)
#define KPI_PAD_14(c, m, s, n, ...) m(c, n) s KPI_PAD_13(c, m, s, __VA_ARGS__)
#define KPI_PAD_15(c, m, s, n, ...) m(c, n) s KPI_PAD_14(c, m, s, __VA_ARGS__)
#define KPI_PAD_16(c, m, s, n, ...) m(c, n) s KPI_PAD_15(c, m, s, __VA_ARGS__)

#define KPI_COUNT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, count, ...) count
#define KPI_COUNT(...)                                                                             \
	KPI_COUNT_(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define KPI_PASTE_(a, b)	   a##b
#define KPI_PASTE(a, b)		   KPI_PASTE_(a, b)
#define KPI_EACH_PAD(c, m, s, ...) KPI_PASTE(KPI_PAD_, KPI_COUNT(__VA_ARGS__))(c, m, s, __VA_ARGS__)

#define KPI_DECLARE_PAD(c, n) virtual void _RESERVED##c##n()
#define KPI_DEFINE_PAD(c, n)                                                                       \
	void c::_RESERVED##c##n()                                                                  \
	{                                                                                          \
		gMetaClass.reservedCalled(n);                                                      \
	}

#define KPI_PADS(c, ...)	KPI_EACH_PAD(c, KPI_DECLARE_PAD, ;, __VA_ARGS__)
#define KPI_DEFINE_PADS(c, ...) KPI_EACH_PAD(c, KPI_DEFINE_PAD, , __VA_ARGS__)

/* Spare in 64 bits, spent long ago in 32. */
#ifdef __LP64__
#define KPI_PADS_64(c, ...)	   KPI_PADS(c, __VA_ARGS__)
#define KPI_DEFINE_PADS_64(c, ...) KPI_DEFINE_PADS(c, __VA_ARGS__)
#else
#define KPI_PADS_64(c, ...) static_assert(true, "")
#define KPI_DEFINE_PADS_64(c, ...)
#endif

/* ---- the macros of a class ---- */

#define KPI_DECLARE_META(c)                                                                        \
private:                                                                                           \
	static const OSMetaClass *const superClass;                                                \
public:                                                                                            \
	static const OSMetaClass *const metaClass;                                                 \
	static class MetaClass : public OSMetaClass                                                \
	{                                                                                          \
	public:                                                                                    \
		MetaClass();                                                                       \
		OSObject *alloc() const override;                                                  \
	} gMetaClass;                                                                              \
	friend class c::MetaClass;                                                                 \
	const OSMetaClass *getMetaClass() const override;                                          \
protected:                                                                                         \
	explicit c(const OSMetaClass *);

#define OSDeclareDefaultStructors(c)                                                               \
	KPI_DECLARE_META(c)                                                                        \
public:                                                                                            \
	c();                                                                                       \
protected:                                                                                         \
	~c() override

#define OSDeclareAbstractStructors(c)                                                              \
	KPI_DECLARE_META(c)                                                                        \
private:                                                                                           \
	c();                                                                                       \
protected:                                                                                         \
	~c() override

#define KPI_DEFINE_STRUCTORS(c, super, made)                                                       \
	c::MetaClass c::gMetaClass;                                                                \
	const OSMetaClass *const c::metaClass = &c::gMetaClass;                                    \
	const OSMetaClass *const c::superClass = &super::gMetaClass;                               \
	c::c(const OSMetaClass *meta) : super(meta)                                                \
	{                                                                                          \
	}                                                                                          \
	c::~c()                                                                                    \
	{                                                                                          \
	}                                                                                          \
	const OSMetaClass *c::getMetaClass() const                                                 \
	{                                                                                          \
		return &gMetaClass;                                                                \
	}                                                                                          \
	c::MetaClass::MetaClass() : OSMetaClass(#c, &super::gMetaClass, sizeof(c))                 \
	{                                                                                          \
	}                                                                                          \
	OSObject *c::MetaClass::alloc() const                                                      \
	{                                                                                          \
		return made;                                                                       \
	}

#define OSDefineMetaClassAndStructors(c, super)                                                    \
	KPI_DEFINE_STRUCTORS(c, super, new c)                                                      \
	c::c() : super(&gMetaClass)                                                                \
	{                                                                                          \
		gMetaClass.instanceConstructed();                                                  \
	}

#define OSDefineMetaClassAndAbstractStructors(c, super) KPI_DEFINE_STRUCTORS(c, super, nullptr)

/* The object as a `type`, or 0 if it is none (or is 0 itself). */
#define OSDynamicCast(type, object)                                                                \
	(static_cast<type *>(OSMetaClassBase::safeMetaCast((object), type::metaClass)))

/* An address for a member function, to be called as f(object, ...). */
#define OSMemberFunctionCast(type, self, func)                                                     \
	(reinterpret_cast<type>(OSMetaClassBase::_ptmf2ptf(                                        \
		(self), reinterpret_cast<void (OSMetaClassBase::*)()>(func))))

#define OSTypeID(type)	  (type::metaClass)
#define OSTypeAlloc(type) (static_cast<type *>(type::metaClass->alloc()))

/* ---- the root classes ---- */

class OSMetaClassBase
{
public:
	typedef void (*_ptf_t)();

	OSMetaClassBase *metaCast(const OSMetaClass *) const;
	OSMetaClassBase *metaCast(const OSSymbol *) const;
	OSMetaClassBase *metaCast(const OSString *) const;
	OSMetaClassBase *metaCast(const char *) const;
	static OSMetaClassBase *safeMetaCast(const OSMetaClassBase *, const OSMetaClass *);
	static bool checkTypeInst(const OSMetaClassBase *, const OSMetaClassBase *);
	static inline _ptf_t _ptmf2ptf(const OSMetaClassBase *self,
				       void (OSMetaClassBase::*func)());

protected:
	OSMetaClassBase();
	/* Slots, in order. */
	virtual ~OSMetaClassBase();

public:
	virtual void release(int when) const = 0;
	virtual int getRetainCount() const = 0;
	virtual void retain() const = 0;
	virtual void release() const = 0;
	virtual bool serialize(OSSerialize *) const = 0;
	virtual const OSMetaClass *getMetaClass() const = 0;
	virtual bool isEqualTo(const OSMetaClassBase *) const;
	virtual void taggedRetain(const void *tag = nullptr) const = 0;
	virtual void taggedRelease(const void *tag = nullptr) const = 0;

protected:
	virtual void taggedRelease(const void *tag, const int when) const = 0;

private:
	KPI_PADS(OSMetaClassBase, 3, 4, 5, 6, 7);

	OSMetaClassBase(OSMetaClassBase &);
	void operator=(OSMetaClassBase &);
};

class OSMetaClass : private OSMetaClassBase
{
	static void *operator new(size_t);

	struct ExpansionData;
	ExpansionData *reserved;
	const OSMetaClass *superClassLink;
	const OSSymbol *className;
	unsigned int classSize;
	mutable unsigned int instanceCount;

	OSMetaClass();

protected:
	OSMetaClass(const char *name, const OSMetaClass *super, unsigned int size);
	void operator delete(void *, size_t)
	{
	}

public:
	static const OSMetaClass *const metaClass;

	static const OSMetaClass *getMetaClassWithName(const OSSymbol *);
	static OSObject *allocClassWithName(const OSSymbol *);
	static OSObject *allocClassWithName(const OSString *);
	static OSObject *allocClassWithName(const char *);
	static OSMetaClassBase *checkMetaCastWithName(const OSSymbol *, const OSMetaClassBase *);
	static OSMetaClassBase *checkMetaCastWithName(const OSString *, const OSMetaClassBase *);
	static OSMetaClassBase *checkMetaCastWithName(const char *, const OSMetaClassBase *);
	OSMetaClassBase *checkMetaCast(const OSMetaClassBase *) const;
	const OSMetaClass *getSuperClass() const;
	const char *getClassName() const;
	unsigned int getClassSize() const;
	unsigned int getInstanceCount() const;
	void instanceConstructed() const;
	void instanceDestructed() const;
	void reservedCalled(int slot) const;

	/* For whoever loads a kext: bracket the constructors of its classes. */
	static void *preModLoad(const char *bundle);
	static bool checkModLoad(void *loading);
	static OSReturn postModLoad(void *loading);
	static bool modHasInstance(const char *bundle);

	/* Slots, in order. */
	virtual OSObject *alloc() const = 0;

private:
	KPI_PADS(OSMetaClass, 0, 1, 2, 3, 4, 5, 6, 7);

protected:
	/* Overrides. */
	~OSMetaClass() override;
	void retain() const override;
	void release() const override;
	void release(int when) const override;
	void taggedRetain(const void *tag = nullptr) const override;
	void taggedRelease(const void *tag = nullptr) const override;
	void taggedRelease(const void *tag, const int when) const override;
	int getRetainCount() const override;

public:
	const OSMetaClass *getMetaClass() const override;

private:
	bool serialize(OSSerialize *) const override;
};

class OSObject : public OSMetaClassBase
{
	OSDeclareAbstractStructors(OSObject);
private:
	int retainCount;

protected:
	static void operator delete(void *, size_t);

public:
	static void *operator new(size_t);

protected:
	/* Slots, in order. */
	virtual bool init();
	virtual void free();

private:
	KPI_PADS(OSObject, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

public:
	/* Overrides. */
	int getRetainCount() const override;
	void retain() const override;
	void release() const override;
	void taggedRetain(const void *tag = nullptr) const override;
	void taggedRelease(const void *tag = nullptr) const override;
	bool serialize(OSSerialize *) const override;

protected:
	void release(int when) const override;
	void taggedRelease(const void *tag, const int when) const override;
};

/*
 * A pointer to member function is two words: a function, or 1 plus the offset of a vtable slot, and
 * what to add to `this` (0 here: no class has two bases).
 */
inline OSMetaClassBase::_ptf_t OSMetaClassBase::_ptmf2ptf(const OSMetaClassBase *self,
							  void (OSMetaClassBase::*func)())
{
	union {
		void (OSMetaClassBase::*member)();
		struct {
			uintptr_t code;
			ptrdiff_t shift;
		} words;
	} u;

	u.member = func;
	if (u.words.code & 1) {
		const char *vtable = *reinterpret_cast<const char *const *>(self);

		return *reinterpret_cast<const _ptf_t *>(vtable + (u.words.code - 1));
	}
	return reinterpret_cast<_ptf_t>(u.words.code);
}

#endif

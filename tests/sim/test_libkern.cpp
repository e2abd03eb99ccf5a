/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The object runtime. What must end in a violation is done in a child, which has to abort with the
 * right words.
 */
#include "tests/sim/child.h"

#include <new>

#include "guest/ports/xnu/kpi/collections.h"
#include "guest/ports/xnu/kpi/runtime.h"
#include "sim/macos/libkern/runtime_sim.h"

#define TEXT_MAX 4096
#define THREADS	 4
#define ROUNDS	 20000

/* ---- a class of ours and one derived from it ---- */

class Ball : public OSObject
{
	OSDeclareDefaultStructors(Ball);

public:
	int bounces;
	static int freed;
	void (*last_words)(Ball *self);

	void free() override
	{
		freed++;
		if (last_words)
			last_words(this);
		OSObject::free();
	}
};

class RedBall : public Ball
{
	OSDeclareDefaultStructors(RedBall);

public:
	uint64_t much[20];
};

int Ball::freed;

OSDefineMetaClassAndStructors(Ball, OSObject)
OSDefineMetaClassAndStructors(RedBall, Ball)

/* A class that forgets to let its superclass free it. */
class Leaky : public OSObject
{
	OSDeclareDefaultStructors(Leaky);

public:
	void free() override
	{
	}
};

OSDefineMetaClassAndStructors(Leaky, OSObject)

static const char *printed(const OSMetaClassBase *object)
{
	static char text[TEXT_MAX];
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	sim_print_object(out, object);
	fclose(out);
	return text;
}

/* ---- references ---- */

static void references_are_counted(void **)
{
	Ball *ball = new Ball;
	int freed = Ball::freed;

	assert_int_equal(ball->bounces, 0);
	assert_int_equal(ball->getRetainCount(), 1);
	ball->retain();
	assert_int_equal(ball->getRetainCount(), 2);
	ball->release();
	assert_int_equal(Ball::freed, freed);
	ball->release();
	assert_int_equal(Ball::freed, freed + 1);
}

static void collections_references_are_told_apart(void **)
{
	OSArray *array = OSArray::withCapacity(1);
	Ball *ball = new Ball;
	int freed = Ball::freed;

	assert_true(array->setObject(ball));
	assert_int_equal(ball->getRetainCount(), 2);
	ball->release();
	assert_int_equal(Ball::freed, freed);
	array->release();
	assert_int_equal(Ball::freed, freed + 1);
}

static void release_too_often_in_collection()
{
	OSArray *array = OSArray::withCapacity(1);
	Ball *ball = new Ball;

	array->setObject(ball);
	ball->release();
	ball->release();
}

static void call_after_free()
{
	Ball *ball = new Ball;

	ball->release();
	const_cast<volatile Ball *>(ball)->bounces++; /* no call: found later */
	ball->retain();
}

static void release_after_free()
{
	const OSObject *ball = new RedBall;

	ball->release();
	ball->release();
}

static void keep(Ball *self)
{
	self->retain();
}

static void drop(Ball *self)
{
	self->release();
}

static void retain_while_freed()
{
	Ball *ball = new Ball;

	ball->last_words = keep;
	ball->release();
}

static void release_while_freed()
{
	Ball *ball = new Ball;

	ball->last_words = drop;
	ball->release();
}

static void free_with_references()
{
	Ball *ball = new Ball;

	ball->retain();
	ball->free();
}

static void write_behind_the_end()
{
	RedBall *ball = new RedBall;
	volatile char *end = reinterpret_cast<char *>(ball) + sizeof(*ball);

	end[3] = 1;
	ball->release();
}

static void write_after_free()
{
	RedBall *ball = new RedBall;
	volatile uint64_t *much = ball->much;

	ball->release();
	much[7] = 5;
	sim_objects_alive(nullptr);
}

static void allocate_in_interrupt()
{
	sim_interrupt_begin();
	new Ball;
}

static void free_in_interrupt()
{
	Ball *ball = new Ball;

	sim_interrupt_begin();
	ball->release();
}

static void mistakes_with_references(void **)
{
	child_violates(release_too_often_in_collection, "Ball");
	child_violates(release_too_often_in_collection, "released once too often");
	child_violates(call_after_free, "a virtual function of a freed Ball");
	child_violates(release_after_free, "a virtual function of a freed RedBall");
	child_violates(retain_while_freed, "is retained while it is freed");
	child_violates(release_while_freed, "is released while it is freed");
	child_violates(free_with_references, "is freed with 2 references");
	child_violates(write_behind_the_end, "3 bytes after the end of RedBall");
	child_violates(write_after_free, "a freed RedBall was written to");
	child_violates(allocate_in_interrupt, "operator new called at interrupt level");
	child_violates(free_in_interrupt, "operator delete called at interrupt level");
}

/* But these are allowed at interrupt level, and so is a release that is not the last. */
static void references_at_interrupt_level(void **)
{
	Ball *ball = new Ball;

	sim_interrupt_begin();
	ball->retain();
	ball->release();
	assert_non_null(OSDynamicCast(Ball, ball));
	sim_interrupt_end();
	ball->release();
}

static void pegged_references_stay(void **)
{
	Ball *ball = new Ball;
	int freed = Ball::freed;

	for (int i = 0; i < 0x10000; i++)
		ball->retain();
	assert_int_equal(ball->getRetainCount(), 0xfffe);
	for (int i = 0; i < 0x20000; i++)
		ball->release();
	assert_int_equal(ball->getRetainCount(), 0xfffe);
	assert_int_equal(Ball::freed, freed);
}

static void *hammer(void *arg)
{
	const Ball *ball = static_cast<Ball *>(arg);

	sim_enter("hammer");
	for (int i = 0; i < ROUNDS; i++) {
		const OSSymbol *symbol = OSSymbol::withCString("a name of many threads");

		ball->retain();
		symbol->release();
		ball->release();
	}
	sim_exit();
	return nullptr;
}

static void references_from_many_threads(void **)
{
	pthread_t threads[THREADS];
	Ball *ball = new Ball;
	unsigned before = sim_objects();

	for (pthread_t &t : threads)
		assert_int_equal(pthread_create(&t, nullptr, hammer, ball), 0);
	for (pthread_t &t : threads)
		assert_int_equal(pthread_join(t, nullptr), 0);
	assert_int_equal(ball->getRetainCount(), 1);
	assert_int_equal(sim_objects(), before);
	ball->release();
}

/* ---- classes ---- */

static void casts(void **)
{
	OSObject *red = new RedBall;
	OSObject *ball = new Ball;

	assert_ptr_equal(OSDynamicCast(Ball, red), red);
	assert_ptr_equal(OSDynamicCast(RedBall, red), red);
	assert_null(OSDynamicCast(RedBall, ball));
	assert_null(OSDynamicCast(OSString, ball));
	assert_null(OSDynamicCast(Ball, static_cast<OSObject *>(nullptr)));
	assert_ptr_equal(red->metaCast("Ball"), red);
	assert_null(red->metaCast("Bell"));
	assert_ptr_equal(RedBall::metaClass->getSuperClass(), Ball::metaClass);
	assert_int_equal(RedBall::metaClass->getClassSize(), sizeof(RedBall));
	assert_true(OSMetaClassBase::checkTypeInst(red, ball));
	assert_false(OSMetaClassBase::checkTypeInst(ball, red));
	assert_string_equal(sim_class_name(red), "RedBall");
	red->release();
	ball->release();
}

static void classes_by_name(void **)
{
	OSObject *ball = OSMetaClass::allocClassWithName("RedBall");

	assert_non_null(OSDynamicCast(RedBall, ball));
	ball->release();
	assert_null(OSMetaClass::allocClassWithName("NoBall"));
	assert_null(OSMetaClass::allocClassWithName("OSCollection"));
}

static void a_subclass_counts_once(void **)
{
	unsigned balls = Ball::metaClass->getInstanceCount();
	Ball *ball = new Ball;
	RedBall *red1 = new RedBall, *red2 = new RedBall;

	assert_int_equal(RedBall::metaClass->getInstanceCount(), 2);
	assert_int_equal(Ball::metaClass->getInstanceCount(), balls + 2);
	red1->release();
	assert_int_equal(Ball::metaClass->getInstanceCount(), balls + 2);
	red2->release();
	assert_int_equal(Ball::metaClass->getInstanceCount(), balls + 1);
	ball->release();
	assert_int_equal(Ball::metaClass->getInstanceCount(), balls);
}

/* ---- a bundle: metaclasses whose constructors and destructors run when we say ---- */

class Guest : public OSObject
{
public:
	class MetaClass : public OSMetaClass
	{
	public:
		explicit MetaClass(const char *name)
		    : OSMetaClass(name, OSObject::metaClass, sizeof(OSObject))
		{
		}

		OSObject *alloc() const override
		{
			return new Guest(this);
		}
	};

	const OSMetaClass *meta;

	explicit Guest(const OSMetaClass *m) : OSObject(m), meta(m)
	{
		m->instanceConstructed();
	}

	const OSMetaClass *getMetaClass() const override
	{
		return meta;
	}
};

struct bundle {
	alignas(Guest::MetaClass) char room[sizeof(Guest::MetaClass)];
	Guest::MetaClass *meta;
};

static OSReturn load(struct bundle *b, const char *name, const char *class_name)
{
	void *handle = OSMetaClass::preModLoad(name);

	assert_true(OSMetaClass::checkModLoad(handle));
	b->meta = ::new (static_cast<void *>(b->room)) Guest::MetaClass(class_name);
	assert_null(OSMetaClass::allocClassWithName("OneGuest"));
	return OSMetaClass::postModLoad(handle);
}

static void unload(struct bundle *b, const char *name)
{
	b->meta->~MetaClass();
	sim_class_release(name);
}

static void tell_class(void *arg, const char *name, unsigned n)
{
	char *text = static_cast<char *>(arg);

	snprintf(text, 64, "%s %u", name, n);
}

static void classes_come_and_go(void **)
{
	struct bundle b;
	char text[64] = "", line[TEXT_MAX] = "";
	FILE *out = fmemopen(line, sizeof(line), "w");
	OSObject *guest;

	assert_null(OSMetaClass::allocClassWithName("OneGuest"));
	assert_int_equal(load(&b, "org.test.one", "OneGuest"), 0);
	assert_string_equal(b.meta->getClassName(), "OneGuest");
	assert_false(OSMetaClass::modHasInstance("org.test.one"));
	guest = OSMetaClass::allocClassWithName("OneGuest");
	assert_non_null(guest);
	assert_true(OSMetaClass::modHasInstance("org.test.one"));
	assert_false(OSMetaClass::modHasInstance("org.test.two"));
	assert_int_equal(sim_class_instances("org.test.one", tell_class, text), 1);
	assert_string_equal(text, "OneGuest 1");
	assert_int_equal(sim_objects_alive(out), 1);
	fclose(out);
	assert_non_null(strstr(line, "OneGuest "));
	assert_non_null(strstr(line, ": 1 references"));
	guest->release();
	assert_int_equal(sim_objects_alive(nullptr), 0);
	assert_false(OSMetaClass::modHasInstance("org.test.one"));
	unload(&b, "org.test.one");
	assert_null(OSMetaClass::allocClassWithName("OneGuest"));
}

static void a_class_is_there_only_once(void **)
{
	struct bundle one, two;

	assert_int_equal(load(&one, "org.test.one", "Twin"), 0);
	assert_int_equal(load(&two, "org.test.two", "Twin"), static_cast<OSReturn>(0xdc00400a));
	unload(&two, "org.test.two");
	assert_ptr_equal(OSMetaClass::getMetaClassWithName(OSSymbol::withCString("Twin")),
			 one.meta);
	assert_int_equal(load(&two, "org.test.two", "OSArray"), static_cast<OSReturn>(0xdc00400a));
	unload(&two, "org.test.two");
	unload(&one, "org.test.one");
}

static void unload_with_instances()
{
	struct bundle b;

	load(&b, "org.test.one", "StillHere");
	b.meta->alloc();
	unload(&b, "org.test.one");
}

static void unload_without_destructor()
{
	struct bundle b;

	load(&b, "org.test.one", "NotDestroyed");
	sim_class_release("org.test.one");
}

static void name_while_loading()
{
	struct bundle b;

	OSMetaClass::preModLoad("org.test.one");
	b.meta = ::new (static_cast<void *>(b.room)) Guest::MetaClass("TooEarly");
	b.meta->getClassName();
}

static void destroy_too_often()
{
	Leaky::metaClass->instanceDestructed();
}

static void borrow_text()
{
	static const char text[] = "text in the kext";

	OSString::withCStringNoCopy(text);
	sim_strings_release(text, text + sizeof(text));
}

static void mistakes_with_classes(void **)
{
	child_violates(unload_with_instances, "class StillHere of org.test.one goes away");
	child_violates(unload_without_destructor, "its class NotDestroyed is still there");
	child_violates(name_while_loading, "TooEarly");
	child_violates(destroy_too_often, "class Leaky loses an instance and has none");
	child_violates(borrow_text, "a live string has its text \"text in the kext\"");
}

/* What never reaches OSObject::free() is not given back. */
static void a_free_that_does_not_chain(void **)
{
	unsigned before = sim_objects();

	(new Leaky)->release();
	assert_int_equal(sim_objects(), before + 1);
	assert_int_equal(Leaky::metaClass->getInstanceCount(), 1);
}

/* ---- strings and symbols ---- */

static void strings(void **)
{
	OSString *s = OSString::withCString("virtio");
	OSString *borrowed = OSString::withCStringNoCopy("virtio");
	OSString *copy = OSString::withString(borrowed);
	OSData *data = OSData::withBytes("virtio", 7);

	assert_int_equal(s->getLength(), 6);
	assert_true(s->isEqualTo("virtio"));
	assert_false(s->isEqualTo("virti"));
	assert_true(s->isEqualTo(borrowed));
	assert_true(s->isEqualTo(static_cast<const OSMetaClassBase *>(copy)));
	assert_true(s->isEqualTo(static_cast<const OSMetaClassBase *>(data)));
	assert_true(s->setChar('V', 0));
	assert_int_equal(s->getChar(0), 'V');
	assert_false(s->setChar('x', 6));
	assert_false(borrowed->setChar('V', 0));
	assert_false(s->isEqualTo(borrowed));
	assert_null(OSString::withCString(nullptr));
	assert_true(data->isEqualTo(copy));
	s->release();
	borrowed->release();
	copy->release();
	data->release();
}

static void symbols_are_unique(void **)
{
	char text[] = "symbol of a test";
	unsigned before = sim_objects();
	const OSSymbol *one = OSSymbol::withCString(text);
	const OSSymbol *two = OSSymbol::withCStringNoCopy("symbol of a test");
	OSString *string = OSString::withCString(text);
	const OSSymbol *three = OSSymbol::withString(string);

	assert_ptr_equal(one, two);
	assert_ptr_equal(one, three);
	assert_int_equal(one->getRetainCount(), 3);
	assert_true(one->isEqualTo(two));
	assert_true(one->isEqualTo(text));
	assert_true(one->isEqualTo(static_cast<const OSMetaClassBase *>(string)));
	one->release();
	two->release();
	three->release();
	string->release();
	assert_int_equal(sim_objects(), before);
}

static void release_symbol_in_interrupt()
{
	const OSSymbol *symbol = OSSymbol::withCString("in two places");

	symbol->retain();
	sim_interrupt_begin();
	symbol->release();
}

/* Any release takes the pool's lock, until 10.14; in 10.15 only the last one does. */
static void symbols_at_interrupt_level(void **)
{
	sim_config.release = 14;
	child_violates(release_symbol_in_interrupt, "OSSymbol::release called at interrupt");
	sim_config.release = 15;
	release_symbol_in_interrupt();
	sim_interrupt_end();
}

static void borrowed_text_of_a_symbol_is_kept(void **)
{
	char *text = strdup("text that goes away");
	const OSSymbol *symbol = OSSymbol::withCStringNoCopy(text);

	assert_ptr_equal(symbol->getCStringNoCopy(), text);
	sim_strings_release(text, text + strlen(text));
	memset(text, 'x', strlen(text));
	free(text);
	assert_string_equal(symbol->getCStringNoCopy(), "text that goes away");
	symbol->release();
}

/* ---- data, numbers, true and false ---- */

static void data(void **)
{
	OSData *data = OSData::withCapacity(2);
	char own[4] = {1, 2, 3, 4};
	OSData *borrowed = OSData::withBytesNoCopy(own, sizeof(own));
	OSData *part;

	assert_null(data->getBytesNoCopy());
	assert_true(data->appendBytes("abc", 3));
	assert_true(data->appendByte('d', 40));
	assert_true(data->appendBytes(borrowed));
	assert_int_equal(data->getLength(), 47);
	assert_memory_equal(data->getBytesNoCopy(1, 3), "bcd", 3);
	assert_null(data->getBytesNoCopy(40, 8));
	assert_null(data->getBytesNoCopy(1, ~0u));
	assert_memory_equal(data->getBytesNoCopy(43, 4), own, 4);
	assert_false(borrowed->appendBytes("x", 1));
	part = OSData::withData(data, 0, 3);
	assert_true(part->isEqualTo("abc", 3));
	assert_true(part->isEqualTo("ab", 2));
	assert_false(part->isEqualTo(data));
	assert_null(OSData::withData(part, 2, 2));
	assert_string_equal(printed(borrowed), "<01020304>");
	data->release();
	part->release();
	borrowed->release();
}

static void numbers(void **)
{
	OSNumber *n = OSNumber::withNumber(0x1234567ULL, 16);
	OSNumber *m = OSNumber::withNumber("0x10", 64);

	assert_int_equal(n->unsigned64BitValue(), 0x4567);
	assert_int_equal(n->numberOfBytes(), 2);
	n->addValue(0xffff);
	assert_int_equal(n->unsigned32BitValue(), 0x4566);
	n->setValue(0x10010);
	assert_int_equal(n->unsigned8BitValue(), 0x10);
	assert_true(n->isEqualTo(m));
	assert_string_equal(printed(m), "0x10");
	n->release();
	m->release();
}

static void number_of_no_bits()
{
	OSNumber::withNumber(1ULL, 0);
}

static void true_and_false(void **)
{
	OSBoolean *yes = OSBoolean::withBoolean(true);

	assert_ptr_equal(yes, kOSBooleanTrue);
	assert_true(kOSBooleanTrue->isTrue() && kOSBooleanFalse->isFalse());
	assert_false(kOSBooleanTrue->isEqualTo(kOSBooleanFalse));
	for (int i = 0; i < 10; i++)
		yes->release();
	assert_true(kOSBooleanTrue->getValue());
	assert_string_equal(printed(yes), "Yes");
	child_violates(number_of_no_bits, "OSNumber of 0 bits");
}

/* ---- collections ---- */

static void dictionaries(void **)
{
	OSDictionary *d = OSDictionary::withCapacity(1), *same;
	OSNumber *n = OSNumber::withNumber(5ULL, 32);
	unsigned before = sim_objects();

	for (int i = 0; i < 40; i++) {
		char key[16];

		snprintf(key, sizeof(key), "key %d", i);
		assert_true(d->setObject(key, n));
	}
	assert_int_equal(d->getCount(), 40);
	assert_int_equal(n->getRetainCount(), 41);
	assert_true(d->setObject("key 3", kOSBooleanTrue));
	assert_int_equal(n->getRetainCount(), 40);
	assert_ptr_equal(d->getObject("key 3"), kOSBooleanTrue);
	assert_null(d->getObject("key 99"));
	assert_false(d->setObject("nothing", nullptr));
	same = OSDictionary::withDictionary(d);
	assert_true(d->isEqualTo(same));
	same->removeObject("key 7");
	assert_false(d->isEqualTo(same));
	assert_true(d->isEqualTo(same, OSArray::withCapacity(1)));
	assert_true(same->merge(d));
	assert_true(d->isEqualTo(static_cast<const OSMetaClassBase *>(same)));
	same->release();
	d->flushCollection();
	assert_int_equal(d->getCount(), 0);
	assert_int_equal(n->getRetainCount(), 1);
	assert_int_equal(sim_objects(), before + 1);
	d->release();
	n->release();
}

static void arrays(void **)
{
	OSArray *a = OSArray::withCapacity(0), *b;
	const OSSymbol *x = OSSymbol::withCString("x"), *y = OSSymbol::withCString("y");

	assert_true(a->setObject(x));
	assert_true(a->setObject(0, y));
	assert_true(a->setObject(1, kOSBooleanFalse));
	assert_false(a->setObject(4, y));
	assert_string_equal(printed(a), "(\"y\",No,\"x\")");
	b = OSArray::withArray(a);
	assert_true(a->isEqualTo(b));
	a->removeObject(1);
	a->replaceObject(1, y);
	assert_string_equal(printed(a), "(\"y\",\"y\")");
	assert_int_equal(b->getNextIndexOfObject(x, 0), 2);
	assert_int_equal(b->getNextIndexOfObject(x, 3), ~0u);
	assert_true(b->merge(a));
	assert_ptr_equal(b->getLastObject(), y);
	assert_int_equal(b->getCount(), 5);
	assert_null(b->getObject(5));
	a->release();
	b->release();
	assert_int_equal(x->getRetainCount(), 1);
	x->release();
	y->release();
}

static void sets(void **)
{
	OSSet *s = OSSet::withCapacity(1), *t;
	OSString *one = OSString::withCString("one");

	assert_true(s->setObject(one));
	assert_false(s->setObject(one));
	assert_true(s->setObject(kOSBooleanTrue));
	assert_int_equal(s->getCount(), 2);
	assert_true(s->containsObject(one));
	t = OSSet::withSet(s, 4);
	assert_true(s->isEqualTo(t));
	s->removeObject(one);
	assert_false(s->member(one));
	assert_true(s->merge(t));
	assert_int_equal(s->getCount(), 2);
	assert_string_equal(printed(t), "[\"one\",Yes]");
	s->release();
	t->release();
	one->release();
}

/* The order in which members came matters before 10.8. */
static void equal_sets(void **)
{
	OSSet *s = OSSet::withCapacity(2), *t = OSSet::withCapacity(2);

	s->setObject(kOSBooleanTrue);
	s->setObject(kOSBooleanFalse);
	t->setObject(kOSBooleanFalse);
	t->setObject(kOSBooleanTrue);
	sim_config.release = 7;
	assert_false(s->isEqualTo(t));
	sim_config.release = 8;
	assert_true(s->isEqualTo(t));
	t->removeObject(kOSBooleanTrue);
	assert_false(s->isEqualTo(t));
	s->release();
	t->release();
}

static void a_change_ends_an_iterator(void **)
{
	OSDictionary *d = OSDictionary::withCapacity(2);
	OSCollectionIterator *each = OSCollectionIterator::withCollection(d);
	unsigned n = 0;

	/* It begins only now: what was put in before is there. */
	d->setObject("a", kOSBooleanTrue);
	d->setObject("b", kOSBooleanTrue);
	while (OSDynamicCast(OSSymbol, each->getNextObject()))
		n++;
	assert_int_equal(n, 2);
	each->reset();
	assert_non_null(each->getNextObject());
	d->removeObject("b");
	assert_false(each->isValid());
	assert_null(each->getNextObject());
	each->reset();
	assert_true(each->isValid());
	assert_non_null(each->getNextObject());
	assert_null(each->getNextObject());
	d->release();
	each->release();
}

static void copies_go_deep(void **)
{
	OSDictionary *d = OSDictionary::withCapacity(2), *copy;
	OSArray *inner = OSArray::withCapacity(1);
	OSSet *set = OSSet::withCapacity(1);
	OSNumber *n = OSNumber::withNumber(255ULL, 8);
	unsigned before = sim_objects();

	inner->setObject(n);
	set->setObject(inner);
	d->setObject("inner", inner);
	d->setObject("set", set);
	copy = OSDynamicCast(OSDictionary, d->copyCollection());
	assert_non_null(copy);
	assert_true(copy != d && copy->getObject("inner") != inner);
	assert_ptr_equal(OSDynamicCast(OSArray, copy->getObject("inner"))->getObject(0), n);
	assert_ptr_equal(OSDynamicCast(OSSet, copy->getObject("set"))->getAnyObject(),
			 copy->getObject("inner"));
	assert_string_equal(printed(copy), "{\"inner\"=(0xff),\"set\"=[(0xff)]}");
	copy->release();
	assert_int_equal(sim_objects(), before + 2); /* the symbols */
	d->release();
	inner->release();
	set->release();
	n->release();
}

static void change_in_registry()
{
	OSDictionary *d = OSDictionary::withCapacity(1);
	OSArray *inner = OSArray::withCapacity(1);

	d->setObject("inner", inner);
	d->setOptions(OSCollection::kImmutable, OSCollection::kImmutable);
	inner->setObject(kOSBooleanTrue);
}

static void immutable_collections(void **)
{
	OSDictionary *d = OSDictionary::withCapacity(1);

	d->setObject("inner", kOSBooleanTrue);
	d->setOptions(OSCollection::kImmutable, OSCollection::kImmutable);
	d->release();
	child_violates(change_in_registry, "a property of a registry entry, is changed");
}

static void print_ball(FILE *out, const OSMetaClassBase *object)
{
	fprintf(out, "a %s", sim_class_name(object));
}

static void printing(void **)
{
	Ball *red = new RedBall;

	assert_string_equal(printed(red), "\"RedBall is not serializable\"");
	sim_print_class(OSTypeID(Ball), print_ball);
	assert_string_equal(printed(red), "a RedBall");
	assert_string_equal(printed(nullptr), "nothing");
	red->release();
}

static int enter_kernel(void **)
{
	sim_enter("the test");
	return 0;
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_are_counted),
		cmocka_unit_test(collections_references_are_told_apart),
		cmocka_unit_test(mistakes_with_references),
		cmocka_unit_test(references_at_interrupt_level),
		cmocka_unit_test(pegged_references_stay),
		cmocka_unit_test(references_from_many_threads),
		cmocka_unit_test(casts),
		cmocka_unit_test(classes_by_name),
		cmocka_unit_test(a_subclass_counts_once),
		cmocka_unit_test(classes_come_and_go),
		cmocka_unit_test(a_class_is_there_only_once),
		cmocka_unit_test(mistakes_with_classes),
		cmocka_unit_test(a_free_that_does_not_chain),
		cmocka_unit_test(strings),
		cmocka_unit_test(symbols_are_unique),
		cmocka_unit_test(symbols_at_interrupt_level),
		cmocka_unit_test(borrowed_text_of_a_symbol_is_kept),
		cmocka_unit_test(data),
		cmocka_unit_test(numbers),
		cmocka_unit_test(true_and_false),
		cmocka_unit_test(dictionaries),
		cmocka_unit_test(arrays),
		cmocka_unit_test(sets),
		cmocka_unit_test(equal_sets),
		cmocka_unit_test(a_change_ends_an_iterator),
		cmocka_unit_test(copies_go_deep),
		cmocka_unit_test(immutable_collections),
		cmocka_unit_test(printing),
	};

	return cmocka_run_group_tests(tests, enter_kernel, nullptr);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What a kext is made of: compiled for the kernel, linked and called by test_run.c. */
extern "C" {
int host_add(int a, int b);
extern int host_value;
int second_twice(int n);
extern int tentative[4];
extern int (*second_table[3])(int);
}

class Shape
{
      public:
	virtual int sides();
	virtual int scaled(int by);
	virtual ~Shape();
	int base;
};

struct Counter {
	Counter();
	~Counter();
	int value;
};

static Counter counter;
int destroyed;

Counter::Counter() : value(host_add(40, 2))
{
}

Counter::~Counter()
{
	destroyed = value;
}

int Shape::sides()
{
	return base;
}

int Shape::scaled(int by)
{
	return sides() * by;
}

Shape::~Shape()
{
}

static int (*volatile far_pointer)(int, int) = host_add;
static const char *const words[] = {"zero", "one", "two", "three"};

extern "C" {

int first_constructed()
{
	return counter.value;
}

int first_virtual(Shape *shape, int by)
{
	return shape->scaled(by);
}

const char *first_word(int n)
{
	return words[n & 3];
}

int first_got()
{
	return host_value++;
}

int first_pointer(int a, int b)
{
	return far_pointer(a, b);
}

int first_table(int which, int n)
{
	return second_table[which](n);
}

int first_tentative(int n)
{
	tentative[n] += n;
	return tentative[n];
}

/* Dense enough for a jump table. */
int first_switch(int n)
{
	switch (n) {
	case 0:
		return host_add(n, 100);
	case 1:
		return second_twice(n);
	case 2:
		return 77;
	case 3:
		return host_value;
	case 4:
		return counter.value;
	case 5:
		return words[1][0];
	case 6:
		return -1;
	}
	return 0;
}
}

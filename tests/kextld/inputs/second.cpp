/* SPDX-License-Identifier: BSD-2-Clause */
/* The other object of test_run.c. */
extern "C" {
int host_add(int a, int b);
int second_twice(int n);
extern int tentative[4];
}

class Shape
{
      public:
	virtual int sides();
	virtual int scaled(int by);
	virtual ~Shape();
	int base;
};

/* Its key function is here, and with it the vtable. */
class Square : public Shape
{
      public:
	virtual int sides();
	virtual int scaled(int by);
};

int Square::sides()
{
	return 4;
}

int Square::scaled(int by)
{
	return Shape::scaled(by) + 1000;
}

void operator delete(void *)
{
}

static int thrice(int n)
{
	return 3 * n;
}

extern "C" {

static Square square;

Shape *second_square()
{
	return &square;
}

int second_twice(int n)
{
	return host_add(n, n);
}

static int hundred(int n)
{
	return n + 100 + tentative[3];
}

extern int (*second_table[3])(int);
int (*second_table[3])(int) = {second_twice, thrice, hundred};
}

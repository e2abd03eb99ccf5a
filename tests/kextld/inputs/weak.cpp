/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiled twice, as WHO a and b, without -fapple-kext: both define the same weak symbols. */
#define PASTE2(a, b) a##b
#define PASTE(a, b)  PASTE2(a, b)

extern "C" int host_add(int a, int b);

struct Weak {
	virtual int answer()
	{
		return host_add(41, 1);
	}
	static int &shared()
	{
		static int value = 5;
		return value;
	}
};

extern "C" Weak *PASTE(weak_object_, WHO)()
{
	static Weak weak;
	return &weak;
}

extern "C" int *PASTE(weak_shared_, WHO)()
{
	return &Weak::shared();
}

extern "C" int PASTE(weak_answer_, WHO)(Weak *weak)
{
	return weak->answer();
}

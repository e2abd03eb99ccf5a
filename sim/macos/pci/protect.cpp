/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device memory of a kext, locked away: while a debugger is attached, nobody may touch a ring but
 * with the debugger lock. With the guard on (net/net.h), the pages of its buffers cannot be touched
 * between the last release of that lock and the next reserve; the fault is told by trap.cpp.
 */
#include <sys/mman.h>

#include "sim/macos/pci/pci.h"
#include "sim/macos/sim.h"

#define BUFFERS 64

struct buffer {
	void *volatile at; /* 0: free */
	size_t len;	   /* whole pages */
};
static struct buffer buffers[BUFFERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for taking and giving back a place */
static volatile bool locked;

void sim_dma_add(void *at, size_t len)
{
	pthread_mutex_lock(&lock);
	for (struct buffer &b : buffers) {
		if (b.at)
			continue;
		b.len = len;
		b.at = at;
		break;
	}
	pthread_mutex_unlock(&lock);
}

void sim_dma_remove(void *at)
{
	pthread_mutex_lock(&lock);
	for (struct buffer &b : buffers) {
		if (b.at != at)
			continue;
		b.at = nullptr;
		mprotect(at, b.len, PROT_READ | PROT_WRITE);
	}
	pthread_mutex_unlock(&lock);
}

/* At debugger level too: no lock. Buffers come and go only while nothing is guarded. */
void sim_dma_protect(bool out)
{
	for (struct buffer &b : buffers) {
		if (b.at)
			mprotect(b.at, b.len, out ? PROT_NONE : PROT_READ | PROT_WRITE);
	}
	locked = out;
}

bool sim_dma_guarded(const void *at)
{
	const char *p = static_cast<const char *>(at);

	for (struct buffer &b : buffers) {
		const char *from = static_cast<const char *>(b.at);

		if (from && p >= from && static_cast<size_t>(p - from) < b.len)
			return true;
	}
	return false;
}

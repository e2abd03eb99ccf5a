/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/lane/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- memory ---- */

static off_t place(unsigned which)
{
	return (off_t)which * (LANE_HEAD + LANE_SIZE);
}

int lane_memory(unsigned n)
{
	int fd = memfd_create("vmnet-lane", MFD_CLOEXEC | MFD_ALLOW_SEALING), error;

	if (fd < 0)
		return -1;
	if (!ftruncate(fd, place(n)) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

bool lane_map(struct lane *l, int memory, unsigned which, int bell)
{
	const int rw = PROT_READ | PROT_WRITE;
	uint8_t *base = mmap(NULL, LANE_HEAD + 2 * (size_t)LANE_SIZE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*l = (struct lane){.bell = bell};
	if (base == MAP_FAILED)
		return false;
	l->shared = (void *)base;
	l->data = base + LANE_HEAD;
	if (mmap(base, LANE_HEAD + LANE_SIZE, rw, MAP_SHARED | MAP_FIXED, memory, place(which)) ==
		    MAP_FAILED ||
	    mmap(l->data + LANE_SIZE, LANE_SIZE, rw, MAP_SHARED | MAP_FIXED, memory,
		 place(which) + LANE_HEAD) == MAP_FAILED) {
		int error = errno;

		lane_unmap(l);
		errno = error;
		return false;
	}
	return true;
}

void lane_unmap(struct lane *l)
{
	if (l->shared)
		munmap(l->shared, LANE_HEAD + 2 * (size_t)LANE_SIZE);
	l->shared = NULL;
	l->data = NULL;
}

/* ---- bells ---- */

int lane_bell(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void lane_ring(int bell)
{
	const uint64_t one = 1;

	/* One that does not take it has been rung so often that it is heard in any case. */
	if (write(bell, &one, sizeof(one)) < 0)
		return;
}

void lane_heard(int bell)
{
	uint64_t count;

	if (read(bell, &count, sizeof(count)) < 0)
		return;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the registry and services are inside: shared by the files here and by loop/.
 *
 * Theory of operation. One mutex guards the shape of the registry, the state of every service, the
 * notifications, and the queues of matching and termination; one condition variable tells that any
 * of it changed. No function of a driver is called with the mutex held. A service's arbitration
 * lock is what the kernel's is: a recursive lock built on that mutex, held across handleOpen() and
 * handleClose(). Properties have a recursive mutex of their own.
 *
 * On 64 bits the kernel's own methods of matching and termination are not in the declared class, so
 * they are functions here; sim_service_of() gives them the service's private part.
 */
#ifndef SIM_MACOS_IOKIT_SERVICE_SIM_H
#define SIM_MACOS_IOKIT_SERVICE_SIM_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "guest/ports/xnu/kpi/kernel.h"
#include "guest/ports/xnu/kpi/service.h"
#include "sim/macos/iokit/interrupts.h"
#include "sim/macos/sim.h"

/* A growing array. It frees only itself: what it holds belongs to whoever put it in. */
template <class T> struct sim_list {
	T *at;
	unsigned n, max;

	void insert(unsigned where, T what)
	{
		if (n == max) {
			max = max ? 2 * max : 4;
			at = static_cast<T *>(realloc(static_cast<void *>(at), max * sizeof(T)));
			if (!at)
				abort();
		}
		memmove(static_cast<void *>(at + where + 1), static_cast<void *>(at + where),
			(n - where) * sizeof(T));
		at[where] = what;
		n++;
	}
	void add(T what)
	{
		insert(n, what);
	}
	void remove(unsigned where)
	{
		n--;
		memmove(static_cast<void *>(at + where), static_cast<void *>(at + where + 1),
			(n - where) * sizeof(T));
	}
	/* The number of elements if it is not there. */
	unsigned find(T what) const
	{
		unsigned i = 0;

		while (i < n && at[i] != what)
			i++;
		return i;
	}
	bool has(T what) const
	{
		return find(what) < n;
	}
	void clear()
	{
		::free(static_cast<void *>(at));
		at = nullptr;
		n = max = 0;
	}
};

/* ---- the mutex ---- */

extern pthread_mutex_t sim_iokit_mutex;

/* Holds it for a scope. At debugger level all is still, and no lock may be taken. */
class sim_iokit_hold
{
	bool held;

public:
	sim_iokit_hold();
	~sim_iokit_hold();
	sim_iokit_hold(const sim_iokit_hold &) = delete;
	void operator=(const sim_iokit_hold &) = delete;
};

void sim_iokit_changed(void);	  /* wakes all who wait; the mutex is held */
uint64_t sim_iokit_changes(void); /* how often that was */
/* Wait for a change; false once `deadline` (of sim_iokit_deadline) has passed. Mutex held. */
bool sim_iokit_wait(uint64_t deadline);
uint64_t sim_iokit_deadline(uint64_t ns_from_now);

/* A short nap, sometimes, where a kernel's thread may be late. */
void sim_iokit_dawdle(void);

/* What no service of a Mac that works waits for. */
#define SIM_FOREVER_NS (60ULL * 1000000000)

/* Where a class is from: the vtable of a kext's class lies in the kext's image. */
static inline const void *sim_class_code(const OSObject *object)
{
	return *reinterpret_cast<const void *const *>(object);
}

/* ---- the registry ---- */

#define SIM_PLANES 4

class IORegistryPlane : public OSObject
{
	OSDeclareDefaultStructors(IORegistryPlane);

public:
	const OSSymbol *name;
	unsigned index;

	void free() override;
};

struct sim_links {
	sim_list<IORegistryEntry *> parents, children;
	const OSSymbol *name, *location;
};

struct IORegistryEntry::ExpansionData {
	UInt64 id;
	const OSSymbol *name, *location;
	struct sim_links plane[SIM_PLANES];
};

struct sim_entry_access : IORegistryEntry {
	typedef ExpansionData data;
	static data *of(const IORegistryEntry *entry)
	{
		return entry->*(&sim_entry_access::reserved);
	}
};
typedef sim_entry_access::data sim_entry;

/* 0 before init(). */
static inline sim_entry *sim_entry_of(const IORegistryEntry *entry)
{
	return sim_entry_access::of(entry);
}

static inline unsigned sim_plane_index(const IORegistryPlane *plane)
{
	return plane->index;
}

/* Links of an entry in the service plane; the mutex is held. */
static inline struct sim_links *sim_service_links(const IORegistryEntry *entry)
{
	return &sim_entry_of(entry)->plane[gIOServicePlane->index];
}

/* Made and broken with the mutex held; true if it is there now, or was. */
bool sim_registry_link(IORegistryEntry *parent, IORegistryEntry *child, unsigned plane);
bool sim_registry_unlink(IORegistryEntry *parent, IORegistryEntry *child, unsigned plane);
/* After sim_registry_unlink(), without the mutex: the references that the link had. */
void sim_registry_unlinked(IORegistryEntry *parent, IORegistryEntry *child);
/* An array of retained entries: copies under the mutex, for who calls out. */
OSArray *sim_registry_copy(const sim_list<IORegistryEntry *> *list);
void sim_registry_boot(void);
void sim_registry_halt(void);

/* ---- services ---- */

class sim_interest;

struct IOService::ExpansionData {
	unsigned state; /* kIOService...State, as getState() tells */
	unsigned busy;
	bool synchronous;    /* matched on the thread that registers it */
	bool need_config;    /* registered, and not looked at since */
	unsigned config;     /* rounds of matching that run: no phase 2 now */
	bool config_running; /* ... and looks at need_config before it ends */
	bool stalled;	     /* waits for a module */
	bool recursing;	     /* made inactive by its provider's termination */
	bool phase1, phase2, phase3, finalized;
	bool base_started, base_stopped; /* IOService::start(), stop() were reached */

	pthread_t arbiter; /* holds the arbitration lock arbitrations times */
	unsigned arbitrations;
	IOService *owner; /* of the default handleOpen() */

	sim_list<sim_interest *> interests;

	const struct sim_interrupt_ops *interrupts;
	void *interrupts_arg;
};

struct sim_service_access : IOService {
	typedef ExpansionData data;
	static data **of(const IOService *service)
	{
		return &(const_cast<IOService *>(service)->*(&sim_service_access::reserved));
	}
};
typedef sim_service_access::data sim_service;

/* A violation naming `what` if the service was not initialised. */
sim_service *sim_service_of(const IOService *service, const char *what);
static inline sim_service *sim_service_of(const IOService *service)
{
	return sim_service_of(service, "anything");
}

/* "VirtioNetController 0x10000012", in a few buffers that take turns. */
const char *sim_service_name(const IOService *service);

/*
 * The busy count, with what follows from it for the providers. Mutex held; `told` collects services
 * (retained) that became busy or quiet, for sim_busy_tell() without the mutex.
 */
struct sim_busy_change {
	IOService *service;
	bool busy;
};
void sim_busy_adjust(IOService *service, int delta, sim_list<sim_busy_change> *told);
void sim_busy_tell(sim_list<sim_busy_change> *told);

/* ---- matching ---- */

enum { SIM_MATCH_CHANGES = 1 }; /* the table is a copy, and takes the score and matched name */
bool sim_match_passive(IOService *service, OSDictionary *table, unsigned options);
void sim_match_start(IOService *service, IOOptionBits options);
/* Retained services in any of these states; 0: all there are, inactive ones too. */
void sim_match_snapshot(unsigned states, sim_list<IOService *> *out);
/* Those that match; only the first if `one`. */
void sim_match_existing(OSDictionary *table, unsigned states, bool one, sim_list<IOService *> *out);
/* A number that changes with the catalogue, and the personalities for a service, best first. */
unsigned sim_catalogue_find(IOService *service, sim_list<OSDictionary *> *out);
unsigned sim_catalogue_generation(void);
void sim_catalogue_halt(void);
SInt32 sim_probe_score(const OSObject *dictionary_or_service);
void sim_match_halt(void);
bool sim_match_idle(void); /* mutex held */

/* ---- notifications ---- */

/*
 * Those of a type that the service matches, retained, lowest rank last. The service's state gets
 * `set`. Mutex not held.
 */
void sim_notify_collect(IOService *service, const OSSymbol *type, unsigned set,
			sim_list<IONotifier *> *out);
void sim_notify_call(IONotifier *notifier, IOService *service);
void sim_notify_call_all(IOService *service, sim_list<IONotifier *> *list);
SInt32 sim_notify_priority(IONotifier *notifier);
void sim_notify_halt(void);
void sim_interest_drop_all(IOService *service);
/* General interest: clients in the service plane, then those registered; all but `except`. */
IOReturn sim_message_interested(IOService *service, UInt32 type, void *argument, vm_size_t size,
				const OSObject *except);
void sim_interest_call(IOService *service, const OSSymbol *type, UInt32 message, void *argument,
		       vm_size_t size, IOReturn *result);

/* ---- termination ---- */

bool sim_terminate(IOService *service, IOOptionBits options);
/* Queue what is due, and see that somebody does it. Mutex not held. */
void sim_terminate_phase2(IOService *service, IOOptionBits options);
void sim_terminate_stop(IOService *client, IOService *provider);
void sim_terminate_finalize(IOService *service);
/* In the provider's gate, if it has one. */
void sim_stop_and_detach(IOService *client, IOService *provider);
bool sim_terminate_idle(void); /* mutex held */
void sim_terminate_halt(void);
extern unsigned sim_terminate_limit_ms; /* of a synchronous one */

/* ---- symbols ---- */

extern const OSSymbol *sim_key_category, *sim_key_default_category, *sim_key_score;
extern IOService *sim_resources, *sim_platform;

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's own integer and handle types, and the result codes every interface returns.
 *
 * Theory of operation. A kext is bound to the kernel by C++ mangled names and by positions in
 * vtables, and both depend on how each type is spelled to the compiler: `unsigned long` and
 * `unsigned int` are different letters in a name even where they are the same size. The typedefs
 * here are therefore chosen letter for letter: UInt64 is always `unsigned long long` (which the
 * uint64_t of Linux is not), UInt32 is `unsigned long` on i386. A signature in these headers never
 * uses uint64_t. The same header, compiled for Linux, then gives the names the kext asks for.
 *
 * Everything declared is what 10.6 has; later releases have it too, in the same places.
 */
#ifndef KPI_TYPES_H
#define KPI_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- numbers ---- */

typedef unsigned char UInt8;
typedef unsigned short UInt16;
typedef unsigned long long UInt64;
typedef signed char SInt8;
typedef short SInt16;
typedef long long SInt64;
typedef unsigned int UInt;
typedef int boolean_t;
typedef int errno_t;
typedef int kern_return_t;
typedef unsigned int natural_t;
typedef char *caddr_t;

#ifdef __LP64__
typedef unsigned int UInt32;
typedef int SInt32;
typedef bool Boolean;
typedef unsigned long vm_offset_t;
typedef unsigned long vm_size_t;
#else
typedef unsigned long UInt32;
typedef long SInt32;
typedef unsigned char Boolean;
typedef unsigned int vm_offset_t;
typedef unsigned int vm_size_t;
#endif

typedef vm_offset_t vm_address_t;
typedef UInt64 mach_vm_address_t;
typedef UInt64 mach_vm_size_t;
typedef UInt64 addr64_t;
typedef unsigned int ppnum_t;

struct UnsignedWide {
	UInt32 lo;
	UInt32 hi;
};

/* Time in the kernel's own unit. On i386 a pair of words, by name and by how it is passed. */
#ifdef __LP64__
typedef UInt64 AbsoluteTime;
#else
typedef UnsignedWide AbsoluteTime;
#endif

struct mach_timespec {
	unsigned int tv_sec;
	int tv_nsec;
};
typedef struct mach_timespec mach_timespec_t;

enum {
	kNanosecondScale = 1,
	kMicrosecondScale = 1000,
	kMillisecondScale = 1000 * 1000,
	kSecondScale = 1000 * 1000 * 1000,
};

/* ---- handles: never looked into ---- */

struct task;
struct thread;
struct call_entry;
struct queue_entry;
struct _vm_map;
struct _IOLock;
struct _IORecursiveLock;
struct _IOSimpleLock;
struct __ifnet;
struct __mbuf;

typedef struct task *task_t;
typedef struct thread *thread_t;
typedef struct thread *IOThread;
typedef struct call_entry *thread_call_t;
typedef struct _vm_map *vm_map_t;
typedef struct _IOLock IOLock;
typedef struct _IORecursiveLock IORecursiveLock;
typedef struct _IOSimpleLock IOSimpleLock;
typedef struct __ifnet *ifnet_t;
typedef struct __mbuf *mbuf_t;

struct queue_entry {
	struct queue_entry *next;
	struct queue_entry *prev;
};
typedef struct queue_entry queue_chain_t;

/* ---- the I/O Kit's words for them ---- */

typedef kern_return_t IOReturn;
typedef kern_return_t OSReturn;
typedef UInt32 IOOptionBits;
typedef UInt32 IOItemCount;
typedef UInt32 IOMediumType;

#ifdef __LP64__
typedef UInt64 IOByteCount;
typedef UInt64 IOVirtualAddress;
typedef UInt64 IOPhysicalAddress;
typedef UInt64 IOPhysicalLength;
typedef UInt32 IODirection;
enum {
	kIODirectionNone = 0,
	kIODirectionIn = 1,  /* device to memory */
	kIODirectionOut = 2, /* memory to device */
	kIODirectionInOut = 3,
};
#else
typedef UInt32 IOByteCount;
typedef vm_address_t IOVirtualAddress;
typedef UInt32 IOPhysicalAddress;
typedef UInt32 IOPhysicalLength;
enum IODirection {
	kIODirectionNone = 0,
	kIODirectionIn = 1,
	kIODirectionOut = 2,
	kIODirectionInOut = 3,
};
#endif

struct IOVirtualRange {
	IOVirtualAddress address;
	IOByteCount length;
};

struct IOPhysicalRange {
	IOPhysicalAddress address;
	IOByteCount length;
};

#ifdef __LP64__
typedef IOVirtualRange IOAddressRange;
#else
struct IOAddressRange {
	mach_vm_address_t address;
	mach_vm_size_t length;
};
#endif

/* ---- result codes: 0 is success, the rest share one prefix ---- */

#define KPI_IO_ERROR(code) ((IOReturn)(0xe0000000U | (code)))

#define KERN_SUCCESS		 0
#define KERN_FAILURE		 5
#define kIOReturnSuccess	 KERN_SUCCESS
#define kIOReturnInvalid	 KPI_IO_ERROR(0x001)
#define kIOReturnError		 KPI_IO_ERROR(0x2bc)
#define kIOReturnNoMemory	 KPI_IO_ERROR(0x2bd)
#define kIOReturnNoResources	 KPI_IO_ERROR(0x2be)
#define kIOReturnNoDevice	 KPI_IO_ERROR(0x2c0)
#define kIOReturnNotPrivileged	 KPI_IO_ERROR(0x2c1)
#define kIOReturnBadArgument	 KPI_IO_ERROR(0x2c2)
#define kIOReturnExclusiveAccess KPI_IO_ERROR(0x2c5)
#define kIOReturnUnsupported	 KPI_IO_ERROR(0x2c7)
#define kIOReturnVMError	 KPI_IO_ERROR(0x2c8)
#define kIOReturnInternalError	 KPI_IO_ERROR(0x2c9)
#define kIOReturnIOError	 KPI_IO_ERROR(0x2ca)
#define kIOReturnCannotLock	 KPI_IO_ERROR(0x2cc)
#define kIOReturnNotOpen	 KPI_IO_ERROR(0x2cd)
#define kIOReturnNotReadable	 KPI_IO_ERROR(0x2ce)
#define kIOReturnNotWritable	 KPI_IO_ERROR(0x2cf)
#define kIOReturnNotAligned	 KPI_IO_ERROR(0x2d0)
#define kIOReturnBadMedia	 KPI_IO_ERROR(0x2d1)
#define kIOReturnStillOpen	 KPI_IO_ERROR(0x2d2)
#define kIOReturnDMAError	 KPI_IO_ERROR(0x2d4)
#define kIOReturnBusy		 KPI_IO_ERROR(0x2d5)
#define kIOReturnTimeout	 KPI_IO_ERROR(0x2d6)
#define kIOReturnOffline	 KPI_IO_ERROR(0x2d7)
#define kIOReturnNotReady	 KPI_IO_ERROR(0x2d8)
#define kIOReturnNotAttached	 KPI_IO_ERROR(0x2d9)
#define kIOReturnNoSpace	 KPI_IO_ERROR(0x2db)
#define kIOReturnCannotWire	 KPI_IO_ERROR(0x2de)
#define kIOReturnNoInterrupt	 KPI_IO_ERROR(0x2df)
#define kIOReturnNoFrames	 KPI_IO_ERROR(0x2e0)
#define kIOReturnMessageTooLarge KPI_IO_ERROR(0x2e1)
#define kIOReturnNotPermitted	 KPI_IO_ERROR(0x2e2)
#define kIOReturnNoPower	 KPI_IO_ERROR(0x2e3)
#define kIOReturnNoMedia	 KPI_IO_ERROR(0x2e4)
#define kIOReturnUnderrun	 KPI_IO_ERROR(0x2e7)
#define kIOReturnOverrun	 KPI_IO_ERROR(0x2e8)
#define kIOReturnDeviceError	 KPI_IO_ERROR(0x2e9)
#define kIOReturnAborted	 KPI_IO_ERROR(0x2eb)
#define kIOReturnNotResponding	 KPI_IO_ERROR(0x2ed)
#define kIOReturnNotFound	 KPI_IO_ERROR(0x2f0)

/* ---- classes named before they are declared ---- */

class OSMetaClassBase;
class OSMetaClass;
class OSObject;
class OSString;
class OSSymbol;
class OSData;
class OSNumber;
class OSArray;
class OSSet;
class OSOrderedSet;
class OSCollection;
class OSDictionary;
class OSIterator;
class OSCollectionIterator;
class OSSerialize;
class IORegistryEntry;
class IORegistryPlane;
class IOService;
class IOServicePM;
class IOPowerConnection;
class IOPlatformExpert;
class IOUserClient;
class IONotifier;
class IOMapper;
class IOWorkLoop;
class IOEventSource;
class IOCommandGate;
class IOMemoryDescriptor;
class IOMemoryMap;
class IODeviceMemory;
class IOPCIBridge;
class IOInterruptController;
class IONetworkController;
class IONetworkInterface;
class IONetworkMedium;
class IONetworkData;
class IOOutputQueue;
class IOKernelDebugger;

#endif

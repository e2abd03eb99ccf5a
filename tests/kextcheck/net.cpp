/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kext that depends on the other: a network driver that does nothing. The test compiles it with
 * one of the macros below to get something wrong into it.
 */
#include "guest/ports/xnu/kpi/kernel.h"
#include "guest/ports/xnu/kpi/kmod.h"
#include "guest/ports/xnu/kpi/netcontroller.h"
#include "guest/ports/xnu/kpi/netinterface.h"
#include "tests/kextcheck/bus.h"

class CheckNic : public IOEthernetController
{
	OSDeclareDefaultStructors(CheckNic);

      public:
	bool start(IOService *provider) override;
	IOReturn getHardwareAddress(IOEthernetAddress *address) override;
	UInt32 outputPacket(mbuf_t packet, void *param) override;
	IOReturn setPowerState(unsigned long state, IOService *whom) override;
};

OSDefineMetaClassAndStructors(CheckNic, IOEthernetController);

class CheckChild : public CheckNub
{
	OSDeclareDefaultStructors(CheckChild);

      public:
	int answer() override;
};

OSDefineMetaClassAndStructors(CheckChild, CheckNub);

int CheckChild::answer()
{
	return CheckNub::answer() + 1;
}

#ifdef WRONG_MISSING
extern "C" void no_kernel_has_this(void);
#endif
#ifdef WRONG_LIBC
extern "C" int sprintf(char *, const char *, ...);
#endif
#ifdef WRONG_LATER
extern "C" int only_from_10_11(void);
#endif
#ifdef WRONG_FLOAT
volatile float check_float = 2;
#endif

#if defined(WRONG_STACK)
__attribute__((noinline)) static int check_stack(IOService *who)
{
	volatile char big[3000];

	for (unsigned i = 0; i < sizeof(big); i++)
		big[i] = who->isInactive();
	return big[17];
}
#endif

bool CheckNic::start(IOService *provider)
{
	static const int values[] = {1, 2, 3};

	if (!IOEthernetController::start(provider))
		return false;
#ifdef WRONG_MISSING
	no_kernel_has_this();
#endif
#ifdef WRONG_LIBC
	char text[8];

	sprintf(text, "%p", static_cast<void *>(provider));
	IOLog("%s", text);
#endif
#ifdef WRONG_LATER
	only_from_10_11();
#endif
#ifdef WRONG_GONE
	unsigned random;

	read_random(&random, sizeof(random));
	IOLog("%u", random);
#endif
#ifdef WRONG_FLOAT
	check_float = check_float * 3;
#endif
#ifdef WRONG_STACK
	return check_stack(provider);
#endif
	IOLog("%s\n", getName());
	return check_bus_sum(values, 3) == 6;
}

/* Leaves room behind the load commands for one more. */
#ifdef WRONG_ROOM
__attribute__((aligned(2048)))
#endif
IOReturn
CheckNic::getHardwareAddress(IOEthernetAddress *address)
{
	memset(address->bytes, 2, sizeof(address->bytes));
	return kIOReturnSuccess;
}

UInt32 CheckNic::outputPacket(mbuf_t packet, void *)
{
	freePacket(packet);
	return kIOReturnOutputSuccess;
}

IOReturn CheckNic::setPowerState(unsigned long, IOService *)
{
	return kIOPMAckImplied;
}

KPI_KMOD("org.viokit.CheckNet", "1.2.3")

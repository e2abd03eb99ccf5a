/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel debugger: called with interrupts off and all other CPUs parked, so only the driver's
 * polled mode, each call bounded. The family does not call while the debugger lock is held.
 */
#include "guest/ports/xnu/VirtioNet/VirtioNetController.h"

#define SEND_US	   5000u
#define RECEIVE_MS 100u	 /* it asks for 3 */
#define FRAME_MAX  1518u /* what its buffer has */

IOReturn VirtioNetController::enable(IOKernelDebugger *)
{
	IOReturn result = bringUp();

	_forDebugger = result == kIOReturnSuccess;
	return result;
}

IOReturn VirtioNetController::disable(IOKernelDebugger *)
{
	_forDebugger = false;
	if (!_forStack)
		bringDown();
	return kIOReturnSuccess;
}

void VirtioNetController::sendPacket(void *packet, UInt32 length)
{
	/* Lost packets are asked for again. */
	if (_net && vio_net_polled_send(_net, packet, length, SEND_US) != VIO_OK)
		return;
}

void VirtioNetController::receivePacket(void *packet, UInt32 *length, UInt32 timeout_ms)
{
	UInt32 ms = timeout_ms < RECEIVE_MS ? timeout_ms : RECEIVE_MS;
	size_t got = 0;

	*length = 0;
	if (_net && vio_net_polled_recv(_net, packet, FRAME_MAX, &got, ms * 1000) == VIO_OK)
		*length = static_cast<UInt32>(got);
}

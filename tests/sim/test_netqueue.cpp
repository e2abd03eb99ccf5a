/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output queues: capacity, stall and service, the shadow list, stop, the gate, and what a driver
 * must not do.
 */
#include "tests/sim/net_fixture.h"

#define SENDERS	   4
#define PER_SENDER 2000u

static IOBasicOutputQueue *queue()
{
	return static_cast<IOBasicOutputQueue *>(made->getOutputQueue());
}

static void send(unsigned n)
{
	while (n--)
		queue()->enqueue(frame(FRAME_LEN), nullptr);
}

static void test_queue(void **)
{
	works([] {
		DiaryController *c = start(false);
		mbuf_t chain = frame(FRAME_LEN);

		send(QUEUE_MAX + 3);
		CHECK(c->sent == 0 && queue()->getSize() == QUEUE_MAX);
		CHECK(queue()->getDropCount() == 3);
		CHECK(queue()->start() && c->sent == QUEUE_MAX);
		send(1);
		CHECK(c->sent == QUEUE_MAX + 1 && queue()->getOutputCount() == QUEUE_MAX + 1);
		CHECK(queue()->stop() && !queue()->stop());

		/* A chain is looked at as one, and counts as many. */
		send(QUEUE_MAX - 1);
		mbuf_setnextpkt(chain, frame(FRAME_LEN));
		queue()->enqueue(chain, nullptr);
		CHECK(queue()->getSize() == QUEUE_MAX + 1);
		CHECK(queue()->flush() == QUEUE_MAX + 1);
		CHECK(queue()->getDropCount() == QUEUE_MAX + 4);

		/* Dropped by the driver: sent, for the queue. */
		c->answer = kIOReturnOutputDropped;
		c->answers = 1;
		queue()->start();
		send(1);
		CHECK(queue()->getOutputCount() == QUEUE_MAX + 2);
	});
	works([] {
		IOBasicOutputQueue *q;

		start(false);
		q = IOBasicOutputQueue::withTarget(made);
		CHECK(q && q->getCapacity() == 0);
		q->start();
		q->enqueue(frame(FRAME_LEN), nullptr);
		CHECK(made->sent == 0 && q->getDropCount() == 1);
		q->release();
	});
}

static void test_stall(void **)
{
	works([] {
		DiaryController *c = start(false);

		queue()->start();
		c->answer = kIOReturnOutputStall;
		c->answers = 1;
		send(2);
		CHECK(c->sent == 0 && sim_queue_length(queue()) == 2);
		CHECK(queue()->getStallCount() == 1 && queue()->getRetryCount() == 1);
		CHECK(queue()->service() && c->sent == 2);
		CHECK(!queue()->service()); /* it was not stalled */

		/* A stall without a retry: the packet is taken. */
		c->answer = kIOOutputCommandStall;
		c->answers = 1;
		send(2);
		CHECK(c->sent == 3 && queue()->getSize() == 1);
		CHECK(queue()->service(IOBasicOutputQueue::kServiceAsync));
		CHECK(child_wait([=] { return c->sent == 4; }));
		queue()->stop(); /* waits for it */

		/* start() forgets the stall. */
		queue()->start();
		c->answer = kIOReturnOutputStall;
		c->answers = 1;
		send(1);
		CHECK(c->sent == 4);
		queue()->stop();
		queue()->start();
		CHECK(c->sent == 5);
	});
	/* service() while outputPacket() has not returned yet: the stall is over before it is. */
	works([] {
		DiaryController *c = start(false);

		queue()->start();
		c->answer = kIOReturnOutputStall;
		c->answers = 1;
		c->in_output = [](DiaryController *self, mbuf_t) {
			if (self->answers)
				CHECK(!queue()->service());
		};
		send(1);
		CHECK(c->sent == 1 && queue()->getStallCount() == 1);
	});
	/* What is sent meanwhile waits for the drainer, in order, and goes before it leaves. */
	works([] {
		DiaryController *c = start(false);

		queue()->start();
		c->in_output = [](DiaryController *self, mbuf_t) {
			if (self->sent == 0) {
				send(3);
				CHECK(self->sent == 0 && sim_queue_length(queue()) == 3);
			}
		};
		send(1);
		CHECK(c->sent == 4);
	});
}

static void test_queue_violations(void **)
{
	violates(
		[] {
			start(false)->in_output = [](DiaryController *, mbuf_t) {
				queue()->stop();
			};
			queue()->start();
			send(1);
		},
		"waits for itself");
	violates(
		[] {
			start(false)->answer = kIOOutputStatusRetry;
			made->answers = ~0U;
			queue()->start();
			send(1);
		},
		"a busy loop");
	violates(
		[] {
			start(false)->answer = kIOReturnOutputStall;
			made->answers = 1;
			made->in_output = [](DiaryController *, mbuf_t packet) {
				mbuf_adj(packet, 4);
			};
			queue()->start();
			send(1);
		},
		"that it has changed");
	violates(
		[] {
			start(false)->answer = 55;
			made->answers = 1;
			queue()->start();
			send(1);
		},
		"no output status");
	violates(
		[] {
			start(false)->in_output = [](DiaryController *self, mbuf_t) {
				self->reserve();
			};
			queue()->start();
			send(1);
		},
		"outputPacket() returned with the debugger lock");
	violates(
		[] {
			start(true);
			made->loop->runAction(
				[](OSObject *, void *, void *, void *, void *) {
					made->loop->disableAllEventSources();
					return kIOReturnSuccess;
				},
				made);
			queue()->start();
			send(1);
		},
		"drains for ever");
}

static void *sender(void *)
{
	sim_enter("sender");
	for (unsigned i = 0; i < PER_SENDER; i++) {
		while (sim_queue_length(queue()) >= QUEUE_MAX / 2)
			IOSleep(1);
		send(1);
	}
	sim_exit();
	return nullptr;
}

static void test_gated(void **)
{
	/* With the gate taken elsewhere the work loop drains, later. */
	works([] {
		DiaryController *c = start(true);

		queue()->start();
		send(1);
		CHECK(c->sent == 1);
		c->loop->runAction(
			[](OSObject *, void *, void *, void *, void *) {
				pthread_t other;

				pthread_create(
					&other, nullptr,
					[](void *) -> void * {
						sim_enter("sender");
						send(1);
						sim_exit();
						return nullptr;
					},
					nullptr);
				pthread_join(other, nullptr);
				CHECK(made->sent == 1 && sim_queue_length(queue()) == 1);
				CHECK(queue()->getState() & 0x100);
				return kIOReturnSuccess;
			},
			c);
		CHECK(child_wait([=] { return c->sent == 2; }));
	});
	/* Many senders, up and down in between: nothing is lost but what is counted. */
	works([] {
		DiaryController *c = start(true);
		pthread_t threads[SENDERS];

		queue()->start();
		for (pthread_t &t : threads)
			CHECK(pthread_create(&t, nullptr, sender, nullptr) == 0);
		for (unsigned i = 0; i < 50; i++) {
			c->executeCommand(
				c,
				[](void *, void *, void *, void *, void *) {
					queue()->stop();
					queue()->start();
					return kIOReturnSuccess;
				},
				c);
			IOSleep(1);
		}
		for (pthread_t t : threads)
			pthread_join(t, nullptr);
		CHECK(child_wait([] { return sim_queue_length(queue()) == 0; }));
		queue()->stop();
		CHECK(sim_queue_length(queue()) == 0);
		CHECK(c->sent + queue()->getDropCount() == SENDERS * PER_SENDER);
	});
}

/* The same with a gate that is said to be busy at random: the work loop takes over and over. */
static void test_refused(void **)
{
	works([] {
		pthread_t threads[SENDERS];

		sim_attempt_refusals = 30;
		start(true);
		queue()->start();
		for (pthread_t &t : threads)
			CHECK(pthread_create(&t, nullptr, sender, nullptr) == 0);
		for (pthread_t t : threads)
			pthread_join(t, nullptr);
		CHECK(child_wait([] { return sim_queue_length(queue()) == 0; }));
		queue()->stop();
		CHECK(made->sent + queue()->getDropCount() == SENDERS * PER_SENDER);
	});
}

static void test_stall_watch(void **)
{
	sim_stall_watch = true;
	works([] {
		start(false)->answer = kIOReturnOutputStall;
		made->answers = 1;
		queue()->start();
		send(2); /* not yet */
	});
	sim_stall_watch = false;
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue),	    cmocka_unit_test(test_stall),
		cmocka_unit_test(test_gated),	    cmocka_unit_test(test_refused),
		cmocka_unit_test(test_stall_watch), cmocka_unit_test(test_queue_violations),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}

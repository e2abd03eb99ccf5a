/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/stack/stack.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK_US	  100000u
#define DHCP_RETRY_US	  500000u /* first; doubled each time */
#define DHCP_RETRY_MAX_US 4000000u

uint64_t stack_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

void stack_lock(void)
{
	LOCK_TCPIP_CORE();
}

void stack_unlock(void)
{
	UNLOCK_TCPIP_CORE();
}

int stack_fail(struct stack *s, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(s->err, sizeof(s->err), fmt, ap);
	va_end(ap);
	return code;
}

/* ---- life ---- */

static pthread_once_t stack_once = PTHREAD_ONCE_INIT;

static void stack_init_done(void *arg)
{
	sys_sem_signal(arg);
}

static void stack_init_once(void)
{
	sigset_t all, old;
	sys_sem_t sem;

	if (sys_sem_new(&sem, 0) != ERR_OK)
		return;
	/* lwIP's thread inherits the mask: signals belong to ours */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	srand((unsigned)stack_now()); /* lwIP's port numbers */
	tcpip_init(stack_init_done, &sem);
	sys_sem_wait(&sem);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	sys_sem_free(&sem);
}

/* While a lease is wanted, DHCP's frames are looked at before IP has an address to accept them. */
bool stack_sees(struct stack *s, struct span frame)
{
	if (!s->dhcp_on || !dhcp_input(&s->dhcp, frame))
		return false;
	s->dhcp_news = true;
	return true;
}

static bool stack_tap(void *arg, struct span frame)
{
	return stack_sees(arg, frame);
}

static void stack_event(void *arg, const struct vio_net_link *link, const char *why)
{
	struct stack *s = arg;

	if (s->p.event)
		s->p.event(s->p.arg, link, why);
}

static const char *stack_vio_err(int err)
{
	switch (err) {
	case VIO_ENOMEM:
		return "out of memory";
	case VIO_ENODEV:
		return "the device is gone";
	case VIO_ENOTSUP:
		return "the device did not accept the features we need";
	case VIO_ETIMEDOUT:
		return "the device did not answer in time";
	case VIO_EBROKEN:
		return "the device broke the protocol";
	case VIO_EINVAL:
		return "invalid parameters";
	default:
		return "the device failed";
	}
}

static int stack_vio_fail(struct stack *s, int err, const char *what, const char *why)
{
	return stack_fail(s, err, "%s: %s%s%s", what, stack_vio_err(err), why ? ": " : "",
			  why ? why : "");
}

void stack_init(void)
{
	pthread_once(&stack_once, stack_init_once);
}

void stack_create_on(struct stack *s, const struct stack_params *params,
		     const struct stack_nic_ops *ops, void *nic)
{
	*s = (struct stack){.p = *params, .ops = ops, .nic = nic};
}

int stack_create(struct stack *s, const struct stack_params *params)
{
	int err;

	*s = (struct stack){.p = *params};
	s->p.netif.tap = stack_tap;
	s->p.netif.event = stack_event;
	s->p.netif.arg = s;
	stack_init();

	stack_lock();
	err = netif_vio_create(&s->nv, &s->p.netif);
	stack_unlock();
	if (err != VIO_OK)
		return stack_vio_fail(s, err, "driver start-up", params->netif.transport->why);
	s->vio = (struct nic_vio){.nv = s->nv, .irq = params->irq};
	s->ops = &nic_vio_ops;
	s->nic = &s->vio;
	return VIO_OK;
}

unsigned stack_destroy(struct stack *s)
{
	unsigned lost = 0;

	if (s->ops) {
		stack_lock();
		lost = s->ops->destroy(s->nic);
		stack_unlock();
	}
	s->ops = NULL;
	s->nv = NULL;
	return lost;
}

int stack_start(struct stack *s)
{
	int err;

	stack_lock();
	err = s->ops->start(s->nic);
	stack_unlock();
	if (err != VIO_OK)
		return stack_vio_fail(s, err, "device start", s->ops->why(s->nic));
	return VIO_OK;
}

unsigned stack_stop(struct stack *s)
{
	unsigned out;

	stack_lock();
	out = s->ops->stop(s->nic);
	stack_unlock();
	return out;
}

/* ---- the loop ---- */

static int stack_mend(struct stack *s)
{
	int err = s->ops->mend(s->nic);

	if (err == VIO_OK)
		return STACK_OK;
	s->fatal = STACK_DEAD;
	(void)stack_vio_fail(s, err, "device recovery", s->ops->why(s->nic));
	return STACK_DEAD;
}

/* Rare things, by the clock. */
static int stack_housekeeping(struct stack *s, uint64_t now)
{
	if (now >= s->next_check) {
		s->next_check = now + CHECK_US;
		if (s->p.alive && !s->p.alive(s->p.arg)) {
			s->fatal = STACK_DEAD;
			return stack_fail(s, STACK_DEAD, "the machine ended while in use");
		}
	}
	s->ops->tick(s->nic, now);
	return STACK_OK;
}

int stack_run(struct stack *s, bool (*done)(void *arg), void *arg, uint64_t deadline)
{
	for (;;) {
		bool more, finished;
		uint64_t now;
		int err;

		if (s->fatal)
			return s->fatal;
		if (s->p.stop && *s->p.stop)
			return stack_fail(s, STACK_STOPPED, "stopped by a signal");
		s->ops->poll(s->nic);

		now = stack_now();
		stack_lock();
		err = stack_housekeeping(s, now);
		more = s->ops->turn(s->nic);
		if (!err)
			err = stack_mend(s);
		finished = done && done(arg);
		if (finished) /* what the last callback sent */
			more |= s->ops->turn(s->nic);
		stack_unlock();
		s->turns++;

		if (err)
			return err;
		if (finished)
			return STACK_OK;
		if (now >= deadline)
			return stack_fail(s, STACK_TIMEOUT, "no answer in time");
		if (!more) {
			s->sleeps++;
			s->ops->wait(s->nic, STACK_NAP_US);
		}
	}
}

/* ---- configuration ---- */

static bool stack_link_is_up(void *arg)
{
	const struct stack *s = arg;

	return s->ops->link_up(s->nic);
}

int stack_wait_link(struct stack *s, uint64_t deadline)
{
	int err = stack_run(s, stack_link_is_up, s, deadline);

	if (err == STACK_TIMEOUT)
		return stack_fail(s, err, "the link did not come up");
	return err;
}

void stack_address(struct stack *s, const struct dhcp_lease *lease)
{
	ip4_addr_t addr, mask, gw;

	IP4_ADDR(&addr, lease->address[0], lease->address[1], lease->address[2], lease->address[3]);
	IP4_ADDR(&mask, lease->netmask[0], lease->netmask[1], lease->netmask[2], lease->netmask[3]);
	IP4_ADDR(&gw, lease->router[0], lease->router[1], lease->router[2], lease->router[3]);
	stack_lock();
	netif_set_addr(s->ops->netif(s->nic), &addr, &mask, &gw);
	stack_unlock();
}

static bool stack_dhcp_news(void *arg)
{
	return ((struct stack *)arg)->dhcp_news;
}

static int stack_dhcp_exchange(struct stack *s, uint64_t deadline)
{
	uint8_t frame[DHCP_FRAME_MAX];
	uint64_t retry = DHCP_RETRY_US;

	while (s->dhcp.state != DHCP_BOUND) {
		uint64_t until = stack_now() + retry;
		size_t len = dhcp_frame(&s->dhcp, frame);
		int err;

		s->dhcp_news = false;
		stack_lock();
		(void)s->ops->send(s->nic, frame, len); /* if there is no room: the next try */
		stack_unlock();
		err = stack_run(s, stack_dhcp_news, s, until < deadline ? until : deadline);
		if (err == STACK_OK) {
			retry = DHCP_RETRY_US;
			continue;
		}
		if (err != STACK_TIMEOUT)
			return err;
		if (stack_now() >= deadline)
			return stack_fail(s, err, "%s",
					  s->dhcp.state == DHCP_SELECTING
						  ? "no DHCP server answered"
						  : "the DHCP server did not confirm");
		if (retry < DHCP_RETRY_MAX_US)
			retry *= 2;
	}
	return STACK_OK;
}

int stack_dhcp(struct stack *s, uint64_t deadline, struct dhcp_lease *out)
{
	int err;

	dhcp_init(&s->dhcp, s->ops->mac(s->nic), (uint32_t)stack_now());
	s->dhcp_on = true;
	err = stack_dhcp_exchange(s, deadline);
	s->dhcp_on = false;
	if (err)
		return err;
	*out = s->dhcp.lease;
	stack_address(s, out);
	return STACK_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/viorun/driver.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct driver_core {
	struct stack_irq irq;
	bool made;
};

bool driver_fail(struct driver_env *env, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(env->err, sizeof(env->err), fmt, ap);
	va_end(ap);
	return false;
}

static void core_log(void *arg, enum vio_log_level level, const char *what, uint64_t value)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	struct driver_env *env = arg;

	report_break(env->rp);
	(void)fprintf(stderr, "driver: %s: %s (%#llx)\n", names[level], what,
		      (unsigned long long)value);
}

static uint64_t core_irq_poll(void *arg)
{
	return irq_poll(arg);
}

static uint64_t core_irq_wait(void *arg, uint32_t timeout_us)
{
	return irq_wait(arg, timeout_us);
}

static void core_event(void *arg, const struct vio_net_link *link, const char *why)
{
	struct driver_env *env = arg;

	if (why)
		report_line(env->rp, "device", "broke: %s", why);
	else if (!env->quiet)
		report_link(env->rp, link, false);
}

static bool core_alive(void *arg)
{
	struct driver_env *env = arg;

	return env->alive(env->arg);
}

/* Features the user asked for and the device does not have, or the driver did not take. */
static bool core_check_features(struct driver_env *env)
{
	const struct vio_net_info *info = &env->r->info;
	uint64_t missing = env->o->features_needed & ~info->features;
	unsigned bit = missing ? (unsigned)__builtin_ctzll(missing) : 0;
	char buf[OPTIONS_FEATURE_LEN];
	const char *name;

	if (!missing)
		return true;
	name = options_feature_name(bit, buf);
	env->user_error = true;
	if (!(info->offered >> bit & 1))
		return driver_fail(env, "--features: the device does not offer %s%s", name,
				   env->o->net == OPTIONS_USER && bit < VIRTIO_NET_F_MRG_RXBUF
					   ? "; with --net tap it may"
					   : "");
	return driver_fail(env, "--features: the driver does not use %s", name);
}

/* A transitional card has both interfaces: the driver must take the modern one. */
static bool core_check_transport(struct driver_env *env)
{
	const char *want = env->o->transport == OPTIONS_LEGACY ? "legacy" : "modern";

	if (strcmp(env->r->info.transport, want) == 0)
		return true;
	return driver_fail(env, "a %s card was driven through its %s interface, not %s",
			   options_transport_name(env->o->transport), env->r->info.transport, want);
}

static bool core_open(struct driver_env *env)
{
	struct driver_core *c = calloc(1, sizeof(*c));
	struct machine *m = env->m;
	struct stack_params p = {
		.netif =
			{
				.os = &m->os.os,
				.transport = &m->pci.t,
				.net =
					{
						.features_off = env->o->features_off,
						.queue_size = env->o->queue_size,
					},
				.pcap = env->pcap,
			},
		.stop = env->stop,
		.alive = core_alive,
		.event = core_event,
		.arg = env,
	};

	env->state = c;
	if (!c)
		return driver_fail(env, "out of memory");
	if (!machine_open(m, env->o))
		return driver_fail(env, "%s", m->err);
	if (env->o->verbose) {
		m->os.log = core_log;
		m->os.log_arg = env;
	}
	p.netif.net.irq_mode = m->irq_mode;
	c->irq = (struct stack_irq){core_irq_poll, core_irq_wait, &m->irq};
	if (m->irq_mode != VIO_IRQ_NONE)
		p.irq = &c->irq;
	if (stack_create(env->stack, &p) != VIO_OK)
		return driver_fail(env, "driver: %s", env->stack->err);
	c->made = true;
	env->r->info = *netif_vio_info(env->stack->nv);
	if (!core_check_features(env) || !core_check_transport(env))
		return false;
	report_driver(env->rp, env->r, m);
	return true;
}

static void core_link(struct driver_env *env, struct vio_net_link *out)
{
	vio_net_link_get(netif_vio_net(env->stack->nv), out);
}

static void core_stats(struct driver_env *env, bool fresh, struct vio_net_stats *out)
{
	(void)fresh; /* always */
	vio_net_stats(netif_vio_net(env->stack->nv), out);
}

static void core_close(struct driver_env *env)
{
	struct driver_core *c = env->state;

	if (c && c->made) {
		env->r->leak_buffers = stack_stop(env->stack);
		core_stats(env, true, &env->r->stats);
		env->r->netif = *netif_vio_stats(env->stack->nv);
		env->r->leak_buffers += stack_destroy(env->stack);
	}
	machine_close(env->m, &env->r->leaks);
	free(c);
	env->state = NULL;
}

const struct driver_ops driver_core_ops = {
	.name = "core",
	.open = core_open,
	.link = core_link,
	.stats = core_stats,
	.close = core_close,
};

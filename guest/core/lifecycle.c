/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a device: status, features, queues, interrupts (2.1, 2.2, 2.4, 3.1).
 *
 *            negotiate            ready
 *   DOWN ----------------> SETUP -------> RUNNING
 *    ^                       |               |  lies, NEEDS_RESET
 *    |        reset          v               v
 *    +---------------------- + <---------- BROKEN ---> DEAD
 *
 * `state` is what interrupt handlers look at: before RUNNING and after BROKEN they do nothing
 * (H-13). `status` is our copy of the device's register; bits are only ever added to it (ST-2),
 * reset alone clears it. A device that does not reset within a second, or breaks more than three
 * times a minute, is DEAD: its memory is never freed and it is not touched again (H-12, H-13).
 */
#include "vio/device.h"

#define RESET_POLL_US	50u
#define RECOVERY_WINDOW 60000000u /* us */

static void device_set_state(struct vio_device *dev, enum vio_state state)
{
	__atomic_store_n(&dev->state, (unsigned char)state, __ATOMIC_RELEASE);
}

static void device_log(const struct vio_device *dev, enum vio_log_level level, const char *what,
		       uint64_t value)
{
	dev->os->ops->log(dev->os->ctx, level, what, value);
}

void vio_device_init(struct vio_device *dev, const struct vio_os *os, struct vio_transport *t,
		     const struct vio_feature_need *needs, unsigned nneeds)
{
	*dev = (struct vio_device){.os = os, .t = t, .needs = needs, .nneeds = nneeds};
	device_set_state(dev, VIO_STATE_DOWN);
}

static void device_add_status(struct vio_device *dev, uint8_t bit)
{
	dev->status |= bit;
	dev->t->ops->status_write(dev->t, dev->status);
}

void vio_device_fail(struct vio_device *dev, const char *why)
{
	dev->why = why;
	device_set_state(dev, VIO_STATE_BROKEN);
	device_add_status(dev, VIRTIO_STATUS_FAILED); /* FB-6, IN-5 */
	device_log(dev, VIO_LOG_ERROR, why, dev->status);
}

void vio_device_break(struct vio_device *dev, const char *why)
{
	enum vio_state state = vio_device_state(dev);

	if (state == VIO_STATE_BROKEN || state == VIO_STATE_DEAD)
		return;
	vio_device_fail(dev, why); /* once per start: the log cannot be flooded (H-14) */
}

int vio_device_reset(struct vio_device *dev)
{
	const struct vio_os *os = dev->os;
	struct vio_transport *t = dev->t;
	uint64_t start = os->ops->time_us(os->ctx);
	/* The clock bounds the wait; the count does too, should the clock stand still (H-15). */
	unsigned polls = VIO_RESET_DEADLINE_US / RESET_POLL_US + 1;

	if (vio_device_state(dev) == VIO_STATE_DEAD)
		return VIO_ENODEV;
	device_set_state(dev, VIO_STATE_DOWN);
	dev->status = 0;
	t->ops->status_write(t, 0);
	while (t->ops->status_read(t) != 0) { /* RS-1, PM-5 */
		if (t->ops->gone(t)) {
			dev->why = "device is gone";
			device_set_state(dev, VIO_STATE_DEAD);
			return VIO_ENODEV;
		}
		if (--polls == 0 || os->ops->time_us(os->ctx) - start > VIO_RESET_DEADLINE_US) {
			dev->why = "device does not reset";
			dev->unsafe = true;
			device_set_state(dev, VIO_STATE_DEAD);
			device_log(dev, VIO_LOG_ERROR, dev->why, VIO_RESET_DEADLINE_US);
			return VIO_ETIMEDOUT;
		}
		os->ops->delay_us(os->ctx, RESET_POLL_US);
	}
	return VIO_OK;
}

/* FB-3: an offer no sane device makes. */
static bool device_offer_sane(const struct vio_device *dev)
{
	return dev->t->legacy || dev->offered & VIRTIO_BIT(VIRTIO_F_VERSION_1);
}

int vio_device_negotiate(struct vio_device *dev, uint64_t wanted, uint64_t required)
{
	struct vio_transport *t = dev->t;
	int err = vio_device_reset(dev);

	if (err)
		return err;
	/* IN-1, one bit at a time (ST-1). */
	device_set_state(dev, VIO_STATE_SETUP);
	device_add_status(dev, VIRTIO_STATUS_ACKNOWLEDGE);
	device_add_status(dev, VIRTIO_STATUS_DRIVER);

	dev->offered = t->ops->features_read(t);
	if (t->legacy)
		dev->offered &= UINT32_MAX;
	else
		wanted |= VIRTIO_BIT(VIRTIO_F_VERSION_1); /* RF-1 */
	if (!device_offer_sane(dev)) {
		vio_device_fail(dev, "modern device without VERSION_1");
		return VIO_ENOTSUP;
	}
	dev->accepted = vio_features_close(dev->offered & wanted, dev->needs, dev->nneeds);
	if ((dev->accepted & required) != required) {
		vio_device_fail(dev, "a required feature is not offered");
		return VIO_ENOTSUP;
	}
	t->ops->features_write(t, dev->accepted);
	if (t->legacy)
		return VIO_OK; /* LG-5 */

	device_add_status(dev, VIRTIO_STATUS_FEATURES_OK);
	if (!(t->ops->status_read(t) & VIRTIO_STATUS_FEATURES_OK)) { /* IN-4 */
		vio_device_fail(dev, "device refused the features");
		return VIO_ENOTSUP;
	}
	return VIO_OK;
}

/* The size a queue gets, from what the device says and we want. 0: no such queue. */
static int device_queue_size(struct vio_device *dev, uint16_t index, uint16_t limit, uint16_t *size)
{
	struct vio_transport *t = dev->t;
	uint16_t max = index < VIO_MAX_QUEUES ? t->ops->queue_size(t, index) : 0;

	if (max == 0)
		return VIO_ENODEV;
	/* H-9. A split queue is a power of two (PM-3); legacy has no say in it (LG-9). */
	if (max > VIRTIO_QUEUE_SIZE_MAX || (t->legacy && (max & (max - 1)))) {
		vio_device_break(dev, "queue size is impossible");
		return VIO_EBROKEN;
	}
	if (!t->legacy) {
		if (limit && max > limit)
			max = limit;
		while (max & (max - 1))
			max &= (uint16_t)(max - 1);
	}
	*size = max;
	return VIO_OK;
}

int vio_device_add_queue(struct vio_device *dev, const struct vio_ring_params *params,
			 struct vio_ring **out)
{
	struct vio_ring_params p = *params;
	int err;

	if (p.index >= VIO_MAX_QUEUES || dev->rings[p.index])
		return VIO_EINVAL;
	err = device_queue_size(dev, p.index, params->size, &p.size);
	if (err)
		return err;
	err = vio_ring_create(out, dev->os, dev->t, &p);
	if (err)
		return err;
	dev->rings[p.index] = *out;
	return VIO_OK;
}

/* The vector for a queue in the current mode. */
static uint16_t device_queue_vector(const struct vio_device *dev, const struct vio_ring *r)
{
	if (!vio_ring_polled(r) && dev->irq_mode == VIO_IRQ_MSIX_ONE)
		return 0;
	if (!vio_ring_polled(r) && dev->irq_mode == VIO_IRQ_MSIX_EACH)
		return (uint16_t)(1 + vio_ring_index(r));
	return VIRTIO_MSI_NO_VECTOR;
}

int vio_device_enable_queue(struct vio_device *dev, struct vio_ring *r)
{
	struct vio_transport *t = dev->t;
	struct vio_queue_layout layout;
	uint16_t size;
	int err;

	/* H-11: another size than at creation is another device. */
	err = device_queue_size(dev, vio_ring_index(r), vio_ring_size(r), &size);
	if (err == VIO_OK && size != vio_ring_size(r))
		err = VIO_EBROKEN;
	if (err) {
		vio_device_break(dev, "queue changed its size");
		return VIO_EBROKEN;
	}
	vio_ring_layout(r, &layout);
	err = t->ops->queue_enable(t, vio_ring_index(r), &layout, device_queue_vector(dev, r));
	if (err)
		vio_device_break(dev, t->why ? t->why : "queue was not taken");
	return err;
}

int vio_device_ready(struct vio_device *dev)
{
	struct vio_transport *t = dev->t;

	if (vio_device_state(dev) != VIO_STATE_SETUP)
		return VIO_EINVAL;
	if (dev->irq_mode == VIO_IRQ_MSIX_ONE || dev->irq_mode == VIO_IRQ_MSIX_EACH) {
		int err = t->ops->config_vector(t, 0);

		if (err) {
			vio_device_break(dev, "configuration vector was not taken");
			return err;
		}
	}
	/* State first: an interrupt may come the moment DRIVER_OK is seen. */
	device_set_state(dev, VIO_STATE_RUNNING);
	device_add_status(dev, VIRTIO_STATUS_DRIVER_OK);
	return VIO_OK;
}

void vio_device_drop_queues(struct vio_device *dev)
{
	for (unsigned q = 0; q < VIO_MAX_QUEUES; q++) {
		if (!dev->rings[q])
			continue;
		dev->quarantined += dev->unsafe; /* H-12 */
		vio_ring_destroy(dev->rings[q], dev->unsafe);
		dev->rings[q] = NULL;
	}
}

int vio_device_may_recover(struct vio_device *dev)
{
	uint64_t now = dev->os->ops->time_us(dev->os->ctx);
	uint64_t *oldest = &dev->recoveries[dev->recovery_count % VIO_RESETS_PER_MINUTE];

	if (vio_device_state(dev) == VIO_STATE_DEAD)
		return VIO_ENODEV;
	if (dev->recovery_count >= VIO_RESETS_PER_MINUTE && now - *oldest < RECOVERY_WINDOW) {
		/* Reset it first if it lets us: a device given up should not reach memory. */
		if (vio_device_reset(dev) == VIO_OK)
			dev->why = "broke too often";
		device_set_state(dev, VIO_STATE_DEAD);
		device_log(dev, VIO_LOG_ERROR, "device given up after recoveries",
			   dev->recovery_count);
		return VIO_ENODEV;
	}
	*oldest = now;
	dev->recovery_count++;
	return VIO_OK;
}

unsigned vio_device_isr(struct vio_device *dev, unsigned vector)
{
	unsigned events = 0;
	uint8_t isr;

	switch (dev->irq_mode) {
	case VIO_IRQ_NONE:
		break;
	case VIO_IRQ_INTX:
		isr = dev->t->ops->isr(dev->t); /* also while not running: the line must drop */
		if (isr == UINT8_MAX)
			break; /* off the bus */
		if (isr & VIO_ISR_QUEUE)
			events |= VIO_EVENT_QUEUE;
		if (isr & VIO_ISR_CONFIG)
			events |= VIO_EVENT_CONFIG;
		break;
	case VIO_IRQ_MSIX_ONE:
		events = VIO_EVENT_QUEUE | VIO_EVENT_CONFIG;
		break;
	case VIO_IRQ_MSIX_EACH:
		events = vector == 0 ? VIO_EVENT_CONFIG : VIO_EVENT_QUEUE;
		break;
	}
	return vio_device_state(dev) == VIO_STATE_RUNNING ? events : 0;
}

bool vio_device_needs_reset(struct vio_device *dev)
{
	uint8_t status;

	if (vio_device_state(dev) != VIO_STATE_RUNNING)
		return false;
	status = dev->t->ops->status_read(dev->t);
	return status & VIRTIO_STATUS_NEEDS_RESET || !(status & VIRTIO_STATUS_DRIVER_OK);
}

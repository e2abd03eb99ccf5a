/* SPDX-License-Identifier: BSD-2-Clause */
/* Kicks, slow and fast: a frame given to the transmit queue must come back used. */
#include "tests/user/cm.h"
#include "guest/ports/user/user_os.h"
#include "guest/ports/user/wait.h"
#include "tests/user/vnet.h"
#include "wire/virtio.h"

#define COMMON(field) offsetof(struct virtio_pci_common_cfg, field)
#define TX	      1u
#define WAIT_US	      2000000u

/* One split queue of the legacy layout, which suits both interfaces. */
struct txq {
	struct vio_dma ring, frame;
	uint16_t size, avail;
	uint64_t avail_off, used_off;
};

static void set_up_queue(struct vnet *v, struct user_os *u, struct txq *t)
{
	uint64_t off = 0;

	vnet_set(v, COMMON(queue_select), VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, TX);
	t->size = (uint16_t)vnet_get(v, COMMON(queue_size), VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2);
	assert_int_equal(t->size, 256);
	t->avail = 0;
	t->avail_off = 16u * t->size;
	t->used_off = (t->avail_off + 6 + 2u * t->size + 4095) & ~4095ull;
	assert_int_equal(u->os.ops->dma_alloc(u, t->used_off + 4096, 4096, 44, &t->ring), VIO_OK);
	assert_int_equal(u->os.ops->dma_alloc(u, 128, 64, 64, &t->frame), VIO_OK);
	if (v->legacy) {
		vnet_set(v, 0, VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, (uint32_t)(t->ring.da >> 12));
		return;
	}
	off = t->ring.da;
	vnet_set(v, COMMON(queue_desc_lo), 0, 4, (uint32_t)off);
	vnet_set(v, COMMON(queue_driver_lo), 0, 4, (uint32_t)(off + t->avail_off));
	vnet_set(v, COMMON(queue_device_lo), 0, 4, (uint32_t)(off + t->used_off));
	vnet_set(v, COMMON(queue_enable), 0, 2, 1);
}

static void kick(struct vnet *v)
{
	uint32_t off;

	if (v->legacy) {
		vnet_set(v, 0, VIRTIO_PCI_LEGACY_QUEUE_NOTIFY, 2, TX);
		return;
	}
	vnet_set(v, COMMON(queue_select), 0, 2, TX);
	off = vnet_get(v, COMMON(queue_notify_off), 0, 2) * v->f->notify_multiplier;
	qemu_pci_ops.write(v->f, v->f->notify.bar, v->f->notify.off + off, 2, TX);
}

static uint16_t load16(const uint8_t *p)
{
	return __atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_ACQUIRE);
}

static void store16(uint8_t *p, uint16_t val)
{
	__atomic_store_n((uint16_t *)(void *)p, val, __ATOMIC_RELEASE);
}

/* Offer descriptor 0, kick, wait for it to be used. */
static void send_one(struct vnet *v, struct txq *t)
{
	uint8_t *ring = t->ring.va;
	uint64_t deadline = wait_deadline_us(WAIT_US);
	const uint32_t len = 100;

	memcpy(ring, &t->frame.da, 8);
	memcpy(ring + 8, &len, 4);
	memset(ring + 12, 0, 4);
	store16(ring + t->avail_off + 4 + 2 * (t->avail % t->size), 0);
	t->avail++;
	store16(ring + t->avail_off + 2, t->avail);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	kick(v);
	while (load16(ring + t->used_off + 2) != t->avail && !wait_over(deadline))
		;
	assert_int_equal(load16(ring + t->used_off + 2), t->avail);
}

static void round_of(struct vnet *v, struct user_os *u)
{
	struct txq t;

	vnet_set_up(v);
	set_up_queue(v, u, &t);
	vnet_go(v);
	for (unsigned i = 0; i < 20; i++)
		send_one(v, &t);
	vnet_set_status(v, 0);
	assert_int_equal(vnet_status(v), 0);
	assert_int_equal(v->f->kick.n, 0);
	u->os.ops->dma_free(u, &t.ring);
	u->os.ops->dma_free(u, &t.frame);
}

static void kicks(const char *form)
{
	struct user_os u;
	struct vnet v;
	uint64_t fast;

	vnet_start(&v, vnet_form(form));
	assert_int_equal(user_os_init_qemu(&u, &v.q), VIO_OK);
	round_of(&v, &u);
	assert_int_equal(v.f->count.kicks, 20);
	assert_int_equal(v.f->count.fast_kicks, 0);

	qemu_pci_fast_kick(v.f, true);
	round_of(&v, &u);
	round_of(&v, &u);
	fast = v.f->count.fast_kicks;
	assert_int_equal(v.f->count.kicks, 60);
	/* All or none: it may not be permitted here. */
	assert_true(fast == 40 || fast == 0);
	if (!fast)
		print_message("%s: no fast kicks here\n", form);

	/* Without a process to take them from, kicks go the slow way. */
	pid_t pid = v.q.pid;

	v.q.pid = 0;
	round_of(&v, &u);
	assert_int_equal(v.f->count.fast_kicks, fast);
	v.q.pid = pid;

	/* Losing bus mastering stops QEMU listening. */
	vnet_set_up(&v);
	vnet_go(&v);
	assert_int_equal(v.f->kick.n, fast ? 3 : 0);
	qemu_pci_ops.cfg_write(v.f, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_equal(v.f->kick.n, 0);

	assert_int_equal(u.live_dma, 0);
	user_os_fini(&u);
	vnet_stop(&v);
}

static void test_modern(void **state)
{
	(void)state;
	kicks("pc modern");
	kicks("root port modern");
}

static void test_legacy(void **state)
{
	(void)state;
	kicks("q35 legacy");
	kicks("pc transitional as legacy");
}

/* Unplugged with eventfds in hand. */
static void test_gone(void **state)
{
	struct vnet v;

	(void)state;
	vnet_start(&v, vnet_form("root port modern"));
	qemu_pci_fast_kick(v.f, true);
	vnet_set_up(&v);
	vnet_go(&v);
	assert_int_equal(qemu_device_del(&v.q, "nic", 5000), VIO_OK);
	assert_int_equal(vnet_status(&v), 0xff);
	assert_int_equal(v.f->kick.n, 0);
	kick(&v);
	vnet_stop(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modern),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

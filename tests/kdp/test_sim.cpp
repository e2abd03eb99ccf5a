/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulation's debugger: real traps, registers and memory of this process. The network driver
 * is two functions over a UDP socket; the debugger is tools/kdp's client.
 */
#include "tests/kdp/cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "sim/macos/kdp/kdp.h"
#include "sim/macos/kdp/port.h"
#include "sim/macos/kdp/server.h"
#include "sim/macos/mac.h"
#include "sim/macos/sim.h"
extern "C" {
#include "tools/kdp/kdp_client.h"
}

static int udp = -1;
static uint16_t udp_port;
static volatile unsigned mode_on, mode_off;
static volatile unsigned link_state = 3;

/* ---- a driver ---- */

static void drv_send(void *packet, unsigned len)
{
	const uint8_t *frame = (const uint8_t *)packet;
	struct sockaddr_in to = {};

	if (kdp_debugger_lock > 0)
		return;
	to.sin_family = AF_INET;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memcpy(&to.sin_port, frame + 36, 2);
	(void)sendto(udp, frame + KDP_HEADERS, len - KDP_HEADERS, 0, (struct sockaddr *)&to,
		     sizeof(to));
}

static void drv_receive(void *packet, unsigned *len, unsigned timeout_ms)
{
	struct kdp_peer a = {{2, 0, 0, 0, 0, 2}, {127, 0, 0, 1}};
	struct pollfd p = {udp, POLLIN, 0};
	uint8_t *frame = (uint8_t *)packet;
	ssize_t n;

	*len = 0;
	if (kdp_debugger_lock > 0 || poll(&p, 1, (int)timeout_ms) <= 0)
		return;
	n = recv(udp, frame + KDP_HEADERS, KDP_FRAME_MAX - KDP_HEADERS, MSG_DONTWAIT);
	if (n >= 0)
		*len = kdp_frame_write(frame, (unsigned)n, &a, &a, be16_make(KDP_PORT), 0);
}

static unsigned drv_link(void)
{
	return link_state;
}

static bool drv_mode(bool on)
{
	(on ? mode_on : mode_off)++;
	return true;
}

static void boot(const char *boot_args, bool device)
{
	struct sockaddr_in here = {};
	socklen_t len = sizeof(here);

	sim_config.release = 9;
	sim_config.boot_args = boot_args;
	sim_config.quiet = true;
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	here.sin_family = AF_INET;
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(udp, (struct sockaddr *)&here, sizeof(here)) != 0 ||
	    getsockname(udp, (struct sockaddr *)&here, &len) != 0)
		abort();
	udp_port = ntohs(here.sin_port);
	sim_enter("test");
	sim_kdp_boot();
	if (device) {
		kdp_register_send_receive(drv_send, drv_receive);
		kdp_register_link(drv_link, drv_mode);
	}
	sim_exit();
}

/* ---- a program that is debugged, and a kext's worth of code ---- */

static volatile int work_done;
static volatile bool work_end;
static volatile uint64_t word = 0x1122334455667788;

__attribute__((noinline)) static int target(int n)
{
	__asm__ volatile("" : "+r"(n));
	return n + 1;
}

static void *worker(void *)
{
	sim_enter("worker");
	while (!work_end)
		work_done = target(work_done);
	sim_exit();
	return 0;
}

static int key_result;

static void *key(void *)
{
	key_result = mac_debugger("the key", 8000);
	return 0;
}

static void *panicking(void *)
{
	key_result = mac_panic("of the test", 8000);
	return 0;
}

#define must(x)                                                                                    \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                    \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static struct kdp_client *dial(void)
{
	struct kdp_client *c = kdp_client_new();

	must(c && kdp_client_open(c, "127.0.0.1", udp_port, 0) == 0);
	kdp_client_timeout(c, 700);
	return c;
}

/* Each test in a process of its own: one Mac per process. */
static int in_child(void (*run)(void))
{
	int status = 0;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(30);
		run();
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	return status;
}

static void no_debugger(void)
{
	boot("", true);
	must(mac_debugger("x", 100) == -ENODEV);
	must(mac_panic("x", 100) == -ENODEV);
	sim_panic_enter("x");
}

static void no_device(void)
{
	boot("debug=0x144", false);
	must(mac_debugger("x", 100) == -ENODEV);
}

static void no_key(void)
{
	boot("debug=0x140", true);
	must(mac_debugger("x", 100) == -ENODEV);
}

static void nobody_comes(void)
{
	boot("debug=0x144", true);
	must(mac_debugger("x", 200) == -ETIMEDOUT);
	must(!mac_stopped() && mode_on == 1 && mode_off == 1);
	link_state = 1;
	must(mac_debugger("x", 200) == -ETIMEDOUT);
	must(mac_panic("x", 200) == -ETIMEDOUT);
}

static void debugging(void)
{
	pthread_t thread, presser;
	struct kdp_client_exception e;
	struct kdp_client_info info;
	uint64_t regs[KDP_CLIENT_REGS], at = (uint64_t)(uintptr_t)target, got64 = 0;
	struct kdp_client *c;
	int before;
	size_t got;

	boot("debug=0x144 kdp_ip_addr=10.0.2.15", true);
	must(!pthread_create(&thread, 0, worker, 0) && !pthread_create(&presser, 0, key, 0));
	c = dial();
	while (!mac_stopped())
		(void)usleep(1000);
	must(kdp_client_connect(c) == 0 && kdp_client_get_info(c, &info) == 0);
	must(strstr(info.text, "Darwin Kernel Version") && strstr(info.text, "; UUID=") &&
	     strstr(info.text, "; stext=0x"));
	/* The world stands still. */
	before = work_done;
	(void)usleep(20000);
	must(before == work_done);
	must(kdp_client_get_regs(c, regs) == 0 && regs[KDP_CLIENT_RSP]);
	must(kdp_client_read(c, (uint64_t)(uintptr_t)&word, &got64, 8, &got) == 0);
	must(got64 == word);
	must(kdp_client_read(c, 16, &got64, 8, &got) == -EFAULT && got == 0);
	must(kdp_client_write(c, (uint64_t)(uintptr_t)&word, "abcdefgh", 8) == 0);
	must(!memcmp((const void *)&word, "abcdefgh", 8));

	/* A breakpoint in code, hit by the other thread. */
	must(kdp_client_break(c, at) == 0 && kdp_client_resume(c) == 0);
	must(kdp_client_wait(c, 5000, &e) == 1 && e.exception == 6 && e.code == 3);
	must(mac_stopped());
	must(kdp_client_get_regs(c, regs) == 0 && regs[KDP_CLIENT_RIP] == at + 1);
	must(regs[4] == (uint64_t)(unsigned)work_done); /* rdi: its argument */
	/* Over it with one step, and the register changed. */
	regs[KDP_CLIENT_RIP] = at;
	regs[4] = 1000000;
	must(kdp_client_clear(c, at) == 0 && kdp_client_set_regs(c, regs) == 0);
	must(kdp_client_step(c, 5000, &e) == 0);
	must(kdp_client_get_regs(c, regs) == 0 && regs[KDP_CLIENT_RIP] > at &&
	     regs[KDP_CLIENT_RIP] < at + 16 && !(regs[KDP_CLIENT_RFLAGS] & KDP_RFLAGS_TF));
	must(kdp_client_disconnect(c) == 0);
	(void)pthread_join(presser, 0);
	must(key_result == 0);
	(void)usleep(20000);
	must(work_done > 1000000);
	work_end = true;
	(void)pthread_join(thread, 0);
	kdp_client_free(c);
	sim_enter("test");
	kdp_unregister_send_receive(drv_send, drv_receive);
	kdp_unregister_link(drv_link, drv_mode);
	sim_kdp_halt();
	sim_exit();
}

static volatile bool put_off;

static void note(const char *line)
{
	if (strstr(line, "the debugger lock is held"))
		put_off = true;
}

/* The key while the debugger lock is held: the release enters, on the thread that releases. */
static void lock_puts_off(void)
{
	struct kdp_client *c;
	pthread_t presser;

	boot("debug=0x144", true);
	sim_log_hook = note;
	sim_enter("holder");
	kdp_debugger_lock = 1;
	must(!pthread_create(&presser, 0, key, 0));
	while (!put_off)
		(void)usleep(1000);
	must(!mac_stopped());
	if (!fork()) {
		c = dial();
		must(kdp_client_connect(c) == 0 && kdp_client_disconnect(c) == 0);
		_exit(0);
	}
	kdp_debugger_lock = 0;
	kdp_debugger_lock_released();
	must(mode_on == 1 && mode_off == 1);
	sim_exit();
	(void)pthread_join(presser, 0);
	must(key_result == 0);

	/* Not released in time. */
	kdp_debugger_lock = 1;
	must(mac_debugger("x", 100) == -ETIMEDOUT);
	kdp_debugger_lock = 0;
	kdp_debugger_lock_released();
	must(mode_on == 1);
}

static void panics(void)
{
	struct kdp_client *c;
	pthread_t thread;

	boot("debug=0x144", true);
	must(!pthread_create(&thread, 0, panicking, 0));
	c = dial();
	must(kdp_client_connect(c) == 0 && kdp_client_disconnect(c) == 0);
	must(mac_stopped());
	must(kdp_client_connect(c) == 0 && kdp_client_disconnect(c) == 0);
	(void)pthread_join(thread, 0);
	must(key_result == 0 && !mac_stopped());
	must(!pthread_create(&thread, 0, panicking, 0));
	(void)usleep(50000);
	must(kdp_client_reboot(c) == 0);
	(void)pthread_join(thread, 0);
	must(key_result == -ESHUTDOWN);
}

static void stray_trap(void)
{
	boot("", true);
	__asm__ volatile("int3");
}

#define TEST(name)                                                                                 \
	static void test_##name(void **)                                                           \
	{                                                                                          \
		assert_int_equal(in_child(name), 0);                                               \
	}
TEST(no_debugger)
TEST(no_device)
TEST(no_key)
TEST(nobody_comes)
TEST(debugging)
TEST(lock_puts_off)
TEST(panics)

static void test_stray_trap(void **)
{
	int status = in_child(stray_trap);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_debugger), cmocka_unit_test(test_no_device),
		cmocka_unit_test(test_no_key),	    cmocka_unit_test(test_nobody_comes),
		cmocka_unit_test(test_debugging),   cmocka_unit_test(test_lock_puts_off),
		cmocka_unit_test(test_panics),	    cmocka_unit_test(test_stray_trap),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}

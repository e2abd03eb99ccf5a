/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Switched off as soon as it is on, whatever the kernel was doing: nothing is left, and nothing is
 * done to a Mac that is off.
 */
#include "tests/sim/child.h"

#include <sys/prctl.h>

#include "guest/ports/xnu/kpi/service.h"

#define RAM_LEN	 (16u << 20)
#define ROUNDS	 60
#define SPINNERS 6

static void boot(int release, unsigned seed)
{
	struct mac_config config = child_mac(release, RAM_LEN);

	config.seed = seed;
	CHECK(mac_boot(&config) == 0);
}

static void halt_at_once()
{
	CHECK(mac_halt(stderr) == 0);
	CHECK(sim_threads() == 0);
}

/* A service is matched meanwhile, or is on its way out. */
static void leave_work_behind(bool terminated)
{
	IOService *nub = new IOService;

	sim_enter("the test");
	CHECK(nub->init(nullptr) && nub->attach(IOService::getServiceRoot()));
	nub->registerService();
	nub->terminate(terminated ? 0 : kIOServiceSynchronous);
	nub->release();
	sim_exit();
}

static void on_and_off(int round)
{
	int release = 6 + round % 10;

	child_works(
		[=] {
			boot(release, static_cast<unsigned>(round));
			if (round % 3)
				leave_work_behind(round % 3 == 2);
			halt_at_once();
		},
		child_release(release));
}

static void test_halt_at_once(void **)
{
	for (int i = 0; i < ROUNDS; i++)
		on_and_off(i);
}

/* More threads want to run than there are processors. */
static pid_t spinner(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(CHILD_LIMIT_S);
		for (volatile unsigned i = 0;; i = i + 1)
			;
	}
	return pid;
}

static void test_halt_under_load(void **)
{
	pid_t pids[SPINNERS];

	for (pid_t &pid : pids)
		pid = spinner();
	for (int i = 0; i < ROUNDS; i++)
		on_and_off(i);
	for (pid_t pid : pids) {
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, nullptr, 0), pid);
	}
}

int main()
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_halt_at_once),
		cmocka_unit_test(test_halt_under_load),
	};

	return cmocka_run_group_tests(tests, nullptr, nullptr);
}

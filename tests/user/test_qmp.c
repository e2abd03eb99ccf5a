/* SPDX-License-Identifier: BSD-2-Clause */
/* The QMP client against a scripted server. */
#define _GNU_SOURCE
#include "tests/user/cm.h"
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "guest/ports/user/qmp.h"
#include "guest/ports/user/wait.h"

#define GREETING   "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define NEGOTIATED "{\"return\": {}, \"id\": 0}\r\n"

struct fixture {
	struct qmp q;
	int server, client;
};

static int setup(void **state)
{
	struct fixture *x = calloc(1, sizeof(*x));
	int s[2];

	if (!x || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s))
		return -1;
	x->client = s[0];
	x->server = s[1];
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;

	qmp_close(&x->q);
	close(x->server);
	free(x);
	return 0;
}

static void say(struct fixture *x, const char *text)
{
	assert_int_equal(send(x->server, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void greet(struct fixture *x)
{
	say(x, GREETING NEGOTIATED);
	assert_int_equal(qmp_adopt(&x->q, x->client, 1000), VIO_OK);
}

static void test_execute(void **state)
{
	struct fixture *x = *state;
	char heard[512];
	ssize_t n;
	json_t *ret;

	greet(x);
	say(x, "{\"return\": {\"status\": \"running\"}, \"id\": 1}\r\n");
	assert_int_equal(qmp_execute(&x->q, "query-status", NULL, &ret), VIO_OK);
	assert_string_equal(json_string_value(json_object_get(ret, "status")), "running");
	json_decref(ret);
	say(x, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}, "
	       "\"id\": 2}\r\n");
	assert_int_equal(qmp_execute(&x->q, "set_link", json_pack("{s:s}", "name", "x"), &ret),
			 VIO_EDEV);
	assert_null(ret);
	assert_string_equal(x->q.err, "no such thing");
	n = recv(x->server, heard, sizeof(heard) - 1, 0);
	assert_true(n > 0);
	heard[n] = '\0';
	assert_string_equal(heard, "{\"execute\":\"qmp_capabilities\",\"id\":0}\n"
				   "{\"execute\":\"query-status\",\"id\":1}\n"
				   "{\"execute\":\"set_link\",\"id\":2,"
				   "\"arguments\":{\"name\":\"x\"}}\n");
}

static void test_events(void **state)
{
	struct fixture *x = *state;

	greet(x);
	say(x, "{\"event\": \"DEVICE_DELETED\", \"data\": {\"path\": \"/machine/nic\"}}\r\n"
	       "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"a\"}}\r\n"
	       "{\"return\": {}, \"id\": 1}\r\n"
	       "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"b\"}}\r\n");
	assert_int_equal(qmp_execute(&x->q, "device_del", NULL, NULL), VIO_OK);
	assert_int_equal(x->q.n_events, 2);
	assert_int_equal(qmp_wait_event(&x->q, "DEVICE_DELETED", "b", 500), VIO_OK);
	assert_int_equal(qmp_wait_event(&x->q, "DEVICE_DELETED", "a", 500), VIO_OK);
	assert_int_equal(qmp_wait_event(&x->q, "DEVICE_DELETED", "a", 20), VIO_ETIMEDOUT);
	assert_int_equal(qmp_wait_event(&x->q, "DEVICE_DELETED", NULL, 0), VIO_OK);
	assert_int_equal(x->q.n_events, 0);
	for (unsigned i = 0; i < QMP_MAX_EVENTS + 10; i++)
		say(x, "{\"event\": \"STOP\"}\r\n");
	assert_int_equal(qmp_wait_event(&x->q, "RESUME", NULL, 50), VIO_ETIMEDOUT);
	assert_int_equal(x->q.n_events, QMP_MAX_EVENTS);
	qmp_drop_events(&x->q);
	assert_int_equal(x->q.n_events, 0);
	assert_false(x->q.dead);
}

/* An answer that comes too late belongs to nobody. */
static void test_late(void **state)
{
	struct fixture *x = *state;
	uint64_t start = wait_now_us();
	json_t *ret;

	greet(x);
	x->q.timeout_ms = 30;
	assert_int_equal(qmp_execute(&x->q, "slow", NULL, NULL), VIO_ETIMEDOUT);
	assert_true(wait_now_us() - start < 1000000);
	say(x, "{\"return\": 1, \"id\": 1}\r\n{\"return\": 2, \"id\": 2}\r\n");
	assert_int_equal(qmp_execute(&x->q, "next", NULL, &ret), VIO_OK);
	assert_int_equal(json_integer_value(ret), 2);
	json_decref(ret);
}

static void test_strange(void **state)
{
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{"SSH-2.0-OpenSSH\r\n", VIO_EBROKEN},
		{"[1, 2]\r\n", VIO_EBROKEN},
		{"{\"return\": {}}\r\n", VIO_EBROKEN},
		{"\r\n", VIO_EBROKEN},
		{GREETING "{\"error\": {\"desc\": \"no\"}, \"id\": 0}\r\n", VIO_EDEV},
		{GREETING "{\"return\"\r\n", VIO_EBROKEN},
		{"{\"QMP\": ", VIO_ENODEV},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *x = *state;

		say(x, cases[i].text);
		shutdown(x->server, SHUT_WR);
		assert_int_equal(qmp_adopt(&x->q, x->client, 500), cases[i].err);
		assert_true(x->q.dead);
		assert_int_not_equal(x->q.err[0], 0);
		assert_int_equal(qmp_execute(&x->q, "quit", json_object(), NULL), VIO_ENODEV);
		assert_int_equal(qmp_wait_event(&x->q, "STOP", NULL, 1000), VIO_ENODEV);
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

static void test_large(void **state)
{
	struct fixture *x = *state;
	const size_t len = 100000;
	char *text = malloc(len + 1);
	json_t *ret;

	assert_non_null(text);
	greet(x);
	memset(text, 'x', len);
	text[len] = '\0';
	say(x, "{\"id\": 1, \"return\": \"");
	say(x, text);
	say(x, "\"}\r\n");
	assert_int_equal(qmp_execute(&x->q, "query-much", NULL, &ret), VIO_OK);
	assert_int_equal(json_string_length(ret), len);
	json_decref(ret);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_execute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strange, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

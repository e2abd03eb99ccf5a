/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/cli/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ETHERNET_MTU	1500u
#define QEMU_STREAM	70200u /* the version that brought -netdev stream and dgram */
#define VERSION_WAIT_MS 5000
#define IDS_MAX		1000u

static bool wrong(struct vmnet_error *err, const char *text)
{
	err->fault = VMNET_USER;
	err->lost = false;
	snprintf(err->text, sizeof(err->text), "%s", text);
	return false;
}

/* ---- finding ---- */

static bool can_run(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *vmm_find(const char *program)
{
	const char *path = getenv("PATH"), *end;
	char candidate[4096];

	if (strchr(program, '/'))
		return can_run(program) ? strdup(program) : NULL;
	for (path = path && *path ? path : "/usr/local/bin:/usr/bin:/bin"; *path;
	     path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)(end - path), path,
			 end > path ? "/" : "", program);
		if (can_run(candidate))
			return strdup(candidate);
	}
	return NULL;
}

static enum vmm_type type_of(const char *program)
{
	const char *base = strrchr(program, '/');

	base = base ? base + 1 : program;
	if (!strncmp(base, "qemu-system-", 12) || !strcmp(base, "qemu-kvm") || !strcmp(base, "kvm"))
		return VMM_QEMU;
	if (!strcmp(base, "krunkit"))
		return VMM_KRUNKIT;
	if (!strcmp(base, "vfkit"))
		return VMM_VFKIT;
	return VMM_OTHER;
}

/* ---- reading QEMU's options ---- */

/* The value of option `name` at arg: -name V or --name V; NULL: this is another one. */
static const char *value_at(char *const *arg, const char *name)
{
	const char *text = arg[0];

	if (*text != '-')
		return NULL;
	text += text[1] == '-' ? 2 : 1;
	return !strcmp(text, name) ? arg[1] : NULL;
}

/*
 * A key of a value like "type,key=value,...", or its JSON form, into out; key NULL: the type, which
 * comes first or is called by the name `implied`. False: it is not there.
 */
static bool value_key(const char *value, const char *key, const char *implied, char *out,
		      size_t size)
{
	const char *name = key ? key : implied, *end;
	size_t len = name ? strlen(name) : 0;
	json_t *object;
	const char *text;

	if (*value == '{') {
		object = json_loads(value, 0, NULL);
		text = json_string_value(json_object_get(object, name));
		if (!text && json_object_get(object, name))
			text = json_is_true(json_object_get(object, name)) ? "on" : "off";
		snprintf(out, size, "%s", text ? text : "");
		end = text;
		json_decref(object);
		return end != NULL;
	}
	for (bool first = true; *value; first = false) {
		end = strchrnul(value, ',');
		if (!strncmp(value, name, len) && value[len] == '=') {
			snprintf(out, size, "%.*s", (int)(end - value - (ptrdiff_t)len - 1),
				 value + len + 1);
			return true;
		}
		if (first && !key && !memchr(value, '=', (size_t)(end - value))) {
			snprintf(out, size, "%.*s", (int)(end - value), value);
			return true;
		}
		value = *end ? end + 1 : end;
	}
	return false;
}

/* The value of some option `name` that has key=want (key NULL: its type); NULL: there is none. */
static const char *find_option(char *const *command, const char *name, const char *key,
			       const char *implied, const char *want)
{
	char got[128];
	const char *value;

	for (char *const *arg = command + 1; arg[0] && arg[1]; arg++) {
		value = value_at(arg, name);
		if (value && value_key(value, key, implied, got, sizeof(got)) && !strcmp(got, want))
			return value;
	}
	return NULL;
}

static bool has_option(char *const *command, const char *name, const char *key, const char *implied,
		       const char *want)
{
	return find_option(command, name, key, implied, want) != NULL;
}

static bool is_microvm(char *const *command)
{
	return has_option(command, "M", NULL, "type", "microvm") ||
	       has_option(command, "machine", NULL, "type", "microvm");
}

static bool is_on(const char *text)
{
	return !strcmp(text, "on") || !strcmp(text, "true") || !strcmp(text, "yes");
}

/* Memory of the machine that another process can map. */
static bool shares_memory(char *const *command)
{
	char type[64], share[16];
	const char *value;
	bool given;

	for (char *const *arg = command + 1; arg[0] && arg[1]; arg++) {
		value = value_at(arg, "object");
		if (!value || !value_key(value, NULL, "qom-type", type, sizeof(type)))
			continue;
		given = value_key(value, "share", NULL, share, sizeof(share));
		if (!strcmp(type, "memory-backend-memfd") && (!given || is_on(share)))
			return true;
		if (!strcmp(type, "memory-backend-file") && given && is_on(share))
			return true;
	}
	return false;
}

static bool uses_memory(char *const *command)
{
	char got[64];
	const char *value;

	for (char *const *arg = command + 1; arg[0] && arg[1]; arg++) {
		value = value_at(arg, "machine");
		if (!value)
			value = value_at(arg, "M");
		if (value && value_key(value, "memory-backend", NULL, got, sizeof(got)))
			return true;
		value = value_at(arg, "numa");
		if (value && value_key(value, "memdev", NULL, got, sizeof(got)))
			return true;
	}
	return false;
}

/* ---- before ---- */

bool vmm_look(struct vmm *vmm, char *const *command, struct vmnet_error *err)
{
	vmm->type = type_of(command[0]);
	vmm->old = false;
	vmm->substitute = false;
	for (char *const *arg = command; *arg; arg++)
		vmm->substitute |= strstr(*arg, "{fd}") != NULL;
	if (vmm->type != VMM_QEMU || !has_option(command, "netdev", NULL, "type", "vhost-user"))
		return true;
	/* Without it the VM starts and its network is dead, and nothing says so. */
	if (!shares_memory(command))
		return wrong(err,
			     "vhost-user needs memory that can be shared, or no frame ever "
			     "passes: add -object memory-backend-memfd,id=mem,size=SIZE,share=on "
			     "-machine memory-backend=mem");
	if (!uses_memory(command))
		return wrong(err, "vhost-user needs the shared memory to be the machine's: add "
				  "-machine memory-backend=ID with the id of that -object");
	return true;
}

/* An id that the command does not use yet; a -device may wait for vmnet0 (then *device). */
static void choose_id(char *const *command, char *id, size_t size, bool *device)
{
	for (unsigned i = 0; i < IDS_MAX; i++) {
		snprintf(id, size, "vmnet%u", i);
		if (!has_option(command, "netdev", "id", NULL, id) &&
		    !has_option(command, "nic", "id", NULL, id))
			break;
	}
	*device = has_option(command, "device", "netdev", NULL, id) ||
		  has_option(command, "net", "netdev", NULL, id);
}

/* QEMU numbers the cards of one machine; two machines begin with the same address. */
static bool device_without_mac(char *const *command)
{
	char id[24], mac[64];
	const char *value;
	bool device;

	choose_id(command, id, sizeof(id), &device);
	value = find_option(command, "device", "netdev", NULL, id);
	return value && !value_key(value, "mac", NULL, mac, sizeof(mac));
}

const char *vmm_warning(const struct vmm *vmm, char *const *command)
{
	if (vmm->type == VMM_QEMU && vmm->substitute &&
	    has_option(command, "netdev", NULL, "type", "vhost-user"))
		return "networks have no vhost-user yet: use -netdev stream,addr.type=fd,"
		       "addr.str={fd} for this one";
	if (vmm->type == VMM_QEMU && !vmm->substitute && device_without_mac(command))
		return "that -device has no mac=, and QEMU gives each machine's first card the "
		       "same: two of them on one network do not work";
	return NULL;
}

/* ---- the version of QEMU ---- */

static unsigned parse_version(const char *text)
{
	const char *at = strstr(text, "version ");
	unsigned major, minor, micro = 0;

	if (!at || sscanf(at, "version %3u.%3u.%3u", &major, &minor, &micro) < 2)
		return 0;
	return major * 10000 + minor * 100 + micro;
}

unsigned vmm_qemu_version(const char *path)
{
	char text[512] = "";
	struct pollfd p = {.events = POLLIN};
	size_t have = 0;
	int ends[2], null;
	ssize_t n = 1;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null < 0 || dup2(null, 0) < 0 || dup2(ends[1], 1) < 0 || dup2(null, 2) < 0)
			_exit(126);
		execl(path, path, "--version", (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	p.fd = ends[0];
	while (pid > 0 && n > 0 && have < sizeof(text) - 1 && !strchr(text, '\n')) {
		if (poll(&p, 1, VERSION_WAIT_MS) <= 0)
			break;
		n = read(ends[0], text + have, sizeof(text) - 1 - have);
		have += n > 0 ? (size_t)n : 0;
		text[have] = 0;
	}
	close(ends[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return parse_version(text);
}

void vmm_probe(struct vmm *vmm, const char *path)
{
	unsigned version;

	if (vmm->type != VMM_QEMU || vmm->substitute)
		return;
	version = vmm_qemu_version(path);
	vmm->old = version && version < QEMU_STREAM;
}

/* ---- the command ---- */

struct words {
	char **word;
	size_t n, room;
	bool failed;
};

static void push(struct words *w, char *word)
{
	char **grown;

	if (word && w->n + 2 > w->room) {
		grown = realloc(w->word, (w->room + 64) * sizeof(*grown));
		if (grown) {
			w->word = grown;
			w->room += 64;
		}
	}
	if (!word || w->n + 2 > w->room) {
		free(word);
		w->failed = true;
		return;
	}
	w->word[w->n++] = word;
	w->word[w->n] = NULL;
}

__attribute__((format(printf, 2, 3))) static void pushf(struct words *w, const char *fmt, ...)
{
	va_list args;
	char *word = NULL;

	va_start(args, fmt);
	if (vasprintf(&word, fmt, args) < 0)
		word = NULL;
	va_end(args);
	push(w, word);
}

/* A copy of text with {fd} and {mac} replaced. */
static char *substituted(const char *text, const struct vmm_place *place)
{
	char number[16], *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		return NULL;
	snprintf(number, sizeof(number), "%d", place->fd);
	while (*text) {
		if (!strncmp(text, "{fd}", 4)) {
			fputs(number, f);
			text += 4;
		} else if (!strncmp(text, "{mac}", 5)) {
			fputs(place->mac, f);
			text += 5;
		} else {
			fputc(*text++, f);
		}
	}
	if (fclose(f) != 0) {
		free(out);
		return NULL;
	}
	return out;
}

static void qemu(const struct vmm *vmm, char *const *command, const struct vmm_place *place,
		 struct words *w)
{
	const char *base = strrchr(command[0], '/'), *device = "virtio-net-pci";
	char id[24], mtu[32] = "";
	bool has_device;

	choose_id(command, id, sizeof(id), &has_device);
	pushf(w, "-netdev");
	if (vmm->old)
		pushf(w, "socket,id=%s,fd=%d", id, place->fd);
	else if (place->kind == VMNET_DGRAM)
		pushf(w, "dgram,id=%s,local.type=fd,local.str=%d", id, place->fd);
	else
		pushf(w, "stream,id=%s,addr.type=fd,addr.str=%d", id, place->fd);
	if (has_device)
		return;
	base = base ? base + 1 : command[0];
	if (is_microvm(command) || !strcmp(base, "qemu-system-m68k"))
		device = "virtio-net-device";
	else if (!strcmp(base, "qemu-system-s390x"))
		device = "virtio-net-ccw";
	if (place->mtu && place->mtu != ETHERNET_MTU)
		snprintf(mtu, sizeof(mtu), ",host_mtu=%u", place->mtu);
	pushf(w, "-device");
	pushf(w, "%s,netdev=%s,mac=%s%s", device, id, place->mac, mtu);
}

char **vmm_command(const struct vmm *vmm, char *const *command, const struct vmm_place *place)
{
	struct words w = {0};

	if (!command[0])
		return NULL;
	for (char *const *arg = command; *arg; arg++)
		push(&w, vmm->substitute ? substituted(*arg, place) : strdup(*arg));
	if (!vmm->substitute && vmm->type == VMM_QEMU)
		qemu(vmm, command, place, &w);
	if (!vmm->substitute && (vmm->type == VMM_KRUNKIT || vmm->type == VMM_VFKIT)) {
		pushf(&w, "--device");
		if (vmm->type == VMM_VFKIT)
			pushf(&w, "virtio-net,fd=%d,mac=%s", place->fd, place->mac);
		else
			pushf(&w, "virtio-net,type=%s,fd=%d,mac=%s",
			      place->kind == VMNET_DGRAM ? "unixgram" : "unixstream", place->fd,
			      place->mac);
	}
	if (!w.failed)
		return w.word;
	vmm_free(w.word);
	return NULL;
}

void vmm_free(char **command)
{
	for (char **arg = command; arg && *arg; arg++)
		free(*arg);
	free(command);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netd/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool put(char out[PATHS_MAX], char err[PATHS_ERR_MAX], const char *dir, const char *rest)
{
	int n = snprintf(out, PATHS_MAX, "%s%s", dir, rest);

	if (n >= 0 && (size_t)n < PATHS_MAX)
		return true;
	snprintf(err, PATHS_ERR_MAX, "a path is too long: %.100s...", dir);
	return false;
}

/* 1: its value with `rest` is in out; 0: it is not set; -1: err. */
static int from_env(const char *name, const char *rest, char out[PATHS_MAX],
		    char err[PATHS_ERR_MAX])
{
	const char *value = getenv(name);

	if (!value || !*value)
		return 0;
	if (*value == '/')
		return put(out, err, value, rest) ? 1 : -1;
	if (!strncmp(name, "XDG_", 4))
		return 0;
	snprintf(err, PATHS_ERR_MAX, "%s is \"%.100s\"; it must be a path that begins with /", name,
		 value);
	return -1;
}

static bool home(const char *rest, char out[PATHS_MAX], char err[PATHS_ERR_MAX])
{
	int got = from_env("HOME", rest, out, err);
	struct passwd entry, *found;
	char buf[8192];

	if (got)
		return got > 0;
	if (getpwuid_r(geteuid(), &entry, buf, sizeof(buf), &found) == 0 && found &&
	    *found->pw_dir == '/')
		return put(out, err, found->pw_dir, rest);
	snprintf(err, PATHS_ERR_MAX, "user %u has no home folder; set HOME", (unsigned)geteuid());
	return false;
}

bool paths_runtime_dir(char out[PATHS_MAX], char err[PATHS_ERR_MAX])
{
	int got = from_env("VMNET_RUNTIME_DIR", "", out, err);

	if (!got)
		got = from_env("XDG_RUNTIME_DIR", "/vmnet", out, err);
	if (got)
		return got > 0;
	if (geteuid() == 0)
		return put(out, err, "/run/vmnet", "");
	snprintf(out, PATHS_MAX, "/tmp/vmnet-%u", (unsigned)geteuid());
	return true;
}

bool paths_state_dir(char out[PATHS_MAX], char err[PATHS_ERR_MAX])
{
	int got = from_env("VMNET_STATE_DIR", "", out, err);

	if (got)
		return got > 0;
	if (geteuid() == 0)
		return put(out, err, "/var/lib/vmnet", "");
	got = from_env("XDG_STATE_HOME", "/vmnet", out, err);
	if (got)
		return got > 0;
	return home("/.local/state/vmnet", out, err);
}

bool paths_state_file(char out[PATHS_MAX], char err[PATHS_ERR_MAX])
{
	char dir[PATHS_MAX];

	return paths_state_dir(dir, err) && put(out, err, dir, "/state");
}

bool paths_socket(char out[PATHS_SOCKET_MAX], char err[PATHS_ERR_MAX])
{
	char path[PATHS_MAX], dir[PATHS_MAX];

	if (!paths_runtime_dir(dir, err) || !put(path, err, dir, "/control.sock"))
		return false;
	if (strlen(path) >= PATHS_SOCKET_MAX) {
		snprintf(err, PATHS_ERR_MAX,
			 "%.120s...: too long for a socket (at most %u bytes); set "
			 "VMNET_RUNTIME_DIR",
			 path, PATHS_SOCKET_MAX - 1);
		return false;
	}
	memcpy(out, path, strlen(path) + 1);
	return true;
}

bool paths_config(char out[PATHS_MAX], char err[PATHS_ERR_MAX])
{
	int got = from_env("VMNET_CONFIG", "", out, err);

	if (got < 0)
		return false;
	if (got && access(out, F_OK) == 0)
		return true;
	got = from_env("XDG_CONFIG_HOME", "/vmnet/networks.yaml", out, err);
	if (got < 0)
		return false;
	if (!got && !home("/.config/vmnet/networks.yaml", out, err))
		*out = '\0';
	if (*out && access(out, F_OK) == 0)
		return true;
	if (!put(out, err, "/etc/vmnet/networks.yaml", ""))
		return false;
	if (access(out, F_OK) != 0)
		*out = '\0';
	return true;
}

/* Each folder above it that is not there. */
static void make_parents(const char *path)
{
	char part[PATHS_MAX];

	for (size_t i = 1; i < sizeof(part) && path[i]; i++) {
		if (path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		/* What goes wrong shows when the folder itself is made. */
		(void)mkdir(part, 0700);
	}
}

int paths_open_dir(const char *folder, char err[PATHS_ERR_MAX])
{
	char path[PATHS_MAX];
	struct stat st;
	int fd;

	if (!put(path, err, folder, ""))
		return -1;
	/* With a slash at the end the kernel would follow a link. */
	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	if (mkdir(path, 0700) != 0 && errno == ENOENT) {
		make_parents(path);
		(void)mkdir(path, 0700);
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		/* ENOTDIR may be a link just as well. */
		bool link = errno == ELOOP ||
			    (errno == ENOTDIR && lstat(path, &st) == 0 && S_ISLNK(st.st_mode));

		snprintf(err, PATHS_ERR_MAX, "folder %.150s: %s", path,
			 link ? "it is a symbolic link; remove it" : strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) != 0)
		snprintf(err, PATHS_ERR_MAX, "folder %.150s: %s", path, strerror(errno));
	else if (st.st_uid != geteuid())
		snprintf(err, PATHS_ERR_MAX,
			 "folder %.150s: it belongs to user %u, not to us (%u); remove it or set "
			 "another",
			 path, (unsigned)st.st_uid, (unsigned)geteuid());
	else if (st.st_mode & 022)
		snprintf(err, PATHS_ERR_MAX,
			 "folder %.150s: others may write to it (mode %03o); make it 0700", path,
			 (unsigned)st.st_mode & 0777);
	else
		return fd;
	close(fd);
	return -1;
}

bool paths_make_dir(const char *folder, char err[PATHS_ERR_MAX])
{
	int fd = paths_open_dir(folder, err);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * The process behind a mount. In the background it is forked before anything is opened (the engine has threads); the
 * caller waits until the mount answers, or until the process ends: then what it said on standard error is the reason.
 */
#include "fs/session/session.h"
#include "fs/verbs/common.h"
#include "fs/verbs/mount.h"
#include "fs/verbs/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_log.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

struct daemon {
	const struct mount_request *request;
	int ready_fd; /* -1 in the foreground */
	bool created; /* the store is new */
};

/* libfuse's log function has no context: what it said last, for the message of a mount that fails. */
static char fuse_said[256];

__attribute__((format(printf, 2, 0))) static void on_fuse_log(enum fuse_log_level level, const char *format,
							      va_list args)
{
	if (level > FUSE_LOG_WARNING)
		return;
	vsnprintf(fuse_said, sizeof(fuse_said), format, args);
	fuse_said[strcspn(fuse_said, "\n")] = 0;
	syslog(LOG_WARNING, "%s", fuse_said);
}

static void log_in_foreground(void *ctx, const char *line)
{
	(void)ctx;
	complain("%s", line);
}

static void log_in_background(void *ctx, const char *line)
{
	(void)ctx;
	syslog(LOG_NOTICE, "%s", line);
}

static void tell_mounted(const struct mount_request *request, bool created, long pid)
{
	if (request->quiet)
		return;
	if (created)
		printf("%s: made a new store: %s\n", program_name, request->store);
	printf("%s: %s is mounted on %s (process %ld). To unmount: lsmfs umount %s\n", program_name, request->store,
	       request->dir, pid, request->dir);
	fflush(stdout);
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	complain_to_syslog();
	setsid();
	if (null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

static void on_ready(void *ctx)
{
	struct daemon *daemon = ctx;
	const char created = daemon->created;

	if (daemon->ready_fd < 0) {
		tell_mounted(daemon->request, daemon->created, getpid());
		return;
	}
	leave_terminal();
	/* A caller that was killed meanwhile doesn't wait any more; the mount stands nevertheless. */
	if (write(daemon->ready_fd, &created, 1) < 0)
		syslog(LOG_NOTICE, "mounted on %s; nobody waits for it", daemon->request->dir);
	close(daemon->ready_fd);
}

/* Before any thread exists: each inherits the mask, and the session's own thread takes the signals. */
static void block_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void complain_of_mount(const struct mount_request *request)
{
	if (geteuid() == 0)
		complain("cannot mount on %s: %s. In a container, start it with --device /dev/fuse --cap-add SYS_ADMIN",
			 request->dir, fuse_said[0] ? fuse_said : "refused");
	else
		complain("cannot mount on %s: %s. Is the package fuse3 installed, with fusermount3 set-uid root, and "
			 "may "
			 "you open /dev/fuse?",
			 request->dir, fuse_said[0] ? fuse_said : "refused");
}

static int serve_volume(struct daemon *daemon, struct volume *volume)
{
	const struct mount_request *request = daemon->request;
	char *fuse_options = mount_options_for_fuse(&request->options, request->store, geteuid() == 0);
	const struct session_options options = {
		.fuse_options = fuse_options,
		.sync_data = request->options.sync_data,
		.sync_names = request->options.sync_names,
		.no_uring = request->options.no_uring,
		.writeback = request->options.writeback,
		.no_acl = request->options.no_acl,
		.log = daemon->ready_fd < 0 ? log_in_foreground : log_in_background,
		.on_ready = on_ready,
		.ctx = daemon,
	};
	struct session *session = NULL;
	int r, status = MOUNT_EXIT_SYSTEM;

	if (!fuse_options) {
		complain("no memory");
		goto out;
	}
	r = session_new(volume, &options, &session);
	if (r < 0) {
		complain("cannot start: %s", fuse_said[0] ? fuse_said : strerror(-r));
		goto out;
	}
	if (session_mount(session, request->dir) < 0) {
		complain_of_mount(request);
		status = MOUNT_EXIT_FAILED;
		goto out;
	}
	r = session_run(session);
	if (r < 0)
		complain("the mount on %s has ended: %s", request->dir, strerror(-r));
	status = r < 0 ? MOUNT_EXIT_SYSTEM : MOUNT_EXIT_DONE;
out:
	session_free(session);
	free(fuse_options);
	return status;
}

static int serve(struct daemon *daemon)
{
	const struct mount_request *request = daemon->request;
	const struct store_open_options options = {
		.create = true,
		.read_only = request->options.read_only,
		.atime = request->options.atime,
		.no_dir_atime = request->options.nodiratime,
		.memory_bytes = request->options.memory_bytes,
		.log = daemon->ready_fd < 0 ? log_in_foreground : log_in_background,
		.ret_created = &daemon->created,
	};
	struct volume *volume;
	int status;

	openlog(program_name, LOG_PID, LOG_DAEMON);
	fuse_set_log_func(on_fuse_log);
	block_signals();
	if (chdir("/") < 0 || store_open(request->store, &options, &volume) < 0)
		return MOUNT_EXIT_FAILED;
	status = serve_volume(daemon, volume);
	if (store_close(volume, request->store, 0) < 0 && status == MOUNT_EXIT_DONE)
		status = MOUNT_EXIT_SYSTEM;
	return status;
}

/* Files that the caller had open (on another mount, say) must not stay open for as long as this one lasts. */
static void close_inherited(int keep_fd)
{
	if (keep_fd > 3)
		close_range(3, (unsigned)keep_fd - 1, 0);
	close_range((unsigned)keep_fd + 1, ~0U, 0);
}

/* The caller's side: until the process says that the mount answers, or ends. */
static int wait_for_daemon(const struct mount_request *request, pid_t pid, int fd)
{
	char created = 0;
	ssize_t n;
	int status;

	do {
		n = read(fd, &created, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1) {
		tell_mounted(request, created, pid);
		return MOUNT_EXIT_DONE;
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return MOUNT_EXIT_SYSTEM;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) != MOUNT_EXIT_DONE)
		return WEXITSTATUS(status); /* it said why */
	if (WIFSIGNALED(status))
		complain("%s is not mounted: the process that was to serve it was killed by signal %d (%s)",
			 request->dir, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		complain("%s was unmounted again at once", request->dir);
	return WIFSIGNALED(status) ? MOUNT_EXIT_INTERNAL : MOUNT_EXIT_FAILED;
}

int mount_start(const struct mount_request *request)
{
	struct daemon daemon = { .request = request, .ready_fd = -1 };
	int fds[2], status;
	pid_t pid;

	if (request->foreground)
		return serve(&daemon);
	if (pipe2(fds, O_CLOEXEC) < 0) {
		complain("cannot make a pipe: %s", strerror(errno));
		return MOUNT_EXIT_SYSTEM;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close_inherited(fds[1]);
		daemon.ready_fd = fds[1];
		exit(serve(&daemon));
	}
	close(fds[1]);
	if (pid < 0) {
		complain("cannot start a process: %s", strerror(errno));
		status = MOUNT_EXIT_SYSTEM;
	} else {
		status = wait_for_daemon(request, pid, fds[0]);
	}
	close(fds[0]);
	return status;
}

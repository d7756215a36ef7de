/* SPDX-License-Identifier: MIT */
/*
 * inotify_log DIR COMMAND [ARGUMENT...] - what inotify told of names in DIR while the command ran, a line for each event:
 * create, delete, from, to, close_write, and the name. The events wait in the queue until the command has ended, so
 * nothing depends on time. The exit status is the command's.
 */
#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int die(const char *what)
{
	fprintf(stderr, "inotify_log: %s: %s\n", what, strerror(errno));
	return 125;
}

static const char *word(uint32_t mask)
{
	static const struct {
		uint32_t bit;
		const char *word;
	} words[] = {
		{ IN_CREATE, "create" },   { IN_DELETE, "delete" },           { IN_MOVED_FROM, "from" },
		{ IN_MOVED_TO, "to" },     { IN_CLOSE_WRITE, "close_write" }, { IN_Q_OVERFLOW, "overflow" },
		{ IN_IGNORED, "ignored" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (mask & words[i].bit)
			return words[i].word;
	return "?";
}

static void print_events(int in)
{
	static _Alignas(struct inotify_event) char buf[1 << 16];
	struct pollfd p = { .fd = in, .events = POLLIN };
	ssize_t size;

	while (poll(&p, 1, 0) > 0 && (size = read(in, buf, sizeof(buf))) > 0) {
		for (ssize_t at = 0; at < size;) {
			const struct inotify_event *e = (const void *)(buf + at);

			printf("%s %s\n", word(e->mask), e->len ? e->name : ".");
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	}
}

int main(int argc, char **argv)
{
	int in = inotify_init1(IN_CLOEXEC), status;
	pid_t pid;

	if (argc < 3 || in < 0)
		return die("inotify");
	if (inotify_add_watch(in, argv[1], IN_CREATE | IN_DELETE | IN_MOVE | IN_CLOSE_WRITE) < 0)
		return die(argv[1]);
	errno = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
	if (errno || waitpid(pid, &status, 0) < 0)
		return die(argv[2]);
	print_events(in);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/* SPDX-License-Identifier: MIT */
/* Runs the workloads, each on each target in turn, in a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/mount_job.h"
#include "tests/bench/process.h"

enum { WATCH_MS = 200, SKIPPED = 77, SECTOR = 512 };

/* What a process is for. */
enum task { TASK_PREPARE, TASK_MEASURE };

static void chain_path(unsigned w, const struct target *t, char ret[PATH_SIZE + 32])
{
	snprintf(ret, PATH_SIZE + 32, "%s/%s", t->dir, works[w].group);
}

/* ---- in the child ---- */

static void take_times(struct measured *m, const struct histogram *h)
{
	m->p50_ns = latency_quantile(h, 0.5);
	m->p99_ns = latency_quantile(h, 0.99);
	m->max_ns = (double)h->max;
}

static int child_run(const struct mount_bench *b, unsigned w, unsigned t, unsigned round, enum task task,
		     struct measured *ret)
{
	static struct histogram histogram;
	char dir[PATH_SIZE + 32], material[PATH_SIZE];
	struct job job = { .work = &works[w],
			   .settings = &b->settings,
			   .programs = &b->programs,
			   .target = &b->targets[t],
			   .dir = dir,
			   .material = material,
			   .round = round,
			   .result = ret,
			   .histogram = &histogram };

	chain_path(w, &b->targets[t], dir);
	snprintf(material, sizeof(material), "%s/material", b->dir);
	if (task == TASK_PREPARE)
		return story_prepare(&job);
	job.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	job_check(&job, job.dir_fd >= 0, "cannot be opened", dir);
	works[w].run(&job);
	take_times(ret, &histogram);
	return 0;
}

/* With a process group of its own: programs that it runs end with it. */
_Noreturn static void child_main(const struct mount_bench *b, unsigned w, unsigned t, unsigned round, enum task task,
				 int fd)
{
	static struct measured m;
	int code;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	for (int s = 1; s < 32; s++)
		signal(s, SIG_DFL);
	code = child_run(b, w, t, round, task, &m);
	if (write(fd, &m, sizeof(m)) != sizeof(m))
		_exit(1);
	_exit(code);
}

/* ---- progress ---- */

static void show_progress(const struct mount_bench *b, unsigned w, unsigned t, unsigned round)
{
	uint64_t total = (clock_ns() - b->start_ns) / 1000000000;

	if (b->quiet || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K[%u/%u, %u:%02u] round %u of %u: %s, %s", b->step, b->steps, (unsigned)(total / 60),
		(unsigned)(total % 60), round + 1, b->rounds, works[w].name, b->targets[t].name);
	fflush(stderr);
}

static void clear_progress(const struct mount_bench *b)
{
	if (!b->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

static void log_value(const struct work *w, const struct target *t, const struct measured *m)
{
	switch (work_figure(w)) {
	case MOUNT_SECONDS:
		fprintf(stderr, " %s %.2f s", t->name, m->seconds);
		break;
	case MOUNT_SPACE:
		fprintf(stderr, " %s %.1f MB", t->name, (double)m->space / 1e6);
		break;
	case MOUNT_MB:
		fprintf(stderr, " %s %.0f MB/s", t->name, (double)m->bytes / m->seconds / 1e6);
		break;
	default:
		fprintf(stderr, " %s %.0f/s", t->name, (double)m->operations / m->seconds);
	}
}

/* Where nobody looks on, each workload leaves a line. */
static void log_work(const struct mount_bench *b, unsigned w, unsigned round)
{
	if (b->quiet || isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "[%u/%u] round %u of %u: %s:", b->step, b->steps, round + 1, b->rounds, works[w].name);
	for (unsigned t = 0; t < b->targets_n; t++)
		if (b->results[w][t][round].seconds > 0)
			log_value(&works[w], &b->targets[t], &b->results[w][t][round]);
	fprintf(stderr, "\n");
}

/* ---- in the parent ---- */

/* Waits for the child's end, or ends it when we are to stop. Its exit code; -1: it was killed. */
static int await_child(const struct mount_bench *b, pid_t child, int fd, struct measured *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool got = false;
	int status;

	while (!interrupted && poll(&p, 1, WATCH_MS) <= 0)
		continue;
	if (!interrupted)
		got = read(fd, ret, sizeof(*ret)) == sizeof(*ret);
	else
		kill(-child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	clear_progress(b);
	if (!WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status) == 0 && !got ? -1 : WEXITSTATUS(status);
}

static int run_child(const struct mount_bench *b, unsigned w, unsigned t, unsigned round, enum task task,
		     struct measured *ret)
{
	int pipes[2], code;
	pid_t child;

	if (pipe2(pipes, O_CLOEXEC))
		bench_fail("pipe", strerror(errno));
	fflush(NULL);
	child = fork();
	if (child < 0)
		bench_fail("fork", strerror(errno));
	if (!child)
		child_main(b, w, t, round, task, pipes[1]);
	setpgid(child, child);
	close(pipes[1]);
	code = await_child(b, child, pipes[0], ret);
	close(pipes[0]);
	return code;
}

/* Bytes that the disk below `dir` was given since it is there; 0 where that isn't told. */
static uint64_t device_written(const char *dir)
{
	unsigned long long sectors = 0;
	char path[64];
	struct stat st;
	FILE *f;

	if (stat(dir, &st))
		return 0;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(st.st_dev), minor(st.st_dev));
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%*u %*u %*u %*u %*u %*u %llu", &sectors) != 1)
		sectors = 0;
	fclose(f);
	return sectors * SECTOR;
}

static bool clear_dir(unsigned w, const struct target *t, bool again)
{
	char dir[PATH_SIZE + 32];

	chain_path(w, t, dir);
	dir_remove(dir);
	if (!again || !mkdir(dir, 0755))
		return true;
	fprintf(stderr, "bench_mount: %s: %s: %s\n", t->name, dir, strerror(errno));
	return false;
}

/* The target gets ready for this workload. False: it can't, as was said. */
static bool make_ready(struct mount_bench *b, unsigned w, unsigned t, unsigned round)
{
	struct target *target = &b->targets[t];
	unsigned flags = works[w].flags;
	struct measured unused;
	int code;

	if (flags & WORK_SPACE && !target_renew(target, &b->programs))
		target->dead = true;
	if (!target->dead && flags & WORK_FRESH) {
		target->broken = !clear_dir(w, target, true);
		if (target->broken)
			b->failures++;
	}
	if (target->dead || target->broken)
		return false;
	if (flags & WORK_STORY && works[w].run == work_story) {
		code = run_child(b, w, t, round, TASK_PREPARE, &unused);
		target->broken = code != 0;
		b->failures += code != 0 && code != SKIPPED && !interrupted;
	}
	if (target->broken || interrupted)
		return false;
	if (flags & WORK_COLD && !target_make_cold(target, &b->programs))
		target->dead = true;
	else
		dir_sync(b->dir); /* what the one before left unwritten is not this one's burden */
	return !target->dead;
}

static void measure(struct mount_bench *b, unsigned w, unsigned t, unsigned round)
{
	struct measured *m = &b->results[w][t][round];
	struct target *target = &b->targets[t];
	uint64_t device = device_written(b->dir);
	int code;

	code = run_child(b, w, t, round, TASK_MEASURE, m);
	if (interrupted || code) {
		*m = (struct measured){ 0 };
		target->broken = true;
		b->failures += !interrupted;
		if (!interrupted)
			fprintf(stderr, "bench_mount: %s: %s failed\n", target->name, works[w].name);
		return;
	}
	dir_sync(b->dir);
	m->device_written = device_written(b->dir) - device;
	if (works[w].flags & WORK_SPACE)
		m->space = target_space(target, &b->programs);
	mount_json_result(b, w, t, round);
}

static void run_one(struct mount_bench *b, unsigned w, unsigned t, unsigned round)
{
	struct target *target = &b->targets[t];
	bool was_dead = target->dead;

	if (!work_is_for(&b->settings, &works[w], target))
		return;
	b->step++;
	show_progress(b, w, t, round);
	if (make_ready(b, w, t, round) && !interrupted)
		measure(b, w, t, round);
	b->failures += target->dead && !was_dead;
}

/* The targets take turns, and change their order from round to round and workload to workload. */
static void run_work(struct mount_bench *b, unsigned w, unsigned round)
{
	for (unsigned i = 0; i < b->targets_n && !interrupted; i++)
		run_one(b, w, (i + w + round) % b->targets_n, round);
	if (!interrupted)
		log_work(b, w, round);
}

void mount_round(struct mount_bench *b, unsigned round)
{
	unsigned end;

	for (unsigned begin = 0; begin < works_n && !interrupted; begin = end) {
		bool any = false;

		end = work_chain_end(begin);
		for (unsigned w = begin; w < end && !interrupted; w++) {
			if (!b->needed[w] || (works[w].flags & WORK_STORY && round >= b->story_rounds))
				continue;
			any = true;
			run_work(b, w, round);
		}
		for (unsigned t = 0; any && t < b->targets_n; t++)
			if (!b->targets[t].dead)
				(void)clear_dir(begin, &b->targets[t], false);
	}
}

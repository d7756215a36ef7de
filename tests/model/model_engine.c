/* SPDX-License-Identifier: MIT */
/*
 * model_engine - random operations on a store beside a model of it (engine_model.h), with tiny memtables, tables,
 * blocks and levels so that all layers have work, and options that change from round to round. A round is a process that opens
 * the store, compares everything, works, and then closes, leaves without closing, or is killed at any instant.
 *
 *   model_engine [OPERATIONS [SEED]]
 *
 * Without OPERATIONS it runs for about ten seconds. LSMFS_SEED sets the seed; LSMFS_ROUND_INLINE=1 stays in one process
 * (for debuggers; nothing is killed then).
 */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/model/engine_run.h"

enum { SECONDS_DEFAULT = 10, ROUND_OPS_MAX = 6000, LOG_LINES = 20, HANG_SECONDS = 60 };

enum ending { END_CLOSE, END_LEAVE, END_KILLED, ENDINGS };
static const char *const ending_names[ENDINGS] = { "close", "leave", "kill" };

static struct world *world;
static char log_lines[LOG_LINES][300];
static _Atomic unsigned log_count;

static void log_line(void *ctx, const char *line)
{
	(void)ctx;
	snprintf(log_lines[atomic_fetch_add(&log_count, 1) % LOG_LINES], sizeof(log_lines[0]), "%s", line);
}

void fail_at(const char *file, int line, const char *format, ...)
{
	unsigned count = atomic_load(&log_count);
	va_list args;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nseed %" PRIu64 ", round %u, after %" PRIu64 " operations\n", world ? world->seed : 0,
		world ? atomic_load(&world->round) : 0, world ? atomic_load(&world->ops_done) : 0);
	for (unsigned i = count > LOG_LINES ? count - LOG_LINES : 0; i < count; i++)
		fprintf(stderr, "  log: %s\n", log_lines[i % LOG_LINES]);
	_exit(1);
}

void check_ok(int rc, const char *file, int line)
{
	if (rc)
		fail_at(file, line, "%s: %s", lsm_strerror(rc), lsm_last_error()->message);
}

static uint64_t between(struct rng *rng, uint64_t low, uint64_t high)
{
	return low + rng_below(rng, high - low + 1);
}

/* Sizes are spread evenly over the powers of two. */
static uint64_t power_between(struct rng *rng, unsigned low, unsigned high)
{
	uint64_t size = UINT64_C(1) << between(rng, low, high);

	return size + rng_below(rng, size);
}

static void options_choose(struct lsm_options *o, struct rng *rng)
{
	*o = (struct lsm_options){
		.flags = LSM_OPEN_CREATE,
		.memory_bytes = power_between(rng, 22, 25),
		.memtable_bytes = power_between(rng, 16, 19),
		.memtables_max = (uint32_t)between(rng, 2, 5),
		.block_bytes = (uint32_t)power_between(rng, 8, 13),
		.blob_min_bytes = (uint32_t)power_between(rng, 6, 13),
		.blob_segment_bytes = power_between(rng, 18, 21),
		.table_bytes = power_between(rng, 15, 19),
		.level_base_bytes = power_between(rng, 17, 20),
		.level_ratio = (uint32_t)between(rng, 2, 10),
		.l0_tables = (uint32_t)between(rng, 1, 6),
		.filter_bits = rng_one_in(rng, 4) ? UINT32_MAX : (uint32_t)between(rng, 1, 20),
		.open_tables_max = (uint32_t)between(rng, 16, 100),
		.threads = (uint32_t)between(rng, 1, 4),
		.compaction = rng_one_in(rng, 3) ? LSM_COMPACT_TIERED : LSM_COMPACT_LEVELED,
		.tiered_runs = (uint32_t)between(rng, 2, 6),
		.compact_bytes_per_second = rng_one_in(rng, 8) ? power_between(rng, 22, 26) : 0,
		.log = log_line,
		.log_level = (uint32_t)between(rng, 1, 2),
	};
	o->blob_direct_bytes = o->blob_min_bytes + (uint32_t)power_between(rng, 0, 15);
	for (int i = 0; i < LSM_LEVELS; i++)
		o->level_compression[i] = (uint8_t)rng_below(rng, 4);
	/* What is left out is as an earlier round asked for. */
	if (rng_one_in(rng, 3))
		o->level_ratio = o->l0_tables = o->filter_bits = o->block_bytes = 0;
	if (rng_one_in(rng, 3))
		o->table_bytes = o->level_base_bytes = o->blob_segment_bytes = 0;
	if (rng_one_in(rng, 3))
		o->blob_min_bytes = o->blob_direct_bytes = 0;
}

/* What was under way when the last process died is there as a whole, or not at all. */
static void settle(struct run *r)
{
	if (atomic_load(&r->world->state) & 2) {
		if (!run_matches(r, world_now(r->world)))
			world_commit(r->world);
		else
			atomic_fetch_and(&r->world->state, 1u);
	}
	run_check_all(r);
	run_settle_names(r);
}

static void round_run(const struct universe *u, const char *path, uint64_t seed, uint64_t ops, enum ending ending)
{
	static struct run r;

	r = (struct run){ .world = world, .universe = u, .path = path, .rng = { seed } };
	options_choose(&r.options, &r.rng);
	run_open(&r);
	settle(&r);
	atomic_store(&world->settled, atomic_load(&world->round));
	for (uint64_t i = 0; i < ops; i++) {
		if (rng_below(&r.rng, 100) < 45)
			run_write(&r);
		else
			run_read(&r);
		atomic_fetch_add(&world->ops_done, 1);
		if (rng_one_in(&r.rng, 3000)) {
			run_close(&r);
			run_open(&r);
			run_check_all(&r);
			run_settle_names(&r);
		}
	}
	if (ending == END_LEAVE)
		_exit(0);
	run_check_all(&r);
	run_close(&r);
}

/* The child is left to be waited for. */
static bool has_ended(pid_t child)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

/* Waits for the child to end, or to be settled. One that does nothing for a minute hangs: it is made to dump core. */
static void wait_progress(pid_t child, bool until_settled)
{
	uint64_t ops = atomic_load(&world->ops_done);
	time_t since = time(NULL);

	while (!has_ended(child)) {
		if (until_settled && atomic_load(&world->settled) == atomic_load(&world->round))
			return;
		if (atomic_load(&world->ops_done) != ops) {
			ops = atomic_load(&world->ops_done);
			since = time(NULL);
		} else if (time(NULL) - since > HANG_SECONDS) {
			fprintf(stderr, "round %u hangs (process %d)\n", atomic_load(&world->round), (int)child);
			if (getenv("LSMFS_HANG_STOP"))
				pause(); /* for a debugger */
			kill(child, SIGABRT);
			return;
		}
		usleep(2000);
	}
}

/* Lets the child work, and kills it where the ending says so. */
static int round_watch(pid_t child, enum ending ending, struct rng *rng)
{
	int status = 0;

	if (ending == END_KILLED) {
		if (!rng_one_in(rng, 4)) /* else also while it opens the store and compares */
			wait_progress(child, true);
		usleep((useconds_t)rng_below(rng, rng_one_in(rng, 3) ? 30000 : 500000));
		kill(child, SIGKILL);
	} else {
		wait_progress(child, false);
	}
	CHECK(waitpid(child, &status, 0) == child, "waitpid failed");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && ending == END_KILLED)
		return 0;
	if (WIFSIGNALED(status))
		fprintf(stderr, "the round died of signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int round_start(const struct universe *u, const char *path, uint64_t ops_left, struct rng *rng)
{
	uint64_t seed = rng_next(rng), ops = 1 + rng_below(rng, rng_one_in(rng, 4) ? 100 : ROUND_OPS_MAX);
	enum ending ending = (enum ending)rng_below(rng, ENDINGS);
	unsigned round = atomic_fetch_add(&world->round, 1) + 1;
	uint64_t before = atomic_load(&world->ops_done);
	pid_t child;
	int rc;

	if (ops > ops_left)
		ops = ops_left;
	if (getenv("LSMFS_ROUND_INLINE")) {
		round_run(u, path, seed, ops, END_CLOSE);
		return 0;
	}
	fflush(NULL);
	child = fork();
	CHECK(child >= 0, "cannot fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		round_run(u, path, seed, ending == END_KILLED ? UINT64_MAX : ops, ending);
		exit(0);
	}
	rc = round_watch(child, ending, rng);
	printf("round %u: %" PRIu64 " operations, %s\n", round, atomic_load(&world->ops_done) - before,
	       ending_names[ending]);
	return rc;
}

int main(int argc, char **argv)
{
	static struct universe universe;
	uint64_t ops_max = argc > 1 ? strtoull(argv[1], NULL, 0) : UINT64_MAX;
	struct rng rng;
	/* A kill tests the same in memory, where tiny tables and many syncs cost nothing. */
	char path[64];
	time_t end = time(NULL) + SECONDS_DEFAULT;
	int rc = 0;

	snprintf(path, sizeof(path), "%smodel_engine.XXXXXX", access("/dev/shm", W_OK) ? "" : "/dev/shm/");
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world == MAP_FAILED || !mkdtemp(path)) {
		perror("model_engine");
		return 1;
	}
	if (argc > 2)
		setenv("LSMFS_SEED", argv[2], 1);
	world->seed = seed_choose("model_engine");
	rng.state = world->seed;
	universe_make(&universe, rng_next(&rng));
	while (!rc && atomic_load(&world->ops_done) < ops_max && (argc > 1 || time(NULL) < end))
		rc = round_start(&universe, path, ops_max - atomic_load(&world->ops_done), &rng);
	if (rc) {
		fprintf(stderr, "model_engine: FAILED, seed %" PRIu64 "; the store is left in %s\n", world->seed, path);
		return 1;
	}
	dir_remove(path);
	dir_remove_beside(path, "copy");
	dir_remove_beside(path, "backups");
	printf("model_engine: %" PRIu64 " operations in %u rounds\n", atomic_load(&world->ops_done),
	       atomic_load(&world->round));
	return 0;
}

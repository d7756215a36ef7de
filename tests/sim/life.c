/* SPDX-License-Identifier: MIT */
#include "tests/sim/life.h"

uint64_t power_between(unsigned low, unsigned high)
{
	uint64_t size = UINT64_C(1) << sim_between(low, high);

	return size + rng_below(&sim.rng, size);
}

static void log_line(void *ctx, const char *line)
{
	(void)ctx;
	sim_tell("log: %s", line);
}

static void options_choose(struct lsm_options *o)
{
	*o = (struct lsm_options){
		.flags = LSM_OPEN_CREATE,
		.memory_bytes = 4 << 20,
		.memtable_bytes = power_between(14, 18),
		.memtables_max = (uint32_t)sim_between(2, 4),
		.block_bytes = (uint32_t)power_between(8, 12),
		.blob_min_bytes = (uint32_t)power_between(9, 12),
		.blob_segment_bytes = power_between(16, 18),
		.table_bytes = power_between(14, 17),
		.level_base_bytes = power_between(16, 18),
		.level_ratio = (uint32_t)sim_between(2, 4),
		.l0_tables = (uint32_t)sim_between(1, 4),
		.filter_bits = sim_chance(20) ? UINT32_MAX : 10,
		.open_tables_max = (uint32_t)sim_between(16, 64),
		.threads = (uint32_t)sim_between(1, 2),
		.compaction = sim_chance(25) ? LSM_COMPACT_TIERED : LSM_COMPACT_LEVELED,
		.tiered_runs = (uint32_t)sim_between(2, 4),
		.log = log_line,
		.log_level = LSM_LOG_ALL,
		.env = sim_env(),
	};
	o->blob_direct_bytes = o->blob_min_bytes + (uint32_t)power_between(4, 13);
}

void life_cut_arm(const struct life *l, enum phase phase)
{
	if (l->cut_phase == phase)
		sim.cut_in = l->cut_steps;
}

void life_faults_begin(const struct life *l)
{
	uint64_t met = sim_faults.met;

	sim_faults = l->faults;
	sim_faults.met = met;
	sim_faults.from += sim_ops;
	sim_faults.to += sim_ops;
}

static int find_tell(void *ctx, const struct lsm_find *find)
{
	(void)ctx;
	sim_tell("check: %s: %s", find->file, find->what);
	return 0;
}

void life_check(const char *path)
{
	const struct lsm_check_options options = { .find = find_tell, .env = sim_env() };
	int rc = lsm_check(path, &options);

	if (rc && rc != LSM_NOT_STORE)
		sim_fail("the check finds something: %s", lsm_last_error()->message);
}

static void faults_choose(struct life *l, bool last)
{
	l->faults = sim_faults = (struct sim_faults){ 0 };
	l->faults_at_open = sim_chance(20);
	if (last || !sim_chance(40))
		return;
	l->faults.kind = (enum fault_kind)sim_between(FAULT_NONE + 1, FAULT_KINDS - 1);
	if (sim_chance(30))
		l->faults.kind = FAULT_SYNCS; /* the worst of them */
	l->faults.percent = (unsigned)sim_between(1, 100);
	l->faults.from = rng_below(&sim.rng, l->faults_at_open ? 50 : 500);
	l->faults.to = l->faults.from + power_between(0, 9);
}

static void habits_choose(void)
{
	static const unsigned switches[] = { 1, 2, 4, 16, 64 };

	sim.switch_one_in = switches[rng_below(&sim.rng, 5)];
	sim_habits.slow_percent = sim_chance(50) ? 0 : (unsigned)sim_between(1, 100);
	sim_habits.slow_ns = power_between(10, 23);
	sim_habits.sync_ns = sim_chance(30) ? 0 : power_between(10, 24);
	sim_habits.write_back_percent = sim_chance(30) ? 0 : (unsigned)sim_between(1, 60);
	sim_habits.no_fallocate = sim_chance(10);
}

void life_choose(struct life *l, unsigned clients, bool last)
{
	options_choose(&l->options);
	l->cut_phase = last ? PHASES : PHASE_WORK;
	if (!last && sim_chance(30))
		l->cut_phase = (enum phase)rng_below(&sim.rng, PHASES + 1);
	l->ops = (unsigned)sim_between(1, sim_chance(30) ? 100 : 40);
	l->cut_after_ops = 1 + (unsigned)rng_below(&sim.rng, l->ops * clients);
	l->cut_steps = power_between(0, 12);
	l->settled = false;
	l->check = sim_chance(30);
	sim_segment_bytes = sim_chance(5) ? 0 : power_between(13, 16);
	habits_choose();
	faults_choose(l, last);
}

/* Pages that a failed sync has given up may be lost with the process. */
static bool pages_given_up(const struct life *l)
{
	return sim_faults.met && (l->faults.kind == FAULT_SYNCS || l->faults.kind == FAULT_SOME);
}

void life_live(struct life *l, void (*fn)(void *ctx))
{
	sim_tell("life: %u operations, the end in phase %d, faults %d from %llu to %llu", l->ops, (int)l->cut_phase,
		 (int)l->faults.kind, (unsigned long long)l->faults.from, (unsigned long long)l->faults.to);
	(void)sim_live(fn, l);
	sim.cut_in = 0;
	sim_bugs_life_ended();
	if (l->settled) {
		l->all = true;
		l->durable = false;
	}
	if (sim_chance(70)) {
		disk_cut();
		l->all = false;
		l->durable = true;
	} else {
		disk_kill();
		l->all &= !pages_given_up(l);
		l->durable &= !pages_given_up(l);
	}
	sim_trace(disk_hash());
}

/* SPDX-License-Identifier: MIT */
/* Back-pressure: how fast writers may write, so that flush and compaction keep up; and how fast compaction may write. */
#include "lsm/store/db.h"

enum {
	SLEEP_US_MIN = 500,   /* shorter ones are gathered: they would cost more than they take */
	SLEEP_US_MAX = 50000, /* of one write, however large */
	FLUSH_US_MIN = 20000,
};

/*
 * From the first sign of debt each byte costs time, at full debt as much as would let 1 MB a second through. The square
 * keeps the beginning gentle; beyond full debt it soon gets ten times as dear, so that there is a bound however little of
 * the processor compaction gets.
 */
static uint64_t debt_ps(struct lsm_db *db, const struct superversion *sv)
{
	double debt = picker_debt(sv->version, &db->picker), ps = debt * debt * 1e6;

	if (debt > 1)
		ps *= ps / 1e6 * (ps / 1e6) * (ps / 1e6);
	return ps > 1e7 ? 10000000 : (uint64_t)ps;
}

/* Is there no room for one more memtable in line, so that the writable one must last until a flush has ended? */
static bool line_is_full(const struct lsm_db *db, const struct superversion *sv)
{
	return sv->imm_n + 2 > db->options.memtables_max;
}

void delay_update(struct lsm_db *db, const struct superversion *sv)
{
	uint64_t due = 0;

	atomic_store_explicit(&db->delay_ps_per_byte, debt_ps(db, sv), memory_order_relaxed);
	if (line_is_full(db, sv) && !db->flush_failure.code)
		due = (db->flush_started_us ? db->flush_started_us : env_now_us(db->env)) + db->flush_us;
	atomic_store_explicit(&db->flush_due_us, due, memory_order_relaxed);
}

void flush_begins(struct lsm_db *db)
{
	mutex_lock(&db->lock);
	db->flush_started_us = env_now_us(db->env);
	mutex_unlock(&db->lock);
}

void flush_ended(struct lsm_db *db, bool done)
{
	uint64_t took;

	mutex_lock(&db->lock);
	took = env_now_us(db->env) - db->flush_started_us;
	db->flush_started_us = 0;
	took = (3 * db->flush_us + took) / 4;
	if (done)
		db->flush_us = took > FLUSH_US_MIN ? took : FLUSH_US_MIN;
	delay_update(db, atomic_load(&db->current));
	mutex_unlock(&db->lock);
}

/*
 * While the line is full, what is left of the writable memtable is spread over the time that the flush will probably still
 * take. A flush that is late is given as much time again as it is late (at least a quarter of what it usually takes): so
 * writers go slower and slower instead of meeting a wall.
 */
static uint64_t line_ps(struct lsm_db *db, uint64_t now)
{
	uint64_t due = atomic_load_explicit(&db->flush_due_us, memory_order_relaxed), left, us, least;

	if (!due)
		return 0;
	left = atomic_load_explicit(&db->mem_left_bytes, memory_order_relaxed);
	least = atomic_load_explicit(&db->flush_us, memory_order_relaxed) / 4;
	us = now < due ? due - now : now - due;
	if (us < least)
		us = least;
	return us * 1000000 / (left + 1);
}

void delay_count(struct lsm_db *db, uint64_t us)
{
	uint64_t longest = counted(db->delay_us_max);

	count(db->delays, 1);
	count(db->delay_us, us);
	while (us > longest && !atomic_compare_exchange_weak(&db->delay_us_max, &longest, us))
		;
}

/*
 * All writers share one clock, which runs ahead of time by what their bytes cost: each waits until it is no longer
 * ahead. So the pace is that of all together, however many they are.
 */
void delay(struct lsm_db *db, uint64_t bytes)
{
	uint64_t each = atomic_load_explicit(&db->delay_ps_per_byte, memory_order_relaxed), now, from, to, cost, line,
		 start;
	bool for_room;

	if (!each && !atomic_load_explicit(&db->flush_due_us, memory_order_relaxed))
		return;
	now = env_now_us(db->env);
	line = line_ps(db, now);
	for_room = line > each;
	if (for_room)
		each = line;
	now *= 1000; /* the clock has nanoseconds: a small write costs less than a microsecond */
	cost = each > UINT64_MAX / 4 / (bytes + 1) ? UINT64_MAX / 4 : bytes * each / 1000;
	from = atomic_load_explicit(&db->pace_ns, memory_order_relaxed);
	do {
		to = (from > now ? from : now) + cost;
		if (to > now + SLEEP_US_MAX * UINT64_C(1000))
			to = now + SLEEP_US_MAX * UINT64_C(1000);
	} while (!atomic_compare_exchange_weak_explicit(&db->pace_ns, &from, to, memory_order_relaxed,
							memory_order_relaxed));
	to = (to - now) / 1000;
	if (to < SLEEP_US_MIN)
		return;
	delay_count(db, to);
	start = env_now_ns(db->env);
	db->env->ops->sleep_us(db->env, to);
	if (for_room)
		note_room_wait(db, start);
	else
		observe_since(db, LSM_HISTOGRAM_STALL, start);
}

/* ---- compaction's own pace ---- */

/*
 * A bucket that holds a quarter of a second's bytes: what is written beyond it is slept off, in slices so short that
 * nobody waits for the sleeper.
 */
void compact_pace(struct lsm_db *db, uint64_t bytes)
{
	uint64_t rate = db->options.compact_bytes_per_second, now = env_now_us(db->env), from, to;
	enum { BUCKET_US = 250000, SLICE_US = 20000 };

	if (!rate)
		return;
	from = atomic_load(&db->compact_pace_us);
	do {
		to = (from + BUCKET_US > now ? from : now - BUCKET_US) + (uint64_t)((double)bytes * 1e6 / (double)rate);
	} while (!atomic_compare_exchange_weak(&db->compact_pace_us, &from, to));
	while (now < to && !atomic_load_explicit(&db->closing, memory_order_relaxed)) {
		db->env->ops->sleep_us(db->env, to - now < SLICE_US ? to - now : SLICE_US);
		now = env_now_us(db->env);
	}
}

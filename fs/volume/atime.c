/* SPDX-License-Identifier: MIT */
/*
 * Times of access. A read must not wait for a write: it notes the time in a table of bounded size, where all that loads
 * the inode finds it, and a thread brings what is there to the rows when reading pauses, at the latest after half a
 * minute; each inode once, however often it was read. A crash loses what was noted since.
 *
 * A note is newer than the row, and goes when the row has it or when the time is set by setattr. It may also be in a row
 * already: whoever puts a loaded inode puts it, too.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "fs/volume/internal.h"

#define SHARDS 64     /* powers of two */
#define SLOTS 2048    /* of a shard */
#define USED_MAX 1536 /* beyond, a note is dropped: only a thread that can't write lets it come so far */
/* Writing puts the content of small files anew and would slow the reads down, on a machine with two processors by a
 * seventh: so it waits for a pause in them, but not for long, nor with so many notes. */
#define WAIT_SECONDS 5
#define WAITS_MAX 6
#define WRITE_COUNT (SHARDS * USED_MAX / 2)
#define RELATIME_SECONDS (24 * 3600)

struct note {
	vol_ino ino; /* 0: empty */
	struct timespec time;
};

struct shard {
	pthread_mutex_t lock;
	unsigned used;
	struct note notes[SLOTS]; /* linear probing; what is removed leaves no gap */
};

struct atimes {
	enum vol_atime mode;
	bool not_of_dirs;
	atomic_uint count; /* of all notes */
	struct volume *v;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under lock */
	struct shard shards[SHARDS];
};

static uint64_t hash_of(vol_ino ino)
{
	return ino * UINT64_C(0x9e3779b97f4a7c15);
}

static struct shard *shard_of(struct atimes *t, vol_ino ino)
{
	return &t->shards[hash_of(ino) >> 58];
}

static unsigned home_of(vol_ino ino)
{
	return (unsigned)(hash_of(ino) >> 40) % SLOTS;
}

/* The note of the inode, or the empty one in which it would be. Under the shard's lock. */
static struct note *note_find(struct shard *s, vol_ino ino)
{
	unsigned at = home_of(ino);

	while (s->notes[at].ino && s->notes[at].ino != ino)
		at = (at + 1) % SLOTS;
	return &s->notes[at];
}

/* Under the shard's lock. */
static void note_remove(struct atimes *t, struct shard *s, struct note *note)
{
	unsigned hole = (unsigned)(note - s->notes), at = hole;

	for (;;) {
		at = (at + 1) % SLOTS;
		if (!s->notes[at].ino)
			break;
		/* Who would not be found past the hole moves into it. */
		if ((at - home_of(s->notes[at].ino)) % SLOTS >= (at - hole) % SLOTS) {
			s->notes[hole] = s->notes[at];
			hole = at;
		}
	}
	s->notes[hole].ino = 0;
	s->used--;
	atomic_fetch_sub(&t->count, 1);
}

static void note_set(struct atimes *t, vol_ino ino, struct timespec time)
{
	struct shard *s = shard_of(t, ino);
	struct note *note;

	pthread_mutex_lock(&s->lock);
	note = note_find(s, ino);
	if (!note->ino && s->used < USED_MAX) {
		note->ino = ino;
		s->used++;
		if (atomic_fetch_add(&t->count, 1) + 1 == WRITE_COUNT)
			pthread_cond_signal(&t->wake);
	}
	if (note->ino)
		note->time = time;
	pthread_mutex_unlock(&s->lock);
}

void atime_merge(struct volume *v, vol_ino ino, struct schema_inode *inode)
{
	struct atimes *t = v->atimes;
	const struct note *note;
	struct shard *s;

	if (!t || atomic_load(&t->count) == 0)
		return;
	s = shard_of(t, ino);
	pthread_mutex_lock(&s->lock);
	note = note_find(s, ino);
	if (note->ino)
		inode->atime = note->time;
	pthread_mutex_unlock(&s->lock);
}

void atime_forget(struct volume *v, vol_ino ino)
{
	struct atimes *t = v->atimes;
	struct shard *s;
	struct note *note;

	if (!t)
		return;
	s = shard_of(t, ino);
	pthread_mutex_lock(&s->lock);
	note = note_find(s, ino);
	if (note->ino)
		note_remove(t, s, note);
	pthread_mutex_unlock(&s->lock);
}

static bool not_after(struct timespec a, struct timespec b)
{
	return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec);
}

static bool is_due(const struct atimes *t, const struct schema_inode *inode, struct timespec now)
{
	if (inode->flags & SCHEMA_FLAG_NOATIME || (t->not_of_dirs && S_ISDIR(inode->mode)))
		return false;
	return t->mode == VOL_ATIME_STRICT || not_after(inode->atime, inode->mtime) ||
	       not_after(inode->atime, inode->ctime) || now.tv_sec - inode->atime.tv_sec >= RELATIME_SECONDS;
}

bool volume_accessed(struct volume *v, vol_ino ino)
{
	struct timespec now;
	struct node node;
	bool due;

	/* An inode that can't be read keeps its time: nothing here may be the read's trouble. */
	if (!v->atimes || node_load(v, ino, &node) < 0)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	due = is_due(v->atimes, &node.i, now);
	if (due)
		note_set(v->atimes, ino, now);
	node_done(&node);
	return due;
}

/* ---- the thread ---- */

static int put_time(struct change *c, vol_ino ino, struct timespec time)
{
	struct node node;
	int r;

	r = node_load_stored(c->v, ino, &node);
	if (r < 0)
		return r;
	if (node.i.atime.tv_sec != time.tv_sec || node.i.atime.tv_nsec != time.tv_nsec) {
		node.i.atime = time;
		r = node_put(c, &node);
		if (r == 0)
			r = change_commit(c);
	}
	node_done(&node);
	return r;
}

/* The row has it now, or can't have it: the inode is gone, the disk full. A newer note stays. */
static void note_done(struct atimes *t, const struct note *done)
{
	struct shard *s = shard_of(t, done->ino);
	struct note *note;

	pthread_mutex_lock(&s->lock);
	note = note_find(s, done->ino);
	if (note->ino && note->time.tv_sec == done->time.tv_sec && note->time.tv_nsec == done->time.tv_nsec)
		note_remove(t, s, note);
	pthread_mutex_unlock(&s->lock);
}

static void note_write(struct atimes *t, vol_ino ino)
{
	struct note note = { 0 };
	struct locked locked;
	struct shard *s = shard_of(t, ino);
	struct change c;

	/* Locked first: setattr takes a note away, and it must not be written behind it. */
	inode_lock(t->v, &locked, ino);
	pthread_mutex_lock(&s->lock);
	note = *note_find(s, ino);
	pthread_mutex_unlock(&s->lock);
	if (note.ino && change_begin(&c, t->v) == 0) {
		(void)put_time(&c, ino, note.time);
		change_end(&c);
	}
	if (note.ino)
		note_done(t, &note);
	inodes_unlock(t->v, &locked);
}

static void write_all(struct atimes *t)
{
	vol_ino inos[SLOTS];
	unsigned n;

	for (unsigned i = 0; i < SHARDS; i++) {
		struct shard *s = &t->shards[i];

		n = 0;
		pthread_mutex_lock(&s->lock);
		for (unsigned k = 0; k < SLOTS; k++) {
			if (s->notes[k].ino)
				inos[n++] = s->notes[k].ino;
		}
		pthread_mutex_unlock(&s->lock);
		while (n > 0)
			note_write(t, inos[--n]);
	}
}

/* Until there are many notes, or the time is over, or the end has come: true. */
static bool wait_for_notes(struct atimes *t)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&t->lock);
	while (!t->stop && atomic_load(&t->count) < WRITE_COUNT &&
	       pthread_cond_timedwait(&t->wake, &t->lock, &until) == 0)
		continue;
	stop = t->stop;
	pthread_mutex_unlock(&t->lock);
	return stop;
}

static void *atimes_main(void *arg)
{
	struct atimes *t = arg;
	unsigned waits = 0, before = 0, count;
	bool stop;

	do {
		stop = wait_for_notes(t);
		count = atomic_load(&t->count);
		if (!stop && count < WRITE_COUNT && count > before && ++waits < WAITS_MAX) {
			before = count;
			continue;
		}
		write_all(t);
		waits = before = 0;
	} while (!stop);
	return NULL;
}

static void atimes_free(struct atimes *t)
{
	for (unsigned i = 0; i < SHARDS; i++)
		pthread_mutex_destroy(&t->shards[i].lock);
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int atimes_start(struct volume *v, enum vol_atime mode, bool not_of_dirs)
{
	pthread_condattr_t attr;
	struct atimes *t;
	int r;

	if (mode == VOL_ATIME_NONE || v->read_only)
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->v = v;
	t->mode = mode;
	t->not_of_dirs = not_of_dirs;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->wake, &attr);
	pthread_condattr_destroy(&attr);
	for (unsigned i = 0; i < SHARDS; i++)
		pthread_mutex_init(&t->shards[i].lock, NULL);
	v->atimes = t;
	r = -pthread_create(&t->thread, NULL, atimes_main, t);
	if (r < 0) {
		v->atimes = NULL;
		atimes_free(t);
	}
	return r;
}

void atimes_stop(struct volume *v)
{
	struct atimes *t = v->atimes;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	v->atimes = NULL;
	atimes_free(t);
}

/* SPDX-License-Identifier: MIT */
#include "fs/session/loop.h"

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include <fuse_lowlevel.h>

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS (30 * 1000)     /* so long a receiver looks before it sleeps */
#define TICK_NS (1000 * 1000)   /* so often the deputy looks */
#define QUIET_TICKS 100         /* after so many without a request it sleeps, too */
#define SOLE_AFTER 64           /* after so many requests of one client, others are not expected */
#define LARGE_BYTES (128 << 10) /* reads and writes of so much take long */
#define NUMBER_NONE 0

struct worker {
	struct loop *loop;
	pthread_t thread;
	struct fuse_buf buf;
};

struct loop {
	struct fuse_session *fuse;
	_Atomic int64_t spin_ns;
	unsigned threads_max;

	/* Nobody receives. Who is done with a request is often here before the thread that was woken for it: then the one
	 * goes on without any switch, and the other back to sleep. Meanwhile no second one is woken. */
	atomic_bool vacant;
	atomic_bool waking; /* a thread was woken, and has not looked yet */
	sem_t wake;
	atomic_uint idle;  /* threads that wait to be woken */
	uint64_t number;   /* of the last request that a receiver served itself; the receiver's */
	uint32_t client;   /* the thread that sent the last request; the receiver's */
	uint64_t in_a_row; /* requests from it; the receiver's */
	/* The number of the one that it serves now, else none. Who makes it none by an exchange has the say over the
	 * receiver's part: the receiver itself when it is done, or the deputy before. */
	_Atomic uint64_t serving;
	atomic_bool done;

	pthread_t deputy;
	sem_t deputy_wake;
	atomic_bool deputy_sleeps;

	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned n, running; /* threads that were started, and that have not ended; under lock */
	int error;           /* of the receiver that ended; under lock */
	struct worker workers[];
};

static void *worker_main(void *arg);

static int worker_start(struct loop *loop)
{
	struct worker *w;
	int r = -EAGAIN;

	pthread_mutex_lock(&loop->lock);
	if (loop->n < loop->threads_max) {
		w = &loop->workers[loop->n];
		w->loop = loop;
		r = -pthread_create(&w->thread, NULL, worker_main, w);
	}
	if (r == 0) {
		loop->n++;
		loop->running++;
	}
	pthread_mutex_unlock(&loop->lock);
	return r;
}

static void semaphore_wait(sem_t *sem)
{
	while (sem_wait(sem) < 0 && errno == EINTR)
		continue;
}

/* ---- receiving ---- */

static bool take_turn(struct loop *loop)
{
	return atomic_load(&loop->vacant) && atomic_exchange(&loop->vacant, false);
}

/* Idle before it looks: who hands over makes the place vacant first, and then looks for somebody idle. false: all is
 * over. */
static bool await_turn(struct loop *loop)
{
	bool is_receiver;

	atomic_fetch_add(&loop->idle, 1);
	is_receiver = take_turn(loop);
	while (!is_receiver && !atomic_load(&loop->done)) {
		semaphore_wait(&loop->wake);
		atomic_store(&loop->waking, false);
		is_receiver = take_turn(loop);
	}
	atomic_fetch_sub(&loop->idle, 1);
	return !atomic_load(&loop->done);
}

/* The receiver is none any more. Without another thread, the first that is done with its request will be. */
static void hand_over(struct loop *loop)
{
	atomic_store(&loop->vacant, true);
	if (atomic_load(&loop->idle) == 0)
		(void)worker_start(loop);
	else if (!atomic_exchange(&loop->waking, true))
		sem_post(&loop->wake);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool request_waits(const struct loop *loop)
{
	struct pollfd p = { .fd = fuse_session_fd(loop->fuse), .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

static void spin(const struct loop *loop, int64_t ns)
{
	int64_t end = now_ns() + ns;

	while (!request_waits(loop) && now_ns() < end)
		continue;
}

/* More than 0: w->buf has a request. 0: the session ends. */
static int receive(struct worker *w)
{
	struct fuse_session *fuse = w->loop->fuse;
	int64_t ns = atomic_load_explicit(&w->loop->spin_ns, memory_order_relaxed);
	int r;

	if (ns)
		spin(w->loop, ns);
	do {
		r = fuse_session_exited(fuse) ? 0 : fuse_session_receive_buf(fuse, &w->buf);
	} while (r == -EINTR || r == -EAGAIN);
	return r;
}

/* ---- serving ---- */

/* Nobody else has asked for anything for a while. */
static bool is_sole_client(struct loop *loop, const struct fuse_in_header *in)
{
	if (in->pid != loop->client) {
		loop->client = in->pid;
		loop->in_a_row = 0;
	}
	return ++loop->in_a_row > SOLE_AFTER;
}

static bool is_long(const struct fuse_in_header *in)
{
	const struct fuse_read_in *read = (const struct fuse_read_in *)(in + 1);

	switch (in->opcode) {
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
		return true;
	case FUSE_READ:
		return in->len >= sizeof(*in) + sizeof(*read) && read->size >= LARGE_BYTES;
	default:
		return in->len >= LARGE_BYTES;
	}
}

static bool should_hand_over(struct loop *loop, const struct fuse_in_header *in)
{
	bool sole = is_sole_client(loop, in);

	switch (in->opcode) {
	case FUSE_LSEEK: /* may need answers of ours itself: pages.c */
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
	case FUSE_IOCTL:
		return true;
	default:
		/* a sole client's next request comes after this one */
		return (is_long(in) && !sole) || request_waits(loop);
	}
}

/* false: meanwhile the deputy has let another thread receive. */
static bool serve_as_receiver(struct worker *w)
{
	struct loop *loop = w->loop;
	uint64_t number = ++loop->number, expected = number;

	atomic_store(&loop->serving, number);
	if (atomic_load(&loop->deputy_sleeps) && atomic_exchange(&loop->deputy_sleeps, false))
		sem_post(&loop->deputy_wake);
	fuse_session_process_buf(loop->fuse, &w->buf);
	return atomic_compare_exchange_strong(&loop->serving, &expected, NUMBER_NONE);
}

/* The receiver could not receive, by 0 or a negative errno: all end, one after the other. */
static void finish(struct loop *loop, int r)
{
	pthread_mutex_lock(&loop->lock);
	loop->error = r;
	pthread_mutex_unlock(&loop->lock);
	atomic_store(&loop->done, true);
	sem_post(&loop->deputy_wake);
	sem_post(&loop->wake);
}

static void serve_until_not_receiver(struct worker *w)
{
	struct loop *loop = w->loop;
	bool is_receiver = true;
	int r;

	while (is_receiver) {
		r = receive(w);
		if (r <= 0) {
			finish(loop, r);
			return;
		}
		if (should_hand_over(loop, w->buf.mem)) {
			hand_over(loop);
			fuse_session_process_buf(loop->fuse, &w->buf);
			return;
		}
		is_receiver = serve_as_receiver(w);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct loop *loop = w->loop;

	while (await_turn(loop))
		serve_until_not_receiver(w);
	sem_post(&loop->wake); /* the next one is to end, too */
	free(w->buf.mem);
	pthread_mutex_lock(&loop->lock);
	if (--loop->running == 0)
		pthread_cond_signal(&loop->ended);
	pthread_mutex_unlock(&loop->lock);
	return NULL;
}

/* ---- the deputy ---- */

/* Until a receiver serves a request, or all is over. */
static void deputy_sleep(struct loop *loop)
{
	atomic_store(&loop->deputy_sleeps, true);
	/* One that came before it could wake us: no need to sleep, if nobody is about to wake us for it. */
	if (atomic_load(&loop->serving) != NUMBER_NONE && atomic_exchange(&loop->deputy_sleeps, false))
		return;
	semaphore_wait(&loop->deputy_wake);
}

static void *deputy_main(void *arg)
{
	const struct timespec tick = { .tv_nsec = TICK_NS };
	struct loop *loop = arg;
	uint64_t last = NUMBER_NONE, now;
	unsigned quiet = QUIET_TICKS;

	while (!atomic_load(&loop->done)) {
		if (quiet >= QUIET_TICKS) {
			deputy_sleep(loop);
			quiet = 0;
		}
		nanosleep(&tick, NULL);
		now = atomic_load(&loop->serving);
		quiet = now == NUMBER_NONE ? quiet + 1 : 0;
		if (now != NUMBER_NONE && now == last &&
		    atomic_compare_exchange_strong(&loop->serving, &now, NUMBER_NONE))
			hand_over(loop);
		last = now;
	}
	return NULL;
}

/* ---- the whole ---- */

int loop_new(struct fuse_session *fuse, unsigned threads_max, struct loop **ret)
{
	struct loop *loop = calloc(1, sizeof(*loop) + threads_max * sizeof(loop->workers[0]));

	if (!loop)
		return -ENOMEM;
	loop->fuse = fuse;
	loop->threads_max = threads_max;
	/* A lone processor has better things to do. */
	atomic_init(&loop->spin_ns, sysconf(_SC_NPROCESSORS_ONLN) > 1 ? SPIN_NS : 0);
	atomic_init(&loop->vacant, true);
	sem_init(&loop->wake, 0, 0);
	sem_init(&loop->deputy_wake, 0, 0);
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->ended, NULL);
	*ret = loop;
	return 0;
}

int loop_run(struct loop *loop)
{
	int r = -pthread_create(&loop->deputy, NULL, deputy_main, loop);

	if (r < 0)
		return r;
	r = worker_start(loop);
	if (r < 0)
		finish(loop, r);
	pthread_mutex_lock(&loop->lock);
	while (loop->running)
		pthread_cond_wait(&loop->ended, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
	pthread_join(loop->deputy, NULL);
	for (unsigned i = 0; i < loop->n; i++)
		pthread_join(loop->workers[i].thread, NULL);
	return loop->error;
}

static void ignore_signal(int number)
{
	(void)number;
}

void loop_kick(struct loop *loop)
{
	const struct sigaction action = { .sa_handler = ignore_signal };

	sigaction(SIGUSR2, &action, NULL);
	pthread_mutex_lock(&loop->lock);
	/* None is joined as long as one runs. */
	for (unsigned i = 0; loop->running && i < loop->n; i++)
		pthread_kill(loop->workers[i].thread, SIGUSR2);
	pthread_mutex_unlock(&loop->lock);
}

void loop_rest(struct loop *loop)
{
	atomic_store_explicit(&loop->spin_ns, 0, memory_order_relaxed);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	pthread_cond_destroy(&loop->ended);
	pthread_mutex_destroy(&loop->lock);
	sem_destroy(&loop->deputy_wake);
	sem_destroy(&loop->wake);
	free(loop);
}

/* SPDX-License-Identifier: MIT */
#include "fs/session/ring.h"
#include "fs/session/internal.h"
#include "fs/session/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PROCESSORS_MAX 32
/* More than wait for pages at a time, so that there is always one for the page that they wait for. */
#define PLACES 16 /* of a queue */
_Static_assert(PLACES >= PAGES_SERVING_MAX * 2, "enough of them serve, whatever the others wait for");
#define PAYLOAD_BYTES ((size_t)WRITE_SIZE_MAX)
#define PAGE ((size_t)4096)
/* The kernel's header, room in front of the payload for what libfuse wants to lie there, the payload. */
#define MEMORY_BYTES (2 * PAGE + PAYLOAD_BYTES)
#define KICK_EVERY_NS (5 * 1000 * 1000)

struct place {
	struct ring *ring;
	uint16_t queue;
	pthread_t thread;
	struct io_uring uring; /* the thread's */
	struct protocol_ring_header *header;
	uint8_t *payload;
	struct iovec iov[2];
	/* The request that the thread works on; 0: none. Who makes it 0 by an exchange is who answers. */
	_Atomic uint64_t unique;
	bool has_content; /* of that request: its payload is in use */
	sem_t answered;
};

struct ring {
	struct session *session;
	unsigned queues;
	unsigned n; /* places, all of which have a thread */

	pthread_mutex_t lock;
	pthread_cond_t change;
	unsigned ready, running; /* threads; under lock */
	int error;               /* of one that could not begin; under lock */
	bool go, stop;           /* under lock */
	atomic_bool serves, stopping;
	struct place places[];
};

/* The place of the calling thread. */
static _Thread_local struct place *mine;

/* ---- one place ---- */

static int place_map(struct place *p)
{
	uint8_t *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	p->header = (struct protocol_ring_header *)memory;
	p->payload = memory + 2 * PAGE;
	p->iov[0] = (struct iovec){ p->header, sizeof(*p->header) };
	p->iov[1] = (struct iovec){ p->payload, PAYLOAD_BYTES };
	return 0;
}

static void place_unmap(struct place *p)
{
	if (p->header)
		munmap(p->header, MEMORY_BYTES);
}

/* A processor that is not there yet has a queue, too: its thread runs where it can. */
static void bind_to_processor(unsigned processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static int place_init(struct place *p)
{
	/* Not DEFER_TASKRUN: a request that is on its way to a thread that is being killed would stay in its ring as long as
	 * any thread of the process lives, and one may wait for that very request (pages.c). */
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER |
						   IORING_SETUP_COOP_TASKRUN };

	bind_to_processor(p->queue);
	return io_uring_queue_init_params(1, &p->uring, &params);
}

/* A command to the kernel; there is one place in the ring, and it is free. `iov` may be NULL. */
static int command(struct place *p, uint32_t op, uint64_t commit_id, const struct iovec *iov)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&p->uring);
	const struct protocol_ring_command cmd = { .commit_id = commit_id, .qid = p->queue };

	if (!sqe)
		return -EBUSY;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fuse_session_fd(p->ring->session->fuse);
	sqe->cmd_op = op;
	if (iov) {
		sqe->addr = (uintptr_t)iov;
		sqe->len = 2;
	}
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
	return 0;
}

/* Sends the command and waits for the next request. 0, or a negative errno: the place is lost. */
static int exchange(struct place *p)
{
	struct io_uring_cqe *cqe;
	int r;

	do {
		r = io_uring_submit_and_wait(&p->uring, 1);
	} while ((r == -EINTR || r == -EAGAIN) && !atomic_load(&p->ring->stopping));
	if (r < 0)
		return r;
	while ((r = io_uring_wait_cqe(&p->uring, &cqe)) == -EINTR && !atomic_load(&p->ring->stopping))
		continue;
	if (r < 0)
		return r;
	r = cqe->res;
	io_uring_cqe_seen(&p->uring, cqe);
	return r;
}

/* Puts the request together in front of its payload, as it would have come from /dev/fuse. NULL: it is none. */
static struct fuse_in_header *assemble(struct place *p)
{
	const struct fuse_in_header *in = (const struct fuse_in_header *)p->header->in_out;
	size_t payload = p->header->entry.payload_size, head = sizeof(*in), op;
	uint8_t *request;

	if (in->len < head + payload || in->len - head - payload > sizeof(p->header->op_in))
		return NULL;
	op = in->len - head - payload;
	request = p->payload - op - head;
	memcpy(request + head, p->header->op_in, op);
	memcpy(request, in, head);
	p->has_content = payload != 0;
	return (struct fuse_in_header *)request;
}

static int serve(struct place *p)
{
	struct session *session = p->ring->session;
	uint64_t commit_id = p->header->entry.commit_id;
	struct fuse_in_header *in = assemble(p);
	struct fuse_buf buf = { .mem = in };

	if (!in)
		return -EPROTO;
	atomic_store(&p->unique, in->unique);
	buf.size = transport_take(session, in);
	fuse_session_process_buf(session->fuse, &buf);
	/* Posted by whoever answers, mostly by this thread itself. */
	while (sem_wait(&p->answered) < 0 && errno == EINTR)
		continue;
	return command(p, PROTOCOL_RING_COMMIT_AND_FETCH, commit_id, NULL);
}

/* ---- the threads ---- */

static bool may_begin(struct place *p, int r)
{
	struct ring *ring = p->ring;
	bool go;

	pthread_mutex_lock(&ring->lock);
	if (r < 0)
		ring->error = r;
	ring->ready++;
	pthread_cond_broadcast(&ring->change);
	while (!ring->go && !ring->stop)
		pthread_cond_wait(&ring->change, &ring->lock);
	go = r == 0 && !ring->stop;
	pthread_mutex_unlock(&ring->lock);
	return go;
}

static void *place_main(void *arg)
{
	struct place *p = arg;
	struct ring *ring = p->ring;
	int r = place_init(p);
	bool begun = r == 0;

	mine = p;
	(void)pthread_setname_np(pthread_self(), "lsmfs-ring");
	if (may_begin(p, r)) {
		r = command(p, PROTOCOL_RING_REGISTER, 0, p->iov);
		while (r == 0 && !atomic_load(&ring->stopping)) {
			r = exchange(p);
			if (r == 0)
				r = serve(p);
		}
		if (r < 0 && r != -ENOTCONN && r != -ECONNABORTED && !atomic_load(&ring->stopping) &&
		    !atomic_load(&ring->session->ended))
			session_log(ring->session, "a thread of the ring of processor %u ends: %s", p->queue,
				    strerror(-r));
	}
	if (begun)
		io_uring_queue_exit(&p->uring);
	pthread_mutex_lock(&ring->lock);
	ring->running--;
	pthread_cond_broadcast(&ring->change);
	pthread_mutex_unlock(&ring->lock);
	return NULL;
}

/* The kernel wants a place in the queue of each processor that there may ever be; requests come from those that run. The
 * first one has no such file where it can't be stopped. */
static bool is_online(unsigned processor)
{
	char path[64], state = '1';
	int fd;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u", processor);
	if (access(path, F_OK) < 0)
		return false;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", processor);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	if (read(fd, &state, 1) != 1)
		state = '1';
	close(fd);
	return state != '0';
}

static int start_places(struct ring *ring)
{
	for (unsigned queue = 0; queue < ring->queues; queue++) {
		unsigned places = is_online(queue) ? PLACES : 1;

		for (unsigned i = 0; i < places; i++) {
			struct place *p = &ring->places[ring->n];
			int r = place_map(p);

			p->ring = ring;
			p->queue = (uint16_t)queue;
			sem_init(&p->answered, 0, 0);
			if (r == 0)
				r = -pthread_create(&p->thread, NULL, place_main, p);
			if (r < 0) {
				sem_destroy(&p->answered);
				place_unmap(p);
				return r;
			}
			ring->n++;
			pthread_mutex_lock(&ring->lock);
			ring->running++;
			pthread_mutex_unlock(&ring->lock);
		}
	}
	return 0;
}

static int await_ready(struct ring *ring)
{
	int r;

	pthread_mutex_lock(&ring->lock);
	while (ring->ready < ring->n)
		pthread_cond_wait(&ring->change, &ring->lock);
	r = ring->error;
	pthread_mutex_unlock(&ring->lock);
	return r;
}

int ring_new(struct session *session, struct ring **ret)
{
	long queues = sysconf(_SC_NPROCESSORS_CONF);
	struct ring *ring;
	int r;

	if (queues <= 0 || queues > PROCESSORS_MAX)
		return -E2BIG;
	ring = calloc(1, sizeof(*ring) + (size_t)queues * PLACES * sizeof(ring->places[0]));
	if (!ring)
		return -ENOMEM;
	ring->session = session;
	ring->queues = (unsigned)queues;
	pthread_mutex_init(&ring->lock, NULL);
	pthread_cond_init(&ring->change, NULL);
	r = start_places(ring);
	if (r == 0)
		r = await_ready(ring);
	if (r < 0)
		ring_free(ring);
	else
		*ret = ring;
	return r;
}

void ring_begin(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->go = true;
	pthread_cond_broadcast(&ring->change);
	pthread_mutex_unlock(&ring->lock);
	atomic_store(&ring->serves, true);
}

bool ring_serves(const struct ring *ring)
{
	return ring && atomic_load(&ring->serves);
}

static void ignore_signal(int number)
{
	(void)number;
}

/* One may just go to sleep: again and again. */
static void stop(struct ring *ring)
{
	const struct sigaction action = { .sa_handler = ignore_signal };
	struct timespec until;

	sigaction(SIGUSR2, &action, NULL);
	atomic_store(&ring->stopping, true);
	pthread_mutex_lock(&ring->lock);
	ring->stop = true;
	pthread_cond_broadcast(&ring->change);
	while (ring->running) {
		for (unsigned i = 0; i < ring->n; i++)
			pthread_kill(ring->places[i].thread, SIGUSR2);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += KICK_EVERY_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_cond_timedwait(&ring->change, &ring->lock, &until);
	}
	pthread_mutex_unlock(&ring->lock);
}

void ring_free(struct ring *ring)
{
	if (!ring)
		return;
	stop(ring);
	for (unsigned i = 0; i < ring->n; i++) {
		pthread_join(ring->places[i].thread, NULL);
		sem_destroy(&ring->places[i].answered);
		place_unmap(&ring->places[i]);
	}
	pthread_cond_destroy(&ring->change);
	pthread_mutex_destroy(&ring->lock);
	free(ring);
}

/* ---- answers ---- */

static struct place *place_of(struct ring *ring, uint64_t unique)
{
	uint64_t expected = unique;

	if (mine && mine->ring == ring && atomic_compare_exchange_strong(&mine->unique, &expected, 0))
		return mine;
	for (unsigned i = 0; i < ring->n; i++) {
		expected = unique;
		if (atomic_load_explicit(&ring->places[i].unique, memory_order_relaxed) == unique &&
		    atomic_compare_exchange_strong(&ring->places[i].unique, &expected, 0))
			return &ring->places[i];
	}
	return NULL;
}

/* The first of `iov` is the header; the others are moved to where the kernel takes them from, if they aren't there. */
static void put_answer(struct place *p, const struct iovec *iov, int count)
{
	struct fuse_out_header *out = (struct fuse_out_header *)p->header->in_out;
	size_t at = 0;

	memcpy(out, iov[0].iov_base, sizeof(*out));
	for (int i = 1; i < count; i++) {
		if (iov[i].iov_len > PAYLOAD_BYTES - at) {
			*out = (struct fuse_out_header){ .len = sizeof(*out), .error = -ERANGE, .unique = out->unique };
			at = 0;
			break;
		}
		if (iov[i].iov_base != p->payload + at)
			memmove(p->payload + at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	p->header->entry.payload_size = (uint32_t)at;
}

bool ring_answer(struct ring *ring, uint64_t unique, const struct iovec *iov, int count)
{
	struct place *p = unique ? place_of(ring, unique) : NULL;

	if (!p)
		return false;
	put_answer(p, iov, count);
	sem_post(&p->answered);
	return true;
}

void *ring_answer_space(struct ring *ring, uint64_t size)
{
	if (!mine || mine->ring != ring || mine->has_content || size > PAYLOAD_BYTES || !atomic_load(&mine->unique))
		return NULL;
	return mine->payload;
}

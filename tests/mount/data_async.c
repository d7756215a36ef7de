/* SPDX-License-Identifier: MIT */
/* Several requests at once: AIO by its system calls, io_uring by liburing. */
#include "data_paths.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef HAVE_LIBURING
#include <liburing.h>
#endif

#define REQUESTS_MAX 8

struct async {
	aio_context_t aio;
#ifdef HAVE_LIBURING
	struct io_uring ring;
#endif
	bool has_aio, has_uring;
};

struct request {
	uint64_t offset;
	uint8_t *p;
	size_t n, want; /* the result must be `want` */
};

static bool uring_start(struct async *a, const char **ret_why)
{
#ifdef HAVE_LIBURING
	int r = io_uring_queue_init(REQUESTS_MAX, &a->ring, 0);

	*ret_why = strerror(-r);
	return r == 0;
#else
	(void)a;
	*ret_why = "built without liburing";
	return false;
#endif
}

void async_start(struct worker *x, bool *ret_aio, bool *ret_uring)
{
	struct async *a = calloc(1, sizeof(*a));
	const char *why;

	if (!a) {
		perror("memory");
		exit(2);
	}
	a->has_aio = syscall(SYS_io_setup, REQUESTS_MAX, &a->aio) == 0;
	if (!a->has_aio && x->me == 0)
		printf("AIO is left out: %s\n", strerror(errno));
	a->has_uring = uring_start(a, &why);
	if (!a->has_uring && x->me == 0)
		printf("io_uring is left out: %s\n", why);
	x->async = a;
	*ret_aio = a->has_aio;
	*ret_uring = a->has_uring;
}

void async_end(struct worker *x)
{
	if (x->async->has_aio)
		syscall(SYS_io_destroy, x->async->aio);
#ifdef HAVE_LIBURING
	if (x->async->has_uring)
		io_uring_queue_exit(&x->async->ring);
#endif
	free(x->async);
}

static void result(struct worker *x, const struct request *r, long got, const char *what)
{
	if (got < 0)
		errno = (int)-got;
	must_be(x, got, (long)r->want, what);
}

/* ---- AIO ---- */

static void aio_one(struct iocb *cb, bool writing, int fd, const struct request *r, uint64_t tag)
{
	*cb = (struct iocb){
		.aio_data = tag,
		.aio_lio_opcode = writing ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)fd,
		.aio_buf = (uintptr_t)r->p,
		.aio_nbytes = r->n,
		.aio_offset = (int64_t)r->offset,
	};
}

/* Submits all and waits for all. */
static void aio_run(struct worker *x, struct iocb *cbs, size_t n, long *ret_results)
{
	struct iocb *list[REQUESTS_MAX];
	struct io_event events[REQUESTS_MAX];
	size_t submitted = 0, done = 0;

	for (size_t i = 0; i < n; i++)
		list[i] = &cbs[i];
	while (submitted < n)
		submitted += (size_t)must(x, syscall(SYS_io_submit, x->async->aio, n - submitted, list + submitted),
					  "io_submit");
	while (done < n) {
		long got = must(x, syscall(SYS_io_getevents, x->async->aio, 1, n - done, events, NULL), "io_getevents");

		for (long i = 0; i < got; i++)
			ret_results[events[i].data] = (long)events[i].res;
		done += (size_t)got;
	}
}

static void aio_move(struct worker *x, bool writing, int fd, const struct request *requests, size_t n)
{
	struct iocb cbs[REQUESTS_MAX];
	long results[REQUESTS_MAX];

	for (size_t i = 0; i < n; i++)
		aio_one(&cbs[i], writing, fd, &requests[i], i);
	aio_run(x, cbs, n, results);
	for (size_t i = 0; i < n; i++)
		result(x, &requests[i], results[i], writing ? "AIO's pwrite" : "AIO's pread");
}

/* ---- io_uring ---- */

#ifdef HAVE_LIBURING

/* Waits for all that was submitted; results by tag. */
static void uring_run(struct worker *x, size_t n, long *ret_results)
{
	struct io_uring *ring = &x->async->ring;
	struct io_uring_cqe *cqe;
	int r = io_uring_submit_and_wait(ring, (unsigned)n);

	if (r < 0) {
		errno = -r;
		call_failed(x, "io_uring_submit");
	}
	for (size_t i = 0; i < n; i++) {
		r = io_uring_wait_cqe(ring, &cqe);
		if (r < 0) {
			errno = -r;
			call_failed(x, "io_uring_wait_cqe");
		}
		ret_results[io_uring_cqe_get_data64(cqe)] = cqe->res;
		io_uring_cqe_seen(ring, cqe);
	}
}

static void uring_move(struct worker *x, bool writing, int fd, const struct request *requests, size_t n)
{
	bool in_threads = rng_one_in(x->rng, 4), vectors = rng_one_in(x->rng, 2);
	struct iovec v[REQUESTS_MAX];
	long results[REQUESTS_MAX];

	for (size_t i = 0; i < n; i++) {
		const struct request *r = &requests[i];
		struct io_uring_sqe *sqe = io_uring_get_sqe(&x->async->ring);

		v[i] = (struct iovec){ r->p, r->n };
		if (vectors && writing)
			io_uring_prep_writev(sqe, fd, &v[i], 1, r->offset);
		else if (vectors)
			io_uring_prep_readv(sqe, fd, &v[i], 1, r->offset);
		else if (writing)
			io_uring_prep_write(sqe, fd, r->p, (unsigned)r->n, r->offset);
		else
			io_uring_prep_read(sqe, fd, r->p, (unsigned)r->n, r->offset);
		if (in_threads)
			io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
		io_uring_sqe_set_data64(sqe, i);
	}
	uring_run(x, n, results);
	for (size_t i = 0; i < n; i++)
		result(x, &requests[i], results[i], writing ? "io_uring's write" : "io_uring's read");
}

static long uring_one(struct worker *x, struct io_uring_sqe *sqe)
{
	long r;

	io_uring_sqe_set_data64(sqe, 0);
	uring_run(x, 1, &r);
	return r;
}

int uring_fsync(struct worker *x, int fd, bool datasync)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&x->async->ring);

	io_uring_prep_fsync(sqe, fd, datasync ? IORING_FSYNC_DATASYNC : 0);
	return (int)uring_one(x, sqe);
}

int uring_fallocate(struct worker *x, int fd, int mode, uint64_t offset, uint64_t n)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&x->async->ring);

	io_uring_prep_fallocate(sqe, fd, mode, (off_t)offset, (off_t)n);
	return (int)uring_one(x, sqe);
}

static long uring_append(struct worker *x, int fd, const uint8_t *p, size_t n)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&x->async->ring);

	io_uring_prep_write(sqe, fd, p, (unsigned)n, 0);
	return uring_one(x, sqe);
}

#else

/* can.uring is false: nobody calls these. */
static void uring_move(struct worker *x, bool writing, int fd, const struct request *requests, size_t n)
{
	(void)writing, (void)fd, (void)requests, (void)n;
	die(x, "no io_uring");
}

int uring_fsync(struct worker *x, int fd, bool datasync)
{
	(void)fd, (void)datasync;
	die(x, "no io_uring");
}

int uring_fallocate(struct worker *x, int fd, int mode, uint64_t offset, uint64_t n)
{
	(void)fd, (void)mode, (void)offset, (void)n;
	die(x, "no io_uring");
}

static long uring_append(struct worker *x, int fd, const uint8_t *p, size_t n)
{
	(void)fd, (void)p, (void)n;
	die(x, "no io_uring");
}

#endif

/* ---- both ---- */

long async_append(struct worker *x, enum async_engine engine, int fd, const uint8_t *p, size_t n)
{
	struct request r = { .p = (uint8_t *)(uintptr_t)p, .n = n, .want = n };
	struct iocb cb;
	long got;

	if (engine == ENGINE_URING)
		return uring_append(x, fd, p, n);
	aio_one(&cb, true, fd, &r, 0);
	aio_run(x, &cb, 1, &got);
	return got;
}

size_t async_move(struct worker *x, enum async_engine engine, bool writing, int fd, uint64_t offset, uint8_t *p,
		  size_t n, size_t want, size_t align)
{
	size_t count = 1 + rng_below(x->rng, REQUESTS_MAX), piece, at = 0, i = 0;
	struct request requests[REQUESTS_MAX];

	piece = (n + count - 1) / count;
	piece = (piece + align - 1) / align * align;
	for (; at < n; i++, at += piece) {
		requests[i] = (struct request){ .offset = offset + at, .p = p + at, .n = piece };
		if (requests[i].n > n - at)
			requests[i].n = n - at;
		requests[i].want = at >= want ? 0 : want - at < requests[i].n ? want - at : requests[i].n;
	}
	if (engine == ENGINE_URING)
		uring_move(x, writing, fd, requests, i);
	else
		aio_move(x, writing, fd, requests, i);
	return want;
}

/* SPDX-License-Identifier: MIT */
/*
 * Requests that can be answered only when the kernel has given up pages of the file.
 *
 * SEEK_DATA and SEEK_HOLE: the kernel asks without sending first what was stored through mappings, so what the volume
 * calls a hole may be data that the kernel still has: whoever copies the file by its holes (cp, tar -S) would lose it.
 *
 * Direct writes: the kernel drops the pages concerned when it sends one. When the write is asynchronous (AIO), and
 * meanwhile somebody reads or reads ahead, the old bytes are in its cache again, for good.
 *
 * To give up a page, the kernel may have to wait for answers of ours: for a READ that fills it, a WRITE that empties it.
 * So of the threads that serve requests only some may wait for this at a time; the rest is left to a thread of its own.
 */
#include "fs/session/internal.h"
#include "fs/session/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum job_kind { JOB_SEEK, JOB_WRITTEN };

struct job {
	struct job *next;
	enum job_kind kind;
	fuse_req_t req; /* NULL: it is answered */
	fuse_ino_t node;
	uint64_t offset;
	size_t size; /* JOB_WRITTEN */
	int whence;  /* JOB_SEEK */
};

struct pages {
	struct session *session;
	pthread_t thread;
	atomic_uint serving; /* threads that serve requests and wait for pages */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job *first, **last; /* under lock */
	bool stop;                 /* under lock */
};

static int drop_pages(struct session *session, fuse_ino_t node, uint64_t begin, uint64_t end)
{
	int r = fuse_lowlevel_notify_inval_inode(session->fuse, node, (off_t)begin, (off_t)(end - begin));

	return r == -ENOENT ? 0 : r; /* the kernel doesn't know the inode: it has no pages */
}

/* What the volume says, and the hole that this speaks of: up to the next data or the end of the file; or none. */
struct answer {
	int r;
	uint64_t found, hole_begin, hole_end;
};

static int end_of_hole(struct volume *volume, vol_ino ino, uint64_t begin, uint64_t *ret)
{
	struct vol_attr attr;
	int r = volume_seek(volume, ino, begin, SEEK_DATA, ret);

	if (r != -ENXIO)
		return r;
	r = volume_getattr(volume, ino, &attr);
	if (r == 0)
		*ret = attr.size > begin ? attr.size : begin;
	return r;
}

static struct answer ask(struct volume *volume, vol_ino ino, uint64_t offset, int whence)
{
	struct answer a = { 0 };
	int r = 0;

	a.r = volume_seek(volume, ino, offset, whence, &a.found);
	if (whence == SEEK_DATA && (a.r == 0 || a.r == -ENXIO)) {
		a.hole_begin = offset;
		a.hole_end = a.found;
		if (a.r == -ENXIO)
			r = end_of_hole(volume, ino, offset, &a.hole_end);
	} else if (a.r == 0) {
		a.hole_begin = a.found;
		r = end_of_hole(volume, ino, a.found, &a.hole_end);
	}
	if (r < 0)
		a = (struct answer){ .r = r };
	return a;
}

static void reply_seek(fuse_req_t req, const struct answer *a)
{
	if (a->r < 0)
		fuse_reply_err(req, -a->r);
	else
		fuse_reply_lseek(req, (off_t)a->found);
}

/* Asks until the hole of the answer is one that the kernel has no pages of. A kernel that gathers writes may know of a
 * later end of the file, too. */
static void run_seek(struct session *session, const struct job *job)
{
	uint64_t begin = 0, end = 0; /* no pages there */
	struct answer a;
	int r;

	if (session->options.writeback && drop_pages(session, job->node, job->offset, INT64_MAX) == 0) {
		begin = job->offset;
		end = INT64_MAX;
	}
	for (;;) {
		a = ask(session->volume, ino_of_node(job->node), job->offset, job->whence);
		if (a.hole_begin == a.hole_end || (a.hole_begin >= begin && a.hole_end <= end))
			break;
		begin = a.hole_begin;
		end = a.hole_end;
		r = drop_pages(session, job->node, begin, end);
		if (r < 0) {
			a.r = r;
			break;
		}
	}
	reply_seek(job->req, &a);
}

/* It is written: that the pages could not be dropped, with a mount that is going away, changes nothing. */
static void run_written(struct session *session, const struct job *job)
{
	(void)drop_pages(session, job->node, job->offset, job->offset + job->size);
	if (job->req)
		fuse_reply_write(job->req, job->size);
}

static void run(struct session *session, const struct job *job)
{
	if (job->kind == JOB_SEEK)
		run_seek(session, job);
	else
		run_written(session, job);
}

static struct job *next_job(struct pages *pages)
{
	struct job *job;

	pthread_mutex_lock(&pages->lock);
	while (!pages->first && !pages->stop)
		pthread_cond_wait(&pages->work, &pages->lock);
	job = pages->first;
	if (job) {
		pages->first = job->next;
		if (!pages->first)
			pages->last = &pages->first;
	}
	pthread_mutex_unlock(&pages->lock);
	return job;
}

static void *pages_main(void *arg)
{
	struct pages *pages = arg;
	struct job *job;

	while ((job = next_job(pages)) != NULL) {
		run(pages->session, job);
		free(job);
	}
	return NULL;
}

int pages_start(struct session *session)
{
	struct pages *pages = calloc(1, sizeof(*pages));
	int r;

	if (!pages)
		return -ENOMEM;
	pages->session = session;
	pages->last = &pages->first;
	atomic_init(&pages->serving, 0);
	pthread_mutex_init(&pages->lock, NULL);
	pthread_cond_init(&pages->work, NULL);
	session->pages = pages;
	r = -pthread_create(&pages->thread, NULL, pages_main, pages);
	if (r < 0) {
		session->pages = NULL;
		free(pages);
	}
	return r;
}

void pages_stop(struct session *session)
{
	struct pages *pages = session->pages;

	if (!pages)
		return;
	pthread_mutex_lock(&pages->lock);
	pages->stop = true;
	pthread_cond_signal(&pages->work);
	pthread_mutex_unlock(&pages->lock);
	pthread_join(pages->thread, NULL);
	pthread_mutex_destroy(&pages->lock);
	pthread_cond_destroy(&pages->work);
	free(pages);
	session->pages = NULL;
}

static void leave_to_thread(struct pages *pages, const struct job *job)
{
	struct job *copy = malloc(sizeof(*copy));

	if (!copy) {
		if (job->req)
			fuse_reply_err(job->req, ENOMEM);
		return;
	}
	*copy = *job;
	pthread_mutex_lock(&pages->lock);
	*pages->last = copy;
	pages->last = &copy->next;
	pthread_cond_signal(&pages->work);
	pthread_mutex_unlock(&pages->lock);
}

/* As a file system without holes may answer. */
static void reply_all_data(struct session *session, const struct job *job)
{
	struct vol_attr attr;
	struct answer a = { .r = volume_getattr(session->volume, ino_of_node(job->node), &attr) };

	if (a.r == 0 && job->offset >= attr.size)
		a.r = -ENXIO;
	else if (a.r == 0)
		a.found = job->whence == SEEK_DATA ? job->offset : attr.size;
	reply_seek(job->req, &a);
}

/* A request keeps its place in the ring until it is answered, and the page that it would wait for may need one: too many
 * don't wait. */
static void answer_first(struct session *session, const struct job *job)
{
	struct job rest = *job;

	if (job->kind == JOB_SEEK) {
		reply_all_data(session, job);
		return;
	}
	rest.req = NULL;
	fuse_reply_write(job->req, job->size);
	leave_to_thread(session->pages, &rest);
}

static void run_here_or_there(struct session *session, const struct job *job)
{
	struct pages *pages = session->pages;

	if (atomic_fetch_add(&pages->serving, 1) < PAGES_SERVING_MAX)
		run(session, job);
	else if (ring_serves(session->ring))
		answer_first(session, job);
	else
		leave_to_thread(pages, job);
	atomic_fetch_sub(&pages->serving, 1);
}

int pages_learn_size(struct session *session, fuse_ino_t node)
{
	struct pages *pages = session->pages;
	int r = -EAGAIN;

	if (atomic_fetch_add(&pages->serving, 1) < PAGES_SERVING_MAX)
		r = drop_pages(session, node, 0, INT64_MAX);
	atomic_fetch_sub(&pages->serving, 1);
	return r;
}

void op_lseek(fuse_req_t req, fuse_ino_t node, off_t offset, int whence, struct fuse_file_info *fi)
{
	const struct job job = {
		.kind = JOB_SEEK, .req = req, .node = node, .offset = (uint64_t)offset, .whence = whence
	};

	(void)fi;
	run_here_or_there(session_of(req), &job);
}

void reply_written_direct(fuse_req_t req, fuse_ino_t node, off_t offset, size_t size)
{
	const struct job job = {
		.kind = JOB_WRITTEN, .req = req, .node = node, .offset = (uint64_t)offset, .size = size
	};

	run_here_or_there(session_of(req), &job);
}

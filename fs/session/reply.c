/* SPDX-License-Identifier: MIT */
/* What all requests need: the session, the answer with an inode, reclaiming, memory of the thread. */
#include "fs/session/internal.h"
#include "fs/session/ring.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session *session_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

void session_log(const struct session *session, const char *format, ...)
{
	char line[1024];
	va_list args;

	if (!session->options.log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	session->options.log(session->options.ctx, line);
}

static void reclaim(struct session *session, vol_ino ino)
{
	int r = volume_reclaim(session->volume, ino);

	/* Its rows stay, as an orphan: the next mount tries again. */
	if (r < 0)
		session_log(session,
			    "inode %llu is deleted but its space can't be freed yet: %s; the next mount will try again",
			    (unsigned long long)ino, strerror(-r));
}

void inode_gone(struct session *session, const struct vol_gone *gone)
{
	if (gone->ino && inode_table_orphan(session->inodes, gone->ino))
		reclaim(session, gone->ino);
}

void inode_unref(struct session *session, vol_ino ino, uint64_t n)
{
	if (ino != VOL_ROOT && inode_table_unref(session->inodes, ino, n))
		reclaim(session, ino);
}

void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t n)
{
	inode_unref(session_of(req), ino_of_node(node), n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		inode_unref(session_of(req), ino_of_node(forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}

/*
 * Counts the look-up of the inode just found. Between the finding and the counting it may have lost its last name and,
 * as nobody seemed to know it, its rows; the epoch tells that this may be so, and then the volume is asked again. (The
 * kernel's directory locks exclude it, except for look-ups that revalidate or come by a file handle.)
 */
static int count_lookup(struct session *session, uint64_t epoch, const struct vol_attr *attr)
{
	struct vol_attr again;
	int r;

	if (attr->ino == VOL_ROOT)
		return 0;
	r = inode_table_ref(session->inodes, attr->ino);
	if (r < 0 || inode_table_epoch(session->inodes) == epoch)
		return r;
	r = volume_getattr(session->volume, attr->ino, &again);
	if (!r && !again.nlink)
		r = -ENOENT;
	if (r < 0)
		inode_unref(session, attr->ino, 1);
	return r;
}

void reply_inode(fuse_req_t req, uint64_t epoch, const struct vol_attr *attr)
{
	struct session *session = session_of(req);
	struct fuse_entry_param entry;
	int r = count_lookup(session, epoch, attr);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	attr_to_entry(attr, &entry);
	/* The request was given up meanwhile: the kernel will not forget what it was not told. */
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		inode_unref(session, attr->ino, 1);
}

void reply_nameless(fuse_req_t req, const struct vol_attr *attr, const struct fuse_file_info *fi)
{
	struct session *session = session_of(req);
	struct fuse_entry_param entry;
	int r = inode_table_ref(session->inodes, attr->ino);

	/* It is the kernel's alone. If it gets a name, reclaiming it will find that it has one. */
	inode_gone(session, &(struct vol_gone){ .ino = attr->ino });
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	attr_to_entry(attr, &entry);
	if (fuse_reply_create(req, &entry, fi) == -ENOENT)
		inode_unref(session, attr->ino, 1);
}

void reply_done(fuse_req_t req, int r)
{
	fuse_reply_err(req, -r);
}

int names_changed(struct session *session, int r)
{
	return r == 0 && session->options.sync_names ? volume_sync(session->volume) : r;
}

/* Threads of the loop come and go: their memory goes with them. */
struct scratch {
	void *data;
	size_t size;
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static int scratch_error;

static void scratch_free(void *arg)
{
	struct scratch *scratch = arg;

	free(scratch->data);
	free(scratch);
}

static void scratch_init(void)
{
	scratch_error = pthread_key_create(&scratch_key, scratch_free);
}

void *scratch_buffer(size_t size)
{
	struct scratch *scratch;

	pthread_once(&scratch_once, scratch_init);
	if (scratch_error)
		return NULL;
	scratch = pthread_getspecific(scratch_key);
	if (!scratch) {
		scratch = calloc(1, sizeof(*scratch));
		if (!scratch)
			return NULL;
		if (pthread_setspecific(scratch_key, scratch)) {
			free(scratch);
			return NULL;
		}
	}
	if (scratch->size < size) {
		void *data = malloc(size);
		if (!data)
			return NULL;
		free(scratch->data);
		scratch->data = data;
		scratch->size = size;
	}
	return scratch->data;
}

void *answer_buffer(fuse_req_t req, size_t size)
{
	struct ring *ring = session_of(req)->ring;
	void *space = ring ? ring_answer_space(ring, size) : NULL;

	return space ? space : scratch_buffer(size ? size : 1);
}

/* SPDX-License-Identifier: MIT */
/* Requests that list directories. The volume's cookies are stable, so the kernel may keep listings. */
#include "fs/session/internal.h"

#include <errno.h>
#include <string.h>

/* See op_open(). */
void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi)
{
	(void)node;
	if (session_of(req)->no_opendir) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fi->cache_readdir = 1;
	fuse_reply_open(req, fi);
}

/* An answer under way. */
struct listing {
	fuse_req_t req;
	struct session *session;
	char *buf;
	size_t size, used;
	vol_ino *counted; /* with plus: the inodes whose look-up was counted for this answer */
	size_t n_counted;
	int error;
};

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static bool add_entry(void *ctx, const struct vol_entry *entry)
{
	struct listing *listing = ctx;
	const struct stat st = { .st_ino = entry->ino, .st_mode = entry->type };
	size_t need = fuse_add_direntry(listing->req, listing->buf + listing->used, listing->size - listing->used,
					entry->name, &st, (off_t)entry->cookie);

	if (need > listing->size - listing->used)
		return false;
	listing->used += need;
	return true;
}

/*
 * The look-up of each entry is counted before the kernel sees it. No entry can lose its name meanwhile: the kernel
 * holds the directory's lock while it lists.
 */
static bool add_entry_plus(void *ctx, const struct vol_entry *entry)
{
	struct listing *listing = ctx;
	struct fuse_entry_param param = { .attr = { .st_ino = entry->ino, .st_mode = entry->type } };
	bool count = !is_dot(entry->name) && entry->attr;
	size_t need;

	if (count)
		attr_to_entry(entry->attr, &param);
	need = fuse_add_direntry_plus(listing->req, listing->buf + listing->used, listing->size - listing->used,
				      entry->name, &param, (off_t)entry->cookie);
	if (need > listing->size - listing->used)
		return false;
	if (count) {
		listing->error = inode_table_ref(listing->session->inodes, entry->ino);
		if (listing->error)
			return false;
		listing->counted[listing->n_counted++] = entry->ino;
	}
	listing->used += need;
	return true;
}

static void list(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, bool plus)
{
	/* In an answer with attributes an entry takes at least 152 bytes; 8 of memory beside it hold its number. */
	const size_t entries_max = size / 128 + 1;
	struct listing listing = { .req = req, .session = session_of(req), .size = size };
	char *memory = scratch_buffer(entries_max * sizeof(vol_ino) + size);
	int r = -ENOMEM;

	if (memory) {
		listing.counted = (vol_ino *)(void *)memory;
		listing.buf = memory + entries_max * sizeof(vol_ino);
		r = volume_readdir(listing.session->volume, ino_of_node(node), (uint64_t)offset, plus,
				   plus ? add_entry_plus : add_entry, &listing);
	}
	if (!r && !transport_request()->no_atime)
		volume_accessed(listing.session->volume, ino_of_node(node));
	if (!r)
		r = listing.error;
	/* What is in the buffer is good: the error comes with the next request. */
	if (r < 0 && !listing.used)
		r = fuse_reply_err(req, -r);
	else
		r = fuse_reply_buf(req, listing.buf, listing.used);
	if (r < 0) {
		for (size_t i = 0; i < listing.n_counted; i++)
			inode_unref(listing.session, listing.counted[i], 1);
	}
}

void op_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, node, size, offset, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	list(req, node, size, offset, true);
}

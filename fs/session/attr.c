/* SPDX-License-Identifier: MIT */
/* The volume's attributes and inode numbers as FUSE wants them. */
#include "fs/session/internal.h"
#include "fs/session/protocol.h"

#include <sys/sysmacros.h>

/* What stdio and cp take as the size of their buffers: a write is a request, so make it worth one. */
#define IO_SIZE_PREFERRED 65536

vol_ino ino_of_node(fuse_ino_t node)
{
	return node == FUSE_ROOT_ID ? VOL_ROOT : node;
}

fuse_ino_t node_of_ino(vol_ino ino)
{
	return ino == VOL_ROOT ? FUSE_ROOT_ID : ino;
}

void attr_to_stat(const struct vol_attr *attr, struct stat *ret)
{
	*ret = (struct stat){
		.st_ino = attr->ino,
		.st_mode = attr->mode,
		.st_nlink = attr->nlink,
		.st_uid = attr->uid,
		.st_gid = attr->gid,
		.st_rdev = attr->rdev,
		.st_size = (off_t)attr->size,
		.st_blksize = IO_SIZE_PREFERRED,
		.st_blocks = (blkcnt_t)(attr->allocated_bytes / 512 + (attr->allocated_bytes % 512 != 0)),
		.st_atim = attr->atime,
		.st_mtim = attr->mtime,
		.st_ctim = attr->ctime,
	};
}

void attr_to_entry(const struct vol_attr *attr, struct fuse_entry_param *ret)
{
	*ret = (struct fuse_entry_param){
		.ino = node_of_ino(attr->ino),
		.generation = attr->generation,
		.attr_timeout = CACHE_SECONDS,
		.entry_timeout = CACHE_SECONDS,
	};
	attr_to_stat(attr, &ret->attr);
}

static struct protocol_time time_of(struct timespec t)
{
	return (struct protocol_time){ .tv_sec = t.tv_sec, .tv_nsec = (uint32_t)t.tv_nsec };
}

void attr_to_statx(const struct vol_attr *attr, struct protocol_statx_out *ret)
{
	struct stat st;

	attr_to_stat(attr, &st);
	*ret = (struct protocol_statx_out){
		.attr_valid = (uint64_t)CACHE_SECONDS,
		.stat = {
			.mask = STATX_BASIC_STATS | STATX_BTIME,
			.blksize = (uint32_t)st.st_blksize,
			.nlink = attr->nlink,
			.uid = attr->uid,
			.gid = attr->gid,
			.mode = (uint16_t)attr->mode,
			.ino = attr->ino,
			.size = attr->size,
			.blocks = (uint64_t)st.st_blocks,
			.atime = time_of(attr->atime),
			.btime = time_of(attr->btime),
			.ctime = time_of(attr->ctime),
			.mtime = time_of(attr->mtime),
			.rdev_major = major(st.st_rdev),
			.rdev_minor = minor(st.st_rdev),
		},
	};
}

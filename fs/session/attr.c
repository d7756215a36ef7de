/* SPDX-License-Identifier: MIT */
/* The volume's attributes and inode numbers as FUSE wants them. */
#include "fs/session/internal.h"

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

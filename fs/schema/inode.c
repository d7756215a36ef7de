/* SPDX-License-Identifier: MIT */
#include "fs/schema/schema.h"

#include <assert.h>
#include <sys/stat.h>

#include "fs/schema/coding.h"

/*
 * format (1 byte) · flags (1 byte) · mode · nlink · uid · gid · generation · xattrs · mtime · those of atime, ctime,
 * btime that are not the same as mtime · flags of chattr, if there are any · what the type needs · content. Integers are varints; a time is zigzag seconds
 * and nanoseconds.
 */
#define FORMAT 1

#define FLAG_INLINED (1u << 0)
#define FLAG_ATIME_SAME (1u << 1)
#define FLAG_CTIME_SAME (1u << 2)
#define FLAG_BTIME_SAME (1u << 3)
#define FLAG_HAS_FLAGS (1u << 4)
#define FLAGS_KNOWN 0x1fu

static bool has_content(const struct schema_inode *inode)
{
	return S_ISLNK(inode->mode) || (S_ISREG(inode->mode) && inode->file.inlined);
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static uint8_t *put_time(uint8_t *p, struct timespec t)
{
	p = put_varint(p, zigzag(t.tv_sec));
	return put_varint(p, (uint64_t)t.tv_nsec);
}

static struct timespec take_time(struct reader *r)
{
	struct timespec t;

	t.tv_sec = unzigzag(take_varint(r, UINT64_MAX));
	t.tv_nsec = (long)take_varint(r, 999999999);
	return t;
}

static uint8_t inode_flags(const struct schema_inode *inode)
{
	unsigned flags = 0;

	if (S_ISREG(inode->mode) && inode->file.inlined)
		flags |= FLAG_INLINED;
	if (same_time(inode->atime, inode->mtime))
		flags |= FLAG_ATIME_SAME;
	if (same_time(inode->ctime, inode->mtime))
		flags |= FLAG_CTIME_SAME;
	if (same_time(inode->btime, inode->mtime))
		flags |= FLAG_BTIME_SAME;
	if (inode->flags)
		flags |= FLAG_HAS_FLAGS;
	return (uint8_t)flags;
}

static uint8_t *put_type_fields(uint8_t *p, const struct schema_inode *inode)
{
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		p = put_varint(p, inode->file.size);
		return put_varint(p, inode->file.allocated_bytes);
	case S_IFDIR:
		p = put_varint(p, inode->dir.parent);
		p = put_varint(p, inode->dir.birth_part);
		p = put_varint(p, inode->dir.birth_next);
		return put_varint(p, inode->dir.entries);
	case S_IFCHR:
	case S_IFBLK:
		return put_varint(p, inode->rdev);
	default:
		return p;
	}
}

size_t schema_inode_encode(const struct schema_inode *inode, uint8_t *buf)
{
	uint8_t flags = inode_flags(inode), *p = buf;

	*p++ = FORMAT;
	*p++ = flags;
	p = put_varint(p, inode->mode);
	p = put_varint(p, inode->nlink);
	p = put_varint(p, inode->uid);
	p = put_varint(p, inode->gid);
	p = put_varint(p, inode->generation);
	p = put_varint(p, inode->xattrs);
	p = put_time(p, inode->mtime);
	if (!(flags & FLAG_ATIME_SAME))
		p = put_time(p, inode->atime);
	if (!(flags & FLAG_CTIME_SAME))
		p = put_time(p, inode->ctime);
	if (!(flags & FLAG_BTIME_SAME))
		p = put_time(p, inode->btime);
	if (flags & FLAG_HAS_FLAGS)
		p = put_varint(p, inode->flags);
	p = put_type_fields(p, inode);
	assert(p - buf <= SCHEMA_INODE_HEAD_MAX);
	if (has_content(inode) && inode->content_size > 0) {
		memcpy(p, inode->content, inode->content_size);
		p += inode->content_size;
	}
	return (size_t)(p - buf);
}

static void take_type_fields(struct reader *r, uint8_t flags, struct schema_inode *inode)
{
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		inode->file.size = take_varint(r, INT64_MAX);
		inode->file.allocated_bytes = take_varint(r, INT64_MAX);
		inode->file.inlined = flags & FLAG_INLINED;
		break;
	case S_IFDIR:
		inode->dir.parent = take_varint(r, UINT64_MAX);
		inode->dir.birth_part = take_varint(r, SCHEMA_PART_END - 1);
		inode->dir.birth_next = (uint32_t)take_varint(r, SCHEMA_SEQUENCE_END);
		inode->dir.entries = take_varint(r, INT64_MAX);
		/* part 0 has no inodes: a birth there would be put among the superblock and the orphans */
		if (schema_ino_sequence(inode->dir.parent) != 0 || schema_ino_part(inode->dir.parent) == 0 ||
		    inode->dir.birth_part == 0 || inode->dir.birth_next == 0)
			r->bad = true;
		break;
	case S_IFCHR:
	case S_IFBLK:
		inode->rdev = take_varint(r, UINT64_MAX);
		break;
	case S_IFLNK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		r->bad = true;
	}
}

static bool content_is_sane(const struct schema_inode *inode)
{
	if (S_ISLNK(inode->mode))
		return inode->content_size > 0 && inode->content_size <= SCHEMA_SYMLINK_MAX &&
		       !memchr(inode->content, 0, inode->content_size);
	if (has_content(inode))
		return inode->content_size <= SCHEMA_INLINE_MAX && inode->content_size <= inode->file.size &&
		       inode->file.allocated_bytes == inode->content_size;
	return inode->content_size == 0;
}

int schema_inode_decode(const uint8_t *data, size_t size, struct schema_inode *ret)
{
	struct reader r = { .data = data, .size = size };
	struct schema_inode inode = { 0 };
	uint8_t flags;

	if (take_byte(&r) != FORMAT)
		return -EUCLEAN;
	flags = take_byte(&r);
	if (flags & ~FLAGS_KNOWN)
		return -EUCLEAN;
	inode.mode = (uint32_t)take_varint(&r, S_IFMT | 07777);
	inode.nlink = (uint32_t)take_varint(&r, UINT32_MAX);
	inode.uid = (uint32_t)take_varint(&r, UINT32_MAX);
	inode.gid = (uint32_t)take_varint(&r, UINT32_MAX);
	inode.generation = (uint32_t)take_varint(&r, UINT32_MAX);
	inode.xattrs = (uint32_t)take_varint(&r, UINT32_MAX);
	inode.mtime = take_time(&r);
	inode.atime = flags & FLAG_ATIME_SAME ? inode.mtime : take_time(&r);
	inode.ctime = flags & FLAG_CTIME_SAME ? inode.mtime : take_time(&r);
	inode.btime = flags & FLAG_BTIME_SAME ? inode.mtime : take_time(&r);
	if (flags & FLAG_HAS_FLAGS) {
		inode.flags = (uint32_t)take_varint(&r, SCHEMA_FLAGS_ALL);
		if (!inode.flags)
			return -EUCLEAN;
	}
	take_type_fields(&r, flags, &inode);
	if (r.bad || (flags & FLAG_INLINED && !S_ISREG(inode.mode)))
		return -EUCLEAN;
	inode.content = r.data;
	inode.content_size = r.size;
	if (!content_is_sane(&inode))
		return -EUCLEAN;
	*ret = inode;
	return 0;
}

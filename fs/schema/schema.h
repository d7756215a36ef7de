/* SPDX-License-Identifier: MIT */
#ifndef LSMFS_SCHEMA_H
#define LSMFS_SCHEMA_H
/*
 * schema - how a volume lies on rows: the keys and the encodings of the values. Pure functions, no I/O. The bytes are
 * described in docs/FORMATS.md.
 *
 * A key is part (8 bytes, big-endian) · kind (1 byte) · rest:
 *
 *	part 'd' hash(8)               bucket: the entries of a directory whose names have this hash
 *	part 'e' sequence(4) offset(8) extent: bytes of a regular file
 *	part 'i' sequence(4)           inode, with the content of a small file or the target of a symbolic link
 *	part 'x' sequence(4) name      extended attribute
 *	0 's'                          superblock
 *	0 'c'                          the first part that was never given out
 *	0 'o' inode(8)                 orphan: an inode without a name whose rows are still there
 *
 * A name is found by its hash, and the bucket of that hash holds all entries which share it (hardly ever more than
 * one). Each entry has a slot in its bucket for as long as it lives, so hash and slot together make a readdir cookie
 * that is unique and stays the same whatever happens around it, without a second row.
 *
 * Decoders trust nothing: they return -EUCLEAN for bytes that no encoder makes, and never read outside them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define SCHEMA_SEQUENCE_BITS 24
#define SCHEMA_SEQUENCE_END (1u << SCHEMA_SEQUENCE_BITS) /* the first number that is not a sequence */
#define SCHEMA_PART_END (UINT64_C(1) << 40)              /* likewise for parts */
#define SCHEMA_PART_ROOT UINT64_C(1)

static inline uint64_t schema_ino(uint64_t part, uint32_t sequence)
{
	return part << SCHEMA_SEQUENCE_BITS | sequence;
}

static inline uint64_t schema_ino_part(uint64_t ino)
{
	return ino >> SCHEMA_SEQUENCE_BITS;
}

static inline uint32_t schema_ino_sequence(uint64_t ino)
{
	return (uint32_t)(ino & (SCHEMA_SEQUENCE_END - 1));
}

/* ---- keys ---- */

#define SCHEMA_NAME_MAX 255
#define SCHEMA_KEY_MAX (8 + 1 + 4 + SCHEMA_NAME_MAX)

struct schema_key {
	size_t size;
	uint8_t data[SCHEMA_KEY_MAX];
};

void schema_key_super(struct schema_key *key);
void schema_key_parts(struct schema_key *key);
void schema_key_orphan(struct schema_key *key, uint64_t ino);
void schema_key_bucket(struct schema_key *key, uint64_t dir, uint64_t hash);
void schema_key_inode(struct schema_key *key, uint64_t ino);
void schema_key_extent(struct schema_key *key, uint64_t ino, uint64_t offset);
void schema_key_xattr(struct schema_key *key, uint64_t ino, const char *name, size_t name_size);

/* The first key behind all keys of that kind: upper bounds of scans. */
void schema_key_orphan_end(struct schema_key *key);
void schema_key_bucket_end(struct schema_key *key, uint64_t dir);
void schema_key_extent_end(struct schema_key *key, uint64_t ino);
void schema_key_xattr_end(struct schema_key *key, uint64_t ino);

int schema_orphan_of_key(const void *key, size_t size, uint64_t *ret_ino);
int schema_bucket_of_key(const void *key, size_t size, uint64_t *ret_hash);
int schema_extent_of_key(const void *key, size_t size, uint64_t *ret_offset);
/* The name has no NUL behind it and lies in the key. */
int schema_xattr_of_key(const void *key, size_t size, const char **ret_name, size_t *ret_size);

/* ---- buckets of directory entries ---- */

#define SCHEMA_HASH_BITS 56
#define SCHEMA_SLOTS 128 /* entries of one bucket; slot and hash make 63 bits, so a cookie is a positive off_t */
#define SCHEMA_ENTRY_MAX (1 + 1 + 10 + 1 + SCHEMA_NAME_MAX)

struct schema_entry {
	uint8_t slot;
	uint32_t type; /* S_IFMT bits */
	uint64_t ino;
	const char *name; /* without a NUL */
	size_t name_size;
};

/* 1 to 2^56 - 1 */
uint64_t schema_name_hash(const char *name, size_t size, uint64_t seed);

static inline uint64_t schema_cookie(uint64_t hash, uint8_t slot)
{
	return hash * SCHEMA_SLOTS | slot;
}

/* `buf` has SCHEMA_ENTRY_MAX bytes; returns the bytes used. */
size_t schema_entry_encode(const struct schema_entry *entry, uint8_t *buf);
/* Decodes the entry at `*pos` of a bucket and moves `*pos` behind it. 1; 0 at the end; -EUCLEAN. Slots ascend. */
int schema_entry_next(const uint8_t *bucket, size_t size, size_t *pos, struct schema_entry *ret);

/* ---- inodes ---- */

#define SCHEMA_INLINE_MAX 3584 /* content of a regular file in its inode row: with the head, below a 4 KiB value */
#define SCHEMA_SYMLINK_MAX 4095
#define SCHEMA_INODE_HEAD_MAX 176
#define SCHEMA_INODE_MAX (SCHEMA_INODE_HEAD_MAX + SCHEMA_SYMLINK_MAX)

/* What chattr(1) sets. */
#define SCHEMA_FLAG_IMMUTABLE (1u << 0)
#define SCHEMA_FLAG_APPEND (1u << 1)
#define SCHEMA_FLAG_NODUMP (1u << 2)
#define SCHEMA_FLAG_NOATIME (1u << 3)
#define SCHEMA_FLAGS_ALL 0xfu
#define SCHEMA_FLAGS_INHERITED (SCHEMA_FLAG_NODUMP | SCHEMA_FLAG_NOATIME) /* by what is made in a directory */

struct schema_inode {
	uint32_t mode, nlink, uid, gid, generation;
	uint32_t xattrs; /* how many rows there are */
	uint32_t flags;  /* SCHEMA_FLAG_… */
	struct timespec atime, mtime, ctime, btime;
	union {
		struct {
			uint64_t size, allocated_bytes;
			bool inlined; /* the bytes are `content`, followed by zeros up to size; else in extents */
		} file;
		struct {
			uint64_t parent;     /* inode number of ".." */
			uint64_t birth_part; /* where the next file that is made here gets its number from */
			uint32_t birth_next; /* its sequence there; SCHEMA_SEQUENCE_END: a further part is due */
			uint64_t entries;    /* without "." and ".." */
		} dir;
		uint64_t rdev; /* of devices */
	};
	const uint8_t *content; /* borrowed: of an inlined file, or a symbolic link's target */
	size_t content_size;
};

/* `buf` has SCHEMA_INODE_MAX bytes; returns the bytes used. */
size_t schema_inode_encode(const struct schema_inode *inode, uint8_t *buf);
/* `ret->content` lies in `data`. */
int schema_inode_decode(const uint8_t *data, size_t size, struct schema_inode *ret);

/* ---- access control lists ---- */

#define SCHEMA_ACL_MAX 4096 /* more than a page the kernel can't take */

/* 0; -EINVAL: not a list; -E2BIG. All others want one that is good and not empty. */
int schema_acl_check(const void *acl, size_t size);
/* Without a single entry a good list is none: setting it means to remove what is there. */
bool schema_acl_is_empty(size_t size);
/* Sets the permission bits of `*mode` to what the list says. Returns whether it says more than they can. */
bool schema_acl_to_mode(const void *acl, size_t size, uint32_t *mode);
/* Makes the list say what the permission bits of `mode` say: they are the owner's, the mask's and the others' entries. */
void schema_acl_chmod(void *acl, size_t size, uint32_t mode);
/* Makes the list of a new object out of a directory's default: nothing is granted that `*mode`, which its maker asked
 * for, doesn't. Then as schema_acl_to_mode(). */
bool schema_acl_inherit(void *acl, size_t size, uint32_t *mode);

/* ---- superblock and the counter of parts ---- */

/* features_incompat */
#define SCHEMA_FEATURE_ACL (UINT64_C(1) << 0) /* objects have access control lists: modes don't tell all */
#define SCHEMA_FEATURE_FLAGS (UINT64_C(1) << 1) /* inodes have SCHEMA_FLAG_…, which must be minded */

#define SCHEMA_VERSION 1
#define SCHEMA_SUPER_SIZE 72
#define SCHEMA_PARTS_SIZE 8

struct schema_super {
	uint32_t version;
	uint64_t features_incompat; /* unknown ones: don't touch */
	uint64_t features_ro;       /* unknown ones: don't write */
	uint64_t seed;              /* of the hash of names */
	uint8_t uuid[16];
	int64_t created; /* seconds since 1970 */
};

void schema_super_encode(const struct schema_super *super, uint8_t buf[SCHEMA_SUPER_SIZE]);
/* -EUCLEAN also for an unknown version or an unknown bit in features_incompat. */
int schema_super_decode(const uint8_t *data, size_t size, struct schema_super *ret);
/* Whether features_ro has bits that this version doesn't know. */
bool schema_super_must_not_write(const struct schema_super *super);

void schema_parts_encode(uint64_t next, uint8_t buf[SCHEMA_PARTS_SIZE]);
int schema_parts_decode(const uint8_t *data, size_t size, uint64_t *ret_next);

#endif

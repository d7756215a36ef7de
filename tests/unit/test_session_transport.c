/* SPDX-License-Identifier: MIT */
/*
 * The session under a kernel that is made up here: requests as bytes on a socket, so that also old kernels can be had,
 * and requests that this machine's kernel doesn't send.
 */
#include "tests/support/volume_fixture.h"

#include "fs/session/internal.h"
#include "fs/session/protocol.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/socket.h>
#include <unistd.h>

#define OFFER_ALL UINT32_C(0x73fffffb) /* Linux 6.18 */
/* What libfuse 3.14 doesn't ask for, and we do. */
#define BEYOND_LIBFUSE ((uint32_t)FUSE_PARALLEL_DIROPS | FUSE_SETXATTR_EXT | FUSE_HANDLE_KILLPRIV_V2)

struct kernel {
	struct fixture f;
	struct session *session;
	int fd;
	uint64_t unique;
	struct fuse_buf buf;
	uint32_t init_flags; /* as answered */
	/* the last answer */
	int error;
	size_t size; /* of what is behind the header */
	union {
		struct fuse_init_out init;
		struct fuse_entry_out entry;
		struct fuse_attr_out attr;
		struct protocol_statx_out statx;
		char data[65536];
	} out;
};

static void serve(struct kernel *k)
{
	assert_true(fuse_session_receive_buf(k->session->fuse, &k->buf) > 0);
	fuse_session_process_buf(k->session->fuse, &k->buf);
}

static void take_answer(struct kernel *k)
{
	struct {
		struct fuse_out_header header;
		char data[65536];
	} *message = malloc(sizeof(*message));
	ssize_t n = recv(k->fd, message, sizeof(*message), MSG_DONTWAIT);

	assert_true(n >= (ssize_t)sizeof(message->header));
	assert_int_equal(message->header.len, n);
	assert_int_equal(message->header.unique, k->unique);
	k->error = message->header.error;
	k->size = (size_t)n - sizeof(message->header);
	memcpy(k->out.data, message->data, k->size);
	free(message);
}

/* A request with its argument and what follows it, without an answer. */
static void tell(struct kernel *k, uint32_t opcode, vol_ino ino, const void *arg, size_t arg_size, const void *rest,
		 size_t rest_size)
{
	char message[4096];
	const struct fuse_in_header header = {
		.len = (uint32_t)(sizeof(header) + arg_size + rest_size),
		.opcode = opcode,
		.unique = ++k->unique,
		.nodeid = node_of_ino(ino),
		.uid = fixture_cred.uid,
		.gid = fixture_cred.gid,
		.pid = 0, /* of another namespace: nothing more is known of the caller */
	};

	memcpy(message, &header, sizeof(header));
	if (arg_size)
		memcpy(message + sizeof(header), arg, arg_size);
	if (rest_size)
		memcpy(message + sizeof(header) + arg_size, rest, rest_size);
	assert_int_equal(send(k->fd, message, header.len, 0), header.len);
	serve(k);
}

/* The same with an answer, whose error is returned. */
static int ask(struct kernel *k, uint32_t opcode, vol_ino ino, const void *arg, size_t arg_size, const void *rest,
	       size_t rest_size)
{
	tell(k, opcode, ino, arg, arg_size, rest, rest_size);
	take_answer(k);
	return k->error;
}

static void start(struct kernel *k, uint32_t offered)
{
	const struct session_options options = { .fuse_options = "fsname=test,subtype=test" };
	const struct fuse_init_in init = { .major = 7, .minor = 38, .max_readahead = 131072, .flags = offered };
	char dir[32];
	int fds[2], size = 1 << 21;

	k->f.rows = rows_mem_new();
	fixture_open(&k->f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	k->fd = fds[1];
	assert_int_equal(session_new(k->f.v, &options, &k->session), 0);
	/* libfuse takes this for a device that somebody else has mounted */
	snprintf(dir, sizeof(dir), "/dev/fd/%d", fds[0]);
	assert_int_equal(session_mount(k->session, dir), 0);
	assert_int_equal(ask(k, FUSE_INIT, 0, &init, sizeof(init), NULL, 0), 0);
	k->init_flags = k->out.init.flags;
}

static void stop(struct kernel *k)
{
	session_free(k->session);
	close(k->fd);
	free(k->buf.mem);
	assert_int_equal(volume_close(k->f.v), 0);
	k->f.rows->ops->close(k->f.rows);
}

static void test_init_takes_what_is_offered(void **state)
{
	static const uint32_t each[] = { FUSE_PARALLEL_DIROPS, FUSE_SETXATTR_EXT, FUSE_HANDLE_KILLPRIV_V2 };
	struct kernel k = { 0 };

	(void)state;
	start(&k, OFFER_ALL);
	assert_int_equal(k.init_flags & BEYOND_LIBFUSE, BEYOND_LIBFUSE);
	assert_int_equal(k.init_flags & ~OFFER_ALL, 0);
	/* what libfuse had said is there still */
	assert_true(k.init_flags & FUSE_EXPLICIT_INVAL_DATA);
	assert_int_equal(k.out.init.max_write, 1 << 20);
	stop(&k);
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		k = (struct kernel){ 0 };
		start(&k, (OFFER_ALL & ~BEYOND_LIBFUSE) | each[i]);
		assert_int_equal(k.init_flags & BEYOND_LIBFUSE, each[i]);
		stop(&k);
	}
	k = (struct kernel){ 0 };
	start(&k, OFFER_ALL & ~BEYOND_LIBFUSE);
	assert_int_equal(k.init_flags & BEYOND_LIBFUSE, 0);
	stop(&k);
}

static void check_xattr(struct kernel *k, vol_ino ino)
{
	char value[16];
	size_t size;

	assert_int_equal(volume_getxattr(k->f.v, ino, "user.name", value, sizeof(value), &size), 0);
	assert_int_equal(size, 5);
	assert_memory_equal(value, "value", 5);
}

static void test_setxattr_long_head(void **state)
{
	const struct fuse_setxattr_in arg = { .size = 5, .setxattr_flags = FUSE_SETXATTR_ACL_KILL_SGID };
	struct kernel k = { 0 };
	vol_ino file;

	(void)state;
	start(&k, OFFER_ALL);
	file = make_file(&k.f, VOL_ROOT, "f");
	assert_int_equal(ask(&k, FUSE_SETXATTR, file, &arg, sizeof(arg), "user.name\0value", 15), 0);
	assert_int_equal(transport_request()->setxattr_flags, FUSE_SETXATTR_ACL_KILL_SGID);
	check_xattr(&k, file);
	assert_int_equal(ask(&k, FUSE_GETATTR, file, (char[16]){ 0 }, 16, NULL, 0), 0);
	assert_int_equal(transport_request()->setxattr_flags, 0);
	stop(&k);
}

static void test_setxattr_short_head(void **state)
{
	const struct fuse_setxattr_in arg = { .size = 5 };
	struct kernel k = { 0 };
	vol_ino file;

	(void)state;
	start(&k, OFFER_ALL & ~BEYOND_LIBFUSE);
	file = make_file(&k.f, VOL_ROOT, "f");
	assert_int_equal(ask(&k, FUSE_SETXATTR, file, &arg, FUSE_COMPAT_SETXATTR_IN_SIZE, "user.name\0value", 15), 0);
	check_xattr(&k, file);
	stop(&k);
}

static void test_syncfs(void **state)
{
	struct kernel k = { 0 };
	uint64_t syncs;

	(void)state;
	start(&k, OFFER_ALL);
	syncs = rows_mem_syncs(k.f.rows);
	assert_int_equal(ask(&k, FUSE_SYNCFS, VOL_ROOT, (char[8]){ 0 }, 8, NULL, 0), 0);
	assert_int_equal(k.size, 0);
	assert_int_equal(rows_mem_syncs(k.f.rows), syncs + 1);
	rows_mem_fail_sync(k.f.rows, -EIO);
	assert_int_equal(ask(&k, FUSE_SYNCFS, VOL_ROOT, (char[8]){ 0 }, 8, NULL, 0), -EIO);
	rows_mem_fail_sync(k.f.rows, 0);
	stop(&k);
}

static void test_statx(void **state)
{
	const struct protocol_statx_in arg = { .sx_mask = 0xfff };
	const struct vol_attr times = { .mtime = { -5, 999999999 }, .atime = { INT64_C(1) << 40, 7 } };
	struct kernel k = { 0 };
	struct vol_attr attr;
	vol_ino file;

	(void)state;
	start(&k, OFFER_ALL);
	file = make_file(&k.f, VOL_ROOT, "f");
	assert_int_equal(volume_write(k.f.v, file, 0, "12345", 5, 0), 0);
	assert_int_equal(volume_setattr(k.f.v, file, &times, VOL_SET_MTIME | VOL_SET_ATIME, &attr), 0);
	assert_int_equal(ask(&k, LSMFS_FUSE_STATX, file, &arg, sizeof(arg), NULL, 0), 0);
	assert_int_equal(k.size, sizeof(k.out.statx));
	assert_int_equal(k.out.statx.stat.mask, 0xfff);
	assert_int_equal(k.out.statx.stat.ino, file);
	assert_int_equal(k.out.statx.stat.size, 5);
	assert_int_equal(k.out.statx.stat.mode, S_IFREG | 0644);
	assert_int_equal(k.out.statx.stat.uid, fixture_cred.uid);
	assert_int_equal(k.out.statx.stat.mtime.tv_sec, -5);
	assert_int_equal(k.out.statx.stat.mtime.tv_nsec, 999999999);
	assert_int_equal(k.out.statx.stat.atime.tv_sec, INT64_C(1) << 40);
	assert_int_equal(k.out.statx.stat.btime.tv_sec, attr.btime.tv_sec);
	assert_int_equal(k.out.statx.stat.btime.tv_nsec, attr.btime.tv_nsec);
	assert_int_equal(ask(&k, LSMFS_FUSE_STATX, file + 1, &arg, sizeof(arg), NULL, 0), -ENOENT);
	/* and GETATTR is what it was */
	assert_int_equal(ask(&k, FUSE_GETATTR, file, (char[16]){ 0 }, 16, NULL, 0), 0);
	assert_int_equal(k.size, sizeof(k.out.attr));
	assert_int_equal(k.out.attr.attr.size, 5);
	stop(&k);
}

static vol_ino make_nameless(struct kernel *k)
{
	const struct fuse_create_in arg = { .flags = O_TMPFILE | O_RDWR, .mode = S_IFREG | 0640 };

	assert_int_equal(ask(k, FUSE_TMPFILE, VOL_ROOT, &arg, sizeof(arg), "/", 2), 0);
	assert_int_equal(k->size, sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out));
	assert_int_equal(k->out.entry.attr.nlink, 0);
	assert_int_equal(k->out.entry.attr.mode, S_IFREG | 0640);
	return k->out.entry.nodeid;
}

static void forget(struct kernel *k, vol_ino ino, uint64_t n)
{
	const struct fuse_forget_in arg = { .nlookup = n };

	tell(k, FUSE_FORGET, ino, &arg, sizeof(arg), NULL, 0);
}

static void test_tmpfile_goes_when_forgotten(void **state)
{
	struct kernel k = { 0 };
	struct vol_attr attr;
	vol_ino file;

	(void)state;
	start(&k, OFFER_ALL);
	file = make_nameless(&k);
	assert_int_equal(volume_getattr(k.f.v, file, &attr), 0);
	forget(&k, file, 1);
	assert_int_equal(volume_getattr(k.f.v, file, &attr), -ENOENT);
	/* and with the session */
	file = make_nameless(&k);
	session_free(k.session);
	assert_int_equal(volume_getattr(k.f.v, file, &attr), -ENOENT);
	k.session = NULL;
	stop(&k);
}

static void test_tmpfile_with_name_stays(void **state)
{
	struct kernel k = { 0 };
	struct fuse_link_in arg;
	struct vol_attr attr;
	vol_ino file;

	(void)state;
	start(&k, OFFER_ALL);
	file = make_nameless(&k);
	arg.oldnodeid = file;
	assert_int_equal(ask(&k, FUSE_LINK, VOL_ROOT, &arg, sizeof(arg), "named", 6), 0);
	assert_int_equal(k.out.entry.nodeid, file);
	assert_int_equal(k.out.entry.attr.nlink, 1);
	forget(&k, file, 2);
	assert_int_equal(volume_getattr(k.f.v, file, &attr), 0);
	assert_int_equal(attr.nlink, 1);
	/* found again, unlinked while known, forgotten */
	assert_int_equal(ask(&k, FUSE_LOOKUP, VOL_ROOT, "named", 6, NULL, 0), 0);
	assert_int_equal(ask(&k, FUSE_UNLINK, VOL_ROOT, "named", 6, NULL, 0), 0);
	assert_int_equal(volume_getattr(k.f.v, file, &attr), 0);
	forget(&k, file, 1);
	assert_int_equal(volume_getattr(k.f.v, file, &attr), -ENOENT);
	stop(&k);
}

static vol_ino make_set_id_file(struct kernel *k, uint32_t mode)
{
	struct vol_attr attr = { .mode = mode, .gid = 12345 };
	char name[16];
	vol_ino file;

	snprintf(name, sizeof(name), "%llu", (unsigned long long)k->unique);
	file = make_file(&k->f, VOL_ROOT, name);
	assert_int_equal(volume_setattr(k->f.v, file, &attr, VOL_SET_MODE | VOL_SET_GID, &attr), 0);
	return file;
}

static uint32_t mode_of(struct kernel *k, vol_ino ino)
{
	return attr_of(&k->f, ino).mode & 07777;
}

static void test_write_tells_what_falls(void **state)
{
	struct fuse_write_in arg = { .size = 1 };
	struct kernel k = { 0 };
	vol_ino file;

	(void)state;
	start(&k, OFFER_ALL);
	file = make_set_id_file(&k, 06775);
	assert_int_equal(ask(&k, FUSE_WRITE, file, &arg, sizeof(arg), "x", 1), 0);
	assert_int_equal(mode_of(&k, file), 06775);
	arg.write_flags = FUSE_WRITE_KILL_SUIDGID;
	assert_int_equal(ask(&k, FUSE_WRITE, file, &arg, sizeof(arg), "x", 1), 0);
	assert_int_equal(mode_of(&k, file), 0775);
	stop(&k);
}

static void test_setattr_tells_what_falls(void **state)
{
	struct fuse_setattr_in arg = { .valid = FATTR_SIZE };
	struct kernel k = { 0 };
	vol_ino file;

	(void)state;
	start(&k, OFFER_ALL);
	file = make_set_id_file(&k, 06775);
	assert_int_equal(ask(&k, FUSE_SETATTR, file, &arg, sizeof(arg), NULL, 0), 0);
	assert_int_equal(mode_of(&k, file), 06775);
	arg.valid = FATTR_SIZE | FATTR_KILL_SUIDGID;
	assert_int_equal(ask(&k, FUSE_SETATTR, file, &arg, sizeof(arg), NULL, 0), 0);
	assert_int_equal(mode_of(&k, file), 0775);
	assert_int_equal(k.out.attr.attr.mode, S_IFREG | 0775);
	/* one that sets nothing; the caller isn't in the file's group */
	file = make_set_id_file(&k, 06765);
	arg.valid = FATTR_FH | FATTR_LOCKOWNER;
	assert_int_equal(ask(&k, FUSE_SETATTR, file, &arg, sizeof(arg), NULL, 0), 0);
	assert_int_equal(mode_of(&k, file), 0765);
	/* … and is */
	file = make_set_id_file(&k, 06765);
	assert_int_equal(volume_setattr(k.f.v, file, &(struct vol_attr){ .gid = fixture_cred.gid }, VOL_SET_GID,
					&(struct vol_attr){ 0 }),
			 0);
	assert_int_equal(ask(&k, FUSE_SETATTR, file, &arg, sizeof(arg), NULL, 0), 0);
	assert_int_equal(mode_of(&k, file), 02765);
	stop(&k);
}

static int ask_ioctl(struct kernel *k, vol_ino ino, unsigned cmd, uint64_t address, const void *in, uint32_t in_size,
		     uint32_t out_size)
{
	const struct fuse_ioctl_in arg = { .cmd = cmd, .arg = address, .in_size = in_size, .out_size = out_size };

	return ask(k, FUSE_IOCTL, ino, &arg, sizeof(arg), in, in_size);
}

/* What was answered behind the head. */
static uint32_t ioctl_word(const struct kernel *k, size_t at)
{
	uint32_t word;

	memcpy(&word, k->out.data + sizeof(struct fuse_ioctl_out) + at, sizeof(word));
	return word;
}

/* The kernel tells itself that attributes have changed; that comes before the answer. */
static int set_flags(struct kernel *k, vol_ino ino, unsigned cmd, uint64_t address, const void *in, uint32_t in_size)
{
	const struct fuse_ioctl_in arg = { .cmd = cmd, .arg = address, .in_size = in_size };
	char notice[256];
	ssize_t n;

	tell(k, FUSE_IOCTL, ino, &arg, sizeof(arg), in, in_size);
	n = recv(k->fd, notice, sizeof(notice), MSG_DONTWAIT | MSG_PEEK);
	if (n == sizeof(struct fuse_out_header) + sizeof(struct fuse_notify_inval_inode_out))
		recv(k->fd, notice, sizeof(notice), MSG_DONTWAIT);
	take_answer(k);
	return k->error;
}

static void test_flags(void **state)
{
	const uint32_t append = FS_APPEND_FL, unknown = FS_APPEND_FL | FS_NOCOW_FL;
	struct fsxattr xattr = { .fsx_xflags = FS_XFLAG_NODUMP | FS_XFLAG_NOATIME };
	struct kernel k = { 0 };
	vol_ino file;

	(void)state;
	start(&k, OFFER_ALL);
	file = make_file(&k.f, VOL_ROOT, "f");
	assert_int_equal(set_flags(&k, file, FS_IOC_SETFLAGS, 0, &append, sizeof(append)), 0);
	assert_int_equal(attr_of(&k.f, file).flags, VOL_FLAG_APPEND);
	assert_int_equal(ask_ioctl(&k, file, FS_IOC_GETFLAGS, 0, NULL, 0, 4), 0);
	assert_int_equal(k.size, sizeof(struct fuse_ioctl_out) + 4);
	assert_int_equal(ioctl_word(&k, 0), FS_APPEND_FL);
	assert_int_equal(ask_ioctl(&k, file, FS_IOC_FSGETXATTR, 0, NULL, 0, sizeof(xattr)), 0);
	assert_int_equal(k.size, sizeof(struct fuse_ioctl_out) + sizeof(xattr));
	assert_int_equal(ioctl_word(&k, 0), FS_XFLAG_APPEND);
	assert_int_equal(ask_ioctl(&k, file, FS_IOC_GETVERSION, 0, NULL, 0, sizeof(long)), 0);
	assert_int_equal(k.size, sizeof(struct fuse_ioctl_out) + 4);
	assert_int_equal(ioctl_word(&k, 0), attr_of(&k.f, file).generation);
	assert_int_equal(set_flags(&k, file, FS_IOC_SETFLAGS, 0, &unknown, sizeof(unknown)), -EOPNOTSUPP);
	assert_int_equal(set_flags(&k, file, FS_IOC_SETFLAGS, 0, &unknown, 2), -EINVAL);
	assert_int_equal(set_flags(&k, file, FS_IOC_FSSETXATTR, 0, &xattr, sizeof(xattr) - 1), -EINVAL);
	assert_int_equal(attr_of(&k.f, file).flags, VOL_FLAG_APPEND);
	assert_int_equal(set_flags(&k, file, FS_IOC_FSSETXATTR, 0, &xattr, sizeof(xattr)), 0);
	assert_int_equal(attr_of(&k.f, file).flags, VOL_FLAG_NODUMP | VOL_FLAG_NOATIME);
	xattr.fsx_extsize = 4096;
	assert_int_equal(set_flags(&k, file, FS_IOC_FSSETXATTR, 0, &xattr, sizeof(xattr)), -EOPNOTSUPP);
	/* with the caller's address: a kernel that has not checked who asks */
	assert_int_equal(set_flags(&k, file, FS_IOC_SETFLAGS, 0x1000, &append, sizeof(append)), -ENOTTY);
	assert_int_equal(attr_of(&k.f, file).flags, VOL_FLAG_NODUMP | VOL_FLAG_NOATIME);
	assert_int_equal(ask_ioctl(&k, file, FS_IOC_SETVERSION, 0, &append, 4, 0), -ENOTTY);
	stop(&k);
}

static void test_unknown_is_refused(void **state)
{
	struct kernel k = { 0 };

	(void)state;
	start(&k, OFFER_ALL);
	assert_int_equal(ask(&k, 4000, VOL_ROOT, (char[8]){ 0 }, 8, NULL, 0), -ENOSYS);
	stop(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init_takes_what_is_offered),
		cmocka_unit_test(test_setxattr_long_head),
		cmocka_unit_test(test_setxattr_short_head),
		cmocka_unit_test(test_syncfs),
		cmocka_unit_test(test_statx),
		cmocka_unit_test(test_tmpfile_goes_when_forgotten),
		cmocka_unit_test(test_tmpfile_with_name_stays),
		cmocka_unit_test(test_write_tells_what_falls),
		cmocka_unit_test(test_setattr_tells_what_falls),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_unknown_is_refused),
	};

	return cmocka_run_group_tests_name("session_transport", tests, NULL, NULL);
}

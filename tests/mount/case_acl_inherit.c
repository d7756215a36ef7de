/* SPDX-License-Identifier: MIT */
/* Access control lists that a directory hands on, and changes that are seen at once. */
#include "case_acl.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- what a directory hands on ---- */

static struct list made(unsigned owner, unsigned mask, unsigned other)
{
	return LIST({ OWNER, owner, NONE }, { USER, 7, U1 }, { GROUP, 5, NONE }, { NAMED_GROUP, 6, G2 },
		    { MASK, mask, NONE }, { OTHER, other, NONE });
}

/* In "d", with its list; the umask takes all away, and must not count. */
static void enter_heritage(void)
{
	ok(mkdir("d", 0755));
	ok(set("d", DEFAULT, made(7, 7, 5)));
	umask(0777);
}

static void inherited_by_files(void **state)
{
	static const mode_t modes[] = { 0666, 0777, 0600, 0, 0007, 0070, 04751 };
	char name[16];

	(void)state;
	enter_heritage();
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		mode_t m = modes[i], want = m & ~02u;

		snprintf(name, sizeof(name), "d/o%zu", i);
		ok(close((int)ok(open(name, O_WRONLY | O_CREAT | O_EXCL, m))));
		has(name, ACCESS, made(m >> 6 & 7, m >> 3 & 7, m & 5));
		mode_is(want, name);
		has_none(name, DEFAULT);
		snprintf(name, sizeof(name), "d/n%zu", i);
		ok(mknod(name, S_IFREG | m, 0));
		has(name, ACCESS, made(m >> 6 & 7, m >> 3 & 7, m & 5));
		mode_is(want, name);
	}
	has_none("d", ACCESS);
}

static void inherited_by_directories(void **state)
{
	(void)state;
	enter_heritage();
	ok(mkdir("d/e", 0772));
	mode_is(0770, "d/e");
	has("d/e", ACCESS, made(7, 7, 0));
	has("d/e", DEFAULT, made(7, 7, 5));
	ok(mkdir("d/e/f", 0700));
	mode_is(0700, "d/e/f");
	has("d/e/f", ACCESS, made(7, 0, 0));
	has("d/e/f", DEFAULT, made(7, 7, 5));
	ok(mkdir("d/e/f/g", 0777));
	mode_is(0775, "d/e/f/g");
	has("d/e/f/g", ACCESS, made(7, 7, 5));
}

static void inherited_by_others(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "d/s" };
	int fd;

	(void)state;
	enter_heritage();
	ok(mkfifo("d/p", 0640));
	mode_is(0640, "d/p");
	has("d/p", ACCESS, made(6, 4, 0));
	fd = (int)ok(socket(AF_UNIX, SOCK_STREAM, 0));
	umask(0); /* bind minds it whatever the file system does */
	ok(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	ok(close(fd));
	mode_is(0775, "d/s");
	has("d/s", ACCESS, made(7, 7, 5));
	ok(symlink("p", "d/l"));
	mode_is(0777, "d/l");
	fails(lgetxattr("d/l", ACCESS, NULL, 0), EOPNOTSUPP);
	if (geteuid() == 0) {
		ok(mknod("d/c", S_IFCHR | 0660, 0x103));
		has("d/c", ACCESS, made(6, 6, 0));
	}
}

static void inherited_without_name(void **state)
{
	char buf[64];
	int fd;

	(void)state;
	enter_heritage();
	fd = open("d", O_TMPFILE | O_RDWR, 0640);
	if (fd < 0 && errno == EOPNOTSUPP) {
		print_message("# skipped: no O_TMPFILE\n");
		skip();
	}
	ok(fd);
	same(0640, mode_by_fd(fd));
	same(52, fgetxattr(fd, ACCESS, buf, sizeof(buf)));
	same(0, memcmp(buf, made(6, 4, 0).data, 52));
	ok(close(fd));
	umask(026);
	fd = (int)ok(open(".", O_TMPFILE | O_RDWR, 0666));
	same(0640, mode_by_fd(fd));
	fails(fgetxattr(fd, ACCESS, buf, sizeof(buf)), ENODATA);
	ok(close(fd));
}

/* Without named entries or mask the default is like another umask, and leaves nothing behind on files. */
static void inherited_as_mode(void **state)
{
	const struct list list = LIST({ OWNER, 6, NONE }, { GROUP, 6, NONE }, { OTHER, 2, NONE });

	(void)state;
	ok(mkdir("d", 0755));
	ok(set("d", DEFAULT, list));
	umask(0777);
	ok(close((int)ok(open("d/f", O_WRONLY | O_CREAT, 0777))));
	mode_is(0662, "d/f");
	has_none("d/f", ACCESS);
	ok(mkdir("d/e", 0750));
	mode_is(0640, "d/e");
	has_none("d/e", ACCESS);
	has("d/e", DEFAULT, list);
}

static void only_from_then_on(void **state)
{
	(void)state;
	ok(mkdir("d", 0755));
	mt_put("d/before", "x");
	ok(set("d", DEFAULT, made(7, 7, 0)));
	has_none("d/before", ACCESS);
	mode_is(0644, "d/before");
	mt_put("d/with", "x");
	mode_is(0640, "d/with");
	mt_put("moved", "x");
	ok(rename("moved", "d/moved"));
	ok(link("d/before", "d/linked"));
	has_none("d/moved", ACCESS);
	has_none("d/linked", ACCESS);
	ok(removexattr("d", DEFAULT));
	mt_put("d/after", "x");
	has_none("d/after", ACCESS);
	mode_is(0644, "d/after");
	has("d/with", ACCESS, made(6, 4, 0));
}

static void umask_counts(void **state)
{
	static const mode_t masks[] = { 0, 022, 027, 077, 0777 };
	char name[16];

	(void)state;
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		umask(masks[i]);
		snprintf(name, sizeof(name), "f%zu", i);
		ok(close((int)ok(open(name, O_RDWR | O_CREAT, 0666))));
		mode_is(0666 & ~masks[i], name);
		has_none(name, ACCESS);
		snprintf(name, sizeof(name), "d%zu", i);
		ok(mkdir(name, 01777));
		mode_is(01777 & ~masks[i], name);
		snprintf(name, sizeof(name), "p%zu", i);
		ok(mkfifo(name, 0666));
		mode_is(0666 & ~masks[i], name);
		snprintf(name, sizeof(name), "n%zu", i);
		ok(mknod(name, S_IFREG | 0666, 0));
		mode_is(0666 & ~masks[i], name);
		snprintf(name, sizeof(name), "l%zu", i);
		ok(symlink("x", name));
		mode_is(0777, name);
	}
}

static void make_in_shared(void *arg)
{
	(void)arg;
	umask(077);
	mt_put("d/f", "x");
	ok(mkdir("d/e", 0770));
}

/* The usual shared directory: set-gid, and a default that lets the group and another user in. */
static void shared_directory(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	ok(mkdir("d", 0755));
	ok(chown("d", 0, G1));
	ok(chmod("d", 02770));
	ok(set("d", DEFAULT,
	       LIST({ OWNER, 7, NONE }, { USER, 7, U2 }, { GROUP, 7, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE })));
	as(user(U1, G3, G1), make_in_shared, NULL);
	same(G1, mt_stat("d/f").st_gid);
	same(U1, mt_stat("d/f").st_uid);
	mode_is(0640, "d/f");
	mode_is(02770, "d/e");
	ok(rename("d/f", "f")); /* may() looks here */
	may(user(U1, G3), 6);
	may(user(U2, G3), 4);
	may(user(U3, G1), 4);
	may(user(U3, G3), 0);
	ok(chmod("f", 0660));
	may(user(U2, G3), 6);
	may(user(U3, G1), 6);
	has("d/e", DEFAULT,
	    LIST({ OWNER, 7, NONE }, { USER, 7, U2 }, { GROUP, 7, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE }));
}

/* ---- what was known before is not believed ---- */

struct asked {
	int questions, answers;
};

/* Tells for each byte that comes whether "f" can be read. */
static void ask_again(void *arg)
{
	const struct asked *asked = arg;
	char c;

	while (ok(read(asked->questions, &c, 1)) == 1) {
		int fd = open("f", O_RDONLY);

		c = fd >= 0 ? 'y' : errno == EACCES ? 'n' : '?';
		if (fd >= 0)
			ok(close(fd));
		same(1, write(asked->answers, &c, 1));
	}
}

static char can_read(int questions, int answers)
{
	char c = '.';

	same(1, write(questions, &c, 1));
	same(1, read(answers, &c, 1));
	return c;
}

static void seen_at_once(void **state)
{
	const struct list yes =
		LIST({ OWNER, 6, NONE }, { USER, 4, U1 }, { GROUP, 0, NONE }, { MASK, 4, NONE }, { OTHER, 0, NONE });
	const struct list no =
		LIST({ OWNER, 6, NONE }, { USER, 0, U1 }, { GROUP, 4, NONE }, { MASK, 4, NONE }, { OTHER, 4, NONE });
	int there[2], back[2];
	struct asked asked;
	struct who who = user(U1, G1);
	pid_t pid;

	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	file_of("f", U2, G2, 0600);
	ok(link("f", "g"));
	ok(pipe(there));
	ok(pipe(back));
	asked = (struct asked){ there[0], back[1] };
	who.fn = ask_again;
	who.arg = &asked;
	ok(fcntl(there[1], F_SETFD, FD_CLOEXEC));
	pid = fork();
	if (pid == 0) {
		close(there[1]);
		become(&who);
		_exit(0);
	}
	ok(pid);
	for (unsigned i = 0; i < 20; i++) {
		same('n', can_read(there[1], back[0]));
		ok(set("f", ACCESS, yes));
		same('y', can_read(there[1], back[0]));
		ok(chmod("g", 0600)); /* by the other name: the mask falls */
		same('n', can_read(there[1], back[0]));
		ok(chmod("g", 0640));
		same('y', can_read(there[1], back[0]));
		ok(set("g", ACCESS, no));
		same('n', can_read(there[1], back[0]));
		ok(removexattr("f", ACCESS)); /* others have 4 */
		same('y', can_read(there[1], back[0]));
		ok(chmod("f", 0640));
		same('n', can_read(there[1], back[0]));
		ok(chmod("f", 0644));
		same('y', can_read(there[1], back[0]));
		ok(set("f", ACCESS, no));
		same('n', can_read(there[1], back[0]));
		ok(rename("g", "f2"));
		ok(rename("f2", "f")); /* the same file: nothing happens */
		ok(unlink("f2"));
		ok(link("f", "g"));
		same('n', can_read(there[1], back[0]));
		ok(set("f", ACCESS, yes));
		same('y', can_read(there[1], back[0]));
		ok(chown("f", U1, G1)); /* now the owner, whom the list gives 6 */
		same('y', can_read(there[1], back[0]));
		ok(chown("f", U2, G2));
		ok(set("f", ACCESS, no));
	}
	ok(close(there[1]));
	mt_join(pid);
	ok(close(there[0]));
	ok(close(back[0]));
	ok(close(back[1]));
}

/* A name that is another file now has that file's rights. */
static void of_another_file(void **state)
{
	(void)state;
	mt_need_root();
	ok(chmod(".", 0755));
	for (unsigned i = 0; i < 10; i++) {
		file_of("f", U2, G2, 0640);
		ok(set("f", ACCESS,
		       LIST({ OWNER, 6, NONE }, { USER, 7, U1 }, { GROUP, 4, NONE }, { MASK, 7, NONE },
			    { OTHER, 0, NONE })));
		may(user(U1, G1), 7);
		file_of("g", U2, G2, 0640);
		ok(rename("g", "f"));
		may(user(U1, G1), 0);
		ok(unlink("f"));
	}
}

int mt_run_acl_inherit(void)
{
	const struct CMUnitTest tests[] = {
		CASE(inherited_by_files),     CASE(inherited_by_directories), CASE(inherited_by_others),
		CASE(inherited_without_name), CASE(inherited_as_mode),        CASE(only_from_then_on),
		CASE(umask_counts),           CASE(shared_directory),         CASE(seen_at_once),
		CASE(of_another_file),
	};

	return cmocka_run_group_tests_name("acl inheritance", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * handles - file handles that outlive a mount.
 *
 *	handles save DIR FILE    keeps the handle, inode number and path of everything below DIR
 *	handles same DIR FILE    each handle leads to that inode; a regular file's content is its path
 *	handles stale DIR FILE   each handle leads nowhere (ESTALE)
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct record {
	struct file_handle head;
	unsigned char bytes[MAX_HANDLE_SZ]; /* where f_handle begins */
	unsigned long long ino;
	mode_t mode;
	char path[256]; /* below DIR */
};

_Static_assert(sizeof(struct file_handle) == offsetof(struct file_handle, f_handle), "bytes follow the head");

static FILE *records;
static size_t dir_size;
static unsigned bad;

static void die(const char *what)
{
	fprintf(stderr, "handles: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void complain(const struct record *r, const char *what)
{
	fprintf(stderr, "handles: %s (inode %llu): %s\n", r->path, r->ino, what);
	bad++;
}

static int save_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct record r = { .head = { .handle_bytes = MAX_HANDLE_SZ }, .ino = st->st_ino, .mode = st->st_mode };
	int mount_id;

	(void)type, (void)ftw;
	snprintf(r.path, sizeof(r.path), "%s", path[dir_size] == '/' ? path + dir_size + 1 : ".");
	if (name_to_handle_at(AT_FDCWD, path, &r.head, &mount_id, 0) < 0)
		die(path);
	if (fwrite(&r, sizeof(r), 1, records) != 1)
		die("write");
	return 0;
}

static void check_content(const struct record *r, int mount)
{
	char text[sizeof(r->path)] = "";
	int fd = open_by_handle_at(mount, (struct file_handle *)&r->head, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		complain(r, strerror(errno));
	else if (strcmp(text, r->path) != 0)
		complain(r, "it has another file's content");
	if (fd >= 0)
		close(fd);
}

static void check_one(struct record *r, int mount, int want_stale)
{
	int fd = open_by_handle_at(mount, &r->head, O_PATH);
	struct stat st;

	if (want_stale) {
		if (fd >= 0 || errno != ESTALE)
			complain(r, fd >= 0 ? "leads to something" : strerror(errno));
	} else if (fd < 0 || fstat(fd, &st) < 0) {
		complain(r, strerror(errno));
	} else if (st.st_ino != r->ino || st.st_mode != r->mode) {
		complain(r, "leads to another inode");
	} else if (S_ISREG(r->mode)) {
		check_content(r, mount);
	}
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct record r;
	unsigned n = 0;
	int mount;

	if (argc != 4)
		die("save, same or stale, a directory and a file");
	records = fopen(argv[3], strcmp(argv[1], "save") == 0 ? "w" : "r");
	if (!records)
		die(argv[3]);
	dir_size = strlen(argv[2]);
	if (strcmp(argv[1], "save") == 0) {
		if (nftw(argv[2], save_one, 16, FTW_PHYS) < 0)
			die(argv[2]);
		return fclose(records) == 0 ? 0 : 2;
	}
	mount = open(argv[2], O_RDONLY | O_DIRECTORY);
	if (mount < 0)
		die(argv[2]);
	for (; fread(&r, sizeof(r), 1, records) == 1; n++)
		check_one(&r, mount, strcmp(argv[1], "stale") == 0);
	printf("%u handles, %u wrong\n", n, bad);
	return n == 0 || bad > 0;
}

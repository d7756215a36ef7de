/* SPDX-License-Identifier: MIT */
/*
 * nfs_hold URL OUT FILE... - an NFS client that looks the files up once and then knows only their handles. It says "ready",
 * and for each line of standard input it reads all of them: what a file holds goes to OUT/FILE; of one that can't be read
 * it says the error. Then it says "done". A server that is away is waited for.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

#include <nfsc/libnfs.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 65536
#define FILES_MAX 16

static int die(struct nfs_context *nfs, const char *what)
{
	fprintf(stderr, "nfs_hold: %s: %s\n", what, nfs ? nfs_get_error(nfs) : strerror(errno));
	return 1;
}

static int read_one(struct nfs_context *nfs, struct nfsfh *fh, const char *out, const char *name)
{
	static char buf[CHUNK];
	struct nfs_stat_64 st;
	uint64_t offset = 0;
	char path[4096];
	FILE *file;
	int n;

	snprintf(path, sizeof(path), "%s/%s", out, name);
	remove(path);
	while ((n = nfs_pread(nfs, fh, offset, sizeof(buf), buf)) > 0) {
		file = fopen(path, offset ? "a" : "w");
		if (!file || fwrite(buf, 1, (size_t)n, file) != (size_t)n || fclose(file) != 0)
			return die(NULL, path);
		offset += (uint64_t)n;
	}
	/* of a failed read libnfs 4 has no more than EFAULT: the attributes' error is the server's */
	if (n < 0)
		printf("%s: %s\n", name, nfs_fstat64(nfs, fh, &st) < 0 ? nfs_get_error(nfs) : "unreadable");
	return 0;
}

int main(int argc, char **argv)
{
	struct nfs_context *nfs = nfs_init_context();
	struct nfsfh *files[FILES_MAX];
	struct nfs_url *url;
	char line[64];
	int n = argc - 3;

	if (!nfs || n < 1 || n > FILES_MAX)
		return die(NULL, "a URL, a directory and files");
	url = nfs_parse_url_dir(nfs, argv[1]);
	if (!url || nfs_mount(nfs, url->server, url->path) < 0)
		return die(nfs, argv[1]);
	nfs_set_autoreconnect(nfs, -1);
	for (int i = 0; i < n; i++)
		if (nfs_open(nfs, argv[3 + i], O_RDONLY, &files[i]) < 0)
			return die(nfs, argv[3 + i]);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		for (int i = 0; i < n; i++)
			if (read_one(nfs, files[i], argv[2], argv[3 + i]))
				return 1;
		puts("done");
		fflush(stdout);
	}
	return 0;
}

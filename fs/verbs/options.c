/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include "fs/verbs/options.h"
#include "fs/verbs/common.h"

#include <fuse_lowlevel.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The engine works with less, but not well. */
#define MEMORY_BYTES_MIN ((uint64_t)8 << 20)

enum action {
	SET,    /* the bool at `offset` becomes true */
	CLEAR,  /* … false */
	MEMORY, /* takes a size */
	ATIME,  /* the enum vol_atime in `offset` */
	SYNC,
	ASYNC,
	IGNORE, /* for mount(8) and fstab, or without a meaning here */
	REMOUNT,
};

struct mount_option {
	const char *name;
	const char *value; /* what follows the '=' in the help; NULL: there is none */
	enum action action;
	size_t offset;    /* of the bool, or a value */
	const char *help; /* NULL: shown in one line with its like */
};

#define FLAG(member) offsetof(struct mount_options, member)

static const struct mount_option options_table[] = {
	{ "memory", "SIZE", MEMORY, 0, "memory for buffers and caches: 64M, 1G; default 256M" },
	{ "sync", NULL, SYNC, 0, "every write, create, rename ... is on disk when it returns" },
	{ "dirsync", NULL, SET, FLAG(sync_names), "every create, rename, unlink ... is on disk when it returns" },
	{ "async", NULL, ASYNC, 0, "only fsync waits for the disk (default)" },
	{ "writeback", NULL, SET, FLAG(writeback), "the kernel gathers writes: fast, but a crash loses some" },
	{ "nowriteback", NULL, CLEAR, FLAG(writeback), "every write has arrived when it returns (default)" },
	{ "ro", NULL, SET, FLAG(read_only), "read only; changes nothing in the store" },
	{ "rw", NULL, CLEAR, FLAG(read_only), "read and write (default)" },
	{ "noacl", NULL, SET, FLAG(no_acl), "access control lists are kept, but neither shown nor minded" },
	{ "acl", NULL, CLEAR, FLAG(no_acl), "they are (default)" },
	{ "nouring", NULL, SET, FLAG(no_uring), "requests never come by io_uring" },
	{ "uring", NULL, CLEAR, FLAG(no_uring), "they do where the kernel offers it (default)" },
	{ "nonempty", NULL, SET, FLAG(nonempty), "mount over a directory that is not empty" },
	{ "allow_other", NULL, SET, FLAG(allow_other), "other users may use the mount (default for root)" },
	{ "allow_root", NULL, SET, FLAG(allow_root), "root may use the mount, besides the user who mounts" },
	{ "nosuid", NULL, SET, FLAG(nosuid), "set-uid bits have no effect (default, except for root)" },
	{ "suid", NULL, CLEAR, FLAG(nosuid), "set-uid bits have effect (only root may ask for it)" },
	{ "nodev", NULL, SET, FLAG(nodev), "device files can't be opened (default, except for root)" },
	{ "dev", NULL, CLEAR, FLAG(nodev), "device files work (only root may ask for it)" },
	{ "noexec", NULL, SET, FLAG(noexec), "no program can be started from the mount" },
	{ "exec", NULL, CLEAR, FLAG(noexec), "programs can be started (default)" },
	{ "relatime", NULL, ATIME, VOL_ATIME_RELATIVE, "reading sets access times that lag behind (default)" },
	{ "strictatime", NULL, ATIME, VOL_ATIME_STRICT, "reading always sets the access time" },
	{ "noatime", NULL, ATIME, VOL_ATIME_NONE, "reading never changes access times" },
	{ "nodiratime", NULL, SET, FLAG(nodiratime), "listing never changes access times of directories" },
	{ "atime", NULL, ATIME, VOL_ATIME_RELATIVE, NULL },
	{ "diratime", NULL, CLEAR, FLAG(nodiratime), NULL },
	{ "norelatime", NULL, ATIME, VOL_ATIME_RELATIVE, NULL },
	{ "nostrictatime", NULL, ATIME, VOL_ATIME_RELATIVE, NULL },
	{ "lazytime", NULL, IGNORE, 0, NULL },
	{ "nolazytime", NULL, IGNORE, 0, NULL },
	{ "defaults", NULL, IGNORE, 0, NULL },
	{ "default_permissions", NULL, IGNORE, 0, NULL }, /* always on */
	{ "auto", NULL, IGNORE, 0, NULL },
	{ "noauto", NULL, IGNORE, 0, NULL },
	{ "nofail", NULL, IGNORE, 0, NULL },
	{ "user", NULL, IGNORE, 0, NULL },
	{ "user", "NAME", IGNORE, 0, NULL },
	{ "nouser", NULL, IGNORE, 0, NULL },
	{ "users", NULL, IGNORE, 0, NULL },
	{ "nousers", NULL, IGNORE, 0, NULL },
	{ "owner", NULL, IGNORE, 0, NULL },
	{ "noowner", NULL, IGNORE, 0, NULL },
	{ "group", NULL, IGNORE, 0, NULL },
	{ "nogroup", NULL, IGNORE, 0, NULL },
	{ "_netdev", NULL, IGNORE, 0, NULL },
	{ "comment", "TEXT", IGNORE, 0, NULL },
	{ "helper", "NAME", IGNORE, 0, NULL },
	{ "uhelper", "NAME", IGNORE, 0, NULL },
	{ "silent", NULL, IGNORE, 0, NULL },
	{ "loud", NULL, IGNORE, 0, NULL },
	{ "remount", NULL, REMOUNT, 0, NULL },
};

#define N_OPTIONS (sizeof(options_table) / sizeof(options_table[0]))

void mount_options_init(struct mount_options *options, bool as_root)
{
	*options = (struct mount_options){
		.allow_other = as_root, .nosuid = !as_root, .nodev = !as_root, .atime = VOL_ATIME_RELATIVE
	};
}

static bool set_memory(struct mount_options *options, const char *text)
{
	uint64_t bytes;

	if (!parse_size(text, &bytes)) {
		complain("memory=%s is not a size. Write a number with K, M or G behind it, such as memory=256M", text);
		return false;
	}
	if (bytes < MEMORY_BYTES_MIN) {
		complain("memory=%s is too little: at least %lluM are needed", text,
			 (unsigned long long)(MEMORY_BYTES_MIN >> 20));
		return false;
	}
	options->memory_bytes = bytes;
	return true;
}

static bool apply(struct mount_options *options, const struct mount_option *option, const char *word)
{
	bool *flag = (bool *)((char *)options + option->offset);

	switch (option->action) {
	case SET:
	case CLEAR:
		*flag = option->action == SET;
		break;
	case ATIME:
		options->atime = (enum vol_atime)option->offset;
		break;
	case MEMORY:
		return set_memory(options, strchr(word, '=') + 1);
	case SYNC:
	case ASYNC:
		options->sync_data = options->sync_names = option->action == SYNC;
		break;
	case REMOUNT:
		complain("remount is not possible: unmount, and mount again with the new options");
		return false;
	case IGNORE:
		break;
	}
	/* mount(8): these imply others, which a later word may lift */
	if (strcmp(option->name, "user") == 0 || strcmp(option->name, "users") == 0)
		options->nosuid = options->nodev = options->noexec = true;
	if (strcmp(option->name, "owner") == 0 || strcmp(option->name, "group") == 0)
		options->nosuid = options->nodev = true;
	return true;
}

static void complain_of_unknown(const char *word)
{
	const char *names[N_OPTIONS + 1] = { NULL };
	char name[32] = "";
	const char *close;

	for (size_t i = 0; i < N_OPTIONS; i++)
		names[i] = options_table[i].name;
	if (strcspn(word, "=") < sizeof(name))
		memcpy(name, word, strcspn(word, "="));
	close = closest_word(name, names);
	if (close && strcmp(close, name) == 0)
		complain("option '%s' %s a value", close, strchr(word, '=') ? "doesn't take" : "needs");
	else if (close)
		complain("unknown option '%s'. Did you mean '%s'? All options: lsmfs mount --help", word, close);
	else
		complain("unknown option '%s'. All options: lsmfs mount --help", word);
}

struct parse {
	struct mount_options options;
	bool sloppy;
};

static int on_word(void *data, const char *word, int key, struct fuse_args *out)
{
	struct parse *parse = data;

	(void)out;
	if (key >= 0)
		return apply(&parse->options, &options_table[key], word) ? 0 : -1;
	/* fstab's own and systemd's (x-systemd.automount) concern neither us nor the kernel */
	if (key != FUSE_OPT_KEY_OPT || !word[0] || strncasecmp(word, "x-", 2) == 0 || parse->sloppy)
		return 0;
	complain_of_unknown(word);
	return -1;
}

bool mount_options_parse(struct mount_options *options, const char *text, bool sloppy)
{
	struct fuse_opt templates[N_OPTIONS + 1] = { FUSE_OPT_END };
	char names[N_OPTIONS][32];
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct parse parse = { .options = *options, .sloppy = sloppy };
	bool ok = false;

	for (size_t i = 0; i < N_OPTIONS; i++) {
		snprintf(names[i], sizeof(names[i]), "%s%s", options_table[i].name, options_table[i].value ? "=" : "");
		/* FUSE_OPT_KEY, in a form that no compiler warns of */
		templates[i] = (struct fuse_opt){ .templ = names[i], .offset = UINT_MAX, .value = (int)i };
	}
	templates[N_OPTIONS] = (struct fuse_opt)FUSE_OPT_END;
	if (fuse_opt_add_arg(&args, "mount") || fuse_opt_add_arg(&args, "-o") || fuse_opt_add_arg(&args, text))
		complain("no memory");
	else
		ok = fuse_opt_parse(&args, &parse, templates, on_word) == 0;
	fuse_opt_free_args(&args);
	if (ok && parse.options.writeback && parse.options.sync_data) {
		complain("writeback and sync exclude each other: writes are gathered, or they are on disk when they "
			 "return");
		ok = false;
	}
	if (ok)
		*options = parse.options;
	return ok;
}

char *mount_options_for_fuse(const struct mount_options *options, const char *store, bool as_root)
{
	const struct {
		bool on;
		const char *word;
	} words[] = {
		{ true, "default_permissions" },
		{ true, "subtype=lsmfs" },
		{ options->read_only, "ro" },
		/* libfuse takes nosuid and nodev as given; fusermount3 refuses the contrary to users. */
		{ as_root, options->nosuid ? "nosuid" : "suid" },
		{ as_root, options->nodev ? "nodev" : "dev" },
		{ !as_root && !options->nosuid, "suid" },
		{ !as_root && !options->nodev, "dev" },
		{ options->noexec, "noexec" },
		{ options->atime == VOL_ATIME_NONE, "noatime" },
		/* libfuse has it that they exclude each other; the narrower one was asked for. */
		{ options->allow_root, "allow_root" },
		{ options->allow_other && !options->allow_root, "allow_other" },
	};
	char *text = NULL, *fsname = NULL;
	bool ok = asprintf(&fsname, "fsname=%s", store) >= 0;

	if (!ok)
		fsname = NULL;
	ok = ok && fuse_opt_add_opt_escaped(&text, fsname) == 0;
	for (size_t i = 0; ok && i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].on)
			ok = fuse_opt_add_opt(&text, words[i].word) == 0;
	}
	free(fsname);
	if (!ok) {
		free(text);
		text = NULL;
	}
	return text;
}

char *mount_options_help(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs("Options of -o:\n", out);
	for (size_t i = 0; i < N_OPTIONS; i++) {
		const struct mount_option *option = &options_table[i];
		char name[32];
		if (!option->help)
			continue;
		snprintf(name, sizeof(name), "%s%s%s", option->name, option->value ? "=" : "",
			 option->value ? option->value : "");
		fprintf(out, "  %-14s %s\n", name, option->help);
	}
	fputs("Those that only mount(8) and fstab(5) know (defaults, nofail, noauto, x-*) are\naccepted, too.", out);
	if (fclose(out) != 0) {
		free(text);
		text = NULL;
	}
	return text;
}

const char *mount_options_name(size_t i)
{
	for (size_t k = 0; k < N_OPTIONS; k++) {
		if (options_table[k].help && i-- == 0)
			return options_table[k].name;
	}
	return NULL;
}

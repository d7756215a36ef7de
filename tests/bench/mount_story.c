/* SPDX-License-Identifier: MIT */
/* Stories: what people do, by the programs that they do it with; stories.sh tells them. And the space on disk. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/mount_job.h"

static void set_number(const char *name, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	setenv(name, text, 1);
}

/* Becomes the story. */
_Noreturn static void tell(const struct job *job, const char *step)
{
	const struct mount_settings *s = job->settings;

	setenv("STORY_DIR", job->dir, 1);
	setenv("STORY_MATERIAL", job->material, 1);
	set_number("STORY_FILES", s->story_files);
	set_number("STORY_ENTRIES", s->entries);
	set_number("STORY_ROWS", s->rows);
	execlp("bash", "bash", job->programs->stories, step, job->work->name, NULL);
	_exit(127);
}

/* The exit code. */
static int story(const struct job *job, const char *step)
{
	pid_t child = fork();
	int status;

	job_check(job, child >= 0, "cannot be started", step);
	if (!child)
		tell(job, step);
	while (waitpid(child, &status, 0) < 0)
		job_check(job, errno == EINTR, "cannot be waited for", step);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int story_prepare(struct job *job)
{
	return story(job, "prepare");
}

static void run_story(struct client *c, uint64_t i)
{
	(void)i;
	job_check_answer(c->job, story(c->job, "run") == 0, "has failed", "the story");
}

void work_story(struct job *job)
{
	job_check_answer(job, story(job, "ready") == 0, "cannot begin", "the story");
	job_run_once(job, run_story, 1);
	job_check_answer(job, story(job, "check") == 0, "left something wrong", "the story");
}

static void create(struct client *c, uint64_t i)
{
	char name[NAME_BYTES];

	file_name(name, 'f', i, false);
	file_put(c, name, O_CREAT | O_EXCL, i, CREATED, false);
}

/* What it takes is looked at afterwards. */
void work_space(struct job *job)
{
	job_run(job, job->settings->entries, NULL, create, NULL);
	dir_check_count(job, job->settings->entries);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Run many machines in one process, one after the other, and look what each has left.
 *
 *   many-machines FILE      each line of which is a command line: status, then words
 *
 * Descriptors, threads, processes (also orphans of the machine's children), terminal
 * settings and address space must be as before.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

int reference_vmm_main(int argc, char **argv);

#define main reference_vmm_main
#include "main.c"
#undef main

enum { WORDS_MAX = 64 };

/* More than a sanitizer keeps back of what was freed; less than a few guests have. */
#define GROWTH_MAX (UINT64_C(512) << 20)

struct census {
	char fds[4096];
	size_t threads;
	bool has_terminal;
	struct termios terminal;
};

/* The open files, by name, without the one that looks. */
static void list_fds(char *text, size_t size)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	size_t len = 0;

	while (dir && (entry = readdir(dir))) {
		char path[64], target[256];
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%.16s", entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0 || atoi(entry->d_name) == dirfd(dir))
			continue;
		target[n] = '\0';
		len += (size_t)snprintf(text + len, size - len, " %s=%s", entry->d_name,
					target);
		if (len >= size)
			abort();
	}
	if (dir)
		(void)closedir(dir);
}

static size_t count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	size_t count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		(void)closedir(dir);
	return count;
}

static uint64_t address_space(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%llu", &pages) != 1)
		abort();
	(void)fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void take_census(struct census *census)
{
	memset(census, 0, sizeof(*census));
	list_fds(census->fds, sizeof(census->fds));
	census->threads = count_threads();
	census->has_terminal = tcgetattr(STDIN_FILENO, &census->terminal) == 0;
}

static bool same_terminal(const struct census *a, const struct census *b)
{
	return a->has_terminal == b->has_terminal &&
	       a->terminal.c_iflag == b->terminal.c_iflag &&
	       a->terminal.c_oflag == b->terminal.c_oflag &&
	       a->terminal.c_cflag == b->terminal.c_cflag &&
	       a->terminal.c_lflag == b->terminal.c_lflag &&
	       memcmp(a->terminal.c_cc, b->terminal.c_cc, sizeof(a->terminal.c_cc)) == 0;
}

static bool is_unchanged(const struct census *before)
{
	struct census now;
	pid_t child;

	take_census(&now);
	child = waitpid(-1, NULL, WNOHANG);
	if (strcmp(before->fds, now.fds) != 0)
		printf("files before:%s\nfiles after:%s\n", before->fds, now.fds);
	else if (before->threads != now.threads)
		printf("threads before: %zu, after: %zu\n", before->threads, now.threads);
	else if (child != -1 || errno != ECHILD)
		printf("a process is left: %ld\n", (long)child);
	else if (!same_terminal(before, &now))
		printf("the terminal has other settings\n");
	else
		return true;
	return false;
}

/* Cut a line into words; the first one is the status to expect. */
static int split(char *line, char **words)
{
	int count = 0;

	for (char *word = strtok(line, " \n"); word && count < WORDS_MAX - 1;
	     word = strtok(NULL, " \n"))
		words[count++] = word;
	words[count] = NULL;
	return count;
}

static bool run_line(char *line)
{
	static char name[] = "reference-vmm";
	char *words[WORDS_MAX];
	int status, expected, count = split(line, words);

	if (count < 2)
		return false;
	expected = atoi(words[0]);
	words[0] = name;
	optind = 0; /* getopt_long() begins anew */
	status = reference_vmm_main(count, words);
	(void)fflush(NULL);
	if (status == expected)
		return true;
	printf("status %d\n", status);
	return false;
}

static void *nothing(void *ctx)
{
	return ctx;
}

/* A sanitizer has a thread of its own from the first one of ours on. */
static bool warm_up(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL) == 0 &&
	       pthread_join(thread, NULL) == 0;
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "re") : NULL;
	static struct census before;
	uint64_t space = 0, now;
	char line[4096];
	int number = 0;

	if (!file || !warm_up() || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
		perror("many-machines FILE");
		return 2;
	}
	take_census(&before);
	while (fgets(line, sizeof(line), file)) {
		number++;
		if (!run_line(line) || !is_unchanged(&before)) {
			printf("line %d\n", number);
			return 1;
		}
		/* What the first ones set up for good is there by now. */
		if (number == 5)
			space = address_space();
	}
	(void)fclose(file);
	now = address_space();
	if (now > space + GROWTH_MAX) {
		printf("address space: %llu MiB, then %llu MiB\n",
		       (unsigned long long)space >> 20, (unsigned long long)now >> 20);
		return 1;
	}
	printf("%d machines left nothing\n", number);
	return 0;
}

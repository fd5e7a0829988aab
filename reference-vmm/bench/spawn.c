/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Start a program and say when a text comes out of it.
 *
 *   vmm-bench-spawn MARK END PROGRAM [ARGUMENT]...
 *
 * Prints "exec NS" (the monotonic clock right before exec) and "mark NS" (nanoseconds from
 * there until MARK was seen), then all lines that the program prints up to the one with
 * END in it, and kills the program. Its standard input is empty, its standard error ours.
 * MARK and END may be the same. Status 1: the program's output ended before.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_MAX = 1 << 20, FAILED = 1, USAGE = 2, NO_PROGRAM = 127 };

static volatile int64_t started; /* the child writes it, in our memory: vfork */

static int64_t now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static pid_t start(char **argv, int out)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t pid;

	if (null < 0)
		return -1;
	pid = vfork();
	if (pid == 0) {
		if (dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
			_exit(NO_PROGRAM);
		started = now();
		(void)execv(argv[0], argv);
		_exit(NO_PROGRAM);
	}
	(void)close(null);
	return pid;
}

static char output[OUTPUT_MAX + 1];

/* Read until END is there; the time of MARK, or -1 if the output ended before both. */
static int64_t read_until(int fd, const char *mark, const char *end)
{
	size_t len = 0;
	int64_t seen = -1;
	ssize_t n;

	while ((n = read(fd, output + len, OUTPUT_MAX - len)) > 0) {
		int64_t then = now();

		len += (size_t)n;
		output[len] = 0;
		if (seen < 0 && strstr(output, mark))
			seen = then - started;
		if (seen >= 0 && strstr(output, end))
			return seen;
	}
	return -1;
}

int main(int argc, char **argv)
{
	int out[2];
	int64_t seen;
	pid_t pid;

	if (argc < 4) {
		fprintf(stderr,
			"usage: vmm-bench-spawn MARK END PROGRAM [ARGUMENT]...\n");
		return USAGE;
	}
	if (pipe2(out, O_CLOEXEC) < 0 || (pid = start(argv + 3, out[1])) < 0) {
		perror("vmm-bench-spawn");
		return FAILED;
	}
	(void)close(out[1]);
	seen = read_until(out[0], argv[1], argv[2]);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	if (seen < 0) {
		fprintf(stderr, "vmm-bench-spawn: %s ended before '%s' and '%s': %s\n",
			argv[3], argv[1], argv[2], output);
		return FAILED;
	}
	printf("exec %lld\nmark %lld\n%s\n", (long long)started, (long long)seen, output);
	return 0;
}

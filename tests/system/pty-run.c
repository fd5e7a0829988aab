/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Run a program on a terminal of its own and type to it, where there is no expect(1).
 *
 *   pty-run WORD TEXT [WORD TEXT]... -- PROGRAM [ARG]...
 *
 * Types each TEXT (backslash and three octal digits stand for a byte) once the program's
 * output has its WORD. Copies the output; ends with the program's status.
 */
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void type(int fd, const char *text)
{
	for (; *text; text++) {
		char byte = *text;

		if (byte == '\\' && strlen(text) > 3) {
			char digits[4] = { text[1], text[2], text[3], '\0' };

			byte = (char)strtol(digits, NULL, 8);
			text += 3;
		}
		if (write(fd, &byte, 1) != 1)
			return;
	}
}

/* Copy the output until the program closes its terminal; type when its turn has come. */
static void talk(int fd, char **words, int pairs)
{
	static char seen[1 << 20];
	size_t len = 0, from = 0;
	int next = 0;
	ssize_t n;

	while (len < sizeof(seen) - 1 &&
	       (n = read(fd, seen + len, sizeof(seen) - 1 - len)) > 0) {
		if (write(STDOUT_FILENO, seen + len, (size_t)n) != n)
			return;
		len += (size_t)n;
		seen[len] = '\0';
		while (next < pairs) {
			char *at = memmem(seen + from, len - from, words[2 * next],
					  strlen(words[2 * next]));

			if (!at)
				break;
			from = (size_t)(at - seen) + strlen(words[2 * next]);
			(void)usleep(200000); /* a prompt is printed before it is read */
			type(fd, words[2 * next + 1]);
			next++;
		}
	}
}

int main(int argc, char **argv)
{
	int fd, status, split = 1;
	pid_t child;

	while (split < argc && strcmp(argv[split], "--") != 0)
		split++;
	if (split >= argc - 1 || split % 2 == 0) {
		fprintf(stderr,
			"usage: pty-run WORD TEXT [WORD TEXT]... -- PROGRAM...\n");
		return 2;
	}
	child = forkpty(&fd, NULL, NULL, NULL);
	if (child < 0) {
		perror("forkpty");
		return 1;
	}
	if (child == 0) {
		(void)execvp(argv[split + 1], argv + split + 1);
		perror(argv[split + 1]);
		_exit(127);
	}
	talk(fd, argv + 1, (split - 1) / 2);
	if (waitpid(child, &status, 0) != child)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

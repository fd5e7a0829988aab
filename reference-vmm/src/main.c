/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "background.h"
#include "control-client.h"
#include "help.h"
#include "machine.h"
#include "options.h"

/* A descriptor that is opened later shall not become standard output: what the guest
 * says would be written into a disk. */
static void fill_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

static int run(const struct machine_desc *desc)
{
	struct vmm_error err = { 0 };
	int ret = 0;

	/* Neither we nor what we start gains rights by executing something. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		ret = vmm_error_set(&err, -errno, "no_new_privs: %s", strerror(errno));
	if (ret == 0 && desc->background)
		ret = background_begin(&err);
	if (ret == 0)
		return machine_run(desc);
	fprintf(stderr, "reference-vmm: %s\n", err.message);
	return EXIT_MACHINE_FAILED;
}

static int obey(int argc, char **argv, struct machine_desc *desc)
{
	enum command command;
	struct vmm_error err;

	if (options_parse(argc, argv, &command, desc, &err) < 0) {
		fprintf(stderr, "reference-vmm: %s\n", err.message);
		return EXIT_USAGE;
	}
	switch (command) {
	case COMMAND_HELP:
		help_print();
		break;
	case COMMAND_HELP_RUN:
		help_print_run();
		break;
	case COMMAND_VERSION:
		printf("reference-vmm %s\n", VMM_VERSION);
		break;
	case COMMAND_RUN:
		return run(desc);
	}
	/* A full disk or closed pipe is the only thing that can go wrong by now. */
	return fflush(stdout) == 0 ? 0 : EXIT_MACHINE_FAILED;
}

int main(int argc, char **argv)
{
	const struct client_command *client = argc > 1 ? client_find(argv[1]) : NULL;
	struct machine_desc *desc;
	int status;

	fill_standard_fds();
	if (client)
		return client_run(client, argc - 1, argv + 1);
	/* Zeros that nobody writes to take no memory, and there is room for many devices. */
	desc = calloc(1, sizeof(*desc));
	if (!desc) {
		fprintf(stderr, "reference-vmm: out of memory\n");
		return EXIT_MACHINE_FAILED;
	}
	status = obey(argc, argv, desc);
	free(desc);
	return status;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdio.h>

#include "control-client.h"
#include "help.h"
#include "machine.h"
#include "options.h"

int main(int argc, char **argv)
{
	const struct client_command *client = argc > 1 ? client_find(argv[1]) : NULL;
	static struct machine_desc desc;
	enum command command;
	struct vmm_error err;

	if (client)
		return client_run(client, argc - 1, argv + 1);
	if (options_parse(argc, argv, &command, &desc, &err) < 0) {
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
		return machine_run(&desc);
	}
	/* A full disk or closed pipe is the only thing that can go wrong by now. */
	return fflush(stdout) == 0 ? 0 : EXIT_MACHINE_FAILED;
}

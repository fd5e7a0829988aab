/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "control-client.h"
#include "help.h"
#include "option-table.h"

enum { NAME_COLUMN = 17 };

static void print_command(const char *word, const char *usage, const char *help)
{
	printf("  %s%s\n        %s\n", word, usage, help);
}

void help_print(void)
{
	struct client_words words;

	printf("Usage: reference-vmm COMMAND [ARGUMENT]...\n\nCommands:\n");
	print_command("run", " [NAME] [--kernel FILE] [OPTION]...",
		      "boot a virtual machine");
	for (size_t i = 0; client_get_words(i, &words); i++)
		print_command(words.word, words.usage, words.help);
	printf("\nreference-vmm COMMAND --help says more of each, with an example;\n"
	       "reference-vmm --version says which this is.\n");
}

static void print_option(const struct run_option *option)
{
	int width = NAME_COLUMN - (int)strlen(option->name);
	const char *value = option->value ? option->value : "";

	printf("  %c%c%s --%s %-*s", option->letter ? '-' : ' ',
	       option->letter ? option->letter : ' ', option->letter ? "," : " ",
	       option->name, width, value);
	if ((int)strlen(value) > width)
		printf("\n%*s", NAME_COLUMN + 10, "");
	printf(" %s\n", option->help);
}

void help_print_run(void)
{
	const struct run_option *option;

	printf("Usage: reference-vmm run [NAME] [--kernel FILE] [OPTION]...\n\n"
	       "Boot a virtual machine; its serial console is this terminal. Ctrl-A x "
	       "ends it,\n"
	       "Ctrl-A b sends a break, Ctrl-A Ctrl-A a Ctrl-A. NAME stands for the "
	       "machine file\n"
	       "NAME.toml or NAME.json in $VMCONF_DIR or, without that, ~/vm.\n\n");
	for (size_t i = 0; (option = option_at(i)); i++)
		print_option(option);
	printf("  -h, --help            print this\n\n"
	       "Example: reference-vmm run --kernel vmlinuz --disk root.img --net passt "
	       "--memory 1G\n\n"
	       "Exit status: 0 when the guest ended (power-off, reboot, triple fault) "
	       "or was\n"
	       "asked to (Ctrl-A x, SIGINT, SIGTERM); 1 when the machine failed; 2 for a "
	       "wrong\n"
	       "command line.\n");
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdio.h>

#include "control-client.h"
#include "option-table.h"
#include "texts.h"

/* A hyphen that is typed is another character than one between words. */
static void print_roff(const char *text)
{
	texts_print_escaped(text, "-\\", "\\");
}

static void print_option(const struct run_option *option)
{
	printf(".TP\n");
	if (option->letter)
		printf("\\fB\\-%c\\fR, ", option->letter);
	printf("\\fB\\-\\-");
	print_roff(option->name);
	printf("\\fR");
	if (option->value) {
		printf(" \\fI");
		print_roff(option->value);
		printf("\\fR");
	}
	printf("\n");
	print_roff(option->help);
	for (size_t i = 0; i < OPTION_ALIASES_MAX && option->aliases[i]; i++) {
		printf("%s\\fB\\-\\-", i == 0 ? "\n(also " : ", ");
		print_roff(option->aliases[i]);
		printf("\\fR");
	}
	printf("%s\n", option->aliases[0] ? ")" : "");
}

static void print_command(const char *word, const char *usage, const char *help,
			  const char *example)
{
	printf(".TP\n\\fBreference\\-vmm %s\\fR", word);
	print_roff(usage);
	printf("\n");
	print_roff(help);
	printf(".\n.br\nExample: \\fBreference\\-vmm ");
	print_roff(example);
	printf("\\fR\n");
}

static const char files_text[] =
    ".SH MACHINE FILES\n"
    "A machine file has the long names of the options of \\fBrun\\fR as keys, in TOML "
    "(a name that ends in .toml) or JSON.\n"
    "An option without a value is true or false; what may be repeated may be an array; "
    "a list of words may be a table.\n"
    "Names of files count from the directory of the machine file.\n"
    "An option on the command line overrides the file, and all disks or networks of the "
    "file if it is one of these.\n"
    "Mistakes, unknown keys among them, are told with file, line and column.\n"
    ".PP\n.EX\n"
    "kernel = \"vmlinuz\"\n"
    "memory = \"1G\"\n"
    "disk = [{ path = \"root.img\" }, \"data.img,ro\"]\n"
    "net = { passt = true, mtu = 9000 }\n"
    ".EE\n"
    ".PP\n"
    "\\fBrun\\fR \\fINAME\\fR finds \\fINAME\\fR.toml or \\fINAME\\fR.json in "
    "\\fB$VMCONF_DIR\\fR or, without that, ~/vm; the machine has that name unless it is "
    "given another one.\n";

static const char end_text[] =
    ".SH CONSOLE\n"
    "The serial console is standard input and output. On a terminal, Ctrl\\-A x ends "
    "the machine, Ctrl\\-A b sends a break and Ctrl\\-A Ctrl\\-A one Ctrl\\-A.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n\\fBVMCONF_DIR\\fR\nWhere machine files are; without it, ~/vm.\n"
    ".TP\n\\fBXDG_RUNTIME_DIR\\fR\n"
    "Where the sockets of running machines are, in its directory libvmm; without it, "
    "/tmp/libvmm\\-\\fIUID\\fR.\n"
    ".SH EXIT STATUS\n"
    ".TP\n0\nThe guest ended (power\\-off, reboot, triple fault) or was asked to; a "
    "command is done.\n"
    ".TP\n1\nThe machine failed, or could not be made; there is no machine of that "
    "name.\n"
    ".TP\n2\nThe command line or the machine file is wrong.\n"
    ".SH EXAMPLES\n"
    ".EX\n"
    "reference\\-vmm run \\-\\-kernel vmlinuz \\-\\-initrd initrd.img \\-\\-memory 1G "
    "\\-\\-cpus 2\n"
    "reference\\-vmm run \\-\\-kernel vmlinuz \\-\\-disk root.img \\-\\-net passt "
    "\\-\\-name demo\n"
    "reference\\-vmm run demo \\-\\-dry\\-run\n"
    "reference\\-vmm stop demo\n"
    ".EE\n";

void texts_man(void)
{
	const struct run_option *option;
	struct client_words words;

	printf(".\\\" SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause\n"
	       ".\\\" Written by vmm-texts from the table of options: do not edit.\n"
	       ".TH REFERENCE\\-VMM 1 \"\" libvmm \"User commands\"\n"
	       ".SH NAME\nreference\\-vmm \\- run virtual machines\n"
	       ".SH SYNOPSIS\n"
	       "\\fBreference\\-vmm run\\fR [\\fINAME\\fR] [\\fB\\-\\-kernel\\fR \\fIFILE"
	       "\\fR] [\\fIOPTION\\fR]...\n.br\n"
	       "\\fBreference\\-vmm\\fR \\fICOMMAND\\fR [\\fINAME\\fR] [\\fB\\-\\-json"
	       "\\fR]\n"
	       ".SH DESCRIPTION\n"
	       "Boots unmodified Linux kernels in virtual machines (KVM), and controls "
	       "those that run.\n"
	       ".SH OPTIONS OF RUN\n");
	for (size_t i = 0; (option = option_at(i)); i++)
		print_option(option);
	printf(
	    ".PP\n"
	    "In a list of words, a word with a comma in it stands between double "
	    "quotes, and a quote there is doubled.\n%s"
	    ".SH COMMANDS FOR RUNNING MACHINES\n"
	    "\\fB\\-\\-json\\fR prints JSON, one line; \\fB\\-\\-help\\fR says more.\n",
	    files_text);
	for (size_t i = 0; client_get_words(i, &words); i++)
		print_command(words.word, words.usage, words.help, words.example);
	printf("%s", end_text);
}

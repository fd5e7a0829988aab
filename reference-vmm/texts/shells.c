/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "control-client.h"
#include "option-table.h"
#include "texts.h"

#define RUNNING "reference-vmm list 2>/dev/null | awk 'NR > 1 { print $1 }'"
#define HEAD                                                      \
	"# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause\n" \
	"# Written by vmm-texts from the table of options: do not edit.\n"

static void print_words(const char *separator)
{
	struct client_words words;

	printf("run");
	for (size_t i = 0; client_get_words(i, &words); i++)
		printf("%s%s", separator, words.word);
}

/* bash */

static void bash_values(const struct run_option *option)
{
	enum texts_value kind = texts_value_of(option->value);

	if (kind == VALUE_NONE)
		return;
	printf("\t"
	       "run:--%s",
	       option->name);
	if (option->letter)
		printf(" | run:-%c", option->letter);
	if (kind == VALUE_FILE) {
		printf(")\n\t\tcompopt -o filenames\n\t\twords=$(compgen -f -- "
		       "\"$current\")");
	} else if (kind == VALUE_CHOICE) {
		printf(")\n\t\twords=$(compgen -W '");
		texts_print_choices(option->value);
		printf("' -- \"$current\")");
	} else {
		printf(")\n\t\twords=");
	}
	printf(" ;;\n");
}

/* Options of a command for running machines, and the names of these. */
static void bash_command(const struct client_words *words)
{
	printf("\t%s:-*)\n\t\twords=$(compgen -W '%s--help%s' -- \"$current\") ;;\n",
	       words->word, words->has_json ? "--json " : "",
	       words->has_timeout ? " --timeout" : "");
	if (words->takes_name)
		printf("\t%s:*)\n\t\twords=$(compgen -W \"$(" RUNNING
		       ")\" -- \"$current\") ;;\n",
		       words->word);
}

void texts_bash(void)
{
	const struct run_option *option;
	struct client_words words;

	printf(HEAD "\n_reference_vmm() {\n"
		    "\tlocal current=${COMP_WORDS[COMP_CWORD]} words=\n"
		    "\tlocal before=${COMP_WORDS[1]}:${COMP_WORDS[COMP_CWORD - 1]}\n\n"
		    "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tbefore=start\n\tfi\n"
		    "\tcase $before in\n\tstart)\n\t\twords=$(compgen -W '");
	print_words(" ");
	printf(" --help --version' -- \"$current\") ;;\n");
	for (size_t i = 0; (option = option_at(i)); i++)
		bash_values(option);
	printf("\t*)\n\t\t_reference_vmm_word ;;\n\tesac\n"
	       "\tCOMPREPLY=()\n\t[ -z \"$words\" ] || mapfile -t COMPREPLY "
	       "<<<\"$words\"\n}\n\n"
	       "_reference_vmm_word() {\n\tcase ${COMP_WORDS[1]}:$current in\n"
	       "\t"
	       "run:-*)\n\t\twords=$(compgen -W '");
	for (size_t i = 0; (option = option_at(i)); i++)
		printf("--%s ", option->name);
	printf("--help' -- \"$current\") ;;\n"
	       "\t"
	       "run:*)\n\t\twords=$(compgen -W \"$(cd \"${VMCONF_DIR:-$HOME/vm}\" "
	       "2>/dev/null && ls |\n\t\t\tsed -En "
	       "'s/^([A-Za-z0-9_][A-Za-z0-9_.-]*)\\.(toml|json)$/\\1/p')\" -- "
	       "\"$current\") ;;\n");
	for (size_t i = 0; client_get_words(i, &words); i++)
		bash_command(&words);
	printf("\tesac\n}\n\ncomplete -F _reference_vmm reference-vmm\n");
}

/* zsh: all stands between single quotes */

static const char *zsh_escape(char c, const char *special)
{
	if (c == '\'')
		return "'\\'"; /* an end, a quoted quote, and after it a new beginning */
	return strchr(special, c) ? "\\" : "";
}

static void zsh_text(const char *text, const char *special)
{
	for (; *text; text++)
		printf("%s%c", zsh_escape(*text, special), *text);
}

static void zsh_option(const struct run_option *option)
{
	enum texts_value kind = texts_value_of(option->value);

	printf("\t\t\t");
	if (option->clear && option->letter)
		printf("'*'{-%c+,--%s=}'[", option->letter, option->name);
	else if (option->letter)
		printf("'(-%c --%s)'{-%c%s,--%s%s}'[", option->letter, option->name,
		       option->letter, option->value ? "+" : "", option->name,
		       option->value ? "=" : "");
	else
		printf("'%s--%s%s[", option->clear ? "*" : "", option->name,
		       option->value ? "=" : "");
	zsh_text(option->help, "[]:");
	printf("]");
	if (option->value) {
		printf(":");
		zsh_text(option->value, ":");
		printf(":");
	}
	if (kind == VALUE_FILE)
		printf("_files");
	if (kind == VALUE_CHOICE) {
		printf("(");
		texts_print_choices(option->value);
		printf(")");
	}
	printf("' \\\n");
}

void texts_zsh(void)
{
	const struct run_option *option;
	struct client_words words;

	printf("#compdef reference-vmm\n" HEAD "\n"
	       "_reference_vmm_running() {\n\tlocal -a names\n"
	       "\tnames=(${(f)\"$(" RUNNING ")\"})\n\tcompadd -a names\n}\n\n"
	       "_reference_vmm_files() {\n\tlocal -a names\n"
	       "\tnames=(${VMCONF_DIR:-$HOME/vm}/*.(toml|json)(N:t:r))\n"
	       "\tcompadd -a names\n}\n\n"
	       "_reference_vmm() {\n\tlocal -a commands\n\tcommands=(\n"
	       "\t\t'run:boot a virtual machine'\n");
	for (size_t i = 0; client_get_words(i, &words); i++) {
		printf("\t\t'%s:", words.word);
		zsh_text(words.help, "");
		printf("'\n");
	}
	printf("\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command commands\n"
	       "\t\treturn\n\tfi\n\tshift words\n\t((CURRENT--))\n"
	       "\tcase $words[1] in\n\t"
	       "run)\n\t\t_arguments -s \\\n");
	for (size_t i = 0; (option = option_at(i)); i++)
		zsh_option(option);
	printf("\t\t\t'(-h --help)'{-h,--help}'[print help]' \\\n"
	       "\t\t\t'1:machine file:_reference_vmm_files' ;;\n");
	for (size_t i = 0; client_get_words(i, &words); i++)
		printf("\t%s)\n\t\t_arguments %s'--help[print help]'%s%s ;;\n",
		       words.word, words.has_json ? "'--json[print JSON]' " : "",
		       words.has_timeout ? " '--timeout=[seconds]:S:'" : "",
		       words.takes_name ? " '1:machine:_reference_vmm_running'" : "");
	printf("\tesac\n}\n\n_reference_vmm \"$@\"\n");
}

/* fish */

static void fish_option(const struct run_option *option)
{
	enum texts_value kind = texts_value_of(option->value);

	printf("complete -c reference-vmm -n '__fish_seen_subcommand_from run' -l %s",
	       option->name);
	if (option->letter)
		printf(" -s %c", option->letter);
	if (kind == VALUE_FILE)
		printf(" -r -F");
	if (kind == VALUE_OTHER)
		printf(" -x");
	if (kind == VALUE_CHOICE) {
		printf(" -x -a '");
		texts_print_choices(option->value);
		printf("'");
	}
	printf(" -d '");
	texts_print_escaped(option->help, "'", "\\");
	printf("'\n");
}

static void fish_command(const struct client_words *words)
{
	printf("complete -c reference-vmm -n __fish_use_subcommand -a %s -d '",
	       words->word);
	texts_print_escaped(words->help, "'", "\\");
	printf("'\n");
	if (words->has_timeout)
		printf("complete -c reference-vmm -n '__fish_seen_subcommand_from %s' -l "
		       "timeout -x -d seconds\n",
		       words->word);
	if (words->takes_name)
		printf("complete -c reference-vmm -n '__fish_seen_subcommand_from %s' -a "
		       "'(__reference_vmm_running)'\n",
		       words->word);
}

void texts_fish(void)
{
	const struct run_option *option;
	struct client_words words;

	printf(HEAD "\nfunction __reference_vmm_running\n\t" RUNNING "\nend\n\n"
		    "function __reference_vmm_files\n"
		    "\tset -l dir ~/vm\n\tset -q VMCONF_DIR; and set dir $VMCONF_DIR\n"
		    "\tfor file in $dir/*.toml $dir/*.json\n"
		    "\t\tstring replace -r '\\.(toml|json)$' '' (basename $file)\n"
		    "\tend\nend\n\n"
		    "complete -c reference-vmm -f\n"
		    "complete -c reference-vmm -l help -s h -d 'print help'\n"
		    "complete -c reference-vmm -n __fish_use_subcommand -l version\n"
		    "complete -c reference-vmm -n __fish_use_subcommand -a run -d "
		    "'boot a virtual machine'\n"
		    "complete -c reference-vmm -n '__fish_seen_subcommand_from run' -a "
		    "'(__reference_vmm_files)'\n");
	for (size_t i = 0; (option = option_at(i)); i++)
		fish_option(option);
	for (size_t i = 0; client_get_words(i, &words); i++)
		fish_command(&words);
	printf("complete -c reference-vmm -n '__fish_seen_subcommand_from ");
	for (size_t i = 0; client_get_words(i, &words); i++) {
		if (words.has_json)
			printf("%s%s", i > 0 ? " " : "", words.word);
	}
	printf("' -l json -d 'print JSON'\n");
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control-client.h"
#include "control-connection.h"
#include "control-console.h"
#include "control-print.h"
#include "control-protocol.h"
#include "outcome.h"
#include "values.h"

#define MIB (UINT64_C(1) << 20)

enum {
	ANSWER_SECONDS = 30,
	LIST_SECONDS = 2, /* for each machine */
	KILL_SECONDS = 5,
	MACHINES_MAX = 4096,
};

struct arguments {
	const char *name;
	const char *disk;
	uint64_t size; /* 0: not given */
	uint32_t timeout;
	bool json;
};

struct client_command {
	const char *word;
	const char *usage;
	const char
	    *takes; /* its arguments: Name, Disk, Size; a small letter: if it likes */
	bool has_timeout;
	const char *help;
	const char *example;
	int (*run)(const struct client_command *command, const struct arguments *args,
		   struct vmm_error *err);
};

/* Running them. */

static void print_result(const struct arguments *args, json_t *result)
{
	const char *outcome = json_string_value(json_object_get(result, "outcome"));
	const char *state = json_string_value(json_object_get(result, "state"));
	char line[OUTCOME_TEXT_MAX];

	if (!outcome && json_object_size(result) == 1)
		outcome = state;
	if (args->json) {
		control_print_json(result);
	} else if (outcome) {
		(void)snprintf(line, sizeof(line), "%s", outcome);
		control_clean(line);
		printf("%s: %s\n", args->name, line);
	} else {
		control_print_text(result);
	}
}

static json_t *make_request(const struct client_command *command,
			    const struct arguments *args)
{
	json_t *request = json_pack("{s:s}", "command", command->word);

	if (command->has_timeout)
		(void)json_object_set_new(request, "timeout",
					  json_integer((json_int_t)args->timeout));
	if (args->disk)
		(void)json_object_set_new(request, "disk", json_string(args->disk));
	if (args->size > 0)
		(void)json_object_set_new(request, args->disk ? "bytes" : "memory",
					  json_integer((json_int_t)args->size));
	return request;
}

/* Connect and ask; the answer is still to come. */
static int ask(const struct client_command *command, const struct arguments *args,
	       struct connection *connection, struct vmm_error *err)
{
	struct control_place place;
	json_t *request;
	int ret = control_open_place(&place, false, err);

	if (ret == -ENOENT)
		return vmm_error_set(err, ret, "no machine named '%s' is running",
				     args->name);
	if (ret < 0)
		return ret;
	ret = connection_open(connection, &place, args->name, err);
	(void)close(place.dir_fd);
	if (ret < 0)
		return ret;
	request = make_request(command, args);
	ret = connection_send(connection, request, err);
	json_decref(request);
	if (ret < 0)
		connection_close(connection);
	return ret;
}

static int run_one(const struct client_command *command, const struct arguments *args,
		   struct vmm_error *err)
{
	unsigned int seconds = ANSWER_SECONDS;
	struct connection connection;
	json_t *result;
	int ret = ask(command, args, &connection, err);

	if (ret < 0)
		return ret;
	/* The guest's time, and then the machine's to write out what it has. */
	if (command->has_timeout)
		seconds += args->timeout;
	ret = connection_receive(&connection, seconds, &result, err);
	connection_close(&connection);
	if (ret < 0)
		return ret;
	print_result(args, result);
	json_decref(result);
	return 0;
}

/* One that does not even answer is killed by the kernel. */
static int run_kill(const struct client_command *command, const struct arguments *args,
		    struct vmm_error *err)
{
	struct connection connection;
	json_t *result = NULL;
	int ret = ask(command, args, &connection, err);

	if (ret < 0)
		return ret;
	ret = connection_receive(&connection, KILL_SECONDS, &result, err);
	if (ret == -ETIMEDOUT && connection.pid > 0) {
		if (kill(connection.pid, SIGKILL) < 0)
			ret = vmm_error_set(err, -errno, "%s: process %d: %s", args->name,
					    (int)connection.pid, strerror(errno));
		else
			ret = connection_receive(&connection, KILL_SECONDS, &result, err);
	}
	connection_close(&connection);
	if (ret == -EPIPE)
		result = json_pack("{s:s, s:s}", "state", "ended", "outcome",
				   "killed (SIGKILL)");
	if (!result)
		return ret;
	print_result(args, result);
	json_decref(result);
	return 0;
}

/* What a machine says of itself; one that is there but does not is listed, too. */
static void list_one(const struct control_place *place, const char *name,
		     const json_t *request, json_t *machines)
{
	struct connection connection;
	json_t *machine = NULL;

	if (connection_open(&connection, place, name, NULL) < 0)
		return;
	if (connection_send(&connection, request, NULL) < 0 ||
	    connection_receive(&connection, LIST_SECONDS, &machine, NULL) < 0)
		machine = json_pack("{s:s, s:i, s:s}", "name", name, "pid",
				    (int)connection.pid, "state", "silent");
	connection_close(&connection);
	(void)json_array_append_new(machines, machine);
}

/* NAME.sock: cut to the name, or false. */
static bool cut_to_name(char *file)
{
	char *end = strrchr(file, '.');

	if (!end || strcmp(end, ".sock") != 0)
		return false;
	*end = '\0';
	return control_check_name(file, NULL) == 0;
}

static json_t *list_all(const struct control_place *place, struct vmm_error *err)
{
	json_t *machines = json_array(), *request = json_pack("{s:s}", "command", "info");
	struct dirent **files = NULL;
	int count = scandir(place->dir, &files, NULL, alphasort);

	if (count < 0)
		(void)vmm_error_set(err, -errno, "%s: %s", place->dir, strerror(errno));
	for (int i = 0; i < count; i++) {
		if (i < MACHINES_MAX && cut_to_name(files[i]->d_name))
			list_one(place, files[i]->d_name, request, machines);
		free(files[i]);
	}
	free(files);
	json_decref(request);
	if (count < 0) {
		json_decref(machines);
		return NULL;
	}
	return machines;
}

static int run_list(const struct client_command *command, const struct arguments *args,
		    struct vmm_error *err)
{
	struct control_place place;
	json_t *machines;
	int ret = control_open_place(&place, false, err);

	/* Nobody has run one yet. */
	if (ret < 0 && ret != -ENOENT)
		return ret;
	machines = ret < 0 ? json_array() : list_all(&place, err);
	if (ret == 0)
		(void)close(place.dir_fd);
	if (!machines)
		return -EIO;
	if (args->json)
		control_print_json(machines);
	else
		control_print_table(machines);
	json_decref(machines);
	return 0;
}

/* Until it ends, or the user leaves. */
static int run_console(const struct client_command *command, const struct arguments *args,
		       struct vmm_error *err)
{
	struct connection connection;
	json_t *result;
	int ret = ask(command, args, &connection, err);

	if (ret < 0)
		return ret;
	ret = connection_receive(&connection, ANSWER_SECONDS, &result, err);
	if (ret == 0) {
		json_decref(result);
		ret = console_copy(&connection, err);
	}
	connection_close(&connection);
	return ret;
}

/* The one table of commands: reading, help, requests. */
static const struct client_command commands[] = {
	{ "list", "", "", false, "name the machines that run", "list --json", run_list },
	{ "info", " NAME", "N", false, "tell what a machine is", "info demo", run_one },
	{ "console", " NAME", "N", false,
	  "use a machine's console; Ctrl-A d leaves it, Ctrl-A b sends a break",
	  "console demo", run_console },
	{ "pause", " NAME", "N", false, "stop CPUs and devices until resume",
	  "pause demo", run_one },
	{ "resume", " NAME", "N", false, "let a paused machine go on", "resume demo",
	  run_one },
	{ "stop", " NAME [--timeout S]", "N", true,
	  "press the power button, wait for the end; use force after S seconds (30)",
	  "stop demo --timeout 5", run_one },
	{ "kill", " NAME", "N", false, "end a machine at once", "kill demo", run_kill },
	{ "balloon", " NAME SIZE", "NS", false,
	  "say how much memory the guest should keep (it needs run --balloon)",
	  "balloon demo 256M", run_one },
	{ "resize-disk", " NAME DISK [SIZE]", "NDs", false,
	  "make a disk (vda, vdb, ... or its id) larger, or take the size of its file",
	  "resize-disk demo vda 20G", run_one },
	{ "stats", " NAME", "N", false, "tell what a machine has done so far",
	  "stats demo --json", run_one },
};

/* Reading the command line. */

/* A console's bytes are what they are. */
static bool has_json(const struct client_command *command)
{
	return command->run != run_console;
}

const struct client_command *client_find(const char *word)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(word, commands[i].word) == 0)
			return &commands[i];
	}
	return NULL;
}

bool client_get_words(size_t index, struct client_words *out)
{
	const struct client_command *command = &commands[index];

	if (index >= sizeof(commands) / sizeof(commands[0]))
		return false;
	*out = (struct client_words){
		.word = command->word,
		.usage = command->usage,
		.help = command->help,
		.example = command->example,
		.takes_name = command->takes[0] != '\0',
		.has_timeout = command->has_timeout,
		.has_json = has_json(command),
	};
	return true;
}

static void print_help(const struct client_command *command)
{
	printf("Usage: reference-vmm %s%s%s\n\n%s\n\n", command->word, command->usage,
	       has_json(command) ? " [--json]" : "", command->help);
	if (command->has_timeout)
		printf("  --timeout S    seconds the guest has to power off, 0 to %d\n",
		       CONTROL_STOP_SECONDS_MAX);
	if (has_json(command))
		printf("  --json         print JSON, one line\n");
	printf("  -h, --help     print this\n\n"
	       "Example: reference-vmm %s\n\n"
	       "Exit status: 0 when it is done; 1 when there is no such machine or it "
	       "refuses;\n2 for a wrong command line.\n",
	       command->example);
}

static int set_timeout(const struct client_command *command, struct arguments *args,
		       const char *value, struct vmm_error *err)
{
	uint64_t seconds;

	if (!command->has_timeout)
		return vmm_error_set(err, -EINVAL, "%s has no --timeout", command->word);
	if (value_number(value, &seconds) < 0 || seconds > CONTROL_STOP_SECONDS_MAX)
		return vmm_error_set(
		    err, -EINVAL, "--timeout: '%.64s' is not a number of seconds", value);
	args->timeout = (uint32_t)seconds;
	return 0;
}

/* 1: help was asked for. */
static int parse_options(const struct client_command *command, int argc, char **argv,
			 struct arguments *args, struct vmm_error *err)
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' },
					       { "help", no_argument, NULL, 'h' },
					       { "timeout", required_argument, NULL,
						 't' },
					       { "name", required_argument, NULL, 'n' },
					       { NULL, 0, NULL, 0 } };
	int letter, ret = 0;

	opterr = 0;
	while (ret == 0 &&
	       (letter = getopt_long(argc, argv, ":hn:", longs, NULL)) != -1) {
		if (letter == 'h')
			ret = 1;
		else if (letter == 'j' && !has_json(command))
			ret = vmm_error_set(err, -EINVAL, "%s has no --json",
					    command->word);
		else if (letter == 'j')
			args->json = true;
		else if (letter == 'n' && !command->takes[0])
			ret = vmm_error_set(err, -EINVAL, "%s has no --name",
					    command->word);
		else if (letter == 'n')
			args->name = optarg; /* as rust-vmm-glue's users write it */
		else if (letter == 't')
			ret = set_timeout(command, args, optarg, err);
		else
			ret = vmm_error_set(err, -EINVAL,
					    letter == ':' ? "%.64s needs a value"
							  : "unknown option %.64s",
					    argv[optind - 1]);
	}
	return ret;
}

static int set_argument(char what, const char *text, struct arguments *args,
			struct vmm_error *err)
{
	int ret;

	switch (what) {
	case 'N':
		args->name = text;
		return control_check_name(text, err);
	case 'D':
		args->disk = text;
		return text[0] && strlen(text) <= CONTROL_DISK_MAX
			   ? 0
			   : vmm_error_set(err, -EINVAL,
					   "'%.64s' names no disk: vda, or its id", text);
	default:
		ret = value_size(text, MIB, &args->size);
		return ret == 0 && args->size > 0 && args->size <= INT64_MAX
			   ? 0
			   : vmm_error_set(err, -EINVAL,
					   "'%.64s' is not a size such as 256M", text);
	}
}

static int parse(const struct client_command *command, int argc, char **argv,
		 struct arguments *args, struct vmm_error *err)
{
	const char *takes = command->takes;
	int ret = parse_options(command, argc, argv, args, err);

	if (ret == 0 && args->name)
		ret = set_argument(*takes++, args->name, args, err);
	for (; ret == 0 && optind < argc; optind++) {
		if (!*takes)
			return vmm_error_set(err, -EINVAL, "unexpected argument '%.64s'",
					     argv[optind]);
		ret = set_argument((char)toupper(*takes++), argv[optind], args, err);
	}
	if (ret == 0 && isupper((unsigned char)*takes))
		ret = vmm_error_set(err, -EINVAL, "%s needs%s", command->word,
				    command->usage);
	return ret;
}

int client_run(const struct client_command *command, int argc, char **argv)
{
	struct arguments args = { .timeout = CONTROL_STOP_SECONDS };
	struct vmm_error err = { .message = "out of memory" };
	int ret = parse(command, argc, argv, &args, &err);

	if (ret < 0) {
		fprintf(stderr, "reference-vmm: %s\n", err.message);
		return EXIT_USAGE;
	}
	ret = ret > 0 ? (print_help(command), 0) : command->run(command, &args, &err);
	if (ret < 0)
		fprintf(stderr, "reference-vmm: %s\n", err.message);
	return ret < 0 || fflush(stdout) != 0 ? EXIT_MACHINE_FAILED : 0;
}

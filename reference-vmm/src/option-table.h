/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef OPTION_TABLE_H
#define OPTION_TABLE_H

#include "options.h"

/* What `run` takes. Parsing, machine files, help, completion and manual page all read this
 * one table, so they cannot disagree. */
struct run_option {
	const char *name;
	char letter;	   /* 0: none */
	const char *value; /* what stands for it in help; NULL: takes none */
	const char *help;
	/* Names that other VMMs have for it, accepted and not shown. */
	const char *aliases[3];
	int (*set)(struct machine_desc *desc, const char *value, struct vmm_error *err);
	/* Not NULL: may be repeated, and this forgets all. */
	void (*clear)(struct machine_desc *desc);
	bool words; /* its value is a list of words; in a machine file, an object */
	bool command_line; /* not for machine files: about this run, not the machine */
};

enum { OPTION_ALIASES_MAX = 3 };

/* The options in the order of the help; NULL behind the last. */
const struct run_option *option_at(size_t index);

/* By its name, or by one of other VMMs; NULL: there is none. */
const struct run_option *option_find(const char *name);

/* Make a machine of zeros what it is when nobody says anything. It has room for many
 * devices: pages of it that nobody writes take no memory. */
void options_set_defaults(struct machine_desc *desc);

#endif

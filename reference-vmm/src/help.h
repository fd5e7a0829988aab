/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef HELP_H
#define HELP_H

/* Print to standard output what the program can do, and what `run` takes. */
void help_print(void);
void help_print_run(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONFIG_H
#define CONFIG_H

#include "config-reader.h"
#include "options.h"

/* Machine files: the options of `run` as JSON or TOML. Keys are the options' names; a list
 * of words is an object, what may be repeated an array. Whatever is wrong is an error that
 * names the place. */

enum { CONFIG_LEN_MAX = 1 << 20 };

/* Find NAME.toml or NAME.json where machine files are: in $VMCONF_DIR, else ~/vm.
 * @path: room for PATH_LEN_MAX. -ENOENT with a detail. */
int config_find(const char *name, char *path, struct vmm_error *err);

/* Do what a machine file says, as if its options stood on the command line. A name of a
 * file in it that is not absolute counts from the machine file's directory. */
int config_load(const char *path, struct machine_desc *desc, struct vmm_error *err);

/* The same for a text. @name: for messages */
int config_apply(const char *name, config_read_fn *read, const char *text, size_t len,
		 struct machine_desc *desc, struct vmm_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include <jansson.h>
#include <stddef.h>

/* How a machine file becomes a tree of values. */

#ifdef __cplusplus
extern "C" {
#endif

/* Values are counted in the order in which a walk through the tree meets them: a container
 * before what is in it, the root as number 0. */
struct config_place {
	size_t number; /* in: of the value whose place is wanted */
	unsigned int line;
	unsigned int column; /* in characters; of the key if the value has one */
	char problem[128];   /* what is wrong there if the text cannot be read */
};

/* Read a text. NULL, with the place of the mistake, if it is wrong; the tree is the
 * caller's. */
typedef json_t *config_read_fn(const char *text, size_t len, struct config_place *place);

config_read_fn config_read_json;
config_read_fn config_read_toml;

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_INPUT_H
#define LOADER_INPUT_H

#include <vmm/loader.h>

/* A source that was looked at: its kind and length are known and its name is set. */
struct load_input {
	const char *name;
	int fd;
	const uint8_t *data;
	uint64_t size;
};

int load_input_open(const struct vmm_load_source *source, struct load_input *out,
		    struct vmm_error *err);

/* Reads exactly @p len bytes; @p what names them in the message. A read past the end is
 * -EBADMSG ("truncated"). */
int load_input_read(const struct load_input *in, uint64_t offset, void *buf, size_t len,
		    const char *what, struct vmm_error *err);

/* Reads up to @p len bytes, fewer at the end, and tells how many. */
int load_input_peek(const struct load_input *in, uint64_t offset, void *buf, size_t len,
		    size_t *out_len, struct vmm_error *err);

/* Refuses the range [offset, offset + len) when the source has not got it all. */
int load_input_check(const struct load_input *in, uint64_t offset, uint64_t len,
		     const char *what, struct vmm_error *err);

/* Puts file bytes straight into guest memory; the range was checked before. */
int load_input_to_mem(const struct load_input *in, uint64_t offset, uint64_t len,
		      const struct vmm_mem *mem, uint64_t gpa, struct vmm_error *err);

/* The same into memory that may be read-only to the guest. */
int load_input_to_rom(const struct load_input *in, const struct vmm_mem *mem,
		      uint64_t gpa, struct vmm_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* Numbers out of the input; zeros after its end. */
struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v |= (uint64_t)fuzz_u8(in) << 8 * i;
	return v;
}

static inline void fuzz_check(int good)
{
	if (!good)
		__builtin_trap();
}

/* Whether @x is in [first, first + len), which may wrap: then to the last address. */
static inline int fuzz_in(uint64_t x, uint64_t first, uint64_t len)
{
	return x >= first && x - first < len;
}

#endif

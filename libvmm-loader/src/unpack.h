/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_UNPACK_H
#define LOADER_UNPACK_H

#include "input.h"

/* Says whether this build unpacks a VMM_LOAD_FORMAT_*. */
bool load_unpack_supported(uint32_t format);

/* VMM_LOAD_FORMAT_* for the name that an EFI zboot header has ("gzip", "zstd22"), else
 * unknown. At most 32 bytes are looked at. */
uint32_t load_unpack_format_by_name(const char *name);

/* Bytes that were unpacked; released with free(data). */
struct unpacked {
	uint8_t *data;
	size_t len;
	size_t room;
	/* Most bytes that there may be. */
	uint64_t max;
};

/* Unpacks [offset, offset + len) of an image. At most @p max bytes come out, and not
 * much more than 256 for each that goes in: more is a bomb, not a kernel. */
int load_unpack(const struct load_input *in, uint32_t format, uint64_t offset,
		uint64_t len, uint64_t max, struct unpacked *out, struct vmm_error *err);

/* One library's decoder: 0, -EBADMSG (damaged or truncated), -E2BIG or -ENOMEM. */
typedef int (*unpack_fn)(const uint8_t *src, size_t len, struct unpacked *out);

int unpack_gzip(const uint8_t *src, size_t len, struct unpacked *out);
int unpack_xz(const uint8_t *src, size_t len, struct unpacked *out);
int unpack_lzma(const uint8_t *src, size_t len, struct unpacked *out);
int unpack_zstd(const uint8_t *src, size_t len, struct unpacked *out);
int unpack_lz4(const uint8_t *src, size_t len, struct unpacked *out);

/* Makes room behind the bytes that are there: @p want bytes if the limit allows so many,
 * at least one. */
int unpack_room(struct unpacked *out, size_t want, size_t *out_n);

#endif

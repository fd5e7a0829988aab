/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sys.h"

/* Real kernels are a quarter to a tenth of their size when compressed. With this, 64 KiB
 * cost 17 MiB of output, and as much again for the decoder's window. */
#define RATIO_MAX 256u
#define RATIO_FREE (UINT64_C(1) << 20)

static unpack_fn find_codec(uint32_t format)
{
	switch (format) {
#ifdef LOADER_HAVE_ZLIB
	case VMM_LOAD_FORMAT_GZIP:
		return unpack_gzip;
#endif
#ifdef LOADER_HAVE_LZMA
	case VMM_LOAD_FORMAT_XZ:
		return unpack_xz;
	case VMM_LOAD_FORMAT_LZMA:
		return unpack_lzma;
#endif
#ifdef LOADER_HAVE_ZSTD
	case VMM_LOAD_FORMAT_ZSTD:
		return unpack_zstd;
#endif
#ifdef LOADER_HAVE_LZ4
	case VMM_LOAD_FORMAT_LZ4:
		return unpack_lz4;
#endif
	default:
		return NULL;
	}
}

bool load_unpack_supported(uint32_t format)
{
	return find_codec(format) != NULL;
}

uint32_t load_unpack_format_by_name(const char *name)
{
	static const struct {
		const char *name;
		uint32_t format;
	} names[] = {
		{ "gzip", VMM_LOAD_FORMAT_GZIP },   { "zstd", VMM_LOAD_FORMAT_ZSTD },
		{ "zstd22", VMM_LOAD_FORMAT_ZSTD }, { "xz", VMM_LOAD_FORMAT_XZ },
		{ "xzkern", VMM_LOAD_FORMAT_XZ },   { "lz4", VMM_LOAD_FORMAT_LZ4 },
		{ "lzma", VMM_LOAD_FORMAT_LZMA },   { "lzo", VMM_LOAD_FORMAT_LZO },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(name, names[i].name, 32) == 0)
			return names[i].format;
	return VMM_LOAD_FORMAT_UNKNOWN;
}

int unpack_room(struct unpacked *out, size_t want, size_t *out_n)
{
	size_t room = out->room ? out->room : 65536;
	uint8_t *data;

	if (out->len >= out->max)
		return -E2BIG;
	if (want > out->max - out->len)
		want = (size_t)(out->max - out->len);
	while (room - out->len < want)
		room *= 2;
	if (room > out->max)
		room = (size_t)out->max;
	if (room != out->room) {
		data = load_sys_realloc(out->data, room);
		if (!data)
			return -ENOMEM;
		out->data = data;
		out->room = room;
	}
	*out_n = room - out->len;
	if (*out_n > out->max - out->len)
		*out_n = (size_t)(out->max - out->len);
	return 0;
}

static int report(const struct load_input *in, int ret, const struct unpacked *out,
		  struct vmm_error *err)
{
	switch (ret) {
	case 0:
		return 0;
	case -E2BIG:
		return vmm_error_at(err, ret, 0, out->max, out->len,
				    "%s: unpacks to more than %" PRIu64 " bytes",
				    in->name, out->max - 1);
	case -ENOMEM:
		return vmm_error_at(err, ret, 0, out->max, out->len,
				    "%s: out of memory after unpacking %zu bytes",
				    in->name, out->len);
	default:
		return vmm_error_at(
		    err, ret, 0, 0, out->len,
		    "%s: compressed data is damaged or truncated, %zu bytes "
		    "came out",
		    in->name, out->len);
	}
}

int load_unpack(const struct load_input *in, uint32_t format, uint64_t offset,
		uint64_t len, uint64_t max, struct unpacked *out, struct vmm_error *err)
{
	uint64_t limit = max;
	struct unpacked result = { 0 };
	unpack_fn codec = find_codec(format);
	const uint8_t *src = in->data ? in->data + offset : NULL; /* a file has none */
	uint8_t *copy = NULL;
	int ret = load_input_check(in, offset, len, "compressed data", err);

	if (ret < 0)
		return ret;
	if (!codec)
		return vmm_error_at(err, -EOPNOTSUPP, 0, 0, format,
				    "%s: this build cannot unpack its compression",
				    in->name);
	if (len < (max - (max < RATIO_FREE ? max : RATIO_FREE)) / RATIO_MAX)
		limit = len * RATIO_MAX + RATIO_FREE;
	/* One more, so that what ends right at the limit is seen to end. */
	result.max = limit < UINT64_MAX ? limit + 1 : limit;
	if (in->fd >= 0) {
		copy = load_sys_alloc((size_t)len + 1);
		src = copy;
		if (!copy)
			return report(in, -ENOMEM, &result, err);
		ret = load_input_read(in, offset, copy, (size_t)len, "compressed data",
				      err);
	}
	if (ret == 0) {
		ret = codec(src, (size_t)len, &result);
		if (ret == 0 && result.len > limit)
			ret = -E2BIG;
		ret = report(in, ret, &result, err);
	}
	free(copy);
	if (ret < 0) {
		free(result.data);
		return ret;
	}
	*out = result;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unpack.h"

#include <string.h>

bool load_unpack_supported(uint32_t format)
{
	return false;
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

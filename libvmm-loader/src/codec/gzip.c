/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <zlib.h>

#include "../unpack.h"

/* zlib counts in unsigned int. */
#define STEP (1u << 20)

int unpack_gzip(const uint8_t *src, size_t len, struct unpacked *out)
{
	z_stream z = { 0 };
	int ret = 0, state = Z_OK;
	size_t room;

	/* 16: a gzip header and nothing else. */
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return -ENOMEM;
	while (ret == 0 && state == Z_OK) {
		uInt in_before, out_before;

		ret = unpack_room(out, STEP, &room);
		if (ret < 0)
			break;
		z.next_in = (Bytef *)(uintptr_t)src;
		z.avail_in = in_before = len < STEP ? (uInt)len : STEP;
		z.next_out = out->data + out->len;
		z.avail_out = out_before = room < STEP ? (uInt)room : STEP;
		state = inflate(&z, Z_NO_FLUSH);
		src += in_before - z.avail_in;
		len -= in_before - z.avail_in;
		out->len += out_before - z.avail_out;
		if (state == Z_MEM_ERROR)
			ret = -ENOMEM;
		else if (state != Z_OK && state != Z_STREAM_END)
			ret = -EBADMSG;
	}
	(void)inflateEnd(&z);
	return ret;
}

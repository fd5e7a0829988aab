/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <lzma.h>

#include "../unpack.h"

/* Kernels use dictionaries of up to 128 MiB (scripts/xz_wrap.sh); a file that names a
 * larger one only wants our memory. It is not taken before that much comes out. */
#define MEMORY_MAX (UINT64_C(160) << 20)

#define STEP (1u << 20)

static int run(lzma_stream *z, const uint8_t *src, size_t len, struct unpacked *out)
{
	lzma_ret state = LZMA_OK;
	size_t room;
	int ret = 0;

	z->next_in = src;
	z->avail_in = len;
	while (ret == 0 && state == LZMA_OK) {
		ret = unpack_room(out, STEP, &room);
		if (ret < 0)
			break;
		z->next_out = out->data + out->len;
		z->avail_out = room;
		state = lzma_code(z, LZMA_FINISH);
		out->len += room - z->avail_out;
		if (state == LZMA_MEM_ERROR || state == LZMA_MEMLIMIT_ERROR)
			ret = -ENOMEM;
		else if (state != LZMA_OK && state != LZMA_STREAM_END)
			ret = -EBADMSG;
	}
	lzma_end(z);
	return ret;
}

int unpack_xz(const uint8_t *src, size_t len, struct unpacked *out)
{
	lzma_stream z = LZMA_STREAM_INIT;

	if (lzma_stream_decoder(&z, MEMORY_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	return run(&z, src, len, out);
}

int unpack_lzma(const uint8_t *src, size_t len, struct unpacked *out)
{
	lzma_stream z = LZMA_STREAM_INIT;

	if (lzma_alone_decoder(&z, MEMORY_MAX) != LZMA_OK)
		return -ENOMEM;
	return run(&z, src, len, out);
}

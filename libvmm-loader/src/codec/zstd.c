/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <zstd.h>

#include "../unpack.h"

/* Kernels are packed with windows of up to 128 MiB (zstd -22 --ultra). */
#define WINDOW_LOG_MAX 27

#define STEP (1u << 20)

int unpack_zstd(const uint8_t *src, size_t len, struct unpacked *out)
{
	ZSTD_DStream *z = ZSTD_createDStream();
	ZSTD_inBuffer in = { src, len, 0 };
	size_t left = 1, room;
	int ret = 0;

	if (!z)
		return -ENOMEM;
	(void)ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	/* 0: the frame is complete; what follows it is not ours. */
	while (ret == 0 && left != 0) {
		ZSTD_outBuffer o;
		size_t before = in.pos;

		ret = unpack_room(out, STEP, &room);
		if (ret < 0)
			break;
		o = (ZSTD_outBuffer){ out->data + out->len, room, 0 };
		left = ZSTD_decompressStream(z, &o, &in);
		out->len += o.pos;
		if (ZSTD_isError(left) || (left && in.pos == before && o.pos == 0))
			ret = -EBADMSG;
	}
	(void)ZSTD_freeDStream(z);
	return ret;
}

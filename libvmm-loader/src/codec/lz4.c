/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <lz4.h>
#include <lz4frame.h>
#include <string.h>

#include "../bytes.h"
#include "../unpack.h"

#define LEGACY_MAGIC 0x184c2102u
#define LEGACY_BLOCK (8u << 20)
#define STEP (1u << 20)

/* lz4_Frame_format.md, "Legacy frame": blocks of a length and data; all but the last
 * unpack to 8 MiB. A kernel build puts four bytes of its size behind it. */
static int legacy(const uint8_t *src, size_t len, struct unpacked *out)
{
	size_t room, blocks = 0;
	uint32_t n;
	int got, ret;

	for (; len >= 4; blocks++) {
		n = get_le32(src);
		if (n > len - 4 || n > (uint32_t)LZ4_COMPRESSBOUND(LEGACY_BLOCK))
			return len == 4 && blocks ? 0 : -EBADMSG;
		ret = unpack_room(out, LEGACY_BLOCK, &room);
		if (ret < 0)
			return ret;
		if (room > LEGACY_BLOCK)
			room = LEGACY_BLOCK;
		got =
		    LZ4_decompress_safe((const char *)src + 4,
					(char *)out->data + out->len, (int)n, (int)room);
		if (got < 0)
			return room < LEGACY_BLOCK ? -E2BIG : -EBADMSG;
		out->len += (size_t)got;
		src += 4 + n;
		len -= 4 + n;
	}
	return len == 0 && blocks ? 0 : -EBADMSG;
}

static int frame(const uint8_t *src, size_t len, struct unpacked *out)
{
	LZ4F_dctx *z = NULL;
	size_t left = 1, room, used;
	int ret = 0;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&z, LZ4F_VERSION)))
		return -ENOMEM;
	/* 0: the frame is complete. */
	while (ret == 0 && left != 0) {
		ret = unpack_room(out, STEP, &room);
		if (ret < 0)
			break;
		used = len;
		left = LZ4F_decompress(z, out->data + out->len, &room, src, &used, NULL);
		if (LZ4F_isError(left) || (left && used == 0 && room == 0))
			ret = -EBADMSG;
		else
			out->len += room;
		src += used;
		len -= used;
	}
	(void)LZ4F_freeDecompressionContext(z);
	return ret;
}

int unpack_lz4(const uint8_t *src, size_t len, struct unpacked *out)
{
	if (len >= 4 && get_le32(src) == LEGACY_MAGIC)
		return legacy(src + 4, len - 4, out);
	return frame(src, len, out);
}

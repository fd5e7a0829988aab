/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a client sends on a control socket: cut into lines, and read. The lines are the same
 * however the bytes arrive; a request that is accepted keeps what the protocol says.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control-protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static void check_request(const char *line, size_t len)
{
	struct control_request request;
	struct vmm_error err = { 0 };

	if (control_decode(line, len, &request, &err) < 0) {
		require(err.message[0] != '\0');
		for (const char *c = err.message; *c; c++)
			require(*c >= ' ' && *c <= '~');
		return;
	}
	require(request.verb <= CONTROL_RESIZE_DISK);
	require(request.timeout <= CONTROL_STOP_SECONDS_MAX);
	require(request.bytes <= INT64_MAX);
	require(request.verb == CONTROL_STOP || request.timeout == 0);
	require(request.verb == CONTROL_BALLOON || request.verb == CONTROL_RESIZE_DISK ||
		request.bytes == 0);
	require(strnlen(request.disk, sizeof(request.disk)) < sizeof(request.disk));
	require((request.verb == CONTROL_RESIZE_DISK) == (request.disk[0] != '\0'));
}

static uint64_t mix(uint64_t hash, const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)line[i]) * UINT64_C(0x100000001b3);
	return (hash ^ 0x100) * UINT64_C(0x100000001b3);
}

/* Feed the bytes in pieces of a size; the digest of the lines, or of the end of them. */
static uint64_t feed(const uint8_t *data, size_t size, size_t piece)
{
	static struct control_input input;
	uint64_t hash = 0xcbf29ce484222325;

	memset(&input, 0, sizeof(input));
	while (size > 0) {
		const char *line;
		size_t room, len, n = piece < size ? piece : size;
		char *to = control_input_get_room(&input, &room);
		int ret;

		require(room >= 1 && room <= CONTROL_FRAME_MAX);
		if (n > room)
			n = room;
		memcpy(to, data, n);
		control_input_add(&input, n);
		data += n;
		size -= n;
		while ((ret = control_input_next(&input, &line, &len)) == 1) {
			require(len > 0 && len < CONTROL_FRAME_MAX);
			require(!memchr(line, '\n', len));
			if (piece > 1)
				check_request(line, len);
			hash = mix(hash, line, len);
		}
		require(ret == 0 || ret == -EMSGSIZE);
		if (ret < 0)
			return ~hash;
	}
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t whole = feed(data, size, CONTROL_FRAME_MAX);

	require(feed(data, size, 1) == whole);
	require(feed(data, size, size > 0 ? 1 + data[0] : 1) == whole);
	return 0;
}

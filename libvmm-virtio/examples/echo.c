/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * An echo device on one queue: what the driver sends in the readable part of a chain
 * comes back, in capitals, in the writable part. The mock driver of the tests plays the
 * guest.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/virtq.h>

#include "../tests/mock-driver.h"

#define REQUEST MOCK_BUFFERS
#define ANSWER (MOCK_BUFFERS + 0x1000)

/* Works through the bytes in small pieces: borders between buffers do not show. */
static int echo(struct vmm_virtq *q, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtq_cursor in = vmm_virtq_reader(chain);
	struct vmm_virtq_cursor out = vmm_virtq_writer(chain);
	char piece[7];
	size_t n;

	while ((n = vmm_virtq_read_some(&in, piece, sizeof(piece))) > 0) {
		for (size_t i = 0; i < n; i++)
			piece[i] = (char)toupper((unsigned char)piece[i]);
		if (vmm_virtq_write_some(&out, piece, n) < n)
			break;
	}
	return vmm_virtq_add_used(q, chain->token, (uint32_t)out.done);
}

/* What a device does when it is notified. */
static int on_notify(struct vmm_virtq *q)
{
	struct iovec iov[32];
	struct vmm_virtq_chain chain = VMM_VIRTQ_CHAIN_INIT(iov);
	uint32_t budget = vmm_virtq_get_num(q);
	int ret = 0;

	do {
		vmm_virtq_disable_notification(q);
		while (budget-- > 0 && (ret = vmm_virtq_pop(q, &chain)) != -EAGAIN) {
			if (ret == 0)
				ret = echo(q, &chain);
			/* A malformed chain went back by itself; a broken queue is the
			 * end. */
			if (ret == -ENOTRECOVERABLE)
				return ret;
		}
	} while (vmm_virtq_enable_notification(q) && budget != UINT32_MAX);
	if (vmm_virtq_needs_notification(q))
		printf("interrupt\n");
	return 0;
}

static int talk(struct mock *driver, struct vmm_virtq *q, const char *text)
{
	uint32_t half = (uint32_t)strlen(text) / 2, rest = (uint32_t)strlen(text) - half;
	const struct mock_seg segs[] = {
		{ REQUEST, half, false },
		{ REQUEST + half, rest, false },
		{ ANSWER, 5, true },
		{ ANSWER + 5, 200, true },
	};
	uint32_t id, len;

	memcpy(driver->ram + REQUEST, text, strlen(text));
	if (mock_add(driver, segs, 4, true) < 0)
		return -ENOSPC;
	if (mock_should_kick(driver) && on_notify(q) < 0)
		return -EIO;
	if (mock_get_used(driver, &id, &len) < 0)
		return -EIO;
	printf("%.*s\n", (int)len, (const char *)driver->ram + ANSWER);
	return len == strlen(text) ? 0 : -EIO;
}

int main(void)
{
	const uint64_t features = VMM_VIRTIO_F_INDIRECT_DESC | VMM_VIRTIO_F_EVENT_IDX;
	VMM_CLEANUP(mock_free) struct mock *driver = mock_new(8, features);
	VMM_CLEANUP(vmm_virtq_free) struct vmm_virtq *q = NULL;
	struct vmm_error err;

	if (!driver || vmm_virtq_new(8, &q) < 0)
		return EXIT_FAILURE;
	if (vmm_virtq_enable(q, driver->mem, &driver->config, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return EXIT_FAILURE;
	}
	(void)vmm_virtq_enable_notification(q);
	if (talk(driver, q, "hello, device") < 0 ||
	    talk(driver, q, "and hello again") < 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

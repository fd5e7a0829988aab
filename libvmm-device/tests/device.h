/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_DEVICE_H
#define TESTS_DEVICE_H

#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/device.h>

/* A device that remembers its last access and answers 0x10 + offset, byte by byte. */
struct test_device {
	unsigned reads, writes;
	uint64_t offset;
	size_t len;
	uint8_t data[8];
	/* Every access: offset * 16 + len. */
	uint64_t log[16];
	unsigned logged;
};

static inline void test_device_note(struct test_device *d, uint64_t offset, size_t len)
{
	d->offset = offset;
	d->len = len;
	if (d->logged < VMM_ARRAY_LEN(d->log))
		d->log[d->logged++] = offset * 16 + len;
}

static inline void test_device_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	struct test_device *d = ctx;
	uint8_t *p = data;

	d->reads++;
	test_device_note(d, offset, len);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(0x10 + offset + i);
}

static inline void test_device_write(void *ctx, uint64_t offset, const void *data,
				     size_t len)
{
	struct test_device *d = ctx;

	d->writes++;
	test_device_note(d, offset, len);
	memcpy(d->data, data, len);
}

static const struct vmm_bus_ops test_device_ops = {
	.size = sizeof(struct vmm_bus_ops),
	.read = test_device_read,
	.write = test_device_write,
};

static inline struct vmm_bus *test_bus(uint64_t last)
{
	struct vmm_bus *bus = NULL;

	assert_int_equal(vmm_bus_new(last, &bus), 0);
	return bus;
}

#endif

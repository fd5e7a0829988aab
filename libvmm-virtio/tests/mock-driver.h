/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MOCK_DRIVER_H
#define MOCK_DRIVER_H

/*
 * libvmm-virtio-testing under short names, and its inside laid open: a hostile driver
 * writes what it likes with the mock_raw_*() calls.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../testing/mock.h"

/* cmocka has a macro of this name that we do not use. */
#undef mock
#define mock vmm_virtio_mock
#define mock_seg vmm_virtio_mock_seg

#define MOCK_RAM_LEN VMM_VIRTIO_MOCK_RAM_LEN
#define MOCK_SPLIT_AT VMM_VIRTIO_MOCK_BORDER
#define MOCK_HOLE VMM_VIRTIO_MOCK_RAM_LEN
#define MOCK_ROM VMM_VIRTIO_MOCK_ROM
#define MOCK_ROM_LEN VMM_VIRTIO_MOCK_ROM_LEN
#define MOCK_BUFFERS VMM_VIRTIO_MOCK_BUFFERS
#define MOCK_TABLE_MAX VMM_VIRTIO_MOCK_TABLE_MAX
#define MOCK_NUM_MAX VMM_VIRTIO_MOCK_NUM_MAX

static inline struct mock *mock_new(uint32_t num, uint64_t features)
{
	struct mock *m = NULL;

	if (vmm_virtio_mock_new(num, features, &m) < 0)
		abort();
	return m;
}

static inline void mock_free(struct mock *m)
{
	vmm_virtio_mock_free(m);
}

VMM_DEFINE_CLEANUP(mock, mock_free)

static inline void mock_reset(struct mock *m, uint32_t num, uint64_t features)
{
	vmm_virtio_mock_reset(m, num, features);
	/* The rings of all queues that a test made of this one, too. */
	memset(m->ram + MOCK_DESC, 0, MOCK_TABLES - MOCK_DESC);
}

static inline int mock_add(struct mock *m, const struct mock_seg *segs, uint32_t n,
			   bool indirect)
{
	return vmm_virtio_mock_add(m, segs, n, indirect);
}

static inline int mock_get_used(struct mock *m, uint32_t *id, uint32_t *len)
{
	return vmm_virtio_mock_get_used(m, id, len);
}

static inline bool mock_should_kick(struct mock *m)
{
	return vmm_virtio_mock_should_kick(m);
}

static inline void mock_want_interrupt(struct mock *m, uint16_t ahead)
{
	(void)vmm_virtio_mock_enable_interrupt(m, ahead);
}

/* Another table over the same memory. */
static inline int mock_make_mem(struct mock *m, struct vmm_mem **out)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	int ret = vmm_mem_builder_new(&b);

	for (size_t i = 0; ret == 0 && i < vmm_mem_region_count(m->mem); i++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;

		ret = vmm_mem_get_region(m->mem, i, &r);
		if (ret == 0)
			ret = vmm_mem_builder_share(b, m->mem, i, r.gpa, NULL);
	}
	return ret == 0 ? vmm_mem_builder_build(b, out) : ret;
}

static inline void *mock_at(struct mock *m, uint64_t gpa)
{
	return vmm_virtio_mock_at(m, gpa);
}

static inline struct mock_desc *mock_raw_desc(struct mock *m, uint32_t i)
{
	return (struct mock_desc *)mock_at(m, m->config.desc) + i;
}

static inline uint16_t *mock_raw_driver(struct mock *m)
{
	return mock_at(m, m->config.driver);
}

static inline uint16_t *mock_raw_device(struct mock *m)
{
	return mock_at(m, m->config.device);
}

/* Write split descriptor @p i. */
static inline void mock_raw_set(struct mock *m, uint32_t i, uint64_t addr, uint32_t len,
				uint32_t flags, uint32_t next)
{
	struct mock_desc d = { addr, len, (uint16_t)flags, (uint16_t)next };

	*mock_raw_desc(m, i) = d;
}

/* Write an entry of an indirect table of a split ring. */
static inline void mock_raw_table(struct mock *m, uint64_t table, uint32_t i,
				  uint64_t addr, uint32_t len, uint32_t flags,
				  uint32_t next)
{
	struct mock_desc d = { addr, len, (uint16_t)flags, (uint16_t)next };

	memcpy(mock_at(m, table + 16 * i), &d, sizeof(d));
}

/* Make head @p head available, whatever it is (split). */
static inline void mock_raw_avail(struct mock *m, uint32_t head)
{
	uint16_t *avail = mock_raw_driver(m);

	avail[2 + m->avail_idx % m->num] = (uint16_t)head;
	m->avail_idx++;
	__atomic_store_n(&avail[1], m->avail_idx, __ATOMIC_RELEASE);
}

static inline void mock_raw_avail_idx(struct mock *m, uint16_t idx)
{
	__atomic_store_n(&mock_raw_driver(m)[1], idx, __ATOMIC_RELEASE);
}

/* used.idx of a split ring. */
static inline uint16_t mock_raw_used_idx(struct mock *m)
{
	return __atomic_load_n(&mock_raw_device(m)[1], __ATOMIC_ACQUIRE);
}

/* Write packed descriptor @p slot; @p wrap is the driver's wrap counter. */
static inline void mock_raw_packed(struct mock *m, uint32_t slot, uint64_t addr,
				   uint32_t len, uint32_t id, uint32_t flags, bool wrap)
{
	struct mock_desc *d = mock_raw_desc(m, slot);

	flags |= wrap ? MOCK_F_AVAIL : MOCK_F_USED;
	d->addr = addr;
	d->len = len;
	d->a = (uint16_t)id;
	__atomic_store_n(&d->b, (uint16_t)flags, __ATOMIC_RELEASE);
}

#endif

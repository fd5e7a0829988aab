/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VIRTIO_TEST_H
#define VIRTIO_TEST_H

#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/virtio.h>

#include "mock-driver.h"

#define EV VMM_VIRTIO_F_EVENT_IDX
#define IND VMM_VIRTIO_F_INDIRECT_DESC
#define PACKED VMM_VIRTIO_F_RING_PACKED
#define IN_ORDER VMM_VIRTIO_F_IN_ORDER

/* A driver and a device's queue that is enabled on its ring. */
struct rig {
	struct mock *m;
	struct vmm_virtq *q;
	struct iovec iov[64];
	struct vmm_virtq_chain chain;
};

static inline void rig_start(struct rig *r, uint32_t num, uint64_t features)
{
	static const struct vmm_virtq_chain init = { 0 };

	r->m = mock_new(num, features);
	assert_non_null(r->m);
	assert_int_equal(vmm_virtq_new(num, &r->q), 0);
	assert_int_equal(vmm_virtq_enable(r->q, r->m->mem, &r->m->config, NULL), 0);
	r->chain = init;
	r->chain.iov = r->iov;
	r->chain.iov_max = VMM_ARRAY_LEN(r->iov);
}

static inline void rig_stop(struct rig *r)
{
	vmm_virtq_free(r->q);
	mock_free(r->m);
}

/* The same with empty rings, as after a reset by the driver. */
static inline void rig_restart(struct rig *r, uint32_t num, uint64_t features)
{
	rig_stop(r);
	rig_start(r, num, features);
}

static inline int rig_pop(struct rig *r)
{
	return vmm_virtq_pop(r->q, &r->chain);
}

/* The driver finds exactly this at the next place, and no more is said about the rest. */
static inline void expect_used(struct rig *r, uint32_t want_id, uint32_t want_len)
{
	uint32_t id = 0, len = 0;

	assert_int_equal(mock_get_used(r->m, &id, &len), 0);
	assert_int_equal(id, want_id);
	assert_int_equal(len, want_len);
}

static inline void expect_nothing_used(struct rig *r)
{
	uint32_t id, len;

	assert_int_equal(mock_get_used(r->m, &id, &len), -EAGAIN);
}

#endif

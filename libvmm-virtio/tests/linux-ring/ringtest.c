/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Linux' ringtest (tools/virtio/ringtest) with our device side: its main program and its
 * driver of a split ring, virtio_ring_0_9.c, which is included here with its own device
 * side under other names.
 */
#include <vmm/virtq.h>

#define alloc_ring theirs_alloc_ring
#define disable_kick theirs_disable_kick
#define enable_kick theirs_enable_kick
#define avail_empty theirs_avail_empty
#define use_buf theirs_use_buf
#define call_used theirs_call_used
#include "virtio_ring_0_9.c"
#undef alloc_ring
#undef disable_kick
#undef enable_kick
#undef avail_empty
#undef use_buf
#undef call_used

static struct vmm_mem *mem;
static struct vmm_virtq *q;

static void must(bool good)
{
	if (!good)
		exit(1);
}

void alloc_ring(void)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	struct vmm_virtq_config c = VMM_VIRTQ_CONFIG_INIT;

	theirs_alloc_ring();
	r.gpa = (uintptr_t)ring.desc;
	r.host = ring.desc;
	r.len = (vring_size(ring_size, 0x1000) + 0xfff) & ~(uint64_t)0xfff;
	c.features = VMM_VIRTIO_F_EVENT_IDX;
	c.num = ring_size;
	c.desc = (uintptr_t)ring.desc;
	c.driver = (uintptr_t)ring.avail;
	c.device = (uintptr_t)ring.used;
	must(vmm_mem_builder_new(&b) == 0 && vmm_mem_builder_add(b, &r, NULL) == 0 &&
	     vmm_mem_builder_build(b, &mem) == 0);
	must(vmm_virtq_new(ring_size, &q) == 0 &&
	     vmm_virtq_enable(q, mem, &c, NULL) == 0);
}

void disable_kick(void)
{
	vmm_virtq_disable_notification(q);
}

bool enable_kick(void)
{
	return !vmm_virtq_enable_notification(q);
}

bool avail_empty(void)
{
	return !vmm_virtq_has_chain(q);
}

bool use_buf(unsigned int *len, void **buf)
{
	struct iovec iov[4];
	struct vmm_virtq_chain chain = VMM_VIRTQ_CHAIN_INIT(iov);

	if (vmm_virtq_pop(q, &chain) < 0)
		return false;
	must(vmm_virtq_add_used(q, chain.token, 0) == 0);
	*len = 0;
	*buf = NULL;
	return true;
}

void call_used(void)
{
	if (vmm_virtq_needs_notification(q))
		call();
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MOCK_H
#define MOCK_H

/* The inside of a mock driver, for itself and for tests that write rings by hand. */
#include <vmm/virtio-testing.h>

#define MOCK_DESC UINT64_C(0x10000)
#define MOCK_DRIVER UINT64_C(0x20000)
#define MOCK_DEVICE UINT64_C(0x30000)
#define MOCK_TABLES UINT64_C(0x40000)
/* From one queue's area to the next one's. */
#define MOCK_STRIDE UINT64_C(0x4000)
#define MOCK_TABLES_STRIDE UINT64_C(0x10000)

#define MOCK_F_NEXT 1u
#define MOCK_F_WRITE 2u
#define MOCK_F_INDIRECT 4u
#define MOCK_F_AVAIL (1u << 7)
#define MOCK_F_USED (1u << 15)

struct mock_desc {
	uint64_t addr;
	uint32_t len;
	/* Split: flags, next. Packed: id, flags. */
	uint16_t a;
	uint16_t b;
};

struct vmm_virtio_mock {
	struct vmm_mem *mem;
	/* RAM below the hole, in our address space: one mapping behind both regions. */
	uint8_t *ram;
	uint8_t *rom;
	bool owns_mem;
	uint64_t tables;
	uint32_t num;
	uint64_t features;
	bool packed, event_idx, in_order;
	struct vmm_virtq_config config;

	/* Split: head -> descriptors of the chain; free descriptors as a stack. Packed:
	 * buffer id -> slots; free ids as a stack. */
	uint16_t used_descs[VMM_VIRTIO_MOCK_NUM_MAX];
	uint16_t chain[VMM_VIRTIO_MOCK_NUM_MAX];
	uint16_t free[VMM_VIRTIO_MOCK_NUM_MAX];
	uint32_t free_n;
	/* Packed: slots that are free. */
	uint32_t room;
	bool out[VMM_VIRTIO_MOCK_NUM_MAX];
	uint16_t avail_idx, kicked_idx, used_idx;
	bool avail_wrap, used_wrap;
	/* Packed: slots made available, and what that was at the last kick. */
	uint32_t offered, kicked;

	/* IN_ORDER: ids in the order of their offer, and how many of them a used entry
	 * stood for that were not taken yet, the length of the last. */
	uint16_t line[VMM_VIRTIO_MOCK_NUM_MAX];
	uint32_t line_at, line_n, batch_n, batch_len;
};

#endif

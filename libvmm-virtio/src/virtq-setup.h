/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VIRTQ_SETUP_H
#define VIRTQ_SETUP_H

#include <stdbool.h>

#include <vmm/virtq.h>

/* One of the three parts of a ring. */
struct virtq_part {
	const char *name;
	uint64_t gpa;
	uint64_t len;
	uint32_t align;
	bool write;
	void *host;
};

int virtq_find_parts(const struct vmm_mem *mem, const struct vmm_virtq_config *c,
		     struct virtq_part parts[3], struct vmm_error *err);
int virtq_prepare(const struct vmm_virtq *q, const struct vmm_mem *mem,
		  const struct vmm_virtq_config *config, struct vmm_virtq_config *c,
		  struct virtq_part parts[3], struct vmm_error *err);

#endif

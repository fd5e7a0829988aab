/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef AARCH64_TREE_H
#define AARCH64_TREE_H

#include <vmm/fdt.h>

/* A virtio device: its window and interrupt. */
struct tree_virtio {
	uint64_t gpa;
	uint64_t len;
	uint32_t gsi;
};

/* What the guest is told of its machine. */
struct tree_desc {
	const char *cmdline;
	struct vmm_load_range initrd; /* length 0: none */
	const struct vmm_load_map *map;
	const uint64_t *affinity; /* of each CPU: its number in MPIDR_EL1 */
	uint32_t cpu_count;
	uint32_t gic_version; /* 2 or 3 */
	bool has_pmu;
	bool has_serial;
	const struct tree_virtio *virtio;
	size_t virtio_count;
	const void *rng_seed;
	size_t rng_seed_len;
	uint64_t kaslr_seed;
};

/*
 * Write the device tree with an empty writer, which then lends it: @out as of
 * vmm_fdt_finish(), whose errors these are.
 */
int tree_build(const struct tree_desc *desc, struct vmm_fdt *fdt, const void **out,
	       size_t *out_len, struct vmm_error *err);

#endif

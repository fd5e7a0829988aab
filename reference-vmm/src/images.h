/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef IMAGES_H
#define IMAGES_H

#include <vmm/loader.h>

#include "options.h"

/* Kernel and initrd of a machine. */
struct images {
	uint32_t arch; /* enum vmm_load_arch: what the kernel must be for */
	int kernel_fd;
	int initrd_fd; /* -1: none */
};

#define IMAGES_INIT(arch)      \
	{                      \
		(arch), -1, -1 \
	}

/* Open the files and see what they are. What is open after a failure is closed by
 * images_close(). */
int images_open(struct images *images, const struct machine_desc *desc,
		struct vmm_error *err);

/* Load them; without an initrd its range is left alone. */
int images_load(const struct images *images, const struct machine_desc *desc,
		const struct vmm_mem *mem, struct vmm_load_map *map,
		struct vmm_load_result *kernel, struct vmm_load_range *initrd,
		struct vmm_error *err);

void images_close(struct images *images);

#endif

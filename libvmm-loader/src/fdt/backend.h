/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_FDT_BACKEND_H
#define LOADER_FDT_BACKEND_H

#include <stddef.h>
#include <stdint.h>

/*
 * What libfdt does for us, in our error codes: writing (libfdt.c), or -EOPNOTSUPP from
 * everything (none.c). -ENOSPC of a writing call means: grow, then repeat it.
 */

int fdt_backend_create(void *buf, int size);
int fdt_backend_grow(const void *old, void *buf, int size);
int fdt_backend_reserve(void *fdt, uint64_t gpa, uint64_t len);
int fdt_backend_end_reservations(void *fdt);
int fdt_backend_begin(void *fdt, const char *name);
int fdt_backend_property(void *fdt, const char *name, const void *data, int len);
int fdt_backend_end(void *fdt);
/* Finishes, checks the whole, and tells how long it is. */
int fdt_backend_finish(void *fdt, uint32_t boot_cpu, int size, int *out_len);

int fdt_backend_check(const void *fdt, size_t len);
int fdt_backend_find(const void *fdt, const char *path, const char *name,
		     const void **out, size_t *out_len);

/* Changing a checked tree: open a copy with room, set, pack. */
int fdt_backend_open(const void *fdt, void *buf, int size);
int fdt_backend_chosen(void *fdt, int *out_node);
int fdt_backend_set(void *fdt, int node, const char *name, const void *data, int len);
int fdt_backend_remove(void *fdt, int node, const char *name);
int fdt_backend_pack(void *fdt, int *out_len);

/* Whether libfdt can apply an overlay that passed fdt_backend_check() without leaving it:
 * 0, -EBADMSG or -E2BIG. */
int fdt_backend_check_overlay(const void *overlay);
/* Changes both; a failure leaves them damaged. */
int fdt_backend_apply_overlay(void *fdt, void *overlay);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>

#include "backend.h"

/* Without libfdt no writer can be made and no tree be checked, so the calls that need
 * one of those first are never reached; they answer the same all the same. */

int fdt_backend_create(void *buf, int size)
{
	return -EOPNOTSUPP;
}

int fdt_backend_grow(const void *old, void *buf, int size)
{
	return -EOPNOTSUPP;
}

int fdt_backend_reserve(void *fdt, uint64_t gpa, uint64_t len)
{
	return -EOPNOTSUPP;
}

int fdt_backend_end_reservations(void *fdt)
{
	return -EOPNOTSUPP;
}

int fdt_backend_begin(void *fdt, const char *name)
{
	return -EOPNOTSUPP;
}

int fdt_backend_property(void *fdt, const char *name, const void *data, int len)
{
	return -EOPNOTSUPP;
}

int fdt_backend_end(void *fdt)
{
	return -EOPNOTSUPP;
}

int fdt_backend_finish(void *fdt, uint32_t boot_cpu, int size, int *out_len)
{
	return -EOPNOTSUPP;
}

int fdt_backend_check(const void *fdt, size_t len)
{
	return -EOPNOTSUPP;
}

int fdt_backend_find(const void *fdt, const char *path, const char *name,
		     const void **out, size_t *out_len)
{
	return -EOPNOTSUPP;
}

int fdt_backend_open(const void *fdt, void *buf, int size)
{
	return -EOPNOTSUPP;
}

int fdt_backend_chosen(void *fdt, int *out_node)
{
	return -EOPNOTSUPP;
}

int fdt_backend_set(void *fdt, int node, const char *name, const void *data, int len)
{
	return -EOPNOTSUPP;
}

int fdt_backend_remove(void *fdt, int node, const char *name)
{
	return -EOPNOTSUPP;
}

int fdt_backend_pack(void *fdt, int *out_len)
{
	return -EOPNOTSUPP;
}

int fdt_backend_check_overlay(const void *overlay)
{
	return -EOPNOTSUPP;
}

int fdt_backend_apply_overlay(void *fdt, void *overlay)
{
	return -EOPNOTSUPP;
}

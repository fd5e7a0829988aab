/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Calls of libfdt 1.6.1 and older only. */
#include <errno.h>
#include <libfdt.h>

#include "backend.h"

static int result(int ret)
{
	if (ret >= 0)
		return 0;
	switch (ret) {
	case -FDT_ERR_NOSPACE:
		return -ENOSPC;
	case -FDT_ERR_NOTFOUND:
		return -ENOENT;
	case -FDT_ERR_EXISTS:
		return -EEXIST;
	case -FDT_ERR_BADSTATE:
	case -FDT_ERR_BADOFFSET:
	case -FDT_ERR_BADPATH:
		return -EINVAL;
	default:
		return -EBADMSG;
	}
}

int fdt_backend_create(void *buf, int size)
{
	return result(fdt_create(buf, size));
}

int fdt_backend_grow(const void *old, void *buf, int size)
{
	/* It reads the old tree only; its prototype does not say so. */
	return result(fdt_resize((void *)(uintptr_t)old, buf, size));
}

int fdt_backend_reserve(void *fdt, uint64_t gpa, uint64_t len)
{
	return result(fdt_add_reservemap_entry(fdt, gpa, len));
}

int fdt_backend_end_reservations(void *fdt)
{
	return result(fdt_finish_reservemap(fdt));
}

int fdt_backend_begin(void *fdt, const char *name)
{
	return result(fdt_begin_node(fdt, name));
}

int fdt_backend_property(void *fdt, const char *name, const void *data, int len)
{
	return result(fdt_property(fdt, name, data, len));
}

int fdt_backend_end(void *fdt)
{
	return result(fdt_end_node(fdt));
}

int fdt_backend_finish(void *fdt, uint32_t boot_cpu, int size, int *out_len)
{
	int ret = result(fdt_finish(fdt));

	if (ret < 0)
		return ret;
	fdt_set_boot_cpuid_phys(fdt, boot_cpu);
	*out_len = (int)fdt_totalsize(fdt);
	return result(fdt_check_full(fdt, (size_t)size));
}

int fdt_backend_check(const void *fdt, size_t len)
{
	return result(fdt_check_full(fdt, len));
}

int fdt_backend_find(const void *fdt, const char *path, const char *name,
		     const void **out, size_t *out_len)
{
	int node = fdt_path_offset(fdt, path), len = 0;
	const void *value;

	if (node < 0)
		return -ENOENT;
	value = fdt_getprop(fdt, node, name, &len);
	if (!value)
		return -ENOENT;
	*out = value;
	*out_len = (size_t)len;
	return 0;
}

int fdt_backend_open(const void *fdt, void *buf, int size)
{
	return result(fdt_open_into(fdt, buf, size));
}

int fdt_backend_chosen(void *fdt, int *out_node)
{
	int node = fdt_path_offset(fdt, "/chosen");

	if (node == -FDT_ERR_NOTFOUND)
		node = fdt_add_subnode(fdt, 0, "chosen");
	if (node >= 0)
		*out_node = node;
	return result(node);
}

int fdt_backend_set(void *fdt, int node, const char *name, const void *data, int len)
{
	return result(fdt_setprop(fdt, node, name, data, len));
}

int fdt_backend_remove(void *fdt, int node, const char *name)
{
	int ret = fdt_delprop(fdt, node, name);

	return ret == -FDT_ERR_NOTFOUND ? 0 : result(ret);
}

int fdt_backend_pack(void *fdt, int *out_len)
{
	int ret = result(fdt_pack(fdt));

	if (ret == 0)
		*out_len = (int)fdt_totalsize(fdt);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/fdt.h>

#include "../bytes.h"
#include "../options.h"
#include "../plan.h"
#include "../sys.h"
#include "backend.h"

#define MAGIC 0xd00dfeedu
#define HEADER_LEN 40u
#define VERSION 17u

/* Header and length, which need no libfdt. */
static int check_header(const uint8_t *data, size_t len, size_t *out_len,
			struct vmm_error *err)
{
	uint32_t total;

	if (len < HEADER_LEN || get_be32(data) != MAGIC)
		return vmm_error_at(err, -EBADMSG, 0, MAGIC, len < 4 ? 0 : get_be32(data),
				    "device tree: no header of a device tree");
	total = get_be32(data + 4);
	if (total > VMM_FDT_SIZE_MAX)
		return vmm_error_at(err, -E2BIG, 4, VMM_FDT_SIZE_MAX, total,
				    "device tree: %u bytes, the limit is %u", total,
				    VMM_FDT_SIZE_MAX);
	if (total < HEADER_LEN || total > len)
		return vmm_error_at(
		    err, -EBADMSG, 4, total, len,
		    "device tree: truncated: %u bytes by its header, %zu are "
		    "there",
		    total, len);
	/* Version 17 is of 2008. For trees before 16 fdt_check_full() of libfdt 1.6.1
	 * goes through a NULL pointer, and 16 does not say how long its structure is. */
	if (get_be32(data + 20) < VERSION)
		return vmm_error_at(
		    err, -EBADMSG, 20, VERSION, get_be32(data + 20),
		    "device tree: version %u, %u is the oldest that can be read",
		    get_be32(data + 20), VERSION);
	*out_len = total;
	return 0;
}

/* libfdt reads words where they lie. */
static int check_all(const void *data, size_t len, size_t *out_len, struct vmm_error *err)
{
	int ret;

	if ((uintptr_t)data % 8)
		return vmm_error_set(err, -EINVAL,
				     "device tree: not on a multiple of 8 bytes");
	ret = check_header(data, len, out_len, err);
	if (ret < 0)
		return ret;
	ret = fdt_backend_check(data, *out_len);
	if (ret == -EOPNOTSUPP)
		return vmm_error_set(err, ret, "device tree: built without libfdt");
	return ret == 0 ? 0
			: vmm_error_set(err, -EBADMSG,
					"device tree: its structure is damaged");
}

int vmm_fdt_check(const void *data, size_t len, struct vmm_error *err)
{
	size_t total;

	return check_all(data, len, &total, err);
}

int vmm_fdt_find(const void *data, size_t len, const char *path, const char *name,
		 const void **out, size_t *out_len)
{
	size_t total;
	int ret = check_all(data, len, &total, NULL);

	return ret < 0 ? ret : fdt_backend_find(data, path, name, out, out_len);
}

static int set(void *fdt, const char *name, const void *data, size_t len)
{
	int node, ret = fdt_backend_chosen(fdt, &node);

	if (ret < 0)
		return ret;
	return data ? fdt_backend_set(fdt, node, name, data, (int)len)
		    : fdt_backend_remove(fdt, node, name);
}

static void put_be64(uint8_t be[8], uint64_t value)
{
	for (size_t i = 0; i < 8; i++)
		be[i] = (uint8_t)(value >> (56 - 8 * i));
}

static int set_initrd(void *fdt, const struct vmm_load_range *initrd)
{
	static const char *const names[] = { "linux,initrd-start", "linux,initrd-end" };
	const uint64_t ends[] = { initrd->gpa, initrd->gpa + initrd->len };
	uint8_t be[8];
	int ret = 0;

	for (size_t i = 0; i < 2 && ret == 0; i++) {
		put_be64(be, ends[i]);
		ret = set(fdt, names[i], initrd->len ? be : NULL, sizeof(be));
	}
	return ret;
}

int vmm_fdt_set_chosen(const void *data, size_t len, const struct vmm_fdt_chosen *chosen,
		       void *buf, size_t size, size_t *out_len, struct vmm_error *err)
{
	struct vmm_fdt_chosen c;
	uint8_t seed[8];
	uint64_t last;
	size_t total = 0;
	int used = 0, ret = load_options_copy(&c, sizeof(c), chosen);

	if (ret < 0)
		return vmm_error_set(err, ret, "device tree: unknown structure size");
	if (c.initrd.len && __builtin_add_overflow(c.initrd.gpa, c.initrd.len, &last))
		return vmm_error_at(
		    err, -EINVAL, c.initrd.gpa, 0, c.initrd.len,
		    "device tree: the initrd passes the end of the address "
		    "space");
	if (c.rng_seed_len > 4096 ||
	    (c.bootargs && strlen(c.bootargs) > VMM_LOAD_CMDLINE_MAX) ||
	    (c.stdout_path && strlen(c.stdout_path) > 4096))
		return vmm_error_set(
		    err, -E2BIG, "device tree: command line, seed or path is too long");
	if ((uintptr_t)buf % 8)
		return vmm_error_set(err, -EINVAL,
				     "device tree: a buffer that is not on a "
				     "multiple of 8 bytes");
	ret = check_all(data, len, &total, err);
	if (ret < 0)
		return ret;

	if (size > VMM_FDT_SIZE_MAX)
		size = VMM_FDT_SIZE_MAX;
	ret = fdt_backend_open(data, buf, (int)size);
	if (ret == 0)
		ret = set_initrd(buf, &c.initrd);
	if (ret == 0 && c.bootargs)
		ret = set(buf, "bootargs", c.bootargs, strlen(c.bootargs) + 1);
	if (ret == 0 && c.rng_seed_len)
		ret = set(buf, "rng-seed", c.rng_seed, c.rng_seed_len);
	if (ret == 0 && c.stdout_path)
		ret = set(buf, "stdout-path", c.stdout_path, strlen(c.stdout_path) + 1);
	put_be64(seed, c.kaslr_seed);
	if (ret == 0 && c.kaslr_seed)
		ret = set(buf, "kaslr-seed", seed, sizeof(seed));
	if (ret == 0)
		ret = fdt_backend_pack(buf, &used);
	if (ret < 0)
		return vmm_error_at(err, ret, 0, total, size,
				    "device tree: cannot write /chosen into %zu bytes",
				    size);
	*out_len = (size_t)used;
	return 0;
}

static int check_overlay(const void *overlay, size_t len, size_t *out_len,
			 struct vmm_error *err)
{
	int ret = check_all(overlay, len, out_len, err);

	if (ret == 0 && *out_len > VMM_FDT_OVERLAY_MAX)
		return vmm_error_at(err, -E2BIG, 4, VMM_FDT_OVERLAY_MAX, *out_len,
				    "overlay: %zu bytes, the limit is %u", *out_len,
				    VMM_FDT_OVERLAY_MAX);
	if (ret == 0)
		ret = fdt_backend_check_overlay(overlay);
	if (ret == -E2BIG)
		return vmm_error_at(err, ret, 0, VMM_FDT_OVERLAY_ITEMS_MAX, 0,
				    "overlay: more than %u nodes, properties or "
				    "references, or %u levels",
				    VMM_FDT_OVERLAY_ITEMS_MAX, VMM_FDT_DEPTH_MAX);
	return ret == 0 ? 0
			: vmm_error_set(err, ret,
					"overlay: damaged, or its references do not "
					"point into its properties");
}

/* On buf, which has the tree already, and a copy of the overlay: libfdt changes both. */
static int apply_overlay(void *buf, void *overlay, size_t size, int *out_used,
			 struct vmm_error *err)
{
	int ret = fdt_backend_apply_overlay(buf, overlay);

	if (ret == 0)
		ret = fdt_backend_pack(buf, out_used);
	if (ret == 0)
		ret = fdt_backend_check(buf, (size_t)*out_used);
	if (ret == -ENOSPC)
		return vmm_error_at(err, ret, 0, 0, size,
				    "overlay: the tree does not fit into %zu bytes with "
				    "it",
				    size);
	return ret == 0 ? 0
			: vmm_error_set(err, -EBADMSG,
					"overlay: refers to what the tree does not have");
}

int vmm_fdt_apply_overlay(const void *base, size_t base_len, const void *overlay,
			  size_t overlay_len, void *buf, size_t size, size_t *out_len,
			  struct vmm_error *err)
{
	size_t base_total = 0, total = 0;
	int used = 0, ret = check_all(base, base_len, &base_total, err);
	void *copy;

	if (ret == 0 && (uintptr_t)buf % 8)
		ret = vmm_error_set(err, -EINVAL,
				    "overlay: a buffer that is not on a multiple of 8 "
				    "bytes");
	if (ret == 0)
		ret = check_overlay(overlay, overlay_len, &total, err);
	if (ret < 0)
		return ret;
	if (size > VMM_FDT_SIZE_MAX)
		size = VMM_FDT_SIZE_MAX;
	ret = fdt_backend_open(base, buf, (int)size);
	if (ret < 0)
		return vmm_error_at(err, ret, 0, base_total, size,
				    "overlay: the tree does not fit into %zu bytes",
				    size);
	copy = load_sys_alloc(total);
	if (!copy)
		return vmm_error_set(err, -ENOMEM, "overlay: out of memory");
	memcpy(copy, overlay, total);
	ret = apply_overlay(buf, copy, size, &used, err);
	free(copy);
	if (ret == 0)
		*out_len = (size_t)used;
	return ret;
}

int vmm_fdt_load(const struct vmm_mem *mem, struct vmm_load_map *map, uint64_t last,
		 const void *data, size_t len, struct vmm_load_range *out,
		 struct vmm_error *err)
{
	struct vmm_load_map taken = *map;
	uint64_t gpa;
	size_t total;
	int ret = check_header(data, len, &total, err);

	if (ret < 0)
		return ret;
	ret = vmm_load_map_find(map, VMM_FDT_SIZE_MAX, VMM_FDT_SIZE_MAX, 0, last, &gpa);
	if (ret < 0)
		return vmm_error_at(err, ret, 0, VMM_FDT_SIZE_MAX, 0,
				    "device tree: no free guest memory for it below "
				    "0x%" PRIx64,
				    last);
	ret = load_mem_check_named(mem, gpa, total, "device tree", "its place", err);
	if (ret < 0)
		return ret;
	ret = vmm_load_map_take(&taken, gpa, VMM_FDT_SIZE_MAX);
	if (ret == 0)
		ret = vmm_mem_write(mem, gpa, data, total);
	if (ret < 0)
		return vmm_error_set(err, ret, "device tree: the memory map is full");
	*map = taken;
	*out = (struct vmm_load_range){ gpa, total };
	return 0;
}

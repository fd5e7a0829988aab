/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <vmm/fdt.h>
#include <vmm/loader-arm64.h>
#include <vmm/loader-riscv64.h>

#include "bytes.h"
#include "plan.h"

#define MIB (UINT64_C(1) << 20)

/* Both machines have RAM and windows at the same places; only what is below differs, and
 * that is the interrupt controller's. */
#define RAM VMM_LOAD_ARM64_RAM
#define GAP VMM_LOAD_ARM64_MMIO64
#define GAP_LEN VMM_LOAD_ARM64_MMIO64_LEN
#define RAM_MAX VMM_LOAD_ARM64_RAM_MAX

_Static_assert(VMM_LOAD_RISCV64_RAM == RAM && VMM_LOAD_RISCV64_MMIO64 == GAP &&
		   VMM_LOAD_RISCV64_MMIO64_LEN == GAP_LEN &&
		   VMM_LOAD_RISCV64_RAM_MAX == RAM_MAX,
	       "one layout");

/* 64 KiB is the largest page that a host of either may have. */
static int divide_ram(uint64_t ram_size, struct vmm_load_range out[2], size_t *out_n)
{
	const uint64_t low = GAP - RAM;

	if (ram_size < 16 * MIB || ram_size > RAM_MAX || ram_size % 65536)
		return -EINVAL;
	out[0] = (struct vmm_load_range){ RAM, ram_size < low ? ram_size : low };
	*out_n = 1;
	if (ram_size > low) {
		out[1] = (struct vmm_load_range){ GAP + GAP_LEN, ram_size - low };
		*out_n = 2;
	}
	return 0;
}

/* Where no RAM can be: the devices' part below 2 GiB, and the window for 64-bit BARs. */
static int check_windows(const struct vmm_load_map *map, uint64_t devices,
			 struct vmm_error *err)
{
	const struct vmm_load_range windows[] = { { devices, RAM - devices },
						  { GAP, GAP_LEN } };

	for (uint32_t i = 0; i < map->count; i++) {
		const struct vmm_load_map_entry *e = &map->entry[i];

		for (size_t j = 0; j < 2 && e->type == VMM_LOAD_MAP_RAM; j++)
			if (e->gpa < windows[j].gpa + windows[j].len &&
			    e->gpa + (e->len - 1) >= windows[j].gpa)
				return vmm_error_at(err, -EBUSY, e->gpa, windows[j].gpa,
						    e->len,
						    "memory layout: RAM at 0x%" PRIx64
						    " where device windows go",
						    e->gpa);
	}
	return 0;
}

static int make_map(const struct vmm_mem *mem, uint64_t devices, struct vmm_load_map *out,
		    struct vmm_error *err)
{
	struct vmm_load_map map = { 0 };
	int ret = load_mem_check_named(mem, RAM, 16 * MIB, "memory layout",
				       "the first 16 MiB of RAM", err);

	if (ret < 0)
		return -EFAULT;
	ret = vmm_load_map_set_mem(&map, mem);
	if (ret < 0)
		return vmm_error_at(err, ret, 0, VMM_LOAD_MAP_MAX,
				    vmm_mem_region_count(mem),
				    "memory layout: too many regions");
	ret = check_windows(&map, devices, err);
	if (ret == 0)
		*out = map;
	return ret;
}

int vmm_load_arm64_ram(uint64_t ram_size,
		       struct vmm_load_range out[VMM_LOAD_ARM64_RAM_RANGES],
		       size_t *out_n)
{
	return divide_ram(ram_size, out, out_n);
}

int vmm_load_arm64_map(const struct vmm_mem *mem, struct vmm_load_map *out,
		       struct vmm_error *err)
{
	return make_map(mem, VMM_LOAD_ARM64_GIC_DIST, out, err);
}

int vmm_load_riscv64_ram(uint64_t ram_size,
			 struct vmm_load_range out[VMM_LOAD_RISCV64_RAM_RANGES],
			 size_t *out_n)
{
	return divide_ram(ram_size, out, out_n);
}

int vmm_load_riscv64_map(const struct vmm_mem *mem, struct vmm_load_map *out,
			 struct vmm_error *err)
{
	return make_map(mem, VMM_LOAD_RISCV64_IMSIC, out, err);
}

static int check_boot(const struct vmm_load_result *kernel, uint32_t arch,
		      const struct vmm_load_range *fdt, struct vmm_error *err)
{
	uint64_t last;

	if (kernel->arch != arch)
		return vmm_error_at(err, -EINVAL, 0, arch, kernel->arch,
				    "boot: a kernel for another machine");
	if (fdt->len == 0 || fdt->len > VMM_FDT_SIZE_MAX || fdt->gpa % 8 ||
	    range_last(fdt->gpa, fdt->len, &last))
		return vmm_error_at(err, -EINVAL, fdt->gpa, VMM_FDT_SIZE_MAX, fdt->len,
				    "boot: device tree of %" PRIu64 " bytes at 0x%" PRIx64
				    ": 1 to %u on a multiple of 8 are needed",
				    fdt->len, fdt->gpa, VMM_FDT_SIZE_MAX);
	if (fdt->gpa <= kernel->last_gpa && last >= kernel->first_gpa)
		return vmm_error_at(err, -EBUSY, fdt->gpa, kernel->last_gpa, fdt->len,
				    "boot: the device tree at 0x%" PRIx64
				    " lies in the kernel",
				    fdt->gpa);
	return 0;
}

/* D, A, I and F masked; EL1 with its own stack pointer. */
#define PSTATE_EL1H_MASKED 0x3c5u

int vmm_load_arm64_boot(const struct vmm_load_result *kernel,
			const struct vmm_load_range *fdt,
			struct vmm_load_arm64_entry *out, struct vmm_error *err)
{
	int ret = check_boot(kernel, VMM_LOAD_ARCH_AARCH64, fdt, err);

	if (ret == 0)
		*out = (struct vmm_load_arm64_entry){ kernel->entry, fdt->gpa,
						      PSTATE_EL1H_MASKED };
	return ret;
}

int vmm_load_riscv64_boot(const struct vmm_load_result *kernel,
			  const struct vmm_load_range *fdt, uint64_t cpu,
			  struct vmm_load_riscv64_entry *out, struct vmm_error *err)
{
	int ret = check_boot(kernel, VMM_LOAD_ARCH_RISCV64, fdt, err);

	if (ret == 0)
		*out = (struct vmm_load_riscv64_entry){ kernel->entry, cpu, fdt->gpa };
	return ret;
}

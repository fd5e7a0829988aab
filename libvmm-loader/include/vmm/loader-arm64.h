/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_LOADER_ARM64_H
#define VMM_LOADER_ARM64_H

/**
 * @file vmm/loader-arm64.h
 * Memory layout of an arm64 guest. Compiled on every host. Rules of vmm/loader.h apply.
 *
 * | from         | to           | what                                             |
 * |--------------|--------------|--------------------------------------------------|
 * | 0x0          | 0x7ffffff    | firmware (ROM)                                   |
 * | 0x8000000    | 0x80fffff    | GIC: distributor, GICv2 interface and frame, ITS |
 * | 0x9000000    | 0xbffffff    | devices: UART, RTC, virtio-mmio                  |
 * | 0xc000000    | 0xfffffff    | GICv3 redistributors of 512 CPUs                 |
 * | 0x10000000   | 0x1fffffff   | PCI configuration space                          |
 * | 0x20000000   | 0x7fffffff   | window for 32-bit BARs                           |
 * | 0x80000000   | 0x3fffffffff | RAM                                              |
 * | 0x4000000000 | 0x7fffffffff | window for 64-bit BARs                           |
 * | 0x8000000000 |              | more RAM                                         |
 *
 * Linux finds all of it in the device tree: vmm_fdt_put_memory() writes RAM there, and
 * vmm_load_kernel(), vmm_load_initrd() and vmm_fdt_load() choose places in the map.
 */

#include <vmm/loader.h>

VMM_BEGIN_DECLS

#define VMM_LOAD_ARM64_GIC_DIST UINT64_C(0x8000000)
#define VMM_LOAD_ARM64_GIC_CPU UINT64_C(0x8010000)
#define VMM_LOAD_ARM64_GIC_V2M UINT64_C(0x8020000)
#define VMM_LOAD_ARM64_GIC_ITS UINT64_C(0x8080000)
#define VMM_LOAD_ARM64_GIC_REDIST UINT64_C(0xc000000)
#define VMM_LOAD_ARM64_GIC_REDIST_LEN UINT64_C(0x4000000)
#define VMM_LOAD_ARM64_DEVICES UINT64_C(0x9000000)
#define VMM_LOAD_ARM64_DEVICES_LEN UINT64_C(0x3000000)
#define VMM_LOAD_ARM64_ECAM UINT64_C(0x10000000)
#define VMM_LOAD_ARM64_ECAM_LEN UINT64_C(0x10000000)
#define VMM_LOAD_ARM64_MMIO UINT64_C(0x20000000)
#define VMM_LOAD_ARM64_MMIO_LEN UINT64_C(0x60000000)
#define VMM_LOAD_ARM64_RAM UINT64_C(0x80000000)
#define VMM_LOAD_ARM64_MMIO64 UINT64_C(0x4000000000)
#define VMM_LOAD_ARM64_MMIO64_LEN UINT64_C(0x4000000000)

/** Most RAM. */
#define VMM_LOAD_ARM64_RAM_MAX (UINT64_C(1) << 46)

/** Most ranges that vmm_load_arm64_ram() makes. */
#define VMM_LOAD_ARM64_RAM_RANGES 2u

/**
 * Divide RAM of a given size around the window for 64-bit BARs: these are the regions to
 * add to guest memory.
 *
 * @param ram_size    bytes, a multiple of 65536, from 16 MiB to #VMM_LOAD_ARM64_RAM_MAX
 * @param[out] out    one range, or two when there is more than 254 GiB
 * @param[out] out_n  how many
 * @retval 0          done
 * @retval -EINVAL    the size is out of range or not a multiple of 65536
 */
VMM_API VMM_MUST_USE int vmm_load_arm64_ram(
    uint64_t ram_size, struct vmm_load_range out[VMM_LOAD_ARM64_RAM_RANGES],
    size_t *out_n);

/**
 * Make the map of an arm64 guest from its memory: writable regions are RAM, others
 * reserved.
 *
 * @param mem       guest memory
 * @param[out] out  the map
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EFAULT  no writable memory at #VMM_LOAD_ARM64_RAM
 * @retval -EBUSY   writable memory lies where devices and windows go
 * @retval -E2BIG   too many regions
 */
VMM_API VMM_MUST_USE int vmm_load_arm64_map(const struct vmm_mem *mem,
					    struct vmm_load_map *out,
					    struct vmm_error *err);

/** State of the CPU that starts; other general registers are 0, the MMU and caches are
 *  off. Every other CPU waits for PSCI. */
struct vmm_load_arm64_entry {
	uint64_t pc;
	/** The device tree. */
	uint64_t x0;
	/** EL1h with all exceptions masked. */
	uint64_t pstate;
};

/**
 * Tell how the first CPU enters a Linux kernel (Documentation/arm64/booting.rst).
 *
 * @param kernel    result of vmm_load_kernel()
 * @param fdt       result of vmm_fdt_load()
 * @param[out] out  register values
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EINVAL  a kernel for another machine; a device tree without bytes, of more than
 *                  2 MiB, or not on a multiple of 8 bytes
 * @retval -EBUSY   the device tree lies in the kernel
 */
VMM_API VMM_MUST_USE int vmm_load_arm64_boot(const struct vmm_load_result *kernel,
					     const struct vmm_load_range *fdt,
					     struct vmm_load_arm64_entry *out,
					     struct vmm_error *err);

VMM_END_DECLS

#endif

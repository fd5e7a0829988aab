/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../cpu.h"
#include "../virtio.h"
#include "board.h"
#include "tree.h"

enum {
	VIRTIO_MAX = VIRTIO_GSI_LAST - VIRTIO_GSI_FIRST + 1,
	PPI_BASE = 16, /* number of the first private interrupt among all */
};

#define MPIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 5)
#define MPIDR_AFFINITY UINT64_C(0xff00ffffff)

/* vCPUs. */

static bool has_pmu(struct machine *machine)
{
	return vmm_kvm_check_extension(machine->kvm, KVM_CAP_ARM_PMU_V3) > 0;
}

/* What the host's processor has and a guest may have without more ado. */
static uint32_t cpu_features(struct machine *machine)
{
	uint32_t features = 0;

	if (has_pmu(machine))
		features |= 1u << KVM_ARM_VCPU_PMU_V3;
	if (vmm_kvm_check_extension(machine->kvm, KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0 &&
	    vmm_kvm_check_extension(machine->kvm, KVM_CAP_ARM_PTRAUTH_GENERIC) > 0)
		features |= 1u << KVM_ARM_VCPU_PTRAUTH_ADDRESS |
			    1u << KVM_ARM_VCPU_PTRAUTH_GENERIC;
	return features;
}

/* Make the vCPUs processors, and learn the numbers that KVM gave them. */
static int set_up_cpus(struct machine *machine, uint64_t *affinity, struct vmm_error *err)
{
	static const struct vmm_kvm_arm64_boot nowhere = VMM_KVM_ARM64_BOOT_INIT;
	uint32_t features = cpu_features(machine);
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < machine->desc->cpus; i++) {
		struct vmm_kvm_vcpu *vcpu = cpu_get_vcpu(machine, i);

		ret = vmm_kvm_vcpu_arm64_setup(vcpu, features, i == 0 ? &nowhere : NULL,
					       err);
		if (ret < 0)
			return ret;
		if (has_pmu(machine))
			ret = vmm_kvm_vcpu_arm64_enable_pmu(vcpu, PPI_BASE + PMU_PPI);
		if (ret == 0)
			ret = vmm_kvm_vcpu_get_one_reg(vcpu, MPIDR_EL1, &affinity[i],
						       sizeof(affinity[i]));
		affinity[i] &= MPIDR_AFFINITY;
	}
	return ret < 0 ? vmm_error_set(err, ret, "vCPUs: %s", strerror(-ret)) : 0;
}

/* The first vCPU again, once it is known where it starts. */
static int set_entry(struct machine *machine, const struct vmm_load_arm64_entry *entry,
		     struct vmm_error *err)
{
	struct vmm_kvm_arm64_boot boot = VMM_KVM_ARM64_BOOT_INIT;

	boot.pc = entry->pc;
	boot.x0 = entry->x0;
	return vmm_kvm_vcpu_arm64_setup(cpu_get_vcpu(machine, 0), cpu_features(machine),
					&boot, err);
}

/* Loading. */

static size_t describe_virtio(const struct virtio *virtio,
			      struct tree_virtio devices[VIRTIO_MAX])
{
	size_t count = virtio_get_count(virtio);

	/* Each has an interrupt of its own, so there are not more than VIRTIO_MAX. */
	for (size_t i = 0; i < count; i++) {
		struct virtio_place place = virtio_get_place(virtio, i);

		devices[i].gpa = place.gpa;
		devices[i].len = VMM_VIRTIO_MMIO_LEN;
		devices[i].gsi = place.gsi;
	}
	return count;
}

/* Seeds, for the guest's random numbers and for its kernel's place. */
struct seeds {
	uint8_t rng[64];
	uint64_t kaslr;
};

static int load_tree(struct tree_desc *desc, const struct vmm_mem *mem,
		     struct vmm_load_map *map, struct vmm_load_range *out,
		     struct vmm_error *err)
{
	VMM_CLEANUP(vmm_fdt_free) struct vmm_fdt *fdt = NULL;
	struct seeds seeds;
	const void *data;
	size_t len;
	int ret = vmm_fdt_new(&fdt);

	if (ret < 0)
		return vmm_error_set(err, ret, "device tree: %s", strerror(-ret));
	ret = vmm_load_random(&seeds, sizeof(seeds), err);
	if (ret < 0)
		return ret;
	desc->rng_seed = seeds.rng;
	desc->rng_seed_len = sizeof(seeds.rng);
	desc->kaslr_seed = seeds.kaslr;
	ret = tree_build(desc, fdt, &data, &len, err);
	if (ret == 0)
		ret = vmm_fdt_load(mem, map, UINT64_MAX, data, len, out, err);
	explicit_bzero(&seeds, sizeof(seeds));
	return ret;
}

static int load_guest(struct machine *machine, const struct vmm_mem *mem,
		      const uint64_t *affinity, struct vmm_load_arm64_entry *entry,
		      struct vmm_error *err)
{
	struct tree_virtio virtio[VIRTIO_MAX] = { 0 };
	struct tree_desc desc = { .cmdline = machine->desc->cmdline };
	struct vmm_load_result kernel;
	struct vmm_load_range tree;
	struct vmm_load_map map;
	int ret = vmm_load_arm64_map(mem, &map, err);

	if (ret == 0)
		ret = images_load(&machine->board->images, machine->desc, mem, &map,
				  &kernel, &desc.initrd, err);
	if (ret < 0)
		return ret;
	if (strlen(desc.cmdline) > kernel.cmdline_max)
		return vmm_error_at(err, -E2BIG, 0, kernel.cmdline_max,
				    strlen(desc.cmdline),
				    "--cmdline: %zu bytes, the kernel takes at most %u",
				    strlen(desc.cmdline), kernel.cmdline_max);
	desc.map = &map;
	desc.affinity = affinity;
	desc.cpu_count = machine->desc->cpus;
	desc.gic_version = machine->board->gic_version;
	desc.has_pmu = has_pmu(machine);
	desc.has_serial = machine->console != NULL;
	desc.virtio = virtio;
	desc.virtio_count = describe_virtio(machine->virtio, virtio);
	ret = load_tree(&desc, mem, &map, &tree, err);
	return ret == 0 ? vmm_load_arm64_boot(&kernel, &tree, entry, err) : ret;
}

int board_load(struct machine *machine, const struct vmm_mem *mem, struct vmm_error *err)
{
	uint64_t *affinity = calloc(machine->desc->cpus, sizeof(*affinity));
	struct vmm_load_arm64_entry entry;
	int ret;

	if (!affinity)
		return vmm_error_set(err, -ENOMEM, "vCPUs: out of memory");
	ret = set_up_cpus(machine, affinity, err);
	if (ret == 0)
		ret = load_guest(machine, mem, affinity, &entry, err);
	free(affinity);
	return ret == 0 ? set_entry(machine, &entry, err) : ret;
}

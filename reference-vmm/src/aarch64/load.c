/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/fdt.h>

#include "../cpu.h"
#include "../virtio.h"
#include "board.h"

enum { VIRTIO_MAX = VIRTIO_GSI_LAST - VIRTIO_GSI_FIRST + 1 };

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
			ret = vmm_kvm_vcpu_arm64_enable_pmu(vcpu, PMU_IRQ);
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

/* KVM's GSIs are the GIC's shared interrupts; they reach it as edges, by eventfd. */
static struct vmm_fdt_irq shared_irq(uint32_t gsi)
{
	return (struct vmm_fdt_irq){ VMM_FDT_SPI_FIRST + gsi, VMM_FDT_EDGE };
}

/* What the guest is told, and the arrays that this points to. */
struct description {
	struct vmm_fdt_machine machine;
	struct vmm_fdt_uart uart;
	struct vmm_fdt_virtio_mmio virtio[VIRTIO_MAX];
};

static void describe_gic(const struct machine *machine, struct vmm_fdt_gic *gic)
{
	gic->version = machine->board->gic_version;
	gic->dist_gpa = VMM_LOAD_ARM64_GIC_DIST;
	if (gic->version == 2) {
		gic->cpu_gpa = VMM_LOAD_ARM64_GIC_CPU;
		return;
	}
	gic->redist_gpa = VMM_LOAD_ARM64_GIC_REDIST;
	gic->redist_len = (uint64_t)GIC_REDIST_LEN * machine->desc->cpus;
}

static void describe_virtio(const struct virtio *virtio, struct description *desc)
{
	size_t count = virtio_get_count(virtio);

	/* Each has an interrupt of its own, so there are not more than VIRTIO_MAX. */
	for (size_t i = 0; i < count; i++) {
		struct virtio_place place = virtio_get_place(virtio, i);

		desc->virtio[i] =
		    (struct vmm_fdt_virtio_mmio){ place.gpa, VMM_VIRTIO_MMIO_LEN,
						  shared_irq(place.gsi) };
	}
	desc->machine.virtio_mmio = desc->virtio;
	desc->machine.virtio_mmio_count = count;
}

static void describe_devices(struct machine *machine, struct description *desc)
{
	struct vmm_fdt_machine *m = &desc->machine;

	if (has_pmu(machine))
		m->pmu = (struct vmm_fdt_irq){ PMU_IRQ, VMM_FDT_LEVEL };
	if (machine->console) {
		desc->uart = (struct vmm_fdt_uart){ VMM_FDT_UART_16550A,
						    VMM_SIO_SERIAL_CLOCK, SERIAL_GPA,
						    SERIAL_LEN, shared_irq(SERIAL_GSI) };
		m->uarts = &desc->uart;
		m->uart_count = 1;
		m->stdout_uart = 0;
		m->stdout_options = "115200n8";
	}
	m->rtc_gpa = RTC_GPA;
	m->rtc_irq = shared_irq(RTC_GSI);
	describe_virtio(machine->virtio, desc);
}

static void describe(struct machine *machine, const uint64_t *affinity,
		     struct description *desc)
{
	static const struct vmm_fdt_machine defaults = VMM_FDT_MACHINE_INIT;
	struct vmm_fdt_machine *m = &desc->machine;

	*m = defaults;
	m->cpu_count = machine->desc->cpus;
	m->mpidrs = affinity;
	m->model = "libvmm reference-vmm";
	m->hypervisor = "linux,kvm";
	m->cmdline = machine->desc->cmdline;
	describe_gic(machine, &m->gic);
	describe_devices(machine, desc);
}

/* Seeds, for the guest's random numbers and for its kernel's place. */
struct seeds {
	uint8_t rng[64];
	uint64_t kaslr;
};

static int load_tree(struct vmm_fdt_machine *desc, const struct vmm_mem *mem,
		     struct vmm_load_map *map, struct vmm_load_range *out,
		     struct vmm_error *err)
{
	VMM_CLEANUP(vmm_fdt_free) struct vmm_fdt *fdt = NULL;
	struct seeds seeds;
	const void *data;
	uint32_t root;
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
	root = vmm_fdt_begin_node(fdt, "");
	vmm_fdt_put_machine(fdt, desc);
	vmm_fdt_end_node(fdt, root);
	ret = vmm_fdt_finish(fdt, &data, &len, err);
	if (ret == 0)
		ret = vmm_fdt_load(mem, map, UINT64_MAX, data, len, out, err);
	explicit_bzero(&seeds, sizeof(seeds));
	return ret;
}

static int load_guest(struct machine *machine, const struct vmm_mem *mem,
		      const uint64_t *affinity, struct vmm_load_arm64_entry *entry,
		      struct vmm_error *err)
{
	const char *cmdline = machine->desc->cmdline;
	struct description desc = { 0 };
	struct vmm_load_result kernel;
	struct vmm_load_range initrd = { 0 }, tree;
	struct vmm_load_map map;
	int ret = vmm_load_arm64_map(mem, &map, err);

	if (ret == 0)
		ret = images_load(&machine->board->images, machine->desc, mem, &map,
				  &kernel, &initrd, err);
	if (ret < 0)
		return ret;
	if (strlen(cmdline) > kernel.cmdline_max)
		return vmm_error_at(err, -E2BIG, 0, kernel.cmdline_max, strlen(cmdline),
				    "--cmdline: %zu bytes, the kernel takes at most %u",
				    strlen(cmdline), kernel.cmdline_max);
	describe(machine, affinity, &desc);
	desc.machine.map = &map;
	desc.machine.initrd = initrd;
	ret = load_tree(&desc.machine, mem, &map, &tree, err);
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

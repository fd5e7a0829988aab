/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <vmm/superio-pl011.h>
#include <vmm/superio-rtc.h>
#include <vmm/superio.h>

#include "layout.h"
#include "tree.h"

/* Cells of an interrupt: Documentation/devicetree/bindings/interrupt-controller. */
enum {
	KIND_SHARED = 0,
	KIND_PRIVATE = 1,
	EDGE_RISING = 1,
	LEVEL_HIGH = 4,
};

/* Everything between the root's braces has the writer and what it needs to know. */
struct tree {
	const struct tree_desc *desc;
	struct vmm_fdt *fdt;
	uint32_t gic;
	uint32_t clock;
};

static uint32_t begin_at(struct tree *tree, const char *name, uint64_t gpa)
{
	char full[32];

	(void)snprintf(full, sizeof(full), "%s@%" PRIx64, name, gpa);
	return vmm_fdt_begin_node(tree->fdt, full);
}

static void put_range(struct tree *tree, uint64_t gpa, uint64_t len)
{
	const uint64_t reg[] = { gpa, len };

	vmm_fdt_put_u64s(tree->fdt, "reg", reg, 2);
}

/* Interrupts reach KVM as edges, by eventfd. */
static void put_irq(struct tree *tree, uint32_t gsi)
{
	const uint32_t cells[] = { KIND_SHARED, gsi, EDGE_RISING };

	vmm_fdt_put_u32s(tree->fdt, "interrupts", cells, 3);
}

/* The GICv2 wants to know which CPUs a private interrupt goes to. */
static uint32_t private_flags(const struct tree *tree)
{
	uint32_t cpus = tree->desc->cpu_count;
	uint32_t mask = tree->desc->gic_version == 2 ? (1u << cpus) - 1 : 0;

	return mask << 8 | LEVEL_HIGH;
}

static void put_chosen(struct tree *tree)
{
	const struct tree_desc *desc = tree->desc;
	struct vmm_fdt *fdt = tree->fdt;
	uint32_t node = vmm_fdt_begin_node(fdt, "chosen");
	char path[48];

	(void)snprintf(path, sizeof(path), "/serial@%" PRIx64 ":115200n8", SERIAL_GPA);
	if (desc->has_serial)
		vmm_fdt_put_string(fdt, "stdout-path", path);
	vmm_fdt_put_string(fdt, "bootargs", desc->cmdline);
	if (desc->initrd.len > 0) {
		vmm_fdt_put_u64(fdt, "linux,initrd-start", desc->initrd.gpa);
		vmm_fdt_put_u64(fdt, "linux,initrd-end",
				desc->initrd.gpa + desc->initrd.len);
	}
	if (desc->rng_seed_len > 0)
		vmm_fdt_put_bytes(fdt, "rng-seed", desc->rng_seed, desc->rng_seed_len);
	if (desc->kaslr_seed)
		vmm_fdt_put_u64(fdt, "kaslr-seed", desc->kaslr_seed);
	vmm_fdt_end_node(fdt, node);
}

/* Which UART is the first, so that it is ttyS0. */
static void put_aliases(struct tree *tree)
{
	uint32_t node = vmm_fdt_begin_node(tree->fdt, "aliases");
	char path[32];

	(void)snprintf(path, sizeof(path), "/serial@%" PRIx64, SERIAL_GPA);
	vmm_fdt_put_string(tree->fdt, "serial0", path);
	vmm_fdt_end_node(tree->fdt, node);
}

static void put_cpus(struct tree *tree)
{
	struct vmm_fdt *fdt = tree->fdt;
	uint32_t node = vmm_fdt_begin_node(fdt, "cpus");

	vmm_fdt_put_u32(fdt, "#address-cells", 2);
	vmm_fdt_put_u32(fdt, "#size-cells", 0);
	for (uint32_t i = 0; i < tree->desc->cpu_count; i++) {
		uint32_t cpu = begin_at(tree, "cpu", tree->desc->affinity[i]);

		vmm_fdt_put_string(fdt, "device_type", "cpu");
		vmm_fdt_put_string(fdt, "compatible", "arm,armv8");
		vmm_fdt_put_string(fdt, "enable-method", "psci");
		vmm_fdt_put_u64(fdt, "reg", tree->desc->affinity[i]);
		vmm_fdt_end_node(fdt, cpu);
	}
	vmm_fdt_end_node(fdt, node);
}

static void put_psci(struct tree *tree)
{
	static const char *const compatible[] = { "arm,psci-1.0", "arm,psci-0.2" };
	uint32_t node = vmm_fdt_begin_node(tree->fdt, "psci");

	vmm_fdt_put_strings(tree->fdt, "compatible", compatible, 2);
	vmm_fdt_put_string(tree->fdt, "method", "hvc");
	vmm_fdt_end_node(tree->fdt, node);
}

/* By which programs such as systemd-detect-virt know where they run. */
static void put_hypervisor(struct tree *tree)
{
	uint32_t node = vmm_fdt_begin_node(tree->fdt, "hypervisor");

	vmm_fdt_put_string(tree->fdt, "compatible", "linux,kvm");
	vmm_fdt_end_node(tree->fdt, node);
}

static void put_timer(struct tree *tree)
{
	/* Secure, non-secure, virtual, hypervisor's: KVM has them where most are. */
	static const uint32_t numbers[] = { 13, 14, 11, 10 };
	uint32_t node = vmm_fdt_begin_node(tree->fdt, "timer"), cells[12];

	for (size_t i = 0; i < 4; i++) {
		cells[3 * i] = KIND_PRIVATE;
		cells[3 * i + 1] = numbers[i];
		cells[3 * i + 2] = private_flags(tree);
	}
	vmm_fdt_put_string(tree->fdt, "compatible", "arm,armv8-timer");
	vmm_fdt_put_u32s(tree->fdt, "interrupts", cells, 12);
	vmm_fdt_put_null(tree->fdt, "always-on");
	vmm_fdt_end_node(tree->fdt, node);
}

static void put_pmu(struct tree *tree)
{
	const uint32_t cells[] = { KIND_PRIVATE, PMU_PPI, private_flags(tree) };
	uint32_t node = vmm_fdt_begin_node(tree->fdt, "pmu");

	vmm_fdt_put_string(tree->fdt, "compatible", "arm,armv8-pmuv3");
	vmm_fdt_put_u32s(tree->fdt, "interrupts", cells, 3);
	vmm_fdt_end_node(tree->fdt, node);
}

static void put_gic(struct tree *tree)
{
	const uint64_t v3[] = { VMM_LOAD_ARM64_GIC_DIST, GIC_DIST_LEN,
				VMM_LOAD_ARM64_GIC_REDIST,
				(uint64_t)GIC_REDIST_LEN * tree->desc->cpu_count };
	static const uint64_t v2[] = { VMM_LOAD_ARM64_GIC_DIST, GIC_V2_DIST_LEN,
				       VMM_LOAD_ARM64_GIC_CPU, GIC_V2_CPU_LEN };
	bool is_v3 = tree->desc->gic_version == 3;
	struct vmm_fdt *fdt = tree->fdt;
	uint32_t node = begin_at(tree, "intc", VMM_LOAD_ARM64_GIC_DIST);

	vmm_fdt_put_string(fdt, "compatible", is_v3 ? "arm,gic-v3" : "arm,gic-400");
	vmm_fdt_put_null(fdt, "interrupt-controller");
	vmm_fdt_put_u32(fdt, "#interrupt-cells", 3);
	vmm_fdt_put_u32(fdt, "#address-cells", 0);
	vmm_fdt_put_u64s(fdt, "reg", is_v3 ? v3 : v2, 4);
	vmm_fdt_put_phandle(fdt, tree->gic);
	vmm_fdt_end_node(fdt, node);
}

/* What drivers of Arm's own devices ask for; nothing here depends on its rate. */
static void put_clock(struct tree *tree)
{
	uint32_t node = vmm_fdt_begin_node(tree->fdt, "apb-pclk");

	vmm_fdt_put_string(tree->fdt, "compatible", "fixed-clock");
	vmm_fdt_put_u32(tree->fdt, "#clock-cells", 0);
	vmm_fdt_put_u32(tree->fdt, "clock-frequency", VMM_SIO_PL011_CLOCK);
	vmm_fdt_put_phandle(tree->fdt, tree->clock);
	vmm_fdt_end_node(tree->fdt, node);
}

static void put_serial(struct tree *tree)
{
	uint32_t node = begin_at(tree, "serial", SERIAL_GPA);

	vmm_fdt_put_string(tree->fdt, "compatible", "ns16550a");
	put_range(tree, SERIAL_GPA, SERIAL_LEN);
	put_irq(tree, SERIAL_GSI);
	vmm_fdt_put_u32(tree->fdt, "clock-frequency", VMM_SIO_SERIAL_CLOCK);
	vmm_fdt_end_node(tree->fdt, node);
}

static void put_rtc(struct tree *tree)
{
	static const char *const compatible[] = { "arm,pl031", "arm,primecell" };
	uint32_t node = begin_at(tree, "rtc", RTC_GPA);

	vmm_fdt_put_strings(tree->fdt, "compatible", compatible, 2);
	put_range(tree, RTC_GPA, VMM_SIO_PL031_LEN);
	put_irq(tree, RTC_GSI);
	vmm_fdt_put_u32(tree->fdt, "clocks", tree->clock);
	vmm_fdt_put_string(tree->fdt, "clock-names", "apb_pclk");
	vmm_fdt_end_node(tree->fdt, node);
}

static void put_virtio(struct tree *tree, const struct tree_virtio *device)
{
	uint32_t node = begin_at(tree, "virtio_mmio", device->gpa);

	vmm_fdt_put_string(tree->fdt, "compatible", "virtio,mmio");
	put_range(tree, device->gpa, device->len);
	put_irq(tree, device->gsi);
	vmm_fdt_put_null(tree->fdt, "dma-coherent");
	vmm_fdt_end_node(tree->fdt, node);
}

int tree_build(const struct tree_desc *desc, struct vmm_fdt *fdt, const void **out,
	       size_t *out_len, struct vmm_error *err)
{
	struct tree tree = { .desc = desc, .fdt = fdt };
	uint32_t root;

	tree.gic = vmm_fdt_take_phandle(fdt);
	tree.clock = vmm_fdt_take_phandle(fdt);
	root = vmm_fdt_begin_node(fdt, "");
	vmm_fdt_put_string(fdt, "compatible", "linux,dummy-virt");
	vmm_fdt_put_string(fdt, "model", "libvmm reference-vmm");
	vmm_fdt_put_u32(fdt, "#address-cells", 2);
	vmm_fdt_put_u32(fdt, "#size-cells", 2);
	vmm_fdt_put_u32(fdt, "interrupt-parent", tree.gic);
	put_chosen(&tree);
	if (desc->has_serial)
		put_aliases(&tree);
	vmm_fdt_put_memory(fdt, desc->map);
	put_cpus(&tree);
	put_psci(&tree);
	put_hypervisor(&tree);
	put_gic(&tree);
	put_timer(&tree);
	if (desc->has_pmu)
		put_pmu(&tree);
	put_clock(&tree);
	if (desc->has_serial)
		put_serial(&tree);
	put_rtc(&tree);
	for (size_t i = 0; i < desc->virtio_count; i++)
		put_virtio(&tree, &desc->virtio[i]);
	vmm_fdt_end_node(fdt, root);
	return vmm_fdt_finish(fdt, out, out_len, err);
}

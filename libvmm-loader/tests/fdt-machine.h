/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef FDT_MACHINE_H
#define FDT_MACHINE_H

#include <stdio.h>
#include <vmm/fdt.h>

static inline void test_fdt_cpus(struct vmm_fdt *f)
{
	uint32_t cpus = vmm_fdt_begin_node(f, "cpus");

	vmm_fdt_put_u32(f, "#address-cells", 1);
	vmm_fdt_put_u32(f, "#size-cells", 0);
	for (uint32_t i = 0; i < 2; i++) {
		char name[16];
		uint32_t cpu;

		(void)snprintf(name, sizeof(name), "cpu@%x", i);
		cpu = vmm_fdt_begin_node(f, name);
		vmm_fdt_put_string(f, "device_type", "cpu");
		vmm_fdt_put_string(f, "compatible", "arm,armv8");
		vmm_fdt_put_string(f, "enable-method", "psci");
		vmm_fdt_put_u32(f, "reg", i);
		vmm_fdt_end_node(f, cpu);
	}
	vmm_fdt_end_node(f, cpus);
}

/* An arm64 machine: memory, two CPUs, GIC, timer, PSCI, a UART, a virtio device. */
static inline void test_fdt_machine(struct vmm_fdt *f)
{
	static const char *const compatible[] = { "linux,dummy", "vmm,test" };
	static const uint64_t memory[] = { 0x80000000, 0x10000000 };
	static const uint64_t gic_reg[] = { 0x08000000, 0x10000, 0x080a0000, 0xf60000 };
	static const uint64_t uart_reg[] = { 0x09000000, 0x1000 };
	static const uint64_t virtio_reg[] = { 0x0a000000, 0x200 };
	static const uint32_t spi1[] = { 0, 1, 4 }, spi16[] = { 0, 16, 1 };
	static const uint32_t timer[] = { 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4 };
	uint32_t gic = vmm_fdt_take_phandle(f), clock = vmm_fdt_take_phandle(f), root, n;
	const uint32_t clocks[] = { clock, clock };
	static const char *const clock_names[] = { "uartclk", "apb_pclk" };
	static const char *const uart_compatible[] = { "arm,pl011", "arm,primecell" };

	vmm_fdt_add_reservation(f, 0x80000000, 0x1000);
	vmm_fdt_set_boot_cpu(f, 1);
	root = vmm_fdt_begin_node(f, "");
	vmm_fdt_put_strings(f, "compatible", compatible, 2);
	vmm_fdt_put_string(f, "model", "test");
	vmm_fdt_put_u32(f, "#address-cells", 2);
	vmm_fdt_put_u32(f, "#size-cells", 2);
	vmm_fdt_put_u32(f, "interrupt-parent", gic);
	n = vmm_fdt_begin_node(f, "chosen");
	vmm_fdt_put_string(f, "stdout-path", "/pl011@9000000");
	vmm_fdt_end_node(f, n);
	n = vmm_fdt_begin_node(f, "memory@80000000");
	vmm_fdt_put_string(f, "device_type", "memory");
	vmm_fdt_put_u64s(f, "reg", memory, 2);
	vmm_fdt_end_node(f, n);
	test_fdt_cpus(f);
	n = vmm_fdt_begin_node(f, "psci");
	vmm_fdt_put_string(f, "compatible", "arm,psci-0.2");
	vmm_fdt_put_string(f, "method", "hvc");
	vmm_fdt_end_node(f, n);
	n = vmm_fdt_begin_node(f, "timer");
	vmm_fdt_put_string(f, "compatible", "arm,armv8-timer");
	vmm_fdt_put_u32s(f, "interrupts", timer, 12);
	vmm_fdt_put_null(f, "always-on");
	vmm_fdt_end_node(f, n);
	n = vmm_fdt_begin_node(f, "intc@8000000");
	vmm_fdt_put_string(f, "compatible", "arm,gic-v3");
	vmm_fdt_put_null(f, "interrupt-controller");
	vmm_fdt_put_u32(f, "#interrupt-cells", 3);
	vmm_fdt_put_u32(f, "#address-cells", 0);
	vmm_fdt_put_u64s(f, "reg", gic_reg, 4);
	vmm_fdt_put_phandle(f, gic);
	vmm_fdt_end_node(f, n);
	n = vmm_fdt_begin_node(f, "apb-pclk");
	vmm_fdt_put_string(f, "compatible", "fixed-clock");
	vmm_fdt_put_u32(f, "#clock-cells", 0);
	vmm_fdt_put_u32(f, "clock-frequency", 24000000);
	vmm_fdt_put_phandle(f, clock);
	vmm_fdt_end_node(f, n);
	n = vmm_fdt_begin_node(f, "pl011@9000000");
	vmm_fdt_put_strings(f, "compatible", uart_compatible, 2);
	vmm_fdt_put_u64s(f, "reg", uart_reg, 2);
	vmm_fdt_put_u32s(f, "interrupts", spi1, 3);
	vmm_fdt_put_u32s(f, "clocks", clocks, 2);
	vmm_fdt_put_strings(f, "clock-names", clock_names, 2);
	vmm_fdt_end_node(f, n);
	n = vmm_fdt_begin_node(f, "virtio_mmio@a000000");
	vmm_fdt_put_string(f, "compatible", "virtio,mmio");
	vmm_fdt_put_u64s(f, "reg", virtio_reg, 2);
	vmm_fdt_put_u32s(f, "interrupts", spi16, 3);
	vmm_fdt_put_null(f, "dma-coherent");
	vmm_fdt_end_node(f, n);
	vmm_fdt_end_node(f, root);
}

#endif

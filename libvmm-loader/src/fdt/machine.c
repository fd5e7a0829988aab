/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "machine.h"

#include <inttypes.h>
#include <stdio.h>

#include "../options.h"
#include "writer.h"

#define BUS_CLOCK_HZ 24000000u

/* Cells of an interrupt: Documentation/devicetree/bindings/interrupt-controller. */
enum {
	KIND_SHARED = 0,
	KIND_PRIVATE = 1,
};

/* Everything between the root's braces has the writer and what it needs to know. */
struct tree {
	const struct vmm_fdt_machine *m;
	struct vmm_fdt *fdt;
	uint32_t gic;
	uint32_t clock;
};

static uint32_t begin_at(struct tree *t, const char *name, uint64_t gpa)
{
	char full[40];

	(void)snprintf(full, sizeof(full), "%s@%" PRIx64, name, gpa);
	return vmm_fdt_begin_node(t->fdt, full);
}

static void put_range(struct tree *t, uint64_t gpa, uint64_t len)
{
	const uint64_t reg[] = { gpa, len };

	vmm_fdt_put_u64s(t->fdt, "reg", reg, 2);
}

static void put_irq(struct tree *t, const struct vmm_fdt_irq *irq)
{
	const uint32_t cells[] = { KIND_SHARED, irq->number - VMM_FDT_SPI_FIRST,
				   irq->trigger };

	vmm_fdt_put_u32s(t->fdt, "interrupts", cells, 3);
}

static void set_private(const struct tree *t, const struct vmm_fdt_irq *irq,
			uint32_t cells[3])
{
	/* The GICv2 wants to know which CPUs a private interrupt goes to. */
	uint32_t cpus = t->m->gic.version == 2 ? (1u << t->m->cpu_count) - 1 : 0;

	cells[0] = KIND_PRIVATE;
	cells[1] = irq->number - VMM_FDT_PPI_FIRST;
	cells[2] = cpus << 8 | irq->trigger;
}

static void put_text(struct tree *t, const char *name, const char *text)
{
	if (text)
		vmm_fdt_put_string(t->fdt, name, text);
}

static void put_root(struct tree *t)
{
	static const char anything[] = "linux,dummy-virt";
	const struct vmm_fdt_machine *m = t->m;

	put_text(t, "compatible", m->compatible ? m->compatible : anything);
	put_text(t, "model", m->model ? m->model : anything);
	vmm_fdt_put_u32(t->fdt, "#address-cells", 2);
	vmm_fdt_put_u32(t->fdt, "#size-cells", 2);
	vmm_fdt_put_u32(t->fdt, "interrupt-parent", t->gic);
}

static void put_stdout(struct tree *t)
{
	const struct vmm_fdt_machine *m = t->m;
	const char *options = m->stdout_options;
	char path[32 + VMM_FDT_TEXT_MAX];

	if (m->stdout_uart == VMM_FDT_NO_UART)
		return;
	(void)snprintf(path, sizeof(path), "/serial@%" PRIx64 "%s%s",
		       m->uarts[m->stdout_uart].gpa, options ? ":" : "",
		       options ? options : "");
	vmm_fdt_put_string(t->fdt, "stdout-path", path);
}

static void put_chosen(struct tree *t)
{
	const struct vmm_fdt_machine *m = t->m;
	struct vmm_fdt *fdt = t->fdt;
	uint32_t node = vmm_fdt_begin_node(fdt, "chosen");

	put_stdout(t);
	put_text(t, "bootargs", m->cmdline);
	if (m->initrd.len > 0) {
		vmm_fdt_put_u64(fdt, "linux,initrd-start", m->initrd.gpa);
		vmm_fdt_put_u64(fdt, "linux,initrd-end", m->initrd.gpa + m->initrd.len);
	}
	if (m->rng_seed_len > 0)
		vmm_fdt_put_bytes(fdt, "rng-seed", m->rng_seed, m->rng_seed_len);
	if (m->kaslr_seed)
		vmm_fdt_put_u64(fdt, "kaslr-seed", m->kaslr_seed);
	vmm_fdt_end_node(fdt, node);
}

/* Which UART is the first, so that it is ttyS0 or ttyAMA0. */
static void put_aliases(struct tree *t)
{
	uint32_t node;

	if (t->m->uart_count == 0)
		return;
	node = vmm_fdt_begin_node(t->fdt, "aliases");
	for (size_t i = 0; i < t->m->uart_count; i++) {
		char name[32], path[32];

		(void)snprintf(name, sizeof(name), "serial%zu", i);
		(void)snprintf(path, sizeof(path), "/serial@%" PRIx64,
			       t->m->uarts[i].gpa);
		vmm_fdt_put_string(t->fdt, name, path);
	}
	vmm_fdt_end_node(t->fdt, node);
}

static void put_cpus(struct tree *t)
{
	struct vmm_fdt *fdt = t->fdt;
	uint32_t node = vmm_fdt_begin_node(fdt, "cpus");

	vmm_fdt_put_u32(fdt, "#address-cells", 2);
	vmm_fdt_put_u32(fdt, "#size-cells", 0);
	for (uint32_t i = 0; i < t->m->cpu_count; i++) {
		uint64_t mpidr = fdt_machine_mpidr(t->m, i);
		uint32_t cpu = begin_at(t, "cpu", mpidr);

		vmm_fdt_put_string(fdt, "device_type", "cpu");
		vmm_fdt_put_string(fdt, "compatible", "arm,armv8");
		if (t->m->psci != VMM_FDT_PSCI_NONE)
			vmm_fdt_put_string(fdt, "enable-method", "psci");
		vmm_fdt_put_u64(fdt, "reg", mpidr);
		vmm_fdt_end_node(fdt, cpu);
	}
	vmm_fdt_end_node(fdt, node);
}

static void put_psci(struct tree *t)
{
	static const char *const compatible[] = { "arm,psci-1.0", "arm,psci-0.2" };
	bool hvc = t->m->psci == VMM_FDT_PSCI_HVC;
	uint32_t node;

	if (t->m->psci == VMM_FDT_PSCI_NONE)
		return;
	node = vmm_fdt_begin_node(t->fdt, "psci");
	vmm_fdt_put_strings(t->fdt, "compatible", compatible, 2);
	vmm_fdt_put_string(t->fdt, "method", hvc ? "hvc" : "smc");
	vmm_fdt_end_node(t->fdt, node);
}

/* By which programs such as systemd-detect-virt know where they run. */
static void put_hypervisor(struct tree *t)
{
	uint32_t node;

	if (!t->m->hypervisor)
		return;
	node = vmm_fdt_begin_node(t->fdt, "hypervisor");
	vmm_fdt_put_string(t->fdt, "compatible", t->m->hypervisor);
	vmm_fdt_end_node(t->fdt, node);
}

static void put_gic(struct tree *t)
{
	const struct vmm_fdt_gic *g = &t->m->gic;
	const uint64_t v3[] = { g->dist_gpa, GICV3_DIST_LEN, g->redist_gpa,
				g->redist_len };
	const uint64_t v2[] = { g->dist_gpa, GICV2_DIST_LEN, g->cpu_gpa, GICV2_CPU_LEN };
	uint32_t node = begin_at(t, "intc", g->dist_gpa);
	bool is_v3 = g->version == 3;

	vmm_fdt_put_string(t->fdt, "compatible", is_v3 ? "arm,gic-v3" : "arm,gic-400");
	vmm_fdt_put_null(t->fdt, "interrupt-controller");
	vmm_fdt_put_u32(t->fdt, "#interrupt-cells", 3);
	vmm_fdt_put_u32(t->fdt, "#address-cells", 0);
	vmm_fdt_put_u64s(t->fdt, "reg", is_v3 ? v3 : v2, 4);
	vmm_fdt_put_phandle(t->fdt, t->gic);
	vmm_fdt_end_node(t->fdt, node);
}

static void put_timer(struct tree *t)
{
	const struct vmm_fdt_irq *irqs[] = { &t->m->timer_secure, &t->m->timer_physical,
					     &t->m->timer_virtual,
					     &t->m->timer_hypervisor };
	size_t count = t->m->timer_hypervisor.number ? 4 : 3;
	uint32_t node, cells[12];

	if (t->m->timer_virtual.number == 0)
		return;
	for (size_t i = 0; i < count; i++)
		set_private(t, irqs[i], &cells[3 * i]);
	node = vmm_fdt_begin_node(t->fdt, "timer");
	vmm_fdt_put_string(t->fdt, "compatible", "arm,armv8-timer");
	vmm_fdt_put_u32s(t->fdt, "interrupts", cells, 3 * count);
	/* A virtual CPU has no sleep in which they would stop. */
	vmm_fdt_put_null(t->fdt, "always-on");
	vmm_fdt_end_node(t->fdt, node);
}

static void put_pmu(struct tree *t)
{
	uint32_t node, cells[3];

	if (t->m->pmu.number == 0)
		return;
	set_private(t, &t->m->pmu, cells);
	node = vmm_fdt_begin_node(t->fdt, "pmu");
	vmm_fdt_put_string(t->fdt, "compatible", "arm,armv8-pmuv3");
	vmm_fdt_put_u32s(t->fdt, "interrupts", cells, 3);
	vmm_fdt_end_node(t->fdt, node);
}

/* Drivers of Arm's own devices ask for their clock. */
static bool has_bus_clock(const struct vmm_fdt_machine *m)
{
	bool has = m->rtc_irq.number != 0;

	for (size_t i = 0; i < m->uart_count; i++)
		has |= m->uarts[i].kind == VMM_FDT_UART_PL011;
	return has;
}

static void put_clock(struct tree *t)
{
	uint32_t hz = t->m->bus_clock_hz, node;

	if (!has_bus_clock(t->m))
		return;
	t->clock = vmm_fdt_take_phandle(t->fdt);
	node = vmm_fdt_begin_node(t->fdt, "apb-pclk");
	vmm_fdt_put_string(t->fdt, "compatible", "fixed-clock");
	vmm_fdt_put_u32(t->fdt, "#clock-cells", 0);
	vmm_fdt_put_u32(t->fdt, "clock-frequency", hz ? hz : BUS_CLOCK_HZ);
	vmm_fdt_put_phandle(t->fdt, t->clock);
	vmm_fdt_end_node(t->fdt, node);
}

/* The first clock of a PL011 makes its rate, the second its registers work. */
static void put_pl011(struct tree *t)
{
	static const char *const compatible[] = { "arm,pl011", "arm,primecell" };
	static const char *const names[] = { "uartclk", "apb_pclk" };
	const uint32_t clocks[] = { t->clock, t->clock };

	vmm_fdt_put_strings(t->fdt, "compatible", compatible, 2);
	vmm_fdt_put_u32s(t->fdt, "clocks", clocks, 2);
	vmm_fdt_put_strings(t->fdt, "clock-names", names, 2);
}

static void put_uart(struct tree *t, const struct vmm_fdt_uart *uart)
{
	uint32_t node = begin_at(t, "serial", uart->gpa);

	if (uart->kind == VMM_FDT_UART_PL011) {
		put_pl011(t);
	} else {
		vmm_fdt_put_string(t->fdt, "compatible", "ns16550a");
		vmm_fdt_put_u32(t->fdt, "clock-frequency", uart->clock_hz);
	}
	put_range(t, uart->gpa, uart->len);
	put_irq(t, &uart->irq);
	vmm_fdt_end_node(t->fdt, node);
}

static void put_rtc(struct tree *t)
{
	static const char *const compatible[] = { "arm,pl031", "arm,primecell" };
	uint32_t node;

	if (t->m->rtc_irq.number == 0)
		return;
	node = begin_at(t, "rtc", t->m->rtc_gpa);
	vmm_fdt_put_strings(t->fdt, "compatible", compatible, 2);
	put_range(t, t->m->rtc_gpa, PL031_LEN);
	put_irq(t, &t->m->rtc_irq);
	vmm_fdt_put_u32(t->fdt, "clocks", t->clock);
	vmm_fdt_put_string(t->fdt, "clock-names", "apb_pclk");
	vmm_fdt_end_node(t->fdt, node);
}

/* Its memory accesses are those of a host's CPU, so coherent. */
static void put_virtio_mmio(struct tree *t, const struct vmm_fdt_virtio_mmio *device)
{
	uint32_t node = begin_at(t, "virtio_mmio", device->gpa);

	vmm_fdt_put_string(t->fdt, "compatible", "virtio,mmio");
	put_range(t, device->gpa, device->len);
	put_irq(t, &device->irq);
	vmm_fdt_put_null(t->fdt, "dma-coherent");
	vmm_fdt_end_node(t->fdt, node);
}

static void put_devices(struct tree *t)
{
	put_clock(t);
	for (size_t i = 0; i < t->m->uart_count; i++)
		put_uart(t, &t->m->uarts[i]);
	put_rtc(t);
	for (size_t i = 0; i < t->m->virtio_mmio_count; i++)
		put_virtio_mmio(t, &t->m->virtio_mmio[i]);
}

void vmm_fdt_put_machine(struct vmm_fdt *fdt, const struct vmm_fdt_machine *machine)
{
	struct vmm_fdt_machine m;
	struct tree tree = { .m = &m, .fdt = fdt };
	struct vmm_error err;
	int ret;

	if (!fdt_writer_is_in_empty_root(fdt))
		return;
	ret = load_options_copy(&m, sizeof(m), machine);
	if (ret < 0)
		ret = vmm_error_set(&err, ret, "device tree: unknown structure size");
	else
		ret = fdt_machine_check(&m, &err);
	if (ret < 0) {
		fdt_writer_refuse(fdt, &err);
		return;
	}
	tree.gic = vmm_fdt_take_phandle(fdt);
	put_root(&tree);
	put_chosen(&tree);
	put_aliases(&tree);
	vmm_fdt_put_memory(fdt, m.map);
	put_cpus(&tree);
	put_psci(&tree);
	put_hypervisor(&tree);
	put_gic(&tree);
	put_timer(&tree);
	put_pmu(&tree);
	put_devices(&tree);
}

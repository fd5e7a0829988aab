/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What an arm64 guest is told of its machine, and which machines are refused. */
#include "load-test.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "fdt-description.h"

struct world {
	struct description d;
	struct vmm_fdt *fdt;
	const void *data;
	size_t len;
};

static void build(struct world *w)
{
	struct vmm_error err = { 0 };

	assert_int_equal(vmm_fdt_new(&w->fdt), 0);
	put_description(w->fdt, &w->d.m);
	if (vmm_fdt_finish(w->fdt, &w->data, &w->len, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(vmm_fdt_check(w->data, w->len, NULL), 0);
}

static const void *find(const struct world *w, const char *path, const char *name,
			size_t want)
{
	const void *value = NULL;
	size_t len = 0;

	if (vmm_fdt_find(w->data, w->len, path, name, &value, &len) < 0)
		fail_msg("%s has no %s", path, name);
	assert_int_equal(len, want);
	return value;
}

static void expect_text(const struct world *w, const char *path, const char *name,
			const char *text)
{
	assert_string_equal(find(w, path, name, strlen(text) + 1), text);
}

static void expect_u32s(const struct world *w, const char *path, const char *name,
			const uint32_t *want, size_t count)
{
	const uint8_t *at = find(w, path, name, 4 * count);

	for (size_t i = 0; i < count; i++) {
		uint32_t cell;

		memcpy(&cell, at + 4 * i, sizeof(cell));
		assert_int_equal(be32toh(cell), want[i]);
	}
}

static void expect_u64s(const struct world *w, const char *path, const char *name,
			const uint64_t *want, size_t count)
{
	const uint8_t *at = find(w, path, name, 8 * count);

	for (size_t i = 0; i < count; i++) {
		uint64_t cell;

		memcpy(&cell, at + 8 * i, sizeof(cell));
		assert_int_equal(be64toh(cell), want[i]);
	}
}

#define EXPECT_U32S(w, path, name, ...)                               \
	expect_u32s(w, path, name, (const uint32_t[]){ __VA_ARGS__ }, \
		    sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4)
#define EXPECT_U64S(w, path, name, ...)                               \
	expect_u64s(w, path, name, (const uint64_t[]){ __VA_ARGS__ }, \
		    sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8)

static bool has(const struct world *w, const char *path, const char *name)
{
	const void *value;
	size_t len;

	return vmm_fdt_find(w->data, w->len, path, name, &value, &len) == 0;
}

static void the_boot_is_in_chosen(void **state)
{
	struct world w;

	describe_machine(&w.d);
	build(&w);
	expect_text(&w, "/chosen", "bootargs", "console=ttyS0 quiet");
	expect_text(&w, "/chosen", "stdout-path", "/serial@9000000:115200n8");
	EXPECT_U64S(&w, "/chosen", "linux,initrd-start", 0x88000000);
	EXPECT_U64S(&w, "/chosen", "linux,initrd-end", 0x88001234);
	EXPECT_U64S(&w, "/chosen", "kaslr-seed", 0x1122334455667788);
	assert_memory_equal(find(&w, "/chosen", "rng-seed", sizeof(w.d.seed)), w.d.seed,
			    sizeof(w.d.seed));
	vmm_fdt_free(w.fdt);
}

static void the_console_may_be_any_uart_without_options(void **state)
{
	struct world w;

	describe_machine(&w.d);
	w.d.m.stdout_uart = 1;
	w.d.m.stdout_options = NULL;
	build(&w);
	expect_text(&w, "/chosen", "stdout-path", "/serial@9020000");
	expect_text(&w, "/aliases", "serial0", "/serial@9000000");
	expect_text(&w, "/aliases", "serial1", "/serial@9020000");
	vmm_fdt_free(w.fdt);
}

static void the_machine_says_what_it_is(void **state)
{
	struct world w;

	describe_machine(&w.d);
	build(&w);
	expect_text(&w, "/", "model", "linux,dummy-virt");
	expect_text(&w, "/", "compatible", "linux,dummy-virt");
	vmm_fdt_free(w.fdt);
	w.d.m.model = "Model 1";
	w.d.m.compatible = "maker,model-1";
	build(&w);
	expect_text(&w, "/", "model", "Model 1");
	expect_text(&w, "/", "compatible", "maker,model-1");
	vmm_fdt_free(w.fdt);
}

/* One CPU, memory and a GIC: the least. */
static void what_there_is_not_is_not_told(void **state)
{
	static const char *const nodes[] = { "/pmu",	    "/timer",	"/psci",
					     "/hypervisor", "/aliases", "/apb-pclk" };
	static const char *const chosen[] = { "bootargs",	    "stdout-path",
					      "linux,initrd-start", "linux,initrd-end",
					      "rng-seed",	    "kaslr-seed" };
	struct vmm_fdt_machine least = VMM_FDT_MACHINE_INIT;
	struct world w;

	describe_machine(&w.d);
	least.map = w.d.m.map;
	least.gic = w.d.m.gic;
	least.psci = VMM_FDT_PSCI_NONE;
	least.timer_secure.number = 0;
	least.timer_physical.number = 0;
	least.timer_virtual.number = 0;
	least.timer_hypervisor.number = 0;
	w.d.m = least;
	build(&w);
	for (size_t i = 0; i < VMM_ARRAY_LEN(nodes); i++) {
		assert_false(has(&w, nodes[i], "compatible"));
		assert_false(has(&w, nodes[i], "serial0"));
	}
	for (size_t i = 0; i < VMM_ARRAY_LEN(chosen); i++)
		assert_false(has(&w, "/chosen", chosen[i]));
	assert_false(has(&w, "/rtc@9010000", "reg"));
	assert_false(has(&w, "/cpus/cpu@0", "enable-method"));
	vmm_fdt_free(w.fdt);
}

static void memory_and_cpus_are_there(void **state)
{
	struct world w;

	describe_machine(&w.d);
	build(&w);
	EXPECT_U64S(&w, "/memory@80000000", "reg", 0x80000000, 256 << 20);
	EXPECT_U64S(&w, "/cpus/cpu@0", "reg", 0);
	EXPECT_U64S(&w, "/cpus/cpu@1", "reg", 1);
	EXPECT_U64S(&w, "/cpus/cpu@100", "reg", 0x100);
	expect_text(&w, "/cpus/cpu@100", "enable-method", "psci");
	expect_text(&w, "/psci", "method", "hvc");
	expect_text(&w, "/hypervisor", "compatible", "linux,kvm");
	vmm_fdt_free(w.fdt);
}

static void cpus_without_numbers_are_counted_in_clusters_of_16(void **state)
{
	struct world w;

	describe_machine(&w.d);
	w.d.m.cpu_count = 18;
	w.d.m.mpidrs = NULL;
	w.d.m.gic.redist_len = 18 * 0x20000;
	w.d.m.psci = VMM_FDT_PSCI_SMC;
	build(&w);
	EXPECT_U64S(&w, "/cpus/cpu@f", "reg", 0xf);
	EXPECT_U64S(&w, "/cpus/cpu@101", "reg", 0x101);
	expect_text(&w, "/psci", "method", "smc");
	vmm_fdt_free(w.fdt);
}

static void gicv3_has_its_redistributors(void **state)
{
	struct world w;

	describe_machine(&w.d);
	build(&w);
	expect_text(&w, "/intc@8000000", "compatible", "arm,gic-v3");
	EXPECT_U64S(&w, "/intc@8000000", "reg", 0x8000000, 0x10000, 0xc000000,
		    DESCRIBED_CPUS * 0x20000);
	EXPECT_U32S(&w, "/timer", "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
	EXPECT_U32S(&w, "/pmu", "interrupts", 1, 7, 4);
	vmm_fdt_free(w.fdt);
}

static void gicv2_is_told_which_cpus_there_are(void **state)
{
	struct world w;

	describe_machine(&w.d);
	describe_gicv2(&w.d);
	build(&w);
	expect_text(&w, "/intc@8000000", "compatible", "arm,gic-400");
	EXPECT_U64S(&w, "/intc@8000000", "reg", 0x8000000, 0x1000, 0x8010000, 0x2000);
	EXPECT_U32S(&w, "/timer", "interrupts", 1, 13, 0x704, 1, 14, 0x704, 1, 11, 0x704,
		    1, 10, 0x704);
	EXPECT_U32S(&w, "/pmu", "interrupts", 1, 7, 0x704);
	vmm_fdt_free(w.fdt);
}

static void timers_are_where_the_description_has_them(void **state)
{
	struct world w;

	describe_machine(&w.d);
	w.d.m.timer_secure = (struct vmm_fdt_irq){ 16, VMM_FDT_EDGE };
	w.d.m.timer_virtual.number = 31;
	w.d.m.timer_hypervisor.number = 0;
	build(&w);
	EXPECT_U32S(&w, "/timer", "interrupts", 1, 0, 1, 1, 14, 4, 1, 15, 4);
	vmm_fdt_free(w.fdt);
}

static void devices_have_registers_interrupts_and_clocks(void **state)
{
	struct world w;

	describe_machine(&w.d);
	w.d.virtio[1].irq = (struct vmm_fdt_irq){ 1019, VMM_FDT_LEVEL };
	build(&w);
	expect_text(&w, "/serial@9000000", "compatible", "ns16550a");
	EXPECT_U64S(&w, "/serial@9000000", "reg", 0x9000000, 0x1000);
	EXPECT_U32S(&w, "/serial@9000000", "interrupts", 0, 1, 1);
	EXPECT_U32S(&w, "/serial@9000000", "clock-frequency", 1843200);
	assert_string_equal(find(&w, "/serial@9020000", "compatible", 24), "arm,pl011");
	EXPECT_U32S(&w, "/serial@9020000", "interrupts", 0, 3, 4);
	EXPECT_U32S(&w, "/serial@9020000", "clocks", 2, 2);
	EXPECT_U64S(&w, "/rtc@9010000", "reg", 0x9010000, 0x1000);
	EXPECT_U32S(&w, "/rtc@9010000", "interrupts", 0, 2, 4);
	EXPECT_U32S(&w, "/rtc@9010000", "clocks", 2);
	EXPECT_U32S(&w, "/apb-pclk", "phandle", 2);
	EXPECT_U32S(&w, "/apb-pclk", "clock-frequency", 24000000);
	EXPECT_U64S(&w, "/virtio_mmio@a000000", "reg", 0xa000000, 0x1000);
	EXPECT_U32S(&w, "/virtio_mmio@a000000", "interrupts", 0, 16, 1);
	EXPECT_U32S(&w, "/virtio_mmio@a001000", "interrupts", 0, 987, 4);
	vmm_fdt_free(w.fdt);
}

static void the_rate_of_the_bus_is_the_callers(void **state)
{
	struct world w;

	describe_machine(&w.d);
	w.d.m.rtc_gpa = 0;
	w.d.m.rtc_irq = (struct vmm_fdt_irq){ 0, 0 };
	w.d.m.bus_clock_hz = 48000000;
	build(&w);
	assert_false(has(&w, "/rtc@9010000", "reg"));
	EXPECT_U32S(&w, "/apb-pclk", "clock-frequency", 48000000);
	vmm_fdt_free(w.fdt);
}

static void as_many_devices_as_interrupts_are_described(void **state)
{
	static struct vmm_fdt_virtio_mmio many[988];
	struct world w;

	describe_machine(&w.d);
	for (uint32_t i = 0; i < VMM_ARRAY_LEN(many); i++)
		many[i] = (struct vmm_fdt_virtio_mmio){ 0xa000000 + 0x200 * i,
							0x200,
							{ 32 + i, VMM_FDT_EDGE } };
	w.d.m.virtio_mmio = many;
	w.d.m.virtio_mmio_count = VMM_ARRAY_LEN(many);
	w.d.m.uart_count = 0;
	w.d.m.stdout_uart = VMM_FDT_NO_UART;
	w.d.m.stdout_options = NULL;
	w.d.m.rtc_gpa = 0;
	w.d.m.rtc_irq = (struct vmm_fdt_irq){ 0, 0 };
	build(&w);
	assert_true(has(&w, "/virtio_mmio@a000000", "dma-coherent"));
	assert_false(has(&w, "/apb-pclk", "compatible"));
	vmm_fdt_free(w.fdt);
}

static void nodes_of_the_caller_follow(void **state)
{
	struct world w;
	uint32_t root, own;

	describe_machine(&w.d);
	assert_int_equal(vmm_fdt_new(&w.fdt), 0);
	root = vmm_fdt_begin_node(w.fdt, "");
	vmm_fdt_put_string(w.fdt, "serial-number", "7");
	vmm_fdt_put_machine(w.fdt, &w.d.m);
	own = vmm_fdt_begin_node(w.fdt, "own");
	vmm_fdt_put_u32(w.fdt, "phandle", vmm_fdt_take_phandle(w.fdt));
	vmm_fdt_end_node(w.fdt, own);
	vmm_fdt_end_node(w.fdt, root);
	assert_int_equal(vmm_fdt_finish(w.fdt, &w.data, &w.len, NULL), 0);
	expect_text(&w, "/", "serial-number", "7");
	EXPECT_U32S(&w, "/own", "phandle", 3);
	vmm_fdt_free(w.fdt);
}

static void a_machine_goes_into_the_empty_root(void **state)
{
	struct vmm_error err;
	struct world w;
	uint32_t root;

	describe_machine(&w.d);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vmm_fdt_new(&w.fdt), 0);
		root = i > 0 ? vmm_fdt_begin_node(w.fdt, "") : 0;
		if (i == 1)
			vmm_fdt_end_node(w.fdt, vmm_fdt_begin_node(w.fdt, "first"));
		if (i == 2)
			(void)vmm_fdt_begin_node(w.fdt, "deep");
		vmm_fdt_put_machine(w.fdt, &w.d.m);
		vmm_fdt_end_node(w.fdt, root);
		assert_int_equal(vmm_fdt_finish(w.fdt, &w.data, &w.len, &err), -EINVAL);
		assert_string_equal(err.message, "device tree: a machine goes into the "
						 "root, before other nodes");
		vmm_fdt_free(w.fdt);
	}
}

/* Descriptions that are wrong. */

static char long_text[VMM_LOAD_CMDLINE_MAX + 1];

/* The last @p len bytes of a text that is longer than any limit. */
static const char *text_of(size_t len)
{
	memset(long_text, 'x', sizeof(long_text) - 1);
	return long_text + sizeof(long_text) - 1 - len;
}

static void no_cpu(struct description *d)
{
	d->m.cpu_count = 0;
}

static void nine_cpus_of_a_gicv2(struct description *d)
{
	describe_gicv2(d);
	d->m.cpu_count = 9;
	d->m.mpidrs = NULL;
}

static void too_many_cpus(struct description *d)
{
	d->m.cpu_count = VMM_FDT_CPUS_MAX + 1;
	d->m.mpidrs = NULL;
}

static void same_cpu_twice(struct description *d)
{
	d->mpidrs[2] = 1;
}

static void cpu_with_more_than_affinity(struct description *d)
{
	d->mpidrs[1] = 0x80000001;
}

static void unknown_psci(struct description *d)
{
	d->m.psci = 3;
}

static void cpus_without_psci(struct description *d)
{
	d->m.psci = VMM_FDT_PSCI_NONE;
}

static void no_gic(struct description *d)
{
	d->m.gic.version = 0;
}

static void reserved_member(struct description *d)
{
	d->m.gic.reserved_ = 1;
}

static void crooked_gicv3(struct description *d)
{
	d->m.gic.redist_gpa += 0x1000;
}

static void crooked_gicv2(struct description *d)
{
	describe_gicv2(d);
	d->m.gic.cpu_gpa += 0x200;
}

static void gicv3_with_cpu_interface(struct description *d)
{
	d->m.gic.cpu_gpa = VMM_LOAD_ARM64_GIC_CPU;
}

static void gicv2_with_redistributors(struct description *d)
{
	d->m.gic.version = 2;
	d->m.gic.cpu_gpa = VMM_LOAD_ARM64_GIC_CPU;
}

static void too_few_redistributors(struct description *d)
{
	d->m.gic.redist_len -= 0x20000;
}

static void gic_over_itself(struct description *d)
{
	describe_gicv2(d);
	d->m.gic.cpu_gpa = d->m.gic.dist_gpa - 0x1000;
}

static void timer_below_ppis(struct description *d)
{
	d->m.timer_virtual.number = 11;
}

static void pmu_above_ppis(struct description *d)
{
	d->m.pmu.number = 32;
}

static void missing_timer(struct description *d)
{
	d->m.timer_physical.number = 0;
}

static void pmu_with_a_timers_interrupt(struct description *d)
{
	d->m.pmu.number = 27;
}

static void timer_without_trigger(struct description *d)
{
	d->m.timer_secure.trigger = 0;
}

static void unknown_uart(struct description *d)
{
	d->uarts[1].kind = 3;
}

static void uart_without_clock(struct description *d)
{
	d->uarts[0].clock_hz = 0;
}

static void pl011_with_clock(struct description *d)
{
	d->uarts[1].clock_hz = 24000000;
}

static void short_16550a(struct description *d)
{
	d->uarts[0].len = 7;
}

static void short_pl011(struct description *d)
{
	d->uarts[1].len = 0xfff;
}

static void short_virtio(struct description *d)
{
	d->virtio[1].len = 0x1ff;
}

static void crooked_virtio(struct description *d)
{
	d->virtio[1].gpa += 2;
}

static void virtio_over_virtio(struct description *d)
{
	d->virtio[1].gpa = d->virtio[0].gpa + 0xffc;
}

static void uart_over_rtc(struct description *d)
{
	d->uarts[1].gpa = 0x9010ff0;
}

static void virtio_over_redistributors(struct description *d)
{
	d->virtio[0].gpa = d->m.gic.redist_gpa + d->m.gic.redist_len - 4;
}

static void virtio_in_ram(struct description *d)
{
	d->virtio[0].gpa = VMM_LOAD_ARM64_RAM - 0xffc;
}

static void uart_in_taken_ram(struct description *d)
{
	d->uarts[0].gpa = VMM_LOAD_ARM64_RAM + (256 << 20) - 1;
}

static void virtio_past_the_end(struct description *d)
{
	d->virtio[1].gpa = UINT64_MAX - 0xffe + 3;
	d->virtio[1].gpa &= ~UINT64_C(3);
}

static void gsi_of_kvm_for_an_interrupt(struct description *d)
{
	d->virtio[0].irq.number = 16;
}

static void interrupt_above_spis(struct description *d)
{
	d->uarts[0].irq.number = 1020;
}

static void same_interrupt_twice(struct description *d)
{
	d->virtio[1].irq.number = 33;
}

static void rtc_without_interrupt(struct description *d)
{
	d->m.rtc_irq.number = 0;
}

static void unknown_trigger(struct description *d)
{
	d->virtio[1].irq.trigger = 8;
}

static void too_many_devices(struct description *d)
{
	d->m.virtio_mmio_count = 987;
}

static void console_that_is_not_there(struct description *d)
{
	d->m.stdout_uart = 2;
}

static void options_without_console(struct description *d)
{
	d->m.stdout_uart = VMM_FDT_NO_UART;
}

static void no_map(struct description *d)
{
	d->m.map = NULL;
}

static void map_without_ram(struct description *d)
{
	d->map.count = 0;
}

static void map_with_too_many_entries(struct description *d)
{
	d->map.count = VMM_LOAD_MAP_MAX + 1;
}

static void map_with_nothing_in_it(struct description *d)
{
	d->map.entry[1].len = 0;
}

static void initrd_outside_of_ram(struct description *d)
{
	d->m.initrd.len = 0x8000001;
}

static void initrd_past_the_end(struct description *d)
{
	d->m.initrd.len = UINT64_MAX;
}

static void long_model(struct description *d)
{
	d->m.model = text_of(VMM_FDT_TEXT_MAX + 1);
}

static void empty_compatible(struct description *d)
{
	d->m.compatible = "";
}

static void long_hypervisor(struct description *d)
{
	d->m.hypervisor = text_of(VMM_FDT_TEXT_MAX + 1);
}

static void long_options(struct description *d)
{
	d->m.stdout_options = text_of(VMM_FDT_TEXT_MAX + 1);
}

static void long_cmdline(struct description *d)
{
	d->m.cmdline = text_of(VMM_LOAD_CMDLINE_MAX);
}

static void long_seed(struct description *d)
{
	d->m.rng_seed = long_text;
	d->m.rng_seed_len = VMM_FDT_SEED_MAX + 1;
}

static void no_size(struct description *d)
{
	d->m.size = 0;
}

static const struct {
	void (*change)(struct description *d);
	int code;
	const char *message;
} wrong[] = {
	{ no_cpu, -EINVAL, "no CPU" },
	{ nine_cpus_of_a_gicv2, -E2BIG, "9 CPUs, a GICv2 has 8 at most" },
	{ too_many_cpus, -E2BIG, "4097 CPUs, a GICv3 has 4096 at most" },
	{ same_cpu_twice, -EINVAL, "CPUs 1 and 2 both have MPIDR 0x1" },
	{ cpu_with_more_than_affinity, -EINVAL,
	  "CPU 1 has MPIDR 0x80000001, more than affinity bits (0xff00ffffff)" },
	{ unknown_psci, -EINVAL, "unknown way 3 to call PSCI" },
	{ cpus_without_psci, -EINVAL, "3 CPUs, and no PSCI to start them" },
	{ no_gic, -EINVAL, "version 0 of the GIC is not 2 or 3" },
	{ reserved_member, -EINVAL, "a reserved member is not zero" },
	{ crooked_gicv3, -EINVAL, "a part of the GICv3 is not on a multiple of 64 KiB" },
	{ crooked_gicv2, -EINVAL, "a part of the GICv2 is not on a multiple of 4 KiB" },
	{ gicv3_with_cpu_interface, -EINVAL, "a GICv3 has no CPU interface in memory" },
	{ gicv2_with_redistributors, -EINVAL, "a GICv2 has no redistributors" },
	{ too_few_redistributors, -EINVAL,
	  "redistributors have 262144 bytes, 3 CPUs take 393216" },
	{ gic_over_itself, -EINVAL,
	  "the GIC's distributor at 0x8000000 and the GIC's CPU interface at 0x7fff000 "
	  "overlap" },
	{ timer_below_ppis, -EINVAL,
	  "the virtual timer has interrupt 11, a CPU's own are 16 to 31" },
	{ pmu_above_ppis, -EINVAL, "the PMU has interrupt 32, a CPU's own are 16 to 31" },
	{ missing_timer, -EINVAL,
	  "the physical timer has interrupt 0, a CPU's own are 16 to 31" },
	{ pmu_with_a_timers_interrupt, -EINVAL,
	  "the virtual timer and the PMU both have interrupt 27" },
	{ timer_without_trigger, -EINVAL,
	  "interrupt 29 of the secure timer has the unknown trigger 0" },
	{ unknown_uart, -EINVAL, "UART 1 is of the unknown kind 3" },
	{ uart_without_clock, -EINVAL, "UART 0 is a 16550A without a clock" },
	{ pl011_with_clock, -EINVAL,
	  "UART 1 is a PL011, which has the clock of its bus" },
	{ short_16550a, -EINVAL, "UART 0 has a window of 7 bytes, not 8 or more" },
	{ short_pl011, -EINVAL, "UART 1 has a window of 4095 bytes, not 4096 or more" },
	{ short_virtio, -EINVAL,
	  "virtio device 1 has a window of 511 bytes at 0xa001000, not 512 or more at a "
	  "multiple of 4" },
	{ crooked_virtio, -EINVAL,
	  "virtio device 1 has a window of 4096 bytes at 0xa001002, not 512 or more at a "
	  "multiple of 4" },
	{ virtio_over_virtio, -EINVAL,
	  "virtio device 0 at 0xa000000 and virtio device 1 at 0xa000ffc overlap" },
	{ uart_over_rtc, -EINVAL,
	  "the RTC at 0x9010000 and UART 1 at 0x9010ff0 overlap" },
	{ virtio_over_redistributors, -EINVAL,
	  "the GIC's room of redistributors at 0xc000000 and virtio device 0 at "
	  "0xc05fffc overlap" },
	{ virtio_in_ram, -EINVAL, "virtio device 0 at 0x7ffff004 lies in RAM" },
	{ uart_in_taken_ram, -EINVAL, "UART 0 at 0x8fffffff lies in RAM" },
	{ virtio_past_the_end, -EINVAL,
	  "virtio device 1 at 0xfffffffffffff004 passes the end of the address space" },
	{ gsi_of_kvm_for_an_interrupt, -EINVAL,
	  "virtio device 0 has interrupt 16, shared ones are 32 to 1019" },
	{ interrupt_above_spis, -EINVAL,
	  "UART 0 has interrupt 1020, shared ones are 32 to 1019" },
	{ same_interrupt_twice, -EINVAL,
	  "UART 0 and virtio device 1 both have interrupt 33" },
	{ rtc_without_interrupt, -EINVAL,
	  "the RTC has interrupt 0, shared ones are 32 to 1019" },
	{ unknown_trigger, -EINVAL,
	  "interrupt 49 of virtio device 1 has the unknown trigger 8" },
	{ too_many_devices, -E2BIG, "more than 988 UARTs and virtio devices" },
	{ console_that_is_not_there, -EINVAL, "the console is UART 2 of 2" },
	{ options_without_console, -EINVAL, "options of a console, and no console" },
	{ no_map, -EINVAL, "no map of the RAM" },
	{ map_without_ram, -EINVAL, "a map without RAM" },
	{ map_with_too_many_entries, -EINVAL, "a map of 129 entries, the limit is 128" },
	{ map_with_nothing_in_it, -EINVAL,
	  "entry 1 of the map has 0 bytes at 0x88000000" },
	{ initrd_outside_of_ram, -EINVAL,
	  "an initrd of 134217729 bytes at 0x88000000 is not in RAM" },
	{ initrd_past_the_end, -EINVAL,
	  "an initrd of 18446744073709551615 bytes at 0x88000000 is not in RAM" },
	{ long_model, -E2BIG, "the model has 128 bytes, the limit is 127" },
	{ empty_compatible, -EINVAL,
	  "what the machine is compatible with is an empty text" },
	{ long_hypervisor, -E2BIG,
	  "what the hypervisor is compatible with has 128 bytes, the limit is 127" },
	{ long_options, -E2BIG,
	  "the text of console options has 128 bytes, the limit is 127" },
	{ long_cmdline, -E2BIG, "the command line has 65536 bytes, the limit is 65535" },
	{ long_seed, -E2BIG, "a seed has 4097 bytes, the limit is 4096" },
	{ no_size, -EINVAL, "unknown structure size" },
};

/* Nothing is lent, and what follows changes nothing. */
static void wrong_descriptions_are_refused_in_one_line(void **state)
{
	for (size_t i = 0; i < VMM_ARRAY_LEN(wrong); i++) {
		struct vmm_error err = { 0 };
		struct vmm_fdt *fdt = NULL;
		const void *data = NULL;
		struct description d;
		size_t len = 77;
		char line[256];

		describe_machine(&d);
		wrong[i].change(&d);
		(void)snprintf(line, sizeof(line), "device tree: %s", wrong[i].message);
		assert_int_equal(vmm_fdt_new(&fdt), 0);
		put_description(fdt, &d.m);
		assert_int_equal(vmm_fdt_finish(fdt, &data, &len, &err), wrong[i].code);
		assert_string_equal(err.message, line);
		assert_true(err.code == wrong[i].code && !data && len == 77);
		vmm_fdt_free(fdt);
	}
}

/* The limits themselves are allowed. */
static void texts_and_seeds_may_be_as_long_as_the_limit(void **state)
{
	static uint8_t seed[VMM_FDT_SEED_MAX];
	struct world w;

	describe_machine(&w.d);
	w.d.m.cmdline = text_of(VMM_LOAD_CMDLINE_MAX - 1);
	w.d.m.model = text_of(VMM_FDT_TEXT_MAX);
	w.d.m.compatible = w.d.m.model;
	w.d.m.hypervisor = w.d.m.model;
	w.d.m.stdout_options = w.d.m.model;
	w.d.m.rng_seed = seed;
	w.d.m.rng_seed_len = sizeof(seed);
	w.d.m.initrd.len = 128 << 20;
	build(&w);
	expect_text(&w, "/chosen", "bootargs", w.d.m.cmdline);
	(void)find(&w, "/chosen", "stdout-path", 16 + VMM_FDT_TEXT_MAX + 1);
	vmm_fdt_free(w.fdt);
}

/* An initrd may lie in what is taken and what is free; 4096 CPUs are possible. */
static void the_largest_machine_is_described(void **state)
{
	struct world w;

	describe_machine(&w.d);
	w.d.m.cpu_count = VMM_FDT_CPUS_MAX;
	w.d.m.mpidrs = NULL;
	w.d.m.gic.redist_gpa = UINT64_C(1) << 40;
	w.d.m.gic.redist_len = VMM_FDT_CPUS_MAX * UINT64_C(0x20000);
	w.d.m.initrd = (struct vmm_load_range){ VMM_LOAD_ARM64_RAM, 256 << 20 };
	build(&w);
	EXPECT_U64S(&w, "/cpus/cpu@ff0f", "reg", 0xff0f);
	vmm_fdt_free(w.fdt);
}

/* A newer caller's tail is fine as long as it says nothing. */
static void a_longer_structure_is_taken_if_its_tail_is_zero(void **state)
{
	struct {
		struct vmm_fdt_machine m;
		uint64_t more;
	} longer = { 0 };
	struct vmm_error err;
	struct world w;

	describe_machine(&w.d);
	for (int i = 0; i < 2; i++) {
		longer.m = w.d.m;
		longer.m.size = sizeof(longer);
		longer.more = (uint64_t)i;
		assert_int_equal(vmm_fdt_new(&w.fdt), 0);
		put_description(w.fdt, &longer.m);
		assert_int_equal(vmm_fdt_finish(w.fdt, &w.data, &w.len, &err),
				 i ? -E2BIG : 0);
		vmm_fdt_free(w.fdt);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_boot_is_in_chosen),
		cmocka_unit_test(the_console_may_be_any_uart_without_options),
		cmocka_unit_test(the_machine_says_what_it_is),
		cmocka_unit_test(what_there_is_not_is_not_told),
		cmocka_unit_test(memory_and_cpus_are_there),
		cmocka_unit_test(cpus_without_numbers_are_counted_in_clusters_of_16),
		cmocka_unit_test(gicv3_has_its_redistributors),
		cmocka_unit_test(gicv2_is_told_which_cpus_there_are),
		cmocka_unit_test(timers_are_where_the_description_has_them),
		cmocka_unit_test(devices_have_registers_interrupts_and_clocks),
		cmocka_unit_test(the_rate_of_the_bus_is_the_callers),
		cmocka_unit_test(as_many_devices_as_interrupts_are_described),
		cmocka_unit_test(nodes_of_the_caller_follow),
		cmocka_unit_test(a_machine_goes_into_the_empty_root),
		cmocka_unit_test(wrong_descriptions_are_refused_in_one_line),
		cmocka_unit_test(texts_and_seeds_may_be_as_long_as_the_limit),
		cmocka_unit_test(the_largest_machine_is_described),
		cmocka_unit_test(a_longer_structure_is_taken_if_its_tail_is_zero),
	};
	struct vmm_fdt *fdt = NULL;

	if (vmm_fdt_new(&fdt) < 0)
		return test_skip_all("built without libfdt");
	vmm_fdt_free(fdt);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

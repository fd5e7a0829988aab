/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What an arm64 guest is told of its machine, on any host. */
#include "vmm-test.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aarch64/layout.h"
#include "aarch64/tree.h"

enum { CPUS = 3, DEVICES = 2 };

static const uint64_t affinity[] = { 0, 1, 0x100 };
static const struct tree_virtio devices[] = { { 0xa000000, 0x1000, 16 },
					      { 0xa001000, 0x1000, 17 } };
static const uint8_t seed[] = "0123456789abcdef";
static struct vmm_load_map map;

struct world {
	struct vmm_fdt *fdt;
	const void *data;
	size_t len;
};

static struct tree_desc description(void)
{
	struct tree_desc desc = {
		.cmdline = "console=ttyS0 quiet",
		.initrd = { 0x88000000, 0x1234 },
		.map = &map,
		.affinity = affinity,
		.cpu_count = CPUS,
		.gic_version = 3,
		.has_pmu = true,
		.has_serial = true,
		.virtio = devices,
		.virtio_count = DEVICES,
		.rng_seed = seed,
		.rng_seed_len = sizeof(seed),
		.kaslr_seed = UINT64_C(0x1122334455667788),
	};

	return desc;
}

static void start(struct world *w, const struct tree_desc *desc)
{
	struct vmm_error err = { 0 };

	map.count = 1;
	map.entry[0].gpa = VMM_LOAD_ARM64_RAM;
	map.entry[0].len = 256 << 20;
	map.entry[0].type = VMM_LOAD_MAP_RAM;
	if (vmm_fdt_new(&w->fdt) == -EOPNOTSUPP)
		skip();
	if (tree_build(desc, w->fdt, &w->data, &w->len, &err) < 0)
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
	struct tree_desc desc = description();
	struct world w;

	start(&w, &desc);
	expect_text(&w, "/chosen", "bootargs", "console=ttyS0 quiet");
	expect_text(&w, "/chosen", "stdout-path", "/serial@9000000:115200n8");
	expect_text(&w, "/aliases", "serial0", "/serial@9000000");
	EXPECT_U64S(&w, "/chosen", "linux,initrd-start", 0x88000000);
	EXPECT_U64S(&w, "/chosen", "linux,initrd-end", 0x88001234);
	EXPECT_U64S(&w, "/chosen", "kaslr-seed", 0x1122334455667788);
	assert_memory_equal(find(&w, "/chosen", "rng-seed", sizeof(seed)), seed,
			    sizeof(seed));
	vmm_fdt_free(w.fdt);
}

static void what_there_is_not_is_not_told(void **state)
{
	struct tree_desc desc = description();
	struct world w;

	desc.initrd.len = 0;
	desc.rng_seed_len = 0;
	desc.kaslr_seed = 0;
	desc.has_pmu = false;
	desc.virtio_count = 0;
	start(&w, &desc);
	assert_false(has(&w, "/chosen", "linux,initrd-start"));
	assert_false(has(&w, "/chosen", "linux,initrd-end"));
	assert_false(has(&w, "/chosen", "rng-seed"));
	assert_false(has(&w, "/chosen", "kaslr-seed"));
	assert_false(has(&w, "/pmu", "compatible"));
	assert_false(has(&w, "/virtio_mmio@a000000", "compatible"));
	vmm_fdt_free(w.fdt);
}

static void memory_and_cpus_are_there(void **state)
{
	struct tree_desc desc = description();
	struct world w;

	start(&w, &desc);
	EXPECT_U64S(&w, "/memory@80000000", "reg", 0x80000000, 256 << 20);
	EXPECT_U64S(&w, "/cpus/cpu@0", "reg", 0);
	EXPECT_U64S(&w, "/cpus/cpu@1", "reg", 1);
	EXPECT_U64S(&w, "/cpus/cpu@100", "reg", 0x100);
	expect_text(&w, "/cpus/cpu@100", "enable-method", "psci");
	expect_text(&w, "/psci", "method", "hvc");
	expect_text(&w, "/hypervisor", "compatible", "linux,kvm");
	vmm_fdt_free(w.fdt);
}

static void gicv3_has_a_redistributor_for_each_cpu(void **state)
{
	struct tree_desc desc = description();
	struct world w;

	start(&w, &desc);
	expect_text(&w, "/intc@8000000", "compatible", "arm,gic-v3");
	EXPECT_U64S(&w, "/intc@8000000", "reg", 0x8000000, 0x10000, 0xc000000,
		    CPUS * 0x20000);
	EXPECT_U32S(&w, "/timer", "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
	EXPECT_U32S(&w, "/pmu", "interrupts", 1, 7, 4);
	vmm_fdt_free(w.fdt);
}

static void gicv2_is_told_which_cpus_there_are(void **state)
{
	struct tree_desc desc = description();
	struct world w;

	desc.gic_version = 2;
	start(&w, &desc);
	expect_text(&w, "/intc@8000000", "compatible", "arm,gic-400");
	EXPECT_U64S(&w, "/intc@8000000", "reg", 0x8000000, 0x1000, 0x8010000, 0x2000);
	EXPECT_U32S(&w, "/timer", "interrupts", 1, 13, 0x704, 1, 14, 0x704, 1, 11, 0x704,
		    1, 10, 0x704);
	vmm_fdt_free(w.fdt);
}

static void devices_have_registers_and_edges(void **state)
{
	struct tree_desc desc = description();
	struct world w;

	start(&w, &desc);
	EXPECT_U64S(&w, "/serial@9000000", "reg", 0x9000000, 0x1000);
	EXPECT_U32S(&w, "/serial@9000000", "interrupts", 0, SERIAL_GSI, 1);
	EXPECT_U32S(&w, "/serial@9000000", "clock-frequency", 1843200);
	EXPECT_U64S(&w, "/rtc@9010000", "reg", 0x9010000, 0x1000);
	EXPECT_U32S(&w, "/rtc@9010000", "interrupts", 0, RTC_GSI, 1);
	EXPECT_U64S(&w, "/virtio_mmio@a000000", "reg", 0xa000000, 0x1000);
	EXPECT_U32S(&w, "/virtio_mmio@a000000", "interrupts", 0, 16, 1);
	EXPECT_U32S(&w, "/virtio_mmio@a001000", "interrupts", 0, 17, 1);
	vmm_fdt_free(w.fdt);
}

/* It knows the bindings that everybody uses. */
static void dtc_has_no_complaint(void **state)
{
	char path[] = "/tmp/vmm-tree-XXXXXX", command[128], text[4096];
	struct tree_desc desc = description();
	struct world w;
	size_t len;
	FILE *pipe;
	int fd;

	start(&w, &desc);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, w.data, w.len), w.len);
	(void)close(fd);
	(void)snprintf(command, sizeof(command),
		       "{ dtc -I dtb -O dts -o /dev/null %s || echo failed; } 2>&1",
		       path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	len = fread(text, 1, sizeof(text) - 1, pipe);
	text[len] = '\0';
	(void)pclose(pipe);
	(void)unlink(path);
	vmm_fdt_free(w.fdt);
	if (strstr(text, "not found"))
		skip();
	if (len > 0)
		fail_msg("dtc says: %s", text);
}

static void a_machine_without_a_console_names_none(void **state)
{
	struct tree_desc desc = description();
	const void *value;
	struct world w;
	size_t len;

	desc.has_serial = false;
	start(&w, &desc);
	assert_int_equal(
	    vmm_fdt_find(w.data, w.len, "/serial@9000000", "reg", &value, &len), -ENOENT);
	assert_int_equal(
	    vmm_fdt_find(w.data, w.len, "/chosen", "stdout-path", &value, &len), -ENOENT);
	expect_text(&w, "/chosen", "bootargs", desc.cmdline);
	vmm_fdt_free(w.fdt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_without_a_console_names_none),
		cmocka_unit_test(the_boot_is_in_chosen),
		cmocka_unit_test(what_there_is_not_is_not_told),
		cmocka_unit_test(memory_and_cpus_are_there),
		cmocka_unit_test(gicv3_has_a_redistributor_for_each_cpu),
		cmocka_unit_test(gicv2_is_told_which_cpus_there_are),
		cmocka_unit_test(devices_have_registers_and_edges),
		cmocka_unit_test(dtc_has_no_complaint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

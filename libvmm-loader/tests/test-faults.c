/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Every call to libc and the kernel fails once, at each place where it can: results stay
 * untouched, the code is passed through, and nothing leaks. This file takes the place of
 * src/sys.c. */
#include "load-test.h"

#include "acpi-machines.h"
#include "fdt-description.h"
#include "fdt-machine.h"
#include "overlay-trees.h"
#include "packed-images.h"
#include "sys.h"

static uint8_t image[65536];
static unsigned int countdown;
static int64_t failure;

/* True for the call that has to fail. */
static bool fails(void)
{
	return countdown && --countdown == 0;
}

void *load_sys_alloc(size_t size)
{
	return fails() ? NULL : calloc(1, size);
}

void *load_sys_realloc(void *p, size_t size)
{
	return fails() ? NULL : realloc(p, size);
}

int load_sys_stat(int fd, struct stat *out)
{
	return fails() ? -EIO : fstat(fd, out) < 0 ? -errno : 0;
}

int64_t load_sys_pread(int fd, void *buf, size_t len, uint64_t offset)
{
	return fails() ? failure : pread(fd, buf, len, (off_t)offset);
}

/* In two pieces, as an interrupted one comes. */
int64_t load_sys_random(void *buf, size_t len)
{
	if (fails())
		return failure;
	len = len > 7 ? 7 : len;
	memset(buf, 0x55, len);
	return (int64_t)len;
}

typedef int (*scenario)(struct vmm_error *err);

/* Fails call 1, 2, 3... until the scenario needs no more of them. */
static unsigned int fail_each(scenario run)
{
	unsigned int n = 0;
	int ret;

	do {
		struct vmm_error err = { 0 };

		countdown = ++n;
		ret = run(&err);
		if (ret == 0)
			assert_true(countdown > 0);
		else
			assert_int_equal(err.code, ret);
	} while (ret < 0 && n < 1000);
	countdown = 0;
	assert_int_equal(ret, 0);
	return n - 1;
}

static int load_file(struct vmm_error *err)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(20 * MIB);
	struct vmm_load_source s = test_file(image, sizeof(image));
	struct vmm_load_result r = { 0 };
	int ret;

	test_poison(mem, MIB, 4 * MIB);
	ret = vmm_load_kernel(mem, &s, NULL, &r, err);
	close(s.fd);
	if (ret < 0) {
		assert_int_equal(r.format, 0);
		assert_true(test_is(mem, MIB, 4 * MIB, 0xee));
	}
	return ret;
}

static void reading_a_kernel_fails_at_each_place(void **state)
{
	/* What a short read says is that the file shrank. */
	static const int64_t failures[] = { -EIO, -EACCES, 0 };

	for (size_t i = 0; i < VMM_ARRAY_LEN(failures); i++) {
		failure = failures[i];
		memset(image, 0, sizeof(image));
		test_elf(image);
		assert_true(fail_each(load_file) >= 5);
		memset(image, 0, sizeof(image));
		test_bzimage(image);
		assert_true(fail_each(load_file) >= 4);
		memset(image, 0, sizeof(image));
		test_image(image, true);
		assert_true(fail_each(load_file) >= 3);
	}
}

static int load_raw(struct vmm_error *err)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(MIB);
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source s = test_file(image, 4096);
	struct vmm_load_result r = { 0 };
	int ret;

	o.flags = VMM_LOAD_RAW;
	ret = vmm_load_kernel(mem, &s, &o, &r, err);
	close(s.fd);
	assert_true((r.format == 0) == (ret < 0));
	return ret;
}

static int random_seed(struct vmm_error *err)
{
	uint8_t seed[33] = { 0 };
	int ret = vmm_load_random(seed, 32, err);

	if (ret == 0) {
		for (size_t i = 0; i < 32; i++)
			assert_int_equal(seed[i], 0x55);
		assert_int_equal(seed[32], 0);
	}
	return ret;
}

static void firmware_and_seeds_fail_at_each_place(void **state)
{
	failure = -EIO;
	assert_int_equal(fail_each(load_raw), 2);
	assert_int_equal(fail_each(random_seed), 5);
}

static void unpacking_fails_at_each_place(void **state)
{
	struct vmm_load_source s = test_source(packed_gzip, sizeof(packed_gzip));
	struct vmm_load_probe_result probe;

	assert_int_equal(vmm_load_probe(&s, &probe, NULL), 0);
	if (!probe.supported)
		return;
	failure = -EIO;
	memset(image, 0, sizeof(image));
	memcpy(image, packed_gzip, sizeof(packed_gzip));
	assert_true(fail_each(load_file) >= 4);
}

static int build_machine(struct vmm_error *err)
{
	static uint8_t blob[1 << 20];
	struct vmm_acpi_machine m;
	size_t len = 77;
	int ret;

	assert_non_null(test_machine(2, &m));
	ret = vmm_acpi_machine_build(&m, 0xe0000, blob, sizeof(blob), &len, err);
	if (ret < 0) {
		assert_int_equal(ret, -ENOMEM);
		assert_int_equal(len, 77);
	}
	return ret;
}

static void memory_runs_out_in_each_step_of_acpi(void **state)
{
	assert_true(fail_each(build_machine) >= 3);
}

static int write_tree(struct vmm_error *err)
{
	static const uint64_t many[600];
	struct vmm_fdt *f = NULL;
	const void *data = NULL;
	size_t len = 77;
	uint32_t root;
	int ret = vmm_fdt_new(&f);

	err->code = ret;
	if (ret < 0) {
		assert_null(f);
		return ret;
	}
	/* A long array, a list of strings, many names, and a buffer that grows. */
	root = vmm_fdt_begin_node(f, "");
	vmm_fdt_put_u64s(f, "many", many, VMM_ARRAY_LEN(many));
	vmm_fdt_put_strings(f, "list", (const char *const[]){ "a", "b" }, 2);
	for (unsigned int i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "p%u", i);
		vmm_fdt_put_null(f, name);
	}
	vmm_fdt_end_node(f, root);
	ret = vmm_fdt_finish(f, &data, &len, err);
	if (ret < 0) {
		assert_int_equal(ret, -ENOMEM);
		assert_null(data);
		assert_int_equal(len, 77);
	}
	vmm_fdt_free(f);
	return ret;
}

static void memory_runs_out_in_each_step_of_a_tree(void **state)
{
	struct vmm_fdt *f = NULL;

	if (vmm_fdt_new(&f) == -EOPNOTSUPP)
		return;
	vmm_fdt_free(f);
	assert_true(fail_each(write_tree) >= 6);
}

static int write_machine(struct vmm_error *err)
{
	struct vmm_fdt *f = NULL;
	const void *data = NULL;
	struct description d;
	size_t len = 77;
	int ret = vmm_fdt_new(&f);

	err->code = ret;
	if (ret < 0)
		return ret;
	describe_machine(&d);
	put_description(f, &d.m);
	ret = vmm_fdt_finish(f, &data, &len, err);
	assert_true((ret < 0) == (!data && len == 77));
	vmm_fdt_free(f);
	return ret;
}

static void memory_runs_out_in_each_step_of_a_described_machine(void **state)
{
	struct vmm_fdt *f = NULL;

	if (vmm_fdt_new(&f) == -EOPNOTSUPP)
		return;
	vmm_fdt_free(f);
	assert_true(fail_each(write_machine) >= 6);
}

static int overlay(struct vmm_error *err)
{
	static uint64_t base[128], over[128], out[1024];
	size_t len = 77;
	int ret;

	memcpy(base, overlay_base, sizeof(overlay_base));
	memcpy(over, overlay_over, sizeof(overlay_over));
	ret = vmm_fdt_apply_overlay(base, sizeof(overlay_base), over,
				    sizeof(overlay_over), out, sizeof(out), &len, err);
	assert_true((len == 77) == (ret < 0));
	return ret;
}

static void memory_runs_out_for_an_overlay(void **state)
{
	struct vmm_fdt *f = NULL;

	if (vmm_fdt_new(&f) == -EOPNOTSUPP)
		return;
	vmm_fdt_free(f);
	assert_int_equal(fail_each(overlay), 1);
}

static int boot(struct vmm_error *err)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(20 * MIB);
	struct vmm_load_source s = test_source(image, test_bzimage(image));
	struct vmm_load_x86_opts o = VMM_LOAD_X86_OPTS_INIT;
	struct vmm_load_x86_entry e = { 0 };
	struct vmm_load_map map;
	struct vmm_load_result r;
	int ret;

	assert_int_equal(vmm_load_x86_map(mem, &map, NULL), 0);
	assert_int_equal(vmm_load_kernel(mem, &s, NULL, &r, NULL), 0);
	o.kernel = &r;
	o.map = &map;
	ret = vmm_load_x86_boot(mem, &o, &e, err);
	assert_int_equal(ret < 0 ? e.bits : 64, ret < 0 ? 0 : 64);
	return ret;
}

static void memory_runs_out_for_the_boot_state(void **state)
{
	assert_int_equal(fail_each(boot), 1);
}

static int cmdline(struct vmm_error *err)
{
	struct vmm_load_cmdline *c = NULL;
	int ret = vmm_load_cmdline_new(100, &c);

	err->code = ret;
	assert_true((c != NULL) == (ret == 0));
	vmm_load_cmdline_free(c);
	return ret;
}

static void memory_runs_out_for_a_command_line(void **state)
{
	assert_int_equal(fail_each(cmdline), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading_a_kernel_fails_at_each_place),
		cmocka_unit_test(firmware_and_seeds_fail_at_each_place),
		cmocka_unit_test(unpacking_fails_at_each_place),
		cmocka_unit_test(memory_runs_out_in_each_step_of_acpi),
		cmocka_unit_test(memory_runs_out_in_each_step_of_a_tree),
		cmocka_unit_test(memory_runs_out_in_each_step_of_a_described_machine),
		cmocka_unit_test(memory_runs_out_for_an_overlay),
		cmocka_unit_test(memory_runs_out_for_the_boot_state),
		cmocka_unit_test(memory_runs_out_for_a_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

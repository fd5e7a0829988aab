/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* dtc is an independent reader: it has to decompile our tree without a warning, and to
 * compile the text to a tree that decompiles to the same. */
#include "load-test.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fdt-description.h"
#include "fdt-machine.h"

extern char **environ;

static char dir[] = "/tmp/vmm-fdt-XXXXXX";

static int run_dtc(const char *const argv[])
{
	posix_spawn_file_actions_t actions;
	int status = 0, ret;
	pid_t pid;

	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	posix_spawn_file_actions_addopen(&actions, 1, "log", O_WRONLY | O_CREAT | O_TRUNC,
					 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	ret = posix_spawnp(&pid, "dtc", &actions, NULL, (char *const *)(uintptr_t)argv,
			   environ);
	posix_spawn_file_actions_destroy(&actions);
	if (ret != 0)
		return 127;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

static size_t read_file(const char *name, char *buf, size_t size)
{
	FILE *f = fopen(name, "rb");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, size - 1, f);
	fclose(f);
	buf[n] = '\0';
	return n;
}

static void expect_quiet(void)
{
	char log[8192];

	if (read_file("log", log, sizeof(log)) != 0)
		fail_msg("dtc says: %s", log);
}

/* Takes the finished tree and releases the writer. */
static void expect_no_complaint(struct vmm_fdt *fdt)
{
	const char *const decompile[] = { "dtc", "-I",	  "dtb",   "-O", "dts",
					  "-o",	 "a.dts", "a.dtb", NULL };
	/* In decompiled text clocks are numbers, and dtc wants references there. */
	const char *const compile[] = { "dtc",	 "-W",	"no-clocks_property",
					"-I",	 "dts", "-O",
					"dtb",	 "-o",	"b.dtb",
					"a.dts", NULL };
	const char *const again[] = { "dtc", "-I",    "dtb",   "-O", "dts",
				      "-o",  "b.dts", "b.dtb", NULL };
	static char a[65536], b[65536];
	const void *data;
	size_t len;
	FILE *f;

	assert_int_equal(vmm_fdt_finish(fdt, &data, &len, NULL), 0);
	f = fopen("a.dtb", "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
	vmm_fdt_free(fdt);

	assert_int_equal(run_dtc(decompile), 0);
	expect_quiet();
	assert_int_equal(run_dtc(compile), 0);
	expect_quiet();
	assert_int_equal(run_dtc(again), 0);
	expect_quiet();
	assert_true(read_file("a.dts", a, sizeof(a)) > 500);
	assert_true(read_file("b.dts", b, sizeof(b)) > 500);
	/* The compiler leaves the boot CPU out unless it is told. */
	assert_string_equal(strstr(a, "/ {"), strstr(b, "/ {"));
}

static void dtc_has_no_complaint(void **state)
{
	struct vmm_fdt *fdt = NULL;

	assert_int_equal(vmm_fdt_new(&fdt), 0);
	test_fdt_machine(fdt);
	expect_no_complaint(fdt);
}

static void dtc_has_no_complaint_about_a_described_machine(void **state)
{
	struct vmm_fdt *fdt = NULL;
	struct description d;

	for (uint32_t version = 2; version <= 3; version++) {
		describe_machine(&d);
		if (version == 2)
			describe_gicv2(&d);
		assert_int_equal(vmm_fdt_new(&fdt), 0);
		put_description(fdt, &d.m);
		expect_no_complaint(fdt);
	}
}

static int enter(void **state)
{
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	static const char *const files[] = { "log", "a.dts", "a.dtb", "b.dts", "b.dtb" };

	for (size_t i = 0; i < VMM_ARRAY_LEN(files); i++)
		(void)unlink(files[i]);
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dtc_has_no_complaint),
		cmocka_unit_test(dtc_has_no_complaint_about_a_described_machine),
	};

	struct vmm_fdt *fdt = NULL;

	if (system("dtc -v >/dev/null 2>&1") != 0)
		return test_skip_all("no dtc here (Debian package device-tree-compiler)");
	if (vmm_fdt_new(&fdt) < 0)
		return test_skip_all("built without libfdt");
	vmm_fdt_free(fdt);
	return cmocka_run_group_tests(tests, enter, leave);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* iasl is an independent reader and writer of ACPI: it has to disassemble each of our
 * tables without a complaint, and to compile what it wrote to the same bytes. */
#include "load-test.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vmm/acpi.h>

#include "acpi-machines.h"

extern char **environ;

#define GPA UINT64_C(0xe0000)

static uint8_t blob[1 << 20];
static char dir[] = "/tmp/vmm-acpi-XXXXXX";

/* Runs iasl in the directory; its output goes to the file "log". Returns its exit status,
 * 127 when there is none. */
static int run_iasl(const char *const argv[])
{
	posix_spawn_file_actions_t actions;
	int status = 0;
	pid_t pid;

	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	posix_spawn_file_actions_addopen(&actions, 1, "log", O_WRONLY | O_CREAT | O_TRUNC,
					 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	if (posix_spawnp(&pid, "iasl", &actions, NULL, (char *const *)(uintptr_t)argv,
			 environ) != 0)
		status = 127;
	posix_spawn_file_actions_destroy(&actions);
	if (status == 127)
		return status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

static size_t read_file(const char *name, void *buf, size_t size)
{
	FILE *f = fopen(name, "rb");
	size_t n;

	if (!f)
		fail_msg("no file %s", name);
	n = fread(buf, 1, size, f);
	fclose(f);
	return n;
}

static void write_file(const char *name, const void *buf, size_t len)
{
	FILE *f = fopen(name, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(buf, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void expect_quiet_log(const char *what)
{
	static const char *const bad[] = { "Error", "Warning",	"Invalid", "Unknown",
					   "rror ", "ncorrect", "Remark" };
	char log[65536];
	size_t n = read_file("log", log, sizeof(log) - 1);

	log[n] = '\0';
	/* The summary of a good run says "0 Errors, 0 Warnings, 0 Remarks". */
	for (char *p = strstr(log, "0 Errors, 0 Warnings, 0 Remarks"); p;
	     p = strstr(p, "0 Errors, 0 Warnings, 0 Remarks"))
		memset(p, ' ', 31);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++)
		if (strstr(log, bad[i]))
			fail_msg("%s: iasl says:\n%s", what, log);
}

/* iasl puts itself down as creator; that and the checksum are its own business. */
static void expect_same(const char *what, const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (i == 9 || (i >= 28 && i < 36))
			continue;
		if (a[i] != b[i])
			fail_msg("%s: byte 0x%zx is %02x, iasl makes it %02x", what, i,
				 a[i], b[i]);
	}
}

static void check_table(const char *what, const uint8_t *table, size_t len)
{
	static uint8_t again[1 << 20];
	const char *const disassemble[] = { "iasl", "-p", "out", "-d", "in.dat", NULL };
	/* Unused names and missing options of real firmware are no fault of the bytes. */
	const char *const compile[] = { "iasl", "-p",	   "again", "-vw",
					"2089", "out.dsl", NULL };

	write_file("in.dat", table, len);
	if (run_iasl(disassemble) != 0)
		fail_msg("%s: iasl cannot disassemble it", what);
	expect_quiet_log(what);
	if (run_iasl(compile) != 0)
		fail_msg("%s: iasl cannot compile what it disassembled", what);
	expect_quiet_log(what);
	assert_int_equal(read_file("again.aml", again, sizeof(again)), len);
	expect_same(what, table, again, len);
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)(p[0] | p[1] << 8 | p[2] << 16) | (uint32_t)p[3] << 24;
}

/* iasl 20200925 is of before "online capable" (ACPI 6.3) and would make it 0. test-acpi
 * has that bit. */
static void clear_online_capable(uint8_t *madt)
{
	static const struct {
		uint8_t type, at, bit;
	} flags[] = { { 0, 4, 0x2 }, { 9, 8, 0x2 }, { 11, 12, 0x8 } };
	uint32_t len = le32(madt + 4);

	for (uint32_t p = 44; p < len; p += madt[p + 1])
		for (size_t i = 0; i < VMM_ARRAY_LEN(flags); i++)
			if (madt[p] == flags[i].type)
				madt[p + flags[i].at] &= (uint8_t)~flags[i].bit;
	assert_int_equal(vmm_acpi_header_write(madt, len, "APIC", madt[8]), 0);
}

static void check_machine(const char *name, const struct vmm_acpi_machine *m)
{
	struct vmm_error err = { 0 };
	const uint8_t *xsdt, *fadt, *dsdt;
	char what[96];
	size_t len;
	int ret = vmm_acpi_machine_build(m, GPA, blob, sizeof(blob), &len, &err);

	if (ret != 0)
		fail_msg("%s: %d %s", name, ret, err.message);
	/* iasl reads a file with a root pointer as no table at all; test-acpi has that
	 * one. */
	xsdt = blob + (le32(blob + 24) - GPA);
	snprintf(what, sizeof(what), "%s: XSDT", name);
	check_table(what, xsdt, le32(xsdt + 4));
	for (size_t at = 36; at < le32(xsdt + 4); at += 8) {
		uint8_t *t = blob + (le32(xsdt + at) - GPA);

		if (memcmp(t, "APIC", 4) == 0)
			clear_online_capable(t);
		snprintf(what, sizeof(what), "%s: %.4s", name, (const char *)t);
		check_table(what, t, le32(t + 4));
	}
	fadt = blob + (le32(xsdt + 36) - GPA);
	snprintf(what, sizeof(what), "%s: DSDT", name);
	dsdt = blob + (le32(fadt + 40) - GPA);
	check_table(what, dsdt, le32(dsdt + 4));
}

static void each_table_survives_iasl(void **state)
{
	struct vmm_acpi_machine m;
	const char *name;

	for (size_t i = 0; (name = test_machine(i, &m)); i++)
		check_machine(name, &m);
}

/* Every term and resource of the writer, in one table. */
static void each_term_survives_iasl(void **state)
{
	VMM_CLEANUP(vmm_acpi_aml_free) struct vmm_acpi_aml *aml = NULL;
	static uint8_t table[65536];
	struct vmm_error err = { 0 };
	const uint8_t *bytes;
	size_t len;

	assert_int_equal(vmm_acpi_aml_new(&aml), 0);
	test_all_terms(aml);
	if (vmm_acpi_aml_finish(aml, &bytes, &len, &err) != 0)
		fail_msg("%s", err.message);
	assert_true(len + VMM_ACPI_HEADER_LEN <= sizeof(table));
	memcpy(table + VMM_ACPI_HEADER_LEN, bytes, len);
	assert_int_equal(
	    vmm_acpi_header_write(table, len + VMM_ACPI_HEADER_LEN, "SSDT", 2), 0);
	check_table("all terms", table, len + VMM_ACPI_HEADER_LEN);
}

static int enter(void **state)
{
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	DIR *d = opendir(".");
	struct dirent *e;

	while (d && (e = readdir(d)))
		(void)unlink(e->d_name);
	if (d)
		closedir(d);
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_table_survives_iasl),
		cmocka_unit_test(each_term_survives_iasl),
	};

	if (system("iasl -v >/dev/null 2>&1") != 0)
		return test_skip_all("no iasl here (Debian package acpica-tools)");
	return cmocka_run_group_tests(tests, enter, leave);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* dmidecode is an independent reader: it has to show what we wrote, and nothing that it
 * calls wrong. */
#include "load-test.h"

#include <string.h>

#include "smbios-machine.h"

static char dir[] = "/tmp/vmm-smbios-XXXXXX";
static char text[65536];

static void run(const struct vmm_smbios_machine *m)
{
	static uint8_t blob[65536];
	struct vmm_error err = { 0 };
	size_t len;
	FILE *f;

	/* A dump starts with the entry point, and addresses in it are offsets. */
	if (vmm_smbios_build(m, 0, blob, sizeof(blob), &len, &err) != 0)
		fail_msg("%s", err.message);
	f = fopen("dump", "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(blob, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	f = popen("PATH=$PATH:/usr/sbin dmidecode --from-dump dump 2>&1", "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	assert_int_equal(pclose(f), 0);
}

static void expect(const char *const *lines, size_t n)
{
	static const char *const bad[] = { "OUT OF SPEC", "BAD INDEX", "TRUNCATED",
					   "Wrong",	  "wrong",     "Invalid",
					   "Inactive",	  "broken" };

	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++)
		if (strstr(text, bad[i]))
			fail_msg("dmidecode says '%s':\n%s", bad[i], text);
	for (size_t i = 0; i < n; i++)
		if (!strstr(text, lines[i]))
			fail_msg("dmidecode does not say %s", lines[i]);
}

static void dmidecode_shows_what_was_written(void **state)
{
	static const char *const lines[] = {
		"SMBIOS 3.4.0 present.",
		"Vendor: Vendor\n",
		"Release Date: 02/29/2024\n",
		"System is a virtual machine\n",
		"Manufacturer: Maker\n",
		"Product Name: Product\n",
		"Serial Number: S-1234\n",
		"UUID: 00112233-4455-6677-8899-aabbccddeeff\n",
		"SKU Number: SKU-9\n",
		"Type: Motherboard\n",
		"Chassis Handle: 0x0300\n",
		"Asset Tag: Tag\n",
		"Socket Designation: CPU 001\n",
		"Version: CPU version\n",
		"Current Speed: 2500 MHz\n",
		"Status: Populated, Enabled\n",
		"Core Count: 4\n",
		"Thread Count: 8\n",
		"String 2: second\n",
		"Use: System Memory\n",
		"Maximum Capacity: 4095 MB\n",
		"Number Of Devices: 1\n",
		"Array Handle: 0x1000\n",
		"Ending Address: 0x000BFFFFFFF\n",
		"Range Size: 1 GB\n",
		"Status: No errors detected\n",
		"End Of Table\n",
	};
	struct vmm_smbios_machine m = test_smbios_machine();

	run(&m);
	expect(lines, VMM_ARRAY_LEN(lines));
}

static void a_big_machine_without_names_is_shown_too(void **state)
{
	static const char *const lines[] = {
		"Maximum Capacity: 2 TB\n",
		"Size: 2 TB\n",
		"Core Count: 300\n",
		"Range Size: 2 TB\n",
	};
	static const struct vmm_load_range memory = { UINT64_C(1) << 42, UINT64_C(1)
									     << 41 };
	struct vmm_smbios_machine m = VMM_SMBIOS_MACHINE_INIT;

	m.cores_per_socket = 300;
	m.memory = &memory;
	m.memory_count = 1;
	run(&m);
	expect(lines, VMM_ARRAY_LEN(lines));
}

static int enter(void **state)
{
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	(void)unlink("dump");
	return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dmidecode_shows_what_was_written),
		cmocka_unit_test(a_big_machine_without_names_is_shown_too),
	};

	if (system("PATH=$PATH:/usr/sbin dmidecode --version >/dev/null 2>&1") != 0)
		return test_skip_all("no dmidecode here (Debian package dmidecode)");
	return cmocka_run_group_tests(tests, enter, leave);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "../bytes.h"
#include "aml.h"

#define NAME_OP 0x08
#define SCOPE_OP 0x10
#define BUFFER_OP 0x11
#define PACKAGE_OP 0x12
#define METHOD_OP 0x14
#define STRING_PREFIX 0x0d
#define EXT_PREFIX 0x5b
#define EXT_MUTEX 0x01
#define EXT_REGION 0x80
#define EXT_FIELD 0x81
#define EXT_DEVICE 0x82
#define IF_OP 0xa0
#define ELSE_OP 0xa1
#define WHILE_OP 0xa2

void vmm_acpi_aml_begin_scope(struct vmm_acpi_aml *aml, const char *path)
{
	if (!aml_term(aml))
		return;
	aml_byte(aml, SCOPE_OP);
	aml_open(aml, AML_BLOCK);
	aml_path(aml, path);
}

void vmm_acpi_aml_begin_device(struct vmm_acpi_aml *aml, const char *path)
{
	if (!aml_term(aml))
		return;
	aml_byte(aml, EXT_PREFIX);
	aml_byte(aml, EXT_DEVICE);
	aml_open(aml, AML_BLOCK);
	aml_path(aml, path);
}

void vmm_acpi_aml_begin_method(struct vmm_acpi_aml *aml, const char *path,
			       unsigned int args, int serialized)
{
	if (!aml_term(aml))
		return;
	if (args > 7) {
		aml_fail(aml, -EINVAL, "a method with %u arguments", args);
		return;
	}
	aml_byte(aml, METHOD_OP);
	aml_open(aml, AML_BLOCK);
	aml_path(aml, path);
	aml_byte(aml, (uint8_t)(args | (serialized ? 0x08 : 0)));
}

void vmm_acpi_aml_begin_if(struct vmm_acpi_aml *aml)
{
	if (!aml_term(aml))
		return;
	aml_byte(aml, IF_OP);
	aml_open(aml, AML_IF);
}

void vmm_acpi_aml_begin_else(struct vmm_acpi_aml *aml)
{
	if (!aml_term(aml))
		return;
	if (aml->if_end == 0 || aml->if_end != aml->len) {
		aml_fail(aml, -EINVAL, "an Else that does not follow an If");
		return;
	}
	aml_byte(aml, ELSE_OP);
	aml_open(aml, AML_BLOCK);
}

void vmm_acpi_aml_begin_while(struct vmm_acpi_aml *aml)
{
	if (!aml_term(aml))
		return;
	aml_byte(aml, WHILE_OP);
	aml_open(aml, AML_BLOCK);
}

void vmm_acpi_aml_begin_package(struct vmm_acpi_aml *aml, unsigned int count)
{
	if (!aml_term(aml))
		return;
	if (count > UINT8_MAX) {
		aml_fail(aml, -E2BIG, "a package of %u elements", count);
		return;
	}
	aml_byte(aml, PACKAGE_OP);
	aml_open(aml, AML_PACKAGE);
	aml_byte(aml, (uint8_t)count);
	if (!aml->error.code)
		aml->open[aml->depth - 1].want = count;
}

void vmm_acpi_aml_begin_resources(struct vmm_acpi_aml *aml)
{
	if (!aml_term(aml))
		return;
	aml_byte(aml, BUFFER_OP);
	aml_open(aml, AML_RESOURCES);
}

void vmm_acpi_aml_end(struct vmm_acpi_aml *aml)
{
	aml_close(aml);
}

void vmm_acpi_aml_put_name(struct vmm_acpi_aml *aml, const char *path)
{
	if (!aml_term(aml))
		return;
	aml_byte(aml, NAME_OP);
	aml_path(aml, path);
}

void vmm_acpi_aml_put_int(struct vmm_acpi_aml *aml, uint64_t value)
{
	if (aml_term(aml))
		aml_int(aml, value);
}

void vmm_acpi_aml_put_string(struct vmm_acpi_aml *aml, const char *text)
{
	if (!aml_term(aml))
		return;
	for (const char *p = text; *p; p++)
		if ((uint8_t)*p > 0x7f) {
			aml_fail(aml, -EINVAL, "a string that is not ASCII");
			return;
		}
	aml_byte(aml, STRING_PREFIX);
	aml_bytes(aml, text, strlen(text) + 1);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* ACPI 6.5, 19.6.36: three letters of five bits, four hexadecimal digits, high byte
 * first. */
void vmm_acpi_aml_put_eisa_id(struct vmm_acpi_aml *aml, const char *id)
{
	uint32_t value = 0;
	uint8_t bytes[5] = { 0x0c };
	bool good = strlen(id) == 7;

	if (!aml_term(aml))
		return;
	for (size_t i = 0; good && i < 7; i++) {
		int digit = i < 3 ? id[i] - '@' : hex_digit(id[i]);

		good = digit >= (i < 3 ? 1 : 0) && digit <= 26;
		value = value << (i < 3 ? 5 : 4) | (good ? (uint32_t)digit : 0);
	}
	if (!good) {
		aml_fail(aml, -EINVAL, "'%.32s' is not an EISA id", id);
		return;
	}
	for (size_t i = 0; i < 4; i++)
		bytes[1 + i] = (uint8_t)(value >> (24 - 8 * i));
	aml_bytes(aml, bytes, sizeof(bytes));
}

void vmm_acpi_aml_put_buffer(struct vmm_acpi_aml *aml, const void *data, size_t len)
{
	if (!aml_term(aml))
		return;
	aml_byte(aml, BUFFER_OP);
	aml_open(aml, AML_BLOCK);
	aml_int(aml, len);
	aml_bytes(aml, data, len);
	aml_close(aml);
}

void vmm_acpi_aml_put_path(struct vmm_acpi_aml *aml, const char *path)
{
	if (aml_term(aml))
		aml_path(aml, path);
}

void vmm_acpi_aml_put_op(struct vmm_acpi_aml *aml, unsigned int op)
{
	if (!aml_term(aml))
		return;
	if (op > UINT16_MAX || (op > UINT8_MAX && op >> 8 != EXT_PREFIX)) {
		aml_fail(aml, -EINVAL, "no operator 0x%x", op);
		return;
	}
	if (op > UINT8_MAX)
		aml_byte(aml, EXT_PREFIX);
	aml_byte(aml, (uint8_t)op);
}

void vmm_acpi_aml_put_region(struct vmm_acpi_aml *aml, const char *path,
			     unsigned int space, uint64_t gpa, uint64_t len)
{
	uint64_t last;

	if (!aml_term(aml))
		return;
	if (space > VMM_ACPI_SPACE_IO || len == 0 || range_last(gpa, len, &last)) {
		aml_fail(aml, -EINVAL, "no such operation region: '%.32s'", path);
		return;
	}
	aml_byte(aml, EXT_PREFIX);
	aml_byte(aml, EXT_REGION);
	aml_path(aml, path);
	aml_byte(aml, (uint8_t)space);
	aml_int(aml, gpa);
	aml_int(aml, len);
}

void vmm_acpi_aml_put_field(struct vmm_acpi_aml *aml, const char *region,
			    unsigned int access, int write_zeros,
			    const struct vmm_acpi_field *fields, size_t count)
{
	uint8_t length[4];
	unsigned int kind = access == 8	   ? 1
			    : access == 16 ? 2
			    : access == 32 ? 3
			    : access == 64 ? 4
					   : 0;

	if (!aml_term(aml))
		return;
	if (kind == 0) {
		aml_fail(aml, -EINVAL, "a field with accesses of %u bits", access);
		return;
	}
	aml_byte(aml, EXT_PREFIX);
	aml_byte(aml, EXT_FIELD);
	aml_open(aml, AML_BLOCK);
	aml_path(aml, region);
	aml_byte(aml, (uint8_t)(kind | (write_zeros ? 0x40 : 0)));
	for (size_t i = 0; i < count; i++) {
		if (fields[i].bits == 0 || fields[i].bits > 0xfffffff ||
		    (fields[i].name && strpbrk(fields[i].name, ".\\^"))) {
			aml_fail(aml, -EINVAL,
				 "field %zu of '%.32s' has a bad name or size", i,
				 region);
			return;
		}
		if (fields[i].name)
			aml_path(aml, fields[i].name);
		else
			aml_byte(aml, 0);
		aml_bytes(aml, length, aml_encode_length(length, fields[i].bits));
	}
	aml_close(aml);
}

void vmm_acpi_aml_put_mutex(struct vmm_acpi_aml *aml, const char *path)
{
	if (!aml_term(aml))
		return;
	aml_byte(aml, EXT_PREFIX);
	aml_byte(aml, EXT_MUTEX);
	aml_path(aml, path);
	aml_byte(aml, 0);
}

void vmm_acpi_aml_put_raw(struct vmm_acpi_aml *aml, const void *data, size_t len)
{
	if (aml_term(aml))
		aml_bytes(aml, data, len);
}

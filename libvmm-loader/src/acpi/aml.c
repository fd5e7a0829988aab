/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "aml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../bytes.h"
#include "../sys.h"

/* ACPI 6.5, chapter 20 "ACPI Machine Language (AML) Specification". */
#define ZERO_OP 0x00
#define ONE_OP 0x01
#define BYTE_PREFIX 0x0a
#define WORD_PREFIX 0x0b
#define DWORD_PREFIX 0x0c
#define QWORD_PREFIX 0x0e
#define DUAL_NAME_PREFIX 0x2e
#define MULTI_NAME_PREFIX 0x2f

void aml_fail(struct vmm_acpi_aml *aml, int code, const char *format, ...)
{
	char text[sizeof(aml->error.message)];
	va_list args;

	if (aml->error.code)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)vmm_error_at(&aml->error, code, aml->len, 0, 0, "AML: %.200s", text);
}

uint8_t *aml_reserve(struct vmm_acpi_aml *aml, size_t len)
{
	size_t room = aml->room ? aml->room : 256;
	uint8_t *data;

	if (aml->error.code)
		return NULL;
	if (len > VMM_ACPI_AML_MAX - aml->len) {
		aml_fail(aml, -E2BIG, "more than %u bytes", VMM_ACPI_AML_MAX);
		return NULL;
	}
	while (room < aml->len + len)
		room *= 2;
	if (room != aml->room) {
		data = load_sys_realloc(aml->data, room);
		if (!data) {
			aml_fail(aml, -ENOMEM, "out of memory");
			return NULL;
		}
		aml->data = data;
		aml->room = room;
	}
	aml->len += len;
	return aml->data + aml->len - len;
}

void aml_bytes(struct vmm_acpi_aml *aml, const void *data, size_t len)
{
	uint8_t *p = aml_reserve(aml, len);

	if (p && len)
		memcpy(p, data, len);
}

void aml_byte(struct vmm_acpi_aml *aml, uint8_t byte)
{
	aml_bytes(aml, &byte, 1);
}

size_t aml_encode_int(uint8_t out[9], uint64_t value)
{
	uint8_t le[8];

	put_le64(le, value);
	if (value <= 1) {
		out[0] = value ? ONE_OP : ZERO_OP;
		return 1;
	}
	if (value <= UINT8_MAX) {
		out[0] = BYTE_PREFIX;
		memcpy(out + 1, le, 1);
		return 2;
	}
	if (value <= UINT16_MAX) {
		out[0] = WORD_PREFIX;
		memcpy(out + 1, le, 2);
		return 3;
	}
	if (value <= UINT32_MAX) {
		out[0] = DWORD_PREFIX;
		memcpy(out + 1, le, 4);
		return 5;
	}
	out[0] = QWORD_PREFIX;
	memcpy(out + 1, le, 8);
	return 9;
}

/* Largest number that 1 to 4 bytes hold: six bits when alone, else four and eights. */
static const uint32_t length_max[] = { 0x3f, 0xfff, 0xfffff, 0xfffffff };

size_t aml_encode_length(uint8_t out[4], uint32_t value)
{
	size_t n = 1;

	if (value <= length_max[0]) {
		out[0] = (uint8_t)value;
		return 1;
	}
	while (value > length_max[n])
		n++;
	out[0] = (uint8_t)(n << 6 | (value & 0xf));
	for (size_t i = 1; i <= n; i++)
		out[i] = (uint8_t)(value >> (8 * i - 4));
	return n + 1;
}

/* 20.2.4: it counts its own bytes. */
static size_t encode_pkg_length(uint8_t out[4], size_t len)
{
	uint32_t n = 1;

	while (len + n > length_max[n - 1])
		n++;
	return aml_encode_length(out, (uint32_t)len + n);
}

void aml_int(struct vmm_acpi_aml *aml, uint64_t value)
{
	uint8_t bytes[9];

	aml_bytes(aml, bytes, aml_encode_int(bytes, value));
}

static bool is_lead(char c)
{
	return (c >= 'A' && c <= 'Z') || c == '_';
}

/* Puts one name segment, padded with underscores; returns what follows it, NULL when it
 * is none. */
static const char *segment(const char *p, uint8_t out[4])
{
	size_t n = 0;

	if (!is_lead(*p))
		return NULL;
	while (n < 4 && (is_lead(*p) || (*p >= '0' && *p <= '9')))
		out[n++] = (uint8_t)*p++;
	while (n < 4)
		out[n++] = '_';
	return *p == '.' || *p == '\0' ? p : NULL;
}

void aml_path(struct vmm_acpi_aml *aml, const char *path)
{
	uint8_t segments[255][4];
	const char *p = path;
	size_t n = 0;

	if (*p == '\\')
		aml_byte(aml, (uint8_t)*p++);
	else
		while (*p == '^')
			aml_byte(aml, (uint8_t)*p++);

	if (*p == '\0' && p > path) {
		aml_byte(aml, 0);
		return;
	}
	do {
		p = n < 255 ? segment(p, segments[n]) : NULL;
		if (!p) {
			aml_fail(aml, -EINVAL, "'%.64s' is not a name", path);
			return;
		}
		n++;
	} while (*p++ == '.');

	if (n == 2)
		aml_byte(aml, DUAL_NAME_PREFIX);
	if (n > 2) {
		aml_byte(aml, MULTI_NAME_PREFIX);
		aml_byte(aml, (uint8_t)n);
	}
	aml_bytes(aml, segments, 4 * n);
}

bool aml_term(struct vmm_acpi_aml *aml)
{
	struct aml_open *top = aml->depth ? &aml->open[aml->depth - 1] : NULL;

	if (aml->error.code)
		return false;
	if (top && top->kind == AML_RESOURCES) {
		aml_fail(aml, -EINVAL, "a term among resources");
		return false;
	}
	if (top && top->kind == AML_PACKAGE)
		top->have++;
	return true;
}

void aml_open(struct vmm_acpi_aml *aml, uint32_t kind)
{
	if (aml->error.code)
		return;
	if (aml->depth == VMM_ACPI_AML_DEPTH_MAX) {
		aml_fail(aml, -E2BIG, "more than %u levels", VMM_ACPI_AML_DEPTH_MAX);
		return;
	}
	aml->open[aml->depth++] = (struct aml_open){ kind, (uint32_t)aml->len, 0, 0 };
}

/* Puts bytes in at @p at and moves what is behind. */
static void insert(struct vmm_acpi_aml *aml, size_t at, const uint8_t *data, size_t n)
{
	size_t behind = aml->len - at;

	if (!aml_reserve(aml, n))
		return;
	memmove(aml->data + at + n, aml->data + at, behind);
	memcpy(aml->data + at, data, n);
}

void aml_close(struct vmm_acpi_aml *aml)
{
	struct aml_open *top;
	uint8_t bytes[9];

	if (aml->error.code)
		return;
	if (aml->depth == 0) {
		aml_fail(aml, -EINVAL, "an end without a begin");
		return;
	}
	top = &aml->open[--aml->depth];
	if (top->kind == AML_PACKAGE && top->have != top->want) {
		aml_fail(aml, -EINVAL, "a package of %u with %u elements", top->want,
			 top->have);
		return;
	}
	if (top->kind == AML_RESOURCES) {
		/* End tag; a checksum of 0 is always right. */
		aml_bytes(aml, "\x79\0", 2);
		insert(aml, top->at, bytes, aml_encode_int(bytes, aml->len - top->at));
	}
	insert(aml, top->at, bytes, encode_pkg_length(bytes, aml->len - top->at));
	aml->if_end = top->kind == AML_IF ? aml->len : 0;
}

int vmm_acpi_aml_new(struct vmm_acpi_aml **out)
{
	struct vmm_acpi_aml *aml = load_sys_alloc(sizeof(*aml));

	if (!aml)
		return -ENOMEM;
	*out = aml;
	return 0;
}

void vmm_acpi_aml_free(struct vmm_acpi_aml *aml)
{
	if (!aml)
		return;
	free(aml->data);
	free(aml);
}

int vmm_acpi_aml_finish(struct vmm_acpi_aml *aml, const uint8_t **out, size_t *out_len,
			struct vmm_error *err)
{
	static const uint8_t none[1];

	if (!aml->error.code && aml->depth)
		return vmm_error_at(err, -EINVAL, aml->len, 0, aml->depth,
				    "AML: %u begun and not ended", aml->depth);
	if (aml->error.code) {
		if (err)
			*err = aml->error;
		return aml->error.code;
	}
	*out = aml->data ? aml->data : none;
	*out_len = aml->len;
	return 0;
}

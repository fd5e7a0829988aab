/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_AML_H
#define LOADER_AML_H

#include <stdbool.h>
#include <vmm/acpi.h>

enum aml_kind {
	AML_BLOCK,
	AML_IF,
	AML_PACKAGE,
	AML_RESOURCES,
};

struct aml_open {
	uint32_t kind;
	/* Where its PkgLength goes. */
	uint32_t at;
	/* Elements that a package wants, and has. */
	uint32_t want;
	uint32_t have;
};

struct vmm_acpi_aml {
	uint8_t *data;
	size_t len;
	size_t room;
	uint32_t depth;
	/* Where an If ended, so that an Else may follow; 0: none did. */
	size_t if_end;
	struct aml_open open[VMM_ACPI_AML_DEPTH_MAX];
	struct vmm_error error;
};

/* Remembers the first mistake. */
VMM_PRINTF(3, 4)
void aml_fail(struct vmm_acpi_aml *aml, int code, const char *format, ...);

/* Makes room for @p len bytes and returns where they go, or NULL. */
uint8_t *aml_reserve(struct vmm_acpi_aml *aml, size_t len);
void aml_bytes(struct vmm_acpi_aml *aml, const void *data, size_t len);
void aml_byte(struct vmm_acpi_aml *aml, uint8_t byte);
void aml_path(struct vmm_acpi_aml *aml, const char *path);
void aml_int(struct vmm_acpi_aml *aml, uint64_t value);

/* Opens a level: what follows is counted into a PkgLength put in at aml_close(). */
void aml_open(struct vmm_acpi_aml *aml, uint32_t kind);
void aml_close(struct vmm_acpi_aml *aml);

/* Bytes of an integer term. */
size_t aml_encode_int(uint8_t out[9], uint64_t value);

/* Bytes of a number up to 0xfffffff in the encoding of PkgLength. */
size_t aml_encode_length(uint8_t out[4], uint32_t value);

/* Whether a term may come here; false after a mistake. */
bool aml_term(struct vmm_acpi_aml *aml);

#endif

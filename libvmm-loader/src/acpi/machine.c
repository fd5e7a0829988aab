/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "../bytes.h"
#include "../options.h"
#include "aml.h"
#include "tables.h"

#define ALIGN UINT64_C(16)

/* Tables behind the FADT that hold no addresses of each other. */
static const struct {
	size_t (*len)(const struct vmm_acpi_machine *m);
	void (*write)(uint8_t *out, const struct vmm_acpi_machine *m);
} own[] = {
	{ acpi_madt_len, acpi_madt }, { acpi_gtdt_len, acpi_gtdt },
	{ acpi_mcfg_len, acpi_mcfg }, { acpi_hpet_len, acpi_hpet },
	{ acpi_spcr_len, acpi_spcr }, { acpi_srat_len, acpi_srat },
	{ acpi_slit_len, acpi_slit },
};

#define OWN_COUNT (sizeof(own) / sizeof(own[0]))

/* Where each table goes, as offsets into the buffer. */
struct plan {
	uint64_t xsdt;
	size_t xsdt_len;
	uint64_t fadt;
	uint64_t dsdt;
	/* 0: the machine has no such table. */
	uint64_t own[OWN_COUNT];
	uint64_t tables[ACPI_TABLES_MAX];
	uint64_t end;
};

static uint64_t next_place(uint64_t *at, uint64_t len)
{
	uint64_t here = *at;

	*at = (here + len + ALIGN - 1) & ~(ALIGN - 1);
	return here;
}

static struct plan make_plan(const struct vmm_acpi_machine *m, size_t aml_len)
{
	/* FADT and what the caller adds are always there. */
	size_t entries = 1 + m->table_count, len;
	uint64_t at = 0;
	struct plan p = { 0 };

	for (size_t i = 0; i < OWN_COUNT; i++)
		entries += own[i].len(m) ? 1 : 0;
	p.xsdt_len = VMM_ACPI_HEADER_LEN + 8 * entries;
	(void)next_place(&at, RSDP_LEN);
	p.xsdt = next_place(&at, p.xsdt_len);
	p.fadt = next_place(&at, FADT_LEN);
	p.dsdt = next_place(&at, VMM_ACPI_HEADER_LEN + aml_len);
	for (size_t i = 0; i < OWN_COUNT; i++) {
		len = own[i].len(m);
		p.own[i] = len ? next_place(&at, len) : 0;
	}
	for (size_t i = 0; i < m->table_count; i++)
		p.tables[i] = next_place(&at, m->tables[i].len);
	p.end = at;
	return p;
}

static void write_tables(const struct vmm_acpi_machine *m, const struct plan *p,
			 uint64_t gpa, const uint8_t *aml, size_t aml_len, uint8_t *buf)
{
	uint8_t *xsdt = buf + p->xsdt, *dsdt = buf + p->dsdt;
	uint8_t *entry = xsdt + VMM_ACPI_HEADER_LEN;

	memset(buf, 0, p->end);
	acpi_rsdp(buf, gpa + p->xsdt);
	acpi_fadt(buf + p->fadt, m, gpa + p->dsdt);
	put_le64(entry, gpa + p->fadt);
	entry += 8;
	for (size_t i = 0; i < OWN_COUNT; i++) {
		if (!p->own[i])
			continue;
		own[i].write(buf + p->own[i], m);
		put_le64(entry, gpa + p->own[i]);
		entry += 8;
	}
	for (size_t i = 0; i < m->table_count; i++, entry += 8) {
		memcpy(buf + p->tables[i], m->tables[i].data, m->tables[i].len);
		put_le64(entry, gpa + p->tables[i]);
	}
	(void)!vmm_acpi_header_write(xsdt, p->xsdt_len, "XSDT", 1);
	memcpy(dsdt + VMM_ACPI_HEADER_LEN, aml, aml_len);
	(void)!vmm_acpi_header_write(dsdt, VMM_ACPI_HEADER_LEN + aml_len, "DSDT", 2);
}

int vmm_acpi_machine_build(const struct vmm_acpi_machine *machine, uint64_t gpa,
			   void *buf, size_t size, size_t *out_len, struct vmm_error *err)
{
	VMM_CLEANUP(vmm_acpi_aml_free) struct vmm_acpi_aml *aml = NULL;
	struct vmm_acpi_machine m;
	const uint8_t *bytes;
	struct plan plan;
	size_t aml_len;
	uint64_t last;
	int ret = load_options_copy(&m, sizeof(m), machine);

	if (ret < 0)
		return vmm_error_set(err, ret, "ACPI: unknown structure size");
	ret = acpi_check(&m, gpa, err);
	if (ret < 0)
		return ret;
	ret = vmm_acpi_aml_new(&aml);
	if (ret < 0)
		return vmm_error_set(err, ret, "ACPI: out of memory");
	acpi_dsdt(aml, &m);
	ret = vmm_acpi_aml_finish(aml, &bytes, &aml_len, err);
	if (ret < 0)
		return ret;

	plan = make_plan(&m, aml_len);
	if (range_last(gpa, plan.end, &last))
		return vmm_error_at(err, -EINVAL, gpa, 0, plan.end,
				    "ACPI: tables pass the end of the address space");
	if (plan.end > size)
		return vmm_error_at(err, -ENOSPC, gpa, plan.end, size,
				    "ACPI: the tables take %" PRIu64
				    " bytes, there is room for %zu",
				    plan.end, size);
	write_tables(&m, &plan, gpa, bytes, aml_len, buf);
	*out_len = plan.end;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "../bytes.h"
#include "../options.h"
#include "aml.h"
#include "tables.h"

#define CPUS_MAX 4096u
#define DEVICES_MAX 4096u
#define TABLES_MAX 64u
#define ALIGN UINT64_C(16)

#define FLAGS (VMM_ACPI_HAS_I8042 | VMM_ACPI_HAS_CMOS_RTC | VMM_ACPI_HAS_CONSOLE)

/* Tables behind the FADT that hold no addresses of each other. */
static const struct {
	size_t (*len)(const struct vmm_acpi_machine *m);
	void (*write)(uint8_t *out, const struct vmm_acpi_machine *m);
} own[] = {
	{ acpi_madt_len, acpi_madt }, { acpi_mcfg_len, acpi_mcfg },
	{ acpi_hpet_len, acpi_hpet }, { acpi_spcr_len, acpi_spcr },
	{ acpi_srat_len, acpi_srat }, { acpi_slit_len, acpi_slit },
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
	uint64_t tables[TABLES_MAX];
	uint64_t end;
};

static int bad(struct vmm_error *err, uint64_t where, uint64_t wanted, uint64_t got,
	       const char *what)
{
	return vmm_error_at(err, -EINVAL, where, wanted, got,
			    "ACPI: %s (%" PRIu64 ", limit %" PRIu64 ")", what, got,
			    wanted);
}

static int check_gsi(const struct vmm_acpi_machine *m, uint32_t gsi, const char *what,
		     struct vmm_error *err)
{
	if (gsi >= m->ioapic_gsi && gsi - m->ioapic_gsi < IOAPIC_PINS)
		return 0;
	return vmm_error_at(err, -EINVAL, gsi, m->ioapic_gsi, gsi,
			    "ACPI: %s has interrupt %u, the I/O APIC has %u to %u", what,
			    gsi, m->ioapic_gsi, m->ioapic_gsi + IOAPIC_PINS - 1);
}

static int check_cpus(const struct vmm_acpi_machine *m, struct vmm_error *err)
{
	if (m->cpu_count == 0)
		return bad(err, 0, 1, 0, "no CPU");
	if (m->cpu_count > CPUS_MAX)
		return vmm_error_at(err, -E2BIG, 0, CPUS_MAX, m->cpu_count,
				    "ACPI: %u CPUs, the limit is %u", m->cpu_count,
				    CPUS_MAX);
	for (uint32_t i = 0; i < m->cpu_count; i++) {
		if (acpi_apic_id(m, i) == UINT32_MAX)
			return bad(err, i, UINT32_MAX - 1, UINT32_MAX,
				   "APIC id out of range");
		for (uint32_t j = 0; m->apic_ids && j < i; j++)
			if (m->apic_ids[i] == m->apic_ids[j])
				return vmm_error_at(
				    err, -EINVAL, i, 0, m->apic_ids[i],
				    "ACPI: CPUs %u and %u both have APIC id %u", j, i,
				    m->apic_ids[i]);
	}
	return 0;
}

static int check_devices(const struct vmm_acpi_machine *m, struct vmm_error *err)
{
	uint64_t last;
	int ret = 0;

	if (m->uart_count > DEVICES_MAX || m->virtio_mmio_count > DEVICES_MAX)
		return vmm_error_set(err, -E2BIG, "ACPI: more than %u devices of a kind",
				     DEVICES_MAX);
	for (size_t i = 0; i < m->uart_count && ret == 0; i++) {
		if (m->uarts[i].port == 0 || m->uarts[i].port > 0xfff8 ||
		    m->uarts[i].reserved_)
			return bad(err, i, 0xfff8, m->uarts[i].port, "port of a UART");
		ret = check_gsi(m, m->uarts[i].gsi, "a UART", err);
	}
	for (size_t i = 0; i < m->virtio_mmio_count && ret == 0; i++) {
		const struct vmm_acpi_virtio_mmio *v = &m->virtio_mmio[i];

		if (v->len < 512 || range_last(v->gpa, v->len, &last) || v->reserved_)
			return bad(err, v->gpa, 512, v->len, "window of a virtio device");
		ret = check_gsi(m, v->gsi, "a virtio device", err);
	}
	return ret;
}

static int check_window(uint64_t gpa, uint64_t len, uint64_t max, struct vmm_error *err)
{
	uint64_t last;

	if (len == 0 || (!range_last(gpa, len, &last) && last <= max))
		return 0;
	return bad(err, gpa, max, len, "PCI window");
}

static int check_pci(const struct vmm_acpi_machine *m, struct vmm_error *err)
{
	const struct vmm_acpi_pci *p = m->pci;
	int ret;

	if (p->ecam_gpa == 0 || p->ecam_gpa % (1 << 20) || p->ecam_gpa >> 52)
		return bad(err, p->ecam_gpa, 1 << 20, p->ecam_gpa,
			   "address of PCI configuration space");
	ret = check_window(p->mmio32_gpa, p->mmio32_len, UINT32_MAX, err);
	if (ret == 0)
		ret = check_window(p->mmio64_gpa, p->mmio64_len, UINT64_MAX >> 12, err);
	for (size_t i = 0; i < 4 && ret == 0 && p->pin_gsi[0] != VMM_ACPI_NO_GSI; i++)
		ret = check_gsi(m, p->pin_gsi[i], "a PCI pin", err);
	return ret;
}

static int check_distances(const struct vmm_acpi_numa *n, struct vmm_error *err)
{
	for (uint32_t i = 0; n->distance && i < n->node_count * n->node_count; i++) {
		bool self = i / n->node_count == i % n->node_count;

		if (self ? n->distance[i] != 10 : n->distance[i] <= 10)
			return bad(err, i, 10, n->distance[i], "distance of two nodes");
	}
	return 0;
}

static int check_numa(const struct vmm_acpi_machine *m, struct vmm_error *err)
{
	const struct vmm_acpi_numa *n = m->numa;
	uint64_t last;

	if (n->node_count == 0 || n->node_count > 64 || n->reserved_)
		return bad(err, 0, 64, n->node_count, "number of nodes");
	if (n->memory_count > DEVICES_MAX)
		return bad(err, 0, DEVICES_MAX, n->memory_count,
			   "number of memory ranges");
	for (uint32_t i = 0; i < m->cpu_count; i++)
		if (n->cpu_node[i] >= n->node_count)
			return bad(err, i, n->node_count - 1, n->cpu_node[i],
				   "node of a CPU");
	for (size_t i = 0; i < n->memory_count; i++) {
		const struct vmm_acpi_numa_memory *r = &n->memory[i];

		if (r->node >= n->node_count || r->reserved_)
			return bad(err, i, n->node_count - 1, r->node, "node of memory");
		if (r->len == 0 || range_last(r->gpa, r->len, &last))
			return bad(err, r->gpa, 1, r->len, "memory of a node");
	}
	return check_distances(n, err);
}

/* What came later than the first version of the structure. */
static int check_more(const struct vmm_acpi_machine *m, struct vmm_error *err)
{
	int ret = m->pci ? check_pci(m, err) : 0;

	if (ret == 0 && m->numa)
		ret = check_numa(m, err);
	if (ret == 0 && (m->hpet_gpa % 1024 || m->vmgenid_gpa % 8 || m->reserved2_))
		ret = bad(err, m->hpet_gpa, 1024, m->vmgenid_gpa,
			  "address of HPET or generation id");
	if (ret == 0 && m->vmgenid_gpa && m->vmgenid_gsi != VMM_ACPI_NO_GSI)
		ret = check_gsi(m, m->vmgenid_gsi, "the generation id", err);
	if (ret == 0 && (m->flags & VMM_ACPI_HAS_CONSOLE) && m->uart_count == 0)
		ret = bad(err, 0, 1, 0, "a console without a UART");
	return ret;
}

static int check_tables(const struct vmm_acpi_machine *m, struct vmm_error *err)
{
	if (m->table_count > TABLES_MAX)
		return vmm_error_set(err, -E2BIG, "ACPI: more than %u further tables",
				     TABLES_MAX);
	for (size_t i = 0; i < m->table_count; i++) {
		const struct vmm_acpi_bytes *t = &m->tables[i];

		if (t->len < VMM_ACPI_HEADER_LEN ||
		    get_le32((const uint8_t *)t->data + 4) != t->len ||
		    acpi_sum(t->data, t->len) != 0)
			return vmm_error_at(
			    err, -EINVAL, i, 0, t->len,
			    "ACPI: further table %zu has a wrong length or "
			    "checksum",
			    i);
	}
	return 0;
}

static int check(const struct vmm_acpi_machine *m, uint64_t gpa, struct vmm_error *err)
{
	int ret;

	if (gpa & (ALIGN - 1))
		return bad(err, gpa, ALIGN, gpa, "address that is not a multiple of 16");
	if (m->flags & ~FLAGS || m->reserved_)
		return bad(err, 0, 0, m->flags, "unknown flags");
	if (m->s5_type > 7)
		return bad(err, 0, 7, m->s5_type, "sleep type");
	if (!m->sleep_control_port != !m->sleep_status_port)
		return bad(err, 0, 0, m->sleep_control_port,
			   "sleep control and status registers come in pairs");
	if (m->ioapic_id > UINT8_MAX || m->ioapic_gsi > UINT32_MAX - 2 * IOAPIC_PINS)
		return bad(err, 0, UINT8_MAX, m->ioapic_id, "I/O APIC");
	ret = check_cpus(m, err);
	if (ret == 0)
		ret = check_devices(m, err);
	if (ret == 0 && m->power_button_gsi != VMM_ACPI_NO_GSI)
		ret = check_gsi(m, m->power_button_gsi, "the power button", err);
	if (ret == 0)
		ret = check_more(m, err);
	return ret < 0 ? ret : check_tables(m, err);
}

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
	ret = check(&m, gpa, err);
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
		return bad(err, gpa, 0, plan.end,
			   "tables pass the end of the address space");
	if (plan.end > size)
		return vmm_error_at(err, -ENOSPC, gpa, plan.end, size,
				    "ACPI: the tables take %" PRIu64
				    " bytes, there is room for %zu",
				    plan.end, size);
	write_tables(&m, &plan, gpa, bytes, aml_len, buf);
	*out_len = plan.end;
	return 0;
}

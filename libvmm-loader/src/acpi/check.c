/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>

#include "../bytes.h"
#include "tables.h"

#define CPUS_MAX 4096u
#define DEVICES_MAX 4096u

/* Two frames of 64 KiB for each CPU. */
#define GICR_LEN 0x20000u

#define FLAGS (VMM_ACPI_HAS_I8042 | VMM_ACPI_HAS_CMOS_RTC | VMM_ACPI_HAS_CONSOLE)

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
	uint32_t first = m->gic ? GIC_SPI_FIRST : m->ioapic_gsi;
	uint32_t last = m->gic ? GIC_SPI_LAST : m->ioapic_gsi + IOAPIC_PINS - 1;

	if (gsi >= first && gsi <= last)
		return 0;
	return vmm_error_at(err, -EINVAL, gsi, first, gsi,
			    "ACPI: %s has interrupt %u, the %s has %u to %u", what, gsi,
			    m->gic ? "GIC" : "I/O APIC", first, last);
}

static int check_hotplug(const struct vmm_acpi_machine *m, struct vmm_error *err)
{
	const struct vmm_acpi_cpu_hotplug *h = m->cpu_hotplug;
	uint64_t last,
	    max = h->space == VMM_ACPI_SPACE_IO ? UINT16_MAX : UINT64_MAX >> 12;

	if (h->cpu_max < m->cpu_count || h->reserved_)
		return bad(err, 0, h->cpu_max, m->cpu_count, "most CPUs are too few");
	if (h->space > (m->gic ? VMM_ACPI_SPACE_MEMORY : VMM_ACPI_SPACE_IO) ||
	    h->gpa % 4 || range_last(h->gpa, VMM_ACPI_CPU_HOTPLUG_LEN, &last) ||
	    last > max)
		return bad(err, h->gpa, max, h->gpa, "registers of CPU hot-plug");
	return check_gsi(m, h->gsi, "CPU hot-plug", err);
}

static int check_cpus(const struct vmm_acpi_machine *m, struct vmm_error *err)
{
	if (m->cpu_count == 0)
		return bad(err, 0, 1, 0, "no CPU");
	if (acpi_cpus(m) > CPUS_MAX || m->cpu_count > CPUS_MAX)
		return vmm_error_at(err, -E2BIG, 0, CPUS_MAX, acpi_cpus(m),
				    "ACPI: %u CPUs, the limit is %u", acpi_cpus(m),
				    CPUS_MAX);
	if (m->cpu_hotplug && check_hotplug(m, err) < 0)
		return -EINVAL;
	for (uint32_t i = 0; !m->gic && i < acpi_cpus(m); i++) {
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
	for (uint32_t i = 0; i < acpi_cpus(m); i++)
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
	if (m->table_count > ACPI_TABLES_MAX)
		return vmm_error_set(err, -E2BIG, "ACPI: more than %u further tables",
				     ACPI_TABLES_MAX);
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

static bool is_ppi(uint32_t irq)
{
	return irq == 0 || (irq >= 16 && irq <= 31);
}

static int check_gic(const struct vmm_acpi_machine *m, struct vmm_error *err)
{
	const struct vmm_acpi_gic *g = m->gic;
	bool v3 = g->version == 3;
	uint64_t last;

	if (g->version < 2 || g->version > 3 || g->reserved_)
		return bad(err, 0, 3, g->version, "version of the GIC");
	if (!is_ppi(g->timer_virtual) || !is_ppi(g->timer_secure) || !is_ppi(g->pmu) ||
	    !is_ppi(g->timer_physical) || !is_ppi(g->timer_hypervisor))
		return bad(err, 0, 31, g->timer_virtual, "interrupt of a CPU");
	if (g->dist_gpa % 4096 || g->cpu_gpa % 4096 || g->its_gpa % 65536 ||
	    g->v2m_gpa % 4096 || g->redist_gpa % 65536)
		return bad(err, 0, 4096, g->dist_gpa, "address of a part of the GIC");
	if (v3 ? g->cpu_gpa || g->v2m_gpa : g->its_gpa || g->redist_len || !g->cpu_gpa)
		return bad(err, 0, 3, g->version, "a part that this GIC does not have");
	if (v3 && (range_last(g->redist_gpa, g->redist_len, &last) ||
		   g->redist_len > UINT32_MAX || g->redist_len / GICR_LEN < acpi_cpus(m)))
		return bad(err, g->redist_gpa, (uint64_t)acpi_cpus(m) * GICR_LEN,
			   g->redist_len, "room for redistributors");
	if (!v3 && acpi_cpus(m) > 8)
		return bad(err, 0, 8, acpi_cpus(m), "CPUs of a GICv2");
	if (g->v2m_gpa && (g->v2m_spi_base < GIC_SPI_FIRST || !g->v2m_spi_count ||
			   g->v2m_spi_base + g->v2m_spi_count > GIC_SPI_LAST + 1))
		return bad(err, g->v2m_gpa, GIC_SPI_LAST, g->v2m_spi_base,
			   "interrupts of GICv2m");
	if (m->flags || m->uart_count || m->sleep_control_port || m->reset_port ||
	    m->hpet_gpa)
		return bad(err, 0, 0, m->flags, "a part of a PC beside a GIC");
	return 0;
}

int acpi_check(const struct vmm_acpi_machine *m, uint64_t gpa, struct vmm_error *err)
{
	int ret;

	if (gpa & 15)
		return bad(err, gpa, 16, gpa, "address that is not a multiple of 16");
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
	if (ret == 0 && m->gic)
		ret = check_gic(m, err);
	return ret < 0 ? ret : check_tables(m, err);
}

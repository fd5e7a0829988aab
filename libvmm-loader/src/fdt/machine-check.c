/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../bytes.h"
#include "machine.h"

#define MPIDR_AFFINITY UINT64_C(0xff00ffffff)
#define GICV2_CPUS_MAX 8u
#define UART_16550A_LEN 8u
#define UART_PL011_LEN 0x1000u
#define VIRTIO_MMIO_LEN 0x200u

/* Each device has an interrupt of its own. */
#define DEVICES_MAX (VMM_FDT_SPI_LAST - VMM_FDT_SPI_FIRST + 1)

/* A window and what it is. */
struct part {
	const char *kind;
	/* Which of the kind; NO_INDEX: the only one. */
	size_t index;
	uint64_t gpa;
	uint64_t len;
	/* NULL: none. */
	const struct vmm_fdt_irq *irq;
};

#define NO_INDEX SIZE_MAX

enum { PARTS_OF_GIC = 2 };

/* For messages: "UART 1". */
struct part_name {
	char text[64];
};

static struct part_name name_of(const struct part *p)
{
	struct part_name name;

	if (p->index == NO_INDEX)
		(void)snprintf(name.text, sizeof(name.text), "the %s", p->kind);
	else
		(void)snprintf(name.text, sizeof(name.text), "%s %zu", p->kind, p->index);
	return name;
}

static size_t count_parts(const struct vmm_fdt_machine *m)
{
	return PARTS_OF_GIC + 1 + m->uart_count + m->virtio_mmio_count;
}

static struct part gic_part(const struct vmm_fdt_gic *g, size_t i)
{
	bool v3 = g->version == 3;

	if (i == 0)
		return (struct part){ "GIC's distributor", NO_INDEX, g->dist_gpa,
				      v3 ? GICV3_DIST_LEN : GICV2_DIST_LEN, NULL };
	if (v3)
		return (struct part){ "GIC's room of redistributors", NO_INDEX,
				      g->redist_gpa, g->redist_len, NULL };
	return (struct part){ "GIC's CPU interface", NO_INDEX, g->cpu_gpa, GICV2_CPU_LEN,
			      NULL };
}

static bool has_rtc(const struct vmm_fdt_machine *m)
{
	return m->rtc_gpa || m->rtc_irq.number;
}

/* Parts of the GIC, the RTC (of length 0 when there is none), UARTs, virtio devices. */
static struct part get_part(const struct vmm_fdt_machine *m, size_t i)
{
	if (i < PARTS_OF_GIC)
		return gic_part(&m->gic, i);
	i -= PARTS_OF_GIC;
	if (i == 0)
		return (struct part){ "RTC", NO_INDEX, m->rtc_gpa,
				      has_rtc(m) ? PL031_LEN : 0, &m->rtc_irq };
	i--;
	if (i < m->uart_count)
		return (struct part){ "UART", i, m->uarts[i].gpa, m->uarts[i].len,
				      &m->uarts[i].irq };
	i -= m->uart_count;
	return (struct part){ "virtio device", i, m->virtio_mmio[i].gpa,
			      m->virtio_mmio[i].len, &m->virtio_mmio[i].irq };
}

static uint64_t part_last(const struct part *p)
{
	return p->gpa + (p->len - 1);
}

static int check_text(const char *text, size_t min, size_t max, const char *what,
		      struct vmm_error *err)
{
	size_t len = text ? strlen(text) : min;

	if (len < min)
		return vmm_error_at(err, -EINVAL, 0, min, len,
				    "device tree: %s is an empty text", what);
	if (len > max)
		return vmm_error_at(err, -E2BIG, 0, max, len,
				    "device tree: %s has %zu bytes, the limit is %zu",
				    what, len, max);
	return 0;
}

static int check_texts(const struct vmm_fdt_machine *m, struct vmm_error *err)
{
	int ret = check_text(m->model, 1, VMM_FDT_TEXT_MAX, "the model", err);

	if (ret == 0)
		ret = check_text(m->compatible, 1, VMM_FDT_TEXT_MAX,
				 "what the machine is compatible with", err);
	if (ret == 0)
		ret = check_text(m->hypervisor, 1, VMM_FDT_TEXT_MAX,
				 "what the hypervisor is compatible with", err);
	if (ret == 0)
		ret = check_text(m->stdout_options, 1, VMM_FDT_TEXT_MAX,
				 "the text of console options", err);
	if (ret == 0)
		ret = check_text(m->cmdline, 0, VMM_LOAD_CMDLINE_MAX - 1,
				 "the command line", err);
	if (ret == 0 && m->rng_seed_len > VMM_FDT_SEED_MAX)
		ret = vmm_error_at(err, -E2BIG, 0, VMM_FDT_SEED_MAX, m->rng_seed_len,
				   "device tree: a seed has %zu bytes, the limit is %u",
				   m->rng_seed_len, VMM_FDT_SEED_MAX);
	return ret;
}

static int check_cpu(const struct vmm_fdt_machine *m, uint32_t cpu, struct vmm_error *err)
{
	uint64_t mpidr = m->mpidrs[cpu];

	if (mpidr & ~MPIDR_AFFINITY)
		return vmm_error_at(err, -EINVAL, cpu, MPIDR_AFFINITY, mpidr,
				    "device tree: CPU %u has MPIDR 0x%" PRIx64
				    ", more than affinity bits (0x%" PRIx64 ")",
				    cpu, mpidr, MPIDR_AFFINITY);
	for (uint32_t i = 0; i < cpu; i++)
		if (m->mpidrs[i] == mpidr)
			return vmm_error_at(
			    err, -EINVAL, cpu, 0, mpidr,
			    "device tree: CPUs %u and %u both have MPIDR 0x%" PRIx64, i,
			    cpu, mpidr);
	return 0;
}

static int check_cpus(const struct vmm_fdt_machine *m, struct vmm_error *err)
{
	uint32_t max = m->gic.version == 2 ? GICV2_CPUS_MAX : VMM_FDT_CPUS_MAX;
	int ret = 0;

	if (m->cpu_count == 0)
		return vmm_error_at(err, -EINVAL, 0, 1, 0, "device tree: no CPU");
	if (m->cpu_count > max)
		return vmm_error_at(err, -E2BIG, 0, max, m->cpu_count,
				    "device tree: %u CPUs, a GICv%u has %u at most",
				    m->cpu_count, m->gic.version, max);
	if (m->psci > VMM_FDT_PSCI_SMC)
		return vmm_error_at(err, -EINVAL, 0, VMM_FDT_PSCI_SMC, m->psci,
				    "device tree: unknown way %u to call PSCI", m->psci);
	if (m->psci == VMM_FDT_PSCI_NONE && m->cpu_count > 1)
		return vmm_error_at(err, -EINVAL, 0, 1, m->cpu_count,
				    "device tree: %u CPUs, and no PSCI to start them",
				    m->cpu_count);
	for (uint32_t i = 0; m->mpidrs && i < m->cpu_count && ret == 0; i++)
		ret = check_cpu(m, i, err);
	return ret;
}

static int check_gic(const struct vmm_fdt_machine *m, struct vmm_error *err)
{
	const struct vmm_fdt_gic *g = &m->gic;
	uint64_t room = m->cpu_count * GICV3_REDIST_LEN;
	bool v3 = g->version == 3;

	if (v3 ? g->dist_gpa % GICV3_DIST_LEN || g->redist_gpa % GICV3_DIST_LEN
	       : g->dist_gpa % GICV2_DIST_LEN || g->cpu_gpa % GICV2_DIST_LEN)
		return vmm_error_at(err, -EINVAL, g->dist_gpa,
				    v3 ? GICV3_DIST_LEN : GICV2_DIST_LEN, g->dist_gpa,
				    "device tree: a part of the GICv%u is not on a "
				    "multiple of %u KiB",
				    g->version, v3 ? 64 : 4);
	if (v3 ? g->cpu_gpa != 0 : g->redist_gpa || g->redist_len)
		return vmm_error_at(err, -EINVAL, v3 ? g->cpu_gpa : g->redist_gpa, 0,
				    g->version, "device tree: a GICv%u has no %s",
				    g->version,
				    v3 ? "CPU interface in memory" : "redistributors");
	if (v3 && (g->redist_len < room || g->redist_len % GICV3_DIST_LEN))
		return vmm_error_at(err, -EINVAL, g->redist_gpa, room, g->redist_len,
				    "device tree: redistributors have %" PRIu64
				    " bytes, %u CPUs take %" PRIu64,
				    g->redist_len, m->cpu_count, room);
	return 0;
}

static int check_trigger(const struct vmm_fdt_irq *irq, const char *who,
			 struct vmm_error *err)
{
	if (irq->trigger == VMM_FDT_EDGE || irq->trigger == VMM_FDT_LEVEL)
		return 0;
	return vmm_error_at(err, -EINVAL, irq->number, 0, irq->trigger,
			    "device tree: interrupt %u of %s has the unknown trigger %u",
			    irq->number, who, irq->trigger);
}

/* Interrupts of a CPU; `must` is set where the others need this one. */
struct private_irq {
	const char *what;
	const struct vmm_fdt_irq *irq;
	bool must;
};

static int check_private(const struct private_irq *p, size_t at, struct vmm_error *err)
{
	const struct vmm_fdt_irq *irq = p[at].irq;

	if (irq->number == 0 && !p[at].must)
		return 0;
	if (irq->number < VMM_FDT_PPI_FIRST || irq->number >= VMM_FDT_SPI_FIRST)
		return vmm_error_at(
		    err, -EINVAL, irq->number, VMM_FDT_PPI_FIRST, irq->number,
		    "device tree: %s has interrupt %u, a CPU's own are "
		    "%u to %u",
		    p[at].what, irq->number, VMM_FDT_PPI_FIRST, VMM_FDT_SPI_FIRST - 1);
	for (size_t i = 0; i < at; i++)
		if (p[i].irq->number == irq->number)
			return vmm_error_at(
			    err, -EINVAL, irq->number, 0, irq->number,
			    "device tree: %s and %s both have interrupt %u", p[i].what,
			    p[at].what, irq->number);
	return check_trigger(irq, p[at].what, err);
}

static int check_privates(const struct vmm_fdt_machine *m, struct vmm_error *err)
{
	/* The binding knows the first three by their place in the list. */
	bool any = m->timer_secure.number || m->timer_physical.number ||
		   m->timer_virtual.number || m->timer_hypervisor.number;
	const struct private_irq irqs[] = {
		{ "the secure timer", &m->timer_secure, any },
		{ "the physical timer", &m->timer_physical, any },
		{ "the virtual timer", &m->timer_virtual, any },
		{ "the hypervisor's timer", &m->timer_hypervisor, false },
		{ "the PMU", &m->pmu, false },
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(irqs) / sizeof(irqs[0]) && ret == 0; i++)
		ret = check_private(irqs, i, err);
	return ret;
}

static int check_uart(const struct vmm_fdt_uart *u, size_t i, struct vmm_error *err)
{
	bool is_16550a = u->kind == VMM_FDT_UART_16550A;
	uint64_t min = is_16550a ? UART_16550A_LEN : UART_PL011_LEN;

	if (!is_16550a && u->kind != VMM_FDT_UART_PL011)
		return vmm_error_at(err, -EINVAL, i, VMM_FDT_UART_PL011, u->kind,
				    "device tree: UART %zu is of the unknown kind %u", i,
				    u->kind);
	if (is_16550a != (u->clock_hz != 0))
		return vmm_error_at(err, -EINVAL, i, 0, u->clock_hz,
				    "device tree: UART %zu is a %s", i,
				    is_16550a ? "16550A without a clock"
					      : "PL011, which has the clock of its bus");
	if (u->len < min)
		return vmm_error_at(err, -EINVAL, i, min, u->len,
				    "device tree: UART %zu has a window of %" PRIu64
				    " bytes, not %" PRIu64 " or more",
				    i, u->len, min);
	return 0;
}

static int check_devices(const struct vmm_fdt_machine *m, struct vmm_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < m->uart_count && ret == 0; i++)
		ret = check_uart(&m->uarts[i], i, err);
	for (size_t i = 0; i < m->virtio_mmio_count && ret == 0; i++) {
		const struct vmm_fdt_virtio_mmio *v = &m->virtio_mmio[i];

		if (v->len < VIRTIO_MMIO_LEN || v->gpa % 4)
			ret = vmm_error_at(
			    err, -EINVAL, v->gpa, VIRTIO_MMIO_LEN, v->len,
			    "device tree: virtio device %zu has a window of %" PRIu64
			    " bytes at 0x%" PRIx64 ", not %u or more at a multiple of 4",
			    i, v->len, v->gpa, VIRTIO_MMIO_LEN);
	}
	if (ret == 0 && m->stdout_uart != VMM_FDT_NO_UART &&
	    m->stdout_uart >= m->uart_count)
		ret = vmm_error_at(err, -EINVAL, m->stdout_uart, m->uart_count,
				   m->stdout_uart,
				   "device tree: the console is UART %u of %zu",
				   m->stdout_uart, m->uart_count);
	if (ret == 0 && m->stdout_uart == VMM_FDT_NO_UART && m->stdout_options)
		ret = vmm_error_set(err, -EINVAL,
				    "device tree: options of a console, and no console");
	return ret;
}

static int check_against_ram(const struct vmm_fdt_machine *m, const struct part *p,
			     struct vmm_error *err)
{
	for (uint32_t i = 0; i < m->map->count; i++) {
		const struct vmm_load_map_entry *e = &m->map->entry[i];

		if (e->type != VMM_LOAD_MAP_RAM && e->type != VMM_LOAD_MAP_TAKEN)
			continue;
		if (p->gpa <= e->gpa + (e->len - 1) && e->gpa <= part_last(p))
			return vmm_error_at(err, -EINVAL, p->gpa, 0, e->gpa,
					    "device tree: %s at 0x%" PRIx64
					    " lies in RAM",
					    name_of(p).text, p->gpa);
	}
	return 0;
}

static int check_pair(const struct part *a, const struct part *b, struct vmm_error *err)
{
	if (a->len && b->len && a->gpa <= part_last(b) && b->gpa <= part_last(a))
		return vmm_error_at(err, -EINVAL, b->gpa, 0, a->gpa,
				    "device tree: %s at 0x%" PRIx64
				    " and %s at 0x%" PRIx64 " overlap",
				    name_of(a).text, a->gpa, name_of(b).text, b->gpa);
	if (a->irq && b->irq && a->irq->number == b->irq->number)
		return vmm_error_at(err, -EINVAL, b->irq->number, 0, b->irq->number,
				    "device tree: %s and %s both have interrupt %u",
				    name_of(a).text, name_of(b).text, b->irq->number);
	return 0;
}

/* One part by itself. */
static int check_part(const struct vmm_fdt_machine *m, const struct part *p,
		      struct vmm_error *err)
{
	uint64_t last;

	if (p->len == 0)
		return 0;
	if (range_last(p->gpa, p->len, &last))
		return vmm_error_at(err, -EINVAL, p->gpa, 0, p->len,
				    "device tree: %s at 0x%" PRIx64
				    " passes the end of the address space",
				    name_of(p).text, p->gpa);
	if (p->irq &&
	    (p->irq->number < VMM_FDT_SPI_FIRST || p->irq->number > VMM_FDT_SPI_LAST))
		return vmm_error_at(
		    err, -EINVAL, p->irq->number, VMM_FDT_SPI_FIRST, p->irq->number,
		    "device tree: %s has interrupt %u, shared ones are "
		    "%u to %u",
		    name_of(p).text, p->irq->number, VMM_FDT_SPI_FIRST, VMM_FDT_SPI_LAST);
	if (p->irq && check_trigger(p->irq, name_of(p).text, err) < 0)
		return -EINVAL;
	return check_against_ram(m, p, err);
}

static int check_parts(const struct vmm_fdt_machine *m, struct vmm_error *err)
{
	size_t count = count_parts(m);
	int ret = 0;

	for (size_t i = 0; i < count && ret == 0; i++) {
		struct part a, b = get_part(m, i);

		ret = check_part(m, &b, err);
		for (size_t j = 0; j < i && ret == 0; j++) {
			a = get_part(m, j);
			ret = check_pair(&a, &b, err);
		}
	}
	return ret;
}

static int check_map(const struct vmm_load_map *map, struct vmm_error *err)
{
	uint64_t last;
	bool ram = false;

	if (!map)
		return vmm_error_set(err, -EINVAL, "device tree: no map of the RAM");
	if (map->count > VMM_LOAD_MAP_MAX)
		return vmm_error_at(err, -EINVAL, 0, VMM_LOAD_MAP_MAX, map->count,
				    "device tree: a map of %u entries, the limit is %u",
				    map->count, VMM_LOAD_MAP_MAX);
	for (uint32_t i = 0; i < map->count; i++) {
		const struct vmm_load_map_entry *e = &map->entry[i];

		if (e->len == 0 || range_last(e->gpa, e->len, &last))
			return vmm_error_at(
			    err, -EINVAL, e->gpa, 1, e->len,
			    "device tree: entry %u of the map has %" PRIu64
			    " bytes at 0x%" PRIx64,
			    i, e->len, e->gpa);
		ram |= e->type == VMM_LOAD_MAP_RAM || e->type == VMM_LOAD_MAP_TAKEN;
	}
	return ram ? 0 : vmm_error_set(err, -EINVAL, "device tree: a map without RAM");
}

/* Whether each byte is RAM, taken or not. */
static bool is_ram(const struct vmm_load_map *map, uint64_t gpa, uint64_t last)
{
	for (uint32_t i = 0; i < map->count; i++) {
		const struct vmm_load_map_entry *e = &map->entry[i];
		uint64_t e_last = e->gpa + (e->len - 1);

		if ((e->type != VMM_LOAD_MAP_RAM && e->type != VMM_LOAD_MAP_TAKEN) ||
		    gpa < e->gpa || gpa > e_last)
			continue;
		if (last <= e_last)
			return true;
		gpa = e_last + 1;
	}
	return false;
}

static int check_memory(const struct vmm_fdt_machine *m, struct vmm_error *err)
{
	const struct vmm_load_range *r = &m->initrd;
	int ret = check_map(m->map, err);
	uint64_t last;

	if (ret < 0 || r->len == 0)
		return ret;
	if (!range_last(r->gpa, r->len, &last) && is_ram(m->map, r->gpa, last))
		return 0;
	return vmm_error_at(err, -EINVAL, r->gpa, 0, r->len,
			    "device tree: an initrd of %" PRIu64 " bytes at 0x%" PRIx64
			    " is not in RAM",
			    r->len, r->gpa);
}

int fdt_machine_check(const struct vmm_fdt_machine *m, struct vmm_error *err)
{
	int ret;

	if (m->gic.reserved_)
		return vmm_error_at(err, -EINVAL, 0, 0, m->gic.reserved_,
				    "device tree: a reserved member is not zero");
	if (m->gic.version < 2 || m->gic.version > 3)
		return vmm_error_at(err, -EINVAL, 0, 3, m->gic.version,
				    "device tree: version %u of the GIC is not 2 or 3",
				    m->gic.version);
	if (m->uart_count > DEVICES_MAX ||
	    m->virtio_mmio_count > DEVICES_MAX - m->uart_count)
		return vmm_error_at(err, -E2BIG, 0, DEVICES_MAX, m->virtio_mmio_count,
				    "device tree: more than %u UARTs and virtio devices",
				    DEVICES_MAX);
	ret = check_texts(m, err);
	if (ret == 0)
		ret = check_cpus(m, err);
	if (ret == 0)
		ret = check_gic(m, err);
	if (ret == 0)
		ret = check_privates(m, err);
	if (ret == 0)
		ret = check_devices(m, err);
	if (ret == 0)
		ret = check_memory(m, err);
	return ret < 0 ? ret : check_parts(m, err);
}

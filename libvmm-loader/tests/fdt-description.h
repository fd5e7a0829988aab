/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef FDT_DESCRIPTION_H
#define FDT_DESCRIPTION_H

#include <vmm/fdt.h>
#include <vmm/loader-arm64.h>

enum { DESCRIBED_CPUS = 3, DESCRIBED_UARTS = 2, DESCRIBED_VIRTIO = 2 };

/* A machine with some of everything, and the arrays that it points to, for a test to
 * change. */
struct description {
	struct vmm_fdt_machine m;
	struct vmm_load_map map;
	uint64_t mpidrs[DESCRIBED_CPUS];
	struct vmm_fdt_uart uarts[DESCRIBED_UARTS];
	struct vmm_fdt_virtio_mmio virtio[DESCRIBED_VIRTIO];
	uint8_t seed[16];
};

static inline void describe_devices(struct description *d)
{
	d->uarts[0] = (struct vmm_fdt_uart){
		VMM_FDT_UART_16550A, 1843200, 0x9000000, 0x1000, { 33, VMM_FDT_EDGE }
	};
	d->uarts[1] = (struct vmm_fdt_uart){
		VMM_FDT_UART_PL011, 0, 0x9020000, 0x1000, { 35, VMM_FDT_LEVEL }
	};
	for (uint32_t i = 0; i < DESCRIBED_VIRTIO; i++)
		d->virtio[i] = (struct vmm_fdt_virtio_mmio){ 0xa000000 + 0x1000 * i,
							     0x1000,
							     { 48 + i, VMM_FDT_EDGE } };
	d->m.uarts = d->uarts;
	d->m.uart_count = DESCRIBED_UARTS;
	d->m.stdout_uart = 0;
	d->m.stdout_options = "115200n8";
	d->m.rtc_gpa = 0x9010000;
	d->m.rtc_irq = (struct vmm_fdt_irq){ 34, VMM_FDT_LEVEL };
	d->m.virtio_mmio = d->virtio;
	d->m.virtio_mmio_count = DESCRIBED_VIRTIO;
}

static inline void describe_machine(struct description *d)
{
	static const struct vmm_fdt_machine none = VMM_FDT_MACHINE_INIT;

	*d = (struct description){ .m = none, .mpidrs = { 0, 1, 0x100 } };
	d->map.count = 2;
	d->map.entry[0] = (struct vmm_load_map_entry){ VMM_LOAD_ARM64_RAM, 128 << 20,
						       VMM_LOAD_MAP_RAM, 0 };
	d->map.entry[1] = (struct vmm_load_map_entry){ VMM_LOAD_ARM64_RAM + (128 << 20),
						       128 << 20, VMM_LOAD_MAP_TAKEN, 0 };
	d->m.cpu_count = DESCRIBED_CPUS;
	d->m.mpidrs = d->mpidrs;
	d->m.hypervisor = "linux,kvm";
	d->m.map = &d->map;
	d->m.initrd = (struct vmm_load_range){ 0x88000000, 0x1234 };
	d->m.cmdline = "console=ttyS0 quiet";
	for (uint8_t i = 0; i < sizeof(d->seed); i++)
		d->seed[i] = i;
	d->m.rng_seed = d->seed;
	d->m.rng_seed_len = sizeof(d->seed);
	d->m.kaslr_seed = UINT64_C(0x1122334455667788);
	d->m.gic = (struct vmm_fdt_gic){ 3,
					 0,
					 VMM_LOAD_ARM64_GIC_DIST,
					 0,
					 VMM_LOAD_ARM64_GIC_REDIST,
					 DESCRIBED_CPUS * 0x20000 };
	d->m.pmu = (struct vmm_fdt_irq){ 23, VMM_FDT_LEVEL };
	describe_devices(d);
}

static inline void describe_gicv2(struct description *d)
{
	d->m.gic =
	    (struct vmm_fdt_gic){ 2, 0, VMM_LOAD_ARM64_GIC_DIST, VMM_LOAD_ARM64_GIC_CPU,
				  0, 0 };
}

/* The machine and nothing else. */
static inline void put_description(struct vmm_fdt *fdt, const struct vmm_fdt_machine *m)
{
	uint32_t root = vmm_fdt_begin_node(fdt, "");

	vmm_fdt_put_machine(fdt, m);
	vmm_fdt_end_node(fdt, root);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The exits of a vCPU, carried to a device, and its interrupt carried back. The back end
 * here prints; with KVM its callbacks are KVM_IRQ_LINE, KVM_SIGNAL_MSI and
 * KVM_SET_GSI_ROUTING, and vmm_irq_fds in front of it writes to irqfds.
 */
#include <stdio.h>
#include <string.h>
#include <vmm/device.h>

/* A counter with one register: reading it adds one and raises the line, writing it sets
 * it and lowers the line. */
struct counter {
	uint32_t value;
	struct vmm_irq_line irq;
};

static void counter_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	struct counter *c = ctx;

	c->value++;
	memcpy(data, &c->value, len);
	vmm_irq_line_set(&c->irq, true);
}

static void counter_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct counter *c = ctx;

	memcpy(&c->value, data, len);
	vmm_irq_line_set(&c->irq, false);
}

static int print_level(void *ctx, uint32_t gsi, bool level)
{
	printf("GSI %u %s\n", gsi, level ? "up" : "down");
	return 0;
}

int main(void)
{
	VMM_CLEANUP(vmm_bus_free) struct vmm_bus *bus = NULL;
	VMM_CLEANUP(vmm_irq_router_free) struct vmm_irq_router *router = NULL;
	VMM_CLEANUP(vmm_irq_source_free) struct vmm_irq_source *source = NULL;
	struct vmm_irq_backend backend = VMM_IRQ_BACKEND_INIT;
	struct vmm_bus_range range = VMM_BUS_RANGE_INIT;
	struct vmm_bus_ops ops = VMM_BUS_OPS_INIT;
	struct vmm_bus_reader *vcpu = NULL;
	struct counter counter = { .value = 41 };
	struct vmm_error err;
	uint32_t value = 0;

	backend.set_level = print_level;
	if (vmm_irq_router_new(&backend, NULL, 24, &router) < 0 ||
	    vmm_irq_source_new(router, 5, VMM_IRQ_LEVEL, &source) < 0)
		return 1;
	counter.irq = vmm_irq_source_get_line(source);

	ops.read = counter_read;
	ops.write = counter_write;
	range.base = 0xd0000000;
	range.len = 4;
	range.ops = &ops;
	range.ctx = &counter;
	range.widths = VMM_BUS_WIDTH_4;
	if (vmm_bus_new(UINT64_MAX, &bus) < 0)
		return 1;
	if (vmm_bus_add_ranges(bus, &range, 1, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}

	/* One reader for each vCPU thread. */
	if (vmm_bus_reader_new(bus, &vcpu) < 0)
		return 1;
	(void)vmm_bus_reader_read(vcpu, 0xd0000000, &value, 4);
	printf("read %u\n", value);
	value = 0;
	(void)vmm_bus_reader_write(vcpu, 0xd0000000, &value, 4);
	/* The guest moves the BAR; nobody is at the old place any more. */
	if (vmm_bus_move(bus, 0xd0000000, 0xe0000000, &counter) < 0)
		return 1;
	(void)vmm_bus_reader_read(vcpu, 0xd0000000, &value, 4);
	printf("read 0x%x\n", value);
	vmm_bus_reader_free(vcpu);
	return value == UINT32_MAX ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vmm/allocator.h>

#include "virtio.h"

enum { SLOTS_MAX = 32 };

struct slot {
	struct virtio_device device;
	struct vmm_virtio_mmio *mmio;
	struct virtio_place place;
	int irq_fd;
};

struct virtio {
	struct machine *machine;
	/* The devices' place at guest memory, held as long as they live. */
	struct vmm_mem_reader *memory;
	const struct vmm_mem *mem;
	struct vmm_alloc_ranges *windows;
	struct vmm_alloc_ids *gsis;
	size_t count;
	struct slot slots[SLOTS_MAX];
};

static void on_irq(void *ctx, bool level)
{
	const struct slot *slot = ctx;

	/* The guest is told of an edge interrupt, so only the rise counts. */
	if (level)
		(void)eventfd_write(slot->irq_fd, 1);
}

static void bus_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	vmm_virtio_mmio_read(ctx, offset, data, len);
}

static void bus_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	vmm_virtio_mmio_write(ctx, offset, data, len);
}

static const struct vmm_bus_ops bus_ops = { sizeof(bus_ops), bus_read, bus_write };

static int make_transport(struct virtio *virtio, struct slot *slot, struct vmm_error *err)
{
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;

	opts.mem = virtio->mem;
	opts.set_irq = on_irq;
	opts.irq_ctx = slot;
	return vmm_virtio_mmio_new(&opts, slot->device.device, &slot->mmio, err);
}

static int find_place(struct virtio *virtio, struct virtio_place *place)
{
	struct vmm_alloc_request request = VMM_ALLOC_REQUEST_INIT;
	int ret = vmm_alloc_ids_take(virtio->gsis, &place->gsi);

	request.len = VMM_VIRTIO_MMIO_LEN;
	request.align = VMM_VIRTIO_MMIO_LEN;
	if (ret == 0)
		ret = vmm_alloc_ranges_take(virtio->windows, &request, &place->gpa);
	return ret;
}

/* KVM turns the driver's notifications into eventfds, without an exit to us. */
static int add_doorbells(struct virtio *virtio, const struct slot *slot)
{
	uint32_t count = slot->device.get_doorbell ? slot->device.device->queue_n : 0;
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < count; i++) {
		struct vmm_kvm_ioeventfd ioeventfd = VMM_KVM_IOEVENTFD_INIT;
		struct vmm_virtio_doorbell doorbell;

		ret = vmm_virtio_mmio_get_doorbell(slot->mmio, i, &doorbell);
		ioeventfd.addr = slot->place.gpa + doorbell.offset;
		ioeventfd.len = doorbell.width;
		ioeventfd.match = doorbell.value;
		ioeventfd.has_match = doorbell.match;
		ioeventfd.fd = slot->device.get_doorbell(slot->device.object, i);
		if (ret == 0 && ioeventfd.fd >= 0)
			ret = vmm_kvm_vm_add_ioeventfd(virtio->machine->vm, &ioeventfd);
	}
	return ret;
}

static int connect_slot(struct virtio *virtio, struct slot *slot)
{
	struct machine *machine = virtio->machine;
	int ret = find_place(virtio, &slot->place);

	if (ret < 0)
		return ret;
	slot->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (slot->irq_fd < 0)
		return -errno;
	ret = vmm_kvm_vm_add_irqfd(machine->vm, slot->irq_fd, slot->place.gsi);
	if (ret == 0)
		ret = vmm_bus_add(machine->mmio, slot->place.gpa, VMM_VIRTIO_MMIO_LEN,
				  &bus_ops, slot->mmio);
	return ret == 0 ? add_doorbells(virtio, slot) : ret;
}

int virtio_add(struct virtio *virtio, const struct virtio_device *device,
	       struct vmm_error *err)
{
	struct slot *slot;
	int ret;

	if (virtio->count == SLOTS_MAX) {
		device->free(device->object);
		return vmm_error_set(err, -ENOSPC, "%s: more than %d virtio devices",
				     device->name, SLOTS_MAX);
	}
	slot = &virtio->slots[virtio->count++];
	slot->device = *device;
	slot->irq_fd = -1;
	ret = make_transport(virtio, slot, err);
	if (ret < 0)
		return ret;
	ret = connect_slot(virtio, slot);
	if (ret == -ENOSPC)
		return vmm_error_set(err, ret, "%s: no interrupt is left for it",
				     device->name);
	return ret < 0 ? vmm_error_set(err, ret, "%s: %s", device->name, strerror(-ret))
		       : 0;
}

static int add_all(struct virtio *virtio, struct vmm_error *err)
{
	const struct machine_desc *desc = virtio->machine->desc;
	int ret = 0;

	for (uint32_t i = 0; ret == 0 && i < desc->disk_count; i++)
		ret = disk_add(virtio, &desc->disks[i], err);
	for (uint32_t i = 0; ret == 0 && i < desc->nic_count; i++)
		ret = nic_add(virtio, &desc->nics[i], err);
	if (ret == 0 && desc->vsock.cid)
		ret = vsock_add(virtio, &desc->vsock, err);
	if (ret == 0 && desc->virtio_console)
		ret = hvc_add(virtio, virtio->machine->console, err);
	if (ret == 0 && desc->rng)
		ret = rng_add(virtio, err);
	if (ret == 0 && desc->balloon)
		ret = balloon_add(virtio, err);
	return ret == 0 ? board_add_virtio(virtio, err) : ret;
}

int virtio_new(struct machine *machine, struct vmm_error *err)
{
	struct virtio *virtio = calloc(1, sizeof(*virtio));
	int ret;

	if (!virtio)
		return vmm_error_set(err, -ENOMEM, "virtio: out of memory");
	machine->virtio = virtio;
	virtio->machine = machine;

	ret = vmm_mem_space_add_reader(machine->space, "virtio", &virtio->memory);
	if (ret == 0)
		ret = board_get_places(&virtio->windows, &virtio->gsis);
	if (ret < 0)
		return vmm_error_set(err, ret, "virtio: %s", strerror(-ret));
	virtio->mem = vmm_mem_reader_begin(virtio->memory);
	return add_all(virtio, err);
}

static void free_slot(struct slot *slot)
{
	vmm_virtio_mmio_free(slot->mmio);
	slot->device.free(slot->device.object);
	if (slot->irq_fd >= 0)
		(void)close(slot->irq_fd);
}

void virtio_free(struct virtio *virtio)
{
	if (!virtio)
		return;
	while (virtio->count > 0)
		free_slot(&virtio->slots[--virtio->count]);
	vmm_alloc_ids_free(virtio->gsis);
	vmm_alloc_ranges_free(virtio->windows);
	if (virtio->memory)
		vmm_mem_space_remove_reader(virtio->machine->space, virtio->memory);
	free(virtio);
}

void virtio_pause(struct virtio *virtio)
{
	for (size_t i = 0; virtio && i < virtio->count; i++)
		vmm_virtio_mmio_pause(virtio->slots[i].mmio);
}

void virtio_resume(struct virtio *virtio)
{
	for (size_t i = 0; virtio && i < virtio->count; i++)
		vmm_virtio_mmio_resume(virtio->slots[i].mmio);
}

struct vmm_virtio_transport *virtio_get_transport(struct virtio *virtio, size_t index)
{
	return vmm_virtio_mmio_get_transport(virtio->slots[index].mmio);
}

const struct vmm_mem *virtio_get_mem(struct virtio *virtio)
{
	return virtio->mem;
}

size_t virtio_get_count(const struct virtio *virtio)
{
	return virtio->count;
}

struct virtio_place virtio_get_place(const struct virtio *virtio, size_t index)
{
	return virtio->slots[index].place;
}

const struct virtio_device *virtio_get_device(const struct virtio *virtio, size_t index)
{
	return &virtio->slots[index].device;
}

const char *virtio_get_name(const struct virtio *virtio, size_t index)
{
	const char *name = virtio->slots[index].device.name;

	return strncmp(name, "--", 2) == 0 ? name + 2 : name;
}

void virtio_get_queue_counters(const struct virtio *virtio, size_t index, uint32_t queue,
			       struct vmm_virtq_counters *out)
{
	vmm_virtq_get_counters(
	    vmm_virtio_mmio_get_queue(virtio->slots[index].mmio, queue), out);
}

struct machine *virtio_get_machine(struct virtio *virtio)
{
	return virtio->machine;
}

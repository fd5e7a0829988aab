/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmm/virtio-blk.h>

#include "virtio.h"

/* A disk, served by threads of the device's own. */
struct disk {
	const struct disk_desc *desc;
	struct vmm_virtio_blk *device;
	struct vmm_virtio_rate *rate;
	int fd;
};

static void disk_free(void *object)
{
	struct disk *disk = object;

	vmm_virtio_blk_free(disk->device);
	vmm_virtio_rate_free(disk->rate);
	if (disk->fd >= 0)
		(void)close(disk->fd);
	free(disk);
}

static int open_image(const struct disk_desc *desc, int *out_fd, struct vmm_error *err)
{
	uint32_t flags = (desc->readonly ? VMM_VIRTIO_BLK_IMAGE_READONLY : 0) |
			 (desc->direct ? VMM_VIRTIO_BLK_IMAGE_DIRECT : 0);
	int ret = vmm_virtio_blk_open_image(desc->path, flags, out_fd, err);

	if (ret == -EBUSY && !desc->readonly)
		return vmm_error_set(err, ret,
				     "%.160s: another process uses it; share it with ,ro",
				     desc->path);
	return ret;
}

static int make_rate(const struct disk_desc *desc, struct vmm_virtio_rate **out,
		     struct vmm_error *err)
{
	struct vmm_virtio_rate_config config = VMM_VIRTIO_RATE_CONFIG_INIT;

	if (desc->bytes_per_second == 0 && desc->ops_per_second == 0)
		return 0;
	config.bytes_per_s = desc->bytes_per_second;
	config.ops_per_s = desc->ops_per_second;
	return vmm_virtio_rate_new(&config, out, err);
}

static int disk_new(struct disk *disk, const struct disk_desc *desc,
		    struct vmm_error *err)
{
	struct vmm_virtio_blk_opts opts = VMM_VIRTIO_BLK_OPTS_INIT;
	int ret = open_image(desc, &disk->fd, err);

	if (ret < 0)
		return ret;
	ret = make_rate(desc, &disk->rate, err);
	if (ret < 0)
		return ret;
	opts.fd = disk->fd;
	opts.rate = disk->rate;
	opts.id = desc->id[0] ? desc->id : NULL;
	opts.queue_n = desc->queues;
	opts.threads = desc->queues;
	opts.readonly = desc->readonly;
	opts.discard = !desc->readonly;
	return vmm_virtio_blk_new(&opts, &disk->device, err);
}

static int get_doorbell(void *object, uint32_t queue)
{
	const struct disk *disk = object;

	return vmm_virtio_blk_get_doorbell(disk->device, queue);
}

int disk_add(struct virtio *virtio, const struct disk_desc *desc, struct vmm_error *err)
{
	struct virtio_device device = {
		.name = "--disk",
		.detail = desc->path,
		.free = disk_free,
		.get_doorbell = get_doorbell,
	};
	struct disk *disk = calloc(1, sizeof(*disk));
	int ret;

	if (!disk)
		return vmm_error_set(err, -ENOMEM, "--disk: out of memory");
	disk->desc = desc;
	disk->fd = -1;
	ret = disk_new(disk, desc, err);
	if (ret < 0) {
		disk_free(disk);
		return ret;
	}
	device.object = disk;
	device.device = vmm_virtio_blk_get_device(disk->device);
	return virtio_add(virtio, &device, err);
}

/* The one that the guest has as vda, vdb and so on, or that has this id. */
static size_t find_disk(const struct virtio *virtio, const char *name)
{
	char letters[] = "vda";
	size_t i = 0;

	for (; i < virtio_get_count(virtio); i++) {
		const struct virtio_device *device = virtio_get_device(virtio, i);
		const struct disk *disk = device->object;

		if (device->free != disk_free)
			continue;
		if (strcmp(name, letters) == 0 || strcmp(name, disk->desc->id) == 0)
			break;
		letters[2]++; /* there are not more than letters */
	}
	return i;
}

int disk_resize(struct virtio *virtio, const char *name, uint64_t *bytes,
		struct vmm_error *err)
{
	size_t index = find_disk(virtio, name);
	struct vmm_error why = { 0 };
	const struct disk *disk;
	off_t size;
	int ret;

	if (index == virtio_get_count(virtio))
		return vmm_error_set(err, -ENOENT, "this machine has no disk '%s'", name);
	disk = virtio_get_device(virtio, index)->object;
	ret = vmm_virtio_blk_resize(disk->device, virtio_get_transport(virtio, index),
				    *bytes, &why);
	if (ret < 0)
		return vmm_error_set(err, ret, "'%s': %.200s", name, why.message);
	size = lseek(disk->fd, 0, SEEK_END);
	if (size >= 0)
		*bytes = (uint64_t)size;
	return 0;
}

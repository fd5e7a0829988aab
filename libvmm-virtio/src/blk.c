/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The block device as its transport sees it, and how it is made. */
#include <endian.h>
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "blk.h"
#include "options.h"

#define QUEUE_DEFAULT 128u
#define IO_THREADS_DEFAULT 4u
/* Largest ring of io_uring that is asked for; more requests wait in guest memory. */
#define RING_MAX 1024u

static int activate(void *ctx, const struct vmm_virtio_activation *a)
{
	struct vmm_virtio_blk *blk = ctx;

	blk->features = a->features[0];
	blk->transport = a->transport;
	blk->vqs = a->queues;
	for (uint32_t i = 0; i < blk->queue_n; i++) {
		int ret = vmm_virtq_is_enabled(a->queues[i])
			      ? blk_queue_start(&blk->queues[i], a->queues[i])
			      : 0;

		if (ret < 0)
			return ret;
	}
	return 0;
}

static void reset(void *ctx)
{
	static const uint8_t on = 1;
	struct vmm_virtio_blk *blk = ctx;

	for (uint32_t i = 0; i < blk->queue_n; i++)
		blk_queue_stop(&blk->queues[i]);
	__atomic_store_n(&blk->writeback, true, __ATOMIC_RELAXED);
	if (vmm_virtio_transport_set_config(blk->transport, BLK_CONFIG_WRITEBACK, &on,
					    1) < 0)
		vmm_virtio_transport_needs_reset(blk->transport);
	blk->transport = NULL;
	__atomic_store_n(&blk->paused, false, __ATOMIC_RELAXED);
}

static void queue_notify(void *ctx, uint32_t index)
{
	const struct vmm_virtio_blk *blk = ctx;

	blk_queue_ring(&blk->queues[index]);
}

static void queue_reset(void *ctx, uint32_t index)
{
	struct vmm_virtio_blk *blk = ctx;

	blk_queue_stop(&blk->queues[index]);
}

static void queue_enable(void *ctx, uint32_t index)
{
	struct vmm_virtio_blk *blk = ctx;

	if (blk_queue_start(&blk->queues[index], blk->vqs[index]) < 0)
		vmm_virtio_transport_needs_reset(blk->transport);
}

/* A driver that gives up its cache will not flush it any more: what is in there becomes
 * durable now. It happens once in a driver's life, if ever, so the vCPU can wait. */
static void set_writeback(struct vmm_virtio_blk *blk, bool on)
{
	struct vmm_virtio_blk_io flush = { .op = VMM_VIRTIO_BLK_FLUSH };
	bool was = __atomic_exchange_n(&blk->writeback, on, __ATOMIC_RELAXED);

	/* A failure is remembered by the file. */
	if (was && !on && blk->engine.kind != VMM_VIRTIO_BLK_ENGINE_CALLER)
		(void)blk_file_do(&blk->file, &flush);
}

static void config_written(void *ctx, uint32_t offset, const void *data, uint32_t len)
{
	const uint8_t *bytes = data;

	if (offset <= BLK_CONFIG_WRITEBACK && BLK_CONFIG_WRITEBACK - offset < len)
		set_writeback(ctx, bytes[BLK_CONFIG_WRITEBACK - offset] & 1);
}

static void on_pause(void *ctx)
{
	blk_pause(ctx);
}

static void on_resume(void *ctx)
{
	blk_resume(ctx);
}

static int restore(void *ctx, struct vmm_virtio_transport *transport,
		   const struct vmm_virtio_activation *a, const void *data, size_t len)
{
	struct vmm_virtio_blk *blk = ctx;
	uint64_t sectors;
	uint8_t writeback;
	int ret;

	pthread_mutex_lock(&blk->capacity_lock);
	ret = blk_load(blk, data, len);
	sectors = htole64(blk->sectors);
	writeback = blk->writeback;
	/* For the reset that follows a failure. */
	blk->transport = a ? transport : NULL;
	if (ret == 0)
		ret = vmm_virtio_transport_sync_config(transport, 0, &sectors,
						       sizeof(sectors));
	pthread_mutex_unlock(&blk->capacity_lock);
	if (ret == 0)
		ret = vmm_virtio_transport_sync_config(transport, BLK_CONFIG_WRITEBACK,
						       &writeback, 1);
	if (ret < 0 || !a)
		return ret;
	blk_pause(blk);
	return activate(blk, a);
}

static const struct vmm_virtio_device_ops blk_ops = {
	.size = sizeof(blk_ops),
	.activate = activate,
	.reset = reset,
	.queue_notify = queue_notify,
	.queue_reset = queue_reset,
	.queue_enable = queue_enable,
	.config_written = config_written,
	.pause = on_pause,
	.resume = on_resume,
	.save = blk_save,
	.restore = restore,
};

static void put16(struct vmm_virtio_blk *blk, uint32_t at, uint16_t value)
{
	value = htole16(value);
	memcpy(blk->config + at, &value, sizeof(value));
}

static void put32(struct vmm_virtio_blk *blk, uint32_t at, uint32_t value)
{
	value = htole32(value);
	memcpy(blk->config + at, &value, sizeof(value));
}

static uint16_t in_blocks(uint32_t bytes, uint32_t block_size)
{
	uint32_t n = bytes / block_size;

	return (uint16_t)(n < UINT16_MAX ? n : UINT16_MAX);
}

static void fill_config(struct vmm_virtio_blk *blk, const struct vmm_virtio_blk_opts *o)
{
	uint64_t sectors = htole64(blk->sectors);
	uint32_t seg_max = o->queue_max - 2,
		 align = o->block_size / VMM_VIRTIO_BLK_SECTOR;

	memcpy(blk->config, &sectors, sizeof(sectors));
	put32(blk, 12,
	      seg_max < VMM_VIRTIO_BLK_SEG_MAX ? seg_max : VMM_VIRTIO_BLK_SEG_MAX);
	put32(blk, 20, o->block_size);
	blk->config[24] = (uint8_t)__builtin_ctz(o->physical_size / o->block_size);
	put16(blk, 26, in_blocks(o->min_io_size, o->block_size));
	put32(blk, 28, o->opt_io_size / o->block_size);
	blk->config[BLK_CONFIG_WRITEBACK] = 1;
	blk->writable[BLK_CONFIG_WRITEBACK] = 1;
	put16(blk, 34, (uint16_t)o->queue_n);
	if (o->discard) {
		put32(blk, 36, BLK_RANGE_SECTORS);
		put32(blk, 40, 1);
		put32(blk, 44, align);
		put32(blk, 48, BLK_RANGE_SECTORS);
		put32(blk, 52, 1);
		blk->config[56] = 1;
	}
	if (o->secure_erase) {
		put32(blk, 60, BLK_RANGE_SECTORS);
		put32(blk, 64, 1);
		put32(blk, 68, align);
	}
}

static void describe(struct vmm_virtio_blk *blk, const struct vmm_virtio_blk_opts *o)
{
	static const struct vmm_virtio_device blank = VMM_VIRTIO_DEVICE_INIT;

	blk->device = blank;
	blk->device.id = VMM_VIRTIO_ID_BLK;
	blk->device.queue_n = o->queue_n;
	blk->device.queue_max = blk->queue_max;
	blk->device.features[0] = o->features | BLK_F_SEG_MAX | BLK_F_BLK_SIZE |
				  BLK_F_FLUSH | BLK_F_TOPOLOGY | BLK_F_CONFIG_WCE |
				  (o->readonly ? BLK_F_RO : 0) |
				  (o->queue_n > 1 ? BLK_F_MQ : 0) |
				  (o->discard ? BLK_F_DISCARD | BLK_F_WRITE_ZEROES : 0) |
				  (o->lifetime ? BLK_F_LIFETIME : 0) |
				  (o->secure_erase ? BLK_F_SECURE_ERASE : 0);
	blk->device.config = blk->config;
	blk->device.config_writable = blk->writable;
	blk->device.config_len = BLK_CONFIG_LEN;
	blk->device.ops = &blk_ops;
	blk->device.ctx = blk;
}

static bool is_power_of_2(uint32_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/* What a block device says about itself, where the VMM said nothing and it fits. */
static void ask_device(const struct blk_file *f, struct vmm_virtio_blk_opts *o)
{
	unsigned physical, min, best;
	int logical;

	if (o->block_size == 0 && ioctl(f->fd, BLKSSZGET, &logical) == 0)
		o->block_size = (uint32_t)logical;
	if (o->block_size == 0)
		return;
	if (o->physical_size == 0 && ioctl(f->fd, BLKPBSZGET, &physical) == 0 &&
	    physical > o->block_size)
		o->physical_size = physical;
	if (o->min_io_size == 0 && ioctl(f->fd, BLKIOMIN, &min) == 0 &&
	    min % o->block_size == 0)
		o->min_io_size = min;
	if (o->opt_io_size == 0 && ioctl(f->fd, BLKIOOPT, &best) == 0 &&
	    best % o->block_size == 0)
		o->opt_io_size = best;
}

static int ask_file(const struct blk_file *f, struct vmm_virtio_blk_opts *o,
		    struct vmm_error *err)
{
	int ret = o->capacity == 0 ? blk_file_size(f, &o->capacity) : 0;

	if (ret < 0)
		return vmm_error_set(err, ret, "size of the disk image is unknown");
	if (o->secure_erase && !f->is_device)
		return vmm_error_set(err, -EOPNOTSUPP,
				     "only block devices erase securely");
	if (f->is_device)
		ask_device(f, o);
	if (o->block_size == 0 && f->offset_align > VMM_VIRTIO_BLK_SECTOR)
		o->block_size = f->offset_align;
	return 0;
}

/* What was not said by anyone, and whether it all fits together. */
static int check_sizes(struct vmm_virtio_blk_opts *o, struct vmm_error *err)
{
	if (o->block_size == 0)
		o->block_size = VMM_VIRTIO_BLK_SECTOR;
	if (o->physical_size == 0)
		o->physical_size = o->block_size;
	if (o->block_size < VMM_VIRTIO_BLK_SECTOR || !is_power_of_2(o->block_size) ||
	    o->physical_size < o->block_size || !is_power_of_2(o->physical_size))
		return vmm_error_at(err, -EINVAL, 0, 0, o->block_size,
				    "block size %u, physical %u", o->block_size,
				    o->physical_size);
	if (o->min_io_size % o->block_size != 0 || o->opt_io_size % o->block_size != 0)
		return vmm_error_at(err, -EINVAL, 0, o->block_size, o->min_io_size,
				    "transfer size not a multiple of the block size");
	return 0;
}

static int check_opts(struct vmm_virtio_blk_opts *o, struct vmm_error *err)
{
	if (o->queue_n == 0)
		o->queue_n = 1;
	if (o->queue_max == 0)
		o->queue_max = QUEUE_DEFAULT;
	if (o->io_threads == 0)
		o->io_threads = IO_THREADS_DEFAULT;
	if ((!o->backend && o->fd < 0) || (o->backend && o->capacity == 0))
		return vmm_error_set(err, -EINVAL,
				     "block device without back end or size");
	if (o->queue_n > VMM_VIRTIO_BLK_QUEUES_MAX || o->queue_max < 3 ||
	    o->queue_max > VMM_VIRTQ_SIZE_MAX)
		return vmm_error_at(err, -EINVAL, 0, 0, o->queue_max,
				    "block device with %u queues of %u", o->queue_n,
				    o->queue_max);
	if (o->threads > VMM_VIRTIO_BLK_THREADS_MAX ||
	    o->io_threads > VMM_VIRTIO_BLK_THREADS_MAX ||
	    o->engine > VMM_VIRTIO_BLK_ENGINE_URING)
		return vmm_error_at(err, -EINVAL, 0, 0, o->engine,
				    "block device with engine %u and %u + %u threads",
				    o->engine, o->threads, o->io_threads);
	return 0;
}

static int open_engine(struct vmm_virtio_blk *blk, const struct vmm_virtio_blk_opts *o)
{
	uint32_t entries = o->queue_max < RING_MAX ? o->queue_max : RING_MAX;
	int ret = -EOPNOTSUPP;

	if (o->engine == VMM_VIRTIO_BLK_ENGINE_SYNC) {
		blk_sync_open(blk, &blk->engine);
		return 0;
	}
	if (o->engine != VMM_VIRTIO_BLK_ENGINE_THREADS)
		ret = blk_uring_open(blk, entries, &blk->engine);
	if (ret == -EOPNOTSUPP && o->engine != VMM_VIRTIO_BLK_ENGINE_URING)
		ret = blk_pool_open(blk, o->io_threads, &blk->engine);
	return ret;
}

static int make_queues(struct vmm_virtio_blk *blk, const struct vmm_virtio_blk_opts *o)
{
	blk->queues = calloc(o->queue_n, sizeof(*blk->queues));
	if (!blk->queues)
		return -ENOMEM;
	while (blk->queue_n < o->queue_n) {
		uint32_t i = blk->queue_n++;
		int ret = blk_queue_init(&blk->queues[i], blk, i);

		if (ret < 0)
			return ret;
		blk->queue_max[i] = (uint16_t)o->queue_max;
	}
	return 0;
}

static int copy_backend(struct vmm_virtio_blk *blk, const struct vmm_virtio_blk_opts *o,
			struct vmm_error *err)
{
	struct vmm_virtio_blk_backend *b = &blk->engine.backend;
	int ret = options_copy(b, sizeof(*b), o->backend, o->backend->size);

	if (ret < 0 || !b->submit)
		return vmm_error_set(err, ret < 0 ? ret : -EINVAL,
				     "block back end of unknown layout");
	blk->engine.kind = VMM_VIRTIO_BLK_ENGINE_CALLER;
	blk->engine.ctx = o->backend_ctx;
	return 0;
}

/* All that can fail, in the order that things need each other. */
static int build(struct vmm_virtio_blk *blk, struct vmm_virtio_blk_opts *o,
		 struct vmm_error *err)
{
	int ret =
	    o->backend ? copy_backend(blk, o, err) : blk_file_open(&blk->file, o->fd);

	if (ret < 0)
		return o->backend ? ret
				  : vmm_error_set(err, ret, "disk image not usable");
	ret = o->backend ? 0 : ask_file(&blk->file, o, err);
	if (ret == 0)
		ret = check_sizes(o, err);
	if (ret < 0)
		return ret;
	blk->sectors = o->capacity / VMM_VIRTIO_BLK_SECTOR;
	blk->block_size = o->block_size;
	ret = make_queues(blk, o);
	if (ret == 0 && !o->backend)
		ret = open_engine(blk, o);
	if (ret == 0 && o->threads > 0)
		ret = blk_threads_start(blk, o->threads);
	return ret < 0 ? vmm_error_set(err, ret, "block device cannot be set up") : 0;
}

int vmm_virtio_blk_new(const struct vmm_virtio_blk_opts *opts,
		       struct vmm_virtio_blk **out, struct vmm_error *err)
{
	struct vmm_virtio_blk_opts o;
	struct vmm_virtio_blk *blk;
	int ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret < 0)
		return vmm_error_set(err, ret, "block device options of unknown layout");
	ret = check_opts(&o, err);
	if (ret < 0)
		return ret;
	blk = calloc(1, sizeof(*blk));
	if (!blk)
		return vmm_error_set(err, -ENOMEM, "no memory for a block device");

	blk->rate = o.rate;
	blk->readonly = o.readonly;
	blk->writeback = true;
	pthread_mutex_init(&blk->file.bounce_lock, NULL);
	pthread_mutex_init(&blk->capacity_lock, NULL);
	if (o.id)
		memcpy(blk->id, o.id, strnlen(o.id, sizeof(blk->id)));
	if (o.lifetime)
		vmm_virtio_blk_set_lifetime(blk, o.lifetime);
	ret = build(blk, &o, err);
	if (ret < 0) {
		vmm_virtio_blk_free(blk);
		return ret;
	}
	fill_config(blk, &o);
	describe(blk, &o);
	*out = blk;
	return 0;
}

void vmm_virtio_blk_free(struct vmm_virtio_blk *blk)
{
	if (!blk)
		return;
	blk_threads_stop(blk);
	if (blk->engine.close)
		blk->engine.close(blk->engine.ctx);
	for (uint32_t i = 0; i < blk->queue_n; i++)
		blk_queue_fini(&blk->queues[i]);
	free(blk->queues);
	blk_file_close(&blk->file);
	pthread_mutex_destroy(&blk->capacity_lock);
	pthread_mutex_destroy(&blk->file.bounce_lock);
	free(blk);
}

const struct vmm_virtio_device *vmm_virtio_blk_get_device(struct vmm_virtio_blk *blk)
{
	return &blk->device;
}

int vmm_virtio_blk_get_doorbell(const struct vmm_virtio_blk *blk, uint32_t queue)
{
	return queue < blk->queue_n ? blk->queues[queue].doorbell : -1;
}

int vmm_virtio_blk_get_fd(const struct vmm_virtio_blk *blk, uint32_t queue)
{
	return queue < blk->queue_n ? blk->queues[queue].poll : -1;
}

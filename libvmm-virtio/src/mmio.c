/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* virtio-mmio, version 2: virtio 1.2, 4.2.2. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "transport.h"

enum reg {
	REG_MAGIC = 0x000,
	REG_VERSION = 0x004,
	REG_DEVICE_ID = 0x008,
	REG_VENDOR_ID = 0x00c,
	REG_DEVICE_FEATURES = 0x010,
	REG_DEVICE_FEATURES_SEL = 0x014,
	REG_DRIVER_FEATURES = 0x020,
	REG_DRIVER_FEATURES_SEL = 0x024,
	REG_QUEUE_SEL = 0x030,
	REG_QUEUE_NUM_MAX = 0x034,
	REG_QUEUE_NUM = 0x038,
	REG_QUEUE_READY = 0x044,
	REG_QUEUE_NOTIFY = 0x050,
	REG_INTERRUPT_STATUS = 0x060,
	REG_INTERRUPT_ACK = 0x064,
	REG_STATUS = 0x070,
	REG_QUEUE_DESC_LOW = 0x080,
	REG_QUEUE_DESC_HIGH = 0x084,
	REG_QUEUE_DRIVER_LOW = 0x090,
	REG_QUEUE_DRIVER_HIGH = 0x094,
	REG_QUEUE_DEVICE_LOW = 0x0a0,
	REG_QUEUE_DEVICE_HIGH = 0x0a4,
	REG_SHM_SEL = 0x0ac,
	REG_SHM_LEN_LOW = 0x0b0,
	REG_SHM_LEN_HIGH = 0x0b4,
	REG_SHM_BASE_LOW = 0x0b8,
	REG_SHM_BASE_HIGH = 0x0bc,
	REG_QUEUE_RESET = 0x0c0,
	REG_CONFIG_GENERATION = 0x0fc,
	REG_CONFIG = 0x100,
};

#define MAGIC 0x74726976u
#define VERSION 2u

struct vmm_virtio_mmio {
	struct vmm_virtio_transport t;
	uint32_t vendor;
	uint32_t selectors[TRANSPORT_SELECTORS];
};

/* What the driver looks at in the windows of the register set. */
enum selector { SEL_DEVICE_FEATURES, SEL_DRIVER_FEATURES, SEL_QUEUE, SEL_SHM };

int vmm_virtio_mmio_new(const struct vmm_virtio_mmio_opts *opts,
			const struct vmm_virtio_device *device,
			struct vmm_virtio_mmio **out, struct vmm_error *err)
{
	struct vmm_virtio_mmio_opts o;
	struct vmm_virtio_mmio *mmio;
	int ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret < 0)
		return vmm_error_set(err, ret, "virtio-mmio options of unknown layout");
	if (!o.mem || o.reserved_ != 0)
		return vmm_error_set(err, -EINVAL, "virtio-mmio options lack memory");
	mmio = calloc(1, sizeof(*mmio));
	if (!mmio)
		return vmm_error_set(err, -ENOMEM, "no memory for a virtio transport");
	ret = transport_init(&mmio->t, device, err);
	if (ret < 0) {
		free(mmio);
		return ret;
	}
	mmio->vendor = o.vendor;
	mmio->t.mem = o.mem;
	mmio->t.set_irq = o.set_irq;
	mmio->t.irq_ctx = o.irq_ctx;
	*out = mmio;
	return 0;
}

void vmm_virtio_mmio_free(struct vmm_virtio_mmio *mmio)
{
	if (!mmio)
		return;
	transport_write_status(&mmio->t, 0);
	transport_fini(&mmio->t);
	free(mmio);
}

static const struct transport_queue *selected(const struct vmm_virtio_mmio *m)
{
	return m->selectors[SEL_QUEUE] < m->t.queue_n
		   ? &m->t.queues[m->selectors[SEL_QUEUE]]
		   : NULL;
}

/* A region that is not there has the length and the address -1 (4.2.2.1). */
static uint32_t read_shm(const struct vmm_virtio_mmio *m, uint32_t reg)
{
	uint64_t len = UINT64_MAX, gpa = UINT64_MAX, value;

	for (uint32_t i = 0; i < m->t.shm_n; i++) {
		if (m->t.shm[i].id == m->selectors[SEL_SHM]) {
			len = m->t.shm[i].len;
			gpa = m->t.shm[i].gpa;
		}
	}
	value = reg < REG_SHM_BASE_LOW ? len : gpa;
	return (uint32_t)(reg & 4 ? value >> 32 : value);
}

static uint32_t read_reg(struct vmm_virtio_mmio *m, uint32_t reg)
{
	const struct transport_queue *q = selected(m);

	switch (reg) {
	case REG_MAGIC:
		return MAGIC;
	case REG_VERSION:
		return VERSION;
	case REG_DEVICE_ID:
		return m->t.device_id;
	case REG_VENDOR_ID:
		return m->vendor;
	case REG_DEVICE_FEATURES:
		return transport_read_features(&m->t, m->selectors[SEL_DEVICE_FEATURES]);
	case REG_QUEUE_NUM_MAX:
		return q ? vmm_virtq_get_max(q->vq) : 0;
	case REG_QUEUE_READY:
		return q ? q->ready : 0;
	case REG_INTERRUPT_STATUS:
		return transport_read_isr(&m->t);
	case REG_STATUS:
		return vmm_virtio_transport_get_status(&m->t);
	case REG_SHM_LEN_LOW:
	case REG_SHM_LEN_HIGH:
	case REG_SHM_BASE_LOW:
	case REG_SHM_BASE_HIGH:
		return read_shm(m, reg);
	case REG_CONFIG_GENERATION:
		return transport_read_generation(&m->t);
	default:
		/* Also QueueReset: a reset is over before the driver can look. */
		return 0;
	}
}

static void set_half(uint64_t *whole, uint32_t reg, uint32_t value)
{
	unsigned int shift = reg & 4 ? 32 : 0;

	*whole = (*whole & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

static void write_queue(struct vmm_virtio_mmio *m, uint32_t reg, uint32_t value)
{
	struct vmm_virtq_config *regs =
	    transport_queue_regs(&m->t, m->selectors[SEL_QUEUE]);
	const struct transport_queue *q = selected(m);

	if (!regs || !q)
		return;
	switch (reg & ~4u) {
	case REG_QUEUE_DESC_LOW:
		set_half(&regs->desc, reg, value);
		break;
	case REG_QUEUE_DRIVER_LOW:
		set_half(&regs->driver, reg, value);
		break;
	case REG_QUEUE_DEVICE_LOW:
		set_half(&regs->device, reg, value);
		break;
	default:
		/* QueueNum. One that is refused leaves the old one. */
		if (value > 0 && value <= vmm_virtq_get_max(q->vq))
			regs->num = value;
	}
}

static void write_status(struct vmm_virtio_mmio *m, uint32_t value)
{
	transport_write_status(&m->t, value);
	if (value != 0)
		return;
	memset(m->selectors, 0, sizeof(m->selectors));
}

static bool has_notification_data(const struct vmm_virtio_mmio *m)
{
	return __atomic_load_n(&m->t.accepted[0], __ATOMIC_RELAXED) &
	       VMM_VIRTIO_F_NOTIFICATION_DATA;
}

static void write_reg(struct vmm_virtio_mmio *m, uint32_t reg, uint32_t value)
{
	switch (reg) {
	case REG_DEVICE_FEATURES_SEL:
		m->selectors[SEL_DEVICE_FEATURES] = value;
		break;
	case REG_DRIVER_FEATURES:
		transport_write_features(&m->t, m->selectors[SEL_DRIVER_FEATURES], value);
		break;
	case REG_DRIVER_FEATURES_SEL:
		m->selectors[SEL_DRIVER_FEATURES] = value;
		break;
	case REG_QUEUE_SEL:
		m->selectors[SEL_QUEUE] = value;
		break;
	case REG_QUEUE_NUM:
	case REG_QUEUE_DESC_LOW:
	case REG_QUEUE_DESC_HIGH:
	case REG_QUEUE_DRIVER_LOW:
	case REG_QUEUE_DRIVER_HIGH:
	case REG_QUEUE_DEVICE_LOW:
	case REG_QUEUE_DEVICE_HIGH:
		write_queue(m, reg, value);
		break;
	case REG_QUEUE_READY:
		transport_queue_ready(&m->t, m->selectors[SEL_QUEUE], value);
		break;
	case REG_QUEUE_NOTIFY:
		/* 4.2.3.3: with NOTIFICATION_DATA, the queue is in the lower half; how
		 * far the driver got in the upper we see in the ring. */
		transport_notify(&m->t,
				 has_notification_data(m) ? value & 0xffff : value);
		break;
	case REG_INTERRUPT_ACK:
		transport_ack_isr(&m->t, value);
		break;
	case REG_STATUS:
		write_status(m, value);
		break;
	case REG_SHM_SEL:
		m->selectors[SEL_SHM] = value;
		break;
	case REG_QUEUE_RESET:
		if (value == 1)
			transport_queue_reset(&m->t, m->selectors[SEL_QUEUE]);
		break;
	default:
		break;
	}
}

void vmm_virtio_mmio_read(struct vmm_virtio_mmio *mmio, uint64_t offset, void *data,
			  size_t len)
{
	uint32_t value;

	if (offset >= REG_CONFIG) {
		transport_read_config(&mmio->t, offset - REG_CONFIG, data, len);
		return;
	}
	memset(data, 0, len);
	if (len != sizeof(value) || offset % sizeof(value) != 0)
		return;
	pthread_mutex_lock(&mmio->t.lock);
	value = htole32(read_reg(mmio, (uint32_t)offset));
	pthread_mutex_unlock(&mmio->t.lock);
	memcpy(data, &value, sizeof(value));
}

void vmm_virtio_mmio_write(struct vmm_virtio_mmio *mmio, uint64_t offset,
			   const void *data, size_t len)
{
	uint32_t value;

	pthread_mutex_lock(&mmio->t.lock);
	if (offset >= REG_CONFIG) {
		transport_write_config(&mmio->t, offset - REG_CONFIG, data, len);
	} else if (len == sizeof(value) && offset % sizeof(value) == 0) {
		memcpy(&value, data, sizeof(value));
		write_reg(mmio, (uint32_t)offset, le32toh(value));
	}
	pthread_mutex_unlock(&mmio->t.lock);
}

struct vmm_virtio_transport *vmm_virtio_mmio_get_transport(struct vmm_virtio_mmio *mmio)
{
	return &mmio->t;
}

struct vmm_virtq *vmm_virtio_mmio_get_queue(struct vmm_virtio_mmio *mmio, uint32_t index)
{
	return index < mmio->t.queue_n ? mmio->t.queues[index].vq : NULL;
}

int vmm_virtio_mmio_get_doorbell(struct vmm_virtio_mmio *mmio, uint32_t queue,
				 struct vmm_virtio_doorbell *out)
{
	struct vmm_virtio_doorbell bell = {
		.offset = REG_QUEUE_NOTIFY,
		.value = queue,
		.width = 4,
		.queue = queue,
		.match = !has_notification_data(mmio),
	};

	if (queue >= mmio->t.queue_n)
		return -ENOENT;
	*out = bell;
	return 0;
}

int vmm_virtio_mmio_set_mem(struct vmm_virtio_mmio *mmio, const struct vmm_mem *mem)
{
	int ret;

	pthread_mutex_lock(&mmio->t.lock);
	ret = transport_set_mem(&mmio->t, mem);
	pthread_mutex_unlock(&mmio->t.lock);
	return ret;
}

void vmm_virtio_mmio_pause(struct vmm_virtio_mmio *mmio)
{
	pthread_mutex_lock(&mmio->t.lock);
	transport_pause(&mmio->t);
	pthread_mutex_unlock(&mmio->t.lock);
}

void vmm_virtio_mmio_resume(struct vmm_virtio_mmio *mmio)
{
	pthread_mutex_lock(&mmio->t.lock);
	transport_resume(&mmio->t);
	pthread_mutex_unlock(&mmio->t.lock);
}

int64_t vmm_virtio_mmio_save(struct vmm_virtio_mmio *mmio, void *buf, size_t size)
{
	int64_t ret;

	pthread_mutex_lock(&mmio->t.lock);
	ret = transport_save(&mmio->t, mmio->selectors, buf, size);
	pthread_mutex_unlock(&mmio->t.lock);
	return ret;
}

int vmm_virtio_mmio_restore(struct vmm_virtio_mmio *mmio, const void *data, size_t len,
			    struct vmm_error *err)
{
	int ret;

	pthread_mutex_lock(&mmio->t.lock);
	ret = transport_restore(&mmio->t, mmio->selectors, data, len, err);
	pthread_mutex_unlock(&mmio->t.lock);
	return ret;
}

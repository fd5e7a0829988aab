/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Making, enabling and resetting a queue. */
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "tell.h"
#include "virtq-setup.h"
#include "virtq.h"

int vmm_virtq_new(uint32_t max, struct vmm_virtq **out)
{
	struct vmm_virtq *q;

	if (max == 0 || max > VMM_VIRTQ_SIZE_MAX)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->max = max;
	*out = q;
	return 0;
}

void vmm_virtq_free(struct vmm_virtq *q)
{
	if (!q)
		return;
	vmm_virtq_reset(q);
	free(q);
}

/* virtio 1.2, 2.7 and 2.8: what each part is like. */
static void describe_parts(const struct vmm_virtq_config *c, struct virtq_part parts[3])
{
	uint64_t num = c->num;
	bool packed = c->features & VMM_VIRTIO_F_RING_PACKED;

	parts[0] = (struct virtq_part){ "descriptors", c->desc, 16 * num, 16, packed };
	parts[1] = (struct virtq_part){ "driver area", c->driver,
					packed ? 4 : 6 + 2 * num, packed ? 4 : 2, false };
	parts[2] = (struct virtq_part){ "device area", c->device,
					packed ? 4 : 6 + 8 * num, 4, true };
}

static bool is_readonly(const struct vmm_mem *mem, uint64_t gpa)
{
	for (size_t i = 0; i < vmm_mem_region_count(mem); i++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;

		if (vmm_mem_get_region(mem, i, &r) == 0 && gpa >= r.gpa &&
		    gpa - r.gpa < r.len)
			return r.flags & VMM_MEM_READONLY;
	}
	return false;
}

static int find_part(const struct vmm_mem *mem, struct virtq_part *part,
		     struct vmm_error *err)
{
	int ret;

	if (part->gpa % part->align != 0)
		return vmm_error_at(err, -EBADMSG, part->gpa, part->align, 0,
				    "virtqueue %s not aligned to %u", part->name,
				    part->align);
	ret = vmm_mem_get_ptr(mem, part->gpa, part->len, &part->host);
	if (ret < 0)
		return vmm_error_at(err, ret, part->gpa, part->len, 0,
				    "virtqueue %s not in one memory region", part->name);
	if (part->write && is_readonly(mem, part->gpa))
		return vmm_error_at(err, -EROFS, part->gpa, 0, 0,
				    "virtqueue %s in read-only memory", part->name);
	return 0;
}

/* Parts are in memory, so that neither end wraps. */
static bool overlap(const struct virtq_part *a, const struct virtq_part *b)
{
	return a->gpa <= b->gpa + (b->len - 1) && b->gpa <= a->gpa + (a->len - 1);
}

int virtq_find_parts(const struct vmm_mem *mem, const struct vmm_virtq_config *c,
		     struct virtq_part parts[3], struct vmm_error *err)
{
	describe_parts(c, parts);
	for (int i = 0; i < 3; i++) {
		int ret = find_part(mem, &parts[i], err);

		if (ret < 0)
			return ret;
		for (int j = 0; j < i; j++) {
			if (overlap(&parts[i], &parts[j]))
				return vmm_error_at(err, -EBADMSG, parts[i].gpa, 0, 0,
						    "virtqueue %s overlaps %s",
						    parts[i].name, parts[j].name);
		}
	}
	return 0;
}

int virtq_prepare(const struct vmm_virtq *q, const struct vmm_mem *mem,
		  const struct vmm_virtq_config *config, struct vmm_virtq_config *c,
		  struct virtq_part parts[3], struct vmm_error *err)
{
	int ret = options_copy(c, sizeof(*c), config, config->size);

	if (ret < 0)
		return vmm_error_set(err, ret,
				     "virtqueue configuration of unknown layout");
	if (c->reserved_ != 0)
		return vmm_error_set(err, -EINVAL, "virtqueue reserved field not 0");
	if (c->num == 0 || c->num > q->max)
		return vmm_error_at(err, -EBADMSG, 0, q->max, c->num,
				    "virtqueue size %u not in 1 to %u", c->num, q->max);
	if (!(c->features & VMM_VIRTIO_F_RING_PACKED) && (c->num & (c->num - 1)) != 0)
		return vmm_error_at(err, -EBADMSG, 0, 0, c->num,
				    "split virtqueue size %u not a power of two", c->num);
	return virtq_find_parts(mem, c, parts, err);
}

int vmm_virtq_check(const struct vmm_virtq *q, const struct vmm_mem *mem,
		    const struct vmm_virtq_config *config, struct vmm_error *err)
{
	struct virtq_part parts[3];
	struct vmm_virtq_config c;

	return virtq_prepare(q, mem, config, &c, parts, err);
}

static void set_parts(struct vmm_virtq *q, const struct virtq_part parts[3])
{
	q->desc = parts[0].host;
	q->driver = parts[1].host;
	q->device = parts[2].host;
}

static int allocate(struct vmm_virtq *q, const struct vmm_mem *mem, uint32_t num)
{
	uint32_t order = 1;
	int ret;

	while (order < num)
		order *= 2;
	q->order_mask = order - 1;
	q->slots = calloc(num, sizeof(*q->slots));
	q->order = calloc(order, sizeof(*q->order));
	q->redo = calloc(num, sizeof(*q->redo));
	q->table = calloc(num, sizeof(*q->table));
	if (!q->slots || !q->order || !q->redo || !q->table)
		return -ENOMEM;
	ret = virtq_log_new(mem, num, &q->log);
	return ret < 0 ? ret : virtq_map_build(mem, &q->regions, &q->region_n);
}

static void release(struct vmm_virtq *q)
{
	free(q->slots);
	free(q->order);
	free(q->redo);
	free(q->table);
	free(q->regions);
	virtq_log_free(q->log);
	q->slots = NULL;
	q->order = NULL;
	q->redo = NULL;
	q->table = NULL;
	q->regions = NULL;
	q->region_n = 0;
	q->log = NULL;
}

static void set_plain(struct vmm_virtq *q)
{
	bool plain = !q->in_order && !q->log;

	q->plain = plain && !q->packed;
	q->packed_plain = plain && q->packed;
}

static void start_region(struct vmm_virtq *q)
{
	q->mru = q->regions[0];
	q->mru.readonly |= q->log != NULL;
}

/* Go over to another log, or none. */
static void lose_log(struct vmm_virtq *q, struct virtq_log *log)
{
	virtq_log_mark_all(q);
	virtq_log_free(q->log);
	q->log = log;
	set_plain(q);
}

int vmm_virtq_enable(struct vmm_virtq *q, const struct vmm_mem *mem,
		     const struct vmm_virtq_config *config, struct vmm_error *err)
{
	struct virtq_part parts[3];
	struct vmm_virtq_config c;
	int ret;

	if (q->enabled)
		return vmm_error_set(err, -EBUSY, "virtqueue is enabled");
	ret = virtq_prepare(q, mem, config, &c, parts, err);
	if (ret < 0)
		return ret;
	ret = allocate(q, mem, c.num);
	if (ret < 0) {
		release(q);
		return vmm_error_set(err, ret, "no memory for a virtqueue of %u", c.num);
	}

	set_parts(q, parts);
	q->config = c;
	__atomic_store_n(&q->num, c.num, __ATOMIC_RELAXED);
	q->mem = mem;
	start_region(q);
	q->packed = c.features & VMM_VIRTIO_F_RING_PACKED;
	q->event_idx = c.features & VMM_VIRTIO_F_EVENT_IDX;
	q->indirect = c.features & VMM_VIRTIO_F_INDIRECT_DESC;
	q->in_order = c.features & VMM_VIRTIO_F_IN_ORDER;
	set_plain(q);
	q->avail_wrap = q->packed;
	q->used_wrap = q->packed;
	q->epoch++;
	q->enabled = true;
	q->broken = false;
	q->live = true;
	return 0;
}

void vmm_virtq_reset(struct vmm_virtq *q)
{
	virtq_log_mark_all(q);
	release(q);
	memset(&q->used_total, 0, sizeof(*q) - offsetof(struct vmm_virtq, used_total));
	__atomic_store_n(&q->popped, q->used + q->malformed, __ATOMIC_RELAXED);
	__atomic_store_n(&q->num, 0, __ATOMIC_RELAXED);
	q->oldest = q->popped;
}

int vmm_virtq_set_mem(struct vmm_virtq *q, const struct vmm_mem *mem)
{
	struct virtq_region *regions;
	struct virtq_part parts[3];
	struct virtq_log *log;
	size_t n;
	int ret;

	if (!q->enabled)
		return 0;
	if (q->broken)
		return -ENOTRECOVERABLE;
	ret = virtq_find_parts(mem, &q->config, parts, NULL);
	if (ret < 0) {
		lose_log(q, NULL);
		(void)virtq_die(q);
		return ret;
	}
	ret = virtq_log_new(mem, q->num, &log);
	if (ret < 0)
		return ret;
	ret = virtq_map_build(mem, &regions, &n);
	if (ret < 0) {
		virtq_log_free(log);
		return ret;
	}

	/* Chains that are out go on being noted, or never were. */
	if (q->log && log)
		virtq_log_free(log);
	else
		lose_log(q, log);
	free(q->regions);
	q->regions = regions;
	q->region_n = n;
	start_region(q);
	q->mem = mem;
	set_parts(q, parts);
	return 0;
}

bool vmm_virtq_is_enabled(const struct vmm_virtq *q)
{
	return q->enabled;
}

bool vmm_virtq_is_broken(const struct vmm_virtq *q)
{
	return q->broken;
}

uint32_t vmm_virtq_get_max(const struct vmm_virtq *q)
{
	return q->max;
}

uint32_t vmm_virtq_get_num(const struct vmm_virtq *q)
{
	return q->num;
}

static uint64_t look(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* Taken one after another while the queue goes on: what is in flight is at least not
 * below 0, nor more than the queue holds. */
static uint32_t look_inflight(const struct vmm_virtq *q)
{
	uint32_t num = __atomic_load_n(&q->num, __ATOMIC_RELAXED);
	uint64_t done = look(&q->used) + look(&q->malformed);
	uint64_t popped = look(&q->popped);

	if (popped <= done)
		return 0;
	return popped - done < num ? (uint32_t)(popped - done) : num;
}

void vmm_virtq_get_counters(const struct vmm_virtq *q, struct vmm_virtq_counters *out)
{
	struct vmm_virtq_counters c = {
		.used = look(&q->used),
		.interrupts = look(&q->interrupts),
		.suppressed = look(&q->suppressed),
		.malformed = look(&q->malformed),
		.broken = look(&q->broken_n),
		.inflight = look_inflight(q),
		.num = __atomic_load_n(&q->num, __ATOMIC_RELAXED),
	};

	tell_caller(out, out->size, &c, sizeof(c));
}

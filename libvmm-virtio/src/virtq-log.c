/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Dirty logging, for memory that is tracked. The buffers that a device writes are known
 * at pop and written until the chain is given back, so they are remembered in between:
 * marked earlier, a page could be harvested before it is written; read again from the
 * ring later, they are whatever the driver says by then.
 *
 * All of a chain's writable buffers count as written, because devices write a status
 * behind data that they do not report, and undone chains may have been written, too.
 */
#include <stdlib.h>

#include "virtq.h"

/* Ranges that are kept exactly; what is beyond is kept as one that has all of them. */
#define RANGES_EACH 8u
#define NONE 0u

struct virtq_range {
	uint64_t gpa;
	/* Last byte, so that a range may end with the address space. */
	uint64_t last;
	uint32_t next;
};

struct virtq_log {
	/* Number 0 is not used. */
	struct virtq_range *ranges;
	uint32_t free;
	/* Of the chain being walked, newest first. */
	uint32_t pending;
	/* By head. */
	uint32_t *lists;
};

static bool is_tracked(const struct vmm_mem *mem)
{
	for (size_t i = 0; i < vmm_mem_region_count(mem); i++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;

		if (vmm_mem_get_region(mem, i, &r) == 0 && r.dirty)
			return true;
	}
	return false;
}

int virtq_log_new(const struct vmm_mem *mem, uint32_t num, struct virtq_log **out)
{
	uint32_t n = num * RANGES_EACH;
	struct virtq_log *log;

	*out = NULL;
	if (!is_tracked(mem))
		return 0;
	log = calloc(1, sizeof(*log));
	if (!log)
		return -ENOMEM;
	log->ranges = calloc(n + 1, sizeof(*log->ranges));
	log->lists = calloc(num, sizeof(*log->lists));
	if (!log->ranges || !log->lists) {
		virtq_log_free(log);
		return -ENOMEM;
	}
	for (uint32_t i = 1; i <= n; i++)
		log->ranges[i].next = i < n ? i + 1 : NONE;
	log->free = 1;
	*out = log;
	return 0;
}

void virtq_log_free(struct virtq_log *log)
{
	if (!log)
		return;
	free(log->ranges);
	free(log->lists);
	free(log);
}

static void widen(struct virtq_range *r, uint64_t gpa, uint64_t last)
{
	if (gpa < r->gpa)
		r->gpa = gpa;
	if (last > r->last)
		r->last = last;
}

/*
 * Remember a buffer of the chain being walked. One that continues the newest range makes
 * that longer. A chain has RANGES_EACH ranges of its own; further buffers go into its
 * newest, which then has what lies between as well: more is marked than was written,
 * never less.
 */
void virtq_log_note(struct vmm_virtq *q, uint64_t gpa, uint64_t len)
{
	struct virtq_log *log = q->log;
	struct virtq_range *r = &log->ranges[log->pending];
	uint64_t last = gpa + (len - 1);
	uint32_t n = 0, at;

	if (log->pending != NONE && r->last != UINT64_MAX && gpa == r->last + 1) {
		r->last = last;
		return;
	}
	for (at = log->pending; at != NONE; at = log->ranges[at].next)
		n++;
	if (n == RANGES_EACH) {
		widen(r, gpa, last);
		return;
	}
	at = log->free;
	log->free = log->ranges[at].next;
	log->ranges[at] =
	    (struct virtq_range){ .gpa = gpa, .last = last, .next = log->pending };
	log->pending = at;
}

static void release(struct virtq_log *log, uint32_t *list)
{
	while (*list != NONE) {
		uint32_t at = *list;

		*list = log->ranges[at].next;
		log->ranges[at].next = log->free;
		log->free = at;
	}
}

/* The walk came to nothing: the chain was not handed out. */
void virtq_log_drop(struct vmm_virtq *q)
{
	if (q->log)
		release(q->log, &q->log->pending);
}

void virtq_log_take(struct vmm_virtq *q, uint16_t head)
{
	q->log->lists[head] = q->log->pending;
	q->log->pending = NONE;
}

void virtq_log_mark_chain(struct vmm_virtq *q, uint16_t head)
{
	struct virtq_log *log = q->log;

	for (uint32_t at = log->lists[head]; at != NONE; at = log->ranges[at].next) {
		const struct virtq_range *r = &log->ranges[at];

		vmm_mem_mark_dirty(q->mem, r->gpa, r->last - r->gpa + 1);
	}
	release(log, &log->lists[head]);
}

/* Before the queue lets go of its memory table: late writes cannot be told apart from
 * those that were made already. */
void virtq_log_mark_all(struct vmm_virtq *q)
{
	for (uint32_t head = 0; q->log && head < q->num; head++)
		virtq_log_mark_chain(q, (uint16_t)head);
}

void virtq_log_mark_ring(struct vmm_virtq *q, const void *at, uint64_t len)
{
	const uint8_t *byte = at, *desc = (const uint8_t *)q->desc;
	uint64_t gpa = q->config.device + (uint64_t)(byte - q->device);

	/* A packed ring's descriptors are written, too. */
	if (q->packed && byte >= desc && byte < desc + sizeof(*q->desc) * q->num)
		gpa = q->config.desc + (uint64_t)(byte - desc);
	vmm_mem_mark_dirty(q->mem, gpa, len);
}

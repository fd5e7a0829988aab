/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "virtq.h"

int virtq_map_build(const struct vmm_mem *mem, struct virtq_region **out, size_t *out_n)
{
	size_t n = vmm_mem_region_count(mem);
	struct virtq_region *regions = calloc(n ? n : 1, sizeof(*regions));

	if (!regions)
		return -ENOMEM;

	for (size_t i = 0; i < n; i++) {
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;
		int ret = vmm_mem_get_region(mem, i, &r);

		if (ret < 0) {
			free(regions);
			return ret;
		}
		regions[i].gpa = r.gpa;
		regions[i].span = r.len - 1;
		regions[i].host = r.host;
		regions[i].readonly = (r.flags & VMM_MEM_READONLY) != 0;
	}
	*out = regions;
	*out_n = n;
	return 0;
}

static const struct virtq_region *region_find(const struct vmm_virtq *q, uint64_t gpa)
{
	size_t low = 0, high = q->region_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct virtq_region *r = &q->regions[mid];

		if (gpa < r->gpa)
			high = mid;
		else if (gpa - r->gpa > r->span)
			low = mid + 1;
		else
			return r;
	}
	return NULL;
}

/* Everything that virtq_seg() does not do at once: another region than last time,
 * borders between regions, and all the refusals. Returns the iovecs used. */
int virtq_seg_slow(struct vmm_virtq *q, struct iovec *iov, uint32_t room, uint64_t gpa,
		   uint32_t len, bool writable)
{
	uint64_t left = len, end;
	uint32_t n = 0;

	if (len == 0)
		return 0;
	if (__builtin_add_overflow(gpa, left - 1, &end))
		return -EFAULT;

	while (left > 0) {
		const struct virtq_region *r = region_find(q, gpa);
		uint64_t off, here;

		if (!r)
			return -EFAULT;
		if (writable && r->readonly)
			return -EROFS;
		if (n == room)
			return -E2BIG;

		off = gpa - r->gpa;
		here = r->span - off < left - 1 ? r->span - off + 1 : left;
		iov[n].iov_base = r->host + off;
		iov[n].iov_len = here;
		n++;
		q->mru = *r;
		if (q->log) {
			q->mru.readonly = true;
			if (writable)
				virtq_log_note(q, gpa, here);
		}
		gpa += here;
		left -= here;
	}
	return (int)n;
}

/* One bounded copy of the whole table; what the driver does to it later has no effect
 * (virtio 1.2, 2.7.5.3). Returns the number of entries. */
int virtq_indirect_copy(struct vmm_virtq *q, uint64_t gpa, uint32_t len)
{
	uint64_t off = gpa - q->mru.gpa;
	uint32_t n = len / (uint32_t)sizeof(struct virtq_desc);

	if (!q->indirect || len == 0 || len % sizeof(struct virtq_desc) != 0 ||
	    n > q->num)
		return -EBADMSG;

	if (off <= q->mru.span && len - 1 <= q->mru.span - off) {
		memcpy(q->table, q->mru.host + off, len);
	} else if (vmm_mem_read(q->mem, gpa, q->table, len) < 0) {
		return -EFAULT;
	}
	return (int)n;
}

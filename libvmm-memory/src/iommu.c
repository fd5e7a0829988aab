/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <vmm/memory-dirty.h>
#include <vmm/memory-iommu.h>

#include "internal.h"
#include "sys.h"

struct vmm_mem_iommu {
	const struct vmm_mem *mem;
	struct vmm_mem_iotlb *tlb;
	struct vmm_mem_dirty *dirty;
	struct vmm_mem_iommu_ops ops;
	void *ctx;
	bool enabled;
};

int vmm_mem_iommu_new(const struct vmm_mem *mem, struct vmm_mem_iotlb *tlb,
		      const struct vmm_mem_iommu_ops *ops, void *ctx,
		      struct vmm_mem_iommu **out)
{
	struct vmm_mem_iommu_ops known = VMM_MEM_IOMMU_OPS_INIT;
	const uint8_t *tail = (const uint8_t *)ops;
	struct vmm_mem_iommu *iommu;

	if (ops && ops->size < sizeof(known.size))
		return -EINVAL;
	for (size_t i = sizeof(known); ops && i < ops->size; i++) {
		if (tail[i] != 0)
			return -E2BIG;
	}
	if (ops)
		memcpy(&known, ops,
		       ops->size < sizeof(known) ? ops->size : sizeof(known));
	iommu = mem_sys_alloc(__alignof__(*iommu), sizeof(*iommu));
	if (!iommu)
		return -ENOMEM;
	iommu->mem = mem;
	iommu->tlb = tlb;
	iommu->ops = known;
	iommu->ctx = ctx;
	iommu->enabled = true;
	*out = iommu;
	return 0;
}

void vmm_mem_iommu_free(struct vmm_mem_iommu *iommu)
{
	free(iommu);
}

void vmm_mem_iommu_set_enabled(struct vmm_mem_iommu *iommu, bool enabled)
{
	iommu->enabled = enabled;
}

void vmm_mem_iommu_set_memory(struct vmm_mem_iommu *iommu, const struct vmm_mem *mem)
{
	iommu->mem = mem;
}

void vmm_mem_iommu_set_dirty(struct vmm_mem_iommu *iommu, struct vmm_mem_dirty *dirty)
{
	iommu->dirty = dirty;
}

const struct vmm_mem *vmm_mem_iommu_get_physical(const struct vmm_mem_iommu *iommu)
{
	return iommu->enabled ? NULL : iommu->mem;
}

/* The first piece of a range, asking the owner once when it is bad. */
static int translate(struct vmm_mem_iommu *iommu, uint64_t iova, uint64_t len,
		     uint32_t access, struct vmm_mem_iotlb_piece *out)
{
	int ret;

	ret = vmm_mem_iotlb_first(iommu->tlb, iova, len, access, out);
	if (ret < 0 || out->kind == VMM_MEM_IOTLB_HIT)
		return ret;
	if (iommu->ops.resolve) {
		ret = iommu->ops.resolve(iommu->ctx, iommu->tlb, out, access);
		if (ret == 0)
			ret = vmm_mem_iotlb_first(iommu->tlb, iova, len, access, out);
		if (ret < 0)
			return ret;
	}
	switch (out->kind) {
	case VMM_MEM_IOTLB_HIT:
		return 0;
	case VMM_MEM_IOTLB_FAULT:
		return -EACCES;
	default:
		return -EFAULT;
	}
}

/*
 * Translate and check a whole range. Afterwards each piece hits, because nothing maps
 * or unmaps until the call is over - unless resolving one piece took back another one,
 * which the second walk notices.
 */
static int check(struct vmm_mem_iommu *iommu, uint64_t iova, uint64_t len,
		 uint32_t access)
{
	struct vmm_mem_iotlb_piece p;
	int ret;

	if (len > 0 && len - 1 > UINT64_MAX - iova)
		return -EFAULT;
	for (uint64_t at = 0; at < len; at += p.len) {
		ret = translate(iommu, iova + at, len - at, access, &p);
		if (ret == 0)
			ret =
			    mem_check(mem_find(iommu->mem, p.gpa), p.gpa, p.len, access);
		if (ret < 0)
			return ret;
	}
	for (uint64_t at = 0; at < len; at += p.len) {
		ret = vmm_mem_iotlb_first(iommu->tlb, iova + at, len - at, access, &p);
		if (ret < 0 || p.kind != VMM_MEM_IOTLB_HIT ||
		    mem_check(mem_find(iommu->mem, p.gpa), p.gpa, p.len, access) < 0)
			return -EFAULT;
	}
	return 0;
}

int vmm_mem_iommu_read(struct vmm_mem_iommu *iommu, uint64_t iova, void *buf, size_t len)
{
	struct vmm_mem_iotlb_piece p;
	int ret;

	if (!iommu->enabled)
		return vmm_mem_read(iommu->mem, iova, buf, len);
	ret = check(iommu, iova, len, VMM_MEM_ACCESS_READ);
	for (size_t at = 0; ret == 0 && at < len; at += (size_t)p.len) {
		ret = vmm_mem_iotlb_first(iommu->tlb, iova + at, len - at,
					  VMM_MEM_ACCESS_READ, &p);
		if (ret == 0)
			ret = vmm_mem_read(iommu->mem, p.gpa, (uint8_t *)buf + at,
					   (size_t)p.len);
	}
	return ret;
}

int vmm_mem_iommu_write(struct vmm_mem_iommu *iommu, uint64_t iova, const void *buf,
			size_t len)
{
	struct vmm_mem_iotlb_piece p;
	int ret;

	if (!iommu->enabled)
		return vmm_mem_write(iommu->mem, iova, buf, len);
	ret = check(iommu, iova, len, VMM_MEM_ACCESS_WRITE);
	if (ret < 0)
		return ret;
	for (size_t at = 0; ret == 0 && at < len; at += (size_t)p.len) {
		ret = vmm_mem_iotlb_first(iommu->tlb, iova + at, len - at,
					  VMM_MEM_ACCESS_WRITE, &p);
		if (ret == 0)
			ret = vmm_mem_write(iommu->mem, p.gpa, (const uint8_t *)buf + at,
					    (size_t)p.len);
	}
	if (iommu->dirty)
		vmm_mem_dirty_mark(iommu->dirty, iova, len);
	return ret;
}

int vmm_mem_iommu_get_iov(struct vmm_mem_iommu *iommu, uint64_t iova, uint64_t len,
			  uint32_t access, struct iovec *iov, size_t iov_max,
			  size_t *out_n)
{
	struct vmm_mem_iotlb_piece p;
	size_t n = 0, used;
	int ret;

	if (!iommu->enabled)
		return vmm_mem_get_iov_for(iommu->mem, iova, len, access, iov, iov_max,
					   out_n);
	ret = check(iommu, iova, len, access);
	for (uint64_t at = 0; ret == 0 && at < len; at += p.len, n += used) {
		used = 0;
		ret = vmm_mem_iotlb_first(iommu->tlb, iova + at, len - at, access, &p);
		if (ret == 0)
			ret = vmm_mem_get_iov_for(iommu->mem, p.gpa, p.len, access,
						  iov + n, iov_max - n, &used);
	}
	if (ret == 0)
		*out_n = n;
	return ret;
}

void vmm_mem_iommu_mark_dirty(struct vmm_mem_iommu *iommu, uint64_t iova, uint64_t len)
{
	struct vmm_mem_iotlb_piece p;

	if (!iommu->enabled) {
		vmm_mem_mark_dirty(iommu->mem, iova, len);
		return;
	}
	for (uint64_t at = 0; at < len; at += p.len) {
		if (vmm_mem_iotlb_first(iommu->tlb, iova + at, len - at,
					VMM_MEM_ACCESS_WRITE, &p) < 0)
			return;
		if (p.kind != VMM_MEM_IOTLB_HIT)
			continue;
		vmm_mem_mark_dirty(iommu->mem, p.gpa, p.len);
		if (iommu->dirty)
			vmm_mem_dirty_mark(iommu->dirty, p.iova, p.len);
	}
}

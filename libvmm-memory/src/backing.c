/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmm/memory-dirty.h>

#include "compat.h"
#include "internal.h"
#include "sys.h"

/* A guest maps memory with huge pages only where guest physical and host virtual
 * addresses are equal modulo the huge page, so large regions are placed that way. */
#define HUGE_ALIGN (UINT64_C(2) << 20)

#define KNOWN_FLAGS                                                               \
	(VMM_MEM_READONLY | VMM_MEM_SHARED | VMM_MEM_ROM | VMM_MEM_PRIVATE |      \
	 VMM_MEM_SEALED | VMM_MEM_HUGETLB | VMM_MEM_THP | VMM_MEM_NO_THP |        \
	 VMM_MEM_PREFAULT | VMM_MEM_LOCK | VMM_MEM_DONTDUMP | VMM_MEM_MERGEABLE | \
	 VMM_MEM_GUARD | VMM_MEM_RESERVE)

static uint64_t host_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool is_power_of_two(uint64_t x)
{
	return x != 0 && (x & (x - 1)) == 0;
}

static int check_range(const struct vmm_mem_region *cfg, struct vmm_error *err)
{
	uint64_t page = host_page_size();

	if (cfg->len == 0)
		return vmm_error_at(err, -EINVAL, cfg->gpa, page, 0, "region is empty");
	if ((cfg->gpa | cfg->len | cfg->fd_offset) % page != 0)
		return vmm_error_at(err, -EINVAL, cfg->gpa, page, cfg->len,
				    "region at %#llx is not made of whole pages",
				    (unsigned long long)cfg->gpa);
	if (cfg->len - 1 > UINT64_MAX - cfg->gpa || cfg->len > SIZE_MAX / 2)
		return vmm_error_at(err, -EINVAL, cfg->gpa, 0, cfg->len,
				    "region at %#llx does not fit the address space",
				    (unsigned long long)cfg->gpa);
	if (cfg->fd_offset > (uint64_t)INT64_MAX - cfg->len)
		return vmm_error_at(err, -EINVAL, cfg->gpa, INT64_MAX, cfg->fd_offset,
				    "file offset of the region is out of range");
	return 0;
}

static int check_flags(const struct vmm_mem_region *cfg, struct vmm_error *err)
{
	const uint32_t f = cfg->flags;
	const char *why = NULL;

	if (f & ~KNOWN_FLAGS)
		why = "unknown flag";
	else if (cfg->dirty)
		why = "a region makes its own dirty bitmap";
	else if ((f & VMM_MEM_THP) && (f & (VMM_MEM_NO_THP | VMM_MEM_HUGETLB)))
		why = "transparent huge pages both wanted and excluded";
	else if ((f & VMM_MEM_SHARED) && (f & VMM_MEM_PRIVATE))
		why = "region both shared and private";
	else if (cfg->host && (cfg->fd >= 0 || (f & (VMM_MEM_GUARD | VMM_MEM_HUGETLB |
						     VMM_MEM_SHARED | VMM_MEM_PRIVATE |
						     VMM_MEM_SEALED | VMM_MEM_RESERVE))))
		why = "the caller's own mapping takes neither a file nor flags of mmap()";
	else if (cfg->host && (uintptr_t)cfg->host % host_page_size() != 0)
		why = "the caller's own mapping is not page aligned";
	else if (cfg->fd < 0 && cfg->fd_offset != 0)
		why = "file offset without a file";
	else if (cfg->fd >= 0 && (f & VMM_MEM_HUGETLB))
		why = "a given file decides itself about its pages";
	else if (cfg->page_size && !(f & VMM_MEM_HUGETLB))
		why = "page size without huge pages";
	else if (cfg->page_size && !is_power_of_two(cfg->page_size))
		why = "page size is not a power of two";
	else if (cfg->numa_policy > VMM_MEM_NUMA_INTERLEAVE ||
		 (cfg->numa_policy == VMM_MEM_NUMA_DEFAULT) != (cfg->numa_nodes == 0))
		why = "NUMA policy and nodes do not fit";
	else if (cfg->dirty_page_size && !is_power_of_two(cfg->dirty_page_size))
		why = "page size of the dirty bitmap is not a power of two";

	return why ? vmm_error_at(err, -EINVAL, cfg->gpa, 0, f, "%s", why) : 0;
}

/* Make the sealed file of a shared region. */
static int make_file(struct mem_backing *b, struct vmm_error *err)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd, ret;

	if (b->flags & VMM_MEM_HUGETLB) {
		flags |= MFD_HUGETLB;
		if (b->page_size)
			flags |= (unsigned int)__builtin_ctzll(b->page_size)
				 << MFD_HUGE_SHIFT;
	}
	/* The kernel cuts nothing: a long name is an error there. */
	fd = mem_sys_memfd(b->label && strlen(b->label) < 200 ? b->label : "vmm-memory",
			   flags);
	if (fd < 0)
		return vmm_error_at(err, fd, 0, b->page_size, 0, "memfd_create: %s",
				    strerror(-fd));
	b->fd = fd;
	ret = mem_sys_truncate(fd, b->len);
	if (ret == 0)
		ret = mem_sys_fcntl(fd, F_ADD_SEALS,
				    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	if (ret < 0)
		return vmm_error_at(err, ret, 0, b->len, 0, "sizing the memfd: %s",
				    strerror(-ret));
	b->flags |= VMM_MEM_SEALED;
	return 0;
}

/* Take over the file of the caller; what could raise SIGBUS later is refused. */
static int take_file(struct mem_backing *b, int fd, struct vmm_error *err)
{
	struct stat st;
	int seals, ret;

	b->fd = mem_sys_fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (b->fd < 0)
		return vmm_error_at(err, b->fd, 0, 0, (uint64_t)fd, "backing file: %s",
				    strerror(-b->fd));
	ret = mem_sys_stat(b->fd, &st);
	if (ret < 0)
		return vmm_error_at(err, ret, 0, 0, 0, "backing file: %s",
				    strerror(-ret));
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < b->fd_offset + b->len)
		return vmm_error_at(err, -EINVAL, b->fd_offset, b->fd_offset + b->len,
				    (uint64_t)st.st_size,
				    "backing file ends before the region does");

	seals = mem_sys_fcntl(b->fd, F_GET_SEALS, 0);
	if (seals >= 0 && (seals & F_SEAL_SHRINK))
		b->flags |= VMM_MEM_SEALED;
	else if (b->flags & VMM_MEM_SEALED)
		return vmm_error_at(err, -EPERM, 0, F_SEAL_SHRINK,
				    seals < 0 ? 0 : (uint64_t)seals,
				    "backing file is not sealed against shrinking");
	return 0;
}

static int find_page_size(struct mem_backing *b, uint64_t gpa, struct vmm_error *err)
{
	int64_t huge = 0;

	if (b->fd >= 0) {
		huge = mem_sys_hugetlb_size(b->fd);
		if (huge < 0)
			return vmm_error_at(err, (int)huge, 0, 0, 0, "backing file: %s",
					    strerror((int)-huge));
	} else if (b->flags & VMM_MEM_HUGETLB) {
		huge = b->page_size ? (int64_t)b->page_size : (int64_t)HUGE_ALIGN;
	}
	if (huge > 0)
		b->flags |= VMM_MEM_HUGETLB;
	b->page_size = huge > 0 ? (uint64_t)huge : host_page_size();
	if ((b->len | b->fd_offset | gpa) % b->page_size != 0)
		return vmm_error_at(err, -EINVAL, gpa, b->page_size, b->len,
				    "region is not made of whole huge pages");
	return 0;
}

/* Reserve addresses such that host and guest address agree modulo @align, with room
 * for a guard on both sides, and give back what is not needed. */
static int reserve(struct mem_backing *b, uint64_t gpa, uint64_t align, uint64_t guard,
		   uint8_t **out)
{
	uint64_t total, front;
	uintptr_t base, host;
	void *p;
	int ret;

	if (__builtin_add_overflow(b->len, align + 2 * guard, &total) || total > SIZE_MAX)
		return -ENOMEM;
	ret = mem_sys_mmap(NULL, (size_t)total, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, &p);
	if (ret < 0)
		return ret;

	base = (uintptr_t)p;
	host = base + (uintptr_t)guard;
	host += (uintptr_t)((gpa - host) & (align - 1));
	front = host - (uintptr_t)guard - base;
	if (front > 0)
		mem_sys_munmap(p, (size_t)front);
	b->map = (uint8_t *)p + front;
	b->map_len = (size_t)(b->len + 2 * guard);
	if (total - front > b->map_len)
		mem_sys_munmap((uint8_t *)b->map + b->map_len,
			       (size_t)(total - front - b->map_len));
	*out = (uint8_t *)b->map + guard;
	return 0;
}

static int map(struct mem_backing *b, uint64_t gpa, struct vmm_error *err)
{
	uint64_t page = host_page_size(), align = page, guard = 0;
	int prot = PROT_READ | PROT_WRITE, flags = MAP_FIXED, mode = 0, ret;
	uint8_t *at;
	void *p;

	if (b->flags & VMM_MEM_HUGETLB)
		align = b->page_size;
	else if (b->len >= HUGE_ALIGN)
		align = HUGE_ALIGN;
	if (b->flags & VMM_MEM_GUARD)
		guard = b->page_size;

	flags |= b->fd < 0 ? MAP_ANONYMOUS : 0;
	flags |= b->fd < 0 || (b->flags & VMM_MEM_PRIVATE) ? MAP_PRIVATE : MAP_SHARED;
	flags |= b->flags & VMM_MEM_RESERVE ? 0 : MAP_NORESERVE;
	if (b->fd < 0 && (b->flags & VMM_MEM_HUGETLB))
		flags |= MAP_HUGETLB | __builtin_ctzll(b->page_size) << MAP_HUGE_SHIFT;
	if (b->fd >= 0 && (b->flags & VMM_MEM_READONLY)) {
		mode = mem_sys_fcntl(b->fd, F_GETFL, 0);
		if (mode >= 0 && (mode & O_ACCMODE) == O_RDONLY &&
		    !(b->flags & VMM_MEM_PRIVATE))
			prot = PROT_READ;
	}

	ret = reserve(b, gpa, align, guard, &at);
	if (ret == 0)
		ret = mem_sys_mmap(at, (size_t)b->len, prot, flags, b->fd, b->fd_offset,
				   &p);
	if (ret < 0)
		return vmm_error_at(err, ret, gpa, b->len, 0, "mapping guest memory: %s",
				    strerror(-ret));
	b->host = at;
	return 0;
}

static int advise(struct mem_backing *b, struct vmm_error *err)
{
	static const struct {
		uint32_t flag;
		int advice;
		const char *name;
	} table[] = {
		{ VMM_MEM_THP, MADV_HUGEPAGE, "MADV_HUGEPAGE" },
		{ VMM_MEM_NO_THP, MADV_NOHUGEPAGE, "MADV_NOHUGEPAGE" },
		{ VMM_MEM_DONTDUMP, MADV_DONTDUMP, "MADV_DONTDUMP" },
		{ VMM_MEM_MERGEABLE, MADV_MERGEABLE, "MADV_MERGEABLE" },
	};
	const size_t len = (size_t)b->len;
	const char *what = "mbind";
	int ret = 0;

	/* Policy first: it decides where the pages come from that later steps touch. */
	if (b->numa_policy != VMM_MEM_NUMA_DEFAULT)
		ret = mem_sys_mbind(b->host, len, (int)b->numa_policy, b->numa_nodes);
	for (size_t i = 0; ret == 0 && i < sizeof(table) / sizeof(table[0]); i++) {
		if (!(b->flags & table[i].flag))
			continue;
		what = table[i].name;
		ret = mem_sys_madvise(b->host, len, table[i].advice);
	}
	if (ret == 0 && (b->flags & VMM_MEM_LOCK)) {
		what = "mlock";
		ret = mem_sys_mlock(b->host, len);
	}
	if (ret == 0 && (b->flags & VMM_MEM_PREFAULT)) {
		what = "prefault";
		ret = mem_populate(b->host, b->len);
	}
	return ret < 0
		   ? vmm_error_at(err, ret, 0, b->len, 0, "%s: %s", what, strerror(-ret))
		   : 0;
}

static int fill(struct mem_backing *b, const struct vmm_mem_region *cfg,
		struct vmm_error *err)
{
	bool file = cfg->fd >= 0 || (cfg->flags & VMM_MEM_SHARED);
	int ret = 0;

	if (cfg->label) {
		size_t n = strlen(cfg->label) + 1;

		b->label = mem_sys_alloc(sizeof(void *), n);
		if (!b->label)
			return vmm_error_set(err, -ENOMEM, "out of memory");
		memcpy(b->label, cfg->label, n);
	}
	if (cfg->dirty_page_size) {
		ret = vmm_mem_dirty_new(b->len, cfg->dirty_page_size, &b->dirty);
		if (ret < 0)
			return vmm_error_set(err, ret, "no memory for the dirty bitmap");
	}
	if (cfg->host) {
		b->host = cfg->host;
		b->page_size = host_page_size();
		return advise(b, err);
	}

	if (file && cfg->fd >= 0)
		ret = take_file(b, cfg->fd, err);
	else if (file)
		ret = make_file(b, err);
	if (ret == 0)
		ret = find_page_size(b, cfg->gpa, err);
	if (ret == 0)
		ret = map(b, cfg->gpa, err);
	return ret == 0 ? advise(b, err) : ret;
}

int mem_backing_check(const struct vmm_mem_region *cfg, struct vmm_error *err)
{
	int ret = check_range(cfg, err);

	return ret < 0 ? ret : check_flags(cfg, err);
}

int mem_backing_new(const struct vmm_mem_region *cfg, struct mem_backing **out,
		    struct vmm_error *err)
{
	struct mem_backing *b;
	int ret;

	b = mem_sys_alloc(sizeof(void *), sizeof(*b));
	if (!b)
		return vmm_error_set(err, -ENOMEM, "out of memory");
	b->refs = 1;
	b->len = cfg->len;
	b->fd = -1;
	b->fd_offset = cfg->fd_offset;
	b->page_size = cfg->page_size;
	b->numa_policy = cfg->numa_policy;
	b->numa_nodes = cfg->numa_nodes;
	b->flags = cfg->flags;
	if (b->flags & VMM_MEM_ROM)
		b->flags |= VMM_MEM_READONLY;

	ret = fill(b, cfg, err);
	if (ret < 0) {
		mem_backing_put(b);
		return ret;
	}
	*out = b;
	return 0;
}

struct mem_backing *mem_backing_get(struct mem_backing *b)
{
	(void)__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void mem_backing_put(struct mem_backing *b)
{
	if (__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (b->map)
		mem_sys_munmap(b->map, b->map_len);
	if (b->fd >= 0)
		(void)close(b->fd);
	vmm_mem_dirty_free(b->dirty);
	free(b->label);
	free(b);
}

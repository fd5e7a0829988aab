/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <linux/membarrier.h>

/*
 * The edge to the kernel, with failures: this file defines every mem_sys_*() itself,
 * so the library's own sys.o is not linked. The real ones are here under other names.
 */
#define mem_sys_alloc real_alloc
#define mem_sys_mmap real_mmap
#define mem_sys_munmap real_munmap
#define mem_sys_madvise real_madvise
#define mem_sys_mlock real_mlock
#define mem_sys_mbind real_mbind
#define mem_sys_memfd real_memfd
#define mem_sys_truncate real_truncate
#define mem_sys_fcntl real_fcntl
#define mem_sys_stat real_stat
#define mem_sys_hugetlb_size real_hugetlb_size
#define mem_sys_punch_hole real_punch_hole
#define mem_sys_membarrier real_membarrier
#define mem_sys_readv real_readv
#define mem_sys_writev real_writev
#define mem_sys_preadv real_preadv
#define mem_sys_pwritev real_pwritev
#include "../src/sys.c"
#undef mem_sys_alloc
#undef mem_sys_mmap
#undef mem_sys_munmap
#undef mem_sys_madvise
#undef mem_sys_mlock
#undef mem_sys_mbind
#undef mem_sys_memfd
#undef mem_sys_truncate
#undef mem_sys_fcntl
#undef mem_sys_stat
#undef mem_sys_hugetlb_size
#undef mem_sys_punch_hole
#undef mem_sys_membarrier
#undef mem_sys_readv
#undef mem_sys_writev
#undef mem_sys_preadv
#undef mem_sys_pwritev
#undef MEM_SYS_H
#include "../src/sys.h"

#include <vmm/memory-dirty.h>
#include <vmm/memory-iommu.h>
#include <vmm/memory-space.h>
#include <vmm/memory-typed.h>

/* Fails the call number fail_at; 0 for none. */
static int calls, fail_at;
/* What is mapped and open: nothing may be left behind. */
static int64_t mapped;
/* Answers instead of the kernel's, when not 0. */
static int membarrier_answer, populate_answer, mbind_answer = 1;
static uint64_t hugetlb_answer;
static int transfer_script[8], transfer_at;

static bool fails(void)
{
	return ++calls == fail_at;
}

void *mem_sys_alloc(size_t align, size_t size)
{
	return fails() ? NULL : real_alloc(align, size);
}

int mem_sys_mmap(void *addr, size_t len, int prot, int flags, int fd, uint64_t offset,
		 void **out)
{
	int ret = fails() ? -ENOMEM : real_mmap(addr, len, prot, flags, fd, offset, out);

	if (ret == 0 && !(flags & MAP_FIXED))
		mapped += (int64_t)len;
	return ret;
}

void mem_sys_munmap(void *addr, size_t len)
{
	mapped -= (int64_t)len;
	real_munmap(addr, len);
}

int mem_sys_madvise(void *addr, size_t len, int advice)
{
	if (fails())
		return -ENOMEM;
	if (populate_answer && (advice == 22 || advice == 23))
		return advice == 23 || populate_answer == -EINVAL ? populate_answer : 0;
	/* A kernel without huge pages or KSM is no failure here. */
	if (advice == MADV_HUGEPAGE || advice == MADV_NOHUGEPAGE ||
	    advice == MADV_MERGEABLE)
		return 0;
	return real_madvise(addr, len, advice);
}

int mem_sys_mlock(void *addr, size_t len)
{
	return fails() ? -EPERM : real_mlock(addr, len);
}

int mem_sys_mbind(void *addr, size_t len, int mode, uint64_t nodes)
{
	if (fails())
		return -EPERM;
	return mbind_answer <= 0 ? mbind_answer : real_mbind(addr, len, mode, nodes);
}

int mem_sys_memfd(const char *name, unsigned int flags)
{
	return fails() ? -EMFILE
		       : real_memfd(name, flags & ~(unsigned int)MFD_HUGETLB & 0xff);
}

int mem_sys_truncate(int fd, uint64_t len)
{
	return fails() ? -ENOSPC : real_truncate(fd, len);
}

int mem_sys_fcntl(int fd, int cmd, int arg)
{
	return fails() ? -EMFILE : real_fcntl(fd, cmd, arg);
}

int mem_sys_stat(int fd, struct stat *out)
{
	return fails() ? -EIO : real_stat(fd, out);
}

int64_t mem_sys_hugetlb_size(int fd)
{
	if (fails())
		return -EIO;
	return hugetlb_answer ? (int64_t)hugetlb_answer : real_hugetlb_size(fd);
}

int mem_sys_punch_hole(int fd, uint64_t offset, uint64_t len)
{
	return fails() ? -EOPNOTSUPP : real_punch_hole(fd, offset, len);
}

int mem_sys_membarrier(int cmd)
{
	return membarrier_answer ? membarrier_answer : real_membarrier(cmd);
}

/* A script of EINTR, errors and short counts; 0 ends it. */
static int64_t transfer(int64_t (*real)(int, const struct iovec *, int), int fd,
			const struct iovec *iov, int n)
{
	int step = transfer_script[transfer_at];
	struct iovec cut = iov[0];

	if (step == 0)
		return real(fd, iov, n);
	transfer_at++;
	if (step < 0)
		return step;
	cut.iov_len = (size_t)step;
	return real(fd, &cut, 1);
}

static uint64_t transfer_offset;

static int64_t preadv_here(int fd, const struct iovec *iov, int n)
{
	return real_preadv(fd, iov, n, transfer_offset);
}

static int64_t pwritev_here(int fd, const struct iovec *iov, int n)
{
	return real_pwritev(fd, iov, n, transfer_offset);
}

int64_t mem_sys_readv(int fd, const struct iovec *iov, int n)
{
	return transfer(real_readv, fd, iov, n);
}

int64_t mem_sys_writev(int fd, const struct iovec *iov, int n)
{
	return transfer(real_writev, fd, iov, n);
}

int64_t mem_sys_preadv(int fd, const struct iovec *iov, int n, uint64_t offset)
{
	transfer_offset = offset;
	return transfer(preadv_here, fd, iov, n);
}

int64_t mem_sys_pwritev(int fd, const struct iovec *iov, int n, uint64_t offset)
{
	transfer_offset = offset;
	return transfer(pwritev_here, fd, iov, n);
}

static int open_files(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Runs a scenario with its first call failing, then its second, and so on, until it
 * goes through. */
static void with_each_call_failing(int (*scenario)(void *), void *ctx)
{
	int files = open_files(), ret;

	for (fail_at = 1;; fail_at++) {
		calls = 0;
		mapped = 0;
		ret = scenario(ctx);
		assert_int_equal(mapped, 0);
		assert_int_equal(open_files(), files);
		if (calls < fail_at)
			break;
		assert_true(ret < 0);
	}
	assert_int_equal(ret, 0);
	assert_true(fail_at > 1);
	fail_at = 0;
}

static int make_table(void *ctx)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *more = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *less = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *same = NULL;
	const struct vmm_mem_region *r = ctx;
	struct vmm_mem_region second = VMM_MEM_REGION_INIT;
	struct vmm_error err = { 0 };
	int ret;

	ret = vmm_mem_builder_new(&builder);
	if (ret == 0)
		ret = vmm_mem_builder_add(builder, r, &err);
	if (ret == 0)
		ret = vmm_mem_builder_build(builder, &mem);
	second.gpa = r->gpa + r->len;
	second.len = PAGE;
	if (ret == 0)
		ret = vmm_mem_with(mem, &second, &more, &err);
	if (ret == 0)
		ret = vmm_mem_without(more, second.gpa, second.len, &less, &err);
	if (ret == 0)
		ret = vmm_mem_clone(more, &same);
	if (ret == 0)
		ret = vmm_mem_discard(more, 0, r->len + PAGE);
	if (ret == 0)
		ret = vmm_mem_prefault(more, 0, r->len);
	return ret;
}

static void a_table_is_made_or_nothing_is_left(void **state)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	int fd = memfd_create("user", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	r.len = 4 << 20;
	r.label = "ram";
	r.dirty_page_size = 4096;
	mbind_answer = 0;
	r.numa_policy = VMM_MEM_NUMA_BIND;
	r.numa_nodes = 1;
	r.flags = VMM_MEM_THP | VMM_MEM_DONTDUMP | VMM_MEM_MERGEABLE | VMM_MEM_GUARD |
		  VMM_MEM_PREFAULT | VMM_MEM_LOCK;
	/* Locked pages cannot be discarded when private. */
	r.flags |= VMM_MEM_SHARED;
	with_each_call_failing(make_table, &r);
	r.flags = VMM_MEM_NO_THP | VMM_MEM_RESERVE;
	with_each_call_failing(make_table, &r);
	r.flags = VMM_MEM_SHARED | VMM_MEM_HUGETLB;
	r.page_size = 2 << 20;
	hugetlb_answer = 2 << 20;
	with_each_call_failing(make_table, &r);
	hugetlb_answer = 0;
	r.page_size = 0;
	r.flags = 0;
	(void)close(fd);
}

static int map_file(void *ctx)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	struct vmm_error err = { 0 };
	int ret;

	ret = vmm_mem_builder_new(&builder);
	return ret < 0 ? ret : vmm_mem_builder_add(builder, ctx, &err);
}

static void a_file_is_taken_or_nothing_is_left(void **state)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;

	r.len = 4 * PAGE;
	r.fd = memfd_create("user", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(r.fd, 4 * PAGE), 0);
	assert_int_equal(fcntl(r.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	r.flags = VMM_MEM_SEALED;
	with_each_call_failing(map_file, &r);
	(void)close(r.fd);
}

static int make_others(void *ctx)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *copy = NULL;
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = NULL;
	VMM_CLEANUP(vmm_mem_iommu_free) struct vmm_mem_iommu *iommu = NULL;
	VMM_CLEANUP(vmm_mem_space_free) struct vmm_mem_space *space = NULL;
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mine = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	struct vmm_mem_reader *reader;
	int ret;

	ret = vmm_mem_dirty_new(4096, 64, &d);
	if (ret == 0)
		ret = vmm_mem_dirty_enlarge(d, 100000);
	if (ret == 0)
		ret = vmm_mem_dirty_copy(d, &copy);
	if (ret == 0)
		ret = vmm_mem_iotlb_new(100, &tlb);
	for (uint64_t i = 0; ret == 0 && i < 20; i++)
		ret = vmm_mem_iotlb_map(tlb, i * 10, 5, 0, 1);
	if (ret == 0)
		ret = vmm_mem_builder_new(&builder);
	if (ret == 0)
		ret = vmm_mem_builder_build(builder, &mem);
	if (ret == 0)
		ret = vmm_mem_iommu_new(mem, tlb, NULL, NULL, &iommu);
	if (ret == 0)
		ret = vmm_mem_space_new(mem, &space);
	if (ret < 0)
		return ret;
	mem = NULL;
	ret = vmm_mem_space_add_reader(space, "r", &reader);
	r.len = PAGE;
	if (ret == 0)
		ret = vmm_mem_space_add_region(space, &r, NULL);
	if (ret == 0)
		ret = vmm_mem_space_clone(space, &mine);
	if (ret == 0)
		ret = vmm_mem_space_remove_region(space, 0, PAGE, NULL);
	return ret;
}

static void bitmaps_spaces_and_iotlbs_are_made_or_nothing_is_left(void **state)
{
	with_each_call_failing(make_others, NULL);
}

static void a_failed_map_leaves_the_iotlb_alone(void **state)
{
	VMM_CLEANUP(vmm_mem_iotlb_free) struct vmm_mem_iotlb *tlb = NULL;

	assert_int_equal(vmm_mem_iotlb_new(100, &tlb), 0);
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(vmm_mem_iotlb_map(tlb, i * 10, 5, 0, 1), 0);
	calls = 0;
	fail_at = 1;
	assert_int_equal(vmm_mem_iotlb_map(tlb, 1000, 5, 0, 1), -ENOMEM);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 16);
	calls = 0;
	/* A hole needs an entry that cannot be had: the end of that mapping goes. */
	vmm_mem_iotlb_unmap(tlb, 2, 1);
	assert_int_equal(vmm_mem_iotlb_count(tlb), 16);
	fail_at = 0;
}

/* Linux before 5.14 has no MADV_POPULATE; a mapping for reading refuses writing. */
static void populating_has_other_ways(void **state)
{
	static const int answers[] = { -EINVAL, -EFAULT, -EPERM, -EACCES, -EHWPOISON };

	for (size_t i = 0; i < VMM_ARRAY_LEN(answers); i++) {
		VMM_CLEANUP(vmm_mem_free)
		struct vmm_mem *mem =
		    mem_test_table((struct mem_test_range[]){ { 0, 2 * PAGE, 0 } }, 1);

		populate_answer = answers[i];
		assert_int_equal(vmm_mem_prefault(mem, 0, 2 * PAGE),
				 answers[i] == -EHWPOISON ? -EHWPOISON : 0);
		populate_answer = 0;
	}
}

/* Where membarrier() is missing writers fence; where it goes away, nothing is lost. */
static void dirty_tracking_works_without_membarrier(void **state)
{
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *d = NULL;
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *log = NULL;
	VMM_CLEANUP(vmm_mem_dirty_free) struct vmm_mem_dirty *late = NULL;
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;

	assert_int_equal(vmm_mem_dirty_new(64, 1, &late), 0);
	membarrier_answer = -ENOSYS;
	assert_int_equal(vmm_mem_dirty_new(64, 1, &d), 0);
	assert_int_equal(vmm_mem_dirty_new(64, 1, &log), 0);
	vmm_mem_dirty_mark(d, 5, 1);
	assert_int_equal(vmm_mem_dirty_harvest(d, log), 0);
	assert_true(vmm_mem_dirty_is_set(log, 5) && !vmm_mem_dirty_is_set(d, 5));

	membarrier_answer = -EPERM;
	vmm_mem_dirty_reset(log);
	vmm_mem_dirty_mark(late, 7, 1);
	assert_int_equal(vmm_mem_dirty_harvest(late, log), -EPERM);
	assert_true(vmm_mem_dirty_is_set(late, 7));
	vmm_mem_dirty_reset(log);
	assert_int_equal(vmm_mem_dirty_harvest(late, log), 0);
	assert_true(vmm_mem_dirty_is_set(log, 7) && !vmm_mem_dirty_is_set(late, 7));

	/* The fence of the writers, on both ways of marking. */
	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	r.len = PAGE;
	r.dirty_page_size = 64;
	assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), 0);
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	assert_int_equal(vmm_mem_get_region(mem, 0, &r), 0);
	assert_int_equal(vmm_mem_write_u8(mem, 64, 1), 0);
	assert_true(vmm_mem_dirty_is_set(r.dirty, 64));
	membarrier_answer = 0;
}

static void script(int a, int b, int c)
{
	transfer_at = 0;
	transfer_script[0] = a;
	transfer_script[1] = b;
	transfer_script[2] = c;
}

static void transfers_are_interrupted_cut_and_refused(void **state)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	int fd = memfd_create("data", MFD_CLOEXEC);
	uint8_t buf[100];

	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(pwrite(fd, "0123456789", 10, 0), 10);
	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	r.len = PAGE;
	r.dirty_page_size = 16;
	assert_int_equal(vmm_mem_builder_add(builder, &r, NULL), 0);
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	assert_int_equal(vmm_mem_get_region(mem, 0, &r), 0);

	script(-EINTR, 3, -EINTR);
	assert_int_equal(vmm_mem_read_file(mem, 0, fd, 0, 10), 10);
	assert_int_equal(vmm_mem_read(mem, 0, buf, 10), 0);
	assert_memory_equal(buf, "0123456789", 10);
	script(3, -EIO, 0);
	assert_int_equal(vmm_mem_read_file(mem, 0, fd, 0, 10), 3);
	script(-EIO, 0, 0);
	assert_int_equal(vmm_mem_read_file(mem, 0, fd, 0, 10), -EIO);
	script(4, -EINTR, 2);
	assert_int_equal(vmm_mem_write_file(mem, 0, fd, 50, 10), 10);
	assert_int_equal(pread(fd, buf, 10, 50), 10);
	assert_memory_equal(buf, "0123456789", 10);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	script(-EINTR, 2, 0);
	assert_int_equal(vmm_mem_read_fd(mem, 0, fd, 10), 2);
	script(-EINTR, 2, -EAGAIN);
	assert_int_equal(vmm_mem_write_fd_all(mem, 0, fd, 10), 2);

	/* Marked: what came; after an error all that might have. */
	vmm_mem_dirty_reset(r.dirty);
	script(17, 0, 0);
	assert_int_equal(vmm_mem_read_fd(mem, 0, fd, 64), 17);
	assert_true(vmm_mem_dirty_is_set(r.dirty, 0) &&
		    vmm_mem_dirty_is_set(r.dirty, 16));
	assert_false(vmm_mem_dirty_is_set(r.dirty, 32));
	script(-EIO, 0, 0);
	assert_int_equal(vmm_mem_read_fd(mem, 0, fd, 64), -EIO);
	assert_true(vmm_mem_dirty_is_set(r.dirty, 48));
	assert_false(vmm_mem_dirty_is_set(r.dirty, 64));
	vmm_mem_dirty_reset(r.dirty);
	assert_int_equal(vmm_mem_write_file(mem, 0, fd, 0, 64), 64);
	assert_false(vmm_mem_dirty_is_set(r.dirty, 0));
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_made_or_nothing_is_left),
		cmocka_unit_test(a_file_is_taken_or_nothing_is_left),
		cmocka_unit_test(bitmaps_spaces_and_iotlbs_are_made_or_nothing_is_left),
		cmocka_unit_test(a_failed_map_leaves_the_iotlb_alone),
		cmocka_unit_test(populating_has_other_ways),
		cmocka_unit_test(dirty_tracking_works_without_membarrier),
		cmocka_unit_test(transfers_are_interrupted_cut_and_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

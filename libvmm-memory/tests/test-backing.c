/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "mem-test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <vmm/memory-dirty.h>

static struct vmm_mem *one(const struct vmm_mem_region *r, int want)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	struct vmm_mem *mem = NULL;
	struct vmm_error err = { 0 };
	int ret;

	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	ret = vmm_mem_builder_add(builder, r, &err);
	if (ret != want)
		fail_msg("%d instead of %d: %s", ret, want, err.message);
	assert_int_equal(err.code, want);
	assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
	return mem;
}

static struct vmm_mem_region tell(const struct vmm_mem *mem)
{
	struct vmm_mem_region told = VMM_MEM_REGION_INIT;

	assert_int_equal(vmm_mem_get_region(mem, 0, &told), 0);
	return told;
}

static void shared_memory_is_a_file_that_nobody_can_shrink(void **state)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT, told;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	char longest[300];
	uint32_t v = 0, *other;

	memset(longest, 'x', sizeof(longest));
	longest[299] = 0;
	r.gpa = 0x100000;
	r.len = 16 * PAGE;
	r.flags = VMM_MEM_SHARED;
	r.label = longest;
	mem = one(&r, 0);
	told = tell(mem);
	assert_string_equal(told.label, longest);
	assert_true(told.flags & VMM_MEM_SEALED);
	assert_int_equal(ftruncate(told.fd, 0), -1);
	assert_int_equal(ftruncate(told.fd, 17 * PAGE), -1);
	assert_true(fcntl(told.fd, F_GETFD) & FD_CLOEXEC);
	other =
	    mmap(NULL, told.len, PROT_READ, MAP_SHARED, told.fd, (off_t)told.fd_offset);
	assert_true(other != MAP_FAILED);
	v = 0x1234;
	assert_int_equal(vmm_mem_write(mem, 0x100000 + PAGE, &v, 4), 0);
	assert_int_equal(other[1024], 0x1234);
	(void)munmap(other, told.len);
}

static void a_file_of_the_callers_is_shared_or_copied(void **state)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT, told;
	int fd = memfd_create("user", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct vmm_mem *mem;
	uint32_t v = 0x55;

	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	assert_int_equal(pwrite(fd, &v, 4, PAGE), 4);
	r.fd = fd;
	r.fd_offset = PAGE;
	r.len = 4 * PAGE;
	vmm_mem_free(one(&r, -EINVAL)); /* ends before the region: SIGBUS later */
	r.len = 3 * PAGE;
	mem = one(&r, 0);
	told = tell(mem);
	assert_true(told.fd != fd && told.fd_offset == PAGE);
	assert_false(told.flags & VMM_MEM_SEALED);
	v = 0;
	assert_int_equal(vmm_mem_read(mem, 0, &v, 4), 0);
	assert_int_equal(v, 0x55);
	v = 0x66;
	assert_int_equal(vmm_mem_write(mem, 0, &v, 4), 0);
	v = 0;
	assert_int_equal(pread(fd, &v, 4, PAGE), 4);
	assert_int_equal(v, 0x66);
	vmm_mem_free(mem);

	r.flags = VMM_MEM_PRIVATE;
	mem = one(&r, 0);
	v = 0x77;
	assert_int_equal(vmm_mem_write(mem, 0, &v, 4), 0);
	v = 0;
	assert_int_equal(pread(fd, &v, 4, PAGE), 4);
	assert_int_equal(v, 0x66);
	assert_int_equal(vmm_mem_discard(mem, 0, PAGE), 0);
	assert_int_equal(vmm_mem_read(mem, 0, &v, 4), 0);
	assert_int_equal(v, 0x66);
	vmm_mem_free(mem);

	r.flags = VMM_MEM_SEALED;
	vmm_mem_free(one(&r, -EPERM));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	mem = one(&r, 0);
	assert_true(tell(mem).flags & VMM_MEM_SEALED);
	vmm_mem_free(mem);
	(void)close(fd);
	vmm_mem_free(one(&r, -EBADF));
}

static void a_file_opened_for_reading_is_mapped_for_reading(void **state)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	int fd = memfd_create("rom", MFD_CLOEXEC), ro;
	char path[64];
	uint8_t b = 0;

	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(pwrite(fd, "r", 1, 0), 1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(ro >= 0);
	r.fd = ro;
	r.len = PAGE;
	vmm_mem_free(one(&r, -EACCES));
	r.flags = VMM_MEM_ROM | VMM_MEM_PREFAULT;
	mem = one(&r, 0);
	assert_int_equal(vmm_mem_read(mem, 0, &b, 1), 0);
	assert_int_equal(b, 'r');
	assert_int_equal(vmm_mem_write(mem, 0, &b, 1), -EROFS);
	assert_int_equal(vmm_mem_discard(mem, 0, PAGE), -EROFS);
	(void)close(ro);
	(void)close(fd);
}

static void impossible_wishes_are_refused(void **state)
{
	static uint8_t space[3 * 4096];
	uint8_t *page = (uint8_t *)(((uintptr_t)space + 4095) & ~(uintptr_t)4095);
	struct vmm_mem_region r = VMM_MEM_REGION_INIT, bad;
	struct vmm_mem_dirty *d = NULL;

	assert_int_equal(vmm_mem_dirty_new(1, 1, &d), 0);
	r.len = PAGE;
#define REFUSE(change, want)                   \
	do {                                   \
		bad = r;                       \
		change;                        \
		vmm_mem_free(one(&bad, want)); \
	} while (0)
	REFUSE(bad.dirty = d, -EINVAL);
	REFUSE((bad.host = page + 1), -EINVAL);
	REFUSE((bad.host = page, bad.fd = 0), -EINVAL);
	REFUSE((bad.host = page, bad.flags = VMM_MEM_GUARD), -EINVAL);
	REFUSE((bad.host = page, bad.flags = VMM_MEM_SHARED), -EINVAL);
	REFUSE((bad.fd = 0, bad.flags = VMM_MEM_HUGETLB), -EINVAL);
	REFUSE(bad.page_size = 4096, -EINVAL);
	REFUSE((bad.flags = VMM_MEM_HUGETLB, bad.page_size = 5), -EINVAL);
	REFUSE((bad.flags = VMM_MEM_HUGETLB, bad.page_size = 2 << 20), -EINVAL);
	REFUSE((bad.flags = VMM_MEM_HUGETLB, bad.len = 2 << 20, bad.gpa = PAGE), -EINVAL);
	REFUSE((bad.flags = VMM_MEM_THP | VMM_MEM_HUGETLB), -EINVAL);
	REFUSE(bad.numa_policy = 9, -EINVAL);
	REFUSE(bad.numa_policy = VMM_MEM_NUMA_BIND, -EINVAL);
	REFUSE(bad.numa_nodes = 1, -EINVAL);
	REFUSE(bad.dirty_page_size = 3, -EINVAL);
	REFUSE((bad.len = PAGE, bad.fd = 0, bad.fd_offset = (uint64_t)INT64_MAX + 1),
	       -EINVAL);
	REFUSE(bad.len = UINT64_C(1) << 62, -ENOMEM);
	REFUSE((bad.numa_policy = VMM_MEM_NUMA_BIND, bad.numa_nodes = UINT64_C(1) << 63),
	       -EINVAL);
	vmm_mem_dirty_free(d);
}

static void memory_of_the_callers_is_used_and_left(void **state)
{
	uint8_t *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *q = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	struct vmm_mem *mem;
	uint8_t b = 9;

	r.len = 2 * PAGE;
	r.host = p;
	mem = one(&r, 0);
	assert_int_equal(vmm_mem_write(mem, PAGE, &b, 1), 0);
	assert_int_equal(p[PAGE], 9);
	assert_int_equal(vmm_mem_discard(mem, PAGE, PAGE), 0);
	assert_int_equal(p[PAGE], 0);
	vmm_mem_free(mem);
	p[0] = 1; /* still mapped */
	r.host = q;
	mem = one(&r, 0);
	q[0] = 5;
	assert_int_equal(vmm_mem_discard(mem, 0, PAGE), 0);
	assert_int_equal(q[0], 0);
	vmm_mem_free(mem);
	(void)munmap(p, 2 * PAGE);
	(void)munmap(q, 2 * PAGE);
}

/* In a child, because the access must kill it. */
static bool kills(volatile uint8_t *p)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		(void)*p;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static void guard_pages_surround_a_mapping(void **state)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT, told;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;

	r.len = 4 * PAGE;
	r.flags = VMM_MEM_GUARD;
	mem = one(&r, 0);
	told = tell(mem);
	assert_false(kills((uint8_t *)told.host));
	assert_false(kills((uint8_t *)told.host + told.len - 1));
	assert_true(kills((uint8_t *)told.host - 1));
	assert_true(kills((uint8_t *)told.host + told.len));
}

static void large_regions_lie_as_huge_pages_want(void **state)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT, told;

	for (uint32_t flags = 0; flags <= VMM_MEM_GUARD; flags += VMM_MEM_GUARD) {
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;

		r.gpa = 0x100000;
		r.len = 8 << 20;
		r.flags = flags | VMM_MEM_THP;
		mem = one(&r, 0);
		told = tell(mem);
		assert_int_equal(((uintptr_t)told.host - told.gpa) % (2 << 20), 0);
	}
}

static void advice_is_given(void **state)
{
	static const uint32_t flags[] = {
		VMM_MEM_NO_THP,	   VMM_MEM_PREFAULT, VMM_MEM_DONTDUMP,
		VMM_MEM_MERGEABLE, VMM_MEM_RESERVE,  VMM_MEM_PREFAULT | VMM_MEM_SHARED,
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(flags); i++) {
		VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
		struct vmm_mem_region r = VMM_MEM_REGION_INIT;
		int ret;

		assert_int_equal(vmm_mem_builder_new(&builder), 0);
		r.len = 16 * PAGE;
		r.flags = flags[i];
		ret = vmm_mem_builder_add(builder, &r, NULL);
		/* A kernel may be built without KSM or huge pages. */
		assert_true(ret == 0 || (ret == -EINVAL && flags[i] != VMM_MEM_PREFAULT));
	}
}

static void prefaulted_and_locked_pages_are_there(void **state)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT, told;
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	unsigned char there[8] = { 0 };

	r.len = 8 * PAGE;
	r.flags = VMM_MEM_NO_THP;
	mem = one(&r, 0);
	told = tell(mem);
	assert_int_equal(vmm_mem_prefault(mem, PAGE + 5, PAGE), 0);
	assert_int_equal(mincore(told.host, told.len, there), 0);
	assert_int_equal(there[0] & 1, 0);
	assert_int_equal(there[1] & 1, 1);
	assert_int_equal(there[2] & 1, 1);
	assert_int_equal(there[3] & 1, 0);
	assert_int_equal(vmm_mem_prefault(mem, 7 * PAGE, 2 * PAGE), -EFAULT);
	assert_int_equal(vmm_mem_prefault(mem, 99 * PAGE, 0), 0);
	vmm_mem_free(mem);
	r.flags = VMM_MEM_LOCK;
	mem = one(&r, 0);
	told = tell(mem);
	assert_int_equal(mincore(told.host, told.len, there), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(there[i] & 1, 1);
}

static void numa_policy_is_set(void **state)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	int ret;

	assert_int_equal(vmm_mem_builder_new(&builder), 0);
	r.len = PAGE;
	r.numa_nodes = 1;
	for (r.numa_policy = 1; r.numa_policy <= VMM_MEM_NUMA_INTERLEAVE;
	     r.numa_policy++) {
		ret = vmm_mem_builder_add(builder, &r, NULL);
		if (ret == -ENOSYS || ret == -EPERM) {
			fprintf(stderr,
				"no NUMA policies here: only the refusal was seen\n");
			return;
		}
		assert_int_equal(ret, 0);
		r.gpa += PAGE;
	}
}

static void huge_pages_are_used_where_there_are_some(void **state)
{
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	int skipped = 0;

	for (int i = 0; i < 4; i++) {
		VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
		VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
		int ret;

		assert_int_equal(vmm_mem_builder_new(&builder), 0);
		r.len = 2 << 20;
		r.flags =
		    VMM_MEM_HUGETLB | VMM_MEM_RESERVE | (i & 1 ? VMM_MEM_SHARED : 0);
		r.page_size = i & 2 ? 2 << 20 : 0;
		ret = vmm_mem_builder_add(builder, &r, NULL);
		/* Without pages in the pool: refused, not killed later. */
		if (ret < 0) {
			assert_true(ret == -ENOMEM || ret == -ENOSYS || ret == -EINVAL);
			skipped++;
			continue;
		}
		assert_int_equal(vmm_mem_builder_build(builder, &mem), 0);
		assert_true(tell(mem).page_size == 2 << 20);
		assert_int_equal(vmm_mem_discard(mem, 0, PAGE), -EINVAL);
	}
	if (skipped)
		fprintf(stderr, "no huge pages here: only the refusal was seen\n");
}

static void discarded_pages_read_as_zeros(void **state)
{
	for (uint32_t flags = 0; flags <= VMM_MEM_SHARED; flags += VMM_MEM_SHARED) {
		VMM_CLEANUP(vmm_mem_free)
		struct vmm_mem *mem = mem_test_table(
		    (struct mem_test_range[]){ { 0, 4 * PAGE, flags },
					       { 4 * PAGE, 4 * PAGE, flags } },
		    2);
		uint8_t b = 1;

		assert_int_equal(vmm_mem_fill(mem, 0, 7, 8 * PAGE), 0);
		assert_int_equal(vmm_mem_discard(mem, 3 * PAGE, 2 * PAGE), 0);
		for (uint64_t at = 0; at < 8 * PAGE; at += 512) {
			assert_int_equal(vmm_mem_read(mem, at, &b, 1), 0);
			assert_int_equal(b, at / PAGE == 3 || at / PAGE == 4 ? 0 : 7);
		}
		assert_int_equal(vmm_mem_discard(mem, 1, PAGE), -EINVAL);
		assert_int_equal(vmm_mem_discard(mem, 0, PAGE + 1), -EINVAL);
		assert_int_equal(vmm_mem_discard(mem, 7 * PAGE, 2 * PAGE), -EFAULT);
		assert_int_equal(vmm_mem_discard(mem, 99, 0), 0);
	}
}

/* test_fds_overlap: files are compared, not descriptor numbers. */
static void regions_of_the_same_bytes_are_recognised(void **state)
{
	struct vmm_mem_region a = VMM_MEM_REGION_INIT, b = VMM_MEM_REGION_INIT;
	int fd = memfd_create("a", MFD_CLOEXEC), other = memfd_create("b", MFD_CLOEXEC);

	a.len = b.len = 4096;
	assert_false(vmm_mem_files_overlap(&a, &b));
	a.fd = b.fd = fd;
	b.fd_offset = 4096;
	assert_false(vmm_mem_files_overlap(&a, &b));
	assert_false(vmm_mem_files_overlap(&b, &a));
	a.len = 5000;
	assert_true(vmm_mem_files_overlap(&a, &b));
	b.fd = dup(fd);
	assert_true(vmm_mem_files_overlap(&b, &a));
	(void)close(b.fd);
	assert_false(vmm_mem_files_overlap(&a, &b));
	b.fd = other;
	assert_false(vmm_mem_files_overlap(&a, &b));
	b.fd = fd;
	b.len = 0;
	assert_false(vmm_mem_files_overlap(&a, &b));
	(void)close(fd);
	(void)close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_memory_is_a_file_that_nobody_can_shrink),
		cmocka_unit_test(a_file_of_the_callers_is_shared_or_copied),
		cmocka_unit_test(a_file_opened_for_reading_is_mapped_for_reading),
		cmocka_unit_test(impossible_wishes_are_refused),
		cmocka_unit_test(memory_of_the_callers_is_used_and_left),
		cmocka_unit_test(guard_pages_surround_a_mapping),
		cmocka_unit_test(large_regions_lie_as_huge_pages_want),
		cmocka_unit_test(advice_is_given),
		cmocka_unit_test(prefaulted_and_locked_pages_are_there),
		cmocka_unit_test(numa_policy_is_set),
		cmocka_unit_test(huge_pages_are_used_where_there_are_some),
		cmocka_unit_test(discarded_pages_read_as_zeros),
		cmocka_unit_test(regions_of_the_same_bytes_are_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

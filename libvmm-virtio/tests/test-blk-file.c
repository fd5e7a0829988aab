/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What engines do to files: alignment for O_DIRECT, ranges, durability, sizes. */
#include "blk-rig.h"
#include "loop-device.h"
#include "page-cache.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "blk.h"
#include "device-state.h"

enum { SECTORS = 256 };

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at / 512 * 7 + 1);
}

/* Written with the page cache, so that a direct read sees it, too. */
static void fill(int fd, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += 512) {
		uint8_t sector[512];

		memset(sector, pattern(at), sizeof(sector));
		assert_int_equal(pwrite(fd, sector, 512, (off_t)at), 512);
	}
	assert_int_equal(fsync(fd), 0);
}

/* A file for O_DIRECT and one for a plain look at it; false where there is no O_DIRECT. */
static bool direct_file(int *direct, int *plain, uint64_t size)
{
	char link[64];

	*plain = rig_file("direct", O_RDWR, size);
	assert_true(*plain >= 0);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", *plain);
	*direct = open(link, O_RDWR | O_CLOEXEC | O_DIRECT);
	if (*direct < 0)
		close(*plain);
	return *direct >= 0;
}

/* A request with its data anywhere, cut into two buffers. */
static uint8_t odd_request(struct blk_rig *r, uint32_t type, uint64_t sector,
			   uint64_t gpa, uint32_t len, uint32_t cut)
{
	struct mock_seg segs[4] = { { SLOT_HEADER(0), 16, false },
				    { gpa, cut, type == IN },
				    { gpa + cut, len - cut, type == IN },
				    { SLOT_STATUS(0), 1, true } };
	int head;

	memset(r->m->ram + SLOT_HEADER(0), 0, 16);
	memcpy(r->m->ram + SLOT_HEADER(0), &type, 4);
	memcpy(r->m->ram + SLOT_HEADER(0) + 8, &sector, 8);
	r->m->ram[SLOT_STATUS(0)] = NO_STATUS;
	head = mock_add(r->m, segs, 4, false);
	assert_true(head >= 0);
	r->slot_of[head] = 0;
	r->busy[0] = true;
	rig_kick(r);
	assert_int_equal(rig_wait(r), 0);
	return rig_status(r, 0);
}

static void one_direct_round(struct blk_rig *r, int plain, struct vmm_test_rng *rng,
			     uint8_t *disk)
{
	uint32_t n = 1 + vmm_test_below(rng, 24), len = n * 512;
	uint32_t at = vmm_test_below(rng, SECTORS - n);
	uint64_t gpa =
	    SLOT_DATA(1) + (vmm_test_below(rng, 2) ? 0 : vmm_test_below(rng, 600));
	uint32_t cut = vmm_test_below(rng, 2) ? 512 * vmm_test_below(rng, n)
					      : vmm_test_below(rng, len);
	uint8_t *data = r->m->ram + gpa, sector[512];

	if (vmm_test_below(rng, 2)) {
		assert_int_equal(odd_request(r, IN, at, gpa, len, cut), 0);
		for (uint32_t i = 0; i < len; i++)
			assert_int_equal(data[i], disk[at + i / 512]);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		disk[at + i] = (uint8_t)vmm_test_below(rng, 256);
		memset(data + 512 * i, disk[at + i], 512);
	}
	assert_int_equal(odd_request(r, OUT, at, gpa, len, cut), 0);
	for (uint32_t i = 0; i < SECTORS; i++) {
		assert_int_equal(pread(plain, sector, 512, i * 512), 512);
		assert_int_equal(sector[0], disk[i]);
		assert_int_equal(sector[511], disk[i]);
	}
}

/* Any sector to any address, however the file wants it: also with blocks larger than a
 * sector, which are then read, changed and written. */
static void direct_access_works_at_any_alignment(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();
	int direct, plain;
	bool any = false;

	for (uint32_t engine = 1; engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		for (uint32_t align = 0; align <= 4096; align += 4096) {
			uint8_t disk[SECTORS];
			struct blk_rig r;

			if (!direct_file(&direct, &plain, SECTORS * 512))
				continue;
			fill(plain, SECTORS * 512);
			for (int i = 0; i < SECTORS; i++)
				disk[i] = pattern((uint64_t)i * 512);
			rig_init(&r, direct, engine);
			if (rig_open(&r, F_USUAL) == 0) {
				any = true;
				assert_true(r.blk->file.offset_align >= 512);
				assert_int_equal(r.blk->block_size,
						 r.blk->file.offset_align);
				if (align)
					r.blk->file.offset_align = align;
				for (int i = 0; i < 60; i++)
					one_direct_round(&r, plain, &rng, disk);
				rig_close(&r);
			}
			close(direct);
			close(plain);
		}
	}
	if (!any)
		vmm_test_skip("no file that can be read directly");
}

static void only_what_is_not_aligned_is_copied(void **state)
{
	_Alignas(4096) uint8_t memory[16384];
	struct iovec iov[2] = { { memory, 4096 }, { memory + 8192, 4096 } };
	struct vmm_virtio_blk_io io = {
		.offset = 8192, .len = 8192, .iov = iov, .iov_n = 2
	};
	struct blk_file f = { .offset_align = 4096, .mem_align = 512 };

	/* Without a buffer the file is not direct, and everything will do. */
	iov[0].iov_base = memory + 1;
	assert_true(blk_file_aligned(&f, &io));
	f.bounce = memory;
	assert_false(blk_file_aligned(&f, &io));
	iov[0].iov_base = memory + 512;
	assert_true(blk_file_aligned(&f, &io));
	io.offset += 512;
	assert_false(blk_file_aligned(&f, &io));
	io.offset -= 512;
	iov[0].iov_len = 4000;
	iov[1].iov_len = 4192;
	assert_false(blk_file_aligned(&f, &io));
}

/* The last block of a file may not be whole. */
static void a_direct_file_may_end_inside_a_block(void **state)
{
	uint64_t size = 21 * 512 + 100;
	int direct, plain;
	bool any = false;

	for (uint32_t engine = 1; engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		struct blk_rig r;
		uint8_t sector[512];

		if (!direct_file(&direct, &plain, size))
			continue;
		fill(plain, 21 * 512);
		assert_int_equal(ftruncate(plain, (off_t)size), 0);
		rig_init(&r, direct, engine);
		if (rig_open(&r, F_USUAL) == 0) {
			any = true;
			r.blk->file.offset_align = 4096;
			assert_int_equal(rig_rd(&r, 0x100), 21);
			assert_int_equal(rig_do(&r, IN, 20, 512), 0);
			assert_int_equal(*(uint8_t *)rig_data(&r, 0), pattern(20 * 512));
			assert_int_equal(rig_do(&r, IN, 21, 512), 1);
			memset(rig_data(&r, 0), 0xcd, 512);
			assert_int_equal(rig_do(&r, OUT, 20, 512), 0);
			assert_int_equal(pread(plain, sector, 512, 20 * 512), 512);
			assert_int_equal(sector[511], 0xcd);
			assert_int_equal(pread(plain, sector, 512, 19 * 512), 512);
			assert_int_equal(sector[511], pattern(19 * 512));
			rig_close(&r);
		}
		close(direct);
		close(plain);
	}
	if (!any)
		vmm_test_skip("no file that can be read directly");
}

static uint64_t blocks_of(int fd)
{
	struct statx stx;

	assert_int_equal(statx(fd, "", AT_EMPTY_PATH, STATX_BLOCKS, &stx), 0);
	return stx.stx_blocks;
}

static void ranges_give_space_back(void **state)
{
	for (int kind = 0; kind < 2; kind++) {
		uint64_t size = 1 << 20, full;
		int fd = kind ? memfd_create("disk", MFD_CLOEXEC)
			      : rig_file("ranges", O_RDWR, size);
		struct blk_rig r;
		uint8_t byte = 1;

		assert_int_equal(ftruncate(fd, (off_t)size), 0);
		fill(fd, size);
		full = blocks_of(fd);
		rig_init(&r, fd, VMM_VIRTIO_BLK_ENGINE_AUTO);
		assert_int_equal(rig_open(&r, F_USUAL), 0);
		assert_int_equal(rig_range(&r, DISCARD, 0, 512, 0), 0);
		assert_true(blocks_of(fd) <= full - 500);
		assert_int_equal(rig_range(&r, ZEROES, 512, 512, 1), 0);
		assert_true(blocks_of(fd) <= full - 1000);
		assert_int_equal(pread(fd, &byte, 1, 600 * 512), 1);
		assert_int_equal(byte, 0);
		/* Without UNMAP the space stays: zeroes are written where need be. */
		full = blocks_of(fd);
		assert_int_equal(rig_range(&r, ZEROES, 1024, 1000, 0), 0);
		assert_true(blocks_of(fd) >= full);
		for (int i = 1024; i < 2024; i++) {
			assert_int_equal(pread(fd, &byte, 1, i * 512 + i % 512), 1);
			assert_int_equal(byte, 0);
		}
		assert_int_equal(pread(fd, &byte, 1, 2024 * 512), 1);
		assert_int_equal(byte, pattern(2024 * 512));
		assert_int_equal(lseek(fd, 0, SEEK_END), size);
		rig_close(&r);
		close(fd);
	}
}

/* A file on a file system where dirty pages mean something; -1 if there is none. */
static int durable_file(uint64_t size)
{
	int fd = rig_file("durable", O_RDWR, size);

	assert_true(fd >= 0);
	if (has_page_cache(fd))
		return fd;
	close(fd);
	return -1;
}

static void a_completed_flush_leaves_nothing_in_the_cache(void **state)
{
	int fd = durable_file(SECTORS * 512);

	if (fd < 0) {
		vmm_test_skip("no cachestat(), or no file whose flush it sees");
		return;
	}
	for (uint32_t engine = 1; engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		struct blk_rig r;

		rig_init(&r, fd, engine);
		if (rig_open(&r, F_USUAL) < 0)
			continue;
		for (int i = 0; i < 8; i++)
			assert_int_equal(rig_do(&r, OUT, 32u * (uint32_t)i, 4096), 0);
		assert_true(unsafe_pages(fd, 0, SECTORS * 512) > 0);
		assert_int_equal(rig_do(&r, FLUSH, 0, 0), 0);
		assert_int_equal(unsafe_pages(fd, 0, SECTORS * 512), 0);
		rig_close(&r);
	}
	close(fd);
}

static void without_a_cache_each_write_is_durable(void **state)
{
	int fd = durable_file(SECTORS * 512);

	if (fd < 0) {
		vmm_test_skip("no cachestat(), or no file whose flush it sees");
		return;
	}
	for (uint32_t engine = 1; engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		struct blk_rig r;

		rig_init(&r, fd, engine);
		if (rig_open(&r, F_USUAL | F_WCE) < 0)
			continue;
		assert_int_equal(rig_do(&r, OUT, 0, 4096), 0);
		assert_true(unsafe_pages(fd, 0, SECTORS * 512) > 0);
		/* The driver switches the cache off, and will not flush it any more. */
		vmm_virtio_mmio_write(r.mmio, 0x120, "\0", 1);
		assert_int_equal(unsafe_pages(fd, 0, SECTORS * 512), 0);
		for (uint32_t i = 1; i < 8; i++) {
			assert_int_equal(rig_do(&r, OUT, 8 * i, 4096), 0);
			assert_int_equal(unsafe_pages(fd, i * 4096, 4096), 0);
			assert_int_equal(rig_range(&r, ZEROES, 8 * i, 8, 0), 0);
			assert_int_equal(unsafe_pages(fd, 0, SECTORS * 512), 0);
		}
		/* Who cannot flush has no cache either. */
		rig_climb(&r, VMM_VIRTIO_F_INDIRECT_DESC);
		assert_int_equal(rig_do(&r, OUT, 64, 4096), 0);
		assert_int_equal(unsafe_pages(fd, 64 * 512, 4096), 0);
		rig_close(&r);
	}
	close(fd);
}

static void a_failed_flush_is_not_forgotten(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 4096), 0);
	for (uint32_t engine = 1; engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		struct vmm_virtio_blk_io io = { .op = VMM_VIRTIO_BLK_WRITE };
		struct blk_state s = { .version = DEVICE_STATE_VERSION };
		struct blk_rig r;

		rig_init(&r, fd, engine);
		if (rig_open(&r, F_USUAL) < 0)
			continue;
		/* The error of a cached write is that write's alone. */
		assert_int_equal(blk_file_synced(&r.blk->file, &io, -EIO), -EIO);
		assert_int_equal(rig_do(&r, FLUSH, 0, 0), 0);
		if (engine == VMM_VIRTIO_BLK_ENGINE_SYNC) {
			io.flags = VMM_VIRTIO_BLK_IO_FUA;
			assert_int_equal(blk_file_synced(&r.blk->file, &io, -ENOSPC),
					 -ENOSPC);
			assert_int_equal(rig_do(&r, FLUSH, 0, 0), 0);
		} else {
			io.op = VMM_VIRTIO_BLK_FLUSH;
		}
		assert_int_equal(blk_file_synced(&r.blk->file, &io, -EIO), -EIO);
		assert_int_equal(rig_do(&r, FLUSH, 0, 0), 1);
		rig_climb(&r, F_USUAL);
		assert_int_equal(rig_do(&r, FLUSH, 0, 0), 1);
		assert_int_equal(rig_do(&r, OUT, 0, 512), 0);
		blk_pause(r.blk);
		blk_get_state(r.blk, &s);
		assert_int_equal(s.lost, 1);
		rig_close(&r);
	}
	close(fd);
}

/* The file grows and shrinks under a driver that is at work. */
static void the_size_follows_the_file(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct vmm_virtio_transport *t;
	struct blk_rig r;
	uint32_t generation;

	assert_int_equal(ftruncate(fd, 10 * 512 + 511), 0);
	rig_init(&r, fd, VMM_VIRTIO_BLK_ENGINE_AUTO);
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	t = vmm_virtio_mmio_get_transport(r.mmio);
	assert_int_equal(rig_rd(&r, 0x100), 10);
	assert_int_equal(rig_do(&r, IN, 10, 512), 1);
	generation = rig_rd(&r, 0xfc);
	assert_int_equal(ftruncate(fd, 20 * 512), 0);
	r.irqs = 0;
	assert_int_equal(vmm_virtio_blk_set_capacity(r.blk, t, 0), 0);
	assert_int_equal(r.irqs, 1);
	assert_int_equal(rig_rd(&r, 0x60) & 2, 2);
	assert_int_not_equal(rig_rd(&r, 0xfc), generation);
	assert_int_equal(rig_rd(&r, 0x100), 20);
	assert_int_equal(rig_do(&r, IN, 19, 512), 0);
	assert_int_equal(vmm_virtio_blk_set_capacity(r.blk, t, 4096), 0);
	assert_int_equal(rig_do(&r, IN, 8, 512), 1);
	rig_close(&r);
	close(fd);
}

static void what_a_file_cannot_do_is_refused(void **state)
{
	struct vmm_virtio_blk_opts opts = VMM_VIRTIO_BLK_OPTS_INIT;
	struct vmm_virtio_blk *blk = NULL;
	struct vmm_error err = { 0 };
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct blk_file f = { 0 };
	uint64_t size;

	opts.fd = fd;
	opts.secure_erase = true;
	assert_int_equal(vmm_virtio_blk_new(&opts, &blk, &err), -EOPNOTSUPP);
	assert_int_equal(err.code, -EOPNOTSUPP);
	assert_null(blk);
	/* What is no block device answers no question about one. */
	f.fd = fd;
	f.is_device = true;
	assert_int_equal(blk_file_size(&f, &size), -ENOTTY);
	close(fd);
	assert_int_equal(vmm_virtio_blk_new(&opts, &blk, &err), -EBADF);
}

static void work_on_a_device(struct blk_rig *r, int fd)
{
	uint8_t byte = 1;

	assert_true(r->blk->file.is_device);
	assert_int_equal(rig_rd(r, 0x100), SECTORS);
	/* Block size and physical block as the device has them. */
	assert_int_equal(rig_rd(r, 0x114), 1024);
	assert_int_equal(rig_rd(r, 0x118) & 0xff, 0);
	memset(rig_data(r, 0), 0x5a, 8192);
	assert_int_equal(rig_do(r, OUT, 16, 8192), 0);
	/* Half a block of it. */
	memset(rig_data(r, 0), 0x5b, 512);
	assert_int_equal(rig_do(r, OUT, 19, 512), 0);
	memset(rig_data(r, 0), 0, 8192);
	assert_int_equal(rig_do(r, IN, 16, 8192), 0);
	assert_int_equal(((uint8_t *)rig_data(r, 0))[2 * 512], 0x5a);
	assert_int_equal(((uint8_t *)rig_data(r, 0))[3 * 512], 0x5b);
	assert_int_equal(((uint8_t *)rig_data(r, 0))[4 * 512], 0x5a);
	assert_int_equal(rig_do(r, FLUSH, 0, 0), 0);
	assert_int_equal(rig_range(r, ZEROES, 16, 4, 0), 0);
	assert_int_equal(rig_range(r, ZEROES, 21, 1, 1), 0);
	assert_int_equal(rig_range(r, DISCARD, 22, 2, 0), 0);
	assert_int_equal(rig_do(r, IN, 16, 8192), 0);
	assert_int_equal(((uint8_t *)rig_data(r, 0))[3 * 512], 0);
	assert_int_equal(((uint8_t *)rig_data(r, 0))[4 * 512], 0x5a);
	assert_int_equal(((uint8_t *)rig_data(r, 0))[5 * 512], 0);
	assert_int_equal(((uint8_t *)rig_data(r, 0))[8 * 512], 0x5a);
	/* A loop device does not erase securely. */
	assert_int_equal(rig_range(r, 14, 0, 4, 0), 2);
	assert_int_equal(rig_do(r, IN, SECTORS, 512), 1);
	assert_true(pread(fd, &byte, 0, 0) == 0);
}

/* Whether there was such a device. A file for each: what an old device still has in its
 * cache may come late. */
static bool try_device(uint32_t engine, int direct)
{
	int file = rig_file("loop", O_RDWR, SECTORS * 512);
	int fd = loop_device_open(file, direct, 1024);
	bool there = false;
	struct blk_rig r;

	close(file);
	if (fd < 0)
		return false;
	rig_init(&r, fd, engine);
	r.opts.secure_erase = true;
	if (rig_open(&r, F_USUAL | 1u << 16) == 0) {
		there = true;
		work_on_a_device(&r, fd);
		rig_close(&r);
	}
	close(fd);
	return there;
}

static void a_block_device_is_a_disk_too(void **state)
{
	bool any = false;

	for (uint32_t engine = 1; engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		any |= try_device(engine, 0);
		any |= try_device(engine, O_DIRECT);
	}
	if (!any)
		vmm_test_skip("no loop devices");
}

/* Descriptors run out at any point: nothing is left behind. */
static void a_lack_of_descriptors_leaves_nothing_behind(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC), next;
	struct rlimit before, few;

	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (uint32_t engine = 1; engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		struct vmm_virtio_rate_config c = VMM_VIRTIO_RATE_CONFIG_INIT;
		VMM_CLEANUP(vmm_virtio_rate_free) struct vmm_virtio_rate *rate = NULL;
		struct vmm_virtio_blk *blk = NULL;
		int ret = -EMFILE, tries;
		struct blk_rig r;

		assert_int_equal(vmm_virtio_rate_new(&c, &rate, NULL), 0);
		rig_init(&r, fd, engine);
		r.opts.queue_n = 2;
		r.opts.threads = 2;
		r.opts.rate = rate;
		few = before;
		for (tries = 0; ret == -EMFILE && tries < 30; tries++) {
			next = dup(fd);
			close(next);
			few.rlim_cur = (rlim_t)(next + tries);
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
			ret = vmm_virtio_blk_new(&r.opts, &blk, NULL);
			assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
			if (ret < 0)
				assert_int_equal(dup(fd), next);
			if (ret < 0)
				close(next);
		}
		assert_true(ret == 0 || ret == -EOPNOTSUPP);
		assert_true(tries > 6 || ret != 0);
		vmm_virtio_blk_free(blk);
		assert_int_equal(dup(fd), next);
		close(next);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direct_access_works_at_any_alignment),
		cmocka_unit_test(only_what_is_not_aligned_is_copied),
		cmocka_unit_test(a_direct_file_may_end_inside_a_block),
		cmocka_unit_test(ranges_give_space_back),
		cmocka_unit_test(a_completed_flush_leaves_nothing_in_the_cache),
		cmocka_unit_test(without_a_cache_each_write_is_durable),
		cmocka_unit_test(a_failed_flush_is_not_forgotten),
		cmocka_unit_test(the_size_follows_the_file),
		cmocka_unit_test(what_a_file_cannot_do_is_refused),
		cmocka_unit_test(a_block_device_is_a_disk_too),
		cmocka_unit_test(a_lack_of_descriptors_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Disk images: opened if nobody else writes to them, and made larger under a driver. */
#include "blk-rig.h"
#include "loop-device.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define READONLY VMM_VIRTIO_BLK_IMAGE_READONLY
#define DIRECT VMM_VIRTIO_BLK_IMAGE_DIRECT

static char directory[64];

static int make_directory(void **state)
{
	const char *dir = getenv("TMPDIR");

	(void)snprintf(directory, sizeof(directory), "%.40s/vmm-image-XXXXXX",
		       dir ? dir : "/tmp");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	return rmdir(directory);
}

static const char *path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static const char *make_disk(const char *name, off_t size)
{
	const char *path = path_of(name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
	return path;
}

/* Refused with one line that begins with the path, and without a descriptor left over. */
static void expect_refusal(const char *path, uint32_t flags, int code, const char *why)
{
	struct vmm_error err = { 0 };
	int fd = -77, before = dup(0), after;

	errno = 99;
	assert_int_equal(vmm_virtio_blk_open_image(path, flags, &fd, &err), code);
	assert_int_equal(errno, 99);
	assert_int_equal(fd, -77);
	assert_int_equal(err.code, code);
	assert_memory_equal(err.message, path, strnlen(path, 160));
	if (!strstr(err.message, why))
		fail_msg("%s: no \"%s\"", err.message, why);
	assert_null(strchr(err.message, '\n'));
	assert_int_equal(vmm_virtio_blk_open_image(path, flags, &fd, NULL), code);
	close(before);
	after = dup(0);
	assert_int_equal(after, before);
	close(after);
}

static int open_well(const char *path, uint32_t flags)
{
	int fd = -1;

	assert_int_equal(vmm_virtio_blk_open_image(path, flags, &fd, NULL), 0);
	assert_true(fd >= 0);
	return fd;
}

static void what_is_not_there_or_no_disk_is_refused(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char longest[300] = "";
	int s;

	expect_refusal(path_of("none"), 0, -ENOENT, "No such file");
	expect_refusal(path_of("none"), READONLY, -ENOENT, "No such file");
	expect_refusal("", 0, -ENOENT, "No such file");
	expect_refusal(directory, READONLY, -EINVAL, "neither file nor block device");
	expect_refusal("/dev/null", 0, -EINVAL, "neither file nor block device");
	memset(longest, 'x', sizeof(longest) - 1);
	expect_refusal(longest, 0, -ENAMETOOLONG, "too long");
	assert_int_equal(symlink("loop", path_of("loop")), 0);
	expect_refusal(path_of("loop"), 0, -ELOOP, "symbolic links");
	assert_int_equal(unlink(path_of("loop")), 0);

	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, path_of("socket"));
	assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_refusal(path_of("socket"), 0, -EINVAL, "neither file nor block device");
	assert_int_equal(unlink(path_of("socket")), 0);
	close(s);
}

/* Not even for a moment: who waits at the other end goes on waiting. */
static void a_pipe_is_not_opened(void **state)
{
	const char *path = path_of("pipe");
	int fd;

	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refusal(path, 0, -EINVAL, "neither file nor block device");
	expect_refusal(path, READONLY, -EINVAL, "neither file nor block device");
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, ENXIO);
	assert_int_equal(unlink(path), 0);
}

static void bad_flags_are_refused(void **state)
{
	struct vmm_error err = { 0 };
	int fd = -77;

	assert_int_equal(vmm_virtio_blk_open_image("/dev/null", 4, &fd, &err), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_int_equal(err.got, 4);
	assert_int_equal(fd, -77);
}

/* Files of the kernel have no direct access, anywhere. */
static void direct_access_is_there_or_refused(void **state)
{
	const char *path = make_disk("disk", 4096);
	int fd = -1, ret;

	expect_refusal("/proc/self/status", READONLY | DIRECT, -EOPNOTSUPP,
		       "cannot do direct access");
	ret = vmm_virtio_blk_open_image(path, DIRECT, &fd, NULL);
	assert_true(ret == 0 || ret == -EOPNOTSUPP);
	if (ret == 0) {
		assert_true(fcntl(fd, F_GETFL) & O_DIRECT);
		close(fd);
	}
	assert_int_equal(unlink(path), 0);
}

static void an_image_is_opened_as_asked(void **state)
{
	const char *path = make_disk("disk", 4096);
	int fd = open_well(path, 0);

	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_DIRECT),
			 O_RDWR);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	fd = open_well(path, READONLY);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
	close(fd);
	assert_int_equal(symlink("disk", path_of("link")), 0);
	fd = open_well(path_of("link"), 0);
	close(fd);
	assert_int_equal(unlink(path_of("link")), 0);
	assert_int_equal(unlink(path_of("disk")), 0);
}

static void one_writes_or_many_read(void **state)
{
	const char *path = make_disk("disk", 4096);
	int writer = open_well(path, 0), readers[2], copy;

	expect_refusal(path, 0, -EBUSY, "another process uses it");
	expect_refusal(path, READONLY, -EBUSY, "another process writes to it");
	/* The lock is the open file's: it lasts as long as any descriptor of it. */
	copy = dup(writer);
	close(writer);
	expect_refusal(path, 0, -EBUSY, "another process uses it");
	close(copy);
	readers[0] = open_well(path, READONLY);
	readers[1] = open_well(path, READONLY);
	expect_refusal(path, 0, -EBUSY, "another process uses it");
	close(readers[0]);
	expect_refusal(path, 0, -EBUSY, "another process uses it");
	close(readers[1]);
	writer = open_well(path, 0);
	close(writer);
	assert_int_equal(unlink(path), 0);
}

static void without_descriptors_nothing_is_opened(void **state)
{
	const char *path = make_disk("disk", 4096);
	int fd = -77, next = dup(0);
	struct rlimit old, few;
	struct vmm_error err;

	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(vmm_virtio_blk_open_image(path, 0, &fd, &err), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(fd, -77);
	assert_int_equal(unlink(path), 0);
}

static void an_opened_image_is_a_disk(void **state)
{
	const char *path = make_disk("disk", 8192);
	int fd = open_well(path, 0);
	struct blk_rig r;

	rig_init(&r, fd, VMM_VIRTIO_BLK_ENGINE_AUTO);
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	memset(rig_data(&r, 0), 0x5a, 512);
	assert_int_equal(rig_do(&r, OUT, 15, 512), 0);
	assert_int_equal(rig_do(&r, IN, 15, 512), 0);
	rig_close(&r);
	close(fd);
	assert_int_equal(unlink(path), 0);
}

/*
 * Growing.
 */

static uint64_t capacity(struct blk_rig *r)
{
	return rig_rd(r, 0x100) | (uint64_t)rig_rd(r, 0x104) << 32;
}

static off_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_size;
}

static int resize(struct blk_rig *r, uint64_t bytes)
{
	struct vmm_error err = { 0 };
	int ret = vmm_virtio_blk_resize(r->blk, vmm_virtio_mmio_get_transport(r->mmio),
					bytes, &err);

	assert_int_equal(err.code, ret);
	return ret;
}

static int start_on(struct blk_rig *r, uint64_t bytes, uint32_t engine, uint32_t threads)
{
	int fd = memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING), ret;

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	rig_init(r, fd, engine);
	r->opts.threads = threads;
	ret = rig_open(r, F_USUAL);
	if (ret < 0) {
		assert_int_equal(ret, -EOPNOTSUPP);
		close(fd);
		return -1;
	}
	return fd;
}

static void stop(struct blk_rig *r, int fd)
{
	rig_close(r);
	close(fd);
}

/* Requests are in flight all the time, on what is old and on what is new. */
static void grow_under_load(uint32_t engine, uint32_t threads)
{
	uint64_t sectors = 16;
	struct blk_rig r;
	int fd = start_on(&r, sectors * 512, engine, threads);

	if (fd < 0)
		return;
	for (uint32_t round = 0; round < 30; round++, sectors += 16) {
		for (int slot = 0; slot < RIG_SLOTS; slot++) {
			uint64_t at = sectors - 16 + (uint64_t)slot;

			memset(rig_data(&r, slot), (int)(round + 1), 512);
			assert_true(rig_offer(&r, slot, slot % 2 ? IN : OUT, at, 512));
		}
		rig_kick(&r);
		r.irqs = 0;
		assert_int_equal(resize(&r, (sectors + 16) * 512), 0);
		assert_int_equal(capacity(&r), sectors + 16);
		assert_true(size_of(fd) == (off_t)(sectors + 16) * 512);
		for (int n = 0; n < RIG_SLOTS; n++) {
			int slot = rig_wait(&r);

			assert_int_equal(rig_status(&r, slot), 0);
			if (slot % 2)
				assert_int_equal(*(uint8_t *)rig_data(&r, slot), 0);
		}
	}
	for (uint64_t at = 0; at < sectors; at++) {
		assert_int_equal(rig_do(&r, IN, at, 512), 0);
		assert_int_equal(*(uint8_t *)rig_data(&r, 0),
				 at % 2 || at >= sectors - 16 ? 0 : at / 16 + 1);
	}
	assert_int_equal(rig_do(&r, IN, sectors, 512), 1);
	stop(&r, fd);
}

static void a_disk_grows_with_requests_in_flight(void **state)
{
	for (uint32_t engine = VMM_VIRTIO_BLK_ENGINE_SYNC;
	     engine <= VMM_VIRTIO_BLK_ENGINE_URING; engine++) {
		grow_under_load(engine, 0);
		grow_under_load(engine, 1);
	}
}

static void the_driver_is_told_once_of_whole_sectors(void **state)
{
	struct blk_rig r;
	int fd = start_on(&r, 10 * 512, VMM_VIRTIO_BLK_ENGINE_AUTO, 0);
	uint32_t generation = rig_rd(&r, 0xfc);

	r.irqs = 0;
	assert_int_equal(resize(&r, 20 * 512 + 511), 0);
	assert_int_equal(capacity(&r), 20);
	assert_int_equal(r.irqs, 1);
	assert_int_not_equal(rig_rd(&r, 0xfc), generation);
	assert_true(size_of(fd) == 20 * 512 + 511);
	/* Nothing new for the driver. */
	generation = rig_rd(&r, 0xfc);
	assert_int_equal(resize(&r, 20 * 512), 0);
	assert_int_equal(resize(&r, 0), 0);
	assert_int_equal(rig_rd(&r, 0xfc), generation);
	assert_true(size_of(fd) == 20 * 512 + 511);
	/* Somebody else has made it larger. */
	assert_int_equal(ftruncate(fd, 40 * 512), 0);
	assert_int_equal(resize(&r, 30 * 512), 0);
	assert_int_equal(capacity(&r), 30);
	assert_true(size_of(fd) == 40 * 512);
	assert_int_equal(resize(&r, 0), 0);
	assert_int_equal(capacity(&r), 40);
	stop(&r, fd);
}

static void what_does_not_grow_stays_as_it_is(void **state)
{
	struct rlimit old, few;
	struct blk_rig r, other;
	int fd = start_on(&r, 10 * 512, VMM_VIRTIO_BLK_ENGINE_AUTO, 0);
	int other_fd = start_on(&other, 512, VMM_VIRTIO_BLK_ENGINE_AUTO, 0);
	struct vmm_virtio_transport *wrong = vmm_virtio_mmio_get_transport(other.mmio);

	r.irqs = 0;
	errno = 99;
	assert_int_equal(resize(&r, 9 * 512), -EINVAL);
	assert_int_equal(resize(&r, 1), -EINVAL);
	assert_int_equal(resize(&r, UINT64_MAX), -EFBIG);
	assert_int_equal(vmm_virtio_blk_resize(r.blk, wrong, 20 * 512, NULL), -EINVAL);
	assert_int_equal(vmm_virtio_blk_set_capacity(r.blk, wrong, 20 * 512), -EINVAL);
	/* Not by a signal. */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	few = old;
	few.rlim_cur = 15 * 512;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
	assert_int_equal(resize(&r, 15 * 512 + 1), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(resize(&r, 20 * 512), -EPERM);
	/* The file became smaller behind our back: the disk does not. */
	assert_int_equal(ftruncate(fd, 5 * 512), 0);
	assert_int_equal(resize(&r, 0), -EINVAL);
	assert_int_equal(errno, 99);
	assert_int_equal(capacity(&r), 10);
	assert_int_equal(r.irqs, 0);
	assert_int_equal(capacity(&other), 1);
	stop(&other, other_fd);
	stop(&r, fd);
}

static void a_read_only_disk_does_not_grow(void **state)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct blk_rig r;

	assert_int_equal(ftruncate(fd, 10 * 512), 0);
	rig_init(&r, fd, VMM_VIRTIO_BLK_ENGINE_AUTO);
	r.opts.readonly = true;
	r.opts.discard = false;
	assert_int_equal(rig_open(&r, VMM_VIRTIO_F_INDIRECT_DESC), 0);
	assert_int_equal(resize(&r, 20 * 512), -EROFS);
	assert_true(size_of(fd) == 10 * 512);
	assert_int_equal(ftruncate(fd, 30 * 512), 0);
	assert_int_equal(resize(&r, 0), 0);
	assert_int_equal(capacity(&r), 30);
	stop(&r, fd);
}

static int never(void *ctx, struct vmm_virtio_blk_io *io)
{
	return -EIO;
}

static void a_back_end_of_the_vmm_has_no_image(void **state)
{
	static const struct vmm_virtio_blk_backend backend = { .size = sizeof(backend),
							       .submit = never };
	struct blk_rig r;

	rig_init(&r, -1, 0);
	r.opts.backend = &backend;
	r.opts.capacity = 512;
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	assert_int_equal(resize(&r, 1024), -EOPNOTSUPP);
	assert_int_equal(resize(&r, 0), -EOPNOTSUPP);
	assert_int_equal(capacity(&r), 1);
	rig_close(&r);
}

/* Before there is a driver, and while everything stands still. */
static void a_disk_grows_at_any_time(void **state)
{
	struct blk_rig r;
	int fd = start_on(&r, 10 * 512, VMM_VIRTIO_BLK_ENGINE_AUTO, 1);

	rig_wr(&r, 0x70, 0);
	r.irqs = 0;
	assert_int_equal(resize(&r, 20 * 512), 0);
	assert_int_equal(r.irqs, 0);
	rig_climb(&r, F_USUAL);
	assert_int_equal(capacity(&r), 20);
	assert_int_equal(rig_do(&r, IN, 19, 512), 0);

	vmm_virtio_mmio_pause(r.mmio);
	assert_true(rig_offer(&r, 1, IN, 29, 512));
	rig_kick(&r);
	r.irqs = 0;
	assert_int_equal(resize(&r, 30 * 512), 0);
	assert_int_equal(r.irqs, 1);
	assert_int_equal(capacity(&r), 30);
	assert_int_equal(rig_take(&r), -1);
	vmm_virtio_mmio_resume(r.mmio);
	assert_int_equal(rig_wait(&r), 1);
	assert_int_equal(rig_status(&r, 1), 0);
	stop(&r, fd);
}

/* A state has its capacity with it, which the image must have room for. */
static void a_saved_disk_comes_back_as_large_as_it_was(void **state)
{
	struct blk_rig r;
	int fd = start_on(&r, 10 * 512, VMM_VIRTIO_BLK_ENGINE_AUTO, 0);
	struct vmm_virtio_mmio_opts mopts = VMM_VIRTIO_MMIO_OPTS_INIT;
	uint8_t saved[1024];
	int64_t len;

	vmm_virtio_mmio_pause(r.mmio);
	assert_int_equal(resize(&r, 20 * 512), 0);
	len = vmm_virtio_mmio_save(r.mmio, saved, sizeof(saved));
	assert_in_range(len, 1, sizeof(saved));
	mopts.mem = r.m->mem;
	mopts.set_irq = rig_irq;
	mopts.irq_ctx = &r;
	for (uint32_t sectors = 19; sectors <= 30; sectors += 11) {
		vmm_virtio_mmio_free(r.mmio);
		vmm_virtio_blk_free(r.blk);
		assert_int_equal(ftruncate(fd, (off_t)sectors * 512), 0);
		assert_int_equal(vmm_virtio_blk_new(&r.opts, &r.blk, NULL), 0);
		assert_int_equal(vmm_virtio_mmio_new(&mopts,
						     vmm_virtio_blk_get_device(r.blk),
						     &r.mmio, NULL),
				 0);
		assert_int_equal(
		    vmm_virtio_mmio_restore(r.mmio, saved, (size_t)len, NULL),
		    sectors == 19 ? -EBADMSG : 0);
	}
	assert_int_equal(capacity(&r), 20);
	vmm_virtio_mmio_resume(r.mmio);
	assert_int_equal(rig_do(&r, IN, 20, 512), 1);
	assert_int_equal(resize(&r, 0), 0);
	assert_int_equal(capacity(&r), 30);
	assert_int_equal(rig_do(&r, IN, 29, 512), 0);
	stop(&r, fd);
}

static void *grow_alone(void *ctx)
{
	struct blk_rig *r = ctx;

	for (uint32_t i = 1; i <= 200; i++) {
		int ret = vmm_virtio_blk_resize(
		    r->blk, vmm_virtio_mmio_get_transport(r->mmio), i * 512, NULL);

		if (ret != 0 && ret != -EINVAL)
			abort();
	}
	return NULL;
}

/* What the driver reads is what its requests are judged by. */
static void several_may_ask_at_once(void **state)
{
	struct blk_rig r;
	int fd = start_on(&r, 512, VMM_VIRTIO_BLK_ENGINE_AUTO, 1);
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, grow_alone, &r), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(rig_do(&r, IN, 0, 512), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(capacity(&r), 200);
	assert_int_equal(rig_do(&r, IN, 199, 512), 0);
	assert_int_equal(rig_do(&r, IN, 200, 512), 1);
	stop(&r, fd);
}

/* Skipped where there are no loop devices. */
static void a_block_device_says_how_large_it_is(void **state)
{
	int file = rig_file("loop", O_RDWR, 64 * 512), fd = loop_device_open(file, 0, 0);
	struct blk_rig r;

	if (fd < 0) {
		close(file);
		vmm_test_skip("no loop devices");
		return;
	}
	rig_init(&r, fd, VMM_VIRTIO_BLK_ENGINE_AUTO);
	assert_int_equal(rig_open(&r, F_USUAL), 0);
	assert_int_equal(capacity(&r), 64);
	assert_int_equal(resize(&r, 65 * 512), -ENOSPC);
	assert_int_equal(ftruncate(file, 128 * 512), 0);
	assert_int_equal(ioctl(fd, LOOP_SET_CAPACITY), 0);
	assert_int_equal(resize(&r, 0), 0);
	assert_int_equal(capacity(&r), 128);
	assert_int_equal(rig_do(&r, IN, 127, 512), 0);
	stop(&r, fd);
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_there_or_no_disk_is_refused),
		cmocka_unit_test(a_pipe_is_not_opened),
		cmocka_unit_test(bad_flags_are_refused),
		cmocka_unit_test(direct_access_is_there_or_refused),
		cmocka_unit_test(an_image_is_opened_as_asked),
		cmocka_unit_test(one_writes_or_many_read),
		cmocka_unit_test(without_descriptors_nothing_is_opened),
		cmocka_unit_test(an_opened_image_is_a_disk),
		cmocka_unit_test(a_disk_grows_with_requests_in_flight),
		cmocka_unit_test(the_driver_is_told_once_of_whole_sectors),
		cmocka_unit_test(what_does_not_grow_stays_as_it_is),
		cmocka_unit_test(a_read_only_disk_does_not_grow),
		cmocka_unit_test(a_back_end_of_the_vmm_has_no_image),
		cmocka_unit_test(a_disk_grows_at_any_time),
		cmocka_unit_test(a_saved_disk_comes_back_as_large_as_it_was),
		cmocka_unit_test(several_may_ask_at_once),
		cmocka_unit_test(a_block_device_says_how_large_it_is),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Disk images: opened if nobody else writes to them, and made larger under a driver. */
#include "blk-rig.h"

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
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Memory and descriptors run out at each place once: the call says so and leaks none. */
#include "virtio-test.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vmm/virtio-console.h>
#include <vmm/virtio-net.h>

static int allocations_left = -1;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	if (allocations_left == 0)
		return NULL;
	if (allocations_left > 0)
		allocations_left--;
	return __real_calloc(n, size);
}

static int lowest_free(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	return fd;
}

static void a_network_device_survives_any_failed_allocation(void **state)
{
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;
	struct vmm_virtio_net *net = NULL;
	int fds[2], n, ret = -ENOMEM, before;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	opts.kind = VMM_VIRTIO_NET_STREAM;
	opts.fds = fds;
	opts.threads = 1;
	before = lowest_free();
	for (n = 0; ret != 0; n++) {
		allocations_left = n;
		ret = vmm_virtio_net_new(&opts, &net, NULL);
		assert_true(ret == 0 ? net != NULL : ret == -ENOMEM && !net);
		if (ret < 0)
			assert_int_equal(lowest_free(), before);
	}
	assert_int_equal(n, 4);
	allocations_left = -1;
	vmm_virtio_net_free(net);
	assert_int_equal(lowest_free(), before);
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
}

static void a_network_device_survives_a_lack_of_descriptors(void **state)
{
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;
	struct vmm_virtio_net *net = NULL;
	struct rlimit old, now;
	int fds[2], n, ret = -EMFILE, before;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	opts.kind = VMM_VIRTIO_NET_STREAM;
	opts.fds = fds;
	opts.threads = 1;
	opts.pair_n = 2;
	before = lowest_free();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	now = old;
	for (n = 0; ret != 0; n++) {
		now.rlim_cur = (rlim_t)(before + n);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
		ret = vmm_virtio_net_new(&opts, &net, NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_true(ret == 0 || ret == -EMFILE);
		if (ret < 0)
			assert_int_equal(lowest_free(), before);
	}
	assert_true(n >= 9);
	vmm_virtio_net_free(net);
	assert_int_equal(lowest_free(), before);
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
}

static void a_console_survives_a_lack_of_anything(void **state)
{
	struct vmm_virtio_console_opts opts = VMM_VIRTIO_CONSOLE_OPTS_INIT;
	struct vmm_virtio_console_port port = { -1, -1, NULL, true };
	struct vmm_virtio_console *console = NULL;
	int fds[2], n, ret = -EMFILE, before;
	struct rlimit old, now;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	port.in_fd = fds[0];
	port.out_fd = fds[1];
	opts.ports = &port;
	opts.port_n = 1;
	opts.thread = true;
	allocations_left = 0;
	assert_int_equal(vmm_virtio_console_new(&opts, &console, NULL), -ENOMEM);
	allocations_left = -1;
	before = lowest_free();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	now = old;
	for (n = 0; ret != 0; n++) {
		now.rlim_cur = (rlim_t)(before + n);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
		ret = vmm_virtio_console_new(&opts, &console, NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_true(ret == 0 || (ret == -EMFILE && !console));
		if (ret < 0)
			assert_int_equal(lowest_free(), before);
	}
	assert_true(n >= 5);
	vmm_virtio_console_free(console);
	assert_int_equal(lowest_free(), before);
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_network_device_survives_any_failed_allocation),
		cmocka_unit_test(a_network_device_survives_a_lack_of_descriptors),
		cmocka_unit_test(a_console_survives_a_lack_of_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Every public function once, from the outside of the shared library. */
#include "virtio-test.h"

#include <sys/socket.h>
#include <unistd.h>

#include <vmm/virtio-balloon.h>
#include <vmm/virtio-blk.h>
#include <vmm/virtio-console.h>
#include <vmm/virtio-input.h>
#include <vmm/virtio-mem.h>
#include <vmm/virtio-net.h>
#include <vmm/virtio-pmem.h>
#include <vmm/virtio-rng.h>
#include <vmm/virtio-vsock.h>

static void on_wake(void *ctx)
{
	++*(int *)ctx;
}

static void plain_structures_have_the_size_of_their_release(void **state)
{
	if (sizeof(size_t) != 8) {
		vmm_test_skip("sizes are those of 64 bits");
		return;
	}
	assert_int_equal(sizeof(struct vmm_virtq_config), 48);
	assert_int_equal(sizeof(struct vmm_virtq_chain), 48);
	assert_int_equal(sizeof(struct vmm_virtq_used), 16);
	assert_int_equal(sizeof(struct vmm_virtq_counters), 56);
	assert_int_equal(sizeof(struct vmm_virtq_state), 72);
	assert_int_equal(sizeof(struct vmm_virtq_cursor), 32);
	assert_int_equal(sizeof(struct vmm_virtio_activation), 40);
	assert_int_equal(sizeof(struct vmm_virtio_device_ops), 104);
	assert_int_equal(sizeof(struct vmm_virtio_shm), 24);
	assert_int_equal(sizeof(struct vmm_virtio_device), 88);
	assert_int_equal(sizeof(struct vmm_virtio_mmio_opts), 40);
	assert_int_equal(sizeof(struct vmm_virtio_doorbell), 32);
	assert_int_equal(sizeof(struct vmm_virtio_rng_opts), 72);
	assert_int_equal(sizeof(struct vmm_virtio_rng_stats), 40);
	assert_int_equal(sizeof(struct vmm_virtio_balloon_opts), 72);
	assert_int_equal(sizeof(struct vmm_virtio_balloon_guest), 152);
	assert_int_equal(sizeof(struct vmm_virtio_balloon_stats), 104);
	assert_int_equal(sizeof(struct vmm_virtio_input_event), 8);
	assert_int_equal(sizeof(struct vmm_virtio_input_codes), 16);
	assert_int_equal(sizeof(struct vmm_virtio_input_opts), 72);
	assert_int_equal(sizeof(struct vmm_virtio_input_stats), 40);
	assert_int_equal(sizeof(struct vmm_virtio_vsock_opts), 80);
	assert_int_equal(sizeof(struct vmm_virtio_vsock_stats), 120);
	assert_int_equal(sizeof(struct vmm_virtio_pmem_opts), 72);
	assert_int_equal(sizeof(struct vmm_virtio_pmem_stats), 48);
	assert_int_equal(sizeof(struct vmm_virtio_mem_backend), 24);
	assert_int_equal(sizeof(struct vmm_virtio_mem_opts), 88);
	assert_int_equal(sizeof(struct vmm_virtio_mem_stats), 88);
	assert_int_equal(sizeof(struct vmm_virtio_blk_io), 40);
	assert_int_equal(sizeof(struct vmm_virtio_blk_backend), 40);
	assert_int_equal(sizeof(struct vmm_virtio_blk_opts), 112);
	assert_int_equal(sizeof(struct vmm_virtio_blk_stats), 128);
	assert_int_equal(sizeof(struct vmm_virtio_blk_lifetime), 8);
	assert_int_equal(sizeof(struct vmm_virtio_rate_config), 56);
	assert_int_equal(sizeof(struct vmm_virtio_net_backend), 64);
	assert_int_equal(sizeof(struct vmm_virtio_net_opts), 104);
	assert_int_equal(sizeof(struct vmm_virtio_net_stats), 120);
	assert_int_equal(sizeof(struct vmm_virtio_console_backend), 24);
	assert_int_equal(sizeof(struct vmm_virtio_console_port), 24);
	assert_int_equal(sizeof(struct vmm_virtio_console_opts), 72);
	assert_int_equal(sizeof(struct vmm_virtio_console_stats), 80);
}

static void a_queue_serves_a_driver(void **state)
{
	static const struct mock_seg segs[] = { { MOCK_BUFFERS, 8, false },
						{ MOCK_BUFFERS + 8, 32, true } };
	struct vmm_virtq_counters counters = { .size = sizeof(counters) };
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT;
	struct vmm_virtq_cursor reader, writer, rest;
	struct vmm_virtq_used used = { 0, 0, 0 };
	struct iovec iov[4];
	uint16_t heads[8];
	char buf[8];
	struct rig r;
	size_t n;

	rig_start(&r, 8, EV);
	assert_int_equal(vmm_virtq_check(r.q, r.m->mem, &r.m->config, NULL), 0);
	assert_true(vmm_virtq_is_enabled(r.q));
	assert_int_equal(vmm_virtq_get_max(r.q), 8);
	assert_int_equal(vmm_virtq_get_num(r.q), 8);
	memcpy(r.m->ram + MOCK_BUFFERS, "question", 8);
	assert_int_equal(mock_add(r.m, segs, 2, false), 0);
	assert_true(vmm_virtq_enable_notification(r.q));
	vmm_virtq_disable_notification(r.q);
	assert_int_equal(vmm_virtq_pop(r.q, &r.chain), 0);
	assert_int_equal(vmm_virtq_undo_pop(r.q, r.chain.token), 0);
	assert_int_equal(vmm_virtq_pop(r.q, &r.chain), 0);

	reader = vmm_virtq_reader(&r.chain);
	assert_int_equal(vmm_virtq_read(&reader, buf, 4), 0);
	assert_int_equal(vmm_virtq_read_some(&reader, buf + 4, 9), 4);
	assert_memory_equal(buf, "question", 8);
	writer = vmm_virtq_writer(&r.chain);
	assert_int_equal(vmm_virtq_split(&writer, 16, &rest), 0);
	assert_int_equal(vmm_virtq_write(&writer, "answ", 4), 0);
	assert_int_equal(vmm_virtq_write_some(&writer, "er", 2), 2);
	assert_int_equal(vmm_virtq_skip(&writer, 2), 2);
	assert_int_equal(vmm_virtq_fill(&writer, 'x', 99), 8);
	assert_int_equal(vmm_virtq_get_iov(&rest, 16, iov, 4, &n), 0);
	assert_int_equal(n, 1);

	assert_int_equal(vmm_virtq_get_inflight(r.q, heads, 8), 1);
	assert_int_equal(vmm_virtq_get_state(r.q, &s), 0);
	vmm_virtq_reset(r.q);
	assert_int_equal(vmm_virtq_restore(r.q, r.m->mem, &s, heads, NULL), 0);
	assert_int_equal(vmm_virtq_set_mem(r.q, r.m->mem), 0);
	assert_int_equal(vmm_virtq_pop(r.q, &r.chain), 0);
	used.token = r.chain.token;
	used.len = 16;
	assert_int_equal(vmm_virtq_add_used_n(r.q, &used, 1), 0);
	assert_int_equal(vmm_virtq_add_used(r.q, r.chain.token, 0), -ENOENT);
	assert_true(vmm_virtq_needs_notification(r.q));
	expect_used(&r, 0, 16);
	vmm_virtq_get_counters(r.q, &counters);
	assert_int_equal(counters.used, 1);
	vmm_virtq_break(r.q);
	assert_true(vmm_virtq_is_broken(r.q));
	rig_stop(&r);
}

static void a_device_is_carried_by_mmio(void **state)
{
	static const uint64_t offered[2] = { VMM_VIRTIO_F_VERSION_1, 0 };
	VMM_CLEANUP(vmm_virtio_mmio_free) struct vmm_virtio_mmio *mmio = NULL;
	VMM_CLEANUP(vmm_virtio_rng_free) struct vmm_virtio_rng *rng = NULL;
	VMM_CLEANUP(mock_free) struct mock *m = mock_new(8, 0);
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_rng_opts ropts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_transport *t;
	struct vmm_virtio_doorbell bell;
	uint32_t value = 1;
	int wakes = 0;

	ropts.wake = on_wake;
	ropts.ctx = &wakes;
	opts.mem = m->mem;
	assert_int_equal(vmm_virtio_rng_new(&ropts, &rng), 0);
	assert_int_equal(
	    vmm_virtio_mmio_new(&opts, vmm_virtio_rng_get_device(rng), &mmio, NULL), 0);
	t = vmm_virtio_mmio_get_transport(mmio);
	vmm_virtio_mmio_write(mmio, 0x70, &value, 4);
	value = 0;
	vmm_virtio_mmio_read(mmio, 0x70, &value, 4);
	assert_int_equal(value, 1);
	assert_int_equal(vmm_virtio_transport_get_status(t), 1);
	vmm_virtio_transport_signal_queue(t, 0);
	vmm_virtio_transport_needs_reset(t);
	assert_int_equal(vmm_virtio_transport_set_config(t, 0, "", 1), -EINVAL);
	assert_int_equal(vmm_virtio_transport_sync_config(t, 0, "", 1), -EINVAL);
	assert_int_equal(vmm_virtio_mmio_get_doorbell(mmio, 0, &bell), 0);
	assert_non_null(vmm_virtio_mmio_get_queue(mmio, 0));
	assert_int_equal(vmm_virtio_mmio_set_mem(mmio, m->mem), 0);
	assert_int_equal(vmm_virtio_check_features(4, offered, offered, NULL), 0);
	vmm_virtio_rng_run(rng);
	assert_int_equal(wakes, 0);
	assert_int_equal(vmm_virtio_rng_get_doorbell(rng), -1);
}

static void images_and_sockets_are_opened_by_name(void **state)
{
	struct vmm_error err = { 0 };
	int fd = -1;

	assert_int_equal(vmm_virtio_blk_open_image("/dev/null",
						   VMM_VIRTIO_BLK_IMAGE_READONLY |
						       VMM_VIRTIO_BLK_IMAGE_DIRECT,
						   &fd, &err),
			 -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_int_equal(vmm_virtio_net_connect_stream("", &fd, NULL), -EINVAL);
	assert_int_equal(fd, -1);
}

static int complete_at_once(void *ctx, struct vmm_virtio_blk_io *io)
{
	vmm_virtio_blk_complete(io, 0);
	return 0;
}

static void a_block_device_has_a_back_end(void **state)
{
	static const struct vmm_virtio_blk_backend backend = { sizeof(backend),
							       complete_at_once, NULL,
							       NULL, NULL };
	static const struct vmm_virtio_blk_lifetime life = { 1, 2, 3, 0 };
	VMM_CLEANUP(vmm_virtio_mmio_free) struct vmm_virtio_mmio *mmio = NULL;
	VMM_CLEANUP(vmm_virtio_blk_free) struct vmm_virtio_blk *blk = NULL;
	VMM_CLEANUP(mock_free) struct mock *m = mock_new(8, 0);
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_blk_opts bopts = VMM_VIRTIO_BLK_OPTS_INIT;
	struct vmm_virtio_blk_stats stats = { .size = sizeof(stats) };
	struct vmm_virtio_transport *t;

	bopts.backend = &backend;
	bopts.capacity = 512;
	opts.mem = m->mem;
	assert_int_equal(vmm_virtio_blk_new(&bopts, &blk, NULL), 0);
	assert_int_equal(
	    vmm_virtio_mmio_new(&opts, vmm_virtio_blk_get_device(blk), &mmio, NULL), 0);
	t = vmm_virtio_mmio_get_transport(mmio);
	assert_int_equal(vmm_virtio_blk_set_capacity(blk, t, 1024), 0);
	assert_int_equal(vmm_virtio_blk_resize(blk, t, 2048, NULL), -EOPNOTSUPP);
	assert_int_equal(vmm_virtio_blk_get_engine(blk), VMM_VIRTIO_BLK_ENGINE_CALLER);
	assert_true(vmm_virtio_blk_get_doorbell(blk, 0) >= 0);
	assert_int_equal(vmm_virtio_blk_get_doorbell(blk, 1), -1);
	assert_true(vmm_virtio_blk_get_fd(blk, 0) >= 0);
	assert_int_equal(vmm_virtio_blk_get_fd(blk, 1), -1);
	vmm_virtio_blk_run(blk, 0);
	vmm_virtio_blk_set_lifetime(blk, &life);
	vmm_virtio_blk_get_stats(blk, &stats);
	assert_int_equal(stats.reads, 0);
}

static void a_rate_is_limited(void **state)
{
	VMM_CLEANUP(vmm_virtio_rate_free) struct vmm_virtio_rate *rate = NULL;
	struct vmm_virtio_rate_config config = VMM_VIRTIO_RATE_CONFIG_INIT;
	uint64_t wait = 0;

	config.ops_per_s = 1;
	assert_int_equal(vmm_virtio_rate_new(&config, &rate, NULL), 0);
	assert_int_equal(vmm_virtio_rate_take(rate, 512, 1, &wait), 0);
	assert_int_equal(vmm_virtio_rate_take(rate, 512, 1, &wait), -EAGAIN);
	vmm_virtio_rate_give(rate, 512, 1);
	config.ops_per_s = 0;
	assert_int_equal(vmm_virtio_rate_set(rate, &config, NULL), 0);
	assert_int_equal(vmm_virtio_rate_take(rate, 512, 9, &wait), 0);
}

static struct vmm_virtio_mmio *carry(struct mock *m, const struct vmm_virtio_device *d)
{
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_mmio *mmio = NULL;

	opts.mem = m->mem;
	assert_int_equal(vmm_virtio_mmio_new(&opts, d, &mmio, NULL), 0);
	return mmio;
}

static void memory_devices_are_made_and_asked(void **state)
{
	struct vmm_virtio_balloon_guest guest = { .size = sizeof(guest) };
	struct vmm_virtio_balloon_stats bstats = { .size = sizeof(bstats) };
	struct vmm_virtio_balloon_opts bopts = VMM_VIRTIO_BALLOON_OPTS_INIT;
	struct vmm_virtio_mem_stats stats = { .size = sizeof(stats) };
	struct vmm_virtio_mem_opts opts = VMM_VIRTIO_MEM_OPTS_INIT;
	VMM_CLEANUP(mock_free) struct mock *m = mock_new(8, 0);
	struct vmm_virtio_balloon *b;
	struct vmm_virtio_mmio *mmio;
	struct vmm_virtio_mem *d;
	uint64_t words[8];

	bopts.wake = on_wake;
	bopts.mem = m->mem;
	assert_int_equal(vmm_virtio_balloon_new(&bopts, &b, NULL), 0);
	assert_int_equal(vmm_virtio_balloon_get_pages(b, words, 8), 8);
	mmio = carry(m, vmm_virtio_balloon_get_device(b));
	assert_int_equal(
	    vmm_virtio_balloon_set_target(b, vmm_virtio_mmio_get_transport(mmio), 1), 0);
	assert_int_equal(vmm_virtio_balloon_poll_stats(b), -EOPNOTSUPP);
	assert_int_equal(vmm_virtio_balloon_start_hints(b), -EOPNOTSUPP);
	vmm_virtio_balloon_end_hints(b);
	vmm_virtio_balloon_run(b);
	assert_int_equal(vmm_virtio_balloon_get_doorbell(b), -1);
	vmm_virtio_balloon_get_guest(b, &guest);
	vmm_virtio_balloon_get_stats(b, &bstats);
	assert_int_equal(vmm_virtio_balloon_set_mem(b, m->mem), 0);
	vmm_virtio_mmio_free(mmio);
	vmm_virtio_balloon_free(b);

	opts.wake = on_wake;
	opts.mem = m->mem;
	opts.block_size = 4096;
	opts.gpa = MOCK_SPLIT_AT;
	opts.len = 64 * 4096;
	assert_int_equal(vmm_virtio_mem_new(&opts, &d, NULL), 0);
	assert_int_equal(vmm_virtio_mem_get_blocks(d, words, 8), 1);
	mmio = carry(m, vmm_virtio_mem_get_device(d));
	assert_int_equal(
	    vmm_virtio_mem_set_requested(d, vmm_virtio_mmio_get_transport(mmio), 4096),
	    0);
	assert_int_equal(
	    vmm_virtio_mem_unplug_all(d, vmm_virtio_mmio_get_transport(mmio)), 0);
	vmm_virtio_mem_set_mem(d, m->mem);
	vmm_virtio_mem_run(d);
	vmm_virtio_mem_get_stats(d, &stats);
	assert_int_equal(stats.requested, 4096);
	vmm_virtio_mmio_free(mmio);
	vmm_virtio_mem_free(d);
}

static void devices_with_descriptors_are_made_and_asked(void **state)
{
	struct vmm_virtio_pmem_stats pstats = { .size = sizeof(pstats) };
	struct vmm_virtio_pmem_opts popts = VMM_VIRTIO_PMEM_OPTS_INIT;
	struct vmm_virtio_vsock_stats stats = { .size = sizeof(stats) };
	struct vmm_virtio_vsock_opts opts = VMM_VIRTIO_VSOCK_OPTS_INIT;
	struct vmm_virtio_rng_stats rstats = { .size = sizeof(rstats) };
	struct vmm_virtio_rng_opts ropts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_rng *rng;
	struct vmm_virtio_vsock *v;
	struct vmm_virtio_pmem *p;
	char path[64];

	popts.fd = 0;
	popts.len = 4096;
	assert_int_equal(vmm_virtio_pmem_new(&popts, &p, NULL), 0);
	assert_non_null(vmm_virtio_pmem_get_device(p));
	assert_true(vmm_virtio_pmem_get_doorbell(p) >= 0);
	assert_true(vmm_virtio_pmem_get_fd(p) >= 0);
	vmm_virtio_pmem_run(p);
	vmm_virtio_pmem_get_stats(p, &pstats);
	vmm_virtio_pmem_free(p);

	(void)snprintf(path, sizeof(path), "/tmp/vmm-api-%d", (int)getpid());
	opts.cid = 3;
	opts.path = path;
	assert_int_equal(vmm_virtio_vsock_new(&opts, &v, NULL), 0);
	assert_non_null(vmm_virtio_vsock_get_device(v));
	assert_true(vmm_virtio_vsock_get_doorbell(v, 2) >= 0);
	assert_true(vmm_virtio_vsock_get_fd(v) >= 0);
	vmm_virtio_vsock_run(v);
	vmm_virtio_vsock_get_stats(v, &stats);
	vmm_virtio_vsock_free(v);

	ropts.wake = on_wake;
	assert_int_equal(vmm_virtio_rng_new(&ropts, &rng), 0);
	vmm_virtio_rng_get_stats(rng, &rstats);
	vmm_virtio_rng_free(rng);
}

static void an_input_device_is_made_and_asked(void **state)
{
	static const uint16_t keys[] = { 116 };
	static const struct vmm_virtio_input_codes codes = { 1, 1, keys };
	const struct vmm_virtio_input_event press = { 1, 116, 1 };
	struct vmm_virtio_input_stats stats = { .size = sizeof(stats) };
	struct vmm_virtio_input_opts opts = VMM_VIRTIO_INPUT_OPTS_INIT;
	struct vmm_virtio_input *in;

	opts.codes = &codes;
	opts.type_count = 1;
	assert_int_equal(vmm_virtio_input_new(&opts, &in), 0);
	assert_int_equal(vmm_virtio_input_get_device(in)->id, VMM_VIRTIO_ID_INPUT);
	assert_int_equal(vmm_virtio_input_send(in, &press, 1), 0);
	vmm_virtio_input_get_stats(in, &stats);
	assert_int_equal(stats.events, 0);
	vmm_virtio_input_free(in);
}

static void a_network_device_has_two_ends(void **state)
{
	VMM_CLEANUP(vmm_virtio_mmio_free) struct vmm_virtio_mmio *mmio = NULL;
	VMM_CLEANUP(vmm_virtio_net_free) struct vmm_virtio_net *net = NULL;
	VMM_CLEANUP(mock_free) struct mock *m = mock_new(8, 0);
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_net_opts nopts = VMM_VIRTIO_NET_OPTS_INIT;
	struct vmm_virtio_net_stats stats = { .size = sizeof(stats) };
	struct vmm_virtio_transport *t;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	nopts.kind = VMM_VIRTIO_NET_DATAGRAM;
	nopts.fds = fds;
	opts.mem = m->mem;
	assert_int_equal(vmm_virtio_net_new(&nopts, &net, NULL), 0);
	assert_int_equal(
	    vmm_virtio_mmio_new(&opts, vmm_virtio_net_get_device(net), &mmio, NULL), 0);
	t = vmm_virtio_mmio_get_transport(mmio);
	assert_true(vmm_virtio_net_get_fd(net, 0) >= 0);
	assert_true(vmm_virtio_net_get_doorbell(net, 0) >= 0);
	vmm_virtio_net_wake(net, 0);
	vmm_virtio_net_run(net, 0);
	assert_int_equal(vmm_virtio_net_set_link(net, t, true), 0);
	assert_int_equal(vmm_virtio_net_announce(net, t), -EOPNOTSUPP);
	assert_int_equal(vmm_virtio_net_set_fd(net, 0, -1), 0);
	vmm_virtio_net_get_stats(net, &stats);
	assert_int_equal(close(fds[0]), 0);
	assert_int_equal(close(fds[1]), 0);
}

/* Also where nobody may open one. */
static void a_tap_has_a_name_and_a_number_of_queues(void **state)
{
	static const char *const names[] = { "",     ".",     "..",
					     "a/b",  "a:b",   "a b",
					     "a\nb", "tap%d", "a_name_of_16_char" };
	struct vmm_error err;
	int fd;

	for (size_t i = 0; i < VMM_ARRAY_LEN(names); i++) {
		assert_int_equal(vmm_virtio_net_open_tap(names[i], 1, &fd, &err),
				 -EINVAL);
		assert_non_null(strstr(err.message, "no name for one"));
	}
	for (uint32_t pairs = 0; pairs <= 65; pairs += 65) {
		assert_int_equal(vmm_virtio_net_open_tap("x", pairs, &fd, &err), -EINVAL);
		assert_non_null(strstr(err.message, "pairs of queues"));
	}
}

static void a_console_has_ports(void **state)
{
	static const struct vmm_virtio_console_port port = { -1, -1, NULL, true };
	VMM_CLEANUP(vmm_virtio_mmio_free) struct vmm_virtio_mmio *mmio = NULL;
	VMM_CLEANUP(vmm_virtio_console_free) struct vmm_virtio_console *console = NULL;
	VMM_CLEANUP(mock_free) struct mock *m = mock_new(8, 0);
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_console_opts copts = VMM_VIRTIO_CONSOLE_OPTS_INIT;
	struct vmm_virtio_console_stats stats = { .size = sizeof(stats) };

	copts.ports = &port;
	copts.port_n = 1;
	opts.mem = m->mem;
	assert_int_equal(vmm_virtio_console_new(&copts, &console, NULL), 0);
	assert_int_equal(vmm_virtio_mmio_new(
			     &opts, vmm_virtio_console_get_device(console), &mmio, NULL),
			 0);
	assert_true(vmm_virtio_console_get_fd(console) >= 0);
	assert_true(vmm_virtio_console_get_doorbell(console) >= 0);
	vmm_virtio_console_wake(console);
	vmm_virtio_console_run(console);
	assert_int_equal(vmm_virtio_console_set_fds(console, 0, -1, -1), 0);
	assert_int_equal(vmm_virtio_console_set_size(
			     console, vmm_virtio_mmio_get_transport(mmio), 80, 25),
			 0);
	vmm_virtio_console_get_stats(console, &stats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_structures_have_the_size_of_their_release),
		cmocka_unit_test(a_queue_serves_a_driver),
		cmocka_unit_test(a_device_is_carried_by_mmio),
		cmocka_unit_test(images_and_sockets_are_opened_by_name),
		cmocka_unit_test(a_block_device_has_a_back_end),
		cmocka_unit_test(a_rate_is_limited),
		cmocka_unit_test(memory_devices_are_made_and_asked),
		cmocka_unit_test(devices_with_descriptors_are_made_and_asked),
		cmocka_unit_test(an_input_device_is_made_and_asked),
		cmocka_unit_test(a_network_device_has_two_ends),
		cmocka_unit_test(a_tap_has_a_name_and_a_number_of_queues),
		cmocka_unit_test(a_console_has_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

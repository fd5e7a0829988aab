/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Every allocation fails once: the call says -ENOMEM, changes nothing, leaks nothing. */
#include "virtio-test.h"

#include <sys/mman.h>
#include <unistd.h>

#include <vmm/virtio-balloon.h>
#include <vmm/virtio-blk.h>
#include <vmm/virtio-mem.h>
#include <vmm/virtio-pmem.h>
#include <vmm/virtio-rng.h>
#include <vmm/virtio-vsock.h>

#include "vsock-rig.h"

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

static void a_queue_survives_any_failed_allocation(void **state)
{
	struct vmm_virtq *q = NULL;
	struct mock *m = mock_new(16, 0);
	int n, ret = -ENOMEM;

	allocations_left = 0;
	assert_int_equal(vmm_virtq_new(16, &q), -ENOMEM);
	assert_null(q);
	allocations_left = 1;
	assert_int_equal(vmm_virtq_new(16, &q), 0);
	for (n = 0; ret != 0; n++) {
		struct vmm_error err = { 0 };

		allocations_left = n;
		ret = vmm_virtq_enable(q, m->mem, &m->config, &err);
		assert_int_equal(ret, err.code);
		assert_true(ret == 0 || ret == -ENOMEM);
		assert_true(vmm_virtq_is_enabled(q) == (ret == 0));
	}
	assert_int_equal(n, 6);
	allocations_left = 0;
	assert_int_equal(vmm_virtq_set_mem(q, m->mem), -ENOMEM);
	assert_false(vmm_virtq_is_broken(q));
	allocations_left = 1;
	assert_int_equal(vmm_virtq_set_mem(q, m->mem), 0);
	allocations_left = -1;
	vmm_virtq_free(q);
	mock_free(m);
}

static void a_transport_survives_any_failed_allocation(void **state)
{
	static const struct vmm_virtio_device_ops ops = VMM_VIRTIO_DEVICE_OPS_INIT;
	static const uint16_t max[2] = { 16, 16 };
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_device device = VMM_VIRTIO_DEVICE_INIT;
	struct vmm_virtio_mmio *mmio = NULL;
	struct mock *m = mock_new(16, 0);
	int n, ret = -ENOMEM;

	opts.mem = m->mem;
	device.ops = &ops;
	device.queue_n = 2;
	device.queue_max = max;
	device.config = "config";
	device.config_len = 6;
	for (n = 0; ret != 0; n++) {
		allocations_left = n;
		ret = vmm_virtio_mmio_new(&opts, &device, &mmio, NULL);
		assert_true(ret == 0 ? mmio != NULL : ret == -ENOMEM && !mmio);
	}
	assert_int_equal(n, 9);
	allocations_left = -1;
	vmm_virtio_mmio_free(mmio);
	mock_free(m);
}

static void an_entropy_device_survives_a_failed_allocation(void **state)
{
	struct vmm_virtio_rng_opts opts = VMM_VIRTIO_RNG_OPTS_INIT;
	struct vmm_virtio_rng *rng = NULL;

	opts.wake = free;
	allocations_left = 0;
	assert_int_equal(vmm_virtio_rng_new(&opts, &rng), -ENOMEM);
	assert_null(rng);
	allocations_left = 1;
	assert_int_equal(vmm_virtio_rng_new(&opts, &rng), 0);
	allocations_left = -1;
	vmm_virtio_rng_free(rng);
}

static void on_wake(void *ctx)
{
}

static void a_balloon_survives_any_failed_allocation(void **state)
{
	struct vmm_virtio_balloon_opts opts = VMM_VIRTIO_BALLOON_OPTS_INIT;
	struct vmm_virtio_balloon *b = NULL;
	struct mock *m = mock_new(16, 0);
	int n, ret = -ENOMEM;

	opts.wake = on_wake;
	opts.mem = m->mem;
	for (n = 0; ret != 0; n++) {
		allocations_left = n;
		ret = vmm_virtio_balloon_new(&opts, &b, NULL);
		assert_true(ret == 0 ? b != NULL : ret == -ENOMEM && !b);
	}
	assert_int_equal(n, 4);
	for (n = 0; n < 2; n++) {
		allocations_left = n;
		assert_int_equal(vmm_virtio_balloon_set_mem(b, m->mem), -ENOMEM);
	}
	allocations_left = -1;
	vmm_virtio_balloon_free(b);
	mock_free(m);
}

static int unplug(void *ctx, uint64_t gpa, uint64_t len)
{
	return 0;
}

static void a_memory_device_survives_any_failed_allocation(void **state)
{
	static const struct vmm_virtio_mem_backend backend = { sizeof(backend), NULL,
							       unplug };
	struct vmm_virtio_mem_opts opts = VMM_VIRTIO_MEM_OPTS_INIT;
	struct vmm_virtio_mem *d = NULL;
	int n, ret = -ENOMEM;

	opts.wake = on_wake;
	opts.backend = &backend;
	opts.len = UINT64_C(2) << 20;
	for (n = 0; ret != 0; n++) {
		allocations_left = n;
		ret = vmm_virtio_mem_new(&opts, &d, NULL);
		assert_true(ret == 0 ? d != NULL : ret == -ENOMEM && !d);
	}
	assert_int_equal(n, 3);
	allocations_left = -1;
	vmm_virtio_mem_free(d);
}

static void a_pmem_device_survives_any_failed_allocation(void **state)
{
	struct vmm_virtio_pmem_opts opts = VMM_VIRTIO_PMEM_OPTS_INIT;
	struct vmm_virtio_pmem *d = NULL;
	int n, ret = -ENOMEM;

	opts.fd = 0;
	opts.len = 4096;
	for (n = 0; ret != 0; n++) {
		allocations_left = n;
		ret = vmm_virtio_pmem_new(&opts, &d, NULL);
		assert_true(ret == 0 ? d != NULL : ret == -ENOMEM && !d);
	}
	assert_int_equal(n, 3);
	allocations_left = -1;
	vmm_virtio_pmem_free(d);
}

static void wr(struct vmm_virtio_mmio *mmio, uint32_t reg, uint32_t value)
{
	vmm_virtio_mmio_write(mmio, reg, &value, 4);
}

static uint32_t start_driver(struct vmm_virtio_mmio *mmio)
{
	static const uint32_t script[][2] = {
		{ 0x70, 0 },	       { 0x70, 1 },	    { 0x70, 3 },
		{ 0x24, 1 },	       { 0x20, 1 },	    { 0x70, 0xb },
		{ 0x38, 16 },	       { 0x80, MOCK_DESC }, { 0x90, MOCK_DRIVER },
		{ 0xa0, MOCK_DEVICE }, { 0x44, 1 },	    { 0x70, 0xf },
	};
	uint32_t status = 0;

	for (size_t i = 0; i < VMM_ARRAY_LEN(script); i++)
		wr(mmio, script[i][0], script[i][1]);
	vmm_virtio_mmio_read(mmio, 0x70, &status, 4);
	return status;
}

/* The same with memory that is tracked: the log needs some, too. */
static void a_log_survives_any_failed_allocation(void **state)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *b = NULL;
	struct vmm_mem_region r = VMM_MEM_REGION_INIT;
	struct vmm_mem *tracked = NULL;
	struct vmm_virtq *q = NULL;
	struct mock *m = mock_new(16, 0);
	int n, ret = -ENOMEM;

	r.len = MOCK_RAM_LEN;
	r.dirty_page_size = 4096;
	assert_int_equal(vmm_mem_builder_new(&b), 0);
	assert_int_equal(vmm_mem_builder_add(b, &r, NULL), 0);
	assert_int_equal(vmm_mem_builder_build(b, &tracked), 0);
	assert_int_equal(vmm_virtq_new(16, &q), 0);
	for (n = 0; ret != 0; n++) {
		allocations_left = n;
		ret = vmm_virtq_enable(q, tracked, &m->config, NULL);
		assert_true(ret == 0 || ret == -ENOMEM);
	}
	assert_int_equal(n, 9);
	for (n = 0, ret = -ENOMEM; ret != 0; n++) {
		allocations_left = n;
		ret = vmm_virtq_set_mem(q, tracked);
		assert_true(ret == 0 || ret == -ENOMEM);
		assert_false(vmm_virtq_is_broken(q));
	}
	assert_int_equal(n, 5);
	allocations_left = -1;
	vmm_virtq_free(q);
	vmm_mem_free(tracked);
	mock_free(m);
}

static void saving_and_restoring_survive_any_failed_allocation(void **state)
{
	static const struct vmm_virtio_device_ops ops = VMM_VIRTIO_DEVICE_OPS_INIT;
	static const uint16_t max[2] = { 16, 16 };
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_device device = VMM_VIRTIO_DEVICE_INIT;
	struct vmm_virtio_mmio *from = NULL, *to = NULL;
	struct mock *m = mock_new(16, 0);
	uint8_t saved[1024];
	int64_t len = -ENOMEM;
	int n, ret = -ENOMEM;

	opts.mem = m->mem;
	device.ops = &ops;
	device.queue_n = 2;
	device.queue_max = max;
	assert_int_equal(vmm_virtio_mmio_new(&opts, &device, &from, NULL), 0);
	assert_int_equal(vmm_virtio_mmio_new(&opts, &device, &to, NULL), 0);
	assert_int_equal(start_driver(from), 0xf);
	vmm_virtio_mmio_pause(from);
	for (n = 0; len < 0; n++) {
		allocations_left = n;
		len = vmm_virtio_mmio_save(from, saved, sizeof(saved));
		assert_true(len > 0 || len == -ENOMEM);
	}
	assert_int_equal(n, 5);
	for (n = 0; ret != 0; n++) {
		struct vmm_error err = { 0 };

		allocations_left = n;
		ret = vmm_virtio_mmio_restore(to, saved, (size_t)len, &err);
		assert_true(ret == err.code && (ret == 0 || ret == -ENOMEM));
	}
	assert_int_equal(n, 11);
	allocations_left = -1;
	vmm_virtio_mmio_free(from);
	vmm_virtio_mmio_free(to);
	mock_free(m);
}

/* At activation a lack of memory is the driver's to know: the device needs a reset. */
static void a_block_device_survives_any_failed_allocation(void **state)
{
	struct vmm_virtio_mmio_opts opts = VMM_VIRTIO_MMIO_OPTS_INIT;
	struct vmm_virtio_blk_opts bopts = VMM_VIRTIO_BLK_OPTS_INIT;
	struct vmm_virtio_mmio *mmio = NULL;
	struct vmm_virtio_blk *blk = NULL;
	struct mock *m = mock_new(16, 0);
	int n, disk = memfd_create("disk", MFD_CLOEXEC);
	uint32_t status = 0;

	bopts.fd = disk;
	bopts.threads = 1;
	opts.mem = m->mem;
	assert_true(disk >= 0);
	assert_int_equal(ftruncate(disk, 512), 0);
	/* The last one is there on any machine. */
	for (uint32_t engine = VMM_VIRTIO_BLK_ENGINE_URING; engine > 0; engine--) {
		int ret = -ENOMEM;

		vmm_virtio_blk_free(blk);
		blk = NULL;
		bopts.engine = engine;
		for (n = 0; ret == -ENOMEM; n++) {
			allocations_left = n;
			ret = vmm_virtio_blk_new(&bopts, &blk, NULL);
			assert_true((ret == 0) == (blk != NULL));
		}
		allocations_left = -1;
		assert_true(ret == 0 || ret == -EOPNOTSUPP);
		assert_true(n > 2);
	}
	assert_int_equal(
	    vmm_virtio_mmio_new(&opts, vmm_virtio_blk_get_device(blk), &mmio, NULL), 0);
	for (n = 0; status != 0xf; n++) {
		allocations_left = n;
		status = start_driver(mmio);
		assert_true(status == 0xf || status == 0x4f);
	}
	assert_int_equal(n, 8);
	allocations_left = -1;
	vmm_virtio_mmio_free(mmio);
	vmm_virtio_blk_free(blk);
	mock_free(m);
	close(disk);
}

/* A connection for which there is no memory is refused or ended, and no other. */
static void connections_survive_any_failed_allocation(void **state)
{
	struct vmm_virtio_vsock_opts o;
	struct vworld w = { 0 };
	int server, fd, op;
	struct pkt p;

	dr_init(&w.r, 32);
	vs_opts(&w, &o);
	allocations_left = 0;
	assert_int_equal(vmm_virtio_vsock_new(&o, &w.v, NULL), -ENOMEM);
	allocations_left = -1;
	vs_start_with(&w, &o);
	vs_refill(&w);
	server = vs_server(&w, 9, SOCK_SEQPACKET);
	/* 0: the connection itself; 1, 2: its buffer; then that for the other way. */
	for (int n = 0; n < 4; n++) {
		allocations_left = n;
		vs_op(&w, SEQPACKET, REQUEST, 7, 9, 0);
		op = vs_next(&w);
		assert_int_equal(op, n == 0 ? RST : RESPONSE);
		fd = accept(server, NULL, NULL);
		if (n == 0) {
			(void)close(fd);
			continue;
		}
		p = vs_pkt(&w, SEQPACKET, RW, 7, 9);
		p.flags = 1;
		vs_send(&w, &p, "data", 4);
		if (n == 3) {
			assert_int_equal(send(fd, "x", 1, 0), 1);
			vs_run(&w);
		}
		assert_int_equal(vs_next(&w), RST);
		assert_int_equal(vs_stats(&w).connections, 0);
		(void)close(fd);
	}
	allocations_left = -1;
	(void)close(server);
	vs_remove(&w, 9);
	vs_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_survives_any_failed_allocation),
		cmocka_unit_test(a_transport_survives_any_failed_allocation),
		cmocka_unit_test(a_log_survives_any_failed_allocation),
		cmocka_unit_test(saving_and_restoring_survive_any_failed_allocation),
		cmocka_unit_test(a_block_device_survives_any_failed_allocation),
		cmocka_unit_test(an_entropy_device_survives_a_failed_allocation),
		cmocka_unit_test(a_balloon_survives_any_failed_allocation),
		cmocka_unit_test(a_memory_device_survives_any_failed_allocation),
		cmocka_unit_test(a_pmem_device_survives_any_failed_allocation),
		cmocka_unit_test(connections_survive_any_failed_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

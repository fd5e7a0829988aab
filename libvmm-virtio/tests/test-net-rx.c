/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Frames and the buffers that the driver has for them. */
#include "virtio-test.h"

#include "net-rig.h"

#define BASIC (NF_MAC | NF_STATUS | NF_CTRL)
#define HEADER VMM_VIRTIO_NET_HEADER_LEN
#define FRAME_MAX VMM_VIRTIO_NET_FRAME_MAX

static uint8_t got[HEADER + FRAME_MAX];
static uint8_t want[FRAME_MAX];

static void expect_frame(struct net_rig *r, uint32_t pair, uint32_t len, uint8_t seed,
			 uint16_t buffers)
{
	uint16_t n;

	assert_int_equal(rig_take(r, pair, got), HEADER + len);
	net_fill_frame(want, len, seed);
	assert_memory_equal(got + HEADER, want, len);
	memcpy(&n, got + 10, 2);
	assert_int_equal(n, buffers);
}

/* A bad chain behind good ones: those come back empty at worst, and none is lost. */
static void a_bad_chain_among_buffers_loses_none(void **state)
{
	static const struct mock_seg hole = { MOCK_HOLE, 100, true };
	struct net_rig r;
	uint32_t id, len, n = 0;

	net_rig_start(&r,
		      BASIC | NF_MRG | VMM_VIRTIO_NET_F_GUEST_CSUM |
			  VMM_VIRTIO_NET_F_GUEST_TSO4,
		      true);
	rig_give_buffers(&r, 0, 5, 1000);
	assert_true(mock_add(&r.q[0], &hole, 1, false) >= 0);
	rig_give_buffers(&r, 0, 5, 1000);
	(void)rig_queue_frame(&r, 60, 1);
	(void)rig_loop(&r, 0);
	assert_int_equal(mock_get_used(&r.q[0], &id, &len), 0);
	assert_int_equal(len, 0);
	expect_frame(&r, 0, 60, 1, 1);
	while (mock_get_used(&r.q[0], &id, &len) == 0)
		n += len == 0;
	assert_int_equal(n, 4);
	(void)rig_queue_frame(&r, 4500, 2);
	vmm_virtio_net_wake(r.net, 0);
	(void)rig_loop(&r, 0);
	expect_frame(&r, 0, 4500, 2, 5);
	net_rig_stop(&r);
}

static void frames_wait_for_buffers_without_a_spin(void **state)
{
	struct net_rig r;

	net_rig_start(&r, BASIC, true);
	(void)rig_loop(&r, 0);
	(void)rig_queue_frame(&r, 60, 1);
	vmm_virtio_net_wake(r.net, 0);
	assert_int_equal(rig_loop(&r, 0), 1);
	assert_int_equal(r.recvs, 0);
	assert_true(rig_stats(&r).rx_starved > 0);
	rig_give_buffers(&r, 0, 2, 1526);
	assert_int_equal(rig_loop(&r, 0), 1);
	expect_frame(&r, 0, 60, 1, 1);
	net_rig_stop(&r);
}

static void frames_are_spread_over_mergeable_buffers(void **state)
{
	static const uint32_t sizes[] = { 12, 13, 26, 100, 1526, 4096 };
	struct net_rig r;

	net_rig_start(&r, BASIC | NF_MRG, true);
	for (size_t i = 0; i < VMM_ARRAY_LEN(sizes); i++) {
		uint32_t len = sizes[i] * 3 - 5, n = (12 + len + sizes[i] - 1) / sizes[i];

		if (len < 14)
			len = 14, n = (12 + len + sizes[i] - 1) / sizes[i];
		assert_int_equal(rig_climb(&r, BASIC | NF_MRG |
						   VMM_VIRTIO_NET_F_GUEST_CSUM |
						   VMM_VIRTIO_NET_F_GUEST_TSO6),
				 0xf);
		rig_give_buffers(&r, 0, 12, sizes[i]);
		(void)rig_queue_frame(&r, len, (uint8_t)i);
		(void)rig_queue_frame(&r, 14, 99);
		(void)rig_loop(&r, 0);
		expect_frame(&r, 0, len, (uint8_t)i, (uint16_t)n);
		expect_frame(&r, 0, 14, 99, sizes[i] < 26 ? (sizes[i] < 13 ? 3 : 2) : 1);
	}
	net_rig_stop(&r);
}

/* Buffers of many pieces, more than are gathered at once, in one run. */
static void buffers_of_many_pieces_are_gathered_as_needed(void **state)
{
	struct mock_seg segs[16];
	struct net_rig r;
	uint32_t n = 0;

	net_rig_start(&r, BASIC | NF_MRG | IND, true);
	for (uint32_t i = 0; i < NET_NUM; i++) {
		for (uint32_t k = 0; k < 16; k++)
			segs[k] = (struct mock_seg){
				MOCK_SPLIT_AT - 0x8000 + 0x800 * i + 100 * k, 100, true
			};
		r.addr[0][i] = segs[0].gpa;
		assert_int_equal(mock_add(&r.q[0], segs, 16, true), i);
	}
	for (uint32_t i = 0; i < NET_NUM - 1; i++)
		(void)rig_queue_frame(&r, 1500 + i, (uint8_t)i);
	vmm_virtio_net_run(r.net, 0);
	for (; n < NET_NUM - 1; n++)
		expect_frame(&r, 0, 1500 + n, (uint8_t)n, 1);
	assert_int_equal(rig_take(&r, 0, got), -EAGAIN);

	/* So small that the longest frame does not fit into what can be gathered: it is
	 * dropped, and does not block the next one. */
	assert_int_equal(rig_climb(&r, BASIC | NF_MRG | IND |
					   VMM_VIRTIO_NET_F_GUEST_CSUM |
					   VMM_VIRTIO_NET_F_GUEST_TSO4),
			 0xf);
	for (uint32_t i = 0; i < NET_NUM; i++) {
		for (uint32_t k = 0; k < 16; k++)
			segs[k] = (struct mock_seg){
				MOCK_SPLIT_AT - 0x8000 + 0x800 * i + 30 * k, 30, true
			};
		r.addr[0][i] = segs[0].gpa;
		assert_int_equal(mock_add(&r.q[0], segs, 16, true), i);
	}
	(void)rig_queue_frame(&r, FRAME_MAX, 1);
	(void)rig_queue_frame(&r, 1000, 2);
	(void)rig_loop(&r, 0);
	expect_frame(&r, 0, 1000, 2, 3);
	assert_int_equal(rig_stats(&r).rx_dropped, 1);
	net_rig_stop(&r);
}

static void a_header_of_the_back_end_reaches_the_driver(void **state)
{
	static const uint8_t header[12] = { 1, 1, 54, 0, 180, 5, 34, 0, 16, 0, 0, 0 };
	static const uint8_t clean[12] = { [10] = 1 };
	struct net_rig r;

	net_rig_start(
	    &r, BASIC | VMM_VIRTIO_NET_F_GUEST_CSUM | VMM_VIRTIO_NET_F_GUEST_TSO4, true);
	rig_give_buffers(&r, 0, 4, 2000);
	(void)rig_queue_frame(&r, 1900, 1);
	memcpy(r.queued[0].bytes, header, 12);
	(void)rig_loop(&r, 0);
	expect_frame(&r, 0, 1900, 1, 1);
	assert_memory_equal(got, header, 10);
	/* Without GUEST_CSUM there is nothing in it. */
	assert_int_equal(rig_climb(&r, BASIC), 0xf);
	rig_give_buffers(&r, 0, 4, 2000);
	(void)rig_queue_frame(&r, 1400, 1);
	memcpy(r.queued[0].bytes, header, 12);
	(void)rig_loop(&r, 0);
	expect_frame(&r, 0, 1400, 1, 1);
	assert_memory_equal(got, clean, 12);
	net_rig_stop(&r);
}

static void a_frame_longer_than_its_buffer_is_dropped_alone(void **state)
{
	struct net_rig r;

	net_rig_start(&r, BASIC, true);
	rig_give_buffers(&r, 0, 2, 1526);
	(void)rig_queue_frame(&r, 1515, 1);
	(void)rig_queue_frame(&r, 1514, 2);
	(void)rig_queue_frame(&r, 13, 3);
	(void)rig_queue_frame(&r, FRAME_MAX + 1, 4);
	(void)rig_queue_frame(&r, FRAME_MAX + 50, 5);
	(void)rig_queue_frame(&r, 200, 6);
	(void)rig_loop(&r, 0);
	expect_frame(&r, 0, 1514, 2, 1);
	expect_frame(&r, 0, 200, 6, 1);
	assert_int_equal(rig_stats(&r).rx_dropped, 4);
	net_rig_stop(&r);
}

/* A frame for which there are too few buffers waits for more, but not for ever. */
static void a_frame_waits_for_more_buffers_or_goes(void **state)
{
	struct pollfd p = { -1, POLLIN, 0 };
	struct net_rig r;

	net_rig_start(&r, BASIC | NF_MRG | EV, true);
	rig_give_buffers(&r, 0, 2, 1000);
	(void)rig_queue_frame(&r, 4000, 1);
	(void)rig_queue_frame(&r, 500, 2);
	vmm_virtio_net_run(r.net, 0);
	vmm_virtio_net_run(r.net, 0);
	assert_int_equal(rig_take(&r, 0, got), -EAGAIN);
	assert_int_equal(r.recvs, 1);
	rig_give_buffers(&r, 0, 6, 1000);
	vmm_virtio_net_run(r.net, 0);
	expect_frame(&r, 0, 4000, 1, 5);
	expect_frame(&r, 0, 500, 2, 1);

	(void)rig_queue_frame(&r, 4000, 3);
	(void)rig_queue_frame(&r, 600, 4);
	vmm_virtio_net_run(r.net, 0);
	assert_int_equal(rig_take(&r, 0, got), -EAGAIN);
	(void)rig_is_readable(&r, 0);
	p.fd = vmm_virtio_net_get_fd(r.net, 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	while (rig_take(&r, 0, got) == -EAGAIN && poll(&p, 1, 5000) == 1)
		vmm_virtio_net_run(r.net, 0);
	net_fill_frame(want, 600, 4);
	assert_memory_equal(got + HEADER, want, 600);
	assert_int_equal(rig_stats(&r).rx_dropped, 1);
	net_rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_chain_among_buffers_loses_none),
		cmocka_unit_test(frames_wait_for_buffers_without_a_spin),
		cmocka_unit_test(frames_are_spread_over_mergeable_buffers),
		cmocka_unit_test(buffers_of_many_pieces_are_gathered_as_needed),
		cmocka_unit_test(a_header_of_the_back_end_reaches_the_driver),
		cmocka_unit_test(a_frame_longer_than_its_buffer_is_dropped_alone),
		cmocka_unit_test(a_frame_waits_for_more_buffers_or_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

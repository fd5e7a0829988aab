/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Frames in both directions, good ones and others, over a back end of memory. */
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

static uint32_t tx_used(struct net_rig *r)
{
	uint32_t id = 0, len = 77;

	assert_int_equal(mock_get_used(&r->q[1], &id, &len), 0);
	return len;
}

static void the_driver_finds_what_was_asked_for(void **state)
{
	struct vmm_virtio_net_backend backend;
	struct vmm_virtio_net_opts opts;
	struct net_rig r;
	uint64_t offered;

	net_rig_init(&r);
	opts = net_rig_opts(&r, true, &backend);
	opts.pair_n = 2;
	opts.mtu = 9000;
	opts.offloads &= ~VMM_VIRTIO_NET_F_HOST_UFO;
	rig_attach(&r, &opts);
	assert_int_equal(nrd(&r, 0x08), 1);
	nwr(&r, 0x14, 0);
	offered = nrd(&r, 0x10);
	nwr(&r, 0x14, 1);
	offered |= (uint64_t)nrd(&r, 0x10) << 32;
	assert_true(offered & NF_MTU);
	assert_true(offered & NF_MQ);
	assert_true(offered & NF_GUEST_OFFLOADS);
	assert_true(offered & VMM_VIRTIO_NET_F_HOST_USO);
	assert_false(offered & VMM_VIRTIO_NET_F_HOST_UFO);
	assert_int_equal(config_read(&r, 0, 4), 2);
	assert_int_equal(config_read(&r, 4, 2), 0x100);
	assert_int_equal(config_read(&r, 6, 2), 1);
	assert_int_equal(config_read(&r, 8, 2), 2);
	assert_int_equal(config_read(&r, 10, 2), 9000);
	/* Queue 4 is the control queue with MQ, queue 2 without. */
	assert_int_equal(rig_climb(&r, BASIC | NF_MQ), 0xf);
	assert_int_equal(vmm_virtio_net_get_doorbell(r.net, 4),
			 vmm_virtio_net_get_doorbell(r.net, 0));
	assert_int_not_equal(vmm_virtio_net_get_doorbell(r.net, 3),
			     vmm_virtio_net_get_doorbell(r.net, 0));
	assert_int_equal(vmm_virtio_net_get_doorbell(r.net, 5), -1);
	assert_int_equal(rig_climb(&r, BASIC), 0xf);
	assert_int_equal(vmm_virtio_net_get_doorbell(r.net, 2),
			 vmm_virtio_net_get_doorbell(r.net, 0));
	assert_int_equal(vmm_virtio_net_get_doorbell(r.net, 3), -1);
	net_rig_stop(&r);
}

static void frames_go_out_and_come_in(void **state)
{
	static const bool headers[] = { false, true };
	struct net_rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(headers); i++) {
		uint32_t at = headers[i] ? HEADER : 0;

		net_rig_start(&r, BASIC, headers[i]);
		rig_loop(&r, 0);
		rig_transmit(&r, 0, NULL, 100);
		assert_int_equal(tx_used(&r), 0);
		assert_int_equal(r.sent_n, 1);
		assert_int_equal(r.sent[0].len, at + 100);
		net_fill_frame(want, 100, 100);
		assert_memory_equal(r.sent[0].bytes + at, want, 100);

		rig_give_buffers(&r, 0, 3, 1526);
		(void)rig_queue_frame(&r, 1514, 5);
		(void)rig_queue_frame(&r, 60, 6);
		assert_int_equal(rig_loop(&r, 0), 1);
		expect_frame(&r, 0, 1514, 5, 1);
		expect_frame(&r, 0, 60, 6, 1);
		assert_true(r.irqs > 0);
		assert_int_equal(rig_stats(&r).rx_bytes, 1574);
		assert_int_equal(rig_stats(&r).tx_bytes, 100);
		net_rig_stop(&r);
	}
}

static void packed_and_ordered_rings_work_as_well(void **state)
{
	static const uint64_t features[] = { PACKED, IN_ORDER, EV, PACKED | IN_ORDER };
	struct net_rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		net_rig_start(&r, BASIC | NF_MRG | features[i], true);
		for (uint32_t round = 0; round < 200; round++) {
			uint32_t n = (26 + round * 7 + 255) / 256;

			rig_transmit(&r, 0, NULL, 60 + round);
			assert_int_equal(tx_used(&r), 0);
			rig_give_buffers(&r, 0, n, 256);
			(void)rig_queue_frame(&r, 14 + round * 7, (uint8_t)round);
			vmm_virtio_net_wake(r.net, 0);
			(void)rig_loop(&r, 0);
			expect_frame(&r, 0, 14 + round * 7, (uint8_t)round, (uint16_t)n);
		}
		assert_int_equal(r.sent_n, 200);
		net_rig_stop(&r);
	}
}

/* HG-21: what a header may say depends on the frame and on what was negotiated. */
static void headers_that_cannot_be_are_dropped(void **state)
{
	enum { C4 = 1, T6 = 2, UF = 4, US = 8, EC = 16, CS = 32, ALL = 63 };
	static const struct {
		const char *what;
		uint32_t features;
		uint32_t len;
		uint8_t header[12];
		bool good;
	} cases[] = {
		{ "nothing", 0, 60, { 0 }, true },
		{ "unknown flags are ignored", 0, 60, { 0xfe }, true },
		{ "num_buffers is ignored", 0, 60, { [10] = 9 }, true },
		{ "fields without a flag are ignored",
		  0,
		  60,
		  { 0, 0, 255, 255, 0, 0, 255, 255, 255, 255 },
		  true },
		{ "checksum", ALL, 60, { 1, 0, 0, 0, 0, 0, 34, 0, 16, 0 }, true },
		{ "checksum at the end",
		  ALL,
		  60,
		  { 1, 0, 0, 0, 0, 0, 42, 0, 16, 0 },
		  true },
		{ "checksum behind the end",
		  ALL,
		  60,
		  { 1, 0, 0, 0, 0, 0, 43, 0, 16, 0 },
		  false },
		{ "checksum starts far away",
		  ALL,
		  60,
		  { 1, 0, 0, 0, 0, 0, 255, 255, 0, 0 },
		  false },
		{ "checksum sum wraps 16 bits",
		  ALL,
		  60,
		  { 1, 0, 0, 0, 0, 0, 0, 255, 6, 1 },
		  false },
		{ "checksum not negotiated",
		  0,
		  60,
		  { 1, 0, 0, 0, 0, 0, 34, 0, 16, 0 },
		  false },
		{ "TSO4", ALL, 4000, { 1, 1, 54, 0, 180, 5, 34, 0, 16, 0 }, true },
		{ "TSO6", ALL, 4000, { 1, 4, 74, 0, 160, 5, 54, 0, 16, 0 }, true },
		{ "UFO", ALL, 4000, { 1, 3, 42, 0, 180, 5, 34, 0, 6, 0 }, true },
		{ "USO", ALL, 4000, { 1, 5, 42, 0, 180, 5, 34, 0, 6, 0 }, true },
		{ "TSO4 with ECN",
		  ALL,
		  4000,
		  { 1, 0x81, 54, 0, 180, 5, 34, 0, 16, 0 },
		  true },
		{ "ECN not negotiated",
		  ALL & ~EC,
		  4000,
		  { 1, 0x81, 54, 0, 180, 5, 34, 0, 16, 0 },
		  false },
		{ "ECN of UDP",
		  ALL,
		  4000,
		  { 1, 0x83, 42, 0, 180, 5, 34, 0, 6, 0 },
		  false },
		{ "ECN of nothing",
		  ALL,
		  4000,
		  { 1, 0x80, 42, 0, 180, 5, 34, 0, 6, 0 },
		  false },
		{ "TSO4 not negotiated",
		  ALL & ~C4,
		  4000,
		  { 1, 1, 54, 0, 180, 5, 34, 0, 16, 0 },
		  false },
		{ "TSO6 not negotiated",
		  ALL & ~T6,
		  4000,
		  { 1, 4, 74, 0, 160, 5, 54, 0, 16, 0 },
		  false },
		{ "UFO not negotiated",
		  ALL & ~UF,
		  4000,
		  { 1, 3, 42, 0, 180, 5, 34, 0, 6, 0 },
		  false },
		{ "USO not negotiated",
		  ALL & ~US,
		  4000,
		  { 1, 5, 42, 0, 180, 5, 34, 0, 6, 0 },
		  false },
		{ "TSO4 without checksum",
		  ALL,
		  4000,
		  { 0, 1, 54, 0, 180, 5, 34, 0, 16, 0 },
		  false },
		{ "segments of 0 bytes",
		  ALL,
		  4000,
		  { 1, 1, 54, 0, 0, 0, 34, 0, 16, 0 },
		  false },
		{ "header longer than the frame",
		  ALL,
		  60,
		  { 1, 1, 61, 0, 180, 5, 34, 0, 16, 0 },
		  false },
		{ "unknown segmentation",
		  ALL,
		  4000,
		  { 1, 2, 54, 0, 180, 5, 34, 0, 16, 0 },
		  false },
		{ "all bits",
		  ALL,
		  4000,
		  { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 },
		  false },
		{ "shortest frame", 0, 14, { 0 }, true },
		{ "frame too short", 0, 13, { 0 }, false },
		{ "no frame", 0, 0, { 0 }, false },
		{ "longest frame", 0, FRAME_MAX, { 0 }, true },
		{ "frame too long", 0, FRAME_MAX + 1, { 0 }, false },
	};
	uint32_t sent = 0, dropped = 0;
	struct net_rig r;

	net_rig_start(&r, BASIC, true);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		uint32_t f = cases[i].features;
		uint64_t features = BASIC | (f & CS ? VMM_VIRTIO_NET_F_CSUM : 0) |
				    (f & C4 ? VMM_VIRTIO_NET_F_HOST_TSO4 : 0) |
				    (f & T6 ? VMM_VIRTIO_NET_F_HOST_TSO6 : 0) |
				    (f & UF ? VMM_VIRTIO_NET_F_HOST_UFO : 0) |
				    (f & US ? VMM_VIRTIO_NET_F_HOST_USO : 0) |
				    (f & EC ? VMM_VIRTIO_NET_F_HOST_ECN : 0);

		assert_int_equal(rig_climb(&r, features), 0xf);
		rig_transmit(&r, 0, cases[i].header, cases[i].len);
		assert_int_equal(tx_used(&r), 0);
		*(cases[i].good ? &sent : &dropped) += 1;
		if (r.sent_n != sent)
			fail_msg("%s", cases[i].what);
		assert_int_equal(rig_stats(&r).tx_malformed, dropped);
	}
	net_rig_stop(&r);
}

/* What goes on does not carry what a driver put where nothing is. */
static void a_header_goes_on_clean(void **state)
{
	static const uint8_t none[12];
	static const uint8_t junk[12] = { 0xfe, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	static const uint8_t csum[12] = { 0xff, 0, 1, 2, 3, 4, 34, 0, 16, 0, 9, 10 };
	static const uint8_t want_csum[12] = { 1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0 };
	struct net_rig r;

	net_rig_start(&r, BASIC | VMM_VIRTIO_NET_F_CSUM, true);
	rig_transmit(&r, 0, junk, 60);
	assert_memory_equal(r.sent[0].bytes, none, 12);
	rig_transmit(&r, 0, csum, 60);
	assert_memory_equal(r.sent[1].bytes, want_csum, 12);
	net_rig_stop(&r);
}

static void a_header_may_be_cut_anywhere(void **state)
{
	struct net_rig r;
	uint8_t *at;

	net_rig_start(&r, BASIC | IND, true);
	at = mock_at(r.m, MOCK_BUFFERS);
	for (uint32_t cut = 1; cut <= 14; cut++) {
		struct mock_seg segs[4] = {
			{ MOCK_BUFFERS, cut, false },
			{ MOCK_BUFFERS + cut, 1, false },
			{ MOCK_BUFFERS + cut + 1, 0, false },
			{ MOCK_BUFFERS + cut + 1, 12 + 60 - cut - 1, false },
		};

		memset(at, 0, 12);
		net_fill_frame(at + 12, 60, 3);
		assert_true(mock_add(&r.q[1], segs, 4, cut % 2) >= 0);
		vmm_virtio_net_run(r.net, 0);
		assert_int_equal(tx_used(&r), 0);
		assert_int_equal(r.sent_n, cut);
		assert_int_equal(r.sent[cut - 1].len, 72);
		net_fill_frame(want, 60, 3);
		assert_memory_equal(r.sent[cut - 1].bytes + 12, want, 60);
	}
	/* One byte each: more pieces than a header has. */
	for (uint32_t i = 0; i < 40; i++)
		mock_raw_set(&r.q[1], i, MOCK_BUFFERS + i, 1, i < 39 ? MOCK_F_NEXT : 0,
			     i + 1);
	mock_raw_avail(&r.q[1], 0);
	vmm_virtio_net_run(r.net, 0);
	assert_int_equal(r.sent_n, 15);
	assert_int_equal(r.sent[14].len, 40);
	net_rig_stop(&r);
}

/* HG-22: one bad chain of each kind, and a good frame behind it. */
static void bad_chains_do_not_stop_the_device(void **state)
{
	static const struct {
		struct mock_seg segs[2];
		uint32_t n;
		bool rx;
	} bad[] = {
		{ { { MOCK_BUFFERS, 11, false } }, 1, false },
		{ { { MOCK_BUFFERS, 100, true } }, 1, false },
		{ { { MOCK_BUFFERS, 100, false }, { MOCK_BUFFERS, 1, true } }, 2, false },
		{ { { MOCK_HOLE, 100, false } }, 1, false },
		{ { { MOCK_BUFFERS, 0, false } }, 1, false },
		{ { { MOCK_BUFFERS, 1526, false } }, 1, true },
		{ { { MOCK_BUFFERS, 100, false }, { MOCK_BUFFERS, 1526, true } },
		  2,
		  true },
		{ { { MOCK_BUFFERS, 11, true } }, 1, true },
		{ { { MOCK_BUFFERS, 0, true } }, 1, true },
		{ { { MOCK_HOLE, 1526, true } }, 1, true },
		{ { { MOCK_ROM, 1526, true } }, 1, true },
	};
	struct net_rig r;
	uint32_t id, len;

	net_rig_start(&r, BASIC | NF_MRG, true);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++) {
		struct mock *q = &r.q[bad[i].rx ? 0 : 1];

		assert_true(mock_add(q, bad[i].segs, bad[i].n, false) >= 0);
		if (bad[i].rx) {
			rig_give_buffers(&r, 0, 1, 1526);
			(void)rig_queue_frame(&r, 60, 1);
			vmm_virtio_net_wake(r.net, 0);
		} else {
			rig_transmit(&r, 0, NULL, 60);
		}
		(void)rig_loop(&r, 0);
		assert_int_equal(mock_get_used(q, &id, &len), 0);
		assert_int_equal(len, 0);
		if (bad[i].rx)
			expect_frame(&r, 0, 60, 1, 1);
		else
			assert_int_equal(tx_used(&r), 0);
		assert_int_equal(rig_stats(&r).bad_chains, i + 1);
	}
	assert_int_equal(r.sent_n, 5);
	net_rig_stop(&r);
}

/* The driver notifies if and only if the device waits for it. */
static void notifications_are_asked_for_when_they_help(void **state)
{
	static const uint64_t features[] = { 0, EV };
	struct net_rig r;

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		struct mock_seg seg = { MOCK_BUFFERS, 1526, true };

		net_rig_start(&r, BASIC | features[i], true);
		(void)rig_loop(&r, 0);
		/* No buffers: tell me. */
		(void)mock_add(&r.q[0], &seg, 1, false);
		assert_true(mock_should_kick(&r.q[0]));
		vmm_virtio_net_run(r.net, 0);
		/* Buffers, no frames: do not. */
		(void)mock_add(&r.q[0], &seg, 1, false);
		assert_false(mock_should_kick(&r.q[0]));
		/* Nothing to send: tell me. */
		seg.write = false;
		(void)mock_add(&r.q[1], &seg, 1, false);
		assert_true(mock_should_kick(&r.q[1]));
		/* Blocked: do not, the back end will. */
		r.send_result = -EAGAIN;
		vmm_virtio_net_run(r.net, 0);
		(void)mock_add(&r.q[1], &seg, 1, false);
		assert_false(mock_should_kick(&r.q[1]));
		r.send_result = 0;
		vmm_virtio_net_run(r.net, 0);
		assert_int_equal(r.sent_n, 2);
		net_rig_stop(&r);
	}
}

/* HG-43 */
static void refill(struct net_rig *r)
{
	static const struct mock_seg seg = { MOCK_BUFFERS, 72, false };
	uint32_t id, len;

	while (mock_get_used(&r->q[1], &id, &len) == 0)
		;
	(void)mock_add(&r->q[1], &seg, 1, false);
}

static void one_run_is_bounded_and_stays_readable_for_the_rest(void **state)
{
	static const struct mock_seg bad = { MOCK_HOLE, 72, true };
	struct net_rig r;

	net_rig_start(&r, BASIC, true);
	(void)rig_loop(&r, 0);
	r.on_send = refill;
	rig_transmit(&r, 0, NULL, 60);
	refill(&r);
	vmm_virtio_net_run(r.net, 0);
	assert_in_range(r.sends, NET_NUM, 2 * NET_NUM);
	assert_true(rig_is_readable(&r, 0));
	r.on_send = NULL;
	(void)rig_loop(&r, 0);

	for (int i = 0; i < NET_NUM; i++)
		(void)mock_add(&r.q[0], &bad, 1, false);
	vmm_virtio_net_run(r.net, 0);
	assert_int_equal(rig_stats(&r).bad_chains, NET_NUM);
	r.recv_result = 0;
	for (int i = 0; i < NET_QUEUED; i++)
		(void)rig_queue_frame(&r, 5, 0);
	for (int i = 0; i < NET_NUM; i++) {
		uint32_t id, len;

		assert_int_equal(mock_get_used(&r.q[0], &id, &len), 0);
	}
	rig_give_buffers(&r, 0, 4, 1526);
	r.recvs = 0;
	vmm_virtio_net_run(r.net, 0);
	assert_int_equal(r.recvs, NET_NUM);
	assert_true(rig_is_readable(&r, 0));
	net_rig_stop(&r);
}

static void a_broken_ring_asks_for_a_reset_once(void **state)
{
	struct net_rig r;

	for (uint32_t q = 0; q < 3; q++) {
		net_rig_start(&r, BASIC, true);
		(void)rig_loop(&r, 0);
		r.irqs = 0;
		(void)rig_queue_frame(&r, 60, 0);
		mock_raw_avail_idx(&r.q[q], 1000);
		vmm_virtio_net_wake(r.net, 0);
		assert_in_range(rig_loop(&r, 0), 1, 2);
		for (int i = 0; i < 4; i++)
			vmm_virtio_net_run(r.net, 0);
		assert_int_equal(nrd(&r, 0x70), 0x4f);
		assert_int_equal(r.irqs, 1);
		assert_false(rig_is_readable(&r, 0));
		assert_int_equal(rig_climb(&r, BASIC), 0xf);
		rig_transmit(&r, 0, NULL, 60);
		assert_int_equal(tx_used(&r), 0);
		net_rig_stop(&r);
	}
}

static void a_link_that_is_down_carries_nothing(void **state)
{
	struct net_rig r;
	uint32_t generation;

	net_rig_start(&r, BASIC, true);
	rig_give_buffers(&r, 0, 4, 1526);
	(void)rig_loop(&r, 0);
	r.irqs = 0;
	generation = nrd(&r, 0xfc);
	assert_int_equal(vmm_virtio_net_set_link(r.net, r.t, false), 0);
	assert_int_equal(r.irqs, 1);
	assert_int_not_equal(nrd(&r, 0xfc), generation);
	assert_int_equal(config_read(&r, 6, 2), 0);
	(void)rig_queue_frame(&r, 60, 0);
	rig_transmit(&r, 0, NULL, 60);
	assert_int_equal(tx_used(&r), 0);
	assert_int_equal(r.sends, 0);
	(void)rig_loop(&r, 0);
	assert_int_equal(rig_take(&r, 0, got), -EAGAIN);
	assert_int_equal(rig_stats(&r).rx_dropped, 1);
	assert_int_equal(rig_stats(&r).tx_dropped, 1);

	assert_int_equal(vmm_virtio_net_set_link(r.net, r.t, true), 0);
	assert_int_equal(config_read(&r, 6, 2), 1);
	(void)rig_queue_frame(&r, 60, 2);
	(void)rig_loop(&r, 0);
	expect_frame(&r, 0, 60, 2, 1);
	net_rig_stop(&r);
}

static void a_back_end_that_fails_loses_frames_and_no_more(void **state)
{
	struct net_rig r;

	net_rig_start(&r, BASIC, true);
	rig_give_buffers(&r, 0, 4, 1526);
	(void)rig_loop(&r, 0);
	r.send_result = -EIO;
	rig_transmit(&r, 0, NULL, 60);
	assert_int_equal(tx_used(&r), 0);
	assert_int_equal(rig_stats(&r).tx_dropped, 1);
	r.send_result = 0;
	rig_transmit(&r, 0, NULL, 60);
	assert_int_equal(r.sent_n, 1);
	r.recv_result = -EIO;
	vmm_virtio_net_run(r.net, 0);
	assert_int_equal(r.closed_n, 1);
	assert_int_equal(r.closed_code, -EIO);
	r.recvs = 0;
	rig_transmit(&r, 0, NULL, 60);
	(void)rig_loop(&r, 0);
	assert_int_equal(r.recvs, 0);
	assert_int_equal(r.sent_n, 1);
	assert_int_equal(rig_stats(&r).tx_dropped, 2);
	assert_int_equal(r.closed_n, 1);
	assert_int_equal(vmm_virtio_net_set_fd(r.net, 0, 0), -EINVAL);
	net_rig_stop(&r);

	net_rig_start(&r, BASIC, true);
	r.send_result = -EPIPE;
	rig_transmit(&r, 0, NULL, 60);
	rig_transmit(&r, 0, NULL, 60);
	assert_int_equal(r.closed_n, 1);
	assert_int_equal(r.sends, 1);
	net_rig_stop(&r);
}

static void a_queue_can_be_reset_alone(void **state)
{
	struct net_rig r;
	uint64_t features = BASIC | VMM_VIRTIO_F_RING_RESET;

	net_rig_start(&r, features, true);
	rig_give_buffers(&r, 0, 4, 1526);
	(void)rig_loop(&r, 0);
	nwr(&r, 0x30, 1);
	nwr(&r, 0xc0, 1);
	(void)rig_queue_frame(&r, 60, 1);
	vmm_virtio_net_wake(r.net, 0);
	(void)rig_loop(&r, 0);
	expect_frame(&r, 0, 60, 1, 1);
	rig_place_queue(&r.q[1], r.m, 1);
	rig_queue(&r, 1);
	rig_transmit(&r, 0, NULL, 60);
	assert_int_equal(tx_used(&r), 0);
	assert_int_equal(r.sent_n, 1);
	net_rig_stop(&r);
}

static void rates_are_kept(void **state)
{
	struct vmm_virtio_rate_config config = VMM_VIRTIO_RATE_CONFIG_INIT;
	struct vmm_virtio_net_backend backend;
	struct vmm_virtio_net_opts opts;
	struct vmm_virtio_rate *tx, *rx;
	struct pollfd p = { -1, POLLIN, 0 };
	struct net_rig r;

	config.ops_per_s = 100;
	config.ops_burst = 2;
	assert_int_equal(vmm_virtio_rate_new(&config, &tx, NULL), 0);
	assert_int_equal(vmm_virtio_rate_new(&config, &rx, NULL), 0);
	net_rig_init(&r);
	opts = net_rig_opts(&r, true, &backend);
	opts.rx_rate = rx;
	opts.tx_rate = tx;
	rig_attach(&r, &opts);
	assert_int_equal(rig_climb(&r, BASIC), 0xf);
	rig_give_buffers(&r, 0, 8, 1526);
	(void)rig_loop(&r, 0);
	for (int i = 0; i < 3; i++)
		rig_transmit(&r, 0, NULL, 60);
	assert_int_equal(r.sent_n, 2);
	p.fd = vmm_virtio_net_get_fd(r.net, 0);
	while (r.sent_n < 3 && poll(&p, 1, 5000) == 1)
		vmm_virtio_net_run(r.net, 0);
	assert_int_equal(r.sent_n, 3);
	/* The third is asked for after it came, and the fourth waits for it. */
	for (int i = 0; i < 5; i++)
		(void)rig_queue_frame(&r, 60, 0);
	vmm_virtio_net_run(r.net, 0);
	assert_in_range(r.queued_at, 3, 4);
	while (r.queued_at < 5 && poll(&p, 1, 5000) == 1)
		vmm_virtio_net_run(r.net, 0);
	assert_int_equal(r.queued_at, 5);
	assert_true(rig_stats(&r).limited >= 2);
	/* What does not go because the back end is full costs nothing. */
	r.send_result = -EAGAIN;
	for (int i = 0; i < 50; i++)
		vmm_virtio_net_run(r.net, 0);
	net_rig_stop(&r);
	vmm_virtio_rate_free(tx);
	vmm_virtio_rate_free(rx);
}

static void bad_options_are_refused(void **state)
{
	static const int fds[1] = { -1 };
	struct vmm_virtio_net_backend backend;
	struct vmm_virtio_net *net = NULL;
	struct vmm_error err;
	struct net_rig r;

	net_rig_init(&r);
	for (int i = 0; i < 14; i++) {
		struct vmm_virtio_net_opts opts = net_rig_opts(&r, true, &backend);
		int want_code = -EINVAL;

		switch (i) {
		case 0:
			opts.backend = NULL;
			break;
		case 1:
			opts.fds = fds;
			break;
		case 2:
			opts.kind = VMM_VIRTIO_NET_STREAM;
			break;
		case 3:
			opts.backend = NULL;
			opts.kind = VMM_VIRTIO_NET_STREAM;
			break;
		case 4:
			opts.kind = 4;
			break;
		case 5:
			opts.pair_n = 65;
			break;
		case 6:
			opts.queue_max = 1;
			break;
		case 7:
			opts.queue_max = 32769;
			break;
		case 8:
			opts.mtu = 67;
			break;
		case 9:
			opts.mac[0] = 1;
			break;
		case 10:
			opts.size = 1;
			break;
		case 11:
			backend.send = NULL;
			break;
		case 12:
			backend.header = false;
			break;
		default:
			backend.size = 0;
			break;
		}
		assert_int_equal(vmm_virtio_net_new(&opts, &net, &err), want_code);
		assert_int_equal(err.code, want_code);
	}
	assert_null(net);
	vmm_virtio_net_free(NULL);
	mock_free(r.m);
	free(r.sent);
	free(r.queued);
}

static void calls_for_what_is_not_there_are_harmless(void **state)
{
	struct net_rig r, other;

	net_rig_start(&r, BASIC, true);
	net_rig_start(&other, BASIC, true);
	vmm_virtio_net_run(r.net, 2);
	vmm_virtio_net_wake(r.net, 2);
	assert_int_equal(vmm_virtio_net_get_fd(r.net, 2), -1);
	assert_int_equal(vmm_virtio_net_set_link(r.net, other.t, false), -EINVAL);
	assert_int_equal(vmm_virtio_net_announce(r.net, other.t), -EINVAL);
	assert_int_equal(vmm_virtio_net_announce(r.net, r.t), -EOPNOTSUPP);
	nwr(&r, 0x70, 0);
	rig_give_buffers(&r, 0, 1, 1526);
	(void)rig_queue_frame(&r, 60, 0);
	vmm_virtio_net_run(r.net, 0);
	assert_int_equal(r.recvs, 0);
	net_rig_stop(&other);
	net_rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_driver_finds_what_was_asked_for),
		cmocka_unit_test(frames_go_out_and_come_in),
		cmocka_unit_test(packed_and_ordered_rings_work_as_well),
		cmocka_unit_test(headers_that_cannot_be_are_dropped),
		cmocka_unit_test(a_header_goes_on_clean),
		cmocka_unit_test(a_header_may_be_cut_anywhere),
		cmocka_unit_test(bad_chains_do_not_stop_the_device),
		cmocka_unit_test(notifications_are_asked_for_when_they_help),
		cmocka_unit_test(one_run_is_bounded_and_stays_readable_for_the_rest),
		cmocka_unit_test(a_broken_ring_asks_for_a_reset_once),
		cmocka_unit_test(a_link_that_is_down_carries_nothing),
		cmocka_unit_test(a_back_end_that_fails_loses_frames_and_no_more),
		cmocka_unit_test(a_queue_can_be_reset_alone),
		cmocka_unit_test(rates_are_kept),
		cmocka_unit_test(bad_options_are_refused),
		cmocka_unit_test(calls_for_what_is_not_there_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The console device: bytes in both directions, flow control, back ends. */
#include "console-rig.h"
#include "device-state.h"

static void bytes_pass_in_both_directions(void **state)
{
	static const uint64_t features[] = { 0, EV, PACKED };
	struct mock_seg segs[3] = { { OUT, 3, false },
				    { MOCK_SPLIT_AT - 2, 4, false },
				    { OUT + 3, 1, false } };
	struct world w;

	for (size_t i = 0; i < VMM_ARRAY_LEN(features); i++) {
		start(&w, features[i]);
		print_to(&w, 1, "hello");
		expect_at_peer(&w, 0, "hello");
		assert_int_equal(used(&w, 1), 0);
		/* All buffers of a chain count, and all pieces of one. */
		memcpy(mock_at(w.m, OUT), "abc!", 4);
		memcpy(mock_at(w.m, MOCK_SPLIT_AT - 2), "defg", 4);
		assert_true(mock_add(&w.q[1], segs, 3, false) >= 0);
		vmm_virtio_console_run(w.c);
		expect_at_peer(&w, 0, "abcdefg!");

		give(&w, 0, 0, 100);
		assert_int_equal(send(w.peer[0], "input", 5, 0), 5);
		assert_int_equal(loop(&w), 1);
		assert_int_equal(used(&w, 0), 5);
		assert_memory_equal(mock_at(w.m, IN), "input", 5);
		assert_true(w.irqs > 0);
		assert_int_equal(stats_of(&w).rx_bytes, 5);
		assert_int_equal(stats_of(&w).tx_bytes, 13);
		stop(&w);
	}
}

/* HG-25: nothing is taken from a back end for which there is no buffer. */
static void input_waits_outside_until_there_is_a_buffer(void **state)
{
	struct world w;

	start(&w, 0);
	assert_int_equal(send(w.peer[0], "0123456789", 10, 0), 10);
	assert_in_range(loop(&w), 1, 2);
	assert_int_equal(recv(w.end[0], w.sent, 20, MSG_PEEK | MSG_DONTWAIT), 10);
	assert_true(stats_of(&w).rx_starved > 0);
	assert_false(is_readable(&w));
	/* In parts, as buffers come. */
	give(&w, 0, 0, 4);
	assert_int_equal(used(&w, 0), 4);
	give(&w, 0, 4, 4);
	give(&w, 0, 8, 4);
	assert_int_equal(used(&w, 0), 4);
	assert_int_equal(used(&w, 0), 2);
	assert_memory_equal(mock_at(w.m, IN), "0123456789", 10);
	stop(&w);
}

/* HG-25 the other way: a reader that stops holds the driver up, and not us. */
static void output_waits_in_the_ring_while_nobody_reads(void **state)
{
	static uint8_t big[0x40000];
	struct mock_seg seg = { OUT, 0x40000, false };
	struct world w;
	uint64_t total = 0;
	ssize_t n;

	start(&w, 0);
	for (uint32_t i = 0; i < 0x40000; i++)
		w.m->ram[OUT + i] = (uint8_t)(i * 7 + i / 256);
	for (int i = 0; i < 4; i++)
		assert_true(mock_add(&w.q[1], &seg, 1, false) >= 0);
	wr(&w, 0x50, 1);
	(void)loop(&w);
	assert_false(is_readable(&w));
	assert_true(stats_of(&w).tx_blocked > 0);
	assert_true(stats_of(&w).tx_bytes < 4 * 0x40000);
	for (int turn = 0; turn < 100000 && total < 4 * 0x40000; turn++) {
		n = recv(w.peer[0], big, 4096, MSG_DONTWAIT);
		for (ssize_t i = 0; i < n; i++) {
			uint32_t at = (uint32_t)(total + (uint64_t)i) % 0x40000;

			assert_int_equal(big[i], w.m->ram[OUT + at]);
		}
		if (n > 0)
			total += (uint64_t)n;
		(void)loop(&w);
	}
	assert_int_equal(total, 4 * 0x40000);
	for (int i = 0; i < 4; i++)
		assert_int_equal(used(&w, 1), 0);
	stop(&w);
}

static void a_back_end_may_take_one_byte_at_a_time(void **state)
{
	struct world w;

	start_memory(&w, F_SIZE);
	print_to(&w, 1, "slowly");
	for (int i = 0; i < 6; i++) {
		assert_true(nothing_used(&w, 1));
		w.room = 1;
		vmm_virtio_console_wake(w.c);
		assert_in_range(loop(&w), 1, 2);
	}
	assert_int_equal(used(&w, 1), 0);
	assert_memory_equal(w.sent, "slowly", 6);
	w.input = "typed";
	give(&w, 0, 0, 10);
	assert_int_equal(used(&w, 0), 1);
	assert_int_equal(vmm_virtio_console_set_fds(w.c, 0, -1, -1), -EINVAL);
	/* A back end that says more than there is room for is not believed. */
	w.recv_result = 1000;
	give(&w, 0, 0, 10);
	assert_int_equal(used(&w, 0), 10);
	w.recv_result = -EIO;
	give(&w, 0, 0, 10);
	assert_int_equal(w.closed_code, -EIO);
	print_to(&w, 1, "lost");
	assert_int_equal(used(&w, 1), 0);
	assert_int_equal(stats_of(&w).tx_dropped, 4);
	stop(&w);
}

/* HG-43 */
static void one_run_is_bounded_and_stays_readable_for_the_rest(void **state)
{
	static const struct mock_seg seg = { OUT, 1, false };
	struct world w;

	start_memory(&w, 0);
	(void)loop(&w);
	w.refills = 100000;
	(void)mock_add(&w.q[1], &seg, 1, false);
	vmm_virtio_console_run(w.c);
	assert_int_equal(w.refills, 100000 - NUM);
	assert_true(is_readable(&w));
	stop(&w);
}

/* HG-22 for consoles: a bad chain of each kind, and a good one behind it. */
static void start_on(struct world *w, int in_fd, int out_fd)
{
	struct vmm_virtio_console_port port = { in_fd, out_fd, NULL, false };
	struct vmm_virtio_console_opts opts = VMM_VIRTIO_CONSOLE_OPTS_INIT;

	memset(w, 0, sizeof(*w));
	w->m = mock_new(NUM, 0);
	opts.ports = &port;
	opts.port_n = 1;
	attach(w, &opts);
	assert_int_equal(climb(w, 0), 0xf);
}

/* Buffers that overlap: 16 MiB of output out of 1 MiB of memory, into a file that takes
 * all there is. */
static void one_run_moves_a_bounded_number_of_bytes(void **state)
{
	int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
	struct mock_seg segs[16];
	struct world w;

	start_on(&w, in, out);
	(void)loop(&w);
	for (int i = 0; i < 16; i++)
		segs[i] = (struct mock_seg){ OUT, 0x100000, false };
	for (int i = 0; i < 4; i++) {
		assert_int_equal(mock_add(&w.q[1], segs, 4, false), 4 * i);
	}
	vmm_virtio_console_run(w.c);
	assert_int_equal(stats_of(&w).tx_bytes, 0x100000);
	assert_true(is_readable(&w));
	assert_int_equal(loop(&w), 15);
	assert_int_equal(lseek(out, 0, SEEK_END), 16 << 20);
	assert_int_equal(ftruncate(in, 16 << 20), 0);
	for (int i = 0; i < 4; i++)
		segs[i].write = true;
	assert_true(mock_add(&w.q[0], segs, 4, false) >= 0);
	wr(&w, 0x50, 0);
	vmm_virtio_console_run(w.c);
	assert_int_equal(used(&w, 0), 0x10000);
	stop(&w);
	assert_int_equal(close(in), 0);
	assert_int_equal(close(out), 0);
}

static void bad_chains_do_not_stop_the_device(void **state)
{
	static const struct {
		struct mock_seg segs[2];
		uint32_t n, queue;
	} bad[] = {
		{ { { OUT, 4, true } }, 1, 1 },
		{ { { OUT, 4, false }, { OUT, 4, true } }, 2, 1 },
		{ { { MOCK_HOLE, 4, false } }, 1, 1 },
		{ { { IN, 4, false } }, 1, 0 },
		{ { { IN, 4, false }, { IN, 4, true } }, 2, 0 },
		{ { { IN, 0, true } }, 1, 0 },
		{ { { MOCK_ROM, 4, true } }, 1, 0 },
		{ { { CTRL, 7, false } }, 1, 3 },
		{ { { CTRL, 8, true } }, 1, 3 },
		{ { { MOCK_HOLE, 8, false } }, 1, 3 },
	};
	struct world w;

	start(&w, F_MULTI);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++) {
		uint32_t q = bad[i].queue;

		assert_true(mock_add(&w.q[q], bad[i].segs, bad[i].n, false) >= 0);
		if (q == 1) {
			print_to(&w, 1, "good");
			expect_at_peer(&w, 0, "good");
		} else if (q == 0) {
			assert_int_equal(send(w.peer[0], "good", 4, 0), 4);
			give(&w, 0, 0, 8);
		} else {
			wr(&w, 0x50, 3);
			(void)loop(&w);
		}
		assert_int_equal(used(&w, q), 0);
		if (q != 3)
			assert_int_equal(used(&w, q), q == 0 ? 4 : 0);
		assert_int_equal(stats_of(&w).bad_chains, i + 1);
	}
	stop(&w);
}

static void a_broken_ring_asks_for_a_reset_once(void **state)
{
	struct world w;

	for (uint32_t q = 0; q < 4; q++) {
		start(&w, F_MULTI);
		(void)loop(&w);
		w.irqs = 0;
		assert_int_equal(send(w.peer[0], "x", 1, 0), 1);
		mock_raw_avail_idx(&w.q[q], 1000);
		if (q == 2) {
			struct mock_seg seg = { CTRL, 8, false };

			memcpy(mock_at(w.m, CTRL), "\0\0\0\0\0\0\x01\0", 8);
			assert_true(mock_add(&w.q[3], &seg, 1, false) >= 0);
		}
		vmm_virtio_console_wake(w.c);
		assert_in_range(loop(&w), 1, 3);
		assert_int_equal(rd(&w, 0x70), 0x4f);
		assert_false(is_readable(&w));
		assert_int_equal(climb(&w, F_MULTI), 0xf);
		stop(&w);
	}
}

static void an_emergency_byte_goes_at_once(void **state)
{
	static const uint8_t byte = 'E', junk[4] = { 1, 2, 3, 4 };
	struct world w;

	start(&w, F_EMERG);
	wr(&w, 0x108, '!');
	expect_at_peer(&w, 0, "!");
	vmm_virtio_mmio_write(w.mmio, 0x108, &byte, 1);
	expect_at_peer(&w, 0, "E");
	vmm_virtio_mmio_write(w.mmio, 0x109, &byte, 1);
	vmm_virtio_mmio_write(w.mmio, 0x100, junk, 4);
	vmm_virtio_mmio_write(w.mmio, 0x104, junk, 4);
	assert_int_equal(recv(w.peer[0], w.sent, 1, MSG_DONTWAIT), -1);
	assert_int_equal(rd(&w, 0x100), 80 | 25 << 16);
	assert_int_equal(stats_of(&w).emergency, 2);
	assert_int_equal(vmm_virtio_console_set_fds(w.c, 0, -1, -1), 0);
	wr(&w, 0x108, '?');
	assert_int_equal(stats_of(&w).tx_dropped, 1);
	stop(&w);
}

/* A pipe that nobody reads is an error, not a signal that ends the program. */
static void a_pipe_without_a_reader_is_harmless(void **state)
{
	struct world w;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	start_on(&w, -1, fds[1]);
	print_to(&w, 1, "x");
	assert_int_equal(read(fds[0], w.sent, 8), 1);
	assert_int_equal(close(fds[0]), 0);
	print_to(&w, 1, "y");
	assert_int_equal(w.closed_n, 1);
	assert_int_equal(w.closed_code, -EPIPE);
	assert_int_equal(stats_of(&w).tx_dropped, 1);
	stop(&w);
	assert_int_equal(close(fds[1]), 0);
}

/* Files are always ready; input that ends is no reason to lose output. */
static void files_work_and_input_may_end(void **state)
{
	int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
	char buf[8];
	struct world w;

	assert_int_equal(pwrite(in, "file", 4, 0), 4);
	start_on(&w, in, out);
	give(&w, 0, 0, 3);
	give(&w, 0, 3, 3);
	give(&w, 0, 6, 3);
	assert_int_equal(used(&w, 0), 3);
	assert_int_equal(used(&w, 0), 1);
	assert_true(nothing_used(&w, 0));
	assert_false(is_readable(&w));
	assert_int_equal(w.closed_n, 0);
	print_to(&w, 1, "log");
	assert_int_equal(pread(out, buf, 8, 0), 3);
	stop(&w);
	assert_int_equal(close(in), 0);
	assert_int_equal(close(out), 0);
}

static void a_reset_forgets_what_went_half(void **state)
{
	struct world w;

	start_memory(&w, 0);
	w.room = 3;
	print_to(&w, 1, "before");
	assert_int_equal(w.sent_n, 3);
	assert_int_equal(climb(&w, 0), 0xf);
	w.room = 100;
	print_to(&w, 1, "after");
	assert_memory_equal(w.sent, "befafter", 8);
	/* And so does a reset of the queue alone. */
	assert_int_equal(climb(&w, VMM_VIRTIO_F_RING_RESET), 0xf);
	w.sent_n = 0;
	w.room = 2;
	print_to(&w, 1, "before");
	wr(&w, 0x30, 1);
	wr(&w, 0xc0, 1);
	vmm_virtio_console_run(w.c);
	place_queue(&w.q[1], w.m, 1);
	wr(&w, 0x38, NUM);
	wr(&w, 0x80, (uint32_t)w.q[1].config.desc);
	wr(&w, 0x90, (uint32_t)w.q[1].config.driver);
	wr(&w, 0xa0, (uint32_t)w.q[1].config.device);
	wr(&w, 0x44, 1);
	w.room = 100;
	print_to(&w, 1, "after");
	assert_memory_equal(w.sent, "beafter", 7);
	stop(&w);
}

/* The device runs itself, can be paused, and is reset in the middle of traffic. */
static void a_device_runs_itself(void **state)
{
	struct vmm_virtio_console_port port = { -1, -1, NULL, false };
	struct vmm_virtio_console_opts opts = VMM_VIRTIO_CONSOLE_OPTS_INIT;
	struct mock_seg seg = { OUT, 4, false };
	uint32_t id, len;
	struct world w;
	int fds[2];

	memset(&w, 0, sizeof(w));
	w.m = mock_new(NUM, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	port.in_fd = port.out_fd = w.end[0] = fds[0];
	w.peer[0] = fds[1];
	opts.ports = &port;
	opts.port_n = 1;
	opts.thread = true;
	attach(&w, &opts);
	assert_int_equal(climb(&w, 0), 0xf);
	for (int i = 0; i < 50; i++) {
		bool paused = i % 5 == 4;

		if (paused)
			console_pause(w.c);
		assert_true(mock_add(&w.q[1], &seg, 1, false) >= 0);
		wr(&w, 0x50, 1);
		if (paused) {
			assert_int_equal(mock_get_used(&w.q[1], &id, &len), -EAGAIN);
			console_resume(w.c);
		}
		assert_int_equal(recv(fds[1], w.sent, 4, MSG_WAITALL), 4);
		while (mock_get_used(&w.q[1], &id, &len) < 0)
			;
	}
	for (int i = 0; i < 100; i++) {
		for (int k = 0; k < 10; k++)
			(void)mock_add(&w.q[1], &seg, 1, false);
		wr(&w, 0x50, 1);
		wr(&w, 0x108, 'x');
		assert_int_equal(climb(&w, F_EMERG), 0xf);
		while (recv(fds[1], w.sent, sizeof(w.sent), MSG_DONTWAIT) > 0)
			;
	}
	stop(&w);
}

static void bad_options_are_refused(void **state)
{
	static const char long_name[] =
	    "0123456789012345678901234567890123456789012345678901234567890123";
	static const struct vmm_virtio_console_backend half = { sizeof(half), memory_send,
								NULL };
	struct vmm_virtio_console_port ports[33] = { { -1, -1, NULL, false } };
	struct vmm_virtio_console *c = NULL;
	struct vmm_error err;

	for (int i = 0; i < 9; i++) {
		struct vmm_virtio_console_opts opts = VMM_VIRTIO_CONSOLE_OPTS_INIT;
		int code = -EINVAL;

		ports[0].name = NULL;
		ports[0].in_fd = -1;
		opts.ports = ports;
		opts.port_n = 1;
		switch (i) {
		case 0:
			opts.ports = NULL;
			break;
		case 1:
			opts.port_n = 0;
			break;
		case 2:
			opts.port_n = 2;
			break;
		case 3:
			opts.port_n = 33;
			opts.multiport = true;
			break;
		case 4:
			opts.queue_max = 32769;
			break;
		case 5:
			opts.backend = &half;
			break;
		case 6:
			ports[0].name = long_name;
			code = -E2BIG;
			break;
		case 7:
			ports[0].in_fd = 9999;
			code = -EBADF;
			break;
		default:
			opts.size = 3;
			break;
		}
		assert_int_equal(vmm_virtio_console_new(&opts, &c, &err), code);
		assert_int_equal(err.code, code);
	}
	assert_null(c);
	vmm_virtio_console_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_pass_in_both_directions),
		cmocka_unit_test(input_waits_outside_until_there_is_a_buffer),
		cmocka_unit_test(output_waits_in_the_ring_while_nobody_reads),
		cmocka_unit_test(a_back_end_may_take_one_byte_at_a_time),
		cmocka_unit_test(one_run_is_bounded_and_stays_readable_for_the_rest),
		cmocka_unit_test(one_run_moves_a_bounded_number_of_bytes),
		cmocka_unit_test(bad_chains_do_not_stop_the_device),
		cmocka_unit_test(a_broken_ring_asks_for_a_reset_once),
		cmocka_unit_test(an_emergency_byte_goes_at_once),
		cmocka_unit_test(a_pipe_without_a_reader_is_harmless),
		cmocka_unit_test(files_work_and_input_may_end),
		cmocka_unit_test(a_reset_forgets_what_went_half),
		cmocka_unit_test(a_device_runs_itself),
		cmocka_unit_test(bad_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The console device: ports, messages about them, and saved state. */
#include "busy-rig.h"
#include "console-rig.h"
#include "device-state.h"

static void ports_are_introduced_as_the_driver_takes_them_up(void **state)
{
	struct world w;

	start(&w, F_MULTI | F_SIZE);
	assert_int_equal(rd(&w, 0x100), 80 | 25 << 16);
	assert_int_equal(rd(&w, 0x104), PORTS);
	say(&w, 0xffffffff, READY, 1);
	assert_true(nothing_used(&w, 2));
	give_ctrl(&w, 12);
	expect_message(&w, 0, ADD, 1, NULL, 0);
	expect_message(&w, 1, ADD, 1, NULL, 0);
	expect_message(&w, 2, ADD, 1, NULL, 0);
	say(&w, 0, PORT_READY, 1);
	expect_message(&w, 0, CONSOLE, 1, NULL, 0);
	expect_message(&w, 0, RESIZE, 1, "\x19\0\x50\0", 4);
	expect_message(&w, 0, OPEN, 1, NULL, 0);
	say(&w, 1, PORT_READY, 1);
	expect_message(&w, 1, OPEN, 1, NULL, 0);
	expect_message(&w, 1, NAME, 1, "org.example.0", 13);
	say(&w, 2, PORT_READY, 0);
	assert_true(nothing_used(&w, 2));
	say(&w, 2, PORT_READY, 1);
	expect_message(&w, 2, OPEN, 1, NULL, 0);
	assert_true(nothing_used(&w, 2));
	assert_int_equal(stats_of(&w).ctrl_ok, 5);
	stop(&w);
}

/* A driver that asks again and again costs no memory: each message is there once. */
static void messages_do_not_pile_up(void **state)
{
	struct world w;
	uint32_t n = 0;

	start(&w, F_MULTI | F_SIZE);
	for (int i = 0; i < 100; i++) {
		say(&w, 0, READY, 1);
		say(&w, 0, PORT_READY, 1);
		say(&w, 1, PORT_READY, 1);
	}
	give_ctrl(&w, NUM);
	while (!nothing_used(&w, 2))
		n++;
	assert_int_equal(n, 3 + 3 + 2);
	stop(&w);
}

static void messages_that_make_no_sense_are_refused(void **state)
{
	static const uint16_t bad[][3] = { { 3, PORT_READY, 1 }, { 0xffff, OPEN, 1 },
					   { 0, ADD, 1 },	 { 0, 2, 1 },
					   { 0, CONSOLE, 1 },	 { 0, RESIZE, 1 },
					   { 0, NAME, 1 },	 { 0, 8, 1 },
					   { 0, 0xffff, 1 },	 { 1, OPEN, 2 } };
	struct world w;

	start(&w, F_MULTI);
	give_ctrl(&w, 4);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++)
		say(&w, bad[i][0], bad[i][1], bad[i][2]);
	assert_int_equal(stats_of(&w).ctrl_err, VMM_ARRAY_LEN(bad));
	assert_true(nothing_used(&w, 2));
	stop(&w);
}

/* A buffer that is too small for a message comes back empty, and the message follows. */
static void short_message_buffers_are_passed_over(void **state)
{
	static const struct mock_seg small = { CTRL + 0x50, 20, true },
				     readable = { CTRL + 0x50, 20, false };
	struct world w;

	start(&w, F_MULTI);
	say(&w, 1, PORT_READY, 1);
	assert_true(mock_add(&w.q[2], &small, 1, false) >= 0);
	assert_true(mock_add(&w.q[2], &small, 1, false) >= 0);
	assert_true(mock_add(&w.q[2], &readable, 1, false) >= 0);
	give_ctrl(&w, 1);
	assert_int_equal(used(&w, 2), 8);
	assert_int_equal(used(&w, 2), 0);
	assert_int_equal(used(&w, 2), 0);
	expect_message(&w, 1, NAME, 1, "org.example.0", 13);
	stop(&w);
}

static void a_port_is_read_only_while_the_driver_has_it_open(void **state)
{
	struct world w;

	start(&w, F_MULTI);
	give(&w, 4, 0, 10);
	assert_int_equal(send(w.peer[1], "one", 3, 0), 3);
	(void)loop(&w);
	assert_true(nothing_used(&w, 4));
	say(&w, 1, OPEN, 1);
	assert_int_equal(used(&w, 4), 3);
	say(&w, 1, OPEN, 0);
	give(&w, 4, 0, 10);
	assert_int_equal(send(w.peer[1], "two", 3, 0), 3);
	(void)loop(&w);
	assert_true(nothing_used(&w, 4));
	/* The ports are apart. */
	print_to(&w, 5, "from 1");
	print_to(&w, 7, "from 2");
	expect_at_peer(&w, 1, "from 1");
	expect_at_peer(&w, 2, "from 2");
	stop(&w);
}

static void a_size_that_changes_is_told(void **state)
{
	struct world w, other;

	start(&w, F_SIZE);
	w.irqs = 0;
	assert_int_equal(vmm_virtio_console_set_size(w.c, w.t, 132, 50), 0);
	assert_int_equal(w.irqs, 1);
	assert_int_equal(rd(&w, 0x100), 132 | 50 << 16);
	start(&other, F_SIZE | F_MULTI);
	assert_int_equal(vmm_virtio_console_set_size(w.c, other.t, 1, 1), -EINVAL);
	say(&other, 0, PORT_READY, 1);
	give_ctrl(&other, 4);
	expect_message(&other, 0, CONSOLE, 1, NULL, 0);
	expect_message(&other, 0, RESIZE, 1, "\x19\0\x50\0", 4);
	expect_message(&other, 0, OPEN, 1, NULL, 0);
	assert_int_equal(vmm_virtio_console_set_size(other.c, other.t, 132, 50), 0);
	(void)loop(&other);
	expect_message(&other, 0, RESIZE, 1, "\x32\0\x84\0", 4);
	stop(&other);
	stop(&w);
}

static void a_peer_that_goes_is_told_and_replaced(void **state)
{
	struct world w;
	int fds[2];

	start(&w, F_MULTI);
	say(&w, 1, PORT_READY, 1);
	say(&w, 1, OPEN, 1);
	give_ctrl(&w, 8);
	expect_message(&w, 1, OPEN, 1, NULL, 0);
	expect_message(&w, 1, NAME, 1, "org.example.0", 13);
	give(&w, 4, 0, 10);
	assert_int_equal(close(w.peer[1]), 0);
	assert_in_range(loop(&w), 1, 2);
	assert_false(is_readable(&w));
	assert_int_equal(w.closed_n, 1);
	assert_int_equal(w.closed_port, 1);
	assert_int_equal(w.closed_code, -EPIPE);
	expect_message(&w, 1, OPEN, 0, NULL, 0);
	print_to(&w, 5, "lost");
	assert_int_equal(used(&w, 5), 0);
	assert_int_equal(stats_of(&w).tx_dropped, 4);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(vmm_virtio_console_set_fds(w.c, 1, fds[0], fds[0]), 0);
	assert_int_equal(vmm_virtio_console_set_fds(w.c, 3, fds[0], fds[0]), -EINVAL);
	assert_int_equal(close(w.end[1]), 0);
	w.end[1] = fds[0];
	w.peer[1] = fds[1];
	(void)loop(&w);
	expect_message(&w, 1, OPEN, 1, NULL, 0);
	print_to(&w, 5, "again");
	expect_at_peer(&w, 1, "again");
	assert_int_equal(send(fds[1], "in", 2, 0), 2);
	(void)loop(&w);
	assert_int_equal(used(&w, 4), 2);
	/* One that is no descriptor leaves the port without any. */
	assert_int_equal(vmm_virtio_console_set_fds(w.c, 1, 9999, 9999), -EBADF);
	print_to(&w, 5, "lost");
	assert_int_equal(stats_of(&w).tx_dropped, 8);
	stop(&w);
}

static void save(struct world *w, struct console_state *s)
{
	console_get_state(w->c, s);
}

static void a_saved_device_goes_on_where_it_was(void **state)
{
	struct console_state a, b;
	struct world from, to;

	start(&from, F_MULTI | F_SIZE);
	say(&from, 0, READY, 1);
	say(&from, 1, PORT_READY, 1);
	say(&from, 1, OPEN, 1);
	assert_int_equal(vmm_virtio_console_set_size(from.c, from.t, 100, 40), 0);
	save(&from, &a);
	start(&to, F_MULTI | F_SIZE);
	assert_int_equal(console_set_state(to.c, &a), -EBUSY);
	wr(&to, 0x70, 0);
	assert_int_equal(console_set_state(to.c, &a), 0);
	assert_int_equal(climb(&to, F_MULTI | F_SIZE), 0xf);
	save(&to, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(rd(&to, 0x100), 100 | 40 << 16);
	give_ctrl(&to, 8);
	expect_message(&to, 0, ADD, 1, NULL, 0);
	give(&to, 4, 0, 10);
	assert_int_equal(send(to.peer[1], "in", 2, 0), 2);
	(void)loop(&to);
	assert_int_equal(used(&to, 4), 2);
	/* Features other than saved fail once. */
	wr(&to, 0x70, 0);
	assert_int_equal(console_set_state(to.c, &a), 0);
	assert_int_equal(climb(&to, F_MULTI), 0x4f);
	assert_int_equal(climb(&to, F_MULTI), 0xf);
	stop(&from);
	stop(&to);

	/* In the middle of a chain: the rest comes, and nothing twice. */
	start_memory(&from, 0);
	from.room = 4;
	print_to(&from, 1, "half a chain");
	save(&from, &a);
	assert_int_equal(a.ports[0].done, 4);
	wr(&from, 0x70, 0);
	assert_int_equal(console_set_state(from.c, &a), 0);
	assert_int_equal(climb(&from, 0), 0xf);
	from.room = 100;
	print_to(&from, 1, "half a chain");
	assert_memory_equal(from.sent, "half a chain", 12);
	stop(&from);
}

/* HG-33 */
static void a_corrupt_state_is_refused(void **state)
{
	struct console_state good, s;
	struct world w;

	start(&w, F_MULTI | F_SIZE);
	say(&w, 1, PORT_READY, 1);
	save(&w, &good);
	wr(&w, 0x70, 0);
	for (int i = 0; i < 11; i++) {
		s = good;
		switch (i) {
		case 0:
			s.version = 2;
			break;
		case 1:
			s.port_n = 2;
			break;
		case 2:
			s.port_n = 33;
			break;
		case 3:
			s.features |= 1u << 20;
			break;
		case 4:
			s.features &= ~VMM_VIRTIO_F_VERSION_1;
			break;
		case 5:
			s.features &= ~(uint64_t)F_MULTI;
			break;
		case 6:
			s.ports[0].flags = 4;
			break;
		case 7:
			s.ports[0].messages = 1;
			break;
		case 8:
			s.ports[0].done = UINT64_C(1) << 32;
			break;
		case 9:
			s.ports[3].flags = 1;
			break;
		default:
			s.ports[31].done = 1;
			break;
		}
		assert_int_equal(console_set_state(w.c, &s), -EBADMSG);
	}
	/* More went than the chain has: it is done with. */
	s = good;
	s.ports[0].done = UINT32_MAX;
	assert_int_equal(console_set_state(w.c, &s), 0);
	assert_int_equal(climb(&w, F_MULTI | F_SIZE), 0xf);
	print_to(&w, 1, "gone");
	assert_int_equal(used(&w, 1), 0);
	print_to(&w, 1, "here");
	expect_at_peer(&w, 0, "here");
	stop(&w);
}

struct busy_console {
	struct world w;
	struct busy b;
	uint32_t sends[PORTS];
};

static void refill(struct mock *q, const struct mock_seg *seg)
{
	uint32_t id, len;

	while (mock_get_used(q, &id, &len) == 0)
		(void)mock_add(q, seg, 1, false);
}

static const struct mock_seg busy_out = { OUT, 1, false };
static const struct mock_seg busy_in = { IN, 1, true };

static uint32_t out_of(uint32_t port)
{
	return port == 0 ? 1 : 2 * port + 3;
}

static int64_t endless_send(void *ctx, uint32_t port, const struct iovec *iov, uint32_t n)
{
	struct busy_console *c = ctx;

	refill(&c->w.q[out_of(port)], &busy_out);
	c->sends[port]++;
	busy_request(&c->b);
	return 1;
}

static int64_t endless_recv(void *ctx, uint32_t port, const struct iovec *iov, uint32_t n)
{
	struct busy_console *c = ctx;

	refill(&c->w.q[0], &busy_in);
	busy_request(&c->b);
	return port == 0 ? 1 : -EAGAIN;
}

static void busy_console_start(void *ctx)
{
	struct busy_console *c = ctx;

	assert_int_equal(climb(&c->w, F_MULTI), 0xf);
	for (uint32_t i = 0; i < NUM; i++) {
		assert_true(mock_add(&c->w.q[0], &busy_in, 1, false) >= 0);
		for (uint32_t port = 0; port < PORTS; port++)
			assert_true(
			    mock_add(&c->w.q[out_of(port)], &busy_out, 1, false) >= 0);
	}
}

static void busy_console_stats(void *ctx)
{
	(void)stats_of(&((struct busy_console *)ctx)->w);
}

static void a_busy_driver_does_not_shut_others_out(void **state)
{
	static const struct vmm_virtio_console_backend backend = { sizeof(backend),
								   endless_send,
								   endless_recv };
	struct vmm_virtio_console_port ports[PORTS] = { { .console = true },
							{ .name = NULL },
							{ .name = NULL } };
	struct vmm_virtio_console_opts opts = VMM_VIRTIO_CONSOLE_OPTS_INIT;
	struct busy_console c = { .b = { .start = busy_console_start,
					 .get_stats = busy_console_stats,
					 .ctx = &c } };

	c.w.m = mock_new(NUM, 0);
	opts.ports = ports;
	opts.port_n = PORTS;
	opts.multiport = true;
	opts.backend = &backend;
	opts.backend_ctx = &c;
	opts.thread = true;
	attach(&c.w, &opts);
	c.b.mmio = c.w.mmio;
	busy_check(&c.b);
	/* No port has to wait for the others because the VMM is never content. */
	for (uint32_t port = 0; port < PORTS; port++)
		assert_true(c.sends[port] >= BUSY_ROUNDS);
	stop(&c.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_are_introduced_as_the_driver_takes_them_up),
		cmocka_unit_test(messages_do_not_pile_up),
		cmocka_unit_test(messages_that_make_no_sense_are_refused),
		cmocka_unit_test(short_message_buffers_are_passed_over),
		cmocka_unit_test(a_port_is_read_only_while_the_driver_has_it_open),
		cmocka_unit_test(a_size_that_changes_is_told),
		cmocka_unit_test(a_peer_that_goes_is_told_and_replaced),
		cmocka_unit_test(a_saved_device_goes_on_where_it_was),
		cmocka_unit_test(a_corrupt_state_is_refused),
		cmocka_unit_test(a_busy_driver_does_not_shut_others_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

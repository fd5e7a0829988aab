/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vmm-test.h"

#include <errno.h>
#include <string.h>
#include <vmm/superio.h>

struct kbc {
	struct vmm_sio_i8042 *dev;
	bool line[2];
	int edges[2];
	int resets, a20_calls, led_calls;
	bool a20;
	uint32_t leds;
};

static void set_irq(void *ctx, uint32_t which, bool level)
{
	struct kbc *k = ctx;

	assert_true(which < 2 && k->line[which] != level);
	k->line[which] = level;
	k->edges[which] += level;
}

static void reset(void *ctx)
{
	((struct kbc *)ctx)->resets++;
}

static void set_a20(void *ctx, bool on)
{
	struct kbc *k = ctx;

	k->a20_calls++;
	k->a20 = on;
}

static void set_leds(void *ctx, uint32_t leds)
{
	struct kbc *k = ctx;

	k->led_calls++;
	k->leds = leds;
}

static const struct vmm_sio_i8042_ops kbc_ops = {
	.size = sizeof(kbc_ops),
	.set_irq = set_irq,
	.reset = reset,
	.set_a20 = set_a20,
	.set_leds = set_leds,
};

static int setup(void **state)
{
	static struct kbc k;
	struct vmm_sio_i8042_opts opts = VMM_SIO_I8042_OPTS_INIT;

	memset(&k, 0, sizeof(k));
	opts.ops = &kbc_ops;
	opts.ctx = &k;
	*state = &k;
	return vmm_sio_i8042_new(&opts, &k.dev);
}

static int teardown(void **state)
{
	vmm_sio_i8042_free(((struct kbc *)*state)->dev);
	return 0;
}

static uint8_t status(struct kbc *k)
{
	return vmm_sio_i8042_read(k->dev, 4);
}

static void command(struct kbc *k, uint8_t value)
{
	vmm_sio_i8042_write(k->dev, 4, value);
}

static void data(struct kbc *k, uint8_t value)
{
	vmm_sio_i8042_write(k->dev, 0, value);
}

/* Wait for a byte as a driver does; -1 if none comes, +0x100 if it is the mouse's. */
static int take(struct kbc *k)
{
	uint8_t st = status(k);

	if (!(st & 0x01))
		return -1;
	return vmm_sio_i8042_read(k->dev, 0) | (st & 0x20 ? 0x100 : 0);
}

static int ask(struct kbc *k, uint8_t value)
{
	command(k, value);
	return take(k);
}

static void expect_bytes(struct kbc *k, int from, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(take(k), from | bytes[i]);
	assert_int_equal(take(k), -1);
}

#define EXPECT(k, from, ...)                                    \
	expect_bytes(k, from, (const uint8_t[]){ __VA_ARGS__ }, \
		     sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void fe_resets_the_machine(void **state)
{
	struct kbc *k = *state;

	command(k, 0xfe);
	assert_int_equal(k->resets, 1);
	command(k, 0xf0);
	assert_int_equal(k->resets, 2);
	command(k, 0xd1);
	data(k, 0xfe);
	assert_int_equal(k->resets, 3);
}

static void nothing_else_resets(void **state)
{
	struct kbc *k = *state;

	command(k, 0xff);
	data(k, 0xfe);
	vmm_sio_i8042_write(k->dev, 5, 0xfe);
	assert_int_equal(vmm_sio_i8042_read(k->dev, 5), 0);
	for (unsigned int v = 0; v < 0xf0; v++)
		command(k, (uint8_t)v);
	assert_int_equal(k->resets, 0);
}

/* The steps of Linux' i8042 driver, in its order. */
static void linux_finds_controller_keyboard_and_mouse_port(void **state)
{
	struct kbc *k = *state;
	int ctr;

	assert_int_equal(take(k), -1);
	assert_int_equal(ask(k, 0xaa), 0x55);
	ctr = ask(k, 0x20);
	assert_int_equal(ctr, ask(k, 0x20));
	assert_int_equal(ctr, 0x45);
	assert_true(status(k) & 0x10);
	command(k, 0x60);
	data(k, (uint8_t)((ctr | 0x10) & ~0x01));

	command(k, 0xd3);
	data(k, 0x5a);
	assert_int_equal(take(k), 0x15a);
	command(k, 0xa7);
	assert_true(ask(k, 0x20) & 0x20);
	command(k, 0xa8);
	assert_false(ask(k, 0x20) & 0x20);

	command(k, 0x60);
	data(k, 0x56);
	command(k, 0xd3);
	data(k, 0xa5);
	assert_true(k->line[VMM_SIO_I8042_MOUSE]);
	assert_int_equal(take(k), 0x1a5);
	assert_false(k->line[VMM_SIO_I8042_MOUSE]);

	/* No multiplexer: what goes into the loop comes out as it was. */
	for (size_t i = 0; i < 3; i++) {
		static const uint8_t magic[] = { 0xf0, 0x56, 0xa4 };

		command(k, 0xd3);
		data(k, magic[i]);
		assert_int_equal(take(k), 0x100 | magic[i]);
	}
}

static void the_keyboard_answers_atkbd(void **state)
{
	struct kbc *k = *state;

	command(k, 0x60);
	data(k, 0x47);
	data(k, 0xf2);
	assert_true(k->line[VMM_SIO_I8042_KEYBOARD]);
	EXPECT(k, 0, 0xfa, 0xab, 0x41);
	assert_int_equal(k->edges[VMM_SIO_I8042_KEYBOARD], 3);
	data(k, 0xed);
	EXPECT(k, 0, 0xfa);
	data(k, 0x02);
	EXPECT(k, 0, 0xfa);
	assert_int_equal(k->leds, 2);
	data(k, 0xf3);
	data(k, 0x00);
	EXPECT(k, 0, 0xfa, 0xfa);
	data(k, 0xf4);
	EXPECT(k, 0, 0xfa);
	data(k, 0xff);
	EXPECT(k, 0, 0xfa, 0xaa);
	assert_int_equal(k->leds, 0);
	assert_int_equal(k->led_calls, 2);
}

static void the_keyboard_knows_its_commands(void **state)
{
	struct kbc *k = *state;

	command(k, 0x60);
	data(k, 0x00); /* no translation */
	data(k, 0xf2);
	EXPECT(k, 0, 0xfa, 0xab, 0x83);
	data(k, 0xee);
	EXPECT(k, 0, 0xee);
	data(k, 0xf0);
	data(k, 0x00);
	EXPECT(k, 0, 0xfa, 0xfa, 0x02);
	data(k, 0xf0);
	data(k, 0x03);
	data(k, 0xf0);
	data(k, 0x00);
	EXPECT(k, 0, 0xfa, 0xfa, 0xfa, 0xfa, 0x03);
	data(k, 0xf0);
	data(k, 0x04);
	EXPECT(k, 0, 0xfa, 0xfe);
	/* A command in place of an argument is a command. */
	data(k, 0xed);
	data(k, 0xf5);
	data(k, 0x12);
	EXPECT(k, 0, 0xfa, 0xfa, 0xfe);
	data(k, 0xf6);
	for (uint8_t c = 0xf7; c <= 0xfa; c++)
		data(k, c);
	data(k, 0x55);
	EXPECT(k, 0, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfe);
	data(k, 0xfe);
	EXPECT(k, 0, 0xfe);
	data(k, 0xf3);
	data(k, 0x7f);
	EXPECT(k, 0, 0xfa, 0xfa);
}

static void to_mouse(struct kbc *k, uint8_t value)
{
	command(k, 0xd4);
	data(k, value);
}

static void the_mouse_answers_psmouse(void **state)
{
	struct kbc *k = *state;

	command(k, 0x60);
	data(k, 0x47);
	to_mouse(k, 0xff);
	assert_true(k->line[VMM_SIO_I8042_MOUSE]);
	EXPECT(k, 0x100, 0xfa, 0xaa, 0x00);
	to_mouse(k, 0xf2);
	EXPECT(k, 0x100, 0xfa, 0x00);
	/* The wheel's knock: the rates are taken, the identity does not change. */
	for (size_t i = 0; i < 3; i++) {
		static const uint8_t rates[] = { 200, 100, 80 };

		to_mouse(k, 0xf3);
		to_mouse(k, rates[i]);
		EXPECT(k, 0x100, 0xfa, 0xfa);
	}
	to_mouse(k, 0xf2);
	EXPECT(k, 0x100, 0xfa, 0x00);
	to_mouse(k, 0xe8);
	to_mouse(k, 0x03);
	to_mouse(k, 0xe7);
	to_mouse(k, 0xf4);
	assert_int_equal(vmm_sio_i8042_move(k->dev, 0, 0, 7), 0);
	EXPECT(k, 0x100, 0xfa, 0xfa, 0xfa, 0xfa, 0x0f, 0, 0);
	to_mouse(k, 0xe9);
	EXPECT(k, 0x100, 0xfa, 0x37, 3, 80);
	to_mouse(k, 0xe8);
	to_mouse(k, 0x04);
	EXPECT(k, 0x100, 0xfa, 0xfe);
	to_mouse(k, 0xf0);
	to_mouse(k, 0xe9);
	EXPECT(k, 0x100, 0xfa, 0xfa, 0x77, 3, 80);
	to_mouse(k, 0xeb);
	EXPECT(k, 0x100, 0xfa, 0x0f, 0, 0);
	to_mouse(k, 0xea);
	to_mouse(k, 0xe6);
	to_mouse(k, 0xf5);
	to_mouse(k, 0xec);
	/* Defaults empty the queue behind the byte in the buffer. */
	to_mouse(k, 0xf6);
	EXPECT(k, 0x100, 0xfa, 0xfa);
	to_mouse(k, 0x11);
	EXPECT(k, 0x100, 0xfe);
	to_mouse(k, 0xfe);
	EXPECT(k, 0x100, 0xfe);
}

static void a_wrapped_mouse_echoes(void **state)
{
	struct kbc *k = *state;

	to_mouse(k, 0xf4);
	to_mouse(k, 0xee);
	to_mouse(k, 0x12);
	to_mouse(k, 0xf2);
	EXPECT(k, 0x100, 0xfa, 0xfa, 0x12, 0xf2);
	assert_int_equal(vmm_sio_i8042_move(k->dev, 1, 1, 0), 0);
	assert_int_equal(take(k), -1);
	to_mouse(k, 0xec);
	assert_int_equal(vmm_sio_i8042_move(k->dev, 1, 1, 0), 0);
	EXPECT(k, 0x100, 0xfa, 0x08, 1, 1);
}

static void the_mouse_moves(void **state)
{
	struct kbc *k = *state;
	int ret = 0;

	assert_int_equal(vmm_sio_i8042_move(k->dev, 5, 5, 0), 0);
	assert_int_equal(take(k), -1);
	to_mouse(k, 0xf4);
	EXPECT(k, 0x100, 0xfa);
	assert_int_equal(vmm_sio_i8042_move(k->dev, -5, 1000, VMM_SIO_BUTTON_LEFT), 0);
	EXPECT(k, 0x100, 0x19, 0xfb, 0xff);
	assert_int_equal(vmm_sio_i8042_move(k->dev, 1, -1000, 0), 0);
	EXPECT(k, 0x100, 0x28, 0x01, 0x01);
	assert_int_equal(vmm_sio_i8042_move(k->dev, 0, 0, 8), -EINVAL);
	for (int i = 0; i < 20 && ret == 0; i++)
		ret = vmm_sio_i8042_move(k->dev, 1, 1, 0);
	assert_int_equal(ret, -EAGAIN);
}

static void keys_arrive_translated_with_an_edge_each(void **state)
{
	static const uint8_t a_down_up[] = { 0x1c, 0xf0, 0x1c };
	static const uint8_t odd[] = { 0x83, 0x84, 0x90, 0xf0, 0x83 };
	struct kbc *k = *state;

	assert_int_equal(vmm_sio_i8042_type(k->dev, a_down_up, 3), 0);
	EXPECT(k, 0, 0x1e, 0x9e);
	assert_int_equal(k->edges[VMM_SIO_I8042_KEYBOARD], 2);
	assert_false(k->line[VMM_SIO_I8042_KEYBOARD]);
	assert_int_equal(vmm_sio_i8042_type(k->dev, odd, 5), 0);
	EXPECT(k, 0, 0x41, 0x54, 0x90, 0xc1);
	command(k, 0x60);
	data(k, 0x00);
	assert_int_equal(vmm_sio_i8042_type(k->dev, a_down_up, 3), 0);
	EXPECT(k, 0, 0x1c, 0xf0, 0x1c);
	assert_int_equal(k->edges[VMM_SIO_I8042_KEYBOARD], 6);
}

static void ctrl_alt_del_is_typed(void **state)
{
	struct kbc *k = *state;

	assert_int_equal(vmm_sio_i8042_ctrl_alt_del(k->dev), 0);
	EXPECT(k, 0, 0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d);
}

static void typing_is_all_or_nothing(void **state)
{
	uint8_t many[VMM_SIO_I8042_QUEUE + 1] = { 0 };
	struct kbc *k = *state;

	assert_int_equal(vmm_sio_i8042_type(k->dev, many, sizeof(many)), -E2BIG);
	command(k, 0xad);
	assert_int_equal(vmm_sio_i8042_type(k->dev, many, 30), 0);
	assert_int_equal(vmm_sio_i8042_type(k->dev, many, 3), -EAGAIN);
	assert_int_equal(vmm_sio_i8042_type(k->dev, many, 2), 0);
	assert_int_equal(take(k), -1);
	/* A command's answer gets through even so. */
	data(k, 0xee);
	EXPECT(k, 0, 0xee);
	data(k, 0xf5);
	EXPECT(k, 0, 0xfa);
	assert_int_equal(vmm_sio_i8042_type(k->dev, many, 2), 0);
	assert_int_equal(take(k), -1);
}

static void the_byte_in_the_buffer_stays_until_it_is_read(void **state)
{
	static const uint8_t key[] = { 0x1c };
	struct kbc *k = *state;

	to_mouse(k, 0xf4);
	assert_int_equal(vmm_sio_i8042_type(k->dev, key, 1), 0);
	command(k, 0xa9);
	assert_int_equal(take(k), 0x1fa);
	assert_int_equal(take(k), 0x00);
	assert_int_equal(take(k), 0x1e);
	assert_int_equal(take(k), -1);
	assert_int_equal(vmm_sio_i8042_read(k->dev, 0), 0x1e);
}

static void a_disabled_device_waits(void **state)
{
	static const uint8_t key[] = { 0x1c };
	struct kbc *k = *state;

	command(k, 0xad);
	assert_int_equal(vmm_sio_i8042_type(k->dev, key, 1), 0);
	assert_int_equal(take(k), -1);
	command(k, 0xae);
	assert_int_equal(take(k), 0x1e);
	to_mouse(k, 0xf4);
	assert_int_equal(take(k), 0x1fa);
	command(k, 0xa7);
	assert_int_equal(vmm_sio_i8042_move(k->dev, 1, 2, 0), 0);
	assert_int_equal(take(k), -1);
	command(k, 0xa8);
	EXPECT(k, 0x100, 0x08, 1, 2);
}

static void controller_memory_and_ports_read_back(void **state)
{
	struct kbc *k = *state;

	for (uint8_t i = 1; i < 32; i++) {
		command(k, 0x60 | i);
		data(k, (uint8_t)(i * 3));
	}
	for (uint8_t i = 1; i < 32; i++)
		assert_int_equal(ask(k, 0x20 | i), i * 3);
	command(k, 0x60);
	data(k, 0xff);
	assert_int_equal(ask(k, 0x20), 0x7f);
	assert_int_equal(ask(k, 0xab), 0x00);
	assert_int_equal(ask(k, 0xc0), 0x80);
	assert_int_equal(ask(k, 0xe0), 0x00);
	assert_int_equal(ask(k, 0xd0), 0xc3);
	command(k, 0xd2);
	data(k, 0x77);
	assert_int_equal(take(k), 0x77);
	assert_int_equal(status(k) & 0x08, 0);
	command(k, 0x00);
	assert_int_equal(status(k), 0x1c);
}

static void a20_is_reported(void **state)
{
	struct kbc *k = *state;

	command(k, 0xd1);
	data(k, 0xdd);
	assert_int_equal(k->a20_calls, 1);
	assert_false(k->a20);
	command(k, 0xdf);
	assert_true(k->a20);
	command(k, 0xdf);
	assert_int_equal(k->a20_calls, 2);
	command(k, 0xdd);
	assert_int_equal(ask(k, 0xd0), 0xc1);
	assert_int_equal(k->resets, 0);
}

static void answers_nobody_reads_push_out_the_oldest(void **state)
{
	struct kbc *k = *state;

	for (uint8_t i = 0; i < 10; i++) {
		command(k, 0xd2);
		data(k, i);
	}
	EXPECT(k, 0, 4, 5, 6, 7, 8, 9);
	assert_false(k->line[VMM_SIO_I8042_KEYBOARD]);
}

static void a_controller_without_callbacks_works(void **state)
{
	VMM_CLEANUP(vmm_sio_i8042_free) struct vmm_sio_i8042 *dev = NULL;

	assert_int_equal(vmm_sio_i8042_new(NULL, &dev), 0);
	for (unsigned int v = 0; v < 256; v++) {
		vmm_sio_i8042_write(dev, 4, (uint8_t)v);
		vmm_sio_i8042_write(dev, 0, (uint8_t)v);
		vmm_sio_i8042_write(dev, 0, (uint8_t)v);
		(void)vmm_sio_i8042_read(dev, 0);
	}
	vmm_sio_i8042_write(dev, 4, 0xfe);
	vmm_sio_i8042_free(NULL);
}

static void new_refuses_structs_it_does_not_know(void **state)
{
	struct {
		struct vmm_sio_i8042_ops o;
		uint64_t tail;
	} ops = { .o = VMM_SIO_I8042_OPS_INIT, .tail = 1 };
	struct vmm_sio_i8042_opts opts = VMM_SIO_I8042_OPTS_INIT;
	struct vmm_sio_i8042 *dev = NULL;

	ops.o.size = sizeof(ops);
	opts.ops = &ops.o;
	assert_int_equal(vmm_sio_i8042_new(&opts, &dev), -E2BIG);
	opts.size = 1;
	assert_int_equal(vmm_sio_i8042_new(&opts, &dev), -EINVAL);
	assert_null(dev);
}

#define t(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(fe_resets_the_machine),
		t(nothing_else_resets),
		t(linux_finds_controller_keyboard_and_mouse_port),
		t(the_keyboard_answers_atkbd),
		t(the_keyboard_knows_its_commands),
		t(the_mouse_answers_psmouse),
		t(a_wrapped_mouse_echoes),
		t(the_mouse_moves),
		t(keys_arrive_translated_with_an_edge_each),
		t(ctrl_alt_del_is_typed),
		t(typing_is_all_or_nothing),
		t(the_byte_in_the_buffer_stays_until_it_is_read),
		t(a_disabled_device_waits),
		t(controller_memory_and_ports_read_back),
		t(a20_is_reported),
		t(answers_nobody_reads_push_out_the_oldest),
		cmocka_unit_test(a_controller_without_callbacks_works),
		cmocka_unit_test(new_refuses_structs_it_does_not_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

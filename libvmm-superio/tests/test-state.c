/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Saved states: their layout, what they carry, and what no device takes. */
#include "rtc-test.h"
#include "serial-test.h"

#include <vmm/superio-debug.h>
#include <vmm/superio-pl011.h>

/* Layouts are part of the ABI. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct vmm_sio_serial_state) == 2128,
	       "serial");
_Static_assert(sizeof(void *) != 8 || sizeof(struct vmm_sio_pl011_state) == 2136,
	       "pl011");
_Static_assert(sizeof(void *) != 8 || sizeof(struct vmm_sio_i8042_state) == 144, "i8042");
_Static_assert(sizeof(void *) != 8 || sizeof(struct vmm_sio_power_state) == 16, "power");
_Static_assert(sizeof(void *) != 8 || sizeof(struct vmm_sio_pl031_state) == 32, "pl031");
_Static_assert(sizeof(void *) != 8 || sizeof(struct vmm_sio_cmos_state) == 160, "cmos");
_Static_assert(sizeof(void *) != 8 || sizeof(struct vmm_sio_debug_exit_state) == 16,
	       "exit");
_Static_assert(sizeof(void *) != 8 || sizeof(struct vmm_sio_boot_timer_state) == 280,
	       "timer");
_Static_assert(sizeof(struct vmm_sio_ps2_state) == 40, "ps2");

typedef int (*restore_fn)(void *dev, const void *state, struct vmm_error *err);
typedef int (*save_fn)(void *dev, void *state);

/* Every device in one table, so that none goes untested. */
struct kind {
	const char *name;
	size_t size;
	int (*make)(void **out);
	void (*release)(void *dev);
	save_fn save;
	restore_fn restore;
};

#define KIND(x)                                                                     \
	static int x##_make(void **out)                                             \
	{                                                                           \
		struct vmm_sio_##x *dev = NULL;                                     \
		int ret = vmm_sio_##x##_new(NULL, &dev);                            \
                                                                                    \
		*out = dev;                                                         \
		return ret;                                                         \
	}                                                                           \
	static void x##_release(void *dev)                                          \
	{                                                                           \
		vmm_sio_##x##_free(dev);                                            \
	}                                                                           \
	static int x##_save(void *dev, void *state)                                 \
	{                                                                           \
		return vmm_sio_##x##_save(dev, state);                              \
	}                                                                           \
	static int x##_restore(void *dev, const void *state, struct vmm_error *err) \
	{                                                                           \
		return vmm_sio_##x##_restore(dev, state, err);                      \
	}

KIND(serial)
KIND(pl011)
KIND(i8042)
KIND(power)
KIND(pl031)
KIND(cmos)

#define ENTRY(x)                                                                         \
	{                                                                                \
#x, sizeof(struct vmm_sio_##x##_state), x##_make, x##_release, x##_save, \
		    x##_restore                                                          \
	}

static const struct kind kinds[] = {
	ENTRY(serial), ENTRY(pl011), ENTRY(i8042),
	ENTRY(power),  ENTRY(pl031), ENTRY(cmos),
};

union buffer {
	size_t size;
	struct {
		size_t size;
		uint32_t version;
	} head;
	uint8_t bytes[4096];
};

static void sizes_and_versions_are_checked_by_all(void **state)
{
	for (size_t i = 0; i < VMM_ARRAY_LEN(kinds); i++) {
		const struct kind *k = &kinds[i];
		union buffer b = { .size = sizeof(b) };
		struct vmm_error err = { 0 };
		void *dev = NULL;

		assert_int_equal(k->make(&dev), 0);
		/* A longer struct, from a newer header, is filled and taken back. */
		memset(b.bytes, 0xff, sizeof(b));
		b.size = sizeof(b);
		assert_int_equal(k->save(dev, &b), 0);
		assert_int_equal(b.size, sizeof(b));
		assert_int_equal(b.head.version, 1);
		assert_int_equal(b.bytes[k->size], 0);
		assert_int_equal(k->restore(dev, &b, &err), 0);
		b.bytes[sizeof(b) - 1] = 1;
		assert_int_equal(k->restore(dev, &b, &err), -E2BIG);
		assert_int_equal(err.code, -E2BIG);
		b.size = k->size;
		assert_int_equal(k->restore(dev, &b, NULL), 0);
		b.size = k->size - 1;
		assert_int_equal(k->restore(dev, &b, &err), -EINVAL);
		assert_int_equal(k->save(dev, &b), -EINVAL);
		b.size = k->size;
		b.head.version = 2;
		assert_int_equal(k->restore(dev, &b, &err), -EOPNOTSUPP);
		assert_int_equal(err.got, 2);
		k->release(dev);
	}
}

static void saving_what_was_restored_gives_the_same(void **state)
{
	for (size_t i = 0; i < VMM_ARRAY_LEN(kinds); i++) {
		const struct kind *k = &kinds[i];
		union buffer a = { .size = k->size }, b = { .size = k->size };
		void *dev = NULL;

		assert_int_equal(k->make(&dev), 0);
		assert_int_equal(k->save(dev, &a), 0);
		assert_int_equal(k->restore(dev, &a, NULL), 0);
		assert_int_equal(k->save(dev, &b), 0);
		/* The clocks have moved on. */
		if (k->restore != pl031_restore && k->restore != cmos_restore)
			assert_memory_equal(&a, &b, k->size);
		k->release(dev);
	}
}

/* Change each byte of a good state to each of some values. What is taken must come out
 * again and be taken again; what is refused must change nothing. */
static void any_byte_changed_is_taken_whole_or_refused(void **state)
{
	static const uint8_t values[] = { 0x01, 0x02, 0x10, 0x40, 0x80, 0xff };
	int taken = 0, refused = 0;

	for (size_t i = 0; i < VMM_ARRAY_LEN(kinds); i++) {
		const struct kind *k = &kinds[i];
		union buffer good = { .size = k->size };
		void *dev = NULL;

		assert_int_equal(k->make(&dev), 0);
		assert_int_equal(k->save(dev, &good), 0);
		for (size_t at = sizeof(size_t); at < k->size; at++) {
			union buffer bad = good, after = { .size = k->size };
			int ret;

			bad.bytes[at] ^= values[at % sizeof(values)];
			ret = k->restore(dev, &bad, NULL);
			assert_int_equal(k->save(dev, &after), 0);
			taken += ret == 0;
			refused += ret != 0;
			if (ret == 0) {
				assert_int_equal(k->restore(dev, &after, NULL), 0);
				assert_int_equal(k->restore(dev, &good, NULL), 0);
			} else {
				assert_true(ret == -EBADMSG || ret == -EOPNOTSUPP);
				if (k->restore != pl031_restore &&
				    k->restore != cmos_restore)
					assert_memory_equal(&after, &good, k->size);
			}
		}
		k->release(dev);
	}
	assert_true(taken > 100 && refused > 1000);
}

static void a_new_uart_has_the_documented_state(void **state)
{
	struct uart *u = *state;
	struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;

	assert_int_equal(vmm_sio_serial_save(u->s, &st), 0);
	assert_int_equal(st.lcr, 0x03);
	assert_int_equal(st.mcr, 0x08);
	assert_int_equal(st.msr, 0xb0);
	assert_int_equal(st.dll, 0x0c);
	assert_int_equal(st.ier | st.fcr | st.lsr | st.scr | st.dlm, 0);
	assert_int_equal(st.rx_len + st.tx_len + st.queue_len, 0);
}

static void queued_characters_are_restored_and_read(void **state)
{
	struct uart *u = *state;
	struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;

	wr(u, FCR, 0x01);
	expect_receive(u, "0123456789abcdefghi", 19);
	assert_int_equal(rd(u, RBR), '0');
	assert_int_equal(vmm_sio_serial_save(u->s, &st), 0);
	vmm_sio_serial_free(u->s);
	uart_new(u, 0, 0, 0);
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), 0);
	for (const char *c = "123456789abcdefghi"; *c; c++) {
		assert_int_equal(rd(u, LSR), 0x61);
		assert_int_equal(rd(u, RBR), *c);
	}
	assert_int_equal(rd(u, LSR), 0x60);
}

static void pending_interrupts_are_raised_by_restoring(void **state)
{
	struct uart *u = *state;
	struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;

	wr(u, IER, 0x02);
	assert_int_equal(vmm_sio_serial_save(u->s, &st), 0);
	assert_int_equal(st.flags, VMM_SIO_SERIAL_STATE_THRI);
	/* The same object: the line drops and rises. */
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), 0);
	assert_int_equal(u->edges, 2);
	assert_int_equal(rd(u, IIR), 0x02);
	wr(u, IER, 0x01);
	expect_receive(u, "x", 1);
	assert_int_equal(vmm_sio_serial_save(u->s, &st), 0);
	vmm_sio_serial_free(u->s);
	uart_new(u, 0, 0, 0);
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), 0);
	assert_int_equal(u->edges, 1);
	assert_int_equal(rd(u, IIR), 0x04);
	/* Nothing pending: it drops and stays low. */
	st.ier = 0;
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), 0);
	assert_false(u->line);
}

static void lines_are_reported_by_restoring(void **state)
{
	struct uart *u = *state;
	struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;

	wr(u, LCR, 0x43);
	wr(u, MCR, 0x0b);
	assert_int_equal(vmm_sio_serial_save(u->s, &st), 0);
	vmm_sio_serial_free(u->s);
	uart_new(u, 0, 0, 0);
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), 0);
	assert_true(u->break_on);
	assert_int_equal(u->modem, 0x0b);
}

static void held_bytes_move_to_the_new_ring(void **state)
{
	struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;
	struct uart a, b;

	uart_new(&a, 16, VMM_SIO_OVERFLOW_HOLD, 0);
	wr(&a, FCR, 0x01);
	wr(&a, IER, 0x02);
	for (int i = 0; i < 20; i++)
		wr(&a, THR, (uint8_t)('a' + i));
	assert_false(a.line);
	assert_int_equal(vmm_sio_serial_save(a.s, &st), 0);
	assert_int_equal(st.tx_len, 4);
	uart_new(&b, 16, VMM_SIO_OVERFLOW_HOLD, 0);
	assert_int_equal(vmm_sio_serial_restore(b.s, &st, NULL), 0);
	assert_true(b.line);
	assert_int_equal(b.output_ready, 1);
	expect_output(&b, "qrst");
	/* Into a full ring: held there, too, or lost where the policy says so. */
	for (int i = 0; i < 16; i++)
		wr(&b, THR, '.');
	assert_int_equal(vmm_sio_serial_restore(b.s, &st, NULL), 0);
	assert_false(b.line);
	expect_output(&b, "................");
	expect_output(&b, "qrst");
	vmm_sio_serial_free(b.s);
	uart_new(&b, 16, VMM_SIO_OVERFLOW_DROP, 0);
	for (int i = 0; i < 16; i++)
		wr(&b, THR, '.');
	assert_int_equal(vmm_sio_serial_restore(b.s, &st, NULL), 0);
	assert_true(b.line);
	assert_int_equal(stats_of(&b).dropped, 4);
	vmm_sio_serial_free(a.s);
	vmm_sio_serial_free(b.s);
}

/* UART-B6: restored registers are not checked. */
static void uart_b6_a_hostile_state_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} cases[] = {
		{ offsetof(struct vmm_sio_serial_state, ier), 0x10 },
		{ offsetof(struct vmm_sio_serial_state, fcr), 0x03 },
		{ offsetof(struct vmm_sio_serial_state, fcr), 0x80 },
		{ offsetof(struct vmm_sio_serial_state, mcr), 0x28 },
		{ offsetof(struct vmm_sio_serial_state, mcr), 0x0a },
		{ offsetof(struct vmm_sio_serial_state, lsr), 0x61 },
		{ offsetof(struct vmm_sio_serial_state, msr), 0x00 },
		{ offsetof(struct vmm_sio_serial_state, modem), 0xbf },
		{ offsetof(struct vmm_sio_serial_state, flags), 0x01 },
		{ offsetof(struct vmm_sio_serial_state, flags), 0x80 },
		{ offsetof(struct vmm_sio_serial_state, reserved_), 0x01 },
		{ offsetof(struct vmm_sio_serial_state, rx_len), 0x02 },
		{ offsetof(struct vmm_sio_serial_state, rx_len), 0xff },
		{ offsetof(struct vmm_sio_serial_state, tx_len), 0x02 },
		{ offsetof(struct vmm_sio_serial_state, tx_len), 0xff },
		{ offsetof(struct vmm_sio_serial_state, queue_len) + 1, 0xff },
		{ offsetof(struct vmm_sio_serial_state, rx) + 2, 0x01 },
		{ offsetof(struct vmm_sio_serial_state, tx) + 15, 0x01 },
		{ offsetof(struct vmm_sio_serial_state, queue) + 9, 0x01 },
	};
	struct uart *u = *state;

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;
		struct vmm_error err = { 0 };

		assert_int_equal(vmm_sio_serial_save(u->s, &st), 0);
		((uint8_t *)&st)[cases[i].at] = cases[i].value;
		assert_int_equal(vmm_sio_serial_restore(u->s, &st, &err), -EBADMSG);
		assert_int_equal(err.code, -EBADMSG);
		assert_non_null(strstr(err.message, "impossible state"));
	}
	assert_int_equal(u->edges, 0);
}

static void more_than_the_fifo_holds_is_refused(void **state)
{
	struct uart *u = *state;
	struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;

	wr(u, FCR, 0x01);
	assert_int_equal(vmm_sio_serial_save(u->s, &st), 0);
	st.rx_len = 16;
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), 0);
	st.rx_len = 17;
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), -EBADMSG);
	st.rx_len = 1;
	st.rx[0] = 0x0100;
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), -EBADMSG);
	st.rx[0] = 0x1c41;
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), 0);
	assert_int_equal(rd(u, RBR), 'A');
}

static void a_full_queue_is_restored_and_owes_room(void **state)
{
	struct uart *u = *state;
	struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;

	assert_int_equal(vmm_sio_serial_save(u->s, &st), 0);
	st.queue_len = VMM_SIO_SERIAL_QUEUE;
	for (uint32_t i = 0; i < VMM_SIO_SERIAL_QUEUE; i++)
		st.queue[i] = (uint16_t)(i & 0xff);
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), 0);
	for (uint32_t i = 0; i < VMM_SIO_SERIAL_QUEUE; i++)
		assert_int_equal(rd(u, RBR), i & 0xff);
	assert_int_equal(u->input_ready, 1);
}

static void room_that_is_owed_is_told_after_restoring(void **state)
{
	struct uart *u = *state;
	struct vmm_sio_serial_state st = VMM_SIO_SERIAL_STATE_INIT;
	uint8_t data[2000] = { 0 };

	assert_int_equal(vmm_sio_serial_save(u->s, &st), 0);
	assert_true(vmm_sio_serial_receive(u->s, data, sizeof(data)) < sizeof(data));
	assert_int_equal(u->input_ready, 0);
	assert_int_equal(vmm_sio_serial_restore(u->s, &st, NULL), 0);
	assert_int_equal(u->input_ready, 1);
}

static void expect_i8042_refuses(struct vmm_sio_i8042 *dev, struct vmm_sio_i8042_state st)
{
	struct vmm_error err = { 0 };

	assert_int_equal(vmm_sio_i8042_restore(dev, &st, &err), -EBADMSG);
	assert_int_equal(err.code, -EBADMSG);
}

#define REFUSE(member, value)                      \
	do {                                       \
		struct vmm_sio_i8042_state s = st; \
		s.member = (value);                \
		expect_i8042_refuses(dev, s);      \
	} while (0)

static void i8042_states_are_checked_member_by_member(void **state)
{
	VMM_CLEANUP(vmm_sio_i8042_free) struct vmm_sio_i8042 *dev = NULL;
	struct vmm_sio_i8042_state st = VMM_SIO_I8042_STATE_INIT;

	assert_int_equal(vmm_sio_i8042_new(NULL, &dev), 0);
	assert_int_equal(vmm_sio_i8042_save(dev, &st), 0);
	REFUSE(command, 0x20);
	REFUSE(last_was_command, 2);
	REFUSE(reserved_[1], 1);
	REFUSE(output_port, 0);
	REFUSE(source, 4);
	REFUSE(source, 1);
	REFUSE(answers_len, 7);
	REFUSE(answers[0], 1);
	REFUSE(memory[0], 0x80);
	REFUSE(keyboard.command, 0xff);
	REFUSE(keyboard.setting, 0);
	REFUSE(keyboard.setting, 4);
	REFUSE(keyboard.rate, 0x80);
	REFUSE(keyboard.mode, 2);
	REFUSE(keyboard.enabled, 2);
	REFUSE(keyboard.lights, 8);
	REFUSE(keyboard.queue_len, 33);
	REFUSE(keyboard.queue[0], 1);
	REFUSE(mouse.command, 0xed);
	REFUSE(mouse.setting, 4);
	REFUSE(mouse.mode, 8);
	REFUSE(mouse.rate, 0xe6);
	REFUSE(mouse.queue_len, 255);
}

static void an_i8042_state_carries_bytes_and_interrupts(void **state)
{
	VMM_CLEANUP(vmm_sio_i8042_free) struct vmm_sio_i8042 *a = NULL;
	VMM_CLEANUP(vmm_sio_i8042_free) struct vmm_sio_i8042 *b = NULL;
	struct vmm_sio_i8042_state st = VMM_SIO_I8042_STATE_INIT;

	assert_int_equal(vmm_sio_i8042_new(NULL, &a), 0);
	assert_int_equal(vmm_sio_i8042_new(NULL, &b), 0);
	vmm_sio_i8042_write(a, 4, 0xd3);
	vmm_sio_i8042_write(a, 0, 0x42);
	vmm_sio_i8042_write(a, 0, 0xf2);
	assert_int_equal(vmm_sio_i8042_save(a, &st), 0);
	assert_int_equal(vmm_sio_i8042_restore(b, &st, NULL), 0);
	assert_int_equal(vmm_sio_i8042_read(b, 4) & 0x21, 0x21);
	assert_int_equal(vmm_sio_i8042_read(b, 0), 0x42);
	assert_int_equal(vmm_sio_i8042_read(b, 0), 0xfa);
	assert_int_equal(vmm_sio_i8042_read(b, 0), 0xab);
	assert_int_equal(vmm_sio_i8042_read(b, 0), 0x41);
}

static void clock_states_are_checked(void **state)
{
	VMM_CLEANUP(vmm_sio_pl031_free) struct vmm_sio_pl031 *pl031 = NULL;
	VMM_CLEANUP(vmm_sio_cmos_free) struct vmm_sio_cmos *cmos = NULL;
	struct vmm_sio_pl031_state p = VMM_SIO_PL031_STATE_INIT, pb;
	struct vmm_sio_cmos_state c = VMM_SIO_CMOS_STATE_INIT, cb;

	assert_int_equal(vmm_sio_pl031_new(NULL, &pl031), 0);
	assert_int_equal(vmm_sio_cmos_new(NULL, &cmos), 0);
	assert_int_equal(vmm_sio_pl031_save(pl031, &p), 0);
	assert_int_equal(vmm_sio_cmos_save(cmos, &c), 0);
	pb = p;
	pb.fraction_ns = 1000000000;
	assert_int_equal(vmm_sio_pl031_restore(pl031, &pb, NULL), -EBADMSG);
	pb = p;
	pb.ris = 2;
	assert_int_equal(vmm_sio_pl031_restore(pl031, &pb, NULL), -EBADMSG);

	cb = c;
	cb.fraction_ns = UINT32_MAX;
	assert_int_equal(vmm_sio_cmos_restore(cmos, &cb, NULL), -EBADMSG);
	cb = c;
	cb.seconds = INT64_MAX;
	assert_int_equal(vmm_sio_cmos_restore(cmos, &cb, NULL), -EBADMSG);
	cb = c;
	cb.memory[0x0b] = 0x90;
	assert_int_equal(vmm_sio_cmos_restore(cmos, &cb, NULL), -EBADMSG);
	cb = c;
	cb.memory[0x32] = 0x20;
	assert_int_equal(vmm_sio_cmos_restore(cmos, &cb, NULL), -EBADMSG);
	cb.memory[0x0b] = 0x82;
	assert_int_equal(vmm_sio_cmos_restore(cmos, &cb, NULL), 0);
}

static void pl011_states_are_checked(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} cases[] = {
		{ offsetof(struct vmm_sio_pl011_state, flags), 0x04 },
		{ offsetof(struct vmm_sio_pl011_state, cr), 0x79 },
		{ offsetof(struct vmm_sio_pl011_state, cr) + 1, 0x0b },
		{ offsetof(struct vmm_sio_pl011_state, ifls), 0x40 },
		{ offsetof(struct vmm_sio_pl011_state, imsc) + 1, 0x08 },
		{ offsetof(struct vmm_sio_pl011_state, ris), 0x40 },
		{ offsetof(struct vmm_sio_pl011_state, rsr), 0x10 },
		{ offsetof(struct vmm_sio_pl011_state, modem), 0x01 },
		{ offsetof(struct vmm_sio_pl011_state, tx_len), 0x11 },
		{ offsetof(struct vmm_sio_pl011_state, rx_len), 0x02 },
		{ offsetof(struct vmm_sio_pl011_state, queue_len) + 1, 0x05 },
		{ offsetof(struct vmm_sio_pl011_state, reserved_end_), 0x01 },
	};
	VMM_CLEANUP(vmm_sio_pl011_free) struct vmm_sio_pl011 *p = NULL;

	assert_int_equal(vmm_sio_pl011_new(NULL, &p), 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		struct vmm_sio_pl011_state st = VMM_SIO_PL011_STATE_INIT;

		assert_int_equal(vmm_sio_pl011_save(p, &st), 0);
		((uint8_t *)&st)[cases[i].at] = cases[i].value;
		assert_int_equal(vmm_sio_pl011_restore(p, &st, NULL), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_and_versions_are_checked_by_all),
		cmocka_unit_test(saving_what_was_restored_gives_the_same),
		cmocka_unit_test(any_byte_changed_is_taken_whole_or_refused),
		uart_test(a_new_uart_has_the_documented_state),
		uart_test(queued_characters_are_restored_and_read),
		uart_test(pending_interrupts_are_raised_by_restoring),
		uart_test(lines_are_reported_by_restoring),
		cmocka_unit_test(held_bytes_move_to_the_new_ring),
		uart_test(uart_b6_a_hostile_state_is_refused),
		uart_test(more_than_the_fifo_holds_is_refused),
		uart_test(a_full_queue_is_restored_and_owes_room),
		uart_test(room_that_is_owed_is_told_after_restoring),
		cmocka_unit_test(i8042_states_are_checked_member_by_member),
		cmocka_unit_test(an_i8042_state_carries_bytes_and_interrupts),
		cmocka_unit_test(clock_states_are_checked),
		cmocka_unit_test(pl011_states_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

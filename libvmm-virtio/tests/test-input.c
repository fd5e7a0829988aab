/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The input device behind its registers, with the mock driver in front. */
#include "virtio-test.h"

#include <linux/input.h>
#include <linux/virtio_input.h>
#include <vmm/virtio-input.h>

#include "device-rig.h"

enum { NUM = 16, EVENTS = 0, STATUS = 1, BOTH = 3, STATE_MAX = 4096 };

struct world {
	struct devrig r;
	struct vmm_virtio_input *in;
	uint32_t leds;
	struct vmm_virtio_input_event last;
};

static const uint16_t keys[] = { KEY_POWER, KEY_A, KEY_MAX };
static const uint16_t leds[] = { LED_CAPSL };
static const struct vmm_virtio_input_codes codes[] = { { EV_KEY, 3, keys },
						       { EV_LED, 1, leds } };
static const struct vmm_virtio_input_event press = { EV_KEY, KEY_POWER, 1 };
static const struct vmm_virtio_input_event release = { EV_KEY, KEY_POWER, 0 };

static void on_status(void *ctx, const struct vmm_virtio_input_event *event)
{
	struct world *w = ctx;

	w->leds++;
	w->last = *event;
}

static struct vmm_virtio_input_opts options(struct world *w)
{
	struct vmm_virtio_input_opts opts = VMM_VIRTIO_INPUT_OPTS_INIT;

	opts.codes = codes;
	opts.type_count = 2;
	opts.features |= VMM_VIRTIO_F_RING_RESET | VMM_VIRTIO_F_RING_PACKED;
	opts.status = on_status;
	opts.ctx = w;
	return opts;
}

static void start(struct world *w, bool climb)
{
	struct vmm_virtio_input_opts opts = options(w);

	memset(w, 0, sizeof(*w));
	opts.name = "Power Button";
	opts.serial = "one";
	assert_int_equal(vmm_virtio_input_new(&opts, &w->in), 0);
	dr_init(&w->r, NUM);
	dr_carry(&w->r, vmm_virtio_input_get_device(w->in));
	if (climb)
		dr_climb(&w->r, BOTH, VMM_VIRTIO_F_RING_RESET);
}

static void stop(struct world *w)
{
	dr_fini(&w->r);
	vmm_virtio_input_free(w->in);
}

/* As Linux does: two bytes written, then the length and the bytes read. */
static uint32_t select_config(struct world *w, uint8_t select, uint8_t subsel, char *out)
{
	uint8_t size;

	vmm_virtio_mmio_write(w->r.mmio, 0x100, &select, 1);
	vmm_virtio_mmio_write(w->r.mmio, 0x101, &subsel, 1);
	vmm_virtio_mmio_read(w->r.mmio, 0x102, &size, 1);
	assert_true(size <= 128);
	for (uint32_t i = 0; i < 128; i++)
		vmm_virtio_mmio_read(w->r.mmio, 0x108 + i, out + i, 1);
	return size;
}

static void expect_event(struct world *w, uint16_t type, uint16_t code, uint32_t value)
{
	const struct virtio_input_event *event = dr_answer(&w->r, EVENTS);

	assert_int_equal(dr_used(&w->r, EVENTS), 8);
	assert_int_equal(event->type, type);
	assert_int_equal(event->code, code);
	assert_int_equal(event->value, value);
}

/* One buffer, so that its content is that of the next event. */
static void offer(struct world *w, uint32_t len)
{
	memset(dr_answer(&w->r, EVENTS), 0xff, 8);
	assert_true(dr_add(&w->r, EVENTS, NULL, 0, len) >= 0);
	dr_wr(&w->r, 0x50, EVENTS);
}

static struct vmm_virtio_input_stats stats_of(struct world *w)
{
	struct vmm_virtio_input_stats stats = { .size = sizeof(stats) };

	vmm_virtio_input_get_stats(w->in, &stats);
	return stats;
}

static void the_driver_learns_what_there_is_before_it_starts(void **state)
{
	struct virtio_input_devids ids;
	struct world w;
	char data[128];

	start(&w, false);
	assert_int_equal(dr_rd(&w.r, 0x08), 18);
	assert_int_equal(dr_features(&w.r, 0), 0xb);
	assert_int_equal(select_config(&w, VIRTIO_INPUT_CFG_ID_NAME, 0, data), 12);
	assert_memory_equal(data, "Power Button\0", 13);
	assert_int_equal(select_config(&w, VIRTIO_INPUT_CFG_ID_SERIAL, 0, data), 3);
	assert_memory_equal(data, "one\0", 4);
	assert_int_equal(select_config(&w, VIRTIO_INPUT_CFG_ID_DEVIDS, 0, data), 8);
	memcpy(&ids, data, sizeof(ids));
	assert_int_equal(ids.bustype, BUS_VIRTUAL);
	assert_int_equal(ids.version, 1);
	assert_int_equal(select_config(&w, VIRTIO_INPUT_CFG_EV_BITS, EV_KEY, data),
			 KEY_MAX / 8 + 1);
	assert_int_equal((uint8_t)data[KEY_POWER / 8], 1 << KEY_POWER % 8);
	assert_int_equal((uint8_t)data[KEY_A / 8], 1 << KEY_A % 8);
	assert_int_equal(select_config(&w, VIRTIO_INPUT_CFG_EV_BITS, EV_LED, data), 1);
	assert_int_equal(data[0], 1 << LED_CAPSL);
	stop(&w);
}

static void what_there_is_not_has_no_length(void **state)
{
	static const uint8_t none[][2] = {
		{ VIRTIO_INPUT_CFG_UNSET, 0 },
		{ VIRTIO_INPUT_CFG_ID_NAME, 1 },
		{ VIRTIO_INPUT_CFG_ID_DEVIDS, 1 },
		{ VIRTIO_INPUT_CFG_PROP_BITS, 0 },
		{ VIRTIO_INPUT_CFG_EV_BITS, EV_SYN },
		{ VIRTIO_INPUT_CFG_EV_BITS, EV_REL },
		{ VIRTIO_INPUT_CFG_EV_BITS, 32 },
		{ VIRTIO_INPUT_CFG_EV_BITS, 255 },
		{ VIRTIO_INPUT_CFG_ABS_INFO, EV_KEY },
		{ 255, 255 },
	};
	static const char zeros[128];
	struct world w;
	char data[128];

	start(&w, false);
	for (size_t i = 0; i < VMM_ARRAY_LEN(none); i++) {
		assert_int_equal(select_config(&w, none[i][0], none[i][1], data), 0);
		assert_memory_equal(data, zeros, sizeof(zeros));
	}
	/* The rest is not the driver's to write. */
	vmm_virtio_mmio_write(w.r.mmio, 0x108, "x", 1);
	assert_int_equal(dr_rd(&w.r, 0x108), 0);
	stop(&w);
}

static void a_press_arrives_with_its_mark(void **state)
{
	struct world w;

	start(&w, true);
	offer(&w, 8);
	assert_int_equal(dr_used(&w.r, EVENTS), -EAGAIN);
	assert_int_equal(vmm_virtio_input_send(w.in, &press, 1), 0);
	assert_int_equal(w.r.irqs, 1);
	expect_event(&w, EV_KEY, KEY_POWER, 1);
	offer(&w, 64);
	expect_event(&w, EV_SYN, SYN_REPORT, 0);
	offer(&w, 8);
	assert_int_equal(dr_used(&w.r, EVENTS), -EAGAIN);
	assert_int_equal(stats_of(&w).events, 2);
	stop(&w);
}

static void a_press_waits_for_a_driver_that_starts(void **state)
{
	struct world w;

	start(&w, false);
	assert_int_equal(vmm_virtio_input_send(w.in, &press, 1), 0);
	assert_int_equal(vmm_virtio_input_send(w.in, &release, 1), 0);
	dr_climb(&w.r, BOTH, VMM_VIRTIO_F_RING_PACKED);
	offer(&w, 8);
	expect_event(&w, EV_KEY, KEY_POWER, 1);
	offer(&w, 8);
	expect_event(&w, EV_SYN, SYN_REPORT, 0);
	offer(&w, 8);
	expect_event(&w, EV_KEY, KEY_POWER, 0);
	/* A reset forgets the rest. */
	dr_climb(&w.r, BOTH, 0);
	offer(&w, 8);
	assert_int_equal(dr_used(&w.r, EVENTS), -EAGAIN);
	stop(&w);
}

static void too_much_is_refused_as_a_whole(void **state)
{
	struct vmm_virtio_input_event many[VMM_VIRTIO_INPUT_REPORT_MAX + 1];
	struct world w;

	start(&w, true);
	for (size_t i = 0; i < VMM_ARRAY_LEN(many); i++)
		many[i] = press;
	assert_int_equal(vmm_virtio_input_send(w.in, many, 0), -EINVAL);
	assert_int_equal(vmm_virtio_input_send(w.in, many, VMM_ARRAY_LEN(many)), -EINVAL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(vmm_virtio_input_send(w.in, many, 15), 0);
	assert_int_equal(vmm_virtio_input_send(w.in, many, 14), 0);
	assert_int_equal(vmm_virtio_input_send(w.in, many, 1), -EAGAIN);
	assert_int_equal(stats_of(&w).refused, 1);
	/* 63 wait: one more event is taken, its mark is not. */
	for (int i = 0; i < 63; i++) {
		offer(&w, 8);
		expect_event(&w, i % 16 == 15 || i == 62 ? EV_SYN : EV_KEY,
			     i % 16 == 15 || i == 62 ? 0 : KEY_POWER,
			     i % 16 == 15 || i == 62 ? 0 : 1);
	}
	assert_int_equal(vmm_virtio_input_send(w.in, many, 15), 0);
	stop(&w);
}

static void what_the_device_does_not_have_is_refused(void **state)
{
	static const struct vmm_virtio_input_event foreign[] = {
		{ EV_KEY, KEY_B, 1 },	 { EV_SYN, 0, 0 },     { EV_REL, 0, 1 },
		{ EV_KEY, KEY_CNT, 1 },	 { EV_KEY, 65535, 1 }, { 32, 0, 0 },
		{ 65535, KEY_POWER, 1 },
	};
	struct vmm_virtio_input_event two[2] = { press };
	struct world w;

	start(&w, true);
	for (size_t i = 0; i < VMM_ARRAY_LEN(foreign); i++) {
		two[1] = foreign[i];
		assert_int_equal(vmm_virtio_input_send(w.in, two, 2), -EINVAL);
	}
	offer(&w, 8);
	assert_int_equal(dr_used(&w.r, EVENTS), -EAGAIN);
	stop(&w);
}

static void buffers_that_are_no_use_cost_no_event(void **state)
{
	struct world w;

	start(&w, true);
	assert_int_equal(vmm_virtio_input_send(w.in, &press, 1), 0);
	offer(&w, 7);
	assert_int_equal(dr_used(&w.r, EVENTS), 0);
	assert_true(dr_add(&w.r, EVENTS, "12345678", 8, 0) >= 0);
	dr_wr(&w.r, 0x50, EVENTS);
	assert_int_equal(dr_used(&w.r, EVENTS), 0);
	assert_int_equal(stats_of(&w).bad_buffers, 2);
	offer(&w, 8);
	expect_event(&w, EV_KEY, KEY_POWER, 1);
	stop(&w);
}

static void the_driver_sets_a_led(void **state)
{
	const struct virtio_input_event led = { EV_LED, LED_CAPSL, 1 };
	uint8_t two[16];
	struct world w;

	start(&w, true);
	memcpy(two, &led, 8);
	memset(two + 8, 0xff, 8);
	assert_true(dr_add(&w.r, STATUS, two, 16, 0) >= 0);
	assert_true(dr_add(&w.r, STATUS, two, 7, 0) >= 0);
	dr_wr(&w.r, 0x50, STATUS);
	assert_int_equal(dr_used(&w.r, STATUS), 0);
	assert_int_equal(dr_used(&w.r, STATUS), 0);
	assert_int_equal(w.leds, 1);
	assert_int_equal(w.last.type, EV_LED);
	assert_int_equal(w.last.code, LED_CAPSL);
	assert_int_equal(w.last.value, 1);
	assert_int_equal(stats_of(&w).status, 1);
	assert_int_equal(stats_of(&w).bad_buffers, 1);
	stop(&w);
}

static void hostile_queues_break_nothing(void **state)
{
	struct mock_seg hole = { MOCK_HOLE, 8, true };
	struct world w;

	start(&w, true);
	assert_int_equal(vmm_virtio_input_send(w.in, &press, 1), 0);
	assert_true(mock_add(&w.r.q[EVENTS], &hole, 1, false) >= 0);
	dr_wr(&w.r, 0x50, EVENTS);
	assert_int_equal(dr_used(&w.r, EVENTS), 0);
	offer(&w, 8);
	expect_event(&w, EV_KEY, KEY_POWER, 1);
	/* A head that does not exist makes the device ask for a reset. */
	*(uint16_t *)mock_at(w.r.m, w.r.q[EVENTS].config.driver + 4 + 2 * 2) = 0xffff;
	*(uint16_t *)mock_at(w.r.m, w.r.q[EVENTS].config.driver + 2) = 3;
	dr_wr(&w.r, 0x50, EVENTS);
	assert_true(dr_rd(&w.r, 0x70) & VMM_VIRTIO_S_NEEDS_RESET);
	assert_int_equal(vmm_virtio_input_send(w.in, &release, 1), 0);
	stop(&w);
}

static void a_queue_can_be_reset_alone(void **state)
{
	struct world w;

	start(&w, true);
	dr_wr(&w.r, 0x30, EVENTS);
	dr_wr(&w.r, 0xc0, 1);
	assert_int_equal(vmm_virtio_input_send(w.in, &press, 1), 0);
	dr_ring(&w.r, EVENTS);
	dr_queue(&w.r, EVENTS);
	offer(&w, 8);
	expect_event(&w, EV_KEY, KEY_POWER, 1);
	stop(&w);
}

static void a_pause_holds_events_back(void **state)
{
	struct world w;

	start(&w, true);
	offer(&w, 8);
	vmm_virtio_mmio_pause(w.r.mmio);
	assert_int_equal(vmm_virtio_input_send(w.in, &press, 1), 0);
	assert_int_equal(dr_used(&w.r, EVENTS), -EAGAIN);
	vmm_virtio_mmio_resume(w.r.mmio);
	expect_event(&w, EV_KEY, KEY_POWER, 1);
	stop(&w);
}

static int64_t save(struct world *w, uint8_t state[STATE_MAX])
{
	int64_t len;

	vmm_virtio_mmio_pause(w->r.mmio);
	len = vmm_virtio_mmio_save(w->r.mmio, state, STATE_MAX);
	assert_in_range(len, 1, STATE_MAX);
	return len;
}

/* A second device over the memory of the first. */
static int take_over(struct world *to, struct world *from, const uint8_t *state,
		     int64_t len)
{
	struct vmm_virtio_input_opts opts = options(to);
	int ret;

	memset(to, 0, sizeof(*to));
	opts.name = "Power Button";
	opts.serial = "one";
	assert_int_equal(vmm_virtio_input_new(&opts, &to->in), 0);
	to->r.num = NUM;
	to->r.m = from->r.m;
	memcpy(to->r.q, from->r.q, sizeof(to->r.q));
	dr_carry(&to->r, vmm_virtio_input_get_device(to->in));
	ret = vmm_virtio_mmio_restore(to->r.mmio, state, (size_t)len, NULL);
	return ret;
}

static void let_go(struct world *to)
{
	dr_stop(&to->r);
	vmm_virtio_input_free(to->in);
}

static void events_and_selection_survive_a_restore(void **state)
{
	uint8_t saved[STATE_MAX];
	struct world w, to;
	char data[128];
	int64_t len;

	start(&w, true);
	assert_int_equal(select_config(&w, VIRTIO_INPUT_CFG_ID_SERIAL, 0, data), 3);
	assert_int_equal(vmm_virtio_input_send(w.in, &press, 1), 0);
	len = save(&w, saved);
	assert_int_equal(take_over(&to, &w, saved, len), 0);
	/* The same configuration space: no interrupt. */
	assert_int_equal(dr_rd(&to.r, 0x60), 0);
	assert_int_equal(dr_rd(&to.r, 0x108) & 0xffffff, 'o' | 'n' << 8 | 'e' << 16);
	vmm_virtio_mmio_resume(to.r.mmio);
	offer(&to, 8);
	expect_event(&to, EV_KEY, KEY_POWER, 1);
	offer(&to, 8);
	expect_event(&to, EV_SYN, SYN_REPORT, 0);
	let_go(&to);
	stop(&w);
}

static void a_state_before_the_driver_came_is_taken(void **state)
{
	uint8_t saved[STATE_MAX];
	struct world w, to;
	int64_t len;

	start(&w, false);
	assert_int_equal(vmm_virtio_input_send(w.in, &press, 1), 0);
	len = save(&w, saved);
	assert_int_equal(take_over(&to, &w, saved, len), 0);
	vmm_virtio_mmio_resume(to.r.mmio);
	dr_climb(&to.r, BOTH, 0);
	offer(&to, 8);
	expect_event(&to, EV_KEY, KEY_POWER, 1);
	let_go(&to);
	stop(&w);
}

/* Version, selection, count, two events of 8 bytes at the end of the state. */
static void damaged_states_are_refused(void **state)
{
	static const struct {
		int back;
		uint8_t value;
	} damages[] = {
		{ 26, 2 },   /* version */
		{ 20, 65 },  /* more than can wait */
		{ 20, 1 },   /* shorter than it is */
		{ 16, 2 },   /* a type that is not there */
		{ 14, 117 }, /* a key that is not there */
		{ 8, 1 },    /* no mark at the end */
		{ 6, 1 },    /* another mark */
	};
	uint8_t saved[STATE_MAX], bad[STATE_MAX];
	struct world w, to;
	int64_t len;

	start(&w, true);
	assert_int_equal(vmm_virtio_input_send(w.in, &press, 1), 0);
	len = save(&w, saved);
	for (size_t i = 0; i < VMM_ARRAY_LEN(damages); i++) {
		memcpy(bad, saved, sizeof(bad));
		bad[len - damages[i].back] = damages[i].value;
		assert_int_equal(take_over(&to, &w, bad, len), -EBADMSG);
		let_go(&to);
	}
	assert_int_equal(take_over(&to, &w, saved, len), 0);
	let_go(&to);
	stop(&w);
}

static void bad_options_are_refused(void **state)
{
	static const uint16_t far[] = { VMM_VIRTIO_INPUT_CODES_MAX };
	const struct vmm_virtio_input_codes bad[][2] = {
		{ { EV_SYN, 3, keys }, { EV_LED, 1, leds } },
		{ { EV_ABS, 3, keys }, { EV_LED, 1, leds } },
		{ { EV_FF, 3, keys }, { EV_LED, 1, leds } },
		{ { 32, 3, keys }, { EV_LED, 1, leds } },
		{ { EV_KEY, 0, keys }, { EV_LED, 1, leds } },
		{ { EV_KEY, 1, far }, { EV_LED, 1, leds } },
		{ { EV_LED, 1, leds }, { EV_LED, 1, leds } },
	};
	char text[VMM_VIRTIO_INPUT_TEXT_MAX + 2] = { 0 };
	struct vmm_virtio_input_opts opts = options(NULL);
	struct vmm_virtio_input *in = NULL;

	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++) {
		opts.codes = bad[i];
		assert_int_equal(vmm_virtio_input_new(&opts, &in), -EINVAL);
	}
	opts = options(NULL);
	opts.type_count = 0;
	assert_int_equal(vmm_virtio_input_new(&opts, &in), -EINVAL);
	opts = options(NULL);
	opts.codes = NULL;
	assert_int_equal(vmm_virtio_input_new(&opts, &in), -EINVAL);
	opts = options(NULL);
	opts.queue_max = VMM_VIRTQ_SIZE_MAX + 1;
	assert_int_equal(vmm_virtio_input_new(&opts, &in), -EINVAL);
	memset(text, 'x', VMM_VIRTIO_INPUT_TEXT_MAX + 1);
	opts = options(NULL);
	opts.name = text;
	assert_int_equal(vmm_virtio_input_new(&opts, &in), -E2BIG);
	opts = options(NULL);
	opts.serial = text;
	assert_int_equal(vmm_virtio_input_new(&opts, &in), -E2BIG);
	assert_null(in);
	text[VMM_VIRTIO_INPUT_TEXT_MAX] = '\0';
	assert_int_equal(vmm_virtio_input_new(&opts, &in), 0);
	vmm_virtio_input_free(in);
	vmm_virtio_input_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_driver_learns_what_there_is_before_it_starts),
		cmocka_unit_test(what_there_is_not_has_no_length),
		cmocka_unit_test(a_press_arrives_with_its_mark),
		cmocka_unit_test(a_press_waits_for_a_driver_that_starts),
		cmocka_unit_test(too_much_is_refused_as_a_whole),
		cmocka_unit_test(what_the_device_does_not_have_is_refused),
		cmocka_unit_test(buffers_that_are_no_use_cost_no_event),
		cmocka_unit_test(the_driver_sets_a_led),
		cmocka_unit_test(hostile_queues_break_nothing),
		cmocka_unit_test(a_queue_can_be_reset_alone),
		cmocka_unit_test(a_pause_holds_events_back),
		cmocka_unit_test(events_and_selection_survive_a_restore),
		cmocka_unit_test(a_state_before_the_driver_came_is_taken),
		cmocka_unit_test(damaged_states_are_refused),
		cmocka_unit_test(bad_options_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

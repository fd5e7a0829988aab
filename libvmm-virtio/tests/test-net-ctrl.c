/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The control queue, the filter it sets, pairs of queues, and saved state. */
#include "virtio-test.h"

#include "device-state.h"
#include "net-rig.h"

#define ALL                                                                            \
	(NF_MAC | NF_STATUS | NF_CTRL | NF_CTRL_RX | NF_CTRL_RX_EXTRA | NF_CTRL_VLAN | \
	 NF_CTRL_MAC | NF_ANNOUNCE | NF_MQ | NF_GUEST_OFFLOADS | NF_MRG |              \
	 VMM_VIRTIO_NET_F_GUEST_CSUM | VMM_VIRTIO_NET_F_GUEST_TSO4)
#define HEADER VMM_VIRTIO_NET_HEADER_LEN

enum { RX = 0, MAC = 1, VLAN = 2, ANNOUNCE = 3, MQ = 4, OFFLOADS = 5, OK = 0, ERR = 1 };

static const uint8_t ours[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t theirs[6] = { 2, 0, 0, 0, 0, 7 };
static const uint8_t group[6] = { 1, 0, 0x5e, 0, 0, 1 };
static const uint8_t all[6] = { 255, 255, 255, 255, 255, 255 };

/* Does a frame to @p mac, of VLAN @p vlan if that is not 0, reach the driver? */
static bool passes(struct net_rig *r, const uint8_t *mac, uint32_t vlan)
{
	uint64_t before = rig_stats(r).rx_filtered;
	uint8_t *frame = rig_queue_frame(r, 64, 1);
	static uint8_t got[4096];
	bool taken;

	memcpy(frame, mac, 6);
	if (vlan) {
		frame[12] = 0x81;
		frame[13] = 0;
		frame[14] = (uint8_t)(0xe0 | vlan >> 8);
		frame[15] = (uint8_t)vlan;
	}
	if (r->q[0].free_n == NET_NUM)
		rig_give_buffers(r, 0, 1, 2000);
	vmm_virtio_net_wake(r->net, 0);
	(void)rig_loop(r, 0);
	taken = rig_take(r, 0, got) == HEADER + 64;
	if (taken)
		assert_memory_equal(got + HEADER, mac, 6);
	assert_int_equal(rig_stats(r).rx_filtered - before, !taken);
	return taken;
}

static uint8_t rx_mode(struct net_rig *r, uint8_t cmd, uint8_t on)
{
	return rig_command(r, RX, cmd, &on, 1);
}

static void receive_modes_say_what_passes(void **state)
{
	struct net_rig r;

	net_rig_start(&r, ALL, true);
	assert_true(passes(&r, theirs, 0));
	assert_int_equal(rx_mode(&r, 0, 0), OK);
	assert_true(passes(&r, ours, 0));
	assert_true(passes(&r, all, 0));
	assert_false(passes(&r, theirs, 0));
	assert_false(passes(&r, group, 0));
	assert_int_equal(rx_mode(&r, 1, 1), OK);
	assert_true(passes(&r, group, 0));
	assert_int_equal(rx_mode(&r, 2, 1), OK);
	assert_true(passes(&r, theirs, 0));
	assert_int_equal(rx_mode(&r, 3, 1), OK);
	assert_false(passes(&r, group, 0));
	assert_int_equal(rx_mode(&r, 4, 1), OK);
	assert_false(passes(&r, ours, 0));
	assert_int_equal(rx_mode(&r, 5, 1), OK);
	assert_false(passes(&r, all, 0));
	assert_int_equal(rx_mode(&r, 4, 0), OK);
	assert_true(passes(&r, ours, 0));
	assert_int_equal(rx_mode(&r, 6, 1), ERR);
	assert_int_equal(rx_mode(&r, 0, 2), ERR);
	/* A reset forgets it all. */
	assert_int_equal(rig_climb(&r, ALL), 0xf);
	assert_true(passes(&r, theirs, 0));
	net_rig_stop(&r);
}

/* Without CTRL_RX nothing is filtered, and nobody can ask for it. */
static void what_was_not_negotiated_is_refused(void **state)
{
	static const uint8_t one[8] = { 1 };
	static const uint8_t table[8] = { 0 };
	struct net_rig r;

	net_rig_start(&r, NF_CTRL, true);
	assert_int_equal(rig_command(&r, RX, 0, one, 1), ERR);
	assert_int_equal(rig_command(&r, RX, 2, one, 1), ERR);
	assert_int_equal(rig_command(&r, MAC, 0, table, 8), ERR);
	assert_int_equal(rig_command(&r, MAC, 1, ours, 6), ERR);
	assert_int_equal(rig_command(&r, VLAN, 0, one, 2), ERR);
	assert_int_equal(rig_command(&r, ANNOUNCE, 0, NULL, 0), ERR);
	assert_int_equal(rig_command(&r, MQ, 0, one, 2), ERR);
	assert_int_equal(rig_command(&r, OFFLOADS, 0, table, 8), ERR);
	assert_int_equal(rig_command(&r, 6, 0, one, 1), ERR);
	assert_int_equal(rig_command(&r, 255, 255, one, 1), ERR);
	assert_true(passes(&r, theirs, 7));
	assert_int_equal(rig_stats(&r).ctrl_err, 10);
	assert_int_equal(rig_stats(&r).ctrl_ok, 0);
	net_rig_stop(&r);
}

static uint32_t put_table(uint8_t *to, uint32_t n, const uint8_t *first)
{
	memcpy(to, &n, 4);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(to + 4 + 6 * i, first, 6);
		to[4 + 6 * i + 4] = (uint8_t)i;
	}
	return 4 + 6 * n;
}

/* HG-23: the table of addresses is counted by the driver. */
static void address_tables_are_checked(void **state)
{
	static uint8_t data[4096];
	uint32_t n, huge = 0xffffffff, wraps = 0x2aaaaaab;
	struct net_rig r;

	net_rig_start(&r, ALL, true);
	assert_int_equal(rx_mode(&r, 0, 0), OK);
	n = put_table(data, 3, theirs);
	n += put_table(data + n, 2, group);
	assert_int_equal(rig_command(&r, MAC, 0, data, n), OK);
	assert_true(passes(&r, theirs, 0));
	assert_true(passes(&r, group, 0));
	/* Too short, too long, one table, counts that lie or wrap: the old ones stay. */
	assert_int_equal(rig_command(&r, MAC, 0, data, n - 1), ERR);
	assert_int_equal(rig_command(&r, MAC, 0, data, n + 1), ERR);
	assert_int_equal(rig_command(&r, MAC, 0, data, 22), ERR);
	assert_int_equal(rig_command(&r, MAC, 0, data, 3), ERR);
	assert_int_equal(rig_command(&r, MAC, 0, NULL, 0), ERR);
	memcpy(data, &huge, 4);
	assert_int_equal(rig_command(&r, MAC, 0, data, n), ERR);
	memcpy(data, &wraps, 4);
	assert_int_equal(rig_command(&r, MAC, 0, data, n), ERR);
	assert_true(passes(&r, theirs, 0));
	/* As many as fit, then one more: all pass. */
	n = put_table(data, 32, theirs);
	n += put_table(data + n, 32, group);
	assert_int_equal(rig_command(&r, MAC, 0, data, n), OK);
	assert_false(passes(&r, (const uint8_t[]){ 2, 9, 9, 9, 9, 9 }, 0));
	n = put_table(data, 65, theirs);
	n += put_table(data + n, 65, group);
	assert_int_equal(rig_command(&r, MAC, 0, data, n), OK);
	assert_true(passes(&r, (const uint8_t[]){ 2, 9, 9, 9, 9, 9 }, 0));
	assert_true(passes(&r, (const uint8_t[]){ 3, 9, 9, 9, 9, 9 }, 0));
	n = put_table(data, 0, theirs);
	n += put_table(data + n, 0, group);
	assert_int_equal(rig_command(&r, MAC, 0, data, n), OK);
	assert_false(passes(&r, theirs, 0));
	assert_int_equal(rig_command(&r, MAC, 2, data, n), ERR);
	net_rig_stop(&r);
}

static void the_address_can_be_changed(void **state)
{
	struct net_rig r;

	net_rig_start(&r, ALL, true);
	assert_int_equal(rx_mode(&r, 0, 0), OK);
	assert_int_equal(rig_command(&r, MAC, 1, theirs, 6), OK);
	assert_int_equal(config_read(&r, 4, 2), 0x700);
	assert_true(passes(&r, theirs, 0));
	assert_false(passes(&r, ours, 0));
	assert_int_equal(rig_command(&r, MAC, 1, ours, 5), ERR);
	assert_int_equal(rig_climb(&r, ALL), 0xf);
	assert_int_equal(config_read(&r, 4, 2), 0x100);
	net_rig_stop(&r);
}

static void vlans_are_let_through_one_by_one(void **state)
{
	uint16_t id = 100, last = 4095, none = 4096;
	struct net_rig r;

	net_rig_start(&r, ALL, true);
	assert_true(passes(&r, ours, 0));
	assert_false(passes(&r, ours, 100));
	assert_int_equal(rig_command(&r, VLAN, 0, &id, 2), OK);
	assert_true(passes(&r, ours, 100));
	assert_false(passes(&r, ours, 101));
	assert_int_equal(rig_command(&r, VLAN, 0, &last, 2), OK);
	assert_true(passes(&r, ours, 4095));
	assert_int_equal(rig_command(&r, VLAN, 1, &id, 2), OK);
	assert_false(passes(&r, ours, 100));
	assert_int_equal(rig_command(&r, VLAN, 0, &none, 2), ERR);
	assert_int_equal(rig_command(&r, VLAN, 2, &id, 2), ERR);
	assert_int_equal(rig_command(&r, VLAN, 0, &id, 1), ERR);
	net_rig_stop(&r);
}

static void an_announcement_is_asked_for_and_acknowledged(void **state)
{
	struct net_rig r;

	net_rig_start(&r, ALL, true);
	assert_int_equal(rig_command(&r, ANNOUNCE, 0, NULL, 0), ERR);
	r.irqs = 0;
	assert_int_equal(vmm_virtio_net_announce(r.net, r.t), 0);
	assert_int_equal(r.irqs, 1);
	assert_int_equal(config_read(&r, 6, 2), 3);
	assert_int_equal(rig_command(&r, ANNOUNCE, 1, NULL, 0), ERR);
	assert_int_equal(rig_command(&r, ANNOUNCE, 0, "x", 1), ERR);
	assert_int_equal(rig_command(&r, ANNOUNCE, 0, NULL, 0), OK);
	assert_int_equal(config_read(&r, 6, 2), 1);
	assert_int_equal(vmm_virtio_net_announce(r.net, r.t), 0);
	assert_int_equal(rig_climb(&r, ALL), 0xf);
	assert_int_equal(config_read(&r, 6, 2), 1);
	net_rig_stop(&r);
}

/* HG-23: 0 pairs, more than there are; queues of pairs that are not in use rest. */
static void pairs_are_used_as_the_driver_chooses(void **state)
{
	static const uint16_t bad[] = { 0, 3, 0x8000, 0xffff };
	uint16_t two = 2, one = 1;
	struct net_rig r;

	net_rig_start(&r, ALL, true);
	assert_int_equal(r.pairs, 1);
	rig_transmit(&r, 1, NULL, 60);
	assert_int_equal(r.sends, 0);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++)
		assert_int_equal(rig_command(&r, MQ, 0, &bad[i], 2), ERR);
	assert_int_equal(rig_command(&r, MQ, 0, &two, 1), ERR);
	assert_int_equal(rig_command(&r, MQ, 0, NULL, 0), ERR);
	assert_int_equal(rig_command(&r, MQ, 1, &two, 2), ERR);
	r.set_result = -EIO;
	assert_int_equal(rig_command(&r, MQ, 0, &two, 2), ERR);
	r.set_result = 0;
	assert_int_equal(rig_command(&r, MQ, 0, &two, 2), OK);
	assert_int_equal(r.pairs, 2);
	/* What waited goes now. */
	assert_true(rig_is_readable(&r, 1));
	(void)rig_loop(&r, 1);
	assert_int_equal(r.sends, 1);
	assert_int_equal(r.sent_pair, 1);
	assert_int_equal(rig_command(&r, MQ, 0, &one, 2), OK);
	rig_transmit(&r, 1, NULL, 60);
	assert_int_equal(r.sends, 1);
	net_rig_stop(&r);
}

static void offloads_are_switched_while_the_device_runs(void **state)
{
	static const uint64_t both =
	    VMM_VIRTIO_NET_F_GUEST_CSUM | VMM_VIRTIO_NET_F_GUEST_TSO4;
	uint64_t csum = VMM_VIRTIO_NET_F_GUEST_CSUM, none = 0;
	uint64_t tso6 = both | VMM_VIRTIO_NET_F_GUEST_TSO6, junk = both | 1;
	struct net_rig r;

	net_rig_start(&r, ALL, true);
	assert_int_equal(r.offloads, both);
	assert_int_equal(rig_command(&r, OFFLOADS, 0, &csum, 8), OK);
	assert_int_equal(r.offloads, csum);
	assert_int_equal(rig_command(&r, OFFLOADS, 0, &tso6, 8), ERR);
	assert_int_equal(rig_command(&r, OFFLOADS, 0, &junk, 8), ERR);
	assert_int_equal(rig_command(&r, OFFLOADS, 0, &none, 7), ERR);
	assert_int_equal(rig_command(&r, OFFLOADS, 1, &none, 8), ERR);
	r.set_result = -EIO;
	assert_int_equal(rig_command(&r, OFFLOADS, 0, &none, 8), ERR);
	r.set_result = 0;
	assert_int_equal(rig_command(&r, OFFLOADS, 0, &none, 8), OK);
	assert_int_equal(r.offloads, 0);
	nwr(&r, 0x70, 0);
	assert_int_equal(r.offloads, 0);
	/* A back end that refuses what was negotiated: the driver is told. */
	r.set_result = -EIO;
	assert_int_equal(rig_climb(&r, ALL), 0x4f);
	net_rig_stop(&r);
}

/* Chains that are no commands come back without an answer, and the next one works. */
static void malformed_commands_do_not_stop_the_queue(void **state)
{
	static const struct {
		struct mock_seg segs[2];
		uint32_t n;
	} bad[] = {
		{ { { MOCK_BUFFERS, 2, false } }, 1 },
		{ { { MOCK_BUFFERS, 1, true } }, 1 },
		{ { { MOCK_BUFFERS, 1, false }, { MOCK_BUFFERS + 8, 1, true } }, 2 },
		{ { { MOCK_BUFFERS, 2, false }, { MOCK_BUFFERS + 8, 0, true } }, 2 },
		{ { { MOCK_HOLE, 2, false }, { MOCK_BUFFERS + 8, 1, true } }, 2 },
	};
	struct net_rig r;
	uint32_t id, len;

	net_rig_start(&r, ALL, true);
	for (size_t i = 0; i < VMM_ARRAY_LEN(bad); i++) {
		assert_true(mock_add(&r.q[4], bad[i].segs, bad[i].n, false) >= 0);
		vmm_virtio_net_run(r.net, 0);
		assert_int_equal(mock_get_used(&r.q[4], &id, &len), 0);
		assert_int_equal(len, 0);
		assert_int_equal(rx_mode(&r, 0, 1), OK);
	}
	assert_int_equal(rig_stats(&r).bad_chains, VMM_ARRAY_LEN(bad));
	net_rig_stop(&r);
}

/* A command may come in any pieces, and its answer goes into the first byte there is. */
static void a_command_may_be_cut_anywhere(void **state)
{
	struct mock_seg segs[5] = {
		{ MOCK_BUFFERS, 1, false },	 { MOCK_BUFFERS + 1, 2, false },
		{ MOCK_BUFFERS + 3, 5, false },	 { MOCK_BUFFERS + 20, 0, true },
		{ MOCK_BUFFERS + 21, 10, true },
	};
	struct net_rig r;
	uint32_t id, len;
	uint8_t *at;

	net_rig_start(&r, ALL, true);
	at = mock_at(r.m, MOCK_BUFFERS);
	at[0] = MAC;
	at[1] = 1;
	memcpy(at + 2, theirs, 6);
	memset(at + 20, 0x55, 12);
	assert_true(mock_add(&r.q[4], segs, 5, false) >= 0);
	vmm_virtio_net_run(r.net, 0);
	assert_int_equal(mock_get_used(&r.q[4], &id, &len), 0);
	assert_int_equal(len, 1);
	assert_int_equal(at[20], 0x55);
	assert_int_equal(at[21], 0);
	assert_int_equal(at[22], 0x55);
	assert_int_equal(config_read(&r, 4, 2), 0x700);
	net_rig_stop(&r);
}

static void save(struct net_rig *r, struct net_state *s)
{
	net_get_state(r->net, s);
}

/* Put a device into a state with something in each field. */
static void talk(struct net_rig *r)
{
	uint64_t csum = VMM_VIRTIO_NET_F_GUEST_CSUM;
	uint16_t vlan = 5, two = 2;
	uint8_t data[64];
	uint32_t n;

	assert_int_equal(rx_mode(r, 0, 0), OK);
	assert_int_equal(rx_mode(r, 1, 1), OK);
	assert_int_equal(rig_command(r, VLAN, 0, &vlan, 2), OK);
	assert_int_equal(rig_command(r, MQ, 0, &two, 2), OK);
	assert_int_equal(rig_command(r, OFFLOADS, 0, &csum, 8), OK);
	n = put_table(data, 2, theirs);
	n += put_table(data + n, 1, group);
	assert_int_equal(rig_command(r, MAC, 0, data, n), OK);
	assert_int_equal(
	    rig_command(r, MAC, 1, (const uint8_t[]){ 2, 4, 6, 8, 10, 12 }, 6), OK);
	assert_int_equal(vmm_virtio_net_announce(r->net, r->t), 0);
}

static void a_saved_device_goes_on_where_it_was(void **state)
{
	struct net_state a, b;
	struct net_rig from, to;

	net_rig_start(&from, ALL, true);
	talk(&from);
	assert_int_equal(vmm_virtio_net_set_link(from.net, from.t, false), 0);
	save(&from, &a);
	net_rig_start(&to, ALL, true);
	assert_int_equal(net_set_state(to.net, &a), -EBUSY);
	nwr(&to, 0x70, 0);
	assert_int_equal(net_set_state(to.net, &a), 0);
	assert_int_equal(rig_climb(&to, ALL), 0xf);
	save(&to, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(config_read(&to, 4, 2), 0xc0a);
	assert_int_equal(config_read(&to, 6, 2), 2);
	assert_int_equal(to.pairs, 2);
	assert_int_equal(to.offloads, VMM_VIRTIO_NET_F_GUEST_CSUM);
	assert_int_equal(vmm_virtio_net_set_link(to.net, to.t, true), 0);
	assert_true(passes(&to, theirs, 5));
	assert_false(passes(&to, theirs, 6));
	assert_false(passes(&to, (const uint8_t[]){ 2, 9, 9, 9, 9, 9 }, 0));
	/* Only once: the next driver starts anew. */
	assert_int_equal(rig_climb(&to, ALL), 0xf);
	assert_int_equal(config_read(&to, 4, 2), 0x100);
	net_rig_stop(&from);
	net_rig_stop(&to);
}

static void other_features_than_saved_fail_the_activation_once(void **state)
{
	struct net_state s;
	struct net_rig r;

	net_rig_start(&r, ALL, true);
	talk(&r);
	save(&r, &s);
	nwr(&r, 0x70, 0);
	assert_int_equal(net_set_state(r.net, &s), 0);
	assert_int_equal(rig_climb(&r, ALL & ~NF_STATUS), 0x4f);
	assert_int_equal(rig_climb(&r, ALL & ~NF_STATUS), 0xf);
	/* A state of a device that was not started is none. */
	nwr(&r, 0x70, 0);
	save(&r, &s);
	assert_int_equal(s.features, 0);
	assert_int_equal(net_set_state(r.net, &s), 0);
	assert_int_equal(rig_climb(&r, ALL), 0xf);
	net_rig_stop(&r);
}

/* HG-33 */
static void a_corrupt_state_is_refused(void **state)
{
	struct net_state good, s;
	struct net_rig r;

	net_rig_start(&r, ALL, true);
	talk(&r);
	save(&r, &good);
	nwr(&r, 0x70, 0);
	for (int i = 0; i < 17; i++) {
		s = good;
		switch (i) {
		case 0:
			s.version = 0;
			break;
		case 1:
			s.version = 2;
			break;
		case 2:
			s.pair_n = 0;
			break;
		case 3:
			s.pair_n = 3;
			break;
		case 4:
			s.features &= ~NF_MQ;
			break;
		case 5:
			s.status |= 4;
			break;
		case 6:
			s.features &= ~NF_ANNOUNCE;
			break;
		case 7:
			s.features |= NF(57);
			break;
		case 8:
			s.features &= ~VMM_VIRTIO_F_VERSION_1;
			break;
		case 9:
			s.offloads |= VMM_VIRTIO_NET_F_GUEST_TSO6;
			break;
		case 10:
			s.offloads |= NF_MRG;
			break;
		case 11:
			s.rx_mode = 64;
			break;
		case 12:
			s.uni_overflow = 2;
			break;
		case 13:
			s.multi_overflow = 255;
			break;
		case 14:
			s.uni_n = 65;
			break;
		case 15:
			s.uni_n = 64;
			s.multi_n = 1;
			break;
		default:
			s.features = 0;
			break;
		}
		assert_int_equal(net_set_state(r.net, &s), -EBADMSG);
	}
	assert_int_equal(rig_climb(&r, ALL), 0xf);
	save(&r, &s);
	assert_int_equal(s.rx_mode, NET_RX_PROMISC);
	net_rig_stop(&r);
}

static void an_older_caller_gets_as_much_as_it_has_room_for(void **state)
{
	struct vmm_virtio_net_stats stats;
	struct net_rig r;

	net_rig_start(&r, ALL, true);
	rig_transmit(&r, 0, NULL, 60);
	memset(&stats, 0x55, sizeof(stats));
	stats.size = offsetof(struct vmm_virtio_net_stats, tx_bytes);
	vmm_virtio_net_get_stats(r.net, &stats);
	assert_int_equal(stats.tx_frames, 1);
	assert_int_equal(stats.tx_bytes, UINT64_C(0x5555555555555555));
	net_rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receive_modes_say_what_passes),
		cmocka_unit_test(what_was_not_negotiated_is_refused),
		cmocka_unit_test(address_tables_are_checked),
		cmocka_unit_test(the_address_can_be_changed),
		cmocka_unit_test(vlans_are_let_through_one_by_one),
		cmocka_unit_test(an_announcement_is_asked_for_and_acknowledged),
		cmocka_unit_test(pairs_are_used_as_the_driver_chooses),
		cmocka_unit_test(offloads_are_switched_while_the_device_runs),
		cmocka_unit_test(malformed_commands_do_not_stop_the_queue),
		cmocka_unit_test(a_command_may_be_cut_anywhere),
		cmocka_unit_test(a_saved_device_goes_on_where_it_was),
		cmocka_unit_test(other_features_than_saved_fail_the_activation_once),
		cmocka_unit_test(a_corrupt_state_is_refused),
		cmocka_unit_test(an_older_caller_gets_as_much_as_it_has_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio-test.h"

#define V1 VMM_VIRTIO_F_VERSION_1
#define BIT(n) (UINT64_C(1) << (n))

static int check(uint32_t id, uint64_t accepted, struct vmm_error *err)
{
	const uint64_t offered[2] = { UINT64_MAX & ~VMM_VIRTIO_F_ACCESS_PLATFORM, 0 };
	const uint64_t want[2] = { accepted | V1, 0 };

	return vmm_virtio_check_features(id, offered, want, err);
}

static void only_offered_features_are_accepted(void **state)
{
	for (unsigned int bit = 0; bit < 128; bit++) {
		uint64_t offered[2] = { V1, 0 }, accepted[2] = { V1, 0 };
		struct vmm_error err = { 0 };

		accepted[bit / 64] |= BIT(bit % 64);
		assert_int_equal(vmm_virtio_check_features(2, offered, accepted, &err),
				 bit == 32 ? 0 : -EBADMSG);
		assert_int_equal(err.where, bit == 32 ? 0 : bit);
		offered[bit / 64] |= BIT(bit % 64);
		assert_int_equal(vmm_virtio_check_features(2, offered, accepted, NULL),
				 0);
	}
}

static void version_1_and_access_platform_are_musts(void **state)
{
	static const uint64_t with[2] = { V1 | VMM_VIRTIO_F_ACCESS_PLATFORM, 0 };
	static const uint64_t none[2] = { 0, 0 }, plain[2] = { V1, 0 };

	assert_int_equal(vmm_virtio_check_features(2, plain, none, NULL), -EBADMSG);
	assert_int_equal(vmm_virtio_check_features(2, with, plain, NULL), -EBADMSG);
	assert_int_equal(vmm_virtio_check_features(2, with, with, NULL), 0);
}

/* Ring features combine freely. */
static void ring_features_need_nothing(void **state)
{
	static const uint64_t ring[] = { EV, IND, PACKED, IN_ORDER };

	for (uint32_t mask = 0; mask < 16; mask++) {
		uint64_t features = 0;

		for (uint32_t i = 0; i < 4; i++)
			features |= mask & 1u << i ? ring[i] : 0;
		for (uint32_t id = 1; id < 30; id++)
			assert_int_equal(check(id, features, NULL), 0);
	}
}

static void net_features_need_each_other(void **state)
{
	static const struct {
		unsigned int feature, needs;
	} rules[] = {
		{ 7, 1 },   { 8, 1 },	{ 10, 1 },  { 54, 1 },	{ 55, 1 },
		{ 11, 0 },  { 12, 0 },	{ 14, 0 },  { 56, 0 },	{ 18, 17 },
		{ 19, 17 }, { 20, 17 }, { 21, 17 }, { 22, 17 }, { 23, 17 },
		{ 60, 17 }, { 53, 17 }, { 52, 17 }, { 2, 17 },	{ 57, 17 },
	};
	struct vmm_error err = { 0 };

	for (size_t i = 0; i < VMM_ARRAY_LEN(rules); i++) {
		uint64_t alone = BIT(rules[i].feature),
			 both = alone | BIT(rules[i].needs);

		assert_int_equal(check(VMM_VIRTIO_ID_NET, alone, &err), -EBADMSG);
		assert_int_equal(err.where, rules[i].feature);
		assert_int_equal(check(VMM_VIRTIO_ID_NET, both, NULL), 0);
		/* These are rules of net devices only. */
		assert_int_equal(check(VMM_VIRTIO_ID_BLK, alone, NULL), 0);
	}
}

static void net_features_that_need_one_of_several(void **state)
{
	static const struct {
		uint64_t features;
		int want;
	} cases[] = {
		{ BIT(9), -EBADMSG },
		{ BIT(9) | BIT(1) | BIT(7), 0 },
		{ BIT(9) | BIT(1) | BIT(8), 0 },
		{ BIT(13), -EBADMSG },
		{ BIT(13) | BIT(0) | BIT(11), 0 },
		{ BIT(13) | BIT(0) | BIT(12), 0 },
		{ BIT(61), -EBADMSG },
		{ BIT(61) | BIT(0) | BIT(12), 0 },
		{ BIT(51) | BIT(17), -EBADMSG },
		{ BIT(51) | BIT(17) | BIT(57), 0 },
		{ BIT(51) | BIT(17) | BIT(60), 0 },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++)
		assert_int_equal(check(VMM_VIRTIO_ID_NET, cases[i].features, NULL),
				 cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_offered_features_are_accepted),
		cmocka_unit_test(version_1_and_access_platform_are_musts),
		cmocka_unit_test(ring_features_need_nothing),
		cmocka_unit_test(net_features_need_each_other),
		cmocka_unit_test(net_features_that_need_one_of_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

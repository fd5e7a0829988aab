/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What is a state and what is not; no kernel takes part. */
#include "vmm-test.h"

#include <errno.h>

#include "states.h"

static uint8_t bytes[SAMPLE_MAX + 64];

static void put32(size_t at, uint32_t value)
{
	memcpy(bytes + at, &value, sizeof(value));
}

static void put64(size_t at, uint64_t value)
{
	memcpy(bytes + at, &value, sizeof(value));
}

/* Parses, and says where it found something. The copy ends where the input does, so that
 * a sanitizer sees what reads on. */
static int parse(size_t len, uint64_t *where)
{
	struct vmm_kvm_state *state = NULL;
	struct vmm_error err = { 0 };
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int ret;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	ret = vmm_kvm_state_parse(copy, len, &state, &err);
	free(copy);
	if (ret < 0) {
		assert_null(state);
		assert_int_equal(err.code, ret);
		assert_int_not_equal(err.message[0], '\0');
	}
	if (where)
		*where = err.where;
	vmm_kvm_state_free(state);
	return ret;
}

static void good_states_say_what_they_are(void **state)
{
	for (unsigned int i = 0; i < SAMPLES; i++) {
		struct vmm_kvm_state_info info = VMM_KVM_STATE_INFO_INIT;
		struct vmm_kvm_state *s = sample(i);
		size_t len, n;
		const uint8_t *data = vmm_kvm_state_get_data(s, &len);

		assert_int_equal(vmm_kvm_state_get_info(s, &info), 0);
		assert_int_equal(info.version, 1);
		assert_int_equal(info.size, sizeof(info));
		assert_in_range(info.kind, 1, 3);
		assert_in_range(info.arch, 1, 3);
		assert_int_equal(len % 8, 0);
		assert_memory_equal(data, "VMMKVMST", 8);
		assert_null(vmm_kvm_state_find(s, 0xffff, &n));
		assert_int_equal(n, 0);
		info.size = 0;
		assert_int_equal(vmm_kvm_state_get_info(s, &info), -EINVAL);
		vmm_kvm_state_free(s);
	}
	vmm_kvm_state_free(NULL);
}

static void sections_are_found(void **state)
{
	struct vmm_kvm_state *s = sample(0);
	struct vmm_kvm_state_info info = VMM_KVM_STATE_INFO_INIT;
	size_t len = 0;
	const uint64_t *khz = vmm_kvm_state_find(s, VMM_KVM_STATE_TSC_KHZ, &len);

	assert_int_equal(len, 8);
	assert_int_equal(*khz, 2000000);
	assert_non_null(vmm_kvm_state_find(s, VMM_KVM_STATE_EVENTS, &len));
	assert_int_equal(len, 64);
	assert_int_equal(vmm_kvm_state_get_info(s, &info), 0);
	assert_int_equal(info.sections, 13);
	vmm_kvm_state_free(s);
}

/* RUSTSEC-2024-0002, RUSTSEC-2023-0030: a declared length that is not the real one. */
static void a_length_that_lies_is_found_at_every_byte(void **state)
{
	for (unsigned int i = 0; i < SAMPLES; i++) {
		size_t len = sample_bytes(i, bytes);

		for (size_t n = 0; n < len; n++) {
			assert_int_equal(parse(n, NULL), -EBADMSG);
			/* Even if the head says so. */
			if (n < AT_FIRST)
				continue;
			put32(AT_LEN, (uint32_t)n);
			assert_int_equal(parse(n, NULL), -EBADMSG);
			put32(AT_LEN, (uint32_t)len);
		}
		assert_int_equal(parse(len, NULL), 0);
		memset(bytes + len, 0, 16);
		assert_int_equal(parse(len + 16, NULL), -EBADMSG);
		put32(AT_LEN, (uint32_t)len + 16);
		assert_int_equal(parse(len + 16, NULL), -EBADMSG);
	}
}

static void the_head_must_be_right(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
		int want;
	} cases[] = {
		{ 0, 0, -EBADMSG },
		{ AT_VERSION, 0, -EOPNOTSUPP },
		{ AT_VERSION, 2, -EOPNOTSUPP },
		{ AT_KIND, 0, -EBADMSG },
		{ AT_KIND, 4, -EBADMSG },
		{ AT_KIND, VMM_KVM_STATE_VM, -EBADMSG },
		{ AT_KIND, VMM_KVM_STATE_GIC, -EBADMSG },
		{ AT_ARCH, 0, -EBADMSG },
		{ AT_ARCH, 4, -EBADMSG },
		{ AT_ARCH, KVM_ARCH_AARCH64, -EBADMSG },
		{ AT_SECTIONS, 0, -EBADMSG },
		{ AT_SECTIONS, 12, -EBADMSG },
		{ AT_SECTIONS, UINT32_MAX, -EBADMSG },
		{ AT_LEN, 0, -EBADMSG },
		{ AT_LEN, UINT32_MAX, -EBADMSG },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		size_t len = sample_bytes(0, bytes);

		put32(cases[i].at, cases[i].value);
		assert_int_equal(parse(len, NULL), cases[i].want);
	}
	put32(AT_LEN, 0);
	assert_int_equal(parse(0, NULL), -EBADMSG);
	/* Only a vCPU has an id. */
	put32(AT_ID, 3);
	assert_int_equal(parse(sample_bytes(0, bytes), NULL), 0);
	for (unsigned int i = 3; i < SAMPLES; i++) {
		size_t len = sample_bytes(i, bytes);

		put32(AT_ID, 3);
		assert_int_equal(parse(len, NULL), -EBADMSG);
	}
}

static void lengths_of_sections_are_bounded(void **state)
{
	static const uint64_t lengths[] = {
		0, 1, 7, 9, 16, UINT32_MAX, UINT64_MAX - 15, UINT64_MAX - 7, UINT64_MAX
	};

	for (unsigned int i = 0; i < SAMPLES; i++)
		for (size_t j = 0; j < VMM_ARRAY_LEN(lengths); j++) {
			size_t len = sample_bytes(i, bytes);
			uint64_t first;

			memcpy(&first, bytes + AT_FIRST_LEN, sizeof(first));
			if (lengths[j] == first)
				continue;
			put64(AT_FIRST_LEN, lengths[j]);
			assert_int_equal(parse(len, NULL), -EBADMSG);
		}
}

static void sections_come_once_in_order_and_are_known(void **state)
{
	size_t len = sample_bytes(0, bytes), at;
	uint64_t where = 0;

	at = sample_offset(bytes, len, VMM_KVM_STATE_SREGS);
	put32(at, VMM_KVM_STATE_REGS);
	assert_int_equal(parse(len, &where), -EBADMSG);
	assert_int_equal(where, at);
	put32(at, 0x199);
	assert_int_equal(parse(len, NULL), -EBADMSG);
	/* Of another architecture, or of a machine. */
	put32(at, VMM_KVM_STATE_ARM64_INIT);
	assert_int_equal(parse(len, NULL), -EBADMSG);
	put32(at, VMM_KVM_STATE_PIT2);
	assert_int_equal(parse(len, NULL), -EBADMSG);
	put32(at, VMM_KVM_STATE_SREGS);
	put32(at + 4, 1);
	assert_int_equal(parse(len, NULL), -EBADMSG);
	put32(at + 4, 0);
	assert_int_equal(parse(len, NULL), 0);
}

/* Each spoils one word of a section: which state, which section, where, what. */
static void contents_are_looked_at(void **state)
{
	static const struct {
		unsigned int sample;
		uint32_t section;
		size_t at;
		uint32_t value;
	} cases[] = {
		{ 0, VMM_KVM_STATE_MP_STATE, 4, 1 },
		{ 0, VMM_KVM_STATE_XCRS, 0, 0 },
		{ 0, VMM_KVM_STATE_XCRS, 0, 17 },
		{ 0, VMM_KVM_STATE_TSC_KHZ, 4, 1 },
		{ 0, VMM_KVM_STATE_CPUID, 28, 1 },
		{ 0, VMM_KVM_STATE_CPUID, 76, 1 },
		{ 0, VMM_KVM_STATE_MSRS, 20, 1 },
		/* The kernel would copy as much as that. */
		{ 0, VMM_KVM_STATE_NESTED, 4, 0 },
		{ 0, VMM_KVM_STATE_NESTED, 4, 137 },
		{ 0, VMM_KVM_STATE_NESTED, 4, UINT32_MAX },
		/* A register of another architecture, of 512 bytes, of 16 in place of 8.
		 */
		{ 1, VMM_KVM_STATE_ONE_REGS, 4, 0x80300000 },
		{ 2, VMM_KVM_STATE_ONE_REGS, 4, 0x60300000 },
		{ 1, VMM_KVM_STATE_ONE_REGS, 4, 0x60900000 },
		{ 1, VMM_KVM_STATE_ONE_REGS, 4, 0x60f00000 },
		{ 1, VMM_KVM_STATE_ONE_REGS, 4, 0x60400000 },
		{ 1, VMM_KVM_STATE_ONE_REGS, 44, 0x60400000 },
		/* Not filled with zeros. */
		{ 1, VMM_KVM_STATE_ONE_REGS, 52, 1 },
		{ 3, VMM_KVM_STATE_PIC_MASTER, 0, 1 },
		{ 3, VMM_KVM_STATE_PIC_SLAVE, 0, 2 },
		{ 3, VMM_KVM_STATE_IOAPIC, 0, 0 },
		{ 6, VMM_KVM_STATE_GIC_INFO, 0, 2 },
		{ 6, VMM_KVM_STATE_GIC_INFO, 4, 32 },
		{ 6, VMM_KVM_STATE_GIC_INFO, 4, 97 },
		{ 6, VMM_KVM_STATE_GIC_INFO, 4, 1056 },
		{ 6, VMM_KVM_STATE_GIC_REGS, 4, 0 },
		{ 6, VMM_KVM_STATE_GIC_REGS, 4, 16 },
		{ 6, VMM_KVM_STATE_GIC_REGS, 20, 1 },
		{ 6, VMM_KVM_STATE_GIC_REGS, 0, 4 },
		{ 6, VMM_KVM_STATE_GIC_REGS, 0, 8 },
		{ 6, VMM_KVM_STATE_GIC_REGS, 24, 1 },
		{ 6, VMM_KVM_STATE_ITS_REGS, 0, 1 },
		{ 6, VMM_KVM_STATE_ITS_REGS, 4, 5 },
	};

	for (size_t i = 0; i < VMM_ARRAY_LEN(cases); i++) {
		size_t len = sample_bytes(cases[i].sample, bytes);

		put32(sample_offset(bytes, len, cases[i].section) + 16 + cases[i].at,
		      cases[i].value);
		if (parse(len, NULL) != -EBADMSG)
			fail_msg("case %zu", i);
	}
}

/* Without each section in turn: some may be absent, the others are missed. */
static void what_must_be_there_is_missed(void **state)
{
	static const uint32_t optional[] = {
		VMM_KVM_STATE_MP_STATE,	 VMM_KVM_STATE_ROUTES,
		VMM_KVM_STATE_SREGS2,	 VMM_KVM_STATE_XCRS,
		VMM_KVM_STATE_LAPIC,	 VMM_KVM_STATE_TSC_KHZ,
		VMM_KVM_STATE_NESTED,	 VMM_KVM_STATE_PIC_MASTER,
		VMM_KVM_STATE_PIC_SLAVE, VMM_KVM_STATE_IOAPIC,
		VMM_KVM_STATE_PIT2,	 VMM_KVM_STATE_ARM64_EVENTS,
		VMM_KVM_STATE_ITS_REGS,
	};

	for (unsigned int i = 0; i < SAMPLES; i++) {
		size_t len = sample_bytes(i, bytes), at = AT_FIRST;

		while (at < len) {
			uint32_t type, sections;
			uint64_t n;
			size_t whole, left;
			int want = -EBADMSG;

			memcpy(&type, bytes + at, 4);
			memcpy(&n, bytes + at + 8, 8);
			whole = 16 + (((size_t)n + 7) & ~(size_t)7);
			left = len - whole;
			memcpy(&sections, bytes + AT_SECTIONS, 4);
			memmove(bytes + at, bytes + at + whole, left - at);
			put32(AT_SECTIONS, sections - 1);
			put32(AT_LEN, (uint32_t)left);
			for (size_t j = 0; j < VMM_ARRAY_LEN(optional); j++)
				if (optional[j] == type)
					want = 0;
			assert_int_equal(parse(left, NULL), want);
			(void)sample_bytes(i, bytes);
			at += whole;
		}
	}
}

static void too_much_is_refused_before_it_is_read(void **state)
{
	struct vmm_kvm_state *s = NULL;
	size_t len = VMM_KVM_STATE_MAX + 1;
	uint8_t *big = calloc(1, len);

	assert_non_null(big);
	assert_int_equal(vmm_kvm_state_parse(big, len, &s, NULL), -E2BIG);
	assert_int_equal(vmm_kvm_state_parse(big, len - 1, &s, NULL), -EBADMSG);
	free(big);
}

static void a_builder_stops_at_the_same_limit(void **state)
{
	struct kvm_state_builder b;
	void *p;

	assert_int_equal(kvm_state_begin(&b, VMM_KVM_STATE_VM, 2, 0), 0);
	assert_int_equal(kvm_state_place(&b, 1, SIZE_MAX, &p), -E2BIG);
	assert_int_equal(kvm_state_place(&b, 1, VMM_KVM_STATE_MAX, &p), -E2BIG);
	assert_int_equal(kvm_state_place(&b, 1, VMM_KVM_STATE_MAX - 48, &p), 0);
	assert_int_equal(kvm_state_add(&b, 2, NULL, 0), -E2BIG);
	kvm_state_abandon(&b);
}

/* What is good or bad is not chance: any change of one byte is either refused or makes
 * another good state, whose bytes are what was given. */
static void any_byte_may_change(void **state)
{
	struct vmm_test_rng rng = vmm_test_rng();

	for (int round = 0; round < 20000; round++) {
		unsigned int which = vmm_test_below(&rng, SAMPLES);
		size_t len = sample_bytes(which, bytes), n;
		struct vmm_kvm_state *s = NULL;

		for (uint32_t i = 1 + vmm_test_below(&rng, 3); i > 0; i--)
			bytes[vmm_test_below(&rng, 2)
				  ? vmm_test_below(&rng, (uint32_t)len)
				  : vmm_test_below(&rng, 64)] =
			    (uint8_t)vmm_test_below(&rng, 256);
		if (vmm_kvm_state_parse(bytes, len, &s, NULL) < 0) {
			assert_null(s);
			continue;
		}
		assert_memory_equal(vmm_kvm_state_get_data(s, &n), bytes, len);
		assert_int_equal(n, len);
		vmm_kvm_state_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_states_say_what_they_are),
		cmocka_unit_test(sections_are_found),
		cmocka_unit_test(a_length_that_lies_is_found_at_every_byte),
		cmocka_unit_test(the_head_must_be_right),
		cmocka_unit_test(lengths_of_sections_are_bounded),
		cmocka_unit_test(sections_come_once_in_order_and_are_known),
		cmocka_unit_test(contents_are_looked_at),
		cmocka_unit_test(what_must_be_there_is_missed),
		cmocka_unit_test(too_much_is_refused_before_it_is_read),
		cmocka_unit_test(a_builder_stops_at_the_same_limit),
		cmocka_unit_test(any_byte_may_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

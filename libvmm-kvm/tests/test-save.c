/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What saving and restoring asks of a kernel, in which order, and what happens when it
 * refuses. */
#include "fake-kvm.h"

#include "compat.h"
#include "states.h"

#define STATE_CLEANUP VMM_CLEANUP(vmm_kvm_state_free) struct vmm_kvm_state

static struct fake_machine machine_of(uint32_t arch)
{
	fake_sys.arch = arch;
	return fake_machine();
}

/* Registers of a vCPU that has a list of them: three, the last of which is fixed. */
static uint64_t ids[3];
static uint64_t values[3][8];
static unsigned int sets, inits, finalized_after;
static uint32_t init_words[8];
static bool has_events;
static uint64_t seen_mp;
static uint64_t nregs = 3;

static int find_reg(uint64_t id)
{
	for (int i = 0; i < 3; i++)
		if (ids[i] == id)
			return i;
	return -ENOENT;
}

static int answer_one_reg(bool set, const struct kvm_one_reg *reg)
{
	void *place = (void *)(uintptr_t)reg->addr;
	int i = find_reg(reg->id);

	if (i < 0)
		return i;
	sets += set;
	if (set && i == 2)
		return -EINVAL;
	if (set)
		memcpy(values[i], place, vmm_kvm_reg_size(reg->id));
	else
		memcpy(place, values[i], vmm_kvm_reg_size(reg->id));
	return 0;
}

static int answer_regs(int fd, unsigned long request, void *arg)
{
	struct kvm_reg_list *list = arg;

	switch (request) {
	case KVM_CHECK_EXTENSION:
		return (uintptr_t)arg == KVM_COMPAT_CAP_VCPU_EVENTS && has_events;
	case KVM_GET_REG_LIST:
		list->n = nregs;
		memcpy(list->reg, ids, sizeof(ids));
		return 0;
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return answer_one_reg(request == KVM_SET_ONE_REG, arg);
	case KVM_COMPAT_ARM64_VCPU_INIT:
		memcpy(init_words, arg, sizeof(init_words));
		inits++;
		return 0;
	case KVM_COMPAT_ARM64_FINALIZE:
		finalized_after = sets;
		return 0;
	case KVM_GET_MP_STATE:
		((struct kvm_mp_state *)arg)->mp_state = 5;
		return 0;
	case KVM_SET_MP_STATE:
		seen_mp = ((struct kvm_mp_state *)arg)->mp_state;
		return 0;
	default:
		return -ENOSYS;
	}
}

static void three_regs(uint64_t family)
{
	for (uint64_t i = 0; i < 3; i++) {
		ids[i] = family << 60 | (i == 1 ? UINT64_C(4) : UINT64_C(3)) << 52 | i;
		values[i][0] = 100 + i;
		values[i][1] = 200 + i;
	}
	sets = inits = finalized_after = 0;
	has_events = true;
}

static void riscv_registers_travel(void **state)
{
	FAKE_MACHINE m = machine_of(KVM_ARCH_RISCV64);
	STATE_CLEANUP *s = NULL;
	size_t len = 0;

	three_regs(8);
	fake.answer = answer_regs;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), 0);
	assert_null(vmm_kvm_state_find(s, VMM_KVM_STATE_ARM64_INIT, &len));
	assert_non_null(vmm_kvm_state_find(s, VMM_KVM_STATE_ONE_REGS, &len));
	assert_int_equal(len, 8 + 8 + 8 + 16 + 8 + 8);
	memset(values, 0, 2 * sizeof(values[0]));
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), 0);
	assert_int_equal(values[0][0], 100);
	assert_int_equal(values[1][1], 201);
	assert_int_equal(seen_mp, 5);
	assert_int_equal(inits, 0);
	/* The one that is not to be written must be the same. */
	values[2][0]++;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), -ENXIO);
	/* A register that is not there at all. */
	values[2][0]--;
	ids[0]++;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), -ENXIO);
}

static void an_arm64_vcpu_is_made_as_it_was(void **state)
{
	FAKE_MACHINE m = machine_of(KVM_ARCH_AARCH64);
	STATE_CLEANUP *s = NULL, *without = NULL;
	size_t len = 0;

	three_regs(6);
	ids[1] = KVM_COMPAT_ARM64_SVE_VLS & ~UINT64_C(0x00f0000000000000);
	ids[1] |= UINT64_C(4) << 52;
	fake.answer = answer_regs;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), -ENOEXEC);
	assert_null(s);
	m.vcpu->arm64_has_init = true;
	m.vcpu->arm64_init[0] = 5;
	m.vcpu->arm64_init[1] = 1u << KVM_COMPAT_ARM64_POWER_OFF | 1u << 2;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), 0);
	assert_non_null(vmm_kvm_state_find(s, VMM_KVM_STATE_ARM64_EVENTS, &len));
	has_events = false;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &without, NULL), 0);
	assert_null(vmm_kvm_state_find(without, VMM_KVM_STATE_ARM64_EVENTS, &len));

	m.vcpu->arm64_has_init = false;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), 0);
	assert_int_equal(inits, 1);
	assert_int_equal(init_words[0], 5);
	assert_int_equal(init_words[1], 1u << 2);
	assert_true(m.vcpu->arm64_has_init);
	assert_int_equal(finalized_after, 0);
	assert_int_equal(sets, 3);
}

/* With vectors: their lengths are set before they are final, everything else after. */
static void vector_lengths_come_first(void **state)
{
	FAKE_MACHINE m = machine_of(KVM_ARCH_AARCH64);
	struct kvm_state_builder b;
	STATE_CLEANUP *s = NULL;
	const uint32_t init[8] = { 5, 1u << KVM_COMPAT_ARM64_SVE };
	uint64_t regs[2 + 9] = { UINT64_C(6) << 60 | UINT64_C(3) << 52, 7,
				 KVM_COMPAT_ARM64_SVE_VLS, 3 };

	three_regs(6);
	ids[1] = KVM_COMPAT_ARM64_SVE_VLS;
	fake.answer = answer_regs;
	assert_int_equal(kvm_state_begin(&b, VMM_KVM_STATE_VCPU, KVM_ARCH_AARCH64, 0), 0);
	assert_int_equal(kvm_state_add(&b, VMM_KVM_STATE_ONE_REGS, regs, sizeof(regs)),
			 0);
	assert_int_equal(kvm_state_add(&b, VMM_KVM_STATE_ARM64_INIT, init, sizeof(init)),
			 0);
	assert_int_equal(kvm_state_finish(&b, &s, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), 0);
	assert_int_equal(finalized_after, 1);
	assert_int_equal(sets, 2);
	assert_int_equal(values[0][0], 7);
	assert_int_equal(values[1][0], 3);
	/* Each call of this may fail, too. */
	for (unsigned int n = 1; n <= 3; n++) {
		fake.fail_at = fake.calls + n;
		values[1][0] = 0;
		assert_true(vmm_kvm_vcpu_restore(m.vcpu, s, NULL) < 0);
	}
}

static void a_kernel_that_lies_about_registers_makes_no_state(void **state)
{
	FAKE_MACHINE m = machine_of(KVM_ARCH_RISCV64);
	STATE_CLEANUP *s = NULL;

	/* Ids of another architecture. */
	three_regs(6);
	fake.answer = answer_regs;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), -EBADMSG);
	assert_null(s);
	/* None at all. */
	three_regs(8);
	nregs = 0;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), -EBADMSG);
	nregs = 3;
	fake_sys.arch = 0;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), -EBADMSG);
	assert_null(s);
}

/* Every call fails once, for saving and for restoring. */
static void list_kernels_may_refuse_each_call(void **state)
{
	for (uint32_t arch = KVM_ARCH_AARCH64; arch <= KVM_ARCH_RISCV64; arch++) {
		FAKE_MACHINE m = machine_of(arch);
		STATE_CLEANUP *s = NULL;
		struct vmm_error err = { 0 };
		int ret = -EIO;
		unsigned int n = 0;

		three_regs(arch == KVM_ARCH_AARCH64 ? 6 : 8);
		m.vcpu->arm64_has_init = true;
		fake.answer = answer_regs;
		while (ret < 0) {
			fake.fail_at = fake.calls + ++n;
			ret = vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, &err);
			assert_true(ret == 0 || ret == -EIO);
			assert_true(n < 40);
			/* Whether there are events cannot be told then. */
			if (ret < 0)
				assert_non_null(strstr(err.message, "cannot "));
		}
		assert_true(n > 5);
		ret = -EIO;
		for (n = 0; ret < 0; n++) {
			fake.fail_at = fake.calls + n + 1;
			ret = vmm_kvm_vcpu_restore(m.vcpu, s, &err);
			/* A register whose value is there already needs no write; one of
			 * which that cannot be told does. */
			assert_true(ret == 0 || ret == -EIO || ret == -ENXIO);
			if (ret == 0 && fake.fail_at > fake.calls)
				break;
			ret = -EIO;
			assert_true(n < 40);
		}
	}
}

#if defined(__x86_64__)
#include <vmm/kvm-x86.h>

static unsigned long asked[2048];
static size_t asked_count;
static uint32_t khz_of_host;
static int xsave_size, nested_size;
static uint64_t msr_data[3];
static uint32_t refused_msr;
static uint32_t last_written;
static bool has_chips, has_sregs2;

static int msr_slot(uint32_t index)
{
	return index == 0x10 ? 0 : index == 0x174 ? 1 : index == 0x6e0 ? 2 : -1;
}

static int answer_msrs(bool set, struct kvm_msrs *msrs)
{
	for (uint32_t i = 0; i < msrs->nmsrs; i++) {
		int at = msr_slot(msrs->entries[i].index);

		if (at < 0 || (set && msrs->entries[i].index == refused_msr))
			return (int)i;
		if (set) {
			msr_data[at] = msrs->entries[i].data;
			last_written = msrs->entries[i].index;
		} else {
			msrs->entries[i].data = msr_data[at];
		}
	}
	return (int)msrs->nmsrs;
}

static int answer_cap(uintptr_t cap)
{
	switch (cap) {
	case KVM_CAP_XSAVE2:
		return xsave_size;
	case KVM_CAP_NESTED_STATE:
		return nested_size;
	case KVM_CAP_SREGS2:
		return has_sregs2;
	default:
		return 0;
	}
}

static int answer_list(struct kvm_msr_list *list)
{
	if (list->nmsrs < 2)
		return -E2BIG;
	list->nmsrs = 2;
	list->indices[0] = 0x174;
	list->indices[1] = 0x10;
	return 0;
}

static int answer_x86(int fd, unsigned long request, void *arg)
{
	struct kvm_nested_state *nested = arg;
	struct kvm_irqchip *chip = arg;

	if (request != KVM_CHECK_EXTENSION)
		asked[asked_count++ % VMM_ARRAY_LEN(asked)] = request;
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return answer_cap((uintptr_t)arg);
	case KVM_GET_MSR_INDEX_LIST:
		return answer_list(arg);
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return answer_msrs(request == KVM_SET_MSRS, arg);
	case KVM_GET_TSC_KHZ:
		return khz_of_host ? (int)khz_of_host : -EIO;
	case KVM_GET_CPUID2:
		((struct kvm_cpuid2 *)arg)->nent = 1;
		return 0;
	case KVM_GET_NESTED_STATE:
		nested->size = STATE_NESTED_HEAD + 8;
		return 0;
	case KVM_GET_XCRS:
		((struct kvm_xcrs *)arg)->nr_xcrs = 1;
		return 0;
	case KVM_GET_LAPIC:
		return has_chips ? 0 : -EINVAL;
	case KVM_GET_PIT2:
		return has_chips ? 0 : -ENXIO;
	case KVM_GET_IRQCHIP:
		memset(&chip->chip, (int)chip->chip_id, sizeof(chip->chip));
		return has_chips ? 0 : -ENXIO;
	default:
		return -ENOSYS;
	}
}

static struct fake_machine x86_machine(void)
{
	struct fake_machine m = machine_of(KVM_ARCH_X86_64);

	fake.answer = answer_x86;
	asked_count = 0;
	khz_of_host = 2000000;
	xsave_size = 4096;
	nested_size = 4096;
	msr_data[0] = 1000;
	msr_data[1] = 7;
	msr_data[2] = 0;
	refused_msr = 0;
	has_chips = has_sregs2 = true;
	return m;
}

static size_t position(unsigned long request)
{
	for (size_t i = 0; i < asked_count; i++)
		if (asked[i] == request)
			return i;
	fail_msg("%#lx was not asked", request);
	return 0;
}

static void x86_state_goes_back_in_the_right_order(void **state)
{
	static const unsigned long order[] = {
		KVM_SET_CPUID2,	      KVM_SET_MP_STATE,	   KVM_SET_REGS,
		KVM_SET_SREGS2,	      KVM_SET_XSAVE,	   KVM_SET_XCRS,
		KVM_SET_DEBUGREGS,    KVM_SET_LAPIC,	   KVM_SET_MSRS,
		KVM_SET_NESTED_STATE, KVM_SET_VCPU_EVENTS, KVM_KVMCLOCK_CTRL,
	};
	FAKE_MACHINE m = x86_machine();
	STATE_CLEANUP *s = NULL;

	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), 0);
	assert_true(position(KVM_GET_MP_STATE) < position(KVM_GET_REGS));
	assert_true(position(KVM_GET_MP_STATE) < position(KVM_GET_LAPIC));
	assert_true(position(KVM_GET_CPUID2) < position(KVM_GET_MSRS));
	assert_int_equal(asked[asked_count - 1], KVM_GET_VCPU_EVENTS);
	asked_count = 0;
	msr_data[0] = 0;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), 0);
	for (size_t i = 1; i < VMM_ARRAY_LEN(order); i++)
		assert_true(position(order[i - 1]) < position(order[i]));
	assert_int_equal(asked[asked_count - 1], KVM_KVMCLOCK_CTRL);
	/* The timer had fired: it fires again, now. */
	assert_int_equal(last_written, 0x6e0);
	assert_int_equal(msr_data[0], 1000);
	assert_int_equal(msr_data[2], 1000);
	msr_data[2] = 0;
	/* A deadline that is still to come stays. */
	vmm_kvm_state_free(s);
	msr_data[2] = 5000;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), 0);
	msr_data[2] = 0;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), 0);
	assert_int_equal(msr_data[2], 5000);
}

static void msrs_are_those_that_are_there(void **state)
{
	FAKE_MACHINE m = x86_machine();
	STATE_CLEANUP *s = NULL;
	const struct kvm_msr_entry *msrs;
	struct vmm_error err = { 0 };
	size_t len;

	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), 0);
	msrs = vmm_kvm_state_find(s, VMM_KVM_STATE_MSRS, &len);
	assert_int_equal(len, 3 * sizeof(*msrs));
	assert_int_equal(msrs[0].index, 0x10);
	assert_int_equal(msrs[1].index, 0x174);
	assert_int_equal(msrs[2].index, 0x6e0);
	/* A refused write is no loss when the value is there. */
	refused_msr = 0x174;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), 0);
	msr_data[1] = 8;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, &err), -ENXIO);
	assert_int_equal(err.where, 0x174);
	assert_int_equal(err.wanted, 7);
	refused_msr = 0;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), 0);
	assert_int_equal(msr_data[1], 7);
}

static void hosts_differ(void **state)
{
	FAKE_MACHINE m = x86_machine();
	STATE_CLEANUP *large = NULL, *s = NULL, *spoilt = NULL;
	uint8_t bytes[SAMPLE_MAX];
	const void *data;
	size_t len, at;

	/* An area that is larger there, with nothing in it or with something. */
	xsave_size = 4096 + 64;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &large, NULL), 0);
	xsave_size = 0;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, large, NULL), 0);
	data = vmm_kvm_state_get_data(large, &len);
	assert_true(len < sizeof(bytes));
	memcpy(bytes, data, len);
	at = sample_offset(bytes, len, VMM_KVM_STATE_XSAVE);
	bytes[at + 16 + 4096 + 63] = 1;
	assert_int_equal(vmm_kvm_state_parse(bytes, len, &spoilt, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, spoilt, NULL), -EOPNOTSUPP);
	/* One that is smaller there. */
	xsave_size = 4096;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), 0);
	xsave_size = 8192;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), 0);

	/* The frequency: near enough, another one, one that is not known. */
	for (int i = 0; i < 3; i++) {
		static const uint32_t khz[] = { 2000400, 2001000, 0 };

		khz_of_host = khz[i];
		asked_count = 0;
		assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), 0);
		if (i > 0)
			assert_true(position(KVM_SET_TSC_KHZ) < position(KVM_SET_MSRS));
	}
	/* A guest with guests, on a host that has none. */
	nested_size = 0;
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), -EOPNOTSUPP);
	/* Older kernels. */
	vmm_kvm_state_free(s);
	has_sregs2 = has_chips = false;
	khz_of_host = 0;
	assert_int_equal(vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, NULL), 0);
	assert_null(vmm_kvm_state_find(s, VMM_KVM_STATE_SREGS2, &len));
	assert_null(vmm_kvm_state_find(s, VMM_KVM_STATE_LAPIC, &len));
	assert_null(vmm_kvm_state_find(s, VMM_KVM_STATE_TSC_KHZ, &len));
	assert_null(vmm_kvm_state_find(s, VMM_KVM_STATE_NESTED, &len));
	assert_int_equal(vmm_kvm_vcpu_restore(m.vcpu, s, NULL), 0);
}

static void each_call_of_an_x86_vcpu_may_fail(void **state)
{
	FAKE_MACHINE m = x86_machine();
	STATE_CLEANUP *s = NULL;
	struct vmm_error err = { 0 };
	unsigned int n = 0, failures = 0;
	int ret;

	do {
		vmm_kvm_state_free(s);
		s = NULL;
		fake.fail_at = fake.calls + ++n;
		ret = vmm_kvm_vcpu_save(m.vcpu, m.kvm, &s, &err);
		/* A capability that cannot be asked for is none. */
		assert_true(ret == 0 || ret == -EIO || ret == -EOPNOTSUPP);
		assert_int_equal(ret == 0, s != NULL);
		if (ret < 0)
			assert_non_null(strstr(err.message, "cannot "));
		failures += ret < 0;
		assert_true(n < 2000);
	} while (fake.fail_at <= fake.calls);
	assert_true(failures > 10);
	failures = 0;
	n = 0;
	do {
		fake.fail_at = fake.calls + ++n;
		ret = vmm_kvm_vcpu_restore(m.vcpu, s, &err);
		if (ret != 0 && ret != -EIO && ret != -EOPNOTSUPP)
			fail_msg("call %u: %d %s", n, ret, err.message);
		failures += ret < 0;
		assert_true(n < 200);
	} while (fake.fail_at <= fake.calls);
	assert_true(failures > 10);
}

static void each_call_of_an_x86_machine_may_fail(void **state)
{
	FAKE_MACHINE m = x86_machine();
	STATE_CLEANUP *s = NULL;
	struct vmm_error err = { 0 };
	unsigned int n = 0;
	int ret = -EIO;
	size_t len;

	while (ret < 0) {
		fake.fail_at = fake.calls + ++n;
		ret = vmm_kvm_vm_save(m.vm, NULL, &s, &err);
		assert_true(ret == 0 || ret == -EIO);
	}
	assert_int_equal(n, 6);
	assert_non_null(vmm_kvm_state_find(s, VMM_KVM_STATE_IOAPIC, &len));
	ret = -EIO;
	for (n = 0; ret < 0; n++) {
		fake.fail_at = fake.calls + n + 1;
		ret = vmm_kvm_vm_restore(m.vm, s, NULL, &err);
		assert_true(ret == 0 || ret == -EIO);
	}
	assert_int_equal(n, 6);
	fake.fail_at = 0;
	has_chips = false;
	vmm_kvm_state_free(s);
	assert_int_equal(vmm_kvm_vm_save(m.vm, NULL, &s, NULL), 0);
	assert_null(vmm_kvm_state_find(s, VMM_KVM_STATE_IOAPIC, &len));
	assert_null(vmm_kvm_state_find(s, VMM_KVM_STATE_PIT2, &len));
}

static uint32_t clock_flags;

static int answer_clock(int fd, unsigned long request, void *arg)
{
	struct kvm_clock_data *clock = arg;

	if (request == KVM_GET_CLOCK)
		clock->flags = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC | 2;
	if (request == KVM_SET_CLOCK)
		clock_flags = clock->flags;
	return request == KVM_GET_CLOCK || request == KVM_SET_CLOCK ? 0 : -ENOSYS;
}

static void the_clock_jumps_only_if_told_to(void **state)
{
	FAKE_MACHINE m = x86_machine();
	STATE_CLEANUP *s = NULL;
	struct vmm_kvm_restore_opts opts = VMM_KVM_RESTORE_OPTS_INIT;

	fake.answer = answer_clock;
	assert_int_equal(vmm_kvm_vm_save(m.vm, NULL, &s, NULL), 0);
	clock_flags = 99;
	assert_int_equal(vmm_kvm_vm_restore(m.vm, s, NULL, NULL), 0);
	assert_int_equal(clock_flags, 0);
	opts.flags = VMM_KVM_RESTORE_REALTIME;
	assert_int_equal(vmm_kvm_vm_restore(m.vm, s, &opts, NULL), 0);
	assert_int_equal(clock_flags, KVM_CLOCK_REALTIME);
	opts.flags = 2;
	assert_int_equal(vmm_kvm_vm_restore(m.vm, s, &opts, NULL), -EINVAL);
	opts.flags = 0;
	opts.reserved_ = 1;
	assert_int_equal(vmm_kvm_vm_restore(m.vm, s, &opts, NULL), -EINVAL);
	opts.size = 1;
	assert_int_equal(vmm_kvm_vm_restore(m.vm, s, &opts, NULL), -EINVAL);
}
#endif

static int refuse_routes(int fd, unsigned long request, void *arg)
{
	return request == KVM_SET_GSI_ROUTING ? -EINVAL : -ENOSYS;
}

static void routes_replace_what_was_there(void **state)
{
	FAKE_MACHINE m = machine_of(KVM_ARCH_AARCH64);
	STATE_CLEANUP *s = NULL, *bad = NULL;
	VMM_CLEANUP(vmm_kvm_routes_free) struct vmm_kvm_routes *a = NULL, *b = NULL;
	struct vmm_kvm_restore_opts opts = VMM_KVM_RESTORE_OPTS_INIT;
	struct kvm_irq_routing_entry entries[8];
	uint8_t bytes[SAMPLE_MAX];
	uint32_t type = 99;
	const void *data;
	size_t len;

	assert_int_equal(vmm_kvm_routes_new(m.vm, &a), 0);
	assert_int_equal(vmm_kvm_routes_new(m.vm, &b), 0);
	assert_int_equal(vmm_kvm_routes_add_default(a, 3), 0);
	assert_int_equal(vmm_kvm_routes_set_pin(b, 1, 0, 9), 0);
	assert_int_equal(vmm_kvm_routes_set_pin(b, 7, 0, 7), 0);
	assert_int_equal(vmm_kvm_vm_save(m.vm, a, &s, NULL), 0);
	opts.routes = b;
	fake.answer = refuse_routes;
	assert_int_equal(vmm_kvm_vm_restore(m.vm, s, &opts, NULL), -EINVAL);
	assert_int_equal(vmm_kvm_routes_get(b, entries, 8), 2);
	fake.answer = NULL;
	assert_int_equal(vmm_kvm_vm_restore(m.vm, s, &opts, NULL), 0);
	assert_int_equal(vmm_kvm_routes_get(b, entries, 8), 3);
	assert_int_equal(entries[1].u.irqchip.pin, 1);
	/* Entries that the table would not take. */
	data = vmm_kvm_state_get_data(s, &len);
	assert_true(len <= sizeof(bytes));
	memcpy(bytes, data, len);
	memcpy(bytes + AT_FIRST_DATA + 4, &type, sizeof(type));
	assert_int_equal(vmm_kvm_state_parse(bytes, len, &bad, NULL), 0);
	assert_int_equal(vmm_kvm_vm_restore(m.vm, bad, &opts, NULL), -EINVAL);
	assert_int_equal(vmm_kvm_routes_get(b, entries, 8), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(riscv_registers_travel),
		cmocka_unit_test(an_arm64_vcpu_is_made_as_it_was),
		cmocka_unit_test(vector_lengths_come_first),
		cmocka_unit_test(a_kernel_that_lies_about_registers_makes_no_state),
		cmocka_unit_test(list_kernels_may_refuse_each_call),
		cmocka_unit_test(routes_replace_what_was_there),
#if defined(__x86_64__)
		cmocka_unit_test(x86_state_goes_back_in_the_right_order),
		cmocka_unit_test(msrs_are_those_that_are_there),
		cmocka_unit_test(hosts_differ),
		cmocka_unit_test(each_call_of_an_x86_vcpu_may_fail),
		cmocka_unit_test(each_call_of_an_x86_machine_may_fail),
		cmocka_unit_test(the_clock_jumps_only_if_told_to),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

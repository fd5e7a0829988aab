/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* vCPUs whose state is a list of registers. No structure of one architecture is used, so
 * this is compiled, and tested, on all of them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compat.h"
#include "state.h"

static int save_mp_state(struct vmm_kvm_vcpu *vcpu, struct kvm_state_builder *b,
			 struct vmm_error *err)
{
	uint32_t mp = 0;
	int ret = vmm_kvm_vcpu_get_mp_state(vcpu, &mp);
	uint64_t word = mp;

	if (ret == 0)
		ret = kvm_state_add(b, VMM_KVM_STATE_MP_STATE, &word, sizeof(word));
	return ret < 0 ? kvm_state_failed(err, ret, vcpu->id, "save the run state") : 0;
}

static size_t filled(uint64_t id)
{
	return (vmm_kvm_reg_size(id) + 7) & ~(size_t)7;
}

static int list_regs(struct vmm_kvm_vcpu *vcpu, uint64_t **out, size_t *out_count)
{
	size_t count = 0, again = 0;
	uint64_t *ids;
	int ret = vmm_kvm_vcpu_get_reg_list(vcpu, NULL, 0, &count);

	if (ret < 0)
		return ret;
	ids = calloc(count + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	ret = vmm_kvm_vcpu_get_reg_list(vcpu, ids, count, &again);
	if (ret < 0) {
		free(ids);
		return ret;
	}
	*out = ids;
	*out_count = again < count ? again : count;
	return 0;
}

static int read_regs(struct vmm_kvm_vcpu *vcpu, const uint64_t *ids, size_t count,
		     uint8_t *to, struct vmm_error *err)
{
	for (size_t i = 0; i < count; i++) {
		int ret;

		memcpy(to, &ids[i], sizeof(ids[i]));
		ret = vmm_kvm_vcpu_get_one_reg(vcpu, ids[i], to + 8, filled(ids[i]));
		if (ret < 0)
			return vmm_error_at(
			    err, ret, ids[i], 0, 0, "cannot save register %#llx: %s",
			    (unsigned long long)ids[i], strerrordesc_np(-ret));
		to += 8 + filled(ids[i]);
	}
	return 0;
}

static int save_regs(struct vmm_kvm_vcpu *vcpu, struct kvm_state_builder *b,
		     struct vmm_error *err)
{
	uint64_t *ids = NULL;
	size_t count = 0, len = 0;
	void *place;
	int ret = list_regs(vcpu, &ids, &count);

	if (ret < 0)
		return kvm_state_failed(err, ret, vcpu->id, "list the registers");
	/* A list of 65,536 of the largest is far below SIZE_MAX. */
	for (size_t i = 0; i < count; i++)
		len += 8 + filled(ids[i]);
	ret = kvm_state_place(b, VMM_KVM_STATE_ONE_REGS, len, &place);
	if (ret < 0)
		(void)kvm_state_failed(err, ret, vcpu->id, "save the registers");
	else
		ret = read_regs(vcpu, ids, count, place, err);
	free(ids);
	return ret;
}

static int save_arm64(struct vmm_kvm_vcpu *vcpu, struct kvm_state_builder *b,
		      struct vmm_error *err)
{
	uint8_t events[64] = { 0 };
	int ret = vcpu->arm64_has_init
		      ? kvm_state_add(b, VMM_KVM_STATE_ARM64_INIT, vcpu->arm64_init,
				      sizeof(vcpu->arm64_init))
		      : -ENOEXEC;

	if (ret < 0)
		return kvm_state_failed(err, ret, vcpu->id, "save the processor's kind");
	if (vmm_kvm_vm_check_extension(vcpu->vm, KVM_COMPAT_CAP_VCPU_EVENTS) <= 0)
		return 0;
	ret = kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_COMPAT_ARM64_GET_EVENTS, events);
	if (ret == 0)
		ret =
		    kvm_state_add(b, VMM_KVM_STATE_ARM64_EVENTS, events, sizeof(events));
	return ret < 0 ? kvm_state_failed(err, ret, vcpu->id, "save the events") : 0;
}

int kvm_regs_vcpu_save(struct vmm_kvm_vcpu *vcpu, struct kvm_state_builder *b,
		       struct vmm_error *err)
{
	int ret = save_mp_state(vcpu, b, err);

	if (ret == 0)
		ret = save_regs(vcpu, b, err);
	if (ret == 0 && vcpu->sys->arch == KVM_ARCH_AARCH64)
		ret = save_arm64(vcpu, b, err);
	return ret;
}

/* A register that the kernel refuses to set, for it is not to be written or was part of
 * the initialisation, must have the value already. */
static int restore_reg(struct vmm_kvm_vcpu *vcpu, uint64_t id, const uint8_t *value,
		       struct vmm_error *err)
{
	uint8_t have[STATE_REG_MAX];
	size_t size = vmm_kvm_reg_size(id);
	int ret = vmm_kvm_vcpu_set_one_reg(vcpu, id, value, size);

	if (ret == 0)
		return 0;
	if (vmm_kvm_vcpu_get_one_reg(vcpu, id, have, sizeof(have)) == 0 &&
	    memcmp(have, value, size) == 0)
		return 0;
	return vmm_error_at(err, -ENXIO, id, 0, 0,
			    "register %#llx cannot have its value here: %s",
			    (unsigned long long)id, strerrordesc_np(-ret));
}

/* Restores all registers but @except; or only @only when that is not 0. */
static int restore_regs(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			uint64_t only, uint64_t except, struct vmm_error *err)
{
	size_t len;
	const uint8_t *at = vmm_kvm_state_find(state, VMM_KVM_STATE_ONE_REGS, &len);
	const uint8_t *end = at + len;
	int ret = 0;

	while (ret == 0 && at < end) {
		uint64_t id;

		memcpy(&id, at, sizeof(id));
		if ((only == 0 || id == only) && id != except)
			ret = restore_reg(vcpu, id, at + 8, err);
		at += 8 + filled(id);
	}
	return ret;
}

/* The vector lengths are chosen between initialising and finalising, the registers of
 * that size exist after it. */
static int restore_arm64_init(struct vmm_kvm_vcpu *vcpu,
			      const struct vmm_kvm_state *state, struct vmm_error *err)
{
	uint32_t words[8];
	size_t len;
	int feature = KVM_COMPAT_ARM64_SVE, ret;

	memcpy(words, vmm_kvm_state_find(state, VMM_KVM_STATE_ARM64_INIT, &len),
	       sizeof(words));
	/* The run state says that, and follows. */
	words[1] &= ~(1u << KVM_COMPAT_ARM64_POWER_OFF);
	ret = kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_COMPAT_ARM64_VCPU_INIT, words);
	if (ret < 0)
		return kvm_state_failed(err, ret, vcpu->id, "initialise the vCPU");
	memcpy(vcpu->arm64_init, words, sizeof(words));
	vcpu->arm64_has_init = true;
	if (!(words[1] & 1u << KVM_COMPAT_ARM64_SVE))
		return 0;
	ret = restore_regs(vcpu, state, KVM_COMPAT_ARM64_SVE_VLS, 0, err);
	if (ret < 0)
		return ret;
	ret = kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_COMPAT_ARM64_FINALIZE, &feature);
	return ret < 0 ? kvm_state_failed(err, ret, vcpu->id, "finish the vector unit")
		       : 0;
}

static int restore_rest(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			struct vmm_error *err)
{
	size_t len;
	const void *data = vmm_kvm_state_find(state, VMM_KVM_STATE_ARM64_EVENTS, &len);
	uint64_t mp;
	int ret =
	    data ? kvm_ioctl_zero(vcpu->sys, vcpu->fd, KVM_COMPAT_ARM64_SET_EVENTS, data)
		 : 0;

	if (ret < 0)
		return kvm_state_failed(err, ret, vcpu->id, "restore the events");
	data = vmm_kvm_state_find(state, VMM_KVM_STATE_MP_STATE, &len);
	if (!data)
		return 0;
	memcpy(&mp, data, sizeof(mp));
	ret = vmm_kvm_vcpu_set_mp_state(vcpu, (uint32_t)mp);
	return ret < 0 ? kvm_state_failed(err, ret, vcpu->id, "restore the run state")
		       : 0;
}

int kvm_regs_vcpu_restore(struct vmm_kvm_vcpu *vcpu, const struct vmm_kvm_state *state,
			  struct vmm_error *err)
{
	bool arm64 = vcpu->sys->arch == KVM_ARCH_AARCH64;
	int ret = arm64 ? restore_arm64_init(vcpu, state, err) : 0;

	if (ret == 0)
		ret = restore_regs(vcpu, state, 0, arm64 ? KVM_COMPAT_ARM64_SVE_VLS : 0,
				   err);
	return ret == 0 ? restore_rest(vcpu, state, err) : ret;
}

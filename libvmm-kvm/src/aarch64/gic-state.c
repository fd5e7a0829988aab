/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The state of a GICv3 is a list of writes in the order in which a new controller takes
 * them. Compiled, and tested, on every architecture. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compat.h"
#include "gic.h"
#include "state.h"

/* Groups of attributes, and what one can ask of the control group. */
enum {
	GRP_DIST = 1,
	GRP_CTRL = 4,
	GRP_REDIST = 5,
	GRP_SYSREGS = 6,
	GRP_LEVEL = 7,
	GRP_ITS = 8,
	CTRL_SAVE_TABLES = 1,
	CTRL_RESTORE_TABLES = 2,
	CTRL_SAVE_PENDING = 3,
};

/* A register that sets bits is preceded by its twin that clears them all. */
#define CLEAR_TWIN 0x80u
#define GITS_CTLR 0u

struct list {
	struct vmm_kvm_device *device;
	struct vmm_kvm_state_attr *attrs;
	size_t count, room;
};

struct bank {
	uint32_t offset;
	/* Bits of each interrupt; 0: one word in all. */
	uint32_t bits;
	bool clear_first;
};

/* In the order of the kernel's documentation: what an interrupt is before whether it is
 * pending. The offsets are those of interrupt 0. */
static const struct bank dist[] = {
	{ 0x080, 1, false },   { 0x100, 1, true }, { 0xc00, 2, false },
	{ 0x200, 1, false },   { 0x300, 1, true }, { 0x400, 8, false },
	{ 0x6000, 64, false },
};

/* Configuration and pending tables of LPIs come before GICR_CTLR, which turns them on. */
static const uint32_t redist[] = { 0x70, 0x74, 0x78, 0x7c, 0x00, 0x10, 0x14 };

/* SGIs and PPIs, in the second frame. */
static const struct bank private_irqs[] = {
	{ 0x10080, 1, false }, { 0x10100, 1, true }, { 0x10c00, 2, false },
	{ 0x10200, 1, false }, { 0x10300, 1, true }, { 0x10400, 8, false },
};

#define SYSREG(op0, op1, crn, crm, op2) \
	((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))
#define ICC_CTLR SYSREG(3u, 0u, 12u, 12u, 4u)

/* SRE, CTLR, IGRPEN0, IGRPEN1, PMR, BPR0, BPR1; then the active priorities. */
static const uint32_t sysregs[] = {
	SYSREG(3u, 0u, 12u, 12u, 5u), ICC_CTLR,
	SYSREG(3u, 0u, 12u, 12u, 6u), SYSREG(3u, 0u, 12u, 12u, 7u),
	SYSREG(3u, 0u, 4u, 6u, 0u),   SYSREG(3u, 0u, 12u, 8u, 3u),
	SYSREG(3u, 0u, 12u, 12u, 3u),
};

/* Revision, command queue (whose base resets the indices), tables; the switch is last. */
static const uint32_t its_regs[] = { 0x004, 0x080, 0x090, 0x088, 0x100, 0x108,	  0x110,
				     0x118, 0x120, 0x128, 0x130, 0x138, GITS_CTLR };

static int add(struct list *l, uint32_t group, uint64_t attr, uint32_t width,
	       uint64_t value)
{
	if (l->count == l->room) {
		size_t room = l->room > 0 ? l->room * 2 : 1024;
		struct vmm_kvm_state_attr *more =
		    reallocarray(l->attrs, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->attrs = more;
		l->room = room;
	}
	l->attrs[l->count++] = (struct vmm_kvm_state_attr){
		.group = group, .width = width, .attr = attr, .value = value
	};
	return 0;
}

static int read_one(struct list *l, uint32_t group, uint64_t attr, uint32_t width,
		    struct vmm_error *err)
{
	/* The kernel writes as many bytes as the group has; little-endian. */
	uint64_t value = 0;
	int ret = vmm_kvm_device_get_attr(l->device, group, attr, &value);

	if (ret == 0)
		ret = add(l, group, attr, width, value);
	return ret < 0
		   ? vmm_error_at(err, ret, attr, group, 0,
				  "cannot save register %#llx of group %u: %s",
				  (unsigned long long)attr, group, strerrordesc_np(-ret))
		   : 0;
}

/* Interrupts @first to @end of a bank, word by word. */
static int read_bank(struct list *l, uint32_t group, uint64_t cpu, const struct bank *b,
		     uint32_t first, uint32_t end, struct vmm_error *err)
{
	uint32_t from = b->offset + first * b->bits / 8;
	uint32_t to = b->offset + end * b->bits / 8;
	int ret = 0;

	for (uint32_t at = from; ret == 0 && at < to; at += 4) {
		if (b->clear_first)
			ret = add(l, group, cpu | (at + CLEAR_TWIN), 4, UINT32_MAX);
		if (ret == 0)
			ret = read_one(l, group, cpu | at, 4, err);
	}
	return ret;
}

static int read_level(struct list *l, uint64_t cpu, uint32_t first, uint32_t end,
		      struct vmm_error *err)
{
	int ret = 0;

	for (uint32_t irq = first; ret == 0 && irq < end; irq += 32)
		ret = read_one(l, GRP_LEVEL, cpu | irq, 4, err);
	return ret;
}

static int read_redist(struct list *l, uint64_t cpu, struct vmm_error *err)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < sizeof(redist) / sizeof(redist[0]); i++)
		ret = read_one(l, GRP_REDIST, cpu | redist[i], 4, err);
	if (ret == 0)
		ret = read_level(l, cpu, 0, 32, err);
	for (size_t i = 0; ret == 0 && i < sizeof(private_irqs) / sizeof(private_irqs[0]);
	     i++)
		ret = read_bank(l, GRP_REDIST, cpu, &private_irqs[i], 0, 32, err);
	return ret;
}

static int read_dist(struct list *l, uint64_t cpu, uint32_t irqs, struct vmm_error *err)
{
	int ret = read_level(l, cpu, 32, irqs, err);

	for (size_t i = 0; ret == 0 && i < sizeof(dist) / sizeof(dist[0]); i++)
		ret = read_bank(l, GRP_DIST, 0, &dist[i], 32, irqs, err);
	return ret;
}

/* 5 bits of priority have one register of each group, 6 have two, 7 have four. */
static int read_sysregs(struct list *l, uint64_t cpu, struct vmm_error *err)
{
	uint32_t extra = 1;
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < sizeof(sysregs) / sizeof(sysregs[0]); i++) {
		ret = read_one(l, GRP_SYSREGS, cpu | sysregs[i], 8, err);
		if (ret == 0 && sysregs[i] == ICC_CTLR) {
			uint64_t bits = (l->attrs[l->count - 1].value >> 8 & 7) + 1;

			extra = bits >= 7 ? 4 : bits == 6 ? 2 : 1;
		}
	}
	for (uint32_t n = 0; ret == 0 && n < extra; n++) {
		ret = read_one(l, GRP_SYSREGS, cpu | SYSREG(3u, 0u, 12u, 8u, 4u + n), 8,
			       err);
		if (ret == 0)
			ret = read_one(l, GRP_SYSREGS, cpu | SYSREG(3u, 0u, 12u, 9u, n),
				       8, err);
	}
	return ret;
}

/* The affinity of a vCPU, where an attribute wants it. */
static int affinity(struct vmm_kvm_vcpu *vcpu, uint64_t *out)
{
	uint64_t mpidr = 0;
	int ret =
	    vmm_kvm_vcpu_get_one_reg(vcpu, KVM_COMPAT_ARM64_MPIDR, &mpidr, sizeof(mpidr));

	if (ret == 0)
		*out = (mpidr & 0xffffff) << 32 | (mpidr >> 32 & 0xff) << 56;
	return ret;
}

static int read_gic(struct list *l, uint32_t irqs, const uint64_t *cpus, size_t count,
		    struct vmm_error *err)
{
	/* GICD_IIDR chooses the revision, GICD_CTLR what follows from it. */
	int ret = vmm_kvm_device_set_attr(l->device, GRP_CTRL, CTRL_SAVE_PENDING, NULL);

	if (ret < 0)
		return vmm_error_at(err, ret, 0, 0, 0,
				    "cannot save the pending tables: %s",
				    strerrordesc_np(-ret));
	ret = read_one(l, GRP_DIST, 0x08, 4, err);
	if (ret == 0)
		ret = read_one(l, GRP_DIST, 0x00, 4, err);
	if (ret == 0)
		ret = read_one(l, GRP_DIST, 0x10, 4, err);
	for (size_t i = 0; ret == 0 && i < count; i++)
		ret = read_redist(l, cpus[i], err);
	if (ret == 0)
		ret = read_dist(l, cpus[0], irqs, err);
	for (size_t i = 0; ret == 0 && i < count; i++)
		ret = read_sysregs(l, cpus[i], err);
	return ret;
}

static int read_its(struct list *l, struct vmm_error *err)
{
	int ret = vmm_kvm_device_set_attr(l->device, GRP_CTRL, CTRL_SAVE_TABLES, NULL);

	if (ret < 0)
		return vmm_error_at(err, ret, 0, 0, 0,
				    "cannot save the translation tables: %s",
				    strerrordesc_np(-ret));
	for (size_t i = 0; ret == 0 && i < sizeof(its_regs) / sizeof(its_regs[0]); i++)
		ret = read_one(l, GRP_ITS, its_regs[i], 8, err);
	return ret;
}

static int save_lists(struct vmm_kvm_arm64_gic_device *gic, const uint64_t *cpus,
		      size_t count, struct kvm_state_builder *b, struct vmm_error *err)
{
	const uint32_t info[] = { gic->version, gic->irq_count };
	struct list regs = { .device = gic->gic }, its = { .device = gic->its };
	int ret = gic->its ? read_its(&its, err) : 0;

	if (ret == 0)
		ret = read_gic(&regs, gic->irq_count, cpus, count, err);
	if (ret == 0) {
		ret = kvm_state_add(b, VMM_KVM_STATE_GIC_INFO, info, sizeof(info));
		if (ret == 0)
			ret = kvm_state_add(b, VMM_KVM_STATE_GIC_REGS, regs.attrs,
					    regs.count * sizeof(regs.attrs[0]));
		if (ret == 0 && gic->its)
			ret = kvm_state_add(b, VMM_KVM_STATE_ITS_REGS, its.attrs,
					    its.count * sizeof(its.attrs[0]));
		if (ret < 0)
			(void)kvm_state_failed(err, ret, 0, "keep the registers");
	}
	free(regs.attrs);
	free(its.attrs);
	return ret;
}

int vmm_kvm_arm64_gic_save(struct vmm_kvm_arm64_gic_device *gic,
			   struct vmm_kvm_vcpu *const *vcpus, size_t count,
			   struct vmm_kvm_state **out, struct vmm_error *err)
{
	struct kvm_state_builder b = { 0 };
	uint64_t *cpus;
	int ret = 0;

	if (gic->version != 3)
		return vmm_error_set(err, -EOPNOTSUPP,
				     "interrupt controller of version %u", gic->version);
	if (count == 0)
		return vmm_error_set(err, -EINVAL, "no virtual CPU");
	cpus = calloc(count, sizeof(*cpus));
	if (!cpus)
		return vmm_error_set(err, -ENOMEM, "no memory for a state");
	for (size_t i = 0; ret == 0 && i < count; i++)
		ret = affinity(vcpus[i], &cpus[i]);
	if (ret == 0)
		ret = kvm_state_begin(&b, VMM_KVM_STATE_GIC, KVM_ARCH_AARCH64, 0);
	if (ret < 0)
		(void)kvm_state_failed(err, ret, 0, "begin a state");
	else
		ret = save_lists(gic, cpus, count, &b, err);
	free(cpus);
	if (ret == 0)
		return kvm_state_finish(&b, out, err);
	kvm_state_abandon(&b);
	return ret;
}

/* Writes all registers but GITS_CTLR, or only that. */
static int write_list(struct vmm_kvm_device *device, const struct vmm_kvm_state *state,
		      uint32_t section, bool its_switch, struct vmm_error *err)
{
	struct vmm_kvm_state_attr a;
	size_t len;
	const uint8_t *data = vmm_kvm_state_find(state, section, &len);

	for (size_t at = 0; at < len; at += sizeof(a)) {
		int ret;

		memcpy(&a, data + at, sizeof(a));
		if ((a.group == GRP_ITS && a.attr == GITS_CTLR) != its_switch)
			continue;
		ret = vmm_kvm_device_set_attr(device, a.group, a.attr, &a.value);
		if (ret < 0)
			return vmm_error_at(
			    err, ret, a.attr, a.value, a.group,
			    "cannot restore register %#llx of group %u: %s",
			    (unsigned long long)a.attr, a.group, strerrordesc_np(-ret));
	}
	return 0;
}

static int restore_its(struct vmm_kvm_device *its, const struct vmm_kvm_state *state,
		       struct vmm_error *err)
{
	int ret = write_list(its, state, VMM_KVM_STATE_ITS_REGS, false, err);

	if (ret < 0)
		return ret;
	ret = vmm_kvm_device_set_attr(its, GRP_CTRL, CTRL_RESTORE_TABLES, NULL);
	if (ret < 0)
		return kvm_state_failed(err, ret, 0, "restore the translation tables");
	return write_list(its, state, VMM_KVM_STATE_ITS_REGS, true, err);
}

int vmm_kvm_arm64_gic_restore(struct vmm_kvm_arm64_gic_device *gic,
			      const struct vmm_kvm_state *state, struct vmm_error *err)
{
	size_t len, its_len;
	const void *data;
	uint32_t info[2];
	int ret;

	if (gic->version != 3)
		return vmm_error_set(err, -EOPNOTSUPP,
				     "interrupt controller of version %u", gic->version);
	ret = kvm_state_expect(state, VMM_KVM_STATE_GIC, KVM_ARCH_AARCH64, 0, err);
	if (ret < 0)
		return ret;
	memcpy(info, vmm_kvm_state_find(state, VMM_KVM_STATE_GIC_INFO, &len),
	       sizeof(info));
	data = vmm_kvm_state_find(state, VMM_KVM_STATE_ITS_REGS, &its_len);
	if (info[1] != gic->irq_count || !data != !gic->its)
		return vmm_error_at(err, -EINVAL, 0, gic->irq_count, info[1],
				    "state of another interrupt controller");
	ret = write_list(gic->gic, state, VMM_KVM_STATE_GIC_REGS, false, err);
	return ret == 0 && gic->its ? restore_its(gic->its, state, err) : ret;
}

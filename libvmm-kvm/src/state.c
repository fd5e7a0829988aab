/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The layout of states: no call of the kernel in here, the fuzzer runs all of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

static const char magic[8] = { 'V', 'M', 'M', 'K', 'V', 'M', 'S', 'T' };

struct head {
	char magic[8];
	uint32_t version, kind, arch, id, sections;
	/* Of everything. */
	uint32_t len;
};

struct section_head {
	uint32_t type;
	uint32_t reserved_;
	/* Of the content; zeros fill it to a multiple of 8. */
	uint64_t len;
};

_Static_assert(sizeof(struct head) == 32 && sizeof(struct section_head) == 16, "layout");
_Static_assert(sizeof(struct vmm_kvm_state_attr) == 24, "layout");

struct vmm_kvm_state {
	uint8_t *data;
	size_t len;
};

typedef bool (*check_fn)(const uint8_t *data, size_t len, uint32_t arch);

/* What a section may look like: its length is a multiple of @unit from @min to @max. */
struct rule {
	uint32_t type, kind;
	/* 0 for any. */
	uint32_t arch;
	bool required;
	uint32_t unit, min, max;
	check_fn check;
};

static uint32_t word32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t word64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static bool is_word32(const uint8_t *data, size_t len, uint32_t arch)
{
	return word64(data) <= UINT32_MAX;
}

static bool are_cpuids(const uint8_t *data, size_t len, uint32_t arch)
{
	for (size_t at = 0; at < len; at += STATE_CPUID_ENTRY)
		if (!is_zero(data + at + 28, 12))
			return false;
	return true;
}

static bool are_msrs(const uint8_t *data, size_t len, uint32_t arch)
{
	for (size_t at = 0; at < len; at += STATE_MSR_ENTRY)
		if (word32(data + at + 4) != 0)
			return false;
	return true;
}

/* flags, format, size: the kernel copies as many bytes as the size says. */
static bool is_nested(const uint8_t *data, size_t len, uint32_t arch)
{
	return word32(data + 4) == len;
}

/* How many of them count, 1 to 16. */
static bool are_xcrs(const uint8_t *data, size_t len, uint32_t arch)
{
	return word32(data) >= 1 && word32(data) <= 16;
}

static bool is_master(const uint8_t *data, size_t len, uint32_t arch)
{
	return word32(data) == 0;
}

static bool is_slave(const uint8_t *data, size_t len, uint32_t arch)
{
	return word32(data) == 1;
}

static bool is_ioapic(const uint8_t *data, size_t len, uint32_t arch)
{
	return word32(data) == 2;
}

/* Architecture and size are in the id: bits 60 and above, and 52 to 55. */
static bool are_regs(const uint8_t *data, size_t len, uint32_t arch)
{
	uint64_t family = arch == KVM_ARCH_AARCH64 ? 6 : 8;

	while (len > 0) {
		size_t size, filled;

		if (len < 8 || word64(data) >> 60 != family)
			return false;
		size = vmm_kvm_reg_size(word64(data));
		filled = (size + 7) & ~(size_t)7;
		if (size > STATE_REG_MAX || len - 8 < filled ||
		    !is_zero(data + 8 + size, filled - size))
			return false;
		data += 8 + filled;
		len -= 8 + filled;
	}
	return true;
}

/* Groups of the device's attributes that hold registers: distributor, redistributors,
 * CPU interface, line levels; and those of the translation service. */
static bool is_attr(const struct vmm_kvm_state_attr *a, bool its)
{
	if (its ? a->group == 8 : a->group == 6)
		return a->width == 8;
	return !its && (a->group == 1 || a->group == 5 || a->group == 7) &&
	       a->width == 4 && a->value <= UINT32_MAX;
}

static bool are_attrs_of(const uint8_t *data, size_t len, bool its)
{
	struct vmm_kvm_state_attr a;

	for (size_t at = 0; at < len; at += sizeof(a)) {
		memcpy(&a, data + at, sizeof(a));
		if (!is_attr(&a, its))
			return false;
	}
	return true;
}

static bool are_attrs(const uint8_t *data, size_t len, uint32_t arch)
{
	return are_attrs_of(data, len, false);
}

static bool are_its_attrs(const uint8_t *data, size_t len, uint32_t arch)
{
	return are_attrs_of(data, len, true);
}

static bool is_gic(const uint8_t *data, size_t len, uint32_t arch)
{
	uint32_t irqs = word32(data + 4);

	return word32(data) == 3 && irqs >= 64 && irqs <= 1024 && irqs % 32 == 0;
}

/* Sections in ascending order of their type within each kind. */
static const struct rule rules[] = {
	{ VMM_KVM_STATE_MP_STATE, VMM_KVM_STATE_VCPU, 0, false, 8, 8, 8, is_word32 },
	{ VMM_KVM_STATE_ONE_REGS, VMM_KVM_STATE_VCPU, KVM_ARCH_AARCH64, true, 8, 16,
	  VMM_KVM_STATE_MAX, are_regs },
	{ VMM_KVM_STATE_ONE_REGS, VMM_KVM_STATE_VCPU, KVM_ARCH_RISCV64, true, 8, 16,
	  VMM_KVM_STATE_MAX, are_regs },
	{ VMM_KVM_STATE_ROUTES, VMM_KVM_STATE_VM, 0, false,
	  sizeof(struct kvm_irq_routing_entry), 0,
	  VMM_KVM_GSI_ROUTES_MAX * sizeof(struct kvm_irq_routing_entry), NULL },
	{ VMM_KVM_STATE_REGS, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, true, 144, 144, 144,
	  NULL },
	{ VMM_KVM_STATE_SREGS, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, true, 312, 312, 312,
	  NULL },
	{ VMM_KVM_STATE_SREGS2, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, false, 320, 320, 320,
	  NULL },
	{ VMM_KVM_STATE_XSAVE, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, true, 4,
	  STATE_XSAVE_MIN, STATE_AREA_MAX, NULL },
	{ VMM_KVM_STATE_XCRS, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, false, 392, 392, 392,
	  are_xcrs },
	{ VMM_KVM_STATE_DEBUGREGS, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, true, 128, 128,
	  128, NULL },
	{ VMM_KVM_STATE_LAPIC, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, false, 1024, 1024,
	  1024, NULL },
	{ VMM_KVM_STATE_TSC_KHZ, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, false, 8, 8, 8,
	  is_word32 },
	{ VMM_KVM_STATE_CPUID, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, true,
	  STATE_CPUID_ENTRY, 0, STATE_CPUID_ENTRY *STATE_CPUIDS_MAX, are_cpuids },
	{ VMM_KVM_STATE_MSRS, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, true, STATE_MSR_ENTRY,
	  0, STATE_MSR_ENTRY *STATE_MSRS_MAX, are_msrs },
	{ VMM_KVM_STATE_NESTED, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, false, 1,
	  STATE_NESTED_HEAD, STATE_AREA_MAX, is_nested },
	{ VMM_KVM_STATE_EVENTS, VMM_KVM_STATE_VCPU, KVM_ARCH_X86_64, true, 64, 64, 64,
	  NULL },
	{ VMM_KVM_STATE_PIC_MASTER, VMM_KVM_STATE_VM, KVM_ARCH_X86_64, false, STATE_CHIP,
	  STATE_CHIP, STATE_CHIP, is_master },
	{ VMM_KVM_STATE_PIC_SLAVE, VMM_KVM_STATE_VM, KVM_ARCH_X86_64, false, STATE_CHIP,
	  STATE_CHIP, STATE_CHIP, is_slave },
	{ VMM_KVM_STATE_IOAPIC, VMM_KVM_STATE_VM, KVM_ARCH_X86_64, false, STATE_CHIP,
	  STATE_CHIP, STATE_CHIP, is_ioapic },
	{ VMM_KVM_STATE_PIT2, VMM_KVM_STATE_VM, KVM_ARCH_X86_64, false, 112, 112, 112,
	  NULL },
	{ VMM_KVM_STATE_CLOCK, VMM_KVM_STATE_VM, KVM_ARCH_X86_64, true, 48, 48, 48,
	  NULL },
	{ VMM_KVM_STATE_ARM64_INIT, VMM_KVM_STATE_VCPU, KVM_ARCH_AARCH64, true, 32, 32,
	  32, NULL },
	{ VMM_KVM_STATE_ARM64_EVENTS, VMM_KVM_STATE_VCPU, KVM_ARCH_AARCH64, false, 64, 64,
	  64, NULL },
	{ VMM_KVM_STATE_GIC_INFO, VMM_KVM_STATE_GIC, KVM_ARCH_AARCH64, true, 8, 8, 8,
	  is_gic },
	{ VMM_KVM_STATE_GIC_REGS, VMM_KVM_STATE_GIC, KVM_ARCH_AARCH64, true,
	  sizeof(struct vmm_kvm_state_attr), 0, VMM_KVM_STATE_MAX, are_attrs },
	{ VMM_KVM_STATE_ITS_REGS, VMM_KVM_STATE_GIC, KVM_ARCH_AARCH64, false,
	  sizeof(struct vmm_kvm_state_attr), 0, VMM_KVM_STATE_MAX, are_its_attrs },
};

enum { RULES = sizeof(rules) / sizeof(rules[0]) };

static bool applies(const struct rule *r, const struct head *head)
{
	return r->kind == head->kind && (r->arch == 0 || r->arch == head->arch);
}

static const struct rule *rule_of(const struct head *head, uint32_t type)
{
	for (size_t i = 0; i < RULES; i++)
		if (rules[i].type == type && applies(&rules[i], head))
			return &rules[i];
	return NULL;
}

static int bad(struct vmm_error *err, size_t at, const char *what)
{
	return vmm_error_at(err, -EBADMSG, at, 0, 0, "state, at byte %zu: %s", at, what);
}

static int check_head(const struct head *head, size_t len, struct vmm_error *err)
{
	if (memcmp(head->magic, magic, sizeof(magic)) != 0)
		return bad(err, 0, "not a state of a virtual CPU or machine");
	if (head->version != VMM_KVM_STATE_VERSION)
		return vmm_error_at(err, -EOPNOTSUPP, 8, VMM_KVM_STATE_VERSION,
				    head->version,
				    "state of version %u, this library knows %u",
				    head->version, VMM_KVM_STATE_VERSION);
	if (head->len != len)
		return vmm_error_at(err, -EBADMSG, 28, head->len, len,
				    "state of %u bytes has %zu", head->len, len);
	if (head->kind < VMM_KVM_STATE_VCPU || head->kind > VMM_KVM_STATE_GIC)
		return bad(err, 12, "unknown kind");
	if (head->arch < VMM_KVM_STATE_X86_64 || head->arch > VMM_KVM_STATE_RISCV64)
		return bad(err, 16, "unknown architecture");
	if (head->kind == VMM_KVM_STATE_GIC && head->arch != VMM_KVM_STATE_AARCH64)
		return bad(err, 16, "an architecture without this kind");
	if (head->kind != VMM_KVM_STATE_VCPU && head->id != 0)
		return bad(err, 20, "an id of what has none");
	return 0;
}

/* Checks the section at @at and moves on to the next. */
static int check_section(const uint8_t *data, size_t len, const struct head *head,
			 size_t *at, uint32_t *last, struct vmm_error *err)
{
	const struct rule *r;
	struct section_head s;
	size_t rest, filled;

	if (len - *at < sizeof(s))
		return bad(err, *at, "cut off in the head of a section");
	memcpy(&s, data + *at, sizeof(s));
	rest = len - *at - sizeof(s);
	r = rule_of(head, s.type);
	if (!r || s.reserved_ != 0)
		return bad(err, *at, "unknown section");
	if (s.type <= *last)
		return bad(err, *at, "section out of order or twice");
	if (s.len > rest)
		return bad(err, *at, "cut off in a section");
	if (s.len < r->min || s.len > r->max || s.len % r->unit != 0)
		return bad(err, *at, "section of a wrong length");
	filled = ((size_t)s.len + 7) & ~(size_t)7;
	*at += sizeof(s);
	if (filled > rest || !is_zero(data + *at + s.len, filled - (size_t)s.len))
		return bad(err, *at, "section not filled with zeros");
	if (r->check && !r->check(data + *at, (size_t)s.len, head->arch))
		return bad(err, *at, "section that contradicts itself");
	*at += filled;
	*last = s.type;
	return 0;
}

static bool has(const uint8_t *data, size_t len, uint32_t type)
{
	struct section_head s;

	for (size_t at = sizeof(struct head); at < len;) {
		memcpy(&s, data + at, sizeof(s));
		if (s.type == type)
			return true;
		at += sizeof(s) + (((size_t)s.len + 7) & ~(size_t)7);
	}
	return false;
}

static int check(const uint8_t *data, size_t len, struct vmm_error *err)
{
	size_t at = sizeof(struct head);
	uint32_t last = 0, n = 0;
	struct head head;
	int ret;

	if (len > VMM_KVM_STATE_MAX)
		return vmm_error_at(err, -E2BIG, 0, VMM_KVM_STATE_MAX, len,
				    "state of %zu bytes", len);
	if (len < sizeof(head))
		return bad(err, len, "cut off in the head");
	memcpy(&head, data, sizeof(head));
	ret = check_head(&head, len, err);
	while (ret == 0 && at < len) {
		ret = check_section(data, len, &head, &at, &last, err);
		n++;
	}
	if (ret < 0)
		return ret;
	if (n != head.sections)
		return bad(err, 24, "another number of sections than it says");
	for (size_t i = 0; i < RULES; i++)
		if (rules[i].required && applies(&rules[i], &head) &&
		    !has(data, len, rules[i].type))
			return vmm_error_at(err, -EBADMSG, len, rules[i].type, 0,
					    "state without section %#x", rules[i].type);
	return 0;
}

int vmm_kvm_state_parse(const void *data, size_t len, struct vmm_kvm_state **out,
			struct vmm_error *err)
{
	int ret = check(data, len, err);
	struct vmm_kvm_state *state;

	if (ret < 0)
		return ret;
	state = calloc(1, sizeof(*state));
	if (state)
		state->data = calloc(1, len);
	if (!state || !state->data) {
		free(state);
		return vmm_error_set(err, -ENOMEM, "no memory for a state");
	}
	memcpy(state->data, data, len);
	state->len = len;
	*out = state;
	return 0;
}

void vmm_kvm_state_free(struct vmm_kvm_state *state)
{
	if (!state)
		return;
	free(state->data);
	free(state);
}

const void *vmm_kvm_state_get_data(const struct vmm_kvm_state *state, size_t *out_len)
{
	*out_len = state->len;
	return state->data;
}

int vmm_kvm_state_get_info(const struct vmm_kvm_state *state,
			   struct vmm_kvm_state_info *out)
{
	struct vmm_kvm_state_info info = VMM_KVM_STATE_INFO_INIT;
	struct head head;
	size_t size = out->size;

	if (size < sizeof(out->size))
		return -EINVAL;
	memcpy(&head, state->data, sizeof(head));
	info.size = size;
	info.kind = head.kind;
	info.arch = head.arch;
	info.version = head.version;
	info.id = head.id;
	info.sections = head.sections;
	memcpy(out, &info, size < sizeof(info) ? size : sizeof(info));
	return 0;
}

const void *vmm_kvm_state_find(const struct vmm_kvm_state *state, uint32_t section,
			       size_t *out_len)
{
	struct section_head s;

	for (size_t at = sizeof(struct head); at < state->len;) {
		memcpy(&s, state->data + at, sizeof(s));
		at += sizeof(s);
		if (s.type == section) {
			*out_len = (size_t)s.len;
			return state->data + at;
		}
		at += ((size_t)s.len + 7) & ~(size_t)7;
	}
	*out_len = 0;
	return NULL;
}

int kvm_state_begin(struct kvm_state_builder *b, uint32_t kind, uint32_t arch,
		    uint32_t id)
{
	struct head head = {
		.version = VMM_KVM_STATE_VERSION, .kind = kind, .arch = arch, .id = id
	};

	memcpy(head.magic, magic, sizeof(magic));
	memset(b, 0, sizeof(*b));
	b->room = 16384;
	b->data = calloc(1, b->room);
	if (!b->data)
		return -ENOMEM;
	memcpy(b->data, &head, sizeof(head));
	b->len = sizeof(head);
	return 0;
}

int kvm_state_place(struct kvm_state_builder *b, uint32_t section, size_t len, void **out)
{
	const struct section_head s = { .type = section, .len = len };
	size_t need;

	if (len > VMM_KVM_STATE_MAX)
		return -E2BIG;
	need = b->len + sizeof(s) + ((len + 7) & ~(size_t)7);
	if (need > VMM_KVM_STATE_MAX)
		return -E2BIG;
	if (need > b->room) {
		size_t room = need * 2;
		uint8_t *more = calloc(1, room);

		if (!more)
			return -ENOMEM;
		memcpy(more, b->data, b->len);
		free(b->data);
		b->data = more;
		b->room = room;
	}
	memcpy(b->data + b->len, &s, sizeof(s));
	*out = b->data + b->len + sizeof(s);
	b->len = need;
	b->sections++;
	return 0;
}

int kvm_state_add(struct kvm_state_builder *b, uint32_t section, const void *data,
		  size_t len)
{
	void *place;
	int ret = kvm_state_place(b, section, len, &place);

	if (ret == 0 && len > 0)
		memcpy(place, data, len);
	return ret;
}

int kvm_state_finish(struct kvm_state_builder *b, struct vmm_kvm_state **out,
		     struct vmm_error *err)
{
	struct head head;
	int ret;

	memcpy(&head, b->data, sizeof(head));
	head.sections = b->sections;
	head.len = (uint32_t)b->len;
	memcpy(b->data, &head, sizeof(head));
	ret = vmm_kvm_state_parse(b->data, b->len, out, err);
	kvm_state_abandon(b);
	return ret;
}

void kvm_state_abandon(struct kvm_state_builder *b)
{
	free(b->data);
	b->data = NULL;
}

int kvm_state_expect(const struct vmm_kvm_state *state, uint32_t kind, uint32_t arch,
		     uint32_t id, struct vmm_error *err)
{
	struct head head;

	memcpy(&head, state->data, sizeof(head));
	if (head.kind != kind)
		return vmm_error_at(err, -EINVAL, 0, kind, head.kind,
				    "state of another kind of thing");
	if (head.arch != arch)
		return vmm_error_at(err, -EINVAL, 0, arch, head.arch,
				    "state of another architecture");
	if (head.id != id)
		return vmm_error_at(err, -EINVAL, 0, id, head.id,
				    "state of vCPU %u for vCPU %u", head.id, id);
	return 0;
}

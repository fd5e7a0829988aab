/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* No structure of the architecture's own headers is used, so that the names are known,
 * and tested, on every host. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-riscv64.h>

#include "internal.h"

#define REG(type, subtype, n)                                                        \
	(UINT64_C(0x8000000000000000) | UINT64_C(3) << 52 | (uint64_t)(type) << 24 | \
	 (uint64_t)(subtype) << 16 | (n))
#define SIZE_U32 (UINT64_C(2) << 52)
#define SIZE_ANY (UINT64_C(15) << 52)

/* Types of registers, as in the id. */
enum {
	TYPE_CONFIG = 1,
	TYPE_CORE = 2,
	TYPE_CSR = 3,
	TYPE_TIMER = 4,
	TYPE_FP_F = 5,
	TYPE_FP_D = 6,
	TYPE_ISA = 7,
	TYPE_SBI = 8,
};

static const char *const config[] = { "isa",	   "zicbom_block_size",
				      "mvendorid", "marchid",
				      "mimpid",	   "zicboz_block_size",
				      "satp_mode" };
static const char *const core[] = { "pc", "ra", "sp", "gp", "tp",  "t0",  "t1",
				    "t2", "s0", "s1", "a0", "a1",  "a2",  "a3",
				    "a4", "a5", "a6", "a7", "s2",  "s3",  "s4",
				    "s5", "s6", "s7", "s8", "s9",  "s10", "s11",
				    "t3", "t4", "t5", "t6", "mode" };
static const char *const csr[] = { "sstatus", "sie",	    "stvec",  "sscratch",
				   "sepc",    "scause",	    "stval",  "sip",
				   "satp",    "scounteren", "senvcfg" };
static const char *const csr_aia[] = { "siselect", "iprio1",  "iprio2", "sieh",
				       "siph",	   "iprio1h", "iprio2h" };
static const char *const csr_stateen[] = { "sstateen0" };
static const char *const timer[] = { "frequency", "time", "compare", "state" };
static const char *const isa[] = {
	"a",	     "c",      "d",	  "f",	      "h",	     "i",
	"m",	     "svpbmt", "sstc",	  "svinval",  "zihintpause", "zicbom",
	"zicboz",    "zbb",    "ssaia",	  "v",	      "svnapot",     "zba",
	"zbs",	     "zicntr", "zicsr",	  "zifencei", "zihpm",	     "smstateen",
	"zicond",    "zbc",    "zbkb",	  "zbkc",     "zbkx",	     "zknd",
	"zkne",	     "zknh",   "zkr",	  "zksed",    "zksh",	     "zkt",
	"zvbb",	     "zvbc",   "zvkb",	  "zvkg",     "zvkned",	     "zvknha",
	"zvknhb",    "zvksed", "zvksh",	  "zvkt",     "zfh",	     "zfhmin",
	"zihintntl", "zvfh",   "zvfhmin", "zfa",      "ztso",	     "zacas",
	"sscofpmf"
};
static const char *const sbi[] = { "v01",    "time", "ipi", "rfence",
				   "srst",   "hsm",  "pmu", "experimental",
				   "vendor", "dbcn", "sta", "susp" };

#define NAMES(a) a, sizeof(a) / sizeof((a)[0])

static const struct group {
	const char *prefix;
	uint32_t type, subtype;
	const char *const *names;
	size_t count;
} groups[] = {
	{ "", TYPE_CORE, 0, NAMES(core) },
	{ "config.", TYPE_CONFIG, 0, NAMES(config) },
	{ "csr.", TYPE_CSR, 0, NAMES(csr) },
	{ "csr.", TYPE_CSR, 1, NAMES(csr_aia) },
	{ "csr.", TYPE_CSR, 2, NAMES(csr_stateen) },
	{ "timer.", TYPE_TIMER, 0, NAMES(timer) },
	{ "isa.", TYPE_ISA, 0, NAMES(isa) },
	{ "sbi.", TYPE_SBI, 0, NAMES(sbi) },
};

enum { GROUPS = sizeof(groups) / sizeof(groups[0]), FCSR = 32 };

/* "f.7", "d.fcsr": the registers of 32 bits are those of F and the status of D. */
static int find_float(const char *name, uint64_t *out)
{
	uint32_t type = name[0] == 'f' ? TYPE_FP_F : TYPE_FP_D, n = 0;
	size_t len = strlen(name);
	uint64_t id;

	if ((name[0] != 'f' && name[0] != 'd') || name[1] != '.')
		return -ENOENT;
	if (strcmp(name + 2, "fcsr") == 0) {
		n = FCSR;
	} else {
		if (len < 3 || len > 4 || (len == 4 && name[2] == '0'))
			return -ENOENT;
		for (size_t i = 2; i < len; i++) {
			if (name[i] < '0' || name[i] > '9')
				return -ENOENT;
			n = n * 10 + (uint32_t)(name[i] - '0');
		}
		if (n >= FCSR)
			return -ENOENT;
	}
	id = REG(type, 0, n);
	if (type == TYPE_FP_F || n == FCSR)
		id = (id & ~SIZE_ANY) | SIZE_U32;
	*out = id;
	return 0;
}

int vmm_kvm_riscv64_reg_by_name(const char *name, uint64_t *out)
{
	for (size_t g = 0; g < GROUPS; g++) {
		size_t len = strlen(groups[g].prefix);

		if (strncmp(name, groups[g].prefix, len) != 0)
			continue;
		for (size_t i = 0; i < groups[g].count; i++)
			if (strcmp(name + len, groups[g].names[i]) == 0) {
				*out = REG(groups[g].type, groups[g].subtype, i);
				return 0;
			}
	}
	return find_float(name, out);
}

size_t vmm_kvm_riscv64_reg_name(uint64_t id, char *buf, size_t size)
{
	uint32_t type = (uint32_t)(id >> 24) & 0xff, n = (uint32_t)id & 0xffff;

	for (size_t g = 0; g < GROUPS; g++)
		if (n < groups[g].count &&
		    id == REG(groups[g].type, groups[g].subtype, n))
			return (size_t)snprintf(buf, size, "%s%s", groups[g].prefix,
						groups[g].names[n]);
	if (n <= FCSR && (type == TYPE_FP_F || type == TYPE_FP_D)) {
		const char *letter = type == TYPE_FP_F ? "f" : "d";
		uint64_t same = 0;
		char name[8];

		(void)snprintf(name, sizeof(name), n == FCSR ? "%s.fcsr" : "%s.%u",
			       letter, n);
		if (find_float(name, &same) == 0 && same == id)
			return (size_t)snprintf(buf, size, "%s", name);
	}
	if (size > 0)
		buf[0] = '\0';
	return 0;
}

int vmm_kvm_vcpu_riscv64_get_reg(struct vmm_kvm_vcpu *vcpu, const char *name,
				 uint64_t *out)
{
	uint64_t id = 0, value = 0;
	int ret;

	if (vcpu->sys->arch != KVM_ARCH_RISCV64)
		return -EOPNOTSUPP;
	ret = vmm_kvm_riscv64_reg_by_name(name, &id);
	if (ret == 0)
		ret = vmm_kvm_vcpu_get_one_reg(vcpu, id, &value, sizeof(value));
	if (ret == 0)
		*out = value;
	return ret;
}

int vmm_kvm_vcpu_riscv64_set_reg(struct vmm_kvm_vcpu *vcpu, const char *name,
				 uint64_t value)
{
	uint64_t id = 0;
	int ret;

	if (vcpu->sys->arch != KVM_ARCH_RISCV64)
		return -EOPNOTSUPP;
	ret = vmm_kvm_riscv64_reg_by_name(name, &id);
	if (ret == 0 && vmm_kvm_reg_size(id) < sizeof(value) && value > UINT32_MAX)
		ret = -EINVAL;
	return ret == 0 ? vmm_kvm_vcpu_set_one_reg(vcpu, id, &value, sizeof(value)) : ret;
}

int vmm_kvm_vcpu_riscv64_setup(struct vmm_kvm_vcpu *vcpu,
			       const struct vmm_kvm_riscv64_boot *boot,
			       struct vmm_error *err)
{
	struct vmm_kvm_riscv64_boot b = VMM_KVM_RISCV64_BOOT_INIT;
	int ret = boot ? kvm_options_read(&b, sizeof(b), boot) : 0;

	if (ret < 0)
		return vmm_error_set(err, ret, "boot state of unknown layout");
	if (vcpu->sys->arch != KVM_ARCH_RISCV64)
		return vmm_error_set(err, -EOPNOTSUPP, "not a riscv64 host");
	if (boot) {
		ret = vmm_kvm_vcpu_riscv64_set_reg(vcpu, "pc", b.pc);
		if (ret == 0)
			ret = vmm_kvm_vcpu_riscv64_set_reg(vcpu, "a0", vcpu->id);
		if (ret == 0)
			ret = vmm_kvm_vcpu_riscv64_set_reg(vcpu, "a1", b.a1);
	}
	if (ret == 0)
		ret = vmm_kvm_vcpu_set_mp_state(vcpu, boot ? KVM_MP_STATE_RUNNABLE
							   : KVM_MP_STATE_STOPPED);
	return ret < 0 ? vmm_error_at(err, ret, vcpu->id, 0, 0,
				      "vCPU %u: cannot set the boot registers: %s",
				      vcpu->id, strerrordesc_np(-ret))
		       : 0;
}

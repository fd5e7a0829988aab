/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "options.h"
#include "plan.h"
#include "probe.h"
#include "unpack.h"

#define FLAGS (VMM_LOAD_RAW | VMM_LOAD_RAW_END)

static bool is_wrapper(uint32_t format)
{
	return format >= VMM_LOAD_FORMAT_ZBOOT && format <= VMM_LOAD_FORMAT_LZO;
}

static int refuse_other(const struct load_input *in,
			const struct vmm_load_probe_result *p, struct vmm_error *err)
{
	if (p->format == VMM_LOAD_FORMAT_UNKNOWN)
		return vmm_error_set(err, -ENOEXEC,
				     "%s: not a kernel: none of the known formats",
				     in->name);
	return vmm_error_at(
	    err, -EOPNOTSUPP, 0, 0, p->detail,
	    is_wrapper(p->format) && p->supported
		? "%s: compressed more than once: %s"
		: "%s: recognised, but cannot be loaded by this build: %s",
	    in->name, p->description);
}

/* An ELF of the wrong machine is refused by its own loader, which says more. */
static int check_arch(const struct load_input *in, const struct vmm_load_probe_result *p,
		      uint32_t arch, struct vmm_error *err)
{
	if (arch == VMM_LOAD_ARCH_ANY || p->format == VMM_LOAD_FORMAT_ELF ||
	    p->arch == VMM_LOAD_ARCH_ANY || p->arch == arch)
		return 0;
	return vmm_error_at(err, -ENOEXEC, 0, arch, p->arch,
			    "%s: not a kernel for this machine: %s, expected %s",
			    in->name, p->description, load_arch_name(arch));
}

static int make_plan(const struct load_format_args *args,
		     const struct vmm_load_probe_result *p, struct load_plan *plan,
		     struct vmm_load_result *result, struct vmm_error *err)
{
	switch (p->format) {
	case VMM_LOAD_FORMAT_RAW:
		return load_plan_raw(args, plan, result, err);
	case VMM_LOAD_FORMAT_ELF:
		return load_plan_elf(args, plan, result, err);
	case VMM_LOAD_FORMAT_BZIMAGE:
		return load_plan_bzimage(args, plan, result, err);
	case VMM_LOAD_FORMAT_ARM64_IMAGE:
	case VMM_LOAD_FORMAT_RISCV_IMAGE:
		return load_plan_image(args, p->format, plan, result, err);
	default:
		return refuse_other(args->in, p, err);
	}
}

static int load_input(const struct vmm_mem *mem, const struct load_input *in,
		      const struct vmm_load_probe_result *probe,
		      const struct vmm_load_kernel_opts *opts,
		      struct vmm_load_result *out, struct vmm_error *err)
{
	struct load_format_args args = { in, opts, mem };
	struct load_plan plan = { .min_gpa = opts->min_gpa };
	struct vmm_load_result result = {
		.entry = VMM_LOAD_NONE,
		.entry32 = VMM_LOAD_NONE,
		.pvh_entry = VMM_LOAD_NONE,
	};
	int ret = check_arch(in, probe, opts->arch, err);

	if (ret < 0)
		return ret;
	result.format = probe->format;
	result.arch = probe->format == VMM_LOAD_FORMAT_RAW ? opts->arch : probe->arch;
	if (plan.min_gpa == 0 && probe->arch == VMM_LOAD_ARCH_X86_64)
		plan.min_gpa = UINT64_C(1) << 20;

	ret = make_plan(&args, probe, &plan, &result, err);
	if (ret == 0)
		ret = load_plan_check(&plan, in, mem, opts->map, err);
	if (ret == 0)
		ret = load_plan_commit(&plan, in, mem, opts->map, err);
	if (ret < 0)
		return ret;
	load_plan_span(&plan, &result.first_gpa, &result.last_gpa);
	*out = result;
	return 0;
}

/* Where the compressed kernel lies in its wrapper: all of it, or what zboot names. */
static int find_payload(const struct load_input *in,
			const struct vmm_load_probe_result *p, uint32_t *out_format,
			struct vmm_load_range *out, struct vmm_error *err)
{
	uint8_t h[64];
	int ret;

	*out_format = p->format;
	*out = (struct vmm_load_range){ 0, in->size };
	if (p->format != VMM_LOAD_FORMAT_ZBOOT)
		return 0;
	ret = load_input_read(in, 0, h, sizeof(h), "zboot header", err);
	if (ret < 0)
		return ret;
	*out_format = load_unpack_format_by_name((const char *)h + 24);
	*out = (struct vmm_load_range){ get_le32(h + 8), get_le32(h + 12) };
	return load_input_check(in, out->gpa, out->len, "zboot payload", err);
}

/* Unpacks a wrapper, once: what comes out is a kernel or refused. */
static int load_wrapped(const struct vmm_mem *mem, const struct load_input *in,
			const struct vmm_load_probe_result *probe,
			const struct vmm_load_kernel_opts *opts,
			struct vmm_load_result *out, struct vmm_error *err)
{
	struct vmm_load_probe_result inside;
	struct vmm_load_range payload;
	struct vmm_load_result result;
	struct unpacked unpacked;
	struct load_input inner;
	uint32_t format;
	int ret = find_payload(in, probe, &format, &payload, err);

	if (ret == 0)
		ret = load_unpack(in, format, payload.gpa, payload.len,
				  opts->unpack_max ? opts->unpack_max
						   : VMM_LOAD_UNPACK_DEFAULT,
				  &unpacked, err);
	if (ret < 0)
		return ret;
	inner = (struct load_input){ in->name, -1, unpacked.data, unpacked.len };
	ret = load_probe_input(&inner, &inside, err);
	if (ret == 0)
		ret = load_input(mem, &inner, &inside, opts, &result, err);
	free(unpacked.data);
	if (ret < 0)
		return ret;
	result.wrapper = probe->format;
	*out = result;
	return 0;
}

int vmm_load_kernel(const struct vmm_mem *mem, const struct vmm_load_source *source,
		    const struct vmm_load_kernel_opts *opts, struct vmm_load_result *out,
		    struct vmm_error *err)
{
	struct vmm_load_kernel_opts o = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_probe_result probe;
	struct load_input in;
	int ret = opts ? load_options_copy(&o, sizeof(o), opts) : 0;

	if (ret < 0)
		return vmm_error_set(err, ret, "kernel: unknown option structure size");
	if (o.arch > VMM_LOAD_ARCH_RISCV64)
		return vmm_error_at(err, -EINVAL, 0, VMM_LOAD_ARCH_RISCV64, o.arch,
				    "kernel: no such machine: %u", o.arch);
	if (o.flags & ~FLAGS || o.flags == VMM_LOAD_RAW_END)
		return vmm_error_at(err, -EINVAL, 0, FLAGS, o.flags,
				    "kernel: unknown flags 0x%x", o.flags);

	ret = load_input_open(source, &in, err);
	if (ret == 0 && (o.flags & VMM_LOAD_RAW)) {
		/* Its bytes may look like anything; nobody asks. */
		probe = (struct vmm_load_probe_result){ .format = VMM_LOAD_FORMAT_RAW };
		return load_input(mem, &in, &probe, &o, out, err);
	}
	if (ret == 0)
		ret = load_probe_input(&in, &probe, err);
	if (ret < 0)
		return ret;
	if (probe.supported && is_wrapper(probe.format))
		return load_wrapped(mem, &in, &probe, &o, out, err);
	return load_input(mem, &in, &probe, &o, out, err);
}

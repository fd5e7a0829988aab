/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef PROBES_H
#define PROBES_H

#include <stdint.h>

/* Places where a tracer can look in (docs/tracing.md lists them): an instruction that does
 * nothing, and a note in the ELF file that says where it is and where its arguments are.
 * Without the Meson feature `usdt` there is nothing, and no argument is evaluated; so an
 * argument has no side effects, and is something that is at hand anyway. */
#ifdef VMM_USDT
#include <sys/sdt.h>

#define PROBE1(name, a) DTRACE_PROBE1(libvmm_kvm, name, a)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(libvmm_kvm, name, a, b, c)
#else
#define PROBE1(name, a) ((void)sizeof(a))
#define PROBE3(name, a, b, c) ((void)sizeof(a), (void)sizeof(b), (void)sizeof(c))
#endif

/* In a register: memory that we have not touched yet, such as a run page before the first
 * exit, is not there for a tracer, which may not fault. */
static inline uint32_t probe_value(uint32_t value)
{
	__asm__("" : "+r"(value));
	return value;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef PROBES_H
#define PROBES_H

/* Places where a tracer can look in (docs/tracing.md lists them): an instruction that does
 * nothing, and a note in the ELF file that says where it is and where its arguments are.
 * Without the Meson feature `usdt` there is nothing, and no argument is evaluated; so an
 * argument has no side effects, and is something that is at hand anyway. */
#ifdef VMM_USDT
#include <sys/sdt.h>

#define PROBE2(name, a, b) DTRACE_PROBE2(libvmm_event, name, a, b)
#define PROBE4(name, a, b, c, d) DTRACE_PROBE4(libvmm_event, name, a, b, c, d)
#else
#define PROBE2(name, a, b) ((void)sizeof(a), (void)sizeof(b))
#define PROBE4(name, a, b, c, d) \
	((void)sizeof(a), (void)sizeof(b), (void)sizeof(c), (void)sizeof(d))
#endif

/* Around each call of a function of the program's. */
#define PROBE_BEGIN(s) PROBE4(callback_begin, (s)->loop, (s)->kind, (s)->fn.plain, s)
#define PROBE_END(s) PROBE2(callback_end, (s)->loop, (s)->kind)

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef PROBES_H
#define PROBES_H

/* Places where a tracer can look in (docs/tracing.md lists them): an instruction that does
 * nothing, and a note in the ELF file that says where it is and where its arguments are.
 * Without the Meson feature `usdt` there is nothing, and no argument is evaluated; so an
 * argument has no side effects, and is something that is at hand anyway. */
#ifdef VMM_USDT
#include <sys/sdt.h>

#define PROBE3(name, a, b, c) DTRACE_PROBE3(libvmm_virtio, name, a, b, c)
#else
#define PROBE3(name, a, b, c) ((void)sizeof(a), (void)sizeof(b), (void)sizeof(c))
#endif

#endif

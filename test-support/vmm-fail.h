/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_FAIL_H
#define VMM_FAIL_H

/*
 * Makes the Nth allocation of a library fail. For unit tests named fail-X of a library
 * whose meson.build lists the functions in `wraps`. A scenario is run with N = 1, 2, 3
 * ... until it succeeds, so every path on which memory runs out is taken:
 *
 *   for (unsigned n = 1; vmm_fail_at(n), scenario() < 0; n++)
 *           ;
 */

#include <stdlib.h>

static unsigned vmm_fail_countdown;

/* Let the @p nth allocation from now on fail, once; 0: none. */
static inline void vmm_fail_at(unsigned nth)
{
	vmm_fail_countdown = nth;
}

static inline int vmm_fail_now(void)
{
	return vmm_fail_countdown != 0 && --vmm_fail_countdown == 0;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	return vmm_fail_now() ? NULL : __real_calloc(count, size);
}

#ifdef VMM_FAIL_REALLOC
void *__wrap_realloc(void *old, size_t size)
{
	return vmm_fail_now() ? NULL : __real_realloc(old, size);
}
#endif

#ifdef VMM_FAIL_ALIGNED_ALLOC
void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return vmm_fail_now() ? NULL : __real_aligned_alloc(align, size);
}
#endif

#endif

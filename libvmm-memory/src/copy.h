/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MEM_COPY_H
#define MEM_COPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Copies whose one side is guest memory. Up to eight bytes go in the largest pieces
 * that the guest address is aligned to, each by one access, so that an index or flag
 * that the guest changes meanwhile is seen old or new, never half. memcpy() may copy
 * such bytes one at a time. What is longer has no such promise.
 */

#define MEM_COPY_SMALL 8u

static inline void mem_copy_small_from(uint8_t *to, const uint8_t *from, size_t len)
{
	while (len > 0) {
		size_t at = (uintptr_t)from | len;

		if ((at & 7) == 0) {
			uint64_t v = __atomic_load_n((const uint64_t *)(const void *)from,
						     __ATOMIC_RELAXED);

			memcpy(to, &v, sizeof(v));
			return;
		}
		/* The piece is bounded by the alignment and by what is left. */
		if (len >= 4 && ((uintptr_t)from & 3) == 0) {
			uint32_t v = __atomic_load_n((const uint32_t *)(const void *)from,
						     __ATOMIC_RELAXED);

			memcpy(to, &v, sizeof(v));
			from += 4, to += 4, len -= 4;
		} else if (len >= 2 && ((uintptr_t)from & 1) == 0) {
			uint16_t v = __atomic_load_n((const uint16_t *)(const void *)from,
						     __ATOMIC_RELAXED);

			memcpy(to, &v, sizeof(v));
			from += 2, to += 2, len -= 2;
		} else {
			*to = __atomic_load_n(from, __ATOMIC_RELAXED);
			from++, to++, len--;
		}
	}
}

static inline void mem_copy_small_to(uint8_t *to, const uint8_t *from, size_t len)
{
	while (len > 0) {
		size_t at = (uintptr_t)to | len;

		if ((at & 7) == 0) {
			uint64_t v;

			memcpy(&v, from, sizeof(v));
			__atomic_store_n((uint64_t *)(void *)to, v, __ATOMIC_RELAXED);
			return;
		}
		if (len >= 4 && ((uintptr_t)to & 3) == 0) {
			uint32_t v;

			memcpy(&v, from, sizeof(v));
			__atomic_store_n((uint32_t *)(void *)to, v, __ATOMIC_RELAXED);
			from += 4, to += 4, len -= 4;
		} else if (len >= 2 && ((uintptr_t)to & 1) == 0) {
			uint16_t v;

			memcpy(&v, from, sizeof(v));
			__atomic_store_n((uint16_t *)(void *)to, v, __ATOMIC_RELAXED);
			from += 2, to += 2, len -= 2;
		} else {
			__atomic_store_n(to, *from, __ATOMIC_RELAXED);
			from++, to++, len--;
		}
	}
}

static inline void mem_copy_from(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len <= MEM_COPY_SMALL)
		mem_copy_small_from(to, from, len);
	else
		memcpy(to, from, len);
}

static inline void mem_copy_to(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len <= MEM_COPY_SMALL)
		mem_copy_small_to(to, from, len);
	else
		memcpy(to, from, len);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef MEM_SCALAR_H
#define MEM_SCALAR_H

/*
 * Single numbers in guest memory. A naturally aligned one is moved by one access, which
 * is what keeps it whole; other addresses have no such promise.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <vmm/memory-typed.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define mem_swap8(v) (v)
#define mem_swap16(v) (v)
#define mem_swap32(v) (v)
#define mem_swap64(v) (v)
#else
#define mem_swap8(v) (v)
#define mem_swap16(v) __builtin_bswap16(v)
#define mem_swap32(v) __builtin_bswap32(v)
#define mem_swap64(v) __builtin_bswap64(v)
#endif
#define mem_same8(v) (v)
#define mem_same16(v) (v)
#define mem_same32(v) (v)
#define mem_same64(v) (v)

/* Orders that a load or store cannot have become the strongest. */
#define MEM_DEFINE_SCALAR(bits)                                                         \
	static inline uint##bits##_t mem_get##bits(const uint8_t *p)                    \
	{                                                                               \
		uint##bits##_t v;                                                       \
                                                                                        \
		if (__builtin_expect((uintptr_t)p % sizeof(v) == 0, 1))                 \
			return __atomic_load_n((const uint##bits##_t *)(const void *)p, \
					       __ATOMIC_RELAXED);                       \
		memcpy(&v, p, sizeof(v));                                               \
		return v;                                                               \
	}                                                                               \
	static inline void mem_put##bits(uint8_t *p, uint##bits##_t v)                  \
	{                                                                               \
		if (__builtin_expect((uintptr_t)p % sizeof(v) == 0, 1))                 \
			__atomic_store_n((uint##bits##_t *)(void *)p, v,                \
					 __ATOMIC_RELAXED);                             \
		else                                                                    \
			memcpy(p, &v, sizeof(v));                                       \
	}                                                                               \
	static inline uint##bits##_t mem_load##bits(const uint8_t *at, int order)       \
	{                                                                               \
		const uint##bits##_t *p = (const uint##bits##_t *)(const void *)at;     \
                                                                                        \
		if (order == VMM_MEM_RELAXED)                                           \
			return __atomic_load_n(p, __ATOMIC_RELAXED);                    \
		if (order == VMM_MEM_ACQUIRE)                                           \
			return __atomic_load_n(p, __ATOMIC_ACQUIRE);                    \
		return __atomic_load_n(p, __ATOMIC_SEQ_CST);                            \
	}                                                                               \
	static inline void mem_store##bits(uint8_t *at, uint##bits##_t v, int order)    \
	{                                                                               \
		uint##bits##_t *p = (uint##bits##_t *)(void *)at;                       \
                                                                                        \
		if (order == VMM_MEM_RELAXED)                                           \
			__atomic_store_n(p, v, __ATOMIC_RELAXED);                       \
		else if (order == VMM_MEM_RELEASE)                                      \
			__atomic_store_n(p, v, __ATOMIC_RELEASE);                       \
		else                                                                    \
			__atomic_store_n(p, v, __ATOMIC_SEQ_CST);                       \
	}

MEM_DEFINE_SCALAR(8)
MEM_DEFINE_SCALAR(16)
MEM_DEFINE_SCALAR(32)
MEM_DEFINE_SCALAR(64)

#endif

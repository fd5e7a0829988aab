/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_BASE_H
#define VMM_BASE_H

/**
 * @file vmm/base.h
 * What every public header of the suite needs from the compiler, and the one
 * error detail that cold calls hand out. Header only; valid C11 and C++11, quiet
 * under -Wpedantic.
 *
 * Results: functions that can fail return 0 or a negative errno value (`-EINVAL`)
 * and neither read nor set errno. Output parameters come last, start with `out`,
 * stay untouched on failure and are always set on success.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
#define VMM_BEGIN_DECLS extern "C" {
#define VMM_END_DECLS }
#else
#define VMM_BEGIN_DECLS
#define VMM_END_DECLS
#endif

/** On every exported declaration; all else is hidden by -fvisibility=hidden. */
#define VMM_API __attribute__((visibility("default")))

/** The result says whether the call worked: dropping it is a warning. */
#define VMM_MUST_USE __attribute__((warn_unused_result))

/** Check the arguments of a function that formats like printf(). */
#define VMM_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/** Mark a function that a later release removes; @p instead says what to call. */
#define VMM_DEPRECATED(instead) __attribute__((deprecated(instead)))

/** Run the `p` variant of destructor @p fn when the variable leaves its scope. */
#define VMM_CLEANUP(fn) __attribute__((cleanup(fn##p)))

/** Define that variant: `fnp(struct tag **)`, which skips NULL. */
#define VMM_DEFINE_CLEANUP(tag, fn)                \
	static inline void fn##p(struct tag **obj) \
	{                                          \
		if (*obj)                          \
			fn(*obj);                  \
	}

VMM_BEGIN_DECLS

/**
 * What went wrong in a cold call, for a human and for a program. Plain data of 256
 * bytes, owned by the caller; no heap, no thread-local state. Functions that take
 * one accept NULL, fill it only when they fail, and return the same code.
 */
struct vmm_error {
	/** The negative errno value that the call returned. */
	int32_t code;
	/** Zero. */
	uint32_t reserved_;
	/** Where: a file offset, guest physical address, id or number, as the message
	 *  says; 0 where there is no such place. */
	uint64_t where;
	/** What was needed, where that is a number; else 0. */
	uint64_t wanted;
	/** What was found, where that is a number; else 0. */
	uint64_t got;
	/** One line in English, without a newline; cut at the end if it is longer. */
	char message[224];
};

/**
 * Fill @p err, for libraries and back ends that report errors this way.
 *
 * @param err     the error; NULL does nothing
 * @param code    negative errno value
 * @param where   see struct vmm_error
 * @param wanted  see struct vmm_error
 * @param got     see struct vmm_error
 * @param format  as printf()
 * @return @p code, so that a caller can write `return vmm_error_at(...)`
 */
VMM_PRINTF(6, 7)
static inline int vmm_error_at(struct vmm_error *err, int code, uint64_t where,
			       uint64_t wanted, uint64_t got, const char *format, ...)
{
	va_list args;

	if (err) {
		err->code = code;
		err->reserved_ = 0;
		err->where = where;
		err->wanted = wanted;
		err->got = got;
		va_start(args, format);
		(void)vsnprintf(err->message, sizeof(err->message), format, args);
		va_end(args);
	}
	return code;
}

/** vmm_error_at() without numbers: `vmm_error_set(err, -EINVAL, "no kernel")`. */
#define vmm_error_set(err, code, ...) vmm_error_at((err), (code), 0, 0, 0, __VA_ARGS__)

VMM_END_DECLS

#endif

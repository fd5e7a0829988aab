/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SIO_INTERNAL_H
#define SIO_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmm/superio.h>

#define sio_likely(x) __builtin_expect(!!(x), 1)
#define sio_unlikely(x) __builtin_expect(!!(x), 0)

/* Zeroed memory for an object; NULL if there is none. */
void *sio_alloc(size_t size);

/* Copy a caller's struct that starts with its size into @dst of @known bytes. NULL gives
 * zeros. -EINVAL: the size is too small to be one; -E2BIG: an unknown tail is set. */
int sio_opts_in(void *dst, size_t known, const void *src);

/* Copy a caller's state of at least @known bytes whose version must be @version. The
 * struct starts with size_t size and uint32_t version. */
int sio_state_in(void *dst, size_t known, uint32_t version, const void *src,
		 struct vmm_error *err);

/* Hand a state of @known bytes out to the caller's @dst, whose size is set. */
int sio_state_out(void *dst, const void *src, size_t known);

/* Hand counters out: as many as the caller's @dst has, whose size is set. */
void sio_stats_out(void *dst, const void *src, size_t known);

/* Take and check the options of a UART; the ring's default is filled in. */
int sio_serial_opts_in(struct vmm_sio_serial_opts *o, struct vmm_sio_serial_ops *ops,
		       const struct vmm_sio_serial_opts *opts);

/* Refuse a state: fill @err with what is wrong. */
int sio_bad_state(struct vmm_error *err, const char *what, uint64_t got);

/* True if @len bytes at @p are all zero. */
bool sio_is_zero(const void *p, size_t len);

/* The clock that devices use when none is given: nanoseconds since boot, suspended time
 * included, so that a guest's clock neither steps with the host's nor stops in suspend.
 */
uint64_t sio_boottime_ns(void *ctx);

/* Seconds and nanoseconds since 1970 by the host's clock. */
void sio_wall_clock(int64_t *seconds, uint32_t *ns);

#endif

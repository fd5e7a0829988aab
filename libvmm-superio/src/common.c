/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "fifo.h"
#include "internal.h"
#include "ring.h"

bool sio_is_zero(const void *p, size_t len)
{
	const uint8_t *b = p;

	/* All equal to the first, which is 0. */
	return len == 0 || (b[0] == 0 && memcmp(b, b + 1, len - 1) == 0);
}

int sio_opts_in(void *dst, size_t known, const void *src)
{
	size_t size;

	memset(dst, 0, known);
	if (!src)
		return 0;

	memcpy(&size, src, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	if (size > known && !sio_is_zero((const uint8_t *)src + known, size - known))
		return -E2BIG;

	memcpy(dst, src, size < known ? size : known);
	return 0;
}

int sio_state_in(void *dst, size_t known, uint32_t version, const void *src,
		 struct vmm_error *err)
{
	uint32_t got;
	size_t size;

	memcpy(&size, src, sizeof(size));
	if (size < known)
		return vmm_error_at(err, -EINVAL, 0, known, size,
				    "state of %zu bytes, version 1 has %zu", size, known);

	memcpy(&got, (const uint8_t *)src + sizeof(size), sizeof(got));
	if (got != version)
		return vmm_error_at(err, -EOPNOTSUPP, 0, version, got,
				    "state version %u, this library knows %u", got,
				    version);

	if (!sio_is_zero((const uint8_t *)src + known, size - known))
		return vmm_error_at(err, -E2BIG, known, known, size,
				    "state holds more than this library knows");

	memcpy(dst, src, known);
	return 0;
}

int sio_state_out(void *dst, const void *src, size_t known)
{
	size_t size;

	memcpy(&size, dst, sizeof(size));
	if (size < known)
		return -EINVAL;

	memset(dst, 0, size);
	memcpy(dst, src, known);
	memcpy(dst, &size, sizeof(size));
	return 0;
}

void sio_stats_out(void *dst, const void *src, size_t known)
{
	size_t size;

	memcpy(&size, dst, sizeof(size));
	if (size < sizeof(size))
		return;
	memset(dst, 0, size);
	memcpy(dst, src, size < known ? size : known);
	memcpy(dst, &size, sizeof(size));
}

int sio_serial_opts_in(struct vmm_sio_serial_opts *o, struct vmm_sio_serial_ops *ops,
		       const struct vmm_sio_serial_opts *opts)
{
	int ret;

	ret = sio_opts_in(o, sizeof(*o), opts);
	if (ret < 0)
		return ret;
	ret = sio_opts_in(ops, sizeof(*ops), o->ops);
	if (ret < 0)
		return ret;
	if (o->output_ring == 0)
		o->output_ring = VMM_SIO_SERIAL_RING_DEFAULT;
	if (!sio_ring_size_ok(o->output_ring, VMM_SIO_SERIAL_RING_MIN,
			      VMM_SIO_SERIAL_RING_MAX))
		return -EINVAL;
	if (o->overflow > VMM_SIO_OVERFLOW_DROP || o->flow > VMM_SIO_FLOW_NONE)
		return -EINVAL;
	return 0;
}

void sio_fifo_save(const struct sio_fifo *f, uint16_t *out)
{
	for (uint32_t i = 0; i < sio_fifo_len(f); i++)
		out[i] = *sio_fifo_at(f, i);
}

void sio_fifo_load(struct sio_fifo *f, const uint16_t *in, uint32_t len)
{
	f->head = f->tail = 0;
	for (uint32_t i = 0; i < len; i++)
		sio_fifo_push(f, in[i]);
}

bool sio_fifo_check(const uint16_t *in, uint32_t len, uint32_t max, uint32_t mask)
{
	if (len > max)
		return false;
	for (uint32_t i = 0; i < len; i++) {
		if (in[i] & ~mask)
			return false;
	}
	return sio_is_zero(in + len, (max - len) * sizeof(in[0]));
}

int sio_bad_state(struct vmm_error *err, const char *what, uint64_t got)
{
	return vmm_error_at(err, -EBADMSG, 0, 0, got, "impossible state: %s is %#llx",
			    what, (unsigned long long)got);
}

uint64_t sio_boottime_ns(void *ctx)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

void sio_wall_clock(int64_t *seconds, uint32_t *ns)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	*seconds = ts.tv_sec;
	*ns = (uint32_t)ts.tv_nsec;
}

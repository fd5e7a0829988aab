/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "irq.h"

/* A table entry, PCI 3.0, 6.8.2.6 to 6.8.2.9: address, data, vector control. */
#define ENTRY_LEN 16u
#define CONTROL_MASKED 1u

struct vector {
	struct vmm_irq_vector state;
	/* The route of its GSI is not what state says. */
	bool stale;
};

struct vmm_irq_vectors {
	struct vmm_irq_router *router;
	uint32_t count, first_gsi;
	pthread_mutex_t lock;
	bool enabled, masked;
	/* Room for a batch of routes. */
	struct vmm_irq_route *batch;
	struct vector v[];
};

int vmm_irq_vectors_new(struct vmm_irq_router *router, uint32_t count, uint32_t first_gsi,
			struct vmm_irq_vectors **out)
{
	struct vmm_irq_vectors *vs;

	if (count == 0 || count > VMM_IRQ_VECTORS_MAX)
		return -EINVAL;
	if (first_gsi != VMM_IRQ_NO_GSI &&
	    (first_gsi >= router->count || count > router->count - first_gsi))
		return -EINVAL;
	vs = calloc(1, sizeof(*vs) + count * sizeof(vs->v[0]));
	if (!vs)
		return -ENOMEM;
	vs->batch = calloc(count, sizeof(*vs->batch));
	if (!vs->batch) {
		free(vs);
		return -ENOMEM;
	}
	vs->router = router;
	vs->count = count;
	vs->first_gsi = first_gsi;
	for (uint32_t i = 0; i < count; i++) {
		vs->v[i].state.masked = 1;
		vs->v[i].stale = first_gsi != VMM_IRQ_NO_GSI;
	}
	(void)pthread_mutex_init(&vs->lock, NULL);
	*out = vs;
	return 0;
}

void vmm_irq_vectors_free(struct vmm_irq_vectors *vectors)
{
	if (!vectors)
		return;
	(void)pthread_mutex_destroy(&vectors->lock);
	free(vectors->batch);
	free(vectors);
}

static bool live(const struct vmm_irq_vectors *vs, uint32_t i)
{
	return vs->enabled && !vs->masked && !vs->v[i].state.masked;
}

/* Brings the routes of all live vectors up to date, in one call of the back end. */
static int refresh_routes(struct vmm_irq_vectors *vs)
{
	size_t n = 0;
	int ret;

	for (uint32_t i = 0; i < vs->count; i++) {
		if (live(vs, i) && vs->v[i].stale)
			vs->batch[n++] = (struct vmm_irq_route){
				.gsi = vs->first_gsi + i,
				.kind = VMM_IRQ_ROUTE_MSI,
				.msi = vs->v[i].state.msi,
			};
	}
	if (n == 0)
		return 0;
	ret = vmm_irq_router_update(vs->router, vs->batch, n, NULL);
	for (size_t i = 0; ret == 0 && i < n; i++)
		vs->v[vs->batch[i].gsi - vs->first_gsi].stale = false;
	return ret;
}

/* Sends a live vector; it stays pending if that fails. */
static int deliver(struct vmm_irq_vectors *vs, uint32_t i)
{
	struct vmm_irq_router *r = vs->router;
	int ret = vs->v[i].stale ? refresh_routes(vs) : 0;

	if (ret < 0)
		return ret;
	if (vs->first_gsi != VMM_IRQ_NO_GSI)
		ret = irq_trigger(r, vs->first_gsi + i);
	else if (r->backend.send_msi)
		ret = r->backend.send_msi(r->ctx, &vs->v[i].state.msi);
	else
		ret = -EOPNOTSUPP;
	if (ret == 0)
		vs->v[i].state.pending = 0;
	return ret;
}

/* After any change: routes first, then what has waited. */
static int settle(struct vmm_irq_vectors *vs)
{
	int ret = refresh_routes(vs);

	for (uint32_t i = 0; i < vs->count; i++) {
		int sent = live(vs, i) && vs->v[i].state.pending ? deliver(vs, i) : 0;

		ret = ret < 0 ? ret : sent;
	}
	return ret;
}

int vmm_irq_vectors_raise(struct vmm_irq_vectors *vectors, uint32_t vector)
{
	int ret = 0;

	if (vector >= vectors->count)
		return -EINVAL;
	(void)pthread_mutex_lock(&vectors->lock);
	if (vectors->enabled) {
		vectors->v[vector].state.pending = 1;
		if (live(vectors, vector))
			ret = deliver(vectors, vector);
	} else {
		ret = -EAGAIN;
	}
	(void)pthread_mutex_unlock(&vectors->lock);
	return ret;
}

int vmm_irq_vectors_set_control(struct vmm_irq_vectors *vectors, bool enabled,
				bool masked)
{
	int ret;

	(void)pthread_mutex_lock(&vectors->lock);
	vectors->enabled = enabled;
	vectors->masked = masked;
	for (uint32_t i = 0; !enabled && i < vectors->count; i++)
		vectors->v[i].state.pending = 0;
	ret = settle(vectors);
	(void)pthread_mutex_unlock(&vectors->lock);
	return ret;
}

int vmm_irq_vectors_get(struct vmm_irq_vectors *vectors, uint32_t vector,
			struct vmm_irq_vector *out)
{
	if (vector >= vectors->count)
		return -EINVAL;
	(void)pthread_mutex_lock(&vectors->lock);
	*out = vectors->v[vector].state;
	(void)pthread_mutex_unlock(&vectors->lock);
	return 0;
}

static bool state_ok(const struct vmm_irq_vector *s)
{
	for (size_t i = 0; i < sizeof(s->reserved_); i++) {
		if (s->reserved_[i])
			return false;
	}
	return s->msi.addr % 4 == 0 && s->masked <= 1 && s->pending <= 1;
}

/* A new message makes the route of a vector with a GSI stale. */
static void set_message(struct vmm_irq_vectors *vs, uint32_t i,
			const struct vmm_irq_msi *msi)
{
	struct vmm_irq_msi *old = &vs->v[i].state.msi;

	if (old->addr == msi->addr && old->data == msi->data && old->devid == msi->devid)
		return;
	*old = *msi;
	vs->v[i].stale = vs->first_gsi != VMM_IRQ_NO_GSI;
}

int vmm_irq_vectors_restore(struct vmm_irq_vectors *vectors,
			    const struct vmm_irq_vector *states, size_t count,
			    struct vmm_error *err)
{
	int ret;

	if (count != vectors->count)
		return vmm_error_at(err, -EBADMSG, 0, vectors->count, count,
				    "saved vectors: %zu instead of %u", count,
				    vectors->count);
	for (size_t i = 0; i < count; i++) {
		if (!state_ok(&states[i]))
			return vmm_error_at(err, -EBADMSG, i, 0, 0,
					    "saved vector %zu is malformed", i);
	}
	(void)pthread_mutex_lock(&vectors->lock);
	for (uint32_t i = 0; i < vectors->count; i++) {
		set_message(vectors, i, &states[i].msi);
		vectors->v[i].state = states[i];
	}
	ret = settle(vectors);
	(void)pthread_mutex_unlock(&vectors->lock);
	if (ret < 0)
		return vmm_error_set(err, ret, "the back end failed to send");
	return 0;
}

static uint32_t get_dword(const struct vmm_irq_vector *s, uint32_t which)
{
	switch (which) {
	case 0:
		return (uint32_t)s->msi.addr;
	case 1:
		return (uint32_t)(s->msi.addr >> 32);
	case 2:
		return s->msi.data;
	default:
		return s->masked ? CONTROL_MASKED : 0;
	}
}

static void set_dword(struct vmm_irq_vectors *vs, uint32_t i, uint32_t which,
		      uint32_t value)
{
	struct vmm_irq_msi msi = vs->v[i].state.msi;

	switch (which) {
	case 0:
		/* Bits 1:0 are zero by specification. */
		msi.addr = (msi.addr & ~UINT64_C(0xffffffff)) | (value & ~UINT32_C(3));
		break;
	case 1:
		msi.addr = (msi.addr & UINT64_C(0xffffffff)) | (uint64_t)value << 32;
		break;
	case 2:
		msi.data = value;
		break;
	default:
		vs->v[i].state.masked = value & CONTROL_MASKED ? 1 : 0;
		break;
	}
	set_message(vs, i, &msi);
}

static bool aligned(uint64_t offset, size_t len)
{
	return (len == 4 || len == 8) && offset % len == 0;
}

void vmm_irq_msix_table_read(void *vectors, uint64_t offset, void *data, size_t len)
{
	struct vmm_irq_vectors *vs = vectors;
	uint8_t *out = data;

	if (!aligned(offset, len) || offset / ENTRY_LEN >= vs->count)
		return;
	(void)pthread_mutex_lock(&vs->lock);
	for (size_t at = 0; at < len; at += 4) {
		uint32_t value = get_dword(&vs->v[offset / ENTRY_LEN].state,
					   (uint32_t)(offset + at) % ENTRY_LEN / 4);

		for (size_t b = 0; b < 4; b++)
			out[at + b] = (uint8_t)(value >> 8 * b);
	}
	(void)pthread_mutex_unlock(&vs->lock);
}

void vmm_irq_msix_table_write(void *vectors, uint64_t offset, const void *data,
			      size_t len)
{
	struct vmm_irq_vectors *vs = vectors;
	const uint8_t *in = data;
	int ret;

	if (!aligned(offset, len) || offset / ENTRY_LEN >= vs->count)
		return;
	(void)pthread_mutex_lock(&vs->lock);
	for (size_t at = 0; at < len; at += 4) {
		uint32_t value = 0;

		for (size_t b = 0; b < 4; b++)
			value |= (uint32_t)in[at + b] << 8 * b;
		set_dword(vs, (uint32_t)(offset / ENTRY_LEN),
			  (uint32_t)(offset + at) % ENTRY_LEN / 4, value);
	}
	/* What cannot be sent stays pending; the guest's write has no result. */
	ret = settle(vs);
	(void)pthread_mutex_unlock(&vs->lock);
	if (ret < 0)
		(void)__atomic_fetch_add(&vs->router->failures, 1, __ATOMIC_RELAXED);
}

void vmm_irq_msix_pba_read(void *vectors, uint64_t offset, void *data, size_t len)
{
	struct vmm_irq_vectors *vs = vectors;
	uint8_t *out = data;

	if (!aligned(offset, len) || offset / 8 > (vs->count - 1) / 64)
		return;
	memset(out, 0, len);
	(void)pthread_mutex_lock(&vs->lock);
	for (uint32_t bit = 0; bit < 8 * len; bit++) {
		uint64_t i = offset * 8 + bit;

		if (i < vs->count && vs->v[i].state.pending)
			out[bit / 8] = (uint8_t)(out[bit / 8] | 1u << bit % 8);
	}
	(void)pthread_mutex_unlock(&vs->lock);
}

int vmm_irq_msi_set(struct vmm_irq_vectors *vectors, const struct vmm_irq_msi *msi,
		    uint32_t used, uint32_t mask)
{
	int ret;

	if (used == 0 || (used & (used - 1)) != 0 || used > vectors->count ||
	    used > VMM_IRQ_MSI_MAX)
		return -EINVAL;
	(void)pthread_mutex_lock(&vectors->lock);
	for (uint32_t i = 0; i < vectors->count; i++) {
		struct vmm_irq_msi m = *msi;

		m.addr &= ~UINT64_C(3);
		m.data = (msi->data & ~(used - 1)) | (i & (used - 1));
		set_message(vectors, i, &m);
		vectors->v[i].state.masked = i >= used || (mask >> i & 1);
	}
	ret = settle(vectors);
	(void)pthread_mutex_unlock(&vectors->lock);
	return ret;
}

uint32_t vmm_irq_msi_get_pending(struct vmm_irq_vectors *vectors)
{
	uint32_t bits = 0;

	(void)pthread_mutex_lock(&vectors->lock);
	for (uint32_t i = 0; i < vectors->count && i < VMM_IRQ_MSI_MAX; i++)
		bits |= (uint32_t)vectors->v[i].state.pending << i;
	(void)pthread_mutex_unlock(&vectors->lock);
	return bits;
}

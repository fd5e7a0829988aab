/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The loop that devices have in common. */
#include "drain.h"

#include <errno.h>

#include "probes.h"
#include "transport.h"

void drain_signal(const struct drain *d)
{
	if (vmm_virtq_needs_notification(d->vq))
		vmm_virtio_transport_signal_queue(d->transport, d->index);
}

/* Returns 0, -EAGAIN for no more chains, or -EBUSY if `one` wants to stop. */
static int take_one(const struct drain *d)
{
	struct vmm_virtq_chain chain = { .iov = d->iov, .iov_max = d->iov_max };
	int ret = vmm_virtq_pop(d->vq, &chain);
	int64_t len;

	if (ret == 0) {
		len = d->one(d->ctx, &chain);
		if (len == DRAIN_HOLD)
			return 0;
		if (len == DRAIN_LATER)
			return vmm_virtq_undo_pop(d->vq, chain.token) == 0 ? -EBUSY : 0;
		ret = vmm_virtq_add_used(d->vq, chain.token, (uint32_t)len);
	}
	if (ret == -ENOTRECOVERABLE)
		vmm_virtio_transport_needs_reset(d->transport);
	/* A malformed chain was given back by the queue: go on. */
	return ret == -EAGAIN || ret == -ENOTRECOVERABLE || ret == -ENOTCONN ? -EAGAIN
									     : 0;
}

static bool must_end(const struct drain *d)
{
	return d->lock && fair_is_wanted(d->lock);
}

bool drain_queue(const struct drain *d)
{
	uint32_t budget = vmm_virtq_get_num(d->vq);
	int ret = 0;

	PROBE3(serve, d->transport->device_id, d->index, d->transport);
	vmm_virtq_disable_notification(d->vq);
	while (budget > 0 && (ret = take_one(d)) == 0)
		budget = must_end(d) ? 0 : budget - 1;
	drain_signal(d);
	return vmm_virtq_enable_notification(d->vq) && ret != -EBUSY;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * From the back end to the driver. Buffers are taken from the queue into a pool until
 * they hold the longest frame there can be, and a frame is received right into them.
 * What the driver did not offer enough room for ends up in `held`. What is left in the
 * pool at the end of a run goes back to the queue, so that none is in flight between
 * two runs.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "net.h"
#include "probes.h"

/* Ethernet header and a VLAN tag. */
#define LINK_HEADER 18u
#define MTU_DEFAULT 1500u

static void pool_reset(struct net_pool *pool, uint32_t budget)
{
	pool->first = 0;
	pool->end = 0;
	pool->iov_first = 0;
	pool->iov_end = 0;
	pool->len = 0;
	pool->drained = false;
	pool->budget = budget;
}

static bool pool_is_empty(const struct net_pool *pool)
{
	return pool->first == pool->end;
}

static bool pool_has_room(const struct net_pool *pool)
{
	return NET_IOVECS - pool->iov_end >= NET_CHAIN_IOVECS;
}

static void pool_compact(struct net_pool *pool)
{
	uint32_t n = pool->end - pool->first, iov_n = pool->iov_end - pool->iov_first;

	memmove(pool->buffers, pool->buffers + pool->first, n * sizeof(pool->buffers[0]));
	memmove(pool->iov, pool->iov + pool->iov_first, iov_n * sizeof(pool->iov[0]));
	pool->first = 0;
	pool->end = n;
	pool->iov_first = 0;
	pool->iov_end = iov_n;
}

/* A frame may need many buffers, but bad ones are for no frame. Out of the way of those
 * that are good: inline it cost 5 % of a frame over many buffers. */
static __attribute__((cold, noinline)) void count_bad(struct net_pair *p)
{
	p->stats.bad_chains++;
	if (pool_is_empty(&p->pool) && fair_is_wanted(&p->lock))
		p->pool.budget = 0;
}

/* virtio 1.2, 5.1.6.3.1: a buffer holds at least the header. */
static void pool_add(struct net_pair *p, const struct vmm_virtq_chain *chain)
{
	struct net_pool *pool = &p->pool;
	struct net_buffer *b;

	if (chain->readable_n > 0 || chain->writable_len < NET_HEADER) {
		count_bad(p);
		net_use(p, chain->token, 0);
		if (p->used.n >= NET_USED_GROUP)
			net_flush(p, p->rx);
		return;
	}
	b = &pool->buffers[pool->end++];
	b->token = chain->token;
	b->iov_n = chain->writable_n;
	b->len = (uint32_t)chain->writable_len;
	pool->iov_end += chain->writable_n;
	pool->len += chain->writable_len;
}

static void pool_pop(struct net_pair *p)
{
	struct net_pool *pool = &p->pool;
	struct vmm_virtq_chain chain = { .iov = pool->iov + pool->iov_end,
					 .iov_max = NET_CHAIN_IOVECS };
	int ret = vmm_virtq_pop(p->rx, &chain);

	if (ret == 0) {
		pool->budget--;
		pool_add(p, &chain);
		return;
	}
	if (ret == -ENOTRECOVERABLE)
		vmm_virtio_transport_needs_reset(p->net->transport);
	if (ret == -EAGAIN || ret == -ENOTRECOVERABLE) {
		pool->drained = true;
		return;
	}
	pool->budget--;
	count_bad(p);
}

/* Have room for @p need bytes, if the driver gave as much. */
static void pool_fill(struct net_pair *p, uint64_t need)
{
	struct net_pool *pool = &p->pool;

	while (pool->len < need && !pool->drained && pool->budget > 0) {
		if (!pool_has_room(pool))
			pool_compact(pool);
		if (!pool_has_room(pool))
			break;
		pool_pop(p);
	}
	if (pool->budget == 0)
		p->again = true;
}

static bool is_mergeable(const struct net_pair *p)
{
	return p->features & NET_F_MRG_RXBUF;
}

/* Room for one frame and its header. */
static uint64_t pool_room(const struct net_pair *p)
{
	const struct net_pool *pool = &p->pool;

	if (pool_is_empty(pool))
		return 0;
	return is_mergeable(p) ? pool->len : pool->buffers[pool->first].len;
}

static struct vmm_virtq_cursor pool_cursor(struct net_pair *p)
{
	struct vmm_virtq_cursor c = { p->pool.iov + p->pool.iov_first, 0, pool_room(p),
				      0 };

	return c;
}

/* Give the driver the frame of @p len bytes that is in the pool behind its header. */
static void pool_commit(struct net_pair *p, uint8_t header[NET_HEADER], uint32_t len)
{
	struct vmm_virtq_cursor c = pool_cursor(p);
	struct net_pool *pool = &p->pool;
	uint32_t left = len + NET_HEADER, n = 0;
	uint16_t le;

	while (left > 0) {
		struct net_buffer *b = &pool->buffers[pool->first + n];
		uint32_t here = left < b->len ? left : b->len;

		net_use(p, b->token, here);
		left -= here;
		n++;
	}
	le = htole16((uint16_t)n);
	memcpy(header + 10, &le, sizeof(le));
	(void)vmm_virtq_write_some(&c, header, NET_HEADER);
	for (; n > 0; n--) {
		struct net_buffer *b = &pool->buffers[pool->first++];

		pool->iov_first += b->iov_n;
		pool->len -= b->len;
	}
	if (p->used.n >= NET_USED_GROUP)
		net_flush(p, p->rx);
	p->stats.rx_frames++;
	p->stats.rx_bytes += len;
	p->owed += len;
	p->owed_n++;
}

/* Newest first. A chain cannot go back past a bad one that came behind it, so the driver
 * has it empty; one that gives bad chains can bear that. */
static void pool_give_back(struct net_pair *p)
{
	struct net_pool *pool = &p->pool;

	while (pool->end > pool->first) {
		uint64_t token = pool->buffers[--pool->end].token;

		if (vmm_virtq_undo_pop(p->rx, token) < 0)
			net_use(p, token, 0);
	}
}

/* What the limit was not asked for yet is asked for before the next frame. */
static bool rate_allows(struct net_pair *p)
{
	uint64_t wait = 0;

	if (!p->net->rx_rate ||
	    vmm_virtio_rate_take(p->net->rx_rate, p->owed, p->owed_n, &wait) == 0) {
		p->owed = 0;
		p->owed_n = 0;
		return true;
	}
	p->stats.limited++;
	net_wait(p, wait);
	return false;
}

static void starve(struct net_pair *p)
{
	p->starved = true;
	p->stats.rx_starved++;
}

/* Returns false if the frame still has to wait. One that never fits is dropped, and so is
 * one that the driver does not make room for in time: it must not block those after it. */
static bool deliver_held(struct net_pair *p)
{
	uint64_t now, need = p->held_len + (uint64_t)NET_HEADER;
	struct vmm_virtq_cursor c;

	pool_fill(p, need);
	if (pool_room(p) >= need) {
		c = pool_cursor(p);
		(void)vmm_virtq_skip(&c, NET_HEADER);
		(void)vmm_virtq_write_some(&c, p->held, p->held_len);
		pool_commit(p, p->held_header, p->held_len);
		p->held_len = 0;
		return true;
	}
	if (pool_is_empty(&p->pool)) {
		starve(p);
		return false;
	}
	now = net_now();
	if (p->held_until == 0)
		p->held_until = now + NET_HOLD_NS;
	if (is_mergeable(p) && now < p->held_until && p->pool.drained) {
		starve(p);
		net_wait(p, p->held_until - now);
		return false;
	}
	p->held_len = 0;
	p->stats.rx_dropped++;
	return true;
}

/* Header, what the pool has behind the place for it, and `held` for the rest. */
static uint32_t gather(struct net_pair *p, uint8_t header[NET_HEADER], uint64_t room)
{
	struct vmm_virtq_cursor c = pool_cursor(p);
	uint32_t n = 0;
	size_t guest_n = 0;

	if (p->net->backend.header) {
		p->iov[n].iov_base = header;
		p->iov[n++].iov_len = NET_HEADER;
	}
	if (room > 0) {
		(void)vmm_virtq_skip(&c, NET_HEADER);
		if (vmm_virtq_get_iov(&c, room, p->iov + n, NET_IOVECS, &guest_n) < 0)
			guest_n = 0;
		n += (uint32_t)guest_n;
	}
	if (room < NET_FRAME_MAX) {
		p->iov[n].iov_base = p->held + room;
		p->iov[n++].iov_len = NET_FRAME_MAX - room;
	}
	return n;
}

static void copy_from_pool(struct net_pair *p, uint8_t *to, uint64_t len)
{
	struct vmm_virtq_cursor c = pool_cursor(p);

	(void)vmm_virtq_skip(&c, NET_HEADER);
	(void)vmm_virtq_read_some(&c, to, len);
}

/* The driver can change the frame while it is looked at. It only fools itself. */
static void accept_frame(struct net_pair *p, uint8_t header[NET_HEADER], uint32_t len,
			 uint64_t room)
{
	uint8_t head[LINK_HEADER] = { 0 };

	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX || !link_is_up(p)) {
		p->stats.rx_dropped++;
		return;
	}
	if (len > room)
		copy_from_pool(p, p->held, room);
	if (len > room)
		memcpy(head, p->held, len < LINK_HEADER ? len : LINK_HEADER);
	else
		copy_from_pool(p, head, len < LINK_HEADER ? len : LINK_HEADER);
	if (!net_filter_passes(&p->filter, p->features, head, len)) {
		p->stats.rx_filtered++;
		return;
	}
	/* virtio 1.2, 5.1.6.4.1: without GUEST_CSUM there are no flags. */
	if (!(p->offloads & VMM_VIRTIO_NET_F_GUEST_CSUM))
		memset(header, 0, NET_HEADER);
	if (len <= room) {
		pool_commit(p, header, len);
		return;
	}
	memcpy(p->held_header, header, NET_HEADER);
	p->held_len = len;
	p->held_until = 0;
}

static bool receive(struct net_pair *p)
{
	struct vmm_virtio_net *net = p->net;
	uint32_t extra = net->backend.header ? NET_HEADER : 0;
	uint8_t header[NET_HEADER] = { 0 };
	uint64_t room = pool_room(p);
	int64_t ret;

	room = room > NET_HEADER ? room - NET_HEADER : 0;
	if (room > NET_FRAME_MAX)
		room = NET_FRAME_MAX;
	ret = net->backend.recv(net->backend_ctx, p->index, p->iov,
				gather(p, header, room));
	if (ret == -EAGAIN) {
		p->dry = p->fd >= 0;
		return false;
	}
	if (ret < 0) {
		net_close_backend(p, (int)ret);
		return false;
	}
	if (ret == 0)
		return true;
	if (ret < extra || ret - extra > NET_FRAME_MAX)
		p->stats.rx_dropped++;
	else
		accept_frame(p, header, (uint32_t)(ret - extra), room);
	return true;
}

/* The longest frame that may come. */
static uint64_t longest(const struct net_pair *p)
{
	uint32_t mtu = p->net->mtu > MTU_DEFAULT ? p->net->mtu : MTU_DEFAULT;

	return NET_HEADER +
	       (p->offloads & NET_GUEST_GSO ? NET_FRAME_MAX : mtu + LINK_HEADER);
}

/* Returns false when there is nothing more to do for now. */
static bool receive_one(struct net_pair *p)
{
	if (vmm_virtq_is_broken(p->rx))
		return false;
	if (p->held_len > 0 && !link_is_up(p)) {
		p->held_len = 0;
		p->stats.rx_dropped++;
	}
	if (p->held_len > 0)
		return deliver_held(p);
	if (p->closed || p->dry || !rate_allows(p))
		return false;
	if (link_is_up(p)) {
		pool_fill(p, longest(p));
		if (pool_is_empty(&p->pool)) {
			starve(p);
			return false;
		}
	}
	return receive(p);
}

void net_rx_serve(struct net_pair *p)
{
	uint32_t num = vmm_virtq_get_num(p->rx), budget = num;

	p->starved = false;
	pool_reset(&p->pool, 2 * num);
	PROBE3(serve, VMM_VIRTIO_ID_NET, 2 * p->index, p->net->transport);
	vmm_virtq_disable_notification(p->rx);
	while (budget > 0 && receive_one(p))
		budget = fair_is_wanted(&p->lock) ? 0 : budget - 1;
	if (budget == 0)
		p->again = true;
	/* Asked for while all that is there is in the pool: the driver notifies about
	 * what it adds, not about what we put back. */
	if (p->starved && vmm_virtq_enable_notification(p->rx))
		p->again = true;
	net_flush(p, p->rx);
	pool_give_back(p);
	net_signal(p, p->rx, 2 * p->index);
}

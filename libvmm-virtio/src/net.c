/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The network device between its transport and its pairs of queues. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"
#include "options.h"
#include "transport.h"

#define QUEUE_DEFAULT 256u
#define CTRL_QUEUE_MAX 64u
#define MTU_MIN 68u

/* The queue that a pair has there, or NULL: 5.1.2 puts the control queue behind the pairs
 * that are negotiated, not behind those that there could be. */
static struct vmm_virtq **find_queue(struct vmm_virtio_net *net, uint32_t index,
				     struct net_pair **out_pair)
{
	uint32_t pair_n = net->features & NET_F_MQ ? net->pair_n : 1;

	*out_pair = &net->pairs[0];
	if (index == 2 * pair_n)
		return net->features & NET_F_CTRL_VQ ? &net->pairs[0].ctrl : NULL;
	if (index > 2 * pair_n)
		return NULL;
	*out_pair = &net->pairs[index / 2];
	return index % 2 ? &(*out_pair)->tx : &(*out_pair)->rx;
}

static void default_filter(struct vmm_virtio_net *net)
{
	struct net_filter *f = &net->pairs[0].filter;

	memset(f, 0, sizeof(*f));
	memcpy(f->mac, net->mac, sizeof(f->mac));
	/* virtio 1.2 does not say; other devices begin so, and drivers are used to it. */
	f->rx_mode = NET_RX_PROMISC;
}

static void set_queue(struct vmm_virtio_net *net, uint32_t index, struct vmm_virtq *vq)
{
	struct net_pair *p;
	struct vmm_virtq **q = find_queue(net, index, &p);

	if (q)
		*q = vq;
}

/* The lock of pair 0 is held. */
static int start(struct vmm_virtio_net *net)
{
	int ret;

	default_filter(net);
	if (net->has_pending)
		ret = net_state_apply(net);
	else
		ret = net_set_offloads(net, net->features & NET_GUEST_OFFLOADS);
	if (ret == 0 && !net->has_pending)
		ret = net_set_pairs(net, 1);
	net->has_pending = false;
	for (uint32_t i = 0; i < net->pair_n; i++) {
		struct net_pair *p = &net->pairs[i];

		if (i > 0)
			fair_enter(&p->lock);
		p->features = net->features;
		p->filter = net->pairs[0].filter;
		p->dry = false;
		for (uint32_t k = 2 * i; k < 2 * i + 2 && ret == 0; k++) {
			if (vmm_virtq_is_enabled(net->queues[k]))
				set_queue(net, k, net->queues[k]);
		}
		if (i > 0)
			fair_leave(&p->lock);
	}
	if (ret == 0 && (net->features & NET_F_CTRL_VQ) &&
	    vmm_virtq_is_enabled(net->queues[net->ctrl_index]))
		net->pairs[0].ctrl = net->queues[net->ctrl_index];
	return ret;
}

static int activate(void *ctx, const struct vmm_virtio_activation *a)
{
	struct vmm_virtio_net *net = ctx;
	int ret;

	fair_enter(&net->pairs[0].lock);
	net->transport = a->transport;
	net->queues = a->queues;
	__atomic_store_n(&net->features, a->features[0], __ATOMIC_RELAXED);
	net->ctrl_index = 2 * (net->features & NET_F_MQ ? net->pair_n : 1);
	ret = start(net);
	fair_leave(&net->pairs[0].lock);
	return ret;
}

static void stop_pair(struct net_pair *p)
{
	fair_enter(&p->lock);
	p->rx = NULL;
	p->tx = NULL;
	p->ctrl = NULL;
	p->active = false;
	p->paused = false;
	p->held_len = 0;
	p->features = 0;
	p->offloads = 0;
	fair_leave(&p->lock);
}

/* A run that is under way is short, as nothing in it waits: we wait for it. */
static void reset(void *ctx)
{
	struct vmm_virtio_net *net = ctx;
	int ret = 0;

	for (uint32_t i = 0; i < net->pair_n; i++)
		stop_pair(&net->pairs[i]);
	fair_enter(&net->pairs[0].lock);
	__atomic_store_n(&net->features, 0, __ATOMIC_RELAXED);
	net->active_n = 1;
	default_filter(net);
	if (net->backend.set_offloads)
		ret = net->backend.set_offloads(net->backend_ctx, 0);
	(void)net_set_status(net, net->transport, 0, NET_S_ANNOUNCE);
	if (ret < 0 || vmm_virtio_transport_set_config(net->transport, NET_CONFIG_MAC,
						       net->mac, 6) < 0)
		vmm_virtio_transport_needs_reset(net->transport);
	fair_leave(&net->pairs[0].lock);
}

static void queue_notify(void *ctx, uint32_t index)
{
	struct vmm_virtio_net *net = ctx;
	struct net_pair *p;

	if (find_queue(net, index, &p))
		vmm_virtio_net_wake(net, p->index);
}

static void change_queue(struct vmm_virtio_net *net, uint32_t index, struct vmm_virtq *vq)
{
	struct net_pair *p;

	if (!find_queue(net, index, &p))
		return;
	fair_enter(&p->lock);
	set_queue(net, index, vq);
	fair_leave(&p->lock);
}

static void queue_reset(void *ctx, uint32_t index)
{
	change_queue(ctx, index, NULL);
}

static void queue_enable(void *ctx, uint32_t index)
{
	struct vmm_virtio_net *net = ctx;

	change_queue(net, index, net->queues[index]);
}

static void on_pause(void *ctx)
{
	net_pause(ctx);
}

static void on_resume(void *ctx)
{
	net_resume(ctx);
}

static int restore(void *ctx, struct vmm_virtio_transport *transport,
		   const struct vmm_virtio_activation *a, const void *data, size_t len)
{
	struct vmm_virtio_net *net = ctx;
	int ret;

	/* For the reset that follows a failure. */
	net->transport = transport;
	ret = net_load(net, transport, a ? a->features[0] : 0, data, len);
	if (ret < 0 || !a)
		return ret;
	net_pause(net);
	return activate(net, a);
}

static const struct vmm_virtio_device_ops net_ops = {
	.size = sizeof(net_ops),
	.activate = activate,
	.reset = reset,
	.queue_notify = queue_notify,
	.queue_reset = queue_reset,
	.queue_enable = queue_enable,
	.pause = on_pause,
	.resume = on_resume,
	.save = net_save,
	.restore = restore,
};

static int check_opts(struct vmm_virtio_net_opts *o, struct vmm_error *err)
{
	if (o->pair_n == 0)
		o->pair_n = 1;
	if (o->queue_max == 0)
		o->queue_max = QUEUE_DEFAULT;
	if (o->threads > o->pair_n)
		return vmm_error_at(err, -EINVAL, 0, o->pair_n, o->threads,
				    "network device of %u pairs with %u threads",
				    o->pair_n, o->threads);
	if (o->kind > VMM_VIRTIO_NET_DATAGRAM ||
	    (o->kind == VMM_VIRTIO_NET_OTHER ? !o->backend || o->fds
					     : o->backend || !o->fds))
		return vmm_error_set(err, -EINVAL,
				     "network device without a back end, or with two");
	if (o->pair_n > VMM_VIRTIO_NET_PAIRS_MAX || o->queue_max < 2 ||
	    o->queue_max > VMM_VIRTQ_SIZE_MAX)
		return vmm_error_set(err, -EINVAL,
				     "network device of %u pairs of size %u", o->pair_n,
				     o->queue_max);
	if ((o->mtu && o->mtu < MTU_MIN) || (o->mac[0] & 1))
		return vmm_error_set(
		    err, -EINVAL, "network device: MTU %u, or a group's address", o->mtu);
	return 0;
}

static int check_backend(struct vmm_virtio_net *net, const struct vmm_virtio_net_opts *o,
			 struct vmm_error *err)
{
	int ret = options_copy(&net->backend, sizeof(net->backend), o->backend,
			       o->backend->size);

	if (ret < 0)
		return vmm_error_set(err, ret, "network back end of unknown layout");
	if (!net->backend.send || !net->backend.recv ||
	    (net->backend.offloads && !net->backend.header))
		return vmm_error_set(
		    err, -EINVAL,
		    "network back end lacks a callback, or the header for its offloads");
	net->backend_ctx = o->backend_ctx;
	return 0;
}

static uint64_t choose_features(const struct vmm_virtio_net *net,
				const struct vmm_virtio_net_opts *o)
{
	static const uint8_t none[6];
	uint64_t offloads = net->backend.offloads & o->offloads &
			    (NET_GUEST_OFFLOADS | NET_HOST_OFFLOADS);
	uint64_t f = NET_F_MRG_RXBUF | NET_F_STATUS | NET_F_CTRL_VQ | NET_F_CTRL_RX |
		     NET_F_CTRL_VLAN | NET_F_CTRL_RX_EXTRA | NET_F_GUEST_ANNOUNCE |
		     NET_F_CTRL_MAC_ADDR;

	/* What an offload needs has to be there, too (5.1.3.1). */
	if (!(offloads & VMM_VIRTIO_NET_F_CSUM))
		offloads &= ~NET_HOST_OFFLOADS;
	if (!(offloads & VMM_VIRTIO_NET_F_GUEST_CSUM))
		offloads &= ~NET_GUEST_OFFLOADS;
	if (offloads & NET_GUEST_OFFLOADS)
		f |= NET_F_CTRL_GUEST_OFFLOADS;
	if (o->mtu)
		f |= NET_F_MTU;
	if (o->pair_n > 1)
		f |= NET_F_MQ;
	if (memcmp(o->mac, none, sizeof(none)) != 0)
		f |= NET_F_MAC;
	return f | offloads | o->features | VMM_VIRTIO_F_VERSION_1;
}

static void describe(struct vmm_virtio_net *net, const struct vmm_virtio_net_opts *o)
{
	static const struct vmm_virtio_device blank = VMM_VIRTIO_DEVICE_INIT;
	uint16_t status = htole16(NET_S_LINK_UP), mtu = htole16(o->mtu);
	uint16_t pairs = htole16((uint16_t)o->pair_n);

	memcpy(net->config + NET_CONFIG_MAC, o->mac, sizeof(o->mac));
	memcpy(net->config + NET_CONFIG_STATUS, &status, sizeof(status));
	memcpy(net->config + NET_CONFIG_PAIRS, &pairs, sizeof(pairs));
	memcpy(net->config + NET_CONFIG_MTU, &mtu, sizeof(mtu));
	for (uint32_t i = 0; i < 2 * o->pair_n; i++)
		net->queue_max[i] = (uint16_t)o->queue_max;
	net->queue_max[2 * o->pair_n] = CTRL_QUEUE_MAX;
	net->offered = choose_features(net, o);
	net->device = blank;
	net->device.id = VMM_VIRTIO_ID_NET;
	net->device.queue_n = 2 * o->pair_n + 1;
	net->device.queue_max = net->queue_max;
	net->device.features[0] = net->offered;
	net->device.config = net->config;
	net->device.config_len = NET_CONFIG_LEN;
	net->device.ops = &net_ops;
	net->device.ctx = net;
}

static int watch_backend(struct vmm_virtio_net *net, struct vmm_error *err)
{
	for (uint32_t i = 0; i < net->pair_n && net->backend.get_fd; i++) {
		int ret = net_pair_watch(&net->pairs[i],
					 net->backend.get_fd(net->backend_ctx, i));

		if (ret < 0)
			return vmm_error_at(err, ret, i, 0, 0,
					    "network back end cannot be polled");
	}
	return 0;
}

static void init_pairs(struct vmm_virtio_net *net)
{
	pthread_mutex_init(&net->lock, NULL);
	for (uint32_t i = 0; i < net->pair_n; i++) {
		struct net_pair *p = &net->pairs[i];

		fair_init(&p->lock);
		p->net = net;
		p->index = i;
		p->epoll_fd = -1;
		p->event_fd = -1;
		p->timer_fd = -1;
		p->fd = -1;
		p->link_up = true;
	}
}

static int build(struct vmm_virtio_net *net, const struct vmm_virtio_net_opts *o,
		 struct vmm_error *err)
{
	int ret;

	for (uint32_t i = 0; i < net->pair_n; i++) {
		ret = net_pair_open(&net->pairs[i]);
		if (ret < 0)
			return vmm_error_set(err, ret,
					     "no descriptors for a network device");
	}
	ret = o->kind == VMM_VIRTIO_NET_OTHER
		  ? check_backend(net, o, err)
		  : net_builtin_init(net, o->kind, o->fds, err);
	if (ret < 0)
		return ret;
	describe(net, o);
	ret = watch_backend(net, err);
	if (ret == 0 && o->threads > 0) {
		ret = net_threads_start(net, o->threads);
		if (ret < 0)
			return vmm_error_set(err, ret, "no threads for a network device");
	}
	return ret;
}

int vmm_virtio_net_new(const struct vmm_virtio_net_opts *opts,
		       struct vmm_virtio_net **out, struct vmm_error *err)
{
	struct vmm_virtio_net_opts o;
	struct vmm_virtio_net *net;
	int saved = errno, ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret < 0)
		return vmm_error_set(err, ret,
				     "network device options of unknown layout");
	ret = check_opts(&o, err);
	if (ret < 0)
		return ret;
	net = calloc(1, sizeof(*net) + o.pair_n * sizeof(net->pairs[0]));
	if (!net)
		return vmm_error_set(err, -ENOMEM, "no memory for a network device");
	net->pair_n = o.pair_n;
	net->mtu = o.mtu;
	net->closed = o.closed;
	net->closed_ctx = o.closed_ctx;
	net->rx_rate = o.rx_rate;
	net->tx_rate = o.tx_rate;
	net->status = NET_S_LINK_UP;
	net->active_n = 1;
	memcpy(net->mac, o.mac, sizeof(net->mac));
	init_pairs(net);
	default_filter(net);
	ret = build(net, &o, err);
	errno = saved;
	if (ret < 0) {
		vmm_virtio_net_free(net);
		return ret;
	}
	*out = net;
	return 0;
}

void vmm_virtio_net_free(struct vmm_virtio_net *net)
{
	int saved = errno;

	if (!net)
		return;
	net_threads_stop(net);
	for (uint32_t i = 0; i < net->pair_n; i++) {
		net_pair_close(&net->pairs[i]);
		fair_fini(&net->pairs[i].lock);
	}
	pthread_mutex_destroy(&net->lock);
	free(net->builtin.streams);
	free(net);
	errno = saved;
}

const struct vmm_virtio_device *vmm_virtio_net_get_device(struct vmm_virtio_net *net)
{
	return &net->device;
}

int vmm_virtio_net_get_doorbell(const struct vmm_virtio_net *net, uint32_t queue)
{
	uint64_t features = __atomic_load_n(&net->features, __ATOMIC_RELAXED);
	uint32_t pair_n = features & NET_F_MQ ? net->pair_n : 1;

	if (queue > 2 * pair_n || (queue == 2 * pair_n && !(features & NET_F_CTRL_VQ)))
		return -1;
	return net->pairs[queue == 2 * pair_n ? 0 : queue / 2].event_fd;
}

/* A TAP that comes late learns what the others were told. */
static int tell_tap(struct vmm_virtio_net *net, uint32_t pair, int fd)
{
	const struct net_pair *p = &net->pairs[pair];
	int ret = 0;

	if (net->builtin.kind != VMM_VIRTIO_NET_TAP || fd < 0 || !p->features)
		return 0;
	if (pair == 0)
		ret = net_tap_set_offloads(fd, p->offloads);
	return ret < 0 ? ret : net_tap_attach(fd, p->active);
}

/* The lock of pair 0 keeps the control queue off the descriptors. */
int vmm_virtio_net_set_fd(struct vmm_virtio_net *net, uint32_t pair, int fd)
{
	struct net_pair *p;
	int saved = errno, ret;

	if (pair >= net->pair_n || net->builtin.kind == VMM_VIRTIO_NET_OTHER)
		return -EINVAL;
	p = &net->pairs[pair];
	fair_enter(&net->pairs[0].lock);
	if (pair > 0)
		fair_enter(&p->lock);
	ret = net_pair_watch(p, -1);
	if (ret == 0)
		ret = net_builtin_set_fd(net, pair, fd, NULL);
	if (ret == 0)
		ret = tell_tap(net, pair, fd);
	if (ret == 0)
		ret = net_pair_watch(p, fd);
	if (pair > 0)
		fair_leave(&p->lock);
	fair_leave(&net->pairs[0].lock);
	vmm_virtio_net_wake(net, pair);
	errno = saved;
	return ret;
}

void net_set_link(struct vmm_virtio_net *net, struct vmm_virtio_transport *transport,
		  bool up)
{
	for (uint32_t i = 0; i < net->pair_n; i++)
		__atomic_store_n(&net->pairs[i].link_up, up, __ATOMIC_RELAXED);
	(void)net_set_status(net, transport, (uint16_t)(up ? NET_S_LINK_UP : 0u),
			     (uint16_t)(up ? 0u : NET_S_LINK_UP));
}

int vmm_virtio_net_set_link(struct vmm_virtio_net *net,
			    struct vmm_virtio_transport *transport, bool up)
{
	if (transport->ctx != net)
		return -EINVAL;
	net_set_link(net, transport, up);
	for (uint32_t i = 0; i < net->pair_n; i++)
		vmm_virtio_net_wake(net, i);
	return 0;
}

int vmm_virtio_net_announce(struct vmm_virtio_net *net,
			    struct vmm_virtio_transport *transport)
{
	if (transport->ctx != net)
		return -EINVAL;
	if (!(__atomic_load_n(&net->features, __ATOMIC_RELAXED) & NET_F_GUEST_ANNOUNCE))
		return -EOPNOTSUPP;
	(void)net_set_status(net, transport, NET_S_ANNOUNCE, 0);
	return 0;
}

static void add_stats(struct vmm_virtio_net_stats *to,
		      const struct vmm_virtio_net_stats *from)
{
	const uint64_t *add = &from->rx_frames;
	uint64_t *sum = &to->rx_frames;

	for (size_t i = 0; i < (sizeof(*to) - sizeof(to->size)) / sizeof(*sum); i++)
		sum[i] += add[i];
}

void vmm_virtio_net_get_stats(struct vmm_virtio_net *net,
			      struct vmm_virtio_net_stats *out)
{
	struct vmm_virtio_net_stats stats = { .size = out->size };
	size_t size = out->size < sizeof(stats) ? out->size : sizeof(stats);

	for (uint32_t i = 0; i < net->pair_n; i++) {
		fair_enter(&net->pairs[i].lock);
		add_stats(&stats, &net->pairs[i].stats);
		fair_leave(&net->pairs[i].lock);
	}
	if (size >= sizeof(stats.size))
		memcpy(out, &stats, size);
}

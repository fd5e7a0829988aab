/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The socket device towards its transport and its VMM. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "options.h"
#include "stream.h"
#include "tell.h"
#include "vsock.h"

#define QUEUE_DEFAULT 256u
#define TIMEOUT_DEFAULT 2000u
#define TIMEOUT_MAX 3600000u
#define BUFFER_MIN 4096u
#define CID_FIRST 3u

static void on_conn(struct vmm_virtio_vsock *v, uint64_t tag, uint32_t events)
{
	uint32_t slot = (uint32_t)(tag & 0xffff);
	struct vsock_conn *c = v->conns[slot];

	/* It may have gone, or even been replaced, since the event was fetched. */
	if (!c || tag != TAG_CONN(slot, v->uses[slot]) || c->state == CONN_DEAD)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		c->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		c->writable = true;
	if (events & EPOLLHUP)
		c->hup = true;
	if (c->state == CONN_GREETING && c->readable) {
		vsock_greet(v, c);
		return;
	}
	if (c->state != CONN_OPEN)
		return;
	conn_flush(v, c);
	if (c->state == CONN_OPEN && c->eof && c->hup && c->told_shut != SHUT_F_BOTH)
		conn_todo(v, c, OP_SHUTDOWN);
	if (conn_has_data(c))
		conn_queue(v, c);
}

static void on_event(struct vmm_virtio_vsock *v, const struct epoll_event *e)
{
	uint64_t tag = e->data.u64;
	uint64_t expirations;

	switch (TAG_KIND(tag)) {
	case TAG_KIND(TAG_BELL(0)):
		/* The driver has dealt with the event when it gives its buffer back. */
		if (bell_clear(v->bells[tag & 3]) && (tag & 3) == VSOCK_EVENT)
			v->reset_told = false;
		break;
	case TAG_KIND(TAG_LISTENER(0)):
		vsock_accept(v, (uint32_t)(tag & 1));
		break;
	case TAG_KIND(TAG_TIMER):
		(void)!read(v->timer, &expirations, sizeof(expirations));
		vsock_expire(v);
		break;
	case TAG_KIND(TAG_CONN(0, 0)):
		on_conn(v, tag, e->events);
		break;
	default:
		break;
	}
}

static void turn(void *ctx, const struct epoll_event *events, int n)
{
	struct vmm_virtio_vsock *v = ctx;

	if (!v->transport)
		return;
	for (int i = 0; i < n; i++)
		on_event(v, &events[i]);
	if (vsock_serve(v))
		bell_ring(v->bells[VSOCK_TX]);
}

static int activate(void *ctx, const struct vmm_virtio_activation *a)
{
	struct vmm_virtio_vsock *v = ctx;

	fair_enter(&v->worker.lock);
	v->transport = a->transport;
	v->queues = a->queues;
	v->features = a->features[0];
	for (uint32_t i = 0; i < VSOCK_QUEUES; i++)
		v->vq[i] = vmm_virtq_is_enabled(a->queues[i]) ? a->queues[i] : NULL;
	vsock_set_listening(v, true);
	fair_leave(&v->worker.lock);
	return v->opts.no_thread ? 0 : worker_start(&v->worker);
}

static void reset(void *ctx)
{
	struct vmm_virtio_vsock *v = ctx;

	worker_stop(&v->worker);
	fair_enter(&v->worker.lock);
	memset(v->vq, 0, sizeof(v->vq));
	v->transport = NULL;
	/* The guest knows that its connections are gone: nobody tells it. */
	for (uint32_t i = 0; i < v->opts.connections_max; i++) {
		if (v->conns[i])
			conn_free(v, v->conns[i]);
	}
	vsock_set_listening(v, false);
	v->orphan_n = 0;
	v->reset_pending = false;
	v->reset_told = false;
	fair_leave(&v->worker.lock);
}

/* No chain is out between turns. */
static void queue_reset(void *ctx, uint32_t index)
{
	struct vmm_virtio_vsock *v = ctx;

	fair_enter(&v->worker.lock);
	v->vq[index] = NULL;
	fair_leave(&v->worker.lock);
}

static void queue_enable(void *ctx, uint32_t index)
{
	struct vmm_virtio_vsock *v = ctx;

	fair_enter(&v->worker.lock);
	v->vq[index] = v->queues[index];
	fair_leave(&v->worker.lock);
}

static void queue_notify(void *ctx, uint32_t index)
{
	struct vmm_virtio_vsock *v = ctx;

	if (index < VSOCK_QUEUES)
		bell_ring(v->bells[index]);
}

void vsock_pause(struct vmm_virtio_vsock *v)
{
	worker_pause(&v->worker);
}

void vsock_resume(struct vmm_virtio_vsock *v)
{
	worker_resume(&v->worker);
}

void vsock_get_state(struct vmm_virtio_vsock *v, struct vsock_state *out)
{
	fair_enter(&v->worker.lock);
	out->version = DEVICE_STATE_VERSION;
	out->resetting = v->reset_pending || v->reset_told;
	out->cid = v->opts.cid;
	fair_leave(&v->worker.lock);
}

/* Connections do not survive. The CID stays that of the options: the driver reads it
 * anew when it learns that they are gone. */
int vsock_set_state(struct vmm_virtio_vsock *v, const struct vsock_state *s)
{
	int ret = 0;

	if (s->version != DEVICE_STATE_VERSION || s->resetting > 1 ||
	    s->cid < CID_FIRST || s->cid >= UINT32_MAX)
		return -EBADMSG;
	fair_enter(&v->worker.lock);
	if (v->transport)
		ret = -EBUSY;
	else
		v->reset_pending = true;
	fair_leave(&v->worker.lock);
	return ret;
}

static void on_pause(void *ctx)
{
	vsock_pause(ctx);
}

static void on_resume(void *ctx)
{
	vsock_resume(ctx);
}

static void describe_state(struct stream *s, void *state)
{
	struct vsock_state *v = state;

	stream_u32(s, &v->version);
	stream_u32(s, &v->resetting);
	stream_u64(s, &v->cid);
}

static int64_t save(void *ctx, void *buf, size_t size)
{
	struct vsock_state s;

	vsock_get_state(ctx, &s);
	return stream_save(buf, size, describe_state, &s);
}

static int restore(void *ctx, struct vmm_virtio_transport *transport,
		   const struct vmm_virtio_activation *a, const void *data, size_t len)
{
	struct vsock_state s = { .version = 0 };
	struct vmm_virtio_vsock *v = ctx;
	int ret = stream_load(data, len, describe_state, &s);

	(void)transport;
	if (ret == 0)
		ret = vsock_set_state(v, &s);
	if (ret < 0)
		return ret;
	if (!a) { /* nobody has to be told */
		fair_enter(&v->worker.lock);
		v->reset_pending = false;
		fair_leave(&v->worker.lock);
		return 0;
	}
	vsock_pause(v);
	return activate(v, a);
}

static const struct vmm_virtio_device_ops vsock_ops = {
	.size = sizeof(vsock_ops),
	.activate = activate,
	.reset = reset,
	.queue_notify = queue_notify,
	.queue_reset = queue_reset,
	.queue_enable = queue_enable,
	.pause = on_pause,
	.resume = on_resume,
	.save = save,
	.restore = restore,
};

static int take_path(char *to, const char *from)
{
	size_t len = from ? strlen(from) : 0;

	if (len > VMM_VIRTIO_VSOCK_PATH_MAX)
		return -E2BIG;
	if (len > 0)
		memcpy(to, from, len);
	return 0;
}

static int check_opts(struct vmm_virtio_vsock_opts *o, struct vmm_error *err)
{
	if (o->connections_max == 0)
		o->connections_max = VMM_VIRTIO_VSOCK_CONNECTIONS_MAX;
	if (o->buffer == 0)
		o->buffer = VMM_VIRTIO_VSOCK_BUFFER;
	if (o->timeout_ms == 0)
		o->timeout_ms = TIMEOUT_DEFAULT;
	if (o->queue_max == 0)
		o->queue_max = QUEUE_DEFAULT;
	if (o->cid < CID_FIRST || o->cid >= UINT32_MAX)
		return vmm_error_at(err, -EINVAL, 0, 0, o->cid, "CID %llu of a guest",
				    (unsigned long long)o->cid);
	if (!o->connect && (!o->path || !*o->path))
		return vmm_error_set(err, -EINVAL, "socket device without a path");
	if (o->connections_max > VMM_VIRTIO_VSOCK_CONNECTIONS_MAX ||
	    o->buffer < BUFFER_MIN || o->buffer > VMM_VIRTIO_VSOCK_BUFFER_MAX ||
	    o->timeout_ms > TIMEOUT_MAX || o->queue_max > VMM_VIRTQ_SIZE_MAX)
		return vmm_error_set(err, -EINVAL, "socket device over a limit");
	return 0;
}

static int watch_all(struct vmm_virtio_vsock *v)
{
	int ret = worker_watch(&v->worker, v->timer, EPOLLIN, TAG_TIMER);

	for (uint32_t i = 0; ret == 0 && i < VSOCK_QUEUES; i++)
		ret = worker_watch(&v->worker, v->bells[i], EPOLLIN, TAG_BELL(i));
	/* Silent until the driver is there. */
	for (uint32_t i = 0; ret == 0 && i < 2; i++)
		if (v->listeners[i] >= 0)
			ret =
			    worker_watch(&v->worker, v->listeners[i], 0, TAG_LISTENER(i));
	return ret;
}

static int open_fds(struct vmm_virtio_vsock *v)
{
	for (uint32_t i = 0; i < VSOCK_QUEUES; i++) {
		v->bells[i] = bell_new();
		if (v->bells[i] < 0)
			return v->bells[i];
	}
	v->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (v->timer < 0)
		return -errno;
	if (*v->path) {
		v->listeners[0] = vsock_listen(v->path, SOCK_STREAM);
		if (v->listeners[0] < 0)
			return v->listeners[0];
	}
	if (*v->seq_path) {
		v->listeners[1] = vsock_listen(v->seq_path, SOCK_SEQPACKET);
		if (v->listeners[1] < 0)
			return v->listeners[1];
	}
	return watch_all(v);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void vmm_virtio_vsock_free(struct vmm_virtio_vsock *vsock)
{
	struct vmm_virtio_vsock *v = vsock;

	if (!v)
		return;
	for (uint32_t i = 0; i < VSOCK_QUEUES; i++)
		close_fd(v->bells[i]);
	close_fd(v->timer);
	/* Only what this device has made. */
	if (v->listeners[0] >= 0)
		(void)unlink(v->path);
	if (v->listeners[1] >= 0)
		(void)unlink(v->seq_path);
	close_fd(v->listeners[0]);
	close_fd(v->listeners[1]);
	worker_fini(&v->worker);
	free(v);
}

static void describe(struct vmm_virtio_vsock *v)
{
	static const struct vmm_virtio_device blank = VMM_VIRTIO_DEVICE_INIT;
	uint64_t cid = htole64(v->opts.cid);

	memcpy(v->config, &cid, sizeof(cid));
	for (uint32_t i = 0; i < VSOCK_QUEUES; i++)
		v->queue_max[i] = (uint16_t)v->opts.queue_max;
	v->device = blank;
	v->device.id = VMM_VIRTIO_ID_VSOCK;
	v->device.queue_n = VSOCK_QUEUES;
	v->device.queue_max = v->queue_max;
	v->device.features[0] = v->opts.features;
	v->device.config = v->config;
	v->device.config_len = sizeof(v->config);
	v->device.ops = &vsock_ops;
	v->device.ctx = v;
}

static int make(const struct vmm_virtio_vsock_opts *o, struct vmm_virtio_vsock **out)
{
	struct vmm_virtio_vsock *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return -ENOMEM;
	ret = worker_init(&v->worker, turn, v);
	if (ret < 0) {
		free(v);
		return ret;
	}
	v->opts = *o;
	v->next_port = UINT32_C(0x40000000);
	v->timer = -1;
	for (uint32_t i = 0; i < VSOCK_QUEUES; i++)
		v->bells[i] = -1;
	v->listeners[0] = -1;
	v->listeners[1] = -1;
	ret = take_path(v->path, o->path);
	if (ret == 0)
		ret = take_path(v->seq_path, o->seqpacket_path);
	if (ret == 0)
		ret = open_fds(v);
	if (ret < 0) {
		vmm_virtio_vsock_free(v);
		return ret;
	}
	describe(v);
	*out = v;
	return 0;
}

int vmm_virtio_vsock_new(const struct vmm_virtio_vsock_opts *opts,
			 struct vmm_virtio_vsock **out, struct vmm_error *err)
{
	struct vmm_virtio_vsock_opts o;
	int saved = errno, ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret < 0)
		return vmm_error_set(err, ret, "socket device options of unknown layout");
	ret = check_opts(&o, err);
	if (ret < 0)
		return ret;
	ret = make(&o, out);
	errno = saved;
	return ret < 0 ? vmm_error_set(err, ret, "socket device at %.96s: %s",
				       o.path ? o.path : "", strerrordesc_np(-ret))
		       : 0;
}

const struct vmm_virtio_device *vmm_virtio_vsock_get_device(
    struct vmm_virtio_vsock *vsock)
{
	return &vsock->device;
}

int vmm_virtio_vsock_get_doorbell(struct vmm_virtio_vsock *vsock, uint32_t index)
{
	return index < VSOCK_QUEUES ? vsock->bells[index] : -1;
}

int vmm_virtio_vsock_get_fd(struct vmm_virtio_vsock *vsock)
{
	return vsock->worker.epoll;
}

void vmm_virtio_vsock_run(struct vmm_virtio_vsock *vsock)
{
	worker_run(&vsock->worker);
}

void vmm_virtio_vsock_get_stats(struct vmm_virtio_vsock *vsock,
				struct vmm_virtio_vsock_stats *out)
{
	fair_enter(&vsock->worker.lock);
	vsock->stats.connections = vsock->conn_n;
	tell_caller(out, out->size, &vsock->stats, sizeof(vsock->stats));
	fair_leave(&vsock->worker.lock);
}

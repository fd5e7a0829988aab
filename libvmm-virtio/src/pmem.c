/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <vmm/virtio-pmem.h>

#include "device-state.h"
#include "drain.h"
#include "options.h"
#include "stream.h"
#include "tell.h"
#include "worker.h"

#define QUEUE_DEFAULT 64u
#define PAGE 4096u
#define IOVECS 64u
#define CONFIG_LEN 16u
#define NS_PER_S UINT64_C(1000000000)

#define TYPE_FLUSH 0u
#define RESULT_OK 0u
#define RESULT_ERROR 1u
#define RESULT_LEN 4u

#define TAG_BELL 0u
#define TAG_TIMER 1u

/* A request that waits for the flush that this turn will do. */
struct waiting {
	uint64_t token;
	/* Where the result goes: at most a piece for each byte. */
	struct iovec iov[RESULT_LEN];
	uint32_t iov_n;
};

struct vmm_virtio_pmem {
	struct vmm_virtio_device device;
	struct vmm_virtio_pmem_opts opts;
	struct vmm_virtio_shm shm;
	uint16_t queue_max;
	uint8_t config[CONFIG_LEN];

	/* Its lock protects all below. */
	struct worker worker;
	int bell;
	int timer;
	struct vmm_virtq *vq;
	struct vmm_virtq *const *queues;
	struct vmm_virtio_transport *transport;
	/* Making data durable has failed: it cannot be vouched for again. */
	bool lost;
	/* What the limit wants to pass. */
	uint64_t wait;
	struct waiting *waiting;
	uint32_t waiting_n;
	struct vmm_virtio_pmem_stats stats;
	struct iovec iov[IOVECS];
};

static void put_result(const struct iovec *iov, uint32_t n, uint32_t result)
{
	uint8_t bytes[RESULT_LEN];
	size_t at = 0;

	result = htole32(result);
	memcpy(bytes, &result, sizeof(result));
	for (uint32_t i = 0; i < n; i++) {
		memcpy(iov[i].iov_base, bytes + at, iov[i].iov_len);
		at += iov[i].iov_len;
	}
}

static int flush_file(struct vmm_virtio_pmem *p)
{
	int saved = errno, ret;

	if (p->opts.flush)
		return p->opts.flush(p->opts.ctx);
	ret = fdatasync(p->opts.fd) < 0 ? -errno : 0;
	errno = saved;
	return ret;
}

/* One flush is for all who asked before it began. */
static void flush_for_all(struct vmm_virtio_pmem *p)
{
	uint32_t result;

	if (p->waiting_n == 0)
		return;
	if (!p->lost) {
		p->stats.flushes++;
		p->lost = flush_file(p) < 0;
		p->stats.errors += p->lost;
	}
	result = p->lost ? RESULT_ERROR : RESULT_OK;
	for (uint32_t i = 0; i < p->waiting_n; i++) {
		put_result(p->waiting[i].iov, p->waiting[i].iov_n, result);
		if (vmm_virtq_add_used(p->vq, p->waiting[i].token, RESULT_LEN) < 0)
			vmm_virtio_transport_needs_reset(p->transport);
	}
	p->stats.requests += p->waiting_n;
	p->waiting_n = 0;
}

/* The first of a batch pays for all of it. */
static bool may_flush(struct vmm_virtio_pmem *p)
{
	if (!p->opts.rate || p->waiting_n > 0 ||
	    vmm_virtio_rate_take(p->opts.rate, 0, 1, &p->wait) == 0)
		return true;
	p->stats.throttled++;
	return false;
}

static int64_t on_request(void *ctx, const struct vmm_virtq_chain *chain)
{
	struct vmm_virtq_cursor reader = vmm_virtq_reader(chain);
	struct vmm_virtq_cursor writer = vmm_virtq_writer(chain);
	struct vmm_virtio_pmem *p = ctx;
	struct waiting *w = &p->waiting[p->waiting_n];
	uint32_t type = UINT32_MAX;
	size_t n;

	if (vmm_virtq_get_iov(&writer, RESULT_LEN, w->iov, RESULT_LEN, &n) < 0) {
		p->stats.bad_requests++;
		return 0;
	}
	if (vmm_virtq_read(&reader, &type, sizeof(type)) < 0 ||
	    le32toh(type) != TYPE_FLUSH) {
		p->stats.bad_requests++;
		put_result(w->iov, (uint32_t)n, RESULT_ERROR);
		return RESULT_LEN;
	}
	if (!may_flush(p))
		return DRAIN_LATER;
	w->token = chain->token;
	w->iov_n = (uint32_t)n;
	p->waiting_n++;
	return DRAIN_HOLD;
}

static void set_timer(struct vmm_virtio_pmem *p, uint64_t ns)
{
	struct itimerspec spec = {
		.it_value = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) },
	};

	(void)timerfd_settime(p->timer, 0, &spec, NULL);
}

static void turn(void *ctx, const struct epoll_event *events, int n)
{
	struct vmm_virtio_pmem *p = ctx;
	struct drain d = { .vq = p->vq,
			   .transport = p->transport,
			   .iov_max = IOVECS,
			   .iov = p->iov,
			   .one = on_request,
			   .ctx = p,
			   .lock = &p->worker.lock };
	uint64_t expirations;

	(void)bell_clear(p->bell);
	(void)!read(p->timer, &expirations, sizeof(expirations));
	if (!p->vq)
		return;
	p->wait = 0;
	/* What comes during the flush rings the bell again, or is found here. */
	if (drain_queue(&d))
		bell_ring(p->bell);
	flush_for_all(p);
	drain_signal(&d);
	if (p->wait > 0)
		set_timer(p, p->wait);
}

static int activate(void *ctx, const struct vmm_virtio_activation *a)
{
	struct vmm_virtio_pmem *p = ctx;

	fair_enter(&p->worker.lock);
	p->vq = vmm_virtq_is_enabled(a->queues[0]) ? a->queues[0] : NULL;
	p->transport = a->transport;
	p->queues = a->queues;
	fair_leave(&p->worker.lock);
	return p->opts.no_thread ? 0 : worker_start(&p->worker);
}

static void reset(void *ctx)
{
	struct vmm_virtio_pmem *p = ctx;

	worker_stop(&p->worker);
	fair_enter(&p->worker.lock);
	p->vq = NULL;
	p->transport = NULL;
	fair_leave(&p->worker.lock);
}

static void queue_reset(void *ctx, uint32_t index)
{
	struct vmm_virtio_pmem *p = ctx;

	(void)index;
	fair_enter(&p->worker.lock);
	p->vq = NULL;
	fair_leave(&p->worker.lock);
}

static void queue_enable(void *ctx, uint32_t index)
{
	struct vmm_virtio_pmem *p = ctx;

	fair_enter(&p->worker.lock);
	p->vq = p->queues[index];
	fair_leave(&p->worker.lock);
}

static void queue_notify(void *ctx, uint32_t index)
{
	struct vmm_virtio_pmem *p = ctx;

	(void)index;
	bell_ring(p->bell);
}

void pmem_pause(struct vmm_virtio_pmem *p)
{
	worker_pause(&p->worker);
}

void pmem_resume(struct vmm_virtio_pmem *p)
{
	worker_resume(&p->worker);
}

void pmem_get_state(struct vmm_virtio_pmem *p, struct pmem_state *out)
{
	fair_enter(&p->worker.lock);
	out->version = DEVICE_STATE_VERSION;
	out->lost = p->lost;
	out->gpa = p->opts.gpa;
	out->len = p->opts.len;
	fair_leave(&p->worker.lock);
}

int pmem_set_state(struct vmm_virtio_pmem *p, const struct pmem_state *s)
{
	int ret = 0;

	if (s->version != DEVICE_STATE_VERSION || s->lost > 1 || s->gpa != p->opts.gpa ||
	    s->len != p->opts.len)
		return -EBADMSG;
	fair_enter(&p->worker.lock);
	if (p->transport)
		ret = -EBUSY;
	else
		p->lost = s->lost;
	fair_leave(&p->worker.lock);
	return ret;
}

static void on_pause(void *ctx)
{
	pmem_pause(ctx);
}

static void on_resume(void *ctx)
{
	pmem_resume(ctx);
}

static void describe_state(struct stream *s, void *state)
{
	struct pmem_state *v = state;

	stream_u32(s, &v->version);
	stream_u32(s, &v->lost);
	stream_u64(s, &v->gpa);
	stream_u64(s, &v->len);
}

static int64_t save(void *ctx, void *buf, size_t size)
{
	struct pmem_state s;

	pmem_get_state(ctx, &s);
	return stream_save(buf, size, describe_state, &s);
}

static int restore(void *ctx, struct vmm_virtio_transport *transport,
		   const struct vmm_virtio_activation *a, const void *data, size_t len)
{
	struct pmem_state s = { .version = 0 };
	int ret = stream_load(data, len, describe_state, &s);

	(void)transport;
	if (ret == 0)
		ret = pmem_set_state(ctx, &s);
	if (ret < 0 || !a)
		return ret;
	pmem_pause(ctx);
	return activate(ctx, a);
}

static const struct vmm_virtio_device_ops pmem_ops = {
	.size = sizeof(pmem_ops),
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

static void describe(struct vmm_virtio_pmem *p)
{
	static const struct vmm_virtio_device blank = VMM_VIRTIO_DEVICE_INIT;
	uint64_t start = htole64(p->opts.gpa), len = htole64(p->opts.len);

	memcpy(p->config, &start, sizeof(start));
	memcpy(p->config + sizeof(start), &len, sizeof(len));
	p->shm.gpa = p->opts.gpa;
	p->shm.len = p->opts.len;
	p->queue_max = (uint16_t)p->opts.queue_max;
	p->device = blank;
	p->device.id = VMM_VIRTIO_ID_PMEM;
	p->device.queue_n = 1;
	p->device.queue_max = &p->queue_max;
	p->device.features[0] = p->opts.features;
	p->device.config = p->config;
	p->device.config_len = CONFIG_LEN;
	if (p->opts.features & VMM_VIRTIO_PMEM_F_SHMEM_REGION) {
		p->device.shm = &p->shm;
		p->device.shm_n = 1;
	}
	p->device.ops = &pmem_ops;
	p->device.ctx = p;
}

static int check_opts(struct vmm_virtio_pmem_opts *o, struct vmm_error *err)
{
	uint64_t end;

	if (o->queue_max == 0)
		o->queue_max = QUEUE_DEFAULT;
	if ((!o->flush && o->fd < 0) || o->queue_max > VMM_VIRTQ_SIZE_MAX)
		return vmm_error_set(err, -EINVAL,
				     "pmem without a file, or with a "
				     "queue too large");
	if (o->len == 0 || o->gpa % PAGE != 0 || o->len % PAGE != 0 ||
	    __builtin_add_overflow(o->gpa, o->len - 1, &end))
		return vmm_error_at(err, -EINVAL, o->gpa, 0, o->len,
				    "pmem range of %llu bytes",
				    (unsigned long long)o->len);
	return 0;
}

static int open_fds(struct vmm_virtio_pmem *p)
{
	int ret;

	p->bell = bell_new();
	if (p->bell < 0)
		return p->bell;
	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (p->timer < 0)
		return -errno;
	ret = worker_watch(&p->worker, p->bell, EPOLLIN, TAG_BELL);
	return ret < 0 ? ret : worker_watch(&p->worker, p->timer, EPOLLIN, TAG_TIMER);
}

void vmm_virtio_pmem_free(struct vmm_virtio_pmem *pmem)
{
	if (!pmem)
		return;
	if (pmem->bell >= 0)
		(void)close(pmem->bell);
	if (pmem->timer >= 0)
		(void)close(pmem->timer);
	worker_fini(&pmem->worker);
	free(pmem->waiting);
	free(pmem);
}

static int make(const struct vmm_virtio_pmem_opts *o, struct vmm_virtio_pmem **out)
{
	struct vmm_virtio_pmem *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return -ENOMEM;
	p->waiting = calloc(o->queue_max, sizeof(*p->waiting));
	ret = p->waiting ? worker_init(&p->worker, turn, p) : -ENOMEM;
	if (ret < 0) {
		free(p->waiting);
		free(p);
		return ret;
	}
	p->opts = *o;
	p->timer = -1;
	ret = open_fds(p);
	if (ret < 0) {
		vmm_virtio_pmem_free(p);
		return ret;
	}
	describe(p);
	*out = p;
	return 0;
}

int vmm_virtio_pmem_new(const struct vmm_virtio_pmem_opts *opts,
			struct vmm_virtio_pmem **out, struct vmm_error *err)
{
	struct vmm_virtio_pmem_opts o;
	int saved = errno, ret = options_copy(&o, sizeof(o), opts, opts->size);

	if (ret < 0)
		return vmm_error_set(err, ret, "pmem options of unknown layout");
	ret = check_opts(&o, err);
	if (ret < 0)
		return ret;
	ret = make(&o, out);
	errno = saved;
	return ret < 0 ? vmm_error_set(err, ret, "pmem device: %s", strerrordesc_np(-ret))
		       : 0;
}

const struct vmm_virtio_device *vmm_virtio_pmem_get_device(struct vmm_virtio_pmem *pmem)
{
	return &pmem->device;
}

int vmm_virtio_pmem_get_doorbell(struct vmm_virtio_pmem *pmem)
{
	return pmem->bell;
}

int vmm_virtio_pmem_get_fd(struct vmm_virtio_pmem *pmem)
{
	return pmem->worker.epoll;
}

void vmm_virtio_pmem_run(struct vmm_virtio_pmem *pmem)
{
	worker_run(&pmem->worker);
}

void vmm_virtio_pmem_get_stats(struct vmm_virtio_pmem *pmem,
			       struct vmm_virtio_pmem_stats *out)
{
	fair_enter(&pmem->worker.lock);
	tell_caller(out, out->size, &pmem->stats, sizeof(pmem->stats));
	fair_leave(&pmem->worker.lock);
}

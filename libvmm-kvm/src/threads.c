/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vmm/kvm-threads.h>

#include "internal.h"

enum { NAME_MAX_LEN = 16 }; /* of a thread, with its end */

struct member {
	struct vmm_kvm_threads *all;
	struct vmm_kvm_vcpu *vcpu;
	pthread_t thread;
	uint32_t index;
	bool started;
	/* Only its thread writes; each number is atomic to readers. */
	struct vmm_kvm_threads_stats stats;
	uint64_t since; /* what is measured next has begun then */
};

struct vmm_kvm_threads {
	struct vmm_kvm_threads_ops ops;
	void *ctx;
	bool ending; /* atomic */
	bool started;

	/* A gate, where threads wait while it is closed. The lock guards the rest. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closed;
	uint32_t living;  /* threads that will come by, or have not ended */
	uint32_t waiting; /* of them, here now */

	uint32_t count;
	struct member members[];
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* The time since the last call goes to a counter. */
static void account(struct member *m, uint64_t *counter)
{
	uint64_t now;

	if (!m->all->ops.measure)
		return;
	now = now_ns();
	add(counter, now - m->since);
	m->since = now;
}

static uint32_t slot_of(uint32_t reason)
{
	return reason < VMM_KVM_THREADS_REASONS ? reason : VMM_KVM_EXIT_UNKNOWN;
}

/* The threads' side. */

static bool is_closed(struct vmm_kvm_threads *t)
{
	bool closed;

	pthread_mutex_lock(&t->lock);
	closed = t->closed;
	pthread_mutex_unlock(&t->lock);
	return closed;
}

static void wait_while_closed(struct member *m)
{
	struct vmm_kvm_threads *t = m->all;

	if (!is_closed(t))
		return;
	if (t->ops.pause)
		t->ops.pause(t->ctx, m->index);
	pthread_mutex_lock(&t->lock);
	t->waiting++;
	pthread_cond_broadcast(&t->changed);
	while (t->closed)
		pthread_cond_wait(&t->changed, &t->lock);
	t->waiting--;
	pthread_mutex_unlock(&t->lock);
	account(m, &m->stats.paused_ns);
}

static void leave(struct vmm_kvm_threads *t)
{
	pthread_mutex_lock(&t->lock);
	t->living--;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

/* 0 to go on. */
static int run_once(struct member *m)
{
	struct vmm_kvm_threads *t = m->all;
	struct vmm_kvm_exit exit;
	int ret = vmm_kvm_vcpu_run(m->vcpu, &exit);
	uint32_t slot;

	account(m, &m->stats.guest_ns);
	if (ret == -EINTR) {
		/* What the guest waited for is completed by now. */
		add(&m->stats.exits[VMM_KVM_EXIT_INTR], 1);
		wait_while_closed(m);
		return 0;
	}
	if (ret == -EAGAIN)
		return 0;
	if (ret < 0) {
		t->ops.failed(t->ctx, m->index, ret);
		return ret;
	}
	slot = slot_of(exit.reason);
	ret = t->ops.exit(t->ctx, m->index, &exit);
	add(&m->stats.exits[slot], 1);
	account(m, &m->stats.exit_ns[slot]);
	return ret;
}

static void *run(void *arg)
{
	struct member *m = arg;
	struct vmm_kvm_threads *t = m->all;
	int ret = t->ops.begin ? t->ops.begin(t->ctx, m->index) : 0;

	m->since = now_ns();
	if (ret == 0)
		wait_while_closed(m);
	while (ret == 0 && !__atomic_load_n(&t->ending, __ATOMIC_ACQUIRE))
		ret = run_once(m);
	leave(t);
	return NULL;
}

/* The caller's side. */

int vmm_kvm_threads_new(struct vmm_kvm_vcpu *const *vcpus, uint32_t count,
			const struct vmm_kvm_threads_ops *ops, void *ctx,
			struct vmm_kvm_threads **out)
{
	struct vmm_kvm_threads_ops o;
	struct vmm_kvm_threads *t;
	size_t size;
	int ret = kvm_options_read(&o, sizeof(o), ops);

	if (ret < 0)
		return ret;
	if (count == 0 || !o.exit || !o.failed || o.measure > 1 || o.reserved_ != 0)
		return -EINVAL;
	if (__builtin_mul_overflow((size_t)count, sizeof(t->members[0]), &size) ||
	    __builtin_add_overflow(size, sizeof(*t), &size))
		return -ENOMEM;
	t = calloc(1, size);
	if (!t)
		return -ENOMEM;
	t->ops = o;
	t->ctx = ctx;
	t->count = count;
	(void)pthread_mutex_init(&t->lock, NULL);
	(void)pthread_cond_init(&t->changed, NULL);
	for (uint32_t i = 0; i < count; i++) {
		t->members[i].all = t;
		t->members[i].vcpu = vcpus[i];
		t->members[i].index = i;
	}
	*out = t;
	return 0;
}

void vmm_kvm_threads_free(struct vmm_kvm_threads *threads)
{
	if (!threads)
		return;
	vmm_kvm_threads_stop(threads);
	(void)pthread_cond_destroy(&threads->changed);
	(void)pthread_mutex_destroy(&threads->lock);
	free(threads);
}

static int start_one(struct member *m)
{
	struct vmm_kvm_threads *t = m->all;
	char name[NAME_MAX_LEN];
	int ret;

	pthread_mutex_lock(&t->lock);
	t->living++;
	pthread_mutex_unlock(&t->lock);
	ret = -pthread_create(&m->thread, NULL, run, m);
	if (ret < 0) {
		leave(t);
		return ret;
	}
	m->started = true;
	(void)snprintf(name, sizeof(name), "vcpu %u", m->index);
	(void)pthread_setname_np(m->thread, name);
	return 0;
}

int vmm_kvm_threads_start(struct vmm_kvm_threads *threads)
{
	int ret = threads->started ? -EALREADY : 0;

	if (ret < 0)
		return ret;
	threads->started = true;
	for (uint32_t i = 0; ret == 0 && i < threads->count; i++)
		ret = start_one(&threads->members[i]);
	if (ret < 0)
		vmm_kvm_threads_stop(threads);
	return ret;
}

static void kick_all(struct vmm_kvm_threads *threads)
{
	for (uint32_t i = 0; i < threads->count; i++) {
		if (threads->members[i].started)
			vmm_kvm_vcpu_kick(threads->members[i].vcpu);
	}
}

void vmm_kvm_threads_pause(struct vmm_kvm_threads *threads)
{
	pthread_mutex_lock(&threads->lock);
	threads->closed = true;
	pthread_mutex_unlock(&threads->lock);
	kick_all(threads);
	pthread_mutex_lock(&threads->lock);
	while (threads->waiting < threads->living)
		pthread_cond_wait(&threads->changed, &threads->lock);
	pthread_mutex_unlock(&threads->lock);
}

void vmm_kvm_threads_resume(struct vmm_kvm_threads *threads)
{
	pthread_mutex_lock(&threads->lock);
	threads->closed = false;
	pthread_cond_broadcast(&threads->changed);
	pthread_mutex_unlock(&threads->lock);
}

void vmm_kvm_threads_stop(struct vmm_kvm_threads *threads)
{
	__atomic_store_n(&threads->ending, true, __ATOMIC_RELEASE);
	vmm_kvm_threads_resume(threads);
	for (uint32_t i = 0; i < threads->count; i++) {
		struct member *m = &threads->members[i];

		if (!m->started)
			continue;
		vmm_kvm_vcpu_kick(m->vcpu);
		(void)pthread_join(m->thread, NULL);
		m->started = false;
	}
	threads->started = true; /* for good */
}

static uint64_t get(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

int vmm_kvm_threads_get_stats(const struct vmm_kvm_threads *threads, uint32_t index,
			      struct vmm_kvm_threads_stats *out)
{
	const struct vmm_kvm_threads_stats *from;
	struct vmm_kvm_threads_stats all;

	if (index >= threads->count)
		return -ENOENT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	from = &threads->members[index].stats;
	all.size = out->size;
	all.guest_ns = get(&from->guest_ns);
	all.paused_ns = get(&from->paused_ns);
	for (uint32_t i = 0; i < VMM_KVM_THREADS_REASONS; i++) {
		all.exits[i] = get(&from->exits[i]);
		all.exit_ns[i] = get(&from->exit_ns[i]);
	}
	memset(out, 0, out->size);
	memcpy(out, &all, all.size < sizeof(all) ? all.size : sizeof(all));
	return 0;
}

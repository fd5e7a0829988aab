/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Threads that run vCPUs, on real guests: pauses and ends, whatever these are doing. */
#include "guest.h"

#include <pthread.h>
#include <time.h>
#include <vmm/kvm-threads.h>

enum { CPUS = 2, COUNTER = 0x2000 };

/* What the callbacks see. Numbers are atomic. */
struct watch {
	struct guest guest;
	struct vmm_kvm_vcpu *vcpus[CPUS];
	struct vmm_kvm_threads *threads;
	uint64_t exits[CPUS];
	uint32_t begun, pauses;
	int failed_code;
	int begin_code;
	uint64_t end_after; /* a vCPU's thread ends after that many exits; 0: never */
	uint32_t in_callback;
};

static uint64_t load(const uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_SEQ_CST);
}

static void moment(void)
{
	const struct timespec t = { .tv_nsec = 2000000 };

	(void)nanosleep(&t, NULL);
}

static int on_begin(void *ctx, uint32_t index)
{
	struct watch *w = ctx;

	(void)__atomic_fetch_add(&w->begun, 1, __ATOMIC_SEQ_CST);
	return w->begin_code;
}

static int on_exit_(void *ctx, uint32_t index, const struct vmm_kvm_exit *exit)
{
	struct watch *w = ctx;
	uint64_t n;

	(void)__atomic_fetch_add(&w->in_callback, 1, __ATOMIC_SEQ_CST);
	n = __atomic_add_fetch(&w->exits[index], 1, __ATOMIC_SEQ_CST);
	(void)__atomic_fetch_sub(&w->in_callback, 1, __ATOMIC_SEQ_CST);
	return w->end_after > 0 && n >= w->end_after;
}

static void on_failed(void *ctx, uint32_t index, int code)
{
	struct watch *w = ctx;

	__atomic_store_n(&w->failed_code, code, __ATOMIC_SEQ_CST);
}

static void on_pause(void *ctx, uint32_t index)
{
	struct watch *w = ctx;

	(void)__atomic_fetch_add(&w->pauses, 1, __ATOMIC_SEQ_CST);
}

static struct vmm_kvm_threads_ops all_ops(void)
{
	struct vmm_kvm_threads_ops ops = VMM_KVM_THREADS_OPS_INIT;

	ops.begin = on_begin;
	ops.exit = on_exit_;
	ops.failed = on_failed;
	ops.pause = on_pause;
	ops.measure = 1;
	return ops;
}

/* out dx, al for ever: an exit each time */
static const uint8_t code_exits[] = { 0xee, 0xeb, 0xfd };
/* 1: inc dword [0x2000]; jmp 1b: no exit at all */
static const uint8_t code_spins[] = { 0xff, 0x05, 0x00, 0x20, 0x00, 0x00, 0xeb, 0xf8 };

static void watch_new(struct watch *w, const uint8_t *code, size_t len)
{
	const struct vmm_kvm_threads_ops ops = all_ops();

	memset(w, 0, sizeof(*w));
	w->guest = guest_without_vcpu();
	assert_int_equal(vmm_kvm_kick_signal_init(VMM_KVM_KICK_SIGNAL_DEFAULT), 0);
	for (uint32_t i = 0; i < CPUS; i++) {
		assert_int_equal(vmm_kvm_vcpu_open(w->guest.vm, i, &w->guest.vcpu, NULL),
				 0);
		w->vcpus[i] = w->guest.vcpu;
		guest_start(&w->guest, code, len);
	}
	assert_int_equal(vmm_kvm_threads_new(w->vcpus, CPUS, &ops, w, &w->threads), 0);
}

static void watch_free(struct watch *w)
{
	vmm_kvm_threads_free(w->threads);
	vmm_kvm_vcpu_close(w->vcpus[0]);
	guest_free(&w->guest); /* closes the other one */
}

static void exits_of_every_cpu_arrive(void **state)
{
	struct vmm_kvm_threads_stats stats = VMM_KVM_THREADS_STATS_INIT;
	struct watch w;

	watch_new(&w, code_exits, sizeof(code_exits));
	assert_int_equal(vmm_kvm_threads_start(w.threads), 0);
	assert_int_equal(vmm_kvm_threads_start(w.threads), -EALREADY);
	while (load(&w.exits[0]) < 100 || load(&w.exits[1]) < 100)
		moment();
	vmm_kvm_threads_pause(w.threads);
	for (uint32_t i = 0; i < CPUS; i++) {
		assert_int_equal(vmm_kvm_threads_get_stats(w.threads, i, &stats), 0);
		assert_int_equal(stats.exits[VMM_KVM_EXIT_IO], load(&w.exits[i]));
		assert_true(stats.guest_ns > 0 && stats.exit_ns[VMM_KVM_EXIT_IO] > 0);
		assert_int_equal(stats.exits[VMM_KVM_EXIT_MMIO], 0);
	}
	assert_int_equal(vmm_kvm_threads_get_stats(w.threads, CPUS, &stats), -ENOENT);
	assert_int_equal(w.begun, CPUS);
	watch_free(&w);
}

static void times_are_kept_only_when_asked_for(void **state)
{
	struct vmm_kvm_threads_stats stats = VMM_KVM_THREADS_STATS_INIT;
	struct vmm_kvm_threads_ops ops = all_ops();
	struct watch w;

	watch_new(&w, code_exits, sizeof(code_exits));
	vmm_kvm_threads_free(w.threads);
	ops.measure = 0;
	assert_int_equal(vmm_kvm_threads_new(w.vcpus, CPUS, &ops, &w, &w.threads), 0);
	assert_int_equal(vmm_kvm_threads_start(w.threads), 0);
	while (load(&w.exits[0]) < 10)
		moment();
	vmm_kvm_threads_pause(w.threads);
	assert_int_equal(vmm_kvm_threads_get_stats(w.threads, 0, &stats), 0);
	assert_int_equal(stats.exits[VMM_KVM_EXIT_IO], load(&w.exits[0]));
	assert_int_equal(stats.guest_ns + stats.paused_ns, 0);
	assert_int_equal(stats.exit_ns[VMM_KVM_EXIT_IO], 0);
	watch_free(&w);
}

static void a_pause_finds_nobody_at_work(void **state)
{
	uint64_t before[CPUS];
	struct watch w;

	watch_new(&w, code_exits, sizeof(code_exits));
	assert_int_equal(vmm_kvm_threads_start(w.threads), 0);
	for (int round = 0; round < 200; round++) {
		vmm_kvm_threads_pause(w.threads);
		assert_int_equal(__atomic_load_n(&w.in_callback, __ATOMIC_SEQ_CST), 0);
		memcpy(before, w.exits, sizeof(before));
		if (round % 50 == 0)
			moment();
		vmm_kvm_threads_pause(w.threads); /* again: nothing */
		assert_memory_equal(before, w.exits, sizeof(before));
		vmm_kvm_threads_resume(w.threads);
		while (load(&w.exits[0]) == before[0] && load(&w.exits[1]) == before[1])
			;
	}
	assert_true(__atomic_load_n(&w.pauses, __ATOMIC_SEQ_CST) >= 200);
	watch_free(&w);
}

static uint32_t counter_of(const struct watch *w)
{
	return __atomic_load_n(
	    (const uint32_t *)(const void *)(w->guest.memory + COUNTER),
	    __ATOMIC_RELAXED);
}

static void a_guest_that_never_exits_is_paused_and_ended(void **state)
{
	struct vmm_kvm_threads_stats stats = VMM_KVM_THREADS_STATS_INIT;
	struct watch w;
	uint64_t interrupted = 0;
	uint32_t before = 0;

	watch_new(&w, code_spins, sizeof(code_spins));
	assert_int_equal(vmm_kvm_threads_start(w.threads), 0);
	for (int round = 0; round < 20; round++) {
		/* One of them runs; a busy host may leave the other at rest. */
		while (counter_of(&w) == before)
			moment();
		vmm_kvm_threads_pause(w.threads);
		before = counter_of(&w);
		moment();
		assert_int_equal(counter_of(&w), before);
		vmm_kvm_threads_resume(w.threads);
	}
	vmm_kvm_threads_stop(w.threads);
	assert_true(counter_of(&w) > 0);
	for (uint32_t i = 0; i < CPUS; i++) {
		assert_int_equal(vmm_kvm_threads_get_stats(w.threads, i, &stats), 0);
		interrupted += stats.exits[VMM_KVM_EXIT_INTR];
		assert_true(stats.paused_ns >= 20 * UINT64_C(2000000));
	}
	assert_true(interrupted >= 20);
	assert_int_equal(vmm_kvm_threads_start(w.threads), -EALREADY);
	watch_free(&w);
}

static void started_at_rest_they_wait_to_go_on(void **state)
{
	struct watch w;

	watch_new(&w, code_exits, sizeof(code_exits));
	vmm_kvm_threads_pause(w.threads);
	assert_int_equal(vmm_kvm_threads_start(w.threads), 0);
	vmm_kvm_threads_pause(w.threads);
	moment();
	assert_int_equal(load(&w.exits[0]) + load(&w.exits[1]), 0);
	vmm_kvm_threads_resume(w.threads);
	while (load(&w.exits[0]) == 0)
		moment();
	/* And an end at rest is one, too. */
	vmm_kvm_threads_pause(w.threads);
	vmm_kvm_threads_stop(w.threads);
	watch_free(&w);
}

static void threads_end_by_themselves_and_are_not_waited_for(void **state)
{
	struct watch w;

	watch_new(&w, code_exits, sizeof(code_exits));
	w.end_after = 5;
	assert_int_equal(vmm_kvm_threads_start(w.threads), 0);
	while (load(&w.exits[0]) < 5 || load(&w.exits[1]) < 5)
		moment();
	vmm_kvm_threads_pause(w.threads);
	vmm_kvm_threads_resume(w.threads);
	vmm_kvm_threads_stop(w.threads);
	assert_int_equal(load(&w.exits[0]), 5);
	assert_int_equal(load(&w.exits[1]), 5);
	watch_free(&w);

	watch_new(&w, code_exits, sizeof(code_exits));
	w.begin_code = -EPERM;
	assert_int_equal(vmm_kvm_threads_start(w.threads), 0);
	vmm_kvm_threads_stop(w.threads);
	assert_int_equal(load(&w.exits[0]) + load(&w.exits[1]), 0);
	watch_free(&w);
}

static void *read_stats(void *arg)
{
	struct vmm_kvm_threads_stats stats = VMM_KVM_THREADS_STATS_INIT;
	struct watch *w = arg;
	uint64_t last = 0;

	while (last < 2000) {
		assert_int_equal(vmm_kvm_threads_get_stats(w->threads, 0, &stats), 0);
		assert_true(stats.exits[VMM_KVM_EXIT_IO] >= last);
		last = stats.exits[VMM_KVM_EXIT_IO];
	}
	return NULL;
}

static void statistics_are_for_any_thread(void **state)
{
	struct {
		size_t size;
		uint64_t guest_ns;
	} small = { sizeof(small), 0 };
	struct vmm_kvm_threads_stats none = { .size = 4 };
	pthread_t reader;
	struct watch w;

	watch_new(&w, code_exits, sizeof(code_exits));
	assert_int_equal(vmm_kvm_threads_start(w.threads), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_stats, &w), 0);
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_int_equal(
	    vmm_kvm_threads_get_stats(w.threads, 0,
				      (struct vmm_kvm_threads_stats *)(void *)&small),
	    0);
	assert_true(small.guest_ns > 0);
	assert_int_equal(vmm_kvm_threads_get_stats(w.threads, 0, &none), -EINVAL);
	watch_free(&w);
}

/* The kernel refuses to run a vCPU that wants registers which it does not know. */
static void a_failure_of_kvm_is_told(void **state)
{
	struct watch w;

	watch_new(&w, code_exits, sizeof(code_exits));
	for (uint32_t i = 0; i < CPUS; i++)
		vmm_kvm_vcpu_get_run(w.vcpus[i])->kvm_valid_regs = UINT64_MAX;
	assert_int_equal(vmm_kvm_threads_start(w.threads), 0);
	while (__atomic_load_n(&w.failed_code, __ATOMIC_SEQ_CST) == 0)
		moment();
	assert_int_equal(w.failed_code, -EINVAL);
	vmm_kvm_threads_pause(w.threads);
	vmm_kvm_threads_stop(w.threads);
	assert_int_equal(load(&w.exits[0]) + load(&w.exits[1]), 0);
	watch_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exits_of_every_cpu_arrive),
		cmocka_unit_test(times_are_kept_only_when_asked_for),
		cmocka_unit_test(a_pause_finds_nobody_at_work),
		cmocka_unit_test(a_guest_that_never_exits_is_paused_and_ended),
		cmocka_unit_test(started_at_rest_they_wait_to_go_on),
		cmocka_unit_test(threads_end_by_themselves_and_are_not_waited_for),
		cmocka_unit_test(statistics_are_for_any_thread),
		cmocka_unit_test(a_failure_of_kvm_is_told),
	};

	return have_kvm() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_KVM_THREADS_H
#define VMM_KVM_THREADS_H

/**
 * @file vmm/kvm-threads.h
 * Threads that run the vCPUs of a machine, one each: started, brought to rest all
 * together, let go on, and ended. For a VMM that wants that; vmm_kvm_vcpu_run() alone is
 * for those that run vCPUs in a way of their own.
 *
 * A thread runs its vCPU and hands each exit to the VMM's callback, until that says that
 * the thread is to end, or KVM fails, or vmm_kvm_threads_stop() is called.
 *
 * Threads: the calls here are made by one thread at a time, which is none of those that
 * run vCPUs; but for vmm_kvm_threads_get_stats(), which any thread may call. Pointers must
 * not be NULL unless the text says so.
 */

#include <stdbool.h>
#include <vmm/kvm.h>

VMM_BEGIN_DECLS

/** Threads of the vCPUs of one machine. */
struct vmm_kvm_threads;

/** Reasons of exits that are told apart in the statistics; larger ones count as
 *  VMM_KVM_EXIT_UNKNOWN. */
#define VMM_KVM_THREADS_REASONS 64

/** What the VMM does. All callbacks run on the vCPU's thread, and are given the number of
 *  the vCPU in the array that vmm_kvm_threads_new() had. */
struct vmm_kvm_threads_ops {
	/** Size of this structure. */
	size_t size;
	/** The thread begins: the place for what a thread wants to be, in a jail for example.
	 *  0, or the thread ends. NULL: nothing. */
	int (*begin)(void *ctx, uint32_t index);
	/** The vCPU left the guest; @p exit is good until this returns. 0 to go on, else the
	 *  thread ends. Required. */
	int (*exit)(void *ctx, uint32_t index, const struct vmm_kvm_exit *exit);
	/** KVM_RUN failed with @p code, a negative errno value, and the thread ends.
	 *  Required: a machine that has lost a vCPU is to end. */
	void (*failed)(void *ctx, uint32_t index, int code);
	/** The vCPU will not run for a while. NULL: nothing. */
	void (*pause)(void *ctx, uint32_t index);
	/** 1: keep times in the statistics, at the price of two looks at the clock for each
	 *  exit; 0: only count. */
	uint32_t measure;
	/** Zero. */
	uint32_t reserved_;
};

/** Defaults: no callback. */
#define VMM_KVM_THREADS_OPS_INIT                                                 \
	{                                                                        \
		sizeof(struct vmm_kvm_threads_ops), NULL, NULL, NULL, NULL, 0, 0 \
	}

/**
 * Make threads for vCPUs; none is started yet.
 *
 * Their kick signal has to have a handler (vmm_kvm_kick_signal_init()).
 *
 * @param vcpus     @p count vCPUs, which have to outlive the threads; the array is copied
 * @param count     at least 1
 * @param ops       copied
 * @param ctx       first parameter of the callbacks
 * @param[out] out  the threads, to be released with vmm_kvm_threads_free()
 * @retval 0        done
 * @retval -EINVAL  no vCPU, a callback that is required is missing, or a number out of
 *                  range
 * @retval -E2BIG   an unknown tail of @p ops
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_threads_new(struct vmm_kvm_vcpu *const *vcpus,
					     uint32_t count,
					     const struct vmm_kvm_threads_ops *ops,
					     void *ctx, struct vmm_kvm_threads **out);

/** Stop the threads and release them. NULL is allowed. */
VMM_API void vmm_kvm_threads_free(struct vmm_kvm_threads *threads);
VMM_DEFINE_CLEANUP(vmm_kvm_threads, vmm_kvm_threads_free)

/**
 * Start the threads, named "vcpu 0" and so on; they inherit the signal mask. If
 * vmm_kvm_threads_pause() was called before, none enters the guest yet.
 *
 * @retval 0        done
 * @retval -EALREADY they were started before
 * @return a code of pthread_create(): the threads that were started have ended
 */
VMM_API VMM_MUST_USE int vmm_kvm_threads_start(struct vmm_kvm_threads *threads);

/**
 * Bring all vCPUs to rest: when this returns, none is in the guest nor in a callback, and
 * accesses that the guest was waiting for are completed, so that states can be saved. A
 * callback that is under way is waited for. No effect if they rest.
 */
VMM_API void vmm_kvm_threads_pause(struct vmm_kvm_threads *threads);

/** Let vCPUs go on that rest. */
VMM_API void vmm_kvm_threads_resume(struct vmm_kvm_threads *threads);

/**
 * End all threads, at rest or not, and wait for them. A callback that is under way is waited
 * for; none is called from then on. They cannot be started again.
 */
VMM_API void vmm_kvm_threads_stop(struct vmm_kvm_threads *threads);

/** What a vCPU did since its thread began, up to its last exit. */
struct vmm_kvm_threads_stats {
	/** Size of this structure, set by the caller. */
	size_t size;
	/** Time in the guest and in the kernel's part of running it, in nanoseconds; 0, as
	 *  all times here, if they are not kept. */
	uint64_t guest_ns;
	/** Time at rest, in nanoseconds. */
	uint64_t paused_ns;
	/** Exits by reason (VMM_KVM_EXIT_*), and the time that callbacks took for them in
	 *  nanoseconds. Interruptions by a kick or a signal are VMM_KVM_EXIT_INTR. @{ */
	uint64_t exits[VMM_KVM_THREADS_REASONS];
	uint64_t exit_ns[VMM_KVM_THREADS_REASONS];
	/** @} */
};

/** Defaults: nothing was done. */
#define VMM_KVM_THREADS_STATS_INIT                                 \
	{                                                          \
		sizeof(struct vmm_kvm_threads_stats), 0, 0, { 0 }, \
		{                                                  \
			0                                          \
		}                                                  \
	}

/**
 * Tell what a vCPU did. Any thread; numbers that change together may be one exit apart.
 *
 * @param threads      the threads
 * @param index        number of the vCPU
 * @param[in,out] out  @p size as input; at most that much is written
 * @retval 0        done
 * @retval -ENOENT  no such vCPU
 * @retval -EINVAL  @p size is too small
 */
VMM_API VMM_MUST_USE int vmm_kvm_threads_get_stats(const struct vmm_kvm_threads *threads,
						   uint32_t index,
						   struct vmm_kvm_threads_stats *out);

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_MEMORY_SPACE_H
#define VMM_MEMORY_SPACE_H

/**
 * @file vmm/memory-space.h
 * An address space that changes while it is used: the current table, its readers, and
 * the old tables that a reader may still look at.
 *
 * A reader takes no lock and counts no reference. It gets the table only by beginning
 * a *unit of work* - one vCPU exit, one round of an event loop - and may use it, and
 * every pointer got from it, until the unit ends. So a unit cannot be forgotten at its
 * start; and beginning the next one ends the one before, so that a forgotten end
 * delays memory from being released but never corrupts. vmm_mem_reader_run() does
 * both ends by itself.
 *
 * ```text
 * for (;;) {                                   // thread of a vCPU
 *         vmm_kvm_vcpu_run(vcpu, &exit);       // outside: the guest may run for long
 *         mem = vmm_mem_reader_begin(reader);
 *         handle(mem, &exit);
 *         vmm_mem_reader_end(reader);
 * }
 * ```
 *
 * To remove a region: first from the guest (the KVM slot), then here, then wait.
 *
 * A reader object belongs to one thread at a time. Everything else is for any thread.
 */

#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/memory.h>

VMM_BEGIN_DECLS

/** An address space: the current table and its readers. */
struct vmm_mem_space;

/** One thread that reads the table. */
struct vmm_mem_reader;

/** A unit of work, run by vmm_mem_reader_run(). */
typedef int (*vmm_mem_unit_fn)(void *ctx, const struct vmm_mem *mem);

/**
 * Make an address space.
 *
 * @param mem       the first table; taken over on success only
 * @param[out] out  the space, to be released with vmm_mem_space_free()
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_space_new(struct vmm_mem *mem,
					   struct vmm_mem_space **out);

/** Release a space, its tables, and the readers that are left; no unit may run any
 *  more. NULL is allowed. */
VMM_API void vmm_mem_space_free(struct vmm_mem_space *space);

/**
 * Register a reader.
 *
 * @param name      for messages: "vcpu 3"; copied, cut at 31 bytes
 * @param[out] out  the reader, to be given back with vmm_mem_space_remove_reader()
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_space_add_reader(struct vmm_mem_space *space,
						  const char *name,
						  struct vmm_mem_reader **out);

/** Remove a reader, ending its unit. NULL is allowed. */
VMM_API void vmm_mem_space_remove_reader(struct vmm_mem_space *space,
					 struct vmm_mem_reader *reader);

/**
 * Begin a unit of work, ending the one before if it still runs.
 *
 * @return the current table, to be used until the end of this unit; it does not change
 *         within it
 */
VMM_API VMM_MUST_USE const struct vmm_mem *vmm_mem_reader_begin(
    struct vmm_mem_reader *reader);

/** End the unit of work: a quiescent point. No harm when none runs. */
VMM_API void vmm_mem_reader_end(struct vmm_mem_reader *reader);

/** Run @p fn as one unit of work and return what it returns. */
VMM_API int vmm_mem_reader_run(struct vmm_mem_reader *reader, vmm_mem_unit_fn fn,
			       void *ctx);

/**
 * Publish a new table.
 *
 * Units that begin from now on see it; the old one lives until the last unit that
 * could have seen it has ended, and is released by this or a later call on the space.
 *
 * @param mem  taken over
 */
VMM_API void vmm_mem_space_replace(struct vmm_mem_space *space, struct vmm_mem *mem);

/**
 * Publish the current table with one region more.
 *
 * @param region    as vmm_mem_builder_add()
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done
 * @retval others   as vmm_mem_with(); nothing changed
 */
VMM_API VMM_MUST_USE int vmm_mem_space_add_region(struct vmm_mem_space *space,
						  const struct vmm_mem_region *region,
						  struct vmm_error *err);

/**
 * Publish the current table with one region less.
 *
 * @param gpa       first address of the region
 * @param len       its length
 * @param[out] err  detail on failure; may be NULL
 * @retval 0        done; the memory goes when no unit can see it, see
 *                  vmm_mem_space_wait()
 * @retval others   as vmm_mem_without(); nothing changed
 */
VMM_API VMM_MUST_USE int vmm_mem_space_remove_region(struct vmm_mem_space *space,
						     uint64_t gpa, uint64_t len,
						     struct vmm_error *err);

/**
 * Make a table of the caller's own from the current one, see vmm_mem_clone().
 *
 * @param[out] out  the table
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_mem_space_clone(struct vmm_mem_space *space,
					     struct vmm_mem **out);

/**
 * Release the old tables that no unit can see any more. Never waits.
 *
 * @return how many old tables are left
 */
VMM_API size_t vmm_mem_space_reclaim(struct vmm_mem_space *space);

/**
 * Wait until all old tables are released. Not from within a unit of work.
 *
 * @param timeout_ms  longest wait
 * @param[out] err    on failure names a reader whose unit goes on; may be NULL
 * @retval 0          done
 * @retval -ETIMEDOUT a unit of work did not end in time
 */
VMM_API VMM_MUST_USE int vmm_mem_space_wait(struct vmm_mem_space *space,
					    uint32_t timeout_ms, struct vmm_error *err);

VMM_DEFINE_CLEANUP(vmm_mem_space, vmm_mem_space_free)
/** `VMM_CLEANUP(vmm_mem_reader_end) struct vmm_mem_reader *unit = reader;` before
 *  vmm_mem_reader_begin() ends the unit on every way out of the scope. */
VMM_DEFINE_CLEANUP(vmm_mem_reader, vmm_mem_reader_end)

VMM_END_DECLS

#endif

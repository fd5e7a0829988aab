/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

/**
 * @file vmm/irq.h
 * Interrupts between devices and whatever delivers them: lines (edge, level, level with
 * resample), message vectors (MSI, MSI-X) with mask and pending bits, and the routing
 * table. Nothing here knows a hypervisor: a back end of four callbacks does.
 *
 * Threads: every call may be made from any thread, but the _free() ones, which nothing
 * on the same object may overlap. Back-end callbacks run on the calling thread, with a
 * lock of the object held: they must not call back into this library.
 *
 * Pointers must not be NULL unless the function says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>

VMM_BEGIN_DECLS

/** Most GSIs (interrupt numbers) of one router. */
#define VMM_IRQ_GSIS_MAX 4096u
/** Most vectors of one function: what MSI-X allows. */
#define VMM_IRQ_VECTORS_MAX 2048u
/** Most vectors of MSI. */
#define VMM_IRQ_MSI_MAX 32u
/** In place of a first GSI: vectors are sent as messages, without routes. */
#define VMM_IRQ_NO_GSI UINT32_MAX

/**
 * An interrupt line as a device sees it: a callback and its context, passed by value.
 * The glue binds it to an irqfd, an ioctl or a test's counter. Callable from any thread.
 */
struct vmm_irq_line {
	/** Set the level; for an edge line, true is one pulse and false is nothing. NULL:
	 *  the line is not connected. */
	void (*set)(void *ctx, bool level);
	/** First argument of @ref set. */
	void *ctx;
};

/** Set a line's level; nothing happens if it is not connected. */
static inline void vmm_irq_line_set(const struct vmm_irq_line *line, bool level)
{
	if (line->set)
		line->set(line->ctx, level);
}

/** A message signalled interrupt: the write that a device would do. */
struct vmm_irq_msi {
	/** Address, a multiple of 4. */
	uint64_t addr;
	/** Data. */
	uint32_t data;
	/** The device's id where the interrupt controller tells devices apart, else 0. */
	uint32_t devid;
};

/** vmm_irq_route::kind: the GSI has no route, */
#define VMM_IRQ_ROUTE_NONE 0u
/** goes to an input pin of an interrupt controller, */
#define VMM_IRQ_ROUTE_PIN 1u
/** or is a message. */
#define VMM_IRQ_ROUTE_MSI 2u

/** Where a GSI goes. Members that the kind does not use are zero. */
struct vmm_irq_route {
	/** The interrupt number. */
	uint32_t gsi;
	/** VMM_IRQ_ROUTE_*. */
	uint32_t kind;
	/** Pin: which controller, in the back end's numbers. */
	uint32_t chip;
	/** Pin: which of its inputs. */
	uint32_t pin;
	/** Message. */
	struct vmm_irq_msi msi;
};

/**
 * What delivers interrupts: irqfds, ioctls, or a test's counters. A callback returns 0 or
 * a negative errno value; NULL is as -EOPNOTSUPP, but for @ref trigger.
 */
struct vmm_irq_backend {
	/** Size of this structure. */
	size_t size;
	/** Set a GSI's level (KVM_IRQ_LINE). */
	int (*set_level)(void *ctx, uint32_t gsi, bool level);
	/** Signal a GSI once (a write to its irqfd). NULL: level up, then down. */
	int (*trigger)(void *ctx, uint32_t gsi);
	/** Send a message without a GSI (KVM_SIGNAL_MSI). */
	int (*send_msi)(void *ctx, const struct vmm_irq_msi *msi);
	/** Replace the whole routing table (KVM_SET_GSI_ROUTING); routes are in rising
	 *  order of GSI. */
	int (*set_routes)(void *ctx, const struct vmm_irq_route *routes, size_t count);
};

/** An empty struct vmm_irq_backend. */
#define VMM_IRQ_BACKEND_INIT                                           \
	{                                                              \
		sizeof(struct vmm_irq_backend), NULL, NULL, NULL, NULL \
	}

/** The routing table and the lines of a machine. Opaque; owned by the caller of
 *  vmm_irq_router_new(). */
struct vmm_irq_router;

/** One device's end of a line. Opaque; owned by the caller of vmm_irq_source_new(). */
struct vmm_irq_source;

/** The message vectors of one function. Opaque; owned by the caller of
 *  vmm_irq_vectors_new(). */
struct vmm_irq_vectors;

/** A back end of eventfds. Opaque; owned by the caller of vmm_irq_fds_new(). */
struct vmm_irq_fds;

/**
 * Make a router without routes.
 *
 * @param backend   the back end's callbacks, copied
 * @param ctx       their first argument
 * @param gsis      number of GSIs, 1 to #VMM_IRQ_GSIS_MAX
 * @param[out] out  the router, to be released with vmm_irq_router_free()
 * @retval 0        done
 * @retval -EINVAL  @p gsis is out of its limits, or the back end's size too small
 * @retval -E2BIG   an unknown tail in @p backend
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_irq_router_new(const struct vmm_irq_backend *backend,
					    void *ctx, uint32_t gsis,
					    struct vmm_irq_router **out);

/** Release a router that has no sources and no vectors any more. NULL is allowed. */
VMM_API void vmm_irq_router_free(struct vmm_irq_router *router);

/**
 * Change the routes of some GSIs and hand the whole new table to the back end, once.
 *
 * @param router    the router
 * @param routes    the new routes; of two for one GSI, the later counts
 * @param count     how many; 0 hands over the table as it is
 * @param err       the detail of a failure; NULL is allowed
 * @retval 0        done
 * @retval -EINVAL  a GSI that the router does not have, or a malformed route
 * @retval -ENOMEM  out of memory
 * @return any other code is the back end's. On failure the routes are as before.
 */
VMM_API VMM_MUST_USE int vmm_irq_router_update(struct vmm_irq_router *router,
					       const struct vmm_irq_route *routes,
					       size_t count, struct vmm_error *err);

/**
 * Get the route of a GSI.
 *
 * @param router    the router
 * @param gsi       the interrupt number
 * @param[out] out  the route
 * @retval 0        done
 * @retval -ENOENT  it has none, or the router does not have it
 */
VMM_API VMM_MUST_USE int vmm_irq_router_get_route(struct vmm_irq_router *router,
						  uint32_t gsi,
						  struct vmm_irq_route *out);

/**
 * Say that the guest has acknowledged a #VMM_IRQ_RESAMPLE line: the hypervisor has
 * lowered it, and it is signalled again if a source still holds it up. Called when the
 * resample eventfd fires, or on an end-of-interrupt exit.
 *
 * @param router    the router
 * @param gsi       the interrupt number
 * @retval 0        done
 * @retval -EINVAL  not a GSI with #VMM_IRQ_RESAMPLE sources
 * @return any other code is the back end's
 */
VMM_API VMM_MUST_USE int vmm_irq_router_resample(struct vmm_irq_router *router,
						 uint32_t gsi);

/** Return how often the back end failed on behalf of a line, whose callback cannot say
 *  so. */
VMM_API uint64_t vmm_irq_router_get_failures(struct vmm_irq_router *router);

/** How a source drives its line: each true is one pulse, */
#define VMM_IRQ_EDGE 0u
/** the level is passed on both ways, */
#define VMM_IRQ_LEVEL 1u
/** or rising is signalled, and falling is left to the guest's acknowledgement (irqfd with
 *  a resample eventfd). */
#define VMM_IRQ_RESAMPLE 2u

/**
 * Connect a device to a GSI. Level sources share a GSI, whose level is up while any of
 * theirs is; an edge GSI has one source.
 *
 * @param router    the router
 * @param gsi       the interrupt number
 * @param mode      VMM_IRQ_EDGE, _LEVEL or _RESAMPLE
 * @param[out] out  the source, its level low, to be released with vmm_irq_source_free()
 * @retval 0        done
 * @retval -EINVAL  a GSI that the router does not have, or an unknown mode
 * @retval -EBUSY   the GSI has a source, and one of the two is edge or the modes differ
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_irq_source_new(struct vmm_irq_router *router, uint32_t gsi,
					    uint32_t mode, struct vmm_irq_source **out);

/** Lower the source's level and disconnect it. NULL is allowed. */
VMM_API void vmm_irq_source_free(struct vmm_irq_source *source);

/** Return the line to hand to the device; it is good until vmm_irq_source_free(). */
VMM_API struct vmm_irq_line vmm_irq_source_get_line(struct vmm_irq_source *source);

/** A message vector's state. */
struct vmm_irq_vector {
	/** What is sent. */
	struct vmm_irq_msi msi;
	/** 1: raising it sets pending instead. */
	uint8_t masked;
	/** 1: to be sent as soon as nothing masks it. */
	uint8_t pending;
	/** Zero. */
	uint8_t reserved_[6];
};

/**
 * Make the vectors of a function: disabled, each masked, none pending, as after reset.
 *
 * @param router     delivers them
 * @param count      how many: 1 to #VMM_IRQ_VECTORS_MAX
 * @param first_gsi  the GSI of vector 0, others follow; or #VMM_IRQ_NO_GSI. With GSIs, a
 *                   vector is triggered by its GSI, whose route is brought up to date
 *                   when the vector gets into use.
 * @param[out] out   the vectors, to be released with vmm_irq_vectors_free()
 * @retval 0         done
 * @retval -EINVAL   @p count is out of its limits, or the router has not these GSIs
 * @retval -ENOMEM   out of memory
 */
VMM_API VMM_MUST_USE int vmm_irq_vectors_new(struct vmm_irq_router *router,
					     uint32_t count, uint32_t first_gsi,
					     struct vmm_irq_vectors **out);

/** Release vectors; their routes stay. NULL is allowed. */
VMM_API void vmm_irq_vectors_free(struct vmm_irq_vectors *vectors);

/**
 * Raise a vector: send it or, if it or the function is masked, make it pending.
 *
 * @param vectors   the vectors
 * @param vector    which
 * @retval 0        sent, or pending
 * @retval -EINVAL  there is no such vector
 * @retval -EAGAIN  messages are not enabled: the function's line is in use
 * @return any other code is the back end's; the vector is pending then
 */
VMM_API VMM_MUST_USE int vmm_irq_vectors_raise(struct vmm_irq_vectors *vectors,
					       uint32_t vector);

/**
 * Follow the guest's writes to the capability's control word. Becoming enabled and
 * unmasked brings all routes up to date in one batch and sends what is pending.
 * Disabling drops what is pending.
 *
 * @param vectors   the vectors
 * @param enabled   MSI or MSI-X enable
 * @param masked    MSI-X function mask; false for MSI
 * @retval 0        done
 * @return any other code is the back end's; the new control is in force all the same
 */
VMM_API VMM_MUST_USE int vmm_irq_vectors_set_control(struct vmm_irq_vectors *vectors,
						     bool enabled, bool masked);

/**
 * Get a vector's state.
 *
 * @param vectors   the vectors
 * @param vector    which
 * @param[out] out  its state
 * @retval 0        done
 * @retval -EINVAL  there is no such vector
 */
VMM_API VMM_MUST_USE int vmm_irq_vectors_get(struct vmm_irq_vectors *vectors,
					     uint32_t vector, struct vmm_irq_vector *out);

/**
 * Set all vectors at once, for instance from a snapshot, whose bytes are not trusted.
 *
 * @param vectors    the vectors
 * @param states     their states
 * @param count      how many: all of them
 * @param err        the detail of a failure; NULL is allowed
 * @retval 0         done
 * @retval -EBADMSG  another number of vectors, an address that is no multiple of 4, or a
 *                   member that is neither 0 nor 1 or not zero; nothing has changed
 * @return any other code is the back end's, in sending what was pending
 */
VMM_API VMM_MUST_USE int vmm_irq_vectors_restore(struct vmm_irq_vectors *vectors,
						 const struct vmm_irq_vector *states,
						 size_t count, struct vmm_error *err);

/**
 * Read from the MSI-X table (PCI 3.0, 6.8.2): the `read` of a bus range of 16 bytes a
 * vector. Only aligned accesses of 4 and 8 bytes are defined; others leave @p data alone.
 *
 * @param vectors    a struct vmm_irq_vectors
 * @param offset     in the table
 * @param[out] data  @p len bytes
 * @param len        length
 */
VMM_API void vmm_irq_msix_table_read(void *vectors, uint64_t offset, void *data,
				     size_t len);

/** Write to the MSI-X table, as vmm_irq_msix_table_read(). Unmasking sends what is
 *  pending; a failure of the back end leaves it pending. */
VMM_API void vmm_irq_msix_table_write(void *vectors, uint64_t offset, const void *data,
				      size_t len);

/** Read from the pending bit array, one bit a vector, as vmm_irq_msix_table_read().
 * Writes have no effect by specification. */
VMM_API void vmm_irq_msix_pba_read(void *vectors, uint64_t offset, void *data,
				   size_t len);

/**
 * Follow the guest's writes to an MSI capability (PCI 3.0, 6.8.1): vector n sends @p msi
 * with n in the low bits of its data.
 *
 * @param vectors   the vectors, at most #VMM_IRQ_MSI_MAX
 * @param msi       address and data as the guest wrote them
 * @param used      how many the guest has enabled: a power of two
 * @param mask      the mask bits; vectors from @p used on are masked as well
 * @retval 0        done
 * @retval -EINVAL  @p used is no power of two, or more than there are
 * @return any other code is the back end's
 */
VMM_API VMM_MUST_USE int vmm_irq_msi_set(struct vmm_irq_vectors *vectors,
					 const struct vmm_irq_msi *msi, uint32_t used,
					 uint32_t mask);

/** Return the pending bits of an MSI capability. */
VMM_API uint32_t vmm_irq_msi_get_pending(struct vmm_irq_vectors *vectors);

/**
 * Make a back end that signals eventfds: irqfds in KVM, or any that somebody polls. A GSI
 * without an eventfd, levels, messages and routes go on to another back end.
 *
 * @param gsis      number of GSIs, 1 to #VMM_IRQ_GSIS_MAX
 * @param next      the other back end, copied; NULL: there is none (-EOPNOTSUPP)
 * @param next_ctx  its first argument
 * @param[out] out  the back end's context, to be released with vmm_irq_fds_free()
 * @retval 0        done
 * @retval -EINVAL  @p gsis is out of its limits, or the back end's size too small
 * @retval -E2BIG   an unknown tail in @p next
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_irq_fds_new(uint32_t gsis,
					 const struct vmm_irq_backend *next,
					 void *next_ctx, struct vmm_irq_fds **out);

/** Release it, after its router. NULL is allowed. */
VMM_API void vmm_irq_fds_free(struct vmm_irq_fds *fds);

/**
 * Give a GSI an eventfd.
 *
 * @param fds       the back end's context
 * @param gsi       the interrupt number
 * @param fd        the eventfd, borrowed, non-blocking; -1 takes it away
 * @retval 0        done
 * @retval -EINVAL  no such GSI, or another negative number
 */
VMM_API VMM_MUST_USE int vmm_irq_fds_set(struct vmm_irq_fds *fds, uint32_t gsi, int fd);

/** Fill @p out with the callbacks of this back end; its context is the vmm_irq_fds. */
VMM_API void vmm_irq_fds_get_backend(struct vmm_irq_backend *out);

VMM_DEFINE_CLEANUP(vmm_irq_router, vmm_irq_router_free)
VMM_DEFINE_CLEANUP(vmm_irq_source, vmm_irq_source_free)
VMM_DEFINE_CLEANUP(vmm_irq_vectors, vmm_irq_vectors_free)
VMM_DEFINE_CLEANUP(vmm_irq_fds, vmm_irq_fds_free)

VMM_END_DECLS

#endif

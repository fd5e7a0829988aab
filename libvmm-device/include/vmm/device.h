/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

/**
 * @file vmm/device.h
 * The bus that carries a guest's port and MMIO accesses to devices. Interrupts are in
 * <vmm/irq.h>, which this header includes.
 *
 * Threads: every call on a bus may be made from any thread at any time, but
 * vmm_bus_free(). Dispatch (vmm_bus_read(), vmm_bus_write() and the two calls on a
 * reader) takes no lock and never waits for a change of the map. The calls that change
 * the map serialise themselves; a device's callback may make them, too.
 *
 * A change is seen by every dispatch that starts after the call returns. A callback that
 * was running then, or was about to run, may still be running: before the memory
 * behind a removed range's `ctx` is released, call vmm_bus_synchronize().
 *
 * The guest is untrusted: any address, any length and any data are fine for dispatch.
 * Pointers must not be NULL unless the function says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/irq.h>

VMM_BEGIN_DECLS

/** Most ranges that one bus holds. */
#define VMM_BUS_RANGES_MAX 32768u

/** Access widths, as bits of vmm_bus_range::widths; the value is the width in bytes. */
#define VMM_BUS_WIDTH_1 1u
#define VMM_BUS_WIDTH_2 2u
#define VMM_BUS_WIDTH_4 4u
#define VMM_BUS_WIDTH_8 8u
#define VMM_BUS_WIDTH_ANY 15u

/** An access that begins in this range and runs over its end goes on in the ranges that
 *  follow without a gap, as far as they carry this flag as well. Without it such an
 *  access is refused as a whole. */
#define VMM_BUS_SPLIT 1u
/** Count the accesses of this range (vmm_bus_info); costs one atomic addition each. */
#define VMM_BUS_COUNT 2u

/** A bus: an address space of ports or MMIO. Opaque; owned by the caller of
 *  vmm_bus_new(). */
struct vmm_bus;

/** One thread's place at a bus: the cheaper way to dispatch. Opaque; owned by the bus. */
struct vmm_bus_reader;

/**
 * What a device does with an access. Called on the thread that dispatches, usually a
 * vCPU thread, several at once if the VMM has several: the device picks its own
 * locking. @p offset counts from the start of the range; @p len is 1, 2, 4 or 8 and
 * the access lies wholly inside the range.
 *
 * A callback may dispatch on this or another bus and may change the map; it must not
 * call vmm_bus_synchronize() or vmm_bus_free().
 */
struct vmm_bus_ops {
	/** Size of this structure. */
	size_t size;
	/** Fill @p data, which holds all ones; what is left alone reads as ones. NULL:
	 *  reads as all ones. */
	void (*read)(void *ctx, uint64_t offset, void *data, size_t len);
	/** NULL: writes are dropped. */
	void (*write)(void *ctx, uint64_t offset, const void *data, size_t len);
};

/** An empty struct vmm_bus_ops: `struct vmm_bus_ops ops = VMM_BUS_OPS_INIT;`. */
#define VMM_BUS_OPS_INIT                               \
	{                                              \
		sizeof(struct vmm_bus_ops), NULL, NULL \
	}

/** Hint kinds. */
#define VMM_BUS_HINT_DOORBELL 1u
#define VMM_BUS_HINT_COALESCE 2u

/** vmm_bus_hint::flags: the doorbell rings only for the value vmm_bus_hint::match. */
#define VMM_BUS_HINT_MATCH 1u

/**
 * What the hypervisor could do by itself, as plain data: the bus stores hints with their
 * range and hands them to the listener with bus addresses; it never calls the
 * hypervisor. An access that the hypervisor does not take arrives at the range's
 * callbacks, so a device works without any hint being honoured.
 *
 * A doorbell (ioeventfd in KVM) signals @ref fd on a write of @ref len bytes at the
 * address. A coalescing zone lets the hypervisor collect writes.
 */
struct vmm_bus_hint {
	/** VMM_BUS_HINT_DOORBELL or VMM_BUS_HINT_COALESCE. */
	uint32_t kind;
	/** VMM_BUS_HINT_MATCH, or 0. */
	uint32_t flags;
	/** Offset in the range when handed in, address on the bus when handed out. */
	uint64_t addr;
	/** Doorbell: 1, 2, 4, 8, or 0 for any width (no match then). Zone: bytes, not 0.
	 */
	uint64_t len;
	/** The value that rings, with VMM_BUS_HINT_MATCH; else 0. */
	uint64_t match;
	/** The eventfd, borrowed for as long as the hint is there; -1 for a zone. */
	int32_t fd;
	/** Zero. */
	uint32_t reserved_;
};

/** Most hints of one range. */
#define VMM_BUS_HINTS_MAX 1024u

/** A range to register: options of vmm_bus_add_ranges(). */
struct vmm_bus_range {
	/** Size of this structure. */
	size_t size;
	/** First address. */
	uint64_t base;
	/** Number of addresses, not 0. */
	uint64_t len;
	/** The device's callbacks, copied. NULL: reads as ones, drops writes. */
	const struct vmm_bus_ops *ops;
	/** First argument of the callbacks. */
	void *ctx;
	/** Who may move and remove the range: any address that names the owner, never
	 *  followed. NULL: @ref ctx is the token. */
	const void *owner;
	/** VMM_BUS_WIDTH_* that the device takes; 0 is VMM_BUS_WIDTH_ANY. An access of
	 *  another width reads as ones or is dropped. */
	uint32_t widths;
	/** VMM_BUS_SPLIT, VMM_BUS_COUNT. */
	uint32_t flags;
	/** Hints, copied; NULL if there are none. */
	const struct vmm_bus_hint *hints;
	/** Number of hints. */
	size_t hint_count;
};

/** An empty struct vmm_bus_range. */
#define VMM_BUS_RANGE_INIT                                                          \
	{                                                                           \
		sizeof(struct vmm_bus_range), 0, 0, NULL, NULL, NULL, 0, 0, NULL, 0 \
	}

/** A range that is there, with its counters. */
struct vmm_bus_info {
	/** First address. */
	uint64_t base;
	/** Last address, included. */
	uint64_t last;
	/** As registered. */
	void *ctx;
	/** The owner's token. */
	const void *owner;
	/** VMM_BUS_WIDTH_*, never 0. */
	uint32_t widths;
	/** As registered. */
	uint32_t flags;
	/** Reads delivered; 0 without VMM_BUS_COUNT, as the next two. */
	uint64_t reads;
	/** Writes delivered. */
	uint64_t writes;
	/** Accesses refused for their width or for running over the end. */
	uint64_t refused;
};

/** Counters of a whole bus, always on. */
struct vmm_bus_totals {
	/** Accesses that no range had. */
	uint64_t unclaimed;
	/** Accesses refused for their width or for running over a range's end. */
	uint64_t refused;
};

/**
 * Hears of hints that come and go, for the glue to pass on to the hypervisor. Called
 * during the changing call, on its thread, with the bus' change lock held: it must not
 * change the map, and may dispatch. A hint goes after the map without it is in force and
 * comes after the map with it is; a move is all goings, then all comings.
 */
struct vmm_bus_listener {
	/** Size of this structure. */
	size_t size;
	/** A hint is there, with its address on the bus. NULL: not interested. */
	void (*hint_added)(void *ctx, const struct vmm_bus_hint *hint);
	/** The same hint is gone. NULL: not interested. */
	void (*hint_removed)(void *ctx, const struct vmm_bus_hint *hint);
};

/** An empty struct vmm_bus_listener. */
#define VMM_BUS_LISTENER_INIT                               \
	{                                                   \
		sizeof(struct vmm_bus_listener), NULL, NULL \
	}

/** One step of vmm_bus_move_ranges(). */
struct vmm_bus_move {
	/** Where the range starts now. */
	uint64_t base;
	/** Where it shall start. */
	uint64_t new_base;
};

/**
 * Make an empty bus. A bus whose last address is at most 65535 dispatches by a direct
 * table, any other by binary search.
 *
 * @param last      last address: UINT16_MAX for ports, UINT64_MAX for MMIO
 * @param[out] out  the bus, to be released with vmm_bus_free()
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_bus_new(uint64_t last, struct vmm_bus **out);

/** Release a bus on which no thread dispatches any more, with its ranges and readers.
 *  NULL is allowed. The listener is not told. */
VMM_API void vmm_bus_free(struct vmm_bus *bus);

/**
 * Give [base, base + len) to a device; @p ctx is the owner's token, too.
 *
 * @param bus       the bus
 * @param base      first address
 * @param len       number of addresses
 * @param ops       the device's callbacks, copied
 * @param ctx       their first argument
 * @retval 0        done
 * @retval -EINVAL  empty range, or one that ends behind the bus' last address
 * @retval -EEXIST  it overlaps a range that is there
 * @retval -E2BIG   an unknown tail in @p ops, or over #VMM_BUS_RANGES_MAX
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_bus_add(struct vmm_bus *bus, uint64_t base, uint64_t len,
				     const struct vmm_bus_ops *ops, void *ctx);

/**
 * Register several ranges in one step: all of them or, on failure, none.
 *
 * @param bus       the bus
 * @param ranges    the ranges, in any order, all of the same vmm_bus_range::size
 * @param count     how many; 0 does nothing
 * @param err       the detail of a failure; NULL is allowed
 * @retval 0        done
 * @retval -EINVAL  a range is empty, ends behind the bus' last address, or has a member
 *                  against its description
 * @retval -EEXIST  a range overlaps one that is there, or another of the batch
 * @retval -E2BIG   an unknown tail, or over #VMM_BUS_RANGES_MAX or #VMM_BUS_HINTS_MAX
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_bus_add_ranges(struct vmm_bus *bus,
					    const struct vmm_bus_range *ranges,
					    size_t count, struct vmm_error *err);

/**
 * Remove the range that starts at @p base. See the top of this file for when its device
 * may be released.
 *
 * @param bus       the bus
 * @param base      the range's first address
 * @param owner     the owner's token
 * @retval 0        done
 * @retval -ENOENT  no range starts there
 * @retval -EBUSY   it belongs to another owner
 * @retval -ENOMEM  out of memory: a smaller map has to be made first
 */
VMM_API VMM_MUST_USE int vmm_bus_remove(struct vmm_bus *bus, uint64_t base,
					const void *owner);

/**
 * Remove every range of an owner in one step.
 *
 * @param bus        the bus
 * @param owner      the owner's token
 * @param[out] out_count  how many there were, not 0; NULL is allowed
 * @retval 0         done
 * @retval -ENOENT   it has none
 * @retval -ENOMEM   out of memory
 */
VMM_API VMM_MUST_USE int vmm_bus_remove_owner(struct vmm_bus *bus, const void *owner,
					      size_t *out_count);

/**
 * Move a range, for instance when a guest programs a PCI BAR: no dispatch finds it at
 * both places, none finds it at neither. The new place may overlap the old one.
 *
 * @param bus       the bus
 * @param base      where the range starts
 * @param new_base  where it shall start
 * @param owner     the owner's token
 * @retval 0        done
 * @retval -ENOENT  no range starts at @p base
 * @retval -EBUSY   it belongs to another owner
 * @retval -EINVAL  it would end behind the bus' last address
 * @retval -EEXIST  it would overlap another range
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_bus_move(struct vmm_bus *bus, uint64_t base,
				      uint64_t new_base, const void *owner);

/**
 * Move several ranges of one owner in one step, so that they can also change places.
 *
 * @param bus       the bus
 * @param moves     where from, where to; a range at most once
 * @param count     how many; 0 does nothing
 * @param owner     the owner's token
 * @param err       the detail of a failure; NULL is allowed
 * @return as vmm_bus_move(); -EINVAL also for a range that is named twice. On failure
 *         all stay where they are.
 */
VMM_API VMM_MUST_USE int vmm_bus_move_ranges(struct vmm_bus *bus,
					     const struct vmm_bus_move *moves,
					     size_t count, const void *owner,
					     struct vmm_error *err);

/**
 * Replace the hints of a range, for instance when a driver has set up a queue.
 *
 * @param bus       the bus
 * @param base      the range's first address
 * @param owner     the owner's token
 * @param hints     the new hints, copied; NULL if there are none
 * @param count     how many
 * @retval 0        done
 * @retval -ENOENT  no range starts there
 * @retval -EBUSY   it belongs to another owner
 * @retval -EINVAL  a hint that leaves the range, or is against its description
 * @retval -E2BIG   over #VMM_BUS_HINTS_MAX
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_bus_set_hints(struct vmm_bus *bus, uint64_t base,
					   const void *owner,
					   const struct vmm_bus_hint *hints,
					   size_t count);

/**
 * Set who hears of hints. The new listener is told of every hint that is there, the one
 * before it of none going.
 *
 * @param bus       the bus
 * @param listener  the callbacks, copied; NULL for nobody
 * @param ctx       their first argument
 * @retval 0        done
 * @retval -E2BIG   an unknown tail
 */
VMM_API VMM_MUST_USE int vmm_bus_set_listener(struct vmm_bus *bus,
					      const struct vmm_bus_listener *listener,
					      void *ctx);

/**
 * Wait until every callback that was running, or about to run, when the call was made
 * has returned. What was removed before the call is not used by the bus any more.
 * Not to be called from a callback of the same bus: it would wait for itself.
 *
 * @param bus           the bus
 * @retval 0            done
 * @retval -EOPNOTSUPP  membarrier(2) worked when the bus was made and is refused now (by
 *                      a system call filter): nothing can be said; vmm_bus_free() after
 *                      the dispatching threads ended is the only safe end
 */
VMM_API VMM_MUST_USE int vmm_bus_synchronize(struct vmm_bus *bus);

/**
 * Dispatch a read.
 *
 * @p data is all ones where no device answers. A length other than 1, 2, 4 and 8 is cut
 * into naturally aligned pieces of these.
 *
 * @param bus        the bus
 * @param addr       address, in the guest's hands
 * @param[out] data  @p len bytes, always written
 * @param len        length in bytes
 * @return whether a range has the address
 */
VMM_API bool vmm_bus_read(struct vmm_bus *bus, uint64_t addr, void *data, size_t len);

/**
 * Dispatch a write, cut like a read; dropped where no device answers.
 *
 * @param bus   the bus
 * @param addr  address, in the guest's hands
 * @param data  @p len bytes
 * @param len   length in bytes
 * @return whether a range has the address
 */
VMM_API bool vmm_bus_write(struct vmm_bus *bus, uint64_t addr, const void *data,
			   size_t len);

/**
 * Make a thread's own place at the bus. Dispatching through it needs no atomic
 * read-modify-write, which is more than half the cost of the plain calls.
 *
 * @param bus       the bus
 * @param[out] out  the reader: for one thread at a time, nested calls from callbacks
 *                  included; given back with vmm_bus_reader_free() or with the bus
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_bus_reader_new(struct vmm_bus *bus,
					    struct vmm_bus_reader **out);

/** Give a reader back, outside of its dispatch calls and before the bus is freed. NULL
 *  is allowed. */
VMM_API void vmm_bus_reader_free(struct vmm_bus_reader *reader);

/**
 * Dispatch a read as vmm_bus_read() does.
 *
 * @param reader     the calling thread's reader
 * @param addr       address
 * @param[out] data  @p len bytes, always written
 * @param len        length in bytes
 * @return whether a range has the address
 */
VMM_API bool vmm_bus_reader_read(struct vmm_bus_reader *reader, uint64_t addr, void *data,
				 size_t len);

/**
 * Dispatch a write as vmm_bus_write() does.
 *
 * @param reader  the calling thread's reader
 * @param addr    address
 * @param data    @p len bytes
 * @param len     length in bytes
 * @return whether a range has the address
 */
VMM_API bool vmm_bus_reader_write(struct vmm_bus_reader *reader, uint64_t addr,
				  const void *data, size_t len);

/**
 * Say whether one range has all of [addr, addr + len).
 *
 * @param bus       the bus
 * @param addr      first address
 * @param len       number of addresses
 * @retval 0        yes
 * @retval -EINVAL  nothing, or beyond the bus' last address
 * @retval -ENOENT  no
 */
VMM_API VMM_MUST_USE int vmm_bus_check(struct vmm_bus *bus, uint64_t addr, uint64_t len);

/**
 * Describe the range that has an address.
 *
 * @param bus       the bus
 * @param addr      any address of the range
 * @param[out] out  the range
 * @retval 0        done
 * @retval -ENOENT  no range has it
 */
VMM_API VMM_MUST_USE int vmm_bus_find(struct vmm_bus *bus, uint64_t addr,
				      struct vmm_bus_info *out);

/**
 * Describe the first range that ends at or behind an address; with `last + 1` of one as
 * the next @p addr this visits all in order.
 *
 * @param bus       the bus
 * @param addr      where to begin
 * @param[out] out  the range
 * @retval 0        done
 * @retval -ENOENT  no more
 */
VMM_API VMM_MUST_USE int vmm_bus_next(struct vmm_bus *bus, uint64_t addr,
				      struct vmm_bus_info *out);

/** Return the number of ranges. */
VMM_API size_t vmm_bus_get_count(struct vmm_bus *bus);

/** Fill @p out with the bus' counters; dispatches that are running may be missing. */
VMM_API void vmm_bus_get_totals(struct vmm_bus *bus, struct vmm_bus_totals *out);

/** vmm_bus_resource::kind: addresses of the port bus, */
#define VMM_BUS_RESOURCE_PORTS 1u
/** addresses of the MMIO bus, */
#define VMM_BUS_RESOURCE_MMIO 2u
/** interrupt numbers, */
#define VMM_BUS_RESOURCE_GSI 3u
/** or message vectors. */
#define VMM_BUS_RESOURCE_MSI 4u

/** vmm_bus_resource::base: not assigned yet. */
#define VMM_BUS_UNASSIGNED UINT64_MAX

/**
 * What a device needs, and what it was given: plain data between a device, which states
 * len, align and window, and the glue, which finds a place (libvmm-allocator) and fills
 * base. Numbers are ports, addresses, GSIs or vectors, as the kind says.
 */
struct vmm_bus_resource {
	/** VMM_BUS_RESOURCE_*. */
	uint32_t kind;
	/** Zero. */
	uint32_t reserved_;
	/** The first number, or #VMM_BUS_UNASSIGNED. */
	uint64_t base;
	/** How many, not 0. */
	uint64_t len;
	/** What base is a multiple of: a power of two, not 0. */
	uint64_t align;
	/** Lowest number that will do. */
	uint64_t min;
	/** Highest number that will do, for the last one as well; 0 is no limit. */
	uint64_t max;
};

/**
 * Judge descriptions of resources, which may come from a file or a peer.
 *
 * @param resources  the list
 * @param count      its length
 * @param err        the detail of a failure, with the index; NULL is allowed
 * @retval 0         fine
 * @retval -EBADMSG  one that is malformed, cannot be met in its window, or has been
 *                   assigned a place outside of it or unaligned
 */
VMM_API VMM_MUST_USE int vmm_bus_resources_check(const struct vmm_bus_resource *resources,
						 size_t count, struct vmm_error *err);

/**
 * Find the @p nth resource of a kind, counted from 0.
 *
 * @param resources  the list
 * @param count      its length
 * @param kind       VMM_BUS_RESOURCE_*
 * @param nth        which of them
 * @param[out] out   its index in the list
 * @retval 0         done
 * @retval -ENOENT   there are not so many
 */
VMM_API VMM_MUST_USE int vmm_bus_resources_find(const struct vmm_bus_resource *resources,
						size_t count, uint32_t kind, size_t nth,
						size_t *out);

/**
 * Register every port and MMIO resource of a list, on both buses in one step: all of them
 * or, on failure, none. Interrupts are passed over.
 *
 * @param ports      the port bus; not the same as @p mmio
 * @param mmio       the MMIO bus
 * @param resources  the list, all assigned
 * @param count      its length
 * @param port_like  what port ranges are like: its base and len are ignored, the rest is
 *                   as in vmm_bus_add_ranges()
 * @param mmio_like  the same for MMIO ranges
 * @param err        the detail of a failure; NULL is allowed
 * @retval 0         done
 * @return as vmm_bus_add_ranges() and vmm_bus_resources_check(); -EINVAL also for one
 * that is not assigned
 */
VMM_API VMM_MUST_USE int vmm_bus_add_resources(
    struct vmm_bus *ports, struct vmm_bus *mmio, const struct vmm_bus_resource *resources,
    size_t count, const struct vmm_bus_range *port_like,
    const struct vmm_bus_range *mmio_like, struct vmm_error *err);

VMM_DEFINE_CLEANUP(vmm_bus, vmm_bus_free)
VMM_DEFINE_CLEANUP(vmm_bus_reader, vmm_bus_reader_free)

VMM_END_DECLS

#endif

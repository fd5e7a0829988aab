/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_FDT_H
#define VMM_FDT_H

/**
 * @file vmm/fdt.h
 * Flattened device trees (Devicetree Specification 0.4): a strict writer, and checked
 * access to a tree from someone else.
 *
 * The bytes are written by libfdt, behind checks that it does not make: names, order,
 * duplicates, phandles, unit addresses. A library that was built without libfdt answers
 * -EOPNOTSUPP to vmm_fdt_new() and to what reads trees.
 *
 * Calls on one writer must not overlap in time. Pointers must not be NULL unless the
 * function says so; `err` always may be.
 */

#include <stddef.h>
#include <stdint.h>
#include <vmm/loader.h>

VMM_BEGIN_DECLS

/** Deepest nesting of nodes. */
#define VMM_FDT_DEPTH_MAX 64u

/** Most bytes of a tree: what arm64 kernels map of one. */
#define VMM_FDT_SIZE_MAX (UINT32_C(2) << 20)

/** Most phandles, and most memory reservations. */
#define VMM_FDT_PHANDLES_MAX 4096u
#define VMM_FDT_RESERVATIONS_MAX 256u

/**
 * A writer. Opaque; owned by the caller of vmm_fdt_new().
 *
 * Nodes are begun and ended; properties of a node come before its children. Only the
 * first mistake counts: later calls do nothing, and vmm_fdt_finish() tells what it was.
 */
struct vmm_fdt;

/**
 * Make an empty writer.
 *
 * @param[out] out  the writer, to be released with vmm_fdt_free()
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 * @retval -EOPNOTSUPP built without libfdt
 */
VMM_API VMM_MUST_USE int vmm_fdt_new(struct vmm_fdt **out);

/** Release @p fdt. NULL is allowed. */
VMM_API void vmm_fdt_free(struct vmm_fdt *fdt);

/**
 * Check that the tree is whole, and lend its bytes. The writer takes no more after that.
 *
 * @param fdt          the writer
 * @param[out] out     the tree, borrowed until vmm_fdt_free()
 * @param[out] out_len bytes of it
 * @param[out] err     detail on failure
 * @retval 0           done
 * @retval -EINVAL     no root, a node that is open, or the first mistake of the calls
 *                     before
 * @retval -EEXIST     that mistake was a duplicate: property, sibling, phandle,
 *                     overlapping reservation
 * @retval -E2BIG      over a limit of this header
 * @retval -ENOMEM     out of memory
 */
VMM_API VMM_MUST_USE int vmm_fdt_finish(struct vmm_fdt *fdt, const void **out,
					size_t *out_len, struct vmm_error *err);

/** Reserve memory that the guest must not use as RAM; before the root. @p len is not
 *  0, and reservations do not overlap. */
VMM_API void vmm_fdt_add_reservation(struct vmm_fdt *fdt, uint64_t gpa, uint64_t len);

/** Set the physical id of the CPU that boots; 0 unless called. */
VMM_API void vmm_fdt_set_boot_cpu(struct vmm_fdt *fdt, uint32_t id);

/**
 * Begin a node: the root as "", others by a name of 1 to 31 letters, digits and
 * characters of ",._+-" that starts with a letter, and perhaps an at sign and a unit address. A node has a unit
 * address exactly if it has `reg` (or `ranges`), and the two agree.
 *
 * @return a number that vmm_fdt_end_node() wants back; 0 after a mistake
 */
VMM_API uint32_t vmm_fdt_begin_node(struct vmm_fdt *fdt, const char *name);

/** End the innermost open node, @p node being its number. */
VMM_API void vmm_fdt_end_node(struct vmm_fdt *fdt, uint32_t node);

/** Put a property without a value. Names of properties have 1 to 31 of
 *  `A-Z a-z 0-9 , . _ + ? # -`. */
VMM_API void vmm_fdt_put_null(struct vmm_fdt *fdt, const char *name);
/** Put bytes. */
VMM_API void vmm_fdt_put_bytes(struct vmm_fdt *fdt, const char *name, const void *data,
			       size_t len);
/** Put a string. */
VMM_API void vmm_fdt_put_string(struct vmm_fdt *fdt, const char *name, const char *text);
/** Put a list of @p count strings, not 0. */
VMM_API void vmm_fdt_put_strings(struct vmm_fdt *fdt, const char *name,
				 const char *const *texts, size_t count);
/** Put one number of 32 bits. */
VMM_API void vmm_fdt_put_u32(struct vmm_fdt *fdt, const char *name, uint32_t value);
/** Put one number of 64 bits. */
VMM_API void vmm_fdt_put_u64(struct vmm_fdt *fdt, const char *name, uint64_t value);
/** Put an array of numbers of 32 bits, the cells of `interrupts` and the like. */
VMM_API void vmm_fdt_put_u32s(struct vmm_fdt *fdt, const char *name,
			      const uint32_t *values, size_t count);
/** Put an array of numbers of 64 bits, pairs of address and length for `reg`. */
VMM_API void vmm_fdt_put_u64s(struct vmm_fdt *fdt, const char *name,
			      const uint64_t *values, size_t count);
/** Put the node's phandle: not 0, not 0xffffffff, and no one else's. */
VMM_API void vmm_fdt_put_phandle(struct vmm_fdt *fdt, uint32_t phandle);

/**
 * Put a `memory@...` node for each range of RAM of a map, taken or not. The parent, which
 * is open, has two cells for addresses and two for sizes.
 */
VMM_API void vmm_fdt_put_memory(struct vmm_fdt *fdt, const struct vmm_load_map *map);

/** Return a phandle that is free now and taken from now on; put it with
 *  vmm_fdt_put_phandle(). 0 after a mistake. */
VMM_API uint32_t vmm_fdt_take_phandle(struct vmm_fdt *fdt);

/**
 * Check a tree from someone else: header, all offsets, structure, names.
 *
 * @param data      the tree, on a multiple of 8 bytes
 * @param len       bytes there are; the tree may be shorter
 * @param[out] err  detail on failure
 * @retval 0        done: libfdt's reading calls cannot leave it
 * @retval -EINVAL  not on a multiple of 8 bytes
 * @retval -EBADMSG not a device tree, a damaged one, or one before version 17
 * @retval -E2BIG   more than #VMM_FDT_SIZE_MAX bytes
 * @retval -EOPNOTSUPP built without libfdt
 */
VMM_API VMM_MUST_USE int vmm_fdt_check(const void *data, size_t len,
				       struct vmm_error *err);

/**
 * Find a property in a tree that vmm_fdt_check() likes; it is checked again here.
 *
 * @param data         the tree
 * @param len          bytes there are
 * @param path         node, "/cpus/cpu@0"
 * @param name         property
 * @param[out] out     its value, pointing into @p data
 * @param[out] out_len bytes of it
 * @retval 0           found
 * @retval -ENOENT     no such node or property
 * @retval -EINVAL     not on a multiple of 8 bytes
 * @retval -EBADMSG    the tree is damaged
 * @retval -E2BIG      more than #VMM_FDT_SIZE_MAX bytes
 * @retval -EOPNOTSUPP built without libfdt
 */
VMM_API VMM_MUST_USE int vmm_fdt_find(const void *data, size_t len, const char *path,
				      const char *name, const void **out,
				      size_t *out_len);

/** What a boot puts into `/chosen`. */
struct vmm_fdt_chosen {
	/** Size of this structure. */
	size_t size;
	/** Command line; NULL leaves what is there. */
	const char *bootargs;
	/** The initrd; length 0 removes the properties. */
	struct vmm_load_range initrd;
	/** Seed for the guest's random numbers; length 0 leaves what is there. */
	const void *rng_seed;
	size_t rng_seed_len;
	/** Console, a path or an alias, perhaps with options: "serial0:115200n8"; NULL
	 *  leaves what is there. */
	const char *stdout_path;
	/** Seed for the place of the kernel in its address space; 0 leaves what is there.
	 */
	uint64_t kaslr_seed;
};

/** Defaults: remove an initrd, leave the rest. */
#define VMM_FDT_CHOSEN_INIT                                                     \
	{                                                                       \
		sizeof(struct vmm_fdt_chosen), NULL, { 0, 0 }, NULL, 0, NULL, 0 \
	}

/**
 * Copy a tree and bring `/chosen` up to date, adding the node if there is none.
 *
 * @param data         the tree, untrusted, on a multiple of 8 bytes
 * @param len          bytes there are
 * @param chosen       what to put in
 * @param[out] buf     room for the new tree, on a multiple of 8 bytes and not
 *                     overlapping @p data; its bytes are undefined after a failure
 * @param size         bytes of @p buf
 * @param[out] out_len bytes used
 * @param[out] err     detail on failure
 * @retval 0           done
 * @retval -EINVAL     an initrd that passes the end of the address space, or a tree not
 *                     on a multiple of 8 bytes
 * @retval -EBADMSG    the tree is damaged
 * @retval -E2BIG      more than #VMM_FDT_SIZE_MAX bytes, or an unknown structure tail
 * @retval -ENOSPC     @p buf is too small
 * @retval -EOPNOTSUPP built without libfdt
 */
VMM_API VMM_MUST_USE int vmm_fdt_set_chosen(const void *data, size_t len,
					    const struct vmm_fdt_chosen *chosen,
					    void *buf, size_t size, size_t *out_len,
					    struct vmm_error *err);

/** Most bytes of an overlay; and most nodes, properties and references in it, each. */
#define VMM_FDT_OVERLAY_MAX 65536u
#define VMM_FDT_OVERLAY_ITEMS_MAX 1024u

/**
 * Apply an overlay, as `dtc -@` makes it, to a copy of a tree.
 *
 * Fragments name their target by path, or by a label that the tree has in `/__symbols__`.
 * Phandles of the overlay are renumbered behind those of the tree. What is wrong in an
 * overlay is an error; neither input is changed by that, nor by success.
 *
 * @param base         the tree, untrusted, on a multiple of 8 bytes
 * @param base_len     bytes there are
 * @param overlay      the overlay, untrusted, on a multiple of 8 bytes
 * @param overlay_len  bytes there are
 * @param[out] buf     room for the new tree, on a multiple of 8 bytes and not overlapping
 *                     the others; its bytes are undefined after a failure
 * @param size         bytes of @p buf
 * @param[out] out_len bytes used
 * @param[out] err     detail on failure
 * @retval 0           done
 * @retval -EINVAL     something is not on a multiple of 8 bytes
 * @retval -EBADMSG    the tree or the overlay is damaged, or the overlay refers to what is
 *                     not there
 * @retval -E2BIG      more than #VMM_FDT_SIZE_MAX bytes of the tree,
 *                     #VMM_FDT_OVERLAY_MAX of the overlay, #VMM_FDT_OVERLAY_ITEMS_MAX of
 *                     its items, or #VMM_FDT_DEPTH_MAX levels of it
 * @retval -ENOSPC     @p buf is too small
 * @retval -ENOMEM     out of memory
 * @retval -EOPNOTSUPP built without libfdt
 */
VMM_API VMM_MUST_USE int vmm_fdt_apply_overlay(const void *base, size_t base_len,
					       const void *overlay, size_t overlay_len,
					       void *buf, size_t size, size_t *out_len,
					       struct vmm_error *err);

/**
 * Put a tree into guest memory, as high as the map allows, in 2 MiB of its own: kernels
 * map it in one block.
 *
 * @param mem       guest memory
 * @param map       where RAM is free; taken from
 * @param last      highest address allowed: UINT64_MAX, or UINT32_MAX for guests that
 *                  look below 4 GiB only
 * @param data      the tree; its header must be right
 * @param len       bytes there are
 * @param[out] out  where it is
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EBADMSG not a device tree
 * @retval -E2BIG   more than #VMM_FDT_SIZE_MAX bytes, or the map is full
 * @retval -ENOSPC  no free RAM for it
 * @retval -EFAULT  the map names RAM that @p mem does not have
 * @retval -EROFS   the map names RAM that is read-only
 */
VMM_API VMM_MUST_USE int vmm_fdt_load(const struct vmm_mem *mem, struct vmm_load_map *map,
				      uint64_t last, const void *data, size_t len,
				      struct vmm_load_range *out, struct vmm_error *err);

VMM_DEFINE_CLEANUP(vmm_fdt, vmm_fdt_free)

VMM_END_DECLS

#endif

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
 * @defgroup fdt_machine A whole machine
 * An arm64 machine from a description, as vmm/acpi.h has it for ACPI. Interrupts have the
 * GIC's own numbers here as there: 16 to 31 are each CPU's own (PPI), 32 to 1019 shared
 * ones (SPI). KVM counts its GSIs from the first SPI.
 * @{
 */

/** Number of the first private and of the first shared interrupt. */
#define VMM_FDT_PPI_FIRST 16u
#define VMM_FDT_SPI_FIRST 32u
/** Number of the last shared interrupt. */
#define VMM_FDT_SPI_LAST 1019u

/** Most CPUs; a GICv2 has 8. */
#define VMM_FDT_CPUS_MAX 4096u

/** Most bytes of a seed for random numbers. */
#define VMM_FDT_SEED_MAX 4096u

/** Most bytes of model, compatible, hypervisor and console options, without NUL. */
#define VMM_FDT_TEXT_MAX 127u

/** What makes an interrupt, as the GIC's binding counts. */
enum vmm_fdt_trigger {
	/** A rising edge: what KVM makes of an eventfd. */
	VMM_FDT_EDGE = 1,
	/** A high level. */
	VMM_FDT_LEVEL = 4,
};

/** An interrupt. */
struct vmm_fdt_irq {
	uint32_t number;
	/** enum vmm_fdt_trigger */
	uint32_t trigger;
};

/** The interrupt controller. */
struct vmm_fdt_gic {
	/** GICv2: 2; GICv3: 3. */
	uint32_t version;
	/** Zero. */
	uint32_t reserved_;
	/** Distributor: 4 KiB (GICv2) or 64 KiB (GICv3), and a multiple of that. */
	uint64_t dist_gpa;
	/** GICv2: CPU interface, 8 KiB, a multiple of 4 KiB. GICv3: 0. */
	uint64_t cpu_gpa;
	/** GICv3: redistributors, 128 KiB for each CPU or more; a multiple of 64 KiB. GICv2:
	 *  length 0. */
	uint64_t redist_gpa;
	uint64_t redist_len;
};

/** Kinds of UARTs. */
enum vmm_fdt_uart_kind {
	/** 16550A, registers next to each other. */
	VMM_FDT_UART_16550A = 1,
	VMM_FDT_UART_PL011 = 2,
};

/** A UART. */
struct vmm_fdt_uart {
	/** enum vmm_fdt_uart_kind */
	uint32_t kind;
	/** 16550A: rate of its clock in Hz, not 0. PL011: 0, it has the bus's. */
	uint32_t clock_hz;
	uint64_t gpa;
	/** Bytes of its window: 8 or more (16550A), 4096 or more (PL011). */
	uint64_t len;
	/** A shared one. */
	struct vmm_fdt_irq irq;
};

/** A virtio device on the MMIO transport. */
struct vmm_fdt_virtio_mmio {
	/** A multiple of 4. */
	uint64_t gpa;
	/** Bytes of its window, 512 or more. */
	uint64_t len;
	/** A shared one. */
	struct vmm_fdt_irq irq;
};

/** How a guest calls PSCI, to start CPUs and to turn the machine off. */
enum vmm_fdt_psci {
	/** Not at all; such a machine has one CPU. */
	VMM_FDT_PSCI_NONE = 0,
	VMM_FDT_PSCI_HVC = 1,
	VMM_FDT_PSCI_SMC = 2,
};

/** Stands for "no UART". */
#define VMM_FDT_NO_UART UINT32_MAX

/** A machine. What is pointed to is borrowed for the call. */
struct vmm_fdt_machine {
	/** Size of this structure. */
	size_t size;
	/** CPUs, 1 to #VMM_FDT_CPUS_MAX. */
	uint32_t cpu_count;
	/** enum vmm_fdt_psci */
	uint32_t psci;
	/** MPIDR of each CPU, affinity bits only and no two the same; NULL: 0, 1, 2... of 16
	 *  to a cluster. */
	const uint64_t *mpidrs;
	/** Name of the machine, and what it is compatible with; NULL: "linux,dummy-virt". */
	const char *model;
	const char *compatible;
	/** What the hypervisor is compatible with, "linux,kvm"; NULL: not told. */
	const char *hypervisor;
	/** Where RAM is; windows of devices lie outside of it. Not NULL. */
	const struct vmm_load_map *map;
	/** The initrd, in RAM; length 0: none. */
	struct vmm_load_range initrd;
	/** Command line, shorter than #VMM_LOAD_CMDLINE_MAX; NULL: none. */
	const char *cmdline;
	/** Seed for the guest's random numbers; length 0: none. */
	const void *rng_seed;
	size_t rng_seed_len;
	/** Seed for the place of the kernel in its address space; 0: none. */
	uint64_t kaslr_seed;
	struct vmm_fdt_gic gic;
	/** Timers, private interrupts. Without a hypervisor's own one its number is 0;
	 *  without any all four are. */
	struct vmm_fdt_irq timer_secure;
	struct vmm_fdt_irq timer_physical;
	struct vmm_fdt_irq timer_virtual;
	struct vmm_fdt_irq timer_hypervisor;
	/** Performance counters (PMUv3), a private interrupt; number 0: none. */
	struct vmm_fdt_irq pmu;
	/** UARTs, with aliases serial0, serial1... in their order. */
	const struct vmm_fdt_uart *uarts;
	size_t uart_count;
	/** Which of them is the console, or #VMM_FDT_NO_UART; and its options, "115200n8" or
	 *  NULL. */
	uint32_t stdout_uart;
	/** Rate of the bus's clock, which PL011 and PL031 have, in Hz; 0: 24 MHz. */
	uint32_t bus_clock_hz;
	const char *stdout_options;
	/** Window of a PL031 clock, 4 KiB, and its shared interrupt; both 0: no PL031. */
	uint64_t rtc_gpa;
	struct vmm_fdt_irq rtc_irq;
	const struct vmm_fdt_virtio_mmio *virtio_mmio;
	size_t virtio_mmio_count;
};

/** Defaults: one CPU, PSCI by HVC, timers where KVM has them and Arm's Base System
 *  Architecture wants them; no devices. Map and GIC are for the caller to fill in. */
#define VMM_FDT_MACHINE_INIT                                                             \
	{                                                                                \
		sizeof(struct vmm_fdt_machine), 1, VMM_FDT_PSCI_HVC, NULL, NULL, NULL,   \
		    NULL, NULL, { 0, 0 }, NULL, NULL, 0, 0, { 0, 0, 0, 0, 0, 0 },        \
		    { 29, VMM_FDT_LEVEL }, { 30, VMM_FDT_LEVEL }, { 27, VMM_FDT_LEVEL }, \
		    { 26, VMM_FDT_LEVEL }, { 0, 0 }, NULL, 0, VMM_FDT_NO_UART, 0, NULL,  \
		    0, { 0, 0 }, NULL, 0                                                 \
	}

/**
 * Put a whole machine into the root, which is open and has no child yet: the root's own
 * `compatible`, `model`, cells and interrupt parent, then all nodes of the description.
 * Nodes of the caller's own may follow before the root is ended.
 *
 * A description that is wrong is a mistake like any other: none of it is put, and
 * vmm_fdt_finish() says in a line what is wrong with it, with
 *
 * | code    | for                                                                        |
 * |---------|----------------------------------------------------------------------------|
 * | -EINVAL | what contradicts itself or this header: windows over each other or over    |
 * |         | RAM, an interrupt twice or out of range, a GIC without room for the CPUs,  |
 * |         | an initrd outside of RAM, a console that is not there                      |
 * | -E2BIG  | too many CPUs or devices, texts or seeds too long, unknown structure tail  |
 *
 * @param fdt      the writer
 * @param machine  the description
 */
VMM_API void vmm_fdt_put_machine(struct vmm_fdt *fdt,
				 const struct vmm_fdt_machine *machine);

/** @} */

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

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_LOADER_X86_H
#define VMM_LOADER_X86_H

/**
 * @file vmm/loader-x86.h
 * How an x86_64 guest starts: its memory layout, and everything that Linux's boot
 * protocols and PVH want in memory and in registers. Compiled on every host; knows
 * nothing of KVM. Rules of vmm/loader.h apply.
 *
 * Guest memory below 1 MiB, by the addresses of the constants below:
 *
 * | from    | to      | what                                        | guest sees |
 * |---------|---------|---------------------------------------------|------------|
 * | 0x500   | 0x52f   | GDT                                         | RAM        |
 * | 0x6000  | 0x6fff  | PVH start_info and module list              | RAM        |
 * | 0x7000  | 0x7fff  | zero page (Linux) or memory map (PVH)       | RAM        |
 * | 0x8000  | 0x8fff  | stack of the first instructions             | RAM        |
 * | 0x9000  | 0xffff  | page tables                                 | RAM        |
 * | 0x10000 | 0x1ffff | setup_data                                  | RAM        |
 * | 0x20000 | 0x2ffff | command line                                | RAM        |
 * | 0x9fc00 | 0x9ffff | extended BIOS data area                     | reserved   |
 * | 0xa0000 | 0xdffff | legacy video and ROMs                       | hole       |
 * | 0xe0000 | 0xeffff | ACPI tables                                 | ACPI       |
 * | 0xf0000 | 0xfffef | SMBIOS                                      | reserved   |
 * | 0xffff0 | 0xfffff | reset vector                                | reserved   |
 */

#include <vmm/loader.h>

VMM_BEGIN_DECLS

#define VMM_LOAD_X86_GDT 0x500u
#define VMM_LOAD_X86_START_INFO 0x6000u
#define VMM_LOAD_X86_ZERO_PAGE 0x7000u
#define VMM_LOAD_X86_STACK 0x8ff0u
#define VMM_LOAD_X86_PAGE_TABLES 0x9000u
#define VMM_LOAD_X86_SETUP_DATA 0x10000u
#define VMM_LOAD_X86_SETUP_DATA_LEN 0x10000u
#define VMM_LOAD_X86_CMDLINE 0x20000u
#define VMM_LOAD_X86_CMDLINE_LEN 0x10000u
#define VMM_LOAD_X86_LOW_END 0x9fc00u
#define VMM_LOAD_X86_ACPI 0xe0000u
#define VMM_LOAD_X86_ACPI_LEN 0x10000u
#define VMM_LOAD_X86_SMBIOS 0xf0000u
#define VMM_LOAD_X86_SMBIOS_LEN 0xfff0u
#define VMM_LOAD_X86_RESET_VECTOR 0xffff0u
#define VMM_LOAD_X86_RESET_VECTOR_LEN 0x10u

/*
 * The gap below 4 GiB, 1 GiB of it: half for device windows, then PCI configuration
 * space of 256 buses, then the interrupt controllers and KVM's own pages at their
 * fixed places.
 */
#define VMM_LOAD_X86_GAP UINT64_C(0xc0000000)
#define VMM_LOAD_X86_GAP_LEN UINT64_C(0x40000000)
#define VMM_LOAD_X86_MMIO VMM_LOAD_X86_GAP
#define VMM_LOAD_X86_MMIO_LEN UINT64_C(0x20000000)
#define VMM_LOAD_X86_ECAM UINT64_C(0xe0000000)
#define VMM_LOAD_X86_ECAM_LEN UINT64_C(0x10000000)
#define VMM_LOAD_X86_IOAPIC UINT64_C(0xfec00000)
#define VMM_LOAD_X86_HPET UINT64_C(0xfed00000)
#define VMM_LOAD_X86_LAPIC UINT64_C(0xfee00000)
#define VMM_LOAD_X86_KVM_IDENTITY_MAP UINT64_C(0xfffbc000)
#define VMM_LOAD_X86_KVM_TSS UINT64_C(0xfffbd000)

/** Most RAM: 4 PiB less what lies in the gap, so that it ends within 52 bits. */
#define VMM_LOAD_X86_RAM_MAX ((UINT64_C(1) << 52) - VMM_LOAD_X86_GAP_LEN)

/** Most ranges that vmm_load_x86_ram() makes. */
#define VMM_LOAD_X86_RAM_RANGES 2u

/**
 * Divide RAM of a given size around the gap below 4 GiB: these are the regions to add to
 * guest memory.
 *
 * @param ram_size    bytes, a multiple of 4096, from 2 MiB to #VMM_LOAD_X86_RAM_MAX
 * @param[out] out    one range, or two when there is more than 3 GiB
 * @param[out] out_n  how many
 * @retval 0          done
 * @retval -EINVAL    the size is out of range or not a multiple of 4096
 */
VMM_API VMM_MUST_USE int vmm_load_x86_ram(
    uint64_t ram_size, struct vmm_load_range out[VMM_LOAD_X86_RAM_RANGES], size_t *out_n);

/**
 * Make the map of an x86 guest: its memory, and the first MiB as the table above says.
 * RAM below 0x9fc00 is taken already. Add what else there is (the ECAM window as
 * reserved) with vmm_load_map_set().
 *
 * @param mem       guest memory, RAM from 0 to 1 MiB at least
 * @param[out] out  the map
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EFAULT  the first MiB is not writable memory
 * @retval -E2BIG   too many regions
 */
VMM_API VMM_MUST_USE int vmm_load_x86_map(const struct vmm_mem *mem,
					  struct vmm_load_map *out,
					  struct vmm_error *err);

/** How a kernel is entered. */
enum vmm_load_x86_protocol {
	/** The best one the kernel has: 64-bit, PVH, 32-bit. */
	VMM_LOAD_X86_BEST = 0,
	/** 64-bit Linux: long mode, zero page in RSI. */
	VMM_LOAD_X86_LINUX64 = 1,
	/** 32-bit Linux (bzImage): protected mode, zero page in ESI. */
	VMM_LOAD_X86_LINUX32 = 2,
	/** PVH (ELF with a note): protected mode, start_info in EBX. */
	VMM_LOAD_X86_PVH = 3,
};

/** Build five-level page tables; the CPU must have them and the kernel say so. */
#define VMM_LOAD_X86_LEVEL5 (UINT32_C(1) << 0)

/** What vmm_load_x86_boot() is told. */
struct vmm_load_x86_opts {
	/** Size of this structure. */
	size_t size;
	/** enum vmm_load_x86_protocol */
	uint32_t protocol;
	/** VMM_LOAD_X86_LEVEL5 */
	uint32_t flags;
	/** Result of vmm_load_kernel(); borrowed. */
	const struct vmm_load_result *kernel;
	/** Memory map that the guest is given; borrowed. */
	const struct vmm_load_map *map;
	/** Command line; borrowed. NULL is an empty one. */
	const char *cmdline;
	/** Result of vmm_load_initrd(); length 0 for none. */
	struct vmm_load_range initrd;
	/** Address of the ACPI root pointer; 0 for none. */
	uint64_t rsdp_gpa;
	/** First entry of a list of setup_data, see vmm_load_x86_setup_data(); 0 for
	 *  none. */
	uint64_t setup_data_gpa;
};

/** Defaults: the best protocol, nothing but what has to be set. */
#define VMM_LOAD_X86_OPTS_INIT                                                           \
	{                                                                                \
		sizeof(struct vmm_load_x86_opts), 0, 0, NULL, NULL, NULL, { 0, 0 }, 0, 0 \
	}

/** A segment register; members mean what KVM's `struct kvm_segment` means by them. */
struct vmm_load_x86_segment {
	uint64_t base;
	/** In bytes, whatever @p g says. */
	uint32_t limit;
	uint16_t selector;
	uint8_t type;
	uint8_t present;
	uint8_t dpl;
	uint8_t db;
	uint8_t s;
	uint8_t l;
	uint8_t g;
	uint8_t avl;
	uint16_t reserved_;
};

/** State of the CPU that starts; all registers that are not here are 0. Interrupts are
 *  off; every other CPU waits for a start-up interrupt. */
struct vmm_load_x86_entry {
	/** enum vmm_load_x86_protocol that was chosen. */
	uint32_t protocol;
	/** 64 or 32. */
	uint32_t bits;
	uint64_t rip;
	uint64_t rsp;
	uint64_t rbp;
	uint64_t rsi;
	uint64_t rbx;
	uint64_t rflags;
	uint64_t cr0;
	uint64_t cr3;
	uint64_t cr4;
	uint64_t efer;
	/** Guest address and limit of the GDT; the IDT is empty, limit 0. */
	uint64_t gdt_base;
	uint64_t idt_base;
	uint16_t gdt_limit;
	uint16_t idt_limit;
	uint32_t reserved_;
	struct vmm_load_x86_segment cs;
	/** For DS, ES, FS, GS and SS alike. */
	struct vmm_load_x86_segment ds;
	/** Task register. */
	struct vmm_load_x86_segment tr;
};

/**
 * Write all that a kernel expects below 1 MiB: GDT, page tables, command line, and zero
 * page or start_info with their memory map; and tell how the first CPU starts.
 *
 * @param mem       guest memory that holds the kernel
 * @param opts      what to tell the kernel; `kernel` and `map` must be set
 * @param[out] out  register values of the first CPU
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EINVAL  `kernel` or `map` missing, unknown protocol or flag, a kernel for
 *                  another machine, or an initrd that is not in RAM of the map
 * @retval -EOPNOTSUPP the kernel has no such entry
 * @retval -E2BIG   the command line exceeds the kernel's limit or 64 KiB; too many
 *                  entries for the table of the protocol; unknown structure tail
 * @retval -EFAULT  memory below 1 MiB is missing, or the kernel lies above 4 GiB, out of
 *                  reach of the first page tables
 * @retval -EROFS   memory below 1 MiB is read-only
 * @retval -EBUSY   the kernel or the initrd lies where these tables go
 */
VMM_API VMM_MUST_USE int vmm_load_x86_boot(const struct vmm_mem *mem,
					   const struct vmm_load_x86_opts *opts,
					   struct vmm_load_x86_entry *out,
					   struct vmm_error *err);

/** One entry of the e820 table, as the zero page has it, 20 bytes each. */
#define VMM_LOAD_E820_LEN 20u

/**
 * Write a map in e820 form: address, length, type, little-endian; taken RAM is RAM.
 *
 * @param map        the map
 * @param[out] buf   room for @p max entries of #VMM_LOAD_E820_LEN bytes
 * @param max        entries that fit
 * @param[out] out_n entries written
 * @retval 0         done
 * @retval -E2BIG    they do not fit
 */
VMM_API VMM_MUST_USE int vmm_load_x86_e820(const struct vmm_load_map *map, void *buf,
					   size_t max, size_t *out_n);

/** Kinds of setup_data (boot protocol, "setup_data"). */
enum vmm_load_setup_type {
	/** Entries of e820 behind the 128 of the zero page. */
	VMM_LOAD_SETUP_E820_EXT = 1,
	/** A device tree; one that is in the list is checked for its header. */
	VMM_LOAD_SETUP_DTB = 2,
	VMM_LOAD_SETUP_PCI = 3,
	VMM_LOAD_SETUP_EFI = 4,
	VMM_LOAD_SETUP_APPLE_PROPERTIES = 5,
	VMM_LOAD_SETUP_JAILHOUSE = 6,
	VMM_LOAD_SETUP_CC_BLOB = 7,
	VMM_LOAD_SETUP_IMA = 8,
	/** Random bytes, which the kernel wipes once it has read them; see
	 *  vmm_load_random(). */
	VMM_LOAD_SETUP_RNG_SEED = 9,
	VMM_LOAD_SETUP_KEXEC_KHO = 10,
};

/** Set in a type when @p data is not in the list but elsewhere in guest memory. */
#define VMM_LOAD_SETUP_INDIRECT UINT32_C(0x80000000)

/** One entry of a setup_data list. */
struct vmm_load_setup_data {
	/** enum vmm_load_setup_type, or another number of the protocol; maybe with
	 *  #VMM_LOAD_SETUP_INDIRECT. */
	uint32_t type;
	/** Zero. */
	uint32_t reserved_;
	/** The bytes; borrowed. Indirect: NULL. */
	const void *data;
	/** How many, not 0. */
	uint64_t len;
	/** Indirect: where they are in guest memory. */
	uint64_t gpa;
};

/** Most entries of a list of setup_data. */
#define VMM_LOAD_SETUP_DATA_MAX 256u

/**
 * Write a list of setup_data to its place at #VMM_LOAD_X86_SETUP_DATA.
 *
 * @param mem       guest memory
 * @param data      the entries
 * @param count     how many, not 0
 * @param[out] out  address of the first, for vmm_load_x86_opts
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EINVAL  no entry, one without bytes, or an indirect one that is not in
 *                  guest memory
 * @retval -EBADMSG what is called a device tree has not its header
 * @retval -E2BIG   more than #VMM_LOAD_SETUP_DATA_MAX entries, or the list does not fit into #VMM_LOAD_X86_SETUP_DATA_LEN bytes
 * @retval -EFAULT  its place is not guest memory
 * @retval -EROFS   its place is read-only
 */
VMM_API VMM_MUST_USE int vmm_load_x86_setup_data(const struct vmm_mem *mem,
						 const struct vmm_load_setup_data *data,
						 size_t count, uint64_t *out,
						 struct vmm_error *err);

/**
 * Put code at #VMM_LOAD_X86_RESET_VECTOR that resets the machine by a write to a port.
 *
 * A guest that reboots the way of the PC jumps there in real mode, as the BIOS would take
 * over. Linux does so on every hardware-reduced ACPI machine without EFI: there it
 * prefers EFI to the ACPI reset register, finds none, and the BIOS is next on its list.
 * Without code at the vector it would run through zeros for ever.
 *
 * @param mem       guest memory
 * @param port      I/O port that resets the machine: the FADT's reset register
 * @param value     what to write to it
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EFAULT  the vector is not guest memory
 * @retval -EROFS   it is read-only
 */
VMM_API VMM_MUST_USE int vmm_load_x86_reset_vector(const struct vmm_mem *mem,
						   uint16_t port, uint8_t value,
						   struct vmm_error *err);

VMM_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

/**
 * @file vmm/acpi.h
 * ACPI tables (ACPI specification 6.5): a whole machine from a description, single
 * tables, and a writer for AML, the byte code that describes devices.
 *
 * Machines are hardware-reduced: no ACPI timer, no system control interrupt, no legacy
 * PIC. Power-off and reboot go through I/O ports that the caller names, and each device
 * names its interrupt.
 *
 * Nothing here keeps state outside its arguments; calls on one AML writer must not
 * overlap in time. Pointers must not be NULL unless the function says so.
 */

#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>

VMM_BEGIN_DECLS

/** Bytes of the header that each table but the root pointer starts with. */
#define VMM_ACPI_HEADER_LEN 36u

/** Stands for "no such interrupt". */
#define VMM_ACPI_NO_GSI UINT32_MAX

/**
 * Fill the header of a table in place: signature, length, revision, who made it, and the
 * checksum over all of it.
 *
 * @param table      the table; what follows the header is there already
 * @param len        bytes of it, header included
 * @param signature  four characters: "SSDT"
 * @param revision   revision of that table
 * @retval 0         done
 * @retval -EINVAL   @p len is below #VMM_ACPI_HEADER_LEN or above 32 bits, or the
 *                   signature is not four characters
 */
VMM_API VMM_MUST_USE int vmm_acpi_header_write(void *table, size_t len,
					       const char *signature, uint8_t revision);

/**
 * @defgroup aml AML writer
 * Terms are written in order, as ASL would list them. What has contents is begun and
 * ended. Only the first mistake counts: later calls do nothing, and vmm_acpi_aml_finish()
 * tells what it was. So a description needs a single check.
 *
 * Names are those of ASL: up to four of `A-Z 0-9 _`, not starting with a digit, joined by
 * dots, after `\` (from the root) or `^` (the parent).
 * @{
 */

/** A writer. Opaque; owned by the caller of vmm_acpi_aml_new(). */
struct vmm_acpi_aml;

/** Deepest nesting of what is begun and ended. */
#define VMM_ACPI_AML_DEPTH_MAX 32u

/** Most bytes of AML. */
#define VMM_ACPI_AML_MAX (UINT32_C(1) << 20)

/** Operators without contents; their operands follow as further terms. */
enum vmm_acpi_aml_op {
	/** To Local7, 0x67. */
	VMM_ACPI_AML_LOCAL0 = 0x60,
	/** To Arg6, 0x6e. */
	VMM_ACPI_AML_ARG0 = 0x68,
	VMM_ACPI_AML_STORE = 0x70,
	VMM_ACPI_AML_ADD = 0x72,
	VMM_ACPI_AML_SUBTRACT = 0x74,
	VMM_ACPI_AML_INCREMENT = 0x75,
	VMM_ACPI_AML_SHIFT_LEFT = 0x79,
	VMM_ACPI_AML_AND = 0x7b,
	VMM_ACPI_AML_OR = 0x7d,
	VMM_ACPI_AML_DEREF_OF = 0x83,
	VMM_ACPI_AML_NOTIFY = 0x86,
	VMM_ACPI_AML_INDEX = 0x88,
	VMM_ACPI_AML_LAND = 0x90,
	VMM_ACPI_AML_LOR = 0x91,
	VMM_ACPI_AML_LNOT = 0x92,
	VMM_ACPI_AML_LEQUAL = 0x93,
	VMM_ACPI_AML_LGREATER = 0x94,
	VMM_ACPI_AML_LLESS = 0x95,
	VMM_ACPI_AML_RETURN = 0xa4,
	VMM_ACPI_AML_BREAK = 0xa5,
	/** As target of an operator: drop the result. */
	VMM_ACPI_AML_NOTHING = 0x00,
	/** 0x5b prefix. */
	VMM_ACPI_AML_ACQUIRE = 0x5b23,
	VMM_ACPI_AML_RELEASE = 0x5b27,
};

/** Where an operation region lies. */
enum vmm_acpi_space {
	VMM_ACPI_SPACE_MEMORY = 0,
	VMM_ACPI_SPACE_IO = 1,
};

/** One field of an operation region; a name of NULL skips @p bits. */
struct vmm_acpi_field {
	const char *name;
	uint32_t bits;
	/** Zero. */
	uint32_t reserved_;
};

/** Flags of vmm_acpi_aml_put_irq(). */
#define VMM_ACPI_IRQ_LEVEL (UINT32_C(1) << 0)
#define VMM_ACPI_IRQ_ACTIVE_LOW (UINT32_C(1) << 1)
#define VMM_ACPI_IRQ_SHARED (UINT32_C(1) << 2)

/**
 * Make an empty writer.
 *
 * @param[out] out  the writer, to be released with vmm_acpi_aml_free()
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_acpi_aml_new(struct vmm_acpi_aml **out);

/** Release @p aml. NULL is allowed. */
VMM_API void vmm_acpi_aml_free(struct vmm_acpi_aml *aml);

/**
 * Check that all that was begun was ended, and lend the bytes.
 *
 * @param aml          the writer; it may be written to further
 * @param[out] out     the bytes, borrowed until the next call on @p aml
 * @param[out] out_len how many
 * @param[out] err     detail on failure; may be NULL
 * @retval 0           done
 * @retval -EINVAL     a bad name or number, or something not begun or not ended
 * @retval -E2BIG      more than #VMM_ACPI_AML_MAX bytes, #VMM_ACPI_AML_DEPTH_MAX levels,
 *                     or 255 elements of a package
 * @retval -ENOMEM     out of memory
 */
VMM_API VMM_MUST_USE int vmm_acpi_aml_finish(struct vmm_acpi_aml *aml,
					     const uint8_t **out, size_t *out_len,
					     struct vmm_error *err);

/** Begin `Scope (path) {`. */
VMM_API void vmm_acpi_aml_begin_scope(struct vmm_acpi_aml *aml, const char *path);
/** Begin `Device (path) {`. */
VMM_API void vmm_acpi_aml_begin_device(struct vmm_acpi_aml *aml, const char *path);
/** Begin `Method (path, args, serialized) {`; @p args is 0 to 7. */
VMM_API void vmm_acpi_aml_begin_method(struct vmm_acpi_aml *aml, const char *path,
				       unsigned int args, int serialized);
/** Begin `If {`; the condition is the first term. */
VMM_API void vmm_acpi_aml_begin_if(struct vmm_acpi_aml *aml);
/** Begin `Else {`, right after an If ended. */
VMM_API void vmm_acpi_aml_begin_else(struct vmm_acpi_aml *aml);
/** Begin `While {`; the condition is the first term. */
VMM_API void vmm_acpi_aml_begin_while(struct vmm_acpi_aml *aml);
/** Begin `Package (count) {`; @p count is what will follow, 0 to 255. */
VMM_API void vmm_acpi_aml_begin_package(struct vmm_acpi_aml *aml, unsigned int count);
/** Begin `ResourceTemplate () {`. Only resources may be put into it. */
VMM_API void vmm_acpi_aml_begin_resources(struct vmm_acpi_aml *aml);
/** End what was begun last. */
VMM_API void vmm_acpi_aml_end(struct vmm_acpi_aml *aml);

/** Put `Name (path, ` - the next term is its value. */
VMM_API void vmm_acpi_aml_put_name(struct vmm_acpi_aml *aml, const char *path);
/** Put an integer, as short as it can be. */
VMM_API void vmm_acpi_aml_put_int(struct vmm_acpi_aml *aml, uint64_t value);
/** Put a string of ASCII 1 to 0x7f. */
VMM_API void vmm_acpi_aml_put_string(struct vmm_acpi_aml *aml, const char *text);
/** Put `EisaId (id)`: three capital letters and four hexadecimal digits, "PNP0501". */
VMM_API void vmm_acpi_aml_put_eisa_id(struct vmm_acpi_aml *aml, const char *id);
/** Put a Buffer of bytes. */
VMM_API void vmm_acpi_aml_put_buffer(struct vmm_acpi_aml *aml, const void *data,
				     size_t len);
/** Put a reference to a name, or a call whose arguments follow. */
VMM_API void vmm_acpi_aml_put_path(struct vmm_acpi_aml *aml, const char *path);
/** Put an operator, enum vmm_acpi_aml_op; its operands follow. */
VMM_API void vmm_acpi_aml_put_op(struct vmm_acpi_aml *aml, unsigned int op);
/** Put `OperationRegion (path, space, gpa, len)`. */
VMM_API void vmm_acpi_aml_put_region(struct vmm_acpi_aml *aml, const char *path,
				     unsigned int space, uint64_t gpa, uint64_t len);
/** Put `Field (region, ...)`; @p access is the width, 8, 16, 32 or 64 bits. Parts of a
 *  unit that are not written keep their value, or become 0 if @p write_zeros. */
VMM_API void vmm_acpi_aml_put_field(struct vmm_acpi_aml *aml, const char *region,
				    unsigned int access, int write_zeros,
				    const struct vmm_acpi_field *fields, size_t count);
/** Put `Mutex (path, 0)`. */
VMM_API void vmm_acpi_aml_put_mutex(struct vmm_acpi_aml *aml, const char *path);
/** Put bytes of AML from elsewhere, unchecked. */
VMM_API void vmm_acpi_aml_put_raw(struct vmm_acpi_aml *aml, const void *data, size_t len);

/** Put an Extended Interrupt resource; @p flags VMM_ACPI_IRQ_*, 0 is edge, active high,
 *  exclusive. */
VMM_API void vmm_acpi_aml_put_irq(struct vmm_acpi_aml *aml, uint32_t gsi, uint32_t flags);
/** Put an I/O resource of @p len ports from @p port, 16-bit decoding. */
VMM_API void vmm_acpi_aml_put_io(struct vmm_acpi_aml *aml, uint16_t port, uint8_t len);
/** Put a memory resource: fixed 32-bit when it ends below 4 GiB, else QWord. */
VMM_API void vmm_acpi_aml_put_memory(struct vmm_acpi_aml *aml, uint64_t gpa,
				     uint64_t len);
/** Put the bus numbers @p first to @p last that a host bridge produces. */
VMM_API void vmm_acpi_aml_put_bus_numbers(struct vmm_acpi_aml *aml, uint8_t first,
					  uint8_t last);
/** Put a window that a host bridge produces: memory (32 or 64 bits as it needs). */
VMM_API void vmm_acpi_aml_put_memory_window(struct vmm_acpi_aml *aml, uint64_t gpa,
					    uint64_t len);
/** Put a window of I/O ports that a host bridge produces. */
VMM_API void vmm_acpi_aml_put_io_window(struct vmm_acpi_aml *aml, uint16_t port,
					uint32_t len);

/** @} */

/** A 16550A UART on I/O ports. */
struct vmm_acpi_uart {
	/** First of its eight ports. */
	uint16_t port;
	/** Zero. */
	uint16_t reserved_;
	/** Its interrupt, edge-triggered and active high. */
	uint32_t gsi;
};

/** A virtio device on the MMIO transport. */
struct vmm_acpi_virtio_mmio {
	uint64_t gpa;
	/** Bytes of its window, 512 or more. */
	uint64_t len;
	/** Its interrupt, edge-triggered and active high. */
	uint32_t gsi;
	/** Zero. */
	uint32_t reserved_;
};

/** A PCI Express host bridge with its configuration space in memory (ECAM). */
struct vmm_acpi_pci {
	/** Configuration space, 1 MiB for each bus; a multiple of 1 MiB. */
	uint64_t ecam_gpa;
	/** Window for 32-bit BARs; length 0: none. */
	uint64_t mmio32_gpa;
	uint64_t mmio32_len;
	/** Window for 64-bit BARs; length 0: none. */
	uint64_t mmio64_gpa;
	uint64_t mmio64_len;
	/** Interrupts of the pins INTA to INTD of device 0, level-triggered, active high;
	 * the next device has them turned by one. #VMM_ACPI_NO_GSI in the first: no pins,
	 * MSI only. */
	uint32_t pin_gsi[4];
	/** Highest bus number; the first is 0. */
	uint8_t last_bus;
	/** Zero. */
	uint8_t reserved_[7];
};

/** A range of memory and the node that it is near to. */
struct vmm_acpi_numa_memory {
	uint64_t gpa;
	uint64_t len;
	uint32_t node;
	/** Zero. */
	uint32_t reserved_;
};

/** Which CPU and which memory is near to which (SRAT, SLIT). */
struct vmm_acpi_numa {
	/** Nodes, 1 to 64. */
	uint32_t node_count;
	/** Zero. */
	uint32_t reserved_;
	/** Node of each CPU. */
	const uint32_t *cpu_node;
	const struct vmm_acpi_numa_memory *memory;
	size_t memory_count;
	/** Row by row, node_count * node_count: 10 to oneself, more to others; NULL: no
	 *  SLIT. */
	const uint8_t *distance;
};

/**
 * CPUs that can come and go while the guest runs.
 *
 * The guest is given a register block of #VMM_ACPI_CPU_HOTPLUG_LEN bytes, which the
 * caller implements; little-endian, and each access has the width of its register:
 *
 * | offset | bytes | what                                                            |
 * |--------|-------|-----------------------------------------------------------------|
 * | 0      | 4     | number of the CPU that the rest is about                        |
 * | 4      | 1     | read: bit 0 it is there, bit 1 it came, bit 2 it shall go       |
 * |        |       | write: bit 1 or 2 forget that event, bit 3 it is gone: take it  |
 *
 * To add or remove a CPU, set bit 1 or 2 and raise the interrupt. Bits that are written
 * as 0 change nothing; a number that is out of range reads as 0.
 */
struct vmm_acpi_cpu_hotplug {
	/** Address of the register block; in I/O space below 0x10000. */
	uint64_t gpa;
	/** enum vmm_acpi_space */
	uint32_t space;
	/** Most CPUs, cpu_count to 4096; `apic_ids`, `cpu_node` and `mpidrs` have so many.
	 */
	uint32_t cpu_max;
	/** Interrupt, edge-triggered. */
	uint32_t gsi;
	/** Zero. */
	uint32_t reserved_;
};

/** Bytes of the register block of struct vmm_acpi_cpu_hotplug. */
#define VMM_ACPI_CPU_HOTPLUG_LEN 8u

/** The interrupt controller and timers of an arm64 machine. */
struct vmm_acpi_gic {
	/** GICv2: 2; GICv3: 3. */
	uint32_t version;
	/** Interrupts of the virtual timer, the two physical ones (secure, not secure) and
	 *  the hypervisor's, PPIs 16 to 31; 0: none. */
	uint32_t timer_virtual;
	uint32_t timer_secure;
	uint32_t timer_physical;
	uint32_t timer_hypervisor;
	/** Interrupt of the performance counters, a PPI or 0; level-triggered. */
	uint32_t pmu;
	/** Distributor, 4 KiB (GICv2) or 64 KiB (GICv3). */
	uint64_t dist_gpa;
	/** GICv2: CPU interface. GICv3: 0. */
	uint64_t cpu_gpa;
	/** GICv3: where the redistributors are, 128 KiB for each CPU. GICv2: length 0. */
	uint64_t redist_gpa;
	uint64_t redist_len;
	/** GICv3: interrupt translation service, for MSI; 0: none. */
	uint64_t its_gpa;
	/** GICv2: frame of GICv2m, for MSI, its first SPI and how many; 0: none. */
	uint64_t v2m_gpa;
	uint16_t v2m_spi_base;
	uint16_t v2m_spi_count;
	/** Zero. */
	uint32_t reserved_;
	/** MPIDR of each CPU; NULL: 0, 1, 2... of 16 to a cluster. */
	const uint64_t *mpidrs;
};

/** Further bytes: a whole table, or AML. */
struct vmm_acpi_bytes {
	const void *data;
	size_t len;
};

/** Devices that the guest is told of in FADT; without the flag it does not look. */
#define VMM_ACPI_HAS_I8042 (UINT32_C(1) << 0)
#define VMM_ACPI_HAS_CMOS_RTC (UINT32_C(1) << 1)
/** Tell the guest that its console is the first UART (SPCR). */
#define VMM_ACPI_HAS_CONSOLE (UINT32_C(1) << 2)

/** A machine. Arrays are borrowed. */
struct vmm_acpi_machine {
	/** Size of this structure. */
	size_t size;
	/** VMM_ACPI_HAS_* */
	uint32_t flags;
	/** CPUs that are there from the start, 1 to 4096. */
	uint32_t cpu_count;
	/** Their local APIC ids; NULL: 0, 1, 2... Ids of 255 and up need x2APIC. */
	const uint32_t *apic_ids;
	/** Address of the local APICs; 0: 0xfee00000. */
	uint32_t lapic_gpa;
	/** Address of the I/O APIC; 0: 0xfec00000. */
	uint32_t ioapic_gpa;
	/** Its id, and the first interrupt of its 24. */
	uint32_t ioapic_id;
	uint32_t ioapic_gsi;
	/** I/O ports of the sleep control and status registers; 0: no power-off. */
	uint16_t sleep_control_port;
	uint16_t sleep_status_port;
	/** I/O port and value that reset the machine; port 0: none. */
	uint16_t reset_port;
	uint8_t reset_value;
	/** Sleep type that means off (`_S5`), 0 to 7. */
	uint8_t s5_type;
	/** Interrupt of the power button, edge-triggered; #VMM_ACPI_NO_GSI: no button. */
	uint32_t power_button_gsi;
	/** Zero. */
	uint32_t reserved_;
	const struct vmm_acpi_uart *uarts;
	size_t uart_count;
	const struct vmm_acpi_virtio_mmio *virtio_mmio;
	size_t virtio_mmio_count;
	/** AML put into `\_SB` after all devices; len 0 for none. */
	struct vmm_acpi_bytes extra_aml;
	/** Further tables, header and checksum included. */
	const struct vmm_acpi_bytes *tables;
	size_t table_count;
	/** PCI, NULL for none. */
	const struct vmm_acpi_pci *pci;
	/** Distances, NULL for none. */
	const struct vmm_acpi_numa *numa;
	/** Address of an HPET; 0 for none. */
	uint64_t hpet_gpa;
	/** Address of the 16 bytes of the VM generation id, a multiple of 8; 0 for none.
	 */
	uint64_t vmgenid_gpa;
	/** Interrupt that says that the generation id changed, edge-triggered;
	 *  #VMM_ACPI_NO_GSI: it never does. */
	uint32_t vmgenid_gsi;
	/** Zero. */
	uint32_t reserved2_;
	/** CPU hot-plug, NULL for none. */
	const struct vmm_acpi_cpu_hotplug *cpu_hotplug;
	/** An arm64 machine: its interrupt controller, instead of APICs. Interrupts are SPIs
	 *  then, 32 to 1019, and nothing is on I/O ports: no UARTs here, no sleep or reset
	 *  port, no HPET, no PC devices. PSCI turns the machine off. */
	const struct vmm_acpi_gic *gic;
};

/** Defaults: one CPU, power-off value 5, nothing else. */
#define VMM_ACPI_MACHINE_INIT                                                           \
	{                                                                               \
		sizeof(struct vmm_acpi_machine), 0, 1, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 5, \
		    VMM_ACPI_NO_GSI, 0, NULL, 0, NULL, 0, { NULL, 0 }, NULL, 0, NULL,   \
		    NULL, 0, 0, VMM_ACPI_NO_GSI, 0, NULL, NULL                          \
	}

/**
 * Write the tables of a machine into a buffer, as they will lie in guest memory.
 *
 * The root pointer is the first thing in it, so @p gpa is what boot protocols want. Then
 * follow XSDT, FADT, DSDT, MADT, those of GTDT, MCFG, HPET, SPCR, SRAT and SLIT that the
 * machine has, and the caller's tables, each at a multiple of 16.
 *
 * @param machine      the description
 * @param gpa          guest address that the buffer will have, a multiple of 16
 * @param[out] buf     room for the tables; touched only on success
 * @param size         bytes of @p buf
 * @param[out] out_len bytes used
 * @param[out] err     detail on failure; may be NULL
 * @retval 0           done
 * @retval -EINVAL     the description contradicts itself or the header
 * @retval -E2BIG      unknown structure tail, or more than 4096 CPUs
 * @retval -ENOSPC     @p buf is too small; `wanted` in @p err says how much it takes
 * @retval -ENOMEM     out of memory
 */
VMM_API VMM_MUST_USE int vmm_acpi_machine_build(const struct vmm_acpi_machine *machine,
						uint64_t gpa, void *buf, size_t size,
						size_t *out_len, struct vmm_error *err);

VMM_DEFINE_CLEANUP(vmm_acpi_aml, vmm_acpi_aml_free)

VMM_END_DECLS

#endif

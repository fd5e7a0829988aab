/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_KVM_DEVICE_H
#define VMM_KVM_DEVICE_H

/**
 * @file vmm/kvm-device.h
 * Devices that live in the kernel, attributes of devices, machines and vCPUs, and the
 * kernel's statistics. General rules and threads: see `vmm/kvm.h`.
 */

#include <vmm/kvm.h>

VMM_BEGIN_DECLS

/** A device in the kernel: an interrupt controller, a VFIO group. */
struct vmm_kvm_device;

/**
 * Ask whether a machine can have a device, without making one.
 *
 * @param vm    the machine
 * @param type  `KVM_DEV_TYPE_*`
 * @retval 0        yes
 * @retval -ENODEV  no
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_has_device(struct vmm_kvm_vm *vm, uint32_t type);

/**
 * Create a device.
 *
 * @param vm        the machine, which must stay open longer
 * @param type      `KVM_DEV_TYPE_*`
 * @param[out] out  the device, to be released with vmm_kvm_device_close()
 * @param[out] err  the reason on failure; may be NULL
 * @retval 0        done
 * @retval -ENODEV  this host has no such device
 * @retval -EEXIST  the machine has one, and may have only one
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_device_open(struct vmm_kvm_vm *vm, uint32_t type,
					     struct vmm_kvm_device **out,
					     struct vmm_error *err);

/** Close @p device. The kernel keeps most kinds until the machine ends. NULL is allowed.
 */
VMM_API void vmm_kvm_device_close(struct vmm_kvm_device *device);

/** Return the descriptor of @p device, borrowed. */
VMM_API int vmm_kvm_device_get_fd(const struct vmm_kvm_device *device);

/**
 * @name Attributes
 * A group and a number name an attribute; its type is the attribute's own. `value` points
 * to a variable of that type, which the caller must get right: the kernel writes that
 * many bytes. Common results:
 *
 * @retval 0        done, or for `has`: it is there
 * @retval -ENXIO   no such group or attribute
 * @retval -ENODEV  this architecture has no such attribute
 * @retval -ENOTTY  this kernel has no attributes here
 * @retval -EPERM   not now, or read-only
 * @retval -EFAULT  @p value cannot be accessed
 * @{
 */

/** Ask whether a device has an attribute. */
VMM_API VMM_MUST_USE int vmm_kvm_device_has_attr(struct vmm_kvm_device *device,
						 uint32_t group, uint64_t attr);

/** Read an attribute of a device into @p value. */
VMM_API VMM_MUST_USE int vmm_kvm_device_get_attr(struct vmm_kvm_device *device,
						 uint32_t group, uint64_t attr,
						 void *value);

/** Set an attribute of a device; @p value is NULL for one that has none. */
VMM_API VMM_MUST_USE int vmm_kvm_device_set_attr(struct vmm_kvm_device *device,
						 uint32_t group, uint64_t attr,
						 const void *value);

/** Ask whether the system has an attribute. */
VMM_API VMM_MUST_USE int vmm_kvm_has_attr(const struct vmm_kvm *kvm, uint32_t group,
					  uint64_t attr);

/** Read an attribute of the system into @p value. */
VMM_API VMM_MUST_USE int vmm_kvm_get_attr(const struct vmm_kvm *kvm, uint32_t group,
					  uint64_t attr, void *value);

/** Ask whether a machine has an attribute. */
VMM_API VMM_MUST_USE int vmm_kvm_vm_has_attr(struct vmm_kvm_vm *vm, uint32_t group,
					     uint64_t attr);

/** Read an attribute of a machine into @p value. */
VMM_API VMM_MUST_USE int vmm_kvm_vm_get_attr(struct vmm_kvm_vm *vm, uint32_t group,
					     uint64_t attr, void *value);

/** Set an attribute of a machine. */
VMM_API VMM_MUST_USE int vmm_kvm_vm_set_attr(struct vmm_kvm_vm *vm, uint32_t group,
					     uint64_t attr, const void *value);

/** Ask whether a vCPU has an attribute. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_has_attr(struct vmm_kvm_vcpu *vcpu, uint32_t group,
					       uint64_t attr);

/** Read an attribute of a vCPU into @p value. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_get_attr(struct vmm_kvm_vcpu *vcpu, uint32_t group,
					       uint64_t attr, void *value);

/** Set an attribute of a vCPU. */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_set_attr(struct vmm_kvm_vcpu *vcpu, uint32_t group,
					       uint64_t attr, const void *value);

/** @} */

/**
 * @name Statistics
 * @{
 */

/** The statistics of a machine or of a vCPU. It is read-only: any thread may read it. */
struct vmm_kvm_stats;

/** What one statistic is. */
struct vmm_kvm_stat {
	/** Borrowed from the statistics. */
	const char *name;
	/** KVM_STATS_TYPE_*, KVM_STATS_UNIT_*, KVM_STATS_BASE_*, as the kernel has them.
	 */
	uint32_t type, unit, base;
	/** The unit is to be multiplied by base to the power of this. */
	int32_t exponent;
	/** How many values it has: 1, or the buckets of a histogram. */
	uint32_t values;
	/** Width of the buckets of a linear histogram. */
	uint32_t bucket_size;
};

/**
 * Open the statistics of a machine.
 *
 * @param vm        the machine
 * @param[out] out  the statistics, to be released with vmm_kvm_stats_close()
 * @param[out] err  the reason on failure; may be NULL
 * @retval 0            done
 * @retval -EOPNOTSUPP  this kernel has none (before 5.14)
 * @retval -EBADMSG     the kernel's description contradicts itself
 * @retval -ENOMEM      out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_vm_open_stats(struct vmm_kvm_vm *vm,
					       struct vmm_kvm_stats **out,
					       struct vmm_error *err);

/** Open the statistics of a vCPU; as vmm_kvm_vm_open_stats(). */
VMM_API VMM_MUST_USE int vmm_kvm_vcpu_open_stats(struct vmm_kvm_vcpu *vcpu,
						 struct vmm_kvm_stats **out,
						 struct vmm_error *err);

/** Close @p stats. NULL is allowed. */
VMM_API void vmm_kvm_stats_close(struct vmm_kvm_stats *stats);

/** Return how many statistics there are. */
VMM_API size_t vmm_kvm_stats_get_count(const struct vmm_kvm_stats *stats);

/**
 * Tell what statistic number @p i is.
 *
 * @param stats     the statistics
 * @param i         its number
 * @param[out] out  what it is
 * @retval 0        done
 * @retval -ENOENT  no such number
 */
VMM_API VMM_MUST_USE int vmm_kvm_stats_get_info(const struct vmm_kvm_stats *stats,
						size_t i, struct vmm_kvm_stat *out);

/**
 * Read the values of statistic number @p i as they are now.
 *
 * @param stats        the statistics
 * @param i            its number
 * @param[out] values  room for @ref vmm_kvm_stat.values
 * @param max          room
 * @retval 0         done
 * @retval -ENOENT   no such number
 * @retval -ENOSPC   @p max is too small
 * @retval -EBADMSG  the kernel gave less than it had described
 */
VMM_API VMM_MUST_USE int vmm_kvm_stats_read(const struct vmm_kvm_stats *stats, size_t i,
					    uint64_t *values, size_t max);

/** @} */

VMM_DEFINE_CLEANUP(vmm_kvm_device, vmm_kvm_device_close)
VMM_DEFINE_CLEANUP(vmm_kvm_stats, vmm_kvm_stats_close)

VMM_END_DECLS

#endif

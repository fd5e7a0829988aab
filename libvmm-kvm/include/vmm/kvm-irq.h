/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_KVM_IRQ_H
#define VMM_KVM_IRQ_H

/**
 * @file vmm/kvm-irq.h
 * The interrupt routing table of a machine, entry by entry: which pin of an interrupt
 * controller, or which message, a GSI stands for. The kernel knows only whole tables;
 * this one changes parts of it and asks the kernel when something did change.
 *
 * General rules: see `vmm/kvm.h`. Threads: every call on a table but the free may be made
 * from any thread at any time; each is one step that others see whole or not at all. An
 * interrupt that is raised meanwhile goes by the old table or by the new one.
 */

#include <vmm/kvm.h>

VMM_BEGIN_DECLS

/** The interrupt routing table of a machine. */
struct vmm_kvm_routes;

/**
 * Make an empty table. The kernel's stays as it is (on x86 and arm64 the kernel makes one
 * with its interrupt controller) until the first change, which replaces it whole: see
 * vmm_kvm_routes_add_default().
 *
 * @param vm        the machine, which must stay open longer; one table for each machine
 * @param[out] out  the table, to be released with vmm_kvm_routes_free()
 * @retval 0        done
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_routes_new(struct vmm_kvm_vm *vm,
					    struct vmm_kvm_routes **out);

/** Release @p routes. The kernel keeps what it was told. NULL is allowed. */
VMM_API void vmm_kvm_routes_free(struct vmm_kvm_routes *routes);

/** What a change does. */
enum vmm_kvm_route_op {
	/** Add the entry. A GSI has one entry, or one for each interrupt controller. */
	VMM_KVM_ROUTE_ADD = 1,
	/** Replace all entries of the GSI, if there are any, by this one. */
	VMM_KVM_ROUTE_SET = 2,
	/** Remove all entries of the GSI; of the entry only `gsi` counts. */
	VMM_KVM_ROUTE_REMOVE = 3,
};

/** A change to a routing table. */
struct vmm_kvm_route_change {
	/** enum vmm_kvm_route_op */
	uint32_t op;
	/** Zero. */
	uint32_t reserved_;
	/** The kernel's entry: of the types KVM_IRQ_ROUTING_IRQCHIP, _MSI (with `flags`
	 *  KVM_MSI_VALID_DEVID or 0), _HV_SINT and _XEN_EVTCHN. Padding does not count.
	 */
	struct kvm_irq_routing_entry entry;
};

/**
 * Make several changes, in their order, as one: all of them or none. The kernel is asked
 * once; not at all when the table ends up as it was.
 *
 * @param routes   the table
 * @param changes  the changes; may be NULL when @p count is 0
 * @param count    how many
 * @retval 0        done
 * @retval -EINVAL  unknown operation, type or flag; or the kernel refuses the table
 * @retval -EEXIST  the GSI has an entry that does not go with this one
 * @retval -ENOENT  nothing to remove
 * @retval -ENOSPC  more than #VMM_KVM_GSI_ROUTES_MAX entries
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_kvm_routes_apply(struct vmm_kvm_routes *routes,
					      const struct vmm_kvm_route_change *changes,
					      size_t count);

/**
 * Let a GSI stand for a message, whatever it stood for before: to be called when a guest
 * writes the message of a vector. No system call when it is the same.
 *
 * @param routes  the table
 * @param gsi     the interrupt
 * @param msi     address, data, and `devid` when `flags` is KVM_MSI_VALID_DEVID
 * @retval 0        done; else as vmm_kvm_routes_apply()
 */
VMM_API VMM_MUST_USE int vmm_kvm_routes_set_msi(struct vmm_kvm_routes *routes,
						uint32_t gsi, const struct kvm_msi *msi);

/**
 * Let a GSI stand for a pin of an interrupt controller, whatever it stood for before.
 *
 * @param routes   the table
 * @param gsi      the interrupt
 * @param irqchip  KVM_IRQCHIP_* on x86, else 0
 * @param pin      its pin
 * @retval 0        done; else as vmm_kvm_routes_apply()
 */
VMM_API VMM_MUST_USE int vmm_kvm_routes_set_pin(struct vmm_kvm_routes *routes,
						uint32_t gsi, uint32_t irqchip,
						uint32_t pin);

/** Remove what a GSI stands for; results as vmm_kvm_routes_apply(). */
VMM_API VMM_MUST_USE int vmm_kvm_routes_remove(struct vmm_kvm_routes *routes,
					       uint32_t gsi);

/**
 * Add the entries that the kernel begins with: GSI n is pin n; on x86 of the IOAPIC and,
 * below 16, of the PICs.
 *
 * @param routes  the table
 * @param pins    GSIs from 0; 24 for x86
 * @retval 0        done; else as vmm_kvm_routes_apply()
 */
VMM_API VMM_MUST_USE int vmm_kvm_routes_add_default(struct vmm_kvm_routes *routes,
						    uint32_t pins);

/**
 * List the entries.
 *
 * @param routes        the table
 * @param[out] entries  room for @p max of them; may be NULL when @p max is 0
 * @param max           room
 * @return how many there are, which may be more than @p max
 */
VMM_API size_t vmm_kvm_routes_get(struct vmm_kvm_routes *routes,
				  struct kvm_irq_routing_entry *entries, size_t max);

VMM_DEFINE_CLEANUP(vmm_kvm_routes, vmm_kvm_routes_free)

VMM_END_DECLS

#endif

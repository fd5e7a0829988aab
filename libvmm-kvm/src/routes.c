/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-irq.h>

#include "internal.h"

/* The table is in the kernel's own form, sorted by GSI and interrupt controller, so that
 * two tables are the same when their bytes are. */
struct vmm_kvm_routes {
	struct vmm_kvm_vm *vm;
	pthread_mutex_t lock;
	struct kvm_irq_routing *table;
};

static size_t table_size(size_t entries)
{
	return sizeof(struct kvm_irq_routing) +
	       entries * sizeof(struct kvm_irq_routing_entry);
}

int vmm_kvm_routes_new(struct vmm_kvm_vm *vm, struct vmm_kvm_routes **out)
{
	struct vmm_kvm_routes *routes = calloc(1, sizeof(*routes));

	if (!routes)
		return -ENOMEM;
	routes->table = calloc(1, table_size(0));
	if (!routes->table || pthread_mutex_init(&routes->lock, NULL) != 0) {
		free(routes->table);
		free(routes);
		return -ENOMEM;
	}
	routes->vm = vm;
	*out = routes;
	return 0;
}

void vmm_kvm_routes_free(struct vmm_kvm_routes *routes)
{
	if (!routes)
		return;
	(void)pthread_mutex_destroy(&routes->lock);
	free(routes->table);
	free(routes);
}

/* Copies what counts in an entry and leaves zeros for the rest. */
static int normalise(struct kvm_irq_routing_entry *out,
		     const struct kvm_irq_routing_entry *in)
{
	uint32_t flags = in->type == KVM_IRQ_ROUTING_MSI ? KVM_MSI_VALID_DEVID : 0;

	if (in->flags & ~flags)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->gsi = in->gsi;
	out->type = in->type;
	out->flags = in->flags;
	switch (in->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		out->u.irqchip = in->u.irqchip;
		return 0;
	case KVM_IRQ_ROUTING_MSI:
		out->u.msi = in->u.msi;
		if (in->flags == 0)
			out->u.msi.devid = 0;
		return 0;
	case KVM_IRQ_ROUTING_HV_SINT:
		out->u.hv_sint = in->u.hv_sint;
		return 0;
	case KVM_IRQ_ROUTING_XEN_EVTCHN:
		out->u.xen_evtchn = in->u.xen_evtchn;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Number of the first entry of @gsi, or of where it would be. */
static uint32_t lower_bound(const struct kvm_irq_routing *t, uint32_t gsi)
{
	uint32_t low = 0, high = t->nr;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (t->entries[middle].gsi < gsi)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t entries_of(const struct kvm_irq_routing *t, uint32_t at, uint32_t gsi)
{
	uint32_t n = 0;

	while (at + n < t->nr && t->entries[at + n].gsi == gsi)
		n++;
	return n;
}

static void remove_at(struct kvm_irq_routing *t, uint32_t at, uint32_t n)
{
	memmove(&t->entries[at], &t->entries[at + n],
		(t->nr - at - n) * sizeof(t->entries[0]));
	t->nr -= n;
}

/* The kernel's rule: a GSI is one pin of each interrupt controller, or one other thing.
 */
static int insert(struct kvm_irq_routing *t, uint32_t at, uint32_t n,
		  const struct kvm_irq_routing_entry *e)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct kvm_irq_routing_entry *old = &t->entries[at + i];

		if (e->type != KVM_IRQ_ROUTING_IRQCHIP ||
		    old->type != KVM_IRQ_ROUTING_IRQCHIP ||
		    old->u.irqchip.irqchip == e->u.irqchip.irqchip)
			return -EEXIST;
	}
	if (t->nr >= VMM_KVM_GSI_ROUTES_MAX)
		return -ENOSPC;
	while (n > 0 && t->entries[at].u.irqchip.irqchip < e->u.irqchip.irqchip) {
		at++;
		n--;
	}
	memmove(&t->entries[at + 1], &t->entries[at],
		(t->nr - at) * sizeof(t->entries[0]));
	t->entries[at] = *e;
	t->nr++;
	return 0;
}

static int change(struct kvm_irq_routing *t, const struct vmm_kvm_route_change *c)
{
	struct kvm_irq_routing_entry e;
	uint32_t at = lower_bound(t, c->entry.gsi), n = entries_of(t, at, c->entry.gsi);
	int ret;

	if (c->reserved_ != 0)
		return -EINVAL;
	if (c->op == VMM_KVM_ROUTE_REMOVE) {
		remove_at(t, at, n);
		return n > 0 ? 0 : -ENOENT;
	}
	if (c->op != VMM_KVM_ROUTE_ADD && c->op != VMM_KVM_ROUTE_SET)
		return -EINVAL;
	ret = normalise(&e, &c->entry);
	if (ret < 0)
		return ret;
	if (c->op == VMM_KVM_ROUTE_SET) {
		remove_at(t, at, n);
		n = 0;
	}
	return insert(t, at, n, &e);
}

static bool is_same(const struct kvm_irq_routing *a, const struct kvm_irq_routing *b)
{
	return a->nr == b->nr &&
	       memcmp(a->entries, b->entries, a->nr * sizeof(a->entries[0])) == 0;
}

/* Guests mask and unmask vectors without changing them: that costs no copy. */
static bool is_idle(const struct kvm_irq_routing *t, const struct vmm_kvm_route_change *c)
{
	struct kvm_irq_routing_entry e;
	uint32_t at = lower_bound(t, c->entry.gsi);

	return c->op == VMM_KVM_ROUTE_SET && c->reserved_ == 0 &&
	       normalise(&e, &c->entry) == 0 && entries_of(t, at, e.gsi) == 1 &&
	       memcmp(&t->entries[at], &e, sizeof(e)) == 0;
}

static int apply(struct vmm_kvm_routes *routes,
		 const struct vmm_kvm_route_change *changes, size_t count)
{
	const struct kvm_irq_routing *old = routes->table;
	size_t room = old->nr + (count < VMM_KVM_GSI_ROUTES_MAX - old->nr
				     ? count
				     : VMM_KVM_GSI_ROUTES_MAX - old->nr);
	struct kvm_irq_routing *t;
	int ret = 0;

	if (count == 0 || (count == 1 && is_idle(old, changes)))
		return 0;
	t = calloc(1, table_size(room));
	if (!t)
		return -ENOMEM;
	memcpy(t, old, table_size(old->nr));
	for (size_t i = 0; ret == 0 && i < count; i++)
		ret = change(t, &changes[i]);
	if (ret == 0 && !is_same(t, old)) {
		ret = kvm_ioctl_zero(routes->vm->sys, routes->vm->fd, KVM_SET_GSI_ROUTING,
				     t);
		if (ret == 0) {
			free(routes->table);
			routes->table = t;
			return 0;
		}
	}
	free(t);
	return ret;
}

int vmm_kvm_routes_apply(struct vmm_kvm_routes *routes,
			 const struct vmm_kvm_route_change *changes, size_t count)
{
	int ret;

	(void)pthread_mutex_lock(&routes->lock);
	ret = apply(routes, changes, count);
	(void)pthread_mutex_unlock(&routes->lock);
	return ret;
}

int vmm_kvm_routes_set_msi(struct vmm_kvm_routes *routes, uint32_t gsi,
			   const struct kvm_msi *msi)
{
	struct vmm_kvm_route_change c = { .op = VMM_KVM_ROUTE_SET };

	c.entry.gsi = gsi;
	c.entry.type = KVM_IRQ_ROUTING_MSI;
	c.entry.flags = msi->flags;
	c.entry.u.msi.address_lo = msi->address_lo;
	c.entry.u.msi.address_hi = msi->address_hi;
	c.entry.u.msi.data = msi->data;
	c.entry.u.msi.devid = msi->devid;
	return vmm_kvm_routes_apply(routes, &c, 1);
}

int vmm_kvm_routes_set_pin(struct vmm_kvm_routes *routes, uint32_t gsi, uint32_t irqchip,
			   uint32_t pin)
{
	struct vmm_kvm_route_change c = { .op = VMM_KVM_ROUTE_SET };

	c.entry.gsi = gsi;
	c.entry.type = KVM_IRQ_ROUTING_IRQCHIP;
	c.entry.u.irqchip.irqchip = irqchip;
	c.entry.u.irqchip.pin = pin;
	return vmm_kvm_routes_apply(routes, &c, 1);
}

int vmm_kvm_routes_remove(struct vmm_kvm_routes *routes, uint32_t gsi)
{
	const struct vmm_kvm_route_change c = { .op = VMM_KVM_ROUTE_REMOVE,
						.entry.gsi = gsi };

	return vmm_kvm_routes_apply(routes, &c, 1);
}

int vmm_kvm_routes_add_default(struct vmm_kvm_routes *routes, uint32_t pins)
{
	struct vmm_kvm_route_change *changes;
	bool x86 = routes->vm->sys->arch == KVM_ARCH_X86_64;
	size_t n = 0;
	int ret;

	if (pins > VMM_KVM_GSI_ROUTES_MAX)
		return -ENOSPC;
	changes = calloc((size_t)pins + 16, sizeof(*changes));
	if (!changes)
		return -ENOMEM;
	for (uint32_t gsi = 0; gsi < pins; gsi++) {
		for (uint32_t pic = x86 && gsi < 16 ? 0 : 1; pic < 2; pic++) {
			struct kvm_irq_routing_entry *e = &changes[n].entry;

			changes[n++].op = VMM_KVM_ROUTE_ADD;
			e->gsi = gsi;
			e->type = KVM_IRQ_ROUTING_IRQCHIP;
			/* On x86 0 and 1 are the PICs, 2 is the IOAPIC; elsewhere there
			 * is only 0. */
			e->u.irqchip.irqchip = pic == 0 ? gsi / 8 : x86 ? 2 : 0;
			e->u.irqchip.pin = pic == 0 ? gsi % 8 : gsi;
		}
	}
	ret = vmm_kvm_routes_apply(routes, changes, n);
	free(changes);
	return ret;
}

size_t vmm_kvm_routes_get(struct vmm_kvm_routes *routes,
			  struct kvm_irq_routing_entry *entries, size_t max)
{
	size_t n;

	(void)pthread_mutex_lock(&routes->lock);
	n = routes->table->nr;
	if (max > 0)
		memcpy(entries, routes->table->entries,
		       (n < max ? n : max) * sizeof(*entries));
	(void)pthread_mutex_unlock(&routes->lock);
	return n;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <vmm/irq.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VECTORS = 5, FIRST_GSI = 8 };

/* What must be true is kept beside: which vectors wait, and how many went out. */
struct model {
	bool enabled, masked;
	struct vmm_irq_vector v[VECTORS];
	unsigned sent, expected;
	bool failing;
};

static void check(bool ok)
{
	if (!ok)
		__builtin_trap();
}

static int trigger(void *ctx, uint32_t gsi)
{
	struct model *m = ctx;

	check(gsi >= FIRST_GSI && gsi < FIRST_GSI + VECTORS);
	if (m->failing)
		return -EIO;
	m->sent++;
	return 0;
}

static int set_routes(void *ctx, const struct vmm_irq_route *routes, size_t count)
{
	check(count <= VECTORS);
	for (size_t i = 0; i < count; i++)
		check(routes[i].kind == VMM_IRQ_ROUTE_MSI && routes[i].msi.addr % 4 == 0);
	return 0;
}

/* Sends what waits and may go, as the vectors must. */
static void model_settle(struct model *m)
{
	for (int i = 0; i < VECTORS; i++) {
		bool live = m->enabled && !m->masked && !m->v[i].masked;

		if (live && m->v[i].pending && !m->failing) {
			m->expected++;
			m->v[i].pending = 0;
		}
	}
}

static void table_write(struct vmm_irq_vectors *vs, struct model *m, const uint8_t *op)
{
	uint64_t offset = op[1];
	size_t len = op[2] & 15u;
	uint8_t bytes[16];

	memset(bytes, op[3], sizeof(bytes));
	vmm_irq_msix_table_write(vs, offset, bytes, len);
	if ((len != 4 && len != 8) || offset % len || offset / 16 >= VECTORS)
		return;
	/* Vector control is the last of the four dwords. */
	if (offset % 16 + len == 16)
		m->v[offset / 16].masked = op[3] & 1;
	model_settle(m);
}

static void restore(struct vmm_irq_vectors *vs, struct model *m, const uint8_t *op)
{
	struct vmm_irq_vector v[VECTORS];
	int ret;

	memset(v, 0, sizeof(v));
	for (int i = 0; i < VECTORS; i++) {
		v[i].msi.addr = op[1];
		v[i].masked = op[2] >> i & 1;
		v[i].pending = op[3] >> i & 1;
	}
	v[2].reserved_[3] = op[3] >> 7;
	ret = vmm_irq_vectors_restore(vs, v, VECTORS, NULL);
	check((ret == -EBADMSG) == (op[1] % 4 || op[3] >> 7));
	if (ret == -EBADMSG)
		return;
	memcpy(m->v, v, sizeof(v));
	model_settle(m);
}

static void step(struct vmm_irq_vectors *vs, struct model *m, const uint8_t *op)
{
	uint32_t i = op[1] % VECTORS;

	m->failing = op[0] & 8;
	switch (op[0] & 7) {
	case 0:
	case 1:
		if (vmm_irq_vectors_raise(vs, i) == -EAGAIN) {
			check(!m->enabled);
			break;
		}
		check(m->enabled);
		m->v[i].pending = 1;
		/* Only this one is tried again. */
		if (!m->masked && !m->v[i].masked && !m->failing) {
			m->v[i].pending = 0;
			m->expected++;
		}
		break;
	case 2:
		m->enabled = op[1] & 1;
		m->masked = op[1] & 2;
		(void)!vmm_irq_vectors_set_control(vs, m->enabled, m->masked);
		for (int k = 0; k < VECTORS && !m->enabled; k++)
			m->v[k].pending = 0;
		model_settle(m);
		break;
	case 3:
		restore(vs, m, op);
		break;
	default:
		table_write(vs, m, op);
		break;
	}
}

/* Four bytes are one step. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model m = { .enabled = false };
	struct vmm_irq_backend backend = VMM_IRQ_BACKEND_INIT;
	VMM_CLEANUP(vmm_irq_router_free) struct vmm_irq_router *router = NULL;
	VMM_CLEANUP(vmm_irq_vectors_free) struct vmm_irq_vectors *vs = NULL;

	backend.trigger = trigger;
	backend.set_routes = set_routes;
	if (vmm_irq_router_new(&backend, &m, 16, &router) < 0 ||
	    vmm_irq_vectors_new(router, VECTORS, FIRST_GSI, &vs) < 0)
		return 0;
	for (int i = 0; i < VECTORS; i++)
		m.v[i].masked = 1;

	for (size_t at = 0; at + 4 <= size; at += 4) {
		uint64_t pba = 0;

		step(vs, &m, data + at);
		vmm_irq_msix_pba_read(vs, 0, &pba, 8);
		for (uint32_t i = 0; i < VECTORS; i++) {
			struct vmm_irq_vector v;

			check(vmm_irq_vectors_get(vs, i, &v) == 0);
			check(v.masked == m.v[i].masked && v.pending == m.v[i].pending);
			check((pba >> i & 1) == v.pending);
		}
		check(pba >> VECTORS == 0 && m.sent == m.expected);
	}
	return 0;
}

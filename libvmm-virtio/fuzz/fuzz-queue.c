/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A queue over a ring that the input wrote, used while the input rewrites it.
 *
 *   byte 0  features: 1 EVENT_IDX, 2 INDIRECT, 4 IN_ORDER, 8 PACKED
 *   byte 1  queue size
 *   then descriptors, driver area, 256 bytes of indirect tables, operations
 *
 * Beyond the sanitizers, it stops when the queue hands out memory that is not the
 * guest's or not writable, uses more than it popped or one chain twice, writes outside
 * the ring, goes on after it broke, or loses its place over save and restore.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/virtq.h>

#include "../tests/mock-driver.h"

enum { IOV = 64, CHAINS = 64, NUM = 16 };

/* What is compared before and after: everything that is neither ring nor table. */
#define QUIET MOCK_BUFFERS
#define QUIET_LEN 0x8000u

struct input {
	const uint8_t *data;
	size_t left;
};

struct world {
	struct mock *m;
	struct vmm_virtq *q;
	struct iovec iov[IOV];
	struct vmm_virtq_chain chains[CHAINS];
	uint32_t chain_n;
	bool broken;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t take(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

static void take_bytes(struct input *in, void *to, size_t n)
{
	if (n > in->left)
		n = in->left;
	memcpy(to, in->data, n);
	in->data += n;
	in->left -= n;
}

static void must(bool good)
{
	if (!good)
		abort();
}

static bool inside(const void *p, size_t len, const uint8_t *base, uint64_t base_len)
{
	uintptr_t at = (uintptr_t)p, start = (uintptr_t)base;

	return at >= start && len <= base_len && at - start <= base_len - len;
}

static void check_chain(struct world *w, const struct vmm_virtq_chain *c)
{
	uint64_t sums[2] = { 0, 0 };

	must(c->readable_n + c->writable_n <= c->iov_max);
	for (uint32_t i = 0; i < c->readable_n + c->writable_n; i++) {
		bool write = i >= c->readable_n;
		bool ram = inside(c->iov[i].iov_base, c->iov[i].iov_len, w->m->ram,
				  MOCK_RAM_LEN);

		must(ram || (!write && inside(c->iov[i].iov_base, c->iov[i].iov_len,
					      w->m->rom, MOCK_ROM_LEN)));
		must(c->iov[i].iov_len > 0);
		sums[write] += c->iov[i].iov_len;
	}
	must(sums[0] == c->readable_len && sums[1] == c->writable_len);
	must(sums[0] + sums[1] <= UINT32_MAX);
	for (uint32_t i = 0; i < w->chain_n; i++)
		must(w->chains[i].head != c->head && w->chains[i].token != c->token);
}

static void do_pop(struct world *w)
{
	struct vmm_virtq_chain c = VMM_VIRTQ_CHAIN_INIT(w->iov);
	int ret = vmm_virtq_pop(w->q, &c);

	must(!w->broken || ret == -ENOTRECOVERABLE);
	w->broken = ret == -ENOTRECOVERABLE;
	if (ret < 0)
		return;
	must(c.head < w->m->num && w->chain_n < w->m->num);
	check_chain(w, &c);
	w->chains[w->chain_n++] = c;
}

static void do_use(struct world *w, uint8_t which, uint8_t len)
{
	struct vmm_virtq_chain *c;
	uint64_t token;
	int ret;

	if (w->chain_n == 0)
		return;
	c = &w->chains[which % w->chain_n];
	token = c->token;
	ret = vmm_virtq_add_used(w->q, token, len);
	if (w->broken)
		must(ret == -ENOTRECOVERABLE);
	else
		must(ret == (len > c->writable_len ? -EINVAL : 0));
	if (ret < 0)
		return;
	*c = w->chains[--w->chain_n];
	must(vmm_virtq_add_used(w->q, token, 0) == -ENOENT);
}

static void do_undo(struct world *w, uint8_t which)
{
	uint32_t at = w->chain_n ? which % w->chain_n : 0;

	if (w->chain_n > 0 && vmm_virtq_undo_pop(w->q, w->chains[at].token) == 0)
		w->chains[at] = w->chains[--w->chain_n];
}

/* The guest rewrites its ring, or the tables. */
static void do_scribble(struct world *w, struct input *in)
{
	static const uint64_t areas[] = { MOCK_DESC, MOCK_DRIVER, MOCK_DEVICE,
					  MOCK_TABLES };
	uint8_t where = take(in), at = take(in), n = take(in) % 20;

	take_bytes(in, mock_at(w->m, areas[where % 4] + at), n);
}

static void do_save(struct world *w)
{
	struct vmm_virtq_state s = VMM_VIRTQ_STATE_INIT, again = VMM_VIRTQ_STATE_INIT;
	uint16_t heads[CHAINS];
	size_t n = vmm_virtq_get_inflight(w->q, heads, CHAINS);

	if (vmm_virtq_get_state(w->q, &s) < 0)
		return;
	must(s.inflight == n && (w->broken ? n == 0 : n >= w->chain_n));
	vmm_virtq_reset(w->q);
	must(vmm_virtq_restore(w->q, w->m->mem, &s, heads, NULL) == 0);
	must(vmm_virtq_get_state(w->q, &again) == 0);
	must(memcmp(&s, &again, sizeof(s)) == 0);
	must(vmm_virtq_is_broken(w->q) == w->broken);
	w->chain_n = 0;
}

static void operate(struct world *w, struct input *in)
{
	uint8_t op = take(in);

	switch (op % 8) {
	case 0:
	case 1:
		do_pop(w);
		break;
	case 2:
		do_use(w, op >> 3, take(in));
		break;
	case 3:
		do_undo(w, op >> 3);
		break;
	case 4:
		must(!vmm_virtq_enable_notification(w->q) || !w->broken);
		break;
	case 5:
		vmm_virtq_disable_notification(w->q);
		must(!vmm_virtq_needs_notification(w->q) || !w->broken);
		break;
	case 6:
		do_scribble(w, in);
		break;
	default:
		if (op >= 224)
			do_save(w);
		break;
	}
}

static uint64_t features_of(uint8_t byte)
{
	return (byte & 1 ? VMM_VIRTIO_F_EVENT_IDX : 0) |
	       (byte & 2 ? VMM_VIRTIO_F_INDIRECT_DESC : 0) |
	       (byte & 4 ? VMM_VIRTIO_F_IN_ORDER : 0) |
	       (byte & 8 ? VMM_VIRTIO_F_RING_PACKED : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mock *mock;
	struct input in = { data, size };
	struct world w = { .broken = false };
	uint64_t features = features_of(take(&in));
	uint32_t num = 1 + take(&in) % NUM;

	while (!(features & VMM_VIRTIO_F_RING_PACKED) && (num & (num - 1)))
		num &= num - 1;
	if (!mock)
		mock = mock_new(NUM, 0);
	must(mock);
	w.m = mock;
	mock_reset(mock, num, features);
	memset(mock_at(mock, MOCK_TABLES), 0, 0x200);
	take_bytes(&in, mock_at(mock, MOCK_DESC), 16 * num);
	take_bytes(&in, mock_at(mock, MOCK_DRIVER), 6 + 2 * num);
	take_bytes(&in, mock_at(mock, MOCK_TABLES), 256);
	must(vmm_virtq_new(num, &w.q) == 0);
	must(vmm_virtq_enable(w.q, mock->mem, &mock->config, NULL) == 0);
	for (uint32_t i = 0; i < 1000 && in.left > 0; i++)
		operate(&w, &in);

	/* We wrote into no buffer, so nobody did. */
	for (uint32_t i = 0; i < QUIET_LEN; i += 8)
		must(*(uint64_t *)(void *)(mock->ram + QUIET + i) == 0);
	vmm_virtq_free(w.q);
	return 0;
}

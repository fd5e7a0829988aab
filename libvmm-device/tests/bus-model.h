/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef TESTS_BUS_MODEL_H
#define TESTS_BUS_MODEL_H

/*
 * A bus as an array: each address holds the number of its range. Obviously right, and
 * slow. Shared by the random test and the fuzzer, which step it with four bytes at a
 * time.
 */

#include <errno.h>
#include <string.h>
#include <vmm/device.h>

enum { MODEL_LEN = 128, MODEL_RANGES = 64 };

struct model_range {
	bool used;
	uint64_t base, len;
	uint32_t widths, flags;
	/* Bytes that the bus delivered: offset and value, mixed. */
	uint64_t got, want;
};

struct model {
	struct vmm_bus *bus;
	struct vmm_bus_reader *reader;
	/* Address of cell 0. */
	uint64_t first;
	/* Index of the range plus one; 0 is nobody. */
	uint8_t cell[MODEL_LEN];
	struct model_range ranges[MODEL_RANGES];
};

static inline uint64_t model_mix(uint64_t sum, uint64_t offset, size_t len, uint8_t byte)
{
	return (sum ^ (offset << 16 | len << 8 | byte)) * UINT64_C(0x100000001b3);
}

static inline void model_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	struct model_range *r = ctx;
	uint8_t *p = data;

	r->got = model_mix(r->got, offset, len, 0);
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(r->base + offset + i);
}

static inline void model_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct model_range *r = ctx;

	r->got = model_mix(r->got, offset, len, *(const uint8_t *)data);
}

static const struct vmm_bus_ops model_ops = { sizeof(model_ops), model_read,
					      model_write };

static inline bool model_free(const struct model *m, uint64_t at, uint64_t len,
			      uint8_t but)
{
	for (uint64_t i = at; i < at + len; i++) {
		if (i >= MODEL_LEN || (m->cell[i] && m->cell[i] != but))
			return false;
	}
	return true;
}

static inline void model_fill(struct model *m, uint64_t at, uint64_t len, uint8_t with)
{
	memset(&m->cell[at], with, len);
}

/* The piece rule of the header: the largest aligned width. */
static inline size_t model_piece(uint64_t addr, size_t len)
{
	size_t n = 8;

	while (n > len || addr % n)
		n /= 2;
	return n;
}

/* One range's share of an access, by the letter of the header. */
static inline void model_share(struct model_range *r, uint64_t addr, size_t len,
			       uint8_t *in, const uint8_t *out)
{
	bool whole = len == 1 || len == 2 || len == 4 || len == 8;

	for (size_t at = 0, n; at < len; at += n) {
		n = whole ? len : model_piece(addr + at, len - at);
		if (!(r->widths & n))
			continue;
		r->want = model_mix(r->want, addr + at - r->base, n, in ? 0 : out[at]);
		for (size_t i = 0; in && i < n; i++)
			in[at + i] = (uint8_t)(addr + at + i);
	}
}

/* What the header says an access does; returns whether the address has a range. */
static inline bool model_access(struct model *m, uint64_t at, size_t len, uint8_t *in,
				const uint8_t *out)
{
	size_t done = 0;
	bool first = true;

	if (in)
		memset(in, 0xff, len);
	if (at >= MODEL_LEN || !m->cell[at])
		return false;
	while (done < len && at + done < MODEL_LEN && m->cell[at + done]) {
		struct model_range *r = &m->ranges[m->cell[at + done] - 1];
		uint64_t addr = m->first + at + done;
		uint64_t room = r->len - (addr - r->base);
		size_t n = len - done < room ? len - done : (size_t)room;

		if (!(r->flags & VMM_BUS_SPLIT) && (!first || n < len))
			return true;
		model_share(r, addr, n, in ? in + done : NULL, out ? out + done : NULL);
		done += n;
		first = false;
	}
	return true;
}

static inline bool model_do_access(struct model *m, const uint8_t *op, bool write)
{
	uint8_t got[16], want[16], data[16];
	uint64_t at = op[1] % (MODEL_LEN + 8), addr = m->first + at;
	size_t len = op[2] % 17;
	bool found;

	/* Behind 2^64 - 1 there is the other end of the bus. */
	if (addr < m->first)
		return true;
	memset(data, op[3], sizeof(data));
	if (write) {
		found = op[3] & 1 ? vmm_bus_reader_write(m->reader, addr, data, len)
				  : vmm_bus_write(m->bus, addr, data, len);
		return found == model_access(m, at, len, NULL, data);
	}
	memset(got, 0, sizeof(got));
	memset(want, 0, sizeof(want));
	found = op[3] & 1 ? vmm_bus_reader_read(m->reader, addr, got, len)
			  : vmm_bus_read(m->bus, addr, got, len);
	return found == model_access(m, at, len, want, NULL) &&
	       memcmp(got, want, sizeof(got)) == 0;
}

static inline bool model_do_add(struct model *m, const uint8_t *op)
{
	struct vmm_bus_range desc = VMM_BUS_RANGE_INIT;
	uint64_t at = op[1] % MODEL_LEN, len = op[2] % 24;
	struct model_range *r;
	uint8_t i = 0;
	int ret;

	while (i < MODEL_RANGES && m->ranges[i].used)
		i++;
	if (i == MODEL_RANGES || at + len > MODEL_LEN)
		return true;
	r = &m->ranges[i];
	*r = (struct model_range){ .base = m->first + at, .len = len };
	r->widths = op[3] & 15u ? op[3] & 15u : 15u;
	r->flags = op[3] >> 4 & 3u;
	desc.base = r->base;
	desc.len = len;
	desc.ops = &model_ops;
	desc.ctx = r;
	desc.widths = op[3] & 15u;
	desc.flags = r->flags;
	ret = vmm_bus_add_ranges(m->bus, &desc, 1, NULL);
	if (len == 0)
		return ret == -EINVAL;
	if (!model_free(m, at, len, 0))
		return ret == -EEXIST;
	if (ret != 0)
		return false;
	model_fill(m, at, len, (uint8_t)(i + 1));
	r->used = true;
	return true;
}

static inline bool model_do_move(struct model *m, const uint8_t *op)
{
	struct model_range *r = &m->ranges[op[1] % MODEL_RANGES];
	uint8_t id = (uint8_t)(op[1] % MODEL_RANGES + 1);
	uint64_t at = op[2] % MODEL_LEN, old;
	int ret;

	if (!r->used || at + r->len > MODEL_LEN)
		return true;
	old = r->base - m->first;
	ret = vmm_bus_move(m->bus, r->base, m->first + at, r);
	if (!model_free(m, at, r->len, id))
		return ret == -EEXIST;
	if (ret != 0)
		return false;
	model_fill(m, old, r->len, 0);
	model_fill(m, at, r->len, id);
	r->base = m->first + at;
	return true;
}

static inline bool model_do_remove(struct model *m, const uint8_t *op)
{
	struct model_range *r = &m->ranges[op[1] % MODEL_RANGES];

	if (!r->used)
		return true;
	if (vmm_bus_remove(m->bus, r->base, m) != -EBUSY ||
	    vmm_bus_remove(m->bus, r->base, r) != 0)
		return false;
	model_fill(m, r->base - m->first, r->len, 0);
	r->used = false;
	return true;
}

/* One step; false if the bus did not do what it should. */
static inline bool model_step(struct model *m, const uint8_t *op)
{
	bool ok;

	switch (op[0] & 7) {
	case 0:
	case 1:
		ok = model_do_add(m, op);
		break;
	case 2:
		ok = model_do_move(m, op);
		break;
	case 3:
		ok = model_do_remove(m, op);
		break;
	case 4:
	case 5:
		ok = model_do_access(m, op, true);
		break;
	default:
		ok = model_do_access(m, op, false);
		break;
	}
	for (int i = 0; i < MODEL_RANGES; i++)
		ok = ok && m->ranges[i].got == m->ranges[i].want;
	return ok;
}

/* Ports, MMIO at the bottom, far up, and at the very end. */
static inline bool model_new(struct model *m, unsigned kind)
{
	static const uint64_t firsts[] = { 0, 0x10000 - MODEL_LEN, 0, 0xfee00000,
					   UINT64_MAX - (MODEL_LEN - 1) };

	*m = (struct model){ .first = firsts[kind % 5] };
	return vmm_bus_new(kind % 5 < 2 ? UINT16_MAX : UINT64_MAX, &m->bus) == 0 &&
	       vmm_bus_reader_new(m->bus, &m->reader) == 0;
}

#endif

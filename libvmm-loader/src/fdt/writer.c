/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/fdt.h>

#include "../bytes.h"
#include "../sys.h"
#include "backend.h"
#include "names.h"
#include "writer.h"

#define FIRST_SIZE 4096

/* A name that may not come twice: a property or a child of an open node. */
struct used_name {
	uint32_t depth;
	bool is_node;
	char name[2 * FDT_NAME_MAX + 2];
};

/* An open node. */
struct level {
	uint32_t id;
	bool has_child;
	bool has_reg;
	bool has_unit;
	/* First address in `reg` and how many cells it has. */
	uint8_t reg[8];
	size_t reg_len;
	/* `#address-cells`, for its children. */
	uint32_t address_cells;
	char name[2 * FDT_NAME_MAX + 2];
};

struct vmm_fdt {
	uint8_t *data;
	int size;
	int len;
	bool in_tree;
	bool has_root;
	bool finished;
	uint32_t boot_cpu;
	uint32_t next_id;
	uint32_t depth;
	struct level level[VMM_FDT_DEPTH_MAX];

	struct used_name *used;
	size_t used_count, used_room;

	uint32_t phandle[VMM_FDT_PHANDLES_MAX];
	bool phandle_put[VMM_FDT_PHANDLES_MAX];
	uint32_t phandle_count;
	uint32_t last_phandle;

	struct vmm_load_range reserved[VMM_FDT_RESERVATIONS_MAX];
	uint32_t reserved_count;

	struct vmm_error error;
};

VMM_PRINTF(3, 4)
static void mistake(struct vmm_fdt *f, int code, const char *format, ...)
{
	char text[sizeof(f->error.message)];
	va_list args;

	if (f->error.code)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)vmm_error_set(&f->error, code, "device tree: %.200s", text);
}

static bool failed(struct vmm_fdt *f)
{
	if (f->finished)
		mistake(f, -EINVAL, "a call after the tree was finished");
	return f->error.code != 0;
}

bool fdt_writer_is_in_empty_root(struct vmm_fdt *fdt)
{
	if (failed(fdt))
		return false;
	if (fdt->depth == 1 && !fdt->level[0].has_child)
		return true;
	mistake(fdt, -EINVAL, "a machine goes into the root, before other nodes");
	return false;
}

void fdt_writer_refuse(struct vmm_fdt *fdt, const struct vmm_error *err)
{
	if (!fdt->error.code)
		fdt->error = *err;
}

static void grow(struct vmm_fdt *f)
{
	int size = f->size * 2;
	uint8_t *data;
	int ret;

	if (size > (int)(4 * VMM_FDT_SIZE_MAX)) {
		mistake(f, -E2BIG, "more than %u bytes", VMM_FDT_SIZE_MAX);
		return;
	}
	data = load_sys_alloc((size_t)size);
	if (!data) {
		mistake(f, -ENOMEM, "out of memory");
		return;
	}
	ret = fdt_backend_grow(f->data, data, size);
	if (ret < 0)
		mistake(f, ret, "cannot be moved to a larger buffer");
	free(f->data);
	f->data = data;
	f->size = size;
}

/* What is written to the tree, repeated after growing. */
struct step {
	enum {
		STEP_RESERVE,
		STEP_END_RESERVATIONS,
		STEP_BEGIN,
		STEP_PROPERTY,
		STEP_END
	} kind;
	const char *name;
	const void *data;
	int len;
	struct vmm_load_range range;
};

static int try_step(void *fdt, const struct step *s)
{
	switch (s->kind) {
	case STEP_RESERVE:
		return fdt_backend_reserve(fdt, s->range.gpa, s->range.len);
	case STEP_END_RESERVATIONS:
		return fdt_backend_end_reservations(fdt);
	case STEP_BEGIN:
		return fdt_backend_begin(fdt, s->name);
	case STEP_PROPERTY:
		return fdt_backend_property(fdt, s->name, s->data, s->len);
	case STEP_END:
		break;
	}
	return fdt_backend_end(fdt);
}

static void do_step(struct vmm_fdt *f, const struct step *s)
{
	int ret;

	while (!f->error.code) {
		ret = try_step(f->data, s);
		if (ret == 0)
			return;
		if (ret == -ENOSPC)
			grow(f);
		else
			mistake(f, ret, "refused by libfdt");
	}
}

int vmm_fdt_new(struct vmm_fdt **out)
{
	struct vmm_fdt *f = load_sys_alloc(sizeof(*f));
	int ret = -ENOMEM;

	if (f) {
		f->size = FIRST_SIZE;
		f->data = load_sys_alloc(FIRST_SIZE);
	}
	if (f && f->data)
		ret = fdt_backend_create(f->data, f->size);
	if (ret < 0) {
		vmm_fdt_free(f);
		return ret;
	}
	*out = f;
	return 0;
}

void vmm_fdt_free(struct vmm_fdt *fdt)
{
	if (!fdt)
		return;
	free(fdt->data);
	free(fdt->used);
	free(fdt);
}

void vmm_fdt_set_boot_cpu(struct vmm_fdt *fdt, uint32_t id)
{
	if (!failed(fdt))
		fdt->boot_cpu = id;
}

void vmm_fdt_add_reservation(struct vmm_fdt *fdt, uint64_t gpa, uint64_t len)
{
	const struct step step = { .kind = STEP_RESERVE, .range = { gpa, len } };
	uint64_t last = 0;

	if (failed(fdt))
		return;
	if (fdt->in_tree)
		mistake(fdt, -EINVAL, "a memory reservation after the root");
	else if (len == 0 || range_last(gpa, len, &last))
		mistake(fdt, -EINVAL, "a reservation of %" PRIu64 " bytes at 0x%" PRIx64,
			len, gpa);
	else if (fdt->reserved_count == VMM_FDT_RESERVATIONS_MAX)
		mistake(fdt, -E2BIG, "more than %u reservations",
			VMM_FDT_RESERVATIONS_MAX);
	if (fdt->error.code)
		return;
	for (uint32_t i = 0; i < fdt->reserved_count; i++) {
		const struct vmm_load_range *r = &fdt->reserved[i];

		if (gpa <= r->gpa + (r->len - 1) && r->gpa <= last) {
			mistake(fdt, -EEXIST,
				"reservations at 0x%" PRIx64 " and 0x%" PRIx64 " overlap",
				r->gpa, gpa);
			return;
		}
	}
	fdt->reserved[fdt->reserved_count++] = step.range;
	do_step(fdt, &step);
}

/* Notes a name at the current depth; it may not be there yet. */
static void use_name(struct vmm_fdt *f, const char *name, bool is_node)
{
	struct used_name *grown;

	for (size_t i = f->used_count; i-- > 0 && f->used[i].depth == f->depth;)
		if (f->used[i].is_node == is_node && strcmp(f->used[i].name, name) == 0) {
			mistake(f, -EEXIST, "two %s with the name '%s'",
				is_node ? "nodes" : "properties", name);
			return;
		}
	if (f->used_count == f->used_room) {
		size_t room = f->used_room ? 2 * f->used_room : 64;

		grown = load_sys_realloc(f->used, room * sizeof(*grown));
		if (!grown) {
			mistake(f, -ENOMEM, "out of memory");
			return;
		}
		f->used = grown;
		f->used_room = room;
	}
	f->used[f->used_count].depth = f->depth;
	f->used[f->used_count].is_node = is_node;
	(void)snprintf(f->used[f->used_count].name, sizeof(f->used[0].name), "%s", name);
	f->used_count++;
}

static void check_begin(struct vmm_fdt *f, const char *name)
{
	if (f->depth == 0 && f->has_root)
		mistake(f, -EINVAL, "a second root");
	else if (f->depth == 0 && name[0])
		mistake(f, -EINVAL, "a root with the name '%.64s'", name);
	else if (f->depth && !fdt_node_name_is_valid(name))
		mistake(f, -EINVAL, "'%.64s' is not the name of a node", name);
	else if (f->depth == VMM_FDT_DEPTH_MAX)
		mistake(f, -E2BIG, "more than %u levels of nodes", VMM_FDT_DEPTH_MAX);
	else if (f->depth)
		use_name(f, name, true);
}

uint32_t vmm_fdt_begin_node(struct vmm_fdt *fdt, const char *name)
{
	const struct step end = { .kind = STEP_END_RESERVATIONS };
	const struct step begin = { .kind = STEP_BEGIN, .name = name };
	struct level *l;

	if (failed(fdt))
		return 0;
	check_begin(fdt, name);
	if (fdt->error.code)
		return 0;
	if (!fdt->in_tree)
		do_step(fdt, &end);
	fdt->in_tree = true;
	fdt->has_root = true;
	do_step(fdt, &begin);
	if (fdt->error.code)
		return 0;

	if (fdt->depth)
		fdt->level[fdt->depth - 1].has_child = true;
	l = &fdt->level[fdt->depth++];
	*l = (struct level){ .id = ++fdt->next_id, .address_cells = 2 };
	l->has_unit = strchr(name, '@') != NULL;
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	return l->id;
}

/* Unit address and `reg` come together and agree. */
static void check_unit(struct vmm_fdt *f, const struct level *l,
		       const struct level *parent)
{
	uint64_t unit, reg;

	if (l->has_unit != l->has_reg) {
		mistake(f, -EINVAL, "node '%s' has %s", l->name,
			l->has_unit ? "a unit address but no reg"
				    : "a reg but no unit address");
		return;
	}
	if (!l->has_unit || !parent || !fdt_unit_address(l->name, &unit))
		return;
	if (parent->address_cells == 1 && l->reg_len >= 4)
		reg = get_be32(l->reg);
	else if (parent->address_cells == 2 && l->reg_len >= 8)
		reg = (uint64_t)get_be32(l->reg) << 32 | get_be32(l->reg + 4);
	else
		return;
	if (unit != reg)
		mistake(f, -EINVAL, "node '%s' has 0x%" PRIx64 " in its reg", l->name,
			reg);
}

void vmm_fdt_end_node(struct vmm_fdt *fdt, uint32_t node)
{
	const struct step step = { .kind = STEP_END };
	const struct level *l;

	if (failed(fdt))
		return;
	if (fdt->depth == 0 || fdt->level[fdt->depth - 1].id != node) {
		mistake(fdt, -EINVAL,
			"an end of a node that is not the innermost open one");
		return;
	}
	l = &fdt->level[fdt->depth - 1];
	check_unit(fdt, l, fdt->depth > 1 ? l - 1 : NULL);
	do_step(fdt, &step);
	while (fdt->used_count && fdt->used[fdt->used_count - 1].depth == fdt->depth)
		fdt->used_count--;
	fdt->depth--;
}

/* Index of a phandle, or the count when it is new. */
static uint32_t find_phandle(const struct vmm_fdt *f, uint32_t phandle)
{
	uint32_t i = 0;

	while (i < f->phandle_count && f->phandle[i] != phandle)
		i++;
	return i;
}

static void note_phandle(struct vmm_fdt *f, uint32_t phandle)
{
	uint32_t i = find_phandle(f, phandle);

	if (phandle == 0 || phandle == UINT32_MAX)
		mistake(f, -EINVAL, "0x%x is not a phandle", phandle);
	else if (i < f->phandle_count && f->phandle_put[i])
		mistake(f, -EEXIST, "two nodes with the phandle 0x%x", phandle);
	else if (i == VMM_FDT_PHANDLES_MAX)
		mistake(f, -E2BIG, "more than %u phandles", VMM_FDT_PHANDLES_MAX);
	if (f->error.code)
		return;
	f->phandle[i] = phandle;
	f->phandle_put[i] = true;
	if (i == f->phandle_count)
		f->phandle_count++;
}

/* Properties that mean something to the checks. */
static void note_property(struct vmm_fdt *f, const char *name, const uint8_t *data,
			  size_t len)
{
	struct level *l = &f->level[f->depth - 1];

	if (strcmp(name, "reg") == 0) {
		l->has_reg = true;
		l->reg_len = len < sizeof(l->reg) ? len : sizeof(l->reg);
		memcpy(l->reg, data, l->reg_len);
	}
	/* An empty one says "the same addresses" and needs no address of its own. */
	if (strcmp(name, "ranges") == 0 && len)
		l->has_reg = true;
	if (strcmp(name, "#address-cells") == 0 && len == 4)
		l->address_cells = get_be32(data);
	if (strcmp(name, "phandle") == 0 || strcmp(name, "linux,phandle") == 0) {
		if (len == 4)
			note_phandle(f, get_be32(data));
		else
			mistake(f, -EINVAL, "a phandle of %zu bytes", len);
	}
}

void vmm_fdt_put_bytes(struct vmm_fdt *fdt, const char *name, const void *data,
		       size_t len)
{
	const struct step step = {
		.kind = STEP_PROPERTY, .name = name, .data = data, .len = (int)len
	};

	if (failed(fdt))
		return;
	if (fdt->depth == 0)
		mistake(fdt, -EINVAL, "property '%.64s' outside of any node", name);
	else if (fdt->level[fdt->depth - 1].has_child)
		mistake(fdt, -EINVAL, "property '%.64s' after a child of '%s'", name,
			fdt->level[fdt->depth - 1].name);
	else if (!fdt_property_name_is_valid(name))
		mistake(fdt, -EINVAL, "'%.64s' is not the name of a property", name);
	else if (len > VMM_FDT_SIZE_MAX)
		mistake(fdt, -E2BIG, "property '%.64s' has %zu bytes", name, len);
	else
		use_name(fdt, name, false);
	if (!fdt->error.code)
		note_property(fdt, name, data, len);
	do_step(fdt, &step);
}

void vmm_fdt_put_null(struct vmm_fdt *fdt, const char *name)
{
	vmm_fdt_put_bytes(fdt, name, "", 0);
}

void vmm_fdt_put_string(struct vmm_fdt *fdt, const char *name, const char *text)
{
	vmm_fdt_put_bytes(fdt, name, text, strlen(text) + 1);
}

void vmm_fdt_put_strings(struct vmm_fdt *fdt, const char *name, const char *const *texts,
			 size_t count)
{
	size_t len = 0, at = 0, n;
	char *list;

	if (failed(fdt))
		return;
	for (size_t i = 0; i < count; i++)
		len += strlen(texts[i]) + 1;
	if (count == 0) {
		mistake(fdt, -EINVAL, "property '%.64s' is an empty list", name);
		return;
	}
	list = load_sys_alloc(len);
	if (!list) {
		mistake(fdt, -ENOMEM, "out of memory");
		return;
	}
	for (size_t i = 0; i < count; i++, at += n) {
		n = strlen(texts[i]) + 1;
		memcpy(list + at, texts[i], n);
	}
	vmm_fdt_put_bytes(fdt, name, list, len);
	free(list);
}

static void put_be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Numbers of 4 or 8 bytes, big-endian. */
static void put_numbers(struct vmm_fdt *f, const char *name, const void *values,
			size_t count, size_t width)
{
	uint8_t small[64], *p = small;
	uint64_t v64;
	uint32_t v32;

	if (failed(f))
		return;
	if (count > VMM_FDT_SIZE_MAX / width) {
		mistake(f, -E2BIG, "property '%.64s' has %zu numbers", name, count);
		return;
	}
	if (count * width > sizeof(small))
		p = load_sys_alloc(count * width);
	if (!p) {
		mistake(f, -ENOMEM, "out of memory");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (width == 4) {
			memcpy(&v32, (const uint8_t *)values + 4 * i, 4);
			put_be32(p + 4 * i, v32);
			continue;
		}
		memcpy(&v64, (const uint8_t *)values + 8 * i, 8);
		put_be32(p + 8 * i, (uint32_t)(v64 >> 32));
		put_be32(p + 8 * i + 4, (uint32_t)v64);
	}
	vmm_fdt_put_bytes(f, name, p, count * width);
	if (p != small)
		free(p);
}

void vmm_fdt_put_u32(struct vmm_fdt *fdt, const char *name, uint32_t value)
{
	put_numbers(fdt, name, &value, 1, 4);
}

void vmm_fdt_put_u64(struct vmm_fdt *fdt, const char *name, uint64_t value)
{
	put_numbers(fdt, name, &value, 1, 8);
}

void vmm_fdt_put_u32s(struct vmm_fdt *fdt, const char *name, const uint32_t *values,
		      size_t count)
{
	put_numbers(fdt, name, values, count, 4);
}

void vmm_fdt_put_u64s(struct vmm_fdt *fdt, const char *name, const uint64_t *values,
		      size_t count)
{
	put_numbers(fdt, name, values, count, 8);
}

void vmm_fdt_put_phandle(struct vmm_fdt *fdt, uint32_t phandle)
{
	vmm_fdt_put_u32(fdt, "phandle", phandle);
}

static void put_memory_range(struct vmm_fdt *fdt, const uint64_t reg[2])
{
	char name[32];
	uint32_t node;

	if (reg[1] == 0)
		return;
	(void)snprintf(name, sizeof(name), "memory@%" PRIx64, reg[0]);
	node = vmm_fdt_begin_node(fdt, name);
	vmm_fdt_put_string(fdt, "device_type", "memory");
	vmm_fdt_put_u64s(fdt, "reg", reg, 2);
	vmm_fdt_end_node(fdt, node);
}

void vmm_fdt_put_memory(struct vmm_fdt *fdt, const struct vmm_load_map *map)
{
	uint64_t reg[2] = { 0, 0 };

	for (uint32_t i = 0; i < map->count && i < VMM_LOAD_MAP_MAX; i++) {
		const struct vmm_load_map_entry *e = &map->entry[i];

		if (e->type != VMM_LOAD_MAP_RAM && e->type != VMM_LOAD_MAP_TAKEN)
			continue;
		/* Taken RAM and RAM next to it are one range. */
		if (reg[1] && reg[0] + reg[1] == e->gpa) {
			reg[1] += e->len;
			continue;
		}
		put_memory_range(fdt, reg);
		reg[0] = e->gpa;
		reg[1] = e->len;
	}
	put_memory_range(fdt, reg);
}

uint32_t vmm_fdt_take_phandle(struct vmm_fdt *fdt)
{
	uint32_t phandle;

	if (failed(fdt))
		return 0;
	/* What was taken is never given back: go on where the last search ended. */
	phandle = fdt->last_phandle + 1;
	if (fdt->phandle_count == VMM_FDT_PHANDLES_MAX) {
		mistake(fdt, -E2BIG, "more than %u phandles", VMM_FDT_PHANDLES_MAX);
		return 0;
	}
	while (find_phandle(fdt, phandle) < fdt->phandle_count)
		phandle++;
	fdt->phandle[fdt->phandle_count] = phandle;
	fdt->phandle_put[fdt->phandle_count++] = false;
	fdt->last_phandle = phandle;
	return phandle;
}

int vmm_fdt_finish(struct vmm_fdt *fdt, const void **out, size_t *out_len,
		   struct vmm_error *err)
{
	int ret;

	if (!fdt->error.code && !fdt->has_root)
		mistake(fdt, -EINVAL, "no root");
	if (!fdt->error.code && fdt->depth)
		mistake(fdt, -EINVAL, "node '%s' is not ended",
			fdt->level[fdt->depth - 1].name);
	while (!fdt->error.code && !fdt->finished) {
		ret = fdt_backend_finish(fdt->data, fdt->boot_cpu, fdt->size, &fdt->len);
		if (ret == 0)
			fdt->finished = true;
		else if (ret == -ENOSPC)
			grow(fdt);
		else
			mistake(fdt, ret, "refused by libfdt");
	}
	if (!fdt->error.code && fdt->len > (int)VMM_FDT_SIZE_MAX)
		mistake(fdt, -E2BIG, "%d bytes, the limit is %u", fdt->len,
			VMM_FDT_SIZE_MAX);
	if (fdt->error.code) {
		if (err)
			*err = fdt->error;
		return fdt->error.code;
	}
	*out = fdt->data;
	*out_len = (size_t)fdt->len;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * fdt_overlay_apply() trusts an overlay in ways that fdt_check_full() does not cover
 * (libfdt 1.6.1): it reads and writes at the offsets that `__local_fixups__` and
 * `__fixups__` name without comparing them to the length of the property, and it goes into
 * nodes by recursion. So all that is checked here, before.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdbool.h>
#include <string.h>
#include <vmm/fdt.h>

#include "../bytes.h"
#include "backend.h"

/* Where the tables of an overlay lie: references into them would change what was checked
 * while it is used. */
struct span {
	int first;
	int last;
};

struct overlay {
	const void *fdt;
	struct span fixups;
	struct span local;
	uint32_t items;
};

static bool count(struct overlay *o)
{
	return ++o->items <= VMM_FDT_OVERLAY_ITEMS_MAX;
}

/* Depth and number of all that there is. */
static int check_size(struct overlay *o)
{
	int depth = 0, prop;

	for (int node = 0; node >= 0 && depth >= 0;
	     node = fdt_next_node(o->fdt, node, &depth)) {
		if (depth > (int)VMM_FDT_DEPTH_MAX || !count(o))
			return -E2BIG;
		fdt_for_each_property_offset(prop, o->fdt, node)
		{
			if (!count(o))
				return -E2BIG;
		}
	}
	return 0;
}

static struct span span_of(const void *fdt, const char *path)
{
	int node = fdt_path_offset(fdt, path), depth = 0, next = node;
	struct span s = { node, node };

	if (node < 0)
		return (struct span){ 1, 0 };
	while ((next = fdt_next_node(fdt, next, &depth)) >= 0 && depth > 0)
		s.last = next;
	return s;
}

static bool within(struct span s, int node)
{
	return node >= s.first && node <= s.last;
}

/* libfdt renumbers each property of this name, whatever it means. */
static bool has_phandle(const void *fdt, struct span s)
{
	int depth = 0;

	for (int node = s.first; node >= 0 && node <= s.last;
	     node = fdt_next_node(fdt, node, &depth))
		if (fdt_getprop(fdt, node, "phandle", NULL) ||
		    fdt_getprop(fdt, node, "linux,phandle", NULL))
			return true;
	return false;
}

/* Whether four bytes at @p offset are in a property. */
static bool is_inside(const void *fdt, int node, const char *name, int name_len,
		      uint64_t offset)
{
	int len;

	return fdt_getprop_namelen(fdt, node, name, name_len, &len) && len >= 4 &&
	       offset <= (uint64_t)len - 4;
}

/* `__local_fixups__` is a shadow of the tree: its properties list where in the tree's
 * properties a phandle of the overlay stands. */
static int check_local(const struct overlay *o, int tree, int fixup)
{
	int prop, child, len, ret = 0;
	const char *name;
	const uint8_t *cells;

	if (within(o->local, tree) || within(o->fixups, tree))
		return -EBADMSG;
	fdt_for_each_property_offset(prop, o->fdt, fixup)
	{
		cells = fdt_getprop_by_offset(o->fdt, prop, &name, &len);
		if (!cells || len % 4)
			return -EBADMSG;
		for (int i = 0; i < len; i += 4)
			if (!is_inside(o->fdt, tree, name, (int)strlen(name),
				       get_be32(cells + i)))
				return -EBADMSG;
	}
	fdt_for_each_subnode(child, o->fdt, fixup)
	{
		name = fdt_get_name(o->fdt, child, NULL);
		if (ret == 0 && name)
			ret =
			    check_local(o, fdt_subnode_offset(o->fdt, tree, name), child);
	}
	return ret;
}

/* One "path:property:offset" of @p len bytes. */
static int check_fixup(const struct overlay *o, const char *text, size_t len)
{
	const char *name = memchr(text, ':', len), *end = text + len, *offset;
	uint64_t value = 0;
	int node;

	/* Not by an alias: references could change what that is. */
	if (!name || text[0] != '/')
		return -EBADMSG;
	node = fdt_path_offset_namelen(o->fdt, text, (int)(name - text));
	name++;
	offset = memchr(name, ':', (size_t)(end - name));
	if (node < 0 || !offset || end - offset < 2 || end - offset > 8 ||
	    within(o->local, node) || within(o->fixups, node))
		return -EBADMSG;
	for (const char *p = offset + 1; p < end; p++) {
		if (*p < '0' || *p > '9')
			return -EBADMSG;
		value = value * 10 + (uint64_t)(*p - '0');
	}
	return is_inside(o->fdt, node, name, (int)(offset - name), value) ? 0 : -EBADMSG;
}

static int check_fixups(struct overlay *o)
{
	const char *text, *end;
	int prop, len;

	fdt_for_each_property_offset(prop, o->fdt, o->fixups.first)
	{
		text = fdt_getprop_by_offset(o->fdt, prop, NULL, &len);
		if (!text || len == 0 || text[len - 1])
			return -EBADMSG;
		for (end = text + len; text < end; text += strlen(text) + 1) {
			if (!count(o))
				return -E2BIG;
			if (check_fixup(o, text, strlen(text)) < 0)
				return -EBADMSG;
		}
	}
	return 0;
}

/* A path that libfdt takes for a string. */
static int check_targets(const struct overlay *o, bool *out_any)
{
	const char *path;
	int node, len;

	fdt_for_each_subnode(node, o->fdt, 0)
	{
		if (fdt_subnode_offset(o->fdt, node, "__overlay__") < 0)
			continue;
		*out_any = true;
		path = fdt_getprop(o->fdt, node, "target-path", &len);
		if (path && (len == 0 || path[len - 1]))
			return -EBADMSG;
	}
	return 0;
}

int fdt_backend_check_overlay(const void *overlay)
{
	struct overlay o = { .fdt = overlay };
	bool any = false;
	int ret = check_size(&o);

	if (ret < 0)
		return ret;
	o.fixups = span_of(overlay, "/__fixups__");
	o.local = span_of(overlay, "/__local_fixups__");
	if (has_phandle(overlay, o.fixups) || has_phandle(overlay, o.local))
		return -EBADMSG;
	if (o.local.last)
		ret = check_local(&o, 0, o.local.first);
	if (ret == 0 && o.fixups.last)
		ret = check_fixups(&o);
	if (ret == 0)
		ret = check_targets(&o, &any);
	return ret == 0 && !any ? -EBADMSG : ret;
}

int fdt_backend_apply_overlay(void *fdt, void *overlay)
{
	int ret = fdt_overlay_apply(fdt, overlay);

	/* Whatever else it is, the overlay does not fit the tree. */
	return ret == 0 ? 0 : ret == -FDT_ERR_NOSPACE ? -ENOSPC : -EBADMSG;
}

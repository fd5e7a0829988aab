/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/superio-debug.h>

#include "internal.h"

struct vmm_sio_debug_exit {
	struct vmm_sio_debug_exit_ops ops;
	void *ctx;
	uint32_t status;
};

struct vmm_sio_boot_timer {
	struct vmm_sio_boot_timer_ops ops;
	void *ctx;
	/* The timer was at @before when the clock was at @base. */
	uint64_t base, before;
	uint32_t count;
	struct vmm_sio_boot_mark marks[VMM_SIO_BOOT_TIMER_MARKS];
};

int vmm_sio_debug_exit_new(const struct vmm_sio_debug_exit_ops *ops, void *ctx,
			   struct vmm_sio_debug_exit **out)
{
	struct vmm_sio_debug_exit_ops o;
	struct vmm_sio_debug_exit *dev;
	int ret;

	ret = sio_opts_in(&o, sizeof(o), ops);
	if (ret < 0)
		return ret;
	dev = sio_alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->ops = o;
	dev->ctx = ctx;
	*out = dev;
	return 0;
}

void vmm_sio_debug_exit_free(struct vmm_sio_debug_exit *dev)
{
	free(dev);
}

uint32_t vmm_sio_debug_exit_read(const struct vmm_sio_debug_exit *dev, uint32_t offset)
{
	return offset == 0 ? dev->status : 0;
}

void vmm_sio_debug_exit_write(struct vmm_sio_debug_exit *dev, uint32_t offset,
			      uint32_t value)
{
	if (offset != 0)
		return;
	dev->status = value;
	if (dev->ops.quit)
		dev->ops.quit(dev->ctx, value);
}

int vmm_sio_debug_exit_save(const struct vmm_sio_debug_exit *dev,
			    struct vmm_sio_debug_exit_state *out)
{
	struct vmm_sio_debug_exit_state st = VMM_SIO_DEBUG_EXIT_STATE_INIT;

	st.version = VMM_SIO_DEBUG_EXIT_STATE_VERSION;
	st.status = dev->status;
	return sio_state_out(out, &st, sizeof(st));
}

int vmm_sio_debug_exit_restore(struct vmm_sio_debug_exit *dev,
			       const struct vmm_sio_debug_exit_state *state,
			       struct vmm_error *err)
{
	struct vmm_sio_debug_exit_state st;
	int ret;

	ret = sio_state_in(&st, sizeof(st), VMM_SIO_DEBUG_EXIT_STATE_VERSION, state, err);
	if (ret < 0)
		return ret;
	dev->status = st.status;
	return 0;
}

static uint64_t elapsed(const struct vmm_sio_boot_timer *dev)
{
	uint64_t now = dev->ops.now_ns(dev->ctx), sum;
	uint64_t since = now > dev->base ? now - dev->base : 0;

	return __builtin_add_overflow(dev->before, since, &sum) ? UINT64_MAX : sum;
}

int vmm_sio_boot_timer_new(const struct vmm_sio_boot_timer_ops *ops, void *ctx,
			   struct vmm_sio_boot_timer **out)
{
	struct vmm_sio_boot_timer_ops o;
	struct vmm_sio_boot_timer *dev;
	int ret;

	ret = sio_opts_in(&o, sizeof(o), ops);
	if (ret < 0)
		return ret;
	dev = sio_alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->ops = o;
	if (!o.now_ns)
		dev->ops.now_ns = sio_boottime_ns;
	dev->ctx = ctx;
	dev->base = dev->ops.now_ns(ctx);
	*out = dev;
	return 0;
}

void vmm_sio_boot_timer_free(struct vmm_sio_boot_timer *dev)
{
	free(dev);
}

uint32_t vmm_sio_boot_timer_read(const struct vmm_sio_boot_timer *dev, uint32_t offset)
{
	return offset == 0 ? dev->count : 0;
}

static uint32_t kept(uint32_t count)
{
	return count < VMM_SIO_BOOT_TIMER_MARKS ? count : VMM_SIO_BOOT_TIMER_MARKS;
}

void vmm_sio_boot_timer_write(struct vmm_sio_boot_timer *dev, uint32_t offset,
			      uint32_t value)
{
	uint64_t ns;

	if (offset != 0)
		return;
	ns = elapsed(dev);
	/* A clock that goes back must not make a state that is refused later. */
	if (dev->count > 0 && ns < dev->marks[kept(dev->count) - 1].ns)
		ns = dev->marks[kept(dev->count) - 1].ns;
	if (dev->count < VMM_SIO_BOOT_TIMER_MARKS)
		dev->marks[dev->count] =
		    (struct vmm_sio_boot_mark){ .ns = ns, .value = value };
	if (dev->count < UINT32_MAX)
		dev->count++;
	if (dev->ops.mark)
		dev->ops.mark(dev->ctx, value, ns);
}

size_t vmm_sio_boot_timer_get_marks(const struct vmm_sio_boot_timer *dev,
				    const struct vmm_sio_boot_mark **out)
{
	*out = dev->marks;
	return kept(dev->count);
}

int vmm_sio_boot_timer_save(struct vmm_sio_boot_timer *dev,
			    struct vmm_sio_boot_timer_state *out)
{
	struct vmm_sio_boot_timer_state st = VMM_SIO_BOOT_TIMER_STATE_INIT;

	st.version = VMM_SIO_BOOT_TIMER_STATE_VERSION;
	st.count = dev->count;
	st.elapsed_ns = elapsed(dev);
	memcpy(st.marks, dev->marks, sizeof(st.marks));
	return sio_state_out(out, &st, sizeof(st));
}

int vmm_sio_boot_timer_restore(struct vmm_sio_boot_timer *dev,
			       const struct vmm_sio_boot_timer_state *state,
			       struct vmm_error *err)
{
	struct vmm_sio_boot_timer_state st;
	uint32_t n;
	int ret;

	ret = sio_state_in(&st, sizeof(st), VMM_SIO_BOOT_TIMER_STATE_VERSION, state, err);
	if (ret < 0)
		return ret;
	n = kept(st.count);
	if (!sio_is_zero(&st.marks[n],
			 (VMM_SIO_BOOT_TIMER_MARKS - n) * sizeof(st.marks[0])))
		return sio_bad_state(err, "a mark beyond the number of marks", n);
	for (uint32_t i = 0; i < n; i++) {
		if (st.marks[i].reserved_ ||
		    (i > 0 && st.marks[i].ns < st.marks[i - 1].ns))
			return sio_bad_state(err, "the order of marks", i);
	}

	dev->base = dev->ops.now_ns(dev->ctx);
	dev->before = st.elapsed_ns;
	dev->count = st.count;
	memcpy(dev->marks, st.marks, sizeof(dev->marks));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "irq.h"

struct vmm_irq_fds {
	struct vmm_irq_backend next;
	void *next_ctx;
	uint32_t count;
	/* Atomic; -1 is none. */
	int fds[];
};

int vmm_irq_fds_new(uint32_t gsis, const struct vmm_irq_backend *next, void *next_ctx,
		    struct vmm_irq_fds **out)
{
	struct vmm_irq_fds *f;
	int ret = 0;

	if (gsis == 0 || gsis > VMM_IRQ_GSIS_MAX)
		return -EINVAL;
	f = calloc(1, sizeof(*f) + gsis * sizeof(f->fds[0]));
	if (!f)
		return -ENOMEM;
	if (next)
		ret = copy_sized(&f->next, sizeof(f->next), next);
	if (ret < 0) {
		free(f);
		return ret;
	}
	f->next_ctx = next_ctx;
	f->count = gsis;
	for (uint32_t i = 0; i < gsis; i++)
		f->fds[i] = -1;
	*out = f;
	return 0;
}

void vmm_irq_fds_free(struct vmm_irq_fds *fds)
{
	free(fds);
}

int vmm_irq_fds_set(struct vmm_irq_fds *fds, uint32_t gsi, int fd)
{
	if (gsi >= fds->count || fd < -1)
		return -EINVAL;
	__atomic_store_n(&fds->fds[gsi], fd, __ATOMIC_RELEASE);
	return 0;
}

static int signal_fd(int fd)
{
	const uint64_t one = 1;

	for (;;) {
		if (write(fd, &one, sizeof(one)) == sizeof(one))
			return 0;
		/* A full counter has not been read for 2^64 signals: it is signalled. */
		if (errno == EAGAIN)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

static int fds_set_level(void *ctx, uint32_t gsi, bool level)
{
	const struct vmm_irq_fds *f = ctx;

	return f->next.set_level ? f->next.set_level(f->next_ctx, gsi, level)
				 : -EOPNOTSUPP;
}

static int fds_trigger(void *ctx, uint32_t gsi)
{
	const struct vmm_irq_fds *f = ctx;
	int fd = gsi < f->count ? __atomic_load_n(&f->fds[gsi], __ATOMIC_ACQUIRE) : -1;
	int ret;

	if (fd >= 0)
		return signal_fd(fd);
	if (f->next.trigger)
		return f->next.trigger(f->next_ctx, gsi);
	ret = fds_set_level(ctx, gsi, true);
	return ret < 0 ? ret : fds_set_level(ctx, gsi, false);
}

static int fds_send_msi(void *ctx, const struct vmm_irq_msi *msi)
{
	const struct vmm_irq_fds *f = ctx;

	return f->next.send_msi ? f->next.send_msi(f->next_ctx, msi) : -EOPNOTSUPP;
}

static int fds_set_routes(void *ctx, const struct vmm_irq_route *routes, size_t count)
{
	const struct vmm_irq_fds *f = ctx;

	return f->next.set_routes ? f->next.set_routes(f->next_ctx, routes, count)
				  : -EOPNOTSUPP;
}

void vmm_irq_fds_get_backend(struct vmm_irq_backend *out)
{
	*out = (struct vmm_irq_backend){
		.size = sizeof(*out),
		.set_level = fds_set_level,
		.trigger = fds_trigger,
		.send_msi = fds_send_msi,
		.set_routes = fds_set_routes,
	};
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <vmm/memory-space.h>

#include "internal.h"
#include "sys.h"

/*
 * Quiescent states. The epoch counts publications. A unit announces the epoch that it
 * saw, then loads the table; both are sequentially consistent, and so are publication
 * and the look at the announcements. Either the publisher sees the announcement, or
 * the unit sees the new table. A table that was replaced when the epoch became E can
 * go when no unit announces an epoch below E.
 */
struct vmm_mem_reader {
	/* 0: between units. */
	uint64_t epoch __attribute__((aligned(64)));
	struct vmm_mem_space *space;
	struct vmm_mem_reader *next;
	char name[32];
};

struct vmm_mem_space {
	struct vmm_mem *current;
	uint64_t epoch;
	/* Orders those who change what is below, and who publishes. */
	pthread_mutex_t lock __attribute__((aligned(64)));
	struct vmm_mem_reader *readers;
	struct vmm_mem *retired;
};

int vmm_mem_space_new(struct vmm_mem *mem, struct vmm_mem_space **out)
{
	struct vmm_mem_space *space;

	space = mem_sys_alloc(__alignof__(*space), sizeof(*space));
	if (!space)
		return -ENOMEM;
	(void)pthread_mutex_init(&space->lock, NULL);
	space->current = mem;
	space->epoch = 1;
	*out = space;
	return 0;
}

static void free_list(struct vmm_mem *list)
{
	while (list) {
		struct vmm_mem *next = list->next;

		vmm_mem_free(list);
		list = next;
	}
}

void vmm_mem_space_free(struct vmm_mem_space *space)
{
	if (!space)
		return;
	while (space->readers) {
		struct vmm_mem_reader *next = space->readers->next;

		free(space->readers);
		space->readers = next;
	}
	free_list(space->retired);
	vmm_mem_free(space->current);
	(void)pthread_mutex_destroy(&space->lock);
	free(space);
}

int vmm_mem_space_add_reader(struct vmm_mem_space *space, const char *name,
			     struct vmm_mem_reader **out)
{
	struct vmm_mem_reader *reader;

	reader = mem_sys_alloc(__alignof__(*reader), sizeof(*reader));
	if (!reader)
		return -ENOMEM;
	for (size_t i = 0; i + 1 < sizeof(reader->name) && name[i]; i++)
		reader->name[i] = name[i];
	reader->space = space;
	(void)pthread_mutex_lock(&space->lock);
	reader->next = space->readers;
	space->readers = reader;
	(void)pthread_mutex_unlock(&space->lock);
	*out = reader;
	return 0;
}

/* The oldest epoch that a unit announces, and whose it is. Locked. */
static uint64_t oldest(const struct vmm_mem_space *space,
		       const struct vmm_mem_reader **who)
{
	uint64_t min = UINT64_MAX;

	for (const struct vmm_mem_reader *r = space->readers; r; r = r->next) {
		uint64_t epoch = __atomic_load_n(&r->epoch, __ATOMIC_SEQ_CST);

		if (epoch != 0 && epoch < min) {
			min = epoch;
			*who = r;
		}
	}
	return min;
}

/* Unlink what no unit can see. Locked; the caller frees the list after unlocking. */
static struct vmm_mem *take_dead(struct vmm_mem_space *space)
{
	const struct vmm_mem_reader *who = NULL;
	struct vmm_mem **at = &space->retired, *dead;
	uint64_t min;

	if (!*at)
		return NULL;
	min = oldest(space, &who);
	/* The list is newest first, so the dead ones are its tail. */
	while (*at && (*at)->epoch > min)
		at = &(*at)->next;
	dead = *at;
	*at = NULL;
	return dead;
}

void vmm_mem_space_remove_reader(struct vmm_mem_space *space,
				 struct vmm_mem_reader *reader)
{
	struct vmm_mem_reader **at = &space->readers;
	struct vmm_mem *dead;

	if (!reader)
		return;
	(void)pthread_mutex_lock(&space->lock);
	while (*at && *at != reader)
		at = &(*at)->next;
	if (*at)
		*at = reader->next;
	dead = take_dead(space);
	(void)pthread_mutex_unlock(&space->lock);
	free(reader);
	free_list(dead);
}

const struct vmm_mem *vmm_mem_reader_begin(struct vmm_mem_reader *reader)
{
	struct vmm_mem_space *space = reader->space;
	uint64_t epoch = __atomic_load_n(&space->epoch, __ATOMIC_SEQ_CST);

	(void)__atomic_exchange_n(&reader->epoch, epoch, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&space->current, __ATOMIC_SEQ_CST);
}

void vmm_mem_reader_end(struct vmm_mem_reader *reader)
{
	__atomic_store_n(&reader->epoch, 0, __ATOMIC_RELEASE);
}

int vmm_mem_reader_run(struct vmm_mem_reader *reader, vmm_mem_unit_fn fn, void *ctx)
{
	int ret = fn(ctx, vmm_mem_reader_begin(reader));

	vmm_mem_reader_end(reader);
	return ret;
}

/* Locked. */
static struct vmm_mem *publish(struct vmm_mem_space *space, struct vmm_mem *mem)
{
	struct vmm_mem *old = space->current;

	__atomic_store_n(&space->current, mem, __ATOMIC_SEQ_CST);
	old->epoch = space->epoch + 1;
	__atomic_store_n(&space->epoch, old->epoch, __ATOMIC_SEQ_CST);
	old->next = space->retired;
	space->retired = old;
	return take_dead(space);
}

void vmm_mem_space_replace(struct vmm_mem_space *space, struct vmm_mem *mem)
{
	struct vmm_mem *dead;

	(void)pthread_mutex_lock(&space->lock);
	dead = publish(space, mem);
	(void)pthread_mutex_unlock(&space->lock);
	free_list(dead);
}

int vmm_mem_space_add_region(struct vmm_mem_space *space,
			     const struct vmm_mem_region *region, struct vmm_error *err)
{
	struct vmm_mem *mem, *dead = NULL;
	int ret;

	(void)pthread_mutex_lock(&space->lock);
	ret = vmm_mem_with(space->current, region, &mem, err);
	if (ret == 0)
		dead = publish(space, mem);
	(void)pthread_mutex_unlock(&space->lock);
	free_list(dead);
	return ret;
}

int vmm_mem_space_remove_region(struct vmm_mem_space *space, uint64_t gpa, uint64_t len,
				struct vmm_error *err)
{
	struct vmm_mem *mem, *dead = NULL;
	int ret;

	(void)pthread_mutex_lock(&space->lock);
	ret = vmm_mem_without(space->current, gpa, len, &mem, err);
	if (ret == 0)
		dead = publish(space, mem);
	(void)pthread_mutex_unlock(&space->lock);
	free_list(dead);
	return ret;
}

int vmm_mem_space_clone(struct vmm_mem_space *space, struct vmm_mem **out)
{
	int ret;

	(void)pthread_mutex_lock(&space->lock);
	ret = vmm_mem_clone(space->current, out);
	(void)pthread_mutex_unlock(&space->lock);
	return ret;
}

/* Release what can go; how many are left, and who holds them. */
static size_t reclaim(struct vmm_mem_space *space, char holder[32])
{
	const struct vmm_mem_reader *who = NULL;
	struct vmm_mem *dead;
	size_t left = 0;

	(void)pthread_mutex_lock(&space->lock);
	dead = take_dead(space);
	for (const struct vmm_mem *m = space->retired; m; m = m->next)
		left++;
	(void)oldest(space, &who);
	if (who)
		memcpy(holder, who->name, sizeof(who->name));
	(void)pthread_mutex_unlock(&space->lock);
	free_list(dead);
	return left;
}

size_t vmm_mem_space_reclaim(struct vmm_mem_space *space)
{
	char holder[32] = "";

	return reclaim(space, holder);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int vmm_mem_space_wait(struct vmm_mem_space *space, uint32_t timeout_ms,
		       struct vmm_error *err)
{
	const struct timespec nap = { 0, 50000 };
	uint64_t start = now_ms();
	char holder[32] = "";
	size_t left;

	/* A unit of work is short, and this is rare: no one pays for being waited for. */
	while ((left = reclaim(space, holder)) > 0) {
		if (now_ms() - start >= timeout_ms)
			return vmm_error_at(err, -ETIMEDOUT, 0, 0, left,
					    "reader '%s' is still in its unit of work",
					    holder);
		(void)nanosleep(&nap, NULL);
	}
	return 0;
}

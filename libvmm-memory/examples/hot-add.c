/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Adds a region while another thread reads, and takes it away again. The reader takes
 * no lock: each round of its loop is a unit of work with a table of its own.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmm/memory-space.h>
#include <vmm/memory-typed.h>

#define MIB (UINT64_C(1) << 20)

struct device {
	struct vmm_mem_reader *reader;
	uint32_t stop;
	/* Rounds in which the second region was there. */
	uint64_t with, without;
};

/* One round of an event loop. */
static int round_of_work(void *ctx, const struct vmm_mem *mem)
{
	struct device *d = ctx;
	uint32_t v;

	if (vmm_mem_load_le32(mem, 0, VMM_MEM_ACQUIRE, &v) < 0)
		return -1;
	/* What is there at the start of a unit stays until its end. */
	if (vmm_mem_is_backed(mem, 16 * MIB, MIB)) {
		if (vmm_mem_load_le32(mem, 16 * MIB, VMM_MEM_ACQUIRE, &v) < 0)
			return -1;
		__atomic_fetch_add(&d->with, 1, __ATOMIC_RELAXED);
	} else {
		__atomic_fetch_add(&d->without, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static void *device_thread(void *p)
{
	struct device *d = p;

	while (!__atomic_load_n(&d->stop, __ATOMIC_RELAXED)) {
		if (vmm_mem_reader_run(d->reader, round_of_work, d) < 0)
			abort();
	}
	return NULL;
}

/* Until the other thread has been there once more. */
static void wait_for(const uint64_t *count)
{
	uint64_t before = __atomic_load_n(count, __ATOMIC_RELAXED);

	while (__atomic_load_n(count, __ATOMIC_RELAXED) == before)
		;
}

static int start_table(struct vmm_mem **out)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	struct vmm_mem_region ram = VMM_MEM_REGION_INIT;

	ram.len = 16 * MIB;
	ram.label = "ram";
	if (vmm_mem_builder_new(&builder) < 0 ||
	    vmm_mem_builder_add(builder, &ram, NULL) < 0)
		return -1;
	return vmm_mem_builder_build(builder, out);
}

int main(void)
{
	VMM_CLEANUP(vmm_mem_space_free) struct vmm_mem_space *space = NULL;
	struct vmm_mem_region dimm = VMM_MEM_REGION_INIT;
	struct device device = { 0 };
	struct vmm_mem *mem = NULL;
	struct vmm_error err = { 0 };
	pthread_t thread;

	if (start_table(&mem) < 0)
		return EXIT_FAILURE;
	if (vmm_mem_space_new(mem, &space) < 0) {
		vmm_mem_free(mem);
		return EXIT_FAILURE;
	}
	if (vmm_mem_space_add_reader(space, "device", &device.reader) < 0 ||
	    pthread_create(&thread, NULL, device_thread, &device) != 0)
		return EXIT_FAILURE;
	wait_for(&device.without);

	dimm.gpa = 16 * MIB;
	dimm.len = MIB;
	dimm.label = "dimm0";
	if (vmm_mem_space_add_region(space, &dimm, &err) < 0)
		goto failed;
	wait_for(&device.with);

	/* A VMM takes it from the guest first: the KVM slot. Then it goes from the table,
	 * and when the wait is over no one can look at it any more. */
	if (vmm_mem_space_remove_region(space, dimm.gpa, dimm.len, &err) < 0 ||
	    vmm_mem_space_wait(space, 5000, &err) < 0)
		goto failed;
	wait_for(&device.without);

	__atomic_store_n(&device.stop, 1, __ATOMIC_RELAXED);
	(void)pthread_join(thread, NULL);
	printf("added and removed while the reader ran\n");
	return EXIT_SUCCESS;
failed:
	fprintf(stderr, "%s\n", err.message);
	__atomic_store_n(&device.stop, 1, __ATOMIC_RELAXED);
	(void)pthread_join(thread, NULL);
	return EXIT_FAILURE;
}

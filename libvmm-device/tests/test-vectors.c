/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "irq-backend.h"

#define ROUTER VMM_CLEANUP(vmm_irq_router_free) struct vmm_irq_router *router
#define VECTORS VMM_CLEANUP(vmm_irq_vectors_free) struct vmm_irq_vectors *v

static struct vmm_irq_vectors *vectors(struct vmm_irq_router *router, uint32_t count,
				       uint32_t gsi)
{
	struct vmm_irq_vectors *v = NULL;

	assert_int_equal(vmm_irq_vectors_new(router, count, gsi, &v), 0);
	return v;
}

static void write32(struct vmm_irq_vectors *v, uint64_t offset, uint32_t value)
{
	vmm_irq_msix_table_write(v, offset, &value, 4);
}

static uint32_t read32(struct vmm_irq_vectors *v, uint64_t offset)
{
	uint32_t value = UINT32_MAX;

	vmm_irq_msix_table_read(v, offset, &value, 4);
	return value;
}

static uint64_t pending(struct vmm_irq_vectors *v)
{
	uint64_t value = UINT64_MAX;

	vmm_irq_msix_pba_read(v, 0, &value, 8);
	return value;
}

/* Programs vector i as a driver does. */
static void program(struct vmm_irq_vectors *v, uint32_t i, uint32_t data, bool masked)
{
	write32(v, i * 16 + 0, 0xfee01000);
	write32(v, i * 16 + 4, 0);
	write32(v, i * 16 + 8, data);
	write32(v, i * 16 + 12, masked);
}

static void vectors_have_limits(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	struct vmm_irq_vectors *v = NULL;
	struct vmm_irq_vector s;

	assert_int_equal(vmm_irq_vectors_new(router, 0, 0, &v), -EINVAL);
	assert_int_equal(
	    vmm_irq_vectors_new(router, VMM_IRQ_VECTORS_MAX + 1, VMM_IRQ_NO_GSI, &v),
	    -EINVAL);
	assert_int_equal(vmm_irq_vectors_new(router, 2, 31, &v), -EINVAL);
	assert_int_equal(vmm_irq_vectors_new(router, 1, 32, &v), -EINVAL);
	assert_null(v);
	v = vectors(router, VMM_IRQ_VECTORS_MAX, VMM_IRQ_NO_GSI);
	assert_int_equal(vmm_irq_vectors_raise(v, VMM_IRQ_VECTORS_MAX), -EINVAL);
	assert_int_equal(vmm_irq_vectors_get(v, VMM_IRQ_VECTORS_MAX, &s), -EINVAL);
	assert_int_equal(vmm_irq_vectors_get(v, VMM_IRQ_VECTORS_MAX - 1, &s), 0);
	assert_int_equal(s.masked, 1);
	assert_int_equal(s.pending, 0);
	vmm_irq_vectors_free(v);
}

static void the_table_holds_what_the_driver_writes(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	VECTORS = vectors(router, 4, VMM_IRQ_NO_GSI);
	uint64_t qword = 0x1234567890abcdef;
	uint16_t word = 0;
	uint8_t before[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	/* After reset all is zero but the mask bits. */
	for (uint32_t at = 0; at < 64; at += 4)
		assert_int_equal(read32(v, at), at % 16 == 12);
	/* Low address bits read as zero, reserved control bits as well. */
	write32(v, 16, 0xfee01003);
	assert_int_equal(read32(v, 16), 0xfee01000);
	write32(v, 28, 0xfffffffe);
	assert_int_equal(read32(v, 28), 0);
	vmm_irq_msix_table_write(v, 32, &qword, 8);
	assert_int_equal(read32(v, 32), 0x90abcdec);
	assert_int_equal(read32(v, 36), 0x12345678);
	vmm_irq_msix_table_write(v, 40, &qword, 8);
	vmm_irq_msix_table_read(v, 40, &qword, 8);
	assert_true(qword == 0x0000000090abcdef);
	/* Undefined widths and places change nothing. */
	vmm_irq_msix_table_write(v, 32, &word, 2);
	vmm_irq_msix_table_write(v, 34, &qword, 4);
	vmm_irq_msix_table_write(v, 36, &qword, 8);
	vmm_irq_msix_table_write(v, 64, &qword, 8);
	vmm_irq_msix_table_write(v, UINT64_MAX - 7, &qword, 8);
	assert_int_equal(read32(v, 32), 0x90abcdec);
	vmm_irq_msix_table_read(v, 64, before, 4);
	vmm_irq_msix_table_read(v, 1, before, 4);
	vmm_irq_msix_pba_read(v, 8, before, 8);
	vmm_irq_msix_pba_read(v, 0, before, 2);
	assert_memory_equal(before, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(t.messages, 0);
}

static void a_masked_vector_waits_until_it_is_unmasked(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	VECTORS = vectors(router, 4, VMM_IRQ_NO_GSI);

	assert_int_equal(vmm_irq_vectors_raise(v, 1), -EAGAIN);
	assert_int_equal(vmm_irq_vectors_set_control(v, true, false), 0);
	program(v, 1, 0x41, false);
	program(v, 2, 0x42, true);
	assert_int_equal(vmm_irq_vectors_raise(v, 1), 0);
	assert_int_equal(t.messages, 1);
	assert_int_equal(t.msi.data, 0x41);
	assert_int_equal(t.msi.addr, 0xfee01000);
	assert_int_equal(vmm_irq_vectors_raise(v, 2), 0);
	assert_int_equal(vmm_irq_vectors_raise(v, 2), 0);
	assert_int_equal(t.messages, 1);
	assert_int_equal(pending(v), 4);
	/* The message that goes out is the one at the time of unmasking, and it is one.
	 */
	write32(v, 40, 0x52);
	write32(v, 44, 0);
	assert_int_equal(t.messages, 2);
	assert_int_equal(t.msi.data, 0x52);
	assert_int_equal(pending(v), 0);
}

static void the_function_mask_holds_every_vector(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	VECTORS = vectors(router, 4, VMM_IRQ_NO_GSI);

	assert_int_equal(vmm_irq_vectors_set_control(v, true, true), 0);
	for (uint32_t i = 0; i < 4; i++) {
		program(v, i, 0x40 + i, i == 3);
		assert_int_equal(vmm_irq_vectors_raise(v, i), 0);
	}
	assert_int_equal(t.messages, 0);
	assert_int_equal(pending(v), 15);
	assert_int_equal(vmm_irq_vectors_set_control(v, true, false), 0);
	assert_int_equal(t.messages, 3);
	assert_int_equal(pending(v), 8);
	assert_int_equal(vmm_irq_vectors_set_control(v, false, false), 0);
	assert_int_equal(pending(v), 0);
}

static void routes_of_live_vectors_change_in_one_batch(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	VECTORS = vectors(router, 8, 24);

	assert_int_equal(vmm_irq_vectors_set_control(v, true, true), 0);
	for (uint32_t i = 0; i < 6; i++)
		program(v, i, 0x40 + i, false);
	assert_int_equal(t.tables, 0);
	assert_int_equal(vmm_irq_vectors_set_control(v, true, false), 0);
	assert_int_equal(t.tables, 1);
	assert_int_equal(t.route_count, 6);
	assert_int_equal(t.routes[5].gsi, 29);
	assert_int_equal(t.routes[5].msi.data, 0x45);
	assert_int_equal(vmm_irq_vectors_raise(v, 3), 0);
	assert_int_equal(t.triggers, 1);
	assert_int_equal(t.gsi, 27);
	/* Masking and unmasking with the same message costs no update, a new message one.
	 */
	write32(v, 60, 1);
	write32(v, 60, 0);
	assert_int_equal(t.tables, 1);
	write32(v, 60, 1);
	write32(v, 56, 0x99);
	assert_int_equal(t.tables, 1);
	write32(v, 60, 0);
	assert_int_equal(t.tables, 2);
	assert_int_equal(t.routes[3].msi.data, 0x99);
}

static void a_failed_back_end_leaves_the_vector_pending(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	VECTORS = vectors(router, 2, 24);

	assert_int_equal(vmm_irq_vectors_set_control(v, true, false), 0);
	program(v, 0, 0x40, true);
	t.fail = -ENOSPC;
	write32(v, 12, 0);
	assert_int_equal(vmm_irq_router_get_failures(router), 1);
	/* The route is still to be set: the next raise tries again. */
	t.fail = -ENOSPC;
	assert_int_equal(vmm_irq_vectors_raise(v, 0), -ENOSPC);
	assert_int_equal(pending(v), 1);
	assert_int_equal(t.triggers, 0);
	t.fail = 0;
	assert_int_equal(vmm_irq_vectors_raise(v, 0), 0);
	assert_int_equal(t.triggers, 1);
	t.fail = -EIO;
	assert_int_equal(vmm_irq_vectors_raise(v, 0), -EIO);
	assert_int_equal(pending(v), 1);
	assert_int_equal(vmm_irq_vectors_set_control(v, true, false), 0);
	assert_int_equal(t.triggers, 3);
	assert_int_equal(pending(v), 0);
}

static void vectors_come_back_from_a_snapshot(void **state)
{
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	VECTORS = vectors(router, 2, VMM_IRQ_NO_GSI);
	struct vmm_irq_vector saved[2], bad[2];
	struct vmm_error err;

	memset(saved, 0, sizeof(saved));
	saved[0].msi.addr = 0xfee00000;
	saved[0].msi.data = 0x30;
	saved[0].pending = 1;
	saved[1].masked = 1;
	saved[1].pending = 1;
	assert_int_equal(vmm_irq_vectors_set_control(v, true, false), 0);
	for (int i = 0; i < 5; i++) {
		memcpy(bad, saved, sizeof(bad));
		switch (i) {
		case 0:
			bad[1].msi.addr = 2;
			break;
		case 1:
			bad[1].masked = 2;
			break;
		case 2:
			bad[1].pending = 2;
			break;
		case 3:
			bad[1].reserved_[5] = 1;
			break;
		default:
			assert_int_equal(vmm_irq_vectors_restore(v, saved, 1, &err),
					 -EBADMSG);
			continue;
		}
		assert_int_equal(vmm_irq_vectors_restore(v, bad, 2, &err), -EBADMSG);
		assert_int_equal(err.where, 1);
		assert_int_equal(t.messages, 0);
	}
	assert_int_equal(vmm_irq_vectors_restore(v, saved, 2, NULL), 0);
	assert_int_equal(t.messages, 1);
	assert_int_equal(t.msi.data, 0x30);
	assert_int_equal(pending(v), 2);
	t.fail = -EIO;
	assert_int_equal(vmm_irq_vectors_restore(v, saved, 2, &err), -EIO);
	assert_int_equal(err.code, -EIO);
	assert_int_equal(vmm_irq_vectors_get(v, 0, &bad[0]), 0);
	assert_int_equal(bad[0].pending, 1);
}

static void msi_puts_the_vector_into_the_low_bits(void **state)
{
	static const struct vmm_irq_msi msi = { 0xfee00003, 0x47, 0 };
	struct test_irqs t = { 0 };
	ROUTER = test_router(&test_irqs_backend, &t);
	VECTORS = vectors(router, 8, VMM_IRQ_NO_GSI);

	assert_int_equal(vmm_irq_vectors_set_control(v, true, false), 0);
	assert_int_equal(vmm_irq_msi_set(v, &msi, 0, 0), -EINVAL);
	assert_int_equal(vmm_irq_msi_set(v, &msi, 3, 0), -EINVAL);
	assert_int_equal(vmm_irq_msi_set(v, &msi, 16, 0), -EINVAL);
	assert_int_equal(vmm_irq_msi_set(v, &msi, 4, 2), 0);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(vmm_irq_vectors_raise(v, i), 0);
		if (i != 1)
			assert_int_equal(t.msi.data, 0x44 + i);
	}
	assert_int_equal(t.msi.addr, 0xfee00000);
	assert_int_equal(t.messages, 3);
	assert_int_equal(vmm_irq_vectors_raise(v, 6), 0);
	assert_int_equal(vmm_irq_msi_get_pending(v), 0x42);
	assert_int_equal(vmm_irq_msi_set(v, &msi, 4, 0), 0);
	assert_int_equal(vmm_irq_msi_get_pending(v), 0x40);
	assert_int_equal(t.messages, 4);
	assert_int_equal(t.msi.data, 0x45);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_have_limits),
		cmocka_unit_test(the_table_holds_what_the_driver_writes),
		cmocka_unit_test(a_masked_vector_waits_until_it_is_unmasked),
		cmocka_unit_test(the_function_mask_holds_every_vector),
		cmocka_unit_test(routes_of_live_vectors_change_in_one_batch),
		cmocka_unit_test(a_failed_back_end_leaves_the_vector_pending),
		cmocka_unit_test(vectors_come_back_from_a_snapshot),
		cmocka_unit_test(msi_puts_the_vector_into_the_low_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

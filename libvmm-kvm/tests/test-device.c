/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "fake-kvm.h"

#include <vmm/kvm-device.h>

static bool leaves_fd;
static struct kvm_create_device created;
static struct kvm_device_attr attribute;

static int answer(int fd, unsigned long request, void *arg)
{
	struct kvm_create_device *device = arg;

	switch (request) {
	case KVM_CREATE_DEVICE:
		created = *device;
		if (!(device->flags & KVM_CREATE_DEVICE_TEST) && !leaves_fd)
			device->fd = (__u32)fake_new_fd();
		return 0;
	case KVM_SET_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_HAS_DEVICE_ATTR:
		memcpy(&attribute, arg, sizeof(attribute));
		return 0;
	case KVM_GET_STATS_FD:
		return fake_new_fd();
	default:
		return -ENOSYS;
	}
}

static void asking_for_a_device_makes_none(void **state)
{
	FAKE_MACHINE m = fake_machine();
	unsigned int before;

	fake.answer = answer;
	before = fake_leaks();
	assert_int_equal(vmm_kvm_vm_has_device(m.vm, KVM_DEV_TYPE_VFIO), 0);
	assert_int_equal(created.flags, KVM_CREATE_DEVICE_TEST);
	assert_int_equal(created.type, KVM_DEV_TYPE_VFIO);
	assert_int_equal(fake_leaks(), before);
	fake.fail_at = fake.calls + 1;
	fake.fail_code = -ENODEV;
	assert_int_equal(vmm_kvm_vm_has_device(m.vm, 99), -ENODEV);
}

static void a_device_owns_the_descriptor_it_was_given(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct vmm_kvm_device *device = NULL;
	struct vmm_error err;
	const uint64_t value = 5;
	uint64_t out = 0;

	fake.answer = answer;
	leaves_fd = true;
	assert_int_equal(vmm_kvm_device_open(m.vm, KVM_DEV_TYPE_VFIO, &device, &err),
			 -EBADMSG);
	assert_null(device);
	leaves_fd = false;
	fake.fail_at = fake.calls + 1;
	assert_int_equal(vmm_kvm_device_open(m.vm, KVM_DEV_TYPE_VFIO, &device, &err),
			 -EIO);
	assert_non_null(strstr(err.message, "device of type 4"));
	assert_int_equal(vmm_kvm_device_open(m.vm, KVM_DEV_TYPE_VFIO, &device, &err), 0);
	assert_true(vmm_kvm_device_get_fd(device) >= FAKE_FD_FIRST);

	assert_int_equal(vmm_kvm_device_set_attr(device, 1, 2, &value), 0);
	assert_int_equal(fake.last_request, KVM_SET_DEVICE_ATTR);
	assert_int_equal(attribute.group, 1);
	assert_int_equal(attribute.attr, 2);
	assert_int_equal(attribute.addr, (uintptr_t)&value);
	assert_int_equal(vmm_kvm_device_get_attr(device, 3, 4, &out), 0);
	assert_int_equal(fake.last_request, KVM_GET_DEVICE_ATTR);
	assert_int_equal(vmm_kvm_device_has_attr(device, 5, 6), 0);
	assert_int_equal(fake.last_request, KVM_HAS_DEVICE_ATTR);
	assert_int_equal(fake.last_fd, vmm_kvm_device_get_fd(device));
	assert_int_equal(attribute.addr, 0);
	vmm_kvm_device_close(device);
	vmm_kvm_device_close(NULL);
}

static void attributes_go_to_the_handle_they_are_asked_of(void **state)
{
	FAKE_MACHINE m = fake_machine();
	uint64_t value = 0;

	fake.answer = answer;
	assert_int_equal(vmm_kvm_has_attr(m.kvm, 0, 1), 0);
	assert_int_equal(fake.last_fd, vmm_kvm_get_fd(m.kvm));
	assert_int_equal(vmm_kvm_get_attr(m.kvm, 0, 1, &value), 0);
	assert_int_equal(fake.last_request, KVM_GET_DEVICE_ATTR);
	assert_int_equal(vmm_kvm_vm_has_attr(m.vm, 0, 1), 0);
	assert_int_equal(fake.last_fd, vmm_kvm_vm_get_fd(m.vm));
	assert_int_equal(vmm_kvm_vm_get_attr(m.vm, 0, 1, &value), 0);
	assert_int_equal(vmm_kvm_vm_set_attr(m.vm, 0, 1, &value), 0);
	assert_int_equal(fake.last_request, KVM_SET_DEVICE_ATTR);
	assert_int_equal(vmm_kvm_vcpu_has_attr(m.vcpu, 0, 1), 0);
	assert_int_equal(fake.last_fd, vmm_kvm_vcpu_get_fd(m.vcpu));
	assert_int_equal(vmm_kvm_vcpu_get_attr(m.vcpu, 0, 1, &value), 0);
	assert_int_equal(vmm_kvm_vcpu_set_attr(m.vcpu, 0, 1, NULL), 0);
	assert_int_equal(attribute.addr, 0);
}

/* As struct kvm_stats_desc, whose name has no length. */
struct stats_desc {
	uint32_t flags;
	int16_t exponent;
	uint16_t size;
	uint32_t offset;
	uint32_t bucket_size;
	char name[16];
};

_Static_assert(offsetof(struct stats_desc, name) == sizeof(struct kvm_stats_desc),
	       "as the kernel");

/* Two statistics, the second with three values. */
struct stats_file {
	struct kvm_stats_header head;
	struct stats_desc descs[2];
	uint64_t data[4];
};

static struct stats_file stats_file(void)
{
	struct stats_file f = { 0 };

	f.head.name_size = 16;
	f.head.num_desc = 2;
	f.head.desc_offset = offsetof(struct stats_file, descs);
	f.head.data_offset = offsetof(struct stats_file, data);
	f.descs[0].flags = KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE;
	f.descs[0].size = 1;
	memcpy(f.descs[0].name, "exits", 6);
	f.descs[1].flags = KVM_STATS_TYPE_LOG_HIST | KVM_STATS_UNIT_SECONDS;
	f.descs[1].exponent = -9;
	f.descs[1].size = 3;
	f.descs[1].offset = 8;
	f.descs[1].bucket_size = 5;
	memcpy(f.descs[1].name, "halt_wait", 10);
	for (uint64_t i = 0; i < 4; i++)
		f.data[i] = 100 + i;
	return f;
}

static void statistics_are_told_and_read(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct stats_file file = stats_file();
	VMM_CLEANUP(vmm_kvm_stats_close) struct vmm_kvm_stats *stats = NULL;
	struct vmm_kvm_stat info;
	uint64_t values[3] = { 0 };

	fake.answer = answer;
	fake_file = (const uint8_t *)&file;
	fake_file_len = sizeof(file);
	assert_int_equal(vmm_kvm_vm_open_stats(m.vm, &stats, NULL), 0);
	assert_int_equal(vmm_kvm_stats_get_count(stats), 2);
	assert_int_equal(vmm_kvm_stats_get_info(stats, 0, &info), 0);
	assert_string_equal(info.name, "exits");
	assert_int_equal(info.values, 1);
	assert_int_equal(vmm_kvm_stats_get_info(stats, 1, &info), 0);
	assert_string_equal(info.name, "halt_wait");
	assert_int_equal(info.type, KVM_STATS_TYPE_LOG_HIST);
	assert_int_equal(info.unit, KVM_STATS_UNIT_SECONDS);
	assert_int_equal(info.exponent, -9);
	assert_int_equal(info.bucket_size, 5);
	assert_int_equal(vmm_kvm_stats_get_info(stats, 2, &info), -ENOENT);

	assert_int_equal(vmm_kvm_stats_read(stats, 0, values, 3), 0);
	assert_int_equal(values[0], 100);
	assert_int_equal(vmm_kvm_stats_read(stats, 1, values, 2), -ENOSPC);
	assert_int_equal(vmm_kvm_stats_read(stats, 1, values, 3), 0);
	assert_int_equal(values[2], 103);
	assert_int_equal(vmm_kvm_stats_read(stats, 2, values, 3), -ENOENT);
	fake_file_len -= 8;
	assert_int_equal(vmm_kvm_stats_read(stats, 1, values, 3), -EBADMSG);
}

static void statistics_that_lie_are_refused(void **state)
{
	struct stats_file good = stats_file();

	for (int i = 0; i < 12; i++) {
		FAKE_MACHINE m = fake_machine();
		struct stats_file f = good;
		struct vmm_kvm_stats *stats = NULL;
		struct vmm_error err;

		fake.answer = answer;
		fake_file = (const uint8_t *)&f;
		fake_file_len = sizeof(f);
		switch (i) {
		case 0:
			f.head.name_size = 0;
			break;
		case 1:
			f.head.name_size = UINT32_MAX;
			break;
		case 2:
			f.head.num_desc = 0;
			break;
		case 3:
			f.head.num_desc = UINT32_MAX;
			break;
		case 4:
			f.head.num_desc = 5;
			break;
		case 5:
			f.head.desc_offset = UINT32_MAX;
			break;
		case 6:
			f.head.data_offset = UINT32_MAX;
			break;
		case 7:
			memset(f.descs[1].name, 'x', 16);
			break;
		case 8:
			f.descs[0].size = 0;
			break;
		case 9:
			f.descs[0].size = UINT16_MAX;
			break;
		case 10:
			f.descs[0].offset = UINT32_MAX;
			break;
		default:
			fake_file_len = 10;
			break;
		}
		assert_int_equal(vmm_kvm_vcpu_open_stats(m.vcpu, &stats, &err), -EBADMSG);
		assert_null(stats);
	}
}

static int answer_no_stats(int fd, unsigned long request, void *arg)
{
	return request == KVM_GET_STATS_FD ? -ENOTTY : -ENOSYS;
}

static void statistics_may_be_missing_or_fail(void **state)
{
	FAKE_MACHINE m = fake_machine();
	struct stats_file file = stats_file();
	struct vmm_kvm_stats *stats = NULL;
	struct vmm_error err;

	fake.answer = answer_no_stats;
	assert_int_equal(vmm_kvm_vm_open_stats(m.vm, &stats, &err), -EOPNOTSUPP);
	fake.answer = answer;
	fake_file = (const uint8_t *)&file;
	fake_file_len = sizeof(file);
	for (unsigned int n = 1; n <= 3; n++) {
		fake.fail_at = fake.calls + n;
		assert_int_equal(vmm_kvm_vm_open_stats(m.vm, &stats, &err), -EIO);
	}
	assert_null(stats);
	vmm_kvm_stats_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asking_for_a_device_makes_none),
		cmocka_unit_test(a_device_owns_the_descriptor_it_was_given),
		cmocka_unit_test(attributes_go_to_the_handle_they_are_asked_of),
		cmocka_unit_test(statistics_are_told_and_read),
		cmocka_unit_test(statistics_that_lie_are_refused),
		cmocka_unit_test(statistics_may_be_missing_or_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

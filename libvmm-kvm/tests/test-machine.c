/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "guest.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

static uint64_t count_of(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static int new_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static void the_order_of_creation_matters(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	struct vmm_kvm_vcpu *other = NULL;
	struct kvm_irq_routing_entry route = { .type = KVM_IRQ_ROUTING_IRQCHIP };
	const struct kvm_msi msi = { .address_lo = 0xfee00000 };
	struct kvm_lapic_state lapic;
	int fd = new_eventfd();

	assert_int_equal(vmm_kvm_vm_set_irq_line(g.vm, 4, true), -ENXIO);
	assert_int_equal(vmm_kvm_vm_signal_msi(g.vm, &msi, NULL), -EINVAL);
	assert_int_equal(vmm_kvm_vm_set_gsi_routing(g.vm, &route, 1), -EINVAL);
	assert_int_equal(vmm_kvm_vm_add_irqfd(g.vm, fd, 4), -EINVAL);
	assert_int_equal(vmm_kvm_vm_set_identity_map_addr(g.vm, 0xfffbc000), 0);
	assert_int_equal(vmm_kvm_vm_set_tss_addr(g.vm, 0xfffbd000), 0);
	assert_int_equal(vmm_kvm_vm_set_tss_addr(g.vm, 0xffffe000), -EINVAL);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 0, &g.vcpu, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 0, &other, NULL), -EEXIST);
	assert_int_equal(
	    vmm_kvm_vcpu_open(g.vm, vmm_kvm_get_max_vcpu_id(g.kvm), &other, NULL),
	    -EINVAL);
	assert_null(other);
	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), -EINVAL);
	assert_int_equal(vmm_kvm_vm_set_identity_map_addr(g.vm, 0xfffbc000), -EINVAL);
	assert_int_equal(vmm_kvm_vcpu_get_lapic(g.vcpu, &lapic), -EINVAL);
	assert_int_equal(vmm_kvm_vm_enable_cap(g.vm, 0, 0, NULL), -EINVAL);
	assert_int_equal(vmm_kvm_vcpu_enable_cap(g.vcpu, 0, 0, NULL), -EINVAL);
	close(fd);
}

static void interrupts_are_bound_once(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	int a = new_eventfd(), b = new_eventfd();
	struct kvm_irqchip chip = { 0 };
	struct kvm_pit_state2 pit;

	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), 0);
	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), -EEXIST);
	assert_int_equal(vmm_kvm_vm_create_pit2(g.vm, KVM_PIT_SPEAKER_DUMMY), 0);
	assert_int_equal(vmm_kvm_vm_create_pit2(g.vm, 0), -EEXIST);
	assert_int_equal(vmm_kvm_vm_get_pit2(g.vm, &pit), 0);
	assert_int_equal(vmm_kvm_vm_set_pit2(g.vm, &pit), 0);
	assert_int_equal(vmm_kvm_vm_get_irqchip(g.vm, KVM_IRQCHIP_IOAPIC, &chip), 0);
	assert_int_equal(chip.chip_id, KVM_IRQCHIP_IOAPIC);
	assert_int_equal(vmm_kvm_vm_set_irqchip(g.vm, &chip), 0);
	assert_int_equal(vmm_kvm_vm_get_irqchip(g.vm, 3, &chip), -EINVAL);

	assert_int_equal(vmm_kvm_vm_add_irqfd(g.vm, a, 4), 0);
	assert_int_equal(vmm_kvm_vm_add_irqfd(g.vm, a, 4), -EBUSY);
	assert_int_equal(vmm_kvm_vm_add_irqfd(g.vm, a, 5), -EBUSY);
	assert_int_equal(vmm_kvm_vm_add_irqfd(g.vm, b, 4), 0);
	assert_int_equal(vmm_kvm_vm_remove_irqfd(g.vm, a, 5), -ENOENT);
	assert_int_equal(vmm_kvm_vm_remove_irqfd(g.vm, a, 4), 0);
	assert_int_equal(vmm_kvm_vm_remove_irqfd(g.vm, a, 4), -ENOENT);
	assert_int_equal(vmm_kvm_vm_add_irqfd(g.vm, a, 5), 0);
	assert_true(vmm_kvm_vm_add_irqfd(g.vm, STDERR_FILENO, 6) < 0);
	/* What is still bound is the close's business, and the kernel forgets it. */
	vmm_kvm_vm_close(g.vm);
	assert_int_equal(vmm_kvm_vm_open(g.kvm, 0, &g.vm, NULL), 0);
	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), 0);
	assert_int_equal(vmm_kvm_vm_add_irqfd(g.vm, a, 5), 0);
	close(a);
	close(b);
}

static void an_acknowledged_level_comes_back(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	int fd = new_eventfd(), resample = new_eventfd();

	NEED(vmm_kvm_vm_check_extension(g.vm, KVM_CAP_IRQFD_RESAMPLE) > 0,
	     "no KVM_CAP_IRQFD_RESAMPLE");
	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), 0);
	assert_int_equal(vmm_kvm_vm_add_irqfd_resample(g.vm, fd, resample, 9), 0);
	assert_int_equal(vmm_kvm_vm_remove_irqfd(g.vm, fd, 9), 0);
	close(fd);
	close(resample);
}

static void routes_need_a_controller_and_may_be_emptied(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	struct kvm_irq_routing_entry routes[2] = { { 0 } };
	const struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x30 };

	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), 0);
	routes[0].gsi = 4;
	routes[0].type = KVM_IRQ_ROUTING_IRQCHIP;
	routes[0].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
	routes[0].u.irqchip.pin = 4;
	routes[1].gsi = 24;
	routes[1].type = KVM_IRQ_ROUTING_MSI;
	routes[1].u.msi.address_lo = 0xfee00000;
	routes[1].u.msi.data = 0x31;
	assert_int_equal(vmm_kvm_vm_set_gsi_routing(g.vm, routes, 2), 0);
	assert_int_equal(vmm_kvm_vm_set_gsi_routing(g.vm, NULL, 0), 0);
	routes[0].type = 99;
	assert_int_equal(vmm_kvm_vm_set_gsi_routing(g.vm, routes, 1), -EINVAL);
	/* Nobody is there to take it. */
	assert_true(vmm_kvm_vm_signal_msi(g.vm, &msi, NULL) < 0);
}

static void a_doorbell_rings_instead_of_an_exit(void **state)
{
	static const uint8_t code[] = {
		0xb8, 0x07, 0x00, 0x00, 0x00, /* mov eax, 7 */
		0xe7, 0x40,		      /* out 0x40, eax: rings */
		0xb8, 0x08, 0x00, 0x00, 0x00, /* mov eax, 8 */
		0xe7, 0x40,		      /* out 0x40, eax: exits */
		0xa3, 0x50, 0x00, 0x00, 0xd0, /* mov [0xd0000050], eax: rings */
		0xf4,			      /* hlt */
	};
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct vmm_kvm_ioeventfd port = VMM_KVM_IOEVENTFD_INIT,
				 mmio = VMM_KVM_IOEVENTFD_INIT;
	struct vmm_kvm_exit exit;

	port.addr = 0x40;
	port.len = 4;
	port.pio = true;
	port.match = 7;
	port.has_match = true;
	port.fd = new_eventfd();
	mmio.addr = 0xd0000050;
	mmio.len = 4;
	mmio.fd = new_eventfd();
	assert_int_equal(vmm_kvm_vm_add_ioeventfd(g.vm, &port), 0);
	assert_int_equal(vmm_kvm_vm_add_ioeventfd(g.vm, &port), -EEXIST);
	assert_int_equal(vmm_kvm_vm_add_ioeventfd(g.vm, &mmio), 0);

	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_IO);
	assert_int_equal(exit.u.io.data[0], 8);
	assert_int_equal(count_of(port.fd), 1);
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_HLT);
	assert_int_equal(count_of(mmio.fd), 1);

	port.match = 8;
	assert_int_equal(vmm_kvm_vm_remove_ioeventfd(g.vm, &port), -ENOENT);
	port.match = 7;
	assert_int_equal(vmm_kvm_vm_remove_ioeventfd(g.vm, &port), 0);
	guest_start(&g, code, sizeof(code));
	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_IO);
	assert_int_equal(exit.u.io.data[0], 7);
	close(port.fd);
	close(mmio.fd);
}

static void the_dirty_log_names_the_page_that_was_written(void **state)
{
	static const uint8_t code[] = {
		0xa2, 0x00, 0x50, 0x00, 0x00, /* mov [0x5000], al */
		0xf4,			      /* hlt */
	};
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	uint64_t bitmap = 0;

	assert_int_equal(vmm_kvm_vm_get_dirty_log(g.vm, g.slot, &bitmap, 1), -ENOENT);
	assert_int_equal(vmm_kvm_vm_set_dirty_logging(g.vm, g.slot, true), 0);
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_HLT);
	assert_int_equal(vmm_kvm_vm_get_dirty_log(g.vm, g.slot, &bitmap, 1), 0);
	assert_true(bitmap & 1u << 5);
	assert_int_equal(bitmap >> (GUEST_MEMORY / 4096), 0);
	/* Reading it started it anew. */
	assert_int_equal(vmm_kvm_vm_get_dirty_log(g.vm, g.slot, &bitmap, 1), 0);
	assert_false(bitmap & 1u << 5);
}

static void pages_are_cleared_by_hand(void **state)
{
	static const uint8_t code[] = { 0xa2, 0x00, 0x50, 0x00, 0x00, 0xf4 };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	const uint64_t args[4] = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE };
	uint64_t bitmap = 0;

	NEED(vmm_kvm_vm_check_extension(g.vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) > 0,
	     "no KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2");
	assert_int_equal(
	    vmm_kvm_vm_enable_cap(g.vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0, args), 0);
	assert_int_equal(vmm_kvm_vm_set_dirty_logging(g.vm, g.slot, true), 0);
	assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_HLT);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vmm_kvm_vm_get_dirty_log(g.vm, g.slot, &bitmap, 1), 0);
		assert_true(bitmap & 1u << 5);
	}
	assert_int_equal(vmm_kvm_vm_clear_dirty_log(g.vm, g.slot, 0, 16, &bitmap), 0);
	assert_int_equal(vmm_kvm_vm_get_dirty_log(g.vm, g.slot, &bitmap, 1), 0);
	assert_false(bitmap & 1u << 5);
}

static void read_only_memory_moves_and_goes_away(void **state)
{
	static const uint8_t code[] = {
		0xa1, 0x00, 0x00, 0x10, 0x00, /* mov eax, [0x100000] */
		0xa3, 0x00, 0x00, 0x10, 0x00, /* mov [0x100000], eax */
		0xa1, 0x00, 0x00, 0x20, 0x00, /* mov eax, [0x200000] */
		0xe7, 0x10,		      /* out 0x10, eax */
		0xa1, 0x00, 0x00, 0x20, 0x00, /* mov eax, [0x200000] */
		0xf4,			      /* hlt */
	};
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct vmm_kvm_memory rom = VMM_KVM_MEMORY_INIT;
	uint32_t *words = aligned_alloc(4096, 4096), value = 0, slot = 0;
	struct vmm_kvm_exit exit;

	assert_non_null(words);
	words[0] = 0x12345678;
	rom.gpa = 0x100000;
	rom.len = 4096;
	rom.host = words;
	rom.flags = VMM_KVM_MEMORY_READONLY;
	assert_int_equal(vmm_kvm_vm_add_memory(g.vm, &rom, &slot, NULL), 0);
	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_MMIO);
	assert_int_equal(exit.u.mmio.is_write, 1);
	memcpy(&value, exit.u.mmio.data, 4);
	assert_int_equal(value, words[0]);
	assert_int_equal(vmm_kvm_vm_move_memory(g.vm, slot, 0x200000), 0);
	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_IO);
	memcpy(&value, exit.u.io.data, 4);
	assert_int_equal(value, words[0]);
	assert_int_equal(vmm_kvm_vm_remove_memory(g.vm, slot), 0);
	free(words);
	exit = guest_run(&g);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_MMIO);
	assert_int_equal(exit.u.mmio.gpa, 0x200000);
}

static void *run_until_kicked(void *arg)
{
	struct vmm_kvm_exit exit;
	int ret;

	do {
		ret = vmm_kvm_vcpu_run(arg, &exit);
	} while (ret == 0);
	return ret == -EINTR ? arg : NULL;
}

static void a_kick_stops_a_guest_that_never_exits(void **state)
{
	static const uint8_t code[] = { 0xeb, 0xfe }; /* jmp $ */
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct vmm_kvm_exit exit;

	assert_int_equal(vmm_kvm_kick_signal_init(0), 0);
	vmm_kvm_vcpu_kick(g.vcpu);
	assert_int_equal(vmm_kvm_vcpu_run(g.vcpu, &exit), -EINTR);
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		void *ret = NULL;

		assert_int_equal(pthread_create(&thread, NULL, run_until_kicked, g.vcpu),
				 0);
		if (i % 2)
			(void)usleep(1000);
		vmm_kvm_vcpu_kick(g.vcpu);
		assert_int_equal(pthread_join(thread, &ret), 0);
		assert_non_null(ret);
	}
}

static void a_kick_wakes_a_halted_vcpu(void **state)
{
	static const uint8_t code[] = { 0xf4, 0xeb, 0xfd }; /* hlt; jmp back */
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	pthread_t thread;
	void *ret = NULL;

	/* With the interrupt controller in the kernel hlt does not come out. */
	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), 0);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 0, &g.vcpu, NULL), 0);
	guest_start(&g, code, sizeof(code));
	assert_int_equal(vmm_kvm_kick_signal_init(0), 0);
	assert_int_equal(pthread_create(&thread, NULL, run_until_kicked, g.vcpu), 0);
	(void)usleep(20000);
	vmm_kvm_vcpu_kick(g.vcpu);
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_non_null(ret);
}

static struct vmm_kvm_vcpu *alarmed;

static void on_alarm(int signo)
{
	vmm_kvm_vcpu_kick(alarmed);
}

static void a_signal_handler_may_kick(void **state)
{
	static const uint8_t code[] = { 0xeb, 0xfe };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct sigaction action = { .sa_handler = on_alarm };
	struct vmm_kvm_exit exit;

	assert_int_equal(vmm_kvm_kick_signal_init(0), 0);
	alarmed = g.vcpu;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	(void)ualarm(20000, 0);
	assert_int_equal(vmm_kvm_vcpu_run(g.vcpu, &exit), -EINTR);
}

static void a_waiting_processor_starts_when_it_is_told(void **state)
{
	VMM_GUEST_CLEANUP struct guest g = guest_without_vcpu();
	struct vmm_kvm_vcpu *second = NULL;
	uint32_t mp = 99;

	assert_int_equal(vmm_kvm_vm_create_irqchip(g.vm), 0);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 0, &g.vcpu, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_open(g.vm, 1, &second, NULL), 0);
	assert_int_equal(vmm_kvm_vcpu_get_id(second), 1);
	assert_int_equal(vmm_kvm_vcpu_get_mp_state(g.vcpu, &mp), 0);
	assert_int_equal(mp, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(vmm_kvm_vcpu_get_mp_state(second, &mp), 0);
	assert_int_equal(mp, KVM_MP_STATE_UNINITIALIZED);
	assert_int_equal(vmm_kvm_vcpu_set_mp_state(second, KVM_MP_STATE_RUNNABLE), 0);
	assert_int_equal(vmm_kvm_vcpu_get_mp_state(second, &mp), 0);
	assert_int_equal(mp, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(vmm_kvm_vcpu_set_mp_state(second, 77), -EINVAL);
	vmm_kvm_vcpu_close(second);
}

static unsigned int entries_in(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static unsigned int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned int n = 0;
	int c;

	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	(void)fclose(f);
	return n;
}

static void nothing_stays_behind_after_many_machines(void **state)
{
	static const uint8_t code[] = { 0xf4 };
	unsigned int fds = 0, maps = 0;

	for (int i = 0; i < 40; i++) {
		VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));

		assert_int_equal(guest_run(&g).reason, VMM_KVM_EXIT_HLT);
		if (i == 10) {
			fds = entries_in("/proc/self/fd");
			maps = mappings();
		}
		if (i > 10)
			assert_int_equal(entries_in("/proc/self/fd"), fds);
	}
	/* The allocator may have taken a little, a mapping for each round would be 29. */
	assert_in_range(mappings(), 0, maps + 8);
}

static void handles_travel_as_descriptors(void **state)
{
	static const uint8_t code[] = { 0xf4 };
	VMM_GUEST_CLEANUP struct guest g = guest_new(code, sizeof(code));
	struct vmm_kvm *kvm = NULL;
	struct vmm_kvm_vm *vm = NULL;
	struct vmm_kvm_vcpu *vcpu = NULL;
	struct vmm_kvm_exit exit;
	struct vmm_error err;
	int fd = -1;

	assert_int_equal(vmm_kvm_open_fd(NULL, false, &fd, NULL), 0);
	assert_int_equal(vmm_kvm_take_fd(fd, &kvm, NULL), 0);
	assert_int_equal(vmm_kvm_get_fd(kvm), fd);
	assert_int_equal(vmm_kvm_vm_take_fd(kvm, dup(vmm_kvm_vm_get_fd(g.vm)), &vm, NULL),
			 0);
	assert_int_equal(
	    vmm_kvm_vcpu_take_fd(vm, dup(vmm_kvm_vcpu_get_fd(g.vcpu)), 0, &vcpu, NULL),
	    0);
	assert_int_equal(vmm_kvm_vcpu_run(vcpu, &exit), 0);
	assert_int_equal(exit.reason, VMM_KVM_EXIT_HLT);
	vmm_kvm_vcpu_close(vcpu);
	vmm_kvm_vm_close(vm);

	/* One kind is not taken for another. */
	assert_int_equal(vmm_kvm_take_fd(vmm_kvm_vm_get_fd(g.vm), &kvm, &err), -ENOTTY);
	vm = NULL;
	assert_int_equal(vmm_kvm_vm_take_fd(kvm, vmm_kvm_get_fd(kvm), &vm, &err),
			 -ENOTTY);
	assert_int_equal(vmm_kvm_vm_take_fd(kvm, vmm_kvm_vcpu_get_fd(g.vcpu), &vm, &err),
			 -ENOTTY);
	assert_int_equal(vmm_kvm_vm_take_fd(kvm, -1, &vm, &err), -EBADF);
	assert_null(vm);
	assert_int_equal(vmm_kvm_vcpu_take_fd(g.vm, -1, 0, &vcpu, &err), -EBADF);
	assert_int_equal(vmm_kvm_vcpu_take_fd(g.vm, vmm_kvm_get_fd(kvm), 0, &vcpu, &err),
			 -ENODEV);
	vmm_kvm_close(kvm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_of_creation_matters),
		cmocka_unit_test(interrupts_are_bound_once),
		cmocka_unit_test(an_acknowledged_level_comes_back),
		cmocka_unit_test(routes_need_a_controller_and_may_be_emptied),
		cmocka_unit_test(a_doorbell_rings_instead_of_an_exit),
		cmocka_unit_test(the_dirty_log_names_the_page_that_was_written),
		cmocka_unit_test(pages_are_cleared_by_hand),
		cmocka_unit_test(read_only_memory_moves_and_goes_away),
		cmocka_unit_test(a_kick_stops_a_guest_that_never_exits),
		cmocka_unit_test(a_kick_wakes_a_halted_vcpu),
		cmocka_unit_test(a_signal_handler_may_kick),
		cmocka_unit_test(a_waiting_processor_starts_when_it_is_told),
		cmocka_unit_test(nothing_stays_behind_after_many_machines),
		cmocka_unit_test(handles_travel_as_descriptors),
	};

	return have_kvm() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

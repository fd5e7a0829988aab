/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The bare ioctl sequence that any VMM needs to the first guest instruction: a VM with
 * in-kernel interrupt chips and timer, 128 MiB, one vCPU in long mode with the host's
 * CPUID. The guest writes one byte to port 0x3f8, which goes to standard output, as a
 * VMM with a serial port would do; then "\nsequence NS", the time from opening /dev/kvm to
 * that exit. It stays until it is killed. Status 77: this machine has no KVM.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vmm/kvm.h>

enum {
	CANNOT_RUN = 77,
	MEMORY = 128 << 20,
	CODE = 0x100000,
	TABLES = 0x9000,
	CPUID_MAX = 256,
	PORT = 0x3f8,
};

static const uint8_t code[] = {
	0x66, 0xba, 0xf8, 0x03, /* mov dx, PORT */
	0xb0, 0x78,		/* mov al, 'x' */
	0xee,			/* out dx, al */
	0xf4,			/* hlt */
};

static int64_t now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int call(int fd, unsigned long request, void *arg, const char *name)
{
	int ret = ioctl(fd, request, arg);

	if (ret < 0) {
		perror(name);
		exit(CANNOT_RUN);
	}
	return ret;
}

#define CALL(fd, request, arg) call(fd, request, arg, #request)

static void add_memory(int vm)
{
	uint8_t *ram = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };
	uint64_t *tables;

	if (ram == MAP_FAILED)
		exit(CANNOT_RUN);
	memcpy(ram + CODE, code, sizeof(code));
	/* 2 MiB identity-mapped by three tables. */
	tables = (uint64_t *)(void *)(ram + TABLES);
	tables[0] = (TABLES + 0x1000) | 3;
	tables[512] = (TABLES + 0x2000) | 3;
	tables[1024] = 0x83;
	region.userspace_addr = (uintptr_t)ram;
	(void)CALL(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void set_cpuid(int kvm, int vcpu)
{
	struct kvm_cpuid2 *cpuid =
	    calloc(1, sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));

	if (!cpuid)
		exit(CANNOT_RUN);
	cpuid->nent = CPUID_MAX;
	(void)CALL(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	(void)CALL(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

static void set_registers(int vcpu)
{
	const struct kvm_segment cs = { .limit = 0xffffffff,
					.selector = 0x10,
					.type = 11,
					.present = 1,
					.l = 1,
					.g = 1,
					.s = 1 };
	const struct kvm_segment ds = { .limit = 0xffffffff,
					.selector = 0x18,
					.type = 3,
					.present = 1,
					.db = 1,
					.g = 1,
					.s = 1 };
	struct kvm_regs regs = { .rip = CODE, .rflags = 2 };
	struct kvm_sregs sregs;

	(void)CALL(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs = cs;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = ds;
	sregs.cr3 = TABLES;
	sregs.cr4 = 0x20;
	sregs.cr0 = 0x80000001;
	sregs.efer = 0x500;
	(void)CALL(vcpu, KVM_SET_SREGS, &sregs);
	(void)CALL(vcpu, KVM_SET_REGS, &regs);
}

int main(void)
{
	int64_t started = now();
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, vcpu;
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	uint64_t identity_map = 0xfffbc000;
	struct kvm_run *run;
	char text[64];
	int len;

	if (kvm < 0)
		return CANNOT_RUN;
	vm = CALL(kvm, KVM_CREATE_VM, NULL);
	/* First, for after the others KVM makes this one wait until no vCPU can look. */
	add_memory(vm);
	(void)CALL(vm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)0xfffbd000);
	(void)CALL(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	(void)CALL(vm, KVM_CREATE_IRQCHIP, NULL);
	(void)CALL(vm, KVM_CREATE_PIT2, &pit);
	vcpu = CALL(vm, KVM_CREATE_VCPU, NULL);
	run = mmap(NULL, (size_t)CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL),
		   PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return CANNOT_RUN;
	set_cpuid(kvm, vcpu);
	set_registers(vcpu);
	(void)CALL(vcpu, KVM_RUN, NULL);
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT)
		return CANNOT_RUN;
	len =
	    snprintf(text, sizeof(text), "%c\nsequence %lld\n",
		     *((char *)run + run->io.data_offset), (long long)(now() - started));
	if (write(STDOUT_FILENO, text, (size_t)len) == len)
		(void)pause();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <vmm/base.h>

enum {
	CMDLINE_MAX = 65536, /* the loader checks the kernel's own, smaller limit */
	PATH_LEN_MAX = 4096,
	DISKS_MAX = 16,
	DISK_ID_MAX = 20, /* bytes that the driver sees (virtio 1.2, 5.2.6) */
	DISK_QUEUES_MAX = 16,
	NICS_MAX = 8,
	NIC_QUEUES_MAX = 16,
	NIC_NAME_MAX = 107, /* of a socket; the kernel's limit for its path */
	VSOCK_PATH_MAX = 96,
	MACHINE_NAME_MAX = 64,
};

struct disk_desc {
	char path[PATH_LEN_MAX];
	char id[DISK_ID_MAX + 1];
	bool readonly;
	bool direct;
	uint32_t queues;
	uint64_t bytes_per_second; /* 0: as fast as it goes */
	uint64_t ops_per_second;
};

enum nic_kind { NIC_NONE, NIC_TAP, NIC_TAP_FD, NIC_PASST };

struct nic_desc {
	enum nic_kind kind;
	char name[NIC_NAME_MAX + 1]; /* of the TAP interface or passt's socket */
	int fd;
	uint32_t queues;
	uint16_t mtu;	/* 0: the driver is not told */
	uint8_t mac[6]; /* zeros: the driver makes one up */
};

struct vsock_desc {
	uint64_t cid; /* 0: no device */
	char path[VSOCK_PATH_MAX + 1];
};

#define DEFAULT_CMDLINE "console=ttyS0"

/* How a kernel is entered, on machines that have more than one way. */
enum boot_protocol {
	BOOT_LINUX64,
	BOOT_LINUX32,
	BOOT_PVH,
};

/* What the user asked for: plain data, no pointers into argv. */
struct machine_desc {
	char kernel[PATH_LEN_MAX];
	char initrd[PATH_LEN_MAX]; /* empty: none */
	char cmdline[CMDLINE_MAX];
	uint64_t kernel_min; /* lowest address the kernel may use; 0: as it likes */
	char kvm_path[PATH_LEN_MAX];
	uint64_t memory; /* bytes */
	uint32_t cpus;
	enum boot_protocol boot_protocol;
	bool force; /* try a KVM that cannot boot Linux */
	uint32_t disk_count;
	struct disk_desc disks[DISKS_MAX];
	uint32_t nic_count;
	struct nic_desc nics[NICS_MAX];
	struct vsock_desc vsock;
	bool rng;
	bool virtio_console; /* has the input, beside the serial line */
	bool no_console;     /* of any kind */
	bool balloon;
	char name[MACHINE_NAME_MAX + 1]; /* empty: not to be controlled */
	/* About this run. */
	char config[PATH_LEN_MAX]; /* the machine file; empty: none */
	char trace[PATH_LEN_MAX];  /* of exits; empty: none */
	bool background;
	bool dry_run;
	bool json;
	bool verbose;
};

enum command {
	COMMAND_RUN,
	COMMAND_HELP,
	COMMAND_HELP_RUN,
	COMMAND_VERSION,
};

/* Read the command line. -EINVAL with a one-line detail when it makes no sense. */
int options_parse(int argc, char **argv, enum command *out_command,
		  struct machine_desc *out_desc, struct vmm_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef AARCH64_LAYOUT_H
#define AARCH64_LAYOUT_H

#include <vmm/loader-arm64.h>

/* Where things are; the guest is told by the device tree. Interrupts are shared ones
 * (SPI), whose numbers are KVM's GSIs. */
#define SERIAL_GPA VMM_LOAD_ARM64_DEVICES
#define RTC_GPA (VMM_LOAD_ARM64_DEVICES + 0x10000)
#define VIRTIO_GPA (VMM_LOAD_ARM64_DEVICES + 0x1000000)
#define VIRTIO_GPA_LAST (VMM_LOAD_ARM64_DEVICES + VMM_LOAD_ARM64_DEVICES_LEN - 1)

enum {
	SERIAL_LEN = 0x1000, /* the registers are the first eight bytes */
	SERIAL_GSI = 1,
	RTC_GSI = 2,
	VIRTIO_GSI_FIRST = 16,
	VIRTIO_GSI_LAST = 63,
	PMU_IRQ = 23, /* private to each CPU; here the number among all interrupts */
	GIC_DIST_LEN = 0x10000,
	GIC_V2_DIST_LEN = 0x1000,
	GIC_V2_CPU_LEN = 0x2000,
	GIC_REDIST_LEN = 0x20000, /* for each CPU */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_SETUP_HEADER_H
#define LOADER_SETUP_HEADER_H

#include "../bytes.h"

/* Linux x86 boot protocol, "The Real-Mode Kernel Header". Offsets are those of the
 * document: from the start of the file and of the zero page. Not from <asm/bootparam.h>,
 * so that this compiles on every host. */
#define SETUP_HEADER_FIRST 0x1f1u

#define SETUP_LOADED_HIGH 0x01u
#define SETUP_XLF_KERNEL_64 0x0001u
#define SETUP_XLF_ABOVE_4G 0x0002u
#define SETUP_XLF_5LEVEL 0x0020u

static inline uint32_t setup_get32(const uint8_t *header, uint32_t offset)
{
	return get_le32(header + (offset - SETUP_HEADER_FIRST));
}

static inline uint64_t setup_get64(const uint8_t *header, uint32_t offset)
{
	return get_le64(header + (offset - SETUP_HEADER_FIRST));
}

#endif

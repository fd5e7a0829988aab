/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef LOADER_PROBE_H
#define LOADER_PROBE_H

#include "input.h"

/* Bytes from the start of an image that tell what it is. */
#define PROBE_LEN 0x290u

int load_probe_input(const struct load_input *in, struct vmm_load_probe_result *out,
		     struct vmm_error *err);

/* "x86_64" and the like, for messages. */
const char *load_arch_name(uint32_t arch);
const char *load_elf_machine_name(uint32_t machine);

/* ELF e_machine of an architecture. */
uint32_t load_elf_machine(uint32_t arch);

#endif

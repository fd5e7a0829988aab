/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef DEVICE_OPTIONS_H
#define DEVICE_OPTIONS_H

#include "options.h"

/* The options that add a device; each takes a list of words. */
int set_disk(struct machine_desc *desc, const char *value, struct vmm_error *err);
int set_net(struct machine_desc *desc, const char *value, struct vmm_error *err);
int set_vsock(struct machine_desc *desc, const char *value, struct vmm_error *err);
int set_rng(struct machine_desc *desc, const char *value, struct vmm_error *err);
int set_balloon(struct machine_desc *desc, const char *value, struct vmm_error *err);

/* Forget those of a machine file when the command line has its own. */
void clear_disks(struct machine_desc *desc);
void clear_nets(struct machine_desc *desc);

#endif

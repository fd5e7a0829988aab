/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config-toml.h"
#include "options.h"

/* Beside the program, as it is built, or where it is installed. Never where the
 * environment points. */
static void *open_module(void)
{
	static const char name[] = "reference-vmm-toml.so";
	char path[PATH_LEN_MAX + sizeof(name)];
	ssize_t len = readlink("/proc/self/exe", path, PATH_LEN_MAX);
	char *slash = len > 0 ? memrchr(path, '/', (size_t)len) : NULL;
	void *module = NULL;

	if (slash) {
		strcpy(slash + 1, name);
		module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	}
	return module ? module
		      : dlopen(VMM_MODULE_DIR "/reference-vmm-toml.so", RTLD_NOW);
}

int config_get_toml(config_read_fn **out, struct vmm_error *err)
{
	void *module = open_module();
	void *symbol = module ? dlsym(module, "config_read_toml") : NULL;

	if (!symbol)
		return vmm_error_set(err, -EOPNOTSUPP,
				     "TOML is not built in; the same as JSON is");
	memcpy(out, &symbol, sizeof(symbol)); /* ISO C has no such conversion */
	return 0;
}

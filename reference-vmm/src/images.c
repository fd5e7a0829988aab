/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "images.h"

static int open_image(const char *path, int *out_fd, struct vmm_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return vmm_error_set(err, -errno, "%.160s: %s", path, strerror(errno));
	*out_fd = fd;
	return 0;
}

static struct vmm_load_source source_of(const char *path, int fd)
{
	struct vmm_load_source source = VMM_LOAD_SOURCE_INIT;

	source.name = path;
	source.fd = fd;
	return source;
}

static const char *arch_name(uint32_t arch)
{
	return arch == VMM_LOAD_ARCH_X86_64 ? "x86_64" : "aarch64";
}

int images_open(struct images *images, const struct machine_desc *desc,
		struct vmm_error *err)
{
	struct vmm_load_probe_result found;
	struct vmm_load_source source;
	int ret = open_image(desc->kernel, &images->kernel_fd, err);

	if (ret < 0)
		return ret;
	source = source_of(desc->kernel, images->kernel_fd);
	ret = vmm_load_probe(&source, &found, err);
	if (ret < 0)
		return ret;
	if (!found.supported || found.arch != images->arch)
		return vmm_error_set(
		    err, -ENOEXEC, "%.100s: not a kernel: %s, expected %s", desc->kernel,
		    found.description, arch_name(images->arch));
	return desc->initrd[0] ? open_image(desc->initrd, &images->initrd_fd, err) : 0;
}

int images_load(const struct images *images, const struct machine_desc *desc,
		const struct vmm_mem *mem, struct vmm_load_map *map,
		struct vmm_load_result *kernel, struct vmm_load_range *initrd,
		struct vmm_error *err)
{
	struct vmm_load_kernel_opts opts = VMM_LOAD_KERNEL_OPTS_INIT;
	struct vmm_load_source source = source_of(desc->kernel, images->kernel_fd);
	int ret;

	opts.arch = images->arch;
	opts.map = map;
	opts.min_gpa = desc->kernel_min;
	ret = vmm_load_kernel(mem, &source, &opts, kernel, err);
	if (ret < 0 || images->initrd_fd < 0)
		return ret;
	source = source_of(desc->initrd, images->initrd_fd);
	return vmm_load_initrd(mem, map, kernel, &source, initrd, err);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void images_close(struct images *images)
{
	close_fd(&images->kernel_fd);
	close_fd(&images->initrd_fd);
}

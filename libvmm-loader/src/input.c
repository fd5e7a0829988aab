/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "input.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "options.h"
#include "sys.h"

static int open_file(struct load_input *in, struct vmm_error *err)
{
	struct stat st;
	int ret = load_sys_stat(in->fd, &st);

	if (ret < 0)
		return vmm_error_set(err, ret, "%s: cannot look at it: %s", in->name,
				     strerror(-ret));
	if (S_ISDIR(st.st_mode))
		return vmm_error_set(err, -EISDIR, "%s: a directory, not an image",
				     in->name);
	if (!S_ISREG(st.st_mode))
		return vmm_error_set(err, -EINVAL, "%s: not a regular file", in->name);
	in->size = (uint64_t)st.st_size;
	return 0;
}

int load_input_open(const struct vmm_load_source *source, struct load_input *out,
		    struct vmm_error *err)
{
	struct vmm_load_source s;
	struct load_input in;
	int ret = load_options_copy(&s, sizeof(s), source);

	if (ret < 0)
		return vmm_error_set(err, ret, "source: unknown structure size");

	in = (struct load_input){ s.name ? s.name : "image", s.fd, s.data, s.len };
	if (s.fd >= 0)
		ret = open_file(&in, err);
	else if (s.fd != -1 || (!s.data && s.len))
		ret = vmm_error_set(err, -EINVAL, "%s: neither a file nor a buffer",
				    in.name);
	if (ret == 0 && in.size == 0)
		ret =
		    vmm_error_set(err, -EBADMSG, "%s: empty, not a single byte", in.name);
	if (ret == 0)
		*out = in;
	return ret;
}

int load_input_check(const struct load_input *in, uint64_t offset, uint64_t len,
		     const char *what, struct vmm_error *err)
{
	if (offset <= in->size && len <= in->size - offset)
		return 0;
	return vmm_error_at(err, -EBADMSG, offset, len,
			    offset < in->size ? in->size - offset : 0,
			    "%s: truncated: %s needs %" PRIu64 " bytes at offset %" PRIu64
			    ", the image has %" PRIu64,
			    in->name, what, len, offset, in->size);
}

int load_input_peek(const struct load_input *in, uint64_t offset, void *buf, size_t len,
		    size_t *out_len, struct vmm_error *err)
{
	size_t done = 0;
	int64_t n;

	if (offset >= in->size)
		len = 0;
	else if (len > in->size - offset)
		len = (size_t)(in->size - offset);

	if (in->fd < 0 && len) {
		memcpy(buf, in->data + offset, len);
		done = len;
	}
	while (done < len) {
		n = load_sys_pread(in->fd, (uint8_t *)buf + done, len - done,
				   offset + done);
		if (n < 0)
			return vmm_error_at(err, (int)n, offset + done, len, done,
					    "%s: cannot read at offset %" PRIu64 ": %s",
					    in->name, offset + done, strerror((int)-n));
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*out_len = done;
	return 0;
}

int load_input_read(const struct load_input *in, uint64_t offset, void *buf, size_t len,
		    const char *what, struct vmm_error *err)
{
	size_t got = 0;
	int ret = load_input_check(in, offset, len, what, err);

	if (ret == 0)
		ret = load_input_peek(in, offset, buf, len, &got, err);
	if (ret == 0 && got < len)
		ret = vmm_error_at(err, -EIO, offset, len, got,
				   "%s: became shorter while it was read: %zu of %zu "
				   "bytes at offset %" PRIu64,
				   in->name, got, len, offset);
	return ret;
}

int load_input_to_mem(const struct load_input *in, uint64_t offset, uint64_t len,
		      const struct vmm_mem *mem, uint64_t gpa, struct vmm_error *err)
{
	uint64_t done = 0;
	int64_t n;
	int ret;

	if (in->fd < 0) {
		ret = vmm_mem_write(mem, gpa, in->data + offset, len);
		return ret == 0 ? 0
				: vmm_error_at(err, ret, gpa, len, 0,
					       "%s: cannot write %" PRIu64
					       " bytes to guest memory at 0x%" PRIx64,
					       in->name, len, gpa);
	}

	while (done < len) {
		n = vmm_mem_read_file(mem, gpa + done, in->fd, offset + done, len - done);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return vmm_error_at(err, (int)n, offset + done, len, done,
					    "%s: cannot read at offset %" PRIu64 ": %s",
					    in->name, offset + done, strerror((int)-n));
		if (n == 0)
			return vmm_error_at(err, -EIO, offset, len, done,
					    "%s: became shorter while it was read: "
					    "%" PRIu64 " of %" PRIu64
					    " bytes at offset %" PRIu64,
					    in->name, done, len, offset);
		done += (uint64_t)n;
	}
	return 0;
}

/* The host writes through its own mapping: the calls that write for a device refuse. */
int load_input_to_rom(const struct load_input *in, const struct vmm_mem *mem,
		      uint64_t gpa, struct vmm_error *err)
{
	struct vmm_mem_region region = VMM_MEM_REGION_INIT;
	uint64_t done = 0, at, len;
	int ret = 0;

	for (size_t i = 0; i < vmm_mem_region_count(mem) && ret == 0; i++) {
		ret = vmm_mem_get_region(mem, i, &region);
		at = gpa + done - region.gpa;
		if (ret < 0 || gpa + done < region.gpa || at >= region.len)
			continue;
		len =
		    in->size - done < region.len - at ? in->size - done : region.len - at;
		ret = load_input_read(in, done, (uint8_t *)region.host + at, len,
				      "firmware", err);
		done += len;
		if (done == in->size)
			break;
	}
	return ret;
}

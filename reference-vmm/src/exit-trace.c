/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "exit-trace.h"

enum { DATA_MAX = 16 }; /* bytes of an access that are shown */

struct exit_trace {
	int fd;
	uint64_t start;
};

int exit_trace_open(const char *path, struct exit_trace **out, struct vmm_error *err)
{
	struct exit_trace *trace = calloc(1, sizeof(*trace));

	if (!trace)
		return vmm_error_set(err, -ENOMEM, "--trace-exits: out of memory");
	/* A line is one write, so that those of several vCPUs do not mix. */
	trace->fd =
	    open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		 0600);
	if (trace->fd < 0) {
		free(trace);
		return vmm_error_set(err, -errno, "%.160s: %s", path, strerror(errno));
	}
	trace->start = clock_ns();
	*out = trace;
	return 0;
}

void exit_trace_close(struct exit_trace *trace)
{
	if (!trace)
		return;
	(void)close(trace->fd);
	free(trace);
}

/* What the description leaves out: bytes by port, and what was read. */
static size_t get_data(const struct vmm_kvm_exit *exit, const uint8_t **out)
{
	size_t len = 0;

	if (exit->reason == VMM_KVM_EXIT_IO) {
		*out = exit->u.io.data;
		len = (size_t)exit->u.io.size * exit->u.io.count;
	} else if (exit->reason == VMM_KVM_EXIT_MMIO && !exit->u.mmio.is_write) {
		*out = exit->u.mmio.data;
		len = exit->u.mmio.len;
	}
	return len < DATA_MAX ? len : DATA_MAX;
}

void exit_trace_write(const struct exit_trace *trace, uint32_t cpu,
		      const struct vmm_kvm_exit *exit)
{
	double now = (double)(clock_ns() - trace->start) / 1e9;
	char what[512], line[768];
	const uint8_t *data = NULL;
	size_t len = get_data(exit, &data);
	int n;

	(void)vmm_kvm_exit_describe(exit, what, sizeof(what));
	n = snprintf(line, sizeof(line), "%.6f cpu %u: %s%s", now, cpu, what,
		     len > 0 ? ":" : "");
	for (size_t i = 0; i < len; i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %02x", data[i]);
	line[n++] = '\n';
	/* A trace that cannot be written is no reason to stop the guest. */
	(void)!write(trace->fd, line, (size_t)n);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmm/virtio-net.h>

#include "virtio.h"

/* A network interface, served by threads of the device's own. */
struct nic {
	struct vmm_virtio_net *device;
	uint32_t queues;
	pid_t passt; /* 0: not ours */
	int fds[NIC_QUEUES_MAX];
};

static void nic_free(void *object)
{
	struct nic *nic = object;

	vmm_virtio_net_free(nic->device);
	for (uint32_t i = 0; i < NIC_QUEUES_MAX; i++) {
		if (nic->fds[i] >= 0)
			(void)close(nic->fds[i]);
	}
	/* Without its connection it has nothing to lose. */
	if (nic->passt > 0) {
		(void)kill(nic->passt, SIGKILL);
		(void)waitpid(nic->passt, NULL, 0);
	}
	free(nic);
}

/* A passt of our own, whose end of the connection is its descriptor 3. */
static int spawn_passt(pid_t *out_pid, int fd)
{
	static char name[] = "passt", foreground[] = "--foreground", quiet[] = "--quiet",
		    by_fd[] = "--fd", three[] = "3";
	char *argv[] = { name, foreground, quiet, by_fd, three, NULL };
	posix_spawn_file_actions_t actions;
	int ret = -posix_spawn_file_actions_init(&actions);

	if (ret < 0)
		return ret;
	ret = -posix_spawn_file_actions_adddup2(&actions, fd, 3);
	if (ret == 0)
		ret = -posix_spawnp(out_pid, name, &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	return ret;
}

static int start_passt(struct nic *nic, struct vmm_error *err)
{
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return vmm_error_set(err, -errno, "--net: %s", strerror(errno));
	nic->fds[0] = pair[0];
	ret = spawn_passt(&nic->passt, pair[1]);
	(void)close(pair[1]);
	if (ret == 0)
		return 0;
	nic->passt = 0;
	return vmm_error_set(err, ret, "--net: passt does not start: %s", strerror(-ret));
}

static int open_back_end(struct nic *nic, const struct nic_desc *desc,
			 struct vmm_error *err)
{
	switch (desc->kind) {
	case NIC_TAP:
		return vmm_virtio_net_open_tap(desc->name, desc->queues, nic->fds, err);
	case NIC_TAP_FD:
		nic->fds[0] = fcntl(desc->fd, F_DUPFD_CLOEXEC, 0);
		return nic->fds[0] >= 0
			   ? 0
			   : vmm_error_set(err, -errno, "--net: tap-fd=%d: %s", desc->fd,
					   strerror(errno));
	case NIC_PASST:
		return desc->name[0]
			   ? vmm_virtio_net_connect_stream(desc->name, &nic->fds[0], err)
			   : start_passt(nic, err);
	case NIC_NONE:
		break; /* a cable that leads nowhere */
	}
	return 0;
}

static int nic_new(struct nic *nic, const struct nic_desc *desc, struct vmm_error *err)
{
	bool tap = desc->kind == NIC_TAP || desc->kind == NIC_TAP_FD;
	struct vmm_virtio_net_opts opts = VMM_VIRTIO_NET_OPTS_INIT;
	int ret = open_back_end(nic, desc, err);

	if (ret < 0)
		return ret;
	opts.kind = tap ? VMM_VIRTIO_NET_TAP : VMM_VIRTIO_NET_STREAM;
	opts.pair_n = nic->queues = desc->queues;
	opts.threads = desc->queues;
	opts.fds = nic->fds;
	opts.mtu = desc->mtu;
	memcpy(opts.mac, desc->mac, sizeof(opts.mac));
	return vmm_virtio_net_new(&opts, &nic->device, err);
}

/* Queue 2 is the control queue of a driver that wants one pair, and else the second
 * pair's: its notifications take the way through the transport, which knows. */
static int get_doorbell(void *object, uint32_t queue)
{
	const struct nic *nic = object;

	return nic->queues > 1 && queue == 2
		   ? -1
		   : vmm_virtio_net_get_doorbell(nic->device, queue);
}

int nic_add(struct virtio *virtio, const struct nic_desc *desc, struct vmm_error *err)
{
	struct virtio_device device = {
		.name = "--net",
		.detail = desc->name,
		.free = nic_free,
		.get_doorbell = get_doorbell,
	};
	struct nic *nic = calloc(1, sizeof(*nic));
	int ret;

	if (!nic)
		return vmm_error_set(err, -ENOMEM, "--net: out of memory");
	for (uint32_t i = 0; i < NIC_QUEUES_MAX; i++)
		nic->fds[i] = -1;
	ret = nic_new(nic, desc, err);
	if (ret < 0) {
		nic_free(nic);
		return ret;
	}
	device.object = nic;
	device.device = vmm_virtio_net_get_device(nic->device);
	return virtio_add(virtio, &device, err);
}

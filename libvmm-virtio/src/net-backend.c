/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The back ends for file descriptors: TAP, and what sockets have in common. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "net.h"

/* Newer than the oldest kernel headers that we build with. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static const struct {
	uint64_t feature;
	unsigned int tun;
} tun_offloads[] = {
	{ VMM_VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM },
	{ VMM_VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4 },
	{ VMM_VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6 },
	{ VMM_VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN },
	{ VMM_VIRTIO_NET_F_GUEST_UFO, TUN_F_UFO },
	{ VMM_VIRTIO_NET_F_GUEST_USO4, TUN_F_USO4 },
	{ VMM_VIRTIO_NET_F_GUEST_USO6, TUN_F_USO6 },
};

int net_tap_set_offloads(int fd, uint64_t offloads)
{
	unsigned int tun = 0;

	for (size_t i = 0; i < sizeof(tun_offloads) / sizeof(tun_offloads[0]); i++) {
		if (offloads & tun_offloads[i].feature)
			tun |= tun_offloads[i].tun;
	}
	return ioctl(fd, TUNSETOFFLOAD, (unsigned long)tun) < 0 ? -errno : 0;
}

/* What a TAP takes from us follows what it can give, as both came to the kernel
 * together. */
static uint64_t tap_probe(int fd)
{
	static const uint64_t uso = VMM_VIRTIO_NET_F_GUEST_USO4 |
				    VMM_VIRTIO_NET_F_GUEST_USO6 |
				    VMM_VIRTIO_NET_F_HOST_USO;
	static const uint64_t ufo =
	    VMM_VIRTIO_NET_F_GUEST_UFO | VMM_VIRTIO_NET_F_HOST_UFO;
	uint64_t can = NET_GUEST_OFFLOADS | NET_HOST_OFFLOADS;

	if (net_tap_set_offloads(fd, can) < 0)
		can &= ~uso;
	if (net_tap_set_offloads(fd, can) < 0)
		can &= ~ufo;
	if (net_tap_set_offloads(fd, can) < 0)
		can = 0;
	return can;
}

int net_tap_check(int fd, uint64_t *out_offloads, struct vmm_error *err)
{
	static const int want = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	int header = NET_HEADER, little = 1;
	struct ifreq ifr;
	uint64_t can;

	memset(&ifr, 0, sizeof(ifr));
	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return vmm_error_set(err, -errno, "not a TAP interface: %s",
				     strerrordesc_np(errno));
	if ((ifr.ifr_flags & want) != want)
		return vmm_error_at(err, -EINVAL, 0, (uint64_t)want,
				    (uint64_t)(uint16_t)ifr.ifr_flags,
				    "TAP without TAP, NO_PI and VNET_HDR");
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
	    ioctl(fd, TUNSETVNETLE, &little) < 0)
		return vmm_error_set(err, -errno, "TAP has no header of 12 bytes");
	can = tap_probe(fd);
	if (net_tap_set_offloads(fd, 0) < 0)
		can = 0;
	*out_offloads &= can;
	return 0;
}

/* A queue of an interface of many is taken off while its pair is not in use, so that no
 * flow is steered to it. */
int net_tap_attach(int fd, bool on)
{
	struct ifreq ifr;
	bool is_on;

	memset(&ifr, 0, sizeof(ifr));
	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	if (!(ifr.ifr_flags & IFF_MULTI_QUEUE))
		return 0;
	is_on = !(ifr.ifr_flags & IFF_DETACH_QUEUE);
	if (is_on == on)
		return 0;
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE;
	return ioctl(fd, TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

static int64_t tap_send(int fd, const struct iovec *iov, uint32_t n)
{
	ssize_t ret;

	do
		ret = writev(fd, iov, (int)n);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static int64_t tap_recv(int fd, const struct iovec *iov, uint32_t n)
{
	ssize_t ret = readv(fd, iov, (int)n);

	if (ret < 0)
		return errno == EINTR ? 0 : -errno;
	return ret;
}

static int64_t datagram_send(int fd, const struct iovec *iov, uint32_t n)
{
	struct iovec *v = (struct iovec *)(uintptr_t)iov;
	struct msghdr msg = { .msg_iov = v, .msg_iovlen = n };
	ssize_t ret;

	do
		ret = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

/* A peer that is not there now may be there again: that is an error once, and then
 * nothing. An empty message is the end of a SOCK_SEQPACKET, and else an empty message. */
static int64_t datagram_recv(int fd, const struct iovec *iov, uint32_t n)
{
	struct iovec *v = (struct iovec *)(uintptr_t)iov;
	struct msghdr msg = { .msg_iov = v, .msg_iovlen = n };
	ssize_t ret = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_TRUNC);
	socklen_t len = sizeof(int);
	int type = 0;

	if (ret > 0)
		return ret;
	if (ret < 0 && (errno == EINTR || errno == ECONNREFUSED || errno == ECONNRESET))
		return 0;
	if (ret < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type == SOCK_SEQPACKET)
		return -EPIPE;
	return 0;
}

static int64_t builtin_send(void *ctx, uint32_t pair, const struct iovec *iov, uint32_t n)
{
	struct net_builtin *b = ctx;
	int fd = b->fds[pair];

	if (b->kind == VMM_VIRTIO_NET_TAP)
		return tap_send(fd, iov, n);
	if (b->kind == VMM_VIRTIO_NET_DATAGRAM)
		return datagram_send(fd, iov, n);
	return net_stream_send(&b->streams[pair], fd, iov, n);
}

static int64_t builtin_recv(void *ctx, uint32_t pair, const struct iovec *iov, uint32_t n)
{
	struct net_builtin *b = ctx;
	int fd = b->fds[pair];

	if (b->kind == VMM_VIRTIO_NET_TAP)
		return tap_recv(fd, iov, n);
	if (b->kind == VMM_VIRTIO_NET_DATAGRAM)
		return datagram_recv(fd, iov, n);
	return net_stream_recv(&b->streams[pair], fd, iov, n);
}

static int builtin_get_fd(void *ctx, uint32_t pair)
{
	return ((struct net_builtin *)ctx)->fds[pair];
}

static int builtin_set_offloads(void *ctx, uint64_t offloads)
{
	struct net_builtin *b = ctx;

	return b->kind == VMM_VIRTIO_NET_TAP && b->fds[0] >= 0
		   ? net_tap_set_offloads(b->fds[0], offloads)
		   : 0;
}

static int builtin_set_pairs(void *ctx, uint32_t pair_n)
{
	struct net_builtin *b = ctx;
	int ret = 0;

	for (uint32_t i = 0; b->kind == VMM_VIRTIO_NET_TAP && i < b->pair_n; i++) {
		if (b->fds[i] >= 0 && ret == 0)
			ret = net_tap_attach(b->fds[i], i < pair_n);
	}
	return ret;
}

int net_builtin_set_fd(struct vmm_virtio_net *net, uint32_t pair, int fd,
		       struct vmm_error *err)
{
	struct net_builtin *b = &net->builtin;
	uint64_t offloads = UINT64_MAX;
	int flags;

	b->fds[pair] = -1;
	if (b->streams)
		memset(&b->streams[pair], 0, sizeof(b->streams[pair]));
	if (fd < 0)
		return 0;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return vmm_error_at(err, -errno, pair, 0, 0,
				    "network back end: bad file descriptor");
	if (b->kind == VMM_VIRTIO_NET_TAP) {
		int ret = net_tap_check(fd, &offloads, err);

		if (ret < 0)
			return ret;
		/* What was offered once stays. */
		if (net->offered == 0)
			net->backend.offloads &= offloads;
	}
	b->fds[pair] = fd;
	return 0;
}

int net_builtin_init(struct vmm_virtio_net *net, uint32_t kind, const int *fds,
		     struct vmm_error *err)
{
	struct vmm_virtio_net_backend backend = {
		.size = sizeof(backend),
		.header = kind == VMM_VIRTIO_NET_TAP,
		.offloads = kind == VMM_VIRTIO_NET_TAP ? UINT64_MAX : 0,
		.send = builtin_send,
		.recv = builtin_recv,
		.get_fd = builtin_get_fd,
		.set_offloads = builtin_set_offloads,
		.set_pairs = builtin_set_pairs,
	};

	net->builtin.kind = kind;
	net->builtin.pair_n = net->pair_n;
	if (kind == VMM_VIRTIO_NET_STREAM) {
		net->builtin.streams = calloc(net->pair_n, sizeof(*net->builtin.streams));
		if (!net->builtin.streams)
			return vmm_error_set(err, -ENOMEM, "no memory for streams");
	}
	net->backend = backend;
	net->backend_ctx = &net->builtin;
	for (uint32_t i = 0; i < net->pair_n; i++) {
		int ret = net_builtin_set_fd(net, i, fds[i], err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int open_queue(const char *name, bool many, struct vmm_error *err)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), ret;
	struct ifreq ifr;

	if (fd < 0)
		return vmm_error_set(err, -errno, "cannot open /dev/net/tun: %s",
				     strerrordesc_np(errno));
	memset(&ifr, 0, sizeof(ifr));
	memcpy(ifr.ifr_name, name, strlen(name));
	ifr.ifr_flags =
	    (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (many ? IFF_MULTI_QUEUE : 0));
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		ret = vmm_error_set(err, -errno, "cannot open TAP interface %s: %s", name,
				    strerrordesc_np(errno));
		(void)close(fd);
		return ret;
	}
	return fd;
}

/* As Linux sees it, but without its patterns: with a % there would be another interface
 * for each queue. */
static bool is_interface_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= IFNAMSIZ || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return false;
	return strcspn(name, "/:% \t\n\v\f\r") == len;
}

int vmm_virtio_net_open_tap(const char *name, uint32_t pair_n, int *fds,
			    struct vmm_error *err)
{
	int opened[VMM_VIRTIO_NET_PAIRS_MAX], saved = errno, ret = 0;
	uint32_t n;

	if (pair_n == 0 || pair_n > VMM_VIRTIO_NET_PAIRS_MAX)
		return vmm_error_at(err, -EINVAL, 0, VMM_VIRTIO_NET_PAIRS_MAX, pair_n,
				    "TAP interface %s: %u pairs of queues, 1 to %u are "
				    "possible",
				    name, pair_n, VMM_VIRTIO_NET_PAIRS_MAX);
	if (!is_interface_name(name))
		return vmm_error_set(err, -EINVAL, "TAP interface %s: no name for one",
				     name);
	for (n = 0; n < pair_n; n++) {
		ret = open_queue(name, pair_n > 1, err);
		if (ret < 0)
			break;
		opened[n] = ret;
		ret = 0;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (ret == 0)
			fds[i] = opened[i];
		else
			(void)close(opened[i]);
	}
	errno = saved;
	return ret;
}

int vmm_virtio_net_connect_stream(const char *path, int *out_fd, struct vmm_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int saved = errno, fd, ret = 0;
	size_t len = strlen(path);

	if (len == 0)
		return vmm_error_set(err, -EINVAL, "path of a socket is empty");
	if (len >= sizeof(address.sun_path))
		return vmm_error_at(err, -E2BIG, 0, sizeof(address.sun_path) - 1, len,
				    "%.160s: path of a socket of more than %zu bytes",
				    path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		ret = vmm_error_set(err, -errno, "%.160s: %s", path, strerror(errno));
	if (ret == 0)
		*out_fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	errno = saved;
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The Unix sockets at which host programs are met. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vsock.h"

/* Ports of host programs, which have none of their own. */
#define PORT_FIRST UINT32_C(0x40000000)
/* How long to leave connections alone after the host ran out of descriptors. */
#define LISTEN_PAUSE_NS UINT64_C(100000000)
/* Far longer than from bind() to listen(). */
#define LEFT_OVER_NS 20000000

static void address_of(const char *path, struct sockaddr_un *out)
{
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	memcpy(out->sun_path, path, strnlen(path, sizeof(out->sun_path) - 1));
}

static int listen_at(const char *path, int type)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), code;

	if (fd < 0)
		return -errno;
	address_of(path, &address);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		code = errno;
		(void)close(fd);
		return -code;
	}
	if (listen(fd, SOMAXCONN) < 0) {
		code = errno;
		(void)close(fd);
		(void)unlink(path);
		return -code;
	}
	return fd;
}

static bool is_refused(const char *path, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	bool refused;

	if (fd < 0)
		return false;
	address_of(path, &address);
	refused = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
		  errno == ECONNREFUSED;
	(void)close(fd);
	return refused;
}

/* A socket to which nobody listens is what a process left that was killed. Nor does one
 * listen yet whose socket is just being made: that takes no time, so it is asked again. */
static bool is_left_over(const char *path, int type)
{
	const struct timespec moment = { .tv_nsec = LEFT_OVER_NS };
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode) || !is_refused(path, type))
		return false;
	(void)nanosleep(&moment, NULL);
	return is_refused(path, type);
}

int vsock_listen(const char *path, int type)
{
	int ret = listen_at(path, type);

	if (ret == -EADDRINUSE && is_left_over(path, type) && unlink(path) == 0)
		ret = listen_at(path, type);
	return ret;
}

int vsock_connect(struct vmm_virtio_vsock *v, uint32_t port, uint16_t type)
{
	char path[VMM_VIRTIO_VSOCK_PATH_MAX + 12];
	int kind = type == TYPE_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;
	struct sockaddr_un address;
	int fd, code;

	if (v->opts.connect)
		return v->opts.connect(v->opts.ctx, port, type);
	(void)snprintf(path, sizeof(path), "%s_%u", v->path, port);
	fd = socket(AF_UNIX, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	address_of(path, &address);
	/* -EAGAIN is a program that does not keep up: as good as none. */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		code = errno;
		(void)close(fd);
		return -code;
	}
	return fd;
}

static bool has_room(const struct vmm_virtio_vsock *v)
{
	return v->conn_n < v->opts.connections_max &&
	       v->greeting_n < VMM_VIRTIO_VSOCK_HALF_OPEN_MAX;
}

/* Those for whom there is no room wait in the backlog, at no cost to us. */
void vsock_set_listening(struct vmm_virtio_vsock *v, bool on)
{
	on = on && has_room(v) && v->transport;
	if (on == v->listening)
		return;
	v->listening = on;
	for (uint32_t i = 0; i < 2; i++) {
		struct epoll_event e = { .events = on ? EPOLLIN : 0,
					 .data.u64 = TAG_LISTENER(i) };

		if (v->listeners[i] >= 0)
			(void)epoll_ctl(v->worker.epoll, EPOLL_CTL_MOD, v->listeners[i],
					&e);
	}
}

static void pause_listening(struct vmm_virtio_vsock *v)
{
	vsock_set_listening(v, false);
	v->listen_at = vsock_now() + LISTEN_PAUSE_NS;
	/* The timer may be set for later, or not at all. */
	v->timer_at = 0;
	vsock_expire(v);
}

void vsock_accept(struct vmm_virtio_vsock *v, uint32_t which)
{
	uint16_t type = which == 0 ? TYPE_STREAM : TYPE_SEQPACKET;

	for (uint32_t i = 0; i < VSOCK_ACCEPTS && v->listening; i++) {
		int fd = accept4(v->listeners[which], NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct vsock_conn *c;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno != EAGAIN)
			pause_listening(v);
		if (fd < 0)
			return;
		c = conn_new(v, fd, type);
		if (!c)
			return;
		c->state = CONN_GREETING;
		c->by_host = true;
		v->greeting_n++;
		conn_set_deadline(v, c);
		if (!has_room(v))
			vsock_set_listening(v, false);
	}
}

/* Bytes of the first line with its end, 0 if it is not there yet, or -1. No byte behind
 * the line is taken: it is for the guest. */
static int read_line(struct vsock_conn *c)
{
	ssize_t n = recv(c->fd, c->line, VSOCK_LINE, MSG_PEEK | MSG_DONTWAIT);
	char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		c->readable = false;
		return 0;
	}
	if (n <= 0)
		return -1;
	c->line[n] = '\0';
	end = memchr(c->line, '\n', (size_t)n);
	if (c->type == TYPE_SEQPACKET) {
		(void)!recv(c->fd, c->line, VSOCK_LINE, MSG_DONTWAIT);
		return (int)n;
	}
	if (!end && n < (ssize_t)VSOCK_LINE) {
		/* It comes with the next edge. */
		c->readable = false;
		return 0;
	}
	if (!end)
		return -1;
	n = end - c->line + 1;
	c->line[n] = '\0';
	(void)!recv(c->fd, c->line, (size_t)n, MSG_DONTWAIT);
	return (int)n;
}

/* "CONNECT <port>\n" with a decimal port, and nothing else. */
static bool parse_line(const char *line, uint32_t *port)
{
	static const char word[] = "CONNECT ";
	const char *digits = line + sizeof(word) - 1, *at;
	uint64_t value = 0;

	if (strncmp(line, word, sizeof(word) - 1) != 0)
		return false;
	for (at = digits; *at >= '0' && *at <= '9' && value <= UINT32_MAX; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	if (at == digits || value >= UINT32_MAX || (*at != '\n' && *at != '\0'))
		return false;
	*port = (uint32_t)value;
	return true;
}

void vsock_greet(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	int n = read_line(c);
	uint32_t port;

	if (n == 0 && !c->hup)
		return;
	if (n <= 0 || !parse_line(c->line, &port)) {
		v->stats.refused++;
		conn_free(v, c);
		return;
	}
	v->greeting_n--;
	c->state = CONN_ASKED;
	c->guest_port = port;
	/* More ports than connections: one is free. */
	do {
		c->host_port = v->next_port++;
		if (v->next_port == UINT32_MAX)
			v->next_port = PORT_FIRST;
	} while (conn_find(v, c->host_port, c->guest_port, c->type));
	conn_hash(v, c);
	conn_set_deadline(v, c);
	conn_todo(v, c, OP_REQUEST);
	vsock_set_listening(v, v->listen_at == 0);
}

void vsock_answer_host(struct vmm_virtio_vsock *v, struct vsock_conn *c)
{
	char line[VSOCK_LINE];
	int n = snprintf(line, sizeof(line), "OK %u\n", c->host_port);

	c->state = CONN_OPEN;
	c->deadline = 0;
	v->stats.opened_by_host++;
	/* The first bytes ever on this socket: they fit, or the program is gone. */
	if (send(c->fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
		conn_kill(v, c);
	else if (c->readable)
		conn_queue(v, c);
}

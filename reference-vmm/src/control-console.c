/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control-console.h"
#include "terminal.h"

enum { PIECE = 4096 };

struct copy {
	struct connection *connection;
	bool is_terminal;
	bool escaped; /* the last byte was the escape key */
	bool leaves;
	int in_fd;  /* -1: no more input */
	size_t len; /* of what waits to be sent */
	uint8_t bytes[PIECE];
};

/* Another connection carries it: this one has the console's bytes only. */
static void send_break(const struct copy *copy)
{
	json_t *request = json_pack("{s:s}", "command", "break");
	struct control_place place;
	struct connection other;
	json_t *result = NULL;

	if (control_open_place(&place, false, NULL) == 0) {
		if (connection_open(&other, &place, copy->connection->name, NULL) == 0) {
			if (connection_send(&other, request, NULL) == 0)
				(void)!connection_receive(&other, 5, &result, NULL);
			connection_close(&other);
		}
		(void)close(place.dir_fd);
	}
	json_decref(result);
	json_decref(request);
}

static void take_byte(struct copy *copy, uint8_t byte)
{
	bool escaped = copy->escaped;

	copy->escaped = copy->is_terminal && !escaped && byte == TERMINAL_ESCAPE;
	if (copy->escaped)
		return;
	if (escaped && byte == 'd')
		copy->leaves = true;
	else if (escaped && byte == 'b')
		send_break(copy);
	else if (!escaped || byte == TERMINAL_ESCAPE)
		copy->bytes[copy->len++] = byte;
}

/* A terminal is always read, for its escape key; what the machine does not take is lost. */
static void read_input(struct copy *copy)
{
	size_t room = sizeof(copy->bytes) - copy->len;
	uint8_t buf[PIECE];
	ssize_t n = read(copy->in_fd, buf, room);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		copy->in_fd = -1;
	for (ssize_t i = 0; i < n && !copy->leaves; i++)
		take_byte(copy, buf[i]);
}

/* False if the machine is gone. */
static bool send_input(struct copy *copy)
{
	ssize_t n = send(copy->connection->fd, copy->bytes, copy->len,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	copy->len -= (size_t)n;
	memmove(copy->bytes, copy->bytes + n, copy->len);
	return true;
}

static int write_all(const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, bytes, len);
		struct pollfd writable = { .fd = STDOUT_FILENO, .events = POLLOUT };

		if (n < 0 && errno == EAGAIN)
			(void)poll(&writable, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		bytes += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* 1: there is nothing more to come. */
static int copy_output(struct copy *copy)
{
	uint8_t buf[PIECE];
	ssize_t n = recv(copy->connection->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n <= 0 ? 1 : write_all(buf, (size_t)n);
}

static int copy_some(struct copy *copy)
{
	struct pollfd fds[] = {
		{ .fd = copy->connection->fd, .events = POLLIN },
		{ .fd = copy->in_fd, .events = POLLIN },
	};

	if (copy->len > 0)
		fds[0].events |= POLLOUT;
	if (copy->len == sizeof(copy->bytes))
		fds[1].fd = -1;
	if (poll(fds, 2, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents)
		read_input(copy);
	if (copy->len > 0 && !send_input(copy))
		return 1;
	return fds[0].revents & ~POLLOUT ? copy_output(copy) : 0;
}

int console_copy(struct connection *connection, struct vmm_error *err)
{
	struct copy copy = {
		.connection = connection,
		.in_fd = STDIN_FILENO,
		.is_terminal = terminal_is_ours(),
	};
	int ret = 0;

	/* A job in the background that read the terminal would be stopped for it. */
	if (isatty(STDIN_FILENO) && !copy.is_terminal)
		copy.in_fd = -1;
	terminal_restore_at_signals();
	terminal_enter_raw();
	while (ret == 0 && !copy.leaves)
		ret = copy_some(&copy);
	terminal_restore();
	if (ret < 0)
		return vmm_error_set(err, ret, "%s: %s", connection->name,
				     strerror(-ret));
	fprintf(stderr, "%sreference-vmm: %s: %s\n", copy.is_terminal ? "\n" : "",
		connection->name,
		copy.leaves ? "left its console" : "its console has ended");
	return 0;
}

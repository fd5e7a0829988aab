/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "control-connection.h"
#include "control-print.h"

enum { CONNECT_TRIES = 100 };

int connection_open(struct connection *connection, const struct control_place *place,
		    const char *name, struct vmm_error *err)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);
	struct timespec moment = { .tv_nsec = 20000000 };
	int ret = control_connect(place, name, &connection->fd);

	/* There is a queue; those in it are served or put off in no time. */
	for (int i = 0; ret == -EAGAIN && i < CONNECT_TRIES; i++) {
		(void)nanosleep(&moment, NULL);
		ret = control_connect(place, name, &connection->fd);
	}
	if (ret == -ENOENT)
		return vmm_error_set(err, ret, "no machine named '%s' is running", name);
	if (ret < 0)
		return vmm_error_set(err, ret, "%s: %s", name, strerror(-ret));
	/* Who listens: the machine's process, whatever state it is in. Root does not take
	 * another user's word for it. */
	(void)getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
	connection->pid = peer.uid == geteuid() ? peer.pid : 0;
	connection->name = name;
	return 0;
}

void connection_close(struct connection *connection)
{
	(void)close(connection->fd);
}

int connection_send(struct connection *connection, const json_t *request,
		    struct vmm_error *err)
{
	char *line = json_dumps(request, JSON_COMPACT);
	size_t len = line ? strlen(line) : 0;
	ssize_t n;

	if (!line)
		return vmm_error_set(err, -ENOMEM, "out of memory");
	line[len] = '\n'; /* its length goes with it */
	/* A request is far shorter than what a socket takes at once. */
	n = send(connection->fd, line, len + 1, MSG_NOSIGNAL);
	free(line);
	if (n != (ssize_t)(len + 1))
		return vmm_error_set(err, -EPIPE, "%s: the machine is gone",
				     connection->name);
	return 0;
}

static int64_t now_ms(void)
{
	return (int64_t)(clock_ns() / 1000000);
}

/* Read until there is a line. */
static int read_line(int fd, int64_t deadline, char *line, size_t *out_len)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	while (len < CONTROL_REPLY_MAX) {
		int64_t left = deadline - now_ms();
		const char *end;
		ssize_t n;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&poll_fd, 1, left > 60000 ? 60000 : (int)left) < 1)
			continue;
		n = recv(fd, line + len, CONTROL_REPLY_MAX - len,
			 MSG_DONTWAIT | MSG_PEEK);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return -EPIPE;
		if (n < 0)
			continue;
		/* What is behind the line is not ours to take. */
		end = memchr(line + len, '\n', (size_t)n);
		if (end)
			n = end + 1 - (line + len);
		n = recv(fd, line + len, (size_t)n, MSG_DONTWAIT);
		if (n <= 0)
			return -EPIPE;
		len += (size_t)n;
		if (line[len - 1] == '\n') {
			*out_len = len - 1;
			return 0;
		}
	}
	return -EMSGSIZE;
}

static int read_reply(const char *line, size_t len, json_t **out, struct vmm_error *err)
{
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *error = json_string_value(json_object_get(root, "error"));
	json_t *result = json_object_get(root, "result");
	int ret = 0;

	if (json_is_true(json_object_get(root, "ok")) && json_is_object(result))
		*out = json_incref(result);
	else if (error)
		ret = vmm_error_set(err, -EREMOTE, "%s", error);
	else
		ret = vmm_error_set(err, -EPROTO, "the answer makes no sense");
	json_decref(root);
	return ret;
}

int connection_receive(struct connection *connection, unsigned int seconds, json_t **out,
		       struct vmm_error *err)
{
	char *line = malloc(CONTROL_REPLY_MAX);
	struct vmm_error detail = { 0 };
	size_t len = 0;
	int ret;

	if (!line)
		return vmm_error_set(err, -ENOMEM, "out of memory");
	ret = read_line(connection->fd, now_ms() + (int64_t)seconds * 1000, line, &len);
	if (ret == -ETIMEDOUT)
		(void)vmm_error_set(&detail, ret, "no answer within %u s", seconds);
	else if (ret < 0)
		(void)vmm_error_set(&detail, ret, "the machine is gone");
	else
		ret = read_reply(line, len, out, &detail);
	free(line);
	control_clean(detail.message);
	return ret < 0 ? vmm_error_set(err, ret, "%s: %.180s", connection->name,
				       detail.message)
		       : 0;
}

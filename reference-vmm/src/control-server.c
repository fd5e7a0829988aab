/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "console.h"
#include "control-commands.h"
#include "control-place.h"
#include "control-server.h"

enum { CLIENTS_MAX = 16 };

#define SECOND_NS UINT64_C(1000000000)

struct client {
	struct control *control;
	struct vmm_event_source *source; /* has the socket */
	int fd;
	uint32_t events;
	uint64_t used; /* when it was heard of last */
	bool ended;    /* it sends no more */
	bool broken;   /* nothing more is read of it */
	bool waits;    /* for the end of the machine: `request` */
	bool attaches; /* to the console, once it has its reply */
	char *out;     /* reply on its way; NULL: none */
	size_t out_start, out_len;
	struct control_request request;
	struct control_input input;
};

struct control {
	struct machine *machine;
	struct control_place place;
	int fd;
	struct vmm_event_source *listener;
	struct vmm_event_source *accept_timer; /* after a failure */
	struct vmm_event_source *stop_timer;
	uint64_t stop_at; /* 0: not asked */
	uint32_t stop_seconds;
	uint64_t clock; /* counts what clients do */
	struct client *clients[CLIENTS_MAX];
};

static void client_free(struct client *client)
{
	struct control *control = client->control;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (control->clients[i] == client)
			control->clients[i] = NULL;
	}
	vmm_event_source_remove(client->source);
	free(client->out);
	free(client);
}

/* Replies. */

/* Send what the socket takes now. False if nobody is there any more. */
static bool flush(struct client *client)
{
	while (client->out) {
		ssize_t n = send(client->fd, client->out + client->out_start,
				 client->out_len - client->out_start,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		client->out_start += (size_t)n;
		if (client->out_start < client->out_len)
			continue;
		free(client->out);
		client->out = NULL;
	}
	return true;
}

/* Takes @result over; NULL: @error says what went wrong. */
static void reply(struct client *client, json_t *result, const char *error)
{
	json_t *json = result ? json_pack("{s:b, s:o}", "ok", 1, "result", result)
			      : json_pack("{s:b, s:s}", "ok", 0, "error", error);

	if (json && client->request.has_id)
		(void)json_object_set_new(json, "id", json_integer(client->request.id));
	client->out_start = 0;
	client->out = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (!client->out) {
		client->broken = true; /* out of memory: the end of the line tells */
		return;
	}
	client->out_len = strlen(client->out) + 1;
	client->out[client->out_len - 1] = '\n'; /* its length goes with it */
}

/* Commands. */

static void on_stop_timer(void *ctx, struct vmm_event_source *source, uint64_t count)
{
	struct control *control = ctx;

	outcome_set(&control->machine->outcome, 0,
		    "stopped by force, %u s after its power button",
		    control->stop_seconds);
}

/* Press the power button; of several deadlines the first one counts. */
static int stop(struct control *control, uint32_t seconds)
{
	uint64_t at = clock_ns() + seconds * SECOND_NS;
	int ret = 0;

	if (control->stop_at == 0 || at < control->stop_at) {
		ret = vmm_event_source_set_timer_at(control->stop_timer, at, 0);
		control->stop_at = at;
		control->stop_seconds = seconds;
	}
	control->machine->stopping = true;
	machine_resume(control->machine);
	board_press_power_button(control->machine);
	return ret;
}

static void execute(struct client *client, struct machine *machine)
{
	struct vmm_error err = { .message = "out of memory" };
	json_t *result = control_execute(machine, &client->request, &err);

	client->attaches = result && client->request.verb == CONTROL_CONSOLE;
	reply(client, result, err.message);
}

static void answer(struct client *client, const char *line, size_t len)
{
	struct control_request *request = &client->request;
	struct machine *machine = client->control->machine;
	struct vmm_error err = { .message = "out of memory" };
	int ret = control_decode(line, len, request, &err);

	if (ret < 0) {
		reply(client, NULL, err.message);
		return;
	}
	client->waits = request->verb == CONTROL_STOP || request->verb == CONTROL_KILL;
	client->attaches = false;
	if (request->verb == CONTROL_STOP)
		ret = stop(client->control, request->timeout);
	else if (request->verb == CONTROL_KILL)
		outcome_set(&machine->outcome, 0, "killed");
	else
		execute(client, machine);
	if (ret < 0) /* without a deadline there is no waiting */
		outcome_set(&machine->outcome, EXIT_MACHINE_FAILED, "deadline: %s",
			    strerror(-ret));
}

/* Clients. */

static void receive(struct client *client)
{
	size_t room;
	char *to = control_input_get_room(&client->input, &room);
	ssize_t n = room ? recv(client->fd, to, room, MSG_DONTWAIT) : 0;

	if (n > 0)
		control_input_add(&client->input, (size_t)n);
	else if (room && (n == 0 || (errno != EAGAIN && errno != EINTR)))
		client->ended = true;
}

/* Its connection is the console's from now on: the client is gone. */
static void attach(struct client *client)
{
	struct console *console = client->control->machine->console;
	const struct control_input *input = &client->input;
	int fd = fcntl(client->fd, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0 && console_attach(console, fd, input->bytes + input->start,
				      input->len - input->start) < 0)
		(void)close(fd);
	client_free(client);
}

/* One line at a time: others have their turn, and who does not read its replies is not
 * read from either. */
static void step(struct client *client)
{
	const char *line;
	size_t len;
	int ret;

	if (client->out || client->waits || client->attaches || client->broken)
		return;
	ret = control_input_next(&client->input, &line, &len);
	if (ret > 0) {
		answer(client, line, len);
	} else if (ret < 0) {
		client->broken = true;
		client->request.has_id = false;
		reply(client, NULL, "a line is too long");
	} else if (client->ended) {
		client->broken = true;
	}
}

static int watch(struct client *client)
{
	uint32_t events = EPOLLOUT;

	if (client->waits)
		events = 0; /* only if it goes away */
	else if (!client->out && !client->ended &&
		 !memchr(client->input.bytes + client->input.start, '\n',
			 client->input.len - client->input.start))
		events = EPOLLIN;
	if (events == client->events)
		return 0;
	client->events = events;
	return vmm_event_source_set_events(client->source, events);
}

static void on_client(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	struct client *client = ctx;
	bool gone = events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN);

	client->used = ++client->control->clock;
	if (events & EPOLLIN)
		receive(client);
	if (!gone)
		gone = !flush(client);
	if (!gone) {
		step(client);
		gone = !flush(client);
	}
	if (!gone && client->attaches && !client->out) {
		attach(client);
		return;
	}
	if (gone || (client->broken && !client->out) || watch(client) < 0)
		client_free(client);
}

/* The place of a new client: that of the one who was silent for longest if there is no
 * other, and of those who wait for the end only if all do. */
static size_t find_slot(struct control *control)
{
	size_t oldest = 0;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		const struct client *client = control->clients[i];
		const struct client *other = control->clients[oldest];

		if (!client)
			return i;
		if (client->waits == other->waits ? client->used < other->used
						  : other->waits)
			oldest = i;
	}
	client_free(control->clients[oldest]);
	return oldest;
}

/* Whoever can enter the directory is us or root; so has to be who holds the socket. */
static bool is_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static int client_new(struct control *control, int fd)
{
	struct client *client = calloc(1, sizeof(*client));
	size_t slot;
	int ret;

	if (!client)
		return -ENOMEM;
	client->control = control;
	client->fd = fd;
	client->events = EPOLLIN;
	client->used = ++control->clock;
	ret = vmm_event_take_fd(control->machine->loop, fd, EPOLLIN, on_client, client,
				&client->source);
	if (ret < 0) {
		free(client);
		return ret;
	}
	slot = find_slot(control);
	control->clients[slot] = client;
	return 0;
}

static void on_accept_timer(void *ctx, struct vmm_event_source *source, uint64_t count)
{
	struct control *control = ctx;

	(void)!vmm_event_source_set_enabled(control->listener, VMM_EVENT_ON);
}

static void on_connection(void *ctx, struct vmm_event_source *source, int listener,
			  uint32_t events)
{
	struct control *control = ctx;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		if (!is_allowed(fd) || client_new(control, fd) < 0)
			(void)close(fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* Out of descriptors or memory: the loop shall not spin on it. */
		if (vmm_event_source_set_timer(control->accept_timer, SECOND_NS, 0) == 0)
			(void)!vmm_event_source_set_enabled(source, VMM_EVENT_OFF);
	}
}

static int add_sources(struct control *control)
{
	struct vmm_event *loop = control->machine->loop;
	int ret = vmm_event_add_fd(loop, control->fd, EPOLLIN, on_connection, control,
				   &control->listener);

	if (ret == 0)
		ret = vmm_event_add_timer(loop, CLOCK_MONOTONIC, on_accept_timer, control,
					  &control->accept_timer);
	if (ret == 0)
		ret = vmm_event_add_timer(loop, CLOCK_MONOTONIC, on_stop_timer, control,
					  &control->stop_timer);
	return ret;
}

int control_new(struct machine *machine, struct vmm_error *err)
{
	struct control *control;
	int ret;

	if (machine->desc->name[0] == '\0')
		return 0;
	control = calloc(1, sizeof(*control));
	if (!control)
		return vmm_error_set(err, -ENOMEM, "control socket: out of memory");
	machine->control = control;
	control->machine = machine;
	control->fd = control->place.dir_fd = -1;
	ret = control_open_place(&control->place, true, err);
	if (ret == 0)
		ret = control_listen(&control->place, machine->desc->name, &control->fd,
				     err);
	if (ret < 0)
		return ret;
	ret = add_sources(control);
	return ret < 0 ? vmm_error_set(err, ret, "control socket: %s", strerror(-ret))
		       : 0;
}

static void tell_end(struct client *client)
{
	const struct outcome *outcome = &client->control->machine->outcome;

	/* Who has not read the last reply does not get this one. */
	if (!client->waits || client->out)
		return;
	reply(client,
	      json_pack("{s:s, s:i, s:o}", "state", "ended", "status", outcome->status,
			"outcome", control_text(outcome->text)),
	      "out of memory");
	(void)flush(client);
}

void control_free(struct control *control)
{
	if (!control)
		return;
	/* Its duplicate of the socket, too, or there would still be a listener. */
	vmm_event_source_remove(control->listener);
	vmm_event_source_remove(control->accept_timer);
	vmm_event_source_remove(control->stop_timer);
	if (control->fd >= 0)
		control_unlisten(&control->place, control->machine->desc->name,
				 control->fd);
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (!control->clients[i])
			continue;
		tell_end(control->clients[i]);
		client_free(control->clients[i]);
	}
	if (control->place.dir_fd >= 0)
		(void)close(control->place.dir_fd);
	free(control);
}

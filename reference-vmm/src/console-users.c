/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console-users.h"

enum { PIECE = 4096 };

struct user {
	struct console_users *all;
	struct vmm_event_source *source; /* has the socket */
	int fd;
	uint64_t at; /* number of the next byte of the scrollback */
	uint32_t events;
	bool behind; /* the socket is full */
	bool mute;   /* sends no more */
};

struct console_users {
	struct vmm_event *loop;
	struct scrollback *back;
	const struct console_users_ops *ops;
	void *ctx;
	int wake_fd;
	struct vmm_event_source *wake_source;
	uint32_t count; /* atomic: read by threads that put out */
	struct user *users[CONSOLE_USERS_MAX];
};

static void user_free(struct user *user)
{
	struct console_users *all = user->all;

	for (size_t i = 0; i < CONSOLE_USERS_MAX; i++) {
		if (all->users[i] == user)
			all->users[i] = NULL;
	}
	__atomic_fetch_sub(&all->count, 1, __ATOMIC_RELAXED);
	vmm_event_source_remove(user->source);
	free(user);
}

/* Send what there is and the socket takes. False if nobody is there any more. */
static bool push(struct user *user)
{
	uint8_t buf[PIECE];
	size_t len;

	user->behind = false;
	while ((len = scrollback_read(user->all->back, &user->at, buf, sizeof(buf))) >
	       0) {
		ssize_t n = send(user->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		user->behind = n < (ssize_t)len;
		user->at += n > 0 ? (uint64_t)n : 0;
		if (user->behind)
			break;
	}
	return true;
}

/* Hand over what it types, as far as there is room. False if it is gone. */
static bool pull(struct user *user)
{
	struct console_users *all = user->all;
	size_t room = all->ops->get_room(all->ctx);
	uint8_t buf[PIECE];
	ssize_t n;

	if (room == 0)
		return true;
	n = recv(user->fd, buf, room < sizeof(buf) ? room : sizeof(buf), MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	user->mute = n == 0; /* it may still listen */
	all->ops->take(all->ctx, buf, (size_t)n);
	return true;
}

static bool watch(struct user *user)
{
	struct console_users *all = user->all;
	bool reads = !user->mute && all->ops->get_room(all->ctx) > 0;
	uint32_t events = (reads ? EPOLLIN : 0u) | (user->behind ? EPOLLOUT : 0u);

	if (events == user->events)
		return true;
	user->events = events;
	return vmm_event_source_set_events(user->source, events) == 0;
}

static void on_user(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	struct user *user = ctx;
	bool there = !(events & EPOLLERR) && (events & EPOLLIN || !(events & EPOLLHUP));

	if (there && events & EPOLLIN)
		there = pull(user);
	if (there && events & EPOLLOUT)
		there = push(user);
	if (!there || !watch(user))
		user_free(user);
}

static void push_all(struct console_users *users)
{
	for (size_t i = 0; i < CONSOLE_USERS_MAX; i++) {
		struct user *user = users->users[i];

		if (user && !user->behind && (!push(user) || !watch(user)))
			user_free(user);
	}
}

static void on_wake(void *ctx, struct vmm_event_source *source, uint64_t count)
{
	push_all(ctx);
}

int console_users_new(struct vmm_event *loop, struct scrollback *back,
		      const struct console_users_ops *ops, void *ctx,
		      struct console_users **out)
{
	struct console_users *users = calloc(1, sizeof(*users));
	int ret;

	if (!users)
		return -ENOMEM;
	users->loop = loop;
	users->back = back;
	users->ops = ops;
	users->ctx = ctx;
	users->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = users->wake_fd < 0 ? -errno : 0;
	if (ret == 0)
		ret = vmm_event_add_eventfd(loop, users->wake_fd, on_wake, users,
					    &users->wake_source);
	if (ret < 0) {
		console_users_free(users);
		return ret;
	}
	*out = users;
	return 0;
}

void console_users_free(struct console_users *users)
{
	if (!users)
		return;
	push_all(users);
	for (size_t i = 0; i < CONSOLE_USERS_MAX; i++) {
		if (users->users[i])
			user_free(users->users[i]);
	}
	vmm_event_source_remove(users->wake_source);
	if (users->wake_fd >= 0)
		(void)close(users->wake_fd);
	free(users);
}

bool console_users_have_room(const struct console_users *users)
{
	return users->count < CONSOLE_USERS_MAX;
}

int console_users_add(struct console_users *users, int fd)
{
	struct user *user;
	size_t slot = 0;
	int ret;

	if (!console_users_have_room(users))
		return -EBUSY;
	user = calloc(1, sizeof(*user));
	if (!user)
		return -ENOMEM;
	user->all = users;
	user->fd = fd;
	user->events = EPOLLIN;
	ret = vmm_event_take_fd(users->loop, fd, EPOLLIN, on_user, user, &user->source);
	if (ret < 0) {
		free(user);
		return ret;
	}
	while (users->users[slot])
		slot++;
	users->users[slot] = user;
	__atomic_fetch_add(&users->count, 1, __ATOMIC_RELAXED);
	if (!push(user) || !watch(user))
		user_free(user);
	return 0;
}

void console_users_wake(struct console_users *users)
{
	if (__atomic_load_n(&users->count, __ATOMIC_RELAXED) > 0)
		(void)eventfd_write(users->wake_fd, 1);
}

void console_users_go_on(struct console_users *users)
{
	for (size_t i = 0; i < CONSOLE_USERS_MAX; i++) {
		if (users->users[i] && !watch(users->users[i]))
			user_free(users->users[i]);
	}
}

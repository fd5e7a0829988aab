/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <vmm/event.h>
#include <vmm/superio.h>

#include "console-users.h"
#include "console.h"
#include "terminal.h"

enum {
	INPUT_MAX = 4096,  /* bytes held for a guest that does not read */
	DRAIN_SECONDS = 2, /* how long the last output may take */
};

struct console {
	struct outcome *outcome;
	struct vmm_sio_serial *uart;
	int irq_fd;

	/* Guards the UART: vCPU threads, the output thread and the event loop use it. */
	pthread_mutex_t lock;

	pthread_t writer;
	bool writer_runs;
	pthread_cond_t output_ready;
	bool stopping;
	bool reader_gone;

	/* A virtio console that has the input instead of the UART; -1: none. */
	int line_fd;
	struct vmm_event_source *line_source; /* enabled while it takes no more */
	pthread_t line_reader;
	bool line_runs;

	struct vmm_event_source *input;
	struct vmm_event_source *room_source;
	int room_fd; /* the UART takes input again */
	bool is_terminal;
	bool escaped; /* the last byte was the escape key */
	size_t pending_len;
	uint8_t pending[INPUT_MAX];

	struct console_users *users;
	struct scrollback back;
};

/* Callbacks of the UART: the lock is held. */

static void on_irq(void *ctx, bool level)
{
	struct console *console = ctx;

	/* The guest is told of an edge interrupt, so only the rise counts. */
	if (level)
		(void)eventfd_write(console->irq_fd, 1);
}

static void on_output_ready(void *ctx)
{
	struct console *console = ctx;

	pthread_cond_signal(&console->output_ready);
}

static void on_input_ready(void *ctx)
{
	struct console *console = ctx;

	(void)eventfd_write(console->room_fd, 1);
}

static const struct vmm_sio_serial_ops serial_ops = {
	.size = sizeof(serial_ops),
	.set_irq = on_irq,
	.output_ready = on_output_ready,
	.input_ready = on_input_ready,
};

/* The guest's side: one register for each port or address, so wider accesses touch the
 * first only. */

static void bus_read(void *ctx, uint64_t offset, void *data, size_t len)
{
	struct console *console = ctx;

	pthread_mutex_lock(&console->lock);
	*(uint8_t *)data = vmm_sio_serial_read(console->uart, (uint8_t)offset);
	pthread_mutex_unlock(&console->lock);
}

static void bus_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
	struct console *console = ctx;

	pthread_mutex_lock(&console->lock);
	vmm_sio_serial_write(console->uart, (uint8_t)offset, *(const uint8_t *)data);
	pthread_mutex_unlock(&console->lock);
}

const struct vmm_bus_ops console_bus_ops = {
	.size = sizeof(console_bus_ops),
	.read = bus_read,
	.write = bus_write,
};

/* Output. */

/* Write some; false when nobody will ever read it. */
static bool write_some(const struct iovec *iov, int count, size_t *out_written)
{
	struct pollfd writable = { .fd = STDOUT_FILENO, .events = POLLOUT };
	ssize_t n = writev(STDOUT_FILENO, iov, count);

	*out_written = n > 0 ? (size_t)n : 0;
	if (n >= 0 || errno == EINTR)
		return true;
	/* Someone else made our standard output non-blocking. */
	if (errno == EAGAIN)
		return poll(&writable, 1, -1) >= 0 || errno == EINTR;
	return false;
}

static size_t total(const struct iovec *iov, size_t count)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* Write some, and let others see it; returns how much. What nobody reads here counts as
 * written. A thread can be cancelled only while it waits for the reader, without a lock. */
static size_t put_out(struct console *console, const struct iovec *iov, size_t count)
{
	size_t written = total(iov, count);

	if (!__atomic_load_n(&console->reader_gone, __ATOMIC_RELAXED)) {
		(void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		if (!write_some(iov, (int)count, &written))
			__atomic_store_n(&console->reader_gone, true, __ATOMIC_RELAXED);
		(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	}
	scrollback_add(&console->back, iov, written);
	console_users_wake(console->users);
	return written;
}

static void *write_output(void *arg)
{
	struct console *console = arg;
	struct iovec iov[2];
	size_t count, written;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_mutex_lock(&console->lock);
	for (;;) {
		vmm_sio_serial_get_output(console->uart, iov, &count);
		if (count == 0) {
			if (console->stopping)
				break;
			pthread_cond_wait(&console->output_ready, &console->lock);
			continue;
		}

		pthread_mutex_unlock(&console->lock);
		written = put_out(console, iov, count);
		pthread_mutex_lock(&console->lock);
		vmm_sio_serial_output_done(console->uart, written);
	}
	pthread_mutex_unlock(&console->lock);
	return NULL;
}

/* What comes from the virtio console, until that is gone. */
static void *copy_line(void *arg)
{
	struct console *console = arg;
	uint8_t buf[4096];
	ssize_t n;

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	/* It ends: console_stop() shuts the socket down. */
	while ((n = read(console->line_fd, buf, sizeof(buf))) > 0) {
		struct iovec iov = { buf, (size_t)n };

		while (iov.iov_len > 0) {
			size_t written = put_out(console, &iov, 1);

			iov.iov_base = (uint8_t *)iov.iov_base + written;
			iov.iov_len -= written;
		}
	}
	return NULL;
}

/* Input, on the event loop. */

static size_t feed_line(struct console *console)
{
	ssize_t n = send(console->line_fd, console->pending, console->pending_len,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return console->pending_len; /* nobody will ever take it */
	(void)!vmm_event_source_set_enabled(console->line_source,
					    n < (ssize_t)console->pending_len);
	return n > 0 ? (size_t)n : 0;
}

static size_t feed_uart(struct console *console)
{
	size_t taken;

	pthread_mutex_lock(&console->lock);
	taken =
	    vmm_sio_serial_receive(console->uart, console->pending, console->pending_len);
	pthread_mutex_unlock(&console->lock);
	return taken;
}

/* Hand over what the guest takes; it says when it takes more. */
static void feed(struct console *console)
{
	size_t taken = console->line_fd >= 0 ? feed_line(console) : feed_uart(console);

	console->pending_len -= taken;
	memmove(console->pending, console->pending + taken, console->pending_len);
}

static void hold(struct console *console, uint8_t byte)
{
	if (console->pending_len < sizeof(console->pending))
		console->pending[console->pending_len++] = byte;
}

void console_send_break(struct console *console)
{
	feed(console);
	pthread_mutex_lock(&console->lock);
	(void)!vmm_sio_serial_receive_fault(console->uart, 0, VMM_SIO_LINE_BREAK);
	pthread_mutex_unlock(&console->lock);
}

/* A terminal is always read, so that the escape key works however stuck the guest is;
 * what the guest has no room for is lost, as on a real line. */
static void take_terminal_byte(struct console *console, uint8_t byte)
{
	bool escaped = console->escaped;

	console->escaped = !escaped && byte == TERMINAL_ESCAPE;
	if (console->escaped)
		return;
	if (escaped && byte == 'x')
		outcome_set(console->outcome, 0, "stopped by Ctrl-A x");
	else if (escaped && byte == 'b')
		console_send_break(console);
	else if (!escaped || byte == TERMINAL_ESCAPE)
		hold(console, byte);
}

static void on_input(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	struct console *console = ctx;
	uint8_t buf[512];
	size_t room = sizeof(console->pending) - console->pending_len;
	size_t want = console->is_terminal || room > sizeof(buf) ? sizeof(buf) : room;
	ssize_t n = read(fd, buf, want);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) { /* the end of input is not the end of the machine */
		vmm_event_source_remove(source);
		console->input = NULL;
		return;
	}

	for (ssize_t i = 0; i < n; i++) {
		if (console->is_terminal)
			take_terminal_byte(console, buf[i]);
		else
			hold(console, buf[i]);
	}
	feed(console);
	if (!console->is_terminal && console->pending_len == sizeof(console->pending))
		(void)!vmm_event_source_set_enabled(source, false);
}

static void feed_more(struct console *console)
{
	feed(console);
	if (console->input && console->pending_len < sizeof(console->pending))
		(void)!vmm_event_source_set_enabled(console->input, true);
	console_users_go_on(console->users);
}

static void on_room(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	eventfd_t count;

	(void)eventfd_read(fd, &count);
	feed_more(ctx);
}

static void on_line_room(void *ctx, struct vmm_event_source *source, int fd,
			 uint32_t events)
{
	feed_more(ctx);
}

/* Those who attached have their own escape key, on their side. */

static size_t get_room(void *ctx)
{
	const struct console *console = ctx;

	return sizeof(console->pending) - console->pending_len;
}

static void take(void *ctx, const uint8_t *bytes, size_t len)
{
	struct console *console = ctx;

	for (size_t i = 0; i < len; i++)
		hold(console, bytes[i]);
	feed(console);
}

static const struct console_users_ops users_ops = { get_room, take };

int console_attach(struct console *console, int fd, const char *typed, size_t len)
{
	int ret = console_users_add(console->users, fd);

	if (ret == 0)
		take(console, (const uint8_t *)typed, len);
	return ret;
}

bool console_can_attach(const struct console *console)
{
	return console_users_have_room(console->users);
}

/* Life. */

int console_new(struct outcome *outcome, int irq_fd, struct console **out,
		struct vmm_error *err)
{
	struct vmm_sio_serial_opts opts = VMM_SIO_SERIAL_OPTS_INIT;
	struct console *console = calloc(1, sizeof(*console));
	int ret;

	if (!console)
		return vmm_error_set(err, -ENOMEM, "console: out of memory");
	console->outcome = outcome;
	console->irq_fd = irq_fd;
	console->room_fd = console->line_fd = -1;
	(void)pthread_mutex_init(&console->lock, NULL);
	(void)pthread_cond_init(&console->output_ready, NULL);
	scrollback_init(&console->back);

	opts.ops = &serial_ops;
	opts.ctx = console;
	ret = vmm_sio_serial_new(&opts, &console->uart);
	if (ret == 0)
		ret = console_users_new(outcome->loop, &console->back, &users_ops,
					console, &console->users);
	if (ret < 0) {
		console_free(console);
		return vmm_error_set(err, ret, "console: %s", strerror(-ret));
	}
	*out = console;
	return 0;
}

static int watch_input(struct console *console)
{
	struct vmm_event *loop = console->outcome->loop;
	int ret;

	console->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (console->room_fd < 0)
		return -errno;
	ret = vmm_event_add_fd(loop, console->room_fd, EPOLLIN, on_room, console,
			       &console->room_source);
	if (ret < 0)
		return ret;
	/* A job in the background that read the terminal would be stopped for it. */
	if (isatty(STDIN_FILENO) && !terminal_is_ours())
		return 0;
	ret = vmm_event_add_fd(loop, STDIN_FILENO, EPOLLIN, on_input, console,
			       &console->input);
	return ret == -EBADF ? 0 : ret; /* no standard input is no input */
}

void console_set_line(struct console *console, int fd)
{
	console->line_fd = fd;
}

static int start_line(struct console *console)
{
	int ret;

	if (console->line_fd < 0)
		return 0;
	ret = vmm_event_add_fd(console->outcome->loop, console->line_fd, EPOLLOUT,
			       on_line_room, console, &console->line_source);
	if (ret == 0)
		ret = -pthread_create(&console->line_reader, NULL, copy_line, console);
	console->line_runs = ret == 0;
	return ret;
}

int console_start(struct console *console, struct vmm_error *err)
{
	int ret = start_line(console);

	if (ret == 0)
		ret = watch_input(console);
	if (ret == 0) {
		ret = -pthread_create(&console->writer, NULL, write_output, console);
		console->writer_runs = ret == 0;
	}
	if (ret < 0)
		return vmm_error_set(err, ret, "console: %s", strerror(-ret));

	console->is_terminal = terminal_is_ours();
	terminal_enter_raw();
	return 0;
}

/* A thread that still waits for a slow reader then is not waited for. */
static void join_until(pthread_t thread, const struct timespec *until)
{
	if (pthread_timedjoin_np(thread, NULL, until) == 0)
		return;
	(void)pthread_cancel(thread);
	(void)pthread_join(thread, NULL);
}

void console_stop(struct console *console)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DRAIN_SECONDS;
	if (console->line_runs) {
		(void)shutdown(console->line_fd, SHUT_RD); /* what is there is read */
		join_until(console->line_reader, &until);
		console->line_runs = false;
	}
	if (console->writer_runs) {
		pthread_mutex_lock(&console->lock);
		console->stopping = true;
		pthread_cond_signal(&console->output_ready);
		pthread_mutex_unlock(&console->lock);

		join_until(console->writer, &until);
		console->writer_runs = false;
	}
	terminal_restore();
}

void console_free(struct console *console)
{
	if (!console)
		return;
	console_stop(console);
	console_users_free(console->users);
	if (console->input)
		vmm_event_source_remove(console->input);
	if (console->room_source)
		vmm_event_source_remove(console->room_source);
	if (console->line_source)
		vmm_event_source_remove(console->line_source);
	if (console->line_fd >= 0)
		(void)close(console->line_fd);
	if (console->room_fd >= 0)
		(void)close(console->room_fd);
	vmm_sio_serial_free(console->uart);
	scrollback_fini(&console->back);
	(void)pthread_cond_destroy(&console->output_ready);
	(void)pthread_mutex_destroy(&console->lock);
	free(console);
}

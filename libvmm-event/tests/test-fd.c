/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "event-test.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

static void make_pair(int fd[2])
{
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd), 0);
}

/* Rounds until nothing is called any more. */
static uint32_t rounds_until_silence(struct vmm_event *loop, uint32_t most)
{
	uint32_t rounds = 0;

	while (poll_once(loop) > 0)
		assert_true(++rounds < most);
	return rounds;
}

/* EVT-B1: the registration outlives the descriptor if a duplicate of it exists. */
static void evt_b1_a_duplicate_elsewhere_leaves_no_event(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(1), duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN, &seen);

	close(fd);
	vmm_event_source_remove(source);
	assert_int_equal(poll_once(loop), 0);
	set_eventfd(duplicate, 1);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(seen.calls, 0);
	close(duplicate);
}

static void a_source_works_after_its_descriptor_was_closed(void **state)
{
	struct seen seen = { 0 };
	int fd = make_eventfd(0), duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN, &seen);

	close(fd);
	set_eventfd(duplicate, 1);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLOUT), 0);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.events, EPOLLOUT);
	enable(source, VMM_EVENT_OFF);
	assert_int_equal(poll_once(loop), 0);
	enable(source, VMM_EVENT_ON);
	assert_int_equal(poll_once(loop), 1);
	close(duplicate);
}

/* EVT-B2: a number that was closed before its removal can never be added again. */
static void evt_b2_a_number_closed_before_removal_can_be_added_again(void **state)
{
	struct seen old = { 0 }, new = { 0 };
	int fd = make_eventfd(1), again;

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN, &old);

	close(fd);
	vmm_event_source_remove(source);
	again = make_eventfd(1);
	assert_int_equal(again, fd);
	(void)add_fd(loop, again, EPOLLIN, &new);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(old.calls, 0);
	assert_int_equal(new.calls, 1);
	close(again);
}

/* EVT-B3: a stale entry for a number takes away the registration of its next user. */
static void evt_b3_removal_leaves_the_next_user_of_the_number_alone(void **state)
{
	struct seen old = { 0 }, new = { 0 };
	int fd = make_eventfd(0), again;

	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN, &old);

	close(fd);
	again = make_eventfd(1);
	assert_int_equal(again, fd);
	(void)add_fd(loop, again, EPOLLIN, &new);
	vmm_event_source_remove(source);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(new.calls, 1);
	assert_int_equal(old.calls, 0);
	close(again);
}

/* test_add_invalid_subscriber: the reference refuses, since two sources would get
 * into each other's way there. Here each has a registration of its own. */
static void one_descriptor_can_have_several_sources(void **state)
{
	struct seen in = { 0 }, out = { 0 };
	int fd = make_eventfd(1);

	LOOP(loop);
	struct vmm_event_source *reader = add_fd(loop, fd, EPOLLIN, &in);

	(void)add_fd(loop, fd, EPOLLOUT, &out);
	assert_int_equal(poll_once(loop), 2);
	assert_int_equal(in.events, EPOLLIN);
	assert_int_equal(out.events, EPOLLOUT);
	vmm_event_source_remove(reader);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(out.calls, 2);
	close(fd);
}

/* EVT-B4: a capacity of zero is taken and never works; a negative descriptor spoils
 * the data beside it. */
static void evt_b4_zero_capacity_and_negative_descriptors_are_harmless(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct seen seen = { 0 };
	int fd = make_eventfd(1);

	opts.max_events = 0;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	for (int bad = -3; bad < 0; bad++)
		assert_int_equal(
		    vmm_event_add_fd(loop, bad, EPOLLIN, seen_fd, &seen, NULL), -EBADF);
	(void)add_fd(loop, fd, EPOLLIN, &seen);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.fd, fd);
	close(fd);
}

/* EVT-B5: removal walks through all ready events. Here it must not matter how many
 * there are: all 2000 are ready, the first callback removes the rest. */
struct crowd {
	struct vmm_event_source *source[2000];
	uint32_t calls;
};

static void remove_crowd(void *ctx, struct vmm_event_source *source, int fd,
			 uint32_t events)
{
	struct crowd *c = ctx;

	c->calls++;
	for (size_t i = 0; i < VMM_ARRAY_LEN(c->source); i++)
		if (c->source[i] != source)
			vmm_event_source_remove(c->source[i]);
	vmm_event_source_remove(source);
}

/* Most users may open 1024, and more if they ask. */
static bool may_open(rlim_t count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur >= count)
		return true;
	limit.rlim_cur = count;
	return limit.rlim_max >= count && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void evt_b5_a_crowd_can_be_removed_while_it_is_ready(void **state)
{
	struct crowd *c;
	int fd, before;

	/* The loop has a duplicate of each. */
	if (!may_open(2 * VMM_ARRAY_LEN(c->source) + 64)) {
		vmm_test_skip("too few descriptors are allowed");
		return;
	}
	c = calloc(1, sizeof(*c));
	assert_non_null(c);
	fd = make_eventfd(1);
	LOOP(loop);
	before = open_descriptors();
	for (size_t i = 0; i < VMM_ARRAY_LEN(c->source); i++) {
		int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

		assert_int_equal(vmm_event_take_fd(loop, copy, EPOLLIN, remove_crowd, c,
						   &c->source[i]),
				 0);
	}
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(c->calls, 1);
	assert_int_equal(open_descriptors(), before);
	close(fd);
	free(c);
}

static void a_taken_descriptor_is_closed_with_its_source(void **state)
{
	struct seen seen = { .remove_self = true };
	int fd = make_eventfd(1), before;

	LOOP(loop);
	before = open_descriptors();
	assert_int_equal(vmm_event_take_fd(loop, fd, EPOLLIN, seen_fd, &seen, NULL), 0);
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(open_descriptors(), before - 1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* The loop's own duplicate was closed by somebody's stray close(). What it watched
 * lives on, so the kernel goes on reporting and cannot be told to stop. */
static void a_stray_close_of_the_loops_descriptor_is_survived(void **state)
{
	struct seen seen = { 0 }, other = { 0 };
	int fd = make_eventfd(1), second = make_eventfd(1), duplicate;

	LOOP(loop);
	duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	close(duplicate); /* the number that the loop will use */
	struct vmm_event_source *source = add_fd(loop, fd, EPOLLIN, &seen);

	(void)add_fd(loop, second, EPOLLIN, &other);
	assert_int_equal(close(duplicate), 0);
	duplicate = make_eventfd(0); /* the number has a new owner */
	vmm_event_source_remove(source);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.calls, 0);
	assert_int_equal(other.calls, 2);
	clear_eventfd(second);
	/* Really silent: nothing is ready for the loop. */
	assert_int_equal(vmm_event_run_once(loop, 1000000, NULL), 0);
	/* The new owner has kept its descriptor. */
	set_eventfd(duplicate, 1);
	close(duplicate);
	close(fd);
	close(second);
}

/* test_handling_errors_in_subscriber: a hang-up is reported again and again, but not
 * for ever. */
static void a_hang_up_is_reported_and_then_quiet(void **state)
{
	struct seen seen = { 0 }, leaver = { .remove_self = true };
	int a[2], b[2];

	make_pair(a);
	make_pair(b);
	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, a[0], EPOLLIN, &seen);

	(void)add_fd(loop, b[0], EPOLLIN, &leaver);
	close(a[1]);
	close(b[1]);
	assert_int_equal(poll_once(loop), 2);
	assert_true(seen.events & EPOLLHUP);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 1);
	assert_true(rounds_until_silence(loop, 3) <= 1);
	assert_true(seen.calls >= 3 && seen.calls <= 4);
	assert_int_equal(leaver.calls, 1);
	assert_true(vmm_event_source_is_quiet(source));
	assert_int_equal(vmm_event_source_get_enabled(source), VMM_EVENT_ON);
	/* Asked for once more. */
	enable(source, VMM_EVENT_ON);
	assert_false(vmm_event_source_is_quiet(source));
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLIN), 0);
	(void)rounds_until_silence(loop, 6);
	assert_true(vmm_event_source_is_quiet(source));
	close(a[0]);
	close(b[0]);
}

static void the_limit_of_hang_ups_is_an_option(void **state)
{
	struct vmm_event_opts opts = VMM_EVENT_OPTS_INIT;
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct seen seen = { 0 };
	int fd[2];

	opts.hangup_limit = 20;
	assert_int_equal(vmm_event_new(&opts, &loop), 0);
	make_pair(fd);
	(void)add_fd(loop, fd[0], 0, &seen);
	close(fd[1]);
	(void)rounds_until_silence(loop, 22);
	assert_true(seen.calls >= 20);
	close(fd[0]);
}

static void enabling_starts_the_count_of_hang_ups_again(void **state)
{
	struct seen seen = { 0 };
	int fd[2];

	LOOP(loop);
	make_pair(fd);
	struct vmm_event_source *source = add_fd(loop, fd[0], EPOLLIN, &seen);

	close(fd[1]);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(poll_once(loop), 1);
		assert_int_equal(poll_once(loop), 1);
		assert_false(vmm_event_source_is_quiet(source));
		enable(source, VMM_EVENT_OFF);
		enable(source, VMM_EVENT_ON);
	}
	close(fd[0]);
}

static void hang_ups_of_all_kinds_do_not_spin(void **state)
{
	int p[2], q[2], s[2];
	struct seen reader = { 0 }, writer = { 0 }, half = { 0 };

	LOOP(loop);
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(q, O_CLOEXEC | O_NONBLOCK), 0);
	make_pair(s);
	(void)add_fd(loop, p[0], EPOLLIN, &reader);
	(void)add_fd(loop, q[1], EPOLLOUT, &writer);
	(void)add_fd(loop, s[0], EPOLLIN, &half);
	close(p[1]);
	close(q[0]);
	assert_int_equal(shutdown(s[1], SHUT_WR), 0);
	(void)rounds_until_silence(loop, 6);
	assert_true(reader.events & EPOLLHUP);
	assert_true(writer.events & EPOLLERR);
	/* The end of a stream: only what was asked for is shown. */
	assert_int_equal(half.events, EPOLLIN);
	close(p[0]);
	close(q[1]);
	close(s[0]);
	close(s[1]);
}

static void half_a_stream_goes_on(void **state)
{
	struct seen seen = { 0 };
	int fd[2];

	make_pair(fd);
	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, fd[0], EPOLLIN | EPOLLOUT, &seen);

	assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(poll_once(loop), 1);
	assert_false(vmm_event_source_is_quiet(source));
	close(fd[0]);
	close(fd[1]);
}

/* A slow reader gets everything that was sent before the hang-up. */
static void read_some(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	struct seen *s = ctx;
	char buf[100];
	ssize_t n = read(fd, buf, sizeof(buf));

	s->calls++;
	if (n > 0)
		s->sum += (uint64_t)n;
}

static void fill(int fd, uint64_t *total)
{
	static const char block[1000];
	ssize_t n;

	*total = 0;
	while ((n = write(fd, block, sizeof(block))) > 0)
		*total += (uint64_t)n;
	close(fd);
}

static void data_before_a_hang_up_are_not_lost(void **state)
{
	int fd[2][2];

	make_pair(fd[0]);
	assert_int_equal(pipe2(fd[1], O_CLOEXEC | O_NONBLOCK), 0);
	for (int i = 0; i < 2; i++) {
		struct seen seen = { 0 };
		uint64_t total;

		LOOP(loop);
		assert_int_equal(
		    vmm_event_add_fd(loop, fd[i][0], EPOLLIN, read_some, &seen, NULL), 0);
		fill(fd[i][1], &total);
		assert_true(total > 50000);
		(void)rounds_until_silence(loop, (uint32_t)total / 100 + 10);
		assert_int_equal(seen.sum, total);
		close(fd[i][0]);
	}
}

static void unread_data_after_a_hang_up_end_the_calls_in_the_end(void **state)
{
	struct seen seen = { 0 };
	int fd[2];

	make_pair(fd);
	LOOP(loop);
	(void)add_fd(loop, fd[0], EPOLLIN, &seen);
	assert_int_equal(write(fd[1], "x", 1), 1);
	close(fd[1]);
	(void)rounds_until_silence(loop, 1003);
	assert_true(seen.calls >= 1000);
	close(fd[0]);
}

static void what_does_not_count_its_bytes_is_given_more_time(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct seen seen = { 0 };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	LOOP(loop);
	/* A listening socket knows no FIONREAD; shut down, it hangs up. */
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(sa_family_t)),
			 0);
	assert_int_equal(listen(listener, 1), 0);
	(void)add_fd(loop, listener, EPOLLIN, &seen);
	assert_int_equal(shutdown(listener, SHUT_RDWR), 0);
	(void)rounds_until_silence(loop, 1003);
	assert_true(seen.events & EPOLLHUP);
	assert_true(seen.calls >= 1000);
	close(listener);
}

/* A terminal hangs up while nobody has it open, and comes back. */
static void a_terminal_that_is_opened_again_is_heard(void **state)
{
	struct seen seen = { 0 };
	int main_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), other;
	struct termios t;
	char name[64];

	if (main_fd < 0 || grantpt(main_fd) < 0 || unlockpt(main_fd) < 0 ||
	    ptsname_r(main_fd, name, sizeof(name)) != 0) {
		vmm_test_skip("no pseudo-terminals");
		return;
	}
	LOOP(loop);
	struct vmm_event_source *source = add_fd(loop, main_fd, EPOLLIN, &seen);

	other = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (other < 0) {
		vmm_test_skip("no pseudo-terminals");
		return;
	}
	assert_int_equal(tcgetattr(other, &t), 0);
	close(other);
	(void)rounds_until_silence(loop, 6);
	assert_true(seen.events & EPOLLHUP);
	assert_true(vmm_event_source_is_quiet(source));

	other = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(write(other, "a", 1), 1);
	seen.calls = 0;
	seen.events = 0;
	/* The byte takes its time through the terminal. */
	for (int i = 0; i < 100; i++)
		assert_int_equal(vmm_event_run_once(loop, 1000000000, NULL), 0);
	assert_true(seen.calls >= 98);
	assert_int_equal(seen.events, EPOLLIN);
	assert_false(vmm_event_source_is_quiet(source));
	close(other);
	close(main_fd);
}

/* A standard input that is a file: epoll takes neither this nor /dev/null. */
static int make_file(const char *text)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void read_byte(void *ctx, struct vmm_event_source *source, int fd, uint32_t events)
{
	struct seen *s = ctx;
	char c;

	s->calls++;
	s->events = events;
	if (read(fd, &c, 1) == 1)
		s->sum++;
}

static void a_regular_file_is_read_to_its_end(void **state)
{
	struct seen seen = { 0 };
	struct vmm_event_source *source;
	int fd = make_file("hello, guest");

	LOOP(loop);
	assert_int_equal(
	    vmm_event_add_fd(loop, fd, EPOLLIN | EPOLLRDHUP, read_byte, &seen, &source),
	    0);
	(void)rounds_until_silence(loop, 20);
	assert_int_equal(seen.sum, 12);
	assert_int_equal(seen.events, EPOLLIN);
	assert_true(vmm_event_source_is_quiet(source));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	enable(source, VMM_EVENT_ON);
	(void)rounds_until_silence(loop, 20);
	assert_int_equal(seen.sum, 24);
	close(fd);
}

static void dev_null_ends_and_dev_zero_does_not(void **state)
{
	struct seen null = { 0 }, zero = { 0 };
	int fd[2] = { open("/dev/null", O_RDWR | O_CLOEXEC),
		      open("/dev/zero", O_RDWR | O_CLOEXEC) };

	LOOP(loop);
	assert_int_equal(vmm_event_add_fd(loop, fd[0], EPOLLIN, read_byte, &null, NULL),
			 0);
	(void)rounds_until_silence(loop, 6);
	assert_int_equal(null.sum, 0);
	assert_int_equal(vmm_event_add_fd(loop, fd[1], EPOLLIN, read_byte, &zero, NULL),
			 0);
	for (int i = 0; i < 100; i++)
		(void)poll_once(loop);
	assert_int_equal(zero.sum, 100);
	assert_int_equal(null.calls, 3);
	close(fd[0]);
	close(fd[1]);
}

static void files_can_be_written_changed_disabled_and_removed(void **state)
{
	struct seen seen = { 0 };
	struct vmm_event_source *source;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	LOOP(loop);
	assert_int_equal(vmm_event_take_fd(loop, fd, EPOLLOUT, seen_fd, &seen, &source),
			 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(poll_once(loop), 1);
	assert_int_equal(seen.events, EPOLLOUT);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLPRI), 0);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(vmm_event_run_once(loop, 1000000, NULL), 0);
	assert_int_equal(vmm_event_source_set_events(source, EPOLLOUT | EPOLLIN), 0);
	assert_int_equal(poll_once(loop), 1);
	enable(source, VMM_EVENT_OFF);
	assert_int_equal(poll_once(loop), 0);
	enable(source, VMM_EVENT_ONESHOT);
	assert_int_equal(poll_once(loop), 1);
	assert_int_equal(poll_once(loop), 0);
	enable(source, VMM_EVENT_ON);
	vmm_event_source_remove(source);
	assert_int_equal(poll_once(loop), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_file_that_was_closed_goes_quiet(void **state)
{
	struct seen seen = { 0 };
	struct vmm_event_source *source;
	int fd = make_file("abc");

	LOOP(loop);
	assert_int_equal(vmm_event_add_fd(loop, fd, EPOLLIN, seen_fd, &seen, &source), 0);
	assert_int_equal(poll_once(loop), 1);
	close(fd);
	(void)rounds_until_silence(loop, 6);
	assert_true(vmm_event_source_is_quiet(source));
}

/* Closing any descriptor of a file drops the process' record locks on it, so the loop
 * must not make one. */
static void record_locks_survive(void **state)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct seen seen = { 0 };
	char path[] = "/tmp/vmm-event-XXXXXX";
	int fd = mkstemp(path), status;
	pid_t child;

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
	LOOP(loop);
	vmm_event_source_remove(add_fd(loop, fd, EPOLLIN, &seen));
	child = fork();
	if (child == 0) {
		(void)fcntl(fd, F_GETLK, &lock);
		_exit(lock.l_type == F_WRLCK ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evt_b1_a_duplicate_elsewhere_leaves_no_event),
		cmocka_unit_test(a_source_works_after_its_descriptor_was_closed),
		cmocka_unit_test(
		    evt_b2_a_number_closed_before_removal_can_be_added_again),
		cmocka_unit_test(evt_b3_removal_leaves_the_next_user_of_the_number_alone),
		cmocka_unit_test(one_descriptor_can_have_several_sources),
		cmocka_unit_test(
		    evt_b4_zero_capacity_and_negative_descriptors_are_harmless),
		cmocka_unit_test(evt_b5_a_crowd_can_be_removed_while_it_is_ready),
		cmocka_unit_test(a_taken_descriptor_is_closed_with_its_source),
		cmocka_unit_test(a_stray_close_of_the_loops_descriptor_is_survived),
		cmocka_unit_test(a_hang_up_is_reported_and_then_quiet),
		cmocka_unit_test(the_limit_of_hang_ups_is_an_option),
		cmocka_unit_test(enabling_starts_the_count_of_hang_ups_again),
		cmocka_unit_test(hang_ups_of_all_kinds_do_not_spin),
		cmocka_unit_test(half_a_stream_goes_on),
		cmocka_unit_test(data_before_a_hang_up_are_not_lost),
		cmocka_unit_test(unread_data_after_a_hang_up_end_the_calls_in_the_end),
		cmocka_unit_test(what_does_not_count_its_bytes_is_given_more_time),
		cmocka_unit_test(a_terminal_that_is_opened_again_is_heard),
		cmocka_unit_test(a_regular_file_is_read_to_its_end),
		cmocka_unit_test(dev_null_ends_and_dev_zero_does_not),
		cmocka_unit_test(files_can_be_written_changed_disabled_and_removed),
		cmocka_unit_test(a_file_that_was_closed_goes_quiet),
		cmocka_unit_test(record_locks_survive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

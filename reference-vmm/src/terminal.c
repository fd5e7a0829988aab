/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "terminal.h"

static struct termios found;
static volatile sig_atomic_t is_raw;

bool terminal_is_ours(void)
{
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

bool terminal_is_raw(void)
{
	return is_raw;
}

void terminal_restore(void)
{
	if (!is_raw)
		return;
	is_raw = 0;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &found);
}

/* A crash of any thread: give the terminal back, then die of the same signal. */
static void on_fatal(int signo)
{
	terminal_restore();
	(void)signal(signo, SIG_DFL);
	(void)raise(signo);
}

static void catch_signals(const int *signals, size_t count)
{
	struct sigaction action = { .sa_handler = on_fatal };

	for (size_t i = 0; i < count; i++)
		(void)sigaction(signals[i], &action, NULL);
}

static void catch_fatal_signals(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS,	 SIGILL,  SIGFPE,
				       SIGABRT, SIGTRAP, SIGSYS,  SIGQUIT,
				       SIGXCPU, SIGXFSZ, SIGALRM, SIGVTALRM };

	catch_signals(signals, sizeof(signals) / sizeof(signals[0]));
}

void terminal_restore_at_signals(void)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };

	catch_signals(signals, sizeof(signals) / sizeof(signals[0]));
}

void terminal_enter_raw(void)
{
	static bool prepared;
	struct termios raw;

	if (is_raw || !terminal_is_ours())
		return;
	if (tcgetattr(STDIN_FILENO, &found) < 0)
		return;
	if (!prepared) {
		catch_fatal_signals();
		(void)atexit(terminal_restore);
		prepared = true;
	}

	raw = found;
	cfmakeraw(&raw);
	/* The guest's terminal driver ends lines with CR LF itself; our own messages and
	 * a guest's early output still want LF turned into CR LF. */
	raw.c_oflag |= OPOST | ONLCR;
	is_raw = 1;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

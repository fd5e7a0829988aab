/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */

/*
 * A periodic timer and an orderly end on SIGTERM. The signal is blocked first thing in
 * main(), so that every thread made later inherits that, and only the loop sees it.
 */

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <time.h>
#include <vmm/event.h>

static void on_timer(void *ctx, struct vmm_event_source *source, uint64_t expirations)
{
	int *ticks = ctx;

	*ticks += (int)expirations;
	/* Instead of somebody outside. */
	if (*ticks >= 3)
		(void)raise(SIGTERM);
}

static void on_sigterm(void *ctx, struct vmm_event_source *source,
		       const struct signalfd_siginfo *info)
{
	printf("signal %u, stopping\n", info->ssi_signo);
	vmm_event_stop(vmm_event_source_get_loop(source), 7);
}

int main(void)
{
	VMM_CLEANUP(vmm_event_free) struct vmm_event *loop = NULL;
	struct vmm_event_source *timer;
	int ticks = 0, code = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return 1;
	if (vmm_event_new(NULL, &loop) < 0)
		return 1;
	if (vmm_event_add_signal(loop, SIGTERM, on_sigterm, NULL, NULL) < 0 ||
	    vmm_event_add_timer(loop, CLOCK_MONOTONIC, on_timer, &ticks, &timer) < 0)
		return 1;
	/* In 1 ms for the first time, then every 2 ms. */
	if (vmm_event_source_set_timer(timer, 1000000, 2000000) < 0)
		return 1;
	if (vmm_event_run(loop, &code) < 0)
		return 1;
	printf("%d ticks\n", ticks);
	return code == 7 ? 0 : 1;
}

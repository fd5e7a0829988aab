/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef OUTCOME_H
#define OUTCOME_H

#include <pthread.h>
#include <stdbool.h>
#include <vmm/base.h>
#include <vmm/event.h>

enum {
	EXIT_MACHINE_FAILED = 1,
	EXIT_USAGE = 2,
	OUTCOME_TEXT_MAX = 4096,
};

/*
 * How the machine ended. Any thread may say so; the first one counts, and the event
 * loop stops for it.
 */
struct outcome {
	pthread_mutex_t lock;
	bool ended; /* atomic: read without the lock */
	int status;
	char text[OUTCOME_TEXT_MAX];
	struct vmm_event *loop;
};

void outcome_init(struct outcome *outcome, struct vmm_event *loop);

/* End the machine with an exit status and a line (or more) for the user. */
VMM_PRINTF(3, 4)
void outcome_set(struct outcome *outcome, int status, const char *fmt, ...);

/* A load, cheap enough for each exit. */
bool outcome_is_set(const struct outcome *outcome);

#endif

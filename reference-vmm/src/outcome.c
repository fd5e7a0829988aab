/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "outcome.h"

void outcome_init(struct outcome *outcome, struct vmm_event *loop)
{
	(void)pthread_mutex_init(&outcome->lock, NULL);
	outcome->loop = loop;
}

void outcome_set(struct outcome *outcome, int status, const char *fmt, ...)
{
	va_list args;

	pthread_mutex_lock(&outcome->lock);
	if (!outcome->ended) {
		outcome->status = status;
		va_start(args, fmt);
		(void)vsnprintf(outcome->text, sizeof(outcome->text), fmt, args);
		va_end(args);
		__atomic_store_n(&outcome->ended, true, __ATOMIC_RELEASE);
		vmm_event_stop(outcome->loop, status);
	}
	pthread_mutex_unlock(&outcome->lock);
}

bool outcome_is_set(const struct outcome *outcome)
{
	return __atomic_load_n(&outcome->ended, __ATOMIC_ACQUIRE);
}

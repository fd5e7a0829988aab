/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "internal.h"
#include "probes.h"

static uint64_t signal_bit(int signo)
{
	return UINT64_C(1) << (signo - 1);
}

static int signal_check(const struct vmm_event *loop, int signo)
{
	sigset_t blocked;

	/* Between SIGSYS and SIGRTMIN are those that the C library keeps. */
	if (signo < 1 || signo == SIGKILL || signo == SIGSTOP || signo > SIGRTMAX ||
	    (signo > SIGSYS && signo < SIGRTMIN))
		return -EINVAL;
	if (loop->signals & signal_bit(signo))
		return -EEXIST;
	sigemptyset(&blocked);
	(void)pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	return sigismember(&blocked, signo) == 1 ? 0 : -EBUSY;
}

int vmm_event_add_signal(struct vmm_event *loop, int signo, vmm_event_signal_fn fn,
			 void *ctx, struct vmm_event_source **out)
{
	struct vmm_event_source *s;
	int ret = signal_check(loop, signo);

	if (ret < 0)
		return ret;
	ret = source_new(loop, EV_SIGNAL, ctx, &s);
	if (ret < 0)
		return ret;
	s->fn.signal = fn;
	s->signo = (uint8_t)signo;
	ret = s->fd = sys_signalfd(signo);
	if (ret >= 0)
		ret = source_register(s);
	if (ret < 0) {
		source_drop(s);
		return ret;
	}
	loop->signals |= signal_bit(signo);
	if (out)
		*out = s;
	return 0;
}

void signal_forget(struct vmm_event_source *s)
{
	s->loop->signals &= ~signal_bit(s->signo);
}

/* One at a time: were several read and the callback removed the source, the rest
 * would be lost. */
uint32_t signal_dispatch(struct vmm_event_source *s)
{
	/* Only real-time signals queue up. */
	uint32_t budget = s->signo < SIGRTMIN ? 1 : s->loop->budget;
	struct signalfd_siginfo info;
	uint32_t n = 0;

	while (n < budget && s->enabled != VMM_EVENT_OFF) {
		if (read(s->fd, &info, sizeof(info)) != sizeof(info))
			break;
		if (s->enabled == VMM_EVENT_ONESHOT)
			source_disable(s);
		PROBE_BEGIN(s);
		s->fn.signal(s->ctx, s, &info);
		PROBE_END(s);
		n++;
	}
	return n;
}

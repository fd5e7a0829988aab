/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The other end of the guest's wire: serves what bench/tcp.h says, one connection after the
 * other, until it is killed. It waits for the address to appear on an interface.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tcp.h"

enum { RETRY_US = 10000 };

static int serve(int fd)
{
	struct tcp_request request;
	char byte = 0;

	tcp_no_delay(fd);
	if (tcp_receive_all(fd, &request, sizeof(request)) < 0)
		return -1;
	switch (request.what) {
	case TCP_SEND:
		return tcp_receive_chunks(fd, request.ops) < 0
			   ? -1
			   : tcp_send_all(fd, &byte, 1);
	case TCP_RECEIVE:
		return tcp_send_chunks(fd, request.ops);
	default:
		break;
	}
	for (uint64_t i = 0; i < request.ops; i++)
		if (tcp_receive_all(fd, &byte, 1) < 0 || tcp_send_all(fd, &byte, 1) < 0)
			return -1;
	return 0;
}

int main(void)
{
	struct sockaddr_in address = tcp_address();
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, fd;

	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	while (bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0)
		(void)usleep(RETRY_US);
	if (listen(listener, 4) < 0) {
		perror("vmm-bench-peer: listen");
		return EXIT_FAILURE;
	}
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		if (serve(fd) < 0)
			fprintf(stderr, "vmm-bench-peer: the connection broke\n");
		(void)close(fd);
	}
	return EXIT_FAILURE;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef BENCH_TCP_H
#define BENCH_TCP_H

/*
 * What the guest and its peer on the host's end of the wire say over TCP. The guest
 * connects, sends one byte that says what it wants and how often, and both do it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP_HOST "10.0.0.1"
#define TCP_GUEST "10.0.0.2"

enum {
	TCP_PORT = 5000,
	TCP_CHUNK = 1 << 16,
	TCP_BYTES = 16 << 20,
	TCP_TURNS_N = 300,
	/* What is asked for. */
	TCP_SEND = 's',	   /* the guest sends chunks, and gets one byte back at the end */
	TCP_RECEIVE = 'r', /* the peer sends chunks */
	TCP_TURNS = 't',   /* one byte there and one back */
};

struct tcp_request {
	uint64_t ops;
	char what;
	char reserved[7];
};

static inline int tcp_send_all(int fd, const void *data, size_t len)
{
	for (const char *at = data; len > 0;) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static inline int tcp_receive_all(int fd, void *data, size_t len)
{
	for (char *at = data; len > 0;) {
		ssize_t n = recv(fd, at, len, 0);

		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static inline void tcp_no_delay(int fd)
{
	int one = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static inline struct sockaddr_in tcp_address(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	address.sin_port = htons(TCP_PORT);
	(void)inet_pton(AF_INET, TCP_HOST, &address.sin_addr);
	return address;
}

static inline int tcp_connect(void)
{
	struct sockaddr_in address = tcp_address();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		(void)close(fd);
		return -1;
	}
	tcp_no_delay(fd);
	return fd;
}

/* Chunks one way; what arrives may be cut anywhere. */
static inline int tcp_send_chunks(int fd, uint64_t n)
{
	static char chunk[TCP_CHUNK];

	for (uint64_t i = 0; i < n; i++)
		if (tcp_send_all(fd, chunk, sizeof(chunk)) < 0)
			return -1;
	return 0;
}

static inline int tcp_receive_chunks(int fd, uint64_t n)
{
	static char chunk[TCP_CHUNK];

	for (uint64_t i = 0; i < n; i++)
		if (tcp_receive_all(fd, chunk, sizeof(chunk)) < 0)
			return -1;
	return 0;
}

/* The guest's side of a request. */
static inline int tcp_ask(int fd, char what, long long ops)
{
	struct tcp_request request = { .ops = (uint64_t)ops, .what = what };
	char byte = 0;

	if (tcp_send_all(fd, &request, sizeof(request)) < 0)
		return -1;
	if (what == TCP_RECEIVE)
		return tcp_receive_chunks(fd, request.ops);
	if (what == TCP_SEND)
		return tcp_send_chunks(fd, request.ops) < 0
			   ? -1
			   : tcp_receive_all(fd, &byte, 1);
	for (uint64_t i = 0; i < request.ops; i++)
		if (tcp_send_all(fd, &byte, 1) < 0 || tcp_receive_all(fd, &byte, 1) < 0)
			return -1;
	return 0;
}

#endif

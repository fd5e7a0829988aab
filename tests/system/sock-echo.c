/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Both ends of a virtio-vsock connection, for tests in a guest and beside it:
 *
 *   sock-echo serve vsock PORT          give back what the first client sends
 *   sock-echo serve unix PATH
 *   sock-echo ask vsock CID PORT BYTES  send that many, and compare what comes back
 *   sock-echo ask unix PATH PORT BYTES  the same, by the device's "CONNECT PORT"
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

union address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_vm vm;
};

static int die(const char *what)
{
	fprintf(stderr, "sock-echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int make(char **argv, union address *address, socklen_t *len)
{
	memset(address, 0, sizeof(*address));
	if (strcmp(argv[0], "unix") == 0) {
		address->un.sun_family = AF_UNIX;
		strncpy(address->un.sun_path, argv[1], sizeof(address->un.sun_path) - 1);
		*len = sizeof(address->un);
		return socket(AF_UNIX, SOCK_STREAM, 0);
	}
	address->vm.svm_family = AF_VSOCK;
	address->vm.svm_cid = argv[2] ? (unsigned int)atoi(argv[1]) : VMADDR_CID_ANY;
	address->vm.svm_port = (unsigned int)atoi(argv[2] ? argv[2] : argv[1]);
	*len = sizeof(address->vm);
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0)
			die("write");
		data += n;
		len -= (size_t)n;
	}
}

static int serve(char **argv)
{
	static char buffer[65536];
	union address address;
	socklen_t len;
	int fd = make(argv, &address, &len), client;
	ssize_t n;

	if (fd < 0 || bind(fd, &address.any, len) < 0 || listen(fd, 1) < 0)
		return die("listen");
	puts("serving");
	(void)fflush(stdout);
	client = accept(fd, NULL, NULL);
	if (client < 0)
		return die("accept");
	while ((n = read(client, buffer, sizeof(buffer))) > 0)
		send_all(client, buffer, (size_t)n);
	return n < 0 ? die("read") : 0;
}

/* The device answers the first line by one of its own. */
static void shake_hands(int fd, const char *port)
{
	char line[64] = "";

	if (dprintf(fd, "CONNECT %s\n", port) < 0)
		die("CONNECT");
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		if (read(fd, &line[i], 1) != 1)
			die("no answer to CONNECT");
		if (line[i] == '\n')
			break;
	}
	if (strncmp(line, "OK ", 3) != 0)
		die(line);
}

static char pattern(size_t i)
{
	return (char)(i * 31 + (i >> 12));
}

static int ask(char **argv)
{
	static char out[16384], in[16384];
	size_t total = (size_t)atol(argv[3]), sent = 0, got = 0;
	union address address;
	socklen_t len;
	int fd = make(argv, &address, &len);

	if (fd < 0 || connect(fd, &address.any, len) < 0)
		return die("connect");
	if (strcmp(argv[0], "unix") == 0)
		shake_hands(fd, argv[2]);
	while (got < total) {
		struct pollfd p = { fd, (short)(sent < total ? POLLIN | POLLOUT : POLLIN),
				    0 };
		size_t n = total - sent < sizeof(out) ? total - sent : sizeof(out);
		ssize_t done;

		if (poll(&p, 1, 20000) <= 0)
			return die("nothing comes");
		if (p.revents & POLLOUT) {
			for (size_t i = 0; i < n; i++)
				out[i] = pattern(sent + i);
			done = send(fd, out, n, MSG_DONTWAIT);
			if (done < 0 && errno != EAGAIN)
				return die("send");
			sent += done > 0 ? (size_t)done : 0;
		}
		if (!(p.revents & (POLLIN | POLLHUP)))
			continue;
		done = read(fd, in, sizeof(in));
		if (done <= 0)
			return die("the connection ended");
		for (ssize_t i = 0; i < done; i++) {
			if (in[i] != pattern(got + (size_t)i))
				return die("other bytes came back");
		}
		got += (size_t)done;
	}
	printf("%zu bytes came back\n", got);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "serve") == 0)
		return serve(argv + 2);
	if (argc == 6 && strcmp(argv[1], "ask") == 0)
		return ask(argv + 2);
	fprintf(stderr, "usage: sock-echo serve vsock PORT | serve unix PATH |\n"
			"       ask vsock CID PORT BYTES | ask unix PATH PORT BYTES\n");
	return 2;
}

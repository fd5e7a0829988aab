/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Shares guest memory with a second process, as a vhost-user back end would get it:
 * the file descriptor goes over a socket, the other side makes a table of its own of
 * it, insisting on a file that nobody can shrink under it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmm/memory.h>

#define RAM_AT UINT64_C(0x100000)
#define MAIL (RAM_AT + 0x1000)

/* What the other side needs to know besides the file. */
struct message {
	uint64_t gpa, len, offset;
};

static int fail(const char *what, int ret)
{
	fprintf(stderr, "%s: %s\n", what, strerror(ret < 0 ? -ret : ret));
	return EXIT_FAILURE;
}

static int send_fd(int sock, struct message *m, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &h, 0) == (ssize_t)sizeof(*m) ? 0 : -1;
}

static int receive_fd(int sock, struct message *m)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.room,
			    .msg_controllen = sizeof(control.room) };
	struct cmsghdr *c;
	int fd = -1;

	if (recvmsg(sock, &h, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*m))
		return -1;
	c = CMSG_FIRSTHDR(&h);
	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* The table of one region; a file when @fd says so, else new shared memory. */
static int make_table(const struct message *m, int fd, struct vmm_mem **out)
{
	VMM_CLEANUP(vmm_mem_builder_free) struct vmm_mem_builder *builder = NULL;
	struct vmm_mem_region ram = VMM_MEM_REGION_INIT;
	struct vmm_error err;
	int ret;

	ram.gpa = m->gpa;
	ram.len = m->len;
	ram.fd = fd;
	ram.fd_offset = m->offset;
	ram.flags = fd < 0 ? VMM_MEM_SHARED : VMM_MEM_SEALED;
	ram.label = "ram";
	ret = vmm_mem_builder_new(&builder);
	if (ret == 0 && (ret = vmm_mem_builder_add(builder, &ram, &err)) < 0)
		fprintf(stderr, "%s\n", err.message);
	return ret < 0 ? ret : vmm_mem_builder_build(builder, out);
}

/* The back end: answers what it finds in guest memory. */
static int back_end(int sock)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct message m;
	char text[16] = "";
	int fd = receive_fd(sock, &m), ret;

	if (fd < 0)
		return EXIT_FAILURE;
	ret = make_table(&m, fd, &mem);
	(void)close(fd);
	if (ret < 0 || vmm_mem_read(mem, MAIL, text, sizeof(text)) < 0 ||
	    strcmp(text, "ping") != 0 || vmm_mem_write(mem, MAIL, "pong", 5) < 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

int main(void)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = NULL;
	struct vmm_mem_region told = VMM_MEM_REGION_INIT;
	struct message m = { RAM_AT, 1 << 20, 0 };
	char text[16] = "";
	int sock[2], status = 0, ret;
	pid_t child;

	ret = make_table(&m, -1, &mem);
	if (ret < 0)
		return fail("guest memory", ret);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		return fail("socketpair", 1);
	child = fork();
	if (child == 0)
		_exit(back_end(sock[1]));
	(void)close(sock[1]);

	if (vmm_mem_write(mem, MAIL, "ping", 5) < 0 ||
	    vmm_mem_get_region(mem, 0, &told) < 0)
		return fail("mail", 1);
	m.offset = told.fd_offset;
	if (send_fd(sock[0], &m, told.fd) < 0)
		return fail("send", 1);
	if (waitpid(child, &status, 0) != child || status != 0)
		return fail("back end", 1);
	if (vmm_mem_read(mem, MAIL, text, sizeof(text)) < 0 || strcmp(text, "pong") != 0)
		return fail("answer", 1);
	printf("the other process answered: %s\n", text);
	return EXIT_SUCCESS;
}

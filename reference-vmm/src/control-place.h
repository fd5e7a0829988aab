/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef CONTROL_PLACE_H
#define CONTROL_PLACE_H

#include <stdbool.h>
#include <sys/un.h>
#include <vmm/base.h>

/*
 * Where the control sockets of a user's machines are: NAME.sock in $XDG_RUNTIME_DIR/libvmm,
 * or in /tmp/libvmm-UID where that variable is not set. Nobody else can enter the
 * directory. Who makes or removes a socket holds a lock on it, so that a socket nobody
 * listens to is known to be left over.
 */
struct control_place {
	int dir_fd;
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

/* A machine's name: letters, digits, and - _ . but not in front; 1 to 64 bytes. */
int control_check_name(const char *name, struct vmm_error *err);

/* Open the directory; @make: that it shall be there. -ENOENT: it is not; -EPERM: others
 * can enter it. The caller closes `dir_fd`. */
int control_open_place(struct control_place *place, bool make, struct vmm_error *err);

/* A listening socket for a machine, non-blocking. -EEXIST: there is such a machine. */
int control_listen(const struct control_place *place, const char *name, int *out_fd,
		   struct vmm_error *err);

/* Remove the socket when nobody will listen to it any more: @fd, which is ours. */
void control_unlisten(const struct control_place *place, const char *name, int fd);

/* A connection to a machine, non-blocking. -ENOENT: there is none (what is left of one is
 * removed); -EAGAIN: too many want one. */
int control_connect(const struct control_place *place, const char *name, int *out_fd);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <limits.h>

#include "internal.h"
#include "sys.h"

/* The kernel moves no more than this with one call. */
#define CHUNK_MAX UINT64_C(0x7ffff000)
/* Regions that one call takes; more are a matter of another call. */
#define IOV_CHUNK 16u

enum direction { FROM_FILE, TO_FILE };

/* One transfer of a checked range: which call, and where in the file. */
struct transfer {
	enum direction direction;
	int fd;
	/* With an offset it is pread() and pwrite(), else read() and write(). */
	bool positioned;
	uint64_t offset;
};

static int64_t call(const struct transfer *t, const struct iovec *iov, int n)
{
	int64_t got;

	do {
		if (t->positioned && t->direction == FROM_FILE)
			got = mem_sys_preadv(t->fd, iov, n, t->offset);
		else if (t->positioned)
			got = mem_sys_pwritev(t->fd, iov, n, t->offset);
		else if (t->direction == FROM_FILE)
			got = mem_sys_readv(t->fd, iov, n);
		else
			got = mem_sys_writev(t->fd, iov, n);
	} while (got == -EINTR);
	return got;
}

/* One system call for the start of a checked range. */
static int64_t step(const struct transfer *t, const struct vmm_mem *mem, uint64_t gpa,
		    uint64_t len)
{
	const struct mem_region *r = mem_find(mem, gpa);
	struct iovec iov[IOV_CHUNK];
	int64_t got;
	size_t n;

	if (len > CHUNK_MAX)
		len = CHUNK_MAX;
	n = mem_fill_iov(r, gpa, len, iov, IOV_CHUNK);
	got = call(t, iov, (int)(n < IOV_CHUNK ? n : IOV_CHUNK));
	if (t->direction == FROM_FILE) {
		/* After an error nobody knows how much was written. */
		mem_dirty_range(r, gpa, got < 0 ? len : (uint64_t)got);
	}
	return got;
}

static int check(const struct transfer *t, const struct vmm_mem *mem, uint64_t gpa,
		 uint64_t len)
{
	return mem_check(mem_find(mem, gpa), gpa, len,
			 t->direction == FROM_FILE ? VMM_MEM_ACCESS_WRITE
						   : VMM_MEM_ACCESS_READ);
}

/* All of the range, until the end of the file or an error; what was moved before an
 * error counts, for it cannot be taken back. */
static int64_t move_all(struct transfer *t, const struct vmm_mem *mem, uint64_t gpa,
			uint64_t len)
{
	uint64_t done = 0;
	int64_t got;
	int ret;

	if (len == 0)
		return 0;
	if (len > INT64_MAX || (t->positioned && t->offset > INT64_MAX - len))
		return -EINVAL;
	ret = check(t, mem, gpa, len);
	if (ret < 0)
		return ret;
	while (done < len) {
		got = step(t, mem, gpa + done, len - done);
		if (got < 0 && done == 0)
			return got;
		if (got <= 0)
			break;
		done += (uint64_t)got;
		t->offset += (uint64_t)got;
	}
	return (int64_t)done;
}

/* At most one system call. */
static int64_t move_once(const struct transfer *t, const struct vmm_mem *mem,
			 uint64_t gpa, uint64_t len)
{
	int ret;

	if (len == 0)
		return 0;
	ret = check(t, mem, gpa, len);
	return ret < 0 ? ret : step(t, mem, gpa, len);
}

int64_t vmm_mem_read_file(const struct vmm_mem *mem, uint64_t gpa, int fd,
			  uint64_t offset, uint64_t len)
{
	struct transfer t = { FROM_FILE, fd, true, offset };

	return move_all(&t, mem, gpa, len);
}

int64_t vmm_mem_write_file(const struct vmm_mem *mem, uint64_t gpa, int fd,
			   uint64_t offset, uint64_t len)
{
	struct transfer t = { TO_FILE, fd, true, offset };

	return move_all(&t, mem, gpa, len);
}

int64_t vmm_mem_read_fd(const struct vmm_mem *mem, uint64_t gpa, int fd, uint64_t len)
{
	struct transfer t = { FROM_FILE, fd, false, 0 };

	return move_once(&t, mem, gpa, len);
}

int64_t vmm_mem_write_fd(const struct vmm_mem *mem, uint64_t gpa, int fd, uint64_t len)
{
	struct transfer t = { TO_FILE, fd, false, 0 };

	return move_once(&t, mem, gpa, len);
}

int64_t vmm_mem_read_fd_all(const struct vmm_mem *mem, uint64_t gpa, int fd, uint64_t len)
{
	struct transfer t = { FROM_FILE, fd, false, 0 };

	return move_all(&t, mem, gpa, len);
}

int64_t vmm_mem_write_fd_all(const struct vmm_mem *mem, uint64_t gpa, int fd,
			     uint64_t len)
{
	struct transfer t = { TO_FILE, fd, false, 0 };

	return move_all(&t, mem, gpa, len);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* From a chain to work for the back end. Everything is judged on private copies. */
#include <endian.h>
#include <string.h>

#include "blk.h"

struct header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

struct range {
	uint64_t sector;
	uint32_t sectors;
	uint32_t flags;
};

static bool in_device(const struct vmm_virtio_blk *blk, uint64_t sector, uint64_t sectors)
{
	uint64_t end;

	return !__builtin_add_overflow(sector, sectors, &end) &&
	       end <= __atomic_load_n(&blk->sectors, __ATOMIC_RELAXED);
}

/* Cut the part that a cursor has passed off its iovecs; what is left are whole ones. */
static void take_rest(struct blk_request *req, const struct vmm_virtq_cursor *c,
		      const struct iovec *end)
{
	struct iovec *first = req->iov + (c->iov - req->iov);

	req->io.iov = first;
	req->io.iov_n = (uint32_t)(end - first);
	if (req->io.iov_n == 0)
		return;
	first->iov_base = (uint8_t *)first->iov_base + c->offset;
	first->iov_len -= c->offset;
}

/* Whether a write has to be durable at once: there is no flush, or it is switched off. */
static uint32_t write_flags(const struct vmm_virtio_blk *blk)
{
	bool cached = (blk->features & BLK_F_FLUSH) &&
		      (!(blk->features & BLK_F_CONFIG_WCE) ||
		       __atomic_load_n(&blk->writeback, __ATOMIC_RELAXED));

	return cached ? 0 : VMM_VIRTIO_BLK_IO_FUA;
}

static int parse_transfer(struct vmm_virtio_blk *blk, struct blk_request *req,
			  uint64_t sector, uint64_t len, uint32_t op)
{
	if (len % VMM_VIRTIO_BLK_SECTOR != 0 ||
	    !in_device(blk, sector, len / VMM_VIRTIO_BLK_SECTOR))
		return BLK_S_IOERR;
	req->io.op = op;
	req->io.offset = sector * VMM_VIRTIO_BLK_SECTOR;
	req->io.len = len;
	req->moved = len;
	return len > 0 ? BLK_SUBMIT : BLK_S_OK;
}

static int parse_in(struct vmm_virtio_blk *blk, struct blk_request *req,
		    const struct vmm_virtq_chain *chain, uint64_t sector)
{
	uint64_t len = chain->writable_len - 1;

	if (chain->readable_len != BLK_HEADER_LEN)
		return BLK_S_IOERR;
	req->ok_len = (uint32_t)len + 1;
	req->io.iov = req->iov + chain->readable_n;
	req->io.iov_n = chain->writable_n;
	/* The status byte is the last one of the last buffer. */
	if (--req->iov[chain->readable_n + chain->writable_n - 1].iov_len == 0)
		req->io.iov_n--;
	return parse_transfer(blk, req, sector, len, VMM_VIRTIO_BLK_READ);
}

static int parse_out(struct vmm_virtio_blk *blk, struct blk_request *req,
		     const struct vmm_virtq_chain *chain,
		     const struct vmm_virtq_cursor *rest, uint64_t sector)
{
	if (blk->readonly || chain->writable_len != 1)
		return BLK_S_IOERR;
	take_rest(req, rest, req->iov + chain->readable_n);
	req->io.flags = write_flags(blk);
	return parse_transfer(blk, req, sector, rest->left, VMM_VIRTIO_BLK_WRITE);
}

static int parse_flush(struct vmm_virtio_blk *blk, struct blk_request *req,
		       uint64_t sector)
{
	if (!(blk->features & BLK_F_FLUSH))
		return BLK_S_UNSUPP;
	if (sector != 0)
		return BLK_S_IOERR;
	req->io.op = VMM_VIRTIO_BLK_FLUSH;
	return BLK_SUBMIT;
}

/* What the device answers by itself: as much of it as there is room for. */
static int answer_query(struct blk_request *req, const struct vmm_virtq_chain *chain,
			const void *answer, size_t len)
{
	struct vmm_virtq_cursor out = vmm_virtq_writer(chain), status;

	if (chain->readable_len != BLK_HEADER_LEN || chain->writable_len < 2 ||
	    vmm_virtq_split(&out, chain->writable_len - 1, &status) < 0)
		return BLK_S_IOERR;
	req->ok_len = (uint32_t)vmm_virtq_write_some(&out, answer, len) + 1;
	return BLK_S_OK;
}

static int get_lifetime(struct vmm_virtio_blk *blk, struct blk_request *req,
			const struct vmm_virtq_chain *chain)
{
	uint64_t words = __atomic_load_n(&blk->lifetime, __ATOMIC_RELAXED);

	if (!(blk->features & BLK_F_LIFETIME))
		return BLK_S_UNSUPP;
	return answer_query(req, chain, &words, BLK_LIFETIME_LEN);
}

struct range_kind {
	uint64_t feature;
	uint32_t op;
	/* Of those that the driver may set. */
	uint32_t flags;
};

/* One range a request, as the configuration space says. */
static int parse_range(struct vmm_virtio_blk *blk, struct blk_request *req,
		       const struct vmm_virtq_chain *chain, struct vmm_virtq_cursor *rest,
		       const struct range_kind *kind)
{
	struct range range;
	uint32_t flags, sectors;

	if (!(blk->features & kind->feature))
		return BLK_S_UNSUPP;
	if (blk->readonly || chain->writable_len != 1 || rest->left != BLK_RANGE_LEN ||
	    vmm_virtq_read(rest, &range, sizeof(range)) < 0)
		return BLK_S_IOERR;
	flags = le32toh(range.flags);
	sectors = le32toh(range.sectors);
	/* 5.2.6.2: unmap is the only flag, and only for zeroes. */
	if (flags & ~kind->flags)
		return BLK_S_UNSUPP;
	if (sectors > BLK_RANGE_SECTORS)
		return BLK_S_IOERR;
	req->io.flags = flags & 1 ? VMM_VIRTIO_BLK_IO_UNMAP : 0;
	if (kind->op == VMM_VIRTIO_BLK_WRITE_ZEROES)
		req->io.flags |= write_flags(blk);
	return parse_transfer(blk, req, le64toh(range.sector),
			      (uint64_t)sectors * VMM_VIRTIO_BLK_SECTOR, kind->op);
}

static int parse_ranges(struct vmm_virtio_blk *blk, struct blk_request *req,
			const struct vmm_virtq_chain *chain,
			struct vmm_virtq_cursor *rest, uint32_t type)
{
	static const struct range_kind discard = { BLK_F_DISCARD, VMM_VIRTIO_BLK_DISCARD,
						   0 };
	static const struct range_kind zeroes = { BLK_F_WRITE_ZEROES,
						  VMM_VIRTIO_BLK_WRITE_ZEROES, 1 };
	static const struct range_kind erase = { BLK_F_SECURE_ERASE,
						 VMM_VIRTIO_BLK_SECURE_ERASE, 0 };

	if (type == BLK_T_DISCARD)
		return parse_range(blk, req, chain, rest, &discard);
	return parse_range(blk, req, chain, rest,
			   type == BLK_T_WRITE_ZEROES ? &zeroes : &erase);
}

int blk_parse(struct vmm_virtio_blk *blk, struct blk_request *req,
	      const struct vmm_virtq_chain *chain)
{
	const struct iovec *last = &chain->iov[chain->readable_n + chain->writable_n - 1];
	struct vmm_virtq_cursor in = vmm_virtq_reader(chain);
	struct vmm_virtio_blk_io blank = { .op = BLK_OP_QUERY,
					   .queue = req->queue->index };
	struct header header;

	req->io = blank;
	req->moved = 0;
	req->ok_len = 1;
	req->status = (uint8_t *)last->iov_base + (last->iov_len - 1);
	if (vmm_virtq_read(&in, &header, sizeof(header)) < 0)
		return BLK_S_IOERR;
	switch (le32toh(header.type)) {
	case BLK_T_IN:
		return parse_in(blk, req, chain, le64toh(header.sector));
	case BLK_T_OUT:
		return parse_out(blk, req, chain, &in, le64toh(header.sector));
	case BLK_T_FLUSH:
		return parse_flush(blk, req, le64toh(header.sector));
	case BLK_T_GET_ID:
		return answer_query(req, chain, blk->id, sizeof(blk->id));
	case BLK_T_GET_LIFETIME:
		return get_lifetime(blk, req, chain);
	case BLK_T_DISCARD:
	case BLK_T_WRITE_ZEROES:
	case BLK_T_SECURE_ERASE:
		return parse_ranges(blk, req, chain, &in, le32toh(header.type));
	default:
		return BLK_S_UNSUPP;
	}
}

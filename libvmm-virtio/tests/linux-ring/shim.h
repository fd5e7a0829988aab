/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SHIM_H
#define SHIM_H

/*
 * As much of a kernel as Linux' driver side of a virtqueue (drivers/virtio/virtio_ring.c,
 * 6.1) needs to be compiled as a part of a program. The headers that it includes are those
 * for user space, and where there is none, this one. All memory that a device sees comes
 * from one arena; a guest physical address is the address in this process.
 */

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef uint64_t dma_addr_t;
typedef uint64_t phys_addr_t;
typedef unsigned int gfp_t;
typedef int irqreturn_t;

enum { IRQ_NONE, IRQ_HANDLED };
enum { GFP_KERNEL = 0, GFP_ATOMIC = 0, __GFP_NOWARN = 0, __GFP_ZERO = 1 };
enum { __GFP_HIGHMEM = 0 };
enum dma_data_direction { DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_NONE };

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define container_of(p, type, member) \
	((type *)(void *)((char *)(p)-offsetof(type, member)))
#define min(a, b) ((a) < (b) ? (a) : (b))
#define BUG_ON(x) assert(!(x))
#define BUG() abort()
#define WARN_ON(x) (!!(x))
#define WARN_ON_ONCE(x) (!!(x))
#define EXPORT_SYMBOL_GPL(x) extern int shim_nothing
#define MODULE_LICENSE(x) extern int shim_nothing
#define MODULE_DESCRIPTION(x) extern int shim_nothing
#define dev_err(dev, ...) ((void)(dev), fprintf(stderr, __VA_ARGS__))
#define dev_warn(dev, ...) ((void)(dev), fprintf(stderr, __VA_ARGS__))
#define dev_warn_once(dev, ...) ((void)(dev), fprintf(stderr, __VA_ARGS__))
#define pr_debug(...) ((void)0)
#define kmemleak_ignore(p) ((void)(p))
#define kmsan_handle_dma(...) ((void)0)
#define data_race(x) (x)

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
/* The device is another thread: what processors do with each other will do. */
#define virtio_mb(weak) ((void)(weak), __atomic_thread_fence(__ATOMIC_SEQ_CST))
#define virtio_rmb(weak) ((void)(weak), __atomic_thread_fence(__ATOMIC_ACQUIRE))
#define virtio_wmb(weak) ((void)(weak), __atomic_thread_fence(__ATOMIC_RELEASE))
#define virtio_store_mb(weak, p, v)  \
	do {                         \
		WRITE_ONCE(*(p), v); \
		virtio_mb(weak);     \
	} while (0)

#define cpu_to_le16(x) htole16(x)
#define cpu_to_le32(x) htole32(x)
#define cpu_to_le64(x) htole64(x)
#define le16_to_cpu(x) le16toh(x)
#define le32_to_cpu(x) le32toh(x)
#define le64_to_cpu(x) le64toh(x)
#define cpu_to_virtio16(dev, x) htole16(x)
#define cpu_to_virtio32(dev, x) htole32(x)
#define cpu_to_virtio64(dev, x) htole64(x)
#define virtio16_to_cpu(dev, x) le16toh(x)
#define virtio32_to_cpu(dev, x) le32toh(x)
#define virtio64_to_cpu(dev, x) le64toh(x)

struct list_head {
	struct list_head *next, *prev;
};

static inline void INIT_LIST_HEAD(struct list_head *l)
{
	l->next = l->prev = l;
}

static inline void list_add_tail(struct list_head *new, struct list_head *head)
{
	new->next = head;
	new->prev = head->prev;
	head->prev->next = new;
	head->prev = new;
}

static inline void list_del(struct list_head *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
}

#define list_for_each_entry(pos, head, member)                           \
	for (pos = container_of((head)->next, __typeof__(*pos), member); \
	     &pos->member != (head);                                     \
	     pos = container_of(pos->member.next, __typeof__(*pos), member))

/* One thread makes and removes queues, so that there is nothing to lock. */
typedef int spinlock_t;
#define spin_lock(lock) ((void)(lock))
#define spin_unlock(lock) ((void)(lock))

#define PAGE_SIZE 4096ul
#define PAGE_ALIGN(x) (((x) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1))

/* Of the arena, by the driver's thread only. */
void *shim_alloc(size_t size);
void shim_free(void *p);

static inline void *kmalloc(size_t size, gfp_t flags)
{
	void *p = shim_alloc(size);

	if (p && (flags & __GFP_ZERO))
		memset(p, 0, size);
	return p;
}

#define kzalloc(size, flags) kmalloc(size, (flags) | __GFP_ZERO)
#define kmalloc_array(n, size, flags) kmalloc((n) * (size), flags)
#define kcalloc(n, size, flags) kmalloc((n) * (size), (flags) | __GFP_ZERO)
#define kfree(p) shim_free(p)
#define alloc_pages_exact(size, flags) kmalloc(size, flags)
#define free_pages_exact(p, size) shim_free(p)
#define virt_to_phys(p) ((phys_addr_t)(uintptr_t)(p))

/* The device has all of memory, so the DMA interface is never taken. */
#define xen_domain() 0
#define dma_alloc_coherent(dev, size, handle, flags) ((void)(dev), (void)(handle), NULL)
#define dma_free_coherent(dev, size, p, handle) ((void)(dev), (void)(p))
#define dma_map_page(dev, ...) ((void)(dev), (dma_addr_t)0)
#define dma_map_single(dev, ...) ((void)(dev), (dma_addr_t)0)
#define dma_map_page_attrs(dev, ...) ((void)(dev), (dma_addr_t)0)
#define dma_map_single_attrs(dev, ...) ((void)(dev), (dma_addr_t)0)
#define dma_unmap_single(dev, ...) ((void)(dev))
#define dma_unmap_single_attrs(dev, ...) ((void)(dev))
#define dma_unmap_page(dev, ...) ((void)(dev))
#define dma_mapping_error(dev, ...) ((void)(dev), 0)
#define dma_max_mapping_size(dev) ((void)(dev), SIZE_MAX)
#define dma_need_sync(dev, ...) ((void)(dev), false)
#define dma_sync_single_range_for_cpu(dev, ...) ((void)(dev))
#define dma_sync_single_range_for_device(dev, ...) ((void)(dev))

struct page;

struct scatterlist {
	void *buf;
	unsigned int offset;
	unsigned int length;
	dma_addr_t dma_address;
	bool last;
};

static inline struct scatterlist *sg_next(struct scatterlist *sg)
{
	return sg->last ? NULL : sg + 1;
}

#define sg_phys(sg) virt_to_phys((sg)->buf)
#define sg_page(sg) ((struct page *)(sg)->buf)
#define sg_dma_address(sg) ((sg)->dma_address)

struct device {
	struct device *parent;
};

struct virtqueue;

struct virtio_config_ops {
	int (*disable_vq_and_reset)(struct virtqueue *vq);
	int (*enable_vq_after_reset)(struct virtqueue *vq);
};

struct virtio_device {
	struct device dev;
	u64 features;
	struct list_head vqs;
	spinlock_t vqs_list_lock;
	const struct virtio_config_ops *config;
};

struct virtqueue {
	struct list_head list;
	void (*callback)(struct virtqueue *vq);
	const char *name;
	struct virtio_device *vdev;
	unsigned int index;
	unsigned int num_free;
	unsigned int num_max;
	void *priv;
	bool reset;
};

#define __virtio_test_bit(dev, bit) (((dev)->features >> (bit)) & 1)
#define __virtio_clear_bit(dev, bit) ((dev)->features &= ~(1ull << (bit)))
#define virtio_has_feature(dev, bit) __virtio_test_bit(dev, bit)
#define virtio_has_dma_quirk(dev) (!virtio_has_feature(dev, VIRTIO_F_ACCESS_PLATFORM))

/* What the program calls. */
struct virtqueue *vring_create_virtqueue(unsigned int index, unsigned int num,
					 unsigned int align, struct virtio_device *dev,
					 bool weak_barriers, bool may_reduce_num,
					 bool context, bool (*notify)(struct virtqueue *),
					 void (*callback)(struct virtqueue *),
					 const char *name);
void vring_del_virtqueue(struct virtqueue *vq);
void vring_transport_features(struct virtio_device *dev);
irqreturn_t vring_interrupt(int irq, void *vq);
int virtqueue_add_sgs(struct virtqueue *vq, struct scatterlist *sgs[],
		      unsigned int out_sgs, unsigned int in_sgs, void *data, gfp_t gfp);
bool virtqueue_kick(struct virtqueue *vq);
void *virtqueue_get_buf(struct virtqueue *vq, unsigned int *len);
void *virtqueue_get_buf_ctx(struct virtqueue *vq, unsigned int *len, void **ctx);
void *virtqueue_detach_unused_buf(struct virtqueue *vq);
void virtqueue_disable_cb(struct virtqueue *vq);
bool virtqueue_enable_cb(struct virtqueue *vq);
bool virtqueue_enable_cb_delayed(struct virtqueue *vq);
bool virtqueue_is_broken(struct virtqueue *vq);
unsigned int virtqueue_get_vring_size(struct virtqueue *vq);
dma_addr_t virtqueue_get_desc_addr(struct virtqueue *vq);
dma_addr_t virtqueue_get_avail_addr(struct virtqueue *vq);
dma_addr_t virtqueue_get_used_addr(struct virtqueue *vq);
int virtqueue_resize(struct virtqueue *vq, u32 num,
		     void (*recycle)(struct virtqueue *vq, void *buf));

#endif

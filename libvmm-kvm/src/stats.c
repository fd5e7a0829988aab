/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <vmm/kvm-device.h>

#include "internal.h"

/* The kernel's file is header, id, descriptors, data; offsets and counts are its own,
 * and checked here. Bounds for what nobody sane exceeds: */
#define COUNT_MAX 4096u
#define NAME_MAX_LEN 256u
#define VALUES_MAX 4096u
#define OFFSET_MAX (16u << 20)

struct stat_entry {
	struct vmm_kvm_stat info;
	uint64_t offset;
};

struct vmm_kvm_stats {
	const struct kvm_sys *sys;
	int fd;
	size_t count;
	struct stat_entry *entries;
	/* The names, each NUL-terminated. */
	char *names;
};

/* All of it or nothing. */
static int read_at(const struct kvm_sys *sys, int fd, void *buf, size_t len,
		   uint64_t offset)
{
	int64_t n = sys->pread(fd, buf, len, (int64_t)offset);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EBADMSG;
}

static int describe(struct vmm_kvm_stats *stats, const struct kvm_stats_header *head,
		    const uint8_t *descs, size_t i, uint64_t data_offset)
{
	size_t desc_size = sizeof(struct kvm_stats_desc) + head->name_size;
	struct stat_entry *entry = &stats->entries[i];
	char *name = stats->names + i * head->name_size;
	struct kvm_stats_desc desc;

	memcpy(&desc, descs + i * desc_size, sizeof(desc));
	memcpy(name, descs + i * desc_size + sizeof(desc), head->name_size);
	if (name[head->name_size - 1] != '\0' || desc.size == 0 ||
	    desc.size > VALUES_MAX || desc.offset > OFFSET_MAX)
		return -EBADMSG;
	entry->offset = data_offset + desc.offset;
	entry->info.name = name;
	entry->info.type = desc.flags & KVM_STATS_TYPE_MASK;
	entry->info.unit = desc.flags & KVM_STATS_UNIT_MASK;
	entry->info.base = desc.flags & KVM_STATS_BASE_MASK;
	entry->info.exponent = desc.exponent;
	entry->info.values = desc.size;
	entry->info.bucket_size = desc.bucket_size;
	return 0;
}

static int read_descriptors(struct vmm_kvm_stats *stats,
			    const struct kvm_stats_header *head)
{
	size_t desc_size = sizeof(struct kvm_stats_desc) + head->name_size;
	uint8_t *descs = calloc(head->num_desc, desc_size);
	int ret = -ENOMEM;

	stats->entries = calloc(head->num_desc, sizeof(*stats->entries));
	stats->names = calloc(head->num_desc, head->name_size);
	if (descs && stats->entries && stats->names)
		ret = read_at(stats->sys, stats->fd, descs, head->num_desc * desc_size,
			      head->desc_offset);
	for (size_t i = 0; ret == 0 && i < head->num_desc; i++)
		ret = describe(stats, head, descs, i, head->data_offset);
	if (ret == 0)
		stats->count = head->num_desc;
	free(descs);
	return ret;
}

static int read_all(struct vmm_kvm_stats *stats)
{
	struct kvm_stats_header head;
	int ret = read_at(stats->sys, stats->fd, &head, sizeof(head), 0);

	if (ret < 0)
		return ret;
	if (head.name_size == 0 || head.name_size > NAME_MAX_LEN || head.num_desc == 0 ||
	    head.num_desc > COUNT_MAX || head.desc_offset > OFFSET_MAX ||
	    head.data_offset > OFFSET_MAX)
		return -EBADMSG;
	return read_descriptors(stats, &head);
}

static int open_stats(const struct kvm_sys *sys, int of, struct vmm_kvm_stats **out,
		      struct vmm_error *err)
{
	struct vmm_kvm_stats *stats;
	int fd = kvm_ioctl(sys, of, KVM_GET_STATS_FD, NULL), ret;

	if (fd == -ENOTTY)
		return vmm_error_set(err, -EOPNOTSUPP,
				     "this kernel has no KVM statistics");
	if (fd < 0)
		return vmm_error_set(err, fd, "no statistics: %s", strerrordesc_np(-fd));
	stats = calloc(1, sizeof(*stats));
	if (!stats) {
		(void)sys->close(fd);
		return vmm_error_set(err, -ENOMEM, "no memory for statistics");
	}
	stats->sys = sys;
	stats->fd = fd;
	ret = read_all(stats);
	if (ret < 0) {
		vmm_kvm_stats_close(stats);
		return vmm_error_set(err, ret, "statistics cannot be read: %s",
				     strerrordesc_np(-ret));
	}
	*out = stats;
	return 0;
}

int vmm_kvm_vm_open_stats(struct vmm_kvm_vm *vm, struct vmm_kvm_stats **out,
			  struct vmm_error *err)
{
	return open_stats(vm->sys, vm->fd, out, err);
}

int vmm_kvm_vcpu_open_stats(struct vmm_kvm_vcpu *vcpu, struct vmm_kvm_stats **out,
			    struct vmm_error *err)
{
	return open_stats(vcpu->sys, vcpu->fd, out, err);
}

void vmm_kvm_stats_close(struct vmm_kvm_stats *stats)
{
	if (!stats)
		return;
	(void)stats->sys->close(stats->fd);
	free(stats->entries);
	free(stats->names);
	free(stats);
}

size_t vmm_kvm_stats_get_count(const struct vmm_kvm_stats *stats)
{
	return stats->count;
}

int vmm_kvm_stats_get_info(const struct vmm_kvm_stats *stats, size_t i,
			   struct vmm_kvm_stat *out)
{
	if (i >= stats->count)
		return -ENOENT;
	*out = stats->entries[i].info;
	return 0;
}

int vmm_kvm_stats_read(const struct vmm_kvm_stats *stats, size_t i, uint64_t *values,
		       size_t max)
{
	const struct stat_entry *entry;

	if (i >= stats->count)
		return -ENOENT;
	entry = &stats->entries[i];
	if (max < entry->info.values)
		return -ENOSPC;
	return read_at(stats->sys, stats->fd, values,
		       entry->info.values * sizeof(*values), entry->offset);
}

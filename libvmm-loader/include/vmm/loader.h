/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef VMM_LOADER_H
#define VMM_LOADER_H

/**
 * @file vmm/loader.h
 * What a guest must find in its memory at its first instruction, on any
 * architecture: the kernel, the initrd, the command line, and a map that says who
 * uses which address.
 *
 * Images are untrusted. Each call checks everything before it writes anything: when it
 * fails, guest memory, the map and the results are as they were. The one exception is a
 * file that fails or shrinks while it is being read, which says so (-EIO).
 *
 * Nothing here keeps state outside its arguments, so any number of threads may load
 * into different memory. Pointers must not be NULL unless the function says so; `err`
 * always may be. `gpa` is a guest physical address.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vmm/base.h>
#include <vmm/memory.h>

VMM_BEGIN_DECLS

/** Stands for "no such address" in results. */
#define VMM_LOAD_NONE UINT64_MAX

/** Where the bytes of an image come from: a file or a buffer. */
struct vmm_load_source {
	/** Size of this structure. */
	size_t size;
	/** For messages, usually the path; NULL means "image". Borrowed. */
	const char *name;
	/** Regular file, readable; borrowed, its position is not moved. -1: the buffer.
	 */
	int fd;
	/** Zero. */
	uint32_t reserved_;
	/** The bytes when @p fd is -1; borrowed. */
	const void *data;
	/** How many bytes @p data has. */
	uint64_t len;
};

/** Defaults for a source: a buffer without bytes. */
#define VMM_LOAD_SOURCE_INIT                                         \
	{                                                            \
		sizeof(struct vmm_load_source), NULL, -1, 0, NULL, 0 \
	}

/** Machines that an image can be for. */
enum vmm_load_arch {
	/** As option: take the image's. As result: the format does not say. */
	VMM_LOAD_ARCH_ANY = 0,
	VMM_LOAD_ARCH_X86_64 = 1,
	VMM_LOAD_ARCH_AARCH64 = 2,
	VMM_LOAD_ARCH_RISCV64 = 3,
	/** Recognised, but none of the above. */
	VMM_LOAD_ARCH_OTHER = 4,
};

/** Formats that are told apart by their bytes. */
enum vmm_load_format {
	/** None of the below. */
	VMM_LOAD_FORMAT_UNKNOWN = 0,
	/** ELF: vmlinux and other kernels that say where their segments go. */
	VMM_LOAD_FORMAT_ELF = 1,
	/** x86 Linux with a setup header. */
	VMM_LOAD_FORMAT_BZIMAGE = 2,
	/** arm64 Linux `Image`. */
	VMM_LOAD_FORMAT_ARM64_IMAGE = 3,
	/** riscv Linux `Image`. */
	VMM_LOAD_FORMAT_RISCV_IMAGE = 4,
	/** EFI application with a compressed kernel inside (`vmlinuz.efi`). */
	VMM_LOAD_FORMAT_ZBOOT = 5,
	VMM_LOAD_FORMAT_GZIP = 6,
	VMM_LOAD_FORMAT_ZSTD = 7,
	VMM_LOAD_FORMAT_XZ = 8,
	/** LZ4, frame or legacy. */
	VMM_LOAD_FORMAT_LZ4 = 9,
	VMM_LOAD_FORMAT_BZIP2 = 10,
	/** The old .lzma format. */
	VMM_LOAD_FORMAT_LZMA = 11,
	VMM_LOAD_FORMAT_LZO = 12,
	/** Some other PE executable. */
	VMM_LOAD_FORMAT_EFI = 13,
	/** U-Boot legacy image. */
	VMM_LOAD_FORMAT_UIMAGE = 14,
	/** Bytes taken as they are, because the caller said so: firmware. Never probed. */
	VMM_LOAD_FORMAT_RAW = 15,
};

/** What vmm_load_probe() found. */
struct vmm_load_probe_result {
	/** enum vmm_load_format */
	uint32_t format;
	/** enum vmm_load_arch */
	uint32_t arch;
	/** ELF: e_machine. bzImage: boot protocol version, 0x020f for 2.15. Else 0. */
	uint32_t detail;
	/** 1 when vmm_load_kernel() of this build loads such an image, else 0. */
	uint32_t supported;
	/** Bytes that the source has. */
	uint64_t image_size;
	/** One line for humans: "bzImage, boot protocol 2.15". */
	char description[104];
};

/**
 * Say what an image is, from its first bytes.
 *
 * That it is recognised and supported does not mean that it is intact.
 *
 * @param source    the image
 * @param[out] out  what it is; #VMM_LOAD_FORMAT_UNKNOWN is a result, not a failure
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EINVAL  neither a regular file nor a buffer
 * @retval -E2BIG   the source structure has a tail that this version does not know
 * @retval -EISDIR  a directory
 * @retval -EBADMSG the image has no bytes
 * @retval -EIO     and other codes of fstat() and pread(), as they are
 */
VMM_API VMM_MUST_USE int vmm_load_probe(const struct vmm_load_source *source,
					struct vmm_load_probe_result *out,
					struct vmm_error *err);

/** Kinds of guest memory in a map; the first five are the numbers of ACPI and e820. */
enum vmm_load_map_type {
	VMM_LOAD_MAP_RAM = 1,
	VMM_LOAD_MAP_RESERVED = 2,
	/** Holds ACPI tables; the guest may use it as RAM once it has read them. */
	VMM_LOAD_MAP_ACPI = 3,
	/** ACPI memory that the guest must keep across sleep. */
	VMM_LOAD_MAP_NVS = 4,
	VMM_LOAD_MAP_UNUSABLE = 5,
	/** RAM that something was loaded into. The guest is told it is RAM. */
	VMM_LOAD_MAP_TAKEN = 0x1000,
};

/** Most entries of one map. */
#define VMM_LOAD_MAP_MAX 128u

/** One range of a map. */
struct vmm_load_map_entry {
	uint64_t gpa;
	/** Bytes, not 0. */
	uint64_t len;
	/** enum vmm_load_map_type */
	uint32_t type;
	/** Zero. */
	uint32_t reserved_;
};

/**
 * Who uses which guest address: sorted ranges that neither overlap nor touch a
 * neighbour of the same type. What no entry covers is a hole. Plain data; `{ 0 }` is
 * an empty map. Change it only through the calls below.
 */
struct vmm_load_map {
	uint32_t count;
	/** Zero. */
	uint32_t reserved_;
	struct vmm_load_map_entry entry[VMM_LOAD_MAP_MAX];
};

/**
 * Declare a range to be of a type, whatever it was before.
 *
 * @param map       the map, unchanged on failure
 * @param gpa       first byte
 * @param len       bytes
 * @param type      enum vmm_load_map_type, or 0 to make a hole
 * @retval 0        done
 * @retval -EINVAL  @p len is 0, the range passes the end of the address space, or the
 *                  type is unknown
 * @retval -E2BIG   more than #VMM_LOAD_MAP_MAX entries
 */
VMM_API VMM_MUST_USE int vmm_load_map_set(struct vmm_load_map *map, uint64_t gpa,
					  uint64_t len, uint32_t type);

/**
 * Declare each region of guest memory: read-only ones as reserved, others as RAM.
 *
 * @retval 0        done
 * @retval -E2BIG   more than #VMM_LOAD_MAP_MAX entries; the map is unchanged
 */
VMM_API VMM_MUST_USE int vmm_load_map_set_mem(struct vmm_load_map *map,
					      const struct vmm_mem *mem);

/** Say whether each byte of [gpa, gpa + len) is of @p type; true for length 0. */
VMM_API VMM_MUST_USE bool vmm_load_map_is(const struct vmm_load_map *map, uint64_t gpa,
					  uint64_t len, uint32_t type);

/**
 * Take a range of free RAM, so that nothing else is put there.
 *
 * @param map       the map, unchanged on failure
 * @param gpa       first byte
 * @param len       bytes; 0 takes nothing
 * @retval 0        done
 * @retval -EINVAL  the range passes the end of the address space
 * @retval -EFAULT  part of it is not RAM
 * @retval -EBUSY   part of it is taken
 * @retval -E2BIG   more than #VMM_LOAD_MAP_MAX entries
 */
VMM_API VMM_MUST_USE int vmm_load_map_take(struct vmm_load_map *map, uint64_t gpa,
					   uint64_t len);

/**
 * Find the highest place for @p len bytes of free RAM. The map is not changed.
 *
 * @param map       the map
 * @param len       bytes, not 0
 * @param align     power of two that the first byte is a multiple of
 * @param first     lowest address allowed
 * @param last      highest address that the last byte may have
 * @param[out] out  where the first byte goes
 * @retval 0        found
 * @retval -EINVAL  @p len is 0 or @p align not a power of two
 * @retval -ENOSPC  there is no such place
 */
VMM_API VMM_MUST_USE int vmm_load_map_find(const struct vmm_load_map *map, uint64_t len,
					   uint64_t align, uint64_t first, uint64_t last,
					   uint64_t *out);

/** Most bytes that a compressed kernel may unpack to unless the caller says more. */
#define VMM_LOAD_UNPACK_DEFAULT (UINT64_C(512) << 20)

/** Load the bytes as they are to `load_gpa`, whatever they look like: firmware. Read-only
 *  memory is written, too: it is the guest's ROM. */
#define VMM_LOAD_RAW (UINT32_C(1) << 0)
/** With #VMM_LOAD_RAW: `load_gpa` is the address behind the last byte, as for firmware that
 *  ends at 4 GiB, where an x86 CPU starts. */
#define VMM_LOAD_RAW_END (UINT32_C(1) << 1)

/** Options of vmm_load_kernel(). */
struct vmm_load_kernel_opts {
	/** Size of this structure. */
	size_t size;
	/** enum vmm_load_arch that the guest has; an image for another one is refused. */
	uint32_t arch;
	/** VMM_LOAD_RAW and VMM_LOAD_RAW_END */
	uint32_t flags;
	/** Where an image that can be moved goes; 0: where it likes best, which for the
	 *  arm64 and riscv formats is the lowest place that fits. */
	uint64_t load_gpa;
	/** Lowest address that the kernel may use; 0: 1 MiB on x86_64, else 0. */
	uint64_t min_gpa;
	/** Most bytes that a compressed image may unpack to; 0:
	 *  #VMM_LOAD_UNPACK_DEFAULT. */
	uint64_t unpack_max;
	/** When not NULL, the kernel must fit in free RAM of this map and takes it. ROM is not
	 *  RAM: NULL for firmware that goes there. */
	struct vmm_load_map *map;
};

/** Defaults: any machine, the image's own place. */
#define VMM_LOAD_KERNEL_OPTS_INIT                                        \
	{                                                                \
		sizeof(struct vmm_load_kernel_opts), 0, 0, 0, 0, 0, NULL \
	}

/** Most bytes that an x86 setup header can have from offset 0x1f1 on. */
#define VMM_LOAD_SETUP_HEADER_MAX 144u

/** A loaded kernel. Addresses that the image does not have are #VMM_LOAD_NONE. */
struct vmm_load_result {
	/** enum vmm_load_format, of the kernel itself */
	uint32_t format;
	/** enum vmm_load_format of the compressed file it came in, else 0 */
	uint32_t wrapper;
	/** enum vmm_load_arch */
	uint32_t arch;
	/** Most bytes of a command line, without its NUL. */
	uint32_t cmdline_max;
	/** Where byte 0 of the image went (bzImage: of its protected-mode part); ELF: the
	 *  lowest segment. */
	uint64_t load_gpa;
	/** Where a CPU in 64-bit mode starts. bzImage: load_gpa + 0x200. Raw: load_gpa,
	 *  unless the firmware wants to start at a reset vector. */
	uint64_t entry;
	/** bzImage: where a CPU in 32-bit protected mode starts. */
	uint64_t entry32;
	/** ELF: the 32-bit entry that its PVH note names. */
	uint64_t pvh_entry;
	/** Lowest byte used, by the image or by what it does before it reads the memory
	 *  map. */
	uint64_t first_gpa;
	/** Highest byte used, counting BSS, `init_size` and `image_size`. */
	uint64_t last_gpa;
	/** Highest address that the last byte of an initrd may have. */
	uint64_t initrd_last_max;
	/** arm64: kernel and initrd must lie within one window of this many bytes that
	 *  starts at a multiple of 1 GiB; 0: no such rule. */
	uint64_t initrd_window;
	/** bzImage: xloadflags of the setup header. arm64: flags. */
	uint64_t flags;
	/** bzImage: bytes in @p setup_header; else 0. */
	uint32_t setup_header_len;
	/** Zero. */
	uint32_t reserved_;
	/** bzImage: file bytes from 0x1f1 to 0x202 + the length at 0x201, with
	 *  `code32_start` set to where it was loaded. */
	uint8_t setup_header[VMM_LOAD_SETUP_HEADER_MAX];
};

/**
 * Load a kernel, whichever format it has.
 *
 * File bytes go straight to where they belong in guest memory, BSS is zeroed. A message
 * says file, offset, what was wanted and what was found.
 *
 * @param mem       guest memory, all of the kernel's range writable
 * @param source    the image
 * @param opts      options; NULL for the defaults
 * @param[out] out  where everything is
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EINVAL  the source is no file or buffer; an option is out of range, or does
 *                  not suit the image (`load_gpa` for ELF, alignment)
 * @retval -E2BIG   unknown structure tail; or the image exceeds a limit: 64 loadable
 *                  segments, 4096 notes, @p unpack_max
 * @retval -EISDIR  the source is a directory
 * @retval -ENOEXEC not a kernel, or one for another machine
 * @retval -EBADMSG truncated or damaged
 * @retval -EOPNOTSUPP recognised, but this library or build cannot load it
 * @retval -EFAULT  it does not fit into guest memory, or into free RAM of the map
 * @retval -EROFS   part of that memory is read-only
 * @retval -EBUSY   part of that memory is taken in the map
 * @retval -ENOMEM  no memory to unpack it
 * @retval -EIO     and other codes of fstat() and pread(); memory may have changed
 */
VMM_API VMM_MUST_USE int vmm_load_kernel(const struct vmm_mem *mem,
					 const struct vmm_load_source *source,
					 const struct vmm_load_kernel_opts *opts,
					 struct vmm_load_result *out,
					 struct vmm_error *err);

/**
 * Fill a buffer with random bytes of the host, for a guest that has no other source when
 * it starts: an entry #VMM_LOAD_SETUP_RNG_SEED of setup_data, `rng-seed` and `kaslr-seed`
 * of a device tree. 32 bytes are enough for each; wipe the buffer after use.
 *
 * @param[out] buf  room for the bytes; undefined after a failure
 * @param len       how many, not 0; 4096 at most
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EINVAL  @p len is 0 or above 4096
 * @retval -ENOSYS  and other codes of getrandom(), as they are
 */
VMM_API VMM_MUST_USE int vmm_load_random(void *buf, size_t len, struct vmm_error *err);

/** Where something lies in guest memory. */
struct vmm_load_range {
	uint64_t gpa;
	uint64_t len;
};

/**
 * Load an initrd as high as the kernel's rules and the map allow, on a page.
 *
 * @param mem       guest memory
 * @param map       where RAM is free; the initrd is taken in it
 * @param kernel    the kernel it is for
 * @param source    the initrd
 * @param[out] out  where it is
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EINVAL  the source is no file or buffer
 * @retval -EBADMSG the initrd has no bytes
 * @retval -EISDIR  the source is a directory
 * @retval -ENOSPC  no free RAM holds it within the kernel's limits
 * @retval -EFAULT  the map names RAM that @p mem does not have
 * @retval -EROFS   the map names RAM that is read-only in @p mem
 * @retval -E2BIG   unknown structure tail, or the map is full
 * @retval -EIO     and other codes of fstat() and pread(); memory may have changed
 */
VMM_API VMM_MUST_USE int vmm_load_initrd(const struct vmm_mem *mem,
					 struct vmm_load_map *map,
					 const struct vmm_load_result *kernel,
					 const struct vmm_load_source *source,
					 struct vmm_load_range *out,
					 struct vmm_error *err);

/**
 * Choose the place of an initrd without loading it; results as vmm_load_initrd().
 *
 * @param map       where RAM is free; not changed
 * @param kernel    the kernel it is for
 * @param len       bytes, not 0
 * @param[out] out  where the first byte goes
 * @param[out] err  detail on failure
 * @retval 0        found
 * @retval -EINVAL  @p len is 0
 * @retval -ENOSPC  no free RAM holds it within the kernel's limits
 */
VMM_API VMM_MUST_USE int vmm_load_initrd_place(const struct vmm_load_map *map,
					       const struct vmm_load_result *kernel,
					       uint64_t len, uint64_t *out,
					       struct vmm_error *err);

/** Most bytes of a command line that any builder takes, with its NUL. */
#define VMM_LOAD_CMDLINE_MAX 65536u

/**
 * A kernel command line under construction: boot parameters, and arguments of init
 * after ` -- `.
 *
 * Words are what the kernel sees: separated by white space outside double quotes, `key`
 * or `key=value`, and `-` and `_` in keys mean the same. Bytes are printable ASCII,
 * 0x20 to 0x7e. After vmm_load_cmdline_new() no call needs memory. Not locked.
 */
struct vmm_load_cmdline;

/**
 * Make an empty command line.
 *
 * @param max       most bytes, with the NUL: vmm_load_result's `cmdline_max` + 1
 * @param[out] out  the command line, to be released with vmm_load_cmdline_free()
 * @retval 0        done
 * @retval -EINVAL  @p max is 0 or above #VMM_LOAD_CMDLINE_MAX
 * @retval -ENOMEM  out of memory
 */
VMM_API VMM_MUST_USE int vmm_load_cmdline_new(size_t max, struct vmm_load_cmdline **out);

/** Release @p cmdline. NULL is allowed. */
VMM_API void vmm_load_cmdline_free(struct vmm_load_cmdline *cmdline);

/**
 * Return the text, NUL-terminated; borrowed, and valid until the next change.
 */
VMM_API const char *vmm_load_cmdline_get_text(const struct vmm_load_cmdline *cmdline);

/** Return the length of the text, without its NUL. */
VMM_API size_t vmm_load_cmdline_get_len(const struct vmm_load_cmdline *cmdline);

/**
 * Replace all by @p text. A word `--` outside quotes starts the arguments of init.
 *
 * @param cmdline   the command line, unchanged on failure
 * @param text      what it says from now on
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EINVAL  a byte that is not printable ASCII, or a quote that is not closed
 * @retval -E2BIG   too long
 */
VMM_API VMM_MUST_USE int vmm_load_cmdline_set_text(struct vmm_load_cmdline *cmdline,
						   const char *text,
						   struct vmm_error *err);

/**
 * Append words to the boot parameters, as they are; white space around them goes. Text
 * without words changes nothing.
 *
 * @retval 0        done
 * @retval -EINVAL  not printable ASCII, a quote that is not closed, or a word `--`
 * @retval -E2BIG   too long
 */
VMM_API VMM_MUST_USE int vmm_load_cmdline_add_text(struct vmm_load_cmdline *cmdline,
						   const char *text,
						   struct vmm_error *err);

/** Append words to the arguments of init; results as vmm_load_cmdline_add_text(), but
 *  `--` is a word like any other. */
VMM_API VMM_MUST_USE int vmm_load_cmdline_add_init(struct vmm_load_cmdline *cmdline,
						   const char *text,
						   struct vmm_error *err);

/**
 * Append `key` or `key=value` to the boot parameters. A value with spaces is put into
 * double quotes unless it is already.
 *
 * @param cmdline   the command line, unchanged on failure
 * @param key       not empty; no space, `=` or `"`; not `--`
 * @param value     NULL for a key alone
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EINVAL  the key or the value breaks the rules; a value may have no `"` but
 *                  one around all of it
 * @retval -E2BIG   too long
 */
VMM_API VMM_MUST_USE int vmm_load_cmdline_add(struct vmm_load_cmdline *cmdline,
					      const char *key, const char *value,
					      struct vmm_error *err);

/**
 * Append `key=v0,v1,...`; results as vmm_load_cmdline_add().
 *
 * @param cmdline   the command line, unchanged on failure
 * @param key       as vmm_load_cmdline_add()
 * @param values    what the commas go between; none may contain one, a space or a `"`
 * @param count     how many, not 0
 * @param[out] err  detail on failure
 */
VMM_API VMM_MUST_USE int vmm_load_cmdline_add_list(struct vmm_load_cmdline *cmdline,
						   const char *key,
						   const char *const *values,
						   size_t count, struct vmm_error *err);

/**
 * Append the `virtio_mmio.device=` that tells a kernel without ACPI or device tree of a
 * device: `virtio_mmio.device=4K@0xd0000000:5:1`.
 *
 * @param cmdline   the command line, unchanged on failure
 * @param len       bytes of its register window, not 0
 * @param gpa       where the window is
 * @param irq       its interrupt
 * @param id        its number, or -1 to leave that to the kernel
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -EINVAL  @p len is 0, the window wraps, or @p id is below -1
 * @retval -E2BIG   too long
 */
VMM_API VMM_MUST_USE int vmm_load_cmdline_add_virtio_mmio(
    struct vmm_load_cmdline *cmdline, uint64_t len, uint64_t gpa, uint32_t irq,
    int32_t id, struct vmm_error *err);

/**
 * Look a boot parameter up. When it occurs more than once, the last one counts.
 *
 * @param cmdline      the command line
 * @param key          what to look for
 * @param[out] buf     the value without quotes, NUL-terminated, cut to fit; "" for a
 *                     key without one. May be NULL when @p size is 0
 * @param size         bytes of @p buf
 * @param[out] out_len full length of the value without NUL; may be NULL
 * @retval 0           found
 * @retval -ENOENT     no such key
 */
VMM_API VMM_MUST_USE int vmm_load_cmdline_get(const struct vmm_load_cmdline *cmdline,
					      const char *key, char *buf, size_t size,
					      size_t *out_len);

/** Remove each occurrence of @p key among the boot parameters.
 *  @return how many there were */
VMM_API size_t vmm_load_cmdline_remove(struct vmm_load_cmdline *cmdline, const char *key);

/** Replace each occurrence of @p key by one at the end; parameters and results as
 *  vmm_load_cmdline_add(). */
VMM_API VMM_MUST_USE int vmm_load_cmdline_set(struct vmm_load_cmdline *cmdline,
					      const char *key, const char *value,
					      struct vmm_error *err);

/**
 * Write a command line and its NUL to guest memory.
 *
 * @param mem       guest memory
 * @param gpa       where it starts
 * @param text      the command line
 * @param max       most bytes without NUL: vmm_load_result's `cmdline_max`
 * @param[out] err  detail on failure
 * @retval 0        done
 * @retval -E2BIG   too long
 * @retval -EFAULT  it does not fit into guest memory
 * @retval -EROFS   that memory is read-only
 */
VMM_API VMM_MUST_USE int vmm_load_cmdline_write(const struct vmm_mem *mem, uint64_t gpa,
						const char *text, uint32_t max,
						struct vmm_error *err);

VMM_DEFINE_CLEANUP(vmm_load_cmdline, vmm_load_cmdline_free)

VMM_END_DECLS

#endif

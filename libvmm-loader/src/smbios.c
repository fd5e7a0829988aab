/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <vmm/smbios.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "options.h"

/* DSP0134 3.4.0: 5.2.2 is the entry point, 7 the structures. */
#define TABLE_AT 32u
#define HANDLE_CHASSIS 0x0300u
#define HANDLE_CPU 0x0400u
#define HANDLE_ARRAY 0x1000u
#define HANDLE_MODULE 0x1100u
#define HANDLE_RANGE 0x1300u
#define NO_HANDLE 0xffffu
#define NOT_PROVIDED 0xfffeu

#define UNKNOWN 2u
#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)

/* Counts all, and writes what fits: one pass without room tells the length. */
struct writer {
	uint8_t *buf;
	size_t size;
	size_t len;
	/* Strings so far of the structure that is being written. */
	uint8_t strings;
};

static void put(struct writer *w, const void *data, size_t len)
{
	if (w->len <= w->size && len <= w->size - w->len)
		memcpy(w->buf + w->len, data, len);
	w->len += len;
}

static void put_text(struct writer *w, const char *text)
{
	if (text)
		put(w, text, strlen(text) + 1);
}

/* The number of a string in its structure; 0 is "not specified". */
static uint8_t number(struct writer *w, const char *text)
{
	return text ? ++w->strings : 0;
}

static void begin(struct writer *w)
{
	w->strings = 0;
}

/* The fixed part: type and handle are put in here. */
static void fixed(struct writer *w, uint8_t type, uint16_t handle, uint8_t *data,
		  size_t len)
{
	data[0] = type;
	data[1] = (uint8_t)len;
	put_le16(data + 2, handle);
	put(w, data, len);
}

/* Strings are over: one NUL more, two when there were none (6.1.3). */
static void end(struct writer *w)
{
	put(w, "\0", w->strings ? 1 : 2);
}

static void put_bios(struct writer *w, const struct vmm_smbios_machine *m)
{
	uint8_t d[0x1a] = { 0 };

	begin(w);
	d[0x04] = number(w, m->bios_vendor);
	d[0x05] = number(w, m->bios_version);
	d[0x08] = number(w, m->bios_date);
	/* Characteristics are not supported; extension byte 2: a virtual machine. */
	d[0x0a] = 0x08;
	d[0x13] = 0x10;
	memset(d + 0x14, 0xff, 4);
	fixed(w, 0, 0, d, sizeof(d));
	put_text(w, m->bios_vendor);
	put_text(w, m->bios_version);
	put_text(w, m->bios_date);
	end(w);
}

/* 7.2.1: the first three fields are little-endian, whatever RFC 4122 says. */
static void put_uuid(uint8_t out[16], const uint8_t uuid[16])
{
	static const uint8_t from[] = { 3, 2, 1,  0,  5,  4,  7,  6,
					8, 9, 10, 11, 12, 13, 14, 15 };

	for (size_t i = 0; i < 16; i++)
		out[i] = uuid[from[i]];
}

static void put_system(struct writer *w, const struct vmm_smbios_machine *m)
{
	uint8_t d[0x1b] = { 0 };

	begin(w);
	d[0x04] = number(w, m->manufacturer);
	d[0x05] = number(w, m->product);
	d[0x06] = number(w, m->version);
	d[0x07] = number(w, m->serial);
	put_uuid(d + 0x08, m->uuid);
	/* Wake-up: power switch. */
	d[0x18] = 6;
	d[0x19] = number(w, m->sku);
	d[0x1a] = number(w, m->family);
	fixed(w, 1, 0x0100, d, sizeof(d));
	put_text(w, m->manufacturer);
	put_text(w, m->product);
	put_text(w, m->version);
	put_text(w, m->serial);
	put_text(w, m->sku);
	put_text(w, m->family);
	end(w);
}

static void put_board(struct writer *w, const struct vmm_smbios_machine *m)
{
	uint8_t d[0x0f] = { 0 };

	begin(w);
	d[0x04] = number(w, m->manufacturer);
	d[0x05] = number(w, m->product);
	d[0x06] = number(w, m->version);
	d[0x07] = number(w, m->serial);
	/* A hosting board, and a motherboard. */
	d[0x09] = 0x01;
	put_le16(d + 0x0b, HANDLE_CHASSIS);
	d[0x0d] = 0x0a;
	fixed(w, 2, 0x0200, d, sizeof(d));
	put_text(w, m->manufacturer);
	put_text(w, m->product);
	put_text(w, m->version);
	put_text(w, m->serial);
	end(w);
}

static void put_chassis(struct writer *w, const struct vmm_smbios_machine *m)
{
	uint8_t d[0x16] = { 0 };

	begin(w);
	d[0x04] = number(w, m->manufacturer);
	/* "Other"; the states are safe, security is none. */
	d[0x05] = 0x01;
	d[0x06] = number(w, m->version);
	d[0x07] = number(w, m->serial);
	d[0x08] = number(w, m->asset_tag);
	d[0x09] = d[0x0a] = d[0x0b] = d[0x0c] = 0x03;
	fixed(w, 3, HANDLE_CHASSIS, d, sizeof(d));
	put_text(w, m->manufacturer);
	put_text(w, m->version);
	put_text(w, m->serial);
	put_text(w, m->asset_tag);
	end(w);
}

static uint8_t byte_count(uint32_t n)
{
	return n > UINT8_MAX ? UINT8_MAX : (uint8_t)n;
}

static void put_cpu(struct writer *w, const struct vmm_smbios_machine *m, uint32_t socket)
{
	uint32_t cores = m->cores_per_socket, threads = cores * m->threads_per_core;
	char name[] = "CPU 000";
	uint8_t d[0x30] = { 0 };

	begin(w);
	name[4] = (char)('0' + socket / 100);
	name[5] = (char)('0' + socket / 10 % 10);
	name[6] = (char)('0' + socket % 10);
	d[0x04] = number(w, name);
	/* A central processor, its family in the 16-bit field: "other". */
	d[0x05] = 0x03;
	d[0x06] = 0xfe;
	d[0x07] = number(w, m->cpu_manufacturer);
	d[0x10] = number(w, m->cpu_version);
	put_le16(d + 0x14, (uint16_t)m->cpu_mhz);
	put_le16(d + 0x16, (uint16_t)m->cpu_mhz);
	/* Populated and enabled; its socket is "other", it has no cache structures. */
	d[0x18] = 0x41;
	d[0x19] = 0x01;
	memset(d + 0x1a, 0xff, 6);
	d[0x23] = byte_count(cores);
	d[0x24] = byte_count(cores);
	d[0x25] = byte_count(threads);
	/* 64-bit capable; more than one core, more than one thread. */
	put_le16(d + 0x26, (uint16_t)(0x04 | (cores > 1 ? 0x08 : 0) |
				      (m->threads_per_core > 1 ? 0x10 : 0)));
	put_le16(d + 0x28, 0x01);
	put_le16(d + 0x2a, (uint16_t)cores);
	put_le16(d + 0x2c, (uint16_t)cores);
	put_le16(d + 0x2e, (uint16_t)threads);
	fixed(w, 4, (uint16_t)(HANDLE_CPU + socket), d, sizeof(d));
	put_text(w, name);
	put_text(w, m->cpu_manufacturer);
	put_text(w, m->cpu_version);
	end(w);
}

static void put_oem_strings(struct writer *w, const struct vmm_smbios_machine *m)
{
	uint8_t d[5] = { 0 };

	if (m->oem_string_count == 0)
		return;
	begin(w);
	w->strings = d[0x04] = (uint8_t)m->oem_string_count;
	fixed(w, 11, 0x0b00, d, sizeof(d));
	for (size_t i = 0; i < m->oem_string_count; i++)
		put_text(w, m->oem_strings[i]);
	end(w);
}

static void put_array(struct writer *w, uint64_t total)
{
	uint8_t d[0x17] = { 0 };

	begin(w);
	/* On the system board, system memory, no error correction known. */
	d[0x04] = 0x03;
	d[0x05] = 0x03;
	d[0x06] = UNKNOWN;
	put_le32(d + 0x07, 0x80000000);
	if (total / KIB < 0x80000000)
		put_le32(d + 0x07, (uint32_t)(total / KIB));
	else
		put_le64(d + 0x0f, total);
	put_le16(d + 0x0b, NOT_PROVIDED);
	put_le16(d + 0x0d, 1);
	fixed(w, 16, HANDLE_ARRAY, d, sizeof(d));
	end(w);
}

static void put_module(struct writer *w, uint64_t total,
		       const struct vmm_smbios_machine *m)
{
	static const char name[] = "DIMM 0";
	uint8_t d[0x28] = { 0 };

	begin(w);
	put_le16(d + 0x04, HANDLE_ARRAY);
	put_le16(d + 0x06, NOT_PROVIDED);
	put_le16(d + 0x08, 0xffff);
	put_le16(d + 0x0a, 0xffff);
	/* In MiB; in KiB with the top bit; 0x7fff: see the extended size. */
	if (total % MIB && total / KIB < 0x8000)
		put_le16(d + 0x0c, (uint16_t)(0x8000 | total / KIB));
	else if (total / MIB < 0x7fff)
		put_le16(d + 0x0c, (uint16_t)(total / MIB));
	else {
		put_le16(d + 0x0c, 0x7fff);
		put_le32(d + 0x1c, (uint32_t)(total / MIB));
	}
	/* A DIMM of RAM that has no parity. */
	d[0x0e] = 0x09;
	d[0x10] = number(w, name);
	d[0x12] = 0x07;
	put_le16(d + 0x13, 0x02);
	d[0x17] = number(w, m->manufacturer);
	fixed(w, 17, HANDLE_MODULE, d, sizeof(d));
	put_text(w, name);
	put_text(w, m->manufacturer);
	end(w);
}

static void put_range(struct writer *w, const struct vmm_load_range *r, uint16_t handle)
{
	uint64_t last = r->gpa + (r->len - 1);
	uint8_t d[0x1f] = { 0 };

	begin(w);
	/* Both in KiB when they fit and nothing is lost by it, else in bytes. */
	if (last / KIB < UINT32_MAX && r->gpa % KIB == 0 && r->len % KIB == 0) {
		put_le32(d + 0x04, (uint32_t)(r->gpa / KIB));
		put_le32(d + 0x08, (uint32_t)(last / KIB));
	} else {
		put_le32(d + 0x04, UINT32_MAX);
		put_le32(d + 0x08, UINT32_MAX);
		put_le64(d + 0x0f, r->gpa);
		put_le64(d + 0x17, last);
	}
	put_le16(d + 0x0c, HANDLE_ARRAY);
	d[0x0e] = 1;
	fixed(w, 19, handle, d, sizeof(d));
	end(w);
}

static uint64_t total_memory(const struct vmm_smbios_machine *m)
{
	uint64_t total = 0;

	for (size_t i = 0; i < m->memory_count; i++)
		total += m->memory[i].len;
	return total;
}

static void put_all(struct writer *w, const struct vmm_smbios_machine *m)
{
	uint8_t boot[0x0b] = { 0 }, last[4] = { 0 };
	uint64_t total = total_memory(m);

	put_bios(w, m);
	put_system(w, m);
	put_board(w, m);
	put_chassis(w, m);
	for (uint32_t i = 0; i < m->socket_count; i++)
		put_cpu(w, m, i);
	put_oem_strings(w, m);
	if (m->memory_count) {
		put_array(w, total);
		put_module(w, total, m);
	}
	for (size_t i = 0; i < m->memory_count; i++)
		put_range(w, &m->memory[i], (uint16_t)(HANDLE_RANGE + i));
	/* Boot status: no errors. */
	begin(w);
	fixed(w, 32, 0x2000, boot, sizeof(boot));
	end(w);
	begin(w);
	fixed(w, 127, 0x7f00, last, sizeof(last));
	end(w);
}

static void put_entry(uint8_t out[VMM_SMBIOS_ENTRY_LEN], uint64_t table, size_t len)
{
	uint8_t sum = 0;

	memset(out, 0, VMM_SMBIOS_ENTRY_LEN);
	memcpy(out, "_SM3_", 5);
	out[6] = VMM_SMBIOS_ENTRY_LEN;
	/* 3.4.0, in the first form of the entry point. */
	out[7] = 3;
	out[8] = 4;
	out[10] = 1;
	put_le32(out + 12, (uint32_t)len);
	put_le64(out + 16, table);
	for (size_t i = 0; i < VMM_SMBIOS_ENTRY_LEN; i++)
		sum = (uint8_t)(sum + out[i]);
	out[5] = (uint8_t)-sum;
}

static int check_string(const char *text, struct vmm_error *err)
{
	size_t n = 0;

	if (!text)
		return 0;
	for (; n <= VMM_SMBIOS_STRING_MAX && text[n]; n++)
		if (text[n] < 0x20 || text[n] > 0x7e)
			return vmm_error_at(err, -EINVAL, n, 0, (uint8_t)text[n],
					    "SMBIOS: a string with byte 0x%02x",
					    (uint8_t)text[n]);
	if (n == 0 || n > VMM_SMBIOS_STRING_MAX)
		return vmm_error_at(err, -EINVAL, 0, VMM_SMBIOS_STRING_MAX, n,
				    "SMBIOS: a string that is empty or longer than %u",
				    VMM_SMBIOS_STRING_MAX);
	return 0;
}

static int check_strings(const struct vmm_smbios_machine *m, struct vmm_error *err)
{
	const char *const texts[] = {
		m->bios_vendor, m->bios_version, m->bios_date,	 m->manufacturer,
		m->product,	m->version,	 m->serial,	 m->sku,
		m->family,	m->asset_tag,	 m->cpu_version, m->cpu_manufacturer,
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && ret == 0; i++)
		ret = check_string(texts[i], err);
	for (size_t i = 0; i < m->oem_string_count && ret == 0; i++) {
		/* A string of a list has a number, so it must be there. */
		ret = check_string(m->oem_strings[i] ? m->oem_strings[i] : "", err);
	}
	return ret;
}

static int check_memory(const struct vmm_smbios_machine *m, struct vmm_error *err)
{
	uint64_t last, next = 0, total = 0;

	for (size_t i = 0; i < m->memory_count; i++) {
		const struct vmm_load_range *r = &m->memory[i];

		if (r->len == 0 || r->gpa < next || range_last(r->gpa, r->len, &last) ||
		    last == UINT64_MAX)
			return vmm_error_at(err, -EINVAL, r->gpa, next, r->len,
					    "SMBIOS: range %zu of memory has no bytes, "
					    "wraps, or is not sorted",
					    i);
		next = last + 1;
		total += r->len;
	}
	/* The extended size has 31 bits of MiB. */
	if (total / MIB > 0x7fffffff)
		return vmm_error_at(err, -E2BIG, 0, 0x7fffffff, total / MIB,
				    "SMBIOS: %" PRIu64 " MiB of memory", total / MIB);
	return 0;
}

static int check(const struct vmm_smbios_machine *m, uint64_t gpa, struct vmm_error *err)
{
	int ret;

	if (gpa % 16)
		return vmm_error_at(
		    err, -EINVAL, gpa, 16, gpa,
		    "SMBIOS: address 0x%" PRIx64 " is not a multiple of 16", gpa);
	if (!m->socket_count || !m->cores_per_socket || !m->threads_per_core)
		return vmm_error_set(err, -EINVAL,
				     "SMBIOS: no sockets, cores or threads");
	/* An OEM string's number has 8 bits, a thread count 16. */
	if (m->socket_count > VMM_SMBIOS_ITEMS_MAX ||
	    m->memory_count > VMM_SMBIOS_ITEMS_MAX ||
	    m->oem_string_count > VMM_SMBIOS_ITEMS_MAX || m->cores_per_socket > 0xfffe ||
	    m->threads_per_core > 0xfffe ||
	    m->cores_per_socket * m->threads_per_core > 0xfffe || m->cpu_mhz > UINT16_MAX)
		return vmm_error_set(err, -E2BIG,
				     "SMBIOS: more of something than can be told");
	ret = check_strings(m, err);
	return ret < 0 ? ret : check_memory(m, err);
}

int vmm_smbios_build(const struct vmm_smbios_machine *machine, uint64_t gpa, void *buf,
		     size_t size, size_t *out_len, struct vmm_error *err)
{
	struct vmm_smbios_machine m;
	struct writer w = { 0 };
	uint64_t last;
	int ret = load_options_copy(&m, sizeof(m), machine);

	if (ret < 0)
		return vmm_error_set(err, ret, "SMBIOS: unknown structure size");
	ret = check(&m, gpa, err);
	if (ret < 0)
		return ret;
	put_all(&w, &m);
	if (range_last(gpa, TABLE_AT + w.len, &last))
		return vmm_error_at(err, -EINVAL, gpa, 0, TABLE_AT + w.len,
				    "SMBIOS: passes the end of the address space");
	if (TABLE_AT + w.len > size)
		return vmm_error_at(err, -ENOSPC, gpa, TABLE_AT + w.len, size,
				    "SMBIOS: takes %zu bytes, there is room for %zu",
				    TABLE_AT + w.len, size);
	w = (struct writer){ .buf = (uint8_t *)buf + TABLE_AT, .size = size - TABLE_AT };
	memset(buf, 0, TABLE_AT);
	put_all(&w, &m);
	put_entry(buf, gpa + TABLE_AT, w.len);
	*out_len = TABLE_AT + w.len;
	return 0;
}

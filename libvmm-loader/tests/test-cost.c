/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The most that 64 KiB of hostile image can cost: a second, and 64 MiB of our memory. */
#include "load-test.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#ifdef LOADER_HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef LOADER_HAVE_LZMA
#include <lzma.h>
#endif

#ifdef __SANITIZE_ADDRESS__
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW 0
#endif

#define FILE_LEN 65536u

static uint8_t image[FILE_LEN];
#if defined(LOADER_HAVE_ZLIB) || defined(LOADER_HAVE_LZMA)
static uint8_t zeros[65536];
#endif

static double cpu_seconds(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long peak_kib(void)
{
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
	return u.ru_maxrss;
}

/* In a process of its own, whose peak starts at what it has. */
static void measure_here(const char *what)
{
	VMM_CLEANUP(vmm_mem_free) struct vmm_mem *mem = test_ram(20 * MIB);
	struct vmm_load_source s = test_source(image, FILE_LEN);
	struct vmm_error err = { 0 };
	struct vmm_load_result r;
	double start = cpu_seconds(), took;
	long before = peak_kib(), more;
	int ret = vmm_load_kernel(mem, &s, NULL, &r, &err);

	took = cpu_seconds() - start;
	more = peak_kib() - before;
	/* Sanitizers keep freed memory and count each access. */
	if (ret == 0 || took > (SLOW ? 10.0 : 1.0) || (!SLOW && more > 64 * 1024)) {
		fprintf(stderr, "# %s: %d, %.2f s, %ld KiB (%s)\n", what, ret, took, more,
			err.message);
		_exit(1);
	}
}

static void measure(const char *what)
{
	int status = 1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		measure_here(what);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void bombs_are_cheap(void **state)
{
#ifdef LOADER_HAVE_ZLIB
	z_stream z = { 0 };

	memset(image, 0, sizeof(image));
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY),
			 Z_OK);
	z.next_out = image;
	z.avail_out = FILE_LEN;
	while (z.avail_out > 1024) {
		z.next_in = zeros;
		z.avail_in = sizeof(zeros);
		assert_int_equal(deflate(&z, Z_NO_FLUSH), Z_OK);
	}
	(void)deflateEnd(&z);
	measure("gzip");
#endif
#ifdef LOADER_HAVE_LZMA
	/* Window and output, both as large as may be. */
	lzma_stream l = LZMA_STREAM_INIT;
	lzma_options_lzma o;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &o },
					{ LZMA_VLI_UNKNOWN, NULL } };

	memset(image, 0, sizeof(image));
	assert_false(lzma_lzma_preset(&o, 0));
	o.dict_size = 64 << 20;
	assert_int_equal(lzma_stream_encoder(&l, filters, LZMA_CHECK_CRC32), LZMA_OK);
	l.next_out = image;
	l.avail_out = FILE_LEN;
	for (unsigned int i = 0; i < 2048; i++) {
		l.next_in = zeros;
		l.avail_in = sizeof(zeros);
		assert_int_equal(lzma_code(&l, LZMA_RUN), LZMA_OK);
	}
	assert_int_equal(lzma_code(&l, LZMA_FINISH), LZMA_STREAM_END);
	lzma_end(&l);
	measure("xz");
#endif
}

/* As many headers, segments and notes as fit. */
static void elf_tables_are_cheap(void **state)
{
	memset(image, 0, sizeof(image));
	test_elf(image);
	put_le16(image + 56, (FILE_LEN - 64) / 56);
	for (unsigned int i = 0; i < (FILE_LEN - 64) / 56; i++)
		test_elf_segment(test_elf_header(image, i), PT_NOTE, 64, 0, FILE_LEN - 64,
				 0);
	measure("headers that are notes");
	for (unsigned int i = 0; i < (FILE_LEN - 64) / 56; i++)
		test_elf_segment(test_elf_header(image, i), PT_LOAD, 64,
				 ELF_GPA0 + i * UINT64_C(0x10000), 1, 1);
	measure("segments");

	memset(image, 0, sizeof(image));
	test_elf(image);
	test_elf_segment(test_elf_header(image, 1), PT_NOTE, 0x400, 0, FILE_LEN - 0x400,
			 0);
	measure("empty notes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bombs_are_cheap),
		cmocka_unit_test(elf_tables_are_cheap),
	};

	/* meson test has malloc() fill what it gives, which would touch all of it. */
	(void)mallopt(M_PERTURB, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

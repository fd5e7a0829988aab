/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <vmm/superio-debug.h>
#include <vmm/superio-pl011.h>
#include <vmm/superio-rtc.h>
#include <vmm/superio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                           \
	do {                              \
		if (!(x))                 \
			__builtin_trap(); \
	} while (0)

/*
 * Lay the input over a good state: a state that is taken must be given out again and
 * taken again, and the device must stand some accesses; one that is refused must leave
 * the device with a state that is taken.
 */
#define TRY(x, ...)                                                             \
	do {                                                                    \
		VMM_CLEANUP(vmm_sio_##x##_free) struct vmm_sio_##x *dev = NULL; \
		union {                                                         \
			struct vmm_sio_##x##_state st;                          \
			uint8_t bytes[sizeof(struct vmm_sio_##x##_state)];      \
		} u;                                                            \
		int ret;                                                        \
                                                                                \
		u.st.size = sizeof(u);                                          \
		MUST(vmm_sio_##x##_new(__VA_ARGS__, &dev) == 0);                \
		MUST(vmm_sio_##x##_save(dev, &u.st) == 0);                      \
		overlay(u.bytes, sizeof(u), data, size);                        \
		ret = vmm_sio_##x##_restore(dev, &u.st, NULL);                  \
		MUST(ret == 0 || ret == -74 || ret == -95);                     \
		for (uint8_t i = 0; i < 32; i++) {                              \
			vmm_sio_##x##_write(dev, i & 7, i);                     \
			(void)vmm_sio_##x##_read(dev, i & 7);                   \
		}                                                               \
		u.st.size = sizeof(u);                                          \
		MUST(vmm_sio_##x##_save(dev, &u.st) == 0);                      \
		MUST(vmm_sio_##x##_restore(dev, &u.st, NULL) == 0);             \
	} while (0)

/* Runs of bytes: 16 bits of where, a length below 64, and the bytes. */
static void overlay(uint8_t *state, size_t len, const uint8_t *data, size_t size)
{
	while (size >= 3) {
		size_t at = ((size_t)data[0] << 8 | data[1]) % len, n = data[2] & 63;

		data += 3;
		size -= 3;
		if (n > size)
			n = size;
		if (n > len - at)
			n = len - at;
		if (at >= sizeof(size_t))
			memcpy(state + at, data, n);
		data += n;
		size -= n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t kind;

	if (size < 1)
		return 0;
	kind = data[0] % 8;
	data++;
	size--;
	switch (kind) {
	case 0:
		TRY(serial, NULL);
		break;
	case 1:
		TRY(pl011, NULL);
		break;
	case 2:
		TRY(i8042, NULL);
		break;
	case 3:
		TRY(power, NULL);
		break;
	case 4:
		TRY(pl031, NULL);
		break;
	case 5:
		TRY(cmos, NULL);
		break;
	case 6:
		TRY(debug_exit, NULL, NULL);
		break;
	default:
		TRY(boot_timer, NULL, NULL);
		break;
	}
	return 0;
}

# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Tiny bare-metal x86_64 kernels as ELF files: each does one thing to the machine.

They start in 64-bit mode with interrupts off, as a Linux kernel does, and use only
instructions that KVM's emulator knows, so they run on a software KVM as well.
"""
import struct

LOAD = 0x100000
COM1 = 0x3F8
I8042_COMMAND = 0x64
POWER = 0x600

# Machine code by hand: what each line means stands beside it.
HANG = b"\xfa\xf4\xeb\xfc"                                  # 1: cli; hlt; jmp 1b


def outb(port, value):
    return b"\x66\xba" + struct.pack("<H", port) + b"\xb0" + bytes([value]) + b"\xee"


def power_off():
    return outb(POWER, 5 << 2 | 1 << 5) + HANG


def say(text):
    """Polled, as the Linux kernel log does: interrupts masked, THRE awaited."""
    code = b""
    for byte in text.encode():
        code += outb_when_ready(byte)
    return code


def outb_when_ready(byte):
    return (b"\x66\xba" + struct.pack("<H", COM1 + 5)        # mov dx, LSR
            + b"\xec\xa8\x20\x74\xfb"                        # 1: in al, dx; test al, THRE; jz 1b
            + outb(COM1, byte))


def flood(count, text=b"0123456789abcdef"):
    """Write the text `count` times without looking at THRE once, then power off."""
    body = b"".join(b"\xb0" + bytes([b]) + b"\xee" for b in text)  # mov al, b; out dx, al
    loop = (b"\x66\xba" + struct.pack("<H", COM1)            # mov dx, COM1
            + b"\xb9" + struct.pack("<I", count))            # mov ecx, count
    step = body + b"\xff\xc9"                                # dec ecx
    jump = b"\x0f\x85" + struct.pack("<i", -(len(step) + 6))  # jnz
    return loop + step + jump


def echo_until(end):
    """Send each byte received back; power off after `end`."""
    return (b"\x66\xba" + struct.pack("<H", COM1 + 5)        # 1: mov dx, LSR
            + b"\xec\xa8\x01\x74\xfb"                        # 2: in al, dx; test al, DR; jz 2b
            + b"\x66\xba" + struct.pack("<H", COM1)          # mov dx, COM1
            + b"\xec\xee"                                    # in al, dx; out dx, al
            + b"\x3c" + bytes([end])                         # cmp al, end
            + b"\x75\xed")                                   # jne 1b


def count():
    """Write one port for ever: each write is an exit to be counted."""
    return b"\x66\xba\x00\x05\xee\xeb\xfd"              # mov dx, 0x500; 1: out dx, al; jmp 1b


KERNELS = {
    "hello": say("hello from the bare metal\n") + power_off(),
    "power-off": power_off(),
    "reset-acpi": outb(POWER + 2, 0x42) + HANG,
    "reset-i8042": outb(I8042_COMMAND, 0xFE) + HANG,
    # A read beyond the page tables: page fault, no handler, no double-fault handler.
    # xor rax, rax; not rax; mov al, [rax]
    "triple-fault": b"\x48\x31\xc0\x48\xf7\xd0\x8a\x00" + HANG,
    "count": say("ready\n") + count(),
    "hang": say("ready\n") + HANG,
    "echo": say("ready\n") + echo_until(ord("q")) + power_off(),
    "flood": flood(1 << 14) + say("done\n") + power_off(),
    # mov eax, 0xd0000000; jmp rax: there is nothing to execute.
    "internal-error": b"\xb8\x00\x00\x00\xd0\xff\xe0",
    # Reads of ports and addresses that nobody has are all ones, or this hangs.
    "unclaimed": (b"\x66\xba\x00\x05\xec"                  # mov dx, 0x500; in al, dx
                  + b"\x88\xc3"                            # mov bl, al
                  + b"\xb8\x00\x00\x00\xd0\x8b\x00"        # mov eax, 0xd0000000; mov eax, [rax]
                  + b"\x20\xc3"                            # and bl, al
                  + b"\x80\xfb\xff\x75\xfe"                # cmp bl, 0xff; 1: jne 1b
                  + say("ones\n") + power_off()),
}


def elf(code, machine=62, entry=LOAD, load=LOAD, memsz=None):
    """A one-segment ELF64 executable."""
    offset = 0x1000
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01" + bytes(9), 2, machine, 1,
                         entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    program = struct.pack("<IIQQQQQQ", 1, 7, offset, load, load, len(code),
                          memsz if memsz is not None else len(code), 0x1000)
    return (header + program).ljust(offset, b"\0") + code


def write(directory, name):
    path = directory / f"{name}.elf"
    path.write_bytes(elf(KERNELS[name]))
    return path

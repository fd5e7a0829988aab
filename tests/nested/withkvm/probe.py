# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Find out, by running a guest of a few instructions, whether KVM can boot Linux.

A KVM without hardware under it answers every ioctl, but runs such a guest in
an instruction emulator that lacks much of what a kernel uses. The guest here
uses instructions that the emulator does not have.
"""

import ctypes
import fcntl
import mmap
import os
import platform
import select
import signal
import struct
import time

from . import process

SECONDS = 3

KVM_GET_API_VERSION = 0xAE00
KVM_CREATE_VM = 0xAE01
KVM_GET_VCPU_MMAP_SIZE = 0xAE04
KVM_CREATE_VCPU = 0xAE41
KVM_SET_TSS_ADDR = 0xAE47
KVM_SET_USER_MEMORY_REGION = 0x4020AE46
KVM_RUN = 0xAE80
KVM_GET_REGS, KVM_SET_REGS = 0x8090AE81, 0x4090AE82
KVM_GET_SREGS, KVM_SET_SREGS = 0x8138AE83, 0x4138AE84
KVM_SET_ONE_REG = 0x4010AEAC
KVM_ARM_VCPU_INIT, KVM_ARM_PREFERRED_TARGET = 0x4020AEAE, 0x8020AEAF
KVM_REG_ARM64_PC = 0x6030000000100040

KVM_EXIT_HLT, KVM_EXIT_MMIO = 5, 6
EXIT_REASON = 8  # offset in struct kvm_run
EXIT_DATA = 32

RAM = 0x10000
UNUSED = 0x7FFB0000  # three pages there are KVM's own on some Intel processors
PATTERN = 0x0F0F1234

# popcnt ebx, eax; movd xmm0, eax; paddd xmm0, xmm0; movd ecx, xmm0; hlt
X86_CODE = bytes.fromhex("f30fb8d8 660f6ec0 660ffec0 660f7ec1 f4")
# movz x1, #0x1234; movz x2, #0x1000, lsl 16; str w1, [x2]
ARM_CODE = struct.pack("<3I", 0xD2824681, 0xD2A20002, 0xB9000041)

# A flat 32-bit segment, base to padding of struct kvm_segment.
CODE_SEGMENT = struct.pack("<QIH10B", 0, 0xFFFFFFFF, 8, 11, 1, 0, 1, 1, 0, 1, 0, 0, 0)
DATA_SEGMENT = struct.pack("<QIH10B", 0, 0xFFFFFFFF, 16, 3, 1, 0, 1, 1, 0, 1, 0, 0, 0)
CR0_OFFSET, CR4_OFFSET = 224, 248
CR0_PE_MP_ET_NE = 0x33
CR4_OSFXSR_OSXMMEXCPT = 0x600


class Unfit(Exception):
    """Why this machine's KVM does not do."""


def why_not(arch):
    """Return None if /dev/kvm can boot Linux for arch, else the reason in a few words."""
    if arch != platform.machine():
        return f"this machine is {platform.machine()}"
    ours, childs = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _child(arch, parent, childs)
    os.close(childs)
    try:
        return _verdict(ours)
    finally:
        os.close(ours)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _verdict(pipe):
    deadline = time.monotonic() + SECONDS
    answer = b""
    while select.select([pipe], [], [], max(0, deadline - time.monotonic()))[0]:
        data = os.read(pipe, 4096)
        if not data:
            reason = answer.decode() or "the probe of /dev/kvm crashed"
            return None if reason == "fit" else reason
        answer += data
    return f"a guest of a few instructions did not end within {SECONDS} s"


def _child(arch, parent, pipe):
    """Probe, tell the result, and never return."""
    try:
        process.die_with_parent(parent)
        {"x86_64": _probe_x86, "aarch64": _probe_arm}[arch]()
        answer = "fit"
    except OSError as error:
        name = error.filename or "an ioctl of /dev/kvm"
        answer = f"{name}: {error.strerror}"
    except Unfit as unfit:
        answer = str(unfit)
    except BaseException as error:  # whatever it is, it must not unwind into the caller
        answer = f"the probe of /dev/kvm failed: {error!r}"
    os.write(pipe, answer.encode())
    os._exit(0)


class _Guest:
    """A virtual machine with one page of memory at RAM and one CPU."""

    def __init__(self, code):
        kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
        if fcntl.ioctl(kvm, KVM_GET_API_VERSION) != 12:
            raise Unfit("/dev/kvm speaks another version of its interface")
        self.vm = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._memory.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        fcntl.ioctl(self.vm, KVM_SET_USER_MEMORY_REGION,
                    struct.pack("<IIQQQ", 0, 0, RAM, mmap.PAGESIZE, address))
        if platform.machine() == "x86_64":
            fcntl.ioctl(self.vm, KVM_SET_TSS_ADDR, UNUSED)
        self.cpu = fcntl.ioctl(self.vm, KVM_CREATE_VCPU, 0)
        self._run = mmap.mmap(self.cpu, fcntl.ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE))

    def run(self, wanted_exit):
        fcntl.ioctl(self.cpu, KVM_RUN, 0)
        reason, = struct.unpack_from("<I", self._run, EXIT_REASON)
        if reason != wanted_exit:
            raise Unfit("it cannot run instructions that Linux uses: "
                        f"a software KVM (exit reason {reason})")
        return self._run[EXIT_DATA:EXIT_DATA + 16]


def _probe_x86():
    guest = _Guest(X86_CODE)
    sregs = bytearray(312)
    fcntl.ioctl(guest.cpu, KVM_GET_SREGS, sregs)
    sregs[:6 * 24] = CODE_SEGMENT + DATA_SEGMENT * 5
    struct.pack_into("<Q", sregs, CR0_OFFSET, CR0_PE_MP_ET_NE)
    struct.pack_into("<Q", sregs, CR4_OFFSET, CR4_OSFXSR_OSXMMEXCPT)
    fcntl.ioctl(guest.cpu, KVM_SET_SREGS, bytes(sregs))
    # rax, 15 others, rip, rflags
    regs = struct.pack("<18Q", PATTERN, *[0] * 15, RAM, 2)
    fcntl.ioctl(guest.cpu, KVM_SET_REGS, regs)
    guest.run(KVM_EXIT_HLT)
    result = bytearray(len(regs))
    fcntl.ioctl(guest.cpu, KVM_GET_REGS, result)
    _, ones, twice = struct.unpack_from("<3Q", result)
    if (ones, twice) != (PATTERN.bit_count(), PATTERN * 2):
        raise Unfit("it computes wrong results")


def _probe_arm():
    guest = _Guest(ARM_CODE)
    target = bytearray(32)
    fcntl.ioctl(guest.vm, KVM_ARM_PREFERRED_TARGET, target)
    fcntl.ioctl(guest.cpu, KVM_ARM_VCPU_INIT, bytes(target))
    value = ctypes.c_uint64(RAM)
    fcntl.ioctl(guest.cpu, KVM_SET_ONE_REG,
                struct.pack("<QQ", KVM_REG_ARM64_PC, ctypes.addressof(value)))
    address, stored = struct.unpack_from("<QI", guest.run(KVM_EXIT_MMIO))
    if (address, stored) != (0x10000000, 0x1234):
        raise Unfit("it computes wrong results")

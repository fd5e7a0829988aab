#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""Test tests/nested/with-kvm; prints TAP."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
WITH_KVM = os.path.join(HERE, "with-kvm")
# QEMU inherits it: so we know our own processes from other people's.
MARK = f"VMM_TEST_MARK={uuid.uuid4()}"
ENVIRONMENT = dict(os.environ, VMM_TEST_MARK=MARK.partition("=")[2])

LIBRARY_C = 'const char *greet(void) { return "hello from the library"; }\n'
PROGRAM_C = r"""
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>

const char *greet(void);

int main(int argc, char **argv)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	printf("%s\n%s\nversion %d\n", argv[0], greet(), ioctl(kvm, KVM_GET_API_VERSION, 0));
	return argc - 1;
}
"""


class Skip(Exception):
    pass


def start(*argv, **kwargs):
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen([sys.executable, WITH_KVM, *argv], env=ENVIRONMENT,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kwargs)


def run(*argv, data=None, **kwargs):
    """Run the harness to its end; return status, stdout, stderr."""
    if data is not None:
        kwargs["stdin"] = subprocess.PIPE
    child = start(*argv, **kwargs)
    out, err = child.communicate(data)
    return child.returncode, out, err


def expect(got, wanted, what="result"):
    if got != wanted:
        raise AssertionError(f"{what}: got {repr(got)[:600]}, wanted {repr(wanted)[:600]}")


def processes_of_ours():
    """Programs, other than this one, that carry our mark in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                marked = MARK.encode() in file.read().split(b"\0")
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                name = file.read().strip()
        except OSError:
            continue
        if marked and int(pid) != os.getpid():
            found.append(name)
    return found


def expect_nothing_left():
    for _ in range(40):
        if not processes_of_ours():
            return
        time.sleep(0.05)
    expect(processes_of_ours(), [], "processes left")


# The tests: the name is the sentence that is claimed.

def the_exit_status_comes_back(_):
    started = time.monotonic()
    expect(run("--nested", "--", "sh", "-c", "exit 7"), (7, b"", b""))
    took = time.monotonic() - started
    print(f"# {took:.2f} s")
    assert took < 30, f"took {took:.1f} s"


def death_by_a_signal_is_128_and_more(_):
    expect(run("--nested", "--", "sh", "-c", "kill -9 $$"), (137, b"", b""))


def stdin_stdout_and_stderr_are_binary_clean(_):
    data = bytes(range(256)) * 4096
    script = "tee /dev/stderr"
    status, out, err = run("--nested", "--", "sh", "-c", script, data=data)
    expect((status, len(out), len(err)), (0, len(data), len(data)))
    assert out == data and err == data, "bytes changed on the way"


def stdout_and_stderr_stay_apart(_):
    script = "echo one; echo two >&2; echo three >/dev/stdout; echo four >/dev/stderr"
    expect(run("--nested", "--", "sh", "-c", script),
           (0, b"one\nthree\n", b"two\nfour\n"))


def stdin_of_dev_null_ends_at_once_and_an_empty_pipe_too(_):
    expect(run("--nested", "--", "cat"), (0, b"", b""))
    expect(run("--nested", "--", "cat", data=b""), (0, b"", b""))


def output_comes_live(_):
    child = start("--nested", "--", "sh", "-c", "echo first; sleep 2; echo second")
    expect(child.stdout.readline(), b"first\n")
    first = time.monotonic()
    expect(child.stdout.readline(), b"second\n")
    gap = time.monotonic() - first
    child.communicate()
    assert 1 < gap < 5, f"{gap:.1f} s between two lines 2 s apart"


def a_reader_that_leaves_ends_the_command(_):
    child = start("--nested", "--timeout", "30", "--", "yes")
    expect(child.stdout.readline(), b"y\n")
    child.stdout.close()
    child.stderr.close()
    expect(child.wait(), 141)


def the_time_limit_is_kept(_):
    started = time.monotonic()
    status, _, err = run("--nested", "--timeout", "5", "--", "sleep", "60")
    took = time.monotonic() - started
    expect(status, 124)
    assert b"timed out after 5 s" in err, err
    assert took < 8, f"took {took:.1f} s"
    expect_nothing_left()


def a_panic_is_told_from_an_exit_status(_):
    status, _, err = run("--nested", "--timeout", "30", "--",
                         "sh", "-c", "echo c >/proc/sysrq-trigger")
    expect(status, 125)
    assert b"ended before the command did" in err, err
    assert b"Kernel panic" in err, err


def mistakes_are_one_line_and_status_2(directory):
    unreadable = os.path.join(directory, "not-a-program")
    with open(unreadable, "w", encoding="utf-8") as file:
        file.write("text\n")
    for argv, word in ((["--bogus", "--", "true"], "--bogus"),
                       (["--file", "/no/such", "--", "true"], "/no/such"),
                       (["--", "/no/such/command"], "/no/such/command"),
                       (["--", "no-such-command"], "no-such-command"),
                       (["--nested", "--", unreadable], unreadable),
                       (["--cpus", "many", "--", "true"], "many"),
                       (["--memory", "1", "--", "true"], "--memory"),
                       (["--timeout", "-1", "--", "true"], "-1"),
                       (["--native", "--nested", "--", "true"], "--nested"),
                       (["--native", "--icount", "--", "true"], "--icount"),
                       (["--icount", "--cpus", "2", "--", "true"], "--icount"),
                       (["true"], "true"),
                       ([], "no command")):
        status, out, err = run(*argv)
        expect((status, out, err.count(b"\n")), (2, b"", 1), f"{argv}: {err}")
        assert word.encode() in err, (argv, err)


def a_program_brings_its_libraries(directory):
    program = build_program(directory)
    expect(run("--nested", "--", program, "a", "b"),
           (2, f"{program}\nhello from the library\nversion 12\n".encode(), b""))


def build_program(directory):
    if not shutil.which("cc"):
        raise Skip("no cc")
    os.makedirs(os.path.join(directory, "lib"), exist_ok=True)
    program = os.path.join(directory, "program")
    for name, text in (("library.c", LIBRARY_C), ("program.c", PROGRAM_C)):
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)
    for command in ("cc -shared -fPIC -o lib/libgreet.so library.c",
                    "cc -o program program.c -Llib -lgreet -Wl,-rpath,$ORIGIN/lib"):
        subprocess.run(command.split(), cwd=directory, check=True)
    return program


def files_environment_and_directory_travel(directory):
    tree = os.path.join(directory, "tree")
    os.makedirs(os.path.join(tree, "inner"))
    with open(os.path.join(tree, "inner", "file with space"), "wb") as file:
        file.write(b"content\n")
    os.symlink("inner", os.path.join(tree, "link"))
    script = os.path.join(directory, "script.sh")
    with open(script, "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\npwd\nprintf "%s|" "$VMM_TEST_MARK" "$@"\n'
                   'cat "/mnt/tree/link/file with space"\n'
                   '[ -c /dev/net/tun ] && [ -d /dev/shm ] && [ -e /dev/ptmx ] && echo made\n')
    os.chmod(script, 0o755)
    status, out, err = run("--nested", "--file", f"{tree}:/mnt/tree", "--", "./script.sh",
                           "it's", "", "a  b", "\udcff$x\n", cwd=directory)
    mark = ENVIRONMENT["VMM_TEST_MARK"]
    wanted = f"{os.path.realpath(directory)}\n{mark}|it's||a  b|".encode()
    expect((status, out, err), (0, wanted + b"\xff$x\n|content\nmade\n", b""))


def the_command_may_make_bridges_and_lock_itself_in(_):
    """Modules load what they need; the root can be pivoted away from, in namespaces, too."""
    script = ("brctl addbr br0 && [ -d /sys/class/net/br0/bridge ] && echo bridge\n"
              "unshare -U -m -r sh -c 'mount -t tmpfs none /mnt && cd /mnt && mkdir old && "
              "pivot_root . old && cd / && echo /*'")
    expect(run("--nested", "--", "sh", "-c", script), (0, b"bridge\n/old\n", b""))


def two_runs_at_a_time(_):
    children = [start("--nested", "--", "sh", "-c", f"cat; exit {n}", stdin=subprocess.PIPE)
                for n in (3, 4)]
    for n, child in zip((3, 4), children):
        out, err = child.communicate(f"for {n}\n".encode())
        expect((child.returncode, out, err), (n, f"for {n}\n".encode(), b""))


def read_until(terminal, wanted):
    seen = b""
    while wanted not in seen:
        if not select.select([terminal], [], [], 30)[0]:
            raise AssertionError(f"no {wanted} but {seen}")
        seen += os.read(terminal, 4096)
    return seen


def a_terminal_is_lent_and_given_back(_):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (33, 101))
    before = termios.tcgetattr(theirs)
    # A session of its own, with this terminal: setsid(1) does both.
    child = subprocess.Popen(
        ["setsid", "--ctty", "--wait", sys.executable, WITH_KVM, "--nested",
         "--", "sh", "-c", "stty size; read line; echo got:$line; tty; exit 6"],
        env=ENVIRONMENT, stdin=theirs, stdout=theirs, stderr=theirs)
    read_until(ours, b"33 101")
    os.write(ours, b"typed\r")
    seen = read_until(ours, b"hvc0")
    assert b"got:typed" in seen, seen
    expect(child.wait(), 6)
    expect(termios.tcgetattr(theirs), before, "the terminal's state")


def killing_the_harness_kills_the_machine(_):
    for signum in (signal.SIGTERM, signal.SIGKILL):
        child = start("--nested", "--", "sh", "-c", "echo up; sleep 60")
        expect(child.stdout.readline(), b"up\n")
        child.send_signal(signum)
        expect(child.wait(), -signum)
        child.communicate()
        expect_nothing_left()


def native_follows_the_probe(_):
    status, reason, _ = run("--probe")
    native = run("--native", "--", "sh", "-c", "exit 9")
    if status == 0:
        expect(native, (9, b"", b""))
    else:
        expect(native, (125, b"", b"with-kvm: --native: " + reason))


def the_native_runner_keeps_the_time_limit(_):
    """Without the probe, so that it runs on every machine."""
    code = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
            "from withkvm import errors, native, process\n"
            "process.watch_signals()\n"
            "try:\n"
            "    argv = sys.argv[3:]\n"
            "    sys.exit(native.run(argv, argv[0], time.monotonic() + float(sys.argv[2])))\n"
            "except errors.TimedOut:\n"
            "    sys.exit(124)\n")
    for seconds, script, wanted in (("20", "(sleep 60 &) ; exit 9", 9),
                                    ("20", "kill -TERM $$", 143),
                                    ("1", "(sleep 60 &) ; sleep 60", 124)):
        done = subprocess.run([sys.executable, "-c", code, HERE, seconds,
                               "/bin/sh", "-c", script], env=ENVIRONMENT, check=False)
        expect(done.returncode, wanted, script)
        expect_nothing_left()


def a_clock_of_instructions_repeats_and_never_waits(_):
    """Two loops, the second ten times as long, and a sleep beyond the time limit."""
    script = ("now() { awk '{print int($1 * 100 + 0.5)}' /proc/uptime; }\n"
              "loop() { i=0; while [ $i -lt $1 ]; do i=$((i + 1)); done; }\n"
              "a=$(now); loop 10000; b=$(now); loop 100000; c=$(now); sleep 150; d=$(now)\n"
              "echo $((b - a)) $((c - b)) $((d - c))")
    runs = [run("--icount", "--timeout", "120", "--", "sh", "-c", script) for _ in range(2)]
    for status, out, err in runs:
        expect((status, err), (0, b""), out)
    (short, long, slept), (_, again, _) = (map(int, out.split()) for _, out, _ in runs)
    print(f"# {short} {long} {again} {slept} hundredths")
    assert abs(long - again) <= max(2, long // 50), f"{long} and {again} for the same"
    assert long > 5 * short, f"{short} and {long} for ten times as much"
    assert 15000 <= slept < 15100, f"150 s took {slept / 100} s in there"


def aarch64_runs_where_its_qemu_is(_):
    if not shutil.which("qemu-system-aarch64"):
        raise Skip("no qemu-system-aarch64: tools/deps arm64 installs it")
    expect(run("--nested", "--arch", "aarch64", "--", "sh", "-c",
               "uname -m; [ -c /dev/kvm ] && echo kvm"), (0, b"aarch64\nkvm\n", b""))


def nothing_is_left_running(_):
    expect_nothing_left()


TESTS = (
    the_exit_status_comes_back,
    death_by_a_signal_is_128_and_more,
    stdin_stdout_and_stderr_are_binary_clean,
    stdout_and_stderr_stay_apart,
    stdin_of_dev_null_ends_at_once_and_an_empty_pipe_too,
    output_comes_live,
    a_reader_that_leaves_ends_the_command,
    the_time_limit_is_kept,
    a_panic_is_told_from_an_exit_status,
    mistakes_are_one_line_and_status_2,
    a_program_brings_its_libraries,
    files_environment_and_directory_travel,
    the_command_may_make_bridges_and_lock_itself_in,
    two_runs_at_a_time,
    a_terminal_is_lent_and_given_back,
    killing_the_harness_kills_the_machine,
    native_follows_the_probe,
    the_native_runner_keeps_the_time_limit,
    a_clock_of_instructions_repeats_and_never_waits,
    aarch64_runs_where_its_qemu_is,
    nothing_is_left_running,
)


def run_test(number, test):
    result, comment = "ok", ""
    with tempfile.TemporaryDirectory(prefix="test-with-kvm-") as directory:
        try:
            test(directory)
        except Skip as skip:
            comment = f" # SKIP {skip}"
        except Exception as error:  # whatever went wrong is this test's result
            result = "not ok"
            print("\n".join(f"# {line}" for line in f"{error!r}".splitlines()))
    print(f"{result} {number} - {test.__name__}{comment}", flush=True)
    return result == "ok"


def main():
    wanted = [test for test in TESTS if not sys.argv[1:] or test.__name__ in sys.argv[1:]]
    print(f"1..{len(wanted)}", flush=True)
    passed = [run_test(number, test) for number, test in enumerate(wanted, start=1)]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())

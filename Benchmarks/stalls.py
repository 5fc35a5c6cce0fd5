#!/usr/bin/env python3
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Whether packets of a long call ever wait for the server, on a machine that makes everybody wait now and then.

    Benchmarks/stalls.py [--seconds 600] [--subscribers 100]

One sender's audio and video go to all subscribers, server on one core and tester on another. Beside each of them runs a
witness: a program of the highest priority that only sleeps, a millisecond at a time. When it wakes up late, nothing
could run on that core: the machine below was doing something else. It also notes when the thread that it watches was
ready and another program ran; other threads of its own process are not another program. From each stretch of time in
which packets were more than 5 ms late, the pauses of the server's core are taken off, and one of the tester's in which
the stretch began. What is left over 5 ms is the server's, but for up to 20 ms in a second that was disturbed as a
whole: a twentieth of it were pauses, and shorter ones between are not seen.

Prints the delays and the stalls with whose they were. The last line is JSON. Exit 1 when a stall or a delay is over its
threshold, 2 when something could not be measured.

Needs `swift build -c release`, two processors, and to be allowed real-time priority (root). Run it on a machine that
does nothing else.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests"))

from TestBed import load  # noqa: E402

# Changed only in a commit that says why. Microseconds.
STALL = 5_000
P50 = 700
P99 = 2_000
# A witness's own way from the timer to its next instruction, what a thread waits for at every moment, and what a system
# call of the server takes that cannot be interrupted.
SLACK = 600
# So much of a second in pauses, and a stall in it of so much is the machine's.
DISTURBANCE = 50_000
DISTURBED_STALL = 20_000


class Witness:
    """A process that notes when its core did not run it, or a thread that was ready."""

    def __init__(self, core: int, thread: Path):
        self.core = core
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--witness", str(core), str(thread)], stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Witness":
        if not self.process.stdout.readline():
            raise RuntimeError(f"the witness of core {self.core} may not have real-time priority — run as root")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def pauses(self) -> list[tuple[int, int, int]]:
        """Begin and end of each, Unix microseconds, and how much of that was lost."""
        self.process.send_signal(signal.SIGTERM)
        return [tuple(pause) for pause in json.loads(self.process.stdout.readline())]


def watch(core: int, thread: Path) -> None:
    """What a witness does."""
    pauses: list[tuple[int, int, int]] = []

    def tell(*_: object) -> None:
        print(json.dumps(pauses), flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, tell)
    os.sched_setaffinity(0, {core})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_max(os.SCHED_FIFO)))
    except PermissionError:
        sys.exit(2)
    statistics = os.open(thread / "schedstat", os.O_RDONLY)
    # The processor time of its process, clock_getcpuclockid(3).
    process = ~int(thread.parts[2]) << 3 | 2

    def waited_for_others() -> tuple[int, int]:
        """Nanoseconds that the thread was ready and did not run, less what its own process ran meanwhile, and how often
        it began to run: the kernel adds a time of waiting when it is over."""
        ran, waited, times = (int(field) for field in os.pread(statistics, 100, 0).split())
        return waited - (time.clock_gettime_ns(process) - ran), times

    waited, times = waited_for_others()
    # What its own process ran in the moment before the kernel added a wait.
    debt = 0
    print("ready", flush=True)
    while True:
        before = time.monotonic_ns()
        time.sleep(0.001)
        lost = (time.monotonic_ns() - before) // 1000 - 1000
        now = time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000
        if lost > SLACK:
            # Where in the sleep the pause began is not known: it may have been its beginning.
            pauses.append((now - lost - 1000, now, lost))
        try:
            now_waited, now_times = waited_for_others()
        except OSError:
            continue  # it has ended
        if now_times != times:
            difference = now_waited - waited + debt
            debt = min(0, difference)
            lost = difference // 1000
            if lost > SLACK:
                pauses.append((now - lost, now, lost))
            waited, times = now_waited, now_times


def media_thread(process: int) -> Path:
    """The thread that forwards, by its name."""
    found = [int(thread.name) for thread in Path(f"/proc/{process}/task").iterdir()
             if (thread / "comm").read_text().startswith("media-0")]
    if not found:
        raise RuntimeError("the server has no thread of that name — the benchmark and the program are of one commit")
    # Those that it began have its name until they get their own.
    return Path(f"/proc/{process}/task/{min(found)}")


def missed(pauses: list[tuple[int, int, int]], begin: int, end: int) -> int:
    """Microseconds of a stretch that were lost in pauses."""
    total, reached = 0, begin
    for first, last, lost in sorted(pauses):
        overlap = min(end, last) - max(reached, first)
        if overlap > 0:
            total += min(overlap, lost)
            reached = last
    return total


def disturbed_seconds(pauses: list[tuple[int, int, int]]) -> set[int]:
    """Unix seconds in which the machine was at something else for a while."""
    paused: dict[int, int] = {}
    for begin, end, lost in pauses:
        for second in range(begin // 1_000_000, end // 1_000_000 + 1):
            part = min(end, (second + 1) * 1_000_000) - max(begin, second * 1_000_000)
            paused[second] = paused.get(second, 0) + min(part, lost)
    return {second for second, length in paused.items() if length > DISTURBANCE}


def judged(stall: dict, server: list[tuple[int, int, int]], tester: list[tuple[int, int, int]],
           disturbed: set[int]) -> dict:
    """A stall with its length, how much of it was the machine's, and whether what is left is the server's."""
    begin, end = stall["begin"], stall["end"]
    near = [pause for pause in server if pause[0] < end and pause[1] > begin]
    # Arrivals are noted where the server sends, so the tester's core matters only when a packet departs.
    near += [pause for pause in tester if pause[0] <= begin < pause[1]]
    machine = missed(near, begin, end)
    own = end - begin - machine
    is_disturbed = not disturbed.isdisjoint(range(begin // 1_000_000, end // 1_000_000 + 1))
    return {**stall, "length": end - begin, "machine": machine,
            "is_own": own > (DISTURBED_STALL if is_disturbed else STALL)}


def measure(seconds: int, subscribers: int) -> tuple[dict, list[list]]:
    """The load test's figures, and for each core when it did not run what was ready."""
    cores = load.two_cores()
    with tempfile.TemporaryDirectory(prefix="callbridge-stalls-") as directory, ExitStack() as stack:
        server = stack.enter_context(load.running(load.callbridge(Path(directory), cores[0])))
        # Its progress is shown as it comes.
        tester = stack.enter_context(load.tester(
            server, cores[1:], seconds, "--subscribers", str(subscribers), stderr=None))
        threads = [media_thread(server.process.pid), Path(f"/proc/{tester.pid}/task/{tester.pid}")]
        witnesses = [stack.enter_context(Witness(*pair)) for pair in zip(cores, threads)]
        figures = load.figures(tester, seconds)
        pauses = [witness.pauses() for witness in witnesses]
    return figures, pauses


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures whether packets wait for Callbridge.")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--subscribers", type=int, default=100)
    parser.add_argument("--witness", nargs=2, metavar=("CORE", "THREAD"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.witness is not None:
        watch(int(arguments.witness[0]), Path(arguments.witness[1]))
    try:
        figures, pauses = measure(arguments.seconds, arguments.subscribers)
        p50, p99, most = [load.value(figures, "latency", name) for name in ("p50", "p99", "max")]
    except load.FAILURES as error:
        print(f"stalls: {error}", file=sys.stderr)
        return 2

    both = pauses[0] + pauses[1]
    disturbed = disturbed_seconds(both)
    stalls = [judged(stall, *pauses, disturbed) for stall in figures["stalls"]]
    own = [stall for stall in stalls if stall["is_own"]]
    longest = max((lost for _, _, lost in both), default=0)
    holds = not own and p50 <= P50 and p99 <= P99 and figures["lost"] == 0
    print(f"  {'pass' if holds else 'OVER'}  {figures['received']:,} packets, {figures['lost']} lost; p50 "
          f"{p50 / 1000:.2f}, p99 {p99 / 1000:.2f}, most {most / 1000:.2f} ms")
    print(f"        {len(stalls)} times packets were more than {STALL // 1000} ms late; the machine paused {len(both)} "
          f"times, {longest / 1000:.1f} ms at most, and disturbed {len(disturbed)} seconds; {len(own)} stalls are the "
          "server's")
    for stall in own[:20]:
        print(f"        {stall['length'] / 1000:.1f} ms, of which the machine paused for "
              f"{stall['machine'] / 1000:.1f}, {stall['packets']} sampled packets")
    print(json.dumps({
        "latency": figures["latency"], "lost": figures["lost"], "stalls": stalls, "pauses": len(both),
        "longest_pause": longest, "disturbed_seconds": len(disturbed), "own": len(own), "holds": holds}))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Whether packets of a long call ever wait for the server, on a machine that makes everybody wait now and then.

    Benchmarks/stalls.py [--seconds 600] [--subscribers 100]

One sender's audio and video go to all subscribers, server on one core and tester on another. Beside each of them runs a
witness: a program of the highest priority that only sleeps, a millisecond at a time. When it wakes up late, nothing could
run on that core: the machine below was doing something else. It also notes when the thread that it watches was ready and
another program ran. From each stretch of time in which packets were more than 5 ms late, these pauses are taken
off. What is left over 5 ms is the server's, unless it lies in a second that was disturbed as a whole: a twentieth
of it were pauses, and shorter ones between are not seen.

Prints the delays and the stalls with whose they were. The last line is JSON. Exit 1 when a stall or a delay is over its
threshold, 2 when something could not be measured.

Needs `swift build -c release`, two processors, and to be allowed real-time priority (root). Run it on a machine that does
nothing else.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from contextlib import ExitStack
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests"))

from TestBed.callbridge import Callbridge, clean_environment  # noqa: E402

# Changed only in a commit that says why. Microseconds.
STALL = 5_000
P50 = 700
P99 = 2_000
# A witness's own way from the timer to its next instruction, and what a thread waits for at every moment.
SLACK = 300
# So much of a second in pauses, and whatever happened in it is the machine's.
DISTURBANCE = 50_000


def release_build() -> Path:
    """The program to measure, which is the tester as well; a debug build would say nothing."""
    program = Path(os.environ.get("CALLBRIDGE_BINARY") or REPOSITORY / ".build" / "release" / "callbridge")
    if not program.exists():
        raise FileNotFoundError(f"{program} is missing — run swift build -c release")
    return program


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

    def pauses(self) -> list[tuple[int, int]]:
        """Begin and end of each, Unix microseconds."""
        self.process.send_signal(signal.SIGTERM)
        return [tuple(pause) for pause in json.loads(self.process.stdout.readline())]


def watch(core: int, thread: Path) -> None:
    """What a witness does."""
    pauses: list[tuple[int, int]] = []

    def tell(*_: object) -> None:
        print(json.dumps(pauses), flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, tell)
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_max(os.SCHED_FIFO)))
    statistics = os.open(thread / "schedstat", os.O_RDONLY)
    # The processor time of its process, clock_getcpuclockid(3).
    process = ~int(thread.parts[2]) << 3 | 2

    def waited_for_others() -> int:
        """Nanoseconds that the thread was ready and did not run, less what its own process ran meanwhile."""
        ran, waited, _ = (int(field) for field in os.pread(statistics, 100, 0).split())
        return waited - (time.clock_gettime_ns(process) - ran)

    waited = waited_for_others()
    print("ready", flush=True)
    while True:
        before = time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000
        time.sleep(0.001)
        after = time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000
        # Where in the sleep a pause began is not known: it may have been its beginning.
        if after - before > 1000 + SLACK:
            pauses.append((before, after))
        try:
            now_waited = waited_for_others()
        except OSError:
            continue  # it has ended
        if now_waited - waited > 1000 * SLACK:
            pauses.append((after - (now_waited - waited) // 1000, after))
        waited = now_waited


def media_thread(process: int) -> Path:
    """The thread that forwards, by its name."""
    return next(thread for thread in Path(f"/proc/{process}/task").iterdir()
                if (thread / "comm").read_text().startswith("media"))


def union(pauses: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same time, each part of it once."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(pauses):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def missed(pauses: list[tuple[int, int]], begin: int, end: int) -> int:
    """Microseconds of a stretch that lie in pauses, which do not overlap."""
    first = max(0, bisect_left(pauses, (begin, begin)) - 1)
    total = 0
    for pause in pauses[first:]:
        if pause[0] >= end:
            break
        total += max(0, min(end, pause[1]) - max(begin, pause[0]))
    return total


def disturbed_seconds(pauses: list[tuple[int, int]]) -> set[int]:
    """Unix seconds in which the machine was at something else for a while."""
    paused: dict[int, int] = {}
    for begin, end in pauses:
        for second in range(begin // 1_000_000, end // 1_000_000 + 1):
            part = min(end, (second + 1) * 1_000_000) - max(begin, second * 1_000_000)
            paused[second] = paused.get(second, 0) + part
    return {second for second, length in paused.items() if length > DISTURBANCE}


def measure(program: Path, cores: list[int], seconds: int, subscribers: int) -> tuple[dict, list[tuple[int, int]]]:
    """The load test's figures, and when either core did not run what was ready."""
    with tempfile.TemporaryDirectory(prefix="callbridge-stalls-") as directory, ExitStack() as stack:
        server = Callbridge(Path(directory), launcher=("taskset", "--cpu-list", str(cores[0])), settings={
            "room": {"auto_create": True}, "logging": {"level": "warning"}})
        server.start()
        stack.callback(server.stop)
        environment = {
            **clean_environment(), "LIVEKIT_API_KEY": server.api_key, "LIVEKIT_API_SECRET": server.api_secret}
        # Its progress is shown as it comes.
        tester = stack.enter_context(subprocess.Popen(
            ["taskset", "--cpu-list", str(cores[1]), str(program), "load-test", "--url", server.websocket_url,
             "--subscribers", str(subscribers), "--server-pid", str(server.process.pid), "--duration", str(seconds),
             "--json", "-"], env=environment, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL))
        threads = [media_thread(server.process.pid), Path(f"/proc/{tester.pid}/task/{tester.pid}")]
        witnesses = [stack.enter_context(Witness(*pair)) for pair in zip(cores, threads)]
        output, _ = tester.communicate(timeout=120 + seconds)
        if tester.returncode != 0:
            raise RuntimeError("the load test could not be run — see above")
        pauses = [pause for witness in witnesses for pause in witness.pauses()]
    return json.loads(output), union(pauses)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures whether packets wait for Callbridge.")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--subscribers", type=int, default=100)
    parser.add_argument("--witness", nargs=2, metavar=("CORE", "THREAD"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.witness is not None:
        watch(int(arguments.witness[0]), Path(arguments.witness[1]))
    cores = sorted(os.sched_getaffinity(0))
    try:
        program = release_build()
        os.environ["CALLBRIDGE_BINARY"] = str(program)
        if len(cores) < 2:
            raise RuntimeError("server and tester need a core each — there is one — another machine")
        figures, pauses = measure(program, cores, arguments.seconds, arguments.subscribers)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"stalls: {error}", file=sys.stderr)
        return 2

    latency = figures["latency"]
    disturbed = disturbed_seconds(pauses)
    stalls = []
    for stall in figures["stalls"]:
        length = stall["end"] - stall["begin"]
        machine = missed(pauses, stall["begin"], stall["end"])
        seconds = range(stall["begin"] // 1_000_000, stall["end"] // 1_000_000 + 1)
        stalls.append({**stall, "length": length, "machine": machine, "own": length - machine,
                       "disturbed": not disturbed.isdisjoint(seconds)})
    own = [stall for stall in stalls if stall["own"] > STALL and not stall["disturbed"]]
    longest = max((end - begin for begin, end in pauses), default=0)
    holds = not own and latency["p50"] <= P50 and latency["p99"] <= P99 and figures["lost"] == 0
    print(f"  {'pass' if holds else 'OVER'}  {figures['received']:,} packets, {figures['lost']} lost; p50 "
          f"{latency['p50'] / 1000:.2f}, p99 {latency['p99'] / 1000:.2f}, most {latency['max'] / 1000:.2f} ms")
    print(f"        {len(stalls)} times packets were more than {STALL // 1000} ms late; the machine paused "
          f"{len(pauses)} times, {longest / 1000:.1f} ms at most, and disturbed {len(disturbed)} seconds; {len(own)} stalls "
          "are the server's")
    for stall in own[:20]:
        print(f"        {stall['length'] / 1000:.1f} ms, of which the machine paused for "
              f"{stall['machine'] / 1000:.1f}, {stall['packets']} sampled packets")
    print(json.dumps({
        "latency": latency, "lost": figures["lost"], "stalls": stalls, "pauses": len(pauses),
        "longest_pause": longest, "disturbed_seconds": len(disturbed), "own": len(own), "holds": holds}))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Whether packets of a long call ever wait for the server, on a machine that makes everybody wait now and then.

    Benchmarks/stalls.py [--seconds 600] [--subscribers 100]

One sender's audio and video go to all subscribers, server on one core and tester on another. Only quiet time is
judged, a tenth of a second for itself, and the load goes on, with the same server, until there was as much of it as
asked for. It is quiet while neither core is taken from this machine for a clock tick by the machine below (steal time)
and neither of two witnesses misses more than a hundredth. A witness is a program of the highest priority beside server
and tester that only sleeps, a millisecond at a time: when it wakes up late, nothing could run on that core. It also
notes when the thread that it watches was ready and another program ran; other threads of its own process are not
another program. A stall, a stretch of time in which packets were more than 5 ms late, is the server's if all of it was
quiet, or if it was much longer than what the machine had of it. Losses count at all times.

Prints how much time was quiet, the delays in it, and the server's stalls. The last line is JSON. Exit 1 when there are
stalls, losses, failed participants, or delays over their thresholds, 2 when something could not be measured, such as
when the machine was hardly ever quiet.

Needs `swift build -c release`, two processors, and to be allowed real-time priority (root). Run it on a machine that
does nothing else.
"""

import argparse
import csv
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests"))

from TestBed import load  # noqa: E402

# Changed only in a commit that says why. Microseconds.
P50 = 700
P99 = 2_000
# A witness's own way from the timer to its next instruction, what a thread waits for at every moment, and what a system
# call of the server takes that cannot be interrupted.
SLACK = 600
# Microseconds: what is quiet or not as a whole, and how much of it a witness may miss if it is.
MOMENT = 100_000
DISTURBANCE = MOMENT // 100
MOMENTS_A_SECOND = 1_000_000 // MOMENT
TICK = 1_000_000 // os.sysconf("SC_CLK_TCK")
# The load goes on for so many times the quiet time that is asked for.
PATIENCE = 4
# Seconds of one load test at least.
LEAST_SECONDS = 20


class Notes(NamedTuple):
    """What a witness saw of its core; times are Unix microseconds."""

    # Begin and end of each pause, and how much of that was lost.
    pauses: list[tuple[int, int, int]]
    # Begin and end of stretches in which clock ticks went to others below this machine, and how many.
    thefts: list[tuple[int, int, int]]


class Run(NamedTuple):
    """One load test."""

    figures: dict
    # When each sampled packet departed, and what it took.
    samples: list[tuple[int, int]]
    server: Notes
    tester: Notes


class Witness:
    """A process that notes when its core did not run it, or a thread that was ready."""

    def __init__(self, core: int, thread: Path):
        self.core = core
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--witness", str(core), str(thread)], stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Witness":
        said = self.process.stdout.readline().strip()
        if said != "ready":
            raise RuntimeError(said or f"the witness of core {self.core} ended — what it watches — is that still there")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def notes(self) -> Notes:
        """What it has seen; it ends."""
        self.process.send_signal(signal.SIGTERM)
        return Notes(*json.loads(self.process.stdout.readline()))


def stolen_ticks(core: int) -> int:
    """What the machine below has given of this core to others, in clock ticks."""
    with open("/proc/stat") as lines:
        fields = next(line for line in lines if line.startswith(f"cpu{core} ")).split()
    return int(fields[8])


def watch(core: int, thread: Path) -> None:
    """What a witness does."""
    notes = Notes([], [])

    def tell(*_: object) -> None:
        print(json.dumps(notes), flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, tell)
    os.sched_setaffinity(0, {core})
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(os.sched_get_priority_max(os.SCHED_FIFO)))
    except PermissionError:
        print(f"the witness of core {core} may not have real-time priority — CAP_SYS_NICE — run as root, and in a "
              "container with that capability")
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
    stolen, looked = stolen_ticks(core), time.time_ns() // 1000
    # What its own process ran in the moment before the kernel added a wait.
    debt = 0
    print("ready", flush=True)
    woken = time.monotonic_ns()
    while True:
        # From one waking to the next, so that no pause falls between two looks.
        before = woken
        time.sleep(0.001)
        woken = time.monotonic_ns()
        lost = (woken - before) // 1000 - 1000
        now = time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000
        if lost > SLACK:
            # Where in the sleep the pause began is not known: it may have been its beginning.
            notes.pauses.append((now - lost - 1000, now, lost))
        # Reading it takes a twentieth of a millisecond.
        if now - looked > MOMENT // 2:
            now_stolen = stolen_ticks(core)
            if now_stolen != stolen:
                notes.thefts.append((looked, now, now_stolen - stolen))
            stolen, looked = now_stolen, now
        try:
            now_waited, now_times = waited_for_others()
        except OSError:
            continue  # it has ended
        if now_times != times:
            difference = now_waited - waited + debt
            debt = min(0, difference)
            lost = difference // 1000
            if lost > SLACK:
                notes.pauses.append((now - lost, now, lost))
            waited, times = now_waited, now_times


def media_thread(process: int) -> Path:
    """The thread that forwards, by its name."""
    found = [int(thread.name) for thread in Path(f"/proc/{process}/task").iterdir()
             if (thread / "comm").read_text().startswith("media-0")]
    if not found:
        raise RuntimeError("the server has no thread of that name — the benchmark and the program are of one commit")
    # Those that it began have its name until they get their own.
    return Path(f"/proc/{process}/task/{min(found)}")


def moments(begin: int, end: int) -> range:
    """Those that a stretch touches, by number."""
    return range(begin // MOMENT, end // MOMENT + 1)


def quiet_moments(run: Run) -> set[int]:
    """Those, wholly within the load, in which the machine was left alone."""
    departures = [departure for departure, _ in run.samples]
    if not departures:
        return set()
    disturbed: set[int] = set()
    for notes in (run.server, run.tester):
        for begin, end, _ in notes.thefts:
            disturbed.update(moments(begin, end))
        paused: Counter[int] = Counter()
        for begin, end, lost in notes.pauses:
            for moment in moments(begin, end):
                paused[moment] += min(lost, end - moment * MOMENT, (moment + 1) * MOMENT - begin)
        disturbed.update(moment for moment, length in paused.items() if length > DISTURBANCE)
    return set(moments(min(departures) + MOMENT, max(departures) - MOMENT)) - disturbed


def missed(notes: Notes, begin: int, end: int) -> int:
    """What the machine may have had of its core in a stretch: microseconds, at most."""
    pauses = sum(lost for first, last, lost in notes.pauses if first < end and last > begin)
    ticks = [count for first, last, count in notes.thefts if first < end and last > begin]
    return max(pauses, (sum(ticks) + len(ticks)) * TICK)


def is_own(stall: dict, run: Run, quiet: set[int]) -> bool:
    """Whether nobody but the server can have made packets wait.

    Where the machine was disturbed, it may have made them wait for as long, for as long again while the server catches
    up, and for a moment.
    """
    begin, end = stall["begin"], stall["end"]
    if quiet.issuperset(moments(begin, end)):
        return True
    return end - begin > 2 * max(missed(run.server, begin, end), missed(run.tester, begin, end)) + MOMENT


def measure(server: load.Callbridge, cores: tuple[int, int], seconds: int, subscribers: int, directory: Path) -> Run:
    """One load test on a server that runs."""
    file = directory / "samples.csv"
    with ExitStack() as stack:
        # Its progress is shown as it comes.
        tester = stack.enter_context(load.tester(
            server, cores[1:], seconds, "--subscribers", str(subscribers), "--samples", str(file), stderr=None))
        threads = [media_thread(server.process.pid), Path(f"/proc/{tester.pid}/task/{tester.pid}")]
        witnesses = [stack.enter_context(Witness(*pair)) for pair in zip(cores, threads)]
        figures = load.figures(tester, seconds)
        notes = [witness.notes() for witness in witnesses]
    with file.open() as lines:
        samples = [(int(row["departure"]), int(row["delay"])) for row in csv.DictReader(lines)]
    return Run(figures, samples, *notes)


def quiet_seconds(quiet: list[set[int]]) -> float:
    return sum(map(len, quiet)) / MOMENTS_A_SECOND


def runs_of(seconds: int, subscribers: int) -> tuple[list[Run], list[set[int]]]:
    """Load tests until so much time was quiet, or patience ends, and the quiet moments of each."""
    cores = load.two_cores()
    runs: list[Run] = []
    quiet: list[set[int]] = []
    with tempfile.TemporaryDirectory(prefix="callbridge-stalls-") as name, ExitStack() as stack:
        directory = Path(name)
        server = stack.enter_context(load.running(load.callbridge(directory, cores[0])))
        spent = 0
        while spent < PATIENCE * seconds and (missing := seconds - quiet_seconds(quiet)) > 0:
            # The first moment and the last are not whole.
            duration = max(LEAST_SECONDS, math.ceil(missing) + 1)
            runs.append(measure(server, cores, duration, subscribers, directory))
            quiet.append(quiet_moments(runs[-1]))
            spent += duration
            print(f"        {quiet_seconds(quiet[-1:]):.1f} of {duration} seconds were quiet", file=sys.stderr,
                  flush=True)
    return runs, quiet


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures whether packets wait for Callbridge.")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--subscribers", type=int, default=100)
    parser.add_argument("--witness", nargs=2, metavar=("CORE", "THREAD"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.witness is not None:
        watch(int(arguments.witness[0]), Path(arguments.witness[1]))
    try:
        runs, quiet = runs_of(arguments.seconds, arguments.subscribers)
        delays = sorted(delay for run, judged in zip(runs, quiet) for departure, delay in run.samples
                        if judged.issuperset(moments(departure, departure + delay)))
        overflow = sum(run.figures["tester"]["overflow"] for run in runs)
        if overflow > 0:
            raise RuntimeError(f"{overflow:,} datagrams found no room in the tester's sockets — net.core.rmem_max — "
                               "raise it, or another machine")
        if not delays:
            raise RuntimeError("no moment was quiet — this machine, or the one below it — another hour or machine")
    except load.ParticipantsFailed as error:
        print(f"  OVER  {error}")
        return 1
    except load.FAILURES as error:
        print(f"stalls: {error}", file=sys.stderr)
        return 2

    p50, p99 = (delays[math.ceil(share * len(delays)) - 1] for share in (0.5, 0.99))
    stalls = [stall for run, judged in zip(runs, quiet)
              for stall in run.figures["stalls"] if is_own(stall, run, judged)]
    received, lost, seconds = (sum(run.figures[name] for run in runs) for name in ("received", "lost", "seconds"))
    found = quiet_seconds(quiet)
    holds = not stalls and p50 <= P50 and p99 <= P99 and lost == 0
    print(f"  {'pass' if holds else 'OVER'}  {found:.1f} quiet seconds of {seconds:.0f}: p50 {p50 / 1000:.2f}, "
          f"p99 {p99 / 1000:.2f}, most {delays[-1] / 1000:.2f} ms; {len(stalls)} times packets were more than "
          "5 ms late for the server")
    print(f"        in all {received:,} packets, {lost} lost, most "
          f"{max(delay for run in runs for _, delay in run.samples) / 1000:.1f} ms")
    for stall in stalls[:20]:
        print(f"        {(stall['end'] - stall['begin']) / 1000:.1f} ms, {stall['packets']} sampled packets")
    is_enough = found >= arguments.seconds
    if not is_enough:
        print(f"stalls: only {found:.0f} of {seconds:.0f} seconds were quiet — this machine, or the one below it — "
              "another hour, or another machine", file=sys.stderr)
    print(json.dumps({
        "seconds": seconds, "quiet_seconds": found, "p50": p50, "p99": p99, "max": delays[-1],
        "samples": len(delays), "stalls": stalls, "received": received, "lost": lost, "holds": holds and is_enough}))
    return 1 if not holds else 0 if is_enough else 2


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""What a second processor brings: two rooms on two media workers, and one large room that all threads share.

    Benchmarks/workers.py [--seconds 10] [--rounds 3]

Two rooms of 1 to 100 run on one worker with one processor, then on two workers with two. A worker's worth is what it
forwards in a second of processor time; two must carry at least 1.7 times what one does, and each do at least 0.4 of the
work. Then one room of 1 to 300 runs on two workers, and on one worker with one port: in both cases two threads must
share the work. None of it counts when packets are left out: less than 0.5 % may be lost.

Prints a table and, as the last line, JSON. Exit 1 when a threshold is missed, 2 when something could not be measured.
Needs two processors, and `swift build -c release`. The load testers take some of the same processors, so packets per
processor second are compared, not packets per second.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests"))

from TestBed import load  # noqa: E402
from TestBed.places import free_udp_port  # noqa: E402

# Changed only in a commit that says why.
TWO_WORKERS_CARRY = 1.7
# What the less busy of two threads must do of a shared room.
SHARE_OF_HELPER = 0.25
# What the less busy of two workers must do of two rooms that are alike.
SHARE_OF_WORKER = 0.4
LOSS_PERCENT = 0.5


def thread_seconds(pid: int) -> dict[str, float]:
    """Processor time of the media threads, by name."""
    times = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name.startswith(("media-", "help-")):
            # Nanoseconds on a processor come first.
            times[name] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return times


@dataclass
class Load:
    """What one or more rooms cost on a server."""

    packets_per_second_of_processor: float
    loss_percent: float
    threads: dict[str, float]

    def share_of_least(self) -> float:
        """Of the two busiest threads, what the less busy one did of both's work."""
        first, second = (sorted(self.threads.values(), reverse=True) + [0.0])[:2]
        return second / (first + second) if first else 0.0


def measure(directory: Path, workers: int, cores: tuple[int, ...], rooms: int, subscribers: int, seconds: int) -> Load:
    """Runs a server on those cores, and a load tester for each room."""
    # Each worker takes the next port.
    port = free_udp_port()
    while port % 2:
        port = free_udp_port()
    server = load.callbridge(directory, *cores, settings={"rtc": {"udp_port": port, "workers": workers}})
    with load.running(server), ThreadPoolExecutor(rooms) as testers:
        # The self-test at the start is over.
        time.sleep(3)
        before = thread_seconds(server.process.pid)
        # The testers run wherever there is room.
        reports = list(testers.map(
            lambda _: load.run(server, (), seconds, "--subscribers", str(subscribers)), range(rooms)))
        after = thread_seconds(server.process.pid)
        if not all(report["received"] for report in reports):
            raise RuntimeError("nothing was forwarded — a room — run callbridge load-test with its log in view")
        return Load(
            # Each report has the whole server's processor time and its own room's packets.
            sum(r["received"] for r in reports) / statistics.mean(r["server"]["processor_seconds"] for r in reports),
            max(r["loss_percent"] for r in reports),
            {name: after[name] - before.get(name, 0) for name in after})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    results: dict[str, list[Load]] = {}
    try:
        both = load.two_cores()
        one = both[:1]
        with tempfile.TemporaryDirectory(prefix="callbridge-workers-") as place:
            for number in range(options.rounds):
                for name, arguments in {
                    "two rooms, one worker": (1, one, 2, 100),
                    "two rooms, two workers": (2, both, 2, 100),
                    "one room of 300, two workers": (2, both, 1, 300),
                    "one room of 300, one worker and its helper": (1, both, 1, 300),
                }.items():
                    print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr, flush=True)
                    directory = Path(place) / str(number) / name
                    results.setdefault(name, []).append(measure(directory, *arguments, options.seconds))
    except load.ParticipantsFailed as error:
        print(f"missed: {error}")
        return 1
    except load.FAILURES as error:
        print(f"workers: {error}", file=sys.stderr)
        return 2

    summary = {}
    print(f"{'':44}{'packets a CPU-second':>22}{'loss':>9}{'share of 2nd thread':>21}")
    for name, loads in results.items():
        row = {
            "packets_per_processor_second": round(statistics.median(x.packets_per_second_of_processor for x in loads)),
            "loss_percent": round(statistics.median(x.loss_percent for x in loads), 3),
            "share_of_second_thread": round(statistics.median(x.share_of_least() for x in loads), 3)}
        summary[name] = row
        print(f"{name:44}{row['packets_per_processor_second']:>22,}{row['loss_percent']:>8}%"
              f"{row['share_of_second_thread']:>21}")
    worth = [2 * two.packets_per_second_of_processor / single.packets_per_second_of_processor
             for single, two in zip(results["two rooms, one worker"], results["two rooms, two workers"])]
    summary["two_workers_carry"] = round(statistics.median(worth), 2)
    missed = []
    print(f"two workers carry {summary['two_workers_carry']} times what one does; {TWO_WORKERS_CARRY} is the least")
    if summary["two_workers_carry"] < TWO_WORKERS_CARRY:
        missed.append(f"two workers carry at least {TWO_WORKERS_CARRY} times what one does")
    for name, least in {
        "two rooms, two workers": SHARE_OF_WORKER,
        "one room of 300, two workers": SHARE_OF_HELPER,
        "one room of 300, one worker and its helper": SHARE_OF_HELPER,
    }.items():
        if summary[name]["share_of_second_thread"] < least:
            missed.append(f"{name}: the second thread does at least {least} of the work")
    for name in results:
        if summary[name]["loss_percent"] >= LOSS_PERCENT:
            missed.append(f"{name}: less than {LOSS_PERCENT} % lost")
    for name in missed:
        print(f"missed: {name}")
    print(json.dumps(summary))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

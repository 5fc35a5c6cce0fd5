#!/usr/bin/env python3
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""What one core must bear: loads with limits of loss, delay, memory, and the time that a join takes.

    Benchmarks/limits.py [--only broadcast audio memory meeting joins burst ...] [--seconds 10]

Each load has a server of its own on one core; the tester is on another. Media is encrypted with AES-GCM. Prints a line
for each and, as the last line, JSON. Exit 1 when a limit is exceeded, 2 when something could not be measured.

Needs `swift build -c release` and two processors. Run it on a machine that does nothing else; runs that were disturbed
are repeated, and named when that does not help.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests"))

from TestBed import load  # noqa: E402

PROFILE = "SRTP_AEAD_AES_128_GCM"


@dataclass
class Limit:
    """What one of the load test's figures may be at most, or must stay below."""

    name: str
    path: tuple[str, ...]
    bound: float
    unit: str = ""
    scale: float = 1
    """The figure's own units in one of `unit`."""
    is_below: bool = False

    def value(self, figures: dict) -> float:
        return load.value(figures, *self.path) / self.scale

    def holds(self, figures: dict) -> bool:
        value = self.value(figures)
        return value < self.bound if self.is_below else value <= self.bound

    def said(self, figures: dict) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return (f"{self.name} {round(self.value(figures), 2):,.12g}{unit} "
                f"({'below' if self.is_below else 'at most'} {self.bound:g})")


FAILED = Limit("failed", ("failed",), 0)

# Changed only in a commit that says why.
LOADS = {
    "broadcast": ("1→450", ["--subscribers", "450"], [
        Limit("loss", ("loss_percent",), 0.5, "%", is_below=True),
        Limit("p99", ("latency", "p99"), 50, "ms", 1000, is_below=True)]),
    "audio": ("audio, 50 talk", ["--audio-only", "50"], [Limit("lost", ("lost",), 0)]),
    "memory": ("1→100", ["--subscribers", "100"], [
        Limit("a subscriber", ("server", "bytes_per_subscriber"), 130, "KiB", 2**10)]),
    "meeting": ("meeting of 10", ["--mesh", "10"], [
        Limit("a participant", ("server", "bytes_per_subscriber"), 600, "KiB", 2**10)]),
    "joins": ("100 joins, one by one", ["--subscribers", "100", "--joins-at-once", "1"], [
        Limit("to the first packet p50", ("join_time", "p50"), 25, "ms", 1000)]),
    "burst": ("500 joins in a burst", ["--subscribers", "500", "--join-rate", "0", "--joins-at-once", "500"], []),
}


@dataclass
class Result:
    """One load with what it showed."""

    name: str
    limits: list[Limit]
    figures: dict
    disturbance: str | None
    """What disturbed it, and every repetition."""

    @property
    def holds(self) -> bool:
        return all(limit.holds(self.figures) for limit in self.limits)

    def summary(self) -> dict:
        return {
            "limits": {limit.name: {
                "value": round(limit.value(self.figures), 3), "unit": limit.unit, "bound": limit.bound,
                "holds": limit.holds(self.figures)} for limit in self.limits},
            "holds": self.holds, "disturbance": self.disturbance}


def attempt(directory: Path, options: list[str], seconds: int, cores: tuple[int, int]) -> dict:
    """The figures of one load on a server that was started for it."""
    with load.running(load.callbridge(directory, cores[0])) as server:
        try:
            return load.run(server, cores[1:], seconds, *options)
        except load.ParticipantsFailed as failure:
            print(f"        {failure}", file=sys.stderr, flush=True)
            return failure.figures


def measure(key: str, directory: Path, seconds: int, cores: tuple[int, int]) -> Result:
    name, options, limits = LOADS[key]
    print(f"        {name}: load-test {' '.join(options)}", file=sys.stderr, flush=True)
    figures, disturbance = load.undisturbed(
        lambda number: attempt(directory / f"{key}-{number}", options, seconds, cores))
    if figures["failed"]:
        # The other figures leave out those who did not come in or stay, so they say nothing.
        return Result(name, [FAILED], figures, disturbance)
    if figures["srtp_profile"] != PROFILE:
        raise RuntimeError(f"media had {figures['srtp_profile']} — the load test's figures — a build with AES-GCM")
    limits = [FAILED, *limits]
    for limit in limits:
        limit.value(figures)
    return Result(name, limits, figures, disturbance)


def show(result: Result) -> None:
    print(f"  {'pass' if result.holds else 'OVER'}  {result.name:<22} "
          f"{', '.join(limit.said(result.figures) for limit in result.limits)}", flush=True)
    if result.disturbance:
        print(f"        disturbed in every repetition: {result.disturbance}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what one core bears, against limits.")
    parser.add_argument("--only", nargs="+", choices=list(LOADS), default=list(LOADS))
    parser.add_argument("--seconds", type=int, default=10, help="how long each is measured (default: 10)")
    arguments = parser.parse_args()
    try:
        cores = load.two_cores()
    except load.FAILURES as error:
        print(f"limits: {error}", file=sys.stderr)
        return 2
    results: dict[str, Result] = {}
    failures = 0
    with tempfile.TemporaryDirectory(prefix="callbridge-limits-") as directory:
        for key in arguments.only:
            try:
                result = measure(key, Path(directory), arguments.seconds, cores)
            except Exception as error:  # each load stands alone; the others are worth having
                failures += 1
                print(f"  none  {LOADS[key][0]}: {error}", file=sys.stderr)
                continue
            results[key] = result
            show(result)
    print(json.dumps({key: result.summary() for key, result in results.items()}))
    if failures:
        return 2
    return 0 if all(result.holds for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

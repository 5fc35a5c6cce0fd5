#!/usr/bin/env python3
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Callbridge beside Janus's VideoRoom: the same load on each in turn, the server on one core and the tester on another.

    Benchmarks/compare.py [--only paced bursts mesh audio ...] [--rounds 3] [--seconds 8]

For each load prints what both forward in a CPU-second, what they lose, how late packets come and what they keep in
memory, and the ratio: the median of the rounds, each of which compares two runs of the same minute. The last line is
JSON. Exit 1 when a ratio is below its threshold or Callbridge loses 0.5 % and more, 2 when something could not be
measured.

Needs `swift build -c release`, two processors, and Janus and iproute2 as Debian packages them, which are installed when
they are missing. Run it on a machine that does nothing else; runs that were disturbed are repeated, and named when that
does not help.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests"))

from TestBed import janus, load  # noqa: E402

# Changed only in a commit that says why. What must hold: packets per CPU-second, Callbridge's divided by Janus's.
LOADS = {
    "paced": ("1→100, paced", ["--subscribers", "100"], 3.5),
    "bursts": ("1→100, bursts", ["--subscribers", "100", "--pacing", "burst"], 5.0),
    "mesh": ("mesh of 10, paced", ["--mesh", "10"], 3.5),
    "audio": ("audio, 50 talk", ["--audio-only", "50"], 3.5),
}
# A ratio says nothing when the faster one leaves packets out.
LOSS_PERCENT = 0.5


@dataclass
class Run:
    """The figures of one load test."""

    figures: dict
    disturbance: str | None
    """What disturbed it, and every repetition."""

    @property
    def rate(self) -> float:
        return self.figures["server"]["packets_per_processor_second"]

    def value(self, *path: str) -> float | None:
        value = self.figures
        for name in path:
            value = value.get(name)
            if value is None:
                return None
        return value


@dataclass
class Comparison:
    """One load, all rounds."""

    name: str
    threshold: float
    runs: dict[str, list[Run]]

    @property
    def ratio(self) -> float:
        return statistics.median(
            ours.rate / theirs.rate for ours, theirs in zip(self.runs["Callbridge"], self.runs["Janus"]))

    @property
    def loss(self) -> float:
        return self.median("Callbridge", "loss_percent")

    @property
    def holds(self) -> bool:
        return self.ratio >= self.threshold and self.loss < LOSS_PERCENT

    def median(self, system: str, *path: str) -> float:
        values = [value for run in self.runs[system] if (value := run.value(*path)) is not None]
        return statistics.median(values) if values else float("nan")

    def summary(self, system: str) -> dict:
        return {
            "packets_per_cpu_second": round(self.median(system, "server", "packets_per_processor_second")),
            "processor_share": round(self.median(system, "server", "processor_share"), 3),
            "loss_percent": round(self.median(system, "loss_percent"), 3),
            "latency_p50_ms": round(self.median(system, "latency", "p50") / 1000, 2),
            "latency_p99_ms": round(self.median(system, "latency", "p99") / 1000, 2),
            "join_p50_ms": round(self.median(system, "join_time", "p50") / 1000, 1),
            "resident_mebibytes": round(self.median(system, "server", "resident_bytes") / 2**20, 1),
            "kibibytes_a_subscriber": round(self.median(system, "server", "bytes_per_subscriber") / 2**10),
            "rates": [round(run.rate) for run in self.runs[system]],
            "disturbed": [run.disturbance for run in self.runs[system] if run.disturbance],
        }


def measure(system: str, directory: Path, options: list[str], seconds: int, cores: tuple[int, int]) -> dict:
    """The figures of one load on a server that was started for it."""
    if system == "Janus":
        server = janus.Janus(directory, load.pinned(cores[0]))
    else:
        server = load.callbridge(directory, cores[0])
    with load.running(server):
        figures = load.run(server, cores[1:], seconds, *options)
    if not figures["server"].get("packets_per_processor_second"):
        raise RuntimeError(f"nothing was forwarded — {system} — run callbridge load-test with its log in view")
    return figures


def compare(key: str, directory: Path, rounds: int, seconds: int, cores: tuple[int, int]) -> Comparison:
    name, options, threshold = LOADS[key]
    comparison = Comparison(name, threshold, {"Janus": [], "Callbridge": []})
    for number in range(rounds):
        for system, runs in comparison.runs.items():
            place = directory / f"{key}-{number}-{system}"
            # Janus's own threads wait for each other on one core.
            run = Run(*load.undisturbed(
                lambda attempt: measure(system, place / str(attempt), options, seconds, cores), system != "Janus"))
            runs.append(run)
            note = run.figures.get("bottleneck") or ""
            print(f"        {name}, round {number + 1}, {system}: {run.rate:,.0f} packets per CPU-second, "
                  f"{run.figures['srtp_profile']}. {note}", file=sys.stderr, flush=True)
    profiles = {run.figures["srtp_profile"] for runs in comparison.runs.values() for run in runs}
    if len(profiles) > 1:
        raise RuntimeError(f"they encrypted differently: {', '.join(sorted(profiles))}")
    return comparison


def show(comparison: Comparison) -> None:
    verdict = "pass" if comparison.holds else "MISS"
    print(f"  {verdict}  {comparison.name:<18} {comparison.ratio:5.2f} × Janus (at least {comparison.threshold:g})")
    for system in comparison.runs:
        figures = comparison.summary(system)
        print(f"        {system:<10} {figures['packets_per_cpu_second']:>8,} packets per CPU-second, "
              f"{100 * figures['processor_share']:3.0f} % of a core, {figures['loss_percent']:6.2f} % lost, "
              f"p50 {figures['latency_p50_ms']:7.2f} ms, p99 {figures['latency_p99_ms']:8.2f} ms, "
              f"{figures['resident_mebibytes']:6.1f} MiB", flush=True)
        for disturbance in figures["disturbed"]:
            print(f"        {system:<10} disturbed in every repetition: {disturbance}", flush=True)


def prepare() -> tuple[int, int]:
    """The cores of server and tester."""
    cores = load.two_cores()
    if not janus.is_installed():
        print("Janus or iproute2 is missing: installing Debian's packages", file=sys.stderr, flush=True)
        janus.install()
    return cores


def main() -> int:
    parser = argparse.ArgumentParser(description="Compares Callbridge with Janus's VideoRoom, against thresholds.")
    parser.add_argument("--only", nargs="+", choices=list(LOADS), default=list(LOADS))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--seconds", type=int, default=8, help="how long each run measures (default: 8)")
    arguments = parser.parse_args()
    try:
        cores = prepare()
    except (*load.FAILURES, janus.CannotInstall) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    results: list[Comparison] = []
    failures = 0
    with tempfile.TemporaryDirectory(prefix="callbridge-compare-") as directory:
        for key in arguments.only:
            try:
                result = compare(key, Path(directory), arguments.rounds, arguments.seconds, cores)
            except Exception as error:  # each load stands alone; the others are worth having
                failures += 1
                print(f"  none  {LOADS[key][0]}: {error}", file=sys.stderr)
                continue
            results.append(result)
            show(result)
    print(json.dumps({result.name: {
        "ratio": round(result.ratio, 2), "threshold": result.threshold, "holds": result.holds,
        **{system.lower(): result.summary(system) for system in result.runs}} for result in results}))
    if failures:
        return 2
    return 0 if all(result.holds for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())

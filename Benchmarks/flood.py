#!/usr/bin/env python3
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""What hostile packets cost: a call of one sender and twenty receivers goes on while a flood comes in.

    Benchmarks/flood.py [--only garbage strangers ...] [--rate 100000] [--seconds 10]

For each kind of flood prints what one of its packets costs the server in processor time (the difference to the same
call without a flood, divided by the packets), what the call loses and how late it is meanwhile, by how much the
server's memory grows, and how it counted the packets. The last line is JSON. Exit 1 when the call loses too much or
memory grows, 2 when something could not be measured.

Needs `swift build -c release` and two processors: server on one, call and flood on the other. Run it on a machine that
does nothing else.
"""

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests"))

from TestBed import load  # noqa: E402
from TestBed.places import free_tcp_port  # noqa: E402

# Changed only in a commit that says why.
LOSS_PERCENT = 1.0
MEMORY_GROWTH_MEBIBYTES = 16.0
# Of the packets that were to be sent: with less, it was no such flood.
LEAST_SHARE = 0.9

KINDS = {
    "garbage": "random bytes",
    "strangers": "media from wrong addresses",
    "replay": "genuine packets again",
    "forgery": "forged media, right address",
    "stun-user": "STUN, unknown user",
    "stun-password": "STUN, wrong password",
    "client-hello": "ClientHello, 1000 ports",
    "own-client-hello": "ClientHello, right address",
}


@dataclass
class Flood:
    """One kind, beside the calm that was measured around it."""

    name: str
    figures: dict
    calm_seconds: float
    """Processor time that the same call takes alone."""
    memory_before: float
    counted: dict[str, int]
    overflow: int
    """Datagrams that found no room in the server's socket."""

    @property
    def sent(self) -> int:
        return self.figures["flood"]["sent"]

    @property
    def nanoseconds(self) -> float:
        arrived = self.sent - self.overflow
        return 1e9 * (self.figures["server"]["processor_seconds"] - self.calm_seconds) / max(1, arrived)

    @property
    def memory_growth(self) -> float:
        return self.figures["server"]["resident_bytes"] / 2**20 - self.memory_before

    @property
    def loss(self) -> float:
        return self.figures["loss_percent"]

    @property
    def p99(self) -> float | None:
        """How late the call's packets came, in milliseconds; none when all samples were lost."""
        latency = self.figures["latency"].get("p99")
        return None if latency is None else round(latency / 1000, 2)

    @property
    def holds(self) -> bool:
        return self.loss < LOSS_PERCENT and self.memory_growth < MEMORY_GROWTH_MEBIBYTES


class Site:
    """Callbridge on one core, and the tester on another."""

    def __init__(self, directory: Path, cores: tuple[int, int], seconds: int):
        self.seconds, self.tester_cores = seconds, cores[1:]
        self.last_calm = 0.0
        self.metrics_port = free_tcp_port()
        self.server = load.callbridge(directory, cores[0], settings={"prometheus_port": self.metrics_port})

    def call(self, *options: str) -> dict:
        """The figures of a call."""
        return load.run(self.server, self.tester_cores, self.seconds, "--subscribers", "20", *options)

    def calm(self) -> float:
        """Processor time of the call alone, which the next flood is compared with as well."""
        self.last_calm = self.call()["server"]["processor_seconds"]
        return self.last_calm

    def memory(self) -> float:
        """MiB."""
        pages = int(Path(f"/proc/{self.server.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 2**20

    def drops(self) -> dict[str, int]:
        """The server's counters of refused media datagrams."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return {reason: int(float(count)) for reason, count in re.findall(
            r'^callbridge_media_dropped_total\{\w+="(\w+)"\} (\S+)$', text, re.MULTILINE)}

    def overflow(self) -> int:
        """What the kernel could not put into the media socket."""
        count = 0
        for table in ("udp", "udp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == self.server.rtc_port:
                    count += int(fields[-1])
        return count

    def flood(self, kind: str, rate: int) -> Flood:
        calm = [self.last_calm]
        memory, drops, overflow = self.memory(), self.drops(), self.overflow()
        figures = self.call("--flood", kind, "--flood-rate", str(rate))
        counted = {reason: count - drops.get(reason, 0) for reason, count in self.drops().items()}
        lost = self.overflow() - overflow
        calm.append(self.calm())
        if figures["flood"]["sent"] < LEAST_SHARE * rate * self.seconds:
            raise RuntimeError(f"only {figures['flood']['sent']:,} of {rate * self.seconds:,} packets were sent")
        return Flood(KINDS[kind], figures, statistics.mean(calm), memory,
                     {reason: count for reason, count in counted.items() if count > 0}, lost)


def show(flood: Flood) -> None:
    verdict = "pass" if flood.holds else "OVER"
    server = flood.figures["server"]
    late = "no delay measured" if flood.p99 is None else f"p99 {flood.p99:.2f} ms"
    counted = sorted(flood.counted.items(), key=lambda item: -item[1])
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in counted[:2]) or "not counted"
    print(f"  {verdict}  {flood.name:<27} {flood.nanoseconds:6.0f} ns a packet, server "
          f"{100 * server['processor_share']:3.0f} % of a core, call: {flood.loss:.3f} % lost, {late}, "
          f"memory {flood.memory_growth:+.1f} MiB; {reasons}; {flood.overflow:,} found no room", flush=True)
    if note := flood.figures.get("bottleneck"):
        print(f"        {note}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what hostile packets cost Callbridge.")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--rate", type=int, default=100_000, help="packets of a flood a second (default: 100000)")
    parser.add_argument("--seconds", type=int, default=10, help="how long each is measured (default: 10)")
    arguments = parser.parse_args()
    results: dict[str, Flood] = {}
    failures = 0
    try:
        cores = load.two_cores()
        with tempfile.TemporaryDirectory(prefix="callbridge-flood-") as directory:
            site = Site(Path(directory), cores, arguments.seconds)
            with load.running(site.server):
                # What the first call allocates belongs to no flood.
                site.calm()
                site.calm()
                for kind in arguments.only:
                    try:
                        result = site.flood(kind, arguments.rate)
                    except Exception as error:  # each flood stands alone; the others are worth having
                        failures += 1
                        print(f"  none  {KINDS[kind]}: {error}", file=sys.stderr)
                        continue
                    results[kind] = result
                    show(result)
    except load.FAILURES as error:
        print(f"flood: {error}", file=sys.stderr)
        return 2
    print(json.dumps({kind: {
        "nanoseconds_a_packet": round(result.nanoseconds), "sent": result.sent, "overflow": result.overflow,
        "loss_percent": round(result.loss, 4), "latency_p99_ms": result.p99,
        "memory_growth_mebibytes": round(result.memory_growth, 2), "counted": result.counted, "holds": result.holds,
    } for kind, result in results.items()}))
    if failures:
        return 2
    return 0 if all(result.holds for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

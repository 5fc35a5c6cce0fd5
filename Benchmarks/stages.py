#!/usr/bin/env python3
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""What a forwarded packet costs by stage, sampled while a load test runs, and a flame graph of it.

    Benchmarks/stages.py [--seconds 15] [--svg FILE] [load-test option ...]

Without options of the load test: 1→100, paced. Samples the server's threads with perf, finds the stage of each sample
by the functions on its stack, and divides the processor time that the load test measured, so that the stages add up to
what a packet costs. Prints a table and, as the last line, JSON. Exit 2 when it could not be measured.

Needs `swift build -c release`, two processors, perf (Debian's package linux-perf) with the rights of root, and Swift's
toolchain, which tells the functions' names.
"""

import argparse
import collections
import json
import re
import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "Tests"))

from TestBed import load  # noqa: E402

FREQUENCY = 1999
# Where nothing is measured yet: the load test joins, settles and waits for quiet.
MEASURING = "measuring"

# A sample belongs to the first stage with a function on its stack. Kernel functions have no type before them.
STAGES = [
    ("handing over: the receiver's half of loopback", r"^(net_rx_action|__netif_receive_skb.*|process_backlog)$"),
    ("sending: from user memory into the kernel's", r"^(_copy_from_iter|__alloc_skb|sock_alloc_send_pskb|copy_msghdr_.*"
     r"|_copy_from_user|alloc_skb_with_frags|___?_?sys_sendmsg_copy.*|copy_iovec_from_user)$"),
    ("sending: UDP, IP, routing, device", r"^(__sendmmsg|sendmmsg|__sys_sendmmsg|udpv?6?_sendmsg)$"),
    ("receiving", r"^(recvmmsg|__recvmmsg|__x64_sys_recvmmsg|do_recvmmsg|udpv?6?_recvmsg)$"),
    ("sleeping and waking", r"^(epoll_wait|epoll_pwait2?|__x64_sys_epoll_.*|do_epoll_.*|schedule|__schedule|read"
     r"|__read|timerfd_.*)$"),
    ("AES-GCM: the cipher itself", r"^(aes.*|gcm_.*|\[unknown\] in libcrypto.*|CRYPTO_gcm128_(en|de)crypt.*"
     r"|CRYPTO_gcm128_aad|CRYPTO_gcm128_tag|CRYPTO_gcm128_finish)$"),
    ("AES-GCM: OpenSSL's calls around it", r"^(EVP_.*|OSSL_.*|CRYPTO_.*|ERR_.*|.* in libcrypto.*)$"),
    ("the tick: reports, deadlines, consent", r"\b(advance\(to:\)|tick\(.*\)|MediaWorker\.tick)"),
    ("ours: headers, admission, numbers, slots", r".*"),
]
STAGE_PATTERNS = [(name, re.compile(pattern)) for name, pattern in STAGES]


def measure(directory: Path, seconds: int, options: list[str]) -> tuple[dict, Path]:
    """The figures of the load test, and what perf recorded meanwhile."""
    cores = load.two_cores()
    for program, remedy in (("perf", "install Debian's package linux-perf"),
                            ("swift-demangle", "add the toolchain's usr/bin, where swift is")):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} is missing — PATH — {remedy}")
    record = directory / "perf.data"
    with load.running(load.callbridge(directory / "server", cores[0])) as server, \
            load.tester(server, cores[1:], seconds, *options) as tester:
        assert tester.stderr is not None
        said = ""
        while MEASURING not in said and (line := tester.stderr.readline()):
            said += line
        if MEASURING not in said:
            raise RuntimeError(f"the load test did not begin: {said.strip()}")
        recorder = subprocess.run(
            [*load.pinned(cores[1]), "perf", "record", "--quiet", "--event", "cpu-clock", "--freq",
             str(FREQUENCY), "--call-graph", "fp", "--pid", str(server.process.pid), "--output", str(record), "--",
             "sleep", str(max(1, seconds - 1))], capture_output=True, text=True, check=False)
        figures = load.figures(tester, seconds)
    if not figures["received"]:
        raise RuntimeError("nothing was forwarded — the load test's figures — without --no-audio, --no-video")
    if recorder.returncode != 0 or not record.exists():
        raise RuntimeError(f"perf recorded nothing — {recorder.stderr.strip()} — is this root?")
    return figures, record


def stacks(record: Path) -> collections.Counter:
    """How often each stack was seen, outermost function first."""
    text = subprocess.run(
        ["perf", "script", "--input", str(record), "--fields", "comm,ip,sym,dso"], capture_output=True, text=True,
        check=True).stdout
    text = subprocess.run(
        ["swift-demangle", "--simplified", "--compact"], input=text, capture_output=True, text=True, check=True).stdout
    counts: collections.Counter = collections.Counter()
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.strip()]
        if len(lines) < 2:
            continue
        frames = []
        for line in lines[1:]:
            name, _, library = line.strip().partition(" ")[2].rpartition(" (")
            library = library.rstrip(")").rpartition("/")[2]
            if library.startswith("libcrypto") and (name.startswith("[unknown]") or not name.isupper()):
                name = name if name.startswith(("aes", "gcm_", "EVP_", "OSSL_", "CRYPTO_", "ERR_")) else \
                    f"{name} in libcrypto"
            frames.append(name)
        counts[tuple(reversed(frames))] += 1
    return counts


def stage(stack: tuple[str, ...]) -> str:
    for name, pattern in STAGE_PATTERNS:
        if any(pattern.search(function) for function in stack):
            return name
    return STAGES[-1][0]


def flame_graph(counts: collections.Counter, title: str) -> str:
    """An SVG in which a function is as wide as its share of the samples and stands on its caller."""
    width, row, least = 1200.0, 17, 0.003
    total = sum(counts.values())
    tree: dict = {}
    for stack, count in counts.items():
        node = tree
        for function in stack:
            entry = node.setdefault(function, [0, {}])
            entry[0] += count
            node = entry[1]
    boxes: list[tuple[float, int, float, str, int]] = []

    def place(node: dict, left: float, depth: int) -> None:
        for function, (count, below) in sorted(node.items()):
            share = count / total
            if share >= least:
                boxes.append((left, depth, share * width, function, count))
                place(below, left, depth + 1)
            left += share * width

    place(tree, 0, 0)
    height = (max(box[1] for box in boxes) + 3) * row
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="0 0 {width:.0f} {height}" font-family="monospace" font-size="11">',
        f'<rect width="100%" height="100%" fill="#fff"/><text x="6" y="13">{escape(title)}</text>']
    for left, depth, size, function, count in boxes:
        top = height - (depth + 1) * row - 2
        # Alike in colour: the kernel, the cipher, ourselves.
        hue = 210 if re.fullmatch(r"[a-z_][\w.]*", function) else 120 if "crypt" in function.lower() or \
            function.startswith(("EVP_", "OSSL_", "CRYPTO_")) else 25
        shade = 70 + (hash_of(function) % 12)
        label = function if len(function) * 6.7 < size else function[:int(size / 6.7)] if size > 27 else ""
        lines.append(
            f'<g><title>{escape(function)}: {100 * count / total:.2f} %</title><rect x="{left:.1f}" y="{top}" '
            f'width="{max(0.3, size - 0.4):.1f}" height="{row - 1}" fill="hsl({hue},65%,{shade}%)"/>'
            + (f'<text x="{left + 2:.1f}" y="{top + 12}">{escape(label)}</text>' if label else "") + "</g>")
    return "\n".join([*lines, "</svg>", ""])


def hash_of(text: str) -> int:
    """The same in each run, unlike Python's own."""
    return sum(text.encode())


def main() -> int:
    parser = argparse.ArgumentParser(description="Samples where a forwarded packet's time goes.")
    parser.add_argument("--seconds", type=int, default=15, help="how long is measured (default: 15)")
    parser.add_argument("--svg", type=Path, help="write a flame graph")
    arguments, options = parser.parse_known_args()
    options = options or ["--subscribers", "100"]
    try:
        with tempfile.TemporaryDirectory(prefix="callbridge-stages-") as directory:
            figures, record = measure(Path(directory), arguments.seconds, options)
            counts = stacks(record)
    except load.FAILURES as error:
        print(f"stages: {error}", file=sys.stderr)
        return 2
    total = sum(counts.values())
    if total < 100:
        print(f"stages: only {total} samples — perf — measure for longer", file=sys.stderr)
        return 2
    cost = 1e9 * figures["server"]["processor_seconds"] / figures["received"]
    shares: collections.Counter = collections.Counter()
    for stack, count in counts.items():
        shares[stage(stack)] += count
    print(f"  {cost:6.0f} ns  100.0 %  a forwarded packet: load-test {' '.join(options)}; {total:,} samples, loss "
          f"{figures['loss_percent']:.2f} %")
    for name, _ in STAGES:
        share = shares[name] / total
        print(f"  {cost * share:6.0f} ns  {100 * share:5.1f} %  {name}")
    if note := figures.get("bottleneck"):
        print(f"  {note}", file=sys.stderr)
    if arguments.svg:
        arguments.svg.write_text(flame_graph(
            counts, f"callbridge load-test {' '.join(options)}: {cost:.0f} ns a forwarded packet, {total:,} samples"))
    print(json.dumps({"nanoseconds_a_packet": round(cost), "samples": total, "stages": {
        name: round(cost * shares[name] / total) for name, _ in STAGES}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""`callbridge load-test` against a running focus: its figures, its outputs, and what it says when it cannot work."""

import csv
import json
import math
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from TestBed import janus, load
from TestBed.callbridge import Callbridge, run_callbridge
from TestBed.namespaces import NamespacesImpossible, Star, ip
from TestBed.places import free_tcp_port

USAGE = 64
# Two publishers of 50 and 227 packets a second.
PACKETS_A_SECOND = 2 * (50 + 227)


def load_test(server: Callbridge, *arguments: str, secret: str | None = None, seconds: float = 100):
    """Secrets go by the environment, as they should."""
    return run_callbridge(
        "load-test", "--url", server.websocket_url, *arguments, seconds=seconds,
        environment={"LIVEKIT_API_KEY": server.api_key, "LIVEKIT_API_SECRET": secret or server.api_secret})


def test_two_publishers_and_four_subscribers(focus: Callbridge, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    result = load_test(focus, "--publishers", "2", "--subscribers", "4", "--duration", "5",
                       "--server-pid", str(focus.process.pid), "--json", str(file))
    assert result.returncode == 0, result.stderr
    figures = json.loads(file.read_text())
    assert figures["joined"] == 6 and figures["failed"] == 0
    assert figures["published_tracks"] == 4 and figures["subscribed_tracks"] == 16 and figures["missing_tracks"] == 0
    assert figures["sent"] >= 4 * PACKETS_A_SECOND
    # Each packet once at each subscriber, and nothing else.
    assert figures["expected"] == 4 * figures["sent"]
    assert figures["received"] == figures["expected"] and figures["lost"] == 0 and figures["loss_percent"] == 0
    assert figures["duplicates"] == 0
    # What was decrypted is what had been sent.
    assert figures["sampled"] > 0 and figures["falsified"] == 0
    assert figures["join_time"]["count"] == 4 and figures["join_time"]["p50"] > 0
    assert 0 < figures["latency"]["p50"] <= figures["latency"]["p99"] <= figures["latency"]["max"]
    # The longest delay lies in the longest stall, if it is one.
    longest = max((stall["end"] - stall["begin"] for stall in figures["stalls"]), default=0)
    assert longest == 0 if figures["latency"]["max"] < 5_000 else longest >= figures["latency"]["max"]
    assert figures["server"]["processor_seconds"] > 0 and figures["server"]["packets_per_processor_second"] > 0
    assert figures["server"]["resident_bytes"] > 1 << 20
    assert figures["tester"]["overflow"] == 0
    # The table says the same to people.
    for words in ("6 of 6 joined", "p99", "packets per CPU-second", "0.00 %", "a subscriber", "tester"):
        assert words in result.stdout, result.stdout
    assert "measuring" in result.stderr


def test_the_samples_are_those_of_the_figures(focus: Callbridge, tmp_path: Path) -> None:
    file = tmp_path / "samples.csv"
    begin = time.time()
    result = load_test(focus, "--subscribers", "3", "--duration", "3", "--samples", str(file), "--json", "-")
    assert result.returncode == 0, result.stderr
    latency = json.loads(result.stdout)["latency"]
    with file.open() as lines:
        samples = [(int(row["departure"]), int(row["delay"])) for row in csv.DictReader(lines)]
    delays = sorted(delay for _, delay in samples)
    assert len(delays) == latency["count"] and delays[-1] == latency["max"]
    assert delays[math.ceil(len(delays) * 0.99) - 1] == latency["p99"]
    assert all(begin < departure / 1_000_000 < time.time() for departure, _ in samples)


@pytest.mark.parametrize("option", ["--samples", "--json"])
def test_a_file_that_cannot_be_written(focus: Callbridge, option: str) -> None:
    # Said before anybody joins.
    result = load_test(focus, option, "/nowhere/figures")
    line = result.stderr.strip().splitlines()[-1]
    assert result.returncode not in (0, USAGE) and f"{option} /nowhere/figures" in line and line.count(" — ") == 2
    assert "joining" not in result.stderr


def test_a_server_that_ends_in_the_middle(tmp_path: Path) -> None:
    with load.running(Callbridge(tmp_path / "server")) as server:
        file = tmp_path / "samples.csv"
        with load.tester(server, (), 3600, "--subscribers", "3", "--samples", str(file)) as tester:
            for line in tester.stderr:
                if "measuring" in line:
                    break
            server.kill()
            with pytest.raises(load.ParticipantsFailed) as failure:
                load.figures(tester, 0)
    assert failure.value.figures["failed"] == 4 and "server" not in failure.value.figures
    assert str(failure.value).startswith("error: 4 of 4 participants failed, the first because: ")
    # What there was until then is there.
    assert len(file.read_text().splitlines()) == 1 + failure.value.figures["latency"]["count"]


def test_frame_bursts(focus: Callbridge) -> None:
    result = load_test(focus, "--subscribers", "2", "--duration", "3", "--pacing", "burst", "--json", "-")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["pacing"] == "burst" and figures["lost"] == 0 and figures["received"] > 0
    # Standard output is JSON alone; the table went elsewhere.
    assert "packets" in result.stderr


@pytest.mark.parametrize("arguments", [["--publishers", "3", "--subscribers", "3"], ["--mesh", "4"]])
def test_a_path_that_is_narrower_than_a_packet(tmp_path: Path, arguments: list[str]) -> None:
    # Datagrams of 1,400 bytes are fragmented there; joined into one segmented message the kernel would refuse them.
    results: list[subprocess.CompletedProcess[str]] = []
    try:
        with Star({"people": 1}) as star:
            for host, device in (("people", f"v1a{star.tag}"), ("hub", f"v1b{star.tag}")):
                ip("-n", star.name(host), "link", "set", device, "mtu", "1280")
            server = Callbridge(tmp_path / "server", host=Star.HUB)
            try:
                star.inside("hub", server.start)
                star.inside("people", lambda: results.append(load_test(
                    server, *arguments, "--pacing", "burst", "--video-size", "1400", "--duration", "3", "--json", "-")))
            finally:
                server.stop()
    except NamespacesImpossible as reason:
        pytest.skip(f"this test needs network namespaces, and so root: {reason}")
    assert results[0].returncode == 0, results[0].stderr
    figures = json.loads(results[0].stdout)
    assert figures["lost"] == 0 and figures["received"] > 0 and figures["falsified"] == 0


def test_a_meeting_where_some_talk(focus: Callbridge) -> None:
    result = load_test(focus, "--audio-only", "6", "--talkers", "3", "--duration", "3", "--json", "-")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["publishers"] == 3 and figures["subscribers"] == 6 and figures["published_tracks"] == 3
    # Talkers hear two others, the rest hear three.
    assert figures["subscribed_tracks"] == 3 * 2 + 3 * 3 and figures["missing_tracks"] == 0
    assert figures["lost"] == 0 and figures["duplicates"] == 0


def test_tokens_of_a_file(focus: Callbridge, room: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("\n".join(focus.token(room, f"participant-{number}") for number in range(3)))
    arguments = ["load-test", "--url", focus.websocket_url, "--token-file", str(file), "--duration", "1"]
    result = run_callbridge(*arguments, "--subscribers", "2", seconds=100)
    assert result.returncode == 0, result.stderr
    assert "3 of 3 joined" in result.stdout
    result = run_callbridge(*arguments, "--subscribers", "3")
    assert result.returncode == USAGE and "3 tokens for 4 participants" in result.stderr


def test_a_wrong_key(focus: Callbridge) -> None:
    wrong = "not-the-secret-of-this-server-0123456789"
    result = load_test(focus, secret=wrong)
    assert result.returncode not in (0, USAGE) and not result.stdout
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ") and line.count(" — ") == 2
    assert "401" in line and "--api-key" in line and focus.websocket_url in line
    assert wrong not in result.stderr


def test_nobody_at_the_address() -> None:
    address = f"ws://127.0.0.1:{free_tcp_port()}"
    result = run_callbridge("load-test", "--url", address)
    assert result.returncode not in (0, USAGE)
    line = result.stderr.strip().splitlines()[-1]
    assert address in line and "refused" in line


def test_a_process_that_is_not_there(focus: Callbridge) -> None:
    result = load_test(focus, "--server-pid", str(1 << 22))
    assert result.returncode not in (0, USAGE) and "--server-pid" in result.stderr


@pytest.mark.parametrize("arguments", [
    ["--url", "wss://example.org"], ["--url", "example.org"], ["--mesh", "3", "--publishers", "1"],
    ["--mesh", "3", "--audio-only", "3"], ["--talkers", "2"], ["--mesh", "3", "--talkers", "4"],
    ["--publishers", "0", "--subscribers", "0"], ["--duration", "0"], ["--pacing", "sometimes"],
    ["--video-size", "5"], ["--token-file", "/nowhere"], ["--flood", "garbage"], ["--flood-rate", "5"],
    ["--flood", "water", "--server-pid", "1"], ["--signalling", "sip"], ["--signalling", "janus", "--api-key", "k"],
    ["--signalling", "janus", "--room", "hall"], ["--signalling", "janus", "--publishers", "0"],
    ["--flood", "garbage", "--server-pid", "1", "--publishers", "0"], ["--video-rate", "0"], ["--samples", "-"],
    ["--api-key", "key"], ["--api-secret", "secret"],
], ids=" ".join)
def test_a_wrong_command_line(arguments: list[str]) -> None:
    result = run_callbridge("load-test", *arguments)
    assert result.returncode == USAGE, result.stderr
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ") and line.count(" — ") == 2


@dataclass
class CountedFocus:
    """A focus whose metrics can be read."""

    server: Callbridge
    metrics_port: int

    def drops(self) -> dict[str, int]:
        """Refused media datagrams by reason."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return {reason: int(float(count)) for reason, count in re.findall(
            r'^callbridge_media_dropped_total\{\w+="(\w+)"\} (\S+)$', text, re.MULTILINE)}


@pytest.fixture(scope="module")
def counted_focus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CountedFocus]:
    port = free_tcp_port()
    server = Callbridge(tmp_path_factory.mktemp("counted"), settings={
        "room": {"auto_create": True}, "prometheus_port": port, "logging": {"level": "info"}})
    server.start()
    yield CountedFocus(server, port)
    assert server.stop() == 0, f"Callbridge did not end well; {server.process.log}"


@pytest.mark.parametrize("kind, reason", [
    ("garbage", "unknownPeer"), ("strangers", "unknownPeer"), ("replay", "srtp"), ("forgery", "srtpAuthentication"),
    ("stun-user", "stunUnknownUsername"), ("stun-password", "stunTooManyFailures"), ("client-hello", "unknownPeer"),
    ("own-client-hello", None),
])
def test_a_call_goes_on_in_a_flood(counted_focus: CountedFocus, kind: str, reason: str | None) -> None:
    before = counted_focus.drops()
    server = counted_focus.server
    result = load_test(server, "--subscribers", "2", "--duration", "3", "--server-pid", str(server.process.pid),
                       "--flood", kind, "--flood-rate", "2000", "--json", "-")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["flood"]["kind"] == kind and figures["flood"]["sent"] >= 0.9 * 3 * 2000
    assert figures["loss_percent"] < 1 and figures["falsified"] == 0
    if reason is not None:
        # It was the flood that the server refused, and for this reason.
        counted = {name: count - before.get(name, 0) for name, count in counted_focus.drops().items()}
        assert sum(count for name, count in counted.items() if name.startswith(reason)) > 1000, counted


@pytest.fixture(scope="module")
def videoroom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[janus.Janus]:
    """A Janus as Debian packages it."""
    if not janus.is_installed():
        try:
            janus.install()
        except janus.CannotInstall as error:
            pytest.skip(str(error))
    try:
        janus.host_address()
    except OSError as error:
        pytest.skip(str(error))
    server = janus.Janus(tmp_path_factory.mktemp("janus"))
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("load, tracks, subscribed", [
    (["--publishers", "2", "--subscribers", "3"], 4, 4 * 3), (["--mesh", "3", "--pacing", "burst"], 6, 6 * 2),
    (["--audio-only", "4", "--talkers", "2"], 2, 2 * 1 + 2 * 2),
], ids=["broadcast", "meeting", "audio"])
@pytest.mark.limit(660)
def test_the_same_load_on_a_janus(videoroom: janus.Janus, load: list[str], tracks: int, subscribed: int) -> None:
    result = run_callbridge(
        "load-test", "--signalling", "janus", "--url", videoroom.websocket_url, *load, "--duration", "3",
        "--server-pid", str(videoroom.process.pid), "--json", "-", seconds=100)
    assert result.returncode == 0, f"{result.stderr}\n{videoroom.process.log_end()}"
    figures = json.loads(result.stdout)
    assert figures["failed"] == 0 and figures["published_tracks"] == tracks
    assert figures["subscribed_tracks"] == subscribed and figures["missing_tracks"] == 0
    # What it loses on a busy machine is its own affair; what came is what was sent, encrypted as we do.
    assert figures["received"] > 0 and figures["sampled"] > 0 and figures["falsified"] == 0
    assert figures["srtp_profile"] == "SRTP_AEAD_AES_128_GCM"
    assert figures["server"]["packets_per_processor_second"] > 0


def test_no_janus_at_the_address(focus: Callbridge) -> None:
    result = run_callbridge("load-test", "--signalling", "janus", "--url", focus.websocket_url)
    assert result.returncode not in (0, USAGE)
    line = result.stderr.strip().splitlines()[-1]
    assert focus.websocket_url in line and "answered 200" in line and line.count(" — ") == 2

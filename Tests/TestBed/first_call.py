# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The first call: a homeserver, Callbridge, two users, one encrypted call; a line for each step.

    python -m TestBed.first_call [--once]

Stays up with the addresses printed until it is interrupted; with --once it ends after the call, with status 0 when
every step passed. Scripts/first-call.sh installs and builds what this needs.
"""

import argparse
import json
import re
import secrets
import shutil
import signal
import socket
import sys
import threading
import urllib.error
from collections.abc import Callable
from pathlib import Path

from .bed import MatrixBed
from .callbridge import Callbridge
from .matrix import User, http
from .participant import Participant
from .places import TESTBED
from .processes import wait_until
from .synapse import Synapse


class Steps:
    """Prints one line for each step and remembers whether one failed."""

    WIDTH = 22

    def __init__(self) -> None:
        self.failed = 0
        self.is_terminal = sys.stdout.isatty()

    def coloured(self, word: str, colour: int) -> str:
        return f"\033[{colour}m{word}\033[0m" if self.is_terminal else word

    def passed(self, name: str, detail: str) -> None:
        print(f"  {self.coloured('pass', 32)}  {name:<{self.WIDTH}} {detail}", flush=True)

    def fail(self, name: str, cause: object, log: Path, advice: str) -> None:
        self.failed += 1
        lines = str(cause).strip().splitlines() or [type(cause).__name__]
        print(f"  {self.coloured('FAIL', 31)}  {name:<{self.WIDTH}} {lines[0]}")
        for line in lines[1:8]:
            print(f"        {line}")
        print(f"        log:  {log}\n        next: {advice}", flush=True)

    def run(self, name: str, work: Callable[[], str], log: Path, advice: str) -> None:
        """A step. A failure ends the call: what follows needs it."""
        try:
            detail = work()
        except Exception as error:
            self.fail(name, error, log, advice)
            raise Stopped from error
        self.passed(name, detail)


class Stopped(Exception):
    """A step failed."""


def preferred_port(port: int, kind: int) -> int:
    """The usual port, or any other when it is taken."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]


class FirstCall:
    def __init__(self, directory: Path):
        shutil.rmtree(directory, ignore_errors=True)
        self.directory = directory
        self.steps = Steps()
        self.participants: list[Participant] = []
        self.bed = MatrixBed(
            directory, homeserver_port=preferred_port(8008, socket.SOCK_STREAM),
            port=preferred_port(7880, socket.SOCK_STREAM), rtc_port=preferred_port(7882, socket.SOCK_DGRAM))

    @property
    def callbridge(self) -> Callbridge:
        return self.bed.callbridge

    @property
    def synapse(self) -> Synapse:
        return self.bed.synapse

    @property
    def callbridge_log(self) -> Path:
        return self.callbridge.process.log

    def registration_token(self) -> str:
        found = re.search(r"^as_token:\s*\"?([^\"\s]+)", self.callbridge.registration.read_text(), re.MULTILINE)
        if not found:
            raise LookupError(f"{self.callbridge.registration} has no as_token")
        return found[1]

    # The steps, in their order

    def homeserver_reachable(self) -> str:
        self.synapse.start()
        version = http("GET", self.synapse.url + "/_matrix/federation/v1/version").json["server"]
        return f"{version['name']} {version['version']} at {self.synapse.url}"

    def registration_loaded(self) -> str:
        answer = http("GET", self.synapse.url + "/_matrix/client/v3/account/whoami", token=self.registration_token())
        if answer.status != 200:
            raise RuntimeError(f"the homeserver does not know our token: {answer.status} {answer.text}")
        return f"{answer.json['user_id']} from {self.callbridge.registration}"

    def ping(self) -> str:
        self.callbridge.start()
        answer = http("POST", self.synapse.url + "/_matrix/client/v1/appservice/callbridge/ping",
                      {"transaction_id": "first-call"}, self.registration_token())
        if answer.status != 200:
            raise RuntimeError(f"the homeserver does not reach {self.callbridge.url}: {answer.status} {answer.text}")
        wait_until(self.callbridge.is_ready, 30, f"{self.callbridge.url}/readyz answers 200")
        return f"homeserver to Callbridge and back in {answer.json['duration_ms']} ms"

    def token(self) -> str:
        self.users = [self.bed.user("alice"), self.bed.user("bob")]
        self.room = self.bed.room(*self.users)
        self.tokens = []
        for user in self.users:
            user.join_call(self.room, self.callbridge.url)
            answer = self.bed.call_token(user, self.room)
            if answer.status != 200:
                raise RuntimeError(f"/sfu/get refused {user.user_id}: {answer.status} {answer.text}")
            self.tokens.append(answer.json)
        return f"two tokens for the encrypted room {self.room}"

    def signalling(self) -> str:
        answer = http("GET", self.callbridge.url + "/rtc/validate", token=self.tokens[0]["jwt"])
        if answer.status != 200:
            raise RuntimeError(f"the focus refuses the token: {answer.status} {answer.text}")
        self.keys = {user.call_identity: secrets.token_hex(16) for user in self.users}
        joined = []
        for user, token in zip(self.users, self.tokens):
            log = self.directory / f"{user.user_id[1:].split('-')[0]}.log"
            participant = Participant(user.user_id, log)
            self.participants.append(participant)
            joined.append(participant.connect(token["url"], token["jwt"], keys=self.keys))
        return f"{joined[0]['sid']} and {joined[1]['sid']} in room {joined[0]['room']}"

    def ice(self) -> str:
        self.transports = [participant.do("transport") for participant in self.participants]
        states = [state for transport in self.transports for state in transport["ice"]]
        if not states or any(state not in ("connected", "completed") for state in states):
            raise RuntimeError(f"ICE is {states}")
        return f"{', '.join(states)} through UDP port {self.callbridge.rtc_port}"

    def dtls(self) -> str:
        states = [state for transport in self.transports for state in transport["dtls"]]
        if any(state != "connected" for state in states):
            raise RuntimeError(f"DTLS is {states}")
        ciphers = sorted({cipher for transport in self.transports for cipher in transport["srtp"]})
        return f"{', '.join(states)}; SRTP {', '.join(ciphers)}"

    def first_audio(self) -> str:
        for participant in self.participants:
            participant.do("publish_audio")
            participant.do("publish_video")
        tones = [p.wait_for("first_tone", seconds=20)["pitch"] for p in self.participants]
        return f"tones of {tones[0]:.1f} Hz and {tones[1]:.1f} Hz heard"

    def first_video(self) -> str:
        frames = [p.wait_for("first_frame", seconds=20) for p in self.participants]
        return ", ".join(f"{frame['size']} after {frame['seconds']:.2f} s" for frame in frames)

    def encrypted_frames(self) -> str:
        alice, bob = self.participants
        counts = []
        for receiver, sender in ((alice, bob), (bob, alice)):
            identity = self.users[self.participants.index(sender)].call_identity
            subscribed = receiver.wait_for("track_subscribed", who=identity, track="video")
            if subscribed["encryption"] != 1:
                raise RuntimeError(f"the picture of {identity} is announced without encryption")
            # The first picture seen is one that was decrypted; a hundred more are a call.
            counted = receiver.wait_for(
                "counts", lambda e: e["received"].get(f"{identity}/video", {}).get("good", 0) >= 100, seconds=20)
            counts.append(counted["received"][f"{identity}/video"]["good"])
        return f"{counts[0]} and {counts[1]} pictures decrypted and recognised"

    def leave_seen(self) -> str:
        alice, bob = self.participants
        self.users[1].leave_call(self.room)
        bob.leave()
        alice.wait_for("participant_disconnected", who=self.users[1].call_identity, seconds=20)
        return f"{self.users[0].user_id} saw {self.users[1].user_id} go"

    def run(self) -> None:
        """Every step until one fails.

        Raises Stopped when one failed.
        """
        ours, theirs = self.callbridge_log, self.synapse.process.log
        run = self.steps.run
        run("homeserver reachable", self.homeserver_reachable, theirs, "read the log; is the disk full?")
        run("registration loaded", self.registration_loaded, theirs,
            "compare app_service_config_files in homeserver.yaml with the registration")
        run("ping", self.ping, ours, f"is {self.callbridge.url} free, and reachable for the homeserver?")
        run("token", self.token, ours, "look for /sfu/get in the log")
        run("signalling", self.signalling, ours, "look for the identity in the log, and in the client's log beside it")
        run("ICE", self.ice, ours, f"does a firewall stop UDP port {self.callbridge.rtc_port}?")
        run("DTLS", self.dtls, ours, "look for DTLS in the log")
        run("first audio", self.first_audio, ours, "look for track and subscription in the log")
        run("first video frame", self.first_video, ours, "look for PLI and key frames in the log")
        run("E2EE frames decoded", self.encrypted_frames, ours, "do both sides have the same keys?")
        run("leave seen", self.leave_seen, ours, "look for the identity's leave in the log")

    def addresses(self) -> str:
        rows = [
            ("homeserver", f"{self.synapse.url}   server name {self.synapse.server_name}"),
            ("Callbridge", f"{self.callbridge.url}   signalling {self.callbridge.websocket_url}, media UDP "
                           f"{self.callbridge.rtc_port}"),
            ("well-known", json.dumps({"org.matrix.msc4143.rtc_foci": [
                {"type": "livekit", "livekit_service_url": self.callbridge.url}]})),
            *[("account", f"{user.user_id}   password {user.password}") for user in self.users],
            ("files and logs", str(self.directory)),
        ]
        return "\n".join(f"  {name:<16}{text}" for name, text in rows)

    def stop(self) -> None:
        for participant in self.participants:
            participant.leave()
        self.bed.stop()


def main() -> int:
    arguments = argparse.ArgumentParser(
        description="A real two-party encrypted call through Callbridge.")
    arguments.add_argument("--once", action="store_true", help="end after the call; the status says whether it worked")
    once = arguments.parse_args().once
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    print("The first call\n")
    try:
        call = FirstCall(TESTBED / "first-call")
    except (OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        call.run()
        if not once:
            print(f"\nEverything stays up until Ctrl-C.\n\n{call.addresses()}\n", flush=True)
            interrupted.wait()
    except Stopped:
        print("\nThe call did not work; the rest was not tried.", flush=True)
    except urllib.error.URLError as error:
        print(f"error: {error}", file=sys.stderr)
        call.steps.failed += 1
    finally:
        call.stop()
    return 1 if call.steps.failed else 0


if __name__ == "__main__":
    sys.exit(main())

# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Where things are: the repository, the programs that Scripts/install-dependencies.sh installed, and free ports."""

import os
import socket
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TESTBED = Path(os.environ.get("CALLBRIDGE_TESTBED") or REPOSITORY / ".build" / "testbed")
SYNAPSE_PYTHON = TESTBED / "synapse" / "bin" / "python"
CLIENTS_PYTHON = TESTBED / "clients" / "bin" / "python"


class NotInstalled(Exception):
    """Something that Scripts/install-dependencies.sh puts on the machine is not there."""

    def __init__(self, what: str, where: object):
        super().__init__(f"{what} is missing — {where} — run Scripts/install-dependencies.sh")


def existing(path: Path, what: str) -> Path:
    """The path, when there is something."""
    if not path.exists():
        raise NotInstalled(what, path)
    return path


def callbridge_program() -> Path:
    """The binary: CALLBRIDGE_BINARY, else the release build, else the debug build."""
    named = os.environ.get("CALLBRIDGE_BINARY")
    if named:
        return existing(Path(named), "CALLBRIDGE_BINARY")
    for build in ("release", "debug"):
        program = REPOSITORY / ".build" / build / "callbridge"
        if program.exists():
            return program
    raise FileNotFoundError(f"callbridge is not built — {REPOSITORY / '.build'} — run swift build -c release")


def release_build() -> Path:
    """The program to measure, which is the tester as well; a debug build would say nothing."""
    program = Path(os.environ.get("CALLBRIDGE_BINARY") or REPOSITORY / ".build" / "release" / "callbridge")
    if not program.exists():
        raise FileNotFoundError(f"{program} is missing — run swift build -c release")
    return program


def chromium_program() -> Path:
    """Chromium itself: Debian's wrapper script complains on some machines."""
    itself = Path("/usr/lib/chromium/chromium")
    return itself if itself.exists() else existing(Path("/usr/bin/chromium"), "Chromium")


def free_tcp_port() -> int:
    """A port of loopback on which nothing listens now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def free_udp_port() -> int:
    """A UDP port that is free on every address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("0.0.0.0", 0))
        return probe.getsockname()[1]

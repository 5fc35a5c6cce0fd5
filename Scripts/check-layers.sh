#!/usr/bin/env bash
# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

# Checks that the folders of Sources/FocusSFU use only what lies below them:
#
#   Wire ◀ STUN RTP RTCP SDP Codecs ◀ ICE DTLS SRTP SCTP ◀ Routing ◀ Generated ◀ Tokens HTTP ◀ Signalling
#     ◀ Rooms MediaPlane Mirror Server ◀ LoadTest ◀ Echo
#
# Folders of one layer do not use each other, but for Rooms, MediaPlane, Mirror and Server, which are the shell around
# the rest; the session of a signal socket is part of the shell, too. The layers up to Routing are free of input and
# output, so they import no library that does any.
#
#   Scripts/check-layers.sh
#
# A folder uses another when its code names a top-level type of the other. Exit 1 with a line for each type that a file
# must not name. Needs Python 3.

set -euo pipefail
cd "$(dirname "$0")/.."

exec python3 - Sources/FocusSFU << 'PYTHON'
import re
import sys
from pathlib import Path

LAYERS = [
    ["Wire"],
    ["STUN", "RTP", "RTCP", "SDP", "Codecs"],
    ["ICE", "DTLS", "SRTP", "SCTP"],
    ["Routing"],
    ["Generated"],
    ["Tokens", "HTTP"],
    ["Signalling"],
    ["Rooms", "MediaPlane", "Mirror", "Server"],
    ["LoadTest"],
    ["Echo"],
]
SHELL = LAYERS[-3]
SHELL_FILES = {"Signalling/SignalSession.swift"}
CORE = [folder for layer in LAYERS[:4] for folder in layer]
CORE_IMPORTS = {"COpenSSLShims", "CUsrSCTP", "Glibc", "Synchronization"}

# What may be used against the order of the layers, each with its reason.
EXCEPTIONS = {
    ("SRTP", "DTLSRole"): "RFC 5764 §4.2: the part in the handshake decides whose keys are whose",
    ("DTLS", "SRTPKeyingMaterial"): "RFC 5764 §4.2: keys for SRTP are what this handshake is for",
    ("DTLS", "SRTPProfile"): "RFC 5764 §4.1: use_srtp negotiates the profile",
    ("SCTP", "DTLSRole"): "RFC 8832 §6: the part in the handshake decides whose stream numbers are even",
}

DECLARATION = re.compile(
    r"^(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:package|public|internal|final|indirect|nonisolated)\s+)*"
    r"(?:struct|enum|class|actor|protocol|typealias)\s+([A-Z]\w*)", re.MULTILINE)
NESTED = re.compile(r"^\s*(?:[\w@]+\s+)*(?:struct|enum|class|actor|protocol|typealias|associatedtype)\s+([A-Z]\w*)",
                    re.MULTILINE)
IMPORT = re.compile(r"^(?:\w+\s+)?import\s+(?:(?:struct|class|enum|func)\s+)?(\w+)", re.MULTILINE)
WORD = re.compile(r"(?<![\w.])[A-Z]\w*")


def code_of(text: str) -> str:
    """The text with comments and literals blanked, line breaks kept; interpolations go with their literal."""
    pattern = re.compile(r'"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*(?:.|\n)*?\*/')
    return pattern.sub(lambda found: "\n" * found.group().count("\n"), text)


def main(root: Path) -> int:
    layer_of = {folder: number for number, layer in enumerate(LAYERS) for folder in layer}
    findings: list[str] = []
    code: dict[Path, str] = {}
    home: dict[str, str] = {}
    for path in sorted(root.rglob("*.swift")):
        folder = path.relative_to(root).parts[0]
        if folder not in layer_of:
            findings.append(f"{path}: folder {folder} is in no layer")
            continue
        code[path] = code_of(path.read_text())
        for name in DECLARATION.findall(code[path]):
            home.setdefault(name, folder)
    for path, text in code.items():
        folder = path.relative_to(root).parts[0]
        is_shell = folder in SHELL or path.relative_to(root).as_posix() in SHELL_FILES
        own = set(NESTED.findall(text))
        reported: set[str] = set()
        for number, line in enumerate(text.split("\n"), 1):
            for name in WORD.findall(line):
                other = home.get(name, folder)
                allowed = (other == folder or name in own or layer_of[other] < layer_of[folder]
                           or is_shell and other in SHELL or (folder, name) in EXCEPTIONS)
                if not allowed and name not in reported:
                    reported.add(name)
                    findings.append(f"{path}:{number}: {folder} must not use {name} of {other}")
        if folder in CORE:
            for name in sorted(set(IMPORT.findall(text)) - CORE_IMPORTS):
                findings.append(f"{path}: {folder} must not import {name}")
    print("\n".join([*findings, f"check-layers: {len(code)} files, {len(findings)} findings"]))
    return 1 if findings else 0


sys.exit(main(Path(sys.argv[1])))
PYTHON

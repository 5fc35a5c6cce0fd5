# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A TURN client over UDP (RFC 8656), independent of ours: allocates, refreshes, deletes."""

import hashlib
import hmac
import ipaddress
import os
import socket
import struct
import time

COOKIE = 0x2112A442
ALLOCATE, REFRESH, CREATE_PERMISSION = 3, 4, 8
SUCCESS, ERROR = 0x100, 0x110


class TURNRefused(AssertionError):
    """The server answered with an error, or not at all."""

    def __init__(self, code: int):
        super().__init__(f"TURN error {code}" if code else "no answer")
        self.code = code


class TURNClient:
    """One allocation and the socket it belongs to."""

    def __init__(self, address: tuple[str, int], username: str, password: str, seconds: float = 5):
        self.username, self.password = username.encode(), password.encode()
        self.realm = self.nonce = b""
        self.seconds = seconds
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(address)

    def allocate(self, lifetime: int = 600, ipv6: bool = False) -> None:
        family = [(0x17, b"\2\0\0\0")] if ipv6 else []
        self.request(ALLOCATE, [(0x19, b"\x11\0\0\0"), (0x0D, struct.pack(">I", lifetime)), *family])

    def permit(self, peer: str) -> None:
        self.peer = ipaddress.ip_address(peer)
        self.request(CREATE_PERMISSION, [])

    def refresh(self, lifetime: int = 600) -> None:
        self.request(REFRESH, [(0x0D, struct.pack(">I", lifetime))])

    def close(self) -> None:
        try:
            self.refresh(0)
        except TURNRefused:
            pass
        finally:
            self.socket.close()

    def request(self, method: int, attributes: list[tuple[int, bytes]]) -> None:
        for _ in range(4):
            answer, found = self.exchange(method, attributes)
            if answer == method | SUCCESS:
                return
            code = found[9][2] * 100 + found[9][3] if 9 in found else 0
            is_first = not self.nonce
            if code == 438 or (code == 401 and is_first):
                self.realm, self.nonce = found.get(0x14, self.realm), found[0x15]
            else:
                raise TURNRefused(code)
        raise TURNRefused(438)

    def exchange(self, method: int, attributes: list[tuple[int, bytes]]) -> tuple[int, dict[int, bytes]]:
        transaction = os.urandom(12)
        if method == CREATE_PERMISSION:
            mask = struct.pack(">I", COOKIE) + transaction
            masked = bytes(a ^ b for a, b in zip(self.peer.packed, mask))
            head = struct.pack(">BBH", 0, 1 if self.peer.version == 4 else 2, 80 ^ COOKIE >> 16)
            attributes = [*attributes, (0x12, head + masked)]
        if self.nonce:
            attributes = [*attributes, (6, self.username), (0x14, self.realm), (0x15, self.nonce)]
        body = b"".join(struct.pack(">HH", kind, len(value)) + value + bytes(-len(value) % 4)
                        for kind, value in attributes)
        head = struct.pack(">HHI", method, len(body) + (24 if self.nonce else 0), COOKIE) + transaction
        message = head + body
        if self.nonce:
            key = hashlib.md5(b":".join([self.username, self.realm, self.password])).digest()
            message += struct.pack(">HH", 8, 20) + hmac.new(key, message, hashlib.sha1).digest()
        deadline, wait = time.monotonic() + self.seconds, 0.5
        while time.monotonic() < deadline:
            try:
                self.socket.send(message)
                self.socket.settimeout(wait)
                while True:
                    answer = self.socket.recv(2048)
                    if answer[8:20] == transaction:
                        return struct.unpack(">H", answer[:2])[0], self.attributes(answer)
            except OSError:
                wait *= 2
        raise TURNRefused(0)

    @staticmethod
    def attributes(message: bytes) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        offset = 20
        while offset + 4 <= len(message):
            kind, length = struct.unpack(">HH", message[offset:offset + 4])
            found.setdefault(kind, message[offset + 4:offset + 4 + length])
            offset += 4 + length + -length % 4
        return found

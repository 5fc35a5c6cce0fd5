# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""What passes over loopback, with the kernel's time of each packet; and ICE checks made by hand. Needs root."""

import hashlib
import hmac
import os
import socket
import struct
import threading
import zlib

COOKIE = struct.pack(">I", 0x2112A442)
PACKET_OUTGOING = 4
SO_TIMESTAMPNS = 35


class Wire:
    """Listens to everything on loopback that concerns one server. Times are seconds since 1970."""

    def __init__(self, http_port: int, media_port: int, mark: bytes):
        """`mark` is looked for in what is sent to the HTTP port."""
        self.http_port, self.media_port, self.mark = http_port, media_port, mark
        self.media: list[tuple[float, int]] = []
        """RTP that left the media port: when, and to which port."""
        self.publishers: set[int] = set()
        """Ports from which RTP came."""
        self.checks: dict[int, bytes] = {}
        """The last ICE check of each port."""
        self.marked_at: float | None = None
        self.is_over = threading.Event()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind(("lo", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self.listen, daemon=True)

    def __enter__(self) -> "Wire":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.thread.join(5)
        self.socket.close()

    def listen(self) -> None:
        while not self.is_over.is_set():
            try:
                packet, ancillary, _, sender = self.socket.recvmsg(1 << 17, 256)
            except TimeoutError:
                continue
            # Every packet of loopback is seen twice, going out and coming in.
            if sender[2] == PACKET_OUTGOING:
                continue
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            family, packet = packet[12:14], packet[14:]
            if family == b"\x08\x00":
                self.take(packet[9], packet[(packet[0] & 15) * 4:], seconds + nanoseconds / 1e9)
            elif family == b"\x86\xdd":
                self.take(packet[6], packet[40:], seconds + nanoseconds / 1e9)

    def take(self, protocol: int, content: bytes, at: float) -> None:
        source, destination = struct.unpack(">HH", content[:4])
        if protocol == socket.IPPROTO_TCP and destination == self.http_port:
            if self.marked_at is None and self.mark in content:
                self.marked_at = at
        elif protocol == socket.IPPROTO_UDP:
            payload = content[8:]
            if source == self.media_port and is_rtp(payload):
                self.media.append((at, destination))
            elif destination == self.media_port and is_rtp(payload):
                self.publishers.add(source)
            elif destination == self.media_port and payload[:2] == b"\0\1" and payload[4:8] == COOKIE:
                self.checks[source] = payload


def is_rtp(payload: bytes) -> bool:
    """RTP and not RTCP, RFC 5761 §4."""
    return len(payload) > 12 and payload[0] >> 6 == 2 and not 64 <= payload[1] & 0x7F <= 95


def ice_check(username: str, password: str) -> bytes:
    """A Binding request as a controlling agent sends it, RFC 8445 §7.2.4."""
    def attribute(kind: int, value: bytes) -> bytes:
        return struct.pack(">HH", kind, len(value)) + value + bytes(-len(value) % 4)

    def head(length: int) -> bytes:
        return struct.pack(">HH", 1, length) + COOKIE + transaction
    transaction = os.urandom(12)
    body = (attribute(6, username.encode()) + attribute(0x24, struct.pack(">I", 0x6E7F1EFF))
            + attribute(0x802A, os.urandom(8)))
    digest = hmac.new(password.encode(), head(len(body) + 24) + body, hashlib.sha1).digest()
    body += attribute(8, digest)
    return head(len(body) + 8) + body + attribute(
        0x8028, struct.pack(">I", zlib.crc32(head(len(body) + 8) + body) ^ 0x5354554E))


def ask(port: int, datagram: bytes, seconds: float = 2) -> bytes | None:
    """What a fresh socket is answered, if anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(seconds)
        asker.sendto(datagram, ("127.0.0.1", port))
        try:
            return asker.recv(2048)
        except TimeoutError:
            return None

# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Bytes that no client sends: on the signalling socket, over HTTP, on the media port. Calls go on through all of it."""

import asyncio
import base64
import gzip
import http.server as http_server
import json
import os
import random
import select
import socket
import struct
import threading

import aiohttp
import pytest
from livekit.protocol import rtc as signal_protocol

from TestBed.callbridge import Callbridge
from TestBed.matrix import http
from TestBed.processes import wait_until


def signalling(focus: Callbridge, room: str, talk, path: str = "/rtc?protocol=16&sdk=js"):
    """Runs talk with a signalling socket whose join was received."""
    async def run():
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": "Bearer " + focus.token(room, "mallory")}
            async with session.ws_connect(focus.url + path, headers=headers, max_msg_size=0) as ws:
                first = signal_protocol.SignalResponse.FromString((await ws.receive(10)).data)
                assert first.WhichOneof("message") == "join"
                return await asyncio.wait_for(talk(ws), 30)
    return asyncio.run(run())


async def next_of(ws, *kinds: str):
    """The next binary response of these kinds, or None when the socket ends."""
    while True:
        message = await ws.receive(10)
        if message.type is aiohttp.WSMsgType.BINARY:
            response = signal_protocol.SignalResponse.FromString(message.data)
            if response.WhichOneof("message") in kinds:
                return response
        elif message.type is not aiohttp.WSMsgType.TEXT:
            return None


def test_json_frames_are_answered_in_json(focus: Callbridge, room: str) -> None:
    async def talk(ws):
        await ws.send_str(json.dumps({"pingReq": {"timestamp": "1234", "rtt": "5"}}))
        while True:
            message = await ws.receive(10)
            if message.type is aiohttp.WSMsgType.TEXT and "pongResp" in message.data:
                assert json.loads(message.data)["pongResp"]["lastPingTimestamp"] == "1234"
                break
        # And back to protobuf with the next binary frame.
        await ws.send_bytes(signal_protocol.SignalRequest(
            ping_req=signal_protocol.Ping(timestamp=77)).SerializeToString())
        pong = await next_of(ws, "pong_resp")
        assert pong.pong_resp.last_ping_timestamp == 77
    signalling(focus, room, talk)


def test_fields_and_messages_of_the_future_are_ignored(focus: Callbridge, room: str) -> None:
    async def talk(ws):
        await ws.send_bytes(b"\xfa\x3f\x05hello")       # field 1023, five bytes
        await ws.send_str(json.dumps({"messageOfTheFuture": {"a": 1}}))
        await ws.send_bytes(signal_protocol.SignalRequest(
            ping_req=signal_protocol.Ping(timestamp=78)).SerializeToString())
        assert (await next_of(ws, "pong_resp")).pong_resp.last_ping_timestamp == 78
    signalling(focus, room, talk)


HOSTILE_SDP = ["", "v=0", "v=0\r\n" * 20_000, "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 3000, "\x00\xff" * 500,
               "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 99999 RTP/AVP 0\r\na=mid:" + "x" * 70_000]


@pytest.mark.parametrize("sdp", HOSTILE_SDP, ids=range(len(HOSTILE_SDP)))
def test_hostile_descriptions_do_no_harm(focus: Callbridge, room: str, sdp: str) -> None:
    async def talk(ws):
        for kind in ("offer", "answer"):
            description = signal_protocol.SessionDescription(type=kind, sdp=sdp, id=9)
            await ws.send_bytes(signal_protocol.SignalRequest(**{kind: description}).SerializeToString())
        await ws.send_bytes(signal_protocol.SignalRequest(
            ping_req=signal_protocol.Ping(timestamp=79)).SerializeToString())
        await next_of(ws, "pong_resp", "leave")
    signalling(focus, room, talk)
    assert http("GET", focus.url + "/").status == 200


@pytest.mark.parametrize("frame", [b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x22\x02\x0a\x7f", b"{", b""])
def test_broken_messages_do_no_harm(focus: Callbridge, room: str, frame: bytes) -> None:
    async def talk(ws):
        await ws.send_bytes(frame)
        await ws.send_str(frame.decode("latin-1"))
        await ws.send_bytes(signal_protocol.SignalRequest(
            ping_req=signal_protocol.Ping(timestamp=80)).SerializeToString())
        await next_of(ws, "pong_resp", "leave")
    signalling(focus, room, talk)
    assert http("GET", focus.url + "/").status == 200


def test_a_message_above_the_limit_closes_the_socket(focus: Callbridge, room: str) -> None:
    async def talk(ws):
        await ws.send_bytes(b"\x92\x3f" + os.urandom(2_200_000))
        assert await next_of(ws, "pong_resp") is None
    signalling(focus, room, talk)


def test_join_requests(focus: Callbridge, room: str) -> None:
    def answer(raw: bytes | str):
        text = raw if isinstance(raw, str) else base64.urlsafe_b64encode(raw).decode()
        return http("GET", f"{focus.url}/rtc/v1/validate?join_request={text}", token=focus.token(room, "mallory"))

    def wrapped(inner: bytes, compression: int = 1) -> bytes:
        return signal_protocol.WrappedJoinRequest(compression=compression, join_request=inner).SerializeToString()
    assert "join_request is required" in answer("").text
    for text, status in (("%21%21", 400), (b"\xff\xff\xff", 400), (wrapped(b"no gzip"), 400),
                         (wrapped(gzip.compress(b"\xff" * 9)), 400), (wrapped(gzip.compress(bytes(30 << 20))), 400)):
        refused = answer(text)
        assert (refused.status, bool(refused.text)) == (status, True), refused
    assert "too large" in answer(wrapped(gzip.compress(bytes(30 << 20)))).text


def datagrams(seed: int) -> list[bytes]:
    """Garbage that begins like each protocol on the media port, cut at random lengths."""
    generator = random.Random(seed)
    stun = struct.pack(">HHI12s", 1, 24, 0x2112A442, b"x" * 12) + struct.pack(">HH", 6, 20) + b"u" * 20
    heads = [stun, b"\x16\xfe\xfd" + bytes(8) + b"\x00\x40", b"\x14\xfe\xff", b"\x80\x60", b"\x90\x6f", b"\x80\xc8",
             b"\x81\xce", b"\x40", b""]
    return [(head + generator.randbytes(generator.randrange(1400)))[: generator.randrange(1400)]
            for _ in range(300) for head in heads]


def test_garbage_on_the_media_port_does_not_disturb_a_call(join, focus: Callbridge) -> None:
    alice, bob = join("alice"), join("bob")
    alice.do("publish_video", width=320, height=180, rate=20, kilobits=300)
    bob.wait_for("first_frame", publisher="alice")
    before = bob.counts("alice", "video")["good"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams(7):
            sender.sendto(datagram, ("127.0.0.1", focus.rtc_port))
    bob.wait_for("counts", lambda event: event["received"]["alice/video"]["good"] >= before + 40)
    assert not bob.saw("reconnecting") and not alice.saw("reconnecting")


@pytest.mark.parametrize("raw", [
    b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n", b"\x16\x03\x01\x02\x00" * 50,
    b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
], ids=range(6))
def test_broken_http_does_no_harm(focus: Callbridge, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", focus.port), 5) as connection:
        connection.settimeout(15)
        try:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4096)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:100]
    assert http("GET", focus.url + "/").status == 200


def test_half_open_connections_do_not_stop_others(focus: Callbridge) -> None:
    held = [socket.create_connection(("127.0.0.1", focus.port), 5) for _ in range(200)]
    try:
        for connection in held:
            connection.sendall(b"GET /rtc HTTP/1.1\r\nHost: x\r\n")
        wait_until(lambda: http("GET", focus.url + "/", seconds=5).status == 200, 10, "the health route answers")
    finally:
        for connection in held:
            connection.close()


def test_bodies_that_never_end_do_not_stop_others(focus: Callbridge, room: str) -> None:
    def unfinished(path: str, length: int, sent: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", focus.port), 5)
        connection.settimeout(15)
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        try:
            connection.sendall(bytes(sent))
        except ConnectionError:
            pass        # refused meanwhile
        return connection
    large = "/twirp/livekit.RoomService/CreateRoom"
    with unfinished(large, 10 << 20, 0) as connection:
        # Who may send so much is asked before it is read.
        assert connection.recv(4096).startswith(b"HTTP/1.1 401")
    held = [unfinished("/twirp/some.Service/Method", 1 << 20, (1 << 20) - 1) for _ in range(70)]
    try:
        wait_until(lambda: any(answered(connection) for connection in held), 20, "strangers fill their share")
        body = json.dumps({"name": room}).encode() + b" " * 200_000
        assert http("POST", focus.url + large, body, focus.token(room, "alice", "--create"), seconds=20).status == 200
        assert http("POST", focus.url + "/twirp/some.Service/Method", b"{}").status == 404
    finally:
        for connection in held:
            connection.close()


def answered(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


class Homeserver(http_server.BaseHTTPRequestHandler):
    """Knows no token and nothing else."""

    def do_GET(self) -> None:
        body = b'{"errcode":"M_UNKNOWN_TOKEN","error":"unknown"}'
        self.send_response(401 if "openid" in self.path else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_servers_that_never_answer_hold_up_their_own_users_only(tmp_path) -> None:
    """Strangers name servers that take connections and say nothing; a user of ours is still checked."""
    silent = socket.create_server(("0.0.0.0", 0), backlog=1024)
    names = [f"127.0.0.{number}:{silent.getsockname()[1]}" for number in (1, 2, 3)]
    homeserver = http_server.ThreadingHTTPServer(("127.0.0.1", 0), Homeserver)
    threading.Thread(target=homeserver.serve_forever, daemon=True).start()
    server = Callbridge(tmp_path / "silent", homeserver_url=f"http://127.0.0.1:{homeserver.server_port}",
                        matrix_settings={"private_servers": names})
    server.start()

    async def run() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            async def ask(name: str) -> int:
                token = {"access_token": "x", "token_type": "Bearer", "matrix_server_name": name, "expires_in": 3600}
                body = {"room": "!room:" + server.server_name, "device_id": "DEVICE", "openid_token": token}
                async with session.post(server.url + "/sfu/get", json=body) as answer:
                    await answer.read()
                    return answer.status
            strangers = [asyncio.create_task(ask(name)) for name in names for _ in range(250)]
            await asyncio.wait(strangers, return_when=asyncio.FIRST_COMPLETED)
            for _ in range(5):
                # The homeserver's answer, and not that too much is under way.
                assert await ask(server.server_name) == 401
            statuses = await asyncio.wait_for(asyncio.gather(*strangers), 60)
            assert set(statuses) == {401, 429}
            # Eight of each server at once; some may have found the place of an earlier one.
            assert 24 <= statuses.count(401) < 250
    try:
        asyncio.run(run())
    finally:
        server.stop()
        homeserver.shutdown()
        homeserver.server_close()
        silent.close()


def test_a_body_above_the_limit(focus: Callbridge, room: str) -> None:
    answer = http("POST", focus.url + "/twirp/livekit.RoomService/ListRooms", bytes(11 << 20),
                  focus.token(room, "mallory", "--create"), seconds=20)
    assert answer.status == 413

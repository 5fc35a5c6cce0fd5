# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A client process on the livekit SDK. It is started by `Participant`; commands and events are lines of JSON.

Standard input:  {"id": 1, "do": "connect", "url": …, "token": …}
Standard output: {"event": "done", "id": 1, …} or {"event": "failed", "id": 1, "error": …}, and events as they happen.
"""

import asyncio
import hashlib
import json
import logging
import sys
import time
from collections.abc import Coroutine

import numpy
from livekit import rtc
from livekit.rtc._proto import stats_pb2

from TestBed.media import SAMPLE_RATE, Picture, Tone, mark_of, measure_tone, pitch_of, read_picture

WINDOW = SAMPLE_RATE // 2


def say(event: str, **details: object) -> None:
    print(json.dumps({"event": event, "at": time.monotonic(), **details}), flush=True)


class ReceivedVideo:
    """Counts what is decoded of one remote picture track."""

    def __init__(self, publisher: str, name: str):
        self.publisher, self.name = publisher, name
        self.mark = mark_of(publisher)
        self.frames = self.good = self.missing = self.backwards = 0
        self.last: int | None = None
        self.subscribed_at = time.monotonic()
        self.size = ""

    def add(self, frame: rtc.VideoFrame) -> None:
        self.frames += 1
        self.size = f"{frame.width}x{frame.height}"
        luma = numpy.frombuffer(frame.data, dtype=numpy.uint8, count=frame.width * frame.height)
        found = read_picture(luma.reshape(frame.height, frame.width))
        if found is None or found[1] != self.mark:
            return
        self.good += 1
        if self.good == 1:
            say("first_frame", publisher=self.publisher, track=self.name, size=self.size,
                seconds=round(time.monotonic() - self.subscribed_at, 3))
        if self.last is not None:
            step = (found[0] - self.last) & 0xFFFF
            if step > 0x8000:
                self.backwards += 1
            elif step > 1:
                self.missing += step - 1
        self.last = found[0]

    def counts(self) -> dict:
        return {"kind": "video", "publisher": self.publisher, "track": self.name, "frames": self.frames,
                "good": self.good, "missing": self.missing, "backwards": self.backwards, "size": self.size}


class ReceivedAudio:
    """Measures one remote tone, half a second at a time."""

    def __init__(self, publisher: str, name: str):
        self.publisher, self.name = publisher, name
        self.wanted = pitch_of(publisher)
        self.frames = self.windows = self.good = 0
        self.level = self.pitch = 0.0
        self.heard_at = time.monotonic()
        self.held: list[numpy.ndarray] = []

    def add(self, frame: rtc.AudioFrame) -> None:
        self.frames += 1
        self.held.append(numpy.frombuffer(frame.data, dtype=numpy.int16))
        if sum(map(len, self.held)) < WINDOW:
            return
        samples = numpy.concatenate(self.held).astype(float)
        self.held = []
        self.level, self.pitch = measure_tone(samples)
        self.windows += 1
        if self.level > 300 and abs(self.pitch - self.wanted) < 5:
            self.good += 1
            self.heard_at = time.monotonic()
            if self.good == 1:
                say("first_tone", publisher=self.publisher, track=self.name, pitch=round(self.pitch, 2))

    def counts(self) -> dict:
        return {"kind": "audio", "publisher": self.publisher, "track": self.name, "frames": self.frames,
                "windows": self.windows, "good": self.good, "level": round(self.level), "pitch": round(self.pitch, 2),
                "wanted": self.wanted, "silence": round(time.monotonic() - self.heard_at, 1)}


class Client:
    def __init__(self) -> None:
        self.room = rtc.Room()
        self.identity = ""
        self.keys: dict[str, str] = {}
        self.published: dict[str, tuple[rtc.LocalTrackPublication, rtc.LocalTrack]] = {}
        self.feeds: dict[str, asyncio.Task] = {}
        self.received: dict[str, ReceivedVideo | ReceivedAudio] = {}
        self.tasks: set[asyncio.Task] = set()
        self.listen()

    def run(self, work: Coroutine) -> asyncio.Task:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    # What happens

    def listen(self) -> None:
        room = self.room

        @room.on("track_subscribed")
        def _(track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, who: rtc.RemoteParticipant) -> None:
            say("track_subscribed", who=who.identity, track=publication.name, sid=publication.sid,
                mime=publication.mime_type, encryption=int(publication.encryption_type))
            key = f"{who.identity}/{publication.name}"
            if track.kind == rtc.TrackKind.KIND_VIDEO:
                video = ReceivedVideo(who.identity, publication.name)
                self.received[key] = video
                self.run(self.watch(track, video))
            else:
                audio = ReceivedAudio(who.identity, publication.name)
                self.received[key] = audio
                self.run(self.hear(track, audio))

        @room.on("data_received")
        def _(packet: rtc.DataPacket) -> None:
            say("data", who=packet.participant.identity if packet.participant else None, topic=packet.topic,
                size=len(packet.data), sum=sum(packet.data), text=packet.data[:80].decode(errors="replace"),
                reliable=packet.kind == rtc.DataPacketKind.KIND_RELIABLE)

        @room.on("disconnected")
        def _(reason: int) -> None:
            say("disconnected", reason=rtc.DisconnectReason.Name(reason))

        @room.on("participant_attributes_changed")
        def _(changed: dict, who: rtc.Participant) -> None:
            say("attributes", who=who.identity, attributes=dict(who.attributes))

        @room.on("participant_metadata_changed")
        def _(who: rtc.Participant, old: str, new: str) -> None:
            say("metadata", who=who.identity, metadata=new)

        @room.on("participant_name_changed")
        def _(who: rtc.Participant, old: str, new: str) -> None:
            say("name", who=who.identity, name=new)

        @room.on("room_metadata_changed")
        def _(old: str, new: str) -> None:
            say("room_metadata", metadata=new)

        @room.on("active_speakers_changed")
        def _(speakers: list) -> None:
            say("speakers", who=[speaker.identity for speaker in speakers])

        @room.on("e2ee_state_changed")
        def _(who: rtc.Participant, state: int) -> None:
            say("encryption", who=who.identity, state=rtc.EncryptionState.Name(state))

        @room.on("participant_permissions_changed")
        def _(who: rtc.Participant, permissions: object) -> None:
            say("permissions", who=who.identity, can_publish=permissions.can_publish)

        @room.on("local_track_republished")
        def _(publication: rtc.LocalTrackPublication, old_sid: str) -> None:
            say("republished", track=publication.name, sid=publication.sid)

        for name in ("participant_connected", "participant_disconnected"):
            room.on(name, lambda who, name=name: say(name, who=who.identity, sid=who.sid))
        for name in ("track_published", "track_unpublished"):
            room.on(name, lambda publication, who, name=name: say(
                name, who=who.identity, track=publication.name, sid=publication.sid))
        for name in ("track_muted", "track_unmuted"):
            room.on(name, lambda who, publication, name=name: say(name, who=who.identity, track=publication.name))
        room.on("track_unsubscribed", lambda track, publication, who: say(
            "track_unsubscribed", who=who.identity, track=publication.name))
        room.on("track_subscription_failed", lambda who, sid, error: say(
            "subscription_failed", who=who.identity, sid=sid, error=str(error)))
        for name in ("reconnecting", "reconnected", "token_refreshed"):
            room.on(name, lambda name=name: say(name))
        room.on("connection_state_changed", lambda state: say("state", state=rtc.ConnectionState.Name(state)))

    async def watch(self, track: rtc.RemoteTrack, video: ReceivedVideo) -> None:
        async for item in rtc.VideoStream(track, format=rtc.VideoBufferType.I420):
            video.add(item.frame)

    async def hear(self, track: rtc.RemoteTrack, audio: ReceivedAudio) -> None:
        async for item in rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1):
            audio.add(item.frame)

    # Commands

    async def connect(self, url: str, token: str, keys: dict[str, str] | None = None, auto_subscribe: bool = True,
                      single: bool | None = True, **_: object) -> dict:
        encryption = None
        if keys is not None:
            # The function of MatrixRTC: HKDF of raw keys, one for each participant.
            encryption = rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(
                ratchet_window_size=10, key_ring_size=256, key_derivation_function=1))
        began = time.monotonic()
        await self.room.connect(url, token, rtc.RoomOptions(
            auto_subscribe=auto_subscribe, encryption=encryption, single_peer_connection=single))
        self.identity = self.room.local_participant.identity
        for identity, key in (keys or {}).items():
            await self.set_key(identity, key)
        return {"identity": self.identity, "sid": self.room.local_participant.sid, "room": self.room.name,
                "seconds": round(time.monotonic() - began, 3), "participants": sorted(self.room.remote_participants)}

    async def set_key(self, identity: str, key: str, index: int = 0) -> dict:
        self.room.e2ee_manager.key_provider.set_key(identity, bytes.fromhex(key), index)
        return {}

    async def publish_video(self, name: str = "video", width: int = 640, height: int = 360, rate: int = 30,
                            codec: str = "vp8", simulcast: bool = False, kilobits: int = 900) -> dict:
        source = rtc.VideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track(name, source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA, simulcast=simulcast,
            video_codec=getattr(rtc.VideoCodec, codec.upper()),
            video_encoding=rtc.VideoEncoding(max_framerate=rate, max_bitrate=kilobits * 1000))
        self.feeds[name] = self.run(self.draw(source, Picture(self.identity, width, height), rate))
        return await self.publish(name, track, options)

    async def publish_audio(self, name: str = "audio") -> dict:
        source = rtc.AudioSource(SAMPLE_RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track(name, source)
        self.feeds[name] = self.run(self.sing(source, Tone(self.identity)))
        return await self.publish(name, track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE))

    async def publish(self, name: str, track: rtc.LocalTrack, options: rtc.TrackPublishOptions) -> dict:
        publication = await self.room.local_participant.publish_track(track, options)
        self.published[name] = (publication, track)
        return {"sid": publication.sid, "mime": publication.mime_type}

    async def draw(self, source: rtc.VideoSource, picture: Picture, rate: int) -> None:
        began, number = time.monotonic(), 0
        while True:
            frame = rtc.VideoFrame(picture.width, picture.height, rtc.VideoBufferType.I420, picture.draw(number))
            source.capture_frame(frame, timestamp_us=int((time.monotonic() - began) * 1e6))
            number += 1
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))

    async def sing(self, source: rtc.AudioSource, tone: Tone) -> None:
        while True:
            await source.capture_frame(rtc.AudioFrame(tone.next(), SAMPLE_RATE, 1, Tone.SAMPLES))

    async def mute(self, name: str, muted: bool = True) -> dict:
        track = self.published[name][1]
        track.mute() if muted else track.unmute()
        return {}

    async def unpublish(self, name: str) -> dict:
        publication, _ = self.published.pop(name)
        self.feeds.pop(name).cancel()
        await self.room.local_participant.unpublish_track(publication.sid)
        return {}

    async def subscribe(self, who: str, track: str, wanted: bool = True) -> dict:
        for publication in self.room.remote_participants[who].track_publications.values():
            if publication.name == track:
                publication.set_subscribed(wanted)
                return {"sid": publication.sid}
        raise LookupError(f"{who} has no track {track}")

    async def send_data(self, size: int = 0, text: str = "", reliable: bool = True, topic: str = "",
                        to: list[str] | None = None) -> dict:
        payload = text.encode() if text else bytes(i * 7 & 0xFF for i in range(size))
        await self.room.local_participant.publish_data(
            payload, reliable=reliable, topic=topic, destination_identities=to or [])
        return {"sum": sum(payload)}

    async def expect_text(self, topic: str) -> dict:
        async def read(reader: rtc.TextStreamReader, who: str) -> None:
            text = await reader.read_all()
            say("text", who=who, topic=topic, length=len(text), text=text[:80], hash=hash_of(text))
        self.room.register_text_stream_handler(topic, lambda reader, who: self.run(read(reader, who)))
        return {}

    async def send_text(self, topic: str, text: str, to: list[str] | None = None) -> dict:
        await self.room.local_participant.send_text(text, topic=topic, destination_identities=to)
        return {"hash": hash_of(text)}

    async def answer_rpc(self, method: str) -> dict:
        async def answer(invocation: rtc.RpcInvocationData) -> str:
            if invocation.payload == "fail":
                raise rtc.RpcError(1234, "as you wished")
            return f"{invocation.caller_identity}: {invocation.payload[::-1]}"
        self.room.local_participant.register_rpc_method(method, answer)
        return {}

    async def rpc(self, to: str, method: str, payload: str, seconds: float = 10) -> dict:
        try:
            answer = await self.room.local_participant.perform_rpc(
                destination_identity=to, method=method, payload=payload, response_timeout=seconds)
        except rtc.RpcError as error:
            return {"code": error.code, "message": error.message}
        return {"answer": answer}

    async def set_metadata(self, metadata: str) -> dict:
        await self.room.local_participant.set_metadata(metadata)
        return {}

    async def set_name(self, name: str) -> dict:
        await self.room.local_participant.set_name(name)
        return {}

    async def set_attributes(self, attributes: dict[str, str]) -> dict:
        await self.room.local_participant.set_attributes(attributes)
        return {}

    async def participants(self) -> dict:
        return {"participants": {
            who.identity: {
                "sid": who.sid, "name": who.name, "metadata": who.metadata, "attributes": dict(who.attributes),
                "tracks": {p.name: {"sid": p.sid, "muted": p.muted, "subscribed": p.subscribed}
                           for p in who.track_publications.values()},
            } for who in self.room.remote_participants.values()}}

    async def transport(self) -> dict:
        """ICE and DTLS of the peer connections. Ask before media arrives: the SDK ends the process at odd numbers."""
        found = await self.room.get_rtc_stats()
        transports = [stats.transport.transport for side in (found.publisher_stats, found.subscriber_stats)
                      for stats in side if stats.WhichOneof("stats") == "transport"]
        pairs = [stats.candidate_pair.candidate_pair for side in (found.publisher_stats, found.subscriber_stats)
                 for stats in side if stats.WhichOneof("stats") == "candidate_pair"]
        local = {stats.local_candidate.rtc.id: stats.local_candidate.candidate
                 for side in (found.publisher_stats, found.subscriber_stats)
                 for stats in side if stats.WhichOneof("stats") == "local_candidate"}
        return {
            "local": [rtc_name("IceCandidateType", local[pair.local_candidate_id].candidate_type)
                      for pair in pairs if pair.nominated and pair.local_candidate_id in local],
            "ice": [rtc_name("IceTransportState", t.ice_state) for t in transports],
            "dtls": [rtc_name("DtlsTransportState", t.dtls_state) for t in transports],
            "srtp": sorted({t.srtp_cipher for t in transports if t.srtp_cipher}),
            "nominated": sum(pair.nominated for pair in pairs),
        }

    async def counts(self) -> dict:
        return {"at": time.monotonic(), "received": {key: r.counts() for key, r in self.received.items()}}

    async def disconnect(self) -> dict:
        for task in list(self.feeds.values()):
            task.cancel()
        await self.room.disconnect()
        return {}

    async def do(self, command: dict) -> None:
        number, action = command.pop("id"), command.pop("do")
        try:
            result = await getattr(self, action)(**command)
            say("done", id=number, **result)
        except Exception as error:  # whatever it is, the test is told
            say("failed", id=number, error=f"{type(error).__name__}: {getattr(error, 'message', error)}")


def rtc_name(kind: str, value: int) -> str:
    return getattr(stats_pb2, kind).Name(value).rsplit("_", 1)[-1].lower()


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def report(client: Client) -> None:
    """The counters, once a second."""
    while True:
        await asyncio.sleep(1)
        if client.received:
            say("counts", **{k: v for k, v in (await client.counts()).items() if k != "at"})


async def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    client = Client()
    reports = asyncio.ensure_future(report(client))
    commands = asyncio.StreamReader(limit=1 << 22)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    say("ready")
    while line := await commands.readline():
        client.run(client.do(json.loads(line)))
    reports.cancel()
    await client.disconnect()


if __name__ == "__main__":
    asyncio.run(main())

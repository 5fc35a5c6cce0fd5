# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Two Matrix users in one encrypted call, each a process of its own, and a third participant in Chromium."""

import os
import secrets
import time

import pytest

from TestBed.bed import MatrixBed
from TestBed.chromium_peer import ChromiumPeer

CALL_SECONDS = int(os.environ.get("CALLBRIDGE_CALL_SECONDS", "300"))
WINDOW = 10


@pytest.mark.long
@pytest.mark.limit(CALL_SECONDS + 120)
def test_two_users_see_and_hear_each_other_with_frame_encryption(bed: MatrixBed, new_participant) -> None:
    users = [bed.user("alice"), bed.user("bob")]
    room = bed.room(*users)
    keys = {user.call_identity: secrets.token_hex(16) for user in users}
    participants = []
    for user in users:
        user.join_call(room, bed.callbridge.url)
        token = bed.call_token(user, room)
        assert token.status == 200, token.text
        participant = new_participant(user.user_id.split(":")[0][1:])
        joined = participant.connect(token.json["url"], token.json["jwt"], keys=keys)
        assert joined["identity"] == user.call_identity
        participants.append(participant)
    for participant in participants:
        participant.do("publish_audio")
        participant.do("publish_video", width=640, height=360, rate=30)
    pairs = [(participants[0], users[1].call_identity), (participants[1], users[0].call_identity)]
    for receiver, sender in pairs:
        for track in ("video", "audio"):
            assert receiver.wait_for("track_subscribed", who=sender, track=track)["encryption"] == 1
        receiver.wait_for("first_frame", publisher=sender)
        receiver.wait_for("first_tone", publisher=sender)

    began = time.monotonic()
    before = [(receiver.counts(sender, "video"), receiver.counts(sender, "audio")) for receiver, sender in pairs]
    first, rates = before, []
    while time.monotonic() - began < CALL_SECONDS:
        window_end = time.monotonic() + min(WINDOW, CALL_SECONDS)
        for receiver, sender in pairs:
            # Each participant reports every second; the report after the window's end closes the window.
            receiver.wait_for("counts", lambda event: event["at"] >= window_end, seconds=WINDOW + 10,
                              since=max(0, receiver.mark - 5))
        after = [(receiver.counts(sender, "video"), receiver.counts(sender, "audio")) for receiver, sender in pairs]
        for (video, audio), (video_then, audio_then), (receiver, sender) in zip(after, before, pairs):
            rate = (video["good"] - video_then["good"]) / (video["at"] - video_then["at"])
            rates.append(rate)
            assert rate >= 24, f"{receiver.name} decodes {rate:.1f} frames/s of {sender}: {video}"
            assert abs(audio["pitch"] - audio["wanted"]) < 5, f"{receiver.name} hears {audio}"
            wrong = (audio["windows"] - audio_then["windows"]) - (audio["good"] - audio_then["good"])
            assert wrong <= 1, f"{receiver.name}: {wrong} half seconds were not the tone of {sender}: {audio}"
        before = after
    for (video, _), (video_then, _) in zip(before, first):
        assert (video["good"] - video_then["good"]) / (video["at"] - video_then["at"]) >= 24
        assert video["backwards"] == 0
    print(f"frames/s: {min(rates):.1f} to {max(rates):.1f}")

    users[1].leave_call(room)
    participants[1].leave()
    participants[0].wait_for("participant_disconnected", who=users[1].call_identity)


@pytest.mark.parametrize("generation", [1, 0])
def test_a_browser_without_the_key_receives_but_cannot_decode(bed: MatrixBed, new_participant, generation: int) -> None:
    alice, carol = bed.user("alice"), bed.user("carol")
    room = bed.room(alice, carol)
    key = secrets.token_hex(16)
    token = bed.call_token(alice, room).json
    publisher = new_participant("alice")
    publisher.connect(token["url"], token["jwt"], keys={alice.call_identity: key})
    publisher.do("publish_audio")
    publisher.do("publish_video")
    picture, tone = f"{alice.call_identity}/video", f"{alice.call_identity}/audio"
    token = bed.call_token(carol, room).json
    with ChromiumPeer() as browser:
        browser.connect(token["url"], token["jwt"], generation, decrypts=True)
        # Without a key: a hundred frames arrive, none of them is a picture.
        seen = browser.wait_for_media(picture, lambda media: media["frameCrypto"]["withoutKey"] >= 100, 20)
        assert seen["good"] == 0, seen
        assert seen["bytes"] > 10_000, seen
        heard = browser.wait_for_media(tone, lambda media: media["frameCrypto"]["withoutKey"] >= 100, 20)
        assert abs(heard["pitch"] - heard["wanted"]) > 5 or heard["level"] < 0.01, heard
        # With another key: every frame is refused.
        browser.call("setKey", alice.call_identity, secrets.token_hex(16))
        refused = browser.wait_for_media(picture, lambda media: media["frameCrypto"]["refused"] >= 30, 20)
        assert refused["good"] == 0 and refused["frameCrypto"]["decrypted"] == 0, refused
        # With the key: pictures and the tone.
        browser.call("setKey", alice.call_identity, key)
        browser.wait_for_media(picture, lambda media: media["good"] >= 60, 20)
        browser.wait_for_media(
            tone, lambda media: abs(media["pitch"] - media["wanted"]) < 5 and media["level"] > 0.01, 20)

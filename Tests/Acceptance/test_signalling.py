# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Both generations of signalling with the livekit SDK: media, data, text streams, RPC, mute, metadata, unpublish."""

import pytest

from TestBed.processes import wait_until

LARGEST = 15 * 1024


def received(participant, publisher: str, track: str, field: str, least: int, seconds: float = 20) -> dict:
    """The counters of a track once one of them has reached a number."""
    event = participant.wait_for(
        "counts", lambda e: e["received"].get(f"{publisher}/{track}", {}).get(field, 0) >= least, seconds)
    return event["received"][f"{publisher}/{track}"]


def test_three_participants_see_and_hear_everybody(join) -> None:
    names = ["alice", "bob", "carol"]
    people = {name: join(name) for name in names}
    for person in people.values():
        person.do("publish_audio")
        person.do("publish_video", width=320, height=180, rate=20, kilobits=300)
    for name, person in people.items():
        for other in names:
            if other != name:
                person.wait_for("first_frame", publisher=other)
                person.wait_for("first_tone", publisher=other)
    people["carol"].leave()
    for name in ("alice", "bob"):
        people[name].wait_for("participant_disconnected", who="carol", seconds=5)
        # The others' media goes on.
        other = "bob" if name == "alice" else "alice"
        before = people[name].counts(other, "video")["good"]
        received(people[name], other, "video", "good", before + 20)


def test_a_late_joiner_sees_a_key_frame_within_a_second(join) -> None:
    alice = join("alice")
    alice.do("publish_video")
    bob = join("bob")
    bob.wait_for("first_frame", publisher="alice")
    received(bob, "alice", "video", "good", 90)
    for name in ("carol", "dave"):
        late = join(name)
        assert late.wait_for("first_frame", publisher="alice")["seconds"] < 1.0


@pytest.mark.parametrize("reliable", [True, False], ids=["reliable", "lossy"])
def test_data_messages_go_both_ways_up_to_15_kib(join, reliable: bool) -> None:
    alice, bob = join("alice"), join("bob")
    for sender, receiver in ((alice, bob), (bob, alice)):
        for size in (1, 1200, LARGEST):
            topic = f"size-{size}"
            sum_ = sender.do("send_data", size=size, reliable=reliable, topic=topic)["sum"]
            got = receiver.wait_for("data", topic=topic, who=sender.name)
            assert (got["size"], got["sum"], got["reliable"]) == (size, sum_, reliable)


def test_reliable_messages_keep_their_order(join) -> None:
    alice, bob = join("alice"), join("bob")
    commands = [alice.start("send_data", text=f"message {i}", topic="order") for i in range(100)]
    for command in commands:
        alice.result(command)
    bob.wait_for("data", text="message 99")
    assert [event["text"] for event in bob.saw("data", topic="order")] == [f"message {i}" for i in range(100)]


def test_data_for_one_participant_reaches_nobody_else(join) -> None:
    alice, bob, carol = join("alice"), join("bob"), join("carol")
    alice.do("send_data", text="for bob", to=["bob"])
    alice.do("send_data", text="for all")
    bob.wait_for("data", text="for bob")
    carol.wait_for("data", text="for all")
    assert not carol.saw("data", text="for bob")
    assert not alice.saw("data")


def test_text_streams(join) -> None:
    alice, bob = join("alice"), join("bob")
    bob.do("expect_text", topic="chat")
    for text in ("hello", "ä€𝄞" * 20_000):
        hash_ = alice.do("send_text", topic="chat", text=text)["hash"]
        assert bob.wait_for("text", hash=hash_)["length"] == len(text)


def test_remote_procedure_calls(join) -> None:
    alice, bob = join("alice"), join("bob")
    bob.do("answer_rpc", method="reverse")
    assert alice.do("rpc", to="bob", method="reverse", payload="stressed")["answer"] == "alice: desserts"
    payload = "x" * (LARGEST - 100)
    assert alice.do("rpc", to="bob", method="reverse", payload=payload)["answer"] == "alice: " + payload
    assert alice.do("rpc", to="bob", method="reverse", payload="fail")["code"] == 1234
    assert alice.do("rpc", to="bob", method="unknown", payload="")["code"] == 1400


def test_mute_and_unmute(join) -> None:
    alice, bob = join("alice"), join("bob")
    alice.do("publish_video")
    alice.do("publish_audio")
    bob.wait_for("first_frame")
    bob.wait_for("first_tone")
    for track, field in (("video", "good"), ("audio", "good")):
        alice.do("mute", name=track, muted=True)
        bob.wait_for("track_muted", who="alice", track=track)
        alice.do("mute", name=track, muted=False)
        bob.wait_for("track_unmuted", who="alice", track=track)
        before = bob.counts("alice", track)[field]
        received(bob, "alice", track, field, before + 5)


def test_someone_muted_is_muted_for_those_who_join_later(join) -> None:
    alice, bob = join("alice"), join("bob")
    alice.do("publish_audio")
    bob.wait_for("first_tone")
    alice.do("mute", name="audio", muted=True)
    bob.wait_for("track_muted")
    carol = join("carol")
    tracks = wait_until(
        lambda: carol.do("participants")["participants"]["alice"]["tracks"], 10, "carol knows the track")
    assert tracks["audio"]["muted"]


def test_unpublish_and_publish_again(join) -> None:
    alice, bob = join("alice"), join("bob")
    alice.do("publish_audio")
    sids = set()
    for round_ in range(3):
        mark = bob.mark
        sids.add(alice.do("publish_video", name=f"video-{round_}")["sid"])
        bob.wait_for("first_frame", since=mark, track=f"video-{round_}")
        alice.do("unpublish", name=f"video-{round_}")
        bob.wait_for("track_unpublished", since=mark, who="alice", track=f"video-{round_}")
    assert len(sids) == 3
    before = bob.counts("alice", "audio")["good"]
    received(bob, "alice", "audio", "good", before + 2)


def test_unsubscribe_and_subscribe_again(join) -> None:
    alice, bob = join("alice"), join("bob")
    alice.do("publish_video")
    bob.wait_for("first_frame")
    for _ in range(3):
        mark = bob.mark
        bob.do("subscribe", who="alice", track="video", wanted=False)
        bob.wait_for("track_unsubscribed", who="alice", since=mark)
        bob.do("subscribe", who="alice", track="video", wanted=True)
        bob.wait_for("track_subscribed", who="alice", since=mark)
        bob.wait_for("first_frame", publisher="alice", since=mark)


def test_without_auto_subscribe_nothing_comes_until_it_is_asked_for(join) -> None:
    alice, bob = join("alice"), join("bob", auto_subscribe=False)
    alice.do("publish_video")
    bob.wait_for("track_published", who="alice")
    # What bob is told about after the track would come after its subscription, too.
    alice.do("send_data", text="after the track")
    bob.wait_for("data", text="after the track")
    assert not bob.saw("track_subscribed")
    bob.do("subscribe", who="alice", track="video")
    bob.wait_for("first_frame", publisher="alice")


def test_name_metadata_and_attributes(join) -> None:
    alice, bob = join("alice", "--can-update-own-metadata"), join("bob")
    alice.do("set_metadata", metadata="of alice")
    bob.wait_for("metadata", who="alice", metadata="of alice")
    alice.do("set_name", name="Alice A.")
    bob.wait_for("name", who="alice", name="Alice A.")
    alice.do("set_attributes", attributes={"hand": "raised", "mood": "fine"})
    bob.wait_for("attributes", who="alice", matches=lambda event: event["attributes"].get("hand") == "raised")
    alice.do("set_attributes", attributes={"hand": ""})
    bob.wait_for("attributes", who="alice", matches=lambda event: event["attributes"] == {"mood": "fine"})
    carol = join("carol")
    known = carol.do("participants")["participants"]["alice"]
    assert (known["metadata"], known["name"], known["attributes"]) == ("of alice", "Alice A.", {"mood": "fine"})


def test_metadata_needs_the_right(join) -> None:
    alice, bob = join("alice"), join("bob")
    # The SDK waits for the server's word and keeps it to itself.
    alice.do("set_metadata", metadata="not allowed")
    alice.do("send_data", text="after the metadata")
    bob.wait_for("data", text="after the metadata")
    assert not bob.saw("metadata")
    assert join("carol").do("participants")["participants"]["alice"]["metadata"] == ""


@pytest.mark.parametrize("codec", ["vp8", "h264", "vp9", "av1"])
def test_each_codec(join, codec: str) -> None:
    alice, bob = join("alice"), join("bob")
    alice.do("publish_video", codec=codec, width=320, height=180, rate=15, kilobits=300)
    subscribed = bob.wait_for("track_subscribed", who="alice", track="video")
    assert subscribed["mime"].lower() == f"video/{codec}"
    bob.wait_for("first_frame", publisher="alice")
    received(bob, "alice", "video", "good", 30)


def test_simulcast_is_forwarded_at_one_layer(join) -> None:
    alice, bob = join("alice"), join("bob")
    alice.do("publish_video", width=1280, height=720, rate=20, simulcast=True, kilobits=1700)
    bob.wait_for("first_frame", publisher="alice")
    counts = received(bob, "alice", "video", "good", 60, seconds=40)
    assert counts["good"] / counts["frames"] > 0.9, counts
    assert counts["backwards"] == 0, counts


def test_speakers_are_announced(join) -> None:
    alice, bob = join("alice"), join("bob")
    alice.do("publish_audio")
    bob.wait_for("speakers", matches=lambda event: event["who"] == ["alice"])
    alice.do("mute", name="audio", muted=True)
    mark = bob.mark
    bob.wait_for("speakers", matches=lambda event: event["who"] == [], since=mark)


def test_publishing_needs_the_right(join) -> None:
    alice, bob = join("alice", "--no-can-publish"), join("bob")
    number = alice.start("publish_audio")
    assert alice.wait_for_answer(number, 25)["event"] == "failed"
    bob.do("publish_audio")
    alice.wait_for("first_tone", publisher="bob")
    assert not bob.saw("track_published")


def test_a_hidden_participant_is_not_seen(join) -> None:
    bob = join("bob")
    ghost = join("ghost", "--hidden")
    bob.do("publish_audio")
    ghost.wait_for("first_tone", publisher="bob")
    carol = join("carol")
    bob.wait_for("participant_connected", who="carol")
    assert not bob.saw("participant_connected", who="ghost")
    assert set(carol.do("participants")["participants"]) == {"bob"}


def test_a_hundred_messages_of_a_burst_arrive(join) -> None:
    alice, bob = join("alice"), join("bob")
    for i in range(100):
        alice.start("send_data", size=LARGEST, topic=f"burst-{i}")
    wait_until(lambda: len([e for e in bob.saw("data") if e["topic"].startswith("burst-")]) == 100, 30,
               "a hundred messages of 15 KiB arrive")

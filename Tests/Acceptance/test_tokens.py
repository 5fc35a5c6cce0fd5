# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""livekit-api and Callbridge understand each other: tokens both ways, and the room service."""

import pytest
from livekit import api

from TestBed.callbridge import Callbridge
from TestBed.matrix import http
from TestBed.server_api import livekit_token, room_service


def test_tokens_of_livekit_api_are_accepted(focus: Callbridge, room: str, new_participant) -> None:
    alice, bob = new_participant("alice"), new_participant("bob")
    for participant in (alice, bob):
        joined = participant.connect(focus.websocket_url, livekit_token(focus, room, participant.name))
        assert (joined["identity"], joined["room"]) == (participant.name, room)
    alice.do("publish_audio")
    bob.wait_for("first_tone", publisher="alice")


def test_our_tokens_verify_in_livekit_api(focus: Callbridge, room: str) -> None:
    token = focus.token(room, "alice", "--name", "Alice", "--metadata", "text", "--valid-for", "1h", "--no-can-publish",
                        "--can-update-own-metadata")
    found = api.TokenVerifier(focus.api_key, focus.api_secret).verify(token)
    assert (found.identity, found.name, found.metadata) == ("alice", "Alice", "text")
    assert (found.video.room_join, found.video.room) == (True, room)
    grant = found.video
    assert (grant.can_publish, grant.can_subscribe, grant.can_update_own_metadata) == (False, True, True)
    assert not found.video.room_admin and not found.video.room_create


def test_our_administrator_tokens_verify_in_livekit_api(focus: Callbridge, room: str) -> None:
    found = api.TokenVerifier(focus.api_key, focus.api_secret).verify(
        focus.token(room, "root", "--admin", "--create", "--hidden"))
    assert (found.video.room_admin, found.video.room_create, found.video.hidden) == (True, True, True)


def test_another_secret_does_not_verify_our_tokens(focus: Callbridge, room: str) -> None:
    with pytest.raises(Exception, match="(?i)signature"):
        api.TokenVerifier(focus.api_key, "another secret of thirty-two letters").verify(focus.token(room, "alice"))


def test_rooms_are_created_listed_and_deleted(focus: Callbridge, room: str) -> None:
    async def work(client: api.LiveKitAPI) -> None:
        made = await client.room.create_room(api.CreateRoomRequest(
            name=room, empty_timeout=77, departure_timeout=11, max_participants=5, metadata="about"))
        assert made.sid.startswith("RM_") and made.name == room
        assert (made.empty_timeout, made.departure_timeout, made.max_participants) == (77, 11, 5)
        again = await client.room.create_room(api.CreateRoomRequest(name=room, empty_timeout=77))
        assert again.sid == made.sid
        listed = await client.room.list_rooms(api.ListRoomsRequest(names=[room]))
        assert [(r.sid, r.metadata) for r in listed.rooms] == [(made.sid, "about")]
        assert room in {r.name for r in (await client.room.list_rooms(api.ListRoomsRequest())).rooms}
        await client.room.delete_room(api.DeleteRoomRequest(room=room))
        assert not (await client.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms
        with pytest.raises(api.TwirpError) as gone:
            await client.room.delete_room(api.DeleteRoomRequest(room=room))
        assert (gone.value.code, gone.value.status) == ("not_found", 404)
    room_service(focus, work)


def test_participants_are_listed_updated_and_muted(focus: Callbridge, room: str, new_participant) -> None:
    alice, bob = new_participant("alice"), new_participant("bob")
    for participant in (alice, bob):
        participant.connect(focus.websocket_url, livekit_token(focus, room, participant.name))
    sid = alice.do("publish_audio")["sid"]
    bob.wait_for("first_tone", publisher="alice")

    async def work(client: api.LiveKitAPI) -> None:
        listed = await client.room.list_participants(api.ListParticipantsRequest(room=room))
        assert {p.identity for p in listed.participants} == {"alice", "bob"}
        found = await client.room.get_participant(api.RoomParticipantIdentity(room=room, identity="alice"))
        assert [track.sid for track in found.tracks] == [sid]
        assert found.state == api.ParticipantInfo.State.ACTIVE
        updated = await client.room.update_participant(api.UpdateParticipantRequest(
            room=room, identity="alice", metadata="by the server", name="Al", attributes={"role": "host"}))
        assert (updated.metadata, updated.name, dict(updated.attributes)) == ("by the server", "Al", {"role": "host"})
        muted = await client.room.mute_published_track(
            api.MuteRoomTrackRequest(room=room, identity="alice", track_sid=sid, muted=True))
        assert muted.track.muted
        with pytest.raises(api.TwirpError) as refused:
            await client.room.mute_published_track(
                api.MuteRoomTrackRequest(room=room, identity="alice", track_sid=sid, muted=False))
        assert (refused.value.code, refused.value.status) == ("failed_precondition", 412)
        await client.room.send_data(api.SendDataRequest(room=room, data=b"from the server", topic="news"))
        await client.room.update_room_metadata(api.UpdateRoomMetadataRequest(room=room, metadata="new"))
    room_service(focus, work)
    bob.wait_for("metadata", who="alice", metadata="by the server")
    bob.wait_for("name", who="alice", name="Al")
    bob.wait_for("attributes", who="alice", attributes={"role": "host"})
    bob.wait_for("track_muted", who="alice", track="audio")
    for participant in (alice, bob):
        participant.wait_for("data", text="from the server", topic="news", who=None)
        participant.wait_for("room_metadata", metadata="new")


def test_a_right_is_taken_away(focus: Callbridge, room: str, new_participant) -> None:
    alice, bob = new_participant("alice"), new_participant("bob")
    for participant in (alice, bob):
        participant.connect(focus.websocket_url, livekit_token(focus, room, participant.name))
    alice.do("publish_audio")
    bob.wait_for("first_tone", publisher="alice")
    room_service(focus, lambda client: client.room.update_participant(api.UpdateParticipantRequest(
        room=room, identity="alice", permission=api.ParticipantPermission(can_subscribe=True, can_publish=False))))
    bob.wait_for("track_unpublished", who="alice", track="audio")
    alice.wait_for("permissions", can_publish=False)


def test_subscriptions_are_changed_by_the_server(focus: Callbridge, room: str, new_participant) -> None:
    alice, bob = new_participant("alice"), new_participant("bob")
    for participant in (alice, bob):
        participant.connect(focus.websocket_url, livekit_token(focus, room, participant.name))
    sid = alice.do("publish_audio")["sid"]
    bob.wait_for("first_tone", publisher="alice")
    room_service(focus, lambda client: client.room.update_subscriptions(api.UpdateSubscriptionsRequest(
        room=room, identity="bob", track_sids=[sid], subscribe=False)))
    # The SDK has no event for this: three seconds without the tone, which comes every half second, say it.
    bob.wait_for("counts", lambda event: event["received"]["alice/audio"]["silence"] > 3)


@pytest.mark.parametrize("identity", ["nobody", ""])
def test_an_unknown_participant_is_not_found(focus: Callbridge, room: str, identity: str) -> None:
    async def work(client: api.LiveKitAPI) -> None:
        await client.room.create_room(api.CreateRoomRequest(name=room))
        with pytest.raises(api.TwirpError) as refused:
            await client.room.get_participant(api.RoomParticipantIdentity(room=room, identity=identity))
        assert (refused.value.code, refused.value.message) == ("not_found", "participant does not exist")
        assert not (await client.room.list_participants(api.ListParticipantsRequest(room="no such room"))).participants
    room_service(focus, work)


def test_room_service_in_json(focus: Callbridge, room: str) -> None:
    token = livekit_token(focus, room, "server", room_join=False, room_create=True, room_list=True)
    service = focus.url + "/twirp/livekit.RoomService/"
    made = http("POST", service + "CreateRoom", {"name": room, "empty_timeout": 5, "departureTimeout": 6}, token)
    assert made.status == 200, made.text
    assert (made.json["name"], made.json["emptyTimeout"], made.json["departureTimeout"]) == (room, 5, 6)
    assert isinstance(made.json["creationTime"], str)
    listed = http("POST", service + "ListRooms", {"names": [room], "unknownField": 1}, token)
    assert [r["sid"] for r in listed.json["rooms"]] == [made.json["sid"]]
    missing = http("POST", service + "NoSuchMethod", {}, token)
    assert (missing.status, missing.json["code"]) == (404, "bad_route")


@pytest.mark.parametrize("method,grants", [
    ("CreateRoom", {"room_list": True}), ("ListRooms", {"room_create": True}), ("DeleteRoom", {"room_admin": True}),
    ("ListParticipants", {"room_create": True}), ("RemoveParticipant", {}), ("SendData", {"room_list": True}),
])
def test_the_room_service_needs_the_right(focus: Callbridge, room: str, method: str, grants: dict) -> None:
    token = livekit_token(focus, room, "eve", **grants)
    answer = http("POST", f"{focus.url}/twirp/livekit.RoomService/{method}", {"room": room, "name": room}, token)
    assert (answer.status, answer.json["code"], answer.json["msg"]) == (401, "unauthenticated", "permissions denied")


def test_an_administrator_of_one_room_has_no_say_in_another(focus: Callbridge, room: str) -> None:
    token = livekit_token(focus, room, "eve", room_admin=True)
    answer = http("POST", f"{focus.url}/twirp/livekit.RoomService/ListParticipants", {"room": "another"}, token)
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")

# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A homeserver on PostgreSQL, as grown ones are: the same door."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from TestBed.bed import MatrixBed
from TestBed.matrix import part
from TestBed.postgres import PostgreSQL
from TestBed.processes import wait_until


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixBed]:
    directory: Path = tmp_path_factory.mktemp("postgresql")
    database = PostgreSQL()
    matrix = MatrixBed(directory)
    try:
        matrix.synapse.settings = {"database": database.start("synapse")}
        matrix.start()
        yield matrix
    finally:
        matrix.stop()
        database.stop()


def test_a_member_gets_in_and_is_put_out(bed: MatrixBed, new_participant) -> None:
    alice, bob = bed.user("alice"), bed.user("bob")
    room = bed.room(alice, bob)
    bot = f"@callbot:{bed.callbridge.server_name}"
    alice.invite(room, bot)
    wait_until(lambda: bot in alice.members(room), 30, "the bot accepts the invitation")
    token = bed.call_token(bob, room)
    assert token.status == 200, token.text
    participant = new_participant("bob")
    participant.connect(token.json["url"], token.json["jwt"])
    bob.join_call(room, bed.callbridge.url)
    wait_until(lambda: bed.callbridge.rows("SELECT count(*) FROM roster_entries") == [(1,)], 20, "bob is in the roster")
    alice.call("POST", f"/_matrix/client/v3/rooms/{part(room)}/kick", {"user_id": bob.user_id})
    participant.wait_for("disconnected", seconds=10)
    answer = bed.call_token(bob, room)
    assert (answer.status, answer.json["callbridge.reason"]) == (403, "notJoined")

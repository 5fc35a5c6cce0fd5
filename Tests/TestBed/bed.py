# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""Synapse and Callbridge together, each knowing the other."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .callbridge import Callbridge
from .matrix import Answer, User
from .places import free_tcp_port
from .processes import wait_until
from .synapse import Synapse


class MatrixBed:
    """A homeserver with our registrations loaded, and Callbridge that serves it."""

    def __init__(self, directory: Path, homeserver_port: int | None = None, federates: bool = False,
                 **callbridge_options: object):
        port = homeserver_port or free_tcp_port()
        tls_port = free_tcp_port() if federates else None
        if tls_port:
            callbridge_options["server_name"] = f"localhost:{tls_port}"
        self.callbridge = Callbridge(directory / "callbridge", f"http://127.0.0.1:{port}", **callbridge_options)
        self.synapse = Synapse(
            directory / "synapse", [self.callbridge.registration, self.callbridge.delegated_registration],
            self.callbridge.url, self.callbridge.websocket_url, self.callbridge.server_name, port,
            tls_port=tls_port)

    def start(self) -> None:
        self.synapse.start()
        self.start_callbridge()

    def start_callbridge(self) -> None:
        self.callbridge.start()
        wait_until(self.callbridge.is_ready, 30, "Callbridge and the homeserver know each other (/readyz)")

    @classmethod
    @contextmanager
    def administered(cls, directory: Path, **settings: object) -> Iterator["MatrixBed"]:
        """Running, with an administrator of the bot in `admin`; `settings` are Callbridge's."""
        bed = cls(directory)
        try:
            bed.synapse.start()
            bed.admin = bed.user("admin")
            bed.callbridge.settings = settings
            bed.callbridge.matrix_settings = {"admins": [bed.admin.user_id]}
            bed.callbridge.write_configuration()
            bed.start_callbridge()
            yield bed
        finally:
            bed.stop()

    def stop(self) -> None:
        self.callbridge.stop()
        self.synapse.stop()

    def user(self, name: str) -> User:
        """A new account whose name begins like this."""
        return User(self.synapse.url, f"{name}-{uuid.uuid4().hex[:6]}", self.synapse.shared_secret)

    def room(self, *users: User) -> str:
        """An encrypted room with these users, the first of whom made it."""
        room = users[0].create_encrypted_room([user.user_id for user in users[1:]])
        for user in users[1:]:
            user.join(room)
        return room

    def call_token(self, user: User, room: str) -> Answer:
        return self.callbridge.sfu_get(user.call_token_request(room))

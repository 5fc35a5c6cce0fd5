# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The device of a test user with end-to-end encryption, on vodozemac: another implementation than ours."""

import base64
import json
import uuid

import vodozemac

from .matrix import User, part

OLM = "m.olm.v1.curve25519-aes-sha2"
MEGOLM = "m.megolm.v1.aes-sha2"
CLIENT = "/_matrix/client/v3"


def canonical(value: dict) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def unpadded(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def signed(value: dict, account: vodozemac.Account, user_id: str, key_id: str) -> dict:
    """The object with a signature more."""
    bare = {key: part for key, part in value.items() if key not in ("signatures", "unsigned")}
    signatures = value.get("signatures", {})
    own = {**signatures.get(user_id, {}), key_id: account.sign(canonical(bare)).to_base64()}
    return {**value, "signatures": {**signatures, user_id: own}}


def check_signature(value: dict, user_id: str, key_id: str, key: str) -> None:
    bare = {name: part for name, part in value.items() if name not in ("signatures", "unsigned")}
    vodozemac.Ed25519PublicKey.from_base64(key).verify_signature(
        canonical(bare), vodozemac.Ed25519Signature.from_base64(value["signatures"][user_id][key_id]))


class NotReadable(Exception):
    """A message or an event cannot be decrypted, or is not what it claims to be."""


class EncryptedDevice:
    """The one device of a user, with its keys at the homeserver."""

    def __init__(self, user: User, cross_signed: bool = True):
        self.user, self.user_id, self.device_id = user, user.user_id, user.device_id
        self.account = vodozemac.Account()
        self.curve25519 = self.account.curve25519_key.to_base64()
        self.ed25519 = self.account.ed25519_key.to_base64()
        self.sessions: dict[str, list[vodozemac.Session]] = {}
        self.outbound: dict[str, vodozemac.GroupSession] = {}
        self.inbound: dict[tuple[str, str], vodozemac.InboundGroupSession] = {}
        self.received: list[dict] = []
        self.since: str | None = None
        self.upload_keys()
        if cross_signed:
            self.cross_sign()

    # Keys

    @property
    def key_id(self) -> str:
        return f"ed25519:{self.device_id}"

    @property
    def device_keys(self) -> dict:
        return signed({
            "algorithms": [OLM, MEGOLM], "device_id": self.device_id, "user_id": self.user_id,
            "keys": {f"curve25519:{self.device_id}": self.curve25519, self.key_id: self.ed25519},
        }, self.account, self.user_id, self.key_id)

    def upload_keys(self) -> None:
        self.account.generate_one_time_keys(20)
        self.user.call("POST", CLIENT + "/keys/upload", {
            "device_keys": self.device_keys,
            "one_time_keys": {
                f"signed_curve25519:{unpadded(name.encode())}": signed(
                    {"key": key.to_base64()}, self.account, self.user_id, self.key_id)
                for name, key in self.account.one_time_keys.items()}})
        self.account.mark_keys_as_published()

    def cross_sign(self) -> None:
        """Makes an identity for the user that vouches for this device."""
        # An account's key signs as any Ed25519 key does.
        keys = {usage: vodozemac.Account() for usage in ("master", "self_signing", "user_signing")}
        names = {usage: key.ed25519_key.to_base64() for usage, key in keys.items()}
        body = {}
        for usage, name in names.items():
            public = {"user_id": self.user_id, "usage": [usage], "keys": {f"ed25519:{name}": name}}
            if usage != "master":
                public = signed(public, keys["master"], self.user_id, f"ed25519:{names['master']}")
            body[f"{usage}_key"] = public
        self.user.call("POST", CLIENT + "/keys/device_signing/upload", body)
        self.user.call("POST", CLIENT + "/keys/signatures/upload", {self.user_id: {
            self.device_id: signed(
                self.device_keys, keys["self_signing"], self.user_id, f"ed25519:{names['self_signing']}")}})

    def query(self, user_id: str) -> dict:
        """What the homeserver says about a user's keys: the whole answer."""
        return self.user.call("POST", CLIENT + "/keys/query", {"device_keys": {user_id: []}})

    def devices(self, user_id: str) -> dict[str, dict]:
        """The keys of the user's devices, which have signed themselves."""
        devices = self.query(user_id)["device_keys"][user_id]
        for name, keys in devices.items():
            check_signature(keys, user_id, f"ed25519:{name}", keys["keys"][f"ed25519:{name}"])
        return devices

    def claim(self, user_id: str, device_id: str) -> dict:
        """A one-time or fallback key, which the device has signed."""
        answer = self.user.call("POST", CLIENT + "/keys/claim", {
            "one_time_keys": {user_id: {device_id: "signed_curve25519"}}})
        key = next(iter(answer["one_time_keys"][user_id][device_id].values()))
        check_signature(key, user_id, f"ed25519:{device_id}",
                        self.devices(user_id)[device_id]["keys"][f"ed25519:{device_id}"])
        return key

    # Olm

    def encrypt(self, user_id: str, device_id: str, kind: str, content: dict) -> dict:
        """The content of an m.room.encrypted for a device."""
        keys = self.devices(user_id)[device_id]["keys"]
        curve25519 = keys[f"curve25519:{device_id}"]
        if not self.sessions.get(curve25519):
            self.sessions[curve25519] = [self.account.create_outbound_session(
                vodozemac.Curve25519PublicKey.from_base64(curve25519),
                vodozemac.Curve25519PublicKey.from_base64(self.claim(user_id, device_id)["key"]))]
        plain = {
            "type": kind, "content": content, "sender": self.user_id, "sender_device": self.device_id,
            "keys": {"ed25519": self.ed25519}, "recipient": user_id,
            "recipient_keys": {"ed25519": keys[f"ed25519:{device_id}"]}}
        message_type, body = self.sessions[curve25519][0].encrypt(canonical(plain)).to_parts()
        return {"algorithm": OLM, "sender_key": self.curve25519,
                "ciphertext": {curve25519: {"type": message_type, "body": unpadded(body)}}}

    def send_to_device(self, kind: str, user_id: str, device_id: str, content: dict) -> None:
        self.user.call("PUT", f"{CLIENT}/sendToDevice/{part(kind)}/{uuid.uuid4().hex}", {
            "messages": {user_id: {device_id: content}}})

    def receive(self) -> list[dict]:
        """Syncs once; the to-device messages so far, decrypted."""
        query = {"timeout": 0} | ({"since": self.since} if self.since else {})
        answer = self.user.call("GET", CLIENT + "/sync", query=query)
        self.since = answer["next_batch"]
        for event in answer.get("to_device", {}).get("events", []):
            self.received.append(self.decrypt(event) if event["type"] == "m.room.encrypted" else event)
        return self.received

    def decrypt(self, event: dict) -> dict:
        content = event["content"]
        ours = content["ciphertext"][self.curve25519]
        message = vodozemac.AnyOlmMessage.from_parts(ours["type"], decoded(ours["body"]))
        known = self.sessions.setdefault(content["sender_key"], [])
        plain = None
        for session in list(known):
            try:
                plain = session.decrypt(message)
            except vodozemac.OlmDecryptionException:
                continue
            known.remove(session)
            known.insert(0, session)
            break
        if plain is None:
            if ours["type"] != 0:
                raise NotReadable("no session decrypts the message")
            session, plain = self.account.create_inbound_session(
                vodozemac.Curve25519PublicKey.from_base64(content["sender_key"]), message.to_pre_key())
            known.insert(0, session)
        inner = json.loads(bytes(plain))
        if inner["sender"] != event["sender"] or inner["recipient"] != self.user_id or \
                inner["recipient_keys"]["ed25519"] != self.ed25519:
            raise NotReadable("made by or for somebody else")
        if inner["type"] == "m.room_key":
            key = inner["content"]
            self.inbound[key["room_id"], key["session_id"]] = vodozemac.InboundGroupSession(
                vodozemac.SessionKey(key["session_key"]))
        return inner

    # Megolm

    def share_room_key(self, room: str, user_ids: list[str]) -> None:
        """Begins a new session for the room, whose key all devices of the users get."""
        session = self.outbound[room] = vodozemac.GroupSession()
        content = {"algorithm": MEGOLM, "room_id": room, "session_id": session.session_id,
                   "session_key": session.session_key.to_base64()}
        for user_id in user_ids:
            for device_id in self.devices(user_id):
                self.send_to_device("m.room.encrypted", user_id, device_id,
                                    self.encrypt(user_id, device_id, "m.room_key", content))

    def send_room(self, room: str, kind: str, content: dict) -> str:
        """An encrypted event; returns its id."""
        session = self.outbound[room]
        ciphertext = session.encrypt(canonical({"type": kind, "content": content, "room_id": room})).to_base64()
        path = f"{CLIENT}/rooms/{part(room)}/send/m.room.encrypted/{uuid.uuid4().hex}"
        return self.user.call("PUT", path, {
            "algorithm": MEGOLM, "session_id": session.session_id, "ciphertext": ciphertext,
            "sender_key": self.curve25519, "device_id": self.device_id})["event_id"]

    def decrypt_room(self, room: str, event: dict) -> dict:
        content = event["content"]
        session = self.inbound.get((room, content["session_id"]))
        if session is None:
            raise NotReadable(f"no room key {content['session_id']}")
        inner = json.loads(bytes(session.decrypt(vodozemac.MegolmMessage.from_base64(content["ciphertext"])).plaintext))
        if inner["room_id"] != room:
            raise NotReadable("made for another room")
        return inner

# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""`callbridge doctor homeserver` names each of ten planted mistakes, with its fix."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from TestBed.bed import MatrixBed
from TestBed.callbridge import run_callbridge
from TestBed.http_proxy import HTTPProxy
from TestBed.matrix import CALL_MEMBER, User
from TestBed.places import free_tcp_port
from TestBed.processes import wait_until


class Diagnosis:
    """What the doctor printed, by severity."""

    def __init__(self, bed: MatrixBed, *options: str, **changes: object):
        configuration = bed.callbridge.configuration_file
        if changes:
            # A configuration of its own beside the right one.
            right = dict(bed.callbridge.matrix_settings)
            bed.callbridge.matrix_settings.update(changes)
            text = configuration.read_text()
            bed.callbridge.write_configuration()
            wrong = configuration.with_name("wrong.yaml")
            wrong.write_text(configuration.read_text())
            configuration.write_text(text)
            bed.callbridge.matrix_settings = right
            configuration = wrong
        result = run_callbridge("doctor", "homeserver", "--config", str(configuration), *options, seconds=60)
        self.status, self.text = result.returncode, result.stdout + result.stderr
        self.findings = re.findall(r"^(ok|warn|fail): (.*)\n(?:      fix: (.*)\n)?", result.stdout, re.MULTILINE)

    def names(self, problem: str, fix: str) -> None:
        """Exactly this is among what fails, with its fix."""
        found = [(text, remedy) for severity, text, remedy in self.findings if severity == "fail" and problem in text]
        assert found and all(fix in remedy for _, remedy in found), self.text
        assert self.status == 1, self.text

    def is_silent_about(self, problem: str) -> None:
        assert not any(severity == "fail" and problem in text for severity, text, _ in self.findings), self.text


@pytest.fixture
def own_bed(tmp_path: Path) -> Iterator[MatrixBed]:
    """A homeserver of the test's own, to be configured wrongly before its start."""
    matrix = MatrixBed(tmp_path)
    try:
        yield matrix
    finally:
        matrix.stop()


PROBLEMS = [
    "does not know the as_token", "does not have org.matrix", "nothing answers", "OpenID tokens cannot be verified",
    "not this focus", "Access-Control-Allow-Origin, so", "clock is", "version 12", "they cannot join calls",
    "does not exist any more",
]


def test_a_homeserver_that_is_set_up_right_has_none_of_these(bed: MatrixBed) -> None:
    alice = bed.user("alice")
    room = bed.room(alice)
    alice.invite(room, f"@callbot:{bed.callbridge.server_name}")
    wait_until(lambda: len(alice.members(room)) == 2, 20, "the bot accepts")
    diagnosis = Diagnosis(bed, "--room", room)
    for problem in PROBLEMS:
        diagnosis.is_silent_about(problem)
    assert "the homeserver reaches Callbridge" in diagnosis.text
    assert "every member may take part" in diagnosis.text


def test_1_a_wrong_token(bed: MatrixBed) -> None:
    wrong = bed.callbridge.directory / "wrong-registration.yaml"
    text = bed.callbridge.registration.read_text()
    token = re.search(r"^as_token:\s*\"?([^\"\s]+)", text, re.MULTILINE)[1]
    wrong.write_text(text.replace(token, token[::-1]))
    wrong.chmod(0o600)
    Diagnosis(bed, registration=str(wrong)).names("does not know the as_token", "app_service_config_files")


def test_2_a_missing_flag_and_5_wrong_transports(own_bed: MatrixBed) -> None:
    experimental = own_bed.synapse.configuration["experimental_features"]
    own_bed.synapse.settings = {
        "experimental_features": {**experimental, "msc4354_enabled": False, "msc4502_enabled": False},
        "matrix_rtc": {"transports": [{"type": "livekit", "livekit_service_url": "https://elsewhere.test/jwt"}]},
    }
    own_bed.start()
    diagnosis = Diagnosis(own_bed)
    diagnosis.names("does not have org.matrix.msc4354", "msc4354_enabled: true")
    diagnosis.names("is_joined (MSC4502)", "msc4502_enabled: true")
    diagnosis.names("not this focus", own_bed.callbridge.url)


@pytest.mark.parametrize("what", ["nobody", "something else"])
def test_3_a_wrong_url(bed: MatrixBed, what: str) -> None:
    port = free_tcp_port() if what == "nobody" else bed.callbridge.port
    diagnosis = Diagnosis(bed, homeserver_url=f"http://127.0.0.1:{port}")
    diagnosis.names("matrix.homeserver_url", "8008")


def test_3_a_wrong_url_in_the_registration(own_bed: MatrixBed) -> None:
    text = own_bed.callbridge.registration.read_text()
    own_bed.callbridge.registration.write_text(
        text.replace(own_bed.callbridge.url, f"http://127.0.0.1:{free_tcp_port()}"))
    own_bed.synapse.start()
    own_bed.callbridge.start()
    Diagnosis(own_bed).names("cannot reach the url of our registration", "set url in the registration")


def test_4_a_listener_without_openid(own_bed: MatrixBed) -> None:
    listener = own_bed.synapse.configuration["listeners"][0]
    own_bed.synapse.settings = {
        "listeners": [{**listener, "resources": [{"names": ["client"], "compress": False}]}]}
    own_bed.start()
    Diagnosis(own_bed).names("OpenID tokens cannot be verified", "add openid to the resources")


@pytest.mark.parametrize("headers,problem,fix", [
    ({"access-control-allow-origin": []}, "have lost Access-Control-Allow-Origin", "proxy_hide_header"),
    ({"access-control-allow-origin": ["*", "*"]}, "* and *", "add_header"),
])
def test_6_a_proxy_spoils_cors(bed: MatrixBed, headers: dict, problem: str, fix: str) -> None:
    with HTTPProxy(bed.callbridge.port, headers) as proxy:
        Diagnosis(bed, livekit_service_url=proxy.url).names(problem, fix)


def test_7_clock_skew(bed: MatrixBed) -> None:
    with HTTPProxy(bed.synapse.port, {"date": ["Sun, 06 Nov 1994 08:49:37 GMT"]}) as proxy:
        Diagnosis(bed, homeserver_url=proxy.url).names("clock is", "set-ntp")


def test_8_a_room_id_of_version_12_with_a_server_name(bed: MatrixBed) -> None:
    room = bed.user("alice").call("POST", "/_matrix/client/v3/createRoom", {"room_version": "12"})["room_id"]
    Diagnosis(bed, "--room", f"{room}:{bed.callbridge.server_name}").names("version 12", f"write {room}")


def watched(bed: MatrixBed, alice: User, **options: object) -> str:
    room = alice.call("POST", "/_matrix/client/v3/createRoom", {
        "preset": "private_chat", "invite": [f"@callbot:{bed.callbridge.server_name}"], **options})["room_id"]
    wait_until(lambda: len(alice.members(room)) == 2, 20, "the bot accepts")
    return room


def test_9_a_missing_power_level(bed: MatrixBed) -> None:
    room = watched(bed, bed.user("alice"))
    Diagnosis(bed, "--room", room).names("they cannot join calls", CALL_MEMBER)


def test_10_a_stale_device(bed: MatrixBed) -> None:
    alice, bob = bed.user("alice"), bed.user("bob")
    room = watched(bed, alice, power_level_content_override={"events": {CALL_MEMBER: 0}})
    alice.invite(room, bob.user_id)
    bob.join(room)
    event = bob.join_call(room, bed.callbridge.url)
    Diagnosis(bed, "--room", room).is_silent_about("does not exist any more")
    bob.call("POST", "/_matrix/client/v3/logout", {})
    Diagnosis(bed, "--room", room).names(f"device {bob.device_id}, which does not exist any more", event)

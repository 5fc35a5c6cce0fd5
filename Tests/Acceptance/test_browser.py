# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""A browser and a client of the livekit SDK in one call, through both generations of signalling."""

import pytest

from TestBed.callbridge import Callbridge
from TestBed.chromium_peer import ChromiumPeer


@pytest.mark.parametrize("browser_generation", [1, 0], ids=["browser-v1", "browser-v0"])
def test_a_browser_publishes_and_subscribes(focus: Callbridge, join, room: str, browser_generation: int) -> None:
    alice = join("alice")
    alice.do("publish_video")
    alice.do("publish_audio")
    with ChromiumPeer() as browser:
        browser.connect(focus.websocket_url, focus.token(room, "browser"), browser_generation)
        alice.wait_for("participant_connected", who="browser")
        seen = browser.wait_for_media("alice/video", lambda media: media["good"] >= 60, 20)
        assert seen["good"] >= 0.9 * seen["frames"], seen
        browser.wait_for_media(
            "alice/audio", lambda media: abs(media["pitch"] - media["wanted"]) < 5 and media["level"] > 0.01, 20)
        browser.call("publish")
        for track in ("video", "audio"):
            alice.wait_for("track_subscribed", who="browser", track=track)
            alice.wait_for("counts", lambda e: e["received"].get(f"browser/{track}", {}).get("frames", 0) >= 60)
        # Fake microphones beep: that is what has to be loud.
        alice.wait_for("counts", lambda e: e["received"]["browser/audio"]["level"] > 100)
        browser.call("close")
        alice.wait_for("participant_disconnected", who="browser")


@pytest.mark.parametrize("browser_generation", [1, 0], ids=["browser-v1", "browser-v0"])
def test_data_between_a_browser_and_the_sdk(focus: Callbridge, join, room: str, browser_generation: int) -> None:
    alice = join("alice")
    with ChromiumPeer() as browser:
        browser.connect(focus.websocket_url, focus.token(room, "browser"), browser_generation)
        alice.wait_for("participant_connected", who="browser")
        for reliable in (True, False):
            for size in (1, 15 * 1024):
                topic = f"{reliable}-{size}"
                sum_ = browser.call("sendData", {"size": size, "reliable": reliable, "topic": topic})
                got = alice.wait_for("data", who="browser", topic=topic)
                assert (got["size"], got["sum"]) == (size, sum_)
                sum_ = alice.do("send_data", size=size, reliable=reliable, topic=topic)["sum"]
                browser.wait_for(f"data.some(e => e.topic === '{topic}' && e.who === 'alice' && e.size === {size} "
                                 f"&& e.sum === {sum_})", 10)


@pytest.mark.parametrize("browser_generation", [1, 0], ids=["browser-v1", "browser-v0"])
def test_more_tracks_than_free_sections(focus: Callbridge, join, room: str, browser_generation: int) -> None:
    """Five pictures need more sections than a join offers: the focus asks for them."""
    people = [join(f"person-{i}") for i in range(5)]
    for person in people:
        person.do("publish_video", width=320, height=180, rate=10, kilobits=150)
    with ChromiumPeer() as browser:
        browser.connect(focus.websocket_url, focus.token(room, "browser"), browser_generation)
        for person in people:
            browser.wait_for_media(f"{person.name}/video", lambda media: media["good"] >= 10, 30)

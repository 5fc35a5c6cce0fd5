# This source file is part of Callbridge, calls for Matrix homeservers.
# Copyright 2026 the Callbridge authors.
# SPDX-License-Identifier: Apache-2.0
#

"""The caller's end of a one-to-one call (`m.call.*`): what its events say."""

import uuid
from dataclasses import dataclass, field

FINGERPRINT = ":".join(["AB"] * 32)

# What a browser offers for sound alone, for calls in which no media is to flow.
OFFER = "\r\n".join([
    "v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "a=msid-semantic: WMS one",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0", "a=ice-ufrag:Frag",
    "a=ice-pwd:aPasswordOf24Characters0", "a=ice-options:trickle", f"a=fingerprint:sha-256 {FINGERPRINT}",
    "a=setup:actpass", "a=mid:0", "a=sendrecv", "a=msid:one track", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:0 PCMU/8000", ""])


@dataclass
class CallerEnd:
    """Names of one call; version 0 has no party."""

    version: str | int = "1"
    call_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    party_id: str = "CALLER"

    def content(self, party: str | None = None, **more: object) -> dict:
        content = {"call_id": self.call_id, "version": self.version, **more}
        if self.version != 0:
            content["party_id"] = party or self.party_id
        return content

    def invite(self, sdp: str = OFFER, lifetime: int = 60_000, **more: object) -> dict:
        return self.content(offer={"type": "offer", "sdp": sdp}, lifetime=lifetime, **more)

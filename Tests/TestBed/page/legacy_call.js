// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// The media of a one-to-one call as older Matrix clients make them: one peer connection that sends sound and pictures
// and takes them in the same sections. What is said in the room is the test's business.

import { ReceivedAudio } from "./received_media.js";

const PITCH = 523;

export class LegacyCall {
  constructor() {
    this.peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.candidates = [];
    this.gathered = new Promise(resolve => {
      this.peer.onicecandidate = ({ candidate }) => {
        if (candidate) this.candidates.push(candidate.toJSON());
        else resolve();
      };
    });
    this.streams = new Set();
    this.peer.ontrack = ({ track, streams }) => {
      for (const stream of streams) this.streams.add(stream.id);
      // It comes again after a hold, as the same track.
      if (track.kind === "audio") this.sound ??= new ReceivedAudio(track, "");
      else if (!this.video) this.show(track);
    };
    this.stream = new MediaStream([this.tone(), this.picture()]);
    for (const track of this.stream.getTracks()) this.peer.addTrack(track, this.stream);
  }

  tone() {
    this.context = new AudioContext({ sampleRate: 48000 });
    const oscillator = new OscillatorNode(this.context, { frequency: PITCH });
    const destination = new MediaStreamAudioDestinationNode(this.context);
    oscillator.connect(new GainNode(this.context, { gain: 0.3 })).connect(destination);
    oscillator.start();
    this.context.resume();
    return destination.stream.getAudioTracks()[0];
  }

  picture() {
    const canvas = document.createElement("canvas");
    canvas.width = 320;
    canvas.height = 180;
    const context = canvas.getContext("2d");
    let hue = 0;
    setInterval(() => {
      hue = (hue + 7) % 360;
      context.fillStyle = `hsl(${hue} 80% 50%)`;
      context.fillRect(0, 0, canvas.width, canvas.height);
    }, 66);
    return canvas.captureStream(15).getVideoTracks()[0];
  }

  show(track) {
    this.video = document.createElement("video");
    this.video.srcObject = new MediaStream([track]);
    this.video.muted = true;
    this.video.play();
    this.frames = 0;
    const count = () => {
      this.frames += 1;
      this.video.requestVideoFrameCallback(count);
    };
    this.video.requestVideoFrameCallback(count);
  }

  /** An offer of ours, without the candidates that come later. */
  async offer({ hold = false, restart = false } = {}) {
    for (const transceiver of this.peer.getTransceivers()) transceiver.direction = hold ? "sendonly" : "sendrecv";
    const offer = await this.peer.createOffer({ iceRestart: restart });
    await this.peer.setLocalDescription(offer);
    return { sdp: offer.sdp, stream: this.stream.id };
  }

  /** The answer to an offer of the other side, complete. */
  async answer(sdp) {
    await this.peer.setRemoteDescription({ type: "offer", sdp });
    await this.peer.setLocalDescription(await this.peer.createAnswer());
    await this.gathered;
    return this.peer.localDescription.sdp;
  }

  async trickled() {
    await this.gathered;
    return this.candidates;
  }

  async answered(sdp) {
    await this.peer.setRemoteDescription({ type: "answer", sdp });
  }

  report() {
    const size = this.video ? `${this.video.videoWidth}x${this.video.videoHeight}` : "";
    return {
      state: this.peer.connectionState, frames: this.frames ?? 0, size, pitch: this.sound?.counts.pitch ?? 0,
      level: this.sound?.counts.level ?? 0, wanted: PITCH, streams: [...this.streams],
      directions: this.peer.getTransceivers().map(transceiver => transceiver.currentDirection),
    };
  }

  close() {
    this.peer.close();
  }
}

// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// A participant of the test's room, in the generation of signalling with two peer connections: this side offers what it
// sends, the server offers what it forwards.

import { PUBLISHER, SUBSCRIBER, decodeResponse, encodeRequest } from "./signal.js";
import { selectedRoute } from "./paths.js";

const AUDIO = 0, VIDEO = 1;
const CAMERA = 1, MICROPHONE = 2;

/** Why signalling did not come about, for the verdict. */
export class SignallingError extends Error {
  /** @param status of the twin path that tells what the WebSocket would have met; 0 when it is not reached either */
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** A peer connection that keeps the server's candidates until its description is there. */
class Connection {
  constructor(participant, target, configuration) {
    this.peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", ...configuration });
    this.early = [];
    /** What the server offers: {address, port, protocol}. */
    this.offered = [];
    this.peer.onicecandidate = ({ candidate }) => {
      if (candidate) participant.send({ trickle: { candidateInit: JSON.stringify(candidate.toJSON()), target } });
    };
  }

  async setRemote(type, sdp) {
    for (const line of sdp.split(/\r?\n/)) if (line.startsWith("a=candidate:")) this.note(line.slice(2));
    await this.peer.setRemoteDescription({ type, sdp });
    for (const candidate of this.early.splice(0)) await this.peer.addIceCandidate(candidate);
  }

  async addCandidate(candidate) {
    this.note(candidate.candidate ?? "");
    if (this.peer.remoteDescription) await this.peer.addIceCandidate(candidate);
    else this.early.push(candidate);
  }

  note(line) {
    const [, , protocol, , address, port] = line.split(" ");
    if (port && !this.offered.some(one => one.address === address && one.port === Number(port))) {
      this.offered.push({ address, port: Number(port), protocol: protocol.toLowerCase() });
    }
  }
}

export class Participant {
  /**
   * @param base URL below which the server's paths are
   * @param relayOnly whether media may take TURN servers alone
   * @param onTrack told each received track
   */
  constructor({ token, base, relayOnly = false, onTrack = () => {} }) {
    this.token = token;
    this.base = base;
    this.policy = relayOnly ? "relay" : "all";
    this.onTrack = onTrack;
    this.published = new Map();
    this.work = Promise.resolve();
    this.handlers = {
      join: this.joinArrived, offer: this.offerArrived, answer: this.answerArrived, trickle: this.trickleArrived,
      trackPublished: this.trackPublished, leave: this.leaveArrived,
    };
  }

  /** Opens the socket and waits for the join; returns the ICE servers. */
  async join() {
    const query = new URLSearchParams({
      access_token: this.token, auto_subscribe: 1, sdk: "js", version: "2.0.0", protocol: 16 });
    const url = new URL(`rtc?${query}`, this.base);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    const joined = new Promise((resolve, reject) => {
      this.joined = resolve;
      this.socket.onclose = ({ code, reason }) => {
        if (!this.isClosed) this.fault ??= `the socket closed (${code})`;
        reject(new SignallingError(reason || "the socket closed"));
      };
    });
    this.socket.onmessage = ({ data }) => this.receive(data);
    try {
      return await joined;
    } catch (error) {
      throw this.isClosed ? error : await this.explain(query, error);
    }
  }

  /** Browsers do not tell why a WebSocket was refused; the twin path does. */
  async explain(query, error) {
    try {
      const answer = await fetch(new URL(`rtc/validate?${query}`, this.base), { cache: "no-store" });
      return new SignallingError(answer.ok ? "" : (await answer.text()).slice(0, 200), answer.status);
    } catch {
      return error;
    }
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(encodeRequest(message));
  }

  receive(data) {
    // One after the other: descriptions must not overtake each other.
    this.work = this.work.then(async () => {
      const [[kind, value] = []] = Object.entries(decodeResponse(data));
      if (kind && !this.isClosed) await this.handlers[kind].call(this, value);
    }).catch(error => { this.fault ??= String(error); });
  }

  // Messages of the server

  joinArrived(message) {
    const servers = (message.iceServers ?? []).map(({ urls = [], username, credential }) => ({
      urls, ...(username && { username, credential }) }));
    this.configuration = { iceServers: servers, iceTransportPolicy: this.policy };
    this.pings = setInterval(() => this.send({ pingReq: { timestamp: Date.now() } }),
      (message.pingInterval || 5) * 1000);
    this.joined(servers);
  }

  async offerArrived({ sdp, id = 0 }) {
    if (!this.subscriber) {
      this.subscriber = new Connection(this, SUBSCRIBER, this.configuration);
      this.subscriber.peer.ontrack = ({ track }) => this.onTrack(track);
    }
    await this.subscriber.setRemote("offer", sdp);
    await this.subscriber.peer.setLocalDescription();
    this.send({ answer: { type: "answer", sdp: this.subscriber.peer.localDescription.sdp, id } });
  }

  async answerArrived({ sdp }) { await this.publisher.setRemote("answer", sdp); }

  async trickleArrived({ candidateInit, target = PUBLISHER }) {
    const connection = target === PUBLISHER ? this.publisher : this.subscriber;
    await connection?.addCandidate(JSON.parse(candidateInit));
  }

  trackPublished({ cid }) { this.published.get(cid)?.(); }

  leaveArrived({ reason = 0 }) { this.fault ??= `the server ended the session (reason ${reason})`; }

  // Media

  /** Announces and offers the tracks; ends when the offer is sent. */
  async publish(tracks) {
    this.publisher = new Connection(this, PUBLISHER, this.configuration);
    await Promise.all(tracks.map(track => {
      const isVideo = track.kind === "video";
      const answered = new Promise(resolve => this.published.set(track.id, resolve));
      const { width, height } = track.getSettings();
      this.send({ addTrack: {
        cid: track.id, name: track.kind, type: isVideo ? VIDEO : AUDIO, source: isVideo ? CAMERA : MICROPHONE,
        ...(isVideo && width && { width, height }) } });
      return answered;
    }));
    const stream = new MediaStream(tracks);
    for (const track of tracks) {
      this.publisher.peer.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    }
    await this.publisher.peer.setLocalDescription();
    this.send({ offer: { type: "offer", sdp: this.publisher.peer.localDescription.sdp, id: 1 } });
  }

  /** The connection that decides for this participant, once there is one. */
  get main() { return this.publisher ?? this.subscriber; }

  /** How media travels: see selectedRoute. Null while it does not. */
  async route() {
    const peer = this.main?.peer;
    return peer?.connectionState === "connected" ? selectedRoute(await peer.getStats()) : null;
  }

  close() {
    this.isClosed = true;
    clearInterval(this.pings);
    this.send({ leave: { reason: 1 } });
    for (const connection of [this.publisher, this.subscriber]) connection?.peer.close();
    this.socket?.close();
  }
}

// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// A participant that speaks the LiveKit protocol: signalling over a WebSocket, one peer connection (/rtc/v1) or two
// (/rtc).

import {
  DataPacket, JoinRequest, SignalRequest, SignalResponse, WrappedJoinRequest, decode, encode,
} from "./protobuf.js";
import { ReceivedAudio, ReceivedVideo } from "./received_media.js";

const PUBLISHER = 0, SUBSCRIBER = 1;
const AUDIO = 0, VIDEO = 1;
const CAMERA = 1, MICROPHONE = 2;
const DISCONNECTED = 3;

function urlSafeBase64(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

/** One of the peer connections: keeps candidates until the other side's description is there. */
class Connection {
  constructor(target, client) {
    this.peer = new RTCPeerConnection({
      bundlePolicy: "max-bundle", encodedInsertableStreams: client.readsFrames, iceServers: client.iceServers,
    });
    this.target = target;
    this.early = [];
    this.offerId = 0;
    this.peer.onicecandidate = ({ candidate }) => {
      if (candidate) client.send({ trickle: { candidateInit: JSON.stringify(candidate.toJSON()), target } });
    };
    this.peer.ontrack = event => client.trackArrived(event);
    this.peer.ondatachannel = ({ channel }) => client.useChannel(channel);
  }

  async setRemote(type, sdp) {
    await this.peer.setRemoteDescription({ type, sdp });
    for (const candidate of this.early.splice(0)) await this.peer.addIceCandidate(candidate);
  }

  async addCandidate(candidate) {
    if (this.peer.remoteDescription) await this.peer.addIceCandidate(candidate);
    else this.early.push(candidate);
  }
}

export class CallClient {
  constructor() {
    this.log = [];
    this.participants = new Map();
    this.tracks = new Map();
    this.media = {};
    this.data = [];
    this.published = {};
    this.waiting = new Map();
    this.toSend = [];
    this.midToTrack = {};
    this.channels = {};
    this.sections = [];
    this.worker = new Worker("./frame_decryption.js");
    this.answers = new Map();
    this.worker.onmessage = ({ data }) => {
      this.answers.get(data.id)?.(data);
      this.answers.delete(data.id);
    };
    this.state = "new";
  }

  note(text) { this.log.push(`${Math.round(performance.now())} ${text}`); }

  // Joining

  /**
   * Joins through /rtc/v1 (generation 1) or /rtc (generation 0), and waits until media can flow.
   *
   * With `decrypts`, received frames go through the worker. RTCRtpScriptTransform would be simpler, but a section that
   * this side offered never hands it a frame: Chromium connects the decoder before there is a track.
   */
  async connect({ url, token, generation = 1, decrypts = false, seconds = 20, iceServers = [] }) {
    this.iceServers = iceServers;
    this.isSingle = generation === 1;
    this.readsFrames = decrypts;
    this.publisher = new Connection(PUBLISHER, this);
    this.subscriber = this.isSingle ? this.publisher : new Connection(SUBSCRIBER, this);
    const query = new URLSearchParams({ access_token: token });
    if (this.isSingle) {
      this.openChannels();
      for (const kind of ["audio", "audio", "audio", "video", "video", "video"]) this.addReceivingSection(kind);
      await this.publisher.peer.setLocalDescription();
      const join = encode(JoinRequest, {
        clientInfo: { sdk: 1, version: "2.21.0", protocol: 16, os: "linux", browser: "Chrome" },
        connectionSettings: { autoSubscribe: true },
        publisherOffer: this.describe(this.publisher),
      });
      query.set("join_request", urlSafeBase64(encode(WrappedJoinRequest, { compression: 0, joinRequest: join })));
    } else {
      for (const [name, value] of Object.entries({ auto_subscribe: 1, sdk: "js", version: "2.21.0", protocol: 16 })) {
        query.set(name, value);
      }
    }
    this.socket = new WebSocket(`${url}${this.isSingle ? "/rtc/v1" : "/rtc"}?${query}`);
    this.socket.binaryType = "arraybuffer";
    const joined = this.expect("join");
    this.socket.onmessage = ({ data }) => this.receive(decode(SignalResponse, new Uint8Array(data)));
    this.socket.onclose = ({ code, reason }) => {
      this.note(`socket closed ${code} ${reason}`);
      this.state = "closed";
    };
    await within(joined, seconds, "join");
    await within(this.connected(), seconds, "the peer connection is connected");
    this.state = "connected";
    return { identity: this.identity, sid: this.sid, generation };
  }

  async connected() {
    const { peer } = this.subscriber;
    while (peer.connectionState !== "connected") {
      await new Promise(resolve => peer.addEventListener("connectionstatechange", resolve, { once: true }));
      this.note(`peer connection ${peer.connectionState}`);
    }
  }

  openChannels() {
    this.useChannel(this.publisher.peer.createDataChannel("_lossy", { ordered: false, maxRetransmits: 0 }), true);
    this.useChannel(this.publisher.peer.createDataChannel("_reliable", { ordered: true }), true);
  }

  useChannel(channel, isOurs = false) {
    channel.binaryType = "arraybuffer";
    if (isOurs) this.channels[channel.label] = channel;
    channel.onmessage = ({ data }) => {
      const packet = decode(DataPacket, new Uint8Array(data));
      if (!packet.user) return;
      this.data.push({
        who: packet.participantIdentity ?? "", size: packet.user.payload?.length ?? 0, topic: packet.user.topic ?? "",
        sum: (packet.user.payload ?? []).reduce((sum, byte) => sum + byte, 0), channel: channel.label,
      });
    };
  }

  addReceivingSection(kind) {
    this.publisher.peer.addTransceiver(kind, { direction: "recvonly" });
  }

  describe(connection) {
    connection.offerId += 1;
    return { type: "offer", sdp: connection.peer.localDescription.sdp, id: connection.offerId };
  }

  // Signalling

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(encode(SignalRequest, message));
    else this.toSend.push(message);
  }

  expect(kind, key = "") {
    return new Promise(resolve => this.waiting.set(`${kind} ${key}`, resolve));
  }

  settle(kind, value, key = "") {
    this.waiting.get(`${kind} ${key}`)?.(value);
    this.waiting.delete(`${kind} ${key}`);
  }

  receive(message) {
    const [kind] = Object.keys(message);
    this.note(`received ${kind}`);
    // One after the other: descriptions must not overtake each other.
    this.work = (this.work ?? Promise.resolve()).then(() => this[kind]?.(message[kind]))
      .catch(error => this.note(`error in ${kind}: ${error}`));
  }

  async join(join) {
    this.identity = join.participant.identity;
    this.sid = join.participant.sid;
    this.subscriberPrimary = join.subscriberPrimary ?? false;
    for (const info of join.otherParticipants ?? []) this.learn(info);
    for (const message of this.toSend.splice(0)) this.send(message);
    setInterval(() => this.send({ pingReq: { timestamp: Date.now(), rtt: 0 } }), (join.pingInterval || 5) * 1000);
    this.settle("join", join);
    if (!this.isSingle) {
      this.openChannels();
      await this.negotiate();
    }
  }

  update({ participants = [] }) {
    for (const info of participants) {
      if (info.state === DISCONNECTED) this.participants.delete(info.identity);
      else this.learn(info);
    }
  }

  learn(info) {
    if (info.sid === this.sid) return;
    this.participants.set(info.identity, info);
    for (const track of info.tracks ?? []) this.tracks.set(track.sid, { ...track, identity: info.identity });
    this.attachWaiting();
  }

  async offer(description) {
    await this.subscriber.setRemote("offer", description.sdp);
    await this.subscriber.peer.setLocalDescription();
    this.send({ answer: { type: "answer", sdp: this.subscriber.peer.localDescription.sdp, id: description.id ?? 0 } });
  }

  async answer(description) {
    Object.assign(this.midToTrack, description.midToTrackId);
    await this.publisher.setRemote("answer", description.sdp);
    this.attachWaiting();
    this.settle("answer", description, description.id ?? 0);
    if (this.offersAgain) {
      this.offersAgain = false;
      await this.negotiate();
    }
  }

  async trickle({ candidateInit, target = PUBLISHER }) {
    const connection = target === PUBLISHER ? this.publisher : this.subscriber;
    await connection.addCandidate(JSON.parse(candidateInit));
  }

  trackPublished(message) { this.settle("trackPublished", message, message.cid); }

  async mediaSectionsRequirement({ numAudios = 0, numVideos = 0 }) {
    for (let count = 0; count < numAudios; count += 1) this.addReceivingSection("audio");
    for (let count = 0; count < numVideos; count += 1) this.addReceivingSection("video");
    await this.negotiate();
  }

  leave(message) {
    this.note(`leave reason ${message.reason ?? 0} action ${message.action ?? 0}`);
    this.state = "left";
  }

  async negotiate() {
    if (this.publisher.peer.signalingState !== "stable") {
      this.offersAgain = true;
      return;
    }
    await this.publisher.peer.setLocalDescription();
    this.send({ offer: this.describe(this.publisher) });
  }

  // Media

  trackArrived({ track, streams, transceiver }) {
    this.note(`track ${track.kind} at ${transceiver.mid} of ${streams[0]?.id}`);
    this.sections.push({ track, transceiver, stream: streams[0]?.id ?? "" });
    this.attachWaiting();
  }

  /** Gives every received track its publisher, once signalling has told both. */
  attachWaiting() {
    this.sections = this.sections.filter(({ track, transceiver, stream }) => {
      const sid = this.midToTrack[transceiver.mid] ?? stream.split("|").find(part => part.startsWith("TR_"));
      const info = this.tracks.get(sid);
      if (!info) return true;
      if (this.readsFrames) {
        const { readable, writable } = transceiver.receiver.createEncodedStreams();
        const isEncrypted = Boolean(info.encryption);
        this.worker.postMessage(
          { streams: { readable, writable, sid, kind: track.kind, identity: info.identity, isEncrypted } },
          [readable, writable]);
      }
      const key = `${info.identity}/${info.name}`;
      this.media[key] = track.kind === "video"
        ? new ReceivedVideo(track, info.identity) : new ReceivedAudio(track, info.identity);
      this.media[key].sid = sid;
      this.media[key].receiver = transceiver.receiver;
      return false;
    });
  }

  /** Publishes Chromium's fake camera and microphone. */
  async publish({ camera = true, microphone = true } = {}) {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: microphone, video: camera && { width: 640, height: 360, frameRate: 30 } });
    for (const track of stream.getTracks()) {
      const isVideo = track.kind === "video";
      const answer = this.expect("trackPublished", track.id);
      this.send({ addTrack: {
        cid: track.id, name: track.kind, type: isVideo ? VIDEO : AUDIO, source: isVideo ? CAMERA : MICROPHONE,
        ...(isVideo && { width: 640, height: 360 }) } });
      this.published[track.kind] = (await within(answer, 10, "track_published")).track;
      this.publisher.peer.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    }
    // Behind the messages that are being worked on, so that no other negotiation is half done.
    await (this.work = (this.work ?? Promise.resolve()).then(() => this.negotiate()));
    return Object.fromEntries(Object.entries(this.published).map(([kind, info]) => [kind, info.sid]));
  }

  async sendData({ size, reliable = true, topic = "" }) {
    const channel = this.channels[reliable ? "_reliable" : "_lossy"];
    if (channel.readyState !== "open") {
      await within(new Promise(resolve => { channel.onopen = resolve; }), 10, `${channel.label} is open`);
    }
    const payload = Uint8Array.from({ length: size }, (_, index) => index * 7);
    this.sequence = (this.sequence ?? 0) + 1;
    channel.send(encode(DataPacket, {
      kind: reliable ? 0 : 1, user: { payload, topic }, ...(reliable && { sequence: this.sequence }) }));
    return payload.reduce((sum, byte) => sum + byte, 0);
  }

  /** Gives the worker a participant's raw key, in hexadecimal digits. */
  setKey(identity, hex, index = 0) {
    return this.ask({ key: { identity, index, raw: Uint8Array.from(hex.match(/../g), byte => parseInt(byte, 16)) } });
  }

  ask(question) {
    const id = crypto.randomUUID();
    return new Promise(resolve => {
      this.answers.set(id, resolve);
      this.worker.postMessage({ id, ...question });
    });
  }

  /** What was received, by "identity/track": judged contents, the decoder's and the decryption's counters. */
  async report() {
    const { counts } = await this.ask({});
    const report = {};
    for (const [key, media] of Object.entries(this.media)) {
      const stats = [...(await media.receiver.getStats()).values()].find(entry => entry.type === "inbound-rtp") ?? {};
      report[key] = {
        ...media.counts, sid: media.sid, bytes: stats.bytesReceived ?? 0, packets: stats.packetsReceived ?? 0,
        decoded: stats.framesDecoded ?? 0, frameCrypto: counts[media.sid] ?? null,
      };
    }
    return report;
  }

  close() {
    this.send({ leave: { reason: 1, action: 0 } });
    this.socket.close();
    this.publisher.peer.close();
    this.subscriber.peer.close();
  }
}

function within(promise, seconds, what) {
  const limit = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not within ${seconds} s: ${what}`)), seconds * 1000);
  });
  return Promise.race([promise, limit]);
}

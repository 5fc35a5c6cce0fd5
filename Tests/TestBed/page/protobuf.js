// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// Protobuf messages, described by tables: name of the field -> [number, type]. A type is a scalar's name or another
// table; "[]" makes it repeated, "{}" is a map from strings to strings. Fields that no table names are skipped.

export const SessionDescription = {
  type: [1, "string"], sdp: [2, "string"], id: [3, "uint"], midToTrackId: [4, "{}"],
};
const Trickle = { candidateInit: [1, "string"], target: [2, "uint"], final: [3, "bool"] };
const Layer = {
  quality: [1, "uint"], width: [2, "uint"], height: [3, "uint"], bitrate: [4, "uint"], rid: [7, "string"],
};
const Track = {
  sid: [1, "string"], type: [2, "uint"], name: [3, "string"], muted: [4, "bool"], width: [5, "uint"],
  height: [6, "uint"], simulcast: [7, "bool"], source: [9, "uint"], mimeType: [11, "string"], encryption: [16, "uint"],
};
const ParticipantInfo = {
  sid: [1, "string"], identity: [2, "string"], state: [3, "uint"], tracks: [4, Track, "[]"], metadata: [5, "string"],
  name: [9, "string"],
};
const AddTrack = {
  cid: [1, "string"], name: [2, "string"], type: [3, "uint"], width: [4, "uint"], height: [5, "uint"],
  source: [8, "uint"], layers: [9, Layer, "[]"], encryption: [14, "uint"],
};
const Leave = { reason: [2, "uint"], action: [3, "uint"] };
const Mute = { sid: [1, "string"], muted: [2, "bool"] };
const ClientInfo = {
  sdk: [1, "uint"], version: [2, "string"], protocol: [3, "uint"], os: [4, "string"], browser: [7, "string"],
};
const ConnectionSettings = { autoSubscribe: [1, "bool"] };
export const JoinRequest = {
  clientInfo: [1, ClientInfo], connectionSettings: [2, ConnectionSettings], publisherOffer: [6, SessionDescription],
};
export const WrappedJoinRequest = { compression: [1, "uint"], joinRequest: [2, "bytes"] };
const Join = {
  participant: [2, ParticipantInfo], otherParticipants: [3, ParticipantInfo, "[]"], subscriberPrimary: [6, "bool"],
  pingTimeout: [10, "uint"], pingInterval: [11, "uint"], fastPublish: [15, "bool"],
};
export const SignalRequest = {
  offer: [1, SessionDescription], answer: [2, SessionDescription], trickle: [3, Trickle], addTrack: [4, AddTrack],
  mute: [5, Mute], leave: [8, Leave], pingReq: [16, { timestamp: [1, "uint"], rtt: [2, "uint"] }],
};
export const SignalResponse = {
  join: [1, Join], answer: [2, SessionDescription], offer: [3, SessionDescription], trickle: [4, Trickle],
  update: [5, { participants: [1, ParticipantInfo, "[]"] }],
  trackPublished: [6, { cid: [1, "string"], track: [2, Track] }],
  leave: [8, Leave], refreshToken: [16, "string"], pongResp: [20, { lastPingTimestamp: [1, "uint"] }],
  trackSubscribed: [23, { trackSid: [1, "string"] }],
  mediaSectionsRequirement: [25, { numAudios: [1, "uint"], numVideos: [2, "uint"] }],
};
export const DataPacket = {
  kind: [1, "uint"],
  user: [2, { payload: [2, "bytes"], topic: [4, "string"] }],
  participantIdentity: [4, "string"], sequence: [16, "uint"],
};

const text = new TextEncoder();

function varint(out, value) {
  let rest = BigInt(value);
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
}

function block(out, number, bytes) {
  varint(out, number << 3 | 2);
  varint(out, bytes.length);
  for (const byte of bytes) out.push(byte);
}

function writeField(out, number, type, value) {
  if (type === "uint" || type === "bool") {
    varint(out, number << 3);
    varint(out, Number(value));
  } else if (type === "string") {
    block(out, number, text.encode(value));
  } else if (type === "bytes") {
    block(out, number, value);
  } else {
    block(out, number, encode(type, value));
  }
}

/** The bytes of a message; absent fields are left out. */
export function encode(table, message) {
  const out = [];
  for (const [name, [number, type, repeated]] of Object.entries(table)) {
    const value = message[name];
    if (value === undefined) continue;
    for (const one of repeated ? value : [value]) writeField(out, number, type, one);
  }
  return Uint8Array.from(out);
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  get isDone() { return this.at >= this.bytes.length; }
  varint() {
    let value = 0n, shift = 0n;
    for (;;) {
      const byte = this.bytes[this.at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(BigInt.asIntN(64, value));
      shift += 7n;
    }
  }
  take(count) {
    const part = this.bytes.subarray(this.at, this.at + count);
    this.at += count;
    return part;
  }
  skip(wire) {
    if (wire === 0) this.varint();
    else if (wire === 1) this.at += 8;
    else if (wire === 2) this.take(this.varint());
    else if (wire === 5) this.at += 4;
    else throw new Error(`wire type ${wire}`);
  }
}

function readValue(reader, type) {
  if (type === "uint") return reader.varint();
  if (type === "bool") return reader.varint() !== 0;
  const bytes = reader.take(reader.varint());
  if (type === "string") return new TextDecoder().decode(bytes);
  if (type === "bytes") return bytes.slice();
  return decode(type, bytes);
}

/** The fields of a message that the table names; scalars that were not sent are absent. */
export function decode(table, bytes) {
  const fields = new Map(
    Object.entries(table).map(([name, [number, type, repeated]]) => [number, { name, type, repeated }]));
  const reader = new Reader(bytes), message = {};
  while (!reader.isDone) {
    const tag = reader.varint();
    const field = fields.get(tag >>> 3);
    if (!field) {
      reader.skip(tag & 7);
    } else if (field.type === "{}") {
      const entry = decode({ key: [1, "string"], value: [2, "string"] }, reader.take(reader.varint()));
      (message[field.name] ??= {})[entry.key ?? ""] = entry.value ?? "";
    } else if (field.repeated) {
      (message[field.name] ??= []).push(readValue(reader, field.type));
    } else {
      message[field.name] = readValue(reader, field.type);
    }
  }
  return message;
}

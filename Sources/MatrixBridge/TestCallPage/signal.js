// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// Signal messages in protobuf, as much of them as the test needs. Messages are tables: name of the field -> [number,
// type]; a type is a scalar's name or another table, "[]" makes it repeated. Fields that no table names are skipped.

const Description = { type: [1, "string"], sdp: [2, "string"], id: [3, "uint"] };
const Trickle = { candidateInit: [1, "string"], target: [2, "uint"] };
const ICEServer = { urls: [1, "string", "[]"], username: [2, "string"], credential: [3, "string"] };

const SignalRequest = {
  offer: [1, Description], answer: [2, Description], trickle: [3, Trickle],
  addTrack: [4, { cid: [1, "string"], name: [2, "string"], type: [3, "uint"], width: [4, "uint"], height: [5, "uint"],
    source: [8, "uint"] }],
  leave: [8, { reason: [2, "uint"] }],
  pingReq: [16, { timestamp: [1, "uint"] }],
};
const SignalResponse = {
  join: [1, { iceServers: [5, ICEServer, "[]"], serverVersion: [4, "string"], pingInterval: [11, "uint"] }],
  answer: [2, Description], offer: [3, Description], trickle: [4, Trickle],
  trackPublished: [6, { cid: [1, "string"] }],
  leave: [8, { reason: [2, "uint"], action: [3, "uint"] }],
};

/** Which peer connection a candidate is for. */
export const PUBLISHER = 0, SUBSCRIBER = 1;

const utf8 = new TextEncoder(), text = new TextDecoder();

function varint(out, value) {
  let rest = BigInt(value);
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
}

function encode(table, message) {
  const out = [];
  for (const [name, value] of Object.entries(message)) {
    const [number, type] = table[name];
    if (type === "uint") {
      varint(out, number << 3);
      varint(out, value);
    } else {
      const bytes = type === "string" ? utf8.encode(value) : encode(type, value);
      varint(out, number << 3 | 2);
      varint(out, bytes.length);
      for (const byte of bytes) out.push(byte);
    }
  }
  return Uint8Array.from(out);
}

function decode(table, bytes) {
  const fields = new Map(Object.entries(table).map(([name, [number, ...kind]]) => [number, [name, ...kind]]));
  const message = {};
  let at = 0;
  const number = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (at >= bytes.length || shift > 63n) throw new RangeError("a signal message ends too early");
      value |= BigInt(bytes[at] & 127) << shift;
      if (bytes[at++] < 128) return Number(BigInt.asIntN(64, value));
    }
  };
  const take = count => {
    if (count < 0 || count > bytes.length - at) throw new RangeError("a signal message ends too early");
    return bytes.subarray(at, at += count);
  };
  while (at < bytes.length) {
    const tag = number();
    const [name, type, repeated] = fields.get(tag >>> 3) ?? [];
    const raw = { 0: number, 1: () => take(8), 2: () => take(number()), 5: () => take(4) }[tag & 7]?.();
    if (raw === undefined) throw new TypeError("a signal message has an unknown kind of field");
    if (!name) continue;
    const value = type === "uint" ? raw : type === "string" ? text.decode(raw) : decode(type, raw);
    if (repeated) (message[name] ??= []).push(value);
    else message[name] = value;
  }
  return message;
}

export const encodeRequest = message => encode(SignalRequest, message);

/** The message as {kind: fields}; an empty object for a kind that the test does not use. */
export const decodeResponse = data => decode(SignalResponse, new Uint8Array(data));

// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// A worker that decrypts received frames: AES-128-GCM, the key from HKDF-SHA-256 of the participant's raw key.
//
//   | clear header (also additional data) | ciphertext and tag | IV, 12 bytes | 12 | key index |
//
// Without a key a frame goes to the decoder as it came.

const keys = new Map();
const counts = new Map();

async function addKey({ identity, index, raw }) {
  const material = await crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey(
    {
      name: "HKDF", hash: "SHA-256", salt: new TextEncoder().encode("LKFrameEncryptionKey"), info: new Uint8Array(128),
    },
    material, { name: "AES-GCM", length: 128 }, false, ["decrypt"]);
  keys.set(`${identity}/${index}`, key);
}

function clearBytes(frame, kind) {
  if (kind === "audio") return 1;
  return frame.type === "key" ? 10 : 3;
}

async function decrypted(frame, { kind, identity }, count) {
  const bytes = new Uint8Array(frame.data);
  if (bytes.length === 0) return frame;
  const index = bytes[bytes.length - 1];
  const key = keys.get(`${identity}/${index}`);
  if (!key) {
    count.withoutKey += 1;
    return frame;
  }
  const header = clearBytes(frame, kind), end = bytes.length - 14;
  if (bytes[bytes.length - 2] !== 12 || end < header + 16) {
    count.malformed += 1;
    return null;
  }
  try {
    const plain = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: bytes.subarray(end, end + 12), additionalData: bytes.subarray(0, header) },
      key, bytes.subarray(header, end));
    const whole = new Uint8Array(header + plain.byteLength);
    whole.set(bytes.subarray(0, header));
    whole.set(new Uint8Array(plain), header);
    frame.data = whole.buffer;
    count.decrypted += 1;
    return frame;
  } catch {
    count.refused += 1;
    return null;
  }
}

function connect({ readable, writable, ...track }) {
  const count = { withoutKey: 0, malformed: 0, decrypted: 0, refused: 0 };
  counts.set(track.sid, count);
  const transform = new TransformStream({
    async transform(frame, output) {
      const result = track.isEncrypted ? await decrypted(frame, track, count) : frame;
      if (result) output.enqueue(result);
    },
  });
  readable.pipeThrough(transform).pipeTo(writable).catch(() => {});
}

onmessage = async ({ data }) => {
  if (data.key) await addKey(data.key);
  if (data.streams) connect(data.streams);
  postMessage({ id: data.id, counts: Object.fromEntries(counts) });
};

// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// Judges what is decoded: pictures with a board of 8 x 4 cells (see media.py), and tones.

const COLUMNS = 8, ROWS = 4;

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? value >>> 1 ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = table[(value ^ byte) & 255] ^ value >>> 8;
  return (value ^ 0xffffffff) >>> 0;
}

const utf8 = text => new TextEncoder().encode(text);

/** Frame number and sender's mark, or nothing when the board cannot be read. */
function readBoard(luma, stride, width, height) {
  const cellWidth = width / COLUMNS, cellHeight = height / 2 / ROWS;
  let word = 0n;
  for (let row = 0; row < ROWS; row += 1) {
    for (let column = 0; column < COLUMNS; column += 1) {
      let sum = 0, count = 0;
      const top = Math.floor((row + 0.3) * cellHeight), left = Math.floor((column + 0.3) * cellWidth);
      for (let y = top; y < top + 0.4 * cellHeight; y += 1) {
        for (let x = left; x < left + 0.4 * cellWidth; x += 1) {
          sum += luma[y * stride + x];
          count += 1;
        }
      }
      word = word << 1n | BigInt(sum / count > 125);
    }
  }
  const number = Number(word >> 16n), mark = Number(word >> 8n & 255n);
  return Number(word & 255n) === (crc32([number >> 8, number & 255, mark]) & 255) ? { number, mark } : null;
}

export class ReceivedVideo {
  constructor(track, identity) {
    this.track = track;
    this.mark = crc32(utf8(identity)) & 255;
    this.frames = this.good = 0;
    this.size = "";
    this.read();
  }

  async read() {
    const frames = new MediaStreamTrackProcessor({ track: this.track }).readable.getReader();
    for (;;) {
      const { value: frame, done } = await frames.read();
      if (done) return;
      this.frames += 1;
      this.size = `${frame.codedWidth}x${frame.codedHeight}`;
      try {
        const bytes = new Uint8Array(frame.allocationSize());
        const [luma] = await frame.copyTo(bytes);
        const { width, height } = frame.visibleRect;
        const board = readBoard(bytes.subarray(luma.offset), luma.stride, width, height);
        if (board?.mark === this.mark) this.good += 1;
      } finally {
        frame.close();
      }
    }
  }

  get counts() { return { kind: "video", frames: this.frames, good: this.good, size: this.size }; }
}

export class ReceivedAudio {
  constructor(track, identity) {
    this.wanted = 400 + 20 * (crc32(utf8("tone " + identity)) % 76);
    // Without an element that plays it, a remote track gives the graph silence.
    this.element = document.createElement("audio");
    this.element.srcObject = new MediaStream([track]);
    this.element.muted = true;
    this.element.play();
    this.context = new AudioContext({ sampleRate: 48000 });
    this.analyser = new AnalyserNode(this.context, { fftSize: 32768, smoothingTimeConstant: 0 });
    this.context.createMediaStreamSource(this.element.srcObject).connect(this.analyser);
    this.context.resume();
  }

  /** Level 0 to 1 and the strongest frequency, found between the lines of the spectrum with a parabola. */
  get counts() {
    const samples = new Float32Array(this.analyser.fftSize), lines = new Float32Array(this.analyser.frequencyBinCount);
    this.analyser.getFloatTimeDomainData(samples);
    this.analyser.getFloatFrequencyData(lines);
    let energy = 0, top = 1;
    for (const sample of samples) energy += sample * sample;
    for (let line = 1; line < lines.length - 1; line += 1) if (lines[line] > lines[top]) top = line;
    const [left, middle, right] = [lines[top - 1], lines[top], lines[top + 1]];
    const curve = left - 2 * middle + right;
    const offset = curve ? 0.5 * (left - right) / curve : 0;
    const pitch = (top + offset) * this.context.sampleRate / this.analyser.fftSize;
    return { kind: "audio", level: Math.sqrt(energy / samples.length), pitch, wanted: this.wanted };
  }
}

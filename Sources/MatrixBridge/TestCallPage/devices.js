// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// Microphone and camera, and what stands in for them when there are none: the network is tested all the same.

/** Names of failures, MDN "getUserMedia() exceptions". */
const outcomes = {
  NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing", OverconstrainedError: "missing",
  NotReadableError: "busy", AbortError: "busy",
};

async function open(constraints) {
  try {
    return { stream: await navigator.mediaDevices.getUserMedia(constraints), outcome: "ok" };
  } catch (error) {
    return { stream: null, outcome: outcomes[error.name] ?? "failed" };
  }
}

/**
 * Asks for both at once, so that there is one question; then for each alone, to know which one fails.
 *
 * @returns {Promise<{microphone: string, camera: string, audio: ?MediaStreamTrack, video: ?MediaStreamTrack}>}
 */
export async function openDevices({ microphoneId, cameraId }) {
  const audio = microphoneId ? { deviceId: { exact: microphoneId } } : true;
  const video = { width: { ideal: 640 }, height: { ideal: 360 }, ...(cameraId && { deviceId: { exact: cameraId } }) };
  const both = await open({ audio, video });
  if (both.stream) {
    return {
      microphone: "ok", camera: "ok", audio: both.stream.getAudioTracks()[0], video: both.stream.getVideoTracks()[0] };
  }
  const sound = await open({ audio });
  const picture = await open({ video });
  return {
    microphone: sound.outcome, camera: picture.outcome,
    audio: sound.stream?.getAudioTracks()[0] ?? null, video: picture.stream?.getVideoTracks()[0] ?? null,
  };
}

/** Microphones and cameras; they have names once the browser has given one of them. */
export async function listDevices() {
  const all = await navigator.mediaDevices.enumerateDevices();
  const of = (kind, name) => all.filter(device => device.kind === kind && device.deviceId)
    .map((device, index) => ({ id: device.deviceId, label: device.label || `${name} ${index + 1}` }));
  return { microphones: of("audioinput", "Microphone"), cameras: of("videoinput", "Camera") };
}

/** Loudness of a track, 0 to 1, as the root of the mean square. */
export class LevelMeter {
  constructor(context, track) {
    this.analyser = new AnalyserNode(context, { fftSize: 2048 });
    this.samples = new Float32Array(this.analyser.fftSize);
    this.source = context.createMediaStreamSource(new MediaStream([track]));
    this.source.connect(this.analyser);
    this.loudest = 0;
  }

  get level() {
    this.analyser.getFloatTimeDomainData(this.samples);
    let energy = 0;
    for (const sample of this.samples) energy += sample * sample;
    const level = Math.sqrt(energy / this.samples.length);
    this.loudest = Math.max(this.loudest, level);
    return level;
  }

  stop() { this.source.disconnect(); }
}

/** A quiet tone of 440 Hz. */
export function makeTone(context) {
  const oscillator = new OscillatorNode(context, { frequency: 440 });
  const destination = new MediaStreamAudioDestinationNode(context);
  oscillator.connect(new GainNode(context, { gain: 0.1 })).connect(destination);
  oscillator.start();
  return destination.stream.getAudioTracks()[0];
}

/** A moving picture. Drawn by a timer: a page in the background gets no animation frames. */
export function makePicture() {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 360;
  const brush = canvas.getContext("2d");
  let step = 0;
  const timer = setInterval(() => {
    step += 1;
    brush.fillStyle = "#16324f";
    brush.fillRect(0, 0, 640, 360);
    brush.fillStyle = "#ffd166";
    brush.fillRect(step * 8 % 640, 140, 80, 80);
  }, 66);
  const track = canvas.captureStream(15).getVideoTracks()[0];
  const stop = track.stop.bind(track);
  track.stop = () => {
    clearInterval(timer);
    stop();
  };
  return track;
}

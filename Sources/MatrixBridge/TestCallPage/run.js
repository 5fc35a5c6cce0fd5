// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// One test: joins a private room as publisher and as listener, sends sound and picture through the server, and tries
// every path meanwhile. Gives measurements; what they mean is the verdict's business.

import { Participant, SignallingError } from "./participant.js";
import { LevelMeter } from "./devices.js";
import { tryDirect, tryRelays, within } from "./paths.js";

/** Milliseconds for each step. Their sum is what a test may take: less than the 20 s that the page promises. */
export const LIMITS = { start: 2500, signalling: 4000, connection: 8000, echo: 4500 };
/** Paths are tried while the connection is made. */
const PATHS_LIMIT = 7500;
/** How long sound and picture are watched at least, for loss and delay to mean something. */
const ECHO_AT_LEAST = 2000;

/** The first true value of the condition, asked ten times a second; null when the time is over. */
async function until(condition, milliseconds) {
  const end = performance.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value || performance.now() > end) return value || null;
    await new Promise(resolve => { setTimeout(resolve, 100); });
  }
}

/**
 * Asks the server for the room and the tokens of a test.
 *
 * @returns {{tokens: ?object, refusal: ?string}} refusal: the server's word, or "unreachable"
 */
export async function requestRun(base, link) {
  try {
    const answer = await fetch(new URL("test/run", base), {
      method: "POST", cache: "no-store", headers: link ? { Authorization: `Bearer ${link}` } : {},
      signal: AbortSignal.timeout(LIMITS.start) });
    const body = await answer.json();
    return answer.ok ? { tokens: body, refusal: null } : { tokens: null, refusal: body.error ?? "unreachable" };
  } catch {
    return { tokens: null, refusal: "unreachable" };
  }
}

export class TestRun {
  /**
   * @param tracks what is sent: [audio, video]
   * @param context an AudioContext that runs
   * @param onStep told the name of each step as it begins
   * @param onTrack told each track that comes back
   */
  constructor({ base, link, tracks, context, onStep, onTrack }) {
    Object.assign(this, { base, link, tracks, context, onStep, onTrack });
    this.participants = [];
    this.returned = {};
  }

  async measure() {
    const start = performance.now();
    const result = {
      refusal: null, signalling: null, servers: [], offered: [], paths: null, turn: [], relayConnects: null,
      route: null, echo: null, seconds: 0,
    };
    try {
      await this.fill(result);
    } finally {
      result.seconds = Math.round((performance.now() - start) / 100) / 10;
    }
    return result;
  }

  async fill(result) {
    this.onStep("signalling");
    const { tokens, refusal } = await requestRun(this.base, this.link);
    result.refusal = refusal;
    if (refusal) return;
    const publisher = this.add({ token: tokens.publisher });
    const listener = this.add({ token: tokens.listener, onTrack: track => this.keep(track) });
    result.signalling = await this.joinAll([publisher, listener], result);
    if (!result.signalling.ok) return;

    this.onStep("connection");
    const relays = tryRelays(result.servers, PATHS_LIMIT);
    const paths = Promise.all([
      tryDirect(result.servers, PATHS_LIMIT), Promise.all(relays), this.connectRelayed(tokens.relay, relays),
    ]);
    const published = publisher.publish(this.tracks);
    published.catch(() => {});
    result.route = await until(async () => {
      const [sending, receiving] = await Promise.all([publisher.route(), listener.route()]);
      return sending && receiving && { sending, receiving };
    }, LIMITS.connection);
    if (result.route) {
      this.onStep("echo");
      result.echo = await this.listen(listener);
    }
    [result.paths, result.turn, result.relayConnects] = await paths;
    result.offered = [...new Map(this.participants
      .flatMap(({ publisher: sends, subscriber: receives }) => [sends, receives])
      .flatMap(connection => connection?.offered ?? [])
      .map(one => [`${one.address} ${one.port}`, one])).values()];
    result.faults = this.participants.map(({ fault }) => fault).filter(Boolean);
  }

  add(options) {
    const participant = new Participant({ base: this.base, ...options });
    this.participants.push(participant);
    return participant;
  }

  /** The first makes the room, so the others wait for it. */
  async joinAll(participants, result) {
    try {
      const joins = (async () => {
        for (const participant of participants) result.servers = await participant.join();
        return { ok: true };
      })();
      return await within(joins, LIMITS.signalling, { ok: false, status: 0, text: "no answer in time" });
    } catch (error) {
      return { ok: false, status: error instanceof SignallingError ? error.status : 0, text: error.message };
    }
  }

  /** Whether media gets from the TURN servers to the media server and back, once one of them has given a relay. */
  async connectRelayed(token, relays) {
    const isThere = relays.map(async relay => (await relay).result === "ok" || Promise.reject());
    const connected = Promise.any(isThere)
      .then(() => {
        const participant = this.add({ token, relayOnly: true });
        return participant.join().then(() => until(() => participant.route(), PATHS_LIMIT));
      })
      .catch(() => null);
    return within(connected, PATHS_LIMIT, null);
  }

  keep(track) {
    this.returned[track.kind] = track;
    if (track.kind === "audio") this.meter = new LevelMeter(this.context, track);
    this.onTrack(track);
  }

  /** Watches what comes back until it is enough, or the time is over. */
  async listen(listener) {
    const start = performance.now();
    let seen;
    await until(async () => {
      seen = await this.count(listener);
      if (this.meter) seen.sound.level = (void this.meter.level, this.meter.loudest);
      const isEnough = seen.sound.packets >= 50 && seen.picture.frames >= 10 && seen.sound.level > 0.001;
      return isEnough && performance.now() - start >= ECHO_AT_LEAST;
    }, LIMITS.echo);
    return seen;
  }

  async count(listener) {
    const entries = [...(await listener.subscriber.peer.getStats()).values()];
    const of = kind => entries.find(entry => entry.type === "inbound-rtp" && entry.kind === kind) ?? {};
    const sound = of("audio"), picture = of("video");
    const received = (sound.packetsReceived ?? 0) + (picture.packetsReceived ?? 0);
    const lost = Math.max(0, sound.packetsLost ?? 0) + Math.max(0, picture.packetsLost ?? 0);
    return {
      sound: { packets: sound.packetsReceived ?? 0, level: 0 },
      picture: { frames: picture.framesDecoded ?? 0, width: picture.frameWidth ?? 0, height: picture.frameHeight ?? 0 },
      lossPercent: received + lost ? Math.round(1000 * lost / (received + lost)) / 10 : 0,
      jitter: Math.round((sound.jitter ?? 0) * 1000),
    };
  }

  close() {
    this.meter?.stop();
    for (const participant of this.participants) participant.close();
  }
}

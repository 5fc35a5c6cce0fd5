// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// What the browser can reach, from its own gathering of ICE candidates (RFC 8445 §5.1.1).

/** The part of a promise's time that may be used; the fallback when it is over. */
export const within = (promise, milliseconds, fallback) => Promise.race([
  promise, new Promise(resolve => { setTimeout(resolve, Math.max(0, milliseconds), fallback); })]);

/**
 * Gathers until `isEnough`, the end of gathering or the time limit.
 *
 * @returns {{candidates: RTCIceCandidate[], errors: {url: string, code: number, text: string}[], milliseconds: number}}
 */
async function gather(configuration, milliseconds, isEnough = () => false) {
  const peer = new RTCPeerConnection(configuration);
  const candidates = [], errors = [], start = performance.now();
  try {
    peer.createDataChannel("test");
    await within(new Promise(resolve => {
      peer.onicecandidate = ({ candidate }) => {
        if (candidate?.candidate) candidates.push(candidate);
        if (!candidate || isEnough(candidates)) resolve();
      };
      peer.onicecandidateerror = ({ url, errorCode, errorText }) => {
        errors.push({ url, code: errorCode, text: errorText });
      };
      peer.setLocalDescription();
    }), milliseconds);
  } finally {
    peer.close();
  }
  return { candidates, errors, milliseconds: Math.round(performance.now() - start) };
}

/** udp, tcp or tls: how a TURN URI is spoken to, RFC 7065 §3.2. */
export function transportOf(url) {
  if (url.startsWith("turns:")) return "tls";
  return /[?&]transport=tcp/i.test(url) ? "tcp" : "udp";
}

/** `stun:` with host and port of a TURN URI: TURN servers answer STUN too. */
const asSTUN = url => "stun:" + url.replace(/^turns?:/, "").replace(/\?.*/, "");

/** Our own addresses, and how a STUN server sees us. */
export async function tryDirect(servers, milliseconds) {
  const urls = servers.flatMap(server => server.urls);
  const stun = [...new Set([
    ...urls.filter(url => url.startsWith("stun:")),
    ...urls.filter(url => url.startsWith("turn:") && transportOf(url) === "udp").map(asSTUN)])].slice(0, 4);
  const { candidates } = await gather(
    { iceServers: stun.length ? [{ urls: stun }] : [] }, milliseconds,
    found => ["host", "srflx"].every(type => found.some(candidate => candidate.type === type)));
  const udp = candidates.filter(candidate => candidate.protocol === "udp");
  return {
    stun,
    host: udp.filter(({ type }) => type === "host").map(({ address }) => address),
    srflx: [...new Set(udp.filter(({ type }) => type === "srflx").map(({ address }) => address))],
  };
}

/** STUN's error codes of a TURN server that answered and refused, RFC 8656 §19. */
const isRefusal = code => code >= 300 && code < 700;

/**
 * Tries to allocate a relay at one TURN URI.
 *
 * @returns result: "ok", "refused" (it answered, with a code) or "silent"
 */
async function tryTURN(server, url, milliseconds) {
  const outcome = { url, transport: transportOf(url), result: "silent", code: 0, text: "", milliseconds: 0 };
  try {
    const { candidates, errors, milliseconds: elapsed } = await gather(
      { iceServers: [{ ...server, urls: [url] }], iceTransportPolicy: "relay" }, milliseconds,
      found => found.some(candidate => candidate.type === "relay"));
    outcome.milliseconds = elapsed;
    const refusal = errors.find(({ code }) => isRefusal(code));
    if (candidates.some(candidate => candidate.type === "relay")) outcome.result = "ok";
    else if (refusal) Object.assign(outcome, { result: "refused", code: refusal.code, text: refusal.text });
    else outcome.text = errors.at(-1)?.text ?? "";
  } catch (error) {
    // The browser takes the URI for none.
    Object.assign(outcome, { result: "refused", text: String(error.message) });
  }
  return outcome;
}

/** A promise for each TURN URI; all are tried at the same time. */
export function tryRelays(servers, milliseconds) {
  return servers.flatMap(server => server.urls.filter(url => /^turns?:/.test(url))
    .map(url => tryTURN(server, url, milliseconds)));
}

/** Address and port as one text; browsers give IPv6 addresses with brackets and without. */
export function endpoint({ address = "", port = "" }) {
  return address.includes(":") && !address.startsWith("[") ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * The pair of candidates in use.
 *
 * @returns {?{kind: "direct"|"relay", protocol: "udp"|"tcp"|"tls", local: string, remote: string, rtt: number}}
 */
export function selectedRoute(stats) {
  const entries = [...stats.values()];
  const transport = entries.find(entry => entry.type === "transport" && entry.selectedCandidatePairId);
  const pair = stats.get(transport?.selectedCandidatePairId)
    // Firefox has no transport entries.
    ?? entries.find(({ type, state, nominated }) => type === "candidate-pair" && state === "succeeded" && nominated);
  const local = stats.get(pair?.localCandidateId), remote = stats.get(pair?.remoteCandidateId);
  if (!local) return null;
  const isRelay = local.candidateType === "relay";
  return {
    kind: isRelay ? "relay" : "direct",
    protocol: (isRelay ? local.relayProtocol : local.protocol) ?? "udp",
    local: local.address ?? "", remote: endpoint(remote ?? {}),
    rtt: Math.round((pair.currentRoundTripTime ?? 0) * 1000),
  };
}

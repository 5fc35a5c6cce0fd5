// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// What measurements mean, in plain words: findings with cause and next step, the gravest first. Pure.

import { endpoint } from "./paths.js";

const order = { fail: 0, warn: 1, note: 2 };

const finding = (level, code, title, cause, next) => ({ level, code, title, cause, next });
const fail = (...parts) => finding("fail", ...parts);
const warn = (...parts) => finding("warn", ...parts);
const note = (...parts) => finding("note", ...parts);

/** Addresses that are of no use outside their own network: RFC 1918, loopback, link-local, shared, unique local. */
export function isPrivate(address) {
  const [first, second] = address.split(".").map(Number);
  if (address.includes(":")) return /^(::1$|f[cd]|fe[89ab])/i.test(address);
  return first === 10 || first === 127 || (first === 192 && second === 168) || (first === 169 && second === 254)
    || (first === 172 && second >= 16 && second < 32) || (first === 100 && second >= 64 && second < 128);
}

/** Whether the page itself comes from inside: by such a name, or from such an address. */
function isInside(host) {
  const literal = host.replace(/^\[|\]$/g, "");
  return /(^|\.)(localhost|local)$/.test(host) || (/^[\d.]+$|:/.test(literal) && isPrivate(literal));
}

/** What the page can know before anything is tried; null when the test can be made. */
export function judgeBrowser({ isSecure, hasWebRTC }) {
  if (!isSecure) {
    return fail("insecure", "This page is not encrypted", "Browsers give microphone and camera to https:// pages only.",
      "Open the page by its https:// address. For the administrator: put a TLS proxy in front of the server.");
  }
  if (!hasWebRTC) {
    return fail("no-webrtc", "This browser cannot make calls",
      "It has no WebRTC, or an extension or setting turned it off.",
      "Use a current Firefox, Chrome, Edge or Safari, and switch off extensions that block WebRTC.");
  }
  return null;
}

const newLink = "Ask the administrator for a link; the command “callbridge test-link” prints one.";
const refusals = {
  missing: () => fail("link-missing", "A link is needed to start the test",
    "The address has no key behind its #: this page is open to everybody, tests are not.", newLink),
  expired: () => fail("link-expired", "This link has expired", "A link works for 15 minutes.", newLink),
  invalid: () => fail("link-invalid", "This link is not valid here",
    "It was cut off while copying, or was made for another server.", newLink),
  busy: () => fail("busy", "Too many tests at the moment", "The server starts one test a second.",
    "Wait half a minute and start again."),
  unreachable: () => fail("server-unreachable", "The server does not answer",
    "The page was loaded, and now no request gets through: the server stopped, or your network is gone.",
    "Check your connection and reload the page. For the administrator: is callbridge running?"),
};

/** Why a test cannot be started, by the server's word. */
export const judgeRefusal = word => (refusals[word] ?? refusals.unreachable)();

function judgeSignalling({ status, text }) {
  if (status === 200) {
    return fail("websocket-blocked", "The connection for signalling is not let through",
      "The server would accept it, but something in between does not pass on WebSockets.",
      "For the administrator: the reverse proxy must pass on “Upgrade” and “Connection” (see deploy/nginx.conf). " +
      "In an office, ask whether a proxy filters WebSockets.");
  }
  if (status) {
    return fail("signalling-refused", "The server refuses the test call",
      `It answers ${status}: ${text || "no reason"}.`,
      "For the administrator: the section about this answer in docs/troubleshooting.md tells what to do.");
  }
  return fail("signalling-silent", "Signalling does not answer", `No answer from the server (${text}).`,
    "Try again. For the administrator: look into the logs of the proxy and of callbridge.");
}

// Microphone and camera

const deviceTexts = {
  denied: ["may not be used", "You, your browser or the operating system refused the permission.",
    "Allow it: tap the symbol beside the address, or look into the site settings of the browser and the privacy " +
    "settings of the device. Then test again."],
  missing: ["was not found", "No such device is connected, or it is switched off.",
    "Connect or switch on the device, choose it above, and test again."],
  busy: ["is in use", "Another program has it, or the system does not hand it out.",
    "Close other programs that make calls, and test again."],
  failed: ["does not work", "The browser could not open it, and gives no reason.",
    "Reload the page. If that does not help, restart the browser."],
};

function judgeDevices({ microphone, camera, loudest }) {
  const findings = [];
  if (microphone !== "ok") {
    const [what, ...rest] = deviceTexts[microphone] ?? deviceTexts.failed;
    findings.push(fail(`microphone-${microphone}`, `Your microphone ${what}`, ...rest));
  } else if (loudest < 0.0005) {
    findings.push(warn("microphone-silent", "Your microphone gives silence", "It is muted, or another one is meant.",
      "Look for a mute switch on headset and keyboard, or choose another microphone above. Then test again."));
  }
  if (camera !== "ok") {
    const [what, ...rest] = deviceTexts[camera] ?? deviceTexts.failed;
    findings.push(warn(`camera-${camera}`, `Your camera ${what}`, ...rest));
  }
  return findings;
}

// Network

const list = items => items.join(", ");
const isLoopback = ({ address }) => /^(127\.|::1$)/.test(address);
/** Where the server takes media; loopback only where there is nothing else. */
function serverPort(offered) {
  const others = offered.filter(one => !isLoopback(one));
  return list((others.length ? others : offered).slice(0, 4)
    .map(endpoint)) || "no address";
}
const urls = tries => list(tries.map(({ url }) => url));
const unneeded = "You do not need it here; people behind strict firewalls do.";
const relayNext =
  "For the administrator: let the TURN server relay to the media server's address (allowed-peer-ip of coturn), and " +
  "open the media port to it.";

/** What a refusal of a TURN server means: RFC 8656 §18.2 and §18.10 about its room, all others about who asks. */
function refusalOf({ code }) {
  if (code === 486 || code === 508) {
    return { fault: "the relay has no room left",
      next: "For the administrator: raise user-quota, total-quota or the range of relay ports of the TURN server." };
  }
  return { fault: "the relay refuses the server's password",
    next: "For the administrator: the secret in rtc.turn_servers must be the static-auth-secret of the TURN server, " +
      "and both clocks must be right." };
}

function judgeNoConnection({ offered, turn, host }) {
  const of = result => turn.filter(one => one.result === result);
  const overTCP = turn.filter(({ transport }) => transport !== "udp");
  if (of("ok").length) {
    return fail("relay-cannot-reach", "The relay cannot reach the media server",
      `UDP to ${serverPort(offered)} does not get through from here. The TURN server answers (${urls(of("ok"))}), ` +
      "but nothing comes back through it.", relayNext);
  }
  if (of("refused").length) {
    const { fault, next } = refusalOf(of("refused")[0]);
    return fail("udp-blocked-turn-refused", `No connection: UDP does not get through, and ${fault}`,
      `Nothing comes back from ${serverPort(offered)}. The TURN server, which should help, answers ` +
      `${describeRefusal(of("refused")[0])}.`, next);
  }
  if (offered.length && !isInside(host) && offered.every(({ address }) => isPrivate(address))) {
    return fail("private-address", "The server tells clients an address that cannot be reached",
      `It offers ${serverPort(offered)} alone, which is private.`,
      "For the administrator: name the public address in rtc.node_ip, and forward the port to this machine.");
  }
  const helps = turn.length === 0 ? "No TURN server is configured that could help."
    : overTCP.length === 0 ? "The TURN server does not answer over UDP, and none is configured for TCP or TLS."
      : `The TURN server does not answer either, not even by ${overTCP[0].transport.toUpperCase()}.`;
  return fail("udp-blocked", "No connection: UDP does not get through",
    `Nothing comes back from ${serverPort(offered)}. ${helps}`,
    "Try another network, for example mobile data. If it works there, this network blocks UDP: the administrator can " +
    "name a TURN server with “protocol: tls” and port 443 in rtc.turn_servers. If it works nowhere, the port is " +
    "closed at the server: “callbridge ports” prints what to open.");
}

const describeRefusal = ({ code, text }) =>
  [code || "an error", text && `(${text.replace(/\.$/, "")})`].filter(Boolean).join(" ");

/** @param works whether this call works, with or without the relays */
function judgeRelays({ turn, relayConnects, route }, works) {
  const title = fault => works ? `Calls work here, but ${fault}` : fault[0].toUpperCase() + fault.slice(1);
  if (!turn.length) {
    return [note("no-turn", "No TURN server is configured",
      "One helps people whose network lets no UDP out, as in some offices and hotels.",
      "For the administrator: name one in rtc.turn_servers if such people shall take part.")];
  }
  const of = result => turn.filter(one => one.result === result);
  const findings = [];
  const refused = of("refused"), silent = of("silent");
  if (refused.length) {
    const { fault, next } = refusalOf(refused[0]);
    findings.push(warn("turn-refused", title(fault),
      `The answer of ${urls(refused)} is ${describeRefusal(refused[0])}. ${unneeded}`, next));
  }
  // With UDP blocked here, silence over UDP says nothing about the server.
  const counted = isUDPBlocked(route) ? silent.filter(one => one.transport !== "udp") : silent;
  if (counted.length === turn.length) {
    findings.push(warn("turn-down", title("the TURN server does not answer"),
      `Nothing from ${urls(counted)}. ${unneeded}`,
      "For the administrator: is it running, is its port open (“callbridge ports”), is its name right?"));
  } else if (counted.length) {
    findings.push(warn("turn-partly-down", title("the TURN server does not answer on every path"),
      `Nothing from ${urls(counted)}. Others answer.`,
      "For the administrator: open these ports at the TURN server, or take them out of rtc.turn_servers. For TLS, " +
      "check the certificate."));
  }
  if (of("ok").length && !relayConnects) {
    findings.push(warn("relay-cannot-reach", title("the relay cannot reach the media server"),
      `The TURN server answers, but no connection came about through it alone. ${unneeded}`, relayNext));
  }
  return findings;
}

const isUDPBlocked = route => route?.sending.kind === "relay" && route.sending.protocol !== "udp";

function judgeRoute({ route, offered }) {
  const { kind, protocol } = route.sending;
  if (kind === "direct") return [];
  if (protocol === "udp") {
    return [warn("direct-blocked", "Calls work, over a relay",
      `UDP to ${serverPort(offered)} does not get through; the TURN server passes everything on.`,
      "You need do nothing. For the administrator: open the media port and name the right address " +
      "(“callbridge ports”, rtc.node_ip).")];
  }
  return [warn("udp-blocked-relayed", `Calls work, over a relay by ${protocol.toUpperCase()}`,
    "Your network lets no UDP out, so everything goes through the TURN server. Pictures may stutter.",
    "You need do nothing. Another network, or UDP opened in this one, gives better calls.")];
}

const mediaNext = "Test again. For the administrator: look for “media_dropped” in the metrics.";

function judgeEcho({ echo, route }) {
  const findings = [];
  if (!echo.sound.packets) {
    findings.push(fail("no-sound-back", "Your sound does not come back",
      "The connection stands, and no sound arrives through it.", mediaNext));
  }
  if (!echo.picture.frames) {
    findings.push(fail("no-picture-back", "Your picture does not come back",
      "The connection stands, and no picture arrives through it.", mediaNext));
  }
  const { rtt } = route.sending;
  if (echo.lossPercent > 5 || rtt > 400) {
    findings.push(warn("poor", "The connection is poor",
      `${echo.lossPercent} % of the packets are lost, and the way to the server and back takes ${rtt} ms.`,
      "Go nearer to the wireless access point, use a cable, or stop downloads. Calls without camera need less."));
  }
  return findings;
}

/** Everything that can be said, the gravest first. The first one is the verdict. */
export function judge({ run, devices, host }) {
  if (run.refusal) return [judgeRefusal(run.refusal)];
  const findings = [];
  if (!run.signalling?.ok) {
    findings.push(judgeSignalling(run.signalling ?? { status: 0, text: "not tried" }));
  } else if (!run.route) {
    findings.push(judgeNoConnection({ ...run, host }));
  } else {
    const echo = judgeEcho(run);
    const works = echo.every(({ level }) => level !== "fail");
    findings.push(...echo, ...(works ? judgeRoute(run) : []), ...judgeRelays(run, works));
  }
  findings.push(...judgeDevices(devices));
  const isWell = findings.every(({ level }) => level === "note");
  if (isWell) {
    const { kind, protocol, rtt } = run.route.sending;
    findings.unshift(finding("ok", "all-fine", "Calls work from here",
      `Sound and picture came back through the server, ${kind === "direct" ? "directly" : "over a relay"} by ` +
      `${protocol.toUpperCase()}. The way there and back takes ${rtt} ms.`,
      "You can join a call."));
  }
  return findings.sort((left, right) => (order[left.level] ?? -1) - (order[right.level] ?? -1));
}

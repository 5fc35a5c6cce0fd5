// This source file is part of Callbridge, calls for Matrix homeservers.
// Copyright 2026 the Callbridge authors.
// SPDX-License-Identifier: Apache-2.0
//

// The page: controls, progress, and the result of a test.

import { LevelMeter, listDevices, makePicture, makeTone, openDevices } from "./devices.js";
import { endpoint } from "./paths.js";
import { TestRun, requestRun } from "./run.js";
import { judge, judgeBrowser, judgeRefusal } from "./verdict.js";

const element = id => document.getElementById(id);
const base = new URL(".", location.href);
/** The key of the link. A fragment stays in the browser, so no proxy logs it. */
const link = location.hash.slice(1);
/** How long the picture keeps coming back after the verdict, milliseconds. */
const ECHO_STAYS = 30_000;

const steps = {
  devices: "Asking for microphone and camera. Please allow them.",
  signalling: "Speaking to the server.",
  connection: "Trying every path to the server and to the relays.",
  echo: "Listening to what comes back.",
};
const words = { ok: "Good", warn: "Attention", fail: "Problem", note: "Note" };

let context, devices, meter, run, echoTimer;
const made = [];

// Showing

function put(parent, name, text, attributes = {}) {
  const child = document.createElement(name);
  child.textContent = text;
  for (const [key, value] of Object.entries(attributes)) child.setAttribute(key, value);
  parent.append(child);
  return child;
}

function showProgress(text, isBusy = true) {
  element("progress").textContent = text;
  element("progress").classList.toggle("busy", isBusy);
}

function showVerdict({ level, code, title, cause, next }, others = []) {
  const card = element("verdict");
  card.hidden = false;
  card.dataset.level = level;
  card.dataset.code = code;
  card.dataset.others = others.map(one => one.code).join(" ");
  element("verdict-title").textContent = `${words[level]}: ${title}`;
  for (const [id, label, text] of [["cause", "Why", cause], ["next", "What to do", next]]) {
    const paragraph = element(`verdict-${id}`);
    paragraph.replaceChildren();
    if (level !== "ok") put(paragraph, "span", `${label}: `, { class: "label" });
    paragraph.append(text);
  }
  element("more").hidden = others.length === 0;
  element("findings").replaceChildren();
  for (const other of others) {
    const item = put(element("findings"), "li", "");
    put(item, "span", `${words[other.level]}: ${other.title}. `, { class: "label" });
    item.append(`${other.cause} ${other.next}`);
  }
}

function showPaths({ paths, turn, relayConnects, route, offered, echo, refusal, signalling }) {
  const rows = element("rows");
  rows.replaceChildren();
  const row = (path, level, result, detail) => {
    const line = put(rows, "tr", "", { role: "row" });
    put(line, "th", path, { scope: "row", role: "rowheader" });
    put(line, "td", result, { class: level, role: "cell" });
    put(line, "td", detail, { role: "cell" });
  };
  if (refusal || !signalling?.ok) return;
  const isDirect = route?.sending.kind === "direct";
  const addresses = offered.map(endpoint).join(", ");
  row("Media server, direct by UDP", isDirect ? "ok" : "warn", isDirect ? "Works" : "No answer", addresses);
  if (paths) {
    row("Own addresses (host)", paths.host.length ? "ok" : "warn", paths.host.length ? "Found" : "None",
      paths.host.some(address => !address.endsWith(".local")) ? paths.host.join(", ") : "hidden by the browser");
    const isSeen = paths.srflx.length > 0;
    row("Address seen from outside (srflx)", isSeen ? "ok" : "", isSeen ? "Found" : "None",
      isSeen ? paths.srflx.join(", ") : paths.stun.length
        ? "no STUN answer, or the same as an own address" : "no STUN server is configured");
  }
  for (const { url, transport, result, code, text, milliseconds } of turn) {
    row(`Relay by ${transport.toUpperCase()}`, { ok: "ok", refused: "fail", silent: "warn" }[result],
      { ok: "Works", refused: "Refused", silent: "No answer" }[result],
      `${url}${result === "ok" ? `, ${milliseconds} ms` : ` ${code || ""} ${text}`}`);
  }
  if (turn.length) {
    const isTried = turn.some(({ result }) => result === "ok");
    row("Relay to the media server", relayConnects ? "ok" : isTried ? "warn" : "",
      relayConnects ? "Works" : isTried ? "No connection" : "Not tried", relayConnects
        ? `by ${relayConnects.protocol.toUpperCase()}, ${relayConnects.rtt} ms there and back` : "");
  }
  if (route) {
    row("In use", "ok", isDirect ? "Direct" : "Relay",
      `${route.sending.protocol.toUpperCase()} to ${route.sending.remote}, ${route.sending.rtt} ms there and back`);
  }
  if (echo) {
    row("Sound back", echo.sound.packets ? "ok" : "fail", echo.sound.packets ? "Works" : "None",
      `${echo.sound.packets} packets, ${echo.lossPercent} % lost, jitter ${echo.jitter} ms`);
    row("Picture back", echo.picture.frames ? "ok" : "fail", echo.picture.frames ? "Works" : "None",
      `${echo.picture.frames} pictures of ${echo.picture.width}×${echo.picture.height}`);
  }
}

// Devices

async function fillLists() {
  const { microphones, cameras } = await listDevices();
  for (const [id, found] of [["microphone", microphones], ["camera", cameras]]) {
    const select = element(id), chosen = select.value;
    while (select.options.length > 1) select.remove(1);
    for (const { id: value, label } of found) select.add(new Option(label, value));
    select.value = found.some(device => device.id === chosen) ? chosen : "";
  }
}

function closeDevices() {
  meter?.stop();
  meter = null;
  for (const track of [devices?.audio, devices?.video, ...made.splice(0)]) track?.stop();
  devices = null;
  element("preview").srcObject = null;
  element("stop").hidden = true;
}

async function useDevices() {
  closeDevices();
  devices = await openDevices({ microphoneId: element("microphone").value, cameraId: element("camera").value });
  if (devices.audio) meter = new LevelMeter(context, devices.audio);
  if (devices.video) element("preview").srcObject = new MediaStream([devices.video]);
  element("stop").hidden = !(devices.audio || devices.video);
  await fillLists();
}

/** Speech is near 0.1; the square root makes it fill the bar. */
function showLevel() {
  const level = meter ? Math.min(1, Math.sqrt(meter.level) * 1.6) : 0;
  element("level").value = level;
  element("level").textContent = `${Math.round(level * 100)} %`;
}

// The test

function endRun() {
  clearTimeout(echoTimer);
  run?.close();
  run = null;
  element("echo").srcObject = null;
}

async function test() {
  endRun();
  element("start").disabled = true;
  for (const id of ["verdict", "more", "paths"]) element(id).hidden = true;
  try {
    showProgress(steps.devices);
    context ??= new AudioContext();
    await context.resume();
    await useDevices();
    const substitute = make => {
      made.push(make());
      return made.at(-1);
    };
    const tracks = [devices.audio ?? substitute(() => makeTone(context)), devices.video ?? substitute(makePicture)];
    const returned = new MediaStream();
    element("echo").srcObject = returned;
    run = new TestRun({
      base, link, tracks, context, onStep: step => showProgress(steps[step]),
      onTrack: track => returned.addTrack(track),
    });
    const measured = await run.measure();
    const { microphone, camera } = devices;
    const seen = { microphone, camera, loudest: meter?.loudest ?? 0 };
    const [first, ...others] = judge({ run: measured, devices: seen, host: location.hostname });
    showPaths(measured);
    element("paths").hidden = Boolean(measured.refusal);
    element("report").textContent = JSON.stringify({
      verdict: [first, ...others].map(({ code }) => code), devices: seen, browser: navigator.userAgent,
      page: location.origin + location.pathname, at: new Date().toISOString(),
      ...measured, servers: measured.servers.flatMap(({ urls }) => urls),
    }, null, 1);
    showVerdict(first, others);
    showProgress(`Done in ${measured.seconds} seconds.`, false);
  } catch (error) {
    showVerdict({ level: "fail", code: "page-failed", title: "The test itself failed", cause: String(error),
      next: "Reload the page and test again. If it happens again, send this text to the administrator." });
    showProgress("", false);
  } finally {
    element("start").disabled = false;
    element("start").textContent = "Test again";
    echoTimer = setTimeout(endRun, ECHO_STAYS);
    // Screen readers begin to read here; the eyes find the same place.
    element("verdict-title").focus();
  }
}

element("controls").addEventListener("submit", event => {
  event.preventDefault();
  test();
});
for (const id of ["microphone", "camera"]) {
  element(id).addEventListener("change", () => { if (devices) useDevices(); });
}
element("stop").addEventListener("click", () => {
  endRun();
  closeDevices();
  showProgress("Camera and microphone are off.", false);
});
element("audible").addEventListener("change", ({ target }) => { element("echo").muted = !target.checked; });
element("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(element("report").textContent);
  element("copied").textContent = "Copied.";
});
// Another link in the same tab changes the fragment alone.
addEventListener("hashchange", () => location.reload());
addEventListener("pagehide", () => {
  endRun();
  closeDevices();
});

const obstacle = judgeBrowser({
  isSecure: isSecureContext && Boolean(navigator.mediaDevices), hasWebRTC: "RTCPeerConnection" in window });
if (obstacle) {
  showVerdict(obstacle);
  element("start").disabled = true;
} else {
  setInterval(showLevel, 100);
  requestRun(base, link).then(({ refusal }) => {
    if (!refusal) return;
    showVerdict(judgeRefusal(refusal));
    element("start").disabled = refusal !== "busy" && refusal !== "unreachable";
  });
}

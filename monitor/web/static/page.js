// The live page: receives the monitor's server-sent events and shows status, alerts and groups.

import { formatTime, formatDuration, element, formatNumber, formatRate, formatInteger, setText } from "./draw.js";
import { Model, STATES, kindOfState } from "./model.js";
import { Table } from "./table.js";

const STALE_AFTER_MS = 3500; // milliseconds without an event until the page says so: the monitor sends one a second
const RETRY_AFTER_MS = 2000; // milliseconds until the page connects again after the monitor refused it
const RESTART_AFTER_MS = 5000; // milliseconds until the page asks for everything again after an error of its own
const DRIFT_LIMIT = 0.25; // population stability index, as in config/prometheus/drift.yml
const find = (id) => document.getElementById(id);
const model = new Model();
const table = new Table(model);
let source = null;
let lastEventAt = performance.now();
let drawPending = false;
let failure = ""; // the error of this page by which it may be incomplete; "" if there was none
let isIncomplete = false; // whether there was one since everything was received
let restartTimer = null;

function connect() {
  source = new EventSource("events");
  const on = (name, handle) => source.addEventListener(name, (event) => {
    attempt(() => handle(JSON.parse(event.data)));
    lastEventAt = performance.now();
    if (!drawPending) requestAnimationFrame(() => attempt(show));
    drawPending = true;
  });
  on("all", (content) => {
    isIncomplete = false;
    model.reset(content);
  });
  on("groups", (content) => model.setGroups(content));
  on("news", (content) => model.update(content));
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(reconnect, RETRY_AFTER_MS);
  };
}

function reconnect() {
  if (source) source.close();
  source = null;
  if (!document.hidden) connect();
}

function attempt(action) {
  try {
    action();
  } catch (error) {
    console.error(error);
    fail(error);
  }
}

// Say that the page failed: without that it would look live while it shows old values. Then begin again.
function fail(error) {
  failure = String(error?.message ?? error);
  isIncomplete = true;
  showConnection();
  restartTimer ??= setTimeout(() => {
    restartTimer = null;
    reconnect();
  }, RESTART_AFTER_MS);
}

function show() {
  drawPending = false;
  if (!model.status) return;
  showStatus(model.status);
  showStateCounts();
  showAlerts(model.alerts);
  table.draw();
  if (!isIncomplete) failure = "";
  showConnection();
}

function showConnection() {
  const elapsedMs = performance.now() - lastEventAt;
  const isStale = elapsedMs > STALE_AFTER_MS;
  if (failure) pill("fresh", "bad", `this page failed: ${failure}`);
  else if (isStale) pill("fresh", "bad", `no news for ${formatDuration(elapsedMs / 1000)}`);
  else if (model.status) pill("fresh", "good", "live");
  else pill("fresh", "", "loading");
  document.body.classList.toggle("stale", isStale || failure !== "");
}

function pill(id, level, text) {
  const target = find(id);
  target.className = `pill ${level}`;
  setText(target, text);
}

function showStatus(status) {
  pill("broker", status.not_ready ? "bad" : "good", status.not_ready || `connected to ${status.broker}`);
  pill("input", "bad", status.input_problem);
  find("input").hidden = !status.input_problem;
  find("drift").hidden = !status.drift;
  if (status.drift) showDrift(...status.drift);
  setFigure(find("firing"), formatInteger(status.firing));
  find("firing").parentElement.classList.toggle("none", status.firing === 0);
  setFigure(find("readings"), formatRate(status.readings_rate));
  setText(find("readings-total"), `${formatInteger(status.readings)} since start`);
  setFigure(find("windows"), formatRate(status.windows_rate));
  setText(find("windows-total"), `${formatInteger(status.faulty)} of ${formatInteger(status.windows)} faulty`);
  setText(find("bundle"), `bundle ${status.bundle} of ${status.created.slice(0, 10)} · version ${status.version}`);
  setText(find("notes"), status.notes.join(". "));
  find("notes").hidden = status.notes.length === 0;
  find("report").hidden = !status.report;
  find("logout").hidden = !status.needs_token;
  document.title = status.problem ? "(!) sensor-monitor" : status.firing ? `(${status.firing}) sensor-monitor` : "sensor-monitor";
}

// Set the number of a tile, which is drawn smaller where it would not fit.
function setFigure(target, text) {
  setText(target, text);
  target.style.setProperty("--characters", text.length);
}

function showDrift(index, feature) {
  if (index > DRIFT_LIMIT) pill("drift", "bad", `${feature} drifts (${index.toFixed(2)}): train again`);
  else pill("drift", "good", `drift ${index.toFixed(2)}`);
}

function showStateCounts() {
  const { states, aligns_values: alignsValues } = model.status;
  const counts = new Map(STATES.map((kind) => [kind, 0]));
  const add = (kind, count) => counts.set(kind, counts.get(kind) + count);
  for (const [state, count] of Object.entries(states)) add(kindOfState(state), count);
  for (const { state, kind } of model.groups.values()) {
    if (kind === kindOfState(state)) continue;
    add(kindOfState(state), -1);
    add(kind, 1);
  }
  for (const kind of STATES) {
    const button = find("states").querySelector(`[data-kind="${kind}"]`);
    setFigure(button.querySelector("b"), formatInteger(Math.max(0, counts.get(kind))));
    button.hidden = kind === "stale" && !alignsValues; // where every message is a reading, no feature can be
  }
}

function createStateButtons() {
  for (const state of STATES) {
    const button = element("button", "figure");
    button.dataset.kind = state;
    button.setAttribute("aria-pressed", "false");
    button.append(element("b", "", "–"), element("span", "badge", state));
    button.addEventListener("click", () => {
      if (!table.selectedKinds.delete(state)) table.selectedKinds.add(state);
      button.setAttribute("aria-pressed", table.selectedKinds.has(state));
      table.draw();
    });
    find("states").append(button);
  }
}

function showAlerts({ firing, ended, marks }) {
  const container = find("alerts");
  const key = JSON.stringify([firing.map((alert) => [alert.group, alert.since, alert.values]), ended]);
  if (container.dataset.key !== key) {
    container.dataset.key = key; // rebuilt only when it differs, so that a text selection survives
    container.replaceChildren(...firing.map(alertCard), element("p", "calm"));
  }
  firing.forEach((alert, index) => {
    const card = container.children[index];
    setText(card.querySelector(".when"), firingText(alert));
    setText(card.querySelector(".reason"), reasonText(alert));
    setText(card.querySelector(".mark"), (marks.get(alert.group) ?? []).join(", "));
    card.classList.toggle("marked", marks.has(alert.group));
  });
  const more = model.status.firing - firing.length;
  setText(container.lastChild, firing.length ? (more > 0 ? `and ${formatInteger(more)} more, in the table below` : "") : noAlertText(ended));
}

function alertCard(alert) {
  const article = element("article", "alert");
  article.append(
    element("p", "mark"),
    element("h3", "", alert.group),
    element("p", "when"),
    element("p", "reason"),
    element("p", "values", alert.values || "It began before the monitor's last start."),
  );
  return article;
}

function firingText(alert) {
  const group = model.groups.get(alert.group);
  const durationText = group && group.ts !== null ? ` for ${formatDuration(group.ts - alert.since)}` : "";
  const detectorText = !alert.detector || alert.detector === "model" ? "" : `, found by the check ${alert.detector}`;
  const check = laterCheck(alert);
  const checkText = check ? `, now found by the check ${check}` : "";
  return `firing${durationText}, since ${formatTime(alert.since)}${detectorText}${checkText}${alert.score === null ? "" : `, score ${formatNumber(alert.score, 3)}`}${alert.kind ? `, kind: ${alert.kind}` : ""}`;
}

// Return the check that calls the group faulty now, where something else began its incident.
function laterCheck(alert) {
  const check = model.groups.get(alert.group)?.check;
  return check === alert.detector ? undefined : check;
}

// Return the reason of the incident's first window. A check that takes over may blame another sensor.
function reasonText(alert) {
  return alert.reason && laterCheck(alert) ? `At first: ${alert.reason}` : alert.reason;
}

function noAlertText([last]) {
  if (!last) return "No alert is firing.";
  return `No alert is firing. The last, of ${last.group}, ended at ${formatTime(last.until)} after ${formatDuration(last.until - last.since)}.`;
}

createStateButtons();
setInterval(showConnection, 1000);
window.addEventListener("error", (event) => fail(event.error ?? event.message));
window.addEventListener("unhandledrejection", (event) => fail(event.reason));
// A hidden page closes its connection; when it becomes visible it connects again and receives everything.
document.addEventListener("visibilitychange", reconnect);
connect();

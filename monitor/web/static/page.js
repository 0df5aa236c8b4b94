// The page: listens to the monitor, and shows what it says.

import { clock, duration, element, number, rate, whole, write } from "./draw.js";
import { Model, STATES } from "./model.js";
import { Table } from "./table.js";

const LATE = 3500; // milliseconds without news until the page says so: the monitor speaks once a second
const AGAIN = 2000; // milliseconds until a refused page asks once more
const RETRAIN = 0.25; // of the drift index, as in config/prometheus/drift.yml
const find = (id) => document.getElementById(id);
const model = new Model();
const table = new Table(model);
let source = null;
let heard = performance.now();
let pending = false;

function listen() {
  source = new EventSource("/events");
  const on = (name, take) => source.addEventListener(name, (event) => {
    take(JSON.parse(event.data));
    heard = performance.now();
    if (!pending) requestAnimationFrame(show);
    pending = true;
  });
  on("all", (content) => model.all(content));
  on("groups", (content) => model.histories(content));
  on("news", (content) => model.news(content));
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(relisten, AGAIN);
  };
}

function relisten() {
  if (source) source.close();
  source = null;
  if (!document.hidden) listen();
}

function show() {
  pending = false;
  if (!model.status) return;
  showFresh();
  showStatus(model.status);
  showStates();
  showAlerts(model.alerts);
  table.draw();
}

function showFresh() {
  const quiet = performance.now() - heard;
  const late = quiet > LATE;
  pill("fresh", !late && model.status ? "good" : late ? "bad" : "", late ? `no news for ${duration(quiet / 1000)}` : model.status ? "live" : "loading");
  document.body.classList.toggle("stale", late);
}

function pill(id, mood, text) {
  const target = find(id);
  target.className = `pill ${mood}`;
  write(target, text);
}

function showStatus(status) {
  pill("broker", status.problem ? "bad" : "good", status.problem || `connected to ${status.broker}`);
  find("drift").hidden = !status.drift;
  if (status.drift) showDrift(...status.drift);
  write(find("firing"), whole(status.firing));
  find("firing").parentElement.classList.toggle("none", status.firing === 0);
  write(find("readings"), rate(status.readings_rate));
  write(find("readings-total"), `${whole(status.readings)} since start`);
  write(find("windows"), rate(status.windows_rate));
  write(find("windows-total"), `${whole(status.faulty)} of ${whole(status.windows)} faulty`);
  write(find("bundle"), `bundle ${status.bundle} of ${status.created.slice(0, 10)} · version ${status.version}`);
  find("report").hidden = !status.report;
  document.title = status.problem ? "(!) sensor-monitor" : status.firing ? `(${status.firing}) sensor-monitor` : "sensor-monitor";
}

function showDrift(index, feature) {
  if (index > RETRAIN) pill("drift", "bad", `${feature} drifts (${index.toFixed(2)}): train again`);
  else pill("drift", "good", `drift ${index.toFixed(2)}`);
}

function showStates() {
  const { states } = model.status;
  const far = [...model.groups.values()].filter((group) => group.kind === "out of range").length;
  const counts = {
    ...states, "out of range": far, normal: Math.max(0, states.normal - far), filling: states.filling + states.warming,
  };
  for (const state of STATES) write(find("states").querySelector(`[data-kind="${state}"] b`), whole(counts[state]));
}

function makeStates() {
  for (const state of STATES) {
    const button = element("button", "figure");
    button.dataset.kind = state;
    button.setAttribute("aria-pressed", "false");
    button.append(element("b", "", "–"), element("span", "badge", state));
    button.addEventListener("click", () => {
      if (!table.kinds.delete(state)) table.kinds.add(state);
      button.setAttribute("aria-pressed", table.kinds.has(state));
      table.draw();
    });
    find("states").append(button);
  }
}

function showAlerts({ firing, ended, marks }) {
  const place = find("alerts");
  const key = JSON.stringify([firing.map((alert) => [alert.group, alert.since, alert.values]), ended]);
  if (place.dataset.key !== key) {
    place.dataset.key = key; // drawn anew only where it differs: what somebody reads or marks stays
    place.replaceChildren(...firing.map(card), element("p", "calm"));
  }
  firing.forEach((alert, index) => {
    const shown = place.children[index];
    write(shown.querySelector(".when"), when(alert));
    write(shown.querySelector(".mark"), (marks[alert.group] ?? []).join(", "));
    shown.classList.toggle("marked", alert.group in marks);
  });
  const more = model.status.firing - firing.length;
  write(place.lastChild, firing.length ? (more > 0 ? `and ${whole(more)} more, in the table below` : "") : quiet(ended));
}

function card(alert) {
  const made = element("article", "alert");
  made.append(
    element("p", "mark"),
    element("h3", "", alert.group),
    element("p", "when"),
    element("p", "reason", alert.reason),
    element("p", "values", alert.values || "It began before the monitor's last start."),
  );
  return made;
}

function when(alert) {
  const group = model.groups.get(alert.group);
  const lasts = group && group.ts !== null ? ` for ${duration(group.ts - alert.since)}` : "";
  return `firing${lasts}, since ${clock(alert.since)}${alert.score === null ? "" : `, score ${number(alert.score, 3)}`}`;
}

function quiet([last]) {
  if (!last) return "No alert is firing.";
  return `No alert is firing. The last, of ${last.group}, ended at ${clock(last.until)} after ${duration(last.until - last.since)}.`;
}

makeStates();
setInterval(showFresh, 1000);
// A page that nobody looks at needs no news; it gets all of it when somebody does.
document.addEventListener("visibilitychange", relisten);
listen();

// DOM elements, formatted numbers and times, and sparklines.

export const WIDTH = 100;
export const HEIGHT = 30;
const SVG = "http://www.w3.org/2000/svg";
const HOUR = 3600e3; // milliseconds
const UNITS = new Map([["degC", "°C"], ["%RH", "% RH"]]);

export const unit = (name) => UNITS.get(name) ?? name;

// Text is set through textContent only: a group's name comes from a topic and may contain markup.
export function element(tag, className = "", text = "") {
  const created = document.createElement(tag);
  if (className) created.className = className;
  if (text) created.textContent = text;
  return created;
}

export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function formatNumber(value, digits) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return value.toFixed(digits ?? (size >= 10000 ? 0 : size >= 100 ? 1 : 2));
}

export const formatInteger = (value) => Math.round(value).toLocaleString("en");

export function formatRate(value) {
  if (value === null) return "–";
  return value >= 10 ? formatInteger(value) : String(Number(value.toFixed(1)));
}

// Return the time of day, with the date where the time is more than 18 hours away: "14:22" reads as today.
export function formatTime(ts) {
  if (ts === null) return "–";
  const date = new Date(ts * 1000), ageMs = Math.abs(Date.now() - date);
  if (ageMs < 18 * HOUR) return date.toLocaleTimeString("en-GB");
  const day = { day: "numeric", month: "short" };
  if (ageMs > 300 * 24 * HOUR) return date.toLocaleDateString("en-GB", { ...day, year: "numeric" });
  return date.toLocaleString("en-GB", { ...day, hour: "2-digit", minute: "2-digit" });
}

export function formatDuration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
}

// Create an empty sparkline: the line, its faulty parts ("bad") and the newest point ("dot"). `limit` adds a
// dashed line at the threshold.
export function sparkline(limit = false) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const name of [...(limit ? ["limit"] : []), "line", "bad", "dot"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    svg.append(path);
  }
  return svg;
}

// Draw one column of `points`, each [ts, highest score, ...values], scaled from lowest to highest.
export function drawSparkline(svg, points, column, lowest, highest, threshold) {
  let line = "", bad = "", dot = "", previous = null;
  const first = points.length ? points[0][0] : 0;
  const span = points.length > 1 ? points.at(-1)[0] - first : 1;
  const maxGap = 4 * medianStep(points);
  const y = (value) => (HEIGHT - 3 - ((value - lowest) / (highest - lowest)) * (HEIGHT - 6)).toFixed(1);
  for (const point of points) {
    if (point[column] === null) { previous = null; continue; }
    const position = `${(span > 0 ? 2 + ((point[0] - first) / span) * (WIDTH - 5) : 0).toFixed(1)} ${y(point[column])}`;
    const connected = previous && point[0] > previous.ts && point[0] - previous.ts <= maxGap;
    line += `${connected ? "L" : "M"}${position}`;
    if (point[1] > threshold) bad += connected ? `M${previous.position}L${position}` : `M${position}h0`;
    previous = { ts: point[0], position };
    dot = `M${position}h0`;
  }
  const paths = { line, bad, dot, limit: `M0 ${y(threshold)}H${WIDTH}` };
  for (const path of svg.children) path.setAttribute("d", paths[path.getAttribute("class")]);
}

// Return the median time between two points, in seconds.
function medianStep(points) {
  const steps = points.slice(1).map((point, index) => point[0] - points[index][0]).sort((a, b) => a - b);
  return steps.length ? steps[steps.length >> 1] : 1;
}

// Small pieces: text, numbers, times, and lines of the last minutes.

export const WIDTH = 100;
export const HEIGHT = 30;
const SVG = "http://www.w3.org/2000/svg";
const HOUR = 3600e3; // milliseconds
const UNITS = { degC: "°C", "%RH": "% RH" };

export const unit = (name) => UNITS[name] ?? name;

// Text goes into the page by textContent alone: a group's name may be anything that a topic can hold.
export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function number(value, digits) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return value.toFixed(digits ?? (size >= 10000 ? 0 : size >= 100 ? 1 : 2));
}

export const whole = (value) => Math.round(value).toLocaleString("en");

export function rate(value) {
  if (value === null) return "–";
  return value >= 10 ? whole(value) : String(Number(value.toFixed(1)));
}

// A time of day, or the day where it isn't today's: who reads "14:22" takes it for today's.
export function clock(ts) {
  if (ts === null) return "–";
  const date = new Date(ts * 1000), away = Math.abs(Date.now() - date);
  if (away < 18 * HOUR) return date.toLocaleTimeString("en-GB");
  const day = { day: "numeric", month: "short" };
  if (away > 300 * 24 * HOUR) return date.toLocaleDateString("en-GB", { ...day, year: "numeric" });
  return date.toLocaleString("en-GB", { ...day, hour: "2-digit", minute: "2-digit" });
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
}

// A line with its bad parts and its newest point; `limit` adds a dashed line across.
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

// `points` are [ts, worst score, ...values]; the column is drawn between lowest and highest.
export function redraw(svg, points, column, lowest, highest, threshold) {
  let line = "", bad = "", dot = "", before = null;
  const first = points.length ? points[0][0] : 0;
  const span = points.length > 1 ? points.at(-1)[0] - first : 1;
  const gap = 4 * typicalStep(points);
  const y = (value) => (HEIGHT - 3 - ((value - lowest) / (highest - lowest)) * (HEIGHT - 6)).toFixed(1);
  for (const point of points) {
    if (point[column] === null) { before = null; continue; }
    const place = `${(span > 0 ? 2 + ((point[0] - first) / span) * (WIDTH - 5) : 0).toFixed(1)} ${y(point[column])}`;
    const connected = before && point[0] > before.ts && point[0] - before.ts <= gap;
    line += `${connected ? "L" : "M"}${place}`;
    if (point[1] > threshold) bad += connected ? `M${before.place}L${place}` : `M${place}h0`;
    before = { ts: point[0], place };
    dot = `M${place}h0`;
  }
  const paths = { line, bad, dot, limit: `M0 ${y(threshold)}H${WIDTH}` };
  for (const path of svg.children) path.setAttribute("d", paths[path.getAttribute("class")]);
}

function typicalStep(points) {
  const steps = points.slice(1).map((point, index) => point[0] - points[index][0]).sort((a, b) => a - b);
  return steps.length ? steps[steps.length >> 1] : 1;
}

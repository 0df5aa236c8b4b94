// The groups' table. Only the rows that are in sight exist, so that a thousand groups cost what twenty do.

import { STATES } from "./model.js";
import { clock, element, number, redraw, sparkline, unit, whole, write } from "./draw.js";

const ROW = 52; // pixels, as in page.css
const find = (id) => document.getElementById(id);
const [view, space, head] = ["view", "space", "head"].map(find);
const ORDERS = {
  worst: (a, b) => b.firing - a.firing || STATES.indexOf(a.kind) - STATES.indexOf(b.kind),
  score: (a, b) => (b.score ?? -1) - (a.score ?? -1),
  name: () => 0,
  quiet: (a, b) => (a.ts ?? 0) - (b.ts ?? 0),
};

export class Table {
  #model;
  #shown = [];
  #rows = [];
  #features = "";
  kinds = new Set(); // shown alone; none stands for all

  constructor(model) {
    this.#model = model;
    view.addEventListener("scroll", () => this.#fill(), { passive: true });
    new ResizeObserver(() => this.#fill()).observe(view);
    find("search").addEventListener("input", () => { view.scrollTop = 0; this.draw(); });
    find("sort").addEventListener("change", () => { view.scrollTop = 0; this.draw(); });
  }

  draw() {
    const { groups, status } = this.#model;
    if (!status) return;
    this.#columns(status.features);
    const wanted = find("search").value.trim().toLowerCase();
    this.#shown = this.#model.names().map((name) => groups.get(name)).filter((group) =>
      group.group.toLowerCase().includes(wanted) && (!this.kinds.size || this.kinds.has(group.kind)));
    this.#shown.sort(ORDERS[find("sort").value]); // keeps the order of names where it says nothing
    space.style.height = `${this.#shown.length * ROW}px`;
    this.#count(wanted);
    this.#fill();
  }

  #count(wanted) {
    const known = this.#model.groups.size;
    const total = Object.values(this.#model.status.states).reduce((sum, count) => sum + count, 0);
    const all = total > known ? `the ${whole(known)} worst of ${whole(total)} groups` : `${whole(known)} group${known === 1 ? "" : "s"}`;
    write(find("count"), this.#shown.length < known ? `${this.#shown.length} of ${all}` : all);
    const { problem, broker, topics } = this.#model.status;
    const why = known
      ? `No group ${wanted ? `has “${wanted}” in its name` : ""}${wanted && this.kinds.size ? " and " : ""}${this.kinds.size ? `is ${[...this.kinds].join(" or ")}` : ""}.`
      : problem
        ? `No readings yet: ${problem}. The monitor tries again by itself; see [mqtt] in its settings.`
        : `No readings yet: publish some on ${topics.join(" or ")} at ${broker}, or set input.topics to where they come.`;
    write(find("empty"), known || !total ? why : "loading");
    find("empty").hidden = this.#shown.length > 0;
    find("table").hidden = this.#shown.length === 0;
  }

  #columns(features) {
    const key = JSON.stringify(features);
    if (key === this.#features) return;
    this.#features = key;
    find("table").style.setProperty("--features", features.length);
    const names = ["State", "Group", "Score", ...features.map((feature) => feature.name), "Heard"];
    head.replaceChildren(...names.map((name) => {
      const cell = element("span", "", name);
      cell.setAttribute("role", "columnheader");
      return cell;
    }));
    this.#rows = [];
    space.replaceChildren();
  }

  #fill() {
    const first = Math.max(0, Math.floor(view.scrollTop / ROW) - 1);
    const shown = this.#shown.slice(first, first + Math.ceil(view.clientHeight / ROW) + 3);
    while (this.#rows.length < shown.length) {
      this.#rows.push(new Row(this.#model.status.features));
      space.append(this.#rows.at(-1).element);
    }
    this.#rows.forEach((row, index) => {
      row.element.hidden = index >= shown.length;
      if (index < shown.length) row.show(shown[index], (first + index) * ROW, this.#model);
    });
  }
}

class Row {
  constructor(features) {
    this.element = element("div", "row");
    this.element.setAttribute("role", "row");
    this.state = this.#cell("badge");
    const cell = this.#cell("name");
    this.name = element("span");
    this.mark = element("small", "mark");
    cell.append(this.name, this.mark);
    this.score = this.#chart("score", sparkline(true), "");
    this.values = features.map((feature) => this.#chart("value", sparkline(), unit(feature.unit)));
    this.ts = this.#cell("ts");
  }

  #cell(className) {
    const cell = element("span", className);
    cell.setAttribute("role", "cell");
    this.element.append(cell);
    return cell;
  }

  #chart(className, svg, unitName) {
    const cell = this.#cell(className);
    const value = element("b");
    cell.append(value, element("small", "", unitName), svg);
    return { value, svg };
  }

  show(group, top, { status: { features, threshold }, alerts: { marks } }) {
    this.element.style.transform = `translateY(${top}px)`;
    this.element.dataset.kind = group.kind;
    this.element.dataset.group = group.group;
    this.element.classList.toggle("open", group.firing);
    write(this.mark, [group.firing && group.kind !== "faulty" ? "alert open" : "", ...(marks[group.group] ?? [])].filter(Boolean).join(", "));
    write(this.state, group.state === "warming" ? "warming" : group.kind);
    write(this.name, group.group);
    this.name.title = group.group;
    write(this.ts, clock(group.ts));
    this.ts.title = group.ts === null ? "" : new Date(group.ts * 1000).toISOString();
    write(this.score.value, number(group.score, 3));
    redraw(this.score.svg, group.points, 1, 0, 1, threshold);
    const last = group.points.at(-1);
    this.values.forEach(({ value, svg }, index) => {
      write(value, number(last ? last[2 + index] : null));
      const [lowest, highest] = scale(group.points, features, features[index].unit);
      redraw(svg, group.points, 2 + index, lowest, highest, threshold);
    });
  }
}

// Values of one unit share one scale: a sensor that leaves its neighbour is seen to do so.
function scale(points, features, unitName) {
  let lowest = Infinity, highest = -Infinity;
  for (const point of points) {
    features.forEach((feature, index) => {
      if (feature.unit !== unitName || point[2 + index] === null) return;
      lowest = Math.min(lowest, point[2 + index]);
      highest = Math.max(highest, point[2 + index]);
    });
  }
  if (lowest > highest) return [0, 1];
  const least = Math.max(Math.abs(lowest), Math.abs(highest)) * 0.05 || 1; // noise shall look like noise
  const margin = Math.max(0, least - (highest - lowest)) / 2;
  return [lowest - margin, highest + margin];
}

// The table of groups. Only visible rows exist in the DOM, so a thousand groups cost as much as twenty.

import { STATES } from "./model.js";
import { formatTime, element, formatNumber, drawSparkline, sparkline, unit, formatInteger, setText } from "./draw.js";

const ROW_HEIGHT = 52; // pixels, as in page.css
const find = (id) => document.getElementById(id);
const [view, space, head] = ["view", "space", "head"].map(find);
const COMPARATORS = {
  worst: (a, b) => b.firing - a.firing || STATES.indexOf(a.kind) - STATES.indexOf(b.kind),
  score: (a, b) => (b.score ?? -1) - (a.score ?? -1),
  name: () => 0,
  lastSeen: (a, b) => (a.ts ?? 0) - (b.ts ?? 0),
};

export class Table {
  #model;
  #filteredGroups = [];
  #rows = [];
  #features = "";
  selectedKinds = new Set(); // kinds of group that are shown; an empty set shows all

  constructor(model) {
    this.#model = model;
    view.addEventListener("scroll", () => { head.scrollLeft = view.scrollLeft; this.#renderRows(); }, { passive: true });
    new ResizeObserver(() => this.#renderRows()).observe(view);
    find("search").addEventListener("input", () => { view.scrollTop = 0; this.draw(); });
    find("sort").addEventListener("change", () => { view.scrollTop = 0; this.draw(); });
  }

  draw() {
    const { groups, status } = this.#model;
    if (!status) return;
    this.#updateColumns(status.features);
    const query = find("search").value.trim().toLowerCase();
    this.#filteredGroups = this.#model.names().map((name) => groups.get(name)).filter((group) =>
      group.group.toLowerCase().includes(query) && (!this.selectedKinds.size || this.selectedKinds.has(group.kind)));
    this.#filteredGroups.sort(COMPARATORS[find("sort").value]); // stable: equal groups stay in the order of names
    space.style.height = `${this.#filteredGroups.length * ROW_HEIGHT}px`;
    this.#updateCount(query);
    this.#renderRows();
  }

  #updateCount(query) {
    const knownCount = this.#model.groups.size;
    const total = Object.values(this.#model.status.states).reduce((sum, count) => sum + count, 0);
    const all = total > knownCount
      ? `the ${formatInteger(knownCount)} worst of ${formatInteger(total)} groups`
      : `${formatInteger(knownCount)} group${knownCount === 1 ? "" : "s"}`;
    setText(find("count"), this.#filteredGroups.length < knownCount ? `${this.#filteredGroups.length} of ${all}` : all);
    const { not_ready: notReady, input_problem: inputProblem, broker, topics } = this.#model.status;
    const filters = [
      ...(query ? [`has “${query}” in its name`] : []),
      ...(this.selectedKinds.size ? [`is ${[...this.selectedKinds].join(" or ")}`] : []),
    ];
    const emptyText = knownCount
      ? `No group ${filters.join(" and ")}.`
      : notReady
        ? `No readings yet: ${notReady}. The monitor tries again by itself; see [mqtt] in its settings.`
      : inputProblem
        ? `No usable readings yet: ${inputProblem}. The log names the topics; see [input] in the settings.`
        : `No readings yet: publish some on ${topics.join(" or ")} at ${broker}, or set input.topics to where they come.`;
    setText(find("empty"), knownCount || !total ? emptyText : "loading");
    find("empty").hidden = this.#filteredGroups.length > 0;
    find("table").hidden = this.#filteredGroups.length === 0;
  }

  #updateColumns(features) {
    const key = JSON.stringify(features);
    if (key === this.#features) return;
    this.#features = key;
    find("table").style.setProperty("--features", features.length);
    const [state, group, score, ts] = ["State", "Group", "Score", "Last seen"].map((name) => element("span", "", name));
    head.replaceChildren(state, group, score, ...features.map(featureTitle), ts);
    for (const cell of head.children) cell.setAttribute("role", "columnheader");
    this.#rows = [];
    space.replaceChildren();
  }

  #renderRows() {
    const first = Math.max(0, Math.floor(view.scrollTop / ROW_HEIGHT) - 1);
    const visible = this.#filteredGroups.slice(first, first + Math.ceil(view.clientHeight / ROW_HEIGHT) + 3);
    while (this.#rows.length < visible.length) {
      this.#rows.push(new Row(this.#model.status.features));
      space.append(this.#rows.at(-1).element);
    }
    this.#rows.forEach((row, index) => {
      row.element.hidden = index >= visible.length;
      if (index < visible.length) row.show(visible[index], (first + index) * ROW_HEIGHT, this.#model);
    });
  }
}

// Return the title of a feature's column. The unit is shown where the rows have none: on a phone.
function featureTitle({ name, unit: unitName }) {
  const cell = element("span", "feature");
  for (const part of name.split(/(?=[_-])/)) cell.append(element("wbr"), part); // narrow columns break it there
  cell.append(element("small", "", ` ${unit(unitName)}`));
  return cell;
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
    this.score = this.#chartCell("score", sparkline(true));
    this.values = features.map(() => this.#chartCell("value", sparkline()));
    this.ts = this.#cell("ts");
  }

  #cell(className) {
    const cell = element("span", className);
    cell.setAttribute("role", "cell");
    this.element.append(cell);
    return cell;
  }

  #chartCell(className, svg) {
    const cell = this.#cell(className);
    const value = element("b"), note = element("small");
    cell.append(value, note, svg);
    return { value, note, svg };
  }

  show(group, top, { status: { features, threshold }, alerts: { marks } }) {
    this.element.style.transform = `translateY(${top}px)`;
    this.element.dataset.kind = group.kind;
    this.element.dataset.group = group.group;
    this.element.classList.toggle("open", group.firing);
    const stale = new Map(group.stale);
    const staleTexts = [...stale].map(([index, since]) => `stale since ${formatTime(since)}: ${features[index].name}`);
    setText(this.mark, [group.firing && group.kind !== "faulty" ? "alert open" : "", group.fault ?? "", ...(marks.get(group.group) ?? []), ...staleTexts].filter(Boolean).join(", "));
    this.mark.title = this.mark.textContent;
    setText(this.state, group.state === "warming" ? "warming" : group.kind);
    setText(this.name, group.group);
    this.name.title = group.group;
    setText(this.ts, formatTime(group.ts));
    this.ts.title = group.ts === null ? "" : new Date(group.ts * 1000).toISOString();
    setText(this.score.value, formatNumber(group.score, 3));
    drawSparkline(this.score.svg, group.points, 1, 0, 1, threshold);
    const last = group.points.at(-1);
    this.values.forEach(({ value, note, svg }, index) => {
      const isStale = stale.has(index);
      value.parentElement.classList.toggle("absent", isStale);
      setText(value, isStale ? "stale" : formatNumber(last ? last[2 + index] : null));
      const offset = group.state === "faulty" ? null : group.shows?.[index]; // it is faulty without one
      setText(note, isStale ? `since ${formatTime(stale.get(index))}` : `${unit(features[index].unit)}${offset ? `\nfrom ${offset}` : ""}`);
      value.parentElement.title = offset ? `Smallest offset that would be called Faulty now: ${offset} ${unit(features[index].unit)}` : "";
      const [lowest, highest] = valueRange(group.points, features, features[index].unit);
      drawSparkline(svg, group.points, 2 + index, lowest, highest, threshold);
    });
  }
}

// Return the range of all values with this unit. Features of one unit share it, so that a sensor that deviates
// from its neighbour is visible.
function valueRange(points, features, unitName) {
  let lowest = Infinity, highest = -Infinity;
  for (const point of points) {
    features.forEach((feature, index) => {
      if (feature.unit !== unitName || point[2 + index] === null) return;
      lowest = Math.min(lowest, point[2 + index]);
      highest = Math.max(highest, point[2 + index]);
    });
  }
  if (lowest > highest) return [0, 1];
  const minSpan = Math.max(Math.abs(lowest), Math.abs(highest)) * 0.05 || 1; // 5 % at least: noise is not magnified to the full height
  const margin = Math.max(0, minSpan - (highest - lowest)) / 2;
  return [lowest - margin, highest + margin];
}

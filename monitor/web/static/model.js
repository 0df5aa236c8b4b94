// What the page knows: filled from the monitor's events, read by all that draws.

const POINTS = 60; // of a group's history; the monitor sends as many
export const STATES = ["faulty", "out of range", "silent", "filling", "normal"]; // worst first

const collator = new Intl.Collator(undefined, { numeric: true });

export class Model {
  status = null;
  alerts = { firing: [], ended: [], marks: {} };
  groups = new Map();
  #ordered = null;

  // Start afresh: what is known may be of a monitor that was restarted meanwhile.
  all({ status, alerts }) {
    this.status = status;
    this.alerts = alerts;
    this.groups.clear();
    this.#ordered = null;
  }

  histories(groups) {
    for (const group of groups) this.groups.set(group.group, withKind(group));
    this.#ordered = null;
  }

  news({ status, alerts, groups, gone }) {
    this.status = status;
    if (alerts) this.alerts = alerts;
    for (const name of gone) this.groups.delete(name);
    if (gone.length) this.#ordered = null;
    for (const { point, points, ...group } of groups) {
      const before = this.groups.get(group.group);
      if (!before) this.#ordered = null;
      group.points = points ?? extended(before ? before.points : [], point);
      this.groups.set(group.group, withKind(group));
    }
  }

  // The groups' names as a person would order them: station2 before station10.
  names() {
    this.#ordered ??= [...this.groups.keys()].sort(collator.compare);
    return this.#ordered;
  }
}

// A group is of one kind and counted as that; an incident may be open whatever its newest window is.
function withKind(group) {
  group.kind =
    group.state === "normal" && group.far ? "out of range"
    : group.state === "warming" ? "filling"
    : group.state;
  return group;
}

function extended(points, point) {
  if (point[0] === null) return points;
  const last = points.at(-1);
  if (last && last[0] === point[0]) points[points.length - 1] = point;
  else points.push(point);
  if (points.length > POINTS) points.shift();
  return points;
}

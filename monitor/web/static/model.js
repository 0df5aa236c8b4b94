// The page's data: filled from the monitor's events, read by the code that draws.

const POINTS = 60; // kept per group; the monitor's POINTS_PER_GROUP is the same
export const STATES = ["faulty", "out of range", "stale", "silent", "filling", "normal"]; // worst first

const collator = new Intl.Collator(undefined, { numeric: true });

export class Model {
  status = null;
  alerts = withMap({ firing: [], ended: [], marks: {} });
  groups = new Map();
  #sortedNames = null;

  // Replace everything: the monitor may have been restarted since the last event.
  reset({ status, alerts }) {
    this.status = status;
    this.alerts = withMap(alerts);
    this.groups.clear();
    this.#sortedNames = null;
  }

  setGroups(groups) {
    for (const group of groups) this.groups.set(group.group, withKind(group));
    this.#sortedNames = null;
  }

  update({ status, alerts, groups, gone }) {
    this.status = status;
    if (alerts) this.alerts = withMap(alerts);
    for (const name of gone) this.groups.delete(name);
    if (gone.length) this.#sortedNames = null;
    for (const { point, points, ...group } of groups) {
      const previous = this.groups.get(group.group);
      if (!previous) this.#sortedNames = null;
      group.points = points ?? appendPoint(previous ? previous.points : [], point);
      this.groups.set(group.group, withKind(group));
    }
  }

  // Return the groups' names in natural order: station2 before station10.
  names() {
    this.#sortedNames ??= [...this.groups.keys()].sort(collator.compare);
    return this.#sortedNames;
  }
}

// Make the marks a map: an object has members of its own, and a group may be called `constructor`.
function withMap(alerts) {
  return { ...alerts, marks: new Map(Object.entries(alerts.marks)) };
}

// Return the kind that a group in this state is counted under if nothing else is known of it.
export const kindOfState = (state) => (state === "warming" ? "filling" : state);

// Set the one kind that a group is counted under. It does not depend on whether an incident is open. A stale
// feature is worse than what the last reading was judged: no reading has been made since.
function withKind(group) {
  group.stale ??= [];
  group.kind =
    group.stale.length && !["faulty", "silent"].includes(group.state) ? "stale"
    : group.state === "normal" && group.far ? "out of range"
    : kindOfState(group.state);
  return group;
}

function appendPoint(points, point) {
  if (point[0] === null) return points;
  const last = points.at(-1);
  if (last && last[0] === point[0]) points[points.length - 1] = point;
  else points.push(point);
  if (points.length > POINTS) points.shift();
  return points;
}

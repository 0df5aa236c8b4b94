"""Turns clusters of groups into sources that don't contradict each other."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.cli.discover.candidates import Candidate, Shape
from monitor.cli.discover.groups import Cluster, Group
from monitor.cli.discover.source_settings import SourceText, write_sources
from monitor.cli.discover.survey import Survey
from monitor.cli.discover.topic_parts import Slot, TopicParts
from monitor.cli.discover.words import split_words
from monitor.core.topics import Template
from monitor.ingest.paths import Path

__all__ = ["ClusterSources", "build_sources"]

_MAX_CONSTANT_GROUPS = 50


@dataclass(slots=True)
class ClusterSources:
    """The sources of the groups of one cluster."""

    shape: Shape
    groups: list[Group]
    sources: list[SourceText] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """What the groups will be called."""
    notes: list[str] = field(default_factory=list)
    """What the reader must decide or know."""
    is_constant: bool = False
    """Whether no part of the topics tells the groups apart."""
    left_out: str = ""
    """Why there are no sources although the groups have all features."""

    @property
    def topics(self) -> set[str]:
        """The topics of the groups."""
        return {topic for group in self.groups for topic in group.parts}


def build_sources(clusters: Sequence[Cluster], survey: Survey) -> list[ClusterSources]:
    """Return the sources of all groups with all features.

    The settings refuse two sources that could give the same feature of the same group, which is told by the
    number of names in their topics. So the groups of each cluster get another number of names.
    """
    complete = [cluster for cluster in clusters if cluster.complete]
    result = [_choose_groups(cluster) for cluster in complete]
    sizes: set[int] = set()
    remaining: list[ClusterSources] = []
    # Short topics first, for they have the fewest levels that could be names.
    for built in sorted(result, key=lambda built: min(topic.count("/") for topic in built.topics)):
        if built.groups[0].group_tag is not None:
            _name_by_payload(built, alone=len(complete) == 1)
        elif built.is_constant or not _name_by_topic(built, sizes, survey):
            remaining.append(built)
    used: set[str] = set()
    for built in remaining:  # last, for constant names can have any number of parts
        _name_by_constants(built, sizes, used)
    return result


def _choose_groups(cluster: Cluster) -> ClusterSources:
    """Return the groups of a cluster that one set of sources can read."""
    groups = cluster.complete
    by_signature: dict[Any, list[Group]] = defaultdict(list)
    for group in groups:
        by_signature[_signature(group)].append(group)
    # Values that name themselves by their device, too, need sources of their own for each group.
    is_constant = (
        not groups[0].name
        or len({group.name for group in groups}) < len(groups)
        or (cluster.shape.layout == "named" and len(by_signature) > 1)
    ) and groups[0].group_tag is None
    if is_constant:
        return ClusterSources(cluster.shape, groups, is_constant=True)
    largest = max(by_signature.values(), key=len)
    built = ClusterSources(cluster.shape, largest)
    for group in groups:
        if not any(group is other for other in largest):
            where = next(iter(group.parts))
            built.notes.append(f"left out, for its values have other names than those of the others: {where}")
    return built


def _signature(group: Group) -> Any:
    """Return what the sources of groups that are alike have in common."""
    return frozenset(
        (feature, _feature_text(group, found), _locate(found, group))
        for feature, found in group.assignment.features.items()
    )


def _feature_text(group: Group, candidate: Candidate) -> Any:
    """Return what in the candidate's topic isn't the device's name."""
    return group.parts[candidate.topic].template(dict.fromkeys(group.parts[candidate.topic].slots, "x"))


def _locate(candidate: Candidate, group: Group) -> tuple[Path, str]:
    tag = dict(candidate.tags).get(group.place_tag, "") if group.place_tag else ""
    return candidate.path, candidate.name or tag


def _name_by_topic(built: ClusterSources, sizes: set[int], survey: Survey) -> bool:
    """Make sources whose topics name the groups; return False if no such topics are unambiguous."""
    parts = [part for group in built.groups for part in group.parts.values()]
    foreign = [topic for topic in survey.topics if topic not in built.topics]
    for number, slots in enumerate(_choices(built.groups, parts[0])):
        names = _name_slots(slots, parts)
        templates = {text: Template(text) for text in (part.template(names) for part in parts)}
        has_text = all(any(len(texts) == 1 for texts in template.levels) for template in templates.values())
        if len(slots) in sizes or not has_text:
            continue
        matched = [topic for topic in foreign if any(t.match(topic) is not None for t in templates.values())]
        # More names than the groups need must not bring in other topics.
        if matched and number:
            continue
        if matched:
            built.notes.append(f"these topics also match {', '.join(sorted(matched)[:3])}")
        sizes.add(len(slots))
        sources = write_sources(built.shape, built.groups, names, constants=None)
        if any(Template(source.settings["topic"]).match(topic) for source in sources for topic in foreign):
            sources = write_sources(built.shape, built.groups, names, constants=None, merge=False)
        built.sources = sources
        built.names = ["/".join(_slot_texts(group, slots)) for group in built.groups]
        return True
    return False


def _choices(groups: Sequence[Group], parts: TopicParts) -> Iterator[tuple[Slot, ...]]:
    """Yield pieces of the topics that could be names: those that differ, then with more of the others."""
    slots = parts.slots
    varying = [slot for index, slot in enumerate(slots) if len({group.name[index] for group in groups}) > 1]
    chosen = varying or list(slots)
    yield tuple(sorted(chosen))
    others = [slot for slot in slots if slot not in chosen]
    others += [
        (number, 0)
        for number, level in enumerate(parts.levels)
        if len(level) == 1 and level[0].kind == "fixed"
    ]
    # One more name in each possible place, then two more, and so on.
    for more in range(1, len(others) + 1):
        for start in range(len(others) - more + 1):
            yield tuple(sorted([*chosen, *others[start : start + more]]))


def _slot_texts(group: Group, slots: Sequence[Slot]) -> list[str]:
    parts = next(iter(group.parts.values()))
    return [parts.text(slot) for slot in slots]


def _name_slots(slots: Sequence[Slot], parts: Sequence[TopicParts]) -> dict[Slot, str]:
    """Return a name for each piece: the word that all its texts begin with, else `device`."""
    names: dict[Slot, str] = {}
    for slot in sorted(slots):
        first_words = {
            next((word for word, _, _ in split_words(part.text(slot)) if word.isalpha()), "")
            for part in parts
        }
        word = first_words.pop() if len(first_words) == 1 else ""
        if word in {part.text(slot).lower() for part in parts}:  # the device's whole name
            word = ""
        is_fixed = parts[0].levels[slot[0]][slot[1]].kind == "fixed"
        name = word if len(word) > 1 and word.isascii() and word != "feature" else "device"
        name = "kind" if is_fixed else name
        count = Counter(text.rstrip("0123456789") for text in names.values())[name]
        names[slot] = f"{name}{count + 1}" if count else name
    return names


def _name_by_payload(built: ClusterSources, *, alone: bool) -> None:
    """Make sources whose payloads name the groups, which no other source may give values of."""
    if not alone:
        built.left_out = (
            "the payload names its groups, so the settings can't rule out that other sources give values of "
            "the same: a monitor of its own (another base_topic and store) can read these topics"
        )
    built.sources = write_sources(built.shape, built.groups, {}, constants=None)
    built.names = [group.rest for group in built.groups]


def _name_by_constants(built: ClusterSources, sizes: set[int], used: set[str]) -> None:
    """Make sources for each group, with its name as a constant that no other source's topics could give."""
    if len(built.groups) > _MAX_CONSTANT_GROUPS:
        built.left_out = f"{len(built.groups)} groups, each of which would need sources of its own"
        return
    names = [_constant_name(group, built) for group in built.groups]
    prefixes = [*_common_levels(built), built.shape.format]
    while used & set(names) or any(name.count("/") + 1 in sizes for name in names):
        prefix = prefixes.pop(0) if len(prefixes) > 1 else prefixes[0]
        names = [f"{prefix}/{name}" for name in names]
    used |= set(names)
    built.names = names
    built.sources = write_sources(built.shape, built.groups, {}, constants=names)


def _constant_name(group: Group, built: ClusterSources) -> str:
    """Return what tells a group from the others: parts of its topics, of the names of its values, or both."""
    varying = [
        text
        for index, text in enumerate(group.name)
        if len({other.name[index : index + 1] for other in built.groups}) > 1
    ]
    texts = [*varying, group.rest] if varying or group.rest else [_common_rest(group)]
    name = "/".join(filter(None, texts)) or next(iter(group.parts)).strip("/").split("/")[-1]
    return "/".join(filter(None, _clean(name).split("/")))


def _common_levels(built: ClusterSources) -> list[str]:
    """Return the levels that all topics have in common, the last first."""
    columns = zip(*(topic.split("/") for topic in built.topics), strict=False)
    return [_clean(texts[0]) for texts in columns if texts[0] and len(set(texts)) == 1][::-1]


def _clean(text: str) -> str:
    """Replace what can't be in the name of a group."""
    return text.translate(str.maketrans("+#$\0", "____"))


def _common_rest(group: Group) -> str:
    """Return what the names of all values have in common beside the words for their features."""
    rests = {candidate.label.rest for candidate in group.assignment.features.values()}
    return rests.pop() if len(rests) == 1 else ""

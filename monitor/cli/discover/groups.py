"""Finds the groups among the candidates: which topics and fields are the sensors of one place."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from monitor.cli.discover.assignment import Assignment, Placed, assign
from monitor.cli.discover.candidates import Candidate, Shape
from monitor.cli.discover.topic_parts import PlaceWords, TopicParts, take_apart
from monitor.cli.discover.words import Words
from monitor.ingest.paths import Path

__all__ = ["Cluster", "Group", "find_clusters"]

Split = Literal["none", "rest"]
"""Whether one message holds several groups, told apart by the names of its values."""

_PLACE_WORDS: tuple[PlaceWords, ...] = ("none", "words", "numbers")
_SPLITS: tuple[Split, ...] = ("none", "rest")


@dataclass(slots=True)
class Group:
    """Values that are judged together."""

    name: tuple[str, ...]
    """The device's names in the topic, in order."""
    rest: str
    """The device's name in the names of the values, or in a tag."""
    parts: dict[str, TopicParts]
    """Each topic, taken apart."""
    candidates: list[Placed]
    assignment: Assignment
    place_tag: Path | None = None
    """The tag that says which of several sensors a record is of."""
    group_tag: Path | None = None
    """The tag that names the group."""


@dataclass(slots=True)
class Cluster:
    """Groups whose messages are alike."""

    shape: Shape
    groups: list[Group] = field(default_factory=list)

    @property
    def complete(self) -> list[Group]:
        """The groups in which each feature has one value."""
        return [group for group in self.groups if group.assignment.is_complete]


def find_clusters(candidates: Sequence[Candidate], words: Words, features: Sequence[str]) -> list[Cluster]:
    """Return the groups, those that are alike together.

    Which words name a sensor and which its group isn't known: of several readings of the topics that one
    counts which gives most values a place in a group with all features.

    Parameters
    ----------
    features : names of the bundle's features, in order.
    """
    alike: dict[Any, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        alike[_shape_key(candidate.shape), candidate.topic.count("/")].append(candidate)
    result: list[Cluster] = []
    for members in alike.values():
        # The first of several that are equally good.
        readings = [
            _cluster(members, words, features, place, split) for place in _PLACE_WORDS for split in _SPLITS
        ]
        result += max(readings, key=_count_complete)
    return result


def _shape_key(shape: Shape) -> Any:
    return shape.format, shape.layout, shape.records, shape.key, shape.value, shape.ts


def _count_complete(clusters: Iterable[Cluster]) -> int:
    return sum(len(group.assignment.features) for cluster in clusters for group in cluster.complete)


def _cluster(
    candidates: Sequence[Candidate],
    words: Words,
    features: Sequence[str],
    place_words: PlaceWords,
    split: Split,
) -> list[Cluster]:
    parts_by_topic = {
        candidate.topic: take_apart(
            candidate.topic, words, place_words, names_quantity=candidate.shape.layout == "topic"
        )
        for candidate in candidates
    }
    by_group: dict[Any, list[Candidate]] = defaultdict(list)
    tags_by_topic = {topic: _sort_tags(members, words) for topic, members in _by_topic(candidates).items()}
    for candidate in candidates:
        parts = parts_by_topic[candidate.topic]
        _, group_tag = tags_by_topic[candidate.topic]
        rest = dict(candidate.tags).get(group_tag, "") if group_tag else ""
        if not rest and split == "rest" and candidate.shape.layout != "topic":
            rest = candidate.label.rest
        name = tuple(parts.text(slot) for slot in parts.slots)
        by_group[parts.pattern, name, rest].append(candidate)
    clusters: dict[Any, Cluster] = {}
    for (pattern, name, rest), members in by_group.items():
        place_tag, group_tag = tags_by_topic[members[0].topic]
        placed = [(c, _find_place(c, parts_by_topic[c.topic], place_tag, words)) for c in members]
        parts_of_group = {c.topic: parts_by_topic[c.topic] for c in members}
        group = Group(name, rest, parts_of_group, placed, assign(placed, features), place_tag, group_tag)
        key = pattern, place_tag, group_tag
        clusters.setdefault(key, Cluster(members[0].shape)).groups.append(group)
    return list(clusters.values())


def _by_topic(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    result: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        result[candidate.topic].append(candidate)
    return result


def _sort_tags(candidates: Sequence[Candidate], words: Words) -> tuple[Path | None, Path | None]:
    """Return the tag that says which sensor a record is of, and the tag that names the group."""
    texts: dict[Path, set[str]] = defaultdict(set)
    for candidate in candidates:
        for path, text in candidate.tags:
            texts[path].add(text)
    place_tags = [path for path, found in texts.items() if all(words.place(t) is not None for t in found)]
    group_tags = [path for path in texts if path not in place_tags]
    return next(iter(place_tags), None), max(group_tags, key=lambda path: len(texts[path]), default=None)


def _find_place(
    candidate: Candidate, parts: TopicParts, place_tag: Path | None, words: Words
) -> float | None:
    if place_tag is not None and (text := dict(candidate.tags).get(place_tag)) is not None:
        return words.place(text)
    # Of a topic's and a field's word, the field's is nearer to the sensor.
    return parts.place if candidate.label.place is None else candidate.label.place

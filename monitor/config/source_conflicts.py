"""Finds sources that contradict each other, the monitor's own output, or the expected groups."""

from collections.abc import Iterator, Sequence

from monitor.config.source_settings import SourceSettings

__all__ = ["find_source_conflict", "find_unmatched_source_group", "group_key"]

# Stands for all features of the bundle, for sources that don't list theirs.
_ALL_FEATURES = "*"


def find_source_conflict(sources: Sequence[SourceSettings]) -> str | None:
    """Return why two sources could give the same feature of the same group, or None if none can."""
    seen: dict[tuple[str, str | int | None], SourceSettings] = {}
    listed: set[str] = {name for source in sources for name in _features(source)}
    for source in sources:
        features = _features(source)
        for feature in listed if _ALL_FEATURES in features else features | {_ALL_FEATURES}:
            for key in _colliding_groups(source, seen, feature):
                other = seen[feature, key]
                name = "a feature" if feature == _ALL_FEATURES else feature
                return f"{other.topic!r} and {source.topic!r} could give {name} of the same group"
        for feature in features:
            seen.setdefault((feature, group_key(source)), source)
    return None


def find_unmatched_source_group(sources: Sequence[SourceSettings], groups: Sequence[str]) -> str | None:
    """Return an error message for the first group that no source can give, or None if there is none."""
    keys = {group_key(source) for source in sources}
    for group in groups:
        if not keys & {None, group, group.count("/") + 1}:
            return f"{group!r} fits no source: none has it as group, or so many names in its topic"
    return None


def _features(source: SourceSettings) -> set[str]:
    return {source.feature} if source.feature else set(source.features) or {_ALL_FEATURES}


def group_key(source: SourceSettings) -> str | int | None:
    """Return the constant group, or the number of names that make the group; None: the payload names it."""
    if source.group_path:
        return None
    if source.group:
        return source.group
    return len(source.group_names)


def _count_parts(group: str | int) -> int:
    """Return how many parts a group has: a constant one, or one that so many names make."""
    return group if isinstance(group, int) else group.count("/") + 1


def _colliding_groups(
    source: SourceSettings, seen: dict[tuple[str, str | int | None], SourceSettings], feature: str
) -> Iterator[str | int | None]:
    """Return the keys of sources that give a feature, and could give it for a group of this source."""
    key = group_key(source)
    if key is None:
        candidates = [group for name, group in seen if name == feature]
    elif isinstance(key, int):
        candidates = [
            group for name, group in seen if name == feature and (group is None or key == _count_parts(group))
        ]
    else:
        candidates = [group for group in (None, key, key.count("/") + 1) if (feature, group) in seen]
    yield from candidates

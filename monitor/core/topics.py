"""Input templates such as `plant/{line}/{station}/reading`: topic -> group, group -> topic."""

import re
from collections.abc import Sequence

__all__ = ["Template", "find_conflict", "find_own_output", "find_unmatched_group"]

_FORBIDDEN_CHARACTERS = re.compile("[+#\0]")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Template:
    """One input template; `{name}` stands for one level of the topic.

    Raises
    ------
    ValueError : the text is no template; the message is the rule it breaks.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.levels: list[str | None] = []
        """Each level's text; None where any text fits."""
        names = []
        for level in text.split("/"):
            match = _PLACEHOLDER.fullmatch(level)
            if match:
                names.append(match[1])
                self.levels.append(None)
            elif any(mark in level for mark in "{}+#\0"):
                raise ValueError(f"{level!r} must be plain text or one {{name}} that fills the whole level")
            else:
                self.levels.append(level)
        if text.startswith("$"):
            raise ValueError(f"{text!r} must not begin with '$': such topics are the broker's own")
        if not names:
            raise ValueError(f"{text!r} must have at least one {{name}}: the names make the group")
        if len(set(names)) != len(names):
            raise ValueError(f"{text!r} must not use a name twice")
        self.names = tuple(names)

    @property
    def filter(self) -> str:
        """The MQTT subscription that covers this template."""
        return "/".join("+" if level is None else level for level in self.levels)

    def group(self, topic: str) -> str | None:
        """Return the group that a topic belongs to, or None if it doesn't fit.

        No name is empty, or has in it what no topic may have: a broker that sends such a thing is out of
        order, and nothing could be published for that group.
        """
        levels = topic.split("/")
        if len(levels) != len(self.levels):
            return None
        parts = []
        for found, wanted in zip(levels, self.levels, strict=True):
            if wanted is None and _is_valid_level(found):
                parts.append(found)
            elif found != wanted:
                return None
        return "/".join(parts)

    def can_yield(self, group: str) -> bool:
        """Say whether readings of a group can arrive here: it has a part for each name, and none is empty."""
        parts = group.split("/")
        return len(parts) == len(self.names) and all(map(_is_valid_level, parts))

    def topic(self, group: str) -> str:
        """Return the topic on which a group's readings arrive.

        Raises
        ------
        ValueError : the group has another number of parts than this template has names.
        """
        parts = group.split("/")
        if len(parts) != len(self.names):
            raise ValueError(
                f"group {group!r} has {len(parts)} part(s), expected {len(self.names)} for {self.text!r}"
            )
        remaining = iter(parts)
        return "/".join(next(remaining) if level is None else level for level in self.levels)

    def overlaps(self, other: "Template") -> bool:
        """Say whether some topic fits both."""
        return len(self.levels) == len(other.levels) and all(
            mine is None or theirs is None or mine == theirs
            for mine, theirs in zip(self.levels, other.levels, strict=True)
        )

    def overlaps_base(self, base_topic: str) -> bool:
        """Say whether some topic at or below `base_topic` fits."""
        base = base_topic.split("/")
        return len(self.levels) >= len(base) and all(
            mine is None or mine == theirs for mine, theirs in zip(self.levels, base, strict=False)
        )


def _is_valid_level(text: str) -> bool:
    """Say whether a name can stand in a topic that is published."""
    return text != "" and not _FORBIDDEN_CHARACTERS.search(text)


def find_conflict(templates: Sequence[Template], base_topic: str) -> str | None:
    """Return why these templates can't stand together, or None if they can."""
    reason = find_own_output(templates, "base_topic", base_topic)
    if reason:
        return reason
    for index, template in enumerate(templates):
        for other in templates[:index]:
            if template.overlaps(other):
                return f"{other.text!r} and {template.text!r} match the same topic"
            if len(template.names) == len(other.names):
                return f"{other.text!r} and {template.text!r} yield the same group"
    return None


def find_unmatched_group(templates: Sequence[Template], groups: Sequence[str]) -> str | None:
    """Return which of these groups no template can yield, and what was expected, or None."""
    for group in groups:
        if not any(template.can_yield(group) for template in templates):
            expected = " or ".join(f"{len(t.names)} for {t.text!r}" for t in templates)
            return f"{group!r} fits no template; expected so many parts, none empty: {expected}"
    return None


def find_own_output(templates: Sequence[Template], name: str, topic: str) -> str | None:
    """Return why these templates can't stand where output goes below a topic, or None if they can."""
    for template in templates:
        if template.overlaps_base(topic):
            return (
                f"{template.text!r} matches topics under {name} {topic!r}: "
                "the monitor would read its own output"
            )
    return None

"""Input templates such as `plant/{line}/{station}/reading`, which map topics to groups and back."""

import re
from collections.abc import Sequence

__all__ = ["Template", "find_conflict", "find_own_output", "find_unmatched_group"]

_FORBIDDEN_CHARACTERS = re.compile("[+#\0]")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Template:
    """A template of input topics. `{name}` stands for one level of the topic.

    The levels at the names' places, joined by `/`, are the group's name.

    Parameters
    ----------
    text : the template, as in the setting `input.topics`.

    Raises
    ------
    ValueError : `text` is not a valid template; the message states the rule that it breaks.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.levels: list[str | None] = []
        """The text of each level; None for a `{name}`, which matches any text."""
        names = []
        for level in text.split("/"):
            match = _PLACEHOLDER.fullmatch(level)
            if match:
                names.append(match[1])
                self.levels.append(None)
            elif any(character in level for character in "{}+#\0"):
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
        """The MQTT topic filter to subscribe to: `+` for each `{name}`."""
        return "/".join("+" if level is None else level for level in self.levels)

    def group(self, topic: str) -> str | None:
        """Return the group that a topic belongs to, or None if the topic does not match.

        A level that stands for a name must not be empty, nor contain `+`, `#` or a null character: MQTT
        forbids these in a topic, so the monitor could not publish on a topic that contains the group's name.
        """
        levels = topic.split("/")
        if len(levels) != len(self.levels):
            return None
        parts = []
        for level, expected in zip(levels, self.levels, strict=True):
            if expected is None and _is_valid_level(level):
                parts.append(level)
            elif level != expected:
                return None
        return "/".join(parts)

    def can_yield(self, group: str) -> bool:
        """Return whether some topic that matches this template belongs to `group`."""
        parts = group.split("/")
        return len(parts) == len(self.names) and all(map(_is_valid_level, parts))

    def topic(self, group: str) -> str:
        """Return the topic on which the readings of `group` arrive.

        Raises
        ------
        ValueError : the number of the group's parts differs from the number of this template's names.
        """
        parts = group.split("/")
        if len(parts) != len(self.names):
            raise ValueError(
                f"group {group!r} has {len(parts)} part(s), expected {len(self.names)} for {self.text!r}"
            )
        remaining = iter(parts)
        return "/".join(next(remaining) if level is None else level for level in self.levels)

    def overlaps(self, other: "Template") -> bool:
        """Return whether some topic matches both templates."""
        return len(self.levels) == len(other.levels) and all(
            own_level is None or other_level is None or own_level == other_level
            for own_level, other_level in zip(self.levels, other.levels, strict=True)
        )

    def overlaps_base(self, base_topic: str) -> bool:
        """Return whether some topic at or below `base_topic` matches."""
        base_levels = base_topic.split("/")
        return len(self.levels) >= len(base_levels) and all(
            level is None or level == base_level
            for level, base_level in zip(self.levels, base_levels, strict=False)
        )


def _is_valid_level(text: str) -> bool:
    """Return whether the text can be a level of a topic, in a place where a template has a name."""
    return text != "" and not _FORBIDDEN_CHARACTERS.search(text)


def find_conflict(templates: Sequence[Template], base_topic: str) -> str | None:
    """Return the reason why these templates can't be used together, or None if they can.

    Parameters
    ----------
    templates : all input templates.
    base_topic : the topic below which the monitor publishes.
    """
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
    """Return an error message for the first group that no template can yield, or None if there is none."""
    for group in groups:
        if not any(template.can_yield(group) for template in templates):
            expected = " or ".join(f"{len(t.names)} for {t.text!r}" for t in templates)
            return f"{group!r} fits no template; expected so many parts, none empty: {expected}"
    return None


def find_own_output(templates: Sequence[Template], name: str, topic: str) -> str | None:
    """Return an error message if a template matches the monitor's own output, else None.

    Parameters
    ----------
    templates : all input templates.
    name : the setting that gives the output topic, for the message.
    topic : the topic below which the monitor publishes.
    """
    for template in templates:
        if template.overlaps_base(topic):
            return (
                f"{template.text!r} matches topics under {name} {topic!r}: "
                "the monitor would read its own output"
            )
    return None

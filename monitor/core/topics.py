"""Input templates such as `plant/{line}/{station}/reading`, which map topics to groups and back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.core.errors import ConfigurationError

__all__ = [
    "FEATURE_NAME",
    "OwnTopics",
    "Template",
    "check_filter",
    "find_conflict",
    "find_own_output",
    "find_unmatched_group",
    "is_valid_topic",
    "topic_filters",
]

FEATURE_NAME = "feature"
"""Name in the template of a source that stands for the feature, and is no part of the group."""

_FORBIDDEN_CHARACTERS = re.compile("[+#\0]")
_MAX_TOPIC_BYTES = 65_535  # of any text in an MQTT packet
# Mosquitto disconnects a client that publishes to a topic of more than 200 levels, and again after each
# reconnect; the monitor's own topics add some.
_MAX_TOPIC_LEVELS = 100
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# What a name stands for: never empty, and without the characters that MQTT forbids in a topic, because the
# monitor publishes on topics that contain the group's name.
_NAME_PATTERN = "([^/+#\0]+)"


class Template:
    """A template of input topics. `{name}` stands for one level of the topic, or for a part of a level.

    The parts of a topic at the names' places, joined by `/`, are the group's name.

    Parameters
    ----------
    text : the template, as in the settings `input.topics` and `input.sources`.

    Raises
    ------
    ValueError : `text` is not a valid template; the message states the rule that it breaks.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.levels: list[tuple[str, ...]] = []
        """For each level, the text around its names: one text more than there are names."""
        names: list[str] = []
        for level in text.split("/"):
            parts = _PLACEHOLDER.split(level)  # text and names in turn
            texts, level_names = parts[::2], parts[1::2]
            if any(character in part for part in texts for character in "{}+#\0") or "" in texts[1:-1]:
                raise ValueError(
                    f"{level!r} must be text in which each {{name}} is of letters, digits and underscores, "
                    "with other text between two names, and without wildcards"
                )
            names += level_names
            self.levels.append(tuple(texts))
        if not text:
            raise ValueError("'' must not be empty")
        if text.startswith("$share/"):
            raise ValueError(
                f"{text!r} must not be a shared subscription: the readings of a group would part"
            )
        if len(set(names)) != len(names):
            raise ValueError(f"{text!r} must not use a name twice")
        self.names = tuple(names)
        pattern = "/".join(_NAME_PATTERN.join(map(re.escape, texts)) for texts in self.levels)
        self._match = re.compile(pattern).fullmatch

    @property
    def filter(self) -> str:
        """The MQTT topic filter to subscribe to: `+` for each level with a name."""
        return "/".join("+" if len(texts) > 1 else texts[0] for texts in self.levels)

    def match(self, topic: str) -> tuple[str, ...] | None:
        """Return what the names stand for in a topic, or None if the topic does not match."""
        found = self._match(topic)
        return None if found is None else found.groups()

    def group(self, topic: str) -> str | None:
        """Return the group that a topic belongs to, or None if the topic does not match."""
        parts = self.match(topic)
        return None if parts is None else "/".join(parts)

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
        return self.fill(parts)

    def fill(self, parts: Sequence[str]) -> str:
        """Return the topic in which the names stand for these parts."""
        remaining = iter(parts)
        return "/".join(
            texts[0] + "".join(next(remaining) + text for text in texts[1:]) for texts in self.levels
        )

    def overlaps(self, other: "Template") -> bool:
        """Return whether some topic matches both templates."""
        return len(self.levels) == len(other.levels) and all(
            _levels_overlap(own_level, other_level)
            for own_level, other_level in zip(self.levels, other.levels, strict=True)
        )

    def is_below(self, base_topic: str) -> bool:
        """Return whether every topic that matches is at or below `base_topic`."""
        base_levels = [(level,) for level in base_topic.split("/")]
        return self.levels[: len(base_levels)] == base_levels


@dataclass(frozen=True, slots=True)
class OwnTopics:
    """The topics that the monitor publishes on, which it never reads, whatever the templates."""

    base_topic: str
    discovery_prefix: str | None = None
    """Home Assistant's prefix; None if nothing is announced there."""

    def __contains__(self, topic: str) -> bool:
        """Return whether the monitor publishes on a topic."""
        if topic == self.base_topic or topic.startswith(f"{self.base_topic}/"):
            return True
        prefix = self.discovery_prefix
        return (
            prefix is not None and topic.startswith(f"{prefix}/binary_sensor/") and topic.endswith("/config")
        )


def _is_valid_level(text: str) -> bool:
    """Return whether the text can be a level of a topic, in a place where a template has a name."""
    return text != "" and not _FORBIDDEN_CHARACTERS.search(text)


def _levels_overlap(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Return whether some text matches both levels, each given as the text around its names."""
    if len(first) == 1 or len(second) == 1:  # one of them is plain text
        plain, pattern = (first[0], second) if len(first) == 1 else (second[0], first)
        return re.fullmatch(_NAME_PATTERN.join(map(re.escape, pattern)), plain) is not None
    # Between the beginnings and the ends any text can stand, so only these can contradict each other.
    return (first[0].startswith(second[0]) or second[0].startswith(first[0])) and (
        first[-1].endswith(second[-1]) or second[-1].endswith(first[-1])
    )


def is_valid_topic(topic: str) -> bool:
    """Return whether a message can be published to a topic, or to one that ends in this text."""
    return (
        topic != ""
        and not _FORBIDDEN_CHARACTERS.search(topic)
        and topic.count("/") < _MAX_TOPIC_LEVELS
        and len(topic.encode()) <= _MAX_TOPIC_BYTES
    )


def check_filter(topic_filter: str) -> None:
    """Check a topic filter as MQTT defines it.

    Raises
    ------
    ConfigurationError : it is none.
    """
    levels = topic_filter.split("/")
    wrong = [level for level in levels if len(level) > 1 and ("+" in level or "#" in level)]
    if not topic_filter or wrong or "#" in levels[:-1] or "\0" in topic_filter:
        raise ConfigurationError(
            f"{topic_filter!r} is no topic filter; expected levels in which + stands alone, and # at the end"
        )


def topic_filters(templates: Sequence[Template]) -> tuple[str, ...]:
    """Return the topic filters that cover these templates: none twice, and none that another one covers.

    A broker may deliver a message once for each filter that it matches.
    """
    filters = list(dict.fromkeys(template.filter for template in templates))
    return tuple(
        topic_filter
        for topic_filter in filters
        if not any(other != topic_filter and _covers(other, topic_filter) for other in filters)
    )


def _covers(general: str, special: str) -> bool:
    """Return whether each topic that the second filter matches also matches the first."""
    general_levels, special_levels = general.split("/"), special.split("/")
    return len(general_levels) == len(special_levels) and all(
        general_level in ("+", special_level)
        for general_level, special_level in zip(general_levels, special_levels, strict=True)
    )


def find_conflict(templates: Sequence[Template]) -> str | None:
    """Return the reason why these templates can't be used together, or None if they can."""
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
    """Return an error message if a template matches nothing but the monitor's own output, else None.

    Parameters
    ----------
    templates : all input templates.
    name : the setting that gives the output topic, for the message.
    topic : the topic below which the monitor publishes.
    """
    for template in templates:
        if template.is_below(topic):
            return (
                f"{template.text!r} matches topics under {name} {topic!r}: "
                "the monitor would read its own output"
            )
    return None

"""What a batch and the operators' requests change for those who are told."""

from dataclasses import dataclass, field

from monitor.core.verdicts import AlertEvent

__all__ = ["Decisions"]


@dataclass(slots=True)
class Decisions:
    """What came of a turn at the desk."""

    events: list[AlertEvent]
    """To be published."""
    groups: list[str] = field(default_factory=list)
    """Whose state, beyond that of the batch, changed."""
    shown: list[str] = field(default_factory=list)
    """Groups whose published state changed."""
    muted: bool = False
    """Whether other patterns are muted now."""

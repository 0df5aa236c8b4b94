"""What a batch and the operators' requests change for those who are told."""

from dataclasses import dataclass, field

from monitor.core.verdicts import AlertEvent

__all__ = ["OperatorChanges"]


@dataclass(slots=True)
class OperatorChanges:
    """What came of a turn at the desk."""

    events: list[AlertEvent]
    """To be published."""
    changed_groups: list[str] = field(default_factory=list)
    """Whose state, beyond that of the batch, changed."""
    groups_to_publish: list[str] = field(default_factory=list)
    """Groups whose published state changed."""
    mutes_changed: bool = False
    """Whether other patterns are muted now."""

"""The changes by a batch and by requests of operators that must be stored or published."""

from dataclasses import dataclass, field

from monitor.core.verdicts import AlertEvent

__all__ = ["OperatorChanges"]


@dataclass(slots=True)
class OperatorChanges:
    """The changes by one batch and the requests executed with it."""

    events: list[AlertEvent]
    """Alert events to publish."""
    changed_groups: list[str] = field(default_factory=list)
    """Groups whose state was changed by a request; they are stored together with the groups of the batch."""
    groups_to_publish: list[str] = field(default_factory=list)
    """Groups whose published state changed."""
    forgotten_groups: list[str] = field(default_factory=list)
    """Groups that were removed for good."""
    muted_events: list[AlertEvent] = field(default_factory=list)
    """First events of incidents that began in muted groups."""
    mutes_changed: bool = False
    """Whether a pattern was muted or unmuted."""

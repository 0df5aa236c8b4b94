"""Values for the template `recording`: length of recordings without labels, and suspicious stretches."""

from training.faults import healthy_recordings
from training.faults.healthy_recordings import FAULT_RATE, HealthyRecordings

__all__ = ["recording"]


def recording(healthy: HealthyRecordings | None) -> dict[str, object] | None:
    """Return the values of `recording.html.j2`; None where the recordings were labelled."""
    if healthy is None:
        return None
    group, readings = healthy.shortest_group
    return {
        "readings": healthy.reading_count,
        "hours": healthy.hours,
        "shortest_group": group,
        "shortest_readings": readings,
        "fault_rate": FAULT_RATE,
        "copies": healthy.copies_per_recording,
        "notes": healthy.notes(),
        "suspicious_stretches": healthy_recordings.suspicious_rows(healthy),
    }

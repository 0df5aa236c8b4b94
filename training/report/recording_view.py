"""Template variables for the report section about unlabelled recordings (`fit --healthy`)."""

from training.faults import healthy_recordings
from training.faults.healthy_recordings import FAULT_RATE, HealthyRecordings

__all__ = ["recording_variables"]


def recording_variables(healthy: HealthyRecordings | None) -> dict[str, object] | None:
    """Return the variables for `recording.html.j2`; None if the recordings had labels."""
    if healthy is None:
        return None
    group, readings = healthy.shortest_group
    return {
        "readings": healthy.reading_count,
        "duration": healthy.duration,
        "has_full_day": healthy.has_full_day,
        "shortest_group": group,
        "shortest_readings": readings,
        "fault_rate": FAULT_RATE,
        "copies": healthy.copies_per_recording,
        "notes": healthy.notes(),
        "suspicious_stretches": healthy_recordings.format_suspicious_rows(healthy),
    }

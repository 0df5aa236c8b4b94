"""The report's part on recordings that were said to be healthy: how long, and what looks like faults."""

from collections.abc import Mapping

from training.faults import healthy_recordings as recordings_at_rest
from training.faults.healthy_recordings import FAULT_RATE, HealthyRecordings
from training.report.html import Picture, paragraph, picture, section, table, warning

__all__ = ["recording"]


def recording(healthy: HealthyRecordings | None, pictures: Mapping[str, Picture]) -> str:
    """Return the section; "" where the recordings were labelled."""
    if healthy is None:
        return ""
    group, count = healthy.shortest_group
    summary = (
        f"{healthy.reading_count:,} readings over {healthy.hours:.2g} h that nobody labelled; the shortest group, "
        f"{group}, has {count:,}. They were taken for Normal, and faults were put into "
        f"{FAULT_RATE:.0%} of {healthy.copies_per_recording} copies of each. "
        "What follows was found by rules on the two sensors of each pair, not by the network."
    )
    if not healthy.suspicious_stretches:
        return section(
            "Recording",
            paragraph(summary),
            *map(warning, healthy.notes()),
            paragraph("Nothing in them looks like a fault."),
        )
    return section(
        "Recording",
        paragraph(summary),
        *map(warning, healthy.notes()),
        table(
            ["group", "from (UTC)", "to (UTC)", "feature", "readings", "why"],
            recordings_at_rest.suspicious_rows(healthy),
        ),
        picture(pictures["suspects.png"]),
    )

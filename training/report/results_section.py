"""The report's part on results: windows, kinds of fault, alerts, scores."""

from collections.abc import Mapping

from training.evaluate.quality import Evaluation
from training.report.findings import Findings
from training.report.html import Picture, paragraph, picture, section, table, tiles, warning
from training.report.model_section import OVERLAP_WARNING

__all__ = ["importance", "results", "summary"]

# What the project asks of the hardest kinds, see the README's section on quality.
_WEAK_RECALL = 0.85


def summary(findings: Findings) -> str:
    """Return the numbers that matter most, and what to know before believing them."""
    result = findings.evaluation
    if result is None:
        return warning("This bundle has no test part of its own: nothing here says how good it is.")
    quality, incidents = result.quality, result.incidents
    values = [
        (_format_share(quality.f1), "F1 of Faulty"),
        (_format_share(quality.mcc), "MCC"),
        (_format_share(quality.recall), "of Faulty windows found"),
        (_format_share(quality.false_share), "of Normal windows called Faulty"),
        (f"{incidents.found_count:,} of {len(incidents.episodes):,}", "faults found"),
        (
            f"{incidents.false_alarms_a_day:.1f}",
            f"false alarms a day and group, in {incidents.group_days:.2g} days",
        ),
    ]
    return tiles(values) + "".join(warning(note) for note in _notes(findings))


def _notes(findings: Findings) -> list[str]:
    """Return what somebody should know before believing the numbers."""
    notes = [OVERLAP_WARNING] if findings.manifest.data["settings"]["split"] == "random" else []
    if findings.cleaning.removed_faulty:
        notes.append(
            f"The cleaning took {findings.cleaning.removed_faulty:,} Faulty windows out of the training "
            "part: faults like these can't have been learnt."
        )
    quality = findings.evaluation.quality if findings.evaluation else None
    recall = quality.recall_by_kind if quality else {}
    weak = {kind: share for kind, share in recall.items() if share < _WEAK_RECALL}
    if weak:
        notes.append(
            "Found less often than the rest: " + ", ".join(f"{kind} ({s:.1%})" for kind, s in weak.items())
        )
    missing = sorted(set(findings.train.kinds) - set(findings.test.kinds) - {""})
    if missing and quality:
        notes.append("The test part has none of these faults, so nothing is known of: " + ", ".join(missing))
    return notes


def results(result: Evaluation | None, pictures: Mapping[str, Picture]) -> str:
    """Return the section with all that was measured on the test part."""
    if result is None:
        return section("Results", paragraph("There is no test part, so nothing was measured."))
    return section(
        "Results",
        paragraph(
            "Measured on the test part with the model as the monitor runs it. A window is truly Faulty when "
            "any of its readings is."
        ),
        _class_table(result),
        *(picture(pictures[name]) for name in ("confusion.png", "curves.png") if name in pictures),
        _kind_table(result),
        *(picture(pictures[name]) for name in ("recall.png",) if name in pictures),
        _alert_table(result),
        *(picture(pictures[name]) for name in ("delays.png", "calibration.png") if name in pictures),
    )


def importance(pictures: Mapping[str, Picture]) -> str:
    """Return what the model leans on."""
    if "importance.png" not in pictures:
        return section("Importance", paragraph("Not measured for this bundle."))
    return section("Importance", picture(pictures["importance.png"]))


def _class_table(result: Evaluation) -> str:
    classes = [
        (
            report.name,
            *(_format_share(share) for share in (report.precision, report.recall, report.f1)),
            f"{report.windows:,}",
        )
        for report in result.quality.class_reports()
    ]
    return table(["truth", "precision", "recall", "F1", "windows"], classes)


def _kind_table(result: Evaluation) -> str:
    found_by_kind = result.incidents.found_by_kind()
    recall, windows = result.quality.recall_by_kind, result.quality.windows_by_kind
    rows = [
        (kind, f"{windows[kind]:,}", _format_share(recall[kind]), "{:,} of {:,}".format(*found_by_kind[kind]))
        for kind in recall
    ]
    return table(["kind of fault", "windows", "recall", "whole faults found"], rows) if rows else ""


def _alert_table(result: Evaluation) -> str:
    incident_counts = result.incidents.as_dict()
    delay = result.incidents.delay_quantile
    share = result.incidents.alert_share
    return paragraph(
        "Alerts as the monitor raises them by its default rules: one Faulty window opens an incident, three "
        "Normal ones close it."
    ) + table(
        [],
        [
            ("faults found", f"{incident_counts['found']:,} of {incident_counts['episodes']:,}"),
            ("delay to the first alert, median", f"{delay(0.5)} readings"),
            ("delay to the first alert, 95 %", f"{delay(0.95)} readings"),
            ("alerts", f"{incident_counts['alerts']:,}"),
            ("of them false", f"{incident_counts['false_alarms']:,}"),
            (
                "false alarms a day and group",
                f"{result.incidents.false_alarms_a_day:.2f}, of {result.incidents.group_days:.2f} group-days",
            ),
            ("Normal windows with an open alert", "none" if share is None else f"{share:.1%}"),
        ],
    )


def _format_share(share: float | None) -> str:
    return "none" if share is None else f"{share:.4f}"

"""The report's part on results: windows, kinds of fault, alerts, scores."""

from collections.abc import Mapping

from training.evaluate.quality import Evaluation
from training.report.findings import Findings
from training.report.html import Picture, paragraph, picture, section, table, tiles, warning
from training.report.model_section import OVERLAP

__all__ = ["importance", "results", "summary"]

# What the project asks of the hardest kinds, see the README's section on quality.
_WEAK = 0.85


def summary(findings: Findings) -> str:
    """Return the numbers that matter most, and what to know before believing them."""
    result = findings.evaluation
    if result is None:
        return warning("This bundle has no test part of its own: nothing here says how good it is.")
    quality, seen = result.quality, result.incidents
    values = [
        (_say(quality.f1), "F1 of Faulty"),
        (_say(quality.mcc), "MCC"),
        (_say(quality.recall), "of Faulty windows found"),
        (_say(quality.false_share), "of Normal windows called Faulty"),
        (f"{seen.found:,} of {len(seen.episodes):,}", "faults found"),
        (f"{seen.false_alarms_a_day:.1f}", f"false alarms a day and group, in {seen.group_days:.2g} days"),
    ]
    return tiles(values) + "".join(warning(note) for note in _notes(findings))


def _notes(findings: Findings) -> list[str]:
    """Return what somebody should know before believing the numbers."""
    notes = [OVERLAP] if findings.manifest.data["settings"]["split"] == "random" else []
    if findings.cleaning.removed_faulty:
        notes.append(
            f"The cleaning took {findings.cleaning.removed_faulty:,} Faulty windows out of the training "
            "part: faults like these can't have been learnt."
        )
    quality = findings.evaluation.quality if findings.evaluation else None
    recall = quality.recall_by_kind if quality else {}
    weak = {kind: share for kind, share in recall.items() if share < _WEAK}
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
        _report(result),
        *(picture(pictures[name]) for name in ("confusion.png", "curves.png") if name in pictures),
        _kinds(result),
        *(picture(pictures[name]) for name in ("recall.png",) if name in pictures),
        _alerts(result),
        *(picture(pictures[name]) for name in ("delays.png", "calibration.png") if name in pictures),
    )


def importance(pictures: Mapping[str, Picture]) -> str:
    """Return what the model leans on."""
    if "importance.png" not in pictures:
        return section("Importance", paragraph("Not measured for this bundle."))
    return section("Importance", picture(pictures["importance.png"]))


def _report(result: Evaluation) -> str:
    classes = [
        (one.name, *(_say(share) for share in (one.precision, one.recall, one.f1)), f"{one.windows:,}")
        for one in result.quality.classes()
    ]
    return table(["truth", "precision", "recall", "F1", "windows"], classes)


def _kinds(result: Evaluation) -> str:
    faults = result.incidents.by_kind()
    recall, windows = result.quality.recall_by_kind, result.quality.windows_by_kind
    rows = [
        (kind, f"{windows[kind]:,}", _say(recall[kind]), "{:,} of {:,}".format(*faults[kind]))
        for kind in recall
    ]
    return table(["kind of fault", "windows", "recall", "whole faults found"], rows) if rows else ""


def _alerts(result: Evaluation) -> str:
    seen = result.incidents.as_dict()
    delay = result.incidents.delay
    share = result.incidents.alert_share
    return paragraph(
        "Alerts as the monitor raises them by its default rules: one Faulty window opens an incident, three "
        "Normal ones close it."
    ) + table(
        [],
        [
            ("faults found", f"{seen['found']:,} of {seen['episodes']:,}"),
            ("delay to the first alert, median", f"{delay(0.5)} readings"),
            ("delay to the first alert, 95 %", f"{delay(0.95)} readings"),
            ("alerts", f"{seen['alerts']:,}"),
            ("of them false", f"{seen['false_alarms']:,}"),
            (
                "false alarms a day and group",
                f"{result.incidents.false_alarms_a_day:.2f}, of {result.incidents.group_days:.2f} group-days",
            ),
            ("Normal windows with an open alert", "none" if share is None else f"{share:.1%}"),
        ],
    )


def _say(share: float | None) -> str:
    return "none" if share is None else f"{share:.4f}"

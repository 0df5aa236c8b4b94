"""Values for the templates `summary` and `results`: shares of windows, kinds of fault, alerts."""

from training.evaluate.quality import Evaluation
from training.report.findings import Findings

__all__ = ["results", "summary"]

# Recall that the project requires of the hardest kinds of fault, see the README's section on quality.
_WEAK_RECALL = 0.85


def summary(findings: Findings) -> dict[str, object] | None:
    """Return the values of `summary.html.j2`; None without a test part."""
    if findings.evaluation is None:
        return None
    quality, incidents = findings.evaluation.quality, findings.evaluation.incidents
    recall = quality.recall_by_kind
    return {
        "f1": quality.f1,
        "mcc": quality.mcc,
        "recall": quality.recall,
        "false_share": quality.false_share,
        "found_episodes": incidents.found_count,
        "episodes": len(incidents.episodes),
        "false_alarms_a_day": incidents.false_alarms_a_day,
        "group_days": incidents.group_days,
        "weak_kinds": [(kind, share) for kind, share in recall.items() if share < _WEAK_RECALL],
        "untested_kinds": sorted(set(findings.train.kinds) - set(findings.test.kinds) - {""}),
    }


def results(evaluation: Evaluation | None) -> dict[str, object] | None:
    """Return the values of `results.html.j2`; None without a test part."""
    if evaluation is None:
        return None
    incidents = evaluation.incidents
    return {
        "classes": evaluation.quality.class_reports(),
        "kinds": _kinds(evaluation),
        "found_episodes": incidents.found_count,
        "episodes": len(incidents.episodes),
        "delay_median": incidents.delay_quantile(0.5),
        "delay_p95": incidents.delay_quantile(0.95),
        "alerts": incidents.alerts,
        "false_alarms": incidents.false_alarms,
        "false_alarms_a_day": incidents.false_alarms_a_day,
        "group_days": incidents.group_days,
        "alert_share": incidents.alert_share,
    }


def _kinds(evaluation: Evaluation) -> list[dict[str, object]]:
    quality, found_by_kind = evaluation.quality, evaluation.incidents.found_by_kind()
    return [
        {
            "name": kind,
            "windows": quality.windows_by_kind[kind],
            "recall": recall,
            "found_episodes": found_by_kind[kind][0],
            "episodes": found_by_kind[kind][1],
        }
        for kind, recall in quality.recall_by_kind.items()
    ]

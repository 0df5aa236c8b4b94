"""Template variables for the report sections about the results: `summary` and `results`."""

from training.evaluate.incidents import IncidentMetrics
from training.evaluate.quality import Evaluation
from training.report.findings import Findings

__all__ = ["comparison_variables", "results_variables", "summary_variables"]

# Minimum recall that the project requires for the fault kinds that are hardest to detect; see the section on
# quality in the README.
_WEAK_RECALL = 0.85


def comparison_variables(findings: Findings) -> dict[str, object] | None:
    """Return the variables for `comparison.html.j2`; None if the bundle was compared with no other."""
    comparison = findings.comparison
    if comparison is None:
        return None
    return {
        "verdict": comparison.verdict,
        "is_better": comparison.is_better,
        "bundles": (comparison.new, comparison.reference),
    }


def summary_variables(findings: Findings) -> dict[str, object] | None:
    """Return the variables for `summary.html.j2`; None if the test set is empty."""
    if findings.evaluation is None:
        return None
    quality = findings.evaluation.quality
    recall = quality.recall_by_kind
    return {
        "f1": quality.f1,
        "mcc": quality.mcc,
        "recall": quality.recall,
        "false_share": quality.false_share,
        "incidents": _describe_incidents(findings.evaluation.incidents),
        "weak_kinds": [(kind, share) for kind, share in recall.items() if share < _WEAK_RECALL],
        "untested_kinds": sorted(set(findings.train.kinds) - set(findings.test.kinds) - {""}),
    }


def results_variables(evaluation: Evaluation | None) -> dict[str, object] | None:
    """Return the variables for `results.html.j2`; None if the test set is empty."""
    if evaluation is None:
        return None
    return {
        "classes": evaluation.quality.class_reports(),
        "accuracy": evaluation.quality.accuracy,
        "averages": evaluation.quality.averages(),
        "loss": evaluation.loss,
        "kinds": _describe_kinds(evaluation),
        "incidents": _describe_incidents(evaluation.incidents),
    }


def _describe_incidents(incidents: IncidentMetrics | None) -> dict[str, object] | None:
    """Return the numbers of faults, delays and alerts; None if the windows were drawn at random."""
    if incidents is None:
        return None
    return {
        "found_episodes": incidents.detected_count,
        "episodes": len(incidents.episodes),
        "delay_median": incidents.delay_quantile(0.5),
        "delay_p95": incidents.delay_quantile(0.95),
        "alerts": incidents.incident_count,
        "false_alarms": incidents.false_incident_count,
        "false_alarms_a_day": incidents.false_alarms_per_group_day,
        "group_days": incidents.group_days,
        "alert_share": incidents.normal_share_under_alert,
    }


def _describe_kinds(evaluation: Evaluation) -> list[dict[str, object]]:
    quality = evaluation.quality
    detected_by_kind = evaluation.incidents.detected_by_kind() if evaluation.incidents else {}
    return [
        {
            "name": kind,
            "windows": quality.windows_by_kind[kind],
            "recall": recall,
            "episodes": "{} of {}".format(*detected_by_kind[kind]) if detected_by_kind else "",
        }
        for kind, recall in quality.recall_by_kind.items()
    ]

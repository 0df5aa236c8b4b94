"""Evaluates scores on windows not used in training: window metrics, curves, incidents."""

from dataclasses import dataclass

from monitor.core.arrays import FloatArray
from training.data.dataset import Dataset
from training.evaluate import curves, incidents, window_metrics
from training.evaluate.window_metrics import ClassReport, WindowMetrics

__all__ = ["Evaluation", "evaluate", "format_report"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """All metrics of one model on one dataset."""

    threshold: float
    """A window is predicted Faulty if its score is above the threshold."""
    loss: float
    """Binary cross-entropy of the scores, as in training but without class weights."""
    quality: WindowMetrics
    incidents: incidents.IncidentMetrics | None
    """None if the windows were drawn at random: those between them are missing, so an incident begins and
    ends by chance."""
    roc: curves.Curve | None
    """ROC curve; None if all windows are of one class."""
    precision_recall: curves.Curve | None
    """Precision-recall curve; None if all windows are of one class."""
    calibration: curves.Calibration

    def as_dict(self) -> dict[str, object]:
        """Return the metrics as a JSON-serialisable dict."""
        return {
            "threshold": self.threshold,
            "loss": self.loss,
            "windows": self.quality.as_dict(),
            "incidents": self.incidents.as_dict() if self.incidents else None,
            "roc": self.roc.as_dict() if self.roc else None,
            "precision_recall": self.precision_recall.as_dict() if self.precision_recall else None,
            "calibration": self.calibration.as_dict(),
        }


def evaluate(
    data: Dataset,
    scores: FloatArray,
    threshold: float,
    sample_period: float,
    *,
    drawn_at_random: bool = False,
) -> Evaluation:
    """Compute all metrics of scores.

    Parameters
    ----------
    data : at least one window.
    scores : P(Faulty) of each window (window,).
    threshold : a window is predicted Faulty if its score is above the threshold.
    sample_period : seconds between two readings of a group.
    drawn_at_random : whether the windows are the test set of a random split, in which incidents mean nothing.
    """
    predicted_faulty = scores > threshold
    return Evaluation(
        threshold=threshold,
        loss=curves.compute_loss(data.faulty, scores),
        quality=window_metrics.compute_window_metrics(data, predicted_faulty),
        incidents=None
        if drawn_at_random
        else incidents.compute_incident_metrics(data, predicted_faulty, sample_period),
        roc=curves.compute_roc(data.faulty, scores),
        precision_recall=curves.compute_precision_recall(data.faulty, scores),
        calibration=curves.compute_calibration(data.faulty, scores),
    )


def format_report(result: Evaluation) -> str:
    """Format classification report, confusion matrix and incident metrics for a terminal."""
    quality = result.quality
    average_precision = result.precision_recall.area if result.precision_recall else None
    windows = quality.passed + quality.false_alarms + quality.missed + quality.found
    lines = [
        f"{'':<12}{'precision':>10}{'recall':>10}{'F1':>10}{'windows':>10}",
        *map(_format_class_report, quality.class_reports()),
        f"{'accuracy':<12}{'':>20}{_format_share(quality.accuracy)}{windows:>10,}",
        *map(_format_class_report, quality.averages()),
        "",
        f"{'truth':<10}{'called Normal':>15}{'called Faulty':>15}",
        f"{'Normal':<10}{quality.passed:>15,}{quality.false_alarms:>15,}",
        f"{'Faulty':<10}{quality.missed:>15,}{quality.found:>15,}",
        "",
        f"{'loss (binary cross-entropy)':<28}{_format_share(result.loss)}",
        f"{'accuracy':<28}{_format_share(quality.accuracy)}",
        f"{'MCC':<28}{_format_share(quality.mcc)}",
        f"{'area under ROC':<28}{_format_share(result.roc.area if result.roc else None)}",
        f"{'area under precision-recall':<28}{_format_share(average_precision)}",
        f"{'calibration error':<28}{_format_share(result.calibration.error)}",
    ]
    lines += [
        f"recall of {kind:<18}{_format_share(share)}   of {quality.windows_by_kind[kind]:,} windows"
        for kind, share in quality.recall_by_kind.items()
    ]
    incident_text = (
        str(result.incidents)
        if result.incidents
        else "no faults, delays and alerts: the windows were drawn at random, and those between are missing"
    )
    return "\n".join([*_format_single_class_note(quality), *lines, "", incident_text])


def _format_class_report(report: ClassReport) -> str:
    return (
        f"{report.name:<12}{_format_share(report.precision)}{_format_share(report.recall)}"
        f"{_format_share(report.f1)}{report.windows:>10,}"
    )


def _format_single_class_note(quality: WindowMetrics) -> list[str]:
    """Return lines that explain which metrics are missing if all windows have the same label, else []."""
    if not quality.found + quality.missed:
        return [
            "All windows are Normal: this tells how many are called Faulty, and nothing of faults missed;",
            "expected some, as `sensor-training inject` puts them into a copy of a recording.",
            "",
        ]
    if not quality.passed + quality.false_alarms:
        return ["All windows are Faulty: this says nothing of false alarms. Expected Normal ones, too.", ""]
    return []


def _format_share(share: float | None) -> str:
    return f"{'none' if share is None else f'{share:.4f}':>10}"

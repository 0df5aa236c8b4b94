"""What was found while training -> a model card that somebody can open to see whether to trust the model."""

from training.report import (
    model_plots,
    model_section,
    plots,
    recording_section,
    results_section,
    suspects_plots,
)
from training.report.findings import Findings
from training.report.html import Picture, page

__all__ = ["Findings", "build"]

_PLOT_TEXTS = {
    "confusion.png": ("Heat map of the confusion matrix", "Windows of the test part by truth and verdict."),
    "curves.png": (
        "ROC curve and precision-recall curve",
        "What other thresholds would give. The dot is where this bundle stands.",
    ),
    "recall.png": (
        "Share found of each kind of fault",
        "Windows count by their last reading. A whole fault counts as found when one of its windows does.",
    ),
    "delays.png": (
        "Histogram of the delay of alerts",
        "0: the first faulty reading raised it. A fault that began while an alert was open isn't counted.",
    ),
    "calibration.png": (
        "Calibration curve over a histogram of scores",
        "On the dotted line, of the windows with score 0.8 eight in ten are Faulty.",
    ),
}


def build(findings: Findings) -> dict[str, bytes]:
    """Return the report's files by their path in the bundle: `report/report.html` and its pictures.

    The page holds its pictures itself, so it can be passed on alone; the files are for other documents.
    """
    pictures = _pictures(findings)
    manifest = findings.manifest
    html = page(
        f"Model card: bundle {manifest.id}",
        f"Judges windows of {manifest.steps} readings as Normal or Faulty. Made {manifest.created} by "
        f"sensor-monitor {manifest.versions.get('sensor-monitor', '')}.",
        [
            results_section.summary(findings),
            recording_section.recording(findings.healthy, pictures),
            model_section.data(findings),
            model_section.cleaning(findings, pictures),
            model_section.split(findings),
            model_section.network(findings),
            model_section.training(findings, pictures),
            results_section.results(findings.evaluation, pictures),
            results_section.importance(pictures),
            model_section.limits(findings),
            model_section.versions(findings),
        ],
    )
    files = {f"report/{name}": shown.png for name, shown in pictures.items()}
    return {"report/report.html": html, **files}


def _pictures(findings: Findings) -> dict[str, Picture]:
    cleaning, manifest = findings.cleaning, findings.manifest
    drawn = {
        "loss.png": Picture(
            plots.losses(findings.history),
            "Loss of each epoch on the training and the validation part",
            "Dropout and class weights act on the training part's loss only, so it can lie above the other.",
        )
    }
    if findings.healthy and findings.healthy.suspicious_stretches:
        drawn["suspects.png"] = Picture(
            suspects_plots.draw_stretches(findings.healthy.frames, findings.healthy.suspicious_stretches),
            "Readings around the most suspicious stretches of the recording",
            "The shaded stretch looks like a fault of the sensor in orange: its partner says something else.",
        )
    if cleaning.before:
        png = plots.box_plots(cleaning.before, cleaning.after, manifest.features, cleaning.factor)
        drawn["boxes.png"] = Picture(
            png,
            "Box plots of each feature and step before and after the cleaning",
            "Dots are values beyond the whiskers; quartiles here are over all groups, so some stay that are "
            "within their own group's.",
        )
    if findings.evaluation:
        for name, png in plots.evaluation_plots(findings.evaluation).items():
            drawn[name] = Picture(png, *_PLOT_TEXTS[name])
    if findings.importance:
        drawn["importance.png"] = Picture(
            model_plots.importance(findings.importance, manifest.features),
            "Heat map of permutation importance by step and feature",
            "How much F1 falls when this value is shuffled among the windows.",
        )
    return drawn

"""The pictures of the model card with their captions."""

from base64 import b64encode
from dataclasses import dataclass

from training.report import evaluation_plots, importance_plots, suspects_plots, training_plots
from training.report.findings import Findings

__all__ = ["Picture", "draw"]

_EVALUATION_TEXTS = {
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


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with its description."""

    png: bytes
    alt: str
    """Text that a screen reader reads instead."""
    caption: str

    @property
    def data_uri(self) -> str:
        """The picture as the `src` of an `img` element, so that the page needs no other file."""
        return "data:image/png;base64," + b64encode(self.png).decode()


def draw(findings: Findings) -> dict[str, Picture]:
    """Return the pictures by file name, without those that the findings have no data for."""
    cleaning, manifest = findings.cleaning, findings.manifest
    drawn = {
        "loss.png": Picture(
            training_plots.losses(findings.history),
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
        drawn["boxes.png"] = Picture(
            training_plots.box_plots(cleaning.before, cleaning.after, manifest.features, cleaning.factor),
            "Box plots of each feature and step before and after the cleaning",
            "Dots are values beyond the whiskers; quartiles here are over all groups, so some stay that are "
            "within their own group's.",
        )
    if findings.evaluation:
        for name, png in evaluation_plots.evaluation_plots(findings.evaluation).items():
            drawn[name] = Picture(png, *_EVALUATION_TEXTS[name])
    if findings.importance:
        drawn["importance.png"] = Picture(
            importance_plots.importance(findings.importance, manifest.features),
            "Heat map of permutation importance by step and feature",
            "How much F1 falls when this value is shuffled among the windows.",
        )
    return drawn

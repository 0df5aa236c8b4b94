"""Draws the pictures of the model card."""

from training.report import evaluation_plots, importance_plots, suspects_plots, training_plots
from training.report.findings import Findings

__all__ = ["draw"]


def draw(findings: Findings) -> dict[str, bytes]:
    """Draw the pictures for which the findings have data; return file name -> PNG file."""
    cleaning, healthy, features = findings.cleaning, findings.healthy, findings.manifest.features
    drawn = {"loss.png": training_plots.draw_losses(findings.history)}
    if healthy and healthy.suspicious_stretches:
        drawn["suspects.png"] = suspects_plots.draw_stretches(
            healthy.frames, healthy.suspicious_stretches, features
        )
    if cleaning.before:
        drawn["boxes.png"] = training_plots.draw_box_plots(
            cleaning.before, cleaning.after, features, cleaning.factor
        )
    if findings.evaluation:
        drawn |= evaluation_plots.draw_evaluation(findings.evaluation)
    if findings.importance:
        drawn["importance.png"] = importance_plots.draw_importance(findings.importance, features)
    return drawn

"""Builds the model card (report of a training) from its findings."""

from training.report import model_view, page, pictures, recording_view, results_view
from training.report.findings import Findings

__all__ = ["Findings", "build"]


def build(findings: Findings) -> dict[str, bytes]:
    """Return the report's files by their path in the bundle: `report/report.html` and its pictures.

    The HTML file embeds its pictures, so it can be shared alone. The separate picture files are for use in
    other documents.
    """
    drawn = pictures.draw(findings)
    manifest = findings.manifest
    html = page.render(
        "model_card.html.j2",
        {
            "bundle": model_view.bundle_variables(manifest),
            "comparison": results_view.comparison_variables(findings),
            "summary": results_view.summary_variables(findings),
            "recording": recording_view.recording_variables(findings.healthy),
            "data": model_view.data_variables(findings),
            "cleaning": model_view.cleaning_variables(findings.cleaning),
            "split": model_view.split_variables(manifest),
            "network": model_view.network_variables(findings),
            "training": model_view.training_variables(findings),
            "results": results_view.results_variables(findings.evaluation),
            "versions": model_view.versions_variables(manifest),
            "pictures": drawn,
        },
    )
    return {
        "report/report.html": html,
        **{f"report/{name}": png for name, png in drawn.items()},
    }

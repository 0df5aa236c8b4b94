"""Findings of a training -> model card: what to know before trusting the model."""

from training.report import model_view, page, pictures, recording_view, results_view
from training.report.findings import Findings

__all__ = ["Findings", "build"]


def build(findings: Findings) -> dict[str, bytes]:
    """Return the report's files by their path in the bundle: `report/report.html` and its pictures.

    The page contains its pictures, so it can be passed on alone; the picture files are for other documents.
    """
    drawn = pictures.draw(findings)
    manifest = findings.manifest
    html = page.render(
        "model_card.html.j2",
        {
            "bundle": model_view.bundle(manifest),
            "summary": results_view.summary(findings),
            "recording": recording_view.recording(findings.healthy),
            "data": model_view.data(findings),
            "cleaning": model_view.cleaning(findings.cleaning),
            "split": model_view.split(manifest),
            "network": model_view.network(findings),
            "training": model_view.training(findings),
            "results": results_view.results(findings.evaluation),
            "versions": model_view.versions(manifest),
            "pictures": drawn,
        },
    )
    return {
        "report/report.html": html,
        **{f"report/{name}": png for name, png in drawn.items()},
    }

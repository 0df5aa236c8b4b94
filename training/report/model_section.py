"""The report's parts on how the model came to be: data, cleaning, split, network, training, limits."""

from collections.abc import Mapping
from datetime import UTC, datetime

from training.data.dataset import Dataset
from training.report.findings import Findings
from training.report.html import Picture, bullets, paragraph, picture, section, table, warning

__all__ = ["OVERLAP_WARNING", "cleaning", "data", "limits", "network", "split", "training", "versions"]

OVERLAP_WARNING = (
    "The test part was drawn at random. Windows overlap, so most of its windows share readings with the "
    "training part, and the results look better than they will be on later readings. Split by time to know."
)

_JUDGED_BY = {False: "values as they come", True: "each group's own normal"}


def data(findings: Findings) -> str:
    """Say what it learnt from: files, parts, ranges, kinds of fault."""
    manifest = findings.manifest
    training_data = manifest.data
    has_times = not training_data.get("windows_file")
    parts = [("training", findings.train), ("validation", findings.validation), ("test", findings.test)]
    sources = [
        *training_data.get("recordings", []),
        *([training_data["windows_file"]] if training_data.get("windows_file") else []),
    ]
    kinds = sorted({str(kind) for _, part in parts for kind in part.kinds if kind})
    return section(
        "Data",
        table(
            [],
            [
                ("files", ", ".join(sources)),
                ("groups", ", ".join(training_data.get("groups", [])) or "not known"),
                ("readings", f"{training_data.get('readings', 0):,}"),
                ("sample period", f"{manifest.sample_period:g} s"),
                ("judged by", _JUDGED_BY[manifest.baseline is not None]),
            ],
        ),
        table(
            ["part", "windows", "Faulty", "share", *(["from (UTC)", "to (UTC)"] if has_times else [])],
            [_part_row(name, part, has_times=has_times) for name, part in parts],
        ),
        table(
            ["feature", "in", "healthy values from (0.1 %)", "to (99.9 %)"],
            [
                (
                    f.name,
                    f.unit if manifest.baseline is None else "units of its normal",
                    *(f"{value:g}" for value in manifest.ranges[f.name]),
                )
                for f in manifest.features
            ],
        ),
        table(
            ["windows whose last reading has", *(name for name, _ in parts)],
            [(kind, *(f"{int((part.kinds == kind).sum()):,}" for _, part in parts)) for kind in kinds],
        )
        if kinds
        else "",
    )


def _part_row(name: str, part: Dataset, *, has_times: bool) -> tuple[str, ...]:
    count, faulty = len(part), int(part.faulty.sum())
    row = (name, f"{count:,}", f"{faulty:,}", f"{faulty / count:.1%}" if count else "none")
    if not has_times:
        return row
    return (*row, *((_format_ts(part.ts.min()), _format_ts(part.ts.max())) if count else ("", "")))


def cleaning(findings: Findings, pictures: Mapping[str, Picture]) -> str:
    """Say what the cleaning took away."""
    report = findings.cleaning
    if not report.before:
        return section("Cleaning", paragraph("Off: every window of the training part was learnt from."))
    windows_text = "Normal" if report.scope == "normal" else "Normal and Faulty"
    return section(
        "Cleaning",
        paragraph(
            f"{windows_text} windows of the training part were looked at, {report.windows:,} in all. "
            f"{report.removed:,} had a value further than {report.factor:g} interquartile ranges outside the "
            f"quartiles of its group and were removed, {report.removed_faulty:,} of them Faulty. Validation "
            "and test part are as they came."
        ),
        table(
            ["column", "windows with an outlier"],
            [(column, f"{count:,}") for column, count in report.outliers.items()],
        ),
        picture(pictures["boxes.png"]),
    )


def split(findings: Findings) -> str:
    """Say how the parts were cut, and what that means for the results."""
    settings = findings.manifest.data["settings"]
    test, validation = f"{settings['test_share']:.0%}", f"{settings['validation_share']:.0%}"
    if settings["split"] == "random":
        split_text = (
            f"At random: {test} of the windows for the test, {validation} of the rest for the validation."
        )
        return section("Split", paragraph(split_text), warning(OVERLAP_WARNING))
    return section(
        "Split",
        paragraph(
            f"By time within each group: the last {test} for the test; of the rest {validation} for the "
            "validation, in blocks spread evenly over it. A window with readings on both sides of a cut is "
            "in neither part, so no reading is on both sides."
        ),
    )


def network(findings: Findings) -> str:
    """Say what the network is, and all settings."""
    layers = [
        (layer.name, layer.kind, f"{sum(array.size for array in layer.arrays.values()):,}")
        for layer in findings.layers
    ]
    total = sum(array.size for layer in findings.layers for array in layer.arrays.values())
    settings = findings.manifest.data["settings"].items()
    return section(
        "Network",
        table(["layer", "kind", "trained numbers"], [*layers, ("all", "", f"{total:,}")]),
        paragraph(f"A window is called Faulty where its score is above {findings.manifest.threshold:g}."),
        table(["setting", "value"], [(name, _format_value(value)) for name, value in settings]),
    )


def training(findings: Findings, pictures: Mapping[str, Picture]) -> str:
    """Say how the loss fell, and when it stopped."""
    epochs = len(findings.history["loss"])
    best = min(range(epochs), key=lambda epoch: findings.history["val_loss"][epoch]) + 1
    text = f"{epochs} epochs; kept are the weights of epoch {best}, where the validation loss was least."
    return section("Training", paragraph(text), picture(pictures["loss.png"]))


_LIMITS = """\
It knows the groups, the season and the kinds of fault it was trained on. On sensors in another place its \
verdicts are guesses until they are measured there.
It says that a window holds a fault, not which sensor has it.
A fault smaller than what the sensor does anyway can't be told from it, and one that all sensors of a kind \
share looks like weather.
Faults that were injected are cleaner than a plant's: the plant's own misses and false alarms have to be \
counted there.
False alarms a day hold for a recording with as many faults as the test part: while an alert is open for a \
fault, no false one can begin.
"""


def limits(findings: Findings) -> str:
    """Say what the model can't do, and what the numbers don't tell."""
    manifest = findings.manifest
    input_text = (
        f"It needs {manifest.steps} readings about {manifest.sample_period:g} s apart, of "
        f"{', '.join(manifest.feature_names)}, in this order."
    )
    return section("Limits", bullets([input_text, *_LIMITS.splitlines()]))


def versions(findings: Findings) -> str:
    """Say which libraries made it."""
    rows = sorted(findings.manifest.versions.items())
    return section("Made with", table(["library", "version"], rows))


def _format_ts(ts: float) -> str:
    return datetime.fromtimestamp(float(ts), UTC).strftime("%Y-%m-%d %H:%M")


def _format_value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

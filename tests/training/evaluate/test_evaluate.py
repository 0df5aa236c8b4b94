import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import classification_report, log_loss, matthews_corrcoef

from monitor import bundle
from monitor.bundle.model_input import DeviationTransform
from tests.support.training_features import FEATURE_NAMES
from training.cli.main import main
from training.data import recordings
from training.data.dataset import Dataset
from training.data.held_out_windows import read_training_settings
from training.data.prepare import prepare
from training.evaluate import curves
from training.evaluate.quality import Evaluation, evaluate, format_report
from training.evaluate.window_metrics import compute_window_metrics

HEALTHY_WINDOW = "20,55,20,55," * 2 + "20,55,20,55"


def _data(faulty: list[bool], kinds: list[str] | None = None) -> Dataset:
    count = len(faulty)
    return Dataset.from_windows(
        np.zeros(count, dtype=np.intp),
        5.0 * (np.arange(count)[:, None] + np.arange(3)),
        np.zeros((count, 3, 4)),
        np.array(faulty),
        np.array(kinds or [""] * count),
    )


def test_counts_and_shares() -> None:
    """Found, missed and false alarms are counted; recall by kind counts windows by their last reading."""
    data = _data([True, True, True, False, False], ["spike", "spike", "", "", ""])
    quality = compute_window_metrics(data, np.array([True, False, True, True, False]))
    assert (quality.found, quality.missed, quality.false_alarms, quality.passed) == (2, 1, 1, 1)
    assert quality.f1 == 2 / 3
    assert quality.false_share == 1 / 2
    assert quality.recall_by_kind == {"spike": 0.5}
    assert quality.windows_by_kind == {"spike": 2}


def test_a_share_of_nothing_is_none() -> None:
    """Without a Faulty window, recall, precision, F1 and MCC are None, neither 1 nor 0."""
    quality = compute_window_metrics(_data([False]), np.array([False]))
    assert (quality.recall, quality.precision, quality.f1, quality.mcc) == (None, None, None, None)


def test_mcc_sees_what_accuracy_does_not() -> None:
    """MCC: None if all windows are predicted Normal, 1 for perfect predictions, else as in scikit-learn."""
    truth = np.arange(1000) % 20 == 0
    data = _data(truth.tolist())
    assert compute_window_metrics(data, np.zeros(1000, dtype=bool)).mcc is None
    called = np.random.default_rng(0).random(1000) < 0.3
    assert compute_window_metrics(data, called).mcc == pytest.approx(matthews_corrcoef(truth, called))
    assert compute_window_metrics(data, truth).mcc == 1


def test_the_report_has_both_classes() -> None:
    """The row of Normal has precision and recall with Normal as the positive class."""
    normal, faulty = compute_window_metrics(
        _data([True, True, False, False, False]), np.array([1, 0, 1, 0, 0]) > 0
    ).class_reports()
    assert (normal.precision, normal.recall, normal.windows) == (2 / 3, 2 / 3, 3)
    assert (faulty.precision, faulty.recall, faulty.windows) == (1 / 2, 1 / 2, 2)


def test_the_report_is_the_notebooks() -> None:
    """Classes, accuracy, macro and weighted average are those of scikit-learn's classification report."""
    rng = np.random.default_rng(1)
    truth = rng.random(500) < 0.2
    scores = np.clip(0.6 * truth + rng.normal(0.25, 0.2, 500), 0, 1)
    result = evaluate(_data(truth.tolist()), scores, 0.5, 5.0)
    expected = classification_report(truth, scores > 0.5, target_names=["Normal", "Faulty"], output_dict=True)
    for line in (*result.quality.class_reports(), *result.quality.averages()):
        row = expected[line.name]
        assert (line.precision, line.recall, line.f1, line.windows) == pytest.approx(
            (row["precision"], row["recall"], row["f1-score"], row["support"])
        )
    assert result.quality.accuracy == pytest.approx(expected["accuracy"])
    assert result.loss == pytest.approx(log_loss(truth, np.clip(scores, 1e-7, 1 - 1e-7)))
    table = {line.split("  ")[0]: line.split() for line in format_report(result).splitlines()}
    assert table["accuracy"][-1] == f"{expected['accuracy']:.4f}"
    assert table["macro avg"][-4:-1] == [
        f"{expected['macro avg'][name]:.4f}" for name in ("precision", "recall", "f1-score")
    ]
    assert table["weighted avg"][-1] == "500"
    assert table["loss (binary cross-entropy)"][-1] == f"{result.loss:.4f}"


def test_areas_of_a_perfect_and_a_constant_score() -> None:
    """A perfect score has areas of 1; a constant score has 0.5 and the share of faults."""
    truth = np.arange(100) % 4 == 0
    perfect, constant = truth.astype(float), np.full(100, 0.5)
    for scores, areas in ((perfect, (1, 1)), (constant, (0.5, 0.25))):
        roc, precision_recall = (
            curves.compute_roc(truth, scores),
            curves.compute_precision_recall(truth, scores),
        )
        assert roc is not None
        assert precision_recall is not None
        assert (roc.area, precision_recall.area) == pytest.approx(areas)


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    """A curve of 20,000 windows has about 200 points, and both ends, 0 and 1, are among them."""
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.3
    curve = curves.compute_roc(truth, rng.random(20_000) + 0.3 * truth)
    assert curve is not None
    assert len(curve.x) <= 202
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(curve.area, abs=1e-3)


def test_one_class_has_no_curve() -> None:
    """Where no window is Faulty, the curves are None, without a warning."""
    truth = np.zeros(5, dtype=bool)
    assert curves.compute_roc(truth, np.zeros(5)) is None
    assert curves.compute_precision_recall(truth, np.zeros(5)) is None


def test_calibration_compares_score_and_share() -> None:
    """Scores of 0.75 that are right half the time have an error of 0.25; the score 1 is in the last bin."""
    truth = np.array([True, False, True, False, True, True])
    calibration = curves.compute_calibration(truth, np.array([0.75, 0.75, 0.75, 0.75, 1.0, 1.0]))
    assert calibration.observed[7] == 0.5
    assert calibration.window_counts[[7, 9]].tolist() == [4, 2]
    assert calibration.error == pytest.approx(0.25 * 4 / 6)
    assert np.isnan(calibration.observed[0])


def _evaluation() -> Evaluation:
    kinds = [*[""] * 20, *["offset"] * 3, *[""] * 20]
    faulty = [False] * 20 + [True] * 5 + [False] * 18
    return evaluate(_data(faulty, kinds), np.where(faulty, 0.9, 0.1), 0.5, 5.0)


def test_all_numbers_can_go_to_json() -> None:
    """Missing values, as of an empty bin, become null in JSON."""
    document = json.loads(json.dumps(_evaluation().as_dict(), allow_nan=False))
    assert document["windows"]["f1"] == 1
    assert document["incidents"]["false_alarms_a_day_and_group"] == 0


def test_incidents_of_a_random_split_are_left_out() -> None:
    """Of windows drawn at random, the report says that there are no incidents, and JSON has null."""
    faulty = np.arange(40) % 4 == 0
    result = evaluate(_data(faulty.tolist()), faulty.astype(float), 0.5, 5.0, drawn_at_random=True)
    assert result.as_dict()["incidents"] is None
    report = format_report(result)
    assert "drawn at random" in report
    assert "a day and group" not in report


def test_evaluate_says_and_writes_all(
    bundle_folder: Path, labelled_recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints report, matrix and incidents, and writes numbers and pictures."""
    out = tmp_path / "new" / "evaluation"
    main(
        [
            "evaluate",
            "--bundle",
            str(bundle_folder),
            "--recording",
            str(labelled_recording),
            "--out",
            str(out),
        ]
    )
    output = capsys.readouterr().out
    for part in (
        "precision",
        "called Faulty",
        "MCC",
        "loss (",
        "accuracy",
        "macro avg",
        "area under ROC",
        "recall of spike",
        "a day and group",
    ):
        assert part in output
    document = json.loads((out / "evaluation.json").read_text())
    assert document["bundle"] == bundle.load(bundle_folder).manifest.id
    pictures = {"calibration.png", "confusion.png", "curves.png", "delays.png", "recall.png"}
    assert {path.name for path in out.iterdir()} == {"evaluation.json", *pictures}


def test_windows_of_the_training_part_are_not_measured(
    bundle_folder: Path, labelled_recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording used in training, also under another file name, is evaluated on its test set only."""
    renamed = shutil.copy(labelled_recording, tmp_path / "another.csv")
    main(["evaluate", "--bundle", str(bundle_folder), "--recording", str(renamed), "--out", str(tmp_path)])
    loaded_bundle = bundle.load(bundle_folder)
    test = prepare([labelled_recording], None, read_training_settings(loaded_bundle)).test
    counts = json.loads((tmp_path / "evaluation.json").read_text())["windows"]
    assert counts["found"] + counts["missed"] + counts["false_alarms"] + counts["passed"] == len(test)
    assert counts == loaded_bundle.manifest.quality
    assert "it was trained on the rest" in capsys.readouterr().out


def test_a_new_recording_is_measured_whole(
    bundle_folder: Path, labelled_recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All readings not used in training are evaluated, except the first nine of each group."""
    frame = recordings.read(labelled_recording, FEATURE_NAMES)
    frame["temperature_1"] += 0.01
    recordings.write(frame, tmp_path / "new.csv")
    main(["evaluate", "--bundle", str(bundle_folder), "--recording", str(tmp_path / "new.csv")])
    assert f"all {len(frame) - 2 * 9:,} windows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("faulty", "message"), [(False, "All windows are Normal"), (True, "All windows are Faulty")]
)
def test_one_class_alone_is_noted(faulty: bool, message: str) -> None:  # noqa: FBT001, a parameter
    """If all windows have the same label, the report names the metrics that are missing."""
    output = format_report(evaluate(_data([faulty] * 9), np.full(9, 0.1), 0.5, 5.0))
    assert output.startswith(message)
    assert "None" not in output
    assert "All windows" not in format_report(_evaluation())


def test_one_window_gets_score_and_label(bundle_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A window is Faulty where its score is above the bundle's own threshold, else Normal."""
    main(
        [
            "evaluate",
            "--bundle",
            str(bundle_folder),
            "--window",
            HEALTHY_WINDOW.replace("20,55,20", "20,55,80"),
        ]
    )
    word, score, label, *_ = capsys.readouterr().out.split()
    assert (word, label) == ("score", "Faulty" if float(score) > 0.5 else "Normal")
    loaded_bundle = bundle.load(bundle_folder)
    window = _relative_to_training_baseline(loaded_bundle, np.array([[[20.0, 55, 80, 55]] * 3]))
    assert float(score) == pytest.approx(
        loaded_bundle.classifier.score(loaded_bundle.scaler.transform(window))[0], abs=1e-6
    )


def test_the_threshold_is_the_bundles(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same score is Faulty in a bundle with a lower threshold and Normal in one with a higher."""
    labels = []
    loaded_bundle = bundle.load(bundle_folder)
    window = _relative_to_training_baseline(
        loaded_bundle, np.array([float(v) for v in HEALTHY_WINDOW.split(",")]).reshape(1, 3, 4)
    )
    scaled = loaded_bundle.scaler.transform(window)
    score = float(loaded_bundle.classifier.score(scaled)[0])
    for threshold in (score / 2, (1 + score) / 2):
        folder = shutil.copytree(bundle_folder, tmp_path / f"{threshold:.5f}")
        _set_threshold(folder, threshold)
        main(["evaluate", "--bundle", str(folder), "--window", HEALTHY_WINDOW])
        labels.append(capsys.readouterr().out.split()[2])
    assert labels == ["Faulty", "Normal"]


def _relative_to_training_baseline(loaded_bundle: bundle.Bundle, window: np.ndarray) -> np.ndarray:
    """Return a window relative to the baseline of the training."""
    return DeviationTransform(loaded_bundle.manifest.quantities).transform(
        window, np.array([loaded_bundle.manifest.data["normal"]])
    )


def _set_threshold(folder: Path, threshold: float) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "threshold": threshold}))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    checksums = (folder / "SHA256SUMS").read_text().splitlines()
    lines = [f"{digest}  manifest.json" if line.endswith("  manifest.json") else line for line in checksums]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("extra_arguments", "message"),
    [
        ([], "expected either --recording or --window"),
        (["--window", "1,2"], "--window: 2 values, expected 12: 3 readings of temperature_1"),
        (["--window", "1,x"], "--window: must be numbers with commas between them, not '1,x'"),
        (["--window", HEALTHY_WINDOW, "--against"], "--against and --out go with --recording"),
        (["--recording", "none.csv"], "none.csv: can't be read: No such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    bundle_folder: Path, extra_arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage ends with exit code 2 and one line: what is wrong, where, what was expected."""
    with pytest.raises(SystemExit) as exit_info:
        main(["evaluate", "--bundle", str(bundle_folder), *extra_arguments])
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_no_bundle_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not a bundle is refused with the reason."""
    with pytest.raises(SystemExit) as exit_info:
        main(["evaluate", "--bundle", str(tmp_path), "--window", HEALTHY_WINDOW])
    assert exit_info.value.code == 2
    assert "SHA256SUMS: is missing" in capsys.readouterr().err

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitor import bundle
from monitor.core.errors import InvalidInputError
from tests.support.toy_bundle import FAULTY, HEALTHY
from tests.support.training_features import FEATURE_NAMES, FEATURES
from training.cli.main import main
from training.config.settings import FitSettings
from training.data import recordings
from training.data.prepare import prepare
from training.data.simulate import DEFAULT_START, Plant, simulate
from training.evaluate import bundle_comparison
from training.evaluate.bundle_comparison import BundleMetrics, Comparison
from training.faults import healthy_recordings
from training.faults.fault_kinds import FAULT_KINDS
from training.faults.healthy_recordings import HealthyRecordings
from training.faults.inject import inject

SMALL_NETWORK_FLAGS = ("--units", "8,6,4", "--epochs", "1", "--batch-size", "256")


@pytest.fixture(scope="module")
def healthy_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return half an hour of two groups without labels; a sensor of the second is wrong for a while."""
    frame = simulate(Plant(2, 7, DEFAULT_START, FEATURES, "cold-room"), 0, 0.5).drop(columns="label")
    minutes = (frame["ts"] - frame["ts"].min()) / 60
    is_off = (frame["group"] == "line1/station2") & minutes.between(3, 9)
    path = tmp_path_factory.mktemp("rest") / "rest.csv"
    recordings.write(frame.assign(humidity_2=frame["humidity_2"] + 9 * is_off), path)
    return path


def _fit(*arguments: str) -> None:
    main(["fit", *arguments, *SMALL_NETWORK_FLAGS])


def test_an_unlabelled_recording_makes_a_bundle(
    healthy_recording: Path, bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`fit --healthy` injects faults, trains, measures on the held-out readings and prints warnings."""
    new_folder = tmp_path / "bundle"
    _fit(
        "--healthy",
        str(healthy_recording),
        "--bundle",
        str(new_folder),
        "--against-bundle",
        str(bundle_folder),
    )
    output = capsys.readouterr().out
    verdict = next(line for line in output.splitlines() if str(bundle_folder) in line)
    if not verdict.startswith("it beats"):
        assert not new_folder.exists()
        new_folder = tmp_path / "bundle-not-better"
    data = bundle.load(new_folder).manifest.data
    assert data["healthy"]["copies"] == 10
    assert data["recordings"] == ["rest.csv"]
    assert data["readings"] == len(recordings.read(healthy_recording, FEATURE_NAMES))
    assert data["healthy"]["suspicious_stretches"] == 1
    assert f"bundle {bundle.load(new_folder).manifest.id}" in output
    assert "the new bundle: F1 " in output
    assert f"{bundle_folder}: F1 " in output
    for note in ("It is 0.5 h of a day's 24", "It may hold faults already: 1 stretches"):
        assert output.count(note) == 2  # before training and after it
    assert "line1/station2  2026-06-01 06:03:00  2026-06-01 06:09:00  humidity_2  73  above" in output
    assert f"report: {new_folder}/report/report.html\n" in output
    report = (new_folder / "report" / "report.html").read_text()
    assert verdict in report.partition("<h2>Data</h2>")[0]
    assert "above humidity_1 by" in report.partition('<section id="recording">')[2].partition("</section>")[0]
    assert (new_folder / "report" / "suspects.png").exists()


def _refusal(command: str, path: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    arguments = {
        "fit": ["--healthy", str(path), "--bundle", str(out), *SMALL_NETWORK_FLAGS],
        "inject": [str(path), "--out", str(out)],
    }
    with pytest.raises(SystemExit) as exit_info:
        main([command, *arguments[command]])
    assert exit_info.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", ["fit", "inject"])
def test_empty_column(
    command: str, healthy_recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording in which a feature has no value at all is refused with the column's name."""
    path = tmp_path / "empty.csv"
    recordings.write(recordings.read(healthy_recording, FEATURE_NAMES).assign(humidity_2=np.nan), path)
    message = _refusal(command, path, tmp_path / "out.csv", capsys)
    assert f"{path}: column humidity_2 has no value in any row" in message


def test_no_complete_reading(
    healthy_recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording in which each reading lacks some value is refused."""
    path = tmp_path / "gaps.csv"
    frame = recordings.read(healthy_recording, FEATURE_NAMES)
    is_even = frame.index % 2 == 0
    recordings.write(
        frame.assign(
            humidity_1=frame["humidity_1"].where(is_even), humidity_2=frame["humidity_2"].where(~is_even)
        ),
        path,
    )
    message = _refusal("fit", path, tmp_path / "bundle", capsys)
    assert f"{path}: no row has a value in each of temperature_1, humidity_1" in message


def test_constant_column(healthy_recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording in which a feature never changes is refused by its own name, not that of its copies."""
    path = tmp_path / "constant.csv"
    recordings.write(recordings.read(healthy_recording, FEATURE_NAMES).assign(humidity_2=50.0), path)
    message = _refusal("fit", path, tmp_path / "bundle", capsys)
    assert message.endswith(
        f": {path}: humidity_2 has one value in all healthy readings, expected it to vary\n"
    )
    assert "seed" not in message


def test_the_copies_are_what_inject_makes(healthy_recording: Path, tmp_path: Path) -> None:
    """Each copy is what `inject` writes for all kinds with the same seed, to the last digit."""
    with healthy_recordings.inject_copies([healthy_recording], FEATURES) as healthy:
        assert healthy.copies_per_recording == 10
        arguments = [
            "inject",
            str(healthy_recording),
            "--seed",
            "3",
            "--kinds",
            *FAULT_KINDS,
            "--out",
            str(tmp_path / "3.csv"),
        ]
        main(arguments)
        assert (tmp_path / "3.csv").read_bytes() == healthy.injected_paths[3].read_bytes()
        kinds = {
            kind for path in healthy.injected_paths for kind in recordings.read(path, FEATURE_NAMES)["kind"]
        }
        assert kinds == {"", *FAULT_KINDS}
    assert not healthy.injected_paths[0].exists()


def test_a_long_recording_is_not_copied(tmp_path: Path) -> None:
    """A recording with enough readings is copied only once."""
    path = tmp_path / "long.csv"
    recordings.write(simulate(Plant(6, 0, DEFAULT_START, FEATURES), 0, 3), path)
    with healthy_recordings.inject_copies([path], FEATURES) as healthy:
        assert healthy.copies_per_recording == 1
        assert healthy.notes() == ["It is 3 h of a day's 24: what the plant does at other hours isn't known."]


def test_a_short_recording_has_warnings(tmp_path: Path) -> None:
    """The warnings name the number of readings, the number that is needed, and how many were left out."""
    frame = simulate(Plant(2, 0, DEFAULT_START, FEATURES), 0, 0.2)
    frame.loc[7, "humidity_2"] = np.nan
    path = tmp_path / "short.csv"
    recordings.write(frame, path)
    with healthy_recordings.inject_copies([path], FEATURES) as healthy:
        first, *_, last = healthy.notes()
    assert first == (
        "The recording is too short: group line1/station2 has 143 readings, expected at least 360 of each "
        "group (0.5 h at 5 s)."
    )
    assert last == "1 readings without a value in each feature were left out."
    recordings.write(frame.head(100), path)
    with pytest.raises(
        InvalidInputError, match=r"short.csv: group line1/station1: 50 readings, expected at least"
    ):
        healthy_recordings.inject_copies([path], FEATURES).__enter__()


def test_a_recording_with_faulty_labels_is_refused(labelled_recording: Path) -> None:
    """A recording with known faults is no recording of a plant at rest, and is refused."""
    with pytest.raises(InvalidInputError, match="expected healthy readings only"):
        healthy_recordings.inject_copies([labelled_recording], FEATURES).__enter__()


@pytest.mark.parametrize(
    ("extra_arguments", "message"),
    [
        (("--recording", "F"), "goes without --recording"),
        (("--split", "random"), "holds a part back by time"),
        (("--test-share", "0"), "holds a part back by time"),
        (("--against-bundle", "nowhere"), "nowhere"),
    ],
)
def test_wrong_use_is_exit_2(
    extra_arguments: tuple[str, ...],
    message: str,
    healthy_recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Contradicting flags and a reference that is no bundle end with one line, exit code 2, no bundle."""
    with pytest.raises(SystemExit) as exit_info:
        _fit("--healthy", str(healthy_recording), "--bundle", str(tmp_path / "bundle"), *extra_arguments)
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "bundle").exists()


def test_the_comparison_uses_no_training_reading(healthy_recording: Path) -> None:
    """The comparison uses no reading of a training window, and nearly all of the held-out readings."""
    for share in (0.2, 0.33, 0.5):
        settings = FitSettings(test_share=share)
        with (
            healthy_recordings.inject_copies([healthy_recording], FEATURES) as healthy,
            bundle_comparison.write_comparison_data(healthy, share) as data,
        ):
            prepared = prepare(healthy.injected_paths, None, settings)
            ts = pd.read_csv(data.path)["ts"].to_numpy()
        last_trained_ts = max(prepared.train.ts.max(), prepared.validation.ts.max())
        assert ts[data.is_held_out].min() > last_trained_ts
        assert data.is_held_out.mean() > share - 0.04
        assert data.is_original.sum() == healthy.reading_count


def _healthy_with_labels(frame: pd.DataFrame, labels: list[int], tmp_path: Path) -> HealthyRecordings:
    path = tmp_path / "copy.csv"
    recordings.write(frame.assign(label=labels, kind=""), path)
    with healthy_recordings.inject_copies([tmp_path / "frame.csv"], FEATURES) as healthy:
        return replace(healthy, injected_paths=(path,), frames=(frame,))


def test_bundle_metrics_count_what_the_monitor_judges(toy_bundle: Path, tmp_path: Path) -> None:
    """Found, missed, wrongly Faulty and unjudged windows are counted as the daemon's stages judge them."""
    values = np.array([HEALTHY] * 200)
    values[:, 1] += np.arange(200) % 7  # the sensor varies
    values[[150, 160]] = FAULTY
    frame = pd.DataFrame(values, columns=FEATURE_NAMES)
    frame.insert(0, "ts", 1e9 + 5.0 * np.arange(200))
    frame.insert(1, "group", "g")
    frame.loc[frame.index >= 190, "ts"] += 100  # a gap: the next two windows aren't judged
    recordings.write(frame.assign(temperature_2=HEALTHY[2]), tmp_path / "frame.csv")
    labels = [-1 if row in {150, 180, 191} else 1 for row in range(200)]
    with bundle_comparison.write_comparison_data(_healthy_with_labels(frame, labels, tmp_path), 0.5) as data:
        metrics = bundle_comparison.measure_bundle(toy_bundle, "toy", data)
    # Each faulty reading is in three windows. 150 is found, 180 missed; the windows of 191 are not judged.
    assert metrics.recall == pytest.approx(3 / 9)
    assert metrics.false_share == pytest.approx(3 / (88 - 9))
    assert metrics.f1 == pytest.approx(2 * 3 / (2 * 3 + 3 + 6))
    assert metrics.original_false_share == pytest.approx(6 / 88)
    assert metrics.judged_share == pytest.approx(86 / 88)


GOOD = BundleMetrics("good", 1.0, 0.9, 0.9, 0.0, 0.001)


def test_better_is_higher_f1_without_more_false_alarms() -> None:
    """A bundle is better if it has a higher F1 and no more false alarms on the original recording."""
    assert Comparison(GOOD, replace(GOOD, f1=0.8)).is_better
    assert not Comparison(GOOD, replace(GOOD, f1=0.8, original_false_share=0.0)).is_better
    comparison = Comparison(replace(GOOD, f1=0.8), GOOD)
    assert not comparison.is_better
    assert not comparison.is_tie
    assert comparison.verdict.startswith(
        "IT DOES NOT BEAT good on the part held back (F1 0.8000 and not 0.9000"
    )
    assert Comparison(replace(GOOD, f1=0.95), GOOD).verdict.startswith("it beats good")
    mixed = Comparison(replace(GOOD, f1=0.95, original_false_share=0.02), GOOD)
    assert not mixed.is_better
    assert mixed.verdict == (
        "IT DOES NOT BEAT good on the part held back: it finds more (F1 0.9500 and not 0.9000), but 2.00% "
        "and not 0.10% of the undisturbed windows are called Faulty"
    )


def test_a_tie_is_a_tie() -> None:
    """Equal figures, as far as they are shown, are a tie: neither better nor beaten."""
    comparison = Comparison(replace(GOOD, name="new", f1=0.900001), GOOD)
    assert comparison.is_tie
    assert not comparison.is_better
    assert comparison.verdict == "a tie with good on the part held back (F1 0.9000 and 0.9000)"


@pytest.mark.parametrize(
    ("hours", "advice"),
    [
        (0.5, "a recording of a day or more, in place of 0.5 h, may give a better one"),
        (26 * 24, "the recordings have 26 days, so a longer one would hardly change that"),
    ],
)
def test_the_advice_knows_how_long_the_recording_is(
    hours: float, advice: str, healthy_recording: Path
) -> None:
    """A longer recording is advised only where the recordings have no whole day."""
    with healthy_recordings.inject_copies([healthy_recording], FEATURES) as healthy:
        longer = replace(healthy, hours=hours)
    text = bundle_comparison.format_advice(Comparison(GOOD, GOOD), longer)
    assert text == f"go on with good; {advice}"


@pytest.mark.parametrize(("f1", "is_better"), [(0.0, True), (1.0, False), (2.0, False)])
def test_a_bundle_that_is_not_better_is_written_beside(
    f1: float,
    is_better: bool,  # noqa: FBT001 - a parameter of the test
    healthy_recording: Path,
    bundle_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """After a tie or a defeat the monitor's folder stays; the text says how to use either bundle."""

    def measure(_folder: Path, name: str, _data: object) -> BundleMetrics:
        return replace(GOOD, name=name, f1=1.0 if name == "the new bundle" else f1)

    monkeypatch.setattr(bundle_comparison, "measure_bundle", measure)
    folder, beside = tmp_path / "bundle", tmp_path / "bundle-not-better"
    shutil.copytree(bundle_folder, folder)
    before = bundle.load(folder).manifest.id
    _fit("--healthy", str(healthy_recording), "--bundle", str(folder), "--against-bundle", str(bundle_folder))
    output = capsys.readouterr().out
    verdict = {0.0: "it beats", 1.0: "a tie with", 2.0: "IT DOES NOT BEAT"}[f1]
    assert beside.exists() == (not is_better)
    written = folder if is_better else beside
    assert (bundle.load(folder).manifest.id == before) == (not is_better)
    data = bundle.load(written).manifest.data
    assert data["comparison"]["verdict"].startswith(verdict)
    assert data["comparison"]["verdict"] in output
    report = (written / "report" / "report.html").read_text()
    assert report.index(verdict) < report.index('class="tiles"')
    if not is_better:
        assert f"{folder} still holds the bundle that it held" in output
        assert f'bundle = "{beside}"' in output
        assert f'to use the other: bundle = "{bundle_folder}"' in output


def test_a_kind_that_cannot_show_is_left_out(tmp_path: Path) -> None:
    """Faults that would not show are left out, and the notes say which and where: a greenhouse near 0 %RH."""
    frame = simulate(Plant(1, 0, DEFAULT_START, FEATURES), 0, 1)
    rng = np.random.default_rng(0)
    values = rng.normal([0.2, 1.0, 0.2, 1.0], 0.05, (len(frame), 4)).round(2)
    path = tmp_path / "dry.csv"
    recordings.write(frame.assign(**dict(zip(FEATURE_NAMES, values.T, strict=True))), path)
    with healthy_recordings.inject_copies([path], FEATURES) as healthy:
        kinds = {
            kind for copy in healthy.injected_paths for kind in recordings.read(copy, FEATURE_NAMES)["kind"]
        }
        assert "loss" not in kinds
        assert "offset" in kinds
        assert "loss" not in healthy.as_dict()["kinds"]  # type: ignore[operator]
        assert any(
            "faults of kind loss were left out in group line1/station1" in note
            and "the model has learnt no fault of kind loss" in note
            for note in healthy.notes()
        )
    with pytest.raises(InvalidInputError, match="a fault of kind loss doesn't show"):
        inject(recordings.read(path, FEATURE_NAMES), FEATURES, 0.3, 0, ["loss"])


def test_shares_are_shares(tmp_path: Path) -> None:
    """A reading in several suspicious stretches counts once: the share is at most 1."""
    frame = simulate(Plant(1, 0, DEFAULT_START, FEATURES), 0, 1)
    apart = frame.assign(temperature_1=frame["temperature_1"] + 30, humidity_1=frame["humidity_1"] + 30)
    path = tmp_path / "apart.csv"
    recordings.write(apart, path)
    with healthy_recordings.inject_copies([path], FEATURES) as healthy:
        assert sum(stretch.reading_count for stretch in healthy.suspicious_stretches) > len(frame)
        assert healthy.suspicious_share == 1.0

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor import bundle
from monitor.bundle.scaler import Scaler
from monitor.core.arrays import FloatArray
from monitor.core.errors import InvalidInputError
from tests.support.training_features import QUANTITIES
from training.data import held_out_windows
from training.data.dataset import Dataset
from training.data.prepare import prepare
from training.evaluate import candidate_selection, classifier_comparison, classifiers, comparison_table
from training.evaluate.candidate_selection import DataSplit
from training.evaluate.classifiers import CANDIDATES_PER_CLASSIFIER, Candidate, ScoreFunction
from training.faults.fault_kinds import FAULT_KINDS
from training.network.augmentation import JointShift

JOINT_SHIFT = JointShift(QUANTITIES, 2.0, np.ones(4))


def _data(values: list[float], faulty: list[bool]) -> Dataset:
    count = len(values)
    return Dataset.from_windows(
        series_ids=np.zeros(count, dtype=np.intp),
        ts=5.0 * (np.arange(count)[:, None] + np.arange(3)),
        windows=np.broadcast_to(np.array(values)[:, None, None], (count, 3, 4)).copy(),
        faulty=np.array(faulty),
        kinds=np.where(faulty, "offset", ""),
    )


def _data_split() -> DataSplit:
    """Return windows of which those above 2 are Faulty, but in the test set only those above 4."""
    train = _data([0, 1, 2, 3, 4, 5], [False, False, False, True, True, True])
    test = _data([0, 1, 2, 3, 4, 5], [False, False, False, False, False, True])
    return DataSplit(train, train, test, Scaler.from_numbers([0] * 4, [1] * 4), 5.0)


def _threshold_candidate(limit: float) -> Candidate:
    def train(_scaled: NDArray[np.float32], _faulty: NDArray[np.bool_]) -> ScoreFunction:
        return lambda others: (others[:, 0, 0] > limit).astype(float)

    return Candidate(f"above {limit}", train)


def test_the_validation_part_chooses() -> None:
    """The candidate with the best F1 on the validation set is chosen, not the best on the test set."""
    settings, score = candidate_selection.select_candidate(
        [_threshold_candidate(4), _threshold_candidate(2), _threshold_candidate(0)], _data_split()
    )
    assert settings == "above 2"
    result = candidate_selection.measure_on_test("x", settings, 3, score, _data_split())
    assert result.quality.false_alarms == 2


def test_all_get_the_same_effort() -> None:
    """Each classifier has the same number of candidates, all different."""
    candidates_by_name = classifiers.build_candidates(0, JOINT_SHIFT)
    estimators = {"random forest", "SVM (RBF)", "hist. gradient boosting", "MLP"}
    assert set(candidates_by_name) == estimators | {f"{name}, + moves" for name in estimators} | {
        "range check"
    }
    assert set(classifiers.build_candidates(0, None)) == estimators | {"range check"}
    for candidates in candidates_by_name.values():
        assert len({candidate.settings for candidate in candidates}) == CANDIDATES_PER_CLASSIFIER


@pytest.mark.parametrize("name", list(classifiers.build_candidates(0, JOINT_SHIFT)))
def test_each_classifier_finds_an_obvious_fault(name: str) -> None:
    """Each classifier scores a large fault above 0.5, and all scores are from 0 to 1."""
    rng = np.random.default_rng(0)
    faulty = np.arange(200) % 3 == 0
    scaled = (rng.normal(0, 1, (200, 3, 4)) + 20 * faulty[:, None, None]).astype(np.float32)
    scores = classifiers.build_candidates(0, JOINT_SHIFT)[name][-1].train(scaled, faulty)(scaled)
    assert scores.shape == (200,)
    assert ((scores > 0.5) == faulty).all()
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_training_on_shifted_windows_generalises() -> None:
    """A classifier trained on shifted copies recognises healthy readings of another hour."""
    rng = np.random.default_rng(0)
    scaled = rng.normal(0, 0.1, (400, 3, 4)).astype(np.float32)
    faulty = np.arange(400) % 2 == 0
    scaled[faulty, :, 0] += 1.5
    later = scaled + np.float32(2)
    candidates_by_name = classifiers.build_candidates(0, JOINT_SHIFT)
    accuracy = {
        name: ((candidates_by_name[name][0].train(scaled, faulty)(later) > 0.5) == faulty).mean()
        for name in ("SVM (RBF)", "SVM (RBF), + moves")
    }
    assert accuracy["SVM (RBF), + moves"] > 0.95 > accuracy["SVM (RBF)"]


def test_the_same_seed_gives_the_same_scores() -> None:
    """The seed determines all random numbers of a classifier."""
    rng = np.random.default_rng(0)
    scaled, faulty = rng.normal(size=(150, 3, 4)).astype(np.float32), rng.random(150) < 0.4
    scores = [
        classifiers.build_candidates(seed, None)["random forest"][0].train(scaled, faulty)(scaled)
        for seed in (3, 3, 4)
    ]
    assert (scores[0] == scores[1]).all()
    assert (scores[0] != scores[2]).any()


def test_the_table_names_all() -> None:
    """Each row has F1, MCC, recall of each kind, false alarms per day and seconds per million windows."""
    result = candidate_selection.measure_on_test(
        "range check", "", 4, _threshold_candidate(2).train(np.empty(0), np.empty(0)), _data_split()
    )
    header, _, line, _, kinds, _, recalls, *units = str(
        comparison_table.ComparisonTable("time", (result,))
    ).splitlines()
    for column in ("split time", "F1", "MCC", "false", "alarms/day", "s/million"):
        assert f" {column} " in header
        assert column in "\n".join(units) or column in {"split time", "F1", "MCC"}
    assert line.startswith("| range check | 0.500 |")
    assert " offset " in kinds
    assert recalls.endswith(" 1.000 |")
    assert result.seconds_per_million > 0


def test_the_table_fits_a_terminal() -> None:
    """With all kinds of faults and long names no line has more than 100 columns, and no kind is left out."""
    result = candidate_selection.measure_on_test(
        "hist. gradient boosting, + moves", "", 4, lambda scaled: scaled[:, 0, 0], _data_split()
    )
    kinds = dict.fromkeys(FAULT_KINDS, 0.5)
    wide = replace(result, quality=replace(result.quality, recall_by_kind=kinds))
    text = str(comparison_table.ComparisonTable("random", (wide, result)))
    assert max(map(len, text.splitlines())) <= comparison_table.MAX_WIDTH == 100
    for kind in FAULT_KINDS:
        assert f" {kind} |" in text


def test_incidents_of_a_random_split_are_left_out() -> None:
    """Windows drawn at random have no false alarms a day, and their table no such column."""
    data = replace(_data_split(), drawn_at_random=True)
    result = candidate_selection.measure_on_test("x", "", 1, lambda scaled: scaled[:, 0, 0], data)
    assert result.false_alarms_a_day is None
    assert "alarms" not in str(comparison_table.ComparisonTable("random", (result,)))


def test_candidates_are_compared_on_a_part_of_many_windows() -> None:
    """Each candidate is trained on every n-th window, and only the best one on all of them."""
    trained: list[tuple[float, int]] = []

    def candidate(limit: float) -> Candidate:
        def train(scaled: NDArray[np.float32], faulty: NDArray[np.bool_]) -> ScoreFunction:
            trained.append((limit, len(scaled)))
            return _threshold_candidate(limit).train(scaled, faulty)

        return Candidate(f"above {limit}", train)

    candidates = [candidate(4), candidate(2)]
    settings, _ = candidate_selection.select_candidate(candidates, _data_split(), max_windows=3)
    assert settings == "above 2"
    assert trained == [(4, 3), (2, 3), (2, 6)]
    trained.clear()
    candidate_selection.select_candidate(candidates, _data_split(), max_windows=6)
    assert trained == [(4, 6), (2, 6)]


@pytest.fixture
def trained_networks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Replace the training of networks by a fixed rule, and leave out the slow classifiers.

    Returns the kind of network and the split of each training that was requested.
    """
    trained = []

    def network(
        _prepared: object, settings: object, *_: object
    ) -> Callable[[NDArray[np.float32]], FloatArray]:
        trained.append((settings.network, settings.split))  # type: ignore[attr-defined]
        return lambda scaled: (np.abs(scaled).max(axis=(1, 2)) > 3).astype(float)

    range_check_only = {"range check": classifiers.build_candidates(0, None)["range check"]}
    monkeypatch.setattr(classifier_comparison, "_train_network", network)
    monkeypatch.setattr(classifiers, "build_candidates", lambda _seed, _moves: range_check_only)
    return trained


class _CountingProgress:
    def __init__(self) -> None:
        self.tasks = 0

    def finish_task(self, note: str) -> None:
        assert note
        self.tasks += 1

    def update(self, share: float) -> None:
        assert 0 <= share <= 1


def test_both_splits_same_windows(
    bundle_folder: Path, labelled_recording: Path, trained_networks: list[tuple[str, str]]
) -> None:
    """By time, the bundle itself is measured; at random, its network is trained again."""
    loaded_bundle = bundle.load(bundle_folder)
    settings = held_out_windows.read_training_settings(loaded_bundle)
    progress = _CountingProgress()
    tables = classifier_comparison.compare([labelled_recording], loaded_bundle, settings, progress)
    assert [table.split for table in tables] == ["time", "random"]
    assert trained_networks.count(("lstm", "time")) == 0
    assert trained_networks.count(("lstm", "random")) == 1
    assert trained_networks.count(("dense", "time")) == CANDIDATES_PER_CLASSIFIER
    assert progress.tasks == classifier_comparison.count_tasks(settings)
    for table in tables:
        test = prepare([labelled_recording], None, settings.model_copy(update={"split": table.split})).test
        assert table.results[0].name == "LSTM"
        assert len(table.results) == 3
        for result in table.results:
            assert result.quality.found + result.quality.missed == test.faulty.sum()
            assert result.quality.windows_by_kind == table.results[0].quality.windows_by_kind
    scores = loaded_bundle.classifier.score(
        loaded_bundle.scaler.transform(prepare([labelled_recording], None, settings).test.windows)
    )
    bundle_quality = tables[0].results[0].quality
    assert (
        bundle_quality.found + bundle_quality.false_alarms
        == (scores > loaded_bundle.manifest.threshold).sum()
    )


def test_a_bundle_of_healthy_recordings_has_no_comparison(
    bundle_folder: Path, labelled_recording: Path, tmp_path: Path
) -> None:
    """The copies with faults of `fit --healthy` are gone, so the error says how to make such a copy."""
    lines = labelled_recording.read_text().splitlines(keepends=True)
    other = tmp_path / labelled_recording.name
    other.write_text("".join(lines[: len(lines) - 100]))
    loaded_bundle = bundle.load(bundle_folder)
    loaded_bundle.manifest.data["healthy"] = {}
    settings = held_out_windows.read_training_settings(loaded_bundle)
    with pytest.raises(InvalidInputError, match=r"copies with faults are not kept \(`inject` makes such"):
        classifier_comparison.compare([other], loaded_bundle, settings, _CountingProgress())


def test_another_recording_is_no_comparison(
    bundle_folder: Path, labelled_recording: Path, tmp_path: Path
) -> None:
    """Recordings other than those of the bundle's training are refused."""
    lines = labelled_recording.read_text().splitlines(keepends=True)
    other = tmp_path / labelled_recording.name
    other.write_text("".join(lines[: len(lines) - 100]))
    loaded_bundle = bundle.load(bundle_folder)
    with pytest.raises(InvalidInputError, match=f"isn't that of bundle {loaded_bundle.manifest.id}"):
        classifier_comparison.compare(
            [other],
            loaded_bundle,
            held_out_windows.read_training_settings(loaded_bundle),
            _CountingProgress(),
        )

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor import bundle
from monitor.bundle.scaler import Scaler
from monitor.core.arrays import FloatArray
from training.config.errors import InputError
from training.data import unseen
from training.data.dataset import Dataset
from training.data.prepare import prepare
from training.evaluate import classifier_comparison, classifiers, comparison_table
from training.evaluate.classifiers import CANDIDATES, Candidate, Score
from training.evaluate.comparison_table import Parts
from training.network.augmentation import Moves

MOVES = Moves(2.0, np.ones(4))


def _data(values: list[float], faulty: list[bool]) -> Dataset:
    count = len(values)
    return Dataset.of(
        stretches=np.zeros(count, dtype=np.intp),
        ts=5.0 * (np.arange(count)[:, None] + np.arange(3)),
        windows=np.broadcast_to(np.array(values)[:, None, None], (count, 3, 4)).copy(),
        faulty=np.array(faulty),
        kinds=np.where(faulty, "offset", ""),
    )


def _parts() -> Parts:
    """A plant where windows above 2 are Faulty, except in the test part, where those above 4 are."""
    train = _data([0, 1, 2, 3, 4, 5], [False, False, False, True, True, True])
    test = _data([0, 1, 2, 3, 4, 5], [False, False, False, False, False, True])
    return Parts(train, train, test, Scaler.of([0] * 4, [1] * 4), 5.0)


def _above(limit: float) -> Candidate:
    def train(_scaled: NDArray[np.float32], _faulty: NDArray[np.bool_]) -> Score:
        return lambda others: (others[:, 0, 0] > limit).astype(float)

    return Candidate(f"above {limit}", train)


def test_the_validation_part_chooses() -> None:
    """Who would be best on the test part isn't taken for that: the test part has no say."""
    settings, score = comparison_table.choose([_above(4), _above(2), _above(0)], _parts())
    assert settings == "above 2"
    standing = comparison_table.judge("x", settings, 3, score, _parts())
    assert standing.quality.false_alarms == 2


def test_all_get_the_same_effort() -> None:
    """Each classifier has the same number of candidates, and no two of them are the same."""
    field = classifiers.classic(0, MOVES)
    learners = {"random forest", "SVM (RBF)", "hist. gradient boosting", "MLP"}
    assert set(field) == learners | {f"{name}, + moves" for name in learners} | {"range check"}
    assert set(classifiers.classic(0, None)) == learners | {"range check"}
    for candidates in field.values():
        assert len({candidate.settings for candidate in candidates}) == CANDIDATES


@pytest.mark.parametrize("name", list(classifiers.classic(0, MOVES)))
def test_each_learns_what_is_plain(name: str) -> None:
    """A fault far outside is found by all of them, scored above 0.5 and within 0 to 1."""
    rng = np.random.default_rng(0)
    faulty = np.arange(200) % 3 == 0
    scaled = (rng.normal(0, 1, (200, 3, 4)) + 20 * faulty[:, None, None]).astype(np.float32)
    scores = classifiers.classic(0, MOVES)[name][-1].train(scaled, faulty)(scaled)
    assert scores.shape == (200,)
    assert ((scores > 0.5) == faulty).all()
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_moves_are_learnt() -> None:
    """What a plant does at another hour is known to who was trained on moved windows, and not to others."""
    rng = np.random.default_rng(0)
    scaled = rng.normal(0, 0.1, (400, 3, 4)).astype(np.float32)
    faulty = np.arange(400) % 2 == 0
    scaled[faulty, :, 0] += 1.5
    later = scaled + np.float32(2)
    field = classifiers.classic(0, MOVES)
    right = {
        name: ((field[name][0].train(scaled, faulty)(later) > 0.5) == faulty).mean()
        for name in ("SVM (RBF)", "SVM (RBF), + moves")
    }
    assert right["SVM (RBF), + moves"] > 0.95 > right["SVM (RBF)"]


def test_a_seed_is_a_result() -> None:
    """What is random in a classifier follows the seed."""
    rng = np.random.default_rng(0)
    scaled, faulty = rng.normal(size=(150, 3, 4)).astype(np.float32), rng.random(150) < 0.4
    scores = [
        classifiers.classic(seed, None)["random forest"][0].train(scaled, faulty)(scaled)
        for seed in (3, 3, 4)
    ]
    assert (scores[0] == scores[1]).all()
    assert (scores[0] != scores[2]).any()


def test_the_table_names_all() -> None:
    """A line each, with F1, MCC, recall of each kind, false alarms a day and time for a million windows."""
    standing = comparison_table.judge(
        "range check", "", 4, _above(2).train(np.empty(0), np.empty(0)), _parts()
    )
    head, _, line = str(comparison_table.Table("time", (standing,))).splitlines()
    for column in ("F1", "MCC", "offset", "false alarms/day", "s per million"):
        assert column in head
    assert line.startswith("| range check | 0.500 |")
    assert standing.seconds_per_million > 0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Put a plain rule in place of each network that would be trained, and leave the slow ones out.

    Returns the kind of network and the split of each that was asked for.
    """
    trained = []

    def network(
        _prepared: object, settings: object, *_: object
    ) -> Callable[[NDArray[np.float32]], FloatArray]:
        trained.append((settings.network, settings.split))  # type: ignore[attr-defined]
        return lambda scaled: (np.abs(scaled).max(axis=(1, 2)) > 3).astype(float)

    few = {"range check": classifiers.classic(0, None)["range check"]}
    monkeypatch.setattr(classifier_comparison, "_network", network)
    monkeypatch.setattr(classifiers, "classic", lambda _seed, _moves: few)
    return trained


class _Counted:
    def __init__(self) -> None:
        self.tasks = 0

    def done(self, note: str) -> None:
        assert note
        self.tasks += 1

    def part(self, share: float) -> None:
        assert 0 <= share <= 1


def test_both_splits_same_windows(bundle_folder: Path, labelled: Path, quick: list[tuple[str, str]]) -> None:
    """By time the bundle itself competes, at random its network is trained anew; all judge one test part."""
    judge = bundle.load(bundle_folder)
    settings = unseen.settings(judge)
    counted = _Counted()
    tables = classifier_comparison.against([labelled], judge, settings, counted)
    assert [table.split for table in tables] == ["time", "random"]
    assert quick.count(("lstm", "time")) == 0
    assert quick.count(("lstm", "random")) == 1
    assert quick.count(("dense", "time")) == CANDIDATES
    assert counted.tasks == classifier_comparison.tasks(settings)
    for table in tables:
        test = prepare([labelled], None, settings.model_copy(update={"split": table.split})).test
        assert table.standings[0].name == "LSTM"
        assert len(table.standings) == 3
        for one in table.standings:
            assert one.quality.found + one.quality.missed == test.faulty.sum()
            assert one.quality.windows_by_kind == table.standings[0].quality.windows_by_kind
    scores = judge.classifier.score(judge.scaler.transform(prepare([labelled], None, settings).test.windows))
    own = tables[0].standings[0].quality
    assert own.found + own.false_alarms == (scores > judge.manifest.threshold).sum()


def test_another_recording_is_no_comparison(bundle_folder: Path, labelled: Path, tmp_path: Path) -> None:
    """The others must learn from what the bundle learnt from; anything else is refused."""
    lines = labelled.read_text().splitlines(keepends=True)
    other = tmp_path / labelled.name
    other.write_text("".join(lines[: len(lines) - 100]))
    judge = bundle.load(bundle_folder)
    with pytest.raises(InputError, match=f"isn't that of bundle {judge.manifest.id}"):
        classifier_comparison.against([other], judge, unseen.settings(judge), _Counted())

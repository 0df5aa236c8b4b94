import numpy as np
import pandas as pd
import pytest
from msgspec import structs

from monitor.bundle import Feature
from monitor.core.errors import InvalidInputError
from tests.support.training_features import FEATURE_NAMES, FEATURES
from training.data.features import describe_sensor
from training.data.simulate import DEFAULT_START, Plant, simulate
from training.faults.fault_kinds import DEFAULT_FAULT_KINDS, FAULT_KINDS, FaultKind, SensorStats
from training.faults.inject import inject


def test_healthy_readings_stay_the_same(plant: pd.DataFrame) -> None:
    """Healthy readings stay the same to the bit, and each faulty one differs."""
    faulty = inject(plant, FEATURES, rate=0.3, seed=0)
    same = (faulty[FEATURE_NAMES] == plant[FEATURE_NAMES]).all(axis=1)
    assert (same == (faulty["label"] == 1)).all()
    assert (same == (faulty["kind"] == "")).all()


def test_rate_0_changes_nothing(plant: pd.DataFrame) -> None:
    """With rate 0 no reading is faulty."""
    pd.testing.assert_frame_equal(
        inject(plant, FEATURES, rate=0, seed=0), plant.assign(kind=""), check_dtype=False
    )


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.7])
def test_the_rate_is_met(plant: pd.DataFrame, rate: float) -> None:
    """About the given share of each group's readings is faulty."""
    share = (inject(plant, FEATURES, rate, seed=1)["label"] == -1).groupby(plant["group"]).mean()
    assert share.between(rate - 0.04, rate + 0.04).all()


def test_every_kind_gets_its_share(plant: pd.DataFrame) -> None:
    """Short kinds such as spikes are injected more often: each kind has at least 1/12 of faulty readings."""
    counts = inject(plant, FEATURES, rate=0.5, seed=0)["kind"].value_counts()
    assert set(counts.index) == {"", *DEFAULT_FAULT_KINDS}
    assert counts[list(DEFAULT_FAULT_KINDS)].min() > counts[list(DEFAULT_FAULT_KINDS)].sum() / 12


def test_drift_and_noise_come_on_request(plant: pd.DataFrame) -> None:
    """Drift and noise are injected only if they are among the given kinds."""
    assert set(FAULT_KINDS) - set(DEFAULT_FAULT_KINDS) == {"drift", "noise"}
    injected = inject(plant, FEATURES, rate=0.5, seed=0, kinds=["drift", "noise", "loss"])
    assert set(injected["kind"]) == {"", "drift", "noise", "loss"}


def test_a_seed_is_one_set_of_faults(plant: pd.DataFrame) -> None:
    """The same seed gives the same faults, another seed others."""
    first, again, other = (inject(plant, FEATURES, 0.3, seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


@pytest.mark.parametrize("kind", list(FAULT_KINDS))
def test_no_fault_is_too_small(plant: pd.DataFrame, kind: str) -> None:
    """Each faulty value differs from the true value by at least half a robust standard deviation."""
    faulty = inject(plant, FEATURES, 0.3, seed=0, kinds=[kind])
    for group, rows in plant.groupby("group").indices.items():
        for name, feature in zip(FEATURE_NAMES, FEATURES, strict=True):
            true_values = plant[name].to_numpy()[rows]
            error = np.abs(faulty[name].to_numpy()[rows] - true_values)
            assert (
                error[error > 0].min(initial=np.inf)
                >= 0.5 * SensorStats.from_values(true_values, describe_sensor(feature)).robust_std - 0.011
            ), group


@pytest.mark.parametrize("kind", [kind for kind in FAULT_KINDS if FAULT_KINDS[kind].measurable])
def test_only_bounds_exceeds_the_measuring_range(plant: pd.DataFrame, kind: str) -> None:
    """No other kind makes an impossible humidity."""
    faulty = inject(plant, FEATURES, 0.5, seed=0, kinds=[kind])
    assert faulty["humidity_1"].between(0, 100).all()
    assert faulty["humidity_2"].between(0, 100).all()


def test_a_partner_stays_healthy(plant: pd.DataFrame) -> None:
    """Faults are on one sensor or one mote, never on both of a pair: a window needs a healthy partner."""
    faulty = inject(plant, FEATURES, 0.5, seed=0)
    changed = faulty[FEATURE_NAMES] != plant[FEATURE_NAMES]
    assert not (changed["temperature_1"] & changed["temperature_2"]).any()
    assert not (changed["humidity_1"] & changed["humidity_2"]).any()
    assert (changed["temperature_1"] & changed["humidity_1"]).any()


def _apply(kind: str, true_values: list[float], size: float) -> list[float]:
    sensor = SensorStats(robust_std=2, p1=10, p99=30, measuring_range=(-40, 125), decimals=2)
    fault_kind: FaultKind = FAULT_KINDS[kind]
    return list(fault_kind.apply(np.array(true_values), size, sensor, np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("offset", -1, [18, 22]),
        ("gain", 1, [22, 26.4]),
        ("stuck", 1, [26, 26]),
        ("stuck", -1, [18, 18]),
        ("bounds", 5, [38, 42]),
        ("spike", 3, [26, 30]),
        ("loss", 1, [0, 0]),
        ("drift", 2, [21, 28]),
        ("drift", -2, [19, 20]),
    ],
)
def test_each_kind_is_what_its_source_says(kind: str, size: float, expected: list[float]) -> None:
    """The faulty values of each kind are those of its definition in the literature."""
    assert _apply(kind, [20, 24], size) == pytest.approx(expected)


def test_a_drift_grows() -> None:
    """The error grows linearly from half a robust standard deviation, the smallest fault, to its size."""
    error = np.array(_apply("drift", [20.0] * 40, 3)) - 20
    assert (error[0], error[-1]) == pytest.approx((1, 6))
    assert np.ptp(np.diff(error)) == pytest.approx(0, abs=1e-12)


def test_noise_scatters_to_both_sides() -> None:
    """Errors vary in sign and size, between the smallest fault and the given size."""
    error = np.array(_apply("noise", [20.0] * 200, 3)) - 20
    assert 1 <= np.abs(error).min() < 1.2
    assert 5.8 < np.abs(error).max() <= 6
    assert 60 < (error > 0).sum() < 140
    assert np.ptp(error[error > 0]) > 4


def test_an_incomplete_reading_gets_no_fault(plant: pd.DataFrame) -> None:
    """A reading with an empty cell stays the same, and others get faults."""
    incomplete = plant.copy()
    incomplete.loc[::7, "humidity_1"] = np.nan
    faulty = inject(incomplete, FEATURES, 0.3, seed=0)
    assert (faulty.loc[::7, "kind"] == "").all()
    pd.testing.assert_frame_equal(faulty.loc[::7, FEATURE_NAMES], incomplete.loc[::7, FEATURE_NAMES])


def test_a_faulty_recording_is_refused(plant: pd.DataFrame) -> None:
    """A recording that has Faulty readings is refused, with the row of the first."""
    label = np.ones(len(plant), dtype=int)
    label[4] = -1
    with pytest.raises(InvalidInputError, match="row 5: label is -1 \\(Faulty\\)"):
        inject(plant.assign(label=label), FEATURES, 0.3, seed=0)


def test_a_group_needs_enough_readings(plant: pd.DataFrame) -> None:
    """A group with too few readings to compute the statistics of its sensors is rejected."""
    with pytest.raises(InvalidInputError, match="line1/station1: 50 readings, expected at least 100"):
        inject(plant.head(100), FEATURES, 0.3, seed=0)


def test_an_undetectable_kind_is_refused(plant: pd.DataFrame) -> None:
    """A fault kind without detectable faults is rejected, such as `loss` if the true values are almost 0."""
    with pytest.raises(InvalidInputError, match="kind loss doesn't show"):
        inject(plant.assign(**dict.fromkeys(FEATURE_NAMES, 0.1)), FEATURES, 0.3, seed=0, kinds=["loss"])


def test_a_whole_mote_is_all_sensors_whose_names_end_alike() -> None:
    """With three quantities some faults affect all three sensors of a mote; the other mote stays healthy."""
    features = [
        Feature(f"{name}_{number}", unit)
        for number in ("a", "b")
        for name, unit in (("temperature", "degC"), ("humidity", "%RH"), ("pressure", "hPa"))
    ]
    frame = simulate(Plant(1, 0, DEFAULT_START, features), 0, 4)
    names = [feature.name for feature in features]
    changed = (inject(frame, features, 0.3, seed=0)[names] != frame[names]).to_numpy().reshape(-1, 2, 3)
    assert not changed.any(axis=2).all(axis=1).any()
    assert set(changed.sum(axis=(1, 2)).tolist()) == {0, 1, 3}


def test_a_better_sensor_has_smaller_faults(plant: pd.DataFrame) -> None:
    """The smallest fault is as large as the accuracy that the feature says."""

    def smallest_offset(accuracy: float) -> float:
        features = [structs.replace(feature, accuracy=accuracy) for feature in FEATURES]
        changes = inject(plant, features, 0.3, seed=0, kinds=["offset"])[FEATURE_NAMES] - plant[FEATURE_NAMES]
        return float(changes.abs().where(changes != 0).min().min())

    assert smallest_offset(5.0) >= 4.9
    assert smallest_offset(0.01) < 2.5

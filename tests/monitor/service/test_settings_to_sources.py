import pytest

from monitor import bundle
from monitor.bundle import default_bundle
from monitor.config.settings import Settings
from monitor.core.errors import ConfigurationError
from monitor.service.settings_to_alignment import adapt_bundle, build_alignment_rules
from monitor.service.settings_to_sources import build_sources

FEATURES = ("temperature_1", "humidity_1", "temperature_2", "humidity_2")
TAGS = {
    "topic": "{rack}/{feature}",
    "format": "number",
    "features": {name: name for name in FEATURES},
}


def _settings(*sources: dict[str, object], **align: object) -> Settings:
    return Settings.model_validate({"input": {"sources": list(sources), "align": align}})


def test_complete_messages_are_not_aligned() -> None:
    """Where every message has all features, there is nothing to align."""
    assert build_alignment_rules(_settings({"topic": "p/{rack}"}), FEATURES, 5.0) is None
    assert build_alignment_rules(Settings(), FEATURES, 5.0) is None


def test_own_max_age() -> None:
    """A source's max_age is that of its features; two that differ for one feature are refused."""
    first = {"topic": "{rack}/t", "features": {"temperature_1": "a", "temperature_2": "b"}, "max_age": 60.0}
    second = {"topic": "{rack}/h", "features": {"humidity_1": "a", "humidity_2": "b"}}
    rules = build_alignment_rules(_settings(first, second), FEATURES, 5.0)
    assert rules is not None
    assert rules.max_age == (60.0, 450.0, 60.0, 450.0)
    third = {"topic": "x", "group": "g/h", "feature": "humidity_1", "format": "number", "max_age": 9.0}
    with pytest.raises(ConfigurationError, match=r"max_age of humidity_1 is 9 s, and 450 s in another"):
        build_alignment_rules(_settings(first, second, third), FEATURES, 5.0)


def test_feature_without_source() -> None:
    """A feature that no source gives is refused: no reading would ever be complete."""
    source = {"topic": "{rack}/t", "features": {"temperature_1": "a", "temperature_2": "b"}}
    with pytest.raises(ConfigurationError, match="no source gives humidity_1, humidity_2"):
        build_alignment_rules(_settings(source), FEATURES, 5.0)


@pytest.mark.parametrize(
    ("topic", "group", "is_ordered"),
    [("{rack}/{feature}", "", True), ("{rack}/{feature}", "all", False), ("{feature}", "all", True)],
)
def test_order(topic: str, group: str, *, is_ordered: bool) -> None:
    """The order of a feature's values is known only where they all come on one topic."""
    rules = build_alignment_rules(_settings({**TAGS, "topic": topic, "group": group}), FEATURES, 5.0)
    assert rules is not None
    assert rules.is_ordered == is_ordered


@pytest.mark.parametrize(("on_change", "max_gap"), [(True, 450.0), (False, 180.0)])
def test_pace_of_aligned_readings(*, on_change: bool, max_gap: float) -> None:
    """Aligned readings come every period; where values hold until they change, silence is no gap."""
    loaded = bundle.load(default_bundle.choose_folder(None))
    settings, adapted = adapt_bundle(_settings(TAGS, period=60.0, on_change=on_change), loaded)
    assert adapted.manifest.sample_period == 60.0
    assert settings.windows.max_gap == max_gap


def test_deadband_raises_the_floor() -> None:
    """The baseline's floor of a feature is at least half its deadband, and never lower than the bundle's."""
    loaded = bundle.load(default_bundle.choose_folder(None))
    assert loaded.manifest.baseline is not None
    before = loaded.manifest.baseline.floors
    deadband = {"temperature_1": 2 * before[0] + 1, "humidity_1": before[1]}
    _, adapted = adapt_bundle(_settings(TAGS, deadband=deadband), loaded)
    assert adapted.manifest.baseline is not None
    assert adapted.manifest.baseline.floors == (before[0] + 0.5, *before[1:])


def test_deadband_and_moves() -> None:
    """A plant's moves widen the unit less where a feature has a deadband, and otherwise as in training."""
    loaded = bundle.load(default_bundle.choose_folder(None))
    _, adapted = adapt_bundle(_settings(TAGS, deadband={"temperature_1": 0.5, "temperature_2": 0.1}), loaded)
    assert adapted.move_growth == (0.1, 0.3, 0.1, 0.3)
    assert adapt_bundle(_settings(TAGS), loaded)[1].move_growth is None


def test_path_of_two_features() -> None:
    """One path for two features is refused: neighbours that are one sensor could never differ."""
    source = {
        "topic": "{rack}",
        "features": {**{name: name for name in FEATURES}, "temperature_2": "temperature_1"},
    }
    with pytest.raises(ConfigurationError, match=r"features: \$.temperature_1 stands for two features"):
        build_sources(_settings(source).input.sources, FEATURES)


def test_groups_that_never_have_all_features() -> None:
    """Sources whose groups have other numbers of names can't make a reading together, and are refused."""
    top = {"topic": "z/{line}/{rack}_top", "features": {"temperature_1": "t", "humidity_1": "h"}}
    bottom = {"topic": "z/{rack}_bottom", "features": {"temperature_2": "t", "humidity_2": "h"}}
    with pytest.raises(
        ConfigurationError, match=r"_top\): no source gives its groups temperature_2, humidity_2"
    ):
        build_alignment_rules(_settings(top, bottom), FEATURES, 5.0)
    for group in ("a/b", "$.rack"):
        rules = build_alignment_rules(_settings(top, {**bottom, "topic": "z", "group": group}), FEATURES, 5.0)
        assert rules is not None

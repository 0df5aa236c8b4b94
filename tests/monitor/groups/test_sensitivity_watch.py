from monitor.groups.sensitivity_watch import SensitivityWatch


def test_once_a_minute() -> None:
    """A group that keeps changing is due once a minute."""
    watch = SensitivityWatch(lambda: ["g"])
    due_at = [second for second in range(300) if watch.take_due(1000.0 + second)]
    assert due_at == [0, 60, 120, 180, 240]


def test_no_flood() -> None:
    """When all groups change at once, some hundred a second are due, each once."""
    names = [f"group{number}" for number in range(1000)]
    changed = [*names]
    watch = SensitivityWatch(lambda: changed)
    portions = [watch.take_due(1000.0 + step / 10) for step in range(50)]
    assert [name for portion in portions for name in portion] == names
    assert max(map(len, portions)) == 200
    assert len([portion for portion in portions if portion]) == 5


def test_added_groups() -> None:
    """Groups that are added are due as well, whether they changed or not."""
    watch = SensitivityWatch(list)
    assert watch.take_due(1000.0) == []
    watch.add(["a", "b"])
    assert watch.take_due(1000.2) == []
    assert watch.take_due(1000.5) == ["a", "b"]
    assert watch.take_due(1001.0) == []

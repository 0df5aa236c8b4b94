import numpy as np
import pytest

from monitor.core.state_table import StateTable

NAMES = [f"line1/{number:04}" for number in range(5000)]


def make_table() -> StateTable:
    """Return an empty table."""
    return StateTable("test", (1, 2), [("count", "<i8"), ("level", "<f8")], {"level": np.nan})


@pytest.fixture
def table() -> StateTable:
    """A table with a record for each name, whose `count` is the name's number."""
    table = make_table()
    for number, name in enumerate(NAMES):
        row = table.add(name)
        table.records["count"][row] = number
    return table


def test_appended_fields() -> None:
    """A record of an earlier version, which lacks the appended fields, is loaded with their defaults."""
    fields = [("count", "<i8")]
    earlier = StateTable("test", (1, 2), fields, {})
    later = StateTable(
        "test",
        (1, 2),
        fields,
        {"level": np.nan, "seen": 7},
        transient_fields=[("seen", "<i8")],
        appended_fields=[("level", "<f8")],
    )
    row = earlier.add("a")
    earlier.records["count"][row] = 5
    later.load("a", earlier.dump("a"))
    record = later.records[later.row("a")]
    assert (record["count"], str(record["level"]), record["seen"]) == (5, "nan", 7)
    later.records["level"][later.row("a")] = 2.5
    later.load("b", later.dump("a"))
    assert later.records["level"][later.row("b")] == 2.5
    with pytest.raises(ValueError, match="23 bytes, expected 24"):
        later.load("c", later.dump("a")[:-1])


def test_growing_keeps_the_records(table: StateTable) -> None:
    """A group keeps its record however often the table grows for others."""
    rows = table.find_or_add(NAMES)
    assert table.records["count"][rows].tolist() == list(range(5000))
    assert np.isnan(table.records["level"][rows]).all()
    assert [table.name(row) for row in rows.tolist()] == NAMES


def test_record_is_the_same_in_another_table(table: StateTable) -> None:
    """A group's dump does not depend on its row: loaded in another order it gives the same dumps."""
    other = make_table()
    for name in reversed(NAMES):
        other.load(name, table.dump(name))
    assert [other.dump(name) for name in NAMES] == [table.dump(name) for name in NAMES]


def test_free_rows_have_the_default_record(table: StateTable) -> None:
    """Rows that were never used and rows of removed groups hold the default record, padding included."""
    default_record = make_table().dump("unknown")
    for name in NAMES[::2]:
        table.forget(name)
    used_rows = set(table.find_or_add(NAMES[1::2]).tolist())
    content, size = table.records.tobytes(), len(default_record)
    records = [content[begin : begin + size] for begin in range(0, len(content), size)]
    assert {record for row, record in enumerate(records) if row not in used_rows} == {default_record}


def test_tables_share_row_numbers() -> None:
    """All tables use the same int objects as row numbers: an int takes 32 bytes, per group and stage."""
    first, second = make_table(), make_table()
    for name in NAMES:
        first.add(name)
        second.add(name)
    assert all(first.row(name) is second.row(name) for name in NAMES)

import numpy as np
import pytest

from monitor.core.state_table import StateTable

NAMES = [f"line1/{number:04}" for number in range(5000)]


def make_table() -> StateTable:
    """Return records that nobody has yet."""
    return StateTable("test", (1, 2), [("count", "<i8"), ("level", "<f8")], {"level": np.nan})


@pytest.fixture
def table() -> StateTable:
    """A record of each group, with its number in it."""
    table = make_table()
    for number, name in enumerate(NAMES):
        row = table.add(name)
        table.records["count"][row] = number
    return table


def test_a_group_keeps_its_record_while_others_come(table: StateTable) -> None:
    """However often there has to be more room."""
    rows = table.find_or_add(NAMES)
    assert table.records["count"][rows].tolist() == list(range(5000))
    assert np.isnan(table.records["level"][rows]).all()
    assert [table.name(row) for row in rows.tolist()] == NAMES


def test_a_record_survives_a_move_whenever_it_is_made(table: StateTable) -> None:
    """What is dumped of a group is its record, wherever that lies by now."""
    other = make_table()
    for name in reversed(NAMES):
        other.load(name, table.dump(name))
    assert [other.dump(name) for name in NAMES] == [table.dump(name) for name in NAMES]


def test_unused_rows_are_blank(table: StateTable) -> None:
    """Also what lies between the groups and the room that there is, and what a group left behind."""
    blank = make_table().dump("nobody")
    for name in NAMES[::2]:
        table.forget(name)
    used_rows = set(table.find_or_add(NAMES[1::2]).tolist())
    content = table.records.tobytes()  # padding too
    rows = [content[begin : begin + len(blank)] for begin in range(0, len(content), len(blank))]
    assert {record for row, record in enumerate(rows) if row not in used_rows} == {blank}


def test_stages_share_the_numbers_of_their_rows() -> None:
    """A number is an object of 32 bytes, and each of three stages has one for each group."""
    first, second = make_table(), make_table()
    for name in NAMES:
        first.add(name)
        second.add(name)
    assert all(first.row(name) is second.row(name) for name in NAMES)

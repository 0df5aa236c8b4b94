import numpy as np
import pytest

from monitor.core.state_table import Grouped

NAMES = [f"line1/{number:04}" for number in range(5000)]


def some() -> Grouped:
    """Return records that nobody has yet."""
    return Grouped("test", (1, 2), [("count", "<i8"), ("level", "<f8")], {"level": np.nan})


@pytest.fixture
def records() -> Grouped:
    """A record of each group, with its number in it."""
    made = some()
    for number, name in enumerate(NAMES):
        row = made.add(name)
        made.records["count"][row] = number
    return made


def test_a_group_keeps_its_record_while_others_come(records: Grouped) -> None:
    """However often there has to be more room."""
    rows = records.find(NAMES)
    assert records.records["count"][rows].tolist() == list(range(5000))
    assert np.isnan(records.records["level"][rows]).all()
    assert [records.name(row) for row in rows.tolist()] == NAMES


def test_a_record_survives_a_move_whenever_it_is_made(records: Grouped) -> None:
    """What is dumped of a group is its record, wherever that lies by now."""
    other = some()
    for name in reversed(NAMES):
        other.load(name, records.dump(name))
    assert [other.dump(name) for name in NAMES] == [records.dump(name) for name in NAMES]


def test_what_no_group_is_in_is_blank(records: Grouped) -> None:
    """Also what lies between the groups and the room that there is, and what a group left behind."""
    blank = some().dump("nobody")
    for name in NAMES[::2]:
        records.forget(name)
    taken = set(records.find(NAMES[1::2]).tolist())
    whole = records.records.tobytes()  # padding too
    found = [whole[begin : begin + len(blank)] for begin in range(0, len(whole), len(blank))]
    assert {record for row, record in enumerate(found) if row not in taken} == {blank}


def test_stages_share_the_numbers_of_their_rows() -> None:
    """A number is an object of 32 bytes, and each of three stages has one for each group."""
    some_rows, others = some(), some()
    for name in NAMES:
        some_rows.add(name)
        others.add(name)
    assert all(some_rows.row(name) is others.row(name) for name in NAMES)

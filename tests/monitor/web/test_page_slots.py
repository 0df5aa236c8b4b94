from monitor.web.page_slots import PageSlots
from tests.monitor.web.test_guess_limit import Clock


def test_places_are_shared() -> None:
    """A client gives way until another one has as many pages; the others of both stay."""
    slots = PageSlots(4, Clock())
    first = [slots.acquire("a") for _ in range(4)]
    assert all(first)
    assert slots.acquire("a") is None
    second = [slots.acquire("b") for _ in range(3)]
    assert [slot is not None for slot in second] == [True, True, False]
    assert [slot is not None and slot.is_lost for slot in first] == [True, True, False, False]
    assert len(slots) == 4


def test_old_pages_give_way() -> None:
    """Where all clients have one page each, one that has been open for a minute gives way."""
    clock = Clock()
    slots = PageSlots(2, clock)
    oldest = slots.acquire("a")
    clock.now += 59
    assert slots.acquire("b")
    assert slots.acquire("c") is None
    clock.now += 1
    assert slots.acquire("c")
    assert oldest is not None
    assert oldest.is_lost
    assert slots.acquire("d") is None


def test_places_are_given_back() -> None:
    """A closed page frees its place, and a lost one frees no other's."""
    slots = PageSlots(2, Clock())
    first, second = slots.acquire("a"), slots.acquire("a")
    third = slots.acquire("b")
    assert first is not None
    assert second is not None
    assert third is not None
    slots.release(first)
    assert len(slots) == 2
    slots.release(second)
    slots.release(third)
    assert len(slots) == 0

from monitor.core.messages import OutboundMessage
from monitor.storage.outbox import Outbox


def _alert(payload: str, topic: str = "alerts/g") -> OutboundMessage:
    return OutboundMessage(topic, payload.encode(), retain=False)


def _state(payload: str, group: str = "g") -> OutboundMessage:
    return OutboundMessage(f"state/{group}", payload.encode(), retain=True)


def _send_all(outbox: Outbox) -> list[OutboundMessage]:
    sent = []
    while message := outbox.first():
        sent.append(message)
        outbox.mark_sent(len(sent))
    return sent


def test_order() -> None:
    """Messages are published in the order in which they were added."""
    outbox = Outbox()
    messages = [_alert("1"), _state("2"), _alert("3"), _state("4", "h")]
    outbox.add(messages[:2])
    outbox.add(messages[2:])
    assert _send_all(outbox) == messages


def test_newest_state_replaces() -> None:
    """A retained message replaces a queued older message on its topic, and is published in its own turn."""
    outbox = Outbox()
    outbox.add([_state("old"), _alert("1"), _state("other", "h"), _state("new")])
    assert len(outbox) == 3
    assert _send_all(outbox) == [_alert("1"), _state("other", "h"), _state("new")]


def test_equal_alerts_all_stay() -> None:
    """Alert events never replace one another, not even equal ones."""
    outbox = Outbox()
    outbox.add([_alert("same"), _alert("same")])
    assert _send_all(outbox) == [_alert("same"), _alert("same")]


def test_message_stays_until_delivered() -> None:
    """A message stays in the outbox until the broker has confirmed it."""
    outbox = Outbox()
    outbox.add([_alert("1"), _alert("2")])
    assert (len(outbox), outbox.in_flight_count) == (2, 0)
    outbox.mark_sent(17)
    assert (len(outbox), outbox.in_flight_count, outbox.first()) == (2, 1, _alert("2"))
    outbox.mark_confirmed(17)
    assert (len(outbox), outbox.in_flight_count) == (1, 0)


def test_unknown_token() -> None:
    """A confirmation with an unknown token changes nothing."""
    outbox = Outbox()
    outbox.add([_alert("1"), _alert("2")])
    outbox.mark_sent(17)
    outbox.mark_confirmed(18)
    assert (len(outbox), outbox.in_flight_count) == (2, 1)


def test_state_in_flight_is_not_replaced() -> None:
    """A newer state does not replace a state that is in flight: both are confirmed in turn."""
    outbox = Outbox()
    outbox.add([_state("old")])
    outbox.mark_sent(1)
    outbox.add([_state("new")])
    assert (len(outbox), outbox.first()) == (2, _state("new"))
    outbox.mark_sent(2)
    outbox.mark_confirmed(1)
    assert len(outbox) == 1
    outbox.mark_confirmed(2)
    assert (len(outbox), outbox.first()) == (0, None)


def test_unstored_message() -> None:
    """A message outside the outbox counts as in flight until it is confirmed, and leaves nothing behind."""
    outbox = Outbox()
    outbox.mark_unstored_sent(17)
    assert (len(outbox), outbox.in_flight_count) == (0, 1)
    outbox.mark_confirmed(17)
    assert (outbox.in_flight_count, outbox.unsaved_messages, outbox.removed_numbers) == (0, {}, set())

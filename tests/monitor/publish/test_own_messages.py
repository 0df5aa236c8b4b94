"""Which messages a stored outbox may have."""

import pytest

from monitor.core.messages import OutboundMessage
from monitor.core.sparkplug_topics import rebirth_topic
from monitor.ingest.formats.sparkplug_schema import payload_type
from monitor.ingest.sparkplug_session import rebirth_payload
from monitor.publish.home_assistant import Discovery
from monitor.publish.own_messages import OwnMessages

REBIRTH = rebirth_payload(1_700_000_000_000)
OWN = OwnMessages("home.assistant")


@pytest.mark.parametrize(
    "message",
    [
        OutboundMessage("alerts/line1/a", b"{}", retain=False),
        OutboundMessage("state/line1/a", b"", retain=True),
        OutboundMessage("muted", b"[]", retain=True),
        Discovery("home.assistant", "sensor-monitor").withdraw("line 1/ä"),
        OutboundMessage(rebirth_topic("g", "e"), REBIRTH, retain=False, is_full_topic=True),
    ],
)
def test_own(message: OutboundMessage) -> None:
    """What the monitor itself stores is its own."""
    assert OWN.include(message)


def _reboot() -> bytes:
    payload = payload_type().FromString(REBIRTH)
    payload.metrics[0].name = "Node Control/Reboot"
    return bytes(payload.SerializeToString())


@pytest.mark.parametrize(
    ("topic", "payload", "retain", "whole"),
    [
        ("info", b"{}", True, False),
        ("status", b"offline", True, False),
        ("request/forget", b"{}", False, False),
        ("alerts", b"{}", False, False),
        ("alerts/a", b"{}", True, False),
        ("state/a", b"{}", False, False),
        ("muted", b"[]", False, False),
        ("alerts/a", b"{}", False, True),
        ("sensor-monitor/info", b"{}", True, True),
        ("homeXassistant/binary_sensor/a-1/config", b"", True, True),
        ("home.assistant/binary_sensor/a-1/config", b"{}", True, True),
        ("home.assistant/binary_sensor/a/1/config", b"", True, True),
        ("home.assistant/binary_sensor/a-1/config\n", b"", True, True),
        ("spBv1.0/g/NCMD/e", b"", False, True),
        ("spBv1.0/g/NCMD/e", b"\xff", False, True),
        ("spBv1.0/g/NCMD/e", _reboot(), False, True),
        ("spBv1.0/g/NCMD/e", REBIRTH + REBIRTH, False, True),
        ("spBv1.0/g/NCMD/e", REBIRTH, True, True),
        ("spBv1.0/g/DCMD/e", REBIRTH, False, True),
        ("spBv1.0/g/NCMD/e/d", REBIRTH, False, True),
    ],
)
def test_foreign(topic: str, payload: bytes, *, retain: bool, whole: bool) -> None:
    """What would be carried out by others, or by the monitor itself, is not."""
    assert not OWN.include(OutboundMessage(topic, payload, retain=retain, is_full_topic=whole))

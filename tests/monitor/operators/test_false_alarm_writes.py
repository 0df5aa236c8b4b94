"""The file of false alarms on a slow disk, and a process that is killed before it answers."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from monitor.core.messages import InboundMessage
from monitor.core.verdicts import AlertEvent
from monitor.groups.reading_history import ReadingsAround
from monitor.operators.false_alarms import FalseAlarmFile
from tests.conftest import TIMEOUT_S
from tests.monitor.operators.operator_pipeline import OperatorHarness, incident_id
from tests.monitor.service.pipeline_fixture import message
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES


class SlowFile(FalseAlarmFile):
    """A file on a disk that writes a row only when the test allows it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, NAMES)
        self.release = threading.Event()
        self.threads: list[str] = []

    def append(self, event: AlertEvent, readings: ReadingsAround) -> bool:
        self.threads.append(threading.current_thread().name)
        assert self.release.wait(TIMEOUT_S)
        return super().append(event, readings)


@pytest.fixture
def operators(toy_bundle: Path, tmp_path: Path) -> OperatorHarness:
    """A group with an open incident."""
    operators = OperatorHarness(toy_bundle, tmp_path)
    operators.send_readings(3, HEALTHY, HEALTHY, FAULTY)
    return operators


@pytest.fixture
def slow_file(operators: OperatorHarness) -> Iterator[SlowFile]:
    """The file of false alarms, on a slow disk."""
    file = SlowFile(operators.file)
    operators.harness.commands.false_alarms = file
    yield file
    file.release.set()


def _rows(operators: OperatorHarness) -> list[str]:
    """Return the incidents in the file."""
    if not operators.file.exists():
        return []
    lines = operators.file.read_text().splitlines()[1:]
    return list(dict.fromkeys(line.split(",")[0] for line in lines))


def test_pipeline_judges_while_a_row_is_written(
    operators: OperatorHarness, slow_file: SlowFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow disk readings are judged and alerts published; requests are answered in their order."""
    harness, seen = operators.harness, []
    acknowledge = harness.acknowledge

    def acknowledge_and_release(messages: Sequence[InboundMessage]) -> None:
        acknowledge(messages)
        if messages:  # the disk takes the row only after the readings were judged
            seen.append((harness.payloads("alerts/h")[0]["status"], list(operators.responses)))
            slow_file.release.set()

    monkeypatch.setattr(harness, "acknowledge", acknowledge_and_release)
    operators.send_request("false-alarm", group="g", transaction=1)
    operators.send_request("acknowledge", group="g", transaction=2)
    operators.send_request("silence", group="g", minutes=1, transaction=3)
    harness.run((4, []), (5, [message(ts, FAULTY, "p/h") for ts in (3, 4, 5)]))
    assert seen == [("firing", [])]
    assert slow_file.threads == ["false alarm"]
    assert [(said["transaction"], said["status"]) for said in operators.responses] == [
        (1, "ok"),
        (2, "error"),
        (3, "ok"),
    ]
    assert operators.responses[1]["error"] == "'g' has no open incident"
    assert _rows(operators) == [incident_id(3)]


def test_incident_that_ends_while_a_row_is_written(
    operators: OperatorHarness, slow_file: SlowFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An incident that Normal windows ended during the write is still a false alarm, and ends once."""
    harness, acknowledge = operators.harness, operators.harness.acknowledge

    def acknowledge_and_release(messages: Sequence[InboundMessage]) -> None:
        acknowledge(messages)
        if messages:
            slow_file.release.set()

    monkeypatch.setattr(harness, "acknowledge", acknowledge_and_release)
    operators.send_request("false-alarm", group="g")
    harness.run((4, []), (7, [message(ts, HEALTHY) for ts in (4, 5, 6)]))
    assert operators.events() == [(incident_id(3), "firing"), (incident_id(3), "resolved")]
    assert operators.responses == [{"status": "ok", "incident": incident_id(3)}]


def test_process_that_dies_before_the_row_is_written(
    operators: OperatorHarness,
    slow_file: SlowFile,
    toy_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request whose row is not on the disk is not answered, and the next process executes it."""
    operators.send_request("false-alarm", group="g")
    with monkeypatch.context() as patch:
        patch.setattr("monitor.service.pipeline._DRAIN_TIMEOUT_S", -1.0)  # the row never comes
        operators.harness.run((4, []), (5, []))
    assert slow_file.threads == ["false alarm"]
    assert (operators.responses, _rows(operators)) == ([], [])
    _check_next_process(operators, toy_bundle, tmp_path)


def test_process_that_dies_before_it_answers(
    operators: OperatorHarness, toy_bundle: Path, tmp_path: Path
) -> None:
    """A request whose row is on the disk and whose effect is not stored is executed again, with one row."""
    before = operators.harness.groups.dump("g")
    operators.harness.commit_succeeds = operators.harness.commit_now_succeeds = False
    operators.send_request("false-alarm", group="g")
    operators.harness.run((4, []), (5, []))
    assert (operators.responses, _rows(operators)) == ([], [incident_id(3)])
    _check_next_process(operators, toy_bundle, tmp_path, before)


def _check_next_process(
    operators: OperatorHarness, toy_bundle: Path, tmp_path: Path, stored: bytes | None = None
) -> None:
    """Check that the next process executes the request; the previous one stored this state of the group."""
    value = stored or operators.harness.groups.dump("g") or b""
    following = OperatorHarness(toy_bundle, tmp_path, stored={"g": value})
    assert following.request_at(6, "false-alarm", group="g") == {"status": "ok", "incident": incident_id(3)}
    assert following.events() == [(incident_id(3), "resolved")]
    assert _rows(following) == [incident_id(3)]

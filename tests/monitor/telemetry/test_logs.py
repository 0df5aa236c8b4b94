import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest

from monitor.core.readings import Outcome, RejectedReading
from monitor.core.verdicts import AlertEvent
from monitor.telemetry.logs import PipelineLog, RequestLog, configure_logging


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn")
    handlers, level, uvicorn_level = root.handlers[:], root.level, uvicorn.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    uvicorn.setLevel(uvicorn_level)


def _rejected_reading(
    outcome: Outcome = Outcome.MALFORMED, reason: str = "no ts", topic: str = "p/g"
) -> RejectedReading:
    return RejectedReading(outcome, topic, reason)


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_rejection_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A rejected reading is logged with its outcome, topic and reason."""
    PipelineLog().log_rejected([_rejected_reading()])
    assert caplog.messages == ["malformed reading of p/g: no ts"]


def test_unreadable_groups(caplog: pytest.LogCaptureFixture) -> None:
    """A group whose stored state can't be read is logged with the reason."""
    PipelineLog().log_load_errors(["state of 'a' can't be read"])
    assert caplog.messages == [
        "a group can't be restored from the store and starts without history: state of 'a' can't be read"
    ]


def test_mixed_senders(caplog: pytest.LogCaptureFixture) -> None:
    """A group whose readings seem to come from two devices is logged with what to look at."""
    PipelineLog().log_mixed_senders(["line1/a"])
    (text,) = caplog.messages
    assert text.startswith("group line1/a: its readings alternate between two levels")
    assert "input.topics" in text


def test_silent_groups(caplog: pytest.LogCaptureFixture) -> None:
    """Groups that fall silent are logged, of a whole plant a few, and how many more there were."""
    caplog.set_level(logging.INFO)
    clock = _Clock()
    log = PipelineLog(clock)
    log.log_silent([f"line1/{number}" for number in range(100)])
    assert caplog.messages[0] == "group line1/0 is silent: no usable reading for windows.stale_after"
    assert len(caplog.messages) == 5
    clock.now += 60
    log.log_silent(["line2/0"])
    assert caplog.messages[5].endswith(" (and 95 more since the last such line)")
    assert {record.levelno for record in caplog.records} == {logging.INFO}


def test_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A reason is logged once a minute, with the number of repetitions in between."""
    clock = _Clock()
    log = PipelineLog(clock)
    log.log_rejected([_rejected_reading(), _rejected_reading()])
    clock.now += 59.5
    log.log_rejected([_rejected_reading()])
    assert caplog.messages == ["malformed reading of p/g: no ts"]
    clock.now += 0.5
    log.log_rejected([_rejected_reading()])
    clock.now += 60
    log.log_rejected([_rejected_reading()])
    assert caplog.messages[1:] == [
        "malformed reading of p/g: no ts (and 2 more since the last such line)",
        "malformed reading of p/g: no ts",
    ]


def test_sources_per_reason_are_limited(caplog: pytest.LogCaptureFixture) -> None:
    """Of many topics with the same reason five are logged each minute, and the others are counted."""
    clock = _Clock()
    log = PipelineLog(clock)
    rejected = [_rejected_reading(topic=f"p/{number}") for number in range(9)]
    log.log_rejected([*rejected, *rejected])
    clock.now += 60
    log.log_rejected(rejected[:1:-1])
    assert caplog.messages == [
        *(f"malformed reading of p/{number}: no ts" for number in range(5)),
        "malformed reading of p/8: no ts (and 13 more since the last such line)",
        *(f"malformed reading of p/{number}: no ts" for number in (7, 6, 5, 4)),
    ]


def test_variable_text_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    """Reasons that differ only in a number or in quoted text count as one reason."""
    log = PipelineLog(_Clock())
    log.log_rejected(
        [_rejected_reading(reason=f"ts is '{text}' at $[{n}]") for n, text in enumerate(("a", "b", "c"))]
    )
    assert caplog.messages == ["malformed reading of p/g: ts is 'a' at $[0]"]


def test_reasons_are_throttled_separately(caplog: pytest.LogCaptureFixture) -> None:
    """A reason does not suppress another reason, nor the same reason of another outcome."""
    log = PipelineLog(_Clock())
    rejected = [
        _rejected_reading(),
        _rejected_reading(reason="no number"),
        _rejected_reading(Outcome.UNMATCHED, "no ts"),
    ]
    log.log_rejected(rejected)
    log.log_rejected(rejected)
    assert caplog.messages == [
        "malformed reading of p/g: no ts",
        "malformed reading of p/g: no number",
        "unmatched reading of p/g: no ts",
    ]


def test_number_of_reasons_is_limited(caplog: pytest.LogCaptureFixture) -> None:
    """Ever new reasons fill neither log nor memory: those beyond a hundred share one line a minute."""
    clock = _Clock()
    log = PipelineLog(clock)
    reasons = [f"{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(300)]
    log.log_rejected([_rejected_reading(reason=reason) for reason in reasons])
    assert len(caplog.messages) == 101
    clock.now += 60
    log.log_rejected([_rejected_reading(reason=f"new {reason}") for reason in reasons])
    assert caplog.messages[101:] == [
        "malformed reading of p/g: new aa (and 199 more since the last such line)"
    ]


def test_refused_requests(caplog: pytest.LogCaptureFixture) -> None:
    """A refused request is logged with its name; the same refusal soon after is not logged again."""
    log = RequestLog()
    log.log_rejected("silence", "no 'a'")
    log.log_rejected("silence", "no 'b'")
    log.log_rejected("silence", "no 'a'")
    log.log_rejected("reload", "no 'a'")
    log.log_rejected("silence", "bad")
    assert caplog.messages == [
        "request 'silence' is refused: no 'a'",
        "request 'silence' is refused: no 'b'",
        "request 'reload' is refused: no 'a'",
        "request 'silence' is refused: bad",
    ]


def test_each_alert_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Each alert event is logged with status, group and incident, and with the reason if it is known."""
    caplog.set_level(logging.INFO)
    event = AlertEvent("g:1000", "firing", "g", 0.75, 1.0, None, [1.0], [[1.0]], out_of_range=False)
    events = [event, replace(event, repeat=2), replace(event, reason="it is odd")]
    PipelineLog().log_alerts([*events, replace(event, status="resolved")])
    assert caplog.messages == [
        "firing g: score 0.750, incident g:1000",
        "firing again (2) g: score 0.750, incident g:1000",
        "firing g: it is odd; score 0.750, incident g:1000",
        "resolved g: score 0.750, incident g:1000",
    ]


CONTROL_CHARACTERS = "p/\n2026-01-01 forged\r\x1b[2J\u2028\x85\0end"


def _read_log(capfd: pytest.CaptureFixture[str]) -> str:
    for handler in logging.getLogger().handlers:
        handler.flush()
    return capfd.readouterr().err


def test_text_stays_on_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Control characters in a topic cannot forge a line of the log or reach a terminal."""
    configure_logging("info", "text")
    PipelineLog().log_rejected([_rejected_reading(topic=CONTROL_CHARACTERS)])
    (line,) = _read_log(capfd).removesuffix("\n").splitlines()
    assert line.isprintable()
    assert r"p/\n2026-01-01 forged\r\x1b[2J\u2028\x85\x00end" in line
    assert " WARNING malformed reading of " in line


def test_arguments_of_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Arguments of a log line are inserted once, even if they contain percent signs."""
    configure_logging("info", "text")
    logging.getLogger("x").info("%s of %s", "100 %s", "é")
    assert "100 %s of é" in _read_log(capfd)


def test_json(capfd: pytest.CaptureFixture[str]) -> None:
    """In JSON each record is an object on one line, with the message unchanged."""
    configure_logging("info", "json")
    PipelineLog().log_rejected([_rejected_reading(topic=CONTROL_CHARACTERS)])
    (line,) = _read_log(capfd).removesuffix("\n").splitlines()
    content = json.loads(line)
    assert set(content) == {"ts", "level", "logger", "message"}
    assert (content["level"], content["logger"]) == ("warning", "monitor.pipeline")
    assert content["message"] == f"malformed reading of {CONTROL_CHARACTERS}: no ts"


def test_json_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    """In JSON an exception's traceback is a field of its record."""
    configure_logging("info", "json")
    try:
        raise RuntimeError("broken")  # noqa: TRY301
    except RuntimeError:
        logging.getLogger("x").exception("it failed")
    content = json.loads(_read_log(capfd))
    assert content["traceback"].endswith("RuntimeError: broken")


@pytest.mark.parametrize(("level", "line_count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_level(level: str, line_count: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Records below the level are not logged."""
    configure_logging(level, "text")
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger("x").log(number, "something")
    assert len(_read_log(capfd).splitlines()) == line_count


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_stderr_is_closed(log_format: Literal["text", "json"], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started without stderr logs nothing, and goes on."""
    monkeypatch.setattr("sys.stderr", None)
    dropped_count = configure_logging("info", log_format)
    logging.getLogger("x").error("unheard")
    assert dropped_count() == 0


def _event(number: int) -> AlertEvent:
    return AlertEvent(
        id=f"g:{number}",
        status="firing",
        group="g",
        score=0.9,
        started_at=0.0,
        ended_at=None,
        window_ts=[],
        window_values=[],
        out_of_range=False,
    )


def test_flood_of_alerts_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """In a flood of alert events the first thousand of a minute are logged and the rest counted."""
    clock = _Clock()
    log = PipelineLog(clock)
    for begin in (0, 900, 1800):
        log.log_alerts([_event(number) for number in range(begin, begin + 900)])
    logged = [text for text in caplog.messages if text.startswith("firing g")]
    assert len(logged) == 1000
    assert [text for text in caplog.messages if text not in logged] == [
        "more than 1000 alert events within a minute: the rest are counted, not written"
    ]
    clock.now += 60
    caplog.clear()
    log.log_alerts([_event(0)])
    assert caplog.messages[0] == "1700 more alert events were published than written here"
    assert len(caplog.messages) == 2

"""Messages that the broker does not take, among many that it takes."""

from dataclasses import dataclass
from pathlib import Path

from tests.chaos.harness import Harness, wait_all_counted, wait_while_progressing
from tests.chaos.reading_generator import ReadingGenerator
from tests.chaos.results import ALERT_PREFIX, STATE_PREFIX, ResultRow, expected_events

__all__ = ["refuse_messages"]

_GROUP_COUNT = 200
_MAX_PACKET_SIZE = 1000
"""Bytes of the largest packet that the broker takes: an alert of an ordinary group has about 600."""
_MAX_LOG_LINES = 100
"""Lines beside those of alerts, however many messages were refused; usually there are 15."""
_MAX_LOGGED_TOPIC = 200
"""Characters of a topic that the log writes."""


@dataclass(frozen=True, slots=True)
class _LargeGroup:
    """A group whose name makes its messages too large."""

    name: str
    mode: str
    """`alerts.mode` of the monitor."""
    is_state_too_large: bool
    """Whether its states are too large, and not only its alerts."""

    @property
    def refused_topics(self) -> list[str]:
        prefixes = (ALERT_PREFIX, STATE_PREFIX) if self.is_state_too_large else (ALERT_PREFIX,)
        return [prefix + self.name for prefix in prefixes]


_LARGE_ALERTS = _LargeGroup(f"line/{'a' * 180}", "every_window", is_state_too_large=False)
_LARGE_STATES = _LargeGroup(f"line/{'s' * 400}", "lifecycle", is_state_too_large=True)
_RUNS = (("5", _LARGE_STATES), ("3.1.1", _LARGE_ALERTS), ("5", _LARGE_ALERTS), ("3.1.1", _LARGE_STATES))
"""Versions of MQTT, each with each large group."""


def refuse_messages(folder: Path, count: int, seed: int, max_runs: int = len(_RUNS)) -> ResultRow:
    """Send readings until `count` messages of one group were refused.

    Parameters
    ----------
    max_runs : 2 for each version of MQTT and each large group once; by default each version with each group.
    """
    total = ResultRow("messages of one group larger than the broker takes", count)
    for version, large_group in _RUNS[:max_runs]:
        with Harness(
            folder / f"{version}-{large_group.mode}",
            seed,
            large_group.mode,
            mqtt=f'version = "{version}"',
            readings=ReadingGenerator(_GROUP_COUNT, seed, further_groups=(large_group.name,)),
            broker_lines=(f"max_packet_size {_MAX_PACKET_SIZE}",),
        ) as harness:
            total.add(_refuse_until(harness, count, large_group))
    return total


def _refuse_until(harness: Harness, count: int, large_group: _LargeGroup) -> ResultRow:
    harness.load_generator.start()
    _wait_refused(harness, count)
    sent_readings = harness.load_generator.finish()
    large_readings = [reading for reading in sent_readings if reading.group == large_group.name]
    other_readings = [reading for reading in sent_readings if reading.group != large_group.name]
    alert_count = len(expected_events(harness.bundle, harness.mode, large_readings))
    # Each reading changes the state once at most, and the first one does.
    min_states, max_states = (1, len(large_readings)) if large_group.is_state_too_large else (0, 0)
    wait_all_counted(harness.monitor, len(sent_readings))
    _wait_refused(harness, alert_count + min_states)
    refused_count = int(harness.monitor.metric("messages_refused_total"))
    row = harness.compare(ResultRow("", 1, len(sent_readings)), [other_readings])
    if not alert_count + min_states <= refused_count <= alert_count + max_states:
        row.failures.append(f"{refused_count} messages counted as refused, of {alert_count} alerts")
    if not alert_count:
        row.failures.append(f"none of {len(large_readings)} readings of the large group gave an alert")
    row.failures += _check_log(harness.monitor.log(), large_group)
    row.notes.append(f"{refused_count} refused, {alert_count} of them alerts")
    return row


def _wait_refused(harness: Harness, count: int) -> None:
    def refused_count() -> int:
        return int(harness.monitor.metric("messages_refused_total"))

    wait_while_progressing(
        lambda: refused_count() >= count, refused_count, f"{count} refused messages are counted"
    )


def _check_log(log: str, large_group: _LargeGroup) -> list[str]:
    """Return a failure if a refused topic isn't named exactly once, or the log is too long."""
    lines = log.splitlines()
    named = [line for line in lines if "set aside a message" in line]
    topics = large_group.refused_topics
    failures = []
    if len(named) != len(topics) or not all(f"'{topic[:_MAX_LOGGED_TOPIC]}'" in log for topic in topics):
        failures.append(f"the log names {len(named)} refused topics instead of {len(topics)}")
    other_count = sum(", incident " not in line for line in lines)
    if other_count > _MAX_LOG_LINES:
        failures.append(f"{other_count} log lines beside those of alerts")
    return failures

"""Says what one message would become, if it came on a given topic."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.core.errors import InvalidInputError
from monitor.core.printable import printable
from monitor.core.readings import Arrivals
from monitor.core.times import describe_lead, format_iso
from monitor.core.topics import Template
from monitor.ingest.decoded_messages import DecodedMessages
from monitor.service.settings_to_alignment import is_complete
from monitor.service.settings_to_decoder import build_decoder

__all__ = ["describe_sample"]

_Sample = tuple[str, float, list[tuple[int, float]]]
"""Group, event time (NaN: the message has none), and (index of the feature, value) for each value."""

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86400.0
_ABSENT = "absent: null, bad quality, or a text of absent"
# Records of a message that are shown; of an array of a thousand readings, the first say enough.
_MAX_SHOWN = 10


def describe_sample(
    settings: Settings, manifest: Manifest, file: Path, topic: str, now: float
) -> tuple[str, bool]:
    """Return what the payload in a file would become, in several lines, and whether any of it is usable.

    Parameters
    ----------
    topic : the topic that it came on.
    now : seconds since the Unix epoch.

    Raises
    ------
    InvalidInputError : the file can't be read, or the topic is none.
    """
    if not topic or any(character in topic for character in "+#\0"):
        raise InvalidInputError(f"--topic: {topic!r} is no topic; expected one without wildcards")
    try:
        payload = file.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"--sample: {file} can't be read: {error.strerror}") from error
    report = _Report(settings, manifest, now)
    lines: list[str] = []
    for name, candidate in _candidates(settings, topic):
        decoder = build_decoder(candidate, manifest.feature_names)
        # Without an arrival time, what has no event time of its own shows as NaN.
        arrivals = Arrivals(np.full(1, now), np.full(1, np.nan), np.zeros(1))
        lines += [name, *report.describe(decoder.decode([(topic, payload, None, 0)], arrivals), candidate)]
    return "\n".join(lines), report.usable_count > 0


def _candidates(settings: Settings, topic: str) -> Iterator[tuple[str, Settings]]:
    """Yield each source that reads the messages on a topic, as settings with this source only.

    If there is none, the settings as they are: decoding then says why.
    """
    found = False
    for number, source in enumerate(settings.input.sources):
        if Template(source.topic).match(topic) is not None:
            found = True
            input_settings = settings.input.model_copy(update={"sources": (source,)})
            name = f"input.sources.{number} ({source.topic}, {source.format}):"
            yield name, settings.model_copy(update={"input": input_settings})
    if found:
        return
    matching = [text for text in settings.input.all_topics if Template(text).match(topic) is not None]
    yield (f"input.topics ({matching[0]}, json):" if matching else f"topic {printable(topic)}:"), settings


class _Report:
    """Describes decoded messages.

    Parameters
    ----------
    now : seconds since the Unix epoch.
    """

    def __init__(self, settings: Settings, manifest: Manifest, now: float) -> None:
        self._manifest = manifest
        self._max_skew = settings.windows.max_skew
        self._now = now
        self.usable_count = 0
        """Values that the monitor would take."""

    def describe(self, decoded: DecodedMessages, settings: Settings) -> list[str]:
        """Return lines that say what a message became: values and refusals."""
        samples = list(_samples(decoded, len(self._manifest.features)))
        lines = [line for sample in samples[:_MAX_SHOWN] for line in self._describe_sample(sample)]
        self.usable_count += sum(self._count_usable(sample) for sample in samples[_MAX_SHOWN:])
        if len(samples) > _MAX_SHOWN:
            lines.append(f"  and {len(samples) - _MAX_SHOWN} more")
        rejected = [(str(item.outcome), item.reason) for item in decoded.rejected]
        rejected += [(str(item.outcome), item.reason) for item in decoded.rejected_values]
        lines += [f"  refused, {outcome}: {printable(reason)}" for outcome, reason in rejected[:_MAX_SHOWN]]
        if not lines:
            return ["  nothing: the monitor publishes on this topic itself, or no feature is in it"]
        sources = settings.input.sources
        if samples and sources and not is_complete(sources[0], self._manifest.feature_names):
            lines.append(f"  {_describe_rest(samples, self._manifest.feature_names)}")
        return lines

    def _describe_sample(self, sample: _Sample) -> Iterator[str]:
        group, ts, values = sample
        self.usable_count += self._count_usable(sample)
        yield f"  group {printable(group)}"
        for index, value in values:
            feature = self._manifest.features[index]
            is_absent = math.isnan(value)
            number = f"{value:g} {feature.unit}".rstrip()
            yield f"    {feature.name} {_ABSENT if is_absent else number}"
        yield f"    ts {self._describe_ts(ts)}"

    def _count_usable(self, sample: _Sample) -> int:
        _, ts, values = sample
        is_future = ts - self._now > self._max_skew
        return 0 if is_future else sum(not math.isnan(value) for _, value in values)

    def _describe_ts(self, ts: float) -> str:
        if math.isnan(ts):
            return "none: it counts as measured when it comes, and is dropped if the broker retained it"
        age = self._now - ts
        if -age > self._max_skew:
            lead = describe_lead(-age)
            return f"{format_iso(ts)}, ahead of this machine's clock by {lead}: refused, future"
        return f"{format_iso(ts)}, {_describe_age(age)}"


def _samples(decoded: DecodedMessages, features: int) -> Iterator[_Sample]:
    """Yield the readings of a message, then its values by group and event time."""
    readings, values = decoded.readings, decoded.values
    for row, group in enumerate(readings.groups):
        numbers = readings.values[row].tolist()
        yield group, float(readings.ts[row]), list(zip(range(features), numbers, strict=True))
    if values is None:
        return
    by_time: dict[tuple[str, str], _Sample] = {}
    rows = zip(
        values.groups, values.ts.tolist(), values.features.tolist(), values.values.tolist(), strict=True
    )
    for group, ts, feature, value in rows:
        # The text of a time, for NaN doesn't equal NaN.
        by_time.setdefault((group, str(ts)), (group, ts, []))[2].append((feature, value))
    yield from by_time.values()


def _describe_rest(samples: Sequence[_Sample], features: Sequence[str]) -> str:
    present = {index for _, _, values in samples for index, _ in values}
    missing = [name for index, name in enumerate(features) if index not in present]
    if not missing:
        return "each value is aligned with the group's others into readings"
    return f"nothing here of {', '.join(missing)}: other messages must bring them"


def _describe_age(age: float) -> str:
    if age < 0:
        return f"{-age:.1f} s ahead of this machine's clock"
    for unit, seconds in (("days", _DAY_S), ("h", _HOUR_S), ("min", _MINUTE_S)):
        if age >= 2 * seconds:
            return f"{age / seconds:.1f} {unit} ago"
    return f"{age:.1f} s ago"

"""Incidents -> the kind of fault, decided anew with each faulty reading.

The kinds are those that training injects, see `training.faults.fault_kinds`. What tells them apart is how the
error, a sensor's value minus the value that it should have, goes on:

- `loss`: the value is exactly 0.
- `bounds`: the value can't be, or the error is far larger than the range of the group's values.
- `spike`: the error ends after three readings at most.
- `stuck`: the value stays the same while the expected value changes.
- `noise`: the error has both signs.
- `drift`: the error grows from reading to reading.
- `gain`: the value changes more, or less, than the expected value, in the proportion of the two.
- `offset`: the error stays the same.

At an incident's first window one reading is faulty, and only `loss` and values that can't be are certain.
Offset and gain look the same as long as the true value stays the same. What stays the same as far as was seen
is called `offset`; it becomes `gain` when the changes of the value say so.
"""

import math
from collections.abc import Sequence

import msgspec

from monitor.core.numbers import Count

__all__ = ["FAULT_KINDS", "FaultEvidence", "SensorError"]

FAULT_KINDS = ("offset", "gain", "stuck", "bounds", "spike", "loss", "drift", "noise")
"""The names of the kinds."""

_MAX_SPIKE_READINGS = 3
# An error below this share of the sensor's mean error in the incident isn't the fault: after a fault of 100
# units a sensor is often 3 units from its expected value, as its neighbours' baseline moved on meanwhile.
_MIN_RELATIVE_ERROR = 0.2
# Share of the errors with the rarer sign. Errors of an offset have one sign, those of noise both.
_MIN_NOISE_SHARE = 0.15
# Number of changes of the neighbour while the sensor's value stays: with an offset the chance is exp(-3), as
# sensors of one kind change their values equally often.
_MIN_EXPECTED_CHANGES = 3
# A drift's errors lie on a line: 12 readings with this correlation, which grew by half of their mean.
_MIN_DRIFT_READINGS, _MIN_DRIFT_CORRELATION, _MIN_DRIFT_GROWTH = 12, 0.9, 0.5
# Minimum log likelihood ratio of gain over offset. With it 34 of 119 gains were told, and 5 of 121 offsets
# called gain; of those of 120 to 600 readings, 76 of 161 and 9 of 133. With 1.5 it was 13 of 133 offsets.
_MIN_GAIN_LOG_RATIO = 2.0
# At most this many readings count for it: errors of one sensor are much alike over minutes.
_MAX_INDEPENDENT_READINGS = 60
# Smaller than the square of any sensor's resolution: keeps ratios of sums of squares finite.
_TINY = 1e-12


class SensorError(msgspec.Struct, frozen=True, gc=False):
    """A sensor's error in one reading."""

    sensor: int
    """Index of the feature."""
    value: float
    expected: float
    """The value that the sensor should have."""
    units: float
    """Absolute error in units of the group's baseline."""
    is_far: bool
    """Whether the error is far larger than the range of the group's values."""
    is_impossible: bool
    """Whether the sensor can't have this value."""


class _SensorEvidence(msgspec.Struct, array_like=True, gc=False):
    """The faulty readings of one sensor in an incident, as counts and sums.

    Sums are of values and expected values minus those of the first faulty reading, which keeps their digits.
    """

    first_value: float
    first_expected: float
    lowest: float
    highest: float
    last_expected: float
    count: Count = 0
    run: Count = 0
    """Number of faulty readings up to now without a healthy one between them."""
    longest_run: Count = 0
    far_count: Count = 0
    impossible_count: Count = 0
    positive_count: Count = 0
    """Number of readings with a value above the expected one."""
    expected_changes: Count = 0
    """How often the expected value differed from the one before."""
    units: float = 0.0
    """Sum of the absolute errors, in units of the baseline."""
    value_sum: float = 0.0
    expected_sum: float = 0.0
    value_squares: float = 0.0
    expected_squares: float = 0.0
    products: float = 0.0
    """Sum of value times expected value."""
    error_moments: float = 0.0
    """Sum of error times number of the reading, from 0."""

    def add(self, error: SensorError) -> None:
        """Count a faulty reading."""
        value, expected = error.value - self.first_value, error.expected - self.first_expected
        self.error_moments += self.count * (value - expected)
        self.expected_changes += error.expected != self.last_expected
        self.last_expected = error.expected
        self.lowest, self.highest = min(self.lowest, error.value), max(self.highest, error.value)
        self.count += 1
        self.run += 1
        self.longest_run = max(self.longest_run, self.run)
        self.far_count += error.is_far
        self.impossible_count += error.is_impossible
        self.positive_count += error.value > error.expected
        self.units += error.units
        self.value_sum += value
        self.expected_sum += expected
        self.value_squares += value * value
        self.expected_squares += expected * expected
        self.products += value * expected

    def decide(self) -> str | None:
        """Return the kind of fault; None if it can't be told."""
        count = self.count
        if self.lowest == self.highest == 0:
            return "loss"
        if 2 * self.impossible_count > count:
            return "bounds"
        if self.longest_run <= _MAX_SPIKE_READINGS:
            return None if self.run else "spike"
        return self._decide_by_course()

    def _decide_by_course(self) -> str | None:
        """Return the kind of a fault of more than `_MAX_SPIKE_READINGS` by how its error goes on."""
        count, is_constant = self.count, self.lowest == self.highest
        if is_constant and self.expected_changes >= _MIN_EXPECTED_CHANGES:
            return "stuck"
        if 2 * self.far_count > count:
            return "bounds"
        if is_constant:
            return None
        if min(self.positive_count, count - self.positive_count) >= _MIN_NOISE_SHARE * count:
            return "noise"
        if self._grows():
            return "drift"
        return "gain" if self._gain_log_ratio() > _MIN_GAIN_LOG_RATIO else "offset"

    def _centred_squares(self) -> tuple[float, float, float]:
        """Return the sums of squares of values and of expected values about their means, and of products."""
        return (
            self.value_squares - self.value_sum**2 / self.count,
            self.expected_squares - self.expected_sum**2 / self.count,
            self.products - self.value_sum * self.expected_sum / self.count,
        )

    def _grows(self) -> bool:
        """Return whether the error grows steadily away from 0."""
        count = self.count
        if count < _MIN_DRIFT_READINGS:
            return False
        values, expected, products = self._centred_squares()
        error_squares = max(values - 2 * products + expected, _TINY)
        error_sum = self.value_sum - self.expected_sum
        mean_error = self.first_value - self.first_expected + error_sum / count
        number_squares = count * (count**2 - 1) / 12  # of 0, 1, ... about their mean
        moment = self.error_moments - (count - 1) / 2 * error_sum
        growth = moment / number_squares * count
        correlation = moment / math.sqrt(number_squares * error_squares)
        return (
            abs(correlation) > _MIN_DRIFT_CORRELATION
            and growth * mean_error > 0
            and abs(growth) > _MIN_DRIFT_GROWTH * abs(mean_error)
        )

    def _gain_log_ratio(self) -> float:
        """Return the log likelihood ratio of a gain, with the ratio of the means, over an offset.

        The smaller of two: one takes all noise for the sensor's, which makes an offset below 0 look like a
        gain below 1 where the true value hardly changes; one takes half of it for the neighbours'.
        """
        count = self.count
        mean_expected = self.first_expected + self.expected_sum / count
        mean_value = self.first_value + self.value_sum / count
        values, expected, products = self._centred_squares()
        if mean_value * mean_expected <= 0 or min(values, expected) < _TINY:
            return 0.0

        def residuals(slope: float) -> float:
            return max(values - 2 * slope * products + slope**2 * expected, _TINY)

        def sums(slope: float) -> float:
            return max(values + 2 * slope * products + slope**2 * expected, _TINY) / slope**2

        gain = mean_value / mean_expected
        of_residuals = math.log(residuals(1.0) / residuals(gain))
        of_both = of_residuals + math.log(sums(1.0) / sums(gain))
        return min(count, _MAX_INDEPENDENT_READINGS) / 2 * min(of_residuals, of_both)


class FaultEvidence(msgspec.Struct, array_like=True, gc=False):
    """What the readings of an incident tell of its kind: 180 bytes for each faulty sensor."""

    sensors: dict[int, _SensorEvidence] = msgspec.field(default_factory=dict)
    """Index of a feature -> its faulty readings."""
    last_ts: float | None = None
    """Event time of the last reading, seconds since the Unix epoch."""
    kind: str | None = None
    """The kind of fault; None if it can't be told."""

    def add(self, ts: Sequence[float], errors: Sequence[Sequence[SensorError]]) -> None:
        """Add those readings of a window that were in no window before.

        Parameters
        ----------
        ts : event times, oldest first: (step,).
        errors : the sensors with an error in each reading: (step,).
        """
        last_ts = self.last_ts
        if last_ts is None or last_ts > ts[-1]:  # its group's clock may have been set back
            last_ts = -math.inf
        for reading_ts, reading_errors in zip(ts, errors, strict=True):
            if reading_ts > last_ts:
                self._add_reading(reading_errors)
        self.last_ts = ts[-1]
        if self.sensors:  # the sensor that is furthest from what it should read, in the long run
            try:
                self.kind = max(self.sensors.values(), key=lambda sensor: sensor.units).decide()
            except (ArithmeticError, ValueError):  # sums near the largest float, or from a damaged store
                self.kind = None

    def _add_reading(self, errors: Sequence[SensorError]) -> None:
        healthy = set(self.sensors)
        for error in errors:
            sensor = self.sensors.get(error.sensor)
            if sensor is None:
                sensor = self.sensors[error.sensor] = _SensorEvidence(
                    error.value, error.expected, error.value, error.value, error.expected
                )
            elif error.units * sensor.count < _MIN_RELATIVE_ERROR * sensor.units:
                continue
            sensor.add(error)
            healthy.discard(error.sensor)
        for index in healthy:
            self.sensors[index].run = 0

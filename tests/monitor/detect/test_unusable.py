from monitor.core.readings import Outcome, RejectedReading
from monitor.detect.unusable import UnusableReadings


def rejected(count: int, reason: str = "not JSON") -> list[RejectedReading]:
    """Return malformed readings, the reason with a number that differs."""
    return [RejectedReading(Outcome.MALFORMED, "t", f"{reason} at {number}") for number in range(count)]


def test_commonest_reason() -> None:
    """Reasons that differ in numbers only are one; the commonest is named."""
    unusable = UnusableReadings()
    unusable.add(rejected(3), 0.0)
    unusable.add(rejected(4, "too\nlarge"), 1.0)
    unusable.add(rejected(2), 2.0)
    text = "none of 9 readings since the start is usable; most often malformed: not JSON at 1"
    assert unusable.describe_problem(4.9) == ""
    assert unusable.describe_problem(5.0) == text
    unusable.add(rejected(9, "too\nlarge"), 6.0)
    assert unusable.describe_problem(6.0).endswith("malformed: too\\nlarge at 8")


def test_after_a_usable_reading() -> None:
    """Once there was a usable reading, unusable ones must keep coming for half a minute."""
    unusable = UnusableReadings()
    unusable.add(rejected(9), 0.0)
    unusable.restart()
    assert unusable.describe_problem(9.0) == ""
    unusable.add(rejected(1), 10.0)
    unusable.add(rejected(1), 41.0)
    assert unusable.describe_problem(41.0) == ""
    unusable.add(rejected(1), 42.0)
    text = "none of 3 readings since the last usable one is usable; most often malformed: not JSON at 0"
    assert unusable.describe_problem(42.0) == text
    unusable.restart()
    unusable.add(rejected(50), 50.0)
    assert unusable.describe_problem(500.0) == ""


def test_no_reading() -> None:
    """Where no reading comes, there is nothing to say."""
    assert UnusableReadings().describe_problem(1e9) == ""

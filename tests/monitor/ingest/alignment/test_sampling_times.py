import numpy as np
import pytest

from monitor.ingest.alignment.sampling_times import SamplingTimes


@pytest.mark.parametrize("period", [0.001, 0.1, 0.3, 0.7, 1 / 3, 1.1, 5.0, 59.9])
def test_rounding_never_moves_a_sampling_time(period: float) -> None:
    """Each result is what comparing products gives, also for times that are nearly sampling times."""
    wait = 3 * period
    times = SamplingTimes(period, wait)
    near = np.arange(1, 20_000, dtype=np.float64) * period
    near = np.concatenate([near, near + np.floor(1.7e9 / period) * period])
    for ts in (near, np.nextafter(near, -np.inf), np.nextafter(near, np.inf), near + wait):
        first = times.first_at_or_after(ts)
        assert np.all((first * period >= ts) & ((first - 1) * period < ts))
        last = times.last_at_or_before(ts)
        assert np.all((last * period <= ts) & ((last + 1) * period > ts))
        assert [times.last_at_or_before_one(one) for one in ts[::97].tolist()] == last[::97].tolist()
        decided = times.last_decided(ts)
        assert np.all((decided * period + wait <= ts) & ((decided + 1) * period + wait > ts))

from monitor.mqtt.request_rate import RequestRate


def test_rate() -> None:
    """After a pause 200 requests are admitted at once, and then 50 a second; never more than 200 at once."""
    now = 0.0
    rate = RequestRate(lambda: now)
    assert [rate.admit() for _ in range(201)] == [True] * 200 + [False]
    now = 0.1
    assert [rate.admit() for _ in range(6)] == [True] * 5 + [False]
    now = 3600.0
    assert sum(rate.admit() for _ in range(1000)) == 200


def test_clock_that_stands_still() -> None:
    """Requests within one tick of the clock are counted, too."""
    rate = RequestRate(lambda: 0.0)
    assert sum(rate.admit() for _ in range(1000)) == 200

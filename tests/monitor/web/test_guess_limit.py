from monitor.web.guess_limit import GuessLimit


class Clock:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_guesses_are_slowed() -> None:
    """After 20 wrong tokens a client is heard once every 5 s; 100 s later it is as if there had been none."""
    clock = Clock()
    limit = GuessLimit(clock)
    for _ in range(20):
        assert limit.wait_s("a") == 0
        limit.count_wrong("a")
    assert limit.wait_s("a") == 5
    clock.now += 5
    assert limit.wait_s("a") == 0
    limit.count_wrong("a")
    assert limit.wait_s("a") == 5
    clock.now += 100
    for _ in range(20):
        assert limit.wait_s("a") == 0
        limit.count_wrong("a")
    assert limit.wait_s("a") == 5


def test_clients_are_independent() -> None:
    """The guesses of one client, and of very many, slow no other one and take bounded memory."""
    limit = GuessLimit(Clock())
    for number in range(10_000):
        limit.count_wrong(number)
    for _ in range(100):
        limit.count_wrong("a")
    assert limit.wait_s("a") > 0
    assert limit.wait_s("b") == 0
    assert len(limit._clear_at) == 4096  # noqa: SLF001 - its memory is what is tested

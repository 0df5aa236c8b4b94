"""Who publishes writes, and what several threads write at once stays whole."""

import threading
from collections.abc import Sequence

from monitor.core.messages import Delivery, Read
from tests.conftest import PATIENCE, Mosquitto, wait_until
from tests.monitor.mqtt.recording_listener import Ear, ready, session
from tests.support.processes import Proxy, client


class _Busy(Ear):
    """Keeps the network's thread from all else once it has heard something."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def received(self, messages: Sequence[Delivery], read: Read | None) -> None:
        super().received(messages, read)
        self.go_on.wait(PATIENCE)


def test_needs_no_network_thread(mosquitto: Mosquitto) -> None:
    """A message and an acknowledgement go out while the network's thread is busy."""
    ear = _Busy()
    with (
        client(mosquitto.port, "out") as other,
        session(mosquitto.port, ear, filters=["in"], durable=True) as own,
    ):
        ready(own)
        other.publish("in", b"1")
        wait_until(lambda: ear.messages, "the thread is busy")
        own.publish("out", b"2")
        own.acknowledge([ear.messages[0][2]])
        wait_until(lambda: other.texts("out") == ["2"], "the message goes out")
        ear.go_on.set()
    ear.messages.clear()
    with session(mosquitto.port, ear, filters=["in"], durable=True) as own:
        ready(own)
        with client(mosquitto.port) as other:
            other.publish("in", b"3")
        wait_until(lambda: ear.messages, "the next one comes")
        assert [payload for _, payload, _ in ear.messages] == [b"3"]


def test_several_threads(mosquitto: Mosquitto) -> None:
    """Messages for which the socket has no room arrive whole, whichever threads publish them."""
    size, each, threads = 1_500_000, 4, 3  # more than the kernel holds of a connection
    proxy = Proxy(mosquitto.port)
    with client(mosquitto.port, "out/#") as other, session(proxy.port, Ear()) as own:
        ready(own)

        def publish(number: int) -> None:
            for _ in range(each):
                own.publish(f"out/{number}", f"{number}".encode() * size)

        proxy.stall()
        started = [threading.Thread(target=publish, args=(number,)) for number in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join(PATIENCE)
        proxy.flow()
        for number in range(threads):
            expected = [f"{number}" * size] * each
            wait_until(lambda: other.texts(f"out/{number}") == expected, "all arrive")  # noqa: B023
    proxy.close()
